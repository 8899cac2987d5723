// SPDX-License-Identifier: MIT
// Look-ups in the fields of a request. Requests have about ten fields: a scan beats a table.

#include "text.hpp"

#include <fermata/http/request.hpp>

namespace fermata::http {

std::optional<std::string_view> request::find_header(std::string_view name) const noexcept {
  for (const header_piece& h : headers_)
    if (detail::equal_ignoring_case(at(h.name), name)) return at(h.value);
  return std::nullopt;
}

std::optional<std::string_view> request::find_last_header(std::string_view name) const noexcept {
  for (std::size_t i = headers_.size(); i > 0; --i) {
    const header_piece& h = headers_[i - 1];
    if (detail::equal_ignoring_case(at(h.name), name)) return at(h.value);
  }
  return std::nullopt;
}

std::size_t request::count_headers(std::string_view name) const noexcept {
  std::size_t count = 0;
  for (const header_piece& h : headers_)
    if (detail::equal_ignoring_case(at(h.name), name)) ++count;
  return count;
}

}  // namespace fermata::http
