// SPDX-License-Identifier: MIT
// An upstream, its packages, and a mirror of their archives that can be restarted.
#pragma once

#include "service_support.hpp"
#include "support/fixture_upstream.hpp"

#include <fermata/git_mem/clone.hpp>
#include <fermata/git_mem/walk.hpp>
#include <fermata/http/server.hpp>
#include <fermata/mirror/archive_service.hpp>
#include <fermata/promise/cancel.hpp>
#include <fermata/promise/sleep.hpp>

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace fermata::mirror::test {

using fermata::test::fixture_upstream;
using fermata::test::sum_of;
using manner = fixture_upstream::manner;

inline promise<git_mem::object_id> clone_into(std::string url, git_mem::object_store& store) {
  promise<git_mem::clone_result> cloning = git_mem::clone(std::move(url));
  git_mem::clone_result cloned = co_await std::move(cloning);
  const git_mem::object_id tip = cloned.tip;
  store.publish(git_mem::make_snapshot(store, std::move(cloned)));
  co_return tip;
}

// An upstream, its packages, and a mirror of their archives.
class place {
public:
  explicit place(archive_options o = archive_options(),
                 loop_options given = testing::options_of_run())
      : loop(logging(logged, std::move(given))) {
    folder_.run("git init -q -b main r");
    o.folder = (folder_.path() / "cache").string();
    if (o.first_delay == archive_options().first_delay) o.first_delay = std::chrono::hours(1);
    options_ = std::move(o);
    loop.run([this] {
      upstream.emplace();
      for (std::string& base : options_.upstream_caches) base = upstream->url(base);
      restart_in_loop();
      return ready();
    });
  }
  ~place() {
    loop.run([this] { return end(); });
  }

  /// A package of one archive; gives the checksum `sha256=...`.
  std::string add(const std::string& package,
                  const std::string& path,
                  const std::string& bytes,
                  const std::string& more = "") {
    const std::string sum = "sha256=" + sum_of(folder_, "sha256sum", bytes);
    (*upstream)[path].bytes = bytes;
    write(package,
          "url { src: \"" + upstream->url(path) + "\" checksum: \"" + sum + "\" " + more + " }\n");
    return sum;
  }
  void write(const std::string& package, const std::string& text) {
    folder_.write("r/packages/" + package.substr(0, package.find('.')) + "/" + package + "/opam",
                  text);
  }
  void remove(const std::string& package) {
    folder_.run("rm -r r/packages/" + package.substr(0, package.find('.')));
  }
  void publish() {
    folder_.run("git -C r add -A && git -C r commit -q --allow-empty -m x");
    loop.run([this] { return update(); });
  }
  void restart() {
    loop.run([this] { return end_service(); });
    change_while_down();
    loop.run([this] {
      restart_in_loop();
      return service_->update(catalogue_update());  // it is as it was
    });
  }
  answer ask(const std::string& path,
             const std::string& fields = "",
             const std::string& method = "GET") {
    return loop.run([&] { return ask_port(port_, method, path, fields); });
  }
  answer get(const std::string& sum, const std::string& fields = "") {
    return ask("/cache/" + archive_hash::parse(sum)->path(), fields);
  }
  std::vector<answer> get_twice(const std::string& sum) {
    std::vector<answer> answers;
    loop.run([&] { return ask_twice(sum, answers); });
    return answers;
  }
  /// All at once, each on a connection of its own.
  std::vector<answer> get_all(const std::vector<std::string>& sums) {
    std::vector<answer> answers;
    loop.run([&] { return ask_all(sums, answers); });
    return answers;
  }
  /// Asks and does not wait for the answer; who drops the stream has left.
  std::unique_ptr<byte_stream> begin_get(const std::string& sum) {
    return loop.run([&] { return begin_asking(sum); });
  }
  [[nodiscard]] const http::server_counters& counters() const { return server_->counters(); }
  void wait_for(std::function<bool(const archive_status&)> is_so) {
    loop.run([&] { return until(is_so); });
  }
  archive_status status() {
    archive_status s;
    loop.run([&] {
      s = service_->status();
      return ready();
    });
    return s;
  }
  [[nodiscard]] std::string stored(const std::string& sum) const {
    return options_.folder + "/" + archive_hash::parse(sum)->path();
  }
  [[nodiscard]] const temp_folder& folder() const { return folder_; }
  archive_service& service() { return *service_; }
  archive_options& options() { return options_; }

  std::string logged;  ///< warnings and errors
  std::function<void()> change_while_down = [] {};
  event_loop loop;
  std::optional<fixture_upstream> upstream;

private:
  static loop_options logging(std::string& to, loop_options options) {
    options.log = [&to](log_level level, std::string_view, std::string_view message) {
      if (level <= log_level::warn) to += std::string(message) + "\n";
    };
    return options;
  }
  void restart_in_loop() {
    service_.emplace(options_, catalogue_);
    running_ = service_->run();
    server_.emplace([this](const http::request& r) { return service_->serve(r); });
    port_ = port_of(server_->listen("127.0.0.1:0"));
  }
  promise<> ask_twice(const std::string& sum, std::vector<answer>& answers) {
    const std::string path = "/cache/" + archive_hash::parse(sum)->path();
    promise<answer> first = ask_port(port_, "GET", path);
    promise<answer> second = ask_port(port_, "GET", path);
    answers.push_back(co_await std::move(first));
    answers.push_back(co_await std::move(second));
  }
  promise<> ask_all(const std::vector<std::string>& sums, std::vector<answer>& answers) {
    std::vector<promise<answer>> asked;
    for (const std::string& sum : sums) {
      asked.push_back(ask_port(port_, "GET", "/cache/" + archive_hash::parse(sum)->path()));
    }
    for (promise<answer>& p : asked) answers.push_back(co_await std::move(p));
  }
  promise<std::unique_ptr<byte_stream>> begin_asking(std::string sum) {
    promise<std::unique_ptr<byte_stream>> connecting =
        tcp_connect("127.0.0.1", port_, connect_options());
    std::unique_ptr<byte_stream> stream = co_await std::move(connecting);
    promise<> sent =
        write_text(*stream, request_text("GET", "/cache/" + archive_hash::parse(sum)->path(), ""));
    co_await sent;
    co_return stream;
  }
  promise<> update() {
    promise<git_mem::object_id> cloning =
        clone_into("file://" + (folder_.path() / "r").string(), store_);
    const git_mem::object_id tip = co_await std::move(cloning);
    archive_catalogue::file_list files;
    auto keep = [&files](const git_mem::tree_walk::entry& e) {
      files.push_back(e);
      return ready();
    };
    promise<> walking = git_mem::walk_files(store_.current(), tip, "packages", std::move(keep));
    co_await walking;
    promise<catalogue_update> reading = catalogue_.read(store_.current(), files);
    catalogue_update what = co_await std::move(reading);
    if (!service_) co_return;  // changed while it is down
    promise<> updating = service_->update(std::move(what));
    co_await updating;
  }
  promise<> until(const std::function<bool(const archive_status&)>& is_so) {
    while (!is_so(service_->status())) {
      promise<> tick = sleep_for(std::chrono::milliseconds(1));  // nobody tells
      co_await tick;
    }
  }
  promise<> end_service() {
    promise<> closed = server_->shutdown(std::chrono::nanoseconds(0));
    co_await closed;
    cancel(running_);
    try {
      co_await running_;
    } catch (const cancelled&) {
    }
    server_.reset();
    service_.reset();
  }
  promise<> end() {
    promise<> ended = end_service();
    co_await ended;
    promise<> closed = upstream->end();
    co_await closed;
    upstream.reset();
  }

  temp_folder folder_;
  archive_options options_;
  git_mem::object_store store_;
  archive_catalogue catalogue_;
  std::optional<archive_service> service_;
  std::optional<http::server> server_;
  promise<> running_;
  std::uint16_t port_ = 0;
};

inline bool is_idle(const archive_status& s) {
  return s.is_open && s.is_known && s.waiting == 0 && s.active.empty();
}

inline std::string failures(const archive_status& s) {
  std::string text;
  for (const failure_group& g : s.failures) {
    text += g.reason + "=" + std::to_string(g.count) + " ";
  }
  return text;
}

}  // namespace fermata::mirror::test
