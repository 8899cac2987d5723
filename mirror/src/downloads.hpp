// SPDX-License-Identifier: MIT
// Which archives are missing, and when each is to be tried.
#pragma once

#include "fetch_archive.hpp"
#include "kept_failures.hpp"

#include <fermata/loop/event_loop.hpp>
#include <fermata/mirror/archive_hash.hpp>
#include <fermata/promise/promise.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fermata::mirror {

/// One archive that is not there.
struct download {
  enum class state : std::uint8_t { waiting, active, failed };

  state now = state::waiting;
  std::string host;
  std::string url;  ///< the declared one, without credentials
  std::string packages;
  std::size_t tries = 0;
  fetch_failure why;
  std::chrono::sys_seconds since;  ///< of the first failure
  time_point began{};
  time_point next_try{};
  fetch_progress progress;
  std::uint64_t promised = 0;  ///< bytes of the room that it was woken for
  std::uint64_t number = 0;    ///< another one for each that is made
  std::size_t askers = 0;      ///< requests that wait for it
  bool is_asked = false;       ///< it waits to be tried before others
  promise<> ended;             ///< of the try under way or asked for: it resolves however that ends
  resolver<> end;
};

/// Of `jobs` and `per_host` every eighth and every fourth are kept for what is asked for.
struct download_limits {
  static constexpr std::size_t most_asked = 256;         ///< that wait to be tried
  static constexpr std::size_t most_asked_of_host = 64;  ///< of them, so that a dead one has no all

  std::size_t jobs = 16;
  std::size_t per_host = 4;
  std::chrono::nanoseconds first_delay{};
  std::chrono::nanoseconds longest_delay{};
  double jitter = 0;
};

/// Shape:  hosts take turns, each with at most `per_host` downloads; one that asks for it, or does
///         not answer, is left alone for a while; so are all where the disk is full. Failed ones
///         wait until their time, those that the quota has no room for until it has: others go on.
///         What a client asks for comes first, in its order, also where the host is left alone; the
///         bounds hold for it too.
/// Pauses: never; below 5 us each, but for `status` functions.
/// Thread: loop.
class download_queue {
public:
  using table = std::map<archive_hash, std::unique_ptr<download>>;

  explicit download_queue(download_limits limits) : limits_(limits) {}

  /// One more is missing; one that failed is tried anew at once.
  void add(const wanted_archive& a);
  /// One more is missing, that failed before a restart. What is known of another URL is not used.
  void restore(const wanted_archive& a, kept_failure known, time_point now);
  /// It is there, or wanted no more. One under way goes on.
  void drop(const archive_hash& key);
  [[nodiscard]] download* find(const archive_hash& key) const;

  /// What may start now.
  [[nodiscard]] std::optional<archive_hash> next(time_point now);
  void begin(const archive_hash& key, time_point now);
  void succeed(const archive_hash& key);
  void fail(const archive_hash& key, fetch_failure why, time_point now);
  /// A try that nobody knows the end of: it waits again.
  void give_back(const archive_hash& key);

  /// A request waits for it: it is to be tried before others, if it is not already. Gives what to
  /// `unask` with; 0: too many are asked for.
  std::uint64_t ask(const archive_hash& key);
  /// That request waits no more. What nobody waits for has its place of before.
  void unask(const archive_hash& key, std::uint64_t number);
  /// What is asked for and may start now.
  [[nodiscard]] std::optional<archive_hash> next_asked() const;
  /// Nothing will start any more: nobody has to wait for it.
  void forget_asked();

  /// Makes one failed download wait that is due by now, that `retry` was asked for, or that fits
  /// into `room`, the smallest first; false: there is none.
  bool wake_one(time_point now, std::uint64_t room);
  /// When `wake_one` or `next` may give something again, where nothing else happens.
  [[nodiscard]] std::optional<time_point> next_time(time_point now) const;
  std::size_t retry(std::string_view reason);
  [[nodiscard]] std::vector<paused_host> paused(time_point now) const;
  /// Nothing starts for so long, because the last that came found the disk full; 0: it does.
  [[nodiscard]] std::chrono::seconds full_for(time_point now) const;

  [[nodiscard]] const table& all() const noexcept { return all_; }
  /// Counts what makes `all` differ in what survives a restart.
  [[nodiscard]] std::uint64_t changes() const noexcept { return changes_; }
  [[nodiscard]] const std::set<archive_hash>& active() const noexcept { return active_; }
  [[nodiscard]] std::size_t asked() const noexcept { return asked_.size(); }
  [[nodiscard]] std::size_t failed() const noexcept { return schedule_.size() + by_need_.size(); }
  [[nodiscard]] const std::map<std::string, std::set<archive_hash>, std::less<>>& failures() const {
    return by_reason_;
  }

private:
  struct host {
    std::deque<archive_hash> waiting;  // some may have gone
    std::size_t active = 0;
    std::size_t asked = 0;
    std::size_t unreachable = 0;  // in a row
    time_point paused_until{};
  };
  [[nodiscard]] std::optional<archive_hash> pop(host& h);
  void put(const archive_hash& key, download& d);
  void schedule(const archive_hash& key, download& d, time_point when);
  void unschedule(const archive_hash& key, download& d);
  [[nodiscard]] std::chrono::nanoseconds delay_of(const download& d) const;
  void leave(const archive_hash& key, download& d);
  void return_room(download& d) { promised_ -= std::exchange(d.promised, 0); }
  [[nodiscard]] std::optional<archive_hash> next_retried();
  [[nodiscard]] std::optional<archive_hash> next_due(time_point now, std::uint64_t room);
  download& make(const archive_hash& key);
  static void promise_end(download& d);
  // What downloads that nobody asks for may take.
  [[nodiscard]] std::size_t own_jobs() const { return limits_.jobs - limits_.jobs / 8; }
  [[nodiscard]] std::size_t own_per_host() const { return limits_.per_host - limits_.per_host / 4; }
  void take_from_asked(const archive_hash& key, download& d);
  void pause(host& h, const fetch_failure& why, time_point now) const;

  download_limits limits_;
  table all_;
  std::set<archive_hash> active_;
  std::map<std::string, host> hosts_;
  std::deque<archive_hash> asked_;  // exactly those that say so
  std::string turn_;                // the host that was served last
  time_point full_until_{};
  std::set<std::pair<time_point, archive_hash>> schedule_;    // failed ones that have a time,
  std::set<std::pair<std::uint64_t, archive_hash>> by_need_;  // and those that need room
  std::uint64_t promised_ = 0;  // of the room, to those that were woken for it and have not ended
  std::map<std::string, std::set<archive_hash>, std::less<>> by_reason_;
  std::set<std::string, std::less<>> retried_;  // reasons
  std::uint64_t changes_ = 0;
  std::uint64_t made_ = 0;
};

}  // namespace fermata::mirror
