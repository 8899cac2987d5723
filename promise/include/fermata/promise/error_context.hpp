// SPDX-License-Identifier: MIT
/// Texts that say what was being done when an error came, added on its way up.
///
/// Shape:   `with_context("cannot read the index", read(...))` settles like the promise; an error
///          gets the text in front (`error_in_context`, which keeps it as its cause). Who wants its
///          type asks `root_cause`.
/// Pauses:  never by itself.
/// Thread:  loop.
/// Rejects: with `error_in_context`; `cancelled` stays what it is.
/// Site:    `async_trace` names the line of the call.
/// Cost:    nothing for a promise that has resolved; else that of a bind.
#pragma once

#include <fermata/promise/promise.hpp>

#include <source_location>
#include <string>
#include <utility>

namespace fermata {

template <typename T>
promise<T> with_context(std::string text,
                        promise<T> p,
                        std::source_location site = std::source_location::current()) {
  if (p.is_resolved()) return p;
  auto add = [t = std::move(text)](promise<T> settled) -> promise<T> {
    if (!settled.is_rejected()) return settled;
    return rejected<T>(add_context(settled.error(), t));
  };
  return detail::then<T>(std::move(p), std::move(add), site);
}

}  // namespace fermata
