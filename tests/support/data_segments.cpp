// SPDX-License-Identifier: MIT
// The kernel's own header, which has newer figures than <netinet/tcp.h> and cannot stand beside it.
#include "data_segments.hpp"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <system_error>

namespace fermata::test {

unsigned data_segments_received(int socket) {
  tcp_info seen{};
  socklen_t size = sizeof seen;
  if (::getsockopt(socket, IPPROTO_TCP, TCP_INFO, &seen, &size) != 0) {
    throw std::system_error(errno, std::generic_category(), "TCP_INFO");
  }
  return seen.tcpi_data_segs_in;
}

}  // namespace fermata::test
