// SPDX-License-Identifier: MIT
/// A bounded queue between tasks of one loop.
///
/// Shape:    `auto [writer, reader] = channel<T>(capacity);` capacity 0 is a rendezvous.
///           Ends are counted handles: with the last writer gone readers get what is left, then
///           nothing; with the last reader gone sends are rejected, what is queued is dropped.
///           `co_await w.send(x)`, `co_await r.receive()`; `as_promise()` for combinators.
/// Order:    first in, first out; an item is handed to the longest waiting reader at once.
/// Pauses:   a send waits while the channel is full, a receive while it is empty; each checks the
///           slice before it does anything.
/// Thread:   loop.
/// Rejects:  `channel_closed` (send), what `fail` was given (receive), what the move of the item
///           throws (the side that it happens to; the item is lost), `cancelled`: a cancelled
///           waiter leaves no hole, loses no item. A receive whose promise nobody holds is passed
///           by; one that has resolved owns its item.
/// Cost:     O(1) and no allocation; one as a promise; one for each 1 KiB of items queued. What a
///           channel holds at its end is dropped in steps of 256 items.
/// Lifetime: an end may go while its operations wait: see above.
#pragma once

#include <fermata/promise/detail/channel_core.hpp>

#include <cstddef>
#include <optional>
#include <source_location>
#include <utility>

namespace fermata {

template <typename T>
class channel_writer : public detail::channel_end<T, detail::channel_side::writer> {
public:
  using detail::channel_end<T, detail::channel_side::writer>::channel_end;
  using send_operation = operation<detail::channel_send<T>>;

  /// Goes on when the item has a place or a reader.
  send_operation send(T item, std::source_location site = std::source_location::current()) const {
    return {detail::channel_send<T>(this->core(), std::move(item)), site};
  }
  /// Sends where that needs no wait. False: the channel is full, and `item` is as it was.
  /// Throws: `channel_closed`.
  [[nodiscard]] bool try_send(T&& item) const {
    detail::channel_core<T>& c = *this->core();
    if (!c.takes()) return false;
    c.put(std::move(item));
    return true;
  }
  [[nodiscard]] bool try_send(const T& item) const {
    if (!this->core()->takes()) return false;
    this->core()->put(T(item));
    return true;
  }
  /// No more items from any writer. Sends that wait already are received still.
  void close() const { this->core()->close(nullptr); }
  /// The same, and at the end readers are rejected with `e`.
  void fail(std::exception_ptr e) const { this->core()->close(std::move(e)); }
};

template <typename T>
class channel_reader : public detail::channel_end<T, detail::channel_side::reader> {
public:
  using detail::channel_end<T, detail::channel_side::reader>::channel_end;
  using receive_operation = operation<detail::channel_receive<T>>;

  /// The next item; nothing at the end.
  receive_operation receive(std::source_location site = std::source_location::current()) const {
    return {detail::channel_receive<T>(this->core()), site};
  }
  /// The next item if one is there. Throws: what `fail` was given, once nothing is left.
  [[nodiscard]] std::optional<T> try_receive() const { return this->core()->get(); }
  /// Whether no item is left and none will come.
  [[nodiscard]] bool is_finished() const { return this->core()->is_over(); }
  /// Lets no more items in: what is queued, and the sends that wait, can be received still.
  void close() const { this->core()->close(nullptr); }
};

/// Both ends of a new channel.
template <typename T>
struct channel {
  explicit channel(std::size_t capacity)
      : channel(detail::channel_ptr<T>(new detail::channel_core<T>(capacity))) {}

  channel_writer<T> writer;
  channel_reader<T> reader;

private:
  explicit channel(const detail::channel_ptr<T>& core) : writer(core), reader(core) {}
};

}  // namespace fermata
