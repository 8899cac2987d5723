// SPDX-License-Identifier: MIT
// posix_spawn with socket pairs as pipes: a write to a socket can be told to raise no SIGPIPE.

#include "spawn.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace fermata::detail {
namespace {

void check(int code, const std::string& text) {
  if (code != 0) throw uv_error(code, text);
}

// Above 2, so that no redirection in the child overwrites it.
unique_fd above_stdio(unique_fd fd) {
  if (!fd || fd.get() > 2) return fd;
  return unique_fd(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 3));
}

struct spawn_actions {
  spawn_actions() {
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
  }
  spawn_actions(const spawn_actions&) = delete;
  spawn_actions& operator=(const spawn_actions&) = delete;
  ~spawn_actions() {
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
  }

  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
};

// Connects the child's descriptor `target`; `ours` gets our end. Gives the child's end.
unique_fd connect_stdio(
    spawn_actions& with, stdio how, int target, unique_fd& ours, const std::string& text) {
  if (how == stdio::inherit) return {};
  if (how == stdio::null) {
    check(posix_spawn_file_actions_addopen(&with.actions, target, "/dev/null",
                                           target == 0 ? O_RDONLY : O_WRONLY, 0),
          text);
    return {};
  }
  std::array<int, 2> pair{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.data()) < 0) {
    throw errno_error(text);
  }
  ours = above_stdio(unique_fd(pair[0]));
  unique_fd theirs = above_stdio(unique_fd(pair[1]));
  if (!ours || !theirs) throw errno_error(text);
  // One direction only, as of a pipe.
  ::shutdown(ours.get(), target == 0 ? SHUT_RD : SHUT_WR);
  check(posix_spawn_file_actions_adddup2(&with.actions, theirs.get(), target), text);
  return theirs;
}

// Signals as a fresh program expects them, whatever this thread blocks or ignores.
void set_attributes(spawn_actions& with, const command& c) {
  sigset_t none;
  sigset_t all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&with.attributes, &none);
  posix_spawnattr_setsigdefault(&with.attributes, &all);
  short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
  if (c.own_group) flags |= POSIX_SPAWN_SETPGROUP;
  posix_spawnattr_setflags(&with.attributes, flags);
}

std::vector<char*> pointers_to(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  pointers.reserve(texts.size() + 1);
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

std::vector<std::string> environment_with(const std::vector<std::string>& changes) {
  const auto name_of = [](std::string_view text) { return text.substr(0, text.find('=')); };
  std::vector<std::string> result;
  for (char** e = environ; e != nullptr && *e != nullptr; ++e) {
    const std::string_view old(*e);
    const auto changed = [&](const std::string& change) { return name_of(change) == name_of(old); };
    if (std::none_of(changes.begin(), changes.end(), changed)) result.emplace_back(old);
  }
  for (const std::string& change : changes) {
    if (change.find('=') != std::string::npos) result.push_back(change);
  }
  return result;
}

unique_fd open_pidfd(pid_t pid) noexcept {
  return unique_fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
}

}  // namespace

started_child::~started_child() {
  if (pid < 0) return;
  ::kill(pid, SIGKILL);
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
}

started_child start_child(const command& c) {
  if (c.argv.empty()) throw contract_error("a command has no program");
  const std::string text = fmt::format("cannot start {}", c.argv[0]);
  spawn_actions with;
  set_attributes(with, c);
  started_child result;
  const unique_fd in = connect_stdio(with, c.in, 0, result.in, text);
  const unique_fd out = connect_stdio(with, c.out, 1, result.out, text);
  const unique_fd err = connect_stdio(with, c.err, 2, result.err, text);
  if (!c.directory.empty()) {
    check(posix_spawn_file_actions_addchdir_np(&with.actions, c.directory.c_str()), text);
  }
  std::vector<std::string> arguments = c.argv;
  std::vector<std::string> environment = environment_with(c.environment);
  const int code = posix_spawnp(&result.pid, c.argv[0].c_str(), &with.actions, &with.attributes,
                                pointers_to(arguments).data(), pointers_to(environment).data());
  if (code != 0 && !c.directory.empty() && ::access(c.directory.c_str(), X_OK) != 0) {
    throw errno_error(fmt::format("{} in the folder {}", text, c.directory));
  }
  check(code, text);
  result.pidfd = open_pidfd(result.pid);
  if (!result.pidfd) throw errno_error(text);
  return result;
}

bool reap(pid_t pid, int flags, exit_status& status) noexcept {
  siginfo_t info{};
  while (::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | flags) < 0) {
    if (errno == EINTR) continue;
    status.code = -1;  // somebody else has reaped it, or SIGCHLD is ignored
    return true;
  }
  if (info.si_pid == 0) return false;
  (info.si_code == CLD_EXITED ? status.code : status.signal) = info.si_status;
  return true;
}

}  // namespace fermata::detail
