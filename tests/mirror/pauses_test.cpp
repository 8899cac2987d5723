// SPDX-License-Identifier: MIT
// Every pause of the mirror, by the function that it is in: a service and a store of archives go
// through clone, update, restart, failures and upkeep.

#include "archive_place.hpp"
#include "support/pause_sites.hpp"

#include <catch2/catch.hpp>

#include <chrono>
#include <fstream>
#include <functional>
#include <string>
#include <utility>

using namespace fermata;
using namespace fermata::mirror;
using namespace fermata::mirror::test;
using namespace std::chrono_literals;
using fermata::test::pause_sites;

namespace {

// A service from its start to its end, under the trace.
void run_service(pause_sites& sites,
                 const service_options& options,
                 const std::function<void(site&)>& work) {
  site s(options, pause_sites::traced());
  s.loop.trace().start();
  work(s);
  s.loop.trace().stop();
  sites.collect(s.loop.trace().snapshot());
}

promise<> until_failed(const service& of, std::size_t downloads) {
  while (of.archives()->failed != downloads) {
    promise<> tick = sleep_for(1ms);  // nobody tells
    co_await tick;
  }
}

void change(const temp_folder& folder, const std::string& how) {
  folder.run("cd r && " + how + " && git add -A && git commit -q --allow-empty -m c");
}

// So large that its index is freed in several slices, and has several groups to be taken over.
void add_many_files(const temp_folder& folder) {
  change(folder,
         "mkdir -p packages/m/m.1/files && head -c 2000000 /dev/urandom >packages/m/m.1/files/f; "
         "cd packages; for i in $(seq 300); do mkdir -p p$((i % 7))/p.$i; "
         "echo $i >p$((i % 7))/p.$i/opam; done; cd ..");
}

void serve(pause_sites& sites) {
  const temp_folder folder;
  make_repository(folder);
  add_many_files(folder);
  const std::string lost = "url { src: \"file:///nowhere\" checksum: \"md5=";
  folder.write("r/packages/n/n.1/opam", lost + std::string(32, 'a') + "\" }\n");
  folder.write("r/packages/o/o.1/opam", lost + std::string(32, 'b') + "\" }\n");
  change(folder, "true");
  service_options options = options_with_data(folder);
  options.archives.folder = options.data_directory + "/cache";
  options.archives.first_delay = 1h;
  options.archives.allow_file = true;
  const auto update = [&folder](site& s, const std::string& how) {
    change(folder, how);
    s.mirror.ask_update();
    s.wait_for("phase read");
  };
  const auto begin = [](site& s) {
    s.wait_for("served");
    s.wait_for("phase read");
    s.loop.run([&s] { return until_failed(s.mirror, 2); });
  };
  run_service(sites, options, [&begin](site& s) {
    begin(s);
    s.wait_for("phase save");  // else the second has nothing to begin with
  });
  run_service(sites, options, [&](site& s) {
    begin(s);
    update(s, "echo >packages/a/a.1/more && git rm -rq packages/b && cp -r packages/a packages/z");
    update(s, "git rm -rq packages/z packages/p1");
  });
}

void keep_archives(pause_sites& sites) {
  archive_options options;
  options.check = true;
  options.collect_interval = 1ms;
  place p(options, pause_sites::traced());
  p.loop.trace().start();
  p.wait_for([](const archive_status& s) { return s.is_open; });  // so updates are compared with it
  p.add("a.1", "/a", std::string(50'000, 'a'));
  (*p.upstream)["/a"].how = manner::cut;
  p.add("b.1", "/b", "b");
  p.add("c.1", "/c", "c");
  (*p.upstream)["/c"].how = manner::missing;
  p.publish();
  p.wait_for(is_idle);
  p.service().retry("http 404");
  p.wait_for([&p](const archive_status& s) { return p.upstream->asked("/c") == 2 && is_idle(s); });
  p.change_while_down = [&p] {
    p.remove("c.1");  // what was known of its download is forgotten
    p.publish();
  };
  p.restart();
  p.wait_for([](const archive_status& s) { return s.checked == 1; });
  p.remove("a.1");
  p.remove("b.1");
  p.write("d.1", "opam-version: \"2.0\"\n");
  p.publish();  // what is stored of them is looked at by what collects
  p.wait_for([](const archive_status& s) { return s.store.unnamed == 1 && s.store.partial == 0; });
  p.loop.trace().stop();
  sites.collect(p.loop.trace().snapshot());
}

// Function by function, how many there are.
constexpr const char* expected = R"(archive_catalogue.cpp read 4
archive_catalogue.cpp read_blob 1
archive_downloads.cpp forget_others 1
archive_downloads.cpp keep_downloading 3
archive_downloads.cpp look_at_all 1
archive_downloads.cpp take_update 1
archive_store.cpp check 1
archive_store.cpp collect 1
archive_store.cpp drop_partial 1
archive_store.cpp open 2
archive_store.cpp save 1
archive_upkeep.cpp known_failures 2
kept_index.cpp end_of 1
kept_index.cpp find_same 2
kept_index.cpp free_in_slices 1
kept_index.cpp take_until 1
refresh.cpp add_files 1
refresh.cpp drive 1
refresh.cpp feed_file 1
refresh.cpp read_roots 1
refresh.cpp receive_into 1
refresh.cpp walk_all 1
served.cpp etag_of 1
served.cpp tend 2
service_work.cpp adopt_parts 1
service_work.cpp keep_fresh 1
service_work.cpp show_store 1
)";

}  // namespace

TEST_CASE("every pause of the mirror is reached, function by function", "[mirror][pauses]") {
  pause_sites sites("mirror");
  serve(sites);
  keep_archives(sites);
  sites.check(expected);
}
