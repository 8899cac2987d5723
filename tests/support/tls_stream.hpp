// SPDX-License-Identifier: MIT
/// The server's side of TLS over any stream, for tests: with a certificate made on the spot.
#pragma once

#include "support/certificate.hpp"
#include "support/temp_repository.hpp"

#include <fermata/promise/stream.hpp>

#include <openssl/ssl.h>

#include <array>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

namespace fermata::test {

/// A certificate for 127.0.0.1 that signs itself.
class tls_identity {
public:
  tls_identity() : context_(SSL_CTX_new(TLS_server_method()), &SSL_CTX_free) {
    make_certificate(folder_);
    const std::string key = (folder_.path() / "k.pem").string();
    if (SSL_CTX_use_certificate_file(context_.get(), ca_file().c_str(), SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_use_PrivateKey_file(context_.get(), key.c_str(), SSL_FILETYPE_PEM) != 1) {
      throw std::runtime_error("no certificate");
    }
  }
  [[nodiscard]] std::string ca_file() const { return (folder_.path() / "ca.pem").string(); }
  [[nodiscard]] SSL_CTX* context() const noexcept { return context_.get(); }

private:
  temp_folder folder_;
  std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)> context_;
};

/// Lifetime: the identity outlives the stream.
class tls_stream final : public byte_stream {
public:
  tls_stream(const tls_identity& who, std::unique_ptr<byte_stream> inner)
      : inner_(std::move(inner)), ssl_(SSL_new(who.context()), &SSL_free) {
    SSL_set_bio(ssl_.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_accept_state(ssl_.get());
  }
  promise<std::size_t> read(std::span<std::byte> into) override {
    for (;;) {
      const int n = SSL_read(ssl_.get(), into.data(), static_cast<int>(into.size()));
      promise<> flushed = flush();
      co_await flushed;
      if (n > 0) co_return static_cast<std::size_t>(n);
      if (SSL_get_error(ssl_.get(), n) != SSL_ERROR_WANT_READ) co_return 0;
      std::array<std::byte, 16384> room;
      promise<std::size_t> reading = inner_->read(room);
      const std::size_t got = co_await reading;
      if (got == 0) co_return 0;
      BIO_write(SSL_get_rbio(ssl_.get()), room.data(), static_cast<int>(got));
    }
  }
  promise<> write(byte_view bytes) override {
    if (!bytes.empty()) SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size()));
    promise<> flushed = flush();
    co_await flushed;
  }
  promise<> shutdown() override {
    SSL_shutdown(ssl_.get());
    promise<> flushed = flush();
    co_await flushed;
    co_await inner_->shutdown();
  }
  void close() noexcept override { inner_->close(); }
  stream_counts counts() const noexcept override { return inner_->counts(); }
  std::string peer() const override { return inner_->peer(); }

private:
  promise<> flush() {
    std::string out(BIO_ctrl_pending(SSL_get_wbio(ssl_.get())), '\0');
    if (out.empty()) co_return;
    BIO_read(SSL_get_wbio(ssl_.get()), out.data(), static_cast<int>(out.size()));
    promise<> written = inner_->write(bytes_of(out));
    co_await written;
  }

  std::unique_ptr<byte_stream> inner_;
  std::unique_ptr<SSL, void (*)(SSL*)> ssl_;
};

}  // namespace fermata::test
