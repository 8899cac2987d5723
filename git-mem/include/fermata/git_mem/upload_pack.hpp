// SPDX-License-Identifier: MIT
/// Answers `git clone` and `git fetch` from a store in memory: what `git upload-pack` does.
///
/// Shape:    protocol 2, 1 and 0, as the client asks: refs with symbolic targets and peeled tags,
///           negotiation in rounds, thin packs, depth, deepen-since, deepen-not, unshallow, partial
///           clones (the filters of `object_filter`; others are refused), tags that follow. Any
///           object of the store may be wanted by its name, as with git's protocol 2.
/// Pauses:   may, after each object that is looked at or sent.
/// Thread:   loop.
/// Rejects:  `failure` for what the client did wrong (it is told, too, in an ERR packet or in band
///           3) and for damaged objects; `error` of the stream; `timed_out` for a client that is
///           silent or does not read; `cancelled`.
/// Cost:     what `find_reachable` and `write_pack` say, and the request within its limits. The
///           snapshot of the beginning is served to the end, whatever is published meanwhile.
/// Lifetime: the stream outlives the promise.
#pragma once

#include <fermata/git_mem/object_store.hpp>
#include <fermata/git_mem/pack_writer.hpp>
#include <fermata/promise/promise.hpp>
#include <fermata/promise/stream.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace fermata::git_mem {

/// What a client may ask for.
struct upload_limits {
  std::uint64_t request_bytes = std::uint64_t{32} << 20;  ///< in one conversation
  std::uint64_t ids = 500'000;                            ///< wants, haves, shallow commits: each
  std::uint64_t prefixes = 65'536;
};

/// Which part of a conversation: over HTTP each request is one.
enum class upload_part : std::uint8_t {
  whole,          ///< a connection that stays: git://, ssh
  advertisement,  ///< what the server says first, then the end
  request,        ///< one request and its answer, without that
};

struct upload_pack_options {
  upload_pack_options() {}  // no aggregate: see STYLE.md, coroutines under g++ 12

  int version = 0;  ///< that the client asked for (`GIT_PROTOCOL`, `Git-Protocol`)
  upload_part part = upload_part::whole;
  upload_limits limits;
  std::chrono::nanoseconds idle_timeout = std::chrono::seconds(120);  ///< for a read or write
};

/// What was served.
struct upload_report {
  int version = 0;
  bool sent_pack = false;
  written_pack pack;
};

promise<upload_report> upload_pack(const object_store& store,
                                   byte_stream& stream,
                                   upload_pack_options options = {});

/// The same from a snapshot.
promise<upload_report> upload_pack(snapshot_ptr from,
                                   byte_stream& stream,
                                   upload_pack_options options = {});

/// The version in a `GIT_PROTOCOL` or `Git-Protocol` text (`version=2:...`); 0 where it says none.
[[nodiscard]] int asked_version(std::string_view text) noexcept;

/// The store of a path (`/repository.git`), or null.
using store_finder = std::function<const object_store*(std::string_view path)>;

/// Answers one connection of `git://`: reads which repository is asked for, then serves it. What
/// is not there, and all but `git-upload-pack`, is refused in an ERR packet.
promise<upload_report> answer_git_daemon(byte_stream& stream,
                                         store_finder find,
                                         upload_pack_options options = {});

}  // namespace fermata::git_mem
