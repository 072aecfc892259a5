//! Who asks, by what that is known, and for how long it holds.

use fluss_rpc::code::ErrorCode;
use fluss_rpc::sync::Mutex;

use super::admin::Node;
use crate::error::Failure;
use crate::security::{Caller, Hashed, Known};

/// Who asks on a connection.
pub(crate) struct Identity {
    caller: Caller,
    proof: Proof,
}

/// By what it is known who asks.
enum Proof {
    /// By what does not change while the node runs: it is this process, or a user of the users file.
    Lasting,
    /// Nobody was asked for a login.
    NotAsked,
    /// By a password of a user of the catalog: the hashes that the user may have.
    Password(Mutex<Vec<Hashed>>),
}

impl Identity {
    /// This process.
    pub(crate) fn of_process() -> Self {
        Self {
            caller: Caller::internal(),
            proof: Proof::Lasting,
        }
    }

    /// Somebody who need not log in.
    pub(super) const fn not_asked(caller: Caller) -> Self {
        Self {
            caller,
            proof: Proof::NotAsked,
        }
    }

    /// Somebody who has logged in from an address.
    pub(super) fn logged_in(known: Known, host: &str) -> Self {
        Self {
            caller: Caller::new(known.principal, host),
            proof: known
                .hash
                .map_or(Proof::Lasting, |hash| Proof::Password(Mutex::new(vec![hash]))),
        }
    }

    /// Lets the caller have this password, too, which it is about to give itself.
    pub(super) fn expect(&self, hash: &Hashed, node: &Node) {
        if let Proof::Password(hashes) = &self.proof {
            let view = node.catalog.view();
            let now = view.user(&self.caller.principal.name).ok();
            let mut hashes = hashes.lock();
            // What came of an attempt before is known.
            hashes.retain(|known| now == Some(known));
            hashes.push(hash.clone());
        }
    }

    /// Who asks, if that is still so.
    ///
    /// # Errors
    ///
    /// `AUTHENTICATE_EXCEPTION`: the user was dropped or has another password, or everybody has to log in now.
    pub(super) fn check(&self, node: &Node) -> Result<&Caller, Failure> {
        let refused = |reason: &str| Err(Failure::new(ErrorCode::AUTHENTICATE_EXCEPTION, reason));
        match &self.proof {
            Proof::NotAsked if node.asks_for_login() => return refused("the client has to log in now"),
            Proof::Lasting | Proof::NotAsked => {}
            Proof::Password(hashes) => {
                let view = node.catalog.view();
                let now = view.user(&self.caller.principal.name).ok();
                if !now.is_some_and(|now| hashes.lock().contains(now)) {
                    return refused(
                        "the login does not hold any more: the user was dropped, or has another password",
                    );
                }
            }
        }
        Ok(&self.caller)
    }
}
