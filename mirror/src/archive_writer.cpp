// SPDX-License-Identifier: MIT
// An archive on its way in: each piece is written and hashed by one job on the pool.

#include "archive_store_parts.hpp"
#include "new_archive.hpp"

#include <fermata/promise/detach.hpp>

#include <algorithm>
#include <utility>

namespace fermata::mirror {

struct archive_store::writer::state {
  state(const std::string& folder, const std::optional<archive_hash>& name) : file(folder, name) {}
  new_archive file;
  std::uint64_t size = 0;  // the loop's
};

archive_store::writer::writer(writer&& other) noexcept
    : store_(other.store_),
      state_(std::move(other.state_)),
      name_(std::exchange(other.name_, std::nullopt)),
      origin_(std::exchange(other.origin_, {})),
      counted_(std::exchange(other.counted_, 0)),
      reserved_(std::exchange(other.reserved_, 0)) {}

archive_store::writer& archive_store::writer::operator=(writer&& other) noexcept {
  std::swap(store_, other.store_);
  std::swap(state_, other.state_);
  std::swap(name_, other.name_);
  std::swap(origin_, other.origin_);
  std::swap(counted_, other.counted_);
  std::swap(reserved_, other.reserved_);
  return *this;
}

// The file is closed, and removed unless it is kept, on the pool where there still is one.
archive_store::writer::~writer() {
  if (reserved_ > 0) store_->parts_->under_way -= reserved_;
  if (name_) store_->parts_->writing.erase(*name_);
  if (state_ == nullptr) return;
  try {
    if (!origin_.url.empty() && counted_ > 0) store_->parts_->set_partial(*name_, counted_);
    static_cast<void>(detach([](std::shared_ptr<state> s) { s.reset(); }, std::move(state_)));
  } catch (...) {  // the loop has ended: then here
  }
}

promise<archive_store::writer> archive_store::begin(std::optional<archive_hash> name) {
  writer w(*this);
  if (name && !parts_->writing.insert(*name).second) name.reset();  // another has it
  w.name_ = name;
  const auto make = [](std::string folder, std::optional<archive_hash> as) {
    return std::make_shared<writer::state>(folder, as);
  };
  if (name) parts_->unset_partial(*name);
  promise<std::shared_ptr<writer::state>> making = detach(make, parts_->folder, name);
  w.state_ = co_await std::move(making);
  const auto read_on = [](std::shared_ptr<writer::state> s) { return s->file.read_kept(); };
  for (;;) {
    promise<std::size_t> reading = detach(read_on, w.state_);
    const std::size_t n = co_await reading;
    if (n == 0) break;
    w.state_->size += n;
    w.counted_ += n;
    w.reserved_ += n;
    parts_->under_way += n;
    w.origin_ = w.state_->file.origin();
  }
  co_return std::move(w);
}

std::uint64_t archive_store::writer::size() const noexcept { return state_->size; }

const archive_origin& archive_store::writer::origin() const noexcept { return origin_; }

promise<> archive_store::writer::keep(archive_origin from) {
  if (from == origin_) co_return;
  const auto keep = [](std::shared_ptr<state> s, archive_origin o) { return s->file.keep(o); };
  promise<bool> keeping = detach(keep, state_, from);
  const bool is_kept = co_await keeping;
  if (is_kept) origin_ = std::move(from);
}

void archive_store::writer::expect(std::uint64_t size) {
  if (size <= reserved_) return;
  parts& p = *store_->parts_;
  const std::uint64_t used = p.counts.bytes + p.under_way - reserved_;  // by others
  const std::uint64_t quota = p.counts.quota_bytes;
  const std::uint64_t left = quota - std::min(quota, used);
  if (quota > 0 && size > left) {
    p.counts.is_full = true;
    throw store_full("no room for " + std::to_string(size) + " bytes: the quota of " +
                         std::to_string(quota) + " has " + std::to_string(left) + " left",
                     size);
  }
  p.under_way += size - reserved_;
  reserved_ = size;
}

promise<> archive_store::writer::write(http::shared_bytes piece) {
  parts& p = *store_->parts_;
  const std::uint64_t n = piece.size();
  expect(counted_ + n);
  counted_ += n;
  const auto write = [](std::shared_ptr<state> s, http::shared_bytes bytes) {
    s->file.write(bytes.view());
  };
  promise<> writing = detach(write, state_, std::move(piece));
  try {
    co_await writing;
  } catch (const store_full&) {
    p.counts.is_full = true;
    throw;
  }
  state_->size += n;
}

promise<> archive_store::writer::rewind() {
  store_->parts_->under_way -= std::exchange(reserved_, 0);
  counted_ = 0;
  state_->size = 0;
  origin_ = archive_origin();
  const auto rewind = [](std::shared_ptr<state> s) { s->file.rewind(); };
  promise<> rewinding = detach(rewind, state_);
  co_await rewinding;
}

promise<stored_archive> archive_store::writer::finish(std::vector<archive_hash> declared) {
  origin_ = archive_origin();  // it is whole, or of no use
  const auto commit = [](std::shared_ptr<state> s, std::vector<archive_hash> hashes) {
    return s->file.commit(hashes);
  };
  promise<stored_archive> committing = detach(commit, state_, std::move(declared));
  stored_archive a;
  try {
    a = co_await std::move(committing);
  } catch (const store_full&) {
    store_->parts_->counts.is_full = true;
    throw;
  }
  parts& p = *store_->parts_;
  p.under_way -= std::exchange(reserved_, 0);
  counted_ = 0;
  p.counts.is_full = false;
  p.put(a);
  co_return a;
}

}  // namespace fermata::mirror
