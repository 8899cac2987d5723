// SPDX-License-Identifier: MIT
// URLs of the client: taken apart by libcurl, so that what is checked is what is asked.
#pragma once

#include <string>
#include <string_view>

namespace fermata::http::detail {

struct client_url {
  std::string text;    // without credentials and fragment: sent, shown, resolved against
  std::string scheme;  // lower case
  std::string origin;  // scheme, host and port
  std::string user;    // decoded
  std::string password;
};

/// Throws: `client_error` (`url`), without what may be a password.
[[nodiscard]] client_url read_url(const std::string& text);

/// What a Location field means at `base`. Throws: `client_error` (`redirect`).
[[nodiscard]] client_url resolve_url(const client_url& base, const std::string& location);

}  // namespace fermata::http::detail
