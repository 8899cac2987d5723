// SPDX-License-Identifier: MIT
// Invariants between two units: (1) all entries before number_ have a record, in the order of their
// offsets; (2) a record is resolved, or its number is in the forest, or it is number_; (3) the
// bytes before hashed_ are in the checksum, and hashed_ <= at_; (4) what is pending of names stands
// on blocks that are kept, or in the cache where it is_safe.

#include "analysis.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace fermata::git_mem {

using detail::cost_ns;

namespace {

constexpr std::uint64_t header_bytes = 12;
constexpr std::uint64_t trailer_bytes = object_id::size_bytes;

std::uint64_t read_u32(const std::uint8_t* p) {
  return std::uint64_t{p[0]} << 24 | std::uint64_t{p[1]} << 16 | std::uint64_t{p[2]} << 8 | p[3];
}

pack_limits sane(pack_limits limits) {
  limits.object_bytes = std::min<std::uint64_t>(limits.object_bytes, 0xffffffffU);
  limits.objects = std::min<std::uint64_t>(limits.objects, 0xfffffffeU);
  limits.delta_depth = std::min<std::uint64_t>(limits.delta_depth, 4095);
  limits.pack_bytes = std::min<std::uint64_t>(limits.pack_bytes, std::uint64_t{1} << 43);
  return limits;
}

}  // namespace

analysis::analysis(pack_limits limits, snapshot_ptr bases)
    : context_(sane(limits)),
      cache_(limits.cache_bytes),
      forest_(context_),
      delta_bytes_(cache_.largest()) {
  context_.bases = std::move(bases);
}

void analysis::feed(std::span<const std::byte> piece) {
  if (error_) return;
  try {
    context_.made->bytes_.append(piece);
    context_.progress.bytes_received += piece.size();
  } catch (const failure& f) {
    fail(f.at("pack"));
  }
}

const failure& analysis::error() const {
  if (!error_) throw contract_error("the analysis has no error");
  return *error_;
}

std::unique_ptr<pack> analysis::take() {
  if (phase_ != phase::done || !context_.made) throw contract_error("the analysis is not done");
  return std::move(context_.made);
}

step_result analysis::step(std::chrono::nanoseconds budget) {
  step_result r;
  if (error_) return {step_state::error, r.cost};
  try {
    while (r.cost < budget && phase_ != phase::done) {
      if (!unit(r.cost)) {
        r.state = step_state::need_input;
        return r;
      }
    }
    if (phase_ == phase::done) r.state = step_state::done;
  } catch (const failure& f) {
    fail(f);
    r.state = step_state::error;
  }
  return r;
}

// What is pending came before: if some of it is refused, that is the error.
void analysis::fail(failure why) {
  error_ = std::move(why);
  static_cast<void>(settle_names());
}

void analysis::share_names(std::shared_ptr<detail::naming_crew> crew) {
  if (!error_) context_.names.share(std::move(crew));
}

bool analysis::settle_names() {
  try {
    context_.names.commit_all(context_);
  } catch (const failure& f) {
    error_ = f;
  }
  give_up_names();
  return !error_;
}

void analysis::give_up_names() noexcept {
  context_.names.abandon();
  context_.names.share(nullptr);
}

// The oldest must get their names now: before they are overwritten, looked up or found to be all.
bool analysis::names_are_due() const noexcept {
  const detail::pending_names& n = context_.names;
  if (!n.has_any()) return false;
  return wants_names_ || n.has_many() || !cache_.is_safe(n.mark()) || phase_ == phase::trailer ||
         phase_ == phase::end;
}

bool analysis::unit(cost_ns& cost) {
  cost += detail::operation_cost;
  if (at_ - hashed_ >= detail::hash_cut) {
    hash_slice(at_, cost);
    return true;
  }
  if (context_.discarded.release_slice()) {
    cost += cost_ns(20'000);
    return true;
  }
  if (names_are_due()) {
    cost += cost_ns(100'000);
    context_.names.commit_first(context_);
    return true;
  }
  wants_names_ = false;
  return do_phase(cost);
}

bool analysis::do_phase(cost_ns& cost) {
  try {
    switch (phase_) {
      case phase::header:
        return read_header();
      case phase::entry:
        return read_entry();
      case phase::inflate:
        return inflate(cost);
      case phase::apply:
        if (context_.delta.step(cost)) start_naming({target_, size_});
        return true;
      case phase::name:
        if (const std::optional<object_id> id = context_.naming.step(cost)) named(*id);
        return true;
      default:
        break;
    }
  } catch (const failure& f) {
    throw f.at(place());
  }
  switch (phase_) {
    case phase::trailer:
      return check_trailer(cost);
    case phase::forest:
      if (forest_.unit(cost)) phase_ = phase::end;
      return true;
    case phase::end:
      return check_end();
    case phase::release:
      cost += cost_ns(30'000);
      if (!cache_.release_slice() && !forest_.release_slice()) phase_ = phase::done;
      return true;
    default:
      return true;
  }
}

// The entry in work, or where the next begins.
std::string analysis::place() const {
  const std::uint64_t byte =
      phase_ == phase::header || phase_ == phase::entry ? at_ : header_.offset;
  return detail::at_byte(byte);
}

// Nothing to go on with: wait, or blame the sender. False, for `return`.
bool analysis::starve(const char* what) const {
  if (!input_ended_) return false;
  const pack_progress& p = context_.progress;
  throw failure(reason::corrupt,
                "pack ends early at byte " + std::to_string(context_.made->bytes().size()) +
                    ", in " + what + " of entry " + std::to_string(std::uint64_t{number_} + 1) +
                    " of " + std::to_string(p.objects_total));
}

bool analysis::read_header() {
  const auto bytes = context_.made->bytes();
  if (bytes.size() >= 4 && std::memcmp(bytes.data(), "PACK", 4) != 0) {
    throw failure(reason::corrupt, "this is no pack");
  }
  if (bytes.size() < header_bytes) {
    if (input_ended_) throw failure(reason::corrupt, "pack ends early, in its header");
    return false;
  }
  const std::uint64_t version = read_u32(bytes.data() + 4);
  if (version != 2 && version != 3) {
    throw failure(reason::unsupported, "pack version " + std::to_string(version));
  }
  const std::uint64_t count = read_u32(bytes.data() + 8);
  if (count > context_.limits.objects) {
    throw failure(reason::limit, "pack of " + std::to_string(count) + " objects, the limit is " +
                                     std::to_string(context_.limits.objects));
  }
  context_.progress.objects_total = count;
  context_.made->names_ = detail::name_table(count);
  at_ = header_bytes;
  phase_ = phase::entry;
  if (count == 0) phase_ = phase::trailer;
  return true;
}

bool analysis::read_entry() {
  const auto bytes = context_.made->bytes();
  const std::optional<entry_header> h = find_entry_header(bytes, at_);
  if (!h) {
    return starve("the header");
  }
  header_ = *h;
  if (h->kind == entry_header::ref_delta && context_.names.has_any()) {
    wants_names_ = true;  // its base may be among them: this entry is read again
    return true;
  }
  context_.spend(header_.size);
  pack_entry e;
  e.offset = at_ & ((std::uint64_t{1} << 44) - 1);
  e.delta = header_.is_delta() ? 1 : 0;
  if (header_.is_delta()) {
    plan_delta();
    ++context_.progress.deltas;
  } else {
    plan_object();
  }
  context_.made->entries_.push_back(e);
  context_.inflate.start(header_.size, target_);
  at_ = header_.data_offset;
  phase_ = phase::inflate;
  return true;
}

void analysis::plan_object() {
  type_ = header_.type();
  size_ = header_.size;
  depth_ = 0;
  if (size_ <= cache_.largest()) {
    fate_ = fate::keep;
    target_ = cache_.reserve(size_);
  } else {
    fate_ = fate::stream;
    target_ = nullptr;
    namer_.emplace(type_, size_, context_.limits.names);
    head_left_ = context_.links.head_bytes(type_);
  }
}

std::optional<std::uint32_t> analysis::find_base() {
  if (header_.kind == entry_header::ref_delta) return context_.made->find(header_.base_id);
  const std::optional<std::uint32_t> n = context_.made->find_offset(header_.base_offset);
  if (!n) {
    throw failure(reason::corrupt,
                  "delta base at byte " + std::to_string(header_.base_offset) + " is no entry");
  }
  return n;
}

// A delta is applied at once if its base is resolved and still in the cache.
void analysis::plan_delta() {
  fate_ = fate::skip;
  target_ = nullptr;
  const std::optional<std::uint32_t> found = find_base();
  if (!found || header_.size > cache_.largest()) return;
  const pack_entry& b = context_.made->entry(*found);
  if (b.resolved == 0) return;
  base_ = cache_.find(*found, b.size);
  if (base_ == nullptr) return;
  if (b.depth + 1U > context_.limits.delta_depth) {
    throw failure(reason::limit,
                  "delta chain of more than " + std::to_string(context_.limits.delta_depth));
  }
  base_number_ = *found;
  type_ = b.type();
  depth_ = static_cast<std::uint32_t>(b.depth) + 1;
  fate_ = fate::delta;
  target_ = delta_bytes_.data();
}

bool analysis::inflate(cost_ns& cost) {
  const auto bytes = context_.made->bytes();
  const std::uint64_t before = context_.inflate.consumed();
  const step_state state = context_.inflate.step(bytes.subspan(at_), cost);
  at_ += context_.inflate.consumed() - before;
  context_.progress.bytes_analysed = at_;
  if (fate_ == fate::stream) {
    const auto produced = context_.inflate.produced();
    namer_->update(produced);
    const auto of_head = produced.first(std::min(head_left_, produced.size()));
    head_.insert(head_.end(), of_head.begin(), of_head.end());
    head_left_ -= of_head.size();
    cost += detail::hash_cost(produced.size());
  }
  if (state == step_state::done) {
    inflated();
  } else if (state == step_state::need_input) {
    return starve("the data");
  }
  return true;
}

void analysis::inflated() {
  switch (fate_) {
    case fate::keep:
      return start_naming({target_, size_});
    case fate::stream: {
      const object_id id = namer_->finish();
      namer_.reset();
      if (!head_.empty()) context_.links.add(number_, type_, std::exchange(head_, {}));
      context_.resolve(number_, id, type_, size_, 0);
      return next_entry();
    }
    case fate::delta:
      return start_apply();
    case fate::skip:
      return wait_for_base();
  }
}

void analysis::start_apply() {
  context_.delta.start({delta_bytes_.data(), header_.size});
  size_ = context_.delta.result_size();
  if (size_ > cache_.largest()) return wait_for_base();
  context_.spend(size_);
  const std::uint32_t base_size = context_.made->entry(base_number_).size;
  target_ = cache_.reserve(size_);
  context_.delta.attach({base_, base_size}, target_);
  phase_ = phase::apply;
}

void analysis::start_naming(std::span<const std::uint8_t> content) {
  context_.links.add(number_, type_, content);
  if (context_.names.is_shared()) {
    cache_.keep(number_, size_);
    context_.describe(number_, type_, size_, depth_);
    context_.names.add(number_, type_, content, cache_.kept_at());
    return next_entry();
  }
  context_.naming.start(type_, content);
  phase_ = phase::name;
}

void analysis::named(const object_id& id) {
  cache_.keep(number_, size_);
  context_.resolve(number_, id, type_, size_, depth_);
  next_entry();
}

void analysis::wait_for_base() {
  ++context_.progress.deferred;
  forest_.defer(number_);
  next_entry();
}

void analysis::next_entry() {
  ++number_;
  phase_ = number_ == context_.progress.objects_total ? phase::trailer : phase::entry;
}

void analysis::hash_slice(std::uint64_t end, cost_ns& cost) {
  const std::uint64_t n = std::min<std::uint64_t>(end - hashed_, detail::hash_cut);
  checksum_.update(context_.made->bytes().subspan(hashed_, n));
  hashed_ += n;
  cost += detail::checksum_cost(n);
}

bool analysis::check_trailer(cost_ns& cost) {
  const auto bytes = context_.made->bytes();
  if (bytes.size() - at_ < trailer_bytes) {
    if (!input_ended_) return false;
    throw failure(reason::corrupt,
                  detail::at_byte(bytes.size()) + ": pack ends early, in its checksum");
  }
  if (hashed_ < at_) hash_slice(at_, cost);
  const object_id computed = checksum_.finish();
  const object_id stated = object_id::from_bytes(bytes.data() + at_);
  if (computed != stated) {
    throw failure(reason::corrupt, detail::at_byte(at_) + ": pack checksum is " + computed.hex() +
                                       ", not " + stated.hex() + " as it says");
  }
  context_.made->end_ = at_;
  context_.progress.bytes_analysed = at_ + trailer_bytes;
  phase_ = phase::forest;
  return true;
}

bool analysis::check_end() {
  const std::uint64_t end = context_.made->end_offset() + trailer_bytes;
  const std::uint64_t size = context_.made->bytes().size();
  if (size > end) {
    throw failure(reason::corrupt, detail::at_byte(end) + ": bytes after the end of the pack");
  }
  if (!input_ended_) return false;
  context_.made->bytes_.seal();
  phase_ = phase::release;
  return true;
}

bool analysis::release_slice() noexcept {
  if (context_.discarded.release_slice() || cache_.release_slice() || forest_.release_slice()) {
    return true;
  }
  return context_.made != nullptr && context_.made->release_slice();
}

pack_analyser::pack_analyser(pack_limits limits, snapshot_ptr bases)
    : analysis_(std::make_unique<analysis>(limits, std::move(bases))) {}
pack_analyser::pack_analyser(pack_analyser&&) noexcept = default;
pack_analyser& pack_analyser::operator=(pack_analyser&&) noexcept = default;
pack_analyser::~pack_analyser() = default;

void pack_analyser::feed(std::span<const std::byte> piece) { analysis_->feed(piece); }
void pack_analyser::finish_input() { analysis_->finish_input(); }
step_result pack_analyser::step(std::chrono::nanoseconds budget) { return analysis_->step(budget); }
const pack_progress& pack_analyser::progress() const noexcept { return analysis_->progress(); }
const failure& pack_analyser::error() const { return analysis_->error(); }
std::unique_ptr<pack> pack_analyser::take() { return analysis_->take(); }
bool pack_analyser::release_slice() noexcept { return analysis_->release_slice(); }

}  // namespace fermata::git_mem
