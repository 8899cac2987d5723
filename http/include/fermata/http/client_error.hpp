// SPDX-License-Identifier: MIT
/// Why a request of the client failed.
///
/// Shape:  `cannot get https://example.org/x: connection refused (curl 7)`, without credentials.
/// Thread: any.
#pragma once

#include <fermata/loop/error.hpp>

#include <cstdint>
#include <string_view>

namespace fermata::http {

enum class client_failure : std::uint8_t {
  url,        ///< malformed, or of a scheme that is not allowed
  resolve,    ///< the host's or the proxy's name
  connect,    ///< refused, unreachable, or the proxy would not
  tls,        ///< handshake, certificate, the CA file
  timeout,    ///< see `which`
  too_large,  ///< the head or the body
  broken,     ///< the connection ended too early: a resume may help
  protocol,   ///< what came is no HTTP, no gzip, or not what was asked for
  redirect,   ///< too many, refused, or none that can be followed
};

enum class client_time : std::uint8_t { none, connect, first_byte, rate, total };

class client_error : public error {
public:
  client_error(client_failure kind, std::string_view text, client_time which = client_time::none)
      : error(text), kind_(kind), which_(which) {}
  [[nodiscard]] client_failure kind() const noexcept { return kind_; }
  /// The limit that a `timeout` has met.
  [[nodiscard]] client_time which() const noexcept { return which_; }

private:
  client_failure kind_;
  client_time which_;
};

}  // namespace fermata::http
