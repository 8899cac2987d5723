// SPDX-License-Identifier: MIT
#include "text.hpp"

#include <fermata/mirror/log_text.hpp>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <utility>
#include <vector>

namespace fermata::mirror {
namespace {

using std::chrono::milliseconds;

bool is_key(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || c == '_' || (c >= '0' && c <= '9');
  });
}

// As JSON writes them, and short enough to stay exact.
bool is_number(std::string_view text) {
  const bool is_long = text.size() > 15 || text.empty();
  if (is_long || (text.front() == '0' && text.size() > 1 && text[1] != '.')) return false;
  std::size_t dots = 0;
  for (const char c : text) {
    if (c == '.') {
      ++dots;
    } else if (c < '0' || c > '9') {
      return false;
    }
  }
  return dots < 2 && text.front() != '.' && text.back() != '.';
}

// Takes the last word off `message` if it is `key=value`.
std::pair<std::string_view, std::string_view> take_pair(std::string_view& message) {
  const std::size_t space = message.rfind(' ');
  if (space == std::string_view::npos) return {};
  const std::string_view word = message.substr(space + 1);
  const std::size_t equals = word.find('=');
  if (equals == std::string_view::npos || !is_key(word.substr(0, equals))) return {};
  message = message.substr(0, space);
  return {word.substr(0, equals), word.substr(equals + 1)};
}

std::string one_line(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    out += byte < 0x20 || byte == 0x7f ? fmt::format("\\x{:02x}", byte) : std::string(1, c);
  }
  return out;
}

}  // namespace

std::string json_log_line(std::chrono::sys_time<milliseconds> when,
                          log_level level,
                          std::string_view area,
                          std::string_view message) {
  std::vector<std::pair<std::string_view, std::string_view>> pairs;
  for (;;) {
    const auto pair = take_pair(message);
    if (pair.first.empty()) break;
    pairs.push_back(pair);
  }
  const auto second = std::chrono::floor<std::chrono::seconds>(when);
  std::string time = iso_time(second);
  time.pop_back();
  nlohmann::ordered_json out;
  out["time"] = fmt::format("{}.{:03}Z", time, (when - second).count());
  out["level"] = to_string(level);
  out["area"] = area;
  out["message"] = message;
  std::reverse(pairs.begin(), pairs.end());
  for (const auto& [key, value] : pairs) {
    if (out.contains(key)) continue;
    if (is_number(value)) {
      out[std::string(key)] = nlohmann::ordered_json::parse(value);
    } else {
      out[std::string(key)] = value;
    }
  }
  return out.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

std::string log_line(log_format format,
                     log_level level,
                     std::string_view area,
                     std::string_view message) {
  if (format == log_format::text) {
    return fmt::format("{} {}: {}\n", to_string(level), area, one_line(message));
  }
  const auto now = std::chrono::floor<milliseconds>(std::chrono::system_clock::now());
  return json_log_line(now, level, area, message);
}

}  // namespace fermata::mirror
