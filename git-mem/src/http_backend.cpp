// SPDX-License-Identifier: MIT
// A request is a conversation of its own over a stream in memory: `upload_pack` at one end, the
// body of the request and that of the response at the other.

#include "costs.hpp"

#include <fermata/git_mem/http_backend.hpp>
#include <fermata/promise/pause.hpp>

#include <zlib.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

namespace fermata::git_mem {

namespace {

constexpr std::size_t answer_bytes = 64 * 1024;
constexpr std::string_view advertisement_path = "info/refs";
constexpr std::string_view fetch_path = "git-upload-pack";
constexpr std::string_view push_path = "git-receive-pack";

// A fetch under way. Whoever drops it ends it.
class exchange {
public:
  exchange() : buffer_(answer_bytes) {}
  exchange(const exchange&) = delete;
  exchange& operator=(const exchange&) = delete;
  ~exchange() {
    cancel(served_);
    cancel(asked_);
  }

  void start(snapshot_ptr from,
             std::string request,
             upload_pack_options how,
             std::function<void(const upload_report&)> on_served) {
    auto ends = memory_stream_pair(answer_bytes);
    client_ = std::move(ends.first);
    served_ = serve(std::move(from), std::move(ends.second), std::move(how), std::move(on_served));
    asked_ = ask(client_, std::move(request));
  }

  promise<http::shared_bytes> next() {
    promise<std::size_t> reading = client_->read(std::span(buffer_));
    const std::size_t n = co_await reading;
    co_return http::shared_bytes(std::string(reinterpret_cast<const char*>(buffer_.data()), n));
  }

private:
  // The client has been told what it did wrong.
  static promise<> serve(snapshot_ptr from,
                         std::unique_ptr<byte_stream> stream,
                         upload_pack_options how,
                         std::function<void(const upload_report&)> on_served) {
    promise<upload_report> serving = upload_pack(std::move(from), *stream, std::move(how));
    try {
      const upload_report r = co_await std::move(serving);
      if (on_served && r.sent_pack) on_served(r);
    } catch (const error&) {
    }
    promise<> ended = stream->shutdown();
    co_await ended;
  }
  // Holds the stream: when the exchange goes, this hears of its cancel a moment later.
  static promise<> ask(std::shared_ptr<byte_stream> to, std::string request) {
    promise<> written = write_text(*to, std::move(request));
    try {
      co_await written;
      promise<> ended = to->shutdown();
      co_await ended;
    } catch (const error&) {  // the other end refused, and says why
    }
  }

  std::vector<std::byte> buffer_;
  std::shared_ptr<byte_stream> client_;
  promise<> served_ = ready();
  promise<> asked_ = ready();
};

http::response refusal(int status, std::string why) {
  http::response r = http::text_response(status, why + "\n");
  r.headers.add("Cache-Control", "no-cache");
  return r;
}

struct gunzip {
  gunzip() {
    if (inflateInit2(&z, 15 + 16) != Z_OK) throw std::bad_alloc();  // gzip alone
  }
  gunzip(const gunzip&) = delete;
  gunzip& operator=(const gunzip&) = delete;
  ~gunzip() { inflateEnd(&z); }
  z_stream z{};
};

// The body as it was before it was compressed; nothing if it is damaged or larger than `most`.
promise<std::optional<std::string>> inflated(std::string_view body, std::uint64_t most) {
  gunzip g;
  std::string out;
  std::string window(detail::inflate_output_cut, '\0');
  for (int code = Z_OK; code != Z_STREAM_END;) {
    const std::size_t n = std::min(body.size(), detail::inflate_input_cut);
    g.z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(body.data()));  // zlib reads it only
    g.z.avail_in = static_cast<uInt>(n);
    g.z.next_out = reinterpret_cast<Bytef*>(window.data());
    g.z.avail_out = static_cast<uInt>(window.size());
    code = ::inflate(&g.z, Z_NO_FLUSH);
    if (code != Z_OK && code != Z_STREAM_END) co_return std::nullopt;
    const std::size_t used = n - g.z.avail_in;
    const std::size_t made = window.size() - g.z.avail_out;
    if (out.size() + made > most) co_return std::nullopt;
    out.append(window, 0, made);
    body.remove_prefix(used);
    co_await maybe_pause(detail::inflate_cost(used, made));
  }
  if (!body.empty()) co_return std::nullopt;
  co_return out;
}

class backend {
public:
  backend(std::string prefix, snapshot_source current, http_backend_options options)
      : prefix_(std::move(prefix)), current_(std::move(current)), options_(std::move(options)) {}

  promise<http::response> answer_get(const http::request& r) const {
    co_return answer(r, std::string(r.query()));
  }
  promise<http::response> answer_post(const http::request& r) const;

private:
  [[nodiscard]] std::string_view rest(const http::request& r) const {
    return std::string_view(r.path()).substr(prefix_.size());
  }
  [[nodiscard]] http::response answer(const http::request& r, std::string_view query) const;
  [[nodiscard]] http::response start(const http::request& r,
                                     upload_part part,
                                     std::string body,
                                     const char* type) const;

  std::string prefix_;
  snapshot_source current_;
  http_backend_options options_;
};

http::response backend::start(const http::request& r,
                              upload_part part,
                              std::string body,
                              const char* type) const {
  snapshot_ptr from = current_();
  if (!from) {
    http::response busy = refusal(503, "this repository is not there yet");
    busy.headers.add("Retry-After", "5");
    return busy;
  }
  upload_pack_options how;
  how.part = part;
  how.version = asked_version(r.find_header("Git-Protocol").value_or(""));
  how.limits = options_.limits;
  how.idle_timeout = options_.idle_timeout;
  const int version = how.version;
  auto running = std::make_shared<exchange>();
  running->start(std::move(from), std::move(body), std::move(how), options_.on_served);
  http::response answer(200);
  answer.headers.add("Content-Type", type);
  answer.headers.add("Cache-Control", "no-cache, max-age=0, must-revalidate");
  // As git's own server: a banner in front of the old protocols.
  auto banner = std::make_shared<std::string>();
  if (part == upload_part::advertisement && version != 2) {
    *banner = "001e# service=git-upload-pack\n0000";
  }
  answer.stream = [running, banner]() -> promise<http::shared_bytes> {
    if (banner->empty()) return running->next();
    return ready(http::shared_bytes(std::exchange(*banner, {})));
  };
  return answer;
}

http::response backend::answer(const http::request& r, std::string_view query) const {
  if (rest(r) != advertisement_path) {
    return refusal(404, "there is no such path in a repository of git's smart protocol");
  }
  const std::string asked = "&" + std::string(query) + "&";
  if (asked.find("&service=git-upload-pack&") != std::string::npos) {
    return start(r, upload_part::advertisement, {}, "application/x-git-upload-pack-advertisement");
  }
  if (asked.find("&service=git-receive-pack&") != std::string::npos) {
    return refusal(403, "this repository is read only: it takes no push");
  }
  return refusal(403, "only git's smart protocol is served here");
}

promise<http::response> backend::answer_post(const http::request& r) const {
  if (rest(r) == push_path)
    co_return refusal(403, "this repository is read only: it takes no push");
  if (rest(r) != fetch_path) {
    co_return refusal(404, "there is no such path in a repository of git's smart protocol");
  }
  if (r.find_header("Content-Type") != "application/x-git-upload-pack-request") {
    co_return refusal(415, "the request is no application/x-git-upload-pack-request");
  }
  const std::string_view coding = r.find_header("Content-Encoding").value_or("");
  if (coding != "" && coding != "gzip" && coding != "x-gzip") {
    co_return refusal(415, "of content codings only gzip is understood");
  }
  std::string body = r.body();
  if (!coding.empty()) {
    promise<std::optional<std::string>> inflating =
        inflated(r.body(), options_.limits.request_bytes);
    std::optional<std::string> whole = co_await std::move(inflating);
    if (!whole) co_return refusal(400, "the request is damaged gzip data, or too large");
    body = std::move(*whole);
  }
  co_return start(r, upload_part::request, std::move(body), "application/x-git-upload-pack-result");
}

}  // namespace

void mount_repository(http::router& routes,
                      const std::string& path,
                      snapshot_source current,
                      http_backend_options options) {
  const auto b =
      std::make_shared<const backend>(path + "/", std::move(current), std::move(options));
  routes.on_prefix("GET", path + "/", [b](const http::request& r) { return b->answer_get(r); });
  routes.on_prefix("POST", path + "/", [b](const http::request& r) { return b->answer_post(r); });
}

}  // namespace fermata::git_mem
