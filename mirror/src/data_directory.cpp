// SPDX-License-Identifier: MIT
// The file `index`:
//
//   fermata-mirror index 1 <LF>
//   <SHA-256 of all that follows, 64 hex digits> <LF>
//   <one line of JSON: texts and sizes> <LF>
//   <repo> <version> <index.tar.gz>
//
// The checksum is verified before anything else is believed, so what follows can only be wrong if
// somebody made it so; it is checked all the same, and refused.

#include "saved_file.hpp"

#include <fermata/loop/error.hpp>
#include <fermata/mirror/data_directory.hpp>

#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <stdexcept>
#include <utility>
#include <vector>

namespace fermata::mirror {
namespace {

using json = nlohmann::json;

constexpr std::string_view magic = "fermata-mirror index 1\n";
constexpr std::size_t longest_head_bytes = 1024 * 1024;

std::string head_of(const generation& g) {
  json head;
  head["remote"] = g.remote;
  head["branch"] = g.branch;
  head["commit"] = g.commit;
  head["commit_time"] = g.commit_time.time_since_epoch().count();
  head["last_modified"] =
      g.last_modified ? json(g.last_modified->time_since_epoch().count()) : json(nullptr);
  head["files"] = g.files;
  head["etag"] = g.etag;
  head["notes"] = g.notes;
  head["repo_bytes"] = g.repo.size();
  head["version_bytes"] = g.version ? json(g.version->size()) : json(nullptr);
  head["index_bytes"] = g.index.size();
  return head.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
}

struct refusal : std::runtime_error {
  using std::runtime_error::runtime_error;
};

std::string text_of_size(saved_file_reader& in, std::uint64_t size) {
  if (size > longest_head_bytes) throw refusal("a size in it is absurd");
  std::string text(size, '\0');
  if (!in.read(text.data(), text.size())) throw refusal("it ends early");
  return text;
}

void read_index(saved_file_reader& in, std::uint64_t size, git_mem::growing_range& index) {
  if (size > longest_saved_index_bytes) throw refusal("the index in it is too large");
  index = git_mem::growing_range(size);
  index.extend(size);
  if (!in.read(reinterpret_cast<char*>(index.data()), size)) throw refusal("it ends early");
  index.seal();
}

// Behind the magic and the checksum, which fits.
std::unique_ptr<generation> read_generation(saved_file_reader& in) {
  auto g = std::make_unique<generation>();
  const json head = json::parse(in.line(longest_head_bytes));
  g->remote = head.at("remote");
  g->branch = head.at("branch");
  g->commit = head.at("commit");
  g->commit_time = std::chrono::sys_seconds(std::chrono::seconds(head.at("commit_time")));
  // An earlier version has not kept it.
  const auto date = head.find("last_modified");
  if (date != head.end() && !date->is_null()) {
    g->last_modified = std::chrono::sys_seconds(std::chrono::seconds(*date));
  }
  g->files = head.at("files");
  g->etag = head.at("etag");
  g->notes = head.at("notes").get<std::vector<std::string>>();
  g->repo = text_of_size(in, head.at("repo_bytes"));
  if (!head.at("version_bytes").is_null()) {
    g->version = text_of_size(in, head.at("version_bytes"));
  }
  read_index(in, head.at("index_bytes"), g->index);
  if (!in.at_end()) throw refusal("bytes behind its end");
  return g;
}

// What is wrong with the file's frame: nothing if its checksum fits.
std::string frame_fault(saved_file_reader& in) {
  if (in.text(magic.size()) != magic) return "it is no index of fermata-mirror";
  return in.checksum_fault();
}

// Also a folder, and over what was set aside before.
void set_aside(const std::string& from, const std::string& to, std::error_code& code) {
  std::filesystem::rename(from, to, code);
  if (!code) return;
  std::error_code ignored;  // the second rename says what is wrong
  std::filesystem::remove_all(to, ignored);
  std::filesystem::rename(from, to, code);
}

// What a kill has left of stores that were being written, each under a name of its own.
void remove_unfinished(const std::string& path) {
  const std::string stem = "store.";
  std::error_code code;
  std::vector<std::filesystem::path> left;
  for (std::filesystem::directory_iterator it(path, code), end; !code && it != end;
       it.increment(code)) {
    const std::string name = it->path().filename().string();
    if (name.starts_with(stem) && name.size() == stem.size() + 6) left.push_back(it->path());
  }
  for (const std::filesystem::path& file : left) std::filesystem::remove(file, code);
}

}  // namespace

data_directory::data_directory(std::string path) : path_(std::move(path)) {
  std::error_code code;
  std::filesystem::create_directories(path_, code);
  if (code) throw uv_error(code.value(), "cannot make the folder " + path_);
  const std::string name = file("lock");
  lock_ = ::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (lock_ < 0) throw errno_error("cannot open " + name);
  if (::flock(lock_, LOCK_EX | LOCK_NB) != 0) {
    const int why = errno;
    std::array<char, 32> pid{};
    const ssize_t n = ::pread(lock_, pid.data(), pid.size() - 1, 0);
    ::close(lock_);
    if (why != EWOULDBLOCK) throw uv_error(why, "cannot lock " + name);
    const std::string who(pid.data(), n > 0 ? static_cast<std::size_t>(n) : 0);
    throw error("cannot use " + path_ + ": another process holds " + name +
                (who.empty() ? "" : " (pid " + who.substr(0, who.find('\n')) + ")"));
  }
  const std::string own = std::to_string(::getpid()) + "\n";
  if (::ftruncate(lock_, 0) != 0 || ::pwrite(lock_, own.data(), own.size(), 0) < 0) {
    const int why = errno;
    ::close(lock_);
    throw uv_error(why, "cannot write " + name);
  }
  remove_unfinished(path_);
}

data_directory::~data_directory() {
  if (lock_ >= 0) ::close(lock_);
}

data_directory::data_directory(data_directory&& other) noexcept
    : path_(std::move(other.path_)), lock_(std::exchange(other.lock_, -1)) {}

data_directory& data_directory::operator=(data_directory&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(lock_, other.lock_);
  return *this;
}

std::string data_directory::file(std::string_view name) const {
  return (std::filesystem::path(path_) / name).string();
}

loaded_generation data_directory::load(std::string_view remote, std::string_view branch) {
  const std::string name = file("index");
  std::string fault;
  {
    saved_file_reader in(name);
    if (!in.exists()) return {};
    try {
      fault = frame_fault(in);
      if (fault.empty()) {
        auto g = read_generation(in);
        if (g->remote == remote && g->branch == branch) return {std::move(g), {}};
        return {nullptr, name + " is of another remote or branch"};
      }
    } catch (const json::exception&) {
      fault = "its head is no JSON of ours";
    } catch (const refusal& e) {
      fault = e.what();
    } catch (const error& e) {  // a folder, or a disk that cannot be read here
      fault = e.code().message();
    }
  }
  const std::string aside = file("index.refused");
  std::error_code code;
  set_aside(name, aside, code);
  if (code) throw uv_error(code.value(), "cannot rename " + name + " to " + aside);
  return {nullptr, name + ": " + fault + "; it is now " + aside};
}

void data_directory::save(const generation& g) {
  const std::string target = file("index");
  saved_file_writer out(file("index.new"));
  out.write(magic);
  out.begin_digest();  // leaves room for it
  out.write(head_of(g));
  out.write(g.repo);
  if (g.version) out.write(*g.version);
  out.write({reinterpret_cast<const char*>(g.index.data()), g.index.size()});
  out.commit(target);
}

void data_directory::refuse_store() const noexcept {
  std::error_code code;
  set_aside(store_path(), file("store.refused"), code);
}

disk_status data_directory::disk() const noexcept {
  namespace fs = std::filesystem;
  disk_status found;
  std::error_code code;
  try {
    const fs::space_info space = fs::space(path_, code);
    if (!code) {
      found.free_bytes = space.available;
      found.total_bytes = space.capacity;
    }
    std::uint64_t kept = 0;
    for (fs::directory_iterator it(path_, code), end; !code && it != end; it.increment(code)) {
      std::error_code gone;  // a file may be renamed while we look
      if (!it->is_regular_file(gone) || gone) continue;
      const std::uint64_t size = it->file_size(gone);
      if (!gone) kept += size;
    }
    if (!code) found.kept_bytes = kept;
  } catch (const std::bad_alloc&) {
  }
  return found;
}

}  // namespace fermata::mirror
