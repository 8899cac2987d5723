// SPDX-License-Identifier: MIT
#include "live_refs.hpp"

#include <fermata/git_mem/change.hpp>
#include <fermata/git_mem/repository.hpp>
#include <fermata/git_mem/revparse.hpp>
#include <fermata/git_mem/walk.hpp>

#include <utility>

namespace fermata::git_mem {

namespace {

class in_memory final : public repository {
public:
  explicit in_memory(object_store& store) : store_(store) {}

  promise<std::optional<object_info>> find_object(object_id id) override {
    const std::optional<object_header> h = store_.current()->find_object(id);
    if (!h) return ready(std::optional<object_info>());
    return ready(std::optional(object_info{h->type, h->size_bytes}));
  }
  promise<object> get_object(object_id id, std::uint64_t limit_bytes) override {
    const std::shared_ptr<reading> with = current_reading();  // also while others replace it
    promise<object> got = git_mem::get_object(with->from, id, limit_bytes, &with->recent);
    object o = co_await std::move(got);
    co_return o;
  }
  promise<std::vector<object_id>> find_by_prefix(std::string digits) override {
    return git_mem::find_by_prefix(store_.current(), std::move(digits));
  }
  promise<std::vector<reference>> list_refs() override {
    return detail::copy_refs(store_.current());
  }
  promise<std::vector<object_id>> list_shallow() override {
    return ready(store_.current()->shallow);
  }
  promise<std::vector<object_id>> add_objects(std::vector<new_object> objects) override {
    change c(store_);
    std::vector<object_id> ids;
    for (const new_object& o : objects) {
      promise<object_id> added = c.add_object(o.type, bytes_of(o.content));
      ids.push_back(co_await added);
    }
    promise<> published = c.publish();
    co_await published;
    co_return ids;
  }
  promise<> change_refs(std::vector<ref_change> changes) override {
    change c(store_);
    for (const ref_change& r : changes) {
      if (r.what == ref_change::kind::set) c.set_ref(r.name, r.to, r.expected);
      if (r.what == ref_change::kind::remove) c.delete_ref(r.name, r.expected);
      if (r.what == ref_change::kind::symbolic) c.set_symbolic_ref(r.name, r.target);
    }
    promise<> published = c.publish();
    co_await published;
  }

private:
  struct reading {
    explicit reading(snapshot_ptr of) : from(std::move(of)), recent(*from) {}
    snapshot_ptr from;
    object_cache recent;
  };
  const std::shared_ptr<reading>& current_reading() {
    if (!reading_ || reading_->from != store_.current()) {
      reading_ = std::make_shared<reading>(store_.current());
    }
    return reading_;
  }

  object_store& store_;
  std::shared_ptr<reading> reading_;
};

}  // namespace

std::unique_ptr<repository> memory_repository(object_store& store) {
  return std::make_unique<in_memory>(store);
}

}  // namespace fermata::git_mem
