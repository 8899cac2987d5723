// SPDX-License-Identifier: MIT
// What `/archives.json` says.
#pragma once

#include <fermata/mirror/archive_service.hpp>

#include <string>

namespace fermata::mirror {

/// One line; field names are part of the interface.
[[nodiscard]] std::string archives_json(const archive_status& status);

}  // namespace fermata::mirror
