//! The task that follows a table.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fluss_client::filter::Filter;
use fluss_client::id::{PartitionId, SchemaId, TableBucket};
use fluss_client::types::{PartitionName, TablePath};
use fluss_client::{
    Connection, ErrorCode, LogScanner, OffsetSpec, Outcome, Positions, ScanBatch, StartOffset, Table,
};
use fluss_rpc::net::meter::Since;
use fluss_store::copy::CopyFile;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

use crate::changes::{Changes, Held};
use crate::clock;
use crate::contents::{Applied, Contents};
use crate::copying::{self, scanned, scanner};
use crate::error::{Error, Result};
use crate::freshness::Look;
use crate::held::Copy;
use crate::mount::{Fresh, FreshFile, Lock};
use crate::options::ReplicaOptions;
use crate::selection::Selection;
use crate::shape::Shape;
use crate::shared::{Phase, Shared};

/// The target of the events, which logs are filtered by.
const TARGET: &str = "fluss::replica";

/// Longer than anybody waits.
const FOREVER: Duration = Duration::from_hours(24);
/// How long it is waited before the first further attempt, and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// When the cluster is asked again that has not said where the changelog ends.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// After so many attempts a failure is told.
const QUIET_ATTEMPTS: u32 = 3;

/// What follows a table into a directory.
pub(crate) struct Follower {
    pub(crate) shared: Arc<Shared>,
    pub(crate) connection: Connection,
    pub(crate) options: ReplicaOptions,
    pub(crate) fresh_file: FreshFile,
    /// Held as long as something is written.
    pub(crate) lock: Arc<Lock>,
}

/// Why a session has ended.
enum End {
    /// There is no copy, or it does not lead to what the table is now.
    Anew(String),
    /// The table has another schema.
    Reopen,
    Failed(Error),
}

impl<E: Into<Error>> From<E> for End {
    fn from(error: E) -> Self {
        match error.into() {
            Error::Client(error) if error.outcome() == Outcome::Expired => {
                Self::Anew(format!("its changelog was cut: {error}"))
            }
            Error::Damaged { path, reason } => Self::Anew(format!("{} is damaged: {reason}", path.display())),
            error => Self::Failed(error),
        }
    }
}

/// What is known of the changes of a copy while they are followed.
struct Session {
    table: Table,
    copy: Arc<Copy>,
    contents: Contents,
    filter: Option<Arc<Filter>>,
    scanner: LogScanner,
}

impl Follower {
    /// Follows until it is dropped; or until it fails before there is a copy, in a way that does not pass by itself.
    pub(crate) async fn run(self) {
        let mut attempts = 0;
        loop {
            let error = match self.follow(&mut attempts).await {
                End::Reopen => continue,
                End::Anew(reason) => match self.copy(&reason).await {
                    Ok(()) => continue,
                    Err(error) => error,
                },
                End::Failed(error) => error,
            };
            let is_followed = matches!(*self.shared.phase.borrow(), Phase::Following);
            if !is_followed && !error.is_passing() {
                self.shared.phase.send_replace(Phase::Failed(error));
                return;
            }
            attempts += 1;
            let table = &self.shared.table;
            if attempts == QUIET_ATTEMPTS {
                tracing::warn!(target: TARGET, %table, %error, attempts, "the table cannot be followed, it is tried again");
            } else {
                tracing::debug!(target: TARGET, %table, %error, attempts, "the table cannot be followed, it is tried again");
            }
            let pause = FIRST_PAUSE * 2_u32.pow(attempts.min(10));
            sleep(pause.min(LONGEST_PAUSE)).await;
        }
    }

    /// Makes a copy from the beginning, and has it read.
    async fn copy(&self, reason: &str) -> Result<()> {
        let shared = &self.shared;
        tracing::info!(target: TARGET, table = %shared.table, reason, "the table is copied from the beginning");
        let table = self.connection.table(&shared.table).await?;
        let selection = Selection::new(table.info(), &self.options)?;
        let generation = shared.mount.next_generation()?.max(clock::now() as u64);
        let place = (shared.mount.copy(generation), generation);
        let began = Instant::now();
        let copy = copying::copy(&self.connection, &table, &selection, &self.options, place).await?;
        let contents = copy.contents()?;
        self.write({
            let shared = shared.clone();
            move || {
                shared.mount.publish(generation, &selection)?;
                shared.set_current(Some(Arc::new(copy)));
                shared.mount.sweep(Some(generation))
            }
        })
        .await?;
        shared.freshness.begin(None, &contents);
        shared.meters.copies.increment(1);
        self.tell();
        let seconds = began.elapsed().as_secs_f64();
        tracing::info!(target: TARGET, table = %shared.table, seconds, "the table is copied");
        Ok(())
    }

    /// Runs what waits for the disk. Nobody else follows into the directory until it has ended, even if nobody waits for it.
    async fn write<T: Send + 'static>(&self, body: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
        let lock = self.lock.clone();
        let written = spawn_blocking(move || {
            let done = body();
            drop(lock);
            done
        });
        let written = written.await;
        written.map_err(|error| Error::damaged(self.shared.directory(), error))?
    }

    /// Tells readers in other processes how new the copy is.
    fn tell(&self) {
        let Some(copy) = self.shared.current() else {
            return;
        };
        let fresh = Fresh {
            generation: copy.generation,
            schema_id: copy.shape.schema_id.get(),
            as_of: self.shared.freshness.as_of(),
        };
        // They see a copy that becomes older, which it is.
        if let Err(error) = self.fresh_file.write(&fresh, &self.shared.freshness.ends()) {
            tracing::warn!(target: TARGET, table = %self.shared.table, %error, "readers cannot be told how new the copy is");
        }
    }

    /// Follows the copy that there is, until something ends it.
    async fn follow(&self, attempts: &mut u32) -> End {
        let mut session = match self.begin().await {
            Ok(session) => session,
            Err(end) => return end,
        };
        self.shared.freshness.applied(&session.contents);
        self.shared.phase.send_replace(Phase::Following);
        let mut pause = Duration::ZERO;
        loop {
            let before: Vec<_> = session.contents.buckets().collect();
            let look = look(&self.connection, &self.shared.table, pause);
            let mut look = std::pin::pin!(look);
            let looked = loop {
                tokio::select! {
                    biased;
                    looked = &mut look => break looked,
                    batches = session.scanner.poll_arrow(FOREVER) => {
                        let applied = match batches {
                            Ok(batches) => self.apply(&mut session, batches).await,
                            Err(error) => Err(error.into()),
                        };
                        match applied {
                            Ok(()) => *attempts = 0,
                            Err(end) => return end,
                        }
                    }
                }
            };
            let interval = self.options.freshness_interval;
            match looked {
                Ok((table, look)) => {
                    pause = interval;
                    if let Err(end) = self.take(&mut session, &table, &before, look).await {
                        return end;
                    }
                    *attempts = 0;
                }
                Err(error) if error.code() == Some(ErrorCode::TABLE_NOT_EXIST) => return error.into(),
                Err(error) => {
                    pause = interval.min(LOOK_AGAIN);
                    tracing::debug!(
                        target: TARGET, table = %self.shared.table, %error, "where the changelog ends is not known"
                    );
                }
            }
        }
    }

    /// Begins to scan where the copy ends.
    async fn begin(&self) -> Result<Session, End> {
        let shared = &self.shared;
        let Some(copy) = shared.current() else {
            return Err(End::Anew("there is no copy".to_owned()));
        };
        let table = self.connection.table(&shared.table).await.map_err(Error::from)?;
        let info = table.info();
        let selection = Selection::new(info, &self.options)?;
        let mut contents = copy.contents()?;
        if contents.table_id != info.id.get() {
            return Err(End::Anew("the table was created anew".to_owned()));
        }
        let copy = self.widen(copy, &selection, &table, &mut contents).await?;
        let held = selection.held(info.schema());
        let filter = self.options.filter.as_ref().map(|filter| {
            let names = scanned(&table, &held, &self.options)?;
            let places = info.schema().indexes_of(&names)?;
            Ok::<_, Error>(Arc::new(Filter::new(filter, &info.row_type().project(&places))?))
        });
        let filter = filter.transpose()?;
        let scanner = scanner(&table, &held, &self.options)?;
        let positions = Positions::from_json(&contents.positions);
        let positions = positions.map_err(|error| Error::damaged(copy.file.directory(), error))?;
        scanner
            .subscribe_positions(&positions)
            .await
            .map_err(Error::from)?;
        let forgetting = copy.file.clone();
        // Readers that were killed.
        let forgotten = self.write(move || forget_the_dead(&forgetting)).await?;
        if forgotten > 0 {
            tracing::info!(target: TARGET, table = %shared.table, forgotten, "readers have ended without saying so");
        }
        Ok(Session {
            table,
            copy,
            contents,
            filter,
            scanner,
        })
    }

    /// Makes a copy hold rows of the schema that the table has.
    async fn widen(
        &self,
        copy: Arc<Copy>,
        selection: &Selection,
        table: &Table,
        contents: &mut Contents,
    ) -> Result<Arc<Copy>, End> {
        let info = table.info();
        if copy.shape.schema_id > info.schema_id {
            return Err(Error::Interrupted("a server tells of an older schema").into());
        }
        if copy.shape.knows(info.schema_id) {
            return Ok(copy);
        }
        let mut types = copy.shape.types().clone();
        let held = selection.held(info.schema());
        let before = copy.shape.row_type.fields();
        if !held.fields().starts_with(before) {
            return Err(End::Anew("columns were changed that are held".to_owned()));
        }
        types.insert(info.schema_id, held);
        let shape = Shape::new(info.path.clone(), types, &contents.key)?;
        contents.set_schemas(&shape);
        let wider = Arc::new(Copy {
            shape: Arc::new(shape),
            ..(*copy).clone()
        });
        let (widened, stored) = (wider.clone(), contents.clone());
        self.write(move || widened.apply(&mut Changes::default(), &stored))
            .await?;
        self.shared.set_current(Some(wider.clone()));
        self.tell();
        tracing::info!(target: TARGET, table = %self.shared.table, schema = %info.schema_id, "the schema was changed");
        Ok(wider)
    }

    /// Applies batches of the changelog, which the scanner has passed.
    async fn apply(&self, session: &mut Session, batches: Vec<ScanBatch>) -> Result<(), End> {
        let began = Instant::now();
        let newest: Option<SchemaId> = batches.iter().filter_map(|batch| batch.schema_id).max();
        // With columns that the scanner does not know: what it has passed is read again.
        if newest > Some(session.table.info().schema_id) {
            return Err(End::Reopen);
        }
        let is_known = |contents: &Contents, batch: &ScanBatch| {
            let partition = batch.bucket.partition;
            partition.is_none_or(|id| contents.partitions.contains_key(&id.get()))
        };
        if !batches.iter().all(|batch| is_known(&session.contents, batch)) {
            self.learn_partitions(session).await?;
        }
        let contents = &mut session.contents;
        let batches: Vec<ScanBatch> = batches
            .into_iter()
            .filter(|batch| is_known(contents, batch))
            .collect();
        let positions = session.scanner.positions().map_err(Error::from)?;
        note(contents, &positions, &batches);
        let (copy, stored) = (session.copy.clone(), contents.clone());
        let filter = session.filter.clone();
        let applied = self.write(move || {
            let held = Held::new(&copy.shape, filter.as_deref());
            let mut changes = Changes::default();
            for batch in &batches {
                let added = changes.add_changes(&held, batch);
                added.map_err(|error| copy.undecodable(&error))?;
            }
            let count = changes.len();
            copy.apply(&mut changes, &stored)?;
            Ok(count)
        });
        let count = applied.await?;
        let meters = &self.shared.meters;
        meters.applied_rows.increment(count as u64);
        meters.commit_seconds.record(Since(began));
        if self.shared.freshness.applied(&session.contents) {
            self.tell();
        }
        Ok(())
    }

    /// Takes note of what the table is, and of where its changelog ends. `before` was applied when the cluster was asked.
    async fn take(
        &self,
        session: &mut Session,
        table: &Table,
        before: &[(TableBucket, Applied)],
        look: Look,
    ) -> Result<(), End> {
        let (info, known) = (table.info(), session.table.info());
        if info.id != known.id {
            return Err(End::Anew("the table was created anew".to_owned()));
        }
        if info.schema_id != known.schema_id {
            return Err(End::Reopen);
        }
        // A cluster that keeps one replica of a bucket can lose what it has acknowledged, and the copy has it still.
        let is_beyond = |(bucket, applied): &(TableBucket, Applied)| {
            let end = look.ends.get(bucket);
            end.is_some_and(|end| *end < applied.offset)
        };
        if before.iter().any(is_beyond) {
            return Err(End::Anew("its changelog has become shorter".to_owned()));
        }
        let is_there = |id: &i64| {
            look.ends
                .keys()
                .any(|bucket| bucket.partition == Some(PartitionId(*id)))
        };
        if !session.contents.partitions.keys().all(is_there) {
            self.learn_partitions(session).await?;
        }
        self.shared.freshness.looked(look);
        // Batches without rows, which no poll returns, take offsets too.
        let positions = session.scanner.positions().map_err(Error::from)?;
        if has_advanced(&session.contents, &positions) {
            self.apply(session, Vec::new()).await?;
        }
        let lag = self.shared.freshness.behind();
        let lag: i64 = lag.iter().map(|(_, applied, end)| end - applied.offset).sum();
        self.shared.meters.lag_rows.record(lag as f64);
        self.tell();
        Ok(())
    }

    /// Finds out which partitions there are, and removes the rows of those that were dropped.
    async fn learn_partitions(&self, session: &mut Session) -> Result<(), End> {
        let there = copying::partitions(&self.connection, &session.table).await?;
        let contents = &mut session.contents;
        let gone: BTreeMap<i64, String> = contents
            .partitions
            .iter()
            .filter(|(id, _)| !there.contains_key(id))
            .map(|(id, name)| (*id, name.clone()))
            .collect();
        let ids: Vec<PartitionId> = gone.keys().map(|id| PartitionId(*id)).collect();
        contents.forget(&ids);
        contents.partitions.extend(there);
        if gone.is_empty() {
            return Ok(());
        }
        let names: Vec<_> = gone.into_values().map(PartitionName::from).collect();
        tracing::info!(target: TARGET, table = %self.shared.table, count = names.len(), "partitions were dropped");
        let keys = session.table.info().descriptor.partition_keys().to_vec();
        let (copy, stored) = (session.copy.clone(), contents.clone());
        self.write(move || copy.purge(&keys, &names, &stored)).await?;
        Ok(())
    }
}

/// Takes note of where a scanner stands, and of when what it has read was stored.
fn note(contents: &mut Contents, positions: &Positions, batches: &[ScanBatch]) {
    contents.positions = positions.to_json();
    let mut times = BTreeMap::new();
    for batch in batches {
        let time = times.entry(batch.bucket).or_insert(i64::MIN);
        *time = batch.timestamp.millis().max(*time);
    }
    for (bucket, start) in positions.buckets() {
        if let StartOffset::At(offset) = start {
            contents.advance(&bucket, offset, times.get(&bucket).copied());
        }
    }
}

/// Whether a scanner stands behind what is applied.
fn has_advanced(contents: &Contents, positions: &Positions) -> bool {
    let applied: BTreeMap<_, _> = contents.buckets().collect();
    let is_behind = |(bucket, start)| match start {
        StartOffset::At(offset) => applied.get(&bucket).map_or(0, |applied| applied.offset) < offset,
        _ => false,
    };
    positions.buckets().any(is_behind)
}

/// Asks the cluster, after a pause, what the table is and where its changelog ends.
async fn look(
    connection: &Connection,
    path: &TablePath,
    pause: Duration,
) -> fluss_client::Result<(Table, Look)> {
    sleep(pause).await;
    let at = clock::now();
    let table = connection.table(path).await?;
    let ends = connection
        .admin()
        .list_table_offsets(path, OffsetSpec::Latest)
        .await?;
    Ok((table, Look { at, ends }))
}

fn forget_the_dead(file: &CopyFile) -> Result<usize> {
    file.forget_the_dead().map_err(Error::storage(file.directory()))
}
