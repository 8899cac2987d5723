// SPDX-License-Identifier: MIT
// getaddrinfo and getnameinfo, on a worker unless no query can come of it.

#include "socket_address.hpp"

#include <fermata/loop/error.hpp>
#include <fermata/promise/detach.hpp>
#include <fermata/promise/dns.hpp>

#include <fmt/format.h>
#include <netdb.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>

namespace fermata {
namespace {

using addresses = std::vector<socket_address>;

bool is_number(const std::string& text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

std::string described(const std::string& host, const std::string& service) {
  if (host.empty()) return fmt::format("cannot resolve service {}", service);
  if (service.empty()) return fmt::format("cannot resolve {}", host);
  return fmt::format("cannot resolve {} service {}", host, service);
}

// Thread: any. Blocks where the host or the service is a name.
addresses resolve_now(const std::string& host,
                      const std::string& service,
                      const resolve_options& options) {
  addrinfo hints{};
  hints.ai_family = options.family;
  hints.ai_socktype = options.kind;
  hints.ai_flags = (options.is_passive ? AI_PASSIVE : 0) |
                   (options.numeric_only ? AI_NUMERICHOST | AI_NUMERICSERV : 0);
  addrinfo* first = nullptr;
  // Without either, getaddrinfo knows nothing; a service without a number is port 0.
  const char* const port = service.empty() ? "0" : service.c_str();
  const int code = ::getaddrinfo(host.empty() ? nullptr : host.c_str(), port, &hints, &first);
  if (code != 0) throw uv_error(detail::uv_code_of(code), described(host, service));
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> all(first, &::freeaddrinfo);
  addresses found;
  for (const addrinfo* a = first; a != nullptr; a = a->ai_next) {
    socket_address address;
    if (a->ai_addrlen > sizeof address.storage) continue;
    std::memcpy(&address.storage, a->ai_addr, a->ai_addrlen);
    address.size = a->ai_addrlen;
    if (std::find(found.begin(), found.end(), address) == found.end()) found.push_back(address);
  }
  return found;
}

std::string name_of(const socket_address& address) {
  std::array<char, NI_MAXHOST> name{};
  const int code =
      ::getnameinfo(address.get(), address.size, name.data(), name.size(), nullptr, 0, NI_NAMEREQD);
  if (code != 0) {
    throw uv_error(detail::uv_code_of(code),
                   fmt::format("cannot name the host of {}", address.to_string()));
  }
  return name.data();
}

}  // namespace

promise<std::vector<socket_address>> resolve(std::string host,
                                             std::string service,
                                             resolve_options options) {
  const bool needs_no_query =
      options.numeric_only || ((host.empty() || detail::is_numeric(host)) && is_number(service));
  if (!needs_no_query) return detach(resolve_now, std::move(host), std::move(service), options);
  try {
    static_cast<void>(due(std::chrono::microseconds(3)));
    return ready(resolve_now(host, service, options));
  } catch (...) {
    return rejected<addresses>(std::current_exception());
  }
}

promise<std::string> host_name_of(socket_address address) { return detach(name_of, address); }

}  // namespace fermata
