// SPDX-License-Identifier: MIT
/// Immutable bytes with an owner: copied by count, sent without a copy.
///
/// Pauses: never.
/// Thread: any; the count is atomic, the bytes never change.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace fermata::http {

class shared_bytes {
public:
  shared_bytes() noexcept = default;
  /// Takes over a text.
  explicit shared_bytes(std::string text)
      : shared_bytes(std::make_shared<const std::string>(std::move(text))) {}
  /// Shares a text; a null pointer is no bytes.
  explicit shared_bytes(std::shared_ptr<const std::string> text) noexcept {
    if (text == nullptr) return;
    bytes_ = *text;
    owner_ = std::move(text);
  }
  /// Shares `bytes`, which live as long as `owner`; a null owner says that they live for ever.
  shared_bytes(std::shared_ptr<const void> owner, std::string_view bytes) noexcept
      : owner_(std::move(owner)), bytes_(bytes) {}

  [[nodiscard]] std::string_view view() const noexcept { return bytes_; }
  [[nodiscard]] std::size_t size() const noexcept { return bytes_.size(); }
  [[nodiscard]] bool empty() const noexcept { return bytes_.empty(); }

  /// The part from `first`, at most `count` bytes of it, with the same owner.
  [[nodiscard]] shared_bytes part(std::size_t first, std::size_t count) const {
    if (first >= bytes_.size()) return {};
    return {owner_, bytes_.substr(first, count)};
  }

private:
  std::shared_ptr<const void> owner_;
  std::string_view bytes_;
};

}  // namespace fermata::http
