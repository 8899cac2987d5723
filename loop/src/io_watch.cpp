// SPDX-License-Identifier: MIT
// Descriptors that are registered once, edge-triggered.
//
// Invariant: a bit of `ready` is cleared only at once after a system call that found nothing more,
// with no poll between: an edge that came before it told that call, one that comes later is still
// in epoll's list and sets the bit again.

#include <fermata/loop/io_watch.hpp>

#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace fermata {
namespace {

constexpr std::uint32_t announced = EPOLLRDHUP | EPOLLHUP | EPOLLERR | EPOLLPRI;

}  // namespace

void io_watch::handle::close() noexcept {
  if (fd < 0) return;
  move_out();
  loop->poller_.remove(fd, *this);
  ::close(std::exchange(fd, -1));
  wake(io_direction::read);
  wake(io_direction::write);
}

void io_watch::handle::wake(io_direction d) noexcept {
  ready_node*& slot = waiting[static_cast<std::size_t>(d)];
  if (slot == nullptr) return;
  ready_node* n = std::exchange(slot, nullptr);
  --loop->waiting_watches_;
  event_loop::make_ready(*n);
}

void io_watch::handle::take_events(std::uint32_t events) noexcept {
  if ((events & announced) != 0) is_announced = true;
  if ((events & (EPOLLIN | announced)) != 0) {
    ready |= bit(io_direction::read);
    wake(io_direction::read);
  }
  if ((events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0) {
    ready |= bit(io_direction::write);
    wake(io_direction::write);
  }
}

io_watch::io_watch(event_loop& loop, int fd) : handle_(new handle) {
  handle_->loop = &loop;
  int non_blocking = 1;
  int code = ::ioctl(fd, FIONBIO, &non_blocking) == 0 ? 0 : errno;
  if (code == 0) code = loop.poller_.add(fd, *handle_);
  if (code != 0) {
    delete handle_;
    if (code != EEXIST) ::close(fd);
    throw uv_error(code, "cannot watch a descriptor");
  }
  handle_->fd = fd;
  handle_->move_in(loop);
}

io_watch::io_watch(io_watch&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}

io_watch& io_watch::operator=(io_watch&& other) noexcept {
  if (this != &other) {
    close();
    handle_ = std::exchange(other.handle_, nullptr);
  }
  return *this;
}

void io_watch::wait(io_direction d, ready_node& n) {
  if (!is_open()) throw contract_error("cannot wait for a closed descriptor");
  ready_node*& slot = handle_->waiting[static_cast<std::size_t>(d)];
  if (slot != nullptr) {
    throw contract_error(d == io_direction::read ? "two reads wait on one descriptor"
                                                 : "two writes wait on one descriptor");
  }
  event_loop& loop = *handle_->loop;
  if (may_be_ready(d)) {
    const int code = loop.poller_.ask_again(handle_->fd, *handle_);
    if (code != 0) throw uv_error(code, "cannot wait for a descriptor");
    drained(d);
  }
  loop.adopt(n);
  slot = &n;
  ++loop.waiting_watches_;
}

void io_watch::stop_waiting(io_direction d) noexcept {
  if (!is_open()) return;
  ready_node*& slot = handle_->waiting[static_cast<std::size_t>(d)];
  if (slot != nullptr) --handle_->loop->waiting_watches_;
  slot = nullptr;
}

void io_watch::close() noexcept {
  if (handle_ == nullptr) return;
  handle_->close();
  delete std::exchange(handle_, nullptr);
}

}  // namespace fermata
