// SPDX-License-Identifier: MIT
// Commands that take in packs: from a remote, a file or standard input.

#include "commands.hpp"
#include "moment.hpp"

#include <fermata/git_mem/analyse.hpp>
#include <fermata/git_mem/clone.hpp>
#include <fermata/git_mem/compact.hpp>
#include <fermata/git_mem/fetch.hpp>
#include <fermata/git_mem/saved_store.hpp>
#include <fermata/loop/event_loop.hpp>
#include <fermata/promise/detach.hpp>
#include <fermata/promise/pause.hpp>
#include <fermata/promise/scope.hpp>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string_view>
#include <system_error>
#include <utility>

namespace fermata_git {

using namespace fermata::git_mem;
using fermata::error;

namespace {

constexpr std::size_t pieces_on_the_way = 16;

// Of the pool: one more reads a file.
void use_threads(std::size_t count) {
  fermata::worker_pool& pool = fermata::event_loop::current().pool();
  pool.set_bounds({0, std::max<std::size_t>(pool.bounds().max, count + 1)});
}

}  // namespace

remote_options remote_of_environment() {
  remote_options remote;
  if (const char* const file = std::getenv("GIT_SSL_CAINFO")) remote.http.ca_file = file;
  return remote;
}

namespace {

// What clone and fetch have in common.
clone_options options_of(const arguments& given) {
  clone_options options;
  options.depth = given.depth;
  if (!given.shallow_since.empty()) options.shallow_since = parse_moment(given.shallow_since);
  options.shallow_exclude = given.shallow_exclude;
  options.also = given.also;
  options.filter = given.filter;
  options.pack.object_bytes = given.max_object;
  options.threads = given.threads;
  options.remote = remote_of_environment();
  use_threads(given.threads);
  return options;
}

// Of one whose HEAD names no commit.
std::string no_tip(const std::vector<reference>& refs) {
  if (refs.empty() || (refs.size() == 1 && refs.front().id.is_zero())) return "an empty repository";
  for (const reference& r : refs) {
    if (r.name == "HEAD") return "HEAD stands for " + r.symbolic_target + ", which is not there";
  }
  return "HEAD names no commit";
}

double seconds_of(const timeval& t) {
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
}

std::uint64_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  std::uint64_t pages = 0;
  std::uint64_t resident = 0;
  statm >> pages >> resident;
  return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

// One JSON line about the whole program so far.
std::string stats_line(const clone_result& result, std::chrono::steady_clock::time_point began) {
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - began;
  // The kernel adds up the peak now and then, and the present exactly.
  const std::uint64_t settled = resident_bytes();
  const std::uint64_t peak = std::max(static_cast<std::uint64_t>(used.ru_maxrss) * 1024, settled);
  const auto gap = fermata::event_loop::current().metrics().longest_gap;
  return fmt::format(
      "{{\"objects\":{},\"received_bytes\":{},\"cpu_seconds\":{:.3f},\"wall_seconds\":{:.3f},"
      "\"peak_rss_bytes\":{},\"settled_rss_bytes\":{},\"longest_turn_us\":{}}}\n",
      result.progress.objects_done - result.progress.duplicates, result.progress.bytes_received,
      seconds_of(used.ru_utime) + seconds_of(used.ru_stime), wall.count(), peak, settled,
      std::chrono::duration_cast<std::chrono::microseconds>(gap.cpu).count());
}

// Pieces of a file, read on the pool. An empty one is its end.
pack_piece read_piece(int file, const std::string& name) {
  pack_piece piece(pack_piece_bytes);
  for (;;) {
    const ssize_t n = ::read(file, piece.data(), piece.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw fermata::errno_error("cannot read " + name);
    piece.resize(static_cast<std::size_t>(n));
    return piece;
  }
}

promise<> send_pieces(int file, std::string name, fermata::channel_writer<pack_piece> out) {
  for (;;) {
    promise<pack_piece> reading = fermata::detach(read_piece, file, name);
    pack_piece piece = co_await std::move(reading);
    const bool is_last = piece.empty();
    promise<> sent = out.send(std::move(piece));
    try {
      co_await sent;
    } catch (const fermata::channel_closed&) {
      co_return;  // the analysis has failed, and says why
    }
    if (is_last) co_return;
  }
}

promise<> analyse_file(fermata::scope& sides,
                       int file,
                       std::string name,
                       pack_analyser& analyser,
                       std::size_t threads) {
  fermata::channel<pack_piece> pieces(pieces_on_the_way);
  sides.fork([file, &name, out = std::move(pieces.writer)]() mutable {
    return send_pieces(file, name, std::move(out));
  });
  promise<bool> driven = drive(analyser, std::move(pieces.reader), {}, threads);
  co_await driven;
}

// What could be for ssh is a folder where there is one of this name, as `git clone` has it.
std::string address_of(const std::string& url) {
  const std::string path = url.substr(0, url.rfind('#'));
  const std::size_t colon = path.find(':');
  if (colon == std::string::npos || colon > path.find('/')) return url;
  if (path.substr(colon).starts_with("://")) return url;
  std::error_code ignored;
  return std::filesystem::is_directory(path, ignored) ? "./" + url : url;
}

}  // namespace

promise<int> clone_command(const arguments& given, output& out) {
  const auto began = std::chrono::steady_clock::now();
  if (!given.file.empty()) check_place(given.file);  // not only at the end of a long clone
  clone_options options = options_of(given);
  if (given.verify == "fast") options.pack.names = verify::fast;
  promise<clone_result> cloning = clone(address_of(given.url), options);
  clone_result result = co_await std::move(cloning);
  const std::string what =
      result.is_empty() ? no_tip(result.refs) : result.ref + " " + result.tip.hex();
  clone_result counted;  // for the statistics
  counted.progress = result.progress;
  object_store store;
  store.publish(make_snapshot(store, std::move(result)));
  promise<> reclaimed = reclaim(store);
  co_await reclaimed;
  const std::string said = given.stats ? stats_line(counted, began) : what + "\n";
  if (!given.file.empty()) {
    promise<> saved = save(store, given.file);
    co_await saved;
  }
  out.write(said);
  co_return 0;
}

namespace {

// The line about the branch, and the files that differ.
void tell(const fetch_result& result, const object_id& before, bool with_files, output& out) {
  const std::string_view how = result.move == ref_move::forward     ? " forward"
                               : result.move == ref_move::rewritten ? " rewritten"
                                                                    : "";
  out.write(result.ref + " " + before.hex() + " " + result.tip.hex() + std::string(how) + "\n");
  if (!with_files) return;
  for (const file_change& c : result.changes) {
    out.write(std::string(1, c.letter()) + "\t" + quoted_path(c.path) + "\n");
  }
}

}  // namespace

// A store that is fetched into again and again keeps its size.
promise<int> fetch_command(const arguments& given, output& out) {
  object_store store;
  promise<snapshot_ptr> opening = open_saved(store, given.file);
  const snapshot_ptr before = co_await std::move(opening);
  promise<fetch_result> fetching = fetch(store, given.url, options_of(given));
  const fetch_result result = co_await std::move(fetching);
  if (result.tip.is_zero() && store.current() == before) {
    out.write("an empty repository: the store stays as it was\n");
    co_return 0;
  }
  promise<compact_report> compacting = compact(store);
  co_await compacting;
  promise<> saved = save(store, given.file);
  co_await saved;
  const reference* old = before->find_ref(result.ref);
  if (result.tip.is_zero()) {
    out.write(no_tip(store.current()->refs) + "\n");
  } else {
    tell(result, old == nullptr ? object_id() : old->id, given.name_status, out);
  }
  co_return 0;
}

promise<int> index_pack_command(const arguments& given, output& out) {
  const bool is_file = !given.pack.empty() && given.pack != "-";
  const std::string name = is_file ? given.pack : "standard input";
  int file = STDIN_FILENO;
  if (is_file) {
    file = ::open(given.pack.c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) throw fermata::errno_error("cannot open " + given.pack);
  }
  pack_limits limits;
  limits.object_bytes = given.max_object;
  pack_analyser analyser(limits);
  use_threads(given.threads);
  auto body = [file, &name, &analyser, &given](fermata::scope& sides) {
    return analyse_file(sides, file, name, analyser, given.threads);
  };
  promise<> analysing = fermata::scope::run(std::move(body));
  try {
    co_await analysing;
  } catch (const failure& f) {
    throw f.at(name);
  }
  const std::unique_ptr<pack> made = analyser.take();
  const object_id trailer = object_id::from_bytes(made->bytes().data() + made->end_offset());
  out.write(trailer.hex() + " " + std::to_string(made->object_count()) + "\n");
  co_return 0;
}

}  // namespace fermata_git
