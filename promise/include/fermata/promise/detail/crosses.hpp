// SPDX-License-Identifier: MIT
/// What may go from one thread to another: values that are moved, never what a loop counts.
///
/// Shape:  a check of types. It looks into the usual containers, not into the members of classes
///         nor into what a lambda has captured.
/// Thread: any.
#pragma once

#include <fermata/promise/promise.hpp>

#include <memory>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace fermata::detail {

/// Whether a `T` belongs to its loop, as promises and resolvers do.
template <typename T>
inline constexpr bool stays_on_loop = false;
template <typename T>
inline constexpr bool stays_on_loop<promise<T>> = true;
template <typename T>
inline constexpr bool stays_on_loop<resolver<T>> = true;
template <>
inline constexpr bool stays_on_loop<context_ptr> = true;
template <typename T>
inline constexpr bool stays_on_loop<std::optional<T>> = stays_on_loop<T>;
template <typename T, typename A>
inline constexpr bool stays_on_loop<std::vector<T, A>> = stays_on_loop<T>;
template <typename T, typename D>
inline constexpr bool stays_on_loop<std::unique_ptr<T, D>> = stays_on_loop<T>;
template <typename T>
inline constexpr bool stays_on_loop<std::shared_ptr<T>> = stays_on_loop<T>;
template <typename A, typename B>
inline constexpr bool stays_on_loop<std::pair<A, B>> = stays_on_loop<A> || stays_on_loop<B>;
template <typename... Ts>
inline constexpr bool stays_on_loop<std::tuple<Ts...>> = (stays_on_loop<Ts> || ...);

template <typename T>
inline constexpr bool crosses_threads = !stays_on_loop<std::remove_cvref_t<T>>;

}  // namespace fermata::detail
