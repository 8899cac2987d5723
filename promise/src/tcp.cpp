// SPDX-License-Identifier: MIT
// TCP on non-blocking sockets of our own.

#include "descriptor_stream.hpp"
#include "socket_address.hpp"

#include <fermata/promise/detach.hpp>
#include <fermata/promise/io.hpp>
#include <fermata/promise/scope.hpp>
#include <fermata/promise/sleep.hpp>
#include <fermata/promise/tcp.hpp>

#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <cerrno>
#include <optional>
#include <utility>

namespace fermata {
namespace {

using detail::descriptor;
using detail::descriptor_kind;
using detail::socket_address;
using detail::unique_fd;

using accepted = std::unique_ptr<byte_stream>;
using descriptor_ptr = std::shared_ptr<descriptor>;

void set_option(int fd, int level, int name) noexcept {
  const int on = 1;
  ::setsockopt(fd, level, name, &on, sizeof on);
}

unique_fd new_socket(int family) {
  return unique_fd(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

std::unique_ptr<byte_stream> connected(unique_fd fd, const socket_address& peer) {
  return detail::stream_over(
      std::make_shared<descriptor>(std::move(fd), descriptor_kind::tcp, peer.to_string()));
}

// The next connection of the backlog; nothing where there is none.
accepted try_accept(descriptor& listener) {
  while (listener.watch.may_be_ready(io_direction::read)) {
    socket_address peer;
    peer.size = sizeof peer.storage;
    unique_fd fd(::accept4(listener.watch.fd(), reinterpret_cast<sockaddr*>(&peer.storage),
                           &peer.size, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (fd) return connected(std::move(fd), peer);
    const int code = errno;
    if (code == EAGAIN) {
      listener.watch.drained(io_direction::read);
      break;
    }
    // The other codes of accept(2) concern one connection that is gone already.
    const bool is_gone = code == EINTR || code == ECONNABORTED || code == EPROTO ||
                         code == ENETDOWN || code == ENOPROTOOPT || code == EHOSTDOWN ||
                         code == ENONET || code == EHOSTUNREACH || code == ENETUNREACH;
    if (!is_gone) {
      throw uv_error(code, fmt::format("cannot accept a connection on {}", listener.peer));
    }
  }
  return nullptr;
}

promise<accepted> accept_next(descriptor_ptr listener) {
  const detail::direction_guard guard(listener->reads, "two accepts are under way");
  for (;;) {
    co_await readable(listener->watch);
    if (listener->loop_has_ended) throw loop_closed();
    if (!listener->watch.is_open()) throw cancelled();
    accepted next = try_accept(*listener);
    if (next != nullptr) co_return next;
  }
}

// ---- connecting ----

// 0, or why the address does not answer.
promise<int> finish_connect(descriptor_ptr socket, std::chrono::nanoseconds timeout) {
  bool timed_out = false;
  const timer deadline(event_loop::current(), timeout, [&timed_out, &socket] {
    timed_out = true;
    socket->watch.close();
  });
  co_await writable(socket->watch);
  if (timed_out) co_return UV_ETIMEDOUT;
  if (!socket->watch.is_open()) throw loop_closed();
  int code = 0;
  socklen_t size = sizeof code;
  ::getsockopt(socket->watch.fd(), SOL_SOCKET, SO_ERROR, &code, &size);
  co_return -code;
}

struct attempt {
  std::unique_ptr<byte_stream> stream;
  int code = 0;
};

promise<attempt> try_connect(socket_address to, connect_options options) {
  attempt result;
  unique_fd fd = new_socket(to.family());
  if (!fd) {
    result.code = -errno;
    co_return result;
  }
  if (options.no_delay) set_option(fd.get(), IPPROTO_TCP, TCP_NODELAY);
  const bool at_once = ::connect(fd.get(), to.get(), to.size) == 0;
  if (!at_once && errno != EINPROGRESS) {
    result.code = -errno;
    co_return result;
  }
  auto socket = std::make_shared<descriptor>(std::move(fd), descriptor_kind::tcp, to.to_string());
  if (!at_once) {
    promise<int> end = finish_connect(socket, options.timeout);
    result.code = co_await std::move(end);
  }
  if (result.code == 0) result.stream = detail::stream_over(std::move(socket));
  co_return result;
}

// Several addresses: the next is tried when one fails or takes long, and the first that answers
// ends the others.
struct contest {
  explicit contest(std::vector<socket_address> all, connect_options o)
      : addresses(std::move(all)), options(o), codes(addresses.size()) {}

  std::vector<socket_address> addresses;
  connect_options options;
  std::vector<int> codes;
  std::size_t ended = 0;
  std::unique_ptr<byte_stream> winner;
  std::optional<resolver<>> one_more_ended;
};

promise<> contend(contest& c, std::size_t i) {
  promise<attempt> trying = try_connect(c.addresses[i], c.options);
  attempt tried = co_await std::move(trying);
  c.codes[i] = tried.code;
  ++c.ended;
  if (c.winner == nullptr) c.winner = std::move(tried.stream);
  if (c.one_more_ended) c.one_more_ended->resolve();
}

promise<> next_end(contest& c) {
  promise_and_resolver<void> made = make_promise();
  c.one_more_ended = std::move(made.settle);
  return std::move(made.future);
}

promise<> next_end_or_long(contest& c) {
  promise<> end = with_timeout(c.options.next_after, next_end(c));
  try {
    co_await end;
  } catch (const timed_out&) {
    co_return;
  }
}

promise<> compete(scope& s, contest& c) {
  const std::size_t n = c.addresses.size();
  for (std::size_t i = 0; i < n && c.winner == nullptr; ++i) {
    const std::size_t before = c.ended;
    s.fork_daemon([&c, i] { return contend(c, i); });
    if (c.ended == before && i + 1 < n) co_await next_end_or_long(c);
  }
  while (c.winner == nullptr && c.ended < n) co_await next_end(c);
}

// `code` is that of a name which has no address.
promise<accepted> connect_to_one_of(std::string name,
                                    std::vector<socket_address> addresses,
                                    int code,
                                    connect_options options) {
  contest c(std::move(addresses), options);
  if (c.addresses.size() == 1) {
    co_await contend(c, 0);
  } else if (!c.addresses.empty()) {
    const auto body = [&c](scope& s) { return compete(s, c); };
    promise<> over = scope::run(body);
    co_await over;
  }
  if (c.winner != nullptr) co_return std::move(c.winner);
  std::string text = "cannot connect to " + name;
  for (std::size_t i = 0; i < c.addresses.size(); ++i) {
    if (i > 0) text += fmt::format(": {}", uv_strerror(code));
    const std::string address = c.addresses[i].to_string();
    if (address != name) text += fmt::format("{} {}", i > 0 ? ';' : ':', address);
    code = c.codes[i];
  }
  throw uv_error(code, text);
}

promise<detail::resolution> find_addresses(std::string host, std::uint16_t port) {
  if (detail::is_numeric(host)) co_return detail::resolve(host, port);
  promise<detail::resolution> found = detach(detail::resolve, std::move(host), port);
  co_return co_await std::move(found);
}

}  // namespace

// ---- the listener ----

tcp_listener::tcp_listener(std::string_view address, const listen_options& options) {
  const std::string text = fmt::format("cannot listen on {}", address);
  const std::optional<socket_address> at = socket_address::parse(address);
  if (!at) throw error(text + ": the form is ADDR:PORT, as 127.0.0.1:8080 or [::1]:8080");
  unique_fd fd = new_socket(at->family());
  if (!fd) throw errno_error(text);
  set_option(fd.get(), SOL_SOCKET, SO_REUSEADDR);
  if (options.reuse_port) set_option(fd.get(), SOL_SOCKET, SO_REUSEPORT);
  if (options.no_delay) set_option(fd.get(), IPPROTO_TCP, TCP_NODELAY);  // connections inherit it
  if (at->family() == AF_INET6) set_option(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY);
  if (::bind(fd.get(), at->get(), at->size) < 0 || ::listen(fd.get(), options.backlog) < 0) {
    throw errno_error(text);
  }
  const socket_address real = socket_address::of_socket(fd.get());
  address_ = real.to_string();
  port_ = real.port();
  socket_ = std::make_shared<descriptor>(std::move(fd), descriptor_kind::socket, address_);
}

tcp_listener::tcp_listener(fermata::unique_fd listening) {
  const std::string text = "cannot take over a socket";
  int is_listening = 0;
  socklen_t size = sizeof is_listening;
  unique_fd fd(listening.release());
  if (::getsockopt(fd.get(), SOL_SOCKET, SO_ACCEPTCONN, &is_listening, &size) < 0) {
    throw errno_error(text);
  }
  if (is_listening == 0) throw error(text + ": it does not listen");
  const int flags = ::fcntl(fd.get(), F_GETFL);
  if (flags < 0 || ::fcntl(fd.get(), F_SETFL, flags | O_NONBLOCK) < 0) throw errno_error(text);
  const socket_address real = socket_address::of_socket(fd.get());
  address_ = real.to_string();
  port_ = real.port();
  set_option(fd.get(), IPPROTO_TCP, TCP_NODELAY);  // which a socket of another family refuses
  socket_ = std::make_shared<descriptor>(std::move(fd), descriptor_kind::socket, address_);
}

tcp_listener& tcp_listener::operator=(tcp_listener&& other) noexcept {
  if (this != &other) close();
  socket_ = std::move(other.socket_);
  address_ = std::move(other.address_);
  port_ = other.port_;
  return *this;
}

promise<std::unique_ptr<byte_stream>> tcp_listener::accept() {
  if (socket_ == nullptr || !socket_->watch.is_open()) {
    return rejected<accepted>(
        uv_error(UV_EBADF, fmt::format("cannot accept a connection on {}", address_)));
  }
  if (socket_->reads) return rejected<accepted>(contract_error("two accepts are under way"));
  try {
    accepted next = try_accept(*socket_);
    static_cast<void>(due(std::chrono::microseconds(5)));
    if (next != nullptr) return ready(std::move(next));
    return accept_next(socket_);
  } catch (...) {
    return rejected<accepted>(std::current_exception());
  }
}

void tcp_listener::close() noexcept {
  if (socket_ != nullptr) socket_->watch.close();
}

// ---- connections ----

promise<std::unique_ptr<byte_stream>> tcp_connect(std::string host,
                                                  std::uint16_t port,
                                                  connect_options options) {
  const std::string name = detail::host_and_port(host, port);
  promise<detail::resolution> found = find_addresses(std::move(host), port);
  detail::resolution resolved = co_await std::move(found);
  promise<accepted> connecting =
      connect_to_one_of(name, std::move(resolved.addresses), resolved.code, options);
  co_return co_await std::move(connecting);
}

promise<std::unique_ptr<byte_stream>> tcp_connect(std::vector<socket_address> addresses,
                                                  connect_options options) {
  if (addresses.empty()) return rejected<accepted>(contract_error("no address to connect to"));
  std::string name = addresses.front().to_string();
  return connect_to_one_of(std::move(name), std::move(addresses), 0, options);
}

}  // namespace fermata
