// SPDX-License-Identifier: MIT
// New objects are gathered in a pack of their own, whole and deflated, which is finished and put in
// front of the others when the change is published.

#include "costs.hpp"
#include "deflater.hpp"
#include "live_refs.hpp"
#include "object_text.hpp"
#include "pack_assembly.hpp"
#include "ref_edits.hpp"

#include <fermata/git_mem/change.hpp>
#include <fermata/git_mem/naming.hpp>
#include <fermata/git_mem/pkt_line.hpp>
#include <fermata/git_mem/protocol.hpp>
#include <fermata/promise/pause.hpp>

#include <algorithm>
#include <array>
#include <utility>

namespace fermata::git_mem {

using detail::cost_ns;
using detail::ref_edit;

namespace {

constexpr std::size_t tree_entries_at_once = 256;
constexpr cost_ns tree_entry_cost{200};

std::span<const std::uint8_t> octets(byte_view bytes) {
  return {reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()};
}

std::string named(object_type type, const object_id& id) {
  return std::string(type_name(type)) + " " + id.hex();
}

// Type and size in front of an entry.
void append_head(growing_range& to, object_type type, std::uint64_t size) {
  std::array<std::byte, 12> head{};
  std::size_t n = 0;
  std::uint64_t bits = static_cast<std::uint64_t>(type) << 4 | (size & 15);
  for (size >>= 4; size > 0; size >>= 7) {
    head[n++] = static_cast<std::byte>(bits | 128);
    bits = size & 127;
  }
  head[n++] = static_cast<std::byte>(bits);
  to.append(std::span(head).first(n));
}

void check_ref_name(const std::string& name) {
  if (is_ref_name(name)) return;
  throw failure(reason::unsupported, "\"" + printable(name) + "\" is no name for a ref");
}

}  // namespace

struct change::work {
  work(object_store& s, pack_limits l) : store(s), limits(l) { begin(); }

  void begin();
  [[nodiscard]] std::optional<object_type> find_type(const object_id& id) const;
  void need(const object_id& id, object_type type, const std::string& by) const;
  promise<object_id> add(object_type type, byte_view content);
  promise<object_id> name(object_type type, std::span<const std::uint8_t> content);
  promise<> check(object_type type, object_id id, std::span<const std::uint8_t> content);
  promise<> check_tree(object_id id, std::span<const std::uint8_t> content);
  promise<> write(object_type type, object_id id, std::span<const std::uint8_t> content);
  promise<> finish_pack();
  void check_targets() const;
  promise<> publish();

  object_store& store;
  pack_limits limits;
  std::optional<pack_assembly> made;
  std::unique_ptr<pack> finished;  // from a publish that met a conflict
  detail::ref_edits edits;
  detail::deflater deflate;
  bool is_busy = false;
  bool is_broken = false;
};

namespace {

// One operation at a time; one that ends in the middle of writing leaves half an entry.
class operation_guard {
public:
  operation_guard(bool& busy, const bool& broken) : busy_(busy) {
    if (broken) throw contract_error("this change failed while it was written: make another");
    if (busy_) throw contract_error("two operations on one change at once");
    busy_ = true;
  }
  operation_guard(const operation_guard&) = delete;
  operation_guard& operator=(const operation_guard&) = delete;
  ~operation_guard() { busy_ = false; }

private:
  bool& busy_;
};

}  // namespace

void change::work::begin() {
  made.emplace(limits.pack_bytes, 0);
  constexpr std::array<std::byte, 12> head = {std::byte{'P'}, std::byte{'A'}, std::byte{'C'},
                                              std::byte{'K'}, std::byte{0},   std::byte{0},
                                              std::byte{0},   std::byte{2}};
  made->bytes().append(head);
}

std::optional<object_type> change::work::find_type(const object_id& id) const {
  const pack& added = finished ? *finished : made->so_far();
  if (const auto n = added.find(id)) return added.entry(*n).type();
  const std::optional<object_header> h = store.current()->find_object(id);
  return h ? std::optional(h->type) : std::nullopt;
}

void change::work::need(const object_id& id, object_type type, const std::string& by) const {
  const std::optional<object_type> found = find_type(id);
  if (!found)
    throw failure(reason::not_found, by + ": " + named(type, id) + " is not in the store");
  if (*found == type) return;
  throw failure(reason::corrupt, by + ": object " + id.hex() + " is a " +
                                     std::string(type_name(*found)) + ", no " +
                                     std::string(type_name(type)));
}

promise<object_id> change::work::name(object_type type, std::span<const std::uint8_t> content) {
  object_namer namer(type, content.size());
  while (!content.empty()) {
    const std::size_t n = std::min(content.size(), detail::hash_cut);
    namer.update(content.first(n));
    content = content.subspan(n);
    co_await maybe_pause(detail::hash_cost(n));
  }
  co_return namer.finish();
}

promise<> change::work::check_tree(object_id id, std::span<const std::uint8_t> content) {
  const std::string by = named(object_type::tree, id);
  tree_reader entries(content);
  for (;;) {
    std::size_t n = 0;
    for (; n < tree_entries_at_once; ++n) {
      std::optional<tree_entry> e;
      try {
        e = entries.next();
      } catch (const failure& f) {
        throw f.at(by);
      }
      if (!e) co_return;
      if (e->mode == file_mode::submodule) continue;
      need(e->id, e->mode == file_mode::tree ? object_type::tree : object_type::blob, by);
    }
    co_await maybe_pause(tree_entry_cost * n);
  }
}

promise<> change::work::check(object_type type,
                              object_id id,
                              std::span<const std::uint8_t> content) {
  const std::string_view text(reinterpret_cast<const char*>(content.data()), content.size());
  if (type == object_type::tree) {
    promise<> checked = check_tree(id, content);
    co_await checked;
  } else if (type == object_type::commit) {
    const commit c = parse_commit(id, text);
    const std::string by = named(type, id);
    need(c.tree, object_type::tree, by);
    for (const object_id& p : c.parents) need(p, object_type::commit, by);
  } else if (type == object_type::tag) {
    const tag t = parse_tag(id, text);
    need(t.target, t.target_type, named(type, id));
  }
}

promise<> change::work::write(object_type type,
                              object_id id,
                              std::span<const std::uint8_t> content) {
  growing_range& to = made->bytes();
  pack_entry e;
  e.id = id;
  e.size = static_cast<std::uint32_t>(content.size());
  e.kind = static_cast<unsigned>(type) & 7;
  e.offset = to.size() & ((std::uint64_t{1} << 44) - 1);
  is_broken = true;
  append_head(to, type, content.size());
  deflate.start(content);
  for (bool more = true; more;) {
    cost_ns cost{0};
    to.append(std::as_bytes(deflate.step(cost, more)));
    co_await maybe_pause(cost);
  }
  is_broken = false;
  made->add(e);
}

promise<object_id> change::work::add(object_type type, byte_view given) {
  const operation_guard guard(is_busy, is_broken);
  if (finished) throw contract_error("this change is written: publish it, or make another");
  const std::uint64_t most = std::min<std::uint64_t>(limits.object_bytes, 0xffffffff);
  if (given.size() > most) {
    throw failure(reason::limit, "object of " + std::to_string(given.size()) +
                                     " bytes, the limit is " + std::to_string(most));
  }
  if (made->so_far().entry_count() >= limits.objects) {
    throw failure(reason::limit, "more than " + std::to_string(limits.objects) + " objects");
  }
  const std::span<const std::uint8_t> content = octets(given);
  promise<object_id> naming = name(type, content);
  const object_id id = co_await std::move(naming);
  if (find_type(id)) co_return id;
  promise<> checked = check(type, id, content);
  co_await checked;
  promise<> written = write(type, id, content);
  co_await written;
  co_return id;
}

// The count in front and the checksum behind.
promise<> change::work::finish_pack() {
  growing_range& to = made->bytes();
  const std::uint32_t count = made->so_far().entry_count();
  for (std::size_t i = 0; i < 4; ++i) {
    to.data()[8 + i] = static_cast<std::uint8_t>(count >> (24 - 8 * i));
  }
  checksum sum;
  for (std::uint64_t at = 0; at < to.size();) {
    const std::size_t n = std::min<std::uint64_t>(to.size() - at, detail::hash_cut);
    sum.update({to.data() + at, n});
    at += n;
    co_await maybe_pause(detail::checksum_cost(n));
  }
  const object_id trailer = sum.finish();
  to.append(std::as_bytes(std::span(trailer.data(), object_id::size_bytes)));
  finished = made->finish();
}

void change::work::check_targets() const {
  for (const auto& [name, e] : edits) {
    if (e.what != ref_edit::kind::set) continue;
    const std::optional<object_type> type = find_type(e.to);
    if (!type) {
      throw failure(reason::not_found,
                    "ref " + name + ": object " + e.to.hex() + " is not in the store");
    }
    if (name.starts_with("refs/heads/") && *type != object_type::commit) {
      throw failure(reason::corrupt, "ref " + name + ": object " + e.to.hex() + " is a " +
                                         std::string(type_name(*type)) + ", no commit");
    }
  }
}

promise<> change::work::publish() {
  const operation_guard guard(is_busy, is_broken);
  check_targets();
  if (!finished && made->so_far().entry_count() > 0) {
    promise<> done = finish_pack();
    co_await done;
  }
  for (;;) {
    const snapshot_ptr base = store.current();
    promise<std::vector<reference>> copying = detail::copy_refs(base, edits.size());
    snapshot next;
    next.refs = co_await std::move(copying);
    next.refs_in_order = true;
    if (store.current() != base) continue;  // somebody was faster; from here on nothing pauses
    detail::apply_edits(next.refs, edits);
    next.shallow = base->shallow;
    next.is_partial = base->is_partial;
    next.packs.reserve(base->packs.size() + 1);
    if (finished) next.packs.push_back(store.adopt(std::move(finished)));
    next.packs.insert(next.packs.end(), base->packs.begin(), base->packs.end());
    store.publish(std::move(next));
    break;
  }
  edits.clear();
  begin();
}

change::change(object_store& store, pack_limits limits)
    : work_(std::make_unique<work>(store, limits)) {}
change::change(change&&) noexcept = default;
change& change::operator=(change&&) noexcept = default;
change::~change() = default;

promise<object_id> change::add_object(object_type type, byte_view content) {
  return work_->add(type, content);
}
promise<object_id> change::add_blob(byte_view content) {
  return work_->add(object_type::blob, content);
}

promise<object_id> change::add_tree(std::vector<tree_item> items) {
  const std::string text = detail::tree_text(std::move(items));
  promise<object_id> added = work_->add(object_type::tree, bytes_of(text));
  co_return co_await std::move(added);
}

promise<object_id> change::add_commit(commit c) {
  const std::string text = detail::commit_text(c);
  promise<object_id> added = work_->add(object_type::commit, bytes_of(text));
  co_return co_await std::move(added);
}

promise<object_id> change::add_tag(tag t) {
  const std::string text = detail::tag_text(t);
  promise<object_id> added = work_->add(object_type::tag, bytes_of(text));
  co_return co_await std::move(added);
}

void change::set_ref(const std::string& name, object_id to, std::optional<object_id> expected) {
  check_ref_name(name);
  ref_edit& e = work_->edits[name] = ref_edit();
  e.to = to;
  e.expected = expected;
}

void change::delete_ref(const std::string& name, std::optional<object_id> expected) {
  check_ref_name(name);
  ref_edit& e = work_->edits[name] = ref_edit();
  e.what = ref_edit::kind::remove;
  e.expected = expected;
}

void change::set_symbolic_ref(const std::string& name, std::string target) {
  check_ref_name(name);
  check_ref_name(target);
  ref_edit& e = work_->edits[name] = ref_edit();
  e.what = ref_edit::kind::symbolic;
  e.target = std::move(target);
}

promise<> change::publish() { return work_->publish(); }

}  // namespace fermata::git_mem
