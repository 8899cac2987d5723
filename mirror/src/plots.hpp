// SPDX-License-Identifier: MIT
// Small plots of what was measured, drawn as SVG with the colours of the page.
#pragma once

#include <fermata/mirror/history.hpp>

#include <string>
#include <vector>

namespace fermata::mirror {

/// Requests a second, latency and longest gap, each as a figure with its newest and largest value.
[[nodiscard]] std::string plots(const std::vector<sample>& samples);

}  // namespace fermata::mirror
