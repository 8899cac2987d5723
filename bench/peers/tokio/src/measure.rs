// SPDX-License-Identifier: MIT
//! Timing as fermata-bench does it: batches, and the median over them.

use std::time::{Duration, Instant};

pub const TIMING: Duration = Duration::from_millis(700);

pub fn print(figure: &str, unit: &str, value: f64) {
    println!("{figure} {unit} {value:.6}");
}

pub fn median(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    of[of.len() / 2]
}

/// Calls `round(measures)` until the time is over, first to warm up.
pub fn repeat(mut round: impl FnMut(bool)) {
    for (measures, time) in [(false, TIMING / 5), (true, TIMING)] {
        let begun = Instant::now();
        loop {
            round(measures);
            if begun.elapsed() >= time {
                break;
            }
        }
    }
}

pub fn ns_an_operation(operations: usize, mut batch: impl FnMut()) -> f64 {
    let mut samples = Vec::new();
    repeat(|measures| {
        let begun = Instant::now();
        batch();
        if measures {
            samples.push(begun.elapsed().as_secs_f64() * 1e9 / operations as f64);
        }
    });
    median(samples)
}

pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(2)
        .build()
        .expect("a runtime")
}
