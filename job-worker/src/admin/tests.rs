//! Speaks HTTP over real sockets, as scrapers, probes and hostile clients do.

use std::future::pending;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, yield_now};

use super::*;
use crate::admin::listen::Accept;

/// Longest a test waits for what must come.
const DEADLINE: Duration = Duration::from_secs(10);

#[derive(Default)]
struct Sick(Mutex<Option<&'static str>>);

impl Health for Sick {
    fn live(&self) -> Result<(), String> {
        Ok(())
    }

    fn ready(&self) -> Result<(), String> {
        self.0.lock().unwrap().map_or(Ok(()), |reason| Err(reason.into()))
    }
}

struct Running {
    address: SocketAddr,
    health: Arc<Sick>,
    metrics: Arc<Metrics>,
    stop: oneshot::Sender<()>,
    server: JoinHandle<()>,
}

impl Running {
    async fn start(limits: Limits) -> Self {
        let metrics = Arc::new(Metrics::new());
        let health = Arc::new(Sick::default());
        let any_port = "127.0.0.1:0".parse().unwrap();
        let mut server = AdminServer::bind(any_port, metrics.clone(), health.clone()).await.unwrap();
        server.limits = limits;
        let address = server.local_addr();
        let (stop, stopped) = oneshot::channel();
        let server = tokio::spawn(server.run(async { stopped.await.unwrap_or_default() }));
        Self { address, health, metrics, stop, server }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends `head` and returns the whole answer, without its date.
    async fn ask(&self, head: &str) -> String {
        let mut stream = self.connect().await;
        stream.write_all(head.as_bytes()).await.unwrap();
        answer(&mut stream).await
    }

    async fn get(&self, path: &str) -> String {
        self.ask(&format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n")).await
    }
}

/// Reads until the server closes the connection.
async fn answer(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let read = stream.read_to_end(&mut bytes);
    // A connection that is cut may end in a reset: what came before it counts.
    let _ = Clock::system().timeout(DEADLINE, read).await.expect("the server answers and closes");
    let text = String::from_utf8(bytes).unwrap();
    text.split_inclusive("\r\n").filter(|line| !line.starts_with("date: ")).collect()
}

fn response(status: &str, content_type: &str, extra: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: {content_type}\r\ncache-control: no-store\r\n\
         x-content-type-options: nosniff\r\n{extra}connection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn plain(status: &str, body: &str) -> String {
    response(status, "text/plain; charset=utf-8", "", body)
}

#[tokio::test]
async fn each_route_answers() {
    let server = Running::start(Limits::default()).await;
    let metrics = response("200 OK", "text/plain; version=0.0.4", "", &server.metrics.render());
    assert_eq!(server.get("/metrics").await, metrics);
    assert_eq!(server.get("/livez").await, plain("200 OK", "ok\n"));
    assert_eq!(server.get("/readyz?verbose").await, plain("200 OK", "ok\n"));
    let missing = plain("404 Not Found", "not found; / lists what there is\n");
    assert_eq!(server.get("/metrics/").await, missing);
    assert_eq!(server.get("/%6divez").await, missing);
    let index = server.get("/").await;
    assert!(["/metrics", "/livez", "/readyz"].iter().all(|path| index.contains(path)), "{index}");
}

#[tokio::test]
async fn an_unready_worker_says_why_and_stays_alive() {
    let server = Running::start(Limits::default()).await;
    *server.health.0.lock().unwrap() = Some("draining");
    assert_eq!(server.get("/readyz").await, plain("503 Service Unavailable", "draining\n"));
    assert_eq!(server.get("/livez").await, plain("200 OK", "ok\n"));
}

#[tokio::test]
async fn head_has_no_body_and_other_methods_are_refused() {
    let server = Running::start(Limits::default()).await;
    let head = server.ask("HEAD /livez HTTP/1.1\r\nhost: test\r\n\r\n").await;
    assert_eq!(head, plain("200 OK", "ok\n").trim_end_matches("ok\n"));
    let body = "method not allowed; use GET or HEAD\n";
    let refused = response("405 Method Not Allowed", "text/plain; charset=utf-8", "allow: GET, HEAD\r\n", body);
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "BREW"] {
        let asked = server.ask(&format!("{method} /metrics HTTP/1.1\r\nhost: test\r\n\r\n")).await;
        assert_eq!(asked, refused, "{method}");
    }
}

#[tokio::test]
async fn an_announced_body_is_not_waited_for() {
    let server = Running::start(Limits::default()).await;
    let answer = server.ask("POST /livez HTTP/1.1\r\nhost: test\r\ncontent-length: 1000000000\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
}

#[tokio::test]
async fn a_large_head_is_refused() {
    let limits = Limits { head_bytes: 8192, ..Limits::default() };
    let server = Running::start(limits).await;
    let answer = server.ask(&format!("GET /livez HTTP/1.1\r\nhost: test\r\nx: {}\r\n\r\n", "y".repeat(8192))).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
}

#[tokio::test]
async fn a_slow_head_is_cut_while_others_are_served() {
    let limits = Limits { head_time: Duration::from_millis(300), connection_time: DEADLINE * 2, ..Limits::default() };
    let server = Running::start(limits).await;
    let mut silent = server.connect().await;
    let mut slow = server.connect().await;
    slow.write_all(b"GET /livez HTTP/1.1\r\nx-slow: ").await.unwrap();
    assert_eq!(server.get("/livez").await, plain("200 OK", "ok\n"));
    // Nothing but the timer of heads can end these two before the deadline.
    assert!(!answer(&mut silent).await.contains("200 OK"));
    assert!(!answer(&mut slow).await.contains("200 OK"));
    assert_eq!(server.get("/livez").await, plain("200 OK", "ok\n"));
}

#[tokio::test]
async fn a_connection_ends_when_its_time_is_up() {
    let limits = Limits { head_time: DEADLINE * 2, connection_time: Duration::from_millis(300), ..Limits::default() };
    let server = Running::start(limits).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET").await.unwrap();
    assert_eq!(answer(&mut stream).await, "");
}

#[tokio::test]
async fn connections_beyond_the_cap_wait_their_turn() {
    let limits = Limits { connections: 2, head_time: DEADLINE * 2, connection_time: DEADLINE * 2, ..Limits::default() };
    let server = Running::start(limits).await;
    let first = server.connect().await;
    let _second = server.connect().await;
    let mut third = server.connect().await;
    third.write_all(b"GET /livez HTTP/1.1\r\nhost: test\r\n\r\n").await.unwrap();
    let early = Clock::system().timeout(Duration::from_millis(100), third.readable()).await;
    assert!(early.is_none(), "the third is not served beside two");
    drop(first);
    assert_eq!(answer(&mut third).await, plain("200 OK", "ok\n"));
}

#[tokio::test]
async fn a_stop_ends_the_server_and_frees_the_port() {
    let limits = Limits { stop_time: Duration::from_millis(50), ..Limits::default() };
    let server = Running::start(limits).await;
    let mut silent = server.connect().await;
    server.stop.send(()).unwrap();
    Clock::system().timeout(DEADLINE, server.server).await.expect("it stops").unwrap();
    assert_eq!(answer(&mut silent).await, "");
    assert!(TcpStream::connect(server.address).await.is_err());
}

#[tokio::test]
async fn a_taken_port_is_named_with_the_fix() {
    let server = Running::start(Limits::default()).await;
    let address = server.address;
    let error = AdminServer::bind(address, server.metrics.clone(), server.health.clone()).await.err().unwrap();
    let expected = format!(
        "cannot listen on {address} for admin requests: another process uses port {}; \
         stop it or choose another port (0 takes any free one)",
        address.port()
    );
    assert_eq!(error.to_string(), expected);
    assert!(error.is_unavailable());
}

#[tokio::test]
async fn a_foreign_address_is_named_with_the_fix() {
    // TEST-NET-3 (RFC 5737): no machine has it.
    let address = "203.0.113.7:9100".parse().unwrap();
    let error = AdminServer::bind(address, Arc::default(), Arc::new(Sick::default())).await.err().unwrap().to_string();
    assert!(error.contains("203.0.113.7:9100") && error.contains("use 127.0.0.1"), "{error}");
}

/// Fails as a process without free file descriptors does.
#[derive(Clone, Default)]
struct Exhausted(Arc<AtomicUsize>);

impl Accept for Exhausted {
    async fn next(&self) -> io::Result<TcpStream> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Err(io::Error::from_raw_os_error(24))
    }
}

#[tokio::test]
async fn failed_accepts_pause_instead_of_spinning() {
    let clock = Clock::manual("2026-01-01T12:00:00Z".parse().unwrap());
    let accept = Exhausted::default();
    let routes = Arc::new(Routes::new(Arc::default(), Arc::new(Sick::default())));
    let limits = Limits::default();
    let server = tokio::spawn(listen::serve(accept.clone(), routes, limits, clock.clone(), pending()));
    let mut tries = Vec::new();
    for _ in 0..5 {
        for _ in 0..20 {
            yield_now().await;
        }
        tries.push(accept.0.load(Ordering::Relaxed));
        clock.advance(limits.accept_pause);
    }
    server.abort();
    assert_eq!(tries, [1, 2, 3, 4, 5]);
}
