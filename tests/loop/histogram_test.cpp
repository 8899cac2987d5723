// SPDX-License-Identifier: MIT
#include <fermata/loop/histogram.hpp>

#include <catch2/catch.hpp>

#include <cmath>

using namespace std::chrono_literals;
using fermata::histogram;

TEST_CASE("buckets cover every duration once, within an eighth", "[loop][histogram]") {
  std::uint64_t begin = 0;
  for (std::size_t i = 0; i < histogram::buckets; ++i) {
    const std::uint64_t end = histogram::bucket_end(i);
    REQUIRE(end >= begin);
    CHECK(histogram::bucket_of(begin) == i);
    CHECK(histogram::bucket_of(end) == i);
    if (begin >= 8) CHECK((end - begin) * 8 <= begin);
    begin = end + 1;
  }
  CHECK(begin == std::uint64_t{1} << histogram::powers);
  CHECK(histogram::bucket_of(~std::uint64_t{0}) == histogram::buckets - 1);
}

TEST_CASE("a histogram gives quantiles, sum and longest", "[loop][histogram]") {
  histogram h;
  CHECK(h.quantile(0.5) == 0ns);
  CHECK(h.count_up_to(1h) == 0);
  for (int i = 1; i <= 1000; ++i) h.record(std::chrono::microseconds(i));
  CHECK(h.count() == 1000);
  CHECK(h.sum() == 500'500us);
  CHECK(h.longest() == 1000us);
  CHECK(h.quantile(0.5) >= 500us);
  CHECK(h.quantile(0.5) <= 563us);
  CHECK(h.quantile(0.99) >= 990us);
  CHECK(h.quantile(1.0) == 1000us);
  CHECK(h.quantile(7.0) == 1000us);
  CHECK(h.quantile(-1.0) >= 1us);
  CHECK(h.count_up_to(std::chrono::nanoseconds((1 << 19) - 1)) == 524);
  CHECK(h.count_up_to(1000us) == 1000);
  CHECK(h.count_up_to(-1ns) == 0);
}

TEST_CASE("a histogram takes negative and endless durations", "[loop][histogram]") {
  histogram h;
  h.record(-5ns);
  h.record(std::chrono::nanoseconds::max());
  CHECK(h.count() == 2);
  CHECK(h.quantile(0.0) == 0ns);
  CHECK(h.quantile(1.0) == std::chrono::nanoseconds::max());
  CHECK(h.count_up_to(24h) == 1);
}

TEST_CASE("histograms are merged", "[loop][histogram]") {
  histogram a;
  histogram b;
  a.record(1us);
  b.record(1ms);
  a.merge(b);
  CHECK(a.count() == 2);
  CHECK(a.sum() == 1001us);
  CHECK(a.longest() == 1ms);
}
