// SPDX-License-Identifier: MIT
/// What a promise is rejected with by the library itself.
///
/// Thread: any.
#pragma once

#include <fermata/loop/error.hpp>

#include <exception>
#include <string>
#include <vector>

namespace fermata {

/// The operation was cancelled. It derives from nothing, so that no `catch` of errors eats it.
class cancelled {
public:
  [[nodiscard]] const char* what() const noexcept { return "cancelled"; }
};

/// Whoever was to resolve the promise is gone.
class broken_promise : public error {
public:
  broken_promise() : error("a promise was given up: its resolver is gone") {}
};

/// Several operations failed that were waited for together.
///
/// Shape: `errors()` in the order of the arguments, `cancelled` left out; `what()` joins their
/// texts.
class multiple_errors : public error {
public:
  explicit multiple_errors(std::vector<std::exception_ptr> errors);
  [[nodiscard]] const std::vector<std::exception_ptr>& errors() const noexcept { return errors_; }

private:
  std::vector<std::exception_ptr> errors_;
};

/// Whether `e` is a `cancelled`. Cost: a few ns, nothing is thrown.
[[nodiscard]] bool is_cancelled(const std::exception_ptr& e) noexcept;

}  // namespace fermata
