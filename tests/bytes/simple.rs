//! The simple query protocol: statements that touch nothing protected, of both kinds of role.

use crate::common::wire::query;
use crate::play::{Script, Step, same, script};
use crate::stage::Stage;

/// One session each; messages in order.
const SCRIPTS: &[(&str, &[&str])] = &[
    ("one", &["SELECT 1", "select\t'odd   spacing' /* c */ as \"A b\" -- until here"]),
    (
        "several",
        &["SELECT 1; SELECT 'two', NULL, ''; SELECT 3 WHERE false; SELECT", ";;SELECT 1;;;SELECT 2;;"],
    ),
    (
        "nothing",
        &[
            "",
            " ",
            "\n\t\r\n",
            ";",
            ";;;",
            "-- nothing",
            "/* nothing */",
            "/* a /* nested */ b */;",
            "  ;--x\n;",
        ],
    ),
    (
        "white space around",
        &["  \n SELECT 1  \n ", "\u{feff}SELECT 1", "\u{a0}SELECT 2", "\u{c}SELECT 3", "\u{b}SELECT 4"],
    ),
    (
        "a name of UTF8",
        &["SET client_encoding TO 'UNICODE'", "SELECT 'ä'", "SHOW client_encoding", "RESET client_encoding"],
    ),
    (
        "syntax errors in a failed transaction",
        &[
            "BEGIN",
            "CREATE TEMP TABLE made (a int)",
            "SELECT $a/$ 1 $a/$",
            "SELECT $a/$ 2 $a/$",
            "SELEC 3",
            "SELECT 4",
            "SELECT 5 FROM no_such",
            "ROLLBACK",
        ],
    ),
    (
        "reference tables",
        &[
            "SELECT * FROM clinic.ward ORDER BY 1",
            "TABLE clinic.drug",
            "SELECT w FROM clinic.ward w ORDER BY 1 LIMIT 2",
            "SELECT a, c, d, e, f FROM scratch.t ORDER BY a LIMIT 9",
            "SELECT * FROM scratch.t WHERE a = 3",
            "SELECT count(*), sum(c) FROM scratch.t",
            "SELECT t.* FROM scratch.t t JOIN clinic.ward w ON w.ward_id = t.a ORDER BY a",
        ],
    ),
    (
        "values",
        &[
            "VALUES (1, 'a'), (2, NULL)",
            "SELECT 'x\\', E'y\\'z', $$d$$, U&'d\\0061t', B'101', X'ff'",
            "SELECT '\u{1F600}', 'ä', chr(8364)",
            "SELECT ARRAY[1,2], ROW(1,'x'), '{\"a\":1}'::jsonb, interval '1 day', 1e300::float8",
            "SELECT g, repeat('x', g) FROM generate_series(1, 3000) g",
        ],
    ),
    (
        "errors",
        &[
            "SELECT 1/0",
            "SELECT 1; SELECT 1/0; SELECT 2",
            "SELECT 'abc'::int",
            "SELECT no_such FROM clinic.ward",
            "SELECT 1 FROM clinic.ward w WHERE nothing.a = 1",
            "SELECT length(1, 2)",
            "SELECT 1 + 'x'",
            "SELECT 'ä', no_such",
            "SELECT count(*) FROM scratch.t GROUP BY",
            "INSERT INTO scratch.t(a) VALUES (1)",
            "INSERT INTO scratch.t(a) VALUES (NULL)",
            "INSERT INTO scratch.t(a) VALUES (2000000)",
            "INSERT INTO scratch.t(a, d) VALUES (2, repeat('x', 30))",
            "SELECT (SELECT a FROM scratch.t)",
            "DELETE FROM clinic.drug",
        ],
    ),
    (
        "syntax errors",
        &[
            "SELEC 1",
            "SELECT (",
            "SELECT $$",
            "SELECT 'x",
            "SELECT \"x",
            "SELECT \"\"",
            "SELECT 1 1",
            "/* open",
            "SELECT 1; SELEC 2",
            "SELECT 'ä' FROM FROM",
            "SELECT E'\\xZ', U&'\\00'",
            "SELECT 1::",
            "BEGIN; SELEC",
            "SELECT 1",
            "x",
            ")",
            "SELECT @",
            "SELECT 0x",
            "CREATE TABEL x()",
            "SELECT\n\n  1 +\n  * 2",
            "INSERT INTO scratch.t VALUES (1,",
            "SELECT $1",
            "SELECT 1 $1",
        ],
    ),
    (
        "syntax errors in a transaction",
        &["BEGIN", "SELEC 1", "SELECT 1", "SELEC 2", "", "ROLLBACK", "SELECT 1"],
    ),
    (
        "writes",
        &[
            "INSERT INTO scratch.t(a, b) VALUES (1001, 'new'), (1002, NULL) RETURNING *",
            "UPDATE scratch.t SET b = b || '!' WHERE a > 1000",
            "UPDATE scratch.t SET c = 1 WHERE a = 1001 RETURNING a, c",
            "DELETE FROM scratch.t WHERE a > 1000 RETURNING a, b",
            "INSERT INTO scratch.t(a) VALUES (5) ON CONFLICT DO NOTHING",
            "INSERT INTO scratch.log(words) VALUES ('one'), ('two') RETURNING n",
            "WITH x AS (DELETE FROM scratch.log RETURNING n) SELECT count(*) FROM x",
        ],
    ),
];

#[test]
fn simple_queries_of_an_unrestricted_role() {
    simple("dba_gus");
}

#[test]
fn simple_queries_of_a_restricted_role() {
    simple("nurse_amy");
}

fn simple(user: &'static str) {
    same(&Stage::of(user), &scripts());
}

pub(crate) fn scripts() -> Vec<Script> {
    let mut scripts: Vec<Script> = Vec::new();
    for (name, texts) in SCRIPTS {
        let messages: Vec<Vec<u8>> = texts.iter().map(|sql| query(sql)).collect();
        // All at once, and each after the answer to the one before.
        scripts.push(script(&format!("{name}, at once"), &messages));
        let steps = messages.into_iter().flat_map(|m| [Step::Send(m), Step::Ready(1)]).collect();
        scripts.push(Script { name: (*name).to_owned(), steps });
    }
    scripts
}
