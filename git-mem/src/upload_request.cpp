// SPDX-License-Identifier: MIT
#include "upload_request.hpp"

#include "protocol_lines.hpp"

#include <fermata/git_mem/protocol.hpp>

#include <charconv>

namespace fermata::git_mem::detail {

namespace {

constexpr std::uint32_t any_depth = 0x7fffffff;

// The rest of a line that begins with `key`.
std::optional<std::string_view> value_of(std::string_view line, std::string_view key) {
  if (!line.starts_with(key)) return std::nullopt;
  return line.substr(key.size());
}

template <typename T>
void add(std::vector<T>& to, T value, std::uint64_t limit, const char* what) {
  if (to.size() >= limit) {
    throw failure(reason::limit, "more than " + std::to_string(limit) + " " + what);
  }
  to.push_back(std::move(value));
}

template <typename T>
T number(std::string_view text, std::string_view line, T most) {
  T n{};
  const char* const end = text.data() + text.size();
  const auto [after, wrong] = std::from_chars(text.data(), end, n);
  if (wrong != std::errc() || after != end || n <= 0 || n > most) bad_line(line);
  return n;
}

// What both protocols have; false for other lines.
bool read_common(upload_request& r, std::string_view line, const upload_limits& limits) {
  if (const auto id = value_of(line, "shallow ")) {
    add(r.shallow, read_id(*id, line), limits.ids, "shallow commits");
  } else if (const auto depth = value_of(line, "deepen ")) {
    r.depth = number<std::uint32_t>(*depth, line, any_depth);
  } else if (const auto since = value_of(line, "deepen-since ")) {
    r.since = number<std::int64_t>(*since, line, std::int64_t{1} << 53);
  } else if (const auto ref = value_of(line, "deepen-not ")) {
    add(r.without, std::string(*ref), limits.prefixes, "refs");
  } else if (const auto spec = value_of(line, "filter ")) {
    const std::optional<object_filter> f = object_filter::parse(*spec);
    if (!f) {
      throw failure(reason::unsupported, "filter " + printable(*spec, 80) + " is not supported");
    }
    r.filter = *f;
    r.is_filtered = true;
  } else {
    return false;
  }
  if (r.depth > 0 && (r.since || !r.without.empty())) {
    throw failure(reason::protocol, "deepen and deepen-since (or deepen-not) exclude each other");
  }
  return true;
}

bool read_flag(upload_request& r, std::string_view word) {
  if (word == "thin-pack") {
    r.thin_pack = true;
  } else if (word == "ofs-delta") {
    r.ofs_delta = true;
  } else if (word == "no-progress") {
    r.progress = false;
  } else if (word == "include-tag") {
    r.include_tag = true;
  } else if (word == "deepen-relative") {
    r.relative_depth = true;
  } else {
    return false;
  }
  return true;
}

void read_capability(upload_request& r, std::string_view word) {
  if (read_flag(r, word)) return;
  if (word == "multi_ack_detailed") {
    r.acks = ack_mode::detailed;
  } else if (word == "multi_ack" && r.acks == ack_mode::first) {
    r.acks = ack_mode::multi;
  } else if (word == "side-band-64k") {
    r.bands = band_mode::large;
  } else if (word == "side-band" && r.bands == band_mode::none) {
    r.bands = band_mode::small;
  } else if (word == "no-done") {
    r.no_done = true;
  } else if (word.starts_with("object-format=") && word != "object-format=sha1") {
    throw failure(reason::unsupported, printable(word, 80) + ": only sha1 is supported");
  }
}

}  // namespace

void ls_refs_request_lines::read(std::string_view line, const upload_limits& limits) {
  if (line == "peel") {
    peel = true;
  } else if (line == "symrefs") {
    symrefs = true;
  } else if (line == "unborn") {
    unborn = true;
  } else if (const auto prefix = value_of(line, "ref-prefix ")) {
    add(prefixes, std::string(*prefix), limits.prefixes, "ref prefixes");
  } else {
    bad_line(line);
  }
}

void read_fetch_argument(upload_request& r, std::string_view line, const upload_limits& limits) {
  if (const auto id = value_of(line, "want ")) {
    add(r.wants, read_id(*id, line), limits.ids, "wants");
  } else if (const auto had = value_of(line, "have ")) {
    add(r.haves, read_id(*had, line), limits.ids, "haves");
  } else if (line == "done") {
    r.done = true;
  } else if (line == "wait-for-done") {
    r.wait_for_done = true;
  } else if (!read_common(r, line, limits) && !read_flag(r, line)) {
    bad_line(line);
  }
}

void read_want_line(upload_request& r, std::string_view line, const upload_limits& limits) {
  const std::optional<std::string_view> want = value_of(line, "want ");
  if (!want) {
    if (!read_common(r, line, limits)) bad_line(line);
    return;
  }
  std::string_view words = *want;
  const bool first = r.wants.empty();
  if (words.size() > object_id::hex_digits && first) {
    for (const std::string& word : [&] {
           capabilities c;
           c.add_all(words.substr(object_id::hex_digits));
           return c.all();
         }()) {
      read_capability(r, word);
    }
    words = words.substr(0, object_id::hex_digits);
  }
  add(r.wants, read_id(words, line), limits.ids, "wants");
}

}  // namespace fermata::git_mem::detail
