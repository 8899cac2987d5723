// SPDX-License-Identifier: MIT
// libgit2 on a bare repository. Every call is one job on the pool; a mutex lets one run at a time,
// so libgit2's handles are used by one thread at once.

#include "libgit2_session.hpp"
#include "ref_edits.hpp"

#include <fermata/git_mem/commit.hpp>
#include <fermata/git_mem/pkt_line.hpp>
#include <fermata/git_mem/protocol.hpp>
#include <fermata/git_mem/repository.hpp>
#include <fermata/promise/detach.hpp>
#include <fermata/promise/mutex.hpp>

#include <git2/transaction.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <utility>

namespace fermata::git_mem {

using detail::check_git;
using detail::frees;

namespace {

using reference_handle = std::unique_ptr<git_reference, frees<git_reference_free>>;
using transaction_handle = std::unique_ptr<git_transaction, frees<git_transaction_free>>;
using iterator_handle = std::unique_ptr<git_reference_iterator, frees<git_reference_iterator_free>>;
using object_handle = std::unique_ptr<git_odb_object, frees<git_odb_object_free>>;

constexpr int most_links = 5;  // of a chain of symbolic refs, as in git

// What the jobs work with. Thread: one worker at a time.
struct disk {
  detail::repository_handle repository;
  detail::odb_handle odb;

  [[nodiscard]] std::optional<object_info> find(const object_id& id) const;
  [[nodiscard]] object read(const object_id& id, std::uint64_t limit_bytes) const;
  [[nodiscard]] std::vector<object_id> with_prefix(const std::string& digits) const;
  [[nodiscard]] reference_handle look_up(const std::string& name) const;
  [[nodiscard]] std::string follow(std::string name) const;
  [[nodiscard]] object_id target_of(const std::string& name) const;
  [[nodiscard]] reference describe(const git_reference* r) const;
  [[nodiscard]] std::vector<reference> refs() const;
  [[nodiscard]] std::vector<object_id> shallow() const;
  void need(const object_id& id, object_type type, const std::string& by) const;
  void check(const object_id& id, const new_object& o) const;
  [[nodiscard]] object_id add(const new_object& o) const;
  void check_target(const ref_change& c) const;
  void change(const std::vector<ref_change>& changes) const;
  void change_one(git_transaction* t, const ref_change& c) const;
};

std::string named(object_type type, const object_id& id) {
  return std::string(type_name(type)) + " " + id.hex();
}

std::optional<object_info> disk::find(const object_id& id) const {
  const git_oid name = detail::to_git(id);
  size_t size = 0;
  git_object_t type = GIT_OBJECT_INVALID;
  const int code = git_odb_read_header(&size, &type, odb.get(), &name);
  if (code == GIT_ENOTFOUND) return std::nullopt;
  check_git(code, "object " + id.hex());
  return object_info{static_cast<object_type>(type), size};
}

object disk::read(const object_id& id, std::uint64_t limit_bytes) const {
  const std::optional<object_info> info = find(id);
  if (!info) throw failure(reason::not_found, "object " + id.hex() + ": not in the store");
  if (info->size_bytes > limit_bytes) {
    throw failure(reason::limit, "object " + id.hex() + ": " + std::to_string(info->size_bytes) +
                                     " bytes, the limit here is " + std::to_string(limit_bytes));
  }
  const git_oid name = detail::to_git(id);
  git_odb_object* raw = nullptr;
  check_git(git_odb_read(&raw, odb.get(), &name), "object " + id.hex());
  const object_handle found(raw);
  object o{id, info->type, byte_block(git_odb_object_size(raw))};
  if (o.content.size() > 0) {
    std::memcpy(o.content.data(), git_odb_object_data(raw), o.content.size());
  }
  return o;
}

std::vector<object_id> disk::with_prefix(const std::string& digits) const {
  struct search {
    const std::string& digits;
    std::vector<object_id> found;
  } s{digits, {}};
  const auto look = [](const git_oid* id, void* to) {
    auto& here = *static_cast<search*>(to);
    const object_id name = detail::from_git(*id);
    if (name.hex(here.digits.size()) == here.digits) here.found.push_back(name);
    return 0;
  };
  check_git(git_odb_foreach(odb.get(), look, &s), "cannot list the objects");
  std::sort(s.found.begin(), s.found.end());
  s.found.erase(std::unique(s.found.begin(), s.found.end()), s.found.end());
  return s.found;
}

reference_handle disk::look_up(const std::string& name) const {
  git_reference* raw = nullptr;
  const int code = git_reference_lookup(&raw, repository.get(), name.c_str());
  if (code == GIT_ENOTFOUND) return nullptr;
  check_git(code, "ref " + name);
  return reference_handle(raw);
}

std::string disk::follow(std::string name) const {
  for (int i = 0; i < most_links; ++i) {
    const reference_handle r = look_up(name);
    if (!r || git_reference_type(r.get()) != GIT_REFERENCE_SYMBOLIC) return name;
    name = git_reference_symbolic_target(r.get());
  }
  throw failure(reason::conflict, "ref " + name + ": it stands for itself");
}

// Zero where it is not there.
object_id disk::target_of(const std::string& name) const {
  const reference_handle r = look_up(follow(name));
  return r ? detail::from_git(*git_reference_target(r.get())) : object_id();
}

reference disk::describe(const git_reference* r) const {
  reference out;
  out.name = git_reference_name(r);
  if (git_reference_type(r) == GIT_REFERENCE_SYMBOLIC) {
    out.symbolic_target = git_reference_symbolic_target(r);
    out.id = target_of(out.name);
  } else {
    out.id = detail::from_git(*git_reference_target(r));
  }
  return out;
}

std::vector<reference> disk::refs() const {
  std::vector<reference> all;
  if (const reference_handle head = look_up("HEAD")) all.push_back(describe(head.get()));
  git_reference_iterator* raw = nullptr;
  check_git(git_reference_iterator_new(&raw, repository.get()), "cannot list the refs");
  const iterator_handle at(raw);
  git_reference* next = nullptr;
  int code = 0;
  while ((code = git_reference_next(&next, raw)) == 0) {
    const reference_handle owned(next);
    all.push_back(describe(next));
  }
  if (code != GIT_ITEROVER) check_git(code, "cannot list the refs");
  std::sort(all.begin(), all.end(),
            [](const reference& a, const reference& b) { return a.name < b.name; });
  return all;
}

// libgit2 does not say which they are.
std::vector<object_id> disk::shallow() const {
  std::ifstream in(std::string(git_repository_path(repository.get())) + "shallow");
  std::vector<object_id> ids;
  for (std::string line; std::getline(in, line);) {
    const std::optional<object_id> id = object_id::from_hex(line);
    if (!id) throw failure(reason::corrupt, "file shallow: \"" + printable(line, 80) + "\"");
    ids.push_back(*id);
  }
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  return ids;
}

void disk::need(const object_id& id, object_type type, const std::string& by) const {
  const std::optional<object_info> found = find(id);
  if (!found)
    throw failure(reason::not_found, by + ": " + named(type, id) + " is not in the store");
  if (found->type == type) return;
  throw failure(reason::corrupt, by + ": object " + id.hex() + " is a " +
                                     std::string(type_name(found->type)) + ", no " +
                                     std::string(type_name(type)));
}

// What it names must be there, as in a store in memory.
void disk::check(const object_id& id, const new_object& o) const {
  const std::string by = named(o.type, id);
  if (o.type == object_type::tree) {
    tree_reader entries(
        {reinterpret_cast<const std::uint8_t*>(o.content.data()), o.content.size()});
    try {
      while (const std::optional<tree_entry> e = entries.next()) {
        if (e->mode == file_mode::submodule) continue;
        need(e->id, e->mode == file_mode::tree ? object_type::tree : object_type::blob, by);
      }
    } catch (const failure& f) {
      if (std::string_view(f.what()).starts_with(by)) throw;
      throw f.at(by);
    }
  } else if (o.type == object_type::commit) {
    const commit c = parse_commit(id, o.content);
    need(c.tree, object_type::tree, by);
    for (const object_id& p : c.parents) need(p, object_type::commit, by);
  } else if (o.type == object_type::tag) {
    const tag t = parse_tag(id, o.content);
    need(t.target, t.target_type, by);
  }
}

object_id disk::add(const new_object& o) const {
  git_oid id;
  check_git(git_odb_hash(&id, o.content.data(), o.content.size(), detail::to_git(o.type)),
            "cannot name an object");
  check(detail::from_git(id), o);
  check_git(
      git_odb_write(&id, odb.get(), o.content.data(), o.content.size(), detail::to_git(o.type)),
      "cannot write an object");
  return detail::from_git(id);
}

void disk::check_target(const ref_change& c) const {
  for (const std::string* name : {&c.name, &c.target}) {
    if (name == &c.target && c.what != ref_change::kind::symbolic) continue;
    if (is_ref_name(*name)) continue;
    throw failure(reason::unsupported, "\"" + printable(*name) + "\" is no name for a ref");
  }
  if (c.what != ref_change::kind::set) return;
  const std::optional<object_info> found = find(c.to);
  if (!found) {
    throw failure(reason::not_found,
                  "ref " + c.name + ": object " + c.to.hex() + " is not in the store");
  }
  if (c.name.starts_with("refs/heads/") && found->type != object_type::commit) {
    throw failure(reason::corrupt, "ref " + c.name + ": object " + c.to.hex() + " is a " +
                                       std::string(type_name(found->type)) + ", no commit");
  }
}

// The ref is locked: nobody changes it between the look and the commit.
void disk::change_one(git_transaction* t, const ref_change& c) const {
  const bool symbolic = c.what == ref_change::kind::symbolic;
  const std::string name = symbolic ? c.name : follow(c.name);
  const std::string what = "ref " + name;
  check_git(git_transaction_lock_ref(t, name.c_str()), what, reason::conflict);
  if (symbolic) {
    check_git(git_transaction_set_symbolic_target(t, name.c_str(), c.target.c_str(), nullptr, ""),
              what, reason::conflict);
    return;
  }
  const object_id now = target_of(name);
  if (c.expected && *c.expected != now) {
    throw failure(reason::conflict,
                  what + (now.is_zero()           ? ": it is not there"
                          : c.expected->is_zero() ? ": it is there already"
                                                  : ": it stands at " + now.hex()));
  }
  if (c.what == ref_change::kind::remove) {
    if (!now.is_zero()) check_git(git_transaction_remove(t, name.c_str()), what, reason::conflict);
    return;
  }
  const git_oid to = detail::to_git(c.to);
  check_git(git_transaction_set_target(t, name.c_str(), &to, nullptr, ""), what, reason::conflict);
}

detail::ref_edit edit_of(const ref_change& c) {
  detail::ref_edit e;
  e.what = c.what == ref_change::kind::set      ? detail::ref_edit::kind::set
           : c.what == ref_change::kind::remove ? detail::ref_edit::kind::remove
                                                : detail::ref_edit::kind::symbolic;
  e.to = c.to;
  e.target = c.target;
  e.expected = c.expected;
  return e;
}

// Tried on a list of the refs first, which says all that is wrong, as in memory. Then what goes
// makes place for what comes, in a transaction of its own: on disk `a` is a file, and `a/b` needs a
// folder.
void disk::change(const std::vector<ref_change>& changes) const {
  detail::ref_edits edits;
  for (const ref_change& c : changes) {
    check_target(c);
    edits[c.name] = edit_of(c);
  }
  std::vector<reference> all = refs();
  detail::apply_edits(all, edits);
  for (const bool removing : {true, false}) {
    git_transaction* raw = nullptr;
    check_git(git_transaction_new(&raw, repository.get()), "cannot change refs");
    const transaction_handle transaction(raw);
    for (const ref_change& c : changes) {
      if ((c.what == ref_change::kind::remove) == removing) change_one(raw, c);
    }
    check_git(git_transaction_commit(raw), "cannot change refs", reason::conflict);
  }
}

class on_disk final : public repository {
public:
  explicit on_disk(std::shared_ptr<disk> d) : disk_(std::move(d)) {}

  promise<std::optional<object_info>> find_object(object_id id) override {
    return run([id](const disk& d) { return d.find(id); });
  }
  promise<object> get_object(object_id id, std::uint64_t limit_bytes) override {
    return run([id, limit_bytes](const disk& d) { return d.read(id, limit_bytes); });
  }
  promise<std::vector<object_id>> find_by_prefix(std::string digits) override {
    std::transform(digits.begin(), digits.end(), digits.begin(), [](char c) {
      return c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    return run([digits = std::move(digits)](const disk& d) { return d.with_prefix(digits); });
  }
  promise<std::vector<reference>> list_refs() override {
    return run([](const disk& d) { return d.refs(); });
  }
  promise<std::vector<object_id>> list_shallow() override {
    return run([](const disk& d) { return d.shallow(); });
  }
  promise<std::vector<object_id>> add_objects(std::vector<new_object> objects) override {
    return run([objects = std::move(objects)](const disk& d) {
      std::vector<object_id> ids;
      for (const new_object& o : objects) ids.push_back(d.add(o));
      return ids;
    });
  }
  promise<> change_refs(std::vector<ref_change> changes) override {
    return run([changes = std::move(changes)](const disk& d) { d.change(changes); });
  }

private:
  template <typename Work>
  auto run(Work work) -> promise<std::invoke_result_t<Work, const disk&>> {
    const mutex::guard mine = co_await turn_.lock();
    auto job = detach([d = disk_, work = std::move(work)] { return work(*d); });
    co_return co_await std::move(job);
  }

  std::shared_ptr<disk> disk_;
  mutex turn_;
};

std::shared_ptr<disk> open_job(const std::string& path, bool create) {
  detail::need_libgit2();
  auto d = std::make_shared<disk>();
  git_repository* repository = nullptr;
  const unsigned only_here = GIT_REPOSITORY_OPEN_NO_SEARCH | GIT_REPOSITORY_OPEN_BARE;
  int code = git_repository_open_ext(&repository, path.c_str(), only_here, nullptr);
  if (code == GIT_ENOTFOUND && create) {
    code = git_repository_init(&repository, path.c_str(), 1);
  }
  check_git(code, "cannot open " + path,
            code == GIT_ENOTFOUND ? reason::not_found : reason::corrupt);
  d->repository.reset(repository);
  git_odb* odb = nullptr;
  check_git(git_repository_odb(&odb, repository), "cannot open " + path);
  d->odb.reset(odb);
  return d;
}

promise<std::shared_ptr<repository>> open(std::string path, bool create) {
  promise<std::shared_ptr<disk>> opening = detach(open_job, std::move(path), create);
  std::shared_ptr<disk> opened = co_await std::move(opening);
  co_return std::make_shared<on_disk>(std::move(opened));
}

}  // namespace

promise<std::shared_ptr<repository>> open_disk_repository(std::string path) {
  return open(std::move(path), false);
}
promise<std::shared_ptr<repository>> create_disk_repository(std::string path) {
  return open(std::move(path), true);
}

}  // namespace fermata::git_mem
