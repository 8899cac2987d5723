// SPDX-License-Identifier: MIT
// Version 2 answers in named sections, each ended by a delimiter and the last by a flush. Version 0
// answers a depth with shallow lines and a flush, then ACK and NAK lines, then the bands at once.

#include "protocol_lines.hpp"

#include <fermata/git_mem/failure.hpp>
#include <fermata/git_mem/protocol.hpp>

namespace fermata::git_mem {

using detail::bad_line;
using detail::check_error;
using detail::read_id;

fetch_reader::fetch_reader(int version, bool deepen, protocol_limits limits)
    : version_(version), limits_(limits), section_(section::start) {
  if (version_ != 2) section_ = deepen ? section::shallow : section::acks;
}

fetch_reader::event fetch_reader::push(const pkt& p) {
  if (section_ == section::over)
    throw failure(reason::protocol, "the server goes on after its end");
  if (section_ != section::pack) check_error(p);
  return version_ == 2 ? push_v2(p) : push_v0(p);
}

fetch_reader::event fetch_reader::push_v2(const pkt& p) {
  switch (p.kind) {
    case pkt_kind::delimiter:
      if (section_ == section::start || section_ == section::pack) {
        throw failure(reason::protocol, "unexpected delimiter");
      }
      section_ = section::start;
      return {};
    case pkt_kind::flush:
    case pkt_kind::response_end:
      section_ = section::over;
      return {event::kind::done, {}};
    case pkt_kind::data:
      break;
  }
  const std::string_view line = p.line();
  switch (section_) {
    case section::start:
      open_section(line);
      return {};
    case section::acks:
      read_ack(line);
      return {};
    case section::shallow:
      if (!read_shallow(line)) bad_line(line);
      return {};
    case section::pack:
      return read_band(p.payload);
    case section::other:
    case section::over:
      return {};
  }
  return {};
}

void fetch_reader::open_section(std::string_view name) {
  if (name == "acknowledgments") {
    section_ = section::acks;
  } else if (name == "shallow-info") {
    section_ = section::shallow;
  } else if (name == "packfile") {
    section_ = section::pack;
  } else if (name == "wanted-refs") {
    section_ = section::other;
  } else {
    bad_line(name);  // packfile-uris too: we never ask for them
  }
}

fetch_reader::event fetch_reader::push_v0(const pkt& p) {
  if (p.kind == pkt_kind::flush) {
    if (section_ == section::shallow) {
      section_ = section::acks;
      return {};
    }
    if (section_ != section::pack) throw failure(reason::protocol, "unexpected flush");
    section_ = section::over;
    return {event::kind::done, {}};
  }
  if (p.kind != pkt_kind::data) throw failure(reason::protocol, "unexpected delimiter");
  const std::string_view line = p.line();
  if (section_ == section::shallow) {
    if (!read_shallow(line)) bad_line(line);
    return {};
  }
  if (section_ == section::acks) {
    if (line == "NAK" || line.starts_with("ACK ")) {
      read_ack(line);
      return {};
    }
    section_ = section::pack;
  }
  return read_band(p.payload);
}

// "NAK", "ready", "ACK <id>", and in version 0 "ACK <id> common|continue|ready".
void fetch_reader::read_ack(std::string_view line) {
  if (line == "NAK") return;
  if (line == "ready") {
    ready_ = true;
    return;
  }
  if (!line.starts_with("ACK ") || line.size() < 4 + object_id::hex_digits) bad_line(line);
  if (common_.size() >= limits_.acknowledgments) {
    throw failure(reason::limit, "too many acknowledgments");
  }
  common_.push_back(read_id(line.substr(4, object_id::hex_digits), line));
  const std::string_view word = line.substr(4 + object_id::hex_digits);
  if (word == " ready") ready_ = true;
  const bool known = word.empty() || word == " ready" || word == " common" || word == " continue";
  if (!known) bad_line(line);
}

bool fetch_reader::read_shallow(std::string_view line) {
  const bool adds = line.starts_with("shallow ");
  if (!adds && !line.starts_with("unshallow ")) return false;
  std::vector<object_id>& ids = adds ? shallow_ : unshallow_;
  if (ids.size() >= limits_.shallow) throw failure(reason::limit, "too many shallow lines");
  ids.push_back(read_id(line.substr(adds ? 8 : 10), line));
  return true;
}

fetch_reader::event fetch_reader::read_band(std::string_view payload) {
  if (payload.empty()) return {};  // an empty packet keeps the connection alive
  const std::string_view data = payload.substr(1);
  switch (payload.front()) {
    case 1:
      pack_bytes_ += data.size();
      return {event::kind::pack, data};
    case 2:
      progress_bytes_ += data.size();
      if (progress_bytes_ > limits_.progress_bytes) {
        throw failure(reason::limit, "the server sends too much progress");
      }
      last_words_ = printable(data);
      return {event::kind::progress, last_words_};
    case 3:
      throw failure(reason::remote, "the server says: " + printable(data));
    default:
      throw failure(reason::protocol,
                    "band " + std::to_string(static_cast<unsigned char>(payload.front())) +
                        " of the pack's stream");
  }
}

void fetch_reader::finish_input() const {
  if (section_ == section::over) return;
  std::string text =
      section_ == section::pack
          ? "the server hung up after " + std::to_string(pack_bytes_) + " bytes of the pack"
          : "the server hung up before the pack";
  if (!last_words_.empty()) text += " (it said: " + last_words_ + ")";
  throw failure(reason::protocol, text);
}

}  // namespace fermata::git_mem
