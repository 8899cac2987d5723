# What Doxygen 1.9 reads of a header: the licence line begins the page of the file, the first
# paragraph of a comment is its summary, labels such as `/// Pauses: never.` get titles. What other
# libraries' templates are specialised for is left out: Doxygen does not know them.
FNR == 1 && /SPDX-License-Identifier/ { print "/// \\file"; inside = 0; next }
/^template <>$/ && !foreign { held = 1; next }
/^struct Catch::/ { foreign = 1 }
held { print foreign ? "" : "template <>"; held = 0 }
foreign { if (/^}/) foreign = 0; print ""; next }
/^ *\/\/\/ / {
  at = index($0, "///")
  code = substr($0, 1, at - 1)
  text = substr($0, at + 3)
  if (match(text, /^ +[A-Z][a-z]+: +/) && text !~ /^ +(False|True|Note): /) {
    name = substr(text, 1, RLENGTH)
    gsub(/[^A-Za-z]/, "", name)
    text = " \\label{" name "} " substr(text, RLENGTH + 1)
  } else if (!inside) {
    text = " \\brief" text
  }
  inside = 1
  print code "///" text
  next
}
{ inside = /^ *\/\/\/$/ && inside; print }
