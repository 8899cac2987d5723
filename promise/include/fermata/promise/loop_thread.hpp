// SPDX-License-Identifier: MIT
/// A thread that runs an event loop of its own, until it is stopped.
///
/// Shape:    the loop exists once the constructor has returned. `post`, `submit_to(t.letters(), f)`
///           and `t.submit(f)` reach it. Several of them, one loop each, make use of several cores.
/// End:      `stop` asks the loop to end, which rejects what waits on it with `loop_closed`, also
///           for callers on other loops; the destructor stops and joins.
/// Pauses:   never; the constructor and the destructor block until the thread has begun or ended.
/// Thread:   any, but the destructor not on the thread itself.
/// Throws:   the constructor: std::system_error where there is no thread, `error` where there is no
///           loop.
#pragma once

#include <fermata/promise/submit_to.hpp>

#include <memory>
#include <source_location>
#include <thread>
#include <utility>

namespace fermata {

class loop_thread {
public:
  explicit loop_thread(loop_options options = {});
  loop_thread(const loop_thread&) = delete;
  loop_thread& operator=(const loop_thread&) = delete;
  ~loop_thread();

  void stop() noexcept;
  /// The way into the loop; it may be kept for ever.
  [[nodiscard]] const mailbox_ptr& letters() const noexcept { return letters_; }
  [[nodiscard]] std::thread::id id() const noexcept { return thread_.get_id(); }

  /// False: the loop has ended.
  template <std::invocable F>
  bool post(F f, std::source_location site = std::source_location::current()) {
    return letters_->post(std::move(f), site);
  }
  /// Thread: that of a loop.
  template <std::invocable F>
  auto submit(F f, std::source_location site = std::source_location::current()) {
    return submit_to(letters_, std::move(f), site);
  }

private:
  class stop_letter;
  struct begin;
  void run(loop_options options, begin& told);

  mailbox_ptr letters_;
  std::unique_ptr<stop_letter> stop_;
  std::thread thread_;
};

}  // namespace fermata
