// SPDX-License-Identifier: MIT
#include "stream_support.hpp"

#include <fermata/promise/signals.hpp>

#include <catch2/catch.hpp>

#include <csignal>
#include <optional>

using fermata::cancel;
using fermata::event_loop;
using fermata::is_cancelled;
using fermata::loop_closed;
using fermata::promise;
using fermata::signal_source;
using fermata::test::turns;

TEST_CASE("a signal arrives as a promise", "[promise][signals]") {
  event_loop loop;
  signal_source source({SIGUSR1, SIGUSR2});
  const promise<int> first = source.next();
  const promise<int> second = source.next();
  ::raise(SIGUSR2);
  CHECK(loop.run([&first] { return first; }) == SIGUSR2);
  ::raise(SIGUSR1);
  CHECK(loop.run([&second] { return second; }) == SIGUSR1);
}

TEST_CASE("signals that come while nobody waits are kept, one of each kind", "[promise][signals]") {
  event_loop loop;
  signal_source source({SIGUSR1, SIGUSR2});
  ::raise(SIGUSR1);
  ::raise(SIGUSR1);
  ::raise(SIGUSR2);
  loop.run([] { return turns(5); });
  CHECK(loop.run([&source] { return source.next(); }) == SIGUSR1);
  CHECK(loop.run([&source] { return source.next(); }) == SIGUSR2);
  CHECK(source.next().is_pending());
}

TEST_CASE("a cancelled wait takes no signal", "[promise][signals]") {
  event_loop loop;
  signal_source source({SIGUSR1});
  const promise<int> first = source.next();
  cancel(first);
  CHECK(is_cancelled(first.error()));
  ::raise(SIGUSR1);
  CHECK(loop.run([&source] { return source.next(); }) == SIGUSR1);
}

TEST_CASE("the end of a loop ends the wait for a signal", "[promise][signals]") {
  std::optional<event_loop> loop(std::in_place);
  signal_source source({SIGUSR1});
  promise<int> waiting = source.next();
  loop = std::nullopt;
  CHECK_THROWS_AS(std::move(waiting).get(), loop_closed);
  CHECK_THROWS_AS(source.next().get(), loop_closed);
}

TEST_CASE("a signal that cannot be watched is told", "[promise][signals]") {
  const event_loop loop;
  CHECK_THROWS_WITH(signal_source({SIGUSR1, SIGKILL}),
                    "cannot watch signal 9: invalid argument (uv EINVAL)");
}
