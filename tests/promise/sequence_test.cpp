// SPDX-License-Identifier: MIT
#include "support/policy.hpp"
#include "waits_for.hpp"

#include <fermata/promise/combine.hpp>
#include <fermata/promise/sequence.hpp>
#include <fermata/promise/sleep.hpp>
#include <fermata/promise/test_loop.hpp>

#include <catch2/catch.hpp>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

using namespace std::chrono_literals;
using namespace fermata::testing;
using fermata::async_generator;
using fermata::promise;
using fermata::test_loop;
namespace sequence = fermata::sequence;

namespace {

using numbers = std::vector<int>;
numbers up_to(int n) {
  numbers all;
  for (int i = 1; i <= n; ++i) all.push_back(i);
  return all;
}
async_generator<int> count(int n) { return sequence::from(up_to(n)); }
async_generator<int> ticks(int first, int n, std::chrono::nanoseconds each) {
  for (int i = first; i < first + n; ++i) {
    co_await fermata::sleep_for(each);
    co_yield i;
  }
}
async_generator<int> breaks_after(std::chrono::nanoseconds d) {
  co_await fermata::sleep_for(d);
  throw fermata::error("the source broke");
  co_yield 0;
}
async_generator<int> stops_at(promise<> n) {
  co_yield 1;
  co_await n;
  co_yield 2;
}
promise<std::string> end_of(promise<numbers> got) {
  return waits_for(got.map([](const numbers&) {}));
}
template <typename F>
numbers run(F f) {
  test_loop loop(options_of_run());
  return loop.run([&] { return sequence::to_vector(f(), 1000); });
}
// How many looks it takes to run what `f` gives where every check pauses.
template <typename F>
std::uint64_t looks_of(F f) {
  test_loop loop(options_with(fermata::policy::always()));
  loop.run(f);
  return loop.metrics().looks;
}

}  // namespace

TEST_CASE("sequence: stages pass on what they are to", "[promise][sequence]") {
  const auto is_odd = [](const int& n) { return n % 2 == 1; };
  const auto is_small = [](const int& n) { return n < 3; };
  CHECK(run([] { return count(3); }) == numbers{1, 2, 3});
  CHECK(run([] { return sequence::map(count(3), [](int n) { return n * n; }); }) ==
        numbers{1, 4, 9});
  CHECK(run([&] { return sequence::filter(count(5), is_odd); }) == numbers{1, 3, 5});
  CHECK(run([] { return sequence::take(count(5), 2); }) == numbers{1, 2});
  CHECK(run([] { return sequence::take(count(5), 9); }) == numbers{1, 2, 3, 4, 5});
  CHECK(run([] { return sequence::skip(count(5), 3); }) == numbers{4, 5});
  CHECK(run([] { return sequence::skip(count(5), 9); }).empty());
  CHECK(run([&] { return sequence::take_while(count(5), is_small); }) == numbers{1, 2});
  CHECK(run([&] { return sequence::skip_while(count(5), is_small); }) == numbers{3, 4, 5});
  CHECK(run([] { return sequence::flat_map(count(3), count); }) == numbers{1, 1, 2, 1, 2, 3});
  const auto both = [] {
    std::vector<async_generator<int>> sources;
    sources.push_back(count(2));
    sources.push_back(count(0));
    sources.push_back(count(3));
    return sequence::concat(std::move(sources));
  };
  CHECK(run(both) == numbers{1, 2, 1, 2, 3});
}

TEST_CASE("sequence: callables may give promises", "[promise][sequence]") {
  const auto later = [](int n) { return fermata::sleep_for(1ms).map([n] { return n * 10; }); };
  const auto asks = [](const int& n) { return fermata::ready(n > 1); };
  CHECK(run([&] { return sequence::map(count(3), later); }) == numbers{10, 20, 30});
  CHECK(run([&] { return sequence::filter(count(3), asks); }) == numbers{2, 3});
  test_loop loop(options_of_run());
  const auto adds = [](int sum, int n) { return fermata::ready(sum + n); };
  CHECK(loop.run([&] { return sequence::fold(count(4), 0, adds); }) == 10);
  CHECK(loop.run([] { return sequence::fold(count(4), 0, std::plus<int>()); }) == 10);
}

TEST_CASE("sequence: chunks and pairs", "[promise][sequence]") {
  test_loop loop(options_of_run());
  const auto chunked = [] { return sequence::to_vector(sequence::chunks(count(5), 2), 10); };
  CHECK(loop.run(chunked) == std::vector<numbers>{{1, 2}, {3, 4}, {5}});
  const auto none = [] { return sequence::to_vector(sequence::chunks(count(5), 0), 10); };
  CHECK_THROWS_WITH(loop.run(none), "chunks of no item at all");
  const auto zipped = [] { return sequence::to_vector(sequence::zip(count(2), count(5)), 10); };
  CHECK(loop.run(zipped) == std::vector<std::pair<int, int>>{{1, 1}, {2, 2}});
}

TEST_CASE("sequence: take asks the source for no more than it gives", "[promise][sequence]") {
  test_loop loop(options_of_run());
  int asked = 0;
  const auto source = [&] {
    return sequence::map(count(10), [&](int n) {
      ++asked;
      return n;
    });
  };
  loop.run([&] { return sequence::to_vector(sequence::take(source(), 3), 10); });
  CHECK(asked == 3);
}

TEST_CASE("sequence: to_vector has a limit", "[promise][sequence]") {
  test_loop loop(options_of_run());
  CHECK(loop.run([] { return sequence::to_vector(count(3), 3); }).size() == 3);
  CHECK_THROWS_WITH(loop.run([] { return sequence::to_vector(count(4), 3); }),
                    "a sequence has more than 3 items");
}

TEST_CASE("sequence: merge gives items as they come", "[promise][sequence]") {
  const auto merged = [] {
    std::vector<async_generator<int>> sources;
    sources.push_back(ticks(1, 3, 10ms));    // 10, 20, 30
    sources.push_back(ticks(100, 2, 12ms));  // 12, 24
    sources.push_back(count(0));
    return sequence::merge(std::move(sources));
  };
  CHECK(run(merged) == numbers{1, 100, 2, 101, 3});
}

TEST_CASE("sequence: the first failure ends a merge, and the other sources",
          "[promise][sequence]") {
  test_loop loop(options_of_run());
  const auto merged = [] {
    std::vector<async_generator<int>> sources;
    sources.push_back(ticks(1, 100, 1h));
    sources.push_back(breaks_after(1ms));
    return sequence::to_vector(sequence::merge(std::move(sources)), 10);
  };
  CHECK_THROWS_WITH(loop.run(merged), "the source broke");
  CHECK(loop.now().time_since_epoch() < 1h);
}

TEST_CASE("sequence: a merge that is dropped or cancelled ends its sources",
          "[promise][sequence]") {
  const bool is_cancelled = GENERATE(false, true);
  test_loop loop(options_of_run());
  auto alive = std::make_shared<int>(0);
  const auto source = [](std::shared_ptr<int>) -> async_generator<int> {
    co_yield 1;
    co_await fermata::sleep_for(1h);
  };
  const auto use = [&]() -> promise<> {
    std::vector<async_generator<int>> sources;
    sources.push_back(source(alive));
    sources.push_back(source(alive));
    async_generator<int> merged = sequence::merge(std::move(sources));
    promise<numbers> got;
    if (is_cancelled) {
      got = sequence::to_vector(std::move(merged), 10);
      co_await fermata::sleep_for(1ms);
      fermata::cancel(got);
      promise<std::string> how = waits_for(got.map([](const numbers&) {}));
      const std::string told = co_await how;
      CHECK(told == "cancelled");
      CHECK(alive.use_count() == 1);  // nothing of it is active
    } else {
      const std::optional<int> one = co_await merged.next();
      CHECK(one == 1);
      merged = async_generator<int>();
      co_await fermata::sleep_for(1ms);
    }
  };
  loop.run(use);
  CHECK(alive.use_count() == 1);
  CHECK(loop.now().time_since_epoch() < 1h);
}

TEST_CASE("sequence: for_each runs so many at once, and no more", "[promise][sequence]") {
  const std::size_t at_once = GENERATE(std::size_t{1}, std::size_t{3});
  test_loop loop(options_of_run());
  std::size_t now = 0;
  std::size_t most = 0;
  int sum = 0;
  const auto job = [&](int n) -> promise<> {
    most = std::max(most, ++now);
    co_await fermata::sleep_for(1ms);
    sum += n;
    --now;
  };
  loop.run([&] { return sequence::for_each(count(20), job, at_once); });
  CHECK(sum == 210);
  CHECK(most == at_once);
  loop.run([&] { return sequence::for_each(count(3), [&](int n) { sum -= n; }); });
  CHECK(sum == 204);
  CHECK_THROWS_WITH(loop.run([&] { return sequence::for_each(count(3), job, 0); }),
                    "for_each of a sequence, none at once");
}

TEST_CASE("sequence: one failure in for_each cancels the others", "[promise][sequence]") {
  test_loop loop(options_of_run());
  int ended = 0;
  const auto job = [&](int n) -> promise<> {
    if (n == 3) throw fermata::error("three");
    try {
      co_await fermata::sleep_for(1h);
    } catch (const fermata::cancelled&) {
      ++ended;
      throw;
    }
  };
  CHECK_THROWS_WITH(loop.run([&] { return sequence::for_each(count(9), job, 4); }), "three");
  CHECK(ended == 2);
  CHECK(loop.now().time_since_epoch() < 1h);
}

TEST_CASE("sequence: for_each that was cancelled does not say that all is handled",
          "[promise][sequence]") {
  const std::size_t at_once = GENERATE(std::size_t{1}, std::size_t{3}, std::size_t{9});
  test_loop loop(options_of_run());
  int handled = 0;
  const auto job = [&](int) -> promise<> {
    co_await fermata::sleep_for(1h);
    ++handled;
  };
  // With nine at once the source has ended long before.
  const auto late = [&] {
    return fermata::with_timeout(5ms, sequence::for_each(count(3), job, at_once));
  };
  CHECK_THROWS_WITH(loop.run(late), "timed out after 5 ms");
  CHECK(handled == 0);
  const auto run = [&]() -> promise<std::string> {
    promise<> p = sequence::for_each(count(3), job, at_once);
    promise<std::string> end = waits_for(p);
    co_await fermata::sleep_for(1ms);
    fermata::cancel(p);
    co_return co_await end;
  };
  CHECK(loop.run(run) == "cancelled");
  CHECK(handled == 0);
}

TEST_CASE("sequence: an item that ends in cancelled ends for_each", "[promise][sequence]") {
  const std::size_t at_once = GENERATE(std::size_t{1}, std::size_t{2}, std::size_t{9});
  test_loop loop(options_of_run());
  int begun = 0;
  const auto job = [&](int n) -> promise<> {
    ++begun;
    if (n == 2) throw fermata::cancelled("two");
    co_await fermata::sleep_for(n == 1 ? 0ms : 1h);
  };
  const auto run = [&]() -> promise<std::string> {
    std::string how;
    try {
      promise<> all = sequence::for_each(count(1000), job, at_once);
      co_await all;
    } catch (const fermata::cancelled& c) {
      how = c.what();
    }
    co_return how;
  };
  CHECK(loop.run(run) == "cancelled: two");
  CHECK(begun == 2);
}

TEST_CASE("sequence: a channel is what others push to", "[promise][sequence]") {
  test_loop loop(options_of_run());
  const auto through = [] {
    auto [w, r] = fermata::channel<int>(2);
    promise<> sent = sequence::send_to(count(50), std::move(w));
    promise<numbers> got = sequence::to_vector(sequence::from(std::move(r)), 100);
    return fermata::both(sent, got);
  };
  CHECK(loop.run(through).second == up_to(50));
  const auto broken = [] {
    auto [w, r] = fermata::channel<int>(2);
    promise<> sent = sequence::send_to(breaks_after(1ms), std::move(w));
    promise<numbers> got = sequence::to_vector(sequence::from(std::move(r)), 100);
    return fermata::both(sent, got);
  };
  CHECK_THROWS_WITH(loop.run(broken), "the source broke");
  const auto nobody = [] {
    auto [w, r] = fermata::channel<int>(0);
    promise<> sent = sequence::send_to(count(5), std::move(w));
    r = {};
    return sent;
  };
  CHECK_THROWS_AS(loop.run(nobody), fermata::channel_closed);
}

TEST_CASE("sequence: a source that ends in cancelled is no whole sequence", "[promise][sequence]") {
  test_loop loop(options_of_run());
  const auto merged = []() -> promise<std::string> {
    promise<> n = fermata::never();
    std::vector<async_generator<int>> sources;
    sources.push_back(stops_at(n));
    sources.push_back(ticks(1, 100, 1h));
    promise<std::string> end = end_of(sequence::to_vector(sequence::merge(std::move(sources)), 10));
    co_await fermata::sleep_for(1ms);
    fermata::cancel(n);
    co_return co_await end;
  };
  CHECK(loop.run(merged) == "cancelled");
  const auto sent = []() -> promise<std::string> {
    promise<> n = fermata::never();
    auto [w, r] = fermata::channel<int>(2);
    promise<std::string> sender = waits_for(sequence::send_to(stops_at(n), std::move(w)));
    promise<std::string> end = end_of(sequence::to_vector(sequence::from(std::move(r)), 10));
    co_await fermata::sleep_for(1ms);
    fermata::cancel(n);
    const std::string first = co_await sender;
    const std::string second = co_await end;
    co_return first + ", " + second;
  };
  CHECK(loop.run(sent) == "cancelled, cancelled");
  CHECK(loop.now().time_since_epoch() < 1h);
}

TEST_CASE("sequence: the readers hear of a send_to that was cancelled", "[promise][sequence]") {
  test_loop loop(options_of_run());
  const auto run = []() -> promise<std::string> {
    auto [w, r] = fermata::channel<int>(1);
    promise<> sender = sequence::send_to(count(5), std::move(w));
    co_await fermata::sleep_for(1ms);
    fermata::cancel(sender);  // it waits for room
    promise<std::string> told = waits_for(sender);
    promise<std::string> end = end_of(sequence::to_vector(sequence::from(std::move(r)), 10));
    const std::string first = co_await told;
    const std::string second = co_await end;
    co_return first + ", " + second;
  };
  CHECK(loop.run(run) == "cancelled, cancelled");
}

TEST_CASE("sequence: every stage and consumer looks once an item", "[promise][sequence]") {
  const auto ignore = [](int) {};
  const auto promised = [](int) { return fermata::ready(); };
  const auto never_odd = [](const int&) { return false; };
  CHECK(looks_of([&] { return sequence::for_each(count(300), ignore); }) >= 300);
  CHECK(looks_of([&] { return sequence::for_each(count(300), promised, 4); }) >= 300);
  CHECK(looks_of([&] { return sequence::fold(count(300), 0, std::plus<int>()); }) >= 300);
  CHECK(looks_of([&] { return sequence::to_vector(count(300), 300); }) >= 300);
  CHECK(looks_of([&] { return sequence::to_vector(sequence::filter(count(300), never_odd), 1); }) >=
        300);
  CHECK(looks_of([&] { return sequence::to_vector(sequence::skip(count(300), 300), 1); }) >= 300);
  CHECK(looks_of([&] { return sequence::to_vector(sequence::chunks(count(300), 300), 1); }) >= 300);
}
