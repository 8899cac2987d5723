// SPDX-License-Identifier: MIT
#include "analysis_context.hpp"

#include <algorithm>

namespace fermata::git_mem {

void analysis_context::describe(std::uint32_t number,
                                object_type type,
                                std::uint64_t size,
                                std::uint32_t depth) {
  pack_entry& e = made->entries_[number];
  e.kind = static_cast<unsigned>(type) & 7;
  e.size = static_cast<std::uint32_t>(size);
  e.depth = depth & 4095;
  e.resolved = 1;
  progress.longest_chain = std::max<std::uint64_t>(progress.longest_chain, depth);
  progress.largest_object = std::max(progress.largest_object, size);
}

void analysis_context::set_name(std::uint32_t number, const object_id& id) {
  pack_entry& e = made->entries_[number];
  e.id = id;
  const auto id_of = [this](std::uint32_t n) -> const object_id& { return made->entries_[n].id; };
  if (made->names_.find(id, id_of) == pack_entry::none) {
    made->names_.insert(id, number, id_of);
    ++made->objects_;
  } else {
    e.duplicate = 1;
    ++progress.duplicates;
  }
  ++progress.objects_done;
}

void analysis_context::resolve(std::uint32_t number,
                               const object_id& id,
                               object_type type,
                               std::uint64_t size,
                               std::uint32_t depth) {
  describe(number, type, size, depth);
  if (names.has_any()) {
    names.add_named(number, id);
  } else {
    set_name(number, id);
  }
}

void analysis_context::discard(byte_block&& block) {
  if (names.has_any()) {
    names.keep(std::move(block));
  } else {
    discarded.add(std::move(block));
  }
}

namespace detail {

std::uint64_t pending_names::mark() const noexcept {
  if (!marks_.empty()) return marks_.front();
  return open_ != nullptr ? open_->mark : no_mark;
}

naming_batch& pending_names::open(std::uint64_t mark) {
  if (open_ == nullptr) {
    open_ = std::make_unique<naming_batch>();
    open_->how = how_;
    open_->mark = mark;
  }
  open_->mark = std::min(open_->mark, mark);
  return *open_;
}

void pending_names::account(std::uint64_t bytes) {
  bytes_ += bytes;
  open_->bytes += bytes;
  if (open_->bytes >= batch_bytes || open_->objects.size() >= batch_objects) put_open();
}

void pending_names::put_open() {
  marks_.push_back(open_->mark);
  ++put_;
  crew_->put(std::move(open_));
}

void pending_names::add(std::uint32_t number,
                        object_type type,
                        std::span<const std::uint8_t> content,
                        std::uint64_t mark) {
  open(mark).objects.push_back({number, type, false, content, {}});
  account(content.size());
}

void pending_names::add_named(std::uint32_t number, const object_id& id) {
  open(no_mark).objects.push_back({number, object_type::blob, true, {}, id});
  account(0);
}

void pending_names::keep(byte_block&& block) {
  if (block.data() == nullptr) return;
  const std::uint64_t size = block.size();
  open(no_mark).spent.push_back(std::move(block));
  account(size);
}

void pending_names::commit_first(analysis_context& to) {
  if (put_ == 0) put_open();
  const std::unique_ptr<naming_batch> batch = crew_->take_first();
  --put_;
  marks_.pop_front();
  bytes_ -= batch->bytes;
  for (byte_block& b : batch->spent) to.discarded.add(std::move(b));
  for (std::size_t i = 0; i < batch->named; ++i) {
    to.set_name(batch->objects[i].number, batch->objects[i].id);
  }
  if (!batch->refused) return;
  const std::uint32_t number = batch->objects[batch->named].number;
  throw batch->refused->at(at_byte(to.made->entry(number).offset));
}

void pending_names::abandon() noexcept {
  if (crew_ != nullptr) crew_->abandon();
  open_.reset();
  marks_.clear();
  put_ = bytes_ = 0;
}

}  // namespace detail
}  // namespace fermata::git_mem
