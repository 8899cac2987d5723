// SPDX-License-Identifier: MIT
// Objects of an analysis that are described and have no name yet: a crew names them meanwhile.
//
// They get their names in the order in which they were added, so that the result is the same as if
// each had been named at once. What they stand on lives until then: `keep` takes blocks, and `mark`
// tells how old the oldest place in the cache of recent objects is.

#pragma once

#include "naming_crew.hpp"

#include <memory>
#include <utility>

namespace fermata::git_mem {

struct analysis_context;

namespace detail {

class pending_names {
public:
  static constexpr std::uint64_t no_mark = UINT64_MAX;
  // Larger ones are named in slices by whoever made them.
  static constexpr std::uint64_t largest_bytes = 1024 * 1024;

  explicit pending_names(verify how) : how_(how) {}

  // Null: names are not shared out any more. Nothing may be pending.
  void share(std::shared_ptr<naming_crew> crew) noexcept { crew_ = std::move(crew); }
  [[nodiscard]] bool is_shared() const noexcept { return crew_ != nullptr; }

  [[nodiscard]] bool has_any() const noexcept { return open_ != nullptr || put_ > 0; }
  // Whether so much is pending that the oldest must get their names first.
  [[nodiscard]] bool has_many() const noexcept { return bytes_ > most_bytes; }
  [[nodiscard]] std::uint64_t mark() const noexcept;

  void add(std::uint32_t number,
           object_type type,
           std::span<const std::uint8_t> content,
           std::uint64_t mark);
  void add_named(std::uint32_t number, const object_id& id);
  // The block is freed once all that is pending has its names.
  void keep(byte_block&& block);

  // Gives the oldest batch its names. Throws: `failure` with the place of what is refused.
  void commit_first(analysis_context& to);
  void commit_all(analysis_context& to) {
    while (has_any()) commit_first(to);
  }
  // Forgets what is pending; nobody looks at it any more.
  void abandon() noexcept;

private:
  static constexpr std::uint64_t batch_bytes = 128 * 1024;
  static constexpr std::size_t batch_objects = 512;
  static constexpr std::uint64_t most_bytes = 2 * 1024 * 1024;

  naming_batch& open(std::uint64_t mark);
  void account(std::uint64_t bytes);
  void put_open();

  verify how_;
  std::shared_ptr<naming_crew> crew_;
  std::unique_ptr<naming_batch> open_;
  std::deque<std::uint64_t> marks_;  // of the batches that were put
  std::uint64_t put_ = 0;
  std::uint64_t bytes_ = 0;
};

}  // namespace detail
}  // namespace fermata::git_mem
