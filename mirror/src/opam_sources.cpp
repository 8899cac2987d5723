// SPDX-License-Identifier: MIT
// Fields are taken where they stand and put together at the end of their section: `checksum` may
// come before `src`.

#include "opam_items.hpp"

#include <fermata/mirror/opam_sources.hpp>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

namespace fermata::mirror {
namespace {

constexpr std::size_t longest_url_bytes = 8192;
// A Software Heritage id: opam asks that service for it, there is nothing at the address.
constexpr std::string_view heritage = "https://swhid.opam.ocaml.org/";

using values = std::vector<opam_lexeme>;

bool is_one_of(std::string_view name, std::initializer_list<std::string_view> names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// `false`, `[false]`, `(false)`.
bool is_false(const values& value) {
  const std::size_t middle = value.size() / 2;
  if (value.size() != 1 && value.size() != 3) return false;
  const opam_lexeme& l = value[middle];
  if (l.kind != opam_token::identifier || l.text != "false") return false;
  return value.size() == 1 || (value[0].kind == opam_token::open && value[0].text != "{");
}

// Empty: it may be one.
std::string_view why_no_url(std::string_view text) {
  const auto is_control = [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 || byte == 0x7f;
  };
  if (text.empty()) return "an empty URL";
  if (text.size() > longest_url_bytes) return "a URL of over 8192 bytes";
  if (text.find(' ') != std::string_view::npos) return "a URL with a space";
  if (std::any_of(text.begin(), text.end(), is_control)) return "a URL with a control character";
  return {};
}

class source_reader {
public:
  explicit source_reader(std::string_view text) : reader_(text) {}

  opam_sources all() {
    for (;;) {
      try {
        if (!take(reader_.next())) break;
      } catch (const opam_syntax_error& e) {
        out_.faults.emplace_back(e.what());
        if (out_.faults.size() == most_opam_faults) break;
        reader_.recover();
      }
    }
    finish_source();  // what an unfinished section or a file `url` has said
    return std::move(out_);
  }

private:
  // False: the file ends.
  bool take(const opam_part& part) {
    switch (part.what) {
      case opam_part::kind::end:
        return false;
      case opam_part::kind::section:
        if (part.depth == 0) begin_section(part);
        return true;
      case opam_part::kind::section_end:
        if (part.depth == 0) end_section();
        return true;
      case opam_part::kind::field:
        break;
    }
    if (part.depth == 0) {
      take_top_field(part);
    } else if (part.depth == 1 && in_source_) {
      take_source_field(part);
    }
    return true;
  }

  void begin_section(const opam_part& part) {
    const bool is_extra = part.name.text == "extra-source";
    if (!is_extra && part.name.text != "url") return;
    finish_source();
    in_source_ = true;
    now_ = opam_source();
    now_.is_extra = is_extra;
    if (is_extra && part.label.kind == opam_token::end) note(part.name, "extra-source has no name");
    if (is_extra || !std::exchange(had_url_, true)) return;
    in_source_ = false;
    note(part.name, "a second section url");
  }

  void end_section() {
    finish_source();
    in_source_ = false;
  }

  void take_top_field(const opam_part& part) {
    if (part.name.text == "opam-version") {
      out_.has_version = true;
    } else if (part.name.text == "available") {
      out_.is_available = !is_false(reader_.value());
    } else if (part.name.text == "extra-sources") {
      take_extra_sources();
    } else if (is_one_of(part.name.text, {"src", "archive", "http", "git", "hg", "darcs", "local",
                                          "checksum", "mirrors"})) {
      take_source_field(part);  // of a file `url`
    }
  }

  void take_source_field(const opam_part& part) {
    const std::string_view name = part.name.text;
    if (name == "checksum") {
      for_each_string([this](const opam_lexeme& l) { take_hash(l, opam_string(l)); });
    } else if (name == "mirrors") {
      for_each_string([this](const opam_lexeme& l) { take_mirror(l); });
    } else if (is_one_of(name, {"src", "archive", "http"})) {
      take_url(part, std::nullopt);
    } else if (is_one_of(name, {"git", "hg", "darcs"})) {
      take_url(part, source_kind::version_control);
    } else if (name == "local") {
      take_url(part, source_kind::other);
    }
  }

  // A string or a list of strings; conditions are not looked at.
  template <typename F>
  void for_each_string(F f) {
    std::size_t conditions = 0;
    for (const opam_lexeme& l : reader_.value()) {
      if (l.is(opam_token::open, '{')) ++conditions;
      if (l.is(opam_token::close, '}')) --conditions;
      if (conditions != 0) continue;
      if (l.kind == opam_token::string) {
        f(l);
      } else if (l.kind != opam_token::open && l.kind != opam_token::close) {
        note(l, "a string should stand here");
      }
    }
  }

  void take_url(const opam_part& part, std::optional<source_kind> kind) {
    const values& value = reader_.value();
    if (value.size() != 1 || value[0].kind != opam_token::string) {
      note(value[0], "one string should stand here");
      return;
    }
    std::string url = opam_string(value[0]);
    url.resize(std::min(url.find('#'), url.size()));
    if (const std::string_view why = why_no_url(url); !why.empty()) {
      note(value[0], why);
    } else if (!now_.url.empty()) {
      note(part.name, "a second URL");
    } else {
      now_.kind = kind ? *kind : kind_of_url(url);
      now_.url = std::move(url);
    }
  }

  void take_mirror(const opam_lexeme& l) {
    std::string url = opam_string(l);
    url.resize(std::min(url.find('#'), url.size()));
    if (const std::string_view why = why_no_url(url); !why.empty()) {
      note(l, why);
    } else if (!url.starts_with(heritage) && kind_of_url(url) == source_kind::archive) {
      now_.mirrors.push_back(std::move(url));
    }
  }

  void take_hash(const opam_lexeme& l, const std::string& text) {
    if (const auto hash = archive_hash::parse(text)) {
      now_.hashes.push_back(*hash);
    } else {
      note(l, "no checksum: md5, sha256 or sha512 in hexadecimal digits");
    }
  }

  // [["url" "md5"] ...]; a single pair may stand without the outer list.
  void take_extra_sources() {
    std::size_t depth = 0;
    std::vector<const opam_lexeme*> pair;
    opam_source around = std::exchange(now_, opam_source());
    for (const opam_lexeme& l : reader_.value()) {
      if (l.kind == opam_token::open) ++depth;
      if (l.kind == opam_token::string) pair.push_back(&l);
      if (l.kind != opam_token::close) continue;
      --depth;
      if (pair.empty()) continue;
      take_pair(pair);
      pair.clear();
    }
    now_ = std::move(around);
  }

  void take_pair(const std::vector<const opam_lexeme*>& pair) {
    std::string url = opam_string(*pair[0]);
    url.resize(std::min(url.find('#'), url.size()));
    const std::string_view why =
        pair.size() == 2 ? why_no_url(url) : "a URL and a checksum should stand here";
    if (!why.empty()) {
      note(*pair[0], why);
      return;
    }
    now_.is_extra = true;
    now_.kind = kind_of_url(url);
    now_.url = std::move(url);
    take_hash(*pair[1], opam_string(*pair[1]));
    finish_source();
  }

  void finish_source() {
    opam_source done = std::exchange(now_, opam_source());
    if (done.url.empty()) return;
    std::sort(done.hashes.begin(), done.hashes.end());
    done.hashes.erase(std::unique(done.hashes.begin(), done.hashes.end()), done.hashes.end());
    out_.sources.push_back(std::move(done));
  }

  // Something is wrong with a value, but the syntax is right.
  void note(const opam_lexeme& at, std::string_view why) {
    if (out_.faults.size() >= most_opam_faults) return;
    try {
      reader_.fail(at, why);
    } catch (const opam_syntax_error& e) {
      out_.faults.emplace_back(e.what());
    }
  }

  opam_reader reader_;
  opam_sources out_;
  opam_source now_;
  bool in_source_ = false;
  bool had_url_ = false;
};

bool ends_like_a_repository(std::string_view url) {
  while (url.ends_with('/')) url.remove_suffix(1);
  return url.ends_with(".git") || url.ends_with(".hg") || url.ends_with("_darcs");
}

}  // namespace

source_kind kind_of_url(std::string_view url) noexcept {
  const std::size_t colon = url.find("://");
  if (colon == std::string_view::npos) {
    return url.starts_with("git@") ? source_kind::version_control : source_kind::other;
  }
  const std::string_view scheme = url.substr(0, colon);
  if (scheme == "file") return source_kind::file;
  if (scheme == "http" || scheme == "https" || scheme == "ftp") {
    return ends_like_a_repository(url) ? source_kind::version_control : source_kind::archive;
  }
  constexpr std::array<std::string_view, 6> tools{"git", "hg", "darcs", "ssh", "git+", "hg+"};
  const bool is_tool = scheme.starts_with("darcs+") ||
                       std::any_of(tools.begin(), tools.end(), [scheme](std::string_view t) {
                         return t.ends_with('+') ? scheme.starts_with(t) : scheme == t;
                       });
  return is_tool ? source_kind::version_control : source_kind::other;
}

opam_sources read_opam_sources(std::string_view text) { return source_reader(text).all(); }

}  // namespace fermata::mirror
