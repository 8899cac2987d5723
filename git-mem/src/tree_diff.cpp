// SPDX-License-Identifier: MIT
// A merge whose trees are read in steps, the old side first.

#include "costs.hpp"
#include "tree_merge.hpp"
#include "tree_source.hpp"

#include <fermata/git_mem/diff.hpp>
#include <fermata/promise/pause.hpp>

#include <utility>

namespace fermata::git_mem {

using detail::cost_ns;

namespace {

constexpr cost_ns root_cost{30'000};

}  // namespace

char file_change::letter() const noexcept {
  switch (what) {
    case kind::added:
      return 'A';
    case kind::removed:
      return 'D';
    case kind::type_changed:
      return 'T';
    case kind::modified:
      break;
  }
  return 'M';
}

struct tree_diff::work {
  snapshot_ptr from;
  object_id before;
  object_id after;
  bool started = false;
  bool done = false;
  detail::tree_merge merge;
  std::optional<object_cache> recent;       // a new tree is mostly a delta on the old one
  std::optional<object_reader> old_reader;  // trees that are opened next
  std::optional<object_reader> new_reader;
  std::optional<object> old_tree;
  bool opens = false;
  std::optional<failure> error;

  void start(cost_ns& cost);
  void open(const object_id& old_id, const object_id& new_id);
  void read(cost_ns& cost);
  [[nodiscard]] const file_change* unit(cost_ns& cost);
};

void tree_diff::work::start(cost_ns& cost) {
  started = true;
  cost += root_cost;
  const auto root = [this](const object_id& id) {
    return id.is_zero() ? id : detail::root_tree(from, id);
  };
  const object_id old_root = root(before);
  const object_id new_root = root(after);
  if (old_root == new_root) return;
  recent.emplace(*from);
  open(old_root, new_root);
}

void tree_diff::work::open(const object_id& old_id, const object_id& new_id) {
  opens = true;
  old_tree.reset();
  if (!old_id.is_zero()) old_reader.emplace(detail::open_tree(from, old_id, &*recent));
  if (!new_id.is_zero()) new_reader.emplace(detail::open_tree(from, new_id, &*recent));
}

void tree_diff::work::read(cost_ns& cost) {
  std::optional<object_reader>& reader = old_reader ? old_reader : new_reader;
  std::optional<object> tree;
  if (reader) {
    const step_result r = reader->step(std::chrono::nanoseconds(1));
    cost += r.cost;
    if (r.state == step_state::error) throw failure(reader->error());
    if (r.state != step_state::done) return;
    tree = reader->take();
    if (&reader == &old_reader) old_tree = std::exchange(tree, std::nullopt);
    reader.reset();
    if (new_reader) return;
  }
  merge.open(std::exchange(old_tree, std::nullopt), std::move(tree));
  opens = false;
}

const file_change* tree_diff::work::unit(cost_ns& cost) {
  cost += detail::operation_cost;
  if (!started) {
    start(cost);
  } else if (opens) {
    read(cost);
  } else if (merge.is_done()) {
    done = true;
  } else {
    const detail::tree_merge::outcome o = merge.step(cost);
    if (o.enters) open(o.old_tree, o.new_tree);
    return o.found;
  }
  return nullptr;
}

tree_diff::tree_diff(snapshot_ptr from, const object_id& before, const object_id& after)
    : work_(std::make_unique<work>()) {
  work_->from = std::move(from);
  work_->before = before;
  work_->after = after;
}
tree_diff::tree_diff(tree_diff&&) noexcept = default;
tree_diff& tree_diff::operator=(tree_diff&&) noexcept = default;
tree_diff::~tree_diff() = default;

tree_diff::result tree_diff::step(std::chrono::nanoseconds budget) {
  work& w = *work_;
  return detail::step_to_next<result>(w, budget, w.merge.path());
}

const failure& tree_diff::error() const {
  if (!work_->error) throw contract_error("the diff has no error");
  return *work_->error;
}

promise<> diff_files(snapshot_ptr from,
                     object_id before,
                     object_id after,
                     std::function<promise<>(const file_change&)> visit) {
  promise<object_id> rooting = detail::get_root_tree(from, before);
  before = co_await std::move(rooting);
  rooting = detail::get_root_tree(from, after);
  after = co_await std::move(rooting);
  tree_diff diff(std::move(from), before, after);
  for (;;) {
    const tree_diff::result r = diff.step();
    co_await maybe_pause(r.cost);
    if (r.found != nullptr) {
      promise<> visited = visit(*r.found);
      co_await visited;
    }
    if (r.state == step_state::done) co_return;
    if (r.state == step_state::error) throw failure(diff.error());
  }
}

promise<std::vector<file_change>> list_changes(snapshot_ptr from,
                                               object_id before,
                                               object_id after,
                                               std::uint64_t most_bytes) {
  std::vector<file_change> all;
  detail::change_adder adder(all, most_bytes);
  promise<> listed = diff_files(std::move(from), before, after, [&adder](const file_change& c) {
    adder.add(c);
    return ready();
  });
  co_await listed;
  co_return all;
}

}  // namespace fermata::git_mem
