// SPDX-License-Identifier: MIT
// What a transfer that failed says: libcurl's codes in our kinds, and no secret in a text.

#include "curl_transfer.hpp"
#include "text.hpp"

#include <algorithm>
#include <string>
#include <utility>

namespace fermata::http::detail {
namespace {

client_failure kind_of(CURLcode code) {
  switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
      return client_failure::resolve;
    case CURLE_COULDNT_CONNECT:
    case CURLE_INTERFACE_FAILED:
    case CURLE_PROXY:
      return client_failure::connect;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_ENGINE_NOTFOUND:
    case CURLE_SSL_ENGINE_SETFAILED:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CRL_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_INVALIDCERTSTATUS:
      return client_failure::tls;
    case CURLE_PARTIAL_FILE:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
      return client_failure::broken;
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_FILE_COULDNT_READ_FILE:
      return client_failure::url;
    default:
      return client_failure::protocol;
  }
}

void hide(std::string& text, const std::string& secret) {
  if (secret.empty()) return;
  for (std::size_t at = text.find(secret); at != std::string::npos; at = text.find(secret, at))
    text.replace(at, secret.size(), "***");
}

}  // namespace

std::string curl_transfer::described(std::string_view why) const {
  std::string method = hop_.method;
  std::transform(method.begin(), method.end(), method.begin(), lower);
  std::string text = "cannot " + method + " " + hop_.url + ": ";
  std::string reason(why);
  if (hop_.credentials) {
    hide(reason, hop_.credentials->password);
    hide(reason, hop_.credentials->token);
  }
  if (hop_.options.proxy) hide(reason, *hop_.options.proxy);
  if (reason.size() > 1 && lower(reason[1]) == reason[1]) reason[0] = lower(reason[0]);
  return text + reason;
}

std::exception_ptr curl_transfer::failure_of(CURLcode code) const {
  if (code == CURLE_OPERATION_TIMEDOUT) return late(client_time::connect);
  const std::string why = message_[0] != '\0' ? message_.data() : curl_easy_strerror(code);
  client_failure kind = kind_of(code);
  // A proxy that says no, or hangs up.
  if (phase_ == phase::connecting && kind == client_failure::broken) kind = client_failure::connect;
  if (phase_ != phase::connecting && kind == client_failure::url) kind = client_failure::protocol;
  if (why.find("chunked-encoding") != std::string::npos) kind = client_failure::protocol;
  return std::make_exception_ptr(client_error(
      kind, described(why + " (curl " + std::to_string(static_cast<int>(code)) + ")")));
}

std::exception_ptr curl_transfer::late(client_time which) const {
  const client_limits& l = hop_.options.limits;
  const auto ms = [](std::chrono::nanoseconds d) {
    return std::to_string(std::chrono::ceil<std::chrono::milliseconds>(d).count()) + " ms";
  };
  std::string why;
  switch (which) {
    case client_time::none:
    case client_time::connect:
      why = "no connection within " + ms(l.connect_time);
      break;
    case client_time::first_byte:
      why = "no response within " + ms(l.first_byte_time);
      break;
    case client_time::rate:
      why = "less than " + std::to_string(l.rate_bytes) + " bytes within " + ms(l.rate_time);
      break;
    case client_time::total:
      why = "it was not over within " + ms(l.total_time);
      break;
  }
  return std::make_exception_ptr(client_error(client_failure::timeout, described(why), which));
}

}  // namespace fermata::http::detail
