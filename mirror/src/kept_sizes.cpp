// SPDX-License-Identifier: MIT
// The file: a line that says what it is, the SHA-256 of all that follows, the seconds since 1970 of
// the last look, and a line for each archive: sha256 and size.

#include "kept_sizes.hpp"

#include "saved_file.hpp"

#include <fermata/loop/error.hpp>

#include <charconv>
#include <cstdio>
#include <optional>
#include <string_view>

namespace fermata::mirror {
namespace {

constexpr std::string_view magic = "fermata-mirror sizes 1\n";
constexpr std::size_t longest_line = 128;
constexpr std::int64_t latest = std::int64_t{1} << 33;  // nanoseconds can tell it too

template <typename Number>
std::optional<Number> number_of(std::string_view text) {
  Number n = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (code != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return n;
}

bool read_line(std::string_view line, kept_sizes& into) {
  const std::size_t blank = line.find(' ');
  if (blank == std::string_view::npos) return false;
  const auto key = archive_hash::from_path("sha256", line.substr(0, blank));
  const auto size = number_of<std::uint64_t>(line.substr(blank + 1));
  if (!key || !size) return false;
  into.of[*key] = *size;
  return true;
}

// Why it cannot be used; nothing where it can.
std::string read_all(saved_file_reader& in, kept_sizes& into) {
  if (in.text(magic.size()) != magic) return "it is no list of fermata-mirror's";
  if (!in.checksum_fault().empty()) return "its checksum does not fit";
  const auto checked = number_of<std::int64_t>(in.line(longest_line));
  bool is_good = checked && *checked >= 0 && *checked <= latest;
  if (is_good) into.checked = std::chrono::sys_seconds(std::chrono::seconds(*checked));
  while (is_good) {
    const std::string line = in.line(longest_line);
    if (line.empty()) return {};
    is_good = read_line(line, into);
  }
  return "a line in it is none of ours";
}

}  // namespace

kept_sizes load_sizes(const std::string& path) {
  kept_sizes loaded;
  std::string fault;
  try {
    saved_file_reader in(path);
    if (!in.exists()) return loaded;
    fault = read_all(in, loaded);
  } catch (const error& e) {
    fault = e.what();
  }
  if (fault.empty()) return loaded;
  loaded = kept_sizes();
  loaded.refused = path + ": " + fault;
  const std::string aside = path + ".refused";
  if (std::rename(path.c_str(), aside.c_str()) == 0) loaded.refused += "; it is now " + aside;
  return loaded;
}

void save_sizes(const std::string& path, const kept_sizes& what) {
  saved_file_writer out(path + ".new");
  out.write(magic);
  out.begin_digest();
  std::string text = std::to_string(what.checked.time_since_epoch().count()) + "\n";
  for (const auto& [key, size] : what.of) {
    text += key.hex();
    text += ' ';
    text += std::to_string(size);
    text += '\n';
  }
  out.write(text);
  out.commit(path);
}

}  // namespace fermata::mirror
