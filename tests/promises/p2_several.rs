//! Rows of several patients (`many`), one of whom is closed by a label: where any of a row's patients is enough, the
//! row is what it is without that one, in every mode, for reads, writes and the record; where all are needed, it is not
//! there. The oracle is the same database before the patient came to the rows, asked through the same proxy.

use crate::common::{Database, Postgres, Proxy};
use crate::support::{has_merge, hide, replaced, told};
use crate::wire::{Reply, Wire};

/// nurse_amy has 880003, 880015 and 880051, and not 880001 and 880005; 880051 and 880005 are closed to her, by a label each.
const STAGE: &str = "
    CREATE TABLE clinic.session (sid int8 PRIMARY KEY, topic text, at date DEFAULT '2025-01-01');
    CREATE TABLE clinic.member (mid int8 PRIMARY KEY, sid int8, patient_id int8);
    CREATE INDEX ON clinic.member (sid);
    CREATE TABLE clinic.round (sid int8 PRIMARY KEY, topic text);
    CREATE TABLE clinic.bill (bid int8 PRIMARY KEY, kind text, about int8, topic text);
    CREATE TABLE clinic.badge (patient_id int8, badge text);
    CREATE TABLE clinic.chart (patient_id int8, sealed bool);
    INSERT INTO clinic.badge VALUES (880051, 'staff'), (880003, 'none'), (880001, NULL);
    INSERT INTO clinic.chart VALUES (880005, true), (880015, false);
    INSERT INTO clinic.session SELECT n, 'topic ' || n FROM generate_series(10, 18) n;
    INSERT INTO clinic.member VALUES (1, 10, 880003), (2, 11, 880003), (3, 11, 880001), (4, 12, 880015), (5, 13, 880001),
        (6, 14, 880051), (7, 15, NULL), (8, 15, 880005), (9, 16, 880051), (10, 16, 880005), (11, 18, NULL),
        (12, 20, 880003), (13, 21, 880003), (14, 30, 880051);
    INSERT INTO clinic.round SELECT * FROM (SELECT sid, topic FROM clinic.session) s;
    INSERT INTO clinic.bill SELECT sid, 'session', sid, topic FROM clinic.session UNION ALL
        SELECT 100 + n, 'patient', n, 'bill' FROM (VALUES (880001), (880003), (880005), (880051)) v (n)
        UNION ALL SELECT 200, 'nobody', 10, 'bill';
    GRANT ALL ON ALL TABLES IN SCHEMA clinic TO nurse;
    GRANT SELECT ON clinic.badge, clinic.chart TO pgglass;";

/// The closed come to rows of theirs and of others.
const CLOSED_COME: &str =
    "INSERT INTO clinic.member VALUES (101, 10, 880051), (102, 10, 880005), (103, 11, 880005),
    (104, 12, 880051), (105, 13, 880005), (106, 13, 880051), (107, 20, 880051), (108, 21, 880005)";

fn stage() -> Database<'static> {
    let database = Postgres::shared().demo();
    database.server().psql(database.name(), STAGE);
    // Plans of a switched off kind of join cost so much that the server would compile each.
    let plainly = format!("ALTER DATABASE {} SET jit = off; ANALYZE", database.name());
    database.server().psql(database.name(), &plainly);
    database
}

const ASSIGNED: &str =
    "scope = \"assigned\"\noutside = \"hide\"\nbreak_glass = \"clinical\"\n\n[role.physician]";

/// What the role of nurses is, and what is said of it further.
const MODES: [(&str, &str, &str); 5] = [
    ("hide", "scope = \"assigned\"\noutside = \"hide\"", ""),
    ("block", "scope = \"assigned\"\noutside = \"block\"", ""),
    (
        "mask",
        "scope = \"assigned\"\noutside = \"mask\"",
        "[role.nurse.outside_masks.\"clinic.session\"]\nat = \"none\"\n",
    ),
    ("all", "scope = \"all\"", ""),
    ("all, masked", "scope = \"all\"", "[role.nurse.masks.\"clinic.session\"]\nat = \"null\"\n"),
];

fn proxy(database: &Database<'static>, scope: &str, more: &str) -> Proxy<'static> {
    Proxy::start_with(database, |config| config_of(config, scope, more))
}

fn config_of(config: String, scope: &str, more: &str) -> String {
    let way = "column = \"COLUMN\", table = \"clinic.member\", references = \"sid\", many = true";
    let of =
        |column: &str| format!("via = [{{ {} }}]\nkey = \"patient_id\"\n", way.replace("COLUMN", column));
    let tables = format!(
        "[[table]]\nname = \"clinic.session\"\nclass = \"visits\"\n{0}\n\
         [[table]]\nname = \"clinic.round\"\nclass = \"visits\"\npatients = \"all\"\n{0}\n\
         [[table]]\nname = \"clinic.bill\"\nclass = \"visits\"\n\
         [[table.when]]\ncolumn = \"kind\"\nis = \"session\"\n{1}\
         [[table.when]]\ncolumn = \"kind\"\nis = \"patient\"\n\
         via = [{{ column = \"about\", table = \"clinic.patient\", references = \"patient_id\" }}]\nkey = \"patient_id\"\n\n\
         [[table]]\nname = \"clinic.member\"\nclass = \"visits\"\nkey = \"patient_id\"\n\n\
         [[label]]\nrelation = \"clinic.badge\"\npatient = \"patient_id\"\ncolumn = \"badge\"\n\
         values = {{ staff = \"EMP\" }}\nnone = [\"none\"]\n\n\
         [[label]]\nrelation = \"clinic.chart\"\npatient = \"patient_id\"\ncolumn = \"sealed\"\n\
         values = {{ true = \"SEALED\" }}\nnone = [\"false\"]\n\n",
        of("sid"),
        of("about"),
    );
    let scope = format!("{scope}\nbreak_glass = \"clinical\"\n\n[role.physician]");
    let config = replaced(hide(config), ASSIGNED, &scope);
    let glass = "max_sessions_per_day = 20\n";
    let config = replaced(config, glass, &format!("{glass}labels = [\"EMP\", \"SEALED\"]\n"));
    replaced(config, "[reference]", &format!("{tables}[reference]")) + more
}

/// Sessions in every place of a statement: what it says of them must not change when the closed come to them.
const READS: &[&str] = &[
    "SELECT sid, topic, at FROM clinic.session ORDER BY 1",
    "SELECT count(*), count(topic), min(at) FROM clinic.session",
    "SELECT m.patient_id, m.sid, s.sid, s.topic FROM clinic.member m LEFT JOIN clinic.session s USING (sid) ORDER BY 2, 1, 3",
    "SELECT m.patient_id, m.sid FROM clinic.member m LEFT JOIN clinic.session s USING (sid) WHERE s.sid IS NULL ORDER BY 2, 1",
    "SELECT m.sid, s.topic FROM clinic.member m FULL JOIN clinic.session s USING (sid) ORDER BY 1, 2",
    "SELECT mid FROM clinic.member m WHERE NOT EXISTS (SELECT 1 FROM clinic.session s WHERE s.sid = m.sid) ORDER BY 1",
    "SELECT mid FROM clinic.member WHERE sid NOT IN (SELECT sid FROM clinic.session) ORDER BY 1",
    "SELECT sid FROM clinic.member EXCEPT SELECT sid FROM clinic.session ORDER BY 1",
    "SELECT sid, 1 / (sid - 9) FROM clinic.session WHERE 10 / (sid - 9) >= 0 ORDER BY 1",
    "SELECT m.mid, (SELECT topic FROM clinic.session s WHERE s.sid = m.sid) FROM clinic.member m ORDER BY 1",
    "WITH s AS (SELECT * FROM clinic.session) SELECT count(*), max(sid) FROM s",
    "SELECT s.sid, count(m.mid) FROM clinic.session s LEFT JOIN clinic.member m USING (sid) GROUP BY 1 ORDER BY 1",
    "SELECT row_number() OVER (ORDER BY sid), topic FROM clinic.session ORDER BY 1",
    "SELECT bid, kind, topic FROM clinic.bill ORDER BY 1",
    "SELECT s.sid, b.bid FROM clinic.session s LEFT JOIN clinic.bill b ON b.about = s.sid ORDER BY 1, 2",
    "SELECT sid FROM clinic.session WHERE sid IN (10, 13, 14, 15) ORDER BY 1",
];

/// The same for writes, each undone.
const WRITES: &[&str] = &[
    "UPDATE clinic.session SET topic = 'changed'",
    "UPDATE clinic.session SET topic = 'changed' WHERE sid = 10",
    "UPDATE clinic.session SET topic = 'changed' WHERE sid = 13",
    "UPDATE clinic.session SET topic = 'changed' WHERE 10 / (sid - 9) >= 0",
    "UPDATE clinic.session SET sid = 20 WHERE sid = 10",
    "UPDATE clinic.session SET sid = 30 WHERE sid = 10",
    "DELETE FROM clinic.session WHERE sid >= 10",
    "DELETE FROM clinic.session WHERE sid = 14",
    "INSERT INTO clinic.session VALUES (20, 'new')",
    "INSERT INTO clinic.session VALUES (30, 'new')",
    "INSERT INTO clinic.session VALUES (10, 'new') ON CONFLICT (sid) DO UPDATE SET topic = 'changed'",
    "INSERT INTO clinic.session VALUES (20, 'new'), (21, 'new') ON CONFLICT DO NOTHING",
    "MERGE INTO clinic.session s USING (VALUES (10, 'x'), (21, 'x')) v (n, t) ON s.sid = v.n \
     WHEN MATCHED THEN UPDATE SET topic = v.t WHEN NOT MATCHED THEN INSERT (sid, topic) VALUES (v.n, v.t)",
    "WITH u AS (UPDATE clinic.session SET topic = 'changed' WHERE sid = 12 RETURNING sid) SELECT count(*) FROM u",
    "SELECT sid FROM clinic.session WHERE sid = 10 FOR UPDATE",
    "UPDATE clinic.bill SET topic = 'changed'",
    "DELETE FROM clinic.bill WHERE kind = 'session'",
];

fn essence(reply: &Reply) -> String {
    match reply.failure() {
        // Values of rows are not in it; the rest of the words may name the row that was tried.
        Some(failure) => format!("{} {}", failure.sqlstate, failure.gls().unwrap_or_default()),
        None => format!("{:?} {:?}", reply.commands(), reply.rows()),
    }
}

fn answers(wire: &mut Wire) -> Vec<String> {
    let mut all = Vec::new();
    for sql in READS {
        for extended in [false, true] {
            let reply = if extended { wire.extended(sql, &[]) } else { wire.query(sql) };
            all.push(format!("{sql}\n   {}", essence(&reply)));
        }
    }
    let merges = has_merge(wire);
    for sql in WRITES.iter().filter(|sql| merges || !sql.starts_with("MERGE")) {
        for extended in [false, true] {
            wire.ok("BEGIN");
            let reply = if extended { wire.extended(sql, &[]) } else { wire.query(sql) };
            all.push(format!("{sql}\n   {}", essence(&reply)));
            wire.ok("ROLLBACK");
        }
    }
    all
}

fn column(wire: &mut Wire, sql: &str) -> String {
    wire.ok(sql).firsts().join(" ")
}

#[test]
fn a_closed_patient_takes_no_row_from_the_others() {
    let database = stage();
    let server = database.server();
    let proxies = MODES.map(|(mode, scope, more)| (mode, proxy(&database, scope, more)));
    let mut amys: Vec<(&str, Wire)> =
        proxies.iter().map(|(mode, proxy)| (*mode, Wire::through(proxy, &database, "nurse_amy"))).collect();
    let before: Vec<Vec<String>> = amys.iter_mut().map(|(_, amy)| answers(amy)).collect();
    for ((mode, amy), answers) in amys.iter_mut().zip(&before) {
        // Those of patients who are all closed are nobody's to see; those of nobody are for who sees everyone.
        let expected = match *mode {
            "hide" | "block" => "10 11 12",
            _ => "10 11 12 13 17 18",
        };
        assert_eq!(column(amy, "SELECT sid FROM clinic.session ORDER BY 1"), expected, "{mode}");
        let failed = answers.iter().filter(|a| !a.contains("[")).count();
        // Row 30 is of a closed patient alone; nobody locks what is shown masked.
        assert!(failed <= 6, "{mode}: {answers:#?}");
    }
    server.psql(database.name(), CLOSED_COME);
    let mut wrong = Vec::new();
    for ((mode, amy), before) in amys.iter_mut().zip(&before) {
        for (was, is) in before.iter().zip(answers(amy)) {
            if *was != is {
                wrong.push(format!("{mode}: {is}\n   but before, {was}"));
            }
        }
        for setting in ["enable_hashjoin", "enable_nestloop", "enable_mergejoin", "enable_indexscan"] {
            amy.ok(&format!("SET {setting} = off"));
            for (sql, was) in READS.iter().zip(before.chunks(2)) {
                let is = format!("{sql}\n   {}", essence(&amy.query(sql)));
                if is != was[0] {
                    wrong.push(format!("{mode}, {setting} off: {is}\n   but before, {}", was[0]));
                }
            }
            amy.ok(&format!("RESET {setting}"));
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    // Clear is what is of an assigned patient who is open.
    let (_, amy) = &mut amys[2];
    let clear = "SELECT sid FROM clinic.session WHERE topic IS NOT NULL ORDER BY 1";
    assert_eq!(column(amy, clear), "10 11 12");
    // The record names those by whom the row is there.
    for ((mode, proxy), (_, amy)) in proxies.iter().zip(&mut amys) {
        for (sid, hers, everyone) in
            [("10", "880003", "880003"), ("11", "880003", "880001 880003"), ("13", "", "880001")]
        {
            let sql = format!("SELECT sid, at FROM clinic.session WHERE sid = {sid} /* {mode} */");
            amy.ok(&sql);
            let told = told(proxy, &sql);
            let named = told.patients.iter().cloned().collect::<Vec<_>>().join(" ");
            let expected = if matches!(*mode, "hide" | "block") { hers } else { everyone };
            assert_eq!((named.as_str(), told.exact), (expected, Some(true)), "{sql}: {told:?}");
        }
    }
    // Who opens the label of a patient has the rows that are that patient's alone, too.
    for ((mode, _), (_, amy)) in proxies.iter().zip(&mut amys) {
        let opened =
            "SELECT * FROM glass.open('880051', 'BTG', 'a colleague, unconscious', labels => ARRAY['EMP'])";
        amy.ok(opened);
        let rows = "SELECT sid FROM clinic.session WHERE sid IN (14, 15, 16) ORDER BY 1";
        for extended in [false, true] {
            let reply = if extended { amy.extended(rows, &[]) } else { amy.query(rows) };
            assert_eq!(reply.failure(), None, "{mode}");
            assert_eq!(reply.firsts().join(" "), "14 16", "{mode}");
        }
    }
}

#[test]
fn where_all_patients_are_needed_a_closed_one_hides_the_row() {
    let database = stage();
    let proxies = MODES.map(|(mode, scope, _)| (mode, proxy(&database, scope, "")));
    let seen = "SELECT sid FROM clinic.round ORDER BY 1";
    let mut amys: Vec<(&str, Wire)> =
        proxies.iter().map(|(mode, proxy)| (*mode, Wire::through(proxy, &database, "nurse_amy"))).collect();
    let of = |mode: &str, hers: &str, everyone: &str| {
        if matches!(mode, "hide" | "block") { hers.to_owned() } else { everyone.to_owned() }
    };
    for (mode, amy) in &mut amys {
        assert_eq!(column(amy, seen), of(mode, "10 12", "10 11 12 13 17 18"), "{mode}");
    }
    database.server().psql(database.name(), CLOSED_COME);
    for (mode, amy) in &mut amys {
        assert_eq!(column(amy, seen), of(mode, "", "17 18"), "{mode}");
        for sql in
            ["UPDATE clinic.round SET topic = 'x' WHERE sid = 10", "DELETE FROM clinic.round WHERE sid = 12"]
        {
            let reply = amy.ok(sql);
            assert!(reply.commands()[0].ends_with(" 0"), "{mode}: {:?}", reply.commands());
        }
        let made = amy.query("INSERT INTO clinic.round VALUES (20, 'new')").refusal();
        assert_eq!(made.gls().as_deref(), Some("GLS-201"), "{mode}");
    }
}

/// Nothing of such rows depends on whose they are, and no parameter of ours would stand in the text by itself.
#[test]
fn rows_outside_that_show_every_column_are_shown() {
    let database = stage();
    database.server().psql(
        database.name(),
        "CREATE TABLE clinic.leaf (lid int8 PRIMARY KEY, mid int8, word text); \
         INSERT INTO clinic.leaf SELECT mid, mid, 'leaf' FROM clinic.member; GRANT ALL ON clinic.leaf TO nurse;",
    );
    let leaf = "[[table]]\nname = \"clinic.leaf\"\nclass = \"visits\"\n\
                via = [{ column = \"mid\", table = \"clinic.member\", references = \"mid\" }]\nkey = \"patient_id\"\n\n";
    let every = "[role.nurse.outside_masks.\"clinic.session\"]\ntopic = \"none\"\nat = \"none\"\n\
                 [role.nurse.outside_masks.\"clinic.round\"]\ntopic = \"none\"\n\
                 [role.nurse.outside_masks.\"clinic.bill\"]\nbid = \"none\"\ntopic = \"none\"\n\
                 [role.nurse.outside_masks.\"clinic.member\"]\nmid = \"none\"\nsid = \"none\"\n\
                 [role.nurse.outside_masks.\"clinic.leaf\"]\nlid = \"none\"\nword = \"none\"\n";
    let reads = [
        ("SELECT topic, at FROM clinic.session WHERE sid = 13", "topic 13"),
        ("SELECT topic FROM clinic.session WHERE sid IN (10, 13) ORDER BY 1", "topic 10 topic 13"),
        ("SELECT count(*) FROM clinic.session WHERE sid < 14", "4"),
        ("SELECT topic FROM clinic.round WHERE sid = 13", "topic 13"),
        ("SELECT topic FROM clinic.bill WHERE bid = 13", "topic 13"),
        ("SELECT mid FROM clinic.member WHERE patient_id = 880001 ORDER BY 1", "3 5"),
        ("SELECT word FROM clinic.leaf WHERE lid IN (1, 3)", "leaf leaf"),
        (
            "SELECT l.word FROM clinic.leaf l JOIN clinic.member m USING (mid) JOIN clinic.session s USING (sid) \
             JOIN clinic.round r USING (sid) WHERE s.sid = 13",
            "leaf",
        ),
        ("SELECT (SELECT count(*) FROM clinic.session WHERE sid = 13) FROM clinic.round WHERE sid = 13", "1"),
    ];
    for labelled in [true, false] {
        let proxy = Proxy::start_with(&database, |config| {
            let config = config_of(config, "scope = \"assigned\"\noutside = \"mask\"", every);
            let config = replaced(config, "[reference]", &format!("{leaf}[reference]"));
            if labelled {
                config
            } else {
                replaced(config, "[role.nurse]\n", "[role.nurse]\nlabels = \"all\"\n")
            }
        });
        let mut amy = Wire::through(&proxy, &database, "nurse_amy");
        for open in [
            "SELECT 1",
            "SELECT * FROM glass.open('880007', 'BTG', 'unconscious, nobody knows why')",
            "SELECT * FROM glass.open('880005', 'BTG', 'a colleague, unconscious', labels => ARRAY['SEALED'])",
        ] {
            amy.ok(open);
            for (sql, expected) in reads {
                for extended in [false, true] {
                    let reply = if extended { amy.extended(sql, &[]) } else { amy.query(sql) };
                    assert_eq!(reply.failure(), None, "{open}, {sql}");
                    assert_eq!(reply.firsts().join(" "), expected, "{open}, {sql}");
                }
            }
            let bound = amy.extended("SELECT topic FROM clinic.session WHERE sid = $1", &["13"]);
            assert_eq!((bound.failure(), bound.firsts()), (None, vec!["topic 13".to_owned()]), "{open}");
            for sql in [
                "BEGIN; DECLARE k CURSOR FOR SELECT topic FROM clinic.session WHERE sid = 13; FETCH ALL FROM k; COMMIT",
                "PREPARE z AS SELECT topic FROM clinic.session WHERE sid = 13; EXECUTE z; DEALLOCATE z",
            ] {
                assert_eq!(column(&mut amy, sql), "topic 13", "{open}, {sql}");
            }
            let copied = amy.ok("COPY (SELECT topic FROM clinic.session WHERE sid = 13) TO STDOUT");
            assert_eq!(copied.commands(), ["COPY 1"], "{open}");
            // Writes reach patients inside alone.
            let written = amy.ok("UPDATE clinic.session SET topic = topic").commands();
            assert_eq!(written, [if labelled { "UPDATE 3" } else { "UPDATE 5" }], "{open}");
        }
    }
}
