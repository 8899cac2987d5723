// SPDX-License-Identifier: MIT
// Resolving, as it runs on a worker.
#pragma once

#include <fermata/promise/socket_address.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace fermata::detail {

using fermata::socket_address;

// `host:port`, with brackets where the host is an IPv6 address.
[[nodiscard]] std::string host_and_port(std::string_view host, std::uint16_t port);

// libuv's number for a code of getaddrinfo; EAI_SYSTEM gives that of errno.
[[nodiscard]] int uv_code_of(int code) noexcept;

struct resolution {
  int code = 0;  // of libuv
  std::vector<socket_address> addresses;
};

// Whether `host` is an address already, which needs no thread to resolve.
[[nodiscard]] bool is_numeric(const std::string& host);

// getaddrinfo. Thread: any. Blocks unless the host is numeric.
[[nodiscard]] resolution resolve(const std::string& host, std::uint16_t port);

}  // namespace fermata::detail
