// SPDX-License-Identifier: MIT
// libgit2 as this library uses it: initialised once, and its return codes as failures.

#pragma once

#include <fermata/git_mem/failure.hpp>
#include <fermata/git_mem/object_id.hpp>

#include <git2.h>
#include <git2/sys/odb_backend.h>

#include <memory>
#include <string>

namespace fermata::git_mem::detail {

// Keeps libgit2 initialised from the first call to the end of the program.
void need_libgit2();

// Throws what libgit2 said on this thread: `<what>: <why> (git -1)`.
[[noreturn]] void throw_git(int code, const std::string& what, reason why = reason::corrupt);

inline void check_git(int code, const std::string& what, reason why = reason::corrupt) {
  if (code < 0) throw_git(code, what, why);
}

[[nodiscard]] inline object_id from_git(const git_oid& id) noexcept {
  return object_id::from_bytes(id.id);
}

[[nodiscard]] inline git_oid to_git(const object_id& id) noexcept {
  git_oid out;
  git_oid_fromraw(&out, id.data());
  return out;
}

// libgit2 numbers the types as packs do.
[[nodiscard]] inline git_object_t to_git(object_type type) noexcept {
  return static_cast<git_object_t>(type);
}

template <auto Free>
struct frees {
  template <typename T>
  void operator()(T* p) const noexcept {
    Free(p);
  }
};
using odb_handle = std::unique_ptr<git_odb, frees<git_odb_free>>;
using repository_handle = std::unique_ptr<git_repository, frees<git_repository_free>>;
using commit_handle = std::unique_ptr<git_commit, frees<git_commit_free>>;

}  // namespace fermata::git_mem::detail
