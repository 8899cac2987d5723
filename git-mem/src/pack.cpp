// SPDX-License-Identifier: MIT
#include <fermata/git_mem/failure.hpp>
#include <fermata/git_mem/pack.hpp>

#include <algorithm>
#include <bit>
#include <random>

namespace fermata::git_mem {

namespace {

[[noreturn]] void bad(const char* why) { throw failure(reason::corrupt, why); }

}  // namespace

std::optional<entry_header> find_entry_header(std::span<const std::uint8_t> bytes,
                                              std::uint64_t offset) {
  entry_header h;
  h.offset = offset;
  std::uint64_t at = offset;
  const std::uint64_t end = bytes.size();
  if (at >= end) return std::nullopt;
  std::uint64_t byte = bytes[at++];
  h.kind = (byte >> 4) & 7;
  h.size = byte & 15;
  for (int shift = 4; (byte & 128) != 0; shift += 7) {
    if (shift > 53) bad("object size is larger than any object");
    if (at == end) return std::nullopt;
    byte = bytes[at++];
    h.size |= (byte & 127) << shift;
  }
  if (h.kind == 0 || h.kind == 5) bad(h.kind == 0 ? "object type 0" : "object type 5");
  if (h.kind == entry_header::ofs_delta) {
    std::uint64_t back = 0;
    for (int digits = 0;; ++digits) {
      if (at == end) return std::nullopt;
      if (digits > 7) bad("delta base is before the pack");
      byte = bytes[at++];
      back = (back << 7) | (byte & 127);
      if ((byte & 128) == 0) break;
      ++back;
    }
    if (back == 0) bad("delta on itself");
    if (back > offset || offset - back < 12) bad("delta base is before the pack");
    h.base_offset = offset - back;
  } else if (h.kind == entry_header::ref_delta) {
    if (end - at < object_id::size_bytes) return std::nullopt;
    h.base_id = object_id::from_bytes(bytes.data() + at);
    at += object_id::size_bytes;
  }
  h.data_offset = at;
  return h;
}

namespace detail {

namespace {

std::uint64_t secret_factor() {
  static const std::uint64_t factor = [] {
    std::random_device device;
    return (std::uint64_t{device()} << 32 | device()) | 1;
  }();
  return factor;
}

}  // namespace

name_table::name_table(std::uint64_t expected) {
  const std::uint64_t wanted = std::clamp<std::uint64_t>(expected / 256, 2, 16384);
  const int bits = std::bit_width(wanted - 1);
  shift_ = 64 - bits;
  buckets_.resize(std::size_t{1} << bits);
}

std::uint64_t name_table::spread(const object_id& id) noexcept {
  std::uint64_t rest = 0;
  std::memcpy(&rest, id.data() + 8, sizeof rest);
  std::uint64_t h = (id.prefix() ^ std::rotl(rest * secret_factor(), 32)) * secret_factor();
  h ^= h >> 29;
  return h * 0x9e3779b97f4a7c15ULL;
}

name_table::bucket name_table::grow(bucket& b) {
  bucket bigger;
  const std::uint32_t slots = b.slots == nullptr ? 8 : (b.mask + 1) * 2;
  bigger.slots = std::make_unique_for_overwrite<std::uint32_t[]>(slots);
  std::fill_n(bigger.slots.get(), slots, pack_entry::none);
  bigger.mask = slots - 1;
  bigger.used = b.used;
  std::swap(b, bigger);
  return bigger;
}

std::uint64_t name_table::memory_bytes() const noexcept {
  std::uint64_t n = buckets_.capacity() * sizeof(bucket);
  for (const bucket& b : buckets_)
    n += b.slots == nullptr ? 0 : (b.mask + 1) * sizeof(*b.slots.get());
  return n;
}

bool name_table::release_slice() noexcept {
  for (int i = 0; i < 256 && !buckets_.empty(); ++i) buckets_.pop_back();
  return !buckets_.empty();
}

}  // namespace detail

std::optional<std::uint32_t> pack::find(const object_id& id) const {
  const std::uint32_t n =
      names_.find(id, [this](std::uint32_t i) -> const object_id& { return entries_[i].id; });
  return n == pack_entry::none ? std::nullopt : std::optional(n);
}

// Bases are mostly near: the steps back double until they pass the offset.
std::optional<std::uint32_t> pack::find_offset(std::uint64_t offset, std::uint32_t before) const {
  std::size_t high = before;  // first that is not below or at the offset
  if (high == 0) return std::nullopt;
  std::size_t step = 1;
  std::size_t low = high - 1;
  while (entries_[low].offset > offset) {
    high = low;
    if (low == 0) return std::nullopt;
    step = std::min(step * 2, low);
    low -= step;
  }
  while (high - low > 1) {
    const std::size_t middle = low + (high - low) / 2;
    (entries_[middle].offset <= offset ? low : high) = middle;
  }
  if (entries_[low].offset != offset) return std::nullopt;
  return static_cast<std::uint32_t>(low);
}

entry_header pack::get_header(std::uint32_t number) const {
  const std::optional<entry_header> h = find_entry_header(bytes(), entries_[number].offset);
  if (!h) bad("entry ends early");
  return *h;
}

bool pack::release_slice() noexcept {
  if (bytes_.release_slice()) return true;
  objects_ = 0;
  return entries_.release_slice() || names_.release_slice();
}

}  // namespace fermata::git_mem
