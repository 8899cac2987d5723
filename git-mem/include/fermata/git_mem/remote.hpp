// SPDX-License-Identifier: MIT
/// How a remote repository is reached: what clone, fetch and push have in common.
///
/// Shape:  `git://` by TCP; a path by a child `git`; ssh by a child: the command in
///         GIT_SSH_COMMAND, else the program in GIT_SSH, else `ssh`, which then asks for no
///         password; http(s) by `http::client`, smart servers only. Redirects are followed as git
///         does: the first request may be sent elsewhere (never from https to http), and what
///         follows goes there.
/// Thread: loop.
#pragma once

#include <fermata/git_mem/remote_url.hpp>
#include <fermata/http/client.hpp>

#include <chrono>
#include <memory>

namespace fermata::git_mem {

struct remote_options {
  remote_options() { http.use_netrc = true; }

  std::chrono::nanoseconds connect_timeout = std::chrono::seconds(30);
  /// Credentials, CA file, proxy, limits of time. Those in the URL go before `credentials`.
  http::transfer_options http;
  /// Shared with others of the same loop; none: one of its own, for this once.
  std::shared_ptr<http::client> http_client;
};

}  // namespace fermata::git_mem
