// SPDX-License-Identifier: MIT
// Commands that read a saved store; their output is git's own.

#include "commands.hpp"
#include "commit_text.hpp"

#include <fermata/git_mem/diff.hpp>
#include <fermata/git_mem/export_bare.hpp>
#include <fermata/git_mem/log.hpp>
#include <fermata/git_mem/revparse.hpp>
#include <fermata/git_mem/saved_store.hpp>
#include <fermata/git_mem/walk.hpp>

#include <algorithm>
#include <cstdint>
#include <exception>
#include <iostream>
#include <optional>
#include <utility>

namespace fermata_git {

using namespace fermata::git_mem;

namespace {

promise<> list_level(snapshot_ptr from, object_id tree, output& out) {
  promise<object> reading = get_object(from, tree);
  const object content = co_await std::move(reading);
  tree_reader entries(content);
  while (const std::optional<tree_entry> e = entries.next()) {
    out.write(tree_line(e->mode, e->id, e->name));
  }
}

promise<object_id> tree_of(snapshot_ptr from, std::string revision) {
  promise<object_id> finding = get_revision(from, revision);
  const object_id id = co_await std::move(finding);
  promise<std::optional<object_id>> peeling = peel(from, id, object_type::tree);
  const std::optional<object_id> tree = co_await std::move(peeling);
  if (!tree) throw failure(reason::not_found, "\"" + revision + "\" is no tree");
  co_return *tree;
}

// Nothing of a blob and of a tree, which have no history.
promise<std::optional<object_id>> commit_of(snapshot_ptr from, std::string revision) {
  std::exception_ptr failed;
  promise<object_id> finding = get_revision(from, revision + "^{commit}");
  try {
    co_return co_await std::move(finding);
  } catch (const failure&) {
    failed = std::current_exception();
  }
  promise<object_id> found = get_revision(from, revision);
  const object_id id = co_await std::move(found);
  promise<std::optional<object_id>> peeling = peel(from, id, object_type::commit);
  const std::optional<object_id> commit = co_await std::move(peeling);
  if (commit) std::rethrow_exception(failed);
  co_return std::nullopt;
}

// One answer of `git cat-file --batch`.
promise<> answer(snapshot_ptr from, std::string asked, output& out) {
  promise<object_id> finding = get_revision(from, asked);
  std::optional<object_id> id;
  std::string none = "missing";
  try {
    id = co_await std::move(finding);
  } catch (const ambiguous_name&) {
    none = "ambiguous";
  } catch (const failure&) {
    none = "missing";
  }
  if (!id || !from->find_object(*id)) {
    out.write(asked + " " + none + "\n");
    co_return;
  }
  promise<object> reading = get_object(from, *id, UINT64_MAX);
  const object read = co_await std::move(reading);
  out.write(id->hex() + " " + std::string(type_name(read.type)) + " " +
            std::to_string(read.content.size()) + "\n");
  out.write(read.text());
  out.write("\n");
}

promise<> print_object(snapshot_ptr from, object_id id, output& out) {
  if (from->find_object(id)->type == object_type::tree) {
    promise<> listed = list_level(from, id, out);
    co_await listed;
    co_return;
  }
  promise<object> reading = get_object(from, id, UINT64_MAX);
  const object read = co_await std::move(reading);
  out.write(read.text());
}

// Whether its author has an address, which may be empty.
promise<bool> has_author(snapshot_ptr from, const commit& c) {
  if (!c.author.email.empty() || c.author.when.time_since_epoch().count() != 0) co_return true;
  promise<object> reading = get_object(from, c.id);
  const object read = co_await std::move(reading);
  const std::size_t at = read.text().find("\nauthor ");
  if (at == std::string_view::npos) co_return false;
  const std::string_view line = read.text().substr(at + 1, read.text().find('\n', at + 1) - at);
  const std::size_t open = line.find('<');
  co_return open != std::string_view::npos&& line.find('>', open) != std::string_view::npos;
}

// As in a bare repository: the .mailmap of HEAD's tree, if it has one that can be read.
promise<mailmap> read_mailmap(snapshot_ptr from) {
  if (from->find_ref("HEAD") == nullptr) co_return mailmap();
  promise<object_id> finding = get_revision(from, "HEAD:.mailmap");
  try {
    const object_id id = co_await std::move(finding);
    const std::optional<object_header> header = from->find_object(id);
    if (!header || header->type != object_type::blob) co_return mailmap();
    promise<object> reading = get_object(from, id);
    const object read = co_await std::move(reading);
    co_return mailmap(read.text());
  } catch (const failure&) {
    co_return mailmap();
  }
}

}  // namespace

promise<snapshot_ptr> open_saved(object_store& into, std::string file) {
  pack_limits limits;
  limits.object_bytes = UINT32_MAX;  // as `--max-object` may have let in
  promise<> restoring = restore(into, std::move(file), limits);
  co_await restoring;
  co_return into.current();
}

promise<int> cat_file_command(const arguments& given, output& out) {
  object_store store;
  promise<snapshot_ptr> opening = open_saved(store, given.file);
  const snapshot_ptr from = co_await std::move(opening);
  if (given.batch) {
    for (std::string line; std::getline(std::cin, line);) {
      if (line.ends_with('\r')) line.pop_back();
      line.resize(std::min(line.find('\0'), line.size()));
      promise<> answered = answer(from, line, out);
      co_await answered;
      if (std::cin.rdbuf()->in_avail() <= 0) out.flush();  // who asks one by one gets it at once
    }
    co_return 0;
  }
  promise<object_id> finding = get_revision(from, given.revision);
  const object_id id = co_await std::move(finding);
  const std::optional<object_header> header = from->find_object(id);
  if (!header) throw failure(reason::not_found, "object " + id.hex() + ": not in the store");
  if (given.type) {
    out.write(std::string(type_name(header->type)) + "\n");
  } else if (given.size) {
    out.write(std::to_string(header->size_bytes) + "\n");
  } else {
    promise<> printed = print_object(from, id, out);
    co_await printed;
  }
  co_return 0;
}

promise<int> ls_tree_command(const arguments& given, output& out) {
  object_store store;
  promise<snapshot_ptr> opening = open_saved(store, given.file);
  const snapshot_ptr from = co_await std::move(opening);
  promise<object_id> finding = tree_of(from, given.revision);
  const object_id tree = co_await std::move(finding);
  promise<> listed = fermata::ready();
  if (given.recursive) {
    listed = walk_files(from, tree, "", [&out](const tree_walk::entry& e) {
      out.write(tree_line(e.mode, e.id, e.path));
      return fermata::ready();
    });
  } else {
    listed = list_level(from, tree, out);
  }
  co_await listed;
  co_return 0;
}

promise<int> log_command(const arguments& given, output& out) {
  object_store store;
  promise<snapshot_ptr> opening = open_saved(store, given.file);
  const snapshot_ptr from = co_await std::move(opening);
  std::vector<object_id> tips;
  std::vector<std::string> asked = given.revisions;
  if (asked.empty()) asked.emplace_back("HEAD");
  for (const std::string& text : asked) {
    promise<std::optional<object_id>> finding = commit_of(from, text);
    const std::optional<object_id> tip = co_await std::move(finding);
    if (tip) tips.push_back(*tip);
  }
  if (tips.empty()) co_return 0;
  promise<short_names> naming = make_short_names(from);
  const short_names names = co_await std::move(naming);
  promise<mailmap> mapping = read_mailmap(from);
  const mailmap people = co_await std::move(mapping);
  commit_log log(from, tips);
  for (std::uint64_t n = 0; n < given.most_commits; ++n) {
    promise<std::optional<commit>> asking = log.next();
    std::optional<commit> c = co_await std::move(asking);
    if (!c) break;
    if (from->is_shallow(c->id)) c->parents.clear();
    if (n > 0 && !given.one_line) out.write("\n");
    promise<bool> looking = has_author(from, *c);
    const bool is_known = co_await looking;
    const mailmap* const shown = is_known ? &people : nullptr;
    out.write(given.one_line ? log_line(*c, names) : log_block(*c, names, shown));
  }
  co_return 0;
}

promise<int> rev_parse_command(const arguments& given, output& out) {
  object_store store;
  promise<snapshot_ptr> opening = open_saved(store, given.file);
  const snapshot_ptr from = co_await std::move(opening);
  for (const std::string& text : given.revisions) {
    promise<object_id> finding = get_revision(from, text);
    const object_id id = co_await std::move(finding);
    out.write(id.hex() + "\n");
  }
  co_return 0;
}

promise<int> diff_command(const arguments& given, output& out) {
  object_store store;
  promise<snapshot_ptr> opening = open_saved(store, given.file);
  const snapshot_ptr from = co_await std::move(opening);
  promise<object_id> finding = tree_of(from, given.before);
  const object_id before = co_await std::move(finding);
  finding = tree_of(from, given.after);
  const object_id after = co_await std::move(finding);
  promise<> compared = diff_files(from, before, after, [&](const file_change& c) {
    const std::string path = quoted_path(c.path) + "\n";
    out.write(given.name_only ? path : std::string(1, c.letter()) + "\t" + path);
    return fermata::ready();
  });
  co_await compared;
  co_return 0;
}

promise<int> export_command(const arguments& given, output&) {
  object_store store;
  promise<snapshot_ptr> opening = open_saved(store, given.file);
  const snapshot_ptr from = co_await std::move(opening);
  promise<> exported = export_bare(from, given.directory);
  co_await exported;
  co_return 0;
}

}  // namespace fermata_git
