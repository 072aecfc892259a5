//! The node: what listeners, sessions and housekeeping share.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use fluss_rpc::net::{Receive, ServerAddress, Transport};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::bucket::Buckets;
use crate::catalog::Catalog;
use crate::disk::{DirectoryDisk, Disk, MemoryDisk, OpenFiles};
use crate::error::OpenError;
use crate::options::{BatchCheck, Limits, NodeOptions, Storage, Sync};
use crate::security::{Caller, Logins, Users};
use crate::serve::admin::{self, Address, Remove};
use crate::serve::{Memory, Peer, Places, Scans, Session, listen};

/// The name by which a node in the same process is called in messages.
const IN_PROCESS: &str = "embedded";

/// A node that serves tables, to this process and to others. A clone is another handle on it. With the last handle its
/// connections are closed, and when the requests under way are done it lets go of its directory.
#[derive(Clone)]
pub struct Node {
    handle: Arc<Handle>,
}

/// What the handles of a node share, and what it serves does not.
struct Handle {
    shared: Arc<Shared>,
    ended: watch::Receiver<()>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.closing.cancel();
    }
}

/// What everything that serves shares.
pub(crate) struct Shared {
    pub(crate) admin: admin::Node,
    pub(crate) buckets: Arc<Buckets>,
    pub(crate) scans: Scans,
    pub(crate) users: Option<Arc<Users>>,
    pub(crate) logins: Logins,
    pub(crate) limits: Limits,
    pub(crate) advertised: Option<ServerAddress>,
    pub(crate) closing: CancellationToken,
    pub(crate) places: Arc<Places>,
    /// How many connections there were, of any kind.
    pub(crate) sessions: AtomicU64,
    pub(crate) memory: Memory,
    sync: Sync,
    /// How far batches are looked at before they are stored.
    pub(crate) check: BatchCheck,
    /// Whether reading waits for a disk.
    pub(crate) reads_wait: bool,
    /// The files that are kept open.
    pub(crate) open_files: Option<Arc<OpenFiles>>,
    /// Dropped with the rest, which ends housekeeping.
    _alive: mpsc::Sender<()>,
    /// The last to be dropped: by then the directory is free.
    _end: watch::Sender<()>,
}

impl Node {
    /// Opens the tables, new or as they were left.
    ///
    /// # Errors
    ///
    /// A directory that another process has, that is of another format, that cannot be read or written, or whose catalog is
    /// damaged.
    pub fn open(options: NodeOptions) -> Result<Self, OpenError> {
        let disk: Arc<dyn Disk> = match &options.storage {
            Storage::Memory => Arc::new(MemoryDisk::new()),
            Storage::Directory(path) => {
                let files = options
                    .open_files
                    .map_or_else(OpenFiles::of_process, OpenFiles::within);
                Arc::new(DirectoryDisk::open_with(path, files)?)
            }
            Storage::Disk(disk) => disk.clone(),
        };
        let root = disk.real_path(Path::new("")).unwrap_or_default();
        let catalog = Catalog::open(disk.clone(), options.tables, options.clock.now_ms());
        let catalog = catalog.map_err(|error| error.under(&root))?;
        let catalog = Arc::new(catalog);
        let kept = (options.segment_bytes, options.sync == Sync::Always);
        let reads_wait = !disk.is_memory();
        let buckets = Buckets::open(disk.clone(), catalog.clone(), options.clock.clone(), kept);
        let buckets = buckets.map_err(|error| error.under(&root))?;
        let buckets = Arc::new(buckets);
        let (alive, housekeeping) = mpsc::channel();
        let (end, ended) = watch::channel(());
        let shared = Arc::new(Shared {
            admin: admin::Node {
                catalog,
                clock: options.clock,
                access: options.access,
                remove: buckets.clone(),
                configs: options.configs,
            },
            buckets,
            scans: Scans::new(disk.clone(), options.limits.scan),
            users: options.users.map(Arc::new),
            logins: Logins::default(),
            limits: options.limits,
            advertised: options.advertised,
            closing: CancellationToken::new(),
            places: Places::new(options.limits.connections, options.limits.connections_of_host),
            sessions: AtomicU64::new(0),
            memory: Memory::new(&options.limits),
            sync: options.sync,
            check: options.check,
            reads_wait,
            open_files: disk.open_files(),
            _alive: alive,
            _end: end,
        });
        keep_house(&shared, housekeeping, options.housekeeping)?;
        let handle = Handle { shared, ended };
        Ok(Self {
            handle: Arc::new(handle),
        })
    }

    /// Listens for other processes, and returns where. It has to be called on a tokio runtime, which then serves them,
    /// until the node is shut down.
    ///
    /// # Errors
    ///
    /// The address cannot be had.
    pub async fn listen(&self, address: SocketAddr) -> io::Result<SocketAddr> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        tokio::spawn(listen(self.handle.shared.clone(), listener, address));
        Ok(address)
    }

    /// A handle that does not keep the node open.
    pub fn downgrade(&self) -> WeakNode {
        WeakNode {
            handle: Arc::downgrade(&self.handle),
            ended: self.handle.ended.clone(),
        }
    }

    /// Gives this handle up, and waits until the node has ended, as it does with the last one: no more requests are taken,
    /// those under way are done, all is durable, and the directory is free.
    pub async fn shut_down(self) {
        let node = self.downgrade();
        drop(self);
        node.ended().await;
    }
}

/// A node that is kept open by others, if at all.
#[derive(Clone)]
pub struct WeakNode {
    handle: Weak<Handle>,
    ended: watch::Receiver<()>,
}

impl WeakNode {
    /// The node, if it is still open.
    pub fn upgrade(&self) -> Option<Node> {
        self.handle.upgrade().map(|handle| Node { handle })
    }

    /// Whether the node is still open.
    pub fn is_open(&self) -> bool {
        self.handle.strong_count() > 0
    }

    /// Waits until the node has ended.
    pub async fn ended(mut self) {
        // Nothing is ever sent: what comes is the end.
        while self.ended.changed().await.is_ok() {}
    }
}

impl fmt::Debug for WeakNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeakNode").field("open", &self.is_open()).finish()
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node").finish_non_exhaustive()
    }
}

impl Transport for Node {
    fn dial(&self, _: &ServerAddress, client: Arc<dyn Receive>) -> Arc<dyn Receive> {
        let peer = Peer {
            address: Address {
                host: IN_PROCESS.to_owned(),
                port: 0,
            },
            caller: Some(Caller::internal()),
            host: String::new(),
        };
        Session::attend(self.handle.shared.clone(), client, peer)
    }
}

impl Shared {
    /// Whether a write waits for the disk.
    pub(crate) fn writes_wait(&self) -> bool {
        self.sync == Sync::Always
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.buckets.close();
    }
}

/// Starts the thread that does what the time brings: it makes writes durable, drops old data, and creates and drops
/// partitions by the calendar. It ends with the node.
fn keep_house(shared: &Arc<Shared>, ended: mpsc::Receiver<()>, every: Duration) -> Result<(), OpenError> {
    let node = Arc::downgrade(shared);
    let pause = match shared.sync {
        Sync::Interval(interval) => interval.min(every),
        Sync::Always | Sync::Never => every,
    };
    let syncs = matches!(shared.sync, Sync::Interval(_));
    let thread = thread::Builder::new().name("fluss-node".to_owned());
    let keep = move || {
        let mut next = Instant::now() + every;
        while ended.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
            let Some(node) = node.upgrade() else { return };
            if syncs {
                node.buckets.sync();
            }
            if Instant::now() >= next {
                next = Instant::now() + every;
                node.tidy();
            }
        }
    };
    let spawned = thread.spawn(keep);
    spawned.map(drop).map_err(|source| OpenError::Io {
        path: "a thread".into(),
        source,
    })
}

impl Shared {
    fn tidy(&self) {
        match self.admin.catalog.auto_partition(self.admin.clock.now_ms()) {
            Ok(gone) => self.buckets.remove(&gone),
            Err(failure) => warn!(target: crate::TARGET, %failure, "partitions were not created or dropped"),
        }
        self.buckets.expire();
        self.scans.expire(self.admin.clock.now_ms());
        self.buckets.sync_where_due();
    }
}
