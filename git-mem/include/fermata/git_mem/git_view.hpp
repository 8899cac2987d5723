// SPDX-License-Identifier: MIT
/// A snapshot as libgit2 sees it, for those who use libgit2 themselves.
///
/// Pauses: never; a libgit2 call reads what it needs in one go. Objects over `limit_bytes` are
/// refused,
///         so that no call on the loop takes long: read those with `object_reader`.
/// Thread: any, one at a time. Do not call libgit2 on it from within a libgit2 callback.
#pragma once

#include <fermata/git_mem/object_reader.hpp>
#include <fermata/git_mem/object_store.hpp>

#include <cstdint>
#include <memory>

struct git_repository;

namespace fermata::git_mem {

/// Loads libgit2, which the first view would do otherwise: 3-5 ms. Call it before a service opens.
void prepare();

/// A `git_repository` without files: objects can be read, and nothing can be written.
class git_view {
public:
  explicit git_view(snapshot_ptr from, std::uint64_t limit_bytes = small_object_bytes);
  git_view(git_view&&) noexcept;
  git_view& operator=(git_view&&) noexcept;
  ~git_view();

  /// Valid as long as the view.
  [[nodiscard]] ::git_repository* repository() const noexcept;

private:
  struct handles;
  std::unique_ptr<handles> handles_;
};

}  // namespace fermata::git_mem
