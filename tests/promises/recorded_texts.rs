//! The text in the record is the one that the client sent, with the comments in which tools say for whom, and what
//! failed before it could read has a record, too.

use crate::common::Postgres;
use crate::support::{proxy, told};
use crate::wire::{Wire, bind, execute, parse, sync};

#[test]
fn comments_before_a_statement_are_in_its_record() {
    let database = Postgres::shared().demo();
    let proxy = proxy(&database);
    let statements = [
        "/* ticket 4711 */ SELECT 1",
        "-- on behalf of \u{e9}ve\nSELECT name FROM clinic.patient WHERE patient_id = 880003",
        "/* a /* b */ c */ SELECT 1 / 0",
        "/* denied */ SELECT * FROM glass.assigned",
        "/* nobody */ EXECUTE no_such_statement",
        "/* gone */ SELECT no_such_column FROM clinic.patient",
    ];
    for user in ["nurse_amy", "dba_gus"] {
        let mut wire = Wire::through(&proxy, &database, user);
        for (n, sql) in statements.iter().enumerate() {
            let sql = format!("{sql} /* {user} {n} */");
            wire.query(&sql);
            assert_eq!(told(&proxy, &sql).times, 1, "{sql}");
        }
        // Each statement of a message has its own.
        let (one, two) =
            (format!("/* one */ SELECT 1 /* {user} */"), format!("/* two */ SELECT 2 /* {user} */"));
        let read = format!("/* three */ SELECT count(*) FROM clinic.note /* {user} */");
        wire.ok(&format!("{one};\n {two}"));
        wire.ok(&format!("{two} ; {read};"));
        assert_eq!([&one, &two, &read].map(|sql| told(&proxy, sql).times), [1, 2, 1]);
    }
}

#[test]
fn what_fails_by_its_name_is_recorded() {
    let database = Postgres::shared().demo();
    let proxy = proxy(&database);
    let mut amy = Wire::through(&proxy, &database, "nurse_amy");
    amy.ok("PREPARE p (int8) AS SELECT name FROM clinic.patient WHERE patient_id = $1");
    let mut failed = Vec::new();
    for (sql, code) in [
        ("EXECUTE nosuch", "26000"),
        ("EXECUTE p(880003, 2)", "42601"),
        ("FETCH 1 FROM nosuch", "34000"),
        ("MOVE 1 FROM nosuch", "34000"),
        ("PREPARE p AS SELECT count(*) FROM clinic.note", "42P05"),
    ] {
        let sql = format!("{sql} /* simple */");
        assert_eq!(amy.query(&sql).refusal().sqlstate, code, "{sql}");
        failed.push((sql, code));
    }
    for (sql, code) in [("EXECUTE nosuch", "26000"), ("FETCH 1 FROM nosuch", "34000")] {
        let sql = format!("{sql} /* extended */");
        assert_eq!(amy.extended(&sql, &[]).refusal().sqlstate, code, "{sql}");
        failed.push((sql, code));
    }
    amy.ok("BEGIN");
    amy.ok("DECLARE c CURSOR FOR SELECT name FROM clinic.patient");
    let again = "DECLARE c CURSOR FOR SELECT count(*) FROM clinic.note";
    assert_eq!(amy.query(again).refusal().sqlstate, "42P03");
    failed.push((again.to_owned(), "42P03"));
    amy.ok("ROLLBACK");
    let wrong = "SELECT name FROM clinic.patient WHERE patient_id = $1 /* one parameter */";
    amy.send(&[parse("", wrong), bind("", "", &[]), execute("", 0), sync()].concat());
    assert_eq!(amy.reply().refusal().sqlstate, "08P01");
    failed.push((wrong.to_owned(), "08P01"));
    amy.send(&[bind("", "nosuch", &[]), execute("", 0), sync()].concat());
    assert_eq!(amy.reply().refusal().sqlstate, "26000");
    failed.push(("(statement \"nosuch\")".to_owned(), "26000"));
    amy.send(&[execute("nosuch", 0), sync()].concat());
    assert_eq!(amy.reply().refusal().sqlstate, "34000");
    failed.push(("(portal \"nosuch\")".to_owned(), "34000"));
    for (sql, code) in failed {
        let told = told(&proxy, &sql);
        assert_eq!((told.times, told.errors.as_slice()), (1, &[code.to_owned()][..]), "{sql}");
        assert!(told.patients.is_empty() && !told.all_patients, "{sql}: {told:?}");
    }
}
