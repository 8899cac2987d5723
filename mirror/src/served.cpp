// SPDX-License-Identifier: MIT
#include "served.hpp"

#include <fermata/git_mem/naming.hpp>
#include <fermata/http/validators.hpp>
#include <fermata/promise/pause.hpp>

#include <algorithm>
#include <span>
#include <thread>
#include <utility>

namespace fermata::mirror {
namespace {

constexpr std::chrono::microseconds slice_cost{50};  // 512 KiB unmapped
constexpr std::size_t hash_piece_bytes = 32 * 1024;
constexpr std::chrono::microseconds hash_cost{20};

}  // namespace

served_ptr graveyard::adopt(const std::shared_ptr<graveyard>& yard,
                            std::unique_ptr<served_generation> g) {
  const std::thread::id home = std::this_thread::get_id();
  return {g.release(), [yard, home](const served_generation* last) {
            std::unique_ptr<served_generation> dead(const_cast<served_generation*>(last));
            if (std::this_thread::get_id() == home) {
              yard->bury(std::move(dead));
            } else {  // where that loop has ended it is freed here
              static_cast<void>(yard->home_->post(
                  [yard, left = std::move(dead)]() mutable { yard->bury(std::move(left)); }));
            }
          }};
}

void graveyard::bury(std::unique_ptr<served_generation> g) noexcept {
  if (!is_tended_) return;
  try {
    dead_.push_back(std::move(g));
  } catch (const std::bad_alloc&) {  // then it is freed here and now
  }
  if (wake_) wake_.resolve();
}

promise<> graveyard::tend(std::shared_ptr<graveyard> yard) {
  struct mark {
    explicit mark(bool& f) : flag(f) { flag = true; }
    ~mark() { flag = false; }
    bool& flag;
  } const tended(yard->is_tended_);
  for (;;) {
    while (!yard->dead_.empty()) {
      const std::unique_ptr<served_generation> g = std::move(yard->dead_.back());
      yard->dead_.pop_back();
      while (g->what.index.release_slice()) co_await maybe_pause(slice_cost);
      co_await maybe_pause(slice_cost);
    }
    auto [woken, wake] = make_promise<>();
    yard->wake_ = std::move(wake);
    co_await woken;
  }
}

promise<std::string> etag_of(const std::string& text) {
  git_mem::checksum sum;
  std::span<const std::uint8_t> rest(reinterpret_cast<const std::uint8_t*>(text.data()),
                                     text.size());
  while (!rest.empty()) {
    const std::size_t n = std::min(rest.size(), hash_piece_bytes);
    sum.update(rest.first(n));
    rest = rest.subspan(n);
    co_await maybe_pause(hash_cost);
  }
  co_return http::quoted_etag(sum.finish().hex());
}

}  // namespace fermata::mirror
