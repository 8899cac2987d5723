// SPDX-License-Identifier: MIT
/// What is rejected with where nobody says why.
///
/// Thread: any.
#pragma once

#include <exception>

namespace fermata::detail {

/// `e`, or a `contract_error` in the place of no exception at all, which cannot be rethrown.
[[nodiscard]] std::exception_ptr some_error(std::exception_ptr e) noexcept;

}  // namespace fermata::detail
