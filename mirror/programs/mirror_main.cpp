// SPDX-License-Identifier: MIT
// fermata-mirror: an opam repository over HTTP, also while it is being cloned.

#include "console.hpp"

#include <fermata/mirror/options.hpp>
#include <fermata/mirror/progress_line.hpp>
#include <fermata/mirror/service.hpp>
#include <fermata/promise/scope.hpp>
#include <fermata/promise/signals.hpp>
#include <fermata/promise/sleep.hpp>

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace {

using namespace std::chrono_literals;
using fermata::promise;
using fermata::mirror::console;
using fermata::mirror::mirror_options;
using fermata::mirror::service;
using fermata::mirror::service_state;

constexpr std::chrono::milliseconds busy_tick{100};
constexpr std::chrono::milliseconds idle_tick{500};
constexpr std::chrono::seconds drain_time{2};      // for responses that have begun
constexpr std::chrono::milliseconds end_time{80};  // for work that was cancelled

// All that the program says, and what it has said of the progress.
struct voice {
  voice() : line(err.terminal_width()), on_terminal(err.terminal_width() > 0) {}

  void log(fermata::log_level level, std::string_view area, std::string_view message) {
    const bool is_news = level <= fermata::log_level::warn;
    if (level == fermata::log_level::debug || (on_terminal && !is_news)) return;
    err.write(line.end() + fmt::format("{} {}: {}\n", to_string(level), area, message));
  }
  void serving(const fermata::mirror::generation& g) {
    const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - began;
    err.write(line.end());
    out.write(fmt::format("{}serving commit={} files={} bytes={} seconds={:.3f}\n",
                          has_served ? "now " : "", g.commit, g.files, g.index.size(),
                          passed.count()));
    has_served = true;
  }

  void progress() {
    if (of == nullptr) return;
    const auto now = std::chrono::steady_clock::now() - began;
    err.write(
        line.update(of->progress(), std::chrono::duration_cast<std::chrono::milliseconds>(now)));
  }

  const service* of = nullptr;
  console out{STDOUT_FILENO};
  console err{STDERR_FILENO};
  fermata::mirror::progress_line line;
  bool on_terminal;
  bool has_served = false;
  std::chrono::steady_clock::time_point began = std::chrono::steady_clock::now();
};

promise<> show_progress(const service& s, voice& v) {
  for (;;) {
    const bool busy = s.progress().phase.has_value();
    if (busy) {
      v.progress();
    } else {
      v.err.write(v.line.end());
    }
    v.out.flush();
    promise<> tick = fermata::sleep_for(busy ? busy_tick : idle_tick);
    co_await tick;
  }
}

promise<> settled(promise<> p) {
  return p.catch_([](std::exception_ptr) { return fermata::ready(); });
}

// Ends the work and the connections; false where some of it cannot be ended in time (a name that is
// being resolved), or a second signal wants no more waiting.
promise<bool> stop(service& s, promise<> working, fermata::signal_source& signals) {
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

promise<bool> serve(const mirror_options& options, service& s, voice& v) {
  fermata::signal_source signals(std::vector<int>{SIGINT, SIGTERM});
  const std::string address =
      s.listen(fermata::mirror::authority(options.listen_address, options.listen_port));
  v.out.write("listening on http://" + address + "\n");
  promise<> working = s.run();
  promise<> showing = show_progress(s, v);
  promise<int> signal = signals.next();
  co_await signal;
  fermata::cancel(showing);
  v.err.write(v.line.end());
  promise<bool> stopped = stop(s, std::move(working), signals);
  co_return co_await stopped;
}

fermata::mirror::service_options options_of(const mirror_options& given, voice& v) {
  fermata::mirror::service_options options;
  options.remote = given.remote;
  options.version = FERMATA_VERSION;
  options.data_directory = given.data_directory;
  options.clone.depth = given.depth;
  options.on_phase = [&v](const fermata::mirror::phase_report&) { v.progress(); };  // its end
  options.on_served = [&v](const fermata::mirror::generation& g) { v.serving(g); };
  return options;
}

int run(const mirror_options& given) {
  voice v;
  fermata::loop_options options;
  options.when = given.work_policy;
  options.measure_cpu = true;
  options.log = [&v](fermata::log_level level, std::string_view area, std::string_view message) {
    v.log(level, area, message);
  };
  fermata::event_loop loop(std::move(options));
  service s(options_of(given, v));
  v.of = &s;
  const bool ended = loop.run([&] { return serve(given, s, v); });
  v.out.flush();
  if (!ended) std::_Exit(EXIT_SUCCESS);  // what is kept on disk is whole at any moment
  return EXIT_SUCCESS;
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
