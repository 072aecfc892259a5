//! Conditions on rows: what is asked of them, and which rows of a batch hold them.
//!
//! ```
//! use fluss_core::filter::col;
//!
//! let asked = col("id").ge(200_i64) & (col("name").starts_with("a") | col("name").is_null());
//! ```
//!
//! A row is taken if its condition is true. As in SQL a comparison to a null is neither true nor false, and so is its
//! negation; `is_null` asks for nulls. Numbers compare by their value, text and bytes byte by byte. Of floating-point
//! numbers both zeros are equal, and NaN equals NaN and is above all others.

mod bound;
mod pushed;
#[cfg(test)]
mod tests;

use std::ops::{BitAnd, BitOr, Not};

use crate::types::Datum;

pub use bound::Filter;
pub use pushed::{Function, Pushed};

/// How two values are compared.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Comparison {
    /// The same value.
    Equal,
    /// Another value.
    NotEqual,
    /// Below the value.
    Less,
    /// At most the value.
    LessOrEqual,
    /// Above the value.
    Greater,
    /// At least the value.
    GreaterOrEqual,
}

/// Where in a text another is looked for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum TextPart {
    /// At its beginning.
    Prefix,
    /// At its end.
    Suffix,
    /// Anywhere in it.
    Infix,
}

/// What is asked of the values of one column.
#[derive(Clone, PartialEq, Debug)]
pub enum Test {
    /// That they compare so to a value.
    Compare(Comparison, Datum<'static>),
    /// That they are one of these.
    IsIn(Vec<Datum<'static>>),
    /// That they are null.
    IsNull,
    /// That they have this text in them.
    Text(TextPart, String),
}

/// A condition on a row, made from [`col`]. `&`, `|` and `!` combine conditions.
///
/// It names columns, and fits any table that has them: a [`Filter`] is a condition on the rows of one.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum Predicate {
    /// A test of the values of a column.
    Column {
        /// The name of the column.
        column: String,
        /// What is asked of its values.
        test: Test,
    },
    /// All of these; true without any.
    All(Vec<Self>),
    /// At least one of these; false without any.
    Any(Vec<Self>),
    /// The opposite.
    Not(Box<Self>),
}

impl BitAnd for Predicate {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        let mut parts = match self {
            Self::All(parts) => parts,
            single => vec![single],
        };
        match other {
            Self::All(others) => parts.extend(others),
            single => parts.push(single),
        }
        Self::All(parts)
    }
}

impl BitOr for Predicate {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        let mut parts = match self {
            Self::Any(parts) => parts,
            single => vec![single],
        };
        match other {
            Self::Any(others) => parts.extend(others),
            single => parts.push(single),
        }
        Self::Any(parts)
    }
}

impl Not for Predicate {
    type Output = Self;

    fn not(self) -> Self {
        Self::Not(Box::new(self))
    }
}

/// A column by its name, to be tested.
pub fn col(name: impl Into<String>) -> Col {
    Col(name.into())
}

/// A column of a [`Predicate`] to be. Had from [`col`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Col(String);

macro_rules! comparisons {
    ($($(#[$doc:meta])+ $name:ident => $comparison:ident;)+) => {$(
        $(#[$doc])+
        #[must_use]
        pub fn $name(self, value: impl Into<Datum<'static>>) -> Predicate {
            self.test(Test::Compare(Comparison::$comparison, value.into()))
        }
    )+};
}

impl Col {
    comparisons! {
        /// Its value is the same.
        eq => Equal;
        /// Its value is another.
        ne => NotEqual;
        /// Its value is below.
        lt => Less;
        /// Its value is at most.
        le => LessOrEqual;
        /// Its value is above.
        gt => Greater;
        /// Its value is at least.
        ge => GreaterOrEqual;
    }

    /// Its value is one of these.
    #[must_use]
    pub fn is_in<V: Into<Datum<'static>>>(self, values: impl IntoIterator<Item = V>) -> Predicate {
        self.test(Test::IsIn(values.into_iter().map(Into::into).collect()))
    }

    /// It has no value.
    #[must_use]
    pub fn is_null(self) -> Predicate {
        self.test(Test::IsNull)
    }

    /// It has a value.
    #[must_use]
    pub fn is_not_null(self) -> Predicate {
        !self.is_null()
    }

    /// Its text begins so.
    #[must_use]
    pub fn starts_with(self, prefix: impl Into<String>) -> Predicate {
        self.test(Test::Text(TextPart::Prefix, prefix.into()))
    }

    /// Its text ends so.
    #[must_use]
    pub fn ends_with(self, suffix: impl Into<String>) -> Predicate {
        self.test(Test::Text(TextPart::Suffix, suffix.into()))
    }

    /// Its text has this in it.
    #[must_use]
    pub fn contains(self, infix: impl Into<String>) -> Predicate {
        self.test(Test::Text(TextPart::Infix, infix.into()))
    }

    /// It passes a test.
    #[must_use]
    pub fn test(self, test: Test) -> Predicate {
        Predicate::Column { column: self.0, test }
    }
}
