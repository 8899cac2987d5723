// SPDX-License-Identifier: MIT
#include <fermata/git_mem/naming.hpp>

#include <algorithm>
#include <charconv>
#include <iterator>
#include <string_view>

namespace fermata::git_mem {

namespace {

// What git hashes in front of the content: "blob 12" and a zero.
void hash_header(sha1& hash, object_type type, std::uint64_t size) {
  char text[32];
  const std::string_view name = type_name(type);
  char* at = std::copy(name.begin(), name.end(), text);
  *at++ = ' ';
  at = std::to_chars(at, std::end(text) - 1, size).ptr;
  *at++ = '\0';
  hash.update({reinterpret_cast<const std::uint8_t*>(text), static_cast<std::size_t>(at - text)});
}

}  // namespace

object_id name_object(object_type type, std::span<const std::uint8_t> content, verify how) {
  sha1 hash(how);
  hash_header(hash, type, content.size());
  hash.update(content);
  return hash.finish();
}

object_namer::object_namer(object_type type, std::uint64_t size, verify how) : hash_(how) {
  hash_header(hash_, type, size);
}

}  // namespace fermata::git_mem
