// SPDX-License-Identifier: MIT
#include "update_hook.hpp"

#include "hashing.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <strings.h>

#include <algorithm>
#include <array>
#include <span>

namespace fermata::mirror {
namespace {

bool equals(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::string hmac_sha256_hex(std::string_view text, const std::string& key) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> sum{};
  unsigned length = 0;
  if (HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
           reinterpret_cast<const unsigned char*>(text.data()), text.size(), sum.data(),
           &length) == nullptr) {
    return {};  // which equals no signature
  }
  return hex_of(std::span(sum).first(length));
}

// In any case, as RFC 9110 has it.
bool has_scheme(std::string_view given, std::string_view scheme) {
  return given.size() >= scheme.size() &&
         ::strncasecmp(given.data(), scheme.data(), scheme.size()) == 0;
}

int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

std::string form_decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool is_escape =
        text[i] == '%' && i + 2 < text.size() && digit(text[i + 1]) >= 0 && digit(text[i + 2]) >= 0;
    if (is_escape) {
      out += static_cast<char>(digit(text[i + 1]) * 16 + digit(text[i + 2]));
      i += 2;
    } else {
      out += text[i] == '+' ? ' ' : text[i];
    }
  }
  return out;
}

// A browser says where a form comes from.
bool is_of_another_site(const http::request& r) {
  const auto origin = r.find_header("Origin");
  if (!origin) return false;
  const std::size_t scheme = origin->find("://");
  return scheme == std::string_view::npos || origin->substr(scheme + 3) != r.authority();
}

bool is_signed(const http::request& r, std::string_view signature, const std::string& secret) {
  return equals(signature, hmac_sha256_hex(r.body(), secret));
}

}  // namespace

std::string form_field(std::string_view form, std::string_view name) {
  while (!form.empty()) {
    const std::string_view pair = form.substr(0, form.find('&'));
    form.remove_prefix(std::min(pair.size() + 1, form.size()));
    const std::size_t equals_at = pair.find('=');
    if (equals_at != std::string_view::npos && pair.substr(0, equals_at) == name) {
      return form_decoded(pair.substr(equals_at + 1));
    }
  }
  return {};
}

std::string_view hook_fault(const http::request& r, const std::string& secret) {
  if (is_of_another_site(r)) return "the form is of another site";
  if (secret.empty()) return {};
  constexpr std::string_view prefix = "sha256=";
  constexpr std::string_view bearer = "Bearer ";
  constexpr std::string_view wrong = "the secret is wrong";
  if (const auto github = r.find_header("X-Hub-Signature-256")) {
    const bool fits =
        github->starts_with(prefix) && is_signed(r, github->substr(prefix.size()), secret);
    return fits ? std::string_view() : "the signature is wrong";
  }
  if (const auto gitea = r.find_header("X-Gitea-Signature")) {
    return is_signed(r, *gitea, secret) ? std::string_view() : "the signature is wrong";
  }
  if (const auto token = r.find_header("X-Update-Secret")) {
    return equals(*token, secret) ? std::string_view() : wrong;
  }
  if (const auto given = r.find_header("Authorization"); given && has_scheme(*given, bearer)) {
    return equals(given->substr(bearer.size()), secret) ? std::string_view() : wrong;
  }
  if (is_form(r)) {
    return equals(form_field(r.body(), "secret"), secret) ? std::string_view() : wrong;
  }
  return "it needs the secret";
}

bool is_form(const http::request& r) {
  const auto type = r.find_header("Content-Type");
  return type && type->starts_with("application/x-www-form-urlencoded");
}

bool is_page_form(const http::request& r) {
  // GitHub sends its hooks as forms where that is their content type, and takes 303 for a failure.
  for (const char* field :
       {"X-GitHub-Event", "X-Gitea-Event", "X-Hub-Signature-256", "X-Gitea-Signature"}) {
    if (r.find_header(field)) return false;
  }
  return is_form(r);
}

bool is_hook_ping(const http::request& r) {
  return r.find_header("X-GitHub-Event") == "ping" || r.find_header("X-Gitea-Event") == "ping";
}

std::chrono::seconds hook_budget::wait(time_point now) const {
  const auto left = std::max(full_at_, now) + refill - (now + refill * burst);
  return std::chrono::ceil<std::chrono::seconds>(std::max(left, {}));
}

void hook_budget::take(time_point now) { full_at_ = std::max(full_at_, now) + refill; }

}  // namespace fermata::mirror
