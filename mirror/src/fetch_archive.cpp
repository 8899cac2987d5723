// SPDX-License-Identifier: MIT
#include "fetch_archive.hpp"

#include <fermata/git_mem/remote_url.hpp>
#include <fermata/http/http_date.hpp>
#include <fermata/loop/event_loop.hpp>
#include <fermata/promise/sleep.hpp>

#include <algorithm>
#include <charconv>
#include <utility>

namespace fermata::mirror {
namespace {

using git_mem::without_secrets;  // for whatever is shown or kept

constexpr int most_resumes = 5;
constexpr const char* reason_too_large = "too large";
constexpr const char* reason_over_quota = "larger than the quota";
constexpr const char* reason_protocol = "protocol";
constexpr std::chrono::seconds longest_retry_after{3600};

std::string_view reason_of(const http::client_error& e) {
  switch (e.kind()) {
    case http::client_failure::url:
      return "url";
    case http::client_failure::resolve:
      return "name not found";
    case http::client_failure::connect:
      return "connection";
    case http::client_failure::tls:
      return "tls";
    case http::client_failure::timeout:
      return "timeout";
    case http::client_failure::too_large:
      return reason_too_large;
    case http::client_failure::broken:
      return "broken off";
    case http::client_failure::protocol:
      return reason_protocol;
    case http::client_failure::redirect:
      break;
  }
  return "redirect";
}

bool is_worth_resuming(const http::client_error& e) {
  return e.kind() == http::client_failure::broken ||
         (e.kind() == http::client_failure::timeout && e.which() == http::client_time::rate);
}

fetch_failure failure_of(const http::client_error& e) {
  fetch_failure f;
  f.reason = reason_of(e);
  f.text = e.what();
  f.is_lasting =
      e.kind() == http::client_failure::too_large || e.kind() == http::client_failure::url;
  return f;
}

std::chrono::nanoseconds retry_after(const http::client_response& r) {
  const auto field = r.headers.find("Retry-After");
  std::int64_t seconds = 0;
  if (!field) return std::chrono::seconds(0);
  const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  if (const auto date = http::parse_http_date(*field, now)) {
    seconds = (*date - now).count();
  } else {
    std::from_chars(field->data(), field->data() + field->size(), seconds);
  }
  return std::clamp(std::chrono::seconds(seconds), std::chrono::seconds(0), longest_retry_after);
}

fetch_failure failure_of(const http::client_response& r, const std::string& url) {
  fetch_failure f;
  f.reason = "http " + std::to_string(r.status);
  f.text = "cannot get " + url + ": it answered " + std::to_string(r.status);
  f.is_lasting = r.status == 404 || r.status == 410 || r.status == 403 || r.status == 401;
  f.retry_after = retry_after(r);
  return f;
}

// What a resumed transfer shows the server: a strong entity tag, or the date.
std::string validator_of(const http::client_response& r) {
  const auto etag = r.headers.find("ETag");
  if (etag && etag->starts_with('"')) return std::string(*etag);
  const auto date = r.headers.find("Last-Modified");
  return date ? std::string(*date) : std::string();
}

struct fetch {
  http::client& client;
  archive_store& store;
  const archive_options& options;
  const wanted_archive& what;
  rate_budget& rate;
  fetch_progress& progress;
};

// Throws where no archive may have so many bytes, however much room there is.
void check_size(const fetch& f, const std::string& url, std::uint64_t bytes) {
  fetch_failure why;
  why.is_lasting = true;
  if (bytes > f.options.largest_bytes) {
    why.reason = reason_too_large;
    why.text = "cannot get " + url + ": it has more than " +
               std::to_string(f.options.largest_bytes) + " bytes";
    throw fetch_failed(why);
  }
  if (f.options.quota_bytes > 0 && bytes > f.options.quota_bytes) {
    why.reason = reason_over_quota;
    why.text = "cannot get " + url + ": it has more bytes than the quota for all archives, " +
               std::to_string(f.options.quota_bytes);
    throw fetch_failed(why);
  }
}

http::client_request request_for(const fetch& f, const std::string& url) {
  http::client_request r(url);
  http::transfer_options how = f.client.defaults();
  how.limits.body_bytes = f.options.largest_bytes;
  how.limits.total_time = f.options.download_time;
  how.allow_file = f.options.allow_file;
  how.inflate = false;  // the checksums are of the bytes as they are
  r.options = std::move(how);
  return r;
}

// Notes where the bytes come from, so that they can be gone on with.
promise<> mark(archive_store::writer& w, const std::string& url, const http::client_response& r) {
  archive_origin from;
  from.url = url;
  from.validator = validator_of(r);
  if (from.validator.empty()) co_return;
  promise<> keeping = w.keep(std::move(from));
  co_await keeping;
}

// One transfer into the writer, from where that stands if its bytes are of this URL.
promise<> transfer(fetch f, http::client_request r, archive_store::writer& w) {
  const std::string url = without_secrets(r.url);
  const bool goes_on = w.size() > 0 && w.origin().url == url;
  if (goes_on) {
    http::resume_point from;
    from.first = w.size();
    from.validator = w.origin().validator;
    r.resume = std::move(from);
  }
  promise<http::client_response> sending = f.client.send(std::move(r));
  http::client_response response = co_await std::move(sending);
  if (goes_on && response.status == 416) co_return;  // there is no more: the checksum will tell
  if (response.status != 200 && response.status != 206) {
    throw fetch_failed(failure_of(response, url));
  }
  if (w.size() > 0 && !(goes_on && response.first_byte == w.size())) {
    promise<> rewinding = w.rewind();
    co_await rewinding;
  }
  promise<> marking = mark(w, url, response);
  co_await marking;
  f.progress.bytes = w.size();
  f.progress.total = response.body.length();
  if (f.progress.total) {
    *f.progress.total += w.size();
    check_size(f, url, *f.progress.total);
    w.expect(*f.progress.total);
  }
  for (;;) {
    promise<http::shared_bytes> reading = response.body.read();
    http::shared_bytes piece = co_await std::move(reading);
    if (piece.empty()) co_return;
    check_size(f, url, w.size() + piece.size());  // with what was kept
    const std::chrono::nanoseconds wait = f.rate.take(piece.size(), event_loop::current().now());
    promise<> writing = w.write(std::move(piece));
    co_await writing;
    f.progress.bytes = w.size();
    if (wait.count() == 0) continue;
    promise<> paid = sleep_for(wait);  // what is not read holds the server back
    co_await paid;
  }
}

// All of one URL. A transfer that broke is tried once more, and goes on as long as it makes
// progress.
promise<> transfer_all(fetch f, const std::string& url, archive_store::writer& w) {
  const std::string shown = without_secrets(url);
  for (int resumes = 0;; ++resumes) {
    const std::uint64_t before = w.origin().url == shown ? w.size() : 0;
    promise<> going = transfer(f, request_for(f, url), w);
    try {
      co_await going;
      co_return;
    } catch (const http::client_error& e) {
      const bool made_progress = w.origin().url == shown && w.size() > before;
      const bool goes_on = is_worth_resuming(e) && (made_progress || resumes == 0);
      if (!goes_on || resumes == most_resumes) throw fetch_failed(failure_of(e));
    }
  }
}

// The archive from one URL; nothing, and why. What was kept of a try before may not be what it was,
// or the server gives no parts: then once more from the first byte on.
promise<std::optional<stored_archive>> try_url(fetch f,
                                               const std::string& url,
                                               archive_store::writer& w,
                                               fetch_failure& why) {
  f.progress = fetch_progress();
  f.progress.url = without_secrets(url);
  bool is_again = w.origin().url == f.progress.url;
  for (;;) {
    try {
      promise<> going = transfer_all(f, url, w);
      co_await going;
      promise<stored_archive> finishing = w.finish(f.what.hashes);
      const stored_archive stored = co_await std::move(finishing);
      co_return stored;
    } catch (const fetch_failed& e) {
      why = e.why;
      const bool is_of_no_use = why.reason == reason_too_large || why.reason == reason_over_quota ||
                                why.reason == reason_protocol;
      if (!is_of_no_use) co_return std::nullopt;
      is_again = is_again && why.reason == reason_protocol;
    } catch (const archive_mismatch& e) {
      why = fetch_failure();
      why.reason = "checksum";
      why.text = "cannot use " + f.progress.url + ": " + e.what();
      why.is_lasting = true;
    }
    promise<> rewinding = w.rewind();  // those bytes are of no use
    co_await rewinding;
    if (!std::exchange(is_again, false)) co_return std::nullopt;
  }
}

// In their order, but that which has given something before comes first.
std::vector<std::string> urls_of(const wanted_archive& what,
                                 const archive_options& options,
                                 const std::string& begun) {
  std::vector<std::string> urls = what.urls;
  urls.insert(urls.end(), what.mirrors.begin(), what.mirrors.end());
  for (std::string base : options.upstream_caches) {
    while (base.ends_with('/')) base.pop_back();
    for (auto h = what.hashes.rbegin(); h != what.hashes.rend(); ++h) {
      urls.push_back(base + "/" + h->path());
    }
  }
  const auto is_begun = [&begun](const std::string& url) { return without_secrets(url) == begun; };
  const auto known = std::find_if(urls.begin(), urls.end(), is_begun);
  if (known != urls.end()) std::rotate(urls.begin(), known, known + 1);
  return urls;
}

}  // namespace

std::string host_of(std::string_view url) {
  const std::size_t scheme = url.find("://");
  if (scheme != std::string_view::npos) url.remove_prefix(scheme + 3);
  url = url.substr(0, url.find('/'));
  if (const std::size_t user = url.rfind('@'); user != std::string_view::npos) {
    url.remove_prefix(user + 1);
  }
  const std::size_t port = url.rfind(':');
  if (port != std::string_view::npos && url.find(']', port) == std::string_view::npos) {
    url = url.substr(0, port);
  }
  return std::string(url);
}

promise<stored_archive> fetch_archive(http::client& client,
                                      archive_store& store,
                                      const archive_options& options,
                                      wanted_archive what,
                                      rate_budget& rate,
                                      fetch_progress& progress) {
  const fetch f{client, store, options, what, rate, progress};
  std::optional<fetch_failure> first;
  std::size_t tried = 0;
  bool is_full = false;
  promise<archive_store::writer> beginning = store.begin(what.key());
  archive_store::writer w = co_await std::move(beginning);
  try {
    for (const std::string& url : urls_of(what, options, w.origin().url)) {
      fetch_failure why;
      promise<std::optional<stored_archive>> trying = try_url(f, url, w, why);
      const std::optional<stored_archive> stored = co_await std::move(trying);
      if (stored) co_return *stored;
      ++tried;
      if (!first) first = std::move(why);
    }
  } catch (const store_full& e) {
    first = fetch_failure();
    first->reason = store_full_reason;
    first->text = "cannot store " + git_mem::without_secrets(what.urls.front()) + ": " + e.what();
    first->needed_bytes = e.needed_bytes;
    is_full = true;
  }
  if (is_full) {
    promise<> rewinding = w.rewind();
    co_await rewinding;
  }
  // What is whole goes before what may never be, where that makes room for it.
  if (is_full && first->needed_bytes <= store.room()) {
    auto nobodys = [](const archive_hash&) { return false; };
    promise<std::size_t> dropping = store.drop_partial(std::move(nobodys));
    co_await dropping;
  }
  if (tried > 1) first->text += " (" + std::to_string(tried - 1) + " other URLs failed too)";
  throw fetch_failed(*first);
}

}  // namespace fermata::mirror
