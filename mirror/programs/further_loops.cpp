// SPDX-License-Identifier: MIT
#include "further_loops.hpp"

#include <fermata/loop/error.hpp>

#include <fcntl.h>

#include <utility>

namespace fermata::mirror {
namespace {

// The whole life of a replica, on its loop: until it is cancelled.
promise<> live(service_link link,
               std::vector<std::string> addresses,
               std::vector<unique_fd> sockets,
               std::chrono::nanoseconds drain_time) {
  service_replica replica(link);
  listen_options shared;
  shared.reuse_port = true;
  for (const std::string& address : addresses) replica.serve(tcp_listener(address, shared));
  for (unique_fd& socket : sockets) replica.serve(tcp_listener(std::move(socket)));
  promise<> working = replica.run();
  try {
    co_await working;
  } catch (const cancelled&) {
  }
  promise<> closed = replica.shutdown(drain_time);
  co_await closed;
}

unique_fd copy_of(int socket) {
  unique_fd copy(::fcntl(socket, F_DUPFD_CLOEXEC, 0));
  if (!copy) throw errno_error("cannot copy a socket");
  return copy;
}

}  // namespace

further_loops::further_loops(std::size_t count, const policy& when, const log_sink& log) {
  for (std::size_t i = 0; i < count; ++i) {
    loop_options options;
    options.when = when;
    options.log = log;
    threads_.push_back(std::make_unique<loop_thread>(std::move(options)));
  }
}

void further_loops::serve(const service& s,
                          const std::vector<std::string>& addresses,
                          const std::vector<int>& sockets,
                          std::chrono::nanoseconds drain_time) {
  for (const auto& thread : threads_) {
    std::vector<unique_fd> copies;
    for (const int socket : sockets) copies.push_back(copy_of(socket));
    serving_.push_back(thread->submit(
        [link = s.link(), addresses, taken = std::move(copies), drain_time]() mutable {
          return live(link, addresses, std::move(taken), drain_time);
        }));
  }
}

promise<> further_loops::shutdown() {
  for (const promise<>& p : serving_) cancel(p);
  for (const promise<>& p : serving_) {
    try {
      co_await p;
    } catch (const cancelled&) {
    }
  }
}

}  // namespace fermata::mirror
