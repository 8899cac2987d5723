// SPDX-License-Identifier: MIT
/// fermata-git as a test runs it.
#pragma once

#include "support/temp_repository.hpp"

#include <catch2/catch.hpp>

#include <string>

namespace fermata::test {

/// For a shell, with a space behind it.
inline std::string program() { return "'" + binary_dir() + "/bin/fermata-git' "; }

/// What it prints, errors too, and its status.
inline std::string told(const temp_folder& in, const std::string& arguments) {
  return in.output("{ " + program() + arguments + "; } 2>&1; echo status $?");
}

/// That it prints what git prints of "repo".
inline void check_same(const temp_folder& in, const std::string& ours, const std::string& git) {
  INFO(ours);
  const std::string expected = in.output("git -C repo " + git);
  CHECK(in.output(program() + ours) == expected);
  CHECK(!expected.empty());
}

}  // namespace fermata::test
