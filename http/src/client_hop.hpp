// SPDX-License-Identifier: MIT
// One request on its way to the thread of libcurl, and the head that comes back.
#pragma once

#include <fermata/http/client.hpp>
#include <fermata/loop/time_source.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace fermata::http::detail {

struct hop {
  std::uint64_t id = 0;
  std::string method;
  std::string url;     // without credentials
  std::string origin;  // what transfers are counted by
  std::vector<std::string> fields;
  shared_bytes body;
  bool is_streamed = false;  // the body comes by `feed`
  std::optional<std::uint64_t> stream_bytes;
  std::optional<client_credentials> credentials;
  transfer_options options;         // no hook: that stays at home
  std::optional<time_point> began;  // of the first hop, by the clock of the thread
};

struct hop_head {
  int status = 0;
  header_fields headers;
  time_point began;
};

}  // namespace fermata::http::detail
