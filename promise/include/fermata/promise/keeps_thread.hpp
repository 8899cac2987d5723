// SPDX-License-Identifier: MIT
/// Values that others wait for: an await that gives one goes on at once.
///
/// Shape:  `keeps_thread<T>` is true for guards of locks. An await of a settled promise of such a
///         value checks the slice but never pauses: between the moment a lock is acquired and the
///         task that has it nobody else runs. Specialise it for guards of your own.
/// Thread: any.
#pragma once

namespace fermata {

template <typename T>
inline constexpr bool keeps_thread = false;

}  // namespace fermata
