// SPDX-License-Identifier: MIT
// A row knows its member of `mirror_options` and how that is read and written; nothing else does.

#include "option_table.hpp"

#include "own_paths.hpp"
#include "units.hpp"

#include <fermata/git_mem/remote_url.hpp>
#include <fermata/loop/error.hpp>
#include <fermata/mirror/pages.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

namespace fermata::mirror {
namespace {

using texts = std::vector<std::string>;

template <typename Number>
std::optional<Number> parse_number(std::string_view text) {
  Number n{};
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (code != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return n;
}

// Each reads a value and gives what is wrong with it, or nothing.

std::string read_into(std::string& to, const std::string& text) {
  if (text.find_first_of("\n\r\0", 0, 3) != std::string::npos) return "is more than one line";
  to = text;
  return {};
}
std::string read_into(std::uint32_t& to, const std::string& text) {
  const auto n = parse_number<std::uint32_t>(text);
  if (!n) return "is no whole number from 0 to 4294967295";
  to = *n;
  return {};
}
std::string read_into(double& to, const std::string& text) {
  const auto n = parse_number<double>(text);
  if (!n || !(*n >= 0 && *n <= 100)) return "is no number from 0 to 100";
  to = *n;
  return {};
}
std::string read_into(std::chrono::nanoseconds& to, const std::string& text) {
  const auto d = parse_duration(text);
  if (!d) return "is no duration such as 500ms, 10s, 5min, 1h or 7d";
  to = *d;
  return {};
}
std::string read_into(std::uint64_t& to, const std::string& text) {
  const auto n = parse_bytes(text);
  if (!n) return "is no size such as 64KiB, 10MB or 2GiB";
  to = *n;
  return {};
}
std::string read_into(policy& to, const std::string& text) {
  try {
    to = policy::parse(text);
  } catch (const contract_error&) {
    return "is none of greedy, each_bind, quanta=<n>, budget=<microseconds>, always";
  }
  return {};
}
std::string read_into(log_format& to, const std::string& text) {
  if (text != "text" && text != "json") return "is none of text, json";
  to = text == "json" ? log_format::json : log_format::text;
  return {};
}
std::string read_into(log_level& to, const std::string& text) {
  for (const log_level l : {log_level::error, log_level::warn, log_level::info, log_level::debug}) {
    if (text == to_string(l)) {
      to = l;
      return {};
    }
  }
  return "is none of error, warn, info, debug";
}

texts written(const std::string& s) { return s.empty() ? texts{} : texts{s}; }
texts written(std::uint32_t n) { return {std::to_string(n)}; }
texts written(double n) { return {fmt::format("{:g}", n)}; }
texts written(std::chrono::nanoseconds d) { return {duration_text(d)}; }
texts written(std::uint64_t n) { return {bytes_text(n)}; }
texts written(const policy& p) { return {p.to_string()}; }
texts written(log_format f) { return {f == log_format::json ? "json" : "text"}; }
texts written(log_level l) { return {std::string(to_string(l))}; }

template <typename T>
constexpr value_kind kind_of = value_kind::text;
template <>
constexpr value_kind kind_of<std::uint32_t> = value_kind::number;
template <>
constexpr value_kind kind_of<double> = value_kind::number;

struct words {
  std::string_view name;
  std::string_view value;
  std::string_view help;
};

using check = std::string (*)(const std::string&);

std::string anything(const std::string&) { return {}; }

std::string complaint(const words& w, const std::string& text, const std::string& why) {
  return why.empty() ? std::string()
                     : fmt::format("--{} {} {}", w.name, git_mem::without_secrets(text), why);
}

template <typename T>
option_row row(words w, T mirror_options::*member, check is_wrong = anything) {
  option_row r;
  r.name = w.name;
  r.value = w.value;
  r.help = w.help;
  r.kind = kind_of<T>;
  r.set = [w, member, is_wrong](mirror_options& o, const texts& given) {
    const std::string& text = given.back();
    const std::string why = read_into(o.*member, text);
    // A check of numbers knows narrower bounds.
    const bool is_checked = why.empty() || kind_of<T> == value_kind::number;
    const std::string narrower = is_checked ? is_wrong(text) : "";
    return complaint(w, text, narrower.empty() ? why : narrower);
  };
  r.get = [member](const mirror_options& o) { return written(o.*member); };
  return r;
}

option_row row(words w, bool mirror_options::*member) {
  option_row r;
  r.name = w.name;
  r.help = w.help;
  r.kind = value_kind::flag;
  r.set = [w, member](mirror_options& o, const texts& given) {
    if (!given.empty() && given.back() != "true" && given.back() != "false") {
      return complaint(w, given.back(), "is none of true, false");
    }
    o.*member = given.empty() || given.back() == "true";
    return std::string();
  };
  r.get = [member](const mirror_options& o) { return texts{o.*member ? "true" : "false"}; };
  return r;
}

option_row row(words w, texts mirror_options::*member, check is_wrong) {
  option_row r;
  r.name = w.name;
  r.value = w.value;
  r.help = w.help;
  r.kind = value_kind::list;
  r.set = [w, member, is_wrong](mirror_options& o, const texts& given) {
    for (const std::string& text : given) {
      if (std::string why = is_wrong(text); !why.empty()) return complaint(w, text, why);
    }
    o.*member = given;
    return std::string();
  };
  r.get = [member](const mirror_options& o) { return o.*member; };
  return r;
}

std::string not_listenable(const std::string& text) {
  const std::string why = "has not the form address:port";
  const std::size_t colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0) return why;
  if (!parse_number<std::uint16_t>(std::string_view(text).substr(colon + 1))) return why;
  const std::string address = text.substr(0, colon);
  if (address.starts_with('[') && address.size() > 2) return address.ends_with(']') ? "" : why;
  // IPv6 without brackets: nobody can say where the port begins
  return address.find(':') == std::string::npos ? "" : why;
}

// As a request names it: without what needs an escape, and without empty or dotted segments.
std::string no_path(const std::string& text) {
  const bool is_plain = std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("/-._~!$&'()*+,;=:@").find(c) != std::string_view::npos;
  });
  const std::string closed = text + "/";
  const auto has = [&closed](std::string_view part) { return closed.find(part) != closed.npos; };
  if (!is_plain || !text.starts_with('/') || has("//") || has("/./") || has("/../")) {
    return "is no path";
  }
  return is_own_path(text) ? "is a path that the mirror serves itself" : "";
}

std::string no_mirror(const std::string& text) {
  const bool is_url = text.starts_with("https://") || text.starts_with("http://");
  return is_url && text.find_first_of("\" \n") == std::string::npos ? "" : "is no http(s):// URL";
}

// People paste it into a shell.
std::string no_public_url(const std::string& text) {
  if (text.empty()) return {};
  const std::string why = "is no https:// or http:// URL of a host and a path";
  std::string_view rest = text;
  if (rest.starts_with("https://")) {
    rest.remove_prefix(8);
  } else if (rest.starts_with("http://")) {
    rest.remove_prefix(7);
  } else {
    return why;
  }
  const std::size_t slash = std::min(rest.find('/'), rest.size());
  const bool is_plain =
      std::all_of(rest.begin() + static_cast<std::ptrdiff_t>(slash), rest.end(), [](char c) {
        return c == '/' || is_plain_host({&c, 1});
      });
  return is_plain && is_plain_host(rest.substr(0, slash)) ? "" : why;
}

std::string no_loop(const std::string& text) {
  const auto n = parse_number<std::uint32_t>(text);
  return n && *n >= 1 && *n <= 256 ? "" : "is no whole number from 1 to 256";
}

std::string no_field(const std::string& text) {
  const bool is_token = !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
  });
  return is_token ? "" : "is no name of a field";
}

std::string no_cache(const std::string& text) {
  return text.starts_with("file://") ? "" : no_mirror(text);
}

// Within the comment of a User-Agent.
std::string no_contact(const std::string& text) {
  const bool is_plain = std::all_of(text.begin(), text.end(), [](char c) {
    return c > ' ' && c < 0x7f && c != '(' && c != ')' && c != '\\';
  });
  return is_plain ? "" : "is no address or URL";
}

std::string no_thread(const std::string& text) { return text == "0" ? "is not enough" : ""; }

std::string no_time(const std::string& text) {
  return parse_duration(text)->count() == 0 ? "is not enough" : "";
}

std::string no_head(const std::string& text) {
  return *parse_bytes(text) < http::parser_limits::least_header_bytes ? "is not enough" : "";
}

constexpr std::string_view mirrored = "What is mirrored";
constexpr std::string_view serving = "Serving";
constexpr std::string_view updates = "Updates";
constexpr std::string_view logs = "Logs";

using o = mirror_options;

std::vector<option_row> mirrored_rows() {
  return {
      row({"remote", "<url[#branch]>", "the opam repository's git URL or path"}, &o::remote),
      row({"depth", "<n>", "commits to keep of the history, 0 is all"}, &o::depth),
      row({"data", "<folder>", "what survives a restart is kept here"}, &o::data_directory),
      row({"archive-mirror", "<url>", "a further archive mirror that clients are told of"},
          &o::archive_mirrors, no_mirror),
      row({"ca-file", "<file>", "PEM of further authorities to trust, for https"}, &o::ca_file),
  };
}

std::vector<option_row> archive_rows() {
  return {
      row({"skip-download", "", "fetch only archives that are asked for"}, &o::skip_download),
      row({"offline", "", "fetch no archives, serve what is stored"}, &o::offline),
      row({"check", "", "verify all that is stored at the start, mend it"}, &o::check),
      row({"upstream-cache", "<url>", "a cache to try where an archive's own URLs fail"},
          &o::upstream_caches, no_cache),
      row({"contact", "<address>", "who runs this, for the servers that it downloads from"},
          &o::contact, no_contact),
      row({"download-jobs", "<n>", "downloads at once, an eighth kept for what is asked for"},
          &o::download_jobs, no_thread),
      row({"per-host", "<n>", "of them from one host, a fourth kept likewise"}, &o::per_host,
          no_thread),
      row({"download-rate", "<size>", "a second, of all downloads together; 0 is any"},
          &o::download_rate),
      row({"max-archive", "<size>", "a larger one is not taken"}, &o::largest_archive),
      row({"download-timeout", "<duration>", "for one URL of an archive"}, &o::download_time,
          no_time),
      row({"keep-days", "<n>", "archives that no package names any more are kept so long"},
          &o::keep_days),
      row({"quota", "<size>", "of all archives, what has no room waits; 0 is no limit"},
          &o::quota_bytes),
      row({"scrub-rate", "<size>", "a second to verify in the background, 0 is none"},
          &o::scrub_rate),
      row({"allow-file", "", "archives and caches may have file:// URLs"}, &o::allow_file),
  };
}

std::vector<option_row> serving_rows() {
  return {
      row({"listen", "<address:port>", "where to serve, port 0 is any free one"}, &o::listen,
          not_listenable),
      row({"policy", "<policy>", "when work gives the thread back"}, &o::work_policy),
      row({"loops", "<n>", "threads that answer, for as many cores"}, &o::loops, no_loop),
      row({"threads", "<n>", "threads for detached work, at most"}, &o::threads, no_thread),
      row({"max-connections", "<n>", "one more gets 503 and is closed"}, &o::most_connections,
          no_thread),
      row({"max-connections-per-client", "<n>",
           "of one address and loop, one more gets 503; 0 is any"},
          &o::most_connections_per_client),
      row({"max-requests", "<n>", "under way at once, one more gets 503; 0 is any"},
          &o::most_requests),
      row({"client-rate", "<n>", "requests a second of a client to a loop, more get 429; 0 is any"},
          &o::client_rate),
      row({"client-burst", "<n>", "requests that it may ask at once before that"}, &o::client_burst,
          no_thread),
      row({"client-header", "<field>", "in which a proxy names the client: X-Forwarded-For"},
          &o::client_header, no_field),
      row({"public-url", "<url>", "of this mirror, in the commands that its pages show"},
          &o::public_url, no_public_url),
      row({"max-header", "<size>", "the largest head of a request, else 431"},
          &o::most_header_bytes, no_head),
      row({"max-body", "<size>", "the largest body of a request, else 413"}, &o::most_body_bytes),
      row({"header-timeout", "<duration>", "for the head of a request, else 408"}, &o::header_time,
          no_time),
      row({"body-timeout", "<duration>", "for the body of a request, else 408"}, &o::body_time,
          no_time),
      row({"idle-timeout", "<duration>", "between two requests of a connection"}, &o::idle_time,
          no_time),
      row({"write-timeout", "<duration>", "for 64 KiB of an answer to be taken"}, &o::write_time,
          no_time),
      row({"no-git", "", "no git clone of /repository.git"}, &o::no_git),
      row({"drain", "<duration>", "at the end, for answers that have begun"}, &o::drain_time),
  };
}

std::vector<option_row> update_rows() {
  return {
      row({"update-interval", "<duration>", "between two updates, 0 is only when asked"},
          &o::update_interval),
      row({"update-path", "<path>", "where POST asks for an update"}, &o::update_path, no_path),
      row({"update-secret-file", "<file>", "who asks must know what it holds"},
          &o::update_secret_file),
      row({"update-pause", "<duration>", "least time between two updates, however often asked"},
          &o::update_pause),
      row({"update-timeout", "<duration>", "after which an update is given up"}, &o::update_time,
          no_time),
      row({"connect-timeout", "<duration>", "to reach the remote"}, &o::connect_time, no_time),
      row({"stall-timeout", "<duration>", "without a byte from the remote"}, &o::stall_time,
          no_time),
      row({"retry-delay", "<duration>", "after a failure, doubled each time"}, &o::first_delay,
          no_time),
      row({"max-retry-delay", "<duration>", "up to this"}, &o::longest_delay, no_time),
      row({"jitter", "<percent>", "by which interval and delays are spread"}, &o::jitter_percent),
  };
}

std::vector<option_row> log_rows() {
  return {
      row({"log-format", "<format>", "text or json, one record a line"}, &o::format),
      row({"log-level", "<level>", "error, warn, info or debug"}, &o::most_logged),
      row({"quiet", "", "no progress, warnings and errors alone"}, &o::quiet),
      row({"access-log", "<file>", "requests in the combined format, - is standard output"},
          &o::access_log),
  };
}

constexpr std::string_view common[] = {
    "remote", "data",  "listen", "update-interval", "update-secret-file",
    "policy", "depth", "quiet"};

}  // namespace

const std::vector<option_row>& option_table() {
  static const std::vector<option_row> table = [] {
    std::vector<option_row> all;
    const auto take = [&all](std::string_view section, std::vector<option_row> rows) {
      for (option_row& r : rows) {
        r.section = section;
        r.is_common = std::find(std::begin(common), std::end(common), r.name) != std::end(common);
        all.push_back(std::move(r));
      }
    };
    take(mirrored, mirrored_rows());
    take(archive_section, archive_rows());
    take(serving, serving_rows());
    take(updates, update_rows());
    take(logs, log_rows());
    return all;
  }();
  return table;
}

const std::vector<action_row>& action_table() {
  static const std::vector<action_row> table{
      {"config", "<file>", "options from a TOML file; --quiet=false and the like win", true},
      {"check-config", "", "says whether the options are right, and ends", false},
      {"print-config", "", "a complete, commented configuration file", true},
      {"help", "", "the options that most need", true},
      {"help-all", "", "all options", true},
      {"version", "", "name and version", true},
      {"print-manual", "", "the manual page, for man(1)", false},
      {"print-completion", "<shell>", "completions for bash, zsh or fish", false},
  };
  return table;
}

}  // namespace fermata::mirror
