// SPDX-License-Identifier: MIT
/// Where a loop's log lines go; the default drops them.
///
/// Thread: loop.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

namespace fermata {

/// `error` someone must act, `warn` worse than it should be, `info` a state changed, `debug` the
/// rest.
enum class log_level : std::uint8_t { error, warn, info, debug };

[[nodiscard]] std::string_view to_string(log_level level) noexcept;

/// Shape: `area` is a folder or a service, `message` is `what key=value ...`, one line.
using log_sink =
    std::function<void(log_level level, std::string_view area, std::string_view message)>;

}  // namespace fermata
