// SPDX-License-Identifier: MIT
/// A real `git http-backend` behind a server of ours, as a web server runs it.
#pragma once

#include "support/tls_stream.hpp"

#include <fermata/http/server.hpp>
#include <fermata/promise/run_command.hpp>
#include <fermata/promise/tcp.hpp>

#include <cstdlib>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fermata::test {

inline std::string text_of(std::optional<std::string_view> field) {
  return std::string(field.value_or(""));
}

/// What a web server does to run `git http-backend`.
inline promise<http::response> run_backend(const http::request& r,
                                           const std::string& root,
                                           int version) {
  fermata::command c({"git", "http-backend"});
  c.environment = {"GIT_PROJECT_ROOT=" + root,
                   "GIT_HTTP_EXPORT_ALL=1",
                   "PATH_INFO=" + r.path(),
                   "QUERY_STRING=" + std::string(r.query()),
                   "REQUEST_METHOD=" + std::string(r.method()),
                   "CONTENT_TYPE=" + text_of(r.find_header("Content-Type")),
                   "GIT_PROTOCOL=" + (version == 2 ? text_of(r.find_header("Git-Protocol")) : ""),
                   "REMOTE_USER=somebody"};
  fermata::run_options how;
  how.input = r.body();
  how.most_out_bytes = 64 << 20;
  promise<fermata::run_result> running = fermata::run_command(std::move(c), std::move(how));
  fermata::run_result ran = co_await std::move(running);
  http::response out(200);
  std::size_t at = 0;
  for (;;) {
    const std::size_t end = ran.out.find("\r\n", at);
    const std::string line = ran.out.substr(at, end - at);
    at = end + 2;
    if (line.empty()) break;
    const std::string name = line.substr(0, line.find(':'));
    const std::string value = line.substr(line.find(':') + 2);
    if (name == "Status") {
      out.status = std::atoi(value.c_str());
    } else {
      out.headers.add(name, value);
    }
  }
  out.body = http::shared_bytes(ran.out.substr(at));
  co_return out;
}

using http_answer = std::function<std::optional<http::response>(const http::request&)>;

/// Serves the repositories below a folder; `first` may answer in place of git.
class git_http_server {
public:
  explicit git_http_server(std::string root,
                           http_answer first = {},
                           const tls_identity* who = nullptr)
      : listener_("127.0.0.1:0"),
        server_(
            [this, folder = std::move(root), own = std::move(first)](
                const http::request& r) -> promise<http::response> {
              asked.push_back(std::string(r.method()) + " " + std::string(r.target()));
              fields.push_back(text_of(r.find_header("Authorization")));
              std::optional<http::response> out = own ? own(r) : std::nullopt;
              if (out) return fermata::ready(std::move(*out));
              return run_backend(r, folder, version);
            },
            limits()),
        scheme_(who == nullptr ? "http" : "https") {
    server_.accept_from([this, who]() -> promise<std::unique_ptr<fermata::byte_stream>> {
      std::unique_ptr<fermata::byte_stream> plain = co_await listener_.accept();
      if (who == nullptr) co_return plain;
      co_return std::make_unique<tls_stream>(*who, std::move(plain));
    });
  }
  [[nodiscard]] std::string address() const { return listener_.address(); }
  [[nodiscard]] std::string url(const std::string& path) const {
    return scheme_ + "://" + listener_.address() + path;
  }
  int version = 2;  // that git is told of
  std::vector<std::string> asked;
  std::vector<std::string> fields;  // Authorization of each

private:
  static http::server_options limits() {
    http::server_options o;
    o.limits.body_bytes = 1 << 20;  // packs that are pushed
    return o;
  }
  fermata::tcp_listener listener_;
  http::server server_;
  std::string scheme_;
};

}  // namespace fermata::test
