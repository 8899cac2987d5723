// SPDX-License-Identifier: MIT
// Advertisements, refs and requests; the answer to a fetch is in fetch_reader.cpp.

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
  if (!name.starts_with("refs/") || name.size() > 1024) return false;
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
    result_.can.add(p.line());
  } else {
    read_line(p.line());
  }
  return false;
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
}

// Version 0 names the target of HEAD in a capability; before git 1.8.4 one had to guess.
void advertisement_reader::finish() {
  if (result_.can.has("object-format") && result_.can.find_value("object-format") != "sha1") {
    throw failure(reason::unsupported, "the repository uses " +
                                           printable(*result_.can.find_value("object-format")) +
                                           " names, only sha1 is supported");
  }
  sort_unique(result_.shallow);
  if (result_.version == 2 || result_.refs.empty() || result_.refs.front().name != "HEAD") return;
  reference& head = result_.refs.front();
  for (const std::string& one : result_.can.all()) {
    constexpr std::string_view key = "symref=HEAD:";
    if (one.starts_with(key) && is_ref_name(one.substr(key.size()))) {
      head.symbolic_target = one.substr(key.size());
      return;
    }
  }
  for (const reference& r : result_.refs) {
    if (r.id != head.id || !r.name.starts_with("refs/heads/")) continue;
    const bool usual = r.name == "refs/heads/master" || r.name == "refs/heads/main";
    if (head.symbolic_target.empty() || usual) head.symbolic_target = r.name;
  }
}

namespace {

constexpr std::string_view agent = "agent=fermata/0.1";

void append_v2_command(std::string& out, const capabilities& can, std::string_view command) {
  append_pkt(out, "command=" + std::string(command) + "\n");
  if (can.has("agent")) append_pkt(out, std::string(agent) + "\n");
  if (can.has("object-format")) append_pkt(out, "object-format=sha1\n");
  append_delimiter(out);
}

}  // namespace

std::string ls_refs_request(const capabilities& can, const std::vector<std::string>& prefixes) {
  if (!can.has("ls-refs")) throw failure(reason::protocol, "the server cannot list its refs");
  std::string out;
  append_v2_command(out, can, "ls-refs");
  append_pkt(out, "symrefs\n");
  if (can.offers("ls-refs", "unborn")) append_pkt(out, "unborn\n");
  for (const std::string& prefix : prefixes) append_pkt(out, "ref-prefix " + prefix + "\n");
  append_flush(out);
  return out;
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
  if (line.substr(0, space) == "unborn") {
    if (name == "HEAD") unborn_head_ = target;
    return false;
  }
  const object_id id = read_id(line.substr(0, space), line);
  const bool wanted = prefixes_.empty() || std::any_of(prefixes_.begin(), prefixes_.end(),
                                                       [&](const std::string& prefix) {
                                                         return name.starts_with(prefix);
                                                       });
  if (wanted) refs_.push_back({std::string(name), id, std::string(target)});
  return false;
}

namespace {

constexpr const char* no_filters = "the server makes no partial clones (no filter)";

// Where history is to end: the same lines in every version.
void append_cut(std::string& out, const fetch_request& request) {
  for (const object_id& id : request.shallow) append_pkt(out, "shallow " + id.hex() + "\n");
  if (request.depth > 0) append_pkt(out, "deepen " + std::to_string(request.depth) + "\n");
  if (request.since != 0) append_pkt(out, "deepen-since " + std::to_string(request.since) + "\n");
  for (const std::string& ref : request.without) append_pkt(out, "deepen-not " + ref + "\n");
}

std::string write_v2(const capabilities& can, const fetch_request& request) {
  if (!can.has("fetch")) throw failure(reason::protocol, "the server cannot fetch");
  const bool cut = request.deepens() || !request.shallow.empty();
  if (cut && !can.offers("fetch", "shallow")) {
    throw failure(reason::unsupported, "the server cannot cut history (no shallow)");
  }
  std::string out;
  append_v2_command(out, can, "fetch");
  if (request.thin_pack) append_pkt(out, "thin-pack\n");
  append_pkt(out, "ofs-delta\n");
  if (!request.progress) append_pkt(out, "no-progress\n");
  if (request.include_tag) append_pkt(out, "include-tag\n");
  append_cut(out, request);
  if (request.deepen_relative) append_pkt(out, "deepen-relative\n");
  if (!request.filter.empty()) {
    if (!can.offers("fetch", "filter")) throw failure(reason::unsupported, no_filters);
    append_pkt(out, "filter " + request.filter + "\n");
  }
  for (const object_id& id : request.wants) append_pkt(out, "want " + id.hex() + "\n");
  for (const object_id& id : request.haves) append_pkt(out, "have " + id.hex() + "\n");
  if (request.done) append_pkt(out, "done\n");
  append_flush(out);
  return out;
}

std::string write_v0(const capabilities& can, const fetch_request& request) {
  if (!can.has("side-band-64k")) {
    throw failure(reason::unsupported, "the server is too old (no side-band-64k)");
  }
  const bool cut = request.deepens() || !request.shallow.empty();
  if (cut && !can.has("shallow")) {
    throw failure(reason::unsupported, "the server cannot cut history (no shallow)");
  }
  if (request.since != 0 && !can.has("deepen-since")) {
    throw failure(reason::unsupported, "the server cannot cut history at a date");
  }
  if (!request.without.empty() && !can.has("deepen-not")) {
    throw failure(reason::unsupported, "the server cannot cut history at a ref");
  }
  std::string words = " side-band-64k";
  if (request.thin_pack && can.has("thin-pack")) words += " thin-pack";
  if (can.has("ofs-delta")) words += " ofs-delta";
  if (!request.progress && can.has("no-progress")) words += " no-progress";
  if (request.include_tag && can.has("include-tag")) words += " include-tag";
  if (!request.filter.empty()) {
    if (!can.has("filter")) throw failure(reason::unsupported, no_filters);
    words += " filter";
  }
  if (request.deepen_relative) {
    if (!can.has("deepen-relative")) {
      throw failure(reason::unsupported, "the server cannot deepen from where history ends");
    }
    words += " deepen-relative";
  }
  if (request.since != 0) words += " deepen-since";
  if (!request.without.empty()) words += " deepen-not";
  if (can.has("agent")) words += " " + std::string(agent);
  std::string out;
  for (const object_id& id : request.wants) {
    append_pkt(out, "want " + id.hex() + words + "\n");
    words.clear();
  }
  append_cut(out, request);
  if (!request.filter.empty()) append_pkt(out, "filter " + request.filter + "\n");
  append_flush(out);
  for (const object_id& id : request.haves) append_pkt(out, "have " + id.hex() + "\n");
  if (request.done) append_pkt(out, "done\n");
  return out;
}

bool is_number(std::string_view text) {
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  return !text.empty() && std::all_of(text.begin(), text.end(), is_digit);
}

bool is_filter(std::string_view spec);

// "+" between filters, whose own signs are percent-encoded.
bool are_filters(std::string_view all) {
  for (;;) {
    const std::size_t plus = all.find('+');
    std::string one;
    for (std::string_view rest = all.substr(0, plus); !rest.empty();) {
      int code = -1;
      if (rest.starts_with('%') && rest.size() >= 3) {
        std::from_chars(rest.data() + 1, rest.data() + 3, code, 16);
      }
      one += code < 0 ? rest.front() : static_cast<char>(code);
      rest.remove_prefix(code < 0 ? 1 : 3);
    }
    if (!is_filter(one)) return false;
    if (plus == std::string_view::npos) return true;
    all.remove_prefix(plus + 1);
  }
}

// What git itself takes: a server that is asked for anything else hangs up without a word.
bool is_filter(std::string_view spec) {
  const auto value_of = [spec](std::string_view key) {
    return spec.starts_with(key) ? std::optional(spec.substr(key.size())) : std::nullopt;
  };
  if (spec == "blob:none") return true;
  if (auto limit = value_of("blob:limit=")) {
    const bool has_unit =
        !limit->empty() && std::string_view("kKmMgG").find(limit->back()) != std::string_view::npos;
    if (has_unit) limit->remove_suffix(1);
    return is_number(*limit);
  }
  if (const auto depth = value_of("tree:")) return is_number(*depth);
  if (const auto type = value_of("object:type=")) {
    return *type == "commit" || *type == "tree" || *type == "blob" || *type == "tag";
  }
  if (const auto at = value_of("sparse:oid=")) return !at->empty();
  const auto several = value_of("combine:");
  return several && are_filters(*several);
}

// What the caller has typed goes into a line.
void check_word(const std::string& word, const char* what) {
  const bool is_one =
      !word.empty() && word.size() < 1024 && std::none_of(word.begin(), word.end(), [](char c) {
        return static_cast<unsigned char>(c) <= 0x20 || c == 0x7f;
      });
  if (is_one) return;
  throw failure(reason::unsupported, "\"" + printable(word, 80) + "\" is no " + what);
}

}  // namespace

std::string write_fetch(const advertisement& from, const fetch_request& request) {
  if (request.wants.empty()) throw contract_error("a fetch wants something");
  if (request.depth > 0 && (request.since != 0 || !request.without.empty())) {
    throw contract_error("a depth, and a date or a ref, exclude each other");
  }
  for (const std::string& ref : request.without) check_word(ref, "name of a ref");
  if (!request.filter.empty()) {
    check_word(request.filter, "filter");
    if (!is_filter(request.filter)) {
      throw failure(reason::unsupported,
                    "\"" + printable(request.filter, 80) + "\" is no filter of git");
    }
  }
  return from.version == 2 ? write_v2(from.can, request) : write_v0(from.can, request);
}

void sort_unique(std::vector<object_id>& ids) {
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
}

}  // namespace fermata::git_mem
