//! `SHOW`, `DESCRIBE`: what there is.

use crate::context::Context;
use crate::error::{Error, ErrorKind, Result};
use crate::run::Outcome;
use crate::text::Text;

/// Carries out `SHOW` and `DESCRIBE`.
pub(crate) async fn execute(context: &Context, text: &Text) -> Result<Outcome> {
    let _ = context;
    Err(Error::unsupported(format!("{} {}", text.word(0), text.word(1))).at(text.start()))
}

/// Makes names without a database those of another one.
pub(crate) async fn use_database(context: &Context, name: String) -> Result<Outcome> {
    let admin = context.admin();
    if !context
        .client(async { admin.database_exists(&name).await })
        .await?
    {
        return Err(Error::new(
            ErrorKind::NotFound,
            format!("there is no database '{name}'"),
        ));
    }
    context.shared.state.lock().database = name;
    Ok(Outcome::Done)
}
