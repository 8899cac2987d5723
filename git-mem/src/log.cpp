// SPDX-License-Identifier: MIT
#include <fermata/git_mem/log.hpp>
#include <fermata/promise/pause.hpp>

#include <utility>

namespace fermata::git_mem {

commit_log::commit_log(snapshot_ptr from, std::vector<object_id> tips)
    : from_(std::move(from)), tips_(std::move(tips)), seen_(*from_) {}

// True the first time.
bool commit_log::see(const object_id& id) {
  const std::optional<object_header> h = from_->find_object(id);
  if (!h) throw failure(reason::not_found, "commit " + id.hex() + ": not in the store");
  return seen_.insert(*h);
}

promise<> commit_log::add(object_id id) {
  if (!see(id)) co_return;
  promise<commit> reading = get_commit(from_, id);
  commit c = co_await std::move(reading);
  next_.push(std::move(c));
}

promise<std::optional<commit>> commit_log::next() {
  for (const object_id& id : std::exchange(tips_, {})) {
    promise<> added = add(id);
    co_await added;
  }
  if (next_.empty()) co_return std::nullopt;
  const commit c = next_.pop();
  if (!from_->is_shallow(c.id)) {
    for (const object_id& id : c.parents) {
      promise<> added = add(id);
      co_await added;
    }
  }
  co_await maybe_pause(std::chrono::microseconds(2));
  co_return c;
}

bool commit_log::release_slice() noexcept {
  const bool some = !next_.empty();
  for (int n = 0; n < 64 && !next_.empty(); ++n) static_cast<void>(next_.pop());
  return some;
}

}  // namespace fermata::git_mem
