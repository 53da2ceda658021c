//! What decides whose rows are whose, beyond the row written: the far ends of other tables' ways, assignments and labels,
//! behind views, too. Nobody who is filtered helps themselves to rows by it, or gives their own away.

use crate::common::{Database, Postgres, Proxy};
use crate::support::{hide, replaced};
use crate::wire::{Reply, Wire};

/// nurse_amy has 880003 and 880051, and not 880001, whose rows have SECRET in them.
const STAGE: &str = "
    CREATE TABLE clinic.req (code text PRIMARY KEY, patient_id int8 NOT NULL);
    CREATE TABLE clinic.work (work_id int8 PRIMARY KEY, code text, patient_id int8);
    CREATE TABLE clinic.piece (piece_id int8 PRIMARY KEY, work_id int8, word text);
    INSERT INTO clinic.req VALUES ('own', 880003), ('other', 880001);
    INSERT INTO clinic.work VALUES (1, 'own', 880003), (2, 'own', 880001), (3, 'other', 880001);
    INSERT INTO clinic.piece VALUES (1, 1, 'own'), (2, 2, 'SECRET'), (3, 3, 'SECRET');
    CREATE TABLE clinic.thread (thread_id int8 PRIMARY KEY, root int8, patient_id int8, word text);
    INSERT INTO clinic.thread VALUES (1, 1, 880003, 'own'), (2, 1, 880001, 'own'), (3, 2, 880001, 'SECRET');
    -- The same way as the table's own, written otherwise, or further.
    CREATE TABLE clinic.stay (stay_id int8 PRIMARY KEY, patient_id int8 NOT NULL);
    CREATE TABLE clinic.step (step_id int8 PRIMARY KEY, stay_id int8 NOT NULL, word text);
    CREATE TABLE clinic.move (move_id int8 PRIMARY KEY, step_id int8 NOT NULL, word text);
    INSERT INTO clinic.stay VALUES (1, 880003), (2, 880001), (3, 880051);
    INSERT INTO clinic.step VALUES (1, 1, 'own'), (2, 2, 'SECRET');
    INSERT INTO clinic.move VALUES (1, 1, 'own'), (2, 2, 'SECRET');
    -- Several patients, and a view of what ties them to it.
    CREATE TABLE clinic.tie (tie_id int8 PRIMARY KEY, doc_id int8, patient_id int8);
    CREATE TABLE clinic.doc (doc_id int8 PRIMARY KEY, word text);
    CREATE VIEW clinic.tie_view AS SELECT tie_id, doc_id AS about, patient_id FROM clinic.tie;
    CREATE VIEW clinic.tie_of_tie AS SELECT tie_id, about, patient_id FROM clinic.tie_view WHERE tie_id > 0;
    INSERT INTO clinic.tie VALUES (1, 1, 880003), (2, 2, 880001);
    INSERT INTO clinic.doc VALUES (1, 'own'), (2, 'SECRET');
    -- Who is in a patient's team has everyone of the team; read over a view, and written over another.
    CREATE TABLE clinic.member (member_id int8 PRIMARY KEY, patient_id int8, who text, team int8);
    CREATE TABLE clinic.care (care_id int8 PRIMARY KEY, patient_id int8, team int8);
    CREATE TABLE clinic.spare (spare_id int8 PRIMARY KEY, patient_id int8, who text, team int8);
    CREATE VIEW glass.team AS SELECT m.who, c.patient_id FROM clinic.member m JOIN clinic.care c ON c.team = m.team;
    CREATE VIEW clinic.member_view AS SELECT member_id, patient_id, who, team FROM clinic.member;
    CREATE VIEW clinic.spare_view AS SELECT spare_id, patient_id, who, team FROM clinic.spare;
    INSERT INTO clinic.care VALUES (1, 880003, 1), (2, 880001, 2);
    INSERT INTO clinic.member VALUES (1, 880003, 'nurse_amy', 1), (2, 880003, 'nobody', 2);
    INSERT INTO clinic.spare VALUES (1, 880003, 'nobody', 2);
    -- Labels on a table, and a view of it; 880051 is a celebrity.
    CREATE TABLE clinic.tag (tag_id int8 PRIMARY KEY, patient_id int8, tag text);
    CREATE VIEW clinic.tag_view AS SELECT * FROM clinic.tag;
    CREATE VIEW clinic.tags AS SELECT patient_id AS whose, tag AS label FROM clinic.tag;
    INSERT INTO clinic.tag VALUES (1, 880051, 'vip'), (2, 880003, 'none');
    INSERT INTO clinic.stay VALUES (4, 880051);
    INSERT INTO clinic.step VALUES (4, 4, 'SECRET of a celebrity');
    GRANT ALL ON ALL TABLES IN SCHEMA clinic TO nurse, dba;
    GRANT SELECT ON ALL TABLES IN SCHEMA glass TO nurse, dba, pgglass;
    GRANT SELECT ON clinic.tag, clinic.tags, clinic.member, clinic.care, clinic.spare TO pgglass;";

fn stage(config: String) -> String {
    let entry =
        |t: &str, way: &str| format!("[[table]]\nname = \"clinic.{t}\"\nclass = \"visits\"\n{way}\n\n");
    let keyed = "key = \"patient_id\"";
    let via = |steps: &[(&str, &str, &str)], key: &str| {
        let steps: Vec<String> = steps
            .iter()
            .map(|(c, t, r)| format!("{{ column = \"{c}\", table = \"clinic.{t}\", references = \"{r}\" }}"))
            .collect();
        format!("via = [{}]\nkey = \"{key}\"", steps.join(", "))
    };
    let mut tables = String::new();
    for t in [
        "req",
        "stay",
        "tie",
        "tie_view",
        "tie_of_tie",
        "member",
        "member_view",
        "care",
        "spare",
        "spare_view",
    ]
    .into_iter()
    .chain(["tag", "tag_view"])
    {
        tables += &entry(t, keyed);
    }
    tables += &entry("work", &via(&[("code", "req", "code")], "patient_id"));
    tables += &entry("piece", &via(&[("work_id", "work", "work_id")], "patient_id"));
    tables += &entry("thread", &via(&[("root", "thread", "thread_id")], "patient_id"));
    tables += &entry(
        "step",
        &via(&[("stay_id", "stay", "stay_id"), ("patient_id", "patient", "patient_id")], "patient_id"),
    );
    tables +=
        &entry("move", &via(&[("step_id", "step", "step_id"), ("stay_id", "stay", "stay_id")], "patient_id"));
    let many = via(&[("doc_id", "tie", "doc_id")], "patient_id")
        .replace("\"doc_id\" }", "\"doc_id\", many = true }");
    tables += &entry("doc", &many);
    tables += "[[label]]\nrelation = \"clinic.tags\"\npatient = \"whose\"\ncolumn = \"label\"\n\
               values = { vip = \"CEL\" }\nnone = [\"none\"]\n\n";
    let sources = "\n[[assignment.source]]\nquery = \"SELECT t.who, t.patient_id FROM glass.team t\"\n\n\
                   [[assignment.source]]\nquery = \"SELECT s.who, c.patient_id FROM clinic.spare s JOIN clinic.care c ON c.team = s.team\"\n\n";
    let config =
        replaced(hide(config), "valid_to = \"valid_to\"\n", &format!("valid_to = \"valid_to\"\n{sources}"));
    let config = replaced(config, "[role.dba]\n", "[role.dba]\nlabels = \"all\"\n");
    replaced(config, "[reference]", &format!("{tables}[reference]"))
}

fn start() -> (Database<'static>, Proxy<'static>) {
    let database = Postgres::shared().demo();
    database.server().psql(database.name(), STAGE);
    let proxy = Proxy::start_with(&database, stage);
    (database, proxy)
}

fn tag(reply: &Reply) -> String {
    match reply.failure() {
        Some(failure) => failure.sqlstate,
        None => reply.commands().concat(),
    }
}

/// Writes of hers to rows of her own patients, by which rows of others would be hers, or hers others'.
const CLOSED: &[&str] = &[
    "UPDATE clinic.work SET patient_id = 880003 WHERE work_id = 2",
    "UPDATE clinic.work SET patient_id = 880001 WHERE work_id = 1",
    "UPDATE clinic.work SET work_id = 3 WHERE work_id = 1",
    "INSERT INTO clinic.work VALUES (2, 'own', 880003) ON CONFLICT (work_id) DO UPDATE SET patient_id = excluded.patient_id",
    "MERGE INTO clinic.work w USING (VALUES (2)) v (n) ON w.work_id = v.n WHEN MATCHED THEN UPDATE SET patient_id = 880003",
    "WITH w AS (UPDATE clinic.work SET patient_id = 880003 WHERE work_id = 2 RETURNING 1) SELECT count(*) FROM w",
    "UPDATE clinic.thread SET patient_id = 880003 WHERE thread_id = 2",
    "UPDATE clinic.thread SET patient_id = 880001 WHERE thread_id = 1",
    "INSERT INTO clinic.tie VALUES (10, 2, 880003)",
    "INSERT INTO clinic.tie_view VALUES (10, 2, 880003)",
    "INSERT INTO clinic.tie_of_tie VALUES (10, 2, 880003)",
    "UPDATE clinic.tie_view SET about = 2 WHERE tie_id = 1",
    "COPY clinic.tie_view FROM STDIN",
    "INSERT INTO clinic.member VALUES (10, 880003, 'nurse_amy', 2)",
    "INSERT INTO clinic.member_view VALUES (10, 880003, 'nurse_amy', 2)",
    "UPDATE clinic.member_view SET who = 'nurse_amy' WHERE member_id = 2",
    "UPDATE clinic.care SET team = 2 WHERE care_id = 1",
    "INSERT INTO clinic.spare_view VALUES (10, 880003, 'nurse_amy', 2)",
    "UPDATE clinic.spare_view SET who = 'nurse_amy' WHERE spare_id = 1",
    "UPDATE clinic.tag SET tag = 'none' WHERE tag_id = 2",
    "DELETE FROM clinic.tag WHERE tag_id = 2",
    "DELETE FROM clinic.tag_view",
    "UPDATE clinic.tag_view SET tag = 'none'",
    "TRUNCATE clinic.tag",
];

/// Her own, by ways that are the written rows' own.
const OPEN: &[(&str, &str)] = &[
    ("INSERT INTO clinic.stay VALUES (20, 880003)", "INSERT 0 1"),
    ("INSERT INTO clinic.step VALUES (20, 20, 'own')", "INSERT 0 1"),
    ("INSERT INTO clinic.move VALUES (20, 20, 'own')", "INSERT 0 1"),
    ("UPDATE clinic.step SET stay_id = 1, word = 'own too' WHERE step_id = 20", "UPDATE 1"),
    ("UPDATE clinic.step SET stay_id = 2 WHERE step_id = 20", "42501"),
    ("UPDATE clinic.stay SET patient_id = 880003 WHERE stay_id = 1", "UPDATE 1"),
    ("UPDATE clinic.stay SET patient_id = 880001 WHERE stay_id = 1", "42501"),
    ("UPDATE clinic.piece SET word = 'own too' WHERE piece_id = 1", "UPDATE 1"),
    ("INSERT INTO clinic.piece VALUES (20, 1, 'own')", "INSERT 0 1"),
    ("UPDATE clinic.work SET code = 'own' WHERE work_id = 1", "UPDATE 1"),
    ("UPDATE clinic.thread SET word = 'own too' WHERE thread_id = 1", "UPDATE 1"),
    ("UPDATE clinic.doc SET word = 'own too' WHERE doc_id = 1", "UPDATE 1"),
    ("DELETE FROM clinic.move WHERE move_id = 20", "DELETE 1"),
];

#[test]
fn nobody_helps_themselves_to_rows() {
    let (database, proxy) = start();
    let hidden = "SELECT count(*) FROM (SELECT word FROM clinic.piece UNION ALL SELECT word FROM clinic.thread
        UNION ALL SELECT word FROM clinic.step UNION ALL SELECT word FROM clinic.move UNION ALL SELECT word FROM clinic.doc) t
        WHERE word LIKE '%SECRET%'";
    let own = hidden.replace("LIKE '%SECRET%'", "= 'own'");
    let mut amy = Wire::through(&proxy, &database, "nurse_amy");
    let count = |amy: &mut Wire, sql: &str| amy.query(sql).rows()[0][0].clone();
    assert_eq!(count(&mut amy, hidden).as_deref(), Some("0"));
    let before = count(&mut amy, &own);
    assert_eq!(before.as_deref(), Some("6"), "the stage");
    let mut wrong = Vec::new();
    for extended in [false, true] {
        for sql in CLOSED {
            amy.ok("BEGIN");
            let got = tag(&if extended { amy.extended(sql, &[]) } else { amy.query(sql) });
            if got != "42501" {
                wrong.push(format!("{sql}: {got}"));
            }
            amy.ok("ROLLBACK");
        }
    }
    for (sql, wanted) in OPEN {
        let got = tag(&amy.query(sql));
        if got != *wanted {
            wrong.push(format!("{sql}: {got}, not {wanted}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(count(&mut amy, hidden).as_deref(), Some("0"));
    // Who sees everyone may do all of it.
    let mut gus = Wire::through(&proxy, &database, "dba_gus");
    for sql in CLOSED.iter().filter(|sql| !sql.starts_with("COPY") && !sql.starts_with("MERGE")) {
        gus.ok("BEGIN");
        let got = gus.query(sql).failure();
        assert!(got.as_ref().is_none_or(|f| f.sqlstate != "42501"), "{sql}: {got:?}");
        gus.ok("ROLLBACK");
    }
}
