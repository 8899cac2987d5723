// SPDX-License-Identifier: MIT
// CLI11 takes the arguments apart; the help text is ours, because its form is part of the program.

#include <fermata/loop/error.hpp>
#include <fermata/mirror/options.hpp>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <charconv>
#include <optional>

namespace fermata::mirror {
namespace {

constexpr std::string_view help =
    R"(usage: fermata-mirror --remote <url[#branch]> [options]

Serves an opam repository over HTTP, also while it is being cloned and indexed.

  --remote <url[#branch]>   a git repository: git://host/path, or a local path
  --listen <address:port>   where to serve, port 0 is any free one  [127.0.0.1:8080]
  --policy <policy>         when work gives the thread back         [budget=500]
                            greedy, each_bind, quanta=<n>, budget=<microseconds>, always
  --depth <n>               commits to clone, 0 is the whole history  [1]
  --data <folder>           keeps the last index, serves it at once after a restart
  --help                    this text
  --version                 name and version

Then: opam init --bare -n http://127.0.0.1:8080, or look at http://127.0.0.1:8080/status

exit status: 0 stopped by a signal, 1 cannot start or serve, 2 wrong usage
)";

exit_message wrong(std::string_view what) {
  return {2, "fermata-mirror: " + std::string(what) + " (see fermata-mirror --help)\n"};
}

template <typename Number>
std::optional<Number> number(std::string_view text) {
  Number n{};
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (code != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return n;
}

// `127.0.0.1:80`, `[::1]:80`; false if it has no such form.
bool read_listen(std::string_view text, mirror_options& options) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return false;
  const auto port = number<std::uint16_t>(text.substr(colon + 1));
  std::string_view address = text.substr(0, colon);
  if (address.starts_with('[')) {
    if (!address.ends_with(']')) return false;
    address = address.substr(1, address.size() - 2);
  } else if (address.find(':') != std::string_view::npos) {
    return false;  // IPv6 without brackets: nobody can say where the port begins
  }
  if (!port.has_value() || address.empty()) return false;
  options.listen_address = address;
  options.listen_port = *port;
  return true;
}

struct raw_options {
  std::string remote;
  std::string listen = "127.0.0.1:8080";
  std::string policy = "budget=500";
  std::string depth = "1";
  std::string data;
  bool help = false;
  bool version = false;
};

// What CLI11 says, in one line.
std::string one_line(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  while (text.ends_with(' ')) text.pop_back();
  return text;
}

std::optional<exit_message> take_apart(std::vector<std::string> arguments, raw_options& raw) {
  CLI::App app;
  app.set_help_flag();  // ours
  app.add_option("--remote", raw.remote);
  app.add_option("--listen", raw.listen);
  app.add_option("--policy", raw.policy);
  app.add_option("--depth", raw.depth);
  app.add_option("--data", raw.data);
  app.add_flag("--help", raw.help);
  app.add_flag("--version", raw.version);
  std::reverse(arguments.begin(), arguments.end());  // as CLI11 wants them
  try {
    app.parse(arguments);
  } catch (const CLI::ParseError& e) {
    return wrong(one_line(e.what()));
  }
  return std::nullopt;
}

}  // namespace

std::string help_text() { return std::string(help); }

std::variant<mirror_options, exit_message> parse_options(const std::vector<std::string>& arguments,
                                                         std::string_view version) {
  raw_options raw;
  if (auto said = take_apart(arguments, raw)) return *said;
  if (raw.help) return exit_message{0, help_text()};
  if (raw.version) return exit_message{0, "fermata-mirror " + std::string(version) + "\n"};

  mirror_options options;
  options.remote = raw.remote;
  if (options.remote.empty() || options.remote.starts_with('#'))
    return wrong("--remote <url[#branch]> is needed");
  if (!read_listen(raw.listen, options)) {
    return wrong("--listen " + raw.listen + " has not the form address:port");
  }
  const auto depth = number<std::uint32_t>(raw.depth);
  if (!depth.has_value()) return wrong("--depth " + raw.depth + " is no number of commits");
  options.depth = *depth;
  try {
    options.work_policy = policy::parse(raw.policy);
  } catch (const contract_error&) {
    return wrong("--policy " + raw.policy +
                 " is none of greedy, each_bind, quanta=<n>, budget=<microseconds>, always");
  }
  options.data_directory = raw.data;
  return options;
}

std::string authority(std::string_view address, std::uint16_t port) {
  const bool is_ipv6 = address.find(':') != std::string_view::npos;
  std::string text = is_ipv6 ? "[" + std::string(address) + "]" : std::string(address);
  return text + ":" + std::to_string(port);
}

}  // namespace fermata::mirror
