// SPDX-License-Identifier: MIT
#include "costs.hpp"
#include "short_targets.hpp"

#include <fermata/git_mem/commit.hpp>
#include <fermata/git_mem/pkt_line.hpp>
#include <fermata/git_mem/revparse.hpp>
#include <fermata/git_mem/walk.hpp>
#include <fermata/promise/pause.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

namespace fermata::git_mem {

namespace {

constexpr std::size_t least_digits = 4;
constexpr std::chrono::microseconds scan_cost{5};  // of scan_cut names

[[noreturn]] void absent(const std::string& why) { throw failure(reason::not_found, why); }

bool is_hex(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
  });
}

// Digits as bytes to compare with, the odd one apart.
struct digit_range {
  explicit digit_range(std::string_view digits) {
    std::string padded(digits);
    padded.resize(object_id::hex_digits, '0');
    low = *object_id::from_hex(padded);
    whole = digits.size() / 2;
    odd = digits.size() % 2 != 0;
  }
  [[nodiscard]] bool has(const object_id& id) const noexcept {
    if (std::memcmp(id.data(), low.data(), whole) != 0) return false;
    return !odd || (id.data()[whole] & 0xf0) == low.data()[whole];
  }

  object_id low;
  std::size_t whole = 0;
  bool odd = false;
};

// What follows the name, for choosing among several objects.
enum class hint { none, commit, tree, blob, tag, commit_itself };

promise<bool> fits(snapshot_ptr from, object_id id, hint wanted) {
  if (wanted == hint::none) co_return true;
  const object_type own = from->find_object(id)->type;
  if (wanted == hint::tag) co_return own == object_type::tag;
  if (wanted == hint::commit_itself) co_return own == object_type::commit;
  const object_type type = wanted == hint::commit ? object_type::commit
                           : wanted == hint::tree ? object_type::tree
                                                  : object_type::blob;
  promise<std::optional<object_id>> peeled = peel(std::move(from), id, type);
  const std::optional<object_id> found = co_await std::move(peeled);
  co_return found.has_value();
}

// A text in its parts: name, operations, path.
struct revision {
  explicit revision(std::string_view text) {
    const std::size_t end = text.find_first_of("^~:");
    name = text.substr(0, end);
    rest = end == std::string_view::npos ? std::string_view() : text.substr(end);
  }

  [[nodiscard]] hint first_hint() const {
    if (rest.starts_with(':')) return hint::tree;
    if (rest.starts_with("^{tree}")) return hint::tree;
    if (rest.starts_with("^{blob}")) return hint::blob;
    if (rest.starts_with("^{tag}")) return hint::tag;
    if (rest.starts_with("^{commit}")) return hint::commit;
    if (rest.starts_with("^{")) return hint::none;
    return rest.empty() ? hint::none : hint::commit;
  }

  // The number at the front of `rest`, 1 where there is none.
  std::uint64_t take_number() {
    std::uint64_t n = 1;
    const auto [after, wrong] = std::from_chars(rest.data(), rest.data() + rest.size(), n);
    if (wrong == std::errc::result_out_of_range) absent("the number is too large");
    rest.remove_prefix(static_cast<std::size_t>(after - rest.data()));
    return n;
  }

  std::string_view name;
  std::string_view rest;
};

promise<object_id> by_digits(snapshot_ptr from, std::string digits, hint wanted) {
  promise<std::vector<object_id>> finding = find_by_prefix(from, digits);
  const std::vector<object_id> all = co_await std::move(finding);
  if (all.size() == 1) co_return all.front();
  std::vector<object_id> fitting;
  for (const object_id& id : all) {
    promise<bool> checking = fits(from, id, wanted);
    const bool is_fitting = co_await checking;
    if (is_fitting) fitting.push_back(id);
  }
  if (fitting.size() == 1) co_return fitting.front();
  if (fitting.empty()) fitting = all;
  if (fitting.empty()) absent("no ref and no object has this name");
  std::string text = std::to_string(fitting.size()) + " objects begin with it:";
  for (std::size_t i = 0; i < fitting.size() && i < 16; ++i) {
    const object_type type = from->find_object(fitting[i])->type;
    text += (i == 0 ? " " : ", ") + fitting[i].hex() + " (" + std::string(type_name(type)) + ")";
  }
  if (fitting.size() > 16) text += ", ...";
  throw ambiguous_name(text, std::move(fitting));
}

bool may_be_short(std::string_view digits) {
  return digits.size() >= least_digits && digits.size() <= object_id::hex_digits && is_hex(digits);
}

// The digits at the end of what `git describe` prints: "v1-3-g9f2c41". Empty where it is no such.
std::string described_digits(std::string_view name) {
  const std::size_t at = name.rfind("-g");
  if (at == std::string_view::npos || at == 0) return {};
  const std::string_view digits = name.substr(at + 2);
  return may_be_short(digits) ? std::string(digits) : std::string();
}

// As git has it: a commit where several objects have the digits; where several commits do, none.
promise<object_id> by_description(snapshot_ptr from, std::string digits) {
  promise<object_id> finding = by_digits(std::move(from), std::move(digits), hint::commit_itself);
  try {
    co_return co_await std::move(finding);
  } catch (const ambiguous_name& a) {
    throw failure(reason::not_found, a.what());
  }
}

promise<object_id> by_name(snapshot_ptr from, std::string name, hint wanted) {
  if (const std::optional<object_id> id = object_id::from_hex(name)) co_return *id;
  if (name == "@") name = "HEAD";
  if (name.find("@{") != std::string::npos) {
    throw failure(reason::unsupported, "a store has no reflog");
  }
  if (const reference* r = find_short_ref(*from, name)) {
    if (!r->symbolic_target.empty() && r->id.is_zero()) {
      absent("it stands for " + r->symbolic_target + ", which is not there");
    }
    co_return r->id;
  }
  std::string described = described_digits(name);
  if (!described.empty()) {
    promise<object_id> commit = by_description(std::move(from), std::move(described));
    co_return co_await std::move(commit);
  }
  if (!may_be_short(name)) absent("no ref and no object has this name");
  promise<object_id> found = by_digits(std::move(from), std::move(name), wanted);
  co_return co_await std::move(found);
}

promise<object_id> to_commit(snapshot_ptr from, object_id id) {
  promise<std::optional<object_id>> peeling = peel(from, id, object_type::commit);
  const std::optional<object_id> found = co_await std::move(peeling);
  if (!found) absent("object " + id.hex() + " is no commit");
  co_return *found;
}

promise<object_id> parent(snapshot_ptr from, object_id id, std::uint64_t number) {
  promise<commit> reading = get_commit(from, id);
  commit c = co_await std::move(reading);
  if (from->is_shallow(id)) c.parents.clear();
  if (number > c.parents.size()) {
    absent("commit " + id.hex() + " has " + std::to_string(c.parents.size()) +
           (c.parents.size() == 1 ? " parent" : " parents") +
           (from->is_shallow(id) ? " here: the repository is shallow" : ""));
  }
  co_return c.parents[number - 1];
}

// `^{kind}`
promise<object_id> peel_to(snapshot_ptr from, object_id id, std::string kind) {
  if (kind == "object") {
    if (!from->find_object(id)) absent("object " + id.hex() + ": not in the store");
    co_return id;
  }
  if (kind.empty()) {
    promise<object_id> peeling = peel_tags(std::move(from), id);
    co_return co_await std::move(peeling);
  }
  for (const object_type type :
       {object_type::commit, object_type::tree, object_type::blob, object_type::tag}) {
    if (type_name(type) != kind) continue;
    promise<std::optional<object_id>> peeling = peel(std::move(from), id, type);
    const std::optional<object_id> found = co_await std::move(peeling);
    if (!found) absent("object " + id.hex() + " is no " + kind);
    co_return *found;
  }
  throw failure(reason::unsupported, "^{" + printable(kind, 40) + "} is not supported");
}

// The operation at the front of `r.rest`.
promise<object_id> apply(snapshot_ptr from, object_id id, revision& r) {
  const bool is_tilde = r.rest.starts_with('~');
  if (!is_tilde && !r.rest.starts_with('^'))
    absent("it cannot be read from here: " + printable(r.rest));
  r.rest.remove_prefix(1);
  if (!is_tilde && r.rest.starts_with('{')) {
    const std::size_t end = r.rest.find('}');
    if (end == std::string_view::npos) absent("^{ has no }");
    std::string kind(r.rest.substr(1, end - 1));
    r.rest.remove_prefix(end + 1);
    promise<object_id> peeling = peel_to(std::move(from), id, std::move(kind));
    co_return co_await std::move(peeling);
  }
  const std::uint64_t number = r.take_number();
  promise<object_id> base = to_commit(from, id);
  object_id at = co_await std::move(base);
  const std::uint64_t steps = is_tilde ? number : (number == 0 ? 0 : 1);
  for (std::uint64_t i = 0; i < steps; ++i) {
    promise<object_id> up = parent(from, at, is_tilde ? 1 : number);
    at = co_await std::move(up);
    co_await maybe_pause(std::chrono::microseconds(1));
  }
  co_return at;
}

promise<object_id> at_path(snapshot_ptr from, object_id id, std::string path) {
  promise<std::optional<object_id>> rooting = peel(from, id, object_type::tree);
  const std::optional<object_id> root = co_await std::move(rooting);
  if (!root) absent("object " + id.hex() + " has no tree");
  promise<std::optional<path_finder::place>> finding = find_path(from, *root, path);
  const std::optional<path_finder::place> place = co_await std::move(finding);
  // As git has it: no part is empty, and only a tree may end in a slash.
  const bool has_gap = path.starts_with('/') || path.find("//") != std::string::npos;
  const bool is_wrong_end = path.ends_with('/') && place && place->mode != file_mode::tree;
  if (!place || has_gap || is_wrong_end)
    absent("path \"" + printable(path) + "\": not in the tree");
  co_return place->id;
}

promise<object_id> parse(snapshot_ptr from, std::string text) {
  if (text.starts_with(":/")) throw failure(reason::unsupported, ":/text is not supported");
  if (text.starts_with(':')) throw failure(reason::unsupported, "a store has no index");
  revision r(text);
  promise<object_id> naming = by_name(from, std::string(r.name), r.first_hint());
  object_id id = co_await std::move(naming);
  while (!r.rest.empty() && !r.rest.starts_with(':')) {
    promise<object_id> next = apply(from, id, r);
    id = co_await std::move(next);
  }
  if (r.rest.empty()) co_return id;
  promise<object_id> placed = at_path(std::move(from), id, std::string(r.rest.substr(1)));
  co_return co_await std::move(placed);
}

std::size_t group_of(const object_id& id) { return std::size_t{id.data()[0]} << 8 | id.data()[1]; }

std::size_t common_digits(const object_id& a, const object_id& b) {
  std::size_t i = 0;
  while (i < object_id::size_bytes && a.data()[i] == b.data()[i]) ++i;
  if (i == object_id::size_bytes) return object_id::hex_digits;
  return 2 * i + ((a.data()[i] >> 4) == (b.data()[i] >> 4) ? 1 : 0);
}

}  // namespace

const reference* find_short_ref(const snapshot& in, std::string_view name) {
  for (const auto& [before, after] : detail::short_ref_places) {
    const std::string whole = std::string(before).append(name).append(after);
    if (const reference* r = in.find_ref(whole)) return r;
  }
  return nullptr;
}

promise<std::vector<object_id>> find_by_prefix(snapshot_ptr from, std::string digits) {
  if (digits.empty() || digits.size() > object_id::hex_digits || !is_hex(digits)) {
    throw contract_error("these are no hex digits");
  }
  const digit_range wanted(digits);
  std::vector<object_id> found;
  for (const auto& p : from->packs) {
    for (std::uint32_t i = 0; i < p->entry_count();) {
      const auto end = std::min<std::uint32_t>(p->entry_count(), i + detail::scan_cut);
      for (; i < end; ++i) {
        if (wanted.has(p->entry(i).id)) found.push_back(p->entry(i).id);
      }
      co_await maybe_pause(scan_cost);
    }
  }
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  co_return found;
}

promise<object_id> get_revision(snapshot_ptr from, std::string text) {
  promise<object_id> parsing = parse(std::move(from), text);
  const std::string place = "\"" + printable(text) + "\"";
  try {
    co_return co_await std::move(parsing);
  } catch (const ambiguous_name& a) {
    throw ambiguous_name(place + ": " + a.what(), a.candidates());
  } catch (const failure& f) {
    throw f.at(place);
  }
}

std::size_t short_names::usual_digits() const noexcept {
  std::size_t bits = 0;
  while (objects_ >> bits > 0) ++bits;
  return std::max<std::size_t>((bits + 1) / 2, 7);
}

std::string short_names::shorten(const object_id& id, std::size_t least) const {
  std::size_t digits = std::max(least, least_digits);
  const std::size_t group = group_of(id);
  for (std::uint32_t i = begins_[group]; i < begins_[group + 1]; ++i) {
    if (ids_[i] != id) digits = std::max(digits, common_digits(ids_[i], id) + 1);
  }
  return id.hex(digits);
}

promise<short_names> make_short_names(snapshot_ptr from) {
  constexpr std::size_t groups = 65536;
  short_names made;
  made.objects_ = from->object_count();
  made.begins_.resize(groups + 1);
  for (const auto& p : from->packs) {
    for (std::uint32_t i = 0; i < p->entry_count();) {
      const auto end = std::min<std::uint32_t>(p->entry_count(), i + detail::scan_cut);
      for (; i < end; ++i) ++made.begins_[group_of(p->entry(i).id)];
      co_await maybe_pause(scan_cost);
    }
  }
  std::uint32_t sum = 0;  // after this: the end of each group, which becomes its begin below
  for (std::uint32_t& n : made.begins_) n = sum += n;
  co_await maybe_pause(std::chrono::microseconds(50));
  while (made.ids_.size() < sum) {
    made.ids_.resize(std::min<std::size_t>(sum, made.ids_.size() + detail::scan_cut));
    co_await maybe_pause(scan_cost);
  }
  for (const auto& p : from->packs) {
    for (std::uint32_t i = 0; i < p->entry_count();) {
      const auto end = std::min<std::uint32_t>(p->entry_count(), i + detail::scan_cut);
      for (; i < end; ++i) {
        const object_id& id = p->entry(i).id;
        made.ids_[--made.begins_[group_of(id)]] = id;
      }
      co_await maybe_pause(scan_cost * 4);
    }
  }
  co_return made;
}

}  // namespace fermata::git_mem
