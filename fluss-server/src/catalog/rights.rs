//! Rights that are given and taken, and settings that change while the node runs.

use std::sync::Arc;

use super::{Catalog, Outcome};
use crate::Failure;
use crate::security::{Acl, AclFilter};

impl Catalog {
    /// Gives rights; those that were given before stay.
    pub fn add_acls(&self, acls: impl IntoIterator<Item = Acl>) -> Result<(), Failure> {
        self.change(|view| {
            let mut next = (*view.acls).clone();
            let before = next.len();
            next.extend(acls);
            if next.len() == before {
                return Ok(Outcome::Same(()));
            }
            view.acls = Arc::new(next);
            Ok(Outcome::New(()))
        })
    }

    /// Takes the rights that a filter finds, filter by filter; gives back what was taken.
    pub fn remove_acls(&self, filters: &[AclFilter]) -> Result<Vec<Vec<Acl>>, Failure> {
        self.change(|view| {
            let mut next = (*view.acls).clone();
            let before = next.len();
            let removed = filters.iter().map(|filter| next.remove(filter)).collect();
            if next.len() == before {
                return Ok(Outcome::Same(removed));
            }
            view.acls = Arc::new(next);
            Ok(Outcome::New(removed))
        })
    }

    /// Sets and (with nothing for a value) resets settings of the node, all together.
    pub fn change_configs(&self, changes: Vec<(String, Option<String>)>) -> Result<(), Failure> {
        self.change(|view| {
            for (key, value) in changes {
                match value {
                    Some(value) => view.configs.insert(key, value),
                    None => view.configs.remove(&key),
                };
            }
            Ok(Outcome::New(()))
        })
    }
}
