//! Objects of S3, and of stores that speak its protocol.

mod http;
mod token;

use std::collections::HashMap;
use std::error::Error;
use std::ops::Range;
use std::sync::Arc;

use fluss_rpc::sync::Mutex;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::{GetOptions, ObjectStore, RetryConfig};

use super::Part;
use crate::cluster::Cluster;
use crate::error::StorageError;
use http::Http;
use token::{Access, Tokens};

/// The region of a store that names none.
const REGION: &str = "us-east-1";

/// The buckets that files were read in, each as the newest credentials open it.
pub(super) struct Buckets {
    tokens: Tokens,
    http: Mutex<Option<Http>>,
    cluster: Cluster,
    open: Mutex<HashMap<String, Open>>,
}

#[derive(Clone)]
struct Open {
    access: Arc<Access>,
    store: Arc<AmazonS3>,
}

impl Buckets {
    pub(super) fn new(cluster: Cluster) -> Self {
        Self {
            tokens: Tokens::new(cluster.clone()),
            http: Mutex::default(),
            cluster,
            open: Mutex::default(),
        }
    }

    /// The bytes of an object in a range, or as many as there are. Credentials that are refused are asked for anew once.
    pub(super) async fn read(
        &self,
        file: &str,
        bucket: &str,
        key: &str,
        range: Range<u64>,
    ) -> Result<Part, StorageError> {
        let path = Path::parse(key).map_err(|error| failed(file, &error))?;
        match self.read_once(file, bucket, &path, range.clone()).await {
            Err(StorageError::Denied { .. }) => self.read_once(file, bucket, &path, range).await,
            outcome => outcome,
        }
    }

    async fn read_once(
        &self,
        file: &str,
        bucket: &str,
        path: &Path,
        range: Range<u64>,
    ) -> Result<Part, StorageError> {
        let access = self.tokens.access().await.map_err(|error| failed(file, &error))?;
        let store = self
            .store(bucket, &access)
            .map_err(|error| failed(file, &*error))?;
        let outcome = get(&store, path, range)
            .await
            .map_err(|error| fault(file, &error));
        if matches!(
            outcome,
            Err(StorageError::Denied { .. } | StorageError::Failed { .. })
        ) {
            self.tokens.forget(&access);
        }
        outcome
    }

    fn store(
        &self,
        bucket: &str,
        access: &Arc<Access>,
    ) -> Result<Arc<AmazonS3>, Box<dyn Error + Send + Sync>> {
        let mut open = self.open.lock();
        if let Some(open) = open.get(bucket).filter(|open| Arc::ptr_eq(&open.access, access)) {
            return Ok(open.store.clone());
        }
        let store = Arc::new(self.build(bucket, access)?);
        let (access, store) = (access.clone(), store.clone());
        open.insert(
            bucket.to_owned(),
            Open {
                access,
                store: store.clone(),
            },
        );
        Ok(store)
    }

    fn build(&self, bucket: &str, access: &Access) -> Result<AmazonS3, Box<dyn Error + Send + Sync>> {
        // A read that fails is told to the scanner, which tries again as its options say.
        let once = RetryConfig {
            max_retries: 0,
            ..RetryConfig::default()
        };
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(bucket)
            .with_region(access.region.as_deref().unwrap_or(REGION))
            .with_virtual_hosted_style_request(!access.path_style)
            .with_access_key_id(&access.key)
            .with_secret_access_key(&access.secret)
            .with_allow_http(true)
            .with_retry(once)
            .with_http_connector(self.http()?);
        if let Some(endpoint) = &access.endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        if let Some(token) = &access.session_token {
            builder = builder.with_token(token);
        }
        Ok(builder.build()?)
    }

    /// What all buckets are reached by, made when first needed.
    fn http(&self) -> Result<Http, Box<dyn Error + Send + Sync>> {
        let mut made = self.http.lock();
        if let Some(http) = &*made {
            return Ok(http.clone());
        }
        let http = Http::new(self.cluster.options().connect_timeout)?;
        Ok(made.insert(http).clone())
    }
}

async fn get(store: &AmazonS3, path: &Path, range: Range<u64>) -> object_store::Result<Part> {
    let options = GetOptions::new().with_range(Some(range));
    let got = store.get_opts(path, options).await?;
    Ok(Part {
        of: got.meta.size,
        bytes: got.bytes().await?,
    })
}

fn fault(file: &str, error: &object_store::Error) -> StorageError {
    match error {
        object_store::Error::NotFound { .. } => StorageError::NotFound {
            file: file.to_owned(),
        },
        object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. } => {
            StorageError::Denied {
                file: file.to_owned(),
                reason: error.to_string(),
            }
        }
        _ => failed(file, error),
    }
}

fn failed(file: &str, error: &(impl Error + ?Sized)) -> StorageError {
    StorageError::Failed {
        file: file.to_owned(),
        reason: error.to_string(),
    }
}
