// SPDX-License-Identifier: MIT
// A child on the loop: its pidfd becomes readable when it ends, then it is reaped at once.
//
// A child object is owned by its process until that is destroyed, then by the loop until the child
// has been reaped: it deletes itself. Invariant: the pid is signalled only before it is reaped.

#include "spawn.hpp"

#include <fermata/promise/detach.hpp>
#include <fermata/promise/sleep.hpp>

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace fermata {
namespace detail {

class child final : private loop_resident {
public:
  child(started_child&& started, bool has_tail, bool own_group);
  child(const child&) = delete;
  child& operator=(const child&) = delete;

  [[nodiscard]] pid_t pid() const noexcept { return pid_; }
  [[nodiscard]] const std::string& tail() const noexcept { return tail_; }
  promise<exit_status> wait();
  void kill(int signal) noexcept;
  /// Its process is gone.
  void abandon() noexcept;

private:
  struct exit_node final : ready_node {
    explicit exit_node(child& c) noexcept : self(c) {}
    void run() noexcept override { self.look_for_end(); }
    child& self;
  };
  struct error_node final : ready_node {
    explicit error_node(child& c) noexcept : self(c) {}
    void run() noexcept override { self.go_on_reading(); }
    child& self;
  };

  void loop_ends() noexcept override;
  void look_for_end() noexcept;
  void go_on_reading() noexcept;
  bool read_errors() noexcept;
  void ended() noexcept;

  pid_t pid_;
  bool own_group_;
  bool has_ended_ = false;
  bool is_abandoned_ = false;
  exit_status status_;
  std::string tail_;
  std::vector<resolver<exit_status>> waiting_;
  exit_node exit_node_{*this};  // before the watches, which wake them when they close
  error_node error_node_{*this};
  io_watch exit_watch_;
  io_watch error_watch_;
};

child::child(started_child&& started, bool has_tail, bool own_group)
    : pid_(started.pid), own_group_(own_group) {
  event_loop& loop = event_loop::current();
  exit_watch_ = io_watch(loop, started.pidfd.release());
  if (has_tail) {
    error_watch_ = io_watch(loop, started.err.release());
    error_watch_.wait(io_direction::read, error_node_);
  }
  exit_watch_.wait(io_direction::read, exit_node_);
  move_in(loop);
  started.pid = -1;
}

promise<exit_status> child::wait() {
  if (has_ended_) return ready(status_);
  std::erase_if(waiting_, [](const auto& w) { return !w.is_waiting(); });
  auto made = make_promise<exit_status>();
  waiting_.push_back(std::move(made.settle));
  return std::move(made.future);
}

void child::kill(int signal) noexcept {
  if (has_ended_) return;
  if (own_group_ || !exit_watch_.is_open()) {
    ::kill(own_group_ ? -pid_ : pid_, signal);
  } else {  // safe also where somebody else has reaped it
    ::syscall(SYS_pidfd_send_signal, exit_watch_.fd(), signal, nullptr, 0);
  }
}

void child::abandon() noexcept {
  is_abandoned_ = true;
  error_watch_.stop_waiting(io_direction::read);
  error_node_.unlink();
  error_watch_.close();
  if (has_ended_) {
    delete this;
  } else {
    kill(SIGKILL);
  }
}

// Blocks for as long as the kernel needs to end the child: the loop serves nobody any more.
void child::loop_ends() noexcept {
  if (has_ended_) return;
  kill(SIGKILL);
  static_cast<void>(reap(pid_, 0, status_));
  ended();
}

void child::look_for_end() noexcept {
  if (has_ended_) return;
  if (reap(pid_, WNOHANG, status_)) {
    ended();
  } else {
    exit_watch_.wait(io_direction::read, exit_node_);
  }
}

void child::ended() noexcept {
  has_ended_ = true;
  if (error_watch_.is_open()) static_cast<void>(read_errors());
  exit_watch_.stop_waiting(io_direction::read);
  exit_node_.unlink();
  exit_watch_.close();
  if (is_abandoned_) {
    delete this;
    return;
  }
  for (resolver<exit_status>& w : std::exchange(waiting_, {})) w.resolve(status_);
}

// A grandchild may hold the other end open for longer than the child lives.
void child::go_on_reading() noexcept {
  if (read_errors()) {
    error_watch_.wait(io_direction::read, error_node_);
  } else {
    error_watch_.close();
  }
}

// Up to 64 KiB of what is there, and 256 KiB at the end. False: no more will come.
bool child::read_errors() noexcept {
  constexpr std::size_t piece_bytes = 16 * 1024;
  std::array<char, piece_bytes> piece;
  for (int i = 0; i < (has_ended_ ? 16 : 4); ++i) {
    const ssize_t n = ::recv(error_watch_.fd(), piece.data(), piece.size(), MSG_DONTWAIT);
    if (n == 0) return false;
    if (n < 0) return errno == EAGAIN || errno == EINTR;
    tail_.append(piece.data(), static_cast<std::size_t>(n));
    if (tail_.size() > process::error_tail_bytes) {
      tail_.erase(0, tail_.size() - process::error_tail_bytes);
    }
  }
  return true;
}

void child_deleter::operator()(child* c) const noexcept { c->abandon(); }

}  // namespace detail

std::string exit_status::to_string() const {
  return signal != 0 ? fmt::format("killed by signal {}", signal)
                     : fmt::format("exit status {}", code);
}

namespace {

template <typename Child>
Child& held(Child* c) {
  if (c == nullptr) throw contract_error("a process that was moved from is used");
  return *c;
}

byte_stream& pipe_of(const std::unique_ptr<byte_stream>& s) {
  if (s == nullptr) throw contract_error("a standard stream of a child is no pipe");
  return *s;
}

std::unique_ptr<byte_stream> stream_of(detail::unique_fd& fd,
                                       const char* what,
                                       const std::string& program) {
  if (!fd) return nullptr;
  return detail::socket_stream(std::move(fd), fmt::format("{} of {}", what, program));
}

}  // namespace

namespace {

promise<exit_status> stop_child(process& p, std::chrono::nanoseconds grace) {
  p.kill(SIGTERM);
  promise<exit_status> soon = with_timeout(grace, p.wait());
  std::exception_ptr failure;
  try {
    const exit_status status = co_await soon;
    co_return status;
  } catch (const timed_out&) {
  } catch (...) {
    failure = std::current_exception();
  }
  p.kill(SIGKILL);
  promise<exit_status> end = p.wait();
  const exit_status status = co_await std::move(end);
  if (failure) std::rethrow_exception(failure);
  co_return status;
}

}  // namespace

process::process(std::unique_ptr<detail::child, detail::child_deleter> c) noexcept
    : child_(std::move(c)) {}
process::~process() = default;

pid_t process::pid() const noexcept { return child_ == nullptr ? -1 : child_->pid(); }
byte_stream& process::in() const { return pipe_of(in_); }
byte_stream& process::out() const { return pipe_of(out_); }
byte_stream& process::err() const { return pipe_of(err_); }

std::unique_ptr<byte_stream> process::take_stream() {
  static_cast<void>(pipe_of(in_));
  static_cast<void>(pipe_of(out_));
  return join_streams(std::move(out_), std::move(in_));
}

std::string process::error_tail() const { return held(child_.get()).tail(); }
promise<exit_status> process::wait() { return held(child_.get()).wait(); }
void process::kill(int signal) noexcept {
  if (child_ != nullptr) child_->kill(signal);
}
promise<exit_status> process::stop(std::chrono::nanoseconds grace) {
  static_cast<void>(held(child_.get()));
  return stop_child(*this, grace);
}

promise<process> spawn(command c) {
  const bool has_tail = c.err == stdio::tail;
  const bool own_group = c.own_group;
  const std::string program = c.argv.empty() ? std::string() : c.argv[0];
  promise<detail::started_child> starting = detach(detail::start_child, std::move(c));
  detail::started_child started = co_await std::move(starting);
  process p(std::unique_ptr<detail::child, detail::child_deleter>(
      new detail::child(std::move(started), has_tail, own_group)));
  p.in_ = stream_of(started.in, "stdin", program);
  p.out_ = stream_of(started.out, "stdout", program);
  if (!has_tail) p.err_ = stream_of(started.err, "stderr", program);
  co_return p;
}

}  // namespace fermata
