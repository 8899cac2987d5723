// SPDX-License-Identifier: MIT
#include "support/temp_repository.hpp"

#include <fermata/loop/error.hpp>
#include <fermata/mirror/index_builder.hpp>

#include <archive.h>
#include <archive_entry.h>
#include <catch2/catch.hpp>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

using namespace fermata::mirror;
using fermata::git_mem::step_state;

namespace {

using files = std::map<std::string, std::string>;

step_state drive(index_builder& builder) {
  step_state state = builder.step().state;
  while (state == step_state::more) state = builder.step().state;
  return state;
}

void add_whole(index_builder& builder, const files::value_type& file) {
  if (!builder.add(file.first, file.first.ends_with(".sh"), file.second.size())) return;
  REQUIRE(drive(builder) == step_state::need_input);
  if (file.second.empty()) return;
  builder.feed(file.second);
  REQUIRE(drive(builder) == step_state::need_input);
}

// Feeds each file in pieces of `piece` bytes.
index_result build(const files& all, std::size_t piece = 1'000'000'000) {
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
files sample(int packages) {
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

std::map<std::string, entry> unpacked(const std::string& tar_gz) {
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
std::string inflated(const std::string& gz) {
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

std::vector<std::string> block_texts(const index_result& result) {
  const std::string gz = std::string(text_of(result.bytes));
  std::vector<std::string> texts;
  for (const index_block& b : result.blocks)
    texts.push_back(gz.substr(b.gzip_offset, b.gzip_bytes));
  return texts;
}

}  // namespace

TEST_CASE("the index unpacks to the files with fixed times and owners", "[mirror][index]") {
  files all = sample(300);
  all["packages/p0/p.0/files/run.sh"] = "#!/bin/sh\n";
  all["packages/p0/p.0/files/empty"] = "";
  const index_result result = build(all);

  const auto found = unpacked(std::string(text_of(result.bytes)));
  REQUIRE(found.size() == all.size());
  CHECK(result.files == all.size());
  for (const auto& [path, bytes] : all) {
    INFO(path);
    REQUIRE(found.contains(path));
    CHECK(found.at(path).bytes == bytes);
    CHECK(found.at(path).mode == (path.ends_with(".sh") ? 0755 : 0644));
    CHECK(found.at(path).time == 946'684'800);
    CHECK(found.at(path).owner == "root");
  }
}

TEST_CASE("the index is one gzip member with a plain header", "[mirror][index]") {
  const index_result result = build(sample(500));
  const std::string gz = std::string(text_of(result.bytes));
  CHECK(gz.substr(0, 10) == std::string("\x1f\x8b\x08\0\0\0\0\0\0\xff", 10));

  const std::string tar = inflated(gz);
  CHECK(tar.size() == result.tar_bytes);
  CHECK(tar.substr(tar.size() - 1024) == std::string(1024, '\0'));
  CHECK(tar[tar.size() - 1025 - 506] != '\0');  // two zero blocks and no more: version's text
}

TEST_CASE("an index without files is two zero blocks", "[mirror][index]") {
  const index_result result = build({});
  CHECK(inflated(std::string(text_of(result.bytes))) == std::string(1024, '\0'));
  CHECK(result.files == 0);
}

TEST_CASE("the bytes do not depend on how files are fed", "[mirror][index]") {
  files all = sample(400);
  all["packages/big"] = std::string(3'000'000, 'b');
  const index_result whole = build(all);
  const index_result pieces = build(all, 777);

  CHECK(std::string(text_of(whole.bytes)) == std::string(text_of(pieces.bytes)));
  CHECK(whole.etag == pieces.etag);
  CHECK(whole.etag.size() == 34);
  CHECK(whole.etag.front() == '"');
  CHECK(whole.etag.back() == '"');
}

TEST_CASE("another file gives another etag", "[mirror][index]") {
  files all = sample(10);
  const std::string before = build(all).etag;
  all["version"] = "0.9.1\n";
  CHECK(build(all).etag != before);
}

TEST_CASE("blocks lie side by side and each inflates behind what it may reach", "[mirror][index]") {
  const index_result result = build(sample(3000));
  const std::string gz = std::string(text_of(result.bytes));
  const std::string tar = inflated(gz);
  REQUIRE(result.blocks.size() > 5);
  std::uint64_t tar_at = 0;
  std::uint64_t gzip_at = 10;
  for (const index_block& b : result.blocks) {
    CHECK(b.tar_offset == tar_at);
    CHECK(b.gzip_offset == gzip_at);
    z_stream z{};
    REQUIRE(inflateInit2(&z, -15) == Z_OK);
    const std::uint64_t reach = std::min(b.tar_offset, index_reach_bytes);
    REQUIRE(inflateSetDictionary(&z,
                                 reinterpret_cast<const Bytef*>(tar.data() + b.tar_offset - reach),
                                 static_cast<uInt>(reach)) == Z_OK);
    std::string out(b.tar_bytes + 1, '\0');
    z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(gz.data() + b.gzip_offset));
    z.avail_in = static_cast<uInt>(b.gzip_bytes);
    z.next_out = reinterpret_cast<Bytef*>(out.data());
    z.avail_out = static_cast<uInt>(out.size());
    CHECK(inflate(&z, Z_SYNC_FLUSH) == Z_OK);
    inflateEnd(&z);
    out.resize(z.total_out);
    CHECK(out == tar.substr(b.tar_offset, b.tar_bytes));
    CHECK(b.crc == crc32_z(0, reinterpret_cast<const Bytef*>(out.data()), out.size()));
    tar_at += b.tar_bytes;
    gzip_at += b.gzip_bytes;
  }
  CHECK(tar_at == result.tar_bytes);
}

TEST_CASE("a changed, an added and a removed file change few blocks", "[mirror][index]") {
  files all = sample(3000);
  const std::vector<std::string> before = block_texts(build(all));
  all["packages/p50/p.147/opam"] += "more\n";
  all["packages/p60/p.60/added"] = "an added file\n";
  all.erase("packages/p70/p.70/opam");
  const std::vector<std::string> after = block_texts(build(all));

  std::size_t changed = 0;
  for (const std::string& text : after) {
    if (std::find(before.begin(), before.end(), text) == before.end()) ++changed;
  }
  CHECK(changed <= 4);
  CHECK(after.size() >= before.size() - 3);
}

TEST_CASE("a block ends within a large file", "[mirror][index]") {
  const index_result result = build({{"big", std::string(5 * 1024 * 1024, 'x')}});
  CHECK(result.blocks.size() == 7);  // and one of the tar's end
  CHECK(inflated(std::string(text_of(result.bytes))).size() == result.tar_bytes);
}

TEST_CASE("paths that no client could unpack are left out and noted", "[mirror][index]") {
  index_builder builder;
  CHECK_FALSE(builder.add("", false, 1));
  CHECK_FALSE(builder.add("/etc/passwd", false, 1));
  CHECK_FALSE(builder.add("a//b", false, 1));
  CHECK_FALSE(builder.add("a/", false, 1));
  CHECK_FALSE(builder.add("a/../b", false, 1));
  CHECK_FALSE(builder.add("./b", false, 1));
  CHECK_FALSE(builder.add("a\nb", false, 1));
  CHECK(builder.add("b", false, 0));
  drive(builder);
  CHECK_FALSE(builder.add("b", false, 0));
  CHECK_FALSE(builder.add("a", false, 0));
  builder.skip("link", "symbolic link");
  builder.finish();
  drive(builder);
  const index_result result = builder.take();

  CHECK(result.files == 1);
  CHECK(result.left_out == 10);
  CHECK(result.notes ==
        std::vector<std::string>{
            ": left out: empty path", "/etc/passwd: left out: absolute path",
            "a//b: left out: empty name in the path", "a/: left out: empty name in the path",
            "a/../b: left out: dots as a name in the path",
            "./b: left out: dots as a name in the path",
            "a?b: left out: control character in the path", "b: left out: out of order or twice",
            "a: left out: out of order or twice", "link: left out: symbolic link"});
}

TEST_CASE("notes are bounded, their count is not", "[mirror][index]") {
  index_builder builder;
  for (int i = 0; i < 1000; ++i) builder.skip("link", "symbolic link");
  builder.finish();
  drive(builder);
  const index_result result = builder.take();
  CHECK(result.notes.size() == index_notes_max);
  CHECK(result.left_out == 1000);
}

TEST_CASE("long paths and paths in UTF-8 are kept, unsplittable ones noted", "[mirror][index]") {
  const std::string split = std::string(120, 'd') + "/" + std::string(100, 'f');
  const std::string long_name = "packages/" + std::string(101, 'n');
  const std::string utf8 = "packages/\xc3\xa9t\xc3\xa9";
  const index_result result = build({{split, "1"}, {long_name, "2"}, {utf8, "3"}});

  const auto found = unpacked(std::string(text_of(result.bytes)));
  CHECK(found.size() == 3);
  CHECK(found.contains(split));
  CHECK(found.contains(long_name));
  CHECK(found.contains(utf8));
  CHECK(result.notes == std::vector<std::string>{
                            long_name + ": needs a pax header, opam 2.6.1 may fail to update"});
}

TEST_CASE("a path fits ustar if a slash splits it into 155 and 100 bytes", "[mirror][index]") {
  const auto path = [](std::size_t before, std::size_t after) {
    return std::string(before, 'a') + "/" + std::string(after, 'b');
  };
  CHECK(fits_ustar(std::string(100, 'a')));
  CHECK_FALSE(fits_ustar(std::string(101, 'a')));
  CHECK(fits_ustar(path(155, 100)));
  CHECK_FALSE(fits_ustar(path(156, 100)));
  CHECK_FALSE(fits_ustar(path(155, 101)));
  CHECK(fits_ustar(path(20, 20) + "/" + std::string(95, 'c')));
}

TEST_CASE("an index over its limit is refused", "[mirror][index]") {
  index_settings settings;
  settings.limit_bytes = 1000;
  index_builder builder(settings);
  std::string noise;
  for (unsigned i = 0, state = 1; i < 300'000; ++i) {
    state = state * 1664525u + 1013904223u;
    noise += static_cast<char>(state >> 24);
  }
  REQUIRE(builder.add("noise", false, noise.size()));
  builder.feed(noise);
  CHECK_THROWS_WITH(drive(builder), "more than the limit of 1000 bytes");
}

TEST_CASE("calls out of order are the caller's mistake", "[mirror][index]") {
  index_builder builder;
  CHECK_THROWS_AS(builder.take(), fermata::contract_error);
  REQUIRE(builder.add("a", false, 3));
  CHECK_THROWS_AS(builder.add("b", false, 0), fermata::contract_error);
  CHECK_THROWS_AS(builder.finish(), fermata::contract_error);
  CHECK_THROWS_AS(builder.feed("four"), fermata::contract_error);
  builder.feed("one");
  drive(builder);
  builder.finish();
  CHECK_THROWS_AS(builder.finish(), fermata::contract_error);
}

namespace {

// The index of `all` out of an earlier one: groups that are the same, behind the same, are taken
// over.
class rebuilding {
public:
  rebuilding(const files& all, const index_result& earlier, const files& before)
      : all_(all), earlier_(earlier) {
    auto old = before.begin();
    auto group_before = old;
    for (const index_group& group : earlier.groups) {
      old_groups_[old->first] = {old, reach_back(group_before, old), &group};
      group_before = old;
      std::advance(old, static_cast<std::ptrdiff_t>(group.entries));
    }
  }

  index_result run() {
    auto group_before = all_.begin();
    bool was_taken = false;
    for (auto at = all_.begin(); at != all_.end();) {
      auto end = std::next(at);
      for (std::uint64_t n = 1; end != all_.end() && !begins_group(end->first, n); ++n) ++end;
      const auto reach = reach_back(group_before, at);
      const index_group* same = find_same(reach, at, end);
      if (same != nullptr) {
        builder_.take_over(text_of(earlier_.bytes), earlier_.blocks, *same);
        REQUIRE(drive(builder_) == step_state::need_input);
      } else {
        if (was_taken) recall(reach, at);
        for (auto file = at; file != end; ++file) add_whole(builder_, *file);
      }
      was_taken = same != nullptr;
      group_before = std::exchange(at, end);
    }
    builder_.finish();
    REQUIRE(drive(builder_) == step_state::done);
    return builder_.take();
  }

private:
  using place = files::const_iterator;
  struct old_group {
    place begin;
    place reach;
    const index_group* what = nullptr;
  };

  static place reach_back(place begin, place end) {
    std::uint64_t bytes = 0;
    while (end != begin && bytes < index_reach_bytes) {
      --end;
      bytes += least_tar_bytes(end->first, end->second.size());
    }
    return end;
  }
  const index_group* find_same(place reach, place at, place end) const {
    const auto found = old_groups_.find(at->first);
    if (found == old_groups_.end()) return nullptr;
    const old_group& old = found->second;
    const auto old_end = std::next(old.begin, static_cast<std::ptrdiff_t>(old.what->entries));
    return std::equal(reach, end, old.reach, old_end) ? old.what : nullptr;
  }
  void recall(place from, place to) {
    for (; from != to; ++from) {
      const auto& [path, bytes] = *from;
      if (!builder_.recall(path, path.ends_with(".sh"), bytes.size())) continue;
      REQUIRE(drive(builder_) == step_state::need_input);
      if (bytes.empty()) continue;
      builder_.feed(bytes);
      REQUIRE(drive(builder_) == step_state::need_input);
    }
  }

  const files& all_;
  const index_result& earlier_;
  std::map<std::string, old_group> old_groups_;
  index_builder builder_;
};

index_result rebuild(const files& all, const index_result& earlier, const files& before) {
  return rebuilding(all, earlier, before).run();
}

}  // namespace

TEST_CASE("an index out of an earlier one is the index built anew", "[mirror][index]") {
  const files before = sample(3000);
  const index_result earlier = build(before);
  const auto same_as_new = [&](const files& now, std::uint64_t least_taken) {
    const index_result whole = build(now);
    const index_result part = rebuild(now, earlier, before);
    CHECK((text_of(part.bytes) == text_of(whole.bytes)));
    CHECK(part.etag == whole.etag);
    CHECK(part.files == whole.files);
    CHECK(part.left_out == whole.left_out);
    CHECK(part.notes == whole.notes);
    CHECK(part.tar_bytes == whole.tar_bytes);
    CHECK(part.groups.size() == whole.groups.size());
    CHECK(part.taken_over_bytes >= least_taken);
    CHECK(whole.taken_over_bytes == 0);
  };
  const std::uint64_t size = earlier.bytes.size();
  SECTION("nothing changed") { same_as_new(before, size - 100); }
  SECTION("a file changed, one came, one went, and the stamp is new") {
    files now = before;
    now["packages/p11/p.1563/opam"] += "more";
    now["packages/p50/new/opam"] = "new";
    now.erase("packages/p80/p.274/opam");
    now["repo"] += "stamp: \"2\"\n";
    same_as_new(now, size / 2);
  }
  SECTION("a file that is left out came") {
    files now = before;
    now["packages/p11/a\nb"] = "x";
    same_as_new(now, size / 2);
  }
  SECTION("all went") { same_as_new({{"repo", "r"}}, 0); }
  SECTION("any file changed") {
    for (std::size_t i = 0; i < 60; ++i) {
      files now = before;
      std::next(now.begin(), static_cast<std::ptrdiff_t>(i * 47))->second += "x";
      same_as_new(now, size * 3 / 4);
    }
  }
}

TEST_CASE("small files, empty ones and left out ones are recalled as they were",
          "[mirror][index]") {
  files before;
  for (int i = 0; i < 900; ++i) {
    const std::string path = "packages/p" + std::to_string(1000 + i);
    before[path + (i % 7 == 3 ? "\n" : "/opam")] =
        std::string(static_cast<std::size_t>(i % 5), 'x');
    if (i % 90 == 0) before[path + "/noise.sh"] = std::string(20'000, static_cast<char>(i));
  }
  const index_result earlier = build(before);
  for (int i = 0; i < 900; i += 13) {
    files now = before;
    now["packages/p" + std::to_string(1000 + i) + "/zz"] = "new";
    const index_result whole = build(now);
    const index_result part = rebuild(now, earlier, before);
    INFO(i);
    REQUIRE((text_of(part.bytes) == text_of(whole.bytes)));
    REQUIRE(part.taken_over_bytes > earlier.bytes.size() / 2);
    inflated(std::string(text_of(part.bytes)));
  }
}

namespace {

// Bytes that deflate in different ways: noise, one symbol, words, runs, what stands far back.
std::string make_text(std::mt19937& random, std::size_t size) {
  const auto kind = random() % 5;
  std::string text;
  while (text.size() < size) {
    switch (kind) {
      case 0:
        text += static_cast<char>(random());
        break;
      case 1:
        text += 'x';
        break;
      case 2:
        text += "word" + std::to_string(random() % 40 * 7919) + " ";
        break;
      case 3:
        text += std::string(random() % 600, static_cast<char>(random() % 4)) + "end";
        break;
      default:
        text += text.empty() ? "begin" : text.substr(random() % text.size(), 3 + random() % 300);
        if (random() % 4 == 0) text += std::to_string(random());
    }
  }
  text.resize(size);
  return text;
}

files make_files(std::mt19937& random, std::size_t count) {
  constexpr std::array<std::size_t, 8> sizes{0, 1, 511, 512, 513, 4095, 4096, 4097};
  files all;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t size = random() % 3 == 0    ? sizes[random() % sizes.size()]
                             : random() % 40 == 0 ? random() % 1'500'000
                                                  : random() % 6'000;
    all["packages/p" + std::to_string(random() % 1'000'000) + "/opam"] = make_text(random, size);
  }
  return all;
}

}  // namespace

TEST_CASE("any files become one member that unpacks to them, also over an earlier index",
          "[mirror][index]") {
  std::mt19937 random(1);
  for (int round = 0; round < 8; ++round) {
    files before = make_files(random, random() % 400);
    const index_result earlier = build(before);
    files now = before;
    for (const auto& [path, bytes] : make_files(random, 3)) now[path] = bytes;
    for (int i = 0; i < 3 && !now.empty(); ++i) {
      const auto at = std::next(now.begin(), static_cast<std::ptrdiff_t>(random() % now.size()));
      if (i == 0) {
        now.erase(at);
      } else {
        at->second = make_text(random, random() % 9'000);
      }
    }
    const index_result part = rebuild(now, earlier, before);
    INFO("round " << round);
    REQUIRE((text_of(part.bytes) == text_of(build(now).bytes)));
    const std::string gz(text_of(part.bytes));
    REQUIRE(inflated(gz).size() == part.tar_bytes);
    const auto found = unpacked(gz);
    REQUIRE(found.size() == now.size());
    for (const auto& [path, bytes] : now) REQUIRE((found.at(path).bytes == bytes));
  }
}

TEST_CASE("gzip, GNU tar and Python read the index as one member", "[mirror][index]") {
  const fermata::test::temp_folder folder;
  std::mt19937 random(2);
  const files all = make_files(random, 300);
  const index_result earlier = build(sample(3000));
  for (const std::string& gz :
       {std::string(text_of(build(all).bytes)),
        std::string(text_of(rebuild(sample(2990), earlier, sample(3000)).bytes))}) {
    folder.write("index.tar.gz", gz);
    folder.run("gzip -t index.tar.gz && gzip -dc index.tar.gz > index.tar");
    folder.run("test $(tar -tzf index.tar.gz | wc -l) = $(tar -tf index.tar | wc -l)");
    folder.run(
        "python3 -c 'import zlib; o = zlib.decompressobj(31); "
        "t = o.decompress(open(\"index.tar.gz\", \"rb\").read()); "
        "assert t == open(\"index.tar\", \"rb\").read() and o.eof and not o.unused_data'");
  }
}

TEST_CASE("only a group that was taken over is recalled", "[mirror][index]") {
  index_builder builder;
  CHECK_THROWS_AS(builder.recall("packages/a/opam", false, 3), fermata::contract_error);
}

TEST_CASE("a group cannot be taken over in the middle of a file", "[mirror][index]") {
  const index_result earlier = build(sample(3));
  index_builder builder;
  REQUIRE(builder.add("packages/a/opam", false, 3));
  CHECK_THROWS_AS(builder.take_over(text_of(earlier.bytes), earlier.blocks, earlier.groups.front()),
                  fermata::contract_error);
}
