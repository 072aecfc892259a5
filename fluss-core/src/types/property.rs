//! The table properties that change how data are written and read (`descriptors.md` §8).

use std::collections::BTreeMap;
use std::str::FromStr;

use super::InvalidDefinition;

/// How the records of a log are laid out.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum LogFormat {
    /// Columns, as Arrow record batches.
    #[default]
    Arrow,
    /// Rows with the lengths of their variable fields up front.
    Indexed,
    /// Rows in the fewest bytes.
    Compacted,
}

/// How the rows of a primary-key table are laid out.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum KvFormat {
    /// Rows in the fewest bytes.
    #[default]
    Compacted,
    /// Rows with the lengths of their variable fields up front.
    Indexed,
}

/// A ZSTD level: 1 (fastest) to 22 (smallest).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ZstdLevel(i32);

impl ZstdLevel {
    /// A level outside 1 to 22 gives nothing.
    pub const fn new(level: i32) -> Option<Self> {
        if level >= 1 && level <= 22 {
            Some(Self(level))
        } else {
            None
        }
    }

    /// The number.
    pub const fn get(self) -> i32 {
        self.0
    }
}

impl Default for ZstdLevel {
    /// 3, the default of a table.
    fn default() -> Self {
        Self(3)
    }
}

/// How the buffers of an Arrow batch are compressed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Compression {
    /// Not at all.
    None,
    /// LZ4 frames.
    Lz4Frame,
    /// ZSTD frames of a level.
    Zstd(ZstdLevel),
}

impl Default for Compression {
    fn default() -> Self {
        Self::Zstd(ZstdLevel::default())
    }
}

/// The lake whose key encoding and bucketing a table shares.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum LakeFormat {
    /// Apache Paimon.
    Paimon,
    /// Apache Iceberg.
    Iceberg,
    /// Lance, which keeps Fluss's own encoding.
    Lance,
    /// Apache Hudi.
    Hudi,
}

macro_rules! keyword {
    ($($type:ident: $($text:literal => $variant:ident),+;)+) => {$(
        impl FromStr for $type {
            type Err = InvalidDefinition;

            /// Reads the property's value; case does not matter.
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text.to_ascii_uppercase().as_str() {
                    $($text => Ok(Self::$variant),)+
                    _ => Err(InvalidDefinition::new(format!(
                        "'{text}' is none of {}", [$($text),+].join(", ")
                    ))),
                }
            }
        }
    )+};
}

keyword! {
    LogFormat: "ARROW" => Arrow, "INDEXED" => Indexed, "COMPACTED" => Compacted;
    KvFormat: "COMPACTED" => Compacted, "INDEXED" => Indexed;
    LakeFormat: "PAIMON" => Paimon, "ICEBERG" => Iceberg, "LANCE" => Lance, "HUDI" => Hudi;
}

/// The properties of a table that its writers and readers obey.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TableProperties {
    /// `table.log.format`.
    pub log_format: LogFormat,
    /// `table.log.arrow.compression.type` with `table.log.arrow.compression.zstd.level`.
    pub compression: Compression,
    /// `table.kv.format`.
    pub kv_format: KvFormat,
    /// `table.kv.format-version`; 1 where the property is absent.
    pub kv_format_version: i32,
    /// `table.datalake.format`.
    pub lake_format: Option<LakeFormat>,
    /// `table.auto-partition.enabled`.
    pub auto_partition: bool,
    /// `table.kv.value-layout-version`; 1 where the property is absent. From 2 on the values in snapshots have tags.
    pub kv_value_layout_version: i32,
}

impl TableProperties {
    /// Reads the typed properties out of all of a table's properties.
    pub fn parse(properties: &BTreeMap<String, String>) -> Result<Self, InvalidDefinition> {
        Ok(Self {
            log_format: property(properties, "table.log.format")?.unwrap_or_default(),
            compression: compression(properties)?,
            kv_format: property(properties, "table.kv.format")?.unwrap_or_default(),
            kv_format_version: property(properties, "table.kv.format-version")?.unwrap_or(1),
            lake_format: property(properties, "table.datalake.format")?,
            auto_partition: properties
                .get("table.auto-partition.enabled")
                .is_some_and(|enabled| enabled.eq_ignore_ascii_case("true")),
            kv_value_layout_version: property(properties, "table.kv.value-layout-version")?.unwrap_or(1),
        })
    }
}

fn compression(properties: &BTreeMap<String, String>) -> Result<Compression, InvalidDefinition> {
    const LEVEL: &str = "table.log.arrow.compression.zstd.level";
    const TYPE: &str = "table.log.arrow.compression.type";
    match properties
        .get(TYPE)
        .map(|value| value.to_ascii_uppercase())
        .as_deref()
    {
        Some("NONE") => Ok(Compression::None),
        Some("LZ4_FRAME") => Ok(Compression::Lz4Frame),
        None | Some("ZSTD") => match property::<i32>(properties, LEVEL)? {
            None => Ok(Compression::default()),
            Some(level) => ZstdLevel::new(level)
                .map(Compression::Zstd)
                .ok_or_else(|| InvalidDefinition::new(format!("property '{LEVEL}': {level} is not 1 to 22"))),
        },
        Some(other) => Err(InvalidDefinition::new(format!(
            "property '{TYPE}': '{other}' is none of NONE, LZ4_FRAME, ZSTD"
        ))),
    }
}

fn property<T: FromStr<Err: std::fmt::Display>>(
    properties: &BTreeMap<String, String>,
    key: &str,
) -> Result<Option<T>, InvalidDefinition> {
    let parse = |value: &String| {
        value
            .parse()
            .map_err(|error| InvalidDefinition::new(format!("property '{key}': {error}")))
    };
    properties.get(key).map(parse).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(pairs: &[(&str, &str)]) -> Result<TableProperties, InvalidDefinition> {
        let owned = pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        TableProperties::parse(&owned)
    }

    #[test]
    fn defaults_are_the_servers() {
        let properties = parse(&[]).unwrap();
        assert_eq!(properties.log_format, LogFormat::Arrow);
        assert_eq!(properties.compression, Compression::Zstd(ZstdLevel(3)));
        assert_eq!(properties.kv_format_version, 1);
    }

    #[test]
    fn case_does_not_matter_and_faults_name_the_property() {
        assert_eq!(
            parse(&[("table.log.format", "Indexed")]).unwrap().log_format,
            LogFormat::Indexed
        );
        let fault = parse(&[("table.log.format", "CSV")]).unwrap_err();
        assert_eq!(
            fault.to_string(),
            "property 'table.log.format': 'CSV' is none of ARROW, INDEXED, COMPACTED"
        );
    }
}
