//! A WebDAV server on a folder, which lets one user in.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dav_server::DavHandler;
use dav_server::fakels::FakeLs;
use dav_server::localfs::LocalFs;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use souvenir::engine::job::Job;
use souvenir::engine::storage::lease::LeaseTimes;
use souvenir::engine::storage::webdav::{WebDavOptions, WebDavStorage};
use souvenir::engine::storage::{Backoff, Credentials, HttpTimes, WebDavAddress};
use tokio::net::TcpListener;

pub const USER: &str = "ada";
pub const PASSWORD: &str = "a password: with a colon";

/// What is done with a request.
#[derive(Debug, Clone, Copy)]
pub enum Fate {
    /// It is answered with this status, and nothing is done.
    Refused(u16),
    /// It is done, and answered with this status.
    DoneBut(u16),
}

type Script = Box<dyn FnMut(&str, &str) -> Option<Fate> + Send>;

/// The server. It ends when this is dropped.
pub struct Server {
    folder: tempfile::TempDir,
    address: SocketAddr,
    script: Arc<Mutex<Option<Script>>>,
    _runtime: tokio::runtime::Runtime,
}

impl Server {
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let files = LocalFs::new(folder.path(), false, false, false);
        let handler = DavHandler::builder().filesystem(files).locksystem(FakeLs::new()).build_handler();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let script = Arc::default();
        runtime.spawn(serve(listener, handler, Arc::clone(&script)));
        Self { folder, address, script, _runtime: runtime }
    }

    /// A folder on the server.
    pub fn address(&self, path: &str) -> WebDavAddress {
        WebDavAddress {
            tls: false,
            user: Some(USER.to_owned()),
            host: self.address.ip().to_string(),
            port: Some(self.address.port()),
            path: path.to_owned(),
        }
    }

    /// The same, ready to be used, with short limits.
    pub fn storage(&self, path: &str) -> WebDavStorage {
        self.storage_with(path, Some(PASSWORD), &Job::unattended())
    }

    pub fn storage_with(&self, path: &str, password: Option<&str>, job: &Job) -> WebDavStorage {
        let times = HttpTimes { connect: Duration::from_secs(2), silence: Duration::from_secs(5) };
        self.storage_in(times, path, password, job)
    }

    /// A folder that waits for answers as long as it usually does.
    pub fn patient_storage(&self, path: &str) -> WebDavStorage {
        self.storage_in(HttpTimes::default(), path, Some(PASSWORD), &Job::unattended())
    }

    fn storage_in(&self, times: HttpTimes, path: &str, password: Option<&str>, job: &Job) -> WebDavStorage {
        let credentials = Credentials { secret: password.map(Into::into), ..Credentials::default() };
        let options = WebDavOptions {
            times,
            backoff: Backoff {
                first: Duration::from_millis(20),
                longest: Duration::from_millis(200),
                give_up_after: Duration::from_secs(3),
            },
            lease: LeaseTimes { interval: Duration::from_millis(200), expiry: Duration::from_secs(4) },
        };
        WebDavStorage::at(&self.address(path), &credentials, options, job).unwrap()
    }

    /// The folder of the server on the disk.
    pub fn folder(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// Lets `script` decide, from method and path.
    pub fn decide_with(&self, script: impl FnMut(&str, &str) -> Option<Fate> + Send + 'static) {
        *self.script.lock().unwrap() = Some(Box::new(script));
    }
}

async fn serve(listener: TcpListener, handler: DavHandler, script: Arc<Mutex<Option<Script>>>) {
    use base64::Engine as _;
    let expected = base64::prelude::BASE64_STANDARD.encode(format!("{USER}:{PASSWORD}"));
    let expected = format!("Basic {expected}");
    loop {
        let Ok((socket, _)) = listener.accept().await else { return };
        let (handler, script, expected) = (handler.clone(), Arc::clone(&script), expected.clone());
        let answer = service_fn(move |request: Request<hyper::body::Incoming>| {
            let is_known = request
                .headers()
                .get("authorization")
                .is_some_and(|given| given.as_bytes() == expected.as_bytes());
            let fate = match is_known {
                false => Some(Fate::Refused(401)),
                true => script
                    .lock()
                    .unwrap()
                    .as_mut()
                    .and_then(|script| script(request.method().as_str(), request.uri().path())),
            };
            let handler = handler.clone();
            async move {
                let refused = |status: u16| {
                    let mut response = Response::new(dav_server::body::Body::empty());
                    *response.status_mut() = StatusCode::from_u16(status).unwrap();
                    response.headers_mut().insert("www-authenticate", "Basic realm=\"dav\"".parse().unwrap());
                    response
                };
                if let Some(Fate::Refused(status)) = fate {
                    return Ok::<_, Infallible>(refused(status));
                }
                let answer = handler.handle(request).await;
                Ok(match fate {
                    Some(Fate::DoneBut(status)) => refused(status),
                    _ => answer,
                })
            }
        });
        tokio::spawn(async move {
            let connection = hyper::server::conn::http1::Builder::new();
            let _ = connection.serve_connection(TokioIo::new(socket), answer).await;
        });
    }
}
