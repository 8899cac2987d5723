// SPDX-License-Identifier: MIT
/// Whether a value can be copied in truth: a vector of what can only be moved says that it can.
///
/// Thread: any.
#pragma once

#include <concepts>
#include <optional>
#include <ranges>
#include <tuple>
#include <type_traits>
#include <utility>

namespace fermata::detail {

template <typename T>
struct is_copyable : std::is_copy_constructible<T> {};

template <typename T>
concept container =
    std::ranges::range<T> && !std::same_as<typename T::value_type, T>;  // not one of itself

template <container T>
struct is_copyable<T>
    : std::conjunction<std::is_copy_constructible<T>, is_copyable<typename T::value_type>> {};

template <typename A, typename B>
struct is_copyable<std::pair<A, B>> : std::conjunction<is_copyable<A>, is_copyable<B>> {};
template <typename... T>
struct is_copyable<std::tuple<T...>> : std::conjunction<is_copyable<T>...> {};
template <typename T>
struct is_copyable<std::optional<T>> : is_copyable<T> {};

}  // namespace fermata::detail
