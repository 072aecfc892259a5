//! Look-ups of one key and of many, each tried again while that can help.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use fluss_rpc::net::ServerAddress;
use futures::future::join_all;
use tokio::time::Instant;

use super::attempts::{Attempts, graver};
use super::keys::Located;
use super::query::{Answer, BucketKeys, Patience, Query, outcome};
use super::sender::{Sender, is_too_large};
use crate::cluster::Cluster;
use crate::error::{Error, ErrorKind, Result};
use fluss_core::id::TableBucket;
use fluss_core::types::TableInfo;

/// Look-ups of one kind in one table.
pub(super) struct Engine<Q: Query> {
    sender: Arc<Sender<Q>>,
}

/// A request of many keys: their positions, by bucket.
struct Request {
    server: ServerAddress,
    buckets: Vec<(TableBucket, Vec<usize>)>,
    keys: usize,
    bytes: usize,
}

impl Request {
    const fn new(server: ServerAddress) -> Self {
        Self {
            server,
            buckets: Vec::new(),
            keys: 0,
            bytes: 0,
        }
    }

    /// A bucket comes once in a request, so that its answer can be told: its keys come one after the other.
    fn push(&mut self, bucket: TableBucket, index: usize, bytes: usize) {
        self.keys += 1;
        self.bytes += bytes;
        match self.buckets.last_mut() {
            Some((last, indexes)) if *last == bucket => indexes.push(index),
            _ => self.buckets.push((bucket, vec![index])),
        }
    }
}

impl<Q: Query> Engine<Q> {
    pub(super) fn new(cluster: &Cluster, info: &Arc<TableInfo>, query: Q) -> Self {
        Self {
            sender: Arc::new(Sender::new(cluster, info, query)),
        }
    }

    /// How long a call may take.
    pub(super) fn timeout(&self) -> Duration {
        self.sender.cluster.request_timeout()
    }

    /// Whether looking a key up may insert its row.
    pub(super) fn writes(&self) -> bool {
        self.sender.query.writes()
    }

    fn attempts(&self, deadline: Instant) -> Attempts<'_> {
        Attempts::new(
            &self.sender.cluster,
            &self.sender.info.path,
            &self.sender.meters,
            deadline,
        )
    }

    /// Looks one key up, together with others that are looked up meanwhile.
    pub(super) async fn one(&self, mut key: Located, deadline: Instant) -> Result<Q::Found> {
        let mut attempts = self.attempts(deadline);
        loop {
            let error = match self.try_one(&mut key, &mut attempts).await {
                Ok(found) => return Ok(found),
                Err(error) => error,
            };
            attempts.after(error, &[key.bucket]).await?;
        }
    }

    async fn try_one(&self, key: &mut Located, attempts: &mut Attempts<'_>) -> Result<Q::Found> {
        if !self.sender.place(key, attempts.deadline).await? {
            return Ok(Q::Found::default());
        }
        self.sender.one(key, attempts).await
    }

    /// Looks many keys up at once. What is found is in their order.
    pub(super) async fn many(&self, mut keys: Vec<Located>, deadline: Instant) -> Result<Vec<Q::Found>> {
        let mut found: Vec<Option<Q::Found>> = keys.iter().map(|_| None).collect();
        let mut open: Vec<usize> = (0..keys.len()).collect();
        let mut attempts = self.attempts(deadline);
        while !open.is_empty() {
            let error = self.try_many(&mut keys, &mut found, &open, &mut attempts).await;
            open.retain(|index| found.get(*index).is_some_and(Option::is_none));
            if let Some(error) = error {
                let buckets = open.iter().filter_map(|index| keys.get(*index));
                let buckets: BTreeSet<_> = buckets.map(|key| key.bucket).collect();
                attempts.after(error, &Vec::from_iter(buckets)).await?;
            }
        }
        Ok(found.into_iter().flatten().collect())
    }

    /// Fills in what is found of the open keys. Returns an error if there was any.
    async fn try_many(
        &self,
        keys: &mut [Located],
        found: &mut [Option<Q::Found>],
        open: &[usize],
        attempts: &mut Attempts<'_>,
    ) -> Option<Error> {
        let missing = match self.sender.place_all(keys, open, attempts.deadline).await {
            Ok(missing) => missing,
            Err(error) => return Some(error),
        };
        for index in &missing {
            if let Some(place) = found.get_mut(*index) {
                *place = Some(Q::Found::default());
            }
        }
        let placed = open.iter().filter(|index| !missing.contains(index));
        match self.requests(keys, placed, attempts).await {
            Ok(requests) => self.ask_all(keys, found, requests, attempts.patience()).await,
            Err(error) => Some(error),
        }
    }

    /// The positions of keys by request: of one server, and not too many.
    async fn requests(
        &self,
        keys: &[Located],
        open: impl Iterator<Item = &usize>,
        attempts: &mut Attempts<'_>,
    ) -> Result<Vec<Request>> {
        let limits = self.sender.limits();
        let mut by_bucket: BTreeMap<TableBucket, Vec<usize>> = BTreeMap::new();
        for index in open {
            if let Some(key) = keys.get(*index) {
                by_bucket.entry(key.bucket).or_default().push(*index);
            }
        }
        let mut requests: Vec<Request> = Vec::new();
        // The request of each server that still has room.
        let mut by_server: BTreeMap<ServerAddress, Request> = BTreeMap::new();
        for (bucket, indexes) in by_bucket {
            let server = self.sender.leader(bucket, attempts).await?;
            let request = by_server
                .entry(server.clone())
                .or_insert_with(|| Request::new(server.clone()));
            for index in indexes {
                let bytes = keys.get(index).map_or(0, |key| key.key.len());
                let is_full = request.keys >= limits.keys || request.bytes + bytes > limits.bytes;
                if is_full && request.keys > 0 {
                    requests.push(std::mem::replace(request, Request::new(server.clone())));
                }
                request.push(bucket, index, bytes);
            }
        }
        requests.extend(by_server.into_values());
        Ok(requests)
    }

    /// Sends all requests at once, and fills in what is found. Returns an error if there was any.
    async fn ask_all(
        &self,
        keys: &[Located],
        found: &mut [Option<Q::Found>],
        requests: Vec<Request>,
        patience: Patience,
    ) -> Option<Error> {
        let key = |index: &usize| keys.get(*index).map(|key| key.key.clone()).unwrap_or_default();
        let asked = requests.iter().map(|request| {
            let buckets = request.buckets.iter();
            let keys = buckets.map(|(bucket, indexes)| (*bucket, indexes.iter().map(key).collect()));
            self.sender
                .ask(&request.server, keys.collect::<Vec<BucketKeys>>(), patience)
        });
        let answers = join_all(asked).await;
        let mut failure = None;
        for (request, answer) in requests.into_iter().zip(answers) {
            if is_too_large(&answer, request.keys) {
                // The keys stay open, for smaller requests.
                self.sender.shrink(request.keys);
            } else {
                failure = self.settle(found, request, answer, failure);
            }
        }
        failure
    }

    /// Fills in what an answer says. Returns the gravest error so far.
    fn settle(
        &self,
        found: &mut [Option<Q::Found>],
        request: Request,
        mut answer: Answer<Q::Found, ErrorKind>,
        mut failure: Option<Error>,
    ) -> Option<Error> {
        for (bucket, indexes) in request.buckets {
            match outcome(&mut answer, bucket, indexes.len()) {
                Ok(values) => {
                    for (index, value) in indexes.into_iter().zip(values) {
                        if let Some(place) = found.get_mut(index) {
                            *place = Some(value);
                        }
                    }
                }
                Err(kind) => {
                    let error = self.sender.failure(bucket, &request.server, kind, indexes.len());
                    failure = Some(graver(failure, error));
                }
            }
        }
        failure
    }
}
