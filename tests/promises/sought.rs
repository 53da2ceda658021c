//! P4: whom a statement asks for stands in the record, and is refused to who may not see them (GLS-201), in whatever
//! form the lookup is written, by a person, a driver or a mapper of objects. What is asked for only is no part of the
//! lineage: that is what the rows say.

use crate::common::{Database, Postgres, Proxy, STRANGER, patients_of_amy};
use crate::support::{clear, replaced, told};
use crate::wire::{Reply, Wire, bind_as, describe_portal, execute, parse_typed, sync};

/// Identifiers of other types, and one of which there is no index.
fn database() -> Database<'static> {
    let database = Postgres::shared().demo();
    let sql = "ALTER TABLE clinic.patient ADD num numeric, ADD dbl float8, ADD short varchar(10), ADD fixed char(10);
        ALTER TABLE clinic.patient DISABLE TRIGGER USER;
        UPDATE clinic.patient SET num = patient_id + 0.5, dbl = patient_id + 0.5, short = 'S' || patient_id, fixed = 'F' || patient_id;
        GRANT SELECT (patient_id, mrn, num, dbl, short, fixed) ON clinic.patient TO pgglass";
    database.server().psql(database.name(), sql);
    database
}

fn serve<'a>(database: &Database<'a>) -> Proxy<'a> {
    let more = ["mrn", "num", "dbl", "short", "fixed"].map(|c| format!("\"clinic.patient.{c}\"")).join(", ");
    Proxy::start_with(database, |config| {
        replaced(clear(config), "identifiers = [\"clinic.patient.mrn\"]", &format!("identifiers = [{more}]"))
    })
}

/// Conditions that hold for one patient only: `K` is the key, `N` its last four digits.
const FORMS: &[&str] = &[
    "patient_id = E'K'",
    "patient_id = $$K$$",
    "patient_id = U&'K'",
    "patient_id = '0K'",
    "patient_id = ' +K '",
    "patient_id = int8 'K'",
    "patient_id = bigint 'K'",
    "patient_id = 'K'::unknown",
    "patient_id = +K",
    "patient_id = -(-K)",
    "patient_id = K.0",
    "patient_id = K0e-1",
    "patient_id = K::numeric",
    "patient_id = 'K.0'::numeric(10,2)",
    "patient_id = K::int4",
    "patient_id = CAST(K AS int8)",
    "patient_id = K::text::int8",
    "patient_id = K::float8",
    "K = patient_id",
    "(patient_id = K) IS TRUE",
    "patient_id::text = 'K'",
    "patient_id::numeric = K",
    "patient_id = ANY ('{K}')",
    "patient_id = SOME ('{NULL, K}')",
    "patient_id = ANY (ARRAY[K])",
    "patient_id = ANY (ARRAY['K', '7']::int8[])",
    "patient_id = ANY ('{K}'::int8[])",
    "patient_id = ANY ('[2:2]={K}'::bigint[])",
    "patient_id IS NOT DISTINCT FROM K",
    "(patient_id, 1) = (K, 1)",
    "(1, patient_id) IN ((1, K), (1, 7))",
    "patient_id BETWEEN K AND K",
    "patient_id IN (K::int4, E'K', 7)",
    "mrn = E'MRN\\x30\\x30\\x30N'",
    "mrn = U&'MRN\\0030\\0030\\0030N'",
    "mrn = ANY ('{MRN000N}')",
    "mrn = ANY (ARRAY['MRN000N', 'x'])",
    "mrn = 'MRN000N'::varchar(10)",
    "mrn = 'MRN000Nxyz'::varchar(10)",
    "mrn COLLATE \"C\" = 'MRN000N'",
    "mrn = 'MRN000N' COLLATE \"C\"",
    "mrn = 'MRN000N'::bpchar",
    "mrn IN (E'MRN000N')",
    "mrn IS NOT DISTINCT FROM 'MRN000N'",
    "short = 'SK'::varchar(30)",
    "short = 'SK'::text",
    "fixed = 'FK'",
    "fixed = 'FK   '",
    "num = K.5",
    "num = ANY ('{K.5}')",
    "dbl = K.5",
    "dbl = 'K.5'::float8",
];

fn forms(key: i64) -> Vec<String> {
    let (key, last) = (key.to_string(), format!("{:04}", key % 10_000));
    let number =
        |form: &str| form.replace("000N", &format!("000{last}")).replace("30N'", &format!("30{last}'"));
    FORMS.iter().map(|form| number(form).replace('K', &key)).collect()
}

#[test]
fn a_lookup_is_one_in_whatever_form() {
    let database = database();
    let proxy = serve(&database);
    let mut amy = Wire::through(&proxy, &database, "nurse_amy");
    let own = patients_of_amy()[0];
    let mut wrong = Vec::new();
    for form in forms(STRANGER) {
        let sql = format!("SELECT name FROM clinic.patient WHERE {form}");
        for (way, reply) in [("simple", amy.query(&sql)), ("extended", amy.extended(&sql, &[]))] {
            if reply.failure().and_then(|f| f.gls()).as_deref() != Some("GLS-201") {
                wrong.push(format!("{way} {sql}: {:?} {:?}", reply.failure(), reply.rows()));
            }
        }
        if !told(&proxy, &sql).sought.contains(&STRANGER.to_string()) {
            wrong.push(format!("{sql}: {:?}", told(&proxy, &sql)));
        }
    }
    // Her own patients are found, and that they have no such row is no refusal.
    for form in forms(own) {
        // Not of somebody else, too.
        let form = form.replace(", (1, 7)", "").replace(", 7", "").replace(", '7'", "").replace(", 'x'", "");
        let sql = format!("SELECT patient_id FROM clinic.patient WHERE {form}");
        let reply = amy.query(&sql);
        let none = amy.query(&format!("{sql} AND name = 'nobody'"));
        let found = (reply.firsts(), none.failure(), none.rows().len());
        if found != (vec![own.to_string()], None, 0) {
            wrong.push(format!("{sql}: {found:?}, {:?}", reply.failure()));
        }
    }
    // Nor is one where the condition names nobody.
    for none in [
        "patient_id = K.5",
        "patient_id BETWEEN K AND 881235",
        "NOT patient_id = ANY ('{K}') AND patient_id = 7.5",
        "patient_id = ANY ('{K}') IS FALSE AND false",
        "patient_id <> ALL ('{K}') AND false",
    ] {
        let sql =
            format!("SELECT name FROM clinic.patient WHERE {}", none.replace('K', &STRANGER.to_string()));
        let reply = amy.query(&sql);
        if reply.failure().is_some() || !told(&proxy, &sql).sought.is_empty() {
            wrong.push(format!("{sql}: {:?} {:?}", reply.failure(), told(&proxy, &sql)));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn typed(wire: &mut Wire, sql: &str, oid: u32, value: (u16, &[u8])) -> Reply {
    let (format, value) = value;
    let bind = bind_as("", "", (&[format], &[Some(value)]), &[]);
    wire.send(&[parse_typed("", sql, &[oid]), bind, describe_portal(""), execute("", 0), sync()].concat());
    wire.reply()
}

/// An array of this element type in binary format.
fn binary_array(element: u32, items: &[&[u8]]) -> Vec<u8> {
    let count = u32::try_from(items.len()).unwrap();
    let mut bytes: Vec<u8> = [1, 0, element, count, 1].iter().flat_map(|n: &u32| n.to_be_bytes()).collect();
    for item in items {
        bytes.extend(u32::try_from(item.len()).unwrap().to_be_bytes());
        bytes.extend(*item);
    }
    bytes
}

/// `K.5` of a key below a hundred million as `numeric` in binary format.
fn half(key: i64) -> Vec<u8> {
    let words = [3, 1, 0, 1, key / 10_000, key % 10_000, 5_000];
    words.iter().flat_map(|w| i16::try_from(*w).unwrap().to_be_bytes()).collect()
}

/// Each with the type that the client says the parameter has (0: none), its format and its bytes.
fn parameters(key: i64) -> Vec<(&'static str, u32, u16, Vec<u8>)> {
    let text = key.to_string();
    let int4 = i32::try_from(key).unwrap().to_be_bytes();
    let mrn = format!("MRN000{:04}", key % 10_000);
    let dbl = (key as f64 + 0.5).to_be_bytes().to_vec();
    vec![
        ("patient_id = ANY ($1)", 0, 0, format!("{{{text}}}").into()),
        ("patient_id = ANY ($1)", 0, 0, format!("{{7,\"{text}\",NULL}}").into()),
        ("patient_id = ANY ($1)", 1016, 0, format!("{{{text}}}").into()),
        ("patient_id = ANY ($1::int8[])", 0, 0, format!("{{{text}}}").into()),
        ("patient_id = ANY ($1::int4[])", 0, 1, binary_array(23, &[&int4])),
        ("patient_id = ANY ($1)", 0, 1, binary_array(20, &[&key.to_be_bytes(), &7i64.to_be_bytes()])),
        ("patient_id = ANY ($1)", 1007, 1, binary_array(23, &[&int4])),
        ("patient_id = ANY (ARRAY[$1::int8, 7])", 0, 0, text.clone().into()),
        ("patient_id IS NOT DISTINCT FROM $1", 0, 0, text.clone().into()),
        ("patient_id BETWEEN $1 AND $1", 0, 0, text.clone().into()),
        ("(patient_id, 1) = ($1, 1)", 0, 0, text.clone().into()),
        ("patient_id = $1", 1700, 0, format!("{text}.0").into()),
        ("patient_id = $1::int4", 0, 1, int4.to_vec()),
        ("mrn = ANY ($1)", 0, 0, format!("{{{mrn}}}").into()),
        ("mrn = ANY ($1)", 1009, 1, binary_array(25, &[mrn.as_bytes()])),
        ("mrn = $1", 1043, 1, mrn.clone().into()),
        ("short = $1", 25, 0, format!("S{text}").into()),
        ("num = $1", 0, 0, format!("{text}.5").into()),
        ("num = $1", 0, 1, half(key)),
        ("num = $1", 1700, 1, half(key)),
        ("num = ANY ($1)", 0, 1, binary_array(1700, &[&half(key)])),
        ("dbl = $1", 0, 0, format!("{text}.5").into()),
        ("dbl = $1", 0, 1, dbl.clone()),
        ("dbl = $1", 701, 1, dbl),
    ]
}

#[test]
fn a_lookup_by_parameter_is_one_whatever_its_type() {
    let database = database();
    let proxy = serve(&database);
    let mut amy = Wire::through(&proxy, &database, "nurse_amy");
    let own = patients_of_amy()[0];
    let mut wrong = Vec::new();
    for (n, (condition, oid, format, value)) in parameters(STRANGER).into_iter().enumerate() {
        let sql = format!("SELECT name, {n} FROM clinic.patient WHERE {condition}");
        let reply = typed(&mut amy, &sql, oid, (format, &value));
        let told = told(&proxy, &sql);
        let refused = reply.failure().and_then(|f| f.gls()).as_deref() == Some("GLS-201");
        if !refused || !told.sought.contains(&STRANGER.to_string()) {
            wrong.push(format!("{sql} {oid} {format}: {:?} {:?} {told:?}", reply.failure(), reply.rows()));
        }
    }
    for (condition, oid, format, value) in parameters(own) {
        let sql = format!("SELECT patient_id FROM clinic.patient WHERE {condition}");
        let reply = typed(&mut amy, &sql, oid, (format, &value));
        if reply.firsts() != [own.to_string()] {
            wrong.push(format!("{sql} {oid} {format}: {:?} {:?}", reply.failure(), reply.rows()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Where rows come from other tables, silence of a patient who is named is refused as an empty answer is: "no allergies"
/// would be read in it.
#[test]
fn silence_beside_rows_of_other_tables_is_refused() {
    let database = database();
    let proxy = serve(&database);
    let mut amy = Wire::through(&proxy, &database, "nurse_amy");
    let own = patients_of_amy()[0];
    let mut wrong = Vec::new();
    for sql in [
        "SELECT EXISTS (SELECT FROM clinic.patient WHERE COND)",
        "SELECT NOT EXISTS (SELECT FROM clinic.patient WHERE COND AND name = 'nobody')",
        "SELECT (SELECT count(*) FROM clinic.patient WHERE COND)",
        "SELECT n, (SELECT name FROM clinic.patient WHERE COND) FROM generate_series(1, 2) n",
        "SELECT w.ward_id, p.name FROM clinic.ward w LEFT JOIN clinic.patient p ON COND",
        "SELECT w.ward_id, p.name FROM clinic.patient p RIGHT JOIN clinic.ward w ON COND",
        "SELECT name FROM clinic.ward UNION ALL SELECT name FROM clinic.patient WHERE COND",
        "SELECT coalesce((SELECT name FROM clinic.patient WHERE COND), 'none')",
        "COPY (SELECT EXISTS (SELECT FROM clinic.patient WHERE COND)) TO STDOUT",
    ] {
        for (key, outside) in [(own, false), (STRANGER, true)] {
            let conditions = [
                format!("patient_id = {key}"),
                format!("patient_id = ANY ('{{{key}}}')"),
                format!("patient_id = ANY (ARRAY[{key}])"),
                format!("patient_id = ANY ('{{{key}}}'::bigint[])"),
                format!("patient_id IS NOT DISTINCT FROM {key}"),
                format!("mrn = 'MRN000{:04}'", key % 10_000),
            ];
            for condition in conditions {
                let sql = sql.replace("COND", &condition);
                let replies = match sql.starts_with("COPY") {
                    true => vec![amy.query(&sql)],
                    false => vec![amy.query(&sql), amy.extended(&sql, &[])],
                };
                for reply in replies {
                    let refused = reply.failure().and_then(|f| f.gls()).as_deref() == Some("GLS-201");
                    if refused != outside || (!refused && reply.failure().is_some()) {
                        wrong.push(format!("{sql}: {:?} {:?}", reply.failure(), reply.rows()));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    // A patient of hers is named as well: there is an answer.
    for sql in [
        "SELECT EXISTS (SELECT FROM clinic.patient WHERE patient_id IN (OWN, K))",
        "SELECT name FROM clinic.patient WHERE patient_id = OWN AND NOT EXISTS (SELECT FROM clinic.patient WHERE patient_id = K)",
    ] {
        let sql = sql.replace("OWN", &own.to_string()).replace('K', &STRANGER.to_string());
        assert_eq!(amy.query(&sql).rows().len(), 1, "{sql}");
    }
}

/// A refusal says that nothing was done: it cannot be said of what a statement has done elsewhere.
#[test]
fn a_write_elsewhere_that_was_done_is_not_refused_behind_it() {
    let database = database();
    database.server().psql(
        database.name(),
        "INSERT INTO clinic.ward SELECT n, 'x' || n, 'x', 1, 1 FROM generate_series(9001, 9004) n;
        GRANT SELECT, DELETE ON clinic.ward TO PUBLIC",
    );
    let proxy = serve(&database);
    let mut amy = Wire::through(&proxy, &database, "nurse_amy");
    for (n, condition) in
        [(9001, format!("patient_id = {STRANGER}")), (9002, "mrn = 'MRN0001234'".to_owned())]
    {
        let sql = format!(
            "DELETE FROM clinic.ward WHERE ward_id = {n} AND NOT EXISTS (SELECT FROM clinic.patient WHERE {condition})"
        );
        let reply = amy.query(&sql);
        assert_eq!((reply.failure(), reply.commands()), (None, vec!["DELETE 1".to_owned()]), "{sql}");
        // Now there is nothing that it does.
        let reply = amy.query(&sql);
        assert_eq!(reply.failure().and_then(|f| f.gls()).as_deref(), Some("GLS-201"), "{sql}");
    }
    let sql = format!(
        "WITH d AS (DELETE FROM clinic.ward WHERE ward_id = 9003) SELECT name FROM clinic.patient WHERE patient_id = {STRANGER}"
    );
    let reply = amy.query(&sql);
    assert_eq!((reply.failure(), reply.rows().len()), (None, 0), "{sql}");
    let left =
        database.server().psql(database.name(), "SELECT ward_id FROM clinic.ward WHERE ward_id > 9000");
    assert!(left.contains("9004") && !left.contains("9001") && !left.contains("9003"), "{left}");
}

/// A refusal behind which the transaction goes on is none: as an error, it ends what stands with it.
#[test]
fn nothing_behind_a_refused_lookup_is_committed() {
    let database = database();
    database.server().psql(
        database.name(),
        "INSERT INTO clinic.ward SELECT n, 'x' || n, 'x', 1, 1 FROM generate_series(9001, 9040) n;
        GRANT SELECT, INSERT, DELETE ON clinic.ward TO PUBLIC; GRANT UPDATE (name) ON clinic.patient TO PUBLIC;",
    );
    let proxy = serve(&database);
    let lookup = format!("SELECT name FROM clinic.patient WHERE patient_id = {STRANGER}");
    let count = format!("SELECT count(*) FROM clinic.patient WHERE patient_id = {STRANGER}");
    let delete = "DELETE FROM clinic.ward WHERE ward_id > 9020";
    for before in [&[][..], &["BEGIN"], &["BEGIN", "DELETE FROM clinic.ward WHERE ward_id = 9001"]] {
        for statements in [
            vec!["BEGIN", &lookup, delete, "COMMIT"],
            vec!["BEGIN", delete, &lookup, "COMMIT"],
            vec!["BEGIN", &count, delete, "COMMIT", "BEGIN", delete, "COMMIT"],
            vec!["BEGIN", "SAVEPOINT a", &lookup, "ROLLBACK TO a", delete, "COMMIT"],
            vec!["SELECT 1", &lookup, delete, "COMMIT"],
            vec![delete, &lookup, "BEGIN", delete, "COMMIT"],
            vec![&lookup, "COMMIT", delete],
            vec![delete, &lookup, delete],
        ] {
            for pipeline in [false, true] {
                let mut amy = Wire::through(&proxy, &database, "nurse_amy");
                before.iter().for_each(|sql| drop(amy.ok(sql)));
                if pipeline {
                    let one = |sql: &&str| {
                        [parse_typed("", sql, &[]), bind_as("", "", (&[], &[]), &[]), execute("", 0)].concat()
                    };
                    amy.send(&[statements.iter().map(one).collect::<Vec<_>>().concat(), sync()].concat());
                } else {
                    amy.send(&crate::wire::query(&statements.join("; ")));
                }
                let reply = amy.reply();
                let what = format!("{before:?} {statements:?} {pipeline}: {:?}", reply.commands());
                assert_eq!(reply.failure().and_then(|f| f.gls()).as_deref(), Some("GLS-201"), "{what}");
                let begun = !before.is_empty() || statements[0] == "BEGIN";
                assert_eq!(reply.status(), if begun { 'E' } else { 'I' }, "{what}");
                let left = database.server().psql(
                    database.name(),
                    "SELECT 'left ' || count(*) FROM clinic.ward WHERE ward_id > 9000",
                );
                assert!(left.contains("left 40"), "{what}: {left}");
            }
        }
    }
    // Nor done in another way that a rollback does not undo, nor recorded as done; the session goes on.
    let mut amy = Wire::through(&proxy, &database, "nurse_amy");
    for behind in ["PREPARE behind AS SELECT 1", "COPY clinic.ward FROM STDIN"] {
        let reply = amy.query(&format!("{lookup}; {behind}"));
        assert_eq!(reply.failure().and_then(|f| f.gls()).as_deref(), Some("GLS-201"), "{behind}");
        assert_eq!(reply.status(), 'I', "{behind}");
    }
    amy.ok("PREPARE behind AS SELECT 1");
    let parse = |sql: &str| parse_typed("", sql, &[]);
    let pipeline = [
        parse(&lookup),
        bind_as("", "", (&[], &[]), &[]),
        execute("", 0),
        parse_typed("later", "SELECT 1", &[]),
        parse("COPY clinic.ward FROM STDIN"),
        bind_as("", "", (&[], &[]), &[]),
        execute("", 0),
        sync(),
    ];
    amy.send(&pipeline.concat());
    assert_eq!(amy.reply().failure().and_then(|f| f.gls()).as_deref(), Some("GLS-201"));
    amy.send(&[parse_typed("later", "SELECT 1", &[]), sync()].concat());
    assert!(amy.reply().failure().is_none());
    let after = "SELECT count(*), 'behind the refusal' FROM clinic.note";
    amy.query(&format!("{lookup}; {after}"));
    assert_eq!(told(&proxy, after).times, 0);
    // Several messages on their way at once.
    let step =
        |sql: &str| [parse_typed("", sql, &[]), bind_as("", "", (&[], &[]), &[]), execute("", 0)].concat();
    let update = format!("UPDATE clinic.patient SET name = 'x' WHERE patient_id = {STRANGER}");
    for refused in [
        [step(&lookup), sync()].concat(),
        [step(&lookup), sync(), sync()].concat(),
        [step(&lookup), step("SELECT 1"), sync()].concat(),
        [step(&update), sync()].concat(),
        crate::wire::query(&format!("{update}; SELECT 1")),
        crate::wire::query(&format!("COPY ({lookup}) TO STDOUT; SELECT 1")),
    ] {
        let mut amy = Wire::through(&proxy, &database, "nurse_amy");
        let syncs = usize::from(refused.ends_with(&[sync(), sync()].concat()));
        amy.send(&[step("BEGIN"), sync(), refused, step(delete), sync(), step("COMMIT"), sync()].concat());
        assert_eq!(amy.reply().status(), 'T');
        let reply = amy.reply();
        assert_eq!(
            (reply.failure().and_then(|f| f.gls()).as_deref(), reply.status()),
            (Some("GLS-201"), 'E')
        );
        (0..syncs).for_each(|_| assert_eq!(amy.reply().status(), 'E'));
        assert_eq!(amy.reply().failure().map(|f| f.sqlstate).as_deref(), Some("25P02"));
        assert_eq!(amy.reply().commands(), ["ROLLBACK"]);
    }
    let mut amy = Wire::through(&proxy, &database, "nurse_amy");
    amy.ok("BEGIN");
    amy.send(&[&*lookup, delete, "COMMIT"].map(crate::wire::query).concat());
    assert_eq!(amy.reply().failure().and_then(|f| f.gls()).as_deref(), Some("GLS-201"));
    assert_eq!(amy.reply().failure().map(|f| f.sqlstate).as_deref(), Some("25P02"));
    assert_eq!(amy.reply().commands(), ["ROLLBACK"]);
}

/// Whatever rows of others stand beside: who was asked for is in their report.
#[test]
fn an_identifier_that_met_nothing_leaves_its_trace() {
    let database = database();
    let proxy = serve(&database);
    let own = patients_of_amy()[0];
    let mrn = format!("MRN000{:04}", STRANGER % 10_000);
    let mut amy = Wire::through(&proxy, &database, "nurse_amy");
    for sql in [
        format!(
            "SELECT EXISTS (SELECT 1 FROM clinic.encounter e JOIN clinic.patient p ON p.patient_id = e.patient_id WHERE p.mrn = '{mrn}')"
        ),
        format!(
            "SELECT (SELECT count(*) FROM clinic.encounter e JOIN clinic.patient p USING (patient_id) WHERE p.mrn = '{mrn}')"
        ),
        format!(
            "SELECT e.kind, p.name FROM clinic.encounter e LEFT JOIN clinic.patient p ON p.mrn = '{mrn}' WHERE e.patient_id = {own}"
        ),
        format!(
            "SELECT e.kind, p.name FROM clinic.encounter e LEFT JOIN clinic.patient p ON p.mrn = '{mrn}'"
        ),
        format!("SELECT EXISTS (SELECT 1 FROM clinic.patient WHERE patient_id = {own} AND mrn = '{mrn}')"),
    ] {
        amy.query(&sql);
        let told = told(&proxy, &sql);
        assert!(
            told.sought.contains(&STRANGER.to_string()) && !told.names(&STRANGER.to_string()),
            "{sql}: {told:?}"
        );
    }
}

/// Rows of a cursor are judged with those that came before and may come: a batch without a patient's rows is no answer
/// about them.
#[test]
fn batches_of_a_cursor_are_no_lookups_of_their_own() {
    let database = database();
    let proxy = serve(&database);
    let own = patients_of_amy()[0];
    let mut amy = Wire::through(&proxy, &database, "nurse_amy");
    let gls = |reply: &Reply| reply.failure().and_then(|f| f.gls());
    for (keys, refused) in [(format!("{own},{STRANGER}"), false), (STRANGER.to_string(), true)] {
        let sql = format!(
            "SELECT w.ward_id, p.patient_id FROM clinic.ward w LEFT JOIN clinic.patient p ON p.patient_id = ANY ('{{{keys}}}') \
             AND w.ward_id > 3 ORDER BY 1"
        );
        assert_eq!(gls(&amy.query(&sql)).is_some(), refused, "{sql}");
        amy.ok("BEGIN");
        amy.ok(&format!("DECLARE c CURSOR FOR {sql}"));
        for n in 0..5 {
            let reply = amy.query("FETCH 1 FROM c");
            assert_eq!(gls(&reply).as_deref(), refused.then_some("GLS-201"), "{sql} {n}: {:?}", reply.rows());
            if refused {
                break;
            }
        }
        amy.query("ROLLBACK");
    }
}

/// Of several, as of a list: what was found is shown; an empty answer is refused where one of them is not the user's.
#[test]
fn several_keys_are_one_lookup_as_a_list_of_them_is() {
    let database = database();
    let proxy = serve(&database);
    let mut amy = Wire::through(&proxy, &database, "nurse_amy");
    let own = patients_of_amy();
    for (condition, rows) in [
        (format!("patient_id IN ({}, {STRANGER})", own[0]), Some(1)),
        (format!("patient_id = ANY ('{{{}, {STRANGER}}}')", own[0]), Some(1)),
        (format!("patient_id = ANY ('{{{}, {}}}')", own[0], own[1]), Some(2)),
        (format!("patient_id = ANY ('{{{}, {STRANGER}}}') AND name = 'nobody'", own[0]), None),
        (format!("patient_id IN ({}, {STRANGER}) AND name = 'nobody'", own[0]), None),
        (format!("patient_id = ANY ('{{{}, {}}}') AND name = 'nobody'", own[0], own[1]), Some(0)),
    ] {
        let sql = format!("SELECT patient_id FROM clinic.patient WHERE {condition}");
        let reply = amy.query(&sql);
        let refused = reply.failure().and_then(|f| f.gls()).as_deref() == Some("GLS-201");
        let answer = (!refused).then(|| reply.rows().len());
        assert_eq!(answer, rows, "{sql}: {:?}", reply.failure());
    }
}

/// What is asked for is named as such; who was disclosed is told by the rows.
#[test]
fn what_is_asked_for_is_no_part_of_the_lineage() {
    let database = database();
    let proxy = serve(&database);
    let mut gus = Wire::through(&proxy, &database, "dba_gus");
    let (one, other) = (STRANGER.to_string(), (STRANGER + 1).to_string());
    for form in forms(STRANGER) {
        let sql = format!("SELECT patient_id FROM clinic.patient WHERE {form}");
        gus.ok(&sql);
        let told = told(&proxy, &sql);
        assert!(told.sought.contains(&one) || !form.contains("patient_id"), "{sql}: {told:?}");
        assert!(told.patients.contains(&one) && !told.all_patients, "{sql}: {told:?}");
    }
    let sql = format!(
        "SELECT patient_id FROM clinic.patient WHERE patient_id = ANY ('{{{one},{other}}}') AND mrn <> 'MRN0001235'"
    );
    gus.ok(&sql);
    let told_of = told(&proxy, &sql);
    assert_eq!((told_of.patients.len(), told_of.sought.len()), (1, 2), "{told_of:?}");
    for (n, (condition, oid, format, value)) in parameters(STRANGER).into_iter().enumerate() {
        let sql = format!("SELECT patient_id, {n} FROM clinic.patient WHERE {condition}");
        let reply = typed(&mut gus, &sql, oid, (format, &value));
        let told = told(&proxy, &sql);
        assert_eq!(reply.failure(), None, "{sql}");
        assert!(told.patients.contains(&one) && told.exact == Some(true), "{sql}: {told:?}");
    }
}

/// Of several identifiers those leave a trace whose patients' rows were not met; the value of one is nobody's key.
#[test]
fn identifiers_name_their_patients_and_nobody_else() {
    let database = database();
    database.server().psql(
        database.name(),
        "ALTER TABLE clinic.patient DISABLE TRIGGER USER; UPDATE clinic.patient SET num = patient_id + 1",
    );
    let proxy = serve(&database);
    let own = patients_of_amy()[0];
    let mrn = |key: i64| format!("MRN000{:04}", key % 10_000);
    let (hers, other) = (mrn(own), mrn(STRANGER));
    for (user, outside) in [("nurse_amy", true), ("dba_gus", false)] {
        let mut wire = Wire::through(&proxy, &database, user);
        for condition in [
            format!("mrn IN ('{hers}', '{other}')"),
            format!("mrn = ANY ('{{{hers},{other}}}')"),
            format!("mrn = ANY (ARRAY['{hers}', '{other}'])"),
        ] {
            let sql = format!("SELECT patient_id, '{user}' FROM clinic.patient WHERE {condition}");
            assert_eq!(wire.query(&sql).rows().len(), if outside { 1 } else { 2 }, "{sql}");
            let told = told(&proxy, &sql);
            let asked = told.names(&STRANGER.to_string()) || told.sought.contains(&STRANGER.to_string());
            assert!(asked && told.names(&own.to_string()), "{sql}: {told:?}");
        }
        for condition in ["num = K", "num = K.00", "num = 'K'", "num::int8 = K", "num = ANY ('{K}')"] {
            let condition = condition.replace('K', &(STRANGER + 1).to_string());
            let sql = format!("SELECT patient_id, '{user}' FROM clinic.patient WHERE {condition}");
            wire.query(&sql);
            let told = told(&proxy, &sql);
            let named = |key: i64| told.names(&key.to_string()) || told.sought.contains(&key.to_string());
            assert!(named(STRANGER) && !named(STRANGER + 1), "{sql}: {told:?}");
        }
    }
}

/// What was asked for in words that the server reads as another key is recorded as that.
#[test]
fn a_key_in_other_words_is_recorded_as_the_key_that_it_is() {
    let database = database();
    let proxy = serve(&database);
    let mut gus = Wire::through(&proxy, &database, "dba_gus");
    let one = STRANGER.to_string();
    // A base is known from PostgreSQL 16 on.
    for (n, (condition, oid, value)) in [
        ("patient_id = $1", 0, format!("0x{STRANGER:x}")),
        ("patient_id = $1", 0, "88_1234".to_owned()),
        ("patient_id = $1", 1700, format!("{one}.00")),
        ("patient_id = $1::int8", 1700, format!("{one}.4")),
        ("patient_id = $1::int8", 701, format!("{STRANGER}.25")),
    ]
    .into_iter()
    .enumerate()
    {
        let sql = format!("SELECT name, 'other {n}' FROM clinic.patient WHERE {condition}");
        let reply = typed(&mut gus, &sql, oid, (0, value.as_bytes()));
        let told = told(&proxy, &sql);
        if reply.failure().is_none() {
            assert_eq!(reply.rows().len(), 1, "{sql} {value}");
            assert!(told.names(&one), "{sql} {value}: {told:?}");
        }
    }
}
