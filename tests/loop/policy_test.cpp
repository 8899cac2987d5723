// SPDX-License-Identifier: MIT
#include <fermata/loop/budget.hpp>
#include <fermata/loop/error.hpp>

#include <catch2/catch.hpp>

using namespace std::chrono_literals;
using fermata::policy;

TEST_CASE("policy reads what it prints", "[loop][policy]") {
  for (const char* text : {"greedy", "each_bind", "always", "quanta=7", "budget=200"}) {
    CHECK(policy::parse(text).to_string() == text);
  }
  CHECK(policy::parse("budget").slice() == fermata::default_slice);
  CHECK(policy::parse("budget=200").slice() == 200us);
}

TEST_CASE("policy refuses other texts and says what it takes", "[loop][policy]") {
  for (const char* text :
       {"", "gready", "quanta", "quanta=0", "budget=-1", "budget=1000001", "budget=5x"}) {
    CHECK_THROWS_AS(policy::parse(text), fermata::contract_error);
  }
  CHECK_THROWS_WITH(policy::parse("fair"),
                    "unknown policy 'fair': use greedy, each_bind, quanta=N, budget=US or always "
                    "(N and US from 1 to 1000000)");
}

TEST_CASE("due says no on a thread without a loop", "[loop][policy]") {
  CHECK_FALSE(fermata::due(1h));
}
