// SPDX-License-Identifier: MIT
// What the objects of a pack name, gathered while they are analysed: whether all of it is there is
// asked once the pack has ended. Each is read once for that, and so costs next to nothing.
//
// Of trees only the first are gathered: those of long histories name 100 times what there is. Where
// `has_trees` says no, the trees of the tip have to be walked.
#pragma once

#include <fermata/git_mem/memory.hpp>
#include <fermata/git_mem/pack.hpp>
#include <fermata/git_mem/sha1.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace fermata::git_mem::detail {

class pack_links {
public:
  static constexpr std::size_t most_of_trees = std::size_t{1} << 16;
  static constexpr int most_parents = 4096;  // that are asked for: finding them takes 200 us
  static constexpr std::size_t most_of_head = 48 * (most_parents + 1);
  static constexpr std::size_t largest_tree = 256 * 1024;  // bytes; scanning one takes 100 us

  enum class files : std::uint8_t { wanted, left_out };
  struct link {
    std::uint32_t from = 0;  // the commit or tag that names it
    bool is_parent = false;
    object_id to;
  };

  // What is added is forgotten until one of these says that somebody asks.
  void want_history() noexcept { wants_history_ = true; }
  void want_trees(files which) {
    has_trees_ = true;
    wants_files_ = which == files::wanted;
    of_trees_ = growing_range(most_of_trees * object_id::size_bytes);
  }

  // Entry `number` has this content. Cost: below 1 us but for large trees.
  void add(std::uint32_t number, object_type type, std::span<const std::uint8_t> content);
  // The next entry is large, and its content nowhere whole: that of a commit or tag begins with
  // what it names, and is added without the rest.
  [[nodiscard]] std::size_t head_bytes(object_type type) noexcept {
    if (type == object_type::tree) has_trees_ = false;
    const bool has_head = type == object_type::commit || type == object_type::tag;
    return has_head && wants_history_ ? most_of_head : 0;
  }

  // What all trees of the pack name is in `of_trees`, 1.3 MB at most.
  [[nodiscard]] bool has_trees() const noexcept { return has_trees_; }
  [[nodiscard]] std::size_t of_trees() const noexcept {
    return of_trees_.size() / object_id::size_bytes;
  }
  [[nodiscard]] object_id of_trees(std::size_t i) const noexcept {
    return object_id::from_bytes(of_trees_.data() + i * object_id::size_bytes);
  }
  [[nodiscard]] const chunked<link, 1024>& of_history() const noexcept { return of_history_; }

private:
  void add_commit(std::uint32_t number, std::string_view text);
  void add_tree(std::span<const std::uint8_t> content);
  [[nodiscard]] bool add_of_tree(const std::uint8_t* id);

  bool wants_history_ = false;
  bool has_trees_ = false;
  bool wants_files_ = false;
  growing_range of_trees_;  // ids; its pages go back at once
  chunked<link, 1024> of_history_;
};

}  // namespace fermata::git_mem::detail
