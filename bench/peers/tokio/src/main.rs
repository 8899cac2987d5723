// SPDX-License-Identifier: MIT
//! The cases of fermata-bench on Tokio's current-thread runtime, as its users write them.

mod hogs;
mod measure;
mod servers;
mod sleepers;
mod sort;
mod tasks;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let port = || words.get(1).and_then(|p| p.parse::<u16>().ok()).expect("a port");
    match words.first().map(String::as_str) {
        Some("list") => println!("c1\nc2\nc3\nc4\nc5\nc6\nc7\nc9\nc12\nc12m"),
        Some("c1") => tasks::settled(),
        Some("c2") => tasks::pending(),
        Some("c3") => tasks::pauses(),
        Some("c4") => sort::sort(),
        Some("c5") => tasks::join(),
        Some("c6") => tasks::queue(),
        Some("c7") => tasks::detach(),
        Some("c9") => sleepers::sleepers(),
        Some("c12") => hogs::hogs("c12", 1),
        Some("c12m") => hogs::hogs("c12m", 20),
        Some("serve-echo") => servers::echo(port()),
        Some("serve-http") => servers::http(port()),
        _ => {
            eprintln!("usage: peer-tokio list | <case> | serve-echo <port> | serve-http <port>");
            std::process::exit(2);
        }
    }
}
