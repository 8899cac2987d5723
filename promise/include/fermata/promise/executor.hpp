// SPDX-License-Identifier: MIT
/// Jobs that return promises, spread over several threads that each run an event loop.
///
/// Shape:    `submit(f)` calls `f` on a thread that has room for it and gives what its promise
///           gives. A job weighs 1 to 100 percent of a thread, 100 unless said: one of 100 has a
///           thread for itself, ten of 10 share one. Where there is no room the job waits, first
///           in, first out: the promise stays pending. `try_submit` gives nothing then.
/// Helping:  with `helping::yes` the loop that made the executor is one more thread: it takes jobs
///           that find the others full, as bulk work in slices, so they must pause like any task.
/// Cancel:   a job that waits is taken out; one that runs is cancelled on its loop, and the promise
///           settles when it is over there.
/// End:      the destructor ends the threads: what runs there or waits rejects with `loop_closed`.
/// Pauses:   never; the constructor and the destructor block until threads have begun or ended.
/// Thread:   that of the loop which made it, and which outlives it. `f` is called and destroyed
///           elsewhere: it owns what it uses.
/// Rejects:  what `f` throws or rejects with, `cancelled`, `loop_closed`; `contract_error` where
///           the weight is out of range.
/// Cost:     six allocations and two wake-ups a job: for work over 100 us.
#pragma once

#include <fermata/promise/context.hpp>
#include <fermata/promise/loop_thread.hpp>

#include <cstddef>
#include <list>
#include <memory>
#include <optional>
#include <source_location>
#include <utility>
#include <vector>

namespace fermata {

enum class helping : bool { no, yes };

struct executor_options {
  executor_options() {}  // no aggregate: safe as a default argument under g++ 12
  std::size_t threads = 2;
  helping helps = helping::no;
  policy when = policy::budget();  ///< of the threads' loops
};

struct executor_counts {
  std::size_t threads = 0;
  std::size_t running = 0;  ///< jobs that have room
  std::size_t helped = 0;   ///< of these on the loop of the executor
  std::size_t waiting = 0;
};

namespace detail {

/// Who has room. Thread: the executor's loop.
class executor_room : public std::enable_shared_from_this<executor_room> {
public:
  static constexpr unsigned whole = 100;

  /// Room that is taken; its end gives it back.
  class [[nodiscard]] seat {
  public:
    seat() noexcept = default;
    seat(std::shared_ptr<executor_room> room, std::size_t place, unsigned weight) noexcept
        : room_(std::move(room)), place_(place), weight_(weight) {}
    seat(seat&& other) noexcept = default;
    seat& operator=(seat&& other) noexcept {
      seat old(std::move(*this));
      room_ = std::move(other.room_);
      place_ = other.place_;
      weight_ = other.weight_;
      return *this;
    }
    ~seat() {
      if (room_ != nullptr) room_->leave(place_, weight_);
    }
    /// Where to run; nullptr: here.
    [[nodiscard]] const mailbox_ptr* letters() const noexcept { return room_->letters(place_); }

  private:
    std::shared_ptr<executor_room> room_;
    std::size_t place_ = 0;
    unsigned weight_ = 0;
  };

  explicit executor_room(const executor_options& options);
  [[nodiscard]] std::optional<seat> find(unsigned weight);
  [[nodiscard]] promise<seat> wait(unsigned weight);
  void end();
  [[nodiscard]] executor_counts counts() const noexcept;

private:
  struct entry {
    unsigned weight;
    resolver<seat> settle;
  };
  void leave(std::size_t place, unsigned weight);
  void seat_waiting();
  [[nodiscard]] const mailbox_ptr* letters(std::size_t place) const noexcept;

  std::vector<std::unique_ptr<loop_thread>> threads_;
  std::vector<mailbox_ptr> letters_;  // of each thread; it outlives them
  std::vector<unsigned> free_;        // of each thread, then of this loop if it helps
  std::list<entry> waiting_;
  std::size_t running_ = 0;
  std::size_t helped_ = 0;
  std::size_t here_;  // the place of this loop
  bool is_ended_ = false;
  bool is_seating_ = false;
};

template <typename F>
auto run_seated(executor_room::seat seat, F f, std::source_location site)
    -> std::invoke_result_t<F&> {
  if (const mailbox_ptr* there = seat.letters()) {
    auto away = submit_to(*there, std::move(f), site);
    co_return co_await std::move(away);
  }
  note_site(site);
  auto here = in_class(latency_class::bulk, std::move(f));
  co_return co_await std::move(here);
}

template <typename F>
auto run_when_seated(std::shared_ptr<executor_room> room,
                     unsigned weight,
                     F f,
                     std::source_location site) -> std::invoke_result_t<F&> {
  promise<executor_room::seat> turn = room->wait(weight);
  executor_room::seat seat = co_await std::move(turn);
  auto job = run_seated(std::move(seat), std::move(f), site);
  co_return co_await std::move(job);
}

}  // namespace detail

class executor {
public:
  explicit executor(const executor_options& options = {});
  executor(const executor&) = delete;
  executor& operator=(const executor&) = delete;
  ~executor();

  template <std::invocable F>
  auto submit(F f,
              unsigned weight = detail::executor_room::whole,
              std::source_location site = std::source_location::current())
      -> std::invoke_result_t<F&> {
    check<F>();
    return detail::run_when_seated(room_, weight, std::move(f), site);
  }
  /// Nothing where no thread has room at once, or others wait; `f` is then gone.
  template <std::invocable F>
  auto try_submit(F f,
                  unsigned weight = detail::executor_room::whole,
                  std::source_location site = std::source_location::current())
      -> std::optional<std::invoke_result_t<F&>> {
    check<F>();
    auto seat = room_->find(weight);
    if (!seat) return std::nullopt;
    return detail::run_seated(std::move(*seat), std::move(f), site);
  }
  [[nodiscard]] executor_counts counts() const noexcept { return room_->counts(); }

private:
  template <typename F>
  static void check() {
    static_assert(detail::any_promise<std::invoke_result_t<F&>>,
                  "a job of an executor returns a promise: detach takes plain functions");
  }

  std::shared_ptr<detail::executor_room> room_;
};

}  // namespace fermata
