// SPDX-License-Identifier: MIT
// Who holds the loop: what a report of a stall, a gap and a trace name while a step runs.
#include "support/policy.hpp"

#include <fermata/promise/channel.hpp>
#include <fermata/promise/context.hpp>
#include <fermata/promise/detach.hpp>
#include <fermata/promise/event.hpp>
#include <fermata/promise/executor.hpp>
#include <fermata/promise/generator.hpp>
#include <fermata/promise/mutex.hpp>
#include <fermata/promise/pause.hpp>
#include <fermata/promise/run_in_loop.hpp>
#include <fermata/promise/scope.hpp>
#include <fermata/promise/sleep.hpp>
#include <fermata/promise/submit_to.hpp>
#include <fermata/promise/test_loop.hpp>

#include <catch2/catch.hpp>

#include <algorithm>
#include <functional>
#include <source_location>
#include <stdexcept>
#include <vector>

using namespace std::chrono_literals;
using namespace fermata::testing;
using fermata::promise;

namespace {

using sites = std::vector<unsigned>;

/// Where a stall monitor would say now that the task is: 0 for unknown.
void hold(sites& seen) {
  seen.push_back(fermata::detail::current_meter->site.load(std::memory_order_relaxed).line());
}
constexpr unsigned line(std::source_location at = std::source_location::current()) {
  return at.line();
}

promise<> set_later(fermata::event& e) {
  co_await fermata::sleep_for(1ms);
  e.set();
}
promise<> send_later(fermata::channel_writer<int> w) {
  co_await fermata::sleep_for(1ms);
  co_await w.send(1);
}
promise<> unlock_later(fermata::mutex& m) {
  const auto guard = co_await m.lock();
  co_await fermata::sleep_for(1ms);
}

promise<> waits(sites& expected, sites& seen) {
  fermata::event e;
  promise<> set = set_later(e);
  expected.push_back(line()), co_await e.wait();
  hold(seen);
  auto [writer, reader] = fermata::channel<int>(0);
  promise<> sent = send_later(std::move(writer));
  expected.push_back(line()), static_cast<void>(co_await reader.receive());
  hold(seen);
  fermata::mutex m;
  promise<> unlocked = unlock_later(m);
  expected.push_back(line() + 1);
  const auto guard = co_await m.lock();
  hold(seen);
}

promise<> callbacks(sites& expected, sites& seen) {
  const auto held = [&seen] { hold(seen); };
  expected.push_back(line()), co_await fermata::sleep_for(1ms).map(held);
  expected.push_back(line() + 1);
  promise<int> bound = fermata::sleep_for(1ms).bind([&seen]() -> promise<int> {
    hold(seen);
    throw std::runtime_error("no");
  });
  expected.push_back(line() + 1);
  co_await bound.catch_([&seen](const std::exception_ptr&) {
    hold(seen);
    return fermata::ready(1);
  });
  const promise<> last = fermata::sleep_for(1ms);
  expected.push_back(line()), last.on_success(held);
  co_await last;
  co_await fermata::pause();
}

fermata::async_generator<int> two(sites& expected, sites& seen) {
  expected.push_back(line()), co_await fermata::sleep_for(1ms);
  hold(seen);
  expected.push_back(line()), co_yield 1;
  hold(seen);
  co_yield 2;
}
promise<> generated(sites& expected, sites& seen) {
  auto items = two(expected, seen);
  static_cast<void>(co_await items.next());
  static_cast<void>(co_await items.next());
}

promise<> calls(sites& expected, sites& seen) {
  fermata::event_loop& loop = fermata::event_loop::current();
  const auto held = [&seen] { hold(seen); };
  expected.push_back(line()), loop.post(held);
  co_await fermata::sleep_for(1ms);
  expected.push_back(line() + 1);
  const fermata::timer t(loop, 1ms, held);
  co_await fermata::sleep_for(2ms);
  co_await fermata::pause();
  expected.push_back(line() + 1);
  promise<> submitted = fermata::submit_to(loop, held);
  co_await submitted;
  fermata::executor_options of_one;
  of_one.threads = 0;
  of_one.helps = fermata::helping::yes;
  fermata::executor helper(of_one);
  const auto held_too = [&seen] {
    hold(seen);
    return fermata::ready();
  };
  expected.push_back(line() + 1);
  promise<> helped = helper.submit(held_too);
  co_await helped;
}

promise<> forks(sites& expected, sites& seen) {
  const auto held = [&seen] {
    hold(seen);
    return fermata::ready();
  };
  const auto body = [&](fermata::scope& s) -> promise<> {
    co_await fermata::pause();
    expected.push_back(line()), s.fork(held);
    expected.push_back(line()), s.fork("named", held);
    expected.push_back(line()), s.fork_daemon(held);
    expected.push_back(line() + 1);
    promise<> own = s.fork_promise(held);
    co_await own;
  };
  promise<> all = fermata::scope::run(body);
  co_await all;
}

promise<> called_back(sites& expected, sites& seen) {
  const auto job = [&] {
    const auto held = [&seen] { hold(seen); };
    expected.push_back(line()), fermata::run_in_loop(held);
    expected.push_back(line()), static_cast<void>(fermata::run_in_loop_no_wait(held));
  };
  promise<> detached = fermata::detach(job);
  co_await detached;
}

}  // namespace

TEST_CASE("a step is named by the last wait, call or check before it", "[promise][availability]") {
  fermata::test_loop loop(options_of_run());
  const auto run = GENERATE(waits, callbacks, generated, calls, forks, called_back);
  sites expected;
  sites seen;
  loop.run([&] { return run(expected, seen); });
  CHECK(seen == expected);
  CHECK(!seen.empty());
}

TEST_CASE("what runs before the first wait is named by who runs the loop",
          "[promise][availability]") {
  fermata::test_loop loop(options_of_run());
  sites seen;
  loop.run([&] { hold(seen); });
  CHECK(seen == sites{line() - 1});
  loop.loop().run([&] { hold(seen); });
  CHECK(seen.back() == line() - 1);
}

TEST_CASE("a gap names the task whose step was too long", "[promise][availability]") {
  fermata::virtual_clock clock;
  fermata::loop_options options = options_of_run();
  options.clock = &clock;
  fermata::event_loop loop(std::move(options));
  const auto import = [&clock]() -> promise<> {
    co_await fermata::sleep_for(1ms);
    clock.advance(40ms);
    co_await fermata::sleep_for(1ms);
  };
  loop.run([&] { return fermata::named("import", import); });
  CHECK(loop.metrics().longest_gap.wall >= 40ms);
  CHECK(loop.metrics().longest_gap.wall_task == "import");
  const fermata::trace_snapshot s = loop.trace().snapshot();
  const auto is_stall = [](const auto& e) { return e.kind == fermata::trace_kind::stall; };
  const auto stall = std::find_if(s.events.begin(), s.events.end(), is_stall);
  REQUIRE(stall != s.events.end());
  CHECK(stall->name() == "import");
}
