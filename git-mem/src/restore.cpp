// SPDX-License-Identifier: MIT
// Every number of the file is checked against what it belongs to before anything is taken or read
// by it: lengths against the rest of the file, entries against the pack's bytes, and each delta
// against a base whose chain is shorter, so that no chain is endless.

#include "file_io.hpp"
#include "pack_assembly.hpp"
#include "saved_format.hpp"

#include <fermata/git_mem/naming.hpp>
#include <fermata/git_mem/protocol.hpp>
#include <fermata/git_mem/saved_store.hpp>
#include <fermata/promise/detach.hpp>

#include <algorithm>
#include <optional>
#include <span>
#include <utility>

namespace fermata::git_mem {

namespace {

constexpr std::uint64_t pack_head_bytes = 12;
constexpr std::uint64_t refs_limit_bytes = std::uint64_t{256} << 20;

[[noreturn]] void bad(const std::string& why) { throw failure(reason::corrupt, why); }

// One section: its head is read, its content comes in pieces, its end is checked.
class section_reader {
public:
  section_reader(file_reader& from, const std::stop_token& stop) : from_(from), stop_(stop) {
    std::array<std::uint8_t, saved::head_bytes> head{};
    if (left_in_file() < head.size() + object_id::size_bytes) bad("the file ends early");
    read_summed(head);
    for (std::size_t i = 0; i < saved::tag_bytes && head[i] != 0; ++i) {
      if (head[i] < 'a' || head[i] > 'z') bad("no section begins here");
      tag_ += static_cast<char>(head[i]);
    }
    left_ = size_ = saved::get(head.data() + saved::tag_bytes, 8);
    if (left_in_file() < object_id::size_bytes || size_ > left_in_file() - object_id::size_bytes) {
      bad("section \"" + tag_ + "\": it has " + std::to_string(size_) +
          " bytes, more than the file");
    }
  }

  void need(std::string_view tag) const {
    if (tag_ != tag) {
      bad("section \"" + tag_ + "\" where \"" + std::string(tag) + "\" should be");
    }
  }
  void read(std::span<std::uint8_t> into) {
    if (into.size() > left_) bad("section \"" + tag_ + "\": it ends inside a record");
    left_ -= into.size();
    while (!into.empty()) {
      check_stop(stop_);
      const std::size_t n = std::min(into.size(), file_piece_bytes);
      read_summed(into.first(n));
      into = into.subspan(n);
    }
  }
  void end() {
    if (left_ > 0) bad("section \"" + tag_ + "\": it is too long");
    object_id stated;
    std::array<std::uint8_t, object_id::size_bytes> raw{};
    from_.read(raw);
    stated = object_id::from_bytes(raw.data());
    if (sum_.finish() != stated) {
      bad("section \"" + tag_ + "\": its checksum is not the one it says");
    }
  }
  [[nodiscard]] const std::string& tag() const noexcept { return tag_; }
  [[nodiscard]] std::uint64_t size() const noexcept { return size_; }
  [[nodiscard]] std::uint64_t left() const noexcept { return left_; }

private:
  [[nodiscard]] std::uint64_t left_in_file() const { return from_.size() - from_.position(); }
  void read_summed(std::span<std::uint8_t> into) {
    from_.read(into);
    sum_.update(into);
  }

  file_reader& from_;
  const std::stop_token& stop_;
  checksum sum_;
  std::string tag_;
  std::uint64_t size_ = 0;
  std::uint64_t left_ = 0;
};

std::string get_text(std::span<const std::uint8_t>& rest) {
  if (rest.size() < 2) bad("section \"refs\": it ends inside a record");
  const std::size_t n = saved::get(rest.data(), 2);
  if (rest.size() - 2 < n) bad("section \"refs\": it ends inside a record");
  std::string text(reinterpret_cast<const char*>(rest.data()) + 2, n);
  rest = rest.subspan(2 + n);
  return text;
}

std::vector<reference> read_refs(section_reader& section) {
  if (section.size() > refs_limit_bytes) {
    throw failure(reason::limit,
                  "section \"refs\": more than " + std::to_string(refs_limit_bytes) + " bytes");
  }
  std::vector<std::uint8_t> all(section.size());
  section.read(all);
  section.end();
  std::vector<reference> refs;
  for (std::span<const std::uint8_t> rest = all; !rest.empty();) {
    if (rest.size() < object_id::size_bytes) bad("section \"refs\": it ends inside a record");
    reference r;
    r.id = object_id::from_bytes(rest.data());
    rest = rest.subspan(object_id::size_bytes);
    r.name = get_text(rest);
    r.symbolic_target = get_text(rest);
    if (!is_ref_name(r.name) || (!r.symbolic_target.empty() && !is_ref_name(r.symbolic_target))) {
      bad("section \"refs\": it has a name that no ref may have");
    }
    if (!refs.empty() && refs.back().name >= r.name) bad("section \"refs\": it is out of order");
    refs.push_back(std::move(r));
  }
  return refs;
}

std::vector<object_id> read_shallow(section_reader& section) {
  if (section.size() > refs_limit_bytes) {
    throw failure(reason::limit,
                  "section \"shallow\": more than " + std::to_string(refs_limit_bytes) + " bytes");
  }
  std::vector<std::uint8_t> all(section.size());
  section.read(all);
  section.end();
  if (all.size() % object_id::size_bytes != 0) bad("section \"shallow\": it ends inside an id");
  std::vector<object_id> ids;
  for (std::size_t i = 0; i < all.size(); i += object_id::size_bytes) {
    ids.push_back(object_id::from_bytes(all.data() + i));
  }
  return ids;
}

class pack_reader {
public:
  pack_reader(const saved_store& before, const pack_limits& limits)
      : before_(before), limits_(limits) {}

  void read_bytes(section_reader& section) {
    if (section.size() < pack_head_bytes + object_id::size_bytes)
      bad("section \"pack\": too short");
    if (section.size() > limits_.pack_bytes) {
      throw failure(reason::limit, "section \"pack\": " + std::to_string(section.size()) +
                                       " bytes, the limit is " +
                                       std::to_string(limits_.pack_bytes));
    }
    end_ = section.size() - object_id::size_bytes;
    bytes_ = growing_range(section.size());
    bytes_.extend(section.size());
    section.read({bytes_.data(), section.size()});
    section.end();
  }

  std::unique_ptr<pack> read_entries(section_reader& section) {
    const std::uint64_t count = section.size() / saved::entry_bytes;
    if (count > limits_.objects) {
      throw failure(reason::limit, "section \"entries\": " + std::to_string(count) +
                                       " objects, the limit is " + std::to_string(limits_.objects));
    }
    pack_assembly made(0, count);
    made.bytes() = std::move(bytes_);
    made.set_end(end_);
    std::vector<std::uint8_t> records(saved::entry_bytes * 8192);
    while (section.left() > 0) {
      const std::size_t n = std::min<std::uint64_t>(records.size(), section.left());
      section.read(std::span(records).first(n));
      if (n % saved::entry_bytes != 0) bad("section \"entries\": it ends inside a record");
      for (std::size_t i = 0; i < n; i += saved::entry_bytes) {
        const pack_entry e = saved::get_entry(records.data() + i);
        if (const char* wrong = find_fault(made.so_far(), e)) {
          bad("section \"entries\": entry " + std::to_string(made.so_far().entry_count()) + ": " +
              wrong);
        }
        made.add(e);
      }
    }
    section.end();
    check_ref_deltas(made.so_far());
    return made.finish();
  }

private:
  [[nodiscard]] const char* find_fault(const pack& so_far, const pack_entry& e) const {
    const std::uint32_t n = so_far.entry_count();
    const std::uint64_t least =
        n == 0 ? pack_head_bytes : std::uint64_t{so_far.entry(n - 1).offset} + 1;
    if (e.offset < least || e.offset >= end_) return "its offset is wrong";
    if (e.kind < 1 || e.kind > 4) return "its type is wrong";
    if (e.size > limits_.object_bytes) return "it is larger than the limit";
    const std::optional<entry_header> h = find_entry_header(so_far.bytes().first(end_), e.offset);
    if (!h) return "it has no header";
    if (h->is_delta() != (e.delta == 1)) return "it is no delta, or is one";
    if (h->size > limits_.object_bytes) return "it is larger than the limit";
    if (!h->is_delta()) {
      if (h->size != e.size || h->kind != e.kind || e.depth != 0) return "its header differs";
      return nullptr;
    }
    if (e.depth == 0) return "its depth is wrong";
    if (h->kind == entry_header::ref_delta) return nullptr;  // its base may come later
    const std::optional<std::uint32_t> base = so_far.find_offset(h->base_offset);
    if (!base) return "its base is no entry";
    if (so_far.entry(*base).depth >= e.depth) return "its depth is wrong";
    return nullptr;
  }

  [[nodiscard]] static bool is_base(const pack& in, const object_id& id, unsigned depth) {
    const std::optional<std::uint32_t> n = in.find(id);
    return n && in.entry(*n).depth < depth;
  }

  void check_ref_deltas(const pack& made) const {
    for (std::uint32_t i = 0; i < made.entry_count(); ++i) {
      const pack_entry& e = made.entry(i);
      if (e.delta == 0) continue;
      const entry_header h = made.get_header(i);
      if (h.kind != entry_header::ref_delta || is_base(made, h.base_id, e.depth)) continue;
      const bool older =
          std::any_of(before_.packs.begin(), before_.packs.end(),
                      [&](const auto& p) { return is_base(*p, h.base_id, e.depth); });
      if (!older) bad("section \"entries\": entry " + std::to_string(i) + ": its base is missing");
    }
  }

  const saved_store& before_;  // packs that came earlier in the file
  const pack_limits& limits_;
  growing_range bytes_;
  std::uint64_t end_ = 0;
};

saved_store read_all(file_reader& from, const std::stop_token& stop, const pack_limits& limits) {
  std::string line(saved::first_line.size(), '\0');
  if (from.size() < line.size()) bad("this is no saved store");
  from.read({reinterpret_cast<std::uint8_t*>(line.data()), line.size()});
  if (!line.starts_with(saved::line_begin)) bad("this is no saved store");
  if (line != saved::first_line) {
    throw failure(reason::unsupported, "another version: this one reads version 1");
  }
  saved_store made;
  {
    section_reader refs(from, stop);
    refs.need("refs");
    made.refs = read_refs(refs);
  }
  {
    section_reader shallow(from, stop);
    shallow.need("shallow");
    made.shallow = read_shallow(shallow);
  }
  for (;;) {
    section_reader next(from, stop);
    if (next.tag() == "end") {
      next.end();
      break;
    }
    if (next.tag() == "partial" && !made.is_partial && made.packs.empty()) {
      next.end();
      made.is_partial = true;
      continue;
    }
    next.need("pack");
    pack_reader pack(made, limits);
    pack.read_bytes(next);
    section_reader entries(from, stop);
    entries.need("entries");
    made.packs.insert(made.packs.begin(), pack.read_entries(entries));
  }
  if (from.position() < from.size()) bad("bytes after the end");
  return made;
}

saved_store restore_job(const std::stop_token& stop,
                        const std::string& path,
                        const pack_limits& limits) {
  const std::string what = "cannot restore " + path;
  file_reader from(path);
  try {
    return read_all(from, stop, limits);
  } catch (const failure& f) {
    throw f.at("byte " + std::to_string(from.position())).at(what);
  }
}

}  // namespace

saved_store read_saved(const std::string& path, const pack_limits& limits) {
  return restore_job(std::stop_token(), path, limits);
}

promise<> restore(object_store& into, std::string path, pack_limits limits) {
  promise<saved_store> reading = detach(restore_job, std::move(path), limits);
  saved_store read = co_await std::move(reading);
  snapshot next;
  next.refs = std::move(read.refs);
  next.refs_in_order = true;  // it was looked at when they were read
  next.shallow = std::move(read.shallow);
  next.is_partial = read.is_partial;
  for (auto& p : read.packs) next.packs.push_back(into.adopt(std::move(p)));
  into.publish(std::move(next));
}

}  // namespace fermata::git_mem
