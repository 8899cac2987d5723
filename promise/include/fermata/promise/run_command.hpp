// SPDX-License-Identifier: MIT
/// Child processes that end with the work they belong to: in a scope, or from start to end.
///
/// Shape:  what leaves early, by a failure or a cancel, stops its child: SIGTERM, and SIGKILL after
///         the grace time. A child that starts others gets a group of its own, to stop them too.
/// Pauses: until the child has started, or has ended.
/// Thread: loop.
#pragma once

#include <fermata/promise/process.hpp>
#include <fermata/promise/scope.hpp>

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>

namespace fermata {

/// Starts a child that is stopped when the body and all children of `s` have ended, if it runs
/// still; `s` ends after it has been reaped.
///
/// Rejects: as `spawn`; `cancelled`, once it has started, and the scope stops it.
promise<std::shared_ptr<process>> spawn_in(
    scope& s, command c, std::chrono::nanoseconds grace = std::chrono::seconds(5));

struct run_options {
  run_options() {}    // no aggregate: see STYLE.md, coroutines under g++ 12
  std::string input;  ///< for stdin, where that is a pipe; none: it is empty
  std::size_t most_out_bytes = 1024 * 1024;
  std::size_t most_err_bytes = 64 * 1024;
  std::chrono::nanoseconds grace = std::chrono::seconds(5);
};

struct run_result {
  exit_status status;
  std::string out;
  std::string err;
};

/// Runs a child to its end and gives what it has written to stdout and stderr, where these are
/// pipes; of a stderr of kind `tail`, the default, the last `process::error_tail_bytes`.
///
/// Shape:   settles when the child has ended and its pipes have: whoever inherited them holds it.
///          How it ended is for the caller to judge. A child that reads no input is no failure.
/// Rejects: as `spawn`; `limit_reached` (`cannot read from stdout of git: more than 10 bytes come`)
///          after the child has been stopped; `cancelled`, likewise.
promise<run_result> run_command(command c, run_options options = {});

}  // namespace fermata
