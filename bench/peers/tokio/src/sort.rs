// SPDX-License-Identifier: MIT
//! c4: merge sort whose halves are joined futures, over the same sort as a plain function.

use crate::measure::{median, print, repeat, runtime};
use std::future::Future;
use std::pin::Pin;
use std::time::Instant;

fn halve(all: &[i32]) -> (Vec<i32>, Vec<i32>) {
    let (left, right) = all.split_at(all.len() / 2);
    (left.to_vec(), right.to_vec())
}

fn merge(left: &[i32], right: &[i32]) -> Vec<i32> {
    let mut merged = Vec::with_capacity(left.len() + right.len());
    let (mut i, mut k) = (0, 0);
    while i < left.len() && k < right.len() {
        if right[k] < left[i] {
            merged.push(right[k]);
            k += 1;
        } else {
            merged.push(left[i]);
            i += 1;
        }
    }
    merged.extend_from_slice(&left[i..]);
    merged.extend_from_slice(&right[k..]);
    merged
}

fn sort_plain(all: Vec<i32>) -> Vec<i32> {
    if all.len() < 2 {
        return all;
    }
    let (left, right) = halve(&all);
    merge(&sort_plain(left), &sort_plain(right))
}

fn sort_task(all: Vec<i32>, yields: bool) -> Pin<Box<dyn Future<Output = Vec<i32>>>> {
    Box::pin(async move {
        if all.len() < 2 {
            return all;
        }
        let (left, right) = halve(&all);
        let (left, right) = tokio::join!(sort_task(left, yields), sort_task(right, yields));
        if yields {
            tokio::task::yield_now().await;
        }
        merge(&left, &right)
    })
}

fn ratio(n: usize, yields: bool) -> f64 {
    let mut seed = 4711u64;
    let input: Vec<i32> = (0..n)
        .map(|_| {
            seed = seed * 48271 % 2_147_483_647;
            (seed % 1_000_000) as i32
        })
        .collect();
    let mut expected = input.clone();
    expected.sort_unstable();
    let times = (2000 / n).max(1);
    let rt = runtime();
    let (mut plain, mut tasks) = (Vec::new(), Vec::new());
    repeat(|measures| {
        let begun = Instant::now();
        let mut sorted = Vec::new();
        for _ in 0..times {
            sorted = sort_plain(input.clone());
        }
        let p = begun.elapsed().as_secs_f64();
        assert_eq!(sorted, expected);
        let begun = Instant::now();
        rt.block_on(async {
            for _ in 0..times {
                sorted = sort_task(input.clone(), yields).await;
            }
        });
        let t = begun.elapsed().as_secs_f64();
        assert_eq!(sorted, expected);
        if measures {
            plain.push(p);
            tasks.push(t);
        }
    });
    median(tasks) / median(plain)
}

pub fn sort() {
    for (prefix, yields) in [("c4_ratio", false), ("c4_ratioy", true)] {
        for (name, n) in [("10", 10), ("1000", 1000), ("100k", 100_000)] {
            print(&format!("{prefix}_{name}"), "ratio", ratio(n, yields));
        }
    }
}
