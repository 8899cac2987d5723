// SPDX-License-Identifier: MIT
/// The pages for people: `/status` and `/`.
///
/// Shape:  one HTML file each, without anything from elsewhere; every value is escaped. The status
///         page has a script of a few lines that puts in what `/status/events` sends; without it
///         the page loads itself anew. `host` is what the client asked for (its Host header); where
///         that is not a plain host and port, `fallback_host` stands in the commands to copy. Where
///         a `public_url` is known, they have that.
/// Pauses: never; a page takes about 200 us, most of it for the plots.
/// Thread: any.
#pragma once

#include <fermata/mirror/history.hpp>
#include <fermata/mirror/service_status.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace fermata::mirror {

/// Who looks, and at what.
struct page_view {
  page_view() {}  // no aggregate: see STYLE.md, coroutines under g++ 12
  std::string host;
  std::string fallback_host;
  std::string public_url;  ///< `https://opam.example.org`; empty: http:// and the host
  bool whole_day = false;  ///< plots of the last day in place of the last hour
};

/// A part of the page, which is an element with this id.
struct page_part {
  std::string_view id;
  std::string html;
};

[[nodiscard]] std::vector<page_part> status_parts(const service_status& status,
                                                  const history& past,
                                                  const page_view& view);

[[nodiscard]] std::string status_page(const service_status& status,
                                      const history& past,
                                      const page_view& view);

/// The event that puts `parts` in: a line `data: {"id":"html",...}` and an empty one.
[[nodiscard]] std::string status_event(const std::vector<page_part>& parts);

/// What the Content-Security-Policy of the pages is.
[[nodiscard]] std::string_view page_policy();

[[nodiscard]] std::string home_page(const service_status& status, const page_view& view);

/// Whether `host` is a name or address with an optional port, safe to paste into a shell.
[[nodiscard]] bool is_plain_host(std::string_view host);

}  // namespace fermata::mirror
