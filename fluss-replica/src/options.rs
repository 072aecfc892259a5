//! How a replica is opened.

use std::time::Duration;

use fluss_client::filter::Predicate;

/// How a replica is opened.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct ReplicaOptions {
    /// The columns that are held beside those of the primary key; nothing for all, those included that are added later.
    pub columns: Option<Vec<String>>,
    /// The condition that rows hold which are held; nothing for all.
    pub filter: Option<Predicate>,
    /// How old the copy may be that is read; nothing for any age.
    pub max_staleness: Option<Duration>,
    /// How often the cluster is asked where the changelog ends, which is how the copy comes to know how new it is.
    pub freshness_interval: Duration,
}

impl Default for ReplicaOptions {
    /// All columns of all rows, of any age; a look at the cluster ten times a second.
    fn default() -> Self {
        Self {
            columns: None,
            filter: None,
            max_staleness: None,
            freshness_interval: Duration::from_millis(100),
        }
    }
}
