// SPDX-License-Identifier: MIT

#include <fermata/git_mem/clone.hpp>

// A clone of what is no repository: the error names it, and all of the module is linked.
int main() {
  fermata::event_loop loop;
  try {
    loop.run([] { return fermata::git_mem::clone("/nowhere/at/all"); });
  } catch (const fermata::error& e) {
    return std::string_view(e.what()).starts_with("cannot clone /nowhere/at/all: ") ? 0 : 1;
  }
  return 1;
}
