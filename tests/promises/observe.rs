//! A policy that is only watched: the client gets what an unrestricted role gets, and the record has the verdict that
//! enforcing gives. The oracle is the same statement through a proxy that enforces the same policy, and through one
//! whose role sees everyone. That every byte is a direct connection's is in tests/bytes.

use std::collections::BTreeSet;
use std::time::Duration;

use pgglass::ledger::read_records;
use pgglass::ledger::record::{Body, End, Intent, Observed, ObservedVerdict, PolicyEvent};

use crate::common::{Database, Postgres, Proxy, STRANGER, STRANGER_MRN, patients_of_amy, pgglass};
use crate::support::{clear, replaced, told, within};
use crate::wire::{Reply, Wire, bind, execute, parse, parse_typed, sync};

/// Nothing of it is other than as it was sent.
fn watched(mode: &str) -> impl FnOnce(String) -> String {
    move |config| format!("mode = \"{mode}\"\n{}", clear(config))
}

/// What was recorded of a statement: its record of intent, and of its end.
fn recorded(proxy: &Proxy<'_>, sql: &str) -> (Intent, End) {
    let mut found = None;
    let there = within(Duration::from_secs(5), || {
        let (mut intents, mut ended) = (std::collections::HashMap::new(), None);
        for stored in read_records(&proxy.ledger()).unwrap().flatten() {
            match stored.record.body {
                Body::Intent { statement, intent } if intent.what.sql.trim() == sql.trim() => {
                    intents.insert(statement, intent);
                }
                Body::End { statement, end } => {
                    if let Some(intent) = intents.remove(&statement) {
                        ended = Some((intent, end));
                    }
                }
                Body::Statement { intent, end, .. } if intent.what.sql.trim() == sql.trim() => {
                    ended = Some((intent, end));
                }
                _ => {}
            }
        }
        found = ended;
        found.is_some()
    });
    assert!(there, "{sql}: not recorded");
    found.unwrap()
}

fn observed(proxy: &Proxy<'_>, sql: &str) -> Observed {
    recorded(proxy, sql).1.observed.unwrap_or_else(|| panic!("{sql}: nothing observed"))
}

fn essence(reply: &Reply) -> String {
    match reply.failure() {
        Some(failure) => failure.sqlstate,
        None => {
            let mut rows = reply.rows();
            rows.sort();
            format!("{:?} {rows:?}", reply.commands())
        }
    }
}

/// Statements of a nurse: some pass, some are filtered, some refused. Each text once, so that it can be found.
const STATEMENTS: &[&str] = &[
    "SELECT 1",
    "SELECT name FROM clinic.ward ORDER BY ward_id",
    "SELECT patient_id, name FROM clinic.patient ORDER BY patient_id",
    "SELECT count(*) FROM clinic.patient",
    "SELECT sex, count(*) FROM clinic.patient GROUP BY sex ORDER BY sex",
    "SELECT patient_id FROM clinic.patient ORDER BY birth_date, patient_id LIMIT 3",
    "SELECT w.name FROM clinic.ward w WHERE NOT EXISTS (SELECT FROM clinic.encounter e WHERE e.ward_id = w.ward_id)",
    "SELECT drug_id FROM clinic.drug EXCEPT SELECT drug_id FROM clinic.medication_order ORDER BY 1",
    "SELECT name FROM clinic.patient WHERE patient_id = 880003",
    "SELECT name FROM clinic.patient WHERE patient_id = 880003 AND sex = 'nothing'",
    "SELECT analyte FROM clinic.lab_result r JOIN clinic.lab_order o USING (order_id) WHERE o.patient_id = 880003",
    "SELECT note_id FROM clinic.note WHERE patient_id = STRANGER",
    "SELECT name FROM clinic.patient WHERE mrn = 'STRANGER_MRN'",
    "SELECT birth_date FROM clinic.patient WHERE patient_id IN (880003, STRANGER)",
    "SELECT name FROM clinic.patient WHERE patient_id = -5",
    "SELECT ctid FROM clinic.patient",
    "SELECT pg_sleep(0) FROM clinic.ward",
    "SELECT * FROM glass.assigned LIMIT 1",
    "SELECT * FROM clinic.unmapped",
    "EXPLAIN SELECT * FROM clinic.patient",
    "SELECT query_to_xml('SELECT 1', true, false, '')",
    "SET row_security = off",
    "SELECT patient_id / 0 FROM clinic.patient WHERE patient_id = STRANGER",
    "COPY (SELECT patient_id FROM clinic.allergy) TO STDOUT",
    "COPY (SELECT patient_id FROM clinic.note WHERE patient_id = 880003) TO STDOUT",
    "WITH x AS (SELECT patient_id FROM clinic.note) SELECT count(*) FROM x WHERE patient_id = 880003",
    "SELECT 2; SELECT ctid FROM clinic.note",
    "SELECT EXISTS (SELECT FROM clinic.patient WHERE patient_id = STRANGER)",
    "SELECT w.ward_id, p.name FROM clinic.ward w LEFT JOIN clinic.patient p ON p.patient_id = STRANGER ORDER BY 1",
    "SELECT w.ward_id, p.name FROM clinic.ward w LEFT JOIN clinic.patient p ON p.patient_id = ANY ('{880003, STRANGER}') ORDER BY 1, 2",
    "WITH d AS (DELETE FROM clinic.ward WHERE ward_id < 0) SELECT name FROM clinic.patient WHERE patient_id = STRANGER",
    "DELETE FROM clinic.ward WHERE ward_id < 0 AND NOT EXISTS (SELECT FROM clinic.patient WHERE patient_id = STRANGER)",
];

fn statements() -> Vec<String> {
    let fill =
        |sql: &&str| sql.replace("STRANGER_MRN", STRANGER_MRN).replace("STRANGER", &STRANGER.to_string());
    STATEMENTS.iter().map(fill).collect()
}

/// The demonstration with a table that is not mapped, for everyone.
fn database(server: &Postgres) -> Database<'_> {
    let database = server.demo();
    server.psql(
        database.name(),
        "CREATE TABLE clinic.unmapped (a int); INSERT INTO clinic.unmapped VALUES (7);
         GRANT SELECT ON clinic.unmapped, glass.assigned TO PUBLIC; GRANT DELETE ON clinic.ward TO PUBLIC; GRANT USAGE ON SCHEMA glass TO PUBLIC",
    );
    database
}

/// What a statement was sent as.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Way {
    Simple,
    Extended,
}

fn send(wire: &mut Wire, sql: &str, way: Way) -> Reply {
    match way {
        Way::Simple => wire.query(sql),
        Way::Extended => wire.extended(sql, &[]),
    }
}

#[test]
fn who_is_watched_sees_what_a_direct_connection_shows_and_the_record_what_enforcing_does() {
    let server = Postgres::shared();
    let database = database(server);
    let enforcing = Proxy::start_with(&database, clear);
    let watching = Proxy::start_with(&database, watched("observe"));
    let opening = Proxy::start_with(&database, |config| {
        replaced(
            clear(config),
            "scope = \"assigned\"\noutside = \"block\"\nbreak_glass = \"clinical\"",
            "scope = \"all\"",
        )
    });
    let amy = |proxy| Wire::through(proxy, &database, "nurse_amy");
    let mut direct = Wire::direct(&database, "nurse_amy");
    let (mut strict, mut lax, mut open) = (amy(&enforcing), amy(&watching), amy(&opening));
    let mine: BTreeSet<String> = patients_of_amy().iter().map(i64::to_string).collect();
    let mut verdicts = BTreeSet::new();
    for way in [Way::Simple, Way::Extended] {
        for sql in statements() {
            if way == Way::Extended && (sql.contains("; ") || sql.starts_with("COPY")) {
                continue;
            }
            // Each way a text of its own.
            let sql = if way == Way::Extended { format!("{sql} ") } else { sql };
            let sql = format!("{sql}/* {way:?} */");
            let (plain, told_lax) = (send(&mut direct, &sql, way), send(&mut lax, &sql, way));
            assert_eq!(essence(&plain), essence(&told_lax), "{sql}");
            assert_eq!(told_lax.notices().len(), plain.notices().len(), "{sql}");
            let told_strict = send(&mut strict, &sql, way);
            send(&mut open, &sql, way);
            // Of several statements the first stands for all: none of them would have run.
            let text = sql.split(';').next().unwrap().to_owned();
            let (intent, end) = recorded(&watching, &text);
            assert_eq!(intent.who.mode.as_deref(), Some("observe"), "{sql}");
            let observed = end.observed.unwrap_or_else(|| panic!("{sql}: nothing observed"));
            verdicts.insert(format!("{:?}", observed.verdict));
            let refused = told_strict.failure().and_then(|f| f.gls());
            match observed.verdict {
                ObservedVerdict::Refuse => assert_eq!(observed.code, refused, "{sql}: {told_strict:?}"),
                ObservedVerdict::Filter => {
                    assert_eq!(refused, None, "{sql}: {observed:?}");
                    assert!(!observed.outside.is_empty() || observed.outside_bounded, "{sql}");
                }
                ObservedVerdict::Mask => panic!("{sql}: a nurse has no masks"),
                ObservedVerdict::Pass => {
                    let same = essence(&told_strict) == essence(&told_lax);
                    assert!(same, "{sql}: {observed:?}\n{}\n{}", essence(&told_strict), essence(&told_lax));
                }
            }
            if essence(&told_strict) != essence(&told_lax) {
                assert_ne!(observed.verdict, ObservedVerdict::Pass, "{sql}");
            }
            assert!(observed.outside.iter().all(|p| !mine.contains(p)), "{sql}: {observed:?}");
            // The record names the patients touched as that of a role that sees everyone.
            let (this, other) = (told(&watching, &text), told(&opening, &text));
            assert_eq!(
                (&this.patients, this.all_patients, this.exact, this.rows),
                (&other.patients, other.all_patients, other.exact, other.rows),
                "{sql}"
            );
        }
    }
    assert_eq!(verdicts.len(), 3, "{verdicts:?}");
}

#[test]
fn patients_outside_are_those_of_the_witness_set_that_are_not_assigned() {
    let server = Postgres::shared();
    let database = database(server);
    let proxy = Proxy::start_with(&database, watched("observe"));
    let mut amy = Wire::through(&proxy, &database, "nurse_amy");
    let mine: BTreeSet<String> = patients_of_amy().iter().map(i64::to_string).collect();
    let all: BTreeSet<String> =
        amy.ok("SELECT patient_id FROM clinic.patient").firsts().into_iter().collect();
    let said = observed(&proxy, "SELECT patient_id FROM clinic.patient");
    let others: BTreeSet<String> = all.difference(&mine).cloned().collect();
    assert!(!others.is_empty());
    assert_eq!(said.outside.iter().cloned().collect::<BTreeSet<_>>(), others);
    assert!(!said.outside_bounded);

    // Rows of a cursor, fetched in parts, and of a portal.
    amy.ok("BEGIN; DECLARE c CURSOR FOR SELECT patient_id FROM clinic.patient WHERE patient_id <> 0");
    let of_cursor: BTreeSet<String> = amy.ok("FETCH 400 FROM c").firsts().into_iter().collect();
    amy.ok("COMMIT");
    let said = observed(&proxy, "FETCH 400 FROM c");
    let expected: Vec<String> = of_cursor.difference(&mine).cloned().collect();
    assert_eq!((said.verdict, said.outside), (ObservedVerdict::Filter, expected));
    let sql = "SELECT patient_id FROM clinic.patient WHERE patient_id > $1";
    amy.send(&[parse("", sql), bind("", "", &["0"]), execute("", 5), sync()].concat());
    let part: BTreeSet<String> = amy.reply().firsts().into_iter().collect();
    let expected: Vec<String> = part.difference(&mine).cloned().collect();
    assert_eq!(observed(&proxy, sql).outside, expected);

    // A result of many windows.
    let long = "SELECT n.patient_id, repeat(n.body, 50) FROM clinic.note n";
    let written: BTreeSet<String> = amy.ok(long).firsts().into_iter().collect();
    let expected: Vec<String> = written.difference(&mine).cloned().collect();
    assert_eq!(observed(&proxy, long).outside, expected);

    // One who is assigned meanwhile is inside at once.
    let lookup = format!("SELECT name FROM clinic.patient WHERE patient_id = {STRANGER}");
    amy.ok(&lookup);
    assert_eq!(observed(&proxy, &lookup).code.as_deref(), Some("GLS-201"));
    server.psql(
        database.name(),
        &format!("INSERT INTO glass.assigned (user_name, patient_id) VALUES ('nurse_amy', {STRANGER})"),
    );
    amy.ok(&lookup);
    let again = within(Duration::from_secs(5), || observed(&proxy, &lookup).verdict == ObservedVerdict::Pass);
    assert!(again, "{:?}", observed(&proxy, &lookup));
}

#[test]
fn masks_and_classes_of_a_role_that_sees_everyone() {
    let server = Postgres::shared();
    let database = database(server);
    let proxy = Proxy::start_with(&database, watched("observe"));
    let mut amy = Wire::through(&proxy, &database, "bill_eva");
    let ssn = "SELECT p.ssn FROM clinic.patient p";
    let mut direct = Wire::direct(&database, "bill_eva");
    assert_eq!(essence(&amy.ok(ssn)), essence(&direct.ok(ssn)));
    let said = observed(&proxy, ssn);
    assert_eq!((said.verdict, said.masks), (ObservedVerdict::Mask, vec!["clinic.patient.ssn".to_owned()]));
    let name = "SELECT p.name FROM clinic.patient p";
    amy.ok(name);
    assert_eq!(observed(&proxy, name).verdict, ObservedVerdict::Pass);
    for whole in
        ["SELECT p FROM clinic.patient p", "SELECT * FROM clinic.patient", "COPY clinic.patient TO STDOUT"]
    {
        amy.ok(whole);
        assert_eq!(observed(&proxy, whole).masks.len(), 3, "{whole}");
    }
    let notes = "SELECT count(*) FROM clinic.note";
    amy.ok(notes);
    assert_eq!(observed(&proxy, notes).code.as_deref(), Some("GLS-220"));
}

#[test]
fn warnings_say_what_enforcing_would_do_and_break_nothing() {
    let server = Postgres::shared();
    let database = database(server);
    let proxy = Proxy::start_with(&database, watched("warn"));
    let mut amy = Wire::through(&proxy, &database, "nurse_amy");
    let mut direct = Wire::direct(&database, "nurse_amy");
    for (sql, warning) in [
        ("SELECT 1", None),
        ("SELECT name FROM clinic.patient WHERE patient_id = 880003", None),
        ("SELECT ctid FROM clinic.patient", Some("would be refused under enforce: GLS-240 ")),
        ("SELECT pg_sleep(0) FROM clinic.ward", Some("would be refused under enforce: GLS-240 ")),
        ("SELECT * FROM clinic.unmapped", Some("would be refused under enforce: GLS-220 ")),
        ("SELECT count(*) FROM clinic.patient", Some("would be filtered under enforce: rows of ")),
        (
            "COPY (SELECT patient_id FROM clinic.allergy) TO STDOUT",
            Some("would be filtered under enforce: rows of "),
        ),
    ] {
        let told = amy.ok(sql);
        assert_eq!(essence(&direct.ok(sql)), essence(&told), "{sql}");
        let said: Vec<_> = told.notices();
        match warning {
            None => assert!(said.is_empty(), "{sql}: {said:?}"),
            Some(warning) => {
                assert_eq!(said.len(), 1, "{sql}: {said:?}");
                assert_eq!(
                    (said[0].severity.as_str(), said[0].gls().as_deref()),
                    ("WARNING", Some("GLS-250"))
                );
                assert!(said[0].message.contains(warning), "{said:?}");
                assert!(said[0].message.ends_with("; nothing was withheld"), "{said:?}");
            }
        }
    }
}

#[test]
fn a_role_can_be_watched_alone_and_a_reload_records_the_change() {
    let server = Postgres::shared();
    let database = database(server);
    let proxy = Proxy::start_with(&database, |config| {
        replaced(clear(config), "[role.nurse]\n", "[role.nurse]\nmode = \"observe\"\n")
    });
    assert!(proxy.log().contains("THE POLICY IS NOT ENFORCED"), "{}", proxy.log());
    let all = "SELECT count(*) FROM clinic.patient";
    let mut amy = Wire::through(&proxy, &database, "nurse_amy");
    let everyone = Wire::direct(&database, "nurse_amy").ok(all).value();
    assert_eq!(amy.ok(all).value(), everyone);
    let check =
        pgglass(&["check".as_ref(), "--offline".as_ref(), "--config".as_ref(), proxy.config().as_os_str()]);
    let said = String::from_utf8_lossy(&check.stdout).into_owned();
    assert!(said.starts_with("Mode: enforce; role nurse: observe\nTHE POLICY IS NOT ENFORCED"), "{said}");

    // What was made while nothing was enforced shows nobody afterwards.
    amy.ok("CREATE TEMP VIEW everyone AS SELECT * FROM clinic.patient");
    amy.ok("CREATE TEMP TABLE trap (n int4, all_names text)");
    amy.ok("CREATE FUNCTION pg_temp.spring() RETURNS trigger LANGUAGE plpgsql AS \
         'BEGIN NEW.all_names := (SELECT string_agg(name, '','') FROM clinic.patient); RETURN NEW; END'");
    amy.ok("CREATE TRIGGER t BEFORE INSERT ON trap FOR EACH ROW EXECUTE FUNCTION pg_temp.spring()");
    amy.ok("CREATE FUNCTION pg_temp.there(text) RETURNS bool LANGUAGE sql AS \
         'SELECT EXISTS (SELECT FROM clinic.patient WHERE name = $1)'");
    amy.ok("CREATE DOMAIN pg_temp.probe AS text CHECK (pg_temp.there(VALUE))");
    amy.ok("CREATE TYPE pg_temp.told AS (v text)");
    amy.ok("CREATE FUNCTION pg_temp.tell(text) RETURNS told LANGUAGE sql AS \
         'SELECT ROW(string_agg(name, '',''))::told FROM clinic.patient'");
    amy.ok("CREATE CAST (text AS told) WITH FUNCTION pg_temp.tell(text)");
    amy.ok("CREATE TEMP TABLE probes (k probe)");
    let probe = amy.ok("SELECT 'probe'::regtype::oid").value().parse().unwrap();
    amy.ok("PREPARE of_probe (probe) AS SELECT $1");
    amy.send(&[parse_typed("p", "SELECT $1", &[probe]), sync()].concat());
    assert_eq!(amy.reply().failure(), None);
    amy.ok("PREPARE of_everyone AS SELECT count(*) FROM everyone");
    assert_eq!(amy.ok("SELECT count(*) FROM everyone").value(), everyone);
    assert_eq!(amy.ok("EXECUTE of_everyone").value(), everyone);
    amy.send(&[parse("s", "SELECT count(*) FROM everyone"), sync()].concat());
    assert_eq!(amy.reply().failure(), None);

    assert!(proxy.reload_with(|config| config.replace("mode = \"observe\"\n", "")));
    assert_eq!(amy.ok(all).value(), patients_of_amy().len().to_string());
    for sql in [
        "SELECT count(*) FROM everyone",
        "SELECT count(*) FROM pg_temp.everyone",
        "EXECUTE of_everyone",
        "WITH x AS (SELECT name FROM everyone) SELECT * FROM x, clinic.ward",
        "SELECT count(*) FROM clinic.patient p JOIN everyone e ON e.patient_id <> p.patient_id",
        "COPY (SELECT name FROM everyone) TO STDOUT",
        "DECLARE c CURSOR FOR SELECT * FROM everyone",
        "INSERT INTO trap VALUES (1) RETURNING all_names",
        "COPY trap TO STDOUT",
        "SELECT 'x'::probe",
        "SELECT 'x'::pg_temp.probe",
        "SELECT '{x}'::probe[], '{x}'::_probe",
        "SELECT probe('x')",
        "SELECT 'x'::text::told",
        "INSERT INTO probes VALUES ('x')",
        "EXECUTE of_probe('x')",
    ] {
        assert_eq!(amy.query(sql).refusal().sqlstate, "42501", "{sql}");
    }
    for prepared in [bind("", "s", &[]), bind("", "p", &["x"])] {
        amy.send(&[prepared, execute("", 0), sync()].concat());
        assert_eq!(amy.reply().refusal().sqlstate, "42501");
    }
    amy.send(
        &[parse_typed("", "SELECT $1", &[probe]), bind("", "", &["x"]), execute("", 0), sync()].concat(),
    );
    assert_eq!(amy.reply().refusal().sqlstate, "42501");
    amy.ok("CREATE TEMP TABLE own (n int4)");
    assert_eq!(amy.ok("SELECT NULL::own IS NULL").value(), "t");
    assert_eq!(amy.ok("INSERT INTO own VALUES (7) RETURNING n").value(), "7");
    let mut changes = Vec::new();
    for stored in read_records(&proxy.ledger()).unwrap().flatten() {
        if let Body::Policy { event, mode, mode_before, .. } = stored.record.body {
            changes.push((event, mode.unwrap(), mode_before));
        }
    }
    assert_eq!(
        changes,
        [
            (PolicyEvent::Load, "enforce; role nurse: observe".to_owned(), None),
            (PolicyEvent::Reload, "enforce".to_owned(), Some("enforce; role nurse: observe".to_owned())),
        ]
    );
}

#[test]
fn the_report_counts_what_would_have_been_refused_or_filtered_without_anyones_values() {
    let server = Postgres::shared();
    let database = database(server);
    let proxy = Proxy::start_with(&database, watched("observe"));
    let mut amy = Wire::through(&proxy, &database, "nurse_amy");
    for patient in [STRANGER, 880_003, STRANGER] {
        amy.ok(&format!(
            "SELECT n.body FROM clinic.note n WHERE n.patient_id = {patient} AND kind <> 'secret word'"
        ));
    }
    amy.ok("SELECT ctid FROM clinic.patient");
    amy.ok("SELECT count(*) FROM clinic.patient");
    let ledger = proxy.ledger();
    let args = ["report".as_ref(), "observed".as_ref(), "--directory".as_ref(), ledger.as_os_str()];
    let output = |format: &str| {
        let output = pgglass(&[&args[..], &["--format".as_ref(), format.as_ref()]].concat());
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let mut text = String::new();
    assert!(
        within(Duration::from_secs(5), || {
            text = output("text");
            text.contains("5 statements were watched: 3 would be refused, 1 filtered, 0 masked")
        }),
        "{text}"
    );
    assert!(!text.contains("secret word") && !text.contains(&STRANGER.to_string()), "{text}");
    let lines: Vec<serde_json::Value> =
        output("json").lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let of = |verdict: &str, code: &str| {
        let mut found = lines.iter().filter(|l| l["verdict"] == verdict && l["code"] == code);
        let line = found.next().unwrap_or_else(|| panic!("no {verdict} {code} in {lines:?}")).clone();
        assert!(found.next().is_none(), "{lines:?}");
        line
    };
    let blocked = of("refuse", "GLS-201");
    assert_eq!((&blocked["count"], &blocked["patients"]), (&2.into(), &1.into()));
    assert_eq!(blocked["principal"], "nurse_amy");
    assert_eq!(of("refuse", "GLS-240")["count"], 1);
    assert!(of("filter", "")["patients"].as_u64().unwrap() > 100);
    assert_eq!(output("csv").lines().count(), 1 + lines.len());
}

#[test]
fn glass_is_broken_as_before_and_counts_in_what_would_be() {
    let server = Postgres::shared();
    let database = database(server);
    let proxy = Proxy::start_with(&database, watched("observe"));
    let mut amy = Wire::through(&proxy, &database, "nurse_amy");
    let lookup = format!("SELECT n.note_id FROM clinic.note n WHERE n.patient_id = {STRANGER}");
    amy.ok(&lookup);
    assert_eq!(observed(&proxy, &lookup).code.as_deref(), Some("GLS-201"));
    amy.ok(&format!("SELECT glass.open('{STRANGER}', 'BTG', 'found unconscious in the ward')"));
    amy.ok(&lookup);
    let passes =
        within(Duration::from_secs(5), || observed(&proxy, &lookup).verdict == ObservedVerdict::Pass);
    assert!(passes, "{:?}", observed(&proxy, &lookup));
    assert_eq!(recorded(&proxy, &lookup).0.glass_sessions.len(), 1);
}

#[test]
fn what_cannot_be_recorded_does_not_run() {
    let server = Postgres::shared();
    let database = database(server);
    let proxy = Proxy::start_with(&database, watched("observe"));
    // Without a role in the policy there is no login, watched or not.
    server.psql(
        database.name(),
        "DROP ROLE IF EXISTS nobody_ned; CREATE ROLE nobody_ned LOGIN PASSWORD 'nobody_ned-demo'",
    );
    let refused = Wire::try_login(proxy.port(), database.name(), "nobody_ned", Duration::from_secs(10));
    assert!(refused.is_err());
    // Writes outside the assignment run, and are named.
    let mut amy = Wire::through(&proxy, &database, "nurse_amy");
    let insert = format!(
        "INSERT INTO clinic.note (note_id, patient_id, kind, body) VALUES (990001, {STRANGER}, 'nursing', 'x')"
    );
    let mut direct = Wire::direct(&database, "nurse_amy");
    direct.ok("BEGIN");
    let plain = direct.query(&insert);
    direct.ok("ROLLBACK");
    amy.ok("BEGIN");
    assert_eq!(essence(&amy.query(&insert)), essence(&plain));
    amy.ok("ROLLBACK");
    if plain.failure().is_none() {
        let said = observed(&proxy, &insert);
        assert_eq!((said.verdict, said.code.as_deref()), (ObservedVerdict::Refuse, Some("GLS-201")));
    }
}
