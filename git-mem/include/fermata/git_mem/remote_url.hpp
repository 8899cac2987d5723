// SPDX-License-Identifier: MIT
/// Where a repository is: git://host[:port]/path, file:///path or a plain path, and a #branch.
///
/// Pauses: never.
/// Thread: any; a value.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace fermata::git_mem {

struct remote_url {
  enum class transport : std::uint8_t { git, local };

  static constexpr std::uint16_t default_port = 9418;

  transport by = transport::local;
  std::string host;
  std::uint16_t port = default_port;
  std::string path;    ///< decoded; absolute for git://
  std::string branch;  ///< after the last '#'; empty: what HEAD stands for
  std::string text;    ///< as given, without branch and password, for messages

  /// Throws: `failure` (reason::unsupported) for http, https, ssh and scp-like forms, which this
  ///         version does not speak, and for what is no URL at all.
  [[nodiscard]] static remote_url parse(std::string_view text);
};

/// The first packet to a git daemon, which names the repository and asks for protocol 2.
[[nodiscard]] std::string daemon_request(const remote_url& url);

}  // namespace fermata::git_mem
