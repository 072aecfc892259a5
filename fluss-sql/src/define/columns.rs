//! Columns and constraints between the brackets of CREATE TABLE.

use datafusion::sql::sqlparser::ast::{Expr, Ident, ObjectName};
use datafusion::sql::sqlparser::tokenizer::Token;
use fluss_client::types::DataType;

use super::cursor::Cursor;
use super::types::data_type;
use crate::error::{Error, ErrorKind, Position, Result};
use crate::write::check_default;

/// A column as it is defined.
pub(super) struct Column {
    pub(super) name: Ident,
    pub(super) data_type: DataType,
    pub(super) comment: Option<String>,
    pub(super) default: Option<Expr>,
    /// Whether it is the primary key.
    pub(super) is_key: bool,
    /// Whether servers count its values up.
    pub(super) is_counter: bool,
}

/// What stands between the brackets.
#[derive(Default)]
pub(super) struct Columns {
    pub(super) all: Vec<Column>,
    /// The primary key.
    pub(super) key: Option<Vec<Ident>>,
    /// The table that it is like.
    pub(super) like: Option<ObjectName>,
}

impl Columns {
    /// Reads what stands between the brackets.
    pub(super) fn read(cursor: &mut Cursor) -> Result<Self> {
        let mut read = Self::default();
        cursor.listed(|cursor| read.read_one(cursor))?;
        Ok(read)
    }

    fn read_one(&mut self, cursor: &mut Cursor) -> Result<()> {
        let at = cursor.place();
        if cursor.take_words(&["LIKE"]) {
            self.like = Some(cursor.name()?);
            return refuse_options(cursor);
        }
        let is_named = cursor.take_words(&["CONSTRAINT"]);
        if is_named {
            cursor.ident()?;
        }
        if cursor.take_words(&["PRIMARY", "KEY"]) {
            let key = cursor.idents()?;
            not_enforced(cursor)?;
            return self.set_key(key, at);
        }
        for words in [
            ["FOREIGN", "KEY"],
            ["WATERMARK", "FOR"],
            ["PERIOD", "FOR"],
            ["UNIQUE", "KEY"],
            ["UNIQUE", "INDEX"],
        ] {
            if cursor.take_words(&words) {
                return Err(Error::unsupported(words.join(" ")).at(at));
            }
        }
        let name = cursor.word();
        let is_constraint = ["UNIQUE", "CHECK", "EXCLUDE", "INDEX", "KEY"].contains(&name.as_str());
        if is_constraint && (is_named || cursor.is_followed_by(&Token::LParen)) {
            return Err(cursor.unsupported(name));
        }
        if is_named {
            return Err(cursor.expected("PRIMARY KEY"));
        }
        let column = column(cursor)?;
        if column.is_key {
            self.set_key(vec![column.name.clone()], at)?;
        }
        self.all.push(column);
        Ok(())
    }

    fn set_key(&mut self, key: Vec<Ident>, at: Option<Position>) -> Result<()> {
        if self.key.replace(key).is_some() {
            return Err(Error::new(ErrorKind::Syntax, "there are two primary keys").at(at));
        }
        Ok(())
    }
}

/// Reads `NOT ENFORCED`. Keys of Fluss are unique by what they are, whether or not the words are there.
fn not_enforced(cursor: &mut Cursor) -> Result<()> {
    cursor.take_words(&["NOT", "ENFORCED"]);
    if cursor.word() == "ENFORCED" {
        return Err(cursor.unsupported("ENFORCED, which keys are in any case,"));
    }
    Ok(())
}

/// Refuses what may stand behind `LIKE table`.
pub(super) fn refuse_options(cursor: &Cursor) -> Result<()> {
    match cursor.word().as_str() {
        word @ ("INCLUDING" | "EXCLUDING" | "OVERWRITING") => {
            Err(cursor.unsupported(format!("{word} behind LIKE")))
        }
        _ => Ok(()),
    }
}

/// Reads `name type [NOT NULL] [PRIMARY KEY] [DEFAULT literal] [COMMENT 'text'] [AUTO_INCREMENT]`.
pub(super) fn column(cursor: &mut Cursor) -> Result<Column> {
    let name = cursor.ident()?;
    let mut column = Column {
        name,
        data_type: data_type(cursor)?,
        comment: None,
        default: None,
        is_key: false,
        is_counter: false,
    };
    loop {
        let at = cursor.place();
        if cursor.take_words(&["CONSTRAINT"]) {
            cursor.ident()?;
        }
        if cursor.take_words(&["NOT", "NULL"]) {
            column.data_type = column.data_type.not_null();
        } else if cursor.take_words(&["PRIMARY", "KEY"]) {
            not_enforced(cursor)?;
            column.is_key = true;
        } else if cursor.take_words(&["NULL"]) {
            column.data_type = column.data_type.with_nullable(true);
        } else if cursor.take_words(&["DEFAULT"]) {
            let default = cursor.literal()?;
            check_default(&default).map_err(|error| error.at(at))?;
            column.default = Some(default);
        } else if cursor.take_words(&["COMMENT"]) {
            column.comment = Some(cursor.string()?);
        } else if cursor.take_words(&["AUTO_INCREMENT"]) {
            column.is_counter = true;
        } else {
            return match cursor.word().as_str() {
                "" | "FIRST" | "AFTER" => Ok(column),
                word => Err(cursor.unsupported(format!("{word} of a column"))),
            };
        }
    }
}
