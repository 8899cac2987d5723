// SPDX-License-Identifier: MIT
// Every pause of git-mem, by the function that it is in: all of them are reached under `always`
// while a repository goes through whatever can be done to it. One that is deleted is missed here.

#include "support/git_http_server.hpp"
#include "support/git_snapshot.hpp"
#include "support/pause_sites.hpp"
#include "support/random_repository.hpp"

#include <fermata/git_mem/analyse.hpp>
#include <fermata/git_mem/change.hpp>
#include <fermata/git_mem/compact.hpp>
#include <fermata/git_mem/diff.hpp>
#include <fermata/git_mem/export_bare.hpp>
#include <fermata/git_mem/fetch.hpp>
#include <fermata/git_mem/http_backend.hpp>
#include <fermata/git_mem/log.hpp>
#include <fermata/git_mem/pkt_line.hpp>
#include <fermata/git_mem/push.hpp>
#include <fermata/git_mem/repository.hpp>
#include <fermata/git_mem/revparse.hpp>
#include <fermata/git_mem/upload_pack.hpp>
#include <fermata/git_mem/walk.hpp>
#include <fermata/http/client.hpp>
#include <fermata/loop/event_loop.hpp>
#include <fermata/promise/memory_network.hpp>

#include <catch2/catch.hpp>

#include <random>
#include <string>

using namespace fermata::git_mem;
using namespace fermata::test;
using fermata::promise;

namespace {

struct places {
  places() {
    fill_randomly(origin, 31, 160);
    origin.run(
        "for i in $(seq 400); do echo $i > wide-$i; done; git add wide-*; "
        "git commit -qm wide; git update-ref refs/heads/topic main~2");
    origin.run(
        "git config uploadpack.allowFilter true; git config uploadpack.allowAnySHA1InWant true");
    url = (origin.path() / ".git").string();
    all = all_of(origin);
  }
  temp_folder origin;
  temp_folder scratch;
  std::string url;
  snapshot_ptr all;
};

clone_options everything(std::size_t threads = 0) {
  clone_options o;
  o.depth = 0;
  o.also = {"refs/tags/"};
  o.threads = threads;
  return o;
}

// Its files all have the same content, which cannot be compressed.
promise<object_id> add_commit(object_store& store, std::string ref, std::size_t bytes, int files) {
  std::string content(bytes, '\0');
  std::mt19937 random(1);
  for (char& c : content) c = static_cast<char>(random());
  change c(store);
  promise<object_id> blob = c.add_blob(fermata::bytes_of(content));
  tree_item one;
  one.id = co_await blob;
  std::vector<tree_item> items;
  for (int i = 0; i < files; ++i) {
    one.name = "f" + std::to_string(1000 + i);
    items.push_back(one);
  }
  promise<object_id> tree = c.add_tree(items);
  commit next;
  next.tree = co_await tree;
  if (const reference* head = store.current()->find_ref("HEAD")) next.parents.push_back(head->id);
  next.author = next.committer = parse_signature("A <a@b> 1900000000 +0000");
  promise<object_id> added = c.add_commit(next);
  const object_id id = co_await added;
  c.set_ref(ref, id);
  promise<> published = c.publish();
  co_await published;
  co_return id;
}

// Clone and fetch, over a path; with a pack that is refused in the end, and from a pack in memory.
promise<> receive(places& at) {
  object_store store;
  promise<fetch_result> fetching = fetch(store, at.url, everything());
  co_await std::move(fetching);
  at.origin.run("git commit -q --allow-empty -m more");
  fetching = fetch(store, at.url, everything());
  co_await std::move(fetching);
  fetching = fetch(store, at.url + "#topic", everything());
  co_await std::move(fetching);
  const std::string bytes = at.origin.output("git pack-objects --all --stdout -q </dev/null");
  promise<std::unique_ptr<pack>> analysed = analyse(fermata::bytes_of(bytes));
  co_await std::move(analysed);
  const std::string too_long = bytes + "x";
  promise<std::unique_ptr<pack>> refused = analyse(fermata::bytes_of(too_long));
  try {
    co_await std::move(refused);
  } catch (const failure&) {
  }
  fermata::git_mem::object_store cut;
  clone_options shallow = everything();
  shallow.depth = 2;
  fetching = fetch(cut, at.url, shallow);
  co_await std::move(fetching);
  store.publish({});
  promise<> freed = reclaim(store);
  co_await freed;
}

promise<> read(places& at) {
  const snapshot_ptr s = at.all;
  const object_id head = s->find_ref("HEAD")->id;
  const auto ignore = [](const auto&) { return fermata::ready(); };
  promise<> walked = walk_files(s, head, "", ignore);
  co_await walked;
  promise<std::optional<path_finder::place>> finding = find_path(s, head, "wide-1");
  co_await std::move(finding);
  promise<object_id> parsing = get_revision(s, "main~3");
  const object_id before = co_await parsing;
  parsing = get_revision(s, "main~1^{tree}");
  co_await parsing;
  parsing = get_revision(s, "n1^{}");
  try {
    co_await parsing;
  } catch (const failure&) {  // the history may have no such tag
  }
  parsing = get_revision(s, before.hex(12));
  co_await parsing;
  promise<short_names> naming = make_short_names(s);
  co_await std::move(naming);
  promise<std::vector<file_change>> comparing = list_changes(s, before, head);
  co_await std::move(comparing);
  commit_log log(s, {1, head});
  for (;;) {
    promise<std::optional<commit>> asking = log.next();
    const std::optional<commit> c = co_await std::move(asking);
    if (!c) break;
  }
}

promise<> read_by_interface(places& at) {
  object_store store;
  store.publish(*at.all);
  const std::unique_ptr<repository> by = memory_repository(store);
  const object_id head = at.all->find_ref("HEAD")->id;
  promise<> walked =
      walk_repository(*by, head, [](const tree_walk::entry&) { return fermata::ready(); });
  co_await walked;
  repository_log log(*by, {1, head});
  object_id last;
  for (;;) {
    promise<std::optional<commit>> asking = log.next();
    const std::optional<commit> c = co_await std::move(asking);
    if (!c) break;
    last = c->id;
  }
  promise<> compared =
      diff_repository(*by, last, head, [](const file_change&) { return fermata::ready(); });
  co_await compared;
}

promise<> write(places& at) {
  object_store store;
  promise<fetch_result> fetching = fetch(store, at.url, everything());
  co_await std::move(fetching);
  promise<object_id> adding = add_commit(store, "refs/heads/new", 1'500'000, 400);
  const object_id id = co_await adding;
  const std::string bare = (at.scratch.path() / "push.git").string();
  at.scratch.run("git clone -q --bare '" + at.url + "' push.git");
  push_command named("refs/heads/new", id);
  named.short_name = "new";
  promise<push_result> pushing = push(store.current(), bare, {1, named});
  const push_result pushed = co_await std::move(pushing);
  CHECK(pushed.is_success());
  object_store cut;
  clone_options newest;
  newest.depth = 1;
  fetching = fetch(cut, at.url, newest);
  co_await std::move(fetching);
  pushing = push(cut.current(), bare,
                 {1, push_command("refs/heads/cut", cut.current()->find_ref("HEAD")->id)});
  co_await std::move(pushing);
  promise<> exported = export_bare(store, (at.scratch.path() / "out.git").string());
  co_await exported;
  promise<compact_report> compacting = compact(store);
  adding = add_commit(store, "refs/heads/new", 10, 1);  // what was compacted is thrown away
  co_await adding;
  CHECK(compacting.is_pending());
  co_await std::move(compacting);
}

promise<> answer(snapshot_ptr from, fermata::byte_stream& stream, upload_pack_options how) {
  promise<upload_report> served = upload_pack(std::move(from), stream, std::move(how));
  try {
    co_await std::move(served);
  } catch (const failure&) {
  }
  co_await stream.shutdown();
}

promise<> ask(snapshot_ptr from, std::string request, int version, upload_part part) {
  upload_pack_options how;
  how.version = version;
  how.part = part;
  auto streams = fermata::memory_stream_pair(1 << 20);
  promise<> answered = answer(std::move(from), *streams.second, how);
  promise<> written = fermata::write_text(*streams.first, std::move(request));
  co_await written;
  co_await streams.first->shutdown();
  promise<std::string> reading = fermata::read_to_end(*streams.first, std::size_t{1} << 26);
  co_await std::move(reading);
  co_await answered;
}

std::string packets(const std::vector<std::string>& lines) {
  std::string out;
  for (const std::string& line : lines) {
    if (line == "0000" || line == "0001") {
      out += line;
    } else {
      append_pkt(out, line);
    }
  }
  return out;
}

// A clone from a server that sorts no refs and leaves out a file: all that came is thrown away.
promise<> be_refused(places& at) {
  at.scratch.run(
      "git init -q -b main gap && cd gap && echo 1 >f && git add f && "
      "head -c 2000000 /dev/urandom >large && git add large && git commit -qm m");
  const std::string head = at.scratch.output("git -C gap rev-parse HEAD").substr(0, 40);
  std::string answer =
      packets({"version 2\n", "ls-refs\n", "fetch\n", "0000", head + " refs/heads/main\n",
               head + " HEAD symref-target:refs/heads/main\n", "0000", "packfile\n"});
  const std::string pack = at.scratch.output(
      "cd gap && git rev-list --objects main | cut -d' ' -f1 | grep -v $(git rev-parse main:f) | "
      "git pack-objects -q --stdout");
  for (std::size_t i = 0; i < pack.size(); i += 60'000) {
    append_pkt(answer, "\1" + pack.substr(i, 60'000));
  }
  answer += "0000";
  auto streams = fermata::memory_stream_pair(1 << 22);
  promise<> written = fermata::write_text(*streams.second, answer);
  co_await written;
  promise<clone_result> cloning = clone_over(*streams.first, remote_url::parse("/r"), everything());
  bool is_refused = false;
  try {
    co_await std::move(cloning);
  } catch (const failure&) {
    is_refused = true;
  }
  CHECK(is_refused);
}

// What clients ask of a server, in both protocols.
promise<> serve(places& at) {
  const std::string tip = at.all->find_ref("HEAD")->id.hex();
  const std::string old = at.all->find_ref("refs/heads/topic")->id.hex();
  const std::string fetch = "command=fetch";
  std::vector<std::string> asked;
  asked.push_back(packets({"command=ls-refs", "0001", "peel", "symrefs", "0000"}));
  asked.push_back(packets({fetch, "0001", "want " + tip, "include-tag", "done", "0000"}));
  asked.push_back(packets({fetch, "0001", "want " + tip, "have " + old, "0000"}));
  asked.push_back(
      packets({fetch, "0001", "want " + tip, "have " + old, "thin-pack", "done", "0000"}));
  asked.push_back(packets({fetch, "0001", "want " + tip, "deepen 2", "done", "0000"}));
  asked.push_back(packets({fetch, "0001", "want " + tip, "deepen-not topic", "done", "0000"}));
  asked.push_back(
      packets({fetch, "0001", "want " + tip, "shallow " + tip, "deepen 5", "done", "0000"}));
  asked.push_back(packets({fetch, "0001", "want " + tip, "filter blob:limit=200", "done", "0000"}));
  const std::string tree = at.origin.output("git rev-parse HEAD^{tree}").substr(0, 40);
  asked.push_back(packets({fetch, "0001", "want " + tree, "filter tree:0", "done", "0000"}));
  for (const std::string& request : asked) {
    promise<> served = ask(at.all, request, 2, upload_part::request);
    co_await served;
  }
  promise<> advertised = ask(at.all, "", 0, upload_part::advertisement);
  co_await advertised;
}

// A clone from our own server; and a request as large clients send it.
promise<> serve_over_http(places& at) {
  fermata::http::router routes;
  mount_repository(routes, "/r.git", [&at] { return at.all; });
  fermata::http::server server([&](const fermata::http::request& r) { return routes(r); });
  const std::string url = "http://" + server.listen("127.0.0.1:0") + "/r.git";
  object_store store;
  clone_options how = everything();
  how.remote.http.proxy = "";
  promise<fetch_result> fetching = fetch(store, url, how);
  co_await std::move(fetching);
  at.scratch.write("request", packets({"command=ls-refs", "0001", "peel", "0000"}));
  fermata::http::client client;
  fermata::http::client_request post(url + "/git-upload-pack");
  post.method = "POST";
  post.headers.add("Content-Type", "application/x-git-upload-pack-request");
  post.headers.add("Content-Encoding", "gzip");
  post.headers.add("Git-Protocol", "version=2");
  post.body = fermata::http::shared_bytes(at.scratch.output("gzip -c request"));
  post.options = client.defaults();
  post.options->proxy = "";
  promise<fermata::http::client_response> sending = client.send(std::move(post));
  fermata::http::client_response got = co_await std::move(sending);
  CHECK(got.status == 200);
  promise<> ended = server.shutdown(std::chrono::seconds(5));
  co_await ended;
}

// Function by function, how many there are.
constexpr const char* expected = R"(asked_refs.cpp keep_asked 2
asked_refs.cpp merge_refs 2
async_analyse.cpp drive 2
async_analyse.cpp release 1
async_analyse.cpp use_all 2
async_walk.cpp find_path 1
async_walk.cpp get_object 1
async_walk.cpp walk_files 1
change.cpp check_tree 1
change.cpp finish_pack 1
change.cpp name 1
change.cpp write 1
clone_over.cpp clone_unnamed 1
clone_over.cpp fetch_pack 1
clone_over.cpp shallow_after 2
clone_over.cpp take_all 1
clone_over.cpp wanted_ids 1
clone_receive.cpp ask 1
clone_receive.cpp known_tips 1
clone_receive.cpp prepare 1
clone_receive.cpp read_acknowledgments 1
clone_receive.cpp receive 1
clone_receive.cpp receive_pack 1
commit.cpp peel 1
commit.cpp peel_tags 1
commit_painter.cpp run 3
commit_painter.cpp walk_had 1
commit_painter.cpp walk_wanted 1
compact.cpp reclaim 1
compact.cpp release 1
export_bare.cpp make_ref_files 1
export_bare.cpp pass_on 1
fetch.cpp compare_refs 1
history_cut.cpp commits_of 1
history_cut.cpp is_enough 1
history_cut.cpp reaches 1
history_cut.cpp run 1
history_cut.cpp settle 1
history_cut.cpp walk 1
http_backend.cpp inflated 1
http_stream.cpp read 1
http_stream.cpp write 1
live_refs.cpp copy_refs 1
live_refs.cpp find_live 1
log.cpp next 1
pack_writer.cpp copy 1
pack_writer.cpp deflate 1
pack_writer.cpp write_all 1
pack_writer.cpp write_pack 1
packet_source.cpp fill 1
packet_source.hpp read_message 1
push.cpp check_commands 1
push.cpp judge_commands 2
push.cpp send_commands 2
push.cpp send_pack 1
reachability.cpp find_all 2
reachability.cpp find_reachable 1
reachability.cpp open_trees 2
reachability.cpp read 1
received_check.cpp check_history 1
received_check.cpp find_missing 1
repository_history.cpp merge_all 1
repository_history.cpp next 1
repository_history.cpp walk_repository 1
revparse.cpp apply 1
revparse.cpp find_by_prefix 1
revparse.cpp make_short_names 4
short_targets.cpp resolve_short_names 3
sliced_sort.cpp sort_ids 1
sliced_sort.hpp sort_in_slices 3
tree_diff.cpp diff_files 1
upload_fetch.cpp add_tags 1
upload_fetch.cpp answer_fetch 1
upload_fetch.cpp check_wants 1
upload_refs.cpp answer_ls_refs 1
upload_refs.cpp shown_refs 1
upload_session.cpp read 2
upload_session.cpp say 1
)";

}  // namespace

TEST_CASE("every pause of git-mem is reached, function by function", "[git_mem][pauses]") {
  places at;
  pause_sites sites("git-mem");
  sites.run([&] { return receive(at); });
  sites.run([&] { return be_refused(at); });
  sites.run([&] { return read(at); });
  sites.run([&] { return read_by_interface(at); });
  sites.run([&] { return write(at); });
  sites.run([&] { return serve(at); });
  sites.run([&] { return serve_over_http(at); });
  sites.check(expected);
}
