// SPDX-License-Identifier: MIT
// Our own parser, not libgit2's: it takes a whole header at 1 GB/s, keeps what libgit2 drops (the
// zone's sign of 0, other headers) and needs no repository around it.

#include <fermata/git_mem/commit.hpp>
#include <fermata/git_mem/walk.hpp>
#include <fermata/promise/pause.hpp>

#include <algorithm>
#include <charconv>
#include <optional>

namespace fermata::git_mem {

namespace {

[[noreturn]] void bad(const std::string& why) { throw failure(reason::corrupt, why); }

std::string what(object_type type, const object_id& id) {
  return std::string(type_name(type)) + " " + id.hex();
}

// Gives the headers one after another; `rest` is the message in the end.
class header_lines {
public:
  explicit header_lines(std::string_view content) : rest_(content) {}

  // "key value", the lines that continue it joined; false at the empty line.
  bool next() {
    if (rest_.empty()) return false;
    std::string_view line = take_line();
    if (line.empty()) return false;
    const std::size_t space = line.find(' ');
    key_ = line.substr(0, space);
    value_ = space == std::string_view::npos ? std::string_view() : line.substr(space + 1);
    more_.clear();
    while (rest_.starts_with(' ')) {
      line = take_line();
      if (more_.empty()) more_ = value_;
      more_ += '\n';
      more_ += line.substr(1);
    }
    return true;
  }
  [[nodiscard]] std::string_view key() const noexcept { return key_; }
  [[nodiscard]] std::string_view value() const noexcept {
    return more_.empty() ? value_ : std::string_view(more_);
  }
  [[nodiscard]] std::string_view rest() const noexcept { return rest_; }

private:
  std::string_view take_line() {
    const std::size_t end = rest_.find('\n');
    const std::string_view line = rest_.substr(0, end);
    rest_.remove_prefix(end == std::string_view::npos ? rest_.size() : end + 1);
    return line;
  }

  std::string_view rest_;
  std::string_view key_;
  std::string_view value_;
  std::string more_;
};

object_id id_in(const header_lines& at) {
  const std::optional<object_id> id = object_id::from_hex(at.value());
  if (!id) bad("its " + std::string(at.key()) + " is no object name");
  return *id;
}

std::optional<object_type> type_named(std::string_view name) {
  for (const object_type t :
       {object_type::commit, object_type::tree, object_type::blob, object_type::tag}) {
    if (type_name(t) == name) return t;
  }
  return std::nullopt;
}

object_header header_of(const snapshot_ptr& from, const object_id& id) {
  const std::optional<object_header> h = from->find_object(id);
  if (!h) throw failure(reason::not_found, "object " + id.hex() + ": not in the store");
  return *h;
}

void need_type(const snapshot_ptr& from, const object_id& id, object_type type) {
  const std::optional<object_header> h = from->find_object(id);
  if (!h) throw failure(reason::not_found, what(type, id) + ": not in the store");
  if (h->type == type) return;
  bad(what(type, id) + ": it is a " + std::string(type_name(h->type)));
}

void skip_space(std::string_view& text) {
  while (text.starts_with(' ') || text.starts_with('\t')) text.remove_prefix(1);
}

}  // namespace

signature parse_signature(std::string_view text) {
  signature s;
  const std::size_t open = text.find('<');
  const std::size_t close = text.find('>', std::min(open, text.size()));
  std::string_view name = text.substr(0, open);
  while (name.ends_with(' ')) name.remove_suffix(1);
  s.name = name;
  if (open == std::string_view::npos || close == std::string_view::npos) return s;
  s.email = text.substr(open + 1, close - open - 1);
  s.has_zone = false;
  text.remove_prefix(text.rfind('>') + 1);
  skip_space(text);
  std::int64_t seconds = 0;
  const char* const end = text.data() + text.size();
  const auto [after, wrong] = std::from_chars(text.data(), end, seconds);
  if (wrong != std::errc()) return s;
  s.when = std::chrono::sys_seconds(std::chrono::seconds(seconds));
  text.remove_prefix(static_cast<std::size_t>(after - text.data()));
  skip_space(text);
  if (!text.starts_with('+') && !text.starts_with('-')) return s;
  const std::string_view digits = text.substr(1, text.substr(1).find_first_not_of("0123456789"));
  s.has_zone = !digits.empty();
  std::from_chars(digits.data(), digits.data() + digits.size(), s.zone);
  if (text.starts_with('-')) s.zone = -s.zone;
  return s;
}

commit parse_commit(const object_id& id, std::string_view content) {
  commit c;
  c.id = id;
  header_lines at(content);
  if (!at.next() || at.key() != "tree") bad(what(object_type::commit, id) + ": it has no tree");
  try {
    c.tree = id_in(at);
    while (at.next()) {
      if (at.key() == "parent") {
        c.parents.push_back(id_in(at));
      } else if (at.key() == "author") {
        c.author = parse_signature(at.value());
      } else if (at.key() == "committer") {
        c.committer = parse_signature(at.value());
      } else if (at.key() == "encoding") {
        c.encoding = at.value();
      } else {
        c.other_headers.emplace_back(at.key(), at.value());
      }
    }
  } catch (const failure& f) {
    throw f.at(what(object_type::commit, id));
  }
  c.message = at.rest();
  return c;
}

tag parse_tag(const object_id& id, std::string_view content) {
  tag t;
  t.id = id;
  header_lines at(content);
  if (!at.next() || at.key() != "object") bad(what(object_type::tag, id) + ": it has no object");
  try {
    t.target = id_in(at);
    while (at.next()) {
      if (at.key() == "type") {
        const std::optional<object_type> type = type_named(at.value());
        if (!type) bad("its type is none of git's");
        t.target_type = *type;
      } else if (at.key() == "tag") {
        t.name = at.value();
      } else if (at.key() == "tagger") {
        t.tagger = parse_signature(at.value());
        t.has_tagger = true;
      }
    }
  } catch (const failure& f) {
    throw f.at(what(object_type::tag, id));
  }
  t.message = at.rest();
  return t;
}

commit read_commit(const snapshot_ptr& from, const object_id& id) {
  need_type(from, id, object_type::commit);
  const object read = read_object(from, id);
  return parse_commit(id, read.text());
}

tag read_tag(const snapshot_ptr& from, const object_id& id) {
  need_type(from, id, object_type::tag);
  const object read = read_object(from, id);
  return parse_tag(id, read.text());
}

promise<commit> get_commit(snapshot_ptr from, object_id id) {
  need_type(from, id, object_type::commit);
  promise<object> reading = get_object(std::move(from), id);
  const object read = co_await std::move(reading);
  co_return parse_commit(id, read.text());
}

promise<tag> get_tag(snapshot_ptr from, object_id id) {
  need_type(from, id, object_type::tag);
  promise<object> reading = get_object(std::move(from), id);
  const object read = co_await std::move(reading);
  co_return parse_tag(id, read.text());
}

promise<std::optional<object_id>> peel(snapshot_ptr from, object_id id, object_type wanted) {
  for (;;) {
    const object_type type = header_of(from, id).type;
    if (type == wanted) co_return id;
    if (type == object_type::tag) {
      promise<tag> read = get_tag(from, id);
      const tag t = co_await std::move(read);
      id = t.target;
    } else if (type == object_type::commit && wanted == object_type::tree) {
      promise<commit> read = get_commit(from, id);
      const commit c = co_await std::move(read);
      id = c.tree;
    } else {
      co_return std::nullopt;
    }
    co_await maybe_pause();
  }
}

promise<object_id> peel_tags(snapshot_ptr from, object_id id) {
  while (header_of(from, id).type == object_type::tag) {
    promise<tag> read = get_tag(from, id);
    const tag t = co_await std::move(read);
    id = t.target;
    co_await maybe_pause();
  }
  co_return id;
}

}  // namespace fermata::git_mem
