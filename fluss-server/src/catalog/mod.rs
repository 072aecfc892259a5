//! Databases, tables, schemas, partitions and rights.
