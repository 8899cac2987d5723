// SPDX-License-Identifier: MIT
/// The thread: runs what is ready, and looks in bounded time whether anybody waits.
///
/// Shape:   a turn runs ready nodes until none is left or the slice is used up, then polls libuv.
///          libuv's callbacks only enqueue; user code never runs inside them.
/// Bound:   the gap between two looks is at most the slice and the longest single step, for any
///          number of tasks, under every policy but `greedy`.
/// Order:   first in, first out in each latency class; what paused goes behind all that the next
///          poll made ready. Nothing else may be relied upon.
/// Thread:  one loop a thread runs; everything here belongs to it but `post`.
/// Cost:    a poll is about 160 ns, a look that finds nobody about 120 ns.
#pragma once

#include <fermata/loop/budget.hpp>
#include <fermata/loop/context.hpp>
#include <fermata/loop/error.hpp>
#include <fermata/loop/log.hpp>
#include <fermata/loop/metrics.hpp>
#include <fermata/loop/ready_queue.hpp>
#include <fermata/loop/time_source.hpp>
#include <fermata/loop/timer.hpp>
#include <fermata/loop/unique_function.hpp>

#include <uv.h>

#include <chrono>
#include <concepts>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <string_view>
#include <type_traits>
#include <utility>

namespace fermata {

class mailbox;
class worker_pool;

/// What a loop is made with.
struct loop_options {
  loop_options() {}  // no aggregate: safe as a default argument under g++ 12
  policy when = policy::budget();
  virtual_clock* clock = nullptr;  ///< nullptr: the steady clock; else it outlives the loop
  log_sink log;
  /// With a virtual clock: nothing is ready, no timer runs and no descriptor is waited for.
  std::function<void()> on_deadlock;
  bool measure_cpu = false;  ///< also CPU time and context switches between looks (0.7 us a look)
  /// Told of each rejection that nobody saw; the default writes a line to `log`.
  unique_function<void(std::exception_ptr)> on_unobserved;
};

/// Something that waits inside a loop and must hear when the loop ends.
class loop_resident {
public:
  loop_resident() noexcept = default;
  loop_resident(const loop_resident&) = delete;
  loop_resident& operator=(const loop_resident&) = delete;
  virtual void loop_ends() noexcept = 0;

protected:
  ~loop_resident() { move_out(); }
  void move_in(event_loop& loop) noexcept;
  void move_out() noexcept;

private:
  friend class event_loop;
  loop_resident* next_ = nullptr;
  loop_resident** back_ = nullptr;
};

/// A promise as `run` needs it: promise/ has it, loop/ does not know it.
template <typename P>
concept runnable_promise = requires(P p) {
  { p.is_pending() } -> std::convertible_to<bool>;
  std::move(p).get();
};

class event_loop {
public:
  /// Throws: `error` where libuv or the kernel refuses a descriptor.
  explicit event_loop(loop_options options = {});
  event_loop(const event_loop&) = delete;
  event_loop& operator=(const event_loop&) = delete;
  /// Ends the workers, rejects what still waits with `loop_closed`, runs what that makes ready and
  /// returns when every handle is closed.
  ~event_loop();

  /// The loop of this thread: the one that runs, else the one made last.
  /// Throws: `contract_error` where there is none.
  [[nodiscard]] static event_loop& current();
  [[nodiscard]] static event_loop* find_current() noexcept;

  /// Calls `f` on the loop; if it gives a promise, turns until that has settled and gives its
  /// value. Throws: what `f` throws or its promise rejects with; `contract_error` inside a running
  /// loop.
  template <std::invocable F>
  auto run(F&& f) {
    running guard(*this);
    if constexpr (runnable_promise<std::invoke_result_t<F>>) {
      auto p = std::forward<F>(f)();
      guard.wait_for(p);
      while (p.is_pending()) turn([&] { return p.is_pending(); });
      return std::move(p).get();
    } else {
      return std::forward<F>(f)();
    }
  }

  /// Runs one turn: what is ready within the slice, then one poll that does not wait.
  void step();

  /// Asks the loop to call `f`, from any thread. False: the loop has ended, `f` is dropped.
  /// Thread: any, while the loop exists; a `mailbox_ptr` is safe for ever.
  bool post(unique_function<void()> f);
  [[nodiscard]] const std::shared_ptr<mailbox>& letters() const noexcept { return mailbox_; }

  [[nodiscard]] time_point now() const noexcept { return time_.now(); }
  /// The time `d` from now, and where that is no time any more the last one there is.
  [[nodiscard]] time_point after(std::chrono::nanoseconds d) const noexcept {
    const time_point from = now();
    return d > time_point::max() - from ? time_point::max() : from + d;
  }
  [[nodiscard]] bool has_virtual_time() const noexcept { return time_.virtual_time() != nullptr; }
  [[nodiscard]] const loop_metrics& metrics() const noexcept { return metrics_; }
  /// Begins a new phase: the longest gap is measured anew from here.
  void reset_gaps() noexcept;
  void log(log_level level, std::string_view area, std::string_view message) const;
  void report_unobserved(std::exception_ptr e) noexcept;

  /// The pool of this loop, made at the first call. Throws: `loop_closed` once the loop ends.
  [[nodiscard]] worker_pool& pool();
  /// The same, or nullptr where none has been made or the loop ends.
  [[nodiscard]] worker_pool* find_pool() const noexcept { return pool_.get(); }
  [[nodiscard]] uv_loop_t* uv() noexcept { return &uv_; }

  // What promise/ is built from.
  [[nodiscard]] const context_ptr& current_context() const noexcept { return context_; }
  /// Replaces the context of what runs now; the caller puts the old one back.
  context_ptr exchange_context(context_ptr c) noexcept;
  /// Gives a node the current context, in which it will run.
  void adopt(ready_node& n) noexcept { n.context_ = context_; }
  /// Appends an adopted node to the ready queue of its context's loop.
  static void make_ready(ready_node& n) noexcept;
  /// Adopts a node and appends it to the ready queue.
  void enqueue(ready_node& n) noexcept;
  /// Adopts a node and appends it behind all that the next poll makes ready.
  void enqueue_after_poll(ready_node& n) noexcept;
  /// What a due check leads to: behind the next poll, or under `each_bind` behind the ready queue.
  void give_way(ready_node& n) noexcept;
  /// Adopts a node that becomes ready at `deadline`.
  void start(timer_node& n, time_point deadline);
  /// Work elsewhere (threads) that will come back by `post`: virtual time stands still meanwhile.
  void expect_post() noexcept { ++expected_posts_; }
  void got_post() noexcept { --expected_posts_; }
  /// Whether the destructor runs: then a pause is the last one of its task.
  [[nodiscard]] bool is_ending() const noexcept { return is_ending_; }

  /// Nesting of callbacks and coroutines on this thread's stack, and guards that forbid pauses.
  struct task_state {
    int nesting = 0;
    int no_pause = 0;
  };
  [[nodiscard]] task_state& task() noexcept { return task_; }

private:
  friend class loop_resident;
  friend class io_watch;
  friend bool detail::due_slowly(detail::meter& m, std::int64_t cost_ns);

  class running {
  public:
    explicit running(event_loop& loop);
    ~running();
    /// From now on a look asks whether `p` has settled. Lifetime: until the guard ends or p does.
    template <typename P>
    void wait_for(const P& p) noexcept {
      loop_.awaited_ = &p;
      loop_.is_awaited_ = [](const void* q) { return static_cast<const P*>(q)->is_pending(); };
    }

  private:
    event_loop& loop_;
    event_loop* outer_;
    detail::meter* outer_meter_;
  };

  struct letter_node;

  template <typename StillWanted>
  void turn(StillWanted&& still_wanted) {
    run_ready();
    if (still_wanted()) poll(true);
  }
  void run_ready();
  [[nodiscard]] bool run_node(ready_node& n);
  void poll(bool may_wait);
  void poll_virtual();
  void wait_for_events();
  void fire_due_timers();
  void release_paused();
  [[nodiscard]] bool due_now(std::int64_t cost_ns);
  [[nodiscard]] bool is_used_up(std::int64_t cost_ns);
  time_point read_clock(std::int64_t cost_ns) noexcept;
  [[nodiscard]] bool somebody_waits(time_point now);
  [[nodiscard]] bool epoll_has_events() const noexcept;
  void load_meter() noexcept;
  void begin_turn() noexcept;
  void begin_gap() noexcept;
  void end_gap(time_point now) noexcept;
  void arm_alarm(time_point deadline);
  void open_handles();
  void close_handles() noexcept;
  void finish() noexcept;

  time_source time_;
  loop_options options_;
  loop_metrics metrics_;
  detail::meter meter_;
  ready_queue ready_;
  node_list paused_;
  timer_heap timers_;
  context_ptr root_;
  context_ptr context_;
  task_state task_;
  loop_resident* residents_ = nullptr;
  std::shared_ptr<mailbox> mailbox_;
  std::unique_ptr<letter_node> letter_node_;
  std::unique_ptr<worker_pool> pool_;

  time_point turn_start_{};
  time_point last_reading_{};
  std::int64_t allowance_ns_ = 0;  // what the meter was loaded with
  std::uint32_t steps_ = 0;        // since the last poll, for quanta
  bool slice_over_ = false;
  bool is_running_ = false;
  const void* awaited_ = nullptr;  // by run(), whose caller is one who waits
  bool (*is_awaited_)(const void*) = nullptr;
  bool is_ending_ = false;
  std::uint64_t expected_posts_ = 0;
  std::uint64_t waiting_watches_ = 0;  // nodes that wait for a descriptor

  time_point gap_start_{};
  std::int64_t gap_cpu_start_ns_ = 0;
  long gap_switches_start_ = 0;

  uv_loop_t uv_{};
  uv_async_t* wake_ = nullptr;
  uv_poll_t* alarm_ = nullptr;
  int alarm_fd_ = -1;
  time_point alarm_at_ = time_point::max();
  event_loop* older_ = nullptr;  // the loop this thread made before this one
};

/// The way into a loop from other threads; it outlives the loop.
class mailbox {
public:
  /// Thread: any. False: the loop has ended, `f` is dropped.
  bool post(unique_function<void()> f);

private:
  friend class event_loop;
  struct letters;
  mailbox();
  std::unique_ptr<letters> letters_;

public:
  mailbox(const mailbox&) = delete;
  mailbox& operator=(const mailbox&) = delete;
  ~mailbox();
};

}  // namespace fermata
