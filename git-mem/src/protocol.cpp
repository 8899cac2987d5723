// SPDX-License-Identifier: MIT
// Advertisements and lists of refs; requests are in protocol_requests.cpp, the answer to a fetch is
// in fetch_reader.cpp.

#include "protocol_lines.hpp"

#include <fermata/git_mem/failure.hpp>
#include <fermata/git_mem/protocol.hpp>

#include <algorithm>
#include <charconv>

namespace fermata::git_mem {

using detail::bad_line;
using detail::check_error;
using detail::read_id;

void capabilities::add(std::string_view text) {
  if (!text.empty()) all_.emplace_back(text);
}

void capabilities::add_all(std::string_view spaced) {
  while (!spaced.empty()) {
    const std::size_t end = std::min(spaced.find(' '), spaced.size());
    add(spaced.substr(0, end));
    spaced.remove_prefix(std::min(end + 1, spaced.size()));
  }
}

std::optional<std::string> capabilities::find_value(std::string_view name) const {
  for (const std::string& one : all_) {
    const std::string_view text = one;
    if (text == name) return std::string();
    if (text.starts_with(name) && text[name.size()] == '=') {
      return std::string(text.substr(name.size() + 1));
    }
  }
  return std::nullopt;
}

bool capabilities::has(std::string_view name) const { return find_value(name).has_value(); }

bool capabilities::offers(std::string_view name, std::string_view word) const {
  const std::optional<std::string> value = find_value(name);
  if (!value) return false;
  return (" " + *value + " ").find(" " + std::string(word) + " ") != std::string::npos;
}

bool is_ref_name(std::string_view name) noexcept {
  if (name == "HEAD") return true;
  if (!name.starts_with("refs/") || name.size() > longest_ref_name) return false;
  if (name.ends_with('/') || name.ends_with('.')) return false;
  for (const std::string_view never : {"..", "//", "@{", "/.", ".lock/"}) {
    if (name.find(never) != std::string_view::npos) return false;
  }
  if (name.ends_with(".lock")) return false;
  return std::none_of(name.begin(), name.end(), [](char c) {
    return static_cast<unsigned char>(c) <= 0x20 || c == 0x7f ||
           std::string_view("~^:?*[\\").find(c) != std::string_view::npos;
  });
}

bool advertisement_reader::push(const pkt& p) {
  if (p.kind == pkt_kind::flush) {
    finish();  // a flush alone is how old servers show an empty repository
    return true;
  }
  if (p.kind != pkt_kind::data) throw failure(reason::protocol, "advertisement: unexpected packet");
  bytes_ += p.payload.size();
  if (bytes_ > limits_.advertisement_bytes) {
    throw failure(reason::limit, "advertisement of more than " +
                                     std::to_string(limits_.advertisement_bytes) + " bytes");
  }
  check_error(p);
  const bool first = !std::exchange(started_, true);
  if (first && p.line() == "version 2") {
    result_.version = 2;
  } else if (first && p.line() == "version 1") {
    result_.version = 1;
  } else if (result_.version == 2) {
    constexpr std::size_t header_bytes = 4;  // so that empty lines come to an end, too
    count_capabilities(header_bytes + p.payload.size());
    result_.can.add(p.line());
  } else {
    read_line(p.line());
  }
  return false;
}

void advertisement_reader::count_capabilities(std::size_t bytes) {
  capability_bytes_ += bytes;
  if (capability_bytes_ <= limits_.capability_bytes) return;
  throw failure(reason::limit,
                "capabilities of more than " + std::to_string(limits_.capability_bytes) + " bytes");
}

void advertisement_reader::read_line(std::string_view line) {
  if (line.starts_with("shallow ")) {
    if (result_.shallow.size() >= limits_.shallow)
      throw failure(reason::limit, "too many shallow lines");
    result_.shallow.push_back(read_id(line.substr(8), line));
    return;
  }
  const std::size_t zero = line.find('\0');
  if (zero != std::string_view::npos) {
    if (caps_read_) bad_line(line);
    count_capabilities(line.size() - zero - 1);
    result_.can.add_all(line.substr(zero + 1));
    line = line.substr(0, zero);
  }
  caps_read_ = true;
  read_ref(line);
}

void advertisement_reader::read_ref(std::string_view line) {
  if (line.size() < object_id::hex_digits + 2 || line[object_id::hex_digits] != ' ') bad_line(line);
  const object_id id = read_id(line.substr(0, object_id::hex_digits), line);
  const std::string_view name = line.substr(object_id::hex_digits + 1);
  if (name == "capabilities^{}" || name.ends_with("^{}")) return;  // no refs; a peeled tag
  if (name == ".have") return;  // what another repository that this one borrows from has
  if (!is_ref_name(name)) bad_line(line);
  if (result_.refs.size() >= limits_.refs) throw failure(reason::limit, "too many refs");
  result_.refs.push_back({std::string(name), id, {}});
  if (result_.refs.front().id != id || !name.starts_with("refs/heads/")) return;
  const bool usual = name == "refs/heads/master" || name == "refs/heads/main";
  if (guessed_head_.empty() || usual) guessed_head_ = name;
}

// Version 0 names the target of HEAD in a capability; before git 1.8.4 one had to guess.
void advertisement_reader::finish() {
  if (result_.can.has("object-format") && result_.can.find_value("object-format") != "sha1") {
    throw failure(reason::unsupported, "the repository uses " +
                                           printable(*result_.can.find_value("object-format")) +
                                           " names, only sha1 is supported");
  }
  if (result_.version == 2 || result_.refs.empty() || result_.refs.front().name != "HEAD") return;
  reference& head = result_.refs.front();
  for (const std::string& one : result_.can.all()) {
    constexpr std::string_view key = "symref=HEAD:";
    if (one.starts_with(key) && is_ref_name(one.substr(key.size()))) {
      head.symbolic_target = one.substr(key.size());
      return;
    }
  }
  head.symbolic_target = guessed_head_;
}

bool ls_refs_reader::push(const pkt& p) {
  if (p.kind == pkt_kind::flush) return true;
  if (p.kind != pkt_kind::data) throw failure(reason::protocol, "ls-refs: unexpected packet");
  check_error(p);
  bytes_ += p.payload.size();
  if (bytes_ > limits_.advertisement_bytes || refs_.size() >= limits_.refs) {
    throw failure(reason::limit, "too many refs");
  }
  const std::string_view line = p.line();
  const std::size_t space = line.find(' ');
  if (space == std::string_view::npos) bad_line(line);
  std::string_view rest = line.substr(space + 1);
  const std::size_t name_end = std::min(rest.find(' '), rest.size());
  const std::string_view name = rest.substr(0, name_end);
  rest.remove_prefix(std::min(name_end + 1, rest.size()));
  constexpr std::string_view key = "symref-target:";
  const std::string_view word = rest.substr(0, rest.find(' '));
  const std::string_view target =
      word.starts_with(key) ? word.substr(key.size()) : std::string_view();
  if (!is_ref_name(name) || (!target.empty() && !is_ref_name(target))) bad_line(line);
  if (name == "HEAD" && std::exchange(has_head_, true)) bad_line(line);
  if (line.substr(0, space) == "unborn") {
    if (name == "HEAD") unborn_head_ = target;
    return false;
  }
  const object_id id = read_id(line.substr(0, space), line);
  const bool wanted = prefixes_.empty() || detail::has_prefix(name, prefixes_);
  if (wanted) refs_.push_back({std::string(name), id, std::string(target)});
  return false;
}

}  // namespace fermata::git_mem
