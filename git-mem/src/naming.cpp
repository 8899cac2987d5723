// SPDX-License-Identifier: MIT
// libgit2 hashes with collision detection, and hashes in pieces only behind an ODB write stream: so
// there is one ODB whose only backend throws everything away.

#include "libgit2_session.hpp"

#include <fermata/git_mem/naming.hpp>

#include <openssl/evp.h>

#include <new>

namespace fermata::git_mem {

namespace {

using detail::check_git;

git_odb_stream* new_stream(git_odb_backend* backend) {
  auto* s = new git_odb_stream();
  s->backend = backend;
  s->mode = GIT_STREAM_WRONLY;
  s->write = [](git_odb_stream*, const char*, size_t) { return 0; };
  s->finalize_write = [](git_odb_stream*, const git_oid*) { return 0; };
  s->free = [](git_odb_stream* done) { delete done; };
  return s;
}

// libgit2 frees the backend with the ODB.
git_odb_backend* new_sink() {
  auto* b = new git_odb_backend();
  git_odb_init_backend(b, GIT_ODB_BACKEND_VERSION);
  b->writestream = [](git_odb_stream** out, git_odb_backend* self, git_object_size_t,
                      git_object_t) {
    *out = new_stream(self);
    return 0;
  };
  b->free = [](git_odb_backend* self) { delete self; };
  return b;
}

detail::odb_handle make_sink_odb() {
  detail::need_libgit2();  // before our own static: libgit2 ends after the ODB is freed
  git_odb* raw = nullptr;
  check_git(git_odb_new(&raw), "cannot hash: no object database");
  detail::odb_handle odb(raw);
  git_odb_backend* sink = new_sink();
  const int code = git_odb_add_backend(odb.get(), sink, 1);
  if (code < 0) {
    delete sink;
    check_git(code, "cannot hash: no backend");
  }
  return odb;
}

git_odb* sink_odb() {
  static const detail::odb_handle odb = make_sink_odb();
  return odb.get();
}

// Fetched once: an implicit fetch at each use makes small inputs five times slower.
const EVP_MD* sha1() {
  static const std::unique_ptr<EVP_MD, detail::frees<EVP_MD_free>> md(
      EVP_MD_fetch(nullptr, "SHA1", nullptr));
  if (!md) throw failure(reason::unsupported, "cannot hash: OpenSSL has no SHA-1");
  return md.get();
}

}  // namespace

void prepare() {
  sink_odb();
  sha1();
}

object_id name_object(object_type type, std::span<const std::uint8_t> content) {
  detail::need_libgit2();
  git_oid id;
  check_git(git_odb_hash(&id, content.data(), content.size(), detail::to_git(type)),
            "cannot name it");
  return detail::from_git(id);
}

struct object_namer::stream {
  detail::odb_stream_handle handle;
};

object_namer::object_namer(object_type type, std::uint64_t size)
    : stream_(std::make_unique<stream>()) {
  git_odb_stream* raw = nullptr;
  check_git(git_odb_open_wstream(&raw, sink_odb(), size, detail::to_git(type)), "cannot name it");
  stream_->handle.reset(raw);
}
object_namer::object_namer(object_namer&&) noexcept = default;
object_namer& object_namer::operator=(object_namer&&) noexcept = default;
object_namer::~object_namer() = default;

void object_namer::update(std::span<const std::uint8_t> piece) {
  check_git(git_odb_stream_write(stream_->handle.get(), reinterpret_cast<const char*>(piece.data()),
                                 piece.size()),
            "cannot name it");
}

// libgit2 1.5 drops what its hash says at the end of a stream (the id is then a "safe" one that is
// no SHA-1), but the thread's error stays.
object_id object_namer::finish() {
  git_oid id;
  git_error_clear();
  check_git(git_odb_stream_finalize_write(&id, stream_->handle.get()), "cannot name it");
  const git_error* last = git_error_last();
  if (last != nullptr && last->klass == GIT_ERROR_SHA) detail::throw_git(-1, "cannot name it");
  return detail::from_git(id);
}

struct checksum::state {
  std::unique_ptr<EVP_MD_CTX, detail::frees<EVP_MD_CTX_free>> context{EVP_MD_CTX_new()};
};

checksum::checksum() : state_(std::make_unique<state>()) {
  if (!state_->context || EVP_DigestInit_ex2(state_->context.get(), sha1(), nullptr) != 1) {
    throw std::bad_alloc();
  }
}
checksum::checksum(checksum&&) noexcept = default;
checksum& checksum::operator=(checksum&&) noexcept = default;
checksum::~checksum() = default;

void checksum::update(std::span<const std::uint8_t> piece) {
  EVP_DigestUpdate(state_->context.get(), piece.data(), piece.size());
}

object_id checksum::finish() {
  std::uint8_t digest[EVP_MAX_MD_SIZE] = {};
  EVP_DigestFinal_ex(state_->context.get(), digest, nullptr);
  return object_id::from_bytes(digest);
}

}  // namespace fermata::git_mem
