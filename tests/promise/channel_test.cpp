// SPDX-License-Identifier: MIT
#include "support/policy.hpp"
#include "waits_for.hpp"

#include <fermata/promise/channel.hpp>
#include <fermata/promise/combine.hpp>
#include <fermata/promise/heartbeat.hpp>
#include <fermata/promise/pause.hpp>
#include <fermata/promise/test_loop.hpp>

#include <catch2/catch.hpp>

#include <memory>
#include <string>

using namespace std::chrono_literals;
using namespace fermata::testing;
using fermata::channel;
using fermata::event_loop;
using fermata::promise;
using fermata::test_loop;

namespace {

promise<> produce(fermata::channel_writer<std::unique_ptr<int>> w, int n, std::size_t& longest) {
  for (int i = 0; i < n; ++i) {
    co_await w.send(std::make_unique<int>(i));
    longest = std::max(longest, w.size());
  }
}
promise<std::vector<int>> consume(fermata::channel_reader<std::unique_ptr<int>> r) {
  std::vector<int> got;
  for (;;) {
    const std::optional<std::unique_ptr<int>> item = co_await r.receive();
    if (!item) break;
    got.push_back(**item);
  }
  co_return got;
}
promise<> send_all(fermata::channel_writer<int> w, int first, int last) {
  for (int i = first; i < last; ++i) {
    co_await w.send(i);
  }
}
// What is received until the end, as text; how the end came.
promise<std::string> receive_all(fermata::channel_reader<int> r) {
  std::string got;
  try {
    for (;;) {
      const std::optional<int> item = co_await r.receive();
      if (!item) break;
      got += std::to_string(*item) + " ";
    }
    got += "end";
  } catch (const fermata::cancelled&) {
    got += "cancelled";
  } catch (const fermata::error& e) {
    got += e.what();
  }
  co_return got;
}
promise<std::string> await_send(const fermata::channel_writer<int>& w, int item) {
  std::string how = "sent";
  try {
    co_await w.send(item);
  } catch (const fermata::cancelled&) {
    how = "cancelled";
  } catch (const std::exception& e) {
    how = e.what();
  }
  co_return how;
}
promise<std::string> await_receive(const fermata::channel_reader<int>& r) {
  std::string how = "end";
  try {
    const std::optional<int> item = co_await r.receive();
    if (item) how = std::to_string(*item);
  } catch (const fermata::cancelled&) {
    how = "cancelled";
  } catch (const std::exception& e) {
    how = e.what();
  }
  co_return how;
}

}  // namespace

TEST_CASE("channel carries every item in order within its capacity", "[promise][channel]") {
  const std::size_t capacity = GENERATE(0, 1, 3, 1000);
  test_loop loop(options_of_run());
  std::size_t longest = 0;
  const auto run = [&] {
    auto [w, r] = channel<std::unique_ptr<int>>(capacity);
    auto end = produce(std::move(w), 500, longest);
    auto got = consume(std::move(r));
    return fermata::both(end, got);
  };
  const auto result = loop.run(run);
  REQUIRE(result.second.size() == 500);
  for (int i = 0; i < 500; ++i) REQUIRE(result.second[static_cast<std::size_t>(i)] == i);
  CHECK(longest <= capacity);
}

TEST_CASE("channel operations check the slice, one look an item", "[promise][channel]") {
  const std::size_t capacity = GENERATE(0, 1, 1000);
  test_loop loop(options_with(fermata::policy::always()));
  const auto run = [&] {
    auto [w, r] = channel<int>(capacity);
    auto end = send_all(std::move(w), 0, 500);
    auto got = receive_all(std::move(r));
    return fermata::both(end, got);
  };
  loop.run(run);
  CHECK(loop.metrics().looks >= 500);
}

TEST_CASE("channel: who sends without end gives way to others", "[promise][channel]") {
  test_loop loop(options_with(fermata::policy::budget(500us)));
  fermata::heartbeat beat(loop.loop(), 1ms);
  auto [w, r] = channel<int>(1'000'000);
  loop.run([&, &writer = w] { return send_all(writer, 0, 20'000); });
  CHECK(w.size() == 20'000);
  CHECK(beat.beats() >= 15);
  CHECK(loop.metrics().longest_gap.wall <= 500us + 2 * fermata::default_cost);
}

TEST_CASE("channel: with the last reader gone sends are rejected", "[promise][channel]") {
  test_loop loop(options_of_run());
  const auto run = [] {
    auto [w, r] = channel<int>(0);
    auto copy = r;
    promise<> waiting = w.send(1);
    r = {};
    CHECK(waiting.is_pending());
    copy = {};
    CHECK(w.is_closed());
    promise<> late = w.send(2);
    CHECK(late.is_rejected());
    CHECK_THROWS_AS(w.try_send(3), fermata::channel_closed);
    return waiting;
  };
  CHECK_THROWS_WITH(loop.run(run), "cannot send: the channel is closed");
}

TEST_CASE("channel: with the last writer gone readers get what is left, then the end",
          "[promise][channel]") {
  test_loop loop(options_of_run());
  auto [w, r] = channel<int>(1);
  auto copy = w;
  promise<> first = w.send(1);
  CHECK(first.is_resolved());
  w = {};
  promise<> second = copy.send(2);
  CHECK(second.is_pending());
  copy = {};
  CHECK_FALSE(r.is_finished());
  CHECK(loop.run([&, &reader = r] { return receive_all(reader); }) == "1 2 end");
  CHECK(second.is_resolved());
  CHECK(r.is_finished());
}

TEST_CASE("channel: a close lets in nothing more and loses nothing", "[promise][channel]") {
  const bool by_reader = GENERATE(false, true);
  test_loop loop(options_of_run());
  auto [w, r] = channel<int>(1);
  CHECK(w.try_send(1));
  promise<> waiting = w.send(2);
  by_reader ? r.close() : w.close();
  w.close();
  promise<> late = w.send(3);
  CHECK_THROWS_AS(std::move(late).get(), fermata::channel_closed);
  CHECK(loop.run([&, &reader = r] { return receive_all(reader); }) == "1 2 end");
  CHECK(waiting.is_resolved());
  CHECK_FALSE(r.try_receive());
}

TEST_CASE("channel: a failure reaches readers after what is left", "[promise][channel]") {
  test_loop loop(options_of_run());
  auto [w, r] = channel<int>(2);
  CHECK(w.try_send(1));
  w.fail(std::make_exception_ptr(fermata::error("the source broke")));
  CHECK(loop.run([&, &reader = r] { return receive_all(reader); }) == "1 the source broke");
  CHECK_THROWS_WITH(r.try_receive(), "the source broke");
  auto [w2, r2] = channel<int>(2);
  promise<std::string> waiting = await_receive(r2);
  w2.fail(std::make_exception_ptr(fermata::error("the source broke")));
  CHECK(loop.run([&] { return waiting; }) == "the source broke");
}

TEST_CASE("channel: a cancelled waiter leaves no hole and loses no item", "[promise][channel]") {
  test_loop loop(options_of_run());
  auto [w, r] = channel<int>(0);
  promise<std::optional<int>> first = r.receive();
  promise<std::optional<int>> second = r.receive();
  fermata::cancel(first);
  CHECK(first.is_rejected());
  promise<> sent = w.send(7);
  CHECK_FALSE(sent.is_pending());
  CHECK(second.peek()->value() == 7);
  promise<> never_sent = w.send(8);
  promise<> after = w.send(9);
  fermata::cancel(never_sent);
  CHECK(loop.run([&, &reader = r] { return reader.receive().as_promise(); }) == 9);
  CHECK(after.is_resolved());
}

TEST_CASE("channel: the same with operations that are awaited", "[promise][channel]") {
  test_loop loop(options_of_run());
  auto [w, r] = channel<int>(0);
  promise<std::string> first = await_receive(r);
  promise<std::string> second = await_receive(r);
  fermata::cancel(first);
  promise<std::string> sent = await_send(w, 7);
  CHECK(loop.run([&] { return first; }) == "cancelled");
  CHECK(loop.run([&] { return second; }) == "7");
  CHECK(loop.run([&] { return sent; }) == "sent");
  promise<std::string> never_sent = await_send(w, 8);
  promise<std::string> after = await_send(w, 9);
  fermata::cancel(never_sent);
  CHECK(r.try_receive() == 9);
  CHECK(loop.run([&] { return never_sent; }) == "cancelled");
  CHECK(loop.run([&] { return after; }) == "sent");
}

TEST_CASE("channel: an item that was handed over wins over a cancel", "[promise][channel]") {
  test_loop loop(options_of_run());
  auto [w, r] = channel<int>(0);
  promise<std::string> got = await_receive(r);
  CHECK(w.try_send(7));
  fermata::cancel(got);
  CHECK(loop.run([&] { return got; }) == "7");
}

TEST_CASE("channel: a request to end that came before is heard at the first wait",
          "[promise][channel]") {
  test_loop loop(options_of_run());
  auto [w, r] = channel<int>(0);
  promise<std::string> got = receive_all(r);
  CHECK(w.try_send(1));
  fermata::cancel(got);  // the item is on its way
  CHECK(loop.run([&] { return got; }) == "1 cancelled");
}

TEST_CASE("channel: a receive whose promise nobody holds takes no item", "[promise][channel]") {
  test_loop loop(options_of_run());
  const std::size_t capacity = GENERATE(0, 4);
  auto [w, r] = channel<int>(capacity);
  { promise<std::optional<int>> dropped = r.receive(); }
  promise<std::optional<int>> kept = r.receive();
  { promise<std::optional<int>> dropped = r.receive(); }
  CHECK(w.try_send(1));
  CHECK(kept.peek()->value() == 1);
  CHECK(w.try_send(2) == (capacity > 0));
  CHECK(r.try_receive() == (capacity > 0 ? std::optional<int>(2) : std::nullopt));
}

TEST_CASE("channel: a send whose promise is dropped is received all the same",
          "[promise][channel]") {
  test_loop loop(options_of_run());
  auto [w, r] = channel<int>(0);
  { promise<> dropped = w.send(1); }
  CHECK(r.try_receive() == 1);
}

TEST_CASE("channel: what waits when the loop ends is rejected", "[promise][channel]") {
  auto [w, r] = channel<int>(0);
  promise<std::string> a;
  promise<std::string> b;
  promise<std::string> c;
  {
    event_loop loop(options_of_run());
    a = await_receive(r);
    promise<std::optional<int>> p = r.receive();
    b = waits_for(p.map([](const std::optional<int>&) {}));
    loop.run([] { return fermata::ready(); });
  }
  const std::string closed = "cannot go on: the event loop has ended";
  CHECK(*a.peek() == closed);
  CHECK(*b.peek() == closed);
  {
    event_loop loop(options_of_run());  // the channel is used again on another loop
    c = await_send(w, 1);
    CHECK(c.is_pending());
  }
  CHECK(*c.peek() == closed);
}

TEST_CASE("channel: tasks of two loops cannot wait in it at once", "[promise][channel]") {
  auto [w, r] = channel<int>(0);
  event_loop outer(options_of_run());
  promise<std::string> first = await_receive(r);
  {
    event_loop inner(options_of_run());
    promise<std::string> second = await_receive(r);
    CHECK(inner.run([&] { return second; }) == "tasks of two loops wait for the same thing");
  }
  CHECK(first.is_pending());
}

TEST_CASE("channel: a reader that goes while its receive waits ends it", "[promise][channel]") {
  test_loop loop(options_of_run());
  auto [w, r] = channel<int>(0);
  promise<std::string> waiting = await_receive(r);
  r = {};
  CHECK(loop.run([&] { return waiting; }) == "end");
}

TEST_CASE("channel: both ends may go while operations are on their way", "[promise][channel]") {
  test_loop loop(options_with(fermata::policy::always()));
  channel<int> c(4);
  const auto run = [&] {
    promise<std::string> sending = await_send(c.writer, 1);  // pauses before it sends
    promise<std::string> waiting = await_receive(c.reader);
    c.writer = {};
    c.reader = {};
    return fermata::both(sending, waiting);
  };
  const auto [sending, waiting] = loop.run(run);
  CHECK(sending == "cannot send: the channel is closed");
  CHECK(waiting == "end");
  CHECK_THROWS_WITH(c.reader.receive(), "an end of a channel that was moved from is used");
  CHECK_THROWS_WITH(c.writer.size(), "an end of a channel that was moved from is used");
}

TEST_CASE("channel: many writers take turns", "[promise][channel]") {
  test_loop loop(options_with(fermata::policy::greedy()));
  auto [w, r] = channel<int>(1);
  promise<> a = send_all(w, 0, 4);
  promise<> b = send_all(w, 10, 14);
  promise<> c = send_all(w, 20, 24);
  w = {};
  CHECK(loop.run([&, &reader = r] { return receive_all(reader); }) ==
        "0 1 10 20 2 3 11 21 12 13 22 23 end");
}

TEST_CASE("channel: try_send leaves an item that has no place", "[promise][channel]") {
  test_loop loop(options_of_run());
  auto [w, r] = channel<std::unique_ptr<int>>(1);
  CHECK(w.capacity() == 1);
  auto first = std::make_unique<int>(1);
  auto second = std::make_unique<int>(2);
  CHECK(w.try_send(std::move(first)));
  CHECK_FALSE(w.try_send(std::move(second)));
  REQUIRE(second != nullptr);
  CHECK(**r.try_receive() == 1);
  CHECK(w.try_send(std::move(second)));
  CHECK(**r.try_receive() == 2);
}

TEST_CASE("channel: an item may hold an end of its own channel", "[promise][channel]") {
  test_loop loop(options_of_run());
  struct letter {
    fermata::channel_writer<std::shared_ptr<letter>> reply_to;
  };
  {
    auto [w, r] = channel<std::shared_ptr<letter>>(8);
    for (int i = 0; i < 8; ++i) CHECK(w.try_send(std::make_shared<letter>(letter{w})));
    CHECK(w.size() == 8);
  }  // nothing leaks: the sanitizer looks
}

TEST_CASE("channel of a huge capacity takes memory for what it holds", "[promise][channel]") {
  test_loop loop(options_of_run());
  auto [w, r] = channel<std::string>(static_cast<std::size_t>(-1));
  for (int i = 0; i < 10'000; ++i) CHECK(w.try_send(std::to_string(i)));
  for (int i = 0; i < 5'000; ++i) REQUIRE(r.try_receive() == std::to_string(i));
  for (int i = 0; i < 100; ++i) CHECK(w.try_send("x"));
  for (int i = 5'000; i < 10'000; ++i) REQUIRE(r.try_receive() == std::to_string(i));
  CHECK(r.size() == 100);
}
