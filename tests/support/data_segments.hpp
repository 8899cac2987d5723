// SPDX-License-Identifier: MIT
#pragma once

namespace fermata::test {

/// How many segments with data have come on a TCP socket. Throws std::system_error.
unsigned data_segments_received(int socket);

}  // namespace fermata::test
