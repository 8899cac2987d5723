// SPDX-License-Identifier: MIT
#include "moment.hpp"

#include <charconv>
#include <string_view>

namespace fermata_git {

namespace {

// Exactly `digits` of them, at the front; they are taken off.
std::optional<int> take_number(std::string_view& from, std::size_t digits) {
  int n = 0;
  if (from.size() < digits || from.front() < '0' || from.front() > '9') return std::nullopt;
  const auto [end, wrong] = std::from_chars(from.data(), from.data() + digits, n);
  if (wrong != std::errc() || end != from.data() + digits) return std::nullopt;
  from.remove_prefix(digits);
  return n;
}

// The same behind a separator.
std::optional<int> take_number(std::string_view& from, char separator) {
  if (!from.starts_with(separator)) return std::nullopt;
  from.remove_prefix(1);
  return take_number(from, std::size_t{2});
}

}  // namespace

std::optional<std::chrono::sys_seconds> parse_moment(const std::string& text) {
  using namespace std::chrono;
  std::int64_t seconds_since = 0;
  const char* const last = text.data() + text.size();
  const auto [end, wrong] = std::from_chars(text.data(), last, seconds_since);
  if (wrong == std::errc() && end == last && seconds_since > 0) {
    return sys_seconds(seconds(seconds_since));
  }
  std::string_view rest = text;
  const std::optional<int> y = take_number(rest, std::size_t{4});
  const std::optional<int> m = y ? take_number(rest, '-') : y;
  const std::optional<int> d = m ? take_number(rest, '-') : m;
  if (!d) return std::nullopt;
  const year_month_day day{year(*y), month(static_cast<unsigned>(*m)),
                           std::chrono::day(static_cast<unsigned>(*d))};
  if (!day.ok()) return std::nullopt;
  const sys_seconds midnight = sys_days(day);
  if (rest.empty()) return midnight;
  const char separator = rest.front();
  if (separator != 'T' && separator != ' ') return std::nullopt;
  const std::optional<int> h = take_number(rest, separator);
  const std::optional<int> min = h ? take_number(rest, ':') : h;
  const std::optional<int> s = min ? take_number(rest, ':') : min;
  if (!s || *h > 23 || *min > 59 || *s > 59) return std::nullopt;
  if (!rest.empty() && rest != "Z") return std::nullopt;
  return midnight + hours(*h) + minutes(*min) + seconds(*s);
}

}  // namespace fermata_git
