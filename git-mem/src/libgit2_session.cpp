// SPDX-License-Identifier: MIT
#include "libgit2_session.hpp"

namespace fermata::git_mem::detail {

namespace {

struct session {
  session() {
    const int code = git_libgit2_init();
    if (code < 0) throw_git(code, "cannot start libgit2", reason::unsupported);
  }
  ~session() { git_libgit2_shutdown(); }
};

}  // namespace

void need_libgit2() { static const session once; }

void throw_git(int code, const std::string& what, reason why) {
  const git_error* last = git_error_last();
  const std::string text = last != nullptr && last->message != nullptr ? last->message : "failed";
  throw failure(why, what + ": " + text + " (git " + std::to_string(code) + ")");
}

}  // namespace fermata::git_mem::detail
