// SPDX-License-Identifier: MIT
// Every combinator against every way in which a promise can end.
#include "support/policy.hpp"
#include "waits_for.hpp"

#include <fermata/promise/combine.hpp>
#include <fermata/promise/pause.hpp>
#include <fermata/promise/sleep.hpp>
#include <fermata/promise/test_loop.hpp>

#include <catch2/catch.hpp>

#include <functional>
#include <memory>
#include <string>
#include <vector>

using namespace std::chrono_literals;
using namespace fermata::testing;
using fermata::promise;
using fermata::ready;
using fermata::test_loop;

namespace {

using text = promise<std::string>;

std::string listed(const std::vector<int>& values) {
  std::string all;
  for (const int v : values) all += std::to_string(v);
  return all;
}
std::string ended_as(const promise<int>& p) {
  if (p.is_pending()) return "pending";
  if (p.is_resolved()) return std::to_string(*p.peek());
  return fermata::is_cancelled(p.error()) ? "cancelled" : fermata::message_of(p.error());
}
std::vector<promise<int>> two(promise<int> a, promise<int> b) {
  std::vector<promise<int>> list;
  list.push_back(std::move(a));
  list.push_back(std::move(b));
  return list;
}
promise<> nothing(promise<int> p) {
  return std::move(p).map([](int) {});
}

// The partner of each promise of the table: 2, after 2 ms.
promise<int> late(std::string& fate) {
  try {
    co_await fermata::sleep_for(2ms);
    fate = "ran";
  } catch (const fermata::cancelled&) {
    fate = "stopped";
    throw;
  }
  co_return 2;
}
promise<int> dropped() {
  auto made = fermata::make_promise<int>();
  return std::move(made.future);
}

struct combinator {
  std::string name;
  std::function<text(promise<int>, promise<int>)> call;
};
const std::vector<combinator>& combinators() {
  static const std::vector<combinator> list{
      {"both",
       [](promise<int> a, promise<int> b) {
         return fermata::both(a, b).map([](const std::pair<int, int>& v) {
           return listed({v.first, v.second});
         });
       }},
      {"all", [](promise<int> a, promise<int> b) { return fermata::all(two(a, b)).map(listed); }},
      {"all of a pack",
       [](promise<int> a, promise<int> b) {
         return fermata::all(a, b).map([](const std::tuple<int, int>& v) {
           return listed({std::get<0>(v), std::get<1>(v)});
         });
       }},
      {"join",
       [](promise<int> a, promise<int> b) {
         return fermata::join(nothing(a), nothing(b)).map([] { return std::string("done"); });
       }},
      {"all_settled",
       [](promise<int> a, promise<int> b) {
         return fermata::all_settled(a, b).map([](const std::vector<promise<int>>& v) {
           return ended_as(v[0]) + "," + ended_as(v[1]);
         });
       }},
      {"all_fast",
       [](promise<int> a, promise<int> b) { return fermata::all_fast(two(a, b)).map(listed); }},
      {"join_fast",
       [](promise<int> a, promise<int> b) {
         return fermata::join_fast(nothing(a), nothing(b)).map([] { return std::string("done"); });
       }},
      {"pick",
       [](promise<int> a, promise<int> b) {
         return fermata::pick(a, b).map([](int v) { return listed({v}); });
       }},
      {"choose",
       [](promise<int> a, promise<int> b) {
         return fermata::choose(a, b).map([](int v) { return listed({v}); });
       }},
      {"first_success",
       [](promise<int> a, promise<int> b) {
         return fermata::first_success(a, b).map([](int v) { return listed({v}); });
       }},
      {"npick", [](promise<int> a, promise<int> b) { return fermata::npick(a, b).map(listed); }},
      {"nchoose",
       [](promise<int> a, promise<int> b) { return fermata::nchoose(a, b).map(listed); }},
      {"nchoose_split",
       [](promise<int> a, promise<int> b) {
         return fermata::nchoose_split(a, b).map([](const fermata::split_values<int>& v) {
           return listed(v.values) + "+" + std::to_string(v.rest.size());
         });
       }},
  };
  return list;
}

text how(text p) {
  std::string result;
  try {
    result = co_await p;
  } catch (const fermata::cancelled&) {
    result = "cancelled";
  } catch (const fermata::error& e) {
    result = e.what();
  }
  co_return result;
}

// What `c` makes of `member` and the partner, and what became of the partner.
std::string outcome(const combinator& c, const std::function<promise<int>()>& member) {
  test_loop loop(options_of_run());
  std::string fate = "is pending";
  std::string result;
  const auto run = [&]() -> promise<> {
    promise<int> partner = late(fate);
    promise<std::string> told = how(c.call(member(), partner));
    partner = {};
    result = co_await told;
    result += ", partner " + fate;
    co_await fermata::sleep_for(10ms);
    if (fate == "ran") result += ", ran";
  };
  loop.run(run);
  return result;
}

void check_row(const std::function<promise<int>()>& member,
               const std::vector<std::string>& expected) {
  REQUIRE(expected.size() == combinators().size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    INFO(combinators()[i].name);
    CHECK(outcome(combinators()[i], member) == expected[i]);
  }
}

// The results of all combinators where the values are those of both, of one, and with the rest.
std::vector<std::string> row(const std::string& every,
                             const std::string& joined,
                             const std::string& settled,
                             const std::string& fast,
                             const std::string& first,
                             const std::string& chosen,
                             const std::string& success,
                             const std::string& split) {
  const std::string fast_join = fast.starts_with("12") ? joined : fast;
  return {every, every,  every,   joined, settled, fast, fast_join,
          first, chosen, success, first,  chosen,  split};
}

constexpr const char* ran = ", partner ran, ran";
constexpr const char* stopped = ", partner stopped";
constexpr const char* runs_on = ", partner is pending, ran";

std::vector<std::string> row_of_failure(const std::string& e) {
  return row(e + ran, e + ran, e + ",2" + ran, e + stopped, e + stopped, e + runs_on,
             std::string("2") + ran, e + runs_on);
}

}  // namespace

TEST_CASE("combinators: a value that is there", "[promise][combine]") {
  check_row([] { return ready(1); },
            row(std::string("12") + ran, std::string("done") + ran, std::string("1,2") + ran,
                std::string("12") + ran, std::string("1") + stopped, std::string("1") + runs_on,
                std::string("1") + stopped, std::string("1+1") + runs_on));
}

TEST_CASE("combinators: a value that comes last", "[promise][combine]") {
  check_row([] { return fermata::sleep_for(5ms).map([] { return 1; }); },
            row(std::string("12") + ran, std::string("done") + ran, std::string("1,2") + ran,
                std::string("12") + ran, std::string("2") + ran, std::string("2") + ran,
                std::string("2") + ran, std::string("2+1") + ran));
}

TEST_CASE("combinators: a rejection that is there", "[promise][combine]") {
  check_row([] { return fermata::rejected<int>(fermata::error("bad")); }, row_of_failure("bad"));
}

TEST_CASE("combinators: a rejection that comes first", "[promise][combine]") {
  const auto fails = [] {
    return fermata::sleep_for(1ms).map([]() -> int { throw fermata::error("bad"); });
  };
  check_row(fails, row_of_failure("bad"));
}

TEST_CASE("combinators: a promise that was cancelled", "[promise][combine]") {
  const auto member = [] {
    auto p = fermata::never<int>();
    fermata::cancel(p);
    return p;
  };
  check_row(member, row_of_failure("cancelled"));
}

TEST_CASE("combinators: a promise whose resolver is dropped", "[promise][combine]") {
  check_row(dropped, row_of_failure("a promise was given up: its resolver is gone"));
}

TEST_CASE("combinators: a cancel of the result goes to all", "[promise][combine]") {
  for (const combinator& c : combinators()) {
    INFO(c.name);
    test_loop loop(options_of_run());
    std::string fate = "is pending";
    const auto run = [&]() -> text {
      promise<std::string> told = how(c.call(fermata::never<int>(), late(fate)));
      fermata::cancel(told);
      co_return co_await told;
    };
    CHECK(loop.run(run) == "cancelled");
    CHECK(fate == "stopped");
    CHECK(loop.now().time_since_epoch() < 1ms);
  }
}

TEST_CASE("combinators: the handle of the result may be dropped", "[promise][combine]") {
  for (const combinator& c : combinators()) {
    INFO(c.name);
    test_loop loop(options_of_run());
    std::string fate;
    const auto run = [&] {
      const text gone = c.call(late(fate), fermata::never<int>());
      return fermata::sleep_for(5ms);
    };
    loop.run(run);
    CHECK(fate == "ran");
  }
}

TEST_CASE("combinators: the end of the loop reaches the result", "[promise][combine]") {
  for (const combinator& c : combinators()) {
    INFO(c.name);
    text told;
    {
      test_loop loop(options_of_run());
      loop.run([&] { told = how(c.call(fermata::never<int>(), fermata::never<int>())); });
    }
    const std::string closed = "cannot go on: the event loop has ended";
    REQUIRE(told.is_resolved());
    CHECK(*told.peek() == (c.name == "all_settled" ? closed + "," + closed : closed));
  }
}

TEST_CASE("combinators: the end of the loop hides no other error", "[promise][combine]") {
  promise<std::string> told;
  {
    test_loop loop(options_of_run());
    const auto run = [&] {
      told = waits_for(fermata::join(fermata::rejected(fermata::error("bad")), fermata::never()));
    };
    loop.run(run);
  }
  REQUIRE(told.is_resolved());
  CHECK(*told.peek() == "2 operations failed: bad; cannot go on: the event loop has ended");
}

TEST_CASE("combinators: settled promises give a settled one at once", "[promise][combine]") {
  test_loop loop(options_of_run());
  const auto run = [] {
    CHECK(fermata::both(ready(1), ready()).is_resolved());
    CHECK(fermata::all(two(ready(1), ready(2))).is_resolved());
    CHECK(fermata::join(ready(), ready()).is_resolved());
    CHECK(fermata::join(std::vector<promise<>>()).is_resolved());
    CHECK(fermata::all(std::vector<promise<int>>()).is_resolved());
    CHECK(fermata::all_settled(std::vector<promise<int>>()).is_resolved());
    CHECK(fermata::all_fast(two(ready(1), ready(2))).is_resolved());
    CHECK(ended_as(fermata::pick(ready(1), ready(2))) == "1");
    CHECK(ended_as(fermata::choose(fermata::never<int>(), ready(2))) == "2");
    CHECK(fermata::npick(ready(1), ready(2)).is_resolved());
    CHECK(fermata::nchoose(ready(1), fermata::never<int>()).is_resolved());
    CHECK(ended_as(fermata::first_success(fermata::rejected<int>(fermata::error("x")), ready(2))) ==
          "2");
  };
  loop.run(run);
}

TEST_CASE("combinators: the first of none is a mistake that is told", "[promise][combine]") {
  const test_loop loop(options_of_run());
  using none = std::vector<promise<>>;
  CHECK_THROWS_WITH(fermata::pick(none()), "pick of no promise at all");
  CHECK_THROWS_WITH(fermata::choose(none()), "choose of no promise at all");
  CHECK_THROWS_WITH(fermata::first_success(none()), "first_success of no promise at all");
  CHECK_THROWS_WITH(fermata::npick(none()), "npick of no promise at all");
  CHECK_THROWS_WITH(fermata::nchoose(none()), "nchoose of no promise at all");
  CHECK_THROWS_WITH(fermata::nchoose_split(none()), "nchoose_split of no promise at all");
}

TEST_CASE("combinators: a promise that was moved from is told", "[promise][combine]") {
  test_loop loop(options_of_run());
  const std::string told = "a promise that was moved from is used";
  for (const combinator& c : combinators()) {
    INFO(c.name);
    CHECK_THROWS_WITH(c.call(ready(1), promise<int>()), told);
    CHECK_THROWS_WITH(c.call(promise<int>(), fermata::never<int>()), told);
    CHECK_THROWS_WITH(c.call(fermata::never<int>(), promise<int>()), told);
  }
  std::vector<promise<>> many(fermata::detail::gather_slice + 1, ready());
  many.back() = {};
  CHECK_THROWS_WITH(fermata::join(std::move(many)), told);
}

TEST_CASE("combinators: values that can only be moved, and no values", "[promise][combine]") {
  test_loop loop(options_of_run());
  const auto box = [](int v, std::chrono::nanoseconds d) {
    return fermata::sleep_for(d).map([v] { return std::make_unique<int>(v); });
  };
  const auto run = [&]() -> promise<int> {
    auto boxes = fermata::both(box(1, 1ms), box(2, 2ms));
    auto [a, b] = co_await std::move(boxes);
    auto picked = fermata::pick(box(3, 1ms), box(4, 1h));
    auto c = co_await std::move(picked);
    std::vector<promise<std::unique_ptr<int>>> list;
    list.push_back(box(5, 1ms));
    list.push_back(ready(std::make_unique<int>(6)));
    auto every = fermata::all(std::move(list));
    auto d = co_await std::move(every);
    auto nothings = fermata::nchoose(ready(), fermata::sleep_for(1h));
    auto units = co_await std::move(nothings);
    co_await fermata::pick(ready(), fermata::never());
    co_await fermata::first_success(fermata::never(), ready());
    auto mixed = fermata::all(ready(7), ready(), ready(std::string("x")));
    auto [e, unit, x] = co_await std::move(mixed);
    co_return *a + *b + *c + *d.at(0) + *d.at(1) + static_cast<int>(units.size()) + e;
  };
  CHECK(loop.run(run) == 1 + 2 + 3 + 5 + 6 + 1 + 7);
}

TEST_CASE("combinators: one value for two receivers that can only be moved", "[promise][combine]") {
  test_loop loop(options_of_run());
  const auto run = [] {
    auto shared = ready(std::make_unique<int>(1));
    return fermata::both(shared, shared).map([](const auto&) {});
  };
  CHECK_THROWS_WITH(loop.run(run), "a value that can only be moved is awaited by several");
}

// ---- hostile ----

TEST_CASE("combinators: a hook that cancels the result from inside", "[promise][combine]") {
  for (const combinator& c : combinators()) {
    INFO(c.name);
    test_loop loop(options_of_run());
    int asked = 0;
    const auto run = [&]() -> text {
      text result;
      auto a = fermata::make_task<int>([&] {
        ++asked;
        fermata::cancel(result);
      });
      auto b = fermata::make_task<int>([&] {
        ++asked;
        fermata::cancel(result);
        result = {};
      });
      result = c.call(a.future, b.future);
      text told = how(result);
      fermata::cancel(result);
      CHECK(asked == 2);
      a.settle.reject(std::make_exception_ptr(fermata::cancelled()));
      b.settle.reject(std::make_exception_ptr(fermata::cancelled()));
      co_return co_await told;
    };
    CHECK(loop.run(run) == "cancelled");
  }
}

TEST_CASE("combinators: a hook that settles all members", "[promise][combine]") {
  for (const combinator& c : combinators()) {
    INFO(c.name);
    test_loop loop(options_of_run());
    const auto run = [&]() -> text {
      fermata::resolver<int> ra;
      fermata::resolver<int> rb;
      const auto settle = [&] {
        if (ra) ra.resolve(1);
        if (rb) rb.resolve(2);
      };
      auto a = fermata::make_task<int>(settle);
      auto b = fermata::make_task<int>(settle);
      ra = std::move(a.settle);
      rb = std::move(b.settle);
      text told = how(c.call(a.future, b.future));
      fermata::cancel(told);
      co_return co_await told;
    };
    const std::string result = loop.run(run);
    CHECK(result != "cancelled");  // the values came first
  }
}
