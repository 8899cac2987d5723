// SPDX-License-Identifier: MIT
// A mirror's life: fetches of one commit each, and what they leave in memory.

#include "support/policy.hpp"
#include "support/temp_repository.hpp"

#include <fermata/git_mem/compact.hpp>
#include <fermata/git_mem/fetch.hpp>
#include <fermata/loop/event_loop.hpp>

#include <catch2/catch.hpp>

#include <algorithm>
#include <string>
#include <vector>

using namespace fermata::git_mem;
using namespace fermata::test;
using fermata::promise;

namespace {

constexpr int fetches = 200;
constexpr int between_compactions = 20;

// A commit that rewrites one of many files, as a stream for fast-import.
std::string one_commit(int n, bool goes_on) {
  const std::string message = "commit " + std::to_string(n);
  std::string text;
  for (int line = 0; line < 40; ++line) text += std::to_string(line * 7919) + "\n";
  text += std::to_string(10'000 + n) + "\n";
  const std::string path = "packages/p" + std::to_string(n % 300) + "/opam";
  return "commit refs/heads/main\ncommitter a <a@b> " + std::to_string(1'700'000'000 + n) +
         " +0000\ndata " + std::to_string(message.size()) + "\n" + message + "\n" +
         (goes_on ? "from refs/heads/main^0\n" : "") + "M 100644 inline " + path + "\ndata " +
         std::to_string(text.size()) + "\n" + text + "\n";
}

void commit_at(const temp_folder& upstream, int from, int to) {
  std::string stream;
  for (int n = from; n < to; ++n) stream += one_commit(n, n == from && n > 0);
  upstream.write("stream", stream);
  upstream.run("git -C up.git fast-import --quiet < stream");
}

}  // namespace

TEST_CASE("two hundred fetches of one commit each leave their history and no more",
          "[git_mem][fetch][compact]") {
  const temp_folder upstream;
  upstream.run("git init -q --bare -b main up.git");
  commit_at(upstream, 0, 300);
  fermata::event_loop loop(fermata::testing::options_of_run());
  object_store store;
  std::vector<std::uint64_t> settled;
  std::uint64_t largest_fetch = 0;
  std::uint64_t most_packs = 0;
  const std::string url = (upstream.path() / "up.git").string();
  loop.run([&]() -> promise<> {
    clone_options one;
    promise<fetch_result> fetching = fetch(store, url, one);
    co_await std::move(fetching);
    const std::uint64_t whole = store.current()->pack_bytes();
    for (int n = 0; n < fetches; ++n) {
      commit_at(upstream, 300 + n, 301 + n);
      fetching = fetch(store, url, one);
      const fetch_result got = co_await std::move(fetching);
      CHECK(got.has_new);
      CHECK(got.changes.size() == 1);
      largest_fetch = std::max(largest_fetch, got.progress.bytes_received);
      most_packs = std::max<std::uint64_t>(most_packs, store.current()->packs.size());
      if (n % between_compactions != between_compactions - 1) continue;
      promise<compact_report> compacting = compact(store);
      co_await compacting;
      CHECK(store.current()->packs.size() == 1);
      settled.push_back(store.current()->memory_bytes());
    }
    CHECK(whole > 8 * largest_fetch);  // the files are not received again
  });
  CHECK(most_packs == between_compactions + 1);
  CHECK(largest_fetch < 4000);
  REQUIRE(settled.size() == fetches / between_compactions);
  // What grows is the history: of each commit its text and the deltas of two trees and a file.
  const std::uint64_t commits = fetches - between_compactions;
  INFO(settled.front() << " to " << settled.back() << " bytes");
  CHECK(settled.back() - settled.front() < 160 * commits);
  CHECK(settled.back() > 60'000);
}

TEST_CASE("a snapshot says what it takes", "[git_mem][store]") {
  const temp_folder upstream;
  upstream.run("git init -q --bare -b main up.git");
  commit_at(upstream, 0, 100);
  fermata::event_loop loop(fermata::testing::options_of_run());
  object_store store;
  CHECK(store.current()->memory_bytes() == 0);
  clone_options all;
  all.depth = 0;
  loop.run([&] { return fetch(store, (upstream.path() / "up.git").string(), all); });
  const snapshot& s = *store.current();
  const std::uint64_t beside = s.memory_bytes() - s.pack_bytes();
  // 32 bytes an entry in chunks of 2,048, and at least 4 for the way from a name to it.
  CHECK(beside >= s.object_count() * 36);
  CHECK(beside <= (s.object_count() + 2048) * 64);
}
