// SPDX-License-Identifier: MIT
/// Kills a process at a step on disk that is counted, so that a test can go through all of them.
#pragma once

#include <functional>

namespace fermata::mirror::test {

/// Not under ThreadSanitizer: it must see the calls itself, and ends a process that starts threads
/// after a fork.
#if defined(__SANITIZE_THREAD__)
inline constexpr bool has_kill_points = false;
#else
inline constexpr bool has_kill_points = true;
#endif

/// Runs `life` in a process of its own that dies as by kill -9 before its `n`-th change of a file,
/// or in the middle of it where that is a write. True: it came to its end, so it has fewer than
/// `n`.
///
/// What the life tells is given to `told`, in order, when it has died.
using teller = std::function<void(const char* line)>;
bool lives_past_step(long n,
                     const std::function<void(const teller&)>& life,
                     const std::function<void(const char* line)>& told);

}  // namespace fermata::mirror::test
