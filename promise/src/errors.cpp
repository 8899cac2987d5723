// SPDX-License-Identifier: MIT
// What errors say, and who is behind them.

#include <fermata/promise/errors.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <typeinfo>

namespace fermata {

namespace {

// A million failures make no text of a million lines.
std::string text_of_all(const std::vector<std::exception_ptr>& errors) {
  std::string text = fmt::format("{} operations failed", errors.size());
  const std::size_t shown = std::min(errors.size(), multiple_errors::told);
  for (std::size_t i = 0; i < shown; ++i) text += (i == 0 ? ": " : "; ") + message_of(errors[i]);
  if (errors.size() > shown) text += fmt::format("; and {} more", errors.size() - shown);
  return text;
}

std::error_code code_of(const std::exception_ptr& e) {
  try {
    std::rethrow_exception(e);
  } catch (const std::system_error& known) {
    return known.code();
  } catch (...) {
    return {};
  }
}

}  // namespace

cancelled::cancelled(std::string_view why)
    : text_(std::make_shared<const std::string>(fmt::format("cancelled: {}", why))) {}

// Never destroyed: loops of other static objects may still cancel at the end of the program.
const std::exception_ptr& detail::plain_cancelled() noexcept {
  static const auto& one = *new std::exception_ptr(std::make_exception_ptr(cancelled()));
  return one;
}

multiple_errors::multiple_errors(std::vector<std::exception_ptr> errors)
    : error(text_of_all(errors)),
      errors_(std::make_shared<const std::vector<std::exception_ptr>>(std::move(errors))) {}

bool is_cancelled(const std::exception_ptr& e) noexcept {
#ifdef __GLIBCXX__
  return e && *e.__cxa_exception_type() == typeid(cancelled);
#else
  if (!e) return false;
  try {
    std::rethrow_exception(e);
  } catch (const cancelled&) {
    return true;
  } catch (...) {
    return false;
  }
#endif
}

error_in_context::error_in_context(std::string_view text, std::exception_ptr cause)
    : error(code_of(cause), text),
      text_(std::make_shared<const std::string>(fmt::format("{}: {}", text, message_of(cause)))),
      cause_(std::move(cause)) {}

std::exception_ptr add_context(std::exception_ptr e, std::string_view text) {
  if (!e || is_cancelled(e)) return e;
  return std::make_exception_ptr(error_in_context(text, std::move(e)));
}

std::exception_ptr root_cause(std::exception_ptr e) {
  for (;;) {
    try {
      if (e) std::rethrow_exception(e);
      return e;
    } catch (const error_in_context& outer) {
      std::exception_ptr inner = outer.cause();
      e = std::move(inner);
    } catch (...) {
      return e;
    }
  }
}

}  // namespace fermata
