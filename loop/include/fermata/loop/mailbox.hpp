// SPDX-License-Identifier: MIT
/// The way into a loop from other threads; it outlives the loop.
///
/// Shape:    letters are delivered on the loop in the order in which they were posted; those of
///           one thread never overtake each other. A storm of them is cut by the slice.
/// Thread:   any.
/// Cost:     one allocation a posted function; a system call only where the loop sleeps, or is
///           about to, and one for all letters that come until it has woken up.
/// Lifetime: whoever posts holds the mailbox (`event_loop::letters()`) or the loop.
#pragma once

#include <fermata/loop/budget.hpp>

#include <atomic>
#include <concepts>
#include <exception>
#include <memory>
#include <mutex>
#include <source_location>
#include <type_traits>
#include <utility>

namespace fermata {

class event_loop;
namespace detail {
class poller;
}

/// Something for a loop to do, intrusive: it stands in one mailbox at most and owns itself once it
/// has been sent.
class letter {
public:
  letter(const letter&) = delete;
  letter& operator=(const letter&) = delete;
  /// Thread: loop. The mailbox touches the letter no more.
  virtual void deliver() noexcept = 0;
  /// The same where the loop has ended before.
  virtual void drop() noexcept = 0;

protected:
  /// A `quick` one takes far less than a microsecond, and runs no code of users.
  explicit letter(bool quick = false) noexcept : is_quick_(quick) {}
  ~letter() = default;

private:
  friend class mailbox;
  friend class event_loop;
  std::atomic<letter*> next_ = nullptr;
  const bool is_quick_;
};

class mailbox {
public:
  mailbox(const mailbox&) = delete;
  mailbox& operator=(const mailbox&) = delete;

  /// Asks the loop to call `f`. False: the loop has ended; `f` is destroyed here. What `f` throws
  /// is reported as an unobserved rejection.
  /// Until its first check reports of the function name `site`.
  template <std::invocable F>
  bool post(F&& f, std::source_location site = std::source_location::current());
  /// False: the loop has ended, the letter stays the caller's.
  [[nodiscard]] bool send(letter& l) noexcept;
  /// Whether the loop has ended, as far as this thread can know.
  [[nodiscard]] bool is_closed() const noexcept;

private:
  friend class event_loop;
  mailbox() = default;

  // Ends the list, or stands in it for nobody.
  class mark final : public letter {
    void deliver() noexcept override {}
    void drop() noexcept override {}
  };

  // What the loop does.
  [[nodiscard]] bool has_letters() const noexcept {
    return oldest_ != &nobody_ || newest_.load(std::memory_order_seq_cst) != &nobody_;
  }
  [[nodiscard]] letter* take() noexcept;
  [[nodiscard]] bool may_sleep() noexcept;
  void stay_awake() noexcept { is_asleep_.store(false, std::memory_order_relaxed); }
  void close() noexcept;
  void wake() noexcept;
  [[nodiscard]] bool append(letter& l) noexcept;
  static void report(std::exception_ptr e) noexcept;

  template <typename F>
  class posted;

  alignas(64) std::atomic<letter*> newest_ = &nobody_;
  alignas(64) letter* oldest_ = &nobody_;
  std::atomic<bool> is_asleep_ = true;
  mark nobody_;
  mark end_;  // the newest of a closed mailbox, for ever
  std::mutex waking_;
  detail::poller* poller_ = nullptr;  // nullptr: the loop has ended
};

/// A mailbox that is held; copies may go to any thread.
using mailbox_ptr = std::shared_ptr<mailbox>;

template <typename F>
class mailbox::posted final : public letter {
public:
  template <typename G>
  posted(G&& g, std::source_location site) : call_(std::forward<G>(g)), site_(site) {}
  void deliver() noexcept override {
    const std::unique_ptr<posted> self(this);
    detail::note_site(site_);
    try {
      call_();
    } catch (...) {
      report(std::current_exception());
    }
  }
  void drop() noexcept override { delete this; }

private:
  F call_;
  std::source_location site_;
};

template <std::invocable F>
bool mailbox::post(F&& f, std::source_location site) {
  auto l = std::make_unique<posted<std::decay_t<F>>>(std::forward<F>(f), site);
  if (!send(*l)) return false;
  static_cast<void>(l.release());
  return true;
}

}  // namespace fermata
