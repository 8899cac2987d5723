// SPDX-License-Identifier: MIT
// Addresses of sockets: read, written, resolved.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fermata::detail {

struct socket_address {
  sockaddr_storage storage{};
  socklen_t size = 0;

  [[nodiscard]] const sockaddr* get() const noexcept {
    return reinterpret_cast<const sockaddr*>(&storage);
  }
  [[nodiscard]] int family() const noexcept { return storage.ss_family; }
  [[nodiscard]] std::uint16_t port() const noexcept;
  // `127.0.0.1:80`, `[::1]:80`.
  [[nodiscard]] std::string to_string() const;

  // Reads `ADDR:PORT` with a numeric address or `localhost`.
  [[nodiscard]] static std::optional<socket_address> parse(std::string_view text);
  // The address that `fd` is bound to.
  [[nodiscard]] static socket_address of_socket(int fd);
};

// `host:port`, with brackets where the host is an IPv6 address.
[[nodiscard]] std::string host_and_port(std::string_view host, std::uint16_t port);

struct resolution {
  int code = 0;  // of libuv
  std::vector<socket_address> addresses;
};

// Whether `host` is an address already, which needs no thread to resolve.
[[nodiscard]] bool is_numeric(const std::string& host);

// getaddrinfo. Thread: any. Blocks unless the host is numeric.
[[nodiscard]] resolution resolve(const std::string& host, std::uint16_t port);

}  // namespace fermata::detail
