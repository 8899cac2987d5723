// SPDX-License-Identifier: MIT
// Values whose move throws, in what holds values for others.
#include "support/policy.hpp"

#include <fermata/promise/channel.hpp>
#include <fermata/promise/mvar.hpp>
#include <fermata/promise/test_loop.hpp>

#include <catch2/catch.hpp>

#include <string>

using namespace fermata::testing;
using fermata::promise;
using fermata::test_loop;

namespace {

// The one with the number `stuck` cannot be moved.
struct heavy {
  explicit heavy(int n) noexcept : number(n) {}
  heavy(heavy&& other) : number(other.number) {
    if (number == stuck) throw fermata::error("too heavy to be moved");
  }
  int number;
  static inline int stuck = 0;
};

template <typename T>
std::string failure_of(const promise<T>& p) {
  return p.is_rejected() ? fermata::message_of(p.error()) : "none";
}

}  // namespace

TEST_CASE("channel: an item that cannot be moved into the queue is told to who sends it",
          "[promise][channel]") {
  test_loop loop(options_of_run());
  const auto run = [] {
    heavy::stuck = 0;
    auto [w, r] = fermata::channel<heavy>(1);
    const promise<> first = w.send(heavy(1));
    const promise<> second = w.send(heavy(2));
    const promise<> third = w.send(heavy(3));
    CHECK((first.is_resolved() && second.is_pending() && third.is_pending()));
    heavy::stuck = 2;
    CHECK(r.try_receive()->number == 1);
    CHECK(failure_of(second) == "too heavy to be moved");
    CHECK(third.is_resolved());
    CHECK(r.try_receive()->number == 3);
    CHECK_FALSE(r.try_receive());
  };
  loop.run(run);
}

TEST_CASE("channel: an item that cannot be moved out is told to who receives it",
          "[promise][channel]") {
  test_loop loop(options_of_run());
  const auto run = [] {
    heavy::stuck = 0;
    auto [w, r] = fermata::channel<heavy>(1);
    const promise<> first = w.send(heavy(1));
    const promise<> second = w.send(heavy(2));
    heavy::stuck = 1;
    CHECK_THROWS_WITH(r.try_receive(), "too heavy to be moved");
    CHECK(second.is_resolved());
    CHECK(r.try_receive()->number == 2);
  };
  loop.run(run);
}

TEST_CASE("mvar: a value that cannot be moved is told to who puts or takes it", "[promise][mvar]") {
  test_loop loop(options_of_run());
  const auto run = [] {
    heavy::stuck = 0;
    fermata::mvar<heavy> v(heavy(1));
    const promise<> second = v.put(heavy(2));
    const promise<> third = v.put(heavy(3));
    const promise<> fourth = v.put(heavy(4));
    heavy::stuck = 2;
    CHECK(v.try_take()->number == 1);
    CHECK(failure_of(second) == "too heavy to be moved");
    CHECK(third.is_resolved());
    heavy::stuck = 3;
    CHECK_THROWS_WITH(v.try_take(), "too heavy to be moved");
    CHECK(fourth.is_resolved());
    CHECK(v.try_take()->number == 4);
  };
  loop.run(run);
}
