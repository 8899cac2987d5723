// SPDX-License-Identifier: MIT
// The client as its users see it: requests, redirects, and what they may carry where.

#include "client_engine.hpp"
#include "client_transfer.hpp"
#include "client_url.hpp"
#include "text.hpp"

#include <fermata/http/client.hpp>
#include <fermata/promise/loop_thread.hpp>
#include <fermata/promise/pause.hpp>
#include <fermata/promise/stream.hpp>

#include <algorithm>
#include <array>
#include <utility>

namespace fermata::http {

namespace detail {
namespace {

constexpr std::uint64_t most_drained_bytes = 64 * 1024;  // so that a connection can be kept

struct wanted {
  client_request request;
  transfer_options options;
  client_url at;
  client_credentials credentials;
  bool has_credentials = false;
  std::string origin;  // that the credentials are for
  std::optional<time_point> began;
};

bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

bool asks_for_inflation(const wanted& w) {
  return w.options.inflate && !w.request.resume && !w.request.headers.find("Range") &&
         !w.request.headers.find("Accept-Encoding");
}

// As libcurl wants them: a field without a value is written with a semicolon.
void add_fields(std::vector<std::string>& out, const header_block& block, bool same_origin) {
  static constexpr std::array<std::string_view, 2> secret = {"Authorization", "Cookie"};
  for (std::string_view rest = block.text(); !rest.empty();) {
    const std::size_t end = rest.find("\r\n");
    std::string line(rest.substr(0, end));
    rest.remove_prefix(end + 2);
    const std::size_t colon = line.find(':');
    const std::string_view name = std::string_view(line).substr(0, colon);
    const bool is_secret = std::any_of(secret.begin(), secret.end(), [name](std::string_view s) {
      return equal_ignoring_case(name, s);
    });
    if (is_secret && !same_origin) continue;
    if (trim(std::string_view(line).substr(colon + 1)).empty()) line.resize(colon), line += ';';
    out.push_back(std::move(line));
  }
}

hop make_hop(const client_link& link, const wanted& w) {
  const client_request& r = w.request;
  hop h;
  h.method = r.method;
  h.url = w.at.text;
  h.origin = w.at.origin;
  h.body = r.body;
  h.is_streamed = static_cast<bool>(r.stream);
  h.stream_bytes = r.stream_bytes;
  h.options = w.options;
  h.options.may_redirect = nullptr;
  h.options.credentials.reset();
  h.began = w.began;
  const bool same_origin = w.at.origin == w.origin;
  if (w.has_credentials && same_origin) h.credentials = w.credentials;
  header_block fields = r.headers;  // it refuses what would inject others
  if (!fields.find("User-Agent") && !link.user_agent.empty())
    fields.add("User-Agent", link.user_agent);
  if (asks_for_inflation(w)) fields.add("Accept-Encoding", "gzip, deflate");
  if (r.resume) {
    fields.set("Range", "bytes=" + std::to_string(r.resume->first) + "-");
    if (!r.resume->validator.empty()) fields.set("If-Range", r.resume->validator);
  }
  if (h.credentials && !h.credentials->token.empty())
    fields.set("Authorization", "Bearer " + h.credentials->token);
  add_fields(h.fields, fields, same_origin);
  h.fields.emplace_back("Expect:");  // nobody is waited for with the body
  return h;
}

wanted prepare(const client_link& link, client_request r) {
  if (!is_token(r.method)) throw contract_error("a request's method is no token");
  wanted w;
  w.options = r.options ? *r.options : link.defaults;
  w.at = read_url(r.url);
  if (w.at.scheme == "file" ? !w.options.allow_file
                            : w.at.scheme != "http" && w.at.scheme != "https") {
    throw client_error(client_failure::url,
                       "cannot use the URL " + w.at.text + ": its scheme is not allowed");
  }
  w.has_credentials = w.options.credentials.has_value();
  if (w.has_credentials) w.credentials = *w.options.credentials;
  if (!w.has_credentials && !(w.at.user.empty() && w.at.password.empty())) {
    w.has_credentials = true;
    w.credentials.user = w.at.user;
    w.credentials.password = w.at.password;
  }
  w.origin = w.at.origin;
  w.request = std::move(r);
  return w;
}

// Where a part was asked for, a part from there or the whole must come.
std::uint64_t first_byte_of(const wanted& w, const hop_head& head, const client_transfer& t) {
  if (head.status != 206) return 0;
  const std::optional<std::string_view> field = head.headers.find("Content-Range");
  constexpr std::string_view unit = "bytes ";
  std::optional<std::uint64_t> first;
  if (field && equal_ignoring_case(field->substr(0, unit.size()), unit)) {
    const std::string_view range = field->substr(unit.size());
    first = parse_decimal(range.substr(0, range.find('-')));
  }
  if (w.request.resume && first != w.request.resume->first)
    throw t.failure(client_failure::protocol, "another part came than was asked for");
  return first.value_or(0);
}

// Reads the little that a redirect says, so that its connection serves the next request.
promise<> drain(std::shared_ptr<client_transfer> t) {
  if (t->length().value_or(most_drained_bytes + 1) > most_drained_bytes) co_return;
  try {
    for (;;) {
      promise<shared_bytes> reading = client_transfer::read(t);
      const shared_bytes piece = co_await reading;
      if (piece.empty()) co_return;
    }
  } catch (const error&) {
    co_return;  // nobody wants it
  }
}

// Turns `w` to where `head` points. Throws: `client_error`.
void follow(wanted& w, const hop_head& head, int followed, const client_transfer& t) {
  if (followed >= w.options.most_redirects) {
    throw t.failure(client_failure::redirect,
                    "more than " + std::to_string(w.options.most_redirects) + " redirects");
  }
  client_url to = resolve_url(w.at, std::string(*head.headers.find("Location")));
  redirection step;
  step.status = head.status;
  step.from = w.at.text;
  step.to = to.text;
  step.same_origin = to.origin == w.at.origin;
  if (w.options.may_redirect && !w.options.may_redirect(step))
    throw t.failure(client_failure::redirect, "a redirect to " + to.text + " is refused");
  client_request& r = w.request;
  const bool becomes_get =
      head.status == 303 ? r.method != "HEAD" : head.status <= 302 && r.method == "POST";
  if (becomes_get) {
    r.method = "GET";
    r.body = {};
    r.stream = nullptr;
    r.headers.remove("Content-Type");
  } else if (r.stream) {
    throw t.failure(client_failure::redirect, "a streamed body cannot be sent again");
  }
  w.at = std::move(to);
}

promise<client_response> send(client_link_ptr link, client_request r) {
  wanted w = prepare(*link, std::move(r));
  for (int followed = 0;; ++followed) {
    auto t = std::make_shared<client_transfer>(link);
    promise<hop_head> asked = t->begin(make_hop(*link, w), w.request.stream);
    hop_head head = co_await std::move(asked);
    w.began = head.began;
    if (is_redirect(head.status) && w.options.most_redirects > 0 && head.headers.find("Location")) {
      follow(w, head, followed, *t);
      t->expect(head, false);
      promise<> drained = drain(t);
      co_await drained;
      continue;
    }
    t->expect(head, asks_for_inflation(w));
    client_response out;
    out.status = head.status;
    out.first_byte = first_byte_of(w, head, *t);
    out.headers = std::move(head.headers);
    out.url = w.at.text;
    out.body = client_body(std::move(t));
    co_return out;
  }
}

promise<std::string> read_rest(std::shared_ptr<client_transfer> t, std::size_t limit) {
  std::string out;
  if (t->length().value_or(0) <= limit) out.reserve(t->length().value_or(0));
  for (;;) {
    promise<shared_bytes> reading = client_transfer::read(t);
    const shared_bytes piece = co_await reading;
    if (piece.empty()) co_return out;
    if (piece.size() > limit - out.size()) {
      t->end();
      throw t->failure(client_failure::too_large,
                       "the body has more than " + std::to_string(limit) + " bytes");
    }
    out += piece.view();
    co_await maybe_pause(fermata::detail::stream_cost(piece.size()));
  }
}

}  // namespace

struct client_core {
  explicit client_core(client_options o)
      : engine({o.most_transfers, o.most_per_host, o.most_idle_connections}) {
    link->letters = thread.letters();
    link->engine = &engine;
    link->user_agent = std::move(o.user_agent);
    link->defaults = std::move(o.defaults);
    thread.post([e = &engine] { e->open(); });
  }

  client_engine engine;  // outlives the thread
  loop_thread thread;
  client_link_ptr link = std::make_shared<client_link>();
};

}  // namespace detail

// ---- header_fields ----

void header_fields::add(std::string name, std::string value) {
  fields_.emplace_back(std::move(name), std::move(value));
}

std::optional<std::string_view> header_fields::find(std::string_view name) const noexcept {
  for (const auto& [n, value] : fields_)
    if (detail::equal_ignoring_case(n, name)) return value;
  return std::nullopt;
}

// ---- client_body ----

client_body::client_body(std::shared_ptr<detail::client_transfer> t) noexcept
    : transfer_(std::move(t)) {}

client_body& client_body::operator=(client_body&& other) noexcept {
  if (this == &other) return *this;
  cancel();
  transfer_ = std::move(other.transfer_);
  return *this;
}

client_body::~client_body() { cancel(); }

promise<shared_bytes> client_body::read() {
  if (transfer_ == nullptr) return ready(shared_bytes());
  return detail::client_transfer::read(transfer_);
}

promise<std::string> client_body::read_all(std::size_t limit) {
  if (transfer_ == nullptr) return ready(std::string());
  return detail::read_rest(transfer_, limit);
}

std::optional<std::uint64_t> client_body::length() const noexcept {
  return transfer_ == nullptr ? std::nullopt : transfer_->length();
}

void client_body::cancel() noexcept {
  if (transfer_ != nullptr) transfer_->end();
}

// ---- client ----

client::client(client_options options)
    : core_(std::make_unique<detail::client_core>(std::move(options))) {}
client::client(client&&) noexcept = default;
client& client::operator=(client&&) noexcept = default;
client::~client() = default;

promise<client_response> client::send(client_request r) {
  return detail::send(core_->link, std::move(r));
}

const transfer_options& client::defaults() const noexcept { return core_->link->defaults; }

}  // namespace fermata::http
