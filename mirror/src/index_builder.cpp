// SPDX-License-Identifier: MIT
// The index as a machine: files go into the tar writer in pieces, its bytes into the deflater in
// pieces, blocks end where a file's path says so.
//
// Ends of blocks must not depend on what stands far before them, or one added file would move them
// all. So a group begins, and a block ends, before the first file whose path hashes to 0 modulo
// `group_spread` after `least_group_files`, and before files at the root: a mean of 37 KiB on the
// opam repository. (Without a least number a third of the files stands in groups twice as large,
// and 30 merges rewrite nearly twice as much.) A file that comes or goes may move the ends after
// it, but two lists of ends soon meet again. A block that has grown to `longest_block_bytes` ends
// there. What stands in a group, and what the group before ends with, decides its blocks.

#include "block_deflater.hpp"
#include "tar_writer.hpp"

#include <fermata/loop/error.hpp>
#include <fermata/mirror/index_builder.hpp>

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

namespace fermata::mirror {
namespace {

constexpr std::uint64_t least_group_files = 12;
constexpr std::uint64_t group_spread = 6;
constexpr std::uint64_t longest_block_bytes = 1024 * 1024;
constexpr std::size_t longest_path_bytes = 4096;
constexpr std::size_t piece_bytes = block_deflater::piece_bytes;

// What the kinds of steps take, for `due`: the usual time, not the worst.
constexpr std::chrono::microseconds deflate_cost{25};
constexpr std::chrono::microseconds flush_cost{80};
constexpr std::chrono::microseconds tar_cost{3};
constexpr std::size_t copy_bytes = 32 * 1024;
constexpr std::chrono::microseconds copy_cost{1};
constexpr std::chrono::nanoseconds copy_cost_kib{600};  // most of it for the checksum

// FNV-1a, with its better upper half folded in.
std::uint64_t path_hash(std::string_view path) {
  std::uint64_t h = 14695981039346656037u;
  for (const char c : path) h = (h ^ static_cast<unsigned char>(c)) * 1099511628211u;
  return h ^ (h >> 32);
}

// A group that is being taken over from an earlier index.
struct taken_group {
  std::string_view bytes;
  const std::vector<index_block>* blocks = nullptr;
  std::size_t block = 0;
  std::size_t end = 0;
  std::size_t copied = 0;  // of the block
};

bool is_at_root(std::string_view path) { return path.find('/') == std::string_view::npos; }

// A path as it may be printed: hostile ones hold control characters.
std::string printable(std::string_view path) {
  std::string text;
  for (const char c : path.substr(0, 200)) {
    const auto byte = static_cast<unsigned char>(c);
    text += byte < 0x20 || byte == 0x7f ? '?' : c;
  }
  return text + (path.size() > 200 ? "..." : "");
}

}  // namespace

bool begins_group(std::string_view path, std::uint64_t entries_before) {
  if (is_at_root(path)) return true;
  return entries_before >= least_group_files && path_hash(path) % group_spread == 0;
}

std::uint64_t least_tar_bytes(std::string_view path, std::uint64_t size_bytes) {
  return path_fault(path).empty() ? 512 + (size_bytes + 511) / 512 * 512 : 0;
}

std::string_view path_fault(std::string_view path) {
  if (path.empty()) return "empty path";
  if (path.front() == '/') return "absolute path";
  if (path.size() > longest_path_bytes) return "path over 4096 bytes";
  const auto is_control = [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 || byte == 0x7f;
  };
  if (std::any_of(path.begin(), path.end(), is_control)) return "control character in the path";
  while (true) {
    const std::size_t slash = path.find('/');
    const std::string_view part = path.substr(0, slash);
    if (part.empty()) return "empty name in the path";
    if (part == "." || part == "..") return "dots as a name in the path";
    if (slash == std::string_view::npos) return {};
    path.remove_prefix(slash + 1);
  }
}

bool fits_ustar(std::string_view path) {
  if (path.size() <= 100) return true;
  // A slash must split it into at most 155 and at most 100 bytes.
  const std::size_t slash = path.find('/', path.size() - 101);
  return slash != std::string_view::npos && slash <= 155 && slash + 1 < path.size();
}

struct index_builder::parts {
  explicit parts(const index_settings& s) : tar(s.entry_time), deflater(s.limit_bytes) {}

  void note(std::string text) {
    ++groups.back().noted;
    if (note_count++ < index_notes_max) groups.back().notes.push_back(std::move(text));
  }
  [[nodiscard]] bool in_file() const {
    return header_due || file_left != 0 || entry_open || taken.has_value();
  }
  // What is known of every file that comes, also of one that is left out.
  void enter(std::string_view at) {
    if (groups.empty() || begins_group(at, groups.back().entries)) begin_group(is_at_root(at));
    ++groups.back().entries;
  }
  // Ends the block before what stands in the tar from here on.
  void begin_group(bool is_apart) {
    cut_due = true;
    is_group_apart = is_apart;
    is_group_taken = false;
    groups.emplace_back();
  }
  void end_block_before_group() {
    cut_due = is_recalling = false;
    deflater.end_block();
    deflater.begin_group(is_group_apart);
    groups.back().first_block = deflater.block_count();
  }

  void begin_file(std::string_view at, bool is_executable, std::uint64_t size_bytes) {
    path = at;
    executable = is_executable;
    file_left = size_bytes;
    header_due = true;
  }
  void take_piece() {
    if (!is_recalling) return deflate_piece();
    const std::size_t n = std::min(tar.pending().size(), piece_bytes);
    deflater.recall(tar.pending().substr(0, n));
    tar.consume(n);
  }
  void deflate_piece() {
    const std::uint64_t room = longest_block_bytes - deflater.block_bytes();
    const std::size_t n = std::min<std::uint64_t>({tar.pending().size(), piece_bytes, room});
    deflater.write(tar.pending().substr(0, n));
    tar.consume(n);
    if (deflater.block_bytes() == longest_block_bytes) deflater.end_block();
  }
  void write_header() {
    header_due = false;
    entry_open = true;
    tar.begin(path, executable, file_left);
    if (is_recalling) return;
    ++files;
    ++groups.back().files;
  }
  void write_data() {
    const std::size_t n = std::min<std::size_t>(fed.size(), piece_bytes);
    tar.data(fed.substr(0, n));
    fed.remove_prefix(n);
    file_left -= n;
  }

  std::chrono::nanoseconds copy_piece() {
    const index_block& block = (*taken->blocks)[taken->block];
    const std::string_view all = taken->bytes.substr(block.gzip_offset, block.gzip_bytes);
    const std::string_view piece = all.substr(taken->copied, copy_bytes);
    deflater.copy(piece);
    taken->copied += piece.size();
    taken_over_bytes += piece.size();
    const auto cost = copy_cost + copy_cost_kib * static_cast<std::int64_t>(piece.size() / 1024);
    if (taken->copied != all.size()) return cost;
    deflater.adopt_block(block);
    taken->copied = 0;
    if (++taken->block == taken->end) taken.reset();
    return cost;
  }

  tar_writer tar;
  block_deflater deflater;
  std::vector<index_group> groups;
  std::optional<taken_group> taken;
  std::uint64_t taken_over_bytes = 0;
  std::uint64_t note_count = 0;
  std::string path;
  std::string previous_path;
  std::string_view fed;         // borrowed until we ask for more
  std::uint64_t file_left = 0;  // bytes of the file that the tar has not got
  std::uint64_t files = 0;
  std::uint64_t left_out = 0;
  bool executable = false;
  bool header_due = false;
  bool entry_open = false;
  bool cut_due = false;
  bool is_group_apart = false;
  bool is_group_taken = false;  // the one that is open: from an earlier index
  bool is_recalling = false;    // what the tar has got is in that group's blocks already
  bool finishing = false;
  bool closed = false;  // the tar has its end
  bool done = false;
};

index_builder::index_builder(index_settings settings) : parts_(std::make_unique<parts>(settings)) {}
index_builder::~index_builder() = default;
index_builder::index_builder(index_builder&&) noexcept = default;
index_builder& index_builder::operator=(index_builder&&) noexcept = default;

bool index_builder::add(std::string_view path, bool executable, std::uint64_t size_bytes) {
  parts& p = *parts_;
  if (p.in_file() || p.finishing) {
    throw contract_error("index_builder::add: the file before it is not complete");
  }
  std::string_view fault = path_fault(path);
  if (fault.empty() && path <= std::string_view(p.previous_path)) fault = "out of order or twice";
  if (!fault.empty()) {
    skip(path, fault);
    return false;
  }
  p.enter(path);
  if (!fits_ustar(path)) {
    p.note(printable(path) + ": needs a pax header, opam 2.6.1 may fail to update");
  }
  p.previous_path = path;
  p.groups.back().last_path = path;
  p.begin_file(path, executable, size_bytes);
  return true;
}

bool index_builder::recall(std::string_view path, bool executable, std::uint64_t size_bytes) {
  parts& p = *parts_;
  if (p.in_file() || p.finishing || !p.is_group_taken) {
    throw contract_error("index_builder::recall: no group was taken over just before");
  }
  if (!path_fault(path).empty()) return false;
  p.is_recalling = true;
  p.begin_file(path, executable, size_bytes);
  return true;
}

void index_builder::feed(std::string_view bytes) {
  parts& p = *parts_;
  if (!p.fed.empty() || bytes.size() > p.file_left) {
    throw contract_error("index_builder::feed: more bytes than the file has");
  }
  p.fed = bytes;
}

void index_builder::take_over(std::string_view earlier_bytes,
                              const std::vector<index_block>& earlier_blocks,
                              const index_group& group) {
  parts& p = *parts_;
  if (p.in_file() || p.finishing) {
    throw contract_error("index_builder::take_over: the file before it is not complete");
  }
  p.begin_group(true);
  p.is_group_taken = true;
  index_group& own = p.groups.back();
  own = group;
  p.note_count += group.noted;
  p.files += group.files;
  p.left_out += group.entries - group.files;
  if (!group.last_path.empty()) p.previous_path = group.last_path;
  if (group.blocks == 0) return;
  p.taken.emplace();
  p.taken->bytes = earlier_bytes;
  p.taken->blocks = &earlier_blocks;
  p.taken->block = group.first_block;
  p.taken->end = group.first_block + group.blocks;
}

void index_builder::skip(std::string_view path, std::string_view why) {
  parts_->enter(path);
  ++parts_->left_out;
  parts_->note(printable(path) + ": left out: " + std::string(why));
}

void index_builder::finish() {
  if (parts_->in_file() || parts_->finishing) {
    throw contract_error("index_builder::finish: a file is not complete, or finished before");
  }
  parts_->finishing = true;
  parts_->begin_group(true);  // of the tar's end, which is in no group that can be taken over
}

// Whatever stands first in the line from files to gzip and has enough to do.
git_mem::step_result index_builder::step() {
  parts& p = *parts_;
  if (p.done) return {git_mem::step_state::done, {}};
  const bool drain = p.cut_due || p.closed;
  if (p.tar.pending().size() >= piece_bytes || (drain && !p.tar.pending().empty())) {
    p.take_piece();
    return {git_mem::step_state::more, deflate_cost};
  }
  if (p.cut_due) {
    p.end_block_before_group();
    return {git_mem::step_state::more, flush_cost};
  }
  if (p.taken) {
    return {git_mem::step_state::more, p.copy_piece()};
  }
  if (p.header_due) {
    p.write_header();
  } else if (!p.fed.empty()) {
    p.write_data();
  } else if (p.entry_open && p.file_left == 0) {
    p.tar.end();
    p.entry_open = false;
  } else if (p.finishing && !p.closed) {
    p.tar.close();
    p.closed = true;
  } else if (p.closed) {
    p.deflater.finish();
    p.done = true;
    return {git_mem::step_state::done, flush_cost};
  } else {
    return {git_mem::step_state::need_input, {}};
  }
  return {git_mem::step_state::more, tar_cost};
}

std::uint64_t index_builder::files() const noexcept { return parts_->files; }
std::uint64_t index_builder::tar_bytes() const noexcept { return parts_->deflater.input_bytes(); }
std::uint64_t index_builder::output_bytes() const noexcept {
  return parts_->deflater.output_bytes();
}

index_result index_builder::take() {
  parts& p = *parts_;
  if (!p.done) throw contract_error("index_builder::take: the index is not done");
  index_result result;
  result.etag = p.deflater.etag();
  result.files = p.files;
  result.tar_bytes = p.deflater.input_bytes();
  result.left_out = p.left_out;
  result.blocks = p.deflater.take_blocks();
  result.groups = std::move(p.groups);
  for (std::size_t i = 0; i + 1 < result.groups.size(); ++i) {
    index_group& g = result.groups[i];
    g.blocks = result.groups[i + 1].first_block - g.first_block;
    for (const std::string& note : g.notes) {
      if (result.notes.size() < index_notes_max) result.notes.push_back(note);
    }
  }
  result.groups.pop_back();  // the end
  result.taken_over_bytes = p.taken_over_bytes;
  result.bytes = p.deflater.take_bytes();
  parts_.reset();
  return result;
}

}  // namespace fermata::mirror
