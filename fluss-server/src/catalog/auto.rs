//! Partitions made and dropped by the clock (`descriptors.md` §6.1): what there should be, as a function of the time.

use std::collections::BTreeMap;

use fluss_core::types::PartitionName;

use super::entry::Partition;
use super::settings::AutoPartition;

/// The most partitions that are made ahead at a time, whatever a table asks for.
const MOST_AHEAD: i32 = 10_000;

/// What is to be done about the partitions of a table.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Plan {
    /// Partitions to create, in the order of their time. Several partition keys have none.
    pub create: Vec<PartitionName>,
    /// Partitions to drop.
    pub drop: Vec<PartitionName>,
}

/// What is to be done at a time, in milliseconds since the epoch, about a table with `keys` partition keys that has
/// these partitions.
///
/// A partition is dropped when its time text sorts before that of the oldest one to be kept, whoever created it.
pub fn plan(
    rule: &AutoPartition,
    keys: usize,
    now_ms: i64,
    existing: &BTreeMap<PartitionName, Partition>,
) -> Plan {
    let local = rule.local(now_ms);
    let ahead = if keys == 1 { rule.ahead.min(MOST_AHEAD) } else { 0 };
    let wanted = (0..ahead).map(|offset| PartitionName::from(rule.format.text(local, offset)));
    let oldest = rule.oldest(now_ms);
    let is_old = |name: &PartitionName| {
        let time = name.values().nth(rule.key);
        oldest
            .as_deref()
            .zip(time)
            .is_some_and(|(oldest, time)| time < oldest)
    };
    Plan {
        create: wanted.filter(|name| !existing.contains_key(name)).collect(),
        drop: existing.keys().filter(|name| is_old(name)).cloned().collect(),
    }
}

#[cfg(test)]
mod tests {
    use fluss_core::id::PartitionId;
    use fluss_core::row::{AutoPartitionUnit, TimeFormat};
    use proptest::prelude::*;

    use super::super::time_zone::TimeZone;
    use super::*;

    /// 2026-11-20T09:00 in UTC.
    const NOW: i64 = 1_795_165_200_000;
    const HOUR: i64 = 3_600_000;

    fn rule(unit: &str, zone: &str, ahead: i32, keep: Option<i32>) -> AutoPartition {
        AutoPartition {
            key: 0,
            format: TimeFormat::of(unit.parse().unwrap()),
            zone: TimeZone::named(zone),
            ahead,
            keep,
        }
    }

    fn existing(names: &[&str]) -> BTreeMap<PartitionName, Partition> {
        let partition = Partition {
            id: PartitionId(0),
            created_ms: 0,
            buckets: 1,
        };
        names
            .iter()
            .map(|name| (PartitionName::from((*name).to_owned()), partition))
            .collect()
    }

    fn plan_of(rule: &AutoPartition, keys: usize, now_ms: i64, names: &[&str]) -> (Vec<String>, Vec<String>) {
        let texts = |names: Vec<PartitionName>| names.iter().map(ToString::to_string).collect();
        let Plan { create, drop } = plan(rule, keys, now_ms, &existing(names));
        (texts(create), texts(drop))
    }

    fn created(unit: &str, zone: &str, now_ms: i64) -> Vec<String> {
        plan_of(&rule(unit, zone, 2, None), 1, now_ms, &[]).0
    }

    #[test]
    fn every_unit_has_its_text() {
        for (unit, expected) in [
            ("HOUR", ["2026112009", "2026112010"]),
            ("DAY", ["20261120", "20261121"]),
            ("MONTH", ["202611", "202612"]),
            ("QUARTER", ["20264", "20271"]),
            ("YEAR", ["2026", "2027"]),
        ] {
            assert_eq!(created(unit, "UTC", NOW), expected, "{unit}");
        }
    }

    #[test]
    fn the_clock_is_that_of_the_zone() {
        for (zone, expected) in [
            ("Asia/Tokyo", "2026112018"),
            ("America/New_York", "2026112004"),
            ("Asia/Kolkata", "2026112014"),
            ("GMT+8", "2026112017"),
            ("UTC-09:30", "2026111923"),
            ("+05:30", "2026112014"),
            ("Nowhere/Land", "2026112009"),
            ("GMT+99", "2026112009"),
        ] {
            assert_eq!(created("HOUR", zone, NOW)[0], expected, "{zone}");
        }
    }

    #[test]
    fn summer_time_moves_the_day() {
        // 2026-07-01T22:30 in UTC: in Paris a new day has begun, which in winter it would not have.
        let july = 1_782_945_000_000;
        assert_eq!(created("DAY", "Europe/Paris", july)[0], "20260702");
        let november = NOW + 13 * HOUR + HOUR / 2;
        assert_eq!(created("DAY", "Europe/Paris", november)[0], "20261120");
    }

    #[test]
    fn partitions_stay_as_long_as_they_are_kept() {
        let rule = rule("DAY", "UTC", 2, Some(2));
        let names = ["20261117", "20261118", "20261119", "20261120", "junk"];
        let (create, drop) = plan_of(&rule, 1, NOW, &names);
        assert_eq!(
            (create, drop),
            (vec!["20261121".to_owned()], vec!["20261117".to_owned()])
        );
        let all = AutoPartition {
            keep: None,
            ..rule.clone()
        };
        assert_eq!(plan_of(&all, 1, NOW, &names).1, [] as [String; 0]);
        let current = AutoPartition {
            keep: Some(0),
            ..rule
        };
        assert_eq!(
            plan_of(&current, 1, NOW, &names).1,
            ["20261117", "20261118", "20261119"]
        );
    }

    #[test]
    fn several_keys_only_drop() {
        let rule = AutoPartition {
            key: 1,
            ..rule("YEAR", "UTC", 5, Some(1))
        };
        let names = ["eu$2024", "eu$2025", "us$2024"];
        let (create, drop) = plan_of(&rule, 2, NOW, &names);
        assert_eq!(
            (create, drop),
            (vec![], vec!["eu$2024".to_owned(), "us$2024".to_owned()])
        );
    }

    #[test]
    fn what_is_asked_for_ahead_is_bounded() {
        let rule = rule("HOUR", "UTC", i32::MAX, Some(i32::MAX));
        assert_eq!(plan_of(&rule, 1, NOW, &[]).0.len(), MOST_AHEAD as usize);
        assert_eq!(
            plan_of(&AutoPartition { ahead: -3, ..rule }, 1, NOW, &[]).0.len(),
            0
        );
    }

    proptest! {
        /// However time goes on, once a plan is carried out there is nothing more to do, and the partitions are those
        /// from `keep` units ago to `ahead` units from now.
        #[test]
        fn a_plan_carried_out_leaves_nothing_to_do(
            steps in proptest::collection::vec(0..40 * HOUR, 1..20),
            ahead in 1..6,
            keep in 0..5,
        ) {
            let rule = AutoPartition { keep: Some(keep), ..rule("DAY", "Europe/Paris", ahead, None) };
            let (mut now, mut partitions) = (NOW, BTreeMap::new());
            for step in steps {
                now += step;
                let Plan { create, drop } = plan(&rule, 1, now, &partitions);
                partitions.retain(|name, _| !drop.contains(name));
                partitions.extend(create.into_iter().map(|name| (name, Partition { id: PartitionId(0), created_ms: now, buckets: 1 })));
                prop_assert_eq!(plan(&rule, 1, now, &partitions), Plan::default());
                let today = rule.local(now);
                let (oldest, newest) = (AutoPartitionUnit::Day.text(today, -keep), AutoPartitionUnit::Day.text(today, ahead - 1));
                prop_assert!(partitions.keys().all(|name| (oldest.as_str()..=newest.as_str()).contains(&name.as_str())));
                prop_assert!(partitions.len() >= ahead as usize);
            }
        }
    }
}
