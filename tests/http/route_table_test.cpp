// SPDX-License-Identifier: MIT
#include <fermata/http/route_table.hpp>
#include <fermata/loop/error.hpp>

#include <catch2/catch.hpp>

using fermata::contract_error;
using fermata::http::route_match;
using fermata::http::route_table;
using outcome = fermata::http::route_match::outcome;

namespace {

route_table sample() {
  route_table t;
  t.add("GET", "/", 1);
  t.add("GET", "/repo", 2);
  t.add("POST", "/update", 3);
  t.add("PUT", "/update", 4);
  t.add_prefix("GET", "/cache/", 5);
  t.add_prefix("GET", "/cache/md5/", 6);
  t.add("GET", "/cache/list", 7);
  return t;
}

}  // namespace

TEST_CASE("route_table finds exact paths", "[http][router]") {
  const route_table t = sample();
  CHECK(t.find("GET", "/").route == 1);
  CHECK(t.find("GET", "/repo").route == 2);
  CHECK(t.find("PUT", "/update").route == 4);
  CHECK(t.find("GET", "/repo/").result == outcome::not_found);
  CHECK(t.find("GET", "/rep").result == outcome::not_found);
  CHECK(t.find("GET", "").result == outcome::not_found);
}

TEST_CASE("route_table prefers exact paths, then longer prefixes", "[http][router]") {
  const route_table t = sample();
  CHECK(t.find("GET", "/cache/x/y").route == 5);
  CHECK(t.find("GET", "/cache/").route == 5);
  CHECK(t.find("GET", "/cache/md5/x").route == 6);
  CHECK(t.find("GET", "/cache/md5").route == 5);
  CHECK(t.find("GET", "/cache/list").route == 7);
  CHECK(t.find("GET", "/cache").result == outcome::not_found);
}

TEST_CASE("route_table serves HEAD where GET is", "[http][router]") {
  const route_table t = sample();
  CHECK(t.find("HEAD", "/repo").result == outcome::found);
  CHECK(t.find("HEAD", "/repo").route == 2);
  CHECK(t.find("HEAD", "/update").result == outcome::wrong_method);
}

TEST_CASE("route_table names the allowed methods", "[http][router]") {
  const route_table t = sample();
  const route_match m = t.find("DELETE", "/repo");
  CHECK(m.result == outcome::wrong_method);
  CHECK(m.allow == "GET, HEAD, OPTIONS");
  CHECK(t.find("GET", "/update").allow == "POST, OPTIONS, PUT");
  CHECK(t.find("get", "/repo").result == outcome::wrong_method);
}

TEST_CASE("route_table answers OPTIONS, of the server too", "[http][router]") {
  const route_table t = sample();
  CHECK(t.find("OPTIONS", "/repo").result == outcome::options_request);
  CHECK(t.find("OPTIONS", "*").result == outcome::options_request);
  CHECK(t.find("OPTIONS", "*").allow == "GET, HEAD, OPTIONS, POST, PUT");
  CHECK(t.find("OPTIONS", "/none").result == outcome::not_found);
}

TEST_CASE("route_table refuses malformed and doubled routes", "[http][router]") {
  route_table t = sample();
  CHECK_THROWS_WITH(t.add("GET", "/repo", 9), "cannot add the route GET /repo: it exists");
  CHECK_THROWS_AS(t.add("G T", "/x", 9), contract_error);
  CHECK_THROWS_AS(t.add("GET", "x", 9), contract_error);
  CHECK_THROWS_AS(t.add_prefix("GET", "/x", 9), contract_error);
  CHECK(t.find("GET", "/x").result == outcome::not_found);
}
