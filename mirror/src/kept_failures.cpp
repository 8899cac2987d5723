// SPDX-License-Identifier: MIT
// The file: a line that says what it is, the SHA-256 of all that follows, a line of JSON with the
// settings, and one for each download.

#include "kept_failures.hpp"

#include "saved_file.hpp"

#include <fermata/loop/error.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <stdexcept>
#include <string_view>

namespace fermata::mirror {
namespace {

using json = nlohmann::json;

constexpr std::string_view magic = "fermata-mirror failures 1\n";
constexpr std::size_t longest_file = std::size_t{256} << 20;

std::string line_of(const json& j) {
  return j.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
}

std::chrono::sys_seconds time_of(const json& j) {
  return std::chrono::sys_seconds(std::chrono::seconds(j.get<std::int64_t>()));
}

void read_line(const json& j, kept_failures& into) {
  const auto key = archive_hash::parse(j.at("archive").get<std::string>());
  if (!key) throw std::invalid_argument("no checksum");
  kept_failure& f = into[*key];
  f.url = j.at("url");
  f.reason = j.at("reason");
  f.text = j.at("text");
  f.is_lasting = j.at("lasting");
  f.needed_bytes = j.value("needed", std::uint64_t{0});  // none by an earlier version
  f.tries = j.at("tries");
  f.since = time_of(j.at("since"));
  f.next_try = time_of(j.at("next_try"));
}

// Why it cannot be used; nothing where it can.
std::string read_all(saved_file_reader& in, const std::string& settings, kept_failures& into) {
  if (in.text(magic.size()) != magic) return "it is no list of fermata-mirror's";
  if (!in.checksum_fault().empty()) return "its checksum does not fit";
  const std::string text = in.text(longest_file);
  std::string_view left = text;
  const auto next = [&left] {
    const std::string_view line = left.substr(0, left.find('\n'));
    left.remove_prefix(std::min(line.size() + 1, left.size()));
    return json::parse(line);
  };
  try {
    if (next().at("settings") != settings) return {};
    while (!left.empty()) read_line(next(), into);
  } catch (const std::exception& e) {
    into.clear();
    return std::string("a line in it is none of ours: ") + e.what();
  }
  return {};
}

}  // namespace

loaded_failures load_failures(const std::string& path, const std::string& settings) {
  loaded_failures loaded;
  saved_file_reader in(path);
  if (!in.exists()) return loaded;
  const std::string fault = read_all(in, settings, loaded.found);
  if (fault.empty()) return loaded;
  const std::string aside = path + ".refused";
  if (std::rename(path.c_str(), aside.c_str()) != 0) {
    throw errno_error("cannot rename " + path + " to " + aside);
  }
  loaded.refused = path + ": " + fault + "; it is now " + aside;
  return loaded;
}

void save_failures(const std::string& path,
                   const std::string& settings,
                   const kept_failures& what) {
  saved_file_writer out(path + ".new");
  out.write(magic);
  out.begin_digest();
  out.write(line_of({{"settings", settings}}));
  for (const auto& [key, f] : what) {
    out.write(line_of({{"archive", key.text()},
                       {"url", f.url},
                       {"reason", f.reason},
                       {"text", f.text.substr(0, 1024)},
                       {"lasting", f.is_lasting},
                       {"needed", f.needed_bytes},
                       {"tries", f.tries},
                       {"since", f.since.time_since_epoch().count()},
                       {"next_try", f.next_try.time_since_epoch().count()}}));
  }
  out.commit(path);
}

}  // namespace fermata::mirror
