// SPDX-License-Identifier: MIT
/// Changes of files and directories, as the system tells them (inotify).
///
/// Shape:   `while (true) { auto change = co_await watch.next(); ... }`. Of a directory what stands
///          in it is told, not what stands deeper. Changes are in the order in which they happened;
///          several alike in a row may come as one.
/// Bounds:  the system keeps what nobody has taken, up to fs.inotify.max_queued_events; beyond that
///          changes are lost, and one of kind `overflow` tells it: look anew at all of it.
/// Pauses:  until there is a change.
/// Thread:  loop. `add` looks a name up in the file system, on the loop.
/// Rejects: `cancelled`, at once, and no change is lost; `loop_closed`; `contract_error` where a
///          `next()` is under way; `error`.
#pragma once

#include <fermata/promise/promise.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

namespace fermata {

enum class change_kind : std::uint8_t {
  created,   ///< also moved here
  removed,   ///< also moved away
  modified,  ///< its content
  attributes,
  gone,     ///< what is watched has been removed, moved or unmounted; nothing more comes of it
  overflow  ///< changes were lost
};

struct file_change {
  change_kind kind = change_kind::overflow;
  std::string path;  ///< that of `add`, and the name in it; empty for `overflow`
  bool is_directory = false;
  std::uint32_t move = 0;  ///< not 0: the same number for both ends of a move
};

namespace detail {
struct change_source;
}

class file_watch {
public:
  /// Throws: `error` (`cannot watch files: too many open files (uv EMFILE)`).
  file_watch();
  file_watch(file_watch&& other) noexcept = default;
  file_watch& operator=(file_watch&& other) noexcept {
    std::swap(source_, other.source_);
    return *this;
  }
  ~file_watch() { close(); }

  /// Begins to watch a file or directory; another time changes nothing.
  /// Throws: `error` (`cannot watch /none: no such file or directory (uv ENOENT)`).
  void add(const std::string& path);
  /// Ends that; what has happened before may still come. Nothing where it is not watched.
  void remove(const std::string& path);
  /// The next change.
  promise<file_change> next();
  void close() noexcept;

private:
  std::shared_ptr<detail::change_source> source_;
};

}  // namespace fermata
