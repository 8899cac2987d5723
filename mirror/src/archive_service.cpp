// SPDX-License-Identifier: MIT
// The service as its users see it.

#include "archive_core.hpp"

#include <fermata/promise/cancel.hpp>

#include <algorithm>
#include <exception>
#include <utility>

namespace fermata::mirror {
namespace {

constexpr std::size_t open_files = 512;

download_limits limits_of(const archive_options& o) {
  return {o.jobs, o.per_host, o.first_delay, o.longest_delay, o.jitter};
}

http::file_cache_options cache_options() {
  http::file_cache_options o;
  o.most_files = open_files;
  o.trusted_for = std::chrono::minutes(1);  // what a name stands for never changes
  return o;
}

promise<> work(archive_core_ptr c, scope& s) {
  promise<> opened = open_store(c);
  co_await opened;
  if (!c->options.offline) c->client.emplace(c->options.client);
  c->running = &s;
  struct at_end {
    archive_core& c;
    ~at_end() {
      c.running = nullptr;
      c.queue.forget_asked();
    }
  } guard{*c};
  s.fork_daemon([c] { return keep_checking(c); });
  s.fork_daemon([c] { return keep_collecting(c); });
  s.fork_daemon([c] { return keep_known(c); });
  promise<> looked = look_at_all(c);
  co_await looked;
  promise<> downloading = keep_downloading(c);
  co_await downloading;
}

promise<> work_and_save(archive_core_ptr c, scope& s) {
  promise<> working = work(c, s);
  std::exception_ptr end;
  try {
    co_await working;
  } catch (...) {
    end = std::current_exception();
  }
  promise<> saving = no_cancel(save_known(c));
  co_await saving;
  if (end) std::rethrow_exception(end);
}

}  // namespace

archive_core::archive_core(archive_options o, const archive_catalogue& c)
    : options(std::move(o)),
      loop(event_loop::current()),
      catalogue(c),
      queue(limits_of(options)),
      rate(options.download_bytes_per_second),
      files(cache_options()) {}

archive_service::archive_service(archive_options options, const archive_catalogue& catalogue)
    : core_(std::make_shared<archive_core>(std::move(options), catalogue)) {}

archive_service::~archive_service() = default;

promise<> archive_service::run() {
  auto body = [c = core_](scope& s) { return work_and_save(c, s); };
  return scope::run(std::move(body));
}

promise<> archive_service::update(catalogue_update what) {
  return take_update(core_, std::move(what));
}

promise<http::response> archive_service::serve(const http::request& r) {
  return serve_archive(core_, r);
}

bool archive_service::knows(const archive_hash& hash) const {
  return (core_->store != nullptr && core_->store->find(hash)) || core_->catalogue.has(hash);
}

std::size_t archive_service::retry(std::string_view reason) {
  const std::size_t count = core_->queue.retry(reason);
  core_->wake.set();
  return count;
}

batch_status archive_service::batch() const {
  const archive_core& c = *core_;
  const std::size_t active = c.queue.active().size();
  batch_status b;
  b.is_active = active > 0;
  b.done = c.downloaded - c.batch.downloaded;
  b.total = b.done + active;
  if (!c.options.skip_download) b.total += c.queue.all().size() - c.queue.failed() - active;
  b.bytes = c.downloaded_bytes - c.batch.downloaded_bytes;
  for (const archive_hash& key : c.queue.active()) b.bytes += c.queue.find(key)->progress.bytes;
  const time_point end = b.is_active ? c.loop.now() : c.batch.ended;
  b.elapsed = std::chrono::duration_cast<std::chrono::milliseconds>(end - c.batch.began);
  return b;
}

archive_status archive_service::status() const {
  const archive_core& c = *core_;
  archive_status s;
  s.is_open = c.is_compared;
  s.fault = c.fault;
  s.is_known = c.is_known;
  s.offline = c.options.offline;
  s.on_demand = c.options.skip_download;
  s.batch = batch();
  s.catalogue = c.catalogue.counts();
  if (c.store) s.store = c.store->counts();
  s.failed = c.queue.failed();
  s.waiting = c.queue.all().size() - s.failed - c.queue.active().size();
  const std::size_t not_here = c.queue.all().size() + c.unseen;
  s.present =
      s.is_open && s.is_known ? s.catalogue.archives - std::min(s.catalogue.archives, not_here) : 0;
  s.asked = c.queue.asked();
  const time_point now = c.loop.now();
  for (const archive_hash& key : c.queue.active()) {
    const download& d = *c.queue.find(key);
    s.active.push_back({key.text(), d.packages, d.progress.url, d.progress.bytes, d.progress.total,
                        std::chrono::duration_cast<std::chrono::milliseconds>(now - d.began)});
  }
  s.paused = c.queue.paused(now);
  s.full_for = c.queue.full_for(now);
  for (const auto& [reason, keys] : c.queue.failures()) {
    failure_group g{reason, keys.size(), {}};
    if (reason == store_full_reason) s.without_room = keys.size();
    for (const archive_hash& key : keys) {
      if (g.examples.size() == archive_status::most_listed) break;
      const download& d = *c.queue.find(key);
      const auto rest = std::max(d.next_try - now, std::chrono::nanoseconds(0));
      g.examples.push_back({key.text(), d.packages, d.url, d.why.text, d.tries, d.since,
                            std::chrono::ceil<std::chrono::seconds>(rest)});
    }
    s.failures.push_back(std::move(g));
  }
  s.downloaded = c.downloaded;
  s.downloaded_bytes = c.downloaded_bytes;
  s.hits = c.hits;
  s.fetched = c.fetched;
  s.misses = c.misses;
  s.refused = c.refused;
  s.checked = c.checking.checked;
  return s;
}

}  // namespace fermata::mirror
