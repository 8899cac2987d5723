// SPDX-License-Identifier: MIT
/// Writes a pack of some objects of a snapshot, piece by piece.
///
/// Shape:    entries are copied as they are stored where they are whole, or where their base is in
///           the pack before them (or, in a thin pack, with the receiver); else they are inflated
///           and deflated again. The oldest pack's objects come first, in its order.
/// Pauses:   may, after each piece that is copied, and each 8 KiB that are deflated (0.2 ms).
/// Thread:   loop.
/// Rejects:  `failure` for a damaged object, what `sink` rejects with, `cancelled`.
/// Cost:     8 bytes an entry of the snapshot for where things are, one object, 64 KiB of output;
///           8 MB of recent objects once something must be deflated again.
#pragma once

#include <fermata/git_mem/object_set.hpp>
#include <fermata/promise/promise.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>

namespace fermata::git_mem {

/// The most that a sink gets at once: what one packet of git's protocol holds.
inline constexpr std::size_t written_piece_bytes = 65515;

/// Takes the next bytes of a pack, which are valid until its promise has settled. The next call
/// comes then: a slow reader slows the writer down.
using pack_sink = std::function<promise<>(std::span<const std::byte>)>;

struct pack_writer_options {
  pack_writer_options() {}  // no aggregate: see STYLE.md, coroutines under g++ 12

  bool ofs_delta = true;                         ///< else bases are named, not pointed at
  std::shared_ptr<const object_set> thin_bases;  ///< what the receiver has; none: no thin pack
  /// Told of each entry before its bytes: name, size and kind; offset, delta and depth as they are
  /// in the new pack.
  std::function<void(const pack_entry&)> on_entry;
};

struct written_pack {
  std::uint64_t objects = 0;
  std::uint64_t bytes = 0;
  std::uint64_t copied_deltas = 0;
  std::uint64_t deflated = 0;  ///< objects that were deflated again
  object_id checksum;          ///< what stands at the end, and names the pack
};

/// Lifetime: `objects` is a set of `from`.
promise<written_pack> write_pack(snapshot_ptr from,
                                 std::shared_ptr<const object_set> objects,
                                 pack_sink sink,
                                 pack_writer_options options = {});

}  // namespace fermata::git_mem
