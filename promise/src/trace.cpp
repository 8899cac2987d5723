// SPDX-License-Identifier: MIT
// The chain of sites behind a promise, as text.

#include <fermata/promise/promise.hpp>

#include <fmt/format.h>

namespace fermata::detail {

std::string trace_of(state_base& s) {
  constexpr int longest = 64;
  state_base* at = &s.root();
  if (at->now() == phase::resolved) return "resolved\n";
  std::string text;
  if (at->now() == phase::rejected) {
    text = fmt::format("rejected: {}\n", message_of(at->peek_error()));
    for (rejection_path way = at->path(); !way.empty(); way = way.before()) {
      text += fmt::format("  through {}\n", to_string(way.site()));
    }
    return text;
  }
  text = "pending\n";
  for (int i = 0; i < longest && at != nullptr; ++i) {
    canceller* const producer = at->root().producer();
    const hop h = producer == nullptr ? hop() : producer->describe();
    if (h.site.line() != 0) text += fmt::format("  waits at {}\n", to_string(h.site));
    at = h.upstream;
  }
  return text;
}

}  // namespace fermata::detail
