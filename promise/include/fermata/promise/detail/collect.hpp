// SPDX-License-Identifier: MIT
/// What each combinator waits for and makes of it; see `gather_into` for the form.
///
/// Thread: loop.
#pragma once

#include <fermata/promise/detail/gather.hpp>

#include <array>
#include <cstddef>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

namespace fermata::detail {

inline constexpr std::size_t no_member = static_cast<std::size_t>(-1);

template <typename T>
struct collect_vector {
  static constexpr std::size_t inlined = 0;
  static constexpr bool any_will_do = false;
  explicit collect_vector(std::vector<promise<T>> m) : members(std::move(m)) {}
  [[nodiscard]] std::size_t size() const noexcept { return members.size(); }
  void check() const {
    for (const promise<T>& p : members) {
      if (!p) [[unlikely]]
        static_cast<void>(access::root(p));
    }
    if (!members.empty()) static_cast<void>(access::root(members.front()));
  }
  state_base& at(std::size_t i) { return access::root(members[i]); }
  [[nodiscard]] phase now(std::size_t i) const { return access::root(members[i]).now(); }
  void shrink(std::size_t left) {
    members.erase(members.begin() + static_cast<std::ptrdiff_t>(left), members.end());
  }

  std::vector<promise<T>> members;
};

/// Rejects `to` where the sum has an error.
template <typename Out>
bool rejects(state<Out>& to, error_sum& sum) {
  std::exception_ptr e = sum.take();
  if (!e) return false;
  to.reject(std::move(e));
  return true;
}

/// All of them; `FailFast` cancels the rest at the first failure.
template <typename T, typename Out, bool FailFast>
struct collect_all : collect_vector<T> {
  using out = Out;
  using collect_vector<T>::collect_vector;
  static constexpr bool only_counts = !FailFast;
  rest ended(std::size_t i) noexcept {
    return FailFast && this->now(i) != phase::resolved ? rest::cancel : rest::wait;
  }
  void visit(std::size_t i) noexcept {
    try {
      const promise<T>& p = this->members[i];
      if (this->now(i) != phase::resolved) {
        sum.add(p);
      } else if constexpr (!std::is_void_v<Out>) {
        if (values.capacity() == 0) values.reserve(this->size());
        values.push_back(take_item(p));
      }
    } catch (...) {
      sum.add_error(std::current_exception());
    }
  }
  void settle(state<Out>& to, bool) {
    if (rejects(to, sum)) return;
    if constexpr (std::is_void_v<Out>) {
      to.resolve();
    } else {
      to.resolve(std::move(values));
    }
  }

  struct nothing {};
  std::conditional_t<std::is_void_v<Out>, nothing, std::vector<item_of<T>>> values;
  error_sum sum;
};

/// All of a pack, as `Out` (a tuple or a pair).
template <typename Out, typename... T>
struct collect_pack {
  using out = Out;
  static constexpr std::size_t inlined = sizeof...(T);
  static constexpr bool any_will_do = false;
  explicit collect_pack(promise<T>... p) : members(std::move(p)...) {}
  [[nodiscard]] static constexpr std::size_t size() noexcept { return sizeof...(T); }
  void check() { static_cast<void>(at(0)); }
  state_base& at(std::size_t i) {
    return std::apply(
        [i](auto&... p) -> state_base& {
          const std::array<state_base*, sizeof...(T)> roots{&access::root(p)...};
          return *roots[i];
        },
        members);
  }
  static constexpr bool only_counts = true;
  static rest ended(std::size_t) noexcept { return rest::wait; }
  static void visit(std::size_t) noexcept {}
  static void shrink(std::size_t) noexcept {}
  void settle(state<Out>& to, bool) {
    std::apply(
        [&to](auto&... p) {
          if ((... && (access::root(p).now() == phase::resolved))) {
            to.resolve(Out{take_item(p)...});
            return;
          }
          error_sum sum;
          (sum.add(p), ...);
          rejects(to, sum);
        },
        members);
  }

  std::tuple<promise<T>...> members;
};

/// All of them, as they settled.
template <typename T>
struct collect_settled : collect_vector<T> {
  using out = std::vector<promise<T>>;
  using collect_vector<T>::collect_vector;
  static constexpr bool only_counts = true;
  static rest ended(std::size_t) noexcept { return rest::wait; }
  void visit(std::size_t i) noexcept {
    state_base& s = this->at(i);
    if (s.is_pending() || (s.now() == phase::rejected && is_cancelled(s.error()))) {
      has_cancelled = true;
    }
  }
  static void shrink(std::size_t) noexcept {}  // the result has them
  void settle(state<out>& to, bool is_asked) {
    if (is_asked && has_cancelled) {
      to.reject(detail::plain_cancelled());
    } else {
      to.resolve(std::move(this->members));
    }
  }

  bool has_cancelled = false;
};

/// The first one; `Rest` says what becomes of the others.
template <typename T, rest Rest>
struct collect_first : collect_vector<T> {
  using out = T;
  static constexpr bool any_will_do = Rest == rest::leave;
  using collect_vector<T>::collect_vector;
  rest ended(std::size_t i) noexcept {
    if (first == no_member) first = i;
    return Rest;
  }
  // A loser's error is seen; those that are left are no losers.
  void visit(std::size_t i) noexcept {
    if (Rest == rest::cancel) static_cast<void>(this->at(i).error());
  }
  void settle(state<T>& to, bool) {
    error_sum sum;
    sum.add(this->members[first]);
    if (rejects(to, sum)) return;
    if constexpr (std::is_void_v<T>) {
      to.resolve();
    } else {
      to.resolve(take_item(this->members[first]));
    }
  }

  std::size_t first = no_member;
};

/// The first that resolves; all errors where none does.
template <typename T>
struct collect_success : collect_vector<T> {
  using out = T;
  using collect_vector<T>::collect_vector;
  rest ended(std::size_t i) noexcept {
    if (this->now(i) != phase::resolved) return rest::wait;
    if (first == no_member) first = i;
    return rest::cancel;
  }
  void visit(std::size_t i) noexcept {
    if (this->now(i) != phase::resolved) sum.add(this->members[i]);
  }
  void settle(state<T>& to, bool) {
    if (first == no_member) {
      rejects(to, sum);
    } else if constexpr (std::is_void_v<T>) {
      to.resolve();
    } else {
      to.resolve(take_item(this->members[first]));
    }
  }

  std::size_t first = no_member;
  error_sum sum;
};

/// The values of all that have resolved when the first has settled, and with `Split` the others.
template <typename T, typename Out, rest Rest>
struct collect_some : collect_vector<T> {
  using out = Out;
  static constexpr bool any_will_do = Rest == rest::leave;
  static constexpr bool splits = !std::is_same_v<Out, std::vector<item_of<T>>>;
  using collect_vector<T>::collect_vector;
  rest ended(std::size_t i) noexcept {
    if (first == no_member) first = i;
    return Rest;
  }
  void visit(std::size_t i) noexcept {
    try {
      promise<T>& p = this->members[i];
      if (i == first) sum.add(p);
      if (this->now(i) == phase::resolved) {
        values().push_back(take_item(p));
      } else if constexpr (splits) {
        result.rest.push_back(p);
      } else if (Rest == rest::cancel) {
        static_cast<void>(this->at(i).error());
      }
    } catch (...) {
      sum.add_error(std::current_exception());
    }
  }
  void settle(state<Out>& to, bool) {
    if (!rejects(to, sum)) to.resolve(std::move(result));
  }
  std::vector<item_of<T>>& values() {
    if constexpr (splits) {
      return result.values;
    } else {
      return result;
    }
  }

  std::size_t first = no_member;
  Out result;
  error_sum sum;
};

}  // namespace fermata::detail
