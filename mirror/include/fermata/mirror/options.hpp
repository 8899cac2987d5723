// SPDX-License-Identifier: MIT
/// The command line and the configuration file of `fermata-mirror`.
///
/// Shape:  one table names every option; help, manual, completions and the configuration file are
///         made from it. A file holds the same options under the same names: `update-interval =
///         "1h"`. The command line wins over the file.
/// Units:  durations as `500ms`, `10s`, `5min`, `1h`, `7d`; sizes as `64KiB`, `10MB`, `2GiB`.
/// Pauses: never; a configuration file is read at once, so parse before a loop runs.
/// Thread: any.
#pragma once

#include <fermata/loop/budget.hpp>
#include <fermata/loop/log.hpp>
#include <fermata/mirror/service.hpp>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace fermata::mirror {

enum class log_format : std::uint8_t { text, json };

struct mirror_options {
  mirror_options() {}  // no aggregate: see STYLE.md, coroutines under g++ 12

  std::string remote;       ///< as given, perhaps with a #branch: `git_mem::remote_url` reads it
  std::uint32_t depth = 1;  ///< 0: the whole history
  std::vector<std::string> archive_mirrors;  ///< named in `repo`, for clients
  std::string data_directory;                ///< empty: nothing is kept
  std::string ca_file;                       ///< trusted beside the system's; empty: none

  bool skip_download = false;                ///< archives are fetched when they are asked for
  bool offline = false;                      ///< they are not fetched at all
  bool check = false;                        ///< all that is stored, at the start
  bool allow_file = false;                   ///< `file://` as an archive's URL
  std::vector<std::string> upstream_caches;  ///< tried after an archive's own URLs
  std::string contact;                       ///< in the User-Agent of downloads; empty: none
  std::uint32_t download_jobs = 16;
  std::uint32_t per_host = 4;
  std::uint64_t download_rate = 0;  ///< bytes a second of all together; 0: no limit
  std::uint64_t largest_archive = std::uint64_t{1} << 30;
  std::chrono::nanoseconds download_time = std::chrono::hours(1);
  std::uint32_t keep_days = 30;
  std::uint64_t quota_bytes = 0;                      ///< 0: none
  std::uint64_t scrub_rate = std::uint64_t{2} << 20;  ///< bytes a second; 0: no scrub

  std::vector<std::string> listen = {"127.0.0.1:8080"};  ///< `ADDR:PORT`, `[ADDR]:PORT`
  std::uint32_t loops = 1;                               ///< that serve, a thread each
  std::uint32_t threads = 2;                             ///< of the worker pool, at most
  policy work_policy = policy::budget();
  std::uint32_t most_connections = 10'000;
  std::uint32_t most_connections_per_client = 0;  ///< of one address; 0: no limit
  std::uint32_t most_requests = 0;                ///< under way at once; 0: no limit
  std::uint32_t client_rate = 0;                  ///< requests a second of a client; 0: no limit
  std::uint32_t client_burst = 100;
  std::string client_header;  ///< of a proxy, which names the client; empty: its address does
  std::string public_url;     ///< of this mirror, as its pages tell it; empty: by the Host field
  bool no_git = false;        ///< no `/repository.git`
  std::uint64_t most_header_bytes = std::uint64_t{16} << 10;
  std::uint64_t most_body_bytes = std::uint64_t{1} << 20;
  std::chrono::nanoseconds header_time = std::chrono::seconds(10);
  std::chrono::nanoseconds body_time = std::chrono::seconds(30);
  std::chrono::nanoseconds idle_time = std::chrono::seconds(75);
  std::chrono::nanoseconds write_time = std::chrono::seconds(60);
  std::chrono::nanoseconds drain_time = std::chrono::seconds(2);

  std::chrono::nanoseconds update_interval = std::chrono::hours(1);  ///< 0: only when asked
  std::chrono::nanoseconds update_pause = std::chrono::seconds(5);
  std::chrono::nanoseconds update_time = std::chrono::minutes(30);
  std::string update_path = "/update";
  std::string update_secret_file;
  double jitter_percent = 10;
  std::chrono::nanoseconds first_delay = std::chrono::seconds(1);
  std::chrono::nanoseconds longest_delay = std::chrono::minutes(5);
  std::chrono::nanoseconds connect_time = std::chrono::seconds(30);
  std::chrono::nanoseconds stall_time = std::chrono::minutes(2);

  log_format format = log_format::text;
  log_level most_logged = log_level::info;
  bool quiet = false;
  std::string access_log;  ///< a file, `-` for standard output, empty for none

  bool operator==(const mirror_options&) const = default;
};

/// A program that only has to say something and end.
struct exit_message {
  int status = 0;
  std::string text;  ///< to standard output for status 0, else to standard error
};

/// Reads the arguments behind the program's name, and the file that `--config` names.
///
/// Shape:  wrong usage, in a file too, gives one line and status 2 (`fermata-mirror: FILE:3:7: no
///         such option: colour`); a file that cannot be read status 1, also what
///         `--check-config` finds missing; `--help`, `--version`,
///         `--print-config` and the like status 0.
[[nodiscard]] std::variant<mirror_options, exit_message> parse_options(
    const std::vector<std::string>& arguments, std::string_view version);

/// What a service is given for these options; hooks are empty, the secret is not read.
[[nodiscard]] service_options service_options_of(const mirror_options& options);

/// One line that the secret's file holds or, where none is named, the environment's
/// `FERMATA_UPDATE_SECRET`; empty: there is none. Throws: `error` where the file has none.
[[nodiscard]] std::string read_update_secret(const mirror_options& options);

/// Throws: `error` where `ca_file` is named and holds no certificate.
void check_ca_file(const mirror_options& options);

/// The text of `--help`, which fits one screen, and of `--help-all`.
[[nodiscard]] std::string help_text();
[[nodiscard]] std::string full_help_text();

/// The manual page, in the language of man(7).
[[nodiscard]] std::string manual_page(std::string_view version);

/// A completion script. Throws: `contract_error` for a shell that is none of bash, zsh and fish.
[[nodiscard]] std::string completion_script(std::string_view shell);

/// A configuration file that says what `options` says, with a comment for every option.
[[nodiscard]] std::string config_text(const mirror_options& options);

/// The names of all options, without dashes, in the order of the help.
[[nodiscard]] std::vector<std::string> option_names();

}  // namespace fermata::mirror
