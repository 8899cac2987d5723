// SPDX-License-Identifier: MIT
// usage: load_echo PORT [CONNECTIONS [SECONDS]]
//
// Asks a TCP echo server on 127.0.0.1: each connection sends 64 bytes, waits for them and sends the
// next. Prints `rate 1/s`, and `p50 us`, `p99 us`, `max us` of the answers; one thread, epoll.

#include "load.hpp"

#include <cstring>

namespace {

constexpr std::size_t message_bytes = 64;

struct connection {
  int socket = -1;
  std::size_t received = 0;
  load::clock::time_point sent;
  char buffer[message_bytes];

  void ask() {
    std::memset(buffer, 'q', sizeof buffer);
    received = 0;
    sent = load::clock::now();
    load::send_all(socket, buffer, sizeof buffer);
  }
  // Whether the whole answer is here.
  bool read_answer() {
    const ssize_t n = recv(socket, buffer + received, sizeof buffer - received, 0);
    if (n <= 0) load::fail("recv");
    received += static_cast<std::size_t>(n);
    if (received < message_bytes) return false;
    for (const char byte : buffer) {
      if (byte != 'q') load::fail("another answer than the question");
    }
    return true;
  }
};

// Asks and is answered until `end`; the latencies in us where `log` is given.
void converse(int epoll, load::clock::time_point end, std::vector<float>* log) {
  epoll_event events[64];
  while (load::clock::now() < end) {
    const int n = epoll_wait(epoll, events, 64, 1000);
    for (int i = 0; i < n; ++i) {
      connection& c = *static_cast<connection*>(events[i].data.ptr);
      if (!c.read_answer()) continue;
      if (log != nullptr) log->push_back(load::us_since(c.sent));
      c.ask();
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  const int port = argc > 1 ? std::atoi(argv[1]) : 0;
  const int count = argc > 2 ? std::atoi(argv[2]) : 50;
  const double seconds = argc > 3 ? std::atof(argv[3]) : 3;
  if (port <= 0 || count <= 0 || seconds <= 0) {
    std::fputs("usage: load_echo PORT [CONNECTIONS [SECONDS]]\n", stderr);
    return 2;
  }
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  std::vector<connection> connections(static_cast<std::size_t>(count));
  for (connection& c : connections) {
    c.socket = load::connect_to(port);
    load::watch(epoll, c.socket, &c);
  }
  for (connection& c : connections) c.ask();
  converse(epoll, load::clock::now() + load::seconds(seconds / 6), nullptr);  // to warm up
  std::vector<float> us;
  us.reserve(4'000'000);
  const load::clock::time_point begun = load::clock::now();
  converse(epoll, begun + load::seconds(seconds), &us);
  const double took = static_cast<double>(load::us_since(begun)) / 1e6;
  std::printf("rate 1/s %.0f\n", static_cast<double>(us.size()) / took);
  load::print_quantiles("", us);
}
