// SPDX-License-Identifier: MIT
// What is stored is known in memory, by all names; the files are touched on the pool alone.

#include "archive_files.hpp"

#include <fermata/mirror/archive_store.hpp>
#include <fermata/promise/detach.hpp>
#include <fermata/promise/filesystem.hpp>
#include <fermata/promise/pause.hpp>
#include <fermata/promise/sleep.hpp>

#include <charconv>
#include <deque>
#include <map>
#include <utility>

namespace fermata::mirror {
namespace {

constexpr std::chrono::microseconds put_cost{2};
constexpr std::size_t longest_unnamed_bytes = std::size_t{64} << 20;

found_archives find_in(std::stop_token stop, std::string folder) {
  return find_archives(stop, folder);
}
std::shared_ptr<archive_reading> open_reading(std::string path) {
  return std::make_shared<archive_reading>(path);
}
std::size_t read_on(std::shared_ptr<archive_reading> r) { return r->step(); }
bool name_again(std::string folder, stored_archive a) {
  return name_archive(folder, folder + "/" + a.key().path(), a.hashes);
}
void take_away(std::string folder, stored_archive a, bool aside) {
  unname_archive(folder, a, aside);
}

}  // namespace

struct archive_store::parts {
  void put(const stored_archive& a) {
    if (by_hash.contains(a.key())) return;
    std::size_t slot = slots.size();
    if (free_slots.empty()) {
      slots.emplace_back();
    } else {
      slot = free_slots.back();
      free_slots.pop_back();
    }
    slots[slot] = a;
    for (const archive_hash& h : a.hashes) by_hash[h] = slot;
    ++counts.archives;
    counts.bytes += a.size;
  }
  void forget(const archive_hash& key) {
    const auto at = by_hash.find(key);
    if (at == by_hash.end()) return;
    const std::size_t slot = at->second;
    const stored_archive a = *slots[slot];
    for (const archive_hash& h : a.hashes) {
      const auto named = by_hash.find(h);
      if (named != by_hash.end() && named->second == slot) by_hash.erase(named);
    }
    slots[slot].reset();
    free_slots.push_back(slot);
    --counts.archives;
    counts.bytes -= a.size;
    counts.is_full = false;
  }

  std::string folder;
  store_counts counts;
  std::deque<std::optional<stored_archive>> slots;
  std::vector<std::size_t> free_slots;
  std::map<archive_hash, std::size_t> by_hash;
  std::map<archive_hash, std::chrono::sys_seconds> unnamed;  // by sha256: since when
  std::uint64_t under_way = 0;                               // bytes that writers have taken
};

archive_store::archive_store() : parts_(std::make_unique<parts>()) {}
archive_store::~archive_store() = default;

namespace {

// A line each: sha256 and seconds since 1970. What cannot be read begins anew.
std::map<archive_hash, std::chrono::sys_seconds> read_unnamed(const std::string& text) {
  std::map<archive_hash, std::chrono::sys_seconds> unnamed;
  std::string_view left = text;
  while (!left.empty()) {
    const std::string_view line = left.substr(0, left.find('\n'));
    left.remove_prefix(std::min(line.size() + 1, left.size()));
    const std::size_t blank = line.find(' ');
    if (blank == std::string_view::npos) continue;
    const auto hash = archive_hash::from_path("sha256", line.substr(0, blank));
    std::int64_t seconds = 0;
    std::from_chars(line.data() + blank + 1, line.data() + line.size(), seconds);
    if (hash) unnamed[*hash] = std::chrono::sys_seconds(std::chrono::seconds(seconds));
  }
  return unnamed;
}

promise<std::string> load_unnamed(std::string path) {
  promise<std::optional<file_status>> looking = find_status(path);
  const std::optional<file_status> there = co_await looking;
  if (!there) co_return std::string();
  promise<std::string> reading = read_file(path, longest_unnamed_bytes);
  std::string text = co_await std::move(reading);
  co_return text;
}

}  // namespace

promise<std::unique_ptr<archive_store>> archive_store::open(std::string folder,
                                                            store_options options) {
  std::unique_ptr<archive_store> store(new archive_store);
  parts& p = *store->parts_;
  p.folder = std::move(folder);
  p.counts.quota_bytes = options.quota_bytes;
  promise<found_archives> finding = detach(find_in, p.folder);
  found_archives found = co_await std::move(finding);
  p.counts.damaged = found.damaged;
  for (const stored_archive& a : found.whole) {
    p.put(a);
    co_await maybe_pause(put_cost);
  }
  promise<std::string> loading = load_unnamed(p.folder + "/unnamed");
  const std::string text = co_await std::move(loading);
  p.unnamed = read_unnamed(text);
  p.counts.unnamed = p.unnamed.size();
  co_return std::move(store);
}

const std::string& archive_store::folder() const noexcept { return parts_->folder; }

std::optional<stored_archive> archive_store::find(const archive_hash& hash) const {
  const auto at = parts_->by_hash.find(hash);
  return at == parts_->by_hash.end() ? std::nullopt : parts_->slots[at->second];
}

std::string archive_store::path_of(const archive_hash& hash) const {
  return parts_->folder + "/" + hash.path();
}

store_counts archive_store::counts() const noexcept { return parts_->counts; }

// ---- writing ----

struct archive_store::writer::state {
  explicit state(const std::string& folder) : file(folder) {}
  new_archive file;
  std::uint64_t size = 0;  // the loop's
};

archive_store::writer::writer(writer&& other) noexcept
    : store_(other.store_),
      state_(std::move(other.state_)),
      counted_(std::exchange(other.counted_, 0)) {}

archive_store::writer& archive_store::writer::operator=(writer&& other) noexcept {
  std::swap(store_, other.store_);
  std::swap(state_, other.state_);
  std::swap(counted_, other.counted_);
  return *this;
}

// The file is closed and removed on the pool, where there still is one.
archive_store::writer::~writer() {
  if (counted_ > 0) store_->parts_->under_way -= counted_;
  if (state_ == nullptr) return;
  try {
    static_cast<void>(detach([](std::shared_ptr<state> s) { s.reset(); }, std::move(state_)));
  } catch (...) {  // the loop has ended: then here
  }
}

promise<archive_store::writer> archive_store::begin() {
  writer w(*this);
  const auto make = [](std::string folder) { return std::make_shared<writer::state>(folder); };
  promise<std::shared_ptr<writer::state>> making = detach(make, parts_->folder);
  w.state_ = co_await std::move(making);
  co_return std::move(w);
}

std::uint64_t archive_store::writer::size() const noexcept { return state_->size; }

promise<> archive_store::writer::write(http::shared_bytes piece) {
  parts& p = *store_->parts_;
  const std::uint64_t n = piece.size();
  if (p.counts.quota_bytes > 0 && p.counts.bytes + p.under_way + n > p.counts.quota_bytes) {
    p.counts.is_full = true;
    throw store_full("the quota of " + std::to_string(p.counts.quota_bytes) + " bytes is used up");
  }
  p.under_way += n;
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
  store_->parts_->under_way -= std::exchange(counted_, 0);
  state_->size = 0;
  const auto rewind = [](std::shared_ptr<state> s) { s->file.rewind(); };
  promise<> rewinding = detach(rewind, state_);
  co_await rewinding;
}

promise<stored_archive> archive_store::writer::finish(std::vector<archive_hash> declared) {
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
  p.under_way -= std::exchange(counted_, 0);
  p.counts.is_full = false;
  p.put(a);
  co_return a;
}

// ---- looking after what is stored ----

namespace {

// What the file has; nothing where there is none.
promise<std::optional<stored_archive>> read_through(std::string path,
                                                    std::uint64_t bytes_per_second) {
  promise<std::shared_ptr<archive_reading>> opening = detach(open_reading, std::move(path));
  const std::shared_ptr<archive_reading> reading = co_await std::move(opening);
  if (!reading->exists()) co_return std::nullopt;
  for (;;) {
    promise<std::size_t> step = detach(read_on, reading);
    const std::size_t n = co_await step;
    if (n == 0) break;
    if (bytes_per_second == 0) continue;
    promise<> rest = sleep_for(std::chrono::microseconds(n * 1'000'000 / bytes_per_second));
    co_await rest;
  }
  co_return reading->finish();
}

}  // namespace

promise<check_report> archive_store::check(std::uint64_t bytes_per_second,
                                           std::function<void(const check_report&)> seen) {
  check_report report;
  for (std::size_t i = 0; i < parts_->slots.size(); ++i) {  // by index: it changes while we pause
    co_await maybe_pause();
    if (!parts_->slots[i]) continue;
    const stored_archive a = *parts_->slots[i];
    promise<std::optional<stored_archive>> reading =
        read_through(path_of(a.key()), bytes_per_second);
    const std::optional<stored_archive> real = co_await std::move(reading);
    ++report.checked;
    report.bytes += a.size;
    const bool is_good = real && real->hashes == a.hashes;
    if (is_good) {
      promise<bool> naming = detach(name_again, parts_->folder, a);
      const bool had_lost_one = co_await naming;
      if (had_lost_one) ++report.mended;
    } else {
      parts_->forget(a.key());  // nobody is given it from here on
      if (real) {
        report.damaged.push_back(a.key());
        ++parts_->counts.damaged;
      } else {
        ++report.missing;
      }
      promise<> taking = detach(take_away, parts_->folder, a, real.has_value());
      co_await taking;
    }
    if (seen) seen(report);
  }
  co_return report;
}

promise<std::size_t> archive_store::collect(std::function<bool(const stored_archive&)> named,
                                            std::chrono::seconds keep,
                                            std::chrono::sys_seconds now) {
  std::size_t removed = 0;
  std::size_t unnamed = 0;
  bool changed = false;
  std::string text;
  for (std::size_t i = 0; i < parts_->slots.size(); ++i) {
    co_await maybe_pause(put_cost);
    if (!parts_->slots[i]) continue;
    const stored_archive a = *parts_->slots[i];
    if (named(a)) {
      changed |= parts_->unnamed.erase(a.key()) > 0;
      continue;
    }
    const auto [since, is_new] = parts_->unnamed.try_emplace(a.key(), now);
    changed |= is_new;
    if (now - since->second < keep) {
      ++unnamed;
      text += a.key().hex() + " " + std::to_string(since->second.time_since_epoch().count()) + "\n";
      continue;
    }
    parts_->unnamed.erase(since);
    parts_->forget(a.key());
    promise<> taking = detach(take_away, parts_->folder, a, false);
    co_await taking;
    ++removed;
    ++parts_->counts.collected;
    changed = true;
  }
  parts_->counts.unnamed = unnamed;
  if (changed) {
    promise<> saving = replace_file(parts_->folder + "/unnamed", std::move(text));
    co_await saving;
  }
  co_return removed;
}

}  // namespace fermata::mirror
