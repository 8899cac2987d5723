// SPDX-License-Identifier: MIT
#include "stream_support.hpp"
#include "support/data_segments.hpp"

#include <fermata/loop/event_loop.hpp>
#include <fermata/promise/send_file.hpp>
#include <fermata/promise/stream.hpp>
#include <fermata/promise/unique_fd.hpp>
#include <fermata/promise/unix_socket.hpp>

#include <catch2/catch.hpp>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <span>
#include <string>

using fermata::bytes_of;
using fermata::event_loop;
using fermata::read_exactly;
using fermata::unique_fd;
using fermata::unix_stream_pair;

namespace {

unique_fd file_of(std::string_view text) {
  unique_fd fd(memfd_create("file", MFD_CLOEXEC));
  REQUIRE(::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  return fd;
}

}  // namespace

TEST_CASE("send_file gives the part of the file", "[promise][send_file]") {
  event_loop loop;
  const unique_fd file = file_of("0123456789");
  auto [a, b] = unix_stream_pair();
  loop.run([&a = a, &file] { return send_file(*a, file.get(), 2, 5); });
  std::string got(5, ' ');
  loop.run([&b = b, &got] { return read_exactly(*b, std::as_writable_bytes(std::span(got))); });
  CHECK(got == "23456");
}

// The receiver is told of the segments that came with data.
TEST_CASE("over TCP what goes before a file is in one segment with it", "[promise][send_file]") {
  event_loop loop;
  const std::string head = "head, ";
  const std::string text(20'000, 'x');
  const unique_fd file = file_of(text);
  fermata::tcp_listener listener("127.0.0.1:0");
  const fermata::test::plain_peer p = fermata::test::connect_plain(loop, listener);
  loop.run([&] { return send_file(*p.ours, file.get(), 0, text.size(), bytes_of(head)); });
  std::string got(head.size() + text.size(), ' ');
  CHECK(recv(p.socket.get(), got.data(), got.size(), MSG_WAITALL) ==
        static_cast<ssize_t>(got.size()));
  CHECK(got == head + text);
  CHECK(fermata::test::data_segments_received(p.socket.get()) == 1);
}

TEST_CASE("send_file to who has gone rejects and raises no signal", "[promise][send_file]") {
  event_loop loop;
  const unique_fd file = file_of("0123456789");
  auto [a, b] = unix_stream_pair();
  b = nullptr;
  CHECK_THROWS_WITH(loop.run([&a = a, &file] { return send_file(*a, file.get(), 0, 10); }),
                    Catch::Contains("broken pipe"));
  sigset_t pending;
  sigpending(&pending);
  CHECK(sigismember(&pending, SIGPIPE) == 0);
}

TEST_CASE("send_file refuses a file that ends before", "[promise][send_file]") {
  event_loop loop;
  const unique_fd file = file_of("0123456789");
  auto [a, b] = unix_stream_pair();
  CHECK_THROWS_AS(loop.run([&a = a, &file] { return send_file(*a, file.get(), 8, 10); }),
                  fermata::file_failure);
}
