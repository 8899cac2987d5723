// SPDX-License-Identifier: MIT
// The conversation of a clone: what the server has, what is asked for of it, and whether all came.

#include "clone_over.hpp"

#include "asked_refs.hpp"
#include "clone_session.hpp"
#include "live_refs.hpp"
#include "pack_worker.hpp"
#include "protocol_lines.hpp"
#include "received_check.hpp"
#include "sliced_sort.hpp"

#include <fermata/git_mem/clone.hpp>
#include <fermata/git_mem/commit.hpp>
#include <fermata/promise/pause.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <deque>
#include <optional>
#include <utility>

namespace fermata::git_mem {

using detail::clone_session;
using detail::read_message;
using detail::send_text;

namespace {

constexpr std::chrono::microseconds release_cost{30};
constexpr std::chrono::nanoseconds look_up_cost{300};

// What to fetch, of what the server has, which is sorted. Where HEAD names no commit, it may be
// that only other refs are wanted.
void choose_tip(clone_result& result, const std::string& branch, bool may_be_none) {
  for (const std::string& name : detail::wanted_names(branch)) {
    const auto at = detail::ref_from(result.refs, name);
    if (at == result.refs.end() || at->name != name) continue;
    if (at->id.is_zero()) break;  // HEAD, of a branch that is not there
    result.tip = at->id;
    result.ref = at->symbolic_target.empty() ? at->name : at->symbolic_target;
    return;
  }
  if (!branch.empty()) {
    throw failure(reason::not_found,
                  "branch \"" + printable(branch) + "\" is not in the repository");
  }
  if (may_be_none) return;
  const auto first = detail::ref_from(result.refs, "refs/heads/");
  const bool has_branches = first != result.refs.end() && first->name.starts_with("refs/heads/");
  if (has_branches) throw failure(reason::not_found, "its HEAD names no commit: name a branch");
}

// Out of where growing moves none of them.
promise<std::vector<reference>> take_all(std::deque<reference>& from) {
  std::vector<reference> refs;
  refs.reserve(from.size());
  while (!from.empty()) {
    refs.push_back(std::move(from.front()));
    from.pop_front();
    co_await maybe_pause();
  }
  co_return refs;
}

promise<std::vector<reference>> list_refs(clone_session& s, advertisement& from) {
  if (from.version != 2) {
    promise<std::vector<reference>> taken = take_all(from.refs);
    co_return co_await std::move(taken);
  }
  std::vector<std::string> prefixes = detail::wanted_names(s.url.branch);
  prefixes.emplace_back("HEAD");
  if (s.url.branch.empty()) prefixes.emplace_back("refs/heads/");
  prefixes.insert(prefixes.end(), s.options.also.begin(), s.options.also.end());
  promise<> asked = send_text(s, ls_refs_request(from.can, prefixes));
  co_await asked;
  ls_refs_reader answer(prefixes, s.options.protocol);
  promise<> read = read_message(s, answer, "while it listed its refs");
  co_await read;
  if (!answer.unborn_head().empty()) {
    answer.refs().push_back({"HEAD", object_id(), answer.unborn_head()});
  }
  promise<std::vector<reference>> taken = take_all(answer.refs());
  co_return co_await std::move(taken);
}

// A clone that has no commit at its tip, or not its tree, is of no use to anybody. Without a tip
// only other refs came.
void check_tip(const clone_session& s, const clone_result& result) {
  if (result.is_empty()) return;
  if (s.known && s.known->find_object(result.tip)) return;  // only older history came
  const std::optional<std::uint32_t> n = result.objects->find(result.tip);
  if (!n) throw failure(reason::corrupt, "pack: the tip " + result.tip.hex() + " is not in it");
  const object_type type = result.objects->entry(*n).type();
  if (type != object_type::commit && type != object_type::tag) {
    throw failure(reason::corrupt,
                  "pack: the tip " + result.tip.hex() + " is a " + std::string(type_name(type)));
  }
}

// What is asked for, of what is not there yet; with more history the tip again.
promise<std::vector<object_id>> wanted_ids(const clone_session& s, const clone_result& result) {
  const clone_options& how = s.options;
  const bool is_cut_anew = how.has_cut() || how.depth > 1 || how.deepen_relative;
  const bool wants_more = s.known && is_cut_anew && (how.has_cut() || !s.known->shallow.empty());
  std::vector<object_id> wants;
  if (!how.also.empty()) wants.reserve(result.refs.size());
  const auto add = [&](const object_id& id) {
    if (id.is_zero()) return;  // an unborn HEAD
    if (wants_more || !s.known || !s.known->find_object(id)) wants.push_back(id);
  };
  add(result.tip);
  for (const reference& r : result.refs) {
    if (detail::has_prefix(r.name, how.also)) add(r.id);
    co_await maybe_pause(look_up_cost);
  }
  promise<> sorted = detail::sort_ids(wants);
  co_await sorted;
  co_return wants;
}

// Which commits have no parents here: as it was, and as the other side has changed it. Versions 0
// and 1 tell where the other side's own history ends in the advertisement alone: it ends there for
// what is new here, not for what we had before with all its parents.
promise<std::vector<object_id>> shallow_after(const clone_session& s,
                                              const advertisement& from,
                                              fetch_reader& answer,
                                              const pack& objects) {
  const std::vector<object_id>& told = answer.shallow();
  std::vector<object_id> ids;
  for (std::size_t i = 0; i < told.size() + from.shallow.size(); ++i) {
    const bool is_answer = i < told.size();
    const object_id& id = is_answer ? told[i] : from.shallow[i - told.size()];
    const bool was_known = s.known && s.known->find_object(id);
    if (is_answer ? was_known || objects.find(id) : !was_known && objects.find(id)) {
      ids.push_back(id);
    }
    co_await maybe_pause(look_up_cost);
  }
  if (s.known) ids.insert(ids.end(), s.known->shallow.begin(), s.known->shallow.end());
  std::vector<object_id>& whole = answer.unshallow();
  promise<> sorted = detail::sort_ids(ids);
  co_await sorted;
  promise<> sorted_too = detail::sort_ids(whole);
  co_await sorted_too;
  std::size_t kept = 0;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (!std::binary_search(whole.begin(), whole.end(), ids[i])) ids[kept++] = ids[i];
    co_await maybe_pause(look_up_cost);
  }
  ids.resize(kept);
  co_return ids;
}

// With what came, which is only lent.
snapshot_ptr all_there(const clone_session& s, const clone_result& result) {
  auto in = std::make_shared<snapshot>();
  in->shallow = result.shallow;
  in->is_partial = result.is_partial;
  in->packs.emplace_back(std::shared_ptr<const void>(), result.objects.get());
  if (s.known) in->packs.insert(in->packs.end(), s.known->packs.begin(), s.known->packs.end());
  return in;
}

// That nothing is missing in what came.
promise<> check_received(clone_session& s, snapshot_ptr in, const clone_result& result) {
  const detail::pack_links& links = detail::pack_worker::links_of(s.analyser);
  promise<> history = detail::check_history(in, links);
  co_await history;
  if (s.known) co_return;  // a fetch compares the trees anyway
  promise<> trees = detail::check_trees(in, links, result.tip, s.options.filter);
  co_await trees;
}

promise<> fetch_pack(clone_session& s,
                     const advertisement& from,
                     std::vector<object_id> wants,
                     clone_result& result) {
  fetch_request request;
  request.wants = std::move(wants);  // a copy of many would take a millisecond for its pages
  request.filter = s.options.filter;
  if (!s.options.has_cut()) {
    request.depth = s.options.depth;
    request.deepen_relative = s.options.deepen_relative;
  } else if (s.options.shallow_since) {
    request.since = s.options.shallow_since->time_since_epoch().count();
  }
  request.without = s.options.shallow_exclude;
  // It may build on what we have alone: the other side does not know what was left out here.
  request.thin_pack = s.known != nullptr && !result.is_partial;
  if (s.known) request.shallow = s.known->shallow;
  promise<fetch_reader> receiving = detail::receive_pack(s, from, request);
  fetch_reader answer = co_await std::move(receiving);
  result.progress = s.analyser.progress();
  result.objects = s.analyser.take();
  check_tip(s, result);
  for (const object_id& id : request.wants) {
    const bool is_there = result.objects->find(id) || (s.known && s.known->find_object(id));
    if (!is_there) throw failure(reason::corrupt, "pack: the tip " + id.hex() + " is not in it");
    co_await maybe_pause(look_up_cost);
  }
  promise<std::vector<object_id>> cutting = shallow_after(s, from, answer, *result.objects);
  result.shallow = co_await std::move(cutting);
  const snapshot_ptr in = all_there(s, result);
  promise<> checked = check_received(s, in, result);
  co_await checked;
  promise<> settled = detail::settle_head(in, result);
  co_await settled;
}

promise<> converse(clone_session& s, clone_result& result) {
  s.report(clone_phase::negotiate);
  advertisement_reader first(s.options.protocol);
  promise<> advertised = read_message(s, first, "before it said what it has");
  co_await advertised;
  advertisement& from = first.result();
  result.protocol_version = from.version;
  result.is_partial = !s.options.filter.empty() || (s.known && s.known->is_partial);
  promise<std::vector<reference>> listed = list_refs(s, from);
  result.refs = co_await std::move(listed);
  promise<> sorted = detail::sort_refs(result.refs);
  co_await sorted;
  choose_tip(result, s.url.branch, !s.options.also.empty());
  promise<> kept = detail::keep_asked(result, s.url.branch, s.options.also);
  co_await kept;
  promise<std::vector<object_id>> choosing = wanted_ids(s, result);
  std::vector<object_id> wants = co_await std::move(choosing);
  if (s.known && wants.empty()) result.shallow = s.known->shallow;
  if (wants.empty()) {
    promise<> bye = send_text(s, "0000");
    co_await bye;
    promise<> settled = detail::settle_head(s.known, result);
    co_await settled;
    co_return;
  }
  promise<> fetched = fetch_pack(s, from, std::move(wants), result);
  co_await fetched;
  s.report(clone_phase::done);
}

}  // namespace

std::string_view phase_name(clone_phase phase) noexcept {
  constexpr std::array<std::string_view, 5> names = {"connect", "negotiate", "receive", "resolve",
                                                     "done"};
  return names[static_cast<std::size_t>(phase)];
}

namespace detail {

promise<clone_result> clone_unnamed(byte_stream& stream,
                                    const remote_url& url,
                                    const clone_options& options,
                                    snapshot_ptr known) {
  clone_session s(stream, url, options, std::move(known));
  want_links(pack_worker::links_of(s.analyser), options.filter, s.known == nullptr);
  std::exception_ptr failed;
  clone_result result;
  promise<> conversation = converse(s, result);
  try {
    co_await conversation;
    co_return result;
  } catch (const error&) {
    failed = std::current_exception();
  }
  promise<> freed = release(std::move(s.analyser));
  co_await freed;
  while (result.objects && result.objects->release_slice()) co_await maybe_pause(release_cost);
  std::rethrow_exception(failed);
}

failure remote_failure(std::string_view what, const remote_url& url, const error& why) {
  const auto* own = dynamic_cast<const failure*>(&why);
  return failure(own != nullptr ? own->why() : reason::remote,
                 "cannot " + std::string(what) + " " + url.text + ": " + why.what());
}

}  // namespace detail

promise<clone_result> clone_over(byte_stream& stream, remote_url url, clone_options options) {
  promise<clone_result> cloned = detail::clone_unnamed(stream, url, options);
  try {
    co_return co_await std::move(cloned);
  } catch (const error& e) {
    throw detail::remote_failure("clone", url, e);
  }
}

snapshot make_snapshot(object_store& store, clone_result result) {
  snapshot next;
  next.refs = std::move(result.refs);
  next.refs_in_order = true;
  next.shallow = std::move(result.shallow);
  next.is_partial = result.is_partial;
  if (result.objects) next.packs.push_back(store.adopt(std::move(result.objects)));
  return next;
}

}  // namespace fermata::git_mem
