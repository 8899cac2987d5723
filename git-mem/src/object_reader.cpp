// SPDX-License-Identifier: MIT
// The chain is noted from the object down to its first non-delta, which is inflated; then each
// delta is inflated and applied on the way back. A ref delta's base is looked for in its own pack,
// then in older ones (delta_base.hpp). With a cache the way down ends at the first object in it.

#include "analysis_context.hpp"
#include "delta_base.hpp"
#include "object_cache.hpp"

#include <fermata/git_mem/naming.hpp>
#include <fermata/git_mem/object_reader.hpp>

#include <utility>

namespace fermata::git_mem {

using detail::cost_ns;

struct object_reader::work {
  enum class phase { chain, inflate, apply, clean, done };

  work(snapshot_ptr f, const object_id& name, detail::object_cache* recent)
      : from(std::move(f)), id(name), cache(recent) {
    const std::optional<object_header> found = from->find_object(id);
    if (!found) throw failure(reason::not_found, "object " + id.hex() + ": not in the store");
    header = *found;
    chain.push_back({header.pack_number, header.entry_number});
  }

  void unit(cost_ns& cost);
  void walk_chain();
  void start_inflate();
  void inflate(cost_ns& cost);
  void inflated();
  bool take_cached();
  void made();  // content is that of the last link

  snapshot_ptr from;
  object_id id;
  detail::object_cache* cache;
  object_header header;
  phase now = phase::chain;
  std::vector<detail::entry_place> chain;
  std::uint64_t read_at = 0;
  byte_block content;  // what is rebuilt so far
  byte_block loaded;   // the entry being inflated
  byte_block result;
  detail::inflater inflater;
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
  const std::uint8_t* const known = cache->find(last.pack_number, last.entry_number, size);
  if (known == nullptr) return false;
  content = byte_block(size);
  std::memcpy(content.data(), known, size);
  chain.pop_back();
  if (chain.empty()) {
    now = phase::clean;
  } else {
    start_inflate();
  }
  return true;
}

void object_reader::work::made() {
  const detail::entry_place last = chain.back();
  if (cache != nullptr) {
    cache->keep(last.pack_number, last.entry_number, {content.data(), content.size()});
  }
  chain.pop_back();
  if (chain.empty()) {
    now = phase::clean;
  } else {
    start_inflate();
  }
}

void object_reader::work::start_inflate() {
  const detail::entry_place last = chain.back();
  const entry_header h = from->packs[last.pack_number]->get_header(last.entry_number);
  loaded = byte_block(h.size);
  inflater.start(h.size, loaded.data());
  read_at = h.data_offset;
  now = phase::inflate;
}

void object_reader::work::inflate(cost_ns& cost) {
  const pack& p = *from->packs[chain.back().pack_number];
  const std::uint64_t at = read_at + inflater.consumed();
  const step_state state = inflater.step(p.bytes().subspan(at, p.end_offset() - at), cost);
  if (state == step_state::need_input) throw failure(reason::corrupt, "zlib data ends early");
  if (state == step_state::done) inflated();
}

void object_reader::work::inflated() {
  if (content.data() == nullptr) {  // the first non-delta
    content = std::exchange(loaded, {});
    return made();
  }
  delta.start({loaded.data(), loaded.size()});
  const pack_entry& e = from->packs[chain.back().pack_number]->entry(chain.back().entry_number);
  if (delta.result_size() != e.size)
    throw failure(reason::corrupt, "delta result has another size");
  result = byte_block(delta.result_size());
  delta.attach({content.data(), content.size()}, result.data());
  now = phase::apply;
}

void object_reader::work::unit(cost_ns& cost) {
  cost += detail::operation_cost;
  if (discarded.release_slice()) {
    cost += cost_ns(20'000);
    return;
  }
  switch (now) {
    case phase::chain:
      return walk_chain();
    case phase::inflate:
      return inflate(cost);
    case phase::apply:
      if (!delta.step(cost)) return;
      discarded.add(std::exchange(content, std::exchange(result, {})));
      discarded.add(std::exchange(loaded, {}));
      return made();
    case phase::clean:
      now = phase::done;
      return;
    case phase::done:
      return;
  }
}

object_reader::object_reader(snapshot_ptr from, const object_id& id, detail::object_cache* recent)
    : work_(std::make_unique<work>(std::move(from), id, recent)) {}
object_reader::object_reader(object_reader&&) noexcept = default;
object_reader& object_reader::operator=(object_reader&&) noexcept = default;
object_reader::~object_reader() = default;

const object_header& object_reader::header() const noexcept { return work_->header; }

step_result object_reader::step(std::chrono::nanoseconds budget) {
  step_result r;
  if (work_->error) return {step_state::error, r.cost};
  try {
    while (r.cost < budget && work_->now != work::phase::done) work_->unit(r.cost);
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

object read_object(const snapshot_ptr& from, const object_id& id, std::uint64_t limit_bytes) {
  object_reader reader(from, id);
  if (reader.header().size_bytes > limit_bytes) {
    throw failure(reason::limit, "object " + id.hex() + ": " +
                                     std::to_string(reader.header().size_bytes) +
                                     " bytes, the limit here is " + std::to_string(limit_bytes));
  }
  for (;;) {
    const step_result r = reader.step(std::chrono::milliseconds(10));
    if (r.state == step_state::error) throw failure(reader.error());
    if (r.state == step_state::done) return reader.take();
  }
}

}  // namespace fermata::git_mem
