// SPDX-License-Identifier: MIT
#include "downloads.hpp"

#include <fermata/git_mem/remote_url.hpp>

#include <algorithm>
#include <cmath>
#include <random>

namespace fermata::mirror {
namespace {

constexpr std::size_t most_unreachable = 5;  // then the host is left alone
constexpr std::chrono::minutes pause_of_host{1};
constexpr std::chrono::minutes pause_of_full{1};
constexpr std::chrono::hours least_lasting{1};

double spread(double by) {
  static thread_local std::minstd_rand random{std::random_device{}()};
  return std::uniform_real_distribution<double>(1 - by, 1 + by)(random);
}

bool is_unreachable(const fetch_failure& f) {
  return f.reason == "connection" || f.reason == "name not found" || f.reason == "timeout";
}

std::string listed(const std::vector<std::string>& names) {
  std::string text;
  for (std::size_t i = 0; i < names.size() && i < 3; ++i) text += (i == 0 ? "" : ", ") + names[i];
  if (names.size() > 3) text += " and " + std::to_string(names.size() - 3) + " more";
  return text;
}

}  // namespace

download& download_queue::make(const archive_hash& key) {
  auto made = std::make_unique<download>();
  made->number = ++made_;
  return *(all_[key] = std::move(made));
}

void download_queue::add(const wanted_archive& a) {
  download* d = find(a.key());
  const bool is_new = d == nullptr;
  if (is_new) d = &make(a.key());
  d->url = git_mem::without_secrets(a.urls.front());
  d->packages = listed(a.packages);
  if (d->now == download::state::active) return;
  if (d->now == download::state::waiting && !is_new) return;
  if (d->now == download::state::failed) {
    unschedule(a.key(), *d);
    d->tries = 0;
    ++changes_;
  }
  d->host = host_of(d->url);
  put(a.key(), *d);
}

void download_queue::restore(const wanted_archive& a, kept_failure known, time_point now) {
  if (known.url != git_mem::without_secrets(a.urls.front()) || all_.contains(a.key())) {
    add(a);
    return;
  }
  download* const d = &make(a.key());
  d->url = std::move(known.url);
  d->host = host_of(d->url);
  d->packages = listed(a.packages);
  d->tries = std::max<std::size_t>(known.tries, 1);
  d->why.reason = std::move(known.reason);
  d->why.text = std::move(known.text);
  d->why.is_lasting = known.is_lasting;
  d->why.needed_bytes = known.needed_bytes;
  d->since = known.since;
  // Clocks may have been set meanwhile.
  const auto wall = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  const std::chrono::nanoseconds rest = known.next_try - wall;
  schedule(a.key(), *d, now + std::clamp(rest, std::chrono::nanoseconds(0), limits_.longest_delay));
}

void download_queue::schedule(const archive_hash& key, download& d, time_point when) {
  d.now = download::state::failed;
  d.next_try = when;
  if (d.why.needed_bytes == 0) {
    schedule_.emplace(when, key);
  } else {
    by_need_.emplace(d.why.needed_bytes, key);
  }
  by_reason_[d.why.reason].insert(key);
}

void download_queue::put(const archive_hash& key, download& d) {
  d.now = download::state::waiting;
  hosts_[d.host].waiting.push_back(key);
}

void download_queue::unschedule(const archive_hash& key, download& d) {
  schedule_.erase({d.next_try, key});
  by_need_.erase({d.why.needed_bytes, key});
  const auto group = by_reason_.find(d.why.reason);
  if (group == by_reason_.end()) return;
  group->second.erase(key);
  if (group->second.empty()) by_reason_.erase(group);
}

void download_queue::drop(const archive_hash& key) {
  const auto at = all_.find(key);
  if (at == all_.end() || at->second->now == download::state::active) return;
  if (at->second->now == download::state::failed) unschedule(key, *at->second);
  if (at->second->tries > 0) ++changes_;
  return_room(*at->second);
  if (at->second->is_asked) {
    take_from_asked(key, *at->second);
    at->second->end.resolve();
  }
  all_.erase(at);
}

download* download_queue::find(const archive_hash& key) const {
  const auto at = all_.find(key);
  return at == all_.end() ? nullptr : at->second.get();
}

std::optional<archive_hash> download_queue::pop(host& h) {
  while (!h.waiting.empty()) {
    const archive_hash key = h.waiting.front();
    h.waiting.pop_front();
    const download* d = find(key);
    if (d != nullptr && d->now == download::state::waiting) return key;
  }
  return std::nullopt;
}

std::optional<archive_hash> download_queue::next(time_point now) {
  if (active_.size() >= own_jobs() || full_until_ > now) return std::nullopt;
  auto at = hosts_.upper_bound(turn_);
  for (std::size_t i = 0; i < hosts_.size(); ++i, ++at) {
    if (at == hosts_.end()) at = hosts_.begin();
    if (at->second.active >= own_per_host() || at->second.paused_until > now) continue;
    if (const auto key = pop(at->second)) {
      turn_ = at->first;
      return key;
    }
  }
  return std::nullopt;
}

void download_queue::promise_end(download& d) {
  auto [ended, end] = make_promise<>();
  d.ended = std::move(ended);
  d.end = std::move(end);
}

void download_queue::begin(const archive_hash& key, time_point now) {
  download& d = *find(key);
  if (d.is_asked) {
    take_from_asked(key, d);
  } else {
    promise_end(d);
  }
  d.now = download::state::active;
  d.began = now;
  d.progress = fetch_progress();
  active_.insert(key);
  ++hosts_[d.host].active;
}

std::uint64_t download_queue::ask(const archive_hash& key) {
  download& d = *find(key);
  if (d.now != download::state::active && !d.is_asked) {
    host& h = hosts_[d.host];
    if (asked_.size() >= download_limits::most_asked) return 0;
    if (h.asked >= download_limits::most_asked_of_host) return 0;
    if (d.now == download::state::failed) {
      unschedule(key, d);
      put(key, d);
    }
    promise_end(d);
    d.is_asked = true;
    asked_.push_back(key);
    ++h.asked;
  }
  ++d.askers;
  return d.number;
}

void download_queue::unask(const archive_hash& key, std::uint64_t number) {
  download* d = find(key);
  if (d == nullptr || d->number != number || --d->askers > 0 || !d->is_asked) return;
  take_from_asked(key, *d);
  d->end.resolve();
}

void download_queue::take_from_asked(const archive_hash& key, download& d) {
  d.is_asked = false;
  asked_.erase(std::find(asked_.begin(), asked_.end(), key));
  --hosts_[d.host].asked;
}

std::optional<archive_hash> download_queue::next_asked() const {
  if (active_.size() >= limits_.jobs) return std::nullopt;
  for (const archive_hash& key : asked_) {
    if (hosts_.at(find(key)->host).active < limits_.per_host) return key;
  }
  return std::nullopt;
}

void download_queue::forget_asked() {
  while (!asked_.empty()) {
    const archive_hash key = asked_.front();
    download& d = *find(key);
    take_from_asked(key, d);
    d.end.resolve();
  }
}

// It is no longer under way.
void download_queue::leave(const archive_hash& key, download& d) {
  active_.erase(key);
  --hosts_[d.host].active;
  d.end.resolve();
  d.end = resolver<>();
}

void download_queue::succeed(const archive_hash& key) {
  download& d = *find(key);
  leave(key, d);
  if (d.tries > 0) ++changes_;
  hosts_[d.host].unreachable = 0;
  full_until_ = {};
  return_room(d);
  all_.erase(key);
}

void download_queue::give_back(const archive_hash& key) {
  download& d = *find(key);
  leave(key, d);
  put(key, d);
}

void download_queue::pause(host& h, const fetch_failure& why, time_point now) const {
  h.unreachable = is_unreachable(why) ? h.unreachable + 1 : 0;
  if (h.unreachable >= most_unreachable) h.paused_until = now + pause_of_host;
  if (why.retry_after.count() > 0) {
    h.paused_until = std::max(h.paused_until, now + why.retry_after);
  }
}

std::chrono::nanoseconds download_queue::delay_of(const download& d) const {
  if (d.why.needed_bytes > 0) return pause_of_full;  // sooner where there is room
  const auto doublings = static_cast<int>(std::min<std::size_t>(d.tries - 1, 30));
  const auto longest = static_cast<double>(limits_.longest_delay.count());
  double delay = std::ldexp(static_cast<double>(limits_.first_delay.count()), doublings);
  if (d.why.is_lasting) {
    delay = std::max(delay, static_cast<double>(std::chrono::nanoseconds(least_lasting).count()));
  }
  const auto spread_delay = std::llround(std::min(delay, longest) * spread(limits_.jitter));
  return std::max(std::chrono::nanoseconds(spread_delay), d.why.retry_after);
}

void download_queue::fail(const archive_hash& key, fetch_failure why, time_point now) {
  download& d = *find(key);
  if (++d.tries == 1) {
    d.since = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  }
  d.why = std::move(why);
  ++changes_;
  return_room(d);
  schedule(key, d, now + delay_of(d));
  pause(hosts_[d.host], d.why, now);
  const bool is_full = d.why.reason == store_full_reason && d.why.needed_bytes == 0;
  if (is_full) full_until_ = now + pause_of_full;
  leave(key, d);
}

std::optional<archive_hash> download_queue::next_retried() {
  while (!retried_.empty()) {
    const auto group = by_reason_.find(*retried_.begin());
    if (group != by_reason_.end()) return *group->second.begin();
    retried_.erase(retried_.begin());
  }
  return std::nullopt;
}

std::optional<archive_hash> download_queue::next_due(time_point now, std::uint64_t room) {
  if (!schedule_.empty() && schedule_.begin()->first <= now) return schedule_.begin()->second;
  if (by_need_.empty()) return std::nullopt;
  const auto [needed, key] = *by_need_.begin();
  if (needed > room - std::min(room, promised_)) return std::nullopt;
  find(key)->promised = needed;
  promised_ += needed;
  return key;
}

// While the disk is full, those that failed for another reason stay what they are.
bool download_queue::wake_one(time_point now, std::uint64_t room) {
  std::optional<archive_hash> key = next_retried();
  if (!key && full_until_ <= now) key = next_due(now, room);
  if (!key) return false;
  download& d = *find(*key);
  unschedule(*key, d);
  put(*key, d);
  return true;
}

std::optional<time_point> download_queue::next_time(time_point now) const {
  std::optional<time_point> first;
  if (!schedule_.empty()) first = std::max(schedule_.begin()->first, full_until_);
  if (active_.size() >= own_jobs()) return first;
  for (const auto& [name, h] : hosts_) {
    const time_point free = std::max(h.paused_until, full_until_);
    if (h.waiting.empty() || free <= now) continue;
    if (!first || free < *first) first = free;
  }
  return first;
}

std::vector<paused_host> download_queue::paused(time_point now) const {
  std::vector<paused_host> all;
  for (const auto& [name, h] : hosts_) {
    if (h.waiting.empty() || h.paused_until <= now) continue;
    all.push_back({name, std::chrono::ceil<std::chrono::seconds>(h.paused_until - now)});
  }
  return all;
}

std::chrono::seconds download_queue::full_for(time_point now) const {
  return std::chrono::ceil<std::chrono::seconds>(std::max(full_until_ - now, {}));
}

std::size_t download_queue::retry(std::string_view reason) {
  std::size_t count = 0;
  for (const auto& [name, keys] : by_reason_) {
    if (!reason.empty() && name != reason) continue;
    retried_.insert(name);
    count += keys.size();
  }
  for (auto& [name, h] : hosts_) h.paused_until = time_point();
  full_until_ = {};
  return count;
}

}  // namespace fermata::mirror
