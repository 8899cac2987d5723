// SPDX-License-Identifier: MIT
// The ways to a repository: a TCP connection to a git daemon, or a child that serves a local path.

#include "clone_over.hpp"

#include <fermata/git_mem/clone.hpp>
#include <fermata/git_mem/naming.hpp>
#include <fermata/promise/detach.hpp>
#include <fermata/promise/process.hpp>
#include <fermata/promise/sleep.hpp>
#include <fermata/promise/tcp.hpp>

#include <memory>
#include <utility>

namespace fermata::git_mem {

namespace {

// What a child says last is why it ended; it gets this long to end by itself.
constexpr std::chrono::seconds last_words_time(2);

promise<clone_result> clone_by_tcp(const remote_url& url, const clone_options& options) {
  connect_options how;
  how.timeout = options.connect_timeout;
  promise<std::unique_ptr<byte_stream>> connected = tcp_connect(url.host, url.port, how);
  std::unique_ptr<byte_stream> stream = co_await std::move(connected);
  promise<> asked = write_text(*stream, daemon_request(url));
  co_await asked;
  promise<clone_result> cloned = detail::clone_unnamed(*stream, url, options);
  co_return co_await std::move(cloned);
}

command upload_pack(const remote_url& url) {
  command c({"git", "upload-pack", url.path});
  c.own_group = true;  // a terminal's Ctrl-C is ours alone
  c.environment = {"GIT_PROTOCOL=version=2", "LC_ALL=C"};
  for (const char* ours : {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY",
                           "GIT_NAMESPACE", "GIT_TRACE_PACKET"}) {
    c.environment.emplace_back(ours);
  }
  return c;
}

promise<clone_result> clone_by_child(const remote_url& url, const clone_options& options) {
  promise<process> spawned = spawn(upload_pack(url));
  process child = co_await std::move(spawned);
  std::unique_ptr<byte_stream> stream = child.take_stream();
  reason why = reason::remote;
  std::string text;
  promise<clone_result> cloned = detail::clone_unnamed(*stream, url, options);
  try {
    clone_result result = co_await std::move(cloned);
    co_return result;
  } catch (const failure& f) {
    why = f.why();
    text = f.what();
  } catch (const error& e) {
    text = e.what();
  }
  stream->close();
  promise<exit_status> ended = with_timeout(last_words_time, child.wait());
  try {
    co_await ended;
  } catch (const timed_out&) {
    child.kill(SIGKILL);
  }
  const std::string said = printable(child.error_tail());
  throw failure(why, said.empty() ? text : text + " (git says: " + said + ")");
}

}  // namespace

promise<clone_result> clone(std::string url, clone_options options) {
  const remote_url parsed = remote_url::parse(url);
  if (options.on_progress) options.on_progress(clone_progress());
  promise<> prepared = detach([] { prepare(); });  // milliseconds at its first use
  co_await prepared;
  try {
    promise<clone_result> cloned = parsed.by == remote_url::transport::git
                                       ? clone_by_tcp(parsed, options)
                                       : clone_by_child(parsed, options);
    co_return co_await std::move(cloned);
  } catch (const error& e) {
    throw detail::clone_failure(parsed, e);
  }
}

}  // namespace fermata::git_mem
