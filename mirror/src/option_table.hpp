// SPDX-License-Identifier: MIT
// Every option of fermata-mirror, once: what it is called, what it sets, what people read about it.
#pragma once

#include <fermata/mirror/options.hpp>

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace fermata::mirror {

enum class value_kind : std::uint8_t {
  flag,    ///< no value; `true` or `false` in a file
  number,  ///< unquoted in a file
  text,
  list,  ///< may be given several times; an array in a file
};

struct option_row {
  std::string_view section;
  std::string_view name;   ///< without dashes
  std::string_view value;  ///< `<url[#branch]>`; empty for a flag
  std::string_view help;   ///< one sentence without a full stop
  value_kind kind = value_kind::text;
  bool is_common = false;  ///< stands in the short help
  /// Sets it from texts (one, but for a list; none for a flag). Gives what is wrong, or nothing.
  std::function<std::string(mirror_options&, const std::vector<std::string>&)> set;
  /// What `set` would need to be given; none: the option is not set.
  std::function<std::vector<std::string>(const mirror_options&)> get;
};

/// The section of those that do nothing without `data_directory`.
constexpr std::string_view archive_section = "Archives";

/// What may stand in a configuration file too, in the order of the help.
[[nodiscard]] const std::vector<option_row>& option_table();

/// What only the command line has: they print something and end.
struct action_row {
  std::string_view name;
  std::string_view value;
  std::string_view help;
  bool is_common = false;
};
[[nodiscard]] const std::vector<action_row>& action_table();

/// Sets options from the text of a configuration file.
/// Throws: `error`, one line that begins with `<name>:<line>:<column>: `.
void read_config(mirror_options& options, std::string_view text, const std::string& name);

}  // namespace fermata::mirror
