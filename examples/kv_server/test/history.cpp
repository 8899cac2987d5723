// SPDX-License-Identifier: MIT

#include "history.hpp"

#include <algorithm>
#include <map>
#include <utility>

namespace kv {

struct history::zone {
  std::string value;
  std::uint64_t first_end = never;
  std::uint64_t last_begin = 0;
  bool was_read = false;

  void add(const operation& o) {
    first_end = std::min(first_end, o.end);
    last_begin = std::max(last_begin, o.begin);
  }
  [[nodiscard]] bool is_forward() const { return first_end < last_begin; }
  [[nodiscard]] std::uint64_t from() const { return std::min(first_end, last_begin); }
  [[nodiscard]] std::uint64_t to() const { return std::max(first_end, last_begin); }
};

history::id history::begin_get(std::string key) {
  operations_.push_back({std::move(key), std::nullopt, false, ++now_});
  return operations_.size() - 1;
}

history::id history::begin_set(std::string key, std::string value) {
  operations_.push_back({std::move(key), std::move(value), true, ++now_});
  return operations_.size() - 1;
}

void history::end_get(id i, std::optional<std::string> value) {
  operations_[i].value = std::move(value);
  operations_[i].end = ++now_;
}

std::set<std::string> history::keys() const {
  std::set<std::string> all;
  for (const operation& o : operations_) all.insert(o.key);
  return all;
}

std::string history::check() const {
  std::map<std::string, std::vector<const operation*>> by_key;
  for (const operation& o : operations_) by_key[o.key].push_back(&o);
  for (const auto& [key, all] : by_key) {
    const std::string wrong = check_key(all);
    if (!wrong.empty()) return "key " + key + ": " + wrong;
  }
  return {};
}

std::string history::check_key(const std::vector<const operation*>& all) {
  const std::string none = "(none)";
  std::map<std::string, std::pair<std::uint64_t, zone>> values;  // by value: when its set began
  values[none].second.first_end = 0;                             // the key was made without one
  for (const operation* o : all) {
    if (!o->is_set) continue;
    auto& [begin, z] = values[*o->value];
    if (begin != 0) return "value " + *o->value + " is set twice";
    begin = o->begin;
    z.add(*o);
  }
  for (const operation* o : all) {
    if (o->is_set || o->end == never) continue;
    const auto found = values.find(o->value.value_or(none));
    if (found == values.end()) return "value " + *o->value + " was read and never set";
    auto& [begin, z] = found->second;
    if (o->end < begin) return "value " + *o->value + " was read before it was set";
    z.add(*o);
    z.was_read = true;
  }
  std::vector<zone> zones;
  for (auto& [value, v] : values) {
    zone& z = v.second;
    z.value = value;
    if (z.first_end != never || z.was_read) zones.push_back(std::move(z));
  }
  return check_zones(std::move(zones));
}

std::string history::check_zones(std::vector<zone> zones) {
  const auto backward =
      std::partition(zones.begin(), zones.end(), [](const zone& z) { return z.is_forward(); });
  std::sort(zones.begin(), backward,
            [](const zone& a, const zone& b) { return a.from() < b.from(); });
  for (auto z = zones.begin(); z != backward && z + 1 != backward; ++z) {
    if (z->to() > (z + 1)->from()) {
      return "values " + z->value + " and " + (z + 1)->value + " were current at once";
    }
  }
  for (auto z = backward; z != zones.end(); ++z) {
    const auto behind =
        std::upper_bound(zones.begin(), backward, z->from(),
                         [](std::uint64_t at, const zone& other) { return at < other.from(); });
    if (behind != zones.begin() && z->to() < (behind - 1)->to()) {
      return "value " + z->value + " was set while " + (behind - 1)->value + " was current";
    }
  }
  return {};
}

}  // namespace kv
