// SPDX-License-Identifier: MIT
// How a task that waits for a promise hears of its end.
#pragma once

#include <fermata/promise/promise.hpp>

#include <string>
#include <utility>

namespace fermata::testing {

/// `resolved`, "cancelled", or the error's text.
inline promise<std::string> waits_for(promise<> p, std::string resolved = "went on") {
  std::string how = std::move(resolved);
  try {
    co_await p;
  } catch (const cancelled&) {
    how = "cancelled";
  } catch (const error& e) {
    how = e.what();
  }
  co_return how;
}

}  // namespace fermata::testing
