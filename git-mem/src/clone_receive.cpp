// SPDX-License-Identifier: MIT
// The middle of a clone: rounds of haves, until the pack comes, which is analysed as it does.

#include "clone_session.hpp"
#include "pack_worker.hpp"
#include "sliced_sort.hpp"

#include <fermata/git_mem/commit.hpp>
#include <fermata/git_mem/log.hpp>
#include <fermata/promise/pause.hpp>
#include <fermata/promise/scope.hpp>

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

namespace fermata::git_mem::detail {

namespace {

constexpr std::size_t pieces_on_the_way = 4;
constexpr std::size_t pieces_for_threads = 16;
constexpr std::size_t asked_at_once = 32 * 1024;
constexpr std::chrono::nanoseconds look_up_cost{300};
constexpr std::chrono::microseconds ask_cost{10};
constexpr std::chrono::microseconds release_cost{30};

// The stream has ended. Over git:// a server does not say that it was the filter.
void finish_input(const clone_session& s, const fetch_reader& answer) {
  try {
    answer.finish_input();
  } catch (const failure& f) {
    if (s.options.filter.empty() || answer.in_pack()) throw;
    throw failure(f.why(), std::string(f.what()) + "; it may not have the filter " +
                               printable(s.options.filter, 80));
  }
}

promise<> receive(clone_session& s, fetch_reader& answer, channel_writer<pack_piece> out) {
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

promise<> analyse_pieces(clone_session& s, channel_reader<pack_piece> in) {
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
promise<> both_sides(scope& sides, clone_session& s, fetch_reader& answer) {
  channel<pack_piece> pieces(s.options.threads > 0 ? pieces_for_threads : pieces_on_the_way);
  sides.fork([&s, &answer, out = std::move(pieces.writer)]() mutable {
    return receive(s, answer, std::move(out));
  });
  promise<> analysed = analyse_pieces(s, std::move(pieces.reader));
  co_await analysed;
}

// What the other side need not send. Of a ref that was only listed the object may not be there.
promise<std::vector<object_id>> known_tips(snapshot_ptr known) {
  std::vector<object_id> ids;
  ids.reserve(known->refs.size());
  for (const reference& r : known->refs) {
    if (known->find_object(r.id)) ids.push_back(r.id);
    co_await maybe_pause(look_up_cost);
  }
  promise<> sorted = sort_ids(ids);
  co_await sorted;
  co_return ids;
}

// What the store has, as far as it is told: the newest commits first, more in each round, until the
// other side has heard enough, or nothing of it for long. As git does, in protocol 2.
class negotiator {
public:
  static constexpr std::size_t first_haves = 16;
  static constexpr std::size_t most_haves = 512;    // a round
  static constexpr std::size_t most_in_vain = 256;  // since something was common

  // Lifetime: of the session.
  explicit negotiator(clone_session& s) : s_(s) {}

  // Fills in the haves of the next round; `done` where it is the last.
  promise<> prepare(fetch_request& request);

  promise<> learn(const fetch_reader& answer) {
    if (answer.common().empty()) co_return;
    in_vain_ = 0;
    common_.insert(common_.end(), answer.common().begin(), answer.common().end());
    promise<> sorted = sort_ids(common_);
    co_await sorted;
  }

  // At the end, until it is false: many tips are many commits.
  bool release_slice() noexcept { return log_ && log_->release_slice(); }

private:
  clone_session& s_;
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
    promise<std::vector<object_id>> looking = known_tips(s_.known);
    const std::vector<object_id> tips = co_await std::move(looking);
    commits.reserve(tips.size());
    for (const object_id& id : tips) {
      promise<object_id> peeling = peel_tags(s_.known, id);
      const object_id at = co_await peeling;
      const bool is_commit = s_.known->find_object(at)->type == object_type::commit;
      if (is_commit) commits.push_back(at);
      if (at != id || !is_commit) others_.push_back(id);
      co_await maybe_pause(look_up_cost);
    }
    promise<> sorted = sort_ids(commits);
    co_await sorted;
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
  promise<> sorted = sort_ids(request.haves);
  co_await sorted;
}

promise<> ask(clone_session& s, const advertisement& from, const fetch_request& request) {
  fetch_writer lines(from, request);
  for (bool more = true; more;) {
    std::string text;
    while ((more = lines.write(text)) && text.size() < asked_at_once)
      co_await maybe_pause(ask_cost);
    promise<> sent = send_text(s, std::move(text));
    co_await sent;
  }
}

// Up to the pack; false where the answer ends without one.
promise<bool> read_acknowledgments(clone_session& s, fetch_reader& answer) {
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

promise<> analyse_pack(clone_session& s, fetch_reader& answer) {
  auto body = [&s, &answer](scope& sides) { return both_sides(sides, s, answer); };
  promise<> run = scope::run(std::move(body));
  co_await run;
  if (!s.analysed) throw failure(reason::protocol, "the pack never came");
}

}  // namespace

// Asks until the pack comes.
promise<fetch_reader> receive_pack(clone_session& s,
                                   const advertisement& from,
                                   fetch_request& request) {
  negotiator talk(s);
  const bool deepen = request.deepens();
  for (;;) {
    promise<> prepared = talk.prepare(request);
    co_await prepared;
    if (from.version != 2) request.done = true;  // one round, of the newest commits
    promise<> asked = ask(s, from, request);
    co_await asked;
    fetch_reader answer(from.version, deepen, s.options.protocol);
    if (!request.done) {
      promise<bool> read = read_acknowledgments(s, answer);
      const bool is_ready = co_await read;
      promise<> learned = talk.learn(answer);
      co_await learned;
      if (!is_ready) continue;
    }
    while (talk.release_slice()) co_await maybe_pause(release_cost);
    promise<> received = analyse_pack(s, answer);
    co_await received;
    co_return answer;
  }
}

}  // namespace fermata::git_mem::detail
