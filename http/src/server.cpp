// SPDX-License-Identifier: MIT
// The server as its users see it.

#include "server_core.hpp"

#include <fermata/http/server.hpp>

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

promise<> server::shutdown(std::chrono::nanoseconds patience) {
  return detail::server_core::end(core_, patience);
}

const server_counters& server::counters() const noexcept { return core_->counters; }

}  // namespace fermata::http
