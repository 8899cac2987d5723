// SPDX-License-Identifier: MIT
// Sinks for log lines: each record is formatted on the stack of its caller and written at once.

#include <fermata/loop/error.hpp>
#include <fermata/loop/log.hpp>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>
#include <iterator>
#include <memory>

namespace fermata {
namespace {

using line_buffer = fmt::memory_buffer;

void append_clean(line_buffer& to, std::string_view text) {
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte != 0x7f) {
      to.push_back(c);
    } else {
      fmt::format_to(std::back_inserter(to), "\\x{:02x}", byte);
    }
  }
}

void append_time(line_buffer& to) {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  tm utc{};
  gmtime_r(&now.tv_sec, &utc);
  fmt::format_to(std::back_inserter(to), "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z ",
                 utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min,
                 utc.tm_sec, now.tv_nsec / 1'000'000);
}

// One write; only where the system takes a part (a full disk, a slow terminal) the rest follows.
void write_record(int fd, std::string_view record) noexcept {
  while (!record.empty()) {
    const ssize_t n = ::write(fd, record.data(), record.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;
    record.remove_prefix(static_cast<std::size_t>(n));
  }
}

class descriptor_sink {
public:
  descriptor_sink(int fd, log_level most, bool with_time) noexcept
      : fd_(fd), most_(most), with_time_(with_time) {}

  void operator()(log_level level, std::string_view area, std::string_view message) const {
    if (level > most_) return;
    line_buffer line;
    if (with_time_) append_time(line);
    line.append(to_string(level));
    line.push_back(' ');
    append_clean(line, area);
    line.append(std::string_view(": "));
    append_clean(line, message);
    line.push_back('\n');
    write_record(fd_, std::string_view(line.data(), line.size()));
  }

private:
  int fd_;
  log_level most_;
  bool with_time_;
};

struct open_file {
  int fd;
  explicit open_file(int f) noexcept : fd(f) {}
  open_file(const open_file&) = delete;
  open_file& operator=(const open_file&) = delete;
  ~open_file() { ::close(fd); }
};

}  // namespace

std::string_view to_string(log_level level) noexcept {
  switch (level) {
    case log_level::error:
      return "error";
    case log_level::warn:
      return "warn";
    case log_level::info:
      return "info";
    case log_level::debug:
      return "debug";
  }
  return "unknown";
}

log_sink stderr_log_sink(log_level most) { return descriptor_sink(STDERR_FILENO, most, false); }

log_sink file_log_sink(const std::string& path, log_level most) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) throw errno_error("cannot open the log: " + path);
  auto file = std::make_shared<open_file>(fd);
  return [file, write = descriptor_sink(fd, most, true)](log_level level, std::string_view area,
                                                         std::string_view message) {
    write(level, area, message);
  };
}

}  // namespace fermata
