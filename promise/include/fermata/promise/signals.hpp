// SPDX-License-Identifier: MIT
/// Signals as promises, for SIGINT, SIGTERM and SIGHUP of programs.
///
/// Shape:  a source has its signals instead of their default action; it keeps one of each kind.
/// Pauses: until there is a signal.
/// Thread: loop. Several sources, also on several loops, each see each signal.
#pragma once

#include <fermata/promise/promise.hpp>

#include <memory>
#include <vector>

namespace fermata {

namespace detail {
class signal_watch;
struct signal_watch_deleter {
  void operator()(signal_watch* w) const noexcept;
};
}  // namespace detail

class signal_source {
public:
  /// Throws: `error` (`cannot watch signal 9: invalid argument (uv EINVAL)`).
  explicit signal_source(const std::vector<int>& signals);

  /// The number of the next signal. Rejects: `cancelled`; `loop_closed`.
  promise<int> next();

private:
  std::unique_ptr<detail::signal_watch, detail::signal_watch_deleter> watch_;
};

}  // namespace fermata
