// SPDX-License-Identifier: MIT
// What is answered below /cache/.

#include "archive_core.hpp"

#include <fermata/promise/cancel.hpp>
#include <fermata/promise/sleep.hpp>

#include <optional>
#include <utility>

namespace fermata::mirror {
namespace {

constexpr std::chrono::seconds ask_again{10};
constexpr std::string_view kept_for_ever = "public, max-age=31536000, immutable";

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

struct opened_archive {
  http::served_file file;  // none: it cannot be read, or is gone
  bool is_gone = false;
};

// What cannot be opened, or is not as long as it was, is never served. Where it cannot be mended
// it is wanted from here on as what was never stored.
promise<opened_archive> open_stored(archive_core_ptr c, stored_archive a) {
  const std::string path = c->store->path_of(a.key());
  opened_archive o;
  for (bool is_mended = false;; is_mended = true) {
    std::string failed;
    promise<http::served_file> opening = c->files.open(path);
    try {
      o.file = co_await std::move(opening);
      if (o.file.size() == a.size) co_return o;
      failed =
          path + " has " + std::to_string(o.file.size()) + " bytes, not " + std::to_string(a.size);
    } catch (const error& e) {
      failed = e.what();
    }
    o.file = http::served_file();
    c->files.forget(path);
    if (!is_mended) {
      promise<bool> mending = c->store->recover(a.key());
      try {
        const bool is_there = co_await mending;
        o.is_gone = !is_there;
      } catch (const error& e) {
        failed += std::string("; ") + e.what();
        is_mended = true;  // as far as it can be
      }
    }
    if (!o.is_gone && !is_mended) continue;
    c->log(o.is_gone ? log_level::warn : log_level::error, failed);
    if (o.is_gone) c->look_at_all_of(a);
    co_return o;
  }
}

http::response answer_with(const http::request& r,
                           const archive_hash& key,
                           const http::served_file& file) {
  if (!file) return no_archive(503, "the archive cannot be read", std::chrono::seconds(30));
  http::representation what = file.describe("application/octet-stream");
  what.etag = http::quoted_etag(key.hex());
  const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  http::response out = http::serve(r, what, file, now);
  // What a 416 says is of the request, not of the archive.
  if (out.status < 400) out.headers.add("Cache-Control", kept_for_ever);
  return out;
}

// One request among those that wait for an archive.
class asker {
public:
  asker(archive_core_ptr c, const archive_hash& key) : core_(std::move(c)), key_(key) {
    if (core_->waiting_requests >= core_->options.most_waiting) return;
    number_ = core_->queue.ask(key_);
    if (number_ != 0) ++core_->waiting_requests;
  }
  asker(const asker&) = delete;
  asker& operator=(const asker&) = delete;
  ~asker() {
    if (number_ == 0) return;
    --core_->waiting_requests;
    core_->queue.unask(key_, number_);
  }
  [[nodiscard]] bool may_wait() const noexcept { return number_ != 0; }

private:
  archive_core_ptr core_;
  archive_hash key_;
  std::uint64_t number_ = 0;
};

// Whether it is queued, and has not failed lately.
bool may_fetch(const archive_core& c, const archive_hash& key) {
  const download* d = c.queue.find(key);
  if (d == nullptr || !c.is_fetching()) return false;
  return d->now != download::state::failed || d->next_try <= c.loop.now();
}

// The end of the try that is under way, begins now or has to wait for its turn.
promise<> end_of_try(const archive_core_ptr& c, const archive_hash& key) {
  start_asked(c);
  const download* d = c->queue.find(key);  // it may have ended at once
  const bool is_over = d == nullptr || (d->now != download::state::active && !d->is_asked);
  return is_over ? ready() : protect(d->ended);
}

http::response say_missing(const archive_core& c, const archive_hash& key) {
  const download* d = c.queue.find(key);
  if (d == nullptr || d->now != download::state::failed) {
    return no_archive(503, "the archive is being fetched", ask_again);
  }
  return no_archive(404, "the archive could not be fetched: " + d->why.text);
}

}  // namespace

promise<http::response> serve_archive(archive_core_ptr c, const http::request& r) {
  const auto hash = hash_of_path(r.path());
  if (!hash) co_return no_archive(404, "no such archive: the path is no /cache/KIND/HH/HASH");
  if (c->store == nullptr) {
    co_return no_archive(503, "the archives are not open yet", std::chrono::seconds(2));
  }
  auto stored = c->store->find(*hash);
  opened_archive opened;
  if (stored) {
    promise<opened_archive> opening = open_stored(c, *stored);
    opened = co_await std::move(opening);
  }
  if (stored && !opened.is_gone) {
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
    if (!may_fetch(*c, key)) co_return say_missing(*c, key);
    const asker place(c, key);
    if (!place.may_wait()) {
      --c->misses;
      ++c->refused;
      co_return no_archive(503, "too many archives are being waited for", ask_again);
    }
    promise<> waiting = with_timeout(c->options.wait_time, end_of_try(c, key));
    try {
      co_await waiting;
    } catch (const timed_out&) {
    }
    stored = c->store->find(*hash);
    if (!stored) co_return say_missing(*c, key);
    --c->misses;
    ++c->fetched;
    promise<opened_archive> opening = open_stored(c, *stored);
    opened = co_await std::move(opening);
  }
  co_return answer_with(r, stored->key(), opened.file);
}

}  // namespace fermata::mirror
