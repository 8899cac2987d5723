// SPDX-License-Identifier: MIT
#include "support/places.hpp"

namespace fermata::test {

std::string source_dir() { return FERMATA_SOURCE_DIR; }
std::string binary_dir() { return FERMATA_BINARY_DIR; }

}  // namespace fermata::test
