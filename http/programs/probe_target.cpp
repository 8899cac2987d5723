// SPDX-License-Identifier: MIT
#include "probe_target.hpp"

#include <fermata/loop/error.hpp>

#include <netdb.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string_view>

namespace fermata::http {

probe_target probe_target::parse(const std::string& url) {
  const std::string text = "cannot probe " + url + ": ";
  const std::string_view scheme = "http://";
  if (!url.starts_with(scheme)) throw error(text + "the URL does not begin with http://");
  probe_target t;
  const std::size_t slash = std::min(url.find('/', scheme.size()), url.size());
  t.authority = url.substr(scheme.size(), slash - scheme.size());
  if (slash < url.size()) t.path = url.substr(slash);
  const auto printable = [](char c) { return c > 0x20 && c < 0x7f; };
  if (!std::all_of(url.begin(), url.end(), printable))
    throw error(text + "a character in it must be encoded");
  const std::size_t bracket = t.authority.rfind(']');
  const std::size_t colon = t.authority.find(':', bracket == std::string::npos ? 0 : bracket);
  t.host = t.authority.substr(0, colon);
  if (colon != std::string::npos) t.port = t.authority.substr(colon + 1);
  if (t.host.starts_with('[')) t.host = t.host.substr(1, t.host.size() - 2);
  if (t.host.empty() || t.port.empty()) throw error(text + "no host or no port");
  return t;
}

probe_address resolve(const probe_target& target) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int code = getaddrinfo(target.host.c_str(), target.port.c_str(), &hints, &found);
  if (code != 0) throw error("cannot resolve " + target.authority + ": " + gai_strerror(code));
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(found, &freeaddrinfo);
  probe_address a;
  std::memcpy(&a.bytes, found->ai_addr, found->ai_addrlen);
  a.size = found->ai_addrlen;
  return a;
}

}  // namespace fermata::http
