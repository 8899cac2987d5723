// SPDX-License-Identifier: MIT
/// The command line of `fermata-mirror`.
///
/// Pauses: never.
/// Thread: any.
#pragma once

#include <fermata/loop/budget.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace fermata::mirror {

struct mirror_options {
  std::string remote;  ///< as given, perhaps with a #branch: `git_mem::remote_url` reads it
  std::string listen_address = "127.0.0.1";
  std::uint16_t listen_port = 8080;  ///< 0: any free one
  policy work_policy = policy::budget();
  std::uint32_t depth = 1;     ///< 0: the whole history
  std::string data_directory;  ///< empty: nothing is kept
};

/// A program that only has to say something and end.
struct exit_message {
  int status = 0;
  std::string text;  ///< to standard output for status 0, else to standard error
};

/// Reads the arguments behind the program's name.
///
/// Shape:  wrong usage gives one line and status 2; `--help` and `--version` give status 0.
[[nodiscard]] std::variant<mirror_options, exit_message> parse_options(
    const std::vector<std::string>& arguments, std::string_view version);

/// The text of `--help`.
[[nodiscard]] std::string help_text();

/// An address and a port as they stand in a URL: `127.0.0.1:8080`, `[::1]:8080`.
[[nodiscard]] std::string authority(std::string_view address, std::uint16_t port);

}  // namespace fermata::mirror
