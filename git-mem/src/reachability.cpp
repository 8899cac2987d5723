// SPDX-License-Identifier: MIT
// First the commits, then the trees of what is had at the edge, then those of what is wanted: each
// tree is opened once, and ends where something stands that is known already.
//
// Trees are taken as they are (git serves what it has, too): mode, name and order are for those who
// write files from them.

#include "commit_painter.hpp"

#include <fermata/git_mem/reachability.hpp>
#include <fermata/promise/pause.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

namespace fermata::git_mem {

namespace {

constexpr std::size_t entries_at_once = 256;
constexpr std::chrono::nanoseconds entry_cost(120);  // a look-up in another table each

struct raw_entry {
  std::uint32_t mode = 0;
  object_id id;
};

constexpr std::uint32_t mode_kind = 0170000;
constexpr std::uint32_t mode_tree = 0040000;
constexpr std::uint32_t mode_submodule = 0160000;

// The entry at `at`, which goes to the next one. Throws: `failure`.
raw_entry take_entry(std::string_view tree, std::size_t& at) {
  raw_entry e;
  const std::size_t began = at;
  while (at < tree.size() && tree[at] >= '0' && tree[at] <= '7') {
    e.mode = e.mode << 3 | static_cast<std::uint32_t>(tree[at++] - '0');
  }
  const std::size_t zero = tree.find('\0', at);
  if (at == began || zero == std::string_view::npos || tree[at] != ' ' ||
      tree.size() - zero - 1 < object_id::size_bytes) {
    throw failure(reason::corrupt, "tree byte " + std::to_string(began) + ": this is no entry");
  }
  e.id = object_id::from_bytes(tree.data() + zero + 1);
  at = zero + 1 + object_id::size_bytes;
  return e;
}

// Opens trees, and puts what they reach into a set.
class tree_opener {
public:
  tree_opener(snapshot_ptr from, object_cache& recent, const object_filter& filter)
      : from_(std::move(from)), recent_(recent), filter_(filter) {}

  // All below a tree that is not in `into` and not in `without`. What is missing is an error but
  // where `lenient`.
  promise<> open(object_id root, object_set& into, const object_set& without, bool lenient);

private:
  static constexpr std::size_t seen_blocks = 64;
  static constexpr std::size_t seen_block_slots = 256;

  object_id& seen_slot(const object_id& id);
  void look(const raw_entry& e, object_set& into, const object_set& without, bool lenient);

  snapshot_ptr from_;
  object_cache& recent_;
  const object_filter& filter_;
  std::vector<object_id> stack_;
  // What was looked at lately, by the low bits of its name: a tree that changes is mostly as it
  // was, and this is ten times faster than to find an object again. In blocks, each made when it is
  // used first: new pages cost up to 20 us each, and few trees use all.
  std::array<std::vector<object_id>, seen_blocks> seen_;
};

// No name is in a slot at first: the names of zeros and of what is not zero are in other slots.
object_id& tree_opener::seen_slot(const object_id& id) {
  const std::size_t slot = id.prefix() % (seen_blocks * seen_block_slots);
  std::vector<object_id>& block = seen_[slot / seen_block_slots];
  if (block.empty()) {
    block.resize(seen_block_slots);
    if (slot / seen_block_slots == 0) {
      block[0] = object_id::from_bytes(std::array<std::uint8_t, object_id::size_bytes>{1}.data());
    }
  }
  return block[slot % seen_block_slots];
}

void tree_opener::look(const raw_entry& e,
                       object_set& into,
                       const object_set& without,
                       bool lenient) {
  const std::uint32_t kind = e.mode & mode_kind;
  if (kind == mode_submodule) return;
  object_id& seen = seen_slot(e.id);
  if (seen == e.id) return;
  const object_type type = kind == mode_tree ? object_type::tree : object_type::blob;
  const std::optional<object_header> h = from_->find_object(e.id);
  if (!h) {
    if (lenient || (type == object_type::blob && filter_.drops_blob(~std::uint64_t{0}))) return;
    throw failure(reason::not_found, "object " + e.id.hex() + ": not in the store");
  }
  if (h->type != type) {
    throw failure(reason::corrupt, "object " + e.id.hex() + ": it is a " +
                                       std::string(type_name(h->type)) + ", no " +
                                       std::string(type_name(type)));
  }
  seen = e.id;
  if (without.contains(*h)) return;
  if (type == object_type::blob && filter_.drops_blob(h->size_bytes)) return;
  if (into.insert(*h) && type == object_type::tree) stack_.push_back(e.id);
}

promise<> tree_opener::open(object_id root,
                            object_set& into,
                            const object_set& without,
                            bool lenient) {
  raw_entry top;
  top.mode = mode_tree;
  top.id = root;
  look(top, into, without, lenient);
  while (!stack_.empty()) {
    const object_id id = stack_.back();
    stack_.pop_back();
    promise<object> reading = get_object(from_, id, any_size, &recent_);
    const object tree = co_await std::move(reading);
    const std::string_view text = tree.text();
    for (std::size_t at = 0; at < text.size();) {
      std::size_t n = 0;
      try {
        for (; n < entries_at_once && at < text.size(); ++n) {
          look(take_entry(text, at), into, without, lenient);
        }
      } catch (const failure& f) {
        throw f.at("tree " + id.hex());
      }
      co_await maybe_pause(entry_cost * n);
    }
  }
}

// A reachability under way.
struct search {
  search(snapshot_ptr f, reachability_request& r)
      : from(std::move(f)),
        request(r),
        recent(*from),
        commits(from, recent, r.boundary, r.have_boundary),
        objects(std::make_shared<object_set>(*from)) {}

  promise<> add_have(object_id id);
  promise<> add_tip(object_id id);
  promise<> open_trees();

  snapshot_ptr from;
  const reachability_request& request;
  object_cache recent;
  detail::commit_painter commits;
  std::shared_ptr<object_set> objects;
  std::vector<object_id> trees;  // among the tips
};

promise<> search::add_have(object_id id) {
  for (;;) {
    const std::optional<object_header> h = from->find_object(id);
    if (!h) co_return;
    if (h->type != object_type::tag) break;
    if (!commits.had()->insert(*h)) co_return;
    promise<object> reading = get_object(from, id, any_size, &recent);
    const object read = co_await std::move(reading);
    id = parse_tag(id, read.text()).target;
  }
  promise<> added = commits.add_have(id);
  co_await added;
}

promise<> search::add_tip(object_id id) {
  for (bool is_tip = true;; is_tip = false) {
    const std::optional<object_header> h = from->find_object(id);
    if (!h && request.may_lack && !is_tip) co_return;  // what a tag stands for
    if (!h) throw failure(reason::not_found, "object " + id.hex() + ": not in the store");
    if (h->type == object_type::commit) break;
    if (commits.had()->contains(*h)) co_return;
    if (h->type == object_type::tree) trees.push_back(id);
    if (h->type != object_type::tree && !objects->insert(*h)) co_return;
    if (h->type != object_type::tag) co_return;
    promise<object> reading = get_object(from, id, any_size, &recent);
    const object read = co_await std::move(reading);
    id = parse_tag(id, read.text()).target;
  }
  promise<> added = commits.add_tip(id);
  co_await added;
}

promise<> search::open_trees() {
  object_set& had = *commits.had();
  const object_set nothing(*from);
  const object_filter all;
  tree_opener known(from, recent, all);
  for (const auto& edge : commits.edges()) {
    promise<> opened = known.open(edge.tree, had, nothing, true);
    co_await opened;
  }
  const bool with_trees = request.filter.what != object_filter::leaves_out::trees;
  tree_opener opener(from, recent, request.filter);
  object_set left_out(*from);  // without trees: those of commits, even where a tag names one, too
  for (const auto& c : commits.wanted()) {
    if (had.contains(c.at)) continue;
    objects->insert(c.at);
    if (with_trees) {
      promise<> opened = opener.open(c.tree, *objects, had, request.may_lack);
      co_await opened;
    } else if (!trees.empty()) {
      if (const std::optional<object_header> h = from->find_object(c.tree)) left_out.insert(*h);
    }
    co_await maybe_pause();
  }
  for (const object_id& id : trees) {
    if (with_trees) {
      promise<> opened = opener.open(id, *objects, had, request.may_lack);
      co_await opened;
    } else if (const object_header h = *from->find_object(id); !left_out.contains(h)) {
      objects->insert(h);
    }
    co_await maybe_pause();
  }
}

promise<> find_all(search& s) {
  for (const object_id& id : s.request.haves) {
    promise<> added = s.add_have(id);
    co_await added;
    co_await maybe_pause();
  }
  for (const object_id& id : s.request.tips) {
    promise<> added = s.add_tip(id);
    co_await added;
    co_await maybe_pause();
  }
  promise<> walked = s.commits.run();
  co_await walked;
  promise<> opened = s.open_trees();
  co_await opened;
}

}  // namespace

bool object_filter::drops_blob(std::uint64_t size) const noexcept {
  return what == leaves_out::large_blobs && size >= blob_bytes;
}

std::optional<object_filter> object_filter::parse(std::string_view text) {
  object_filter f;
  if (text == "tree:0") {
    f.what = leaves_out::trees;
    return f;
  }
  f.what = leaves_out::large_blobs;
  if (text == "blob:none") return f;
  constexpr std::string_view limit = "blob:limit=";
  if (!text.starts_with(limit)) return std::nullopt;
  text.remove_prefix(limit.size());
  const char* const end = text.data() + text.size();
  const auto [after, wrong] = std::from_chars(text.data(), end, f.blob_bytes);
  if (wrong != std::errc()) return std::nullopt;
  const std::string_view unit(after, static_cast<std::size_t>(end - after));
  const std::size_t power = std::string_view("kmg").find(unit);
  if (unit.empty()) return f;
  if (unit.size() > 1 || power == std::string_view::npos || f.blob_bytes >> 34 != 0) {
    return std::nullopt;
  }
  f.blob_bytes <<= 10 * (power + 1);
  return f;
}

promise<reachable_objects> find_reachable(snapshot_ptr from, reachability_request request) {
  std::sort(request.boundary.begin(), request.boundary.end());
  std::sort(request.have_boundary.begin(), request.have_boundary.end());
  search s(std::move(from), request);
  promise<> all = find_all(s);
  co_await all;
  while (s.recent.release_slice()) co_await maybe_pause(std::chrono::microseconds(50));
  reachable_objects result;
  result.objects = s.objects;
  result.had = s.commits.had();
  co_return result;
}

}  // namespace fermata::git_mem
