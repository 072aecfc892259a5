//! Every knob of the client, with its default, its unit, and the keys by which it goes in configurations.

use std::fmt;
use std::time::Duration;

use fluss_rpc::net::tls::TlsOptions;
use fluss_rpc::net::{KeepAlive, ServerAddress, Transport};
use fluss_rpc::sasl::Credentials;

use fluss_core::types::InvalidDefinition;

/// What a connection needs to know.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClientOptions {
    /// Servers to begin with, of any role. At least one.
    pub bootstrap_servers: Vec<ServerAddress>,
    /// Whether these are to be looked up, and each address that a name has is a server to begin with.
    pub discover: bool,
    /// How servers are looked for.
    pub discovery: DiscoveryOptions,
    /// The database of tables that are named without one. None: they have to be named with theirs.
    pub database: Option<String>,
    /// What servers are told of who is connected, and metrics and logs say. Nothing.
    pub name: Option<String>,
    /// When a silent connection is probed. As the system does.
    pub keep_alive: KeepAlive,
    /// Which server of a bucket reads it. Its leader.
    pub node_preference: NodePreference,
    /// Who the client is, on a listener that asks.
    pub credentials: Option<Credentials>,
    /// Whether the password may go to another machine in clear, without TLS. No: such a connection is refused before anything is
    /// sent.
    pub allow_insecure_password: bool,
    /// With these servers are reached by TLS, and never without it. It needs the feature `tls` of the crate, and takes the place
    /// of a `transport` of TCP, not of another.
    pub tls: Option<TlsOptions>,
    /// How servers are reached. TCP, unless they are in this process, or a test's network stands between.
    pub transport: Transport,
    /// What jitter and choices among equals begin with, so that a test makes the same again. Without one they are others each time.
    pub seed: Option<u64>,
    /// The longest wait for a connection, with its login. 10 s.
    pub connect_timeout: Duration,
    /// The longest wait for the answer to a request. 30 s.
    pub request_timeout: Duration,
    /// How writers batch and retry.
    pub writer: WriterOptions,
    /// How scanners fetch.
    pub scanner: ScannerOptions,
    /// How files in the cluster's remote storage are read.
    pub remote: RemoteOptions,
}

/// Which server of a bucket reads it. Servers of Fluss let nobody but its leader do so.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[non_exhaustive]
pub enum NodePreference {
    /// Its leader.
    #[default]
    Leader,
}

/// How servers are looked for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DiscoveryOptions {
    /// How often a cluster is looked for that has no servers yet, or whose name leads nowhere. 10.
    pub attempts: u32,
    /// The first pause between these attempts; the next are longer, up to ten times. 100 ms.
    pub interval: Duration,
    /// The longest wait for one server to say where things are, before another is asked. 5 s.
    pub timeout: Duration,
}

impl Default for DiscoveryOptions {
    fn default() -> Self {
        Self {
            attempts: 10,
            interval: Duration::from_millis(100),
            timeout: Duration::from_secs(5),
        }
    }
}

/// How writers batch and retry.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WriterOptions {
    /// Who must have stored a write before it is acknowledged. All replicas in sync.
    pub acks: Acks,
    /// A batch of this many bytes, before compression, is sent without waiting for more. 2 MiB.
    pub batch_bytes: usize,
    /// How long a batch waits for more rows. 100 ms.
    pub linger: Duration,
    /// The most bytes of one write request. 10 MiB.
    pub request_max_bytes: usize,
    /// The most bytes that rows may hold from their append to their acknowledgement; an append waits while there is
    /// no room. 64 MiB.
    pub buffer_bytes: usize,
    /// The longest that an append waits for room, and a write for its acknowledgement, retries included. 120 s.
    pub delivery_timeout: Duration,
    /// Whether retries are recognised by the server, so that nothing is stored twice. Yes.
    pub idempotence: bool,
    /// The most batches of one bucket on their way. 5, which is also the most that a server recognises.
    pub max_in_flight: usize,
    /// How often a batch is sent again before its delivery deadline. Without limit.
    pub retries: u32,
    /// The longest that writes to a bucket of a primary-key table are held up at a time because its server says that it falls
    /// behind (`v1_0.md` §6.2). 0 holds nothing up. 3 s.
    pub max_throttle: Duration,
    /// How the bucket is chosen in a table without bucket key.
    pub bucket_assigner: BucketAssigner,
    /// Whether partitions that rows belong to are created if they are missing. Yes.
    pub create_partitions: bool,
}

/// How scanners fetch.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ScannerOptions {
    /// The most bytes of one fetch, unless a single batch is larger. 16 MiB.
    pub fetch_max_bytes: usize,
    /// The most bytes of one bucket in a fetch, unless a single batch is larger. 1 MiB.
    pub fetch_max_bytes_per_bucket: usize,
    /// A server with fewer bytes than this waits for more. 1.
    pub fetch_min_bytes: usize,
    /// How long a server with too few bytes waits. 500 ms.
    pub fetch_wait: Duration,
    /// The most records that one poll returns. 500.
    pub max_poll_records: usize,
    /// After so many bytes of decoded records a poll takes no further batch. 64 MiB.
    pub max_poll_bytes: usize,
    /// The most bytes that one batch may have when it is decoded. One that has more is not read: a few compressed bytes
    /// may stand for very many. 256 MiB.
    pub max_batch_bytes: usize,
    /// Whether the checksums of batches are verified. Yes.
    pub check_crc: bool,
    /// Where records are read that a server has both itself and in the cluster's remote storage. From the server.
    pub read_preference: ReadPreference,
    /// How often a scanner that reads a whole partitioned table looks for new partitions. 10 s.
    pub partition_discovery: Duration,
}

/// How files in the cluster's remote storage are read: the segments of logs that it has moved there.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RemoteOptions {
    /// The most bytes that a scanner holds of files, ahead of the consumer and with what is on its way; more only if a
    /// single batch is larger. 32 MiB.
    pub prefetch_bytes: usize,
    /// How many reads a scanner has under way at a time, each of a part of a file. 4.
    pub read_concurrency: usize,
    /// How S3 is reached, where the cluster keeps its files there.
    pub s3: S3Options,
}

/// How S3 is reached, or a store of another make that speaks its protocol. What is absent is asked of the cluster.
///
/// Without the feature `s3` of the crate all of this has no effect.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct S3Options {
    /// The address of the store, as an `http` or `https` URL. That of AWS in the region.
    pub endpoint: Option<String>,
    /// The region. `us-east-1`.
    pub region: Option<String>,
    /// Whether the bucket is part of the path and not of the host name. Exactly where there is an endpoint.
    pub path_style: Option<bool>,
    /// Who signs requests, if the cluster is not to be asked for credentials.
    pub access_key: Option<S3AccessKey>,
}

/// Who signs requests to S3.
#[derive(Clone, PartialEq, Eq)]
pub struct S3AccessKey {
    /// The name of the key.
    pub id: String,
    /// The secret that goes with it.
    pub secret: String,
}

impl fmt::Debug for S3AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3AccessKey")
            .field("id", &self.id)
            .field("secret", &"***")
            .finish()
    }
}

/// Who must have stored a write before it is acknowledged.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[non_exhaustive]
pub enum Acks {
    /// Nobody: acknowledged when received.
    None,
    /// The leader.
    Leader,
    /// All replicas in sync.
    #[default]
    All,
}

impl Acks {
    /// The number on the wire (`messages.md` 1014).
    pub const fn number(self) -> i32 {
        match self {
            Self::None => 0,
            Self::Leader => 1,
            Self::All => -1,
        }
    }
}

/// How the bucket is chosen in a table without bucket key (`rows.md` §6.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[non_exhaustive]
pub enum BucketAssigner {
    /// One bucket until its batch is full, then another.
    #[default]
    Sticky,
    /// Each row the next bucket.
    RoundRobin,
}

/// Where records are read that a server has both itself and in the cluster's remote storage (`v1_0.md` §9). Servers before 1.0
/// answer with their own.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[non_exhaustive]
pub enum ReadPreference {
    /// From the server: soonest there.
    #[default]
    LocalFirst,
    /// From the remote storage: the server has less to do.
    RemoteFirst,
}

impl ReadPreference {
    /// The number on the wire (`v1_0.md` §3.1); nothing where it says what servers do anyhow.
    pub(crate) const fn number(self) -> Option<i32> {
        match self {
            Self::LocalFirst => None,
            Self::RemoteFirst => Some(1),
        }
    }
}

impl ClientOptions {
    /// The defaults, with servers to begin with.
    pub fn new(bootstrap_servers: impl IntoIterator<Item = ServerAddress>) -> Self {
        Self {
            bootstrap_servers: bootstrap_servers.into_iter().collect(),
            discover: false,
            discovery: DiscoveryOptions::default(),
            database: None,
            name: None,
            keep_alive: KeepAlive::default(),
            node_preference: NodePreference::Leader,
            credentials: None,
            allow_insecure_password: false,
            tls: None,
            transport: Transport::default(),
            seed: None,
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
            writer: WriterOptions::default(),
            scanner: ScannerOptions::default(),
            remote: RemoteOptions::default(),
        }
    }

    /// Checks the options against one another.
    pub fn validate(&self) -> Result<(), InvalidDefinition> {
        let fault = |reason: &str| Err(InvalidDefinition::new(reason));
        if let Some(tls) = &self.tls {
            if cfg!(not(feature = "tls")) {
                return fault("tls: this client was built without it, the feature 'tls' of fluss-client");
            }
            tls.validate()
                .map_err(|error| InvalidDefinition::new(error.to_string()))?;
        }
        self.writer.validate()?;
        let scanner = &self.scanner;
        if scanner.max_poll_records == 0
            || scanner.max_poll_bytes == 0
            || scanner.max_batch_bytes == 0
            || scanner.fetch_max_bytes == 0
            || scanner.fetch_max_bytes_per_bucket == 0
            || scanner.partition_discovery.is_zero()
        {
            return fault("the limits of a scanner must be above 0");
        }
        if self.remote.prefetch_bytes == 0 || self.remote.read_concurrency == 0 {
            return fault("the limits of reads in remote storage must be above 0");
        }
        Ok(())
    }
}

impl WriterOptions {
    fn validate(&self) -> Result<(), InvalidDefinition> {
        let fault = |reason: &str| Err(InvalidDefinition::new(reason));
        if self.idempotence && self.acks != Acks::All {
            return fault("an idempotent writer needs acks = all");
        }
        if self.idempotence && (self.retries == 0 || self.max_in_flight > 5) {
            return fault("an idempotent writer needs retries and at most 5 batches in flight per bucket");
        }
        if self.max_in_flight == 0 || self.batch_bytes == 0 || self.buffer_bytes == 0 {
            return fault("the limits of a writer must be above 0");
        }
        if self.request_max_bytes > MAX_REQUEST_BYTES {
            return fault("client.writer.request-max-size is above the 100 MiB that servers accept");
        }
        Ok(())
    }
}

impl RemoteOptions {
    /// How much of a file is read at once: with every read under way, half of what may be held.
    pub(crate) fn stretch_bytes(&self) -> usize {
        (self.prefetch_bytes / 2 / self.read_concurrency).clamp(64 << 10, 8 << 20)
    }
}

/// The largest frame that a server takes by default (`rpc.md` §1.4).
const MAX_REQUEST_BYTES: usize = 100 << 20;

impl Default for WriterOptions {
    fn default() -> Self {
        Self {
            acks: Acks::All,
            batch_bytes: 2 << 20,
            linger: Duration::from_millis(100),
            request_max_bytes: 10 << 20,
            buffer_bytes: 64 << 20,
            delivery_timeout: Duration::from_mins(2),
            idempotence: true,
            max_in_flight: 5,
            retries: u32::MAX,
            max_throttle: Duration::from_secs(3),
            bucket_assigner: BucketAssigner::Sticky,
            create_partitions: true,
        }
    }
}

impl Default for ScannerOptions {
    fn default() -> Self {
        Self {
            fetch_max_bytes: 16 << 20,
            fetch_max_bytes_per_bucket: 1 << 20,
            fetch_min_bytes: 1,
            fetch_wait: Duration::from_millis(500),
            max_poll_records: 500,
            max_poll_bytes: 64 << 20,
            max_batch_bytes: 256 << 20,
            check_crc: true,
            read_preference: ReadPreference::LocalFirst,
            partition_discovery: Duration::from_secs(10),
        }
    }
}

impl Default for RemoteOptions {
    fn default() -> Self {
        Self {
            prefetch_bytes: 32 << 20,
            read_concurrency: 4,
            s3: S3Options::default(),
        }
    }
}
