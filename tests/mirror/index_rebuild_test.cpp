// SPDX-License-Identifier: MIT
// An index out of an earlier one.

#include "index_support.hpp"
#include "support/temp_repository.hpp"

#include <fermata/loop/error.hpp>

#include <algorithm>
#include <array>
#include <random>
#include <string>
#include <utility>

using namespace fermata::mirror;
using namespace fermata::mirror::test;

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
