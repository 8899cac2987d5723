// SPDX-License-Identifier: MIT
/// Answers for the files of a generation, on any loop.
///
/// Pauses: never.
/// Thread: any; a generation is immutable.
#pragma once

#include "served.hpp"

#include <fermata/http/response.hpp>

#include <optional>
#include <string_view>

namespace fermata::mirror {

enum class data_file : std::uint8_t { index, repo, version };

[[nodiscard]] std::optional<data_file> data_file_of(std::string_view path);

/// Shape: `from` is not null; 404 for a version that upstream does not have.
[[nodiscard]] http::response serve_data(const served_ptr& from,
                                        const http::request& r,
                                        data_file file);

}  // namespace fermata::mirror
