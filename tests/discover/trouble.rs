//! What cannot be described, and names that could break a file.

use std::time::{Duration, Instant};

use crate::common::{Postgres, free_port};
use crate::support::{accepted, conninfo, discover, policy_of, run};

/// It ends with this status and says this.
fn fails(conninfo: &str, more: &[&str], status: i32, expected: &str) {
    let output = run(conninfo, more);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(status), "{said}");
    assert!(said.contains(expected), "{expected}: {said}");
    assert!(!said.contains("panicked") && output.stdout.is_empty(), "{said}");
    assert!(!said.contains("dba_gus-demo"), "{said}");
}

#[test]
fn what_is_no_usable_database_is_said_plainly() {
    let pg = Postgres::shared();
    let empty = pg.database_with("CREATE SCHEMA nothing");
    let there = conninfo(&empty);
    fails(&there, &[], 1, "there is no table in the database");
    fails(
        &there,
        &["--schema", "nothing", "--schema", "no\nwhere"],
        1,
        "there is no table in schema nothing, no\\u{a}where",
    );
    fails(&format!("host=127.0.0.1 port={} user=x", free_port()), &[], 1, "cannot be reached");
    fails("host=127.0.0.1", &[], 2, "user is missing");
    fails("host=db.example user=x sslmode=disable", &[], 2, "without TLS only this machine is connected to");
    fails(&there.replace("dba_gus", "nobody"), &[], 1, "refuses user nobody");
    fails(&format!("{} sslmode=verify-full sslrootcert=/nowhere/ca.crt", there), &[], 1, "/nowhere/ca.crt");
    fails(&there, &["--password-file", "/nowhere/secret"], 1, "/nowhere/secret");
    let plain = pg.database_with("CREATE TABLE public.thing (thing_id int PRIMARY KEY, label text)");
    let there = conninfo(&plain);
    fails(&there, &[], 1, "no table looks like one of patients; name it: --patient-table");
    fails(&there, &["--patient-table", "public.things"], 1, "there is no table public.things");
    fails(
        &there,
        &["--patient-table", "public.thing", "--patient-key", "no"],
        1,
        "public.thing has no column no",
    );
    fails(&there, &["--patient-table", "a.b.c"], 2, "is no name");
    // Named, it is taken, with or without its schema.
    for name in ["public.thing", "thing"] {
        let text = discover(&plain, &["--patient-table", name]);
        assert!(
            text.contains("One row of public.thing.thing_id is one patient. Why: named on the command line"),
            "{text}"
        );
    }
}

#[test]
fn a_key_of_a_type_that_is_not_supported_is_said() {
    let sql = "CREATE TABLE public.patient (patient_id numeric PRIMARY KEY, mrn text UNIQUE)";
    let database = Postgres::shared().database_with(sql);
    fails(
        &conninfo(&database),
        &[],
        1,
        "public.patient.patient_id is of type numeric; a patient key is int4",
    );
    assert!(discover(&database, &["--patient-key", "mrn"]).contains("One row of public.patient.mrn"));
}

#[test]
fn a_file_that_is_there_is_not_written_over() {
    let database = Postgres::shared().demo();
    let folder = tempfile::tempdir().expect("tempdir");
    let file = folder.path().join("pgglass.toml").display().to_string();
    let output = run(&conninfo(&database), &["--out", &file]);
    assert!(
        output.status.success() && output.stdout.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = std::fs::read_to_string(&file).expect("written");
    accepted(&text);
    fails(&conninfo(&database), &["--out", &file], 1, "remove it, or name another with --out");
    assert_eq!(std::fs::read_to_string(&file).expect("still there"), text);
    // The same catalog gives the same text.
    assert_eq!(discover(&database, &[]), text);
}

#[test]
fn names_that_need_quotes_are_quoted() {
    let sql = r#"
        CREATE SCHEMA "Kli.nik ""A""";
        CREATE TABLE "Kli.nik ""A"""."patient" ("patient_id" int PRIMARY KEY, "na'me" text);
        CREATE TABLE "Kli.nik ""A"""."Bes""uch. 1
zweite" ("patient_id" int REFERENCES "Kli.nik ""A"""."patient", "x" text);
        CREATE TABLE "Kli.nik ""A"""."Größe ☃" ("größe_id" int PRIMARY KEY, "patient_id" int NOT NULL);
        CREATE TABLE "Kli.nik ""A"""."deep # = [x]" ("größe_id" int);
        CREATE TABLE "Kli.nik ""A"""."__glass_mine" ("patient_id" int);
        CREATE TABLE "Kli.nik ""A"""." " ("patient_id" int);
        CREATE TABLE "Kli.nik ""A"""."code\list" ("code" text PRIMARY KEY);
        GRANT USAGE ON SCHEMA "Kli.nik ""A""" TO PUBLIC;
        GRANT SELECT ON "Kli.nik ""A"""."patient" TO nurse;
    "#;
    let database = Postgres::shared().database_with(sql);
    let text = discover(&database, &[]);
    let config = policy_of(&text);
    let names: Vec<&str> = config.policy.tables.iter().map(|t| t.name.name.as_str()).collect();
    assert!(names.contains(&"Bes\"uch. 1\nzweite"), "{names:?}");
    assert!(names.contains(&"Größe ☃") && names.contains(&"deep # = [x]"), "{names:?}");
    assert!(!names.contains(&"__glass_mine"), "reserved names cannot be configured");
    assert!(config.policy.reference.iter().any(|n| n.name == "code\\list"), "{text}");
    assert!(config.policy.tables.iter().all(|t| t.name.schema == "Kli.nik \"A\""));
    // As SCHEMA.TABLE on the command line, quoted as in the file.
    discover(&database, &["--patient-table", r#""Kli.nik ""A""".patient"#, "--schema", r#"Kli.nik "A""#]);
}

#[test]
fn a_key_of_another_integer_type_is_reached_over_a_step() {
    let sql = "CREATE TABLE public.patient (patient_id int8 PRIMARY KEY);
               CREATE TABLE public.visit (visit_id int PRIMARY KEY, patient_id int4 REFERENCES public.patient);
               CREATE TABLE public.history_of_codes (patient_id text)";
    let database = Postgres::shared().database_with(sql);
    let text = discover(&database, &[]);
    assert!(
        text.contains(
            r#"via = [{ column = "patient_id", table = "public.patient", references = "patient_id" }]"#
        ),
        "{text}"
    );
    assert!(text.contains("# public.history_of_codes: patient_id speaks of a patient"), "{text}");
}

#[test]
fn counting_says_how_many_keys_are_found_and_no_value() {
    let sql = "CREATE TABLE public.patient (patient_id int PRIMARY KEY, birth_date date);
               CREATE TABLE public.visit (visit_id int PRIMARY KEY, patient_id int);
               CREATE TABLE public.order_line (visit_id int);
               INSERT INTO public.patient SELECT g FROM generate_series(770001, 770100) g;
               INSERT INTO public.visit SELECT g, g + 770000 FROM generate_series(1, 110) g;
               GRANT SELECT ON ALL TABLES IN SCHEMA public TO dba; REVOKE SELECT ON public.order_line FROM dba;";
    let database = Postgres::shared().database_with(sql);
    let text = discover(&database, &["--sample"]);
    assert!(
        text.contains("patient_id: 100 of 110 values looked at are in public.patient.patient_id; LOOK"),
        "{text}"
    );
    assert!(text.contains("visit_id: not counted (no rights"), "{text}");
    assert!(!text.contains("7700") && !text.contains("7701"), "no value is printed: {text}");
    let without = discover(&database, &[]);
    assert!(
        !without.contains("values looked at") && without.contains("no row of a table was read"),
        "{without}"
    );
}

#[test]
fn views_and_partitions_are_seen_for_what_they_are() {
    let sql = "CREATE TABLE public.patient (patient_id int PRIMARY KEY, name text);
               CREATE TABLE public.lab (patient_id int, at date) PARTITION BY RANGE (at);
               CREATE TABLE public.lab_2026 PARTITION OF public.lab FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
               CREATE TABLE public.unit_code (unit_id int PRIMARY KEY);
               CREATE VIEW public.shown AS SELECT patient_id, name FROM public.patient;
               CREATE VIEW public.hidden AS SELECT name FROM public.patient;
               CREATE VIEW public.units AS SELECT unit_id FROM public.unit_code;
               CREATE MATERIALIZED VIEW public.stale AS SELECT patient_id FROM public.lab";
    let database = Postgres::shared().database_with(sql);
    let text = discover(&database, &[]);
    let config = policy_of(&text);
    let names: Vec<&str> = config.policy.tables.iter().map(|t| t.name.name.as_str()).collect();
    assert!(names.contains(&"shown") && names.contains(&"stale") && names.contains(&"lab"), "{names:?}");
    assert!(!names.contains(&"lab_2026"), "partitions follow their table: {names:?}");
    assert!(
        text.contains("# public.hidden: a view that reads public.patient and does not show the patient key"),
        "{text}"
    );
    assert!(config.policy.reference.iter().any(|n| n.name == "units"), "{text}");
}

#[test]
fn five_thousand_tables_take_seconds() {
    let sql = "CREATE TABLE public.patient (patient_id int PRIMARY KEY, birth_date date);
               DO $$ BEGIN FOR i IN 1..5000 LOOP
                   EXECUTE format('CREATE TABLE public.t%s_event (t%s_event_id int PRIMARY KEY, patient_id int, '
                                  't%s_event_ref int, note text, a int, b int, c int)', i, i, i);
               END LOOP; END $$;";
    let database = Postgres::shared().database_with(sql);
    let start = Instant::now();
    let text = discover(&database, &[]);
    println!("5,000 tables: {:?}", start.elapsed());
    assert!(start.elapsed() < Duration::from_secs(180), "{:?}", start.elapsed());
    assert_eq!(policy_of(&text).policy.tables.len(), 5001);
}
