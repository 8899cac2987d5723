// SPDX-License-Identifier: MIT
// What tests of files and sockets share.
#pragma once

#include "support/policy.hpp"
#include "support/temp_repository.hpp"

#include <fermata/loop/worker_pool.hpp>
#include <fermata/promise/pause.hpp>

#include <cstddef>
#include <filesystem>
#include <iterator>
#include <string>

namespace fermata::test {

/// A loop and a folder.
struct place {
  event_loop loop{testing::options_of_run()};
  temp_folder folder;

  [[nodiscard]] std::string path(const std::string& name) const {
    return (folder.path() / name).string();
  }
};

/// How many descriptors this process has open.
inline std::ptrdiff_t open_descriptors() {
  return std::distance(std::filesystem::directory_iterator("/proc/self/fd"),
                       std::filesystem::directory_iterator());
}

/// Until no job waits for a worker.
inline promise<> until_jobs_run(event_loop& loop) {
  while (loop.pool().counts().queued > 0) co_await fermata::pause();
}

/// Until every job has ended, also those that nobody waits for.
inline promise<> until_pool_rests(event_loop& loop) {
  for (;;) {
    const pool_counts now = loop.pool().counts();
    if (now.queued + now.waiting + now.running == 0) break;
    co_await fermata::pause();
  }
}

}  // namespace fermata::test
