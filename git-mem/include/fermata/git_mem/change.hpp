// SPDX-License-Identifier: MIT
/// Writing: new objects and refs, published together or not at all.
///
/// Shape:    add objects, say what refs are to become, `publish`. Until then the store is as it
///           was; readers of older snapshots keep theirs. What an object names must be there, in
///           the store or added before: a store stays whole.
/// Pauses:   may, after each 8 KiB of content (0.2 ms) and each 256 entries of a tree.
/// Thread:   loop; one operation at a time.
/// Rejects:  `failure`: reason::corrupt for content that is not well formed, reason::not_found for
///           an object that it names, reason::limit, reason::conflict (`publish`); `cancelled`.
///           A change whose `add` failed or was cancelled while it wrote can only be destroyed.
/// Cost:     a publish makes a pack of its own: `compact` after some hundred of them. Content is
///           hashed and deflated once: 60 us a KiB.
/// Lifetime: the change and its store outlive the promises; so do bytes that are added.
#pragma once

#include <fermata/git_mem/commit.hpp>
#include <fermata/git_mem/object_store.hpp>
#include <fermata/git_mem/tree.hpp>
#include <fermata/promise/promise.hpp>
#include <fermata/promise/stream.hpp>

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace fermata::git_mem {

/// An entry of a tree that is to be.
struct tree_item {
  file_mode mode = file_mode::file;
  std::string name;
  object_id id;
};

class change {
public:
  explicit change(object_store& store, pack_limits limits = {});
  change(change&&) noexcept;
  change& operator=(change&&) noexcept;
  ~change();

  /// Gives the object's name; one that is there already is not written again.
  promise<object_id> add_object(object_type type, byte_view content);
  promise<object_id> add_blob(byte_view content);
  /// Items in any order; each name once.
  promise<object_id> add_tree(std::vector<tree_item> items);
  /// `c.id` is not looked at.
  promise<object_id> add_commit(commit c);
  promise<object_id> add_tag(tag t);

  /// What `publish` makes of a ref. `expected` is where it must stand by then: the zero id says
  /// that it is not there, nothing that all is well. A symbolic ref hands all this on to its
  /// target. The last word on a name counts.
  ///
  /// Throws: `failure` (reason::unsupported) for a name that no ref may have.
  void set_ref(const std::string& name, object_id to, std::optional<object_id> expected = {});
  void delete_ref(const std::string& name, std::optional<object_id> expected = {});
  void set_symbolic_ref(const std::string& name, std::string target);

  /// Publishes all of it. Rejects with reason::conflict where a ref stands elsewhere, or where
  /// `a/b` is to be beside `a`; nothing is changed then, and it may be tried again with other words
  /// on refs, but no more objects. Once it has resolved, the change is an empty one.
  promise<> publish();

private:
  struct work;
  std::unique_ptr<work> work_;
};

}  // namespace fermata::git_mem
