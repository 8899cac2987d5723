// SPDX-License-Identifier: MIT
#include "file_io.hpp"

#include <fermata/loop/error.hpp>
#include <fermata/promise/errors.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <optional>
#include <random>
#include <system_error>
#include <utility>

namespace fermata::git_mem {

namespace {

void check(int result, std::string_view what, const std::string& path) {
  if (result < 0) throw errno_error("cannot " + std::string(what) + " " + path);
}

std::string folder_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

// What a path stands for in the end, though nothing may be there.
std::string follow_links(const std::string& path) {
  constexpr int most_links = 40;  // as Linux has it
  std::filesystem::path at(path);
  for (int i = 0; i < most_links; ++i) {
    std::error_code code;
    const std::filesystem::path target = std::filesystem::read_symlink(at, code);
    if (code) return at.native();
    at = at.parent_path() / target;  // an absolute one stands alone
  }
  throw uv_error(ELOOP, "cannot write " + path);
}

// The permissions of the file that is there.
std::optional<mode_t> mode_of(const std::string& path) {
  struct stat s {};
  if (::lstat(path.c_str(), &s) < 0) return std::nullopt;  // making one beside says why
  if (!S_ISREG(s.st_mode)) throw error("cannot write " + path + ": it is no file");
  return s.st_mode & 0777;
}

// As mkstemp does, but that the umask counts: to ask for it would set it for all threads.
unique_fd make_beside(const std::string& path, mode_t mode, std::string& made) {
  constexpr std::string_view letters = "abcdefghijklmnopqrstuvwxyz0123456789";
  std::random_device random;
  for (;;) {
    made = path + ".";
    for (int i = 0; i < 8; ++i) made += letters[random() % letters.size()];
    unique_fd file(::open(made.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, mode));
    if (file || errno != EEXIST) return file;
  }
}

}  // namespace

void check_stop(const std::stop_token& stop) {
  if (stop.stop_requested()) throw cancelled();
}

void make_folder(const std::string& path) {
  if (::mkdir(path.c_str(), 0777) < 0 && errno != EEXIST) check(-1, "make the directory", path);
}

void sync_folder(const std::string& path) {
  const unique_fd folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  check(folder.get(), "open the directory", path);
  // Some file systems cannot sync a directory, and say so.
  if (::fsync(folder.get()) < 0 && errno != EINVAL) check(-1, "sync the directory", path);
}

file_writer::file_writer(const std::string& path, unsigned mode) : path_(follow_links(path)) {
  const std::optional<mode_t> old = mode_of(path_);
  file_ = make_beside(path_, old.value_or(mode), temporary_);
  if (!file_) {
    const int code = errno;
    temporary_.clear();
    throw uv_error(code, "cannot make a file beside " + path_);
  }
  if (old) ::fchmod(file_.get(), *old);
}

file_writer::~file_writer() {
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void file_writer::write(std::span<const std::uint8_t> bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(file_.get(), bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    check(static_cast<int>(n < 0 ? -1 : 0), "write", path_);
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
}

void file_writer::write(std::string_view text) {
  write(std::span(reinterpret_cast<const std::uint8_t*>(text.data()), text.size()));
}

void file_writer::commit_as(const std::string& path) {
  check(::fsync(file_.get()), "sync", path_);
  check(::rename(temporary_.c_str(), path.c_str()), "rename a file to", path);
  temporary_.clear();
  sync_folder(folder_of(path));
}

file_reader::file_reader(std::string path) : path_(std::move(path)) {
  file_.reset(::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  check(file_.get(), "open", path_);
  struct stat s {};
  check(::fstat(file_.get(), &s), "look at", path_);
  if (!S_ISREG(s.st_mode)) throw error("cannot read " + path_ + ": it is no file");
  size_ = static_cast<std::uint64_t>(s.st_size);
}

void file_reader::read(std::span<std::uint8_t> into) {
  while (!into.empty()) {
    const ssize_t n = ::pread(file_.get(), into.data(), into.size(), static_cast<off_t>(at_));
    if (n < 0 && errno == EINTR) continue;
    check(static_cast<int>(n < 0 ? -1 : 0), "read", path_);
    if (n == 0) throw error("cannot read " + path_ + ": it has become shorter");
    at_ += static_cast<std::uint64_t>(n);
    into = into.subspan(static_cast<std::size_t>(n));
  }
}

}  // namespace fermata::git_mem
