// SPDX-License-Identifier: MIT
// Tar bytes by libarchive: restricted pax, which is plain ustar for all paths that fit.
//
// Without `bytes_per_block` 0 libarchive would collect 10 KiB records and pad the end to one; the
// result must be the entries and two zero blocks, and each call must hand over what it wrote.

#include "tar_writer.hpp"

#include <fermata/loop/error.hpp>

#include <archive.h>
#include <archive_entry.h>

namespace fermata::mirror {

void tar_writer::frees::operator()(archive* a) const noexcept { archive_write_free(a); }
void tar_writer::frees::operator()(archive_entry* e) const noexcept { archive_entry_free(e); }

tar_writer::tar_writer(std::int64_t entry_time)
    : entry_time_(entry_time), archive_(archive_write_new()), entry_(archive_entry_new()) {
  archive* a = archive_.get();
  if (a == nullptr || entry_ == nullptr) throw error("cannot write a tar: no memory (libarchive)");
  if (archive_write_set_format_pax_restricted(a) != ARCHIVE_OK ||
      archive_write_add_filter_none(a) != ARCHIVE_OK ||
      archive_write_set_bytes_per_block(a, 0) != ARCHIVE_OK ||
      archive_write_set_bytes_in_last_block(a, 1) != ARCHIVE_OK ||
      archive_write_open(a, sink_.get(), nullptr, write, nullptr) != ARCHIVE_OK) {
    fail("start", "");
  }
}

la_ssize_t tar_writer::write(archive*, void* to, const void* bytes, std::size_t n) {
  static_cast<sink*>(to)->bytes.append(static_cast<const char*>(bytes), n);
  return static_cast<la_ssize_t>(n);
}

void tar_writer::begin(std::string_view path, bool executable, std::uint64_t size_bytes) {
  path_ = path;
  archive_entry* e = archive_entry_clear(entry_.get());
  archive_entry_set_pathname(e, path_.c_str());
  archive_entry_set_filetype(e, AE_IFREG);
  archive_entry_set_perm(e, executable ? 0755 : 0644);
  archive_entry_set_size(e, static_cast<la_int64_t>(size_bytes));
  archive_entry_set_mtime(e, entry_time_, 0);
  archive_entry_set_uid(e, 0);
  archive_entry_set_gid(e, 0);
  archive_entry_set_uname(e, "root");
  archive_entry_set_gname(e, "root");
  // A warning is how libarchive says that a name is not of this locale; it is written as it is.
  if (archive_write_header(archive_.get(), e) < ARCHIVE_WARN) fail("write the header of", path_);
}

void tar_writer::data(std::string_view bytes) {
  const la_ssize_t n = archive_write_data(archive_.get(), bytes.data(), bytes.size());
  if (n != static_cast<la_ssize_t>(bytes.size())) fail("write", path_);
}

void tar_writer::end() {
  if (archive_write_finish_entry(archive_.get()) != ARCHIVE_OK) fail("finish", path_);
}

void tar_writer::close() {
  if (archive_write_close(archive_.get()) != ARCHIVE_OK) fail("close", "");
}

void tar_writer::consume(std::size_t bytes) noexcept {
  sink_->bytes.erase(0, bytes);  // what stays is less than a piece and a header
}

void tar_writer::fail(std::string_view what, std::string_view path) {
  std::string text = "cannot " + std::string(what) + " the tar";
  if (!path.empty()) text = "cannot " + std::string(what) + " " + std::string(path) + " in the tar";
  const char* why = archive_error_string(archive_.get());
  throw error(text + ": " + (why != nullptr ? why : "unknown reason") + " (libarchive " +
              std::to_string(archive_errno(archive_.get())) + ")");
}

}  // namespace fermata::mirror
