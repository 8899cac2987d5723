// SPDX-License-Identifier: MIT
// A pause as a promise.

#include <fermata/promise/pause.hpp>

namespace fermata {
namespace {

promise<> pause_for_sure() { co_await pause(); }

}  // namespace

promise<> pause_point::as_promise() const {
  return kind_ == detail::pause_kind::none ? ready() : pause_for_sure();
}

}  // namespace fermata
