use super::*;

fn one(text: &str) -> Result<Text> {
    Text::statement(text, 1 << 20)
}

fn shown(text: &str) -> String {
    let text = one(text).unwrap();
    let words: Vec<_> = text
        .tokens()
        .iter()
        .map(|token| token.token.to_string())
        .collect();
    words.join(" ")
}

#[test]
fn statements_are_split_where_a_semicolon_stands_alone() {
    let text = "SELECT ';' ; -- no; more\n/* ; */ INSERT INTO \"a;b\" VALUES (1);;\n";
    let statements = split_text(text).unwrap();
    assert_eq!(statements, ["SELECT ';'", "INSERT INTO \"a;b\" VALUES (1)"]);
    assert!(split_text(" -- nothing\n").unwrap().is_empty());
    assert_eq!(
        split_text("SELECT 'ä', 'é';\nSELECT 'ü'").unwrap(),
        ["SELECT 'ä', 'é'", "SELECT 'ü'"]
    );
}

#[test]
fn several_statements_are_not_one() {
    let error = one("SELECT 1;\n SELECT 2").unwrap_err();
    assert_eq!(error.kind, ErrorKind::Syntax);
    assert_eq!(error.at, Some(Position { line: 2, column: 2 }));
    assert_eq!(one(" ; ").unwrap_err().kind, ErrorKind::Syntax);
}

#[test]
fn parameters_are_numbered_in_their_order() {
    assert_eq!(shown("SELECT ? , '?' , ?"), "SELECT $1 , '?' , $2");
    assert_eq!(shown("SELECT $2, $1"), "SELECT $2 , $1");
    assert_eq!(
        shown("SELECT a FROM t WHERE b = :low"),
        "SELECT a FROM t WHERE b = $low"
    );
    assert_eq!(one("SELECT :a + :b + :a").unwrap().placeholders, ["$a", "$b"]);
    assert_eq!(one("SELECT ?, $1").unwrap_err().kind, ErrorKind::Syntax);
}

#[test]
fn the_words_that_are_ours_become_words_of_the_parser() {
    let text = one("SELECT * FROM t EMIT CHANGES LIMIT 3").unwrap();
    assert!(text.emit_changes);
    assert_eq!(text.tokens().len(), 6);
    assert_eq!(
        shown("SELECT * FROM t AS OF TIMESTAMP '2024-01-01' x"),
        "SELECT * FROM t FOR SYSTEM_TIME AS OF '2024-01-01' x"
    );
    let flink = "SELECT * FROM t FOR SYSTEM_TIME AS OF TIMESTAMP '2024-01-01'";
    assert_eq!(shown(flink), flink);
    let spark = "SELECT * FROM t TIMESTAMP AS OF TIMESTAMP '2024-01-01'";
    assert_eq!(shown(spark), spark);
    assert!(one("SELECT 1 EMIT CHANGES EMIT CHANGES").is_err());
}

#[test]
fn texts_with_escapes_are_texts() {
    assert_eq!(shown(r"SELECT E'a\tb', U&'\00e4'"), "SELECT 'a\tb' , 'ä'");
    let text = one(r"SELECT E'it\'s' || U&'\00e4'").unwrap();
    assert_eq!(text.query().unwrap().to_string(), "SELECT 'it''s' || 'ä'");
}

#[test]
fn all_spellings_of_a_moment_are_parsed() {
    for text in [
        "SELECT * FROM t AS OF TIMESTAMP '2024-01-01'",
        "SELECT * FROM t AS OF TIMESTAMP ? x",
        "SELECT * FROM t FOR SYSTEM_TIME AS OF now() - INTERVAL '1 hour' AS x",
        "SELECT * FROM t TIMESTAMP AS OF :then",
        "SELECT * FROM t FOR SYSTEM_TIME AS OF TIMESTAMP '2024-01-01 00:00:00' WHERE a = 1",
    ] {
        one(text).unwrap().query().unwrap();
    }
}

#[test]
fn what_is_too_much_is_refused_before_it_is_parsed() {
    let kind = |text: &str| Text::statement(text, 16 << 20).map(|_| ()).unwrap_err().kind;
    let ors = format!("SELECT 1 WHERE a = 1{}", " OR a = 1".repeat(100_000));
    assert_eq!(kind(&ors), ErrorKind::Unsupported);
    let brackets = format!("SELECT {}1{}", "(".repeat(10_000), ")".repeat(10_000));
    assert_eq!(kind(&brackets), ErrorKind::Unsupported);
    let cases = format!(
        "SELECT {}1{}",
        "CASE WHEN a THEN ".repeat(10_000),
        " END".repeat(10_000)
    );
    assert_eq!(kind(&cases), ErrorKind::Unsupported);
    let signs = format!("SELECT {}1", "- ".repeat(10_000));
    assert_eq!(kind(&signs), ErrorKind::Unsupported);
    let steps = format!("(1{} + ", " + 1".repeat(100)).repeat(90);
    assert_eq!(
        kind(&format!("SELECT {steps}1{}", ")".repeat(90))),
        ErrorKind::Unsupported
    );
    assert_eq!(
        Text::statement("SELECT 1", 5).unwrap_err().kind,
        ErrorKind::Unsupported
    );
    // Lists are no chains.
    let list = format!("SELECT a IN (1{})", ", 1".repeat(100_000));
    Text::statement(&list, 16 << 20).unwrap();
}

#[test]
fn what_is_just_within_the_bounds_is_parsed() {
    let deep = format!("SELECT {}1{}", "(".repeat(90), ")".repeat(90));
    one(&deep).unwrap().query().unwrap();
    let long = format!("SELECT 1{}", " + 1".repeat(1_900));
    one(&long).unwrap().query().unwrap();
}

#[test]
fn what_follows_a_statement_is_told_with_its_place() {
    let error = one("SELECT 1\n  x y z").unwrap().query().unwrap_err();
    assert_eq!(error.at, Some(Position { line: 2, column: 5 }));
    let error = one("SELECT FROM WHERE").unwrap().query().unwrap_err();
    assert_eq!(error.kind, ErrorKind::Syntax);
    assert!(error.at.is_some(), "{error}");
}
