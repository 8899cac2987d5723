// SPDX-License-Identifier: MIT
#include <fermata/git_mem/object_id.hpp>

#include <catch2/catch.hpp>

#include <string>

using namespace fermata::git_mem;

TEST_CASE("object_id reads and writes 40 hex digits of either case", "[git_mem][object_id]") {
  const std::string hex = "97014be61691efb695da5de8e860cba5d74fa1f5";
  const auto id = object_id::from_hex(hex);
  REQUIRE(id);
  CHECK(id->hex() == hex);
  CHECK(id->hex(7) == "97014be");
  CHECK(object_id::from_hex("97014BE61691EFB695DA5DE8E860CBA5D74FA1F5") == id);
  CHECK(object_id::from_bytes(id->data()) == *id);
}

TEST_CASE("object_id refuses what is no name", "[git_mem][object_id]") {
  CHECK_FALSE(object_id::from_hex(""));
  CHECK_FALSE(object_id::from_hex("97014be"));
  CHECK_FALSE(object_id::from_hex(std::string(40, 'g')));
  CHECK_FALSE(object_id::from_hex(std::string(41, '0')));
}

TEST_CASE("object_id is ordered by its bytes and zero by default", "[git_mem][object_id]") {
  const object_id zero;
  const object_id one = *object_id::from_hex(std::string(39, '0').append("1"));
  const object_id big = *object_id::from_hex(std::string("f").append(39, '0'));
  CHECK(zero.is_zero());
  CHECK(zero < one);
  CHECK(one < big);
  CHECK_FALSE(one.is_zero());
  CHECK(std::hash<object_id>()(one) == std::hash<object_id>()(one));
}

TEST_CASE("object types have git's names", "[git_mem][object_id]") {
  CHECK(type_name(object_type::commit) == "commit");
  CHECK(type_name(object_type::tree) == "tree");
  CHECK(type_name(object_type::blob) == "blob");
  CHECK(type_name(object_type::tag) == "tag");
}
