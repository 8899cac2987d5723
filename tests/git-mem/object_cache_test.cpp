// SPDX-License-Identifier: MIT
// What is read beside a cache is what is read without one, and takes less.

#include "support/git_snapshot.hpp"
#include "support/random_repository.hpp"

#include <fermata/git_mem/object_cache.hpp>
#include <fermata/git_mem/object_reader.hpp>

#include <catch2/catch.hpp>

#include <algorithm>
#include <deque>
#include <random>
#include <string>
#include <vector>

using namespace fermata::git_mem;
using namespace fermata::test;
using namespace std::chrono_literals;

namespace {

constexpr std::uint64_t any = UINT64_MAX;

// The price of reading one object, and of its dearest step at the default budget.
struct price {
  std::chrono::nanoseconds whole{};
  std::chrono::nanoseconds dearest{};
};
price price_of(const snapshot_ptr& from, const object_id& id, object_cache* recent) {
  object_reader reader(from, id, recent);
  price p;
  for (;;) {
    const step_result r = reader.step();
    p.whole += r.cost;
    p.dearest = std::max(p.dearest, r.cost);
    if (r.state == step_state::error) throw failure(reader.error());
    if (r.state == step_state::done) return p;
  }
}

std::string random_text(std::size_t size, unsigned seed) {
  std::mt19937 random(seed);
  std::string text(size, '\0');
  for (char& c : text) c = static_cast<char>(random());
  return text;
}

// A large blob and versions of it, each a delta on the one before; their names.
struct versions {
  snapshot_ptr from;
  std::vector<object_id> ids;
};
versions make_versions(std::size_t size, int count) {
  pack_builder b;
  std::string text = random_text(size, 5);
  versions v;
  v.ids.push_back(blob_id(text));
  std::uint64_t base = b.object(pack_builder::blob, text);
  for (int i = 0; i < count; ++i) {
    const auto n = static_cast<std::uint32_t>(text.size());
    base = b.ofs_delta(base, make_delta(n, n + 3, copy_op(0, n) + insert_ops("new")));
    text += "new";
    v.ids.push_back(blob_id(text));
  }
  v.from = snapshot_of(analyse(b.finish()).pack);
  return v;
}

}  // namespace

TEST_CASE("objects are the same beside a cache, in any order and of any size",
          "[git_mem][object_cache]") {
  const temp_folder repo;
  fill_randomly(repo, 51, 100);
  const snapshot_ptr s = all_of(repo);
  const std::uint64_t bytes = GENERATE(std::uint64_t{1}, std::uint64_t{300'000},
                                       std::uint64_t{object_cache::default_bytes});
  object_cache recent(*s, bytes);
  std::vector<std::uint32_t> order(s->packs[0]->entry_count());
  for (std::uint32_t i = 0; i < order.size(); ++i) order[i] = i;
  std::size_t differ = 0;
  for (unsigned round = 0; round < 3; ++round) {
    std::shuffle(order.begin(), order.end(), std::mt19937(round));
    for (const std::uint32_t i : order) {
      const object_id id = s->packs[0]->entry(i).id;
      const object o = read_object(s, id, any, &recent);
      if (name_object(o.type, o.bytes()) != id) ++differ;
    }
  }
  CHECK(differ == 0);
}

TEST_CASE("readers that take turns share a cache", "[git_mem][object_cache]") {
  const temp_folder repo;
  fill_randomly(repo, 52, 60);
  const snapshot_ptr s = all_of(repo);
  object_cache recent(*s, 100'000);
  std::deque<object_reader> open;
  std::size_t differ = 0;
  for (std::uint32_t next = 0; next < s->packs[0]->entry_count() || !open.empty();) {
    if (open.size() < 7 && next < s->packs[0]->entry_count()) {
      open.emplace_back(s, s->packs[0]->entry(next++).id, &recent);
    }
    object_reader turn = std::move(open.front());
    open.pop_front();
    const step_result r = turn.step(1ns);
    REQUIRE(r.state != step_state::error);
    if (r.state == step_state::more) {
      open.push_back(std::move(turn));
      continue;
    }
    const object o = turn.take();
    if (name_object(o.type, o.bytes()) != o.id) ++differ;
  }
  CHECK(differ == 0);
}

TEST_CASE("the first of a long chain of large objects is inflated once",
          "[git_mem][object_cache]") {
  const versions v = make_versions(150'000, 60);  // more than the cache holds
  object_cache recent(*v.from);
  const price cold = price_of(v.from, v.ids[50], &recent);
  CHECK(price_of(v.from, v.ids[1], &recent).whole < cold.whole / 8);
  CHECK(price_of(v.from, v.ids[59], nullptr).whole > cold.whole);
  // And what was asked for is there for the next version.
  CHECK(price_of(v.from, v.ids[51], &recent).whole < cold.whole / 8);
}

TEST_CASE("what is read once pushes no base out of a cache", "[git_mem][object_cache]") {
  pack_builder b;
  const std::string text = random_text(20'000, 1);
  const std::uint64_t base = b.object(pack_builder::blob, text);
  std::vector<object_id> ids;
  for (const std::string end : {"1", "2"}) {
    b.ofs_delta(base, make_delta(20'000, 20'001, copy_op(0, 20'000) + insert_ops(end)));
    ids.push_back(blob_id(text + end));
  }
  std::vector<object_id> others;
  for (unsigned i = 0; i < 100; ++i) {
    const std::string other = random_text(20'000, 2 + i);
    b.object(pack_builder::blob, other);
    others.push_back(blob_id(other));
  }
  const snapshot_ptr s = snapshot_of(analyse(b.finish()).pack);
  object_cache recent(*s, 1 << 20);
  const price cold = price_of(s, ids[0], &recent);
  for (const object_id& id : others) static_cast<void>(read_object(s, id, any, &recent));
  CHECK(price_of(s, ids[1], &recent).whole < cold.whole / 4);
}

TEST_CASE("a step of a reader keeps to its price, however much is left to inflate",
          "[git_mem][object_cache]") {
  const versions v = make_versions(3'000'000, 1);
  object_cache recent(*v.from);
  CHECK(price_of(v.from, v.ids[1], &recent).dearest < 400us);
  CHECK(price_of(v.from, v.ids[1], nullptr).dearest < 400us);
  CHECK(read_object(v.from, v.ids[1], any, &recent).content.size() == 3'000'003);
}
