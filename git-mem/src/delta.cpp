// SPDX-License-Identifier: MIT
// Every length is checked before the bytes are touched; an operation that is longer than a step
// stays in copy_from_ and copy_left_.

#include "costs.hpp"

#include <fermata/git_mem/delta.hpp>
#include <fermata/git_mem/failure.hpp>

#include <algorithm>
#include <cstring>

namespace fermata::git_mem {

namespace {

[[noreturn]] void bad(const char* why) { throw failure(reason::corrupt, why); }

}  // namespace

std::uint64_t delta_applier::read_size() {
  std::uint64_t size = 0;
  for (int shift = 0;; shift += 7) {
    if (at_ == end_) bad("delta ends in its sizes");
    const std::uint64_t byte = *at_++;
    if (shift > 56) bad("delta size is larger than any object");
    size |= (byte & 127) << shift;
    if ((byte & 128) == 0) return size;
  }
}

void delta_applier::start(std::span<const std::uint8_t> delta) {
  at_ = delta.data();
  end_ = at_ + delta.size();
  written_ = copy_left_ = 0;
  base_size_ = read_size();
  result_size_ = read_size();
}

void delta_applier::attach(std::span<const std::uint8_t> base, std::uint8_t* result) {
  if (base.size() != base_size_) {
    throw failure(reason::corrupt, "delta is for a base of " + std::to_string(base_size_) +
                                       " bytes, its base has " + std::to_string(base.size()));
  }
  base_ = base;
  result_ = result;
}

void delta_applier::read_operation() {
  const unsigned op = *at_++;
  if (op == 0) bad("delta operation 0");
  if ((op & 128) == 0) {
    if (static_cast<std::size_t>(end_ - at_) < op) bad("delta inserts past its end");
    copy_from_ = at_;
    copy_left_ = op;
    at_ += op;
  } else {
    std::uint64_t offset = 0;
    std::uint64_t size = 0;
    for (unsigned bit = 0; bit < 7; ++bit) {
      if ((op & (1U << bit)) == 0) continue;
      if (at_ == end_) bad("delta ends in an operation");
      const std::uint64_t byte = *at_++;
      if (bit < 4) {
        offset |= byte << (8 * bit);
      } else {
        size |= byte << (8 * (bit - 4));
      }
    }
    if (size == 0) size = 0x10000;
    if (offset > base_.size() || size > base_.size() - offset) bad("delta copies past its base");
    copy_from_ = base_.data() + offset;
    copy_left_ = size;
  }
  if (copy_left_ > result_size_ - written_) bad("delta result is longer than it says");
}

bool delta_applier::step(std::chrono::nanoseconds& cost) {
  const std::uint8_t* const began = at_;
  std::uint64_t room = detail::copy_cut;
  for (;;) {
    if (copy_left_ > 0) {
      const std::uint64_t n = std::min(copy_left_, room);
      std::memcpy(result_ + written_, copy_from_, n);
      copy_from_ += n;
      copy_left_ -= n;
      written_ += n;
      room -= n;
    }
    if (copy_left_ > 0 || room == 0) break;
    if (at_ == end_ || static_cast<std::size_t>(at_ - began) >= detail::delta_input_cut) break;
    read_operation();
  }
  cost += detail::copy_cost(detail::copy_cut - room) + std::chrono::nanoseconds(10 * (at_ - began));
  if (at_ != end_ || copy_left_ > 0) return false;
  if (written_ != result_size_) bad("delta result is shorter than it says");
  return true;
}

}  // namespace fermata::git_mem
