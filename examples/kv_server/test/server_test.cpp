// SPDX-License-Identifier: MIT
// What clients see: answers, wrong input, one order for all of them, back-pressure.

#include "history.hpp"
#include "kv_support.hpp"

#include <catch2/catch.hpp>

#include <fstream>
#include <random>

namespace {

using kv::client;
using kv::promise;

using strings = std::vector<std::string>;

TEST_CASE("what was set is read, also after a restart", "[kv]") {
  const kv::test_folder folder;
  fermata::event_loop loop;
  const strings command = {KV_SERVER, folder.log(), "127.0.0.1:0", "2"};
  CHECK(loop.run([&] {
    return kv::ask_server(command, {"GET a", "SET a one two", "GET a", "SET a three", "SET b \r"});
  }) == strings{"NONE", "OK", "VALUE one two", "OK", "OK", "exit status 0"});
  CHECK(loop.run([&] {
    return kv::ask_server(command, {"GET a", "GET b", "GET c"});
  }) == strings{"VALUE three", "VALUE ", "NONE", "exit status 0"});
}

TEST_CASE("wrong input is answered and the connection goes on", "[kv]") {
  const kv::test_folder folder;
  fermata::event_loop loop;
  const std::string form = "ERROR say GET KEY or SET KEY VALUE";
  const std::string too_long = "ERROR a line is longer than 4096 bytes";
  const strings answers = loop.run([&] {
    return kv::ask_server({KV_SERVER, folder.log(), "127.0.0.1:0", "1"},
                          {"", "HELLO", "GET", "GET ", "GET a b", "SET", "SET a", "SET  x", "get a",
                           std::string(4097, 'x'), std::string(100'000, 'x'),
                           "SET k " + std::string(4090, 'v'), "GET k"});
  });
  CHECK(answers == strings{form, form, form, form, form, form, form, form, form, too_long, too_long,
                           "OK", "VALUE " + std::string(4090, 'v'), "exit status 0"});
}

TEST_CASE("wrong usage prints one line", "[kv]") {
  fermata::event_loop loop;
  for (const strings& words : {strings{}, {"log", ":0", "0"}, {"log", ":0", "x"}}) {
    strings command = {KV_SERVER};
    command.insert(command.end(), words.begin(), words.end());
    CHECK_THROWS_WITH(loop.run([&] { return kv::start(command); }),
                      "the server says: usage: kv_server LOG ADDRESS:PORT LOOPS "
                      "[COMMIT_DELAY_MS]\n");
  }
}

// ---- one order for all ----

promise<> ask_at_random(std::uint16_t port, unsigned seed, kv::history& told) {
  auto connecting = client::connect(port);
  const auto c = co_await std::move(connecting);
  std::mt19937 random(seed);
  for (int i = 0; i < 60; ++i) {
    const std::string key = "key" + std::to_string(random() % 8);
    if (random() % 2 == 0) {
      const std::string value = std::to_string(seed) + "." + std::to_string(i);
      const auto id = told.begin_set(key, value);
      const std::string answer = co_await c->ask("SET " + key + " " + value);
      if (answer != "OK") throw std::runtime_error("SET is answered " + answer);
      told.end_set(id);
    } else {
      const auto id = told.begin_get(key);
      const std::string answer = co_await c->ask("GET " + key);
      told.end_get(id, kv::value_in(answer));
    }
  }
}

promise<std::string> ask_with_64_clients(std::string log, kv::history& told) {
  auto starting = kv::start({KV_SERVER, std::move(log), "127.0.0.1:0", "3"});
  kv::server s = co_await std::move(starting);
  std::vector<promise<>> clients;
  for (unsigned i = 0; i < 64; ++i) clients.push_back(ask_at_random(s.port, i, told));
  promise<> all = fermata::join(std::move(clients));
  co_await all;
  auto counting = kv::ask_all(s.port, {"COUNTS"});
  const strings counts = co_await std::move(counting);
  co_await s.child.stop();
  co_return counts.front();
}

TEST_CASE("64 clients see one order, and share the commits", "[kv]") {
  const kv::test_folder folder;
  fermata::event_loop loop;
  kv::history told;
  const std::string counts = loop.run([&] { return ask_with_64_clients(folder.log(), told); });
  CHECK(told.size() == 64 * 60);
  CHECK(told.check() == "");
  CHECK(kv::count_in(counts, "sets") > 1000);
  CHECK(kv::count_in(counts, "commits") < kv::count_in(counts, "sets") / 2);
}

// ---- back-pressure ----

constexpr std::size_t crowd = 300;

struct pressure {
  bool was_full = false;  // and others waited
  std::string last;
};

promise<> watch(client& c, const bool& is_over, pressure& seen) {
  while (!is_over) {
    seen.last = co_await c.ask("COUNTS");
    if (kv::count_in(seen.last, "queued") == 120 && kv::count_in(seen.last, "waiting") > 0) {
      seen.was_full = true;
    }
  }
  seen.last = co_await c.ask("COUNTS");
}

promise<pressure> press(std::string log) {
  auto starting = kv::start({KV_SERVER, std::move(log), "127.0.0.1:0", "2", "300"});
  kv::server s = co_await std::move(starting);
  std::vector<std::unique_ptr<client>> clients;
  while (clients.size() < crowd + 1) {
    auto connecting = client::connect(s.port);
    clients.push_back(co_await std::move(connecting));
  }
  pressure seen;
  bool is_over = false;
  std::vector<promise<std::string>> answers;
  for (std::size_t i = 0; i < crowd; ++i) {
    answers.push_back(clients[i]->ask("SET k" + std::to_string(i) + " v"));
  }
  const promise<> watching = watch(*clients.back(), is_over, seen);
  auto all = fermata::all(std::move(answers));
  const strings told = co_await std::move(all);
  is_over = true;
  co_await watching;
  if (told != strings(crowd, "OK")) throw std::runtime_error("a SET was refused");
  co_await s.child.stop();
  co_return seen;
}

TEST_CASE("a slow disk holds clients back and the queue never exceeds 120", "[kv]") {
  const kv::test_folder folder;
  fermata::event_loop loop;
  const pressure seen = loop.run([&] { return press(folder.log()); });
  CHECK(seen.was_full);
  CHECK(kv::count_in(seen.last, "longest_queue") == 120);
  CHECK(kv::count_in(seen.last, "sets") == crowd);
  CHECK(kv::count_in(seen.last, "commits") >= 3);  // no group has more than 120 either
  CHECK(kv::count_in(seen.last, "queued") == 0);
}

}  // namespace
