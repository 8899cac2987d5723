// SPDX-License-Identifier: MIT
/// Repositories of real git in a store, and a `git://` server of ours that real git talks to.
#pragma once

#include "support/git_snapshot.hpp"
#include "support/policy.hpp"
#include "support/temp_repository.hpp"

#include <fermata/git_mem/object_store.hpp>
#include <fermata/git_mem/upload_pack.hpp>
#include <fermata/loop/event_loop.hpp>
#include <fermata/promise/run_command.hpp>
#include <fermata/promise/scope.hpp>
#include <fermata/promise/tcp.hpp>

#include <filesystem>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace fermata::test {

/// What is in a repository now, as the newest and only pack of `store`.
inline void load_repository(const temp_folder& at,
                            const std::string& name,
                            git_mem::object_store& store) {
  store.publish(read_repository(at, name));
}

/// Adds commits without content to the main branch of a repository.
inline void add_commits(const temp_folder& at, const std::string& name, int count) {
  std::string stream;
  for (int i = 0; i < count; ++i) {
    const std::string message = "own " + std::to_string(i);
    stream += "commit refs/heads/main\ncommitter a <a@b> " + std::to_string(1'800'000'000 + i) +
              " +0000\ndata " + std::to_string(message.size()) + "\n" + message + "\n" +
              (i == 0 ? "from refs/heads/main^0\n\n" : "\n");
  }
  at.write("commits", stream);
  at.run("git -C '" + name + "' fast-import --quiet < commits");
}

/// Serves a store at every path while shell commands run, and keeps what came of each connection.
class git_server {
public:
  explicit git_server(const git_mem::object_store& store, policy p = testing::policy_of_run())
      : store_(store), loop_(testing::options_with(p)) {}

  /// Runs a command in a folder, with $URL as the server's; gives what it prints.
  /// Throws: std::runtime_error with its stderr where it fails.
  std::string run(const temp_folder& in, const std::string& shell) {
    const run_result r = attempt(in, shell);
    if (r.status.is_success()) return r.out;
    std::string all;
    for (const std::string& e : errors) all += "; served: " + e;
    throw std::runtime_error(shell + ": " + r.err + all);
  }
  run_result attempt(const temp_folder& in, const std::string& shell) {
    return loop_.run([&] { return serve_during(in, shell); });
  }

  std::vector<git_mem::upload_report> reports;
  std::vector<std::string> errors;
  git_mem::upload_pack_options options;
  [[nodiscard]] event_loop& loop() noexcept { return loop_; }

private:
  promise<> answer(std::unique_ptr<byte_stream> client) {
    promise<git_mem::upload_report> served = git_mem::answer_git_daemon(
        *client, [this](std::string_view) { return &store_; }, options);
    try {
      reports.push_back(co_await std::move(served));
    } catch (const error& e) {
      errors.emplace_back(e.what());
    }
  }
  promise<> accept_all(scope& s, tcp_listener& from) {
    for (;;) {
      promise<std::unique_ptr<byte_stream>> accepting = from.accept();
      std::unique_ptr<byte_stream> client = co_await std::move(accepting);
      s.fork([this, client = std::move(client)]() mutable { return answer(std::move(client)); });
    }
  }
  promise<run_result> serve_and_run(scope& s, tcp_listener& listener, command c) {
    s.fork_daemon([this, &s, &listener] { return accept_all(s, listener); });
    promise<run_result> running = run_command(std::move(c), limits());
    co_return co_await std::move(running);
  }
  promise<run_result> serve_during(const temp_folder& in, std::string shell) {
    tcp_listener listener("127.0.0.1:0");
    command c({"sh", "-ec", shell});
    c.directory = in.path().string();
    c.environment = {"URL=git://" + listener.address() + "/x",
                     "HOME=" + in.path().string(),
                     "GIT_CONFIG_NOSYSTEM=1",
                     "GIT_TERMINAL_PROMPT=0",
                     "LC_ALL=C",
                     "GIT_AUTHOR_NAME=a",
                     "GIT_AUTHOR_EMAIL=a@b",
                     "GIT_COMMITTER_NAME=a",
                     "GIT_COMMITTER_EMAIL=a@b"};
    auto body = [this, &listener, &c](scope& s) { return serve_and_run(s, listener, c); };
    promise<run_result> ran = scope::run(std::move(body));
    co_return co_await std::move(ran);
  }
  static run_options limits() {
    run_options o;
    o.most_out_bytes = std::size_t{64} << 20;
    return o;
  }

  const git_mem::object_store& store_;
  event_loop loop_;
};

}  // namespace fermata::test
