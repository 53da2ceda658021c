//! P3 and P4 for cursors and prepared statements of SQL: every patient who matters to what a script of
//! FETCH, MOVE and EXECUTE answers is in the records of its statements, and those are durable before
//! the rows arrive. The oracle is leave-one-out, as in p4_record.

use std::collections::BTreeSet;
use std::process::Command;

use crate::common::{Postgres, Proxy, patients_of_amy};
use crate::cursors::assert_not_ours;
use crate::support::{Told, deletion, hide, leave_amys, proxy, told, told_in};
use crate::wire::{Wire, describe_portal, execute, frame, sync};

const ORDERED: &str = "SELECT patient_id, name FROM clinic.patient ORDER BY birth_date, patient_id";
const BOUND: &str =
    "SELECT drug_id FROM clinic.drug EXCEPT SELECT drug_id FROM clinic.medication_order ORDER BY 1";
const TAIL: &str = "SELECT patient_id FROM clinic.patient ORDER BY birth_date, patient_id LIMIT 6 OFFSET 4";

/// A query, and what is done with a cursor over it.
const SCRIPTS: &[(&str, &str, &[&str])] = &[
    (ORDERED, "", &["FETCH 3 FROM c"]),
    (ORDERED, "", &["FETCH 3 FROM c", "FETCH 2 FROM c"]),
    (ORDERED, "", &["MOVE 4 FROM c", "FETCH 1 FROM c"]),
    (ORDERED, "", &["MOVE ALL FROM c"]),
    (ORDERED, "", &["FETCH ABSOLUTE 6 FROM c"]),
    (ORDERED, "SCROLL", &["FETCH ABSOLUTE 6 FROM c", "FETCH PRIOR FROM c"]),
    (ORDERED, "SCROLL", &["MOVE ABSOLUTE 6 FROM c", "FETCH NEXT FROM c"]),
    (ORDERED, "SCROLL", &["FETCH LAST FROM c", "FETCH BACKWARD 2 FROM c"]),
    (ORDERED, "SCROLL", &["FETCH ABSOLUTE -4 FROM c"]),
    (ORDERED, "SCROLL", &["FETCH c", "FETCH RELATIVE 5 FROM c", "FETCH RELATIVE -2 FROM c"]),
    (BOUND, "SCROLL", &["FETCH 2 FROM c"]),
    (BOUND, "SCROLL", &["FETCH LAST FROM c"]),
    (BOUND, "SCROLL", &["FETCH ABSOLUTE 2 FROM c", "FETCH PRIOR FROM c"]),
    (BOUND, "", &["MOVE 1 FROM c", "FETCH 2 FROM c"]),
    (BOUND, "", &["MOVE ALL FROM c"]),
    (TAIL, "", &["FETCH 1 FROM c", "FETCH 3 FROM c"]),
    (TAIL, "SCROLL", &["FETCH LAST FROM c", "FETCH FIRST FROM c"]),
    ("SELECT count(*) FROM clinic.patient WHERE sex = 'M'", "", &["FETCH c"]),
    ("SELECT name FROM clinic.patient WHERE patient_id = 880039", "", &["MOVE 1 FROM c", "FETCH c"]),
    ("SELECT 1 / (patient_id - 880027) FROM clinic.patient ORDER BY patient_id", "", &["FETCH ALL FROM c"]),
];

/// What a connection answers to a script, one transaction; `mark` makes its texts findable.
fn play(wire: &mut Wire, select: &str, options: &str, steps: &[&str], mark: &str) -> Vec<String> {
    let mut said = Vec::new();
    wire.ok("SAVEPOINT script");
    wire.ok(&format!("DECLARE c {options} CURSOR FOR {select}"));
    for step in steps {
        let reply = wire.query(&format!("{step} /* {mark} */"));
        said.push(match reply.failure() {
            Some(failure) => failure.sqlstate,
            None => format!("{:?} {:?}", reply.commands(), reply.rows()),
        });
    }
    wire.ok("ROLLBACK TO script");
    said
}

#[test]
fn every_patient_who_matters_to_what_was_fetched_or_skipped_is_recorded() {
    let server = Postgres::shared();
    let (whole, hers) = (server.demo(), server.demo());
    leave_amys(&hers);
    server.psql(
        hers.name(),
        "DROP ROLE IF EXISTS eraser; CREATE ROLE eraser LOGIN SUPERUSER PASSWORD 'eraser-demo'",
    );
    let mut owner = Wire::direct(&hers, "eraser");
    let gone = deletion("patient_id = PATIENT");
    let proxy = Proxy::start_with(&whole, hide);
    let mut amy = Wire::through(&proxy, &whole, "nurse_amy");
    amy.ok("BEGIN");
    let (mut wrong, mut mattered) = (Vec::new(), 0);
    for (n, (select, options, steps)) in SCRIPTS.iter().enumerate() {
        let mark = format!("script {n}");
        owner.ok("BEGIN");
        let full = play(&mut owner, select, options, steps, "oracle");
        let got = play(&mut amy, select, options, steps, &mark);
        if got != full {
            wrong.push(format!("{select} {steps:?}\n   {got:?}\n   instead of {full:?}"));
        }
        let mut influence = BTreeSet::new();
        for patient in patients_of_amy() {
            owner.ok("SAVEPOINT one");
            owner.ok(&gone.replace("PATIENT", &patient.to_string()));
            if play(&mut owner, select, options, steps, "oracle") != full {
                influence.insert(patient.to_string());
            }
            owner.ok("ROLLBACK TO one");
        }
        owner.ok("ROLLBACK");
        mattered += influence.len();
        let records: Vec<Told> =
            steps.iter().map(|step| told(&proxy, &format!("{step} /* {mark} */"))).collect();
        assert!(records.iter().all(|r| r.times == 1), "{mark}: {records:?}");
        let missing: Vec<_> = influence.iter().filter(|p| !records.iter().any(|r| r.names(p))).collect();
        if !missing.is_empty() {
            wrong.push(format!("{options} {select} {steps:?}\n   not named: {missing:?} in {records:?}"));
        }
        let hers: BTreeSet<String> = patients_of_amy().iter().map(ToString::to_string).collect();
        if records.iter().any(|r| !r.patients.is_subset(&hers)) {
            wrong.push(format!("{select} {steps:?}\n   names patients who are not hers"));
        }
    }
    assert_not_ours(&amy);
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), SCRIPTS.len(), wrong.join("\n"));
    assert!(mattered > 100, "only {mattered}: the oracle finds nothing");
}

#[test]
fn what_was_fetched_or_executed_is_in_the_ledger_when_it_arrives() {
    for (how, statement) in [
        ("cursor", "FETCH 3 FROM c /* last */"),
        ("prepared", "EXECUTE p(3) /* last */"),
        ("skipped", "MOVE 3 FROM c /* last */"),
    ] {
        let database = Postgres::shared().demo();
        let mut proxy = proxy(&database);
        let mut amy = Wire::through(&proxy, &database, "nurse_amy");
        amy.ok("BEGIN");
        amy.ok("DECLARE c CURSOR FOR SELECT patient_id FROM clinic.patient ORDER BY 1");
        amy.ok("PREPARE p(int8) AS SELECT patient_id FROM clinic.patient ORDER BY 1 LIMIT $1");
        assert_eq!(amy.ok(statement).failure(), None);
        let pid = proxy.pid().unwrap().to_string();
        assert!(Command::new("kill").args(["-KILL", &pid]).status().unwrap().success());
        proxy.kill();
        let told = told_in(&proxy.ledger(), statement);
        let first: BTreeSet<String> = patients_of_amy().iter().take(3).map(ToString::to_string).collect();
        assert!(told.patients.is_superset(&first), "{how}: {told:?}");
    }
}

/// A role that sees everyone gets its patients told one by one as well.
#[test]
fn unrestricted_cursors_and_prepared_statements_name_their_patients() {
    let database = Postgres::shared().demo();
    let proxy = proxy(&database);
    let mut gus = Wire::through(&proxy, &database, "dba_gus");
    gus.ok("BEGIN");
    gus.ok("DECLARE c SCROLL CURSOR FOR SELECT patient_id, name FROM clinic.patient ORDER BY patient_id");
    let rows = gus.ok("FETCH 2 FROM c /* gus */").firsts();
    gus.ok("MOVE 2 FROM c /* gus */");
    gus.ok("FETCH ABSOLUTE 400 FROM c /* gus */");
    gus.ok("COMMIT");
    gus.ok("PREPARE p(int8) AS SELECT name FROM clinic.patient WHERE patient_id = $1");
    gus.ok("EXECUTE p(880777) /* gus */");
    gus.ok("EXECUTE p(880770 + 7) /* gus */");
    let fetched = told(&proxy, "FETCH 2 FROM c /* gus */");
    assert_eq!((fetched.patients.into_iter().collect::<Vec<_>>(), fetched.all_patients), (rows, false));
    assert_eq!(told(&proxy, "MOVE 2 FROM c /* gus */").patients.len(), 2);
    assert!(told(&proxy, "FETCH ABSOLUTE 400 FROM c /* gus */").all_patients, "399 rows were skipped unseen");
    for sql in ["EXECUTE p(880777) /* gus */", "EXECUTE p(880770 + 7) /* gus */"] {
        let told = told(&proxy, sql);
        assert_eq!((told.patients.len(), told.all_patients, told.exact), (1, false, Some(true)), "{sql}");
        assert!(told.names("880777"));
    }
    assert_not_ours(&gus);
}

/// A cursor over what a role that sees everyone may read untold (a view without an entry, a function): described and
/// executed as a portal, as psycopg does with every cursor of the server's, it is recorded as a FETCH is.
#[test]
fn an_untold_cursor_is_described_and_read_by_its_name_as_a_portal() {
    let database = Postgres::shared().demo();
    database.server().psql(
        database.name(),
        "CREATE VIEW clinic.v_names AS SELECT patient_id, name FROM clinic.patient; GRANT SELECT ON clinic.v_names TO PUBLIC;
         CREATE FUNCTION clinic.twice(int8) RETURNS int8 LANGUAGE plpgsql AS 'BEGIN RETURN 2 * $1; END'",
    );
    let proxy = proxy(&database);
    let mut direct = Wire::direct(&database, "dba_gus");
    let mut gus = Wire::through(&proxy, &database, "dba_gus");
    for (n, select) in [
        "SELECT * FROM clinic.v_names ORDER BY 1",
        "SELECT clinic.twice(patient_id) FROM clinic.patient ORDER BY 1",
        "SELECT clinic.twice(ward_id) FROM clinic.ward ORDER BY 1",
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("untold{n}");
        let answers = [&mut direct, &mut gus].map(|wire| {
            wire.ok("BEGIN");
            wire.ok(&format!("DECLARE {name} CURSOR FOR {select}"));
            wire.send(&[describe_portal(&name), sync()].concat());
            let described = wire.reply();
            let fetched = wire.query(&format!("FETCH 2 FROM {name}"));
            wire.send(&[describe_portal(&name), execute(&name, 2), execute(&name, 0), sync()].concat());
            let executed = wire.reply();
            wire.send(&[frame(b'C', format!("P{name}\0").as_bytes()), sync()].concat());
            let closed = wire.reply();
            wire.send(&[describe_portal(&name), sync()].concat());
            let gone = wire.reply().failure().map(|f| f.sqlstate);
            wire.ok("ROLLBACK");
            ([described, fetched, executed, closed], gone)
        });
        for (n, (expected, got)) in answers[0].0.iter().zip(&answers[1].0).enumerate() {
            assert_eq!(expected.failure(), None, "{select}: answer {n}");
            assert_eq!(expected, got, "{select}: answer {n}");
        }
        assert_eq!(answers[0].1, answers[1].1, "{select}");
        let told = told(&proxy, &format!("(cursor {name})"));
        assert_eq!((told.times, told.all_patients), (2, true), "{select}: {told:?}");
    }
    assert_not_ours(&gus);
}

/// The end of a transaction runs a cursor WITH HOLD to its end: an error there is about its rows.
#[test]
fn an_error_of_a_held_cursor_at_commit_is_recorded_and_quotes_nothing() {
    let database = Postgres::shared().demo();
    let proxy = proxy(&database);
    let mut amy = Wire::through(&proxy, &database, "nurse_amy");
    let cast = "DECLARE h CURSOR WITH HOLD FOR SELECT name::int FROM clinic.patient";
    amy.ok("BEGIN");
    amy.ok(cast);
    let failure = amy.query("COMMIT /* held */").refusal();
    assert_eq!(failure.sqlstate, "22P02");
    assert!(!failure.message.contains('"'), "{failure:?}");
    let ended = told(&proxy, "COMMIT /* held */");
    assert!(patients_of_amy().iter().all(|p| ended.names(&p.to_string())), "{ended:?}");
    // Without a transaction of its own it is the Sync that fails.
    let failure = amy.query(cast).refusal();
    assert!(failure.sqlstate == "22P02" && !failure.message.contains('"'), "{failure:?}");
    let ended = told(&proxy, "(end of a transaction with cursors WITH HOLD)");
    assert!(patients_of_amy().iter().all(|p| ended.names(&p.to_string())), "{ended:?}");
}
