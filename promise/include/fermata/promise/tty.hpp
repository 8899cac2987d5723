// SPDX-License-Identifier: MIT
/// The terminal: its bytes as a stream, its size, and raw mode for as long as a guard lives.
///
/// Shape:    it is opened anew: nobody who shares the descriptor finds that non-blocking.
/// Pauses:   as stream.hpp and signals.hpp say.
/// Thread:   loop.
/// Rejects:  as stream.hpp and signals.hpp say.
/// Lifetime: of the loop. Promises of a terminal that is destroyed settle with `cancelled`.
#pragma once

#include <fermata/promise/stream.hpp>
#include <fermata/promise/unique_fd.hpp>

#include <memory>

namespace fermata {

struct window_size {
  int columns = 0;
  int rows = 0;
  bool operator==(const window_size&) const = default;
};

/// While it lives, each byte comes as it is typed: no echo, no line editing, no signals of keys.
class [[nodiscard]] raw_mode {
public:
  raw_mode(raw_mode&& other) noexcept;
  raw_mode& operator=(raw_mode&&) = delete;
  /// Puts the terminal back to what it was.
  ~raw_mode();

private:
  friend class terminal;
  struct saved;
  explicit raw_mode(unique_fd fd);
  unique_fd fd_;
  std::unique_ptr<saved> saved_;
};

class terminal {
public:
  /// Throws: `error` (`cannot use descriptor 0 as a terminal: inappropriate ioctl for device (uv
  ///         ENOTTY)`).
  explicit terminal(int descriptor = 0);
  terminal(terminal&&) noexcept;
  terminal& operator=(terminal&&) noexcept;
  ~terminal();

  /// What is typed, and what is shown.
  [[nodiscard]] byte_stream& stream() noexcept { return *stream_; }
  /// Throws: `error`.
  [[nodiscard]] window_size size() const;
  /// The size, once it is another than the last one that this gave (at first: that of when the
  /// terminal was opened). One wait at a time, else `contract_error`. It watches SIGWINCH from the
  /// first call on.
  promise<window_size> size_changed();
  /// Throws: `error`.
  raw_mode make_raw() const;

private:
  struct resizing;
  unique_fd control_;
  std::unique_ptr<byte_stream> stream_;
  std::shared_ptr<resizing> resizing_;
};

}  // namespace fermata
