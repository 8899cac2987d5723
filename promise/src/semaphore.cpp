// SPDX-License-Identifier: MIT
// Units in parts, and what is wrong with a number of them.

#include <fermata/promise/semaphore.hpp>

#include <fmt/format.h>

#include <limits>

namespace fermata {

semaphore::acquire_operation semaphore::acquire(std::size_t n, std::source_location site) {
  if (n > total_) {
    throw contract_error(fmt::format("cannot acquire {} units: a semaphore of {}", n, total_));
  }
  return {{*this, units_, n}, site};
}

void semaphore::release(std::size_t n) {
  const std::size_t taken = total_ - available();
  if (n > taken)
    throw contract_error(fmt::format("cannot release {} units: {} are taken", n, taken));
  units_.give(n);
}

void semaphore::add(std::size_t n) {
  if (n > std::numeric_limits<std::size_t>::max() - total_) {
    throw contract_error(fmt::format("cannot add {} units: a semaphore of {}", n, total_));
  }
  total_ += n;
  units_.give(n);
}

void semaphore_units::return_some(std::size_t n) { static_cast<void>(split(n)); }

semaphore_units semaphore_units::split(std::size_t n) {
  if (n > count_) {
    throw contract_error(fmt::format("cannot take {} units from a holder of {}", n, count_));
  }
  count_ -= n;
  return n > 0 ? semaphore_units(*owner_, n) : semaphore_units();
}

void semaphore_units::merge(semaphore_units&& other) {
  if (other.count_ == 0) return;
  if (count_ > 0 && owner_ != other.owner_) {
    throw contract_error("cannot merge units of two semaphores");
  }
  owner_ = other.owner_;
  count_ += other.forget();
}

}  // namespace fermata
