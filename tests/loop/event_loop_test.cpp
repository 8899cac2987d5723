// SPDX-License-Identifier: MIT
#include "support/policy.hpp"

#include <fermata/loop/event_loop.hpp>
#include <fermata/loop/io_watch.hpp>

#include <catch2/catch.hpp>
#include <sys/socket.h>

#include <atomic>
#include <functional>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
using namespace fermata::testing;
using fermata::event_loop;
using fermata::policy;

namespace {

// A node that notes that it ran.
class note final : public fermata::ready_node {
public:
  note(std::string& log, std::string name) : log_(log), name_(std::move(name)) {}
  void run() noexcept override { log_ += name_; }

private:
  std::string& log_;
  std::string name_;
};

void step_until(event_loop& loop, const std::function<bool()>& done) {
  while (!done()) loop.step();
}

std::pair<int, int> socket_pair() {
  int fds[2];
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
  return {fds[0], fds[1]};
}

}  // namespace

TEST_CASE("loop runs ready nodes in the order they came", "[loop]") {
  event_loop loop(options_of_run());
  std::string log;
  note a(log, "a"), b(log, "b"), c(log, "c");
  loop.enqueue(a);
  loop.enqueue(b);
  loop.enqueue(c);
  step_until(loop, [&] { return log.size() == 3; });
  CHECK(log == "abc");
}

TEST_CASE("loop runs what paused behind what the poll made ready", "[loop]") {
  event_loop loop(options_with(policy::budget()));
  std::string log;
  note paused(log, "p");
  loop.enqueue_after_poll(paused);
  fermata::timer due(loop, 0ns, [&] { log += "t"; });
  while (log.size() < 2) loop.step();  // two, or more where a slice ends in between
  CHECK(log == "tp");
}

TEST_CASE("loop runs what gave way behind what is ready, and lets it age", "[loop]") {
  fermata::virtual_clock clock;
  fermata::loop_options options = options_with(policy::quanta(1));  // one node a turn
  options.clock = &clock;
  event_loop loop(std::move(options));
  loop.step();
  std::string log;
  note bulk(log, "b");
  loop.enqueue_after_poll(bulk);
  std::vector<std::unique_ptr<note>> many;
  for (int i = 0; i < 8; ++i) {
    many.push_back(std::make_unique<note>(log, "p"));
    loop.enqueue(*many.back());
  }
  while (log.size() < 9) loop.step();
  CHECK(log == "pppbppppp");
}

TEST_CASE("loop keeps a prompt task prompt after it gave way", "[loop]") {
  event_loop loop(options_with(policy::quanta(1)));
  const fermata::context_ptr prompt(
      new fermata::context(loop, policy::quanta(1), fermata::latency_class::prompt, "prompt"));
  std::string log;
  note bulk(log, "b"), first(log, "p");
  loop.enqueue_after_poll(bulk);
  const fermata::context_ptr root = loop.exchange_context(prompt);
  loop.enqueue_after_poll(first);
  loop.exchange_context(root);
  while (log.size() < 2) loop.step();
  CHECK(log == "pb");
}

TEST_CASE("timers fire in the order of their deadlines and never early", "[loop][timer]") {
  event_loop loop(options_of_run());
  std::string log;
  const auto start = loop.now();
  fermata::time_point last;
  fermata::timer late(loop, 3ms, [&] {
    log += "3";
    last = loop.now();
  });
  fermata::timer early(loop, 1ms, [&] { log += "1"; });
  fermata::timer same(loop, 1ms, [&] { log += "2"; });
  {
    fermata::timer never(loop, 2ms, [&] { log += "x"; });
  }
  step_until(loop, [&] { return log.size() == 3; });
  CHECK(log == "123");
  CHECK(last - start >= 3ms);
}

TEST_CASE("timers: a hundred thousand started and cancelled leave the heap in order",
          "[loop][timer]") {
  fermata::virtual_clock clock;
  fermata::loop_options options = options_of_run();
  options.clock = &clock;
  event_loop loop(std::move(options));
  std::vector<int> fired;
  std::vector<std::unique_ptr<fermata::timer>> timers;
  for (int i = 0; i < 100'000; ++i) {
    const int at = (i * 7919) % 100'003;
    timers.push_back(std::make_unique<fermata::timer>(loop, std::chrono::nanoseconds(at),
                                                      [&fired, at] { fired.push_back(at); }));
  }
  for (std::size_t i = 0; i < timers.size(); i += 2) timers[i].reset();
  clock.advance(1ms);
  step_until(loop, [&] { return fired.size() == 50'000; });
  CHECK(std::is_sorted(fired.begin(), fired.end()));
}

TEST_CASE("post from other threads runs on the loop, each once", "[loop][post]") {
  event_loop loop(options_of_run());
  std::atomic<bool> go = false;
  int count = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      while (!go) std::this_thread::yield();
      for (int i = 0; i < 1000; ++i) REQUIRE_NOTHROW(loop.post([&count] { ++count; }));
    });
  }
  go = true;
  step_until(loop, [&] { return count == 4000; });
  for (auto& t : threads) t.join();
  CHECK(loop.metrics().posts == 4000);
}

TEST_CASE("a storm of posts is cut by the slice", "[loop][post]") {
  fermata::virtual_clock clock;
  fermata::loop_options options = options_with(policy::budget(100us));
  options.clock = &clock;
  event_loop loop(std::move(options));
  int count = 0;
  for (int i = 0; i < 1000; ++i) {
    loop.post([&] {
      ++count;
      static_cast<void>(fermata::due(10us));
    });
  }
  step_until(loop, [&] { return count == 1000; });
  CHECK(loop.metrics().longest_gap.wall <= 100us + 11us);
}

TEST_CASE("post after the end of the loop is refused", "[loop][post]") {
  std::shared_ptr<fermata::mailbox> letters;
  {
    event_loop loop(options_of_run());
    letters = loop.letters();
  }
  CHECK_FALSE(letters->post([] {}));
}

TEST_CASE("watch makes a node ready when bytes are there", "[loop][io]") {
  event_loop loop(options_of_run());
  const auto [a, b] = socket_pair();
  fermata::io_watch watch(loop, a);
  fermata::io_watch other(loop, b);
  std::string log;
  note readable(log, "r");
  watch.wait(fermata::io_direction::read, readable);
  loop.step();
  CHECK(log.empty());
  REQUIRE(send(b, "x", 1, 0) == 1);
  step_until(loop, [&] { return !log.empty(); });
  CHECK(log == "r");
  note second(log, "s");
  watch.wait(fermata::io_direction::read, second);  // still armed, still readable
  step_until(loop, [&] { return log.size() == 2; });
  note one(log, "");
  note two(log, "");
  watch.wait(fermata::io_direction::read, one);
  CHECK_THROWS_AS(watch.wait(fermata::io_direction::read, two), fermata::contract_error);
  watch.stop_waiting(fermata::io_direction::read);
}

TEST_CASE("loop inside itself is refused", "[loop]") {
  event_loop loop(options_of_run());
  CHECK_THROWS_WITH(loop.run([&] { loop.run([] {}); }), "cannot run an event loop inside itself");
}

TEST_CASE("loop of a thread is the one made last, and comes back", "[loop]") {
  CHECK(event_loop::find_current() == nullptr);
  {
    event_loop a(options_of_run());
    {
      event_loop b(options_of_run());
      CHECK(event_loop::find_current() == &b);
      a.run([&] { CHECK(event_loop::find_current() == &a); });
    }
    CHECK(event_loop::find_current() == &a);
  }
  CHECK_THROWS_AS(event_loop::current(), fermata::contract_error);
}

TEST_CASE("loop that runs stays the current one while another is made", "[loop]") {
  event_loop a(options_of_run());
  const auto run = [&] {
    const event_loop b(options_of_run());
    CHECK(event_loop::find_current() == &a);
  };
  a.run(run);
}

TEST_CASE("loops of a thread may end in any order", "[loop]") {
  auto a = std::make_unique<event_loop>(options_of_run());
  auto b = std::make_unique<event_loop>(options_of_run());
  a.reset();
  CHECK(event_loop::find_current() == b.get());
  b.reset();
  CHECK(event_loop::find_current() == nullptr);
}
