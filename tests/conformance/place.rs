//! Where a test is run.

use std::fmt;

use fluss_client::{ClientOptions, Connection, Credentials};
use fluss_cluster::{Cluster, Spec};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::run;

/// What serves tables.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Backend {
    /// Servers of Apache Fluss.
    Cluster,
}

impl Backend {
    pub(crate) const ALL: &[Self] = &[Self::Cluster];
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cluster => "cluster",
        })
    }
}

/// A backend that runs for a test or some, and its share of the machine.
pub(crate) struct Place {
    options: ClientOptions,
    cluster: Cluster,
    _share: SemaphorePermit<'static>,
}

impl Place {
    /// The cluster that it is, in tests that are run on nothing else.
    pub(crate) fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// The addresses of its servers.
    pub(crate) fn bootstrap(&self) -> String {
        self.cluster().bootstrap()
    }
}

/// Starts a backend beside those of other tests.
pub(crate) fn start(backend: Backend, spec: Spec) -> Place {
    start_with(backend, spec, 1)
}

/// Starts a backend that has the machine to itself: for tests of what servers that stop and die cost, in seconds.
pub(crate) fn start_alone(backend: Backend, spec: Spec) -> Place {
    start_with(backend, spec, SHARES)
}

const SHARES: u32 = 1_000;

fn start_with(backend: Backend, spec: Spec, shares: u32) -> Place {
    static MACHINE: Semaphore = Semaphore::const_new(SHARES as usize);
    let share = run(MACHINE.acquire_many(shares)).unwrap();
    let Backend::Cluster = backend;
    let cluster = Cluster::start(spec).unwrap();
    let mut options = run(fluss_client::options(&format!("fluss://{}", cluster.bootstrap()))).unwrap();
    let root = cluster.users().first();
    options.credentials = root.map(|user| Credentials::plain(user.name, user.password));
    Place {
        options,
        cluster,
        _share: share,
    }
}

/// The default options for a place; as its super user, if it wants to know who comes.
pub(crate) fn options(place: &Place) -> ClientOptions {
    place.options.clone()
}

pub(crate) async fn connect(place: &Place) -> Connection {
    Connection::open(options(place)).await.unwrap()
}
