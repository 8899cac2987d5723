// SPDX-License-Identifier: MIT
#include "output.hpp"

#include <fermata/loop/error.hpp>

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace fermata_git {

using fermata::git_mem::file_mode;

void output::put(std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(STDOUT_FILENO, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw fermata::errno_error("cannot write to standard output");
    text.remove_prefix(static_cast<std::size_t>(n));
  }
}

void output::flush() { put(std::exchange(kept_, {})); }

std::string quoted_path(std::string_view path) {
  std::string out;
  for (const char c : path) {
    const auto byte = static_cast<unsigned char>(c);
    constexpr std::string_view named = "\a\b\t\n\v\f\r";
    const std::size_t at = named.find(c);
    if (at != std::string_view::npos) {
      out += '\\';
      out += "abtnvfr"[at];
    } else if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || byte >= 0x7f) {
      out += fmt::format("\\{:03o}", byte);
    } else {
      out += c;
    }
  }
  return out.size() == path.size() ? out : "\"" + out + "\"";
}

std::string tree_line(file_mode mode,
                      const fermata::git_mem::object_id& id,
                      std::string_view path) {
  const char* const type = mode == file_mode::tree        ? "tree"
                           : mode == file_mode::submodule ? "commit"
                                                          : "blob";
  return fmt::format("{:06o} {} {}\t{}\n", static_cast<unsigned>(mode), type, id.hex(),
                     quoted_path(path));
}

}  // namespace fermata_git
