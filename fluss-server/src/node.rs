//! The node: opens the tables, starts what serves them, and stops it.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use fluss_rpc::net::{InProcess, Receive, ServerAddress};
use fluss_store::OpenError;
use fluss_store::disk::{DirectoryDisk, Disk, MemoryDisk, OpenFiles};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tracing::warn;

use crate::bucket::Buckets;
use crate::catalog::Catalog;
use crate::options::{NodeOptions, Storage, Sync};
use crate::serve::admin::Address;
use crate::serve::{Identity, Peer, Session, Shared, listen};

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

impl Node {
    /// Opens the tables, new or as they were left.
    ///
    /// # Errors
    ///
    /// A directory that another process has, that is of another format, that cannot be read or written, or whose catalog is
    /// damaged, or has a user that is in the users file, too.
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
        let catalog = catalog.and_then(|catalog| {
            let of_file = options.users.as_ref();
            of_file.map_or(Ok(()), |users| catalog.check_users(users))?;
            Ok(catalog)
        });
        let catalog = catalog.map_err(|error| error.under(&root))?;
        let catalog = Arc::new(catalog);
        let kept = (options.segment_bytes, options.sync == Sync::Always);
        let buckets = Buckets::open(disk.clone(), catalog.clone(), options.clock.clone(), kept);
        let buckets = buckets.map_err(|error| error.under(&root))?;
        let (alive, housekeeping) = mpsc::channel();
        let (end, ended) = watch::channel(());
        let (sync, every) = (options.sync, options.housekeeping);
        let shared = Shared::new(options, &disk, (catalog, Arc::new(buckets)), (alive, end));
        let shared = Arc::new(shared);
        start_housekeeping(&shared, housekeeping, sync, every)?;
        let handle = Handle { shared, ended };
        Ok(Self {
            handle: Arc::new(handle),
        })
    }

    /// Listens for other processes, by TLS if the options have a certificate, and returns where. It has to be called on a tokio runtime, which then serves them,
    /// until the node is shut down.
    ///
    /// # Errors
    ///
    /// The address cannot be had, or a certificate or key is not what it should be.
    pub async fn listen(&self, address: SocketAddr) -> io::Result<SocketAddr> {
        let node = self.handle.shared.clone();
        let door = node.tls.door().await?;
        if node.admin.asks_for_login() && node.admin.everybody().is_empty() {
            warn!(target: crate::TARGET, "everybody has to log in, and there are no users: give a file with --users, or stop the node and create one in its directory with fluss user create embedded:DIRECTORY NAME");
        }
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        tokio::spawn(listen(node, listener, address, door));
        Ok(address)
    }

    /// Reads certificates and keys again, which blocks: new connections get the new ones, and open ones stay. If they are not what
    /// they should be, a warning says why, and those from before stay. Files that have changed are read again without this, when
    /// the next client comes.
    pub fn reload_certificates(&self) {
        self.handle.shared.tls.reload();
    }

    /// Serves the client at the other end of a stream of bytes until it goes away, or the node is shut down: for streams that no
    /// listener accepts, as those of a test's network. Called on a tokio runtime.
    pub fn serve(&self, stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) {
        let node = self.handle.shared.clone();
        let peer = Peer::stranger(&node, in_process(), String::new(), None);
        tokio::spawn(Session::serve(node, stream, peer));
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

impl InProcess for Node {
    fn dial(&self, _: &ServerAddress, client: Arc<dyn Receive>) -> Arc<dyn Receive> {
        let peer = Peer {
            address: in_process(),
            identity: Some(Identity::of_process()),
            host: String::new(),
        };
        Session::serve_in_process(self.handle.shared.clone(), client, peer)
    }
}

/// The address that clients are given who did not come by one.
fn in_process() -> Address {
    Address {
        host: IN_PROCESS.to_owned(),
        port: 0,
    }
}

/// Starts the thread that makes writes durable, drops old data, and creates and drops partitions by the calendar. It ends
/// with the node.
fn start_housekeeping(
    shared: &Arc<Shared>,
    ended: mpsc::Receiver<()>,
    sync: Sync,
    every: Duration,
) -> Result<(), OpenError> {
    let node = Arc::downgrade(shared);
    let pause = match sync {
        Sync::Interval(interval) => interval.min(every),
        Sync::Always | Sync::Never => every,
    };
    let syncs = matches!(sync, Sync::Interval(_));
    let thread = thread::Builder::new().name("fluss-node".to_owned());
    let run = move || {
        // The pauses are all that tells this thread how much time has passed.
        let mut rested = Duration::ZERO;
        while ended.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
            let Some(node) = node.upgrade() else { return };
            rested += pause;
            if syncs {
                node.sync();
            }
            if rested >= every {
                rested = Duration::ZERO;
                node.tidy();
            }
        }
    };
    let spawned = thread.spawn(run);
    spawned.map(drop).map_err(|source| OpenError::Io {
        path: "a thread".into(),
        source,
    })
}
