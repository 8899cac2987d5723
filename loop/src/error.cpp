// SPDX-License-Identifier: MIT
// Errors: libuv's codes as a category, and the form of a message.

#include <fermata/loop/error.hpp>

#include <fmt/format.h>
#include <uv.h>

#include <cerrno>

namespace fermata {
namespace {

class uv_category_type final : public std::error_category {
public:
  const char* name() const noexcept override { return "uv"; }
  std::string message(int code) const override { return uv_strerror(code); }
  std::error_condition default_error_condition(int code) const noexcept override {
    return {-code, std::generic_category()};
  }
};

std::string described(std::error_code code, std::string_view text) {
  if (code.category() == uv_category()) {
    return fmt::format("{}: {} (uv {})", text, code.message(), uv_err_name(code.value()));
  }
  return fmt::format("{}: {} ({} {})", text, code.message(), code.category().name(), code.value());
}

}  // namespace

const std::error_category& uv_category() noexcept {
  static const uv_category_type category;
  return category;
}

error::error(std::error_code code, std::string_view text)
    : std::system_error(code),
      text_(std::make_shared<const std::string>(code ? described(code, text) : std::string(text))) {
}

error::error(std::string_view text) : error(std::error_code(), text) {}

error uv_error(int code, std::string_view text) {
  return {std::error_code(code > 0 ? -code : code, uv_category()), text};
}

error errno_error(std::string_view text) { return uv_error(errno, text); }

std::string message_of(const std::exception_ptr& e) {
  if (!e) return "no error";
  try {
    std::rethrow_exception(e);
  } catch (const std::exception& known) {
    return known.what();
  } catch (...) {
    return "an exception of unknown type";
  }
}

}  // namespace fermata
