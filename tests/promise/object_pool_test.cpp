// SPDX-License-Identifier: MIT
#include "support/policy.hpp"
#include "waits_for.hpp"

#include <fermata/promise/combine.hpp>
#include <fermata/promise/object_pool.hpp>
#include <fermata/promise/sleep.hpp>
#include <fermata/promise/test_loop.hpp>

#include <catch2/catch.hpp>

#include <memory>
#include <string>
#include <vector>

using namespace std::chrono_literals;
using namespace fermata::testing;
using fermata::object_pool;
using fermata::pool_functions;
using fermata::promise;
using fermata::test_loop;

namespace {

// Objects are numbers; what happens to them is noted.
struct noted {
  int made = 0;
  int unfit = 0;  // the number that is not fit any more
  std::string text;

  pool_functions<std::unique_ptr<int>> functions() {
    pool_functions<std::unique_ptr<int>> f;
    f.create = [this] {
      text += "+" + std::to_string(++made) + " ";
      return fermata::sleep_for(1ms).map([n = made] { return std::make_unique<int>(n); });
    };
    f.validate = [this](std::unique_ptr<int>& n) { return fermata::ready(*n != unfit); };
    f.check = [this](std::unique_ptr<int>& n) { return *n != unfit; };
    f.dispose = [this](std::unique_ptr<int> n) {
      text += "-" + std::to_string(*n) + " ";
      return fermata::sleep_for(1ms);
    };
    return f;
  }
};
using pool = object_pool<std::unique_ptr<int>>;

promise<std::string> waits_for_one(pool& p) {
  promise<> taken = p.take().map([](pool::lease) {});
  return waits_for(std::move(taken));
}

promise<> works(pool& p, std::string& order) {
  pool::lease held = co_await p.take();
  order += std::to_string(**held) + " ";
  co_await fermata::sleep_for(10ms);
}

}  // namespace

TEST_CASE("object_pool makes no more than its bound, and uses them again", "[promise][pool]") {
  test_loop loop(options_of_run());
  noted n;
  pool p(2, n.functions());
  std::string order;
  const auto run = [&] {
    std::vector<promise<>> all;
    for (int i = 0; i < 6; ++i) all.push_back(works(p, order));
    return fermata::join(std::move(all));
  };
  loop.run(run);
  CHECK(n.text == "+1 +2 ");
  CHECK(order == "1 2 1 2 1 2 ");
  CHECK(p.idle() == 2);
  CHECK(p.in_use() == 0);
}

TEST_CASE("object_pool gives out no object that is not fit any more", "[promise][pool]") {
  test_loop loop(options_of_run());
  noted n;
  pool p(2, n.functions());
  const auto number = [&] {
    return p.use([](std::unique_ptr<int>& x) { return fermata::ready(*x); });
  };
  CHECK(loop.run(number) == 1);
  CHECK(loop.run(number) == 1);
  n.unfit = 1;
  CHECK(loop.run(number) == 2);
  CHECK(n.text == "+1 -1 +2 ");
}

TEST_CASE("object_pool: after a failure the check decides", "[promise][pool]") {
  test_loop loop(options_of_run());
  noted n;
  pool p(1, n.functions());
  int will_be_unfit = 0;
  const auto fails = [&] {
    return p.use([&](std::unique_ptr<int>&) {
      n.unfit = will_be_unfit;
      return fermata::rejected<int>(fermata::error("own"));
    });
  };
  CHECK_THROWS_WITH(loop.run(fails), "own");
  CHECK(p.idle() == 1);
  will_be_unfit = 1;
  CHECK_THROWS_WITH(loop.run(fails), "own");
  CHECK(p.idle() == 0);
  CHECK(p.in_use() == 1);  // until it is disposed of
  loop.run([] { return fermata::sleep_for(2ms); });
  CHECK(p.in_use() == 0);
}

TEST_CASE("object_pool: a use that is cancelled gives no object back", "[promise][pool]") {
  test_loop loop(options_of_run());
  noted n;
  pool p(1, n.functions());
  const auto run = [&]() -> promise<> {
    promise<> used = p.use([](std::unique_ptr<int>&) { return fermata::sleep_for(1h); });
    promise<std::string> how = waits_for(used);
    co_await fermata::sleep_for(2ms);
    fermata::cancel(how);
    const std::string told = co_await how;
    CHECK(told == "cancelled");
    co_await fermata::sleep_for(2ms);
  };
  loop.run(run);
  CHECK(n.text == "+1 -1 ");
  CHECK(p.idle() == 0);
  CHECK(p.in_use() == 0);
}

TEST_CASE("object_pool: a take that is cancelled lets a disposal come to its end",
          "[promise][pool]") {
  std::string reported;
  fermata::loop_options options = options_of_run();
  options.on_unobserved = [&](std::exception_ptr e) { reported = fermata::message_of(e); };
  test_loop loop(std::move(options));
  noted n;
  auto f = n.functions();
  f.dispose = [&n](const std::unique_ptr<int>&) {
    return fermata::sleep_for(5ms).map([&n] { n.text += "gone "; });
  };
  pool p(1, std::move(f));
  const auto run = [&]() -> promise<> {
    pool::lease held = co_await p.take();
    held = pool::lease();
    n.unfit = 1;
    promise<std::string> how = waits_for_one(p);
    co_await fermata::sleep_for(1ms);
    fermata::cancel(how);
    const std::string told = co_await how;
    CHECK(told == "cancelled");
    CHECK(n.text == "+1 gone ");
    CHECK(p.in_use() == 0);
    held = co_await p.take();
    CHECK(**held == 2);
  };
  loop.run(run);
  CHECK(reported.empty());
}

TEST_CASE("object_pool: what is thrown need be no std::exception", "[promise][pool]") {
  test_loop loop(options_of_run());
  noted n;
  auto f = n.functions();
  f.validate = [](std::unique_ptr<int>&) -> promise<bool> { throw 3; };
  pool p(1, std::move(f));
  const auto fails = [&] { return p.use([](std::unique_ptr<int>&) -> promise<int> { throw 3; }); };
  CHECK_THROWS_AS(loop.run(fails), int);
  CHECK(p.idle() == 1);
  CHECK(n.text == "+1 ");
  CHECK_THROWS_AS(loop.run(fails), int);  // with a second one: the first was not valid
  CHECK(n.text == "+1 -1 +2 ");
}

TEST_CASE("object_pool: a place is free again when create fails or is cancelled",
          "[promise][pool]") {
  test_loop loop(options_of_run());
  int calls = 0;
  pool_functions<int> f;
  f.create = [&]() -> promise<int> {
    if (++calls == 1) return fermata::rejected<int>(fermata::error("cannot connect"));
    if (calls == 2) return fermata::never<int>();
    return fermata::ready(calls);
  };
  object_pool<int> p(1, std::move(f));
  CHECK_THROWS_WITH(loop.run([&] { return p.take(); }), "cannot connect");
  promise<object_pool<int>::lease> stuck = p.take();
  promise<object_pool<int>::lease> next = p.take();
  fermata::cancel(stuck);
  const auto run = [&]() -> promise<int> {
    object_pool<int>::lease held = co_await std::move(next);
    co_return *held;
  };
  CHECK(loop.run(run) == 3);
  CHECK(p.idle() == 1);
}

TEST_CASE("object_pool: clear disposes of all, those in use later", "[promise][pool]") {
  test_loop loop(options_of_run());
  noted n;
  pool p(3, n.functions());
  const auto run = [&]() -> promise<> {
    pool::lease a = co_await p.take();
    pool::lease b = co_await p.take();
    a = pool::lease();
    CHECK(p.idle() == 1);
    p.clear();
    CHECK(p.idle() == 0);
    CHECK(n.text == "+1 +2 -1 ");
    b.discard();
    CHECK_THROWS_WITH(b.discard(), "a lease that holds no object is discarded");
    CHECK(n.text == "+1 +2 -1 -2 ");
    pool::lease c = co_await p.take();
    CHECK(**c == 3);
  };
  loop.run(run);
}

TEST_CASE("object_pool: a lease may outlive its pool", "[promise][pool]") {
  test_loop loop(options_of_run());
  noted n;
  auto p = std::make_unique<pool>(1, n.functions());
  promise<pool::lease> next;
  const auto run = [&]() -> promise<> {
    pool::lease held = co_await p->take();
    next = p->take();
    p.reset();
    CHECK(**held == 1);
    held = pool::lease();
    co_await fermata::sleep_for(2ms);
  };
  loop.run(run);
  CHECK(n.text == "+1 -1 ");
  CHECK_THROWS_AS(std::move(next).get(), fermata::broken_promise);
}

TEST_CASE("object_pool: a failed dispose is reported, and the place is free", "[promise][pool]") {
  std::string reported;
  fermata::loop_options options = options_of_run();
  options.on_unobserved = [&](std::exception_ptr e) { reported = fermata::message_of(e); };
  test_loop loop(std::move(options));
  pool_functions<int> f;
  f.create = [] { return fermata::ready(1); };
  f.dispose = [](int) { return fermata::rejected(fermata::error("cannot close")); };
  object_pool<int> p(1, std::move(f));
  const auto run = [&]() -> promise<> {
    object_pool<int>::lease held = co_await p.take();
    held.discard();
    co_await fermata::sleep_for(1ms);
  };
  loop.run(run);
  CHECK(reported == "cannot close");
  CHECK(p.in_use() == 0);
  CHECK_THROWS_WITH(object_pool<int>(0, pool_functions<int>()), "a pool of no object at all");
  CHECK_THROWS_WITH(object_pool<int>(1, pool_functions<int>()),
                    "a pool has no function that creates an object");
}

TEST_CASE("object_pool: who waits is told at once that the pool is gone", "[promise][pool]") {
  test_loop loop(options_of_run());
  noted n;
  auto p = std::make_unique<pool>(1, n.functions());
  std::string told;
  const auto run = [&]() -> promise<> {
    pool::lease held = co_await p->take();
    promise<std::string> first = waits_for_one(*p);
    promise<std::string> second = waits_for_one(*p);
    p.reset();
    std::string one = co_await std::move(first);  // while the only object is in use still
    std::string other = co_await std::move(second);
    told = one + "; " + other;
  };
  loop.run(run);
  CHECK(told == "cannot take an object: its pool is gone; cannot take an object: its pool is gone");
  CHECK(n.text == "+1 -1 ");
}
