// SPDX-License-Identifier: MIT
// What is probed, by name and by address.
#pragma once

#include <sys/socket.h>

#include <string>

namespace fermata::http {

struct probe_target {
  std::string host;  // without brackets
  std::string port = "80";
  std::string authority;  // as it stood in the URL
  std::string path = "/";

  /// Throws: `error` for what is no http URL.
  static probe_target parse(const std::string& url);
};

struct probe_address {
  sockaddr_storage bytes{};
  socklen_t size = 0;
};

/// The first address of the host. Throws: `error`, where it has none.
probe_address resolve(const probe_target& target);

}  // namespace fermata::http
