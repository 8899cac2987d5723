// SPDX-License-Identifier: MIT
#include "upload_session.hpp"

#include <fermata/git_mem/upload_pack.hpp>

#include <array>
#include <exception>
#include <utility>

namespace fermata::git_mem {

namespace {

using detail::request_packet;
using detail::upload_session;

// The arguments of a command of protocol 2, after its capabilities; `take` gets each.
template <typename Take>
promise<> read_arguments(upload_session& s, Take take) {
  bool in_arguments = false;
  for (;;) {
    promise<request_packet> reading = s.read_more();
    const request_packet p = co_await std::move(reading);
    if (p.kind == pkt_kind::flush) co_return;
    if (p.kind == pkt_kind::delimiter && !std::exchange(in_arguments, true)) continue;
    if (!p.is_data()) throw failure(reason::protocol, "unexpected packet in a request");
    if (in_arguments) {
      take(p.line);
    } else if (p.line.starts_with("object-format=") && p.line != "object-format=sha1") {
      throw failure(reason::unsupported, printable(p.line, 80) + ": only sha1 is supported");
    }
  }
}

promise<> answer_command(upload_session& s, std::string line) {
  const upload_limits& limits = s.options().limits;
  if (line == "command=ls-refs") {
    detail::ls_refs_request_lines asked;
    const auto take = [&](const std::string& l) { asked.read(l, limits); };
    promise<> read = read_arguments(s, take);
    co_await read;
    promise<> answered = detail::answer_ls_refs(s, std::move(asked));
    co_await answered;
  } else if (line == "command=fetch") {
    detail::upload_request asked;
    const auto take = [&](const std::string& l) { detail::read_fetch_argument(asked, l, limits); };
    promise<> read = read_arguments(s, take);
    co_await read;
    promise<> answered = detail::answer_fetch(s, std::move(asked));
    co_await answered;
  } else {
    throw failure(reason::unsupported, "unknown command \"" + printable(line, 80) + "\"");
  }
}

promise<> answer_commands(upload_session& s) {
  for (;;) {
    promise<std::optional<request_packet>> reading = s.read();
    const std::optional<request_packet> p = co_await std::move(reading);
    if (!p || !p->is_data()) co_return;
    promise<> answered = answer_command(s, p->line);
    co_await answered;
    if (s.options().part == upload_part::request) co_return;
  }
}

promise<> converse(upload_session& s) {
  if (s.options().part != upload_part::request) {
    promise<> advertised = detail::advertise(s);
    co_await advertised;
  }
  if (s.options().part == upload_part::advertisement) co_return;
  promise<> answered = s.options().version == 2 ? answer_commands(s) : detail::answer_classic(s);
  co_await answered;
}

// The client is told where the protocol has a place for it.
promise<> tell(upload_session& s, std::string why) {
  why = "upload-pack: " + why;
  if (!s.in_pack) {
    s.add("ERR " + why + "\n");
  } else if (s.bands != detail::band_mode::none) {
    s.add("\3" + why + "\n");
  }
  promise<> flushed = s.flush();
  try {
    co_await flushed;
  } catch (const error&) {
    co_return;  // it has gone: what went wrong first is what counts
  }
}

}  // namespace

promise<upload_report> upload_pack(snapshot_ptr from,
                                   byte_stream& stream,
                                   upload_pack_options options) {
  upload_session s(std::move(from), stream, options);
  s.report.version = options.version;
  std::exception_ptr failed;
  std::string why;
  promise<> talk = converse(s);
  try {
    co_await talk;
    co_return s.report;
  } catch (const failure& f) {
    failed = std::current_exception();
    why = f.what();
  }
  promise<> told = tell(s, std::move(why));
  co_await told;
  std::rethrow_exception(failed);
}

promise<upload_report> upload_pack(const object_store& store,
                                   byte_stream& stream,
                                   upload_pack_options options) {
  return upload_pack(store.current(), stream, std::move(options));
}

int asked_version(std::string_view text) noexcept {
  int version = 0;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(':'), text.size());
    const std::string_view word = text.substr(0, end);
    if (word == "version=2") version = std::max(version, 2);
    if (word == "version=1") version = std::max(version, 1);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return version;
}

namespace {

struct daemon_request_line {
  std::string service;
  std::string path;
  int version = 0;
};

// "git-upload-pack /path\0host=h\0\0version=2\0"
daemon_request_line parse_daemon_request(std::string_view line) {
  const std::size_t space = line.find(' ');
  if (space == std::string_view::npos) {
    throw failure(reason::protocol, "\"" + printable(line, 80) + "\" is no request of git");
  }
  daemon_request_line r;
  r.service = line.substr(0, space);
  line.remove_prefix(space + 1);
  const std::size_t end = std::min(line.find('\0'), line.size());
  r.path = line.substr(0, end);
  constexpr std::string_view extra("\0\0", 2);
  const std::size_t more = line.find(extra, end);
  if (more == std::string_view::npos) return r;
  line.remove_prefix(more + extra.size());
  while (!line.empty()) {
    const std::size_t stop = std::min(line.find('\0'), line.size());
    r.version = std::max(r.version, asked_version(line.substr(0, stop)));
    line.remove_prefix(std::min(stop + 1, line.size()));
  }
  return r;
}

// Before the repository is known: an empty snapshot stands for it.
promise<daemon_request_line> read_daemon_request(upload_session& s) {
  promise<request_packet> reading = s.read_more();
  const request_packet p = co_await std::move(reading);
  if (!p.is_data()) throw failure(reason::protocol, "no request of git");
  daemon_request_line r = parse_daemon_request(p.line);
  if (r.service != "git-upload-pack") {
    throw failure(reason::unsupported,
                  printable(r.service, 80) + " is not served here, this is read only");
  }
  co_return r;
}

}  // namespace

promise<upload_report> answer_git_daemon(byte_stream& stream,
                                         store_finder find,
                                         upload_pack_options options) {
  upload_session s(std::make_shared<const snapshot>(), stream, options);
  std::exception_ptr failed;
  std::string why;
  daemon_request_line asked;
  const object_store* store = nullptr;
  promise<daemon_request_line> reading = read_daemon_request(s);
  try {
    asked = co_await std::move(reading);
    store = find(asked.path);
    if (store == nullptr) {
      throw failure(reason::not_found, "no repository " + printable(asked.path, 200));
    }
  } catch (const failure& f) {
    failed = std::current_exception();
    why = f.what();
  }
  if (failed) {
    promise<> told = tell(s, std::move(why));
    co_await told;
    std::rethrow_exception(failed);
  }
  options.version = asked.version;
  promise<upload_report> served = upload_pack(*store, stream, options);
  co_return co_await std::move(served);
}

}  // namespace fermata::git_mem
