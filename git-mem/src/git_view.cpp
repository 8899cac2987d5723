// SPDX-License-Identifier: MIT
// A libgit2 ODB backend that reads from a snapshot. libgit2 holds its ODB's mutex while it calls
// us: nothing here calls libgit2's ODB.

#include "libgit2_session.hpp"

#include <fermata/git_mem/git_view.hpp>

#include <git2/sys/repository.h>

#include <cstring>

namespace fermata::git_mem {

namespace {

struct backend : git_odb_backend {
  snapshot_ptr from;
  std::uint64_t limit_bytes = 0;
};

int report(const std::exception& e) noexcept {
  git_error_set_str(GIT_ERROR_ODB, e.what());
  return GIT_ERROR;
}

const backend& self(git_odb_backend* b) { return *static_cast<backend*>(b); }

int read(void** data, size_t* size, git_object_t* type, git_odb_backend* b, const git_oid* id) {
  try {
    const object_id name = detail::from_git(*id);
    if (!self(b).from->find_object(name)) return GIT_ENOTFOUND;
    const object found = read_object(self(b).from, name, self(b).limit_bytes);
    *data = git_odb_backend_data_alloc(b, found.content.size() + 1);
    if (*data == nullptr) return GIT_ERROR;
    if (found.content.size() > 0) std::memcpy(*data, found.content.data(), found.content.size());
    *size = found.content.size();
    *type = detail::to_git(found.type);
    return 0;
  } catch (const std::exception& e) {
    return report(e);
  }
}

int read_header(size_t* size, git_object_t* type, git_odb_backend* b, const git_oid* id) {
  const std::optional<object_header> found = self(b).from->find_object(detail::from_git(*id));
  if (!found) return GIT_ENOTFOUND;
  *size = found->size_bytes;
  *type = detail::to_git(found->type);
  return 0;
}

int exists(git_odb_backend* b, const git_oid* id) {
  return self(b).from->find_object(detail::from_git(*id)) ? 1 : 0;
}

// libgit2 frees the backend with the ODB, once it has taken it.
std::unique_ptr<backend> make_backend(snapshot_ptr from, std::uint64_t limit_bytes) {
  auto b = std::make_unique<backend>();
  git_odb_init_backend(b.get(), GIT_ODB_BACKEND_VERSION);
  b->from = std::move(from);
  b->limit_bytes = limit_bytes;
  b->read = read;
  b->read_header = read_header;
  b->exists = exists;
  b->free = [](git_odb_backend* done) { delete static_cast<backend*>(done); };
  return b;
}

}  // namespace

struct git_view::handles {
  detail::odb_handle odb;
  detail::repository_handle repository;
};

void prepare() { detail::need_libgit2(); }

git_view::git_view(snapshot_ptr from, std::uint64_t limit_bytes)
    : handles_(std::make_unique<handles>()) {
  detail::need_libgit2();
  git_odb* odb = nullptr;
  detail::check_git(git_odb_new(&odb), "cannot open the store for libgit2");
  handles_->odb.reset(odb);
  std::unique_ptr<backend> b = make_backend(std::move(from), limit_bytes);
  detail::check_git(git_odb_add_backend(odb, b.get(), 1), "cannot open the store for libgit2");
  static_cast<void>(b.release());
  git_repository* repository = nullptr;
  detail::check_git(git_repository_wrap_odb(&repository, odb), "cannot open the store for libgit2");
  handles_->repository.reset(repository);
}

git_view::git_view(git_view&&) noexcept = default;
git_view& git_view::operator=(git_view&&) noexcept = default;
git_view::~git_view() = default;

::git_repository* git_view::repository() const noexcept { return handles_->repository.get(); }

}  // namespace fermata::git_mem
