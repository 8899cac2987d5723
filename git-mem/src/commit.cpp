// SPDX-License-Identifier: MIT
#include "libgit2_session.hpp"

#include <fermata/git_mem/git_view.hpp>
#include <fermata/git_mem/tree.hpp>

namespace fermata::git_mem {

namespace {

signature from_git_signature(const git_signature* s) {
  if (s == nullptr) return {};
  return {s->name, s->email, std::chrono::sys_seconds(std::chrono::seconds(s->when.time))};
}

}  // namespace

commit read_commit(const snapshot_ptr& from, const object_id& id) {
  const std::string what = "commit " + id.hex();
  const std::optional<object_header> header = from->find_object(id);
  if (!header) throw failure(reason::not_found, what + ": not in the store");
  if (header->type != object_type::commit) {
    throw failure(reason::corrupt, what + ": it is a " + std::string(type_name(header->type)));
  }
  const git_view view(from);
  const git_oid name = detail::to_git(id);
  git_commit* raw = nullptr;
  detail::check_git(git_commit_lookup(&raw, view.repository(), &name), what);
  const detail::commit_handle parsed(raw);
  commit c;
  c.id = id;
  c.tree = detail::from_git(*git_commit_tree_id(raw));
  for (unsigned i = 0; i < git_commit_parentcount(raw); ++i) {
    c.parents.push_back(detail::from_git(*git_commit_parent_id(raw, i)));
  }
  c.author = from_git_signature(git_commit_author(raw));
  c.committer = from_git_signature(git_commit_committer(raw));
  if (const char* message = git_commit_message(raw)) c.message = message;
  return c;
}

}  // namespace fermata::git_mem
