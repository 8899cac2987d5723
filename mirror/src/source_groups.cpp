// SPDX-License-Identifier: MIT
#include "source_groups.hpp"

#include <fermata/git_mem/remote_url.hpp>

#include <algorithm>
#include <tuple>
#include <utility>

namespace fermata::mirror {
namespace {

// Another checksum of the same kind.
bool contradict(const std::vector<archive_hash>& a, const std::vector<archive_hash>& b) {
  for (const archive_hash& x : a) {
    for (const archive_hash& y : b) {
      if (x.kind() == y.kind() && x != y) return true;
    }
  }
  return false;
}

void add_once(std::vector<std::string>& to, const std::string& text) {
  if (std::find(to.begin(), to.end(), text) == to.end()) to.push_back(text);
}

}  // namespace

std::size_t source_groups::add(std::string path, opam_source what, bool is_archive) {
  std::size_t number = sources_.size();
  if (free_sources_.empty()) {
    sources_.emplace_back();
  } else {
    number = free_sources_.back();
    free_sources_.pop_back();
  }
  source& s = sources_[number];
  s.path = std::move(path);
  s.what = std::move(what);
  s.group = none;
  if (!is_archive) return number;
  std::vector<std::size_t>& same_url = by_url_.of(s.what.url)[s.what.url];
  same_url.insert(std::lower_bound(same_url.begin(), same_url.end(), number), number);
  join(number);
  judge(groups_[s.group].sources);
  return number;
}

void source_groups::remove(std::size_t number) {
  source& gone = sources_[number];
  if (gone.group != none) {
    forget_url(number);
    std::vector<std::size_t> left = dissolve(gone.group);
    left.erase(std::find(left.begin(), left.end(), number));
    std::sort(left.begin(), left.end(), [this](std::size_t a, std::size_t b) {
      return std::tie(sources_[a].path, sources_[a].what.url, a) <
             std::tie(sources_[b].path, sources_[b].what.url, b);
    });
    for (const std::size_t s : left) join(s);
    judge(left);
  }
  gone = source();
  free_sources_.push_back(number);
}

// The key of a URL is a view of one of its sources.
void source_groups::forget_url(std::size_t number) {
  const std::string_view url = sources_[number].what.url;
  disputed_.erase(url);
  auto& part = by_url_.of(url);
  auto rest = part.extract(url);
  std::vector<std::size_t>& same_url = rest.mapped();
  same_url.erase(std::lower_bound(same_url.begin(), same_url.end(), number));
  if (same_url.empty()) return;
  const std::size_t other = same_url.front();
  rest.key() = sources_[other].what.url;
  part.insert(std::move(rest));
  disputed_urls_due_.push_back(other);
}

// Whether their URLs stand with checksums that contradict each other.
void source_groups::judge(std::vector<std::size_t> sources) {
  sources.insert(sources.end(), disputed_urls_due_.begin(), disputed_urls_due_.end());
  disputed_urls_due_.clear();
  std::string_view judged;
  for (const std::size_t s : sources) {
    if (sources_[s].what.url == judged) continue;  // many packages of one archive
    judged = sources_[s].what.url;
    const std::vector<std::size_t>& same_url = *by_url_.find(judged);
    if (same_url.size() < 2) continue;
    if (is_disputed(same_url)) {
      disputed_.insert(by_url_.of(judged).find(judged)->first);
    } else {
      disputed_.erase(judged);
    }
  }
}

std::vector<std::size_t> source_groups::candidates(const opam_source& s) const {
  std::set<std::size_t> found;
  for (const archive_hash& h : s.hashes) {
    const std::size_t* const at = by_hash_.find(h);
    if (at == nullptr) continue;
    found.insert(*at);
    found.insert(groups_[*at].rivals.begin(), groups_[*at].rivals.end());
  }
  std::vector<std::size_t> sorted(found.begin(), found.end());
  std::sort(sorted.begin(), sorted.end(), [this](std::size_t a, std::size_t b) {
    return groups_[a].hashes < groups_[b].hashes;  // not by number: that depends on the past
  });
  return sorted;
}

void source_groups::join(std::size_t number) {
  source& s = sources_[number];
  std::size_t home = none;
  std::vector<std::size_t> rivals;
  for (const std::size_t g : candidates(s.what)) {
    const bool shares = std::any_of(
        groups_[g].hashes.begin(), groups_[g].hashes.end(), [&s](const archive_hash& h) {
          return std::binary_search(s.what.hashes.begin(), s.what.hashes.end(), h);
        });
    if (!shares) continue;
    if (contradict(groups_[g].hashes, s.what.hashes) ||
        (home != none && contradict(groups_[g].hashes, groups_[home].hashes))) {
      rivals.push_back(g);
    } else if (home == none) {
      home = g;
    } else {
      merge(home, g);
    }
  }
  if (home == none) {
    home = groups_.size();
    if (free_groups_.empty()) {
      groups_.emplace_back();
    } else {
      home = free_groups_.back();
      free_groups_.pop_back();
    }
    ++size_;
  } else {
    note_change(groups_[home], false);
  }
  s.group = home;
  groups_[home].sources.push_back(number);
  set_hashes(home, s.what.hashes);
  note_change(groups_[home], true);
  for (const std::size_t r : rivals) {
    groups_[r].rivals.insert(home);
    groups_[home].rivals.insert(r);
    rivals_.insert(r);
    rivals_.insert(home);
  }
}

void source_groups::set_hashes(std::size_t number, const std::vector<archive_hash>& more) {
  group& g = groups_[number];
  for (const archive_hash& h : more) {
    const auto at = std::lower_bound(g.hashes.begin(), g.hashes.end(), h);
    if (at == g.hashes.end() || *at != h) g.hashes.insert(at, h);
    by_hash_.of(h).try_emplace(h, number);  // a rival may have it
  }
}

// Of two groups that a source has in common.
void source_groups::merge(std::size_t into, std::size_t from) {
  note_change(groups_[into], false);
  note_change(groups_[from], false);
  group moved = std::exchange(groups_[from], group());
  for (const std::size_t s : moved.sources) sources_[s].group = into;
  group& g = groups_[into];
  g.sources.insert(g.sources.end(), moved.sources.begin(), moved.sources.end());
  for (const archive_hash& h : moved.hashes) {
    std::size_t& place = by_hash_.of(h).at(h);
    if (place == from) place = into;
  }
  set_hashes(into, moved.hashes);
  rivals_.erase(from);
  for (const std::size_t r : moved.rivals) {
    groups_[r].rivals.erase(from);
    groups_[r].rivals.insert(into);
    g.rivals.insert(r);
    rivals_.insert(into);
  }
  note_change(g, true);
  free_groups_.push_back(from);
  --size_;
}

// Its sources, and those of its rivals, are without a group then.
std::vector<std::size_t> source_groups::dissolve(std::size_t number) {
  std::vector<std::size_t> freed;
  std::vector<std::size_t> due{number};
  while (!due.empty()) {
    const std::size_t g = due.back();
    due.pop_back();
    if (groups_[g].sources.empty()) continue;  // done
    note_change(groups_[g], false);
    const group gone = std::exchange(groups_[g], group());
    for (const archive_hash& h : gone.hashes) {
      const std::size_t* const at = by_hash_.find(h);
      if (at != nullptr && *at == g) by_hash_.of(h).erase(h);
    }
    for (const std::size_t s : gone.sources) {
      sources_[s].group = none;
      freed.push_back(s);
    }
    due.insert(due.end(), gone.rivals.begin(), gone.rivals.end());
    rivals_.erase(g);
    free_groups_.push_back(g);
    --size_;
  }
  return freed;
}

bool source_groups::has_alternatives(const group& g) const {
  return std::any_of(g.sources.begin(), g.sources.end(), [this, &g](std::size_t s) {
    return sources_[s].what.url != sources_[g.sources.front()].what.url;
  });
}

void source_groups::note_change(const group& g, bool came) {
  touched.push_back(g.hashes.back());
  if (!has_alternatives(g)) return;
  alternatives_ = came ? alternatives_ + 1 : alternatives_ - 1;
}

const source_groups::group* source_groups::find(const archive_hash& hash) const {
  const std::size_t* const at = by_hash_.find(hash);
  return at == nullptr ? nullptr : &groups_[*at];
}

wanted_archive source_groups::describe(const group& g) const {
  wanted_archive out;
  out.hashes = g.hashes;
  std::vector<std::size_t> sorted = g.sources;
  std::sort(sorted.begin(), sorted.end(), [this](std::size_t a, std::size_t b) {
    return std::tie(sources_[a].path, a) < std::tie(sources_[b].path, b);
  });
  for (const std::size_t s : sorted) {
    add_once(out.urls, sources_[s].what.url);
    add_once(out.packages, std::string(package_of_path(sources_[s].path)));
  }
  for (const std::size_t s : sorted) {
    for (const std::string& m : sources_[s].what.mirrors) {
      if (std::find(out.urls.begin(), out.urls.end(), m) == out.urls.end()) {
        add_once(out.mirrors, m);
      }
    }
  }
  return out;
}

bool source_groups::is_disputed(const std::vector<std::size_t>& all) const {
  const std::size_t first = sources_[all.front()].group;
  return std::any_of(all.begin(), all.end(), [this, first](std::size_t s) {
    const std::size_t other = sources_[s].group;
    return other != first && contradict(groups_[first].hashes, groups_[other].hashes);
  });
}

std::vector<catalogue_note> source_groups::conflicts(std::size_t most) const {
  std::vector<catalogue_note> notes;
  const auto add = [&](std::size_t s, const std::string& what) {
    if (notes.size() < most) notes.push_back({"packages/" + sources_[s].path, what});
  };
  for (const std::string_view url : disputed_) {
    for (const std::size_t s : *by_url_.find(url)) {
      add(s, git_mem::without_secrets(url) + ": elsewhere it has another checksum than " +
                 sources_[s].what.hashes.back().text());
    }
  }
  for (const std::size_t g : rivals_) {
    for (const std::size_t s : groups_[g].sources) {
      add(s, git_mem::without_secrets(sources_[s].what.url) + ": elsewhere " +
                 sources_[s].what.hashes.front().text() + " stands with other checksums");
    }
  }
  return notes;
}

}  // namespace fermata::mirror
