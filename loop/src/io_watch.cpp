// SPDX-License-Identifier: MIT
// Descriptors on uv_poll_t. The handle lives on the heap until libuv's close callback has come and
// the watch has let go of it: a watch may outlive its loop, which then closes the descriptor.

#include <fermata/loop/io_watch.hpp>

#include <unistd.h>

#include <array>
#include <cstddef>

namespace fermata {

struct io_watch::handle final : loop_resident {
  uv_poll_t poll;
  event_loop* loop = nullptr;
  int fd = -1;
  int armed = 0;     // events that libuv watches
  int unwanted = 0;  // events in a row that nobody waited for
  std::array<ready_node*, 2> waiting{};
  bool is_held = true;  // by a watch
  bool is_closing = false;
  bool is_closed = false;

  [[nodiscard]] int wanted() const noexcept {
    return (waiting[0] != nullptr ? UV_READABLE : 0) | (waiting[1] != nullptr ? UV_WRITABLE : 0);
  }
  void arm(int events) noexcept;
  void wake(io_direction d) noexcept;
  void on_event(int status, int events) noexcept;
  void open();
  void close() noexcept;
  void let_go() noexcept;
  void loop_ends() noexcept override { close(); }
};

void io_watch::handle::open() {
  poll.data = this;
  const int code = uv_poll_init(loop->uv(), &poll, fd);
  if (code < 0) throw uv_error(code, "cannot watch a descriptor");
  move_in(*loop);
}

void io_watch::handle::close() noexcept {
  if (is_closing) return;
  is_closing = true;
  move_out();
  wake(io_direction::read);
  wake(io_direction::write);
  uv_close(reinterpret_cast<uv_handle_t*>(&poll), [](uv_handle_t* closed) {
    auto* h = static_cast<handle*>(closed->data);
    h->is_closed = true;
    if (!h->is_held) delete h;
  });
  ::close(fd);  // after uv_close, which takes the descriptor out of epoll at once
}

void io_watch::handle::let_go() noexcept {
  is_held = false;
  close();
  if (is_closed) delete this;
}

void io_watch::handle::arm(int events) noexcept {
  if (events == armed) return;
  armed = events;
  if (events == 0) {
    uv_poll_stop(&poll);
    return;
  }
  uv_poll_start(&poll, events, [](uv_poll_t* h, int status, int seen) {
    static_cast<handle*>(h->data)->on_event(status, seen);
  });
}

void io_watch::handle::wake(io_direction d) noexcept {
  ready_node*& slot = waiting[static_cast<std::size_t>(d)];
  if (slot == nullptr) return;
  ready_node* n = std::exchange(slot, nullptr);
  --loop->waiting_watches_;
  event_loop::make_ready(*n);
}

void io_watch::handle::on_event(int status, int events) noexcept {
  const int before = wanted();
  if (status < 0) {
    events = UV_READABLE | UV_WRITABLE;
    armed = 0;  // libuv has stopped the watch
  }
  if ((events & UV_READABLE) != 0) wake(io_direction::read);
  if ((events & UV_WRITABLE) != 0) wake(io_direction::write);
  if (status < 0 || (events & ~before) == 0) return;
  if (++unwanted > 1) arm(wanted());  // the first may be for a node that has not run yet
}

io_watch::io_watch(event_loop& loop, int fd) : handle_(new handle) {
  handle_->loop = &loop;
  handle_->fd = fd;
  try {
    handle_->open();
  } catch (...) {
    delete handle_;
    ::close(fd);
    throw;
  }
}

io_watch::io_watch(io_watch&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}

io_watch& io_watch::operator=(io_watch&& other) noexcept {
  if (this != &other) {
    close();
    handle_ = std::exchange(other.handle_, nullptr);
  }
  return *this;
}

bool io_watch::is_open() const noexcept { return handle_ != nullptr && !handle_->is_closing; }
int io_watch::fd() const noexcept { return is_open() ? handle_->fd : -1; }

void io_watch::wait(io_direction d, ready_node& n) {
  if (!is_open()) throw contract_error("cannot wait for a closed descriptor");
  ready_node*& slot = handle_->waiting[static_cast<std::size_t>(d)];
  if (slot != nullptr) {
    throw contract_error(d == io_direction::read ? "two reads wait on one descriptor"
                                                 : "two writes wait on one descriptor");
  }
  handle_->loop->adopt(n);
  slot = &n;
  handle_->unwanted = 0;
  ++handle_->loop->waiting_watches_;
  handle_->arm(handle_->armed | handle_->wanted());
}

void io_watch::stop_waiting(io_direction d) noexcept {
  if (!is_open()) return;
  ready_node*& slot = handle_->waiting[static_cast<std::size_t>(d)];
  if (slot != nullptr) --handle_->loop->waiting_watches_;
  slot = nullptr;
}

void io_watch::close() noexcept {
  if (handle_ != nullptr) std::exchange(handle_, nullptr)->let_go();
}

}  // namespace fermata
