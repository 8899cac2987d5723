// SPDX-License-Identifier: MIT

#include "store.hpp"

#include <fermata/promise/pause.hpp>
#include <fermata/promise/sleep.hpp>

#include <algorithm>
#include <utility>

using fermata::promise;
using namespace std::chrono_literals;

namespace kv {
namespace {

// Counts who waits for room, also where the wait is cancelled.
class waiting_guard {
public:
  explicit waiting_guard(std::size_t& count) noexcept : count_(count) { ++count_; }
  waiting_guard(const waiting_guard&) = delete;
  waiting_guard& operator=(const waiting_guard&) = delete;
  ~waiting_guard() { --count_; }

private:
  std::size_t& count_;
};

}  // namespace

promise<std::string> store::ask(request r) {
  auto made = fermata::make_promise<std::string>();
  {
    const waiting_guard guard(waiting_);
    asked a{std::move(r), std::move(made.settle)};
    co_await requests_.writer.send(std::move(a));
  }
  longest_queue_ = std::max(longest_queue_, requests_.reader.size());
  co_return co_await std::move(made.future);
}

promise<> store::serve() {
  for (;;) {
    std::optional<asked> next = co_await requests_.reader.receive();
    std::vector<asked> group;
    for (std::size_t taken = 0; next; next = requests_.reader.try_receive()) {
      if (next->what.value && failure_.empty()) {
        group.push_back(std::move(*next));
      } else {
        answer_at_once(*next);
      }
      if (++taken == most_queued) break;
    }
    if (!group.empty()) co_await commit(std::move(group));
  }
}

void store::answer_at_once(asked& a) const {
  if (a.what.value) {
    a.answer.resolve("ERROR " + failure_);
    return;
  }
  const auto found = values_.find(a.what.key);
  a.answer.resolve(found == values_.end() ? "NONE" : "VALUE " + found->second);
}

promise<> store::commit(std::vector<asked> group) {
  if (commit_delay_ > 0ns) co_await fermata::sleep_for(commit_delay_);
  std::string records;
  for (const asked& a : group) {
    add_record(records, a.what.key, *a.what.value);
    co_await fermata::maybe_pause(10us);
  }
  try {
    co_await log_.append(records);
  } catch (const fermata::error& e) {
    failure_ = e.what();
  }
  ++commits_;
  for (asked& a : group) {
    if (failure_.empty()) {
      ++sets_;
      values_[a.what.key] = std::move(*a.what.value);
      a.answer.resolve("OK");
    } else {
      a.answer.resolve("ERROR " + failure_);
    }
    co_await fermata::maybe_pause(2us);
  }
}

std::string store::counts() const {
  return "queued=" + std::to_string(requests_.reader.size()) +
         " waiting=" + std::to_string(waiting_) +
         " longest_queue=" + std::to_string(longest_queue_) +
         " commits=" + std::to_string(commits_) + " sets=" + std::to_string(sets_);
}

}  // namespace kv
