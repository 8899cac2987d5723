// SPDX-License-Identifier: MIT
// An open loop on epoll and a timerfd, apart from the library whose loop it measures.
//
// Request i is due at start + i * interval, whatever became of the ones before. It goes out on a
// free connection, else on a new one; where the most are busy it waits, and its latency counts from
// when it was due. So a server that stalls for 100 ms shows 100 late answers, not one.

#include "probe_run.hpp"

#include "probe_answer.hpp"

#include <fermata/loop/error.hpp>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <deque>
#include <string_view>
#include <utility>
#include <vector>

namespace fermata::http {
namespace {

using clock = std::chrono::steady_clock;  // CLOCK_MONOTONIC, as the timerfd
using instant = clock::time_point;
using namespace std::chrono_literals;

constexpr auto drain_time = 1s;  // what answers get that are under way at the end

class descriptor {
public:
  descriptor() = default;
  explicit descriptor(int fd) : fd_(fd) {}
  descriptor(descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  descriptor& operator=(descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~descriptor() { reset(); }
  void reset() noexcept {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }
  [[nodiscard]] int get() const noexcept { return fd_; }

private:
  int fd_ = -1;
};

descriptor checked(int fd, std::string_view what) {
  if (fd < 0) throw errno_error(what);
  return descriptor(fd);
}

struct connection {
  enum class state { closed, connecting, idle, busy };
  descriptor socket;
  answer_reader reader;
  instant due;
  state now = state::closed;
  bool reused = false;
};

class prober {
public:
  prober(const probe_target& target, const probe_options& options);
  probe_report run();

private:
  enum tag : std::uint64_t { timer_tag = 1U << 20, signal_tag, stdin_tag };

  void watch(int fd, std::uint32_t events, std::uint64_t what, int how = EPOLL_CTL_ADD);
  void watch_stdin();
  void handle(const epoll_event& e);
  void on_timer();
  void on_stdin();
  void on_connection(std::size_t index);
  void stop(instant now);
  bool send_on_free_connection(instant due);
  void connect(std::size_t index, instant due);
  void send(std::size_t index);
  void on_answer(std::size_t index);
  void fail(std::size_t index);
  void send_waiting();
  void close(std::size_t index);
  void note_gap(instant now);
  void finish(instant now);
  [[nodiscard]] bool is_over(instant now) const;
  [[nodiscard]] std::size_t under_way() const { return busy_ + waiting_.size(); }

  probe_options options_;
  probe_address address_;
  std::string request_;
  descriptor epoll_;
  descriptor timer_;
  descriptor signals_;
  std::vector<connection> connections_;
  std::vector<std::size_t> idle_;
  std::deque<instant> waiting_;  // due, and no connection was free
  std::size_t busy_ = 0;
  std::size_t open_ = 0;
  instant start_;
  instant last_good_;
  instant stopped_at_ = instant::max();
  probe_report report_;
};

prober::prober(const probe_target& target, const probe_options& options)
    : options_(options), address_(resolve(target)) {
  request_ = "GET " + target.path + " HTTP/1.1\r\nHost: " + target.authority +
             "\r\nUser-Agent: fermata-probe\r\nAccept: */*\r\n";
  if (!options.if_none_match.empty()) {
    request_ += "If-None-Match: " + options.if_none_match + "\r\n";
  }
  request_ += "\r\n";
  epoll_ = checked(epoll_create1(EPOLL_CLOEXEC), "cannot create an epoll descriptor");
  timer_ =
      checked(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC), "cannot create a timer");
  sigset_t mask;
  sigemptyset(&mask);
  sigaddset(&mask, SIGTERM);
  sigaddset(&mask, SIGINT);
  sigprocmask(SIG_BLOCK, &mask, nullptr);
  signals_ = checked(signalfd(-1, &mask, SFD_NONBLOCK | SFD_CLOEXEC), "cannot watch for signals");
  watch(timer_.get(), EPOLLIN, timer_tag);
  watch(signals_.get(), EPOLLIN, signal_tag);
  watch_stdin();
  connections_.resize(options.most_connections);
}

void prober::watch(int fd, std::uint32_t events, std::uint64_t what, int how) {
  epoll_event e{};
  e.events = events;
  e.data.u64 = what;
  if (epoll_ctl(epoll_.get(), how, fd, &e) != 0) throw errno_error("cannot watch a descriptor");
}

// Only a pipe can tell us to stop by ending: /dev/null and terminals say nothing.
void prober::watch_stdin() {
  struct stat s {};
  if (fstat(STDIN_FILENO, &s) != 0 || !(S_ISFIFO(s.st_mode) || S_ISSOCK(s.st_mode))) return;
  watch(STDIN_FILENO, EPOLLIN, stdin_tag);
}

probe_report prober::run() {
  start_ = last_good_ = clock::now();
  const auto since_boot = start_.time_since_epoch();
  const auto s = std::chrono::duration_cast<std::chrono::seconds>(since_boot);
  const auto every = std::chrono::nanoseconds(options_.interval);
  itimerspec spec{};
  spec.it_value.tv_sec = s.count();
  spec.it_value.tv_nsec = static_cast<long>((since_boot - s).count());
  spec.it_interval.tv_sec = every.count() / 1'000'000'000;
  spec.it_interval.tv_nsec = every.count() % 1'000'000'000;
  if (timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &spec, nullptr) != 0)
    throw errno_error("cannot start a timer");
  std::array<epoll_event, 64> events{};
  while (!is_over(clock::now())) {
    const int timeout_ms = stopped_at_ == instant::max() ? -1 : 10;
    const int n =
        epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), timeout_ms);
    for (int i = 0; i < n; ++i) handle(events[static_cast<std::size_t>(i)]);
  }
  finish(clock::now());
  return std::move(report_);
}

void prober::handle(const epoll_event& e) {
  switch (e.data.u64) {
    case timer_tag:
      return on_timer();
    case signal_tag:
      return stop(clock::now());
    case stdin_tag:
      return on_stdin();
    default:
      return on_connection(e.data.u64);
  }
}

bool prober::is_over(instant now) const {
  return stopped_at_ != instant::max() && (under_way() == 0 || now > stopped_at_ + drain_time);
}

void prober::stop(instant now) {
  if (stopped_at_ != instant::max()) return;
  stopped_at_ = now;
  timer_.reset();  // closing takes it out of the epoll set
  signals_.reset();
}

void prober::on_stdin() {
  std::array<char, 256> ignored;
  if (::read(STDIN_FILENO, ignored.data(), ignored.size()) > 0) return;
  epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, STDIN_FILENO, nullptr);
  stop(clock::now());
}

void prober::on_timer() {
  std::uint64_t times = 0;
  if (::read(timer_.get(), &times, sizeof times) != sizeof times) return;
  for (; times > 0; --times) {
    const instant due = start_ + options_.interval * static_cast<std::int64_t>(report_.requests);
    if (options_.duration > 0ms && due >= start_ + options_.duration) return stop(clock::now());
    ++report_.requests;
    const instant now = clock::now();
    if (!waiting_.empty() || !send_on_free_connection(due))
      waiting_.push_back(due);
    else
      report_.late_send.add(now - due);
  }
}

bool prober::send_on_free_connection(instant due) {
  if (idle_.empty()) {
    if (open_ == connections_.size()) return false;
    const auto closed =
        std::find_if(connections_.begin(), connections_.end(),
                     [](const connection& c) { return c.now == connection::state::closed; });
    connect(static_cast<std::size_t>(closed - connections_.begin()), due);
    return true;
  }
  const std::size_t index = idle_.back();
  idle_.pop_back();
  connections_[index].due = due;
  connections_[index].reused = true;
  ++busy_;
  send(index);
  return true;
}

void prober::connect(std::size_t index, instant due) {
  connection& c = connections_[index];
  c.socket =
      checked(::socket(address_.bytes.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0),
              "cannot open a socket");
  const int on = 1;
  setsockopt(c.socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  c.due = due;
  c.reused = false;
  c.now = connection::state::connecting;
  ++busy_;
  ++open_;
  report_.connections = std::max(report_.connections, open_);
  const auto* to = reinterpret_cast<const sockaddr*>(&address_.bytes);
  if (::connect(c.socket.get(), to, address_.size) != 0 && errno != EINPROGRESS) return fail(index);
  watch(c.socket.get(), EPOLLOUT, index);
}

void prober::send(std::size_t index) {
  connection& c = connections_[index];
  c.now = connection::state::busy;
  c.reader.begin();
  const ssize_t n = ::send(c.socket.get(), request_.data(), request_.size(), MSG_NOSIGNAL);
  if (n != static_cast<ssize_t>(request_.size())) fail(index);
}

void prober::on_connection(std::size_t index) {
  connection& c = connections_[index];
  if (c.now == connection::state::closed) return;  // closed by an event before, of the same wait
  if (c.now == connection::state::connecting) {
    int code = 0;
    socklen_t size = sizeof code;
    getsockopt(c.socket.get(), SOL_SOCKET, SO_ERROR, &code, &size);
    if (code != 0) return fail(index);
    watch(c.socket.get(), EPOLLIN, index, EPOLL_CTL_MOD);
    return send(index);
  }
  std::array<char, 16384> bytes;
  const ssize_t n = ::recv(c.socket.get(), bytes.data(), bytes.size(), 0);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (c.now == connection::state::idle) return close(index);  // the end, or what nobody asked for
  if (n == 0 && c.reader.ends_with_connection()) return on_answer(index);
  if (n <= 0) return fail(index);
  switch (c.reader.take({bytes.data(), static_cast<std::size_t>(n)})) {
    case answer_reader::progress::more:
      return;
    case answer_reader::progress::broken:
      return fail(index);
    case answer_reader::progress::whole:
      return on_answer(index);
  }
}

void prober::on_answer(std::size_t index) {
  connection& c = connections_[index];
  const instant now = clock::now();
  report_.latency.add(now - c.due);
  const int status = c.reader.status();
  const bool is_good = status == 200 || (status == 304 && !options_.if_none_match.empty());
  report_.timeline.add(c.due - start_, now - c.due, !is_good);
  ++report_.answers;
  if (is_good)
    note_gap(now);
  else
    ++report_.non_200;
  --busy_;
  c.now = connection::state::idle;
  idle_.push_back(index);
  if (!c.reader.keep_alive()) close(index);
  send_waiting();
}

// A server may end a connection that was idle for long in the moment we use it: try once more.
void prober::fail(std::size_t index) {
  connection& c = connections_[index];
  const bool again = c.reused && !c.reader.has_begun();
  if (again)
    waiting_.push_front(c.due);
  else {
    ++report_.errors;
    const instant now = clock::now();
    report_.timeline.add(c.due - start_, now - c.due, true);
  }
  close(index);
  if (again) send_waiting();
}

void prober::close(std::size_t index) {
  connection& c = connections_[index];
  if (c.now == connection::state::idle)
    idle_.erase(std::remove(idle_.begin(), idle_.end(), index), idle_.end());
  else
    --busy_;
  --open_;
  c.now = connection::state::closed;
  c.socket.reset();
}

void prober::send_waiting() {
  while (!waiting_.empty()) {
    const instant due = waiting_.front();
    if (idle_.empty() && open_ == connections_.size()) return;
    waiting_.pop_front();
    send_on_free_connection(due);
  }
}

void prober::note_gap(instant now) {
  report_.longest_outage =
      std::max(report_.longest_outage, std::chrono::nanoseconds(now - last_good_));
  last_good_ = now;
}

void prober::finish(instant now) {
  note_gap(under_way() == 0 ? std::max(last_good_, stopped_at_) : now);
  report_.duration = stopped_at_ - start_;
  report_.unanswered = under_way();
  const auto give_up = [&](instant due) {
    report_.latency.add(now - due);
    report_.timeline.add(due - start_, now - due, true);
  };
  for (const instant due : waiting_) give_up(due);
  for (const connection& c : connections_)
    if (c.now == connection::state::busy || c.now == connection::state::connecting) give_up(c.due);
}

}  // namespace

probe_report run_probe(const probe_target& target, const probe_options& options) {
  return prober(target, options).run();
}

}  // namespace fermata::http
