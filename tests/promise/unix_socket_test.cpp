// SPDX-License-Identifier: MIT
#include "file_support.hpp"
#include "stream_support.hpp"
#include "support/policy.hpp"
#include "support/temp_repository.hpp"

#include <fermata/promise/context.hpp>
#include <fermata/promise/sleep.hpp>
#include <fermata/promise/socket_address.hpp>
#include <fermata/promise/unix_socket.hpp>

#include <catch2/catch.hpp>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using fermata::byte_stream;
using fermata::byte_view;
using fermata::bytes_of;
using fermata::cancel;
using fermata::contract_error;
using fermata::error;
using fermata::event_loop;
using fermata::is_cancelled;
using fermata::loop_closed;
using fermata::passed_bytes;
using fermata::policy;
using fermata::promise;
using fermata::unique_fd;
using fermata::unix_connect;
using fermata::unix_listen_options;
using fermata::unix_listener;
using fermata::unix_stream;
using fermata::unix_stream_pair;
using fermata::with_policy;
using fermata::test::carry;
using fermata::test::failure_of;
using fermata::test::open_descriptors;
using fermata::test::read_some;
using fermata::test::temp_folder;
using fermata::test::turns;
using fermata::test::until_settled;
using fermata::testing::options_of_run;

namespace {

using connection = std::unique_ptr<unix_stream>;

struct pair_of_streams {
  event_loop loop{options_of_run()};
  std::pair<connection, connection> ends = unix_stream_pair();
  unix_stream& a = *ends.first;
  unix_stream& b = *ends.second;
  std::array<std::byte, 16> place{};

  void send(const std::string& text, const std::vector<int>& descriptors) {
    loop.run([&] { return a.send(bytes_of(text), descriptors); });
  }
  passed_bytes receive(std::size_t most) {
    return loop.run([&] { return b.receive(place, most); });
  }
};

unique_fd open_null() { return unique_fd(::open("/dev/null", O_RDONLY | O_CLOEXEC)); }

bool is_same_file(int a, int b) {
  struct stat x {};
  struct stat y {};
  return ::fstat(a, &x) == 0 && ::fstat(b, &y) == 0 && x.st_ino == y.st_ino &&
         x.st_rdev == y.st_rdev;
}

promise<std::pair<connection, connection>> connect_pair(unix_listener& listener, std::string path) {
  promise<connection> accepting = listener.accept();
  promise<connection> connecting = unix_connect(std::move(path));
  connection server = co_await std::move(accepting);
  connection client = co_await std::move(connecting);
  co_return std::pair<connection, connection>(std::move(server), std::move(client));
}

}  // namespace

// ---- streams ----

TEST_CASE("a pair of unix streams carries bytes both ways", "[promise][unix]") {
  pair_of_streams p;
  const std::string text(3'000'000, 'x');
  CHECK(p.loop.run([&] { return carry(p.a, p.b, text); }) == text);
  CHECK(p.a.counts().written_bytes == text.size());
  CHECK(p.b.counts().read_bytes == text.size());
  p.loop.run([&] { return fermata::write_text(p.b, "back"); });
  CHECK(p.loop.run([&] { return read_some(p.a, 9); }) == "back");
  CHECK(p.a.peer() == "a socket pair");
}

TEST_CASE("pieces are written in order on a unix stream", "[promise][unix]") {
  pair_of_streams p;
  const std::vector<byte_view> pieces{bytes_of("ab"), bytes_of(""), bytes_of("cd")};
  p.loop.run([&] { return p.a.write_pieces(pieces); });
  CHECK(p.loop.run([&] { return read_some(p.b, 9); }) == "abcd");
}

TEST_CASE("a unix stream that is closed says so, and its peer raises no signal",
          "[promise][unix]") {
  pair_of_streams p;
  p.a.close();
  CHECK(p.loop.run([&] { return read_some(p.b, 9); }).empty());
  CHECK(failure_of(p.loop, fermata::write_text(p.b, "x")) ==
        "cannot write to a socket pair: broken pipe (uv EPIPE)");
  CHECK(failure_of(p.loop, fermata::write_text(p.a, "x")) ==
        "cannot write to a socket pair: bad file descriptor (uv EBADF)");
  CHECK(failure_of(p.loop, p.a.write_pieces({})) ==
        "cannot write to a socket pair: bad file descriptor (uv EBADF)");
  CHECK(failure_of(p.loop, read_some(p.a, 1)) ==
        "cannot read from a socket pair: bad file descriptor (uv EBADF)");
  CHECK(failure_of(p.loop, p.a.receive(p.place, 1)) ==
        "cannot read from a socket pair: bad file descriptor (uv EBADF)");
  CHECK_THROWS_WITH(p.a.credentials(),
                    "cannot identify a socket pair: bad file descriptor (uv EBADF)");
}

TEST_CASE("reads and writes of a unix stream are cancelled at once", "[promise][unix]") {
  pair_of_streams p;
  const std::string text(3'000'000, 'x');
  const promise<> writing = p.a.write(bytes_of(text));
  const promise<std::string> reading = read_some(p.a, 1);
  p.loop.run([] { return turns(5); });
  CHECK_THROWS_AS(p.loop.run([&] { return p.a.write(bytes_of("x")); }), contract_error);
  CHECK_THROWS_AS(p.loop.run([&] { return p.a.write_pieces({}); }), contract_error);
  CHECK_THROWS_AS(p.loop.run([&] { return p.a.shutdown(); }), contract_error);
  CHECK_THROWS_AS(p.loop.run([&] { return read_some(p.a, 1); }), contract_error);
  CHECK_THROWS_AS(p.loop.run([&] { return p.a.receive(p.place, 1); }), contract_error);
  cancel(writing);
  cancel(reading);
  p.loop.run([&] { return until_settled(writing); });
  p.loop.run([&] { return until_settled(reading); });
  CHECK(is_cancelled(writing.error()));
  CHECK(is_cancelled(reading.error()));
  const std::uint64_t sent = p.a.counts().written_bytes;
  CHECK(sent > 0);
  p.a.close();
  CHECK(p.loop.run([&] { return fermata::read_to_end(p.b, text.size()); }).size() == sent);
}

TEST_CASE("closing a unix stream cancels what is under way", "[promise][unix]") {
  pair_of_streams p;
  const std::string text(3'000'000, 'x');
  const promise<> writing = p.a.write(bytes_of(text));
  const promise<std::string> reading = read_some(p.a, 1);
  p.loop.run([] { return turns(5); });
  p.ends.first = nullptr;
  p.loop.run([&] { return until_settled(writing); });
  p.loop.run([&] { return until_settled(reading); });
  CHECK(is_cancelled(writing.error()));
  CHECK(is_cancelled(reading.error()));
}

TEST_CASE("the end of a loop ends what a unix stream waits for", "[promise][unix]") {
  auto loop = std::make_unique<event_loop>();
  auto ends = unix_stream_pair();
  const std::string text(3'000'000, 'x');
  promise<> writing = ends.first->write(bytes_of(text));
  promise<std::string> reading = read_some(*ends.first, 1);
  loop = nullptr;
  CHECK_THROWS_AS(std::move(writing).get(), loop_closed);
  CHECK_THROWS_AS(std::move(reading).get(), loop_closed);
}

TEST_CASE("a unix stream looks at every read and every piece written", "[promise][unix]") {
  pair_of_streams p;
  const std::string text(3'000'000, 'x');
  const std::uint64_t before = p.loop.metrics().looks;
  p.loop.run([&] { return with_policy(policy::always(), [&] { return carry(p.a, p.b, text); }); });
  CHECK(p.loop.metrics().looks - before >= 2 * text.size() / fermata::detail::stream_piece_bytes);
}

TEST_CASE("a unix stream pauses between the pieces of a large write", "[promise][unix]") {
  pair_of_streams p;
  const std::vector<byte_view> pieces(50, bytes_of("x"));  // all fit at once
  const std::uint64_t before = p.loop.metrics().looks;
  p.loop.run(
      [&] { return with_policy(policy::always(), [&] { return p.a.write_pieces(pieces); }); });
  CHECK(p.loop.metrics().looks - before >= 2 * pieces.size());
}

// ---- descriptors ----

TEST_CASE("descriptors are passed as copies, closed on exec", "[promise][unix]") {
  pair_of_streams p;
  const auto before = open_descriptors();
  {
    const unique_fd null = open_null();
    p.send("ab", {null.get(), null.get()});
    const passed_bytes came = p.receive(9);
    CHECK(came.bytes == 2);
    CHECK_FALSE(came.has_lost_descriptors);
    REQUIRE(came.descriptors.size() == 2);
    for (const unique_fd& fd : came.descriptors) {
      CHECK(fd.get() != null.get());
      CHECK(is_same_file(fd.get(), null.get()));
      CHECK((::fcntl(fd.get(), F_GETFD) & FD_CLOEXEC) != 0);
    }
  }
  CHECK(open_descriptors() == before);
}

TEST_CASE("descriptors that nobody asks for are closed and told", "[promise][unix]") {
  pair_of_streams p;
  const auto before = open_descriptors();
  {
    const unique_fd null = open_null();
    p.send("a", {null.get(), null.get(), null.get()});
    const passed_bytes one = p.receive(1);
    CHECK(one.descriptors.size() == 1);
    CHECK(one.has_lost_descriptors);
    p.send("a", {null.get(), null.get(), null.get()});
    const passed_bytes none = p.receive(0);
    CHECK(none.descriptors.empty());
    CHECK(none.has_lost_descriptors);
    p.send("a", {null.get()});
    CHECK(p.loop.run([&] { return read_some(p.b, 1); }) == "a");
  }
  CHECK(open_descriptors() == before);
}

TEST_CASE("descriptors that are never received are closed", "[promise][unix]") {
  pair_of_streams p;
  const auto before = open_descriptors();
  {
    const unique_fd null = open_null();
    p.send("a", {null.get()});
    const promise<passed_bytes> waiting = p.b.receive(p.place, 1);  // its result is dropped
    CHECK(waiting.is_resolved());
    p.send("a", {null.get()});
  }
  p.ends = {};
  CHECK(open_descriptors() == before - 2);
}

TEST_CASE("a cancelled receive loses no descriptor", "[promise][unix]") {
  pair_of_streams p;
  const promise<passed_bytes> waiting = p.b.receive(p.place, 1);
  p.loop.run([] { return turns(3); });
  cancel(waiting);
  p.loop.run([&] { return until_settled(waiting); });
  CHECK(is_cancelled(waiting.error()));
  const unique_fd null = open_null();
  p.send("a", {null.get()});
  CHECK(p.receive(1).descriptors.size() == 1);
}

TEST_CASE("as many descriptors as the system allows are passed", "[promise][unix]") {
  pair_of_streams p;
  const unique_fd null = open_null();
  std::vector<int> many(unix_stream::most_descriptors, null.get());
  p.send("a", many);
  CHECK(p.receive(1000).descriptors.size() == many.size());
  many.push_back(null.get());
  CHECK(failure_of(p.loop, p.a.send(bytes_of("a"), many)) ==
        "more than 253 descriptors are passed at once");
  CHECK(failure_of(p.loop, p.a.send({}, many)) == "descriptors are passed with no bytes");
  CHECK(failure_of(p.loop, p.a.receive({}, 1)) == "a read into no bytes");
  const std::vector<int> wrong{-1};
  CHECK(failure_of(p.loop, p.a.send(bytes_of("a"), wrong)) ==
        "cannot write to a socket pair: bad file descriptor (uv EBADF)");
}

TEST_CASE("descriptors go with the first byte of a large write", "[promise][unix]") {
  pair_of_streams p;
  const unique_fd null = open_null();
  const std::vector<int> one{null.get()};
  const std::string text(3'000'000, 'x');
  const promise<> sending = p.a.send(bytes_of(text), one);
  const passed_bytes came = p.receive(1);
  CHECK(came.descriptors.size() == 1);
  CHECK(p.receive(1).descriptors.empty());
  const std::size_t left = text.size() - 2 * p.place.size();
  std::string rest(left, ' ');
  p.loop.run([&] { return fermata::read_exactly(p.b, std::as_writable_bytes(std::span(rest))); });
  p.loop.run([&] { return sending; });
}

// ---- listening and connecting ----

TEST_CASE("clients connect to a path or an abstract name", "[promise][unix]") {
  event_loop loop{options_of_run()};
  const temp_folder folder;
  const std::string file = (folder.path() / "s").string();
  for (const std::string& path : {file, "@fermata-test-" + std::to_string(::getpid())}) {
    unix_listener listener(path);
    auto [server, client] = loop.run([&] { return connect_pair(listener, path); });
    CHECK(loop.run([&c = client, &s = server] { return carry(*c, *s, "hello"); }) == "hello");
    CHECK(client->peer() == path);
    CHECK(server->peer() == "a client of " + path);
    const auto who = server->credentials();
    CHECK(who.process == ::getpid());
    CHECK(who.user == ::getuid());
    CHECK(who.group == ::getgid());
  }
  CHECK_FALSE(std::filesystem::exists(file));
}

TEST_CASE("errors of unix sockets name the path", "[promise][unix]") {
  event_loop loop{options_of_run()};
  const temp_folder folder;
  const std::string path = (folder.path() / "s").string();
  CHECK(failure_of(loop, unix_connect(path)) ==
        "cannot connect to " + path + ": no such file or directory (uv ENOENT)");
  const unix_listener listener(path);
  CHECK_THROWS_WITH(unix_listener(path),
                    "cannot listen on " + path + ": address already in use (uv EADDRINUSE)");
  const std::string longest(108, 'x');
  CHECK_THROWS_WITH(unix_listener(longest),
                    "cannot use " + longest + ": name too long (uv ENAMETOOLONG)");
  CHECK(failure_of(loop, unix_connect(longest)) ==
        "cannot use " + longest + ": name too long (uv ENAMETOOLONG)");
}

TEST_CASE("a path that nobody listens at can be taken over", "[promise][unix]") {
  event_loop loop{options_of_run()};
  const temp_folder folder;
  const std::string path = (folder.path() / "s").string();
  {
    const unique_fd old(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const auto at = fermata::socket_address::local(path);
    REQUIRE(::bind(old.get(), at.get(), at.size) == 0);
  }
  CHECK(failure_of(loop, unix_connect(path)) ==
        "cannot connect to " + path + ": connection refused (uv ECONNREFUSED)");
  CHECK_THROWS_AS(unix_listener(path), error);
  unix_listen_options over;
  over.replaces_stale = true;
  unix_listener listener(path, over);
  CHECK_THROWS_AS(unix_listener(path, over), error);  // somebody listens
  loop.run([&] { return connect_pair(listener, path); });
  listener.close();
  std::ofstream(path) << "a file";
  CHECK_THROWS_AS(unix_listener(path, over), error);
  CHECK(std::filesystem::exists(path));
}

TEST_CASE("a listener leaves a file that took its name alone", "[promise][unix]") {
  const event_loop loop;
  const temp_folder folder;
  const std::string path = (folder.path() / "s").string();
  {
    const unix_listener listener(path);
    std::filesystem::remove(path);
    std::ofstream(path) << "another";
  }
  CHECK(std::filesystem::exists(path));
}

TEST_CASE("an accept is cancelled and loses no connection", "[promise][unix]") {
  event_loop loop{options_of_run()};
  const temp_folder folder;
  const std::string path = (folder.path() / "s").string();
  unix_listener listener(path);
  const promise<connection> first = listener.accept();
  CHECK_THROWS_AS(loop.run([&] { return listener.accept(); }), contract_error);
  cancel(first);
  loop.run([&] { return until_settled(first); });
  CHECK(is_cancelled(first.error()));
  loop.run([&] { return connect_pair(listener, path); });
  const promise<connection> second = listener.accept();
  listener.close();
  loop.run([&] { return until_settled(second); });
  CHECK(is_cancelled(second.error()));
  CHECK(failure_of(loop, listener.accept()) ==
        "cannot accept a connection on a closed listener: bad file descriptor (uv EBADF)");
}

TEST_CASE("the end of a loop ends an accept", "[promise][unix]") {
  auto loop = std::make_unique<event_loop>();
  unix_listener listener("@fermata-end-" + std::to_string(::getpid()));
  promise<connection> accepting = listener.accept();
  loop = nullptr;
  CHECK_THROWS_AS(std::move(accepting).get(), loop_closed);
}

TEST_CASE("a client waits for room in a full backlog", "[promise][unix]") {
  event_loop loop{options_of_run()};
  const std::string path = "@fermata-full-" + std::to_string(::getpid());
  unix_listen_options small;
  small.backlog = 0;
  unix_listener listener(path, small);
  const connection first = loop.run([&] { return unix_connect(path); });
  CHECK(failure_of(loop, unix_connect(path, 0ns)) ==
        "cannot connect to " + path + ": connection timed out (uv ETIMEDOUT)");
  const promise<connection> cancelled_one = unix_connect(path);
  const promise<connection> second = unix_connect(path);
  loop.run([] { return turns(3); });
  CHECK(second.is_pending());
  cancel(cancelled_one);
  loop.run([&] { return until_settled(cancelled_one); });
  CHECK(is_cancelled(cancelled_one.error()));
  loop.run([&] { return listener.accept(); });
  loop.run([&] { return until_settled(second); });
  CHECK(second.is_resolved());
}
