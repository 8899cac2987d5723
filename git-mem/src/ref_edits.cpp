// SPDX-License-Identifier: MIT
#include "ref_edits.hpp"

#include <algorithm>
#include <string_view>

namespace fermata::git_mem::detail {

namespace {

constexpr int most_links = 5;  // of a chain of symbolic refs, as in git

using iterator = std::vector<reference>::iterator;

iterator lower(std::vector<reference>& refs, std::string_view name) {
  return std::lower_bound(refs.begin(), refs.end(), name,
                          [](const reference& r, std::string_view n) { return r.name < n; });
}

reference* find(std::vector<reference>& refs, std::string_view name) {
  const iterator at = lower(refs, name);
  return at != refs.end() && at->name == name ? &*at : nullptr;
}

[[noreturn]] void conflict(const std::string& name, const std::string& why) {
  throw failure(reason::conflict, "ref " + name + ": " + why);
}

// The name that is meant in the end.
std::string follow(std::vector<reference>& refs, std::string name) {
  for (int i = 0; i < most_links; ++i) {
    const reference* r = find(refs, name);
    if (r == nullptr || r->symbolic_target.empty()) return name;
    name = r->symbolic_target;
  }
  conflict(name, "it stands for itself");
}

void check_expected(const reference* now, const std::string& name, const ref_edit& e) {
  if (!e.expected) return;
  const object_id at = now == nullptr ? object_id() : now->id;
  if (at == *e.expected) return;
  if (at.is_zero()) conflict(name, "it is not there");
  conflict(name, e.expected->is_zero() ? "it is there already" : "it stands at " + at.hex());
}

// `a` cannot be beside `a/b`: on disk one is a file and one a folder.
void check_place(std::vector<reference>& refs, const std::string& name) {
  const std::string below = name + "/";
  const iterator at = lower(refs, below);
  if (at != refs.end() && at->name.starts_with(below)) conflict(name, at->name + " is there");
  for (std::size_t slash = name.find('/'); slash != std::string::npos;
       slash = name.find('/', slash + 1)) {
    const std::string_view above = std::string_view(name).substr(0, slash);
    if (find(refs, above) != nullptr) conflict(name, std::string(above) + " is there");
  }
}

reference& get_or_add(std::vector<reference>& refs, const std::string& name) {
  if (reference* r = find(refs, name)) return *r;
  check_place(refs, name);
  reference made;
  made.name = name;
  return *refs.insert(lower(refs, name), std::move(made));
}

void apply(std::vector<reference>& refs, const std::string& named, const ref_edit& e) {
  if (e.what == ref_edit::kind::symbolic) {
    get_or_add(refs, named).symbolic_target = e.target;
    return;
  }
  const std::string name = follow(refs, named);
  const reference* now = find(refs, name);
  check_expected(now, name, e);
  if (e.what == ref_edit::kind::set) {
    get_or_add(refs, name).id = e.to;
  } else if (now != nullptr) {
    refs.erase(lower(refs, name));
  }
}

}  // namespace

void apply_edits(std::vector<reference>& refs, const ref_edits& edits) {
  for (const bool removing : {true, false}) {  // what goes makes place for what comes
    for (const auto& [name, e] : edits) {
      if ((e.what == ref_edit::kind::remove) == removing) apply(refs, name, e);
    }
  }
  for (reference& r : refs) {
    if (r.symbolic_target.empty()) continue;
    const reference* end = find(refs, follow(refs, r.name));
    r.id = end == nullptr ? object_id() : end->id;
  }
}

}  // namespace fermata::git_mem::detail
