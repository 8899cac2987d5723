// SPDX-License-Identifier: MIT
// Addresses of sockets: read, written, resolved.

#include "socket_address.hpp"

#include <fermata/loop/error.hpp>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/un.h>
#include <uv.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstring>
#include <memory>

namespace fermata {
namespace {

std::optional<std::uint16_t> parse_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (code != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return port;
}

std::string local_name(const socket_address& a) {
  const auto& name = *reinterpret_cast<const sockaddr_un*>(&a.storage);
  const std::size_t begin = offsetof(sockaddr_un, sun_path);
  if (a.size <= begin) return "unnamed";
  const std::string_view text(name.sun_path, a.size - begin);
  if (text[0] == '\0') return fmt::format("@{}", text.substr(1));
  return std::string(text.substr(0, text.find('\0')));
}

}  // namespace

std::uint16_t socket_address::port() const noexcept {
  if (family() == AF_INET6) {
    return ntohs(reinterpret_cast<const sockaddr_in6*>(&storage)->sin6_port);
  }
  if (family() != AF_INET) return 0;
  return ntohs(reinterpret_cast<const sockaddr_in*>(&storage)->sin_port);
}

std::string socket_address::to_string() const {
  if (family() == AF_UNIX) return local_name(*this);
  std::array<char, INET6_ADDRSTRLEN> text{};
  const void* bytes = nullptr;
  if (family() == AF_INET6) {
    bytes = &reinterpret_cast<const sockaddr_in6*>(&storage)->sin6_addr;
  } else if (family() == AF_INET) {
    bytes = &reinterpret_cast<const sockaddr_in*>(&storage)->sin_addr;
  }
  if (bytes == nullptr) return "unknown";
  inet_ntop(family(), bytes, text.data(), text.size());
  return detail::host_and_port(text.data(), port());
}

std::optional<socket_address> socket_address::parse(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const std::optional<std::uint16_t> port = parse_port(text.substr(colon + 1));
  std::string_view host = text.substr(0, colon);
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  if (!port || host.empty() || bracketed != (host.find(':') != std::string_view::npos)) {
    return std::nullopt;
  }
  const std::string name(host == "localhost" ? "127.0.0.1" : host);
  if (!detail::is_numeric(name)) return std::nullopt;
  const detail::resolution found = detail::resolve(name, *port);
  if (found.addresses.empty()) return std::nullopt;
  return found.addresses.front();
}

bool socket_address::operator==(const socket_address& other) const noexcept {
  return size == other.size && std::memcmp(&storage, &other.storage, size) == 0;
}

socket_address socket_address::local(std::string_view path) {
  socket_address a;
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  const bool is_abstract = path.starts_with('@');
  // An abstract name is as long as the address says, a path ends with a zero.
  const std::size_t most = sizeof name.sun_path - (is_abstract ? 0 : 1);
  if (path.size() < (is_abstract ? 2U : 1U)) {
    throw uv_error(EINVAL, fmt::format("cannot use '{}' as a socket's name", path));
  }
  if (path.size() > most || path.find('\0') != std::string_view::npos) {
    throw uv_error(path.size() > most ? ENAMETOOLONG : EINVAL, fmt::format("cannot use {}", path));
  }
  std::memcpy(name.sun_path, path.data(), path.size());
  if (is_abstract) name.sun_path[0] = '\0';
  a.size =
      static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + (is_abstract ? 0 : 1));
  std::memcpy(&a.storage, &name, a.size);
  return a;
}

socket_address socket_address::of_socket(int fd) {
  socket_address a;
  a.size = sizeof a.storage;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&a.storage), &a.size) < 0) {
    throw errno_error("cannot read the address of a socket");
  }
  return a;
}

namespace detail {

int uv_code_of(int code) noexcept {
  switch (code) {
    case EAI_AGAIN:
      return UV_EAI_AGAIN;
    case EAI_FAIL:
      return UV_EAI_FAIL;
    case EAI_FAMILY:
      return UV_EAI_FAMILY;
    case EAI_MEMORY:
      return UV_EAI_MEMORY;
    case EAI_SERVICE:
      return UV_EAI_SERVICE;
    case EAI_SYSTEM:
      return -errno;
    default:
      return UV_EAI_NONAME;
  }
}

std::string host_and_port(std::string_view host, std::uint16_t port) {
  if (host.find(':') == std::string_view::npos) return fmt::format("{}:{}", host, port);
  return fmt::format("[{}]:{}", host, port);
}

bool is_numeric(const std::string& host) {
  std::array<std::byte, sizeof(in6_addr)> bytes;
  return inet_pton(AF_INET, host.c_str(), bytes.data()) == 1 ||
         inet_pton(AF_INET6, host.c_str(), bytes.data()) == 1;
}

resolution resolve(const std::string& host, std::uint16_t port) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV | (is_numeric(host) ? AI_NUMERICHOST : 0);
  addrinfo* first = nullptr;
  const int code = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &first);
  if (code != 0) return {uv_code_of(code), {}};
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> all(first, &::freeaddrinfo);
  resolution found;
  for (const addrinfo* a = first; a != nullptr; a = a->ai_next) {
    socket_address address;
    std::memcpy(&address.storage, a->ai_addr, a->ai_addrlen);
    address.size = a->ai_addrlen;
    found.addresses.push_back(address);
  }
  return found;
}

}  // namespace detail

}  // namespace fermata
