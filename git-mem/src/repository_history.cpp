// SPDX-License-Identifier: MIT
// Walks, logs and diffs that read one object at a time from either backend.

#include "tree_merge.hpp"

#include <fermata/git_mem/pkt_line.hpp>
#include <fermata/git_mem/repository.hpp>
#include <fermata/promise/pause.hpp>

#include <algorithm>
#include <utility>

namespace fermata::git_mem {

namespace {

constexpr std::uint64_t tree_limit_bytes = std::uint64_t{128} << 20;
constexpr std::uint64_t commit_limit_bytes = std::uint64_t{16} << 20;

struct open_tree {
  explicit open_tree(object t, std::size_t path) : tree(std::move(t)), path_size(path) {}
  object tree;
  tree_reader entries{tree};
  std::size_t path_size;
};

failure wrong_type(const object& read, const char* wanted) {
  return failure(reason::corrupt, "object " + read.id.hex() + ": it is a " +
                                      std::string(type_name(read.type)) + ", no " + wanted);
}

// Of a commit, its tree.
promise<object> get_tree(repository& from, object_id id) {
  promise<object> reading = from.get_object(id, tree_limit_bytes);
  object read = co_await std::move(reading);
  if (read.type == object_type::commit) {
    const commit c = parse_commit(id, read.text());
    promise<object> again = from.get_object(c.tree, tree_limit_bytes);
    read = co_await std::move(again);
  }
  if (read.type != object_type::tree) {
    throw wrong_type(read, "tree");
  }
  co_return read;
}

// One side of a diff; the zero id is no tree.
promise<std::optional<object>> open_side(repository& from, object_id id) {
  if (id.is_zero()) co_return std::nullopt;
  promise<object> reading = get_tree(from, id);
  object tree = co_await std::move(reading);
  co_return std::optional<object>(std::move(tree));
}

promise<> merge_all(repository& from,
                    detail::tree_merge& merge,
                    const std::function<promise<>(const file_change&)>& visit) {
  while (!merge.is_done()) {
    detail::cost_ns cost = detail::operation_cost;
    const detail::tree_merge::outcome o = merge.step(cost);
    co_await maybe_pause(cost);
    if (o.found != nullptr) {
      promise<> visited = visit(*o.found);
      co_await visited;
    }
    if (!o.enters) continue;
    promise<std::optional<object>> reading = open_side(from, o.old_tree);
    std::optional<object> before = co_await std::move(reading);
    reading = open_side(from, o.new_tree);
    std::optional<object> after = co_await std::move(reading);
    merge.open(std::move(before), std::move(after));
  }
}

}  // namespace

promise<> walk_repository(repository& from,
                          object_id root,
                          std::function<promise<>(const tree_walk::entry&)> visit) {
  std::vector<open_tree> stack;
  promise<object> opening = get_tree(from, root);
  object top = co_await std::move(opening);
  stack.emplace_back(std::move(top), 0);
  tree_walk::entry current;
  std::string path;
  detail::walk_bounds bounds;
  while (!stack.empty()) {
    co_await maybe_pause();
    path.resize(stack.back().path_size);
    const std::optional<tree_entry> e = stack.back().entries.next();
    if (!e) {
      stack.pop_back();
      continue;
    }
    path.append(e->name);
    try {
      bounds.take(path.size() + 1);
      if (e->mode == file_mode::tree) detail::walk_bounds::enter(stack.size());
    } catch (const failure& f) {
      throw f.at(detail::shown_path(path));
    }
    current.path = path;
    current.mode = e->mode;
    current.id = e->id;
    if (e->mode == file_mode::tree) {
      promise<object> below = get_tree(from, current.id);
      path.push_back('/');
      object tree = co_await std::move(below);
      stack.emplace_back(std::move(tree), path.size());
      continue;
    }
    promise<> visited = visit(current);
    co_await visited;
  }
}

promise<> diff_repository(repository& from,
                          object_id before,
                          object_id after,
                          std::function<promise<>(const file_change&)> visit) {
  promise<std::optional<object>> reading = open_side(from, before);
  std::optional<object> old_tree = co_await std::move(reading);
  reading = open_side(from, after);
  std::optional<object> new_tree = co_await std::move(reading);
  if (old_tree && new_tree && old_tree->id == new_tree->id) co_return;
  detail::tree_merge merge;
  try {
    merge.open(std::move(old_tree), std::move(new_tree));
    promise<> merged = merge_all(from, merge, visit);
    co_await merged;
  } catch (const failure& f) {
    throw merge.placed(f);
  }
}

repository_log::repository_log(repository& from, std::vector<object_id> tips)
    : from_(from), tips_(std::move(tips)) {}

promise<> repository_log::add(object_id id) {
  if (!seen_.insert(id).second) co_return;
  promise<object> reading = from_.get_object(id, commit_limit_bytes);
  const object read = co_await std::move(reading);
  if (read.type != object_type::commit) throw wrong_type(read, "commit");
  commit c = parse_commit(id, read.text());
  next_.push(std::move(c));
}

promise<std::optional<commit>> repository_log::next() {
  if (!std::exchange(has_begun_, true)) {
    promise<std::vector<object_id>> listing = from_.list_shallow();
    shallow_ = co_await std::move(listing);
    for (const object_id& id : std::exchange(tips_, {})) {
      promise<> added = add(id);
      co_await added;
    }
  }
  if (next_.empty()) co_return std::nullopt;
  const commit c = next_.pop();
  if (!std::binary_search(shallow_.begin(), shallow_.end(), c.id)) {
    for (const object_id& id : c.parents) {
      promise<> added = add(id);
      co_await added;
    }
  }
  co_await maybe_pause(std::chrono::microseconds(2));
  co_return c;
}

}  // namespace fermata::git_mem
