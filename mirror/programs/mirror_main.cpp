// SPDX-License-Identifier: MIT
// fermata-mirror: an opam repository over HTTP, also while it is being cloned.

#include "console.hpp"
#include "first_end.hpp"
#include "further_loops.hpp"
#include "open_files.hpp"
#include "service_manager.hpp"

#include <fermata/loop/worker_pool.hpp>
#include <fermata/mirror/access_log.hpp>
#include <fermata/mirror/log_text.hpp>
#include <fermata/mirror/options.hpp>
#include <fermata/mirror/progress_line.hpp>
#include <fermata/mirror/service.hpp>
#include <fermata/promise/detach.hpp>
#include <fermata/promise/scope.hpp>
#include <fermata/promise/signals.hpp>
#include <fermata/promise/sleep.hpp>

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace {

using namespace std::chrono_literals;
using fermata::promise;
using fermata::mirror::access_log;
using fermata::mirror::console;
using fermata::mirror::further_loops;
using fermata::mirror::log_format;
using fermata::mirror::mirror_options;
using fermata::mirror::service;
using fermata::mirror::service_manager;
using fermata::mirror::service_state;

constexpr std::chrono::milliseconds flush_tick{200};
constexpr std::chrono::milliseconds busy_tick{100};
constexpr std::chrono::milliseconds idle_tick{500};
constexpr std::chrono::milliseconds end_time{80};  // for work that was cancelled

// All that the program says, and what it has said of the progress.
struct voice {
  explicit voice(const mirror_options& given)
      : format(given.format),
        most(given.quiet ? std::min(given.most_logged, fermata::log_level::warn)
                         : given.most_logged),
        quiet(given.quiet),
        line(given.format == log_format::json ? 0 : err.terminal_width()),
        on_terminal(given.format == log_format::text && err.terminal_width() > 0) {}

  void log(fermata::log_level level, std::string_view area, std::string_view message) {
    if (level > most) return;
    // Beside a progress bar nobody wants to read of phases.
    if (on_terminal && most == fermata::log_level::info && level == fermata::log_level::info) {
      return;
    }
    err.write(line.end() + fermata::mirror::log_line(format, level, area, message));
  }
  void serving(const fermata::mirror::generation& g) {
    const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - began;
    err.write(line.end());
    say(fmt::format("{}serving commit={} files={} bytes={} seconds={:.3f}",
                    has_served ? "now " : "", g.commit, g.files, g.index.size(), passed.count()));
    has_served = true;
  }
  // News that scripts wait for: standard output, whatever the level is.
  void say(const std::string& text) {
    if (format == log_format::json) {
      out.write(fermata::mirror::log_line(format, fermata::log_level::info, "mirror", text));
    } else {
      out.write(text + "\n");
    }
  }

  // For the logs of other threads: each line is one write.
  [[nodiscard]] fermata::log_sink thread_log() const {
    return [format = format, most = most](fermata::log_level level, std::string_view area,
                                          std::string_view message) {
      if (level > most) return;
      const std::string text = fermata::mirror::log_line(format, level, area, message);
      static_cast<void>(!::write(STDERR_FILENO, text.data(), text.size()));
    };
  }

  void progress(const fermata::mirror::progress_status& p) {
    if (quiet || format == log_format::json) return;
    if (!on_terminal && most < fermata::log_level::info) return;  // they are log lines there
    const auto now = std::chrono::steady_clock::now() - began;
    err.write(line.update(p, std::chrono::duration_cast<std::chrono::milliseconds>(now)));
  }
  void progress() {
    if (of != nullptr) progress(of->progress());
  }

  const service* of = nullptr;
  console out{STDOUT_FILENO};
  console err{STDERR_FILENO};
  log_format format;
  fermata::log_level most;
  bool quiet;
  fermata::mirror::progress_line line;
  bool on_terminal;
  bool has_served = false;
  std::chrono::steady_clock::time_point began = std::chrono::steady_clock::now();
};

// Of the work or, where there is none, of the downloads, to their last one.
promise<> show_progress(const service& s, voice& v) {
  bool was_downloading = false;
  for (;;) {
    const auto batch = s.downloads();
    const bool downloads = batch && batch->is_active;
    const bool works = s.progress().phase.has_value();
    if (works) {
      v.progress();
    } else if (downloads || was_downloading) {
      v.progress(fermata::mirror::progress_of(*batch));
    }
    if (!works && !downloads) v.err.write(v.line.end());
    was_downloading = downloads;
    v.out.flush();
    promise<> tick = fermata::sleep_for(works || downloads ? busy_tick : idle_tick);
    co_await tick;
  }
}

// What `systemctl status` shows.
std::string manager_text(const service& s) {
  const fermata::mirror::service_status now = s.status();
  std::string text = "STATUS=" + std::string(to_string(now.state));
  if (now.commit) text += ", serving " + now.commit->substr(0, 12);
  if (now.progress.phase) text += ": " + fermata::mirror::progress_text(now.progress);
  if (const auto batch = s.downloads(); batch && batch->is_active) {
    text += "; " + fermata::mirror::progress_text(fermata::mirror::progress_of(*batch));
  }
  if (now.error.message) text += "; last error: " + *now.error.message;
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

// From the loop: a loop that is held does not say that it lives.
promise<> tell_manager(const service& s, service_manager& manager) {
  manager.tell("READY=1\n" + manager_text(s));
  const std::chrono::nanoseconds period =
      std::min<std::chrono::nanoseconds>(manager.watchdog().value_or(10s) / 2, 5s);
  for (;;) {
    promise<> tick = fermata::sleep_for(period);
    co_await tick;
    manager.tell("WATCHDOG=1\n" + manager_text(s));
  }
}

promise<> settled(promise<> p) {
  return p.catch_([](std::exception_ptr) { return fermata::ready(); });
}

// Ends the work and the connections; false where some of it cannot be ended in time (a name that is
// being resolved), or a second signal wants no more waiting.
promise<bool> stop(service& s,
                   promise<> working,
                   fermata::signal_source& signals,
                   std::chrono::nanoseconds drain_time) {
  fermata::cancel(working);
  promise<> closed = s.shutdown(drain_time);
  std::vector<promise<>> ends;
  ends.push_back(signals.next().map([](int) {}));
  ends.push_back(closed);
  promise<> first_end = fermata::pick(std::move(ends));
  co_await first_end;
  promise<> in_time = fermata::sleep_for(end_time);  // with_timeout would wait for the work's end
  auto [over, end] = fermata::make_promise<>();
  auto shared = std::make_shared<fermata::resolver<>>(std::move(end));
  const auto finish = [shared] {
    if (*shared) shared->resolve();
  };
  promise<> by_work = settled(working).map(finish);
  promise<> by_time = settled(in_time).map(finish);
  co_await over;
  fermata::cancel(by_time);
  co_return !working.is_pending();
}

// Listens where it is told, or at what the service manager has opened.
void listen(const mirror_options& options,
            service& s,
            voice& v,
            service_manager& manager,
            further_loops& others) {
  std::vector<std::string> addresses;
  std::vector<int> sockets;
  const auto serve_on = [&s, &v](fermata::tcp_listener listener) {
    v.say("listening on http://" + listener.address());
    s.serve(std::move(listener));
  };
  std::vector<fermata::unique_fd> given = manager.take_sockets();
  for (const fermata::unique_fd& socket : given) sockets.push_back(socket.get());
  if (given.empty()) {
    fermata::listen_options how;
    how.reuse_port = options.loops > 1;
    for (const std::string& where : options.listen) {
      // Ours share a port, with nobody else: a second mirror would get a part of our clients.
      if (how.reuse_port) static_cast<void>(fermata::tcp_listener(where));
      fermata::tcp_listener listener(where, how);
      addresses.push_back(listener.address());
      serve_on(std::move(listener));
    }
  }
  others.serve(s, addresses, sockets, options.drain_time);
  for (fermata::unique_fd& socket : given) serve_on(fermata::tcp_listener(std::move(socket)));
}

// Writes the access log, off the loop.
promise<> keep_access_log(access_log& to, voice& v) {
  for (;;) {
    promise<> tick = fermata::sleep_for(flush_tick);
    co_await tick;
    promise<bool> writing = fermata::detach([log = &to] { return log->flush(); });
    std::string failed;
    try {
      static_cast<void>(co_await writing);
    } catch (const fermata::error& e) {
      failed = e.what();
    }
    if (failed.empty()) continue;
    v.log(fermata::log_level::warn, "mirror", failed);
    promise<> later = fermata::sleep_for(60s);
    co_await later;
  }
}

// At the end of the program.
void write_rest(access_log& of, voice& v) {
  try {
    while (of.flush()) {
    }
  } catch (const fermata::error& e) {
    v.log(fermata::log_level::warn, "mirror", e.what());
  }
}

// The first signal that ends the program. SIGHUP is a new access log.
promise<> wait_for_end(fermata::signal_source& signals, access_log* to, voice& v) {
  for (;;) {
    promise<int> next = signals.next();
    const int signal = co_await next;
    if (signal != SIGHUP) co_return;
    try {
      if (to != nullptr) to->reopen();
    } catch (const fermata::error& e) {
      v.log(fermata::log_level::error, "mirror", e.what());
    }
  }
}

// Of each loop: more than the system lets us have open would wait for one that ends.
struct connection_limit {
  explicit connection_limit(const mirror_options& given)
      : files(fermata::mirror::raise_file_limit()),
        wanted(given.most_connections),
        fits(fermata::mirror::connections_within(files / given.loops, wanted)) {}

  void tell(voice& v) const {
    if (fits == wanted) return;
    v.log(fermata::log_level::warn, "mirror",
          fmt::format("at most {} connections a loop, not {}: a process may have {} files open",
                      fits, wanted, files));
  }

  std::uint64_t files;
  std::uint32_t wanted;
  std::uint32_t fits;
};

enum class ending { whole, cut, failed };

// A service that does not update any more must not look as if it did: when a part of the program
// ends by itself, all of it does, and whoever watches it may start it again.
promise<ending> serve(const mirror_options& options,
                      const connection_limit& limit,
                      service& s,
                      voice& v,
                      service_manager& manager,
                      access_log* accesses) {
  fermata::signal_source signals(std::vector<int>{SIGINT, SIGTERM, SIGHUP});
  further_loops others(options.loops - 1, options.work_policy, v.thread_log());
  listen(options, s, v, manager, others);
  limit.tell(v);
  promise<> working = s.run();
  std::vector<promise<>> beside;
  beside.push_back(show_progress(s, v));
  beside.push_back(tell_manager(s, manager));
  if (accesses != nullptr) beside.push_back(keep_access_log(*accesses, v));
  std::vector<promise<>> parts = others.parts();
  parts.push_back(working);
  parts.insert(parts.end(), beside.begin(), beside.end());
  promise<std::string> over =
      fermata::mirror::first_end(wait_for_end(signals, accesses, v), std::move(parts));
  const std::string failure = co_await over;
  if (!failure.empty()) v.log(fermata::log_level::error, "mirror", "cannot go on: " + failure);
  manager.tell("STOPPING=1");
  promise<> others_end = settled(others.shutdown());
  v.err.write(v.line.end());
  promise<bool> stopping = stop(s, std::move(working), signals, options.drain_time);
  const bool stopped = co_await stopping;
  for (const promise<>& p : beside) fermata::cancel(p);
  if (stopped) co_await others_end;
  if (!failure.empty()) co_return ending::failed;
  co_return stopped ? ending::whole : ending::cut;
}

fermata::mirror::service_options options_of(const mirror_options& given,
                                            const connection_limit& limit,
                                            voice& v) {
  fermata::mirror::service_options options = fermata::mirror::service_options_of(given);
  fermata::mirror::check_ca_file(given);  // else each https would fail, one after another
  options.version = FERMATA_VERSION;
  options.http.most_connections = limit.fits;
  options.update_secret = fermata::mirror::read_update_secret(given);
  options.on_phase = [&v](const fermata::mirror::phase_report&) { v.progress(); };  // its end
  options.on_served = [&v](const fermata::mirror::generation& g) { v.serving(g); };
  return options;
}

int run(const mirror_options& given) {
  voice v(given);
  service_manager manager;
  fermata::loop_options options;
  options.when = given.work_policy;
  options.measure_cpu = true;
  options.log = [&v](fermata::log_level level, std::string_view area, std::string_view message) {
    v.log(level, area, message);
  };
  fermata::event_loop loop(std::move(options));
  loop.pool().set_bounds({0, given.threads});
  std::optional<access_log> accesses;
  if (!given.access_log.empty()) accesses.emplace(given.access_log);
  const connection_limit limit(given);
  fermata::mirror::service_options how = options_of(given, limit, v);
  if (accesses) {
    how.http.on_answered = [&log = *accesses](const auto& answered) { log.add(answered); };
    how.lost_log_lines = [&log = *accesses] { return log.dropped(); };
  }
  service s(std::move(how));
  v.of = &s;
  const ending how_ended =
      loop.run([&] { return serve(given, limit, s, v, manager, accesses ? &*accesses : nullptr); });
  if (accesses) write_rest(*accesses, v);
  v.out.flush();
  const int status = how_ended == ending::failed ? EXIT_FAILURE : EXIT_SUCCESS;
  if (how_ended != ending::whole) std::_Exit(status);  // what is on disk is whole at any moment
  return status;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  auto parsed = fermata::mirror::parse_options(arguments, FERMATA_VERSION);
  if (const auto* said = std::get_if<fermata::mirror::exit_message>(&parsed)) {
    std::fputs(said->text.c_str(), said->status == 0 ? stdout : stderr);
    return said->status;
  }
  std::signal(SIGPIPE, SIG_IGN);  // who does not read our output any more is no reason to end
  try {
    return run(std::get<mirror_options>(parsed));
  } catch (const std::exception& e) {
    std::fprintf(stderr, "fermata-mirror: %s\n", e.what());
    return EXIT_FAILURE;
  }
}
