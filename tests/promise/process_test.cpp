// SPDX-License-Identifier: MIT
#include "stream_support.hpp"

#include <fermata/loop/worker_pool.hpp>
#include <fermata/promise/process.hpp>

#include <catch2/catch.hpp>
#include <sys/wait.h>

#include <cerrno>
#include <csignal>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>

using fermata::byte_stream;
using fermata::cancel;
using fermata::command;
using fermata::contract_error;
using fermata::event_loop;
using fermata::exit_status;
using fermata::is_cancelled;
using fermata::process;
using fermata::promise;
using fermata::read_to_end;
using fermata::spawn;
using fermata::stdio;
using fermata::write_text;
using fermata::test::carry;
using fermata::test::read_some;
using fermata::test::turns;
using fermata::test::until_settled;
using fermata::test::write_and_end;

namespace {

command shell(std::string script) {
  command c({"/bin/sh", "-c", std::move(script)});
  return c;
}

/// A child that runs until it is killed, and says so first.
process start_endless(event_loop& loop) {
  process child = loop.run([] { return spawn(shell("echo on; exec cat")); });
  REQUIRE(loop.run([&child] { return read_some(child.out(), 9); }) == "on\n");
  return child;
}

exit_status end_of(event_loop& loop, process& child) {
  return loop.run([&child] { return child.wait(); });
}

/// Whether `pid` is a child of ours that still runs or is a zombie.
bool is_child(pid_t pid) {
  siginfo_t info{};
  return ::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

promise<> until_reaped(pid_t pid) {
  while (is_child(pid)) co_await fermata::pause();
}

}  // namespace

TEST_CASE("a child gets its input and gives its output", "[promise][process]") {
  event_loop loop;
  process child = loop.run([] { return spawn(command({"cat"})); });
  std::string text;
  for (int i = 0; text.size() < 3'000'000; ++i) text += std::to_string(i);
  CHECK(loop.run([&] { return carry(child.in(), child.out(), text); }) == text);
  CHECK(end_of(loop, child).is_success());
  CHECK(child.out().peer() == "stdout of cat");
}

TEST_CASE("a child's streams can be taken as one", "[promise][process]") {
  event_loop loop;
  process child = loop.run([] { return spawn(command({"cat"})); });
  const std::unique_ptr<byte_stream> both = child.take_stream();
  CHECK_THROWS_AS(child.in(), contract_error);
  CHECK(loop.run([&] { return carry(*both, *both, "there and back"); }) == "there and back");
}

TEST_CASE("an exit status says how a child ended", "[promise][process]") {
  event_loop loop;
  process failing = loop.run([] { return spawn(shell("exit 3")); });
  const exit_status failed = end_of(loop, failing);
  CHECK(failed.code == 3);
  CHECK_FALSE(failed.is_success());
  CHECK(failed.to_string() == "exit status 3");

  process endless = start_endless(loop);
  endless.kill(SIGTERM);
  const exit_status killed = end_of(loop, endless);
  CHECK(killed.signal == SIGTERM);
  CHECK(killed.to_string() == "killed by signal 15");
  CHECK(end_of(loop, endless).signal == SIGTERM);
  endless.kill(SIGTERM);  // nothing: it has ended
}

TEST_CASE("the last that a child wrote to stderr is kept", "[promise][process]") {
  event_loop loop;
  process few = loop.run([] { return spawn(shell("echo oh no >&2; exit 1")); });
  CHECK(end_of(loop, few).code == 1);
  CHECK(few.error_tail() == "oh no\n");
  const std::string script = "i=0; while [ $i -lt 20000 ]; do echo $i; i=$((i+1)); done >&2";
  process many = loop.run([&] { return spawn(shell(script)); });
  CHECK(end_of(loop, many).is_success());
  CHECK(many.error_tail().size() == process::error_tail_bytes);
  CHECK_THAT(many.error_tail(), Catch::EndsWith("19998\n19999\n"));
}

TEST_CASE("stderr can be a stream, and the others can be null", "[promise][process]") {
  event_loop loop;
  command c = shell("cat; echo out; echo err >&2");
  c.in = stdio::null;
  c.out = stdio::null;
  c.err = stdio::pipe;
  process child = loop.run([&] { return spawn(c); });
  CHECK(loop.run([&] { return read_to_end(child.err(), 99); }) == "err\n");
  CHECK_THROWS_AS(child.in(), contract_error);
  CHECK_THROWS_AS(child.out(), contract_error);
  CHECK_THROWS_AS(child.take_stream(), contract_error);
  CHECK(end_of(loop, child).is_success());
}

TEST_CASE("a child runs in its directory with the changed environment", "[promise][process]") {
  event_loop loop;
  command c = shell("pwd; echo ${FERMATA_A-none} ${FERMATA_B-none} ${HOME-none}");
  c.directory = "/usr";
  c.environment = {"FERMATA_A=one two", "HOME"};
  process child = loop.run([&] { return spawn(c); });
  CHECK(loop.run([&] { return read_to_end(child.out(), 99); }) == "/usr\none two none none\n");
}

TEST_CASE("spawn says why a program cannot be started", "[promise][process]") {
  event_loop loop;
  CHECK_THROWS_WITH(loop.run([] { return spawn(command({"no-such-program"})); }),
                    "cannot start no-such-program: no such file or directory (uv ENOENT)");
  command c({"cat"});
  c.directory = "/no/such/folder";
  CHECK_THROWS_WITH(loop.run([&] { return spawn(c); }),
                    "cannot start cat in the folder /no/such/folder: no such file or directory "
                    "(uv ENOENT)");
  CHECK_THROWS_AS(loop.run([] { return spawn(command()); }), contract_error);
}

TEST_CASE("a child has no blocked signals and no descriptors of other children",
          "[promise][process]") {
  event_loop loop;
  const command c = shell("grep SigBlk /proc/self/status; ls /proc/self/fd | wc -l");
  process alone = loop.run([&] { return spawn(c); });
  const std::string expected = loop.run([&] { return read_to_end(alone.out(), 99); });
  CHECK_THAT(expected, Catch::StartsWith("SigBlk:\t0000000000000000\n"));

  const process other = start_endless(loop);
  sigset_t blocked;
  sigset_t before;
  sigfillset(&blocked);
  pthread_sigmask(SIG_BLOCK, &blocked, &before);
  loop.pool().set_bounds({0, 0});  // so that a new thread, which blocks them too, starts it
  loop.pool().set_bounds({1, 1});
  process child = loop.run([&] { return spawn(c); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  CHECK(loop.run([&] { return read_to_end(child.out(), 99); }) == expected);
}

TEST_CASE("writing to a child that has ended rejects and raises no signal", "[promise][process]") {
  event_loop loop;
  process child = loop.run([] { return spawn(command({"true"})); });
  CHECK(end_of(loop, child).is_success());
  CHECK_THROWS_WITH(loop.run([&] { return write_text(child.in(), "x"); }),
                    "cannot write to stdin of true: broken pipe (uv EPIPE)");
}

TEST_CASE("a cancelled wait leaves the child alone", "[promise][process]") {
  event_loop loop;
  process child = start_endless(loop);
  const promise<exit_status> first = child.wait();
  const promise<exit_status> second = child.wait();
  cancel(first);
  CHECK(is_cancelled(first.error()));
  CHECK(second.is_pending());
  child.kill(SIGKILL);
  CHECK(loop.run([&] { return second; }).signal == SIGKILL);
}

TEST_CASE("a process that is destroyed is killed and reaped by the loop", "[promise][process]") {
  event_loop loop;
  pid_t pid = 0;
  {
    const process child = start_endless(loop);
    pid = child.pid();
    CHECK(is_child(pid));
  }
  loop.run([&] { return until_reaped(pid); });
  CHECK_FALSE(is_child(pid));
}

TEST_CASE("a child that ends is reaped though nobody waits for it", "[promise][process]") {
  event_loop loop;
  const process child = loop.run([] { return spawn(command({"true"})); });
  loop.run([&] { return until_reaped(child.pid()); });
  CHECK_FALSE(is_child(child.pid()));
}

TEST_CASE("the end of a loop kills and reaps its children", "[promise][process]") {
  auto loop = std::make_unique<event_loop>();
  std::optional<process> kept = start_endless(*loop);
  const pid_t first = kept->pid();
  promise<exit_status> waiting = kept->wait();
  pid_t second = 0;
  {
    const process dropped = start_endless(*loop);
    second = dropped.pid();
  }
  promise<process> starting;
  loop->run([&] { starting = spawn(command({"cat"})); });
  loop = nullptr;
  CHECK_FALSE(is_child(first));
  CHECK_FALSE(is_child(second));
  CHECK_FALSE(waiting.is_pending());
  CHECK_FALSE(starting.is_pending());  // started or not when its loop ended: no child is left
  kept = std::nullopt;
  CHECK(::waitpid(-1, nullptr, WNOHANG) == -1);
  CHECK(errno == ECHILD);
}

TEST_CASE("a child in a group of its own is killed with its children", "[promise][process]") {
  event_loop loop;
  command c = shell("exec 3<&0; cat <&3 & echo on; wait");
  c.own_group = true;
  process child = loop.run([&] { return spawn(c); });
  CHECK(loop.run([&] { return read_some(child.out(), 9); }) == "on\n");
  child.kill(SIGKILL);
  CHECK(loop.run([&] { return read_to_end(child.out(), 9); }).empty());  // nobody holds it open
  CHECK(end_of(loop, child).to_string() == "killed by signal 9");
}
