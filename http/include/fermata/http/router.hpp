// SPDX-License-Identifier: MIT
/// Leads requests to handlers by method and path.
///
/// Shape:  an unknown path is 404, another method 405 with Allow; HEAD is GET; OPTIONS has Allow.
/// Pauses: as the handlers do.
/// Thread: loop.
#pragma once

#include <fermata/http/response.hpp>
#include <fermata/http/route_table.hpp>
#include <fermata/promise/promise.hpp>

#include <functional>
#include <string_view>
#include <vector>

namespace fermata::http {

/// Answers one request. A rejection or an exception becomes a 500 and a line in the log.
/// Lifetime: the request lives until the response has been sent, its stream included.
using handler = std::function<promise<response>(const request&)>;

class router {
public:
  /// Throws: `contract_error` for a malformed method or path, and for a route that exists.
  router& on(std::string_view method, std::string_view path, handler h);
  /// For every path that begins with `prefix`, which ends with a slash.
  router& on_prefix(std::string_view method, std::string_view prefix, handler h);

  /// A router is a handler itself.
  /// Lifetime: the router outlives the promise.
  promise<response> operator()(const request& r) const;

private:
  route_table table_;
  std::vector<handler> handlers_;
};

}  // namespace fermata::http
