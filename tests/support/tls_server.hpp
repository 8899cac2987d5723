// SPDX-License-Identifier: MIT
/// A server with TLS and a certificate that it is its own authority for: of openssl, another
/// process.
#pragma once

#include "support/certificate.hpp"
#include "support/temp_repository.hpp"

#include <fermata/promise/process.hpp>

#include <array>
#include <cstddef>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

namespace fermata::test {

/// openssl's own server with a certificate of ours for 127.0.0.1; it serves files of its folder.
struct tls_server {
  temp_folder folder;
  std::optional<process> child;
  std::string address;

  promise<> start() {
    make_certificate(folder);
    fermata::command what({"openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", "ca.pem",
                           "-key", "k.pem", "-HTTP"});
    what.directory = folder.path().string();
    promise<process> starting = fermata::spawn(std::move(what));
    child = co_await std::move(starting);
    std::string text;
    while (text.find('\n', text.find("ACCEPT ")) == std::string::npos ||
           text.find("ACCEPT ") == std::string::npos) {
      std::array<std::byte, 256> room;
      promise<std::size_t> reading = child->out().read(room);
      const std::size_t n = co_await reading;
      if (n == 0) throw std::runtime_error("openssl s_server has ended");
      text.append(reinterpret_cast<const char*>(room.data()), n);
    }
    const std::size_t at = text.find("ACCEPT ") + 7;
    address = text.substr(at, text.find('\n', at) - at);
  }
};

}  // namespace fermata::test
