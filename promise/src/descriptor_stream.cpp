// SPDX-License-Identifier: MIT
// Reads and writes that try first and wait on EAGAIN.
//
// Invariants: (1) the flags `reads` and `writes` are set from the first wait to the end of an
// operation; (2) an operation that finds the watch closed was ended by close() or by its loop.

#include "descriptor_stream.hpp"

#include <fermata/promise/io.hpp>
#include <fermata/promise/pause.hpp>
#include <fermata/promise/pipe.hpp>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <ctime>

namespace fermata {
namespace detail {

descriptor::descriptor(unique_fd fd, descriptor_kind k, std::string name)
    : peer(std::move(name)), kind(k) {
  event_loop& loop = event_loop::current();
  watch = io_watch(loop, fd.release());
  move_in(loop);
}

void descriptor::loop_ends() noexcept {
  loop_has_ended = true;
  watch.close();
}

quiet_pipe::quiet_pipe() noexcept {
  sigset_t pending;
  sigemptyset(&pipe_only_);
  sigaddset(&pipe_only_, SIGPIPE);
  sigpending(&pending);
  was_pending_ = sigismember(&pending, SIGPIPE) == 1;
  pthread_sigmask(SIG_BLOCK, &pipe_only_, &before_);
}

quiet_pipe::~quiet_pipe() {
  const int code = errno;
  if (!was_pending_) {  // a call that has written a part raises it too, and does not fail
    const timespec at_once{};
    while (sigtimedwait(&pipe_only_, nullptr, &at_once) < 0 && errno == EINTR) {
    }
  }
  pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  errno = code;
}

}  // namespace detail

namespace {

using detail::descriptor;
using detail::descriptor_kind;
using descriptor_ptr = std::shared_ptr<descriptor>;

constexpr ssize_t would_block = -1;

error failure(const descriptor& d, const char* what) {
  const int code = errno;
  return uv_error(code, fmt::format("cannot {} {}", what, d.peer));
}

// Throws where the stream was closed meanwhile.
void check_open(const descriptor& d) {
  if (d.watch.is_open()) return;
  if (d.loop_has_ended) throw loop_closed();
  throw cancelled();
}

// What is there, or would_block; no system call where there can be nothing.
ssize_t try_read(descriptor& d, std::span<std::byte> into) {
  const std::size_t most = std::min(into.size(), detail::stream_piece_bytes);
  while (d.watch.may_be_ready(io_direction::read)) {
    const ssize_t n = d.kind == descriptor_kind::other ? ::read(d.watch.fd(), into.data(), most)
                                                       : ::recv(d.watch.fd(), into.data(), most, 0);
    if (n >= 0) {
      const auto moved = static_cast<std::size_t>(n);
      if (d.kind == descriptor_kind::tcp && n > 0 && moved < most) {
        d.watch.moved_part(io_direction::read);
      }
      d.counts.read_bytes += moved;
      return n;
    }
    if (errno == EAGAIN) {
      d.watch.drained(io_direction::read);
    } else if (errno != EINTR) {
      throw failure(d, "read from");
    }
  }
  return would_block;
}

// The next piece of a write: up to 16 spans, at most stream_piece_bytes.
class gather {
public:
  explicit gather(std::span<const byte_view> pieces) noexcept : pieces_(pieces) { skip_empty(); }
  [[nodiscard]] bool done() const noexcept { return pieces_.empty(); }
  [[nodiscard]] bool has_more_than(std::size_t n) const noexcept {
    n += offset_;
    for (const byte_view p : pieces_) {
      if (p.size() > n) return true;
      n -= p.size();
    }
    return false;
  }

  [[nodiscard]] std::size_t fill(std::array<iovec, 16>& into) const noexcept {
    std::size_t used = 0;
    std::size_t left = detail::stream_piece_bytes;
    for (std::size_t i = 0; i < pieces_.size() && used < into.size() && left > 0; ++i) {
      const byte_view bytes = i == 0 ? pieces_[0].subspan(offset_) : pieces_[i];
      const std::size_t n = std::min(bytes.size(), left);
      into[used++] = {const_cast<std::byte*>(bytes.data()), n};
      left -= n;
    }
    return used;
  }
  void advance(std::size_t n) noexcept {
    while (n > 0) {
      const std::size_t step = std::min(n, pieces_[0].size() - offset_);
      offset_ += step;
      n -= step;
      skip_empty();
    }
  }

private:
  void skip_empty() noexcept {
    while (!pieces_.empty() && pieces_[0].size() == offset_) {
      pieces_ = pieces_.subspan(1);
      offset_ = 0;
    }
  }

  std::span<const byte_view> pieces_;
  std::size_t offset_ = 0;
};

// `more` comes after it at once: TCP need not send what is left behind its last whole segment.
ssize_t send_some(const descriptor& d, std::span<iovec> vectors, bool more) noexcept {
  const int fd = d.watch.fd();
  if (d.kind == descriptor_kind::other) {
    const detail::quiet_pipe quiet;
    return ::write(fd, vectors[0].iov_base, vectors[0].iov_len);
  }
  const int flags = MSG_NOSIGNAL | (more ? MSG_MORE : 0);
  if (vectors.size() == 1) return ::send(fd, vectors[0].iov_base, vectors[0].iov_len, flags);
  msghdr message{};
  message.msg_iov = vectors.data();
  message.msg_iovlen = vectors.size();
  return ::sendmsg(fd, &message, flags);
}

std::size_t bytes_in(std::span<const iovec> vectors) noexcept {
  std::size_t n = 0;
  for (const iovec& v : vectors) n += v.iov_len;
  return n;
}

// What could be sent of the next piece, or would_block.
ssize_t try_write(descriptor& d, const gather& from) {
  std::array<iovec, 16> vectors;
  const std::span<iovec> pieces(vectors.data(), from.fill(vectors));
  const std::size_t size = bytes_in(pieces);
  const bool more = from.has_more_than(size);
  while (d.watch.may_be_ready(io_direction::write)) {
    const ssize_t n = send_some(d, pieces, more);
    if (n >= 0) {
      const auto moved = static_cast<std::size_t>(n);
      if (d.kind == descriptor_kind::tcp && moved < size) {
        d.watch.moved_part(io_direction::write);
      }
      d.counts.written_bytes += moved;
      return n;
    }
    if (errno == EAGAIN) {
      d.watch.drained(io_direction::write);
    } else if (errno != EINTR) {
      throw failure(d, "write to");
    }
  }
  return would_block;
}

promise<std::size_t> read_when_there(descriptor_ptr d, std::span<std::byte> into) {
  const detail::direction_guard guard(d->reads, detail::two_reads);
  for (;;) {
    check_open(*d);
    co_await readable(d->watch);
    check_open(*d);
    const ssize_t n = try_read(*d, into);
    if (n == would_block) continue;
    static_cast<void>(due(detail::stream_cost(static_cast<std::size_t>(n))));
    co_return static_cast<std::size_t>(n);
  }
}

promise<> write_all(descriptor_ptr d, byte_view whole, std::span<const byte_view> pieces) {
  const detail::direction_guard guard(d->writes, detail::two_writes);
  gather left(pieces.empty() ? std::span<const byte_view>(&whole, 1) : pieces);
  while (!left.done()) {
    check_open(*d);
    const ssize_t n = try_write(*d, left);
    if (n == would_block) {
      co_await writable(d->watch);
      co_await pause();  // many who have room at once would keep a new request waiting for them all
    } else {
      left.advance(static_cast<std::size_t>(n));
      co_await maybe_pause(detail::stream_cost(static_cast<std::size_t>(n)));
    }
  }
}

class descriptor_stream final : public byte_stream {
public:
  explicit descriptor_stream(descriptor_ptr d) noexcept : d_(std::move(d)) {}
  ~descriptor_stream() override { close(); }

  promise<std::size_t> read(std::span<std::byte> into) override {
    if (into.empty()) return rejected<std::size_t>(contract_error("a read into no bytes"));
    if (!d_->watch.is_open()) return rejected<std::size_t>(closed("read from"));
    if (d_->reads) return rejected<std::size_t>(contract_error(detail::two_reads));
    try {
      const ssize_t n = try_read(*d_, into);
      if (n == would_block) return read_when_there(d_, into);
      static_cast<void>(due(detail::stream_cost(static_cast<std::size_t>(n))));
      return ready(static_cast<std::size_t>(n));
    } catch (...) {
      return rejected<std::size_t>(std::current_exception());
    }
  }
  promise<> write(byte_view bytes) override {
    if (!d_->watch.is_open()) return rejected(closed("write to"));
    return write_all(d_, bytes, {});
  }
  promise<> write_pieces(std::span<const byte_view> pieces) override {
    if (!d_->watch.is_open()) return rejected(closed("write to"));
    return write_all(d_, {}, pieces);
  }
  promise<> shutdown() override {
    if (d_->writes) return rejected(contract_error(detail::two_writes));
    if (!d_->watch.is_open() || d_->write_side_ended) return ready();
    d_->write_side_ended = true;
    if (d_->kind == descriptor_kind::other) {
      d_->watch.close();  // a pipe has one direction
    } else if (::shutdown(d_->watch.fd(), SHUT_WR) < 0 && errno != ENOTCONN) {
      return rejected(failure(*d_, "end the writing to"));
    }
    return ready();
  }
  void close() noexcept override { d_->watch.close(); }
  void cancel() noexcept override {
    if (d_->kind != descriptor_kind::other && d_->watch.is_open()) {
      const linger at_once{1, 0};  // a reset instead of an orderly end
      ::setsockopt(d_->watch.fd(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    }
    close();
  }
  stream_counts counts() const noexcept override { return d_->counts; }
  std::string peer() const override { return d_->peer; }
  [[nodiscard]] const descriptor_ptr& under() const noexcept { return d_; }

private:
  error closed(const char* what) const {
    return uv_error(UV_EBADF, fmt::format("cannot {} {}", what, d_->peer));
  }

  descriptor_ptr d_;
};

}  // namespace

std::unique_ptr<byte_stream> detail::stream_over(std::shared_ptr<descriptor> d) {
  return std::make_unique<descriptor_stream>(std::move(d));
}

std::shared_ptr<descriptor> detail::socket_of(byte_stream& s) noexcept {
  auto* const own = dynamic_cast<descriptor_stream*>(&s);
  if (own == nullptr || own->under()->kind == descriptor_kind::other) return nullptr;
  return own->under();
}

std::unique_ptr<byte_stream> detail::socket_stream(unique_fd fd, std::string peer) {
  return stream_over(
      std::make_shared<descriptor>(std::move(fd), descriptor_kind::socket, std::move(peer)));
}

std::unique_ptr<byte_stream> pipe_stream(int fd, std::string name) {
  detail::unique_fd own(fd);
  struct stat what {};
  const bool is_socket = ::fstat(fd, &what) == 0 && S_ISSOCK(what.st_mode);
  return detail::stream_over(std::make_shared<descriptor>(
      std::move(own), is_socket ? descriptor_kind::socket : descriptor_kind::other,
      std::move(name)));
}

std::pair<std::unique_ptr<byte_stream>, std::unique_ptr<byte_stream>> make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) < 0) throw errno_error("cannot make a pipe");
  detail::unique_fd read_end(ends[0]);
  detail::unique_fd write_end(ends[1]);
  return {pipe_stream(read_end.release(), "a pipe"), pipe_stream(write_end.release(), "a pipe")};
}

}  // namespace fermata
