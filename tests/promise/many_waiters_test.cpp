// SPDX-License-Identifier: MIT
// Nothing wakes or drops thousands in one step: the first 256 at once, the others in steps.
#include "support/policy.hpp"

#include <fermata/promise/broadcast.hpp>
#include <fermata/promise/cancel.hpp>
#include <fermata/promise/channel.hpp>
#include <fermata/promise/combine.hpp>
#include <fermata/promise/condition.hpp>
#include <fermata/promise/event.hpp>
#include <fermata/promise/mvar.hpp>
#include <fermata/promise/pause.hpp>
#include <fermata/promise/semaphore.hpp>
#include <fermata/promise/test_loop.hpp>
#include <fermata/promise/watch.hpp>

#include <catch2/catch.hpp>

#include <algorithm>
#include <memory>
#include <optional>
#include <stdexcept>
#include <vector>

using fermata::promise;
using fermata::detail::batch;

namespace {

constexpr std::size_t many = 4 * batch + 17;

template <typename T>
std::size_t settled(const std::vector<promise<T>>& all) {
  return static_cast<std::size_t>(
      std::count_if(all.begin(), all.end(), [](const auto& p) { return !p.is_pending(); }));
}

template <typename T>
promise<> until_settled(const std::vector<promise<T>>& all) {
  while (settled(all) < all.size()) co_await fermata::pause();
}

template <typename Wait>
auto wait_often(Wait wait) {
  std::vector<decltype(wait().as_promise())> all;
  while (all.size() < many) all.push_back(wait().as_promise());
  return all;
}

/// The first 256 are settled now, all are in the end.
template <typename T>
void check_steps(fermata::event_loop& loop, const std::vector<promise<T>>& all) {
  CHECK(settled(all) == batch);
  loop.run([&] { return until_settled(all); });
}

}  // namespace

TEST_CASE("the errors of many end in steps", "[promise][errors]") {
  fermata::event_loop loop(fermata::testing::options_with(fermata::policy::always()));
  struct counted : std::runtime_error {
    explicit counted(std::shared_ptr<int> c) : std::runtime_error("one"), count(std::move(c)) {}
    std::shared_ptr<int> count;
  };
  const auto count = std::make_shared<int>(0);
  const auto run = [&]() -> promise<> {
    std::vector<promise<>> all;
    while (all.size() < many) all.push_back(fermata::rejected(counted(count)));
    promise<> joined = fermata::join(std::move(all));
    try {
      co_await joined;
    } catch (const fermata::multiple_errors& e) {
      CHECK(e.errors().size() == many);
    }
  };  // the frame has the last copy of what it caught
  loop.run(run);
  const auto left = [&] { return static_cast<std::size_t>(count.use_count()) - 1; };
  CHECK(left() == many - batch);
  loop.run([&]() -> promise<> {
    while (left() > 0) co_await fermata::pause();
  });
  CHECK(left() == 0);
}

TEST_CASE("an event wakes many in steps", "[promise][sync]") {
  fermata::event_loop loop;
  fermata::event e;
  const auto all = wait_often([&] { return e.wait(); });
  e.set();
  CHECK(e.waiting() == 0);
  check_steps(loop, all);
}

TEST_CASE("a watch tells many in steps", "[promise][sync]") {
  fermata::event_loop loop;
  fermata::watch<int> w(0);
  const auto all = wait_often([&] { return w.reader.changed(); });
  w.writer.set(1);
  check_steps(loop, all);
  for (const auto& p : all) REQUIRE(*p.peek());
}

TEST_CASE("a condition notifies and fails many in steps, each with its own", "[promise][sync]") {
  fermata::event_loop loop;
  fermata::condition c;
  const auto notified = wait_often([&] { return c.wait(); });
  c.notify_all();
  CHECK(settled(notified) == batch);
  const auto failed = wait_often([&] { return c.wait(); });
  c.fail(std::make_exception_ptr(std::runtime_error("no")));
  CHECK(settled(notified) == many);  // not to be taken for failed
  check_steps(loop, failed);
  for (const auto& p : notified) REQUIRE(p.is_resolved());
  for (const auto& p : failed) REQUIRE(fermata::message_of(p.error()) == "no");
}

TEST_CASE("a broadcast and its end reach many in steps", "[promise][channel]") {
  fermata::event_loop loop;
  std::optional<fermata::broadcast<int>> b(2);
  std::vector<fermata::broadcast_reader<int>> readers(many, b->reader);
  std::size_t next = 0;
  const auto items = wait_often([&] { return readers[next++].receive(); });
  b->writer.send(7);
  check_steps(loop, items);
  for (const auto& p : items) REQUIRE(**p.peek() == 7);

  next = 0;
  const auto ends = wait_often([&] { return readers[next++].receive(); });
  b.reset();
  check_steps(loop, ends);
  for (const auto& p : ends) REQUIRE(!p.peek()->has_value());
}

TEST_CASE("a value reaches many that read an mvar in steps, also when it is gone",
          "[promise][mvar]") {
  fermata::event_loop loop;
  fermata::mvar<int> v;
  const auto first = wait_often([&] { return v.read(); });
  CHECK(v.try_put(1));
  CHECK(v.try_take() == 1);
  check_steps(loop, first);
  for (const auto& p : first) REQUIRE(*p.peek() == 1);

  const auto early = wait_often([&] { return v.read(); });
  CHECK(v.try_put(2));
  CHECK(v.try_take() == 2);
  const auto late = wait_often([&] { return v.read(); });
  CHECK(v.try_put(3));
  CHECK(settled(late) == 0);
  check_steps(loop, early);
  loop.run([&] { return until_settled(late); });
  CHECK(*early.front().peek() == 2);
  CHECK(*early.back().peek() == 3);  // the latest one
  for (const auto& p : late) REQUIRE(*p.peek() == 3);
}

TEST_CASE("who reads an mvar that ends has the value that was put", "[promise][mvar]") {
  fermata::event_loop loop;
  auto value = std::make_shared<int>(7);
  std::vector<promise<std::shared_ptr<int>>> all;
  {
    fermata::mvar<std::shared_ptr<int>> v;
    all = wait_often([&] { return v.read(); });
    CHECK(v.try_put(std::shared_ptr<int>(value)));
  }
  CHECK(settled(all) == many);
  for (const auto& p : all) REQUIRE(**p.peek() == 7);
  all.clear();
  CHECK(value.use_count() == 1);
}

TEST_CASE("an mvar keeps no value for readers that have heard", "[promise][mvar]") {
  fermata::event_loop loop;
  auto value = std::make_shared<int>(7);
  fermata::mvar<std::shared_ptr<int>> v;
  auto all = wait_often([&] { return v.read(); });
  CHECK(v.try_put(std::shared_ptr<int>(value)));
  loop.run([&] { return until_settled(all); });
  all.clear();
  CHECK(v.try_take() == value);
  CHECK(value.use_count() == 1);
}

TEST_CASE("a copy that fails rejects its read, not the put", "[promise][mvar]") {
  struct brittle {
    explicit brittle(int copies) : left(copies) {}
    brittle(brittle&&) = default;
    brittle(const brittle& other) : left(other.left - 1) {
      if (other.left == 0) throw std::runtime_error("no copy");
    }
    int left;
  };
  fermata::event_loop loop;
  fermata::mvar<brittle> v;
  auto read = v.read().as_promise();
  CHECK(v.try_put(brittle(0)));
  CHECK(v.is_full());
  CHECK_THROWS_WITH(std::move(read).get(), "no copy");
  fermata::mvar<brittle> often;
  const auto all = wait_often([&] { return often.read(); });
  CHECK_THROWS_WITH(often.try_put(brittle(0)), "no copy");  // there is none for later
  CHECK(settled(all) == 0);
  CHECK_FALSE(often.is_full());
}

TEST_CASE("a channel that closes tells many in steps", "[promise][channel]") {
  fermata::event_loop loop;
  fermata::channel<int> c(0);
  const auto ends = wait_often([&] { return c.reader.receive(); });
  c.writer.close();
  check_steps(loop, ends);
  for (const auto& p : ends) REQUIRE(!p.peek()->has_value());

  fermata::channel<int> full(0);
  const auto refused = wait_often([&] { return full.writer.send(1); });
  full.reader = {};
  check_steps(loop, refused);
  for (const auto& p : refused) REQUIRE(p.is_rejected());
}

TEST_CASE("a semaphore gives units to many in steps, and nobody overtakes", "[promise][sync]") {
  fermata::event_loop loop;
  fermata::semaphore s(0);
  s.add(1);
  auto first = s.acquire(1).as_promise();
  const auto all = wait_often([&] { return s.acquire(1); });
  s.add(many);
  CHECK(!s.try_acquire(1));
  check_steps(loop, all);
}

TEST_CASE("what a channel holds at its end is dropped in steps", "[promise][channel]") {
  struct item {
    explicit item(std::size_t& d) : dropped(&d) {}
    item(item&& other) noexcept : dropped(std::exchange(other.dropped, nullptr)) {}
    ~item() {
      if (dropped != nullptr) ++*dropped;
    }
    std::size_t* dropped;
  };
  std::size_t dropped = 0;
  const auto filled = [&] {
    fermata::channel<item> c(many);
    for (std::size_t i = 0; i < many; ++i) REQUIRE(c.writer.try_send(item(dropped)));
    return c;
  };
  {
    fermata::event_loop loop;
    loop.run([&] { filled().reader = {}; });
    CHECK(dropped == batch);
    const auto until_dropped = [&]() -> promise<> {
      while (dropped < many) co_await fermata::pause();
    };
    loop.run(until_dropped);
    CHECK(dropped == many);
    dropped = 0;
    loop.run([&] { filled().reader = {}; });
  }
  CHECK(dropped == many);  // the loop has ended before all was dropped
  fermata::event_loop idle;
  dropped = 0;
  filled().reader = {};  // no loop runs that could go on
  CHECK(dropped == many);
}

// ---- tasks, their order and their ends ----

namespace {

promise<> note_after(fermata::event& e, std::size_t number, std::vector<std::size_t>& order) {
  co_await e.wait();
  order.push_back(number);
}
promise<> note(promise<> after, std::size_t number, std::vector<std::size_t>& order) {
  co_await after;
  order.push_back(number);
}

std::vector<std::size_t> counted_to(std::size_t n) {
  std::vector<std::size_t> numbers;
  while (numbers.size() < n) numbers.push_back(numbers.size());
  return numbers;
}

}  // namespace

TEST_CASE("tasks that are woken in steps go on in their order, before later ones",
          "[promise][sync]") {
  fermata::event_loop loop;
  fermata::event e;
  std::vector<std::size_t> order;
  loop.run([&] {
    std::vector<promise<>> all;
    for (std::size_t i = 0; i < many; ++i) all.push_back(note_after(e, i, order));
    auto [later, end_later] = fermata::make_promise();
    all.push_back(note(later, many, order));
    e.set();
    end_later.resolve();
    return fermata::join(std::move(all));
  });
  CHECK(order == counted_to(many + 1));
}

TEST_CASE("a cancel of one that is to be woken comes too late and reaches its next wait",
          "[promise][cancel]") {
  fermata::event_loop loop;
  fermata::event first;
  fermata::event second;
  bool was_woken = false;
  const auto wait_twice = [&]() -> promise<> {
    co_await first.wait();
    was_woken = true;
    co_await second.wait();
  };
  std::vector<std::size_t> order;
  CHECK_THROWS_AS(loop.run([&] {
    for (std::size_t i = 0; i < batch + 1; ++i) {
      promise<> forgotten = note_after(first, i, order);
    }
    promise<> last = wait_twice();
    first.set();
    fermata::cancel(last);
    CHECK(last.is_pending());
    return last;
  }),
                  fermata::cancelled);
  CHECK(was_woken);
  CHECK(second.waiting() == 0);
}

TEST_CASE("a cancelled receive that gets nothing of a broadcast to many has left",
          "[promise][cancel]") {
  fermata::event_loop loop;
  fermata::broadcast<int> b(8);
  std::vector<fermata::broadcast_reader<int>> readers(batch + 1, b.reader);
  std::vector<promise<std::optional<int>>> all;
  for (const auto& r : readers) all.push_back(r.receive().as_promise());
  const auto item = b.reader.receive().as_promise();
  const auto second = b.reader.receive().as_promise();
  b.writer.send(1);
  CHECK(second.is_pending());
  fermata::cancel(second);
  loop.run([&] { return until_settled(all); });
  CHECK(**item.peek() == 1);
  CHECK(fermata::is_cancelled(second.error()));
  b.writer.send(2);
  CHECK(b.reader.try_receive() == 2);
}

TEST_CASE("who was to be woken hears of it where the event ends, and where the loop does",
          "[promise][sync]") {
  std::vector<promise<>> all;
  {
    fermata::event_loop loop;
    {
      fermata::event e;
      all = wait_often([&] { return e.wait(); });
      e.set();
    }
    CHECK(settled(all) == many);
  }
  fermata::event e;
  {
    fermata::event_loop loop;
    all = wait_often([&] { return e.wait(); });
    e.set();
    CHECK(settled(all) == batch);
  }
  CHECK(settled(all) == many);
  for (const auto& p : all) REQUIRE(p.is_resolved());
}
