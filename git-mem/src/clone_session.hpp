// SPDX-License-Identifier: MIT
// A clone or a fetch under way: what the parts of its conversation share.

#pragma once

#include "packet_source.hpp"

#include <fermata/git_mem/analyse.hpp>
#include <fermata/git_mem/clone.hpp>
#include <fermata/git_mem/protocol.hpp>

namespace fermata::git_mem::detail {

// It owns the connection's read side; its pkt views die at the next fill, so nothing of a packet is
// kept over an await but in a piece of its own.
struct clone_session : packet_source {
  clone_session(byte_stream& from, const remote_url& u, const clone_options& o, snapshot_ptr k)
      : packet_source(from, o), url(u), known(std::move(k)), analyser(o.pack, known) {}

  void report(clone_phase phase) {
    now.phase = phase;
    if (options.on_progress) options.on_progress(now);
  }

  const remote_url& url;
  snapshot_ptr known;
  clone_progress now;
  pack_analyser analyser;
  bool analysed = false;
};

// Asks for what `request` wants, tells what `s.known` has, and analyses the pack that comes.
// Its haves are filled in. Returns: the answer that it came with. Lifetime: all three outlive the
// promise.
promise<fetch_reader> receive_pack(clone_session& s,
                                   const advertisement& from,
                                   fetch_request& request);

}  // namespace fermata::git_mem::detail
