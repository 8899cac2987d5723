// SPDX-License-Identifier: MIT
// The end of the server by kill -9 and by power cuts, logs with torn and damaged records, a full
// disk.

#include "history.hpp"
#include "kv_support.hpp"
#include "record_log.hpp"

#include <catch2/catch.hpp>

#include <cerrno>
#include <fstream>
#include <random>

namespace {

namespace fs = std::filesystem;
using kv::client;
using kv::promise;

std::string content_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void write_file(const std::string& path, const std::string& content) {
  std::ofstream(path, std::ios::binary) << content;
}

// ---- kill -9 ----

struct round_of_clients {
  kv::history& told;
  kv::server& server;
  int round;
  int left;  // answers until the server is killed
};

promise<> ask_until_killed(round_of_clients& r, int number) {
  std::mt19937 random(static_cast<unsigned>(r.round * 100 + number));
  auto connecting = client::connect(r.server.port);
  const auto c = co_await std::move(connecting);
  const std::string name = std::to_string(r.round) + "." + std::to_string(number) + ".";
  for (int i = 0;; ++i) {
    const std::string shared = "shared" + std::to_string(random() % 3);
    if (random() % 3 == 0) {
      const auto id = r.told.begin_get(shared);
      const std::string answer = co_await c->ask("GET " + shared);
      r.told.end_get(id, kv::value_in(answer));
    } else {
      const std::string value = name + std::to_string(i);
      const std::string key = i % 2 == 0 ? shared : "own" + value;
      const auto id = r.told.begin_set(key, value);
      const std::string answer = co_await c->ask("SET " + key + " " + value);
      if (answer != "OK") throw std::runtime_error("SET is answered " + answer);
      r.told.end_set(id);
    }
    if (--r.left == 0) r.server.child.kill(SIGKILL);
  }
}

// Until the server has gone.
promise<> ask_for_long(round_of_clients& r, int number) {
  promise<> asking = ask_until_killed(r, number);
  try {
    co_await asking;
  } catch (const fermata::error&) {
  }
}

promise<> run_round(std::vector<std::string> command, int round, int answers, kv::history& told) {
  auto starting = kv::start(std::move(command));
  kv::server s = co_await std::move(starting);
  round_of_clients r{told, s, round, answers};
  std::vector<promise<>> clients;
  for (int i = 0; i < 16; ++i) clients.push_back(ask_for_long(r, i));
  promise<> all = fermata::join(std::move(clients));
  co_await all;
  const fermata::exit_status end = co_await s.child.wait();
  if (end.signal != SIGKILL) throw std::runtime_error("the server ended: " + end.to_string());
}

// Every key that was ever set is asked for.
promise<> read_back(std::vector<std::string> command, kv::history& told) {
  auto starting = kv::start(std::move(command));
  kv::server s = co_await std::move(starting);
  auto connecting = client::connect(s.port);
  const auto c = co_await std::move(connecting);
  for (const std::string& key : told.keys()) {
    const auto id = told.begin_get(key);
    const std::string answer = co_await c->ask("GET " + key);
    told.end_get(id, kv::value_in(answer));
  }
  co_await s.child.stop();
}

TEST_CASE("what was acknowledged survives kill -9", "[kv]") {
  const kv::test_folder folder;
  fermata::event_loop loop;
  kv::history told;
  const std::vector<std::string> command = {KV_SERVER, folder.log(), "127.0.0.1:0", "2"};
  for (int round = 0; round < 6; ++round) {
    loop.run([&] { return run_round(command, round, 100 + 37 * round, told); });
  }
  loop.run([&] { return read_back(command, told); });
  CHECK(told.size() > 1000);
  CHECK(told.check() == "");
}

// A part of what was not synced is lost.
void cut_power(const std::string& log, std::mt19937& random) {
  std::uint64_t synced = 0;
  std::ifstream(log + ".synced", std::ios::binary)
      .read(reinterpret_cast<char*>(&synced), sizeof synced);
  const std::uint64_t size = fs::file_size(log);
  REQUIRE(synced <= size);
  fs::resize_file(log, synced + random() % (size - synced + 1));
}

TEST_CASE("what was acknowledged survives a power cut", "[kv]") {
  const kv::test_folder folder;
  fermata::event_loop loop;
  kv::history told;
  std::mt19937 random(1);
  const std::vector<std::string> command = {KV_SERVER_ON_BAD_POWER, folder.log(), "127.0.0.1:0",
                                            "2"};
  for (int round = 0; round < 6; ++round) {
    loop.run([&] { return run_round(command, round, 90 + 41 * round, told); });
    cut_power(folder.log(), random);
  }
  loop.run([&] { return read_back(command, told); });
  CHECK(told.size() > 1000);
  CHECK(told.check() == "");
}

// ---- logs ----

using strings = std::vector<std::string>;

std::string two_records() {
  std::string records;
  kv::add_record(records, "a", "one");
  kv::add_record(records, "b", "two");
  return records;
}

TEST_CASE("a log that is torn anywhere gives its whole records, and is cut there", "[kv]") {
  const kv::test_folder folder;
  fermata::event_loop loop;
  const std::string whole = two_records();
  const std::size_t first = whole.size() / 2;
  for (const std::size_t cut : {std::size_t{0}, std::size_t{5}, first - 1, first, first + 11,
                                first + 12, whole.size() - 1, whole.size()}) {
    write_file(folder.log(), whole.substr(0, cut));
    const strings answers = loop.run([&] {
      return kv::ask_server({KV_SERVER, folder.log(), "127.0.0.1:0", "1"}, {"GET a", "GET b"});
    });
    const std::size_t kept = cut < first ? 0 : cut < whole.size() ? first : whole.size();
    INFO("cut at " << cut);
    CHECK(answers == strings{kept > 0 ? "VALUE one" : "NONE", kept > first ? "VALUE two" : "NONE",
                             "exit status 0"});
    CHECK(content_of(folder.log()) == whole.substr(0, kept));
  }
}

TEST_CASE("a flipped bit in any byte of the last record costs that record alone", "[kv]") {
  const kv::test_folder folder;
  fermata::event_loop loop;
  const std::string whole = two_records();
  const std::size_t first = whole.size() / 2;
  for (std::size_t at = first; at < whole.size(); at += 3) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
    write_file(folder.log(), damaged);
    const strings answers = loop.run([&] {
      return kv::ask_server({KV_SERVER, folder.log(), "127.0.0.1:0", "1"}, {"GET a", "GET b"});
    });
    INFO("byte " << at);
    CHECK(answers == strings{"VALUE one", "NONE", "exit status 0"});
  }
}

TEST_CASE("a log with damage before its last group is left alone", "[kv]") {
  const kv::test_folder folder;
  fermata::event_loop loop;
  std::string log = two_records();
  const std::size_t damage = log.size();
  while (log.size() <= damage + kv::record_log::most_group_bytes) {
    kv::add_record(log, "key", std::string(3000, 'x'));
  }
  log[damage] = static_cast<char>(log[damage] + 1);
  write_file(folder.log(), log);
  const std::string expected = "the server says: kv_server: cannot open " + folder.log() +
                               ": byte " + std::to_string(damage) + ": a damaged record, and " +
                               std::to_string(log.size() - damage) + " bytes behind it\n";
  CHECK_THROWS_WITH(loop.run([&] {
    return kv::start({KV_SERVER, folder.log(), "127.0.0.1:0", "1"});
  }),
                    expected);
  CHECK(content_of(folder.log()) == log);
}

TEST_CASE("a disk that is full refuses sets, answers gets, and loses nothing", "[kv]") {
  const kv::test_folder folder;
  fermata::event_loop loop;
  const std::string value(700, 'v');
  const std::string full = "ERROR cannot write " + folder.log() + ": file too large (uv EFBIG)";
  const std::string limited =
      "trap '' XFSZ; ulimit -f 4; exec " KV_SERVER " " + folder.log() + " 127.0.0.1:0 1";
  CHECK(loop.run([&] {
    return kv::ask_server(
        {"/bin/sh", "-c", limited},
        {"SET a " + value, "SET b " + value, "SET c " + value, "SET d d", "GET a", "GET c"});
  }) == strings{"OK", "OK", full, full, "VALUE " + value, "NONE", "exit status 0"});
  CHECK(loop.run([&] {
    return kv::ask_server({KV_SERVER, folder.log(), "127.0.0.1:0", "1"},
                          {"GET a", "GET b", "GET c", "SET c c", "GET c"});
  }) == strings{"VALUE " + value, "VALUE " + value, "NONE", "OK", "VALUE c", "exit status 0"});
}

}  // namespace
