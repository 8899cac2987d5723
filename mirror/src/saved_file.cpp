// SPDX-License-Identifier: MIT
// Plain POSIX calls: the standard streams can neither sync nor say why they failed.

#include "saved_file.hpp"

#include "hashing.hpp"

#include <fermata/loop/error.hpp>

#include <fcntl.h>
#include <openssl/evp.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <span>
#include <utility>

namespace fermata::mirror {
namespace {

digest new_digest() {
  digest d(EVP_MD_CTX_new());
  if (d == nullptr || EVP_DigestInit_ex(d.get(), EVP_sha256(), nullptr) != 1) {
    throw error("cannot start a SHA-256 (libcrypto)");
  }
  return d;
}

void update(const digest& d, const char* bytes, std::size_t n) {
  if (EVP_DigestUpdate(d.get(), bytes, n) != 1) throw error("cannot hash (libcrypto)");
}

std::string finish_hex(const digest& d) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> bytes{};
  unsigned length = 0;
  if (EVP_DigestFinal_ex(d.get(), bytes.data(), &length) != 1) {
    throw error("cannot hash (libcrypto)");
  }
  return hex_of(std::span(bytes).first(length));
}

void sync_folder(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  const int f = ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (f < 0) throw errno_error("cannot open the folder " + folder);
  const int code = ::fsync(f) == 0 ? 0 : errno;
  ::close(f);
  if (code != 0 && code != EINVAL) throw uv_error(code, "cannot sync the folder " + folder);
}

}  // namespace

void frees_digest::operator()(evp_md_ctx_st* c) const noexcept { EVP_MD_CTX_free(c); }

saved_file_writer::saved_file_writer(std::string path) : path_(std::move(path)) {
  file_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (file_ < 0) fail("open");
}

saved_file_writer::~saved_file_writer() {
  if (file_ < 0) return;
  ::close(file_);
  ::unlink(path_.c_str());
}

void saved_file_writer::fail(std::string_view what) const {
  throw errno_error("cannot " + std::string(what) + " " + path_);
}

void saved_file_writer::write_at(std::string_view bytes, std::uint64_t offset) {
  while (!bytes.empty()) {
    const ssize_t n = ::pwrite(file_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail("write");
    bytes.remove_prefix(static_cast<std::size_t>(n));
    offset += static_cast<std::uint64_t>(n);
  }
}

void saved_file_writer::write(std::string_view bytes) {
  write_at(bytes, size_);
  size_ += bytes.size();
  if (digest_ != nullptr) update(digest_, bytes.data(), bytes.size());
}

void saved_file_writer::begin_digest() {
  digest_offset_ = size_;
  write(std::string(64, '0') + "\n");
  digest_ = new_digest();
}

void saved_file_writer::commit(const std::string& target) {
  write_at(finish_hex(digest_), digest_offset_);
  if (::fsync(file_) != 0) fail("sync");
  if (::rename(path_.c_str(), target.c_str()) != 0) {
    throw errno_error("cannot rename " + path_ + " to " + target);
  }
  ::close(std::exchange(file_, -1));
  sync_folder(target);
}

saved_file_reader::saved_file_reader(std::string path) : path_(std::move(path)) {
  file_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);  // a fifo reads as empty
  if (file_ < 0 && errno != ENOENT) throw errno_error("cannot open " + path_);
}

saved_file_reader::~saved_file_reader() {
  if (file_ >= 0) ::close(file_);
}

std::size_t saved_file_reader::read_some(char* to, std::size_t n) {
  while (true) {
    const ssize_t got = ::pread(file_, to, n, static_cast<off_t>(at_));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw errno_error("cannot read " + path_);
    at_ += static_cast<std::uint64_t>(got);
    return static_cast<std::size_t>(got);
  }
}

std::string saved_file_reader::text(std::size_t n) {
  constexpr std::size_t piece = 16 * 1024;
  std::string text;
  for (;;) {  // `n` is a limit and may be far more than there is
    const std::size_t have = text.size();
    text.resize(std::min(n, std::max(piece, 2 * have)));
    const std::size_t got =
        text.size() == have ? 0 : read_some(text.data() + have, text.size() - have);
    text.resize(have + got);
    if (got == 0) return text;
  }
}

std::string saved_file_reader::line(std::size_t most) {
  const std::uint64_t begin = at_;
  std::string line = text(most);
  const std::size_t end = line.find('\n');
  if (end == std::string::npos) return line;
  line.resize(end);
  at_ = begin + end + 1;
  return line;
}

bool saved_file_reader::read(char* to, std::size_t n) {
  while (n != 0) {
    const std::size_t got = read_some(to, n);
    if (got == 0) return false;
    to += got;
    n -= got;
  }
  return true;
}

std::string saved_file_reader::digest_of_rest() {
  const digest d = new_digest();
  std::string piece(64 * 1024, '\0');
  while (const std::size_t n = read_some(piece.data(), piece.size())) update(d, piece.data(), n);
  return finish_hex(d);
}

std::string saved_file_reader::checksum_fault() {
  const std::string expected = text(65);
  if (expected.size() != 65 || expected.back() != '\n') return "it ends early";
  const std::uint64_t behind = at_;
  if (digest_of_rest() != expected.substr(0, 64)) return "its checksum does not fit";
  at_ = behind;
  return {};
}

bool saved_file_reader::at_end() {
  char next = 0;
  return read_some(&next, 1) == 0;
}

}  // namespace fermata::mirror
