// SPDX-License-Identifier: MIT
// What the parts of the archive service share. The catalogue says what is wanted, the store what is
// there; the queue holds the difference.
//
// Thread: loop.
#pragma once

#include "downloads.hpp"
#include "kept_failures.hpp"

#include <fermata/http/served_file.hpp>
#include <fermata/loop/event_loop.hpp>
#include <fermata/mirror/archive_service.hpp>
#include <fermata/promise/event.hpp>
#include <fermata/promise/scope.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace fermata::mirror {

/// Downloads from the first that began while none was under way.
struct download_batch {
  time_point began{};
  time_point ended{};
  std::uint64_t downloaded = 0;  ///< what the counters were then
  std::uint64_t downloaded_bytes = 0;
};

struct archive_core {
  archive_core(archive_options o, const archive_catalogue& c);

  [[nodiscard]] bool is_present(const wanted_archive& w) const;
  /// An archive came, went or changed: it is queued, or is no more.
  void look_at(const archive_hash& key);
  /// What is stored no more: all that it was wanted as.
  void look_at_all_of(const stored_archive& gone);
  /// Where the catalogue has been read and compared.
  void note_complete() {
    if (is_known && is_compared) complete.set();
  }
  [[nodiscard]] bool is_fetching() const { return running != nullptr && !running->is_cancelled(); }
  void log(log_level level, const std::string& text) const { loop.log(level, "archives", text); }

  archive_options options;
  event_loop& loop;
  const archive_catalogue& catalogue;
  std::unique_ptr<archive_store> store;  // null until it is open
  std::string fault;  ///< why it could not be opened; empty: it could, or is being
  std::optional<http::client> client;
  download_queue queue;
  rate_budget rate;          ///< of all downloads
  kept_failures remembered;  ///< of before the restart, not looked at yet
  http::file_cache files;
  scope* running = nullptr;
  auto_event wake;
  bool is_known = false;
  bool is_compared = false;  ///< all that is wanted with what is stored
  event complete;            ///< both: what is named by nothing is so
  std::size_t unseen = 0;    ///< archives that are to be compared yet, some counted twice
  check_report checking;
  std::uint64_t saved_changes = 0;  ///< of the queue's, that are on disk
  std::uint64_t downloaded = 0;
  std::uint64_t downloaded_bytes = 0;
  download_batch batch;
  std::uint64_t hits = 0;
  std::uint64_t fetched = 0;
  std::uint64_t misses = 0;
  std::uint64_t refused = 0;
  std::size_t waiting_requests = 0;
};
using archive_core_ptr = std::shared_ptr<archive_core>;

// ---- downloads ----

/// Starts what is due, until it is cancelled.
promise<> keep_downloading(archive_core_ptr c);
/// Starts what is asked for and has its turn: when it is asked for, and when a download has ended.
void start_asked(const archive_core_ptr& c);
/// Queues all that is missing.
promise<> look_at_all(archive_core_ptr c);
promise<> take_update(archive_core_ptr c, catalogue_update update);

// ---- the store ----

/// Opens it, however often that takes, and loads what was known of failures.
promise<> open_store(archive_core_ptr c);
/// Verifies what is stored, until it is cancelled. It may fail: the downloads go on.
promise<> keep_checking(archive_core_ptr c);
/// Removes what nobody names any more, as soon as that is known and then again and again, until it
/// is cancelled.
promise<> keep_collecting(archive_core_ptr c);
/// Writes what is known of sizes and failures when it has changed, until it is cancelled.
promise<> keep_known(archive_core_ptr c);
promise<> save_known(archive_core_ptr c);

// ---- requests ----

promise<http::response> serve_archive(archive_core_ptr c, const http::request& r);

}  // namespace fermata::mirror
