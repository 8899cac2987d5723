// SPDX-License-Identifier: MIT
// Dates by the calendar of <chrono>; no locale, no time zone data base.

#include "text.hpp"

#include <fermata/http/http_date.hpp>

#include <algorithm>
#include <array>

namespace fermata::http {
namespace {

using std::chrono::day;
using std::chrono::days;
using std::chrono::floor;
using std::chrono::month;
using std::chrono::sys_days;
using std::chrono::sys_seconds;
using std::chrono::weekday;
using std::chrono::year;
using std::chrono::year_month_day;

constexpr std::array<std::string_view, 7> short_days = {"Sun", "Mon", "Tue", "Wed",
                                                        "Thu", "Fri", "Sat"};
constexpr std::array<std::string_view, 7> long_days = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                                       "Thursday", "Friday", "Saturday"};
constexpr std::array<std::string_view, 12> months = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

void append_digits(std::string& out, int value, int width) {
  std::array<char, 4> digits{};
  for (int i = width; i-- > 0; value /= 10)
    digits[static_cast<std::size_t>(i)] = static_cast<char>('0' + value % 10);
  out.append(digits.data(), static_cast<std::size_t>(width));
}

// Takes parts of fixed form off the front of a text; once something is missing, all else is.
class cutter {
public:
  explicit cutter(std::string_view text) : rest_(text) {}

  void literal(std::string_view expected) {
    if (!rest_.starts_with(expected)) return fail();
    rest_.remove_prefix(expected.size());
  }
  int digits(std::size_t count) {
    if (rest_.size() < count) return fail(), 0;
    const auto value = detail::parse_decimal(rest_.substr(0, count));
    if (!value) return fail(), 0;
    rest_.remove_prefix(count);
    return static_cast<int>(*value);
  }
  int padded_day() {  // asctime pads with a space
    if (!rest_.starts_with(' ')) return digits(2);
    rest_.remove_prefix(1);
    return digits(1);
  }
  template <std::size_t Count>
  unsigned one_of(const std::array<std::string_view, Count>& names) {
    for (std::size_t i = 0; i < Count; ++i) {
      if (!rest_.starts_with(names[i])) continue;
      rest_.remove_prefix(names[i].size());
      return static_cast<unsigned>(i);
    }
    return fail(), 0;
  }
  [[nodiscard]] bool ended_well() const { return good_ && rest_.empty(); }

private:
  void fail() {
    good_ = false;
    rest_ = {};
  }
  std::string_view rest_;
  bool good_ = true;
};

struct parts {
  int year = 0;
  unsigned month = 0;  // from 0
  int day = 0;
  int hour = 0;
  int minute = 0;
  int second = 0;
};

void cut_time(cutter& c, parts& p) {
  p.hour = c.digits(2);
  c.literal(":");
  p.minute = c.digits(2);
  c.literal(":");
  p.second = c.digits(2);
}

std::optional<sys_seconds> assemble(const parts& p) {
  const year_month_day date(year(p.year), month(p.month + 1), day(static_cast<unsigned>(p.day)));
  if (!date.ok() || p.hour > 23 || p.minute > 59 || p.second > 60) return std::nullopt;
  return sys_days(date) + std::chrono::hours(p.hour) + std::chrono::minutes(p.minute) +
         std::chrono::seconds(p.second);
}

std::optional<sys_seconds> parse_fixdate(std::string_view text) {
  cutter c(text);
  parts p;
  c.one_of(short_days);
  c.literal(", ");
  p.day = c.digits(2);
  c.literal(" ");
  p.month = c.one_of(months);
  c.literal(" ");
  p.year = c.digits(4);
  c.literal(" ");
  cut_time(c, p);
  c.literal(" GMT");
  return c.ended_well() ? assemble(p) : std::nullopt;
}

std::optional<sys_seconds> parse_rfc850(std::string_view text, sys_seconds now) {
  cutter c(text);
  parts p;
  c.one_of(long_days);
  c.literal(", ");
  p.day = c.digits(2);
  c.literal("-");
  p.month = c.one_of(months);
  c.literal("-");
  const int two_digits = c.digits(2);
  c.literal(" ");
  cut_time(c, p);
  c.literal(" GMT");
  if (!c.ended_well()) return std::nullopt;
  const int this_year = static_cast<int>(year_month_day(floor<days>(now)).year());
  p.year = this_year - this_year % 100 + 100 + two_digits;
  while (p.year > this_year + 50) p.year -= 100;
  return assemble(p);
}

std::optional<sys_seconds> parse_asctime(std::string_view text) {
  cutter c(text);
  parts p;
  c.one_of(short_days);
  c.literal(" ");
  p.month = c.one_of(months);
  c.literal(" ");
  p.day = c.padded_day();
  c.literal(" ");
  cut_time(c, p);
  c.literal(" ");
  p.year = c.digits(4);
  return c.ended_well() ? assemble(p) : std::nullopt;
}

}  // namespace

void append_http_date(std::string& out, sys_seconds when) {
  constexpr sys_days first(year(0) / 1 / 1);
  constexpr sys_days last(year(9999) / 12 / 31);
  when = std::clamp(when, sys_seconds(first), sys_seconds(last) + std::chrono::seconds(86399));
  const sys_days date = floor<days>(when);
  const year_month_day ymd(date);
  const std::chrono::hh_mm_ss time(when - date);
  out += short_days[weekday(date).c_encoding()];
  out += ", ";
  append_digits(out, static_cast<int>(static_cast<unsigned>(ymd.day())), 2);
  out += ' ';
  out += months[static_cast<unsigned>(ymd.month()) - 1];
  out += ' ';
  append_digits(out, static_cast<int>(ymd.year()), 4);
  out += ' ';
  append_digits(out, static_cast<int>(time.hours().count()), 2);
  out += ':';
  append_digits(out, static_cast<int>(time.minutes().count()), 2);
  out += ':';
  append_digits(out, static_cast<int>(time.seconds().count()), 2);
  out += " GMT";
}

std::string to_http_date(sys_seconds when) {
  std::string out;
  append_http_date(out, when);
  return out;
}

std::optional<sys_seconds> parse_http_date(std::string_view text, sys_seconds now) {
  const std::size_t comma = text.find(',');
  if (comma == std::string_view::npos) return parse_asctime(text);
  return comma == 3 ? parse_fixdate(text) : parse_rfc850(text, now);
}

}  // namespace fermata::http
