// SPDX-License-Identifier: MIT
#include "object_filter.hpp"
#include "protocol_lines.hpp"

#include <fermata/git_mem/failure.hpp>
#include <fermata/git_mem/protocol.hpp>

#include <algorithm>
#include <utility>

namespace fermata::git_mem {

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

namespace {

constexpr std::size_t ids_at_once = 64;
constexpr const char* no_filters = "the server makes no partial clones (no filter)";

bool is_number(std::string_view text) {
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  return !text.empty() && std::all_of(text.begin(), text.end(), is_digit);
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
  const auto parts = value_of("combine:");
  if (!parts) return false;
  const std::vector<std::string> all = detail::split_filters(*parts);
  return std::all_of(all.begin(), all.end(), is_filter);
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

// Where history is to end: the same lines in every version.
void append_cut(std::string& out, const fetch_request& request) {
  if (request.depth > 0) append_pkt(out, "deepen " + std::to_string(request.depth) + "\n");
  if (request.since != 0) append_pkt(out, "deepen-since " + std::to_string(request.since) + "\n");
  for (const std::string& ref : request.without) append_pkt(out, "deepen-not " + ref + "\n");
}

// Throws: `failure`, `contract_error`.
void check_request(const fetch_request& request) {
  if (request.wants.empty()) throw contract_error("a fetch wants something");
  if (request.depth > 0 && (request.since != 0 || !request.without.empty())) {
    throw contract_error("a depth, and a date or a ref, exclude each other");
  }
  for (const std::string& ref : request.without) check_word(ref, "name of a ref");
  if (request.filter.empty()) return;
  check_word(request.filter, "filter");
  if (is_filter(request.filter)) return;
  throw failure(reason::unsupported,
                "\"" + printable(request.filter, 80) + "\" is no filter of git");
}

// What follows the first want in version 0.
std::string classic_words(const capabilities& can, const fetch_request& request) {
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
  return words;
}

}  // namespace

fetch_writer::fetch_writer(const advertisement& from, const fetch_request& request) {
  check_request(request);
  if (from.version == 2) {
    lay_out(from.can, request);
  } else {
    lay_out_classic(from.can, request);
  }
}

void fetch_writer::lay_out(const capabilities& can, const fetch_request& request) {
  if (!can.has("fetch")) throw failure(reason::protocol, "the server cannot fetch");
  const bool cut = request.deepens() || !request.shallow.empty();
  if (cut && !can.offers("fetch", "shallow")) {
    throw failure(reason::unsupported, "the server cannot cut history (no shallow)");
  }
  std::string head;
  append_v2_command(head, can, "fetch");
  if (request.thin_pack) append_pkt(head, "thin-pack\n");
  append_pkt(head, "ofs-delta\n");
  if (!request.progress) append_pkt(head, "no-progress\n");
  if (request.include_tag) append_pkt(head, "include-tag\n");
  std::string middle;
  append_cut(middle, request);
  if (request.deepen_relative) append_pkt(middle, "deepen-relative\n");
  if (!request.filter.empty()) {
    if (!can.offers("fetch", "filter")) throw failure(reason::unsupported, no_filters);
    append_pkt(middle, "filter " + request.filter + "\n");
  }
  std::string end;
  if (request.done) append_pkt(end, "done\n");
  append_flush(end);
  parts_ = {{std::move(head), "shallow ", request.shallow},
            {std::move(middle), "want ", request.wants},
            {{}, "have ", request.haves},
            {std::move(end), {}, {}}};
}

void fetch_writer::lay_out_classic(const capabilities& can, const fetch_request& request) {
  std::string head;
  append_pkt(head, "want " + request.wants.front().hex() + classic_words(can, request) + "\n");
  std::string middle;
  append_cut(middle, request);
  if (!request.filter.empty()) append_pkt(middle, "filter " + request.filter + "\n");
  append_flush(middle);
  std::string end;
  if (request.done) append_pkt(end, "done\n");
  parts_ = {{std::move(head), "want ", std::span(request.wants).subspan(1)},
            {{}, "shallow ", request.shallow},
            {std::move(middle), "have ", request.haves},
            {std::move(end), {}, {}}};
}

bool fetch_writer::write(std::string& out) {
  part& p = parts_.at(at_);
  out += std::exchange(p.before, {});
  const auto now = p.ids.first(std::min(ids_at_once, p.ids.size()));
  for (const object_id& id : now) append_pkt(out, std::string(p.key) + id.hex() + "\n");
  p.ids = p.ids.subspan(now.size());
  if (p.ids.empty()) ++at_;
  return at_ < parts_.size();
}

std::string write_fetch(const advertisement& from, const fetch_request& request) {
  fetch_writer lines(from, request);
  std::string out;
  while (lines.write(out)) {
  }
  return out;
}

}  // namespace fermata::git_mem
