// SPDX-License-Identifier: MIT
// Sends refs of a saved store to a remote.

#include "commands.hpp"

#include <fermata/git_mem/push.hpp>
#include <fermata/git_mem/revparse.hpp>

#include <algorithm>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace fermata_git {

using namespace fermata::git_mem;

namespace {

// Where a short name goes that the remote does not know: beside what it is here. Empty where it is
// no ref here and need not be a branch there.
std::string remote_name(std::string_view name, const reference* source, bool is_removed) {
  if (name.starts_with("refs/")) return std::string(name);
  if (source == nullptr && !is_removed) return {};
  const bool is_tag = source != nullptr && source->name.starts_with("refs/tags/");
  return (is_tag ? "refs/tags/" : "refs/heads/") + std::string(name);
}

// "main", "main:topic", "+main:topic", "9f2c41:refs/heads/x", ":topic"
promise<push_command> read_refspec(snapshot_ptr from, const arguments& given, std::string spec) {
  push_command out;
  out.force = given.force;
  if (spec.starts_with('+')) {
    out.force = true;
    spec.erase(0, 1);
  }
  const std::size_t colon = spec.find(':');
  const std::string source = spec.substr(0, colon);
  std::string target = colon == std::string::npos ? "" : spec.substr(colon + 1);
  if (from->find_ref("refs/heads/" + source) != nullptr &&
      from->find_ref("refs/tags/" + source) != nullptr) {
    throw failure(
        reason::unsupported,
        "\"" + source + "\" is a branch and a tag: say refs/heads/ or refs/tags/ before it");
  }
  const reference* ref = find_short_ref(*from, source);
  if (ref != nullptr && !ref->symbolic_target.empty()) {
    const reference* behind = from->find_ref(ref->symbolic_target);
    if (behind != nullptr) ref = behind;
  }
  if (target.empty()) {
    if (ref == nullptr) {
      throw failure(reason::not_found, "\"" + spec + "\": no ref has this name; say REF:REF");
    }
    target = ref->name;
  }
  out.ref = remote_name(target, ref, source.empty());
  if (out.ref != target) out.short_name = target;
  if (!given.expected.empty()) out.expected = object_id::from_hex(given.expected);
  if (source.empty()) co_return out;  // the zero id: it is deleted
  promise<object_id> finding = get_revision(from, ref != nullptr ? ref->name : source);
  out.to = co_await std::move(finding);
  co_return out;
}

std::string line_of(const pushed_ref& r) {
  if (!r.refused.empty()) return r.ref + " refused: " + r.refused + "\n";
  return r.ref + " " + r.before.hex() + " " + r.after.hex() + "\n";
}

}  // namespace

promise<int> push_command_line(const arguments& given, output& out) {
  object_store store;
  promise<snapshot_ptr> opening = open_saved(store, given.file);
  const snapshot_ptr from = co_await std::move(opening);
  std::vector<push_command> what;
  for (const std::string& spec : given.revisions) {
    promise<push_command> reading = read_refspec(from, given, spec);
    what.push_back(co_await std::move(reading));
  }
  push_options options;
  options.atomic = given.atomic;
  options.connection.remote = remote_of_environment();
  promise<push_result> pushing = push(from, given.url, what, options);
  const push_result result = co_await std::move(pushing);
  for (const pushed_ref& r : result.refs) out.write(line_of(r));
  std::string_view said = result.remote_says;
  while (!said.empty()) {
    const std::size_t end = std::min(said.find('\n'), said.size());
    const std::string line(said.substr(0, end));
    if (!line.empty()) std::fprintf(stderr, "remote: %s\n", line.c_str());
    said.remove_prefix(std::min(end + 1, said.size()));
  }
  co_return result.is_success() ? 0 : 1;
}

}  // namespace fermata_git
