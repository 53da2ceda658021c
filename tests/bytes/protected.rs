//! Protected tables: an unrestricted role gets what it gets directly; a restricted one what a database without the
//! other patients' rows says.

use crate::common::wire::{bind, bind_as, describe_portal, describe_statement, execute, parse, query, sync};
use crate::play::{Script, Step, same, script};
use crate::stage::Stage;

/// Statements whose rows come in a fixed order.
const READ: &[&str] = &[
    "SELECT * FROM clinic.patient ORDER BY patient_id",
    "SELECT p.patient_id, p.name, n.body FROM clinic.patient p JOIN clinic.note n USING (patient_id) ORDER BY n.note_id LIMIT 50",
    "SELECT name AS \"N\", birth_date, sex FROM clinic.patient WHERE name LIKE 'A%' ORDER BY 1, 2",
    "SELECT count(*) FROM clinic.lab_result",
    "SELECT count(*), min(charge), max(charge) FROM clinic.encounter",
    "SELECT sex, count(*) FROM clinic.patient GROUP BY sex ORDER BY sex",
    "SELECT DISTINCT language FROM clinic.patient ORDER BY 1",
    "SELECT e.charge, e.admitted_at FROM clinic.encounter e ORDER BY e.encounter_id LIMIT 30",
    "SELECT name FROM clinic.patient WHERE patient_id = 880003",
    "SELECT name FROM clinic.patient WHERE patient_id = -1",
    "SELECT 1 FROM clinic.patient WHERE false",
    "SELECT w.name, count(*) FROM clinic.ward w JOIN clinic.bed_assignment b USING (ward_id) GROUP BY 1 ORDER BY 1",
    "WITH x AS (SELECT patient_id, count(*) AS n FROM clinic.note GROUP BY 1) SELECT * FROM x ORDER BY 1 LIMIT 10",
    "SELECT nothing FROM clinic.patient",
    "SELECT name, nothing FROM clinic.patient WHERE sex = 'F'",
    "SELECT * FROM clinic.patient WHERE patient_id = 'x'",
    "SELECT name FROM clinic.patient ORDER BY 7",
    "SELECT name FROM clinic.patient GROUP BY sex",
    "SELECT name || 1 || FROM clinic.patient",
    "SELECT order_id FROM clinic.lab_order o, clinic.lab_result r",
    "SELECT * FROM clinic.current_medication ORDER BY medication_order_id LIMIT 20",
    "SELECT lr.* FROM clinic.lab_result lr JOIN clinic.lab_order lo USING (order_id) WHERE lo.patient_id = 880003 ORDER BY 1",
];

/// For the unrestricted role only.
const ALL: &[&str] = &[
    "SELECT p FROM clinic.patient p ORDER BY patient_id LIMIT 3",
    "SELECT 1 / (patient_id - 880010) FROM clinic.patient ORDER BY patient_id",
    "SELECT name::int FROM clinic.patient ORDER BY patient_id",
    "SELECT name, (SELECT count(*) FROM clinic.note n WHERE n.patient_id = p.patient_id) FROM clinic.patient p ORDER BY 1, 2 LIMIT 10",
    "SELECT patient_id FROM clinic.patient EXCEPT SELECT patient_id FROM clinic.allergy ORDER BY 1 LIMIT 20",
    "SELECT patient_id, rank() OVER (ORDER BY birth_date, patient_id) FROM clinic.patient ORDER BY 2 LIMIT 20",
    "SELECT upper(name) AS \"Name\", birth_date::timestamp(0), zip::varchar(3) FROM clinic.patient ORDER BY patient_id LIMIT 4",
    "SELECT patient_id FROM clinic.allergy UNION ALL SELECT patient_id FROM clinic.note ORDER BY 1 LIMIT 99",
    "COPY clinic.allergy TO STDOUT",
    "COPY (SELECT * FROM clinic.patient ORDER BY patient_id) TO STDOUT (FORMAT csv, HEADER)",
    "SELECT 1; SELECT name FROM clinic.patient WHERE patient_id = 880003; SELECT 2",
    "SELECT name FROM clinic.patient WHERE patient_id = 880003; SELECT 1/0",
    "SELECT no_such(name) FROM clinic.patient",
    "BEGIN; PREPARE pp AS SELECT 1; EXECUTE pp; DEALLOCATE pp; COMMIT",
    "BEGIN",
    "UPDATE clinic.problem SET status = 'resolved' WHERE patient_id = 880003",
    "INSERT INTO clinic.problem VALUES (1, 880003, 'X', 'x', NULL, 'active') RETURNING *",
    "INSERT INTO clinic.problem VALUES (1, 880003, 'X', 'x', NULL, 'active')",
    "SELECT 1",
    "ROLLBACK",
    "DELETE FROM clinic.patient WHERE patient_id = 880003",
    "UPDATE clinic.patient SET sex = 'Q' WHERE patient_id = 880003",
    "BEGIN; DECLARE c CURSOR FOR SELECT name FROM clinic.patient ORDER BY patient_id",
    "FETCH 3 c",
    "CLOSE c; COMMIT",
    "SELEC name FROM clinic.patient",
];

fn by_protocol() -> Vec<Script> {
    let sql =
        "SELECT patient_id, name, birth_date FROM clinic.patient WHERE patient_id >= $1 ORDER BY patient_id";
    vec![
        script(
            "a statement and its portals",
            &[
                parse("s", sql),
                describe_statement("s"),
                bind("p", "s", &["880003"]),
                describe_portal("p"),
                execute("p", 3),
                execute("p", 3),
                bind("q", "s", &["880200"]),
                execute("q", 1),
                execute("p", 0),
                execute("q", 0),
                sync(),
                execute("p", 1),
                sync(),
                bind_as("", "s", (&[1], &[Some(&[0, 0, 0, 0, 0, 13, 110, 40])]), &[1]),
                describe_portal(""),
                execute("", 2),
                sync(),
                bind_as("", "s", (&[], &[Some(b"880003")]), &[1, 0, 1]),
                describe_portal(""),
                execute("", 2),
                sync(),
            ],
        ),
        script(
            "errors",
            &[
                parse("s", sql),
                bind("", "s", &["x"]),
                execute("", 0),
                sync(),
                bind("", "s", &[]),
                sync(),
                bind("", "s", &["1", "2"]),
                sync(),
                parse("t", "SELECT nothing FROM clinic.patient WHERE patient_id = $1"),
                bind("", "t", &["1"]),
                execute("", 0),
                sync(),
                parse("s", "SELECT 1"),
                sync(),
                bind("", "s", &["880003"]),
                execute("", 1),
                sync(),
                bind_as("", "s", (&[], &[Some(b"880003")]), &[0, 0]),
                execute("", 0),
                sync(),
                parse("", "SELEC patient_id FROM clinic.patient"),
                sync(),
            ],
        ),
        script(
            "a pipeline",
            &[
                parse("s", sql),
                (0..200)
                    .flat_map(|n| [bind("", "s", &[&(880_003 + n).to_string()]), execute("", 2)].concat())
                    .collect(),
                sync(),
            ],
        ),
        script(
            "between others",
            &[
                parse("", "SELECT 1"),
                bind("", "", &[]),
                execute("", 0),
                parse("", sql),
                bind("", "", &["880250"]),
                describe_portal(""),
                execute("", 0),
                parse("", "SELECT 1/0"),
                bind("", "", &[]),
                execute("", 0),
                parse("", sql),
                sync(),
                query("SELECT 2"),
            ],
        ),
    ]
}

fn one_by_one(texts: &[&str]) -> Vec<Script> {
    let mut all = Vec::new();
    let steps = |m: Vec<u8>| [Step::Send(m), Step::Ready(1)];
    for sql in texts {
        all.push(Script {
            name: (*sql).to_owned(),
            steps: [query(sql), query(sql), query(sql)].into_iter().flat_map(steps).collect(),
        });
        let extended = [
            parse("", sql),
            describe_statement(""),
            bind("", "", &[]),
            describe_portal(""),
            execute("", 0),
            sync(),
        ]
        .concat();
        all.push(Script {
            name: format!("by protocol: {sql}"),
            steps: [extended.clone(), extended].into_iter().flat_map(steps).collect(),
        });
    }
    all
}

/// What a role that sees everyone gets as directly.
pub(crate) fn open_scripts() -> Vec<Script> {
    let mut scripts = one_by_one(READ);
    let together = ALL.iter().flat_map(|sql| [Step::Send(query(sql)), Step::Ready(1)]).collect();
    scripts.push(Script { name: "one after the other".into(), steps: together });
    scripts.extend(one_by_one(&ALL[..11]));
    scripts.extend(by_protocol());
    scripts
}

#[test]
fn protected_tables_of_an_unrestricted_role() {
    same(&Stage::of("dba_gus"), &open_scripts());
}

#[test]
fn protected_tables_of_a_restricted_role() {
    let stage = Stage::of("nurse_amy");
    let mut scripts = one_by_one(READ);
    scripts.extend(by_protocol());
    same(&stage, &scripts);
}
