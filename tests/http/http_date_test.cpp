// SPDX-License-Identifier: MIT
#include <fermata/http/http_date.hpp>

#include <catch2/catch.hpp>

#include <chrono>

using fermata::http::parse_http_date;
using fermata::http::to_http_date;
using std::chrono::sys_days;
using std::chrono::sys_seconds;
using std::chrono::year;
using namespace std::chrono_literals;

namespace {

const sys_seconds now = sys_days(year(2025) / 11 / 21) + 12h;
const sys_seconds example = sys_days(year(1994) / 11 / 6) + 8h + 49min + 37s;

}  // namespace

TEST_CASE("http dates are written as IMF-fixdate", "[http][date]") {
  CHECK(to_http_date(example) == "Sun, 06 Nov 1994 08:49:37 GMT");
  CHECK(to_http_date(sys_seconds{}) == "Thu, 01 Jan 1970 00:00:00 GMT");
  CHECK(to_http_date(sys_days(year(2024) / 2 / 29) + 23h + 59min + 59s) ==
        "Thu, 29 Feb 2024 23:59:59 GMT");
}

TEST_CASE("http dates out of four digits are clipped", "[http][date]") {
  CHECK(to_http_date(sys_days(year(12000) / 1 / 1)) == "Fri, 31 Dec 9999 23:59:59 GMT");
  CHECK(to_http_date(sys_days(year(-5) / 1 / 1)) == "Sat, 01 Jan 0000 00:00:00 GMT");
}

TEST_CASE("http dates are read in three forms", "[http][date]") {
  CHECK(parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT", now) == example);
  CHECK(parse_http_date("Sunday, 06-Nov-94 08:49:37 GMT", now) == example);
  CHECK(parse_http_date("Sun Nov  6 08:49:37 1994", now) == example);
  CHECK(parse_http_date("Wed Nov 16 08:49:37 1994", now) == example + 240h);
}

TEST_CASE("http dates with two-digit years are at most 50 years ahead", "[http][date]") {
  const auto at = [](int y) { return sys_seconds(sys_days(year(y) / 1 / 1)); };
  CHECK(parse_http_date("Friday, 01-Jan-75 00:00:00 GMT", now) == at(2075));
  CHECK(parse_http_date("Friday, 01-Jan-76 00:00:00 GMT", now) == at(1976));
  CHECK(parse_http_date("Friday, 01-Jan-00 00:00:00 GMT", now) == at(2000));
  CHECK(parse_http_date("Friday, 01-Jan-99 00:00:00 GMT", now) == at(1999));
}

TEST_CASE("http dates survive writing and reading", "[http][date]") {
  for (int day = 0; day < 40000; day += 37) {
    const sys_seconds t = sys_days(year(1970) / 1 / 1) + day * 24h + 13h + 7min + 9s;
    REQUIRE(parse_http_date(to_http_date(t), now) == t);
  }
}

TEST_CASE("http dates that are malformed are none", "[http][date]") {
  for (const char* text : {"",
                           "0",
                           "now",
                           "Sun",
                           "Sun, ",
                           "Sun, 06 Nov 1994",
                           "Sun, 06 Nov 1994 08:49:37",
                           "Sun, 06 Nov 1994 08:49:37 UTC",
                           "Sun, 06 Nov 1994 08:49:37 GMT ",
                           "Sun, 6 Nov 1994 08:49:37 GMT",
                           "Xun, 06 Nov 1994 08:49:37 GMT",
                           "Sun, 06 Xov 1994 08:49:37 GMT",
                           "Sun, 31 Feb 1994 08:49:37 GMT",
                           "Sun, 00 Nov 1994 08:49:37 GMT",
                           "Sun, 06 Nov 1994 24:49:37 GMT",
                           "Sun, 06 Nov 1994 08:60:37 GMT",
                           "Sun, 06 Nov 1994 08:49:61 GMT",
                           "Sun, 06 Nov 19940 08:49:37 GMT",
                           "Sunday, 06-Nov-1994 08:49:37 GMT",
                           "Sun Nov 6 08:49:37 1994",
                           "Sun Nov  6 08:49:37 94",
                           "Sun, -6 Nov 1994 08:49:37 GMT",
                           "784111777"}) {
    CAPTURE(text);
    CHECK(parse_http_date(text, now) == std::nullopt);
  }
}
