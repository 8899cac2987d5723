// SPDX-License-Identifier: MIT
#include "stream_support.hpp"
#include "support/policy.hpp"

#include <fermata/promise/buffered.hpp>
#include <fermata/promise/context.hpp>

#include <catch2/catch.hpp>

#include <array>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

using fermata::buffered_reader;
using fermata::buffered_writer;
using fermata::byte_stream;
using fermata::bytes_of;
using fermata::cancel;
using fermata::contract_error;
using fermata::event_loop;
using fermata::is_cancelled;
using fermata::limit_reached;
using fermata::line_sequence;
using fermata::loop_closed;
using fermata::memory_stream_pair;
using fermata::policy;
using fermata::promise;
using fermata::unexpected_end;
using fermata::with_policy;
using fermata::write_text;
using fermata::test::failure_of;
using fermata::test::read_some;
using fermata::test::stream_ptr;
using fermata::test::turns;
using fermata::test::until_settled;
using fermata::test::write_and_end;
using fermata::testing::options_of_run;

namespace {

using maybe_text = std::optional<std::string>;

constexpr std::size_t no_limit = std::numeric_limits<std::size_t>::max();

/// A loop, a connection in memory, and a reader at its end.
struct reading {
  explicit reading(std::size_t capacity = 64 * 1024, std::size_t buffer_bytes = 16)
      : ends(memory_stream_pair(capacity)), reader(*ends.second, buffer_bytes) {}

  void feed(const std::string& text) {
    loop.run([&] { return write_text(*ends.first, text); });
  }
  void end(const std::string& text) {
    loop.run([&] { return write_and_end(*ends.first, text); });
  }
  template <typename T>
  T get(const promise<T>& p) {
    return loop.run([&p] { return p; });
  }

  event_loop loop{options_of_run()};
  std::pair<stream_ptr, stream_ptr> ends;
  buffered_reader reader;
};

promise<std::vector<std::string>> all_of(line_sequence lines) {
  std::vector<std::string> result;
  for (;;) {
    promise<maybe_text> coming = lines.next();
    maybe_text line = co_await std::move(coming);
    if (!line) break;
    result.push_back(std::move(*line));
  }
  co_return result;
}

/// What `read` gives while `text` is written; what it leaves is written on later.
template <typename Read>
auto through(reading& r, std::string text, Read read) {
  static_cast<void>(write_and_end(*r.ends.first, std::move(text)));
  return r.get(read(r.reader));
}

std::string numbered_lines(int n) {
  std::string text;
  for (int i = 0; i < n; ++i) text += "line " + std::to_string(i) + "\n";
  return text;
}

promise<> write_lines(buffered_writer& w, std::vector<std::string> lines) {
  for (const std::string& line : lines) {
    promise<> written = w.write_line(line);
    co_await std::move(written);
  }
  promise<> end = w.finish();
  co_await std::move(end);
}

}  // namespace

// ---- lines ----

TEST_CASE("lines come without their LF or CR LF, however the bytes are cut",
          "[promise][buffered]") {
  const std::string text = "one\r\n\ntwo\n\r\nthr\ree\nlast\r";
  const std::vector<std::string> expected{"one", "", "two", "", "thr\ree", "last\r"};
  for (const std::size_t capacity : {1, 2, 3, 7, 1000}) {
    for (const std::size_t buffer : {1, 2, 5, 1000}) {
      reading r(capacity, buffer);
      CHECK(through(r, text, [](buffered_reader& from) { return all_of(from.lines(100)); }) ==
            expected);
      CHECK(r.reader.given_bytes() == text.size());
    }
  }
}

TEST_CASE("a line may be as long as its limit and no longer", "[promise][buffered]") {
  reading r;
  r.feed("12345\n12345\r\n123456\nrest\n");
  CHECK(r.get(r.reader.read_line(5)) == "12345");
  CHECK(r.get(r.reader.read_line(5)) == "12345");
  CHECK(failure_of(r.loop, r.reader.read_line(5)) ==
        "cannot read from memory: a line is longer than 5 bytes");
  CHECK(r.get(r.reader.read_line(6)) == "123456");  // nothing was lost
  CHECK(r.get(r.reader.read_line(no_limit)) == "rest");
  r.end("");
  CHECK(r.get(r.reader.read_line(0)) == std::nullopt);
}

TEST_CASE("a line that does not end is refused before more of it is taken", "[promise][buffered]") {
  reading r;
  r.feed(std::string(1000, 'x'));
  CHECK_THROWS_AS(r.get(r.reader.read_line(100)), limit_reached);
  CHECK(r.reader.buffered().size() < 200);
  r.end("");
  CHECK(r.get(r.reader.read_all(no_limit)) == std::string(1000, 'x'));
}

TEST_CASE("the last line is held to its limit too", "[promise][buffered]") {
  reading r;
  r.end("123456");
  CHECK_THROWS_AS(r.get(r.reader.read_line(5)), limit_reached);
  CHECK(r.get(r.reader.read_line(6)) == "123456");
}

TEST_CASE("a long line is read whole", "[promise][buffered]") {
  const std::string line(3'000'000, 'x');
  reading r(1'000'000);
  const auto lines = through(r, line + "\nnext\n",
                             [](buffered_reader& from) { return all_of(from.lines(no_limit)); });
  REQUIRE(lines.size() == 2);
  CHECK(lines[0] == line);
  CHECK(lines[1] == "next");
}

TEST_CASE("a cancelled read of a line loses nothing", "[promise][buffered]") {
  reading r;
  r.feed("half");
  const promise<maybe_text> line = r.reader.read_line(100);
  r.loop.run([] { return turns(3); });
  CHECK_THROWS_AS(r.get(r.reader.read_line(100)), contract_error);
  CHECK_THROWS_AS(r.reader.consume(1), contract_error);
  cancel(line);
  r.loop.run([&] { return until_settled(line); });
  CHECK(is_cancelled(line.error()));
  r.feed(" and half\n");
  CHECK(r.get(r.reader.read_line(100)) == "half and half");
}

// ---- delimiters ----

TEST_CASE("read_until finds a delimiter that is cut anywhere", "[promise][buffered]") {
  for (const std::size_t capacity : {1, 2, 3, 5, 100}) {
    reading r(capacity, 3);
    const auto item = [](buffered_reader& from) { return from.read_until("\r\n\r\n", 100); };
    CHECK(through(r, "head\r\n\r\r\nmore\r\n\r\nbody", item) == "head\r\n\r\r\nmore");
    CHECK(failure_of(r.loop, r.reader.read_until("\r\n\r\n", 100)) ==
          "cannot read from memory: the stream ends after 4 bytes without the delimiter");
    CHECK(r.get(r.reader.read_all(4)) == "body");
    CHECK(r.get(r.reader.read_until("x", 100)) == std::nullopt);
  }
}

TEST_CASE("read_until holds an item to its limit", "[promise][buffered]") {
  reading r;
  r.feed("12345--123456--");
  CHECK(r.get(r.reader.read_until("--", 5)) == "12345");
  CHECK(failure_of(r.loop, r.reader.read_until("--", 5)) ==
        "cannot read from memory: the delimiter does not come within 5 bytes");
  CHECK(r.get(r.reader.read_until("--", 6)) == "123456");
  CHECK_THROWS_AS(r.get(r.reader.read_until("", 6)), contract_error);
}

// ---- counts ----

TEST_CASE("read_exactly gives as many bytes as it is asked for", "[promise][buffered]") {
  std::string text = numbered_lines(50'000);
  reading r(1000);
  const auto cut = [](buffered_reader& from) { return from.read_exactly(300'000); };
  CHECK(through(r, text, cut) == text.substr(0, 300'000));
  CHECK(r.get(r.reader.read_exactly(0)).empty());
  CHECK(r.get(r.reader.read_all(no_limit)) == text.substr(300'000));
}

TEST_CASE("read_exactly says how much came before the end and leaves it", "[promise][buffered]") {
  reading r;
  r.end("abc");
  CHECK(failure_of(r.loop, r.reader.read_exactly(5)) ==
        "cannot read from memory: the stream ends after 3 of 5 bytes");
  CHECK_THROWS_AS(r.get(r.reader.read_exactly(no_limit)), unexpected_end);
  CHECK(r.reader.buffered() == "abc");
  CHECK(r.get(r.reader.read_exactly(3)) == "abc");
}

TEST_CASE("read_exactly fills a place of the caller's", "[promise][buffered]") {
  const std::string text = numbered_lines(1000);
  reading r(100, 16);
  std::string place(text.size() - 4, ' ');
  promise<> feeding = write_and_end(*r.ends.first, text);
  CHECK(r.get(r.reader.read_exactly(3)) == text.substr(0, 3));
  const auto into = std::as_writable_bytes(std::span(place));
  r.loop.run([&] { return r.reader.read_exactly(into); });
  CHECK(place == text.substr(3, place.size()));
  std::array<std::byte, 5> five{};
  const std::uint64_t before = r.reader.given_bytes();
  CHECK(failure_of(r.loop, r.reader.read_exactly(five)) ==
        "cannot read from memory: the stream ends after 1 of 5 bytes");
  CHECK(r.reader.given_bytes() - before == 1);
  CHECK(five[0] == std::byte('\n'));
  r.loop.run([&] { return feeding; });
}

TEST_CASE("a cancelled read into a place says what it has given", "[promise][buffered]") {
  reading r;
  r.feed("abc");
  std::array<std::byte, 100> place{};
  const promise<> filling = r.reader.read_exactly(place);
  r.loop.run([] { return turns(3); });
  cancel(filling);
  r.loop.run([&] { return until_settled(filling); });
  CHECK(is_cancelled(filling.error()));
  CHECK(r.reader.given_bytes() == 3);
  r.feed("def");
  CHECK(r.get(r.reader.read_exactly(3)) == "def");
}

TEST_CASE("read_some gives what is there", "[promise][buffered]") {
  reading r;
  r.feed("abcdef");
  std::string small(2, ' ');
  std::string large(100, ' ');
  const auto read = [&](std::string& into) {
    const std::size_t n =
        r.loop.run([&] { return r.reader.read_some(std::as_writable_bytes(std::span(into))); });
    return into.substr(0, n);
  };
  CHECK(read(small) == "ab");
  CHECK(read(large) == "cdef");
  r.feed("ghi");
  CHECK(read(large) == "ghi");
  r.end("");
  CHECK(read(large).empty());
  CHECK(read(small).empty());
  CHECK_THROWS_AS(r.get(r.reader.read_some({})), contract_error);
}

TEST_CASE("read_all refuses more than it is told to take and leaves what came",
          "[promise][buffered]") {
  reading r;
  r.end("abcd");
  CHECK(failure_of(r.loop, r.reader.read_all(3)) ==
        "cannot read from memory: more than 3 bytes come");
  CHECK(r.get(r.reader.read_all(4)) == "abcd");
  CHECK(r.get(r.reader.read_all(0)).empty());
}

TEST_CASE("what is looked at stays until it is consumed", "[promise][buffered]") {
  reading r(64 * 1024, 4);
  r.feed("abcdefgh");
  CHECK(r.get(r.reader.peek(6)).substr(0, 6) == "abcdef");
  r.reader.consume(4);
  CHECK(r.reader.buffered().substr(0, 2) == "ef");
  CHECK_THROWS_AS(r.reader.consume(5), contract_error);
  r.end("");
  CHECK(r.get(r.reader.peek(100)) == "efgh");
  CHECK(r.get(r.reader.read_all(9)) == "efgh");
  CHECK(r.get(r.reader.peek()).empty());
}

// ---- ends ----

TEST_CASE("an error of the stream passes through a reader", "[promise][buffered]") {
  reading r;
  r.feed("ab");
  CHECK(r.get(r.reader.peek()) == "ab");
  r.ends.first->cancel();
  CHECK(failure_of(r.loop, r.reader.read_line(9)) ==
        "cannot read from memory: connection reset by peer (uv ECONNRESET)");
  CHECK(r.reader.buffered() == "ab");
}

TEST_CASE("a reader or writer that ends before its promise settles is safe",
          "[promise][buffered]") {
  event_loop loop{options_of_run()};
  promise<maybe_text> line;
  promise<> written;
  const std::string text(100, 'x');
  {
    auto [a, b] = memory_stream_pair(4);
    buffered_reader reader(*a);
    buffered_writer writer(*a, 8);
    line = reader.read_line(9);
    written = writer.write(text);
    loop.run([] { return turns(3); });
  }
  loop.run([&] { return until_settled(line); });
  loop.run([&] { return until_settled(written); });
  CHECK(is_cancelled(line.error()));
  CHECK(is_cancelled(written.error()));
}

TEST_CASE("the end of a loop ends what readers and writers wait for", "[promise][buffered]") {
  promise<maybe_text> line;
  promise<> written;
  const std::string text(100, 'x');
  std::pair<stream_ptr, stream_ptr> ends;
  std::optional<buffered_reader> reader;
  std::optional<buffered_writer> writer;
  {
    event_loop loop{options_of_run()};
    ends = memory_stream_pair(4);
    reader.emplace(*ends.first);
    writer.emplace(*ends.first, 8);
    line = reader->read_line(9);
    written = writer->write(text);
    loop.run([] { return turns(3); });
  }
  CHECK_THROWS_AS(std::move(line).get(), loop_closed);
  CHECK_THROWS_AS(std::move(written).get(), loop_closed);
}

TEST_CASE("a buffer of no bytes is refused", "[promise][buffered]") {
  const event_loop loop;
  auto [a, b] = memory_stream_pair();
  CHECK_THROWS_AS(buffered_reader(*a, 0), contract_error);
  CHECK_THROWS_AS(buffered_writer(*a, 0), contract_error);
}

// ---- availability ----

TEST_CASE("readers and writers look once a line", "[promise][buffered]") {
  event_loop loop{options_of_run()};
  auto [a, b] = memory_stream_pair();
  buffered_writer writer(*a);
  buffered_reader reader(*b);
  const std::vector<std::string> lines(1000, "x");
  const std::uint64_t before = loop.metrics().looks;
  loop.run(
      [&] { return with_policy(policy::always(), [&] { return write_lines(writer, lines); }); });
  const std::uint64_t between = loop.metrics().looks;
  CHECK(between - before >= lines.size());
  loop.run([&] { return with_policy(policy::always(), [&] { return all_of(reader.lines(9)); }); });
  CHECK(loop.metrics().looks - between >= lines.size());
}

TEST_CASE("long items are scanned and copied in pieces", "[promise][buffered]") {
  event_loop loop{options_of_run()};
  auto [a, b] = memory_stream_pair(8'000'000);
  buffered_reader reader(*b, 5'000'000);
  std::string line(4'000'000, 'x');
  line.push_back('y');
  loop.run([&a = a, &line] { return write_and_end(*a, line); });
  const std::size_t pieces = line.size() / fermata::detail::stream_piece_bytes;
  CHECK(loop.run([&] { return reader.peek(line.size()); }).size() == line.size());
  const std::uint64_t before = loop.metrics().looks;
  promise<maybe_text> scanning;
  loop.run([&] {
    return with_policy(policy::always(), [&] {
      scanning = reader.read_until("y", 10);
      return until_settled(scanning);
    });
  });
  CHECK(loop.metrics().looks - before >= pieces);
  CHECK(scanning.is_rejected());
  CHECK(reader.buffered().size() == line.size());  // only scanned
  const std::uint64_t scanned = loop.metrics().looks;
  loop.run([&] {
    return with_policy(policy::always(), [&] { return reader.read_exactly(line.size()); });
  });
  CHECK(loop.metrics().looks - scanned >= pieces);
}

TEST_CASE("a buffer that grows moves its bytes in pieces", "[promise][buffered]") {
  event_loop loop{options_of_run()};
  auto [a, b] = memory_stream_pair(16'000'000);
  buffered_reader reader(*b, 4'000'000);
  const std::string text(4'000'000, 'x');
  loop.run([&a = a, &text] { return write_text(*a, text + "y"); });
  loop.run([&] { return reader.peek(text.size()); });
  const std::uint64_t before = loop.metrics().looks;
  const auto whole = loop.run(
      [&] { return with_policy(policy::always(), [&] { return reader.peek(text.size() + 1); }); });
  CHECK(whole == text + "y");
  CHECK(loop.metrics().looks - before >= text.size() / fermata::detail::stream_piece_bytes);
}
