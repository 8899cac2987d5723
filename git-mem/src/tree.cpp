// SPDX-License-Identifier: MIT
// Our own parser, not libgit2's: the `packages` tree of the opam repository has 174 kB, and libgit2
// reads and parses a tree in one call.

#include "tree_source.hpp"

#include <fermata/git_mem/pkt_line.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <string>

namespace fermata::git_mem {

namespace {

std::string octal(std::uint32_t bits) {
  std::array<char, 11> text{};
  const auto [end, error] = std::to_chars(text.data(), text.data() + text.size(), bits, 8);
  static_cast<void>(error);  // 32 bits fit
  return {text.data(), end};
}

}  // namespace

namespace detail {

namespace {

constexpr std::uint64_t most_in_one_step = 1024 * 1024;

}  // namespace

object_id root_tree(const snapshot_ptr& from, const object_id& root) {
  const std::optional<object_header> h = from->find_object(root);
  if (!h) throw failure(reason::not_found, "object " + root.hex() + ": not in the store");
  if (h->type == object_type::commit) {
    return parse_commit(root, read_object(from, root, most_in_one_step).text()).tree;
  }
  if (h->type == object_type::tree) return root;
  throw failure(reason::corrupt, "object " + root.hex() + ": it is a " +
                                     std::string(type_name(h->type)) + ", no commit and no tree");
}

object_reader open_tree(const snapshot_ptr& from, const object_id& id, object_cache* recent) {
  object_reader reader(from, id, recent);
  if (reader.header().type != object_type::tree) {
    throw failure(reason::corrupt, "object " + id.hex() + ": it is a " +
                                       std::string(type_name(reader.header().type)) + ", no tree");
  }
  return reader;
}

std::string shown_path(std::string_view path) { return "path \"" + printable(path) + "\""; }

void walk_bounds::enter(std::size_t depth) {
  if (depth < tree_walk::deepest) return;
  throw failure(reason::limit,
                "more than " + std::to_string(tree_walk::deepest) + " nested directories");
}

void walk_bounds::refuse(std::size_t path_bytes) {
  if (path_bytes > tree_walk::longest_path) {
    throw failure(reason::limit,
                  "a path of more than " + std::to_string(tree_walk::longest_path) + " bytes");
  }
  throw failure(reason::limit, "files whose paths are more than " +
                                   std::to_string(tree_walk::most_path_bytes) + " bytes");
}

std::strong_ordering tree_order(std::string_view a,
                                bool a_is_tree,
                                std::string_view b,
                                bool b_is_tree) noexcept {
  const std::size_t n = std::min(a.size(), b.size());
  const int order = a.substr(0, n).compare(b.substr(0, n));
  if (order != 0) return order <=> 0;
  const auto after = [n](std::string_view name, bool is_tree) -> unsigned char {
    if (name.size() > n) return static_cast<unsigned char>(name[n]);
    return is_tree ? '/' : '\0';
  };
  const unsigned char x = after(a, a_is_tree);
  const unsigned char y = after(b, b_is_tree);
  return x != y ? x <=> y : a.size() <=> b.size();
}

}  // namespace detail

namespace {

bool equals_in_any_case(std::string_view a, std::string_view lower) noexcept {
  return std::equal(a.begin(), a.end(), lower.begin(), lower.end(), [](char x, char y) {
    return x == y || (x >= 'A' && x <= 'Z' && x - 'A' + 'a' == y);
  });
}

// NTFS: spaces and dots at the end do not count, a colon begins a stream, a backslash is a slash,
// and "git~1" is another name of ".git".
bool is_git_on_ntfs(std::string_view name) noexcept {
  for (;;) {
    const std::size_t end = std::min(name.find_first_of("\\:"), name.size());
    std::string_view part = name.substr(0, end);
    while (part.ends_with(' ') || part.ends_with('.')) part.remove_suffix(1);
    if (equals_in_any_case(part, ".git") || equals_in_any_case(part, "git~1")) return true;
    if (end == name.size() || name[end] == ':') return false;
    name.remove_prefix(end + 1);
  }
}

// HFS+: some code points, all of three bytes in UTF-8, are not there when names are compared.
bool is_git_on_hfs(std::string_view name) noexcept {
  std::string kept;
  for (std::size_t i = 0; i < name.size(); ++i) {
    const auto byte = [&](std::size_t k) { return static_cast<unsigned char>(name[i + k]); };
    if (i + 2 < name.size() && byte(0) >= 0xe0) {
      const unsigned point = (byte(0) & 0x0fU) << 12 | (byte(1) & 0x3fU) << 6 | (byte(2) & 0x3fU);
      if ((point >= 0x200c && point <= 0x200f) || (point >= 0x202a && point <= 0x202e) ||
          (point >= 0x206a && point <= 0x206f) || point == 0xfeff) {
        i += 2;
        continue;
      }
    }
    if (kept.size() == 4) return false;
    kept += name[i];
  }
  return equals_in_any_case(kept, ".git");
}

}  // namespace

bool is_safe_name(std::string_view name) noexcept {
  if (name.empty() || name == "." || name == "..") return false;
  bool plain = true;  // no byte of any name of ".git" but its letters
  for (const char c : name) {
    if (c == '/' || c == '\0') return false;
    plain = plain && c != '.' && c != '~' && c != '\\';
  }
  return plain || (!is_git_on_ntfs(name) && !is_git_on_hfs(name));
}

void tree_reader::refuse(std::size_t at, const std::string& why) const {
  const std::string which = id_.is_zero() ? std::string() : "tree " + id_.hex() + ": ";
  throw failure(reason::corrupt, which + "tree byte " + std::to_string(at) + ": " + why);
}

// Old programs wrote all the bits of stat. As git does, the kind and one of them are looked at.
file_mode tree_reader::to_mode(std::uint32_t bits, std::size_t at) const {
  constexpr std::uint32_t kind = 0170000;
  constexpr std::uint32_t runs = 0100;
  switch (bits & kind) {
    case 0040000:
      return file_mode::tree;
    case 0100000:
      return (bits & runs) != 0 ? file_mode::executable : file_mode::file;
    case 0120000:
      return file_mode::symlink;
    case 0160000:
      return file_mode::submodule;
    default:
      refuse(at, "mode " + octal(bits) + " is none of git's");
  }
}

std::optional<tree_entry> tree_reader::next() {
  if (at_ == content_.size()) return std::nullopt;
  const std::size_t began = at_;
  std::uint32_t bits = 0;
  for (;;) {  // zeros in front do not count
    if (at_ == content_.size()) refuse(began, "it ends inside an entry");
    const std::uint8_t c = content_[at_++];
    if (c == ' ' && at_ > began + 1) break;
    if (c < '0' || c > '7' || bits > 0077777) refuse(began, "its mode is no octal number");
    bits = bits * 8 + (c - '0');
  }
  const auto* const name = reinterpret_cast<const char*>(content_.data() + at_);
  const std::string_view rest(name, content_.size() - at_);
  const std::size_t length = rest.find('\0');
  if (length == std::string_view::npos || rest.size() - length - 1 < object_id::size_bytes) {
    refuse(began, "it ends inside an entry");
  }
  tree_entry e;
  e.mode = to_mode(bits, began);
  e.name = rest.substr(0, length);
  at_ += length + 1;
  e.id = object_id::from_bytes(content_.data() + at_);
  at_ += object_id::size_bytes;
  if (!is_safe_name(e.name)) {
    refuse(began, "the name \"" + printable(e.name, 80) + "\" is not allowed");
  }
  const bool is_tree = e.mode == file_mode::tree;
  if (!last_name_.empty() && detail::tree_order(last_name_, last_is_tree_, e.name, is_tree) !=
                                 std::strong_ordering::less) {
    refuse(began, "\"" + printable(e.name, 80) + "\" is out of order");
  }
  last_name_ = e.name;
  last_is_tree_ = is_tree;
  return e;
}

}  // namespace fermata::git_mem
