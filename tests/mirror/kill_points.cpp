// SPDX-License-Identifier: MIT
// The calls that change files stand here in front of the C library's own, in this whole program:
// they count, where somebody wants it, and do what they are asked for.

#include "kill_points.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>
#include <limits>
#include <stdexcept>
#include <string>

namespace {

std::atomic<long> steps_left{std::numeric_limits<long>::max()};

}  // namespace

#if !defined(__SANITIZE_THREAD__)
namespace {

[[noreturn]] void die() {
  ::kill(::getpid(), SIGKILL);
  for (;;) ::pause();
}

bool is_last_step() { return steps_left.fetch_sub(1) == 1; }

void step() {
  if (is_last_step()) die();
}

bool is_file(int f) {
  struct stat s {};
  return ::fstat(f, &s) == 0 && S_ISREG(s.st_mode);
}

}  // namespace

extern "C" {

ssize_t write(int f, const void* from, std::size_t n) {
  const bool torn = is_file(f) && is_last_step();
  const ssize_t written = ::syscall(SYS_write, f, from, torn ? n / 2 : n);
  if (torn) die();
  return written;
}

ssize_t pwrite(int f, const void* from, std::size_t n, off_t at) {
  const bool torn = is_last_step();
  const ssize_t written = ::syscall(SYS_pwrite64, f, from, torn ? n / 2 : n, at);
  if (torn) die();
  return written;
}

int fsync(int f) {
  step();
  return static_cast<int>(::syscall(SYS_fsync, f));
}

int ftruncate(int f, off_t size) noexcept {
  step();
  return static_cast<int>(::syscall(SYS_ftruncate, f, size));
}

int rename(const char* from, const char* to) noexcept {
  step();
  return ::renameat(AT_FDCWD, from, AT_FDCWD, to);
}

int link(const char* from, const char* to) noexcept {
  step();
  return ::linkat(AT_FDCWD, from, AT_FDCWD, to, 0);
}

int unlink(const char* path) noexcept {
  step();
  return ::unlinkat(AT_FDCWD, path, 0);
}

int mkdir(const char* path, mode_t mode) noexcept {
  step();
  return ::mkdirat(AT_FDCWD, path, mode);
}

}  // extern "C"
#endif

namespace fermata::mirror::test {
namespace {

[[noreturn]] void be(const std::function<void(const teller&)>& life, long n, int to) {
  try {
    steps_left = n;
    life([to](const char* line) {
      std::string text(line);
      text += '\n';
      const iovec piece{text.data(), text.size()};
      if (::writev(to, &piece, 1) < 0) ::_exit(1);
    });
  } catch (...) {
    ::_exit(1);
  }
  ::_exit(0);
}

std::string read_all(int from) {
  std::string text;
  std::array<char, 4096> piece{};
  while (const ssize_t n = ::read(from, piece.data(), piece.size())) {
    if (n < 0) throw std::runtime_error("cannot read from a pipe");
    text.append(piece.data(), static_cast<std::size_t>(n));
  }
  return text;
}

}  // namespace

bool lives_past_step(long n,
                     const std::function<void(const teller&)>& life,
                     const std::function<void(const char* line)>& told) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw std::runtime_error("cannot make a pipe");
  const pid_t child = ::fork();
  if (child < 0) throw std::runtime_error("cannot fork");
  if (child == 0) be(life, n, ends[1]);
  ::close(ends[1]);
  std::string lines = read_all(ends[0]);
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  for (std::size_t end = lines.find('\n'); end != std::string::npos; end = lines.find('\n')) {
    told(lines.substr(0, end).c_str());
    lines.erase(0, end + 1);
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return true;
  if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) {
    throw std::runtime_error("it has failed, and was not killed");
  }
  return false;
}

}  // namespace fermata::mirror::test
