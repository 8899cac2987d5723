// SPDX-License-Identifier: MIT
// What the program can do, one function a command; each gives the exit status.
#pragma once

#include "output.hpp"

#include <fermata/git_mem/object_store.hpp>
#include <fermata/git_mem/remote.hpp>
#include <fermata/promise/promise.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace fermata_git {

using fermata::promise;

// All that may stand on a command line; each command reads its own part.
struct arguments {
  std::string command;
  std::string url;
  std::string file;  // a saved store
  std::string pack;
  std::string directory;
  std::string listen;
  std::string path = "/repository.git";
  std::string revision = "HEAD";
  std::string verify = "collisions";
  std::vector<std::string> revisions;
  std::uint32_t depth = 0;
  std::string shallow_since;
  std::vector<std::string> shallow_exclude;
  std::vector<std::string> also;
  std::string filter;
  std::uint64_t max_object = 128 << 20;
  std::string expected;
  bool force = false;
  bool atomic = false;
  std::size_t threads = 0;
  std::uint64_t most_commits = UINT64_MAX;
  bool stats = false;
  bool one_line = false;
  bool type = false;
  bool size = false;
  bool print = false;
  bool batch = false;
  bool recursive = false;
  bool name_status = false;
  bool name_only = false;
  std::string before;
  std::string after;
};

promise<int> clone_command(const arguments& given, output& out);
promise<int> diff_command(const arguments& given, output& out);
promise<int> fetch_command(const arguments& given, output& out);
promise<int> index_pack_command(const arguments& given, output& out);
promise<int> cat_file_command(const arguments& given, output& out);
promise<int> ls_tree_command(const arguments& given, output& out);
promise<int> log_command(const arguments& given, output& out);
promise<int> export_command(const arguments& given, output& out);
promise<int> push_command_line(const arguments& given, output& out);
promise<int> rev_parse_command(const arguments& given, output& out);
promise<int> serve_command(const arguments& given, output& out);

// As git is told of a certificate that the system does not know: by GIT_SSL_CAINFO.
fermata::git_mem::remote_options remote_of_environment();

// The store that `file` holds.
promise<fermata::git_mem::snapshot_ptr> open_saved(fermata::git_mem::object_store& into,
                                                   std::string file);

}  // namespace fermata_git
