// SPDX-License-Identifier: MIT
// The checker itself: what it must accept, and each kind of mistake that it must find.

#include "history.hpp"

#include <catch2/catch.hpp>

namespace {

using kv::history;

void set(history& h, const std::string& value) {
  const auto i = h.begin_set("k", value);
  h.end_set(i);
}
void get(history& h, std::optional<std::string> value) {
  const auto i = h.begin_get("k");
  h.end_get(i, std::move(value));
}

TEST_CASE("a history of one thing after the other is linearizable", "[kv][history]") {
  history h;
  get(h, std::nullopt);
  set(h, "a");
  get(h, "a");
  set(h, "b");
  get(h, "b");
  CHECK(h.check() == "");
}

TEST_CASE("what runs side by side may take effect in any order", "[kv][history]") {
  history h;
  const auto a = h.begin_set("k", "a");
  const auto b = h.begin_set("k", "b");
  const auto old = h.begin_get("k");
  get(h, "b");
  get(h, "a");
  h.end_get(old, std::nullopt);
  h.end_set(b);
  h.end_set(a);
  get(h, "a");
  CHECK(h.check() == "");
}

TEST_CASE("a set without an answer may have happened, also late, or not", "[kv][history]") {
  history h;
  static_cast<void>(h.begin_set("k", "lost"));
  static_cast<void>(h.begin_set("k", "late"));
  set(h, "a");
  get(h, "a");
  get(h, "late");
  static_cast<void>(h.begin_get("k"));
  CHECK(h.check() == "");
}

TEST_CASE("a set that is lost is found", "[kv][history]") {
  history h;
  set(h, "a");
  get(h, std::nullopt);
  CHECK(h.check() == "key k: value a was set while (none) was current");
}

TEST_CASE("a stale answer is found", "[kv][history]") {
  history h;
  set(h, "a");
  set(h, "b");
  get(h, "a");
  CHECK(h.check() == "key k: value b was set while a was current");
}

TEST_CASE("an answer that goes back is found", "[kv][history]") {
  history h;
  set(h, "a");
  const auto b = h.begin_set("k", "b");
  get(h, "b");
  get(h, "a");
  h.end_set(b);
  get(h, "b");
  CHECK(h.check() == "key k: values a and b were current at once");
}

TEST_CASE("a value from nowhere, of the future or set twice is found", "[kv][history]") {
  history nowhere;
  get(nowhere, "x");
  CHECK(nowhere.check() == "key k: value x was read and never set");

  history future;
  get(future, "x");
  set(future, "x");
  CHECK(future.check() == "key k: value x was read before it was set");

  history twice;
  set(twice, "x");
  set(twice, "x");
  CHECK(twice.check() == "key k: value x is set twice");
}

}  // namespace
