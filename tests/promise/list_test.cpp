// SPDX-License-Identifier: MIT
// Loops over many things: order, how many at once, failures, answers that end them, many items.
#include "support/policy.hpp"

#include <fermata/promise/list.hpp>
#include <fermata/promise/pause.hpp>
#include <fermata/promise/test_loop.hpp>

#include <catch2/catch.hpp>

#include <algorithm>
#include <memory>
#include <numeric>
#include <ranges>
#include <string>
#include <vector>

using namespace std::chrono_literals;
using namespace fermata::testing;
namespace list = fermata::list;
using fermata::promise;
using fermata::ready;
using fermata::test_loop;
using list::at_most;

namespace {

// Ends after as many ms as it is told, and knows how many of its kind are under way.
struct counted {
  int now = 0;
  int most = 0;
  int started = 0;
  int stopped = 0;

  promise<int> run(int ms) {
    ++started;
    most = std::max(most, ++now);
    try {
      co_await fermata::sleep_for(std::chrono::milliseconds(ms));
    } catch (const fermata::cancelled&) {
      --now;
      ++stopped;
      throw;
    }
    --now;
    co_return ms * 10;
  }
};

const std::vector<int> five{3, 1, 5, 2, 4};
const std::vector<int> five_tens{30, 10, 50, 20, 40};

std::vector<int> first_numbers(int n) {
  std::vector<int> v(static_cast<std::size_t>(n));
  std::iota(v.begin(), v.end(), 0);
  return v;
}

}  // namespace

TEST_CASE("list: results come in order, so many at once as allowed", "[promise][list]") {
  struct row {
    at_most n;
    int most;
    std::chrono::milliseconds time;
  };
  for (const row& r : {row{at_most(1), 1, 15ms}, row{at_most(2), 2, 9ms}, row{at_most(3), 3, 7ms},
                       row{at_most::all, 5, 5ms}}) {
    INFO(r.most);
    test_loop loop(options_of_run());
    counted c;
    const auto run = [&] {
      return list::map(
          five, [&](int ms) { return c.run(ms); }, r.n);
    };
    CHECK(loop.run(run) == five_tens);
    CHECK(c.most == r.most);
    CHECK(std::chrono::floor<std::chrono::milliseconds>(loop.now().time_since_epoch()) == r.time);
  }
}

TEST_CASE("list: without a word one at a time", "[promise][list]") {
  test_loop loop(options_of_run());
  counted c;
  const auto work = [&](int ms) { return c.run(ms).map([](int) {}); };
  loop.run([&] { return list::iter(five, work); });
  CHECK(c.most == 1);
  CHECK(c.started == 5);
  CHECK_THROWS_WITH(at_most(0), "at most 0 at once would never begin");
}

TEST_CASE("list: nothing to do is done at once", "[promise][list]") {
  test_loop loop(options_of_run());
  const auto run = []() -> promise<bool> {
    const std::vector<int> none;
    const auto yes = [](int) { return ready(true); };
    bool right = true;
    for (const at_most n : {at_most(1), at_most(3), at_most::all}) {
      auto some = list::exists(none, yes, n);
      const bool any = co_await some;
      auto every = list::for_all(none, yes, n);
      const bool all = co_await every;
      auto kept = list::filter(none, yes, n);
      const auto values = co_await kept;
      auto one = list::find(none, yes, n);
      const auto found = co_await one;
      right = right && !any && all && values.empty() && !found;
    }
    co_return right;
  };
  CHECK(loop.run(run));
}

TEST_CASE("list: filter, filter_map and fold", "[promise][list]") {
  test_loop loop(options_of_run());
  const auto is_odd = [](int v) {
    return fermata::sleep_for(std::chrono::milliseconds(v)).map([v] { return v % 2 == 1; });
  };
  const auto halved = [](int v) {
    return ready(v % 2 == 0 ? std::optional<int>(v / 2) : std::nullopt);
  };
  for (const at_most n : {at_most(1), at_most(2), at_most::all}) {
    CHECK(loop.run([&] { return list::filter(five, is_odd, n); }) == std::vector<int>{3, 1, 5});
    CHECK(loop.run([&] { return list::filter_map(five, halved, n); }) == std::vector<int>{1, 2});
  }
  const auto append = [](std::string sum, int v) {
    return fermata::sleep_for(1ms).map([s = std::move(sum), v] { return s + std::to_string(v); });
  };
  CHECK(loop.run([&] { return list::fold(five, std::string("-"), append); }) == "-31524");
}

TEST_CASE("list: find gives the first in order, however late its answer comes", "[promise][list]") {
  for (const at_most n : {at_most(1), at_most(2), at_most::all}) {
    test_loop loop(options_of_run());
    counted c;
    const auto big = [&](int v) { return c.run(v == 5 ? 50 : v).map([v](int) { return v >= 4; }); };
    const auto found = loop.run([&] { return list::find(five, big, n); });
    REQUIRE(found);
    CHECK(*found == 5);
    CHECK(c.now == 0);
  }
}

TEST_CASE("list: an answer that is enough cancels the rest", "[promise][list]") {
  test_loop loop(options_of_run());
  counted c;
  const auto small = [&](int v) { return c.run(v).map([v](int) { return v == 1; }); };
  CHECK(loop.run([&] { return list::exists(five, small, at_most::all); }));
  CHECK(c.stopped == 4);
  CHECK(loop.now().time_since_epoch() < 2ms);
  counted d;
  const auto large = [&](int v) { return d.run(v).map([v](int) { return v > 1; }); };
  CHECK_FALSE(loop.run([&] { return list::for_all(five, large, at_most(2)); }));
  CHECK(d.started == 2);
  CHECK(d.now == 0);
}

TEST_CASE("list: the first failure cancels the rest and waits for it", "[promise][list]") {
  for (const at_most n : {at_most(1), at_most(2), at_most::all}) {
    test_loop loop(options_of_run());
    counted c;
    bool cleaned = n.count() == 1;
    const auto work = [&](int ms) -> promise<int> {
      if (ms == 1) throw fermata::error("one is bad");
      try {
        auto p = c.run(ms);
        const int v = co_await p;
        co_return v;
      } catch (const fermata::cancelled&) {
      }
      co_await fermata::sleep_for(5ms);
      cleaned = true;
      throw fermata::cancelled();
    };
    CHECK_THROWS_WITH(loop.run([&] { return list::map(five, work, n); }), "one is bad");
    CHECK(cleaned);
    CHECK(c.now == 0);
  }
}

TEST_CASE("list: an item that ends in cancelled ends the others, and its reason is told",
          "[promise][list]") {
  const std::size_t n = GENERATE(std::size_t{1}, std::size_t{3});
  test_loop loop(options_of_run());
  int begun = 0;
  const auto item = [&](int i) -> promise<> {
    ++begun;
    if (i == 1) throw fermata::cancelled("me");
    co_await fermata::sleep_for(i == 0 ? 0ms : 1h);
  };
  const auto run = [&]() -> promise<std::string> {
    std::string how;
    try {
      promise<> all = list::iter(std::vector<int>{0, 1, 2, 3, 4, 5}, item, at_most(n));
      co_await all;
    } catch (const fermata::cancelled& c) {
      how = c.what();
    }
    co_return how;
  };
  CHECK(loop.run(run) == "cancelled: me");
  CHECK(begun <= 3);  // where every check pauses the third has begun
}

TEST_CASE("list: a cancel ends all that runs and starts nothing more", "[promise][list]") {
  for (const at_most n : {at_most(1), at_most(2), at_most::all}) {
    test_loop loop(options_of_run());
    counted c;
    const auto run = [&]() -> promise<bool> {
      auto p = list::map(
          five, [&](int ms) { return c.run(ms); }, n);
      fermata::cancel(p);
      bool ended = false;
      try {
        co_await p;
      } catch (const fermata::cancelled&) {
        ended = true;
      }
      co_return ended;
    };
    CHECK(loop.run(run));
    CHECK(c.now == 0);
    CHECK(c.stopped == c.started);
  }
}

TEST_CASE("list: items that can only be moved, and views", "[promise][list]") {
  test_loop loop(options_of_run());
  const auto run = []() -> promise<int> {
    std::vector<std::unique_ptr<int>> boxes;
    for (int i = 1; i <= 3; ++i) boxes.push_back(std::make_unique<int>(i));
    const auto pass = [](std::unique_ptr<int> b) { return ready(std::move(b)); };
    auto mapped = list::map(std::move(boxes), pass, at_most(2));
    auto same = co_await std::move(mapped);
    const auto is_big = [](const std::unique_ptr<int>& b) { return ready(*b > 1); };
    auto kept = list::filter(std::move(same), is_big);
    const auto big = co_await std::move(kept);
    const auto add = [](int sum, int v) { return ready(sum + v); };
    auto folded = list::fold(std::views::iota(0, 5), 0, add);
    const int sum = co_await folded;
    co_return static_cast<int>(big.size()) * 100 + sum;
  };
  CHECK(loop.run(run) == 210);
}

TEST_CASE("list: a million settled items need no stack", "[promise][list]") {
  constexpr int million = 1'000'000;
  test_loop loop(options_of_run());
  loop.fail_on_stall(1ms);
  const auto twice = [](int v) { return ready(2 * v); };
  for (const at_most n : {at_most(1), at_most(8), at_most::all}) {
    const auto values = loop.run([&] { return list::map(first_numbers(million), twice, n); });
    REQUIRE(values.size() == million);
    CHECK(values.back() == 2 * (million - 1));
  }
}

TEST_CASE("list: all at once are started one in a step, and end in steps", "[promise][list]") {
  constexpr int items = 1000;
  fermata::event_loop loop(options_with(fermata::policy::always()));
  std::vector<fermata::resolver<int>> ends;
  const auto wait = [&](int) {
    auto made = fermata::make_promise<int>();
    ends.push_back(std::move(made.settle));
    return std::move(made.future);
  };
  const auto run = [&]() -> promise<> {
    const std::uint64_t before = loop.metrics().looks;
    auto mapped = list::map(first_numbers(items), wait, at_most::all);
    CHECK(ends.size() == 1);
    while (ends.size() < items) co_await fermata::pause();
    CHECK(loop.metrics().looks - before >= items);
    for (auto& end : ends) end.resolve(1);
    const std::uint64_t all_ended = loop.metrics().looks;
    const std::vector<int> ones = co_await std::move(mapped);
    CHECK(ones.size() == items);
    CHECK(loop.metrics().looks - all_ended >= 2 * items);  // each worker's end, each value
  };
  loop.run(run);
}

TEST_CASE("list: every loop looks at least once an item", "[promise][list]") {
  constexpr int items = 1000;
  fermata::event_loop loop(options_with(fermata::policy::always()));
  const auto looks = [&](auto start) {
    const std::uint64_t before = loop.metrics().looks;
    loop.run(std::move(start));
    return loop.metrics().looks - before;
  };
  const auto yes = [](int) { return ready(true); };
  const auto no = [](int) { return ready(false); };
  const auto numbers = first_numbers(items);
  const std::vector<std::string> words(items, std::string(40, 'w'));
  for (const at_most n : {at_most(1), at_most(3)}) {
    CHECK(looks([&] {
            return list::iter(
                numbers, [](int) { return ready(); }, n);
          }) >= items);
    CHECK(looks([&] { return list::map(numbers, yes, n); }) >= 2 * items);
    CHECK(looks([&] { return list::filter(numbers, no, n); }) >= 2 * items);
    CHECK(looks([&] { return list::find(numbers, no, n); }) >= items);
    CHECK(looks([&] { return list::exists(numbers, no, n); }) >= items);
    CHECK(looks([&] { return list::for_all(numbers, yes, n); }) >= items);
    const auto none = [](int) { return ready(std::optional<int>()); };
    CHECK(looks([&] { return list::filter_map(numbers, none, n); }) >= 2 * items);
    const auto skip = [](const std::string&) { return ready(); };
    CHECK(looks([&] { return list::iter(words, skip, n); }) >= 2 * items);  // and let go
  }
  const auto add = [](int sum, int v) { return ready(sum + v); };
  CHECK(looks([&] { return list::fold(numbers, 0, add); }) >= items);
}
