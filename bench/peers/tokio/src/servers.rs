// SPDX-License-Identifier: MIT
//! TCP echo on Tokio, HTTP on hyper, each on one thread.

use crate::measure::runtime;
use hyper::service::{make_service_fn, service_fn};
use hyper::{Body, Request, Response, Server};
use std::convert::Infallible;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

async fn talk(mut client: TcpStream) -> std::io::Result<()> {
    client.set_nodelay(true)?;
    let mut buffer = [0u8; 4096];
    loop {
        let n = client.read(&mut buffer).await?;
        if n == 0 {
            return Ok(());
        }
        client.write_all(&buffer[..n]).await?;
    }
}

pub fn echo(port: u16) {
    runtime().block_on(async {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.expect("a free port");
        println!("ready");
        loop {
            let (client, _) = listener.accept().await.expect("a client");
            tokio::spawn(talk(client));
        }
    })
}

async fn answer(request: Request<Body>) -> Result<Response<Body>, Infallible> {
    let body = match request.uri().path() {
        "/" => Body::from("Hello, World!"),
        "/1k" => Body::from(vec![b'k'; 1024]),
        _ => return Ok(Response::builder().status(404).body(Body::empty()).expect("a response")),
    };
    let response = Response::builder().header("Content-Type", "text/plain").body(body);
    Ok(response.expect("a response"))
}

pub fn http(port: u16) {
    runtime().block_on(async {
        let make = make_service_fn(|_| async { Ok::<_, Infallible>(service_fn(answer)) });
        let server = Server::bind(&([127, 0, 0, 1], port).into()).tcp_nodelay(true).serve(make);
        println!("ready");
        server.await.expect("a server");
    })
}
