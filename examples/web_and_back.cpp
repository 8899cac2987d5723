// SPDX-License-Identifier: MIT
// A server of files that takes uploads, and a client that asks it.

#include <fermata/http/client.hpp>
#include <fermata/http/incoming_body.hpp>
#include <fermata/http/served_file.hpp>
#include <fermata/http/server.hpp>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>

using namespace fermata::http;
using fermata::promise;

namespace {

// [file]
promise<response> send_notes(file_cache& files, std::string path, const request& r) {
  promise<served_file> opening = files.open(path);
  const served_file file = co_await opening;
  const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  co_return serve(r, file.describe("text/plain"), file, now);  // also 206, 304, 416
}
// [/file]

// [upload]
promise<response> take_upload(const request& r) {
  const body_source pieces = body_of(r);
  std::size_t size = 0;
  for (;;) {
    promise<shared_bytes> reading = pieces();
    const shared_bytes piece = co_await reading;
    if (piece.empty()) co_return text_response(200, std::to_string(size) + " bytes came");
    size += piece.size();
  }
}
// [/upload]

// [client]
promise<std::string> ask(client& c, client_request r) {
  r.options = c.defaults();
  r.options->limits.total_time = std::chrono::seconds(30);
  promise<client_response> sending = c.send(r);
  client_response answer = co_await std::move(sending);
  promise<std::string> reading = answer.body.read_all(1 << 20);
  co_return co_await std::move(reading);
}
// [/client]

}  // namespace

int main() {
  const auto path = std::filesystem::temp_directory_path() / "fermata-notes.txt";
  std::ofstream(path) << "in a file";
  fermata::event_loop loop;
  // [limits]
  server_options options;
  options.rule_of_body = [](const request& r) {
    return body_rule{r.method() == "PUT", 1 << 30};  // streamed, most bytes
  };
  options.most_requests = 1000;  // one more: 503 with Retry-After
  options.client_rate = 100;     // a second, of one address: 429
  options.is_exempt = [](const request& r) { return r.path() == "/healthz"; };
  // [/limits]
  file_cache files;
  router to;
  to.on("GET", "/notes", [&](const request& r) { return send_notes(files, path, r); });
  to.on("PUT", "/notes", take_upload);
  server s(to, options);
  const std::string url = "http://" + s.listen("127.0.0.1:0") + "/notes";
  client c;
  client_request put(url);
  put.method = "PUT";
  put.body = shared_bytes(std::string(1'000'000, 'x'));
  for (const client_request& r : {client_request(url), put})
    std::printf("%s\n", loop.run([&] { return ask(c, r); }).c_str());
  std::filesystem::remove(path);
}
