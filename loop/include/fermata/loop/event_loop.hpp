// SPDX-License-Identifier: MIT
/// The thread: runs what is ready, and looks in bounded time whether anybody waits.
///
/// Shape:   a turn runs ready nodes until none is left or the slice is used up, then polls. Events
///          and our callbacks of libuv only enqueue; what waits never runs inside a poll.
/// Bound:   the gap between two looks is at most the slice and the longest single step, for any
///          number of tasks, under every policy but `greedy`.
/// Order:   first in, first out in each latency class; what paused goes behind all that the next
///          poll made ready. Nothing else may be relied upon.
/// Thread:  one loop a thread runs; everything here belongs to it but `post`.
/// Hosts:   a program with a `uv_loop_t` of its own hands it over (`loop_options::uv`); any other
///          one waits for `backend_fd` and calls `step`.
/// libuv:   is made at the first call of `uv()`. Its loop turns within a poll where its descriptor
///          is readable, a timer of it is due or it has something to do at once, and only then.
/// Cost:    a poll is about 130 ns, a look that finds nobody about 120 ns.
#pragma once

#include <fermata/loop/budget.hpp>
#include <fermata/loop/context.hpp>
#include <fermata/loop/detail/pulse.hpp>
#include <fermata/loop/error.hpp>
#include <fermata/loop/log.hpp>
#include <fermata/loop/mailbox.hpp>
#include <fermata/loop/metrics.hpp>
#include <fermata/loop/poller.hpp>
#include <fermata/loop/ready_queue.hpp>
#include <fermata/loop/time_source.hpp>
#include <fermata/loop/timer.hpp>
#include <fermata/loop/trace.hpp>
#include <fermata/loop/unique_function.hpp>

#include <uv.h>

#include <chrono>
#include <concepts>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>

namespace fermata {

class worker_pool;

namespace detail {
struct loop_watch;
class observer;
}  // namespace detail

/// What a loop is made with.
struct loop_options {
  loop_options() {}  // no aggregate: safe as a default argument under g++ 12
  policy when = policy::budget();
  virtual_clock* clock = nullptr;  ///< nullptr: the steady clock; else it outlives the loop
  log_sink log;
  /// With a virtual clock: nothing is ready, no timer runs and no descriptor is waited for.
  std::function<void()> on_deadlock;
  /// A loop of libuv that runs elsewhere and turns this one: at most one turn an iteration of it,
  /// in a callback. `uv_run` goes on while this loop has work. It outlives the event loop, and runs
  /// once more after the end of that, for libuv to close our handles.
  uv_loop_t* uv = nullptr;
  bool measure_cpu = false;    ///< also CPU time and context switches between looks (0.7 us a look)
  bool measure_steps = false;  ///< also steps, waits and sites, see `loop_metrics` (50 ns a step)
  trace_options trace;
  /// With a virtual clock, where not 0: a step that used more CPU time than it declared and this
  /// counts in `loop_metrics::overruns` (0.4 us a check). It finds checks that are missing.
  std::chrono::nanoseconds check_costs{0};
  /// For tests: tasks are taken in an order that a run with the same seed repeats. A check may
  /// pause at any time, and what has paused comes back in any order; what the loop promises holds.
  std::optional<std::uint64_t> seed;
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
  inline void move_in(event_loop& loop) noexcept;
  void move_out() noexcept {
    if (back_ == nullptr) return;
    *back_ = next_;
    if (next_ != nullptr) next_->back_ = back_;
    back_ = nullptr;
    next_ = nullptr;
  }

private:
  friend class event_loop;
  loop_resident* next_ = nullptr;
  loop_resident** back_ = nullptr;
};

/// What a step has left.
struct step_result {
  bool more = false;                    ///< something is ready: step again without waiting
  time_point next = time_point::max();  ///< when a timer is due
};

/// A promise as `run` needs it: promise/ has it, loop/ does not know it.
template <typename P>
concept runnable_promise = requires(P p) {
  { p.is_pending() } -> std::convertible_to<bool>;
  std::move(p).get();
};

namespace detail {
[[gnu::tls_model("initial-exec")]] extern thread_local constinit event_loop* running_loop;
[[gnu::tls_model("initial-exec")]] extern thread_local constinit event_loop*
    newest_loop;  // made last; others follow by older_
}  // namespace detail

class event_loop {
public:
  /// Throws: `error` where the kernel refuses a descriptor; `contract_error` for a host's loop with
  /// a virtual clock.
  explicit event_loop(loop_options options = {});
  event_loop(const event_loop&) = delete;
  event_loop& operator=(const event_loop&) = delete;
  /// Ends the workers, rejects what still waits with `loop_closed`, runs what that makes ready and
  /// returns when every handle is closed.
  ~event_loop();

  /// The loop of this thread: the one that runs, else the one made last.
  /// Throws: `contract_error` where there is none.
  [[nodiscard]] static event_loop& current() {
    event_loop* const loop = find_current();
    if (loop == nullptr) [[unlikely]]
      report_no_loop();
    return *loop;
  }
  [[nodiscard]] static event_loop* find_current() noexcept {
    event_loop* const loop = detail::running_loop;
    return loop != nullptr ? loop : detail::newest_loop;
  }

  /// Calls `f` on the loop; if it gives a promise, turns until that has settled and gives its
  /// value. Throws: what `f` throws or its promise rejects with; `contract_error` inside a running
  /// loop, and where a promise would be waited for that a host's loop must settle.
  template <std::invocable F>
  auto run(F&& f, std::source_location site = std::source_location::current()) {
    running guard(*this, site);
    if constexpr (runnable_promise<std::invoke_result_t<F>>) {
      if (host_ != nullptr) refuse_to_wait();
      auto p = std::forward<F>(f)();
      guard.wait_for(p);
      while (p.is_pending()) turn([&] { return p.is_pending(); });
      return std::move(p).get();
    } else {
      return std::forward<F>(f)();
    }
  }

  /// Runs one turn: what is ready within the slice, then one poll that does not wait.
  step_result step();
  /// A descriptor that is readable when a step has something to do: an event, a letter, a timer
  /// that is due since the last step. Whoever starts or settles something outside of a step steps
  /// once more before waiting.
  [[nodiscard]] int backend_fd() noexcept;
  /// Whether anything is ready, sleeps, or waits for a descriptor or a thread.
  [[nodiscard]] bool has_work() const noexcept;

  /// Asks the loop to call `f`, from any thread. False: the loop has ended, `f` is dropped.
  /// Thread: any, while the loop exists; a `mailbox_ptr` is safe for ever.
  template <std::invocable F>
  bool post(F&& f, std::source_location site = std::source_location::current()) {
    return mailbox_->post(std::forward<F>(f), site);
  }
  [[nodiscard]] const mailbox_ptr& letters() const noexcept { return mailbox_; }

  [[nodiscard]] time_point now() const noexcept { return time_.now(); }
  /// The time `d` from now, and where that is no time any more the last one there is.
  [[nodiscard]] time_point after(std::chrono::nanoseconds d) const noexcept {
    return later(now(), d);
  }
  [[nodiscard]] bool has_virtual_time() const noexcept { return time_.virtual_time() != nullptr; }
  [[nodiscard]] const loop_metrics& metrics() const noexcept { return metrics_; }
  /// The events of this loop. Thread: loop.
  [[nodiscard]] fermata::event_trace& trace() noexcept { return *trace_; }
  /// Begins a new phase: the longest gap is measured anew from here.
  void reset_gaps() noexcept;
  void log(log_level level, std::string_view area, std::string_view message) const;
  void report_unobserved(std::exception_ptr e) noexcept;

  /// The pool of this loop, made at the first call. Throws: `loop_closed` once the loop ends.
  [[nodiscard]] worker_pool& pool();
  /// The same, or nullptr where none has been made or the loop ends.
  [[nodiscard]] worker_pool* find_pool() const noexcept { return pool_.get(); }
  /// For handles of one's own, whose callbacks run within polls; made at the first call. They are
  /// closed before the loop ends, which waits for that. The host's, where there is one.
  /// Throws: `error` where libuv cannot start.
  [[nodiscard]] uv_loop_t* uv();

  // What promise/ is built from.
  [[nodiscard]] const context_ptr& current_context() const noexcept { return context_; }
  /// Replaces the context of what runs now; the caller puts the old one back.
  context_ptr exchange_context(context_ptr c) noexcept;
  /// Gives a node the current context, in which it will run.
  void adopt(ready_node& n) noexcept {
    if (!(n.context_ == context_)) n.context_ = context_;
  }
  /// Appends an adopted node to the ready queue of its context's loop; where that has ended the
  /// node is lost here and now.
  static void make_ready(ready_node& n) noexcept {
    event_loop* const loop = n.context_->find_loop();
    if (loop != nullptr) [[likely]] {
      loop->push_ready(n);
    } else {
      n.lost();
    }
  }
  /// Runs an adopted node here and now, nested in what runs; from the queue where 64 are nested
  /// already or it belongs to another loop.
  static void run_nested(ready_node& n) noexcept;
  /// As `make_ready`, but before all that is ready: for a node that stands for several.
  static void make_ready_first(ready_node& n) noexcept;
  /// Adopts a node and appends it to the ready queue.
  void enqueue(ready_node& n) noexcept {
    adopt(n);
    push_ready(n);
  }
  /// Adopts a node and appends it behind all that the next poll makes ready.
  void enqueue_after_poll(ready_node& n) noexcept;
  /// What a due check leads to: behind the next poll, or under `each_bind` behind the ready queue.
  void give_way(ready_node& n) noexcept;
  /// Adopts a node that becomes ready at `deadline`.
  void start(timer_node& n, time_point deadline);
  /// Work elsewhere (threads) that will come back by `post`: virtual time stands still meanwhile.
  void expect_post() noexcept { ++expected_posts_; }
  void got_post() noexcept { --expected_posts_; }
  /// A detached job of the task `name` has ended.
  void note_job(const job_times& t, std::string_view name) noexcept;
  /// Jobs of this loop that run elsewhere and whose letter the end of the loop waits for. Virtual
  /// time stands still while one of them runs or may be started.
  void job_leaves() noexcept { ++jobs_; }
  void job_is_back() noexcept { --jobs_; }
  /// Whether this loop belongs to the calling thread.
  [[nodiscard]] bool is_on_this_thread() const noexcept { return thread_ == this_thread(); }
  /// Whether the destructor runs: then a pause is the last one of its task.
  [[nodiscard]] bool is_ending() const noexcept { return is_ending_; }

  /// Nesting of callbacks and coroutines on this thread's stack, and guards that forbid pauses.
  struct task_state {
    int nesting = 0;
    int no_pause = 0;
  };
  [[nodiscard]] task_state& task() noexcept { return task_; }
  /// Whether a coroutine may begin on this stack: a few may also when the turn is over, so that
  /// what starts tasks in depth comes to its end and does not begin them all.
  [[nodiscard]] bool may_start() const noexcept {
    return task_.nesting < (slice_over_ ? nesting_limit_when_over : nesting_limit);
  }

private:
  friend class context;
  friend class loop_resident;
  friend class io_watch;
  friend class event_trace;
  friend struct detail::loop_watch;
  friend bool detail::due_slowly(detail::meter& m, std::int64_t cost_ns);

  class running {
  public:
    /// Turns of the loop.
    explicit running(event_loop& loop);
    /// A call on the loop, which is a step, and the turns that follow.
    running(event_loop& loop, std::source_location site);
    ~running();
    /// From now on a look asks whether `p` has settled. Lifetime: until the guard ends or p does.
    template <typename P>
    void wait_for(const P& p) noexcept {
      loop_.note_step_ended();
      loop_.awaited_ = &p;
      loop_.is_awaited_ = [](const void* q) { return static_cast<const P*>(q)->is_pending(); };
    }

  private:
    event_loop& loop_;
    event_loop* outer_;
    detail::meter* outer_meter_;
  };

  struct letter_node;
  /// An address that is the thread's own, cheaper to come by than its id.
  [[nodiscard]] static const void* this_thread() noexcept {
    [[gnu::tls_model("initial-exec")]] static thread_local constinit char own = 0;
    return &own;
  }

  template <typename StillWanted>
  void turn(StillWanted&& still_wanted) {
    bool may_wait = true;
    do {
      run_ready();
      if (!still_wanted()) return;
    } while (jobs_ > 0 && lingers(may_wait));
    poll(may_wait);
  }
  [[noreturn]] static void report_no_loop();
  void run_ready();
  [[nodiscard]] bool is_within_slice() noexcept;
  [[nodiscard]] bool may_go_on();
  void enter(const context_ptr& c) noexcept;
  [[nodiscard]] bool lingers(bool& may_wait) noexcept;
  [[nodiscard]] bool may_linger() noexcept;
  void poll(bool may_wait);
  [[nodiscard]] detail::poller::found sleep() noexcept;
  [[nodiscard]] detail::poller::found wait_for_events(time_point now) noexcept;
  [[nodiscard]] detail::poller::found wait_virtual(time_point now);
  void take(const detail::poller::found& what, time_point now) noexcept;
  void fire_due_timers(time_point now);
  void observe() noexcept;
  void check_cost(std::int64_t cost_ns) noexcept;
  void push_ready(ready_node& n) noexcept {
    if (observer_ != nullptr) [[unlikely]]
      note_ready(n);
    ready_.push(n);
  }
  void note_ready(const ready_node& n) noexcept;
  void run_observed(ready_node& n);
  void note_step_ended() noexcept;
  [[nodiscard]] std::uint64_t next_random() noexcept;
  [[nodiscard]] bool pauses_by_seed() noexcept;
  void shuffle(node_list& nodes) noexcept;
  void note_timer_lag(std::chrono::nanoseconds lag) noexcept;
  void release_paused();
  [[nodiscard]] bool has_paused() const noexcept {
    return !paused_prompt_.empty() || !paused_bulk_.empty();
  }
  [[nodiscard]] bool due_now(std::int64_t cost_ns);
  [[nodiscard]] bool is_used_up(std::int64_t cost_ns);
  time_point read_clock(std::int64_t cost_ns) noexcept;
  void note_overrun(std::int64_t took_ns, std::int64_t cost_ns) noexcept;
  [[nodiscard]] bool somebody_waits(time_point now);
  [[nodiscard]] bool is_idle() const noexcept;
  [[nodiscard]] bool expects_something() const noexcept;
  [[nodiscard]] bool libuv_is_due(time_point now) noexcept;
  [[nodiscard]] time_point libuv_deadline() const noexcept;
  void run_libuv() noexcept;
  void keep_libuv_time(time_point now) noexcept;
  void close_libuv() noexcept;
  void enter_host();
  void leave_host() noexcept;
  void turn_in_host();
  void prepare_host() noexcept;
  [[nodiscard]] bool host_waits() const noexcept;
  [[noreturn]] static void refuse_to_wait();
  void load_meter() noexcept;
  void begin_turn(time_point now) noexcept;
  void begin_gap(time_point now) noexcept;
  void end_gap(time_point now) noexcept;
  void wait_for_jobs() noexcept;
  void close_mailbox() noexcept;
  void finish() noexcept;

  time_source time_;
  loop_options options_;
  loop_metrics metrics_;
  detail::meter meter_;
  detail::pulse pulse_;
  ready_queue ready_;
  node_list paused_prompt_;
  node_list paused_bulk_;
  timer_heap timers_;
  std::shared_ptr<detail::watch_post> post_;
  context* contexts_ = nullptr;  // all that name this loop
  context_ptr root_;
  context_ptr context_;
  context_ptr ran_last_;  // in a turn that is over, until its gap has ended
  task_state task_;
  loop_resident* residents_ = nullptr;
  mailbox_ptr mailbox_;
  std::unique_ptr<letter_node> letter_node_;
  std::unique_ptr<worker_pool> pool_;
  std::unique_ptr<event_trace> trace_;
  std::unique_ptr<detail::observer> observes_;
  detail::observer* observer_ = nullptr;  // the same while there is something to observe

  time_point turn_start_{};  // moves where a slice is renewed
  time_point turn_begun_{};
  time_point last_reading_{};
  std::uint64_t turn_start_ticks_ = 0;
  std::uint64_t last_ticks_ = 0;
  std::uint64_t longest_step_ticks_ = 0;  // 0: only the clock tells
  std::int64_t allowance_ns_ = 0;         // what the meter was loaded with
  std::uint32_t steps_ = 0;               // since the last poll, for quanta
  std::uint64_t random_ = 0;              // the state of a seed
  bool slice_over_ = false;
  bool is_running_ = false;
  const void* awaited_ = nullptr;  // by run(), whose caller is one who waits
  bool (*is_awaited_)(const void*) = nullptr;
  bool is_ending_ = false;
  std::uint64_t expected_posts_ = 0;
  std::uint64_t jobs_ = 0;
  int linger_credit_ = 0;  // below 0: to wait awake has not paid lately
  const void* thread_ = this_thread();
  std::uint64_t waiting_watches_ = 0;  // nodes that wait for a descriptor

  time_point gap_start_{};
  std::chrono::nanoseconds last_gap_{0};
  std::int64_t gap_cpu_start_ns_ = 0;
  std::int64_t step_cpu_start_ns_ = 0;  // with `check_costs`
  long gap_switches_start_ = 0;

  detail::poller poller_;
  struct libuv_loop;
  std::unique_ptr<libuv_loop> own_uv_;  // none until somebody asks for it
  struct host_link;
  host_link* host_ = nullptr;      // freed by libuv's callbacks
  uv_loop_t* uv_ = nullptr;        // our own one or the host's
  bool is_driven_ = false;         // by somebody who waits for backend_fd
  time_point libuv_time_until_{};  // then it is read anew
  event_loop* older_ = nullptr;    // the loop this thread made before this one
};

inline void loop_resident::move_in(event_loop& loop) noexcept {
  next_ = loop.residents_;
  back_ = &loop.residents_;
  if (next_ != nullptr) next_->back_ = &next_;
  loop.residents_ = this;
}

}  // namespace fermata
