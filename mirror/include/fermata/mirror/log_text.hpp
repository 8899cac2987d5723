// SPDX-License-Identifier: MIT
/// Lines of the log, for people and for machines.
///
/// Shape:  one record a line. Text: `level area: what key=value ...`. JSON: `{"time":..., "level":
///         ..., "area":..., "message":"what", "key":"value", ...}` with the words `key=value` that
///         a message ends with as members; a word that cannot be one stays in the message.
/// Pauses: never.
/// Thread: any.
#pragma once

#include <fermata/loop/log.hpp>
#include <fermata/mirror/options.hpp>

#include <chrono>
#include <string>
#include <string_view>

namespace fermata::mirror {

[[nodiscard]] std::string log_line(log_format format,
                                   log_level level,
                                   std::string_view area,
                                   std::string_view message);

/// The JSON form with a time of the caller's.
[[nodiscard]] std::string json_log_line(std::chrono::sys_time<std::chrono::milliseconds> when,
                                        log_level level,
                                        std::string_view area,
                                        std::string_view message);

}  // namespace fermata::mirror
