// SPDX-License-Identifier: MIT
// What of fermata-bench can be said of libuv itself: the floor of what stands on it.

#include "hog_work.hpp"
#include "peer.hpp"

#include <uv.h>

#include <cstring>
#include <memory>
#include <utility>

namespace {

using bench::settings;

// A loop, closed when all handles are.
struct context {
  context() { uv_loop_init(&loop); }
  context(const context&) = delete;
  context& operator=(const context&) = delete;
  ~context() {
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
  }
  uv_loop_t loop{};
};

uv_handle_t* handle(void* h) { return static_cast<uv_handle_t*>(h); }

// A turn of the loop with one idle handle, which keeps it from waiting, and an async handle.
void pauses(const settings& s) {
  constexpr std::size_t turns = 1000;
  context c;
  uv_async_t async;
  uv_async_init(&c.loop, &async, [](uv_async_t*) {});
  uv_idle_t idle;
  uv_idle_init(&c.loop, &idle);
  uv_idle_start(&idle, [](uv_idle_t*) {});
  bench::print_figure("c3_pause1", "ns", bench::ns_an_operation(s, turns, [&] {
                        for (std::size_t i = 0; i < turns; ++i) uv_run(&c.loop, UV_RUN_NOWAIT);
                      }));
  uv_close(handle(&idle), nullptr);
  uv_close(handle(&async), nullptr);
}

struct job {
  uv_work_t request{};
  uv_loop_t* loop = nullptr;
  long left = 0;
  long value = 0;

  void start() {
    request.data = this;
    uv_queue_work(
        loop, &request, [](uv_work_t* r) { ++static_cast<job*>(r->data)->value; },
        [](uv_work_t* r, int) {
          job& self = *static_cast<job*>(r->data);
          if (--self.left > 0) self.start();
        });
  }
};

double time_jobs(const settings& s, std::size_t lanes, long each) {
  context c;
  std::vector<job> jobs(lanes);
  return bench::ns_an_operation(s, lanes * static_cast<std::size_t>(each), [&] {
    for (job& j : jobs) {
      j.loop = &c.loop;
      j.left = each;
      j.value = 0;
      j.start();
    }
    uv_run(&c.loop, UV_RUN_DEFAULT);
    for (const job& j : jobs) bench::require(j.value == each, "c7: every job has run");
  });
}

void detach(const settings& s) {
  setenv("UV_THREADPOOL_SIZE", "2", 1);
  bench::print_figure("c7_lat", "us", time_jobs(s, 1, 200) / 1e3);
  bench::print_figure("c7_pipe64", "jobs/s", 1e9 / time_jobs(s, 64, 200));
}

void sleepers(const settings& s) {
  constexpr std::size_t count = 100'000;
  context c;
  std::vector<double> create;
  std::vector<double> cancel;
  double bytes = 0;
  bench::repeat(s, [&](bool measures) {
    std::vector<uv_timer_t*> timers(count);
    const auto before = static_cast<double>(bench::resident_bytes());
    const double created = bench::seconds_of([&] {
      for (uv_timer_t*& t : timers) {
        t = new uv_timer_t;
        uv_timer_init(&c.loop, t);
        uv_timer_start(
            t, [](uv_timer_t*) {}, 3'600'000, 0);
      }
    });
    if (bytes == 0) bytes = (static_cast<double>(bench::resident_bytes()) - before) / count;
    const double cancelled = bench::seconds_of([&] {
      for (uv_timer_t* t : timers) {
        uv_close(handle(t), [](uv_handle_t* h) { delete reinterpret_cast<uv_timer_t*>(h); });
      }
      uv_run(&c.loop, UV_RUN_DEFAULT);
    });
    if (!measures) return;
    create.push_back(created * 1e9 / count);
    cancel.push_back(cancelled * 1e9 / count);
  });
  const double create_ns = bench::median(std::move(create));
  const double cancel_ns = bench::median(std::move(cancel));
  for (const std::string prefix : {"c9", "c9p"}) {  // there is no task but the timer
    bench::print_figure(prefix + "_create", "ns", create_ns);
    bench::print_figure(prefix + "_cancel", "ns", cancel_ns);
    bench::print_figure(prefix + "_bytes", "B", bytes);
  }
}

// ---- echo ----

struct client {
  uv_tcp_t socket{};
  uv_write_t write{};
  char buffer[4096];

  void close() {
    if (uv_is_closing(handle(&socket))) return;
    uv_close(handle(&socket), [](uv_handle_t* h) { delete static_cast<client*>(h->data); });
  }
};

client& client_of(void* handle_data) { return *static_cast<client*>(handle_data); }

void give_buffer(uv_handle_t* h, std::size_t, uv_buf_t* out) {
  client& c = client_of(h->data);
  *out = uv_buf_init(c.buffer, sizeof c.buffer);
}

// Tries to write at once, as who cares for speed does; the rest by a request.
void answer(uv_stream_t* stream, ssize_t n, const uv_buf_t*) {
  client& c = client_of(stream->data);
  if (n < 0) return c.close();
  uv_buf_t out = uv_buf_init(c.buffer, static_cast<unsigned>(n));
  const int written = uv_try_write(stream, &out, 1);
  if (written == n) return;
  if (written < 0 && written != UV_EAGAIN) return c.close();
  const int done = written < 0 ? 0 : written;
  out = uv_buf_init(c.buffer + done, static_cast<unsigned>(n - done));
  uv_read_stop(stream);
  uv_write(&c.write, stream, &out, 1, [](uv_write_t* w, int status) {
    client& self = client_of(w->handle->data);
    if (status < 0) return self.close();
    uv_read_start(w->handle, give_buffer, answer);
  });
}

void serve_echo(std::uint16_t port) {
  context c;
  uv_tcp_t listener;
  uv_tcp_init(&c.loop, &listener);
  sockaddr_in address{};
  uv_ip4_addr("127.0.0.1", port, &address);
  uv_tcp_bind(&listener, reinterpret_cast<const sockaddr*>(&address), 0);
  const int listens =
      uv_listen(reinterpret_cast<uv_stream_t*>(&listener), 1024, [](uv_stream_t* from, int status) {
        if (status < 0) return;
        auto* made = new client;
        uv_tcp_init(from->loop, &made->socket);
        made->socket.data = made;
        auto* stream = reinterpret_cast<uv_stream_t*>(&made->socket);
        if (uv_accept(from, stream) < 0) return made->close();
        uv_tcp_nodelay(&made->socket, 1);
        uv_read_start(stream, give_buffer, answer);
      });
  bench::require(listens == 0, "the port is free");
  std::puts("ready");
  std::fflush(stdout);
  uv_run(&c.loop, UV_RUN_DEFAULT);
}

}  // namespace

int main(int argc, char** argv) {
  return bench::run_peer(argc, argv, {{"c3", pauses}, {"c7", detach}, {"c9", sleepers}},
                         {{"serve-echo", serve_echo}});
}
