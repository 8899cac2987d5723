// SPDX-License-Identifier: MIT
// The index as a machine: files go into the tar writer in pieces, its bytes into the deflater in
// pieces, blocks end where a file's path says so.
//
// Ends of blocks must not depend on what stands far before them, or one added file would move them
// all. So a block ends before a file whose path hashes to 0 modulo `mean_files_per_block`, which on
// the opam repository gives a mean of 256 KiB; and a block that has grown to `longest_block_bytes`
// ends there, which may move the ends after it, up to the next such file. Invariant at every return
// of `step`: all tar bytes before `cut_` belong to blocks that have ended.

#include "block_deflater.hpp"
#include "tar_writer.hpp"

#include <fermata/loop/error.hpp>
#include <fermata/mirror/index_builder.hpp>

#include <algorithm>
#include <chrono>
#include <utility>

namespace fermata::mirror {
namespace {

constexpr std::uint64_t mean_files_per_block = 140;
constexpr std::uint64_t longest_block_bytes = 1024 * 1024;
constexpr std::size_t longest_path_bytes = 4096;
constexpr std::size_t piece_bytes = block_deflater::piece_bytes;

// What the kinds of steps take, for `due`: the usual time, not the worst.
constexpr std::chrono::microseconds deflate_cost{30};
constexpr std::chrono::microseconds flush_cost{150};
constexpr std::chrono::microseconds tar_cost{3};

// FNV-1a, with its better upper half folded in.
std::uint64_t path_hash(std::string_view path) {
  std::uint64_t h = 14695981039346656037u;
  for (const char c : path) h = (h ^ static_cast<unsigned char>(c)) * 1099511628211u;
  return h ^ (h >> 32);
}

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
  explicit parts(const index_settings& s) : tar(s.entry_time), deflater(s.level, s.limit_bytes) {}

  void note(std::string text) {
    if (notes.size() < index_notes_max) notes.push_back(std::move(text));
  }
  [[nodiscard]] bool in_file() const { return header_due || file_left != 0 || entry_open; }
  // Ends the block before what stands in the tar from here on.
  void cut() { cut_due = true; }

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
    ++files;
  }
  void write_data() {
    const std::size_t n = std::min<std::size_t>(fed.size(), piece_bytes);
    tar.data(fed.substr(0, n));
    fed.remove_prefix(n);
    file_left -= n;
  }

  tar_writer tar;
  block_deflater deflater;
  std::string path;
  std::string previous_path;
  std::string_view fed;         // borrowed until we ask for more
  std::uint64_t file_left = 0;  // bytes of the file that the tar has not got
  std::uint64_t files = 0;
  std::uint64_t left_out = 0;
  std::vector<std::string> notes;
  bool executable = false;
  bool header_due = false;
  bool entry_open = false;
  bool cut_due = false;
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
  if (!fits_ustar(path)) {
    p.note(printable(path) + ": needs a pax header, opam 2.6.1 may fail to update");
  }
  if (p.files != 0 && path_hash(path) % mean_files_per_block == 0) p.cut();
  p.path = path;
  p.previous_path = path;
  p.executable = executable;
  p.file_left = size_bytes;
  p.header_due = true;
  return true;
}

void index_builder::feed(std::string_view bytes) {
  parts& p = *parts_;
  if (!p.fed.empty() || bytes.size() > p.file_left) {
    throw contract_error("index_builder::feed: more bytes than the file has");
  }
  p.fed = bytes;
}

void index_builder::skip(std::string_view path, std::string_view why) {
  ++parts_->left_out;
  parts_->note(printable(path) + ": left out: " + std::string(why));
}

void index_builder::finish() {
  if (parts_->in_file() || parts_->finishing) {
    throw contract_error("index_builder::finish: a file is not complete, or finished before");
  }
  parts_->finishing = true;
}

// Whatever stands first in the line from files to gzip and has enough to do.
git_mem::step_result index_builder::step() {
  parts& p = *parts_;
  if (p.done) return {git_mem::step_state::done, {}};
  const bool drain = p.cut_due || p.closed;
  if (p.tar.pending().size() >= piece_bytes || (drain && !p.tar.pending().empty())) {
    p.deflate_piece();
    return {git_mem::step_state::more, deflate_cost};
  }
  if (p.cut_due) {
    p.cut_due = false;
    p.deflater.end_block();
    return {git_mem::step_state::more, flush_cost};
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
  result.notes = std::move(p.notes);
  result.blocks = p.deflater.take_blocks();
  result.bytes = p.deflater.take_bytes();
  parts_.reset();
  return result;
}

}  // namespace fermata::mirror
