//! The task that carries out what the accumulator decides.

use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use fluss_rpc::code::ErrorCode;
use fluss_rpc::net::{RequestError, ServerAddress};
use fluss_rpc::proto;
use futures::FutureExt;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};
use tracing::{Instrument, field, trace};

use super::handle::Stored;
use super::layout::Rows;
use super::outcome::{Next, Outcome};
use super::partitions::Slot;
use super::request::Answer;
use super::shared::Shared;
use super::shipment::{BatchKey, Obstacles, Route, Sent, Shipment, span};
use crate::cluster::{Answers, Cluster, LeaderSearch};
use crate::error::{Context, Error, ErrorKind, Result};
use crate::log_target;
use crate::retry;
use crate::warnings::{Warnings, tell_once};
use fluss_core::ValueError;
use fluss_core::id::{PartitionId, WriterId};
use fluss_core::record::UnsealedBatch;
use fluss_core::types::TablePath;

/// A batch of up to this size is encoded more quickly than it is handed to another thread and back.
pub(super) const SMALL_BYTES: usize = 32 << 10;

/// What a task of the sender found.
pub(super) enum Event {
    Encoded(BatchKey, Result<UnsealedBatch, ValueError>),
    Answered(Vec<Sent>, ServerAddress, Result<Answers<Answer>, RequestError>),
    Connected(ServerAddress),
    Writer(Result<WriterId>),
    Refreshed(Result<()>),
    Found(Slot, Result<(PartitionId, i32)>),
}

/// Sends the batches of one writer, until the writer is closed and everything is settled.
pub(super) struct Sender {
    pub(super) shared: Arc<Shared>,
    pub(super) cluster: Cluster,
    pub(super) tasks: JoinSet<Event>,
    connecting: HashSet<ServerAddress>,
    leaders: LeaderSearch,
    /// How many partitions are being looked for.
    pub(super) looked_for: usize,
    asking_writer: bool,
    /// Before this nobody is asked for a leader or writer again.
    rest: Option<Instant>,
    pauses: Box<dyn Iterator<Item = std::time::Duration> + Send>,
    warnings: Warnings,
    closing: tokio_util::sync::CancellationToken,
}

impl Sender {
    pub(super) fn new(
        shared: Arc<Shared>,
        cluster: Cluster,
        closing: tokio_util::sync::CancellationToken,
    ) -> Self {
        let pauses = Box::new(retry::pauses_after_the_first(cluster.random()));
        Self {
            shared,
            cluster,
            tasks: JoinSet::new(),
            connecting: HashSet::new(),
            leaders: LeaderSearch::default(),
            looked_for: 0,
            asking_writer: false,
            rest: None,
            pauses,
            warnings: Warnings::default(),
            closing,
        }
    }

    /// Works until the writer is closed and nothing is left, or it breaks down.
    pub(super) async fn run(self) {
        let shared = self.shared.clone();
        let worked = AssertUnwindSafe(self.work()).catch_unwind().await;
        if !matches!(worked, Ok(Ok(()))) {
            shared.break_down();
        }
    }

    async fn work(mut self) -> Result<()> {
        loop {
            if let Err(error) = self.cluster.check_open(self.shared.operation) {
                return self.end(&error);
            }
            let now = Instant::now();
            self.advance(now)?;
            if self.closing.is_cancelled() && self.shared.lock()?.is_empty() {
                return Ok(());
            }
            let wake = self.next_wake(now)?;
            tokio::select! {
                () = self.shared.line.woken() => {}
                () = self.closing.cancelled(), if !self.closing.is_cancelled() => {}
                () = sleep_until(wake.unwrap_or(now)), if wake.is_some() => {}
                Some(event) = self.tasks.join_next() => self.on_joined(event)?,
            }
        }
    }

    fn next_wake(&self, now: Instant) -> Result<Option<Instant>> {
        let due = self.shared.lock()?.next_wake(now);
        let rest = self.rest.filter(|rest| *rest > now);
        Ok([due, rest].into_iter().flatten().min())
    }

    /// Everything that can be done now.
    fn advance(&mut self, now: Instant) -> Result<()> {
        let topology = self.cluster.topology();
        let released = {
            let partitions = self.shared.partitions();
            let leader = |bucket: &_| topology.last_leader(bucket);
            self.shared.lock()?.expire(now, &partitions, leader)
        };
        self.shared.memory.release(released);
        self.fit_misfits()?;
        loop {
            let raw = self.shared.lock()?.take_raw(now);
            for (key, rows, bytes) in raw {
                self.encode(key, rows, bytes)?;
            }
            let (shipments, obstacles) = self.drain(now)?;
            if shipments.is_empty() {
                return self.clear(&obstacles, now);
            }
            for shipment in shipments {
                self.ship(shipment, now)?;
            }
        }
    }

    fn drain(&self, now: Instant) -> Result<(Vec<Shipment>, Obstacles)> {
        let topology = self.cluster.topology();
        let open = |server: &ServerAddress| self.cluster.servers().open(server).is_some();
        let partitions = self.shared.partitions();
        let route = |target| match partitions.bucket(target) {
            None => Route::Unknown,
            Some((bucket, buckets)) => {
                let known = topology.bucket_count(bucket.table, bucket.partition);
                match topology.leader(&bucket).filter(|server| open(server)) {
                    // What a server has refused to believe is found out anew.
                    _ if bucket.partition.is_some() && known.is_some_and(|known| known != buckets) => {
                        Route::Unknown
                    }
                    Some(server) => Route::Open(bucket, buckets, server.clone()),
                    None => Route::Closed(bucket),
                }
            }
        };
        Ok(self.shared.lock()?.drain(now, route))
    }

    /// Encodes a small batch at once, and a large one on a thread of its own.
    fn encode(&mut self, key: BatchKey, rows: Rows, bytes: usize) -> Result<()> {
        let layout = self.shared.layout.clone();
        if bytes <= SMALL_BYTES {
            return self.on_event(Event::Encoded(key, layout.encode(rows)));
        }
        self.tasks
            .spawn_blocking(move || Event::Encoded(key, layout.encode(rows)));
        Ok(())
    }

    fn ship(&mut self, shipment: Shipment, now: Instant) -> Result<()> {
        let Shipment {
            server,
            batches,
            deadline,
        } = shipment;
        let timeout = self.cluster.options().request_timeout;
        let timeout = timeout.min(deadline.saturating_duration_since(now));
        let sent: Vec<Sent> = batches.iter().map(|(sent, _)| *sent).collect();
        let span = span(self.shared.operation, &self.shared.info.path, &sent, &server);
        // Sent before the next shipment is looked at, so that the batches of a bucket arrive in their order.
        match self.cluster.servers().open(&server) {
            Some(cluster) => {
                let destination = &self.shared.destination;
                let answer = span.in_scope(|| destination.send(&cluster, batches, timeout));
                let answered = async move { Event::Answered(sent, server, answer.await) };
                self.tasks.spawn(answered.instrument(span));
                Ok(())
            }
            None => self.on_lost(&sent, &server),
        }
    }

    /// A connection that was lost between the look at it and its use: nothing was sent.
    fn on_lost(&mut self, sent: &[Sent], server: &ServerAddress) -> Result<()> {
        for sent in sent {
            let error = self.context(*sent, server).error(ErrorKind::NoServer);
            self.on_outcome(*sent, server, Outcome::Unknown(error))?;
        }
        Ok(())
    }

    /// Begins to find what due batches lack.
    fn clear(&mut self, obstacles: &Obstacles, now: Instant) -> Result<()> {
        if self.rest.is_some_and(|rest| now < rest) {
            return Ok(());
        }
        if obstacles.writer && !self.asking_writer {
            self.asking_writer = true;
            let (cluster, context) = (self.cluster.clone(), self.at_table());
            let path = self.shared.info.path.clone();
            self.tasks
                .spawn(async move { Event::Writer(init_writer(&cluster, &context, &path).await) });
        }
        let topology = self.cluster.topology();
        for (slot, bucket) in &obstacles.leaders {
            if topology.is_gone(bucket) {
                self.replace(*slot)?;
                continue;
            }
            self.leaders.add([*bucket]);
            match topology.leader(bucket) {
                Some(server) => self.connect(server.clone()),
                None => self.refresh(),
            }
        }
        for slot in &obstacles.partitions {
            let mut partitions = self.shared.partitions();
            partitions.doubt(*slot);
            partitions.want(*slot);
        }
        self.find_partitions();
        Ok(())
    }

    fn connect(&mut self, server: ServerAddress) {
        if self.connecting.insert(server.clone()) {
            let cluster = self.cluster.clone();
            self.tasks.spawn(async move {
                // A server that cannot be reached may not be the leader any more.
                if cluster.servers().get(&server).await.is_err() {
                    return Event::Connected(server);
                }
                Event::Connected(server)
            });
        }
    }

    fn refresh(&mut self) {
        if let Some(refreshed) = self.leaders.begin(&self.cluster, &self.shared.info.path) {
            self.tasks.spawn(async move { Event::Refreshed(refreshed.await) });
        }
    }

    fn on_joined(&mut self, joined: Result<Event, JoinError>) -> Result<()> {
        match joined {
            Ok(event) => self.on_event(event),
            Err(error) => self.end(&self.at_table().error(ErrorKind::Defect(error.to_string()))),
        }
    }

    fn on_event(&mut self, event: Event) -> Result<()> {
        match event {
            Event::Encoded(key, Ok(batch)) => self.shared.lock()?.on_encoded(key, batch),
            Event::Encoded(key, Err(error)) => {
                let released = {
                    let partitions = self.shared.partitions();
                    self.shared.lock()?.on_unencodable(key, error, &partitions)
                };
                self.shared.memory.release(released);
            }
            Event::Answered(sent, server, answer) => self.on_answer(&sent, &server, answer)?,
            Event::Connected(server) => {
                self.connecting.remove(&server);
                if self.cluster.servers().open(&server).is_none() {
                    self.pause();
                    self.refresh();
                }
            }
            Event::Refreshed(refreshed) => {
                self.leaders.end();
                match refreshed {
                    // Nobody can write to a table that was dropped, however long they wait.
                    Err(error) if error.code() == Some(ErrorCode::TABLE_NOT_EXIST) => {
                        self.end(&error.within(self.at_table()))?;
                    }
                    _ => self.pause(),
                }
            }
            Event::Writer(writer) => self.on_writer(writer)?,
            Event::Found(slot, found) => self.on_found(slot, found)?,
        }
        Ok(())
    }

    fn on_writer(&mut self, writer: Result<WriterId>) -> Result<()> {
        self.asking_writer = false;
        match writer {
            Ok(writer) => self.shared.lock()?.adopt(writer),
            Err(error) if error.is_retriable() => self.pause(),
            // Nobody may write to this table: that is told at once, and not again for every row.
            Err(error) => self.end(&error)?,
        }
        Ok(())
    }

    /// Lets some time pass before the next attempt to find something, the more the longer nothing is written.
    pub(super) fn pause(&mut self) {
        self.rest = self.pauses.next().map(|pause| Instant::now() + pause);
    }

    fn on_answer(
        &mut self,
        sent: &[Sent],
        server: &ServerAddress,
        answer: Result<Answers<Answer>, RequestError>,
    ) -> Result<()> {
        match answer {
            Ok(mut answers) => {
                self.rest = None;
                self.pauses = Box::new(retry::pauses_after_the_first(self.cluster.random()));
                for sent in sent {
                    let outcome = self.outcome(*sent, server, answers.take(&sent.bucket));
                    self.on_outcome(*sent, server, outcome)?;
                }
            }
            Err(error) => {
                for sent in sent {
                    let outcome = self.failure(*sent, server, error.clone());
                    self.on_outcome(*sent, server, outcome)?;
                }
            }
        }
        Ok(())
    }

    fn outcome(&self, sent: Sent, server: &ServerAddress, answer: Option<Answer>) -> Outcome {
        let Some(answer) = answer else {
            let what = fluss_core::DecodeError::new("answer to a write", "the bucket is missing");
            return Outcome::Unknown(self.context(sent, server).error(what));
        };
        if let Some(code) = ErrorCode::of(answer.error_code) {
            let kind = ErrorKind::server(code, answer.error_message);
            return Outcome::Refused(code, self.context(sent, server).error(kind));
        }
        let (table, bucket) = (field::display(&self.shared.info.path), sent.bucket.bucket.get());
        trace!(target: log_target::WRITER, table, bucket, %server, offset = answer.base_offset, "acknowledged");
        let stored = Stored {
            bucket: Some(sent.bucket),
            base_offset: answer.base_offset,
            end_offset: answer.end_offset,
            ..Stored::default()
        };
        Outcome::Stored(stored, answer.pressure)
    }

    fn failure(&self, sent: Sent, server: &ServerAddress, error: RequestError) -> Outcome {
        let code = if let RequestError::Server { code, .. } = &error {
            Some(*code)
        } else {
            None
        };
        let retriable = error.is_retriable();
        let error = self.context(sent, server).error(error);
        match code {
            Some(code) => Outcome::Refused(code, error),
            None if retriable => Outcome::Unknown(error),
            None => Outcome::Impossible(error),
        }
    }

    fn on_outcome(&mut self, sent: Sent, server: &ServerAddress, outcome: Outcome) -> Result<()> {
        let (released, next) = self.shared.lock()?.on_outcome(sent.key, outcome, Instant::now());
        self.shared.memory.release(released);
        self.tell(sent, server, &next);
        if next.refresh {
            self.leaders.add([sent.bucket]);
            self.refresh();
        }
        Ok(())
    }

    /// Tells of what is sent again, and of what has to wait: of each cause once in a while.
    fn tell(&mut self, sent: Sent, server: &ServerAddress, next: &Next) {
        if let Some(pause) = next.held_up {
            let behind = ErrorKind::server(ErrorCode::STORAGE_BACKPRESSURE, None);
            let (error, millis) = (self.context(sent, server).error(behind), pause.as_millis() as u64);
            let warnings = &mut self.warnings;
            tell_once!(
                log_target::WRITER,
                warnings,
                &error,
                1,
                millis,
                "writes to a bucket wait"
            );
        } else if let Some((error, attempts)) = &next.again {
            let warnings = &mut self.warnings;
            tell_once!(
                log_target::WRITER,
                warnings,
                error,
                *attempts,
                "a batch is sent again"
            );
        }
    }

    fn end(&mut self, error: &Error) -> Result<()> {
        let released = self.shared.lock()?.end(error);
        self.shared.memory.release(released);
        Ok(())
    }

    fn at_table(&self) -> Context {
        Context::new(self.shared.operation).table(&self.shared.info.path)
    }

    pub(super) fn at(&self, slot: Slot) -> Context {
        Context::new(self.shared.operation).physical(&self.shared.partitions().physical(slot))
    }

    fn context(&self, sent: Sent, server: &ServerAddress) -> Context {
        let (target, _) = sent.key;
        self.at(target.slot).bucket(target.bucket).server(server)
    }
}

/// A new writer's identity, from any tablet server (`messages.md` 1026).
async fn init_writer(cluster: &Cluster, context: &Context, path: &TablePath) -> Result<WriterId> {
    let request = proto::InitWriterRequest {
        table_path: vec![crate::wire::table_path(path)],
    };
    cluster
        .ask(context, &request)
        .await
        .map(|response| WriterId(response.writer_id))
}
