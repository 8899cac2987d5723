// SPDX-License-Identifier: MIT
#include "file_io.hpp"
#include "saved_format.hpp"

#include <fermata/git_mem/naming.hpp>
#include <fermata/git_mem/saved_store.hpp>
#include <fermata/promise/detach.hpp>

#include <algorithm>
#include <span>
#include <utility>

namespace fermata::git_mem {

namespace {

using bytes_view = std::span<const std::uint8_t>;

class section_writer {
public:
  section_writer(file_writer& to,
                 const std::stop_token& stop,
                 std::string_view tag,
                 std::uint64_t size)
      : to_(to), stop_(stop) {
    std::array<std::uint8_t, saved::head_bytes> head{};
    std::copy(tag.begin(), tag.end(), head.begin());
    saved::put(head.data() + saved::tag_bytes, size, 8);
    write(head);
  }

  void write(bytes_view bytes) {
    while (!bytes.empty()) {
      check_stop(stop_);
      const std::size_t n = std::min(bytes.size(), file_piece_bytes);
      sum_.update(bytes.first(n));
      to_.write(bytes.first(n));
      bytes = bytes.subspan(n);
    }
  }
  void end() {
    const object_id sum = sum_.finish();
    to_.write(bytes_view(sum.data(), object_id::size_bytes));
  }

private:
  file_writer& to_;
  const std::stop_token& stop_;
  checksum sum_;
};

void put_text(std::vector<std::uint8_t>& to, std::string_view text) {
  if (text.size() > 0xffff) throw failure(reason::limit, "a ref name of more than 65535 bytes");
  to.resize(to.size() + 2);
  saved::put(to.data() + to.size() - 2, text.size(), 2);
  to.insert(to.end(), text.begin(), text.end());
}

void write_refs(const snapshot& from, file_writer& to, const std::stop_token& stop) {
  std::vector<std::uint8_t> all;
  for (const reference& r : from.refs) {
    all.insert(all.end(), r.id.data(), r.id.data() + object_id::size_bytes);
    put_text(all, r.name);
    put_text(all, r.symbolic_target);
  }
  section_writer refs(to, stop, "refs", all.size());
  refs.write(all);
  refs.end();
  section_writer shallow(to, stop, "shallow", from.shallow.size() * object_id::size_bytes);
  for (const object_id& id : from.shallow) shallow.write({id.data(), object_id::size_bytes});
  shallow.end();
  if (from.is_partial) section_writer(to, stop, "partial", 0).end();
}

void write_pack(const pack& from, file_writer& to, const std::stop_token& stop) {
  section_writer bytes(to, stop, "pack", from.bytes().size());
  bytes.write(from.bytes());
  bytes.end();
  constexpr std::size_t at_once = 8192;
  section_writer entries(to, stop, "entries",
                         std::uint64_t{from.entry_count()} * saved::entry_bytes);
  std::vector<std::uint8_t> records(at_once * saved::entry_bytes);
  for (std::uint32_t i = 0; i < from.entry_count();) {
    std::size_t n = 0;
    for (; n < at_once && i < from.entry_count(); ++n, ++i) {
      saved::put_entry(records.data() + n * saved::entry_bytes, from.entry(i));
    }
    entries.write(bytes_view(records).first(n * saved::entry_bytes));
  }
  entries.end();
}

void save_job(const std::stop_token& stop, const snapshot_ptr& from, const std::string& path) {
  file_writer to(path);
  to.write(saved::first_line);
  write_refs(*from, to, stop);
  for (auto p = from->packs.rbegin(); p != from->packs.rend(); ++p) write_pack(**p, to, stop);
  section_writer(to, stop, "end", 0).end();
  check_stop(stop);
  to.commit();
}

}  // namespace

promise<> save(snapshot_ptr from, std::string path) {
  return detach(save_job, std::move(from), std::move(path));
}

promise<> save(const object_store& store, std::string path) {
  return save(store.current(), std::move(path));
}

void check_place(const std::string& path) { file_writer probe(path); }

void write_saved(const snapshot_ptr& from, const std::string& path) {
  save_job(std::stop_token(), from, path);
}

}  // namespace fermata::git_mem
