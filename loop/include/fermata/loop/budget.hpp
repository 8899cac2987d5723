// SPDX-License-Identifier: MIT
/// How long work may hold the thread: the constants, the policies and the check `due`.
///
/// Pauses: never; `due` only says whether the caller should.
/// Thread: loop. Without a running loop on this thread `due` says no.
/// Cost:   `due` is 1-2 ns while the declared costs stay below `clock_interval`; then one clock
///         reading (about 20 ns), and at the end of a slice one look (about 150 ns).
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <limits>
#include <source_location>
#include <string>
#include <string_view>

namespace fermata {

class event_loop;

/// What a task may use before the loop looks whether anybody waits.
inline constexpr std::chrono::nanoseconds default_slice = std::chrono::microseconds(500);
/// The most that a step between two checks may take; what takes longer is cut or detached.
inline constexpr std::chrono::nanoseconds longest_step = std::chrono::microseconds(300);
/// What the availability tests hold: CPU time between two looks.
inline constexpr std::chrono::nanoseconds gap_bound = std::chrono::milliseconds(2);
/// The clock is read when the costs declared since the last reading reach this.
inline constexpr std::chrono::nanoseconds clock_interval = std::chrono::microseconds(16);
/// What a step costs whose caller declares nothing.
inline constexpr std::chrono::nanoseconds default_cost = std::chrono::microseconds(1);
/// Callbacks and coroutines that may be nested on one stack before the next starts from the queue.
inline constexpr int nesting_limit = 64;
/// The same for coroutines once the turn is over.
inline constexpr int nesting_limit_when_over = 4;

/// When work gives the thread back; a value that is carried by the context and inherited.
///
/// | policy      | the thread is given back                        | as in  |
/// | greedy      | at `pause()` only                                | Lwt    |
/// | each_bind   | every bind and await goes through the queue      | Async  |
/// | quanta(n)   | at every n-th check                              | Miou   |
/// | budget(d)   | when `d` is used up and somebody waits (default) |        |
/// | always      | at every check, for tests                        |        |
class policy {
public:
  enum class kind : std::uint8_t { greedy, each_bind, quanta, budget, always };

  [[nodiscard]] static constexpr policy greedy() { return {kind::greedy, 0}; }
  [[nodiscard]] static constexpr policy each_bind() { return {kind::each_bind, 0}; }
  [[nodiscard]] static constexpr policy quanta(std::uint32_t n) { return {kind::quanta, n}; }
  [[nodiscard]] static constexpr policy always() { return {kind::always, 0}; }
  /// Where `slice` is not positive it is used up at once, at each check.
  [[nodiscard]] static constexpr policy budget(std::chrono::nanoseconds slice = default_slice) {
    return {kind::budget, slice.count()};
  }

  /// Reads `greedy`, `each_bind`, `quanta=N` (1 to 1,000,000), `budget=US` (1 to 1,000,000
  /// microseconds) or `always`.
  /// Throws: `contract_error` that names the text and the forms.
  [[nodiscard]] static policy parse(std::string_view text);
  [[nodiscard]] std::string to_string() const;

  [[nodiscard]] constexpr kind what() const { return kind_; }
  /// The slice that a turn may use; greedy has none.
  [[nodiscard]] constexpr std::chrono::nanoseconds slice() const {
    return kind_ == kind::budget ? std::chrono::nanoseconds(number_) : default_slice;
  }
  [[nodiscard]] constexpr std::uint32_t steps() const {
    return kind_ == kind::quanta ? static_cast<std::uint32_t>(number_) : 1;
  }
  /// Whether a bind or await on a settled promise goes through the queue all the same.
  [[nodiscard]] constexpr bool queues_binds() const { return kind_ == kind::each_bind; }
  bool operator==(const policy&) const = default;

private:
  constexpr policy(kind k, std::int64_t n) : number_(n), kind_(k) {}
  std::int64_t number_;
  kind kind_;
};

namespace detail {

/// What `due` touches: the allowance until the clock is read, and who asked last.
struct meter {
  std::int64_t left_ns = std::numeric_limits<std::int64_t>::max() / 2;
  std::atomic<std::source_location> site{};  // also read by the stall monitor
  event_loop* loop = nullptr;
};
[[gnu::tls_model("initial-exec")]] extern thread_local constinit meter* current_meter;
[[nodiscard]] bool due_slowly(meter& m, std::int64_t cost_ns);

}  // namespace detail

namespace detail {

/// Says where the task is, without a step.
inline void note_site(std::source_location site) noexcept {
  if (current_meter != nullptr) current_meter->site.store(site, std::memory_order_relaxed);
}

}  // namespace detail

/// Declares a step of `cost` and says whether the caller should give the thread back now.
[[nodiscard, gnu::always_inline]] inline bool due(
    std::chrono::nanoseconds cost = default_cost,
    std::source_location site = std::source_location::current()) {
  if (detail::current_meter == nullptr) return false;
  detail::meter& m = *detail::current_meter;
  m.site.store(site, std::memory_order_relaxed);
  m.left_ns -= cost.count();
  if (m.left_ns > 0) [[likely]]
    return false;
  return detail::due_slowly(m, cost.count());
}

}  // namespace fermata
