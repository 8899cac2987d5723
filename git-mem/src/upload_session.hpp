// SPDX-License-Identifier: MIT
// The server's side of a connection: packets in, packets out, both within limits and times.

#pragma once

#include "upload_request.hpp"

#include <fermata/git_mem/pkt_line.hpp>
#include <fermata/git_mem/upload_pack.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fermata::git_mem::detail {

// A packet that is kept over an await; the line has no line end.
struct request_packet {
  pkt_kind kind = pkt_kind::data;
  std::string line;

  [[nodiscard]] bool is_data() const noexcept { return kind == pkt_kind::data; }
};

class upload_session {
public:
  upload_session(snapshot_ptr from, byte_stream& stream, const upload_pack_options& options);

  [[nodiscard]] const snapshot_ptr& from() const noexcept { return from_; }
  [[nodiscard]] const upload_pack_options& options() const noexcept { return options_; }

  // The next packet; nothing at the end of the stream.
  promise<std::optional<request_packet>> read();
  // The next packet, which must come.
  promise<request_packet> read_more();

  // Adds to what goes out with the next `flush`; long answers are flushed on the way.
  promise<> say(std::string line);
  void add(std::string_view line) { append_pkt(out_, line); }
  void add_flush() { append_flush(out_); }
  void add_delimiter() { append_delimiter(out_); }
  promise<> flush();
  // Writes pieces as they are.
  promise<> write(std::span<const byte_view> pieces);

  upload_report report;
  band_mode bands = band_mode::none;  // once a pack is on its way: where errors go
  bool in_pack = false;

private:
  snapshot_ptr from_;
  byte_stream& stream_;
  const upload_pack_options& options_;
  pkt_reader packets_;
  std::vector<std::byte> buffer_;
  std::string out_;
  std::uint64_t received_ = 0;
};

// upload_refs.cpp
promise<> advertise(upload_session& s);
promise<> answer_ls_refs(upload_session& s, ls_refs_request_lines asked);
// The object that a ref stands for where that is not the ref's own: an annotated tag's.
promise<std::optional<object_id>> peeled(const snapshot_ptr& from, object_id id);

// upload_fetch.cpp
promise<> answer_fetch(upload_session& s, upload_request r);  // protocol 2
promise<> answer_classic(upload_session& s);                  // protocols 0 and 1

}  // namespace fermata::git_mem::detail
