// SPDX-License-Identifier: MIT
/// Where the checkout and the build are.
///
/// Thread: any.
#pragma once

#include <string>

namespace fermata::test {

[[nodiscard]] std::string source_dir();  ///< the top of the checkout
[[nodiscard]] std::string binary_dir();  ///< of the build; programs are in its bin/

}  // namespace fermata::test
