// SPDX-License-Identifier: MIT
/// A function that is called once for each key, however many ask at the same time.
///
/// Shape:    `memo<Key, T> m(f)`: `m(key)` gives what `f(key) -> promise<T>` gave before, or joins
///           the call that is under way. `memo<void, T>` has one value and no key. Each who asks
///           has a promise of its own: a cancel of one leaves the others alone, that of the last
///           ends the call, and who asks then begins a new one. Failures are not kept unless asked
///           for. Of more than `max_entries` the one that was asked for longest ago is forgotten; a
///           call under way ends for those who wait.
/// Pauses:   never by itself.
/// Thread:   loop.
/// Rejects:  with what `f` throws or its promise rejects with; `cancelled`; `contract_error` where
///           `f` asks for the key that it is called for (after its first wait it would never end).
/// Cost:     O(1); nothing is copied but the value, for each who waited.
/// Lifetime: `f` lives until its last call has ended. It runs in the context of who asked first.
#pragma once

#include <fermata/promise/detail/cancel_core.hpp>
#include <fermata/promise/promise.hpp>

#include <cstddef>
#include <functional>
#include <list>
#include <memory>
#include <unordered_map>
#include <utility>
#include <variant>

namespace fermata {

struct memo_options {
  memo_options() {}  // no aggregate: safe as a default argument under g++ 12
  std::size_t max_entries = 1024;
  bool keep_failures = false;  ///< but never `cancelled`
};

namespace detail {

template <typename Key, typename T, typename Hash>
class memo_core : public std::enable_shared_from_this<memo_core<Key, T, Hash>> {
public:
  struct entry {
    explicit entry(const Key& k) : key(k) {}
    Key key;
    promise<T> call;
    std::size_t waiting = 0;
    bool is_listed = true;
    bool is_in_call = false;  // until `f` has given its promise
  };
  using entry_ptr = std::shared_ptr<entry>;

  memo_core(unique_function<promise<T>(const Key&)> f, memo_options o)
      : f_(std::move(f)), options_(o) {
    if (o.max_entries == 0) throw contract_error("a memo needs room for one entry");
  }
  promise<T> get(const Key& key);
  bool forget(const Key& key) {
    const auto found = places_.find(key);
    if (found == places_.end()) return false;
    erase(found->second);
    return true;
  }
  void clear() {
    while (!order_.empty()) erase(order_.begin());
  }
  [[nodiscard]] std::size_t size() const noexcept { return order_.size(); }

  /// Its call has ended.
  void ended(entry& e) {
    if (!e.call.is_rejected()) return;
    if (!options_.keep_failures || is_cancelled(e.call.error())) abandon(e);
  }
  void abandon(entry& e) {
    if (e.is_listed) erase(places_.find(e.key)->second);
  }

private:
  using place = typename std::list<entry_ptr>::iterator;
  void erase(place at) {
    const entry_ptr gone = *at;
    gone->is_listed = false;
    places_.erase(gone->key);
    order_.erase(at);
  }
  void begin(const entry_ptr& e);
  promise<T> call_for(entry& e);

  unique_function<promise<T>(const Key&)> f_;
  memo_options options_;
  std::list<entry_ptr> order_;  // the one to be forgotten next first
  std::unordered_map<Key, place, Hash> places_;
};

/// One who waits for a call.
template <typename Core, typename T>
class memo_share final : private relay<T> {
public:
  static promise<T> make(std::shared_ptr<Core> core, typename Core::entry_ptr e) {
    state<T>* s = new memo_share(std::move(core), std::move(e));
    return access::handle(s);
  }

private:
  memo_share(std::shared_ptr<Core> core, typename Core::entry_ptr e)
      : relay<T>(access::root(e->call)), core_(std::move(core)), entry_(std::move(e)) {
    ++entry_->waiting;
  }
  void run() noexcept override {
    core_->ended(*entry_);
    relay<T>::run();
  }
  state_base* request_cancel() noexcept override {
    if (!this->is_waiting()) return nullptr;
    if (--entry_->waiting == 0) {
      core_->abandon(*entry_);
      return this->upstream();
    }
    this->end(detail::plain_cancelled());
    return nullptr;
  }

  std::shared_ptr<Core> core_;
  typename Core::entry_ptr entry_;
};

template <typename Key, typename T, typename Hash>
promise<T> memo_core<Key, T, Hash>::get(const Key& key) {
  entry_ptr e;
  if (const auto found = places_.find(key); found != places_.end()) {
    e = *found->second;
    order_.splice(order_.end(), order_, found->second);
    if (e->is_in_call) {
      return rejected<T>(contract_error("a memo asks for the value that it is to give"));
    }
  } else {
    e = std::make_shared<entry>(key);
    places_.emplace(key, order_.insert(order_.end(), e));
    if (order_.size() > options_.max_entries) erase(order_.begin());
    begin(e);
  }
  if (!e->call.is_pending()) {
    promise<T> result = e->call;
    ended(*e);
    return result;
  }
  return memo_share<memo_core, T>::make(this->shared_from_this(), std::move(e));
}

// The node of the call holds this, and so the function, until the call has ended.
template <typename Key, typename T, typename Hash>
void memo_core<Key, T, Hash>::begin(const entry_ptr& e) {
  e->call = then<T>(ready(), [self = this->shared_from_this(), e](promise<> start) {
    static_cast<void>(start);
    return self->call_for(*e);
  });
}

template <typename Key, typename T, typename Hash>
promise<T> memo_core<Key, T, Hash>::call_for(entry& e) {
  struct in_call {
    explicit in_call(bool& f) : flag(f) { flag = true; }
    ~in_call() { flag = false; }
    bool& flag;
  };
  const in_call guard(e.is_in_call);
  return f_(e.key);
}

}  // namespace detail

template <typename Key, typename T, typename Hash = std::hash<Key>>
class memo {
  static_assert(std::is_void_v<T> || detail::is_copyable<T>::value,
                "a memo gives its value to many: share what can only be moved");

public:
  /// Throws: `contract_error` for room for no entry at all.
  explicit memo(unique_function<promise<T>(const Key&)> f, memo_options options = {})
      : core_(std::make_shared<core>(std::move(f), options)) {}

  promise<T> operator()(const Key& key) { return core_->get(key); }
  /// The next who asks begins anew; who waits gets what is under way. False: there was nothing.
  bool forget(const Key& key) { return core_->forget(key); }
  void clear() { core_->clear(); }
  [[nodiscard]] std::size_t size() const noexcept { return core_->size(); }

private:
  using core = detail::memo_core<Key, T, Hash>;
  std::shared_ptr<core> core_;
};

/// One value, made when it is first asked for.
template <typename T>
class memo<void, T, std::hash<void>> {
public:
  explicit memo(unique_function<promise<T>()> f, memo_options options = {})
      : one_([g = std::move(f)](const std::monostate&) mutable { return g(); }, options) {}

  promise<T> operator()() { return one_(std::monostate()); }
  bool forget() { return one_.forget(std::monostate()); }

private:
  memo<std::monostate, T> one_;
};

}  // namespace fermata
