//! How rows are printed.

use std::io::{self, Write};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::writer::StreamWriter;
use arrow::json::writer::{LineDelimited, Writer as JsonWriter, WriterBuilder as JsonBuilder};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use clap::ValueEnum;

/// So many rows of a result decide how wide its columns are printed.
const ROWS_THAT_SIZE: usize = 1_000;

/// How rows are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// A table, for people
    Table,
    /// Comma-separated values, with a line of names
    Csv,
    /// A JSON object a line
    Json,
    /// An Arrow IPC stream
    Arrow,
}

/// Where results are printed, one after another.
pub(super) struct Sink<W> {
    format: Format,
    out: W,
    results: usize,
}

impl<W: Write> Sink<W> {
    pub(super) const fn new(format: Format, out: W) -> Self {
        Self {
            format,
            out,
            results: 0,
        }
    }

    /// Says how many rows a statement has written, where people read it.
    pub(super) fn changed(&mut self, rows: u64) -> io::Result<()> {
        if self.format != Format::Table {
            return Ok(());
        }
        self.results += 1;
        writeln!(self.out, "{} written", counted(rows as usize))?;
        self.out.flush()
    }

    /// Begins with the rows of a query. Those of one that follows a table are printed as they come.
    pub(super) fn begin(&mut self, schema: &SchemaRef, follows: bool) -> io::Result<Printed<'_, W>> {
        self.results += 1;
        if self.results > 1 && matches!(self.format, Format::Table | Format::Csv) {
            writeln!(self.out)?;
        }
        let out = &mut self.out;
        Ok(match self.format {
            Format::Table => Printed::Table(Grid::new(out, schema, follows)),
            Format::Csv => Printed::Csv(Csv::new(out, schema)?),
            Format::Json => Printed::Json(JsonBuilder::new().with_explicit_nulls(true).build(out)),
            Format::Arrow => Printed::Arrow(StreamWriter::try_new(out, schema).map_err(failed)?),
        })
    }
}

/// The rows of a query while they are printed.
pub(super) enum Printed<'a, W: Write> {
    Table(Grid<'a, W>),
    Csv(Csv<'a, W>),
    Json(JsonWriter<&'a mut W, LineDelimited>),
    Arrow(StreamWriter<&'a mut W>),
}

impl<W: Write> Printed<'_, W> {
    pub(super) fn batch(&mut self, batch: &RecordBatch) -> io::Result<()> {
        match self {
            Self::Table(grid) => grid.batch(batch),
            Self::Csv(csv) => csv.batch(batch),
            Self::Json(json) => {
                json.write(batch).map_err(failed)?;
                json.get_mut().flush()
            }
            Self::Arrow(stream) => {
                stream.write(batch).map_err(failed)?;
                stream.flush().map_err(failed)
            }
        }
    }

    pub(super) fn end(self) -> io::Result<()> {
        match self {
            Self::Table(grid) => grid.end(),
            Self::Csv(csv) => csv.out.flush(),
            Self::Json(mut json) => json.finish().map_err(failed),
            Self::Arrow(mut stream) => stream.finish().map_err(failed),
        }
    }
}

fn failed(error: ArrowError) -> io::Error {
    match error {
        ArrowError::IoError(_, error) => error,
        other => io::Error::other(other.to_string()),
    }
}

fn counted(rows: usize) -> String {
    let ending = if rows == 1 { "" } else { "s" };
    format!("{rows} row{ending}")
}

/// The rows of a batch as texts; `null` in place of a null.
fn texts<'a>(batch: &'a RecordBatch, null: &'a str) -> io::Result<Vec<Vec<String>>> {
    let options = FormatOptions::default().with_null(null);
    let columns = batch.columns().iter();
    let columns: Vec<ArrayFormatter<'_>> = columns
        .map(|column| ArrayFormatter::try_new(column, &options))
        .collect::<Result<_, _>>()
        .map_err(failed)?;
    let row = |index: usize| {
        columns
            .iter()
            .map(move |column| column.value(index).try_to_string())
    };
    let rows = (0..batch.num_rows()).map(|index| row(index).collect::<Result<Vec<_>, _>>());
    rows.collect::<Result<_, _>>().map_err(failed)
}

/// Comma-separated values.
pub(super) struct Csv<'a, W> {
    out: &'a mut W,
}

impl<'a, W: Write> Csv<'a, W> {
    fn new(out: &'a mut W, schema: &SchemaRef) -> io::Result<Self> {
        let mut csv = Self { out };
        let names = schema.fields().iter().map(|field| field.name().clone());
        csv.line(&names.collect::<Vec<_>>())?;
        Ok(csv)
    }

    fn batch(&mut self, batch: &RecordBatch) -> io::Result<()> {
        for row in texts(batch, "")? {
            self.line(&row)?;
        }
        self.out.flush()
    }

    fn line(&mut self, cells: &[String]) -> io::Result<()> {
        let quoted = cells.iter().map(|cell| {
            if cell.contains([',', '"', '\n', '\r']) {
                format!("\"{}\"", cell.replace('"', "\"\""))
            } else {
                cell.clone()
            }
        });
        writeln!(self.out, "{}", quoted.collect::<Vec<_>>().join(","))
    }
}

/// A table for people. Its first rows, or of a query that follows the first batch, decide how wide columns are.
pub(super) struct Grid<'a, W> {
    out: &'a mut W,
    names: Vec<String>,
    /// Rows that wait until it is known how wide columns are.
    waiting: Vec<Vec<String>>,
    widths: Option<Vec<usize>>,
    rows: usize,
    follows: bool,
}

impl<'a, W: Write> Grid<'a, W> {
    fn new(out: &'a mut W, schema: &SchemaRef, follows: bool) -> Self {
        let names = schema.fields().iter().map(|field| field.name().clone());
        Self {
            out,
            names: names.collect(),
            waiting: Vec::new(),
            widths: None,
            rows: 0,
            follows,
        }
    }

    fn batch(&mut self, batch: &RecordBatch) -> io::Result<()> {
        self.rows += batch.num_rows();
        self.waiting.extend(texts(batch, "NULL")?);
        if self.follows || self.waiting.len() >= ROWS_THAT_SIZE || self.widths.is_some() {
            self.print()?;
        }
        Ok(())
    }

    fn print(&mut self) -> io::Result<()> {
        let rows = std::mem::take(&mut self.waiting);
        let widths = if let Some(widths) = self.widths.take() {
            widths
        } else {
            let (names, widths) = (self.names.clone(), widths(&self.names, &rows));
            self.rule(&widths)?;
            self.line(&names, &widths)?;
            self.rule(&widths)?;
            widths
        };
        for row in &rows {
            self.line(row, &widths)?;
        }
        self.widths = Some(widths);
        self.out.flush()
    }

    fn rule(&mut self, widths: &[usize]) -> io::Result<()> {
        let parts = widths.iter().map(|width| "-".repeat(width + 2));
        writeln!(self.out, "+{}+", parts.collect::<Vec<_>>().join("+"))
    }

    fn line(&mut self, cells: &[String], widths: &[usize]) -> io::Result<()> {
        let parts = cells.iter().zip(widths).map(|(cell, width)| {
            let cell = cell.replace('\n', "\\n");
            format!(" {cell:<width$} ")
        });
        writeln!(self.out, "|{}|", parts.collect::<Vec<_>>().join("|"))
    }

    fn end(mut self) -> io::Result<()> {
        if !self.waiting.is_empty() || self.widths.is_none() {
            self.print()?;
        }
        if let Some(widths) = self.widths.take() {
            self.rule(&widths)?;
        }
        writeln!(self.out, "{}", counted(self.rows))?;
        self.out.flush()
    }
}

fn widths(names: &[String], rows: &[Vec<String>]) -> Vec<usize> {
    let width = |cell: &String| cell.replace('\n', "\\n").chars().count();
    let mut widths: Vec<usize> = names.iter().map(width).collect();
    for row in rows {
        for (widest, cell) in widths.iter_mut().zip(row) {
            *widest = width(cell).max(*widest);
        }
    }
    widths
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int32Array, StringArray};

    use super::*;

    fn printed(format: Format) -> String {
        let numbers = Arc::new(Int32Array::from(vec![Some(1), None]));
        let texts = Arc::new(StringArray::from(vec!["a", "b, \"c\""]));
        let batch = RecordBatch::try_from_iter([("n", numbers as _), ("text", texts as _)]).unwrap();
        let mut sink = Sink::new(format, Vec::new());
        let mut printed = sink.begin(&batch.schema(), false).unwrap();
        printed.batch(&batch).unwrap();
        printed.end().unwrap();
        String::from_utf8(sink.out).unwrap()
    }

    #[test]
    fn rows_are_printed_as_a_table() {
        let expected = "\
+------+--------+
| n    | text   |
+------+--------+
| 1    | a      |
| NULL | b, \"c\" |
+------+--------+
2 rows
";
        assert_eq!(printed(Format::Table), expected);
    }

    #[test]
    fn rows_are_printed_as_comma_separated_values() {
        assert_eq!(printed(Format::Csv), "n,text\n1,a\n,\"b, \"\"c\"\"\"\n");
    }

    #[test]
    fn rows_are_printed_as_json() {
        let expected = "{\"n\":1,\"text\":\"a\"}\n{\"n\":null,\"text\":\"b, \\\"c\\\"\"}\n";
        assert_eq!(printed(Format::Json), expected);
    }
}
