// SPDX-License-Identifier: MIT
// A client, and servers for it: ours, and ones that say any bytes.
#pragma once

#include "support/policy.hpp"

#include <fermata/http/client.hpp>
#include <fermata/http/server.hpp>
#include <fermata/loop/event_loop.hpp>
#include <fermata/promise/tcp.hpp>

#include <catch2/catch.hpp>
#include <zlib.h>

#include <array>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fermata::http::test {

/// Never a proxy of whoever runs the tests.
inline client_options direct() {
  client_options o;
  o.defaults.proxy = "";
  return o;
}

/// Serves connections one after another: `talk(stream, head)` is called with each request's head.
class raw_server {
public:
  using talk = std::function<promise<>(byte_stream&, std::string)>;

  explicit raw_server(talk t) : listener_(std::make_unique<tcp_listener>("127.0.0.1:0")) {
    serving_ = serve_all(*this, std::move(t));
  }
  raw_server(const raw_server&) = delete;
  raw_server& operator=(const raw_server&) = delete;
  ~raw_server() {
    for (const promise<>& p : talking_) cancel(p);
    cancel(serving_);
  }
  [[nodiscard]] std::string url(std::string_view path = "/") const {
    return "http://" + listener_->address() + std::string(path);
  }
  [[nodiscard]] const std::string& address() const { return listener_->address(); }
  std::vector<std::string> heads;  // of the requests, in their order
  int connections = 0;

private:
  static promise<> serve_all(raw_server& s, talk t) {
    try {
      for (;;) {
        std::unique_ptr<byte_stream> stream = co_await s.listener_->accept();
        ++s.connections;
        s.talking_.push_back(serve_one(s, std::move(stream), t));
      }
    } catch (const cancelled&) {
    }
  }
  static promise<> serve_one(raw_server& s, std::unique_ptr<byte_stream> stream, talk t) {
    try {
      std::string text;
      for (;;) {
        std::size_t end = text.find("\r\n\r\n");
        while (end == std::string::npos) {
          std::array<std::byte, 4096> room;
          promise<std::size_t> reading = stream->read(room);
          const std::size_t n = co_await reading;
          if (n == 0) co_return;
          text.append(reinterpret_cast<const char*>(room.data()), n);
          end = text.find("\r\n\r\n");
        }
        std::string head = text.substr(0, end + 4);
        text.erase(0, end + 4);
        s.heads.push_back(head);
        promise<> talked = t(*stream, std::move(head));
        co_await talked;
      }
    } catch (const cancelled&) {
    } catch (const error&) {
    }
  }

  std::unique_ptr<tcp_listener> listener_;
  promise<> serving_;
  std::vector<promise<>> talking_;
};

/// Says one text to every request and, where `ends`, closes the connection.
inline raw_server::talk says(std::string text, bool ends = false) {
  return [text, ends](byte_stream& s, std::string) -> promise<> {
    promise<> said = write_text(s, text);
    if (!ends) return said;
    return std::move(said).bind([&s] { return s.shutdown(); });
  };
}

/// The response and all of its body.
struct whole {
  client_response response;
  std::string body;
};

inline promise<whole> get_whole(client& c, client_request r, std::size_t limit = 64 << 20) {
  whole out;
  promise<client_response> sending = c.send(std::move(r));
  out.response = co_await std::move(sending);
  promise<std::string> reading = out.response.body.read_all(limit);
  out.body = co_await std::move(reading);
  co_return out;
}

/// What `p` rejects with, which must be a client_error.
template <typename T>
promise<client_error> client_failure_of(promise<T> p) {
  try {
    co_await std::move(p);
  } catch (const client_error& e) {
    co_return e;
  }
  throw contract_error("it did not fail");
}

/// Whether `p` rejects with an E.
template <typename E, typename T>
promise<bool> rejects_with(promise<T> p) {
  try {
    co_await p;
  } catch (const E&) {
    co_return true;
  }
  co_return false;
}

/// A compressed text by zlib, with the window bits that say which format.
inline constexpr int as_gzip = 15 + 16;
inline constexpr int as_zlib = 15;
inline constexpr int as_raw = -15;
inline std::string deflated(const std::string& text, int bits) {
  z_stream z{};
  REQUIRE(deflateInit2(&z, 6, Z_DEFLATED, bits, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  std::string out(deflateBound(&z, text.size()), '\0');
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  z.avail_in = static_cast<uInt>(text.size());
  z.next_out = reinterpret_cast<Bytef*>(out.data());
  z.avail_out = static_cast<uInt>(out.size());
  REQUIRE(deflate(&z, Z_FINISH) == Z_STREAM_END);
  out.resize(z.total_out);
  deflateEnd(&z);
  return out;
}

/// A response with a body of a length that is told.
inline std::string sized(const std::string& fields, const std::string& body) {
  return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" + fields +
         "\r\n" + body;
}

}  // namespace fermata::http::test
