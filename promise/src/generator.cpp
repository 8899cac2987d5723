// SPDX-License-Identifier: MIT
// The end of a generator that is closed.

#include <fermata/promise/generator.hpp>

namespace fermata::detail {

promise<> without_cancelled(promise<> p) {
  try {
    co_await p;
  } catch (const cancelled&) {
  }
}

}  // namespace fermata::detail
