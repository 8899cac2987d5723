// SPDX-License-Identifier: MIT
// Saved stores of any bytes. Byte 0 chooses: even, the rest is the file; odd, each section that is
// there gets a right checksum first, so that the checks behind it are reached. What is taken can be
// read: objects are there or refused, and no chain is endless.

#include "replay.hpp"
#include "support/saved_bytes.hpp"
#include "support/temp_repository.hpp"

#include <fermata/git_mem/object_reader.hpp>
#include <fermata/git_mem/saved_store.hpp>

#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>

using namespace fermata::git_mem;
using namespace fermata::test;

namespace {

void read_all(saved_store read) {
  auto s = std::make_shared<snapshot>();
  s->refs = std::move(read.refs);
  for (auto& p : read.packs) s->packs.push_back(std::move(p));
  for (const auto& p : s->packs) {
    for (std::uint32_t i = 0; i < p->entry_count(); ++i) {
      try {
        static_cast<void>(read_object(s, p->entry(i).id, 1 << 20));
      } catch (const failure&) {
        continue;  // its bytes may be anything
      }
    }
  }
}

// A file in memory.
class memory_file {
public:
  explicit memory_file(const std::string& content) : file_(::memfd_create("saved", MFD_CLOEXEC)) {
    if (::write(file_, content.data(), content.size()) != static_cast<ssize_t>(content.size())) {
      std::abort();
    }
  }
  memory_file(const memory_file&) = delete;
  memory_file& operator=(const memory_file&) = delete;
  ~memory_file() { ::close(file_); }
  [[nodiscard]] std::string path() const { return "/proc/self/fd/" + std::to_string(file_); }

private:
  int file_;
};

}  // namespace

std::vector<std::string> fuzz_seeds() {
  const temp_folder folder;
  const std::string path = (folder.path() / "store").string();
  object_store store;
  write_saved(store.current(), path);
  const std::string empty = read_file(path);
  fill(store);
  write_saved(store.current(), path);
  const std::string full = read_file(path);
  return {std::string(1, '\0') + empty, std::string(1, '\0') + full, "\1" + empty, "\1" + full};
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  std::string content(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] % 2 == 1) content = resummed(std::move(content));
  const memory_file file(content);
  pack_limits limits;
  limits.pack_bytes = 1 << 20;
  limits.objects = 10'000;
  limits.object_bytes = 1 << 20;
  try {
    read_all(read_saved(file.path(), limits));
  } catch (const failure&) {
    return 0;  // it says what is wrong
  }
  return 0;
}
