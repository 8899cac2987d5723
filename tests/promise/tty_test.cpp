// SPDX-License-Identifier: MIT
#include "file_support.hpp"
#include "stream_support.hpp"
#include "support/policy.hpp"

#include <fermata/promise/pipe.hpp>
#include <fermata/promise/tty.hpp>

#include <catch2/catch.hpp>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>

using fermata::cancel;
using fermata::contract_error;
using fermata::event_loop;
using fermata::is_cancelled;
using fermata::loop_closed;
using fermata::promise;
using fermata::terminal;
using fermata::unique_fd;
using fermata::window_size;
using fermata::test::open_descriptors;
using fermata::test::read_some;
using fermata::test::turns;
using fermata::test::until_settled;
using fermata::testing::options_of_run;

namespace {

/// A terminal without a screen: `user` is who types and sees.
struct pseudo_terminal {
  pseudo_terminal() : user(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)) {
    REQUIRE(user);
    REQUIRE(::grantpt(user.get()) == 0);
    REQUIRE(::unlockpt(user.get()) == 0);
    program = unique_fd(::open(::ptsname(user.get()), O_RDWR | O_NOCTTY | O_CLOEXEC));
    REQUIRE(program);
  }
  void resize(unsigned short columns, unsigned short rows) const {
    winsize s{};
    s.ws_col = columns;
    s.ws_row = rows;
    REQUIRE(::ioctl(user.get(), TIOCSWINSZ, &s) == 0);
  }
  [[nodiscard]] bool echoes() const {
    termios mode{};
    REQUIRE(::tcgetattr(program.get(), &mode) == 0);
    return (mode.c_lflag & ECHO) != 0;
  }
  void type(const std::string& text) const {
    REQUIRE(::write(user.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  }

  unique_fd user;
  unique_fd program;
};

}  // namespace

TEST_CASE("a terminal is a stream in both directions", "[promise][tty]") {
  event_loop loop{options_of_run()};
  const pseudo_terminal pty;
  terminal t(pty.program.get());
  const auto raw = t.make_raw();
  const promise<std::string> typed = read_some(t.stream(), 9);
  loop.run([] { return turns(3); });
  CHECK(typed.is_pending());
  pty.type("x");  // no line feed
  CHECK(loop.run([&] { return typed; }) == "x");
  loop.run([&] { return fermata::write_text(t.stream(), "shown"); });
  std::string shown(9, ' ');
  CHECK(::read(pty.user.get(), shown.data(), shown.size()) == 5);
  CHECK(shown.substr(0, 5) == "shown");
  CHECK((::fcntl(pty.program.get(), F_GETFL) & O_NONBLOCK) == 0);
}

TEST_CASE("raw mode ends with its guard", "[promise][tty]") {
  const event_loop loop;
  const pseudo_terminal pty;
  std::optional<terminal> t(std::in_place, pty.program.get());
  CHECK(pty.echoes());
  {
    auto raw = t->make_raw();
    CHECK_FALSE(pty.echoes());
    const auto moved = std::move(raw);
    t = std::nullopt;  // the guard does not need it
    CHECK_FALSE(pty.echoes());
  }
  CHECK(pty.echoes());
}

TEST_CASE("a terminal tells its size and when that changes", "[promise][tty]") {
  event_loop loop{options_of_run()};
  const pseudo_terminal pty;
  pty.resize(80, 24);
  terminal t(pty.program.get());
  CHECK(t.size() == window_size{80, 24});
  const promise<window_size> changed = t.size_changed();
  CHECK_THROWS_AS(loop.run([&] { return t.size_changed(); }), contract_error);
  ::raise(SIGWINCH);  // without a change
  loop.run([] { return turns(5); });
  CHECK(changed.is_pending());
  pty.resize(100, 40);
  ::raise(SIGWINCH);
  CHECK(loop.run([&] { return changed; }) == window_size{100, 40});
  pty.resize(90, 30);  // while nobody waits
  CHECK(loop.run([&] { return t.size_changed(); }) == window_size{90, 30});
}

TEST_CASE("waiting for another size is cancelled, by hand or with the terminal", "[promise][tty]") {
  event_loop loop{options_of_run()};
  const pseudo_terminal pty;
  std::optional<terminal> t(std::in_place, pty.program.get());
  const promise<window_size> first = t->size_changed();
  cancel(first);
  loop.run([&] { return until_settled(first); });
  CHECK(is_cancelled(first.error()));
  const promise<window_size> second = t->size_changed();
  const promise<std::string> reading = read_some(t->stream(), 1);
  t = std::nullopt;
  loop.run([&] { return until_settled(second); });
  loop.run([&] { return until_settled(reading); });
  CHECK(is_cancelled(second.error()));
  CHECK(is_cancelled(reading.error()));
}

TEST_CASE("the end of a loop ends what a terminal waits for", "[promise][tty]") {
  const pseudo_terminal pty;
  auto loop = std::make_unique<event_loop>();
  terminal t(pty.program.get());
  promise<window_size> changed = t.size_changed();
  promise<std::string> reading = read_some(t.stream(), 1);
  loop = nullptr;
  CHECK_THROWS_AS(std::move(changed).get(), loop_closed);
  CHECK_THROWS_AS(std::move(reading).get(), loop_closed);
}

TEST_CASE("a descriptor that is no terminal is told", "[promise][tty]") {
  const event_loop loop;
  const unique_fd file(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const auto before = open_descriptors();
  CHECK_THROWS_WITH(terminal(file.get()),
                    "cannot use descriptor " + std::to_string(file.get()) +
                        " as a terminal: inappropriate ioctl for device (uv ENOTTY)");
  CHECK(open_descriptors() == before);
}
