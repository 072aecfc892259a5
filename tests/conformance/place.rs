//! Where a test is run.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};

use fluss_client::embedded::{self, Node, NodeOptions, Storage};
use fluss_client::{ClientOptions, Connection, Credentials};
use fluss_cluster::{Cluster, Served, Spec, User};
use fluss_rpc::sync::Mutex;
use tempfile::TempDir;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::run;

/// What serves tables.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Backend {
    /// A node in this process that keeps everything in memory.
    Memory,
    /// A node in this process that keeps everything in a directory.
    Directory,
    /// `fluss serve`, a process of its own.
    Serve,
    /// Servers of Apache Fluss.
    Cluster,
}

impl Backend {
    pub(crate) const ALL: &[Self] = &[Self::Memory, Self::Directory, Self::Serve, Self::Cluster];
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Memory => "memory",
            Self::Directory => "directory",
            Self::Serve => "serve",
            Self::Cluster => "cluster",
        })
    }
}

/// A backend that runs for a test or some, and its share of the machine.
pub(crate) struct Place {
    // Dropped in this order: first the options, which keep a node in this process open.
    options: ClientOptions,
    running: Running,
    _share: SemaphorePermit<'static>,
}

/// What ends with a place.
#[expect(clippy::large_enum_variant, reason = "there is one for each test")]
enum Running {
    Node { directory: Option<TempDir> },
    Serve(Served),
    Cluster(Cluster),
}

impl Place {
    /// The cluster that it is, in tests that are run on nothing else.
    pub(crate) fn cluster(&self) -> &Cluster {
        match &self.running {
            Running::Cluster(cluster) => cluster,
            Running::Node { .. } | Running::Serve(_) => panic!("this is a test for clusters"),
        }
    }

    /// The `fluss serve` that it is, in tests that are run on nothing else.
    pub(crate) fn served(&self) -> &Served {
        match &self.running {
            Running::Serve(served) => served,
            Running::Node { .. } | Running::Cluster(_) => panic!("this is a test for fluss serve"),
        }
    }

    /// The directory of a node, and the process that has it open, in tests that are run on nothing else.
    pub(crate) fn directory(&self) -> (PathBuf, u32) {
        match &self.running {
            Running::Serve(served) => (served.directory().join("data"), served.pid()),
            Running::Node {
                directory: Some(directory),
            } => (directory.path().to_owned(), std::process::id()),
            Running::Node { .. } | Running::Cluster(_) => panic!("this is a test for directories"),
        }
    }

    /// The addresses of its servers, in tests that are run on nothing without.
    pub(crate) fn bootstrap(&self) -> String {
        match &self.running {
            Running::Cluster(cluster) => cluster.bootstrap(),
            Running::Serve(served) => served.bootstrap(),
            Running::Node { .. } => panic!("this is a test for servers with an address"),
        }
    }
}

/// Starts a backend beside those of other tests. They may keep its servers from running for longer than it takes until one
/// that died is replaced, so that takes longer here, unless the specification says otherwise.
pub(crate) fn start(backend: Backend, spec: Spec) -> Place {
    let is_impatient = backend != Backend::Cluster || spec.properties().contains_key(SESSION);
    let spec = if is_impatient {
        spec
    } else {
        spec.property(SESSION, "30 s")
    };
    start_with(backend, spec, 1)
}

/// How long a server may be silent before the others take it for dead.
pub(crate) const SESSION: &str = "zookeeper.client.session-timeout";

/// Starts a backend that has the machine to itself: for tests of what servers that stop and die cost, in seconds.
pub(crate) fn start_alone(backend: Backend, spec: Spec) -> Place {
    start_with(backend, spec, SHARES)
}

const SHARES: u32 = 1_000;

fn start_with(backend: Backend, spec: Spec, shares: u32) -> Place {
    static MACHINE: Semaphore = Semaphore::const_new(SHARES as usize);
    let share = run(MACHINE.acquire_many(shares)).unwrap();
    let (options, running) = match backend {
        Backend::Memory => in_memory(&spec),
        Backend::Directory => in_directory(&spec),
        Backend::Serve => {
            let served = Served::start(&spec).unwrap();
            let options = of_servers(&served.bootstrap(), served.users());
            (options, Running::Serve(served))
        }
        Backend::Cluster => {
            let cluster = Cluster::start(spec).unwrap();
            let options = of_servers(&cluster.bootstrap(), cluster.users());
            (options, Running::Cluster(cluster))
        }
    };
    Place {
        options,
        running,
        _share: share,
    }
}

/// Backends that tests share which run at the same time.
pub(crate) struct Shared(Mutex<BTreeMap<Backend, Weak<Place>>>);

impl Shared {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(BTreeMap::new()))
    }

    /// The one that another test has started, or a new one.
    pub(crate) fn start(&self, backend: Backend, spec: Spec) -> Arc<Place> {
        let mut places = self.0.lock();
        let place = places.get(&backend).and_then(Weak::upgrade);
        place.unwrap_or_else(|| {
            let place = Arc::new(start(backend, spec));
            places.insert(backend, Arc::downgrade(&place));
            place
        })
    }
}

fn in_memory(spec: &Spec) -> (ClientOptions, Running) {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let target = format!(
        "embedded::memory:place-{}",
        NUMBER.fetch_add(1, Ordering::Relaxed)
    );
    let options = of_node(spec, &target, Storage::Memory);
    (options, Running::Node { directory: None })
}

fn in_directory(spec: &Spec) -> (ClientOptions, Running) {
    let directory = TempDir::with_prefix("fluss-node-").unwrap();
    let target = format!("embedded:{}", directory.path().display());
    let options = of_node(spec, &target, Storage::Directory(directory.path().to_owned()));
    let running = Running::Node {
        directory: Some(directory),
    };
    (options, running)
}

/// Options that lead to a node by its target; what no target can say is said to the node itself.
fn of_node(spec: &Spec, target: &str, storage: Storage) -> ClientOptions {
    if spec.properties().is_empty() {
        return run(fluss_client::options(target)).unwrap();
    }
    let mut options = NodeOptions::new(storage);
    for (key, value) in spec.properties() {
        options.set(key, value).unwrap();
    }
    let mut leading = ClientOptions::new([]);
    embedded::lead(&mut leading, Node::open(options).unwrap());
    leading
}

/// Options that lead to servers; as their super user, if they want to know who comes.
fn of_servers(bootstrap: &str, users: &[User]) -> ClientOptions {
    let mut options = run(fluss_client::options(&format!("fluss://{bootstrap}"))).unwrap();
    let root = users.first();
    options.credentials = root.map(|user| Credentials::plain(user.name, user.password));
    options
}

/// The default options for a place; as its super user, if it wants to know who comes.
pub(crate) fn options(place: &Place) -> ClientOptions {
    place.options.clone()
}

pub(crate) async fn connect(place: &Place) -> Connection {
    Connection::open(options(place)).await.unwrap()
}
