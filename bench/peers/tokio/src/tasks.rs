// SPDX-License-Identifier: MIT
//! c1, c2, c3, c5, c6 and c7.

use crate::measure::{ns_an_operation, print, runtime};
use futures_util::future::FutureExt;
use std::future::Future;
use std::hint::black_box;
use std::pin::Pin;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

async fn one(i: u64) -> u64 {
    black_box(i)
}

/// As libraries hand futures on, whose type the caller does not know.
fn boxed(i: u64) -> Pin<Box<dyn Future<Output = u64>>> {
    Box::pin(one(i))
}

pub fn settled() {
    const N: usize = 20_000;
    let rt = runtime();
    let inlined = ns_an_operation(N, || {
        rt.block_on(async {
            let mut sum = 0;
            for _ in 0..N {
                sum += one(1).await;
            }
            assert_eq!(sum, N as u64);
        })
    });
    print("c1_inlined", "ns", inlined);
    let opaque = ns_an_operation(N, || {
        rt.block_on(async {
            let mut sum = 0;
            for _ in 0..N {
                sum += boxed(1).await;
            }
            assert_eq!(sum, N as u64);
        })
    });
    print("c1_resolve_bind", "ns", opaque);
    let shared = ns_an_operation(N, || {
        rt.block_on(async {
            let settled = boxed(1).shared();
            assert_eq!(settled.clone().await, 1);
            let mut sum = 0;
            for _ in 0..N {
                sum += settled.clone().await;
            }
            assert_eq!(sum, N as u64);
        })
    });
    print("c1_shared", "ns", shared);
    let fresh = ns_an_operation(N, || {
        rt.block_on(async {
            let mut sum = 0;
            for _ in 0..N {
                let (send, receive) = oneshot::channel();
                send.send(1u64).expect("a receiver");
                sum += receive.await.expect("a value");
            }
            assert_eq!(sum, N as u64);
        })
    });
    print("c1_fresh", "ns", fresh);
}

pub fn pending() {
    const AT_ONCE: usize = 64;
    const ROUNDS: usize = 40;
    let rt = runtime();
    let ns = ns_an_operation(AT_ONCE * ROUNDS, || {
        rt.block_on(async {
            let mut settle = Vec::with_capacity(AT_ONCE);
            let mut waiting = Vec::with_capacity(AT_ONCE);
            let mut sum = 0;
            for _ in 0..ROUNDS {
                for _ in 0..AT_ONCE {
                    let (send, receive) = oneshot::channel::<u64>();
                    settle.push(send);
                    waiting.push(receive);
                }
                let resolver = async {
                    for s in settle.drain(..) {
                        s.send(1).expect("a receiver");
                    }
                };
                let waiter = async {
                    for w in waiting.drain(..) {
                        sum += w.await.expect("a value");
                    }
                };
                tokio::join!(waiter, resolver);
            }
            assert_eq!(sum, (AT_ONCE * ROUNDS) as u64);
        })
    });
    print("c2_pending_await_one", "ns", ns);
    // As a bind does: what goes on is a thing of its own, a task for each promise.
    let local = tokio::task::LocalSet::new();
    let ns = ns_an_operation(AT_ONCE * ROUNDS, || {
        local.block_on(&rt, async {
            let mut settle = Vec::with_capacity(AT_ONCE);
            for _ in 0..ROUNDS {
                let mut last = None;
                for _ in 0..AT_ONCE {
                    let (send, receive) = oneshot::channel::<u64>();
                    settle.push(send);
                    last = Some(tokio::task::spawn_local(async move { receive.await.unwrap() + 1 }));
                }
                for s in settle.drain(..) {
                    s.send(1).expect("a receiver");
                }
                assert_eq!(last.unwrap().await.unwrap(), 2);
            }
        })
    });
    print("c2_pending_bind", "ns", ns);
}

async fn pause_often(n: usize) {
    for _ in 0..n {
        tokio::task::yield_now().await;
    }
}

pub fn pauses() {
    const ALONE: usize = 1000;
    const TASKS: usize = 1000;
    const EACH: usize = 50;
    // event_interval(1): I/O is looked at at each yield, as the case asks; the default is 61.
    let each = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .event_interval(1)
        .build()
        .expect("a runtime");
    let ns = ns_an_operation(ALONE, || {
        each.block_on(async { tokio::spawn(pause_often(ALONE)).await.expect("no panic") })
    });
    print("c3_pause1", "ns", ns);
    let rt = runtime();
    let ns = ns_an_operation(TASKS * EACH, || {
        rt.block_on(async {
            let mut set = JoinSet::new();
            for _ in 0..TASKS {
                set.spawn(pause_often(EACH));
            }
            while set.join_next().await.is_some() {}
        })
    });
    print("c3_pause1000", "ns", ns);
}

pub fn join() {
    const MEMBERS: usize = 1000;
    const ROUNDS: usize = 2;
    let rt = runtime();
    let ns = ns_an_operation(MEMBERS * ROUNDS, || {
        rt.block_on(async {
            for _ in 0..ROUNDS {
                let mut settle = Vec::with_capacity(MEMBERS);
                let mut waiting = Vec::with_capacity(MEMBERS);
                for _ in 0..MEMBERS {
                    let (send, receive) = oneshot::channel::<()>();
                    settle.push(send);
                    waiting.push(receive);
                }
                let joined = futures_util::future::join_all(waiting);
                let resolver = async {
                    for s in settle.drain(..) {
                        s.send(()).expect("a receiver");
                    }
                };
                tokio::join!(joined, resolver);
            }
        })
    });
    print("c5_join1000", "ns", ns);
}

pub fn queue() {
    const ITEMS: u64 = 2000;
    let rt = runtime();
    for (name, capacity) in [("c6_q1", 1), ("c6_q64", 64)] {
        let ns = ns_an_operation(ITEMS as usize, || {
            rt.block_on(async {
                let (send, mut receive) = mpsc::channel(capacity);
                let producer = tokio::spawn(async move {
                    for i in 0..ITEMS {
                        send.send(i).await.expect("a receiver");
                    }
                });
                let mut sum = 0;
                while let Some(i) = receive.recv().await {
                    sum += i;
                }
                producer.await.expect("no panic");
                assert_eq!(sum, ITEMS * (ITEMS - 1) / 2);
            })
        });
        print(name, "ns", ns);
    }
}

async fn detach_in_turn(jobs: u64) -> u64 {
    let mut x = 0;
    for _ in 0..jobs {
        let from = x;
        x = tokio::task::spawn_blocking(move || black_box(from) + 1).await.expect("no panic");
    }
    x
}

pub fn detach() {
    const ALONE: u64 = 200;
    const LANES: usize = 64;
    const EACH: u64 = 200;
    let rt = runtime();
    let ns = ns_an_operation(ALONE as usize, || {
        assert_eq!(rt.block_on(detach_in_turn(ALONE)), ALONE);
    });
    print("c7_lat", "us", ns / 1e3);
    let ns = ns_an_operation(LANES * EACH as usize, || {
        rt.block_on(async {
            let mut set = JoinSet::new();
            for _ in 0..LANES {
                set.spawn(detach_in_turn(EACH));
            }
            while set.join_next().await.is_some() {}
        })
    });
    print("c7_pipe64", "jobs/s", 1e9 / ns);
}
