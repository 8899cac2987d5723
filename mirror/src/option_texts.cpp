// SPDX-License-Identifier: MIT
// What people read about the options, made from the table: help, manual, completions.

#include "option_table.hpp"

#include <fermata/loop/error.hpp>
#include <fermata/mirror/options.hpp>

#include <fmt/format.h>

#include <cctype>

namespace fermata::mirror {
namespace {

constexpr std::string_view usage = "usage: fermata-mirror --remote <url[#branch]> [options]\n";
constexpr std::string_view what =
    "Serves an opam repository over HTTP, also while it is being cloned and indexed.";
constexpr std::string_view then =
    "\nThen: opam init --bare -n http://127.0.0.1:8080, or look at "
    "http://127.0.0.1:8080/status\n";
constexpr std::string_view exits =
    "\nexit status: 0 stopped by a signal, 1 cannot start or serve, 2 wrong usage\n";

std::string preset(const option_row& r) {
  if (r.kind == value_kind::flag) return {};
  const auto texts = r.get(mirror_options());
  return texts.empty() ? std::string() : texts.front();
}

std::string line(std::string_view name,
                 std::string_view value,
                 std::string_view help,
                 const std::string& usual) {
  const std::string left = fmt::format("--{}{}{}", name, value.empty() ? "" : " ", value);
  return fmt::format("  {:<32}  {}{}\n", left, help, usual.empty() ? "" : "  [" + usual + "]");
}

std::string lines(bool all) {
  std::string text;
  std::string_view section;
  for (const option_row& r : option_table()) {
    if (!all && !r.is_common) continue;
    if (all && r.section != section) {
      section = r.section;
      text += fmt::format("\n{}:\n", section);
    }
    text += line(r.name, r.value, r.help, preset(r));
  }
  if (all) text += "\nThe program:\n";
  for (const action_row& r : action_table()) {
    if (all || r.is_common) text += line(r.name, r.value, r.help, {});
  }
  return text;
}

// A text as man(7) takes it.
std::string manual_text(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else {
      out += c;
    }
  }
  return out;
}

std::string manual_entry(std::string_view name,
                         std::string_view value,
                         std::string_view help,
                         const std::string& usual) {
  std::string text = fmt::format(".TP\n.BI {}", manual_text("--" + std::string(name)));
  if (!value.empty()) text += fmt::format(" \" {}\"", manual_text(value));
  std::string sentence(help);
  sentence.front() = static_cast<char>(std::toupper(static_cast<unsigned char>(sentence.front())));
  text += "\n" + manual_text(sentence) + ".";
  if (!usual.empty()) text += " Default: " + manual_text(usual) + ".";
  return text + "\n";
}

constexpr std::string_view manual_end = R"(.SH FILES
.TP
.I /etc/fermata\-mirror/fermata\-mirror.toml
What the systemd unit of the Debian package reads. Keys are the names of the options.
.SH SIGNALS
SIGINT and SIGTERM end the service: answers that have begun are finished.
SIGHUP opens the file of
.B \-\-access\-log
anew, for logrotate.
.SH ENVIRONMENT
.TP
.B FERMATA_UPDATE_SECRET
The secret of
.BR update ,
where no
.B \-\-update\-secret\-file
is given.
.TP
.BR LISTEN_FDS ", " LISTEN_PID
Sockets of systemd, which are served in place of
.BR \-\-listen .
.TP
.BR NOTIFY_SOCKET ", " WATCHDOG_USEC
Where systemd is told that the service is ready and lives.
.SH EXIT STATUS
0 stopped by a signal, 1 cannot start or serve, 2 wrong usage.
.SH SEE ALSO
.BR opam (1),
.BR fermata\-probe (1)
)";

std::string option_words() {
  std::string words;
  for (const std::string& name : option_names()) words += (words.empty() ? "--" : " --") + name;
  return words;
}

// Which names take files or folders.
bool takes_path(std::string_view value) { return value == "<file>" || value == "<folder>"; }

std::string joined_names(bool (*chosen)(std::string_view), std::string_view between) {
  std::string words;
  const auto take = [&](std::string_view name, std::string_view value) {
    if (chosen(value))
      words += (words.empty() ? "--" : std::string(between) + "--") + std::string(name);
  };
  for (const option_row& r : option_table()) take(r.name, r.value);
  for (const action_row& r : action_table()) take(r.name, r.value);
  return words;
}

std::string bash_completion() {
  return fmt::format(
      R"(# bash completion for fermata-mirror
_fermata_mirror() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}}
  case $before in
    {}) COMPREPLY=($(compgen -f -- "$word")); return ;;
    --log-format) COMPREPLY=($(compgen -W "text json" -- "$word")); return ;;
    --log-level) COMPREPLY=($(compgen -W "error warn info debug" -- "$word")); return ;;
    --policy) COMPREPLY=($(compgen -W "budget=500 greedy each_bind quanta=16 always" -- "$word"))
      return ;;
    --print-completion) COMPREPLY=($(compgen -W "bash zsh fish" -- "$word")); return ;;
    {}) return ;;
  esac
  COMPREPLY=($(compgen -W "{}" -- "$word"))
}}
complete -o filenames -F _fermata_mirror fermata-mirror
)",
      joined_names(takes_path, "|"),
      joined_names([](std::string_view v) { return !v.empty() && !takes_path(v); }, "|"),
      option_words());
}

std::string shell_quoted(std::string_view text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

std::string zsh_line(std::string_view name,
                     std::string_view value,
                     std::string_view help,
                     bool repeats) {
  std::string text;
  for (const char c : help) {
    if (c == '[' || c == ']' || c == ':') text += '\\';
    text += c;
  }
  std::string spec = fmt::format("{}--{}[{}]", repeats ? "*" : "", name, text);
  if (!value.empty()) {
    std::string message;
    for (const char c : value) message += c == ':' ? std::string("\\:") : std::string(1, c);
    spec += ":" + message + ":" + (takes_path(value) ? "_files" : " ");
  }
  return "  " + shell_quoted(spec) + " \\\n";
}

std::string zsh_completion() {
  std::string text = "#compdef fermata-mirror\n_arguments \\\n";
  for (const option_row& r : option_table()) {
    text += zsh_line(r.name, r.value, r.help, r.kind == value_kind::list);
  }
  for (const action_row& r : action_table()) text += zsh_line(r.name, r.value, r.help, false);
  text.erase(text.size() - 3);  // the last line goes on nowhere
  return text + "\n";
}

std::string fish_line(std::string_view name, std::string_view value, std::string_view help) {
  const std::string_view wants = value.empty() ? "" : takes_path(value) ? " -r -F" : " -x";
  return fmt::format("complete -c fermata-mirror -l {}{} -d {}\n", name, wants, shell_quoted(help));
}

std::string fish_completion() {
  std::string text = "complete -c fermata-mirror -f\n";
  for (const option_row& r : option_table()) text += fish_line(r.name, r.value, r.help);
  for (const action_row& r : action_table()) text += fish_line(r.name, r.value, r.help);
  return text;
}

}  // namespace

std::string help_text() {
  return fmt::format("{}\n{}\n\n{}{}{}", usage, what, lines(false), then, exits);
}

std::string full_help_text() {
  return fmt::format("{}\n{}\n{}{}", usage, what, lines(true), exits);
}

std::string manual_page(std::string_view version) {
  std::string text = fmt::format(
      ".TH FERMATA\\-MIRROR 1 \"\" \"fermata {}\"\n.SH NAME\n"
      "fermata\\-mirror \\- serve an opam repository over HTTP\n.SH SYNOPSIS\n"
      ".B fermata\\-mirror\n.B \\-\\-remote\n.I url\n.RI [ options ]\n.SH DESCRIPTION\n{}\n"
      "Durations are written as 500ms, 10s, 5min, 1h or 7d, sizes as 64KiB, 10MB or 2GiB. "
      "An option without a value takes one all the same: \\-\\-quiet=false wins over a file.\n",
      version, manual_text(what));
  std::string_view section;
  for (const option_row& r : option_table()) {
    if (r.section != section) {
      section = r.section;
      std::string heading(section);
      for (char& c : heading) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
      text += ".SH \"" + heading + "\"\n";
    }
    text += manual_entry(r.name, r.value, r.help, preset(r));
    if (r.kind == value_kind::list) text += "May be given several times.\n";
  }
  text += ".SH \"THE PROGRAM\"\n";
  for (const action_row& r : action_table()) text += manual_entry(r.name, r.value, r.help, {});
  return text + std::string(manual_end);
}

std::string completion_script(std::string_view shell) {
  if (shell == "bash") return bash_completion();
  if (shell == "zsh") return zsh_completion();
  if (shell == "fish") return fish_completion();
  throw contract_error("--print-completion " + std::string(shell) + " is none of bash, zsh, fish");
}

std::vector<std::string> option_names() {
  std::vector<std::string> names;
  for (const option_row& r : option_table()) names.emplace_back(r.name);
  for (const action_row& r : action_table()) names.emplace_back(r.name);
  return names;
}

}  // namespace fermata::mirror
