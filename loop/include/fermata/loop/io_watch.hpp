// SPDX-License-Identifier: MIT
/// A non-blocking descriptor of our own on `uv_poll_t`: try first, wait on EAGAIN.
///
/// Shape:  one node may wait for each direction; it joins the ready queue when the descriptor is
///         readable or writable, or has an error or hang-up (which the next read or write tells).
/// Thread: loop.
/// Cost:   the watch stays armed between two waits, so that a busy socket costs no epoll_ctl; an
///         event that nobody waits for disarms it.
#pragma once

#include <fermata/loop/event_loop.hpp>

#include <cstdint>

namespace fermata {

enum class io_direction : std::uint8_t { read, write };

class io_watch {
public:
  io_watch() noexcept = default;
  /// Takes `fd`, which must be pollable and becomes non-blocking; it is closed with the watch or at
  /// the end of the loop, whichever comes first.
  /// Throws: `error` (the descriptor is then closed).
  io_watch(event_loop& loop, int fd);
  io_watch(io_watch&& other) noexcept;
  io_watch& operator=(io_watch&& other) noexcept;
  ~io_watch() { close(); }

  [[nodiscard]] int fd() const noexcept;
  [[nodiscard]] bool is_open() const noexcept;
  /// Makes `n` ready once when the direction is; `contract_error` where another node waits.
  void wait(io_direction d, ready_node& n);
  /// Nobody waits for this direction any more; the node is not called.
  void stop_waiting(io_direction d) noexcept;
  /// Closes the descriptor; nodes that wait become ready.
  void close() noexcept;

private:
  struct handle;
  handle* handle_ = nullptr;
};

}  // namespace fermata
