//! A server that speaks S3, checks signatures and keeps its buckets in a folder.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{Body, HttpResponse};
use souvenir::engine::job::Job;
use souvenir::engine::storage::lease::LeaseTimes;
use souvenir::engine::storage::object::{ObjectOptions, ObjectStorage};
use souvenir::engine::storage::{Backoff, Credentials, HttpTimes, S3Address};
use tokio::net::TcpListener;

#[path = "s3_listing.rs"]
mod listing;
use listing::QuickLists;

/// Who may sign in.
pub const KEY_ID: &str = "AKIASOUVENIR";
/// And with what.
pub const SECRET: &str = "a secret / with + odd = signs";
/// The bucket.
/// The server keeps files beside the objects, whose names grow with those of bucket and object.
pub const BUCKET: &str = "bkt";

/// What the server is asked, so far as tests want to know.
#[derive(Debug, Clone)]
pub struct Asked {
    pub method: String,
    /// Path and query.
    pub target: String,
    pub headers: hyper::HeaderMap,
}

/// An answer in place of the server's own: a status and the code of an error.
#[derive(Debug, Clone, Copy)]
pub enum Answer {
    /// Nothing is done.
    Instead(u16, &'static str),
    /// It is done, and the answer is lost.
    Afterwards(u16, &'static str),
    /// Nothing is done, and there is no answer.
    Silence,
}

type Script = Box<dyn FnMut(&Asked) -> Option<Answer> + Send>;

/// The server. It ends when this is dropped.
pub struct Server {
    folder: tempfile::TempDir,
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    script: Arc<Mutex<Option<Script>>>,
    _runtime: tokio::runtime::Runtime,
}

impl Server {
    /// Starts one with a bucket.
    pub fn start() -> Self {
        Self::start_for(KEY_ID, SECRET)
    }

    /// The same with another access key.
    pub fn start_for(key_id: &str, secret: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join(BUCKET)).unwrap();
        let server = s3s_fs::FileSystem::new(folder.path()).unwrap();
        let mut builder = S3ServiceBuilder::new(QuickLists::of(server));
        builder.set_auth(SimpleAuth::from_single(key_id, secret));
        let service = builder.build();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let (asked, script) = (Arc::default(), Arc::default());
        runtime.spawn(serve(listener, service, Arc::clone(&asked), Arc::clone(&script)));
        Self { folder, address, asked, script, _runtime: runtime }
    }

    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A place in the bucket.
    pub fn address(&self, prefix: &str) -> S3Address {
        S3Address {
            bucket: BUCKET.to_owned(),
            prefix: prefix.to_owned(),
            endpoint: Some(self.endpoint()),
            region: None,
            path_style: false,
            storage_class: None,
        }
    }

    /// The same, ready to be used, with short limits.
    pub fn storage(&self, prefix: &str) -> ObjectStorage {
        self.storage_at(&self.address(prefix), Some(SECRET), &Job::unattended())
    }

    /// A place, with the secret that is given.
    pub fn storage_at(&self, address: &S3Address, secret: Option<&str>, job: &Job) -> ObjectStorage {
        self.storage_with(options(), address, secret, job)
    }

    /// A place that waits for answers as long as it usually does.
    pub fn patient_storage(&self, prefix: &str) -> ObjectStorage {
        let options = ObjectOptions { times: HttpTimes::default(), ..options() };
        self.storage_with(options, &self.address(prefix), Some(SECRET), &Job::unattended())
    }

    fn storage_with(
        &self,
        options: ObjectOptions,
        address: &S3Address,
        secret: Option<&str>,
        job: &Job,
    ) -> ObjectStorage {
        let credentials = Credentials {
            key_id: Some(KEY_ID.to_owned()),
            secret: secret.map(Into::into),
            ..Credentials::default()
        };
        ObjectStorage::new(address, &credentials, options, job).unwrap()
    }

    /// The folder of the bucket on the disk.
    pub fn bucket(&self) -> PathBuf {
        self.folder.path().join(BUCKET)
    }

    /// Everything that the server keeps below a prefix of the bucket, and parts of what is no object yet.
    pub fn really_there(&self, prefix: &str) -> BTreeSet<String> {
        let names = |folder: PathBuf| -> Vec<String> {
            let entries = fs::read_dir(folder).into_iter().flatten();
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
        };
        let objects = names(self.bucket().join(prefix));
        // What it keeps of an object beside its data stays, under names of its own.
        let parts = names(self.folder.path().to_owned());
        let parts = parts.into_iter().filter(|name| name.contains("upload_id") && !name.contains("metadata"));
        objects.into_iter().chain(parts).collect()
    }

    /// What was asked since this was called last.
    pub fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }

    /// Lets `script` answer whatever it has an answer for.
    pub fn answer_with(&self, script: impl FnMut(&Asked) -> Option<Answer> + Send + 'static) {
        *self.script.lock().unwrap() = Some(Box::new(script));
    }
}

/// Short waits, for tests.
pub fn options() -> ObjectOptions {
    use std::time::Duration;
    ObjectOptions {
        times: HttpTimes { connect: Duration::from_secs(2), silence: Duration::from_secs(5) },
        backoff: Backoff {
            first: Duration::from_millis(20),
            longest: Duration::from_millis(200),
            give_up_after: Duration::from_secs(3),
        },
        lease: LeaseTimes { interval: Duration::from_millis(200), expiry: Duration::from_secs(4) },
    }
}

async fn serve(
    listener: TcpListener,
    service: S3Service,
    asked: Arc<Mutex<Vec<Asked>>>,
    script: Arc<Mutex<Option<Script>>>,
) {
    loop {
        let Ok((socket, _)) = listener.accept().await else { return };
        let (service, asked, script) = (service.clone(), Arc::clone(&asked), Arc::clone(&script));
        let answer = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
            let question = Asked {
                method: request.method().to_string(),
                target: request.uri().to_string(),
                headers: request.headers().clone(),
            };
            let instead = script.lock().unwrap().as_mut().and_then(|script| script(&question));
            asked.lock().unwrap().push(question);
            let service = service.clone();
            async move {
                if let Some(Answer::Silence) = instead {
                    std::future::pending::<()>().await;
                }
                if let Some(Answer::Instead(status, code)) = instead {
                    return Ok(refusal(status, code));
                }
                let answer = hyper::service::Service::call(&service, request).await;
                Ok::<_, Infallible>(match instead {
                    Some(Answer::Afterwards(status, code)) => refusal(status, code),
                    _ => answer.unwrap_or_else(|_| refusal(500, "InternalError")),
                })
            }
        });
        tokio::spawn(async move {
            let connection = hyper::server::conn::http1::Builder::new();
            let _ = connection.serve_connection(TokioIo::new(socket), answer).await;
        });
    }
}

fn refusal(status: u16, code: &str) -> HttpResponse {
    let body =
        format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>As told.</Message></Error>");
    hyper::Response::builder().status(status).body(Body::from(body)).unwrap()
}
