// SPDX-License-Identifier: MIT
// CLI11 takes the arguments apart; what they mean stands in the option table.

#include "option_table.hpp"

#include <fermata/loop/error.hpp>
#include <fermata/mirror/options.hpp>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>

namespace fermata::mirror {
namespace {

exit_message wrong(std::string_view what) {
  return {2, "fermata-mirror: " + std::string(what) + " (see fermata-mirror --help)\n"};
}

// What CLI11 says, in one line.
std::string one_line(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  while (text.ends_with(' ')) text.pop_back();
  return text;
}

// What was given on the command line, by name.
struct given_arguments {
  std::map<std::string_view, std::vector<std::string>> values;
  std::map<std::string_view, std::string> actions;
  std::map<std::string_view, bool> flags;  // of actions; those of options are values

  [[nodiscard]] bool has(std::string_view name) const {
    const auto at = flags.find(name);
    return at != flags.end() && at->second;
  }
};

std::optional<exit_message> take_apart(std::vector<std::string> arguments, given_arguments& to) {
  CLI::App app;
  app.set_help_flag();  // ours
  for (const option_row& r : option_table()) {
    const std::string name = "--" + std::string(r.name);
    if (r.kind == value_kind::flag) {
      // A text: `--offline=false` is to win over a file, and nothing but true and false is taken.
      app.add_flag(name, to.actions[r.name])->take_last();
    } else if (r.kind == value_kind::list) {
      app.add_option(name, to.values[r.name])->allow_extra_args(false);
    } else {
      app.add_option(name, to.actions[r.name]);
    }
  }
  for (const action_row& r : action_table()) {
    const std::string name = "--" + std::string(r.name);
    if (r.value.empty()) {
      app.add_flag(name, to.flags[r.name]);
    } else {
      app.add_option(name, to.actions[r.name]);
    }
  }
  for (const option_row& r : option_table()) {  // what CLI11 would take for true
    const std::string empty = "--" + std::string(r.name) + "=";
    const bool is_given = std::find(arguments.begin(), arguments.end(), empty) != arguments.end();
    if (r.kind == value_kind::flag && is_given) return wrong(empty + " is none of true, false");
  }
  std::reverse(arguments.begin(), arguments.end());  // as CLI11 wants them
  try {
    app.parse(arguments);
  } catch (const CLI::ParseError& e) {
    return wrong(one_line(e.what()));
  }
  for (auto& [name, value] : to.actions) {  // CLI11 says by a count whether an empty one was given
    if (app.count("--" + std::string(name)) != 0) to.values[name] = {value};
  }
  return std::nullopt;
}

std::optional<exit_message> read_config_file(mirror_options& options, const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  if (in) text << in.rdbuf();
  if (!in || !text) {
    const std::string why = uv_error(errno, "cannot read the configuration " + path).what();
    return exit_message{1, "fermata-mirror: " + why + "\n"};
  }
  try {
    read_config(options, text.str(), path);
  } catch (const error& e) {
    return exit_message{2, std::string("fermata-mirror: ") + e.what() + "\n"};
  }
  return std::nullopt;
}

std::optional<exit_message> apply(mirror_options& options, const given_arguments& given) {
  for (const option_row& r : option_table()) {
    std::string complaint;
    const auto at = given.values.find(r.name);
    if (at != given.values.end() && !at->second.empty()) complaint = r.set(options, at->second);
    if (!complaint.empty()) return wrong(complaint);
  }
  return std::nullopt;
}

// What is asked for besides the service, where it needs no options.
std::optional<exit_message> say(const given_arguments& given, std::string_view version) {
  if (given.has("help")) return exit_message{0, help_text()};
  if (given.has("help-all")) return exit_message{0, full_help_text()};
  if (given.has("version")) {
    return exit_message{0, "fermata-mirror " + std::string(version) + "\n"};
  }
  if (given.has("print-manual")) return exit_message{0, manual_page(version)};
  if (const auto at = given.values.find("print-completion"); at != given.values.end()) {
    try {
      return exit_message{0, completion_script(at->second.back())};
    } catch (const contract_error& e) {
      return wrong(e.what());
    }
  }
  return std::nullopt;
}

// Without a folder there are no archives, and what is said of them would do nothing.
std::optional<std::string_view> option_without_folder(const mirror_options& options) {
  if (!options.data_directory.empty()) return std::nullopt;
  for (const option_row& r : option_table()) {
    if (r.section == archive_section && r.get(options) != r.get(mirror_options())) return r.name;
  }
  return std::nullopt;
}

// A cache of files that no download could take.
std::optional<std::string> cache_not_allowed(const mirror_options& options) {
  if (options.allow_file) return std::nullopt;
  for (const std::string& url : options.upstream_caches) {
    if (url.starts_with("file://")) {
      return "--upstream-cache " + git_mem::without_secrets(url) + " needs --allow-file";
    }
  }
  return std::nullopt;
}

// Also what the options name and a start would read.
exit_message check_config(const mirror_options& options) {
  int status = 2;
  try {
    static_cast<void>(git_mem::remote_url::parse(options.remote));
    status = 1;
    static_cast<void>(read_update_secret(options));
    check_ca_file(options);
  } catch (const error& e) {
    return {status, std::string("fermata-mirror: ") + e.what() + "\n"};
  }
  return {0, "the options are right\n"};
}

}  // namespace

std::variant<mirror_options, exit_message> parse_options(const std::vector<std::string>& arguments,
                                                         std::string_view version) {
  given_arguments given;
  if (auto said = take_apart(arguments, given)) return *said;
  if (auto said = say(given, version)) return *said;
  mirror_options options;
  if (const auto at = given.values.find("config"); at != given.values.end()) {
    if (auto said = read_config_file(options, at->second.back())) return *said;
  }
  if (auto said = apply(options, given)) return *said;
  if (given.has("print-config")) return exit_message{0, config_text(options)};
  if (options.remote.empty() || options.remote.starts_with('#')) {
    return wrong("--remote <url[#branch]> is needed");
  }
  if (const auto name = option_without_folder(options)) {
    return wrong("--" + std::string(*name) + " needs --data <folder>");
  }
  if (const auto why = cache_not_allowed(options)) return wrong(*why);
  if (given.has("check-config")) {
    return check_config(options);
  }
  return options;
}

namespace {

// Who the client is by the last entry of a field, which is the one that our own proxy has added.
std::function<std::string(const http::request&, const std::string&)> client_reader(
    std::string field) {
  return [field = std::move(field)](const http::request& r, const std::string& peer) {
    const auto value = r.find_last_header(field);
    if (!value) return peer.substr(0, peer.rfind(':'));
    std::string_view last = value->substr(value->rfind(',') + 1);
    while (last.starts_with(' ')) last.remove_prefix(1);
    return std::string(last);
  };
}

archive_options archive_options_of(const mirror_options& given) {
  archive_options a;
  a.folder = given.data_directory + "/cache";
  a.skip_download = given.skip_download;
  a.offline = given.offline;
  a.check = given.check;
  a.allow_file = given.allow_file;
  a.upstream_caches = given.upstream_caches;
  a.jobs = given.download_jobs;
  a.per_host = given.per_host;
  a.download_bytes_per_second = given.download_rate;
  a.largest_bytes = given.largest_archive;
  a.download_time = given.download_time;
  a.keep = std::chrono::days(given.keep_days);
  a.quota_bytes = given.quota_bytes;
  a.scrub_bytes_per_second = given.scrub_rate;
  a.jitter = given.jitter_percent / 100;
  a.client.most_per_host = std::max(a.client.most_per_host, a.per_host);
  a.client.most_transfers = std::max(a.client.most_transfers, a.jobs);
  a.client.user_agent = "fermata-mirror";
  if (!given.contact.empty()) a.client.user_agent += " (+" + given.contact + ")";
  a.client.defaults.ca_file = given.ca_file;
  a.client.defaults.limits.connect_time = given.connect_time;
  a.client.defaults.limits.rate_time = given.stall_time;
  return a;
}

}  // namespace

service_options service_options_of(const mirror_options& given) {
  service_options s;
  s.remote = given.remote;
  s.data_directory = given.data_directory;
  if (!given.data_directory.empty()) {
    s.archives = archive_options_of(given);
    s.archive_mirrors.emplace_back("cache");  // ours first: clients join it to our URL
  }
  s.archive_mirrors.insert(s.archive_mirrors.end(), given.archive_mirrors.begin(),
                           given.archive_mirrors.end());
  s.clone.depth = given.depth;
  s.clone.remote.http.ca_file = given.ca_file;
  s.clone.remote.connect_timeout = given.connect_time;
  s.clone.idle_timeout = given.stall_time;
  s.http.most_connections = given.most_connections;
  s.http.limits.header_bytes = given.most_header_bytes;
  s.http.limits.request_line_bytes =
      std::min<std::size_t>(s.http.limits.request_line_bytes, given.most_header_bytes);
  s.http.limits.body_bytes = given.most_body_bytes;
  s.http.most_connections_per_client = given.most_connections_per_client;
  s.http.most_requests = given.most_requests;
  s.http.client_rate = given.client_rate;
  s.http.client_burst = given.client_burst;
  if (!given.client_header.empty()) s.http.client_of = client_reader(given.client_header);
  s.http.is_exempt = [](const http::request& r) {
    return r.path() == "/healthz" || r.path() == "/readyz";
  };
  s.serve_git = !given.no_git;
  s.http.header_time = given.header_time;
  s.http.body_time = given.body_time;
  s.http.idle_time = given.idle_time;
  s.http.write_time = given.write_time;
  s.first_delay = given.first_delay;
  s.longest_delay = given.longest_delay;
  s.jitter = given.jitter_percent / 100;
  s.update_interval = given.update_interval;
  s.update_pause = given.update_pause;
  s.update_time = given.update_time;
  s.update_path = given.update_path;
  s.public_url = given.public_url;
  return s;
}

}  // namespace fermata::mirror
