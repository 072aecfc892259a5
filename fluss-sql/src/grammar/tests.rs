use super::*;
use crate::error::ErrorKind;
use crate::text::Text;

fn checked(text: &str) -> Result<Box<Query>> {
    let mut query = Text::statement(text, 1 << 20)?.query()?;
    check(&mut query)?;
    Ok(query)
}

#[test]
fn what_the_planner_would_pass_over_is_refused_by_its_name() {
    for (text, name) in [
        ("SELECT * FROM t VERSION AS OF 3", "VERSION AS OF"),
        ("SELECT * FROM t TABLESAMPLE (10)", "TABLESAMPLE"),
        ("SELECT * FROM t TABLESAMPLE BERNOULLI (10) AS x", "TABLESAMPLE"),
        ("SELECT * FROM (SELECT 1) TABLESAMPLE (10)", "TABLESAMPLE"),
        ("SELECT a FROM t FOR UPDATE", "FOR UPDATE"),
        (
            "SELECT a FROM t WHERE b IN (SELECT c FROM u FOR UPDATE)",
            "FOR UPDATE",
        ),
        ("SELECT TOP 3 a FROM t", "TOP"),
        (
            "WITH x AS MATERIALIZED (SELECT 1) SELECT * FROM x",
            "MATERIALIZED",
        ),
        ("SELECT * FROM a JOIN b", "JOIN without a condition"),
        ("SELECT a FROM t FETCH FIRST 10 PERCENT ROWS ONLY", "PERCENT"),
        ("SELECT a FROM t FETCH FIRST 10 ROWS WITH TIES", "WITH TIES"),
        ("SELECT a COLLATE \"de\" FROM t", "COLLATE"),
        (
            "SELECT array_agg(a ORDER BY a LIMIT 3) FROM t",
            "LIMIT among arguments",
        ),
        ("SELECT a FROM t ORDER BY ALL", "ORDER BY ALL"),
        ("SELECT a INTO u FROM t", "INTO"),
        (
            "SELECT a FROM t LIMIT 1 FETCH FIRST 2 ROWS ONLY",
            "FETCH beside LIMIT",
        ),
        ("SELECT * FROM t UNPIVOT (v FOR n IN (a, b))", "UNPIVOT"),
    ] {
        let error = checked(text).expect_err(text);
        // Some are not even parsed; none is taken.
        if error.kind == ErrorKind::Unsupported {
            assert!(error.message.contains(name), "{text}: {error}");
        } else {
            assert_eq!(error.kind, ErrorKind::Syntax, "{text}: {error}");
        }
    }
}

#[test]
fn a_refusal_tells_its_place() {
    let error = checked("SELECT a\nFROM t VERSION AS OF 3").unwrap_err();
    assert_eq!(error.at, Some(Position { line: 2, column: 6 }));
}

#[test]
fn what_is_carried_passes() {
    for text in [
        "SELECT DISTINCT a, count(*) FILTER (WHERE b) AS n FROM t GROUP BY ROLLUP (a) HAVING n > 1 ORDER BY a DESC NULLS LAST LIMIT 3 OFFSET 1",
        "WITH RECURSIVE x AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM x WHERE n < 9) SELECT * EXCLUDE (n) FROM x",
        "SELECT a.*, rank() OVER w FROM a LEFT JOIN b USING (id) WINDOW w AS (PARTITION BY x ORDER BY y)",
        "SELECT * FROM a, LATERAL (SELECT * FROM b WHERE b.id = a.id) AS c",
        "SELECT string_agg(a, ',' ORDER BY a) FROM t AS OF TIMESTAMP ?",
        "SELECT a FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.a = t.a) QUALIFY row_number() OVER (ORDER BY a) = 1",
        "VALUES (1, 'a'), (2, 'b')",
    ] {
        checked(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    }
}

#[test]
fn fetch_is_limit() {
    let query = checked("SELECT a FROM t OFFSET 2 ROWS FETCH NEXT 3 ROWS ONLY").unwrap();
    assert!(query.fetch.is_none());
    assert_eq!(query.to_string(), "SELECT a FROM t LIMIT 3 OFFSET 2 ROWS");
}
