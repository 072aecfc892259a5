//! Where the columns of one type of rows are in rows of another.

use super::datum::Datum;

/// Where columns are in rows of another type: the position of each, or nothing for one that they lack.
///
/// A schema has its [`places_in`](super::Schema::places_in) another version of itself, under which rows were written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Places(Vec<Option<usize>>);

impl Places {
    /// The position of a column in the other rows.
    pub fn get(&self, column: usize) -> Option<usize> {
        self.0.get(column).copied().flatten()
    }

    /// The positions of all columns.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Option<usize>> {
        self.0.iter().copied()
    }

    /// The column that is at a position of the other rows.
    pub fn column_at(&self, place: usize) -> Option<usize> {
        self.iter().position(|other| other == Some(place))
    }

    /// Whether rows of so many columns have the same ones in the same order.
    pub fn are_all(&self, columns: usize) -> bool {
        self.iter().eq((0..columns).map(Some))
    }

    /// Takes the columns out of another row, null where it lacks them.
    pub fn take<'v>(&self, mut row: Vec<Datum<'v>>) -> Vec<Datum<'v>> {
        let take = |place: Option<usize>| {
            let datum = place.and_then(|place| row.get_mut(place));
            datum.map_or(Datum::Null, |datum| std::mem::replace(datum, Datum::Null))
        };
        self.iter().map(take).collect()
    }
}

impl FromIterator<Option<usize>> for Places {
    fn from_iter<I: IntoIterator<Item = Option<usize>>>(places: I) -> Self {
        Self(places.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_in_other_columns_is_null_where_it_lacks_them() {
        let places: Places = [Some(2), None, Some(0), Some(7)].into_iter().collect();
        let row = vec![Datum::Int(0), Datum::Int(1), Datum::Int(2)];
        let taken = places.take(row);
        assert_eq!(taken, [Datum::Int(2), Datum::Null, Datum::Int(0), Datum::Null]);
        assert_eq!(
            (places.get(0), places.get(1), places.get(9)),
            (Some(2), None, None)
        );
        assert_eq!((places.column_at(0), places.column_at(1)), (Some(2), None));
    }

    #[test]
    fn the_same_columns_are_in_their_own_places() {
        let of = |places: [Option<usize>; 2]| Places::from_iter(places);
        assert!(of([Some(0), Some(1)]).are_all(2));
        assert!(!of([Some(0), Some(1)]).are_all(3), "one is left out");
        assert!(!of([Some(1), Some(0)]).are_all(2));
        assert!(!of([Some(0), None]).are_all(2));
    }
}
