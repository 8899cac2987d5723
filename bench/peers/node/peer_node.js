#!/usr/bin/env node
// SPDX-License-Identifier: MIT
// The cases of fermata-bench on Node, as its users write them.
'use strict';

const http = require('http');
const net = require('net');
const fs = require('fs');

const timing = 700;
const now = () => performance.now(); // ms
const print = (figure, unit, value) => console.log(`${figure} ${unit} ${Number(value.toPrecision(6))}`);
const median = of => of.sort((a, b) => a - b)[Math.floor(of.length / 2)];

async function repeat(round) {
  for (const [measures, time] of [[false, timing / 5], [true, timing]]) {
    const begun = now();
    do await round(measures); while (now() - begun < time);
  }
}

async function nsAnOperation(operations, batch) {
  const samples = [];
  await repeat(async measures => {
    const begun = now();
    await batch();
    if (measures) samples.push((now() - begun) * 1e6 / operations);
  });
  return median(samples);
}

async function settled() {
  const n = 5000;
  const one = Promise.resolve(1);
  print('c1_resolve_bind', 'ns', await nsAnOperation(n, async () => {
    let sum = 0;
    for (let i = 0; i < n; ++i) sum += await one;
    if (sum !== n) throw new Error('c1: every step counts one');
  }));
  print('c1_bind', 'ns', await nsAnOperation(1000, async () => {
    let last = Promise.resolve(0);
    for (let i = 0; i < 1000; ++i) last = last.then(v => v + 1);
    await last;
  }));
}

async function pending() {
  const atOnce = 64, rounds = 40;
  print('c2_pending_bind', 'ns', await nsAnOperation(atOnce * rounds, async () => {
    let sum = 0;
    for (let i = 0; i < rounds; ++i) {
      const settle = [];
      let last;
      for (let k = 0; k < atOnce; ++k) {
        last = new Promise(resolve => settle.push(resolve)).then(v => { sum += v; });
      }
      for (const resolve of settle) resolve(1);
      await last;
    }
    if (sum !== atOnce * rounds) throw new Error('c2: every promise counts one');
  }));
}

const turn = () => new Promise(resolve => setImmediate(resolve));

async function pauseOften(n) {
  for (let i = 0; i < n; ++i) await turn();
}

async function pauses() {
  const alone = 500, tasks = 1000, each = 20;
  print('c3_pause1', 'ns', await nsAnOperation(alone, () => pauseOften(alone)));
  print('c3_pause1000', 'ns', await nsAnOperation(tasks * each, () =>
    Promise.all(Array.from({ length: tasks }, () => pauseOften(each)))));
}

async function join() {
  const members = 1000;
  print('c5_join1000', 'ns', await nsAnOperation(members, async () => {
    const settle = [];
    const waiting = [];
    for (let i = 0; i < members; ++i) waiting.push(new Promise(resolve => settle.push(resolve)));
    const joined = Promise.all(waiting);
    for (const resolve of settle) resolve();
    await joined;
  }));
}

// A task is an async function that awaits a timeout which an AbortController ends.
async function sleepers() {
  const count = 100000;
  const create = [], cancel = [];
  let bytes = 0;
  const resident = () => 4096 * Number(fs.readFileSync('/proc/self/statm', 'utf8').split(' ')[1]);
  await repeat(async measures => {
    const ends = new Array(count).fill(null);
    const tasks = new Array(count).fill(null);
    const before = resident();
    let begun = now();
    const sleep = async i => new Promise(resolve => {
      const timer = setTimeout(resolve, 3600000);
      ends[i] = () => { clearTimeout(timer); resolve(); };
    });
    for (let i = 0; i < count; ++i) tasks[i] = sleep(i);
    const created = now() - begun;
    if (bytes === 0) bytes = (resident() - before) / count;
    begun = now();
    for (const end of ends) end();
    await Promise.all(tasks);
    if (!measures) return;
    create.push(created * 1e6 / count);
    cancel.push((now() - begun) * 1e6 / count);
  });
  print('c9_create', 'ns', median(create));
  print('c9_cancel', 'ns', median(cancel));
  print('c9_bytes', 'B', bytes);
}

async function hogs(prefix, count) {
  const seconds = Number(process.env.HOG_SECONDS || 10);
  let running = count;
  const late = [];
  const begun = now();
  const hog = async left => {
    while (left > 0) {
      const piece = Math.min(left, 0.7 + Math.random() * 0.6);
      for (const end = now() + piece; now() < end;);
      left -= piece;
      await turn();
    }
    --running;
  };
  const tick = async () => {
    for (let due = begun + 1; running > 0; ++due) {
      const wait = due - now();
      if (wait > 0) await new Promise(resolve => setTimeout(resolve, Math.ceil(wait)));
      late.push(Math.max(0, now() - due) * 1000);
    }
  };
  const ticker = tick();
  await Promise.all(Array.from({ length: count }, () => hog(seconds * 1000 / count)));
  const wall = (now() - begun) / 1000;
  await ticker;
  late.sort((a, b) => a - b);
  const at = q => late[Math.round((late.length - 1) * q)];
  print(`${prefix}_p50`, 'us', at(0.5));
  print(`${prefix}_p99`, 'us', at(0.99));
  print(`${prefix}_max`, 'us', at(1));
  print(`${prefix}_stretch`, 'ratio', wall / seconds);
}

function serveEcho(port) {
  net.createServer(client => {
    client.setNoDelay(true);
    client.on('error', () => client.destroy());
    client.on('data', bytes => client.write(bytes));
  }).listen(port, '127.0.0.1', 1024, () => console.log('ready'));
}

function serveHttp(port) {
  const oneK = 'k'.repeat(1024);
  http.createServer((request, response) => {
    const body = request.url === '/1k' ? oneK : 'Hello, World!';
    response.writeHead(200, { 'Content-Type': 'text/plain', 'Content-Length': body.length });
    response.end(body);
  }).listen(port, '127.0.0.1', 1024, () => console.log('ready'));
}

const cases = {
  c1: settled, c2: pending, c3: pauses, c5: join, c9: sleepers,
  c12: () => hogs('c12', 1), c12m: () => hogs('c12m', 20),
};
const [, , wanted, port] = process.argv;
if (wanted === 'list') console.log(Object.keys(cases).join('\n'));
else if (wanted === 'serve-echo') serveEcho(Number(port));
else if (wanted === 'serve-http') serveHttp(Number(port));
else if (Object.hasOwn(cases, wanted || '')) cases[wanted]();
else {
  console.error('usage: peer_node.js list | <case> | serve-echo <port> | serve-http <port>');
  process.exit(2);
}
