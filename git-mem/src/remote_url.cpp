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

// `user:password@` is nobody's business.
std::string without_secrets(std::string_view text) {
  const std::size_t scheme = text.find("://");
  if (scheme == std::string_view::npos) return std::string(text);
  const std::size_t host = scheme + 3;
  const std::size_t end = std::min(text.find('/', host), text.size());
  const std::size_t at = text.substr(0, end).rfind('@');
  if (at == std::string_view::npos || at < host) return std::string(text);
  return std::string(text.substr(0, host)) + std::string(text.substr(at + 1));
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

void parse_git(remote_url& url, std::string_view rest) {
  const std::size_t slash = rest.find('/');
  std::string_view authority = rest.substr(0, slash);
  if (slash == std::string_view::npos || slash + 1 == rest.size()) refuse(url.text, "no path");
  url.by = remote_url::transport::git;
  url.path = decode(rest.substr(slash));
  if (url.path.starts_with("/~")) url.path.erase(0, 1);
  if (authority.find('@') != std::string_view::npos) refuse(url.text, "git:// knows no users");
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

void parse_file(remote_url& url, std::string_view rest) {
  if (rest.starts_with("localhost/")) rest.remove_prefix(9);
  if (!rest.starts_with('/')) refuse(url.text, "file:// needs an absolute path: file:///path");
  url.path = decode(rest);
}

}  // namespace

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
    } else if (name == "http" || name == "https" || name == "ssh") {
      refuse(url.text, std::string(name) + " is not supported yet, only git:// and local paths");
    } else {
      refuse(url.text, "unknown scheme " + printable(name));
    }
  } else {
    const std::size_t colon = text.find(':');
    if (colon != std::string_view::npos && colon < text.find('/')) {
      refuse(url.text, "ssh is not supported yet, only git:// and local paths");
    }
    url.path = text.starts_with('-') ? "./" + std::string(text) : std::string(text);
  }
  check_clean(url.text, url.path, "path");
  check_clean(url.text, url.host, "host");
  return url;
}

std::string daemon_request(const remote_url& url) {
  std::string line = "git-upload-pack " + url.path;
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
