// SPDX-License-Identifier: MIT
// `read` joins two sorted lists: the files as they are now, and those that were read. Both advance
// by the smaller path.

#include "source_groups.hpp"

#include <fermata/git_mem/remote_url.hpp>
#include <fermata/git_mem/walk.hpp>
#include <fermata/mirror/archive_catalogue.hpp>
#include <fermata/promise/detach.hpp>
#include <fermata/promise/pause.hpp>

#include <algorithm>
#include <map>
#include <utility>

namespace fermata::mirror {
namespace {

constexpr std::chrono::nanoseconds cost_per_byte{4};
constexpr std::chrono::microseconds cost_per_file{5};
constexpr std::uint64_t cache_bytes = 1 << 20;  // versions of a package are read one after another

std::string_view why_skipped(const opam_source& s, bool allow_file) {
  switch (s.kind) {
    case source_kind::version_control:
      return "under version control: not mirrored";
    case source_kind::other:
      return "no URL that could be fetched";
    case source_kind::file:
      if (!allow_file) return "file:// is not allowed";
      [[fallthrough]];
    case source_kind::archive:
      break;
  }
  return s.hashes.empty() ? "it has no checksum" : std::string_view();
}

opam_sources read_text(const std::string& text) { return read_opam_sources(text); }

}  // namespace

std::string_view package_of_path(std::string_view path) noexcept {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string_view::npos) return {};
  const std::string_view name = path.substr(slash + 1);
  if (name != "opam" && name != "url") return {};
  const std::string_view folder = path.substr(0, slash);
  const std::string_view package = folder.substr(folder.rfind('/') + 1);
  return package.find('.') == std::string_view::npos ? std::string_view() : package;
}

struct archive_catalogue::parts {
  struct file {
    git_mem::object_id blob;
    std::vector<std::size_t> sources;
    std::vector<std::string> faults;
    bool is_available = true;
  };
  using files_by_path = std::map<std::string, file, std::less<>>;

  void count(const file& f, bool is_opam, std::ptrdiff_t by) {
    const auto change = [by](std::size_t& n) { n += static_cast<std::size_t>(by); };
    if (is_opam) change(counts.opam_files);
    if (!f.is_available) change(counts.unavailable);
    for (std::size_t i = 0; i < f.faults.size(); ++i) change(counts.faults);
    for (const std::size_t n : f.sources) {
      change(counts.sources);
      const opam_source& s = groups.at(n).what;
      if (s.kind == source_kind::version_control) {
        change(counts.version_control);
      } else if (s.kind == source_kind::other || (s.kind == source_kind::file && !allow_file)) {
        change(counts.refused);
      } else if (s.hashes.empty()) {
        change(counts.without_checksum);
      }
    }
  }

  void drop(const std::string& path, file& f) {
    count(f, path.ends_with("/opam"), -1);
    for (const std::size_t n : f.sources) {
      groups.remove(n);
      skipped.erase(n);
    }
    f.sources.clear();
  }

  void fill(const std::string& path, file& f, const git_mem::object_id& blob, opam_sources&& read) {
    f.blob = blob;
    f.faults = std::move(read.faults);
    if (f.faults.empty() && !read.has_version && path.ends_with("/opam")) {
      f.faults.emplace_back("1:1: no opam-version: opam 2.1 refuses the whole repository for that");
    }
    f.is_available = read.is_available;
    for (opam_source& s : read.sources) {
      if (!f.is_available) break;
      const std::string_view why = why_skipped(s, allow_file);
      const std::size_t n = groups.add(path, std::move(s), why.empty());
      f.sources.push_back(n);
      if (!why.empty()) skipped.insert(n);
    }
    if (f.faults.empty()) {
      faulty.erase(path);
    } else {
      faulty.insert(path);
    }
    count(f, path.ends_with("/opam"), 1);
  }

  void erase(files_by_path::iterator at) {
    drop(at->first, at->second);
    faulty.erase(at->first);
    files.erase(at);
  }

  source_groups groups;
  files_by_path files;
  std::set<std::size_t> skipped;  // sources
  std::set<std::string, std::less<>> faulty;
  catalogue_counts counts;
  bool allow_file = false;
};

archive_catalogue::archive_catalogue(bool allow_file) : parts_(std::make_unique<parts>()) {
  parts_->allow_file = allow_file;
}
archive_catalogue::~archive_catalogue() = default;

namespace {

promise<opam_sources> read_blob(git_mem::snapshot_ptr from,
                                git_mem::tree_walk::entry e,
                                git_mem::object_cache& recent) {
  opam_sources sources;
  if (e.size_bytes > longest_opam_bytes) {
    sources.faults.emplace_back("1:1: over 4 MiB");
    co_return sources;
  }
  promise<git_mem::object> reading = git_mem::get_object(from, e.id, longest_opam_bytes, &recent);
  git_mem::object file;
  try {
    file = co_await std::move(reading);
  } catch (const git_mem::failure& f) {
    throw f.at("packages/" + e.path);
  }
  const std::string_view text = file.text();
  if (text.size() > opam_bytes_on_loop) {
    promise<opam_sources> detached = detach(read_text, std::string(text));
    sources = co_await std::move(detached);
  } else {
    sources = read_opam_sources(text);
    co_await maybe_pause(cost_per_byte * static_cast<std::int64_t>(text.size()));
  }
  co_return sources;
}

bool is_file(git_mem::file_mode mode) {
  return mode != git_mem::file_mode::symlink && mode != git_mem::file_mode::submodule &&
         mode != git_mem::file_mode::tree;
}

}  // namespace

promise<catalogue_update> archive_catalogue::read(git_mem::snapshot_ptr from,
                                                  const file_list& files) {
  catalogue_update update;
  git_mem::object_cache recent(*from, cache_bytes);
  auto known = parts_->files.begin();  // nobody else changes it while we pause
  for (std::size_t i = 0; i < files.size(); ++i) {
    const git_mem::tree_walk::entry& e = files[i];
    co_await maybe_pause();
    if (!is_file(e.mode) || package_of_path(e.path).empty()) continue;
    while (known != parts_->files.end() && known->first < e.path) {
      const auto gone = known++;
      parts_->erase(gone);
      co_await maybe_pause(cost_per_file);
    }
    const bool is_known = known != parts_->files.end() && known->first == e.path;
    if (is_known && known->second.blob == e.id) {
      ++known;
      continue;
    }
    promise<opam_sources> reading = read_blob(from, e, recent);
    opam_sources sources = co_await std::move(reading);
    ++update.files_read;
    if (is_known) {
      parts_->drop(known->first, known->second);
    } else {
      known = parts_->files.try_emplace(known, e.path);
    }
    parts_->fill(known->first, known->second, e.id, std::move(sources));
    ++known;
    co_await maybe_pause(cost_per_file);
  }
  while (known != parts_->files.end()) {
    const auto gone = known++;
    parts_->erase(gone);
    co_await maybe_pause(cost_per_file);
  }
  update.touched = take_touched();
  co_return update;
}

void archive_catalogue::set_file(std::string_view path,
                                 const git_mem::object_id& blob,
                                 opam_sources sources) {
  const auto [at, is_new] = parts_->files.try_emplace(std::string(path));
  if (!is_new) parts_->drop(at->first, at->second);
  parts_->fill(at->first, at->second, blob, std::move(sources));
}

void archive_catalogue::remove_file(std::string_view path) {
  const auto at = parts_->files.find(path);
  if (at != parts_->files.end()) parts_->erase(at);
}

std::deque<archive_hash> archive_catalogue::take_touched() {
  return std::exchange(parts_->groups.touched, {});
}

std::optional<wanted_archive> archive_catalogue::find(const archive_hash& hash) const {
  const source_groups::group* g = parts_->groups.find(hash);
  if (g == nullptr) return std::nullopt;
  return parts_->groups.describe(*g);
}

bool archive_catalogue::has(const archive_hash& hash) const {
  return parts_->groups.find(hash) != nullptr;
}

std::size_t archive_catalogue::slots() const noexcept { return parts_->groups.groups().size(); }

std::optional<wanted_archive> archive_catalogue::at(std::size_t slot) const {
  const auto& groups = parts_->groups.groups();
  if (slot >= groups.size() || groups[slot].sources.empty()) return std::nullopt;
  return parts_->groups.describe(groups[slot]);
}

catalogue_counts archive_catalogue::counts() const noexcept {
  catalogue_counts c = parts_->counts;
  c.archives = parts_->groups.size();
  c.alternatives = parts_->groups.alternatives();
  return c;
}

std::vector<catalogue_note> archive_catalogue::faults(std::size_t most) const {
  std::vector<catalogue_note> notes;
  for (const std::string& path : parts_->faulty) {
    for (const std::string& what : parts_->files.find(path)->second.faults) {
      if (notes.size() == most) return notes;
      notes.push_back({"packages/" + path, what});
    }
  }
  return notes;
}

std::vector<catalogue_note> archive_catalogue::skipped(std::size_t most) const {
  std::vector<catalogue_note> notes;
  for (const std::size_t n : parts_->skipped) {
    if (notes.size() == most) break;
    const source_groups::source& s = parts_->groups.at(n);
    notes.push_back(
        {"packages/" + s.path, git_mem::without_secrets(s.what.url) + ": " +
                                   std::string(why_skipped(s.what, parts_->allow_file))});
  }
  return notes;
}

std::vector<catalogue_note> archive_catalogue::conflicts(std::size_t most) const {
  return parts_->groups.conflicts(most);
}

}  // namespace fermata::mirror
