// SPDX-License-Identifier: MIT
// Files as bodies: whole, in parts, through memory and through sockets.

#include "client_support.hpp"
#include "server_support.hpp"
#include "support/temp_repository.hpp"

#include <fermata/http/served_file.hpp>

#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

using fermata::byte_stream;
using fermata::event_loop;
using fermata::promise;
using fermata::http::client;
using fermata::http::client_error;
using fermata::http::client_failure;
using fermata::http::client_request;
using fermata::http::client_response;
using fermata::http::file_cache;
using fermata::http::file_cache_options;
using fermata::http::request;
using fermata::http::response;
using fermata::http::served_file;
using fermata::http::server;
using fermata::http::server_options;
using fermata::http::test::ask;
using fermata::http::test::client_failure_of;
using fermata::http::test::direct;
using fermata::http::test::fixed_date;
using fermata::http::test::get;
using fermata::http::test::get_whole;
using fermata::http::test::whole;
using fermata::test::temp_folder;
using fermata::testing::options_of_run;
using namespace std::chrono_literals;

namespace {

std::string text_of(std::size_t size) {
  std::string out(size, '\0');
  for (std::size_t i = 0; i < size; ++i)
    out[i] = static_cast<char>('a' + i * 7 % 26 + i / 4096 % 5);
  return out;
}

void put(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

promise<response> answer_with(std::string path, const request& r) {
  promise<served_file> opening = served_file::open(std::move(path));
  const served_file file = co_await std::move(opening);
  co_return serve(r, file.describe("text/x-test"), file, {});
}

}  // namespace

TEST_CASE("server sends files of any size, whole and in parts", "[http][file]") {
  const temp_folder folder;
  const std::string path = (folder.path() / "f").string();
  for (const std::size_t size : {0, 1, 1000, 16 * 1024, 16 * 1024 + 1, 5'000'000}) {
    CAPTURE(size);
    const std::string text = text_of(size);
    put(path, text);
    event_loop loop(options_of_run());
    server s([&](const request& r) { return answer_with(path, r); });
    client c(direct());
    client_request r("http://" + s.listen("127.0.0.1:0") + "/f");
    const whole got = loop.run([&] { return get_whole(c, r); });
    CHECK(got.response.status == 200);
    CHECK(got.response.headers.find("Content-Length") == std::to_string(size));
    CHECK(got.response.headers.find("Content-Type") == "text/x-test");
    CHECK((got.body == text));
    const std::string etag(got.response.headers.find("ETag").value_or(""));

    client_request again = r;
    again.headers.add("If-None-Match", etag);
    CHECK(loop.run([&] { return get_whole(c, again); }).response.status == 304);
    if (size < 2) continue;
    client_request part = r;
    part.headers.add("Range", "bytes=1-" + std::to_string(size - 2));
    part.headers.add("If-Range", etag);
    const whole rest = loop.run([&] { return get_whole(c, part); });
    CHECK(rest.response.status == 206);
    CHECK((rest.body == text.substr(1, size - 2)));
    CHECK(s.counters().sent_bytes > got.body.size() + rest.body.size());
  }
}

TEST_CASE("server sends files through streams that are no sockets", "[http][file]") {
  const temp_folder folder;
  const std::string path = (folder.path() / "f").string();
  const std::string text = text_of(300'000);
  put(path, text);
  event_loop loop(options_of_run());
  server s([&](const request& r) { return answer_with(path, r); });
  const std::string answer = loop.run([&] { return ask(s, get("/f", "Connection: close\r\n")); });
  CHECK((answer.substr(answer.size() - text.size()) == text));
}

TEST_CASE("server pauses between the steps of a file", "[http][file][pause]") {
  const temp_folder folder;
  const std::string path = (folder.path() / "f").string();
  put(path, text_of(8 << 20));
  event_loop loop(fermata::testing::options_with(fermata::policy::always()));
  server s([&](const request& r) { return answer_with(path, r); });
  client c(direct());
  client_request r("http://" + s.listen("127.0.0.1:0") + "/f");
  const auto pauses = loop.metrics().pauses;
  CHECK(loop.run([&] { return get_whole(c, r); }).body.size() == 8 << 20);
  CHECK(loop.metrics().pauses - pauses >= 32);
}

TEST_CASE("server tells of a file that is not there or no file", "[http][file]") {
  const temp_folder folder;
  event_loop loop(options_of_run());
  const auto failure = [&](const std::string& path) {
    try {
      loop.run([&] { return served_file::open(path); });
    } catch (const fermata::error& e) {
      return std::string(e.what());
    }
    return std::string();
  };
  const std::string absent = (folder.path() / "absent").string();
  CHECK(failure(absent).starts_with("cannot open " + absent + ": no such file or directory"));
  CHECK(failure(folder.path().string()).ends_with(": it is no regular file"));
  CHECK(failure("/dev/null").ends_with(": it is no regular file"));
}

TEST_CASE("server cuts the connection where a file has become shorter", "[http][file]") {
  const temp_folder folder;
  const std::string path = (folder.path() / "f").string();
  put(path, text_of(5'000'000));
  fermata::loop_options options = options_of_run();
  std::string logged;
  options.log = [&](fermata::log_level, std::string_view, std::string_view m) { logged += m; };
  event_loop loop(std::move(options));
  server s([&](const request& r) -> promise<response> {
    promise<response> answering = answer_with(path, r);
    response out = co_await std::move(answering);
    if (::truncate(path.c_str(), 1'000'000) != 0) throw std::runtime_error("truncate");
    co_return out;
  });
  client c(direct());
  const client_request r("http://" + s.listen("127.0.0.1:0") + "/f");
  const client_error e = loop.run([&] { return client_failure_of(get_whole(c, r)); });
  CHECK(e.kind() == client_failure::broken);
  CHECK(logged ==
        "body failed method=GET path=/f why=cannot send a file: it ends at byte 1000000, early");
  CHECK(s.counters().handler_failures == 1);
}

TEST_CASE("server ends a file that the client does not read", "[http][file]") {
  const temp_folder folder;
  const std::string path = (folder.path() / "f").string();
  put(path, text_of(64 << 20));
  event_loop loop(options_of_run());
  server_options limits;
  limits.write_time = 50ms;
  server s([&](const request& r) { return answer_with(path, r); }, std::move(limits));
  const std::string address = s.listen("127.0.0.1:0");
  loop.run([&]() -> promise<> {
    const auto port = static_cast<std::uint16_t>(std::stoi(address.substr(address.find(':') + 1)));
    promise<std::unique_ptr<byte_stream>> connecting = fermata::tcp_connect("127.0.0.1", port);
    const std::unique_ptr<byte_stream> stream = co_await std::move(connecting);
    promise<> asking = fermata::write_text(*stream, get("/f"));
    co_await asking;
    while (s.counters().timeouts == 0) co_await fermata::sleep_for(5ms);
    co_await s.shutdown(1s);
    CHECK(s.counters().active_connections == 0);
  });
}

TEST_CASE("file_cache opens a file once while it trusts it", "[http][file]") {
  const temp_folder folder;
  const auto path = [&](int i) { return (folder.path() / std::to_string(i)).string(); };
  for (int i = 0; i < 4; ++i) put(path(i), std::to_string(i));
  fermata::test_loop loop(options_of_run());
  file_cache_options options;
  options.most_files = 2;
  options.trusted_for = 1s;
  file_cache cache(std::move(options));
  loop.run([&]() -> promise<> {
    const auto descriptor_of = [&](int i) -> promise<std::pair<int, std::string>> {
      promise<served_file> opening = cache.open(path(i));
      const served_file f = co_await std::move(opening);
      co_return std::pair(f.part(0, 1).descriptor, f.etag());
    };
    const auto first = co_await descriptor_of(0);
    const auto again = co_await descriptor_of(0);
    CHECK(first == again);
    put(path(0) + "new", "another");
    std::rename((path(0) + "new").c_str(), path(0).c_str());
    const auto trusted = co_await descriptor_of(0);
    CHECK(trusted == first);
    co_await fermata::sleep_for(1s);
    const auto changed = co_await descriptor_of(0);
    CHECK(changed.second != first.second);
    co_await descriptor_of(1);
    co_await descriptor_of(2);
    CHECK(cache.size() == 2);
    cache.forget(path(2));
    CHECK(cache.size() == 1);
    std::remove(path(1).c_str());
    co_await fermata::sleep_for(1s);
    const bool absent =
        co_await fermata::http::test::rejects_with<fermata::error>(cache.open(path(1)));
    CHECK(absent);
    CHECK(cache.size() == 0);
  });
}
