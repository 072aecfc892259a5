//! What a session can be told.

use std::path::PathBuf;

/// What an INSERT does with a row whose key exists, where its text does not say.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum OnDuplicate {
    /// Replaces the row, as writers of Fluss do.
    #[default]
    Upsert,
    /// Refuses it.
    Error,
}

/// What a transaction may write.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum TransactionMode {
    /// Rows of one bucket, which are stored together or not at all.
    #[default]
    Strict,
    /// Anything: in order, and part of it is stored if something fails half-way.
    Batch,
}

/// Where following a table begins.
///
/// Its text is `earliest`, `latest`, a number of milliseconds since the epoch, a date and time (local time, unless it says
/// another zone), or a position.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
#[non_exhaustive]
pub enum StartFrom {
    /// At the first change that is still there.
    #[default]
    Earliest,
    /// Behind the last change that there is.
    Latest,
    /// At the first batch of changes stored at or after this time, in milliseconds since the epoch.
    Timestamp(i64),
    /// Where another query stood: what [`Rows::position`](crate::Rows::position) has returned.
    Position(String),
}

macro_rules! options {
    ($($(#[$doc:meta])+ $field:ident: $type:ty = $default:expr, $setter:ident;)+) => {
        /// What a session can be told. All have defaults.
        #[derive(Clone, PartialEq, Eq, Debug)]
        #[non_exhaustive]
        pub struct Options {
            $($(#[$doc])+ pub $field: $type,)+
        }

        impl Default for Options {
            fn default() -> Self {
                Self { $($field: $default,)+ }
            }
        }

        impl Options {
            $($(#[$doc])+
            #[must_use]
            pub fn $setter(mut self, $field: $type) -> Self {
                self.$field = $field;
                self
            })+
        }
    };
}

options! {
    /// The database that names without one are in. Without it, that of the connection.
    database: Option<String> = None, with_database;
    /// What an INSERT does with a row whose key exists.
    on_duplicate: OnDuplicate = OnDuplicate::Upsert, with_on_duplicate;
    /// How many bytes all statements of the session may hold in sorts, joins and groups. What can, spills.
    memory_limit: Option<usize> = None, with_memory_limit;
    /// The directory for what spills. Without it, the system's for temporary files.
    spill_directory: Option<PathBuf> = None, with_spill_directory;
    /// What a transaction may write.
    transactions: TransactionMode = TransactionMode::Strict, with_transactions;
    /// Where following a table begins: `auto.offset.reset`.
    offset_reset: StartFrom = StartFrom::Earliest, with_offset_reset;
    /// How many parts of a query run side by side. As many as there are processors by default.
    parallelism: Option<usize> = None, with_parallelism;
    /// How many bytes the text of a statement may have.
    max_text_bytes: usize = 16 << 20, with_max_text_bytes;
}
