//! Every knob of a node, with its default and its unit.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use fluss_rpc::frame::DEFAULT_MAX_REQUEST_BYTES;
use fluss_rpc::net::ServerAddress;
use fluss_rpc::net::tls::TlsServerOptions;
use fluss_store::disk::Disk;

mod keys;

pub use keys::InvalidOption;

use crate::catalog::Limits as TableLimits;
use crate::clock::{Clock, SystemClock};
use crate::security::{Access, Users};

/// Where a node keeps its tables.
#[derive(Clone)]
pub enum Storage {
    /// In memory: gone with the node.
    Memory,
    /// In a directory, which is created if need be.
    Directory(PathBuf),
    /// On a disk of the caller's.
    Disk(Arc<dyn Disk>),
}

impl fmt::Debug for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory"),
            Self::Directory(path) => write!(f, "{}", path.display()),
            Self::Disk(disk) => disk.fmt(f),
        }
    }
}

/// What survives when the machine goes down. What was acknowledged always survives the end of the process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sync {
    /// Everything that was acknowledged: a write waits for the disk.
    Always,
    /// What was acknowledged before the last interval.
    Interval(Duration),
    /// What the system has written by itself.
    Never,
}

impl Default for Sync {
    /// An interval of 1 s.
    fn default() -> Self {
        Self::Interval(Duration::from_secs(1))
    }
}

/// How far batches are looked at before they are stored.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum BatchCheck {
    /// Their checksum, schema and counts, and whether readers can take them apart: what costs little.
    #[default]
    Shape,
    /// Every value of every record too, and whether a record of a primary-key table has the key of its row.
    All,
}

/// How much a node takes on.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// Connections at a time; further ones are refused with the reason, and closed. 1,000.
    pub connections: usize,
    /// The largest request, in bytes. 100 MiB.
    pub request_bytes: usize,
    /// What requests may hold in memory before they are answered, in bytes, and answers until clients have taken them:
    /// each as much. 256 MiB.
    pub memory_bytes: usize,
    /// The largest answer, in bytes. It has to hold the largest batch that a request can bring. 128 MiB, which is what
    /// clients take.
    pub answer_bytes: usize,
    /// How much a request may list: buckets, keys, whatever repeats in it. 262,144, which is twice the most buckets that a
    /// table has by default.
    pub entries: usize,
    /// After how long without a request a scan is given up. 10 min.
    pub scan: Duration,
    /// Connections at a time from one address. As many as in all.
    pub connections_of_host: usize,
    /// How long a connection may be idle: nothing is asked, and nothing that was asked is under way. 10 min.
    pub idle: Duration,
    /// How long a frame may take from its first byte to its last, and a second more for each MiB; and how long a client may
    /// take nothing of what waits for it. 30 s.
    pub frame: Duration,
    /// How long a client may take for the TLS handshake, and then to log in. 10 s.
    pub login: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1_000,
            request_bytes: DEFAULT_MAX_REQUEST_BYTES,
            memory_bytes: 256 << 20,
            answer_bytes: 128 << 20,
            entries: 1 << 18,
            scan: Duration::from_mins(10),
            connections_of_host: usize::MAX,
            idle: Duration::from_mins(10),
            frame: Duration::from_secs(30),
            login: Duration::from_secs(10),
        }
    }
}

/// What a node is opened with.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NodeOptions {
    /// Where it keeps its tables.
    pub storage: Storage,
    /// What survives when the machine goes down.
    pub sync: Sync,
    /// How far batches are looked at before they are stored.
    pub check: BatchCheck,
    /// How much it takes on.
    pub limits: Limits,
    /// Which tables may be created, and what they are given that do not say otherwise.
    pub tables: TableLimits,
    /// With these all listeners speak TLS, and nothing else. It needs the feature `tls` of the crate.
    pub tls: Option<TlsServerOptions>,
    /// Users who may connect from other processes, beside those that are created while the node runs. If there are none, and
    /// `login` does not ask for it, nobody logs in.
    pub users: Option<Users>,
    /// Whether everybody of another process has to log in, be there users or not.
    pub login: bool,
    /// Who may do what.
    pub access: Access,
    /// What tells it the time.
    pub clock: Arc<dyn Clock>,
    /// The address that clients are given to connect to; the one it listens at unless this says otherwise.
    pub advertised: Option<ServerAddress>,
    /// What was set by key, as `DESCRIBE_CLUSTER_CONFIGS` shows it.
    pub configs: BTreeMap<String, String>,
    /// How often old data are dropped, and partitions created and dropped by the calendar. 1 min.
    pub housekeeping: Duration,
    /// The size at which a file of a log is closed and another begun, in bytes. 64 MiB.
    pub segment_bytes: u64,
    /// How many descriptors the files of buckets may keep in a directory; those that are idle are closed, and opened again when
    /// they are asked for. Half of what the process may have, 65,536 at most, for all its nodes together.
    pub open_files: Option<usize>,
}

impl NodeOptions {
    /// The defaults, with a place for the tables.
    pub fn new(storage: Storage) -> Self {
        Self {
            storage,
            sync: Sync::default(),
            check: BatchCheck::default(),
            limits: Limits::default(),
            tables: TableLimits::default(),
            tls: None,
            users: None,
            login: false,
            access: Access::default(),
            clock: Arc::new(SystemClock),
            advertised: None,
            configs: BTreeMap::new(),
            housekeeping: Duration::from_mins(1),
            segment_bytes: 64 << 20,
            open_files: None,
        }
    }
}
