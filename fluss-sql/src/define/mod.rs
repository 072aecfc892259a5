//! Databases, tables, partitions and views: made, changed and dropped.

use crate::context::Context;
use crate::error::{Error, Result};
use crate::run::Outcome;
use crate::text::Text;

/// Carries out `CREATE`, `ALTER`, `DROP` and `TRUNCATE`.
pub(crate) async fn execute(context: &Context, text: &Text) -> Result<Outcome> {
    let _ = context;
    Err(Error::unsupported(format!("{} {}", text.word(0), text.word(1))).at(text.start()))
}
