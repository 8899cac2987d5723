// SPDX-License-Identifier: MIT
/// Files to streams: a part of a file is written without passing through the program.
///
/// Shape:    on sockets by sendfile(2), in steps of 256 KiB; on other streams read and written.
///           What the kernel does not have in memory is read ahead on the pool, so that the loop
///           waits for no disk.
/// Pauses:   between steps; where the stream is not writable.
/// Thread:   loop.
/// Rejects:  `error` of the stream; `file_failure` where the file cannot be read or ends before;
///           `cancelled`.
/// Cancel:   as of a write: a part may have been sent.
/// Cost:     six system calls a step beside sendfile's, four of which keep SIGPIPE away; two a file
///           for whole segments (TCP_CORK); one job a step that was not in memory.
/// Lifetime: the stream, `before`, and the descriptor, which is that of a regular file, until it
///           settles.
#pragma once

#include <fermata/promise/stream.hpp>

#include <cstdint>

namespace fermata {

/// What is to be sent is not there.
class file_failure : public error {
public:
  using error::error;
};

/// Writes `before`, then `count` bytes of `fd` from `offset` on. Over TCP in whole segments but for
/// the last: a small one for `before` alone makes Linux give the receiver a small window.
promise<> send_file(
    byte_stream& to, int fd, std::uint64_t offset, std::uint64_t count, byte_view before = {});

/// Reads at `offset` where the kernel has it in memory. Gives how much of `into` was filled: less
/// at the end of the file, and 0 also where a disk would have to be waited for.
[[nodiscard]] std::size_t read_cached(int fd,
                                      std::uint64_t offset,
                                      std::span<std::byte> into) noexcept;

}  // namespace fermata
