// SPDX-License-Identifier: MIT
/// The address of a socket: IPv4, IPv6 or local (unix).
///
/// Shape:  a value; names are resolved by dns.hpp, never here.
/// Thread: any.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace fermata {

struct socket_address {
  sockaddr_storage storage{};
  socklen_t size = 0;

  [[nodiscard]] const sockaddr* get() const noexcept {
    return reinterpret_cast<const sockaddr*>(&storage);
  }
  /// AF_INET, AF_INET6, AF_UNIX; AF_UNSPEC of none.
  [[nodiscard]] int family() const noexcept { return storage.ss_family; }
  /// 0 where the family has none.
  [[nodiscard]] std::uint16_t port() const noexcept;
  /// `127.0.0.1:80`, `[::1]:80`, `/run/x.sock`, `@abstract`, `unnamed`, `unknown`.
  [[nodiscard]] std::string to_string() const;
  /// The same bytes in the same family.
  [[nodiscard]] bool operator==(const socket_address& other) const noexcept;

  /// Reads `ADDR:PORT` with a numeric address or `localhost`, which is 127.0.0.1.
  [[nodiscard]] static std::optional<socket_address> parse(std::string_view text);
  /// A path of a file, or `@name` in the abstract namespace, which has no file.
  /// Throws: `error` where it is empty or longer than a socket's address may be
  ///         (`cannot use /x...: name too long (uv ENAMETOOLONG)`).
  [[nodiscard]] static socket_address local(std::string_view path);
  /// The address that `fd` is bound to. Throws: `error`.
  [[nodiscard]] static socket_address of_socket(int fd);
};

}  // namespace fermata
