// SPDX-License-Identifier: MIT
// What a store knows in memory: what is there, under all names.
#pragma once

#include <fermata/mirror/archive_store.hpp>
#include <fermata/promise/mutex.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace fermata::mirror {

struct archive_store::parts {
  void put(const stored_archive& a) {
    if (by_hash.contains(a.key())) return;
    std::size_t slot = slots.size();
    if (free_slots.empty()) {
      slots.emplace_back();
    } else {
      slot = free_slots.back();
      free_slots.pop_back();
    }
    slots[slot] = a;
    for (const archive_hash& h : a.hashes) by_hash[h] = slot;
    is_saved = false;
    ++counts.archives;
    counts.bytes += a.size;
  }
  void set_partial(const archive_hash& name, std::uint64_t bytes) {
    partial[name] = bytes;
    under_way += bytes;
    ++counts.partial;
    counts.partial_bytes += bytes;
  }
  void unset_partial(const archive_hash& name) {
    const auto at = partial.find(name);
    if (at == partial.end()) return;
    under_way -= at->second;
    --counts.partial;
    counts.partial_bytes -= at->second;
    partial.erase(at);
  }
  void forget(const archive_hash& key) {
    const auto at = by_hash.find(key);
    if (at == by_hash.end()) return;
    const std::size_t slot = at->second;
    const stored_archive a = *slots[slot];
    for (const archive_hash& h : a.hashes) {
      const auto named = by_hash.find(h);
      if (named != by_hash.end() && named->second == slot) by_hash.erase(named);
    }
    slots[slot].reset();
    unverified.erase(key);
    is_saved = false;
    free_slots.push_back(slot);
    --counts.archives;
    counts.bytes -= a.size;
    counts.is_full = false;
  }

  std::string folder;
  store_counts counts;
  std::deque<std::optional<stored_archive>> slots;
  std::vector<std::size_t> free_slots;
  std::map<archive_hash, std::size_t> by_hash;
  std::map<archive_hash, std::chrono::sys_seconds> unnamed;  // by sha256: since when
  std::set<archive_hash> writing;                            // names that writers have now
  std::map<archive_hash, std::uint64_t> partial;             // nobody writes them now
  std::set<archive_hash> unverified;                         // by sha256: of unknown size
  std::chrono::sys_seconds checked{};                        // the last time that all were
  bool is_saved = true;                                      // what is known of sizes
  std::string refused;                                       // of these
  std::string fault;                                         // of what cannot be read
  mutex saving;                                              // of these
  mutex recovering;                                          // one at a time: several may ask
  std::uint64_t under_way = 0;                               // bytes of writers, and of `partial`
};

}  // namespace fermata::mirror
