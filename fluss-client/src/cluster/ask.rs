//! Who is asked what, and asked again.

use fluss_rpc::api::{Request, ServerRole};
use fluss_rpc::code::ErrorCode;
use fluss_rpc::net::{RequestError, ServerAddress};
use tokio::time::{Instant, sleep_until};

use super::Cluster;
use crate::error::{Context, Error, ErrorKind, Result, retry_at_leader, tell_retry};
use crate::{log_target, retry};
use fluss_core::id::TableBucket;
use fluss_core::types::TablePath;

impl Cluster {
    /// Sends a request that any server of the right role may answer: what changes the catalog goes to the
    /// coordinator; what reads it goes there too, so that a change is seen at once, and to a tablet server while there
    /// is no coordinator.
    ///
    /// What only reads is tried again; what changes something is sent once.
    pub(crate) async fn ask<R: Request>(&self, context: &Context, request: &R) -> Result<R::Response> {
        self.ask_unless(context, request, |_| false).await
    }

    /// As [`ask`](Self::ask), where some refusals that others would try again are final.
    pub(crate) async fn ask_unless<R: Request>(
        &self,
        context: &Context,
        request: &R,
        is_final: impl Fn(ErrorCode) -> bool,
    ) -> Result<R::Response> {
        let timeout = self.request_timeout();
        if R::API.is_served_by(ServerRole::Tablet) {
            let is_final = &is_final;
            let ask = |limit| async move {
                match self.ask_once(context, request, limit).await {
                    Err(error) if error.code().is_some_and(is_final) => Ok(Err(error)),
                    other => other.map(Ok),
                }
            };
            return self
                .until_closed(
                    context.operation,
                    Box::pin(retry::until(context, timeout, self.random(), ask)),
                )
                .await?;
        }
        let limit = Instant::now() + timeout;
        let asked = Box::pin(self.ask_coordinator(context, request, limit));
        self.until_closed(context.operation, asked).await
    }

    /// As [`ask`](Self::ask), tried again although only the coordinator answers: for what only reads.
    pub(crate) async fn ask_again<R: Request>(&self, context: &Context, request: &R) -> Result<R::Response> {
        let timeout = self.request_timeout();
        let ask = |limit| self.ask_coordinator(context, request, limit);
        let asked = Box::pin(retry::until(context, timeout, self.random(), ask));
        self.until_closed(context.operation, asked).await
    }

    /// Asks the coordinator. One that only stands by has done nothing, nor has a server that is none: then the one that leads is
    /// looked for, until `limit`.
    async fn ask_coordinator<R: Request>(
        &self,
        context: &Context,
        request: &R,
        limit: Instant,
    ) -> Result<R::Response> {
        let mut pauses = retry::pauses_after_the_first(self.random());
        let mut attempts = 0;
        loop {
            let generation = self.topology().generation();
            let server = self.coordinator(context).await?;
            let error = match self.ask_server(&server, context, request, limit).await {
                Err(error) if is_no_coordinator(&error) => error,
                other => return other,
            };
            attempts += 1;
            let next = Instant::now() + pauses.next().unwrap_or_default();
            if next >= limit {
                return Err(error);
            }
            tell_retry!(
                log_target::CLIENT,
                &error,
                attempts,
                "the coordinator is looked for"
            );
            sleep_until(next).await;
            self.refresh(None, generation).await?;
        }
    }

    async fn ask_once<R: Request>(
        &self,
        context: &Context,
        request: &R,
        limit: Instant,
    ) -> Result<R::Response> {
        if R::API.is_served_by(ServerRole::Coordinator)
            && let Some(server) = self.topology().coordinator()
            && let result = self.ask_server(server, context, request, limit).await
            && !matches!(&result, Err(error) if error.is_retriable())
        {
            return result;
        }
        let topology = self.refresh(None, self.topology().generation()).await?;
        let tablets: Vec<_> = topology.tablets().values().collect();
        let Some(server) = self.random().fork().choice(&tablets) else {
            return Err(context.clone().error(ErrorKind::NoServer));
        };
        self.ask_server(server, context, request, limit).await
    }

    async fn coordinator(&self, context: &Context) -> Result<ServerAddress> {
        let known = self.topology();
        if let Some(server) = known.coordinator()
            && self.servers().get(server).await.is_ok()
        {
            return Ok(server.clone());
        }
        let topology = self.refresh(None, known.generation()).await?;
        topology
            .coordinator()
            .cloned()
            .ok_or_else(|| context.clone().error(ErrorKind::NoServer))
    }

    /// Asks a server. When nothing at all has come from it until `limit`, its connection is given up.
    pub(crate) async fn ask_server<R: Request>(
        &self,
        server: &ServerAddress,
        context: &Context,
        request: &R,
        limit: Instant,
    ) -> Result<R::Response> {
        let context = context.clone().server(server);
        let connection = self
            .servers()
            .get(server)
            .await
            .map_err(|error| error.within(context.clone()))?;
        let timeout = self.request_timeout();
        let silence = limit.saturating_duration_since(Instant::now());
        connection
            .send_unless_silent(request, timeout, silence)
            .await
            .map_err(|error| context.error(error))
    }

    /// The server that leads a bucket, looked for until the request timeout has passed.
    pub(crate) async fn leader(
        &self,
        context: &Context,
        path: &TablePath,
        bucket: &TableBucket,
    ) -> Result<ServerAddress> {
        let timeout = self.request_timeout();
        let found = retry::until(context, timeout, self.random(), |_| async {
            let known = self.topology();
            if let Some(leader) = known.leader(bucket) {
                return Ok(leader.clone());
            }
            let refreshed = self.refresh_buckets(path, [bucket], known.generation()).await;
            let topology = refreshed.map_err(|error| error.within(context.clone()))?;
            let missing = || {
                if topology.is_gone(bucket) {
                    ErrorKind::server(ErrorCode::PARTITION_NOT_EXISTS, None)
                } else {
                    ErrorKind::NoLeader(timeout)
                }
            };
            let leader = topology.leader(bucket).cloned();
            leader.ok_or_else(|| context.clone().error(missing()))
        });
        self.until_closed(context.operation, Box::pin(found)).await
    }

    /// Sends a request that only reads to the leader of a bucket. It is made of the number of buckets by which the bucket was
    /// chosen, if that is known. While the answer, read by `refusal`, says that the bucket is
    /// led elsewhere, or the leader cannot be reached, the leader is looked for again.
    pub(crate) async fn ask_leader<R: Request>(
        &self,
        context: &Context,
        path: &TablePath,
        bucket: &TableBucket,
        request: impl Fn(Option<i32>) -> R,
        refusal: impl Fn(&R::Response) -> Option<ErrorKind>,
    ) -> Result<R::Response> {
        let (request, refusal, timeout) = (&request, &refusal, self.request_timeout());
        let is_worth = |error: &Error, attempts| error.is_worth_another(retry_at_leader, attempts);
        let asked = retry::until_by(is_worth, context, timeout, self.random(), |limit| async move {
            let generation = self.topology().generation();
            let server = self.leader(context, path, bucket).await?;
            let count = self.topology().bucket_count(bucket.table, bucket.partition);
            let result = match self.ask_server(&server, context, &request(count), limit).await {
                Ok(response) => match refusal(&response) {
                    None => return Ok(response),
                    Some(kind) => Err(context.clone().server(&server).error(kind)),
                },
                Err(error) => Err(error),
            };
            if matches!(&result, Err(error) if is_worth(error, 0)) {
                let refreshed = self.refresh_buckets(path, [bucket], generation).await;
                refreshed.map_err(|error| error.within(context.clone()))?;
            }
            result
        });
        self.until_closed(context.operation, Box::pin(asked)).await
    }
}

/// Whether a server is not, or no more, the coordinator that leads, and has done nothing.
fn is_no_coordinator(error: &Error) -> bool {
    error.code() == Some(ErrorCode::NOT_COORDINATOR_LEADER)
        || matches!(error.kind(), ErrorKind::Request(RequestError::WrongRole { .. }))
}
