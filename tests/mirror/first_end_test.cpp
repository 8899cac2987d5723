// SPDX-License-Identifier: MIT
// The program ends when a part of it does that never should.

#include "first_end.hpp"

#include <fermata/loop/error.hpp>
#include <fermata/promise/cancel.hpp>
#include <fermata/promise/test_loop.hpp>

#include <catch2/catch.hpp>

#include <exception>
#include <string>

using namespace fermata;
using fermata::mirror::first_end;

TEST_CASE("the first end of a program's parts says why", "[mirror][operator]") {
  test_loop loop;
  loop.run([]() -> promise<> {
    auto [wanted, want] = make_promise<>();
    auto [working, end_work] = make_promise<>();
    auto [beside, end_beside] = make_promise<>();
    promise<std::string> first = first_end(wanted, {working, beside});
    promise<> turn = ready();
    co_await turn;
    CHECK(first.is_pending());

    std::string expected;
    SECTION("the end that is wanted") { want.resolve(); }
    SECTION("a part that fails") {
      end_beside.reject(std::make_exception_ptr(error("no more memory")));
      expected = "no more memory";
    }
    SECTION("a part that was never to end") {
      end_work.resolve();
      expected = "it has come to an end";
    }
    const std::string why = co_await first;
    CHECK(why == expected);
    if (wanted.is_pending()) want.resolve();
    if (working.is_pending()) end_work.resolve();
    if (beside.is_pending()) end_beside.resolve();
  });
}
