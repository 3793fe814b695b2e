//! Requests to an object store: with a limit on every wait, failures told apart, and tried again where that
//! may help. That is here, since nobody else still has the data that were to be sent.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use futures_util::Stream;
use http::{HeaderValue, Method, Request, Response, header};
use md5::{Digest, Md5};
use opendal::{Buffer, HttpBody, HttpTransport};
use opendal_http_transport_reqwest::ReqwestTransport;
use tokio::time::{Sleep, sleep, timeout};

use super::fault::Fault;
use crate::engine::job::Job;
use crate::engine::storage::{Backoff, HttpTimes, StorageErrorKind};

/// How much of an answer that says no is read, in bytes.
const REASON_LIMIT: usize = 64 << 10;

/// Carries requests.
pub(super) struct Transport {
    inner: ReqwestTransport,
    times: HttpTimes,
    backoff: Backoff,
    job: Job,
}

impl Transport {
    pub fn new(times: HttpTimes, backoff: Backoff, job: &Job) -> Result<Self, Fault> {
        let client =
            times.client().map_err(|error| Fault::new(StorageErrorKind::Other, error.to_string()))?;
        Ok(Self { inner: client.into(), times, backoff, job: job.clone() })
    }

    async fn attempt(&self, mut request: Request<Buffer>) -> Result<Response<HttpBody>, Fault> {
        if request.method() == Method::PUT && !request.body().is_empty() {
            // The store compares it with what has come.
            let hash = request.body().clone().fold(Md5::new(), |hash, part| hash.chain_update(part));
            let hash = BASE64_STANDARD.encode(hash.finalize());
            if let Ok(hash) = HeaderValue::from_str(&hash) {
                request.headers_mut().insert("content-md5", hash);
            }
        }
        let limit = self.times.answer_to(request.body().len() as u64);
        let answer = match timeout(limit, self.inner.fetch(request)).await {
            Ok(answer) => answer.map_err(|error| Fault::of_client(&error))?,
            Err(_) => return Err(silence(limit)),
        };
        let limit = self.times.silence;
        let answer = answer.map(|body| body.map_inner(|stream| Box::new(Watched::new(stream, limit))));
        if answer.status().is_success() {
            return Ok(answer);
        }
        let (head, mut body) = answer.into_parts();
        // What it says beside its status is good to know, and not needed.
        let body = body.to_buffer().await.map(|body| body.to_vec()).unwrap_or_default();
        let body = String::from_utf8_lossy(&body[..body.len().min(REASON_LIMIT)]);
        let date = head.headers.get(header::DATE).and_then(|date| date.to_str().ok());
        Err(Fault::of_answer(head.status, &body, date))
    }
}

impl HttpTransport for Transport {
    async fn fetch(&self, request: Request<Buffer>) -> opendal::Result<Response<HttpBody>> {
        let mut delay = self.backoff.first;
        let mut failed_at: Option<Instant> = None;
        let mut trying_again = None;
        loop {
            let fault = match self.attempt(request.clone()).await {
                Ok(answer) => return Ok(answer),
                Err(fault) => fault,
            };
            let is_first = failed_at.is_none();
            let failed_at = *failed_at.get_or_insert_with(Instant::now);
            let is_in_time = failed_at.elapsed() + delay <= self.backoff.give_up_after;
            if !(fault.is_temporary() && is_in_time) {
                return Err(fault.into());
            }
            tracing::warn!(%fault, ?delay, "asking again");
            // Where the second attempt helps, nobody needs to know.
            if !is_first {
                trying_again.get_or_insert_with(|| self.job.try_again());
            }
            sleep(delay.mul_f64(0.75 + fastrand::f64() / 2.0)).await;
            delay = (delay * 2).min(self.backoff.longest);
        }
    }
}

fn silence(limit: Duration) -> Fault {
    Fault::new(StorageErrorKind::Timeout, format!("no answer for {} seconds", limit.as_secs()))
}

type Body = Box<dyn Stream<Item = opendal::Result<Buffer>> + Send + Sync + Unpin>;

/// A body whose next part must not take too long. Time in which nobody asks for it does not count.
struct Watched {
    inner: Body,
    limit: Duration,
    timer: Pin<Box<Sleep>>,
    is_waiting: bool,
}

impl Watched {
    fn new(inner: Body, limit: Duration) -> Self {
        Self { inner, limit, timer: Box::pin(sleep(limit)), is_waiting: false }
    }
}

impl Stream for Watched {
    type Item = opendal::Result<Buffer>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Poll::Ready(part) = Pin::new(&mut self.inner).poll_next(context) {
            self.is_waiting = false;
            return Poll::Ready(part.map(|part| part.map_err(|error| Fault::of_client(&error).into())));
        }
        if !self.is_waiting {
            let end = tokio::time::Instant::now() + self.limit;
            self.timer.as_mut().reset(end);
            self.is_waiting = true;
        }
        self.timer.as_mut().poll(context).map(|()| Some(Err(silence(self.limit).into())))
    }
}
