// SPDX-License-Identifier: MIT
#include "pack_worker.hpp"

#include "analysis.hpp"

#include <chrono>

namespace fermata::git_mem::detail {

namespace {

// How long a stop may have to wait.
constexpr std::chrono::nanoseconds budget = std::chrono::milliseconds(1);

step_state step_all(const std::stop_token& stop, analysis& work) {
  step_state state = step_state::more;
  while (state == step_state::more && !stop.stop_requested()) state = work.step(budget).state;
  return state;
}

}  // namespace

step_state pack_worker::use(const std::stop_token& stop, analysis& work, const input& in) {
  step_state state = step_all(stop, work);
  for (const std::span<const std::byte>& piece : in.pieces) {
    if (state != step_state::need_input) return state;
    work.feed(piece);
    state = step_all(stop, work);
  }
  if (state != step_state::need_input || !in.is_last) return state;
  work.finish_input();
  return step_all(stop, work);
}

step_state pack_worker::run(std::stop_token stop,
                            pack_analyser& analyser,
                            const std::shared_ptr<naming_crew>& crew,
                            const input& in) {
  analysis& work = *analyser.analysis_;
  struct ends {
    ~ends() {
      work.give_up_names();
      if (crew) crew->close();
    }
    analysis& work;
    const std::shared_ptr<naming_crew>& crew;
  } const at_end{work, crew};
  work.share_names(crew);
  const step_state state = use(stop, work, in);
  if (state == step_state::more) return state;
  return work.settle_names() ? state : step_state::error;
}

pack_links& pack_worker::links_of(pack_analyser& analyser) noexcept {
  return analyser.analysis_->links();
}

}  // namespace fermata::git_mem::detail
