// SPDX-License-Identifier: MIT
/// Which route a method and a path lead to.
///
/// Shape:  an exact path wins over every prefix, a longer prefix over a shorter one. The methods
///         under one path are apart: a path that is known with other methods gives 405.
///         HEAD goes where GET goes unless it has a route of its own.
/// Pauses: never.
/// Thread: the owner's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fermata::http {

struct route_match {
  enum class outcome : std::uint8_t {
    found,           ///< `route` says where to
    not_found,       ///< 404
    wrong_method,    ///< 405, with `allow`
    options_request  ///< OPTIONS without a route of its own: 204 with `allow`
  };
  outcome result = outcome::not_found;
  std::size_t route = 0;
  std::string_view allow;  ///< `GET, HEAD, OPTIONS`; lives as long as the table is not changed
};

class route_table {
public:
  /// Shape: `path` begins with a slash and is matched as it is; `route` is the caller's number.
  /// Throws: `contract_error` for a malformed method or path, and for a route that exists.
  void add(std::string_view method, std::string_view path, std::size_t route);
  /// The same for every path that begins with `prefix`, which ends with a slash.
  void add_prefix(std::string_view method, std::string_view prefix, std::size_t route);

  [[nodiscard]] route_match find(std::string_view method, std::string_view path) const;

private:
  struct entry {
    std::vector<std::pair<std::string, std::size_t>> methods;
    std::string allow;
  };
  using paths = std::map<std::string, entry, std::less<>>;

  void insert(paths& where, std::string_view method, std::string_view path, std::size_t route);
  [[nodiscard]] const entry* find_entry(std::string_view path) const;

  paths exact_;
  paths prefixes_;
  entry server_;  // what `OPTIONS *` answers
};

}  // namespace fermata::http
