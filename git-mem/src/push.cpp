// SPDX-License-Identifier: MIT
// `git receive-pack` speaks version 0 alone: it lists its refs, takes commands and a pack, and
// reports, within bands if it can.

#include "clone_over.hpp"
#include "packet_source.hpp"
#include "protocol_lines.hpp"
#include "short_targets.hpp"
#include "sliced_sort.hpp"
#include "transport.hpp"

#include <fermata/git_mem/commit.hpp>
#include <fermata/git_mem/log.hpp>
#include <fermata/git_mem/pack_writer.hpp>
#include <fermata/git_mem/protocol.hpp>
#include <fermata/git_mem/push.hpp>
#include <fermata/git_mem/reachability.hpp>
#include <fermata/promise/pause.hpp>
#include <fermata/promise/sleep.hpp>

#include <algorithm>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace fermata::git_mem {

namespace {

constexpr std::size_t most_said_bytes = 64 * 1024;
constexpr std::size_t commands_part_bytes = 32 * 1024;

// Where in the result each ref is.
using ref_numbers = std::unordered_map<std::string_view, std::size_t>;

// The report, out of its bands. They go on after it: a hook that nobody listens to would wait.
class report_reader {
public:
  report_reader(push_result& result, const ref_numbers& numbers, bool has_bands)
      : result_(result), numbers_(numbers), has_bands_(has_bands) {}

  [[nodiscard]] bool push(const pkt& p) {
    detail::check_error(p);
    if (!has_bands_) return take(p);
    if (p.kind == pkt_kind::flush) {
      if (!reported_) throw failure(reason::protocol, "the server ends before its report does");
      return true;
    }
    if (p.kind != pkt_kind::data || p.payload.empty()) return false;
    const std::string_view data = p.payload.substr(1);
    switch (p.payload.front()) {
      case 1:
        inner_.feed(bytes_of(data));
        while (const std::optional<pkt> q = inner_.next()) {
          reported_ = reported_ || take(*q);
        }
        return false;
      case 2:
        if (!data.empty() && result_.remote_says.size() < most_said_bytes) {
          result_.remote_says +=
              printable(data, most_said_bytes - result_.remote_says.size()) + "\n";
        }
        return false;
      case 3:
        throw failure(reason::remote, "the server says: " + printable(data));
      default:
        throw failure(reason::protocol, "an unknown band of the report");
    }
  }

private:
  bool take(const pkt& p) {
    if (p.kind == pkt_kind::flush) {
      if (!unpacked_) throw failure(reason::protocol, "the server reports nothing");
      return true;
    }
    const std::string_view line = p.line();
    if (line.starts_with("unpack ")) {
      unpacked_ = true;
      if (line != "unpack ok") {
        throw failure(reason::remote,
                      "the server cannot take the pack: " + printable(line.substr(7)));
      }
    } else if (line.starts_with("ok ")) {
      settle(line.substr(3), {});
    } else if (line.starts_with("ng ")) {
      const std::size_t space = line.find(' ', 3);
      if (space == std::string_view::npos) detail::bad_line(line);
      settle(line.substr(3, space - 3), "the remote refused: " + printable(line.substr(space + 1)));
    } else if (!line.starts_with("option ")) {
      detail::bad_line(line);
    }
    return false;
  }

  void settle(std::string_view name, std::string why) {
    const auto at = numbers_.find(name);
    if (at == numbers_.end()) return;
    pushed_ref& r = result_.refs[at->second];
    if (r.refused.empty() || r.refused == unheard) r.refused = std::move(why);
  }

public:
  static constexpr std::string_view unheard = "the remote reported nothing of it";

private:
  push_result& result_;
  const ref_numbers& numbers_;
  bool has_bands_;
  bool unpacked_ = false;
  bool reported_ = false;
  pkt_reader inner_;
};

struct pushing {
  pushing(snapshot_ptr f, detail::connection& c, const push_options& o)
      : from(std::move(f)), in(c.stream(), o.connection), options(o) {}

  snapshot_ptr from;
  detail::packet_source in;
  const push_options& options;
  std::vector<push_command> what;
  advertisement there;
  push_result result;
  ref_numbers numbers;             // names are those of the commands
  std::vector<push_command> sent;  // those that are not refused here
};

// In the order of the commands, each ref once. Before the remote is asked some have a short name
// alone.
promise<ref_numbers> check_commands(const snapshot& from, const std::vector<push_command>& what) {
  ref_numbers numbers;
  for (const push_command& c : what) {
    const bool is_open = c.ref.empty() && !c.short_name.empty();
    const std::string& name = is_open ? c.short_name : c.ref;
    if (!is_ref_name(is_open ? "refs/heads/" + name : name) || name == "HEAD") {
      throw failure(reason::unsupported, "\"" + printable(name) + "\" is no name of a ref");
    }
    if (!c.to.is_zero() && !from.find_object(c.to)) {
      throw failure(reason::not_found, "object " + c.to.hex() + ": not in the store");
    }
    if (!is_open && !numbers.emplace(c.ref, numbers.size()).second) {
      throw failure(reason::unsupported, "\"" + printable(c.ref) + "\" is named twice");
    }
    co_await maybe_pause();
  }
  co_return numbers;
}

promise<bool> is_ancestor(snapshot_ptr in, object_id before, object_id after) {
  if (!in->find_object(before)) co_return false;
  promise<std::optional<object_id>> older = peel(in, before, object_type::commit);
  const std::optional<object_id> from = co_await older;
  promise<std::optional<object_id>> newer = peel(in, after, object_type::commit);
  const std::optional<object_id> to = co_await newer;
  if (!from || !to) co_return false;
  commit_log log(in, {1, *to});
  for (;;) {
    promise<std::optional<commit>> next = log.next();
    const std::optional<commit> c = co_await std::move(next);
    if (!c) co_return false;
    if (c->id == *from) co_return true;
  }
}

// Why a command is not even sent; empty: it is.
promise<std::string> find_fault(pushing& p, const push_command& c, object_id before) {
  if (c.expected && *c.expected != before) {
    if (before.is_zero()) co_return std::string("it is not there");
    co_return "it stands at " + before.hex() + " there";
  }
  if (c.to.is_zero() && before.is_zero()) co_return std::string("it is not there");
  if (c.to.is_zero() && !p.there.can.has("delete-refs")) {
    co_return std::string("the remote deletes no refs");
  }
  const bool moves = !c.force && !before.is_zero() && !c.to.is_zero() && before != c.to;
  if (!moves) co_return std::string();
  if (c.ref.starts_with("refs/tags/")) co_return std::string("the tag is there already");
  promise<bool> judged = is_ancestor(p.from, before, c.to);
  const bool goes_forward = co_await judged;
  if (goes_forward) co_return std::string();
  co_return "not a fast-forward: it stands at " + before.hex() + " there";
}

promise<> judge_commands(pushing& p) {
  const std::vector<push_command>& what = p.what;
  std::vector<object_id> before(what.size());
  for (const reference& there : p.there.refs) {
    const auto at = p.numbers.find(there.name);
    if (at != p.numbers.end()) before[at->second] = there.id;
    co_await maybe_pause();
  }
  bool any_refused = false;
  for (const push_command& c : what) {
    pushed_ref r;
    r.ref = c.ref;
    r.after = c.to;
    r.before = before[p.numbers.at(c.ref)];
    promise<std::string> judged = find_fault(p, c, r.before);
    r.refused = co_await std::move(judged);
    any_refused = any_refused || !r.refused.empty();
    if (r.refused.empty() && r.before != r.after) {
      r.refused = report_reader::unheard;
      p.sent.push_back(c);
    }
    p.result.refs.push_back(std::move(r));
    co_await maybe_pause();
  }
  if (!any_refused || !p.options.atomic) co_return;
  p.sent.clear();
  for (pushed_ref& r : p.result.refs) {
    if (r.refused.empty() || r.refused == report_reader::unheard) {
      r.refused = "another ref is refused";
    }
  }
}

// What we can, for the first command.
std::string own_capabilities(const pushing& p) {
  const capabilities& can = p.there.can;
  if (!can.has("report-status")) {
    throw failure(reason::unsupported, "the server is too old (no report-status)");
  }
  std::string words = " report-status";
  for (const char* word : {"side-band-64k", "quiet"}) {
    if (can.has(word)) words += " " + std::string(word);
  }
  if (p.options.atomic) {
    if (!can.has("atomic")) throw failure(reason::unsupported, "the server knows no atomic push");
    words += " atomic";
  }
  return words;
}

// In parts, as thousands of refs take more than one step.
promise<> send_commands(pushing& p) {
  std::string words = own_capabilities(p);
  std::string out;
  for (const object_id& id : p.from->shallow) {
    append_pkt(out, "shallow " + id.hex());
    co_await maybe_pause();
  }
  for (const push_command& c : p.sent) {
    const object_id& before = p.result.refs[p.numbers.at(c.ref)].before;
    std::string line = before.hex() + " " + c.to.hex() + " " + c.ref;
    if (!words.empty()) line += '\0' + std::exchange(words, {});
    append_pkt(out, line);
    if (out.size() >= commands_part_bytes) {
      promise<> part = detail::send_text(p.in, std::exchange(out, {}));
      co_await part;
    }
    co_await maybe_pause();
  }
  append_flush(out);
  promise<> rest = detail::send_text(p.in, std::move(out));
  co_await rest;
}

promise<> send_pack(pushing& p) {
  reachability_request request;
  for (const push_command& c : p.sent) {
    if (!c.to.is_zero()) request.tips.push_back(c.to);
  }
  if (request.tips.empty()) co_return;  // deletions need none
  request.haves.reserve(p.there.refs.size());
  for (const reference& r : p.there.refs) {
    request.haves.push_back(r.id);
    co_await maybe_pause();
  }
  promise<> sorted = detail::sort_ids(request.haves);
  co_await sorted;
  promise<reachable_objects> finding = find_reachable(p.from, std::move(request));
  const reachable_objects found = co_await std::move(finding);
  pack_writer_options how;
  how.ofs_delta = p.there.can.has("ofs-delta");
  if (!p.there.can.has("no-thin")) how.thin_bases = found.had;
  pack_sink sink = [&p](std::span<const std::byte> bytes) {
    return with_timeout(p.options.connection.idle_timeout, p.in.stream.write(bytes));
  };
  promise<written_pack> writing =
      write_pack(p.from, found.objects, std::move(sink), std::move(how));
  try {
    const written_pack written = co_await std::move(writing);
    p.result.objects = written.objects;
    p.result.pack_bytes = written.bytes;
  } catch (const timed_out&) {
    throw failure(reason::remote, "the server does not read the pack");
  }
}

promise<push_result> converse(pushing& p) {
  advertisement_reader first(p.options.connection.protocol);
  promise<> advertised = detail::read_message(p.in, first, "before it said what it has");
  co_await advertised;
  p.there = std::move(first.result());
  if (p.there.version == 2) {
    throw failure(reason::protocol, "the server speaks version 2, in which nothing is pushed");
  }
  promise<std::string> resolving = detail::resolve_short_names(p.what, p.there.refs);
  const std::string fault = co_await std::move(resolving);
  if (!fault.empty()) {
    promise<> bye = detail::send_text(p.in, "0000");
    co_await bye;
    throw failure(reason::not_found, fault);
  }
  promise<ref_numbers> numbering = check_commands(*p.from, p.what);
  p.numbers = co_await std::move(numbering);
  promise<> judged = judge_commands(p);
  co_await judged;
  if (p.sent.empty()) {
    promise<> bye = detail::send_text(p.in, "0000");
    co_await bye;
    co_return std::move(p.result);
  }
  promise<> asked = send_commands(p);
  co_await asked;
  promise<> sent = send_pack(p);
  co_await sent;
  report_reader report(p.result, p.numbers, p.there.can.has("side-band-64k"));
  promise<> reported = detail::read_message(p.in, report, "before it reported");
  co_await reported;
  co_return std::move(p.result);
}

promise<push_result> converse_to_end(pushing& p, detail::connection& to) {
  promise<push_result> conversation = converse(p);
  push_result result = co_await std::move(conversation);
  promise<> finished = to.finish();
  co_await finished;
  co_return result;
}

promise<push_result> push_to(snapshot_ptr from,
                             const remote_url& url,
                             std::vector<push_command> what,
                             const push_options& options) {
  promise<ref_numbers> checked = check_commands(*from, what);
  co_await std::move(checked);  // before anybody is asked
  promise<detail::connection> connecting =
      detail::connect(url, detail::git_service::receive_pack, options.connection.remote);
  detail::connection to = co_await std::move(connecting);
  pushing p(std::move(from), to, options);
  p.what = std::move(what);
  promise<push_result> pushed = converse_to_end(p, to);
  promise<push_result> explained = detail::or_explained(to, std::move(pushed));
  co_return co_await std::move(explained);
}

}  // namespace

bool push_result::is_success() const noexcept {
  return std::all_of(refs.begin(), refs.end(),
                     [](const pushed_ref& r) { return r.refused.empty(); });
}

promise<push_result> push(snapshot_ptr from,
                          std::string url,
                          std::vector<push_command> what,
                          push_options options) {
  const remote_url parsed = remote_url::parse(url);
  promise<push_result> pushed = push_to(std::move(from), parsed, std::move(what), options);
  try {
    co_return co_await std::move(pushed);
  } catch (const error& e) {
    throw detail::remote_failure("push to", parsed, e);
  }
}

}  // namespace fermata::git_mem
