//! The types of columns: read with their common names, and handed to the project's own parser of types.

use std::fmt::Write;

use datafusion::sql::sqlparser::tokenizer::Token;
use fluss_client::types::DataType;

use super::cursor::Cursor;
use crate::error::{Error, ErrorKind, Result};

/// Reads a type, without the NOT NULL behind it.
pub(super) fn data_type(cursor: &mut Cursor) -> Result<DataType> {
    let place = cursor.place();
    let text = read(cursor)?;
    let parsed: Result<DataType, _> = text.parse();
    parsed.map_err(|error| Error::new(ErrorKind::Type, error.to_string()).at(place))
}

/// Reads a type, and returns its text as our parser has it.
fn read(cursor: &mut Cursor) -> Result<String> {
    let place = cursor.place();
    let name = cursor.word();
    if name.is_empty() {
        return Err(cursor.expected("a type"));
    }
    cursor.ident()?;
    let mut text = match name.as_str() {
        "ARRAY" | "LIST" => format!("ARRAY<{}>", inner(cursor, nested)?),
        "MAP" => {
            let pair = inner(cursor, |cursor| {
                let key = nested(cursor)?;
                cursor.expect(&Token::Comma)?;
                Ok(format!("{key},{}", nested(cursor)?))
            });
            format!("MAP<{}>", pair?)
        }
        "ROW" | "STRUCT" => format!("ROW<{}>", inner(cursor, fields)?),
        _ => scalar(cursor, &name).map_err(|error| error.at(place))?,
    };
    while cursor.take(&Token::LBracket) {
        cursor.expect(&Token::RBracket)?;
        text = format!("ARRAY<{text}>");
    }
    Ok(text)
}

/// What is between angle brackets, or round ones.
fn inner(cursor: &mut Cursor, mut read: impl FnMut(&mut Cursor) -> Result<String>) -> Result<String> {
    let close = if cursor.take(&Token::Lt) {
        Token::Gt
    } else if cursor.take(&Token::LParen) {
        Token::RParen
    } else {
        return Err(cursor.expected("<"));
    };
    let text = read(cursor)?;
    cursor.expect(&close)?;
    Ok(text)
}

/// A type within another, with the NOT NULL behind it.
fn nested(cursor: &mut Cursor) -> Result<String> {
    let text = read(cursor)?;
    if cursor.take_words(&["NOT", "NULL"]) {
        return Ok(format!("{text} NOT NULL"));
    }
    cursor.take_words(&["NULL"]);
    Ok(text)
}

fn fields(cursor: &mut Cursor) -> Result<String> {
    let mut text = String::new();
    loop {
        let name = cursor.ident()?.value.replace('`', "``");
        cursor.take(&Token::Colon);
        let field = nested(cursor)?;
        // Writing to a string cannot fail.
        let _ = write!(text, "`{name}` {field}");
        if !cursor.take(&Token::Comma) {
            return Ok(text);
        }
        text.push(',');
    }
}

/// A type that is not nested, whose name was read.
fn scalar(cursor: &mut Cursor, name: &str) -> Result<String> {
    let name = match name {
        "DOUBLE" => {
            cursor.take_words(&["PRECISION"]);
            "DOUBLE"
        }
        "CHARACTER" => {
            if cursor.take_words(&["VARYING"]) {
                "VARCHAR"
            } else {
                "CHAR"
            }
        }
        name => name,
    };
    let parameters = parameters(cursor)?;
    let digits = |default: &str| match parameters.as_slice() {
        [] => Ok(default.to_owned()),
        [digits] => Ok(digits.to_string()),
        _ => Err(Error::new(ErrorKind::Type, format!("{name} takes one number"))),
    };
    let plain = |other: &str| match parameters.as_slice() {
        [] => Ok(other.to_owned()),
        _ => Err(Error::new(ErrorKind::Type, format!("{name} takes no numbers"))),
    };
    match name {
        "BOOLEAN" | "BOOL" | "LOGICAL" => plain("BOOLEAN"),
        "TINYINT" | "INT1" => plain("TINYINT"),
        "SMALLINT" | "INT2" | "SHORT" => plain("SMALLINT"),
        "INT" | "INTEGER" | "INT4" | "SIGNED" => plain("INT"),
        "BIGINT" | "INT8" | "LONG" => plain("BIGINT"),
        "FLOAT" | "REAL" | "FLOAT4" => plain("FLOAT"),
        "DOUBLE" | "FLOAT8" => plain("DOUBLE"),
        "STRING" | "TEXT" => plain("STRING"),
        // A length that is the largest there is means none. A CHAR(n) is text of at most n characters.
        "VARCHAR" => match parameters.as_slice() {
            [] | [2_147_483_647] => Ok("STRING".to_owned()),
            _ => Ok(format!("CHAR({})", digits("1")?)),
        },
        "CHAR" | "BPCHAR" => Ok(format!("CHAR({})", digits("1")?)),
        "BYTES" | "BLOB" | "BYTEA" | "VARBINARY" => match parameters.as_slice() {
            [] | [2_147_483_647] => Ok("BYTES".to_owned()),
            _ => Err(Error::unsupported(format!("{name} with a length"))),
        },
        "BINARY" => Ok(format!("BINARY({})", digits("1")?)),
        "DECIMAL" | "NUMERIC" | "DEC" => match parameters.as_slice() {
            [] => Ok("DECIMAL(38,10)".to_owned()),
            [precision] => Ok(format!("DECIMAL({precision},0)")),
            [precision, scale] => Ok(format!("DECIMAL({precision},{scale})")),
            _ => Err(Error::new(ErrorKind::Type, "DECIMAL takes two numbers")),
        },
        "DATE" => plain("DATE"),
        "TIME" => {
            let digits = digits("0")?;
            if zone(cursor) {
                return Err(Error::unsupported("TIME WITH TIME ZONE"));
            }
            Ok(format!("TIME({digits})"))
        }
        "DATETIME" => Ok(format!("TIMESTAMP({})", digits("6")?)),
        "TIMESTAMP" => {
            let digits = digits("6")?;
            let name = if zone(cursor) {
                "TIMESTAMP_LTZ"
            } else {
                "TIMESTAMP"
            };
            Ok(format!("{name}({digits})"))
        }
        "TIMESTAMP_LTZ" | "TIMESTAMPTZ" => Ok(format!("TIMESTAMP_LTZ({})", digits("6")?)),
        _ => Err(Error::unsupported(format!("the type {name}"))),
    }
}

/// Numbers between brackets, if there are any.
fn parameters(cursor: &mut Cursor) -> Result<Vec<u32>> {
    if cursor.peek() != Some(&Token::LParen) {
        return Ok(Vec::new());
    }
    cursor.listed(Cursor::number)
}

/// `WITH [LOCAL] TIME ZONE`, which an instant has, or `WITHOUT TIME ZONE`.
fn zone(cursor: &mut Cursor) -> bool {
    if cursor.take_words(&["WITHOUT", "TIME", "ZONE"]) {
        return false;
    }
    cursor.take_words(&["WITH", "LOCAL", "TIME", "ZONE"]) || cursor.take_words(&["WITH", "TIME", "ZONE"])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Text;

    fn of(text: &str) -> Result<String, String> {
        let text = Text::statement(text, 1 << 20).unwrap();
        let mut cursor = Cursor::new(&text);
        let data_type = data_type(&mut cursor).map_err(|error| error.message)?;
        cursor.end().map_err(|error| error.message)?;
        Ok(data_type.to_string())
    }

    #[test]
    fn common_names_are_types_of_ours() {
        for (text, expected) in [
            ("int", "INT"),
            ("INT8", "BIGINT"),
            ("double precision", "DOUBLE"),
            ("Real", "FLOAT"),
            ("text", "STRING"),
            ("VARCHAR", "STRING"),
            ("character varying", "STRING"),
            ("VARCHAR(2147483647)", "STRING"),
            ("VARCHAR(20)", "CHAR(20)"),
            ("CHARACTER(7)", "CHAR(7)"),
            ("DECIMAL", "DECIMAL(38,10)"),
            ("NUMERIC(9)", "DECIMAL(9,0)"),
            ("DECIMAL(9, 2)", "DECIMAL(9,2)"),
            ("DATETIME", "TIMESTAMP(6)"),
            ("TIMESTAMP(3) WITHOUT TIME ZONE", "TIMESTAMP(3)"),
            ("TIMESTAMP(3) WITH TIME ZONE", "TIMESTAMP_LTZ(3)"),
            ("TIMESTAMP WITH LOCAL TIME ZONE", "TIMESTAMP_LTZ(6)"),
            ("TIMESTAMPTZ", "TIMESTAMP_LTZ(6)"),
            ("TIME", "TIME(0)"),
            ("BLOB", "BYTES"),
            ("BINARY(16)", "BINARY(16)"),
            ("INT[]", "ARRAY<INT>"),
            ("TEXT[][]", "ARRAY<ARRAY<STRING>>"),
            ("ARRAY<ARRAY<INT NOT NULL>>", "ARRAY<ARRAY<INT NOT NULL>>"),
            ("ARRAY<ARRAY<ARRAY<INT>>>", "ARRAY<ARRAY<ARRAY<INT>>>"),
            ("MAP<TEXT, ARRAY<INT>>", "MAP<STRING NOT NULL,ARRAY<INT>>"),
            (
                "STRUCT<a INT, \"a b\": TEXT NOT NULL>",
                "ROW<a INT,`a b` STRING NOT NULL>",
            ),
            ("STRUCT(a INT, b STRUCT(c DATE))", "ROW<a INT,b ROW<c DATE>>"),
        ] {
            assert_eq!(of(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_type_says_so() {
        for (text, expected) in [
            ("UUID", "the type UUID is not supported"),
            ("INT(11)", "INT takes no numbers"),
            ("DECIMAL(50,2)", "DECIMAL(50,2)"),
            ("TIMESTAMP(12)", "TIMESTAMP(12)"),
            ("TIME WITH TIME ZONE", "TIME WITH TIME ZONE is not supported"),
            ("ARRAY", "Expected: <"),
            ("ARRAY<INT", "Expected: >"),
            (
                "INT UNSIGNED",
                "Expected: the end of the statement, found: UNSIGNED",
            ),
            ("'INT'", "Expected: a type"),
        ] {
            let error = of(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
