// SPDX-License-Identifier: MIT
#include "first_end.hpp"

#include <fermata/promise/combine.hpp>

#include <exception>
#include <utility>

namespace fermata::mirror {

promise<std::string> first_end(promise<> wanted, std::vector<promise<>> parts) {
  std::string why = "it has come to an end";
  parts.insert(parts.begin(), wanted);
  promise<> ended = choose(std::move(parts));
  try {
    co_await ended;
    if (!wanted.is_pending()) why.clear();
  } catch (const cancelled&) {
    throw;
  } catch (const std::exception& e) {
    why = e.what();
  }
  co_return why;
}

}  // namespace fermata::mirror
