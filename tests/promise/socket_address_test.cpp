// SPDX-License-Identifier: MIT
#include <fermata/loop/error.hpp>
#include <fermata/promise/socket_address.hpp>
#include <fermata/promise/unique_fd.hpp>

#include <catch2/catch.hpp>
#include <fcntl.h>
#include <unistd.h>

#include <string>
#include <utility>

using fermata::socket_address;
using fermata::unique_fd;

TEST_CASE("a socket address is read and written as text", "[promise][socket_address]") {
  for (const std::string text : {"127.0.0.1:80", "[::1]:8080", "0.0.0.0:0", "[fe80::1]:65535"}) {
    CHECK(socket_address::parse(text).value().to_string() == text);
  }
  CHECK(socket_address::parse("localhost:7").value().to_string() == "127.0.0.1:7");
  CHECK_FALSE(socket_address::parse("example.org:80"));
  CHECK(socket_address::parse("127.0.0.1:80").value().port() == 80);
  CHECK(socket_address().to_string() == "unknown");
  CHECK(socket_address().port() == 0);
}

TEST_CASE("a local address is a path or an abstract name", "[promise][socket_address]") {
  CHECK(socket_address::local("/run/x.sock").to_string() == "/run/x.sock");
  CHECK(socket_address::local("@name").to_string() == "@name");
  CHECK(socket_address::local("@name").port() == 0);
  CHECK_THROWS_WITH(socket_address::local(""),
                    "cannot use '' as a socket's name: invalid argument (uv EINVAL)");
  CHECK_THROWS_WITH(socket_address::local("@"),
                    "cannot use '@' as a socket's name: invalid argument (uv EINVAL)");
  CHECK(socket_address::local("/" + std::string(106, 'x')).to_string().size() == 107);
  CHECK_THROWS_WITH(socket_address::local("/" + std::string(107, 'x')),
                    "cannot use /" + std::string(107, 'x') + ": name too long (uv ENAMETOOLONG)");
  CHECK(socket_address::local("@" + std::string(107, 'x')).to_string().size() == 108);
}

TEST_CASE("socket addresses are compared by what they say", "[promise][socket_address]") {
  const socket_address a = socket_address::parse("127.0.0.1:80").value();
  CHECK(a == socket_address::parse("127.0.0.1:80").value());
  CHECK_FALSE(a == socket_address::parse("127.0.0.1:81").value());
  CHECK_FALSE(a == socket_address::local("@x"));
}

TEST_CASE("a descriptor is closed with its owner", "[promise][unique_fd]") {
  int number = -1;
  {
    unique_fd first(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    REQUIRE(first);
    number = first.get();
    const unique_fd second = std::move(first);
    CHECK_FALSE(first);
    CHECK(::fcntl(number, F_GETFD) >= 0);
    CHECK(second.get() == number);
  }
  CHECK(::fcntl(number, F_GETFD) == -1);
  unique_fd given(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  number = given.release();
  CHECK_FALSE(given);
  CHECK(::close(number) == 0);
}
