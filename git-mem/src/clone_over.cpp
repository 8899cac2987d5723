// SPDX-License-Identifier: MIT
// The conversation of a clone. `session` owns the connection's read side; its pkt views die at the
// next fill, so nothing of a packet is kept over an await but in a piece of its own.

#include "clone_over.hpp"

#include "costs.hpp"

#include <fermata/git_mem/clone.hpp>
#include <fermata/promise/pause.hpp>
#include <fermata/promise/scope.hpp>
#include <fermata/promise/sleep.hpp>

#include <algorithm>
#include <array>
#include <utility>

namespace fermata::git_mem {

namespace {

constexpr std::size_t pieces_on_the_way = 4;

struct session {
  session(byte_stream& s, const remote_url& u, const clone_options& o)
      : stream(s), url(u), options(o), analyser(o.pack) {}

  void report(clone_phase phase) {
    now.phase = phase;
    if (options.on_progress) options.on_progress(now);
  }

  byte_stream& stream;
  const remote_url& url;
  const clone_options& options;
  pkt_reader packets;
  std::vector<std::byte> buffer = std::vector<std::byte>(pack_piece_bytes);
  clone_progress now;
  pack_analyser analyser;
  bool analysed = false;
};

// More bytes for the packets; false at the end of the stream.
promise<bool> fill(session& s) {
  promise<std::size_t> read = s.stream.read(s.buffer);
  promise<std::size_t> timed = with_timeout(s.options.idle_timeout, std::move(read));
  std::size_t n = 0;
  try {
    n = co_await timed;
  } catch (const timed_out&) {
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(s.options.idle_timeout);
    throw failure(reason::remote,
                  "the server was silent for " + std::to_string(seconds.count()) + " s");
  }
  if (n == 0) {
    s.packets.finish_input();
    co_return false;
  }
  s.packets.feed(std::span(s.buffer).first(n));
  co_await maybe_pause(detail::copy_cost(n));
  co_return true;
}

// Pushes packets into a reader of one message until it is over.
template <typename Reader>
promise<> read_message(session& s, Reader& reader, std::string when) {
  for (;;) {
    while (const std::optional<pkt> p = s.packets.next()) {
      if (reader.push(*p)) co_return;
      co_await maybe_pause();
    }
    const bool more = co_await fill(s);
    if (!more) throw failure(reason::protocol, "the server hung up " + when);
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
    if (!more) answer.finish_input();
  }
}

promise<> analyse_pieces(session& s, channel_reader<pack_piece> in) {
  s.analysed = co_await drive(s.analyser, std::move(in), [&s](const pack_progress& p) {
    s.now.objects_done = p.objects_done;
    s.now.objects_total = p.objects_total;
    const bool all_in = p.objects_total > 0 && p.objects_done + p.deferred >= p.objects_total;
    s.report(all_in ? clone_phase::resolve : clone_phase::receive);
  });
}

// The analysis is the scope's body, so that a cancel of the clone shows as one.
promise<> both_sides(scope& sides, session& s, fetch_reader& answer) {
  channel<pack_piece> pieces(pieces_on_the_way);
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
  promise<> asked = write_text(s.stream, ls_refs_request(from.can, prefixes));
  co_await asked;
  ls_refs_reader answer(prefixes, s.options.protocol);
  promise<> read = read_message(s, answer, "while it listed its refs");
  co_await read;
  co_return std::move(answer.refs());
}

// A clone that has no commit at its tip, or not its tree, is of no use to anybody.
void check_tip(const clone_result& result) {
  const std::optional<std::uint32_t> n = result.objects->find(result.tip);
  if (!n) throw failure(reason::corrupt, "pack: the tip " + result.tip.hex() + " is not in it");
  const object_type type = result.objects->entry(*n).type();
  if (type != object_type::commit && type != object_type::tag) {
    throw failure(reason::corrupt,
                  "pack: the tip " + result.tip.hex() + " is a " + std::string(type_name(type)));
  }
}

promise<> fetch_pack(session& s, const advertisement& from, clone_result& result) {
  fetch_request request;
  request.wants = {result.tip};
  request.depth = s.options.depth;
  request.thin_pack = false;
  promise<> asked = write_text(s.stream, write_fetch(from, request));
  co_await asked;
  fetch_reader answer(from.version, request.depth > 0, s.options.protocol);
  auto body = [&s, &answer](scope& sides) { return both_sides(sides, s, answer); };
  promise<> run = scope::run(std::move(body));
  co_await run;
  if (!s.analysed) throw failure(reason::protocol, "the pack never came");
  result.progress = s.analyser.progress();
  result.objects = s.analyser.take();
  check_tip(result);
  for (const object_id& id : answer.shallow()) {
    if (result.objects->find(id)) result.shallow.push_back(id);
  }
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
  if (result.is_empty()) {
    promise<> bye = write_text(s.stream, "0000");
    co_await bye;
    co_return result;
  }
  promise<> fetched = fetch_pack(s, from, result);
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
                                    const clone_options& options) {
  session s(stream, url, options);
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

failure clone_failure(const remote_url& url, const error& why) {
  const auto* own = dynamic_cast<const failure*>(&why);
  return failure(own != nullptr ? own->why() : reason::remote,
                 "cannot clone " + url.text + ": " + why.what());
}

}  // namespace detail

promise<clone_result> clone_over(byte_stream& stream, remote_url url, clone_options options) {
  promise<clone_result> cloned = detail::clone_unnamed(stream, url, options);
  try {
    co_return co_await std::move(cloned);
  } catch (const error& e) {
    throw detail::clone_failure(url, e);
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
