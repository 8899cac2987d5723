// SPDX-License-Identifier: MIT
/// The name of a git object (SHA-1, 20 bytes), and the types that objects have.
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
#include <string>
#include <string_view>

namespace fermata::git_mem {

/// What an object is; the values are those of pack entries.
enum class object_type : std::uint8_t { commit = 1, tree = 2, blob = 3, tag = 4 };

/// "commit", "tree", "blob" or "tag".
[[nodiscard]] std::string_view type_name(object_type type) noexcept;

/// The 20 bytes that name an object. The default one is all zero and names nothing.
class object_id {
public:
  static constexpr std::size_t size_bytes = 20;
  static constexpr std::size_t hex_digits = 40;

  constexpr object_id() = default;

  /// Copies 20 bytes from `raw`.
  [[nodiscard]] static object_id from_bytes(const void* raw) noexcept {
    object_id id;
    std::memcpy(id.bytes_.data(), raw, size_bytes);
    return id;
  }

  /// Exactly 40 hex digits of either case; anything else gives nothing.
  [[nodiscard]] static std::optional<object_id> from_hex(std::string_view hex) noexcept;

  /// The first `digits` hex digits, in lower case.
  [[nodiscard]] std::string hex(std::size_t digits = hex_digits) const;

  [[nodiscard]] const std::uint8_t* data() const noexcept { return bytes_.data(); }
  [[nodiscard]] bool is_zero() const noexcept { return *this == object_id(); }

  /// The first 8 bytes as a number: as random as SHA-1 is, as long as nobody grinds names.
  [[nodiscard]] std::uint64_t prefix() const noexcept {
    std::uint64_t n = 0;
    std::memcpy(&n, bytes_.data(), sizeof n);
    return n;
  }

  // The default compares by a call of memcmp, which a look-up by name feels.
  friend bool operator==(const object_id& a, const object_id& b) noexcept {
    const auto word = [](const object_id& id, std::size_t at) {
      std::uint64_t n = 0;
      std::memcpy(&n, id.bytes_.data() + at, sizeof n);
      return n;
    };
    return ((word(a, 0) ^ word(b, 0)) | (word(a, 8) ^ word(b, 8)) | (word(a, 12) ^ word(b, 12))) ==
           0;
  }
  friend std::strong_ordering operator<=>(const object_id&, const object_id&) = default;

private:
  std::array<std::uint8_t, size_bytes> bytes_{};
};

}  // namespace fermata::git_mem

template <>
struct std::hash<fermata::git_mem::object_id> {
  std::size_t operator()(const fermata::git_mem::object_id& id) const noexcept {
    return static_cast<std::size_t>(id.prefix());
  }
};
