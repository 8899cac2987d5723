// SPDX-License-Identifier: MIT
/// So many in so much time, for each key on its own.
///
/// Shape:    `co_await limit.acquire(key)` goes on when the key's turn has come: at most `burst` at
///           once, and in the long run `count` in each `per`. Those who wait go on in their order;
///           who is cancelled leaves no hole.
/// Units:    nanoseconds on the loop's time source; nobody goes on early.
/// Pauses:   until the key's turn has come.
/// Thread:   loop.
/// Rejects:  `throttled` where `max_waiting` wait already, or `max_keys` keys are in use;
///           `cancelled`; `broken_promise` when the throttle ends.
/// Cost:     O(1), and a timer for each key for which somebody waits. Idle keys are forgotten.
/// Lifetime: none: who waits when the throttle ends is rejected.
#pragma once

#include <fermata/promise/promise.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <unordered_map>
#include <utility>

namespace fermata {

/// There is no room to wait.
class throttled : public error {
public:
  explicit throttled(std::string_view text) : error(text) {}
};

struct throttle_options {
  throttle_options() {}  // no aggregate: safe as a default argument under g++ 12
  std::size_t count = 1;
  std::chrono::nanoseconds per = std::chrono::seconds(1);
  std::size_t burst = 1;
  std::size_t max_waiting = 1000;  ///< all keys together
  std::size_t max_keys = 10'000;
};

namespace detail {

/// The turns of one key: `next_` is when its rate would be unused, so that a burst is a debt.
class throttle_lane final : public timer_node {
public:
  throttle_lane(std::chrono::nanoseconds each, std::chrono::nanoseconds tolerated)
      : each_(each), tolerated_(tolerated) {}

  [[nodiscard]] bool has_turn(time_point now) const noexcept { return now >= free_at(); }
  [[nodiscard]] bool is_idle(time_point now) const noexcept {
    return waiting_.empty() && now >= next_;
  }
  [[nodiscard]] bool is_awaited() const noexcept { return !waiting_.empty(); }
  void take_turn(time_point now) noexcept { next_ = later(std::max(next_, now), each_); }
  promise<> wait(std::shared_ptr<std::size_t> total);
  void run() noexcept override;

private:
  [[nodiscard]] time_point free_at() const noexcept { return next_ - tolerated_; }
  void arm();

  std::chrono::nanoseconds each_;
  std::chrono::nanoseconds tolerated_;
  time_point next_{};
  std::list<resolver<>> waiting_;
  std::shared_ptr<std::size_t> total_;  // of those who wait, in all lanes
};

}  // namespace detail

template <typename Key, typename Hash = std::hash<Key>>
class throttle {
public:
  /// Throws: `contract_error` for a rate, burst or number of keys of zero.
  explicit throttle(const throttle_options& options = {})
      : options_(options), waiting_(std::make_shared<std::size_t>(0)) {
    if (options.count == 0 || options.per.count() <= 0 || options.burst == 0 ||
        options.max_keys == 0) {
      throw contract_error("a throttle of nothing would let nobody through");
    }
    // Rounded up: nobody goes on early, and a rate beyond one in a nanosecond is that one.
    const auto per = static_cast<std::uint64_t>(options.per.count());
    const std::uint64_t count = std::min<std::uint64_t>(options.count, per);
    each_ = std::chrono::nanoseconds(per / count + (per % count == 0 ? 0 : 1));
    const auto most = std::chrono::nanoseconds::max() / each_;
    const auto debts = static_cast<std::int64_t>(
        std::min<std::uint64_t>(options.burst - 1, static_cast<std::uint64_t>(most)));
    tolerated_ = debts * each_;
  }

  promise<> acquire(const Key& key) {
    const time_point now = event_loop::current().now();
    entry* e = get(key, now);
    if (e == nullptr) return rejected(throttled("cannot wait: too many keys are in use"));
    if (take(*e, now)) return ready();
    if (*waiting_ >= options_.max_waiting) {
      return rejected(throttled("cannot wait: too many wait already"));
    }
    return e->lane.wait(waiting_);
  }
  /// Whether the key had a turn, which then is used.
  [[nodiscard]] bool try_acquire(const Key& key) {
    const time_point now = event_loop::current().now();
    entry* e = get(key, now);
    return e != nullptr && take(*e, now);
  }
  [[nodiscard]] std::size_t waiting() const noexcept { return *waiting_; }
  [[nodiscard]] std::size_t keys() const noexcept { return order_.size(); }

private:
  struct entry {
    entry(const Key& k, std::chrono::nanoseconds each, std::chrono::nanoseconds tolerated)
        : key(k), lane(each, tolerated) {}
    Key key;
    detail::throttle_lane lane;
  };

  bool take(entry& e, time_point now) {
    if (e.lane.is_awaited() || !e.lane.has_turn(now)) return false;
    e.lane.take_turn(now);
    return true;
  }
  entry* get(const Key& key, time_point now) {
    if (const auto found = places_.find(key); found != places_.end()) {
      order_.splice(order_.end(), order_, found->second);
      return &*found->second;
    }
    if (order_.size() >= options_.max_keys && !make_room(now)) return nullptr;
    order_.emplace_back(key, each_, tolerated_);
    places_.emplace(key, std::prev(order_.end()));
    return &order_.back();
  }
  // Looks at the few that were asked for longest ago.
  bool make_room(time_point now) {
    constexpr int looks = 8;
    auto at = order_.begin();
    for (int i = 0; i < looks && at != order_.end(); ++i, ++at) {
      if (!at->lane.is_idle(now)) continue;
      places_.erase(at->key);
      order_.erase(at);
      return true;
    }
    return false;
  }

  throttle_options options_;
  std::chrono::nanoseconds each_{};
  std::chrono::nanoseconds tolerated_{};
  std::list<entry> order_;  // the one that was asked for longest ago first
  std::unordered_map<Key, typename std::list<entry>::iterator, Hash> places_;
  std::shared_ptr<std::size_t> waiting_;
};

}  // namespace fermata
