// SPDX-License-Identifier: MIT
#include <fermata/http/latency_log.hpp>

#include <catch2/catch.hpp>

using fermata::http::latency_log;
using namespace std::chrono_literals;

TEST_CASE("latency_log gives nearest ranks", "[http][probe]") {
  latency_log log;
  for (int i = 100; i > 0; --i) log.add(i * 1us);
  CHECK(log.count() == 100);
  CHECK(log.percentile(50) == 50us);
  CHECK(log.percentile(90) == 90us);
  CHECK(log.percentile(99.9) == 100us);
  CHECK(log.percentile(0) == 1us);
  CHECK(log.longest() == 100us);
  CHECK(log.count_within(0us) == 0);
  CHECK(log.count_within(40us) == 40);
  CHECK(log.count_within(1s) == 100);
}

TEST_CASE("latency_log takes values after it was asked", "[http][probe]") {
  latency_log log;
  CHECK(log.longest() == 0us);
  log.add(5us);
  CHECK(log.longest() == 5us);
  log.add(3us);
  CHECK(log.percentile(50) == 3us);
}

TEST_CASE("latency_log clips what it cannot hold", "[http][probe]") {
  latency_log log;
  log.add(-5us);
  CHECK(log.longest() == 0us);
  log.add(100h);
  CHECK(log.longest() == 4294967295us);
}
