// SPDX-License-Identifier: MIT
// Both machines read one tree at a time with an object_reader. A path is looked for with the
// entries of each tree on the way in units of scan_entries; a walk keeps a stack of open trees.

#include "costs.hpp"
#include "tree_source.hpp"

#include <utility>

namespace fermata::git_mem {

using detail::cost_ns;
using detail::open_tree;
using detail::root_tree;
using detail::shown_path;

namespace {

constexpr std::size_t scan_entries = 256;
constexpr cost_ns entry_cost{60};

}  // namespace

struct path_finder::work {
  snapshot_ptr from;
  std::string path;
  std::string_view rest;  // of path: what is still to be found
  object_id root;
  bool at_root = true;
  std::optional<place> here;
  std::optional<object_reader> reader;
  std::optional<object> tree;
  std::optional<tree_reader> entries;
  bool done = false;
  std::optional<failure> error;

  void unit(cost_ns& cost);
  void look(cost_ns& cost);
  [[nodiscard]] std::string_view component() const { return rest.substr(0, rest.find('/')); }
};

void path_finder::work::unit(cost_ns& cost) {
  cost += detail::operation_cost;
  if (at_root) {
    at_root = false;
    here = place{file_mode::tree, root_tree(from, root)};
    cost += cost_ns(30'000);
    return;
  }
  if (entries) return look(cost);
  if (reader) {
    const step_result r = reader->step(std::chrono::nanoseconds(1));
    cost += r.cost;
    if (r.state == step_state::error) throw failure(reader->error());
    if (r.state != step_state::done) return;
    tree = reader->take();
    reader.reset();
    entries.emplace(*tree);
    return;
  }
  while (rest.starts_with('/')) rest.remove_prefix(1);
  if (rest.empty()) {
    done = true;
  } else if (!here || here->mode != file_mode::tree) {
    here.reset();
    done = true;
  } else {
    reader.emplace(open_tree(from, here->id));
  }
}

void path_finder::work::look(cost_ns& cost) {
  const std::string_view wanted = component();
  for (std::size_t i = 0; i < scan_entries; ++i) {
    cost += entry_cost;
    const std::optional<tree_entry> e = entries->next();
    if (e && e->name != wanted) continue;
    here.reset();
    if (e) here = place{e->mode, e->id};
    rest.remove_prefix(wanted.size());
    entries.reset();
    tree.reset();
    if (!e) done = true;
    return;
  }
}

path_finder::path_finder(snapshot_ptr from, const object_id& root, std::string_view path)
    : work_(std::make_unique<work>()) {
  work_->from = std::move(from);
  work_->root = root;
  work_->path = path;
  work_->rest = work_->path;
}
path_finder::path_finder(path_finder&&) noexcept = default;
path_finder& path_finder::operator=(path_finder&&) noexcept = default;
path_finder::~path_finder() = default;

step_result path_finder::step(std::chrono::nanoseconds budget) {
  step_result r;
  if (work_->error) return {step_state::error, r.cost};
  try {
    while (r.cost < budget && !work_->done) work_->unit(r.cost);
    if (work_->done) r.state = step_state::done;
  } catch (const failure& f) {
    work_->error = work_->path.empty() ? f : f.at(shown_path(work_->path));
    r.state = step_state::error;
  }
  return r;
}

const failure& path_finder::error() const {
  if (!work_->error) throw contract_error("the search has no error");
  return *work_->error;
}

const std::optional<path_finder::place>& path_finder::found() const { return work_->here; }

struct tree_walk::work {
  struct open {
    object tree;
    tree_reader entries;
    std::size_t path_size;  // of `path`, with this tree's name and '/'
  };

  work(snapshot_ptr f, const object_id& root, std::string_view at, object_cache* cache)
      : from(std::move(f)), recent(cache), start(at), finder(path_finder(from, root, at)) {}

  [[nodiscard]] const entry* unit(cost_ns& cost);
  void find_start(cost_ns& cost);
  [[nodiscard]] const entry* take(const tree_entry& e);

  snapshot_ptr from;
  object_cache* recent;
  std::string start;
  std::optional<path_finder> finder;
  std::optional<object_reader> reader;
  std::vector<open> stack;
  std::string path;  // of the tree that is read or on top, with '/'
  entry current;
  detail::walk_bounds bounds;
  bool done = false;
  std::optional<failure> error;
};

void tree_walk::work::find_start(cost_ns& cost) {
  const step_result r = finder->step(std::chrono::nanoseconds(1));
  cost += r.cost;
  if (r.state == step_state::error) throw failure(finder->error());
  if (r.state != step_state::done) return;
  if (!finder->found()) throw failure(reason::not_found, shown_path(start) + ": not in the tree");
  if (finder->found()->mode != file_mode::tree) {
    throw failure(reason::not_found, shown_path(start) + ": it is no directory");
  }
  reader.emplace(open_tree(from, finder->found()->id, recent));
  finder.reset();
}

const tree_walk::entry* tree_walk::work::take(const tree_entry& e) {
  bounds.take(path.size() + e.name.size() + 1);
  if (e.mode == file_mode::tree) {
    detail::walk_bounds::enter(stack.size());
    path.append(e.name).push_back('/');
    reader.emplace(open_tree(from, e.id, recent));
    return nullptr;
  }
  current.path.assign(path).append(e.name);
  current.mode = e.mode;
  current.id = e.id;
  current.size_bytes = 0;
  current.is_absent = false;
  if (e.mode == file_mode::submodule) return &current;
  const std::optional<object_header> h = from->find_object(e.id);
  if (!h && from->is_partial) {
    current.is_absent = true;
    return &current;
  }
  if (!h || h->type != object_type::blob) {
    throw failure(reason::corrupt, shown_path(current.path) + ": object " + e.id.hex() +
                                       (h ? " is no blob" : " is not in the store"));
  }
  current.size_bytes = h->size_bytes;
  return &current;
}

const tree_walk::entry* tree_walk::work::unit(cost_ns& cost) {
  cost += detail::operation_cost;
  if (finder) {
    find_start(cost);
    return nullptr;
  }
  if (reader) {
    const step_result r = reader->step(std::chrono::nanoseconds(1));
    cost += r.cost;
    if (r.state == step_state::error) throw failure(reader->error());
    if (r.state != step_state::done) return nullptr;
    object tree = reader->take();
    reader.reset();
    const tree_reader entries(tree);
    stack.push_back({std::move(tree), entries, path.size()});
    return nullptr;
  }
  if (stack.empty()) {
    done = true;
    return nullptr;
  }
  path.resize(stack.back().path_size);
  const std::optional<tree_entry> e = stack.back().entries.next();
  if (e) return take(*e);
  stack.pop_back();
  return nullptr;
}

tree_walk::tree_walk(snapshot_ptr from,
                     const object_id& root,
                     std::string_view path,
                     object_cache* recent)
    : work_(std::make_unique<work>(std::move(from), root, path, recent)) {}
tree_walk::tree_walk(tree_walk&&) noexcept = default;
tree_walk& tree_walk::operator=(tree_walk&&) noexcept = default;
tree_walk::~tree_walk() = default;

tree_walk::result tree_walk::step(std::chrono::nanoseconds budget) {
  work& w = *work_;
  return detail::step_to_next<result>(w, budget, w.path);
}

const failure& tree_walk::error() const {
  if (!work_->error) throw contract_error("the walk has no error");
  return *work_->error;
}

}  // namespace fermata::git_mem
