//! Categories and labels where statements are more than reads: writes that read, cursors, COPY, groups, and what is
//! left when a session is over. The setting is that of `p2_categories`.

use crate::common::{Postgres, Proxy};
use crate::p2_categories::{LABELLED, MORE, SENSITIVE, config, gls, pair, sensitive};
use crate::p2_enforcement::{COPIES, STEPS, assert_no_canary, assert_none, compare};
use crate::p2_statements::READS;
use crate::support::{amys, clear, deletion, replaced};
use crate::wire::Wire;

/// With a category opened, reads are those of a database with one patient more, and that patient's rows of it.
#[test]
fn with_a_category_opened_reads_are_those_with_its_rows_of_one_patient() {
    let server = Postgres::shared();
    let (whole, hers) = (server.demo(), server.demo());
    for database in [&whole, &hers] {
        server.psql(database.name(), SENSITIVE);
    }
    server.psql(hers.name(), "INSERT INTO glass.assigned VALUES ('nurse_amy', 881235)");
    let gone = format!("(patient_id IN ({}, 881235)) IS NOT TRUE OR {LABELLED}", amys());
    let rest = "DELETE FROM clinic.lab_result WHERE order_id IS NULL OR flag = 'H'; \
                DELETE FROM clinic.note WHERE sensitivity = 'X' OR (sensitivity = 'P' AND patient_id <> 881235); \
                UPDATE clinic.problem SET title = '***' WHERE patient_id <> 881235";
    server.psql(hers.name(), &format!("BEGIN;\n{} {rest};\nCOMMIT;", deletion(&gone)));
    let proxy = Proxy::start_with(&whole, config);
    let mut through = Wire::through(&proxy, &whole, "nurse_amy");
    let mut direct = Wire::direct(&hers, "nurse_amy");
    through.ok(
        "SELECT * FROM glass.open('881235', 'BTG', 'unconscious, unknown drugs', categories => ARRAY['PSY'])",
    );
    let mut wrong = Vec::new();
    for sql in READS.iter().chain(MORE) {
        for extended in [false, true] {
            let ask = |wire: &mut Wire| if extended { wire.extended(sql, &[]) } else { wire.query(sql) };
            let mut got = ask(&mut through);
            // The session announces itself.
            got.messages.retain(|m| m.tag != b'N');
            compare(&mut wrong, "opened", sql, &ask(&mut direct), &got);
        }
    }
    assert_none(&wrong, 2 * (READS.len() + MORE.len()));
}

#[test]
fn changes_cursors_and_copies_are_those_of_a_database_without_what_is_closed() {
    let (whole, hers) = pair();
    for database in [&whole, &hers] {
        let sql = "GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA clinic TO nurse; \
                   CREATE VIEW clinic.all_notes AS SELECT note_id, sensitivity, body FROM clinic.note; \
                   GRANT SELECT ON clinic.all_notes TO nurse";
        database.server().psql(database.name(), sql);
    }
    let proxy = Proxy::start_with(&whole, config);
    let mut through = Wire::through(&proxy, &whole, "nurse_amy");
    let mut direct = Wire::direct(&hers, "nurse_amy");
    let mut wrong = Vec::new();
    let own = [
        "UPDATE clinic.problem p SET status = 'resolved' FROM clinic.note n WHERE n.patient_id = p.patient_id AND n.sensitivity = 'P'",
        "UPDATE clinic.problem p SET status = 'resolved' WHERE EXISTS (SELECT 1 FROM clinic.lab_order o JOIN clinic.lab_result r USING (order_id) WHERE o.patient_id = p.patient_id AND r.flag = 'H')",
        "DELETE FROM clinic.lab_result r USING clinic.lab_order o WHERE o.order_id = r.order_id AND r.flag = 'H'",
        "DELETE FROM clinic.note WHERE sensitivity IS DISTINCT FROM 'N' RETURNING note_id",
    ];
    let effects = "SELECT status, count(*) FROM clinic.problem GROUP BY 1 ORDER BY 1";
    let mut of = 0;
    for change in own {
        for extended in [false, true] {
            for sql in ["BEGIN", change, effects, "ROLLBACK"] {
                of += 1;
                let run = |wire: &mut Wire| if extended { wire.extended(sql, &[]) } else { wire.query(sql) };
                compare(&mut wrong, "change", sql, &run(&mut direct), &run(&mut through));
            }
        }
    }
    let notes = [
        "BEGIN",
        "DECLARE n SCROLL CURSOR FOR SELECT note_id, sensitivity FROM clinic.note ORDER BY note_id",
        "FETCH ALL FROM n /* ORDER BY */",
        "FETCH ABSOLUTE 3 FROM n /* ORDER BY */",
        "COMMIT",
        "PREPARE k(text) AS SELECT count(*) FROM clinic.note WHERE sensitivity = $1",
        "EXECUTE k('P')",
        "EXECUTE k('H')",
    ];
    for sql in STEPS.iter().chain(&notes) {
        of += 1;
        compare(&mut wrong, "step", sql, &direct.query(sql), &through.query(sql));
    }
    // A view without an entry is read through its definition; the two have other numbers.
    let viewed = "SELECT sensitivity, count(*) FROM clinic.all_notes GROUP BY 1 ORDER BY 1";
    assert_eq!(direct.ok(viewed).rows(), through.ok(viewed).rows());
    for sql in
        COPIES.iter().chain(&["COPY clinic.note TO STDOUT", "COPY clinic.problem TO STDOUT (FORMAT csv)"])
    {
        let lines = |reply: &crate::wire::Reply| {
            let mut lines: Vec<_> =
                reply.messages.iter().filter(|m| m.tag == b'd').map(|m| m.body.clone()).collect();
            lines.sort();
            lines
        };
        let (expected, got) = (direct.query(sql), through.query(sql));
        assert_eq!(got.failure(), None, "{sql}");
        assert!(lines(&expected) == lines(&got), "{sql}: other lines");
    }
    assert_no_canary(&through);
    assert_none(&wrong, of);
}

/// Groups of a role with `min_cell` that sees every patient leave out what is closed.
#[test]
fn groups_of_everyone_leave_out_what_is_closed() {
    let (whole, _) = pair();
    let proxy = Proxy::start_with(&whole, |text| {
        replaced(config(text), "[role.analyst]\n", "[role.analyst]\nmin_cell = 3\nrows_withheld = false\n")
    });
    let mut ana = Wire::through(&proxy, &whole, "ana_fox");
    let rows = ana.ok("SELECT flag, count(*) FROM clinic.lab_result GROUP BY flag ORDER BY 1").rows();
    assert_eq!(rows.iter().map(|r| r[0].as_deref()).collect::<Vec<_>>(), [Some("L"), None]);
    let direct = "SELECT count(*) FROM clinic.lab_result r LEFT JOIN clinic.lab_order o USING (order_id) WHERE flag = 'L' \
                  AND NOT EXISTS (SELECT 1 FROM clinic.patient_label l WHERE l.patient_id = o.patient_id AND l.label <> 'none')";
    let expected = whole.server().psql(whole.name(), direct);
    assert_eq!(rows[0][1].as_deref(), Some(expected.trim()));
    let title = ana.ok("SELECT title, count(*) FROM clinic.problem GROUP BY 1").rows();
    assert_eq!(title.iter().map(|r| r[0].as_deref()).collect::<Vec<_>>(), [Some("***")]);
    assert_eq!(gls(&ana.query("SELECT flag FROM clinic.lab_result").refusal()), "GLS-241");
}

/// A portal under a session is not executed when the session that opened the category is over, though another one
/// still opens the patient.
#[test]
fn what_a_session_opened_is_closed_with_it() {
    let (whole, _) = pair();
    let proxy = Proxy::start_with(&whole, config);
    let mut amy = Wire::through(&proxy, &whole, "nurse_amy");
    let open =
        |more: &str| format!("SELECT * FROM glass.open('881235', 'BTG', 'unconscious, unknown drugs'{more})");
    amy.ok(&open(""));
    let session = amy.ok(&open(", categories => ARRAY['PSY']")).rows()[0][0].clone().unwrap();
    let notes = "SELECT sensitivity FROM clinic.note WHERE patient_id = 881235 AND sensitivity = 'P'";
    let planted = "INSERT INTO clinic.note (patient_id, author, kind, written_at, body, sensitivity) \
                   VALUES (881235, 'x', 'nursing', now(), 'x', 'P')";
    whole.server().psql(whole.name(), planted);
    assert!(!amy.ok(notes).rows().is_empty());
    amy.ok("BEGIN");
    amy.ok("DECLARE c CURSOR FOR SELECT sensitivity FROM clinic.note WHERE sensitivity = 'P'");
    amy.ok(&format!("SELECT glass.close('{session}')"));
    let fetched = amy.query("FETCH ALL FROM c");
    assert_eq!(gls(&fetched.refusal()), "GLS-210");
    amy.query("ROLLBACK");
    assert!(amy.ok(notes).rows().is_empty());
    assert!(!amy.ok("SELECT 1 FROM clinic.patient WHERE patient_id = 881235").rows().is_empty());
    // Bound while it was open, executed after.
    let session = amy.ok(&open(", categories => ARRAY['PSY']")).rows()[0][0].clone().unwrap();
    amy.ok("BEGIN");
    amy.send(
        &[crate::wire::parse("s", notes), crate::wire::bind("p", "s", &[]), crate::wire::sync()].concat(),
    );
    assert_eq!(amy.reply().failure(), None);
    amy.ok(&format!("SELECT glass.close('{session}')"));
    amy.send(&[crate::wire::execute("p", 0), crate::wire::sync()].concat());
    let reply = amy.reply();
    assert_eq!(gls(&reply.refusal()), "GLS-210");
    amy.query("ROLLBACK");
}

/// A lookup of a patient whose label is closed is that of any patient outside; rows of a category are never told to
/// be all.
#[test]
fn who_is_closed_is_outside_and_absence_is_never_none() {
    let (whole, _) = pair();
    let proxy = Proxy::start_with(&whole, |text| sensitive(clear(text)));
    let mut amy = Wire::through(&proxy, &whole, "nurse_amy");
    for extended in [false, true] {
        let mut ask = |sql: &str| if extended { amy.extended(sql, &[]) } else { amy.query(sql) };
        for patient in [880_003, 880_027, 880_001, 999_999_999] {
            let refused =
                ask(&format!("SELECT name FROM clinic.patient WHERE patient_id = {patient}")).refusal();
            assert_eq!(gls(&refused), "GLS-201", "{patient}");
        }
        let told = |reply: crate::wire::Reply| {
            assert_eq!(reply.failure(), None);
            reply.notices().iter().map(|n| n.message.clone()).collect::<Vec<_>>().join("\n")
        };
        assert_eq!(told(ask("SELECT name FROM clinic.patient WHERE patient_id = 880051")), "");
        assert_eq!(told(ask("SELECT allergy_id FROM clinic.allergy WHERE patient_id = 880051")), "");
        for sql in [
            "SELECT body FROM clinic.note WHERE patient_id = 880051",
            "SELECT body FROM clinic.note WHERE patient_id = 880051 AND sensitivity = 'P'",
            "SELECT count(*) FROM clinic.note",
        ] {
            let told = told(ask(sql));
            assert!(told.starts_with("GLS-202") && told.contains("categories"), "{sql}: {told}");
        }
    }
    assert_no_canary(&amy);
}
