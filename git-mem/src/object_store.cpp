// SPDX-License-Identifier: MIT
#include "live_refs.hpp"

#include <fermata/git_mem/object_store.hpp>

#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <deque>
#include <mutex>
#include <utility>

namespace fermata::git_mem {

std::optional<object_header> snapshot::find_object(const object_id& id) const {
  return find_object(id, 0);
}

std::optional<object_header> snapshot::find_object(const object_id& id, std::size_t first) const {
  for (std::size_t i = first; i < packs.size(); ++i) {
    const std::optional<std::uint32_t> n = packs[i]->find(id);
    if (!n) continue;
    const pack_entry& e = packs[i]->entry(*n);
    return object_header{e.type(), e.size, static_cast<std::uint32_t>(i), *n};
  }
  return std::nullopt;
}

const reference* snapshot::find_ref(std::string_view name) const {
  const auto at = detail::ref_from(refs, name);
  return at != refs.end() && at->name == name ? &*at : nullptr;
}

bool snapshot::is_shallow(const object_id& commit) const {
  return std::binary_search(shallow.begin(), shallow.end(), commit);
}

std::uint64_t snapshot::object_count() const noexcept {
  std::uint64_t n = 0;
  for (const auto& p : packs) n += p->object_count();
  return n;
}

std::uint64_t snapshot::pack_bytes() const noexcept {
  std::uint64_t n = 0;
  for (const auto& p : packs) n += p->bytes().size();
  return n;
}

std::uint64_t snapshot::memory_bytes() const noexcept {
  std::uint64_t n = 0;
  for (const auto& p : packs) n += p->memory_bytes();
  return n;
}

// The last reader of a snapshot may be on any thread: hence the mutex. Once the store is gone
// nobody calls for slices: what comes then is freed at once, or it would keep itself alive in its
// own list.
struct object_store::reclaimer {
  std::mutex guard;
  std::deque<std::unique_ptr<pack>> packs;
  std::deque<std::unique_ptr<snapshot>> snapshots;
  bool store_is_gone = false;

  // An argument that is not kept dies at the caller, behind the lock: a snapshot brings its packs
  // here.
  void add(std::unique_ptr<pack>&& p) {
    const std::lock_guard lock(guard);
    if (!store_is_gone) packs.push_back(std::move(p));
  }
  void add(std::unique_ptr<snapshot>&& s) {
    const std::lock_guard lock(guard);
    if (!store_is_gone) snapshots.push_back(std::move(s));
  }
};

namespace {

// The pages of what is dropped go back to the system at once: the end of a large vector would give
// back all of them in one step.
void drop_some(std::vector<reference>& refs) noexcept {
  constexpr std::size_t at_once = 256;
  constexpr std::uintptr_t page = 4096;
  constexpr std::size_t large = (1 << 20) / sizeof(reference);
  const auto round_up = [](const reference* p) {
    return (reinterpret_cast<std::uintptr_t>(p) + page - 1) / page * page;
  };
  const std::size_t before = refs.size();
  for (std::size_t i = 0; i < at_once && !refs.empty(); ++i) refs.pop_back();
  if (refs.capacity() < large) return;
  const std::uintptr_t from = round_up(refs.data() + refs.size());
  const std::uintptr_t to =
      std::min(round_up(refs.data() + before), round_up(refs.data() + refs.capacity()) - page);
  if (from < to) ::madvise(reinterpret_cast<void*>(from), to - from, MADV_DONTNEED);
}

}  // namespace

object_store::object_store()
    : reclaimer_(std::make_shared<reclaimer>()), current_(std::make_shared<const snapshot>()) {}

object_store::~object_store() {
  current_.reset();
  while (reclaim_step()) {
  }
  const std::lock_guard lock(reclaimer_->guard);
  reclaimer_->store_is_gone = true;
}

std::shared_ptr<const pack> object_store::adopt(std::unique_ptr<pack> p) {
  return {p.release(), [keeper = reclaimer_](const pack* last) {
            keeper->add(std::unique_ptr<pack>(const_cast<pack*>(last)));
          }};
}

void object_store::publish(snapshot next) {
  const bool sorted = std::exchange(next.refs_in_order, false) ||
                      std::is_sorted(next.refs.begin(), next.refs.end(), detail::is_before);
  if (!sorted) {
    std::sort(next.refs.begin(), next.refs.end(), detail::is_before);
  }
  const auto disordered = std::adjacent_find(next.shallow.begin(), next.shallow.end(),
                                             [](const auto& a, const auto& b) { return b <= a; });
  if (disordered != next.shallow.end()) {
    std::sort(next.shallow.begin(), next.shallow.end());
    next.shallow.erase(std::unique(next.shallow.begin(), next.shallow.end()), next.shallow.end());
  }
  auto whole = std::make_unique<snapshot>(std::move(next));
  current_ = snapshot_ptr(whole.release(), [keeper = reclaimer_](const snapshot* last) {
    keeper->add(std::unique_ptr<snapshot>(const_cast<snapshot*>(last)));
  });
}

bool object_store::reclaim_step() noexcept {
  reclaimer& r = *reclaimer_;
  std::unique_ptr<snapshot> s;
  std::unique_ptr<pack> p;
  {
    const std::lock_guard lock(r.guard);
    if (!r.snapshots.empty()) {
      s = std::move(r.snapshots.front());
      r.snapshots.pop_front();
    } else if (!r.packs.empty()) {
      p = std::move(r.packs.front());
      r.packs.pop_front();
    } else {
      return false;
    }
  }
  if (s) {  // its packs come back through their deleter, without the lock held
    drop_some(s->refs);
    if (s->refs.empty()) return true;
    const std::lock_guard lock(r.guard);
    r.snapshots.push_front(std::move(s));
  } else if (p->release_slice()) {
    const std::lock_guard lock(r.guard);
    r.packs.push_front(std::move(p));
  }
  return true;
}

}  // namespace fermata::git_mem
