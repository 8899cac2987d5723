// SPDX-License-Identifier: MIT
// Packs made to break an analyser. Numbers are those of the study of what git, libgit2 and go-git
// do with each. Every refusal names the byte; every pack is also fed byte by byte, with the same
// result.

#include "support/pack_builder.hpp"

#include <fermata/git_mem/object_reader.hpp>

#include <catch2/catch.hpp>

#include <string>

using namespace fermata::git_mem;
using namespace fermata::test;
using builder = pack_builder;

namespace {

constexpr auto one_byte = [] { return std::size_t{1}; };

// The message, which must not depend on how the bytes arrive.
std::string refusal(const std::string& pack, pack_limits limits = {}) {
  const analysed whole = analyse(pack, limits);
  const analysed bytewise = analyse_in_pieces(pack, one_byte, limits);
  CHECK(whole.error == bytewise.error);
  CHECK_FALSE(whole.pack);
  return whole.error;
}

std::uint32_t accepted_objects(const std::string& pack, pack_limits limits = {}) {
  const analysed whole = analyse(pack, limits);
  CHECK(whole.error == "");
  const analysed bytewise = analyse_in_pieces(pack, one_byte, limits);
  CHECK(bytewise.error == "");
  return whole.pack ? whole.pack->object_count() : 0;
}

std::string one_blob() {
  builder b;
  b.object(builder::blob, "hello");
  return b.finish();
}

// A blob and an ofs delta on it.
std::string with_delta(std::string_view delta) {
  builder b;
  const std::uint64_t base = b.object(builder::blob, "hello");
  b.ofs_delta(base, delta);
  return b.finish();
}

constexpr const char* delta_place = "pack byte 26: ";

}  // namespace

TEST_CASE("a pack with a wrong checksum is refused (01)", "[hostile][pack]") {
  std::string p = one_blob();
  p.back() = static_cast<char>(p.back() ^ 1);
  CHECK_THAT(refusal(p), Catch::StartsWith("pack byte 26: pack checksum is "));
}

TEST_CASE("bytes after the end of a pack are refused (02)", "[hostile][pack]") {
  CHECK(refusal(one_blob() + "x") == "pack byte 46: bytes after the end of the pack");
}

TEST_CASE("a pack whose count is too big or too small is refused (03, 04, 05)", "[hostile][pack]") {
  builder b;
  b.object(builder::blob, "hello");
  b.object(builder::blob, "world");
  CHECK_THAT(refusal(b.finish(3)), Catch::StartsWith("pack byte "));
  CHECK_THAT(refusal(b.finish(1)), Catch::StartsWith("pack byte 26: pack checksum is "));
  CHECK(refusal(b.finish(4'000'000'000U)) ==
        "pack byte 0: pack of 4000000000 objects, the limit is 20000000");
}

TEST_CASE("what is no pack is refused (06)", "[hostile][pack]") {
  CHECK(refusal("") == "pack byte 0: pack ends early, in its header");
  CHECK(refusal("PACK") == "pack byte 0: pack ends early, in its header");
  CHECK(refusal("<html><body>") == "pack byte 0: this is no pack");
  std::string p = one_blob();
  p[7] = 9;
  CHECK(refusal(p) == "pack byte 0: pack version 9");
}

TEST_CASE("a size that is not the content's is refused (07, 08, 09)", "[hostile][pack]") {
  const auto sized = [](std::uint64_t size) {
    builder b;
    b.object_of_size(builder::blob, "hello", size);
    return b.finish();
  };
  CHECK(refusal(sized(4)) == "pack byte 12: zlib data is longer than the 4 bytes declared");
  CHECK(refusal(sized(0)) == "pack byte 12: zlib data is longer than the 0 bytes declared");
  CHECK(refusal(sized(6)) == "pack byte 12: zlib data is 5 bytes, 6 declared");
  CHECK(refusal(sized(std::uint64_t{1} << 45)) ==
        "pack byte 12: object of 35184372088832 bytes, the limit is 134217728");
  builder endless;
  endless.raw(std::string(20, static_cast<char>(0xbf)));
  CHECK(refusal(endless.finish(1)) == "pack byte 12: object size is larger than any object");
}

TEST_CASE("an object that is there twice is kept once and counted (10)", "[hostile][pack]") {
  builder b;
  b.object(builder::blob, "hello");
  b.object(builder::blob, "hello");
  const analysed a = analyse(b.finish());
  REQUIRE(a.pack);
  CHECK(a.pack->object_count() == 1);
  CHECK(a.pack->entry_count() == 2);
  CHECK(a.progress.duplicates == 1);
}

TEST_CASE("entry types that do not exist are refused (11, 12)", "[hostile][pack]") {
  for (const unsigned kind : {5U, 0U}) {
    builder b;
    b.object(kind, "hello");
    CHECK(refusal(b.finish()) == "pack byte 12: object type " + std::to_string(kind));
  }
}

TEST_CASE("a pack that ends early is refused wherever it is cut (13)", "[hostile][pack]") {
  builder b;
  const std::uint64_t base = b.object(builder::blob, "hello, hello, hello");
  b.ofs_delta(base, make_delta(19, 5, copy_op(0, 5)));
  b.ref_delta(blob_id("hello"), make_delta(5, 2, copy_op(1, 2)));
  const std::string p = b.finish();
  CHECK(accepted_objects(p) == 3);
  for (std::size_t n = 0; n < p.size(); ++n) {
    INFO("cut at " << n);
    CHECK_THAT(refusal(p.substr(0, n)), Catch::Contains("pack ends early"));
  }
}

TEST_CASE("an ofs delta must point to an entry before it (14, 15, 16)", "[hostile][pack]") {
  const auto back = [](std::uint64_t distance) {
    builder b;
    b.object(builder::blob, "hello");
    b.ofs_delta_back(distance, make_delta(5, 5, copy_op(0, 5)));
    return b.finish();
  };
  CHECK(refusal(back(0)) == "pack byte 26: delta on itself");
  CHECK(refusal(back(13)) == "pack byte 26: delta base at byte 13 is no entry");
  CHECK(refusal(back(20)) == "pack byte 26: delta base is before the pack");
  CHECK(refusal(back(std::uint64_t{1} << 50)) == "pack byte 26: delta base is before the pack");
  CHECK(refusal(back(std::uint64_t{1} << 62)) == "pack byte 26: delta base is before the pack");
}

TEST_CASE("a delta that does not fit its base or its result is refused (17-22)",
          "[hostile][pack]") {
  const auto why = [](std::string_view delta) { return refusal(with_delta(delta)); };
  const std::string place = delta_place;
  CHECK(why(make_delta(5, 5, copy_op(1, 5))) == place + "delta copies past its base");
  CHECK(why(make_delta(5, 5, copy_op(0xffffffff, 5))) == place + "delta copies past its base");
  CHECK(why(make_delta(6, 5, copy_op(0, 5))) ==
        place + "delta is for a base of 6 bytes, its base has 5");
  CHECK(why(make_delta(5, 6, copy_op(0, 5))) == place + "delta result is shorter than it says");
  CHECK(why(make_delta(5, 4, copy_op(0, 5))) == place + "delta result is longer than it says");
  CHECK(why(make_delta(5, 5, std::string(1, '\0'))) == place + "delta operation 0");
  CHECK(why(make_delta(5, 5,
                       "\x05"
                       "ab")) == place + "delta inserts past its end");
  CHECK(why(make_delta(5, 5, "\xff\x01")) == place + "delta ends in an operation");
  CHECK(why("\x85") == place + "delta ends in its sizes");
  CHECK(why("") == place + "delta ends in its sizes");
  CHECK(why(std::string(12, static_cast<char>(0xff))) ==
        place + "delta size is larger than any object");
}

TEST_CASE("a delta whose base is missing, or itself, or in a circle is refused (23)",
          "[hostile][pack]") {
  builder alone;
  alone.ref_delta(blob_id("nowhere"), make_delta(5, 5, copy_op(0, 5)));
  CHECK(refusal(alone.finish()) ==
        "pack byte 12: delta base " + blob_id("nowhere").hex() + " is missing (1 missing in all)");
  builder circle;
  circle.ref_delta(blob_id("two"), make_delta(3, 3, insert_ops("one")));
  circle.ref_delta(blob_id("one"), make_delta(3, 3, insert_ops("two")));
  circle.object(builder::blob, "other");
  CHECK_THAT(refusal(circle.finish()), Catch::EndsWith("is missing (2 missing in all)"));
}

TEST_CASE("a delta result of 1 TB is refused before memory is taken (24)", "[hostile][pack]") {
  const std::string why = refusal(with_delta(make_delta(5, std::uint64_t{1} << 40, copy_op(0, 5))));
  CHECK(why == "pack byte 26: object of 1099511627776 bytes, the limit is 134217728");
}

TEST_CASE("damaged zlib data is refused with what zlib says (25-29, 38)", "[hostile][pack]") {
  const auto damaged = [](std::size_t at, char with) {
    builder b;
    std::string z = deflated("hello, hello, hello, hello");
    z[at >= z.size() ? z.size() - 1 : at] = with;
    b.head(builder::blob, 26);
    b.raw(z);
    return b.finish(1);
  };
  CHECK(refusal(damaged(0, 'x' + 1)) ==
        "pack byte 12: zlib data is damaged: incorrect header check (zlib -3)");
  CHECK(refusal(damaged(2, static_cast<char>(0xff))) ==
        "pack byte 12: zlib data is damaged: invalid block type (zlib -3)");
  CHECK(refusal(damaged(1000, 0)) ==
        "pack byte 12: zlib data is damaged: incorrect data check (zlib -3)");
  builder dictionary;
  dictionary.head(builder::blob, 5);
  dictionary.raw("\x78\xbb\x01\x02\x03\x04zzzz");
  CHECK(refusal(dictionary.finish()) == "pack byte 12: zlib data needs a dictionary (zlib 2)");
}

TEST_CASE("a zip bomb is refused by its header, or by the total (30, 32)", "[hostile][pack]") {
  pack_limits limits;
  limits.object_bytes = 1 << 20;
  builder b;
  b.object(builder::blob, std::string(2 << 20, '\0'));
  CHECK(refusal(b.finish(), limits) ==
        "pack byte 12: object of 2097152 bytes, the limit is 1048576");
  builder giant;  // by its header, whatever follows
  giant.object_of_size(builder::blob, "zeros", std::uint64_t{1} << 30);
  CHECK(refusal(giant.finish()) ==
        "pack byte 12: object of 1073741824 bytes, the limit is 134217728");

  pack_limits total;
  total.total_inflated_bytes = 40 << 20;
  builder many;  // 1 GiB in 64 objects
  const std::uint32_t size = 16 << 20;
  const std::uint64_t base = many.object(builder::blob, std::string(size, '\0'));
  for (int i = 0; i < 64; ++i) {
    const std::string ops = copy_op(0, size - 3) + insert_ops(std::to_string(100 + i));
    many.ofs_delta(base, make_delta(size, size, ops));
  }
  const std::string small = many.finish();
  CHECK(small.size() < 20'000);
  CHECK_THAT(refusal(small, total), Catch::EndsWith("more than 41943040 bytes inflated"));
}

TEST_CASE("a delta bomb is refused by its result size (31)", "[hostile][pack]") {
  std::string giant_ops;  // 1 GB in 16 KB
  for (int i = 0; i < 64; ++i) giant_ops += copy_op(0, 0xffffff);
  builder giant;
  const std::uint64_t zeros = giant.object(builder::blob, std::string(0xffffff, '\0'));
  giant.ofs_delta(zeros, make_delta(0xffffff, std::uint64_t{64} * 0xffffff, giant_ops));
  const std::string small = giant.finish();
  CHECK(small.size() < 20'000);
  CHECK_THAT(analyse(small).error,
             Catch::EndsWith("object of 1073741760 bytes, the limit is 134217728"));
  std::string ops;
  for (int i = 0; i < 40; ++i) ops += copy_op(0, 1 << 20);
  builder b;
  const std::uint64_t base = b.object(builder::blob, std::string(1 << 20, '\0'));
  b.ofs_delta(base, make_delta(1 << 20, 40 << 20, ops));
  pack_limits limits;
  limits.object_bytes = 32 << 20;
  CHECK_THAT(analyse(b.finish(), limits).error,
             Catch::EndsWith("object of 41943040 bytes, the limit is 33554432"));
  limits.object_bytes = 64 << 20;
  CHECK(analyse(b.finish(), limits).error == "");
  limits.working_bytes = 30 << 20;
  CHECK_THAT(analyse(b.finish(), limits).error,
             Catch::EndsWith("resolving deltas needs more than 31457280 bytes at one time"));
}

namespace {

// A chain: each link appends a byte to the one before.
std::string chain(int links, std::size_t size) {
  builder b;
  std::string text(size, 'x');
  std::uint64_t last = b.object(builder::blob, text);
  for (int i = 0; i < links; ++i) {
    const std::uint64_t n = size + static_cast<std::uint64_t>(i);
    last = b.ofs_delta(last,
                       make_delta(n, n + 1, copy_op(0, static_cast<std::uint32_t>(n)) + "\x01y"));
  }
  return b.finish();
}

}  // namespace

TEST_CASE("a delta chain is cut off at the limit, and needs no recursion (33)", "[hostile][pack]") {
  CHECK(analyse(chain(4095, 10)).error == "");
  CHECK_THAT(analyse(chain(4096, 10)).error, Catch::EndsWith("delta chain of more than 4095"));
  CHECK_THAT(analyse(chain(50000, 10)).error, Catch::EndsWith("delta chain of more than 4095"));
  pack_limits limits;
  limits.delta_depth = 10;
  CHECK(analyse(chain(10, 10), limits).error == "");
  CHECK_THAT(analyse(chain(11, 10), limits).error, Catch::EndsWith("delta chain of more than 10"));
}

TEST_CASE("a long chain of large objects needs two of them at a time (34)", "[hostile][pack]") {
  pack_limits limits;
  limits.cache_bytes = 64 * 1024;  // nothing of it fits: all is resolved at the end
  limits.working_bytes = 3 * 204 * 1024;
  limits.names = verify::fast;  // 800 MB are hashed
#ifdef FERMATA_SANITIZED
  const int links = 1000;
#else
  const int links = 4000;
#endif
  const analysed a = analyse(chain(links, 200 * 1024), limits);
  CHECK(a.error == "");
  CHECK(a.progress.deferred == links);
  CHECK(a.progress.longest_chain == links);
}

TEST_CASE("empty objects and empty packs are good (35, 36)", "[hostile][pack]") {
  builder empty;
  empty.object(builder::blob, "");
  CHECK(accepted_objects(empty.finish()) == 1);
  CHECK(accepted_objects(builder().finish()) == 0);
  builder both;
  const std::uint64_t base = both.object(builder::blob, "");
  both.ofs_delta(base, make_delta(0, 0, ""));
  CHECK(accepted_objects(both.finish()) == 1);
}

TEST_CASE("a megabyte of empty deflate blocks is read in small units (37)", "[hostile][pack]") {
  builder b;
  b.head(builder::blob, 6);
  std::string z("\x78\x9c", 2);
  for (int i = 0; i < 200'000; ++i) z += std::string("\0\0\0\xff\xff", 5);  // stored, empty
  z += std::string("\x01\x06\0\xf9\xff", 5) + "abcdef";
  const uLong sum = adler32(1, reinterpret_cast<const Bytef*>("abcdef"), 6);
  for (int shift = 24; shift >= 0; shift -= 8) z += static_cast<char>(sum >> shift);
  b.raw(z);
  const analysed a = analyse(b.finish());
  CHECK(a.error == "");
  CHECK(a.dearest <= std::chrono::microseconds(300));
}

TEST_CASE("a pack larger than its limit is refused while it arrives", "[hostile][pack]") {
  pack_limits limits;
  limits.pack_bytes = 30;
  CHECK(refusal(one_blob(), limits) == "pack: more than the limit of 30 bytes");
}

TEST_CASE("a thousand random changes of a good pack never crash", "[hostile][pack]") {
  builder b;
  const std::uint64_t base = b.object(builder::blob, std::string(300, 'a') + "hello");
  b.ofs_delta(base, make_delta(305, 100, copy_op(5, 100)));
  b.ref_delta(blob_id("later"), make_delta(5, 3, copy_op(0, 3)));
  b.object(builder::blob, "later");
  const std::string good = b.finish();
  std::mt19937 random(7);
  int refused = 0;
  for (int i = 0; i < 1000; ++i) {
    std::string bad = good.substr(0, good.size() - 20);
    for (int k = 0; k < 3; ++k) bad[random() % bad.size()] = static_cast<char>(random());
    bad += sha1_of(bad);
    if (!analyse(bad).pack) ++refused;
  }
  CHECK(refused > 900);
}
