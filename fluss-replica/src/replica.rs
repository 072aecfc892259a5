//! A replica: opened, started, waited for and shut down.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fluss_client::id::{Offset, TableBucket};
use fluss_client::types::{TablePath, Timestamp};
use fluss_client::{Connection, WriteHandle};
use fluss_rpc::sync::Mutex;
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, sleep, timeout_at};

use crate::clock;
use crate::error::{Error, Result};
use crate::following::Follower;
use crate::freshness::is_reached;
use crate::held::Copy;
use crate::lag::{BucketLag, Lag};
use crate::mount::Mount;
use crate::options::ReplicaOptions;
use crate::selection::Selection;
use crate::shared::{Phase, Shared};

/// How often a reader looks for what another process has made of the directory.
const LOOK: Duration = Duration::from_millis(5);
/// Longer than anybody waits.
const FOREVER: Duration = Duration::from_hours(24 * 365);

/// A local copy of a primary-key table, of some of its columns, or of the rows that hold a condition. It follows the
/// changelog, and is read at memory speed. Clones share it.
///
/// The copy is in a directory, where it outlives the program: the next one goes on where this one has stopped. One replica
/// follows into a directory at a time, and other processes can [read](Self::attach) it meanwhile. Reads never wait for what
/// is followed; each sees what was applied when it began.
///
/// What was written is seen a little later. How much, [`lag`](Self::lag) tells; who wants to read their own writes waits for
/// them with [`wait_until_written`](Self::wait_until_written).
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use fluss_client::types::{DataType, Schema, TableDescriptor, TablePath};
/// # let connection = fluss_client::connect("embedded::memory:").await?;
/// # let path = TablePath::new("fluss", "people");
/// # let schema = Schema::builder().column("id", DataType::big_int()).column("name", DataType::string());
/// # let descriptor = TableDescriptor::builder(schema.primary_key(["id"]).build()?).build()?;
/// # connection.admin().create_table(&path, &descriptor, false).await?;
/// # let directory = tempfile::tempdir()?;
/// use fluss_replica::{Replica, ReplicaOptions};
/// use std::time::Duration;
///
/// let replica = Replica::open(&connection, &path, directory.path(), ReplicaOptions::default()).await?;
/// replica.start(None).await?;
///
/// let writer = connection.table(&path).await?.upsert_writer()?;
/// let written = writer.upsert(&[1_i64.into(), "Ada".into()]).await?;
/// replica.wait_until_written(&written, Some(Duration::from_secs(10))).await?;
/// let row = replica.get(&[1_i64.into()])?.unwrap();
/// assert_eq!(row[1], "Ada".into());
///
/// replica.shut_down().await;
/// # connection.shut_down().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Replica {
    pub(crate) shared: Arc<Shared>,
    source: Option<Arc<Source>>,
}

/// What a replica follows, and the task that does.
#[derive(Debug)]
struct Source {
    connection: Connection,
    options: ReplicaOptions,
    task: Mutex<Option<Task>>,
    /// Of those who start it.
    starting: tokio::sync::Mutex<()>,
}

/// A task that follows.
struct Task {
    running: JoinHandle<()>,
    /// Ends once another one may follow.
    released: BoxFuture<'static, ()>,
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.running.fmt(f)
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        if let Some(task) = self.task.lock().take() {
            task.running.abort();
        }
    }
}

impl Replica {
    /// Opens the copy of a table in a directory, or a directory for one. It is made if it is not there. What an earlier
    /// replica has left there can be read at once; nothing is followed before the replica is [started](Self::start).
    ///
    /// # Errors
    ///
    /// A table without primary key; columns that it does not have; [`OtherContents`](Error::OtherContents) of a directory
    /// with a copy of something else, or with anything else in it; those of the client.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn open(
        connection: &Connection,
        table: &TablePath,
        directory: &Path,
        options: ReplicaOptions,
    ) -> Result<Self> {
        let table = connection.table(table).await?;
        let info = table.info();
        let selection = Selection::new(info, &options)?;
        if let Some(filter) = &options.filter {
            fluss_client::filter::Filter::new(filter, info.row_type())?;
        }
        let mount = Mount::new(directory);
        let copy = match mount.current() {
            Ok(Some(current)) => {
                if let Some(reason) = current.selection.differs_from(&selection) {
                    let directory = directory.to_owned();
                    return Err(Error::OtherContents { directory, reason });
                }
                // One that is damaged, or of a table that is no more, is made anew.
                let is_of_this = !current.selection.is_of_another_life(&selection);
                let place = mount.copy(current.generation);
                let opened = is_of_this.then(|| Copy::open(&place, current.generation, &info.path));
                match opened {
                    Some(Err(error @ Error::Inherited { .. })) => return Err(error),
                    opened => opened.and_then(Result::ok),
                }
            }
            Ok(None) | Err(Error::Damaged { .. }) => None,
            Err(error) => return Err(error),
        };
        let shared = Shared::new(mount, info.path.clone(), options.max_staleness, copy, true);
        Ok(Self {
            shared: Arc::new(shared),
            source: Some(Arc::new(Source {
                connection: connection.clone(),
                options,
                task: Mutex::default(),
                starting: tokio::sync::Mutex::default(),
            })),
        })
    }

    /// Opens a copy that another replica follows, in this process or another, to read it. No cluster is asked. It need not
    /// be [started](Self::start); whether it can be read, its first read tells.
    ///
    /// # Errors
    ///
    /// [`NoCopy`](Error::NoCopy) of a directory without a copy; a copy that is damaged, or of another version of this
    /// library.
    pub fn attach(directory: &Path, max_staleness: Option<Duration>) -> Result<Self> {
        let mount = Mount::new(directory);
        let Some(current) = mount.current()? else {
            return Err(Error::NoDirectory(directory.to_owned()));
        };
        let table: TablePath = current.selection.table.parse()?;
        let copy = Copy::open(&mount.copy(current.generation), current.generation, &table);
        let copy = match copy {
            Ok(copy) => Some(copy),
            // It was just replaced.
            Err(Error::Storage { .. }) => None,
            Err(error) => return Err(error),
        };
        let shared = Shared::new(mount, table, max_staleness, copy, false);
        shared.keep_up()?;
        Ok(Self {
            shared: Arc::new(shared),
            source: None,
        })
    }

    /// The table.
    pub fn table(&self) -> &TablePath {
        &self.shared.table
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        self.shared.directory()
    }

    /// Whether it follows the table, or reads what another one follows.
    pub fn follows(&self) -> bool {
        self.shared.follows()
    }

    /// Begins to follow the table, and returns when the copy is as new as the table was when this was called. It goes on in the
    /// background until the replica is [shut down](Self::shut_down), or its last clone is dropped; whatever fails
    /// then is tried again for as long as it takes. Who calls this again waits until the copy is as new as the table is now.
    ///
    /// A copy that another replica follows is waited for.
    ///
    /// # Errors
    ///
    /// [`InUse`](Error::InUse) if another replica follows into the directory; what keeps a copy from being made, unless it
    /// may pass; [`TimedOut`](Error::TimedOut) after `timeout`: it is still followed, and may be waited for again.
    ///
    /// # Cancellation
    ///
    /// Dropping the future only stops waiting.
    pub async fn start(&self, timeout: Option<Duration>) -> Result<()> {
        let deadline = Instant::now() + timeout.unwrap_or(FOREVER);
        // Before the task begins that asks where the changelog ends: its first question is new enough.
        let called = clock::now();
        if let Some(source) = &self.source {
            let _alone = source.starting.lock().await;
            self.begin(source).await?;
        }
        self.wait(deadline, timeout, "as new as its table", || {
            Ok(self.shared.freshness.as_of().is_some_and(|as_of| as_of >= called))
        })
        .await
    }

    /// Has a task follow, if none does.
    async fn begin(&self, source: &Arc<Source>) -> Result<()> {
        let shared = &self.shared;
        let is_running = source
            .task
            .lock()
            .as_ref()
            .is_some_and(|task| !task.running.is_finished());
        if is_running {
            return Ok(());
        }
        let opening = {
            let shared = shared.clone();
            spawn_blocking(move || {
                let lock = shared.mount.lock(&shared.table)?;
                // Of copies that were not finished.
                let kept = shared.current().map(|copy| copy.generation);
                shared.mount.sweep(kept)?;
                let fresh = shared.mount.fresh(true)?;
                Ok::<_, Error>((lock, fresh))
            })
        };
        let opened = opening.await;
        let (lock, fresh_file) = opened.map_err(|error| Error::damaged(shared.directory(), error))??;
        if let Some(copy) = shared.current() {
            let told = fresh_file.read().map_err(Error::storage(shared.directory()))?;
            let told = told.filter(|told| told.generation == copy.generation);
            let as_of = told.and_then(|told| told.as_of);
            shared.freshness.begin(as_of, &copy.contents()?);
        }
        shared.phase.send_replace(Phase::Idle);
        let follower = Follower {
            shared: shared.clone(),
            connection: source.connection.clone(),
            options: source.options.clone(),
            fresh_file,
            lock: Arc::new(lock),
        };
        let released = follower.lock.released().boxed();
        let running = tokio::spawn(follower.run());
        *source.task.lock() = Some(Task { running, released });
        Ok(())
    }

    /// Stops following, and reading. The copy stays in its directory for the next replica.
    ///
    /// # Cancellation
    ///
    /// Dropping the future stops it all the same.
    pub async fn shut_down(&self) {
        self.shared.phase.send_replace(Phase::Closed);
        let task = self.source.as_ref().and_then(|source| source.task.lock().take());
        if let Some(Task { running, released }) = task {
            running.abort();
            // What it was just writing is written.
            released.await;
            if let Some(copy) = self.shared.current() {
                let syncing = spawn_blocking(move || copy.file.sync());
                // If it cannot be synced it is copied anew once the machine has gone down.
                let _ = syncing.await;
            }
        }
        self.shared.set_current(None);
    }

    /// How far the copy is behind its table, as was known when the cluster was last asked.
    ///
    /// # Errors
    ///
    /// [`NoCopy`](Error::NoCopy); files that cannot be read.
    pub fn lag(&self) -> Result<Lag> {
        let behind = self.shared.behind()?;
        let as_of = self.shared.freshness.as_of();
        let bucket = |(bucket, applied, end): (TableBucket, crate::contents::Applied, Offset)| BucketLag {
            bucket,
            applied: applied.offset,
            end,
            behind: (applied.offset < end && applied.time > 0).then(|| clock::since(applied.time)),
        };
        Ok(Lag {
            as_of: as_of.map(Timestamp::from_millis),
            age: as_of.map(clock::since),
            buckets: behind.into_iter().map(bucket).collect(),
        })
    }

    /// Whether the copy had come to where its table was when the cluster was last asked, and that was no longer ago than it
    /// takes to ask a few times.
    pub fn is_caught_up(&self) -> bool {
        let lag = self.lag();
        let freshest = self
            .source
            .as_ref()
            .map_or(LOOK, |source| source.options.freshness_interval);
        let recent = freshest * 5 + Duration::from_millis(500);
        lag.is_ok_and(|lag| lag.rows() == 0 && lag.age.is_some_and(|age| age <= recent))
    }

    /// Waits until the copy is as new as its table is now.
    ///
    /// # Errors
    ///
    /// [`TimedOut`](Error::TimedOut) after `timeout`; [`Closed`](Error::Closed).
    ///
    /// # Cancellation
    ///
    /// Dropping the future only stops waiting.
    pub async fn wait_until_caught_up(&self, timeout: Option<Duration>) -> Result<()> {
        self.wait_until_time(Timestamp::from_millis(clock::now()), timeout)
            .await
    }

    /// Waits until all that was stored by a time is in the copy.
    ///
    /// # Errors
    ///
    /// As [`wait_until_caught_up`](Self::wait_until_caught_up).
    ///
    /// # Cancellation
    ///
    /// Dropping the future only stops waiting.
    pub async fn wait_until_time(&self, time: Timestamp, timeout: Option<Duration>) -> Result<()> {
        let deadline = Instant::now() + timeout.unwrap_or(FOREVER);
        let time = time.millis_up();
        self.wait(deadline, timeout, "as new as was asked for", || {
            Ok(self.shared.freshness.as_of().is_some_and(|as_of| as_of >= time))
        })
        .await
    }

    /// Waits until the changelog is applied up to these offsets.
    ///
    /// # Errors
    ///
    /// As [`wait_until_caught_up`](Self::wait_until_caught_up).
    ///
    /// # Cancellation
    ///
    /// Dropping the future only stops waiting.
    pub async fn wait_until_offsets(
        &self,
        ends: &BTreeMap<TableBucket, Offset>,
        timeout: Option<Duration>,
    ) -> Result<()> {
        let deadline = Instant::now() + timeout.unwrap_or(FOREVER);
        self.wait(deadline, timeout, "at the offsets that were asked for", || {
            if self.shared.follows() {
                return Ok(self.shared.freshness.has_reached(ends));
            }
            let Some(copy) = self.shared.current() else {
                return Ok(false);
            };
            Ok(is_reached(&copy.contents()?.buckets().collect(), ends))
        })
        .await
    }

    /// Waits until a write is acknowledged and in the copy: who reads then reads it, or what came after it.
    ///
    /// # Errors
    ///
    /// Why the write has failed; as [`wait_until_caught_up`](Self::wait_until_caught_up).
    ///
    /// # Cancellation
    ///
    /// Dropping the future only stops waiting.
    pub async fn wait_until_written(&self, written: &WriteHandle, timeout: Option<Duration>) -> Result<()> {
        let began = Instant::now();
        let timed_out = || Error::TimedOut {
            table: self.table().clone(),
            what: "as new as the write",
            timeout: timeout.unwrap_or_default(),
        };
        let deadline = began + timeout.unwrap_or(FOREVER);
        timeout_at(deadline, written.wait())
            .await
            .map_err(|_| timed_out())??;
        let left = timeout.map(|timeout| timeout.saturating_sub(began.elapsed()));
        let ends = written.ends();
        // A server does not tell where a batch is that it had stored before: then all counts that is stored by now.
        if ends.values().any(Option::is_none) {
            return self.wait_until_caught_up(left).await;
        }
        let ends = ends.into_iter().filter_map(|(bucket, end)| Some((bucket, end?)));
        self.wait_until_offsets(&ends.collect(), left).await
    }

    /// Waits until something is so.
    async fn wait(
        &self,
        deadline: Instant,
        timeout: Option<Duration>,
        what: &'static str,
        is_so: impl Fn() -> Result<bool>,
    ) -> Result<()> {
        let shared = &self.shared;
        let (mut changed, mut phase) = (shared.freshness.watch(), shared.phase.subscribe());
        let waiting = async {
            loop {
                changed.mark_unchanged();
                match &*phase.borrow_and_update() {
                    Phase::Failed(error) => return Err(error.clone()),
                    Phase::Closed => {
                        let table = shared.table.clone();
                        return Err(Error::Closed { table });
                    }
                    Phase::Idle | Phase::Following => {}
                }
                shared.keep_up()?;
                if is_so()? {
                    return Ok(());
                }
                let news = async {
                    if shared.follows() {
                        // Both live as long as this does.
                        let _ = changed.changed().await;
                    } else {
                        sleep(LOOK).await;
                    }
                };
                tokio::select! {
                    () = news => {}
                    _ = phase.changed() => {}
                }
            }
        };
        timeout_at(deadline, waiting).await.unwrap_or_else(|_| {
            Err(Error::TimedOut {
                table: shared.table.clone(),
                what,
                timeout: timeout.unwrap_or_default(),
            })
        })
    }
}
