// SPDX-License-Identifier: MIT
/// Waiting for several promises: counts them in, asks the rest to end, collects what they gave.
///
/// Shape:  passes over the members (start, ask, visit, release), each in pieces of `gather_slice`:
///         the first piece runs where it is asked for, the others from the queue when somebody
///         waits. The gather is the state of its result, so that both are one allocation.
/// Thread: loop.
/// Cost:   one waiter a member; members that have settled before have none.
#pragma once

#include <fermata/promise/promise.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <variant>
#include <vector>

namespace fermata::detail {

/// Members that one step may pass, at up to 0.1 us each; those who come behind go on by 128.
inline constexpr std::size_t gather_slice = 1024;

class gather;

class gather_member final : public waiter {
public:
  void run() noexcept override;
  void drop() noexcept override;
  void counted() noexcept override;

private:
  friend class gather;
  gather* owner_ = nullptr;
  std::uint32_t index_ = 0;
  bool has_ended_ = false;
};

/// What becomes of the members that are pending when one has ended.
enum class rest : std::uint8_t { wait, cancel, leave };

class gather : public ready_node, public canceller {
public:
  state_base* request_cancel() noexcept override;
  void run() noexcept override;
  void lost() noexcept override { end_here(); }

protected:
  /// `own` has place for all members; nullptr where they are to be allocated.
  /// Where it `only_counts`, `ended` always says wait: then members need no way through the queue.
  gather(std::size_t count, gather_member* own, bool only_counts) noexcept
      : first_(own), count_(count), remaining_(count), kept_(count), only_counts_(only_counts) {}
  ~gather() = default;

  /// The gather may be gone afterwards.
  void begin() noexcept;
  /// From `start_range`, once for each member in its order.
  void start(std::size_t i, state_base& s) noexcept;
  /// Whether a cancel of the result came; what a member decided itself does not count.
  [[nodiscard]] bool is_asked() const noexcept { return is_asked_; }

private:
  friend class gather_member;
  virtual void start_range(std::size_t from, std::size_t to) noexcept = 0;
  /// Once for each member that ends, while others may be pending.
  virtual rest ended(std::size_t i) noexcept = 0;
  /// When all have ended or been left, in order.
  virtual void visit_range(std::size_t from, std::size_t to) noexcept = 0;
  /// Lets go of all but the first `left` members; not called where there is one slice only.
  virtual void shrink(std::size_t left) noexcept = 0;
  /// After the last visit: settles the result and lets it go.
  virtual void finish() noexcept = 0;

  enum class progress : std::uint8_t { waiting, more, done };
  [[nodiscard]] progress now() const noexcept;
  [[nodiscard]] bool has_to_ask() const noexcept {
    return rest_ != rest::wait && asked_ < count_ && remaining_ > 0;
  }
  void step(std::size_t left) noexcept;
  void release_some(std::size_t most) noexcept;
  void drive() noexcept;
  void end_here() noexcept;
  void ask(std::size_t i) noexcept;
  void end(std::size_t i) noexcept;
  void end_of(gather_member& m) noexcept;
  void count_one(gather_member& m) noexcept;
  [[nodiscard]] gather_member* find(std::size_t i) noexcept;
  [[nodiscard]] gather_member& make(std::size_t i);

  std::unique_ptr<gather_member[]> made_;  // what first_ points to, unless the result has it
  gather_member* first_;                   // the first slice
  std::vector<std::unique_ptr<gather_member[]>> further_;  // the slices behind it
  std::size_t count_;
  std::size_t remaining_;    // that have not ended
  std::size_t started_ = 0;  // how far each pass has come
  std::size_t asked_ = 0;
  std::size_t visited_ = 0;
  std::size_t kept_;  // members that have not been released
  rest rest_ = rest::wait;
  const bool only_counts_;
  bool is_asked_ = false;
  bool is_busy_ = false;
};

/// The error that a set of settled promises makes together; null where all have resolved. A promise
/// that is pending still was left by a cancel.
class error_sum {
public:
  template <typename T>
  void add(const promise<T>& p) {
    state<T>& s = access::root(p);
    if (s.is_pending()) {
      has_cancelled_ = true;
    } else if (s.now() == phase::rejected) {
      add_error(s.error());
    }
  }
  void add_error(std::exception_ptr e);
  [[nodiscard]] bool empty() const noexcept { return errors_.empty() && !has_cancelled_; }
  [[nodiscard]] std::exception_ptr take();

private:
  std::vector<std::exception_ptr> errors_;
  bool has_cancelled_ = false;
};

template <typename T>
using item_of = std::conditional_t<std::is_void_v<T>, std::monostate, T>;

/// The value of a resolved promise, moved out of the last handle.
template <typename T>
item_of<T> take_item(const promise<T>& p) {
  if constexpr (std::is_void_v<T>) {
    return {};
  } else {
    return take_value(access::root(p), 1);
  }
}

/// Place for members whose number the compiler knows.
template <std::size_t N>
struct gather_members {
  std::array<gather_member, N> own;
};

/// A gather with its result.
///
/// Shape: `Collect` has `out`, `inlined` (how many members at most; 0: any number), `any_will_do`
///        (one that has settled is enough), `only_counts` (may be absent), `size()`, `check()`
///        (throws where a member is no promise), `at(i) -> state_base&`, `ended(i)`, `visit(i)`,
///        `settle(state<out>&, is_asked)` and `shrink(left)`.
template <typename Collect>
class gather_into final : public state<typename Collect::out>,
                          private gather_members<Collect::inlined>,
                          public gather {
public:
  using out = typename Collect::out;

  /// Throws: `contract_error` for a member that was moved from, or of another thread.
  static promise<out> make(Collect c) {
    c.check();
    if (c.size() <= gather_slice && has_settled(c)) return settle_now(std::move(c));
    auto* g = new gather_into(std::move(c));
    promise<out> result = access::handle<out>(g);
    g->begin();
    return result;
  }

private:
  explicit gather_into(Collect c)
      : gather(
            c.size(),
            Collect::inlined > 0 ? this->own.data() : nullptr,
            requires { requires Collect::only_counts; }),
        collect_(std::move(c)) {
    this->set_producer(this);
  }

  static bool has_settled(Collect& c) noexcept {
    for (std::size_t i = 0; i < c.size(); ++i) {
      if (c.at(i).is_pending() != Collect::any_will_do) return Collect::any_will_do;
    }
    return !Collect::any_will_do;
  }
  static promise<out> settle_now(Collect c) {
    auto* s = new state<out>;
    promise<out> result = access::handle(s);
    s->release();
    for (std::size_t i = 0; i < c.size(); ++i) {
      if (!c.at(i).is_pending() && c.ended(i) != rest::wait) break;
    }
    for (std::size_t i = 0; i < c.size(); ++i) c.visit(i);
    settle(c, *s, false);
    return result;
  }
  static void settle(Collect& c, state<out>& to, bool is_asked) noexcept {
    try {
      c.settle(to, is_asked);
    } catch (...) {
      to.reject(std::current_exception());
    }
  }

  void start_range(std::size_t from, std::size_t to) noexcept override {
    for (; from < to; ++from) this->start(from, collect_.at(from));
  }
  rest ended(std::size_t i) noexcept override { return collect_.ended(i); }
  void visit_range(std::size_t from, std::size_t to) noexcept override {
    for (; from < to; ++from) collect_.visit(from);
  }
  void shrink(std::size_t left) noexcept override { collect_.shrink(left); }
  void finish() noexcept override {
    settle(collect_, this->typed_root(), this->is_asked());
    this->release();
  }

  Collect collect_;
};

}  // namespace fermata::detail
