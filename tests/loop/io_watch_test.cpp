// SPDX-License-Identifier: MIT
#include "support/policy.hpp"

#include <fermata/loop/event_loop.hpp>
#include <fermata/loop/io_watch.hpp>
#include <fermata/loop/poller.hpp>

#include <catch2/catch.hpp>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <memory>
#include <string>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using namespace fermata::testing;
using fermata::contract_error;
using fermata::event_loop;
using fermata::io_direction;
using fermata::io_watch;
using fermata::detail::events_per_poll;

namespace {

class count final : public fermata::ready_node {
public:
  void run() noexcept override { ++times; }
  int times = 0;
};

struct pair {
  explicit pair(event_loop& loop) {
    std::array<int, 2> ends{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0);
    watch = io_watch(loop, ends[0]);
    peer = ends[1];
  }
  ~pair() { ::close(peer); }
  void feed(const std::string& text) const {
    REQUIRE(::send(peer, text.data(), text.size(), 0) == static_cast<ssize_t>(text.size()));
  }
  // What one read gives: its size, or -1 where there is nothing.
  [[nodiscard]] ssize_t take(std::size_t most) const {
    std::array<char, 64> into{};
    return ::recv(watch.fd(), into.data(), std::min(most, into.size()), 0);
  }

  io_watch watch;
  int peer = -1;
};

void turn(event_loop& loop) {
  for (int i = 0; i < 3; ++i) loop.step();
}

}  // namespace

TEST_CASE("watch: a wait is for what is there, told or not", "[loop][io]") {
  event_loop loop(options_of_run());
  const pair p(loop);
  auto& watch = const_cast<io_watch&>(p.watch);
  count ran;
  p.feed("ab");
  turn(loop);  // the event comes before the wait
  watch.wait(io_direction::read, ran);
  turn(loop);
  CHECK(ran.times == 1);
  REQUIRE(p.take(1) == 1);
  watch.wait(io_direction::read, ran);  // a byte is left
  turn(loop);
  CHECK(ran.times == 2);
  REQUIRE(p.take(8) == 1);
  watch.wait(io_direction::read, ran);  // none is, and nobody has said so
  turn(loop);
  CHECK(ran.times == 2);
  p.feed("c");
  turn(loop);
  CHECK(ran.times == 3);
}

TEST_CASE("watch: after it was drained a wait is for the next event", "[loop][io]") {
  event_loop loop(options_of_run());
  pair p(loop);
  count ran;
  CHECK(p.watch.may_be_ready(io_direction::read));
  REQUIRE(p.take(8) == -1);
  p.watch.drained(io_direction::read);
  CHECK_FALSE(p.watch.may_be_ready(io_direction::read));
  p.watch.wait(io_direction::read, ran);
  turn(loop);
  CHECK(ran.times == 0);
  p.feed("a");
  turn(loop);
  CHECK(ran.times == 1);
  CHECK(p.watch.may_be_ready(io_direction::read));
}

TEST_CASE("watch: an event between the drain and the wait is not lost", "[loop][io]") {
  event_loop loop(options_of_run());
  pair p(loop);
  count ran;
  p.watch.drained(io_direction::read);
  p.feed("a");
  turn(loop);  // tells of it while nobody waits
  p.watch.wait(io_direction::read, ran);
  turn(loop);
  CHECK(ran.times == 1);
}

TEST_CASE("watch: a part proves nothing once an end has been announced", "[loop][io]") {
  event_loop loop(options_of_run());
  pair p(loop);
  p.watch.moved_part(io_direction::read);
  CHECK_FALSE(p.watch.may_be_ready(io_direction::read));
  p.feed("a");
  REQUIRE(::shutdown(p.peer, SHUT_WR) == 0);
  turn(loop);
  p.watch.moved_part(io_direction::read);
  CHECK(p.watch.may_be_ready(io_direction::read));
}

TEST_CASE("watch: a writer waits for room", "[loop][io]") {
  event_loop loop(options_of_run());
  pair p(loop);
  count ran;
  const std::string much(1 << 16, 'x');
  while (::send(p.watch.fd(), much.data(), much.size(), 0) > 0) {
  }
  p.watch.drained(io_direction::write);
  p.watch.wait(io_direction::write, ran);
  turn(loop);
  CHECK(ran.times == 0);
  std::string into(1 << 20, '\0');
  while (::recv(p.peer, into.data(), into.size(), MSG_DONTWAIT) > 0) {
  }
  turn(loop);
  CHECK(ran.times == 1);
}

TEST_CASE("watch: more events than a poll takes come with the next", "[loop][io]") {
  event_loop loop(options_with(fermata::policy::budget(1s)));
  constexpr int many = events_per_poll + 20;
  std::vector<std::unique_ptr<pair>> pairs;
  std::vector<count> ran(many);
  for (int i = 0; i < many; ++i) pairs.push_back(std::make_unique<pair>(loop));
  turn(loop);  // takes what they tell first: that there is room to write
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    pairs[i]->watch.drained(io_direction::read);
    pairs[i]->watch.wait(io_direction::read, ran[i]);
    pairs[i]->feed("x");
  }
  const auto done = [&ran] {
    int n = 0;
    for (const count& c : ran) n += c.times;
    return n;
  };
  loop.step();
  loop.step();
  CHECK(done() == events_per_poll);
  loop.step();
  CHECK(done() == many);
}

TEST_CASE("watch: a descriptor that is watched already stays open", "[loop][io]") {
  event_loop loop(options_of_run());
  pair p(loop);
  CHECK_THROWS_WITH(io_watch(loop, p.watch.fd()),
                    "cannot watch a descriptor: file already exists (uv EEXIST)");
  p.feed("a");
  CHECK(p.take(8) == 1);
}

TEST_CASE("watch: a descriptor that somebody else has closed is told at the wait", "[loop][io]") {
  event_loop loop(options_of_run());
  pair p(loop);
  count ran;
  ::close(p.watch.fd());
  CHECK_THROWS_WITH(p.watch.wait(io_direction::read, ran),
                    "cannot wait for a descriptor: bad file descriptor (uv EBADF)");
}

TEST_CASE("watch: what is left in epoll of a closed descriptor wakes nobody", "[loop][io]") {
  event_loop loop(options_of_run());
  auto gone = std::make_unique<pair>(loop);
  const int kept = ::dup(gone->watch.fd());  // so epoll goes on telling of it
  const int peer = ::dup(gone->peer);
  ::close(gone->watch.fd());
  gone = nullptr;
  pair heir(loop);  // has its place
  count ran;
  heir.watch.drained(io_direction::read);
  heir.watch.wait(io_direction::read, ran);
  REQUIRE(::send(peer, "x", 1, 0) == 1);
  turn(loop);
  CHECK(ran.times == 0);
  heir.feed("x");
  turn(loop);
  CHECK(ran.times == 1);
  ::close(kept);
  ::close(peer);
}
