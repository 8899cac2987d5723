// SPDX-License-Identifier: MIT
// Packs analysed on the pool: whatever the number of threads, the same comes of them.

#include "support/git_snapshot.hpp"
#include "support/policy.hpp"
#include "support/random_repository.hpp"

#include <fermata/git_mem/analyse.hpp>
#include <fermata/loop/event_loop.hpp>
#include <fermata/loop/worker_pool.hpp>
#include <fermata/promise/pause.hpp>
#include <fermata/promise/stream.hpp>

#include <catch2/catch.hpp>

#include <random>
#include <string>

using namespace fermata::git_mem;
using namespace fermata::test;
using fermata::bytes_of;
using fermata::promise;
using builder = pack_builder;

namespace {

// A job's thread is counted until it has taken notice that its job is over. Never ends where one is
// left.
promise<> until_idle() {
  for (;;) {
    const fermata::pool_counts left = fermata::event_loop::current().pool().counts();
    if (left.running + left.queued + left.waiting == 0) co_return;
    co_await fermata::pause();
  }
}

// All that an analysis gives, or its error.
std::string analysed_text(const std::string& bytes,
                          std::size_t threads,
                          pack_limits limits = {},
                          snapshot_ptr bases = {}) {
  fermata::event_loop loop(fermata::testing::options_of_run());
  pack_progress last;
  std::string text;
  loop.run([&]() -> promise<> {
    promise<std::unique_ptr<pack>> analysing = fermata::git_mem::analyse(
        bytes_of(bytes), limits, bases, [&last](const pack_progress& p) { last = p; }, threads);
    try {
      const std::unique_ptr<pack> made = co_await std::move(analysing);
      for (std::uint32_t i = 0; i < made->entry_count(); ++i) {
        const pack_entry& e = made->entry(i);
        text += e.id.hex() + " " + std::to_string(e.size) + " " + std::to_string(e.offset) + " " +
                std::to_string(e.depth) + " " + std::to_string(e.kind) + std::to_string(e.delta) +
                std::to_string(e.resolved) + std::to_string(e.duplicate) +
                (made->find(e.id) == i ? " found\n" : "\n");
      }
    } catch (const failure& f) {
      text = std::to_string(static_cast<int>(f.why())) + " " + f.what();
      co_return;
    }
    for (const std::uint64_t n :
         {last.objects_done, last.objects_total, last.bytes_received, last.bytes_analysed,
          last.inflated_bytes, last.deltas, last.deferred, last.duplicates, last.longest_chain,
          last.largest_object}) {
      text += std::to_string(n) + " ";
    }
  });
  loop.run(until_idle);
  return text;
}

void check_any_threads(const std::string& bytes,
                       pack_limits limits = {},
                       const snapshot_ptr& bases = {}) {
  const std::string expected = analysed_text(bytes, 0, limits, bases);
  for (const std::size_t threads : {1U, 2U, 4U}) {
    INFO(threads << " threads");
    const std::string text = analysed_text(bytes, threads, limits, bases);
    CHECK((text == expected));
    if (text.size() < 1000 && expected.size() < 1000) CHECK(text == expected);
  }
}

std::string lines(std::mt19937& random, std::size_t bytes) {
  std::string text;
  while (text.size() < bytes) text += "line " + std::to_string(random()) + "\n";
  return text;
}

// Many times what may wait for names: objects and chains of deltas, some of which come twice, some
// before their bases, and some that are too large to be kept.
std::string large_pack(unsigned seed) {
  std::mt19937 random(seed);
  builder b;
  for (int i = 0; i < 60; ++i) {
    std::string text = lines(random, 500 + random() % 60'000);
    if (i % 20 == 7) text += lines(random, 1'500'000);
    std::uint64_t at = b.object(builder::blob, text);
    std::uint64_t last = at;
    if (i % 5 == 0) b.object(builder::blob, text);
    for (int k = 0; k < 12; ++k) {
      const std::string more = "changed " + std::to_string(random()) + "\n";
      const std::string ops =
          copy_op(0, static_cast<std::uint32_t>(text.size())) + insert_ops(more);
      const std::string delta = make_delta(text.size(), text.size() + more.size(), ops);
      const std::string next = text + more;
      if (k % 6 == 5) {
        b.ref_delta(blob_id(text), delta);
      } else {
        last = b.ofs_delta(at, delta);
      }
      if (k % 3 == 0) continue;  // a fork of the chain
      text = next;
      at = k % 6 == 5 ? b.object(builder::blob, text) : last;
    }
  }
  return b.finish();
}

}  // namespace

TEST_CASE("a pack of git is the same with any number of threads", "[git_mem][threads]") {
  const temp_folder repo;
  fill_randomly(repo, 51, 80);
  const std::string options = GENERATE("--delta-base-offset --depth=50", "--depth=50", "--depth=1");
  const std::string bytes =
      repo.output("git pack-objects --all --stdout -q " + options + " </dev/null");
  check_any_threads(bytes);
  pack_limits little;
  little.cache_bytes = 1;  // nearly all deltas wait for the end
  check_any_threads(bytes, little);
}

TEST_CASE("a thin pack is the same with any number of threads", "[git_mem][threads]") {
  const temp_folder repo;
  fill_randomly(repo, 52, 60);
  repo.run("git rev-parse main~5 > old && (git rev-parse main && git rev-parse ^main~5) > new");
  const std::string older = repo.output("git pack-objects --stdout -q --revs < old");
  const snapshot_ptr bases = snapshot_of(analyse(older).pack);
  const std::string thin = repo.output("git pack-objects --stdout -q --thin --revs < new");
  CHECK(analysed_text(thin, 0).find("is missing") != std::string::npos);
  check_any_threads(thin, {}, bases);
  check_any_threads(thin);
}

TEST_CASE("a pack larger than what may wait for names is the same", "[git_mem][threads]") {
  const std::string bytes = large_pack(GENERATE(1U, 2U));
  CHECK(analysed_text(bytes, 0).size() > 10'000);
  check_any_threads(bytes);
  pack_limits little;
  little.cache_bytes = 256 * 1024;
  check_any_threads(bytes, little);
}

TEST_CASE("a damaged pack gives the same error with any number of threads", "[git_mem][threads]") {
  const temp_folder repo;
  fill_randomly(repo, 53, 20);
  const std::string good =
      repo.output("git pack-objects --all --stdout -q --delta-base-offset --depth=50 </dev/null");
  std::mt19937 random(7);
  for (int i = 0; i < 60; ++i) {
    std::string bad = good;
    const std::size_t at = 12 + random() % (good.size() - 12);
    if (i % 3 == 0) {
      bad.resize(at);
    } else {
      bad[at] = static_cast<char>(bad[at] ^ (1 << random() % 8));
    }
    const std::string expected = analysed_text(bad, 0);
    CHECK_THAT(expected, Catch::Contains("pack"));
    CHECK(analysed_text(bad, 3) == expected);
  }
  pack_limits tight;
  tight.total_inflated_bytes = 50'000;
  check_any_threads(good, tight);
  tight = {};
  tight.delta_depth = 2;
  check_any_threads(good, tight);
  tight = {};
  tight.pack_bytes = good.size() / 2;
  check_any_threads(good, tight);
  tight = {};
  tight.working_bytes = 3000;
  tight.cache_bytes = 1;
  check_any_threads(good, tight);
}

TEST_CASE("a pool of one thread analyses for many", "[git_mem][threads]") {
  const std::string bytes = large_pack(3);
  fermata::event_loop loop(fermata::testing::options_of_run());
  loop.pool().set_bounds({1, 1});
  std::uint32_t entries = 0;
  loop.run([&]() -> promise<> {
    promise<std::unique_ptr<pack>> first =
        fermata::git_mem::analyse(bytes_of(bytes), {}, {}, {}, 4);
    promise<std::unique_ptr<pack>> second =
        fermata::git_mem::analyse(bytes_of(bytes), {}, {}, {}, 2);
    const std::unique_ptr<pack> a = co_await std::move(first);
    const std::unique_ptr<pack> b = co_await std::move(second);
    entries = a->entry_count();
    CHECK(entries == b->entry_count());
  });
  CHECK(entries > 700);
}

TEST_CASE("the loop turns while threads analyse, and nothing is left after a cancel",
          "[git_mem][threads]") {
  const std::string bytes = large_pack(4);
  fermata::event_loop loop(fermata::testing::options_of_run());
  loop.run([&]() -> promise<> {
    promise<std::unique_ptr<pack>> whole =
        fermata::git_mem::analyse(bytes_of(bytes), {}, {}, {}, 3);
    std::uint64_t turns = 0;
    while (whole.is_pending()) {
      ++turns;
      co_await fermata::pause();
    }
    CHECK(turns > 3);
    for (const std::uint64_t after : {std::uint64_t{0}, std::uint64_t{1}, turns / 3, turns / 2}) {
      promise<std::unique_ptr<pack>> cut =
          fermata::git_mem::analyse(bytes_of(bytes), {}, {}, {}, 3);
      for (std::uint64_t i = 0; i < after && cut.is_pending(); ++i) co_await fermata::pause();
      cancel(cut);
      bool was_cancelled = false;
      try {
        co_await cut;
      } catch (const fermata::cancelled&) {
        was_cancelled = true;
      }
      if (after <= 1) CHECK(was_cancelled);
      promise<> idle = until_idle();
      co_await idle;
    }
  });
}
