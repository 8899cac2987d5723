// SPDX-License-Identifier: MIT
/// Commits and annotated tags of a snapshot, as values.
///
/// Shape:   `parse_*` take an object's content; `read_*` read one of at most 64 KiB at once;
///          `get_*` read any. Texts are bytes as they are stored: `encoding` says what they are.
/// Pauses:  `get_*` may; the others never: below 50 us for 64 KiB.
/// Thread:  any; `get_*`: loop.
/// Throws:  `failure`: reason::not_found, or reason::corrupt where it is no such object or has no
///          tree (or no target). All else is taken as it is: old repositories have odd lines.
#pragma once

#include <fermata/git_mem/object_reader.hpp>
#include <fermata/promise/promise.hpp>

#include <chrono>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fermata::git_mem {

/// Who, and when.
struct signature {
  std::string name;
  std::string email;
  std::chrono::sys_seconds when;
  int zone = 0;          ///< as git writes it: 530 is +05:30, -30 is -00:30
  bool has_zone = true;  ///< a line without one is damaged: git's log shows no date then, but 1970

  /// What local time is ahead of `when`.
  [[nodiscard]] std::chrono::minutes offset() const noexcept {
    return std::chrono::hours(zone / 100) + std::chrono::minutes(zone % 100);
  }
};

/// `Name <email> 1700000000 +0100`; what is missing is empty or 0.
[[nodiscard]] signature parse_signature(std::string_view text);

struct commit {
  object_id id;
  object_id tree;
  std::vector<object_id> parents;  ///< as written: see `snapshot::is_shallow`
  signature author;
  signature committer;
  std::string encoding;  ///< of the texts; empty: UTF-8
  /// All other headers in their order ("gpgsig", "mergetag"); lines of one are joined by '\n'.
  std::vector<std::pair<std::string, std::string>> other_headers;
  std::string message;
};

struct tag {
  object_id id;
  object_id target;
  object_type target_type = object_type::commit;
  std::string name;
  signature tagger;
  bool has_tagger = false;  ///< very old tags have none
  std::string message;
};

[[nodiscard]] commit parse_commit(const object_id& id, std::string_view content);
[[nodiscard]] tag parse_tag(const object_id& id, std::string_view content);

[[nodiscard]] commit read_commit(const snapshot_ptr& from, const object_id& id);
[[nodiscard]] tag read_tag(const snapshot_ptr& from, const object_id& id);

promise<commit> get_commit(snapshot_ptr from, object_id id);
promise<tag> get_tag(snapshot_ptr from, object_id id);

/// What an object is in the end: tags are followed until something else comes, or `wanted`; a
/// commit stands for its tree where a tree is wanted. Nothing where it is none of `wanted`.
promise<std::optional<object_id>> peel(snapshot_ptr from, object_id id, object_type wanted);

/// The same, until something comes that is no tag.
promise<object_id> peel_tags(snapshot_ptr from, object_id id);

}  // namespace fermata::git_mem
