// SPDX-License-Identifier: MIT
// Our own parser, not libgit2's: the `packages` tree of the opam repository has 174 kB, and libgit2
// reads and parses a tree in one call.

#include <fermata/git_mem/pkt_line.hpp>
#include <fermata/git_mem/tree.hpp>

#include <algorithm>

namespace fermata::git_mem {

namespace {

[[noreturn]] void bad(std::size_t at, const std::string& why) {
  throw failure(reason::corrupt, "tree byte " + std::to_string(at) + ": " + why);
}

file_mode to_mode(std::uint32_t bits, std::size_t at) {
  for (const file_mode known : {file_mode::tree, file_mode::file, file_mode::group_writable,
                                file_mode::executable, file_mode::symlink, file_mode::submodule}) {
    if (static_cast<std::uint32_t>(known) == bits) return known;
  }
  bad(at, "mode " + std::to_string(bits) + " is none of git's");
}

// Git's order: as if directories ended in '/'.
bool is_before(std::string_view a, bool a_tree, std::string_view b, bool b_tree) {
  const std::size_t n = std::min(a.size(), b.size());
  const int order = a.substr(0, n).compare(b.substr(0, n));
  if (order != 0) return order < 0;
  const auto after = [n](std::string_view name, bool tree) -> unsigned char {
    if (name.size() > n) return static_cast<unsigned char>(name[n]);
    return tree ? '/' : '\0';
  };
  const unsigned char x = after(a, a_tree);
  const unsigned char y = after(b, b_tree);
  return x != y ? x < y : a.size() < b.size();
}

}  // namespace

bool is_safe_name(std::string_view name) noexcept {
  if (name.empty() || name == "." || name == "..") return false;
  if (name.find('/') != std::string_view::npos || name.find('\0') != std::string_view::npos) {
    return false;
  }
  constexpr std::string_view git = ".git";
  return name.size() != git.size() ||
         !std::equal(name.begin(), name.end(), git.begin(), [](char a, char b) {
           return a == b || (a >= 'A' && a <= 'Z' && a - 'A' + 'a' == b);
         });
}

std::optional<tree_entry> tree_reader::next() {
  if (at_ == content_.size()) return std::nullopt;
  const std::size_t began = at_;
  std::uint32_t bits = 0;
  for (std::size_t digits = 0;; ++digits) {
    if (at_ == content_.size()) bad(began, "it ends inside an entry");
    const std::uint8_t c = content_[at_++];
    if (c == ' ' && digits > 0) break;
    if (c < '0' || c > '7' || digits == 6) bad(began, "its mode is no octal number");
    bits = bits * 8 + (c - '0');
  }
  const auto* const name = reinterpret_cast<const char*>(content_.data() + at_);
  const std::string_view rest(name, content_.size() - at_);
  const std::size_t length = rest.find('\0');
  if (length == std::string_view::npos || rest.size() - length - 1 < object_id::size_bytes) {
    bad(began, "it ends inside an entry");
  }
  tree_entry e;
  e.mode = to_mode(bits, began);
  e.name = rest.substr(0, length);
  at_ += length + 1;
  e.id = object_id::from_bytes(content_.data() + at_);
  at_ += object_id::size_bytes;
  if (!is_safe_name(e.name)) {
    bad(began, "the name \"" + printable(e.name, 80) + "\" is not allowed");
  }
  const bool is_tree = e.mode == file_mode::tree;
  if (!last_name_.empty() && !is_before(last_name_, last_is_tree_, e.name, is_tree)) {
    bad(began, "\"" + printable(e.name, 80) + "\" is out of order");
  }
  last_name_ = e.name;
  last_is_tree_ = is_tree;
  return e;
}

}  // namespace fermata::git_mem
