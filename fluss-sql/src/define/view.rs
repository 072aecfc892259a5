//! Views: queries with names, which a session has for itself.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::sql::sqlparser::ast::{
    Ident, Query, SetExpr, TableAlias, TableAliasColumnDef, TableFactor, visit_relations,
};
use datafusion::sql::sqlparser::tokenizer::Token;
use fluss_client::types::TablePath;

use super::cursor::Cursor;
use crate::context::{Context, View};
use crate::error::{Error, ErrorKind, Position, Result};
use crate::names;
use crate::plan;
use crate::run::Outcome;
use crate::text;

/// `VIEW [IF NOT EXISTS] name [(column, …)] AS query`.
pub(super) async fn create(context: &Context, cursor: &mut Cursor, replaces: bool) -> Result<Outcome> {
    cursor.expect_words(&["VIEW"])?;
    let if_not_exists = cursor.if_not_exists();
    let name = name(cursor)?;
    let columns = match cursor.peek() {
        Some(Token::LParen) => cursor.idents()?,
        _ => Vec::new(),
    };
    if !cursor.take_words(&["AS"]) {
        return Err(match cursor.word().as_str() {
            "" => cursor.expected("AS"),
            word => cursor.unsupported(format!("{word} in CREATE VIEW")),
        });
    }
    let query = cursor.query()?;
    let database = context.database();
    let is_there = context.shared.state.lock().views.contains_key(&name.value);
    if is_there && if_not_exists {
        return Ok(Outcome::Done);
    }
    let refuse = |what: &str| {
        let text = format!("{what} '{}' exists already", name.value);
        Err(Error::new(ErrorKind::Conflict, text).at(Position::of(name.span.start)))
    };
    if is_there && !replaces {
        return refuse("the view");
    }
    let (admin, path) = (context.admin(), TablePath::new(&database, &name.value));
    if context.client(async { admin.table_exists(&path).await }).await? {
        return refuse("the table");
    }
    if asks(&context.shared.state.lock().views, &query, &name.value) {
        let text = format!("the view '{}' would be made of itself", name.value);
        return Err(Error::new(ErrorKind::Conflict, text).at(Position::of(name.span.start)));
    }
    let query = renamed(query, columns)?;
    plan::describe(context, query.clone()).await?;
    let view = Arc::new(View { query, database });
    context.shared.state.lock().views.insert(name.value, view);
    Ok(Outcome::Done)
}

/// `VIEW [IF EXISTS] name`.
pub(super) fn drop(context: &Context, cursor: &mut Cursor) -> Result<Outcome> {
    cursor.expect_words(&["VIEW"])?;
    let if_exists = cursor.if_exists();
    let name = name(cursor)?;
    if ["CASCADE", "RESTRICT"].contains(&cursor.word().as_str()) {
        return Err(cursor.unsupported(format!("DROP VIEW … {}", cursor.word())));
    }
    cursor.end()?;
    let dropped = context.shared.state.lock().views.remove(&name.value);
    if dropped.is_none() && !if_exists {
        let text = format!("there is no view '{}'", name.value);
        return Err(Error::new(ErrorKind::NotFound, text).at(Position::of(name.span.start)));
    }
    Ok(Outcome::Done)
}

/// The name of a view, which is in no database.
fn name(cursor: &mut Cursor) -> Result<Ident> {
    let at = cursor.place();
    let name = cursor.name()?;
    match names::parts(&name)?.as_slice() {
        [only] => Ok((*only).clone()),
        _ => Err(
            Error::unsupported("a view in a database: views are the session's; the name with a dot").at(at),
        ),
    }
}

/// A query with other names for its columns.
fn renamed(query: Query, columns: Vec<Ident>) -> Result<Query> {
    if columns.is_empty() {
        return Ok(query);
    }
    let mut parser = text::parser(text::tokenize("SELECT * FROM (SELECT 1) AS v")?);
    let mut outer = *parser.parse_query()?;
    if let SetExpr::Select(select) = outer.body.as_mut()
        && let Some(from) = select.from.first_mut()
        && let TableFactor::Derived { subquery, alias, .. } = &mut from.relation
    {
        **subquery = query;
        let columns = columns.into_iter().map(|name| TableAliasColumnDef {
            name,
            data_type: None,
        });
        *alias = Some(TableAlias {
            explicit: true,
            name: Ident::new("v"),
            columns: columns.collect(),
            at: None,
        });
    }
    Ok(outer)
}

/// Whether a query asks a view of this name, itself or through others.
fn asks(views: &BTreeMap<String, Arc<View>>, query: &Query, name: &str) -> bool {
    let found = visit_relations(query, |relation| {
        let asked = match names::parts(relation).as_deref() {
            Ok([only]) => only.value.clone(),
            _ => return ControlFlow::Continue(()),
        };
        let is_found = asked == name
            || views
                .get(&asked)
                .is_some_and(|view| asks(views, &view.query, name));
        if is_found {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    found.is_break()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &str) -> Query {
        *text::parser(text::tokenize(text).unwrap()).parse_query().unwrap()
    }

    #[test]
    fn a_view_is_not_made_of_itself() {
        let mut views = BTreeMap::new();
        let view = |text: &str| {
            Arc::new(View {
                query: query(text),
                database: "d".to_owned(),
            })
        };
        views.insert("a".to_owned(), view("SELECT * FROM t"));
        views.insert(
            "b".to_owned(),
            view("SELECT * FROM a WHERE id IN (SELECT id FROM u)"),
        );
        assert!(asks(&views, &query("SELECT * FROM b"), "a"));
        assert!(asks(&views, &query("SELECT (SELECT 1 FROM c)"), "c"));
        assert!(!asks(
            &views,
            &query("SELECT sum(x) AS c FROM b JOIN d.c ON true"),
            "c"
        ));
    }

    #[test]
    fn columns_of_a_view_have_the_names_that_it_gives() {
        let renamed = renamed(query("SELECT 1, 2"), vec![Ident::new("x"), Ident::new("y")]).unwrap();
        assert_eq!(renamed.to_string(), "SELECT * FROM (SELECT 1, 2) AS v (x, y)");
    }
}
