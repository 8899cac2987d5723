// SPDX-License-Identifier: MIT
// A whole opam mirror inside another program, beside the program's own pages: one loop, one port.
// With an argument it mirrors that repository for ever; without one a repository of its own, asks
// itself for a page of each, and ends.

#include <fermata/http/router.hpp>
#include <fermata/http/server.hpp>
#include <fermata/mirror/service.hpp>
#include <fermata/promise/run_command.hpp>

#include <cstdio>
#include <filesystem>
#include <string>

namespace http = fermata::http;
namespace mirror = fermata::mirror;
using fermata::promise;

// [embed_mirror]
// The pages of this program below /team/, the mirror for all else.
http::handler beside(const mirror::service& packages) {
  auto own = std::make_shared<http::router>();
  own->on("GET", "/team/packages", [&packages](const http::request&) {
    const auto served = packages.current();
    std::string text = served ? std::to_string(served->files) + " files" : "not yet";
    return fermata::ready(http::text_response(200, std::move(text)));
  });
  return [own, of_mirror = packages.handler()](const http::request& r) {
    return r.path().starts_with("/team/") ? (*own)(r) : of_mirror(r);
  };
}
// [/embed_mirror]

promise<std::string> get(std::string url) {
  promise<fermata::run_result> asking = fermata::run_command(fermata::command({"curl", "-s", url}));
  const fermata::run_result got = co_await std::move(asking);
  co_return got.out;
}

promise<> serve(std::string remote, bool for_ever) {
  auto [served, tell] = fermata::make_promise<>();
  auto told = std::make_shared<fermata::resolver<>>(std::move(tell));
  mirror::service_options options;
  options.remote = std::move(remote);
  options.on_served = [told](const mirror::generation&) {
    if (*told) told->resolve();
  };
  mirror::service packages(std::move(options));
  http::server server(beside(packages));
  const std::string url = "http://" + server.listen("127.0.0.1:0");
  promise<> working = packages.run();
  co_await served;
  promise<std::string> team = get(url + "/team/packages");
  const std::string own = co_await team;
  promise<std::string> version = get(url + "/version");
  const std::string of_mirror = co_await version;
  std::printf("/team/packages: %s\n/version: %s", own.c_str(), of_mirror.c_str());
  if (for_ever) {
    std::printf("opam init %s\n", url.c_str());
    co_await working;
  }
  fermata::cancel(working);
  promise<> closed = server.shutdown(std::chrono::seconds(1));
  co_await closed;
}

int main(int argc, char** argv) {
  fermata::event_loop loop;
  if (argc > 1) return loop.run([&] { return serve(argv[1], true); }), 0;
  std::string folder = (std::filesystem::temp_directory_path() / "embed-XXXXXX").string();
  if (mkdtemp(folder.data()) == nullptr) return 1;
  const std::string make =
      "cd " + folder + " && git init -q . && mkdir -p packages/a/a.1 && echo 1.0 > version && " +
      "echo 'opam-version: \"2.0\"' > packages/a/a.1/opam && git add . && " +
      "git -c user.name=a -c user.email=a@example.org commit -q -m a";
  if (std::system(make.c_str()) == 0) loop.run([&] { return serve(folder, false); });
  std::filesystem::remove_all(folder);
}
