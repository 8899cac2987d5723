// SPDX-License-Identifier: MIT
// Sources that share checksums, as groups that come and go with them.
#pragma once

#include <fermata/mirror/archive_catalogue.hpp>
#include <fermata/mirror/opam_sources.hpp>

#include <array>
#include <cstddef>
#include <deque>
#include <functional>
#include <limits>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace fermata::mirror {

/// A hash table in parts, so that one that grows moves few entries at a time.
template <typename Key, typename Value>
class parted_map {
public:
  using part = std::unordered_map<Key, Value>;
  [[nodiscard]] part& of(const Key& key) { return parts_[std::hash<Key>()(key) % part_count]; }
  [[nodiscard]] const part& of(const Key& key) const {
    return parts_[std::hash<Key>()(key) % part_count];
  }
  /// Null: it is not there.
  [[nodiscard]] const Value* find(const Key& key) const {
    const part& p = of(key);
    const auto at = p.find(key);
    return at == p.end() ? nullptr : &at->second;
  }

private:
  static constexpr std::size_t part_count = 256;
  std::array<part, part_count> parts_;
};

/// Shape:  a source joins every group that has one of its checksums, and makes them one, but for
///         those with another checksum of a kind: such groups are rivals. When a source goes, its
///         group and all rivals are made anew from what is left: groups are small.
/// Pauses: never; about 5 us a call.
class source_groups {
public:
  static constexpr std::size_t none = std::numeric_limits<std::size_t>::max();

  struct source {
    std::string path;  // of the opam file, below packages/
    opam_source what;
    std::size_t group = none;
  };
  struct group {
    std::vector<std::size_t> sources;
    std::vector<archive_hash> hashes;  // sorted
    std::set<std::size_t> rivals;
  };

  /// Gives its number.
  std::size_t add(std::string path, opam_source what, bool is_archive);
  void remove(std::size_t number);

  [[nodiscard]] const source& at(std::size_t number) const { return sources_[number]; }
  [[nodiscard]] const group* find(const archive_hash& hash) const;
  [[nodiscard]] const std::deque<group>& groups() const noexcept { return groups_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  /// Groups with two or more URLs.
  [[nodiscard]] std::size_t alternatives() const noexcept { return alternatives_; }
  [[nodiscard]] wanted_archive describe(const group& g) const;
  [[nodiscard]] std::vector<catalogue_note> conflicts(std::size_t most) const;

  std::deque<archive_hash> touched;  // keys; no block of it is ever copied

private:
  void join(std::size_t number);
  void merge(std::size_t into, std::size_t from);
  std::vector<std::size_t> dissolve(std::size_t number);
  void forget_url(std::size_t number);
  void judge(std::vector<std::size_t> sources);
  [[nodiscard]] std::vector<std::size_t> candidates(const opam_source& s) const;
  void set_hashes(std::size_t number, const std::vector<archive_hash>& more);
  void note_change(const group& g, bool came);
  [[nodiscard]] bool has_alternatives(const group& g) const;
  [[nodiscard]] bool is_disputed(const std::vector<std::size_t>& all) const;

  std::deque<source> sources_;
  std::vector<std::size_t> free_sources_;
  std::deque<group> groups_;
  std::vector<std::size_t> free_groups_;
  parted_map<archive_hash, std::size_t> by_hash_;
  parted_map<std::string_view, std::vector<std::size_t>> by_url_;  // views of sources_; sorted
  std::set<std::string_view> disputed_;                            // of them
  std::set<std::size_t> rivals_;                                   // groups that have some
  std::vector<std::size_t> disputed_urls_due_;  // sources whose URL is to be judged
  std::size_t size_ = 0;
  std::size_t alternatives_ = 0;
};

}  // namespace fermata::mirror
