// SPDX-License-Identifier: MIT
// Files: each operation is a job that shares the descriptor, so it is closed behind the last one.

#include "open_file.hpp"

#include <fermata/promise/detach.hpp>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace fermata {

namespace detail {

void end_elsewhere(unique_function<void()> last) noexcept {
  event_loop* const loop = event_loop::find_current();
  worker_pool* const pool = loop == nullptr ? nullptr : loop->find_pool();
  try {
    if (pool != nullptr) pool->submit(std::move(last));
  } catch (...) {  // no thread can be started: it ends here
  }
}

open_file::~open_file() {
  if (!fd) return;
  try {
    end_elsewhere([owned = std::move(fd)] { static_cast<void>(owned); });
  } catch (...) {  // no memory for the job: its capture has closed the descriptor
  }
}

error path_error(std::string_view what, std::string_view path) {
  const int code = errno;
  return uv_error(code, fmt::format("cannot {} {}", what, path));
}

void check_call(int result, std::string_view what, std::string_view path) {
  if (result < 0) throw path_error(what, path);
}

std::size_t read_from(const std::stop_token& stop,
                      int fd,
                      std::string_view path,
                      std::uint64_t offset,
                      std::span<std::byte> into) {
  std::size_t done = 0;
  while (done < into.size() && !stop.stop_requested()) {
    const std::size_t most = std::min(into.size() - done, file_piece_bytes);
    const ssize_t n = ::pread(fd, into.data() + done, most, static_cast<off_t>(offset + done));
    if (n == 0) break;
    if (n < 0 && errno != EINTR) throw path_error("read", path);
    if (n > 0) done += static_cast<std::size_t>(n);
  }
  return done;
}

void write_to(const std::stop_token& stop,
              int fd,
              std::string_view path,
              std::uint64_t offset,
              byte_view bytes,
              std::uint64_t& done) {
  done = 0;
  while (done < bytes.size() && !stop.stop_requested()) {
    const std::size_t most = std::min(bytes.size() - done, file_piece_bytes);
    const ssize_t n = ::pwrite(fd, bytes.data() + done, most, static_cast<off_t>(offset + done));
    if (n < 0 && errno != EINTR) throw path_error("write", path);
    if (n > 0) done += static_cast<std::uint64_t>(n);
  }
}

file_status status_of(const struct stat& s) noexcept {
  file_status result;
  if (S_ISREG(s.st_mode)) result.type = file_type::regular;
  if (S_ISDIR(s.st_mode)) result.type = file_type::directory;
  if (S_ISLNK(s.st_mode)) result.type = file_type::symlink;
  result.size = static_cast<std::uint64_t>(s.st_size);
  result.mode = s.st_mode & 07777;
  result.owner = s.st_uid;
  result.group = s.st_gid;
  result.device = s.st_dev;
  result.inode = s.st_ino;
  const auto since_epoch =
      std::chrono::seconds(s.st_mtim.tv_sec) + std::chrono::nanoseconds(s.st_mtim.tv_nsec);
  result.modified = std::chrono::system_clock::time_point(
      std::chrono::duration_cast<std::chrono::system_clock::duration>(since_epoch));
  return result;
}

}  // namespace detail

namespace {

using detail::check_call;
using file_ptr = std::shared_ptr<detail::open_file>;

constexpr const char* no_file = "a file that is not open is used";

// ---- what runs on a worker ----

file_ptr open_now(const std::string& path, const open_options& o) {
  // O_NONBLOCK changes nothing for a file, and lets a FIFO open at once.
  int flags = O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
  flags |= o.write ? (o.read ? O_RDWR : O_WRONLY) : O_RDONLY;
  if (o.append) flags |= O_APPEND;
  if (o.create || o.create_new) flags |= O_CREAT;
  if (o.create_new) flags |= O_EXCL;
  if (o.truncate) flags |= O_TRUNC;
  unique_fd fd(::open(path.c_str(), flags, o.mode));
  check_call(fd.get(), "open", path);
  return std::make_shared<detail::open_file>(std::move(fd), path, o.append);
}

std::size_t read_job(const std::stop_token& stop,
                     const file_ptr& f,
                     std::uint64_t offset,
                     std::span<std::byte> into) {
  return detail::read_from(stop, f->fd.get(), f->path, offset, into);
}

void write_job(const std::stop_token& stop,
               const file_ptr& f,
               std::uint64_t offset,
               byte_view bytes,
               const std::shared_ptr<std::uint64_t>& done) {
  std::uint64_t n = 0;
  try {
    detail::write_to(stop, f->fd.get(), f->path, offset, bytes, n);
  } catch (...) {
    if (done != nullptr) *done = n;
    throw;
  }
  if (done != nullptr) *done = n;
}

void sync_job(const file_ptr& f) { check_call(::fsync(f->fd.get()), "sync", f->path); }
void sync_data_job(const file_ptr& f) { check_call(::fdatasync(f->fd.get()), "sync", f->path); }

file_status status_job(const file_ptr& f) {
  struct stat s {};
  check_call(::fstat(f->fd.get(), &s), "look at", f->path);
  return detail::status_of(s);
}

std::uint64_t size_job(const file_ptr& f) { return status_job(f).size; }

void truncate_job(const file_ptr& f, std::uint64_t size) {
  check_call(::ftruncate(f->fd.get(), static_cast<off_t>(size)), "truncate", f->path);
}

// Operations that are under way have their own share: the last of them closes then.
void close_job(file_ptr f) {
  if (f.use_count() > 1) return;
  const int fd = f->fd.release();
  if (::close(fd) < 0 && errno != EINTR) throw detail::path_error("close", f->path);
}

promise<> write_some(const file_ptr& f,
                     std::uint64_t offset,
                     byte_view bytes,
                     std::shared_ptr<std::uint64_t> done) {
  return detach(write_job, f, offset, bytes, std::move(done));
}

// ---- as a stream ----

struct stream_core {
  stream_core(file_ptr f, std::uint64_t at) noexcept
      : file(std::move(f)), read_at(at), write_at(at) {}

  file_ptr file;
  std::uint64_t read_at;
  std::uint64_t write_at;
  stream_counts counts;
  promise<std::size_t> read;  // under way
  promise<> write;
  bool reads = false;
  bool writes = false;
  bool write_side_ended = false;
  bool is_closed = false;
};
using core_ptr = std::shared_ptr<stream_core>;

promise<std::size_t> read_next(core_ptr c, std::span<std::byte> into) {
  const detail::direction_guard guard(c->reads, detail::two_reads);
  c->read = detach(read_job, c->file, c->read_at, into);
  const promise<std::size_t> coming = c->read;
  const std::size_t n = co_await coming;
  if (c->is_closed) throw cancelled();
  c->read_at += n;
  c->counts.read_bytes += n;
  co_return n;
}

promise<> write_next(core_ptr c, byte_view bytes) {
  const detail::direction_guard guard(c->writes, detail::two_writes);
  const auto done = std::make_shared<std::uint64_t>(0);
  c->write = write_some(c->file, c->write_at, bytes, done);
  const promise<> going = c->write;
  std::exception_ptr failure;
  try {
    co_await going;
  } catch (...) {
    failure = std::current_exception();
  }
  c->write_at += *done;
  c->counts.written_bytes += *done;
  if (failure) std::rethrow_exception(failure);
  if (c->is_closed) throw cancelled();
}

class file_stream final : public byte_stream {
public:
  explicit file_stream(core_ptr c) noexcept : core_(std::move(c)) {}
  ~file_stream() override { close(); }

  promise<std::size_t> read(std::span<std::byte> into) override {
    if (into.empty()) return rejected<std::size_t>(contract_error("a read into no bytes"));
    if (core_->is_closed) return rejected<std::size_t>(closed("read from"));
    return read_next(core_, into);
  }
  promise<> write(byte_view bytes) override {
    if (core_->is_closed || core_->write_side_ended) return rejected(closed("write to"));
    return write_next(core_, bytes);
  }
  promise<> shutdown() override {
    if (core_->writes) return rejected(contract_error(detail::two_writes));
    core_->write_side_ended = true;
    return ready();
  }
  void close() noexcept override {
    core_->is_closed = true;
    if (core_->reads) fermata::cancel(core_->read);
    if (core_->writes) fermata::cancel(core_->write);
  }
  stream_counts counts() const noexcept override { return core_->counts; }
  std::string peer() const override { return core_->file->path; }

private:
  error closed(const char* what) const {
    return uv_error(UV_EBADF, fmt::format("cannot {} {}", what, core_->file->path));
  }

  core_ptr core_;
};

}  // namespace

// ---- options ----

open_options open_options::for_writing() {
  open_options o;
  o.read = false;
  o.write = o.create = o.truncate = true;
  return o;
}

open_options open_options::for_update() {
  open_options o;
  o.write = o.create = true;
  return o;
}

open_options open_options::for_appending() {
  open_options o;
  o.read = false;
  o.write = o.create = o.append = true;
  return o;
}

// ---- files ----

promise<file> open_file(std::string path, open_options options) {
  promise<file_ptr> opening = detach(open_now, std::move(path), std::move(options));
  file_ptr opened = co_await std::move(opening);
  co_return file(std::move(opened));
}

const std::string& file::path() const {
  if (open_ == nullptr) throw contract_error(no_file);
  return open_->path;
}

promise<std::size_t> file::read_at(std::uint64_t offset, std::span<std::byte> into) const {
  if (open_ == nullptr) return rejected<std::size_t>(contract_error(no_file));
  return detach(read_job, open_, offset, into);
}

promise<> file::write_at(std::uint64_t offset, byte_view bytes) const {
  if (open_ == nullptr) return rejected(contract_error(no_file));
  return write_some(open_, offset, bytes, nullptr);
}

promise<> file::append(byte_view bytes) const {
  if (open_ == nullptr) return rejected(contract_error(no_file));
  if (!open_->appends) return rejected(contract_error("a file is not open for appending"));
  return write_some(open_, 0, bytes, nullptr);
}

promise<> file::sync() const {
  return open_ == nullptr ? rejected(contract_error(no_file)) : detach(sync_job, open_);
}

promise<> file::sync_data() const {
  return open_ == nullptr ? rejected(contract_error(no_file)) : detach(sync_data_job, open_);
}

promise<std::uint64_t> file::size() const {
  if (open_ == nullptr) return rejected<std::uint64_t>(contract_error(no_file));
  return detach(size_job, open_);
}

promise<> file::truncate(std::uint64_t size) const {
  return open_ == nullptr ? rejected(contract_error(no_file)) : detach(truncate_job, open_, size);
}

promise<file_status> file::status() const {
  if (open_ == nullptr) return rejected<file_status>(contract_error(no_file));
  return detach(status_job, open_);
}

promise<> file::close() {
  if (open_ == nullptr) return rejected(contract_error(no_file));
  return detach(close_job, std::move(open_));
}

std::unique_ptr<byte_stream> stream_of(file f, std::uint64_t offset) {
  if (f.open_ == nullptr) throw contract_error(no_file);
  return std::make_unique<file_stream>(std::make_shared<stream_core>(std::move(f.open_), offset));
}

}  // namespace fermata
