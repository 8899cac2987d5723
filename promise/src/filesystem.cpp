// SPDX-License-Identifier: MIT
// What workers do with names.

#include "open_file.hpp"

#include <fermata/promise/detach.hpp>
#include <fermata/promise/filesystem.hpp>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

namespace fermata {

namespace {

struct removed_at_end {
  explicit removed_at_end(std::string p) noexcept : path(std::move(p)) {}
  removed_at_end(removed_at_end&& other) noexcept
      : path(std::move(other.path)), is_wanted(std::exchange(other.is_wanted, false)) {}
  removed_at_end& operator=(removed_at_end&&) = delete;
  ~removed_at_end() {
    if (is_wanted) ::unlink(path.c_str());
  }

  std::string path;
  bool is_wanted = true;
};

}  // namespace

// A name that is removed with its last owner, unless it has been kept.
struct temp_file::name {
  explicit name(std::string p) noexcept : path(std::move(p)) {}
  name(const name&) = delete;
  name& operator=(const name&) = delete;
  ~name() {
    if (is_kept) return;
    try {
      detail::end_elsewhere([gone = removed_at_end(std::move(path))] { static_cast<void>(gone); });
    } catch (...) {  // no memory for the job: its capture has removed the file
    }
  }

  std::string path;
  bool is_kept = false;
};

namespace {

using detail::check_call;
using detail::path_error;

// ---- one call each ----

std::optional<file_status> find_status_job(const std::string& path) {
  struct stat s {};
  if (::stat(path.c_str(), &s) == 0) return detail::status_of(s);
  if (errno == ENOENT || errno == ENOTDIR) return std::nullopt;
  throw path_error("look at", path);
}

file_status get_status_job(const std::string& path) {
  struct stat s {};
  check_call(::stat(path.c_str(), &s), "look at", path);
  return detail::status_of(s);
}

void make_directory_job(const std::string& path, unsigned mode) {
  check_call(::mkdir(path.c_str(), mode), "make the directory", path);
}

void make_directories_job(const std::string& path) {
  std::error_code code;
  std::filesystem::create_directories(path, code);
  if (code) throw uv_error(code.value(), fmt::format("cannot make the directory {}", path));
}

void make_symlink_job(const std::string& target, const std::string& path) {
  check_call(::symlink(target.c_str(), path.c_str()), "make the symlink", path);
}

std::string read_symlink_job(const std::string& path) {
  std::array<char, PATH_MAX> text;
  const ssize_t n = ::readlink(path.c_str(), text.data(), text.size());
  if (n < 0) throw path_error("read the symlink", path);
  return {text.data(), static_cast<std::size_t>(n)};
}

void rename_job(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) == 0) return;
  const int code = errno;
  throw uv_error(code, fmt::format("cannot rename {} to {}", from, to));
}

void remove_file_job(const std::string& path) {
  check_call(::unlink(path.c_str()), "remove", path);
}

void remove_directory_job(const std::string& path) {
  check_call(::rmdir(path.c_str()), "remove", path);
}

// ---- trees ----

std::uint64_t remove_tree_job(const std::stop_token& stop, const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code code;
  std::uint64_t removed = 0;
  const fs::file_status what = fs::symlink_status(path, code);
  if (what.type() == fs::file_type::not_found) return 0;
  if (what.type() == fs::file_type::directory) {
    fs::directory_iterator inside(path, code);
    for (; !code && inside != fs::directory_iterator(); inside.increment(code)) {
      if (stop.stop_requested()) return removed;
      removed += remove_tree_job(stop, inside->path().string());
    }
  }
  if (stop.stop_requested()) return removed;
  if (!code) fs::remove(path, code);
  if (code) throw uv_error(code.value(), fmt::format("cannot remove {}", path));
  return removed + 1;
}

// ---- whole files ----

std::string read_file_job(const std::stop_token& stop,
                          const std::string& path,
                          std::size_t most_bytes) {
  const unique_fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  check_call(fd.get(), "open", path);
  struct stat s {};
  check_call(::fstat(fd.get(), &s), "look at", path);
  std::string content;
  // The size is a hint: it may change, and files of /proc have none.
  const auto hint = static_cast<std::size_t>(s.st_size);
  std::size_t piece = std::max<std::size_t>(hint, 4096) + 1;
  while (!stop.stop_requested()) {
    const std::size_t before = content.size();
    piece = std::min(piece, most_bytes - before == SIZE_MAX ? SIZE_MAX : most_bytes - before + 1);
    content.resize(before + piece);
    const auto into = std::as_writable_bytes(std::span(content)).subspan(before);
    const std::size_t n = detail::read_from(stop, fd.get(), path, before, into);
    content.resize(before + n);
    if (content.size() > most_bytes) {
      throw error(fmt::format("cannot read {}: it has more than {} bytes", path, most_bytes));
    }
    if (n < piece) break;
    piece = std::max<std::size_t>(content.size(), 4096);
  }
  return content;
}

// The folder of `path`, with its slash; empty where that is the current one.
std::string folder_of(const std::string& path) { return path.substr(0, path.rfind('/') + 1); }

void sync_folder(const std::string& path) {
  std::string folder = folder_of(path);
  if (folder.empty()) folder.assign(1, '.');
  const unique_fd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  check_call(fd.get(), "open the directory", folder);
  // Some file systems cannot sync a directory, and say so.
  if (::fsync(fd.get()) < 0 && errno != EINVAL) throw path_error("sync the directory", folder);
}

// A new name beside `path` and its descriptor.
std::pair<std::string, unique_fd> open_beside(const std::string& folder, const char* what) {
  std::string name = folder + ".fermata-XXXXXX";
  unique_fd fd(::mkostemp(name.data(), O_CLOEXEC));
  check_call(fd.get(), what, folder.empty() ? "." : folder);
  return {std::move(name), std::move(fd)};
}

void replace_job(const std::stop_token& stop,
                 const std::string& path,
                 const std::string& content,
                 unsigned mode) {
  const auto [temp, fd] = open_beside(folder_of(path), "make a file in");
  removed_at_end removal{temp};
  check_call(::fchmod(fd.get(), mode), "set the mode of", temp);
  std::uint64_t done = 0;
  detail::write_to(stop, fd.get(), temp, 0, bytes_of(content), done);
  if (stop.stop_requested()) return;
  check_call(::fsync(fd.get()), "sync", temp);
  if (stop.stop_requested()) return;
  rename_job(temp, path);
  removal.is_wanted = false;
  sync_folder(path);
}

}  // namespace

// ---- names ----

promise<file_status> get_status(std::string path) {
  return detach(get_status_job, std::move(path));
}
promise<std::optional<file_status>> find_status(std::string path) {
  return detach(find_status_job, std::move(path));
}
promise<> make_directory(std::string path, unsigned mode) {
  return detach(make_directory_job, std::move(path), mode);
}
promise<> make_directories(std::string path) {
  return detach(make_directories_job, std::move(path));
}
promise<> make_symlink(std::string target, std::string path) {
  return detach(make_symlink_job, std::move(target), std::move(path));
}
promise<std::string> read_symlink(std::string path) {
  return detach(read_symlink_job, std::move(path));
}
promise<> rename_file(std::string from, std::string to) {
  return detach(rename_job, std::move(from), std::move(to));
}
promise<> remove_file(std::string path) { return detach(remove_file_job, std::move(path)); }
promise<> remove_directory(std::string path) {
  return detach(remove_directory_job, std::move(path));
}
promise<std::uint64_t> remove_tree(std::string path) {
  return detach(remove_tree_job, std::move(path));
}

promise<std::string> read_file(std::string path, std::size_t most_bytes) {
  return detach(read_file_job, std::move(path), most_bytes);
}
promise<> replace_file(std::string path, std::string content, unsigned mode) {
  return detach(replace_job, std::move(path), std::move(content), mode);
}

// ---- temporary files ----

const std::string& temp_file::path() const noexcept { return name_->path; }

promise<> temp_file::keep_as(std::string path) { return rename(name_, std::move(path)); }

promise<> temp_file::rename(std::shared_ptr<name> n, std::string path) {
  promise<> renaming = detach(rename_job, n->path, path);
  co_await std::move(renaming);
  n->is_kept = true;
  n->path = std::move(path);
}

temp_file temp_file::make(std::string folder) {
  if (!folder.empty() && folder.back() != '/') folder += '/';
  auto [path, fd] = open_beside(folder, "make a file in");
  auto removed = std::make_shared<name>(path);
  file f(std::make_shared<detail::open_file>(std::move(fd), std::move(path), false));
  return {std::move(f), std::move(removed)};
}

promise<temp_file> make_temp_file(std::string directory) {
  return detach(&temp_file::make, std::move(directory));
}

}  // namespace fermata
