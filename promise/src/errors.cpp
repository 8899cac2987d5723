// SPDX-License-Identifier: MIT
// What errors say, and who is behind them.

#include <fermata/promise/detail/some_error.hpp>
#include <fermata/promise/detail/state.hpp>
#include <fermata/promise/errors.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <new>
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

// Whether `e` is an E and nothing derived from it.
template <typename E>
bool is_exactly(const std::exception_ptr& e) noexcept {
#ifdef __GLIBCXX__
  return e && *e.__cxa_exception_type() == typeid(E);
#else
  if (!e) return false;
  try {
    std::rethrow_exception(e);
  } catch (const E&) {
    return true;
  } catch (...) {
    return false;
  }
#endif
}

using error_list = std::vector<std::exception_ptr>;

// Ends the errors of a list, a batch in a step.
class error_dropper final : public ready_node {
public:
  explicit error_dropper(std::unique_ptr<error_list> errors) noexcept
      : errors_(std::move(errors)) {}
  void run() noexcept override {
    drop_batch(*errors_);
    if (errors_->empty()) {
      delete this;
    } else {
      event_loop::make_ready(*this);
    }
  }
  void lost() noexcept override { delete this; }
  static void drop_batch(error_list& errors) noexcept {
    errors.resize(errors.size() - std::min(errors.size(), detail::batch));
  }

private:
  std::unique_ptr<error_list> errors_;
};

void let_go(const error_list* errors) noexcept {
  std::unique_ptr<error_list> rest(const_cast<error_list*>(errors));
  error_dropper::drop_batch(*rest);
  event_loop* const loop = detail::running_loop;
  if (rest->empty() || loop == nullptr || loop->is_ending()) return;
  auto* const dropper = new (std::nothrow) error_dropper(std::move(rest));
  if (dropper != nullptr) loop->enqueue(*dropper);
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

std::string_view cancelled::reason() const noexcept {
  if (text_ == nullptr) return {};
  return std::string_view(*text_).substr(std::string_view("cancelled: ").size());
}

// Never destroyed: loops of other static objects may still cancel at the end of the program.
const std::exception_ptr& detail::plain_cancelled() noexcept {
  static const auto& one = *new std::exception_ptr(std::make_exception_ptr(cancelled()));
  return one;
}

std::exception_ptr detail::some_error(std::exception_ptr e) noexcept {
  if (e != nullptr) [[likely]]
    return e;
  return std::make_exception_ptr(contract_error("a rejection without an exception"));
}

// Whoever lets go of the last copy within a loop does not end a hundred thousand of them at once.
multiple_errors::multiple_errors(std::vector<std::exception_ptr> errors)
    : error(text_of_all(errors)),
      errors_(new std::vector<std::exception_ptr>(std::move(errors)), &let_go) {}

std::exception_ptr detail::sum_of(std::vector<std::exception_ptr> errors) {
  if (errors.empty()) return nullptr;
  const bool is_one =
      errors.size() == 1 || std::all_of(errors.begin(), errors.end(), is_exactly<loop_closed>);
  if (is_one) return errors.front();
  return std::make_exception_ptr(multiple_errors(std::move(errors)));
}

bool is_cancelled(const std::exception_ptr& e) noexcept { return is_exactly<cancelled>(e); }

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
