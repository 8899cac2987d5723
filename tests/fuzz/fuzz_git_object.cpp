// SPDX-License-Identifier: MIT
// Contents of commits, tags and trees, of any bytes. Byte 0 chooses; a name of a tree that is let
// through is one that no path can be made of.

#include "replay.hpp"
#include "support/pack_builder.hpp"

#include <fermata/git_mem/commit.hpp>
#include <fermata/git_mem/failure.hpp>
#include <fermata/git_mem/protocol.hpp>
#include <fermata/git_mem/tree.hpp>

#include <cstdlib>

using namespace fermata::git_mem;
using namespace fermata::test;

namespace {

void read_tree(std::string_view content) {
  tree_reader r(as_bytes(content));
  while (const std::optional<tree_entry> e = r.next()) {
    if (!is_safe_name(e->name) || e->name.find('/') != std::string_view::npos) std::abort();
  }
}

}  // namespace

std::vector<std::string> fuzz_seeds() {
  const std::string hex(40, 'a');
  const std::string id(20, '\x11');
  return {"\1tree " + hex + "\nparent " + hex + "\nauthor A <a@b> 1700000000 +0530\ncommitter B " +
              "<b> 1 -0030\nencoding latin1\ngpgsig a\n b\n\nmessage",
          "\2object " + hex + "\ntype commit\ntag v1\ntagger A <a> 1 +0000\n\nmessage",
          "\3" + std::string("40000 a\0", 8) + id + std::string("100644 b.c\0", 11) + id +
              std::string("160000 d\0", 9) + id,
          "\4refs/heads/a.b", "\5.g\xe2\x80\x8cit"};
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  try {
    switch (data[0] % 6) {
      case 1:
        static_cast<void>(parse_commit({}, rest));
        break;
      case 2:
        static_cast<void>(parse_tag({}, rest));
        break;
      case 3:
        read_tree(rest);
        break;
      case 4:
        if (is_ref_name(rest) && rest.find("..") != std::string_view::npos) std::abort();
        break;
      default:
        if (is_safe_name(rest) && (rest == ".git" || rest == "..")) std::abort();
        static_cast<void>(parse_signature(rest));
        break;
    }
  } catch (const failure&) {
  }
  return 0;
}
