// SPDX-License-Identifier: MIT
#include "delta_forest.hpp"

#include <fermata/git_mem/object_reader.hpp>

#include <algorithm>

namespace fermata::git_mem {

namespace {

constexpr std::size_t links_chunk = 2048;
constexpr std::uint32_t none = pack_entry::none;

}  // namespace

delta_forest::delta_forest(analysis_context& context) : context_(context) {}
delta_forest::~delta_forest() = default;

pack_entry& delta_forest::entry(std::uint32_t number) const {
  return context_.made->entries_[number];
}

delta_forest::links& delta_forest::at(std::uint32_t number) {
  const std::size_t chunk = number / links_chunk;
  if (chunk >= links_.size()) links_.resize(chunk + 1);
  if (!links_[chunk]) links_[chunk] = std::make_unique<links[]>(links_chunk);
  return links_[chunk][number % links_chunk];
}

std::uint32_t delta_forest::first_child(std::uint32_t number) const {
  const std::size_t chunk = number / links_chunk;
  if (chunk >= links_.size() || !links_[chunk]) return none;
  return links_[chunk][number % links_chunk].first_child;
}

// Still to be resolved, or to be rebuilt for its children.
bool delta_forest::is_open(std::uint32_t number) const {
  return entry(number).resolved == 0 || entry(number).marked == 1;
}

std::optional<std::uint32_t> delta_forest::find_base(const entry_header& h) const {
  return h.kind == entry_header::ofs_delta ? context_.made->find_offset(h.base_offset)
                                           : context_.made->find(h.base_id);
}

void delta_forest::add_child(std::uint32_t base, std::uint32_t child) {
  const std::uint32_t first = std::exchange(at(base).first_child, child);
  at(child).next_sibling = first;
}

void delta_forest::wait_for(std::uint32_t number, const object_id& base) {
  const auto base_of = [this](std::uint32_t g) -> const object_id& { return groups_[g].base; };
  std::uint32_t found = group_names_.find(base, base_of);
  if (found == none) {
    found = static_cast<std::uint32_t>(groups_.size());
    groups_.push_back({base, none, number, false});
    group_names_.insert(base, found, base_of);
    ++waiting_;
  }
  at(number).next_sibling = std::exchange(groups_[found].first, number);
}

// Those that wait for the name of `number` become its children.
void delta_forest::wake(std::uint32_t number) {
  if (waiting_ == 0) return;
  const auto base_of = [this](std::uint32_t g) -> const object_id& { return groups_[g].base; };
  const std::uint32_t found = group_names_.find(entry(number).id, base_of);
  if (found == none || groups_[found].woken) return;
  groups_[found].woken = true;
  --waiting_;
  const std::uint32_t others = std::exchange(at(number).first_child, groups_[found].first);
  at(groups_[found].last).next_sibling = others;
}

byte_block delta_forest::take_block(std::uint64_t size) {
  if (live_bytes_ + size > context_.limits.working_bytes) {
    throw failure(reason::limit, "resolving deltas needs more than " +
                                     std::to_string(context_.limits.working_bytes) +
                                     " bytes at one time");
  }
  byte_block block(size);
  live_bytes_ += size;
  return block;
}

void delta_forest::drop(byte_block&& block) {
  live_bytes_ -= block.size();
  context_.discard(std::move(block));
}

void delta_forest::push(byte_block&& content,
                        std::uint32_t first,
                        std::uint32_t depth,
                        object_type type) {
  frame& f = stack_.emplace_back();
  f.content = std::move(content);
  f.next = f.first = first;
  f.depth = depth;
  f.type = type;
}

void delta_forest::pop() {
  drop(std::move(stack_.back().content));
  stack_.pop_back();
}

bool delta_forest::unit(detail::cost_ns& cost) {
  cost += detail::operation_cost;
  const bool in_entry = current_ != none;
  try {
    do_phase(cost);
  } catch (const failure& f) {
    const std::uint32_t blamed = in_entry || current_ != none ? current_ : climbing_;
    if (blamed == none) throw;
    throw f.at(detail::at_byte(entry(blamed).offset));
  }
  return finished_;
}

void delta_forest::do_phase(detail::cost_ns& cost) {
  switch (phase_) {
    case phase::link:
      return link_one();
    case phase::climb:
      return climb();
    case phase::next_root:
      return find_root();
    case phase::blame:
      return blame();
    case phase::external:
      return read_external(cost);
    case phase::child:
      return pick_child(cost);
    case phase::load:
      if (inflate_unit(cost)) {
        const pack_entry& e = entry(current_);
        push(std::exchange(loaded_, {}), first_child(current_), 0, e.type());
        current_ = none;
        phase_ = phase::child;
      }
      return;
    case phase::inflate:
      if (inflate_unit(cost)) start_apply();
      return;
    case phase::apply:
      if (context_.delta.step(cost)) finish_apply();
      return;
    case phase::name:
      if (const std::optional<object_id> id = context_.naming.step(cost)) finish_child(&*id);
      return;
  }
}

void delta_forest::link_one() {
  if (deferred_.empty()) {
    phase_ = phase::next_root;
    return;
  }
  const std::uint32_t number = deferred_.front();
  deferred_.pop_front();
  const entry_header h = context_.made->get_header(number);
  const std::optional<std::uint32_t> base = find_base(h);
  if (!base) return wait_for(number, h.base_id);
  add_child(*base, number);
  climbing_ = *base;
  phase_ = phase::climb;
}

// A base that was resolved on arrival has to be made again: it becomes a child of its own base.
void delta_forest::climb() {
  pack_entry& e = entry(climbing_);
  const std::uint32_t number = std::exchange(climbing_, none);
  phase_ = phase::link;
  if (e.resolved == 0 || e.marked == 1) return;
  e.marked = 1;
  if (e.delta == 0) {
    roots_.push_back(number);
    return;
  }
  const std::optional<std::uint32_t> base = find_base(context_.made->get_header(number));
  if (!base) throw failure(reason::corrupt, "delta lost its base");
  add_child(*base, number);
  climbing_ = *base;
  phase_ = phase::climb;
}

void delta_forest::find_root() {
  if (next_root_ < roots_.size()) {
    start_load(roots_[next_root_++]);
  } else if (next_group_ < groups_.size()) {
    find_external();
  } else if (waiting_ > 0) {
    next_group_ = 0;
    phase_ = phase::blame;
  } else {
    finished_ = true;
  }
}

void delta_forest::start_load(std::uint32_t root) {
  current_ = root;
  const entry_header h = context_.made->get_header(root);
  context_.spend(h.size);
  loaded_ = take_block(h.size);
  context_.inflate.start(h.size, loaded_.data());
  read_at_ = h.data_offset;
  phase_ = phase::load;
}

// A group without such a base stays: an object resolved later may be what it waits for.
void delta_forest::find_external() {
  waiting_group& g = groups_[next_group_++];
  if (g.woken || !context_.bases || !context_.bases->find_object(g.base)) return;
  g.woken = true;
  --waiting_;
  external_ = std::make_unique<object_reader>(context_.bases, g.base);
  context_.spend(external_->header().size_bytes);
  phase_ = phase::external;
}

void delta_forest::read_external(detail::cost_ns& cost) {
  const step_result r = external_->step(std::chrono::nanoseconds(1));  // one unit
  cost += r.cost;
  if (r.state == step_state::error) throw external_->error();
  if (r.state != step_state::done) return;
  const object_header& header = external_->header();
  const pack_entry& e = context_.bases->packs[header.pack_number]->entry(header.entry_number);
  object base = external_->take();
  external_.reset();
  live_bytes_ += base.content.size();
  push(std::move(base.content), groups_[next_group_ - 1].first, e.depth, base.type);
  phase_ = phase::child;
}

void delta_forest::blame() {
  for (std::size_t i = 0; i < detail::scan_cut && next_group_ < groups_.size(); ++i) {
    const waiting_group& g = groups_[next_group_++];
    if (g.woken) continue;
    const std::uint64_t offset = entry(g.first).offset;
    throw failure(reason::corrupt, detail::at_byte(offset) + ": delta base " + g.base.hex() +
                                       " is missing (" + std::to_string(waiting_) +
                                       " missing in all)");
  }
}

void delta_forest::pick_child(detail::cost_ns& cost) {
  if (stack_.empty()) {
    phase_ = phase::next_root;
    return;
  }
  frame& f = stack_.back();
  for (std::size_t i = 0; i < detail::scan_cut; ++i) {
    cost += detail::cost_ns(20);
    if (f.next == none) {
      if (f.second_pass || f.inner == 0) return pop();
      f.second_pass = true;
      f.next = f.first;
    }
    const std::uint32_t child = f.next;
    f.next = at(child).next_sibling;
    if (!f.second_pass) {
      if (first_child(child) == none) return start_child(child, false);
      ++f.inner;
    } else if (is_open(child)) {
      return start_child(child, --f.inner == 0);
    }
  }
}

void delta_forest::start_child(std::uint32_t number, bool last) {
  current_ = number;
  last_ = last;
  if (stack_.back().depth + 1 > context_.limits.delta_depth) {
    throw failure(reason::limit,
                  "delta chain of more than " + std::to_string(context_.limits.delta_depth));
  }
  const entry_header h = context_.made->get_header(number);
  context_.spend(h.size);
  loaded_ = take_block(h.size);
  context_.inflate.start(h.size, loaded_.data());
  read_at_ = h.data_offset;
  phase_ = phase::inflate;
}

bool delta_forest::inflate_unit(detail::cost_ns& cost) {
  const std::uint64_t end = context_.made->end_offset();
  const std::uint64_t at = read_at_ + context_.inflate.consumed();
  const auto in = context_.made->bytes().subspan(at, end - at);
  const step_state state = context_.inflate.step(in, cost);
  if (state == step_state::need_input) throw failure(reason::corrupt, "zlib data ends early");
  return state == step_state::done;
}

void delta_forest::start_apply() {
  context_.delta.start({loaded_.data(), loaded_.size()});
  context_.spend(context_.delta.result_size());
  const byte_block& base = stack_.back().content;
  result_ = take_block(context_.delta.result_size());
  context_.delta.attach({base.data(), base.size()}, result_.data());
  phase_ = phase::apply;
}

void delta_forest::finish_apply() {
  drop(std::exchange(loaded_, {}));
  if (entry(current_).resolved == 1) return finish_child(nullptr);
  context_.links.add(current_, stack_.back().type, {result_.data(), result_.size()});
  const bool is_later = context_.names.is_shared() && waiting_ == 0 &&
                        result_.size() <= detail::pending_names::largest_bytes;
  if (is_later) {  // nobody waits for the name
    const object_type type = stack_.back().type;
    context_.describe(current_, type, result_.size(), stack_.back().depth + 1);
    context_.names.add(current_, type, {result_.data(), result_.size()},
                       detail::pending_names::no_mark);
    return close_child();
  }
  context_.naming.start(stack_.back().type, {result_.data(), result_.size()});
  phase_ = phase::name;
}

void delta_forest::finish_child(const object_id* id) {
  const std::uint32_t depth = stack_.back().depth + 1;
  const object_type type = stack_.back().type;
  if (id != nullptr) {
    context_.resolve(current_, *id, type, result_.size(), depth);
    wake(current_);
  } else {
    entry(current_).marked = 0;
  }
  close_child();
}

void delta_forest::close_child() {
  const std::uint32_t depth = stack_.back().depth + 1;
  const object_type type = stack_.back().type;
  if (last_) pop();
  const std::uint32_t children = first_child(current_);
  if (children != none) {
    push(std::exchange(result_, {}), children, depth, type);
  } else {
    drop(std::exchange(result_, {}));
  }
  current_ = none;
  phase_ = phase::child;
}

bool delta_forest::release_slice() noexcept {
  if (!stack_.empty()) {
    const bool more = stack_.back().content.release_slice();
    if (!more) stack_.pop_back();
    return true;
  }
  for (int i = 0; i < 512 && !deferred_.empty(); ++i) deferred_.pop_front();
  if (!deferred_.empty() || loaded_.release_slice() || result_.release_slice()) return true;
  for (int i = 0; i < 16 && !links_.empty(); ++i) links_.pop_back();
  return !links_.empty() || roots_.release_slice() || groups_.release_slice() ||
         group_names_.release_slice();
}

}  // namespace fermata::git_mem
