// SPDX-License-Identifier: MIT
// Deltas of any bytes on a base of 300.

#include "replay.hpp"
#include "support/pack_builder.hpp"

#include <fermata/git_mem/delta.hpp>
#include <fermata/git_mem/failure.hpp>

#include <vector>

using namespace fermata::git_mem;
using namespace fermata::test;

std::vector<std::string> fuzz_seeds() {
  return {make_delta(300, 20, copy_op(5, 17) + insert_ops("abc")),
          make_delta(300, 300, "\x90\x64" + copy_op(100, 200)), make_delta(300, 0, "")};
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::vector<std::uint8_t> base(300, 'b');
  try {
    delta_applier d;
    d.start({data, size});
    if (d.result_size() > (1 << 20)) return 0;
    std::vector<std::uint8_t> result(d.result_size());
    d.attach(base, result.data());
    std::chrono::nanoseconds cost{};
    while (!d.step(cost)) {
    }
  } catch (const failure&) {
  }
  return 0;
}
