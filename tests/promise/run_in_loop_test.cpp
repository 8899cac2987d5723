// SPDX-License-Identifier: MIT
#include <fermata/promise/cancel.hpp>
#include <fermata/promise/detach.hpp>
#include <fermata/promise/pause.hpp>
#include <fermata/promise/run_in_loop.hpp>

#include <catch2/catch.hpp>

#include <memory>
#include <semaphore>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using fermata::contract_error;
using fermata::detach;
using fermata::event_loop;
using fermata::loop_closed;
using fermata::promise;
using fermata::run_in_loop;
using fermata::run_in_loop_no_wait;

namespace {

promise<std::unique_ptr<int>> after_a_pause(std::unique_ptr<int> value) {
  co_await fermata::pause();
  ++*value;
  co_return value;
}

promise<int> seven() {
  co_await fermata::pause();
  co_return 7;
}

template <typename F>
std::string outcome(F f) {
  try {
    f();
  } catch (const std::exception& e) {
    return e.what();
  }
  return "went on";
}

const std::string closed = "cannot go on: the event loop has ended";

}  // namespace

TEST_CASE("run_in_loop gives a job what a function on its loop gives", "[promise][detach]") {
  event_loop loop;
  const auto here = std::this_thread::get_id();
  const auto there = loop.run(
      [] { return detach([] { return run_in_loop([] { return std::this_thread::get_id(); }); }); });
  CHECK(there == here);
  int calls = 0;
  loop.run([&] { return detach([&] { run_in_loop([&] { ++calls; }); }); });
  CHECK(calls == 1);
}

TEST_CASE("run_in_loop waits for a promise and moves its value over", "[promise][detach]") {
  event_loop loop;
  const int value = loop.run([] {
    return detach([] {
      auto given = run_in_loop([] { return after_a_pause(std::make_unique<int>(41)); });
      return *given;
    });
  });
  CHECK(value == 42);
  const int at_once =
      loop.run([] { return detach([] { return run_in_loop([] { return fermata::ready(7); }); }); });
  CHECK(at_once == 7);
}

TEST_CASE("exceptions cross from the loop to the job and back", "[promise][detach]") {
  event_loop loop;
  const auto said = loop.run([] {
    return detach([] {
      std::string all;
      all += outcome([] { run_in_loop([] { throw std::runtime_error("plain"); }); });
      all += outcome(
          [] { run_in_loop([] { return fermata::rejected(std::runtime_error(", promised")); }); });
      all += outcome([] {
        run_in_loop([]() -> promise<> {
          auto made = fermata::make_promise();
          return made.future;
        });
      });
      return all;
    });
  });
  CHECK(said == "plain, promiseda promise was given up: its resolver is gone");
  CHECK_THROWS_WITH(loop.run([] {
    return detach([] { run_in_loop([] { throw std::runtime_error("both ways"); }); });
  }),
                    "both ways");
}

TEST_CASE("run_in_loop_no_wait calls in order and waits for nothing", "[promise][detach]") {
  event_loop loop;
  std::string order;
  loop.run([&] {
    return detach([&] {
      for (const char* c : {"a", "b", "c"}) run_in_loop_no_wait([&order, c] { order += c; });
      run_in_loop([&order] { order += "d"; });
    });
  });
  CHECK(order == "abcd");
}

TEST_CASE("run_in_loop is refused where it would block a loop or knows none", "[promise][detach]") {
  event_loop loop;
  CHECK(outcome([] { run_in_loop([] {}); }) == "run_in_loop is called outside of a detached job");
  CHECK(outcome([] { run_in_loop_no_wait([] {}); }) ==
        "run_in_loop_no_wait is called outside of a detached job");
  CHECK(outcome([&] { run_in_loop(loop.letters(), [] {}); }) ==
        "run_in_loop would block a thread that has a loop");
  std::string said;
  std::thread([&] { said = outcome([] { run_in_loop([] {}); }); }).join();
  CHECK(said == "run_in_loop is called outside of a detached job");
}

TEST_CASE("a thread of the user's own calls into a loop by its mailbox", "[promise][detach]") {
  fermata::mailbox_ptr box;
  int given = 0;
  {
    event_loop loop;
    box = loop.letters();
    auto done = fermata::make_promise<>();
    std::thread other([&] {
      given = run_in_loop(box, [] { return 5; });
      box->post([&] { done.settle.resolve(); });
    });
    loop.run([&] { return done.future; });
    other.join();
  }
  CHECK(given == 5);
  std::string said;
  std::thread([&] { said = outcome([&] { run_in_loop(box, [] {}); }); }).join();
  CHECK(said == closed);
}

TEST_CASE("a cancel of a detached job reaches the promise that it waits for", "[promise][detach]") {
  event_loop loop;
  const auto run = [](bool takes_token) -> promise<std::string> {
    auto [asked, settle] = fermata::make_promise<>();
    std::string heard;
    const auto wait = [&] {
      try {
        run_in_loop([&settle = settle] {
          settle.resolve();  // the job waits now, or is about to
          return fermata::never();
        });
      } catch (const fermata::cancelled&) {
        heard = "heard";
      }
    };
    promise<> job = takes_token ? detach([&](std::stop_token) { wait(); }) : detach(wait);
    co_await asked;
    fermata::cancel(job);
    try {
      co_await job;
    } catch (const fermata::cancelled&) {
      heard += ", cancelled";
    }
    co_return heard;
  };
  CHECK(loop.run([&] { return run(true); }) == "heard, cancelled");
  CHECK(loop.run([&] { return run(false); }) == "heard");
}

TEST_CASE("a cancel that comes before a job waits for a promise is kept, once",
          "[promise][detach]") {
  event_loop loop;
  std::string said;
  const auto run = [&]() -> promise<> {
    auto [begun, settle] = fermata::make_promise<>();
    std::binary_semaphore go_on(0);
    const auto job = [&] {
      run_in_loop_no_wait([&settle = settle] { settle.resolve(); });
      go_on.acquire();
      said = run_in_loop([] { return std::string("called"); });
      try {
        run_in_loop([] { return fermata::never(); });
      } catch (const fermata::cancelled&) {
        said += ", cancelled";
      }
      said += ", " + std::to_string(run_in_loop([] { return seven(); }));
    };
    promise<> p = detach(job);
    co_await begun;
    fermata::cancel(p);
    go_on.release();
    co_await p;
  };
  loop.run(run);
  CHECK(said == "called, cancelled, 7");
}

TEST_CASE("the end of a loop answers jobs that wait for it", "[promise][detach]") {
  std::vector<std::string> said(3);
  std::vector<promise<>> jobs;
  bool was_called = false;
  {
    event_loop loop;
    loop.pool().set_bounds({3, 3});
    std::counting_semaphore<> started(0);
    loop.run([&] {
      jobs.push_back(detach([&] {  // its promise never settles but by the end
        said[0] = outcome([&] {
          run_in_loop([&] {
            started.release();
            return fermata::never<>();
          });
        });
      }));
      jobs.push_back(detach([&](std::stop_token stop) {  // asks when the end has begun
        std::binary_semaphore over(0);
        const std::stop_callback at_end(stop, [&] { over.release(); });
        started.release();
        over.acquire();
        said[1] = outcome([&] { run_in_loop([&] { was_called = true; }); });
        said[2] = run_in_loop_no_wait([] {}) ? "posted" : "refused";
      }));
      return detach([&] {
        started.acquire();
        started.acquire();
      });
    });
  }
  CHECK(said[0] == closed);
  CHECK(said[1] == closed);
  CHECK_FALSE(was_called);
  CHECK(said[2] == "posted");
}
