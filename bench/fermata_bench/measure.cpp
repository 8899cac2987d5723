// SPDX-License-Identifier: MIT

#include "measure.hpp"

#include <unistd.h>

#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>

void bench::print_figure(std::string_view figure, std::string_view unit, double value) {
  std::printf("%.*s %.*s %.6g\n", static_cast<int>(figure.size()), figure.data(),
              static_cast<int>(unit.size()), unit.data(), value);
  std::fflush(stdout);
}

std::size_t bench::resident_bytes() {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen("/proc/self/statm", "r"),
                                                             &std::fclose);
  unsigned long all = 0;
  unsigned long resident = 0;
  require(file != nullptr && std::fscanf(file.get(), "%lu %lu", &all, &resident) == 2,
          "the resident memory is read");
  return resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

void bench::require(bool holds, const char* what) {
  if (!holds) throw std::runtime_error(std::string("does not hold: ") + what);
}
