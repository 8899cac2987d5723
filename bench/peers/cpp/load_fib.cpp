// SPDX-License-Identifier: MIT
// usage: load_fib PORT [NUMBER [SECONDS]]
//
// Asks a Fibonacci server on 127.0.0.1 by eight connections, each for the same number again and
// again, while another asks every 2 ms what the server answers without a worker (a line that is no
// number): how long that takes is the latency of its loop. Prints `rate 1/s`, and `loop_p50 us`,
// `loop_p99 us`, `loop_max us`.

#include "load.hpp"

#include <array>
#include <cstring>
#include <string>

namespace {

constexpr int askers = 8;

struct connection {
  int socket = -1;
  std::string question;
  load::clock::time_point sent;
  bool is_answered = true;

  void ask() {
    is_answered = false;
    sent = load::clock::now();
    load::send_all(socket, question.data(), question.size());
  }
  // Answers are short lines, which come whole.
  void read_answer() {
    char buffer[128];
    const ssize_t n = recv(socket, buffer, sizeof buffer, 0);
    if (n <= 0 || buffer[n - 1] != '\n') load::fail("recv");
    is_answered = true;
  }
};

struct measured {
  std::size_t answers = 0;
  std::vector<float> loop_us;
};

measured converse(int epoll,
                  std::array<connection, askers + 1>& connections,
                  load::clock::time_point end) {
  measured m;
  connection& probe = connections.back();
  epoll_event events[16];
  while (load::clock::now() < end) {
    if (probe.is_answered && load::us_since(probe.sent) >= 2000) probe.ask();
    const int n = epoll_wait(epoll, events, 16, 1);
    for (int i = 0; i < n; ++i) {
      connection& c = *static_cast<connection*>(events[i].data.ptr);
      c.read_answer();
      if (&c == &probe) {
        m.loop_us.push_back(load::us_since(c.sent));
      } else {
        ++m.answers;
        c.ask();
      }
    }
  }
  return m;
}

}  // namespace

int main(int argc, char** argv) {
  const int port = argc > 1 ? std::atoi(argv[1]) : 0;
  const std::string number = argc > 2 ? argv[2] : "30";
  const double seconds = argc > 3 ? std::atof(argv[3]) : 3;
  if (port <= 0 || seconds <= 0) {
    std::fputs("usage: load_fib PORT [NUMBER [SECONDS]]\n", stderr);
    return 2;
  }
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  std::array<connection, askers + 1> connections;
  for (connection& c : connections) {
    c.question = number + "\n";
    c.socket = load::connect_to(port);
    load::watch(epoll, c.socket, &c);
  }
  connections.back().question = "x\n";
  for (connection& c : connections) c.ask();
  converse(epoll, connections, load::clock::now() + load::seconds(seconds / 6));  // to warm up
  measured m = converse(epoll, connections, load::clock::now() + load::seconds(seconds));
  std::printf("rate 1/s %.2f\n", static_cast<double>(m.answers) / seconds);
  load::print_quantiles("loop_", m.loop_us);
}
