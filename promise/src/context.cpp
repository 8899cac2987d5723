// SPDX-License-Identifier: MIT
// Values that ride in contexts, and contexts that differ in one thing.

#include <fermata/promise/context.hpp>

namespace fermata::detail {

namespace {

thread_local context::values_ptr values_of_thread;  // while a detached function runs

context_ptr made(
    event_loop& loop, policy p, latency_class c, std::string name, context::values_ptr values) {
  auto* made = new context(loop, p, c, std::move(name));
  context_ptr held(made);
  made->set_values(std::move(values));
  return held;
}

}  // namespace

const void* context_values::find(const pointer& list, const void* key) noexcept {
  for (const context_values* v = list.get(); v != nullptr; v = v->outer_.get()) {
    if (v->key_ == key) return v->value_.get();
  }
  return nullptr;
}

// A key bound anew leaves the list, so that it is never longer than there are keys, also in a
// recursion without end.
context_values::pointer context_values::with(const pointer& list,
                                             const void* key,
                                             std::shared_ptr<const void> value) {
  const bool is_known = find(list, key) != nullptr;
  return std::make_shared<const context_values>(key, std::move(value),
                                                is_known ? without(list, key) : list);
}

context_values::pointer context_values::without(const pointer& list, const void* key) {
  if (list == nullptr) return nullptr;
  if (list->key_ == key) return list->outer_;
  return std::make_shared<const context_values>(list->key_, list->value_,
                                                without(list->outer_, key));
}

const context_values::pointer& context_values::current() noexcept {
  if (values_of_thread != nullptr) return values_of_thread;
  event_loop* const loop = event_loop::find_current();
  return loop == nullptr ? values_of_thread : loop->current_context()->values();
}

detached_values::detached_values(context::values_ptr v) noexcept
    : outer_(std::exchange(values_of_thread, std::move(v))) {}

detached_values::~detached_values() { values_of_thread = std::move(outer_); }

context_ptr changed_context(policy p, latency_class c, std::string name) {
  event_loop& loop = event_loop::current();
  return made(loop, p, c, std::move(name), loop.current_context()->values());
}

context_ptr renamed_context(std::string name) {
  const context_ptr now = event_loop::current().current_context();
  return changed_context(now->when(), now->latency(), std::move(name));
}

context_ptr context_with(context::values_ptr values) {
  event_loop& loop = event_loop::current();
  const context_ptr now = loop.current_context();
  return made(loop, now->when(), now->latency(), now->name(), std::move(values));
}

}  // namespace fermata::detail
