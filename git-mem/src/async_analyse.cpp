// SPDX-License-Identifier: MIT
#include "costs.hpp"
#include "naming_crew.hpp"
#include "pack_worker.hpp"

#include <fermata/git_mem/analyse.hpp>
#include <fermata/git_mem/object_store.hpp>
#include <fermata/promise/cancel.hpp>
#include <fermata/promise/detach.hpp>
#include <fermata/promise/pause.hpp>

#include <algorithm>
#include <exception>
#include <optional>
#include <utility>

namespace fermata::git_mem {

namespace {

using detail::naming_crew;
using detail::pack_worker;

constexpr std::size_t most_pieces_at_once = 16;  // that a worker gets

// Helpers come after the analysis: where threads are few, they wait for nobody who waits for them.
std::vector<promise<>> start_helpers(const std::shared_ptr<naming_crew>& crew, std::size_t count) {
  std::vector<promise<>> helpers;
  for (std::size_t i = 0; i < count; ++i) {
    auto help = [crew] { crew->help(); };
    helpers.push_back(detach(std::move(help)));
  }
  return helpers;
}

// They have been sent home: those that did not come are taken out of the queue.
promise<> await_helpers(std::vector<promise<>> helpers) {
  for (std::size_t i = 0; i < helpers.size(); ++i) {
    cancel(helpers[i]);
    try {
      co_await helpers[i];
    } catch (const cancelled&) {
      continue;  // it never came
    }
  }
}

// Pieces are used on the pool; nothing of it goes on when the promise has settled.
promise<step_state> use_on_pool(pack_analyser& analyser,
                                pack_worker::input in,
                                std::size_t threads) {
  std::shared_ptr<naming_crew> crew;
  if (threads > 1) crew = std::make_shared<naming_crew>();
  auto run = [a = &analyser, crew, in = std::move(in)](std::stop_token stop) {
    return pack_worker::run(std::move(stop), *a, crew, in);
  };
  promise<step_state> running = detach(std::move(run));
  std::vector<promise<>> helpers = start_helpers(crew, threads - 1);
  step_state state = step_state::more;
  std::exception_ptr failed;
  try {
    state = co_await running;
  } catch (...) {
    failed = std::current_exception();
  }
  if (crew) crew->close();
  promise<> gone = no_cancel(await_helpers(std::move(helpers)));
  co_await gone;
  if (failed) std::rethrow_exception(failed);
  co_return state;
}

promise<bool> drive_on_pool(pack_analyser& analyser,
                            channel_reader<pack_piece> pieces,
                            pack_progress_hook hook,
                            std::size_t threads) {
  for (;;) {
    std::vector<pack_piece> taken;
    pack_worker::input in;
    std::optional<pack_piece> piece = co_await pieces.receive();
    if (!piece) co_return false;
    while (piece && !in.is_last) {
      in.is_last = piece->empty();
      taken.push_back(std::move(*piece));
      if (!in.is_last) in.pieces.emplace_back(taken.back());
      if (taken.size() == most_pieces_at_once) break;
      piece = pieces.try_receive();
    }
    promise<step_state> used = use_on_pool(analyser, std::move(in), threads);
    const step_state state = co_await used;
    if (hook) hook(analyser.progress());
    if (state == step_state::done) co_return true;
    if (state == step_state::error) throw failure(analyser.error());
  }
}

// Feeds `analyser` until it is done or has failed.
promise<step_state> use_all_on_pool(pack_analyser& analyser,
                                    std::span<const std::byte> bytes,
                                    pack_progress_hook hook,
                                    std::size_t threads) {
  for (;;) {
    pack_worker::input in;
    while (!bytes.empty() && in.pieces.size() < most_pieces_at_once) {
      in.pieces.push_back(bytes.first(std::min(bytes.size(), pack_piece_bytes)));
      bytes = bytes.subspan(in.pieces.back().size());
    }
    in.is_last = bytes.empty();
    promise<step_state> used = use_on_pool(analyser, std::move(in), threads);
    const step_state state = co_await used;
    if (hook) hook(analyser.progress());
    if (state != step_state::need_input) co_return state;
  }
}

// The same on the loop.
promise<step_state> use_all(pack_analyser& analyser,
                            std::span<const std::byte> bytes,
                            pack_progress_hook hook) {
  for (;;) {
    const step_result r = analyser.step();
    if (hook) hook(analyser.progress());
    co_await maybe_pause(r.cost);
    if (r.state == step_state::more) continue;
    if (r.state != step_state::need_input) co_return r.state;
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

}  // namespace

promise<> release(pack_analyser analyser) {
  while (analyser.release_slice()) co_await maybe_pause(std::chrono::microseconds(50));
}

promise<std::unique_ptr<pack>> analyse(std::span<const std::byte> bytes,
                                       pack_limits limits,
                                       std::shared_ptr<const snapshot> bases,
                                       pack_progress_hook hook,
                                       std::size_t threads) {
  pack_analyser analyser(limits, std::move(bases));
  promise<step_state> used = threads > 0
                                 ? use_all_on_pool(analyser, bytes, std::move(hook), threads)
                                 : use_all(analyser, bytes, std::move(hook));
  const step_state state = co_await used;
  if (state == step_state::done) co_return analyser.take();
  const failure why = analyser.error();
  promise<> freed = release(std::move(analyser));
  co_await freed;
  throw failure(why);
}

promise<bool> drive(pack_analyser& analyser,
                    channel_reader<pack_piece> pieces,
                    pack_progress_hook hook,
                    std::size_t threads) {
  if (threads > 0) {
    promise<bool> driven = drive_on_pool(analyser, std::move(pieces), std::move(hook), threads);
    co_return co_await std::move(driven);
  }
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
