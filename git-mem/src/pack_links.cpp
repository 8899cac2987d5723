// SPDX-License-Identifier: MIT
// Nothing is refused here: what is malformed is told by whoever reads it.

#include "pack_links.hpp"

#include <fermata/git_mem/failure.hpp>
#include <fermata/git_mem/tree.hpp>

#include <optional>

namespace fermata::git_mem::detail {

namespace {

constexpr std::size_t hex_digits = object_id::hex_digits;

// The id in "<key><id>\n" at the front, which is taken off.
std::optional<object_id> take_id(std::string_view& text, std::string_view key) {
  if (!text.starts_with(key) || text.size() <= key.size() + hex_digits) return std::nullopt;
  const std::optional<object_id> id = object_id::from_hex(text.substr(key.size(), hex_digits));
  if (id) text.remove_prefix(key.size() + hex_digits + 1);
  return id;
}

}  // namespace

void pack_links::add(std::uint32_t number,
                     object_type type,
                     std::span<const std::uint8_t> content) {
  const std::string_view text(reinterpret_cast<const char*>(content.data()), content.size());
  if (type == object_type::tree && has_trees_) add_tree(content);
  if (!wants_history_) return;
  if (type == object_type::commit) add_commit(number, text);
  if (type != object_type::tag) return;
  std::string_view rest = text;
  if (const std::optional<object_id> id = take_id(rest, "object ")) {
    of_history_.push_back({number, false, *id});
  }
}

void pack_links::add_commit(std::uint32_t number, std::string_view text) {
  const std::optional<object_id> tree = take_id(text, "tree ");
  if (!tree) return;
  if (has_trees_) has_trees_ = add_of_tree(tree->data());
  for (int n = 0; n < most_parents; ++n) {
    const std::optional<object_id> parent = take_id(text, "parent ");
    if (!parent) return;
    of_history_.push_back({number, true, *parent});
  }
}

bool pack_links::add_of_tree(const std::uint8_t* id) {
  if (of_trees_.size() == of_trees_.limit()) return false;
  of_trees_.append(std::as_bytes(std::span(id, object_id::size_bytes)));
  return true;
}

// What is malformed, or names what it must not, is left to a walk of the tip, which says where.
void pack_links::add_tree(std::span<const std::uint8_t> content) {
  has_trees_ = content.size() <= largest_tree;
  tree_reader entries(content);
  try {
    while (has_trees_) {
      const std::optional<tree_entry> e = entries.next();
      if (!e) return;
      const bool is_tree = e->mode == file_mode::tree;
      const bool is_file = !is_tree && e->mode != file_mode::submodule;
      if (is_tree || (wants_files_ && is_file)) has_trees_ = add_of_tree(e->id.data());
    }
  } catch (const failure&) {
    has_trees_ = false;
  }
}

}  // namespace fermata::git_mem::detail
