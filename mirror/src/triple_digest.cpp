// SPDX-License-Identifier: MIT
#include "triple_digest.hpp"

#include <fermata/loop/error.hpp>

#include <openssl/evp.h>

#include <cstdint>
#include <string>

namespace fermata::mirror {
namespace {

const EVP_MD* algorithm(hash_kind kind) {
  switch (kind) {
    case hash_kind::md5:
      return EVP_md5();
    case hash_kind::sha256:
      return EVP_sha256();
    case hash_kind::sha512:
      break;
  }
  return EVP_sha512();
}

}  // namespace

triple_digest::triple_digest() {
  for (evp_md_ctx_st*& c : contexts_) c = EVP_MD_CTX_new();
  restart();
}
triple_digest::~triple_digest() {
  for (evp_md_ctx_st* c : contexts_) EVP_MD_CTX_free(c);
}

void triple_digest::restart() {
  for (const hash_kind kind : hash_kinds) {
    evp_md_ctx_st* c = contexts_[static_cast<std::size_t>(kind)];
    if (c == nullptr || EVP_DigestInit_ex(c, algorithm(kind), nullptr) != 1) {
      throw error("cannot start a " + std::string(to_string(kind)) + " (libcrypto)");
    }
  }
}

void triple_digest::update(std::string_view bytes) {
  for (evp_md_ctx_st* c : contexts_) {
    if (EVP_DigestUpdate(c, bytes.data(), bytes.size()) != 1) {
      throw error("cannot hash (libcrypto)");
    }
  }
}

std::array<archive_hash, 3> triple_digest::finish() {
  std::array<archive_hash, 3> hashes;
  for (const hash_kind kind : hash_kinds) {
    const auto k = static_cast<std::size_t>(kind);
    std::array<std::uint8_t, EVP_MAX_MD_SIZE> sum{};
    if (EVP_DigestFinal_ex(contexts_[k], sum.data(), nullptr) != 1) {
      throw error("cannot hash (libcrypto)");
    }
    hashes[k] = archive_hash(kind, {sum.data(), hash_bytes(kind)});
  }
  return hashes;
}

}  // namespace fermata::mirror
