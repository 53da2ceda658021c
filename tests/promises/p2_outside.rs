//! `outside = "mask"`: a restricted user sees exactly what a database would show in which the masked
//! cells of other patients' rows were physically replaced, and not a byte more. The oracle is such a
//! database, asked directly.

use std::fmt::Write as _;

use crate::common::{Database, Proxy, STRANGER};
use crate::p2_enforcement::{assert_no_canary, assert_none, compare, databases};
use crate::p2_statements::READS;
use crate::support::{amys, hide, replaced, told};
use crate::wire::Wire;

/// What of each table stays readable, as it is (`none`) or masked; what is not here is NULL.
const SHOWN: &str = r#"
[role.nurse.outside_masks."clinic.patient"]
sex = "none"
name = "redact"
birth_date = "age90"
zip = "zip3"
phone = { mask = "partial", keep_last = 1 }
[role.nurse.outside_masks."clinic.encounter"]
encounter_id = "none"
ward_id = "none"
kind = "none"
admitted_at = "year"
[role.nurse.outside_masks."clinic.lab_order"]
order_id = "none"
[role.nurse.outside_masks."clinic.lab_result"]
result_id = "none"
unit = "withhold"
value = "null"
[role.nurse.outside_masks."clinic.note"]
note_id = "none"
[role.nurse.outside_masks."clinic.medication_order"]
medication_order_id = "none"
drug_id = "none"
"#;

fn mask(config: String) -> String {
    replaced(hide(config), "outside = \"hide\"", "outside = \"mask\"") + SHOWN
}

/// The masked cells of rows of patients who are not nurse_amy's, replaced for good.
fn replace_cells(database: &Database<'_>) {
    let tables = [
        (
            "patient",
            "mrn ssn address email language",
            "name = '***', birth_date = GREATEST(date_trunc('year', birth_date), \
          date_trunc('year', now()) - interval '90 years')::date, \
          phone = repeat('*', length(phone) - 1) || right(phone, 1), \
          zip = CASE WHEN zip ~ '^[0-9]{5}$' AND left(zip, 3) <> '036' THEN left(zip, 3) ELSE '000' END",
        ),
        (
            "encounter",
            "attending discharged_at complaint charge",
            "admitted_at = \
          date_trunc('year', admitted_at AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'",
        ),
        ("bed_assignment", "bed_assignment_id ward_id bed from_time to_time", ""),
        ("appointment", "appointment_id ward_id starts_at minutes reason status", ""),
        ("care_team", "member function since", ""),
        ("problem", "problem_id icd10 title onset status", ""),
        ("allergy", "allergy_id substance reaction severity", ""),
        ("lab_order", "encounter_id panel ordered_by ordered_at", ""),
        ("medication_order", "dose unit frequency status prescriber started_at stopped_at", ""),
        ("note", "encounter_id author kind written_at body", ""),
    ];
    let mine = amys();
    let mut sql = String::from(
        "SET session_replication_role = replica;\n\
         DO $$ DECLARE c record; BEGIN \
         FOR c IN SELECT conrelid::regclass AS t, conname FROM pg_constraint \
         WHERE connamespace = 'clinic'::regnamespace AND contype IN ('c', 'p', 'u', 'f') LOOP \
         EXECUTE format('ALTER TABLE %s DROP CONSTRAINT IF EXISTS %I CASCADE', c.t, c.conname); END LOOP; \
         FOR c IN SELECT attrelid::regclass AS t, attname FROM pg_attribute JOIN pg_class r ON r.oid = attrelid \
         WHERE relnamespace = 'clinic'::regnamespace AND relkind = 'r' AND attnum > 0 AND attnotnull \
         AND attidentity = '' LOOP \
         EXECUTE format('ALTER TABLE %s ALTER %I DROP NOT NULL', c.t, c.attname); END LOOP; END $$;\n",
    );
    let results = "UPDATE clinic.lab_result r SET analyte = NULL, value = NULL, flag = NULL, resulted_at = NULL, \
         unit = CASE WHEN unit IS NOT NULL THEN '[withheld]' END WHERE NOT EXISTS \
         (SELECT FROM clinic.lab_order o WHERE o.order_id = r.order_id AND o.patient_id IN";
    let _ = writeln!(sql, "{results} ({mine}));");
    for (table, nulls, masks) in tables {
        let mut set: Vec<String> = nulls.split(' ').map(|c| format!("{c} = NULL")).collect();
        set.extend((!masks.is_empty()).then(|| masks.to_owned()));
        let _ = writeln!(
            sql,
            "UPDATE clinic.{table} SET {} WHERE (patient_id IN ({mine})) IS NOT TRUE;",
            set.join(", ")
        );
    }
    database.server().psql(database.name(), &sql);
}

/// The view has an entry of its own, so none of its columns; the replaced table shows some through it.
fn comparable(sql: &&&'static str) -> bool {
    !sql.contains("current_medication")
}

#[test]
fn reads_are_those_of_a_database_with_replaced_cells() {
    let (whole, _) = databases("");
    let copy = whole.server().copy_of(&whole);
    replace_cells(&copy);
    let proxy = Proxy::start_with(&whole, mask);
    let mut through = Wire::through(&proxy, &whole, "nurse_amy");
    let mut direct = Wire::direct(&copy, "nurse_amy");
    let (mut wrong, mut refused, mut seen) = (Vec::new(), Vec::new(), 0);
    for sql in READS.iter().filter(comparable) {
        for extended in [false, true] {
            let ask = |wire: &mut Wire| if extended { wire.extended(sql, &[]) } else { wire.query(sql) };
            let got = ask(&mut through);
            match got.failure() {
                Some(failure) if failure.message.contains("GLS-240") => refused.push(*sql),
                _ => {
                    seen += 1;
                    compare(&mut wrong, "masked", sql, &ask(&mut direct), &got);
                }
            }
        }
    }
    assert_none(&wrong, seen);
    assert_no_canary(&through);
    eprintln!("{} of {} refused: {refused:#?}", refused.len(), refused.len() + seen);
    assert!(refused.len() * 10 < seen, "{refused:#?}");
}

/// Conditions that would tell a masked value, if they saw it.
#[test]
fn no_condition_sees_a_masked_value() {
    let (whole, _) = databases("");
    let copy = whole.server().copy_of(&whole);
    replace_cells(&copy);
    let proxy = Proxy::start_with(&whole, mask);
    let mut through = Wire::through(&proxy, &whole, "nurse_amy");
    let mut direct = Wire::direct(&copy, "nurse_amy");
    let mut wrong = Vec::new();
    let statements = [
        "SELECT patient_id FROM clinic.patient WHERE mrn >= 'C' ORDER BY 1",
        "SELECT patient_id FROM clinic.patient WHERE 1 / (CASE WHEN mrn LIKE 'C%' THEN 0 ELSE 1 END) > 0 ORDER BY 1",
        "SELECT patient_id FROM clinic.patient WHERE mrn::int > 0",
        "SELECT patient_id FROM clinic.patient ORDER BY mrn, patient_id",
        "SELECT left(mrn, 1), count(*) FROM clinic.patient GROUP BY 1 ORDER BY 1",
        "SELECT p.patient_id FROM clinic.patient p JOIN clinic.note n ON n.body = p.email ORDER BY 1",
        "SELECT max(body), min(body) FROM clinic.note",
        "SELECT count(*) FROM clinic.patient a JOIN clinic.patient b ON a.mrn > b.mrn",
        "SELECT w.name, e.complaint::int FROM clinic.ward w LEFT JOIN clinic.encounter e USING (ward_id) WHERE e.patient_id = 881234",
        "SELECT row_to_json(p) FROM clinic.patient p WHERE patient_id = 881234",
        "SELECT p FROM clinic.patient p WHERE patient_id = 881234",
        "SELECT xmlforest(mrn, ssn) FROM clinic.patient WHERE patient_id = 881234",
        "SELECT array_agg(body ORDER BY body) FROM clinic.note WHERE patient_id = 881234",
        "SELECT string_agg(name, ',' ORDER BY mrn) FROM clinic.patient",
        "SELECT lag(mrn) OVER (ORDER BY patient_id) FROM clinic.patient ORDER BY patient_id",
        "SELECT DISTINCT ssn FROM clinic.patient ORDER BY 1",
        "SELECT ssn FROM clinic.patient UNION SELECT body FROM clinic.note ORDER BY 1",
        "SELECT analyte, unit, value FROM clinic.lab_result ORDER BY result_id",
        "SELECT to_jsonb(r) FROM clinic.lab_result r ORDER BY result_id",
        "COPY clinic.patient TO STDOUT",
        "COPY (SELECT mrn, name FROM clinic.patient ORDER BY patient_id) TO STDOUT",
    ];
    for sql in statements {
        compare(&mut wrong, "masked", sql, &direct.query(sql), &through.query(sql));
    }
    assert_none(&wrong, statements.len());
    assert_no_canary(&through);
    // Planner settings move conditions about; they find nothing below the join.
    for setting in
        ["enable_hashjoin", "enable_mergejoin", "enable_nestloop", "enable_indexscan", "enable_seqscan"]
    {
        through.query(&format!("SET {setting} = off"));
        for sql in statements {
            through.query(sql);
        }
        assert_no_canary(&through);
        through.query(&format!("RESET {setting}"));
        through.forget();
    }
}

#[test]
fn writes_reach_assigned_patients_only_and_an_open_glass_shows_one_more() {
    let (whole, _) = databases("GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA clinic TO nurse");
    let proxy = Proxy::start_with(&whole, mask);
    let mut amy = Wire::through(&proxy, &whole, "nurse_amy");
    let count = |amy: &mut Wire, sql: &str| amy.query(sql).commands().join(";");
    assert_eq!(
        count(&mut amy, "UPDATE clinic.patient SET language = 'xx' WHERE patient_id = 881234"),
        "UPDATE 0"
    );
    assert_eq!(
        count(&mut amy, "UPDATE clinic.patient SET language = 'xx' WHERE patient_id = 880003"),
        "UPDATE 1"
    );
    assert_eq!(count(&mut amy, "UPDATE clinic.patient SET language = 'yy'"), "UPDATE 25");
    assert_eq!(count(&mut amy, "DELETE FROM clinic.note WHERE patient_id = 881234"), "DELETE 0");
    let insert = "INSERT INTO clinic.problem VALUES (999999, 881234, 'a', 'b', NULL, 'active')";
    let refused = amy.query(insert).failure().expect("refused");
    assert!(refused.message.contains("GLS-201"), "{}", refused.message);
    assert_no_canary(&amy);

    // The record names whom rows were shown of, masked or not.
    let sql = "SELECT name FROM clinic.patient WHERE sex = 'F'";
    assert!(amy.query(sql).rows().len() > 500);
    let entry = told(&proxy, sql);
    assert!(entry.patients.len() > 500, "{} named", entry.patients.len());
    let sql = format!("SELECT name, mrn, ssn FROM clinic.patient WHERE patient_id = {STRANGER}");
    assert_eq!(amy.query(&sql).rows(), [[Some("***".to_owned()), None, None]]);
    assert!(told(&proxy, &sql).names(&STRANGER.to_string()));
    assert_no_canary(&amy);

    amy.ok(&format!("SELECT * FROM glass.open('{STRANGER}', 'BTG', 'unconscious, unknown drugs')"));
    let row = &amy.query(&sql).rows()[0];
    assert!(row[1].as_deref().is_some_and(|mrn| mrn.starts_with("CANARY")), "{row:?}");
    // The others stay masked.
    let others = "SELECT count(*), count(mrn) FROM clinic.patient";
    assert_eq!(amy.query(others).rows()[0][1].as_deref(), Some("26"));
}

/// What is shown masked is for writes as if it were hidden: the same writes work, with the same outcome, and
/// the same ones do not.
#[test]
fn writes_do_what_they_would_if_the_others_were_hidden() {
    let (whole, _) = databases(
        "GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA clinic TO nurse; \
         ALTER TABLE clinic.problem ADD UNIQUE (patient_id, icd10, problem_id)",
    );
    let (masks, hides) = (Proxy::start_with(&whole, mask), Proxy::start_with(&whole, hide));
    let mut shown = Wire::through(&masks, &whole, "nurse_amy");
    let mut hidden = Wire::through(&hides, &whole, "nurse_amy");
    let own = hidden.query("SELECT min(problem_id)::text FROM clinic.problem").rows();
    let own = own[0][0].clone().expect("a problem of hers");
    let problem = "INSERT INTO clinic.problem (problem_id, patient_id, icd10, title, status) VALUES";
    let done = [
        format!("UPDATE clinic.problem SET patient_id = 880015 WHERE problem_id = {own}"),
        format!("UPDATE clinic.problem SET patient_id = patient_id, title = 'x' WHERE problem_id = {own} RETURNING title"),
        format!("UPDATE clinic.problem SET patient_id = 880003, icd10 = 'I10', title = 'new', onset = NULL, status = 'active' WHERE problem_id = {own}"),
        format!("UPDATE clinic.problem SET patient_id = 880003 WHERE problem_id = {own} AND title <> 'x' RETURNING *"),
        format!("{problem} (990001, 880003, 'I10', 'a', 'active') ON CONFLICT DO NOTHING"),
        format!("{problem} (990001, 880003, 'I10', 'a', 'active'), ({own}, 880003, 'I10', 'a', 'active') ON CONFLICT (problem_id) DO NOTHING RETURNING problem_id"),
        format!("{problem} ({own}, 880003, 'I10', 'a', 'active') ON CONFLICT (problem_id) DO UPDATE SET title = excluded.title WHERE problem.status = 'active'"),
        format!("{problem} ({own}, 880003, 'I10', 'a', 'active') ON CONFLICT (problem_id) DO UPDATE SET patient_id = excluded.patient_id, title = excluded.title"),
        "WITH o AS (INSERT INTO clinic.lab_order (order_id, patient_id, panel, ordered_by, ordered_at) VALUES (990001, 880003, 'p', 'x', now()) \
         RETURNING order_id) INSERT INTO clinic.lab_result (result_id, order_id, analyte, unit, resulted_at) \
         SELECT 990001, order_id, 'a', 'u', now() FROM o"
            .to_owned(),
        "INSERT INTO clinic.lab_result (result_id, order_id, analyte, unit, resulted_at) SELECT 990001, order_id, 'a', 'u', now() \
         FROM clinic.lab_order WHERE patient_id = 880003 ORDER BY 2 LIMIT 1"
            .to_owned(),
    ];
    let undone = [
        format!("UPDATE clinic.problem SET patient_id = {STRANGER} WHERE problem_id = {own}"),
        format!("UPDATE clinic.problem SET patient_id = 880003 WHERE patient_id = {STRANGER}"),
        format!("{problem} (990001, {STRANGER}, 'I10', 'a', 'active') ON CONFLICT DO NOTHING"),
        format!(
            "{problem} ({own}, {STRANGER}, 'I10', 'a', 'active') ON CONFLICT (problem_id) DO UPDATE SET patient_id = excluded.patient_id"
        ),
        format!(
            "WITH o AS (INSERT INTO clinic.lab_order (order_id, patient_id, panel, ordered_by, ordered_at) VALUES (990001, {STRANGER}, 'p', 'x', now()) \
             RETURNING order_id) INSERT INTO clinic.lab_result (result_id, order_id, analyte, unit, resulted_at) \
             SELECT 990001, order_id, 'a', 'u', now() FROM o"
        ),
    ];
    for (sql, works) in done.iter().map(|s| (s, true)).chain(undone.iter().map(|s| (s, false))) {
        let [masked, expected] = [&mut shown, &mut hidden].map(|wire| {
            wire.ok("BEGIN");
            let got = wire.query(sql);
            wire.ok("ROLLBACK");
            let failure = got.failure().map(|f| f.message.split_once(' ').map(|(code, _)| code.to_owned()));
            (got.commands(), got.rows(), failure)
        });
        assert_eq!(masked, expected, "{sql}");
        assert_eq!(masked.2.is_none() && masked.0 != ["UPDATE 0"], works, "{sql}: {masked:?}");
    }
    assert_no_canary(&shown);
    let named = told(&masks, &done[0]);
    assert!(named.names("880015") && named.patients.len() == 2, "{named:?}");
}
