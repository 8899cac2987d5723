// SPDX-License-Identifier: MIT
#include <fermata/loop/error.hpp>
#include <fermata/mirror/access_log.hpp>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

namespace fermata::mirror {
namespace {

constexpr std::size_t piece_bytes = std::size_t{64} << 10;

// `127.0.0.1:4711` without its port, `[::1]:4711` without brackets too.
std::string_view host_of(std::string_view peer) {
  peer = peer.substr(0, peer.rfind(':'));
  if (peer.starts_with('[') && peer.ends_with(']')) peer = peer.substr(1, peer.size() - 2);
  return peer.empty() ? "-" : peer;
}

// As nginx does: what could end a field or a line is written as `\xNN`.
std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte >= 0x7f || c == '"' || c == '\\') {
      out += fmt::format("\\x{:02X}", byte);
    } else {
      out += c;
    }
  }
  return out;
}

std::string field(const http::request& r, std::string_view name) {
  const auto value = r.find_header(name);
  return value ? escaped(*value) : "-";
}

std::string common_time(std::chrono::sys_seconds when) {
  static constexpr std::array<std::string_view, 12> months{
      "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const auto day = std::chrono::floor<std::chrono::days>(when);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss time(when - day);
  return fmt::format("{:02}/{}/{:04}:{:02}:{:02}:{:02} +0000", static_cast<unsigned>(date.day()),
                     months[static_cast<unsigned>(date.month()) - 1], static_cast<int>(date.year()),
                     time.hours().count(), time.minutes().count(), time.seconds().count());
}

int open_file(const std::string& path) {
  if (path == "-") return STDOUT_FILENO;
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
  if (file < 0) throw errno_error("cannot open the access log " + path);
  return file;
}

}  // namespace

std::string access_line(const http::answered_request& what, std::chrono::sys_seconds when) {
  const http::request& r = what.asked;
  return fmt::format("{} - - [{}] \"{} {} HTTP/1.{}\" {} {} \"{}\" \"{}\" {:.6f}\n",
                     host_of(what.peer), common_time(when), escaped(r.method()),
                     escaped(r.target()), r.version() == http::http_version::v1_0 ? 0 : 1,
                     what.status, what.body_bytes, field(r, "Referer"), field(r, "User-Agent"),
                     static_cast<double>(what.took.count()) / 1e9);
}

access_log::access_log(std::string path) : path_(std::move(path)), file_(open_file(path_)) {}

access_log::~access_log() {
  if (file_ != STDOUT_FILENO) ::close(file_);
}

void access_log::add(const http::answered_request& what) {
  const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  const std::string line = access_line(what, now);
  const std::lock_guard guard(lock_);
  if (waiting_.size() + line.size() > most_waiting_bytes) {
    ++dropped_;
  } else {
    waiting_ += line;
  }
}

bool access_log::flush() {
  const std::lock_guard writing(file_lock_);
  std::string piece;
  {
    const std::lock_guard guard(lock_);
    piece = waiting_.substr(0, piece_bytes);
  }
  std::size_t written = 0;
  int code = 0;
  while (written < piece.size() && code == 0) {
    const ssize_t n = ::write(file_, piece.data() + written, piece.size() - written);
    if (n >= 0) {
      written += static_cast<std::size_t>(n);
    } else if (errno != EINTR) {
      code = errno;
    }
  }
  const std::lock_guard guard(lock_);
  waiting_.erase(0, written);
  if (code != 0) throw uv_error(code, "cannot write the access log " + path_);
  return !waiting_.empty();
}

void access_log::reopen() {
  const std::lock_guard writing(file_lock_);
  const int fresh = open_file(path_);
  if (file_ != STDOUT_FILENO) ::close(file_);
  file_ = fresh;
}

std::uint64_t access_log::dropped() const {
  const std::lock_guard guard(lock_);
  return dropped_;
}

}  // namespace fermata::mirror
