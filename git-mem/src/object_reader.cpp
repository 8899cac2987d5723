// SPDX-License-Identifier: MIT
// The chain is noted from the object down to its first non-delta, which is inflated; then each
// delta is inflated and applied on the way back. A ref delta's base is looked for in its own pack,
// then in older ones (delta_base.hpp). With a cache the way down ends at the first object in it.

#include "analysis_context.hpp"
#include "delta_base.hpp"
#include "recent_objects.hpp"

#include <fermata/git_mem/naming.hpp>
#include <fermata/git_mem/object_reader.hpp>

#include <algorithm>
#include <utility>

namespace fermata::git_mem {

using detail::cost_ns;

namespace {

// What a unit may take where the rest of the step is less.
constexpr cost_ns least_unit =
    detail::inflate_cost(detail::inflate_input_cut, detail::inflate_at_once_cut);

}  // namespace

object_cache::object_cache(const snapshot& of, std::uint64_t bytes)
    : recent_(std::make_unique<detail::recent_objects>(of, bytes)) {}
object_cache::object_cache(object_cache&&) noexcept = default;
object_cache& object_cache::operator=(object_cache&&) noexcept = default;
object_cache::~object_cache() = default;

bool object_cache::release_slice() noexcept { return recent_->release_slice(); }

struct object_reader::work {
  enum class phase { chain, inflate, apply, clean, done };

  work(snapshot_ptr f, const object_id& name, detail::recent_objects* recent)
      : from(std::move(f)), id(name), cache(recent) {
    const std::optional<object_header> found = from->find_object(id);
    if (!found) throw failure(reason::not_found, "object " + id.hex() + ": not in the store");
    header = *found;
    chain.push_back({header.pack_number, header.entry_number});
  }
  work(const work&) = delete;
  work& operator=(const work&) = delete;
  ~work() {
    if (cache != nullptr && inflater) cache->give_back(std::move(inflater));
  }

  void unit(cost_ns& cost, cost_ns left);
  void walk_chain();
  void start_inflate();
  void inflate(cost_ns& cost, cost_ns left);
  void inflated();
  bool take_cached();
  void made(bool is_first);  // content is that of the last link
  void next_link();

  snapshot_ptr from;
  object_id id;
  detail::recent_objects* cache;
  object_header header;
  phase now = phase::chain;
  std::vector<detail::entry_place> chain;
  std::span<const std::uint8_t> deflated;  // the entry's
  byte_block content;                      // what is rebuilt so far
  byte_block loaded;                       // the entry being inflated
  byte_block result;
  std::unique_ptr<detail::inflater> inflater;
  delta_applier delta;
  detail::discarded_blocks discarded;
  std::optional<failure> error;
};

void object_reader::work::walk_chain() {
  if (take_cached()) return;
  const detail::entry_place last = chain.back();
  const entry_header h = from->packs[last.pack_number]->get_header(last.entry_number);
  if (!h.is_delta()) return start_inflate();
  chain.push_back(detail::get_base(*from, last, h));
}

bool object_reader::work::take_cached() {
  if (cache == nullptr) return false;
  const detail::entry_place last = chain.back();
  const std::uint64_t size = from->packs[last.pack_number]->entry(last.entry_number).size;
  const std::uint8_t* const known = cache->find(last, size, chain.size() > 1);
  if (known == nullptr) return false;
  content = byte_block(size);
  std::memcpy(content.data(), known, size);
  next_link();
  return true;
}

void object_reader::work::made(bool is_first) {
  if (cache != nullptr && chain.size() > 1) {
    cache->keep_base(chain.back(), {content.data(), content.size()}, is_first);
  } else if (cache != nullptr) {
    cache->keep_asked_for(chain.back(), {content.data(), content.size()});
  }
  next_link();
}

void object_reader::work::next_link() {
  chain.pop_back();
  if (chain.empty()) {
    now = phase::clean;
  } else {
    start_inflate();
  }
}

// Entries stand in the order of their offsets: this one ends at the latest where the next begins.
void object_reader::work::start_inflate() {
  const detail::entry_place last = chain.back();
  const pack& p = *from->packs[last.pack_number];
  const entry_header h = p.get_header(last.entry_number);
  const bool is_last = last.entry_number + 1 == p.entry_count();
  const std::uint64_t end = is_last ? p.end_offset() : p.entry(last.entry_number + 1).offset;
  deflated = p.bytes().subspan(h.data_offset, end - h.data_offset);
  if (!inflater) {
    inflater = cache != nullptr ? cache->take_inflater() : std::make_unique<detail::inflater>();
  }
  loaded = byte_block(h.size);
  inflater->start(h.size, loaded.data());
  now = phase::inflate;
}

void object_reader::work::inflate(cost_ns& cost, cost_ns left) {
  const auto rest = deflated.subspan(inflater->consumed());
  const step_state state = inflater->step_whole(rest, cost, std::max(left, least_unit));
  if (state == step_state::need_input) throw failure(reason::corrupt, "zlib data ends early");
  if (state == step_state::done) inflated();
}

void object_reader::work::inflated() {
  if (content.data() == nullptr) {  // the first non-delta
    content = std::exchange(loaded, {});
    return made(true);
  }
  delta.start({loaded.data(), loaded.size()});
  const pack_entry& e = from->packs[chain.back().pack_number]->entry(chain.back().entry_number);
  if (delta.result_size() != e.size)
    throw failure(reason::corrupt, "delta result has another size");
  result = byte_block(delta.result_size());
  delta.attach({content.data(), content.size()}, result.data());
  now = phase::apply;
}

void object_reader::work::unit(cost_ns& cost, cost_ns left) {
  cost += detail::operation_cost;
  if (discarded.release_slice()) {
    cost += cost_ns(20'000);
    return;
  }
  switch (now) {
    case phase::chain:
      return walk_chain();
    case phase::inflate:
      return inflate(cost, left);
    case phase::apply:
      if (!delta.step(cost)) return;
      discarded.add(std::exchange(content, std::exchange(result, {})));
      discarded.add(std::exchange(loaded, {}));
      return made(false);
    case phase::clean:
      now = phase::done;
      return;
    case phase::done:
      return;
  }
}

object_reader::object_reader(snapshot_ptr from, const object_id& id, object_cache* recent)
    : work_(std::make_unique<work>(
          std::move(from), id, recent == nullptr ? nullptr : recent->recent_.get())) {}
object_reader::object_reader(object_reader&&) noexcept = default;
object_reader& object_reader::operator=(object_reader&&) noexcept = default;
object_reader::~object_reader() = default;

const object_header& object_reader::header() const noexcept { return work_->header; }

step_result object_reader::step(std::chrono::nanoseconds budget) {
  step_result r;
  if (work_->error) return {step_state::error, r.cost};
  try {
    while (r.cost < budget && work_->now != work::phase::done) {
      work_->unit(r.cost, budget - r.cost);
    }
    if (work_->now == work::phase::done) r.state = step_state::done;
  } catch (const failure& f) {
    work_->error = f.at("object " + work_->id.hex());
    r.state = step_state::error;
  }
  return r;
}

const failure& object_reader::error() const {
  if (!work_->error) throw contract_error("the reader has no error");
  return *work_->error;
}

object object_reader::take() {
  if (work_->now != work::phase::done) throw contract_error("the reader is not done");
  return {work_->id, work_->header.type, std::exchange(work_->content, {})};
}

object read_object(const snapshot_ptr& from,
                   const object_id& id,
                   std::uint64_t limit_bytes,
                   object_cache* recent) {
  object_reader reader(from, id, recent);
  if (reader.header().size_bytes > limit_bytes) {
    throw failure(reason::limit, "object " + id.hex() + ": " +
                                     std::to_string(reader.header().size_bytes) +
                                     " bytes, the limit here is " + std::to_string(limit_bytes));
  }
  for (;;) {
    const step_result r = reader.step(std::chrono::seconds(1));
    if (r.state == step_state::error) throw failure(reader.error());
    if (r.state == step_state::done) return reader.take();
  }
}

}  // namespace fermata::git_mem
