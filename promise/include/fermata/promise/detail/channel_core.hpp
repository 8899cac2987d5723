// SPDX-License-Identifier: MIT
/// What both ends of a channel share, and the operations on it: see channel.hpp.
///
/// Shape:  (1) a receiver waits only while nothing is queued and no sender waits; (2) a sender
///         waits only while the queue is full: so what comes is handed over or queued at once.
/// Thread: loop.
#pragma once

#include <fermata/promise/detail/counted.hpp>
#include <fermata/promise/detail/item_queue.hpp>
#include <fermata/promise/detail/operation.hpp>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <optional>
#include <utility>

namespace fermata {

class channel_closed : public error {
public:
  channel_closed() : error("cannot send: the channel is closed") {}
};

namespace detail {

template <typename T>
class channel_core;

template <typename T>
using channel_ptr = counted_ptr<channel_core<T>>;

template <typename T>
class channel_send {
public:
  using result = void;
  struct slot {
    bool is_refused = false;
    std::exception_ptr error;  // of the move into the queue
  };
  channel_send(channel_ptr<T> core, T&& i) : item(std::move(i)), core_(std::move(core)) {}
  [[nodiscard]] bool is_ready() const { return core_->takes_or_refuses(); }
  void perform() { core_->put(std::move(item)); }
  void take(const slot& s) const {
    if (s.error) std::rethrow_exception(s.error);
    if (s.is_refused) throw channel_closed();
  }
  [[nodiscard]] wait_queue& queue() const { return core_->senders; }

  T item;

private:
  channel_ptr<T> core_;
};

template <typename T>
class channel_receive {
public:
  using result = std::optional<T>;
  using slot = std::optional<T>;
  explicit channel_receive(channel_ptr<T> core) : core_(std::move(core)) {}
  [[nodiscard]] bool is_ready() const { return core_->has_item() || core_->is_closed(); }
  [[nodiscard]] result perform() { return core_->get(); }
  [[nodiscard]] result take(slot& item) {
    if (item) return result(std::in_place, std::move(*item));
    core_->rethrow_failure();
    return result();
  }
  [[nodiscard]] wait_queue& queue() const { return core_->receivers; }

private:
  channel_ptr<T> core_;
};

/// Those who wait for a place.
template <typename T>
class send_queue final : public wait_queue {
public:
  void refuse_all() noexcept {
    refuses_ = true;
    grant_all();
  }

private:
  bool give_to(wait_node& n) noexcept override {
    waiting<channel_send<T>>::slot_of(n).is_refused = refuses_;
    return true;
  }
  bool refuses_ = false;
};

template <typename T>
class channel_core {
public:
  explicit channel_core(std::size_t capacity) : capacity_(capacity) {}

  [[nodiscard]] bool is_closed() const noexcept { return is_closed_; }
  [[nodiscard]] bool has_item() const noexcept { return !items_.empty() || !senders.empty(); }
  [[nodiscard]] bool is_over() const noexcept { return is_closed_ && !has_item(); }
  [[nodiscard]] std::size_t size() const noexcept { return items_.size(); }
  [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }
  [[nodiscard]] bool takes_or_refuses() noexcept {
    return items_.size() < capacity_ || is_closed_ || receivers.front_wanted() != nullptr;
  }
  /// Throws: `channel_closed`.
  [[nodiscard]] bool takes() {
    if (is_closed_) throw channel_closed();
    return takes_or_refuses();
  }

  /// Hands the item over or queues it, where `takes()`.
  void put(T&& item) {
    if (is_closed_) throw channel_closed();
    if (wait_node* n = receivers.front_wanted()) {
      waiting<channel_receive<T>>::slot_of(*n).emplace(std::move(item));
      receivers.grant(*n);
    } else {
      items_.push(std::move(item));
    }
  }
  /// The first item. Throws: what `close` was given, where nothing is left.
  std::optional<T> get() {
    if (!items_.empty()) {
      const after_item guard(*this, &channel_core::pop_item);
      return std::optional<T>(std::in_place, std::move(items_.front()));
    }
    if (!senders.empty()) {
      const after_item guard(*this, &channel_core::pop_sender);
      return std::optional<T>(std::in_place, std::move(first_sender().item));
    }
    if (is_closed_) rethrow_failure();
    return std::optional<T>();
  }

  /// No more items; with `failure` readers are rejected at the end. The first call counts.
  void close(std::exception_ptr failure) noexcept {
    if (is_closed_) return;
    is_closed_ = true;
    failure_ = std::move(failure);
    receivers.grant_all();
  }
  /// Nobody will ever receive.
  void drop_all() noexcept {
    close(nullptr);
    senders.refuse_all();
    drop_items(std::move(items_));  // an item may hold an end of this channel
  }
  void rethrow_failure() const {
    if (failure_) std::rethrow_exception(failure_);
  }

  send_queue<T> senders;
  wait_queue receivers;
  std::size_t count = 0;
  std::size_t writers = 0;
  std::size_t readers = 0;

private:
  // Runs once the item has been moved to its place in the caller. To build it there, in one step,
  // is worth 20 ns: a copy of an optional waits until the parts it was written in are in the cache.
  class after_item {
  public:
    after_item(channel_core& c, void (channel_core::*pop)()) noexcept : core_(c), pop_(pop) {}
    after_item(const after_item&) = delete;
    after_item& operator=(const after_item&) = delete;
    ~after_item() { (core_.*pop_)(); }

  private:
    channel_core& core_;
    void (channel_core::*const pop_)();
  };

  // A sender whose item cannot be moved is told, and the next one has the place.
  void pop_item() noexcept {
    items_.pop();
    while (!senders.empty() && items_.size() < capacity_) {
      try {
        items_.push(std::move(first_sender().item));
      } catch (...) {
        waiting<channel_send<T>>::slot_of(*senders.front()).error = std::current_exception();
      }
      senders.grant(*senders.front());
    }
  }
  void pop_sender() { senders.grant(*senders.front()); }
  [[nodiscard]] channel_send<T>& first_sender() noexcept {
    return waiting<channel_send<T>>::op_of(*senders.front());
  }

  const std::size_t capacity_;
  item_queue<T> items_;
  bool is_closed_ = false;
  std::exception_ptr failure_;
};

enum class channel_side : std::uint8_t { writer, reader };

/// A counted end of a channel.
template <typename T, channel_side Side>
class channel_end {
public:
  /// No channel; everything but assignment and destruction throws `contract_error`.
  channel_end() noexcept = default;
  explicit channel_end(channel_ptr<T> c) : core_(std::move(c)) { ++ends(); }
  channel_end(const channel_end& other) : core_(other.core_) {
    if (core_) ++ends();
  }
  channel_end(channel_end&& other) noexcept = default;
  channel_end& operator=(channel_end other) noexcept {
    std::swap(core_, other.core_);
    return *this;
  }
  ~channel_end() {
    if (!core_ || --ends() > 0) return;
    if constexpr (Side == channel_side::writer) {
      core_->close(nullptr);
    } else {
      core_->drop_all();
    }
  }
  [[nodiscard]] explicit operator bool() const noexcept { return static_cast<bool>(core_); }

  /// Items that are queued. Sends that wait do not count.
  [[nodiscard]] std::size_t size() const { return core()->size(); }
  [[nodiscard]] std::size_t capacity() const { return core()->capacity(); }
  /// Whether sends are rejected.
  [[nodiscard]] bool is_closed() const { return core()->is_closed(); }

protected:
  [[nodiscard]] const channel_ptr<T>& core() const {
    if (!core_) throw contract_error("an end of a channel that was moved from is used");
    return core_;
  }

private:
  [[nodiscard]] std::size_t& ends() const noexcept {
    return Side == channel_side::writer ? core_->writers : core_->readers;
  }
  channel_ptr<T> core_;
};

}  // namespace detail
}  // namespace fermata
