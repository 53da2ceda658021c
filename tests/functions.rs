//! The list of built-in functions against a running server: everything its pg_proc has in pg_catalog is on the list, what
//! the list calls leakproof is so, and what it calls reviewed does not fail on values chosen to make it fail. Versions
//! other than the newest installed one: `./run versions`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::HashMap;

use common::Postgres;

const LIST: &str = include_str!("../src/sql/functions/builtins.tsv");

/// As `src/sql/functions/review.py` asks.
const QUERY: &str = "\
SELECT p.proname || '(' || pg_catalog.array_to_string(ARRAY(
         SELECT t.typname FROM pg_catalog.unnest(p.proargtypes) WITH ORDINALITY a (oid, i)
           JOIN pg_catalog.pg_type t ON t.oid = a.oid ORDER BY a.i), ',') || ')', p.proleakproof
  FROM pg_catalog.pg_proc p
 WHERE p.pronamespace = 'pg_catalog'::pg_catalog.regnamespace
   AND NOT 'internal'::pg_catalog.regtype = ANY (p.proargtypes::pg_catalog.oid[]) AND p.oid < 16384";

#[tokio::test]
async fn every_function_of_the_server_has_been_decided() {
    let database = Postgres::shared().database_with("SELECT 1");
    let server = database.superuser().await;
    let list: HashMap<&str, &str> = LIST
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| (line.split('\t').next().unwrap(), line.rsplit('\t').next().unwrap()))
        .collect();
    let rows = server.rows(QUERY).await;
    assert!(rows.len() > 2700, "{}", rows.len());
    let mut wrong = Vec::new();
    for row in &rows {
        let (function, leakproof) = (row[0].as_deref().unwrap(), row[1].as_deref() == Some("t"));
        match list.get(function) {
            None => wrong.push(format!("not on the list: {function}")),
            Some(&"leakproof") if !leakproof => wrong.push(format!("not leakproof: {function}")),
            Some(_) => {}
        }
    }
    assert!(wrong.is_empty(), "run src/sql/functions/review.py and decide:\n{}", wrong.join("\n"));
}

/// No proof, but a function that fails here is none that may run on rows nobody may see.
#[tokio::test]
async fn what_may_run_below_the_filter_does_not_fail() {
    const TEXTS: &str = "(VALUES (''), ('a'), ('\\'), ('%'), (' '), ('ß'), ('😀é'), (NULL), (repeat('ä', 300000)), (E'\\n\\t'), \
         ('İ'), ('-1'), ('infinity')) t(x)";
    const NUMBERS: &str = "(VALUES ('NaN'::numeric), ('Infinity'), ('-Infinity'), (0), (-0.5), (1e131071), (-1e131071), \
         (1e-16383), (99999999999999999999.5), (NULL)) t(x)";
    const FLOATS: &str = "(VALUES ('NaN'::float8), ('Infinity'), ('-Infinity'), ('-0'), (1e308), (-1e308), (1e-308), (NULL)) t(x)";
    const MOMENTS: &str = "(VALUES ('infinity'::timestamptz), ('-infinity'), ('4713-01-02 BC'), ('294276-12-31'), (now()), (NULL)) t(x)";
    const DATES: &str = "(VALUES ('infinity'::date), ('-infinity'), ('4713-01-02 BC'), ('5874897-12-31'), (current_date), (NULL)) t(x)";
    const DOCUMENTS: &str =
        "(VALUES ('{}'::jsonb), ('[]'), ('null'), ('1e1000'), ('{\"a\": [1, {\"b\": null}]}'), (NULL)) t(x)";
    const ARRAYS: &str = "(VALUES ('{}'::text[]), ('{a,NULL}'), ('[5:6]={a,b}'), ('{{a},{b}}'), (NULL)) t(x)";
    let database = Postgres::shared().database_with("SELECT 1");
    let server = database.superuser().await;
    for (from, expressions) in [
        (
            TEXTS,
            &[
                "lower(x), upper(x), initcap(x), reverse(x), md5(x)",
                "btrim(x), ltrim(x), rtrim(x), btrim(x, x), ltrim(x, 'ä'), rtrim('aß', x)",
                "translate(x, x, x), translate(x, 'a', ''), concat(x, x, NULL), concat_ws(', ', x, NULL, x)",
                "length(x), char_length(x), character_length(x), octet_length(x), bit_length(x), strpos(x, x), position(x IN 'a')",
                "starts_with(x, x), left(x, 0), left(x, 2000000000), right(x, 0), right(x, 2000000000)",
                "substr(x, 0), substr(x, 2000000000), substr(x, 3, 0), substring(x FROM 1 FOR 2147483647)",
                "split_part(x, x, 1), split_part(x, '', 1), split_part(x, ' ', 2147483647)",
                "lpad(x, 0), lpad(x, 10000, x), rpad(x, 10000), rpad('a', 9, x), lpad(x, 3, '')",
                "x LIKE 'a%', x NOT LIKE '\\_', x ILIKE '%ß%', x || x, x = x, x < 'a', x COLLATE \"C\" > 'a'",
            ][..],
        ),
        (
            NUMBERS,
            &[
                "ceil(x), ceiling(x), floor(x), round(x), trunc(x), sign(x), abs(x)",
                "x = 0, x > 1.5, x < x, x::text, x IN (1, 2)",
            ],
        ),
        (FLOATS, &["ceil(x), floor(x), round(x), trunc(x), sign(x), abs(x), abs(x::float8), x = 1, x::text"]),
        (
            MOMENTS,
            &[
                "isfinite(x)",
                // Fails in the first century of the calendar: limitation 17.
                "date_trunc('second', y), date_trunc('week', y), date_trunc('century', y) FROM (SELECT greatest(x, '4600-01-01 BC') AS y",
                "extract(year FROM x), extract(epoch FROM x), date_part('dow', x), extract(isoyear FROM x), x::text",
                "x > now() - interval '7 days', x = current_date",
            ],
        ),
        (
            DATES,
            &[
                "extract(year FROM x), isfinite(x), x = now(), x < localtimestamp, x::text",
                // Dates of which no timestamp can be made: limitation 17.
                "date_part('doy', y), y::timestamp FROM (SELECT least(x, '294276-12-31') AS y",
            ],
        ),
        (
            DOCUMENTS,
            &[
                "jsonb_typeof(x), x -> 'a', x ->> 'a', x -> 0, x ->> -1, x #> '{a,1,b}', x #>> '{}', x @> '{}', x <@ x, x ? 'a', x = x",
            ],
        ),
        (ARRAYS, &["cardinality(x), array_length(x, 0), array_length(x, 1), array_length(x, 2000000000)"]),
    ] {
        for expression in expressions {
            let end = if expression.contains("(SELECT") { ") y" } else { "" };
            let sql = format!("SELECT {expression} FROM {from}{end}");
            if let Err(error) = server.try_rows(&sql).await {
                // What only a newer server has.
                assert!(error.code().is_some_and(|c| c.code() == "42883"), "{expression}: {error:?}");
            }
        }
    }
}
