// SPDX-License-Identifier: MIT
// Files, an index of them, and what stands in it.
#pragma once

#include <fermata/mirror/index_builder.hpp>

#include <archive.h>
#include <archive_entry.h>
#include <catch2/catch.hpp>
#include <zlib.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace fermata::mirror::test {

using files = std::map<std::string, std::string>;
using git_mem::step_state;

inline step_state drive(index_builder& builder) {
  step_state state = builder.step().state;
  while (state == step_state::more) state = builder.step().state;
  return state;
}

inline void add_whole(index_builder& builder, const files::value_type& file) {
  if (!builder.add(file.first, file.first.ends_with(".sh"), file.second.size())) return;
  REQUIRE(drive(builder) == step_state::need_input);
  if (file.second.empty()) return;
  builder.feed(file.second);
  REQUIRE(drive(builder) == step_state::need_input);
}

// Feeds each file in pieces of `piece` bytes.
inline index_result build(const files& all, std::size_t piece = 1'000'000'000) {
  index_builder builder;
  for (const auto& [path, bytes] : all) {
    if (!builder.add(path, path.ends_with(".sh"), bytes.size())) continue;
    REQUIRE(drive(builder) == step_state::need_input);
    for (std::size_t at = 0; at < bytes.size(); at += piece) {
      builder.feed(std::string_view(bytes).substr(at, piece));
      REQUIRE(drive(builder) == step_state::need_input);
    }
  }
  builder.finish();
  REQUIRE(drive(builder) == step_state::done);
  return builder.take();
}

// A repository of `packages` files of a few hundred different bytes each.
inline files sample(int packages) {
  files all{{"repo", "opam-version: \"2.0\"\n"}, {"version", "0.9.0\n"}};
  std::uint32_t state = 1;
  for (int i = 0; i < packages; ++i) {
    std::string text;
    for (int j = 0; j < 60; ++j) {
      state = state * 1664525u + 1013904223u;
      text += std::to_string(state >> 8) + (j % 6 == 5 ? "\n" : " ");
    }
    all["packages/p" + std::to_string(i % 97) + "/p." + std::to_string(i) + "/opam"] = text;
  }
  return all;
}

struct entry {
  std::string bytes;
  int mode = 0;
  std::int64_t time = 0;
  std::string owner;
};

inline std::map<std::string, entry> unpacked(const std::string& tar_gz) {
  std::unique_ptr<archive, decltype(&archive_read_free)> a(archive_read_new(), archive_read_free);
  archive_read_support_filter_gzip(a.get());
  archive_read_support_format_tar(a.get());
  REQUIRE(archive_read_open_memory(a.get(), tar_gz.data(), tar_gz.size()) == ARCHIVE_OK);
  std::map<std::string, entry> all;
  archive_entry* e = nullptr;
  int code = ARCHIVE_OK;
  while ((code = archive_read_next_header(a.get(), &e)) == ARCHIVE_OK) {
    entry& found = all[archive_entry_pathname(e)];
    found.mode = static_cast<int>(archive_entry_perm(e));
    found.time = archive_entry_mtime(e);
    found.owner = archive_entry_uname(e);
    found.bytes.resize(static_cast<std::size_t>(archive_entry_size(e)));
    REQUIRE(archive_read_data(a.get(), found.bytes.data(), found.bytes.size()) ==
            static_cast<la_ssize_t>(found.bytes.size()));
  }
  REQUIRE(code == ARCHIVE_EOF);
  return all;
}

// Inflates the one member that must be there; zlib checks its CRC and length.
inline std::string inflated(const std::string& gz) {
  z_stream z{};
  REQUIRE(inflateInit2(&z, 15 + 16) == Z_OK);
  std::string out(64 * 1024 * 1024, '\0');
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(gz.data()));
  z.avail_in = static_cast<uInt>(gz.size());
  z.next_out = reinterpret_cast<Bytef*>(out.data());
  z.avail_out = static_cast<uInt>(out.size());
  CHECK(inflate(&z, Z_FINISH) == Z_STREAM_END);
  CHECK(z.avail_in == 0);  // no second member, nothing behind
  out.resize(z.total_out);
  inflateEnd(&z);
  return out;
}

inline std::vector<std::string> block_texts(const index_result& result) {
  const std::string gz = std::string(text_of(result.bytes));
  std::vector<std::string> texts;
  for (const index_block& b : result.blocks)
    texts.push_back(gz.substr(b.gzip_offset, b.gzip_bytes));
  return texts;
}

}  // namespace fermata::mirror::test
