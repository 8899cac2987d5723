// SPDX-License-Identifier: MIT
// The caller's side of a transfer.

#include "client_transfer.hpp"

#include "client_engine.hpp"
#include "text.hpp"

#include <fermata/promise/pause.hpp>
#include <fermata/promise/stream.hpp>
#include <fermata/promise/submit_to.hpp>

#include <algorithm>
#include <exception>
#include <utility>

namespace fermata::http::detail {
namespace {

constexpr auto slice_cost = std::chrono::microseconds(100);  // inflating 32 KiB

}  // namespace

client_transfer::client_transfer(client_link_ptr link)
    : link_(std::move(link)), id_(link_->next_id++) {}

promise<hop_head> client_transfer::begin(hop h, body_source source) {
  h.id = id_;
  method_ = h.method;
  std::transform(method_.begin(), method_.end(), method_.begin(), lower);
  url_ = h.url;
  most_bytes_ = h.options.limits.body_bytes;
  auto start = [engine = link_->engine, sent = std::move(h)]() mutable {
    return engine->begin(std::move(sent));
  };
  promise<hop_head> asked = submit_to(link_->letters, std::move(start));
  if (source) pumping_ = pump(link_, id_, std::move(source));
  return asked;
}

promise<> client_transfer::pump(client_link_ptr link, std::uint64_t id, body_source source) {
  try {
    for (;;) {
      shared_bytes piece = co_await source();
      const bool last = piece.empty();
      auto give = [engine = link->engine, id, given = std::move(piece)] {
        return engine->feed(id, given);
      };
      promise<bool> fed = submit_to(link->letters, std::move(give));
      const bool goes_on = co_await fed;
      if (last || !goes_on) co_return;
    }
  } catch (const cancelled&) {
    throw;
  } catch (...) {
    link->letters->post(
        [engine = link->engine, id, e = std::current_exception()] { engine->fail(id, e); });
  }
}

void client_transfer::expect(const hop_head& head, bool inflates) {
  if (const auto length = head.headers.find("Content-Length")) length_ = parse_decimal(*length);
  if (method_ == "head") return;
  if (length_ && *length_ > most_bytes_) count(*length_);
  const auto coding = head.headers.find("Content-Encoding");
  if (!coding || !inflates) return;
  if (equal_ignoring_case(*coding, "gzip") || equal_ignoring_case(*coding, "x-gzip"))
    inflater_ = std::make_unique<inflater>(inflater::format::gzip);
  if (equal_ignoring_case(*coding, "deflate"))
    inflater_ = std::make_unique<inflater>(inflater::format::deflate);
}

void client_transfer::count(std::size_t n) {
  if (n <= most_bytes_ - given_) {
    given_ += n;
    return;
  }
  end();
  throw failure(client_failure::too_large,
                "the body has more than " + std::to_string(most_bytes_) + " bytes");
}

client_error client_transfer::failure(client_failure kind, std::string_view why) const {
  return client_error(kind, "cannot " + method_ + " " + url_ + ": " + std::string(why));
}

promise<std::optional<std::string>> client_transfer::fetch() const {
  auto ask = [engine = link_->engine, id = id_] { return engine->read(id); };
  return submit_to(link_->letters, std::move(ask));
}

std::string client_transfer::inflate_some() {
  try {
    return inflater_->next();
  } catch (const error& e) {
    end();
    throw failure(client_failure::protocol, e.what());
  }
}

promise<shared_bytes> client_transfer::read(std::shared_ptr<client_transfer> t) {
  const fermata::detail::direction_guard guard(t->is_reading_, fermata::detail::two_reads);
  for (;;) {
    if (t->inflater_) {
      co_await maybe_pause(slice_cost);
      std::string slice = t->inflate_some();
      t->count(slice.size());
      if (!slice.empty()) co_return shared_bytes(std::move(slice));
    }
    if (t->is_over_) co_return shared_bytes();
    promise<std::optional<std::string>> fetched = t->fetch();
    std::optional<std::string> piece = co_await std::move(fetched);
    if (!piece) {
      t->is_over_ = true;
      const bool is_cut = t->inflater_ && !t->inflater_->is_complete();
      t->end();
      if (is_cut) throw t->failure(client_failure::broken, "the compressed body ends early");
      co_return shared_bytes();
    }
    if (t->inflater_) {
      t->inflater_->give(std::move(*piece));
    } else {
      t->count(piece->size());
      co_return shared_bytes(std::move(*piece));
    }
  }
}

void client_transfer::end() noexcept {
  if (std::exchange(is_ended_, true)) return;
  if (pumping_) cancel(pumping_);
  try {
    link_->letters->post([engine = link_->engine, id = id_] { engine->drop(id); });
  } catch (...) {
    // No memory for a letter: the limits of time end the transfer.
  }
}

}  // namespace fermata::http::detail
