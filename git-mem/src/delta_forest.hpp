// SPDX-License-Identifier: MIT
// The deltas that had to wait, resolved depth-first once the whole pack is there.
//
// Linking: each waiting delta becomes a child of its base; a base that was resolved on arrival is
// made a child of its own base in turn ("rebuilt": made again, not named again), up to an object
// that is no delta. Ref deltas without a known base wait under its name; naming an object wakes
// them. Resolving: a stack of frames, one an open base. Children that have no children go first,
// and a base is dropped at its last child: a chain of any length needs two objects at a time.

#pragma once

#include "analysis_context.hpp"

#include <deque>
#include <unordered_map>

namespace fermata::git_mem {

class object_reader;

class delta_forest {
public:
  explicit delta_forest(analysis_context& context);
  ~delta_forest();

  // Entry `number` waits; its zlib stream has been passed over.
  void defer(std::uint32_t number) { deferred_.push_back(number); }

  // One unit; true when nothing is left. Throws `failure` with the place.
  bool unit(detail::cost_ns& cost);

  bool release_slice() noexcept;

private:
  enum class phase { link, climb, next_root, blame, load, external, child, inflate, apply, name };
  struct links {
    std::uint32_t first_child = pack_entry::none;
    std::uint32_t next_sibling = pack_entry::none;
  };
  struct frame {
    byte_block content;
    std::uint32_t next = pack_entry::none;   // the child to look at
    std::uint32_t first = pack_entry::none;  // of the children
    std::uint32_t inner = 0;                 // children that have children themselves
    std::uint32_t depth = 0;
    object_type type = object_type::blob;
    bool second_pass = false;
  };
  // Ref deltas whose base has not been seen, by its name.
  struct waiting_group {
    object_id base;
    std::uint32_t first = pack_entry::none;
    std::uint32_t last = pack_entry::none;
    bool woken = false;
  };

  [[nodiscard]] links& at(std::uint32_t number);
  [[nodiscard]] std::uint32_t first_child(std::uint32_t number) const;
  [[nodiscard]] bool is_open(std::uint32_t number) const;
  [[nodiscard]] pack_entry& entry(std::uint32_t number) const;
  [[nodiscard]] std::optional<std::uint32_t> find_base(const entry_header& h) const;
  void add_child(std::uint32_t base, std::uint32_t child);
  void wait_for(std::uint32_t number, const object_id& base);
  void wake(std::uint32_t number);

  void do_phase(detail::cost_ns& cost);
  void link_one();
  void climb();
  void find_root();
  void find_external();
  void blame();
  void start_load(std::uint32_t root);
  void read_external(detail::cost_ns& cost);
  void pick_child(detail::cost_ns& cost);
  void start_child(std::uint32_t number, bool last);
  void start_apply();
  void finish_apply();
  void finish_child(const object_id* id);
  void close_child();
  [[nodiscard]] bool inflate_unit(detail::cost_ns& cost);

  void push(byte_block&& content, std::uint32_t first, std::uint32_t depth, object_type type);
  void pop();
  [[nodiscard]] byte_block take_block(std::uint64_t size);
  void drop(byte_block&& block);

  analysis_context& context_;
  phase phase_ = phase::link;
  bool finished_ = false;

  std::deque<std::uint32_t> deferred_;
  std::uint32_t climbing_ = pack_entry::none;
  std::vector<std::unique_ptr<links[]>> links_;  // chunks, made where they are touched
  detail::chunked<std::uint32_t, 1024> roots_;
  std::size_t next_root_ = 0;
  detail::chunked<waiting_group, 1024> groups_;
  detail::name_table group_names_{1 << 16};
  std::size_t next_group_ = 0;
  std::uint64_t waiting_ = 0;  // groups

  std::vector<frame> stack_;
  std::uint64_t live_bytes_ = 0;
  std::uint32_t current_ = pack_entry::none;  // the child, or root, in work
  bool last_ = false;                         // the child is its base's last
  std::uint64_t read_at_ = 0;
  byte_block loaded_;  // the root's content, or the child's delta
  byte_block result_;
  std::unique_ptr<object_reader> external_;
};

}  // namespace fermata::git_mem
