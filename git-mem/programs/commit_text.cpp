// SPDX-License-Identifier: MIT
#include "commit_text.hpp"

#include <fmt/format.h>
#include <iconv.h>

#include <ctime>
#include <cwchar>
#include <optional>
#include <string_view>

namespace fermata_git {

using fermata::git_mem::commit;
using fermata::git_mem::object_id;
using fermata::git_mem::short_names;
using fermata::git_mem::signature;

namespace {

constexpr std::size_t tab_width = 8;

// As git has it: form feeds are text.
bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

// In UTF-8, where the system knows the encoding; else as it is.
std::string to_utf8(const std::string& text, const std::string& encoding) {
  if (encoding.empty()) return text;
  const iconv_t converter = ::iconv_open("UTF-8", encoding.c_str());
  if (converter == iconv_t(-1)) return text;
  std::string out(text.size() * 4 + 16, '\0');
  std::string in = text;
  char* from = in.data();
  char* to = out.data();
  std::size_t left = in.size();
  std::size_t room = out.size();
  const bool good = ::iconv(converter, &from, &left, &to, &room) != static_cast<std::size_t>(-1);
  ::iconv_close(converter);
  if (!good) return text;
  out.resize(out.size() - room);
  return out;
}

// How wide a terminal shows it; nothing for what is no UTF-8 or has control characters. Needs a
// locale of UTF-8.
std::optional<std::size_t> width_of(std::string_view text) {
  std::mbstate_t state{};
  std::size_t width = 0;
  while (!text.empty()) {
    wchar_t c = 0;
    const std::size_t n = std::mbrtowc(&c, text.data(), text.size(), &state);
    if (n == 0 || n > text.size()) return std::nullopt;
    const int w = ::wcwidth(c);
    if (w < 0) return std::nullopt;
    width += static_cast<std::size_t>(w);
    text.remove_prefix(n);
  }
  return width;
}

std::string without_tabs(std::string_view line) {
  std::string out;
  for (std::size_t tab = 0; (tab = line.find('\t')) != std::string_view::npos;) {
    const std::optional<std::size_t> width = width_of(line.substr(0, tab));
    if (!width) break;
    out.append(line.substr(0, tab)).append(tab_width - *width % tab_width, ' ');
    line.remove_prefix(tab + 1);
  }
  return out.append(line);
}

std::string_view take_line(std::string_view& rest) {
  const std::size_t end = rest.find('\n');
  const std::string_view line = rest.substr(0, end);
  rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  return trimmed(line);
}

std::string date_text(const signature& s) {
  const bool is_date = s.has_zone && s.when.time_since_epoch().count() >= 0;  // else git reads none
  const std::time_t local = is_date ? (s.when.time_since_epoch() + s.offset()).count() : 0;
  std::tm t{};
  ::gmtime_r(&local, &t);
  constexpr std::string_view days = "SunMonTueWedThuFriSat";
  constexpr std::string_view months = "JanFebMarAprMayJunJulAugSepOctNovDec";
  std::string text = fmt::format("{} {} {} {:02}:{:02}:{:02} {}",
                                 days.substr(static_cast<std::size_t>(t.tm_wday) * 3, 3),
                                 months.substr(static_cast<std::size_t>(t.tm_mon) * 3, 3),
                                 t.tm_mday, t.tm_hour, t.tm_min, t.tm_sec, t.tm_year + 1900);
  const int zone = is_date ? s.zone : 0;
  return zone == -1 ? text : text + fmt::format(" {:+05}", zone);  // for git -0001 is no zone
}

std::string shown(const short_names& names, const object_id& id) {
  return names.shorten(id, names.usual_digits());
}

// It ends at a NUL.
std::string shown_message(const commit& c) {
  return to_utf8(c.message.substr(0, c.message.find('\0')), c.encoding);
}

}  // namespace

std::string log_block(const commit& c, const short_names& names, const mailmap* people) {
  std::string out = "commit " + c.id.hex() + "\n";
  if (c.parents.size() > 1) {
    out += "Merge:";
    for (const object_id& p : c.parents) out += " " + shown(names, p);
    out += "\n";
  }
  if (people != nullptr) {
    signature author = c.author;
    author.name = to_utf8(author.name, c.encoding);
    author.email = to_utf8(author.email, c.encoding);
    people->apply(author);
    out +=
        "Author: " + author.name + " <" + author.email + ">\nDate:   " + date_text(c.author) + "\n";
  }
  out += "\n";
  const std::string message = shown_message(c);
  bool has_begun = false;
  for (std::string_view rest = message; !rest.empty();) {
    const std::string_view line = take_line(rest);
    if (line.empty() && !has_begun) continue;
    has_begun = true;
    out += "    " + without_tabs(line) + "\n";
  }
  return std::string(trimmed(out)) + "\n";
}

std::string log_line(const commit& c, const short_names& names) {
  std::string out = shown(names, c.id) + " ";
  const std::string message = shown_message(c);
  bool has_begun = false;
  for (std::string_view rest = message; !rest.empty();) {
    const std::string_view line = take_line(rest);
    if (line.empty() && has_begun) break;
    if (line.empty()) continue;
    if (has_begun) out += " ";
    has_begun = true;
    out += line;
  }
  return out + "\n";
}

}  // namespace fermata_git
