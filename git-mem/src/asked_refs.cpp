// SPDX-License-Identifier: MIT
// All lists are sorted by name; HEAD comes first, for all other names begin with "refs/".

#include "asked_refs.hpp"

#include "live_refs.hpp"
#include "protocol_lines.hpp"

#include <fermata/git_mem/commit.hpp>
#include <fermata/promise/pause.hpp>

#include <algorithm>
#include <chrono>
#include <optional>
#include <string_view>
#include <utility>

namespace fermata::git_mem::detail {

namespace {

constexpr std::chrono::nanoseconds ref_cost{300};
constexpr std::string_view branches = "refs/heads/";

using names = std::vector<std::string>;

bool is_asked(std::string_view name, const names& wanted, const names& also) {
  return std::find(wanted.begin(), wanted.end(), name) != wanted.end() || has_prefix(name, also);
}

const reference* find(const std::vector<reference>& sorted, std::string_view name) {
  const auto at = ref_from(sorted, name);
  return at != sorted.end() && at->name == name ? &*at : nullptr;
}

// Whether what the remote's HEAD stands for comes too.
bool comes_with(const reference& head,
                const clone_result& result,
                const names& wanted,
                const names& also) {
  if (head.id.is_zero()) return false;  // for a branch that is not there
  if (head.symbolic_target.empty()) return head.id == result.tip;
  return head.symbolic_target == result.ref || is_asked(head.symbolic_target, wanted, also);
}

// `a` cannot be beside `a/b`: on disk one is a file and one a folder.
void check_place(const std::string& kept, const std::vector<reference>& fresh) {
  const std::string below = kept + "/";
  const auto next = ref_from(fresh, below);
  const reference* in_way = nullptr;
  if (next != fresh.end() && next->name.starts_with(below)) in_way = &*next;
  for (std::size_t slash = kept.find('/'); in_way == nullptr && slash != std::string::npos;
       slash = kept.find('/', slash + 1)) {
    in_way = find(fresh, std::string_view(kept).substr(0, slash));
  }
  if (in_way == nullptr) return;
  throw failure(reason::conflict,
                "ref " + in_way->name + " cannot be beside " + kept + ", which the store has");
}

// Where it has one whose target stays.
bool keeps_head(const snapshot& known,
                const clone_result& received,
                const std::vector<reference>& next) {
  const reference* const head = known.find_ref("HEAD");
  if (!received.has_own_head || head == nullptr || head->symbolic_target.empty()) return false;
  const reference* const target = find(next, head->symbolic_target);
  return target != nullptr && (known.find_object(target->id) ||
                               (received.objects && received.objects->find(target->id)));
}

}  // namespace

std::vector<std::string> wanted_names(const std::string& branch) {
  if (branch.empty()) return {"HEAD"};
  if (branch.starts_with("refs/")) return {branch};
  return {"refs/heads/" + branch, "refs/tags/" + branch};
}

promise<> keep_asked(clone_result& result, const std::string& branch, const names& also) {
  const names wanted = wanted_names(branch);
  std::vector<reference> listed = std::move(result.refs);
  std::vector<reference>& kept = result.refs;
  kept = {};
  const reference* const there = find(listed, "HEAD");
  result.has_own_head =
      !result.is_empty() && (there == nullptr || !comes_with(*there, result, wanted, also));
  std::size_t most = 2;  // HEAD and `ref`, where they were not listed
  for (const reference& r : listed) {
    if (r.name == result.ref || is_asked(r.name, wanted, also)) ++most;
    co_await maybe_pause(ref_cost);
  }
  kept.reserve(most);
  if (result.has_own_head) {
    kept.push_back({"HEAD", result.tip, result.ref.starts_with(branches) ? result.ref : ""});
  }
  for (reference& r : listed) {
    const bool is_head = r.name == "HEAD" && !result.has_own_head;
    const bool is_wanted = r.name == result.ref || is_asked(r.name, wanted, also);
    if (is_head || (r.name != "HEAD" && is_wanted)) kept.push_back(std::move(r));
    co_await maybe_pause(ref_cost);
  }
  if (result.is_empty() || find(kept, result.ref) != nullptr) co_return;
  kept.insert(ref_from(kept, result.ref), {result.ref, result.tip, {}});  // HEAD's, not a branch
}

promise<> settle_head(snapshot_ptr in, clone_result& result) {
  if (!result.has_own_head || !result.refs.front().symbolic_target.empty()) co_return;
  std::optional<object_id> commit;
  promise<std::optional<object_id>> peeling = peel(in, result.tip, object_type::commit);
  try {
    commit = co_await std::move(peeling);
  } catch (const failure& f) {  // a filter may have left it out
    if (f.why() != reason::not_found) throw;
  }
  if (commit) {
    result.refs.front().id = *commit;
  } else {
    result.refs.erase(result.refs.begin());
    result.has_own_head = false;
  }
}

promise<std::vector<reference>> merge_refs(snapshot_ptr known,
                                           const clone_result& received,
                                           const std::string& branch,
                                           const names& also) {
  const names wanted = wanted_names(branch);
  const std::vector<reference>& old = known->refs;
  const std::vector<reference>& fresh = received.refs;
  std::vector<reference> next;
  next.reserve(old.size() + fresh.size());
  std::vector<std::size_t> symbolic;
  for (std::size_t a = 0, b = 0; a < old.size() || b < fresh.size();) {
    const int order = a == old.size()     ? 1
                      : b == fresh.size() ? -1
                                          : old[a].name.compare(fresh[b].name);
    if (order >= 0) {
      next.push_back(fresh[b++]);
    } else if (!is_asked(old[a].name, wanted, also)) {
      check_place(old[a].name, fresh);
      next.push_back(old[a]);
      if (!old[a].symbolic_target.empty()) symbolic.push_back(next.size() - 1);
    }
    if (order <= 0) ++a;
    co_await maybe_pause(ref_cost);
  }
  if (keeps_head(*known, received, next)) {
    next.front() = *known->find_ref("HEAD");
    symbolic.push_back(0);
  }
  for (const std::size_t n : symbolic) {  // of what moved
    const reference* const target = find(next, next[n].symbolic_target);
    if (target != nullptr) next[n].id = target->id;
    co_await maybe_pause(ref_cost);
  }
  co_return next;
}

}  // namespace fermata::git_mem::detail
