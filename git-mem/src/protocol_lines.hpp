// SPDX-License-Identifier: MIT
// What the protocol's readers share.

#pragma once

#include <fermata/git_mem/failure.hpp>
#include <fermata/git_mem/object_id.hpp>
#include <fermata/git_mem/pkt_line.hpp>

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fermata::git_mem::detail {

[[noreturn]] inline void bad_line(std::string_view line) {
  throw failure(reason::protocol, "unexpected line \"" + printable(line, 120) + "\"");
}

// The other side may refuse in any packet.
inline void check_error(const pkt& p) {
  if (p.kind != pkt_kind::data || !p.payload.starts_with("ERR ")) return;
  throw failure(reason::remote, "the server says: " + printable(p.line().substr(4)));
}

[[nodiscard]] inline object_id read_id(std::string_view hex, std::string_view line) {
  const std::optional<object_id> id = object_id::from_hex(hex);
  if (!id) bad_line(line);
  return *id;
}

// Whether a ref's name begins as one of these.
[[nodiscard]] inline bool has_prefix(std::string_view name,
                                     const std::vector<std::string>& prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [&](const std::string& prefix) { return name.starts_with(prefix); });
}

}  // namespace fermata::git_mem::detail
