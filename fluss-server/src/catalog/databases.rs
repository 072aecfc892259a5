//! Databases come and go (`behaviour.md` §8.1).

use std::sync::Arc;

use fluss_core::types::DatabaseDescriptor;
use fluss_rpc::code::ErrorCode;
use fluss_store::OpenError;

use super::entry::Database;
use super::rules::{PropertyChange, check_database};
use super::{Catalog, Gone, Outcome, View};
use crate::Failure;

/// The database that every node begins with.
pub(crate) const FIRST_DATABASE: &str = "fluss";

impl Catalog {
    /// Writes the catalog of a node that starts for the first time.
    pub(super) fn begin(&self, now_ms: i64) -> Result<(), OpenError> {
        let mut view = View::default();
        put(&mut view, FIRST_DATABASE, DatabaseDescriptor::default(), now_ms);
        self.write(&view).map_err(|source| OpenError::Io {
            path: "catalog".into(),
            source,
        })?;
        self.show(view);
        Ok(())
    }

    /// Creates a database; with `or_keep`, one that exists stays as it is.
    ///
    /// # Errors
    /// `INVALID_DATABASE`, `DATABASE_ALREADY_EXIST`; the disk's.
    pub fn create_database(
        &self,
        name: &str,
        descriptor: DatabaseDescriptor,
        or_keep: bool,
        now_ms: i64,
    ) -> Result<(), Failure> {
        check_database(name)?;
        self.change(|view| match (view.databases.contains_key(name), or_keep) {
            (true, true) => Ok(Outcome::Same(())),
            (true, false) => Err(Failure::new(
                ErrorCode::DATABASE_ALREADY_EXIST,
                format!("database '{name}' exists"),
            )),
            (false, _) => {
                put(view, name, descriptor, now_ms);
                Ok(Outcome::New(()))
            }
        })
    }

    /// Changes a database's properties and, if one is given, its comment; with `if_exists`, one that is missing is fine.
    ///
    /// # Errors
    /// `DATABASE_NOT_EXIST`; the disk's.
    pub fn alter_database(
        &self,
        name: &str,
        changes: Vec<PropertyChange>,
        comment: Option<String>,
        if_exists: bool,
        now_ms: i64,
    ) -> Result<(), Failure> {
        self.change(|view| {
            let mut altered = match view.database(name) {
                Ok(database) => Database::clone(database),
                Err(_) if if_exists => return Ok(Outcome::Same(())),
                Err(missing) => return Err(missing),
            };
            change(&mut altered.descriptor, changes, comment);
            altered.modified_ms = now_ms;
            view.databases.insert(name.to_owned(), Arc::new(altered));
            Ok(Outcome::New(()))
        })
    }

    /// Drops a database, with `cascade` together with its tables; with `if_exists`, one that is missing is fine.
    ///
    /// # Errors
    /// `DATABASE_NOT_EXIST`, `DATABASE_NOT_EMPTY`; the disk's.
    pub fn drop_database(&self, name: &str, if_exists: bool, cascade: bool) -> Result<Vec<Gone>, Failure> {
        self.change(|view| {
            if let Err(missing) = view.database(name) {
                return if if_exists {
                    Ok(Outcome::Same(Vec::new()))
                } else {
                    Err(missing)
                };
            }
            let tables: Vec<_> = view.tables_of(name).map(|(_, id)| id).collect();
            if !tables.is_empty() && !cascade {
                return Err(Failure::new(
                    ErrorCode::DATABASE_NOT_EMPTY,
                    format!("database '{name}' has {} tables", tables.len()),
                ));
            }
            for table in &tables {
                view.remove_table(*table);
            }
            view.databases.remove(name);
            Ok(Outcome::New(tables.into_iter().map(Gone::Table).collect()))
        })
    }
}

fn change(descriptor: &mut DatabaseDescriptor, changes: Vec<PropertyChange>, comment: Option<String>) {
    for change in changes {
        match change {
            PropertyChange::Set(key, value) => descriptor.custom_properties.insert(key, value),
            PropertyChange::Reset(key) => descriptor.custom_properties.remove(&key),
        };
    }
    if comment.is_some() {
        descriptor.comment = comment;
    }
}

fn put(view: &mut View, name: &str, descriptor: DatabaseDescriptor, now_ms: i64) {
    let database = Database {
        descriptor,
        created_ms: now_ms,
        modified_ms: now_ms,
    };
    view.databases.insert(name.to_owned(), Arc::new(database));
}
