//! Where S3 is and who may read there, as the options or the cluster say.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fluss_rpc::proto::{GetFileSystemSecurityTokenRequest, GetFileSystemSecurityTokenResponse};
use fluss_rpc::sync::Mutex;
use serde::Deserialize;
use tokio::time::Instant;

use crate::cluster::Cluster;
use crate::config::{S3AccessKey, S3Options};
use crate::error::{Context, Result};
use fluss_core::DecodeError;

/// Where the store is, and who signs.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Access {
    pub(super) endpoint: Option<String>,
    pub(super) region: Option<String>,
    /// Whether the bucket is part of the path and not of the host name.
    pub(super) path_style: bool,
    pub(super) key: String,
    pub(super) secret: String,
    pub(super) session_token: Option<String>,
}

/// Gives access: that of the options, or that which the cluster has given last, until most of its time is over.
pub(super) struct Tokens {
    cluster: Cluster,
    given: Mutex<Option<Given>>,
    /// One asks, the others wait for what it learns.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Clone)]
struct Given {
    access: Arc<Access>,
    /// When to ask for another; nothing for never.
    renew: Option<Instant>,
}

impl Tokens {
    pub(super) fn new(cluster: Cluster) -> Self {
        Self {
            cluster,
            given: Mutex::default(),
            asking: tokio::sync::Mutex::default(),
        }
    }

    /// The access to read with now.
    ///
    /// # Errors
    ///
    /// A cluster that gives none.
    pub(super) async fn access(&self) -> Result<Arc<Access>> {
        let _asking = self.asking.lock().await;
        if let Some(given) = self.fresh() {
            return Ok(given);
        }
        let options = &self.cluster.options().remote.s3;
        let given = match &options.access_key {
            Some(key) => Given {
                access: Arc::new(Access::of_options(options, key)),
                renew: None,
            },
            None => self.ask(options).await?,
        };
        let access = given.access.clone();
        *self.given.lock() = Some(given);
        Ok(access)
    }

    /// Asks anew the next time, unless somebody else has meanwhile.
    pub(super) fn forget(&self, access: &Arc<Access>) {
        let mut given = self.given.lock();
        given.take_if(|given| Arc::ptr_eq(&given.access, access));
    }

    fn fresh(&self) -> Option<Arc<Access>> {
        let given = self.given.lock();
        let fresh = |given: &&Given| given.renew.is_none_or(|renew| Instant::now() < renew);
        given.as_ref().filter(fresh).map(|given| given.access.clone())
    }

    async fn ask(&self, options: &S3Options) -> Result<Given> {
        let context = Context::new("get security token");
        let request = GetFileSystemSecurityTokenRequest {};
        let response = self.cluster.ask(&context, &request).await?;
        let access = Access::of_response(options, &response).map_err(|error| context.error(error))?;
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let lifetime = response.expiration_time.map(|time| lifetime(time, since_epoch));
        Ok(Given {
            access: Arc::new(access),
            renew: lifetime.map(|lifetime| Instant::now() + lifetime * 3 / 4),
        })
    }
}

/// How long what ends at this time, in milliseconds since the epoch, is good; for a moment even by a clock that is ahead.
fn lifetime(expiration_time: i64, since_epoch: Duration) -> Duration {
    let end = Duration::from_millis(u64::try_from(expiration_time).unwrap_or_default());
    end.saturating_sub(since_epoch).max(Duration::from_secs(10))
}

/// The token of an S3 store (`messages.md` 1025), as a 0.9.1 server sends it.
#[derive(Deserialize)]
struct Token {
    access_key_id: String,
    access_key_secret: String,
    #[serde(rename = "security_token")]
    session: Option<String>,
}

impl Access {
    fn of_options(options: &S3Options, key: &S3AccessKey) -> Self {
        Self {
            endpoint: options.endpoint.clone(),
            region: options.region.clone(),
            path_style: options.path_style.unwrap_or(options.endpoint.is_some()),
            key: key.id.clone(),
            secret: key.secret.clone(),
            session_token: None,
        }
    }

    /// What the options leave open is taken from the response.
    fn of_response(
        options: &S3Options,
        response: &GetFileSystemSecurityTokenResponse,
    ) -> Result<Self, DecodeError> {
        let token: Token = serde_json::from_slice(&response.token).map_err(|error| {
            let reason = format!("a token for '{}' that is none for S3: {error}", response.schema);
            DecodeError::new("security token", reason)
        })?;
        let told: HashMap<_, _> = response
            .addition_info
            .iter()
            .map(|pair| (pair.key.as_str(), pair.value.clone()))
            .collect();
        let endpoint = options
            .endpoint
            .clone()
            .or_else(|| told.get("fs.s3a.endpoint").cloned());
        let path_style = told.get("fs.s3a.path.style.access").map(|value| value == "true");
        Ok(Self {
            region: options
                .region
                .clone()
                .or_else(|| told.get("fs.s3a.region").cloned()),
            path_style: options.path_style.or(path_style).unwrap_or(endpoint.is_some()),
            endpoint,
            key: token.access_key_id,
            secret: token.access_key_secret,
            session_token: token.session,
        })
    }
}

#[cfg(test)]
mod tests {
    use fluss_rpc::proto::PbKeyValue;

    use super::*;

    /// As a 0.9.1 server answered with its S3 plugin, keys shortened.
    fn response() -> GetFileSystemSecurityTokenResponse {
        let token =
            br#"{"version":1,"access_key_id":"id","access_key_secret":"secret","security_token":"session"}"#;
        let told = [
            ("fs.s3a.region", "eu-west-1"),
            ("fs.s3a.path.style.access", "true"),
            ("fs.s3a.endpoint", "http://127.0.0.1:9000"),
        ];
        GetFileSystemSecurityTokenResponse {
            schema: "s3".to_owned(),
            token: token.to_vec().into(),
            expiration_time: Some(1),
            addition_info: told
                .map(|(key, value)| PbKeyValue {
                    key: key.to_owned(),
                    value: value.to_owned(),
                })
                .to_vec(),
        }
    }

    #[test]
    fn the_cluster_tells_where_the_store_is_and_the_options_win() {
        let told = Access::of_response(&S3Options::default(), &response()).unwrap();
        assert_eq!(told.endpoint.as_deref(), Some("http://127.0.0.1:9000"));
        assert_eq!(told.region.as_deref(), Some("eu-west-1"));
        assert_eq!((told.key.as_str(), told.secret.as_str()), ("id", "secret"));
        assert_eq!(told.session_token.as_deref(), Some("session"));
        assert!(told.path_style);
        let options = S3Options {
            endpoint: Some("https://store".to_owned()),
            path_style: Some(false),
            ..S3Options::default()
        };
        let told = Access::of_response(&options, &response()).unwrap();
        assert_eq!(told.endpoint.as_deref(), Some("https://store"));
        assert!(!told.path_style);
    }

    #[test]
    fn a_token_of_another_store_is_refused() {
        let mut response = response();
        response.schema = "file".to_owned();
        response.token = Vec::new().into();
        let error = Access::of_response(&S3Options::default(), &response)
            .err()
            .unwrap();
        assert!(error.to_string().contains("'file'"), "{error}");
    }

    #[test]
    fn a_clock_that_is_ahead_does_not_ask_without_pause() {
        let now = Duration::from_secs(100);
        assert_eq!(lifetime(160_000, now), Duration::from_mins(1));
        assert_eq!(lifetime(1_000, now), Duration::from_secs(10));
        assert_eq!(lifetime(-1, now), Duration::from_secs(10));
    }
}
