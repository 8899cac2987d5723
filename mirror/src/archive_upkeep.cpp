// SPDX-License-Identifier: MIT
// What is done for the store beside downloads.

#include "archive_core.hpp"

#include <fermata/git_mem/remote_url.hpp>
#include <fermata/promise/cancel.hpp>
#include <fermata/promise/detach.hpp>
#include <fermata/promise/pause.hpp>
#include <fermata/promise/sleep.hpp>

#include <algorithm>
#include <utility>

namespace fermata::mirror {
namespace {

constexpr std::chrono::seconds open_again{10};
constexpr std::chrono::seconds save_again{2};
constexpr std::chrono::minutes first_scrub{1};  // a start has other work
constexpr std::chrono::microseconds copy_cost{2};

std::string failures_path(const archive_core& c) { return c.options.folder + "/failures"; }

// What failed under other ones may succeed now.
std::string settings_of(const archive_options& o) {
  std::string text = o.allow_file ? "file " : "";
  text += std::to_string(o.largest_bytes) + " " + std::to_string(o.quota_bytes);
  // Not their passwords: a new one makes nobody try at once, but it is in no file of ours.
  for (const std::string& base : o.upstream_caches) text += " " + git_mem::without_secrets(base);
  return text;
}

promise<> load_known_failures(archive_core_ptr c) {
  promise<loaded_failures> loading =
      detach([path = failures_path(*c), settings = settings_of(c->options)] {
        return load_failures(path, settings);
      });
  loaded_failures loaded;
  try {
    loaded = co_await std::move(loading);
  } catch (const error& e) {
    loaded.refused = e.what();
  }
  if (!loaded.refused.empty()) {
    c->log(log_level::warn, "cannot use what was known of failures: " + loaded.refused);
  }
  c->remembered = std::move(loaded.found);
}

}  // namespace

promise<> open_store(archive_core_ptr c) {
  store_options how;
  how.quota_bytes = c->options.quota_bytes;
  std::unique_ptr<archive_store> store;
  while (store == nullptr) {
    promise<std::unique_ptr<archive_store>> opening = archive_store::open(c->options.folder, how);
    try {
      store = co_await std::move(opening);
    } catch (const std::exception& e) {
      c->fault = e.what();
      c->log(log_level::error, "cannot use the archives: " + c->fault);
    }
    if (store != nullptr) break;
    promise<> rest = sleep_for(open_again);
    co_await rest;
  }
  const store_counts n = store->counts();
  c->log(log_level::info, "stored archives=" + std::to_string(n.archives) + " bytes=" +
                              std::to_string(n.bytes) + " partial=" + std::to_string(n.partial));
  if (!store->refused().empty()) {
    c->log(log_level::warn, "cannot use what was known of sizes: " + store->refused());
  }
  if (n.damaged > 0) {
    c->log(log_level::warn,
           "damaged archives, moved aside, to be fetched again: " + std::to_string(n.damaged));
  }
  if (n.unreadable > 0) {
    c->log(log_level::error, "archives that cannot be read: " + std::to_string(n.unreadable) +
                                 ", first: " + store->fault());
  }
  if (n.refused_partial > 0) {
    c->log(log_level::warn, "partial downloads that nobody knows the origin of, removed: " +
                                std::to_string(n.refused_partial));
  }
  promise<> loaded = load_known_failures(c);
  co_await loaded;
  c->fault.clear();
  c->store = std::move(store);  // only now: what is missing is compared with both
}

namespace {

promise<> check_once(archive_core_ptr c, std::uint64_t bytes_per_second, check_of which) {
  auto seen = [c](const check_report& r) { c->checking = r; };
  promise<check_report> checking = c->store->check(bytes_per_second, std::move(seen), which);
  const check_report r = co_await std::move(checking);
  const bool is_whole = r.damaged.empty() && r.missing == 0;
  c->log(is_whole ? log_level::info : log_level::warn,
         "checked archives=" + std::to_string(r.checked) +
             " damaged=" + std::to_string(r.damaged.size()) +
             " missing=" + std::to_string(r.missing) + " mended=" + std::to_string(r.mended));
  if (r.failed > 0) {
    c->log(log_level::warn, "cannot check archives: " + std::to_string(r.failed) +
                                ", the last one: " + r.last_failure);
  }
  if (is_whole) co_return;
  for (const archive_hash& key : r.damaged) c->files.forget(c->store->path_of(key));
  promise<> looked = look_at_all(c);  // they are fetched again
  co_await looked;
}

// Clocks may have been set meanwhile.
std::chrono::nanoseconds until_scrub(const archive_core& c) {
  const std::chrono::nanoseconds interval = c.options.scrub_interval;
  const std::chrono::nanoseconds least = std::min<std::chrono::nanoseconds>(interval, first_scrub);
  const std::chrono::nanoseconds gone = std::chrono::system_clock::now() - c.store->last_check();
  return std::clamp(interval - gone, least, interval);
}

promise<> look_after(archive_core_ptr c) {
  if (c->options.check) {
    promise<> checked = check_once(c, 0, check_of::all);
    co_await checked;
  }
  const std::uint64_t rate = c->options.scrub_bytes_per_second;
  while (rate > 0) {
    const store_counts n = c->store->counts();
    const bool is_all = n.unverified == n.archives;  // also of none: what is fetched is verified
    if (is_all || n.unverified > 0) {
      promise<> verified = check_once(c, rate, is_all ? check_of::all : check_of::unverified);
      co_await verified;
    }
    promise<> rest = sleep_for(until_scrub(*c));
    co_await rest;
    promise<> checked = check_once(c, rate, check_of::all);
    co_await checked;
  }
}

}  // namespace

promise<> keep_checking(archive_core_ptr c) {
  try {
    promise<> looking = look_after(c);
    co_await looking;
  } catch (const std::exception& e) {
    c->log(log_level::error, std::string("the archives are not checked any more: ") + e.what());
  }
}

namespace {

promise<> collect_once(archive_core_ptr c) {
  auto named = [c](const stored_archive& a) {
    return std::any_of(a.hashes.begin(), a.hashes.end(),
                       [&c](const archive_hash& h) { return c->catalogue.has(h); });
  };
  auto wanted = [c](const archive_hash& name) { return c->queue.find(name) != nullptr; };
  const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  promise<std::size_t> collecting = c->store->collect(std::move(named), c->options.keep, now);
  try {
    const std::size_t removed = co_await collecting;
    if (removed > 0) {
      c->log(log_level::info, "collected archives=" + std::to_string(removed));
    }
    promise<std::size_t> dropping = c->store->drop_partial(std::move(wanted));
    const std::size_t dropped = co_await dropping;
    if (removed + dropped > 0) c->wake.set();  // there may be room now
  } catch (const std::exception& e) {
    c->log(log_level::warn, e.what());
  }
}

}  // namespace

promise<> keep_collecting(archive_core_ptr c) {
  co_await c->complete.wait();
  for (;;) {
    promise<> collected = collect_once(c);
    co_await collected;
    promise<> rest = sleep_for(c->options.collect_interval);
    co_await rest;
  }
}

namespace {

// What is to be known of failures after a restart.
promise<kept_failures> known_failures(archive_core_ptr c) {
  kept_failures all;
  std::optional<archive_hash> last;
  for (;;) {
    co_await maybe_pause(copy_cost);
    const auto at = last ? c->remembered.upper_bound(*last) : c->remembered.begin();
    if (at == c->remembered.end()) break;
    last = at->first;
    all.insert(*at);
  }
  last.reset();
  const auto wall = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  for (;;) {
    co_await maybe_pause(copy_cost);
    const auto& queued = c->queue.all();
    const auto at = last ? queued.upper_bound(*last) : queued.begin();
    if (at == queued.end()) co_return all;
    last = at->first;
    const download& d = *at->second;
    if (d.tries == 0) continue;
    kept_failure f;
    f.url = d.url;
    f.reason = d.why.reason;
    f.text = d.why.text;
    f.is_lasting = d.why.is_lasting;
    f.needed_bytes = d.why.needed_bytes;
    f.tries = d.tries;
    f.since = d.since;
    f.next_try = wall;
    if (d.now == download::state::failed) {
      f.next_try += std::chrono::ceil<std::chrono::seconds>(d.next_try - c->loop.now());
    }
    all.insert_or_assign(*last, std::move(f));
  }
}

promise<> save_known_failures(archive_core_ptr c) {
  const std::uint64_t changes = c->queue.changes();
  if (changes == c->saved_changes) co_return;
  promise<kept_failures> gathering = known_failures(c);
  kept_failures all = co_await std::move(gathering);
  const auto save = [](std::string path, std::string settings, kept_failures what) {
    save_failures(path, settings, what);
  };
  promise<> saving = detach(save, failures_path(*c), settings_of(c->options), std::move(all));
  c->saved_changes = changes;  // also where that fails: the next change is the next try
  try {
    co_await saving;
  } catch (const error& e) {
    c->log(log_level::warn, std::string("cannot keep what is known of failures: ") + e.what());
  }
}

}  // namespace

promise<> save_known(archive_core_ptr c) {
  if (c->store == nullptr) co_return;
  promise<> saving = no_cancel(c->store->save());
  try {
    co_await saving;
  } catch (const error& e) {
    c->log(log_level::warn, std::string("cannot keep what is known of sizes: ") + e.what());
  }
  promise<> saved = save_known_failures(c);
  co_await saved;
}

promise<> keep_known(archive_core_ptr c) {
  for (;;) {
    promise<> rest = sleep_for(save_again);
    co_await rest;
    promise<> saved = save_known(c);
    co_await saved;
  }
}

}  // namespace fermata::mirror
