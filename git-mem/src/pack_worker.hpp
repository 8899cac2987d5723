// SPDX-License-Identifier: MIT
// An analyser on another thread: a few pieces at a time, with a crew that shares the naming.

#pragma once

#include "naming_crew.hpp"
#include "pack_links.hpp"

#include <fermata/git_mem/pack_analyser.hpp>

#include <cstddef>
#include <memory>
#include <span>
#include <stop_token>
#include <vector>

namespace fermata::git_mem::detail {

struct pack_worker {
  // What is fed; all of it has been used when `run` ends.
  struct input {
    std::vector<std::span<const std::byte>> pieces;
    bool is_last = false;
  };

  // Says need_input, done or error; more after a stop. Nothing is pending then, and the crew is
  // closed. `crew` null: all is named here. Thread: any.
  static step_state run(std::stop_token stop,
                        pack_analyser& analyser,
                        const std::shared_ptr<naming_crew>& crew,
                        const input& in);

  // What somebody wants to know of its pack. Lifetime: of the analyser.
  static pack_links& links_of(pack_analyser& analyser) noexcept;

private:
  static step_state use(const std::stop_token& stop, analysis& work, const input& in);
};

}  // namespace fermata::git_mem::detail
