// SPDX-License-Identifier: MIT
/// An analysed pack: its bytes, and about 40 bytes an object to find each by name.
///
/// Shape:  made by `pack_analyser`; immutable afterwards. Entries are numbered in pack order.
/// Pauses: never; every function is O(1) or O(log n).
/// Thread: any, once made.
#pragma once

#include <fermata/git_mem/memory.hpp>
#include <fermata/git_mem/object_id.hpp>
#include <fermata/git_mem/sha1.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace fermata::git_mem {

/// What a hostile or merely huge pack may use, checked before memory is taken, and how it is read.
struct pack_limits {
  std::uint64_t pack_bytes = std::uint64_t{4} << 30;
  std::uint64_t objects = 20'000'000;
  std::uint64_t object_bytes = std::uint64_t{128} << 20;         ///< inflated, below 4 GiB
  std::uint64_t total_inflated_bytes = std::uint64_t{64} << 30;  ///< entries and delta results
  std::uint64_t delta_depth = 4095;                              ///< at most 4095
  std::uint64_t working_bytes = std::uint64_t{512} << 20;        ///< delta resolution at one time
  std::uint64_t cache_bytes = std::uint64_t{4} << 20;            ///< recent objects, as bases
  verify names = verify::collisions;  ///< `fast` where the sender is trusted
};

/// What stands in a pack in front of an entry's zlib stream.
struct entry_header {
  static constexpr unsigned ofs_delta = 6;
  static constexpr unsigned ref_delta = 7;

  std::uint64_t offset = 0;       ///< where the entry begins
  std::uint64_t data_offset = 0;  ///< where its zlib stream begins
  std::uint64_t size = 0;         ///< inflated, of the object or of the delta
  unsigned kind = 0;              ///< an object_type, ofs_delta or ref_delta
  std::uint64_t base_offset = 0;  ///< of an ofs_delta
  object_id base_id;              ///< of a ref_delta

  [[nodiscard]] bool is_delta() const noexcept { return kind >= ofs_delta; }
  [[nodiscard]] object_type type() const noexcept { return static_cast<object_type>(kind); }
};

/// Reads an entry's header at `offset`; nothing if `bytes` ends too early.
/// Throws: `failure` for what no pack may contain.
[[nodiscard]] std::optional<entry_header> find_entry_header(std::span<const std::uint8_t> bytes,
                                                            std::uint64_t offset);

/// One object of a pack.
struct pack_entry {
  static constexpr std::uint32_t none = 0xffffffff;

  object_id id;
  std::uint32_t size = 0;  ///< inflated
  std::uint64_t offset : 44 = 0;
  std::uint64_t depth : 12 = 0;  ///< links to its first non-delta, 0 for itself
  std::uint64_t kind : 3 = 0;    ///< object_type
  std::uint64_t delta : 1 = 0;
  std::uint64_t resolved : 1 = 0;
  std::uint64_t duplicate : 1 = 0;  ///< an earlier entry has the same name
  std::uint64_t marked : 1 = 0;     ///< used while deltas are resolved

  [[nodiscard]] object_type type() const noexcept { return static_cast<object_type>(kind); }
};
static_assert(sizeof(pack_entry) == 32);

namespace detail {

// A sequence in chunks: growing moves no element, and freeing can be cut.
template <typename T, std::size_t Chunk>
class chunked {
public:
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] T& operator[](std::size_t i) noexcept { return chunks_[i / Chunk][i % Chunk]; }
  [[nodiscard]] const T& operator[](std::size_t i) const noexcept {
    return chunks_[i / Chunk][i % Chunk];
  }
  T& push_back(T value) {
    if (size_ % Chunk == 0) chunks_.push_back(std::make_unique_for_overwrite<T[]>(Chunk));
    T& at = chunks_[size_ / Chunk][size_ % Chunk];
    at = std::move(value);
    ++size_;
    return at;
  }
  [[nodiscard]] std::uint64_t memory_bytes() const noexcept {
    return chunks_.size() * Chunk * sizeof(T);
  }
  bool release_slice() noexcept {
    if (!chunks_.empty()) chunks_.pop_back();
    size_ = 0;
    return !chunks_.empty();
  }

private:
  std::vector<std::unique_ptr<T[]>> chunks_;
  std::size_t size_ = 0;
};

// Numbers by name: many small open-addressing tables, so that growing one never takes long. Names
// are spread by a secret factor: nobody can aim all of his objects at one table.
class name_table {
public:
  explicit name_table(std::uint64_t expected = 0);

  // `id_of(n)` is the name of number n. Gives pack_entry::none if absent.
  template <typename IdOf>
  [[nodiscard]] std::uint32_t find(const object_id& id, const IdOf& id_of) const {
    const std::uint64_t h = spread(id);
    const bucket& b = buckets_[h >> shift_];
    if (b.used == 0) return pack_entry::none;
    for (std::uint32_t i = static_cast<std::uint32_t>(h) & b.mask;; i = (i + 1) & b.mask) {
      const std::uint32_t n = b.slots[i];
      if (n == pack_entry::none || id_of(n) == id) return n;
    }
  }

  // The caller has found that `id` is absent.
  template <typename IdOf>
  void insert(const object_id& id, std::uint32_t number, const IdOf& id_of) {
    const std::uint64_t h = spread(id);
    bucket& b = buckets_[h >> shift_];
    if (b.slots == nullptr || (b.used + 1) * 4 > (b.mask + 1) * 3) {
      const bucket old = grow(b);
      for (std::uint32_t i = 0; old.slots != nullptr && i <= old.mask; ++i) {
        const std::uint32_t n = old.slots[i];
        if (n != pack_entry::none) put(b, static_cast<std::uint32_t>(spread(id_of(n))), n);
      }
    }
    put(b, static_cast<std::uint32_t>(h), number);
    ++b.used;
  }

  bool release_slice() noexcept;
  [[nodiscard]] std::uint64_t memory_bytes() const noexcept;

private:
  struct bucket {
    std::unique_ptr<std::uint32_t[]> slots;
    std::uint32_t mask = 0;
    std::uint32_t used = 0;
  };

  [[nodiscard]] static std::uint64_t spread(const object_id& id) noexcept;
  static bucket grow(bucket& b);
  static void put(bucket& b, std::uint32_t h, std::uint32_t number) noexcept {
    std::uint32_t i = h & b.mask;
    while (b.slots[i] != pack_entry::none) i = (i + 1) & b.mask;
    b.slots[i] = number;
  }

  std::vector<bucket> buckets_;
  int shift_ = 63;
};

}  // namespace detail

class pack_assembly;

/// The pack itself.
class pack {
public:
  explicit pack(std::uint64_t limit_bytes) : bytes_(limit_bytes) {}

  /// Distinct objects; entries beyond that are duplicates.
  [[nodiscard]] std::uint32_t object_count() const noexcept { return objects_; }
  [[nodiscard]] std::uint32_t entry_count() const noexcept {
    return static_cast<std::uint32_t>(entries_.size());
  }
  [[nodiscard]] const pack_entry& entry(std::uint32_t number) const noexcept {
    return entries_[number];
  }
  [[nodiscard]] std::optional<std::uint32_t> find(const object_id& id) const;
  /// The entry that begins at `offset`.
  [[nodiscard]] std::optional<std::uint32_t> find_offset(std::uint64_t offset) const {
    return find_offset(offset, entry_count());
  }
  /// The same among the entries before `before`: faster, the nearer it is.
  [[nodiscard]] std::optional<std::uint32_t> find_offset(std::uint64_t offset,
                                                         std::uint32_t before) const;

  /// The whole pack, trailer included.
  [[nodiscard]] std::span<const std::uint8_t> bytes() const noexcept {
    return {bytes_.data(), bytes_.size()};
  }
  /// The entries' part of it: without the trailer.
  [[nodiscard]] std::uint64_t end_offset() const noexcept { return end_; }

  /// Throws: `failure` if there is no whole header, which an analysed pack never does.
  [[nodiscard]] entry_header get_header(std::uint32_t number) const;

  /// What it takes: its bytes, and what finds objects in them. Cost: 1 us for 10,000 objects.
  [[nodiscard]] std::uint64_t memory_bytes() const noexcept {
    return bytes_.size() + entries_.memory_bytes() + names_.memory_bytes();
  }

  /// Frees about 512 KiB; true while there is more. The pack is of no use afterwards.
  bool release_slice() noexcept;

private:
  friend struct analysis_context;
  friend class analysis;
  friend class delta_forest;
  friend class pack_assembly;

  growing_range bytes_;
  detail::chunked<pack_entry, 2048> entries_;
  detail::name_table names_;
  std::uint64_t end_ = 0;
  std::uint32_t objects_ = 0;
};

}  // namespace fermata::git_mem
