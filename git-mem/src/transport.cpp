// SPDX-License-Identifier: MIT
#include "transport.hpp"

#include "http_stream.hpp"

#include <fermata/git_mem/pkt_line.hpp>
#include <fermata/promise/sleep.hpp>
#include <fermata/promise/tcp.hpp>

#include <cstdlib>
#include <utility>

namespace fermata::git_mem::detail {

namespace {

// What a child says last is why it ended; it gets this long to end by itself.
constexpr std::chrono::seconds last_words_time(2);
constexpr std::chrono::seconds hooks_time(600);

promise<connection> by_tcp(const remote_url& url,
                           git_service service,
                           const remote_options& options) {
  connect_options how;
  how.timeout = options.connect_timeout;
  promise<std::unique_ptr<byte_stream>> connected = tcp_connect(url.host, url.port, how);
  std::unique_ptr<byte_stream> stream = co_await std::move(connected);
  promise<> asked = write_text(*stream, daemon_request(url, service_name(service)));
  co_await asked;
  co_return connection(std::move(stream), std::nullopt, false);
}

promise<connection> by_http(const remote_url& url,
                            git_service service,
                            const remote_options& options) {
  promise<std::unique_ptr<byte_stream>> opening = open_http(url, service, options);
  std::unique_ptr<byte_stream> stream = co_await std::move(opening);
  co_return connection(std::move(stream), std::nullopt, true);
}

promise<connection> by_child(command c) {
  c.own_group = true;  // a terminal's Ctrl-C is ours alone
  for (const char* ours :
       {"GIT_PROTOCOL=version=2", "LC_ALL=C", "GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE",
        "GIT_OBJECT_DIRECTORY", "GIT_NAMESPACE", "GIT_TRACE_PACKET"}) {
    c.environment.emplace_back(ours);
  }
  promise<process> spawned = spawn(std::move(c));
  process child = co_await std::move(spawned);
  std::unique_ptr<byte_stream> stream = child.take_stream();
  co_return connection(std::move(stream), std::move(child), false);
}

command local_command(const remote_url& url, git_service service) {
  return command({"git", service_name(service).substr(4), url.path});
}

// As a shell on the other side reads it.
std::string quoted(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    out += c == '\'' || c == '!' ? std::string("'\\") + c + "'" : std::string(1, c);
  }
  return out + "'";
}

// GIT_SSH_COMMAND is for a shell; GIT_SSH is a program.
command ssh_command(const remote_url& url, git_service service) {
  const char* line = std::getenv("GIT_SSH_COMMAND");
  const char* program = std::getenv("GIT_SSH");
  command c;
  if (line != nullptr && *line != '\0') {
    c.argv = {"sh", "-c", std::string(line) + " \"$@\"", line};
  } else if (program != nullptr && *program != '\0') {
    c.argv = {program};
  } else {
    c.argv = {"ssh", "-o", "BatchMode=yes"};
  }
  c.argv.insert(c.argv.end(), {"-o", "SendEnv=GIT_PROTOCOL"});
  if (url.port != 0) c.argv.insert(c.argv.end(), {"-p", std::to_string(url.port)});
  c.argv.push_back(url.user.empty() ? url.host : url.user + "@" + url.host);
  c.argv.push_back(service_name(service) + " " + quoted(url.path));
  return c;
}

}  // namespace

std::string service_name(git_service s) {
  return s == git_service::upload_pack ? "git-upload-pack" : "git-receive-pack";
}

promise<failure> connection::explain(const error& why) {
  const auto* own = dynamic_cast<const failure*>(&why);
  failure told(own != nullptr ? own->why() : reason::remote, why.what());
  stream_->close();
  if (!child_) co_return told;
  promise<exit_status> ended = with_timeout(last_words_time, child_->wait());
  try {
    co_await ended;
  } catch (const timed_out&) {
    child_->kill(SIGKILL);
  }
  const std::string said = printable(child_->error_tail());
  if (said.empty()) co_return told;
  co_return failure(told.why(), std::string(told.what()) + " (git says: " + said + ")");
}

promise<> connection::finish() {
  stream_->close();
  if (!child_) co_return;
  promise<exit_status> ended = with_timeout(hooks_time, child_->wait());
  co_await ended;
}

promise<connection> connect(const remote_url& url,
                            git_service service,
                            const remote_options& options) {
  switch (url.by) {
    case remote_url::transport::git:
      return by_tcp(url, service, options);
    case remote_url::transport::ssh:
      return by_child(ssh_command(url, service));
    case remote_url::transport::local:
      break;
    case remote_url::transport::http:
      return by_http(url, service, options);
  }
  return by_child(local_command(url, service));
}

}  // namespace fermata::git_mem::detail
