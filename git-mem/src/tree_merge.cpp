// SPDX-License-Identifier: MIT
#include "tree_merge.hpp"

#include <fermata/git_mem/pkt_line.hpp>

#include <utility>

namespace fermata::git_mem::detail {

namespace {

constexpr std::size_t scan_entries = 256;
constexpr cost_ns entry_cost{120};  // on both sides

bool is_tree(const std::optional<tree_entry>& e) noexcept {
  return e && e->mode == file_mode::tree;
}

std::uint32_t kind_bits(file_mode mode) noexcept {
  return static_cast<std::uint32_t>(mode) & 0170000;
}

// Which side has the entry that comes first; equal where both have it.
std::strong_ordering order_of(const std::optional<tree_entry>& a,
                              const std::optional<tree_entry>& b) {
  if (!a) return std::strong_ordering::greater;
  if (!b) return std::strong_ordering::less;
  return tree_order(a->name, is_tree(a), b->name, is_tree(b));
}

}  // namespace

void tree_merge::side::open(std::optional<object> t) {
  if (!t) return;
  tree = std::move(t);
  entries.emplace(*tree);
  advance();
}

void tree_merge::open(std::optional<object> before, std::optional<object> after) {
  level& next = stack_.emplace_back();
  next.path_size = path_.size();
  next.before.open(std::move(before));
  next.after.open(std::move(after));
}

failure tree_merge::placed(const failure& f) const {
  return path_.empty() ? f : f.at("directory \"" + printable(path_) + "\"");
}

// What differs at one name: a directory is entered, a file is given.
tree_merge::outcome tree_merge::take(const std::optional<tree_entry>& a,
                                     const std::optional<tree_entry>& b) {
  const std::string_view name = a ? a->name : b->name;
  bounds_.take(path_.size() + name.size() + 1);
  const object_id old_id = a ? a->id : object_id();
  const object_id new_id = b ? b->id : object_id();
  if (is_tree(a) || is_tree(b)) {
    path_.append(name).push_back('/');
    walk_bounds::enter(stack_.size());
    return {nullptr, true, old_id, new_id};
  }
  using kind = file_change::kind;
  current_.path.assign(path_).append(name);
  current_.old_mode = a ? a->mode : b->mode;
  current_.new_mode = b ? b->mode : a->mode;
  current_.old_id = old_id;
  current_.new_id = new_id;
  const bool same_kind = kind_bits(current_.old_mode) == kind_bits(current_.new_mode);
  current_.what = !a          ? kind::added
                  : !b        ? kind::removed
                  : same_kind ? kind::modified
                              : kind::type_changed;
  return {&current_, false, {}, {}};
}

tree_merge::outcome tree_merge::step(cost_ns& cost) {
  level& at = stack_.back();
  path_.resize(at.path_size);
  for (std::size_t i = 0; i < scan_entries; ++i) {
    const std::optional<tree_entry> a = at.before.head;
    const std::optional<tree_entry> b = at.after.head;
    cost += entry_cost;
    if (!a && !b) {
      stack_.pop_back();
      return {};
    }
    const std::strong_ordering order = order_of(a, b);
    if (order <= 0) at.before.advance();
    if (order >= 0) at.after.advance();
    if (order < 0) return take(a, std::nullopt);
    if (order > 0) return take(std::nullopt, b);
    if (a->id != b->id || a->mode != b->mode) return take(a, b);
  }
  return {};
}

void change_adder::add(const file_change& c) {
  bytes_ += sizeof(file_change) + c.path.size();
  if (bytes_ > most_bytes_) {
    throw failure(reason::limit, "the list of changed files takes more than " +
                                     std::to_string(most_bytes_) + " bytes");
  }
  to_.push_back(c);
}

}  // namespace fermata::git_mem::detail
