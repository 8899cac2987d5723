// SPDX-License-Identifier: MIT
/// The errors that every folder throws or rejects with.
///
/// Shape:  a message reads `cannot <do> <what>: <where>: <why> (<library code>)`.
/// Thread: any.
#pragma once

#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>

namespace fermata {

/// The category of libuv's codes, which are negated errno values.
[[nodiscard]] const std::error_category& uv_category() noexcept;

/// An operation failed for a reason outside of the program.
///
/// Shape: `what()` is `<text>: <the code's message> (<category> <name>)`, or the text alone where
///        there is no code.
class error : public std::system_error {
public:
  error(std::error_code code, std::string_view text);
  explicit error(std::string_view text);
  [[nodiscard]] const char* what() const noexcept override { return text_->c_str(); }

private:
  std::shared_ptr<const std::string> text_;  // shared: copying an exception must not throw
};

/// The caller broke a rule that a header states.
class contract_error : public std::logic_error {
public:
  using std::logic_error::logic_error;
};

/// The loop that a promise belonged to has ended.
class loop_closed : public error {
public:
  loop_closed() : error("cannot go on: the event loop has ended") {}
};

/// Builds an `error` from a libuv code (negative) or an errno value (positive).
[[nodiscard]] error uv_error(int code, std::string_view text);

/// The same from the calling thread's `errno`.
[[nodiscard]] error errno_error(std::string_view text);

/// What an exception says: `what()` of a std::exception, else a fixed text.
[[nodiscard]] std::string message_of(const std::exception_ptr& e);

}  // namespace fermata
