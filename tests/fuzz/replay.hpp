// SPDX-License-Identifier: MIT
/// What a fuzz target may offer to the replay driver.
#pragma once

#include <string>
#include <vector>

/// Good inputs, to start from.
std::vector<std::string> fuzz_seeds();
