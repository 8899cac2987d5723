// SPDX-License-Identifier: MIT
/// What people type for an object: names, beginnings of names, `main~3`, `v1^{tree}`, `HEAD:a/b`.
///
/// Pauses:  may.
/// Thread:  loop.
/// Rejects: `failure` that begins with `"<text>": `; reason::not_found, reason::corrupt,
///          reason::unsupported for what needs a work tree or a reflog; `cancelled`.
/// Cost:    a name: O(log refs). The beginning of one looks at each object's name: 2 ns each.
#pragma once

#include <fermata/git_mem/failure.hpp>
#include <fermata/git_mem/object_store.hpp>
#include <fermata/promise/promise.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace fermata::git_mem {

/// The beginning of a name that several objects have.
class ambiguous_name : public failure {
public:
  ambiguous_name(std::string_view text, std::vector<object_id> those)
      : failure(reason::not_found, text), candidates_(std::move(those)) {}

  [[nodiscard]] const std::vector<object_id>& candidates() const noexcept { return candidates_; }

private:
  std::vector<object_id> candidates_;
};

/// The names that begin with these hex digits of either case, sorted. Rejects: `contract_error`
/// where they are not 1 to 40 hex digits.
promise<std::vector<object_id>> find_by_prefix(snapshot_ptr from, std::string digits);

/// The object that `text` names, as git's rev-parse has it: a whole name, a ref (`HEAD`, `@`,
/// `refs/...`, `main`, `v1`, `origin/main`), what `git describe` prints (`v1-3-g9f2c41`: the commit
/// of these digits), or 4 or more digits that only one object has; then any number of `^`, `^N`,
/// `~N`, `^{commit}`, `^{tree}`, `^{blob}`, `^{tag}`, `^{object}`, `^{}`; then `:path`. Where
/// several objects have the digits, what follows may tell which one is meant; else it rejects with
/// `ambiguous_name`. Parents end where the repository is shallow.
promise<object_id> get_revision(snapshot_ptr from, std::string text);

/// The ref that a short name stands for, as git looks for it: `name`, `refs/name`, then below
/// `refs/tags/`, `refs/heads/`, `refs/remotes/`, and `refs/remotes/name/HEAD`.
[[nodiscard]] const reference* find_short_ref(const snapshot& in, std::string_view name);

/// Names in short: an index by their first 16 bits, made once for many questions.
class short_names {
public:
  /// As many digits as only this object has, and at least `least`.
  [[nodiscard]] std::string shorten(const object_id& id, std::size_t least) const;
  /// What git takes as the least where it is not told: 7, or more in a large repository.
  [[nodiscard]] std::size_t usual_digits() const noexcept;

private:
  friend promise<short_names> make_short_names(snapshot_ptr from);
  std::vector<std::uint32_t> begins_;  // of each group, and the end
  std::vector<object_id> ids_;
  std::uint64_t objects_ = 0;
};

/// Cost: 20 bytes and 20 ns an object.
promise<short_names> make_short_names(snapshot_ptr from);

}  // namespace fermata::git_mem
