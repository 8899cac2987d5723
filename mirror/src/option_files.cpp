// SPDX-License-Identifier: MIT
// What options name and a start reads: so that --check-config can look at it too.

#include <fermata/loop/error.hpp>
#include <fermata/mirror/options.hpp>

#include <openssl/pem.h>
#include <openssl/x509.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>

namespace fermata::mirror {

std::string read_update_secret(const mirror_options& options) {
  const std::string& path = options.update_secret_file;
  if (path.empty()) {
    const char* given = std::getenv("FERMATA_UPDATE_SECRET");
    return given == nullptr ? "" : given;
  }
  const std::string what = "cannot read a secret from " + path;
  errno = 0;
  std::ifstream in(path);
  std::string secret;
  std::getline(in, secret);
  if (!in && !in.eof()) throw errno_error(what);
  while (secret.ends_with('\r') || secret.ends_with(' ')) secret.pop_back();
  if (secret.empty()) throw error(what + ": its first line is empty");
  return secret;
}

void check_ca_file(const mirror_options& options) {
  const std::string& path = options.ca_file;
  if (path.empty()) return;
  const std::string what = "cannot use the authorities of " + path;
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "re"),
                                                             &std::fclose);
  if (file == nullptr) throw errno_error(what);
  const std::unique_ptr<X509, void (*)(X509*)> first(
      PEM_read_X509(file.get(), nullptr, nullptr, nullptr), &X509_free);
  if (first == nullptr) throw error(what + ": it holds no certificate in PEM");
}

}  // namespace fermata::mirror
