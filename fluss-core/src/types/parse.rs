//! Types from their text: `DECIMAL(10,2) NOT NULL`, ``ROW<id INT,`a tag` ARRAY<STRING>>``.

use std::str::FromStr;

use super::{DataType, Field, InvalidDefinition, RowType};

/// Deeper types than this are refused, so that text cannot exhaust the stack.
const MAX_DEPTH: usize = 64;

impl FromStr for DataType {
    type Err = InvalidDefinition;

    /// Reads what [`DataType`] prints. Case and white space around the parts do not matter. A field's name that is no plain
    /// word stands between backquotes, with each of its own doubled.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parser = Parser {
            rest: text,
            whole: text,
        };
        let data_type = parser.data_type(0)?;
        if parser.rest.trim().is_empty() {
            Ok(data_type)
        } else {
            Err(parser.error("unexpected text"))
        }
    }
}

struct Parser<'a> {
    rest: &'a str,
    whole: &'a str,
}

impl<'a> Parser<'a> {
    fn error(&self, reason: &str) -> InvalidDefinition {
        let at = self.whole.len() - self.rest.len();
        InvalidDefinition::new(format!("type '{}': {reason} at position {at}", self.whole))
    }

    fn data_type(&mut self, depth: usize) -> Result<DataType, InvalidDefinition> {
        if depth > MAX_DEPTH {
            return Err(self.error("nested too deeply"));
        }
        let name = self.word().to_ascii_uppercase();
        let data_type = match name.as_str() {
            "ARRAY" => self.bracketed(|parser| parser.data_type(depth + 1).map(DataType::array))?,
            "MAP" => self.bracketed(|parser| parser.map(depth + 1))?,
            "ROW" => self.bracketed(|parser| parser.row(depth + 1))?,
            _ => self.scalar(&name)?,
        };
        let not_null = self.take_word("NOT");
        if not_null && !self.take_word("NULL") {
            return Err(self.error("'NULL' expected"));
        }
        Ok(data_type.with_nullable(!not_null))
    }

    fn map(&mut self, depth: usize) -> Result<DataType, InvalidDefinition> {
        let key = self.data_type(depth)?;
        self.expect(',')?;
        Ok(DataType::map(key, self.data_type(depth)?))
    }

    fn row(&mut self, depth: usize) -> Result<DataType, InvalidDefinition> {
        let mut fields = Vec::new();
        while !self.rest.trim_start().starts_with('>') {
            if !fields.is_empty() {
                self.expect(',')?;
            }
            let name = self.name()?;
            fields.push(Field::new(name, self.data_type(depth)?));
        }
        Ok(DataType::row(RowType::new(fields)))
    }

    fn scalar(&mut self, name: &str) -> Result<DataType, InvalidDefinition> {
        let parameters = self.parameters()?;
        let data_type = match (name, parameters.as_slice()) {
            ("BOOLEAN", []) => DataType::boolean(),
            ("TINYINT", []) => DataType::tiny_int(),
            ("SMALLINT", []) => DataType::small_int(),
            ("INT" | "INTEGER", []) => DataType::int(),
            ("BIGINT", []) => DataType::big_int(),
            ("FLOAT", []) => DataType::float(),
            ("DOUBLE", []) => DataType::double(),
            ("STRING", []) => DataType::string(),
            ("BYTES", []) => DataType::bytes(),
            ("DATE", []) => DataType::date(),
            ("CHAR", []) => DataType::char(1)?,
            ("CHAR", &[length]) => DataType::char(length)?,
            ("BINARY", []) => DataType::binary(1)?,
            ("BINARY", &[length]) => DataType::binary(length)?,
            ("DECIMAL", []) => DataType::decimal(10, 0)?,
            ("DECIMAL", &[precision]) => DataType::decimal(small(precision), 0)?,
            ("DECIMAL", &[precision, scale]) => DataType::decimal(small(precision), small(scale))?,
            ("TIME", []) => DataType::time(0)?,
            ("TIME", &[precision]) => DataType::time(small(precision))?,
            ("TIMESTAMP", []) => DataType::timestamp(6)?,
            ("TIMESTAMP", &[precision]) => DataType::timestamp(small(precision))?,
            ("TIMESTAMP_LTZ", []) => DataType::timestamp_ltz(6)?,
            ("TIMESTAMP_LTZ", &[precision]) => DataType::timestamp_ltz(small(precision))?,
            _ => {
                return Err(self.error(&format!(
                    "'{name}' with {} parameters is no type",
                    parameters.len()
                )));
            }
        };
        Ok(data_type)
    }

    fn parameters(&mut self) -> Result<Vec<u32>, InvalidDefinition> {
        let mut parameters = Vec::new();
        if !self.take('(') {
            return Ok(parameters);
        }
        loop {
            let number = self.word();
            parameters.push(number.parse().map_err(|_| self.error("number expected"))?);
            if self.take(')') {
                return Ok(parameters);
            }
            self.expect(',')?;
        }
    }

    fn bracketed<T>(
        &mut self,
        inner: impl FnOnce(&mut Self) -> Result<T, InvalidDefinition>,
    ) -> Result<T, InvalidDefinition> {
        self.expect('<')?;
        let value = inner(self)?;
        self.expect('>')?;
        Ok(value)
    }

    /// The name of a field: a word, or anything between backquotes, where two stand for one.
    fn name(&mut self) -> Result<String, InvalidDefinition> {
        if !self.take('`') {
            let word = self.word();
            if word.is_empty() {
                return Err(self.error("a field's name expected (an empty one is ``)"));
            }
            return Ok(word.to_owned());
        }
        let mut name = String::new();
        while let Some((part, rest)) = self.rest.split_once('`') {
            name.push_str(part);
            self.rest = rest;
            if !self.take_next('`') {
                return Ok(name);
            }
            name.push('`');
        }
        Err(self.error("'`' expected"))
    }

    fn word(&mut self) -> &'a str {
        self.rest = self.rest.trim_start();
        let end = self
            .rest
            .find(|c: char| c.is_whitespace() || "<>(),".contains(c))
            .unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }

    fn take_word(&mut self, expected: &str) -> bool {
        let before = self.rest;
        let found = self.word().eq_ignore_ascii_case(expected);
        if !found {
            self.rest = before;
        }
        found
    }

    fn take(&mut self, expected: char) -> bool {
        let before = self.rest;
        self.rest = before.trim_start();
        let is_taken = self.take_next(expected);
        if !is_taken {
            self.rest = before;
        }
        is_taken
    }

    /// The same without white space before it.
    fn take_next(&mut self, expected: char) -> bool {
        match self.rest.strip_prefix(expected) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, expected: char) -> Result<(), InvalidDefinition> {
        if self.take(expected) {
            Ok(())
        } else {
            Err(self.error(&format!("'{expected}' expected")))
        }
    }
}

/// A precision or scale: what does not fit is out of every type's range, and stays so.
fn small(parameter: u32) -> u8 {
    u8::try_from(parameter).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn types_are_read_as_they_print() {
        for text in [
            "INT",
            "BIGINT NOT NULL",
            "DECIMAL(38,18)",
            "TIMESTAMP_LTZ(9) NOT NULL",
            "ARRAY<ARRAY<STRING NOT NULL>>",
            "MAP<INT NOT NULL,ROW<x DATE,y CHAR(3) NOT NULL> NOT NULL>",
            "ROW<>",
            "ROW<`a b` INT,`a``b` INT,sélect INT,`` INT,`a:b,c` ROW<`>` DATE>,```` INT>",
        ] {
            assert_eq!(text.parse::<DataType>().unwrap().to_string(), text);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_name_is_read_back_whatever_it_is(
            name in prop_oneof![any::<String>(), "[aZ_é0`\"'\\\\ \t\n<>(),:.\u{a0}-]{0,6}"],
        ) {
            let inner = DataType::row(RowType::new([Field::new(name.clone(), DataType::int())]));
            let fields = [Field::new(name, inner.not_null()), Field::new("z", DataType::date())];
            let data_type = DataType::row(RowType::new(fields));
            prop_assert_eq!(data_type.to_string().parse::<DataType>().unwrap(), data_type);
        }
    }

    #[test]
    fn a_word_without_quotes_may_have_what_the_grammar_leaves() {
        let found = "ROW<a-b INT, c`d DATE, e\u{301}: INT>"
            .parse::<DataType>()
            .unwrap();
        let again = found.to_string();
        assert_eq!(again, "ROW<`a-b` INT,`c``d` DATE,`e\u{301}:` INT>");
        assert_eq!(again.parse::<DataType>().unwrap(), found);
    }

    #[test]
    fn a_bad_type_says_where() {
        let error = "ARRAY<INTT>".parse::<DataType>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "type 'ARRAY<INTT>': 'INTT' with 0 parameters is no type at position 10"
        );
        assert!("DECIMAL(39,0)".parse::<DataType>().is_err());
        for unnamed in ["ROW< INT>", "ROW<`a INT>", "ROW<`a``>", "ROW<,>"] {
            assert!(unnamed.parse::<DataType>().is_err(), "{unnamed}");
        }
        assert!("TIME(300)".parse::<DataType>().is_err());
        assert!("ARRAY<".repeat(10_000).parse::<DataType>().is_err());
    }
}
