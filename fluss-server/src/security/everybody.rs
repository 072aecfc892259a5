//! Who may log in, and what it takes to find out.
//!
//! Nobody learns from the time of a refusal which names there are: an attempt computes one hash of each cost that any user's
//! has, whatever name it gives. If all hashes have the same cost, as those of this program have, that is one.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use fluss_rpc::code::ErrorCode;
use fluss_rpc::sasl::PlainToken;

use super::password::{Cost, Hashed};
use super::{Principal, Users};
use crate::Failure;

/// A hash of the cost that new ones have, and of no password that anybody knows: it is computed while there are no users.
static NOBODYS: LazyLock<Option<Hashed>> = LazyLock::new(|| {
    let hash =
        "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5J3MgcGFzc3dvcg$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    Hashed::parse(hash).ok()
});

/// Who has logged in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Known {
    /// The user.
    pub(crate) principal: Principal,
    /// The hash that the password fits, of a user of the catalog: the login holds as long as the user has it.
    pub(crate) hash: Option<Hashed>,
}

/// The users of a node at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Everybody {
    /// Those of the users file.
    pub(crate) of_file: Arc<Users>,
    /// Those of the catalog. None has a name of the file's.
    pub(crate) of_catalog: Arc<Users>,
}

/// What an attempt computes.
struct Work<'a> {
    /// The hash of the user that is named, if there is one, and whether it is of the catalog.
    own: Option<(&'a Hashed, bool)>,
    /// One hash of each cost, the own one among them.
    hashes: BTreeMap<Cost, &'a Hashed>,
}

impl Everybody {
    /// Whether nobody can log in.
    pub(crate) fn is_empty(&self) -> bool {
        self.of_file.is_empty() && self.of_catalog.is_empty()
    }

    fn work(&self, name: &str) -> Work<'_> {
        let of_file = self.of_file.get(name).map(|hash| (hash, false));
        let own = of_file.or_else(|| self.of_catalog.get(name).map(|hash| (hash, true)));
        let costs = self.of_file.costs().iter().chain(self.of_catalog.costs());
        let mut hashes: BTreeMap<_, _> = costs.map(|(cost, hash)| (*cost, hash)).collect();
        if hashes.is_empty() {
            hashes.extend(NOBODYS.as_ref().map(|hash| (hash.cost(), hash)));
        }
        hashes.extend(own.map(|(hash, _)| (hash.cost(), hash)));
        Work { own, hashes }
    }

    /// Checks who somebody claims to be. This takes a core for tens of milliseconds, on purpose, whether there is such a user or
    /// not: it does not belong on a thread that others wait for.
    ///
    /// # Errors
    ///
    /// `AUTHENTICATE_EXCEPTION`, with one text for unknown users and wrong passwords.
    pub(crate) fn verify(&self, token: &PlainToken) -> Result<Known, Failure> {
        let work = self.work(&token.username);
        // All of them are computed before anything is decided.
        let fitting: Vec<_> = work
            .hashes
            .into_values()
            .map(|hash| (hash, hash.fits(&token.password)))
            .collect();
        let is_own = |own: &Hashed| fitting.iter().any(|(hash, fits)| *fits && *hash == own);
        match work.own {
            Some((hash, of_catalog)) if is_own(hash) => Ok(Known {
                principal: Principal::user(&token.username),
                hash: of_catalog.then(|| hash.clone()),
            }),
            _ => Err(Failure::new(
                ErrorCode::AUTHENTICATE_EXCEPTION,
                "the user name or the password is wrong",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::security::users::tests::{cheap, token};

    fn users(lines: &[String]) -> Arc<Users> {
        Arc::new(Users::parse(&lines.join("\n")).unwrap())
    }

    fn everybody(of_file: &[String], of_catalog: &[String]) -> Everybody {
        Everybody {
            of_file: users(of_file),
            of_catalog: users(of_catalog),
        }
    }

    /// The costs of the hashes that an attempt computes.
    fn costs(everybody: &Everybody, name: &str) -> Vec<Cost> {
        everybody.work(name).hashes.into_keys().collect()
    }

    #[test]
    fn a_user_has_one_password() {
        let everybody = everybody(&[cheap("alice", "a:b#c")], &[cheap("jürgen", "ö")]);
        let alice = everybody.verify(&token("alice", "a:b#c")).unwrap();
        assert_eq!((alice.principal, alice.hash), (Principal::user("alice"), None));
        let other = everybody.verify(&token("jürgen", "ö")).unwrap();
        assert_eq!(other.principal, Principal::user("jürgen"));
        assert_eq!(other.hash.as_ref(), everybody.of_catalog.get("jürgen"));
        let refusals = [
            ("alice", "ö"),
            ("alice", ""),
            ("jürgen", "a:b#c"),
            ("bob", "a:b#c"),
            ("", ""),
        ]
        .map(|(name, password)| everybody.verify(&token(name, password)).unwrap_err());
        assert!(
            refusals.iter().all(|refusal| *refusal == refusals[0]),
            "{refusals:?}"
        );
        assert_eq!(refusals[0].code, ErrorCode::AUTHENTICATE_EXCEPTION);
    }

    #[test]
    fn an_unknown_user_costs_what_a_known_one_does() {
        let dear = cheap("dear", "secret").replace("t=1", "t=2");
        let (cheap_one, other) = (cheap("alice", "secret"), cheap("bob", "secret"));
        for (of_file, of_catalog, hashes) in [
            (vec![], vec![], 1),
            (vec![cheap_one.clone()], vec![], 1),
            (vec![], vec![cheap_one.clone()], 1),
            (vec![cheap_one.clone()], vec![other.clone()], 1),
            (vec![dear.clone()], vec![cheap_one.clone(), other.clone()], 2),
            (vec![cheap_one.clone(), dear.clone()], vec![], 2),
        ] {
            let everybody = everybody(&of_file, &of_catalog);
            let names = ["alice", "bob", "dear", "nobody", ""];
            let costs: BTreeSet<_> = names.map(|name| costs(&everybody, name)).into();
            assert_eq!(costs.len(), 1, "the same for every name: {costs:?}");
            assert_eq!(costs.first().unwrap().len(), hashes, "{costs:?}");
        }
    }

    #[test]
    fn who_was_dropped_costs_what_others_do() {
        let mut dropped = Users::clone(&users(&[cheap("alice", "secret"), cheap("bob", "secret")]));
        assert!(dropped.remove("alice") && !dropped.remove("alice"));
        let mut everybody = everybody(&[], &[]);
        let without_users = costs(&everybody, "alice");
        everybody.of_catalog = Arc::new(dropped.clone());
        assert_eq!(costs(&everybody, "alice"), costs(&everybody, "bob"));
        assert!(everybody.verify(&token("alice", "secret")).is_err());
        // When all are gone it is as if there had never been any.
        dropped.remove("bob");
        everybody.of_catalog = Arc::new(dropped);
        assert_eq!(costs(&everybody, "alice"), without_users);
        assert!(everybody.verify(&token("bob", "secret")).is_err());
    }

    #[test]
    fn while_there_are_no_users_a_hash_of_the_usual_cost_is_computed() {
        let usual = Hashed::of("secret").unwrap();
        assert_eq!(costs(&everybody(&[], &[]), "alice"), [usual.cost()]);
    }

    #[test]
    fn a_hash_that_is_computed_for_its_cost_lets_nobody_in() {
        let everybody = everybody(&[cheap("alice", "secret")], &[]);
        assert!(everybody.verify(&token("nobody", "secret")).is_err());
    }
}
