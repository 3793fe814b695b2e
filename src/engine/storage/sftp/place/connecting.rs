//! The connections to a place: as many as are wanted and the server lets us have.

use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard, PoisonError};

use super::super::connection::{Connection, Line, during, unreachable};
use super::super::fault::Fault;
use super::super::host_keys;
use super::super::proxy::Target;
use super::super::sign_in::SignIn;
use super::{Place, Pool};
use crate::engine::storage::{StorageError, StorageErrorKind, StorageResult};

impl Place {
    /// A connection: one that nobody uses, a new one, or, if there are as many as there may be, the one
    /// that the fewest use.
    pub fn connection(&self) -> StorageResult<Arc<Connection>> {
        if let Some(connection) = self.pooled(false) {
            return Ok(connection);
        }
        let _alone = self.0.connecting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(connection) = self.pooled(false) {
            return Ok(connection);
        }
        match self.connect() {
            Ok(connection) => {
                let connection = Arc::new(connection);
                let mut pool = self.pool();
                pool.connections.push(Arc::clone(&connection));
                if self.0.known.asks_each_time() {
                    pool.limit = 1;
                }
                Ok(connection)
            }
            // Some servers let nobody have more than a few. But the line may also be cut, which the other
            // connections have not noticed yet.
            Err(error) => match self.pooled(true) {
                Some(connection)
                    if error.kind == StorageErrorKind::Unreachable && self.answers(&connection) =>
                {
                    let mut pool = self.pool();
                    pool.limit = pool.connections.len().max(1);
                    tracing::info!(%error, limit = pool.limit, "going on with fewer connections");
                    Ok(connection)
                }
                _ => Err(error),
            },
        }
    }

    /// Whether the server is there at the other end of a connection.
    fn answers(&self, connection: &Connection) -> bool {
        match connection.run(|live| live.sftp.stat(self.folder())) {
            Ok(_) => true,
            Err(fault) => !fault.breaks_the_connection(),
        }
    }

    /// A connection that is there already: one that nobody uses, or with `any`, or when there may be no
    /// more, any.
    fn pooled(&self, any: bool) -> Option<Arc<Connection>> {
        let mut pool = self.pool();
        pool.connections.retain(|connection| !connection.is_broken());
        let is_full = pool.connections.len() >= pool.limit;
        let least = pool.connections.iter().min_by_key(|connection| Arc::strong_count(connection))?;
        (any || is_full || Arc::strong_count(least) == 1).then(|| Arc::clone(least))
    }

    fn pool(&self) -> MutexGuard<'_, Pool> {
        self.0.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn connect(&self) -> StorageResult<Connection> {
        let shared = &*self.0;
        let location = self.location();
        let mut line = self.reach()?;
        let check = host_keys::Check {
            host: &shared.host,
            port: shared.port,
            home: &shared.options.home,
            config: &shared.config,
            job: &shared.job,
            location: location.clone(),
        };
        check.prefer_known(&line.session)?;
        if let Err(fault) = line.shake_hands() {
            return Err(match line.last_words() {
                Some(words) if !matches!(fault, Fault::Cancelled(_)) => astray(location, &words),
                _ => fault.into_error("connecting to", location),
            });
        }
        check.run(&line.session)?;
        SignIn {
            line: &line,
            user: &shared.user,
            home: &shared.options.home,
            agent: shared.options.agent.as_deref(),
            config: &shared.config,
            known: &shared.known,
            only_key: shared.only_key.as_deref(),
            location: location.clone(),
            job: &shared.job,
        }
        .run()?;
        shared.was_there.store(true, Ordering::Relaxed);
        during(line.into_connection(), "starting SFTP at", &location)
    }

    /// Gets to the server, by the way that the configuration names. Nothing is said yet.
    fn reach(&self) -> StorageResult<Line> {
        let shared = &*self.0;
        let (host, port, options, job) = (&shared.host, shared.port, &shared.options, &shared.job);
        let line = match &shared.config.proxy {
            Some(Some(proxy)) => {
                let target = Target {
                    original_host: &shared.address.host,
                    host,
                    port,
                    user: &shared.user,
                    home: &options.home,
                    agent: options.agent.as_deref(),
                    patience: options.times.connect,
                };
                return Line::by_way_of(proxy, &target, options.times, job).map_err(|error| {
                    let reason = format!("~/.ssh/config leads to it by way of “{proxy}”: {error}");
                    StorageError::new(StorageErrorKind::Other, "connecting to", self.location(), reason)
                });
            }
            _ => Line::reach(host, port, options.times, job),
        };
        line.map_err(|error| match job.control().cancelled() {
            Some(reason) if error.kind() == std::io::ErrorKind::Interrupted => {
                Fault::Cancelled(reason).into_error("connecting to", self.location())
            }
            _ => unreachable(self.location(), error, shared.was_there.load(Ordering::Relaxed)),
        })
    }
}

/// Why the program that leads to a server did not get there, from its last words. What it does not know or may not
/// do will not be otherwise the next time.
fn astray(location: String, words: &str) -> StorageError {
    let is_for_ever = ["Permission denied", "Host key verification failed", "not found"]
        .iter()
        .any(|sign| words.contains(sign));
    let kind = if is_for_ever { StorageErrorKind::Other } else { StorageErrorKind::Unreachable };
    StorageError::new(
        kind,
        "connecting to",
        location,
        format!("the way there by ~/.ssh/config ended: {words}"),
    )
}
