// SPDX-License-Identifier: MIT
/// Packs as promises: the analyser driven on the loop or on its pool, from memory or from a channel
/// of pieces.
///
/// Shape:    `threads` 0: on the loop. 1: on a thread of the pool. More: there too, and the others
///           compute names, which is half of the work and more. Whatever the number, the same pack
///           comes of it, or the same error; a pool with fewer threads is only slower.
/// Pauses:   may, after every step (about 50 us); with threads, while they work.
/// Thread:   loop.
/// Rejects:  `failure` (bad pack, limit reached), `cancelled`. What was used is then freed in
///           slices before the promise settles; after a cancel, at once. No thread is at work any
///           more when the promise has settled.
/// Cost:     with threads, 2 MB more and a wake-up a thread for each MB of the pack that has come.
#pragma once

#include <fermata/git_mem/pack_analyser.hpp>
#include <fermata/promise/channel.hpp>
#include <fermata/promise/promise.hpp>

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <vector>

namespace fermata::git_mem {

/// Called after every step, with threads for each MB of the pack: keep it short. Thread: loop.
using pack_progress_hook = std::function<void(const pack_progress&)>;

/// A part of a pack on its way; an empty one says that the pack is over.
using pack_piece = std::vector<std::byte>;
/// The most that a piece should hold.
inline constexpr std::size_t pack_piece_bytes = 64 * 1024;

/// Analyses a pack that is in memory. Lifetime: the bytes outlive the promise.
promise<std::unique_ptr<pack>> analyse(std::span<const std::byte> bytes,
                                       pack_limits limits = {},
                                       std::shared_ptr<const snapshot> bases = {},
                                       pack_progress_hook hook = {},
                                       std::size_t threads = 0);

/// Feeds `analyser` from `pieces` until it is done; gives false if the pieces end without an empty
/// one: whoever sends them has failed, and says why himself. Lifetime: `analyser` outlives the
/// promise.
promise<bool> drive(pack_analyser& analyser,
                    channel_reader<pack_piece> pieces,
                    pack_progress_hook hook = {},
                    std::size_t threads = 0);

/// Frees an analysis that failed, in slices.
promise<> release(pack_analyser analyser);

}  // namespace fermata::git_mem
