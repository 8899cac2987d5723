// SPDX-License-Identifier: MIT
/// What a promise is rejected with by the library itself.
///
/// Thread: any.
#pragma once

#include <fermata/loop/error.hpp>

#include <cstddef>
#include <exception>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace fermata {

/// The operation was cancelled. It derives from nothing, so that no `catch` of errors eats it.
///
/// Shape: `what()` is "cancelled", or "cancelled: why" where a reason was given.
class cancelled {
public:
  cancelled() noexcept = default;
  explicit cancelled(std::string_view why);
  [[nodiscard]] const char* what() const noexcept {
    return text_ == nullptr ? "cancelled" : text_->c_str();
  }
  /// What was given; empty where nothing was.
  [[nodiscard]] std::string_view reason() const noexcept;

private:
  std::shared_ptr<const std::string> text_;
};

namespace detail {

/// The `cancelled` without a reason that every cancel rejects with: one object for all, so that
/// 100,000 of them allocate nothing.
[[nodiscard]] const std::exception_ptr& plain_cancelled() noexcept;

/// What failures of things that were waited for together are as one: null for none, one that is
/// alone itself, one `loop_closed` where all of them are that, else `multiple_errors`.
[[nodiscard]] std::exception_ptr sum_of(std::vector<std::exception_ptr> errors);

}  // namespace detail

/// Whoever was to resolve the promise is gone.
class broken_promise : public error {
public:
  broken_promise() : broken_promise("a promise was given up: its resolver is gone") {}
  explicit broken_promise(std::string_view what) : error(what) {}
};

/// Several operations failed that were waited for together.
///
/// Shape: `errors()` has them all in the order of the arguments, `cancelled` left out; `what()`
///        joins the texts of the first `told`. Where all that was waited for ended with the loop,
///        it is one `loop_closed` and not this.
class multiple_errors : public error {
public:
  static constexpr std::size_t told = 10;
  explicit multiple_errors(std::vector<std::exception_ptr> errors);
  [[nodiscard]] const std::vector<std::exception_ptr>& errors() const noexcept { return *errors_; }

private:
  std::shared_ptr<const std::vector<std::exception_ptr>> errors_;
};

/// An error and where it came up: what `with_context` makes of it.
///
/// Shape: `what()` is `<text>: <the cause's text>`, the code that of the cause where it has one.
class error_in_context : public error {
public:
  error_in_context(std::string_view text, std::exception_ptr cause);
  /// The error without this text; an `error_in_context` itself where texts were added before.
  [[nodiscard]] const std::exception_ptr& cause() const noexcept { return cause_; }
  [[nodiscard]] const char* what() const noexcept override { return text_->c_str(); }

private:
  std::shared_ptr<const std::string> text_;
  std::exception_ptr cause_;
};

/// `e` with a text before its own; `cancelled` and null stay what they are.
/// Cost: an exception is thrown and caught once (1 us).
[[nodiscard]] std::exception_ptr add_context(std::exception_ptr e, std::string_view text);

/// The error behind all the contexts that were added to `e`.
[[nodiscard]] std::exception_ptr root_cause(std::exception_ptr e);

/// Whether `e` is a `cancelled`. Cost: a few ns, nothing is thrown.
[[nodiscard]] bool is_cancelled(const std::exception_ptr& e) noexcept;

}  // namespace fermata
