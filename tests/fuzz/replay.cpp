// SPDX-License-Identifier: MIT
// Runs a fuzz target without libFuzzer: its seeds, a thousand small changes of each, random bytes.

#include "replay.hpp"

#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <random>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

__attribute__((weak)) std::vector<std::string> fuzz_seeds() { return {}; }

namespace {

constexpr int changes_per_seed = 1000;

void run(const std::string& bytes) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
}

std::string changed(std::string bytes, std::mt19937& random) {
  for (unsigned k = random() % 4 + 1; k > 0 && !bytes.empty(); --k) {
    const std::size_t at = random() % bytes.size();
    switch (random() % 4) {
      case 0:
        bytes[at] = static_cast<char>(random());
        break;
      case 1:
        bytes.erase(at, random() % 8 + 1);
        break;
      case 2:
        bytes.insert(at, random() % 8 + 1, static_cast<char>(random()));
        break;
      default:
        bytes.resize(at);
        break;
    }
  }
  return bytes;
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> seeds = fuzz_seeds();
  if (argc == 3 && std::string_view(argv[1]) == "--write") {
    for (std::size_t i = 0; i < seeds.size(); ++i) {
      std::ofstream(std::string(argv[2]) + "/seed" + std::to_string(i), std::ios::binary)
          << seeds[i];
    }
    return 0;
  }
  if (argc > 1) {
    for (int i = 1; i < argc; ++i) {
      std::ifstream in(argv[i], std::ios::binary);
      run({std::istreambuf_iterator<char>(in), {}});
    }
    return 0;
  }
  std::mt19937 random(1);
  for (int i = 0; i < 8; ++i) {
    std::string noise(random() % 300, '\0');
    for (char& c : noise) c = static_cast<char>(random());
    seeds.push_back(noise);
  }
  for (const std::string& seed : seeds) {
    run(seed);
    for (int i = 0; i < changes_per_seed; ++i) run(changed(seed, random));
  }
  std::printf("%zu seeds, %d changes of each\n", seeds.size(), changes_per_seed);
  return 0;
}
