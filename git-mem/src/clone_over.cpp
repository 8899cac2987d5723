// SPDX-License-Identifier: MIT
// The conversation of a clone. `session` owns the connection's read side; its pkt views die at the
// next fill, so nothing of a packet is kept over an await but in a piece of its own.

#include "clone_over.hpp"

#include "packet_source.hpp"

#include <fermata/git_mem/clone.hpp>
#include <fermata/git_mem/commit.hpp>
#include <fermata/git_mem/log.hpp>
#include <fermata/promise/pause.hpp>
#include <fermata/promise/scope.hpp>
#include <fermata/promise/sleep.hpp>

#include <algorithm>
#include <array>
#include <utility>

namespace fermata::git_mem {

using detail::fill;
using detail::read_message;
using detail::send_text;

namespace {

constexpr std::size_t pieces_on_the_way = 4;
constexpr std::size_t pieces_for_threads = 16;

struct session : detail::packet_source {
  session(byte_stream& from, const remote_url& u, const clone_options& o, snapshot_ptr k)
      : packet_source(from, o), url(u), known(std::move(k)), analyser(o.pack, known) {}

  void report(clone_phase phase) {
    now.phase = phase;
    if (options.on_progress) options.on_progress(now);
  }

  const remote_url& url;
  snapshot_ptr known;
  clone_progress now;
  pack_analyser analyser;
  bool analysed = false;
};

// The stream has ended. Over git:// a server does not say that it was the filter.
void finish_input(const session& s, const fetch_reader& answer) {
  try {
    answer.finish_input();
  } catch (const failure& f) {
    if (s.options.filter.empty() || answer.in_pack()) throw;
    throw failure(f.why(), std::string(f.what()) + "; it may not have the filter " +
                               printable(s.options.filter, 80));
  }
}

promise<> receive(session& s, fetch_reader& answer, channel_writer<pack_piece> out) {
  using kind = fetch_reader::event::kind;
  for (;;) {
    while (const std::optional<pkt> p = s.packets.next()) {
      const fetch_reader::event e = answer.push(*p);
      s.now.bytes = answer.pack_bytes();
      s.now.remote_says = answer.last_words();
      pack_piece piece;
      if (e.what == kind::pack) {
        const auto bytes = bytes_of(e.data);
        piece.assign(bytes.begin(), bytes.end());
      }
      if (!piece.empty() || e.what == kind::done) {
        promise<> sent = out.send(std::move(piece));
        bool listens = true;
        try {
          co_await sent;
        } catch (const channel_closed&) {
          listens = false;  // the analysis has failed, and says why
        }
        if (!listens || e.what == kind::done) co_return;
      }
      co_await maybe_pause(std::chrono::microseconds(10));
    }
    const bool more = co_await fill(s);
    if (!more) finish_input(s, answer);
  }
}

promise<> analyse_pieces(session& s, channel_reader<pack_piece> in) {
  auto tell = [&s](const pack_progress& p) {
    s.now.objects_done = p.objects_done;
    s.now.objects_total = p.objects_total;
    const bool all_in = p.objects_total > 0 && p.objects_done + p.deferred >= p.objects_total;
    s.report(all_in ? clone_phase::resolve : clone_phase::receive);
  };
  promise<bool> driven = drive(s.analyser, std::move(in), std::move(tell), s.options.threads);
  s.analysed = co_await driven;
}

// The analysis is the scope's body, so that a cancel of the clone shows as one.
promise<> both_sides(scope& sides, session& s, fetch_reader& answer) {
  channel<pack_piece> pieces(s.options.threads > 0 ? pieces_for_threads : pieces_on_the_way);
  sides.fork([&s, &answer, out = std::move(pieces.writer)]() mutable {
    return receive(s, answer, std::move(out));
  });
  promise<> analysed = analyse_pieces(s, std::move(pieces.reader));
  co_await analysed;
}

std::vector<std::string> wanted_names(const std::string& branch) {
  if (branch.empty()) return {"HEAD"};
  if (branch.starts_with("refs/")) return {branch};
  return {"refs/heads/" + branch, "refs/tags/" + branch};
}

// What to fetch, of what the server has.
void choose_tip(clone_result& result, const std::string& branch) {
  for (const std::string& name : wanted_names(branch)) {
    for (const reference& r : result.refs) {
      if (r.name != name) continue;
      result.tip = r.id;
      result.ref = r.symbolic_target.empty() ? r.name : r.symbolic_target;
      return;
    }
  }
  if (!branch.empty()) {
    throw failure(reason::not_found,
                  "branch \"" + printable(branch) + "\" is not in the repository");
  }
  const bool has_branches =
      std::any_of(result.refs.begin(), result.refs.end(),
                  [](const reference& r) { return r.name.starts_with("refs/heads/"); });
  if (has_branches) throw failure(reason::not_found, "its HEAD names no commit: name a branch");
}

promise<std::vector<reference>> list_refs(session& s, advertisement& from) {
  if (from.version != 2) co_return std::move(from.refs);
  std::vector<std::string> prefixes = wanted_names(s.url.branch);
  prefixes.emplace_back("HEAD");
  if (s.url.branch.empty()) prefixes.emplace_back("refs/heads/");
  prefixes.insert(prefixes.end(), s.options.also.begin(), s.options.also.end());
  promise<> asked = send_text(s, ls_refs_request(from.can, prefixes));
  co_await asked;
  ls_refs_reader answer(prefixes, s.options.protocol);
  promise<> read = read_message(s, answer, "while it listed its refs");
  co_await read;
  co_return std::move(answer.refs());
}

// A clone that has no commit at its tip, or not its tree, is of no use to anybody.
void check_tip(const session& s, const clone_result& result) {
  if (s.known && s.known->find_object(result.tip)) return;  // only older history came
  const std::optional<std::uint32_t> n = result.objects->find(result.tip);
  if (!n) throw failure(reason::corrupt, "pack: the tip " + result.tip.hex() + " is not in it");
  const object_type type = result.objects->entry(*n).type();
  if (type != object_type::commit && type != object_type::tag) {
    throw failure(reason::corrupt,
                  "pack: the tip " + result.tip.hex() + " is a " + std::string(type_name(type)));
  }
}

// What is asked for, of what is not there yet; with more history the tip again.
std::vector<object_id> wanted_ids(const session& s, const clone_result& result) {
  const clone_options& how = s.options;
  const bool is_cut_anew = how.has_cut() || how.depth > 1 || how.deepen_relative;
  const bool wants_more = s.known && is_cut_anew && (how.has_cut() || !s.known->shallow.empty());
  std::vector<object_id> wants;
  const auto add = [&](const object_id& id, bool again) {
    if (again || !s.known || !s.known->find_object(id)) wants.push_back(id);
  };
  add(result.tip, wants_more);
  for (const reference& r : result.refs) {
    for (const std::string& prefix : s.options.also) {
      if (r.name.starts_with(prefix)) add(r.id, wants_more);
    }
  }
  sort_unique(wants);
  return wants;
}

// What the other side need not send. Of a ref that was only listed the object may not be there.
std::vector<object_id> known_tips(const snapshot& known) {
  std::vector<object_id> ids;
  for (const reference& r : known.refs) {
    if (known.find_object(r.id)) ids.push_back(r.id);
  }
  sort_unique(ids);
  return ids;
}

// Which commits have no parents here: as it was, and as the other side has changed it.
std::vector<object_id> shallow_after(const session& s,
                                     const fetch_reader& answer,
                                     const pack& objects) {
  std::vector<object_id> ids;
  for (const object_id& id : answer.shallow()) {
    if (objects.find(id) || (s.known && s.known->find_object(id))) ids.push_back(id);
  }
  if (s.known) ids.insert(ids.end(), s.known->shallow.begin(), s.known->shallow.end());
  const std::vector<object_id>& whole = answer.unshallow();
  std::erase_if(ids, [&whole](const object_id& id) {
    return std::find(whole.begin(), whole.end(), id) != whole.end();
  });
  sort_unique(ids);
  return ids;
}

// What the store has, as far as it is told: the newest commits first, more in each round, until the
// other side has heard enough, or nothing of it for long. As git does, in protocol 2.
class negotiator {
public:
  static constexpr std::size_t first_haves = 16;
  static constexpr std::size_t most_haves = 512;    // a round
  static constexpr std::size_t most_in_vain = 256;  // since something was common

  // Lifetime: of the session.
  explicit negotiator(session& s) : s_(s) {}

  // Fills in the haves of the next round; `done` where it is the last.
  promise<> prepare(fetch_request& request);

  void learn(const fetch_reader& answer) {
    if (answer.common().empty()) return;
    in_vain_ = 0;
    common_.insert(common_.end(), answer.common().begin(), answer.common().end());
    sort_unique(common_);
  }

private:
  session& s_;
  std::optional<commit_log> log_;
  std::vector<object_id> others_;  // tips that are no commits
  std::vector<object_id> common_;
  std::size_t batch_ = first_haves;
  std::size_t in_vain_ = 0;
};

promise<> negotiator::prepare(fetch_request& request) {
  request.haves = common_;
  request.done = true;
  if (!s_.known) co_return;
  if (!log_) {
    std::vector<object_id> commits;
    for (const object_id& id : known_tips(*s_.known)) {
      promise<object_id> peeling = peel_tags(s_.known, id);
      const object_id at = co_await peeling;
      const bool is_commit = s_.known->find_object(at)->type == object_type::commit;
      if (is_commit) commits.push_back(at);
      if (at != id || !is_commit) others_.push_back(id);
    }
    sort_unique(commits);
    log_.emplace(s_.known, commits);
  }
  request.haves.insert(request.haves.end(), others_.begin(), others_.end());
  request.done = false;
  for (std::size_t n = 0; n < batch_; ++n, ++in_vain_) {
    promise<std::optional<commit>> next = log_->next();
    const std::optional<commit> c = co_await std::move(next);
    if (!c) {
      request.done = true;
      break;
    }
    request.haves.push_back(c->id);
  }
  batch_ = std::min(batch_ * 2, most_haves);
  if (in_vain_ >= most_in_vain) request.done = true;
  sort_unique(request.haves);
}

// Up to the pack; false where the answer ends without one.
promise<bool> read_acknowledgments(session& s, fetch_reader& answer) {
  for (;;) {
    while (const std::optional<pkt> p = s.packets.next()) {
      const fetch_reader::event e = answer.push(*p);
      if (e.what == fetch_reader::event::kind::done) co_return false;
      if (p->kind == pkt_kind::delimiter) {
        if (answer.ready()) co_return true;
        throw failure(reason::protocol, "the server goes on before it is ready");
      }
      co_await maybe_pause();
    }
    const bool more = co_await fill(s);
    if (!more) finish_input(s, answer);
  }
}

promise<> receive_pack(session& s, fetch_reader& answer) {
  auto body = [&s, &answer](scope& sides) { return both_sides(sides, s, answer); };
  promise<> run = scope::run(std::move(body));
  co_await run;
  if (!s.analysed) throw failure(reason::protocol, "the pack never came");
}

// Asks until the pack comes; gives the answer that it came with.
promise<fetch_reader> negotiate(session& s, const advertisement& from, fetch_request request) {
  negotiator talk(s);
  const bool deepen = request.deepens();
  for (;;) {
    promise<> prepared = talk.prepare(request);
    co_await prepared;
    if (from.version != 2) request.done = true;  // one round, of the newest commits
    promise<> asked = send_text(s, write_fetch(from, request));
    co_await asked;
    fetch_reader answer(from.version, deepen, s.options.protocol);
    if (!request.done) {
      promise<bool> read = read_acknowledgments(s, answer);
      const bool is_ready = co_await read;
      talk.learn(answer);
      if (!is_ready) continue;
    }
    promise<> received = receive_pack(s, answer);
    co_await received;
    co_return answer;
  }
}

promise<> fetch_pack(session& s,
                     const advertisement& from,
                     const std::vector<object_id>& wants,
                     clone_result& result) {
  fetch_request request;
  request.wants = wants;
  request.filter = s.options.filter;
  if (!s.options.has_cut()) {
    request.depth = s.options.depth;
    request.deepen_relative = s.options.deepen_relative;
  } else if (s.options.shallow_since) {
    request.since = s.options.shallow_since->time_since_epoch().count();
  }
  request.without = s.options.shallow_exclude;
  request.thin_pack = s.known != nullptr;
  if (s.known) request.shallow = s.known->shallow;
  promise<fetch_reader> negotiated = negotiate(s, from, std::move(request));
  const fetch_reader answer = co_await std::move(negotiated);
  result.progress = s.analyser.progress();
  result.objects = s.analyser.take();
  check_tip(s, result);
  for (const object_id& id : wants) {
    const bool is_there = result.objects->find(id) || (s.known && s.known->find_object(id));
    if (!is_there) throw failure(reason::corrupt, "pack: the tip " + id.hex() + " is not in it");
  }
  result.shallow = shallow_after(s, answer, *result.objects);
}

promise<clone_result> converse(session& s) {
  clone_result result;
  s.report(clone_phase::negotiate);
  advertisement_reader first(s.options.protocol);
  promise<> advertised = read_message(s, first, "before it said what it has");
  co_await advertised;
  advertisement& from = first.result();
  result.protocol_version = from.version;
  promise<std::vector<reference>> listed = list_refs(s, from);
  result.refs = co_await std::move(listed);
  choose_tip(result, s.url.branch);
  std::vector<object_id> wants;
  if (!result.is_empty()) wants = wanted_ids(s, result);
  const bool has_all = s.known && wants.empty();
  if (has_all) result.shallow = s.known->shallow;
  if (result.is_empty() || has_all) {
    promise<> bye = send_text(s, "0000");
    co_await bye;
    co_return result;
  }
  promise<> fetched = fetch_pack(s, from, wants, result);
  co_await fetched;
  s.report(clone_phase::done);
  co_return result;
}

}  // namespace

std::string_view phase_name(clone_phase phase) noexcept {
  constexpr std::array<std::string_view, 5> names = {"connect", "negotiate", "receive", "resolve",
                                                     "done"};
  return names[static_cast<std::size_t>(phase)];
}

namespace detail {

promise<clone_result> clone_unnamed(byte_stream& stream,
                                    const remote_url& url,
                                    const clone_options& options,
                                    snapshot_ptr known) {
  session s(stream, url, options, std::move(known));
  std::exception_ptr failed;
  promise<clone_result> conversation = converse(s);
  try {
    clone_result result = co_await std::move(conversation);
    co_return result;
  } catch (const error&) {
    failed = std::current_exception();
  }
  promise<> freed = release(std::move(s.analyser));
  co_await freed;
  std::rethrow_exception(failed);
}

failure remote_failure(std::string_view what, const remote_url& url, const error& why) {
  const auto* own = dynamic_cast<const failure*>(&why);
  return failure(own != nullptr ? own->why() : reason::remote,
                 "cannot " + std::string(what) + " " + url.text + ": " + why.what());
}

}  // namespace detail

promise<clone_result> clone_over(byte_stream& stream, remote_url url, clone_options options) {
  promise<clone_result> cloned = detail::clone_unnamed(stream, url, options);
  try {
    co_return co_await std::move(cloned);
  } catch (const error& e) {
    throw detail::remote_failure("clone", url, e);
  }
}

snapshot make_snapshot(object_store& store, clone_result result) {
  snapshot next;
  next.refs = std::move(result.refs);
  next.shallow = std::move(result.shallow);
  if (result.objects) next.packs.push_back(store.adopt(std::move(result.objects)));
  return next;
}

}  // namespace fermata::git_mem
