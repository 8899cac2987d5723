// SPDX-License-Identifier: MIT
// Buffered writers over streams in memory.
#include "stream_support.hpp"
#include "support/policy.hpp"

#include <fermata/promise/buffered.hpp>
#include <fermata/promise/pause.hpp>

#include <catch2/catch.hpp>

#include <string>

using fermata::buffered_writer;
using fermata::cancel;
using fermata::contract_error;
using fermata::event_loop;
using fermata::is_cancelled;
using fermata::memory_stream_pair;
using fermata::promise;
using fermata::test::failure_of;
using fermata::test::read_some;
using fermata::test::turns;
using fermata::test::until_settled;
using fermata::testing::options_of_run;

TEST_CASE("small writes are gathered until they are flushed", "[promise][buffered]") {
  event_loop loop{options_of_run()};
  auto [a, b] = memory_stream_pair();
  buffered_writer writer(*a, 16);
  loop.run([&] { return writer.write("ab"); });
  loop.run([&] { return writer.write_line("cd"); });
  loop.run([&] { return writer.write(""); });
  CHECK(writer.buffered_bytes() == 5);
  CHECK(a->counts().written_bytes == 0);
  loop.run([&] { return writer.flush(); });
  CHECK(writer.buffered_bytes() == 0);
  CHECK(loop.run([&b = b] { return read_some(*b, 9); }) == "abcd\n");
  loop.run([&] { return writer.flush(); });
  loop.run([&] { return writer.write("end"); });
  loop.run([&] { return writer.finish(); });
  CHECK(loop.run([&b = b] { return fermata::read_to_end(*b, 9); }) == "end");
}

TEST_CASE("what does not fit is sent behind what is buffered", "[promise][buffered]") {
  event_loop loop{options_of_run()};
  auto [a, b] = memory_stream_pair();
  buffered_writer writer(*a, 4);
  loop.run([&] { return writer.write("abc"); });
  loop.run([&] { return writer.write("defgh"); });
  CHECK(writer.buffered_bytes() == 0);
  CHECK(loop.run([&b = b] { return read_some(*b, 99); }) == "abcdefgh");
}

TEST_CASE("a writer waits for a slow peer", "[promise][buffered]") {
  event_loop loop{options_of_run()};
  auto [a, b] = memory_stream_pair(4);
  buffered_writer writer(*a, 4);
  loop.run([&] { return writer.write("1234"); });
  const promise<> second = writer.write("56789");
  loop.run([] { return turns(5); });
  CHECK(second.is_pending());
  CHECK_THROWS_AS(loop.run([&] { return writer.write("x"); }), contract_error);
  CHECK_THROWS_AS(loop.run([&] { return writer.flush(); }), contract_error);
  CHECK_THROWS_AS(loop.run([&] { return writer.finish(); }), contract_error);
  std::string all;
  while (all.size() < 9) all += loop.run([&b = b] { return read_some(*b, 9); });
  CHECK(all == "123456789");
  loop.run([&] { return second; });
}

TEST_CASE("no write comes between what finish sends and the end", "[promise][buffered]") {
  event_loop loop{fermata::testing::options_with(fermata::policy::always())};
  auto [a, b] = memory_stream_pair(4);
  buffered_writer writer(*a, 16);
  const auto run = [&]() -> promise<> {
    promise<> first = writer.write("12345678");
    co_await first;
    promise<> end = writer.finish();
    promise<std::string> read = fermata::read_to_end(*b, 99);
    while (end.is_pending()) {
      promise<> between = writer.write("x");
      CHECK(between.is_rejected());
      static_cast<void>(between.error());
      co_await fermata::pause();
    }
    const std::string all = co_await read;
    CHECK(all == "12345678");
  };
  loop.run(run);
}

TEST_CASE("a flush that is cancelled half way goes on where it stopped", "[promise][buffered]") {
  event_loop loop{options_of_run()};
  auto [a, b] = memory_stream_pair(4);
  buffered_writer writer(*a, 16);
  loop.run([&] { return writer.write("123456789"); });
  const promise<> first = writer.flush();
  loop.run([] { return turns(3); });
  cancel(first);
  loop.run([&] { return until_settled(first); });
  CHECK(is_cancelled(first.error()));
  CHECK(writer.buffered_bytes() == 5);
  const promise<> second = writer.flush();
  std::string all;
  while (all.size() < 9) all += loop.run([&b = b] { return read_some(*b, 9); });
  CHECK(all == "123456789");
  loop.run([&] { return second; });
}

TEST_CASE("an error of the stream passes through a writer", "[promise][buffered]") {
  event_loop loop{options_of_run()};
  auto [a, b] = memory_stream_pair(4);
  buffered_writer writer(*a, 4);
  b->cancel();
  loop.run([&] { return writer.write("1"); });
  CHECK(failure_of(loop, writer.flush()) ==
        "cannot write to memory: connection reset by peer (uv ECONNRESET)");
  CHECK(writer.buffered_bytes() == 1);
}
