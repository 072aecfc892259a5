//! The choice of a version for each API: `rpc.md` §4.

use std::collections::HashMap;
use std::fmt;
use std::ops::RangeInclusive;

use super::{ApiKey, ServerKind, ServerRole};
use crate::proto::{ApiVersionsResponse, PbApiVersion};

/// What a server said about itself: its role and, for each API, its versions.
#[derive(Debug, Clone, Default)]
pub struct Versions {
    role: Option<ServerRole>,
    offered: HashMap<ApiKey, RangeInclusive<i16>>,
}

impl Versions {
    /// Reads the answer to `API_VERSIONS`. Keys that nobody knows are passed over, and numbers out of range are
    /// moved to its nearest end. Whatever a server of a cluster lists under a key of the node, it is something else.
    pub fn from_response(response: &ApiVersionsResponse) -> Self {
        let role = ServerRole::from_server_type(response.server_type);
        let is_known = |(api, _): &(ApiKey, _)| role.is_none() || !api.is_of_node();
        let offered = response.api_versions.iter().filter_map(offer);
        Self {
            role,
            offered: offered.filter(is_known).collect(),
        }
    }

    /// The role that the server claims, if it claims one.
    pub fn server_role(&self) -> Option<ServerRole> {
        self.role
    }

    /// What the server is, as far as it can be known.
    pub fn server_kind(&self) -> ServerKind {
        ServerKind::of(self.role, |api| self.offered.contains_key(&api))
    }

    /// The highest version of the API that both sides speak.
    ///
    /// # Errors
    ///
    /// [`Unsupported`] when there is none; the request must not be sent then, for the server might never answer.
    pub fn usable(&self, api: ApiKey) -> Result<i16, Unsupported> {
        self.usable_from(api, 0)
    }

    /// The same, of those that are not below `least`.
    ///
    /// # Errors
    ///
    /// As of [`usable`](Self::usable).
    pub fn usable_from(&self, api: ApiKey, least: i16) -> Result<i16, Unsupported> {
        let ours = api.versions();
        let ours = ours.map(|ours| *ours.start().max(&least)..=*ours.end());
        let theirs = self.offered.get(&api).cloned();
        highest_common(ours.as_ref(), theirs.as_ref()).ok_or_else(|| Unsupported {
            api,
            ours,
            theirs,
            server: self.server_kind(),
        })
    }
}

fn offer(version: &PbApiVersion) -> Option<(ApiKey, RangeInclusive<i16>)> {
    let api = ApiKey::from_number(i16::try_from(version.api_key).ok()?)?;
    Some((api, saturate(version.min_version)..=saturate(version.max_version)))
}

fn saturate(version: i32) -> i16 {
    version.clamp(i16::MIN.into(), i16::MAX.into()) as i16
}

fn highest_common(ours: Option<&RangeInclusive<i16>>, theirs: Option<&RangeInclusive<i16>>) -> Option<i16> {
    let (ours, theirs) = (ours?, theirs?);
    let lowest = *ours.start().max(theirs.start());
    let highest = *ours.end().min(theirs.end());
    (lowest <= highest).then_some(highest)
}

/// An API that cannot be used on a connection, because no version of it is common to both sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsupported {
    /// The API.
    pub api: ApiKey,
    /// The versions of this side, if it has any.
    pub ours: Option<RangeInclusive<i16>>,
    /// The versions that the server listed, if it listed the API.
    pub theirs: Option<RangeInclusive<i16>>,
    /// What the server is, as far as it can be known.
    pub server: ServerKind,
}

impl std::error::Error for Unsupported {}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { api, server, .. } = self;
        match (&self.ours, &self.theirs) {
            (None, _) => write!(f, "this client does not speak {api}"),
            (Some(_), None) if api.is_of_node() => write!(
                f,
                "the server, {server}, does not offer {api}, which only an embedded node does (fluss serve)"
            ),
            (Some(_), None) => write!(f, "the server, {server}, does not offer {api}"),
            (Some(ours), Some(theirs)) => write!(
                f,
                "the server, {server}, speaks {api} in versions {} to {}, this client in versions {} to {}",
                theirs.start(),
                theirs.end(),
                ours.start(),
                ours.end()
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn versions(entries: &[(i32, i32, i32)]) -> Versions {
        let api_versions = entries
            .iter()
            .map(|&(api_key, min_version, max_version)| PbApiVersion {
                api_key,
                min_version,
                max_version,
            })
            .collect();
        Versions::from_response(&ApiVersionsResponse {
            api_versions,
            server_type: Some(2),
        })
    }

    #[test]
    fn the_highest_common_version_is_chosen() {
        let put_kv = i32::from(ApiKey::PutKv.number());
        for (min, max, chosen) in [(0, 0, 0), (0, 1, 1), (0, 3, 3), (1, 7, 3)] {
            assert_eq!(versions(&[(put_kv, min, max)]).usable(ApiKey::PutKv), Ok(chosen));
        }
    }

    #[test]
    fn without_a_common_version_the_api_is_unsupported() {
        let put_kv = i32::from(ApiKey::PutKv.number());
        let error = versions(&[(put_kv, 4, 5)]).usable(ApiKey::PutKv).unwrap_err();
        assert_eq!(error.theirs, Some(4..=5));
        assert_eq!(
            error.to_string(),
            "the server, a tablet server older than Fluss 0.9.1, speaks PUT_KV in versions 4 to 5, \
             this client in versions 0 to 3"
        );
        let alter_table = i32::from(ApiKey::AlterTable.number());
        let error = versions(&[(alter_table, 0, 0)])
            .usable_from(ApiKey::AlterTable, 1)
            .unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with("speaks ALTER_TABLE in versions 0 to 0, this client in versions 1 to 1"),
            "{error}"
        );
        let error = versions(&[(1059, 0, 0)]).usable(ApiKey::PutKv).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the server, a Fluss 0.9 tablet server, does not offer PUT_KV"
        );
        assert_eq!(
            versions(&[(1019, 0, 0)])
                .usable(ApiKey::StopReplica)
                .unwrap_err()
                .ours,
            None
        );
    }

    #[test]
    fn an_api_of_the_node_is_never_asked_of_a_server_of_a_cluster() {
        let create_user = i32::from(ApiKey::CreateUser.number());
        for listed in [&[(1059, 0, 0)][..], &[(1059, 0, 0), (create_user, 0, 0)]] {
            let error = versions(listed).usable(ApiKey::CreateUser).unwrap_err();
            assert_eq!(
                error.to_string(),
                "the server, a Fluss 0.9 tablet server, does not offer CREATE_USER, \
                 which only an embedded node does (fluss serve)"
            );
        }
        let mut of_node = ApiVersionsResponse::default();
        of_node.api_versions.push(PbApiVersion {
            api_key: create_user,
            ..Default::default()
        });
        assert_eq!(
            Versions::from_response(&of_node).usable(ApiKey::CreateUser),
            Ok(0)
        );
    }

    #[test]
    fn hostile_numbers_are_harmless() {
        let extremes = [i32::MIN, -1, 0, 1, 1016, 1_016 + 65_536, i32::MAX];
        for api_key in extremes {
            for min in extremes {
                for max in extremes {
                    let usable = versions(&[(api_key, min, max)]).usable(ApiKey::PutKv);
                    assert_eq!(
                        usable.is_ok(),
                        api_key == 1016 && min <= 1 && max >= 0 && min <= max,
                        "{min} {max}"
                    );
                }
            }
        }
    }
}
