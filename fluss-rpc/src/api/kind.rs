//! What a server is, as far as the APIs that it lists tell.

use std::fmt;

use super::{ApiKey, ServerRole};

/// What a server is, as far as its answer to `API_VERSIONS` tells (`rpc.md` §3, §4). It is for people to read:
/// what a server can do is decided by each API for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ServerKind {
    /// A node that is coordinator and tablet server in one.
    Node,
    /// A server of Apache Fluss 1.0 or later.
    V1(ServerRole),
    /// A server of Apache Fluss 0.9.1.
    V0_9(ServerRole),
    /// A server of a release before 0.9.1.
    Older(ServerRole),
    /// It lists nothing by which it can be known.
    Unknown,
}

impl ServerKind {
    /// Judges by the role that a server claims and by the APIs that it lists.
    pub(super) fn of(role: Option<ServerRole>, lists: impl Fn(ApiKey) -> bool) -> Self {
        let Some(role) = role else {
            let is_both = lists(ApiKey::CreateTable) && lists(ApiKey::FetchLog);
            return if is_both { Self::Node } else { Self::Unknown };
        };
        let of_role = |key: &&ApiKey| key.is_served_by(role);
        if ApiKey::ALL.iter().any(|key| key.is_of_1_0() && lists(*key)) {
            return Self::V1(role);
        }
        let newest = ApiKey::ALL.iter().filter(of_role).rfind(|key| !key.is_of_1_0());
        if newest.is_some_and(|key| lists(*key)) {
            Self::V0_9(role)
        } else {
            Self::Older(role)
        }
    }
}

impl fmt::Display for ServerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node => f.write_str("an embedded node"),
            Self::V1(role) => write!(f, "a Fluss 1.0 {role}"),
            Self::V0_9(role) => write!(f, "a Fluss 0.9 {role}"),
            Self::Older(role) => write!(f, "a {role} older than Fluss 0.9.1"),
            Self::Unknown => f.write_str("a server of a kind that is not known"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(role: Option<ServerRole>, lists: impl Fn(ApiKey) -> bool) -> String {
        ServerKind::of(role, lists).to_string()
    }

    #[test]
    fn a_server_is_known_by_what_it_lists() {
        for role in [ServerRole::Coordinator, ServerRole::Tablet] {
            let serves = |key: ApiKey| key.is_served_by(role);
            assert_eq!(kind(Some(role), serves), format!("a Fluss 1.0 {role}"));
            let in_0_9 = |key: ApiKey| serves(key) && !key.is_of_1_0();
            assert_eq!(kind(Some(role), in_0_9), format!("a Fluss 0.9 {role}"));
            let before = |key: ApiKey| in_0_9(key) && key < ApiKey::AcquireKvSnapshotLease;
            assert_eq!(
                kind(Some(role), before),
                format!("a {role} older than Fluss 0.9.1")
            );
        }
        assert_eq!(kind(None, |_| true), "an embedded node");
        let no_tablet = |key: ApiKey| key.is_served_by(ServerRole::Coordinator);
        assert_eq!(kind(None, no_tablet), "a server of a kind that is not known");
    }
}
