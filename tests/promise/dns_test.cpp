// SPDX-License-Identifier: MIT
#include "stream_support.hpp"
#include "support/policy.hpp"

#include <fermata/loop/worker_pool.hpp>
#include <fermata/promise/dns.hpp>

#include <catch2/catch.hpp>

#include <algorithm>
#include <string>
#include <vector>

using fermata::cancel;
using fermata::event_loop;
using fermata::is_cancelled;
using fermata::loop_closed;
using fermata::promise;
using fermata::resolve;
using fermata::resolve_options;
using fermata::socket_address;
using fermata::test::failure_of;
using fermata::testing::options_of_run;

namespace {

using addresses = std::vector<socket_address>;

std::vector<std::string> texts_of(const addresses& found) {
  std::vector<std::string> texts;
  for (const socket_address& a : found) texts.push_back(a.to_string());
  return texts;
}

std::vector<std::string> resolved(event_loop& loop,
                                  const std::string& host,
                                  const std::string& service,
                                  const resolve_options& options = {}) {
  return texts_of(loop.run([&] { return resolve(host, service, options); }));
}

using texts = std::vector<std::string>;

}  // namespace

TEST_CASE("numeric hosts are resolved without a thread", "[promise][dns]") {
  event_loop loop{options_of_run()};
  CHECK(resolved(loop, "127.0.0.1", "80") == texts{"127.0.0.1:80"});
  CHECK(resolved(loop, "::1", "80") == texts{"[::1]:80"});
  CHECK(resolved(loop, "127.0.0.1", "") == texts{"127.0.0.1:0"});
  resolve_options to_listen;
  to_listen.is_passive = true;
  to_listen.family = AF_INET;
  CHECK(resolved(loop, "", "80", to_listen) == texts{"0.0.0.0:80"});
  resolve_options only_4;
  only_4.family = AF_INET;
  CHECK(resolved(loop, "", "80", only_4) == texts{"127.0.0.1:80"});
  CHECK(loop.find_pool() == nullptr);
}

TEST_CASE("names of hosts and services are resolved on the pool", "[promise][dns]") {
  event_loop loop{options_of_run()};
  const texts found = resolved(loop, "localhost", "80");
  CHECK(std::find(found.begin(), found.end(), "127.0.0.1:80") != found.end());
  CHECK(loop.find_pool() != nullptr);
  resolve_options only_4;
  only_4.family = AF_INET;
  CHECK(resolved(loop, "localhost", "8080", only_4) == texts{"127.0.0.1:8080"});
}

TEST_CASE("a host or service that is unknown is named", "[promise][dns]") {
  event_loop loop{options_of_run()};
  resolve_options numeric;
  numeric.numeric_only = true;
  CHECK(failure_of(loop, resolve("localhost", "80", numeric)) ==
        "cannot resolve localhost service 80: unknown node or service (uv EAI_NONAME)");
  CHECK_THAT(failure_of(loop, resolve("no such name", "")),
             Catch::StartsWith("cannot resolve no such name: ") && Catch::Contains("(uv EAI_"));
  CHECK_THAT(failure_of(loop, resolve("127.0.0.1", "no-such-service")),
             Catch::StartsWith("cannot resolve 127.0.0.1 service no-such-service: "));
  CHECK_THAT(failure_of(loop, resolve("", "no-such-service")),
             Catch::StartsWith("cannot resolve service no-such-service: "));
}

TEST_CASE("an address is named where the system knows it", "[promise][dns]") {
  event_loop loop{options_of_run()};
  const socket_address here = socket_address::parse("127.0.0.1:80").value();
  CHECK(loop.run([&] { return fermata::host_name_of(here); }) == "localhost");
  CHECK(failure_of(loop, fermata::host_name_of(socket_address())) ==
        "cannot name the host of unknown: ai_family not supported (uv EAI_FAMILY)");
}

TEST_CASE("a query that has not started is cancelled at once", "[promise][dns]") {
  event_loop loop{options_of_run()};
  loop.pool().set_bounds({0, 0});
  const promise<addresses> waiting = resolve("localhost", "80");
  cancel(waiting);
  CHECK(is_cancelled(waiting.error()));
  CHECK(loop.pool().counts().queued == 0);
}

TEST_CASE("the end of a loop ends a query that waits", "[promise][dns]") {
  promise<addresses> waiting;
  {
    event_loop loop;
    loop.pool().set_bounds({0, 0});
    waiting = resolve("localhost", "80");
  }
  CHECK_THROWS_AS(std::move(waiting).get(), loop_closed);
}
