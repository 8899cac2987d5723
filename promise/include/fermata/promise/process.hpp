// SPDX-License-Identifier: MIT
/// Child processes whose input, output and end are promises.
///
/// Shape:    started by posix_spawn on the pool, waited for through a pidfd: no SIGCHLD handler, no
///           zombie, whoever else in the program has children.
/// Pauses:   until the child has started, or has ended.
/// Thread:   loop.
/// Lifetime: a process that is destroyed before its end is killed (SIGKILL) and reaped by the loop.
#pragma once

#include <fermata/promise/stream.hpp>

#include <sys/types.h>

#include <chrono>
#include <csignal>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace fermata {

/// What a child's standard stream is connected to.
enum class stdio : std::uint8_t {
  pipe,     ///< a byte_stream of ours
  null,     ///< /dev/null
  inherit,  ///< the same as ours
  tail      ///< stderr only: its last `error_tail_bytes` are kept for messages
};

/// What to start, and with what.
struct command {
  command() {}  // no aggregate: see STYLE.md, coroutines under g++ 12
  explicit command(std::vector<std::string> arguments) : argv(std::move(arguments)) {}

  std::vector<std::string> argv;         ///< the program, looked for in PATH, and its arguments
  std::vector<std::string> environment;  ///< `NAME=value`, added to ours; `NAME` takes one out
  std::string directory;                 ///< empty: ours
  stdio in = stdio::pipe;
  stdio out = stdio::pipe;
  stdio err = stdio::tail;
  /// In a process group of its own: a terminal's Ctrl-C does not reach it, and `kill` reaches its
  /// children too.
  bool own_group = false;
};

/// How a child ended.
struct exit_status {
  int code = 0;    ///< of exit(); 0 where a signal ended it
  int signal = 0;  ///< 0 where it exited
  [[nodiscard]] bool is_success() const noexcept { return code == 0 && signal == 0; }
  /// `exit status 1`, `killed by signal 9`.
  [[nodiscard]] std::string to_string() const;
};

namespace detail {
class child;
struct child_deleter {
  void operator()(child* c) const noexcept;
};
}  // namespace detail

class process {
public:
  static constexpr std::size_t error_tail_bytes = 4096;

  process(process&&) noexcept = default;
  process& operator=(process&&) noexcept = default;
  ~process();

  [[nodiscard]] pid_t pid() const noexcept;
  /// The child's standard streams, seen from here: `in()` is written to, the others are read.
  /// Throws: `contract_error` where they are no pipes or have been taken.
  [[nodiscard]] byte_stream& in() const;
  [[nodiscard]] byte_stream& out() const;
  [[nodiscard]] byte_stream& err() const;
  /// One stream that writes to the child's stdin and reads its stdout; it is the caller's from
  /// here. Throws: `contract_error`, as above.
  [[nodiscard]] std::unique_ptr<byte_stream> take_stream();
  /// The last that the child wrote to stderr, complete once `wait` has settled.
  [[nodiscard]] std::string error_tail() const;

  /// How it ended. May be called any number of times; a cancel ends the waiting, not the child.
  promise<exit_status> wait();
  /// Sends a signal; nothing where the child has ended.
  void kill(int signal = SIGTERM) noexcept;
  /// Ends it: SIGTERM, and SIGKILL where it has not ended `grace` later; gives how it ended. A
  /// cancel kills it at once, and settles when it has ended.
  /// Lifetime: the process outlives the promise.
  promise<exit_status> stop(std::chrono::nanoseconds grace = std::chrono::seconds(5));

private:
  friend promise<process> spawn(command c);
  explicit process(std::unique_ptr<detail::child, detail::child_deleter> c) noexcept;
  std::unique_ptr<detail::child, detail::child_deleter> child_;
  std::unique_ptr<byte_stream> in_;
  std::unique_ptr<byte_stream> out_;
  std::unique_ptr<byte_stream> err_;
};

/// Starts a child. A cancel while it starts settles once it has started, with the process.
///
/// Rejects: `error` (`cannot start no-such-program: no such file or directory (uv ENOENT)`; where
///          the folder is the cause, `cannot start cat in the folder /no/such: ...`).
promise<process> spawn(command c);

}  // namespace fermata
