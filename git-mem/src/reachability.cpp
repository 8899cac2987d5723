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
#include <deque>
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

// Opens trees, and puts what they reach and a filter leaves into a set.
class tree_opener {
public:
  // What is `without` is passed over. What is missing is an error but where `lenient`.
  tree_opener(snapshot_ptr from,
              object_cache& recent,
              const object_filter& filter,
              object_set& into,
              const object_set& without,
              bool lenient)
      : from_(std::move(from)),
        recent_(recent),
        filter_(filter),
        into_(into),
        without_(without),
        lenient_(lenient),
        opened_(*from_) {}

  // A commit's tree, with all below it.
  promise<> open(object_id root);
  // A tree that somebody asked for: it is given in any case, and its entries are as deep as a
  // commit's tree is.
  promise<> open_given(object_id root);
  // After all of them.
  promise<> finish();

private:
  static constexpr std::size_t seen_blocks = 64;
  static constexpr std::size_t seen_block_slots = 256;

  object_id& seen_slot(const object_id& id);
  void look(const raw_entry& e);
  promise<> read(object_id id);
  promise<> descend();

  snapshot_ptr from_;
  object_cache& recent_;
  const object_filter& filter_;
  object_set& into_;
  const object_set& without_;
  bool lenient_;
  object_set opened_;
  // Trees to be read. The last first, which keeps them few; where depth is limited a depth at a
  // time, so that each is come upon first where it is least deep.
  std::deque<object_id> found_;
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

void tree_opener::look(const raw_entry& e) {
  const std::uint32_t kind = e.mode & mode_kind;
  if (kind == mode_submodule) return;
  object_id& seen = seen_slot(e.id);
  if (seen == e.id) return;
  const object_type type = kind == mode_tree ? object_type::tree : object_type::blob;
  const std::optional<object_header> h = from_->find_object(e.id);
  if (!h) {
    if (lenient_ || (type == object_type::blob && filter_.drops_some_blobs())) return;
    throw failure(reason::not_found, "object " + e.id.hex() + ": not in the store");
  }
  if (h->type != type) {
    throw failure(reason::corrupt, "object " + e.id.hex() + ": it is a " +
                                       std::string(type_name(h->type)) + ", no " +
                                       std::string(type_name(type)));
  }
  seen = e.id;
  if (without_.contains(*h)) return;
  if (type == object_type::blob) {
    if (!filter_.drops_blob(h->size_bytes)) into_.insert(*h);
  } else if (opened_.insert(*h)) {
    if (filter_.trees) into_.insert(*h);
    found_.push_back(e.id);
  }
}

promise<> tree_opener::read(object_id id) {
  promise<object> reading = get_object(from_, id, any_size, &recent_);
  const object tree = co_await std::move(reading);
  const std::string_view text = tree.text();
  for (std::size_t at = 0; at < text.size();) {
    std::size_t n = 0;
    try {
      for (; n < entries_at_once && at < text.size(); ++n) look(take_entry(text, at));
    } catch (const failure& f) {
      throw f.at("tree " + id.hex());
    }
    co_await maybe_pause(entry_cost * n);
  }
}

promise<> tree_opener::descend() {
  while (!found_.empty()) {
    const object_id id = found_.back();
    found_.pop_back();
    promise<> looked = read(id);
    co_await looked;
  }
}

promise<> tree_opener::open(object_id root) {
  raw_entry top;
  top.mode = mode_tree;
  top.id = root;
  look(top);
  if (filter_.tree_depth != object_filter::all) co_return;
  promise<> descended = descend();
  co_await descended;
}

promise<> tree_opener::open_given(object_id root) {
  const object_header h = *from_->find_object(root);
  if (without_.contains(h)) co_return;
  into_.insert(h);
  if (!filter_.enters_trees() || !opened_.insert(h)) co_return;
  promise<> looked = read(root);
  co_await looked;
  if (filter_.tree_depth != object_filter::all) co_return;
  promise<> descended = descend();
  co_await descended;
}

promise<> tree_opener::finish() {
  for (std::uint64_t depth = 1; depth < filter_.tree_depth && !found_.empty(); ++depth) {
    for (std::deque<object_id> trees = std::exchange(found_, {}); !trees.empty();) {
      promise<> looked = read(trees.front());
      co_await looked;
      trees.pop_front();
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
        objects(std::make_shared<object_set>(*from)),
        given_commits(*from) {}

  promise<> add_have(object_id id);
  promise<> add_tip(object_id id);
  promise<> open_known();
  promise<> open_trees();

  snapshot_ptr from;
  const reachability_request& request;
  object_cache recent;
  detail::commit_painter commits;
  std::shared_ptr<object_set> objects;
  object_set given_commits;      // the tips
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
    if (h->type == object_type::commit) {
      given_commits.insert(*h);
      break;
    }
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

promise<> search::open_known() {
  const object_set nothing(*from);
  const object_filter all;
  tree_opener known(from, recent, all, *commits.had(), nothing, true);
  for (const auto& edge : commits.edges()) {
    promise<> opened = known.open(edge.tree);
    co_await opened;
  }
}

promise<> search::open_trees() {
  const object_set& had = *commits.had();
  const object_filter& filter = request.filter;
  tree_opener opener(from, recent, filter, *objects, had, request.may_lack);
  object_set roots(*from);  // trees of commits, which are no others where a tag names one, too
  for (const auto& c : commits.wanted()) {
    if (had.contains(c.at)) continue;
    if (filter.commits || given_commits.contains(c.at)) objects->insert(c.at);
    if (!trees.empty()) {
      if (const std::optional<object_header> h = from->find_object(c.tree)) roots.insert(*h);
    }
    if (filter.enters_trees()) {
      promise<> opened = opener.open(c.tree);
      co_await opened;
    }
    co_await maybe_pause();
  }
  for (const object_id& id : trees) {
    if (!roots.contains(*from->find_object(id))) {
      promise<> opened = opener.open_given(id);
      co_await opened;
    }
    co_await maybe_pause();
  }
  promise<> finished = opener.finish();
  co_await finished;
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
  promise<> known = s.open_known();
  co_await known;
  promise<> opened = s.open_trees();
  co_await opened;
}

}  // namespace

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
