// SPDX-License-Identifier: MIT
// The part of a conversation that is about objects: negotiation, what is cut off, the pack.

#include "history_cut.hpp"
#include "upload_session.hpp"

#include <fermata/git_mem/commit.hpp>
#include <fermata/git_mem/pack_writer.hpp>
#include <fermata/git_mem/reachability.hpp>
#include <fermata/promise/pause.hpp>

#include <algorithm>
#include <array>
#include <utility>

namespace fermata::git_mem::detail {

namespace {

constexpr std::size_t small_band_bytes = 995;  // of data, in packets of 1,000 with their header

// What client and server both have, in the order in which it was told.
class common_objects {
public:
  explicit common_objects(snapshot_ptr from) : from_(std::move(from)), known_(*from_) {}

  bool add(const object_id& id) {
    const std::optional<object_header> h = from_->find_object(id);
    if (!h) return false;
    if (known_.insert(*h)) ids_.push_back(id);
    return true;
  }
  [[nodiscard]] const std::vector<object_id>& ids() const noexcept { return ids_; }

private:
  snapshot_ptr from_;
  object_set known_;
  std::vector<object_id> ids_;
};

promise<> check_wants(snapshot_ptr from, const upload_request& r) {
  for (const object_id& id : r.wants) {
    if (!from->find_object(id)) throw failure(reason::not_found, "not our ref " + id.hex());
    co_await maybe_pause();
  }
}

promise<> send_bands(upload_session& s, std::span<const std::byte> bytes, char band) {
  if (s.bands == band_mode::none) {
    const byte_view whole = bytes;
    promise<> written = s.write({&whole, 1});
    co_await written;
    co_return;
  }
  const std::size_t most = s.bands == band_mode::large ? written_piece_bytes : small_band_bytes;
  std::vector<std::string> heads;
  std::vector<byte_view> pieces;
  heads.reserve(bytes.size() / most + 1);
  for (; !bytes.empty(); bytes = bytes.subspan(std::min(most, bytes.size()))) {
    const auto part = bytes.first(std::min(most, bytes.size()));
    constexpr std::string_view digits = "0123456789abcdef";
    std::string& head = heads.emplace_back();
    for (int shift = 12; shift >= 0; shift -= 4) head += digits[((part.size() + 5) >> shift) & 15];
    head += band;
    pieces.push_back(bytes_of(head));
    pieces.push_back(part);
  }
  promise<> written = s.write(pieces);
  co_await written;
}

promise<> send_progress(upload_session& s, const upload_request& r, std::string text) {
  if (!r.progress || s.bands == band_mode::none) co_return;
  promise<> sent = send_bands(s, bytes_of(text), '\2');
  co_await sent;
}

// Annotated tags of what is sent.
promise<> add_tags(const snapshot_ptr& from, object_set& objects) {
  for (const reference& ref : from->refs) {
    std::vector<object_header> chain;
    std::optional<object_header> h = from->find_object(ref.id);
    object_id id = ref.id;
    while (h && h->type == object_type::tag) {
      chain.push_back(*h);
      promise<tag> reading = get_tag(from, id);
      const tag t = co_await std::move(reading);
      id = t.target;
      h = from->find_object(id);
    }
    if (h && objects.contains(*h)) {
      for (const object_header& one : chain) objects.insert(one);
    }
    co_await maybe_pause();
  }
}

promise<> send_pack(upload_session& s,
                    const upload_request& r,
                    const common_objects& common,
                    const history_cut& cut) {
  s.bands = r.bands;
  s.in_pack = true;
  reachability_request asked;
  asked.tips = r.wants;
  asked.tips.insert(asked.tips.end(), cut.more_tips.begin(), cut.more_tips.end());
  asked.haves = common.ids();
  asked.boundary = cut.boundary;
  asked.have_boundary = r.shallow;
  asked.filter = r.filter;
  promise<reachable_objects> finding = find_reachable(s.from(), std::move(asked));
  const reachable_objects found = co_await std::move(finding);
  if (r.include_tag) {
    promise<> added = add_tags(s.from(), *found.objects);
    co_await added;
  }
  const std::string count = std::to_string(found.objects->size());
  promise<> told = send_progress(s, r, "Enumerating objects: " + count + ", done.\n");
  co_await told;
  pack_writer_options how;
  how.ofs_delta = r.ofs_delta;
  if (r.thin_pack && !r.is_filtered) how.thin_bases = found.had;
  pack_sink sink = [&s](std::span<const std::byte> piece) { return send_bands(s, piece, '\1'); };
  promise<written_pack> writing =
      write_pack(s.from(), found.objects, std::move(sink), std::move(how));
  s.report.pack = co_await std::move(writing);
  s.report.sent_pack = true;
  const written_pack& p = s.report.pack;
  promise<> summed = send_progress(s, r,
                                   "Total " + count + " (delta " + std::to_string(p.copied_deltas) +
                                       "), reused " + std::to_string(p.objects - p.deflated) +
                                       " (delta " + std::to_string(p.copied_deltas) + ")\n");
  co_await summed;
  if (s.bands != band_mode::none) s.add_flush();
  promise<> flushed = s.flush();
  co_await flushed;
}

// Where history ends. Without a depth a client still hears where the store's own history ends.
promise<history_cut> find_cut(upload_session& s, const upload_request& r) {
  if (!r.deepens() && s.from()->shallow.empty()) {
    history_cut known;
    known.boundary = r.shallow;
    std::sort(known.boundary.begin(), known.boundary.end());
    co_return known;
  }
  promise<history_cut> cutting = cut_history(s.from(), r);
  co_return co_await std::move(cutting);
}

promise<> say_cut(upload_session& s, const history_cut& cut) {
  for (const object_id& id : cut.shallow) {
    promise<> said = s.say("shallow " + id.hex() + "\n");
    co_await said;
  }
  for (const object_id& id : cut.unshallow) {
    promise<> said = s.say("unshallow " + id.hex() + "\n");
    co_await said;
  }
}

// The acknowledgments of protocol 2; true if the pack follows.
promise<bool> acknowledge(upload_session& s,
                          const upload_request& r,
                          const common_objects& common) {
  s.add("acknowledgments\n");
  if (common.ids().empty()) s.add("NAK\n");
  for (const object_id& id : common.ids()) {
    promise<> said = s.say("ACK " + id.hex() + "\n");
    co_await said;
  }
  bool ready = false;
  if (!r.wait_for_done) {
    promise<bool> judging = is_enough(s.from(), r.wants, common.ids());
    ready = co_await judging;
  }
  if (ready) {
    s.add("ready\n");
    s.add_delimiter();
  } else {
    s.add_flush();
  }
  promise<> flushed = s.flush();
  co_await flushed;
  co_return ready;
}

}  // namespace

promise<> answer_fetch(upload_session& s, upload_request r) {
  if (r.wants.empty()) co_return;
  r.bands = band_mode::large;
  promise<> checked = check_wants(s.from(), r);
  co_await checked;
  common_objects common(s.from());
  for (const object_id& id : r.haves) {
    common.add(id);
    co_await maybe_pause();
  }
  if (!r.haves.empty() && !r.done) {
    promise<bool> acknowledged = acknowledge(s, r, common);
    const bool ready = co_await acknowledged;
    if (!ready) co_return;
  }
  promise<history_cut> cutting = find_cut(s, r);
  const history_cut cut = co_await std::move(cutting);
  if (r.deepens() || !r.shallow.empty() || !s.from()->shallow.empty()) {
    s.add("shallow-info\n");
    promise<> said = say_cut(s, cut);
    co_await said;
    s.add_delimiter();
  }
  s.add("packfile\n");
  promise<> flushed = s.flush();
  co_await flushed;
  promise<> sent = send_pack(s, r, common, cut);
  co_await sent;
}

namespace {

// Protocol 0's negotiation, as git's get_common_commits has it.
class classic_negotiation {
public:
  classic_negotiation(upload_session& s, const upload_request& r)
      : s_(s), r_(r), common_(s.from()) {}

  // True if the pack follows.
  promise<bool> run();
  [[nodiscard]] const common_objects& common() const noexcept { return common_; }

private:
  promise<bool> end_round();
  promise<> hear(object_id id);
  promise<bool> enough();
  void acknowledge(const char* how) { s_.add("ACK " + last_.hex() + how + "\n"); }

  upload_session& s_;
  const upload_request& r_;
  common_objects common_;
  object_id last_;
  std::uint64_t heard_ = 0;
  bool got_common_ = false;
  bool got_other_ = false;
  bool said_ready_ = false;
  std::size_t judged_ = 0;  // how much was common when `enough_` was found
  bool enough_ = false;
};

// Judged once for each new common object: a client may send haves that are not known for ever.
promise<bool> classic_negotiation::enough() {
  if (judged_ == common_.ids().size()) co_return enough_;
  judged_ = common_.ids().size();
  promise<bool> judging = is_enough(s_.from(), r_.wants, common_.ids());
  enough_ = co_await judging;
  co_return enough_;
}

// A flush from the client; true if the pack follows without a `done`.
promise<bool> classic_negotiation::end_round() {
  if (r_.acks == ack_mode::detailed && got_common_ && !got_other_) {
    promise<bool> judging = enough();
    const bool yes = co_await judging;
    if (yes) {
      said_ready_ = true;
      acknowledge(" ready");
    }
  }
  if (common_.ids().empty() || r_.acks != ack_mode::first) s_.add("NAK\n");
  const bool over = r_.no_done && said_ready_;
  if (over) acknowledge("");
  promise<> flushed = s_.flush();
  co_await flushed;
  got_common_ = false;
  got_other_ = false;
  co_return over;
}

promise<> classic_negotiation::hear(object_id id) {
  if (++heard_ > s_.options().limits.ids) {
    throw failure(reason::limit, "more than " + std::to_string(s_.options().limits.ids) + " haves");
  }
  const bool first = common_.ids().empty();
  if (common_.add(id)) {
    got_common_ = true;
    last_ = id;
    if (r_.acks == ack_mode::detailed) {
      acknowledge(" common");
    } else if (r_.acks == ack_mode::multi) {
      acknowledge(" continue");
    } else if (first) {
      acknowledge("");
    }
    co_return;
  }
  got_other_ = true;
  if (r_.acks == ack_mode::first || common_.ids().empty()) co_return;
  promise<bool> judging = enough();
  const bool yes = co_await judging;
  if (!yes) co_return;
  last_ = id;
  said_ready_ = said_ready_ || r_.acks == ack_mode::detailed;
  acknowledge(r_.acks == ack_mode::detailed ? " ready" : " continue");
}

promise<bool> classic_negotiation::run() {
  for (;;) {
    promise<std::optional<request_packet>> reading = s_.read();
    const std::optional<request_packet> p = co_await std::move(reading);
    if (!p) co_return false;  // the end of a request over HTTP, or the client left
    if (!p->is_data()) {
      promise<bool> ending = end_round();
      const bool over = co_await ending;
      if (over) co_return true;
      if (s_.options().part == upload_part::request) co_return false;
    } else if (p->line == "done") {
      if (common_.ids().empty()) {
        s_.add("NAK\n");
      } else if (r_.acks != ack_mode::first) {
        acknowledge("");
      }
      co_return true;
    } else {
      upload_request one;
      read_fetch_argument(one, p->line, s_.options().limits);
      if (one.haves.empty()) {
        throw failure(reason::protocol, "unexpected line \"" + printable(p->line, 120) + "\"");
      }
      promise<> heard = hear(one.haves.front());
      co_await heard;
    }
  }
}

}  // namespace

promise<> answer_classic(upload_session& s) {
  upload_request r;
  for (;;) {
    promise<std::optional<request_packet>> reading = s.read();
    const std::optional<request_packet> p = co_await std::move(reading);
    if (!p || !p->is_data()) break;
    read_want_line(r, p->line, s.options().limits);
  }
  if (r.wants.empty()) co_return;  // the client has all it wants
  promise<> checked = check_wants(s.from(), r);
  co_await checked;
  promise<history_cut> cutting = find_cut(s, r);
  const history_cut cut = co_await std::move(cutting);
  if (r.deepens()) {
    promise<> said = say_cut(s, cut);
    co_await said;
    s.add_flush();
    promise<> flushed = s.flush();
    co_await flushed;
  }
  classic_negotiation talk(s, r);
  promise<bool> talking = talk.run();
  const bool follows = co_await talking;
  promise<> flushed = s.flush();
  co_await flushed;
  if (!follows) co_return;
  promise<> sent = send_pack(s, r, talk.common(), cut);
  co_await sent;
}

}  // namespace fermata::git_mem::detail
