//! One connection per server, opened when first needed and again when lost.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use fluss_rpc::api::Request;
#[cfg(feature = "tls")]
use fluss_rpc::net::tls::Tls;
use fluss_rpc::net::{
    ConnectError, ConnectOptions, Connection, KeepAlive, Random, RequestError, ServerAddress, Transport,
};
use parking_lot::Mutex;
use tokio::time::{Instant, timeout};
use tracing::info;

use crate::config::ClientOptions;
use crate::error::{Context, Error, Result, tell};
use crate::{log_target, retry};

/// For so long an outage is not told again.
const QUIET: Duration = Duration::from_secs(60);

/// The connections of a client.
///
/// Whoever asks for a server first connects, the others wait for the outcome. After a failure nobody connects again
/// until a pause has passed, which grows with each failure; meanwhile the failure is repeated.
#[derive(Debug)]
pub(crate) struct Servers {
    options: ConnectOptions,
    /// How servers are reached, until the connection is closed: a server in this process may live no longer than that.
    transport: Mutex<Transport>,
    /// What is left of it then.
    without: Transport,
    slots: Mutex<HashMap<ServerAddress, Arc<Slot>>>,
}

#[derive(Debug, Default)]
struct Slot {
    connection: Mutex<Option<Connection>>,
    connecting: tokio::sync::Mutex<Failures>,
}

/// What went wrong since the server was last reached.
#[derive(Default)]
struct Failures {
    last: Option<Error>,
    /// How many attempts have failed, and when one was told.
    attempts: u32,
    told: Option<Instant>,
    next_attempt: Option<Instant>,
    pauses: Option<Box<dyn Iterator<Item = Duration> + Send>>,
}

impl std::fmt::Debug for Failures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Failures")
            .field("last", &self.last)
            .finish_non_exhaustive()
    }
}

impl Servers {
    /// Takes over how servers are reached.
    pub(crate) fn new(options: &mut ClientOptions) -> Self {
        let (transport, without) = transport(options);
        let options = ConnectOptions {
            connect_timeout: options.connect_timeout,
            request_timeout: options.request_timeout,
            credentials: options.credentials.clone(),
            allow_insecure_password: options.allow_insecure_password,
            random: Random::new(options.seed),
            software_name: software_name(options.name.as_deref()),
            ..ConnectOptions::default()
        };
        Self {
            options,
            transport: Mutex::new(transport),
            without,
            slots: Mutex::default(),
        }
    }

    /// Where the chance of the client comes from.
    pub(crate) fn random(&self) -> &Random {
        &self.options.random
    }

    /// The open connection to a server, if there is one now.
    pub(crate) fn open(&self, server: &ServerAddress) -> Option<Connection> {
        self.slot(server).live()
    }

    /// The connection to a server, opened if need be.
    ///
    /// # Cancellation
    ///
    /// Dropping the future gives up the attempt to connect; the next caller begins another.
    pub(crate) async fn get(&self, server: &ServerAddress) -> Result<Connection> {
        let connecting = async { Ok((Connection::connect(server, &self.options()).await?, ())) };
        let (connection, _) = self.reach(server, connecting).await?;
        Ok(connection)
    }

    /// The answer of a server, which is asked as soon as it can be if there is no connection yet. Once there is one, the answer is
    /// waited for as long as `patience`.
    ///
    /// # Cancellation
    ///
    /// As [`get`](Self::get).
    pub(crate) async fn ask<R: Request>(
        &self,
        server: &ServerAddress,
        request: &R,
        patience: Duration,
    ) -> Result<Result<R::Response, RequestError>> {
        let patience = patience.min(self.options.request_timeout);
        let connecting = async { Connection::connect_asking(server, &self.options(), request).await };
        match self.reach(server, connecting).await? {
            (_, Some(Some(answer))) => Ok(timeout(patience, answer)
                .await
                .unwrap_or_else(|_| Err(RequestError::Timeout { after: patience }))),
            (connection, _) => Ok(connection.send_within(request, patience).await),
        }
    }

    /// The connection to a server, with what came of `connecting` if there was none.
    async fn reach<T>(
        &self,
        server: &ServerAddress,
        connecting: impl Future<Output = Result<(Connection, T), ConnectError>>,
    ) -> Result<(Connection, Option<T>)> {
        let slot = self.slot(server);
        if let Some(connection) = slot.live() {
            return Ok((connection, None));
        }
        let mut failures = slot.connecting.lock().await;
        if let Some(connection) = slot.live() {
            return Ok((connection, None));
        }
        if let Some(error) = failures.to_repeat() {
            return Err(error);
        }
        match connecting.await {
            Ok((connection, more)) => {
                if failures.attempts > 0 {
                    info!(target: log_target::CLIENT, %server, failed_attempts = failures.attempts, "connected again");
                }
                *failures = Failures::default();
                slot.set(connection.clone());
                Ok((connection, Some(more)))
            }
            Err(error) => {
                let error = Context::new("connect").server(server).error(error);
                Err(failures.note(error, self.random()))
            }
        }
    }

    fn options(&self) -> ConnectOptions {
        let transport = self.transport.lock();
        ConnectOptions {
            transport: transport.clone(),
            ..self.options.clone()
        }
    }

    /// Closes every connection for good.
    pub(crate) fn close(&self) {
        let transport = std::mem::replace(&mut *self.transport.lock(), self.without.clone());
        let slots = std::mem::take(&mut *self.slots.lock());
        for connection in slots.values().filter_map(|slot| slot.live()) {
            connection.close();
        }
        // A server in this process may end with it: not before its connections, which would be lost.
        drop(transport);
    }

    fn slot(&self, server: &ServerAddress) -> Arc<Slot> {
        let mut slots = self.slots.lock();
        if let Some(slot) = slots.get(server) {
            return slot.clone();
        }
        slots.entry(server.clone()).or_default().clone()
    }
}

/// What servers are told of who is connected.
fn software_name(name: Option<&str>) -> String {
    name.map_or_else(
        || "fluss-client".to_owned(),
        |name| format!("fluss-client ({name})"),
    )
}

/// Takes over how servers are reached, and tells what is left of it at the end. With TLS neither goes without it.
fn transport(options: &mut ClientOptions) -> (Transport, Transport) {
    let given = std::mem::take(&mut options.transport);
    #[cfg(feature = "tls")]
    if let Some(tls) = &options.tls {
        let by_tls = kept_alive(Transport::stream(Tls::new(tls.clone())), options.keep_alive);
        let is_tcp = matches!(&given, Transport::Stream(given) if given.is_readable_on_the_way());
        return (if is_tcp { by_tls.clone() } else { given }, by_tls);
    }
    (kept_alive(given, options.keep_alive), Transport::default())
}

/// The same, with silent connections probed, where there are any.
fn kept_alive(transport: Transport, keep_alive: KeepAlive) -> Transport {
    match &transport {
        Transport::Stream(connector) if keep_alive != KeepAlive::default() => connector
            .kept_alive(keep_alive)
            .map_or(transport, Transport::Stream),
        _ => transport,
    }
}

impl Slot {
    fn live(&self) -> Option<Connection> {
        let connection = self.connection.lock();
        connection
            .as_ref()
            .filter(|connection| !connection.is_closed())
            .cloned()
    }

    fn set(&self, connection: Connection) {
        *self.connection.lock() = Some(connection);
    }
}

impl Failures {
    fn to_repeat(&self) -> Option<Error> {
        self.last
            .clone()
            .filter(|_| self.next_attempt.is_some_and(|next| Instant::now() < next))
    }

    /// Takes note of a failed attempt. An outage is told once, and then now and then with the number of its attempts.
    fn note(&mut self, error: Error, random: &Random) -> Error {
        let pauses = self.pauses.get_or_insert_with(|| Box::new(retry::pauses(random)));
        let (pause, now) = (pauses.next().unwrap_or_default(), Instant::now());
        self.attempts += 1;
        let (attempts, pause_ms) = (self.attempts, pause.as_millis() as u64);
        if self.told.is_none_or(|told| now >= told + QUIET) {
            self.told = Some(now);
            tell!(
                log_target::CLIENT,
                warn,
                &error,
                attempts,
                pause_ms,
                "cannot connect"
            );
        } else {
            tell!(
                log_target::CLIENT,
                debug,
                &error,
                attempts,
                pause_ms,
                "cannot connect"
            );
        }
        self.next_attempt = Some(now + pause);
        self.last = Some(error.clone());
        error
    }
}
