// SPDX-License-Identifier: MIT
// The server as its users see it.

#include "server_core.hpp"

#include <fermata/http/server.hpp>
#include <fermata/promise/context.hpp>
#include <fermata/promise/tcp.hpp>

#include <utility>

namespace fermata::http {

server::server(handler h, server_options options)
    : core_(std::make_shared<detail::server_core>(std::move(h), std::move(options))) {}

server::server(server&&) noexcept = default;

server& server::operator=(server&& other) noexcept {
  server taken(std::move(other));
  std::swap(core_, taken.core_);
  return *this;
}

server::~server() {
  if (core_ == nullptr) return;
  core_->stop_accepting();
  core_->cancel_connections();
}

promise<> server::serve(std::unique_ptr<byte_stream> stream) {
  return detail::server_core::begin(core_, std::move(stream));
}

std::string server::listen(std::string_view address) {
  auto listener = std::make_shared<tcp_listener>(address);  // std::function must be copyable
  accept_from([listener] { return listener->accept(); });
  return listener->address();
}

void server::accept_from(std::function<promise<std::unique_ptr<byte_stream>>()> accept) {
  const auto start = [core = core_, accept] {
    return detail::server_core::accept_all(core, accept);
  };
  core_->accepting.push_back(in_class(latency_class::prompt, start));
}

promise<> server::shutdown(std::chrono::nanoseconds patience) {
  return detail::server_core::end(core_, patience);
}

const server_counters& server::counters() const noexcept { return core_->counters; }

}  // namespace fermata::http
