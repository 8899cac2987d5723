// SPDX-License-Identifier: MIT
/// Where a repository is, and a #branch: git://host[:port]/path,
/// http(s)://[user:password@]host/path, ssh://[user@]host[:port]/path, [user@]host:path,
/// file:///path or a plain path.
///
/// Pauses: never.
/// Thread: any; a value.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace fermata::git_mem {

struct remote_url {
  enum class transport : std::uint8_t { git, local, http, ssh };

  static constexpr std::uint16_t default_port = 9418;

  transport by = transport::local;
  std::string user;                   ///< of ssh and http(s); empty: whoever ssh takes, or none
  std::string password;               ///< of http(s)
  std::string host;                   ///< of git:// and ssh
  std::uint16_t port = default_port;  ///< the same; 0: what ssh takes
  std::string path;    ///< decoded; absolute for git://; for http(s) the URL, without credentials
  std::string branch;  ///< after the last '#'; empty: what HEAD stands for
  std::string text;    ///< as given, without branch and credentials, for messages

  /// Throws: `failure` (reason::unsupported) for other schemes and for what is no URL at all.
  [[nodiscard]] static remote_url parse(std::string_view text);
};

/// `text` without what stands before the last @ of a URL's authority: `user:password@` is nobody's
/// business. What is no URL is given back as it is.
[[nodiscard]] std::string without_secrets(std::string_view text);

/// The first packet to a git daemon, which names the repository and asks for protocol 2.
[[nodiscard]] std::string daemon_request(const remote_url& url,
                                         std::string_view service = "git-upload-pack");

}  // namespace fermata::git_mem
