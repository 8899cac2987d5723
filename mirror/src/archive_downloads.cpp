// SPDX-License-Identifier: MIT
// Which archives are fetched, and when.

#include "archive_core.hpp"
#include "fetch_archive.hpp"

#include <fermata/promise/pause.hpp>
#include <fermata/promise/sleep.hpp>

#include <algorithm>
#include <utility>

namespace fermata::mirror {
namespace {

constexpr std::chrono::microseconds look_cost{5};

bool is_what_was_declared(const stored_archive& a, const wanted_archive& w) {
  return std::all_of(w.hashes.begin(), w.hashes.end(), [&a](const archive_hash& h) {
    return a.hashes[static_cast<std::size_t>(h.kind())] == h;
  });
}

promise<> download_one(archive_core_ptr c, archive_hash key) {
  download& d = *c->queue.find(key);  // it stays while it is under way
  fetch_failure why;
  bool is_cancelled = true;
  struct at_end {  // also of a cancelled one
    archive_core& c;
    const archive_hash& key;
    bool& is_cancelled;
    ~at_end() {
      if (is_cancelled) c.queue.give_back(key);
    }
  } guard{*c, key, is_cancelled};
  const auto wanted = c->catalogue.find(key);
  bool is_there = false;
  try {
    if (wanted) {
      promise<stored_archive> fetching =
          fetch_archive(*c->client, *c->store, c->options, *wanted, c->rate, d.progress);
      const stored_archive a = co_await std::move(fetching);
      ++c->downloaded;
      c->downloaded_bytes += a.size;
    }
    is_there = true;
  } catch (const fetch_failed& e) {
    why = e.why;
  } catch (const std::exception& e) {
    why.reason = "disk";
    why.text = e.what();
  }
  is_cancelled = false;
  if (is_there) {
    c->queue.succeed(key);
    c->look_at(key);  // what was asked for may have changed
  } else {
    c->log(log_level::warn, why.text + " (" + d.packages + ")");
    c->queue.fail(key, std::move(why), c->loop.now());
  }
  c->batch.ended = c->loop.now();
  start_asked(c);
  c->wake.set();
}

promise<> wait_for_wake(archive_core_ptr c) { co_await c->wake.wait(); }

}  // namespace

bool archive_core::is_present(const wanted_archive& w) const {
  return std::any_of(w.hashes.begin(), w.hashes.end(), [&](const archive_hash& h) {
    const auto a = store->find(h);
    return a && is_what_was_declared(*a, w);
  });
}

void archive_core::look_at(const archive_hash& key) {
  const auto w = catalogue.find(key);
  const auto known = remembered.find(key);
  if (!w || w->key() != key || is_present(*w)) {
    queue.drop(key);
  } else if (known != remembered.end()) {
    queue.restore(*w, std::move(known->second), loop.now());
  } else {
    queue.add(*w);
  }
  if (known != remembered.end()) remembered.erase(known);
}

void archive_core::look_at_all_of(const stored_archive& gone) {
  for (const archive_hash& h : gone.hashes) {
    if (const auto w = catalogue.find(h)) look_at(w->key());
  }
  wake.set();
}

namespace {

void start_download(const archive_core_ptr& c, const archive_hash& key) {
  if (c->queue.active().empty()) {
    c->batch = {c->loop.now(), c->loop.now(), c->downloaded, c->downloaded_bytes};
  }
  c->queue.begin(key, c->loop.now());
  c->running->fork([c, key] { return download_one(c, key); });
}

}  // namespace

void start_asked(const archive_core_ptr& c) {
  if (!c->is_fetching()) return;
  while (const auto key = c->queue.next_asked()) start_download(c, *key);
}

promise<> keep_downloading(archive_core_ptr c) {
  for (;;) {
    while (c->queue.wake_one(c->loop.now(), c->store->room())) co_await maybe_pause(look_cost);
    const bool may_start = !c->options.offline && !c->options.skip_download;
    while (may_start) {
      const auto key = c->queue.next(c->loop.now());
      if (!key) break;
      start_download(c, *key);
      co_await maybe_pause(look_cost);
    }
    const auto until = c->queue.next_time(c->loop.now());
    promise<> waiting = wait_for_wake(c);
    if (until && may_start) waiting = with_deadline(*until, std::move(waiting));
    try {
      co_await waiting;
    } catch (const timed_out&) {  // something is due
    }
    co_await maybe_pause();
  }
}

namespace {

// What was known of downloads that nobody wants any more.
promise<> forget_others(archive_core_ptr c) {
  if (!c->is_known) co_return;
  while (!c->remembered.empty()) {
    c->remembered.erase(c->remembered.begin());
    co_await maybe_pause(look_cost);
  }
}

}  // namespace

promise<> look_at_all(archive_core_ptr c) {
  for (std::size_t i = 0; i < c->catalogue.slots(); ++i) {
    if (const auto w = c->catalogue.at(i)) c->look_at(w->key());
    c->unseen = c->catalogue.slots() - i;
    co_await maybe_pause(look_cost);
  }
  c->unseen = 0;
  promise<> forgotten = forget_others(c);
  co_await forgotten;
  c->is_compared = true;
  c->note_complete();
  c->wake.set();
}

promise<> take_update(archive_core_ptr c, catalogue_update update) {
  c->is_known = true;
  if (c->store == nullptr) co_return;  // all are looked at when it is open
  while (!update.touched.empty()) {
    c->unseen = update.touched.size();
    c->look_at(update.touched.front());
    update.touched.pop_front();
    co_await maybe_pause(look_cost);
  }
  c->unseen = 0;
  promise<> forgotten = forget_others(c);
  co_await forgotten;
  c->note_complete();
  c->wake.set();
}

}  // namespace fermata::mirror
