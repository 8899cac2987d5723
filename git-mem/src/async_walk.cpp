// SPDX-License-Identifier: MIT
#include "costs.hpp"
#include "tree_source.hpp"

#include <fermata/git_mem/commit.hpp>
#include <fermata/git_mem/walk.hpp>
#include <fermata/promise/pause.hpp>

#include <utility>

namespace fermata::git_mem {

promise<object> get_object(snapshot_ptr from,
                           object_id id,
                           std::uint64_t limit_bytes,
                           object_cache* recent) {
  object_reader reader(std::move(from), id, recent);
  if (reader.header().size_bytes > limit_bytes) {
    throw failure(reason::limit, "object " + id.hex() + ": " +
                                     std::to_string(reader.header().size_bytes) +
                                     " bytes, the limit here is " + std::to_string(limit_bytes));
  }
  for (;;) {
    const step_result r = reader.step();
    co_await maybe_pause(r.cost);
    if (r.state == step_state::done) co_return reader.take();
    if (r.state == step_state::error) throw failure(reader.error());
  }
}

promise<object_id> detail::get_root_tree(snapshot_ptr from, object_id root) {
  const std::optional<object_header> h = from->find_object(root);
  if (!h || h->type != object_type::commit) co_return root;
  promise<commit> reading = get_commit(std::move(from), root);
  const commit c = co_await std::move(reading);
  co_return c.tree;
}

promise<std::optional<path_finder::place>> find_path(snapshot_ptr from,
                                                     object_id root,
                                                     std::string path) {
  promise<object_id> rooting = detail::get_root_tree(from, root);
  root = co_await std::move(rooting);
  path_finder finder(std::move(from), root, path);
  for (;;) {
    const step_result r = finder.step();
    co_await maybe_pause(r.cost);
    if (r.state == step_state::done) co_return finder.found();
    if (r.state == step_state::error) throw failure(finder.error());
  }
}

promise<> walk_files(snapshot_ptr from,
                     object_id root,
                     std::string path,
                     std::function<promise<>(const tree_walk::entry&)> visit,
                     object_cache* recent) {
  promise<object_id> rooting = detail::get_root_tree(from, root);
  root = co_await std::move(rooting);
  tree_walk walk(std::move(from), root, path, recent);
  for (;;) {
    const tree_walk::result r = walk.step();
    co_await maybe_pause(r.cost);
    if (r.found != nullptr) {
      promise<> visited = visit(*r.found);
      co_await visited;
    }
    if (r.state == step_state::done) co_return;
    if (r.state == step_state::error) throw failure(walk.error());
  }
}

}  // namespace fermata::git_mem
