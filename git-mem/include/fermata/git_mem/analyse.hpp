// SPDX-License-Identifier: MIT
/// Packs as promises: the analyser driven on the loop, from memory or from a channel of pieces.
///
/// Pauses:   may, after every step (about 50 us).
/// Thread:   loop.
/// Rejects:  `failure` (bad pack, limit reached), `cancelled`. What was used is then freed in
/// slices
///           before the promise settles; after a cancel, at once.
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

/// Called after every step: keep it short.
using pack_progress_hook = std::function<void(const pack_progress&)>;

/// A part of a pack on its way; an empty one says that the pack is over.
using pack_piece = std::vector<std::byte>;
/// The most that a piece should hold.
inline constexpr std::size_t pack_piece_bytes = 64 * 1024;

/// Analyses a pack that is in memory. Lifetime: the bytes outlive the promise.
promise<std::unique_ptr<pack>> analyse(std::span<const std::byte> bytes,
                                       pack_limits limits = {},
                                       std::shared_ptr<const snapshot> bases = {},
                                       pack_progress_hook hook = {});

/// Feeds `analyser` from `pieces` until it is done; gives false if the pieces end without an empty
/// one: whoever sends them has failed, and says why himself. Lifetime: `analyser` outlives the
/// promise.
promise<bool> drive(pack_analyser& analyser,
                    channel_reader<pack_piece> pieces,
                    pack_progress_hook hook = {});

/// Frees an analysis that failed, in slices.
promise<> release(pack_analyser analyser);

}  // namespace fermata::git_mem
