// SPDX-License-Identifier: MIT
#include "stream_support.hpp"

#include <fermata/promise/io.hpp>
#include <fermata/promise/pipe.hpp>

#include <catch2/catch.hpp>
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <string>

using fermata::bytes_of;
using fermata::cancel;
using fermata::contract_error;
using fermata::error;
using fermata::event_loop;
using fermata::io_watch;
using fermata::is_cancelled;
using fermata::loop_closed;
using fermata::make_pipe;
using fermata::make_promise;
using fermata::pipe_stream;
using fermata::promise;
using fermata::promise_and_resolver;
using fermata::readable;
using fermata::write_text;
using fermata::test::carry;
using fermata::test::failure_of;
using fermata::test::read_some;
using fermata::test::turns;
using fermata::test::until_settled;

namespace {

/// A pipe whose read end is watched.
struct watched_pipe {
  explicit watched_pipe(event_loop& loop) {
    std::array<int, 2> ends{};
    REQUIRE(::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) == 0);
    watch = io_watch(loop, ends[0]);
    writer = ends[1];
  }
  ~watched_pipe() { ::close(writer); }
  void feed() const { REQUIRE(::write(writer, "x", 1) == 1); }

  io_watch watch;
  int writer = -1;
};

promise<int> wait_and_give(io_watch& watch, int value) {
  co_await readable(watch);
  co_return value;
}

promise<> wait_twice(io_watch& first, promise<> second, int& passed) {
  co_await readable(first);
  ++passed;
  co_await second;
  ++passed;
}

promise<> await_both(promise<> first, promise<> second, int& passed) {
  co_await first;
  ++passed;
  co_await second;
  ++passed;
}

}  // namespace

TEST_CASE("readable goes on when bytes are there", "[promise][io]") {
  event_loop loop;
  watched_pipe pipe(loop);
  const promise<int> waiting = wait_and_give(pipe.watch, 7);
  loop.run([] { return turns(3); });
  CHECK(waiting.is_pending());
  pipe.feed();
  CHECK(loop.run([&waiting] { return waiting; }) == 7);
}

TEST_CASE("readable can be cancelled and waited for anew", "[promise][io]") {
  event_loop loop;
  watched_pipe pipe(loop);
  const promise<int> waiting = wait_and_give(pipe.watch, 7);
  cancel(waiting);
  loop.run([&waiting] { return until_settled(waiting); });
  CHECK(is_cancelled(waiting.error()));
  const promise<int> again = wait_and_give(pipe.watch, 8);
  pipe.feed();
  CHECK(loop.run([&again] { return again; }) == 8);
}

TEST_CASE("a second task that waits for the same direction is refused", "[promise][io]") {
  event_loop loop;
  watched_pipe pipe(loop);
  const promise<int> first = wait_and_give(pipe.watch, 1);
  CHECK_THROWS_AS(wait_and_give(pipe.watch, 2).get(), contract_error);
  pipe.feed();
  CHECK(loop.run([&first] { return first; }) == 1);
}

TEST_CASE("closing a watch wakes the task that waits for it", "[promise][io]") {
  event_loop loop;
  watched_pipe pipe(loop);
  const promise<int> waiting = wait_and_give(pipe.watch, 1);
  pipe.watch.close();
  CHECK(loop.run([&waiting] { return waiting; }) == 1);
  CHECK_THROWS_AS(wait_and_give(pipe.watch, 2).get(), contract_error);
}

TEST_CASE("the end of a loop ends a wait for a descriptor", "[promise][io]") {
  auto loop = std::make_unique<event_loop>();
  watched_pipe pipe(*loop);
  promise<int> waiting = wait_and_give(pipe.watch, 1);
  loop = nullptr;
  CHECK_THROWS_AS(std::move(waiting).get(), loop_closed);
  CHECK_FALSE(pipe.watch.is_open());
}

TEST_CASE("a cancel between readiness and going on is heard at the next wait", "[promise][io]") {
  event_loop loop;
  watched_pipe pipe(loop);
  promise_and_resolver<void> never_settled = make_promise();
  int passed = 0;
  const promise<> task = wait_twice(pipe.watch, never_settled.future, passed);
  pipe.watch.close();  // makes the task ready
  cancel(task);
  loop.run([] { return turns(3); });
  CHECK(passed == 1);
  CHECK(is_cancelled(task.error()));
}

TEST_CASE("a cancel after what was awaited has settled is heard at the next wait",
          "[promise][cancel]") {
  event_loop loop;
  promise_and_resolver<void> first = make_promise();
  promise_and_resolver<void> second = make_promise();
  int passed = 0;
  const promise<> task = await_both(first.future, second.future, passed);
  first.settle.resolve();
  cancel(task);
  loop.run([] { return turns(3); });
  CHECK(passed == 1);
  CHECK(is_cancelled(task.error()));
}

// ---- pipes ----

TEST_CASE("a pipe carries bytes to its end", "[promise][pipe]") {
  event_loop loop;
  auto [reader, writer] = make_pipe();
  const std::string text(1'000'000, 'x');
  const std::string back =
      loop.run([&r = reader, &w = writer, &text] { return carry(*w, *r, text); });
  CHECK(back == text);
}

TEST_CASE("writing to a pipe that nobody reads rejects and raises no signal", "[promise][pipe]") {
  event_loop loop;
  auto [reader, writer] = make_pipe();
  reader = nullptr;
  CHECK_THROWS_WITH(loop.run([&w = writer] { return write_text(*w, "x"); }),
                    "cannot write to a pipe: broken pipe (uv EPIPE)");
  sigset_t pending;
  sigpending(&pending);
  CHECK(sigismember(&pending, SIGPIPE) == 0);
}

TEST_CASE("the wrong end of a pipe says so", "[promise][pipe]") {
  event_loop loop;
  auto [reader, writer] = make_pipe();
  CHECK_THROWS_WITH(loop.run([&w = writer] { return read_some(*w, 1); }),
                    "cannot read from a pipe: bad file descriptor (uv EBADF)");
}

TEST_CASE("pipe_stream refuses a descriptor that cannot be waited for", "[promise][pipe]") {
  const event_loop loop;
  const int fd = ::open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  REQUIRE(fd >= 0);
  CHECK_THROWS_WITH(pipe_stream(fd, "a file"),
                    "cannot watch a descriptor: operation not permitted (uv EPERM)");
}
