// SPDX-License-Identifier: MIT
#include "received_check.hpp"

#include <fermata/git_mem/commit.hpp>
#include <fermata/git_mem/diff.hpp>
#include <fermata/git_mem/pkt_line.hpp>
#include <fermata/promise/pause.hpp>

#include <chrono>
#include <optional>

namespace fermata::git_mem::detail {

namespace {

constexpr std::chrono::nanoseconds look_up_cost{300};

promise<std::optional<object_id>> find_missing(snapshot_ptr in, const pack_links& links) {
  for (std::size_t i = 0; i < links.of_trees(); ++i) {
    const object_id id = links.of_trees(i);
    if (!in->find_object(id)) co_return id;
    co_await maybe_pause(look_up_cost);
  }
  co_return std::nullopt;
}

promise<> walk_tip(snapshot_ptr in, object_id tip) {
  promise<std::optional<object_id>> peeling = peel(in, tip, object_type::commit);
  const std::optional<object_id> at = co_await std::move(peeling);
  if (!at) throw failure(reason::corrupt, "the tip " + tip.hex() + " stands for no commit");
  auto look = [in](const file_change& c) {
    if (!in->is_partial && c.new_mode != file_mode::submodule) check_file(*in, c.path, c.new_id);
    return ready();
  };
  promise<> walked = diff_files(in, object_id(), *at, std::move(look));
  try {
    co_await walked;
  } catch (const failure& f) {  // the repository is there, but not whole
    throw failure(f.why() == reason::not_found ? reason::corrupt : f.why(), f.what());
  }
}

}  // namespace

bool leaves_out_trees(std::string_view filter) {
  return filter.find("tree:") != std::string_view::npos ||
         filter.find("object:") != std::string_view::npos;
}

void want_links(pack_links& links, const std::string& filter, bool is_clone) {
  if (filter.find("object:") != std::string::npos) return;
  links.want_history();
  if (!is_clone || leaves_out_trees(filter)) return;
  links.want_trees(filter.empty() ? pack_links::files::wanted : pack_links::files::left_out);
}

promise<> check_history(snapshot_ptr in, const pack_links& links) {
  for (std::size_t i = 0; i < links.of_history().size(); ++i) {
    const pack_links::link& l = links.of_history()[i];
    co_await maybe_pause(look_up_cost);
    if (in->find_object(l.to) || (in->is_partial && !l.is_parent)) continue;
    const object_id& from = in->packs.front()->entry(l.from).id;
    if (l.is_parent && in->is_shallow(from)) continue;
    throw failure(reason::corrupt, (l.is_parent ? "commit " : "tag ") + from.hex() +
                                       (l.is_parent ? ": its parent " : ": its object ") +
                                       l.to.hex() + " did not come");
  }
}

promise<> check_trees(snapshot_ptr in, const pack_links& links, object_id tip, std::string filter) {
  if (leaves_out_trees(filter)) co_return;
  std::optional<object_id> missing;
  if (links.has_trees()) {
    promise<std::optional<object_id>> finding = find_missing(in, links);
    missing = co_await std::move(finding);
    if (!missing) co_return;
  }
  if (!tip.is_zero()) {
    promise<> walked = walk_tip(in, tip);
    co_await walked;  // says which path
  }
  if (!missing) co_return;
  throw failure(reason::corrupt, "object " + missing->hex() + ", which a tree names, did not come");
}

void check_file(const snapshot& in, std::string_view path, const object_id& id) {
  if (in.find_object(id)) return;
  throw failure(reason::corrupt,
                "path \"" + printable(path) + "\": object " + id.hex() + " did not come");
}

}  // namespace fermata::git_mem::detail
