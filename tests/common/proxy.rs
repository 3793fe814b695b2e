//! A line between a client and a server that is long, slow, or breaks.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

/// A port that leads to another one.
pub struct Proxy {
    pub port: u16,
    line: Arc<Line>,
}

#[derive(Default)]
struct Line {
    /// One way.
    delay_ms: AtomicU64,
    /// Bytes to the server until the line breaks; none below zero.
    left: AtomicI64,
    /// Nothing arrives any more, and nobody hears of it.
    is_silent: AtomicBool,
    bytes_per_second: AtomicU64,
    /// Bytes that came through, in both directions.
    passed: AtomicU64,
    cuts: AtomicU64,
    sockets: Mutex<Vec<TcpStream>>,
}

impl Proxy {
    /// Leads to `target` on this machine.
    pub fn to(target: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let line = Arc::new(Line { left: AtomicI64::new(-1), ..Line::default() });
        let shared = Arc::clone(&line);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(("127.0.0.1", target)) else { continue };
                for socket in [&client, &server] {
                    socket.set_nodelay(true).unwrap();
                    shared.sockets.lock().unwrap().push(socket.try_clone().unwrap());
                }
                carry(&shared, &client, &server, true);
                carry(&shared, &server, &client, false);
            }
        });
        Self { port, line }
    }

    /// From now on everything takes so long, one way.
    pub fn delay(&self, delay: Duration) {
        self.line.delay_ms.store(delay.as_millis() as u64, Ordering::SeqCst);
    }

    /// Breaks all connections once so many more bytes went to the server.
    pub fn cut_after(&self, bytes: i64) {
        self.line.left.store(bytes, Ordering::SeqCst);
    }

    /// How many bytes came through, in both directions.
    pub fn passed(&self) -> u64 {
        self.line.passed.load(Ordering::SeqCst)
    }

    /// How often the line has broken.
    pub fn cuts(&self) -> u64 {
        self.line.cuts.load(Ordering::SeqCst)
    }

    /// Breaks all connections.
    pub fn cut(&self) {
        self.line.cut();
    }

    /// Nothing arrives any more, or again.
    pub fn silence(&self, is_silent: bool) {
        self.line.is_silent.store(is_silent, Ordering::SeqCst);
    }

    /// No more than that passes in each direction.
    pub fn slow(&self, bytes_per_second: u64) {
        self.line.bytes_per_second.store(bytes_per_second, Ordering::SeqCst);
    }
}

impl Line {
    fn cut(&self) {
        self.cuts.fetch_add(1, Ordering::SeqCst);
        for socket in self.sockets.lock().unwrap().drain(..) {
            let _ = socket.shutdown(Shutdown::Both);
        }
    }

    /// Counts what goes to the server; false if the line breaks with it.
    fn lets_pass(&self, bytes: usize) -> bool {
        let before = self.left.load(Ordering::SeqCst);
        if before < 0 {
            return true;
        }
        let left = self.left.fetch_sub(bytes as i64, Ordering::SeqCst) - bytes as i64;
        if left <= 0 {
            self.left.store(-1, Ordering::SeqCst);
            self.cut();
        }
        left > 0
    }
}

fn carry(line: &Arc<Line>, from: &TcpStream, to: &TcpStream, is_up: bool) {
    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
    let (sender, arriving) = mpsc::channel::<(Instant, Vec<u8>)>();
    let reading = Arc::clone(line);
    std::thread::spawn(move || {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            if is_up && !reading.lets_pass(count) {
                return;
            }
            let rate = reading.bytes_per_second.load(Ordering::SeqCst);
            if rate > 0 {
                std::thread::sleep(Duration::from_secs_f64(count as f64 / rate as f64));
            }
            let delay = Duration::from_millis(reading.delay_ms.load(Ordering::SeqCst));
            if sender.send((Instant::now() + delay, buffer[..count].to_vec())).is_err() {
                return;
            }
        }
    });
    let writing = Arc::clone(line);
    std::thread::spawn(move || {
        for (due, bytes) in arriving {
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            while writing.is_silent.load(Ordering::SeqCst) {
                std::thread::sleep(Duration::from_millis(20));
            }
            if to.write_all(&bytes).is_err() {
                return;
            }
            writing.passed.fetch_add(bytes.len() as u64, Ordering::SeqCst);
        }
        let _ = to.shutdown(Shutdown::Write);
    });
}
