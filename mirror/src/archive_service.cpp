// SPDX-License-Identifier: MIT
// The catalogue says what is wanted, the store what is there; the queue holds the difference.

#include "downloads.hpp"
#include "fetch_archive.hpp"

#include <fermata/http/served_file.hpp>
#include <fermata/mirror/archive_service.hpp>
#include <fermata/promise/cancel.hpp>
#include <fermata/promise/event.hpp>
#include <fermata/promise/pause.hpp>
#include <fermata/promise/scope.hpp>
#include <fermata/promise/sleep.hpp>

#include <algorithm>
#include <optional>
#include <utility>

namespace fermata::mirror {
namespace {

constexpr std::chrono::seconds open_again{10};
constexpr std::chrono::microseconds look_cost{5};
constexpr std::string_view kept_for_ever = "public, max-age=31536000, immutable";
constexpr std::size_t open_files = 512;

bool is_what_was_declared(const stored_archive& a, const wanted_archive& w) {
  return std::all_of(w.hashes.begin(), w.hashes.end(), [&a](const archive_hash& h) {
    return a.hashes[static_cast<std::size_t>(h.kind())] == h;
  });
}

download_limits limits_of(const archive_options& o) {
  return {o.jobs, o.per_host, o.first_delay, o.longest_delay, o.jitter};
}

http::file_cache_options cache_options() {
  http::file_cache_options o;
  o.most_files = open_files;
  o.trusted_for = std::chrono::minutes(1);  // what a name stands for never changes
  return o;
}

// `/cache/sha256/ab/ab...`; nothing for what is no such path.
std::optional<archive_hash> hash_of_path(std::string_view path) {
  constexpr std::string_view prefix = "/cache/";
  if (!path.starts_with(prefix)) return std::nullopt;
  path.remove_prefix(prefix.size());
  const std::size_t kind = path.find('/');
  const std::size_t part = path.find('/', kind + 1);
  if (kind == std::string_view::npos || part != kind + 3) return std::nullopt;
  const std::string_view hex = path.substr(part + 1);
  if (!hex.starts_with(path.substr(kind + 1, 2))) return std::nullopt;
  return archive_hash::from_path(path.substr(0, kind), hex);
}

http::response no_archive(int status, const std::string& why, std::chrono::seconds later = {}) {
  http::response r = http::text_response(status, why + "\n");
  r.headers.add("Cache-Control", "no-store");
  if (later.count() > 0) r.headers.add("Retry-After", std::to_string(later.count()));
  return r;
}

}  // namespace

struct archive_service::core {
  core(archive_options o, const archive_catalogue& c)
      : options(std::move(o)),
        loop(event_loop::current()),
        catalogue(c),
        queue(limits_of(options)),
        files(cache_options()) {}

  [[nodiscard]] bool is_present(const wanted_archive& w) const {
    return std::any_of(w.hashes.begin(), w.hashes.end(), [&](const archive_hash& h) {
      const auto a = store->find(h);
      return a && is_what_was_declared(*a, w);
    });
  }
  void look_at(const archive_hash& key) {
    const auto w = catalogue.find(key);
    if (w && w->key() == key && !is_present(*w)) {
      queue.add(*w);
    } else {
      queue.drop(key);
    }
  }
  void log(log_level level, const std::string& text) const { loop.log(level, "archives", text); }

  archive_options options;
  event_loop& loop;
  const archive_catalogue& catalogue;
  std::unique_ptr<archive_store> store;  // null until it is open
  std::optional<http::client> client;
  download_queue queue;
  http::file_cache files;
  scope* running = nullptr;
  auto_event wake;
  bool is_known = false;
  check_report checking;
  std::uint64_t downloaded = 0;
  std::uint64_t downloaded_bytes = 0;
  std::uint64_t hits = 0;
  std::uint64_t fetched = 0;
  std::uint64_t misses = 0;
};

// What the parts below share: the service's own type is private.
struct archive_work {
  using core = archive_service::core;
  using core_ptr = std::shared_ptr<core>;

  // ---- downloads ----

  static promise<> download_one(core_ptr c, archive_hash key) {
    download& d = *c->queue.find(key);  // it stays while it is under way
    fetch_failure why;
    bool is_cancelled = true;
    struct at_end {  // also of a cancelled one
      core& c;
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
            fetch_archive(*c->client, *c->store, c->options, *wanted, d.progress);
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
    c->wake.set();
  }

  static void start(const core_ptr& c, const archive_hash& key) {
    c->queue.begin(key, c->loop.now());
    c->running->fork([c, key] { return download_one(c, key); });
  }

  static promise<> wait_for_wake(core_ptr c) { co_await c->wake.wait(); }

  static promise<> dispatch(core_ptr c) {
    for (;;) {
      while (c->queue.wake_one(c->loop.now())) co_await maybe_pause(look_cost);
      const bool may_start = !c->options.offline && !c->options.skip_download;
      while (may_start) {
        const auto key = c->queue.next(c->loop.now());
        if (!key) break;
        start(c, *key);
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

  static promise<> look_at_all(core_ptr c) {
    for (std::size_t i = 0; i < c->catalogue.slots(); ++i) {
      if (const auto w = c->catalogue.at(i)) c->look_at(w->key());
      co_await maybe_pause(look_cost);
    }
    c->wake.set();
  }

  static promise<> take_update(core_ptr c, catalogue_update update) {
    c->is_known = true;
    if (c->store == nullptr) co_return;  // all are looked at when it is open
    while (!update.touched.empty()) {
      c->look_at(update.touched.front());
      update.touched.pop_front();
      co_await maybe_pause(look_cost);
    }
    c->wake.set();
  }

  // ---- the store ----

  static promise<> open_store(core_ptr c) {
    store_options how;
    how.quota_bytes = c->options.quota_bytes;
    while (c->store == nullptr) {
      promise<std::unique_ptr<archive_store>> opening = archive_store::open(c->options.folder, how);
      try {
        c->store = co_await std::move(opening);
      } catch (const std::exception& e) {
        c->log(log_level::error, std::string("cannot use the archives: ") + e.what());
      }
      if (c->store != nullptr) break;
      promise<> rest = sleep_for(open_again);
      co_await rest;
    }
    const store_counts n = c->store->counts();
    c->log(log_level::info,
           "stored archives=" + std::to_string(n.archives) + " bytes=" + std::to_string(n.bytes));
  }

  static promise<> check_once(core_ptr c, std::uint64_t bytes_per_second) {
    auto seen = [c](const check_report& r) { c->checking = r; };
    promise<check_report> checking = c->store->check(bytes_per_second, std::move(seen));
    const check_report r = co_await std::move(checking);
    const bool is_whole = r.damaged.empty() && r.missing == 0;
    c->log(is_whole ? log_level::info : log_level::warn,
           "checked archives=" + std::to_string(r.checked) +
               " damaged=" + std::to_string(r.damaged.size()) +
               " missing=" + std::to_string(r.missing) + " mended=" + std::to_string(r.mended));
    if (is_whole) co_return;
    for (const archive_hash& key : r.damaged) c->files.forget(c->store->path_of(key));
    promise<> looked = look_at_all(c);  // they are fetched again
    co_await looked;
  }

  static promise<> look_after(core_ptr c) {
    if (c->options.check) {
      promise<> checked = check_once(c, 0);
      co_await checked;
    }
    while (c->options.scrub_bytes_per_second > 0) {
      promise<> rest = sleep_for(c->options.scrub_interval);
      co_await rest;
      promise<> checked = check_once(c, c->options.scrub_bytes_per_second);
      co_await checked;
    }
  }

  static promise<> collect(core_ptr c) {
    for (;;) {
      promise<> rest = sleep_for(c->options.collect_interval);
      co_await rest;
      if (!c->is_known) continue;
      auto named = [c](const stored_archive& a) {
        return std::any_of(a.hashes.begin(), a.hashes.end(),
                           [&c](const archive_hash& h) { return c->catalogue.has(h); });
      };
      const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
      promise<std::size_t> collecting = c->store->collect(std::move(named), c->options.keep, now);
      try {
        const std::size_t removed = co_await collecting;
        if (removed > 0) {
          c->log(log_level::info, "collected archives=" + std::to_string(removed));
        }
      } catch (const std::exception& e) {
        c->log(log_level::warn, e.what());
      }
    }
  }

  // A failure of theirs must not end the downloads.
  static promise<> look_after_always(core_ptr c) {
    try {
      promise<> looking = look_after(c);
      co_await looking;
    } catch (const std::exception& e) {
      c->log(log_level::error, std::string("the archives are not checked any more: ") + e.what());
    }
  }

  static promise<> work(core_ptr c, scope& s) {
    promise<> opened = open_store(c);
    co_await opened;
    if (!c->options.offline) c->client.emplace(c->options.client);
    c->running = &s;
    struct at_end {
      core& c;
      ~at_end() { c.running = nullptr; }
    } guard{*c};
    s.fork_daemon([c] { return look_after_always(c); });
    s.fork_daemon([c] { return collect(c); });
    promise<> looked = look_at_all(c);
    co_await looked;
    promise<> dispatching = dispatch(c);
    co_await dispatching;
  }

  // ---- requests ----

  static promise<http::response> serve_stored(core_ptr c,
                                              const http::request& r,
                                              archive_hash key,
                                              std::string path) {
    promise<http::served_file> opening = c->files.open(std::move(path));
    http::served_file file;
    std::string failed;
    try {
      file = co_await std::move(opening);
    } catch (const error& e) {
      failed = e.what();
    }
    if (!failed.empty()) {
      c->log(log_level::error, failed);
      co_return no_archive(503, "the archive cannot be read", std::chrono::seconds(30));
    }
    http::representation what = file.describe("application/octet-stream");
    what.etag = http::quoted_etag(key.hex());
    const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
    http::response out = http::serve(r, what, file, now);
    out.headers.add("Cache-Control", kept_for_ever);
    co_return out;
  }

  // The end of the try under way, or of one that begins now; nothing where it failed lately.
  static std::optional<promise<>> fetch_now(const core_ptr& c, const archive_hash& key) {
    download* d = c->queue.find(key);
    if (d == nullptr || c->running == nullptr || c->running->is_cancelled()) return std::nullopt;
    if (d->now == download::state::failed && d->next_try > c->loop.now()) return std::nullopt;
    if (d->now != download::state::active) start(c, key);
    d = c->queue.find(key);  // it may have ended at once
    return d == nullptr || d->now != download::state::active ? ready() : protect(d->ended);
  }

  static http::response say_missing(const core& c, const archive_hash& key) {
    const download* d = c.queue.find(key);
    if (d == nullptr || d->now != download::state::failed) {
      return no_archive(503, "the archive is being fetched", std::chrono::seconds(10));
    }
    return no_archive(404, "the archive could not be fetched: " + d->why.text);
  }

  static promise<http::response> serve(core_ptr c, const http::request& r) {
    const auto hash = hash_of_path(r.path());
    if (!hash) co_return no_archive(404, "no such archive: the path is no /cache/KIND/HH/HASH");
    if (c->store == nullptr) {
      co_return no_archive(503, "the archives are not open yet", std::chrono::seconds(2));
    }
    auto stored = c->store->find(*hash);
    if (stored) {
      ++c->hits;
    } else {
      const auto wanted = c->catalogue.find(*hash);
      if (!wanted && !c->is_known && !c->options.offline) {
        co_return no_archive(503, "the packages are not read yet", std::chrono::seconds(2));
      }
      ++c->misses;
      if (!wanted) co_return no_archive(404, "no package names this archive");
      if (c->options.offline) co_return no_archive(404, "the archive is not stored");
      const archive_hash key = wanted->key();
      std::optional<promise<>> ending = fetch_now(c, key);
      if (!ending) co_return say_missing(*c, key);
      promise<> waiting = with_timeout(c->options.wait_time, std::move(*ending));
      try {
        co_await waiting;
      } catch (const timed_out&) {
      }
      stored = c->store->find(*hash);
      if (!stored) co_return say_missing(*c, key);
      --c->misses;
      ++c->fetched;
    }
    promise<http::response> serving =
        serve_stored(c, r, stored->key(), c->store->path_of(stored->key()));
    co_return co_await std::move(serving);
  }
};

archive_service::archive_service(archive_options options, const archive_catalogue& catalogue)
    : core_(std::make_shared<core>(std::move(options), catalogue)) {}

archive_service::~archive_service() = default;

promise<> archive_service::run() {
  auto body = [c = core_](scope& s) { return archive_work::work(c, s); };
  return scope::run(std::move(body));
}

promise<> archive_service::update(catalogue_update what) {
  return archive_work::take_update(core_, std::move(what));
}

promise<http::response> archive_service::serve(const http::request& r) {
  return archive_work::serve(core_, r);
}

std::size_t archive_service::retry(std::string_view reason) {
  const std::size_t count = core_->queue.retry(reason);
  core_->wake.set();
  return count;
}

archive_status archive_service::status() const {
  const core& c = *core_;
  archive_status s;
  s.is_open = c.store != nullptr;
  s.is_known = c.is_known;
  s.offline = c.options.offline;
  s.catalogue = c.catalogue.counts();
  if (c.store) s.store = c.store->counts();
  s.failed = c.queue.failed();
  s.waiting = c.queue.all().size() - s.failed - c.queue.active().size();
  s.present =
      s.is_open ? s.catalogue.archives - std::min(s.catalogue.archives, c.queue.all().size()) : 0;
  const time_point now = c.loop.now();
  for (const archive_hash& key : c.queue.active()) {
    const download& d = *c.queue.find(key);
    s.active.push_back({key.text(), d.packages, d.progress.url, d.progress.bytes, d.progress.total,
                        std::chrono::duration_cast<std::chrono::milliseconds>(now - d.began)});
  }
  for (const auto& [reason, keys] : c.queue.failures()) {
    failure_group g{reason, keys.size(), {}};
    for (const archive_hash& key : keys) {
      if (g.examples.size() == archive_status::most_listed) break;
      const download& d = *c.queue.find(key);
      const auto rest = std::max(d.next_try - now, std::chrono::nanoseconds(0));
      g.examples.push_back({key.text(), d.packages, d.url, d.why.text, d.tries,
                            std::chrono::ceil<std::chrono::seconds>(rest)});
    }
    s.failures.push_back(std::move(g));
  }
  s.downloaded = c.downloaded;
  s.downloaded_bytes = c.downloaded_bytes;
  s.hits = c.hits;
  s.fetched = c.fetched;
  s.misses = c.misses;
  s.checked = c.checking.checked;
  return s;
}

}  // namespace fermata::mirror
