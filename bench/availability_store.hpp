// SPDX-License-Identifier: MIT
// Phases over a store that has been cloned: what is done with it beside serving it.
#pragma once

#include <fermata/git_mem/object_store.hpp>
#include <fermata/promise/promise.hpp>

#include <filesystem>
#include <string>
#include <vector>

namespace fermata::bench {

// Files of the phases, which go away with it.
class scratch_folder {
public:
  scratch_folder();
  scratch_folder(const scratch_folder&) = delete;
  scratch_folder& operator=(const scratch_folder&) = delete;
  ~scratch_folder();
  [[nodiscard]] std::string operator/(const std::string& name) const {
    return (path_ / name).string();
  }

private:
  std::filesystem::path path_;
};

[[nodiscard]] const std::vector<std::string>& store_phases();

// One of them, over the commit `tip` of the store. Each but the first needs nothing of the others;
// `restore` reads what `save` has written.
promise<> run_store_phase(std::string name,
                          git_mem::object_store& store,
                          git_mem::object_id tip,
                          const scratch_folder& in);

}  // namespace fermata::bench
