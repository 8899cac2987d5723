// SPDX-License-Identifier: MIT
// A clone or a fetch over an open stream, whose errors do not name it yet.

#pragma once

#include <fermata/git_mem/clone.hpp>

namespace fermata::git_mem::detail {

// What is in `known` is not received again; null: nothing is. Then the pack may be thin, with bases
// in `known`, and is null where all is there already.
// Lifetime: all three outlive the promise.
promise<clone_result> clone_unnamed(byte_stream& stream,
                                    const remote_url& url,
                                    const clone_options& options,
                                    snapshot_ptr known = {});

// The same over a connection or a child of its own.
promise<clone_result> receive_from(const remote_url& url,
                                   const clone_options& options,
                                   snapshot_ptr known = {});

// `what` is "clone" or "fetch".
[[nodiscard]] failure remote_failure(std::string_view what,
                                     const remote_url& url,
                                     const error& why);

}  // namespace fermata::git_mem::detail
