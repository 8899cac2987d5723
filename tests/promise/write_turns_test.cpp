// SPDX-License-Identifier: MIT
// Who waits for room and who asks something new.
#include "stream_support.hpp"

#include <fermata/promise/send_file.hpp>

#include <catch2/catch.hpp>
#include <sys/mman.h>

#include <array>
#include <string>
#include <vector>

using fermata::byte_stream;
using fermata::bytes_of;
using fermata::event_loop;
using fermata::promise;
using fermata::unique_fd;
using fermata::test::connect_plain;
using fermata::test::plain_peer;
using fermata::test::turns;

namespace {

constexpr int writers = 5;

std::uint64_t written_by(const std::vector<plain_peer>& all) {
  std::uint64_t n = 0;
  for (const plain_peer& p : all) n += p.ours->counts().written_bytes;
  return n;
}

void drain(const unique_fd& socket) {
  std::vector<char> piece(1 << 20);
  while (::recv(socket.get(), piece.data(), piece.size(), MSG_DONTWAIT) > 0) {
  }
}

// Settles when a byte has come; `at` is then what the writers have written.
promise<> note_at_byte(byte_stream& s, const std::vector<plain_peer>& all, std::uint64_t& at) {
  std::array<std::byte, 1> byte{};
  promise<std::size_t> reading = s.read(byte);
  co_await reading;
  at = written_by(all);
}

// All writers get room, after that a question comes: it is heard before one of them goes on.
template <typename Write>
void check_turns(event_loop& loop,
                 std::vector<plain_peer>& all,
                 const plain_peer& other,
                 Write write) {
  loop.run([&]() -> promise<> {
    std::vector<promise<>> writing;
    for (const plain_peer& p : all) writing.push_back(write(*p.ours));
    co_await turns(200);  // until all wait for room
    const std::uint64_t before = written_by(all);
    co_await turns(10);
    CHECK(written_by(all) == before);
    std::uint64_t at = 0;
    promise<> heard = note_at_byte(*other.ours, all, at);
    for (const plain_peer& p : all) drain(p.socket);
    CHECK(::send(other.socket.get(), "x", 1, MSG_NOSIGNAL) == 1);
    co_await heard;
    CHECK(at == before);
    co_await turns(20);
    CHECK(written_by(all) > before);
    for (promise<>& p : writing) fermata::cancel(p);
    for (promise<>& p : writing) co_await fermata::test::until_settled(std::move(p));
  });
}

}  // namespace

TEST_CASE("who waited for room lets a new question go first", "[promise][tcp][availability]") {
  event_loop loop;
  fermata::tcp_listener listener("127.0.0.1:0");
  std::vector<plain_peer> all;
  for (int i = 0; i < writers; ++i) all.push_back(connect_plain(loop, listener));
  const plain_peer other = connect_plain(loop, listener);
  const std::string large(32 << 20, 'x');

  SECTION("in a write") {
    check_turns(loop, all, other, [&](byte_stream& s) { return s.write(bytes_of(large)); });
  }
  SECTION("in a file") {
    const unique_fd fd(memfd_create("file", MFD_CLOEXEC));
    REQUIRE(::write(fd.get(), large.data(), large.size()) == static_cast<ssize_t>(large.size()));
    check_turns(loop, all, other,
                [&](byte_stream& s) { return fermata::send_file(s, fd.get(), 0, large.size()); });
  }
}
