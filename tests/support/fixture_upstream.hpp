// SPDX-License-Identifier: MIT
/// An upstream for mirrors: archives over HTTP that can be made to fail in every way, and packages
/// in opam format that install them without a compiler.
#pragma once

#include "support/temp_repository.hpp"

#include <fermata/http/http_date.hpp>
#include <fermata/http/server.hpp>
#include <fermata/http/validators.hpp>
#include <fermata/promise/sleep.hpp>

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace fermata::test {

/// Serves files on the loop that is current. Every request is counted by its path.
class fixture_upstream {
public:
  /// How a file is answered.
  enum class manner {
    whole,
    slow,        ///< in pieces of 1000 bytes with 20 ms between them
    cut,         ///< half of it, then the connection ends; always
    cut_once,    ///< the same, but the next request gets what it asks for
    endless,     ///< whole, but nobody is told how long that is
    misled,      ///< whole, but who asks for a part gets another one
    wrong,       ///< another last byte
    hanging,     ///< nothing comes
    missing,     ///< 404
    failing,     ///< 500
    busy,        ///< 503 with Retry-After
    busy_until,  ///< the same, with a date that is two minutes ahead
    moved,       ///< 302 to the path that `to` gives
  };
  struct file {
    std::string bytes;
    manner how = manner::whole;
    std::string to;
  };

  fixture_upstream() : server_([this](const http::request& r) { return answer(r); }) {
    address_ = server_.listen("127.0.0.1:0");
  }

  [[nodiscard]] std::string url(const std::string& path) const {
    return "http://" + address_ + path;
  }
  file& operator[](const std::string& path) { return files_[path]; }
  [[nodiscard]] int asked(const std::string& path) const {
    const auto at = asked_.find(path);
    return at == asked_.end() ? 0 : at->second;
  }
  [[nodiscard]] int asked_from_middle() const { return ranges_; }
  [[nodiscard]] int most_at_once() const { return most_at_once_; }
  promise<> end() { return server_.shutdown(std::chrono::nanoseconds(0)); }

private:
  // Of an answer, up to its last byte.
  struct presence {
    explicit presence(std::shared_ptr<int> n) : count(std::move(n)) { ++*count; }
    presence(const presence&) = delete;
    presence& operator=(const presence&) = delete;
    ~presence() { --*count; }
    std::shared_ptr<int> count;
  };
  using presence_ptr = std::shared_ptr<presence>;
  // Bytes in pieces; after `cut` bytes the connection ends.
  struct flow {
    std::string bytes;
    presence_ptr here;
    std::size_t at = 0;
    std::size_t piece = 0;
    std::size_t cut = 0;
    std::chrono::milliseconds between{0};
  };
  static promise<http::shared_bytes> flow_on(std::shared_ptr<flow> f) {
    promise<> rest = sleep_for(f->between);
    co_await rest;
    if (f->at == f->cut && f->cut < f->bytes.size()) throw error("cut");
    const std::size_t n = std::min(f->piece, f->cut - f->at);
    http::shared_bytes piece(f->bytes.substr(f->at, n));
    f->at += n;
    if (f->at == f->bytes.size()) f->here.reset();
    co_return piece;
  }
  static http::response stream(const std::string& bytes,
                               presence_ptr here,
                               std::size_t piece,
                               std::size_t cut,
                               std::chrono::milliseconds between) {
    auto f = std::make_shared<flow>();
    f->bytes = bytes;
    f->here = std::move(here);
    f->piece = piece;
    f->cut = cut;
    f->between = between;
    http::response r;
    r.headers.add("ETag", "\"fixture\"");
    r.stream_bytes = bytes.size();
    r.stream = [f] { return flow_on(f); };
    return r;
  }
  static http::response whole(const http::request& r, std::string bytes) {
    http::representation what;
    what.etag = "\"fixture\"";
    what.size = bytes.size();
    what.type = "application/octet-stream";
    const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
    return http::serve(r, what, http::shared_bytes(std::move(bytes)), now);
  }

  promise<http::response> answer(const http::request& r) {
    auto here = std::make_shared<presence>(at_once_);
    most_at_once_ = std::max(most_at_once_, *at_once_);
    ++asked_[r.path()];
    if (r.find_header("Range")) ++ranges_;
    const auto at = files_.find(r.path());
    if (at == files_.end()) co_return http::text_response(404, "no such file\n");
    file& f = at->second;
    const std::string bytes = f.bytes;
    http::response other;
    switch (f.how) {
      case manner::whole:
        break;
      case manner::slow:
        co_return stream(bytes, here, 1000, bytes.size(), std::chrono::milliseconds(20));
      case manner::cut_once:
        f.how = manner::whole;
        [[fallthrough]];
      case manner::cut:  // slowly, so that whoever asks has seen the head by then
        co_return stream(bytes, here, bytes.size() / 8 + 1, bytes.size() / 2,
                         std::chrono::milliseconds(20));
      case manner::endless:
        other = stream(bytes, here, 1000, bytes.size(), std::chrono::milliseconds(0));
        other.stream_bytes.reset();
        co_return other;
      case manner::misled:
        if (!r.find_header("Range")) break;
        other = stream(bytes, here, 1000, bytes.size(), std::chrono::milliseconds(0));
        other.status = 206;
        other.headers.add("Content-Range", "bytes 1-" + std::to_string(bytes.size()) + "/*");
        co_return other;
      case manner::wrong: {
        std::string changed = bytes;
        changed.back() ^= 1;
        co_return whole(r, std::move(changed));
      }
      case manner::hanging: {
        promise<> never = sleep_for(std::chrono::hours(1));
        co_await never;
        break;
      }
      case manner::missing:
        co_return http::text_response(404, "no\n");
      case manner::failing:
        co_return http::text_response(500, "no\n");
      case manner::busy:
        other = http::text_response(503, "later\n");
        other.headers.add("Retry-After", "120");
        co_return other;
      case manner::busy_until:
        other = http::text_response(503, "later\n");
        other.headers.add("Retry-After",
                          http::to_http_date(std::chrono::floor<std::chrono::seconds>(
                                                 std::chrono::system_clock::now()) +
                                             std::chrono::seconds(120)));
        co_return other;
      case manner::moved:
        other = http::text_response(302, "there\n");
        other.headers.add("Location", f.to);
        co_return other;
    }
    co_return whole(r, bytes);
  }

  std::map<std::string, file> files_;
  std::map<std::string, int> asked_;
  int ranges_ = 0;
  std::shared_ptr<int> at_once_ = std::make_shared<int>(0);
  int most_at_once_ = 0;
  std::string address_;
  http::server server_;
};

/// What a command such as `sha256sum` says of a text.
inline std::string sum_of(const temp_folder& folder,
                          const std::string& command,
                          const std::string& text) {
  folder.write("summed", text);
  return folder.output(command + " summed").substr(0, folder.output(command + " summed").find(' '));
}

/// An archive with one file, `data.txt`.
inline std::string make_archive(const temp_folder& folder,
                                const std::string& name,
                                const std::string& text) {
  folder.write(name + "/data.txt", text);
  folder.run("tar czf " + name + ".tgz " + name + " && rm -r " + name);
  return read_file(folder.path() / (name + ".tgz"));
}

/// An opam file that copies `data.txt` of an archive to the switch's share folder.
inline std::string opam_file_with(const std::string& url, const std::string& checksums) {
  return "opam-version: \"2.0\"\nmaintainer: \"a@b\"\nauthors: \"a\"\nhomepage: \"http://x\"\n"
         "bug-reports: \"http://x\"\nsynopsis: \"a fixture\"\n"
         "install: [[\"mkdir\" \"-p\" share] [\"cp\" \"data.txt\" \"%{share}%/%{name}%.txt\"]]\n"
         "url {\n  src: \"" +
         url + "\"\n  checksum: [" + checksums + "]\n}\n";
}

}  // namespace fermata::test
