// SPDX-License-Identifier: MIT
// What sequences have in common that does not depend on their items.

#include <fermata/promise/combine.hpp>
#include <fermata/promise/sequence.hpp>

#include <fmt/format.h>

namespace fermata::sequence::detail {

void check_at_once(std::size_t n) {
  if (n == 0) throw contract_error("for_each of a sequence, none at once");
}

void check_chunk(std::size_t n) {
  if (n == 0) throw contract_error("chunks of no item at all");
}

void too_long(std::size_t limit) {
  throw error(fmt::format("a sequence has more than {} items", limit));
}

promise<> pumps::ended() {
  std::vector<promise<>> all = std::move(running_);
  return join(std::move(all));
}

}  // namespace fermata::sequence::detail
