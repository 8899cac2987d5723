// SPDX-License-Identifier: MIT
// What a client of `upload_pack` asks for, line by line, without any I/O.

#pragma once

#include <fermata/git_mem/failure.hpp>
#include <fermata/git_mem/reachability.hpp>
#include <fermata/git_mem/upload_pack.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fermata::git_mem::detail {

// Protocol 0: how haves are acknowledged.
enum class ack_mode : std::uint8_t { first, multi, detailed };
// Protocol 0: what a packet of the pack holds.
enum class band_mode : std::uint8_t { none, small, large };

struct upload_request {
  std::vector<object_id> wants;
  std::vector<object_id> haves;
  std::vector<object_id> shallow;
  std::uint32_t depth = 0;  // as deep as one likes: git's 0x7fffffff
  bool relative_depth = false;
  std::optional<std::int64_t> since;
  std::vector<std::string> without;  // "deepen-not"
  object_filter filter;
  bool is_filtered = false;
  bool thin_pack = false;
  bool ofs_delta = false;
  bool progress = true;
  bool include_tag = false;
  bool done = false;
  bool wait_for_done = false;
  bool no_done = false;
  ack_mode acks = ack_mode::first;
  band_mode bands = band_mode::none;

  [[nodiscard]] bool deepens() const noexcept {
    return depth > 0 || since.has_value() || !without.empty();
  }
};

struct ls_refs_request_lines {
  bool peel = false;
  bool symrefs = false;
  bool unborn = false;
  std::vector<std::string> prefixes;

  // Throws: `failure`.
  void read(std::string_view line, const upload_limits& limits);
};

// One argument of protocol 2's fetch. Throws: `failure` for what is no argument, or too many.
void read_fetch_argument(upload_request& r, std::string_view line, const upload_limits& limits);

// One line of protocol 0's request; the first want brings the capabilities.
void read_want_line(upload_request& r, std::string_view line, const upload_limits& limits);

}  // namespace fermata::git_mem::detail
