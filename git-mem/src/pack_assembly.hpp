// SPDX-License-Identifier: MIT
// Makes a pack whose entries are known beforehand: read from a file, copied from other packs, or
// written by us. Entries come in the order of their offsets.
#pragma once

#include <fermata/git_mem/pack.hpp>

#include <memory>
#include <span>
#include <utility>

namespace fermata::git_mem {

class pack_assembly {
public:
  pack_assembly(std::uint64_t limit_bytes, std::uint64_t expected_objects)
      : made_(std::make_unique<pack>(limit_bytes)) {
    made_->names_ = detail::name_table(expected_objects);
  }

  [[nodiscard]] growing_range& bytes() noexcept { return made_->bytes_; }
  [[nodiscard]] const pack& so_far() const noexcept { return *made_; }

  // The first entry of a name keeps it, as in the analyser.
  void add(pack_entry e) {
    const auto id_of = [this](std::uint32_t n) -> const object_id& {
      return made_->entries_[n].id;
    };
    const std::uint32_t number = made_->entry_count();
    const bool known = made_->names_.find(e.id, id_of) != pack_entry::none;
    e.resolved = 1;
    e.duplicate = known ? 1 : 0;
    made_->entries_.push_back(e);
    if (known) return;
    made_->names_.insert(e.id, number, id_of);
    ++made_->objects_;
  }

  // The bytes are all there, the trailer's 20 too.
  [[nodiscard]] std::unique_ptr<pack> finish() {
    made_->end_ = made_->bytes_.size() - object_id::size_bytes;
    made_->bytes_.seal();
    return std::move(made_);
  }

  // The entries' part ends here: what is read back before `finish`.
  void set_end(std::uint64_t end) noexcept { made_->end_ = end; }

  bool release_slice() noexcept { return made_ != nullptr && made_->release_slice(); }

private:
  std::unique_ptr<pack> made_;
};

}  // namespace fermata::git_mem
