// SPDX-License-Identifier: MIT
#include "hashing.hpp"

#include "triple_digest.hpp"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>

namespace fermata::mirror {

std::string hex_of(std::span<const std::uint8_t> bytes) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  text.reserve(2 * bytes.size());
  for (const std::uint8_t byte : bytes) {
    text += digits[byte >> 4];
    text += digits[byte & 15];
  }
  return text;
}

void start_hashing() {
  static const bool started = [] {
    static_cast<void>(triple_digest().finish());
    std::array<unsigned char, EVP_MAX_MD_SIZE> sum{};
    unsigned length = 0;
    return HMAC(EVP_sha256(), "", 0, sum.data(), 0, sum.data(), &length) != nullptr;
  }();
  static_cast<void>(started);
}

}  // namespace fermata::mirror
