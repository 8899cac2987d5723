// SPDX-License-Identifier: MIT

#include <fermata/http/server.hpp>

using fermata::http::request;
using fermata::http::response;

int main() {
  fermata::event_loop loop;
  fermata::http::router routes;
  routes.on("GET", "/", [](const request&) -> fermata::promise<response> {
    return fermata::ready(fermata::http::text_response(200, "here"));
  });
  const std::string address = loop.run([&] {
    fermata::http::server server(routes);
    return server.listen("127.0.0.1:0");
  });
  return address.starts_with("127.0.0.1:") ? 0 : 1;
}
