// SPDX-License-Identifier: MIT
#include <fermata/git_mem/failure.hpp>
#include <fermata/git_mem/pkt_line.hpp>
#include <fermata/git_mem/remote_url.hpp>

#include <algorithm>
#include <charconv>

namespace fermata::git_mem {

namespace {

[[noreturn]] void refuse(std::string_view text, std::string_view why) {
  throw failure(reason::unsupported, "cannot use " + printable(text) + ": " + std::string(why));
}

int hex_value(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string decode(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const int high = text[i] == '%' && i + 2 < text.size() ? hex_value(text[i + 1]) : -1;
    const int low = high >= 0 ? hex_value(text[i + 2]) : -1;
    if (low < 0) {
      out += text[i];
    } else {
      out += static_cast<char>(high * 16 + low);
      i += 2;
    }
  }
  return out;
}

void check_clean(std::string_view shown, std::string_view part, const char* what) {
  const bool dirty = std::any_of(part.begin(), part.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
  });
  if (dirty) refuse(shown, std::string("control characters in its ") + what);
}

// `[user@]host[:port]`, the host also in brackets.
void parse_authority(remote_url& url, std::string_view authority) {
  const std::size_t at = authority.rfind('@');
  if (at != std::string_view::npos) {
    url.user = decode(authority.substr(0, at));
    authority.remove_prefix(at + 1);
  }
  std::size_t colon = authority.rfind(':');
  if (authority.starts_with('[')) {
    const std::size_t close = authority.find(']');
    if (close == std::string_view::npos) refuse(url.text, "no ']' after the address");
    url.host = authority.substr(1, close - 1);
    colon = close + 1 < authority.size() ? close + 1 : std::string_view::npos;
    if (colon != std::string_view::npos && authority[colon] != ':') refuse(url.text, "no port");
  } else {
    url.host = authority.substr(0, colon);
  }
  if (url.host.empty() || url.host.starts_with('-')) refuse(url.text, "no host");
  if (colon == std::string_view::npos) return;
  const std::string_view port = authority.substr(colon + 1);
  const auto [end, code] = std::from_chars(port.data(), port.data() + port.size(), url.port);
  if (code != std::errc() || end != port.data() + port.size() || url.port == 0) {
    refuse(url.text, "its port is no number from 1 to 65535");
  }
}

// `host/path` behind a scheme that has both.
void parse_host_and_path(remote_url& url, std::string_view rest) {
  const std::size_t slash = rest.find('/');
  if (slash == std::string_view::npos || slash + 1 == rest.size()) refuse(url.text, "no path");
  url.path = decode(rest.substr(slash));
  if (url.path.starts_with("/~")) url.path.erase(0, 1);
  parse_authority(url, rest.substr(0, slash));
}

void parse_git(remote_url& url, std::string_view rest) {
  url.by = remote_url::transport::git;
  parse_host_and_path(url, rest);
  if (!url.user.empty()) refuse(url.text, "git:// knows no users");
}

// What ssh would take for an option of its own is none of its hosts.
void check_ssh(const remote_url& url) {
  if (url.user.starts_with('-')) refuse(url.text, "no user");
  if (url.user.find(':') != std::string::npos) refuse(url.text, "ssh takes no password");
  if (url.path.starts_with('-')) refuse(url.text, "its path begins with '-'");
}

void parse_ssh(remote_url& url, std::string_view rest) {
  url.by = remote_url::transport::ssh;
  url.port = 0;
  parse_host_and_path(url, rest);
  check_ssh(url);
}

// Those of `[host:port]` and `[user@host]` are for the colon behind them; an IPv6 address keeps its
// own.
std::string_view out_of_brackets(std::string_view authority) {
  const bool is_whole = authority.starts_with('[') && authority.ends_with(']');
  const auto colons = std::count(authority.begin(), authority.end(), ':');
  return is_whole && colons < 2 ? authority.substr(1, authority.size() - 2) : authority;
}

// `[user@]host:path`, where no slash is before the colon.
bool parse_scp(remote_url& url, std::string_view text) {
  const std::size_t close = text.find(']');
  const bool in_brackets = close != std::string_view::npos && text.find('[') < text.find('/');
  const std::size_t colon = text.find(':', in_brackets ? close : 0);
  if (colon == std::string_view::npos || (!in_brackets && colon > text.find('/'))) return false;
  url.by = remote_url::transport::ssh;
  url.port = 0;
  parse_authority(url,
                  in_brackets ? out_of_brackets(text.substr(0, colon)) : text.substr(0, colon));
  url.path = text.substr(colon + 1);
  if (url.path.empty()) refuse(url.text, "no path");
  if (url.path.starts_with(':')) refuse(url.text, "helpers of git are not run");  // ext::sh -c ..
  check_ssh(url);
  return true;
}

void parse_http(remote_url& url, std::string_view scheme, std::string_view rest) {
  url.by = remote_url::transport::http;
  const std::size_t slash = std::min(rest.find('/'), rest.size());
  const std::size_t at = rest.substr(0, slash).rfind('@');
  if (at != std::string_view::npos) {
    const std::string_view who = rest.substr(0, at);
    const std::size_t colon = std::min(who.find(':'), who.size());
    url.user = decode(who.substr(0, colon));
    url.password = decode(who.substr(std::min(colon + 1, who.size())));
    rest.remove_prefix(at + 1);
  }
  if (rest.empty() || rest.starts_with('/') || rest.starts_with(':')) refuse(url.text, "no host");
  if (rest.find('?') != std::string_view::npos) refuse(url.text, "a repository has no '?'");
  while (rest.ends_with('/')) rest.remove_suffix(1);
  url.path = std::string(scheme) + "://" + std::string(rest);
}

void parse_file(remote_url& url, std::string_view rest) {
  if (rest.starts_with("localhost/")) rest.remove_prefix(9);
  if (!rest.starts_with('/')) refuse(url.text, "file:// needs an absolute path: file:///path");
  url.path = decode(rest);
}

}  // namespace

std::string without_secrets(std::string_view text) {
  const std::size_t scheme = text.find("://");
  if (scheme == std::string_view::npos) return std::string(text);
  const std::size_t host = scheme + 3;
  const std::size_t end = std::min(text.find('/', host), text.size());
  const std::size_t at = text.substr(0, end).rfind('@');
  if (at == std::string_view::npos || at < host) return std::string(text);
  return std::string(text.substr(0, host)) + std::string(text.substr(at + 1));
}

remote_url remote_url::parse(std::string_view text) {
  remote_url url;
  const std::size_t hash = text.rfind('#');
  if (hash != std::string_view::npos) {
    url.branch = text.substr(hash + 1);
    if (url.branch.empty()) refuse(without_secrets(text), "no branch after '#'");
    text = text.substr(0, hash);
  }
  url.text = without_secrets(text);
  if (text.empty()) refuse("an empty address", "nothing is there");
  check_clean(url.text, url.branch, "branch");
  const std::size_t scheme = text.find("://");
  if (scheme != std::string_view::npos) {
    const std::string_view name = text.substr(0, scheme);
    const std::string_view rest = text.substr(scheme + 3);
    if (name == "git") {
      parse_git(url, rest);
    } else if (name == "file") {
      parse_file(url, rest);
    } else if (name == "http" || name == "https") {
      parse_http(url, name, rest);
    } else if (name == "ssh" || name == "git+ssh" || name == "ssh+git") {
      parse_ssh(url, rest);
    } else {
      refuse(url.text, "unknown scheme " + printable(name));
    }
  } else if (!parse_scp(url, text)) {
    url.path = text.starts_with('-') ? "./" + std::string(text) : std::string(text);
  }
  check_clean(url.text, url.path, "path");
  check_clean(url.text, url.host, "host");
  check_clean(url.text, url.user, "user");
  check_clean(url.text, url.password, "password");
  return url;
}

std::string daemon_request(const remote_url& url, std::string_view service) {
  std::string line = std::string(service) + " " + url.path;
  line += '\0';
  line += "host=";
  const bool v6 = url.host.find(':') != std::string::npos;
  line += v6 ? "[" + url.host + "]" : url.host;
  if (url.port != remote_url::default_port) line += ":" + std::to_string(url.port);
  line += '\0';
  line += '\0';
  line += "version=2";
  line += '\0';
  std::string out;
  append_pkt(out, line);
  return out;
}

}  // namespace fermata::git_mem
