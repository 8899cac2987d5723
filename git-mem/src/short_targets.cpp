// SPDX-License-Identifier: MIT
// Git's rule for targets is not that for sources: the order of the places does not count. A branch,
// a tag or what is named whole comes before any other ref; of two such neither is meant.

#include "short_targets.hpp"

#include <fermata/git_mem/pkt_line.hpp>
#include <fermata/promise/pause.hpp>

#include <string>
#include <unordered_map>

namespace fermata::git_mem::detail {

namespace {

struct found {
  std::size_t count = 0;
  bool is_strong = false;
  std::string ref;
};

void note(found& f, const std::string& ref, const std::string& name) {
  const bool is_strong = ref == name || ref == "refs/" + name || ref.starts_with("refs/heads/") ||
                         ref.starts_with("refs/tags/");
  if (f.is_strong && !is_strong) return;
  f.count = f.is_strong == is_strong ? f.count + 1 : 1;
  f.is_strong = is_strong;
  f.ref = ref;
}

}  // namespace

promise<std::string> resolve_short_names(std::vector<push_command>& what,
                                         const std::deque<reference>& there) {
  std::unordered_multimap<std::string, std::size_t> places;
  for (std::size_t i = 0; i < what.size(); ++i) {
    const std::string& name = what[i].short_name;
    for (const auto& [before, after] : short_ref_places) {
      if (name.empty()) break;
      places.emplace(std::string(before).append(name).append(after), i);
    }
    co_await maybe_pause();
  }
  if (places.empty()) co_return std::string();
  std::vector<found> all(what.size());
  for (const reference& r : there) {
    const auto [first, last] = places.equal_range(r.name);
    for (auto at = first; at != last; ++at) {
      note(all[at->second], r.name, what[at->second].short_name);
    }
    co_await maybe_pause();
  }
  for (std::size_t i = 0; i < what.size(); ++i) {
    if (all[i].count > 1) {
      co_return "\"" + printable(what[i].short_name) + "\" is more than one ref there";
    }
    if (all[i].count == 1) what[i].ref = all[i].ref;
    if (what[i].ref.empty() && !what[i].short_name.empty()) {
      co_return "no ref there is \"" + printable(what[i].short_name) +
          "\": say refs/heads/ or refs/tags/ before it";
    }
    co_await maybe_pause();
  }
  co_return std::string();
}

}  // namespace fermata::git_mem::detail
