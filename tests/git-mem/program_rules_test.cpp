// SPDX-License-Identifier: MIT
// fermata-git where git has rules of its own: odd repositories, short names, files that it writes.

#include "support/git_program.hpp"

#include <catch2/catch.hpp>

#include <string>

using namespace fermata::test;

TEST_CASE("fermata-git shows the modes of old trees as git does, and fetches across them",
          "[git_mem][program]") {
  const temp_folder folder;
  folder.run("git init -q -b main repo && git -C repo commit -q --allow-empty -m 0");
  folder.run(program() + "clone repo --save store");
  folder.write("odd", R"(
    h() { git hash-object -t "$1" -w --stdin --literally; }
    raw() { perl -e 'print pack "H*", shift' "$1"; }
    blob=$(printf x | h blob)
    under=$( { printf '100640 z\0'; raw $blob; } | h tree)
    made() {
      for e in "100600 a:$blob" "100640 b:$blob" "100$1 c:$blob" "100664 d:$blob" \
          "0100644 e:$blob" "0040755 f:$under" "120777 g:$blob" "160755 h:$blob" \
          "00100$1 i:$blob"; do
        printf "${e%:*}\0"; raw ${e#*:}
      done | h tree
    }
    for mode in 775 600 100; do
      git update-ref HEAD $(git commit-tree -p HEAD -m $mode $(made $mode))
    done
  )");
  folder.run("cd repo && sh ../odd && cd .. && " + program() + "fetch store repo --depth 0");
  for (const std::string back : {"", "~1", "~2"}) {
    const std::string tree = " HEAD" + back;
    check_same(folder, "ls-tree store -r" + tree, "ls-tree -r" + tree);
    check_same(folder, "ls-tree store" + tree, "ls-tree" + tree);
    const std::string sides = tree + "~1" + tree;
    check_same(folder, "diff store --name-status" + sides, "diff-tree -r --name-status" + sides);
  }
  folder.run(program() + "clone repo --save again");
  check_same(folder, "rev-parse again HEAD^{tree}", "rev-parse HEAD^{tree}");
}

TEST_CASE("fermata-git keeps a HEAD whose branch is not there", "[git_mem][program]") {
  const temp_folder folder;
  folder.run("git init -q --bare -b trunk repo");
  CHECK(told(folder, "clone repo --save store") == "an empty repository\nstatus 0\n");
  folder.run(program() + "export store out; mkfifo said; " + program() +
             "serve store --listen 127.0.0.1:0 > said & pid=$!; trap 'kill $pid' EXIT; "
             "read word url < said && git clone -q $url cloned 2>/dev/null");
  CHECK(read_file(folder.path() / "out/HEAD") == "ref: refs/heads/trunk\n");
  CHECK(folder.output("git -C cloned symbolic-ref HEAD") == "refs/heads/trunk\n");
  CHECK_THAT(told(folder, "log store"),
             Catch::Contains("it stands for refs/heads/trunk, which is not there"));

  folder.run(
      "git init -q -b other w && git -C w commit -q --allow-empty -m 1 && "
      "git -C w push -q ../repo other");
  CHECK(told(folder, "clone repo") ==
        "fermata-git: cannot clone repo: its HEAD names no commit: name a branch\nstatus 1\n");
  CHECK(told(folder, "clone repo --also refs/ --save more") ==
        "HEAD stands for refs/heads/trunk, which is not there\nstatus 0\n");
  check_same(folder, "log more other", "log other");
  folder.run(program() + "fetch store repo --also refs/heads/");
  check_same(folder, "rev-parse store other", "rev-parse other");
  folder.run("git -C w push -q ../repo other:trunk && " + program() +
             "fetch more repo --also refs/heads/");
  check_same(folder, "rev-parse more HEAD", "rev-parse HEAD");
}

TEST_CASE("fermata-git push looks for short names at the remote first", "[git_mem][program]") {
  const temp_folder folder;
  folder.run(
      "git init -q -b main repo && cd repo && for i in 1 2; do git commit -q --allow-empty -m $i; "
      "done && git tag v1 && git branch both && git tag both && git update-ref refs/x/odd HEAD && "
      "cd .. && git init -q --bare to.git && "
      "git -C repo push -q ../to.git main~1:refs/tags/light main:refs/tags/ann "
      "main:refs/heads/both main:refs/tags/both main~1:refs/x/odd main:refs/heads/topic && " +
      program() + "clone repo --save store --also refs/");
  const auto rev = [&](const std::string& name) {
    return folder.output("git -C repo rev-parse " + name).substr(0, 40);
  };
  const std::string none(40, '0');
  CHECK(told(folder, "push store to.git main:light") ==
        "refs/tags/light refused: the tag is there already\nstatus 1\n");
  CHECK(told(folder, "push store to.git :ann :heads/topic") ==
        "refs/tags/ann " + rev("main") + " " + none + "\nrefs/heads/topic " + rev("main") + " " +
            none + "\nstatus 0\n");
  CHECK(told(folder, "push store to.git main:both") ==
        "fermata-git: cannot push to to.git: \"both\" is more than one ref there\nstatus 1\n");
  CHECK(told(folder, "push store to.git main:x/odd") ==
        "refs/x/odd " + rev("main~1") + " " + rev("main") + "\nstatus 0\n");
  CHECK(told(folder, "push store to.git v1:new main:fresh :none") ==
        "refs/tags/new " + none + " " + rev("main") + "\nrefs/heads/fresh " + none + " " +
            rev("main") + "\nrefs/heads/none refused: it is not there\nstatus 1\n");
  CHECK(told(folder, "push store to.git main~1:topic") ==
        "fermata-git: cannot push to to.git: no ref there is \"topic\": say refs/heads/ or "
        "refs/tags/ before it\nstatus 1\n");
  CHECK(told(folder, "push store to.git main~1:fresh --force") ==
        "refs/heads/fresh " + rev("main") + " " + rev("main~1") + "\nstatus 0\n");
  CHECK_THAT(told(folder, "push store to.git main:x/odd main~1:refs/x/odd"),
             Catch::Contains("\"refs/x/odd\" is named twice"));
}

TEST_CASE("fermata-git takes paths longer than a system does", "[git_mem][program]") {
  const temp_folder folder;
  folder.write("grow", R"sh(
line() { printf '%s %s %s\t%s\n' "$@"; }
fill() { head -c "$1" /dev/zero | tr '\0' n; }
tip() {
  tree=$(line 100644 blob $(echo $1 | git hash-object -w --stdin) $2 | git mktree)
  for i in $(seq $3); do tree=$(line 040000 tree $tree $(fill 250) | git mktree); done
  git update-ref HEAD $(git commit-tree -p HEAD -m $1 $tree)
}
)sh");
  folder.run(
      "git init -q -b main repo && cd repo && git commit -q --allow-empty -m 0 && . ../grow && "
      "tip 1 f 40 && tip 2 f 40 && cd .. && " +
      program() + "clone repo --depth 0 --save store && cd repo && tip 3 $(fill 60000) 20");
  CHECK_THAT(told(folder, "fetch store repo --name-status"), Catch::EndsWith("status 0\n"));
  check_same(folder, "ls-tree store -r HEAD", "ls-tree -r HEAD");
  check_same(folder, "ls-tree store -r HEAD~1", "ls-tree -r HEAD~1");
  check_same(folder, "diff store --name-status HEAD~2 HEAD~1",
             "diff-tree -r --name-status HEAD~2 HEAD~1");
  std::string path;
  for (int i = 0; i < 40; ++i) path.append(250, 'n').push_back('/');
  check_same(folder, "rev-parse store HEAD~1:" + path + "f", "rev-parse HEAD~1:" + path + "f");
  folder.run("cd repo && . ../grow && tip 4 $(fill 60000) 23");
  CHECK_THAT(told(folder, "fetch store repo"),
             Catch::EndsWith(": a path of more than 65536 bytes\nstatus 1\n"));
  folder.run(program() + "clone repo --save again");
  CHECK_THAT(told(folder, "ls-tree again -r"),
             Catch::EndsWith(": a path of more than 65536 bytes\nstatus 1\n"));
}

TEST_CASE("fermata-git fetches beside a commit of any size", "[git_mem][program]") {
  const temp_folder folder;
  folder.run(
      "git init -q -b main repo && cd repo && head -c 300000 /dev/zero | tr '\\0' x | fold -w 70 "
      ">m && "
      "git add m && git commit -q -F m && cd .. && " +
      program() +
      "clone repo --save store && cd repo && echo 2 >n && git add n && git commit -q -m 2");
  CHECK_THAT(told(folder, "fetch store repo"), Catch::EndsWith(" forward\nstatus 0\n"));
  check_same(folder, "ls-tree store -r main~1", "ls-tree -r main~1");
  check_same(folder, "diff store --name-status main~1 main",
             "diff-tree -r --name-status main~1 main");
}

// Each tip is refused with its place, and what stands behind one that was taken can be read.
TEST_CASE("fermata-git clones no tip with a malformed tree", "[git_mem][program]") {
  const temp_folder folder;
  folder.write("bad", R"sh(
blob=$(echo x | git hash-object -w --stdin)
entry() { printf "$1 $2\\0"; printf %s "$blob" | sed 's/../\\x&/g' | xargs -0 printf; }
tip() { tree=$(git hash-object -t tree -w --literally --stdin) &&
  git update-ref "refs/heads/$1" "$(git commit-tree -m "$1" "$tree")"; }
entry 100644 .git | tip dotgit
entry 100644 .. | tip dotdot
{ entry 100644 b; entry 100644 a; } | tip unsorted
)sh");
  folder.run(
      "git init -q -b main repo && cd repo && git commit -q --allow-empty -m 1 && bash ../bad");
  CHECK_THAT(told(folder, "clone repo#dotgit --save store"),
             Catch::Contains(": tree " +
                             folder.output("git -C repo rev-parse dotgit^{tree}").substr(0, 40) +
                             ": tree byte 0: the name \".git\" is not allowed"));
  CHECK_THAT(told(folder, "clone repo#dotdot --save store"), Catch::Contains("\"..\" is not"));
  CHECK_THAT(told(folder, "clone repo#unsorted --save store"), Catch::Contains("out of order"));
  CHECK_THROWS(folder.run("test -e store"));
  folder.run("git -C repo symbolic-ref HEAD refs/heads/dotgit");
  CHECK_THAT(told(folder, "clone repo#main --also refs/heads/ --save store"),
             Catch::EndsWith("status 0\n"));
  check_same(folder, "log store main", "log main");
}

TEST_CASE("fermata-git cat-file --batch ends names at CRLF and NUL", "[git_mem][program]") {
  const temp_folder folder;
  folder.run("git init -q -b main repo && git -C repo commit -q --allow-empty -m 1 && " +
             program() + "clone repo --save store && printf 'HEAD\\r\\nmain\\0x\\n' >names");
  CHECK(folder.output(program() + "cat-file store --batch <names") ==
        folder.output("git -C repo cat-file --batch <names"));
}

TEST_CASE("fermata-git pushes no name that is a branch and a tag", "[git_mem][program]") {
  const temp_folder folder;
  folder.run(
      "git init -q -b main repo && git -C repo commit -q --allow-empty -m 1 && "
      "git -C repo tag main && git init -q --bare to.git && " +
      program() + "clone repo --save store --also refs/");
  CHECK(told(folder, "push store to.git main:refs/heads/x") ==
        "fermata-git: \"main\" is a branch and a tag: say refs/heads/ or refs/tags/ before "
        "it\nstatus 1\n");
}

TEST_CASE("fermata-git needs little address space", "[git_mem][program]") {
#ifndef FERMATA_SANITIZED
  const temp_folder folder;
  folder.run(
      "git init -q -b main repo && git -C repo commit -q --allow-empty -m 1 && "
      "ulimit -v 800000 && " +
      program() + "clone repo --save store && " + program() + "fetch store repo");
  check_same(folder, "log store", "log");
#endif
}

TEST_CASE("fermata-git leaves nothing behind that a signal ends", "[git_mem][program]") {
  const temp_folder folder;
  folder.run("mkdir out && mkfifo began && printf 'echo >../began; exec sleep 60' >ssh");
  folder.write("ended", "GIT_SSH_COMMAND='sh ../ssh' " + program() +
                            "clone ssh://host/x --save store 2>said & read x <../began; "
                            "kill -TERM $!; wait $!; echo $?; cat said; ls");
  CHECK(folder.output("cd out && timeout 30 bash ../ended") == "143\nsaid\n");
}

TEST_CASE("fermata-git clone looks at where it is to save before it asks", "[git_mem][program]") {
  const temp_folder folder;
  folder.run("mkdir folder");
  CHECK(told(folder, "clone nowhere --save folder") ==
        "fermata-git: cannot write folder: it is no file\nstatus 1\n");
  CHECK_THAT(told(folder, "clone nowhere --save absent/store"),
             Catch::StartsWith("fermata-git: cannot make a file beside absent/store: "));
}

TEST_CASE("fermata-git writes files as the umask and the file that is there have it",
          "[git_mem][program]") {
  const temp_folder folder;
  folder.run("git init -q -b main repo && git -C repo commit -q --allow-empty -m 1");
  const std::string run = program();
  folder.run("umask 027 && " + run + "clone repo --save store && " + run + "export store out");
  CHECK(folder.output(
            "stat -c %a store out/config out/objects/pack/*.pack out/HEAD | tr '\\n' ' '") ==
        "640 640 440 640 ");
  folder.run("chmod 604 store && umask 077 && " + run + "fetch store repo");
  CHECK(folder.output("stat -c %a store") == "604\n");
  folder.run("mkdir d && ln -s d/real link && ln -s $PWD/link again && " + run +
             "clone repo --save again && " + run + "fetch link repo");
  CHECK(folder.output("stat -c %F link again d/real") ==
        "symbolic link\nsymbolic link\nregular file\n");
  CHECK(folder.output("ls d | wc -l") == "1\n");
  folder.run("mkfifo pipe");
  CHECK(told(folder, "clone repo --save pipe") ==
        "fermata-git: cannot write pipe: it is no file\nstatus 1\n");
  CHECK(folder.output("stat -c %F pipe") == "fifo\n");
  folder.run("ln -s loop loop");
  CHECK_THAT(told(folder, "clone repo --save loop"), Catch::EndsWith("status 1\n"));
}

TEST_CASE("fermata-git export leaves nothing of what it cannot make", "[git_mem][program]") {
  const temp_folder folder;
  folder.run(
      "git init -q -b main repo && git -C repo commit -q --allow-empty -m 1 && "
      "head -c 3000000 /dev/urandom > repo/large && git -C repo add large && "
      "git -C repo commit -q -m 2");
  folder.run(program() + "clone repo --save store && mkdir there");
  for (const std::string to : {"new", "there"}) {
    const std::string limited = folder.output("( ulimit -f 1000; " + program() + "export store " +
                                              to + " ) 2>&1; echo status $?");
    CHECK_THAT(limited, Catch::EndsWith("file too large (uv EFBIG)\nstatus 1\n"));
    folder.run(program() + "export store " + to + " && git -C " + to + " fsck --full --strict");
  }
}

TEST_CASE("fermata-git takes larger objects where it is told to", "[git_mem][program]") {
  const temp_folder folder;
  folder.run(
      "git init -q -b main repo && head -c 2000 /dev/urandom > repo/f && git -C repo add f && "
      "git -C repo commit -q -m 1 && git -C repo pack-objects --all --stdout -q </dev/null >pack");
  CHECK_THAT(told(folder, "clone repo --max-object 1k"), Catch::Contains("the limit is 1024"));
  CHECK_THAT(told(folder, "index-pack pack --max-object 1k"), Catch::Contains("the limit is 1024"));
  folder.run(program() + "clone repo --max-object 2k --save store");
  CHECK_THAT(told(folder, "fetch store repo --max-object 4g"), Catch::EndsWith("status 2\n"));
  folder.run(program() + "fetch store repo --max-object 4095m");
}

TEST_CASE("fermata-git log of what has no commits shows none, as git does", "[git_mem][program]") {
  const temp_folder folder;
  folder.run(
      "git init -q -b main repo && cd repo && echo 1 > f && git add f && git commit -q -m 1 && "
      "git tag blob HEAD:f && git tag -a -m t tree HEAD^{tree}");
  folder.run(program() + "clone repo --save store --also refs/");
  for (const std::string what : {"blob", "tree", "HEAD:f"}) {
    CHECK(told(folder, "log store " + what) == "status 0\n");
  }
  check_same(folder, "log store blob HEAD", "log blob HEAD");
  CHECK_THAT(told(folder, "log store none"), Catch::EndsWith("status 1\n"));
}

TEST_CASE("fermata-git fetch names the files that differ", "[git_mem][program]") {
  const temp_folder folder;
  folder.run(
      "git init -q -b main repo && cd repo && echo 1 > f && echo 1 > g && git add . && "
      "git commit -q -m 1");
  folder.run(program() +
             "clone repo --save store && cp store before && cd repo && rm f && "
             "echo 2 > g && echo 3 > h && git add -A . && git commit -q -m 2");
  CHECK_THAT(told(folder, "fetch store repo --name-status"),
             Catch::EndsWith(" forward\nD\tf\nM\tg\nA\th\nstatus 0\n"));
  folder.run("git -C repo commit -q --amend -m 3");
  CHECK_THAT(told(folder, "fetch store repo"), Catch::EndsWith(" rewritten\nstatus 0\n"));
  folder.run("mkdir a:b && git clone -q --bare repo a:b/c.git && git clone -q --bare repo a:c.git");
  CHECK_THAT(told(folder, "clone a:c.git"), Catch::EndsWith("status 0\n"));
}
