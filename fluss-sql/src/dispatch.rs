//! Which room carries a statement.

use datafusion::sql::sqlparser::ast::{Query, SetExpr, Statement as Parsed};
use datafusion::sql::sqlparser::tokenizer::Token;

use crate::error::{Error, ErrorKind, Position, Result};
use crate::text::{self, Text};

/// A statement by the room that carries it.
#[derive(Debug)]
pub(crate) enum Statement {
    /// Rows that there are: `SELECT`, `VALUES`, `WITH`.
    Query(Box<Query>),
    /// Rows as they come: a query with `EMIT CHANGES`.
    Follow(Box<Query>),
    /// `INSERT`, `UPDATE`, `DELETE`.
    Write(Box<Parsed>),
    /// `CREATE`, `ALTER`, `DROP`, `TRUNCATE`: parsed where it is carried.
    Define(Text),
    /// `SHOW`, `DESCRIBE`: parsed where it is carried.
    Show(Text),
    /// `USE`: the database that names are in from now on.
    Use(String),
    /// `EXPLAIN`.
    Explain(Explain),
    /// `BEGIN`, `START TRANSACTION`.
    Begin,
    /// `COMMIT`.
    Commit,
    /// `ROLLBACK`.
    Rollback,
}

/// What is asked about a statement.
#[derive(Debug)]
pub(crate) struct Explain {
    /// Whether it is run, and told how long each step took.
    pub(crate) analyze: bool,
    /// Whether all steps of planning are told.
    pub(crate) verbose: bool,
    pub(crate) statement: Box<Statement>,
}

impl Statement {
    /// Finds out what a statement is.
    pub(crate) fn parse(text: &Text) -> Result<Self> {
        let statement = Self::of(text)?;
        if text.emit_changes && !matches!(statement, Self::Follow(_)) {
            return Err(Error::unsupported("EMIT CHANGES behind anything but a SELECT").at(text.start()));
        }
        Ok(statement)
    }

    fn of(text: &Text) -> Result<Self> {
        match text.word(0).as_str() {
            "SELECT" | "WITH" | "VALUES" | "FROM" | "TABLE" => query(text),
            "" if text
                .tokens()
                .first()
                .is_some_and(|token| text::is_symbol(token, &Token::LParen)) =>
            {
                query(text)
            }
            "INSERT" | "UPDATE" | "DELETE" => write(text),
            "CREATE" | "ALTER" | "DROP" | "TRUNCATE" => Ok(Self::Define(text.clone())),
            "SHOW" | "DESCRIBE" | "DESC" => Ok(Self::Show(text.clone())),
            "USE" => named(text),
            "EXPLAIN" => explain(text),
            "BEGIN" | "START" => only(
                text,
                &[&["BEGIN"], &["BEGIN", "TRANSACTION"], &["START", "TRANSACTION"]],
                Self::Begin,
            ),
            "COMMIT" => only(text, &[&["COMMIT"], &["COMMIT", "TRANSACTION"]], Self::Commit),
            "ROLLBACK" => only(
                text,
                &[&["ROLLBACK"], &["ROLLBACK", "TRANSACTION"]],
                Self::Rollback,
            ),
            _ => Err(refusal(text)),
        }
    }
}

fn query(text: &Text) -> Result<Statement> {
    let query = text.query()?;
    if matches!(
        *query.body,
        SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_)
    ) {
        return Err(Error::unsupported("WITH before a statement that writes").at(text.start()));
    }
    Ok(if text.emit_changes {
        Statement::Follow(query)
    } else {
        Statement::Query(query)
    })
}

fn write(text: &Text) -> Result<Statement> {
    // Words of other databases, which the parser takes for the name of a table.
    if text.word(0) == "INSERT" && text.word(2) == "INTO" {
        return Err(Error::unsupported(format!("INSERT {}", text.word(1))).at(text.start()));
    }
    let statement = text.parse(|parser| Ok(parser.parse_statement()?))?;
    match statement {
        Parsed::Insert(_) | Parsed::Update(_) | Parsed::Delete(_) => {
            Ok(Statement::Write(Box::new(statement)))
        }
        Parsed::Directory { .. } => Err(Error::unsupported("INSERT … DIRECTORY").at(text.start())),
        _ => Err(refusal(text)),
    }
}

/// `USE name` or `USE DATABASE name`.
fn named(text: &Text) -> Result<Statement> {
    let words = if text.tokens().len() > 2 && ["DATABASE", "SCHEMA"].contains(&text.word(1).as_str()) {
        2
    } else {
        1
    };
    let mut parser = text.without_first(words).parser();
    let name = parser.parse_identifier()?;
    text::end(&parser)?;
    Ok(Statement::Use(name.value))
}

fn explain(text: &Text) -> Result<Statement> {
    let (mut words, mut analyze, mut verbose) = (1, false, false);
    loop {
        match text.word(words).as_str() {
            "ANALYZE" => analyze = true,
            "VERBOSE" => verbose = true,
            _ => break,
        }
        words += 1;
    }
    let statement = Statement::of(&text.without_first(words))?;
    if !matches!(
        statement,
        Statement::Query(_) | Statement::Follow(_) | Statement::Write(_)
    ) {
        return Err(
            Error::unsupported("EXPLAIN of anything but SELECT, INSERT, UPDATE and DELETE").at(text.start()),
        );
    }
    Ok(Statement::Explain(Explain {
        analyze,
        verbose,
        statement: Box::new(statement),
    }))
}

/// A statement of nothing but these words.
fn only(text: &Text, forms: &[&[&str]], statement: Statement) -> Result<Statement> {
    let is_form = |words: &&&[&str]| text.begins_with(words) && words.len() == text.tokens().len();
    if forms.iter().any(|words| is_form(&words)) {
        return Ok(statement);
    }
    let at = text.tokens().get(1).or_else(|| text.tokens().first());
    let at = at.and_then(|token| Position::of(token.span.start));
    Err(Error::unsupported(format!(
        "this form of {}",
        [text.word(0), text.word(1)].join(" ").trim()
    ))
    .at(at))
}

/// What is said about a statement that begins with another word.
fn refusal(text: &Text) -> Error {
    let first = text.tokens().first().map(|token| token.token.to_string());
    let first = first.unwrap_or_default();
    let known = datafusion::sql::sqlparser::keywords::ALL_KEYWORDS;
    let upper = first.to_ascii_uppercase();
    let error = if known.binary_search(&upper.as_str()).is_ok() {
        Error::unsupported(upper)
    } else {
        Error::new(
            ErrorKind::Syntax,
            format!("Expected: a statement, found: {first}"),
        )
    };
    error.at(text.start())
}
