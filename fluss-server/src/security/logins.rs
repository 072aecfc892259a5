//! Attempts to log in: how many at a time, how soon after others that failed, and what is logged of them.
//!
//! Names are counted whether there are such users or not, so that pauses tell nobody which there are. No pause is longer than 2 s:
//! whoever guesses at a user's password cannot keep that user out for longer.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use fluss_rpc::code::ErrorCode;
use fluss_rpc::sasl::PlainToken;
use fluss_rpc::sync::{Mutex, MutexGuard};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tracing::warn;

use super::{Everybody, Known};
use crate::error::Failure;
use crate::throttle::Throttle;

/// How many passwords are checked or hashed at a time: each takes a core and some 20 MiB.
const AT_ONCE: usize = 2;

/// How long an attempt waits after one that failed, after several, and until they are forgotten.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
const FORGOTTEN_AFTER: Duration = Duration::from_mins(5);

/// Addresses, and users, share so many counters, so that they take no memory however many there are.
const COUNTERS: usize = 1_024;

/// The most of a name that a log line has.
const NAME_CHARS: usize = 64;

/// Paces attempts to log in.
#[derive(Debug)]
pub(crate) struct Logins {
    at_once: Arc<Semaphore>,
    past: Arc<Past>,
}

#[derive(Debug)]
struct Past {
    hosts: Counters,
    users: Counters,
}

/// What was counted, by a hash of a name that nobody outside knows.
#[derive(Debug)]
struct Counters {
    hasher: RandomState,
    counters: Vec<Counter>,
}

#[derive(Debug)]
struct Counter {
    /// Held by the attempt that is checked: one of each address.
    turn: Arc<Semaphore>,
    failures: Mutex<Failures>,
}

/// Attempts that have failed since the last that did not.
#[derive(Debug, Default)]
struct Failures {
    count: u32,
    last: Option<Instant>,
    throttle: Throttle,
}

impl Default for Logins {
    fn default() -> Self {
        Self {
            at_once: Arc::new(Semaphore::new(AT_ONCE)),
            past: Arc::new(Past {
                hosts: Counters::new(),
                users: Counters::new(),
            }),
        }
    }
}

impl Logins {
    /// Checks who somebody at an address claims to be, on a thread of its own, among the users that there are then. It waits for
    /// others that are checked, and longer the more attempts with this address or user have failed.
    ///
    /// # Errors
    ///
    /// As of [`Everybody::verify`].
    ///
    /// # Cancellation
    ///
    /// An attempt whose check has begun counts.
    pub(crate) async fn verify(
        &self,
        everybody: impl FnOnce() -> Everybody + Send + 'static,
        token: PlainToken,
        host: &str,
    ) -> Result<Known, Failure> {
        let (of_host, of_user) = (self.past.hosts.of(host), self.past.users.of(&token.username));
        let now = Instant::now();
        let pause = of_host.failures().pause(now).max(of_user.failures().pause(now));
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        let turn = self.turn(host).await;
        let (past, host) = (self.past.clone(), host.to_owned());
        let checked = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let verified = everybody().verify(&token);
            past.note(verified.is_ok(), &token.username, &host);
            verified
        });
        checked
            .await
            .unwrap_or_else(|error| Err(Failure::new(ErrorCode::UNKNOWN_SERVER_ERROR, error.to_string())))
    }

    /// Waits until a password of somebody at an address may be checked or hashed: one of each address at a time, so that those
    /// of one do not keep out all others.
    ///
    /// # Cancellation
    ///
    /// Dropping the future gives the place in the queue up.
    pub(crate) async fn turn(&self, host: &str) -> Turn {
        let of_host = take(&self.past.hosts.of(host).turn).await;
        Turn {
            _of_host: of_host,
            _of_all: take(&self.at_once).await,
        }
    }
}

/// The right to compute a hash, until it is dropped.
pub(crate) struct Turn {
    _of_host: Option<OwnedSemaphorePermit>,
    _of_all: Option<OwnedSemaphorePermit>,
}

async fn take(turn: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
    turn.clone().acquire_owned().await.ok()
}

impl Past {
    fn note(&self, succeeded: bool, user: &str, host: &str) {
        let now = Instant::now();
        let (of_host, of_user) = (self.hosts.of(host), self.users.of(user));
        if succeeded {
            of_host.failures().count = 0;
            of_user.failures().count = 0;
            return;
        }
        of_user.failures().add(now);
        let mut failures = of_host.failures();
        failures.add(now);
        if let Some(failed) = failures.throttle.count(now) {
            let user: String = user.chars().take(NAME_CHARS).collect();
            warn!(target: crate::TARGET, ?user, host, failed, "a login was refused");
        }
    }
}

impl Counters {
    fn new() -> Self {
        let counter = |_| Counter {
            turn: Arc::new(Semaphore::new(1)),
            failures: Mutex::default(),
        };
        Self {
            hasher: RandomState::new(),
            counters: (0..COUNTERS).map(counter).collect(),
        }
    }

    #[expect(clippy::indexing_slicing, reason = "the remainder is less than their number")]
    fn of(&self, name: &str) -> &Counter {
        let place = self.hasher.hash_one(name) as usize % COUNTERS;
        &self.counters[place]
    }
}

impl Counter {
    fn failures(&self) -> MutexGuard<'_, Failures> {
        self.failures.lock()
    }
}

impl Failures {
    fn add(&mut self, now: Instant) {
        self.forget(now);
        self.count = self.count.saturating_add(1);
        self.last = Some(now);
    }

    fn forget(&mut self, now: Instant) {
        let is_long_ago = |last| now.saturating_duration_since(last) > FORGOTTEN_AFTER;
        if self.last.is_some_and(is_long_ago) {
            self.count = 0;
        }
    }

    /// How long the next attempt waits.
    fn pause(&mut self, now: Instant) -> Duration {
        self.forget(now);
        match self.count {
            0 => Duration::ZERO,
            count => FIRST_PAUSE
                .saturating_mul(1 << (count - 1).min(16))
                .min(LONGEST_PAUSE),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::security::users::tests::{cheap, token};
    use crate::security::{Principal, Users};

    /// alice stands in the file, bob in the catalog.
    fn everybody() -> Everybody {
        let users = |name| Arc::new(Users::parse(&cheap(name, "secret")).unwrap());
        Everybody {
            of_file: users("alice"),
            of_catalog: users("bob"),
        }
    }

    #[test]
    fn the_pause_grows_with_failures_and_ends_with_time() {
        let (mut failures, began) = (Failures::default(), Instant::now());
        let pause_after = |failures: &mut Failures| {
            let pause = failures.pause(began);
            failures.add(began);
            pause.as_millis()
        };
        let pauses: Vec<_> = (0..8).map(|_| pause_after(&mut failures)).collect();
        assert_eq!(pauses, [0, 50, 100, 200, 400, 800, 1_600, 2_000]);
        failures.count = u32::MAX;
        failures.add(began);
        assert_eq!(failures.pause(began), LONGEST_PAUSE);
        let later = began + FORGOTTEN_AFTER + Duration::from_millis(1);
        assert_eq!(failures.pause(later), Duration::ZERO);
    }

    #[tokio::test]
    async fn failures_slow_the_address_and_the_user_until_a_login_succeeds() {
        let logins = Logins::default();
        let count = |of: &Counter| of.failures().count;
        for name in ["alice", "bob", "nobody"] {
            let refused = logins.verify(everybody, token(name, "wrong"), "10.0.0.1").await;
            assert!(refused.is_err());
        }
        let past = &logins.past;
        assert_eq!(count(past.hosts.of("10.0.0.1")), 3);
        for name in ["alice", "bob", "nobody"] {
            assert_eq!(count(past.users.of(name)), 1, "{name}");
        }
        for name in ["alice", "bob"] {
            let known = logins.verify(everybody, token(name, "secret"), "10.0.0.2").await;
            assert_eq!(known.unwrap().principal, Principal::user(name));
            assert_eq!(count(past.users.of(name)), 0);
        }
        assert_eq!(count(past.users.of("nobody")), 1);
        assert_eq!(count(past.hosts.of("10.0.0.1")), 3);
    }

    /// How long the attempts with a name wait, each from an address of its own, on a clock that only waiting moves.
    async fn pauses(name: &str, attempts: u8) -> Vec<Duration> {
        let logins = Logins::default();
        let mut pauses = Vec::new();
        for host in 0..attempts {
            let begun = Instant::now();
            let refused = logins
                .verify(everybody, token(name, "wrong"), &host.to_string())
                .await;
            assert!(refused.is_err());
            pauses.push(begun.elapsed());
        }
        let begun = Instant::now();
        let known = logins.verify(everybody, token(name, "secret"), "owner").await;
        assert_eq!(known.is_ok(), name != "nobody");
        pauses.push(begun.elapsed());
        pauses
    }

    #[tokio::test(start_paused = true)]
    async fn names_that_exist_and_that_do_not_wait_alike_and_nobody_is_kept_out_for_long() {
        let of_nobody = pauses("nobody", 20).await;
        assert_eq!(pauses("alice", 20).await, of_nobody);
        assert_eq!(pauses("bob", 20).await, of_nobody);
        let millis = |pause: &Duration| pause.as_millis();
        let first: Vec<_> = of_nobody.iter().take(4).map(millis).collect();
        assert_eq!(first, [0, 50, 100, 200]);
        assert_eq!(of_nobody.last(), Some(&LONGEST_PAUSE));
    }

    #[tokio::test]
    async fn an_attempt_that_is_given_up_counts_and_holds_its_turn_to_its_end() {
        let logins = Logins::default();
        {
            let attempt = logins.verify(everybody, token("alice", "wrong"), "10.0.0.1");
            let mut attempt = std::pin::pin!(attempt);
            // It has begun once it is asked what has become of it.
            let asked =
                std::future::poll_fn(|cx| std::task::Poll::Ready(attempt.as_mut().poll(cx).is_ready()));
            assert!(!asked.await);
            assert_eq!(logins.at_once.available_permits(), AT_ONCE - 1);
        }
        let _all = logins
            .at_once
            .acquire_many(u32::try_from(AT_ONCE).unwrap())
            .await
            .unwrap();
        assert_eq!(logins.past.hosts.of("10.0.0.1").failures().count, 1);
    }
}
