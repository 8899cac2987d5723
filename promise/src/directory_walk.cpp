// SPDX-License-Identifier: MIT
// A walk through directories, in batches that a worker reads.
//
// Invariant: the state belongs to the worker while a batch is read and to the loop else; `busy` is
// set until the batch's promise has settled, and that is after the worker has let go.

#include "open_file.hpp"

#include <fermata/promise/detach.hpp>
#include <fermata/promise/directory_walk.hpp>

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>

#include <cerrno>
#include <deque>
#include <string_view>
#include <vector>

namespace fermata {

namespace detail {

struct closes_directory {
  void operator()(DIR* d) const noexcept { ::closedir(d); }
};

struct walk_state {
  struct level {
    std::unique_ptr<DIR, closes_directory> directory;
    std::string path;  // with its slash
  };

  walk_state(std::string p, walk_options o) noexcept : root(std::move(p)), options(std::move(o)) {}

  // On a worker.
  void read_batch(const std::stop_token& stop);
  void read_next();
  void take(const dirent& e);
  void open(int at, const char* name, std::string path);

  std::string root;
  walk_options options;
  std::vector<level> open_levels;
  std::deque<directory_entry> batch;
  std::exception_ptr failure;  // behind the batch
  bool has_begun = false;
  bool busy = false;
};

namespace {

constexpr std::size_t batch_entries = 256;

file_type type_of(int directory, const dirent& e) {
  switch (e.d_type) {
    case DT_REG:
      return file_type::regular;
    case DT_DIR:
      return file_type::directory;
    case DT_LNK:
      return file_type::symlink;
    case DT_UNKNOWN:
      break;  // the file system does not say
    default:
      return file_type::other;
  }
  struct stat s {};
  if (::fstatat(directory, e.d_name, &s, AT_SYMLINK_NOFOLLOW) < 0) return file_type::other;
  return status_of(s).type;
}

}  // namespace

void walk_state::open(int at, const char* name, std::string path) {
  // The first one may be a symlink, those below were none a moment ago.
  const int follow = at == AT_FDCWD ? 0 : O_NOFOLLOW;
  unique_fd fd(::openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK | follow));
  if (!fd && errno == ENOENT && at != AT_FDCWD) return;  // removed meanwhile
  if (!fd) throw path_error("read", path);
  std::unique_ptr<DIR, closes_directory> directory(::fdopendir(fd.get()));
  if (directory == nullptr) throw path_error("read", path);
  fd.release();
  if (path.back() != '/') path += '/';
  open_levels.push_back({std::move(directory), std::move(path)});
}

void walk_state::take(const dirent& e) {
  const std::string_view name(e.d_name);
  if (name == "." || name == "..") return;
  const level& here = open_levels.back();
  const int at = ::dirfd(here.directory.get());
  directory_entry entry;
  entry.path = here.path + e.d_name;
  entry.type = type_of(at, e);
  entry.depth = open_levels.size() - 1;
  const bool descends = options.recursive && entry.type == file_type::directory;
  std::string path = entry.path;
  batch.push_back(std::move(entry));
  if (!descends) return;
  if (open_levels.size() > options.most_depth) {
    throw error(fmt::format("cannot read {}: directories are nested more than {} deep", path,
                            options.most_depth));
  }
  open(at, e.d_name, std::move(path));
}

void walk_state::read_next() {
  const level& here = open_levels.back();
  errno = 0;
  const dirent* const e = ::readdir(here.directory.get());
  if (e != nullptr) {
    take(*e);
    return;
  }
  const int code = errno;
  const std::string path = here.path.substr(0, here.path.size() - 1);
  open_levels.pop_back();
  if (code != 0) throw uv_error(code, fmt::format("cannot read {}", path));
}

void walk_state::read_batch(const std::stop_token& stop) {
  try {
    if (!has_begun) {
      has_begun = true;
      open(AT_FDCWD, root.c_str(), root);
    }
    while (!open_levels.empty() && batch.size() < batch_entries && !stop.stop_requested()) {
      read_next();
    }
  } catch (const error&) {
    failure = std::current_exception();
  }
}

}  // namespace detail

namespace {

using state_ptr = std::shared_ptr<detail::walk_state>;
using maybe_entry = std::optional<directory_entry>;

void read_batch(const std::stop_token& stop, const state_ptr& s) { s->read_batch(stop); }

// Nothing: a batch must be read, or the walk has ended.
maybe_entry take_entry(detail::walk_state& s) {
  maybe_entry first;
  if (!s.batch.empty()) {
    first = std::move(s.batch.front());
    s.batch.pop_front();
  } else if (s.failure) {
    std::rethrow_exception(std::exchange(s.failure, nullptr));
  }
  return first;
}

promise<maybe_entry> next_of_batch(state_ptr s) {
  const detail::direction_guard guard(s->busy, "two entries of a walk are awaited");
  promise<> reading = detach(read_batch, s);
  co_await std::move(reading);
  co_return take_entry(*s);
}

}  // namespace

directory_walk::directory_walk(std::string path, walk_options options)
    : state_(std::make_shared<detail::walk_state>(std::move(path), std::move(options))) {
  if (state_->root.empty()) state_->root.assign(1, '.');
}

promise<std::optional<directory_entry>> directory_walk::next() {
  if (state_ == nullptr) throw contract_error("a walk that was moved from is used");
  detail::walk_state& s = *state_;
  if (s.busy) return next_of_batch(state_);  // says what is wrong
  try {
    maybe_entry first = take_entry(s);
    static_cast<void>(due(std::chrono::nanoseconds(200)));
    if (first || (s.has_begun && s.open_levels.empty())) return ready(std::move(first));
    return next_of_batch(state_);
  } catch (...) {
    return rejected<maybe_entry>(std::current_exception());
  }
}

}  // namespace fermata
