//! One connection to a server, and every wait on it.
//!
//! libssh2 never blocks here: it is called again and again, and in between the socket is waited for in short
//! pieces. So no wait is without an end, and a job that is to stop is noticed in all of them. Several files may
//! be open on one connection; each call has it for itself until it is done, since libssh2 must not begin a
//! call while another one is half done. A write is the exception: it comes back as soon as the server has
//! acknowledged anything, and may have left half a message behind, where the server's window was full. So what was
//! told of a file is settled before anything else is said.

use std::io;
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use ssh2::{BlockDirections, Session, Sftp};

use super::fault::{Fault, would_block};
use super::outgoing::Outgoing;
use super::proxy::{Guide, Proxy, Target};
use crate::engine::job::Job;
use crate::engine::storage::{StorageError, StorageErrorKind, StorageResult};

/// How long a wait lasts before it is looked whether the job is to stop, in milliseconds.
const POLL_MS: u16 = 100;

/// What an operation still has once the job is to stop. So what is left to be put in order is, if the
/// server answers as usual.
const LAST_WORDS: Duration = Duration::from_millis(900);

/// Closing what is open when a connection is given up must not take long, in milliseconds.
const FAREWELL_MS: u32 = 3_000;

/// The time limits of a connection.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// For reaching the server.
    pub connect: Duration,
    /// For a server that says nothing at all, not even to the question whether it is there.
    pub silence: Duration,
    /// For one operation, even if the server shows that it is there.
    pub patience: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(20),
            silence: Duration::from_secs(30),
            patience: Duration::from_secs(300),
        }
    }
}

/// A session that nobody has signed in to yet.
pub struct Line {
    pub session: Session,
    socket: Socket,
    times: Times,
    job: Job,
}

/// What carries a connection.
enum Socket {
    Direct(TcpStream),
    /// The end of a program that leads to the server.
    Guided(UnixStream, Guide),
}

impl Socket {
    fn shut_down(&self) -> io::Result<()> {
        match self {
            Self::Direct(stream) => stream.shutdown(Shutdown::Both),
            Self::Guided(stream, _) => stream.shutdown(Shutdown::Both),
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Direct(stream) => stream.as_fd(),
            Self::Guided(stream, _) => stream.as_fd(),
        }
    }
}

impl Line {
    /// Reaches the server. Nothing is said yet.
    pub fn reach(host: &str, port: u16, times: Times, job: &Job) -> Result<Self, io::Error> {
        let stream = connect(host.to_owned(), port, times.connect, job)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let mut session = Session::new()?;
        session.set_tcp_stream(stream.try_clone()?);
        Ok(Self::begin(session, Socket::Direct(stream), times, job))
    }

    /// The same by way of a program, which will say itself when it cannot reach the server.
    pub fn by_way_of(proxy: &Proxy, target: &Target<'_>, times: Times, job: &Job) -> Result<Self, io::Error> {
        let (stream, guide) = proxy.start(target)?;
        stream.set_nonblocking(true)?;
        let mut session = Session::new()?;
        session.set_tcp_stream(stream.try_clone()?);
        Ok(Self::begin(session, Socket::Guided(stream, guide), times, job))
    }

    fn begin(session: Session, socket: Socket, times: Times, job: &Job) -> Self {
        session.set_blocking(false);
        session.set_timeout(FAREWELL_MS);
        session.set_keepalive(true, 1);
        Self { session, socket, times, job: job.clone() }
    }

    /// What a program on the way said when the line ended.
    pub fn last_words(&mut self) -> Option<String> {
        match &mut self.socket {
            Socket::Direct(_) => None,
            Socket::Guided(_, guide) => guide.last_words(),
        }
    }

    /// Calls until it is done.
    pub fn run<T>(&self, mut call: impl FnMut(&Session) -> Result<T, ssh2::Error>) -> Result<T, Fault> {
        let mut wait = Wait::begin(&self.socket, self.times, &self.job);
        loop {
            match call(&self.session) {
                Err(error) if would_block(&error) => wait.for_more(&self.session)?,
                result => return Ok(result?),
            }
        }
    }

    /// Says hello. Afterwards the server's key is known.
    pub fn shake_hands(&mut self) -> Result<(), Fault> {
        let mut session = self.session.clone();
        self.run(move |_| session.handshake())
    }

    /// Begins SFTP for who has signed in.
    pub fn into_connection(self) -> Result<Connection, Fault> {
        let sftp = self.run(Session::sftp)?;
        let Self { session, socket, times, job } = self;
        let live = Mutex::new(Live { session, sftp, unsettled: None });
        Ok(Connection { live, is_broken: AtomicBool::new(false), socket, times, job })
    }
}

/// Looks the host up and connects, on a thread of its own: neither can be interrupted.
fn connect(host: String, port: u16, limit: Duration, job: &Job) -> io::Result<TcpStream> {
    let (sender, answer) = mpsc::channel();
    let work = move || {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name of the server is not known");
        let addresses = match (host.as_str(), port).to_socket_addrs() {
            Ok(addresses) => addresses,
            Err(error) => {
                let _ = sender.send(Err(io::Error::new(io::ErrorKind::AddrNotAvailable, error)));
                return;
            }
        };
        for address in addresses {
            match TcpStream::connect_timeout(&address, limit) {
                Ok(socket) => {
                    let _ = sender.send(Ok(socket));
                    return;
                }
                Err(error) => last = error,
            }
        }
        let _ = sender.send(Err(last));
    };
    std::thread::Builder::new().name("souvenir-connect".to_owned()).spawn(work)?;
    let begun = Instant::now();
    loop {
        match answer.recv_timeout(Duration::from_millis(POLL_MS.into())) {
            Ok(result) => return result,
            Err(mpsc::RecvTimeoutError::Disconnected) => return Err(io::ErrorKind::HostUnreachable.into()),
            Err(mpsc::RecvTimeoutError::Timeout) => {}
        }
        if job.control().cancelled().is_some() && begun.elapsed() > LAST_WORDS {
            return Err(io::ErrorKind::Interrupted.into());
        }
        if begun.elapsed() > limit {
            return Err(io::ErrorKind::TimedOut.into());
        }
    }
}

/// A wait for one call.
struct Wait<'a> {
    socket: &'a Socket,
    times: Times,
    job: &'a Job,
    begun: Instant,
    heard: Instant,
    asked: Instant,
    cancelled: Option<Instant>,
}

impl<'a> Wait<'a> {
    fn begin(socket: &'a Socket, times: Times, job: &'a Job) -> Self {
        let now = Instant::now();
        Self { socket, times, job, begun: now, heard: now, asked: now, cancelled: None }
    }

    /// Waits for another call of the same work: what has come so far shows that it goes on. A cancel counts from the
    /// first one on.
    fn begin_again(&mut self) {
        self.begun = Instant::now();
    }

    /// Waits until there is something to do for the call, a moment at most.
    fn for_more(&mut self, session: &Session) -> Result<(), Fault> {
        let directions = session.block_directions();
        let writes = matches!(directions, BlockDirections::Outbound | BlockDirections::Both);
        let mut events = PollFlags::POLLIN;
        events.set(PollFlags::POLLOUT, writes);
        let mut poll_fds = [PollFd::new(self.socket.as_fd(), events)];
        let is_ready = poll(&mut poll_fds, PollTimeout::from(POLL_MS)).is_ok_and(|count| count > 0);
        let now = Instant::now();
        if is_ready {
            self.heard = now;
        }
        if let Some(reason) = self.job.control().cancelled()
            && now - *self.cancelled.get_or_insert(now) >= LAST_WORDS
        {
            return Err(Fault::Cancelled(reason));
        }
        if now - self.heard >= self.times.silence || now - self.begun >= self.times.patience {
            return Err(Fault::Silence);
        }
        // Something half sent must be sent to its end before anything else.
        let quiet = self.times.silence / 3;
        if !writes && now - self.heard >= quiet && now - self.asked >= quiet {
            self.asked = now;
            session.keepalive_send()?;
        }
        Ok(())
    }
}

/// What is used by one call at a time.
pub struct Live {
    pub session: Session,
    pub sftp: Sftp,
    /// The file of which half a message may have been sent.
    unsettled: Option<Sending>,
}

/// A file that is being sent.
#[derive(Clone)]
struct Sending {
    file: OpenFile,
    outgoing: Arc<Mutex<Outgoing>>,
}

impl Sending {
    /// Makes one call for it.
    fn step(
        &self,
        call: impl FnOnce(&mut Outgoing, &mut ssh2::File) -> Result<(), ssh2::Error>,
    ) -> Result<(), ssh2::Error> {
        call(&mut lock(&self.outgoing), &mut lock(&self.file))
    }
}

/// A connection that somebody has signed in to.
pub struct Connection {
    live: Mutex<Live>,
    is_broken: AtomicBool,
    socket: Socket,
    times: Times,
    job: Job,
}

impl Connection {
    /// Calls until it is done. If it fails for another reason than that the server refuses, the connection
    /// is of no more use.
    pub fn run<T>(&self, call: impl FnMut(&Live) -> Result<T, ssh2::Error>) -> Result<T, Fault> {
        let mut live = lock(&self.live);
        self.settle(&mut live)?;
        let result = self.repeat(&live, &mut self.wait(), call);
        if result.as_ref().is_err_and(Fault::breaks_the_connection) {
            self.give_up();
        }
        result
    }

    /// Tells of all that is kept of a file, and waits until the server has acknowledged some of it. If that fails,
    /// the connection is of no more use: libssh2 forgets what it has sent half of.
    fn send(&self, sending: &Sending) -> Result<(), Fault> {
        let mut live = lock(&self.live);
        if !live.unsettled.as_ref().is_some_and(|other| Arc::ptr_eq(&other.file, &sending.file)) {
            self.settle(&mut live)?;
            live.unsettled = Some(sending.clone());
        }
        let result = self.repeat(&live, &mut self.wait(), |live| {
            sending.step(|bytes, file| bytes.send(file, &live.session))
        });
        if result.is_err() {
            self.give_up();
        }
        result
    }

    /// Waits until nothing is half sent. What the server has against the file is for who sends it: they will find
    /// the connection broken, send again on another one, and hear it there.
    fn settle(&self, live: &mut Live) -> Result<(), Fault> {
        if self.is_broken() {
            return Err(Fault::Silence);
        }
        let Some(sending) = live.unsettled.take() else { return Ok(()) };
        let mut wait = self.wait();
        while !lock(&sending.outgoing).is_settled() {
            let step = |live: &Live| sending.step(|bytes, file| bytes.settle(file, &live.session));
            wait.begin_again();
            if let Err(fault) = self.repeat(live, &mut wait, step) {
                self.give_up();
                return Err(match fault {
                    Fault::Cancelled(_) => fault,
                    Fault::Ssh(_) | Fault::Silence => Fault::Silence,
                });
            }
        }
        Ok(())
    }

    fn wait(&self) -> Wait<'_> {
        Wait::begin(&self.socket, self.times, &self.job)
    }

    fn repeat<T>(
        &self,
        live: &Live,
        wait: &mut Wait<'_>,
        mut call: impl FnMut(&Live) -> Result<T, ssh2::Error>,
    ) -> Result<T, Fault> {
        loop {
            match call(live) {
                Err(error) if would_block(&error) => wait.for_more(&live.session)?,
                result => return Ok(result?),
            }
        }
    }

    /// Whether nothing more can come of it.
    pub fn is_broken(&self) -> bool {
        self.is_broken.load(Ordering::Acquire)
    }

    /// From now on everything on it fails at once.
    pub fn give_up(&self) {
        self.is_broken.store(true, Ordering::Release);
        // It fails if the other side was quicker.
        let _ = self.socket.shut_down();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

type OpenFile = Arc<Mutex<ssh2::File>>;

/// A file or folder that is open on a connection.
pub struct Handle {
    connection: Arc<Connection>,
    file: Option<OpenFile>,
}

impl Handle {
    /// Opens one.
    pub fn open(
        connection: Arc<Connection>,
        mut call: impl FnMut(&Sftp) -> Result<ssh2::File, ssh2::Error>,
    ) -> Result<Self, Fault> {
        let file = connection.run(|live| call(&live.sftp))?;
        Ok(Self { connection, file: Some(Arc::new(Mutex::new(file))) })
    }

    /// Calls until it is done.
    pub fn run<T>(
        &mut self,
        mut call: impl FnMut(&mut ssh2::File, &Session) -> Result<T, ssh2::Error>,
    ) -> Result<T, Fault> {
        let Some(file) = &self.file else { return Err(Fault::Silence) };
        self.connection.run(|live| call(&mut lock(file), &live.session))
    }

    /// Tells of all that is kept of the file, and waits until the server has acknowledged some of it.
    pub fn send(&mut self, outgoing: &Arc<Mutex<Outgoing>>) -> Result<(), Fault> {
        let Some(file) = &self.file else { return Err(Fault::Silence) };
        self.connection.send(&Sending { file: Arc::clone(file), outgoing: Arc::clone(outgoing) })
    }

    /// Closes it, and hears whether the server could.
    pub fn close(mut self) -> Result<(), Fault> {
        self.close_now()
    }

    fn close_now(&mut self) -> Result<(), Fault> {
        let Some(file) = self.file.take() else { return Ok(()) };
        let result = self.connection.run(|_| lock(&file).close());
        // Dropping what is not closed is a call too.
        let _alone = lock(&self.connection.live);
        drop(file);
        result
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if let Err(fault) = self.close_now() {
            tracing::debug!(?fault, "a file was not closed");
        }
    }
}

/// An error of an operation that never got as far as the server. A name that could be looked up before may well
/// be again; one that never could is rather a mistake, which is to be said at once.
pub fn unreachable(location: String, source: io::Error, was_there: bool) -> StorageError {
    if source.kind() == io::ErrorKind::AddrNotAvailable && was_there {
        return StorageError::new(StorageErrorKind::Unreachable, "connecting to", location, source);
    }
    StorageError::from_io("connecting to", location, source)
}

/// Adds what was being done to a fault.
pub fn during<T>(result: Result<T, Fault>, action: &'static str, location: &str) -> StorageResult<T> {
    result.map_err(|fault| fault.into_error(action, location))
}
