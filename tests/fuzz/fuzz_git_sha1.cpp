// SPDX-License-Identifier: MIT
// SHA-1 of anything: every engine, whole and cut in two, says the same, also about attacks. The
// first byte says where to cut.

#include "replay.hpp"

#include <fermata/git_mem/failure.hpp>
#include <fermata/git_mem/sha1.hpp>

#include <algorithm>
#include <cstdlib>
#include <span>

using namespace fermata::git_mem;

namespace {

std::string digest(std::span<const std::uint8_t> bytes,
                   std::size_t cut,
                   verify how,
                   const sha1_engine& by) {
  sha1 hash(how, by);
  hash.update(bytes.first(cut));
  hash.update(bytes.subspan(cut));
  try {
    return hash.finish().hex();
  } catch (const failure&) {
    return "attack";
  }
}

}  // namespace

std::vector<std::string> fuzz_seeds() {
  std::string stripes;
  for (int i = 0; i < 1024; ++i) stripes += i / 64 % 2 == 0 ? '\0' : '\xff';
  return {"", "a", std::string(56, 'b'), std::string(200, 'c'), stripes};
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::span<const std::uint8_t> bytes(data + 1, size - 1);
  const std::size_t cut = std::min<std::size_t>(data[0], bytes.size());
  const sha1_engine& last = sha1_engines().back();
  const std::string plain = digest(bytes, 0, verify::fast, last);
  const std::string checked = digest(bytes, 0, verify::collisions, last);
  if (checked != plain && checked != "attack") std::abort();
  for (const sha1_engine& by : sha1_engines()) {
    if (digest(bytes, cut, verify::fast, by) != plain) std::abort();
    if (digest(bytes, cut, verify::collisions, by) != checked) std::abort();
  }
  return 0;
}
