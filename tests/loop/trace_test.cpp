// SPDX-License-Identifier: MIT
// Traces on virtual time, where every event has its place; JSON is parsed by a library.
#include "support/policy.hpp"
#include "support/temp_repository.hpp"

#include <fermata/loop/event_loop.hpp>
#include <fermata/loop/trace.hpp>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include <fstream>
#include <map>
#include <sstream>

using namespace std::chrono_literals;
using namespace fermata::testing;
using fermata::event_loop;
using fermata::timer;
using fermata::trace_event;
using fermata::trace_kind;
using nlohmann::json;

namespace {

struct virtual_loop {
  explicit virtual_loop(fermata::trace_options trace = {})
      : loop([&] {
          fermata::loop_options options = options_with(fermata::policy::budget());
          options.clock = &clock;
          options.trace = std::move(trace);
          return options;
        }()) {}
  fermata::virtual_clock clock;
  event_loop loop;
};

json chrome(const fermata::trace_snapshot& s) {
  std::ostringstream out;
  write_chrome_json(out, s);
  return json::parse(out.str());
}
json chrome(event_loop& loop) { return chrome(loop.trace().snapshot()); }

std::string folded(event_loop& loop) {
  std::ostringstream out;
  write_folded(out, loop.trace().snapshot());
  return out.str();
}

/// The events with that phase and, where given, category.
std::vector<json> events(const json& trace, const std::string& phase, const std::string& cat = "") {
  std::vector<json> found;
  for (const json& e : trace["traceEvents"]) {
    if (e["ph"] == phase && (cat.empty() || e.value("cat", "") == cat)) found.push_back(e);
  }
  return found;
}

std::size_t resident_bytes() {
  std::ifstream in("/proc/self/statm");
  std::size_t total = 0, resident = 0;
  in >> total >> resident;
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace

TEST_CASE("what the ring may hold is not written to before it does", "[loop][trace]") {
  fermata::trace_options options;
  options.capacity = 1 << 20;
  virtual_loop v(options);
  v.loop.trace().start();
  const std::size_t before = resident_bytes();
  v.loop.run([&] { const fermata::span s("short"); });
  CHECK(v.loop.trace().snapshot().events.size() >= 1);
  CHECK(resident_bytes() < before + options.capacity * sizeof(trace_event) / 2);
}

TEST_CASE("without a start only what is long is kept", "[loop][trace]") {
  virtual_loop v;
  std::vector<std::unique_ptr<timer>> timers;
  const auto work_for = [&](std::chrono::nanoseconds d) {
    timers.push_back(
        std::make_unique<timer>(v.loop, 0ns, [d] { static_cast<void>(fermata::due(d)); }));
    v.loop.step();
    v.loop.step();
  };
  work_for(1ms);
  CHECK(v.loop.trace().snapshot().events.empty());
  work_for(3ms);
  work_for(30ms);
  const json trace = chrome(v.loop);
  CHECK(events(trace, "X", "turn").size() == 2);
  const auto stalls = events(trace, "X", "stall");
  REQUIRE(stalls.size() == 1);
  CHECK(stalls[0]["name"] == "root");
  CHECK(stalls[0]["dur"].get<double>() >= 30'000);
  CHECK(stalls[0]["args"]["site"].get<std::string>().find("trace_test.cpp:") != std::string::npos);
}

TEST_CASE("a started trace has tasks, turns and what woke them", "[loop][trace]") {
  virtual_loop v;
  v.loop.trace().start();
  const timer a(v.loop, 0ns, [] { static_cast<void>(fermata::due(40us)); });
  v.loop.step();
  v.loop.step();
  v.loop.trace().stop();
  const timer b(v.loop, 0ns, [] { static_cast<void>(fermata::due(40us)); });
  v.loop.step();
  v.loop.step();
  const json trace = chrome(v.loop);
  const auto tasks = events(trace, "X", "task");
  REQUIRE(tasks.size() == 1);
  CHECK(tasks[0]["name"] == "root");
  CHECK(tasks[0]["dur"] == 40);
  CHECK(events(trace, "X", "turn").size() == 2);
  const auto from = events(trace, "s");
  const auto to = events(trace, "f");
  REQUIRE(from.size() == 1);
  REQUIRE(to.size() == 1);
  CHECK(from[0]["id"] == to[0]["id"]);
  CHECK(to[0]["ts"] == tasks[0]["ts"]);
}

TEST_CASE("spans are kept always, and nest within a task", "[loop][trace]") {
  virtual_loop v;
  v.clock.advance(1ms);
  v.loop.run([] {
    const fermata::span outer("import");
    static_cast<void>(fermata::due(5us));
    {
      const fermata::span inner("parse \"x\"\n");
      static_cast<void>(fermata::due(10us));
    }
    const fermata::span cut(std::string(40, 'n'));
  });
  const json trace = chrome(v.loop);
  const auto spans = events(trace, "X", "span");
  REQUIRE(spans.size() == 3);
  CHECK(spans[0]["name"] == "import");
  CHECK(spans[0]["ts"] == 1000);
  CHECK(spans[0]["dur"] == 15);
  CHECK(spans[1]["name"] == "parse \"x\"\n");
  CHECK(spans[1]["ts"] == 1005);
  CHECK(spans[2]["name"] == std::string(30, 'n'));
  CHECK(folded(v.loop) == "import 5000\nimport;parse \"x\"  10000\n");
}

TEST_CASE("a span that outlives its run is an asynchronous one", "[loop][trace]") {
  virtual_loop v;
  std::unique_ptr<fermata::span> kept;
  const timer a(v.loop, 0ns, [&] { kept = std::make_unique<fermata::span>("request"); });
  const timer b(v.loop, 0ns, [&] { kept.reset(); });
  v.loop.step();
  v.loop.step();
  const json trace = chrome(v.loop);
  CHECK(events(trace, "X", "span").empty());
  const auto begins = events(trace, "b", "span");
  const auto ends = events(trace, "e", "span");
  REQUIRE(begins.size() == 1);
  REQUIRE(ends.size() == 1);
  CHECK(begins[0]["name"] == "request");
  CHECK(begins[0]["id"] == ends[0]["id"]);
  CHECK(folded(v.loop).empty());
}

TEST_CASE("a span without a loop, and one that outlives its loop, do nothing", "[loop][trace]") {
  const fermata::span none("nobody");
  std::unique_ptr<fermata::span> late;
  {
    event_loop loop;
    late = std::make_unique<fermata::span>("late");
  }
  event_loop other;
  late.reset();
  CHECK(other.trace().snapshot().events.empty());
}

TEST_CASE("the ring keeps the newest events and counts the lost ones", "[loop][trace]") {
  fermata::trace_options options;
  options.capacity = 4;
  virtual_loop v(options);
  v.loop.run([] {
    for (int i = 0; i < 10; ++i) const fermata::span s(std::to_string(i));
  });
  const fermata::trace_snapshot s = v.loop.trace().snapshot();
  REQUIRE(s.events.size() == 4);
  CHECK(s.events[0].name() == "6");
  CHECK(s.lost == 6);
  CHECK(chrome(s)["otherData"]["lost_events"] == "6");
}

TEST_CASE("an arrow with one lost end is left out", "[loop][trace]") {
  fermata::trace_snapshot s;
  trace_event wake;
  wake.kind = trace_kind::wake;
  wake.id = 1;
  trace_event task;
  task.kind = trace_kind::task;
  task.id = 2;
  s.events = {wake, task};
  const json trace = chrome(s);
  CHECK(events(trace, "s").empty());
  CHECK(events(trace, "f").empty());
}

TEST_CASE("names that are no UTF-8 still give JSON", "[loop][trace]") {
  fermata::trace_snapshot s;
  const std::vector<std::string> names = {"caf\xc3\xa9",  "cut \xc3",     "\xff\xfe",
                                          "\xed\xa0\x80", "\xe2\x82\xac", "\xf0\x9f\x99\x82"};
  for (const std::string& name : names) {
    trace_event e;
    e.kind = trace_kind::span;
    std::copy(name.begin(), name.end(), e.text.begin());
    s.events.push_back(e);
  }
  const auto spans = events(chrome(s), "X", "span");
  REQUIRE(spans.size() == names.size());
  const std::string replaced = "\xef\xbf\xbd";
  CHECK(spans[0]["name"] == names[0]);
  CHECK(spans[1]["name"] == "cut " + replaced);
  CHECK(spans[2]["name"] == replaced + replaced);
  CHECK(spans[3]["name"] == replaced + replaced + replaced);
  CHECK(spans[4]["name"] == names[4]);
  CHECK(spans[5]["name"] == names[5]);
}

TEST_CASE("a slice ends before the one that follows at once, also as doubles", "[loop][trace]") {
  fermata::trace_snapshot s;
  trace_event e;
  e.kind = trace_kind::task;
  for (std::uint64_t i = 0; i < 100; ++i) {
    e.begin = 7'423'051 + i * 671;
    e.end = e.begin + 671;
    s.events.push_back(e);
  }
  const auto tasks = events(chrome(s), "X", "task");
  REQUIRE(tasks.size() == 100);
  for (std::size_t i = 0; i + 1 < tasks.size(); ++i) {
    const double end = tasks[i]["ts"].get<double>() + tasks[i]["dur"].get<double>();
    REQUIRE(end <= tasks[i + 1]["ts"].get<double>());
  }
}

TEST_CASE("jobs stand in a row for each thread of the pool", "[loop][trace]") {
  fermata::trace_snapshot s;
  for (const std::uint64_t thread : {77U, 88U, 77U}) {
    trace_event e;
    e.kind = trace_kind::job;
    e.id = thread;
    s.events.push_back(e);
  }
  const auto jobs = events(chrome(s), "X", "job");
  REQUIRE(jobs.size() == 3);
  CHECK(jobs[0]["tid"] == jobs[2]["tid"]);
  CHECK(jobs[0]["tid"] != jobs[1]["tid"]);
}

TEST_CASE("a job's way and its result's are arrows between the loop and a thread",
          "[loop][trace]") {
  fermata::trace_snapshot s;
  trace_event e;
  e.kind = trace_kind::job;
  e.id = 77;
  e.begin = 2'000;
  e.end = 5'000;
  s.events.push_back(e);
  e.kind = trace_kind::sent;
  e.begin = 1'000;
  e.end = 2'000;
  s.events.push_back(e);
  e.kind = trace_kind::back;
  e.begin = 5'000;
  e.end = 6'000;
  s.events.push_back(e);
  const json trace = chrome(s);
  const json job = events(trace, "X", "job").at(0);
  for (const std::string name : {"sent", "back"}) {
    const json from = events(trace, "s", name).at(0);
    const json to = events(trace, "f", name).at(0);
    const bool goes = name == "sent";
    CHECK(from["id"] == to["id"]);
    CHECK((goes ? to : from)["tid"] == job["tid"]);
    CHECK((goes ? from : to)["tid"] != job["tid"]);
    CHECK(from["ts"].get<double>() == (goes ? 1.0 : 4.999));
    CHECK(to["ts"].get<double>() == (goes ? 2.0 : 6.0));
  }
}

TEST_CASE("the call that a loop runs is a task, and its pauses say where", "[loop][trace]") {
  virtual_loop v;
  v.loop.trace().start();
  v.loop.run([] { static_cast<void>(fermata::due(40us)); });
  v.loop.trace().stop();
  v.loop.run([] { static_cast<void>(fermata::due(40us)); });
  const json trace = chrome(v.loop);
  const auto tasks = events(trace, "X", "task");
  REQUIRE(tasks.size() == 1);
  CHECK(tasks[0]["dur"] == 40);
  CHECK(tasks[0]["args"]["site"].get<std::string>().find("trace_test.cpp:") != std::string::npos);
  CHECK(events(trace, "M").at(0)["args"]["name"] == "fermata");
}

TEST_CASE("folded stacks tell who held the thread", "[loop][trace]") {
  virtual_loop v;
  v.loop.trace().start();
  int line = 0;
  const timer a(v.loop, 0ns, [&] {
    const fermata::span s("a;b");
    static_cast<void>(fermata::due(40us)), line = __LINE__;
  });
  const timer b(v.loop, 0ns, [&] { static_cast<void>(fermata::due(25us)); });
  v.loop.step();
  v.loop.step();
  const std::string site = "root;loop/trace_test.cpp:" + std::to_string(line);
  const std::string site_b = "root;loop/trace_test.cpp:" + std::to_string(line + 2);
  CHECK(folded(v.loop) == site + ";a:b 40000\n" + site_b + " 25000\n");
}

TEST_CASE("a turn over the limit dumps the ring, so many times", "[loop][trace]") {
  const fermata::test::temp_folder folder;
  {
    fermata::trace_options options;
    options.dump_to = (folder.path() / "held").string();
    options.dump_turn = 50ms;
    options.most_dumps = 1;
    virtual_loop v(options);
    for (int i = 0; i < 2; ++i) {
      const timer t(v.loop, 0ns, [] { static_cast<void>(fermata::due(60ms)); });
      v.loop.step();
      v.loop.step();
    }
    CHECK(v.loop.trace().dumps() == 1);
  }
  const json trace = json::parse(fermata::test::read_file(folder.path() / "held.0.json"));
  CHECK(events(trace, "X", "turn").size() == 1);
  CHECK_FALSE(std::filesystem::exists(folder.path() / "held.1.json"));
}

TEST_CASE("times of a steady loop are nanoseconds since it began", "[loop][trace]") {
  event_loop loop;
  const auto begin = std::chrono::steady_clock::now();
  loop.run([&] {
    const fermata::span s("busy");
    const auto busy_since = std::chrono::steady_clock::now();
    while (std::chrono::steady_clock::now() - busy_since < 2ms) {
    }
  });
  const auto end = std::chrono::steady_clock::now();
  const fermata::trace_snapshot s = loop.trace().snapshot();
  const auto is_span = [](const trace_event& e) { return e.kind == trace_kind::span; };
  const auto at = std::find_if(s.events.begin(), s.events.end(), is_span);
  REQUIRE(at != s.events.end());
  const std::chrono::nanoseconds took(at->end - at->begin);
  CHECK(took >= 1500us);
  CHECK(took <= (end - begin) * 11 / 10);
}
