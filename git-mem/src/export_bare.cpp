// SPDX-License-Identifier: MIT
// The pack goes to the disk as it is made; the checksum of each entry, which the index has, is made
// from the bytes as they pass by.

#include "live_refs.hpp"
#include "pack_index.hpp"

#include <fermata/git_mem/export_bare.hpp>
#include <fermata/git_mem/pack_writer.hpp>
#include <fermata/promise/detach.hpp>
#include <fermata/promise/pause.hpp>

#include <zlib.h>

#include <algorithm>
#include <exception>
#include <filesystem>
#include <memory>
#include <utility>

namespace fermata::git_mem {

namespace {

constexpr std::string_view config =
    "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = true\n";

// What an export that failed has made of the repository: another one may be tried in its place.
void remove_made(const std::string& to, bool made_it) {
  std::error_code ignored;
  for (const char* ours : {"objects", "refs", "config", "shallow", "packed-refs", "HEAD"}) {
    std::filesystem::remove_all(std::filesystem::path(to) / ours, ignored);
  }
  if (made_it) std::filesystem::remove(to, ignored);
}

// Whether the folder is new itself.
bool make_folders(const std::string& to) {
  std::error_code code;
  const bool is_new = !std::filesystem::exists(to, code);
  std::filesystem::create_directories(to, code);
  if (code) throw uv_error(code.value(), "cannot make the directory " + to);
  const bool is_empty = std::filesystem::is_empty(to, code);
  if (code) throw uv_error(code.value(), "cannot look at " + to);
  if (!is_empty) throw failure(reason::conflict, "cannot export to " + to + ": it is not empty");
  try {
    for (const char* below :
         {"/objects", "/objects/pack", "/objects/info", "/refs", "/refs/heads", "/refs/tags"}) {
      make_folder(to + below);
    }
  } catch (const error&) {
    remove_made(to, is_new);
    throw;
  }
  return is_new;
}

void write_small(const std::string& path, const std::string& content) {
  file_writer to(path);
  to.write(content);
  to.commit();
}

// A long text in pieces: one string that grows would copy, and touch anew, megabytes in one step.
class pieces {
public:
  void add(std::string_view line) {
    if (of_.back().size() + line.size() > piece_bytes) of_.emplace_back().reserve(piece_bytes);
    of_.back() += line;
  }
  void write(const std::string& path) const {
    file_writer to(path);
    for (const std::string& piece : of_) to.write(piece);
    to.commit();
  }

private:
  static constexpr std::size_t piece_bytes = 64 << 10;
  std::vector<std::string> of_{1};
};

// Knows where each entry of the pack begins, and sums its bytes up as they pass by.
class entry_sums {
public:
  /// Room for all at once: a vector that grows copies megabytes in one step.
  explicit entry_sums(std::size_t entries) { entries_.reserve(entries); }

  void begin(const pack_entry& e) { entries_.push_back({e.id, e.offset, 0}); }

  void pass(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      while (next_ < entries_.size() && entries_[next_].offset <= at_) ++next_;
      std::uint64_t n = bytes.size();
      if (next_ < entries_.size()) n = std::min(n, entries_[next_].offset - at_);
      if (next_ > 0) {
        std::uint32_t& crc = entries_[next_ - 1].crc;
        crc = static_cast<std::uint32_t>(
            ::crc32(crc, reinterpret_cast<const Bytef*>(bytes.data()), static_cast<uInt>(n)));
      }
      at_ += n;
      bytes = bytes.subspan(n);
    }
  }
  [[nodiscard]] std::vector<index_entry> take() { return std::move(entries_); }

private:
  std::vector<index_entry> entries_;
  std::size_t next_ = 0;  // first entry that begins behind at_
  std::uint64_t at_ = 0;
};

promise<> pass_on(std::shared_ptr<file_writer> to,
                  entry_sums& sums,
                  std::vector<std::uint8_t> kept) {
  sums.pass(std::as_bytes(std::span(kept)));
  co_await maybe_pause(std::chrono::microseconds(60));
  promise<> written = detach([to = std::move(to), bytes = std::move(kept)] { to->write(bytes); });
  co_await written;
}

// The trailer is held back from the sums: the last 20 bytes at any time.
struct pack_export {
  promise<> take(std::span<const std::byte> bytes) {
    const auto* raw = reinterpret_cast<const std::uint8_t*>(bytes.data());
    held.insert(held.end(), raw, raw + bytes.size());
    if (held.size() <= object_id::size_bytes) return ready();
    const auto end = held.end() - object_id::size_bytes;
    std::vector<std::uint8_t> go(held.begin(), end);
    held.erase(held.begin(), end);
    return pass_on(to, sums, std::move(go));
  }

  entry_sums sums;
  std::shared_ptr<file_writer> to = {};
  std::vector<std::uint8_t> held = {};
};

void finish_pack(const std::shared_ptr<file_writer>& to,
                 const std::vector<std::uint8_t>& trailer,
                 std::vector<index_entry> entries,
                 const std::string& folder) {
  const object_id sum = object_id::from_bytes(trailer.data());
  const std::string name = folder + "/pack-" + sum.hex();
  to->write(trailer);
  to->commit_as(name + ".pack");
  file_writer index(name + ".idx", 0444);
  write_index(index, std::move(entries), sum);
  index.commit();
}

promise<> export_pack(snapshot_ptr from, std::shared_ptr<object_set> live, std::string folder) {
  pack_export e{entry_sums(live->size())};
  promise<std::shared_ptr<file_writer>> opening =
      detach([folder] { return std::make_shared<file_writer>(folder + "/tmp_pack", 0444); });
  e.to = co_await std::move(opening);
  pack_writer_options how;
  how.on_entry = [&e](const pack_entry& entry) { e.sums.begin(entry); };
  pack_sink sink = [&e](std::span<const std::byte> bytes) { return e.take(bytes); };
  promise<written_pack> writing = write_pack(std::move(from), std::move(live), sink, how);
  co_await writing;
  promise<> finished = detach(finish_pack, e.to, e.held, e.sums.take(), std::move(folder));
  co_await finished;
}

struct ref_files {
  pieces packed;
  std::string head = "ref: refs/heads/main\n";
  std::vector<std::pair<std::string, std::string>> symbolic;  // path below the repository, content
};

promise<ref_files> make_ref_files(snapshot_ptr from) {
  ref_files files;
  files.packed.add("# pack-refs with: sorted \n");
  for (const reference& r : from->refs) {
    const bool is_there = from->find_object(r.id).has_value();
    if (!r.symbolic_target.empty()) {
      const std::string content = "ref: " + r.symbolic_target + "\n";
      if (r.name == "HEAD") {
        files.head = content;
      } else {
        files.symbolic.emplace_back(r.name, content);
      }
    } else if (r.name == "HEAD") {
      if (is_there) files.head = r.id.hex() + "\n";
    } else if (is_there) {
      files.packed.add(r.id.hex() + " " + r.name + "\n");
    }
    co_await maybe_pause();
  }
  co_return files;
}

void write_refs(const std::string& to, const ref_files& files, const std::string& shallow) {
  write_small(to + "/config", std::string(config));
  if (!shallow.empty()) write_small(to + "/shallow", shallow);
  files.packed.write(to + "/packed-refs");
  for (const auto& [name, content] : files.symbolic) {
    const std::string path = to + "/" + name;
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    write_small(path, content);
  }
  write_small(to + "/HEAD", files.head);
}

}  // namespace

namespace {

promise<> fill(snapshot_ptr from, std::string directory) {
  promise<reachable_objects> finding = detail::find_live(from);
  const reachable_objects live = co_await std::move(finding);
  if (live.objects->size() > 0) {
    promise<> packed = export_pack(from, live.objects, directory + "/objects/pack");
    co_await packed;
  }
  std::string shallow;
  for (const object_id& id : detail::live_shallow(*from, *live.objects)) {
    shallow += id.hex() + "\n";
  }
  promise<ref_files> making = make_ref_files(from);
  ref_files files = co_await std::move(making);
  promise<> written = detach(write_refs, std::move(directory), std::move(files), shallow);
  co_await written;
}

}  // namespace

promise<> export_bare(snapshot_ptr from, std::string directory) {
  if (from->is_partial) {
    throw failure(reason::unsupported, "cannot export to " + directory +
                                           ": the store is a partial clone, which a repository on "
                                           "disk would have to fetch the rest of");
  }
  promise<bool> making = detach(make_folders, directory);
  const bool made_it = co_await making;
  std::exception_ptr failed;
  promise<> filled = fill(std::move(from), directory);
  try {
    co_await filled;
    co_return;
  } catch (const error&) {
    failed = std::current_exception();
  }
  promise<> removed = detach(remove_made, std::move(directory), made_it);
  co_await removed;
  std::rethrow_exception(failed);
}

promise<> export_bare(const object_store& store, std::string directory) {
  return export_bare(store.current(), std::move(directory));
}

}  // namespace fermata::git_mem
