// SPDX-License-Identifier: MIT
/// A checksum of an archive, as opam files and `/cache` name it.
///
/// Pauses: never.
/// Thread: any; values.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace fermata::mirror {

enum class hash_kind : std::uint8_t { md5, sha256, sha512 };

inline constexpr std::array<hash_kind, 3> hash_kinds{hash_kind::md5, hash_kind::sha256,
                                                     hash_kind::sha512};

[[nodiscard]] std::string_view to_string(hash_kind kind) noexcept;
/// 16, 32 or 64.
[[nodiscard]] std::size_t hash_bytes(hash_kind kind) noexcept;

class archive_hash {
public:
  archive_hash() = default;
  /// `bytes` are `hash_bytes(kind)`.
  archive_hash(hash_kind kind, std::span<const std::uint8_t> bytes) noexcept;

  /// `sha256=3A0...`: the kind in any case, `md5` where there is none, hex digits of any case.
  [[nodiscard]] static std::optional<archive_hash> parse(std::string_view text) noexcept;
  /// From the two parts of a path below `/cache`; lower case alone.
  [[nodiscard]] static std::optional<archive_hash> from_path(std::string_view kind,
                                                             std::string_view hex) noexcept;

  [[nodiscard]] hash_kind kind() const noexcept { return kind_; }
  [[nodiscard]] std::string hex() const;
  /// `sha256=3a0...`
  [[nodiscard]] std::string text() const;
  /// `sha256/3a/3a0...`: below a cache, as clients ask for it.
  [[nodiscard]] std::string path() const;
  [[nodiscard]] std::span<const std::uint8_t> bytes() const noexcept {
    return {bytes_.data(), hash_bytes(kind_)};
  }

  friend bool operator==(const archive_hash&, const archive_hash&) = default;
  friend auto operator<=>(const archive_hash&, const archive_hash&) = default;

private:
  hash_kind kind_ = hash_kind::md5;
  std::array<std::uint8_t, 64> bytes_{};
};

}  // namespace fermata::mirror

template <>
struct std::hash<fermata::mirror::archive_hash> {
  std::size_t operator()(const fermata::mirror::archive_hash& h) const noexcept {
    std::size_t n = 0;
    std::memcpy(&n, h.bytes().data(), sizeof n);
    return n ^ static_cast<std::size_t>(h.kind());
  }
};
