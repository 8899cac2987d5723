// SPDX-License-Identifier: MIT
// `<name>.from` is written before what it tells of is kept, and removed before the file is emptied,
// so that a kill never leaves bytes beside another's origin. A power cut may: then the checksum
// fails.

#include "new_archive.hpp"

#include "archive_files.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <memory>
#include <set>
#include <utility>

namespace fermata::mirror {
namespace {

constexpr std::size_t longest_origin = 16 * 1024;
constexpr std::string_view origin_suffix = ".from";
constexpr std::string_view last_line = "end\n";

std::string path_in(const std::string& folder, const archive_hash& name) {
  return folder + "/.new/" + std::string(to_string(name.kind())) + "-" + name.hex();
}

std::optional<archive_hash> name_of(std::string_view file) {
  const std::size_t dash = file.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  return archive_hash::from_path(file.substr(0, dash), file.substr(dash + 1));
}

void write_all(int file, std::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(file, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail("cannot write " + path);
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
}

// URL and validator, a line each. What is cut short, or was never written, is none.
std::optional<archive_origin> read_origin(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return std::nullopt;
  std::string text(longest_origin, '\0');
  const ssize_t n = ::read(file, text.data(), text.size());
  ::close(file);
  text.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
  const std::size_t first = text.find('\n');
  const std::size_t second = first == std::string::npos ? first : text.find('\n', first + 1);
  if (second == std::string::npos || text.substr(second + 1) != last_line) return std::nullopt;
  archive_origin from;
  from.url = text.substr(0, first);
  from.validator = text.substr(first + 1, second - first - 1);
  if (from.url.empty() || from.validator.empty()) return std::nullopt;
  return from;
}

bool is_one_line(const std::string& text) {
  return !text.empty() && text.find('\n') == std::string::npos;
}

}  // namespace

new_archive::new_archive(const std::string& folder, const std::optional<archive_hash>& name)
    : folder_(folder) {
  if (name) {
    open_named(*name);
    return;
  }
  path_ = folder + "/.new/XXXXXX";
  file_ = ::mkostemp(path_.data(), O_CLOEXEC);
  if (file_ < 0) fail("cannot make a file in " + folder + "/.new");
  ::fchmod(file_, 0644);
}

void new_archive::open_named(const archive_hash& name) {
  path_ = path_in(folder_, name);
  struct stat s {};
  while (s.st_nlink == 0) {  // else the one before has just removed it
    if (file_ >= 0) ::close(file_);
    file_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (file_ < 0) fail("cannot make a file in " + folder_ + "/.new");
    while (::flock(file_, LOCK_EX) != 0 && errno == EINTR) {
    }
    if (::fstat(file_, &s) != 0) fail("cannot look at " + path_);
  }
  is_named_ = true;
  const std::optional<archive_origin> from =
      s.st_size > 0 ? read_origin(path_ + std::string(origin_suffix)) : std::nullopt;
  if (from) {
    origin_ = *from;
    stays_ = true;
  } else {
    rewind();
  }
}

new_archive::~new_archive() {
  if (!path_.empty() && (!stays_ || size_ == 0)) {
    forget_origin();
    ::unlink(path_.c_str());
  }
  ::close(file_);
}

std::size_t new_archive::read_kept() {
  if (!stays_) return 0;
  const std::size_t n = hash_piece(file_, digest_, path_);
  size_ += n;
  return n;
}

void new_archive::write(std::string_view bytes) {
  digest_.update(bytes);
  write_all(file_, bytes, path_);
  size_ += bytes.size();
}

void new_archive::rewind() {
  forget_origin();
  if (::ftruncate(file_, 0) != 0 || ::lseek(file_, 0, SEEK_SET) != 0) fail("cannot empty " + path_);
  size_ = 0;
  digest_.restart();
}

void new_archive::forget_origin() noexcept {
  stays_ = false;
  origin_ = archive_origin();
  if (is_named_) ::unlink((path_ + std::string(origin_suffix)).c_str());
}

bool new_archive::keep(const archive_origin& from) {
  if (!is_named_ || !is_one_line(from.url) || !is_one_line(from.validator)) return false;
  if (stays_ && origin_ == from) return true;
  const std::string path = path_ + std::string(origin_suffix);
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (file < 0) fail("cannot make " + path);
  const std::unique_ptr<const int, void (*)(const int*)> closes(&file,
                                                                [](const int* f) { ::close(*f); });
  write_all(file, from.url + "\n" + from.validator + "\n" + std::string(last_line), path);
  origin_ = from;
  stays_ = true;
  return true;
}

void new_archive::check(const stored_archive& a, const std::vector<archive_hash>& declared) const {
  for (const archive_hash& d : declared) {
    const archive_hash& real = a.hashes[static_cast<std::size_t>(d.kind())];
    if (real != d) {
      throw archive_mismatch(std::string(to_string(d.kind())) + " is " + real.hex() +
                             ", declared is " + d.hex());
    }
  }
}

stored_archive new_archive::commit(const std::vector<archive_hash>& declared) {
  stored_archive a;
  a.hashes = digest_.finish();
  a.size = size_;
  try {
    check(a, declared);
    if (::fsync(file_) != 0) fail("cannot sync " + path_);
    name_archive(folder_, path_, a.hashes);
  } catch (...) {
    forget_origin();  // nobody can go on with that
    throw;
  }
  forget_origin();
  ::unlink(path_.c_str());
  path_.clear();
  return a;
}

found_partials find_partials(const std::string& folder) {
  found_partials found;
  std::set<archive_hash> names;
  std::vector<std::string> others;
  for_each_name(folder + "/.new", [&](const std::string& name, ino_t) {
    std::string_view stem = name;
    if (stem.ends_with(origin_suffix)) stem.remove_suffix(origin_suffix.size());
    if (const auto hash = name_of(stem)) {
      names.insert(*hash);
    } else {
      others.push_back(folder + "/.new/" + name);
    }
  });
  for (const std::string& path : others) ::unlink(path.c_str());
  for (const archive_hash& name : names) {
    const std::string path = path_in(folder, name);
    const std::string origin = path + std::string(origin_suffix);
    struct stat s {};
    const bool has_bytes = ::stat(path.c_str(), &s) == 0 && s.st_size > 0;
    const bool is_stored = has_bytes && s.st_nlink > 1;  // killed before it lost this name
    if (is_stored) {                                     // to write on would change what is served
      remove_partial(folder, name);
      continue;
    }
    if (has_bytes && read_origin(origin)) {
      found.sizes[name] = static_cast<std::uint64_t>(s.st_size);
      continue;
    }
    if (has_bytes && ::stat(origin.c_str(), &s) == 0) ++found.refused;
    remove_partial(folder, name);
  }
  return found;
}

void remove_partial(const std::string& folder, const archive_hash& name) noexcept {
  const std::string path = path_in(folder, name);
  ::unlink((path + std::string(origin_suffix)).c_str());
  ::unlink(path.c_str());
}

}  // namespace fermata::mirror
