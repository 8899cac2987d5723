// SPDX-License-Identifier: MIT
/// Several promises as one.
///
/// | waits for       | function               | settles with            | the others |
/// | all             | both, all, join        | the values              | run on     |
/// | all             | all_settled            | the promises themselves | run on     |
/// | all             | all_fast, join_fast    | the values              | cancelled  |
/// | the first       | pick                   | its value               | cancelled  |
/// | the first       | choose                 | its value               | left alone |
/// | the first value | first_success          | it, or all the errors   | cancelled  |
/// | the first       | npick                  | all values there are    | cancelled  |
/// | the first       | nchoose, nchoose_split | all values there are    | left alone |
///
/// Shape:   each takes a vector or the promises themselves; nothing is std::monostate. `all` gives
///          a vector for a vector, a tuple for a pack. Values come in the order of the promises.
///          "The first" is the first that the loop sees to have settled; of those that had settled
///          before, the first in order. Where the others are cancelled, the result settles after
///          they have ended; what they fail with meanwhile counts in `all_fast` and `join_fast`,
///          else it is dropped as seen. A cancel of the result goes on to all that are pending.
/// Pauses:  may, over more than 1,024 promises: between pieces of so many when somebody waits.
/// Thread:  loop.
/// Rejects: with the only error, or `multiple_errors` for several; one `loop_closed` where all of
///          them are that; `cancelled` where there is no other error; `contract_error` for a value
///          that can only be moved and has other holders.
/// Throws:  `contract_error` for the first of no promise at all, and for a promise that was moved
///          from.
/// Cost:    one allocation where all have settled; else one more and a waiter for each that is
///          pending.
#pragma once

#include <fermata/promise/detail/collect.hpp>

#include <concepts>
#include <tuple>
#include <utility>
#include <vector>

namespace fermata {

namespace detail {

template <typename T, typename... P>
std::vector<promise<T>> listed(promise<T> first, P... others) {
  std::vector<promise<T>> list;
  list.reserve(1 + sizeof...(P));
  list.push_back(std::move(first));
  (list.push_back(std::move(others)), ...);
  return list;
}

template <typename Collect, typename T>
auto first_of(std::vector<promise<T>> members, const char* none) {
  if (members.empty()) throw contract_error(none);
  return gather_into<Collect>::make(Collect(std::move(members)));
}

}  // namespace detail

// ---- all ----

template <typename A, typename B>
auto both(promise<A> a, promise<B> b) {
  using out = std::pair<detail::item_of<A>, detail::item_of<B>>;
  using collect = detail::collect_pack<out, A, B>;
  return detail::gather_into<collect>::make(collect(std::move(a), std::move(b)));
}

template <typename T>
promise<std::vector<detail::item_of<T>>> all(std::vector<promise<T>> members) {
  using collect = detail::collect_all<T, std::vector<detail::item_of<T>>, false>;
  return detail::gather_into<collect>::make(collect(std::move(members)));
}
template <typename... T>
requires(sizeof...(T) > 0) promise<std::tuple<detail::item_of<T>...>> all(promise<T>... members) {
  using collect = detail::collect_pack<std::tuple<detail::item_of<T>...>, T...>;
  return detail::gather_into<collect>::make(collect(std::move(members)...));
}

inline promise<> join(std::vector<promise<>> members) {
  using collect = detail::collect_all<void, void, false>;
  return detail::gather_into<collect>::make(collect(std::move(members)));
}
template <std::same_as<promise<>>... P>
promise<> join(promise<> first, P... others) {
  return join(detail::listed(std::move(first), std::move(others)...));
}

/// As they have settled, to be looked at: a failure is no failure of the result.
template <typename T>
promise<std::vector<promise<T>>> all_settled(std::vector<promise<T>> members) {
  using collect = detail::collect_settled<T>;
  return detail::gather_into<collect>::make(collect(std::move(members)));
}
template <typename T, std::same_as<promise<T>>... P>
promise<std::vector<promise<T>>> all_settled(promise<T> first, P... others) {
  return all_settled(detail::listed(std::move(first), std::move(others)...));
}

// ---- all, or the first failure ----

/// Settles after the others have ended, too: then nothing of them is active.
template <typename T>
promise<std::vector<detail::item_of<T>>> all_fast(std::vector<promise<T>> members) {
  using collect = detail::collect_all<T, std::vector<detail::item_of<T>>, true>;
  return detail::gather_into<collect>::make(collect(std::move(members)));
}
inline promise<> join_fast(std::vector<promise<>> members) {
  using collect = detail::collect_all<void, void, true>;
  return detail::gather_into<collect>::make(collect(std::move(members)));
}
template <std::same_as<promise<>>... P>
promise<> join_fast(promise<> first, P... others) {
  return join_fast(detail::listed(std::move(first), std::move(others)...));
}

// ---- the first ----

template <typename T>
promise<T> pick(std::vector<promise<T>> members) {
  return detail::first_of<detail::collect_first<T, detail::rest::cancel>>(
      std::move(members), "pick of no promise at all");
}
template <typename T, std::same_as<promise<T>>... P>
promise<T> pick(promise<T> first, P... others) {
  return pick(detail::listed(std::move(first), std::move(others)...));
}

template <typename T>
promise<T> choose(std::vector<promise<T>> members) {
  return detail::first_of<detail::collect_first<T, detail::rest::leave>>(
      std::move(members), "choose of no promise at all");
}
template <typename T, std::same_as<promise<T>>... P>
promise<T> choose(promise<T> first, P... others) {
  return choose(detail::listed(std::move(first), std::move(others)...));
}

template <typename T>
promise<T> first_success(std::vector<promise<T>> members) {
  return detail::first_of<detail::collect_success<T>>(std::move(members),
                                                      "first_success of no promise at all");
}
template <typename T, std::same_as<promise<T>>... P>
promise<T> first_success(promise<T> first, P... others) {
  return first_success(detail::listed(std::move(first), std::move(others)...));
}

// ---- the first and all that have come with it ----

/// Rejects only where the first that settled was rejected.
template <typename T>
promise<std::vector<detail::item_of<T>>> npick(std::vector<promise<T>> members) {
  using out = std::vector<detail::item_of<T>>;
  return detail::first_of<detail::collect_some<T, out, detail::rest::cancel>>(
      std::move(members), "npick of no promise at all");
}
template <typename T, std::same_as<promise<T>>... P>
auto npick(promise<T> first, P... others) {
  return npick(detail::listed(std::move(first), std::move(others)...));
}

template <typename T>
promise<std::vector<detail::item_of<T>>> nchoose(std::vector<promise<T>> members) {
  using out = std::vector<detail::item_of<T>>;
  return detail::first_of<detail::collect_some<T, out, detail::rest::leave>>(
      std::move(members), "nchoose of no promise at all");
}
template <typename T, std::same_as<promise<T>>... P>
auto nchoose(promise<T> first, P... others) {
  return nchoose(detail::listed(std::move(first), std::move(others)...));
}

/// What has resolved, and the promises that have not: for the next round.
template <typename T>
struct split_values {
  std::vector<detail::item_of<T>> values;
  std::vector<promise<T>> rest;
};
template <typename T>
struct detail::is_copyable<split_values<T>> : detail::is_copyable<detail::item_of<T>> {};

template <typename T>
promise<split_values<T>> nchoose_split(std::vector<promise<T>> members) {
  return detail::first_of<detail::collect_some<T, split_values<T>, detail::rest::leave>>(
      std::move(members), "nchoose_split of no promise at all");
}
template <typename T, std::same_as<promise<T>>... P>
auto nchoose_split(promise<T> first, P... others) {
  return nchoose_split(detail::listed(std::move(first), std::move(others)...));
}

}  // namespace fermata
