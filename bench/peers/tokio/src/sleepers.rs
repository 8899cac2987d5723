// SPDX-License-Identifier: MIT
//! c9: 100,000 tasks that sleep for an hour, held by their handles and ended by `abort`.

use crate::measure::{median, print, repeat, runtime};
use std::time::{Duration, Instant};

fn resident_bytes() -> f64 {
    let text = std::fs::read_to_string("/proc/self/statm").expect("statm");
    let pages: f64 = text.split(' ').nth(1).and_then(|w| w.parse().ok()).expect("pages");
    pages * 4096.0
}

pub fn sleepers() {
    const N: usize = 100_000;
    let rt = runtime();
    let (mut create, mut cancel, mut bytes) = (Vec::new(), Vec::new(), 0.0);
    repeat(|measures| {
        rt.block_on(async {
            let mut tasks: Vec<tokio::task::JoinHandle<()>> = Vec::with_capacity(N);
            let before = resident_bytes();
            let begun = Instant::now();
            for _ in 0..N {
                tasks.push(tokio::spawn(tokio::time::sleep(Duration::from_secs(3600))));
            }
            tokio::task::yield_now().await; // the others are polled once: their timers start
            let created = begun.elapsed().as_secs_f64() * 1e9 / N as f64;
            if bytes == 0.0 {
                bytes = (resident_bytes() - before) / N as f64;
            }
            let begun = Instant::now();
            for t in &tasks {
                t.abort();
            }
            for t in tasks {
                assert!(t.await.expect_err("cancelled").is_cancelled());
            }
            let cancelled = begun.elapsed().as_secs_f64() * 1e9 / N as f64;
            if measures {
                create.push(created);
                cancel.push(cancelled);
            }
        })
    });
    print("c9_create", "ns", median(create));
    print("c9_cancel", "ns", median(cancel));
    print("c9_bytes", "B", bytes);
}
