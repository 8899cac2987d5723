// SPDX-License-Identifier: MIT
// A clone over an open stream, whose errors do not name the clone yet.

#pragma once

#include <fermata/git_mem/clone.hpp>

namespace fermata::git_mem::detail {

// Lifetime: all three outlive the promise.
promise<clone_result> clone_unnamed(byte_stream& stream,
                                    const remote_url& url,
                                    const clone_options& options);

[[nodiscard]] failure clone_failure(const remote_url& url, const error& why);

}  // namespace fermata::git_mem::detail
