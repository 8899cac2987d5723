// SPDX-License-Identifier: MIT
// A name is made by a hard link below .new and a rename: it is there whole or not at all, and takes
// the place of a damaged file. sha256 comes first; whatever has it will get the others.

#include "archive_files.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <unordered_map>
#include <utility>

namespace fermata::mirror {
namespace {

constexpr std::size_t piece_bytes = std::size_t{1} << 20;
constexpr std::array<hash_kind, 3> order{hash_kind::sha256, hash_kind::md5, hash_kind::sha512};

void make_folder(const std::string& path) {
  if (::mkdir(path.c_str(), 0777) != 0 && errno != EEXIST) fail("cannot make the folder " + path);
}

void sync_folder(const std::string& path) {
  const int f = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (f < 0) fail("cannot open the folder " + path);
  const int code = ::fsync(f) == 0 ? 0 : errno;
  ::close(f);
  errno = code;
  if (code != 0 && code != EINVAL) fail("cannot sync the folder " + path);
}

std::string parent(const std::string& path) { return path.substr(0, path.rfind('/')); }

struct inode {
  dev_t device = 0;
  ino_t number = 0;
  bool operator==(const inode&) const = default;
};

// None where there is no such file.
inode inode_of(const std::string& path) {
  struct stat s {};
  if (::stat(path.c_str(), &s) == 0) return {s.st_dev, s.st_ino};
  if (errno != ENOENT) fail("cannot look at " + path);
  return {};
}

struct named_file {
  std::array<archive_hash, 3> hashes;
  unsigned names = 0;  // a bit a kind
};
using files_by_inode = std::unordered_map<ino_t, named_file>;

files_by_inode read_names(const std::string& folder, found_archives& found) {
  files_by_inode files;
  for (const hash_kind kind : hash_kinds) {
    const std::string top = folder + "/" + std::string(to_string(kind));
    const auto note = [&](const std::string& part, const std::string& name, ino_t number) {
      const auto hash = archive_hash::from_path(to_string(kind), name);
      if (!hash || !name.starts_with(part)) return;  // nothing of ours
      named_file& f = files[number];
      f.hashes[static_cast<std::size_t>(kind)] = *hash;
      f.names |= 1U << static_cast<unsigned>(kind);
    };
    for_each_name(top, [&](const std::string& part, ino_t) {
      try {
        for_each_name(top + "/" + part,
                      [&](const std::string& name, ino_t number) { note(part, name, number); });
      } catch (const error& e) {
        found.skip(e);
      }
    });
  }
  return files;
}

// One that has not all names: it gets them if it is what its names say.
void mend(std::stop_token stop, const std::string& folder, named_file f, found_archives& found) {
  std::string path;
  for (const hash_kind kind : order) {
    const auto k = static_cast<std::size_t>(kind);
    if (path.empty() && (f.names >> k & 1U) != 0) path = folder + "/" + f.hashes[k].path();
  }
  archive_reading reading(path);
  while (reading.step() != 0) {
    if (stop.stop_requested()) return;
  }
  const stored_archive real = reading.finish();
  for (std::size_t k = 0; k < 3; ++k) {
    if ((f.names >> k & 1U) == 0 || f.hashes[k] == real.hashes[k]) continue;
    ++found.damaged;
    make_folder(folder + "/damaged");
    const std::string aside = folder + "/damaged/" + f.hashes[k].hex();
    if (::rename(path.c_str(), aside.c_str()) != 0) fail("cannot move " + path + " aside");
    for (std::size_t i = 0; i < 3; ++i) {
      if ((f.names >> i & 1U) != 0) ::unlink((folder + "/" + f.hashes[i].path()).c_str());
    }
    return;
  }
  name_archive(folder, path, real.hashes);
  found.whole.push_back(real);
}

std::uint64_t size_of(const std::string& path) {
  struct stat s {};
  if (::stat(path.c_str(), &s) != 0) fail("cannot look at " + path);
  return static_cast<std::uint64_t>(s.st_size);
}

// One that has all names, as far as can be seen without reading it.
void take(const std::string& folder,
          const named_file& f,
          const archive_sizes& sizes,
          found_archives& found) {
  static const archive_hash empty = triple_digest().finish()[1];
  stored_archive a;
  a.hashes = f.hashes;
  a.size = size_of(folder + "/" + a.key().path());
  const auto known = sizes.find(a.key());
  const bool is_known = known != sizes.end();
  if (is_known ? known->second != a.size : a.size == 0 && a.key() != empty) {
    unname_archive(folder, a, true);
    ++found.damaged;
    return;
  }
  if (!is_known) found.unverified.insert(a.key());
  found.whole.push_back(a);
}

}  // namespace

void found_archives::skip(const error& e) {
  if (unreadable++ == 0) fault = e.what();
}

void fail(const std::string& what) {
  const int code = errno;
  const error e = uv_error(code, what);
  if (code == ENOSPC || code == EDQUOT) throw store_full(e.code(), what);
  throw error(e);
}

void for_each_name(const std::string& folder,
                   const std::function<void(const std::string&, ino_t)>& f) {
  const std::unique_ptr<DIR, int (*)(DIR*)> open(::opendir(folder.c_str()), ::closedir);
  if (open == nullptr) {
    if (errno == ENOENT || errno == ENOTDIR) return;
    fail("cannot open the folder " + folder);
  }
  while (const dirent* e = ::readdir(open.get())) {
    const std::string name = e->d_name;
    if (name != "." && name != "..") f(name, e->d_ino);
  }
}

archive_reading::archive_reading(const std::string& path) : path_(path) {
  file_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file_ < 0 && errno != ENOENT) fail("cannot open " + path);
}
archive_reading::~archive_reading() {
  if (file_ >= 0) ::close(file_);
}

std::size_t hash_piece(int file, triple_digest& digest, const std::string& path) {
  const std::unique_ptr<char[]> buffer(new char[piece_bytes]);
  ssize_t n = 0;
  do {
    n = ::read(file, buffer.get(), piece_bytes);
  } while (n < 0 && errno == EINTR);
  if (n < 0) fail("cannot read " + path);
  digest.update({buffer.get(), static_cast<std::size_t>(n)});
  return static_cast<std::size_t>(n);
}

std::size_t archive_reading::step() {
  const std::size_t n = hash_piece(file_, digest_, path_);
  size_ += n;
  return n;
}

stored_archive archive_reading::finish() {
  stored_archive a;
  a.hashes = digest_.finish();
  a.size = size_;
  return a;
}

bool name_archive(const std::string& folder,
                  const std::string& from,
                  const std::array<archive_hash, 3>& hashes) {
  const inode file = inode_of(from);
  bool named = false;
  for (const hash_kind kind : order) {
    const archive_hash& h = hashes[static_cast<std::size_t>(kind)];
    const std::string to = folder + "/" + h.path();
    if (inode_of(to) == file) continue;
    named = true;
    make_folder(parent(parent(to)));  // somebody may have removed that too
    make_folder(parent(to));
    const std::string beside = folder + "/.new/" + h.hex();
    ::unlink(beside.c_str());
    if (::link(from.c_str(), beside.c_str()) != 0) fail("cannot link " + beside);
    if (::rename(beside.c_str(), to.c_str()) != 0) fail("cannot rename " + beside + " to " + to);
    ::unlink(beside.c_str());
    sync_folder(parent(to));
  }
  return named;
}

void unname_archive(const std::string& folder, const stored_archive& a, bool aside) {
  const inode file = inode_of(folder + "/" + a.key().path());
  if (aside) {
    make_folder(folder + "/damaged");
    const std::string from = folder + "/" + a.key().path();
    const std::string to = folder + "/damaged/" + a.key().hex();
    if (::rename(from.c_str(), to.c_str()) != 0 && errno != ENOENT) {
      fail("cannot move " + from + " aside");
    }
  }
  for (const archive_hash& h : a.hashes) {
    const std::string name = folder + "/" + h.path();
    if (inode_of(name) != file) continue;  // of another archive with the same md5, or gone
    if (::unlink(name.c_str()) != 0 && errno != ENOENT) fail("cannot remove " + name);
  }
}

namespace {

// Whether what `errno` says is about us, not about the file: it says nothing of that.
bool is_passing(int code) {
  return code == EMFILE || code == ENFILE || code == ENOMEM || code == EINTR;
}

// Whether it is a file of that size that can be opened, as far as anybody can tell now.
bool may_serve(const std::string& path, std::uint64_t size) {
  struct stat s {};
  if (::lstat(path.c_str(), &s) != 0 || !S_ISREG(s.st_mode)) return false;
  if (static_cast<std::uint64_t>(s.st_size) != size) return false;
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return is_passing(errno);
  ::close(file);
  return true;
}

bool has_bytes_of(const std::stop_token& stop, const std::string& path, const stored_archive& a) {
  try {
    archive_reading reading(path);
    while (reading.step() != 0) {
      if (stop.stop_requested()) return true;  // nobody will use it
    }
    return reading.finish().hashes == a.hashes;
  } catch (const error&) {  // of the disk: then it is another name's turn
    return false;
  }
}

}  // namespace

recovery recover_archive(std::stop_token stop, std::string folder, stored_archive a) {
  const std::string first = folder + "/" + a.key().path();
  struct stat s {};
  const bool is_there = ::lstat(first.c_str(), &s) == 0;
  if (!is_there && errno != ENOENT) fail("cannot look at " + first);
  if (may_serve(first, a.size)) return recovery::there;
  for (const hash_kind kind : order) {
    const std::string path = folder + "/" + a.hashes[static_cast<std::size_t>(kind)].path();
    if (!may_serve(path, a.size) || !has_bytes_of(stop, path, a)) continue;
    if (stop.stop_requested()) return recovery::there;  // nobody waits any more
    name_archive(folder, path, a.hashes);
    return recovery::there;
  }
  unname_archive(folder, a, is_there);
  return is_there ? recovery::damaged : recovery::missing;
}

found_archives find_archives(std::stop_token stop,
                             const std::string& folder,
                             const archive_sizes& sizes) {
  std::error_code code;
  std::filesystem::create_directories(folder, code);
  if (code) throw uv_error(code.value(), "cannot make the folder " + folder);
  for (const hash_kind kind : hash_kinds) make_folder(folder + "/" + std::string(to_string(kind)));
  make_folder(folder + "/.new");
  found_archives found;
  for (auto& [number, f] : read_names(folder, found)) {
    if (stop.stop_requested()) break;
    try {
      if (f.names == 7) {
        take(folder, f, sizes, found);
      } else {
        mend(stop, folder, f, found);
      }
    } catch (const store_full&) {
      throw;
    } catch (const error& e) {  // one bad file closes no store
      found.skip(e);
    }
  }
  std::sort(found.whole.begin(), found.whole.end(),
            [](const auto& a, const auto& b) { return a.key() < b.key(); });
  return found;
}

}  // namespace fermata::mirror
