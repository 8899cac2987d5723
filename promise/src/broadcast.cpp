// SPDX-License-Identifier: MIT
// What a reader is told that was too slow.

#include <fermata/promise/broadcast.hpp>

#include <fmt/format.h>

namespace fermata {

lagged::lagged(std::uint64_t missed)
    : error(fmt::format("a reader of a broadcast was too slow: {} items are lost to it", missed)),
      missed_(missed) {}

}  // namespace fermata
