//! Arrow's many layouts of the same values, brought to one that hides nothing.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RunArray, UInt64Array};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::compute::{nullif, take};
use arrow::datatypes::{DataType as ArrowType, Int16Type, Int32Type, Int64Type, RunEndIndexType};

use super::{Fitted, Misfit};

/// The values themselves, of those that are kept in a dictionary or as runs.
pub(super) fn plain(array: &ArrayRef) -> Fitted {
    match array.data_type() {
        ArrowType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary();
            plain(&take(dictionary.values(), dictionary.keys(), None).map_err(Misfit::arrow)?)
        }
        ArrowType::RunEndEncoded(ends, _) => plain(&match ends.data_type() {
            ArrowType::Int16 => runs::<Int16Type>(array),
            ArrowType::Int32 => runs::<Int32Type>(array),
            _ => runs::<Int64Type>(array),
        }?),
        _ => Ok(array.clone()),
    }
}

fn runs<R: RunEndIndexType>(array: &ArrayRef) -> Fitted {
    let runs = array.as_any().downcast_ref::<RunArray<R>>();
    let runs = runs.ok_or_else(|| Misfit::column(format!("Arrow's {} cannot be read", array.data_type())))?;
    let rows: Vec<u64> = (0..runs.len())
        .map(|row| runs.get_physical_index(row) as u64)
        .collect();
    take(runs.values(), &UInt64Array::from(rows), None).map_err(Misfit::arrow)
}

/// The values with nulls where they are not shown, so that nobody looks at them.
pub(super) fn masked(array: &ArrayRef, shown: Option<&NullBuffer>) -> Fitted {
    match shown.filter(|shown| shown.null_count() > 0) {
        Some(shown) if *array.data_type() != ArrowType::Null => {
            let hidden = BooleanArray::new(!shown.inner(), None);
            nullif(array, &hidden).map_err(Misfit::arrow)
        }
        _ => Ok(array.clone()),
    }
}

/// Lists, or maps, whose values are those of their rows and no others.
pub(super) struct Lists {
    pub(super) offsets: OffsetBuffer<i32>,
    pub(super) values: ArrayRef,
    pub(super) nulls: Option<NullBuffer>,
}

impl Lists {
    /// The lists in an array; nothing if it has none. Values are copied only where some are not shown, or in another order.
    pub(super) fn of(array: &ArrayRef) -> Result<Option<Self>, Misfit> {
        let nulls = array.nulls();
        let rows = array.len();
        let (values, ranges) = match array.data_type() {
            ArrowType::List(_) => {
                let list = array.as_list::<i32>();
                let offsets = list.offsets();
                if is_tight(offsets, list.values().len(), nulls) {
                    return Ok(Some(Self {
                        offsets: offsets.clone(),
                        values: list.values().clone(),
                        nulls: nulls.cloned(),
                    }));
                }
                (
                    list.values(),
                    between(offsets.iter().map(|offset| *offset as usize)),
                )
            }
            ArrowType::LargeList(_) => {
                let list = array.as_list::<i64>();
                let offsets = list.offsets().iter().map(|offset| *offset as usize);
                (list.values(), between(offsets))
            }
            ArrowType::FixedSizeList(_, width) => {
                let width = usize::try_from(*width).unwrap_or_default();
                let ranges = (0..rows).map(|row| (row * width, width)).collect();
                (array.as_fixed_size_list().values(), ranges)
            }
            ArrowType::ListView(_) => {
                let list = array.as_list_view::<i32>();
                (list.values(), pairs(list.offsets().iter().zip(list.sizes())))
            }
            ArrowType::LargeListView(_) => {
                let list = array.as_list_view::<i64>();
                (list.values(), pairs(list.offsets().iter().zip(list.sizes())))
            }
            ArrowType::Map(..) => {
                let map = array.as_map();
                let entries: ArrayRef = std::sync::Arc::new(map.entries().clone());
                let ranges = between(map.offsets().iter().map(|offset| *offset as usize));
                return Self::gather(&entries, ranges, nulls).map(Some);
            }
            _ => return Ok(None),
        };
        Self::gather(values, ranges, nulls).map(Some)
    }

    /// The values in these ranges of those that are not null: first place and length.
    fn gather(
        values: &ArrayRef,
        mut ranges: Vec<(usize, usize)>,
        nulls: Option<&NullBuffer>,
    ) -> Result<Self, Misfit> {
        if let Some(nulls) = nulls {
            for (range, valid) in ranges.iter_mut().zip(nulls) {
                range.1 = if valid { range.1 } else { 0 };
            }
        }
        let mut ends = Vec::with_capacity(ranges.len() + 1);
        let mut end = 0_usize;
        ends.push(0);
        for (_, length) in &ranges {
            end += length;
            let place = i32::try_from(end)
                .map_err(|_| Misfit::column(format!("lists of {end} values in one batch")))?;
            ends.push(place);
        }
        ranges.retain(|(_, length)| *length > 0);
        let is_run = ranges.windows(2).all(|pair| match pair {
            [(first, length), (next, _)] => first + length == *next,
            _ => true,
        });
        let values = if is_run {
            values.slice(ranges.first().map_or(0, |(first, _)| *first), end)
        } else {
            let places = ranges.iter().flat_map(|(first, length)| *first..first + length);
            let places: UInt64Array = places.map(|place| place as u64).collect();
            take(values, &places, None).map_err(Misfit::arrow)?
        };
        Ok(Self {
            offsets: OffsetBuffer::new(ScalarBuffer::from(ends)),
            values,
            nulls: nulls.cloned(),
        })
    }
}

/// Whether all values are those of rows that are not null.
fn is_tight(offsets: &OffsetBuffer<i32>, values: usize, nulls: Option<&NullBuffer>) -> bool {
    let is_whole = offsets.first() == Some(&0) && offsets.last().map(|last| *last as usize) == Some(values);
    let is_empty = |(pair, valid): (&[i32], bool)| valid || pair.first() == pair.last();
    is_whole
        && nulls.is_none_or(|nulls| nulls.null_count() == 0 || offsets.windows(2).zip(nulls).all(is_empty))
}

fn between(offsets: impl Iterator<Item = usize> + Clone) -> Vec<(usize, usize)> {
    let ends = offsets.clone().skip(1);
    offsets
        .zip(ends)
        .map(|(first, end)| (first, end.saturating_sub(first)))
        .collect()
}

fn pairs<'a, T: Copy + TryInto<usize> + 'a>(
    pairs: impl Iterator<Item = (&'a T, &'a T)>,
) -> Vec<(usize, usize)> {
    let place = |place: T| place.try_into().unwrap_or_default();
    pairs
        .map(|(first, length)| (place(*first), place(*length)))
        .collect()
}
