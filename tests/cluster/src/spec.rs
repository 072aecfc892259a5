//! What a cluster should be.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::front::Tls;

/// One account of a cluster with SASL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct User {
    /// The name to authenticate with.
    pub name: &'static str,
    /// The password that goes with it.
    pub password: &'static str,
}

/// The super user: every operation is allowed.
pub const ROOT: User = User {
    name: "root",
    password: "root-secret",
};

/// An ordinary user: nothing is allowed that an ACL does not allow.
pub const ALICE: User = User {
    name: "alice",
    password: "alice-secret",
};

/// What a cluster should be: one tablet server, no SASL, heaps of 512 MiB, ready within two minutes, unless told.
#[derive(Debug, Clone)]
pub struct Spec {
    pub(crate) tablet_servers: u32,
    pub(crate) sasl: bool,
    pub(crate) tls: Option<Tls>,
    pub(crate) properties: BTreeMap<String, String>,
    pub(crate) plugins: Vec<String>,
    pub(crate) jvm_options: Vec<String>,
    pub(crate) heap_mib: u32,
    pub(crate) optimized: bool,
    pub(crate) keep_data: bool,
    pub(crate) descriptors: Option<u32>,
    pub(crate) ready_within: Duration,
}

impl Default for Spec {
    fn default() -> Self {
        Self {
            tablet_servers: 1,
            sasl: false,
            tls: None,
            properties: BTreeMap::new(),
            plugins: Vec::new(),
            jvm_options: Vec::new(),
            heap_mib: 512,
            optimized: false,
            keep_data: false,
            descriptors: None,
            // A cluster needs 5 s; a machine that builds something else at the same time may need ten times that.
            ready_within: Duration::from_mins(2),
        }
    }
}

impl Spec {
    /// One tablet server without SASL.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many tablet servers; their ids count from 0. With three or more, tables have three replicas, else one.
    #[must_use]
    pub fn tablet_servers(mut self, count: u32) -> Self {
        self.tablet_servers = count;
        self
    }

    /// The client listener wants SASL/PLAIN with [`ROOT`] or [`ALICE`], and the authorizer is on.
    #[must_use]
    pub fn sasl(mut self) -> Self {
        self.sasl = true;
        self
    }

    /// Before every server stands a proxy that ends TLS, and `advertised.listeners` names it, as `localhost`. Among themselves
    /// the servers talk past the proxies. `fluss serve` has TLS itself, and gets none.
    #[must_use]
    pub fn behind_tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// One more line for every server's configuration; it wins over what the fixture would write.
    #[must_use]
    pub fn property(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.properties.insert(key.into(), value.into());
        self
    }

    /// A plugin for every server, by its name in Maven: `fluss-fs-s3`.
    #[must_use]
    pub fn plugin(mut self, name: impl Into<String>) -> Self {
        self.plugins.push(name.into());
        self
    }

    /// One more option for the Java machine of every process.
    #[must_use]
    pub fn jvm_option(mut self, option: impl Into<String>) -> Self {
        self.jvm_options.push(option.into());
        self
    }

    /// The heap of each Fluss process, in MiB.
    #[must_use]
    pub fn heap_mib(mut self, heap_mib: u32) -> Self {
        self.heap_mib = heap_mib;
        self
    }

    /// Servers that run at full speed, for benchmarks; without it they start quicker and never compile hot code well.
    #[must_use]
    pub fn optimized(mut self) -> Self {
        self.optimized = true;
        self
    }

    /// Leaves data and logs behind when the cluster ends.
    #[must_use]
    pub fn keep_data(mut self) -> Self {
        self.keep_data = true;
        self
    }

    /// How many descriptors `fluss serve` may have, as `ulimit -n` says it.
    #[must_use]
    pub fn descriptors(mut self, descriptors: u32) -> Self {
        self.descriptors = Some(descriptors);
        self
    }

    /// How long [`Cluster::start`](crate::Cluster::start) waits for the cluster to be ready.
    #[must_use]
    pub fn ready_within(mut self, deadline: Duration) -> Self {
        self.ready_within = deadline;
        self
    }

    /// Who may authenticate; nobody has to without SASL.
    pub(crate) fn users(&self) -> &'static [User] {
        if self.sasl { &[ROOT, ALICE] } else { &[] }
    }

    /// What was asked for with [`property`](Self::property).
    pub fn properties(&self) -> &BTreeMap<String, String> {
        &self.properties
    }

    /// Whether servers talk to each other where clients do not come.
    pub(crate) fn has_internal_listener(&self) -> bool {
        self.sasl || self.tls.is_some()
    }

    /// How many replicas a table gets that does not ask for a number.
    pub(crate) fn replication_factor(&self) -> u32 {
        if self.tablet_servers >= 3 { 3 } else { 1 }
    }
}
