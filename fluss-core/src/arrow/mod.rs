//! Tables as Arrow: schemas, rows to columns, columns to rows.
