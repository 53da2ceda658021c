//! P2: in `hide` mode a restricted user sees exactly what a database without the other patients'
//! rows would show. The oracle is such a database, asked directly.

use std::fmt::Write as _;

use crate::common::{Database, Postgres, Proxy, STRANGER};
use crate::p2_statements::{BOUND, CHANGES, READS, REFUSED};
use crate::support::{KEYED, amys, deletion, hide, leave_amys};
use crate::wire::{Reply, Wire, bind, describe_portal, describe_statement, execute, parse, sync};

pub(crate) const CANARY: &str = "CANARY";

/// Puts a canary into every text cell of hidden rows that takes one.
fn plant_canaries(database: &Database<'_>) {
    let mut sql = String::from("SET session_replication_role = replica;\n");
    let texts = [
        ("patient", "mrn ssn name phone address zip email language"),
        ("encounter", "attending complaint"),
        ("care_team", "member function"),
        ("problem", "icd10 title"),
        ("allergy", "substance reaction"),
        ("lab_order", "panel ordered_by"),
        ("medication_order", "unit frequency prescriber"),
        ("note", "author kind body"),
        ("appointment", "reason"),
    ];
    for (table, columns) in texts {
        assert!(KEYED.contains(&table));
        // Unique where the column is: every value has the row's place in it.
        let set: Vec<String> =
            columns.split(' ').map(|c| format!("{c} = '{CANARY}' || '{c}' || t.ctid::text")).collect();
        let mine = amys();
        let _ = writeln!(
            sql,
            "UPDATE clinic.{table} t SET {} WHERE (patient_id IN ({mine})) IS NOT TRUE;",
            set.join(", ")
        );
    }
    let _ = writeln!(
        sql,
        "UPDATE clinic.lab_result r SET analyte = '{CANARY}', unit = '{CANARY}' WHERE NOT EXISTS \
         (SELECT FROM clinic.lab_order o WHERE o.order_id = r.order_id AND o.patient_id IN ({}));",
        amys()
    );
    database.server().psql(database.name(), &sql);
}

/// The database with everyone in it, with canaries, and the one with nurse_amy's patients only.
pub(crate) fn databases(more: &str) -> (Database<'static>, Database<'static>) {
    let server = Postgres::shared();
    let (whole, hers) = (server.demo(), server.demo());
    plant_canaries(&whole);
    leave_amys(&hers);
    for database in [&whole, &hers] {
        server.psql(database.name(), more);
    }
    (whole, hers)
}

/// What of a reply has to be equal; the order of rows only where the statement gives one. The text of
/// an error may name another row of hers where no order is given: its SQLSTATE counts.
fn essence(sql: &str, reply: &Reply) -> String {
    let mut rows = reply.rows();
    if !sql.contains("ORDER BY") {
        rows.sort();
    }
    // How many rows came before an error is the order of rows again.
    let failed = reply.failure().map(|f| f.sqlstate);
    if failed.is_some() {
        rows.clear();
    }
    let notices: Vec<_> = reply.notices().into_iter().map(|n| n.message).collect();
    format!(
        "{failed:?} {:?} {notices:?} {:?} {} rows {rows:?}",
        reply.commands(),
        reply.columns(),
        rows.len()
    )
}

pub(crate) fn compare(wrong: &mut Vec<String>, what: &str, sql: &str, expected: &Reply, got: &Reply) {
    let (expected, answer) = (essence(sql, expected), essence(sql, got));
    if expected != answer {
        wrong.push(format!(
            "{what}: {sql}\n   expected {expected:.400}\n   got      {answer:.400} {:?}",
            got.failure()
        ));
    }
}

pub(crate) fn assert_none(wrong: &[String], of: usize) {
    assert!(wrong.is_empty(), "{} of {of} differ:\n{}", wrong.len(), wrong.join("\n"));
}

pub(crate) fn assert_no_canary(wire: &Wire) {
    let at = wire.received.windows(CANARY.len()).position(|w| w == CANARY.as_bytes());
    if let Some(at) = at {
        let around = &wire.received[at.saturating_sub(60)..(at + 60).min(wire.received.len())];
        panic!("hidden text reached the client: {}", String::from_utf8_lossy(around));
    }
}

/// The pair to compare: the copy asked directly, the whole database through the proxy.
pub(crate) fn pair<'a>(whole: &Database<'a>, hers: &Database<'a>) -> (Proxy<'a>, Wire, Wire) {
    let proxy = Proxy::start_with(whole, hide);
    let through = Wire::through(&proxy, whole, "nurse_amy");
    (proxy, Wire::direct(hers, "nurse_amy"), through)
}

#[test]
fn reads_are_those_of_a_database_without_the_others() {
    let (whole, hers) = databases("");
    let (_proxy, mut direct, mut through) = pair(&whole, &hers);
    let mut wrong = Vec::new();
    for sql in READS {
        compare(&mut wrong, "simple", sql, &direct.query(sql), &through.query(sql));
    }
    for sql in READS {
        compare(&mut wrong, "prepared", sql, &direct.extended(sql, &[]), &through.extended(sql, &[]));
    }
    for (sql, parameters) in BOUND {
        let (expected, got) = (direct.extended(sql, parameters), through.extended(sql, parameters));
        compare(&mut wrong, "bound", sql, &expected, &got);
    }
    assert_no_canary(&through);
    assert_none(&wrong, 2 * READS.len() + BOUND.len());
}

/// Arrays of keys and values side by side, as drivers send them.
#[test]
fn rows_made_of_parameters_are_joined_with_visible_rows() {
    let (whole, hers) = databases("");
    let (_proxy, mut direct, mut through) = pair(&whole, &hers);
    let mut wrong = Vec::new();
    let parameters = ["{880001,880003,880015}", "{a,b,c}"];
    for sql in [
        "SELECT x.t, p.name FROM ROWS FROM (unnest($1::int8[]), unnest($2::text[])) AS x (id, t) JOIN clinic.patient p \
         ON p.patient_id = x.id ORDER BY 1",
        "SELECT x.n, p.name FROM ROWS FROM (unnest($1::int8[]), unnest($2::text[])) WITH ORDINALITY AS x (id, t, n) \
         LEFT JOIN clinic.patient p ON p.patient_id = x.id AND 10 / (p.patient_id - 880001) >= 0 ORDER BY 1",
        "SELECT count(*) FROM clinic.patient p, ROWS FROM (unnest($2::text[]), unnest($1::int8[])) AS x (t, id) \
         WHERE p.patient_id = ANY ($1::int8[]) AND x.id = p.patient_id",
    ] {
        let (expected, got) = (direct.extended(sql, &parameters), through.extended(sql, &parameters));
        assert_eq!(expected.failure(), None, "{sql}");
        compare(&mut wrong, "parameters", sql, &expected, &got);
    }
    assert_none(&wrong, 3);
}

#[test]
fn named_statements_portals_and_cursors_show_no_more() {
    let (whole, hers) = databases("");
    let (_proxy, mut direct, mut through) = pair(&whole, &hers);
    let mut wrong = Vec::new();
    let notes = "SELECT note_id, patient_id, body FROM clinic.note WHERE patient_id >= $1 ORDER BY note_id";
    let described = [parse("n", notes), describe_statement("n"), sync()].concat();
    let stepwise = [
        bind("p", "n", &["880000"]),
        describe_portal("p"),
        execute("p", 7),
        execute("p", 20),
        execute("p", 0),
        sync(),
    ]
    .concat();
    for (what, sent) in [("described", described), ("stepwise", stepwise)] {
        direct.send(&sent);
        through.send(&sent);
        let (expected, got) = (direct.reply(), through.reply());
        compare(&mut wrong, what, notes, &expected, &got);
        if expected.tags() != got.tags() {
            wrong.push(format!("{what}: expected {}, got {}", expected.tags(), got.tags()));
        }
    }
    let two = "SELECT count(*) FROM clinic.patient; SELECT count(*) FROM clinic.note";
    compare(&mut wrong, "simple", two, &direct.query(two), &through.query(two));
    assert_no_canary(&through);
    assert_none(&wrong, 3);
}

/// Fails closed, so no promise of secrecy is broken; but a database without the others answers them.
#[test]
#[ignore = "defect: tableoid is refused (GLS-240)"]
fn every_ordinary_read_works() {
    let (whole, hers) = databases("");
    let (_proxy, mut direct, mut through) = pair(&whole, &hers);
    let mut wrong = Vec::new();
    for sql in REFUSED {
        compare(&mut wrong, "simple", sql, &direct.query(sql), &through.query(sql));
    }
    assert_none(&wrong, REFUSED.len());
}

/// What `every_ordinary_read_works` waits for must at least be refused, or be right.
#[test]
fn what_is_refused_shows_nothing_and_leaves_the_session() {
    let (whole, hers) = databases("");
    let (_proxy, mut direct, mut through) = pair(&whole, &hers);
    // Without BEGIN and COMMIT: a refusal would end the transaction on one side only.
    let alone = STEPS.iter().filter(|s| !matches!(**s, "BEGIN" | "COMMIT"));
    for sql in REFUSED.iter().chain(COPIES).chain(alone) {
        let (expected, got) = (direct.query(sql), through.query(sql));
        if got.failure().is_none_or(|f| f.sqlstate != "42501") {
            assert_eq!(essence(sql, &expected), essence(sql, &got), "{sql}");
        } else {
            assert_eq!(got.refusal().sqlstate, "42501", "{sql}");
        }
        assert_no_canary(&through);
    }
    assert_eq!(through.ok("SELECT count(*) FROM clinic.patient").value(), "25");
}

/// Cursors and prepared statements of SQL.
pub(crate) const STEPS: &[&str] = &[
    "BEGIN",
    "DECLARE c CURSOR FOR SELECT patient_id, name FROM clinic.patient ORDER BY patient_id",
    "FETCH 3 FROM c /* ORDER BY */",
    "FETCH 100 FROM c /* ORDER BY */",
    "FETCH 1 FROM c",
    "CLOSE c",
    "COMMIT",
    "PREPARE q(int8) AS SELECT name FROM clinic.patient WHERE patient_id = $1",
    "EXECUTE q(880003)",
    "EXECUTE q(880001)",
];

pub(crate) const COPIES: &[&str] = &[
    "COPY (SELECT patient_id, name FROM clinic.patient ORDER BY patient_id) TO STDOUT",
    "COPY (SELECT body FROM clinic.note ORDER BY note_id) TO STDOUT (FORMAT csv, HEADER)",
    "COPY clinic.allergy TO STDOUT",
];

#[test]
fn cursors_and_prepared_statements_of_sql_show_no_more() {
    let (whole, hers) = databases("");
    let (_proxy, mut direct, mut through) = pair(&whole, &hers);
    let mut wrong = Vec::new();
    for sql in STEPS {
        compare(&mut wrong, "simple", sql, &direct.query(sql), &through.query(sql));
    }
    assert_no_canary(&through);
    assert_none(&wrong, STEPS.len());
}

#[test]
fn copies_hold_no_more() {
    let (whole, hers) = databases("");
    let (_proxy, mut direct, mut through) = pair(&whole, &hers);
    for sql in COPIES {
        let (expected, got) = (direct.query(sql), through.query(sql));
        let lines = |reply: &Reply| {
            let mut lines: Vec<_> =
                reply.messages.iter().filter(|m| m.tag == b'd').map(|m| m.body.clone()).collect();
            lines.sort();
            lines
        };
        assert_no_canary(&through);
        assert_eq!(got.failure(), None, "{sql}");
        assert!(lines(&expected) == lines(&got), "{sql}: other lines");
    }
}

#[test]
fn changes_reach_no_more() {
    let grants = "GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA clinic TO nurse";
    let (whole, hers) = databases(grants);
    let (_proxy, mut direct, mut through) = pair(&whole, &hers);
    let everything = |database: &Database<'_>| {
        let mut sql = String::new();
        for table in KEYED.iter().chain(&["lab_result"]) {
            let _ = writeln!(
                sql,
                "SELECT '{table}', md5(string_agg(t::text, ',' ORDER BY t::text)) FROM clinic.{table} t;"
            );
        }
        database.server().psql(database.name(), &sql)
    };
    let before = everything(&whole);
    let mut wrong = Vec::new();
    for (change, effect) in CHANGES {
        for extended in [false, true] {
            for sql in ["BEGIN", *change, *effect, "ROLLBACK"] {
                let run = |wire: &mut Wire| if extended { wire.extended(sql, &[]) } else { wire.query(sql) };
                compare(&mut wrong, "change", sql, &run(&mut direct), &run(&mut through));
            }
        }
    }
    assert_no_canary(&through);
    assert_none(&wrong, 8 * CHANGES.len());
    assert_eq!(before, everything(&whole), "a rolled back change stayed");

    // Committed: others' rows are as before.
    let others = format!(
        "SELECT md5(string_agg(t::text, ',' ORDER BY t::text)) FROM clinic.problem t WHERE patient_id NOT IN ({})",
        amys()
    );
    let others_before = whole.server().psql(whole.name(), &others);
    assert_eq!(through.ok("UPDATE clinic.problem SET title = 'changed'").failure(), None);
    assert_eq!(others_before, whole.server().psql(whole.name(), &others), "others' rows were changed");
}

#[test]
fn rows_of_others_cannot_be_made_or_taken_over() {
    let grants = "GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA clinic TO nurse";
    let (whole, _) = databases(grants);
    let proxy = Proxy::start_with(&whole, hide);
    let mut amy = Wire::through(&proxy, &whole, "nurse_amy");
    let count = "SELECT count(*) FROM clinic.problem WHERE title = 'planted' AND patient_id = 880001";
    for sql in [
        "INSERT INTO clinic.problem VALUES (900001, 880001, 'X', 'planted', NULL, 'active')",
        "INSERT INTO clinic.problem SELECT 900002, 880001, 'X', 'planted', NULL, 'active'",
        "INSERT INTO clinic.problem VALUES (900003, NULL, 'X', 'planted', NULL, 'active')",
        "UPDATE clinic.problem SET patient_id = 880001, title = 'planted' WHERE patient_id = 880003",
        "INSERT INTO clinic.problem VALUES (900005, 880001, 'X', 'planted', NULL, 'active') ON CONFLICT DO NOTHING",
        "INSERT INTO clinic.problem SELECT problem_id, 880001, 'X', 'planted', NULL, 'active' FROM clinic.problem WHERE patient_id = 880003 ON CONFLICT (problem_id) DO UPDATE SET patient_id = excluded.patient_id, title = 'planted'",
        "UPDATE clinic.problem SET patient_id = 880001, title = 'planted'",
        "INSERT INTO clinic.problem VALUES (1, 880001, 'X', 'planted', NULL, 'active') ON CONFLICT (problem_id) DO UPDATE SET title = 'planted'",
        "WITH i AS (INSERT INTO clinic.problem VALUES (900006, 880001, 'X', 'planted', NULL, 'active')) SELECT 1",
        "WITH u AS (UPDATE clinic.problem SET patient_id = 880001, title = 'planted' RETURNING title) SELECT count(*) FROM u",
        "INSERT INTO clinic.problem SELECT 900004, patient_id - 2, 'X', 'planted', NULL, 'active' FROM clinic.patient WHERE patient_id = 880003",
    ] {
        let reply = amy.query(sql);
        assert!(
            reply.failure().is_some_and(|f| f.message.starts_with("GLS-201") || f.sqlstate == "23502"),
            "{sql}: {:?}",
            reply.messages
        );
        assert_eq!(whole.server().psql(whole.name(), count).trim(), "0", "{sql}");
    }
    assert_eq!(amy.ok("SELECT 1").value(), "1");
}

/// bypasses.md 67 and 89: a row in the way that is somebody else's is neither changed nor returned.
#[test]
fn a_hidden_row_in_the_way_stays_as_it_is() {
    let grants = "GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA clinic TO nurse";
    let (whole, _) = databases(grants);
    let proxy = Proxy::start_with(&whole, hide);
    let mut amy = Wire::through(&proxy, &whole, "nurse_amy");
    let hidden = "SELECT min(problem_id) FROM clinic.problem WHERE patient_id = 880001";
    let id = whole.server().psql(whole.name(), hidden).trim().to_owned();
    let row = format!("SELECT p::text FROM clinic.problem p WHERE problem_id = {id}");
    let before = whole.server().psql(whole.name(), &row);
    for sql in [
        format!("INSERT INTO clinic.problem VALUES ({id}, 880003, 'X', 'mine', NULL, 'active') ON CONFLICT (problem_id) DO UPDATE SET title = 'mine' RETURNING *"),
        format!("INSERT INTO clinic.problem VALUES ({id}, 880003, 'X', 'mine', NULL, 'active') ON CONFLICT (problem_id) DO UPDATE SET title = 'mine' WHERE problem.title > '' RETURNING *"),
        format!("INSERT INTO clinic.problem VALUES ({id}, 880003, 'X', 'mine', NULL, 'active') ON CONFLICT DO NOTHING RETURNING *"),
        format!("WITH i AS (INSERT INTO clinic.problem VALUES ({id}, 880003, 'X', 'mine', NULL, 'active') ON CONFLICT (problem_id) DO UPDATE SET title = 'mine' RETURNING *) SELECT * FROM i"),
        format!("WITH d AS (DELETE FROM clinic.problem WHERE problem_id = {id} RETURNING *) SELECT * FROM d"),
        "INSERT INTO clinic.patient SELECT * FROM clinic.patient ON CONFLICT (patient_id) DO UPDATE SET name = '' WHERE patient.patient_id = 880001 RETURNING *".to_owned(),
    ] {
        for extended in [false, true] {
            let reply = if extended { amy.extended(&sql, &[]) } else { amy.query(&sql) };
            assert_eq!(reply.failure(), None, "{sql}");
            assert!(reply.rows().is_empty(), "{sql}: {:?}", reply.rows());
            assert_eq!(before, whole.server().psql(whole.name(), &row), "{sql}");
        }
    }
}

/// What is offered with ON CONFLICT DO NOTHING has to be of her patients, inserted or not: that nothing happens would
/// tell that another patient has such a row.
#[test]
fn whether_a_hidden_row_is_in_the_way_is_not_told_by_nothing() {
    let grants = "GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA clinic TO nurse; \
                  INSERT INTO clinic.care_team VALUES (881234, 'there', 'f', '2026-01-01'), (880003, 'there', 'f', '2026-01-01'); \
                  ALTER TABLE clinic.care_team ALTER since SET DEFAULT '2026-01-01', ALTER member TYPE varchar(60)";
    let (whole, _) = databases("");
    whole.server().psql(whole.name(), grants);
    let proxy = Proxy::start_with(&whole, hide);
    let mut amy = Wire::through(&proxy, &whole, "nurse_amy");
    let team = "INSERT INTO clinic.care_team (patient_id, member, function, since)";
    let many = |p: i64, member: &str| {
        let rows: Vec<String> = (0..20)
            .map(|i| {
                format!(
                    "({p}, '{member}{}', 'f', '2026-01-01')",
                    if i == 7 { String::new() } else { i.to_string() }
                )
            })
            .collect();
        rows.join(", ")
    };
    amy.ok("CREATE TEMP TABLE staged (p int8, m text, f text, s date)");
    let update_where = |p: i64, m: &str, condition: &str| {
        format!(
            "{team} VALUES ({p}, '{m}', 'f', '2026-01-01') ON CONFLICT (patient_id, member) DO UPDATE SET function = 'g' WHERE {condition}"
        )
    };
    type Form<'a> = &'a dyn Fn(i64, &str) -> String;
    let forms: &[Form<'_>] = &[
        &|p, m| format!("{team} VALUES ({p}, '{m}', 'f', '2026-01-01') ON CONFLICT DO NOTHING"),
        &|p, m| {
            format!(
                "INSERT INTO clinic.care_team VALUES ('{p}', '{m}', 'f', '2026-01-01') ON CONFLICT (patient_id, member) DO NOTHING"
            )
        },
        &|p, m| {
            format!(
                "{team} VALUES ({p}, '{m}', 'f', DEFAULT), ({p}, 'other', 'f', '2026-01-01') ON CONFLICT DO NOTHING"
            )
        },
        &|p, m| format!("{team} VALUES ({p} + 0, '{m}', 'f', '2026-01-01') ON CONFLICT DO NOTHING"),
        &|p, m| format!("{team} VALUES {} ON CONFLICT DO NOTHING", many(p, m)),
        &|p, m| {
            format!("{team} SELECT {p}, '{m}', 'f', '2026-01-01' FROM (VALUES (1)) v ON CONFLICT DO NOTHING")
        },
        &|p, m| {
            format!(
                "{team} SELECT {p}, k, 'f', '2026-01-01' FROM unnest(ARRAY['{m}']) k ON CONFLICT DO NOTHING RETURNING member"
            )
        },
        &|p, m| {
            format!(
                "{team} (SELECT DISTINCT {p}, member, function, since FROM clinic.care_team WHERE member = '{m}' AND patient_id = 880003 ORDER BY 2) ON CONFLICT DO NOTHING"
            )
        },
        &|p, m| {
            format!(
                "DELETE FROM staged; INSERT INTO staged VALUES ({p}, '{m}', 'f', now()); INSERT INTO clinic.care_team SELECT * FROM staged ON CONFLICT DO NOTHING"
            )
        },
        &|p, m| {
            format!(
                "WITH i AS ({team} VALUES ({p}, '{m}', 'f', '2026-01-01') ON CONFLICT DO NOTHING RETURNING member) SELECT count(*) FROM i"
            )
        },
        &|p, m| {
            format!(
                "WITH k AS (SELECT '{m}' AS m) {team} SELECT {p}, m, 'f', date '2026-01-01' FROM k UNION ALL SELECT {p}, m, 'g', now() FROM k ON CONFLICT DO NOTHING"
            )
        },
        // A condition that is known to be false leaves no other to look at.
        &|p, m| update_where(p, m, "false"),
        &|p, m| update_where(p, m, "NULL"),
        &|p, m| update_where(p, m, "1 = 2 AND care_team.function = 'f'"),
        &|p, m| update_where(p, m, "excluded.function = 'none'"),
    ];
    for (n, form) in forms.iter().enumerate() {
        for (patient, member) in
            [(STRANGER, "there"), (STRANGER, "free"), (880003, "there"), (880003, "free")]
        {
            // There is nothing to copy.
            let nothing = n == 7 && member == "free";
            let sql = form(patient, member);
            amy.ok("BEGIN");
            let got = amy.query(&sql);
            amy.ok("ROLLBACK");
            let code =
                got.failure().map(|f| f.message.split_once(' ').map_or("", |(code, _)| code).to_owned());
            let expected = (patient == STRANGER && !nothing).then(|| "GLS-201".to_owned());
            assert_eq!(code, expected, "{sql}: {:?}", got.failure());
        }
    }
    let counted = |amy: &mut Wire, sql: &str, values: &[&str]| {
        amy.ok("BEGIN");
        let got = amy.extended(sql, values);
        amy.ok("ROLLBACK");
        got.failure().map_or_else(|| got.commands().join(";"), |f| f.message)
    };
    let insert = format!("{team} VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING");
    assert_eq!(counted(&mut amy, &insert, &["880003", "there", "f", "2026-01-01"]), "INSERT 0 0");
    assert_eq!(counted(&mut amy, &insert, &["880003", "free", "f", "2026-01-01"]), "INSERT 0 1");
    assert!(
        counted(&mut amy, &insert, &[&STRANGER.to_string(), "there", "f", "2026-01-01"])
            .starts_with("GLS-201")
    );
    let insert = format!("{team} SELECT $1, $2, k, $3 FROM unnest('{{f}}'::text[]) k ON CONFLICT DO NOTHING");
    assert_eq!(counted(&mut amy, &insert, &["880003", "free", "2026-01-01"]), "INSERT 0 1");
    // Too long for its column is an error as before, not cut.
    let long = "too long ".repeat(9);
    let got = counted(&mut amy, &insert, &["880003", &long, "2026-01-01"]);
    assert!(!got.starts_with("INSERT") && !got.starts_with("GLS"), "{got}");
    // A row whose patient the text does not say.
    let got = amy.query("INSERT INTO clinic.care_team (member, function, since) VALUES ('x', 'f', now()) ON CONFLICT DO NOTHING");
    assert!(got.failure().is_some_and(|f| f.message.contains("GLS-240")));
}

/// A key that a hidden row has makes an INSERT fail that would succeed without the row.
#[test]
#[ignore = "defect: a duplicate key (23505) shows that a hidden row has it; KNOWN_LIMITATIONS.md, 2"]
fn a_hidden_key_is_not_told_from_a_free_one() {
    let grants = "GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA clinic TO nurse";
    let (whole, hers) = databases(grants);
    let (_proxy, mut direct, mut through) = pair(&whole, &hers);
    let mut wrong = Vec::new();
    for sql in [
        "INSERT INTO clinic.problem VALUES (1, 880003, 'X', 'planted', NULL, 'active')",
        "INSERT INTO clinic.problem VALUES (1, 880003, 'X', 'planted', NULL, 'active') ON CONFLICT DO NOTHING",
        "UPDATE clinic.problem SET problem_id = 2 WHERE problem_id = 3",
    ] {
        for step in ["BEGIN", sql, "ROLLBACK"] {
            let (expected, got) = (direct.query(step), through.query(step));
            compare(&mut wrong, "key", step, &expected, &got);
        }
    }
    assert_none(&wrong, 3);
}

/// A break-glass session opens its patient and nothing else: as an assignment of that patient would.
#[test]
fn with_the_glass_open_reads_are_those_with_one_patient_more() {
    let server = Postgres::shared();
    let (whole, hers) = (server.demo(), server.demo());
    let one_more = format!("INSERT INTO glass.assigned VALUES ('nurse_amy', {STRANGER})");
    server.psql(hers.name(), &one_more);
    let gone = format!("(patient_id IN ({},{STRANGER})) IS NOT TRUE", amys());
    let rest = "DELETE FROM clinic.lab_result WHERE order_id IS NULL;";
    server.psql(hers.name(), &format!("BEGIN;\n{} {rest}\nCOMMIT;", deletion(&gone)));
    let (_proxy, mut direct, mut through) = pair(&whole, &hers);
    through.ok(&format!("SELECT * FROM glass.open('{STRANGER}', 'BTG', 'unconscious, unknown drugs')"));
    let mut wrong = Vec::new();
    for sql in READS {
        let (expected, mut got) = (direct.query(sql), through.query(sql));
        // The session announces itself.
        got.messages.retain(|m| m.tag != b'N');
        compare(&mut wrong, "glass", sql, &expected, &got);
    }
    through.ok("SELECT glass.close()");
    assert_eq!(through.ok("SELECT count(*) FROM clinic.patient").value(), "25");
    assert_none(&wrong, READS.len());
}
