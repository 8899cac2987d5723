// SPDX-License-Identifier: MIT
// Git's smart protocol over HTTP as a stream.

#pragma once

#include "transport.hpp"

namespace fermata::git_mem::detail {

// Asks for the advertisement, which is what is read first. Protocol 2 is asked for.
// Rejects: `failure`: reason::not_found, reason::remote (credentials, other statuses),
//          reason::unsupported for servers of files; `http::client_error`.
promise<std::unique_ptr<byte_stream>> open_http(const remote_url& url,
                                                git_service service,
                                                const remote_options& options);

}  // namespace fermata::git_mem::detail
