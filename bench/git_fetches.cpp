// SPDX-License-Identifier: MIT
// What fetches cost, and what they leave in memory. Prints one JSON line.
//
// pull REPOSITORY: a ref moves from `old` to `new`, fetched at depth 1 as a mirror does. Its name
//   is that of the tag `new`: the store has it at `old` before.
//   Units: bytes of the pack that came; ms of the loop's thread for the fetch, which makes the list
//   of changed paths, and for that list alone. Median of nine.
// fetches COUNT: an upstream of 300 files gets one commit at a time, each is fetched at depth 1,
//   and every twentieth time the store is compacted.
//   Units: bytes that the snapshot takes after each compaction, and resident bytes of the process:
//   the least and the most, the first left out. Flat is the goal.

#include <fermata/git_mem/change.hpp>
#include <fermata/git_mem/compact.hpp>
#include <fermata/git_mem/diff.hpp>
#include <fermata/git_mem/fetch.hpp>
#include <fermata/loop/event_loop.hpp>

#include <fmt/format.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

namespace git = fermata::git_mem;
using fermata::promise;

constexpr int runs = 9;
constexpr int files = 300;
constexpr int between_compactions = 20;

double cpu_ms() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) * 1e3 + static_cast<double>(t.tv_nsec) / 1e6;
}

std::uint64_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  std::uint64_t pages = 0, resident = 0;
  statm >> pages >> resident;
  return resident * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

template <typename T>
T median(std::vector<T> of) {
  std::sort(of.begin(), of.end());
  return of.at(of.size() / 2);
}

// The tag `new`, as if it had stood there when the store was filled.
promise<> set_new(git::object_store& store, git::object_id to) {
  git::change c(store);
  c.set_ref("refs/tags/new", to);
  promise<> published = c.publish();
  co_await published;
}

void pull(const std::string& repository) {
  std::vector<double> fetch_ms, diff_ms;
  std::uint64_t bytes = 0;
  std::size_t changed = 0;
  for (int i = 0; i < runs; ++i) {
    fermata::event_loop loop;
    git::object_store store;
    const git::fetch_result first =
        loop.run([&] { return git::fetch(store, repository + "#old"); });
    loop.run([&] { return set_new(store, first.tip); });
    const double before = cpu_ms();
    const git::fetch_result got = loop.run([&] { return git::fetch(store, repository + "#new"); });
    fetch_ms.push_back(cpu_ms() - before);
    if (got.old_tip != first.tip) throw std::runtime_error("the ref did not move");
    bytes = got.progress.bytes_received;
    const double at = cpu_ms();
    changed =
        loop.run([&] { return git::list_changes(store.current(), first.tip, got.tip); }).size();
    diff_ms.push_back(cpu_ms() - at);
  }
  fmt::print(R"({{"bench":"pull","received_bytes":{},"fetch_cpu_ms":{:.2f},"changed_paths":{},)"
             R"("list_cpu_ms":{:.2f},"runs":{}}})"
             "\n",
             bytes, median(fetch_ms), changed, median(diff_ms), runs);
}

// An upstream that grows: a folder that goes away with it.
class upstream {
public:
  upstream() {
    std::string name = (std::filesystem::temp_directory_path() / "fermata-fetches-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
    folder_ = name;
    shell("git init -q --bare -b main up.git");
    for (int i = 0; i < files; ++i) add();
    import();
  }
  upstream(const upstream&) = delete;
  upstream& operator=(const upstream&) = delete;
  ~upstream() { std::filesystem::remove_all(folder_); }

  [[nodiscard]] std::string url() const { return (folder_ / "up.git").string(); }
  void grow() {
    add();
    import();
  }

private:
  void shell(const std::string& line) const {
    const std::string all = "cd '" + folder_.string() + "' && " + line;
    if (std::system(all.c_str()) != 0) throw std::runtime_error("failed: " + line);
  }
  void add() {
    std::string text;
    for (int line = 0; line < 40; ++line) text += std::to_string(line * 7919) + "\n";
    text += std::to_string(count_) + "\n";
    const bool goes_on = stream_.empty() && count_ > 0;
    stream_ += fmt::format(
        "commit refs/heads/main\ncommitter a <a@b> {} +0000\ndata 1\nm\n{}"
        "M 100644 inline packages/p{}/opam\ndata {}\n{}\n",
        1'700'000'000 + count_, goes_on ? "from refs/heads/main^0\n" : "", count_ % files,
        text.size(), text);
    ++count_;
  }
  void import() {
    std::ofstream(folder_ / "stream", std::ios::binary) << stream_;
    stream_.clear();
    shell("git -C up.git fast-import --quiet < stream");
  }

  std::filesystem::path folder_;
  std::string stream_;
  int count_ = 0;
};

void fetches(int count) {
  upstream from;
  fermata::event_loop loop;
  git::object_store store;
  loop.run([&] { return git::fetch(store, from.url()); });
  std::vector<std::uint64_t> taken, resident, bytes;
  std::vector<double> ms;
  for (int i = 0; i < count; ++i) {
    from.grow();
    const double before = cpu_ms();
    const git::fetch_result got = loop.run([&] { return git::fetch(store, from.url()); });
    ms.push_back(cpu_ms() - before);
    bytes.push_back(got.progress.bytes_received);
    if (i % between_compactions != between_compactions - 1) continue;
    loop.run([&] { return git::compact(store); });
    if (i < between_compactions) continue;
    taken.push_back(store.current()->memory_bytes());
    resident.push_back(resident_bytes());
  }
  const auto [least, most] = std::minmax_element(taken.begin(), taken.end());
  const auto [least_rss, most_rss] = std::minmax_element(resident.begin(), resident.end());
  fmt::print(
      R"({{"bench":"fetches","fetches":{},"received_bytes":{},"fetch_cpu_ms":{:.2f},)"
      R"("memory_bytes_least":{},"memory_bytes_most":{},"rss_bytes_least":{},"rss_bytes_most":{}}})"
      "\n",
      count, median(bytes), median(ms), *least, *most, *least_rss, *most_rss);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string what = argc > 1 ? argv[1] : "";
  try {
    if (what == "pull" && argc == 3) {
      pull(argv[2]);
    } else if (what == "fetches" && argc == 3 && std::atoi(argv[2]) >= 2 * between_compactions) {
      fetches(std::atoi(argv[2]));
    } else {
      std::fputs("usage: fermata-git-fetches pull REPOSITORY | fetches COUNT (40 or more)\n",
                 stderr);
      return 2;
    }
  } catch (const std::exception& e) {
    fmt::print(stderr, "fermata-git-fetches: {}\n", e.what());
    return 1;
  }
  return 0;
}
