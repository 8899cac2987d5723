// SPDX-License-Identifier: MIT
// What is stored is known in memory, by all names; the files are touched on the pool alone.

#include "archive_files.hpp"
#include "archive_store_parts.hpp"
#include "new_archive.hpp"

#include <fermata/promise/detach.hpp>
#include <fermata/promise/filesystem.hpp>
#include <fermata/promise/pause.hpp>
#include <fermata/promise/sleep.hpp>

#include <algorithm>
#include <charconv>
#include <limits>
#include <map>
#include <utility>

namespace fermata::mirror {
namespace {

constexpr std::chrono::microseconds put_cost{2};
constexpr std::size_t longest_unnamed_bytes = std::size_t{64} << 20;

struct found_all {
  kept_sizes sizes;  // their `of` is not for the loop: it may be long
  bool is_saved = false;
  found_archives whole;
  found_partials partial;
};
std::string sizes_path(const std::string& folder) { return folder + "/sizes"; }

found_all find_in(std::stop_token stop, std::string folder) {
  found_all found;
  found.sizes = load_sizes(sizes_path(folder));
  found.whole = find_archives(stop, folder, found.sizes.of);
  found.is_saved =
      found.sizes.of.size() + found.whole.unverified.size() == found.whole.whole.size();
  found.sizes.of.clear();
  found.partial = find_partials(folder);
  return found;
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
  promise<found_all> finding = detach(find_in, p.folder);
  found_all found = co_await std::move(finding);
  p.counts.damaged = found.whole.damaged;
  p.counts.unreadable = found.whole.unreadable;
  p.fault = std::move(found.whole.fault);
  p.counts.refused_partial = found.partial.refused;
  for (const stored_archive& a : found.whole.whole) {
    p.put(a);
    co_await maybe_pause(put_cost);
  }
  p.unverified = std::move(found.whole.unverified);
  p.checked = found.sizes.checked;
  p.refused = std::move(found.sizes.refused);
  p.is_saved = found.is_saved;
  for (const auto& [name, bytes] : found.partial.sizes) {
    p.set_partial(name, bytes);
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

store_counts archive_store::counts() const noexcept {
  store_counts c = parts_->counts;
  c.unverified = parts_->unverified.size();
  return c;
}

std::uint64_t archive_store::room() const noexcept {
  const store_counts& c = parts_->counts;
  if (c.quota_bytes == 0) return std::numeric_limits<std::uint64_t>::max();
  const std::uint64_t used = c.bytes + parts_->under_way - c.partial_bytes;
  return c.quota_bytes - std::min(c.quota_bytes, used);
}

std::chrono::sys_seconds archive_store::last_check() const noexcept { return parts_->checked; }

const std::string& archive_store::fault() const noexcept { return parts_->fault; }

const std::string& archive_store::refused() const noexcept { return parts_->refused; }

promise<> archive_store::save() {
  const mutex::guard alone = co_await parts_->saving.lock();
  if (parts_->is_saved) co_return;
  parts_->is_saved = true;  // also where that fails: the next change is the next try
  kept_sizes now;
  now.checked = parts_->checked;
  for (std::size_t i = 0; i < parts_->slots.size(); ++i) {  // by index: it changes while we pause
    const auto& a = parts_->slots[i];
    if (a && !parts_->unverified.contains(a->key())) now.of.emplace(a->key(), a->size);
    co_await maybe_pause(put_cost);
  }
  const auto save = [](std::string path, kept_sizes what) { save_sizes(path, what); };
  promise<> saving = detach(save, sizes_path(parts_->folder), std::move(now));
  co_await saving;
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

promise<> archive_store::check_one(stored_archive a,
                                   std::uint64_t bytes_per_second,
                                   check_report& report) {
  promise<std::optional<stored_archive>> reading = read_through(path_of(a.key()), bytes_per_second);
  const std::optional<stored_archive> real = co_await std::move(reading);
  ++report.checked;
  report.bytes += a.size;
  if (real && real->hashes == a.hashes) {
    if (parts_->unverified.erase(a.key()) > 0) parts_->is_saved = false;
    promise<bool> naming = detach(name_again, parts_->folder, a);
    const bool had_lost_one = co_await naming;
    if (had_lost_one) ++report.mended;
    co_return;
  }
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

promise<check_report> archive_store::check(std::uint64_t bytes_per_second,
                                           std::function<void(const check_report&)> seen,
                                           check_of which) {
  check_report report;
  for (std::size_t i = 0; i < parts_->slots.size(); ++i) {  // by index: it changes while we pause
    co_await maybe_pause();
    if (!parts_->slots[i]) continue;
    const stored_archive a = *parts_->slots[i];
    if (which == check_of::unverified && !parts_->unverified.contains(a.key())) continue;
    promise<> checking = check_one(a, bytes_per_second, report);
    try {
      co_await checking;
    } catch (const error& e) {  // of a sector, say: the others have theirs
      ++report.failed;
      report.last_failure = e.what();
    }
    if (seen) seen(report);
  }
  if (which == check_of::all) {
    parts_->checked = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
    parts_->is_saved = false;
  }
  co_return report;
}

// It is forgotten only when its file is out of the way: who fetches it anew must not be disturbed.
promise<bool> archive_store::recover(archive_hash key) {
  const mutex::guard alone = co_await parts_->recovering.lock();
  const auto a = find(key);
  if (!a) co_return false;  // another has found that out
  promise<recovery> recovering = detach(recover_archive, parts_->folder, *a);
  const recovery r = co_await recovering;
  if (r == recovery::there) co_return true;
  if (r == recovery::damaged) ++parts_->counts.damaged;
  parts_->forget(a->key());
  co_return false;
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

promise<std::size_t> archive_store::drop_partial(std::function<bool(const archive_hash&)> wanted) {
  std::size_t removed = 0;
  const auto remove = [](std::string folder, archive_hash name) { remove_partial(folder, name); };
  std::optional<archive_hash> last;
  for (;;) {
    co_await maybe_pause(put_cost);
    const auto at = last ? parts_->partial.upper_bound(*last) : parts_->partial.begin();
    if (at == parts_->partial.end()) co_return removed;
    last = at->first;
    if (wanted(*last)) continue;
    parts_->unset_partial(*last);
    promise<> removing = detach(remove, parts_->folder, *last);
    co_await removing;
    ++removed;
  }
}

}  // namespace fermata::mirror
