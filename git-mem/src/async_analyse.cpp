// SPDX-License-Identifier: MIT
#include "costs.hpp"

#include <fermata/git_mem/analyse.hpp>
#include <fermata/git_mem/object_store.hpp>
#include <fermata/promise/pause.hpp>

#include <algorithm>
#include <optional>
#include <utility>

namespace fermata::git_mem {

promise<> release(pack_analyser analyser) {
  while (analyser.release_slice()) co_await maybe_pause(std::chrono::microseconds(50));
}

promise<std::unique_ptr<pack>> analyse(std::span<const std::byte> bytes,
                                       pack_limits limits,
                                       std::shared_ptr<const snapshot> bases,
                                       pack_progress_hook hook) {
  pack_analyser analyser(limits, std::move(bases));
  for (;;) {
    const step_result r = analyser.step();
    if (hook) hook(analyser.progress());
    co_await maybe_pause(r.cost);
    if (r.state == step_state::done) co_return analyser.take();
    if (r.state == step_state::error) {
      const failure why = analyser.error();
      promise<> freed = release(std::move(analyser));
      co_await freed;
      throw failure(why);
    }
    if (r.state != step_state::need_input) continue;
    const std::size_t n = std::min(bytes.size(), pack_piece_bytes);
    if (n == 0) {
      analyser.finish_input();
    } else {
      analyser.feed(bytes.first(n));
      bytes = bytes.subspan(n);
      co_await maybe_pause(detail::copy_cost(n));
    }
  }
}

promise<bool> drive(pack_analyser& analyser,
                    channel_reader<pack_piece> pieces,
                    pack_progress_hook hook) {
  for (;;) {
    const step_result r = analyser.step();
    if (hook) hook(analyser.progress());
    co_await maybe_pause(r.cost);
    if (r.state == step_state::done) co_return true;
    if (r.state == step_state::error) throw failure(analyser.error());
    if (r.state != step_state::need_input) continue;
    const std::optional<pack_piece> piece = co_await pieces.receive();
    if (!piece) co_return false;
    if (piece->empty()) {
      analyser.finish_input();
    } else {
      analyser.feed(*piece);
      co_await maybe_pause(detail::copy_cost(piece->size()));
    }
  }
}

}  // namespace fermata::git_mem
