// SPDX-License-Identifier: MIT
// What the load generators share: blocking connections to 127.0.0.1, and quantiles.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

namespace load {

using clock = std::chrono::steady_clock;

[[noreturn]] inline void fail(const char* what) {
  std::perror(what);
  std::exit(1);
}

inline int connect_to(int port) {
  const int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(s, reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0) fail("connect");
  const int on = 1;
  setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return s;
}

inline void send_all(int socket, const void* bytes, std::size_t n) {
  if (send(socket, bytes, n, MSG_NOSIGNAL) != static_cast<ssize_t>(n)) fail("send");
}

/// Watches a socket; `owner` comes back with its events.
inline void watch(int epoll, int socket, void* owner) {
  epoll_event wanted{};
  wanted.events = EPOLLIN;
  wanted.data.ptr = owner;
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, socket, &wanted) < 0) fail("epoll_ctl");
}

inline clock::duration seconds(double s) {
  return std::chrono::duration_cast<clock::duration>(std::chrono::duration<double>(s));
}

inline float us_since(clock::time_point t) {
  return std::chrono::duration<float, std::micro>(clock::now() - t).count();
}

/// Prints `<name>p50 us`, `<name>p99 us` and `<name>max us`.
inline void print_quantiles(const char* name, std::vector<float>& us) {
  if (us.empty()) fail("no answer");
  std::sort(us.begin(), us.end());
  std::printf("%sp50 us %.1f\n", name, static_cast<double>(us[us.size() / 2]));
  std::printf("%sp99 us %.1f\n", name, static_cast<double>(us[us.size() * 99 / 100]));
  std::printf("%smax us %.1f\n", name, static_cast<double>(us.back()));
}

}  // namespace load
