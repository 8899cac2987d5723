// SPDX-License-Identifier: MIT
// URLs by libcurl's own parser.

#include "client_url.hpp"

#include "text.hpp"

#include <fermata/http/client_error.hpp>

#include <curl/curl.h>

#include <algorithm>
#include <memory>
#include <new>

namespace fermata::http::detail {
namespace {

struct frees_url {
  void operator()(CURLU* u) const noexcept { curl_url_cleanup(u); }
};
using url_handle = std::unique_ptr<CURLU, frees_url>;

struct frees_text {
  void operator()(char* t) const noexcept { curl_free(t); }
};

std::string part_of(CURLU* u, CURLUPart what, unsigned flags = 0) {
  char* text = nullptr;
  if (curl_url_get(u, what, &text, flags) != CURLUE_OK || text == nullptr) return {};
  const std::unique_ptr<char, frees_text> owned(text);
  return text;
}

std::string lowered(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), lower);
  return text;
}

url_handle new_handle() {
  url_handle u(curl_url());
  if (u == nullptr) throw std::bad_alloc();
  return u;
}

client_url take_apart(CURLU* u) {
  client_url out;
  out.scheme = lowered(part_of(u, CURLUPART_SCHEME));
  out.user = part_of(u, CURLUPART_USER, CURLU_URLDECODE);
  out.password = part_of(u, CURLUPART_PASSWORD, CURLU_URLDECODE);
  out.origin = out.scheme + "://" + lowered(part_of(u, CURLUPART_HOST)) + ":" +
               part_of(u, CURLUPART_PORT, CURLU_DEFAULT_PORT);
  for (const CURLUPart secret : {CURLUPART_USER, CURLUPART_PASSWORD, CURLUPART_FRAGMENT})
    curl_url_set(u, secret, nullptr, 0);
  out.text = part_of(u, CURLUPART_URL);
  return out;
}

// What stands before the last @ of the authority may be a password, also where nothing parses.
std::string without_secrets(const std::string& text) {
  const std::size_t slashes = text.find("//");
  const std::size_t begin = slashes == std::string::npos ? 0 : slashes + 2;
  const std::size_t at = text.rfind('@');
  if (at == std::string::npos || at < begin) return text;
  return text.substr(0, begin) + text.substr(at + 1);
}

}  // namespace

client_url read_url(const std::string& text) {
  const url_handle u = new_handle();
  const CURLUcode code = curl_url_set(u.get(), CURLUPART_URL, text.c_str(), CURLU_URLENCODE);
  if (code != CURLUE_OK || text.find('\0') != std::string::npos) {
    const char* why = code == CURLUE_OK ? "it has a NUL" : curl_url_strerror(code);
    std::string reason(why);
    if (!reason.empty()) reason[0] = lower(reason[0]);
    throw client_error(client_failure::url,
                       "cannot use the URL " + without_secrets(text) + ": " + reason);
  }
  return take_apart(u.get());
}

client_url resolve_url(const client_url& base, const std::string& location) {
  const url_handle u = new_handle();
  CURLUcode code = curl_url_set(u.get(), CURLUPART_URL, base.text.c_str(), 0);
  if (code == CURLUE_OK)
    code = curl_url_set(u.get(), CURLUPART_URL, location.c_str(), CURLU_URLENCODE);
  client_url out;
  if (code == CURLUE_OK) out = take_apart(u.get());
  if (code != CURLUE_OK || (out.scheme != "http" && out.scheme != "https")) {
    throw client_error(client_failure::redirect, "cannot follow a redirect of " + base.text +
                                                     " to " + without_secrets(location));
  }
  return out;
}

}  // namespace fermata::http::detail
