// SPDX-License-Identifier: MIT
// The bound, exact on virtual time: gap between two looks <= slice + longest single step.
#include "support/policy.hpp"

#include <fermata/promise/combine.hpp>
#include <fermata/promise/context.hpp>
#include <fermata/promise/heartbeat.hpp>
#include <fermata/promise/pause.hpp>
#include <fermata/promise/sleep.hpp>
#include <fermata/promise/stream.hpp>
#include <fermata/promise/test_loop.hpp>

#include <catch2/catch.hpp>

#include <vector>

using namespace std::chrono_literals;
using namespace fermata::testing;
using fermata::policy;
using fermata::promise;
using fermata::test_loop;

namespace {

constexpr auto step = 10us;
constexpr auto node_cost = fermata::default_cost;  // what a node of the queue costs on virtual time

promise<> hog(int steps) {
  for (int i = 0; i < steps; ++i) {
    co_await fermata::maybe_pause(step);
  }
}
promise<> bind_hog(int steps) {
  if (steps == 0) return fermata::ready();
  return fermata::ready().bind([steps] {
    static_cast<void>(fermata::due(step));
    return bind_hog(steps - 1);
  });
}
// Starts the tasks one by one with a pause check between, then waits for all.
promise<> hogs(int tasks, int steps) {
  std::vector<promise<>> all;
  for (int i = 0; i < tasks; ++i) {
    all.push_back(hog(steps));
    co_await fermata::maybe_pause();
  }
  promise<> end = fermata::join(std::move(all));
  co_await end;
}

}  // namespace

TEST_CASE("the bound holds for 1 to 100,000 tasks, and so does an answer's lateness",
          "[promise][availability]") {
  const int tasks = GENERATE(1, 10, 1000, 100'000);
  test_loop loop(options_with(policy::budget(500us)));
  fermata::heartbeat beat(loop.loop(), 1ms);
  loop.run([&] { return hogs(tasks, tasks == 100'000 ? 3 : 200); });
  CHECK(loop.metrics().longest_gap.wall <= 500us + step + node_cost);
  CHECK(beat.beats() >= 1);
  CHECK(beat.longest() <= 2 * (500us + step + node_cost));
}

TEST_CASE("a chain of binds on settled promises gives way", "[promise][availability]") {
  test_loop loop(options_with(policy::budget(500us)));
  fermata::heartbeat beat(loop.loop(), 1ms);
  loop.run([] { return bind_hog(10'000); });
  CHECK(loop.metrics().longest_gap.wall <= 500us + 2 * step + node_cost);
  CHECK(beat.beats() > 50);
}

TEST_CASE("greedy breaks the bound, and a stall fails the test", "[promise][availability]") {
  test_loop loop(options_with(policy::greedy()));
  fermata::heartbeat beat(loop.loop(), 1ms);
  loop.fail_on_stall(2ms);
  CHECK_THROWS_AS(loop.run([] { return hog(10'000); }), fermata::stalled);
  CHECK(beat.longest() >= 98ms);
}

TEST_CASE("a policy is inherited by what runs inside it", "[promise][availability]") {
  test_loop loop(options_with(policy::budget(500us)));
  fermata::heartbeat beat(loop.loop(), 1ms);
  loop.run([] { return fermata::with_policy(policy::greedy(), [] { return hog(1000); }); });
  CHECK(loop.metrics().longest_gap.wall >= 10ms);
  loop.loop().reset_gaps();
  loop.run([] { return hog(1000); });
  CHECK(loop.metrics().longest_gap.wall <= 500us + step + node_cost);
}

TEST_CASE("always looks at every check, quanta at every n-th", "[promise][availability]") {
  {
    test_loop loop(options_with(policy::always()));
    loop.run([] { return hog(1000); });
    CHECK(loop.metrics().looks >= 1000);
  }
  {
    test_loop loop(options_with(policy::quanta(10)));
    loop.run([] { return hog(1000); });
    CHECK(loop.metrics().pauses >= 90);
    CHECK(loop.metrics().pauses <= 110);
  }
}

TEST_CASE("nobody waits, nobody pauses", "[promise][availability]") {
  test_loop loop(options_with(policy::budget(500us)));
  loop.run([] { return hog(10'000); });
  CHECK(loop.metrics().pauses <= 1);  // for the caller
  CHECK(loop.metrics().looks >= 190);
  CHECK(loop.metrics().longest_gap.wall <= 500us + step + node_cost);
}

TEST_CASE("a computation gives way to its caller", "[promise][availability]") {
  test_loop loop(options_with(policy::budget(500us)));
  const auto for_ever = []() -> promise<> {
    for (;;) {
      co_await fermata::maybe_pause(step);
    }
  };
  CHECK_THROWS_AS(loop.run([&] { return fermata::with_timeout(5ms, for_ever()); }),
                  fermata::timed_out);
  CHECK(loop.now().time_since_epoch() <= 7ms);
}

TEST_CASE("an undeclared long step is counted with its site", "[promise][availability]") {
  fermata::event_loop loop;
  loop.run([]() -> promise<> {
    const auto until = std::chrono::steady_clock::now() + 2 * fermata::longest_step;
    while (std::chrono::steady_clock::now() < until) {
    }
    for (int i = 0; i < 20; ++i) {
      co_await fermata::maybe_pause();
    }
  });
  CHECK(loop.metrics().overruns >= 1);
  CHECK(fermata::to_string(loop.metrics().overrun_site).find("availability_test.cpp") !=
        std::string::npos);
}

TEST_CASE("no_pause lets checks go on and forbids a wait", "[promise][pause]") {
  fermata::event_loop loop(options_with(policy::always()));
  const auto checks = []() -> promise<std::uint64_t> {
    const std::uint64_t before = fermata::event_loop::current().metrics().pauses;
    {
      const fermata::no_pause guard;
      for (int i = 0; i < 10; ++i) {
        co_await fermata::maybe_pause();
      }
    }
    co_return fermata::event_loop::current().metrics().pauses - before;
  };
  CHECK(loop.run(checks) == 0);
  const auto waits = []() -> promise<> {
    const fermata::no_pause guard;
    co_await fermata::never();
  };
  CHECK_THROWS_WITH(loop.run(waits), "a task suspends under a no_pause guard");
}

TEST_CASE("a change of policy gives no new allowance", "[promise][availability]") {
  fermata::event_loop loop(options_with(policy::budget(500us)));
  const auto run = [&loop] {
    const auto until = std::chrono::steady_clock::now() + 10s;
    const auto nothing = [] { return fermata::ready(); };
    while (loop.metrics().looks <= 1 && std::chrono::steady_clock::now() < until) {
      const promise<> p = fermata::with_policy(policy::budget(200us), nothing);
      static_cast<void>(fermata::due(9us));
    }
  };
  loop.run(run);
  CHECK(loop.metrics().looks > 1);
}

// ---- storms: the bound does not depend on who makes the work ----

namespace {

promise<> pauses(int n) {
  for (int i = 0; i < n; ++i) {
    co_await fermata::pause();
  }
}
promise<> storm_of_pauses(int tasks, int each) {
  std::vector<promise<>> all;
  for (int i = 0; i < tasks; ++i) {
    all.push_back(pauses(each));
    co_await fermata::maybe_pause();
  }
  promise<> end = fermata::join(std::move(all));
  co_await end;
}

promise<std::uint64_t> read_small_pieces(fermata::byte_stream& from, std::uint64_t bytes) {
  std::byte piece[64];
  std::uint64_t sum = 0;
  while (sum < bytes) {
    sum += co_await from.read(piece);
  }
  co_return sum;
}
promise<> read_what_is_there(std::size_t bytes) {
  auto ends = fermata::memory_stream_pair(bytes);
  promise<> written = fermata::write_text(*ends.first, std::string(bytes, 'x'));
  co_await written;
  promise<std::uint64_t> all = read_small_pieces(*ends.second, bytes);
  co_await all;
}

void post_many(fermata::event_loop& loop, int n, int& left) {
  left = n;
  for (int i = 0; i < n; ++i) {
    loop.post([&left] { --left; });
  }
}
promise<> wait_for_posts(int& left) {
  while (left > 0) {
    co_await fermata::pause();
  }
}

}  // namespace

TEST_CASE("the bound holds in a storm of pauses", "[promise][availability]") {
  const int tasks = GENERATE(1, 10, 1000, 100'000);
  test_loop loop(options_with(policy::budget(500us)));
  fermata::heartbeat beat(loop.loop(), 1ms);
  loop.run([&] { return storm_of_pauses(tasks, tasks == 100'000 ? 2 : 50); });
  CHECK(loop.metrics().pauses >= static_cast<std::uint64_t>(tasks));
  CHECK(loop.metrics().longest_gap.wall <= 500us + step);
  CHECK(beat.longest() <= 2 * (500us + step));
}

TEST_CASE("the bound holds beside a stream that is always ready", "[promise][availability]") {
  constexpr auto read_cost = fermata::detail::stream_cost(64);
  test_loop loop(options_with(policy::budget(500us)));
  fermata::heartbeat beat(loop.loop(), 1ms);
  loop.run([] { return read_what_is_there(500'000); });
  CHECK(beat.beats() >= 5);
  CHECK(loop.metrics().longest_gap.wall <=
        500us + fermata::detail::stream_cost(fermata::detail::stream_piece_bytes) + node_cost);
  loop.loop().reset_gaps();
  loop.run([] { return read_what_is_there(100'000); });
  CHECK(loop.metrics().longest_gap.wall <=
        500us + fermata::detail::stream_cost(100'000) + read_cost + node_cost);
}

TEST_CASE("the bound holds in a storm of posts", "[promise][availability]") {
  test_loop loop(options_with(policy::budget(500us)));
  fermata::heartbeat beat(loop.loop(), 1ms);
  int left = 0;
  post_many(loop.loop(), 100'000, left);
  loop.run([&] { return wait_for_posts(left); });
  CHECK(loop.metrics().posts == 100'000);
  CHECK(loop.metrics().longest_gap.wall <= 500us + 2 * node_cost);
  CHECK(beat.longest() <= 2 * (500us + 2 * node_cost));
}

TEST_CASE("greedy breaks the bound in the same storms", "[promise][availability]") {
  {
    test_loop loop(options_with(policy::greedy()));
    loop.run([] { return read_what_is_there(500'000); });
    CHECK(loop.metrics().longest_gap.wall >= 5ms);
  }
  {
    test_loop loop(options_with(policy::greedy()));
    int left = 0;
    post_many(loop.loop(), 100'000, left);
    loop.run([&] { return wait_for_posts(left); });
    CHECK(loop.metrics().longest_gap.wall >= 50ms);
  }
  {
    test_loop loop(options_with(policy::greedy()));
    loop.run([] { return storm_of_pauses(100'000, 2); });
    CHECK(loop.metrics().longest_gap.wall >= 50ms);
  }
}
