//! P2 to P4 for COPY: the data a restricted user gets is what a database without the other patients'
//! rows gives directly, in every format; every patient who matters is in the record before the data
//! leaves; and what a user sends is written for her own patients only.

use std::time::Duration;

use crate::common::{Postgres, Proxy, STRANGER, patients_of_amy};
use crate::p2_enforcement::{assert_no_canary, databases};
use crate::support::{deletion, hide, leave_amys, replaced, told};
use crate::wire::{
    Reply, Wire, bind, describe_portal, describe_statement, execute, frame, parse, query, sync,
};

/// What the lineage strategies make of it differs: pinned, carried, bound, with NULLs, without columns.
const QUERIES: &[&str] = &[
    "(SELECT * FROM clinic.patient ORDER BY patient_id)",
    "(SELECT name, birth_date FROM clinic.patient WHERE patient_id = 880003)",
    "(SELECT name FROM clinic.patient WHERE patient_id = 880001)",
    "(SELECT note_id, author, body FROM clinic.note ORDER BY note_id)",
    "(SELECT count(*) FROM clinic.patient)",
    "(SELECT count(*) FROM clinic.patient WHERE patient_id = 880001)",
    "(SELECT sex, count(*), NULL FROM clinic.patient GROUP BY sex ORDER BY sex)",
    "(SELECT icd10 FROM clinic.problem GROUP BY icd10 HAVING count(*) < 4 ORDER BY icd10)",
    "(SELECT patient_id, 1 AS x FROM clinic.patient ORDER BY birth_date, patient_id OFFSET 100)",
    "(SELECT r.* FROM clinic.lab_result r JOIN clinic.lab_order o USING (order_id) ORDER BY r.result_id LIMIT 50)",
    "(SELECT w.name, b.patient_id FROM clinic.ward w LEFT JOIN clinic.bed_assignment b USING (ward_id) ORDER BY 1, 2)",
    "(SELECT E'a\\tb\\\\c\"d,e\\n\\r', '\\.', '\\N', '', NULL, patient_id FROM clinic.patient ORDER BY patient_id LIMIT 2)",
    "(SELECT '\\.' FROM clinic.patient WHERE patient_id = 880003)",
    "(SELECT FROM clinic.patient)",
    "(VALUES ((SELECT max(patient_id) FROM clinic.patient)))",
    "(WITH x AS (SELECT patient_id FROM clinic.allergy) SELECT DISTINCT patient_id FROM x ORDER BY 1) -- )",
];

const OPTIONS: &[&str] = &[
    "",
    "(DELIMITER '|', NULL '')",
    "(HEADER)",
    "(FORMAT csv)",
    "WITH CSV HEADER",
    "(FORMAT csv, HEADER, FORCE_QUOTE *, DELIMITER ';', QUOTE '''', ESCAPE '\\', NULL 'none')",
    "(FORMAT binary)",
];

/// What a client sees of a COPY: everything but how the data is cut into messages.
fn essence(reply: &Reply) -> String {
    let mut data = Vec::new();
    let mut rest = Vec::new();
    for message in &reply.messages {
        match message.tag {
            b'd' => data.extend_from_slice(&message.body),
            // The words are ours or the server's; the class of the error is the same.
            b'E' => rest.push(format!("E {}", reply.failure().map(|f| f.sqlstate).unwrap_or_default())),
            tag => rest.push(format!("{} {:?}", char::from(tag), message.body)),
        }
    }
    format!("{rest:?} {:?}", String::from_utf8_lossy(&data))
}

/// The same for a COPY of a table, whose order nobody promised: its signs in order.
fn unordered(text: &str) -> String {
    let mut signs: Vec<char> = text.chars().collect();
    signs.sort_unstable();
    signs.into_iter().collect()
}

fn extended(wire: &mut Wire, sql: &str) -> Reply {
    let messages = [
        parse("s", sql),
        describe_statement("s"),
        bind("p", "s", &[]),
        describe_portal("p"),
        execute("p", 0),
        sync(),
    ];
    wire.send(&messages.concat());
    let reply = wire.reply();
    // Behind an error it would be skipped.
    wire.send(&[frame(b'C', b"Ss\0"), sync()].concat());
    wire.reply();
    reply
}

#[test]
fn copies_in_every_format_are_those_of_a_database_without_the_others() {
    let (whole, hers) = databases("");
    let proxy = Proxy::start_with(&whole, hide);
    let mut direct = Wire::direct(&hers, "nurse_amy");
    let mut through = Wire::through(&proxy, &whole, "nurse_amy");
    let mut gus = [Wire::direct(&whole, "dba_gus"), Wire::through(&proxy, &whole, "dba_gus")];
    let mut wrong = Vec::new();
    let tables = ["clinic.allergy", "clinic.patient (name, patient_id)", "clinic.lab_result", "clinic.ward"];
    let tables = tables.map(|t| format!("COPY {t} TO STDOUT"));
    let queries = QUERIES.iter().map(|q| format!("COPY {q}\nTO STDOUT"));
    for copy in queries.chain(tables) {
        for options in OPTIONS {
            let sql = format!("{copy} {options}");
            let pairs = [
                (direct.query(&sql), through.query(&sql)),
                (extended(&mut direct, &sql), extended(&mut through, &sql)),
            ];
            let [here, there] = &mut gus;
            let whole_pairs = [(here.query(&sql), there.query(&sql))];
            for (n, (expected, got)) in pairs.iter().chain(&whole_pairs).enumerate() {
                let (a, b) = (essence(expected), essence(got));
                if a != b && (sql.contains("SELECT") || n > 1 || unordered(&a) != unordered(&b)) {
                    wrong.push(format!(
                        "{n} {sql}\n  {:.300}\n  {:.300}\n  {:?}",
                        essence(expected),
                        essence(got),
                        got.failure()
                    ));
                }
            }
        }
    }
    assert_no_canary(&through);
    assert!(wrong.is_empty(), "{} differ\n{}", wrong.len(), wrong.join("\n"));
}

/// Several in one message, in transactions, beside queries.
#[test]
fn copies_among_other_statements() {
    let (whole, hers) = databases("");
    let proxy = Proxy::start_with(&whole, hide);
    let mut direct = Wire::direct(&hers, "nurse_amy");
    let mut through = Wire::through(&proxy, &whole, "nurse_amy");
    for sql in [
        "BEGIN",
        "SELECT 1; COPY (SELECT name FROM clinic.patient ORDER BY 1) TO STDOUT; COPY clinic.ward TO STDOUT; SELECT 2",
        "COPY (SELECT no_such_column FROM clinic.patient) TO STDOUT",
        "COPY clinic.allergy TO STDOUT",
        "ROLLBACK",
        "COPY (SELECT 1 / (patient_id - patient_id) FROM clinic.patient) TO STDOUT",
        "COPY (SELECT name FROM clinic.patient WHERE patient_id = $1) TO STDOUT",
        "COPY clinic.no_such_table TO STDOUT",
        "COPY clinic.current_medication TO STDOUT",
        "COPY clinic.patient (name, name) TO STDOUT",
        "SELECT count(*) FROM clinic.patient",
        "COPY (SELECT set_config('search_path', 'clinic', false)) TO STDOUT",
        "SELECT count(*) FROM patient",
        "COPY patient (patient_id) TO STDOUT",
    ] {
        let (expected, got) = (direct.query(sql), through.query(sql));
        if sql.contains('$') {
            assert!(got.failure().is_some(), "{sql}");
        } else {
            assert_eq!(essence(&expected), essence(&got), "{sql}: {:?}", got.failure());
        }
    }
    assert_no_canary(&through);
}

#[test]
fn options_that_could_hide_a_witness_are_refused_and_the_session_goes_on() {
    let (whole, _) = databases("");
    let proxy = Proxy::start_with(&whole, hide);
    let mut amy = Wire::through(&proxy, &whole, "nurse_amy");
    for options in [
        "(NULL '880003')",
        "(NULL '{')",
        "(NULL 'x\\')",
        "(ENCODING 'latin1')",
        "(DELIMITER E'\\x01')",
        "(FORMAT csv, QUOTE E'\\n')",
        "(OF_TOMORROW)",
    ] {
        let sql = format!("COPY clinic.patient TO STDOUT {options}");
        assert_eq!(amy.query(&sql).refusal().gls().as_deref(), Some("GLS-240"), "{sql}");
        assert_eq!(amy.ok("SELECT 1").value(), "1");
    }
    for sql in ["COPY clinic.patient TO PROGRAM 'cat'", "COPY clinic.patient TO '/tmp/x'"] {
        assert_eq!(amy.query(sql).refusal().sqlstate, "42501", "{sql}");
    }
}

#[test]
fn a_copy_of_anothers_patient_is_blocked_as_its_select_is() {
    let server = Postgres::shared();
    let database = server.demo();
    let proxy = crate::support::proxy(&database);
    let mut amy = Wire::through(&proxy, &database, "nurse_amy");
    for from in ["patient", "allergy"] {
        for options in ["", "(FORMAT csv, HEADER)", "(FORMAT binary)"] {
            let sql = format!(
                "COPY (SELECT * FROM clinic.{from} WHERE patient_id = {STRANGER}) TO STDOUT {options}"
            );
            let reply = amy.query(&sql);
            assert_eq!(reply.refusal().gls().as_deref(), Some("GLS-201"), "{sql}");
            assert_eq!(reply.tags(), "EZ", "{sql}: nothing before the error");
            assert_eq!(extended(&mut amy, &sql).refusal().gls().as_deref(), Some("GLS-201"), "{sql}");
        }
    }
    let mine = amy.query("COPY (SELECT patient_id FROM clinic.patient WHERE patient_id = 880003) TO STDOUT");
    assert_eq!((mine.commands(), mine.status()), (vec!["COPY 1".to_owned()], 'I'));
    // The granted patient is in a COPY prepared before, too.
    let prepared = "COPY (SELECT count(*) FROM clinic.patient) TO STDOUT";
    amy.send(&[parse("s", prepared), sync()].concat());
    amy.reply();
    amy.ok(&format!("SELECT glass.open('{STRANGER}', 'BTG', 'found on the floor of ward 3')"));
    amy.send(&[bind("", "s", &[]), execute("", 0), sync()].concat());
    let data = |reply: &Reply| -> Vec<u8> {
        reply.messages.iter().filter(|m| m.tag == b'd').flat_map(|m| m.body.clone()).collect()
    };
    assert_eq!(data(&amy.reply()), b"26\n");
    let sql = format!("COPY (SELECT patient_id FROM clinic.patient WHERE patient_id = {STRANGER}) TO STDOUT");
    assert_eq!(data(&amy.query(&sql)), format!("{STRANGER}\n").as_bytes());
}

#[test]
fn masked_columns_are_masked_in_a_copy() {
    let database = Postgres::shared().demo();
    let proxy = crate::support::proxy(&database);
    let mut eva = Wire::through(&proxy, &database, "bill_eva");
    let shown = |reply: &Reply| -> String {
        let data: Vec<u8> =
            reply.messages.iter().filter(|m| m.tag == b'd').flat_map(|m| m.body.clone()).collect();
        String::from_utf8(data).unwrap()
    };
    let rows = eva
        .ok("SELECT patient_id, ssn, phone, birth_date FROM clinic.patient WHERE patient_id = 880003")
        .rows();
    let expected: Vec<String> = rows[0].iter().map(|c| c.clone().unwrap_or_default()).collect();
    let columns = "patient_id, ssn, phone, birth_date";
    let query = eva.query(&format!(
        "COPY (SELECT {columns} FROM clinic.patient WHERE patient_id = 880003) TO STDOUT (DELIMITER '|')"
    ));
    assert_eq!(shown(&query).trim_end(), expected.join("|"));
    let table = shown(&eva.query(&format!("COPY clinic.patient ({columns}) TO STDOUT (DELIMITER '|')")));
    assert!(table.lines().any(|line| line == expected.join("|")), "{table:.200}");
    assert_eq!(eva.query("COPY clinic.note TO STDOUT").refusal().gls().as_deref(), Some("GLS-220"));
}

/// P4 by leave-one-out, as in `p4_record`.
#[test]
fn every_patient_who_matters_to_a_copy_is_in_its_record() {
    let server = Postgres::shared();
    let (whole, hers) = (server.demo(), server.demo());
    leave_amys(&hers);
    server.psql(
        hers.name(),
        "DROP ROLE IF EXISTS copy_deleter; CREATE ROLE copy_deleter LOGIN SUPERUSER PASSWORD 'copy_deleter-demo'",
    );
    let mut owner = Wire::direct(&hers, "copy_deleter");
    let proxy = Proxy::start_with(&whole, hide);
    let mut through = Wire::through(&proxy, &whole, "nurse_amy");
    let mut missing = Vec::new();
    for (n, query) in QUERIES.iter().enumerate().filter(|(_, q)| !q.contains("880001")) {
        let sql = format!("COPY {query}\nTO STDOUT {}", OPTIONS[n % OPTIONS.len()]);
        let failure = through.query(&sql).failure();
        // PostgreSQL 14 has a header in csv only.
        if failure.as_ref().is_some_and(|f| f.sqlstate == "0A000") {
            assert_eq!(owner.query(&sql).failure().map(|f| f.sqlstate).as_deref(), Some("0A000"), "{sql}");
            continue;
        }
        assert_eq!(failure, None, "{sql}");
        // The oracle asks inside a transaction, the user does not.
        let seen = |reply: &Reply| essence(reply).replace("Z [84]", "Z [73]");
        let all = seen(&owner.query(&sql));
        let record = told(&proxy, &sql);
        for patient in patients_of_amy().into_iter().step_by(3) {
            owner.ok(&format!("BEGIN; {}", deletion(&format!("patient_id = {patient}"))));
            let without = seen(&owner.query(&sql));
            owner.ok("ROLLBACK");
            if without != all && !record.names(&patient.to_string()) {
                missing.push(format!("{patient} {sql}: {record:?}"));
            }
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
    // Whole tables: exactly hers, nobody else.
    through.query("COPY clinic.patient TO STDOUT");
    let record = told(&proxy, "COPY clinic.patient TO STDOUT");
    let hers: std::collections::BTreeSet<String> = patients_of_amy().iter().map(i64::to_string).collect();
    assert_eq!((record.patients, record.exact, record.rows), (hers, Some(true), 25));
    let mut gus = Wire::through(&proxy, &whole, "dba_gus");
    gus.query("COPY clinic.allergy TO STDOUT (FORMAT csv)");
    let record = told(&proxy, "COPY clinic.allergy TO STDOUT (FORMAT csv)");
    assert!(!record.all_patients && record.exact == Some(true) && record.patients.len() > 25, "{record:?}");
}

/// A row of `clinic.problem` in each format.
fn problem(format: &str, id: i64, patient: Option<i64>) -> Vec<u8> {
    let key = patient.map(|p| p.to_string());
    match format {
        "text" => {
            format!("{id}\t{}\tX\tplanted\t\\N\tactive\n", key.as_deref().unwrap_or("\\N")).into_bytes()
        }
        "csv" => format!("{id},{},X,\"plan\"\"ted\nhere\",,active\n", key.unwrap_or_default()).into_bytes(),
        _ => {
            let mut row = 6_i16.to_be_bytes().to_vec();
            let mut put = |value: Option<&[u8]>| {
                row.extend(value.map_or(-1, |v| i32::try_from(v.len()).unwrap()).to_be_bytes());
                row.extend(value.unwrap_or_default());
            };
            put(Some(&id.to_be_bytes()));
            put(patient.map(i64::to_be_bytes).as_ref().map(|b| &b[..]));
            put(Some(b"X"));
            put(Some(b"planted"));
            put(None);
            put(Some(b"active"));
            row
        }
    }
}

/// The data of a COPY FROM in frames of this size.
fn data(format: &str, rows: &[(i64, Option<i64>)], size: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    if format == "binary" {
        bytes.extend(b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0");
    }
    rows.iter().for_each(|(id, patient)| bytes.extend(problem(format, *id, *patient)));
    if format == "binary" {
        bytes.extend((-1_i16).to_be_bytes());
    }
    bytes.chunks(size).flat_map(|chunk| frame(b'd', chunk)).collect()
}

#[test]
fn rows_are_copied_in_for_ones_own_patients_only() {
    let (whole, _) = databases("GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA clinic TO nurse");
    let proxy = Proxy::start_with(&whole, hide);
    let mut amy = Wire::through(&proxy, &whole, "nurse_amy");
    let planted = || {
        let sql = "SELECT count(*), count(*) FILTER (WHERE patient_id IN (880003, 880015)) FROM clinic.problem WHERE problem_id >= 900000";
        whole.server().psql(whole.name(), sql).trim().to_owned()
    };
    let mut id = 900_000;
    let mut written = 0;
    for format in ["text", "csv", "binary"] {
        for size in [1, 7, 100_000] {
            for in_transaction in [false, true] {
                for simple in [true, false] {
                    let sql = format!("COPY clinic.problem FROM STDIN (FORMAT {format}) /* {id} */");
                    let start = |amy: &mut Wire| {
                        if simple {
                            amy.send(&query(&sql));
                        } else {
                            // As libpq sends it: the Sync before the data is ignored.
                            amy.send(&[parse("", &sql), bind("", "", &[]), execute("", 0), sync()].concat());
                        }
                    };
                    let end = if simple { frame(b'c', b"") } else { [frame(b'c', b""), sync()].concat() };
                    for (rows, good) in [
                        (vec![(id, Some(880_003)), (id + 1, Some(880_015))], true),
                        (vec![(id + 2, Some(880_003)), (id + 3, Some(STRANGER))], false),
                        (vec![(id + 4, None)], false),
                        (vec![], true),
                    ] {
                        if in_transaction {
                            amy.ok("BEGIN");
                        }
                        start(&mut amy);
                        amy.send(&[data(format, &rows, size), end.clone()].concat());
                        let reply = amy.reply();
                        let what = format!("{sql} {size} {rows:?} {}", reply.tags());
                        let failed = if in_transaction { 'E' } else { 'I' };
                        if good {
                            assert_eq!(reply.failure(), None, "{what}");
                            assert_eq!(reply.commands(), [format!("COPY {}", rows.len())], "{what}");
                            written += rows.len();
                        } else {
                            assert_eq!(reply.refusal().gls().as_deref(), Some("GLS-201"), "{what}");
                            assert_eq!(reply.status(), failed, "{what}");
                        }
                        if in_transaction {
                            amy.query("COMMIT");
                        }
                        assert_eq!(amy.ok("SELECT 1").value(), "1");
                        assert_eq!(planted(), format!("{written}|{written}"), "{what}");
                    }
                    let record = told(&proxy, &sql);
                    assert!(
                        record.names("880003") && record.names("880015") && !record.all_patients,
                        "{record:?}"
                    );
                    assert!(record.sought.contains(&STRANGER.to_string()), "{record:?}");
                    assert_eq!(record.refused, ["GLS-201", "GLS-201"]);
                    id += 10;
                }
            }
        }
    }
}

/// A row of another's patient undoes the whole message that its COPY stands in, and what comes behind is not run.
#[test]
fn a_copy_in_among_other_statements_is_checked_as_well() {
    let (whole, _) = databases("GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA clinic TO nurse");
    let proxy = Proxy::start_with(&whole, hide);
    let copy = "COPY clinic.problem (problem_id, patient_id, icd10, title, status) FROM STDIN";
    let row = |id: i64, patient: i64| frame(b'd', format!("{id}\t{patient}\tX\tx\tactive\n").as_bytes());
    let done = || frame(b'c', b"");
    let planted = || {
        let sql = "SELECT count(*) FROM clinic.problem WHERE problem_id >= 900000";
        whole.server().psql(whole.name(), sql).trim().to_owned()
    };
    let text = format!("{copy}; {copy}; DELETE FROM clinic.problem WHERE patient_id = 880003");
    for last in [done(), frame(b'f', b"no\0"), query("SELECT 1")] {
        let mut amy = Wire::through(&proxy, &whole, "nurse_amy");
        let sent =
            [query(&text), row(900001, 880003), done(), row(900002, 880001), row(900003, 880003), last];
        amy.send(&sent.concat());
        let reply = amy.reply();
        assert_eq!(reply.failure().map(|f| f.sqlstate).as_deref(), Some("42501"), "{}", reply.tags());
        assert_eq!(reply.status(), 'I');
        assert_eq!(planted(), "0");
    }
    let mut amy = Wire::through(&proxy, &whole, "nurse_amy");
    let own = [query(&text), row(900001, 880003), done(), row(900002, 880015), done()];
    amy.send(&own.concat());
    let reply = amy.reply();
    assert_eq!((reply.failure(), reply.commands().len()), (None, 3), "{}", reply.tags());
    assert_eq!(planted(), "1", "the last statement deleted the other one");
    let told = told(&proxy, copy);
    assert!(told.names("880003") && told.names("880015") && !told.all_patients, "{told:?}");
}

/// A key that is no value of its type is told as the server tells it; one that only newer servers read is that
/// patient's.
#[test]
fn a_malformed_key_is_an_invalid_value() {
    let database = Postgres::shared().demo();
    database.server().psql(database.name(), "GRANT INSERT ON clinic.problem TO nurse");
    let proxy = crate::support::proxy(&database);
    let mut amy = Wire::through(&proxy, &database, "nurse_amy");
    for (key, sqlstate) in [
        ("7x", "22P02"),
        ("", "22P02"),
        ("880003.0", "22P02"),
        ("\\N", "42501"),
        ("0xD7252", "42501"),
        ("8_81234", "42501"),
        ("880001", "42501"),
        ("99999999999999999999", "42501"),
    ] {
        amy.send(&query("COPY clinic.problem (problem_id, patient_id, title) FROM STDIN"));
        amy.send(
            &[crate::wire::copy_data(format!("990001\t{key}\tX\n").as_bytes()), crate::wire::copy_done()]
                .concat(),
        );
        let refusal = amy.reply().refusal();
        assert_eq!(refusal.sqlstate, sqlstate, "{key:?}: {refusal:?}");
    }
    let count = "SELECT count(*) FROM clinic.problem WHERE problem_id = 990001";
    assert_eq!(database.server().psql(database.name(), count).trim(), "0");
}

/// What is NULL in the key is what the server takes for it.
#[test]
fn null_is_told_from_a_key_as_the_options_say() {
    let (whole, _) = databases("GRANT INSERT ON ALL TABLES IN SCHEMA clinic TO nurse");
    let proxy = Proxy::start_with(&whole, hide);
    let mut amy = Wire::through(&proxy, &whole, "nurse_amy");
    let columns = "clinic.problem (problem_id, patient_id, icd10, title, status)";
    // Hers is 880003, not 880001.
    for (n, options, key, taken) in [
        (1, "NULL '880003', FORCE_NOT_NULL (patient_id)", "880003", true),
        (2, "NULL '880003', FORCE_NOT_NULL (patient_id)", "\"880003\"", true),
        (3, "NULL '880003', FORCE_NULL (patient_id, title)", "\"880003\"", false),
        (4, "NULL '880001', FORCE_NOT_NULL (patient_id)", "880001", false),
        (5, "NULL '880001', FORCE_NULL (patient_id)", "880003", true),
        (6, "NULL '880001', FORCE_NULL (title), FORCE_NOT_NULL (icd10)", "880001", false),
    ] {
        let sql = format!("COPY {columns} FROM STDIN (FORMAT csv, {options})");
        let line = format!("99100{n},{key},X,planted,active\n");
        amy.send(&[query(&sql), frame(b'd', line.as_bytes()), frame(b'c', b"")].concat());
        let reply = amy.reply();
        assert_eq!(reply.commands() == ["COPY 1"], taken, "{sql} {line}: {:?}", reply.failure());
        if taken {
            assert!(told(&proxy, &sql).names("880003"), "{sql}");
        } else {
            assert_eq!(reply.refusal().sqlstate, "42501", "{sql} {line}");
        }
    }
    let rows = "SELECT problem_id, patient_id FROM clinic.problem WHERE problem_id >= 991000 ORDER BY 1";
    let rows = whole.server().psql(whole.name(), rows);
    assert_eq!(
        rows.split_whitespace().collect::<Vec<_>>(),
        ["991001|880003", "991002|880003", "991005|880003"]
    );
}

#[test]
fn what_cannot_be_checked_while_it_is_copied_in_is_refused() {
    let (whole, _) = databases(
        "GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA clinic TO nurse; GRANT ALL ON SCHEMA clinic TO nurse;
         CREATE FUNCTION clinic.other() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.patient_id := 881234; RETURN NEW; END';
         CREATE TRIGGER t BEFORE INSERT ON clinic.allergy FOR EACH ROW EXECUTE FUNCTION clinic.other()",
    );
    let proxy = Proxy::start_with(&whole, hide);
    let mut amy = Wire::through(&proxy, &whole, "nurse_amy");
    for sql in [
        "COPY clinic.lab_result FROM STDIN",
        "COPY clinic.allergy FROM STDIN",
        "COPY clinic.problem (problem_id, title) FROM STDIN",
        "COPY clinic.problem FROM STDIN (ENCODING 'latin1')",
        "COPY clinic.current_medication FROM STDIN",
        "COPY clinic.problem FROM PROGRAM 'cat'",
    ] {
        let reply = amy.query(sql);
        assert_eq!(reply.refusal().sqlstate, "42501", "{sql}");
        assert!(!reply.tags().contains('G'), "{sql}");
    }
    // The server's own errors, and a client that gives up.
    for (ending, sqlstate) in
        [(frame(b'f', b"no\0"), "57014"), ([frame(b'd', b"x\ty\n"), frame(b'c', b"")].concat(), "22P04")]
    {
        amy.send(&[query("COPY clinic.problem FROM STDIN"), ending].concat());
        let reply = amy.reply();
        assert_eq!(reply.refusal().sqlstate, sqlstate);
        assert_eq!(amy.ok("SELECT 1").value(), "1");
    }
    let mut gus = Wire::through(&proxy, &whole, "dba_gus");
    let sql = "COPY clinic.problem (problem_id, patient_id, icd10, title, status) FROM STDIN";
    let line = frame(b'd', b"990001\t881234\tX\tby the dba\tactive\n");
    gus.send(&[query(sql), line, frame(b'c', b"")].concat());
    let reply = gus.reply();
    assert_eq!((reply.failure(), reply.commands()), (None, vec!["COPY 1".to_owned()]));
    let record = told(&proxy, sql);
    assert!(record.names("881234") && !record.all_patients && record.exact == Some(true), "{record:?}");
    gus.send(&[query("COPY clinic.problem FROM STDIN"), frame(b'd', b"x\ty\n"), frame(b'c', b"")].concat());
    assert_eq!(gus.reply().refusal().sqlstate, "22P02");
    amy.until_silence(Duration::from_millis(10));
}

/// P6: an assignment that ends while rows are sent holds for the rows that follow; and a message that is
/// too long to be looked into ends the COPY, not the session.
#[test]
fn a_copy_in_follows_the_assignment_and_the_limit() {
    let (whole, _) = databases("GRANT INSERT ON ALL TABLES IN SCHEMA clinic TO nurse");
    let proxy = Proxy::start_with(&whole, hide);
    let mut amy = Wire::through(&proxy, &whole, "nurse_amy");
    let sql = "COPY clinic.problem (problem_id, patient_id, icd10, title, status) FROM STDIN";
    amy.send(&[query(sql), frame(b'd', b"995001\t880003\tX\tplanted\tactive\n")].concat());
    assert_eq!(amy.next().tag, b'G');
    whole.server().psql(whole.name(), "DELETE FROM glass.assigned WHERE patient_id = 880003");
    std::thread::sleep(Duration::from_millis(1200));
    amy.send(&[frame(b'd', b"995002\t880003\tX\tplanted\tactive\n"), frame(b'c', b"")].concat());
    assert_eq!(amy.reply().refusal().gls().as_deref(), Some("GLS-201"));
    let long = vec![b'x'; 65 * 1024 * 1024];
    amy.send(&[query(sql), frame(b'd', &long), frame(b'c', b"")].concat());
    assert_eq!(amy.reply().refusal().sqlstate, "54000");
    let count = "SELECT count(*) FROM clinic.problem WHERE problem_id >= 900000";
    assert_eq!(whole.server().psql(whole.name(), count).trim(), "0");
    assert_eq!(amy.ok("SELECT count(*) FROM clinic.patient").value(), "24");
}

/// What PostgreSQL itself does not copy is refused in its words.
#[test]
fn what_the_server_does_not_copy_is_said_in_its_words() {
    let database = Postgres::shared().demo();
    database.server().psql(
        database.name(),
        "CREATE TABLE clinic.reading (patient_id int8, at date, half int8 GENERATED ALWAYS AS (patient_id / 2) STORED) PARTITION BY RANGE (at);
         CREATE TABLE clinic.reading_26 PARTITION OF clinic.reading FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
         GRANT SELECT ON clinic.reading, clinic.reading_26 TO nurse",
    );
    let stage = |config: String| {
        let table =
            "[[table]]\nname = \"clinic.reading\"\nclass = \"labs\"\nkey = \"patient_id\"\n\n[reference]";
        replaced(hide(config), "[reference]", table)
    };
    let proxy = Proxy::start_with(&database, stage);
    let mut amy = Wire::through(&proxy, &database, "nurse_amy");
    let mut direct = Wire::direct(&database, "nurse_amy");
    for sql in [
        "COPY clinic.reading TO STDOUT",
        "COPY clinic.current_medication TO STDOUT",
        "COPY clinic.reading_26 (half) TO STDOUT",
        "COPY clinic.patient (name, sex, name) TO STDOUT",
    ] {
        let said = |wire: &mut Wire| {
            let [simple, extended] = [wire.query(sql), wire.extended(sql, &[])].map(|reply| {
                let failure = reply.failure().expect("refused");
                (failure.sqlstate, failure.message)
            });
            assert_eq!(simple, extended, "{sql}");
            simple
        };
        assert_eq!(said(&mut amy), said(&mut direct), "{sql}");
    }
}
