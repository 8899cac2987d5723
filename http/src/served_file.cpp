// SPDX-License-Identifier: MIT
// Open files, on the way to a socket.

#include <fermata/http/served_file.hpp>
#include <fermata/promise/detach.hpp>
#include <fermata/promise/unique_fd.hpp>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <utility>

namespace fermata::http {

struct served_file::opened {
  unique_fd fd;
  std::uint64_t size = 0;
  std::chrono::sys_seconds modified;
  std::string etag;
};

namespace {

struct found {
  unique_fd fd;
  struct stat status {};
};

// Thread: any. A FIFO does not hold it up.
found open_now(const std::string& path) {
  found f;
  f.fd.reset(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!f.fd || ::fstat(f.fd.get(), &f.status) != 0) throw errno_error("cannot open " + path);
  if (!S_ISREG(f.status.st_mode)) throw error("cannot open " + path + ": it is no regular file");
  return f;
}

}  // namespace

promise<served_file> served_file::open(std::string path) {
  promise<found> opening = detach(open_now, std::move(path));
  found f = co_await std::move(opening);
  auto o = std::make_shared<opened>();
  o->fd = std::move(f.fd);
  o->size = static_cast<std::uint64_t>(f.status.st_size);
  o->modified = std::chrono::sys_seconds(std::chrono::seconds(f.status.st_mtim.tv_sec));
  o->etag = fmt::format("\"{:x}-{:x}.{:x}-{:x}\"", f.status.st_size, f.status.st_mtim.tv_sec,
                        f.status.st_mtim.tv_nsec, f.status.st_ino);
  co_return served_file(std::move(o));
}

file_part served_file::part(std::uint64_t first, std::uint64_t size) const {
  file_part out;
  out.owner = open_;
  out.descriptor = open_ == nullptr ? -1 : open_->fd.get();
  out.first = first;
  out.size = size;
  return out;
}

std::uint64_t served_file::size() const noexcept { return open_ == nullptr ? 0 : open_->size; }

std::chrono::sys_seconds served_file::modified() const noexcept {
  return open_ == nullptr ? std::chrono::sys_seconds() : open_->modified;
}

const std::string& served_file::etag() const noexcept {
  static const std::string none;
  return open_ == nullptr ? none : open_->etag;
}

representation served_file::describe(std::string_view type) const {
  representation out;
  out.etag = etag();
  out.last_modified = modified();
  out.size = size();
  out.type = type;
  return out;
}

promise<served_file> file_cache::open(std::string path) {
  const auto at = core_->by_path.find(path);
  if (at == core_->by_path.end()) return open_anew(core_, std::move(path), options_.most_files);
  std::list<entry>& all = core_->entries;
  all.splice(all.begin(), all, at->second);
  if (event_loop::current().now() - at->second->opened < options_.trusted_for)
    return ready(at->second->file);
  return open_anew(core_, std::move(path), options_.most_files);
}

promise<served_file> file_cache::open_anew(std::shared_ptr<core> c,
                                           std::string path,
                                           std::size_t most) {
  const time_point now = event_loop::current().now();
  std::exception_ptr failed;
  served_file file;
  try {
    promise<served_file> opening = served_file::open(path);
    file = co_await std::move(opening);
  } catch (const error&) {
    failed = std::current_exception();
  }
  forget(*c, path);
  if (failed) std::rethrow_exception(failed);
  if (most > 0) {
    if (c->entries.size() >= most) forget(*c, std::string(c->entries.back().path));
    c->entries.push_front({path, file, now});
    c->by_path.emplace(std::move(path), c->entries.begin());
  }
  co_return file;
}

void file_cache::forget(core& c, const std::string& path) {
  const auto at = c.by_path.find(path);
  if (at == c.by_path.end()) return;
  c.entries.erase(at->second);
  c.by_path.erase(at);
}

void file_cache::forget(const std::string& path) { forget(*core_, path); }

}  // namespace fermata::http
