// SPDX-License-Identifier: MIT
#include "support/policy.hpp"

#include <fermata/loop/event_loop.hpp>
#include <fermata/loop/mailbox.hpp>

#include <catch2/catch.hpp>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
using namespace fermata::testing;
using fermata::event_loop;
using fermata::mailbox_ptr;

namespace {

struct counts {
  int delivered = 0;
  int dropped = 0;
};

class counted final : public fermata::letter {
public:
  explicit counted(counts& c) : letter(true), counts_(c) {}
  void deliver() noexcept override { ++counts_.delivered; }
  void drop() noexcept override { ++counts_.dropped; }

private:
  counts& counts_;
};

// A promise, as `run` knows it, that settles when `done` says so.
struct until {
  const std::atomic<bool>& done;
  [[nodiscard]] bool is_pending() const { return !done; }
  bool get() && { return done; }
};

}  // namespace

TEST_CASE("mailbox keeps the order of each thread and loses no wake-up", "[loop][post]") {
  constexpr int threads = 4;
  constexpr int letters = 5000;
  event_loop loop(options_of_run());
  std::vector<int> last(threads, -1);
  int come = 0;
  bool in_order = true;
  std::atomic<bool> done = false;
  std::vector<std::thread> posters;
  for (int t = 0; t < threads; ++t) {
    posters.emplace_back([&, t, box = loop.letters()] {
      for (int i = 0; i < letters; ++i) {
        box->post([&, t, i] {
          in_order = in_order && last[static_cast<std::size_t>(t)] == i - 1;
          last[static_cast<std::size_t>(t)] = i;
          done = ++come == threads * letters;
        });
        if (i % 16 == 0) std::this_thread::yield();  // so that the loop falls asleep meanwhile
      }
    });
  }
  loop.run([&] { return until{done}; });
  for (std::thread& t : posters) t.join();
  CHECK(come == threads * letters);
  CHECK(in_order);
}

TEST_CASE("a loop that sleeps is woken by each of a thousand posts", "[loop][post]") {
  event_loop a(options_of_run());
  std::atomic<bool> done = false;
  int turns = 0;
  mailbox_ptr back;
  std::thread other([&, there = a.letters()] {
    event_loop b(options_of_run());
    std::atomic<bool> over = false;
    std::atomic<bool> ready = false;
    there->post([&] {
      back = b.letters();
      ready = true;
    });
    struct hop {
      static void go(event_loop& from,
                     mailbox_ptr to,
                     int& count,
                     std::atomic<bool>& end,
                     std::atomic<bool>& other_end) {
        if (++count == 1000) {
          end = true;
          to->post([&other_end] { other_end = true; });
          return;
        }
        to->post([&count, &end, &other_end, home = from.letters(), to] {
          home->post([&count, &end, &other_end, home, to] {
            go(event_loop::current(), to, count, end, other_end);
          });
        });
      }
    };
    b.run([&] {
      hop::go(b, there, turns, over, done);
      return until{over};
    });
  });
  a.run([&] { return until{done}; });
  other.join();
  CHECK(turns == 1000);
}

TEST_CASE("a post between two steps is delivered by the next one", "[loop][post]") {
  event_loop loop(options_of_run());
  loop.step();
  bool ran = false;
  std::thread([&] { loop.post([&] { ran = true; }); }).join();
  loop.step();
  CHECK(ran);
}

TEST_CASE("letters are dropped that come too late to be delivered", "[loop][post]") {
  counts c;
  counted a(c);
  counted b(c);
  mailbox_ptr box;
  auto held = std::make_shared<int>(1);
  {
    event_loop loop(options_of_run());
    box = loop.letters();
    CHECK(box->send(a));
    CHECK_FALSE(box->is_closed());
    box->post([held] {});
  }
  CHECK(c.delivered + c.dropped == 1);
  CHECK(held.use_count() == 1);
  CHECK(box->is_closed());
  CHECK_FALSE(box->send(b));
  CHECK_FALSE(box->post([held] {}));
  CHECK(held.use_count() == 1);
}

TEST_CASE("posting from many threads while the loop ends delivers or refuses each",
          "[loop][post]") {
  for (int round = 0; round < 50; ++round) {
    auto held = std::make_shared<std::atomic<int>>(0);
    std::atomic<int> refused = 0;
    std::vector<std::thread> posters;
    {
      auto loop = std::make_unique<event_loop>(options_of_run());
      for (int t = 0; t < 3; ++t) {
        posters.emplace_back([&refused, held, box = loop->letters()] {
          while (box->post([held] { ++*held; })) {
          }
          ++refused;
        });
      }
      loop->step();
    }
    for (std::thread& t : posters) t.join();
    CHECK(refused == 3);
    CHECK(held.use_count() == 1);
  }
}

TEST_CASE("what a posted function throws is reported and stops nobody", "[loop][post]") {
  std::string said;
  auto options = options_of_run();
  options.on_unobserved = [&said](std::exception_ptr e) { said += fermata::message_of(e); };
  event_loop loop(std::move(options));
  bool ran = false;
  loop.post([] { throw fermata::contract_error("no"); });
  loop.post([&] { ran = true; });
  while (!ran) loop.step();
  CHECK(said == "no");
  CHECK(loop.metrics().unobserved_rejections == 1);
}

TEST_CASE("a storm of quick letters is cut by the slice", "[loop][post]") {
  fermata::virtual_clock clock;
  fermata::loop_options options = options_with(fermata::policy::budget(100us));
  options.clock = &clock;
  counts c;
  std::vector<std::unique_ptr<counted>> letters;
  event_loop loop(std::move(options));
  for (int i = 0; i < 1000; ++i) {
    letters.push_back(std::make_unique<counted>(c));
    REQUIRE(loop.letters()->send(*letters.back()));
  }
  loop.step();
  CHECK(c.delivered < 200);
  while (c.delivered < 1000) loop.step();
  CHECK(loop.metrics().longest_gap.wall <= 100us + 2us);
}

TEST_CASE("a loop knows its thread", "[loop]") {
  event_loop loop(options_of_run());
  CHECK(loop.is_on_this_thread());
  bool elsewhere = true;
  std::thread([&] { elsewhere = loop.is_on_this_thread(); }).join();
  CHECK_FALSE(elsewhere);
}
