// SPDX-License-Identifier: MIT
/// The archives of a mirror: which ones the packages name, which are stored, who fetches the rest.
///
/// Shape:    made; `run` as long as it is to work; `update` for every commit that is served;
///           `serve` for `/cache/...`. Each missing archive is fetched from its declared URL, then
///           from its mirrors, then from the upstream caches, and tried again on a schedule of its
///           own, which a restart does not change. One that is asked for before it is there is
///           fetched before all others, once for all who ask, while they wait; an eighth of `jobs`
///           and a fourth of `per_host` are kept for such.
/// Bounds:   256 archives may be asked for and not under way, 64 of one host, and `most_waiting`
///           requests may wait: one more gets 503 with Retry-After. What nobody waits for any more
///           is asked for no more; a download under way goes on.
/// Pauses:   may; files and hashes are on the pool, TLS and names on the client's thread.
/// Thread:   loop.
/// Lifetime: the loop and the catalogue outlive the service, the service its promises.
#pragma once

#include <fermata/http/client.hpp>
#include <fermata/http/request.hpp>
#include <fermata/http/response.hpp>
#include <fermata/mirror/archive_catalogue.hpp>
#include <fermata/mirror/archive_store.hpp>
#include <fermata/promise/promise.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fermata::mirror {

struct archive_options {
  archive_options() {}  // no aggregate: see STYLE.md, coroutines under g++ 12

  std::string folder;                        ///< of the store; empty: archives are not served
  bool skip_download = false;                ///< fetch only what is asked for
  bool offline = false;                      ///< fetch nothing
  bool check = false;                        ///< look through all that is stored at the start
  bool allow_file = false;                   ///< `file://` URLs too
  std::vector<std::string> upstream_caches;  ///< tried last: `<base>/sha256/ab/ab...`
  std::size_t jobs = 16;                     ///< downloads at once, with those asked for
  std::size_t per_host = 4;
  std::size_t most_waiting = 512;               ///< requests for what is being fetched
  std::uint64_t download_bytes_per_second = 0;  ///< of all together; 0: no limit
  std::uint64_t largest_bytes = std::uint64_t{1} << 30;
  std::chrono::nanoseconds download_time = std::chrono::hours(1);    ///< for one URL
  std::chrono::nanoseconds first_delay = std::chrono::seconds(30);   ///< after a failure, doubled
  std::chrono::nanoseconds longest_delay = std::chrono::hours(12);   ///< up to this
  double jitter = 0.25;                                              ///< of the delays, both ways
  std::chrono::nanoseconds wait_time = std::chrono::minutes(5);      ///< of who asks; then 503
  std::chrono::seconds keep = std::chrono::days(30);                 ///< what nobody names any more
  std::uint64_t quota_bytes = 0;                                     ///< 0: none
  std::uint64_t scrub_bytes_per_second = std::uint64_t{2} << 20;     ///< 0: no scrub
  std::chrono::nanoseconds scrub_interval = std::chrono::hours(24);  ///< between two passes
  std::chrono::nanoseconds collect_interval = std::chrono::hours(1);  ///< between two collections
  http::client_options client;
};

struct download_status {
  std::string archive;  ///< its strongest checksum
  std::string packages;
  std::string url;  ///< that is tried
  std::uint64_t bytes = 0;
  std::optional<std::uint64_t> total;
  std::chrono::milliseconds elapsed{0};
};

struct failed_download {
  std::string archive;
  std::string packages;
  std::string url;  ///< the declared one
  std::string text;
  std::uint64_t tries = 0;
  std::chrono::sys_seconds since;    ///< the first failure, also one before a restart
  std::chrono::seconds next_try{0};  ///< from now
};

/// A host that has downloads waiting and is left alone: it asked for that, or does not answer.
struct paused_host {
  std::string name;
  std::chrono::seconds left{0};
};

/// Downloads that failed for the same reason: `connection`, `http 404`, `checksum`, ...
struct failure_group {
  std::string reason;
  std::size_t count = 0;
  std::vector<failed_download> examples;  ///< the first `archive_status::most_listed`
};

/// Downloads since the first that began while none was under way.
struct batch_status {
  bool is_active = false;
  std::uint64_t done = 0;
  std::uint64_t total = 0;  ///< with what is under way or waits; what fails leaves it
  std::uint64_t bytes = 0;
  std::chrono::milliseconds elapsed{0};
};

struct archive_status {
  static constexpr std::size_t most_listed = 20;

  bool is_open = false;   ///< the store has been looked at
  std::string fault;      ///< why it cannot be opened; empty: it can
  bool is_known = false;  ///< the catalogue has been read
  bool offline = false;
  bool on_demand = false;  ///< only what is asked for is fetched
  catalogue_counts catalogue;
  store_counts store;
  std::size_t present = 0;  ///< of the catalogue's archives
  std::size_t waiting = 0;
  std::size_t asked = 0;  ///< of those waiting, by requests
  std::size_t failed = 0;
  batch_status batch;
  std::vector<download_status> active;
  std::vector<paused_host> paused;
  std::size_t without_room = 0;      ///< of those failed: they wait for room in the store
  std::chrono::seconds full_for{0};  ///< no download begins by itself: the disk is full
  std::vector<failure_group> failures;
  std::uint64_t downloaded = 0;
  std::uint64_t downloaded_bytes = 0;
  std::uint64_t hits = 0;     ///< requests for what was there
  std::uint64_t fetched = 0;  ///< requests that waited until it was there
  std::uint64_t misses = 0;
  std::uint64_t refused = 0;  ///< requests, because too many waited
  std::size_t checked = 0;    ///< of the pass that is under way or was last
};

struct archive_core;

class archive_service {
public:
  archive_service(archive_options options, const archive_catalogue& catalogue);
  archive_service(const archive_service&) = delete;
  archive_service& operator=(const archive_service&) = delete;
  ~archive_service();

  /// Opens the store, downloads, looks after what is stored, until it is cancelled. A store that
  /// cannot be opened is logged and tried again.
  promise<> run();

  /// The catalogue was read. Cost: 5 us for each archive that it has touched.
  promise<> update(catalogue_update what);

  /// Answers a GET or HEAD below `/cache/`.
  /// Lifetime: the request outlives the promise.
  promise<http::response> serve(const http::request& r);

  /// It is stored, or a package names it.
  [[nodiscard]] bool knows(const archive_hash& hash) const;

  /// Tries failed downloads again now: of one reason, or all. Gives how many.
  std::size_t retry(std::string_view reason = {});

  /// Cost: 50 us, and 5 us for each download that failed.
  [[nodiscard]] archive_status status() const;
  /// Cost: below 5 us.
  [[nodiscard]] batch_status batch() const;

private:
  std::shared_ptr<archive_core> core_;
};

}  // namespace fermata::mirror
