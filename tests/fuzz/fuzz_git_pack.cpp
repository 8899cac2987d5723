// SPDX-License-Identifier: MIT
// Packs of any bytes. Byte 0 chooses: even, the input is the pack; odd, it is the entries, and gets
// a header and a right checksum. The same bytes give the same result in one piece and in many.

#include "replay.hpp"
#include "support/pack_builder.hpp"

#include <fermata/git_mem/object_reader.hpp>

#include <cstdlib>

using namespace fermata::git_mem;
using namespace fermata::test;

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

void read_all(analysed&& a) {
  std::vector<object_id> ids;
  for (std::uint32_t i = 0; i < a.pack->entry_count(); ++i) ids.push_back(a.pack->entry(i).id);
  const snapshot_ptr s = snapshot_of(std::move(a.pack));
  for (const object_id& id : ids) {
    const object o = read_object(s, id, 1 << 22);
    require(name_object(o.type, o.bytes()) == id);
  }
}

}  // namespace

std::vector<std::string> fuzz_seeds() {
  pack_builder b;
  const std::uint64_t base = b.object(pack_builder::blob, "a text that is a base");
  b.ofs_delta(base, make_delta(21, 6, copy_op(2, 4) + insert_ops("no")));
  b.ref_delta(blob_id("later"), make_delta(5, 3, copy_op(0, 3)));
  b.object(pack_builder::blob, "later");
  b.object(pack_builder::tree, "");
  const std::string pack = b.finish();
  const std::string entries = pack.substr(12, pack.size() - 32);
  // Ends in a distance too far back, which zlib refuses without taking a byte.
  const std::string too_far(
      "\x01\x05\xb5\x01\x78\x9c\x4b\x54\x28\x49\xc2\xc0\xc0\xc0\x53\x00\xad\x00\x63\x65\x01", 21);
  return {std::string(1, '\0') + pack, std::string("\1\5") + entries, too_far};
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  std::string pack;
  const std::string rest(reinterpret_cast<const char*>(data), size);
  if (data[0] % 2 == 0) {
    pack = rest.substr(1);
  } else {
    pack_builder b;
    b.raw(rest.substr(2));
    pack = b.finish(data[1]);
  }
  pack_limits limits;
  limits.pack_bytes = 1 << 20;
  limits.objects = 1000;
  limits.object_bytes = 1 << 20;
  limits.total_inflated_bytes = 1 << 23;
  limits.working_bytes = 1 << 22;
  limits.cache_bytes = 1 << 16;
  analysed whole = analyse(pack, limits);
  std::size_t state = data[0];
  const analysed cut = analyse_in_pieces(
      pack, [&] { return (state = state * 7 + 3) % 31 + 1; }, limits);
  require(whole.error == cut.error);
  if (whole.pack) read_all(std::move(whole));
  return 0;
}
