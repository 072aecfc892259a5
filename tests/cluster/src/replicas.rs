//! Who keeps the buckets of a table, as the coordinator writes it into ZooKeeper.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::zookeeper::Session;

/// `/fluss/tabletservers/tables/ID`: the servers that are to keep each bucket.
#[derive(Deserialize)]
struct Assignment {
    buckets: BTreeMap<u32, BTreeSet<u32>>,
}

/// `/fluss/tabletservers/tables/ID/buckets/N/leader_isr`: the servers that do.
#[derive(Deserialize)]
struct LeaderAndIsr {
    /// Negative if there is none.
    leader: i64,
    isr: BTreeSet<u32>,
}

/// The leader of each bucket of a table, by the buckets' numbers, if every replica of every bucket is in sync; else what
/// speaks against it.
pub(crate) fn leaders_in_sync(zookeeper: &mut Session, table: i64) -> Result<Vec<u32>, String> {
    let path = format!("/fluss/tabletservers/tables/{table}");
    let Assignment { buckets } = read(zookeeper, &path)?;
    let in_sync = buckets.iter().map(|(bucket, assigned)| {
        let now = read(zookeeper, &format!("{path}/buckets/{bucket}/leader_isr"))?;
        leader_in_sync(&now, assigned).map_err(|state| format!("bucket {bucket} of table {table} {state}"))
    });
    in_sync.collect()
}

fn leader_in_sync(now: &LeaderAndIsr, assigned: &BTreeSet<u32>) -> Result<u32, String> {
    let leader = u32::try_from(now.leader).map_err(|_| "has no leader".to_owned())?;
    if now.isr.is_superset(assigned) {
        Ok(leader)
    } else {
        Err(format!("is in sync on {:?} of {assigned:?}", now.isr))
    }
}

fn read<T: DeserializeOwned>(zookeeper: &mut Session, path: &str) -> Result<T, String> {
    let data = zookeeper.read(path).map_err(|error| error.to_string())?;
    serde_json::from_slice(&data).map_err(|error| format!("{path}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_in_sync_with_a_leader_and_all_its_replicas() {
        let bucket = |leader, isr: &[u32]| LeaderAndIsr {
            leader,
            isr: isr.iter().copied().collect(),
        };
        let assigned = [0, 2, 1].into();
        assert_eq!(leader_in_sync(&bucket(1, &[1, 0, 2]), &assigned), Ok(1));
        assert!(leader_in_sync(&bucket(1, &[1, 2]), &assigned).is_err());
        assert!(leader_in_sync(&bucket(-1, &[0, 1, 2]), &assigned).is_err());
    }
}
