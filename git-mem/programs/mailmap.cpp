// SPDX-License-Identifier: MIT
#include "mailmap.hpp"

#include <strings.h>

#include <algorithm>
#include <utility>

namespace fermata_git {

namespace {

struct half {
  std::optional<std::string> name;
  std::string email;
};

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

// "Name <email>" at the front of `rest`, which is taken off.
std::optional<half> take_half(std::string_view& rest, bool may_be_empty) {
  const std::size_t open = rest.find('<');
  if (open == std::string_view::npos) return std::nullopt;
  const std::size_t close = rest.find('>', open);
  if (close == std::string_view::npos) return std::nullopt;
  if (close == open + 1 && !may_be_empty) return std::nullopt;
  half found;
  found.email = rest.substr(open + 1, close - open - 1);
  std::string_view name = rest.substr(0, open);
  while (!name.empty() && is_space(name.front())) name.remove_prefix(1);
  while (!name.empty() && is_space(name.back())) name.remove_suffix(1);
  if (!name.empty()) found.name = name;
  rest.remove_prefix(close + 1);
  return found;
}

}  // namespace

bool mailmap::less_in_any_case::operator()(const std::string& a,
                                           const std::string& b) const noexcept {
  return ::strcasecmp(a.c_str(), b.c_str()) < 0;
}

mailmap::mailmap(std::string_view text) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    read_line(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

// "Right Name <right> Name in commits <in commits>"; the first name, or address, and the second
// name may be left out, and the whole second half.
void mailmap::read_line(std::string_view line) {
  if (line.starts_with('#')) return;
  std::optional<half> right = take_half(line, false);
  if (!right) return;
  const std::optional<half> wrong = take_half(line, true);
  person who;
  who.name = std::move(right->name);
  if (!wrong) {
    if (who.name) addresses_[right->email].anybody.name = std::move(who.name);
    return;
  }
  who.email = std::move(right->email);
  address& at = addresses_[wrong->email];
  if (wrong->name) {
    at.by_name.insert_or_assign(*wrong->name, std::move(who));
    return;
  }
  if (who.name) at.anybody.name = std::move(who.name);
  at.anybody.email = std::move(who.email);
}

void mailmap::apply(fermata::git_mem::signature& to) const {
  const auto at = addresses_.find(to.email);
  if (at == addresses_.end()) return;
  const auto named = at->second.by_name.find(to.name);
  const person& who = named != at->second.by_name.end() ? named->second : at->second.anybody;
  if (who.name) to.name = *who.name;
  if (who.email) to.email = *who.email;
}

}  // namespace fermata_git
