// SPDX-License-Identifier: MIT
#include "stream_support.hpp"

#include <fermata/promise/context.hpp>

#include <catch2/catch.hpp>

#include <array>
#include <string>
#include <vector>

using fermata::byte_view;
using fermata::bytes_of;
using fermata::cancel;
using fermata::contract_error;
using fermata::event_loop;
using fermata::is_cancelled;
using fermata::join_streams;
using fermata::loop_closed;
using fermata::memory_stream_pair;
using fermata::policy;
using fermata::promise;
using fermata::read_exactly;
using fermata::read_to_end;
using fermata::with_policy;
using fermata::write_text;
using fermata::test::carry;
using fermata::test::failure_of;
using fermata::test::read_some;
using fermata::test::stream_ptr;
using fermata::test::turns;
using fermata::test::write_and_end;

namespace {

/// A loop with two ends that hold four bytes each way.
struct small_pair {
  event_loop loop;
  std::pair<stream_ptr, stream_ptr> ends = memory_stream_pair(4);
  fermata::byte_stream& a = *ends.first;
  fermata::byte_stream& b = *ends.second;
};

std::string numbers(std::size_t bytes) {
  std::string text;
  for (int i = 0; text.size() < bytes; ++i) text += std::to_string(i);
  return text;
}

}  // namespace

TEST_CASE("a memory stream carries bytes in order through a small capacity", "[promise][stream]") {
  event_loop loop;
  for (const std::size_t capacity : {1, 3, 64, 100'000}) {
    auto [a, b] = memory_stream_pair(capacity);
    const std::string text = numbers(10'000);
    CHECK(loop.run([&a = a, &b = b, &text] { return carry(*a, *b, text); }) == text);
    CHECK(a->counts().written_bytes == text.size());
    CHECK(b->counts().read_bytes == text.size());
  }
}

TEST_CASE("a memory stream holds back a writer whose peer does not read", "[promise][stream]") {
  small_pair p;
  const promise<> writing = write_text(p.a, "123456");
  p.loop.run([] { return turns(10); });
  CHECK(writing.is_pending());
  CHECK(p.a.counts().written_bytes == 4);
  CHECK(p.loop.run([&p] { return read_some(p.b, 3); }) == "123");
  p.loop.run([&writing] { return writing; });
  CHECK(p.loop.run([&p] { return read_some(p.b, 9); }) == "456");
}

TEST_CASE("each side of a memory stream ends by itself", "[promise][stream]") {
  small_pair p;
  p.loop.run([&p] { return write_and_end(p.a, "ab"); });
  CHECK(p.loop.run([&p] { return read_to_end(p.b, 9); }) == "ab");
  CHECK(p.loop.run([&p] { return read_some(p.b, 9); }).empty());
  p.loop.run([&p] { return write_text(p.b, "cd"); });
  CHECK(p.loop.run([&p] { return read_some(p.a, 9); }) == "cd");
  CHECK_THROWS_WITH(p.loop.run([&p] { return write_text(p.a, "x"); }),
                    "cannot write to memory: bad file descriptor (uv EBADF)");
}

TEST_CASE("a closed memory stream delivers what was written and refuses more",
          "[promise][stream]") {
  small_pair p;
  p.loop.run([&p] { return write_text(p.a, "ab"); });
  p.a.close();
  CHECK(p.loop.run([&p] { return read_to_end(p.b, 9); }) == "ab");
  CHECK_THROWS_WITH(p.loop.run([&p] { return write_text(p.b, "x"); }),
                    "cannot write to memory: broken pipe (uv EPIPE)");
  CHECK_THROWS_WITH(p.loop.run([&p] { return read_some(p.a, 1); }),
                    "cannot read from memory: bad file descriptor (uv EBADF)");
}

TEST_CASE("a memory stream that is cancelled resets its peer", "[promise][stream]") {
  small_pair p;
  p.loop.run([&p] { return write_text(p.a, "ab"); });
  const promise<> writing = write_text(p.b, "123456");
  p.a.cancel();
  CHECK(failure_of(p.loop, writing) ==
        "cannot write to memory: connection reset by peer (uv ECONNRESET)");
  CHECK_THROWS_WITH(p.loop.run([&p] { return read_some(p.b, 1); }),
                    "cannot read from memory: connection reset by peer (uv ECONNRESET)");
}

TEST_CASE("closing a memory stream cancels what is under way on it", "[promise][stream]") {
  small_pair p;
  const promise<std::string> reading = read_some(p.a, 1);
  const promise<> writing = write_text(p.a, "123456");
  p.loop.run([] { return turns(3); });
  p.ends.first = nullptr;
  p.loop.run([] { return turns(3); });
  CHECK(is_cancelled(reading.error()));
  CHECK(is_cancelled(writing.error()));
}

TEST_CASE("a cancelled read or write leaves a memory stream usable", "[promise][stream]") {
  small_pair p;
  const promise<std::string> reading = read_some(p.b, 1);
  cancel(reading);
  const promise<> writing = write_text(p.a, "123456");
  p.loop.run([] { return turns(3); });
  cancel(writing);
  p.loop.run([] { return turns(3); });
  CHECK(is_cancelled(reading.error()));
  CHECK(is_cancelled(writing.error()));
  CHECK(p.a.counts().written_bytes == 4);
  CHECK(p.loop.run([&p] { return read_some(p.b, 9); }) == "1234");
  const std::string text = numbers(1000);
  CHECK(p.loop.run([&p, &text] { return carry(p.a, p.b, text); }) == text);
}

TEST_CASE("a second read or write is refused while the first goes on", "[promise][stream]") {
  small_pair p;
  const promise<std::string> reading = read_some(p.b, 9);
  CHECK_THROWS_AS(p.loop.run([&p] { return read_some(p.b, 9); }), contract_error);
  p.loop.run([&p] { return write_text(p.a, "ab"); });
  CHECK(p.loop.run([&reading] { return reading; }) == "ab");
  const promise<> writing = write_text(p.a, "123456");
  CHECK_THROWS_AS(p.loop.run([&p] { return write_text(p.a, "x"); }), contract_error);
  CHECK_THROWS_AS(p.loop.run([&p] { return p.a.shutdown(); }), contract_error);
  CHECK(p.loop.run([&p] { return read_some(p.b, 9); }) == "1234");
  CHECK(p.loop.run([&p] { return read_some(p.b, 9); }) == "56");
}

TEST_CASE("misuse of a memory stream is told", "[promise][stream]") {
  small_pair p;
  CHECK_THROWS_AS(memory_stream_pair(0), contract_error);
  CHECK_THROWS_AS(p.loop.run([&p] { return p.a.read({}); }), contract_error);
}

TEST_CASE("the end of a loop ends what its memory streams wait for", "[promise][stream]") {
  promise<std::string> reading;
  std::pair<stream_ptr, stream_ptr> ends;
  {
    const event_loop loop;
    ends = memory_stream_pair();
    reading = read_some(*ends.first, 1);
  }
  CHECK_THROWS_AS(std::move(reading).get(), loop_closed);
}

TEST_CASE("a memory stream looks at every read and every piece written", "[promise][stream]") {
  event_loop loop;
  auto [a, b] = memory_stream_pair(100);
  const std::string text(10'000, 'x');
  const std::uint64_t before = loop.metrics().looks;
  loop.run([&a = a, &b = b, &text] {
    return with_policy(policy::always(), [&a, &b, &text] { return carry(*a, *b, text); });
  });
  CHECK(loop.metrics().looks - before >= 2 * text.size() / 100);
}

TEST_CASE("pieces are written in order on any stream", "[promise][stream]") {
  event_loop loop;
  auto [a, b] = memory_stream_pair();
  const std::vector<byte_view> pieces{bytes_of("ab"), bytes_of(""), bytes_of("cd")};
  loop.run([&a = a, &pieces] { return a->write_pieces(pieces); });
  CHECK(loop.run([&b = b] { return read_some(*b, 9); }) == "abcd");
}

TEST_CASE("joined streams read from one and write to the other", "[promise][stream]") {
  event_loop loop;
  auto [in, feed] = memory_stream_pair();
  auto [out, sink] = memory_stream_pair();
  const stream_ptr both = join_streams(std::move(in), std::move(out));
  loop.run([&feed = feed] { return write_and_end(*feed, "question"); });
  CHECK(loop.run([&both] { return read_to_end(*both, 99); }) == "question");
  loop.run([&both] { return write_and_end(*both, "answer"); });
  CHECK(loop.run([&sink = sink] { return read_to_end(*sink, 99); }) == "answer");
  CHECK(both->counts().read_bytes == 8);
  CHECK(both->counts().written_bytes == 6);
}

TEST_CASE("read_exactly says how much came before the end", "[promise][stream]") {
  small_pair p;
  p.loop.run([&p] { return write_and_end(p.a, "abc"); });
  std::array<std::byte, 5> five{};
  CHECK_THROWS_WITH(p.loop.run([&p, &five] { return read_exactly(p.b, five); }),
                    "cannot read from memory: the stream ends after 3 of 5 bytes");
}

TEST_CASE("read_to_end refuses more than it is told to take", "[promise][stream]") {
  event_loop loop;
  auto [a, b] = memory_stream_pair();
  loop.run([&a = a] { return write_and_end(*a, "abcd"); });
  CHECK_THROWS_WITH(loop.run([&b = b] { return read_to_end(*b, 3); }),
                    "cannot read from memory: more than 3 bytes come");
}
