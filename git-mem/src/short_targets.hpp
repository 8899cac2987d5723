// SPDX-License-Identifier: MIT
// What the short names of a push stand for at the remote.
#pragma once

#include <fermata/git_mem/push.hpp>
#include <fermata/promise/promise.hpp>

#include <array>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace fermata::git_mem::detail {

// What stands before and behind a short name, in git's order.
inline constexpr std::array<std::array<std::string_view, 2>, 6> short_ref_places = {
    {{"", ""},
     {"refs/", ""},
     {"refs/tags/", ""},
     {"refs/heads/", ""},
     {"refs/remotes/", ""},
     {"refs/remotes/", "/HEAD"}}};

// Puts the ref that is meant where the remote has one. Gives what is wrong where it has several,
// or none and nothing else is meant.
promise<std::string> resolve_short_names(std::vector<push_command>& what,
                                         const std::deque<reference>& there);

}  // namespace fermata::git_mem::detail
