// SPDX-License-Identifier: MIT
// fermata-git beside git: the same bytes on standard output.

#include "support/git_program.hpp"
#include "support/git_snapshot.hpp"
#include "support/random_repository.hpp"

#include <fermata/git_mem/saved_store.hpp>

#include <catch2/catch.hpp>

#include <string>

using namespace fermata::test;

namespace {

// Commits that git shows in its own way, and some that it would not make, on refs/heads/odd.
void add_odd_commits(const temp_folder& to) {
  to.write(".git/odd", R"(
    made() {
      printf "tree $t\n${c:+parent $c\n}$1" | git hash-object -t commit -w --stdin --literally
    }
    t=$(git rev-parse 'HEAD^{tree}')
    a='author A <a@b> 1700000000 +0000\n' k='committer A <a@b> 1700000001 +0000\n'
    c=$(made "${a}${k}encoding ISO-8859-1\ngpgsig x\n \n y\n\nlatin \\374\n")
    c=$(made "${a}${k}\nends at a NUL\\000unseen\n\nunseen\n")
    c=$(made "${a}${k}\n\f\v \n\n sub\fject\t\ttabs\r\n\r\nbody\r\n")
    c=$(made "author A\n${k}\nno address\n")
    c=$(made "author A <>\n${k}\nan empty one\n")
    c=$(made "${k}\nno author\n")
    c=$(made "author A <a@b> -100 +0100\n${k}\nbefore all time\n")
    c=$(made "author A <a@b>\n${k}\nno date\n")
    for rest in 1700000000 '1700000000 0100' '1700000000 +x' '17x +0100' '1700000000\t-0130 x' \
        '1700000000 +1' '1700000000 +0100x' '1700000000 --100' '1700000000+0100' '+17 +0100'; do
      c=$(made "author A <a@b> $rest\n${k}\nbeside git\n")
    done
    c=$(made "author A  <a<b@c>d>  1700000000  -0030 \n${k}\nspaces\n")
    c=$(made "${a}${k}\n")
    c=$(made "${a}${k}")
    git update-ref refs/heads/odd $c
  )");
  to.run("sh .git/odd");
}

// repo/, and the file "store" of all that is in it.
void save_random(const temp_folder& in, unsigned seed) {
  const temp_folder made;
  fill_randomly(made, seed, 120);
  made.run(
      "printf 'gr\\303\\274n\\n\\n\\tk\\303\\244se\\n' | iconv -f UTF-8 -t ISO-8859-1 > .git/m && "
      "git update-ref HEAD $(git -c i18n.commitEncoding=ISO-8859-1 commit-tree -F .git/m "
      "-p HEAD 'HEAD^{tree}')");
  in.run("git clone -q --mirror '" + made.path().string() + "' repo");
  fermata::git_mem::write_saved(all_of(made), (in.path() / "store").string());
}

}  // namespace

TEST_CASE("fermata-git prints what git prints", "[git_mem][program]") {
  const temp_folder folder;
  save_random(folder, 21);
  for (const std::string more : {"", " -n 7", " --oneline", " -n 3 --oneline b1", " b2 b3~2"}) {
    check_same(folder, "log store" + more, "log" + more);
  }
  for (const std::string tree : {"HEAD", "b1~3", "main^{tree}", "t0"}) {
    check_same(folder, "ls-tree store -r " + tree, "ls-tree -r " + tree);
    check_same(folder, "ls-tree store " + tree, "ls-tree " + tree);
    check_same(folder, "cat-file store -p " + tree, "cat-file -p " + tree);
    check_same(folder, "cat-file store -t " + tree, "cat-file -t " + tree);
    check_same(folder, "cat-file store -s " + tree, "cat-file -s " + tree);
  }
  for (const std::string sides : {"main~9 main", "b1 b2", "b3^{tree} t0", "HEAD~4 HEAD~1"}) {
    check_same(folder, "diff store --name-status " + sides, "diff-tree -r --name-status " + sides);
    check_same(folder, "diff store --name-only " + sides, "diff-tree -r --name-only " + sides);
  }
  check_same(folder, "rev-parse store HEAD b1^ b2~2^{tree} refs/heads/main",
             "rev-parse HEAD b1^ b2~2^{tree} refs/heads/main");
  folder.run("git -C repo rev-list --objects --all | cut -d' ' -f1 > asked");
  folder.run("printf 'nothing\\nmain:a\\nHEAD\\n\\nHEAD^{tree}\\n' >> asked");
  folder.run(program() + "cat-file store --batch < asked > ours");
  folder.run("git -C repo cat-file --batch < asked > git && cmp ours git");
  folder.run(program() + "export store out.git && git -C out.git fsck --full --strict 2>&1");
  CHECK(folder.output("git -C out.git for-each-ref") == folder.output("git -C repo for-each-ref"));
  CHECK(told(folder, "export store out.git") ==
        "fermata-git: cannot export to out.git: it is not empty\nstatus 1\n");
}

TEST_CASE("fermata-git log shows odd commits as git does", "[git_mem][program]") {
  const temp_folder folder, made;
  made.run("git init -q -b main && git commit -q --allow-empty -m m");
  add_odd_commits(made);
  folder.run("git clone -q --mirror '" + made.path().string() + "' repo");
  folder.run(program() + "clone 'repo#odd' --save store");
  check_same(folder, "log store odd", "log odd");
  check_same(folder, "log store odd --oneline", "log --oneline odd");
}

TEST_CASE("fermata-git log shows authors by the names that .mailmap gives them",
          "[git_mem][program]") {
  const temp_folder folder;
  folder.run(
      "git init -q -b main made && cd made && "
      "printf '# of whom\\n Ann Lee  <a@new> <A@old>\\nJoe <joe@x> Nick <n@x>\\n<n@new> <n@x>\\n"
      "Nora <n@x>\\nBad <>\\nNo brackets\\nHalf <h@x\\nZoe <z@x> <>\\r\\n\\nCr <c@x>\\r' "
      ">.mailmap && "
      "git add . && git commit -qm 0 && for a in 'ann <a@OLD>' 'nick <N@x>' 'N <n@x>' 'q <h@x>' "
      "'anybody <>' 'D <c@x>'; do "
      "git commit -q --allow-empty -m m --author \"$a\"; done && "
      "git clone -q --bare . ../repo && git tag -am t t HEAD~2");
  folder.run(program() + "clone repo --save store");
  check_same(folder, "log store", "log");
  CHECK_THAT(folder.output(program() + "log store"), Catch::Contains("Author: Ann Lee <a@new>"));
  // Of HEAD, whatever is looked at; where that is no file, of nobody.
  folder.run(
      "cd made && git rm -q .mailmap && mkdir .mailmap && echo >.mailmap/x && "
      "git add . && git commit -qm dir && git clone -q --bare . ../repo2");
  folder.run(program() + "clone repo2 --save store2");
  CHECK(folder.output(program() + "log store2") == folder.output("git -C repo2 log 2>/dev/null"));
}

TEST_CASE("fermata-git clone says what has come", "[git_mem][program]") {
  const temp_folder folder;
  folder.run("git init -q -b main repo && git -C repo commit -q --allow-empty -m m");
  const std::string head = folder.output("git -C repo rev-parse HEAD").substr(0, 40);
  CHECK(told(folder, "clone repo") == "refs/heads/main " + head + "\nstatus 0\n");
  const std::string stats = folder.output(program() + "clone repo --depth 1 --stats");
  CHECK_THAT(stats, Catch::StartsWith("{\"objects\":2,\"received_bytes\":"));
  for (const char* name :
       {"cpu_seconds", "wall_seconds", "peak_rss_bytes", "settled_rss_bytes", "longest_turn_us"}) {
    CHECK_THAT(stats, Catch::Contains(std::string("\"") + name + "\":"));
  }
  CHECK(told(folder, "clone repo --verify fast") == "refs/heads/main " + head + "\nstatus 0\n");
  CHECK_THAT(told(folder, "clone repo --verify none"), Catch::Contains("--verify: none not in"));
  folder.run("git init -q -b main empty");
  CHECK(told(folder, "clone empty") == "an empty repository\nstatus 0\n");
}

TEST_CASE("fermata-git fetch brings a store up to date and keeps it small", "[git_mem][program]") {
  const temp_folder folder;
  folder.run("git init -q -b main repo && git -C repo commit -q --allow-empty -m one");
  folder.run(program() + "clone repo --depth 1 --save store");
  const std::string size = folder.output("stat -c %s store");
  const std::string one = folder.output("git -C repo rev-parse main").substr(0, 40);
  CHECK(told(folder, "fetch store repo --depth 1") ==
        "refs/heads/main " + one + " " + one + "\nstatus 0\n");
  folder.run("git -C repo commit -q --allow-empty -m two");
  const std::string two = folder.output("git -C repo rev-parse main").substr(0, 40);
  CHECK(told(folder, "fetch store repo --depth 1") ==
        "refs/heads/main " + one + " " + two + "\nstatus 0\n");
  CHECK(folder.output(program() + "log store --oneline | wc -l") == "1\n");
  CHECK(std::stoi(folder.output("stat -c %s store")) < std::stoi(size) + 100);
  folder.run("git init -q -b main empty");
  CHECK(told(folder, "fetch store empty") ==
        "an empty repository: the store stays as it was\nstatus 0\n");
  CHECK(folder.output(program() + "rev-parse store HEAD") == two + "\n");
  CHECK_THAT(told(folder, "fetch store none"),
             Catch::StartsWith("fermata-git: cannot fetch none: "));
}

TEST_CASE("fermata-git serve answers git until it is told to end", "[git_mem][program]") {
  const temp_folder folder;
  save_random(folder, 23);
  folder.run("mkfifo said; " + program() +
             "serve store --listen 127.0.0.1:0 > said & pid=$!; "
             "trap 'kill $pid' EXIT; read word url < said && git clone -q --mirror $url clone && "
             "kill $pid && wait $pid && trap - EXIT");
  CHECK(folder.output("git -C clone for-each-ref") == folder.output("git -C repo for-each-ref"));
  folder.run("git -C clone fsck --full --strict 2>&1");
  for (const char* path :
       {"x", "''", "/", "/r.git/", "/a/../b", "/a//b", "'/a b'", "/a?b", "/%41"}) {
    const std::string asked = std::string("serve store --listen 127.0.0.1:0 --path ") + path;
    CHECK_THAT(told(folder, asked), Catch::EndsWith("status 2\n"));
  }
}

TEST_CASE("fermata-git serve takes the request of a client with thousands of refs",
          "[git_mem][program]") {
  const temp_folder folder;
  folder.run("git init -q -b main repo && git -C repo commit -q --allow-empty -m m");
  folder.run(program() + "clone repo --save store");
  // 10,000 wants, as of a clone of as many branches.
  folder.run(
      "{ printf '0011command=fetch0001'; tip=$(git -C repo rev-parse main); "
      "for i in $(seq 10000); do printf '0032want %s\\n' $tip; done; printf '0008done0000'; } > "
      "asked");
  folder.run("mkfifo said; " + program() +
             "serve store --listen 127.0.0.1:0 > said & pid=$!; "
             "trap 'kill $pid' EXIT; read word url < said && "
             "curl -sS --fail -H 'Git-Protocol: version=2' "
             "-H 'Content-Type: application/x-git-upload-pack-request' --data-binary @asked "
             "$url/git-upload-pack > answer");
  CHECK_THAT(read_file((folder.path() / "answer").string()), Catch::StartsWith("000dpackfile\n"));
}

TEST_CASE("fermata-git index-pack names a pack or says what is wrong", "[git_mem][program]") {
  const temp_folder folder;
  folder.run("git init -q -b main . && git commit -q --allow-empty -m m");
  folder.run("git pack-objects --all -q p </dev/null >name && mv p-*.pack pack");
  const std::string good = folder.output("tail -c 20 pack | od -An -tx1 | tr -d ' \\n'") + " 2\n";
  CHECK(told(folder, "index-pack pack") == good + "status 0\n");
  CHECK(told(folder, "index-pack < pack") == good + "status 0\n");
  CHECK(told(folder, "index-pack - < pack") == good + "status 0\n");
  CHECK(told(folder, "index-pack < name") ==
        "fermata-git: standard input: pack byte 0: this is no pack\nstatus 1\n");
  CHECK(told(folder, "index-pack none") ==
        "fermata-git: cannot open none: no such file or directory (uv ENOENT)\nstatus 1\n");
}

TEST_CASE("fermata-git says in one line what is wrong", "[git_mem][program]") {
  const temp_folder folder;
  folder.run("git init -q -b main repo && git -C repo commit -q --allow-empty -m m");
  folder.run(program() + "clone repo --save store");
  const std::string see = " (see fermata-git --help)\nstatus 2\n";
  CHECK(told(folder, "") == "fermata-git: A subcommand is required" + see);
  CHECK(told(folder, "nope store") == "fermata-git: nope is no command" + see);
  CHECK(told(folder, "clone") == "fermata-git: URL is required" + see);
  CHECK(told(folder, "clone repo --save ''") == "fermata-git: --save: a file has a name" + see);
  CHECK_THAT(told(folder, "cat-file store --batch HEAD"), Catch::EndsWith(see));
  CHECK_THAT(told(folder, "log store -n -1"), Catch::EndsWith(see));
  CHECK_THAT(told(folder, "log --nope"), Catch::EndsWith(see));
  CHECK_THAT(told(folder, "cat-file store -t -s"), Catch::EndsWith(see));
  CHECK(told(folder, "log none") ==
        "fermata-git: cannot open none: no such file or directory (uv ENOENT)\nstatus 1\n");
  CHECK(told(folder, "log store nope") ==
        "fermata-git: \"nope\": no ref and no object has this name\nstatus 1\n");
  folder.write("damaged", "x");
  CHECK(told(folder, "log damaged") ==
        "fermata-git: cannot restore damaged: byte 0: this is no saved store\nstatus 1\n");
  CHECK_THAT(told(folder, "clone none"), Catch::StartsWith("fermata-git: cannot clone none: "));
  CHECK_THAT(told(folder, "--version"), Catch::StartsWith("fermata-git 0."));
  const std::string help = told(folder, "--help");
  for (const char* name :
       {"clone", "index-pack", "cat-file", "ls-tree", "log", "rev-parse", "export", "push"}) {
    CHECK_THAT(help, Catch::Contains(std::string("\n  ") + name));
    CHECK_THAT(told(folder, std::string(name) + " --help"), Catch::EndsWith("status 0\n"));
  }
}

TEST_CASE("fermata-git saves the same with any number of threads", "[git_mem][program]") {
  const temp_folder folder, made;
  fill_randomly(made, 24, 100);
  folder.run("git clone -q --bare '" + made.path().string() + "' repo && git -C repo repack -qadf");
  const std::string pack = folder.output("ls repo/objects/pack/*.pack | tr -d '\\n'");
  const std::string plain = told(folder, "index-pack " + pack);
  CHECK_THAT(plain, Catch::EndsWith("status 0\n"));
  folder.run(program() + "clone repo --save store0");
  for (const std::string n : {"1", "2", "5"}) {
    folder.run(program() + "clone repo --threads " + n + " --save store" + n);
    folder.run("cmp store0 store" + n);
    CHECK(told(folder, "index-pack --threads " + n + " " + pack) == plain);
    CHECK(told(folder, "index-pack --threads " + n + " store0") ==
          "fermata-git: store0: pack byte 0: this is no pack\nstatus 1\n");
  }
  CHECK_THAT(told(folder, "clone repo --threads many"), Catch::EndsWith("status 2\n"));
}

TEST_CASE("fermata-git clones back to a date, without a ref, and by a filter",
          "[git_mem][program]") {
  const temp_folder folder;
  folder.run(
      "git init -q -b main repo && cd repo && git config uploadpack.allowFilter true && "
      "mkdir d && for i in 1 2 3 4; do echo $i > f$i && echo $i > d/g && git add . && "
      "GIT_COMMITTER_DATE=\"2025-06-0${i}T12:00:00Z\" git commit -qm $i; done && git branch two "
      "HEAD~2");
  const auto commits = [&](const std::string& how) {
    folder.run("rm -f store && " + program() + "clone repo --save store " + how);
    return folder.output(program() + "log store --oneline | wc -l");
  };
  CHECK(commits("") == "4\n");
  CHECK(commits("--shallow-since 2025-06-03") == "2\n");
  CHECK(commits("--shallow-since '2025-06-03T12:00:01'") == "1\n");
  CHECK(commits("--shallow-since 1748865600") == "3\n");  // 2 June, noon
  CHECK(commits("--shallow-exclude two") == "2\n");
  CHECK(commits("--filter blob:none") == "4\n");
  CHECK_THAT(told(folder, "cat-file store -t HEAD:f1"), Catch::Contains("not in the store"));
  check_same(folder, "ls-tree store -r HEAD", "ls-tree -r HEAD");
  CHECK_THAT(
      told(folder, "clone repo --shallow-since yesterday"),
      Catch::Contains("yesterday is no date: say 2025-06-01") && Catch::EndsWith("status 2\n"));
  CHECK_THAT(told(folder, "clone repo --shallow-since 2025-13-01"), Catch::EndsWith("status 2\n"));
  CHECK_THAT(told(folder, "clone repo --depth 1 --shallow-since 2025-06-03"),
             Catch::Contains("--depth excludes --shallow-since"));
}

TEST_CASE("fermata-git brings tags and other branches where it is told to", "[git_mem][program]") {
  const temp_folder folder;
  folder.run(
      "git init -q -b main repo && cd repo && git commit -q --allow-empty -m 1 && "
      "git tag -a -m t v1 && git checkout -q -b other && git commit -q --allow-empty -m 2 && "
      "git checkout -q main");
  const std::string run = program();
  folder.run(run + "clone repo --save plain && " + run +
             "clone repo --save store --also refs/tags/ --also refs/heads/");
  CHECK_THAT(told(folder, "rev-parse plain v1"), Catch::EndsWith("status 1\n"));
  CHECK(folder.output(run + "rev-parse store v1 v1^{} other") ==
        folder.output("git -C repo rev-parse v1 v1^{} other"));
  folder.run("git -C repo tag -a -m t v2 other");
  folder.run(run + "fetch plain repo --also refs/tags/");
  CHECK(folder.output(run + "rev-parse plain v1 v2") ==
        folder.output("git -C repo rev-parse v1 v2"));
}

TEST_CASE("fermata-git push moves refs, or says why not", "[git_mem][program]") {
  const temp_folder folder;
  folder.run(
      "git init -q -b main repo && cd repo && for i in 1 2 3; do git commit -q --allow-empty -m "
      "$i; done && git tag v1 && cd .. && git init -q --bare to.git && " +
      program() + "clone repo --save store");
  const auto rev = [&](const std::string& name) {
    return folder.output("git -C repo rev-parse " + name).substr(0, 40);
  };
  const std::string none(40, '0');
  CHECK(told(folder, "push store to.git HEAD") ==
        "refs/heads/main " + none + " " + rev("main") + "\nstatus 0\n");
  CHECK(told(folder, "push store to.git main:topic " + rev("main~1") + ":refs/heads/older") ==
        "refs/heads/topic " + none + " " + rev("main") + "\nrefs/heads/older " + none + " " +
            rev("main~1") + "\nstatus 0\n");
  CHECK(told(folder, "push store to.git main~2:main") ==
        "refs/heads/main refused: not a fast-forward: it stands at " + rev("main") +
            " there\nstatus 1\n");
  CHECK(told(folder, "push store to.git +main~2:main --expect " + none) ==
        "refs/heads/main refused: it stands at " + rev("main") + " there\nstatus 1\n");
  CHECK(told(folder, "push store to.git +main~2:main --expect " + rev("main")) ==
        "refs/heads/main " + rev("main") + " " + rev("main~2") + "\nstatus 0\n");
  CHECK(told(folder, "push store to.git :topic") ==
        "refs/heads/topic " + rev("main") + " " + none + "\nstatus 0\n");
  folder.write("to.git/hooks/update", "#!/bin/sh\necho never\nexit 1\n");
  folder.run("chmod +x to.git/hooks/update");
  const std::string hooked = told(folder, "push store to.git main:other");
  CHECK_THAT(hooked, Catch::Contains("remote: never\n"));
  CHECK_THAT(hooked, Catch::Contains("refs/heads/other refused: the remote refused: hook "
                                     "declined\n"));
  CHECK_THAT(told(folder, "push store to.git nope"),
             Catch::StartsWith("fermata-git: \"nope\": no ref has this name"));
  CHECK_THAT(told(folder, "push store to.git main --expect x"), Catch::EndsWith("status 2\n"));
}
