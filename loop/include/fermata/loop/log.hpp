// SPDX-License-Identifier: MIT
/// Where log lines go; the default of a loop drops them.
///
/// Shape:  one event is one line: `level area: what key=value ...`.
/// Thread: a loop calls its sink on its own thread, a stall monitor calls its sink on the monitor's
///         thread. The sinks made here may be called from any, and copies share one descriptor.
/// Cost:   of the sinks made here: one write(2) a record on the caller's thread, which blocks where
///         a pipe is full.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace fermata {

/// `error` someone must act, `warn` worse than it should be, `info` a state changed, `debug` the
/// rest.
enum class log_level : std::uint8_t { error, warn, info, debug };

[[nodiscard]] std::string_view to_string(log_level level) noexcept;

/// Shape: `area` is a folder or a service, `message` is `what key=value ...`, one line.
using log_sink =
    std::function<void(log_level level, std::string_view area, std::string_view message)>;

/// Writes to standard error what is at least as grave as `most` says: `warn mirror: ...`.
///
/// Shape: a record is one write, so lines of several threads do not mix and those of one thread
///        keep their order. Control characters in a message are written as `\xNN`. A record that
///        cannot be written is lost.
[[nodiscard]] log_sink stderr_log_sink(log_level most = log_level::info);

/// The same at the end of a file, which is made where there is none; each line begins with the time
/// in UTC (`2026-05-01T12:00:00.000Z warn mirror: ...`).
/// Throws: `error` (`cannot open the log: PATH: ...`).
[[nodiscard]] log_sink file_log_sink(const std::string& path, log_level most = log_level::info);

}  // namespace fermata
