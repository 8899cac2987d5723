// SPDX-License-Identifier: MIT
// A service on a loop, repositories to serve, and a client that asks it.
#pragma once

#include "support/policy.hpp"
#include "support/temp_repository.hpp"

#include <fermata/loop/event_loop.hpp>
#include <fermata/mirror/service.hpp>
#include <fermata/promise/stream.hpp>
#include <fermata/promise/tcp.hpp>

#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fermata::mirror::test {

using fermata::test::temp_folder;

/// A small opam repository in `r` of a folder, on the branch `master`.
inline void make_repository(const temp_folder& folder) {
  folder.run("git init -q --initial-branch=master r");
  folder.write("r/packages/a/a.1/opam", "opam-version: \"2.0\"\nsynopsis: \"one\"\n");
  folder.write("r/packages/a/a.2/opam", "opam-version: \"2.0\"\nsynopsis: \"two\"\n");
  folder.write("r/packages/b/b.1/files/run.sh", "#!/bin/sh\n");
  folder.write("r/packages/b/b.1/opam", "opam-version: \"2.0\"\nsynopsis: \"b\"\n");
  folder.write("r/README", "not for the index\n");
  folder.write("r/repo", "opam-version: \"2.0\"\nbrowse: \"https://example.org\"\n");
  folder.write("r/version", "0.9.0\n");
  folder.run("chmod +x r/packages/b/b.1/files/run.sh && cd r && git add . && git commit -q -m 1");
}

inline std::string head_of(const temp_folder& folder) {
  std::string hex = folder.output("git -C r rev-parse HEAD");
  hex.pop_back();
  return hex;
}

/// A new version of package a.
inline void add_commit(const temp_folder& folder, const std::string& version) {
  folder.write("r/packages/a/a." + version + "/opam", "opam-version: \"2.0\"\n");
  folder.run("cd r && git add . && git commit -q -m " + version);
}

struct answer {
  int status = 0;
  std::string head;  ///< status line and fields
  std::string body;

  [[nodiscard]] std::string field(std::string_view name) const {
    const std::size_t at = head.find("\r\n" + std::string(name) + ": ");
    if (at == std::string::npos) return {};
    const std::size_t from = at + name.size() + 4;
    return head.substr(from, head.find("\r\n", from) - from);
  }
};

inline answer read_answer(const std::string& text) {
  answer a;
  const std::size_t end = text.find("\r\n\r\n");
  if (end == std::string::npos) throw std::runtime_error("no answer: " + text);
  a.head = text.substr(0, end + 2);
  a.body = text.substr(end + 4);
  a.status = std::stoi(a.head.substr(9, 3));
  return a;
}

inline std::string request_text(std::string_view method,
                                std::string_view path,
                                std::string_view fields) {
  return std::string(method) + " " + std::string(path) + " HTTP/1.1\r\nHost: mirror.test:80\r\n" +
         "Connection: close\r\n" + std::string(fields) + "\r\n";
}

/// Asks what listens on a port of this machine.
inline promise<answer> ask_port(std::uint16_t port,
                                std::string method,
                                std::string path,
                                std::string fields = "",
                                std::string body = "") {
  promise<std::unique_ptr<byte_stream>> connected =
      tcp_connect("127.0.0.1", port, connect_options());
  const std::unique_ptr<byte_stream> stream = co_await std::move(connected);
  promise<> sent = write_text(*stream, request_text(method, path, fields) + body);
  co_await sent;
  promise<std::string> received = read_to_end(*stream, std::size_t{64} << 20);
  const std::string text = co_await received;
  co_return read_answer(text);
}

/// The port of `127.0.0.1:8080`.
inline std::uint16_t port_of(const std::string& address) {
  return static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1)));
}

/// Events of a service, in order; who waits for one takes it out.
class events {
public:
  void happen(std::string what) {
    all_.push_back(std::move(what));
    if (wake_) wake_.resolve();
    if (listener) listener(all_.back());
  }
  /// Told of each event as it happens.
  std::function<void(const std::string&)> listener;
  /// The next event that begins with `prefix`; those before it are dropped.
  promise<std::string> next(std::string prefix) {
    for (;;) {
      while (seen_ < all_.size()) {
        const std::string event = all_[seen_++];
        if (event.starts_with(prefix)) co_return event;
      }
      auto [woken, wake] = make_promise<>();
      wake_ = std::move(wake);
      co_await woken;
    }
  }
  [[nodiscard]] const std::vector<std::string>& all() const { return all_; }
  [[nodiscard]] std::size_t count(std::string_view prefix) const {
    std::size_t n = 0;
    for (const std::string& event : all_) n += event.starts_with(prefix) ? 1 : 0;
    return n;
  }

private:
  std::vector<std::string> all_;
  std::size_t seen_ = 0;
  resolver<> wake_;
};

/// A service that runs, on a loop of its own. Events: `served COMMIT`, `phase NAME`, and log lines
/// of warnings and errors (`error TEXT`).
struct site {
  explicit site(service_options options, loop_options given = testing::options_of_run())
      : loop(logging(std::move(given), happened)), mirror(hooked(std::move(options), *this)) {
    loop.run([this] {
      address = mirror.listen("127.0.0.1:0");
      working = mirror.run();
    });
  }
  ~site() {
    loop.run([this] { return end(); });
  }

  promise<answer> ask(std::string method, std::string path, std::string fields = "") {
    return ask_port(port(), std::move(method), std::move(path), std::move(fields));
  }
  answer get(std::string path, std::string fields = "") {
    return loop.run([&] { return ask("GET", path, fields); });
  }
  answer post(std::string path) {
    return loop.run([&] { return ask("POST", path, "Content-Length: 0\r\n"); });
  }
  std::string wait_for(std::string event) {
    return loop.run([&] { return happened.next(event); });
  }
  [[nodiscard]] std::uint16_t port() const { return port_of(address); }

  events happened;
  event_loop loop;
  service mirror;
  std::string address;
  promise<> working;

private:
  static loop_options logging(loop_options options, events& to) {
    options.log = [&to](log_level level, std::string_view, std::string_view message) {
      if (level > log_level::warn) return;
      to.happen(std::string(to_string(level)) + " " + std::string(message));
    };
    return options;
  }
  static service_options hooked(service_options options, site& s) {
    options.on_served = [&s](const generation& g) { s.happened.happen("served " + g.commit); };
    options.on_phase = [&s](const phase_report& r) {
      s.happened.happen("phase " + std::string(r.phase) + " looks " + std::to_string(r.looks));
    };
    return options;
  }
  promise<> end() {
    cancel(working);
    promise<> ended = working.catch_([](std::exception_ptr) { return ready(); });
    co_await ended;
    promise<> closed = mirror.shutdown(std::chrono::seconds(0));
    co_await closed;
  }
};

inline service_options options_for(std::string remote) {
  service_options options;
  options.remote = std::move(remote);
  options.version = "1.2.3";
  options.first_delay = std::chrono::hours(1);  // tests ask for what they want
  options.longest_delay = std::chrono::hours(1);
  return options;
}

inline service_options options_for(const temp_folder& folder) {
  return options_for((folder.path() / "r").string());
}

/// With what is kept in `data` beside the repository.
inline service_options options_with_data(const temp_folder& folder) {
  service_options options = options_for(folder);
  options.data_directory = (folder.path() / "data").string();
  return options;
}

}  // namespace fermata::mirror::test
