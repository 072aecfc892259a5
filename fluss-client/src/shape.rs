//! The rows that a writer is given, and the rows of its table.

use std::fmt;

use fluss_core::ValueError;
use fluss_core::types::{Datum, InvalidDefinition, Places, Row, RowType, did_you_mean};

/// Which columns of the table rows are given with, and in which order.
#[derive(Clone)]
pub(crate) struct Shape {
    given: RowType,
    /// For each column of the table, its position in a given row; nothing if rows are given whole.
    places: Option<Places>,
}

impl Shape {
    /// Rows as the table has them.
    pub(crate) fn whole(row_type: &RowType) -> Self {
        Self {
            given: row_type.clone(),
            places: None,
        }
    }

    /// Rows of these columns of the table, in this order.
    pub(crate) fn of(row_type: &RowType, columns: &[usize]) -> Self {
        let place = |column| columns.iter().position(|other| *other == column);
        Self {
            given: row_type.project(columns),
            places: Some((0..row_type.len()).map(place).collect()),
        }
    }

    /// Rows of the columns of these names.
    pub(crate) fn named<S: AsRef<str>>(row_type: &RowType, names: &[S]) -> Result<Self, InvalidDefinition> {
        let position = |name: &S| {
            let name = name.as_ref();
            row_type.index_of(name).ok_or_else(|| {
                let near = did_you_mean(name, row_type.names());
                InvalidDefinition::new(format!("there is no column '{name}'{near}"))
            })
        };
        let columns: Vec<usize> = names.iter().map(position).collect::<Result<_, _>>()?;
        Ok(Self::of(row_type, &columns))
    }

    /// The type of the rows that are given.
    pub(crate) const fn row_type(&self) -> &RowType {
        &self.given
    }

    /// Checks a row that is given.
    pub(crate) fn check(&self, row: &(impl Row + ?Sized)) -> Result<(), ValueError> {
        fluss_core::row::check(&self.given, row)
    }

    /// A given row as a row of the table, null in the columns that it lacks.
    pub(crate) fn spread<'r, R: Row + ?Sized>(&'r self, row: &'r R) -> Spread<'r, R> {
        Spread {
            row,
            places: self.places.as_ref(),
        }
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Shape").field(&self.given).finish()
    }
}

/// A given row as a row of its table.
pub(crate) struct Spread<'r, R: ?Sized> {
    row: &'r R,
    places: Option<&'r Places>,
}

impl<R: Row + ?Sized> Row for Spread<'_, R> {
    fn len(&self) -> usize {
        self.places
            .map_or_else(|| self.row.len(), |places| places.iter().len())
    }

    fn datum(&self, index: usize) -> Datum<'_> {
        match self.places {
            None => self.row.datum(index),
            Some(places) => {
                let place = places.get(index);
                place.map_or(Datum::Null, |place| self.row.datum(place))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fluss_core::types::{DataType, Field};

    #[test]
    fn a_row_of_some_columns_is_null_in_the_others() {
        let row_type = RowType::new(["a", "b", "c"].map(|name| Field::new(name, DataType::int())));
        let shape = Shape::named(&row_type, &["c", "a"]).unwrap();
        let row = [Datum::Int(3), Datum::Int(1)];
        shape.check(&row).unwrap();
        let spread = shape.spread(&row);
        assert_eq!(spread.to_owned_row(), [Datum::Int(1), Datum::Null, Datum::Int(3)]);
        assert_eq!(Shape::whole(&row_type).spread(&row).to_owned_row(), row);
        assert!(Shape::named(&row_type, &["d"]).is_err());
        assert!(shape.check(&row[..1]).is_err());
    }
}
