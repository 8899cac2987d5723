// SPDX-License-Identifier: MIT
// Where the base of a delta is. A ref delta's base is looked for in its own pack, then in older
// ones, and only where its chain is shorter: so the way down ends, also where a thin pack brings
// again what its base in an older pack stands for.

#pragma once

#include <fermata/git_mem/failure.hpp>
#include <fermata/git_mem/object_store.hpp>

#include <cstdint>
#include <optional>

namespace fermata::git_mem::detail {

struct entry_place {
  std::uint32_t pack_number = 0;
  std::uint32_t entry_number = 0;
};

// Throws: `failure` if it is nowhere, which an analysed pack never lets happen.
[[nodiscard]] inline entry_place get_base(const snapshot& from,
                                          entry_place of,
                                          const entry_header& h) {
  const pack& p = *from.packs[of.pack_number];
  if (h.kind == entry_header::ofs_delta) {
    const std::optional<std::uint32_t> base = p.find_offset(h.base_offset, of.entry_number);
    if (!base) throw failure(reason::corrupt, "delta base is no entry");
    return {of.pack_number, *base};
  }
  const unsigned depth = p.entry(of.entry_number).depth;
  for (std::uint32_t i = of.pack_number; i < from.packs.size(); ++i) {
    const std::optional<std::uint32_t> base = from.packs[i]->find(h.base_id);
    if (base && from.packs[i]->entry(*base).depth < depth) return {i, *base};
  }
  throw failure(reason::corrupt, "delta base " + h.base_id.hex() + " is missing");
}

}  // namespace fermata::git_mem::detail
