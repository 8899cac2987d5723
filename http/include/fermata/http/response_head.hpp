// SPDX-License-Identifier: MIT
/// The fields of a response, and how the head is written.
///
/// Pauses: never.
/// Thread: the owner's.
#pragma once

#include <fermata/http/request.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace fermata::http {

/// Fields as they are sent, in one string: copying a response costs one allocation for them all.
///
/// Throws: `contract_error` for a name that is no token, for a value with a control character (so
///         that nobody injects a header), and for the fields that the server alone writes:
///         Connection, Content-Length, Date, Keep-Alive, Server, Trailer, Transfer-Encoding and
///         Upgrade.
class header_block {
public:
  /// Adds a field behind the others.
  void add(std::string_view name, std::string_view value);
  /// Replaces all fields of this name by one.
  void set(std::string_view name, std::string_view value);
  /// Removes all fields of this name; returns whether there was one.
  bool remove(std::string_view name);
  /// The value of the first field of this name in any case.
  [[nodiscard]] std::optional<std::string_view> find(std::string_view name) const noexcept;
  /// `Name: value\r\n` for each field.
  [[nodiscard]] const std::string& text() const noexcept { return text_; }

private:
  std::string text_;
};

/// What the server knows about a response beside its status and fields.
struct head_facts {
  http_version version = http_version::v1_1;  ///< the client's
  bool keep_alive = true;
  bool chunked = false;
  std::optional<std::uint64_t> length;  ///< none: chunked, or ended by the end of the connection
  std::string_view date;                ///< an HTTP date; empty: no Date field
};

/// Appends status line, Date, Server, Content-Length or Transfer-Encoding, Connection, `headers`
/// and the empty line. A bodiless status (1xx, 204, 304) gets no framing fields.
void append_head(std::string& out,
                 int status,
                 const header_block& headers,
                 const head_facts& facts);

}  // namespace fermata::http
