// SPDX-License-Identifier: MIT
/// A bounded queue between tasks of one loop.
///
/// Shape:   `auto [writer, reader] = channel<T>(capacity);` capacity 0 is a rendezvous.
///          Ends are counted handles: with the last writer gone readers get what is left, then
///          nothing; with the last reader gone sends are rejected, what is queued is dropped.
/// Order:   first in, first out; an item is handed to the longest waiting reader at once.
/// Pauses:  a send waits while the channel is full, a receive while it is empty.
/// Thread:  loop.
/// Rejects: `channel_closed` (send), `cancelled`: a cancelled waiter leaves no hole, loses no item.
/// Cost:    O(1); one allocation an operation, two where it waits.
#pragma once

#include <fermata/promise/promise.hpp>

#include <cstddef>
#include <deque>
#include <list>
#include <memory>
#include <optional>
#include <utility>

namespace fermata {

class channel_closed : public error {
public:
  channel_closed() : error("cannot send: the channel is closed") {}
};

namespace detail {

template <typename T>
class channel_core : public std::enable_shared_from_this<channel_core<T>> {
public:
  explicit channel_core(std::size_t capacity) : capacity_(capacity) {}

  promise<> send(T item) {
    if (is_closed_ || readers == 0) return rejected(channel_closed());
    if (!receivers_.empty()) {
      resolver<std::optional<T>> r = std::move(receivers_.front());
      receivers_.pop_front();
      r.resolve(std::move(item));
      return ready();
    }
    if (items_.size() < capacity_) {
      items_.push_back(std::move(item));
      return ready();
    }
    auto at = senders_.emplace(senders_.end(), std::move(item));
    auto [p, r] = make_task<>([core = this->weak_from_this(), at] {
      if (auto c = core.lock()) c->leave(c->senders_, at, at->settle);
    });
    at->settle = std::move(r);
    return p;
  }

  promise<std::optional<T>> receive() {
    if (auto item = take()) return ready(std::move(item));
    if (is_closed_ || writers == 0) return ready(std::optional<T>());
    auto at = receivers_.emplace(receivers_.end());
    auto [p, r] = make_task<std::optional<T>>([core = this->weak_from_this(), at] {
      if (auto c = core.lock()) c->leave(c->receivers_, at, *at);
    });
    *at = std::move(r);
    return p;
  }

  std::optional<T> take() {
    if (!items_.empty()) {
      std::optional<T> item(std::move(items_.front()));
      items_.pop_front();
      if (!senders_.empty()) items_.push_back(take_from_sender());
      return item;
    }
    if (!senders_.empty()) return take_from_sender();
    return std::nullopt;
  }

  void close() {
    is_closed_ = true;
    while (!receivers_.empty()) {
      resolver<std::optional<T>> r = std::move(receivers_.front());
      receivers_.pop_front();
      r.resolve(std::optional<T>());
    }
  }
  void drop_all() {
    is_closed_ = true;
    items_.clear();
    while (!senders_.empty()) {
      resolver<> r = std::move(senders_.front().settle);
      senders_.pop_front();
      r.reject(std::make_exception_ptr(channel_closed()));
    }
  }
  [[nodiscard]] std::size_t size() const noexcept { return items_.size(); }

  std::size_t writers = 0;
  std::size_t readers = 0;

private:
  struct sender {
    explicit sender(T&& i) : item(std::move(i)) {}
    T item;
    resolver<> settle;
  };

  template <typename List, typename Place, typename Resolver>
  void leave(List& list, Place at, Resolver& settle) {
    Resolver r = std::move(settle);
    list.erase(at);
    r.reject(std::make_exception_ptr(cancelled()));
  }
  T take_from_sender() {
    T item = std::move(senders_.front().item);
    resolver<> r = std::move(senders_.front().settle);
    senders_.pop_front();
    r.resolve();
    return item;
  }

  std::size_t capacity_;
  std::deque<T> items_;
  std::list<sender> senders_;
  std::list<resolver<std::optional<T>>> receivers_;
  bool is_closed_ = false;
};

/// A counted end of a channel; `Count` is the core's counter of such ends.
template <typename T, std::size_t channel_core<T>::*Count>
class channel_end {
public:
  channel_end() noexcept = default;
  explicit channel_end(std::shared_ptr<channel_core<T>> c) : core_(std::move(c)) {
    ++((*core_).*Count);
  }
  channel_end(const channel_end& other) : core_(other.core_) {
    if (core_) ++((*core_).*Count);
  }
  channel_end(channel_end&& other) noexcept : core_(std::move(other.core_)) {}
  channel_end& operator=(channel_end other) noexcept {
    std::swap(core_, other.core_);
    return *this;
  }
  ~channel_end() {
    if (!core_ || --((*core_).*Count) > 0) return;
    if constexpr (Count == &channel_core<T>::writers) {
      core_->close();
    } else {
      core_->drop_all();
    }
  }
  [[nodiscard]] explicit operator bool() const noexcept { return core_ != nullptr; }

protected:
  [[nodiscard]] channel_core<T>& core() const {
    if (!core_) throw contract_error("an end of a channel that was moved from is used");
    return *core_;
  }

private:
  std::shared_ptr<channel_core<T>> core_;
};

}  // namespace detail

template <typename T>
class channel_writer : public detail::channel_end<T, &detail::channel_core<T>::writers> {
public:
  using detail::channel_end<T, &detail::channel_core<T>::writers>::channel_end;
  /// Resolves when the item has a place or a reader.
  promise<> send(T item) const { return this->core().send(std::move(item)); }
  /// No more items from any writer.
  void close() const { this->core().close(); }
  [[nodiscard]] std::size_t size() const { return this->core().size(); }
};

template <typename T>
class channel_reader : public detail::channel_end<T, &detail::channel_core<T>::readers> {
public:
  using detail::channel_end<T, &detail::channel_core<T>::readers>::channel_end;
  /// The next item; nothing at the end.
  promise<std::optional<T>> receive() const { return this->core().receive(); }
  /// The next item if one is there.
  [[nodiscard]] std::optional<T> try_receive() const { return this->core().take(); }
};

/// Both ends of a new channel.
template <typename T>
struct channel {
  explicit channel(std::size_t capacity)
      : channel(std::make_shared<detail::channel_core<T>>(capacity)) {}

  channel_writer<T> writer;
  channel_reader<T> reader;

private:
  explicit channel(std::shared_ptr<detail::channel_core<T>> core) : writer(core), reader(core) {}
};

}  // namespace fermata
