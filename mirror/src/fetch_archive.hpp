// SPDX-License-Identifier: MIT
// One archive, from the first of its URLs that has it.
#pragma once

#include "rate_budget.hpp"

#include <fermata/http/client.hpp>
#include <fermata/loop/error.hpp>
#include <fermata/loop/time_source.hpp>
#include <fermata/mirror/archive_service.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace fermata::mirror {

/// The reason of those for which there is no room now.
constexpr std::string_view store_full_reason = "store full";

/// Why an archive could not be had.
struct fetch_failure {
  std::string reason;  ///< what failures are grouped by: `http 404`
  std::string text;
  bool is_lasting = false;                  ///< hardly worth another try soon
  std::chrono::nanoseconds retry_after{0};  ///< as the server asked
  std::uint64_t needed_bytes = 0;           ///< it waits until the store has so many left
};

/// What is being tried.
struct fetch_progress {
  std::string url;  ///< without credentials
  std::uint64_t bytes = 0;
  std::optional<std::uint64_t> total;
};

class fetch_failed : public error {
public:
  explicit fetch_failed(fetch_failure f) : error(f.text), why(std::move(f)) {}
  fetch_failure why;
};

/// `example.org` of `https://user@example.org:443/x`.
[[nodiscard]] std::string host_of(std::string_view url);

/// Shape:    each URL in turn: declared ones, mirrors, upstream caches. A transfer that breaks goes
///           on where it ended, up to five times, where the server's validator lets it; what has
///           come by then is kept for the next try, also over a restart. Bytes with another
///           checksum are dropped, and the next URL is tried. All take what comes at `rate`.
/// Rejects:  `fetch_failed`, with the failure of the first URL; `cancelled`.
/// Lifetime: all outlive the promise.
promise<stored_archive> fetch_archive(http::client& client,
                                      archive_store& store,
                                      const archive_options& options,
                                      wanted_archive what,
                                      rate_budget& rate,
                                      fetch_progress& progress);

}  // namespace fermata::mirror
