//! Columns that decide whose a row is, or its category, and that no statement writes: the server computes them
//! (GENERATED ALWAYS AS), or a trigger sets them. The setting is that of `p2_categories`.

use crate::common::{Postgres, Proxy};
use crate::p2_categories::{config, gls, pair};
use crate::p2_enforcement::assert_no_canary;
use crate::support::{has_merge, hide};
use crate::wire::Wire;

/// A category that the server computes, or a trigger sets, is written by whatever it is made of.
#[test]
fn rows_get_no_closed_category_that_no_text_names() {
    let (whole, _) = pair();
    let (server, name) = (whole.server(), whole.name());
    let computed = "ALTER TABLE clinic.note DROP COLUMN sensitivity; \
                    ALTER TABLE clinic.note ADD COLUMN sensitivity text GENERATED ALWAYS AS (left(kind, 1)) STORED; \
                    UPDATE clinic.note SET kind = CASE note_id % 3 WHEN 0 THEN 'Px' ELSE 'Nx' END";
    let trigger = "ALTER TABLE clinic.note ALTER COLUMN sensitivity DROP EXPRESSION; \
                   CREATE FUNCTION clinic.classify() RETURNS trigger LANGUAGE plpgsql AS \
                   'BEGIN NEW.sensitivity := left(NEW.kind, 1); RETURN NEW; END'; \
                   CREATE TRIGGER classify BEFORE INSERT OR UPDATE ON clinic.note FOR EACH ROW EXECUTE FUNCTION clinic.classify()";
    let all = "SELECT md5(string_agg(t::text, ',' ORDER BY t::text)) FROM clinic.note t";
    let mine = "SELECT min(note_id) FROM clinic.note WHERE patient_id = 880051 AND kind = 'Nx'";
    for setting in [computed, trigger] {
        server.psql(name, setting);
        let proxy = Proxy::start_with(&whole, config);
        let mut amy = Wire::through(&proxy, &whole, "nurse_amy");
        let id = server.psql(name, mine).trim().to_owned();
        assert!(!id.is_empty());
        let before = server.psql(name, all);
        let merge = format!(
            "MERGE INTO clinic.note n USING (VALUES ({id}, 'Px')) s (id, k) ON n.note_id = s.id WHEN MATCHED THEN"
        );
        let insert = format!(
            "INSERT INTO clinic.note (note_id, patient_id, author, kind, written_at, body) \
             VALUES ({id}, 880051, 'amy', 'Px', now(), 'planted')"
        );
        for (sql, code) in [
            (format!("UPDATE clinic.note SET kind = 'Px' WHERE note_id = {id}"), "GLS-204"),
            ("UPDATE clinic.note SET kind = 'Px'".to_owned(), "GLS-204"),
            (format!("UPDATE clinic.note SET kind = 'Px' WHERE note_id = {id} RETURNING note_id"), "GLS-204"),
            (
                format!(
                    "WITH u AS (UPDATE clinic.note SET (kind, body) = ('Px', '') WHERE note_id = {id} RETURNING 1) SELECT * FROM u"
                ),
                "GLS-204",
            ),
            (format!("{insert} ON CONFLICT (note_id) DO UPDATE SET kind = 'Px'"), "GLS-204"),
            (insert.replace("'Px'", "'Nx'") + " ON CONFLICT (note_id) DO UPDATE SET kind = 'Px'", "GLS-204"),
            (insert.replace(&format!("({id},"), "(-1,"), "GLS-204"),
            (format!("{merge} UPDATE SET kind = s.k"), "GLS-240"),
        ] {
            for extended in [false, true] {
                let reply = if extended { amy.extended(&sql, &[]) } else { amy.query(&sql) };
                assert_eq!(gls(&reply.refusal()), code, "{sql}");
                assert_eq!(before, server.psql(name, all), "{sql}");
            }
        }
        // What stays open is written, and what was closed is not met.
        for body in [
            "UPDATE clinic.note SET kind = 'Hx' WHERE note_id = ",
            "UPDATE clinic.note SET body = 'x', kind = 'Nx' WHERE note_id = ",
        ] {
            assert_eq!(amy.query(&format!("{body}{id}")).commands(), ["UPDATE 1"]);
        }
        assert_eq!(
            amy.query("UPDATE clinic.note SET kind = 'Nx' WHERE kind = 'Px'").commands(),
            ["UPDATE 0"]
        );
        if has_merge(&mut amy) {
            assert_eq!(amy.query(&format!("{merge} DELETE")).commands(), ["MERGE 1"]);
        }
        assert_no_canary(&amy);
    }
}

/// The same of a patient key.
#[test]
fn rows_are_given_to_no_other_patient_by_what_the_key_is_made_of() {
    let database = Postgres::shared().demo();
    let (server, name) = (database.server(), database.name());
    server.psql(
        name,
        "ALTER TABLE clinic.allergy RENAME patient_id TO owner; \
         ALTER TABLE clinic.allergy ADD patient_id int8 GENERATED ALWAYS AS (owner + 0) STORED; \
         GRANT UPDATE ON clinic.allergy TO nurse",
    );
    let proxy = Proxy::start_with(&database, hide);
    let mut amy = Wire::through(&proxy, &database, "nurse_amy");
    let mine = amy.ok("SELECT DISTINCT patient_id FROM clinic.allergy ORDER BY 1").firsts();
    for condition in
        [format!("WHERE patient_id = {}", mine[0]), "WHERE severity <> ''".to_owned(), String::new()]
    {
        for extended in [false, true] {
            let mut ask = |sql: &str| if extended { amy.extended(sql, &[]) } else { amy.query(sql) };
            let given = ask(&format!("UPDATE clinic.allergy SET owner = 880001 {condition}"));
            assert_eq!(gls(&given.refusal()), "GLS-201", "{condition}");
            let kept =
                ask(&format!("UPDATE clinic.allergy SET severity = severity, owner = owner {condition}"));
            assert_eq!(kept.failure(), None, "{condition}");
            assert_ne!(kept.commands(), ["UPDATE 0"], "{condition}");
        }
    }
    assert_eq!(amy.ok("SELECT DISTINCT patient_id FROM clinic.allergy ORDER BY 1").firsts(), mine);
}
