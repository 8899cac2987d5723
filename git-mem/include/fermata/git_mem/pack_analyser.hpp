// SPDX-License-Identifier: MIT
/// Analyses a pack while it arrives: every object is rebuilt, checked and named once.
///
/// Shape:  `feed` pieces of any size from 1 byte, `finish_input` after the last, and call `step`
///         until it says `done` or `error`; `step` says `need_input` when it has used all it was
///         fed. A delta is resolved as it arrives if its base is among the recent objects; the
///         others wait and are resolved depth-first after the last entry, each base once.
/// Units:  bytes and objects; `cost` is an upper estimate of CPU time.
/// Pauses: never; a step takes its budget and one unit more (a unit is below 100 us of CPU time
///         for any usual pack, 250 us for one made to be slow).
/// Thread: any, one at a time.
/// Throws: no step throws for a bad pack: it says `error`, and `error()` says what and where.
/// Cost:   the pack's bytes, 40 bytes an object, `cache_bytes`, and two objects at a time.
#pragma once

#include <fermata/git_mem/failure.hpp>
#include <fermata/git_mem/pack.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace fermata::git_mem {

class snapshot;
class analysis;
namespace detail {
struct pack_worker;
}

/// How far the analysis is, and what it met.
struct pack_progress {
  std::uint64_t objects_done = 0;
  std::uint64_t objects_total = 0;  ///< 0 until the pack's header is there
  std::uint64_t bytes_received = 0;
  std::uint64_t bytes_analysed = 0;
  std::uint64_t inflated_bytes = 0;  ///< entries and delta results
  std::uint64_t deltas = 0;
  std::uint64_t deferred = 0;    ///< deltas that had to wait for the end
  std::uint64_t duplicates = 0;  ///< entries whose object was there before
  std::uint64_t longest_chain = 0;
  std::uint64_t largest_object = 0;
};

class pack_analyser {
public:
  /// `bases` is where a thin pack's missing bases are looked up; it may be null.
  explicit pack_analyser(pack_limits limits = {}, std::shared_ptr<const snapshot> bases = {});
  pack_analyser(pack_analyser&&) noexcept;
  pack_analyser& operator=(pack_analyser&&) noexcept;
  ~pack_analyser();

  /// Copies a piece. Cost: 15 us per 64 KiB, so pieces of at most 64 KiB keep it short.
  void feed(std::span<const std::byte> piece);

  /// Says that nothing follows.
  void finish_input();

  step_result step(std::chrono::nanoseconds budget = default_step_budget);

  [[nodiscard]] const pack_progress& progress() const noexcept;

  /// After `error`: what is wrong, the place first.
  [[nodiscard]] const failure& error() const;

  /// After `done`: the pack, once.
  [[nodiscard]] std::unique_ptr<pack> take();

  /// Frees about 512 KiB of an analysis that is given up; true while there is more.
  bool release_slice() noexcept;

private:
  friend struct detail::pack_worker;
  std::unique_ptr<analysis> analysis_;
};

}  // namespace fermata::git_mem
