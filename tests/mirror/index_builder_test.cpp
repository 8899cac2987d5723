// SPDX-License-Identifier: MIT
#include "index_support.hpp"

#include <fermata/loop/error.hpp>

#include <string>
#include <utility>
#include <vector>

using namespace fermata::mirror;
using namespace fermata::mirror::test;

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

  std::size_t changed = 0;  // bytes
  std::size_t all_bytes = 0;
  for (const std::string& text : after) {
    all_bytes += text.size();
    if (std::find(before.begin(), before.end(), text) == before.end()) changed += text.size();
  }
  CHECK(changed * 20 <= all_bytes);
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
