// SPDX-License-Identifier: MIT
// Names, and the connections that wait there to be accepted.
//
// Invariants: (1) a connect waits only while the backlog is full, an accept only while it is empty;
// (2) whoever changes a port wakes who waits on it, and a woken task looks again.

#include <fermata/promise/memory_network.hpp>

#include <uv.h>

#include <deque>
#include <map>
#include <utility>

namespace fermata {

namespace detail {

struct memory_ports {
  explicit memory_ports(std::size_t c) : stream_capacity(c) {}
  std::size_t stream_capacity;
  std::map<std::string, std::weak_ptr<memory_port>> by_name;
};

struct memory_port {
  std::string name;
  std::size_t backlog = 0;
  std::weak_ptr<memory_ports> ports;
  std::deque<std::unique_ptr<byte_stream>> connections;
  std::deque<resolver<>> connecting;  // wait for room, in order
  resolver<> accepting;
  bool accepts = false;
  bool is_closed = false;

  void wake_accept() {
    if (accepting) std::exchange(accepting, {}).resolve();
  }
  // Wakes the first connect that still waits.
  void wake_connect() {
    while (!connecting.empty()) {
      resolver<> first = std::move(connecting.front());
      connecting.pop_front();
      if (first.resolve()) return;
    }
  }
  promise<> room() {
    auto made = make_promise();
    connecting.push_back(std::move(made.settle));
    return std::move(made.future);
  }
  promise<> connection() {
    auto made = make_promise();
    accepting = std::move(made.settle);
    return std::move(made.future);
  }
};

}  // namespace detail

namespace {

using port_ptr = std::shared_ptr<detail::memory_port>;
using connection_ptr = std::unique_ptr<byte_stream>;

error refused(const std::string& name) {
  return uv_error(UV_ECONNREFUSED, "cannot connect to " + name + " in memory");
}

promise<connection_ptr> accept_when_there(port_ptr port) {
  const detail::direction_guard guard(port->accepts, "two accepts are under way on one listener");
  while (port->connections.empty() && !port->is_closed) {
    promise<> changed = port->connection();
    co_await std::move(changed);
  }
  if (port->is_closed) throw cancelled();
  connection_ptr first = std::move(port->connections.front());
  port->connections.pop_front();
  port->wake_connect();
  co_return first;
}

promise<connection_ptr> connect_when_there_is_room(port_ptr port, std::size_t capacity) {
  while (!port->is_closed && port->connections.size() >= port->backlog) {
    promise<> changed = port->room();
    co_await std::move(changed);
  }
  if (port->is_closed) throw refused(port->name);
  auto ends = memory_stream_pair(capacity);
  port->connections.push_back(std::move(ends.first));
  port->wake_accept();
  co_return std::move(ends.second);
}

}  // namespace

memory_listener::memory_listener(std::shared_ptr<detail::memory_port> port) noexcept
    : port_(std::move(port)) {}

memory_listener& memory_listener::operator=(memory_listener&& other) noexcept {
  if (this != &other) {
    close();
    port_ = std::move(other.port_);
  }
  return *this;
}

memory_listener::~memory_listener() { close(); }

const port_ptr& memory_listener::port() const {
  if (port_ == nullptr) throw contract_error("a listener that was moved from is used");
  return port_;
}

const std::string& memory_listener::name() const { return port()->name; }

promise<std::unique_ptr<byte_stream>> memory_listener::accept() {
  return accept_when_there(port());
}

void memory_listener::close() noexcept {
  if (port_ == nullptr || port_->is_closed) return;
  port_->is_closed = true;
  if (const auto ports = port_->ports.lock()) ports->by_name.erase(port_->name);
  for (connection_ptr& c : port_->connections) c->cancel();
  port_->connections.clear();
  port_->wake_accept();
  while (!port_->connecting.empty()) port_->wake_connect();
}

memory_network::memory_network(std::size_t stream_capacity)
    : ports_(std::make_shared<detail::memory_ports>(stream_capacity)) {
  if (stream_capacity == 0) throw contract_error("a memory stream needs a capacity");
}

memory_listener memory_network::listen(std::string name, std::size_t backlog) {
  if (backlog == 0) throw contract_error("a listener needs a backlog");
  std::weak_ptr<detail::memory_port>& place = ports_->by_name[name];
  if (!place.expired()) throw uv_error(UV_EADDRINUSE, "cannot listen on " + name + " in memory");
  auto port = std::make_shared<detail::memory_port>();
  port->name = std::move(name);
  port->backlog = backlog;
  port->ports = ports_;
  place = port;
  return memory_listener(std::move(port));
}

promise<std::unique_ptr<byte_stream>> memory_network::connect(std::string name) {
  const auto at = ports_->by_name.find(name);
  port_ptr port = at == ports_->by_name.end() ? nullptr : at->second.lock();
  if (port == nullptr) return rejected<connection_ptr>(refused(name));
  return connect_when_there_is_room(std::move(port), ports_->stream_capacity);
}

}  // namespace fermata
