// SPDX-License-Identifier: MIT
/// Byte streams over pipes and over descriptors that come from elsewhere.
///
/// Shape:  as stream.hpp says; the end of a pipe that cannot read or write rejects with EBADF. No
///         write raises SIGPIPE.
/// Thread: loop.
#pragma once

#include <fermata/promise/stream.hpp>

#include <memory>
#include <string>
#include <utility>

namespace fermata {

/// Takes `fd` (a pipe, socket, FIFO or terminal), makes it non-blocking and closes it with the
/// stream. `name` stands in messages.
/// Throws: `error` where the descriptor cannot be waited for, as that of a file; it is then closed.
[[nodiscard]] std::unique_ptr<byte_stream> pipe_stream(int fd, std::string name);

/// The read end and the write end of a new pipe.
[[nodiscard]] std::pair<std::unique_ptr<byte_stream>, std::unique_ptr<byte_stream>> make_pipe();

}  // namespace fermata
