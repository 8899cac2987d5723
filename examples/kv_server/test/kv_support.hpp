// SPDX-License-Identifier: MIT
// What the tests of the server share: the server as a child, clients, a folder.
#pragma once

#include <fermata/promise/buffered.hpp>
#include <fermata/promise/combine.hpp>
#include <fermata/promise/process.hpp>
#include <fermata/promise/tcp.hpp>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace kv {

using fermata::promise;

/// A folder that goes with its owner.
class test_folder {
public:
  test_folder() : path_((std::filesystem::temp_directory_path() / "kv-XXXXXX").string()) {
    if (::mkdtemp(path_.data()) == nullptr) throw std::runtime_error("no folder");
  }
  test_folder(const test_folder&) = delete;
  test_folder& operator=(const test_folder&) = delete;
  ~test_folder() { std::filesystem::remove_all(path_); }
  [[nodiscard]] std::string log() const { return path_ + "/kv.log"; }

private:
  std::string path_;
};

/// A server that listens.
struct server {
  fermata::process child;
  std::uint16_t port;
};

inline promise<server> start(std::vector<std::string> command) {
  promise<fermata::process> spawned = fermata::spawn(fermata::command(std::move(command)));
  fermata::process child = co_await std::move(spawned);
  fermata::buffered_reader out(child.out());
  const std::optional<std::string> line = co_await out.read_line(100);
  if (!line) {
    co_await child.wait();
    throw std::runtime_error("the server says: " + child.error_tail());
  }
  const auto port = static_cast<std::uint16_t>(std::stoul(line->substr(line->rfind(':') + 1)));
  co_return server{std::move(child), port};
}

/// One connection.
class client {
public:
  static promise<std::unique_ptr<client>> connect(std::uint16_t port) {
    auto connecting = fermata::tcp_connect("127.0.0.1", port);
    auto stream = co_await std::move(connecting);
    co_return std::make_unique<client>(std::move(stream));
  }
  explicit client(std::unique_ptr<fermata::byte_stream> s)
      : stream_(std::move(s)), reader_(*stream_) {}

  /// The answer to one line. Rejects: `error` where the server has gone.
  promise<std::string> ask(std::string line) {
    line += '\n';
    co_await stream_->write(fermata::bytes_of(line));
    std::optional<std::string> answer = co_await reader_.read_line(10'000);
    if (!answer) throw fermata::error("the server has gone");
    co_return std::move(*answer);
  }

private:
  std::unique_ptr<fermata::byte_stream> stream_;
  fermata::buffered_reader reader_;
};

/// On one connection.
inline promise<std::vector<std::string>> ask_all(std::uint16_t port,
                                                 std::vector<std::string> lines) {
  auto connecting = client::connect(port);
  const auto c = co_await std::move(connecting);
  std::vector<std::string> answers;
  for (const std::string& line : lines) {
    std::string answer = co_await c->ask(line);
    answers.push_back(std::move(answer));
  }
  co_return answers;
}

/// Starts a server, asks it, and ends it as an operator would: the last string is how it ended.
inline promise<std::vector<std::string>> ask_server(std::vector<std::string> command,
                                                    std::vector<std::string> lines) {
  auto starting = start(std::move(command));
  server s = co_await std::move(starting);
  auto asking = ask_all(s.port, std::move(lines));
  std::vector<std::string> answers = co_await std::move(asking);
  const fermata::exit_status end = co_await s.child.stop();
  answers.push_back(end.to_string());
  co_return answers;
}

inline std::optional<std::string> value_in(const std::string& answer) {
  if (answer == "NONE") return std::nullopt;
  if (!answer.starts_with("VALUE ")) throw std::runtime_error("the answer is " + answer);
  return answer.substr(6);
}

/// `name` of `queued=3 waiting=0 ...`.
inline std::size_t count_in(const std::string& counts, const std::string& name) {
  const std::size_t at = (" " + counts).find(" " + name + "=");
  if (at == std::string::npos) throw std::runtime_error("no " + name + " in " + counts);
  return std::stoul(counts.substr(at + name.size() + 1));
}

}  // namespace kv
