// SPDX-License-Identifier: MIT
// What Beast 1.74 lets through and a strict server must not: refused in the callbacks below.
//
// Beast checks tokens, line ends and control characters; Content-Length against Transfer-Encoding.
// Ours are: the transfer coding, Host, odd lengths, folded lines, expectations,
// control characters in chunk extensions, the number of fields.

#include "message_grammar.hpp"

#include "request_access.hpp"
#include "request_line.hpp"
#include "text.hpp"

#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>

#include <algorithm>
#include <limits>
#include <optional>

namespace fermata::http::detail {
namespace {

namespace beast = boost::beast::http;
using error_code = boost::beast::error_code;
using beast_view = boost::beast::string_view;

std::string_view view(beast_view s) noexcept { return {s.data(), s.size()}; }

parse_failure explain(const error_code& ec) noexcept {
  if (ec == beast::error::bad_content_length) return {400, "the Content-Length is malformed"};
  if (ec == beast::error::bad_transfer_encoding)
    return {400, "a Transfer-Encoding beside another or beside a Content-Length"};
  if (ec == beast::error::bad_chunk || ec == beast::error::bad_chunk_extension)
    return {400, "a chunk line is malformed"};
  if (ec == beast::error::bad_value) return {400, "a field value is malformed"};
  return {400, "a header field is malformed"};
}

bool has_coding(std::string_view value, std::string_view name) noexcept {
  while (!value.empty())
    if (equal_ignoring_case(next_item(value), name)) return true;
  return false;
}

// 501 for a coding that is a token we do not know, 400 for what cannot be meant well.
parse_failure judge_transfer_encoding(std::string_view value) noexcept {
  if (equal_ignoring_case(value, "chunked")) return {};
  std::string_view rest = value;
  while (!rest.empty())
    if (!is_token(next_item(rest))) return {400, "the Transfer-Encoding is malformed"};
  const std::size_t comma = value.rfind(',');
  const std::string_view before = value.substr(0, comma == std::string_view::npos ? 0 : comma);
  if (value.empty() || value.back() == ',' || has_coding(before, "chunked"))
    return {400, "the Transfer-Encoding is malformed"};
  return {501, "no transfer coding but chunked is known"};
}

}  // namespace

class strict_parser {
public:
  // One Beast parser reads one message.
  class message final : public beast::basic_parser<true> {
  public:
    message(request& r, const parser_limits& limits) : request_(r), limits_(limits) {
      header_limit(std::numeric_limits<std::uint32_t>::max());  // the caller has counted
      body_limit(std::numeric_limits<std::uint64_t>::max());    // the caller counts
    }

    // Reads `element` and nothing else; less or more than the whole of it is a failure.
    parse_failure put_whole(std::string_view element) {
      error_code ec;
      const std::size_t used = put(boost::asio::const_buffer(element.data(), element.size()), ec);
      if (failure) return failure;
      if (ec) return explain(ec);
      if (used != element.size()) return {400, "the message is malformed"};
      return {};
    }

    parse_failure failure;
    chunk_line chunk;

  private:
    void refuse(int status, std::string_view why, error_code& ec) {
      failure = {status, why};
      ec = beast::error::bad_value;
    }
    void on_request_impl(
        beast::verb, beast_view method, beast_view target, int version, error_code&) override {
      request_access::set_method(request_, view(method));
      request_access::set_target(request_, view(target));
      request_access::set_version(request_,
                                  version == 11 ? http_version::v1_1 : http_version::v1_0);
    }
    void on_response_impl(int, beast_view, int, error_code&) override {}
    void on_field_impl(beast::field field,
                       beast_view name,
                       beast_view value,
                       error_code& ec) override;
    void on_header_impl(error_code& ec) override;
    void on_body_init_impl(const boost::optional<std::uint64_t>&, error_code&) override {}
    std::size_t on_body_impl(beast_view body, error_code&) override { return body.size(); }
    void on_chunk_header_impl(std::uint64_t size, beast_view extension, error_code& ec) override;
    std::size_t on_chunk_body_impl(std::uint64_t, beast_view body, error_code&) override {
      return body.size();
    }
    void on_finish_impl(error_code&) override {}

    void judge_host(std::string_view value, error_code& ec);
    void judge_length(std::string_view value, error_code& ec);
    void judge_coding(std::string_view value, error_code& ec);
    void judge_expectation(std::string_view value, error_code& ec);

    request& request_;
    const parser_limits& limits_;
    bool has_host_ = false;
    bool has_length_ = false;
    bool head_done_ = false;
  };

  std::optional<message> current;
};

void strict_parser::message::on_field_impl(beast::field field,
                                           beast_view name,
                                           beast_view value,
                                           error_code& ec) {
  // Beast unfolds a folded line into a buffer of its own, or finds the value after a line end.
  const char* colon = name.data() + name.size();
  const bool in_line = value.data() > colon && value.data() - colon < (1 << 30) &&
                       std::find(colon, value.data(), '\r') == value.data();
  if (!in_line) return refuse(400, "a folded header line", ec);
  if (head_done_) return;  // trailers are read and dropped
  if (request_.header_count() >= limits_.header_count)
    return refuse(431, "too many header fields", ec);
  request_access::add_header(request_, view(name), view(value));
  switch (field) {
    case beast::field::host:
      return judge_host(view(value), ec);
    case beast::field::content_length:
      return judge_length(view(value), ec);
    case beast::field::transfer_encoding:
      return judge_coding(view(value), ec);
    case beast::field::expect:
      return judge_expectation(view(value), ec);
    default:
      return;
  }
}

void strict_parser::message::judge_host(std::string_view value, error_code& ec) {
  if (has_host_) return refuse(400, "more than one Host", ec);
  if (!is_authority(value)) return refuse(400, "the Host is malformed", ec);
  has_host_ = true;
  request_access::set_authority(request_, value);
}

void strict_parser::message::judge_length(std::string_view value, error_code& ec) {
  if (has_length_) return refuse(400, "more than one Content-Length", ec);
  const std::optional<std::uint64_t> length = parse_decimal(value);
  if (!length) return refuse(400, "the Content-Length is malformed", ec);
  has_length_ = true;
  request_access::set_length(request_, *length);
}

void strict_parser::message::judge_coding(std::string_view value, error_code& ec) {
  if (request_.version() != http_version::v1_1)
    return refuse(400, "a Transfer-Encoding on HTTP/1.0", ec);
  if (const parse_failure f = judge_transfer_encoding(value)) return refuse(f.status, f.why, ec);
  request_access::set_chunked(request_);
}

void strict_parser::message::judge_expectation(std::string_view value, error_code& ec) {
  if (!equal_ignoring_case(value, "100-continue"))
    return refuse(417, "the only known expectation is 100-continue", ec);
  if (request_.version() == http_version::v1_1) request_access::set_expects_continue(request_);
}

void strict_parser::message::on_header_impl(error_code& ec) {
  head_done_ = true;
  if (!has_host_ && request_.version() == http_version::v1_1)
    return refuse(400, "the Host is missing", ec);
  request_access::set_keep_alive(request_, keep_alive());
}

void strict_parser::message::on_chunk_header_impl(std::uint64_t size,
                                                  beast_view extension,
                                                  error_code& ec) {
  // Beast lets anything stand in a quoted string, a line end too.
  if (std::any_of(extension.begin(), extension.end(), is_forbidden_control))
    return refuse(400, "a control character in a chunk extension", ec);
  chunk.size = size;
  chunk.extension_bytes = extension.size();
}

message_grammar::message_grammar() : parser_(std::make_unique<strict_parser>()) {}
message_grammar::~message_grammar() = default;

parse_failure message_grammar::read_head(request& r, const parser_limits& limits) {
  parser_->current.emplace(r, limits);
  return parser_->current->put_whole(request_access::block(r));
}

parse_failure message_grammar::read_chunk_line(std::string_view element, chunk_line& out) {
  strict_parser::message& m = *parser_->current;
  const parse_failure f = m.put_whole(element);
  if (f) return f;
  out = m.chunk;
  return {};
}

parse_failure message_grammar::read_data(std::string_view data) {
  return parser_->current->put_whole(data);
}

}  // namespace fermata::http::detail
