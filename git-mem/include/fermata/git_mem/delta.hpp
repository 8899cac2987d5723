// SPDX-License-Identifier: MIT
/// Applies a git delta in slices.
///
/// Shape:  `start` reads the two sizes; the caller checks them and makes room; `attach` gives the
///         base and the room; `step` until it returns true.
/// Pauses: never; one step copies at most 64 KiB and reads at most 4 KiB of delta (about 30 us).
/// Thread: any, one at a time.
/// Throws: `failure` (reason::corrupt) for a delta that does not fit its base or its result.
/// Lifetime: all three byte ranges outlive the last step.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>

namespace fermata::git_mem {

class delta_applier {
public:
  void start(std::span<const std::uint8_t> delta);
  [[nodiscard]] std::uint64_t base_size() const noexcept { return base_size_; }
  [[nodiscard]] std::uint64_t result_size() const noexcept { return result_size_; }

  void attach(std::span<const std::uint8_t> base, std::uint8_t* result);

  /// True when the result is complete. Adds to `cost` what it took.
  bool step(std::chrono::nanoseconds& cost);

private:
  void read_operation();
  [[nodiscard]] std::uint64_t read_size();

  const std::uint8_t* at_ = nullptr;
  const std::uint8_t* end_ = nullptr;
  std::span<const std::uint8_t> base_;
  std::uint8_t* result_ = nullptr;
  std::uint64_t base_size_ = 0;
  std::uint64_t result_size_ = 0;
  std::uint64_t written_ = 0;
  const std::uint8_t* copy_from_ = nullptr;  // what is left of the current operation
  std::uint64_t copy_left_ = 0;
};

}  // namespace fermata::git_mem
