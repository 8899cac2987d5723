// SPDX-License-Identifier: MIT
/// An HTTP/1.1 client: requests as promises, bodies in pieces as they come.
///
/// Shape:    libcurl runs on a thread and loop of the client's own, so names, TLS and its long
///           steps never hold the caller's. A response is there when its head is; the body is
///           asked for piece by piece. At most 384 KiB of it wait; then the transfer stands still
///           until the caller reads on, and TCP slows the server down.
/// Bounds:   transfers in all and to one host; more wait their turn. Heads, bodies and all times
///           are limited: see `client_limits`. What is compressed is inflated on the caller's loop
///           in slices, under the same limit of bytes.
/// Secrets:  credentials go to the origin they were given for and never after a redirect to
///           another one; no error text has them.
/// Pauses:   between the slices of 32 KiB that are inflated; the caller's loop does nothing else.
/// Thread:   loop. One client may serve many tasks; it is meant to be made once.
/// Rejects:  `client_error`, `cancelled`, `loop_closed` where the client is gone, and what the
///           source of the request's body rejects with. A status is no error: 404 is a response.
/// Cancel:   of a `send` or a read, or the end of a response, ends the transfer; its connection is
///           closed unless all of the response had come.
/// Cost:     about 20 us a request and 10 us a piece of 64 KiB, half of it on the other thread.
#pragma once

#include <fermata/http/client_error.hpp>
#include <fermata/http/response.hpp>
#include <fermata/http/response_head.hpp>
#include <fermata/http/shared_bytes.hpp>
#include <fermata/promise/promise.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fermata::http {

namespace detail {
struct client_core;
struct client_link;
class client_transfer;
}  // namespace detail

/// The fields of a response in the order they came; names in any case, values trimmed.
class header_fields {
public:
  void add(std::string name, std::string value);
  /// The first field of this name in any case.
  [[nodiscard]] std::optional<std::string_view> find(std::string_view name) const noexcept;
  [[nodiscard]] const std::vector<std::pair<std::string, std::string>>& all() const noexcept {
    return fields_;
  }

private:
  friend class detail::client_transfer;
  std::vector<std::pair<std::string, std::string>> fields_;
};

/// What a request may take. A time of 0 is no limit.
struct client_limits {
  client_limits() {}  // no aggregate: see STYLE.md, coroutines under g++ 12
  /// Resolving, connecting, proxy and TLS together.
  std::chrono::nanoseconds connect_time = std::chrono::seconds(15);
  /// From the last byte sent to the end of the response's head.
  std::chrono::nanoseconds first_byte_time = std::chrono::seconds(60);
  /// In each such time at least `rate_bytes` come or go, or the transfer ends. Time in which the
  /// caller does not read does not count.
  std::chrono::nanoseconds rate_time = std::chrono::seconds(30);
  std::uint64_t rate_bytes = 1024;
  /// From `send` to the end of the body, with waiting for a turn and all redirects.
  std::chrono::nanoseconds total_time{0};
  std::size_t head_bytes = 64 * 1024;
  /// Of the body as the caller gets it, after inflating.
  std::uint64_t body_bytes = std::uint64_t{4} << 30;
};

struct client_credentials {
  std::string user;
  std::string password;
  std::string token;  ///< where not empty: a bearer token, in place of the two
};

/// Where a server sends us on to.
struct redirection {
  int status = 0;
  std::string from;  ///< without credentials
  std::string to;
  bool same_origin = false;  ///< scheme, host and port; else no credentials go there
};

/// How requests are made: a client's for all, or a request's own.
struct transfer_options {
  transfer_options() {}  // no aggregate: see STYLE.md, coroutines under g++ 12
  client_limits limits;
  /// How many redirects are followed. 0: none, a 3xx is the response. One more than that rejects.
  int most_redirects = 10;
  /// Asked before each; false rejects with `client_failure::redirect`.
  std::function<bool(const redirection&)> may_redirect;
  std::optional<client_credentials> credentials;  ///< for the origin of the request
  /// Looked up for each host where there are no others; `~/.netrc` where `use_netrc` alone is set.
  std::string netrc_file;
  bool use_netrc = false;
  /// `http://[user:password@]host:port`, also `socks5h://`; empty: none. Not set: as `https_proxy`,
  /// `http_proxy`, `all_proxy` and `no_proxy` say.
  std::optional<std::string> proxy;
  std::string ca_file;  ///< PEM, beside the system's folder of certificates
  bool verify = true;   ///< the certificate and its name; false is for tests
  bool allow_file = false;
  /// Asks for gzip or deflate and inflates what comes so. Not where a part is asked for, or where
  /// the request has an Accept-Encoding of its own: then the bytes are as they were sent.
  bool inflate = true;
};

/// Where a transfer goes on that broke before.
struct resume_point {
  std::uint64_t first = 0;  ///< the first byte that is missing
  /// An ETag (strong) or date of what is there; the server then sends all where it has changed.
  std::string validator;
};

struct client_request {
  client_request() {}  // no aggregate: see STYLE.md, coroutines under g++ 12
  explicit client_request(std::string u) : url(std::move(u)) {}

  std::string method = "GET";
  std::string url;  ///< `http`, `https`; may have `user:password@`
  header_block headers;
  shared_bytes body;
  /// In place of `body`. It cannot be sent twice: a 307 or 308 then rejects.
  body_source stream;
  std::optional<std::uint64_t> stream_bytes;  ///< none: sent in chunks
  std::optional<resume_point> resume;         ///< see `client_response::first_byte`
  std::optional<transfer_options> options;    ///< none: the client's
};

/// The body of a response. Dropped before its end, it ends the transfer.
class client_body {
public:
  client_body() noexcept = default;
  explicit client_body(std::shared_ptr<detail::client_transfer> t) noexcept;
  client_body(client_body&& other) noexcept = default;
  client_body& operator=(client_body&& other) noexcept;
  ~client_body();

  /// The next piece, of at most 64 KiB; no bytes at the end. One read may be under way.
  /// Rejects: `client_error`: after what has come, where the body ends before its end.
  promise<shared_bytes> read();
  /// All that is left. Rejects: `client_error` (`too_large`) where it is more than `limit` bytes.
  promise<std::string> read_all(std::size_t limit);
  /// What the server says that it sends, before inflating; none where it does not say.
  [[nodiscard]] std::optional<std::uint64_t> length() const noexcept;
  /// Ends the transfer; a read that is under way rejects with `cancelled`.
  void cancel() noexcept;

private:
  std::shared_ptr<detail::client_transfer> transfer_;
};

struct client_response {
  int status = 0;  ///< of `file://` 200
  header_fields headers;
  std::string url;               ///< that gave it, after redirects and without credentials
  std::uint64_t first_byte = 0;  ///< of the whole, where the body begins: see `resume_point`
  client_body body;
};

struct client_options {
  client_options() {}  // no aggregate: see STYLE.md, coroutines under g++ 12
  std::size_t most_transfers = 64;
  std::size_t most_per_host = 8;
  std::size_t most_idle_connections = 16;  ///< kept for reuse
  std::string user_agent = "fermata";
  transfer_options defaults;
};

class client {
public:
  /// Throws: std::system_error where there is no thread.
  explicit client(client_options options = {});
  client(client&&) noexcept;
  client& operator=(client&&) noexcept;
  /// Ends what is under way: it rejects with `loop_closed`. Waits for the thread to end, about a
  /// millisecond; a name that is being resolved is left behind.
  ~client();

  /// Sends a request, follows redirects and gives the response when its head is there.
  promise<client_response> send(client_request r);

  /// What requests without options of their own are made with: a copy to change.
  [[nodiscard]] const transfer_options& defaults() const noexcept;

private:
  std::unique_ptr<detail::client_core> core_;
};

}  // namespace fermata::http
