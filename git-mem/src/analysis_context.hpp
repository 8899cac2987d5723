// SPDX-License-Identifier: MIT
// What both halves of the analysis work with: the pack, the limits, and one of each machine.

#pragma once

#include "inflater.hpp"
#include "pack_links.hpp"
#include "pending_names.hpp"

#include <fermata/git_mem/delta.hpp>
#include <fermata/git_mem/naming.hpp>
#include <fermata/git_mem/object_store.hpp>
#include <fermata/git_mem/pack_analyser.hpp>

#include <optional>
#include <string>
#include <vector>

namespace fermata::git_mem::detail {

// Names an object in units: at once up to 32 KiB, else piece by piece.
class naming_task {
public:
  explicit naming_task(verify how) : how_(how) {}

  void start(object_type type, std::span<const std::uint8_t> content) {
    type_ = type;
    left_ = content;
    namer_.reset();
    if (content.size() > hash_cut) namer_.emplace(type, content.size(), how_);
  }

  // The name, once there is one.
  std::optional<object_id> step(cost_ns& cost) {
    if (!namer_) {
      cost += hash_cost(left_.size());
      return name_object(type_, left_, how_);
    }
    const std::size_t n = std::min(left_.size(), hash_cut);
    namer_->update(left_.first(n));
    left_ = left_.subspan(n);
    cost += hash_cost(n);
    if (!left_.empty()) return std::nullopt;
    return namer_->finish();
  }

private:
  verify how_;
  object_type type_ = object_type::blob;
  std::span<const std::uint8_t> left_;
  std::optional<object_namer> namer_;
};

// Blocks that are no longer used, freed in slices.
class discarded_blocks {
public:
  void add(byte_block&& block) {
    if (block.data() != nullptr) blocks_.push_back(std::move(block));
  }
  // False when nothing is left. Small blocks are freed in batches.
  bool release_slice() noexcept {
    for (int i = 0; i < 16 && !blocks_.empty(); ++i) {
      if (blocks_.back().release_slice()) return true;
      blocks_.pop_back();
    }
    return !blocks_.empty();
  }

private:
  std::vector<byte_block> blocks_;
};

inline std::string at_byte(std::uint64_t offset) { return "pack byte " + std::to_string(offset); }

}  // namespace fermata::git_mem::detail

namespace fermata::git_mem {

struct analysis_context {
  explicit analysis_context(pack_limits with)
      : limits(with),
        made(std::make_unique<pack>(with.pack_bytes)),
        naming(with.names),
        names(with.names) {}

  // Accounts for `size` bytes that are about to be made.
  void spend(std::uint64_t size) {
    if (size > limits.object_bytes) {
      throw failure(reason::limit, "object of " + std::to_string(size) + " bytes, the limit is " +
                                       std::to_string(limits.object_bytes));
    }
    progress.inflated_bytes += size;
    if (progress.inflated_bytes > limits.total_inflated_bytes) {
      throw failure(reason::limit,
                    "more than " + std::to_string(limits.total_inflated_bytes) + " bytes inflated");
    }
  }

  // Entry `number` can be a base from now on; its name may come later.
  void describe(std::uint32_t number, object_type type, std::uint64_t size, std::uint32_t depth);
  // And is object `id`; the first entry of a name keeps it.
  void set_name(std::uint32_t number, const object_id& id);
  // Both; the name behind those that are pending.
  void resolve(std::uint32_t number,
               const object_id& id,
               object_type type,
               std::uint64_t size,
               std::uint32_t depth);
  // The block is freed in slices, once nothing that is pending stands on it.
  void discard(byte_block&& block);

  pack_limits limits;
  pack_progress progress;
  std::unique_ptr<pack> made;
  snapshot_ptr bases;
  detail::inflater inflate;
  delta_applier delta;
  detail::naming_task naming;
  detail::discarded_blocks discarded;
  detail::pending_names names;
  detail::pack_links links;
};

}  // namespace fermata::git_mem
