// SPDX-License-Identifier: MIT
// Naming, which is half of an analysis and more, shared out between threads.
//
// One thread makes objects and hands them over in batches; helpers name them. Whoever made them
// takes the batches back in the order in which it handed them over, and does not wait while there
// is one that nobody has begun: it names that itself. So nothing depends on when a helper comes, or
// whether one does, and what is done with the names happens in one order.

#pragma once

#include <fermata/git_mem/failure.hpp>
#include <fermata/git_mem/memory.hpp>
#include <fermata/git_mem/naming.hpp>

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

namespace fermata::git_mem::detail {

struct unnamed_object {
  std::uint32_t number = 0;
  object_type type = object_type::blob;
  bool is_named = false;  // `id` is known already: it keeps its place in the order
  std::span<const std::uint8_t> content;
  object_id id;
};

struct naming_batch {
  // Names the objects up to the first that is refused.
  void name_all() noexcept;

  verify how = verify::collisions;
  std::vector<unnamed_object> objects;
  std::size_t named = 0;
  std::optional<failure> refused;  // objects[named]
  std::vector<byte_block> spent;   // what nobody needs once the objects are named
  std::uint64_t bytes = 0;         // of the objects and of `spent`
  std::uint64_t mark = 0;          // where the first object stands in the cache
};

class naming_crew {
public:
  // Names what is put, until `close`. Thread: a helper.
  void help() noexcept;
  // Helpers go home. Thread: any.
  void close() noexcept;

  // The rest belongs to the thread that makes the objects.
  void put(std::unique_ptr<naming_batch> batch);
  // The oldest batch, named. One must have been put.
  [[nodiscard]] std::unique_ptr<naming_batch> take_first();
  // Takes back what nobody has begun, and waits for what somebody has.
  void abandon() noexcept;

private:
  struct place {
    std::unique_ptr<naming_batch> batch;
    bool is_done = false;
  };
  void name_next(std::unique_lock<std::mutex>& lock) noexcept;

  std::mutex lock_;
  std::condition_variable work_;
  std::condition_variable done_;
  std::deque<place> places_;  // the oldest first
  std::uint64_t first_ = 0;   // number of the oldest
  std::uint64_t next_ = 0;    // number of the first that nobody has begun
  bool is_closed_ = false;
};

}  // namespace fermata::git_mem::detail
