//! Columns whose collation is not deterministic: `=` on them takes different texts for one, so whose a row is cannot
//! be told by them. What rests on one is closed, and opens when the column has another collation.

use std::time::Duration;

use crate::common::{Postgres, Proxy};
use crate::p2_categories::gls;
use crate::support::{hide, told, within};
use crate::wire::Wire;

const SETTING: &str = "
CREATE COLLATION clinic.ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE DOMAIN clinic.word AS text COLLATE clinic.ci;
CREATE TABLE clinic.sheet (code text PRIMARY KEY, patient_id int8);
INSERT INTO clinic.sheet VALUES ('a', 880051), ('A', 881235), ('b', 880051);
CREATE TABLE clinic.slip (id int PRIMARY KEY, code text COLLATE clinic.ci, t text);
INSERT INTO clinic.slip VALUES (1, 'b', 'mine'), (2, 'A', 'SECRET');
CREATE TABLE clinic.domained (id int PRIMARY KEY, code clinic.word, t text);
CREATE VIEW clinic.viewed AS SELECT id, (code || '') COLLATE clinic.ci AS code, t FROM clinic.slip;
CREATE TABLE clinic.bill (id int PRIMARY KEY, kind text COLLATE clinic.ci, ref text, t text);
INSERT INTO clinic.bill VALUES (1, 's', 'b', 'mine');
CREATE TABLE clinic.plain (id int PRIMARY KEY, code text, t text COLLATE clinic.ci);
INSERT INTO clinic.plain VALUES (1, 'b', 'mine'), (2, 'A', 'SECRET');
GRANT SELECT, INSERT, UPDATE, DELETE ON clinic.sheet, clinic.slip, clinic.domained, clinic.viewed, clinic.bill, clinic.plain TO nurse, dba;
";

fn config(text: String) -> String {
    let step = "via = [{ column = \"code\", table = \"clinic.sheet\", references = \"code\" }]\nkey = \"patient_id\"\n";
    let mut text = hide(text);
    text += "[[table]]\nname = \"clinic.sheet\"\nclass = \"visits\"\nkey = \"patient_id\"\n";
    for name in ["slip", "domained", "viewed", "plain"] {
        text += &format!("[[table]]\nname = \"clinic.{name}\"\nclass = \"visits\"\n{step}");
    }
    text += "[[table]]\nname = \"clinic.bill\"\nclass = \"visits\"\n[[table.when]]\ncolumn = \"kind\"\nis = \"s\"\n";
    text + &step.replace("\"code\", table", "\"ref\", table")
}

#[test]
fn what_rests_on_a_column_that_mixes_texts_up_is_closed_as_long_as_it_does() {
    let server = Postgres::shared();
    let database = server.demo();
    let name = database.name();
    server.psql(name, SETTING);
    let firm = |table: &str, column: &str, collation: &str| {
        format!("ALTER TABLE {table} ALTER {column} TYPE text COLLATE {collation}")
    };
    // Started with columns that are as they should be: an entry that does not hold stops the start.
    let all = [("clinic.slip", "code"), ("clinic.domained", "code"), ("clinic.bill", "kind")];
    let view = "CREATE OR REPLACE VIEW clinic.viewed AS SELECT id, code, t FROM clinic.slip";
    server.psql(name, &format!("DROP VIEW clinic.viewed; {}", firm("clinic.slip", "code", "\"C\"")));
    server.psql(name, &format!("{view}; GRANT SELECT ON clinic.viewed TO nurse"));
    for (table, column) in &all[1..] {
        server.psql(name, &firm(table, column, "\"C\""));
    }
    let proxy = Proxy::start_with(&database, config);
    let mut amy = Wire::through(&proxy, &database, "nurse_amy");
    let reads = |amy: &mut Wire, sql: &str, code: Option<&str>| {
        within(Duration::from_secs(10), || {
            let refusal = amy.query(sql).failure();
            match (&refusal, code) {
                (None, None) => true,
                (Some(f), Some(code)) => f.gls().as_deref() == Some(code),
                _ => false,
            }
        })
    };
    assert_eq!(amy.ok("SELECT t FROM clinic.slip").rows(), [[Some("mine".to_owned())]]);
    assert_eq!(amy.ok("SELECT t FROM clinic.viewed").rows(), [[Some("mine".to_owned())]]);
    assert_eq!(amy.ok("SELECT t FROM clinic.bill").rows(), [[Some("mine".to_owned())]]);
    // Columns that decide nothing may have any collation.
    assert_eq!(amy.ok("SELECT id FROM clinic.plain WHERE t = 'MINE'").rows(), [[Some("1".to_owned())]]);

    server.psql(name, "DROP VIEW clinic.viewed");
    for (change, undo, table) in [
        (firm("clinic.slip", "code", "clinic.ci"), firm("clinic.slip", "code", "\"C\""), "slip"),
        (
            "ALTER TABLE clinic.domained ALTER code TYPE clinic.word".to_owned(),
            firm("clinic.domained", "code", "\"C\""),
            "domained",
        ),
        (firm("clinic.bill", "kind", "clinic.ci"), firm("clinic.bill", "kind", "\"C\""), "bill"),
        (firm("clinic.sheet", "code", "clinic.ci"), firm("clinic.sheet", "code", "\"C\""), "plain"),
        (
            "CREATE VIEW clinic.viewed AS SELECT id, (code || '') COLLATE clinic.ci AS code, t FROM clinic.slip; \
             GRANT SELECT ON clinic.viewed TO nurse"
                .to_owned(),
            format!("DROP VIEW clinic.viewed; {view}; GRANT SELECT ON clinic.viewed TO nurse"),
            "viewed",
        ),
        // Who is assigned: nothing at all can be told.
        (
            firm("glass.assigned", "user_name", "clinic.ci"),
            firm("glass.assigned", "user_name", "\"C\""),
            "patient",
        ),
    ] {
        if change.contains("sheet") {
            // Not unique any more, as 'a' and 'A' are one.
            server.psql(name, "ALTER TABLE clinic.sheet DROP CONSTRAINT sheet_pkey");
        }
        server.psql(name, &change);
        let read = format!("SELECT * FROM clinic.{table}");
        assert!(reads(&mut amy, &read, Some("GLS-220")), "{change}");
        if table != "patient" {
            for sql in [
                format!("DELETE FROM clinic.{table}"),
                format!("UPDATE clinic.{table} SET t = 'x'"),
                format!("INSERT INTO clinic.{table} (id, t) VALUES (9, 'x')"),
                format!("COPY clinic.{table} TO STDOUT"),
            ] {
                assert_eq!(gls(&amy.query(&sql).refusal()), "GLS-220", "{sql}");
            }
        }
        server.psql(name, &undo);
        assert!(reads(&mut amy, &read, None), "{undo}: {:?}", amy.query(&read).failure());
    }
}

/// A condition on a column that mixes texts up names whom it says and others besides: the record does not stop at
/// the one that it says.
#[test]
fn patients_met_by_a_loose_comparison_are_in_the_record() {
    let server = Postgres::shared();
    let database = server.demo();
    let name = database.name();
    server.psql(name, SETTING);
    server.psql(
        name,
        "CREATE TABLE clinic.wanted (code text COLLATE clinic.ci); INSERT INTO clinic.wanted VALUES ('A'); \
         GRANT SELECT ON clinic.wanted TO dba; DROP VIEW clinic.viewed; \
         ALTER TABLE clinic.slip ALTER code TYPE text COLLATE \"C\"; \
         ALTER TABLE clinic.domained ALTER code TYPE text; ALTER TABLE clinic.bill ALTER kind TYPE text COLLATE \"C\"; \
         CREATE VIEW clinic.viewed AS SELECT id, code, t FROM clinic.slip",
    );
    let proxy = Proxy::start_with(&database, config);
    let mut gus = Wire::through(&proxy, &database, "dba_gus");
    // 'a' of the one patient and 'A' of the other are equal there, and 'a' is what the condition says.
    let sql = "SELECT DISTINCT s.patient_id > 0 FROM clinic.sheet s JOIN clinic.wanted w ON s.code = w.code WHERE w.code = 'a'";
    gus.ok(sql);
    let told = told(&proxy, sql);
    assert!(told.names("880051") && told.names("881235"), "{told:?}");
}
