// SPDX-License-Identifier: MIT
/// What ends a program that has parts which never should.
///
/// Thread: loop.
#pragma once

#include <fermata/promise/promise.hpp>

#include <string>
#include <vector>

namespace fermata::mirror {

/// Waits for `wanted` or, before it, for the end of one of `parts`; none of them is cancelled.
/// Gives why a part has ended, or nothing where it was `wanted`. Rejects: `cancelled`.
promise<std::string> first_end(promise<> wanted, std::vector<promise<>> parts);

}  // namespace fermata::mirror
