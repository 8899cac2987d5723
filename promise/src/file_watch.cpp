// SPDX-License-Identifier: MIT
// inotify: read a little at a time, so that the queue with the bound is the system's.

#include "watched_socket.hpp"

#include <fermata/promise/file_watch.hpp>
#include <fermata/promise/pause.hpp>

#include <fmt/format.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <climits>
#include <cstring>
#include <optional>
#include <unordered_map>

namespace fermata {

namespace detail {

struct change_source : watched_socket {
  using watched_socket::watched_socket;

  // At least one event of any length.
  alignas(inotify_event) std::array<char, 16 * (sizeof(inotify_event) + NAME_MAX + 1)> bytes;
  std::size_t begin = 0;
  std::size_t end = 0;
  std::unordered_map<int, std::string> paths;
};

}  // namespace detail

namespace {

using detail::change_source;
using source_ptr = std::shared_ptr<change_source>;
using maybe_change = std::optional<file_change>;

constexpr std::uint32_t wanted_events = IN_CREATE | IN_DELETE | IN_MODIFY | IN_ATTRIB |
                                        IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF;
constexpr const char* two_waits = "two changes of one watch are awaited";

maybe_change kind_of(const inotify_event& e) {
  file_change change;
  if ((e.mask & IN_Q_OVERFLOW) != 0) {
    change.kind = change_kind::overflow;
  } else if ((e.mask & (IN_CREATE | IN_MOVED_TO)) != 0) {
    change.kind = change_kind::created;
  } else if ((e.mask & (IN_DELETE | IN_MOVED_FROM)) != 0) {
    change.kind = change_kind::removed;
  } else if ((e.mask & IN_MODIFY) != 0) {
    change.kind = change_kind::modified;
  } else if ((e.mask & IN_ATTRIB) != 0) {
    change.kind = change_kind::attributes;
  } else if ((e.mask & (IN_IGNORED | IN_MOVE_SELF)) != 0) {
    change.kind = change_kind::gone;
  } else {
    return std::nullopt;  // IN_DELETE_SELF and IN_UNMOUNT: IN_IGNORED follows
  }
  change.is_directory = (e.mask & IN_ISDIR) != 0;
  change.move = e.cookie;
  return change;
}

// The next event that has been read; nothing where it says nothing to the user.
maybe_change take_event(change_source& s) {
  inotify_event e{};
  std::memcpy(&e, s.bytes.data() + s.begin, sizeof e);
  const char* const name = s.bytes.data() + s.begin + sizeof e;
  s.begin += sizeof e + e.len;
  maybe_change change = kind_of(e);
  if (!change || change->kind == change_kind::overflow) return change;
  const auto at = s.paths.find(e.wd);
  if (at == s.paths.end()) return std::nullopt;  // it has been removed from the watch
  change->path = at->second;
  if (e.len > 0) change->path += fmt::format("/{}", name);
  if (change->kind != change_kind::gone) return change;
  s.paths.erase(at);  // its IN_IGNORED, where it has moved away, finds nothing
  if ((e.mask & IN_MOVE_SELF) != 0) ::inotify_rm_watch(s.fd(), e.wd);
  return change;
}

// False: none is there.
bool read_events(change_source& s) {
  const ssize_t n =
      detail::uninterrupted([&] { return ::read(s.fd(), s.bytes.data(), s.bytes.size()); });
  if (n < 0 && errno == EAGAIN) return false;
  if (n < 0) throw s.failure("watch");
  s.begin = 0;
  s.end = static_cast<std::size_t>(n);
  return true;
}

promise<file_change> next_change(source_ptr s) {
  const detail::direction_guard guard(s->reads, two_waits);
  for (;;) {
    s->check_open();
    if (s->begin < s->end) {
      maybe_change change = take_event(*s);
      if (change) co_return std::move(*change);
      co_await maybe_pause(std::chrono::nanoseconds(300));
    } else if (!read_events(*s)) {
      co_await readable(s->watch);
    }
  }
}

}  // namespace

file_watch::file_watch() {
  unique_fd fd(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  if (!fd) throw errno_error("cannot watch files");
  source_ = std::make_shared<change_source>(std::move(fd), "files");
}

void file_watch::add(const std::string& path) {
  if (source_ == nullptr || !source_->watch.is_open()) {
    throw contract_error("a file watch that is closed is used");
  }
  const int number = ::inotify_add_watch(source_->fd(), path.c_str(), wanted_events);
  if (number < 0) throw errno_error(fmt::format("cannot watch {}", path));
  source_->paths.emplace(number, path);  // the first name stays
}

void file_watch::remove(const std::string& path) {
  if (source_ == nullptr || !source_->watch.is_open()) return;
  for (auto at = source_->paths.begin(); at != source_->paths.end(); ++at) {
    if (at->second != path) continue;
    ::inotify_rm_watch(source_->fd(), at->first);
    source_->paths.erase(at);
    return;
  }
}

promise<file_change> file_watch::next() {
  if (source_ == nullptr || !source_->watch.is_open()) {
    return rejected<file_change>(contract_error("a file watch that is closed is used"));
  }
  return next_change(source_);
}

void file_watch::close() noexcept {
  if (source_ != nullptr) source_->watch.close();
}

}  // namespace fermata
