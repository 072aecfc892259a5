use arrow::array::{
    ArrayData, BinaryArray, BinaryViewArray, BooleanArray, DictionaryArray, FixedSizeBinaryArray,
    FixedSizeListArray, Float64Array, Int32Array, Int64Array, LargeBinaryArray, LargeStringArray,
    ListViewArray, NullArray, RunArray, StringArray, StringViewArray, Time32SecondArray,
    Time64MicrosecondArray, TimestampMicrosecondArray, TimestampNanosecondArray, TimestampSecondArray,
    make_array,
};
use arrow::buffer::{Buffer, ScalarBuffer};
use arrow::datatypes::{Field, Float32Type, Int32Type, Int64Type};

use super::super::assume_utc;
use super::*;

fn row_type(text: &str) -> RowType {
    match text.parse::<DataType>().unwrap().kind() {
        Kind::Row(row) => row.clone(),
        other => panic!("{other}"),
    }
}

fn one(name: &str, column: impl Array + 'static) -> RecordBatch {
    let column: ArrayRef = Arc::new(column);
    RecordBatch::try_from_iter_with_nullable([(name, column, true)]).unwrap()
}

fn refusal(batch: &RecordBatch, table: &str) -> String {
    conform(batch, &row_type(table)).unwrap_err().to_string()
}

#[test]
fn columns_are_matched_by_name_and_converted_without_loss() {
    let ids: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
    let names: ArrayRef = Arc::new(LargeStringArray::from(vec!["a", "b"]));
    let batch = RecordBatch::try_from_iter([("name", names), ("id", ids)]).unwrap();
    let fitted = conform(&batch, &row_type("ROW<id INT NOT NULL,name STRING>")).unwrap();
    assert_eq!(fitted.column(0).as_ref(), &Int32Array::from(vec![1, 2]));
    assert_eq!(fitted.column(1).as_string::<i32>().value(1), "b");
}

#[test]
fn what_would_be_lost_is_refused_with_its_row() {
    let wide = one("n", Int64Array::from(vec![1, i64::from(i32::MAX) + 1]));
    assert_eq!(refusal(&wide, "ROW<n INT>"), "column 'n': row 1 does not fit INT");
    let fine = one("t", TimestampNanosecondArray::from(vec![1_000, 1_001]));
    assert_eq!(
        refusal(&fine, "ROW<t TIMESTAMP(6)>"),
        "column 't': row 1 has more digits than TIMESTAMP(6)"
    );
    let micros = one("t", TimestampMicrosecondArray::from(vec![100, 110]));
    assert_eq!(
        refusal(&micros, "ROW<t TIMESTAMP(4)>"),
        "column 't': row 1 has more digits than TIMESTAMP(4)"
    );
    let nulls = one("n", Int64Array::from(vec![Some(1), None]));
    assert_eq!(
        refusal(&nulls, "ROW<n BIGINT NOT NULL>"),
        "column 'n': row 1 is null, the column is NOT NULL"
    );
}

#[test]
fn missing_and_unknown_columns_are_named() {
    let batch = one("a", Int64Array::from(vec![1]));
    assert_eq!(
        refusal(&batch, "ROW<a BIGINT,b INT>"),
        "column 'b': the batch has no such column"
    );
    assert_eq!(
        refusal(&batch, "ROW<b BIGINT>"),
        "column 'a': the table has no such column"
    );
    assert!(refusal(&batch, "ROW<a STRING>").starts_with("column 'a': Arrow's Int64 does not fit STRING"));
}

#[test]
fn zones_decide_which_time_is_meant() {
    let zoned = one(
        "t",
        TimestampMicrosecondArray::from(vec![7]).with_timezone("+02:00"),
    );
    let fitted = conform(&zoned, &row_type("ROW<t TIMESTAMP_LTZ(6)>")).unwrap();
    assert_eq!(
        fitted.column(0).as_ref(),
        &TimestampMicrosecondArray::from(vec![7])
    );
    assert!(refusal(&zoned, "ROW<t TIMESTAMP(6)>").contains("TIMESTAMP_LTZ"));
}

/// Text that Arrow has not checked, as what comes through its C interface.
#[expect(unsafe_code, reason = "text that is none is what this is about")]
fn unchecked(values: &[Option<&[u8]>]) -> ArrayRef {
    let bytes: BinaryArray = values.iter().copied().collect();
    let data = bytes.to_data().into_builder().data_type(ArrowType::Utf8);
    // SAFETY: nobody reads it as text but the check.
    make_array(unsafe { data.build_unchecked() })
}

fn conformed(array: &ArrayRef, table: &str) -> Result<ArrayRef, String> {
    let batch = RecordBatch::try_from_iter_with_nullable([("c", array.clone(), true)]).unwrap();
    let row_type = row_type(&format!("ROW<c {table}>"));
    let fitted = conform(&batch, &row_type).map_err(|error| error.to_string())?;
    Ok(fitted.column(0).clone())
}

fn shared(array: impl Array + 'static) -> ArrayRef {
    Arc::new(array)
}

#[test]
fn text_that_is_not_utf8_is_refused_wherever_a_row_shows_it() {
    let fault = Err("column 'c': row 1 is not UTF-8".to_owned());
    let bad = unchecked(&[Some(b"ok"), Some(b"caf\xe9"), None]);
    assert_eq!(conformed(&bad, "STRING"), fault);
    assert_eq!(conformed(&bad, "CHAR(9)"), fault);
    // A character that is cut in two is none, although the bytes of both halves are UTF-8 together.
    let halves = unchecked(&[Some(b"ok"), Some(b"\xc3"), Some(b"\xa4")]);
    assert_eq!(conformed(&halves, "STRING"), fault);
    // So it is in lists, maps and rows, which name the row of the batch.
    let list = ListArray::new(
        Arc::new(Field::new("item", ArrowType::Utf8, true)),
        OffsetBuffer::new(vec![0, 1, 3].into()),
        bad.clone(),
        None,
    );
    let fault = "column 'c[]': row 1 is not UTF-8".to_owned();
    assert_eq!(conformed(&shared(list), "ARRAY<STRING>"), Err(fault));
    let row = StructArray::new(
        vec![Field::new("a", ArrowType::Utf8, true)].into(),
        vec![bad.clone()],
        None,
    );
    let fault = "column 'c.a': row 1 is not UTF-8".to_owned();
    assert_eq!(conformed(&shared(row), "ROW<a STRING>"), Err(fault));
    // What no row shows is not sent.
    assert_eq!(
        conformed(&bad.slice(0, 1), "STRING").unwrap().as_ref(),
        &StringArray::from(vec!["ok"])
    );
}

#[test]
#[expect(unsafe_code, reason = "text that is none is what this is about")]
fn text_under_a_null_is_not_sent() {
    let data = ArrayData::builder(ArrowType::Utf8)
        .len(2)
        .add_buffer(Buffer::from_slice_ref([0_i32, 1, 3]))
        .add_buffer(Buffer::from(b"\xe9ok".as_slice()))
        .nulls(Some(NullBuffer::from(vec![false, true])));
    // SAFETY: nobody reads it as text but the check.
    let array = make_array(unsafe { data.build_unchecked() });
    let fitted = conformed(&array, "STRING").unwrap();
    assert_eq!(fitted.as_ref(), &StringArray::from(vec![None, Some("ok")]));
    assert_eq!(fitted.as_string::<i32>().value_data(), b"ok");
}

#[test]
fn times_are_within_a_day() {
    let fault = |row: usize| Err(format!("column 'c': row {row} is not a time of day"));
    let day = shared(Time32SecondArray::from(vec![0, 86_399, 86_400]));
    assert_eq!(conformed(&day, "TIME(0)"), fault(2));
    assert_eq!(conformed(&day, "TIME(9)"), fault(2));
    assert!(conformed(&day.slice(0, 2), "TIME(9)").is_ok());
    let before = shared(Time64MicrosecondArray::from(vec![
        None,
        Some(-1_000),
        Some(i64::MIN),
    ]));
    assert_eq!(conformed(&before, "TIME(6)"), fault(1));
    assert_eq!(conformed(&before, "TIME(3)"), fault(1));
}

#[test]
fn moments_are_never_saturated() {
    let seconds = shared(TimestampSecondArray::from(vec![0, i64::MAX]));
    for (table, reason) in [
        ("TIMESTAMP(0)", "is too far from 1970 for TIMESTAMP(0)"),
        ("TIMESTAMP(3)", "does not fit TIMESTAMP(3)"),
        ("TIMESTAMP(6)", "does not fit TIMESTAMP(6)"),
        ("TIMESTAMP(9)", "does not fit TIMESTAMP(9)"),
    ] {
        assert_eq!(
            conformed(&seconds, table),
            Err(format!("column 'c': row 1 {reason}"))
        );
    }
    let last = shared(TimestampSecondArray::from(vec![
        i64::MAX / 1_000,
        i64::MIN / 1_000,
    ]));
    assert_eq!(&conformed(&last, "TIMESTAMP(0)").unwrap(), &last);
    let micros = shared(TimestampMicrosecondArray::from(vec![i64::MAX]));
    assert!(conformed(&micros, "TIMESTAMP(9)").is_err());
}

#[test]
fn a_time_without_zone_is_no_instant_in_any_unit() {
    let naive: [ArrayRef; 3] = [
        shared(TimestampSecondArray::from(vec![1])),
        shared(TimestampMicrosecondArray::from(vec![1_000_000])),
        shared(TimestampNanosecondArray::from(vec![1_000_000_000])),
    ];
    for array in &naive {
        for table in ["TIMESTAMP_LTZ(0)", "TIMESTAMP_LTZ(6)", "TIMESTAMP_LTZ(9)"] {
            let refused = conformed(array, table).unwrap_err();
            assert!(
                refused.contains("a time with a zone goes into TIMESTAMP_LTZ"),
                "{refused}"
            );
        }
        let rows = row_type("ROW<c TIMESTAMP_LTZ(6)>");
        let batch = RecordBatch::try_from_iter_with_nullable([("c", array.clone(), true)]).unwrap();
        let fitted = conform(&assume_utc(&batch, &rows).unwrap(), &rows).unwrap();
        assert_eq!(
            fitted.column(0).as_ref(),
            &TimestampMicrosecondArray::from(vec![1_000_000])
        );
    }
}

#[test]
fn times_in_lists_maps_and_rows_are_taken_for_utc_where_that_is_assumed() {
    let naive = shared(TimestampMicrosecondArray::from(vec![7]));
    let (zoned, plain) = (naive.clone(), naive.clone());
    let fields = vec![
        Field::new("at", naive.data_type().clone(), true),
        Field::new("plain", naive.data_type().clone(), true),
    ];
    let row = shared(StructArray::new(fields.into(), vec![zoned, plain], None));
    let item = Arc::new(Field::new("item", row.data_type().clone(), true));
    let list = shared(ListArray::new(
        item,
        OffsetBuffer::new(vec![0, 1].into()),
        row,
        None,
    ));
    let batch = RecordBatch::try_from_iter_with_nullable([("c", list, true)]).unwrap();
    let rows = row_type("ROW<c ARRAY<ROW<at TIMESTAMP_LTZ(6),plain TIMESTAMP(6)>>>");
    assert!(
        conform(&batch, &rows)
            .unwrap_err()
            .to_string()
            .starts_with("column 'c[].at'")
    );
    assert!(conform(&assume_utc(&batch, &rows).unwrap(), &rows).is_ok());
}

fn ints(values: Vec<Option<Vec<Option<i64>>>>) -> ArrayRef {
    shared(ListArray::from_iter_primitive::<Int64Type, _, _>(values))
}

fn int_lists(values: Vec<Option<Vec<Option<i32>>>>) -> ArrayRef {
    shared(ListArray::from_iter_primitive::<Int32Type, _, _>(values))
}

#[test]
fn what_no_row_shows_is_not_looked_at() {
    let wide = Some(1 << 40);
    // Outside a slice.
    let sliced = ints(vec![Some(vec![wide, None]), Some(vec![Some(2), Some(3)])]).slice(1, 1);
    let fitted = conformed(&sliced, "ARRAY<INT NOT NULL>").unwrap();
    assert_eq!(
        fitted.as_list::<i32>().value(0).as_ref(),
        &Int32Array::from(vec![2, 3])
    );
    // Under a null list.
    let field = Arc::new(Field::new("item", ArrowType::Int64, true));
    let values = shared(Int64Array::from(vec![Some(1), Some(2), wide, None]));
    let fixed = FixedSizeListArray::new(field.clone(), 2, values.clone(), Some(vec![true, false].into()));
    let fitted = conformed(&shared(fixed), "ARRAY<INT NOT NULL>").unwrap();
    assert_eq!(
        fitted.as_list::<i32>().values().as_ref(),
        &Int32Array::from(vec![1, 2])
    );
    assert!(fitted.is_null(1));
    let offsets = OffsetBuffer::new(vec![0, 2, 4].into());
    let list = ListArray::new(field, offsets, values, Some(vec![true, false].into()));
    assert_eq!(
        conformed(&shared(list), "ARRAY<INT NOT NULL>")
            .unwrap()
            .as_list::<i32>()
            .values()
            .len(),
        2
    );
    // Under a null row, as deep as it may be.
    let fields = vec![
        Field::new("n", ArrowType::Int64, true),
        Field::new("l", ints(vec![]).data_type().clone(), true),
    ];
    let columns = vec![
        shared(Int64Array::from(vec![wide, Some(1)])),
        ints(vec![Some(vec![None]), Some(vec![Some(1)])]),
    ];
    let row = shared(StructArray::new(
        fields.into(),
        columns,
        Some(vec![false, true].into()),
    ));
    let fitted = conformed(&row, "ROW<n INT NOT NULL,l ARRAY<INT NOT NULL>>").unwrap();
    assert_eq!(
        fitted.as_struct().column(0).as_ref(),
        &Int32Array::from(vec![None, Some(1)])
    );
    assert!(fitted.is_null(0) && fitted.is_valid(1));
    let inner = "column 'c.n': row 0 does not fit INT";
    let shown = StructArray::new(
        row.as_struct().fields().clone(),
        row.as_struct().columns().to_vec(),
        None,
    );
    assert_eq!(
        conformed(&shared(shown), "ROW<n INT,l ARRAY<INT>>").unwrap_err(),
        inner
    );
}

#[test]
fn a_fault_in_a_list_names_the_row_of_the_batch() {
    let lists = ints(vec![
        Some(vec![]),
        Some(vec![Some(1), Some(2)]),
        None,
        Some(vec![Some(1 << 40)]),
    ]);
    assert_eq!(
        conformed(&lists, "ARRAY<INT>").unwrap_err(),
        "column 'c[]': row 3 does not fit INT"
    );
    let lists = ints(vec![Some(vec![Some(1)]), Some(vec![Some(2), None])]);
    assert_eq!(
        conformed(&lists, "ARRAY<INT NOT NULL>").unwrap_err(),
        "column 'c[]': row 1 is null, the column is NOT NULL"
    );
}

#[test]
fn every_layout_of_the_same_values_is_taken() {
    let abc =
        FixedSizeBinaryArray::try_from_sparse_iter_with_size([Some(b"abc"), None].into_iter(), 3).unwrap();
    for given in [
        shared(BinaryArray::from(vec![Some(b"abc".as_slice()), None])),
        shared(LargeBinaryArray::from(vec![Some(b"abc".as_slice()), None])),
        shared(BinaryViewArray::from(vec![Some(b"abc".as_slice()), None])),
        shared(abc.clone()),
    ] {
        assert_eq!(conformed(&given, "BINARY(3)").unwrap().as_ref(), &abc);
        assert_eq!(
            conformed(&given, "BYTES").unwrap().as_binary::<i32>().value(0),
            b"abc"
        );
        let refused = conformed(&given, "BINARY(4)").unwrap_err();
        assert_eq!(
            refused,
            "column 'c': row 0 has 3 bytes, BINARY(4) takes exactly 4"
        );
    }
    let texts = StringArray::from(vec![Some("a"), None, Some("a")]);
    let keys = Int32Array::from(vec![Some(0), Some(1), Some(0)]);
    let dictionary = DictionaryArray::new(keys.clone(), shared(StringArray::from(vec![Some("a"), None])));
    let runs = RunArray::try_new(&Int32Array::from(vec![1, 2, 3]), &texts).unwrap();
    for given in [
        shared(dictionary),
        shared(runs),
        shared(texts.iter().collect::<StringViewArray>()),
    ] {
        assert_eq!(conformed(&given, "STRING").unwrap().as_ref(), &texts);
    }
    assert_eq!(
        conformed(
            &shared(DictionaryArray::new(
                keys,
                shared(StringArray::from(vec![Some("a"), None]))
            )),
            "STRING NOT NULL"
        ),
        Err("column 'c': row 1 is null, the column is NOT NULL".to_owned())
    );
    let lists = int_lists(vec![Some(vec![Some(1)]), None, Some(vec![Some(2), Some(3)])]);
    let dictionary = DictionaryArray::new(Int32Array::from(vec![2, 0]), lists.clone());
    let wanted = int_lists(vec![Some(vec![Some(2), Some(3)]), Some(vec![Some(1)])]);
    let fitted = conformed(&shared(dictionary), "ARRAY<INT>").unwrap();
    assert_eq!(fitted.as_list::<i32>().values(), wanted.as_list::<i32>().values());
    let view = ListViewArray::new(
        Arc::new(Field::new("item", ArrowType::Int32, true)),
        ScalarBuffer::from(vec![1, 0]),
        ScalarBuffer::from(vec![2, 1]),
        shared(Int32Array::from(vec![1, 2, 3])),
        None,
    );
    let fitted = conformed(&shared(view), "ARRAY<INT>").unwrap();
    assert_eq!(
        fitted.as_list::<i32>().values().as_ref(),
        &Int32Array::from(vec![2, 3, 1])
    );
    for table in [
        "INT",
        "STRING",
        "ARRAY<INT>",
        "ROW<a INT>",
        "MAP<INT,INT>",
        "TIMESTAMP_LTZ(3)",
        "BINARY(2)",
    ] {
        assert_eq!(
            conformed(&shared(NullArray::new(2)), table).unwrap().null_count(),
            2,
            "{table}"
        );
    }
}

#[test]
fn numbers_are_taken_as_those_of_rows_are() {
    let tenth = shared(Float64Array::from(vec![0.1, f64::NAN, f64::INFINITY]));
    let fitted = conformed(&tenth, "FLOAT").unwrap();
    assert_eq!(
        fitted.as_primitive::<Float32Type>().value(0).to_bits(),
        0.1_f32.to_bits()
    );
    for lost in [1e39, 1e-60] {
        let refused = conformed(&shared(Float64Array::from(vec![lost])), "FLOAT").unwrap_err();
        assert_eq!(refused, "column 'c': row 0 does not fit FLOAT");
    }
    let whole = shared(Int64Array::from(vec![1 << 53]));
    assert_eq!(
        conformed(&whole, "DOUBLE").unwrap().as_ref(),
        &Float64Array::from(vec![2_f64.powi(53)])
    );
    let odd = shared(Int64Array::from(vec![(1 << 53) + 1, i64::MAX]));
    assert_eq!(
        conformed(&odd, "DOUBLE").unwrap_err(),
        "column 'c': row 0 has more digits than DOUBLE"
    );
    assert!(conformed(&odd.slice(1, 1), "DOUBLE").is_err());
    let seven = conformed(&shared(Int64Array::from(vec![7])), "DECIMAL(5,2)").unwrap();
    assert_eq!(
        seven.as_primitive::<arrow::datatypes::Decimal128Type>().value(0),
        700
    );
    let refused = conformed(&shared(Int64Array::from(vec![1_000])), "DECIMAL(5,2)").unwrap_err();
    assert_eq!(refused, "column 'c': row 0 does not fit DECIMAL(5,2)");
    assert!(
        conformed(&tenth, "INT").is_err()
            && conformed(&shared(BooleanArray::from(vec![true])), "INT").is_err()
    );
}

#[test]
fn a_field_that_comes_twice_is_refused() {
    let fields = vec![
        Field::new("a", ArrowType::Int32, true),
        Field::new("a", ArrowType::Int32, true),
    ];
    let columns = vec![
        shared(Int32Array::from(vec![1])),
        shared(Int32Array::from(vec![2])),
    ];
    let twice = shared(StructArray::new(fields.into(), columns, None));
    assert_eq!(
        conformed(&twice, "ROW<a INT>").unwrap_err(),
        "column 'c.a': the struct has the field twice"
    );
}

#[test]
fn the_index_that_pandas_adds_is_left_out() {
    let column = shared(Int64Array::from(vec![1]));
    let batch =
        RecordBatch::try_from_iter([("a", column.clone()), ("__index_level_0__", column.clone())]).unwrap();
    assert_eq!(
        conform(&batch, &row_type("ROW<a BIGINT>")).unwrap().num_columns(),
        1
    );
    let both = "ROW<a BIGINT,__index_level_0__ BIGINT>";
    assert_eq!(conform(&batch, &row_type(both)).unwrap().num_columns(), 2);
    let named = RecordBatch::try_from_iter([("a", column.clone()), ("__index_level_x__", column)]).unwrap();
    assert!(conform(&named, &row_type("ROW<a BIGINT>")).is_err());
}
