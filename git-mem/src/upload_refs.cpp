// SPDX-License-Identifier: MIT
// What a repository has, in the words of each protocol. A ref is shown where its object is in the
// store: a clone of one branch knows the names of others.

#include "upload_session.hpp"

#include <fermata/git_mem/commit.hpp>
#include <fermata/git_mem/protocol.hpp>
#include <fermata/promise/pause.hpp>

#include <algorithm>
#include <utility>

namespace fermata::git_mem::detail {

namespace {

constexpr const char* agent = "agent=fermata/0.1";

constexpr std::chrono::nanoseconds shown_cost{250};

constexpr std::string_view classic_words =
    "multi_ack multi_ack_detailed thin-pack side-band side-band-64k ofs-delta shallow deepen-since "
    "deepen-not deepen-relative no-progress include-tag no-done filter "
    "allow-tip-sha1-in-want allow-reachable-sha1-in-want object-format=sha1 ";

// The refs that are shown. A store that knows HEAD alone shows the branch, too, that HEAD stands
// for: git checks out no other.
promise<std::vector<reference>> shown_refs(snapshot_ptr s) {
  const reference* const head = s->find_ref("HEAD");
  std::string missing;
  if (head != nullptr && head->symbolic_target.starts_with("refs/heads/") &&
      s->find_ref(head->symbolic_target) == nullptr && s->find_object(head->id)) {
    missing = head->symbolic_target;
  }
  std::vector<reference> refs;
  refs.reserve(s->refs.size() + 1);
  for (reference r : s->refs) {
    if (!missing.empty() && missing < r.name) {
      refs.push_back({std::exchange(missing, {}), head->id, {}});
    }
    if (r.id.is_zero() && !r.symbolic_target.empty()) {
      const reference* const target = s->find_ref(r.symbolic_target);
      if (target != nullptr) r.id = target->id;
    }
    if (s->find_object(r.id)) refs.push_back(std::move(r));
    co_await maybe_pause(shown_cost);
  }
  if (!missing.empty()) refs.push_back({missing, head->id, {}});
  co_return refs;
}

promise<> advertise_v2(upload_session& s) {
  for (const char* line : {"version 2\n", "agent=fermata/0.1\n", "ls-refs=unborn\n",
                           "fetch=shallow wait-for-done filter\n", "object-format=sha1\n"}) {
    s.add(line);
  }
  s.add_flush();
  promise<> flushed = s.flush();
  co_await flushed;
}

promise<> advertise_classic(upload_session& s) {
  if (s.options().version == 1) s.add("version 1\n");
  std::string words = std::string(1, '\0') + std::string(classic_words);
  const reference* const head = s.from()->find_ref("HEAD");
  if (head != nullptr && !head->symbolic_target.empty() && s.from()->find_object(head->id)) {
    words += "symref=HEAD:" + head->symbolic_target + " ";
  }
  words += agent;
  promise<std::vector<reference>> showing = shown_refs(s.from());
  const std::vector<reference> refs = co_await std::move(showing);
  if (refs.empty()) s.add(object_id().hex() + " capabilities^{}" + words + "\n");
  for (const reference& r : refs) {
    promise<> said = s.say(r.id.hex() + " " + r.name + words + "\n");
    co_await said;
    words.clear();
    promise<std::optional<object_id>> peeling = peeled(s.from(), r.id);
    const std::optional<object_id> target = co_await std::move(peeling);
    if (target) s.add(target->hex() + " " + r.name + "^{}\n");
  }
  for (const object_id& id : s.from()->shallow) {
    promise<> said = s.say("shallow " + id.hex() + "\n");
    co_await said;
  }
  s.add_flush();
  promise<> flushed = s.flush();
  co_await flushed;
}

}  // namespace

promise<std::optional<object_id>> peeled(const snapshot_ptr& from, object_id id) {
  if (from->find_object(id)->type != object_type::tag) co_return std::nullopt;
  promise<object_id> peeling = peel_tags(from, id);
  try {
    co_return co_await std::move(peeling);
  } catch (const failure&) {
    co_return std::nullopt;  // of a damaged tag only its own name is shown
  }
}

promise<> advertise(upload_session& s) {
  return s.options().version == 2 ? advertise_v2(s) : advertise_classic(s);
}

promise<> answer_ls_refs(upload_session& s, ls_refs_request_lines asked) {
  const auto is_asked = [&asked](std::string_view name) {
    return asked.prefixes.empty() ||
           std::any_of(asked.prefixes.begin(), asked.prefixes.end(),
                       [name](const std::string& p) { return name.starts_with(p); });
  };
  promise<std::vector<reference>> showing = shown_refs(s.from());
  const std::vector<reference> refs = co_await std::move(showing);
  const reference* const head = s.from()->find_ref("HEAD");
  const bool unborn = head != nullptr && !s.from()->find_object(head->id);
  if (asked.unborn && unborn && !head->symbolic_target.empty() && is_asked("HEAD")) {
    const bool target_is_there = std::any_of(refs.begin(), refs.end(), [&](const reference& r) {
      return r.name == head->symbolic_target;
    });
    if (!target_is_there) s.add("unborn HEAD symref-target:" + head->symbolic_target + "\n");
  }
  for (const reference& r : refs) {
    std::string line = r.id.hex() + " " + r.name;
    if (is_asked(r.name)) {
      if (asked.symrefs && !r.symbolic_target.empty()) {
        line += " symref-target:" + r.symbolic_target;
      }
      promise<std::optional<object_id>> peeling = peeled(s.from(), r.id);
      const std::optional<object_id> target = co_await std::move(peeling);
      if (asked.peel && target) line += " peeled:" + target->hex();
      promise<> said = s.say(line + "\n");
      co_await said;
    }
    co_await maybe_pause(std::chrono::nanoseconds(100 + 10 * asked.prefixes.size()));
  }
  s.add_flush();
  promise<> flushed = s.flush();
  co_await flushed;
}

}  // namespace fermata::git_mem::detail
