// SPDX-License-Identifier: MIT
// What is written is kept until something is read: then it is the body of a POST, one that can be
// sent twice where it is small, and else a stream of the pieces that it is kept in. A service's
// name in front of the advertisement, which servers send or leave out, is read over.

#include "http_stream.hpp"

#include "costs.hpp"

#include <fermata/git_mem/pkt_line.hpp>
#include <fermata/promise/pause.hpp>

#include <algorithm>
#include <deque>
#include <utility>

namespace fermata::git_mem::detail {

namespace {

constexpr std::size_t longest_request = std::size_t{1} << 30;
constexpr std::size_t request_piece = std::size_t{64} << 10;
constexpr std::size_t shown_body = 300;
constexpr const char* user_agent = "git/2.0 (fermata)";  // some servers look for "git/"

// Why a status is no answer.
failure refusal(int status, const std::string& url, std::string_view says) {
  const std::string more = says.empty() ? "" : ": " + printable(says);
  switch (status) {
    case 401:
    case 407:
      return failure(reason::remote, "status " + std::to_string(status) +
                                         ": it wants credentials, or other ones" + more);
    case 403:
      return failure(reason::remote, "status 403: forbidden" + more);
    case 404:
    case 410:
      return failure(reason::not_found,
                     "status " + std::to_string(status) + ": no repository is there" + more);
    default:
      return failure(reason::remote,
                     "status " + std::to_string(status) + " from " + printable(url) + more);
  }
}

// Bytes in pieces, none of which is copied again.
class request_bytes {
public:
  // At most `request_piece` of them.
  void add(std::string_view bytes) {
    if (last_.size() + bytes.size() > request_piece) end_piece();
    last_ += bytes;
    size_ += bytes.size();
  }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  // Nothing is left where there is none.
  [[nodiscard]] http::shared_bytes take_piece() {
    if (pieces_.empty()) end_piece();
    http::shared_bytes piece;
    if (pieces_.empty()) return piece;
    piece = std::move(pieces_.front());
    pieces_.pop_front();
    size_ -= piece.size();
    return piece;
  }

private:
  void end_piece() {
    if (!last_.empty()) pieces_.emplace_back(std::exchange(last_, {}));
  }
  std::deque<http::shared_bytes> pieces_;
  std::string last_;
  std::size_t size_ = 0;
};

class http_stream final : public byte_stream {
public:
  http_stream(const remote_url& url, git_service service, const remote_options& options)
      : client_(options.http_client),
        options_(options.http),
        base_(url.path),
        service_(service_name(service)),
        shown_(url.text) {
    if (client_ == nullptr) client_ = std::make_shared<http::client>();
    if (!url.user.empty()) options_.credentials = {url.user, url.password, {}};
  }

  promise<> open() {
    http::client_request r = request("/info/refs?service=" + service_);
    auto same_origin = std::make_shared<bool>(true);
    r.options->may_redirect = [same_origin](const http::redirection& to) {
      *same_origin = *same_origin && to.same_origin;
      return !to.from.starts_with("https://") || to.to.starts_with("https://");
    };
    promise<> asked = ask(std::move(r), "advertisement");
    co_await asked;
    const std::string tail = "/info/refs?service=" + service_;
    if (!answer_.url.ends_with(tail)) {
      throw failure(reason::remote,
                    "it was sent on to " + printable(answer_.url) + ", which is no repository");
    }
    base_ = answer_.url.substr(0, answer_.url.size() - tail.size());
    if (!*same_origin) options_.credentials.reset();
    promise<> begun = read_over_name();
    co_await begun;
  }

  promise<std::size_t> read(std::span<std::byte> into) override {
    const fermata::detail::direction_guard guard(is_reading_, fermata::detail::two_reads);
    if (!request_.empty()) {
      http::client_request r = request("/" + service_);
      r.method = "POST";
      r.headers.add("Content-Type", "application/x-" + service_ + "-request");
      give_body(r);
      r.options->most_redirects = 0;
      promise<> asked = ask(std::move(r), "result");
      co_await asked;
    }
    if (piece_.empty()) {
      promise<http::shared_bytes> reading = answer_.body.read();
      piece_ = co_await std::move(reading);
    }
    const std::size_t n = std::min(into.size(), piece_.size());
    std::copy_n(piece_.view().data(), n, reinterpret_cast<char*>(into.data()));
    piece_ = piece_.part(n, piece_.size());
    counts_.read_bytes += n;
    co_await maybe_pause(fermata::detail::stream_cost(n));
    co_return n;
  }

  promise<> write(byte_view bytes) override {
    if (request_.size() + bytes.size() > longest_request) {
      throw failure(reason::limit, "a request of more than 1 GiB");
    }
    std::string_view left(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    while (!left.empty()) {
      const std::string_view piece = left.substr(0, request_piece);
      request_.add(piece);
      left.remove_prefix(piece.size());
      counts_.written_bytes += piece.size();
      co_await maybe_pause(fermata::detail::stream_cost(piece.size()));
    }
  }

  promise<> shutdown() override { return ready(); }
  void close() noexcept override {
    answer_.body.cancel();
    piece_ = {};
    request_ = {};
  }
  stream_counts counts() const noexcept override { return counts_; }
  std::string peer() const override { return shown_; }

private:
  [[nodiscard]] http::client_request request(const std::string& below) const {
    http::client_request r(base_ + below);
    r.headers.add("Git-Protocol", "version=2");
    r.headers.add("User-Agent", user_agent);
    r.options = options_;
    return r;
  }

  // All that was written.
  void give_body(http::client_request& r) {
    if (request_.size() <= request_piece) {
      r.body = request_.take_piece();
      return;
    }
    r.stream_bytes = request_.size();
    r.stream = [left = std::make_shared<request_bytes>(std::exchange(request_, {}))] {
      return ready(left->take_piece());
    };
  }

  // Sends `r`; its answer, of the media type that a smart server gives it, is what is read next.
  promise<> ask(http::client_request r, std::string kind) {
    piece_ = {};
    r.headers.add("Accept", "application/x-" + service_ + "-" + kind);
    answer_ = {};  // an answer that is not at its end gives its connection up
    promise<http::client_response> sent = client_->send(std::move(r));
    answer_ = co_await std::move(sent);
    const std::string_view type = answer_.headers.find("Content-Type").value_or("");
    if (answer_.status != 200) {
      std::string says;
      if (type.starts_with("text/plain")) {
        promise<http::shared_bytes> reading = answer_.body.read();
        const http::shared_bytes piece = co_await std::move(reading);
        says = piece.view().substr(0, shown_body);
      }
      throw refusal(answer_.status, answer_.url, says);
    }
    if (type.substr(0, type.find(';')) != "application/x-" + service_ + "-" + kind) {
      throw failure(reason::unsupported, "it serves files, or no git (\"" + printable(type, 80) +
                                             "\"): only smart HTTP is spoken");
    }
  }

  // "001e# service=git-upload-pack\n0000"
  promise<> read_over_name() {
    std::string name;
    append_pkt(name, "# service=" + service_ + "\n");
    append_flush(name);
    std::string first;
    while (first.size() < name.size()) {
      promise<http::shared_bytes> reading = answer_.body.read();
      const http::shared_bytes piece = co_await std::move(reading);
      if (piece.empty()) break;
      first += piece.view();
    }
    if (first.starts_with(name)) first.erase(0, name.size());
    piece_ = http::shared_bytes(std::move(first));
  }

  std::shared_ptr<http::client> client_;
  http::transfer_options options_;
  std::string base_;     // where the first request has led to
  std::string service_;  // "git-upload-pack"
  std::string shown_;
  request_bytes request_;
  http::client_response answer_;
  http::shared_bytes piece_;  // of the answer, not read yet
  stream_counts counts_;
  bool is_reading_ = false;
};

}  // namespace

promise<std::unique_ptr<byte_stream>> open_http(const remote_url& url,
                                                git_service service,
                                                const remote_options& options) {
  auto stream = std::make_unique<http_stream>(url, service, options);
  promise<> opened = stream->open();
  co_await opened;
  co_return stream;
}

}  // namespace fermata::git_mem::detail
