// SPDX-License-Identifier: MIT
//! c12: a 1 ms ticker beside hogs that yield every 0.7 to 1.3 ms.

use crate::measure::{print, runtime};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

async fn hog(mut work: i64, mut seed: u64) {
    while work > 0 {
        seed = seed * 48271 % 2_147_483_647;
        let piece = work.min(700_000 + (seed % 600_000) as i64);
        let end = Instant::now() + Duration::from_nanos(piece as u64);
        while Instant::now() < end {}
        work -= piece;
        tokio::task::yield_now().await;
    }
}

pub fn hogs(prefix: &str, hogs: u64) {
    let seconds = std::env::var("HOG_SECONDS").map_or(10.0, |t| t.parse().expect("seconds"));
    let share = (seconds * 1e9) as i64 / hogs as i64;
    let late = Arc::new(Mutex::new(Vec::new()));
    let over = Arc::new(AtomicBool::new(false));
    let begun = Instant::now();
    runtime().block_on(async {
        let (log, ends) = (late.clone(), over.clone());
        let ticker = tokio::spawn(async move {
            let mut due = Instant::now() + Duration::from_millis(1);
            while !ends.load(Ordering::Relaxed) {
                if Instant::now() < due {
                    tokio::time::sleep_until(due.into()).await;
                }
                let us = (Instant::now() - due).as_secs_f64() * 1e6;
                log.lock().expect("no panic").push(us);
                due += Duration::from_millis(1);
            }
        });
        let mut set = tokio::task::JoinSet::new();
        for i in 0..hogs {
            set.spawn(hog(share, i + 1));
        }
        while set.join_next().await.is_some() {}
        over.store(true, Ordering::Relaxed);
        ticker.await.expect("no panic");
    });
    let wall = begun.elapsed().as_secs_f64();
    let mut us = late.lock().expect("no panic").clone();
    us.sort_by(f64::total_cmp);
    let at = |q: f64| us[((us.len() - 1) as f64 * q + 0.5) as usize];
    print(&format!("{prefix}_p50"), "us", at(0.5));
    print(&format!("{prefix}_p99"), "us", at(0.99));
    print(&format!("{prefix}_max"), "us", at(1.0));
    print(&format!("{prefix}_stretch"), "ratio", wall / seconds);
}
