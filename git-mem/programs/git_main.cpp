// SPDX-License-Identifier: MIT
// fermata-git: repositories in memory, from the shell.

#include "commands.hpp"
#include "moment.hpp"

#include <fermata/git_mem/failure.hpp>
#include <fermata/loop/event_loop.hpp>
#include <fermata/promise/combine.hpp>
#include <fermata/promise/signals.hpp>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cctype>
#include <climits>
#include <clocale>
#include <csignal>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <functional>
#include <map>
#include <new>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using fermata::promise;
using fermata_git::arguments;
using fermata_git::output;

using command = std::function<promise<int>(const arguments&, output&)>;

const std::map<std::string, command>& commands() {
  static const std::map<std::string, command> all = {
      {"clone", fermata_git::clone_command},       {"index-pack", fermata_git::index_pack_command},
      {"cat-file", fermata_git::cat_file_command}, {"ls-tree", fermata_git::ls_tree_command},
      {"log", fermata_git::log_command},           {"rev-parse", fermata_git::rev_parse_command},
      {"export", fermata_git::export_command},     {"diff", fermata_git::diff_command},
      {"fetch", fermata_git::fetch_command},       {"serve", fermata_git::serve_command},
      {"push", fermata_git::push_command_line},
  };
  return all;
}

CLI::App* add(CLI::App& app, arguments& to, const std::string& name, const std::string& what) {
  CLI::App* sub = app.add_subcommand(name, what);
  sub->callback([&to, name] { to.command = name; });
  return sub;
}

void add_file(CLI::App* to, arguments& given) {
  to->add_option("FILE", given.file, "a store that `clone --save` has written")->required();
}

std::string check_name(const std::string& text) {
  if (fermata::git_mem::object_id::from_hex(text)) return "";
  return text + " is no name of 40 hex digits";
}

std::string check_moment(const std::string& text) {
  if (fermata_git::parse_moment(text)) return "";
  return text + " is no date: say 2025-06-01, 2025-06-01T12:00:00 (UTC) or seconds since 1970";
}

std::string check_file_name(const std::string& text) {
  return text.empty() ? "a file has a name" : "";
}

// One that clients can ask for as it is written.
std::string check_path(const std::string& text) {
  const bool is_plain = std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 ||
           std::string_view("/-._~").find(char(c)) != std::string_view::npos;
  });
  const bool is_whole = text.starts_with('/') && !text.ends_with('/');
  const bool is_straight = std::filesystem::path(text).lexically_normal().native() == text;
  if (is_plain && is_whole && is_straight) return "";
  return "\"" + text + "\" is no path of letters and digits as /repository.git";
}

// What of a remote's history and content comes.
void add_extent(CLI::App* to, arguments& given) {
  to->add_option("--also", given.also, "beside the branch: refs that begin so, as refs/tags/")
      ->allow_extra_args(false);
  CLI::Option* depth = to->add_option("--depth", given.depth, "commits of history; 0: all");
  depth->capture_default_str();
  to->add_option("--shallow-since", given.shallow_since, "history back to this date")
      ->check(CLI::Validator(check_moment, "DATE"))
      ->excludes(depth);
  to->add_option("--shallow-exclude", given.shallow_exclude, "history without that of this ref")
      ->allow_extra_args(false)
      ->excludes(depth);
  to->add_option("--filter", given.filter,
                 "leaves out what git's filters do: blob:none, blob:limit=1m, tree:0, ...");
}

void add_most(CLI::App* to, arguments& given) {
  constexpr std::uint64_t most = 0xffffffff;  // what a pack of ours can hold
  to->add_option("--max-object", given.max_object, "the largest object that is taken, below 4g")
      ->transform(CLI::AsSizeValue(false).description(""))  // the name of the type says enough
      ->check(CLI::Range(std::uint64_t{1}, most).description(""))
      ->type_name("SIZE")
      ->default_str("128m");
}

void add_threads(CLI::App* to, arguments& given) {
  to->add_option("--threads", given.threads, "that check what comes; 0: the loop's own")
      ->check(CLI::Range(0, 64))
      ->capture_default_str();
}

void declare_receiving(CLI::App& app, arguments& given) {
  CLI::App* clone = add(app, given, "clone", "clones a repository into memory");
  clone->add_option("URL", given.url, "git://host/path, http(s)://..., ssh, a path; #branch")
      ->required();
  add_extent(clone, given);
  add_most(clone, given);
  clone->add_option("--save", given.file, "writes the store to this file")
      ->check(CLI::Validator(check_file_name, "FILE"));
  clone
      ->add_option(
          "--verify", given.verify,
          "collisions: refuses objects made for a SHA-1 collision; fast: trusts the sender")
      ->check(CLI::IsMember({"collisions", "fast"}))
      ->capture_default_str();
  add_threads(clone, given);
  clone->add_flag(
      "--stats", given.stats,
      "prints one JSON line: objects, bytes, CPU and wall seconds, memory, longest turn");
  CLI::App* fetch =
      add(app, given, "fetch",
          "brings a saved store up to date; prints old, new and whether it went forward");
  add_file(fetch, given);
  fetch->add_option("URL", given.url, "as for clone")->required();
  add_extent(fetch, given);
  add_most(fetch, given);
  fetch->add_flag("--name-status", given.name_status,
                  "also A, D, M or T and the path of each file");
  add_threads(fetch, given);
  CLI::App* index = add(app, given, "index-pack", "checks a pack; prints its name and its objects");
  add_most(index, given);
  add_threads(index, given);
  index->add_option("PACK", given.pack, "a file; standard input where it is - or absent");
}

void declare_reading(CLI::App& app, arguments& given) {
  CLI::App* cat = add(app, given, "cat-file", "prints an object, its type or its size");
  add_file(cat, given);
  CLI::Option_group* what = cat->add_option_group("what", "one of");
  what->add_flag("-t", given.type, "its type");
  what->add_flag("-s", given.size, "its size in bytes");
  what->add_flag("-p", given.print, "its content; trees as ls-tree lists them");
  CLI::Option* batch =
      what->add_flag("--batch", given.batch, "answers each line of standard input");
  what->require_option(1);
  cat->add_option("REVISION", given.revision, "the object")->capture_default_str()->excludes(batch);
  CLI::App* list = add(app, given, "ls-tree", "lists a tree");
  add_file(list, given);
  list->add_flag("-r", given.recursive, "all files below it");
  list->add_option("REVISION", given.revision, "a tree, or what has one: HEAD, main:folder")
      ->capture_default_str();
  CLI::App* log = add(app, given, "log", "lists commits, the newest first");
  add_file(log, given);
  log->add_option("-n", given.most_commits, "at most so many")->check(CLI::Range(0, INT_MAX));
  log->add_flag("--oneline", given.one_line, "one line a commit");
  log->add_option("REVISION", given.revisions, "where to begin [HEAD]");
  CLI::App* diff = add(app, given, "diff", "lists the files that differ, as diff-tree -r does");
  add_file(diff, given);
  diff->add_option("A", given.before, "a tree, or what has one")->required();
  diff->add_option("B", given.after, "the same")->required();
  CLI::Option_group* how = diff->add_option_group("how", "one of");
  how->add_flag("--name-status", given.name_status, "A, D, M or T and the path");
  how->add_flag("--name-only", given.name_only, "the path alone");
  how->require_option(1);
  CLI::App* parse = add(app, given, "rev-parse", "prints the names of objects");
  add_file(parse, given);
  parse->add_option("REVISION", given.revisions, "HEAD, main~3, v1^{tree}, HEAD:a/b, 9f2c41")
      ->required();
}

void declare_writing(CLI::App& app, arguments& given) {
  CLI::App* out = add(app, given, "export", "makes a bare repository of a store");
  add_file(out, given);
  out->add_option("DIR", given.directory, "a folder that is empty or not there")->required();
  CLI::App* push = add(app, given, "push", "sends refs to a remote; prints old and new");
  add_file(push, given);
  push->add_option("URL", given.url, "as for clone")->required();
  push->add_option("REF", given.revisions, "REF, REF:REF, or :REF, which deletes it; + forces")
      ->required();
  push->add_flag("--force", given.force, "also where commits are lost");
  push->add_flag("--atomic", given.atomic, "all refs move, or none");
  push->add_option("--expect", given.expected, "where each must stand; 40 zeros: nowhere")
      ->check(CLI::Validator(check_name, "NAME"));
  CLI::App* serve =
      add(app, given, "serve", "answers git clients over HTTP, until SIGINT or SIGTERM");
  add_file(serve, given);
  serve->add_option("--listen", given.listen, "address:port; port 0: a free one")->required();
  serve->add_option("--path", given.path, "of the repository")
      ->check(CLI::Validator(check_path, "PATH"))
      ->capture_default_str();
}

std::string one_line(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  while (text.ends_with(' ')) text.pop_back();
  return text;
}

promise<int> note_signal(fermata::signal_source& from, int& came) {
  promise<int> next = from.next();
  came = co_await std::move(next);
  co_return 1;
}

// Commands that write files take back what is half done where a signal ends them.
promise<int> run_until_signal(const command& what, const arguments& given, output& out, int& came) {
  fermata::signal_source signals(std::vector<int>{SIGINT, SIGTERM});
  promise<int> working = what(given, out);
  promise<int> first = fermata::pick(std::move(working), note_signal(signals, came));
  co_return co_await std::move(first);
}

bool writes_files(const arguments& given) {
  return given.command == "clone" || given.command == "fetch" || given.command == "export";
}

// As with git, what a command has printed before it failed stays.
void flush_after_failure(output& out) {
  try {
    out.flush();
  } catch (const fermata::error&) {
    return;  // what the command failed of is told
  }
}

int run(const arguments& given) {
  fermata::loop_options options;
  options.measure_cpu = given.stats;
  fermata::event_loop loop(std::move(options));
  output out;
  const command& what = commands().at(given.command);
  int came = 0;
  int status = 0;
  try {
    status = loop.run([&] {
      return writes_files(given) ? run_until_signal(what, given, out, came) : what(given, out);
    });
  } catch (...) {
    flush_after_failure(out);
    throw;
  }
  if (came != 0) {  // as if we had not been there
    static_cast<void>(std::signal(came, SIG_DFL));
    static_cast<void>(std::raise(came));
  }
  out.flush();
  return status;
}

// The texts of --help and --version; a full disk is told of here, too.
int show(const CLI::App& app, const CLI::ParseError& asked) {
  std::ostringstream text;
  const int status = app.exit(asked, text, text);
  output out;
  out.write(text.str());
  out.flush();
  return status;
}

int parse_and_run(int argc, char** argv) {
  arguments given;
  CLI::App app(
      "Git repositories in memory: clones, checks packs, and reads what it has saved.\n"
      "What it prints of objects is what git prints.",
      "fermata-git");
  app.set_version_flag("--version", "fermata-git " FERMATA_VERSION);
  app.require_subcommand(1);
  app.footer(
      "fermata-git COMMAND --help says more.\n"
      "exit status: 0 done, 1 failed (one line says why), 2 wrong usage");
  declare_receiving(app, given);
  declare_reading(app, given);
  declare_writing(app, given);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    if (e.get_exit_code() == 0) return show(app, e);
    const bool is_unknown = argc > 1 && app.get_subcommands().empty();
    const std::string why = is_unknown ? std::string(argv[1]) + " is no command" : e.what();
    std::fprintf(stderr, "fermata-git: %s (see fermata-git --help)\n", one_line(why).c_str());
    return 2;
  }
  return run(given);
}

}  // namespace

int main(int argc, char** argv) {
  std::setlocale(LC_CTYPE, "C.UTF-8");
  static_cast<void>(std::signal(SIGXFSZ, SIG_IGN));  // a file that may not grow: write says so
  try {
    return parse_and_run(argc, argv);
  } catch (const std::bad_alloc&) {
    std::fprintf(stderr, "fermata-git: there is not enough memory\n");
  } catch (const std::exception& e) {
    std::fprintf(stderr, "fermata-git: %s\n", e.what());
  } catch (const fermata::cancelled& e) {
    std::fprintf(stderr, "fermata-git: %s\n", e.what());
  }
  return 1;
}
