// SPDX-License-Identifier: MIT
/// A repository over HTTP: `git clone http://host/repository.git` from a store in memory.
///
/// Shape:    `GET <path>/info/refs?service=git-upload-pack` and `POST <path>/git-upload-pack`, in
///           protocol 2, 1 and 0, answers in pieces; compressed requests are understood. Pushing
///           and the dumb protocol are refused with 403 and the reason.
/// Pauses:   may, as `upload_pack`; inflating a request at each 2 KiB.
/// Thread:   loop.
/// Cost:     a request's body, as far as the server and the limits let it grow; 64 KiB of answer.
#pragma once

#include <fermata/git_mem/object_store.hpp>
#include <fermata/git_mem/upload_pack.hpp>
#include <fermata/http/router.hpp>

#include <chrono>
#include <functional>
#include <string>

namespace fermata::git_mem {

struct http_backend_options {
  http_backend_options() {}  // no aggregate: see STYLE.md, coroutines under g++ 12

  upload_limits limits;  ///< `request_bytes`: inflated
  /// How long the client may leave a piece of the answer unread.
  std::chrono::nanoseconds idle_timeout = std::chrono::seconds(120);
  /// Told of each answer to a fetch that was sent whole.
  std::function<void(const upload_report&)> on_served;
};

/// What is served now; null while there is nothing yet (503).
using snapshot_source = std::function<snapshot_ptr()>;

/// Serves a repository below `path`: begins with a slash, ends without one ("/repository.git").
/// Throws: `contract_error` for a malformed path, or one that is taken.
void mount_repository(http::router& routes,
                      const std::string& path,
                      snapshot_source current,
                      http_backend_options options = {});

}  // namespace fermata::git_mem
