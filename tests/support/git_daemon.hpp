// SPDX-License-Identifier: MIT
/// A real `git daemon` on loopback, for as long as a test uses it.
#pragma once

#include <fermata/promise/process.hpp>
#include <fermata/promise/tcp.hpp>

#include <csignal>
#include <filesystem>
#include <functional>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace fermata::test {

namespace detail {

// It says so once it listens.
inline promise<> until_ready(process& daemon) {
  std::string said;
  std::vector<std::byte> piece(512);
  while (said.find("Ready to rumble") == std::string::npos) {
    promise<std::size_t> reading = daemon.err().read(piece);
    const std::size_t n = co_await reading;
    if (n == 0) throw std::runtime_error("git daemon: " + said);
    said.append(reinterpret_cast<const char*>(piece.data()), n);
  }
}

}  // namespace detail

/// Calls `use` with the URL of the folder, whose repositories are all served; `more` are options of
/// the daemon.
inline promise<> with_git_daemon(std::filesystem::path base,
                                 std::vector<std::string> more,
                                 std::function<promise<>(std::string)> use) {
  const std::uint16_t port = tcp_listener("127.0.0.1:0").port();
  command c({"git", "daemon", "--reuseaddr", "--export-all", "--verbose", "--listen=127.0.0.1",
             "--port=" + std::to_string(port), "--base-path=" + base.string()});
  c.argv.insert(c.argv.end(), more.begin(), more.end());
  c.own_group = true;
  c.in = c.out = stdio::null;
  c.err = stdio::pipe;
  promise<process> started = spawn(std::move(c));
  process daemon = co_await std::move(started);
  promise<> ready = detail::until_ready(daemon);
  co_await ready;
  promise<> used = use("git://127.0.0.1:" + std::to_string(port));
  co_await used;
  promise<exit_status> stopped = daemon.stop();
  co_await stopped;
}

}  // namespace fermata::test
