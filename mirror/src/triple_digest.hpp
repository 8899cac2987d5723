// SPDX-License-Identifier: MIT
// All checksums of an archive at once.
#pragma once

#include <fermata/mirror/archive_hash.hpp>

#include <array>
#include <string_view>

struct evp_md_ctx_st;

namespace fermata::mirror {

/// md5, sha256 and sha512 of the same bytes.
class triple_digest {
public:
  triple_digest();
  ~triple_digest();
  triple_digest(const triple_digest&) = delete;
  triple_digest& operator=(const triple_digest&) = delete;
  void update(std::string_view bytes);
  /// Once; `restart` begins anew.
  [[nodiscard]] std::array<archive_hash, 3> finish();
  void restart();

private:
  std::array<evp_md_ctx_st*, 3> contexts_{};
};

}  // namespace fermata::mirror
