// SPDX-License-Identifier: MIT
// Policies as text.

#include <fermata/loop/budget.hpp>
#include <fermata/loop/error.hpp>

#include <fmt/format.h>

#include <charconv>

namespace fermata {
namespace {

constexpr std::int64_t largest_number = 1'000'000;

// The N of `<name>=N`, or 0 where the text is something else.
std::int64_t number_after(std::string_view text, std::string_view name) {
  if (!text.starts_with(name) || text.size() <= name.size() || text[name.size()] != '=') return 0;
  text.remove_prefix(name.size() + 1);
  std::int64_t n = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (code != std::errc() || end != text.data() + text.size()) return 0;
  return n >= 1 && n <= largest_number ? n : 0;
}

}  // namespace

policy policy::parse(std::string_view text) {
  if (text == "greedy") return greedy();
  if (text == "each_bind") return each_bind();
  if (text == "always") return always();
  if (text == "budget") return budget();
  if (const auto n = number_after(text, "quanta"); n != 0) {
    return quanta(static_cast<std::uint32_t>(n));
  }
  if (const auto us = number_after(text, "budget"); us != 0) {
    return budget(std::chrono::microseconds(us));
  }
  throw contract_error(
      fmt::format("unknown policy '{}': use greedy, each_bind, quanta=N, budget=US or always "
                  "(N and US from 1 to 1000000)",
                  text));
}

std::string policy::to_string() const {
  switch (kind_) {
    case kind::greedy:
      return "greedy";
    case kind::each_bind:
      return "each_bind";
    case kind::always:
      return "always";
    case kind::quanta:
      return fmt::format("quanta={}", number_);
    case kind::budget:
      return fmt::format("budget={}", number_ / 1000);
  }
  return "unknown";
}

}  // namespace fermata
