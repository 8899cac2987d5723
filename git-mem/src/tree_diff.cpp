// SPDX-License-Identifier: MIT
// A stack of pairs of open trees, each merged like two sorted lists. A side that has no tree there
// stays empty.

#include "costs.hpp"
#include "tree_source.hpp"

#include <fermata/git_mem/diff.hpp>
#include <fermata/promise/pause.hpp>

#include <utility>

namespace fermata::git_mem {

using detail::cost_ns;

namespace {

constexpr std::size_t scan_entries = 256;
constexpr cost_ns entry_cost{120};  // on both sides
constexpr cost_ns root_cost{30'000};

// Git shows files as one of two modes.
file_mode shown_mode(file_mode mode) noexcept {
  return mode == file_mode::group_writable ? file_mode::file : mode;
}

bool is_tree(const std::optional<tree_entry>& e) noexcept {
  return e && e->mode == file_mode::tree;
}

std::uint32_t kind_bits(file_mode mode) noexcept {
  return static_cast<std::uint32_t>(mode) & 0170000;
}

// One side of a directory: read first, then gone through.
struct side {
  std::optional<object_reader> reader;
  std::optional<object> tree;
  std::optional<tree_reader> entries;
  std::optional<tree_entry> head;  // its name is in `tree`

  void advance() { head = entries->next(); }
  void read(cost_ns& cost) {
    const step_result r = reader->step(std::chrono::nanoseconds(1));
    cost += r.cost;
    if (r.state == step_state::error) throw failure(reader->error());
    if (r.state != step_state::done) return;
    tree = reader->take();
    reader.reset();
    entries.emplace(tree->bytes());
    advance();
  }
};

struct level {
  side before;
  side after;
  std::size_t path_size = 0;  // of the path, with this directory's '/'
};

// Which side has the entry that comes first; equal where both have it.
std::strong_ordering order_of(const std::optional<tree_entry>& a,
                              const std::optional<tree_entry>& b) {
  if (!a) return std::strong_ordering::greater;
  if (!b) return std::strong_ordering::less;
  return detail::tree_order(a->name, is_tree(a), b->name, is_tree(b));
}

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
  std::vector<level> stack;
  std::string path;  // of the directory that is read or on top, with '/'
  file_change current;
  std::optional<failure> error;

  void start(cost_ns& cost);
  void open(const object_id& old_tree, const object_id& new_tree);
  [[nodiscard]] const file_change* unit(cost_ns& cost);
  [[nodiscard]] const file_change* merge(level& at, cost_ns& cost);
  [[nodiscard]] const file_change* take(const std::optional<tree_entry>& a,
                                        const std::optional<tree_entry>& b);
};

void tree_diff::work::start(cost_ns& cost) {
  started = true;
  cost += root_cost;
  const auto root = [this](const object_id& id) {
    return id.is_zero() ? id : detail::root_tree(from, id);
  };
  const object_id old_tree = root(before);
  const object_id new_tree = root(after);
  if (old_tree != new_tree) open(old_tree, new_tree);
}

void tree_diff::work::open(const object_id& old_tree, const object_id& new_tree) {
  if (stack.size() >= tree_walk::deepest) {
    throw failure(reason::limit,
                  "more than " + std::to_string(tree_walk::deepest) + " nested directories");
  }
  level next;
  next.path_size = path.size();
  if (!old_tree.is_zero()) next.before.reader.emplace(detail::open_tree(from, old_tree));
  if (!new_tree.is_zero()) next.after.reader.emplace(detail::open_tree(from, new_tree));
  stack.push_back(std::move(next));
}

// What differs at one name: a directory is entered, a file is given.
const file_change* tree_diff::work::take(const std::optional<tree_entry>& a,
                                         const std::optional<tree_entry>& b) {
  const std::string_view name = a ? a->name : b->name;
  if (path.size() + name.size() + 1 > tree_walk::longest_path) {
    throw failure(reason::limit,
                  "a path of more than " + std::to_string(tree_walk::longest_path) + " bytes");
  }
  const object_id old_id = a ? a->id : object_id();
  const object_id new_id = b ? b->id : object_id();
  if (is_tree(a) || is_tree(b)) {
    path.append(name).push_back('/');
    open(old_id, new_id);
    return nullptr;
  }
  using kind = file_change::kind;
  current.path.assign(path).append(name);
  current.old_mode = shown_mode(a ? a->mode : b->mode);
  current.new_mode = shown_mode(b ? b->mode : a->mode);
  current.old_id = old_id;
  current.new_id = new_id;
  const bool same_kind = kind_bits(current.old_mode) == kind_bits(current.new_mode);
  current.what = !a          ? kind::added
                 : !b        ? kind::removed
                 : same_kind ? kind::modified
                             : kind::type_changed;
  return &current;
}

const file_change* tree_diff::work::merge(level& at, cost_ns& cost) {
  path.resize(at.path_size);
  for (std::size_t i = 0; i < scan_entries; ++i) {
    const std::optional<tree_entry> a = at.before.head;
    const std::optional<tree_entry> b = at.after.head;
    cost += entry_cost;
    if (!a && !b) {
      stack.pop_back();
      return nullptr;
    }
    const std::strong_ordering order = order_of(a, b);
    if (order <= 0) at.before.advance();
    if (order >= 0) at.after.advance();
    if (order < 0) return take(a, std::nullopt);
    if (order > 0) return take(std::nullopt, b);
    const bool equal = a->id == b->id && shown_mode(a->mode) == shown_mode(b->mode);
    if (!equal) return take(a, b);
  }
  return nullptr;
}

const file_change* tree_diff::work::unit(cost_ns& cost) {
  cost += detail::operation_cost;
  if (!started) {
    start(cost);
  } else if (stack.empty()) {
    done = true;
  } else if (stack.back().before.reader) {
    stack.back().before.read(cost);
  } else if (stack.back().after.reader) {
    stack.back().after.read(cost);
  } else {
    return merge(stack.back(), cost);
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
  return detail::step_to_next<result>(w, budget, w.path);
}

const failure& tree_diff::error() const {
  if (!work_->error) throw contract_error("the diff has no error");
  return *work_->error;
}

promise<> diff_files(snapshot_ptr from,
                     object_id before,
                     object_id after,
                     std::function<promise<>(const file_change&)> visit) {
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
                                               object_id after) {
  std::vector<file_change> all;
  promise<> listed = diff_files(std::move(from), before, after, [&all](const file_change& c) {
    all.push_back(c);
    return ready();
  });
  co_await listed;
  co_return all;
}

}  // namespace fermata::git_mem
