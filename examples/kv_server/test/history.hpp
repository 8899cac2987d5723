// SPDX-License-Identifier: MIT
/// What clients asked and were told, and whether one store that does one thing after the other can
/// have said so.
///
/// Shape:  each value is set once. What was never answered may have happened or not.
/// Source: Gibbons and Korach, "Testing shared memories", 1997: of each value, take the time from
///         the first end of an operation on it to the last beginning of one. Where these differ
///         such that all of it must have been the current value (a forward zone), no other value's
///         may overlap; and no value that was needed for a moment only may lie within.
/// Cost:   `check` is O(n log n).
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace kv {

class history {
public:
  using id = std::size_t;
  /// Times are the order of the calls.
  id begin_get(std::string key);
  id begin_set(std::string key, std::string value);
  void end_set(id i) { operations_[i].end = ++now_; }
  /// Nothing: there was no value.
  void end_get(id i, std::optional<std::string> value);

  /// Empty, or the first key and value where it is not linearizable.
  [[nodiscard]] std::string check() const;
  [[nodiscard]] std::set<std::string> keys() const;
  [[nodiscard]] std::size_t size() const noexcept { return operations_.size(); }

private:
  static constexpr std::uint64_t never = std::numeric_limits<std::uint64_t>::max();
  struct operation {
    std::string key;
    std::optional<std::string> value;
    bool is_set;
    std::uint64_t begin;
    std::uint64_t end = never;
  };
  struct zone;
  static std::string check_key(const std::vector<const operation*>& all);
  static std::string check_zones(std::vector<zone> zones);

  std::vector<operation> operations_;
  std::uint64_t now_ = 0;
};

}  // namespace kv
