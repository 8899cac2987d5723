// SPDX-License-Identifier: MIT
/// One writer's items to every reader: bounded, so a reader that is too slow misses some.
///
/// Shape:    `auto [writer, reader] = broadcast<T>(capacity);` `writer.send(x)` never waits; the
///           last `capacity` items are kept. More readers come by `writer.subscribe()` (from the
///           next item on) or as a copy (from where the original stands). With the last writer gone
///           readers get what is left, then nothing.
/// Pauses:   a receive, while nothing new is there; else it checks the slice before it takes an
///           item.
/// Thread:   loop.
/// Rejects:  `lagged` with the number of items that a reader has missed: the next receive goes on
///           with the oldest that is kept; `cancelled`, which loses nothing; `loop_closed`.
/// Throws:   `contract_error` for a capacity of 0.
/// Cost:     a send O(tasks that wait), in steps of 256; a receive O(1) and a copy of the item: let
///           `T` be a shared pointer where that is dear.
#pragma once

#include <fermata/promise/detail/counted.hpp>
#include <fermata/promise/detail/operation.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <source_location>
#include <utility>

namespace fermata {

/// A reader was slower than the items came.
class lagged : public error {
public:
  explicit lagged(std::uint64_t missed);
  [[nodiscard]] std::uint64_t missed() const noexcept { return missed_; }

private:
  std::uint64_t missed_;
};

namespace detail {

template <typename T>
struct broadcast_core;

template <typename T>
class broadcast_queue final : public wait_queue {
public:
  explicit broadcast_queue(const broadcast_core<T>& of) noexcept : core_(of) {}

private:
  bool give_to(wait_node& n) noexcept override;
  const broadcast_core<T>& core_;
};

template <typename T>
struct broadcast_core {
  explicit broadcast_core(std::size_t c) : capacity(c), receivers(*this) {
    if (c == 0) throw contract_error("a broadcast that keeps no item");
  }
  [[nodiscard]] std::uint64_t oldest() const noexcept { return next - items.size(); }

  std::size_t count = 0;
  std::size_t capacity;
  std::size_t writers = 0;
  std::size_t readers = 0;
  std::uint64_t next = 0;  // the number of the item that comes next
  std::deque<T> items;     // the last ones
  broadcast_queue<T> receivers;
};

/// Where a reader stands.
template <typename T>
struct broadcast_place {
  broadcast_place(counted_ptr<broadcast_core<T>> c, std::uint64_t n) noexcept
      : core(std::move(c)), next(n) {
    ++core->readers;
  }
  broadcast_place(const broadcast_place&) = delete;
  broadcast_place& operator=(const broadcast_place&) = delete;
  ~broadcast_place() {
    if (--core->readers == 0) core->items.clear();
  }
  /// Item `n`, or nothing beyond the last. Throws: `lagged`.
  [[nodiscard]] std::optional<T> get(std::uint64_t n) {
    if (n >= core->next) return std::nullopt;
    const std::uint64_t oldest = core->oldest();
    if (n < oldest) {
      if (next < oldest) next = oldest;
      throw lagged(oldest - n);
    }
    return core->items[static_cast<std::size_t>(n - oldest)];
  }

  std::size_t count = 0;
  counted_ptr<broadcast_core<T>> core;
  std::uint64_t next;
};

template <typename T>
class broadcast_receive {
public:
  using result = std::optional<T>;
  struct slot {
    std::uint64_t number = 0;
  };
  explicit broadcast_receive(counted_ptr<broadcast_place<T>> p) noexcept : place(std::move(p)) {}
  [[nodiscard]] bool is_ready() const noexcept {
    return place->next < place->core->next || place->core->writers == 0;
  }
  [[nodiscard]] result perform() {
    const std::uint64_t n = place->next;
    if (n < place->core->next) ++place->next;
    return place->get(n);
  }
  [[nodiscard]] result take(const slot& s) { return place->get(s.number); }
  [[nodiscard]] wait_queue& queue() const noexcept { return place->core->receivers; }

  counted_ptr<broadcast_place<T>> place;
};

// One receive of each reader gets the item; a second one of the same reader waits on.
template <typename T>
bool broadcast_queue<T>::give_to(wait_node& n) noexcept {
  using receive = waiting<broadcast_receive<T>>;
  broadcast_place<T>& place = *receive::op_of(n).place;
  const bool is_new = place.next < core_.next;
  if (!is_new && core_.writers > 0) return false;
  if (is_new && !n.is_wanted()) return false;
  receive::slot_of(n).number = is_new ? place.next++ : core_.next;
  return true;
}

}  // namespace detail

template <typename T>
class broadcast_reader {
public:
  using receive_operation = operation<detail::broadcast_receive<T>>;

  /// No broadcast; everything but assignment and destruction throws `contract_error`.
  broadcast_reader() noexcept = default;
  explicit broadcast_reader(const detail::counted_ptr<detail::broadcast_core<T>>& core)
      : broadcast_reader(core, core->next) {}
  broadcast_reader(broadcast_reader&&) noexcept = default;
  broadcast_reader(const broadcast_reader& other) {
    if (other.place_) *this = broadcast_reader(other.place_->core, other.place_->next);
  }
  broadcast_reader& operator=(broadcast_reader other) noexcept {
    std::swap(place_, other.place_);
    return *this;
  }

  /// The next item; nothing at the end.
  receive_operation receive(std::source_location site = std::source_location::current()) const {
    static_cast<void>(place());
    return {detail::broadcast_receive<T>(place_), site};
  }
  /// The next item if one is there. Throws: `lagged`.
  [[nodiscard]] std::optional<T> try_receive() const {
    static_cast<void>(place());
    return detail::broadcast_receive<T>(place_).perform();
  }
  /// Items that have come and were not received, those that were missed included.
  [[nodiscard]] std::uint64_t behind() const { return place().core->next - place().next; }
  [[nodiscard]] explicit operator bool() const noexcept { return static_cast<bool>(place_); }

private:
  broadcast_reader(const detail::counted_ptr<detail::broadcast_core<T>>& core, std::uint64_t next)
      : place_(new detail::broadcast_place<T>(core, next)) {}
  [[nodiscard]] detail::broadcast_place<T>& place() const {
    if (!place_) throw contract_error("a reader that was moved from is used");
    return *place_;
  }
  detail::counted_ptr<detail::broadcast_place<T>> place_;
};

template <typename T>
class broadcast_writer {
public:
  /// No broadcast; everything but assignment and destruction throws `contract_error`.
  broadcast_writer() noexcept = default;
  explicit broadcast_writer(detail::counted_ptr<detail::broadcast_core<T>> core)
      : core_(std::move(core)) {
    ++core_->writers;
  }
  broadcast_writer(broadcast_writer&&) noexcept = default;
  broadcast_writer(const broadcast_writer& other) : core_(other.core_) {
    if (core_) ++core_->writers;
  }
  broadcast_writer& operator=(broadcast_writer other) noexcept {
    std::swap(core_, other.core_);
    return *this;
  }
  ~broadcast_writer() {
    if (core_ && --core_->writers == 0) core_->receivers.grant_all();
  }

  /// Returns how many readers there are; without one the item is dropped.
  std::size_t send(T item) const {
    detail::broadcast_core<T>& c = core();
    if (c.readers == 0) {
      ++c.next;
      return 0;
    }
    c.items.push_back(std::move(item));
    ++c.next;
    if (c.items.size() > c.capacity) c.items.pop_front();
    c.receivers.grant_all();
    return c.readers;
  }
  /// A reader that gets what is sent from now on.
  [[nodiscard]] broadcast_reader<T> subscribe() const {
    static_cast<void>(core());
    return broadcast_reader<T>(core_);
  }
  [[nodiscard]] std::size_t readers() const { return core().readers; }
  [[nodiscard]] explicit operator bool() const noexcept { return static_cast<bool>(core_); }

private:
  [[nodiscard]] detail::broadcast_core<T>& core() const {
    if (!core_) throw contract_error("a writer that was moved from is used");
    return *core_;
  }
  detail::counted_ptr<detail::broadcast_core<T>> core_;
};

/// The first writer and the first reader.
template <typename T>
struct broadcast {
  explicit broadcast(std::size_t capacity)
      : broadcast(detail::counted_ptr<detail::broadcast_core<T>>(
            new detail::broadcast_core<T>(capacity))) {}

  broadcast_writer<T> writer;
  broadcast_reader<T> reader;

private:
  explicit broadcast(const detail::counted_ptr<detail::broadcast_core<T>>& core)
      : writer(core), reader(core) {}
};

}  // namespace fermata
