// SPDX-License-Identifier: MIT
/// How many requests a client may make: a rate in the long run, and some at once.
///
/// Shape:   the generic cell rate algorithm (ITU-T I.371): one time is kept for each client.
/// Bounds:  `most_clients` are known; who was not seen for longest is forgotten, and forgiven.
/// Pauses:  never.
/// Thread:  the owner's.
/// Cost:    O(1), an allocation for a client that is not known.
#pragma once

#include <fermata/loop/time_source.hpp>

#include <chrono>
#include <cstddef>
#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace fermata::http {

/// The address of a peer without its port; of IPv6 its /64, which one client may have all of.
[[nodiscard]] std::string client_address(std::string_view peer);

class client_limiter {
public:
  static constexpr std::size_t most_clients = 65'536;

  /// `rate` requests a second in the long run, `burst` at once.
  client_limiter(double rate, std::size_t burst);

  /// None: the request may be answered. Else: how long the client is to wait.
  [[nodiscard]] std::optional<std::chrono::nanoseconds> judge(const std::string& client,
                                                              time_point now);
  [[nodiscard]] std::size_t size() const noexcept { return clients_.size(); }

private:
  struct known {
    std::string name;
    time_point paid_until;
  };
  std::chrono::nanoseconds each_;
  std::chrono::nanoseconds ahead_;  // how far `paid_until` may lie ahead
  std::list<known> clients_;        // the last one seen first
  std::unordered_map<std::string_view, std::list<known>::iterator> by_name_;
};

}  // namespace fermata::http
