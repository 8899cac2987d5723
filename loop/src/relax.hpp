// SPDX-License-Identifier: MIT
// What a thread that waits awake does between two looks.
#pragma once

namespace fermata::detail {

inline void relax() noexcept {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#endif
}

}  // namespace fermata::detail
