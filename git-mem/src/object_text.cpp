// SPDX-License-Identifier: MIT
#include "object_text.hpp"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <string_view>

namespace fermata::git_mem::detail {

namespace {

// In a header line nothing may end it, nor the text.
void check_line(std::string_view text, const std::string& what) {
  if (text.find_first_of(std::string_view("\n\0", 2)) == std::string_view::npos) return;
  throw failure(reason::corrupt, what + " has a line feed or a NUL in it");
}

std::string zone_text(int zone) {
  std::string digits = std::to_string(std::abs(zone));
  if (digits.size() < 4) digits.insert(0, 4 - digits.size(), '0');
  return (zone < 0 ? "-" : "+") + digits;
}

std::string signature_line(std::string_view key, const signature& s) {
  const std::string what(key);
  check_line(s.name, what);
  check_line(s.email, what);
  if ((s.name + s.email).find_first_of("<>") != std::string::npos) {
    throw failure(reason::corrupt, what + " has a < or > in it");
  }
  return what + " " + s.name + " <" + s.email + "> " +
         std::to_string(s.when.time_since_epoch().count()) + " " + zone_text(s.zone) + "\n";
}

std::string header_line(const std::string& key, std::string_view value) {
  check_line(key, "a header's name");
  if (value.find('\0') != std::string_view::npos) {
    throw failure(reason::corrupt, key + " has a NUL in it");
  }
  std::string out = key;
  out += ' ';
  for (const char c : value) {
    out += c;
    if (c == '\n') out += ' ';
  }
  out += '\n';
  return out;
}

// As git compares names: directories as if they ended in '/'.
std::string sort_key(const tree_item& i) {
  return i.mode == file_mode::tree ? i.name + "/" : i.name;
}

}  // namespace

std::string commit_text(const commit& c) {
  std::string out = "tree " + c.tree.hex() + "\n";
  for (const object_id& p : c.parents) out += "parent " + p.hex() + "\n";
  out += signature_line("author", c.author) + signature_line("committer", c.committer);
  if (!c.encoding.empty()) {
    check_line(c.encoding, "encoding");
    out += "encoding " + c.encoding + "\n";
  }
  for (const auto& [key, value] : c.other_headers) out += header_line(key, value);
  return out + "\n" + c.message;
}

std::string tag_text(const tag& t) {
  check_line(t.name, "the tag's name");
  std::string out = "object " + t.target.hex() + "\ntype " + std::string(type_name(t.target_type)) +
                    "\ntag " + t.name + "\n";
  if (t.has_tagger) out += signature_line("tagger", t.tagger);
  return out + "\n" + t.message;
}

std::string tree_text(std::vector<tree_item> items) {
  std::sort(items.begin(), items.end(),
            [](const tree_item& a, const tree_item& b) { return sort_key(a) < sort_key(b); });
  std::string out;
  for (const tree_item& i : items) {
    char mode[8];
    const auto end = std::to_chars(mode, mode + sizeof mode, static_cast<unsigned>(i.mode), 8).ptr;
    out.append(mode, end) += ' ';
    out += i.name;
    out += '\0';
    out.append(reinterpret_cast<const char*>(i.id.data()), object_id::size_bytes);
  }
  return out;
}

}  // namespace fermata::git_mem::detail
