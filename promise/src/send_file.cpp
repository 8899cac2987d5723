// SPDX-License-Identifier: MIT
// sendfile on sockets, and what a disk holds up is left to the pool.

#include "descriptor_stream.hpp"

#include <fermata/promise/detach.hpp>
#include <fermata/promise/io.hpp>
#include <fermata/promise/pause.hpp>
#include <fermata/promise/send_file.hpp>

#include <fmt/format.h>
#include <netinet/tcp.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <string>
#include <utility>

namespace fermata {
namespace {

constexpr std::size_t step_bytes = 256 * 1024;
constexpr std::size_t copy_bytes = 64 * 1024;

file_failure ended_early(std::uint64_t at) {
  return file_failure(fmt::format("cannot send a file: it ends at byte {}, early", at));
}

file_failure cannot_read() {
  return file_failure(std::error_code(-errno, uv_category()), "cannot send a file");
}

// Whether reading that byte waits for nothing; what the file system cannot tell is a yes.
bool is_cached(int fd, std::uint64_t at) noexcept {
  char byte = 0;
  const iovec one{&byte, 1};
  const ssize_t n = ::preadv2(fd, &one, 1, static_cast<off_t>(at), RWF_NOWAIT);
  return n >= 0 || errno != EAGAIN;
}

// Runs on the pool: after it the kernel has the bytes in memory, as long as it likes.
void read_ahead(int fd, std::uint64_t offset, std::size_t count) {
  std::array<char, copy_bytes> scratch;
  for (std::size_t done = 0; done < count;) {
    const std::size_t most = std::min(scratch.size(), count - done);
    const ssize_t n = ::pread(fd, scratch.data(), most, static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw cannot_read();
    if (n == 0) return;
    done += static_cast<std::size_t>(n);
  }
}

std::string read_part(int fd, std::uint64_t offset, std::size_t count) {
  std::string out(count, '\0');
  std::size_t done = 0;
  while (done < count) {
    const ssize_t n =
        ::pread(fd, out.data() + done, count - done, static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw cannot_read();
    if (n == 0) throw ended_early(offset + done);
    done += static_cast<std::size_t>(n);
  }
  return out;
}

promise<> make_cached(int fd, std::uint64_t offset, std::size_t count) {
  if (is_cached(fd, offset) && is_cached(fd, offset + count - 1)) return ready();
  return detach(read_ahead, fd, offset, count);
}

// sendfile(2) knows no MSG_NOSIGNAL.
ssize_t send_quietly(int socket, int fd, std::uint64_t offset, std::size_t count) noexcept {
  const detail::quiet_pipe quiet;
  auto at = static_cast<off_t>(offset);
  return ::sendfile(socket, fd, &at, count);
}

// What the socket has taken; 0: it is full.
std::size_t try_send(detail::descriptor& d, int fd, std::uint64_t offset, std::size_t count) {
  while (d.watch.may_be_ready(io_direction::write)) {
    const ssize_t n = send_quietly(d.watch.fd(), fd, offset, count);
    if (n > 0) {
      d.counts.written_bytes += static_cast<std::uint64_t>(n);
      return static_cast<std::size_t>(n);
    }
    if (n == 0) throw ended_early(offset);
    if (errno == EAGAIN) {
      d.watch.drained(io_direction::write);
    } else if (errno != EINTR) {
      throw errno_error("cannot send a file to " + d.peer);
    }
  }
  return 0;
}

// Only whole segments leave meanwhile: small ones between them make the receiver's window small.
class whole_segments {
public:
  explicit whole_segments(std::shared_ptr<detail::descriptor> d) : d_(std::move(d)) { set(1); }
  ~whole_segments() {
    if (d_->watch.is_open()) set(0);
  }
  whole_segments(const whole_segments&) = delete;
  whole_segments& operator=(const whole_segments&) = delete;

private:
  void set(int on) const noexcept {
    if (d_->kind != detail::descriptor_kind::tcp) return;
    ::setsockopt(d_->watch.fd(), IPPROTO_TCP, TCP_CORK, &on, sizeof on);
  }
  std::shared_ptr<detail::descriptor> d_;
};

promise<> send_steps(std::shared_ptr<detail::descriptor> d,
                     int fd,
                     std::uint64_t offset,
                     std::uint64_t count) {
  const detail::direction_guard guard(d->writes, detail::two_writes);
  while (count > 0) {
    const std::size_t step = std::min<std::uint64_t>(count, step_bytes);
    promise<> cached = make_cached(fd, offset, step);
    co_await cached;
    if (!d->watch.is_open()) {
      if (d->loop_has_ended) throw loop_closed();
      throw cancelled();
    }
    const std::size_t n = try_send(*d, fd, offset, step);
    offset += n;
    count -= n;
    if (n == 0) {
      co_await writable(d->watch);
      co_await pause();  // as in a write
    } else {
      co_await maybe_pause(detail::stream_cost(n));
    }
  }
}

promise<> send_by_kernel(byte_stream& to,
                         std::shared_ptr<detail::descriptor> d,
                         int fd,
                         std::uint64_t offset,
                         std::uint64_t count,
                         byte_view before) {
  const whole_segments whole(d);
  promise<> begun = to.write(before);
  co_await begun;
  promise<> sent = send_steps(std::move(d), fd, offset, count);
  co_await sent;
}

promise<> send_by_hand(
    byte_stream& to, int fd, std::uint64_t offset, std::uint64_t count, byte_view before) {
  promise<> begun = to.write(before);
  co_await begun;
  while (count > 0) {
    const std::size_t step = std::min<std::uint64_t>(count, copy_bytes);
    std::string bytes(step, '\0');
    const std::span<char> room(bytes);
    if (read_cached(fd, offset, std::as_writable_bytes(room)) < step) {
      promise<std::string> reading = detach(read_part, fd, offset, step);
      bytes = co_await std::move(reading);
    }
    promise<> writing = to.write(bytes_of(bytes));
    co_await writing;
    offset += step;
    count -= step;
  }
}

}  // namespace

std::size_t read_cached(int fd, std::uint64_t offset, std::span<std::byte> into) noexcept {
  const iovec all{into.data(), into.size()};
  const ssize_t n = ::preadv2(fd, &all, 1, static_cast<off_t>(offset), RWF_NOWAIT);
  return n < 0 ? 0 : static_cast<std::size_t>(n);
}

promise<> send_file(
    byte_stream& to, int fd, std::uint64_t offset, std::uint64_t count, byte_view before) {
  std::shared_ptr<detail::descriptor> d = detail::socket_of(to);
  if (d == nullptr) return send_by_hand(to, fd, offset, count, before);
  return send_by_kernel(to, std::move(d), fd, offset, count, before);
}

}  // namespace fermata
