// SPDX-License-Identifier: MIT
#include "support/policy.hpp"

#include <fermata/promise/memory_network.hpp>
#include <fermata/promise/pause.hpp>
#include <fermata/promise/test_loop.hpp>

#include <catch2/catch.hpp>

using namespace fermata::testing;
using fermata::memory_listener;
using fermata::memory_network;
using fermata::promise;
using fermata::test_loop;

namespace {

using connection = std::unique_ptr<fermata::byte_stream>;

promise<std::string> answer_one(memory_listener& listener) {
  connection c = co_await listener.accept();
  std::string request = co_await fermata::read_to_end(*c, 100);
  promise<> written = fermata::write_text(*c, "you said " + request);
  co_await written;
  co_return request;
}

promise<std::string> ask(memory_network& net, std::string name, std::string text) {
  connection c = co_await net.connect(std::move(name));
  promise<> written = fermata::write_text(*c, std::move(text));
  co_await written;
  promise<> ended = c->shutdown();
  co_await ended;
  co_return co_await fermata::read_to_end(*c, 100);
}

template <typename T>
std::string rejection_of(const promise<T>& p) {
  return p.is_pending() ? "pending" : fermata::message_of(p.error());
}

}  // namespace

TEST_CASE("who connects to a name talks to who listens there", "[promise][network]") {
  test_loop loop(options_of_run());
  memory_network net(16);
  memory_listener listener = net.listen("server");
  CHECK(listener.name() == "server");
  const std::string got = loop.run([&]() -> promise<std::string> {
    promise<std::string> answer = ask(net, "server", "hello");
    promise<std::string> request = answer_one(listener);
    co_return co_await answer;
  });
  CHECK(got == "you said hello");
}

TEST_CASE("a name is listened to once, until it is given back", "[promise][network]") {
  test_loop loop(options_of_run());
  memory_network net;
  memory_listener first = net.listen("a");
  CHECK_THROWS_WITH(net.listen("a"),
                    "cannot listen on a in memory: address already in use (uv EADDRINUSE)");
  first.close();
  const memory_listener second = net.listen("a");
  CHECK_THROWS_AS(net.listen("b", 0), fermata::contract_error);
  CHECK_THROWS_AS(memory_network(0), fermata::contract_error);
}

TEST_CASE("nobody listens: refused; the listener closes: reset", "[promise][network]") {
  test_loop loop(options_of_run());
  memory_network net;
  const std::string refused = "cannot connect to a in memory: connection refused (uv ECONNREFUSED)";
  loop.run([&]() -> promise<> {
    promise<connection> none = net.connect("a");
    CHECK(rejection_of(none) == refused);
    memory_listener listener = net.listen("a", 1);
    connection queued = co_await net.connect("a");
    promise<connection> waits = net.connect("a");
    CHECK(waits.is_pending());
    listener.close();
    co_await fermata::pause();
    CHECK(rejection_of(waits) == refused);
    std::byte byte{};
    promise<std::size_t> read = queued->read({&byte, 1});
    try {
      co_await read;
    } catch (const fermata::error&) {
    }
    CHECK(rejection_of(read).find("ECONNRESET") != std::string::npos);
  });
}

TEST_CASE("a full backlog makes who connects wait, in order", "[promise][network]") {
  test_loop loop(options_of_run());
  memory_network net;
  memory_listener listener = net.listen("a", 1);
  loop.run([&]() -> promise<> {
    promise<connection> first = net.connect("a");
    promise<connection> second = net.connect("a");
    promise<connection> third = net.connect("a");
    CHECK_FALSE(first.is_pending());
    CHECK(second.is_pending());
    fermata::cancel(second);
    connection a = co_await listener.accept();
    connection b = co_await listener.accept();
    co_await third;
    CHECK_THROWS_AS(std::move(second).get(), fermata::cancelled);
  });
}

TEST_CASE("a listener that was moved from says so", "[promise][network]") {
  test_loop loop(options_of_run());
  memory_network net;
  memory_listener first = net.listen("a");
  const memory_listener second = std::move(first);
  CHECK(second.name() == "a");
  CHECK_THROWS_WITH(first.accept(), "a listener that was moved from is used");
  CHECK_THROWS_WITH(first.name(), "a listener that was moved from is used");
  first.close();
}

TEST_CASE("a cancelled accept loses no connection, a second one is refused", "[promise][network]") {
  test_loop loop(options_of_run());
  memory_network net;
  memory_listener listener = net.listen("a");
  loop.run([&]() -> promise<> {
    promise<connection> accepting = listener.accept();
    promise<connection> another = listener.accept();
    CHECK(rejection_of(another) == "two accepts are under way on one listener");
    fermata::cancel(accepting);
    co_await fermata::pause();
    CHECK_FALSE(accepting.is_pending());
    connection client = co_await net.connect("a");
    connection server = co_await listener.accept();
    CHECK(server != nullptr);
    promise<connection> last = listener.accept();
    listener.close();
    co_await fermata::pause();
    CHECK_THROWS_AS(std::move(last).get(), fermata::cancelled);
  });
}
