// SPDX-License-Identifier: MIT
#include "followed_branch.hpp"

#include <utility>

namespace fermata::mirror {

void follow_only(git_mem::object_store& store,
                 const std::string& ref,
                 const git_mem::object_id& commit) {
  const git_mem::snapshot_ptr now = store.current();
  const git_mem::reference* const kept = now->find_ref(ref);
  if (kept == nullptr || ref == "HEAD") return;
  git_mem::reference head;
  head.name = "HEAD";
  head.id = commit;
  if (ref.starts_with("refs/heads/")) head.symbolic_target = ref;
  const git_mem::reference* const old = now->find_ref("HEAD");
  const bool is_so = now->refs.size() == 2 && old != nullptr && old->id == head.id &&
                     old->symbolic_target == head.symbolic_target;
  if (is_so) return;
  git_mem::snapshot next;
  next.refs = {std::move(head), *kept};
  next.shallow = now->shallow;
  next.is_partial = now->is_partial;
  next.packs = now->packs;
  store.publish(std::move(next));
}

}  // namespace fermata::mirror
