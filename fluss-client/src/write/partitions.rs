//! The partitions that the rows of a writer go to, whether or not they exist yet.

use std::collections::{HashMap, VecDeque};

use crate::shape::Shape;
use fluss_core::ValueError;
use fluss_core::arrow::ArrowRows;
use fluss_core::id::{BucketId, PartitionId, TableBucket, TableId};
use fluss_core::row::{partition_name, partition_value};
use fluss_core::types::{
    InvalidDefinition, PartitionName, PhysicalTablePath, Row, RowType, TableInfo, TablePath, check_name,
};

/// A partition as its writer numbers it: 0, 1, 2 and so on. A table without partitions is number 0 itself.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct Slot(usize);

impl Slot {
    /// The only one of a table without partitions.
    pub(super) const WHOLE: Self = Self(0);
}

/// Where rows go.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct Target {
    pub(super) slot: Slot,
    pub(super) bucket: BucketId,
}

/// The partitions that rows go to. Which they are on the server is found out in the background.
#[derive(Debug)]
pub(super) struct Partitions {
    path: TablePath,
    table: TableId,
    row_type: RowType,
    /// The positions of the partition keys; none of a table without partitions.
    keys: Vec<usize>,
    places: Vec<Place>,
    slots: HashMap<PartitionName, Slot>,
    wanted: VecDeque<Slot>,
}

#[derive(Debug)]
struct Place {
    name: Option<PartitionName>,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// Nobody has asked for it.
    Idle,
    /// Rows wait for it.
    Wanted,
    /// Somebody is looking for it.
    Sought,
    /// It is there, with so many buckets, but rows were collected for another number.
    Misfit(PartitionId, i32),
    /// It is there, with so many buckets.
    Found(Option<PartitionId>, i32),
}

impl Partitions {
    pub(super) fn of(info: &TableInfo) -> Result<Self, InvalidDefinition> {
        let whole = Place {
            name: None,
            state: State::Found(None, info.bucket_count),
        };
        Ok(Self {
            path: info.path.clone(),
            table: info.id,
            row_type: info.row_type().clone(),
            keys: info.schema().indexes_of(info.descriptor.partition_keys())?,
            places: (!info.is_partitioned()).then_some(whole).into_iter().collect(),
            slots: HashMap::new(),
            wanted: VecDeque::new(),
        })
    }

    /// The partition of a row of the table's type.
    pub(super) fn slot(&mut self, row: &(impl Row + ?Sized)) -> Result<Slot, ValueError> {
        if self.keys.is_empty() {
            return Ok(Slot::WHOLE);
        }
        let name = partition_name(&self.row_type, &self.keys, row)?;
        if let Some(slot) = self.slots.get(&name) {
            return Ok(*slot);
        }
        self.check(row)?;
        let slot = Slot(self.places.len());
        self.places.push(Place {
            name: Some(name.clone()),
            state: State::Idle,
        });
        self.slots.insert(name, slot);
        Ok(slot)
    }

    /// The partition of each row, which is given in a shape: of all, or of none.
    pub(super) fn slots(&mut self, rows: &ArrowRows, shape: &Shape) -> Result<Vec<Slot>, ValueError> {
        (0..rows.len())
            .map(|index| {
                let slot = self.slot(&shape.spread(&rows.row(index)));
                slot.map_err(|error| error.at_row(index))
            })
            .collect()
    }

    /// Checks every value against the rules for new partitions (`descriptors.md` §6).
    fn check(&self, row: &(impl Row + ?Sized)) -> Result<(), ValueError> {
        let fields = self
            .keys
            .iter()
            .filter_map(|key| Some((*key, self.row_type.field(*key)?)));
        for (key, field) in fields {
            let value = partition_value(&field.data_type, &row.datum(key))?;
            check_name("partition value", &value)
                .map_err(|error| ValueError::column(&field.name, error.to_string()))?;
        }
        Ok(())
    }

    /// Takes note that rows wait for a partition. Returns whether it is still to be looked for.
    pub(super) fn want(&mut self, slot: Slot) -> bool {
        match self.places.get_mut(slot.0) {
            Some(place) if place.state == State::Idle => {
                place.state = State::Wanted;
                self.wanted.push_back(slot);
                true
            }
            _ => false,
        }
    }

    /// A partition to look for, which rows have waited for longest.
    pub(super) fn next_wanted(&mut self) -> Option<(Slot, PartitionName)> {
        let slot = self.wanted.pop_front()?;
        let place = self.places.get_mut(slot.0)?;
        place.state = State::Sought;
        Some((slot, place.name.clone()?))
    }

    /// Takes note of which partition it is.
    pub(super) fn found(&mut self, slot: Slot, partition: PartitionId, buckets: i32) {
        self.put(slot, State::Found(Some(partition), buckets));
    }

    /// Takes note of which partition it is, for whose number of buckets the rows that wait were not collected.
    pub(super) fn misfit(&mut self, slot: Slot, partition: PartitionId, buckets: i32) {
        self.put(slot, State::Misfit(partition, buckets));
    }

    /// The partitions that rows were collected for as if they had another number of buckets.
    pub(super) fn misfits(&self) -> Vec<(Slot, PartitionId, i32)> {
        let misfit = |(slot, place): (usize, &Place)| match place.state {
            State::Misfit(partition, buckets) => Some((Slot(slot), partition, buckets)),
            _ => None,
        };
        self.places.iter().enumerate().filter_map(misfit).collect()
    }

    /// Takes note that what was found of a partition does not hold any more.
    pub(super) fn doubt(&mut self, slot: Slot) {
        let place = self.places.get_mut(slot.0);
        let is_found =
            |place: &&mut Place| matches!(place.state, State::Found(Some(_), _) | State::Misfit(..));
        if let Some(place) = place.filter(is_found) {
            place.state = State::Idle;
        }
    }

    /// Takes note that a partition was not found, or is not there any more. Who wants it has to say so.
    pub(super) fn lost(&mut self, slot: Slot) {
        self.put(slot, State::Idle);
    }

    fn put(&mut self, slot: Slot, state: State) {
        if let Some(place) = self.places.get_mut(slot.0) {
            place.state = state;
        }
    }

    /// The bucket on the server, if the partition is known, and how many there are.
    pub(super) fn bucket(&self, target: Target) -> Option<(TableBucket, i32)> {
        match self.places.get(target.slot.0)?.state {
            State::Found(partition, buckets) => {
                let bucket = TableBucket {
                    table: self.table,
                    partition,
                    bucket: target.bucket,
                };
                Some((bucket, buckets))
            }
            _ => None,
        }
    }

    /// The table, with the partition if it has any.
    pub(super) fn physical(&self, slot: Slot) -> PhysicalTablePath {
        PhysicalTablePath {
            table: self.path.clone(),
            partition: self.places.get(slot.0).and_then(|place| place.name.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fluss_core::types::{DataType, Datum, Schema, TableDescriptor, TableProperties};

    fn info(keys: &[&str]) -> TableInfo {
        let schema = Schema::builder()
            .column("id", DataType::int())
            .column("day", DataType::date())
            .column("land", DataType::string());
        let descriptor = TableDescriptor::builder(schema.build().unwrap())
            .partitioned_by(keys.iter().copied())
            .build()
            .unwrap();
        TableInfo {
            path: TablePath::new("d", "t"),
            id: TableId(1),
            schema_id: fluss_core::id::SchemaId(1),
            properties: TableProperties::parse(descriptor.properties()).unwrap(),
            bucket_count: 2,
            created_time: 0,
            modified_time: 0,
            descriptor,
            bucket_count_epoch: 0,
        }
    }

    fn row(day: i32, land: &str) -> [Datum<'_>; 3] {
        [Datum::Int(1), Datum::Date(day), Datum::from(land)]
    }

    fn target(slot: Slot) -> Target {
        Target {
            slot,
            bucket: BucketId(1),
        }
    }

    #[test]
    fn a_table_without_partitions_is_one_place() {
        let mut partitions = Partitions::of(&info(&[])).unwrap();
        let slot = partitions.slot(&row(0, "de")).unwrap();
        assert!(!partitions.want(slot));
        let expected = TableBucket::new(TableId(1), BucketId(1));
        assert_eq!(partitions.bucket(target(slot)), Some((expected, 2)));
    }

    #[test]
    fn a_partition_is_looked_for_once_however_many_rows_want_it() {
        let mut partitions = Partitions::of(&info(&["day", "land"])).unwrap();
        let slot = partitions.slot(&row(0, "de")).unwrap();
        assert_eq!(partitions.slot(&row(0, "de")), Ok(slot));
        assert_ne!(partitions.slot(&row(1, "de")), Ok(slot));
        assert_eq!(partitions.next_wanted(), None, "nobody wants it yet");
        assert!(partitions.want(slot) && !partitions.want(slot));
        let (wanted, name) = partitions.next_wanted().unwrap();
        assert_eq!((wanted, name.as_str()), (slot, "1970-01-01$de"));
        assert!(!partitions.want(slot) && partitions.next_wanted().is_none());
        assert_eq!(partitions.bucket(target(slot)), None);
        partitions.found(slot, PartitionId(7), 2);
        let expected = TableBucket::in_partition(TableId(1), PartitionId(7), BucketId(1));
        assert_eq!(partitions.bucket(target(slot)), Some((expected, 2)));
        assert_eq!(
            partitions.physical(slot).to_string(),
            "d.t partition 1970-01-01$de"
        );
        partitions.lost(slot);
        assert!(partitions.want(slot), "it is wanted again");
    }

    #[test]
    fn values_that_no_partition_can_have_name_their_column() {
        let mut partitions = Partitions::of(&info(&["land"])).unwrap();
        for bad in ["", "a$b", "a/b", "..", "__a", "ä", &"x".repeat(201)] {
            let error = partitions.slot(&row(0, bad)).unwrap_err();
            assert_eq!(error.column.as_deref(), Some("land"), "{bad}");
        }
        let null = [Datum::Int(1), Datum::Date(0), Datum::Null];
        assert_eq!(
            partitions.slot(&null).unwrap_err().to_string(),
            "column 'land': a partition value is null"
        );
    }
}
