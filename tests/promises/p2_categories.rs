//! Categories and labels: what is of a closed category or of a patient with a closed label is as if it were
//! not there, for reads and writes, until a break-glass session names it. The oracle is a database without
//! those rows, asked directly.

use crate::common::{Database, Postgres, Proxy, STRANGER};
use crate::p2_enforcement::{CANARY, assert_no_canary, assert_none, compare, databases};
use crate::p2_statements::{BOUND, READS};
use crate::support::{deletion, has_merge, hide, replaced, told};
use crate::wire::{Failure, Wire};

/// Notes have a category by their own column, results (over two tables) by theirs; four of amy's patients
/// have labels.
pub(crate) const SENSITIVE: &str = "
ALTER TABLE clinic.note ADD COLUMN sensitivity text;
UPDATE clinic.note SET sensitivity = (ARRAY['P', 'N', NULL, 'X', 'H'])[1 + note_id % 5];
CREATE TABLE clinic.patient_label (patient_id int8 NOT NULL, label text);
CREATE INDEX ON clinic.patient_label (patient_id);
INSERT INTO clinic.patient_label VALUES (880003, 'staff'), (880003, 'vip'), (880015, 'vip'), (880027, 'unheard of'),
    (880039, NULL), (880051, 'none'), (881234, 'staff'), (881236, 'staff');
GRANT SELECT ON clinic.patient_label TO nurse, analyst, pgglass;
GRANT INSERT, UPDATE, DELETE ON clinic.note TO nurse;
";

/// What of [`SENSITIVE`] a role does not see that sees HIV and CEL.
const HIDDEN_NOTE: &str = "sensitivity IN ('P', 'X')";
pub(crate) const LABELLED: &str = "patient_id IN (880003, 880027)";

/// The configuration that says so.
const RULES: &str = r#"
[[label]]
relation = "clinic.patient_label"
patient = "patient_id"
column = "label"
values = { staff = "EMP", vip = "CEL" }
none = ["none"]
"#;

pub(crate) fn sensitive(config: String) -> String {
    let note = "name = \"clinic.note\"\nclass = \"notes\"\nkey = \"patient_id\"\n";
    let by =
        "category = { column = \"sensitivity\", values = { P = \"PSY\", H = \"HIV\" }, none = [\"N\"] }\n";
    let config = replaced(config, note, &format!("{note}{by}"));
    let result = "references = \"order_id\" }]\nkey = \"patient_id\"\n";
    let by = "category = { column = \"flag\", values = { H = \"SDV\" }, none = [\"L\"] }\n";
    let config = replaced(config, result, &format!("{result}{by}"));
    let problem = "name = \"clinic.problem\"\nclass = \"problems\"\nkey = \"patient_id\"\n";
    let by = "column_categories = { title = { category = \"PSY\", mask = \"redact\" } }\n";
    let config = replaced(config, problem, &format!("{problem}{by}"));
    let config =
        replaced(config, "[role.nurse]\n", "[role.nurse]\ncategories = [\"HIV\"]\nlabels = [\"CEL\"]\n");
    let config = replaced(config, "[role.dba]\n", "[role.dba]\ncategories = \"all\"\nlabels = \"all\"\n");
    let glass = "max_sessions_per_day = 20\n";
    let config =
        replaced(config, glass, &format!("{glass}categories = [\"PSY\", \"SDV\"]\nlabels = [\"EMP\"]\n"));
    replaced(config, "[reference]\n", &format!("{RULES}[reference]\n"))
}

pub(crate) fn config(text: String) -> String {
    sensitive(hide(text))
}

/// The whole database, with canaries in what is hidden by category or label as well, and the one without it.
pub(crate) fn pair() -> (Database<'static>, Database<'static>) {
    let (whole, hers) = databases(SENSITIVE);
    let server = Postgres::shared();
    server.psql(
        whole.name(),
        &format!(
            "SET session_replication_role = replica;
             UPDATE clinic.note SET body = '{CANARY} n' || note_id, author = '{CANARY}' WHERE {HIDDEN_NOTE} OR {LABELLED};
             UPDATE clinic.problem SET title = '{CANARY} t' || problem_id;
             UPDATE clinic.lab_result SET analyte = '{CANARY}', unit = '{CANARY}' WHERE flag = 'H';
             UPDATE clinic.patient SET name = '{CANARY} n' || patient_id, mrn = '{CANARY}' || patient_id, \
                 address = '{CANARY}' WHERE {LABELLED};
             ANALYZE;"
        ),
    );
    without(&hers, HIDDEN_NOTE, LABELLED);
    (whole, hers)
}

/// Takes out of a database what is hidden, and masks what is masked.
fn without(database: &Database<'_>, notes: &str, labelled: &str) {
    let labelled = deletion(labelled);
    let sql = format!(
        "BEGIN; {labelled} DELETE FROM clinic.note WHERE {notes}; DELETE FROM clinic.lab_result WHERE flag = 'H';
         UPDATE clinic.problem SET title = '***'; COMMIT; ANALYZE;"
    );
    database.server().psql(database.name(), &sql);
}

/// Statements of this file's own: conditions that would tell a hidden value if they saw the row, and whole
/// tables in every form.
pub(crate) const MORE: &[&str] = &[
    "SELECT sensitivity, count(*) FROM clinic.note GROUP BY 1 ORDER BY 1",
    "SELECT note_id FROM clinic.note WHERE sensitivity = 'P'",
    "SELECT note_id, sensitivity FROM clinic.note WHERE sensitivity IS DISTINCT FROM 'H' ORDER BY 1",
    "SELECT note_id FROM clinic.note WHERE 1 / (CASE WHEN sensitivity = 'P' THEN 0 ELSE 1 END) > 0 ORDER BY 1",
    "SELECT note_id FROM clinic.note WHERE 1 / (CASE WHEN body LIKE 'CANARY%' THEN 0 ELSE 1 END) > 0 ORDER BY 1",
    "SELECT note_id FROM clinic.note WHERE body::int > 0",
    "SELECT max(body), min(author) FROM clinic.note",
    "SELECT p.patient_id, count(n.note_id) FROM clinic.patient p LEFT JOIN clinic.note n ON n.patient_id = p.patient_id GROUP BY 1 ORDER BY 1",
    "SELECT p.patient_id FROM clinic.patient p WHERE NOT EXISTS (SELECT 1 FROM clinic.note n WHERE n.patient_id = p.patient_id AND n.sensitivity = 'P') ORDER BY 1",
    "SELECT n.note_id, p.name FROM clinic.note n FULL JOIN clinic.patient p USING (patient_id) ORDER BY 1, 2",
    "SELECT flag, count(*) FROM clinic.lab_result GROUP BY 1 ORDER BY 1",
    "SELECT o.panel, count(r.flag) FROM clinic.lab_order o LEFT JOIN clinic.lab_result r ON r.order_id = o.order_id GROUP BY 1 ORDER BY 1",
    "SELECT title, count(*) FROM clinic.problem GROUP BY 1 ORDER BY 1",
    "SELECT problem_id, title FROM clinic.problem WHERE title LIKE 'CANARY%' ORDER BY 1",
    "SELECT * FROM clinic.problem ORDER BY problem_id",
    "SELECT count(*) FROM clinic.patient WHERE patient_id IN (880003, 880015, 880027, 880039, 880051)",
    "WITH n AS (SELECT * FROM clinic.note) SELECT count(*), count(sensitivity) FROM n",
    "SELECT row_number() OVER (ORDER BY note_id), sensitivity FROM clinic.note ORDER BY note_id",
    "SELECT sensitivity FROM clinic.note UNION ALL SELECT flag FROM clinic.lab_result ORDER BY 1",
];

#[test]
fn reads_are_those_of_a_database_without_closed_categories_and_labels() {
    let (whole, hers) = pair();
    let proxy = Proxy::start_with(&whole, config);
    let mut through = Wire::through(&proxy, &whole, "nurse_amy");
    let mut direct = Wire::direct(&hers, "nurse_amy");
    let mut wrong = Vec::new();
    for sql in READS.iter().chain(MORE) {
        compare(&mut wrong, "simple", sql, &direct.query(sql), &through.query(sql));
        compare(&mut wrong, "prepared", sql, &direct.extended(sql, &[]), &through.extended(sql, &[]));
    }
    for (sql, parameters) in BOUND {
        let (expected, got) = (direct.extended(sql, parameters), through.extended(sql, parameters));
        compare(&mut wrong, "bound", sql, &expected, &got);
    }
    assert_no_canary(&through);
    assert_none(&wrong, 2 * (READS.len() + MORE.len()) + BOUND.len());
    // Whatever the planner does first.
    for setting in ["enable_hashjoin", "enable_nestloop", "enable_mergejoin", "enable_indexscan"] {
        through.query(&format!("SET {setting} = off"));
        for sql in MORE {
            compare(&mut wrong, setting, sql, &direct.query(sql), &through.query(sql));
        }
        through.query(&format!("RESET {setting}"));
    }
    assert_no_canary(&through);
    assert_none(&wrong, 4 * MORE.len());
    // The relation that says it is closed.
    let refused = through.query("SELECT * FROM clinic.patient_label").refusal();
    assert_eq!(refused.gls().as_deref(), Some("GLS-220"));
}

pub(crate) fn gls(failure: &Failure) -> String {
    failure.gls().unwrap_or_else(|| panic!("{failure:?}"))
}

#[test]
fn rows_of_closed_categories_are_neither_made_nor_changed() {
    let (whole, _) = pair();
    let proxy = Proxy::start_with(&whole, config);
    let mut amy = Wire::through(&proxy, &whole, "nurse_amy");
    let all = "SELECT md5(string_agg(t::text, ',' ORDER BY t::text)) FROM clinic.note t";
    let before = whole.server().psql(whole.name(), all);
    let row = |sensitivity: &str| {
        format!(
            "INSERT INTO clinic.note (patient_id, author, kind, written_at, body, sensitivity) \
             VALUES (880051, 'nurse_amy', 'nursing', now(), 'planted', {sensitivity})"
        )
    };
    // A row of hers that is met and one that is not, with these categories for each.
    let merge = |inserted: &str, updated: &str| {
        format!(
            "MERGE INTO clinic.note n USING (VALUES (-1, 880051, 'P'), (51, 880051, 'P')) AS s (id, p, k) \
             ON n.note_id = s.id WHEN MATCHED THEN UPDATE SET sensitivity = {updated} WHEN NOT MATCHED THEN INSERT \
             (note_id, patient_id, author, kind, written_at, body, sensitivity) \
             VALUES (s.id, s.p, 'amy', 'nursing', '2025-01-01', 'planted', {inserted})"
        )
    };
    let refused = [
        (row("'P'"), "GLS-204"),
        (row("'unknown'"), "GLS-204"),
        (format!("{} ON CONFLICT DO NOTHING", row("'P'")), "GLS-204"),
        (row("'P'").replace("880051", "880001"), "GLS-204"),
        (row("'N'").replace("880051", "880001"), "GLS-201"),
        // Assigned, but with a label that is closed.
        (row("'N'").replace("880051", "880003"), "GLS-201"),
        ("UPDATE clinic.note SET sensitivity = 'P' WHERE patient_id = 880051".to_owned(), "GLS-204"),
        ("UPDATE clinic.note SET sensitivity = sensitivity || 'P'".to_owned(), "GLS-204"),
        ("WITH u AS (UPDATE clinic.note SET sensitivity = 'P' WHERE patient_id = 880051 RETURNING note_id) SELECT 1".to_owned(), "GLS-204"),
        ("INSERT INTO clinic.note SELECT note_id + 100000, patient_id, encounter_id, author, kind, written_at, body, 'P' \
          FROM clinic.note WHERE patient_id = 880051".to_owned(), "GLS-204"),
        (merge("s.k", "'N'"), "GLS-204"),
        (merge("'N'", "s.k"), "GLS-204"),
        ("COPY clinic.note (patient_id, author, kind, written_at, body, sensitivity) FROM STDIN".to_owned(), "GLS-240"),
    ];
    let merges = has_merge(&mut amy);
    for (sql, code) in refused.iter().filter(|(sql, _)| merges || !sql.starts_with("MERGE")) {
        for extended in [false, true] {
            let reply = if extended { amy.extended(sql, &[]) } else { amy.query(sql) };
            assert_eq!(gls(&reply.refusal()), *code, "{sql}");
            assert_eq!(before, whole.server().psql(whole.name(), all), "{sql}");
        }
    }
    // Hidden rows are not met, whatever stands in the condition.
    for sql in [
        "UPDATE clinic.note SET sensitivity = 'N' WHERE sensitivity = 'P'",
        "UPDATE clinic.note SET sensitivity = NULL WHERE sensitivity = 'X'",
        "UPDATE clinic.note SET body = '' WHERE sensitivity IN ('P', 'X') OR patient_id IN (880003, 880027)",
        "DELETE FROM clinic.note WHERE sensitivity = 'P'",
        "DELETE FROM clinic.note WHERE patient_id = 880003 AND 1 / length(body) >= 0",
        "UPDATE clinic.note SET body = 'x' WHERE sensitivity = 'P' AND body::int > 0",
    ] {
        let reply = amy.query(sql);
        assert_eq!(reply.failure(), None, "{sql}");
        assert!(reply.commands()[0].ends_with(" 0"), "{sql}: {:?}", reply.commands());
    }
    assert_eq!(before, whole.server().psql(whole.name(), all));
    // What is open is written.
    for value in ["'N'", "'H'", "NULL"] {
        assert_eq!(amy.query(&row(value)).commands(), ["INSERT 0 1"], "{value}");
    }
    let moved =
        amy.query("UPDATE clinic.note SET sensitivity = 'H' WHERE patient_id = 880051 AND sensitivity = 'N'");
    assert!(moved.failure().is_none() && !moved.commands()[0].ends_with(" 0"));
    if merges {
        assert_eq!(amy.query(&merge("'H'", "'N'")).commands(), ["MERGE 2"]);
    }
    assert_no_canary(&amy);
}

#[test]
fn a_filtered_role_takes_no_label_off() {
    let database = Postgres::shared().demo();
    let server = database.server();
    server.psql(
        database.name(),
        "UPDATE clinic.patient SET language = 'staff' WHERE patient_id = 880003; \
         GRANT UPDATE ON clinic.patient TO nurse; GRANT SELECT ON clinic.patient TO pgglass;",
    );
    let by_column = "[[label]]\nrelation = \"clinic.patient\"\npatient = \"patient_id\"\ncolumn = \"language\"\n\
                     values = { staff = \"EMP\" }\nnone = [\"en\", \"es\", \"fr\", \"de\", \"vi\", \"zh\", \"pl\", \"ar\"]\n";
    let proxy = Proxy::start_with(&database, |text| {
        replaced(hide(text), "[reference]\n", &format!("{by_column}[reference]\n"))
    });
    let mut amy = Wire::through(&proxy, &database, "nurse_amy");
    let seen = "SELECT count(*) FROM clinic.patient WHERE patient_id = 880003";
    assert_eq!(amy.ok(seen).value(), "0");
    assert_eq!(amy.ok("SELECT count(*) FROM clinic.note WHERE patient_id = 880003").value(), "0");
    let refused = amy.query("UPDATE clinic.patient SET language = 'en'").refusal();
    assert_eq!(gls(&refused), "GLS-240");
    assert_eq!(
        amy.query("UPDATE clinic.patient SET phone = '1' WHERE patient_id = 880003").commands(),
        ["UPDATE 0"]
    );
    // A relation of labels with an entry of its own: its rows are those of her patients, and stay.
    server.psql(
        database.name(),
        "CREATE TABLE clinic.label (patient_id int8, label text); INSERT INTO clinic.label VALUES (880015, 'vip'), (880003, 'staff');
         CREATE TABLE clinic.mark (patient_id int8, source text, label text GENERATED ALWAYS AS (source) STORED);
         GRANT SELECT, INSERT, UPDATE, DELETE ON clinic.label, clinic.mark TO nurse; GRANT SELECT ON clinic.label, clinic.mark TO pgglass",
    );
    let rows = "[[table]]\nname = \"clinic.label\"\nclass = \"demographics\"\nkey = \"patient_id\"\n";
    let by_row = "[[label]]\nrelation = \"clinic.label\"\npatient = \"patient_id\"\ncolumn = \"label\"\n\
                  values = { staff = \"EMP\", vip = \"CEL\" }\n";
    assert!(proxy.reload_with(|text| {
        let text = replaced(text, "[role.nurse]\n", "[role.nurse]\nlabels = [\"CEL\"]\n");
        // Labels that the server computes.
        let [more, marks] = [rows, by_row].map(|part| part.replace("clinic.label", "clinic.mark"));
        replaced(text, "[reference]\n", &format!("{rows}{more}{by_row}{marks}[reference]\n"))
    }));
    assert_eq!(amy.ok("SELECT label FROM clinic.label").firsts(), ["vip"]);
    for sql in [
        "DELETE FROM clinic.label",
        "WITH d AS (DELETE FROM clinic.label RETURNING label) SELECT * FROM d",
        "UPDATE clinic.label SET patient_id = 880027",
        "UPDATE clinic.label SET label = NULL",
        "INSERT INTO clinic.label VALUES (880027, 'staff')",
        "MERGE INTO clinic.label l USING (VALUES (880015)) s (p) ON l.patient_id = s.p WHEN MATCHED THEN DELETE",
        "MERGE INTO clinic.label l USING (VALUES (880015)) s (p) ON l.patient_id = s.p WHEN MATCHED THEN UPDATE SET patient_id = 880027",
        "UPDATE clinic.mark SET source = 'staff'",
        "INSERT INTO clinic.mark (patient_id, source) VALUES (880015, 'staff')",
        "COPY clinic.mark (patient_id, source) FROM STDIN",
        "MERGE INTO clinic.mark m USING (VALUES (880015)) s (p) ON m.patient_id = s.p WHEN MATCHED THEN UPDATE SET source = 'staff'",
        "DELETE FROM clinic.patient WHERE patient_id = 880015",
    ] {
        assert_eq!(gls(&amy.query(sql).refusal()), "GLS-240", "{sql}");
    }
    assert_eq!(
        amy.query("UPDATE clinic.patient SET phone = '1' WHERE patient_id = 880015").commands(),
        ["UPDATE 1"]
    );
}

#[test]
fn a_session_opens_what_it_names_and_nothing_else() {
    let (whole, _) = pair();
    let proxy = Proxy::start_with(&whole, config);
    let mut amy = Wire::through(&proxy, &whole, "nurse_amy");
    let notes = |patient: i64| {
        format!("SELECT coalesce(sensitivity, '-') FROM clinic.note WHERE patient_id = {patient} ORDER BY 1")
    };
    // STRANGER has the label EMP and two notes or three; make every kind of them.
    let server = whole.server();
    let kinds = "INSERT INTO clinic.note (patient_id, author, kind, written_at, body, sensitivity) \
         SELECT p, 'x', 'nursing', now(), k, k FROM unnest(ARRAY['P', 'N', 'X', 'H', NULL]) k, unnest(ARRAY[881234, 881235]) p";
    let fresh = format!(
        "DELETE FROM clinic.note WHERE patient_id IN (881234, 881235); {}",
        kinds.replace("k, k ", "coalesce(k, ''), k ")
    );
    server.psql(whole.name(), &fresh);
    let open = |patient: i64, more: &str| {
        format!("SELECT * FROM glass.open('{patient}', 'BTG', 'unconscious, unknown drugs'{more})")
    };
    let all = |wire: &mut Wire, patient: i64| wire.ok(&notes(patient)).firsts();

    // Without a name, categories stay closed though the patient is open.
    amy.ok(&open(881_235, ""));
    assert_eq!(all(&mut amy, 881_235), ["-", "H", "N"]);
    amy.ok("SELECT glass.close()");
    // With it, that category of that patient; nobody else's, and unknown values stay closed.
    amy.ok(&open(881_235, ", categories => ARRAY['PSY']"));
    assert_eq!(all(&mut amy, 881_235), ["-", "H", "N", "P"]);
    assert_eq!(amy.extended(&notes(881_235), &[]).firsts(), ["-", "H", "N", "P"]);
    assert_eq!(amy.ok("SELECT count(*) FROM clinic.note WHERE sensitivity = 'P'").value(), "1");
    let title = "SELECT title FROM clinic.problem WHERE patient_id";
    assert!(amy.ok(&format!("{title} = 881235")).firsts().iter().all(|t| t.starts_with(CANARY)));
    assert!(amy.ok(&format!("{title} <> 881235")).firsts().iter().all(|t| t == "***"));
    // A session is read only: what it opens cannot be written.
    assert_eq!(
        amy.query("UPDATE clinic.note SET body = 'x' WHERE patient_id = 881235 AND sensitivity = 'P'")
            .commands(),
        ["UPDATE 0"]
    );
    amy.ok("SELECT glass.close()");
    assert_eq!(all(&mut amy, 881_235), Vec::<String>::new());

    // A label that is not named keeps the patient hidden.
    amy.ok(&open(STRANGER, ", categories => ARRAY['PSY']"));
    assert_eq!(all(&mut amy, STRANGER), Vec::<String>::new());
    amy.ok("SELECT glass.close()");
    amy.ok(&open(STRANGER, ", labels => ARRAY['EMP']"));
    assert_eq!(all(&mut amy, STRANGER), ["-", "H", "N"]);
    assert_eq!(all(&mut amy, 881_236), Vec::<String>::new());
    amy.ok("SELECT glass.close()");
    // An assigned patient with a label that no name opens, and one with two of which one is closed.
    amy.ok("SELECT * FROM glass.open(patients => ARRAY['880003', '880027'], reason => 'BTG', note => 'unconscious, unknown drugs', labels => ARRAY['EMP'])");
    assert_eq!(
        amy.ok("SELECT patient_id FROM clinic.patient WHERE patient_id IN (880003, 880027)").firsts(),
        ["880003"]
    );
    amy.ok("SELECT glass.close()");

    // What the profile does not open, and what there is not.
    for more in ["categories => ARRAY['HIV']", "categories => ARRAY['NONE']", "labels => ARRAY['CEL']"] {
        assert_eq!(gls(&amy.query(&open(881_235, &format!(", {more}"))).refusal()), "GLS-203", "{more}");
    }
    // The ledger and the report have it.
    let entries = proxy.report("881235");
    let opened = entries.iter().any(|e| e["glass"][0]["categories"] == serde_json::json!(["PSY"]));
    assert!(opened, "{entries:#?}");
}

#[test]
fn a_role_that_sees_every_patient_is_filtered_by_category() {
    let (whole, _) = databases(SENSITIVE);
    let server = Postgres::shared();
    server.psql(
        whole.name(),
        &format!(
            "SET session_replication_role = replica; \
             UPDATE clinic.note SET body = '{CANARY}' WHERE {HIDDEN_NOTE}; \
             UPDATE clinic.patient SET name = '{CANARY}' WHERE patient_id IN (880003, 880027, 881234, 881236);"
        ),
    );
    let copy = server.copy_of(&whole);
    without(&copy, HIDDEN_NOTE, "patient_id IN (880003, 880027, 881234, 881236)");
    let everyone = |text: String| {
        let config = replaced(config(text), "[role.nurse]\n", "[role.nurse]\nrows_withheld = false\n");
        replaced(
            config,
            "scope = \"assigned\"\noutside = \"hide\"\nbreak_glass = \"clinical\"\n\n[role.physician]",
            "scope = \"all\"\nbreak_glass = \"clinical\"\n\n[role.physician]",
        )
    };
    // Others' canaries are for amy's eyes here.
    let proxy = Proxy::start_with(&whole, everyone);
    let mut through = Wire::through(&proxy, &whole, "nurse_amy");
    let mut direct = Wire::direct(&copy, "nurse_amy");
    let mut wrong = Vec::new();
    let mut of = 0;
    for sql in READS.iter().chain(MORE) {
        for extended in [false, true] {
            let ask = |wire: &mut Wire| if extended { wire.extended(sql, &[]) } else { wire.query(sql) };
            of += 1;
            let got = ask(&mut through);
            compare(&mut wrong, "everyone", sql, &ask(&mut direct), &got);
        }
    }
    assert_none(&wrong, of);
    // A write of a closed category, and of a patient with a closed label.
    let insert = |patient: i64, kind: &str| {
        format!(
            "INSERT INTO clinic.note (patient_id, author, kind, written_at, body, sensitivity) \
             VALUES ({patient}, 'amy', 'nursing', now(), 'x', '{kind}')"
        )
    };
    assert_eq!(gls(&through.query(&insert(880_001, "P")).refusal()), "GLS-204");
    assert_eq!(gls(&through.query(&insert(880_003, "N")).refusal()), "GLS-201");
    assert_eq!(through.query(&insert(880_001, "N")).commands(), ["INSERT 0 1"]);
    assert_eq!(through.query("DELETE FROM clinic.note WHERE sensitivity = 'P'").commands(), ["DELETE 0"]);
    // The record is of those whose rows were shown.
    let sql = "SELECT count(*), count(body) FROM clinic.note WHERE patient_id = 880001";
    through.ok(sql);
    let entry = told(&proxy, sql);
    assert!(entry.names("880001") && !entry.all_patients && entry.exact == Some(true), "{entry:?}");
    // A session opens a category of its patient to it as well.
    let notes = "SELECT count(*) FROM clinic.note WHERE sensitivity = 'P'";
    assert_eq!(through.ok(notes).value(), "0");
    through.ok(
        "SELECT * FROM glass.open('880005', 'BTG', 'unconscious, unknown drugs', categories => ARRAY['PSY'])",
    );
    let theirs = server.psql(
        whole.name(),
        "SELECT count(*) FROM clinic.note WHERE sensitivity = 'P' AND patient_id = 880005",
    );
    assert_eq!(through.ok(notes).value(), theirs.trim());
    assert_eq!(through.extended(notes, &[]).value(), theirs.trim());
}

#[test]
fn rows_outside_that_are_shown_masked_are_hidden_when_they_are_closed() {
    let (whole, _) = pair();
    let shown = "[role.nurse.outside_masks.\"clinic.note\"]\nnote_id = \"none\"\nsensitivity = \"none\"\n\
                 [role.nurse.outside_masks.\"clinic.patient\"]\nsex = \"none\"\n";
    let proxy = Proxy::start_with(&whole, |text| {
        replaced(config(text), "outside = \"hide\"", "outside = \"mask\"") + shown
    });
    let mut amy = Wire::through(&proxy, &whole, "nurse_amy");
    let kinds = "SELECT DISTINCT sensitivity FROM clinic.note ORDER BY 1";
    let expected = [Some("H".to_owned()), Some("N".to_owned()), None].map(|k| vec![k]);
    assert_eq!(amy.ok(kinds).rows(), expected);
    assert_eq!(amy.extended(kinds, &[]).rows(), expected);
    let labelled = "SELECT count(*) FROM clinic.patient WHERE patient_id IN (880003, 880027, 881234, 880001)";
    assert_eq!(amy.ok(labelled).value(), "1");
    for sql in [
        "SELECT note_id FROM clinic.note WHERE 1 / (CASE WHEN sensitivity = 'P' THEN 0 ELSE 1 END) > 0",
        "SELECT body FROM clinic.note WHERE 1 / (CASE WHEN body LIKE 'CANARY%' THEN 0 ELSE 1 END) > 0",
        "SELECT count(*) FROM clinic.note WHERE body::int > 0 AND sensitivity = 'P'",
    ] {
        assert_eq!(
            amy.query(sql).failure().filter(|f| f.sqlstate != "22012" || !sql.contains("CANARY")),
            None,
            "{sql}"
        );
    }
    amy.query("SELECT * FROM clinic.note");
    amy.query("SELECT * FROM clinic.problem");
    assert_no_canary(&amy);
}

#[test]
fn a_table_of_a_category_is_refused_until_a_session_names_it() {
    let database = Postgres::shared().demo();
    let allergy = "name = \"clinic.allergy\"\nclass = \"allergies\"\nkey = \"patient_id\"\n";
    let proxy = Proxy::start_with(&database, |text| {
        let config = replaced(hide(text), allergy, &format!("{allergy}category = \"PSY\"\n"));
        let glass = "max_sessions_per_day = 20\n";
        replaced(config, glass, &format!("{glass}categories = [\"PSY\"]\n"))
    });
    let mut amy = Wire::through(&proxy, &database, "nurse_amy");
    for sql in [
        "SELECT count(*) FROM clinic.allergy",
        "SELECT patient_id FROM clinic.patient p WHERE NOT EXISTS (SELECT 1 FROM clinic.allergy a WHERE a.patient_id = p.patient_id)",
        "COPY clinic.allergy TO STDOUT",
    ] {
        let refused = amy.query(sql).refusal();
        assert_eq!(gls(&refused), "GLS-204", "{sql}");
        assert!(refused.message.contains("PSY"), "{refused:?}");
    }
    let server = database.server();
    let one = server.psql(database.name(), "SELECT min(patient_id) FROM clinic.allergy");
    let one = one.trim();
    amy.ok(&format!(
        "SELECT * FROM glass.open('{one}', 'BTG', 'unconscious, unknown drugs', categories => ARRAY['PSY'])"
    ));
    let seen = amy.ok("SELECT DISTINCT patient_id FROM clinic.allergy").firsts();
    assert_eq!(seen, [one]);
    let refused = amy.query(&format!("DELETE FROM clinic.allergy WHERE patient_id = {one}")).refusal();
    assert!(matches!(gls(&refused).as_str(), "GLS-204" | "GLS-205"), "{refused:?}");
}

#[test]
fn a_reload_closes_what_was_open() {
    let (whole, _) = pair();
    let proxy = Proxy::start_with(&whole, config);
    let mut amy = Wire::through(&proxy, &whole, "nurse_amy");
    let kinds = "SELECT DISTINCT sensitivity FROM clinic.note WHERE sensitivity = 'H'";
    amy.send(&[crate::wire::parse("s", kinds), crate::wire::sync()].concat());
    assert_eq!(amy.reply().failure(), None);
    assert_eq!(amy.ok(kinds).firsts(), ["H"]);
    let again = [crate::wire::bind("", "s", &[]), crate::wire::execute("", 0), crate::wire::sync()].concat();
    amy.send(&again);
    assert_eq!(amy.reply().firsts(), ["H"]);
    assert!(proxy.reload_with(|config| replaced(config, "categories = [\"HIV\"]", "categories = []")));
    assert!(amy.ok(kinds).rows().is_empty());
    amy.send(&again);
    let reply = amy.reply();
    assert!(reply.failure().is_none() && reply.rows().is_empty(), "{:?}", reply.messages);
    assert!(proxy.reload_with(|config| replaced(config, "categories = []", "categories = \"all\"")));
    let all = "SELECT count(DISTINCT sensitivity) FROM clinic.note";
    assert_eq!(amy.ok(all).value(), "4");
    // A column that is not there any more closes the table, and the file is not put in force by a mistake.
    assert!(!proxy.reload_with(|config| replaced(
        config,
        "categories = \"all\"\nlabels",
        "categories = [\"NONE\"]\nlabels"
    )));
    assert_eq!(amy.ok(all).value(), "4");
}
