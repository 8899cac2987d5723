// SPDX-License-Identifier: MIT
// Rates of clients, in bounded memory: who was not seen for longest is forgotten.

#include <fermata/http/client_limiter.hpp>

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace fermata::http {

std::string client_address(std::string_view peer) {
  if (!peer.starts_with('[')) return std::string(peer.substr(0, peer.rfind(':')));
  const std::string inside(peer.substr(1, peer.find(']') - 1));
  std::array<unsigned char, 16> bytes{};
  if (inet_pton(AF_INET6, inside.c_str(), bytes.data()) != 1) return inside;
  std::fill(bytes.begin() + 8, bytes.end(), 0);
  std::array<char, INET6_ADDRSTRLEN> text{};
  inet_ntop(AF_INET6, bytes.data(), text.data(), text.size());
  return std::string(text.data()) + "/64";
}

client_limiter::client_limiter(double rate, std::size_t burst)
    : each_(std::max<std::int64_t>(1, std::llround(1e9 / rate))),
      ahead_(each_ * static_cast<std::int64_t>(std::max<std::size_t>(burst, 1) - 1)) {}

std::optional<std::chrono::nanoseconds> client_limiter::judge(const std::string& client,
                                                              time_point now) {
  const auto at = by_name_.find(client);
  if (at == by_name_.end()) {
    if (clients_.size() >= most_clients) {
      by_name_.erase(clients_.back().name);
      clients_.pop_back();
    }
    clients_.push_front({client, now});
    by_name_.emplace(clients_.front().name, clients_.begin());
  } else {
    clients_.splice(clients_.begin(), clients_, at->second);
  }
  time_point& paid_until = clients_.front().paid_until;
  const time_point from = std::max(paid_until, now);
  if (from - now > ahead_) return from - now - ahead_;
  paid_until = from + each_;
  return std::nullopt;
}

}  // namespace fermata::http
