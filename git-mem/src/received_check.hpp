// SPDX-License-Identifier: MIT
// Whether all came that a pack says there is: a server may leave out objects.
#pragma once

#include "pack_links.hpp"

#include <fermata/git_mem/object_store.hpp>
#include <fermata/promise/promise.hpp>

#include <string>
#include <string_view>

namespace fermata::git_mem::detail {

// The filter of a partial clone may leave out trees.
[[nodiscard]] bool leaves_out_trees(std::string_view filter);

// Says what is to be gathered while the pack comes that answers a clone, or a fetch.
void want_links(pack_links& links, const std::string& filter, bool is_clone);

// That commits have their parents, but where history is cut, and tags what they name. The pack is
// the first of `in`. Lifetime: of `links`. Rejects: `failure`, which names what is missing.
promise<> check_history(snapshot_ptr in, const pack_links& links);

// That trees have their trees and files: all trees of the pack, or where they are too many those of
// `tip`.
promise<> check_trees(snapshot_ptr in, const pack_links& links, object_id tip, std::string filter);

// Refuses a file of the tip that is not there.
void check_file(const snapshot& in, std::string_view path, const object_id& id);

}  // namespace fermata::git_mem::detail
