// SPDX-License-Identifier: MIT
// Which pauses of a module's sources are reached: a test lists each, so that one that is deleted,
// or written and never reached, fails it.
#pragma once

#include "support/places.hpp"
#include "support/policy.hpp"
#include "support/written_sites.hpp"

#include <fermata/loop/event_loop.hpp>

#include <catch2/catch.hpp>

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

namespace fermata::test {

class pause_sites {
public:
  /// Of the sources in the folder `module` of the project, such as `git-mem`.
  explicit pause_sites(const std::string& module) : below_(module + "/src/") {}

  /// What a loop must be made with to be looked at.
  static loop_options traced() {
    loop_options options = testing::options_with(policy::always());
    options.trace.capacity = 1 << 20;
    return options;
  }
  void collect(const trace_snapshot& from) {
    CHECK(from.lost == 0);
    for (const trace_event& e : from.events) {
      const std::string_view file = e.site.file_name();
      if (e.kind != trace_kind::pause || file.find(below_) == file.npos) continue;
      sites_.note(std::string(file.substr(file.rfind(below_))), short_name(e.site.function_name()),
                  e.site.line());
    }
  }
  /// Runs `work` on a loop of its own.
  template <typename Work>
  void run(Work work) {
    event_loop loop(traced());
    loop.trace().start();
    loop.run(work);
    loop.trace().stop();
    collect(loop.trace().snapshot());
  }
  /// Each pause that the sources have is reached, and they are what the test has `expected`: a line
  /// a function, with how many there are.
  void check(std::string_view expected) const {
    CHECK(sites_.text() == expected);
    for (const auto& e :
         std::filesystem::directory_iterator(std::filesystem::path(source_dir()) / below_)) {
      const std::string file = below_ + e.path().filename().string();
      INFO(file);  // fewer reached than written: the test needs a case for it
      CHECK(sites_.reached_in(file) == sites_.written_in(file).size());
    }
  }

private:
  std::string below_;
  written_sites sites_{{"co_await maybe_pause("}};
};

}  // namespace fermata::test
