//! Databases.

use datafusion::sql::sqlparser::tokenizer::Token;
use fluss_client::types::DatabaseDescriptor;

use super::cursor::Cursor;
use crate::context::Context;
use crate::error::Result;
use crate::run::Outcome;

/// `DATABASE|SCHEMA [IF NOT EXISTS] name [COMMENT 'text'] [WITH ('key' = 'value', …)]`.
pub(super) async fn create(context: &Context, cursor: &mut Cursor) -> Result<Outcome> {
    cursor.ident()?;
    let if_not_exists = cursor.if_not_exists();
    let name = cursor.ident()?;
    let mut descriptor = DatabaseDescriptor::default();
    if cursor.take_words(&["COMMENT"]) {
        cursor.take(&Token::Eq);
        descriptor.comment = Some(cursor.string()?);
    }
    if cursor.take_words(&["WITH"]) {
        descriptor.custom_properties.extend(cursor.listed(Cursor::pair)?);
    }
    cursor.end()?;
    let admin = context.admin();
    let created = context.client(async {
        admin
            .create_database(&name.value, &descriptor, if_not_exists)
            .await
    });
    created.await?;
    Ok(Outcome::Done)
}
