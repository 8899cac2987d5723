// SPDX-License-Identifier: MIT
// Frames and names from a copied stack, by libdw (elfutils): the unwinder reads the copy, so
// it runs on any thread and after the fact.

#include "stack_capture.hpp"

#include <cxxabi.h>
#include <elfutils/libdwfl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <string_view>

namespace fermata::detail {
namespace {

constexpr std::size_t most_frames = 64;

struct ends_session {
  void operator()(Dwfl* d) const noexcept { dwfl_end(d); }
};
struct frees {
  void operator()(char* p) const noexcept { std::free(p); }
};

// Only what the files themselves hold: looking elsewhere may ask a server.
int no_separate_file(
    Dwfl_Module*, void**, const char*, Dwarf_Addr, const char*, const char*, GElf_Word, char**) {
  return -1;
}

pid_t next_thread(Dwfl*, void* copy, void** thread) {
  if (*thread != nullptr) return 0;
  *thread = copy;
  return getpid();
}

bool read_memory(Dwfl*, Dwarf_Addr at, Dwarf_Word* result, void* given) {
  const auto& copy = *static_cast<const stack_copy*>(given);
  if (at < copy.sp || (at - copy.sp) % sizeof(std::uintptr_t) != 0) return false;
  const std::size_t i = (at - copy.sp) / sizeof(std::uintptr_t);
  if (i >= copy.words) return false;
  *result = copy.stack[i];
  return true;
}

bool set_registers(Dwfl_Thread* thread, void* given) {
  const auto& copy = *static_cast<const stack_copy*>(given);
  Dwarf_Word registers[stack_copy::most_registers];
  for (unsigned i = 0; i < copy.register_count; ++i) registers[i] = copy.registers[i];
  dwfl_thread_state_register_pc(thread, copy.pc);
  return dwfl_thread_state_registers(thread, 0, copy.register_count, registers);
}

int add_address(Dwfl_Frame* frame, void* given) {
  auto& addresses = *static_cast<std::vector<Dwarf_Addr>*>(given);
  Dwarf_Addr pc = 0;
  bool is_activation = false;
  if (!dwfl_frame_pc(frame, &pc, &is_activation)) return DWARF_CB_ABORT;
  addresses.push_back(is_activation ? pc : pc - 1);  // within the call, not behind it
  return addresses.size() < most_frames ? DWARF_CB_OK : DWARF_CB_ABORT;
}

std::string demangled(const char* name) {
  int status = 0;
  const std::unique_ptr<char, frees> plain(abi::__cxa_demangle(name, nullptr, nullptr, &status));
  return status == 0 ? plain.get() : name;
}

std::string describe(Dwfl* session, Dwarf_Addr at) {
  Dwfl_Module* const module = dwfl_addrmodule(session, at);
  if (module == nullptr) return fmt::format("{:#x}", at);
  const char* const name = dwfl_module_addrname(module, at);
  std::string text = name != nullptr ? demangled(name) : fmt::format("{:#x}", at);
  if (Dwfl_Line* const line = dwfl_module_getsrc(module, at)) {
    int number = 0;
    if (const char* file = dwfl_lineinfo(line, nullptr, &number, nullptr, nullptr, nullptr)) {
      text += fmt::format(" at {}:{}", file, number);
    }
  }
  return text;
}

}  // namespace

std::vector<std::string> symbolise(const stack_copy& copy) {
  std::vector<std::string> frames;
  if (copy.register_count == 0) return frames;
  Dwfl_Callbacks files{};
  files.find_elf = dwfl_linux_proc_find_elf;
  files.find_debuginfo = no_separate_file;
  const std::unique_ptr<Dwfl, ends_session> session(dwfl_begin(&files));
  if (!session || dwfl_linux_proc_report(session.get(), getpid()) != 0) return frames;
  dwfl_report_end(session.get(), nullptr, nullptr);
  Dwfl_Thread_Callbacks threads{};
  threads.next_thread = next_thread;
  threads.memory_read = read_memory;
  threads.set_initial_registers = set_registers;
  // libdw gives the argument back as it came and does not write to it.
  void* const argument = const_cast<stack_copy*>(&copy);
  std::vector<Dwarf_Addr> addresses;
  if (dwfl_attach_state(session.get(), nullptr, getpid(), &threads, argument)) {
    dwfl_getthread_frames(session.get(), getpid(), add_address, &addresses);
  }
  if (addresses.empty()) addresses.push_back(copy.pc);
  for (const Dwarf_Addr at : addresses) frames.push_back(describe(session.get(), at));
  return frames;
}

}  // namespace fermata::detail
