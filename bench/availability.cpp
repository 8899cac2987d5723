// SPDX-License-Identifier: MIT
// Availability while a repository is cloned, analysed, walked, packed into an index, served to a
// git client, saved, restored, exported, compared, pushed and compacted, all on the loop that
// also serves HTTP: the longest gap between two looks, and what a client sees meanwhile. In the
// phase `threads` it is cloned once more and analysed by two threads of the pool. In the phase
// `machine` a loop only counts for a second: a long CPU gap there is what a hypervisor took and
// charged us with.
//
// fermata-probe, a process of its own, asks /healthz at fixed times during each phase. Prints one
// JSON line a phase. Units: us unless the name says otherwise, lower is better. Against: the same
// with --policy greedy, and --no-probe for the CPU time of a phase alone.

#include "availability_store.hpp"

#include <fermata/git_mem/analyse.hpp>
#include <fermata/git_mem/clone.hpp>
#include <fermata/git_mem/compact.hpp>
#include <fermata/git_mem/pkt_line.hpp>
#include <fermata/git_mem/upload_pack.hpp>
#include <fermata/git_mem/walk.hpp>
#include <fermata/http/server.hpp>
#include <fermata/mirror/index_builder.hpp>
#include <fermata/promise/pause.hpp>
#include <fermata/promise/process.hpp>
#include <fermata/promise/tcp.hpp>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <deque>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using fermata::promise;
namespace git = fermata::git_mem;

struct settings {
  std::string remote;
  std::string pack_file;
  std::string policy = "budget=500";
  std::string probe;
  std::vector<std::string> phases = {"machine", "clone", "threads", "analyse",
                                     "walk",    "index", "serve"};
  std::uint32_t depth = 0;
  bool no_probe = false;
};

struct file {
  std::string path;
  git::object content;
};

double thread_cpu_seconds() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

long peak_rss_kib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

std::vector<std::byte> read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::vector<std::byte> bytes(std::filesystem::file_size(path));
  in.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  if (!in) throw fermata::error("cannot read " + path);
  return bytes;
}

// Answers /healthz, and says when a number of answers has been given.
class health_service {
public:
  health_service() : server_(make_router()) { address_ = server_.listen("127.0.0.1:0"); }
  [[nodiscard]] const std::string& address() const { return address_; }
  promise<> answers(std::uint64_t more) {
    auto [p, r] = fermata::make_promise<>();
    wanted_ = served_ + more;
    reached_ = std::move(r);
    return p;
  }
  promise<> shutdown() { return server_.shutdown(1s); }

private:
  fermata::http::handler make_router() {
    auto router = std::make_shared<fermata::http::router>();
    router->on("GET", "/healthz", [this](const fermata::http::request&) {
      if (++served_ >= wanted_ && reached_) reached_.resolve();
      return fermata::ready(fermata::http::text_response(200, "ready\n"));
    });
    return [router](const fermata::http::request& r) { return (*router)(r); };
  }

  std::uint64_t served_ = 0;
  std::uint64_t wanted_ = 0;
  fermata::resolver<> reached_;
  fermata::http::server server_;
  std::string address_;
};

promise<std::string> read_all(fermata::byte_stream& from) {
  std::string text;
  std::vector<std::byte> piece(4096);
  for (;;) {
    const std::size_t n = co_await from.read(piece);
    if (n == 0) break;
    text.append(reinterpret_cast<const char*>(piece.data()), n);
  }
  while (!text.empty() && text.back() == '\n') text.pop_back();
  co_return text;
}

// The state that phases hand on to each other.
class run {
public:
  explicit run(settings s) : settings_(std::move(s)) {
    if (!settings_.pack_file.empty()) pack_bytes_ = read_file(settings_.pack_file);
  }

  promise<> all() {
    for (std::size_t i = 0; i < settings_.phases.size(); ++i) {
      const std::string name = settings_.phases[i];
      promise<> done = measure(name);
      co_await done;
    }
    promise<> end = health_.shutdown();
    co_await end;
  }

private:
  promise<> work(const std::string& name) {
    if (name == "machine") return count_for_a_second();
    if (name == "clone") return clone();
    if (name == "analyse") return analyse();
    if (name == "walk") return walk();
    if (name == "index") return index();
    if (name == "serve") return serve();
    if (name == "threads") return clone_on_threads();
    const std::vector<std::string>& others = fermata::bench::store_phases();
    if (std::find(others.begin(), others.end(), name) != others.end()) {
      return fermata::bench::run_store_phase(name, store_, tip_, scratch_);
    }
    throw fermata::error("unknown phase " + name + ": see --help");
  }

  promise<> measure(std::string name) {
    std::vector<fermata::process> probe;
    if (!settings_.no_probe) {
      fermata::command c({settings_.probe, "http://" + health_.address() + "/healthz",
                          "--interval-us", "1000", "--seconds", "0", "--json"});
      promise<fermata::process> start = fermata::spawn(std::move(c));
      probe.push_back(co_await std::move(start));
      promise<> warm = health_.answers(200);
      co_await warm;
    }
    fermata::event_loop& loop = fermata::event_loop::current();
    co_await fermata::pause();
    loop.reset_gaps();
    const std::uint64_t looks = loop.metrics().looks;
    const double cpu = thread_cpu_seconds();
    const auto start = std::chrono::steady_clock::now();
    promise<> done = work(name);
    co_await done;
    co_await fermata::pause();
    const double wall =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    report_ = figures(name, wall, thread_cpu_seconds() - cpu, loop.metrics().looks - looks);
    std::string seen = "null";
    if (!probe.empty()) {
      promise<std::string> told = end_probe(probe.front());
      seen = co_await std::move(told);
    }
    fmt::print("{},\"probe\":{}}}\n", report_, seen);
    std::fflush(stdout);
  }

  std::string figures(const std::string& name, double wall, double cpu, std::uint64_t looks) const {
    const fermata::gap_report& gap = fermata::event_loop::current().metrics().longest_gap;
    return fmt::format(
        R"({{"bench":"availability","phase":"{}","policy":"{}","wall_s":{:.4f},"cpu_s":{:.4f},)"
        R"("looks":{},"longest_gap_us":{},"longest_gap_cpu_us":{},"voluntary_switches":{},)"
        R"("gap_site":"{}","gap_cpu_site":"{}","peak_rss_kib":{})",
        name, settings_.policy, wall, cpu, looks, gap.wall.count() / 1000, gap.cpu.count() / 1000,
        gap.voluntary_switches, fermata::to_string(gap.wall_site), fermata::to_string(gap.cpu_site),
        peak_rss_kib());
  }

  promise<std::string> end_probe(fermata::process& probe) {
    promise<> told = probe.in().shutdown();
    co_await told;
    promise<std::string> all = read_all(probe.out());
    std::string text = co_await std::move(all);
    promise<fermata::exit_status> end = probe.wait();
    const fermata::exit_status status = co_await std::move(end);
    if (!status.is_success()) throw fermata::error("fermata-probe: " + status.to_string());
    co_return text;
  }

  static promise<> count_for_a_second() {
    const auto end = std::chrono::steady_clock::now() + 1s;
    while (std::chrono::steady_clock::now() < end) co_await fermata::maybe_pause();
  }

  promise<> clone() {
    git::clone_options options;
    options.depth = settings_.depth;
    promise<git::clone_result> p = git::clone(settings_.remote, options);
    git::clone_result result = co_await std::move(p);
    tip_ = result.tip;
    store_.publish(git::make_snapshot(store_, std::move(result)));
  }

  promise<> clone_on_threads() {
    git::clone_options options;
    options.depth = settings_.depth;
    options.threads = 2;
    promise<git::clone_result> p = git::clone(settings_.remote, options);
    git::clone_result result = co_await std::move(p);
    git::object_store other;
    other.publish(git::make_snapshot(other, std::move(result)));
    other.publish({});
    promise<> freed = git::reclaim(other);
    co_await freed;
  }

  promise<> analyse() {
    promise<std::unique_ptr<git::pack>> p = git::analyse(pack_bytes_);
    analysed_ = co_await std::move(p);
  }

  promise<> walk() {
    git::tree_walk steps(store_.current(), tip_);
    for (;;) {
      const git::tree_walk::result r = steps.step();
      if (r.state == git::step_state::error) throw steps.error();
      if (r.state == git::step_state::done) break;
      if (r.found != nullptr && r.found->mode != git::file_mode::submodule) {
        promise<git::object> p = git::get_object(store_.current(), r.found->id);
        git::object content = co_await std::move(p);
        files_.push_back({r.found->path, std::move(content)});
      }
      co_await fermata::maybe_pause(r.cost);
    }
  }

  promise<> index() {
    fermata::mirror::index_builder builder;
    for (std::size_t i = 0; i < files_.size(); ++i) {
      if (!builder.add(files_[i].path, false, files_[i].content.text().size())) continue;
      builder.feed(files_[i].content.text());
      promise<> done = drive(builder);
      co_await done;
    }
    builder.finish();
    promise<> done = drive(builder);
    co_await done;
    index_ = std::make_unique<fermata::mirror::index_result>(builder.take());
  }

  // All of the store to a client that reads as fast as it can, over TCP.
  promise<> serve() {
    fermata::tcp_listener listener("127.0.0.1:0");
    const std::string address = listener.address();
    promise<std::unique_ptr<fermata::byte_stream>> connecting = fermata::tcp_connect(
        "127.0.0.1", static_cast<std::uint16_t>(std::stoi(address.substr(address.find(':') + 1))));
    promise<std::unique_ptr<fermata::byte_stream>> accepting = listener.accept();
    const std::unique_ptr<fermata::byte_stream> server = co_await std::move(accepting);
    const std::unique_ptr<fermata::byte_stream> client = co_await std::move(connecting);
    promise<> serving = answer_one(store_, *server);
    std::string request;
    git::append_pkt(request, "command=fetch");
    git::append_delimiter(request);
    git::append_pkt(request, "want " + tip_.hex());
    git::append_pkt(request, "ofs-delta");
    git::append_pkt(request, "done");
    git::append_flush(request);
    promise<> asked = fermata::write_text(*client, request);
    co_await asked;
    std::vector<std::byte> piece(64 * 1024);
    for (std::size_t n = 1; n > 0;) {
      promise<std::size_t> reading = client->read(piece);
      n = co_await reading;
    }
    co_await serving;
  }

  static promise<> answer_one(const git::object_store& store, fermata::byte_stream& stream) {
    git::upload_pack_options how;
    how.version = 2;
    how.part = git::upload_part::request;
    promise<git::upload_report> served = git::upload_pack(store, stream, how);
    co_await served;
    promise<> ended = stream.shutdown();
    co_await ended;
  }

  static promise<> drive(fermata::mirror::index_builder& builder) {
    for (;;) {
      const git::step_result r = builder.step();
      if (r.state != git::step_state::more) break;
      co_await fermata::maybe_pause(r.cost);
    }
  }

  settings settings_;
  health_service health_;
  std::vector<std::byte> pack_bytes_;
  git::object_store store_;
  git::object_id tip_;
  fermata::bench::scratch_folder scratch_;
  std::unique_ptr<git::pack> analysed_;
  std::deque<file> files_;  // one that grows copies no megabytes in a step
  std::unique_ptr<fermata::mirror::index_result> index_;
  std::string report_;
};

settings parse(int argc, char** argv) {
  settings s;
  s.probe = (std::filesystem::path(argv[0]).parent_path() / "fermata-probe").string();
  s.phases.insert(s.phases.end(), fermata::bench::store_phases().begin(),
                  fermata::bench::store_phases().end());
  CLI::App app("availability while a repository is cloned and indexed");
  app.add_option("--remote", s.remote, "what to clone")->required();
  app.add_option("--pack", s.pack_file, "the pack file that phase analyse reads");
  app.add_option("--policy", s.policy, "as in fermata-mirror");
  app.add_option("--phases", s.phases,
                 "machine, clone, threads, analyse, walk, index, serve, save, restore, export, "
                 "diff, push, compact")
      ->delimiter(',');
  app.add_option("--depth", s.depth, "commits of history, 0: all");
  app.add_option("--probe", s.probe, "the fermata-probe to use");
  app.add_flag("--no-probe", s.no_probe, "no client: the CPU time of the work alone");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    std::exit(app.exit(e) == 0 ? 0 : 2);
  }
  return s;
}

}  // namespace

int main(int argc, char** argv) {
  const settings s = parse(argc, argv);
  try {
    fermata::loop_options options;
    options.when = fermata::policy::parse(s.policy);
    options.measure_cpu = true;
    // A page of the program that the kernel dropped and reads from the disk again is a context
    // switch, but not of the loop's making. Without the right to lock them the figures hold both.
    static_cast<void>(mlockall(MCL_CURRENT));
    fermata::event_loop loop(std::move(options));
    run all(s);
    loop.run([&] { return all.all(); });
    return 0;
  } catch (const std::exception& e) {
    fmt::print(stderr, "fermata-availability: {}\n", e.what());
    return 1;
  }
}
