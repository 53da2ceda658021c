//! Conditions for which the server converts the column, not the constant: on a hidden row that could fail, and tell of it.

use crate::p2_enforcement::{databases, pair};
use crate::support::amys;
use crate::wire::{
    Reply, Wire, bind, close_statement, describe_portal, describe_statement, execute, parse_typed, sync,
};

fn shown(reply: &Reply) -> (Option<String>, Vec<Vec<Option<String>>>) {
    (reply.failure().map(|f| f.sqlstate), reply.rows())
}

fn typed(wire: &mut Wire, sql: &str, types: &[u32], parameters: &[&str]) -> Reply {
    let sent =
        [parse_typed("", sql, types), bind("", "", parameters), describe_portal(""), execute("", 0), sync()];
    wire.send(&sent.concat());
    wire.reply()
}

fn more(own_casts: bool) -> String {
    let casts = "CREATE CAST (text AS int4) WITH INOUT AS IMPLICIT; CREATE CAST (int8 AS bool) WITH INOUT AS IMPLICIT;";
    format!(
        "ALTER TABLE clinic.patient ADD big int8, ADD num numeric, ADD dec numeric(10,2), ADD dbl float8, ADD seen timestamp, ADD word text;
         ALTER TABLE clinic.patient DISABLE TRIGGER USER;
         UPDATE clinic.patient SET big = patient_id % 3, num = patient_id % 3, dec = patient_id % 3, dbl = patient_id % 3, word = patient_id % 3;
         UPDATE clinic.patient SET big = 9223372036854775807, num = '1e400'::numeric, word = 'no number' WHERE patient_id NOT IN ({});
         {}",
        amys(),
        if own_casts { casts } else { "" }
    )
}

/// Of what every session may send.
const TEXTS: &[&str] = &[
    "SELECT count(*) FROM clinic.patient WHERE big = ANY ('{1}'::oid[])",
    "SELECT count(*) FROM clinic.patient WHERE big <> ALL ('{1,2}'::oid[])",
    "SELECT count(*) FROM clinic.patient WHERE big = ANY (ARRAY[1, 2]::oid[])",
    "SELECT count(*) FROM clinic.patient WHERE big = ANY (CAST('{1}' AS pg_catalog.oid[]))",
    "SELECT count(*) FROM clinic.patient WHERE num = ANY ('{1}'::float8[])",
    "SELECT count(*) FROM clinic.patient WHERE num < ANY ('{1}'::float4[])",
    "SELECT count(*) FROM clinic.patient WHERE num >= ALL (ARRAY[1]::float8[])",
    "SELECT count(*) FROM clinic.ward w WHERE NOT EXISTS (SELECT FROM clinic.patient p WHERE p.big = ANY ('{77}'::oid[]))",
    "SELECT count(*) FROM clinic.patient WHERE big = ANY ('{1}'::int8[]) AND num = ANY ('{1}'::numeric[])",
    "SELECT count(*) FROM clinic.patient WHERE big = 1 AND num > 0.5 AND num IN (1, 2)",
];

/// With parameters, and what the client says of their types.
const TYPED: &[(&str, &[u32], &[&str])] = &[
    ("SELECT count(*) FROM clinic.patient WHERE num = $1", &[701], &["1"]),
    ("SELECT count(*) FROM clinic.patient WHERE num < $1", &[700], &["2"]),
    ("SELECT count(*) FROM clinic.patient WHERE num IN ($1, 2)", &[701], &["1"]),
    ("SELECT count(*) FROM clinic.patient WHERE num BETWEEN $1 AND $2", &[701, 701], &["0", "2"]),
    ("SELECT count(*) FROM clinic.patient WHERE num IS DISTINCT FROM $1", &[701], &["1"]),
    ("SELECT count(*) FROM clinic.patient WHERE num = ANY ($1)", &[1022], &["{1}"]),
    ("SELECT count(*) FROM clinic.patient WHERE num = ANY (ARRAY[$1])", &[701], &["1"]),
    ("SELECT count(*) FROM clinic.patient WHERE nullif(num, $1) IS NULL", &[701], &["1"]),
    ("SELECT count(*) FROM clinic.patient WHERE CASE num WHEN $1 THEN true ELSE false END", &[701], &["1"]),
    ("SELECT count(*) FROM clinic.patient WHERE coalesce(num, $1) IS NULL", &[701], &["1"]),
    ("SELECT count(*) FROM clinic.patient WHERE greatest(num, $1) IS NULL", &[701], &["1"]),
    ("SELECT count(*) FROM clinic.patient WHERE (num, 1) = ($1, 1)", &[701], &["1"]),
    ("SELECT count(*) FROM clinic.patient WHERE num = $1 AND big = $2", &[], &["1", "1"]),
    ("SELECT count(*) FROM clinic.patient WHERE big = $1 AND patient_id > $2", &[20, 23], &["1", "1"]),
    // Another place says what the parameter is.
    (
        "SELECT count(*) FROM (VALUES ('1'::oid)) n (oid_column), clinic.patient WHERE n.oid_column = $1 AND big = $1",
        &[],
        &["1"],
    ),
    ("SELECT count(*) FROM clinic.patient WHERE $1::oid IS NOT NULL AND big = $1", &[], &["1"]),
    (
        "SELECT count(*) FROM clinic.patient WHERE EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = $1) AND big = $1",
        &[],
        &["1259"],
    ),
    ("SELECT count(*) FROM clinic.patient WHERE $1::float8 > 0 AND num = $1", &[], &["1"]),
    // Made of a parameter.
    ("SELECT count(*) FROM clinic.patient WHERE num = coalesce($1, 2)", &[701], &["1"]),
    ("SELECT count(*) FROM clinic.patient WHERE num = coalesce($1, patient_id::int4)", &[701], &["1"]),
    ("SELECT count(*) FROM clinic.patient WHERE num = greatest($1, 1)", &[701], &["1"]),
    ("SELECT count(*) FROM clinic.patient WHERE num = CASE WHEN true THEN $1 ELSE 2 END", &[701], &["1"]),
    ("SELECT count(*) FROM clinic.patient WHERE num = nullif($1, 2)", &[701], &["1"]),
    ("SELECT count(*) FROM clinic.patient WHERE num = nullif(1, $1)", &[701], &["2"]),
    ("SELECT count(*) FROM clinic.patient WHERE num = ANY (ARRAY[coalesce($1, 2), 5])", &[701], &["1"]),
    ("SELECT count(*) FROM clinic.patient WHERE num IN (SELECT coalesce($1, 2))", &[701], &["1"]),
    ("SELECT count(*) FROM clinic.patient p JOIN (VALUES ($1), (2)) v (n) ON p.num = v.n", &[701], &["1"]),
    (
        "SELECT count(*) FROM clinic.patient p JOIN (SELECT coalesce($1, 2) AS n) v ON p.num = v.n",
        &[701],
        &["1"],
    ),
    // Few digits fit everywhere.
    (
        "SELECT count(*) FROM clinic.patient WHERE dec = $1 AND dec IN ($1, 2) AND coalesce(dec, $1) > 0",
        &[701],
        &["1"],
    ),
    ("SELECT count(*) FROM (SELECT $1 AS n) v JOIN clinic.patient p ON p.num = v.n", &[701], &["1"]),
];

#[test]
fn what_a_column_is_converted_to_tells_of_no_hidden_row() {
    let (whole, hers) = databases(&more(false));
    let (_proxy, mut direct, mut amy) = pair(&whole, &hers);
    let mut wrong = Vec::new();
    let mut compare = |sql: &str, expected: &Reply, got: &Reply| {
        if expected.failure().is_some() || shown(expected) != shown(got) {
            wrong.push(format!("{sql}: {:?} {:?}, not {:?}", shown(got), got.failure(), shown(expected)));
        }
    };
    for sql in TEXTS {
        let expected = direct.query(sql);
        compare(sql, &expected, &amy.query(sql));
        compare(sql, &expected, &amy.extended(sql, &[]));
    }
    for (sql, types, parameters) in TYPED {
        let expected = typed(&mut direct, sql, types, parameters);
        compare(sql, &expected, &typed(&mut amy, sql, types, parameters));
    }
    for wire in [&mut direct, &mut amy] {
        wire.ok("PREPARE doubles (float8) AS SELECT count(*) FROM clinic.patient WHERE num = $1");
    }
    // What no row of hers has, and a parameter that every row would convert.
    for wire in [&mut direct, &mut amy] {
        wire.ok("SET plan_cache_mode = force_generic_plan");
        ["nestloop", "indexscan", "bitmapscan"]
            .iter()
            .for_each(|way| _ = wire.ok(&format!("SET enable_{way} = off")));
        wire.ok("PREPARE wide (numeric) AS SELECT count(*) FROM clinic.patient WHERE word = 'no number' AND dbl = $1");
    }
    let sql = "EXECUTE wide ('1e400')";
    compare(sql, &direct.query(sql), &amy.query(sql));
    for (n, condition) in [
        "CASE WHEN word = 'no number' THEN $1 ELSE seen END IS NOT NULL AND word = 'no number'",
        "word = 'no number' AND seen IN ($1, $1)",
        "word = 'no number' AND seen = ANY (ARRAY[$1, seen])",
    ]
    .iter()
    .enumerate()
    {
        let sql = format!("EXECUTE day{n} ('5874897-12-31')");
        for wire in [&mut direct, &mut amy] {
            wire.ok(&format!(
                "PREPARE day{n} (date) AS SELECT count(*) FROM clinic.patient WHERE {condition}"
            ));
        }
        compare(&sql, &direct.query(&sql), &amy.query(&sql));
    }
    compare("EXECUTE doubles", &direct.query("EXECUTE doubles (1)"), &amy.query("EXECUTE doubles (1)"));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // Refused, whoever is hidden.
    for kind in [26, 2205, 1028] {
        let operator = if kind == 1028 { "= ANY ($1)" } else { "= $1" };
        let sql = format!("SELECT count(*) FROM clinic.patient WHERE big {operator}");
        let value = if kind == 1028 { "{1}" } else { "1" };
        assert_eq!(typed(&mut amy, &sql, &[kind], &[value]).refusal().sqlstate, "42501", "{sql} {kind}");
    }
    for types in ["oid", "pg_catalog.regclass", "oid[]"] {
        let sql =
            format!("PREPARE o ({types}) AS SELECT count(*) FROM clinic.patient WHERE big::text = $1::text");
        assert_eq!(amy.query(&sql).refusal().sqlstate, "42501", "{sql}");
    }
}

#[test]
fn casts_of_the_databases_own_see_no_hidden_row() {
    let (whole, hers) = databases(&more(true));
    let (_proxy, mut direct, mut amy) = pair(&whole, &hers);
    let mut wrong = Vec::new();
    for sql in [
        "SELECT count(*) FROM clinic.patient WHERE word = 1",
        "SELECT count(*) FROM clinic.patient WHERE word BETWEEN 0 AND 1",
        "SELECT count(*) FROM clinic.patient WHERE word = ANY ('{1,2}'::int[])",
        "SELECT count(*) FROM clinic.patient WHERE word <> ALL ('{1,2}'::int[])",
        "SELECT count(*) FROM clinic.ward w WHERE NOT EXISTS (SELECT FROM clinic.patient p WHERE p.word = 77)",
        "SELECT count(*) FROM clinic.patient p JOIN clinic.ward w ON p.word = 1",
        "SELECT count(*) FROM clinic.patient WHERE big",
        "SELECT count(*) FROM clinic.patient WHERE NOT big AND word LIKE '%'",
        "SELECT count(*) FROM clinic.patient WHERE CASE WHEN big THEN true ELSE false END",
    ] {
        let expected = direct.query(sql);
        for got in [amy.query(sql), amy.extended(sql, &[])] {
            if expected.failure().is_some() || shown(&expected) != shown(&got) {
                wrong.push(format!(
                    "{sql}: {:?} {:?}, not {:?}",
                    shown(&got),
                    got.failure(),
                    shown(&expected)
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What has to be computed from a parameter, with the types it is declared as, and a value of which that fails. Each
/// is beside a condition that rows of others alone have.
const CAST: &[(&str, &str, &str)] = &[
    ("text", "big = $1::int8", "'x'"),
    ("varchar", "born = $1::date", "'x'"),
    ("text", "seen > CAST($1 AS timestamp)", "'x'"),
    ("text", "big IN (1, $1::int4)", "'x'"),
    ("text", "big = ANY ($1::int8[])", "'{x}'"),
    ("text[]", "big = ANY ($1::int8[])", "'{x}'"),
    ("text", "state = $1::clinic.state", "'x'"),
    ("text", "state = ANY ($1::clinic.state[])", "'{x}'"),
    ("text", "word = $1 AND big = $1::int8", "'no number'"),
    ("int8", "big = $1::int4", "9223372036854775807"),
    ("int8", "(big = $1 OR big = $1::int2)", "9223372036854775807"),
    ("numeric", "big = $1::int8", "1e30"),
    ("numeric", "dbl = $1::float8", "1e400"),
    ("float8", "dbl = $1::real", "1e300"),
    ("date", "seen = $1::timestamp", "'5874897-12-31'"),
    ("bool", "($1 OR true) AND big = $1::int", "NULL"),
    // Declared by nobody, but cut to its length.
    ("", "dec = $1::numeric(4,2)", "12345"),
    ("numeric", "num = $1::numeric(4,2)", "12345"),
    // The first place says what it is.
    ("", "word = $1 AND big = $1::int8", "'no number'"),
    ("", "$1::text IS NOT NULL AND big = $1::int8", "'no number'"),
    ("", "num > $1 AND dbl = $1", "1e400"),
    ("", "(SELECT word FROM clinic.patient q WHERE q.word = $1 LIMIT 1) IS NULL AND big = $1::int8", "'x'"),
    ("", "length($1) = 1 AND big = $1::int8", "'x'"),
    (
        "",
        "(SELECT count(*) FROM (SELECT word AS big FROM clinic.patient) q WHERE q.big = $1) = 0 AND big = $1::int8",
        "'x'",
    ),
];

/// The same without a value that fails.
const FITS: &[(&str, &str, &str)] = &[
    ("", "big = $1::int8", "1"),
    ("", "big = $1::int8 OR $1::int8 IS NULL", "1"),
    ("", "($1::int8 IS NULL OR big = $1) AND ($2::text IS NULL OR word = $2)", "1, NULL"),
    ("int4, text", "($1 IS NULL OR big = $1::int8) AND (word = $2::varchar OR $2 IS NULL)", "1, '1'"),
    ("numeric", "num = $1 AND dec > $1", "1"),
    ("", "num BETWEEN $1 AND $2 AND dbl < $3 AND num IN ($4, $5)", "0, 2, 3, 1, 2"),
    ("", "born > $1 AND state = ANY ($2::clinic.state[])", "'1900-01-01', '{old}'"),
    ("uuid", "$1::uuid IS NOT NULL AND big = 1", "'00000000-0000-0000-0000-000000000001'"),
];

/// A cast of a parameter that was declared otherwise is computed on every row of a generic plan.
#[test]
fn what_a_parameter_is_cast_to_tells_of_no_hidden_row() {
    let state = "CREATE TYPE clinic.state AS ENUM ('old', 'new'); ALTER TABLE clinic.patient ADD state clinic.state, ADD born date;";
    let (whole, hers) = databases(&format!("{state} {}", more(false)));
    let (_proxy, mut direct, mut amy) = pair(&whole, &hers);
    for wire in [&mut direct, &mut amy] {
        wire.ok("SET plan_cache_mode = force_generic_plan");
        ["nestloop", "indexscan", "bitmapscan"]
            .iter()
            .for_each(|way| _ = wire.ok(&format!("SET enable_{way} = off")));
    }
    let mut wrong = Vec::new();
    let both = |condition: &str, types: &str, values: &str, wire: &mut Wire| {
        let types = if types.is_empty() { String::new() } else { format!("({types})") };
        wire.ok(&format!("PREPARE p {types} AS SELECT count(*) FROM clinic.patient p WHERE {condition}"));
        let got = shown(&wire.query(&format!("EXECUTE p ({values})")));
        wire.ok("DEALLOCATE p");
        got
    };
    let failing =
        CAST.iter().map(|(types, cast, value)| (*types, format!("word = 'no number' AND {cast}"), *value));
    let fitting = FITS.iter().map(|(types, condition, values)| (*types, (*condition).to_owned(), *values));
    for (types, condition, values) in failing.chain(fitting) {
        let expected = both(&condition, types, values, &mut direct);
        let got = both(&condition, types, values, &mut amy);
        if expected.0.is_some() || expected != got {
            wrong.push(format!("({types}) {condition}: {got:?}, not {expected:?}"));
        }
    }
    // By the protocol, the same text with other types.
    for (types, value) in
        [(&[][..], "1"), (&[25], "x"), (&[1043], "x"), (&[20], "1"), (&[23], "1"), (&[705], "2")]
    {
        let sql = "SELECT count(*) FROM clinic.patient WHERE word = 'no number' AND big = $1::int8";
        let (expected, got) =
            (typed(&mut direct, sql, types, &[value]), typed(&mut amy, sql, types, &[value]));
        if expected.failure().is_some() || shown(&expected) != shown(&got) {
            wrong.push(format!("{types:?} {value}: {:?}, not {:?}", shown(&got), shown(&expected)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Parameters that are declared are bound, whether the statement uses them or not.
#[test]
fn declared_parameters_without_a_place_are_bound() {
    let (whole, hers) = databases(&more(false));
    let (proxy, mut direct, mut amy) = pair(&whole, &hers);
    let mut gus = Wire::through(&proxy, &whole, "dba_gus");
    for (sql, types, values) in [
        ("SELECT count(*) FROM clinic.patient WHERE patient_id > $1", &[23, 25][..], &["1", "x"][..]),
        ("SELECT count(*) FROM clinic.patient WHERE patient_id > $1", &[23, 25, 20], &["1", "x", "3"]),
        ("SELECT count(*) FROM clinic.patient", &[23], &["1"]),
        ("SELECT count(*) FROM clinic.patient WHERE patient_id > $2", &[25, 23], &["x", "1"]),
        ("SELECT count(*) FROM clinic.patient WHERE word = $1", &[25, 25], &["x", "y"]),
    ] {
        let expected = typed(&mut direct, sql, types, values);
        assert_eq!(expected.failure().map(|f| f.message), None, "{sql}");
        for _ in 0..2 {
            let got = typed(&mut amy, sql, types, values);
            assert_eq!(shown(&got), shown(&expected), "{sql} {types:?}");
            assert_eq!(
                typed(&mut gus, sql, types, values).failure().map(|f| f.message),
                None,
                "{sql} {types:?}"
            );
        }
        let described = |wire: &mut Wire| {
            wire.send(
                &[parse_typed("d", sql, types), describe_statement("d"), close_statement("d"), sync()]
                    .concat(),
            );
            wire.reply().messages.iter().find(|m| m.tag == b't').map(|m| m.body.clone())
        };
        assert_eq!(described(&mut amy), described(&mut direct), "{sql} {types:?}");
        assert_eq!(described(&mut gus), described(&mut direct), "{sql} {types:?}");
    }
}
