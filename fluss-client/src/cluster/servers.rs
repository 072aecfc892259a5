//! One connection per server, opened when first needed and again when lost.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use fluss_rpc::api::Request;
use fluss_rpc::net::meter::Owner;
#[cfg(feature = "tls")]
use fluss_rpc::net::tls::Tls;
use fluss_rpc::net::{
    ConnectError, ConnectOptions, Connection, KeepAlive, OnLoss, Random, RequestError, ServerAddress,
    Transport,
};
use fluss_rpc::proto::ApiVersionsRequest;
use fluss_rpc::sync::Mutex;
use tokio::time::{Instant, timeout};
use tracing::{debug, info};

use super::known::Known;
use super::topology::{Member, Topology};
use crate::config::ClientOptions;
use crate::error::{Context, Error, Result, tell};
use crate::{log_target, retry};

/// For so long an outage is not told again.
const QUIET: Duration = Duration::from_mins(1);

/// After such a silence a connection is asked whether it still leads anywhere before it is used, unless the options name another:
/// who stands in between may have forgotten it without a word. Shorter than those take.
const IDLE: Duration = Duration::from_mins(1);

/// How long the answer to that may take, unless the options say. Far longer than a server that lives needs.
const PROOF: Duration = Duration::from_secs(1);

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
    known: Arc<Known>,
    keep_alive: KeepAlive,
}

#[derive(Debug, Default)]
struct Slot {
    connection: Mutex<Option<Connection>>,
    /// To whom the connection is, as far as it is known.
    members: Mutex<BTreeSet<Member>>,
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
    pub(crate) fn new(options: &mut ClientOptions, known: &Arc<Known>) -> Self {
        let (transport, without) = transport(options);
        let keep_alive = options.keep_alive;
        let doubting = known.clone();
        let options = ConnectOptions {
            connect_timeout: options.connect_timeout,
            request_timeout: options.request_timeout,
            credentials: options.credentials.clone(),
            allow_insecure_password: options.allow_insecure_password,
            on_loss: OnLoss::call(move |server| doubting.doubt(server)),
            random: Random::new(options.seed),
            software_name: software_name(options.name.as_deref()),
            owner: options.name.as_deref().map(Owner::named).unwrap_or_default(),
            ..ConnectOptions::default()
        };
        Self {
            options,
            transport: Mutex::new(transport),
            without,
            slots: Mutex::default(),
            known: known.clone(),
            keep_alive,
        }
    }

    /// Whose metrics those of the client are.
    pub(crate) fn owner(&self) -> &Owner {
        &self.options.owner
    }

    /// Where the chance of the client comes from.
    pub(crate) fn random(&self) -> &Random {
        &self.options.random
    }

    /// The open connection to a server, if there is one now, and has not been silent for so long that it is to be proved first.
    pub(crate) fn open(&self, server: &ServerAddress) -> Option<Connection> {
        self.usable(&self.slot(server))
    }

    fn usable(&self, slot: &Slot) -> Option<Connection> {
        let limit = self.keep_alive.interval.unwrap_or(IDLE);
        slot.live().filter(|connection| connection.idle() < limit)
    }

    /// A server at each address that its host has now.
    pub(super) async fn each_address(
        &self,
        server: &ServerAddress,
    ) -> Result<Vec<ServerAddress>, ConnectError> {
        let transport = self.transport.lock().clone();
        match transport {
            Transport::Stream(connector) => connector.each_address(server).await,
            Transport::InProcess(_) => Ok(vec![server.clone()]),
        }
    }

    /// Takes note of who is where. Where a connection leads to another than is there now, another is opened; what is under way on
    /// the former one goes on.
    pub(super) fn assign(&self, topology: &Topology) {
        let mut slots = self.slots.lock();
        for (server, members) in topology.members() {
            let Some(slot) = slots.get(server) else {
                continue;
            };
            let mut former = slot.members.lock();
            let is_another = !former.is_empty() && former.is_disjoint(&members);
            *former = members;
            drop(former);
            if is_another {
                debug!(target: log_target::CLIENT, %server, "another server is there now");
                slots.remove(server);
            }
        }
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
    /// waited for as long as `patience`. A connection on which nothing at all comes meanwhile is closed.
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
        // It leaves whoever waits for it the time to ask again.
        let patience = patience.min(self.options.request_timeout / 2);
        let connecting = async { Connection::connect_asking(server, &self.options(), request).await };
        match self.reach(server, connecting).await? {
            (_, Some(Some(answer))) => Ok(timeout(patience, answer)
                .await
                .unwrap_or_else(|_| Err(RequestError::Timeout { after: patience }))),
            (connection, _) => Ok(connection.send_unless_silent(request, patience, patience).await),
        }
    }

    /// The connection to a server, with what came of `connecting` if there was none.
    async fn reach<T>(
        &self,
        server: &ServerAddress,
        connecting: impl Future<Output = Result<(Connection, T), ConnectError>>,
    ) -> Result<(Connection, Option<T>)> {
        let slot = self.slot(server);
        if let Some(connection) = self.usable(&slot) {
            return Ok((connection, None));
        }
        let mut failures = slot.connecting.lock().await;
        if let Some(connection) = self.usable(&slot) {
            return Ok((connection, None));
        }
        if let Some(connection) = slot.live()
            && self.proves(&connection).await
        {
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
                self.introduce(server, &slot);
                Ok((connection, Some(more)))
            }
            Err(error) => {
                let error = Context::new("connect").server(server).error(error);
                Err(failures.note(error, self.random()))
            }
        }
    }

    /// Whether a connection that was silent for long still leads anywhere. One that does not is closed.
    async fn proves(&self, connection: &Connection) -> bool {
        let patience = self.keep_alive.timeout.unwrap_or(PROOF);
        let question = ApiVersionsRequest {
            client_software_name: self.options.software_name.clone(),
            client_software_version: self.options.software_version.clone(),
        };
        let answer = connection.send_unless_silent(&question, patience, patience).await;
        match answer {
            Err(RequestError::Timeout { .. } | RequestError::Disconnected { .. }) => !connection.is_closed(),
            // Whatever it says, somebody is there.
            _ => true,
        }
    }

    /// Takes note of who is said to be where a connection was just opened to.
    fn introduce(&self, server: &ServerAddress, slot: &Slot) {
        let topology = self.known.topology();
        let mut members = topology.members();
        *slot.members.lock() = members.remove(server).unwrap_or_default();
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
