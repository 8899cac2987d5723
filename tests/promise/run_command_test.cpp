// SPDX-License-Identifier: MIT
#include "file_support.hpp"
#include "stream_support.hpp"
#include "support/policy.hpp"

#include <fermata/promise/buffered.hpp>
#include <fermata/promise/run_command.hpp>

#include <catch2/catch.hpp>
#include <sys/wait.h>

#include <cerrno>
#include <csignal>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

using namespace std::chrono_literals;
using fermata::cancel;
using fermata::command;
using fermata::event_loop;
using fermata::exit_status;
using fermata::is_cancelled;
using fermata::limit_reached;
using fermata::loop_closed;
using fermata::process;
using fermata::promise;
using fermata::run_command;
using fermata::run_options;
using fermata::run_result;
using fermata::scope;
using fermata::spawn;
using fermata::spawn_in;
using fermata::stdio;
using fermata::test::failure_of;
using fermata::test::open_descriptors;
using fermata::test::read_some;
using fermata::test::turns;
using fermata::test::until_settled;
using fermata::testing::options_of_run;

namespace {

using process_ptr = std::shared_ptr<process>;

command shell(std::string script) { return command({"/bin/sh", "-c", std::move(script)}); }

/// Prints a line and runs until it is ended; `trap` is what it does on SIGTERM.
command endless(const std::string& trap = "-") {
  return shell("trap '" + trap + "' TERM; echo on; exec sleep 1000");
}

bool has_children() {
  siginfo_t info{};
  return ::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

/// What a test looks at from outside.
struct seen {
  process_ptr child;
  bool body_waits = false;
  bool body_ended = false;
};

promise<> start_and_wait(
    scope& s, command c, seen& out, promise<> until, std::chrono::nanoseconds grace) {
  promise<process_ptr> starting = spawn_in(s, std::move(c), grace);
  out.child = co_await std::move(starting);
  promise<std::string> begun = read_some(out.child->out(), 9);
  co_await std::move(begun);
  out.body_waits = true;
  co_await std::move(until);
  out.body_ended = true;
}

promise<> in_scope(command c, seen& out, promise<> until, std::chrono::nanoseconds grace = 60s) {
  auto body = [c, &out, until, grace](scope& s) { return start_and_wait(s, c, out, until, grace); };
  return scope::run(std::move(body));
}

promise<> until_it_says(process& child) {
  promise<std::string> begun = read_some(child.out(), 9);
  co_await std::move(begun);
}

}  // namespace

// ---- stopping ----

TEST_CASE("stop ends a child by SIGTERM", "[promise][process]") {
  event_loop loop{options_of_run()};
  command c = endless();
  process child = loop.run([&] { return spawn(c); });
  loop.run([&] { return until_it_says(child); });
  CHECK(loop.run([&] { return child.stop(60s); }).signal == SIGTERM);
  CHECK(loop.run([&] { return child.stop(60s); }).signal == SIGTERM);  // it has ended
}

TEST_CASE("stop kills a child that does not end in time", "[promise][process]") {
  event_loop loop{options_of_run()};
  command c = endless("");
  process child = loop.run([&] { return spawn(c); });
  loop.run([&] { return until_it_says(child); });
  CHECK(loop.run([&] { return child.stop(5ms); }).signal == SIGKILL);
}

TEST_CASE("a stop that is cancelled kills at once", "[promise][process]") {
  event_loop loop{options_of_run()};
  command c = endless("");
  process child = loop.run([&] { return spawn(c); });
  loop.run([&] { return until_it_says(child); });
  const promise<exit_status> stopping = child.stop(1h);
  loop.run([] { return turns(3); });
  CHECK(stopping.is_pending());
  cancel(stopping);
  loop.run([&] { return until_settled(stopping); });
  CHECK(is_cancelled(stopping.error()));
  CHECK(loop.run([&] { return child.wait(); }).signal == SIGKILL);
}

// ---- in a scope ----

TEST_CASE("a child ends with its scope", "[promise][process]") {
  event_loop loop{options_of_run()};
  seen out;
  loop.run([&] { return in_scope(endless(), out, fermata::ready()); });
  CHECK(out.body_ended);
  CHECK(out.child->wait().get().signal == SIGTERM);
  CHECK_FALSE(has_children());
}

TEST_CASE("a child that does not end with its scope is killed", "[promise][process]") {
  event_loop loop{options_of_run()};
  seen out;
  loop.run([&] { return in_scope(endless(""), out, fermata::ready(), 5ms); });
  CHECK(out.child->wait().get().signal == SIGKILL);
}

TEST_CASE("a child ends when its scope fails or is cancelled", "[promise][process]") {
  event_loop loop{options_of_run()};
  seen out;
  CHECK_THROWS_WITH(loop.run([&] {
    return in_scope(endless(), out, fermata::rejected(std::runtime_error("no luck")));
  }),
                    "no luck");
  CHECK_FALSE(out.body_ended);
  CHECK(out.child->wait().get().signal == SIGTERM);

  out = {};
  const promise<> whole = in_scope(endless(), out, fermata::never());
  while (!out.body_waits) loop.run([] { return turns(1); });
  cancel(whole);
  loop.run([&] { return until_settled(whole); });
  CHECK(is_cancelled(whole.error()));
  CHECK_FALSE(has_children());
}

TEST_CASE("a scope that is cancelled while its child starts leaves none", "[promise][process]") {
  event_loop loop{options_of_run()};
  seen out;
  const promise<> whole = in_scope(endless(), out, fermata::never());
  cancel(whole);
  loop.run([&] { return until_settled(whole); });
  CHECK(is_cancelled(whole.error()));
  CHECK_FALSE(has_children());
}

TEST_CASE("a child that cannot start is told to the scope's body alone", "[promise][process]") {
  event_loop loop{options_of_run()};
  seen out;
  CHECK_THROWS_WITH(
      loop.run([&] { return in_scope(command({"no-such-program"}), out, fermata::ready()); }),
      "cannot start no-such-program: no such file or directory (uv ENOENT)");
}

// ---- from start to end ----

TEST_CASE("run_command gives what a child has written and how it ended", "[promise][process]") {
  event_loop loop{options_of_run()};
  command c = shell("cat; echo out; echo err >&2; exit 3");
  const run_result all = loop.run([&] { return run_command(c); });
  CHECK(all.status.code == 3);
  CHECK(all.out == "out\n");
  CHECK(all.err == "err\n");
  c.err = stdio::pipe;
  run_options o;
  o.input = "in, ";
  CHECK(loop.run([&] { return run_command(c, o); }).out == "in, out\n");
  CHECK(loop.run([&] { return run_command(c, o); }).err == "err\n");
  c.out = stdio::null;
  CHECK(loop.run([&] { return run_command(c, o); }).out.empty());
}

TEST_CASE("run_command feeds and reads a child at the same time", "[promise][process]") {
  event_loop loop{options_of_run()};
  run_options o;
  for (int i = 0; o.input.size() < 3'000'000; ++i) o.input += std::to_string(i);
  o.most_out_bytes = o.input.size();
  command c({"cat"});
  CHECK(loop.run([&] { return run_command(c, o); }).out == o.input);
}

TEST_CASE("a child that reads no input is no failure", "[promise][process]") {
  event_loop loop{options_of_run()};
  run_options o;
  o.input = std::string(3'000'000, 'x');
  command c({"true"});
  CHECK(loop.run([&] { return run_command(c, o); }).status.is_success());
}

TEST_CASE("a child that writes more than the limit is stopped", "[promise][process]") {
  event_loop loop{options_of_run()};
  const auto before = open_descriptors();
  run_options o;
  o.most_out_bytes = 10;
  command c = shell("while :; do echo y; done");
  CHECK_THROWS_WITH(loop.run([&] { return run_command(c, o); }),
                    "cannot read from stdout of /bin/sh: more than 10 bytes come");
  CHECK_THROWS_AS(loop.run([&] { return run_command(c, o); }), limit_reached);
  o.most_err_bytes = 10;
  c = shell("while :; do echo y >&2; done");
  c.err = stdio::pipe;
  CHECK_THROWS_WITH(loop.run([&] { return run_command(c, o); }),
                    "cannot read from stderr of /bin/sh: more than 10 bytes come");
  CHECK_FALSE(has_children());
  CHECK(open_descriptors() <= before + 1);  // the pool's first thread brought one
}

TEST_CASE("run_command that is cancelled stops its child first", "[promise][process]") {
  event_loop loop{options_of_run()};
  command c = endless("");
  run_options o;
  o.grace = 5ms;
  const promise<run_result> running = run_command(c, o);
  while (!has_children()) loop.run([] { return turns(1); });
  cancel(running);
  loop.run([&] { return until_settled(running); });
  CHECK(is_cancelled(running.error()));
  CHECK_FALSE(has_children());
}

TEST_CASE("run_command that is cancelled while a grandchild holds the pipe is cancelled",
          "[promise][process]") {
  fermata::test::place p;
  command c = shell("sleep 1000 & echo $! > " + p.path("grandchild"));
  pid_t grandchild = 0;
  const auto is_there = [&] {
    std::ifstream(p.path("grandchild")) >> grandchild;
    return grandchild > 1;
  };
  const promise<run_result> running = run_command(c);
  while (!is_there() || has_children()) p.loop.run([] { return turns(1); });
  p.loop.run([] { return turns(3); });
  CHECK(running.is_pending());
  cancel(running);
  p.loop.run([&] { return until_settled(running); });
  CHECK(is_cancelled(running.error()));
  CHECK(::kill(grandchild, SIGKILL) == 0);
}

TEST_CASE("run_command says why a program cannot be started", "[promise][process]") {
  event_loop loop{options_of_run()};
  command c({"no-such-program"});
  CHECK_THROWS_WITH(loop.run([&] { return run_command(c); }),
                    "cannot start no-such-program: no such file or directory (uv ENOENT)");
}

TEST_CASE("the end of a loop ends what it runs", "[promise][process]") {
  promise<run_result> running;
  {
    event_loop loop;
    command c = endless();
    running = run_command(c);
    while (!has_children()) loop.run([] { return turns(1); });
  }
  CHECK(running.is_rejected());
  CHECK_FALSE(has_children());
}
