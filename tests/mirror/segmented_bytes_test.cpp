// SPDX-License-Identifier: MIT
#include <fermata/mirror/segmented_bytes.hpp>

#include <catch2/catch.hpp>

#include <string>

using fermata::mirror::segmented_bytes;

TEST_CASE("segmented bytes give back what was appended across segments", "[mirror][bytes]") {
  std::string all;
  segmented_bytes bytes;
  for (int i = 0; i < 40'000; ++i) {
    const std::string word = std::to_string(i) + ',';
    bytes.append(word);
    all += word;
  }

  CHECK(bytes.size() == all.size());
  CHECK(bytes.str() == all);
}

TEST_CASE("a piece ends at the segment, at the limit or at the end", "[mirror][bytes]") {
  segmented_bytes bytes;
  bytes.append(std::string(segmented_bytes::segment_size_bytes, 'a'));
  bytes.append("bcd");

  CHECK(bytes.piece(0, 3) == "aaa");
  CHECK(bytes.piece(segmented_bytes::segment_size_bytes - 2, 100) == "aa");
  CHECK(bytes.piece(segmented_bytes::segment_size_bytes) == "bcd");
  CHECK(bytes.piece(bytes.size()).empty());
}

TEST_CASE("bytes do not move while more are appended", "[mirror][bytes]") {
  segmented_bytes bytes;
  bytes.append("first");
  const char* where = bytes.piece(0).data();
  for (int i = 0; i < 100; ++i) bytes.append(std::string(20'000, 'x'));

  CHECK(bytes.piece(0).data() == where);
  CHECK(bytes.piece(0, 5) == "first");
}

TEST_CASE("segmented bytes moved from are empty", "[mirror][bytes]") {
  segmented_bytes bytes;
  bytes.append("text");
  const segmented_bytes other = std::move(bytes);

  CHECK(other.str() == "text");
  CHECK(bytes.empty());
}
