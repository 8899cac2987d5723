// SPDX-License-Identifier: MIT
#include "support/policy.hpp"

#include <fermata/loop/event_loop.hpp>
#include <fermata/loop/io_watch.hpp>

#include <catch2/catch.hpp>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include <array>
#include <optional>
#include <string>
#include <thread>

using namespace std::chrono_literals;
using namespace fermata::testing;
using fermata::contract_error;
using fermata::event_loop;
using fermata::io_direction;
using fermata::io_watch;
using fermata::policy;
using fermata::step_result;
using fermata::time_point;
using fermata::timer;

namespace {

// A program's own libuv, and our loop in it.
struct host {
  explicit host(fermata::loop_options options = options_of_run()) {
    REQUIRE(uv_loop_init(&uv) == 0);
    options.uv = &uv;
    loop.emplace(std::move(options));
  }
  ~host() {
    loop.reset();
    uv_run(&uv, UV_RUN_DEFAULT);
    CHECK(uv_loop_close(&uv) == 0);
  }
  // A timer of the host that calls `f` once.
  template <typename F>
  void after(std::uint64_t ms, F f) {
    struct call {
      uv_timer_t handle;
      F f;
    };
    auto* const c = new call{{}, std::move(f)};
    c->handle.data = c;
    uv_timer_init(&uv, &c->handle);
    const auto fire = [](uv_timer_t* t) {
      static_cast<call*>(t->data)->f();
      uv_close(reinterpret_cast<uv_handle_t*>(t),
               [](uv_handle_t* h) { delete static_cast<call*>(h->data); });
    };
    uv_timer_start(&c->handle, fire, ms, 0);
  }

  uv_loop_t uv{};
  std::optional<event_loop> loop;
};

// Gives way so many times.
class hog final : public fermata::ready_node {
public:
  hog(event_loop& loop, int times) : loop_(loop), left_(times) { loop_.enqueue_after_poll(*this); }
  void run() noexcept override {
    if (--left_ > 0) loop_.enqueue_after_poll(*this);
  }
  [[nodiscard]] int left() const { return left_; }

private:
  event_loop& loop_;
  int left_;
};

class note final : public fermata::ready_node {
public:
  explicit note(std::string& log, std::string text = "n") : log_(log), text_(std::move(text)) {}
  void run() noexcept override { log_ += text_; }

private:
  std::string& log_;
  std::string text_;
};

std::array<int, 2> socket_pair() {
  std::array<int, 2> ends{};
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0);
  return ends;
}

}  // namespace

TEST_CASE("host: its timers and ours run in one loop, which ends with the last", "[loop][host]") {
  host h;
  std::string log;
  std::optional<timer> ours;  // each starts the next: a slow machine changes no order
  h.after(0, [&] {
    log += "a";
    ours.emplace(*h.loop, 1ms, [&] {
      log += "b";
      h.after(1, [&log] { log += "c"; });
    });
  });
  CHECK(uv_run(&h.uv, UV_RUN_DEFAULT) == 0);
  CHECK(log == "abc");
}

TEST_CASE("host: a loop without work keeps it from nothing", "[loop][host]") {
  host h;
  const auto ends = socket_pair();
  const io_watch quiet(*h.loop, ends[0]);  // watched, but nobody waits
  CHECK(uv_run(&h.uv, UV_RUN_DEFAULT) == 0);
  CHECK_FALSE(h.loop->has_work());
  ::close(ends[1]);
}

TEST_CASE("host: what waits for a descriptor keeps it going", "[loop][host]") {
  host h;
  const auto ends = socket_pair();
  io_watch watch(*h.loop, ends[0]);
  std::string log;
  note readable(log);
  watch.wait(io_direction::read, readable);
  CHECK(h.loop->has_work());
  h.after(1, [fd = ends[1]] { static_cast<void>(::send(fd, "x", 1, 0)); });
  uv_run(&h.uv, UV_RUN_DEFAULT);
  CHECK(log == "n");
  ::close(ends[1]);
}

TEST_CASE("host: what its callback makes ready runs before it waits", "[loop][host]") {
  host h;
  std::string log;
  note made(log);
  h.after(0, [&] { h.loop->enqueue(made); });
  h.after(60'000, [] {});  // it would wait for this one
  uv_run(&h.uv, UV_RUN_NOWAIT);
  while (log.empty()) uv_run(&h.uv, UV_RUN_ONCE);
  CHECK(log == "n");
  uv_walk(
      &h.uv,
      [](uv_handle_t* t, void*) {
        if (t->type == UV_TIMER)
          uv_timer_start(reinterpret_cast<uv_timer_t*>(t),
                         reinterpret_cast<uv_timer_t*>(t)->timer_cb, 0, 0);
      },
      nullptr);
}

TEST_CASE("host: a sleep begun in its callback wakes it", "[loop][host]") {
  host h;
  std::string log;
  std::optional<timer> ours;
  h.after(0, [&] { ours.emplace(*h.loop, 2ms, [&log] { log += "s"; }); });
  uv_run(&h.uv, UV_RUN_DEFAULT);
  CHECK(log == "s");
}

TEST_CASE("host: one turn an iteration, however busy we are", "[loop][host]") {
  host h;
  const hog busy(*h.loop, 100);
  int iterations = 0;
  uv_prepare_t counter;
  counter.data = &iterations;
  uv_prepare_init(&h.uv, &counter);
  uv_unref(reinterpret_cast<uv_handle_t*>(&counter));
  uv_prepare_start(&counter, [](uv_prepare_t* p) { ++*static_cast<int*>(p->data); });
  const auto turns = h.loop->metrics().turns;
  uv_run(&h.uv, UV_RUN_DEFAULT);
  CHECK(busy.left() == 0);
  CHECK(iterations >= 100);
  CHECK(h.loop->metrics().polls >= 100);
  CHECK(h.loop->metrics().turns - turns <= 2 * static_cast<std::uint64_t>(iterations));
  uv_close(reinterpret_cast<uv_handle_t*>(&counter), nullptr);
}

TEST_CASE("host: a letter from another thread wakes it", "[loop][host]") {
  host h;
  bool came = false;
  h.loop->expect_post();
  std::thread other([&] {
    h.loop->post([&] {
      came = true;
      h.loop->got_post();
    });
  });
  uv_run(&h.uv, UV_RUN_DEFAULT);
  other.join();
  CHECK(came);
}

TEST_CASE("host: a look sees that it has something to do", "[loop][host]") {
  host h(options_with(policy::budget(1us)));
  const auto ends = socket_pair();
  uv_poll_t poll;
  REQUIRE(uv_poll_init(&h.uv, &poll, ends[0]) == 0);
  uv_poll_start(&poll, UV_READABLE, [](uv_poll_t*, int, int) {});
  uv_run(&h.uv, UV_RUN_NOWAIT);  // epoll knows it
  const auto somebody_waits = [&h] {
    bool yes = false;
    h.loop->run([&yes] {
      for (int i = 0; i < 1000 && !yes; ++i) yes = fermata::due(20us);
    });
    return yes;
  };
  CHECK_FALSE(somebody_waits());
  REQUIRE(::send(ends[1], "x", 1, 0) == 1);
  CHECK(somebody_waits());
  uv_close(reinterpret_cast<uv_handle_t*>(&poll), nullptr);
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST_CASE("host: a loop in it neither waits nor has virtual time", "[loop][host]") {
  host h;
  struct forever {
    [[nodiscard]] bool is_pending() const { return true; }
    void get() && {}
  };
  CHECK_THROWS_WITH(h.loop->run([] { return forever(); }),
                    "a loop in a host cannot wait: the host runs it");
  CHECK(h.loop->run([] { return 7; }) == 7);
  CHECK(h.loop->uv() == &h.uv);
  fermata::virtual_clock clock;
  fermata::loop_options options;
  options.clock = &clock;
  options.uv = &h.uv;
  CHECK_THROWS_WITH(event_loop(std::move(options)), "a loop in a host has no virtual time");
}

// ---- driven by whoever waits for backend_fd ----

TEST_CASE("backend_fd is readable when a timer is due", "[loop][host]") {
  event_loop loop(options_of_run());
  bool fired = false;
  const timer soon(loop, 2ms, [&fired] { fired = true; });
  pollfd asked{loop.backend_fd(), POLLIN, 0};
  int waits = 0;
  step_result left = loop.step();
  CHECK(left.next != time_point::max());
  while (!fired) {
    if (!left.more && ::poll(&asked, 1, -1) == 1) ++waits;
    left = loop.step();
  }
  CHECK(waits >= 1);
  CHECK(loop.step().next == time_point::max());
}

TEST_CASE("backend_fd is readable for events and letters until they are taken", "[loop][host]") {
  event_loop loop(options_of_run());
  const auto ends = socket_pair();
  io_watch watch(loop, ends[0]);
  std::string log;
  note readable(log, "r");
  watch.wait(io_direction::read, readable);
  for (int i = 0; i < 3; ++i) static_cast<void>(loop.step());
  pollfd asked{loop.backend_fd(), POLLIN, 0};
  CHECK(::poll(&asked, 1, 0) == 0);
  REQUIRE(::send(ends[1], "x", 1, 0) == 1);
  CHECK(::poll(&asked, 1, 0) == 1);
  while (loop.step().more) {
  }
  CHECK(log == "r");
  CHECK(::poll(&asked, 1, 0) == 0);
  loop.post([&log] { log += "p"; });
  CHECK(::poll(&asked, 1, 0) == 1);
  while (loop.step().more) {
  }
  CHECK(log == "rp");
  ::close(ends[1]);
}

TEST_CASE("a step says whether something is ready", "[loop][host]") {
  event_loop loop(options_with(policy::quanta(1)));
  std::string log;
  note a(log, "a"), b(log, "b");
  loop.enqueue(a);
  loop.enqueue(b);
  CHECK(loop.has_work());
  CHECK(loop.step().more);
  CHECK_FALSE(loop.step().more);
  CHECK(log == "ab");
  CHECK_FALSE(loop.has_work());
}
