// SPDX-License-Identifier: MIT
/// Saved stores as bytes, good ones and ones that lie.
#pragma once

#include "support/pack_builder.hpp"

#include <cstdint>
#include <cstring>
#include <string>

namespace fermata::test {

/// A saved store's content with a right checksum at the end of each section.
inline std::string resummed(std::string text) {
  for (std::size_t at = 20; at < text.size() && text.size() - at >= 36;) {
    std::uint64_t size = 0;
    std::memcpy(&size, text.data() + at + 8, 8);
    if (size > text.size() - at - 36) break;
    const std::size_t end = at + 16 + size;
    text.replace(end, 20, sha1_of(std::string_view(text).substr(at, end - at)));
    at = end + 20;
  }
  return text;
}

/// Two packs, the newer with a delta on the older; refs, one of them symbolic; a shallow commit.
inline void fill(git_mem::object_store& store) {
  pack_builder old;
  const std::uint64_t base = old.object(pack_builder::blob, "a text that is a base");
  old.ofs_delta(base, make_delta(21, 6, copy_op(2, 4) + insert_ops("no")));
  git_mem::snapshot first;
  first.packs.push_back(store.adopt(analyse(old.finish()).pack));
  store.publish(first);
  pack_builder thin;
  thin.ref_delta(blob_id("textno"), make_delta(6, 4, copy_op(0, 4)));
  thin.object(pack_builder::blob, std::string(70'000, 'x'));
  git_mem::snapshot next;
  next.packs.push_back(store.adopt(analyse(thin.finish(), {}, store.current()).pack));
  next.packs.push_back(store.current()->packs[0]);
  next.refs = {{"HEAD", blob_id("text"), "refs/heads/main"},
               {"refs/heads/main", blob_id("text"), {}}};
  next.shallow = {blob_id("text")};
  store.publish(std::move(next));
}

}  // namespace fermata::test
