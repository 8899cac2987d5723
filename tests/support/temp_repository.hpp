// SPDX-License-Identifier: MIT
/// Folders and git repositories that go away with the test, and the real data where it is present.
#pragma once

#include "support/places.hpp"

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <stdexcept>
#include <string>

namespace fermata::test {

class temp_folder {
public:
  temp_folder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "fermata-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("cannot make a folder");
    path_ = pattern;
  }
  temp_folder(const temp_folder&) = delete;
  temp_folder& operator=(const temp_folder&) = delete;
  ~temp_folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

  /// What a shell command in this folder prints; throws if it fails.
  [[nodiscard]] std::string output(const std::string& command) const {
    const std::string line = "cd '" + path_.string() + "' && export HOME=. GIT_CONFIG_NOSYSTEM=1 " +
                             "GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a " +
                             "GIT_COMMITTER_EMAIL=a@b GIT_AUTHOR_DATE='1700000000 +0000' " +
                             "GIT_COMMITTER_DATE='1700000000 +0000' && " + command;
    std::FILE* pipe = ::popen(line.c_str(), "r");
    if (pipe == nullptr) throw std::runtime_error("cannot run " + command);
    std::string out;
    char buffer[65536];
    while (const std::size_t n = std::fread(buffer, 1, sizeof buffer, pipe)) out.append(buffer, n);
    if (::pclose(pipe) != 0) throw std::runtime_error("failed: " + command);
    return out;
  }
  void run(const std::string& command) const { static_cast<void>(output(command)); }

  void write(const std::string& name, const std::string& content) const {
    std::filesystem::create_directories((path_ / name).parent_path());
    std::ofstream(path_ / name, std::ios::binary) << content;
  }

private:
  std::filesystem::path path_;
};

inline std::string read_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw std::runtime_error("cannot read " + path.string());
  return {std::istreambuf_iterator<char>(in), {}};
}

/// The folder of real data beside the checkout; prints a line and is false where it is absent.
inline bool find_shared_data(const std::string& name, std::filesystem::path& path) {
  path = std::filesystem::path(source_dir()) / ".." / "shared" / "data" / name;
  if (std::filesystem::exists(path)) return true;
  std::cout << "skipped: " << name << " is not there\n";
  return false;
}

}  // namespace fermata::test
