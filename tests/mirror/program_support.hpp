// SPDX-License-Identifier: MIT
// Programs as children: fermata-mirror, git daemon, opam.
#pragma once

#include "service_support.hpp"
#include "support/places.hpp"

#include <fermata/promise/process.hpp>
#include <fermata/promise/sleep.hpp>

#include <csignal>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace fermata::mirror::test {

struct ended {
  exit_status how;
  std::string out;
  std::string err;
};

inline promise<ended> run_to_end(command c) {
  c.in = stdio::null;
  c.out = stdio::pipe;
  c.err = stdio::pipe;
  promise<process> starting = spawn(std::move(c));
  process child = co_await std::move(starting);
  promise<std::string> out = read_to_end(child.out(), std::size_t{16} << 20);
  promise<std::string> err = read_to_end(child.err(), std::size_t{16} << 20);
  ended e;
  e.out = co_await out;
  e.err = co_await err;
  promise<exit_status> ends = child.wait();
  e.how = co_await ends;
  co_return e;
}

inline std::string mirror_program() { return fermata::test::binary_dir() + "/bin/fermata-mirror"; }

inline ended run_mirror(std::vector<std::string> arguments) {
  event_loop loop(testing::options_of_run());
  arguments.insert(arguments.begin(), mirror_program());
  return loop.run([&] { return run_to_end(command(arguments)); });
}

/// fermata-mirror, running.
class mirror_process {
public:
  /// `shell` is run before it, such as `ulimit -n 100`.
  explicit mirror_process(std::vector<std::string> arguments,
                          std::vector<std::string> environment = {},
                          const std::string& shell = "")
      : loop_(testing::options_of_run()) {
    arguments.insert(arguments.begin(), {mirror_program(), "--listen", "127.0.0.1:0"});
    if (!shell.empty()) {
      arguments.insert(arguments.begin(), {"sh", "-c", shell + "; exec \"$0\" \"$@\""});
    }
    command c(std::move(arguments));
    c.in = stdio::null;
    c.err = stdio::tail;
    c.environment = std::move(environment);
    child_.emplace(loop_.run([&] { return spawn(std::move(c)); }));
    const std::string said = line();
    const std::string form = "listening on http://";
    if (!said.starts_with(form)) throw std::runtime_error("unexpected: " + said);
    authority_ = said.substr(form.size());
  }

  /// The next line of its standard output, without its end; empty at the end.
  std::string line() {
    return loop_.run([this] { return read_line(); });
  }
  [[nodiscard]] const std::string& authority() const { return authority_; }
  [[nodiscard]] std::string url() const { return "http://" + authority_; }
  exit_status stop(int signal) {
    child_->kill(signal);
    return loop_.run([this] { return child_->wait(); });
  }
  event_loop& loop() { return loop_; }

private:
  promise<std::string> read_line() {
    for (;;) {
      const std::size_t end = text_.find('\n');
      if (end != std::string::npos) {
        std::string first = text_.substr(0, end);
        text_.erase(0, end + 1);
        co_return first;
      }
      std::string piece(4096, '\0');
      promise<std::size_t> reading =
          child_->out().read(std::as_writable_bytes(std::span<char>(piece)));
      const std::size_t n = co_await reading;
      if (n == 0) co_return std::exchange(text_, {});
      text_.append(piece, 0, n);
    }
  }

  event_loop loop_;
  std::optional<process> child_;
  std::string authority_;
  std::string text_;
};

/// `git daemon` for the folders below one, on a port of its own; ended with its process group.
class git_daemon {
public:
  explicit git_daemon(const temp_folder& folder) : loop_(testing::options_of_run()) {
    for (int tries = 0; tries < 20 && !answers(); ++tries) start(folder);
    if (!answers()) throw std::runtime_error("git daemon does not start");
  }
  ~git_daemon() { stop(); }
  [[nodiscard]] std::string url(const std::string& path) const {
    return "git://127.0.0.1:" + std::to_string(port_) + path;
  }

private:
  // The port is free now, and may be taken before git has it: then git ends, and we try again.
  void start(const temp_folder& folder) {
    stop();
    port_ = loop_.run([] { return tcp_listener("127.0.0.1:0").port(); });
    command c({"git", "daemon", "--export-all", "--base-path=" + folder.path().string(),
               "--listen=127.0.0.1", "--port=" + std::to_string(port_)});
    c.in = stdio::null;
    c.out = stdio::null;
    c.own_group = true;
    child_.emplace(loop_.run([&] { return spawn(std::move(c)); }));
    loop_.run([this] { return until_it_answers(); });
  }
  void stop() {
    if (!child_) return;
    child_->kill(SIGTERM);
    loop_.run([this] { return child_->wait(); });
    child_.reset();
  }
  [[nodiscard]] bool answers() const { return is_up_; }

  promise<> until_it_answers() {
    promise<exit_status> over = child_->wait();
    for (int i = 0; i < 5000 && over.is_pending(); ++i) {
      promise<std::unique_ptr<byte_stream>> trying =
          tcp_connect("127.0.0.1", port_, connect_options());
      try {
        const std::unique_ptr<byte_stream> stream = co_await std::move(trying);
        is_up_ = true;
        co_return;
      } catch (const error&) {  // not yet
      }
      promise<> tick = sleep_for(std::chrono::milliseconds(2));  // there is nothing to wait for
      co_await tick;
    }
  }

  event_loop loop_;
  std::optional<process> child_;
  std::uint16_t port_ = 0;
  bool is_up_ = false;
};

}  // namespace fermata::mirror::test
