//! Ways in through functions that no text names: behind casts, operators, operator classes, domains, defaults, generated
//! columns and CHECK constraints. Each is shown to tell something when it is let through, and refused; the same forms
//! without such functions behind them are not.

use std::collections::BTreeSet;

use crate::common::wire::{Reply, Wire, bind, execute, parse_typed, sync};
use crate::common::{Database, Postgres, Proxy};
use crate::{Stage, assert_no_canary, outcome, refused};

/// The numbers that are tested here.
pub(crate) const NUMBERS: &[u16] = &[129, 130, 131, 132, 133, 134];

/// One way in: what is sent, one text after the other. One of them must be refused.
type Way = (u16, &'static [&'static str]);

const WAYS: &[Way] = &[
    // Casts: explicit, of constants and rows, of elements, of fields, in assignments, not written at all.
    (129, &["SELECT 'x'::text::own.seen"]),
    (129, &["SELECT (CAST(label AS own.seen)).v FROM ward"]),
    (129, &["SELECT ARRAY['x'::text]::own.seen[]"]),
    (129, &["SELECT ROW('x'::text, 1)::own.pair"]),
    (129, &["SELECT name, 'x'::text::own.seen FROM patients"]),
    (129, &["BEGIN", "INSERT INTO own.seens VALUES ('x'::text, 2) RETURNING v", "ROLLBACK"]),
    (129, &["SELECT 'low'::own.mood::text"]),
    (129, &["SELECT upper('low'::own.mood)"]),
    (129, &["BEGIN", "DECLARE c129 CURSOR FOR SELECT 'x'::text::own.seen", "FETCH c129", "ROLLBACK"]),
    (129, &["COPY (SELECT 'x'::text::own.seen) TO STDOUT"]),
    // Functions that convert what they are given.
    (129, &["SELECT quote_literal(s) FROM own.signs"]),
    (129, &["SELECT 'x' || s FROM own.signs"]),
    (129, &["SELECT to_json(s) FROM own.signs"]),
    (129, &["SELECT row_to_json(x) FROM own.signs x"]),
    (129, &["SELECT json_agg(s) FROM own.signs"]),
    (129, &["SELECT to_json(m) FROM own.felts WHERE id = 1"]),
    (129, &["SELECT to_jsonb(a) FROM own.felts"]),
    (129, &["SELECT row_to_json(x) FROM (SELECT f.* FROM own.felts f JOIN patients p ON p.mrn = f.id) x"]),
    (129, &["SELECT json_build_object('a', max(m)) FROM own.felts"]),
    (131, &["SELECT '[b,a]'::own.span IS NOT NULL"]),
    (131, &["SELECT '{[b,a]}'::own.spans IS NOT NULL"]),
    (131, &["SELECT r && '[b,a]' FROM own.spanned"]),
    (131, &["SELECT own.span(label, 'zz') IS NOT NULL FROM ward"]),
    (131, &["BEGIN", "INSERT INTO own.spanned VALUES (2, '[b,a]') RETURNING id", "ROLLBACK"]),
    (131, &["SELECT x.r IS NOT NULL FROM jsonb_to_record('{\"r\": \"[b,a]\"}') AS x (r own.span)"]),
    (132, &["BEGIN", "INSERT INTO own.by_a (id) VALUES (1) RETURNING x", "ROLLBACK"]),
    (132, &["BEGIN", "INSERT INTO own.by_aa (id) VALUES (1) RETURNING x", "ROLLBACK"]),
    (132, &["BEGIN", "INSERT INTO own.by_r (id) VALUES (1) RETURNING x", "ROLLBACK"]),
    (132, &["BEGIN", "INSERT INTO own.by_t (id) VALUES (1) RETURNING x", "ROLLBACK"]),
    // Domains, by every way a value becomes one.
    (130, &["SELECT coalesce(c, '(1,CANARY-name-2)') IS NOT NULL FROM own.coded c"]),
    (130, &["SELECT coalesce(c.*, '(1,CANARY-name-2)') IS NOT NULL FROM own.coded c"]),
    (130, &["SELECT count(*) FROM (SELECT c FROM own.coded c UNION ALL SELECT '(1,CANARY-name-2)') x"]),
    (130, &["SELECT ks = '{CANARY-name-2}' FROM own.lists"]),
    (130, &["SELECT ks @> '{CANARY-name-2}' FROM own.lists"]),
    (130, &["SELECT coalesce(ks, '{CANARY-name-2}') IS NOT NULL FROM own.lists"]),
    (130, &["SELECT coalesce(r, '(CANARY-name-2,1)') IS NOT NULL FROM own.lists"]),
    (130, &["SELECT array_agg(k) = '{CANARY-name-2}' FROM own.coded"]),
    (130, &["SELECT ARRAY[k] = '{CANARY-name-2}' FROM own.coded"]),
    (130, &["SELECT ARRAY(SELECT k FROM own.coded) = '{CANARY-name-2}'"]),
    (130, &["BEGIN", "UPDATE own.lists SET ks[2] = 'CANARY-name-2'", "ROLLBACK"]),
    (130, &["BEGIN", "UPDATE own.lists SET r.k = 'CANARY-name-2'", "ROLLBACK"]),
    (130, &["SELECT 'CANARY-name-2'::own.known IS NOT NULL"]),
    (130, &["SELECT own.known('CANARY-name-2') IS NOT NULL"]),
    (130, &["SELECT known_too('CANARY-name-2') IS NOT NULL"]),
    (130, &["SELECT (x.v).known_too IS NOT NULL FROM (VALUES ('CANARY-name-2'::text)) x (v)"]),
    (130, &["SELECT x.known_too IS NOT NULL FROM unnest(ARRAY['CANARY-name-2']) x"]),
    (130, &["SELECT '(CANARY-name-2,1)'::own.row IS NOT NULL"]),
    (130, &["SELECT '{CANARY-name-2}'::own.known[] IS NOT NULL"]),
    (130, &["SELECT '{CANARY-name-2}'::own._known IS NOT NULL"]),
    (130, &["SELECT ROW('CANARY-name-2', 1)::own.row IS NOT NULL"]),
    (130, &["SELECT x.k IS NOT NULL FROM jsonb_to_record('{\"k\": \"CANARY-name-2\"}') AS x (k own.known)"]),
    (130, &["SELECT jsonb_populate_record(NULL::own.coded, '{\"k\": \"CANARY-name-2\"}') IS NOT NULL"]),
    (130, &["SELECT jsonb_populate_record(c, '{\"k\": \"CANARY-name-2\"}') IS NOT NULL FROM own.coded c"]),
    (130, &["SELECT lag(k, 1, 'CANARY-name-2') OVER () IS NOT NULL FROM own.coded"]),
    (130, &["SELECT array_append(ARRAY[k], 'CANARY-name-2') IS NOT NULL FROM own.coded"]),
    (130, &["BEGIN", "INSERT INTO own.coded VALUES (2, 'CANARY-name-2')", "ROLLBACK"]),
    (130, &["BEGIN", "UPDATE own.coded SET k = 'CANARY-name-2'", "ROLLBACK"]),
    (
        130,
        &[
            "PREPARE p130 (own.known) AS SELECT $1 IS NOT NULL",
            "EXECUTE p130('CANARY-name-2')",
            "DEALLOCATE ALL",
        ],
    ),
    (
        130,
        &[
            "CREATE TEMP TABLE t130 (k own.known)",
            "INSERT INTO t130 VALUES ('CANARY-name-2')",
            "DROP TABLE t130",
        ],
    ),
    (
        130,
        &[
            "CREATE TEMP TABLE t130 AS SELECT k FROM own.coded",
            "INSERT INTO t130 VALUES ('CANARY-name-2')",
            "DROP TABLE t130",
        ],
    ),
    (
        130,
        &[
            "SELECT k INTO TEMP t130 FROM own.coded",
            "INSERT INTO t130 VALUES ('CANARY-name-2')",
            "DROP TABLE t130",
        ],
    ),
    (
        130,
        &[
            "WITH x AS (INSERT INTO own.coded VALUES (2, 'CANARY-name-2') RETURNING id) SELECT 1/(id - 2) FROM x",
        ],
    ),
    // Operators, by their token and by forms that mean one.
    (131, &["SELECT 'a'::text =%= 'b'"]),
    (131, &["SELECT 'a' =%= 'b'"]),
    (131, &["SELECT label FROM ward WHERE label =%= label IS NOT NULL"]),
    (131, &["SELECT name =%= name FROM patients"]),
    (131, &["SELECT v = 'x'::text FROM own.seens"]),
    (131, &["SELECT v IN ('x'::text) FROM own.seens"]),
    (131, &["SELECT v IN (SELECT 'y'::text) FROM own.seens"]),
    (131, &["SELECT v = ANY (ARRAY['y'::text]) FROM own.seens"]),
    (131, &["SELECT CASE v WHEN 'x'::text THEN 1 END FROM own.seens"]),
    (131, &["SELECT l FROM own.levels ORDER BY l"]),
    (131, &["SELECT l, row_number() OVER (ORDER BY l) FROM own.levels ORDER BY (l).n"]),
    (131, &["SELECT greatest(a.l, b.l) FROM own.levels a, own.levels b WHERE (a.l).n < (b.l).n"]),
    // What a write evaluates by itself.
    (132, &["BEGIN", "INSERT INTO own.forms (id) VALUES (1) RETURNING body", "ROLLBACK"]),
    (132, &["BEGIN", "INSERT INTO own.forms VALUES (1, DEFAULT) RETURNING body", "ROLLBACK"]),
    (132, &["BEGIN", "INSERT INTO own.forms DEFAULT VALUES RETURNING body", "ROLLBACK"]),
    (132, &["BEGIN", "UPDATE own.forms SET body = DEFAULT RETURNING body", "ROLLBACK"]),
    (132, &["BEGIN", "UPDATE own.forms SET (id, body) = (2, DEFAULT) RETURNING body", "ROLLBACK"]),
    (132, &["BEGIN", "INSERT INTO own.forms_v (id) VALUES (1) RETURNING body", "ROLLBACK"]),
    (
        132,
        &[
            "BEGIN",
            "WITH f AS (INSERT INTO own.forms (id) VALUES (1) RETURNING body) SELECT * FROM f",
            "ROLLBACK",
        ],
    ),
    (132, &["BEGIN", "INSERT INTO own.greeted (id) VALUES (1) RETURNING g", "ROLLBACK"]),
    (132, &["BEGIN", "INSERT INTO own.derived VALUES (1) RETURNING g", "ROLLBACK"]),
    (132, &["BEGIN", "INSERT INTO own.checked VALUES ('CANARY-name-2')", "ROLLBACK"]),
    (132, &["BEGIN", "INSERT INTO own.parts VALUES (1, 'CANARY-name-2')", "ROLLBACK"]),
    (132, &["BEGIN", "INSERT INTO own.by_w VALUES (1) RETURNING x", "ROLLBACK"]),
    (132, &["BEGIN", "INSERT INTO own.by_c VALUES (1) RETURNING x", "ROLLBACK"]),
    (132, &["BEGIN", "INSERT INTO own.by_n VALUES (1) RETURNING x", "ROLLBACK"]),
    (132, &["BEGIN", "INSERT INTO own.by_d VALUES (1) RETURNING x", "ROLLBACK"]),
    (132, &["BEGIN", "INSERT INTO own.by_o VALUES (1) RETURNING x", "ROLLBACK"]),
    (132, &["BEGIN", "INSERT INTO own.moods VALUES ('low')", "ROLLBACK"]),
    (
        132,
        &[
            "BEGIN",
            "MERGE INTO own.forms f USING ward w ON f.id = w.id WHEN NOT MATCHED THEN INSERT (id) VALUES (w.id)",
            "SELECT body FROM own.forms ORDER BY id",
            "ROLLBACK",
        ],
    ),
];

/// Statements that reach nothing, though such functions are all around them.
const HONEST: &[&str] = &[
    "SELECT name FROM patients WHERE name = 'Ann' ORDER BY name",
    "SELECT v, w FROM own.seens",
    "SELECT s FROM own.signs WHERE s = 'yes'",
    "SELECT c.*, c.k = 'Ann' FROM own.coded c WHERE c.k IN ('Ann', 'x') OR coalesce(c.k, 'x') = 'y'",
    "SELECT id, k FROM own.coded WHERE k = 'Ann' ORDER BY k",
    "SELECT max(k), min(id), replace(k, 'A', 'B'), count(*) FROM own.coded GROUP BY id, k",
    "SELECT max(mail), min(sex), split_part('a b', ' ', 2), regexp_replace(mail, 'a', 'b') FROM app.people GROUP BY mail",
    "SELECT x.max, x.replace FROM (SELECT 1 AS max, 2 AS replace) x",
    // hstore has functions of these names, none of which takes a row.
    "SELECT x.each, x.delete, x.defined FROM (SELECT name AS each, 2 AS delete, 3 AS defined FROM patients) x ORDER BY x.each",
    "SELECT max(name), strpos(min(name), 'n') FROM patients",
    "SELECT gen_random_uuid() IS NULL",
    "SELECT * FROM own.forms WHERE body LIKE 'x%'",
    "UPDATE own.forms SET body = 'y' WHERE id = 0",
    "DELETE FROM own.forms",
    "UPDATE own.coded SET id = 7",
    "INSERT INTO app.people (mail, note, sex) VALUES ('a@b', 'Note', 'f')",
    "INSERT INTO app.people (mail, sex) SELECT 'c@d', 'female'::text",
    "INSERT INTO app.people DEFAULT VALUES",
    "UPDATE app.people SET share = 7, card = DEFAULT, ward = 'south', note = 'n'",
    "SELECT 'A@B'::citext = 'a@b', '18'::app.card, 'north'::app.ward, 50::app.percent, 'x@y'::app.mail",
    "SELECT 'female'::text::app.sex, true::int2, 'f'::app.sex < 'm', 'A' =~= 'a'",
    "SELECT mail, share, sex FROM app.people WHERE mail = 'A@B' AND sex = 'f' ORDER BY mail, sex",
    "SELECT x -> 'a', x || 'b=>2'::hstore, akeys(x) FROM app.people",
    "CREATE TEMP TABLE made (m app.mail, p app.percent DEFAULT 3)",
    "CREATE TEMP TABLE made AS SELECT mail, card FROM app.people",
    "PREPARE p AS SELECT 'a@b'::app.mail, $1::app.percent",
    "SELECT * FROM jsonb_to_record('{\"k\": 3}') AS x (k app.percent)",
];

fn stage() -> Stage {
    let server = Postgres::shared();
    let sql = format!("{}\n{}", include_str!("stage.sql"), include_str!("own_code.sql"));
    let whole = server.database_with(&sql);
    let hers = server.copy_of(&whole);
    server.psql(hers.name(), "DELETE FROM notes WHERE mrn <> 1; DELETE FROM patients WHERE mrn <> 1");
    let proxy = proxy(&whole, "");
    Stage { whole, hers, proxy }
}

/// A proxy whose nurses may call these functions, of two extensions as an administrator lists them.
fn proxy<'a>(database: &Database<'a>, functions: &str) -> Proxy<'a> {
    let mut listed = r#""public.akeys""#.to_owned();
    if !functions.is_empty() {
        listed = format!("{listed}, {functions}");
    }
    let own = [
        "seens", "signs", "lists", "coded", "greeted", "levels", "forms", "forms_v", "derived", "checked",
        "moods", "by_w", "by_c", "by_n", "by_d", "by_o", "parts", "part_1", "spanned", "felts", "by_a",
        "by_aa", "by_r", "by_t",
    ];
    let reference: Vec<String> = own.iter().map(|t| format!("\"own.{t}\"")).collect();
    Proxy::start_from(database, include_str!("stage.toml"), |config| {
        config
            .replace(
                "[reference]\ntables = [",
                &format!("[reference]\ntables = [\"app.people\", {}, ", reference.join(", ")),
            )
            .replace(
                "break_glass = \"clinical\"",
                &format!("break_glass = \"clinical\"\nfunctions = [{listed}]"),
            )
    })
}

fn play(wire: &mut Wire, texts: &[&str], extended: bool) -> Vec<Reply> {
    texts.iter().map(|text| if extended { wire.extended(text, &[]) } else { wire.query(text) }).collect()
}

#[test]
fn b129_to_b132_what_runs_unnamed_is_refused() {
    let stage = stage();
    let mut wrongs = Vec::new();
    for (n, texts) in WAYS {
        let all = |replies: &[Reply]| -> Vec<_> {
            replies.iter().zip(*texts).map(|(reply, text)| outcome(reply, text)).collect()
        };
        // Whether it tells anything: otherwise there is nothing to refuse.
        let whole = all(&play(&mut Wire::direct(&stage.whole, "nurse_amy"), texts, false));
        let hers = all(&play(&mut Wire::direct(&stage.hers, "nurse_amy"), texts, false));
        if whole == hers {
            wrongs.push(format!("#{n} {texts:?} tells nothing: {whole:?}"));
        }
        for extended in [false, true] {
            let mut amy = stage.amy();
            amy.forget();
            let replies = play(&mut amy, texts, extended);
            if !replies.iter().any(refused) {
                wrongs.push(format!("#{n} {texts:?}: {:?}", all(&replies)));
            } else {
                assert_no_canary(&amy, &format!("#{n} {texts:?}"));
            }
            amy.query("ROLLBACK");
            assert_eq!(amy.query("SELECT count(*) FROM public.patients").value(), "1", "#{n} {texts:?}");
        }
    }
    assert!(wrongs.is_empty(), "{} of {}:\n{}", wrongs.len(), WAYS.len(), wrongs.join("\n"));
    // It says which function, behind what, and what to do.
    let refusal = stage.amy().query("SELECT 'x'::own.known").refusal();
    let expected = "function own.there, which runs behind domain own.known, is not allowed for role nurse";
    assert!(refusal.message.contains(expected), "{refusal:?}");
}

#[test]
fn b130_a_parameter_of_a_domain_runs_its_constraints() {
    let stage = stage();
    let of = |name: &str| {
        let question = format!("SELECT '{name}'::regtype::oid");
        stage.whole.server().psql(stage.whole.name(), &question).trim().parse::<u32>().unwrap()
    };
    for (name, value) in
        [("own.known", "CANARY-name-2"), ("known_too", "CANARY-name-2"), ("own.row", "(CANARY-name-2,1)")]
    {
        let batch = [
            parse_typed("", "SELECT $1 IS NOT NULL", &[of(name)]),
            bind("", "", &[value]),
            execute("", 0),
            sync(),
        ]
        .concat();
        let mut direct = Wire::direct(&stage.whole, "nurse_amy");
        direct.send(&batch);
        assert_eq!(direct.reply().value(), "t", "{name}");
        let mut amy = stage.amy();
        amy.send(&batch);
        assert_eq!(amy.reply().refusal().sqlstate, "42501", "{name}");
    }
    let mut amy = stage.amy();
    amy.send(
        &[parse_typed("", "SELECT $1", &[of("app.mail")]), bind("", "", &["a@b"]), execute("", 0), sync()]
            .concat(),
    );
    assert_eq!(amy.reply().value(), "a@b");
}

#[test]
fn what_reaches_no_such_function_runs_as_it_does_without_pgglass() {
    let stage = stage();
    let mut wrongs = Vec::new();
    for text in HONEST {
        for extended in [false, true] {
            let texts = ["BEGIN", *text, "ROLLBACK"];
            let direct = play(&mut Wire::direct(&stage.whole, "nurse_amy"), &texts, extended).remove(1);
            assert!(direct.failure().is_none(), "{text}: {:?}", direct.failure());
            let through = play(&mut stage.amy(), &texts, extended).remove(1);
            let guarded = text.contains("patients");
            if through.failure().is_some() || (!guarded && outcome(&direct, text) != outcome(&through, text))
            {
                wrongs.push(format!("{text}: {:?} {:?}", through.failure(), through.rows()));
            }
        }
    }
    assert!(wrongs.is_empty(), "{} of {}:\n{}", wrongs.len(), 2 * HONEST.len(), wrongs.join("\n"));
}

/// What is listed runs; what it is given are values of rows, so that it runs behind the filter.
#[test]
fn b133_what_is_listed_runs_on_her_rows_alone() {
    let server = Postgres::shared();
    let sql = format!(
        "{}
         CREATE TYPE told AS (v text);
         CREATE FUNCTION tell(text) RETURNS told LANGUAGE plpgsql COST 0.0001 AS
            'BEGIN IF $1 LIKE ''CANARY%'' THEN RAISE division_by_zero; END IF; RETURN ROW($1)::told; END';
         CREATE CAST (text AS told) WITH FUNCTION tell(text);
         CREATE TYPE kind AS ENUM ('a', 'b');
         ALTER TABLE notes ADD kind kind, ADD uid uuid, ADD nick varchar(40), ADD score numeric;
         UPDATE notes SET kind = CASE mrn WHEN 1 THEN 'a' ELSE 'b' END::kind, uid = lpad(mrn::text, 32, '0')::uuid,
             nick = body, score = mrn;
         CREATE FUNCTION kind_text(kind) RETURNS text LANGUAGE plpgsql COST 0.0001 AS
            'BEGIN IF $1::name = ''b'' THEN RAISE division_by_zero; END IF; RETURN ''a''; END';
         CREATE CAST (kind AS text) WITH FUNCTION kind_text(kind) AS IMPLICIT;
         CREATE FUNCTION uid_text(uuid) RETURNS text LANGUAGE plpgsql COST 0.0001 AS
            'BEGIN IF $1 <> lpad(''1'', 32, ''0'')::uuid THEN RAISE division_by_zero; END IF; RETURN ''a''; END';
         CREATE CAST (uuid AS text) WITH FUNCTION uid_text(uuid);
         CREATE FUNCTION named(text, int4) RETURNS bool LANGUAGE plpgsql COST 0.0001 AS
            'BEGIN IF $1 LIKE ''CANARY%'' THEN RAISE division_by_zero; END IF; RETURN true; END';
         CREATE OPERATOR public.<= (LEFTARG = text, RIGHTARG = int4, FUNCTION = named);
         CREATE FUNCTION named(varchar, text) RETURNS bool LANGUAGE plpgsql COST 0.0001 AS
            'BEGIN IF $1 LIKE ''CANARY%'' THEN RAISE division_by_zero; END IF; RETURN true; END';
         CREATE OPERATOR public.>= (LEFTARG = varchar, RIGHTARG = text, FUNCTION = named);
         CREATE FUNCTION scored(numeric, int4) RETURNS bool LANGUAGE plpgsql COST 0.0001 AS
            'BEGIN IF $1 > 1 THEN RAISE division_by_zero; END IF; RETURN true; END';
         CREATE OPERATOR public.>= (LEFTARG = numeric, RIGHTARG = int4, FUNCTION = scored);",
        include_str!("stage.sql")
    );
    let whole = server.database_with(&sql);
    let proxy = proxy(
        &whole,
        r#""public.tell", "public.kind_text", "public.uid_text", "public.named", "public.scored""#,
    );
    let mut amy = Wire::through(&proxy, &whole, "nurse_amy");
    let mut wrongs = Vec::new();
    // Every row is looked at before it is joined with the assignment.
    for setting in ["nestloop", "mergejoin", "indexscan", "bitmapscan", "indexonlyscan"] {
        amy.ok(&format!("SET enable_{setting} = off"));
    }
    for text in [
        "SELECT id FROM notes WHERE body::told IS NOT NULL",
        "SELECT id FROM notes WHERE (body::told).v > ''",
        "SELECT id FROM notes WHERE kind::text > ''",
        "SELECT id FROM notes WHERE upper(kind) > ''",
        "SELECT id FROM notes WHERE uid::text > ''",
        "SELECT id FROM notes WHERE body <= 5",
        "SELECT id FROM notes WHERE nick >= body",
        "SELECT id FROM notes WHERE nick BETWEEN body AND 'z'",
        "SELECT id FROM notes WHERE score >= mrn",
        "SELECT id FROM notes WHERE score BETWEEN mrn AND 9",
        "SELECT n.id FROM ward w JOIN notes n ON n.score >= w.id AND w.id = 1",
        "SELECT n.id FROM notes n WHERE EXISTS (SELECT FROM patients p WHERE n.score >= p.mrn AND n.mrn = p.mrn)",
        "SELECT id FROM notes WHERE score >= ANY (SELECT mrn FROM patients)",
        "SELECT id FROM (SELECT id, uid::text AS u, kind FROM notes) x WHERE u > '' AND kind::text > ''",
    ] {
        let reply = amy.query(text);
        if reply.failure().is_some() || reply.firsts() != ["11", "12", "13"] {
            wrongs.push(format!("{text}: {:?} {:?}", reply.failure(), reply.rows()));
        }
    }
    assert!(wrongs.is_empty(), "{wrongs:#?}");
    assert_no_canary(&amy, "#133");
}

/// A cast between built-in types can be anywhere: nothing runs until it is listed, and then everything.
#[test]
fn b134_a_cast_between_built_in_types_is_everywhere() {
    let server = Postgres::shared();
    let sql = format!(
        "{}
         CREATE FUNCTION opened(int4) RETURNS bytea LANGUAGE sql STABLE SECURITY DEFINER
            AS 'SELECT convert_to(name, ''UTF8'') FROM public.patients WHERE mrn = $1';
         CREATE CAST (int4 AS bytea) WITH FUNCTION opened(int4) AS IMPLICIT;",
        include_str!("stage.sql")
    );
    let whole = server.database_with(&sql);
    let closed = proxy(&whole, "");
    let mut amy = Wire::through(&closed, &whole, "nurse_amy");
    for text in ["SELECT encode(2, 'escape')", "SELECT name FROM patients", "SELECT 2::bytea"] {
        let refusal = amy.query(text).refusal();
        assert!(refusal.message.contains("public.opened"), "{text}: {refusal:?}");
    }
    assert_no_canary(&amy, "#134");
    let open = proxy(&whole, r#""public.opened""#);
    let mut amy = Wire::through(&open, &whole, "nurse_amy");
    assert_eq!(amy.query("SELECT name FROM patients").firsts(), ["Ann"]);
}

/// Code that is made while sessions are open is seen.
#[test]
fn what_is_made_later_is_refused_too() {
    let stage = stage();
    let mut amy = stage.amy();
    let server = stage.whole.server();
    let within = |amy: &mut Wire, text: &str, refused: bool| {
        for _ in 0..100 {
            if amy.query(text).failure().is_some_and(|f| f.sqlstate == "42501") == refused {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        panic!("{text}: refused is not {refused}");
    };
    let sql = |text: &str| _ = server.psql(stage.whole.name(), text);
    for (text, make, undo) in [
        (
            "SELECT 3::app.percent",
            "ALTER DOMAIN app.percent ADD CONSTRAINT later CHECK (own.there('Ann'))",
            "ALTER DOMAIN app.percent DROP CONSTRAINT later",
        ),
        (
            "INSERT INTO scratch (id) VALUES (1)",
            "ALTER TABLE scratch ALTER body SET DEFAULT own.peek('x')",
            "ALTER TABLE scratch ALTER body SET DEFAULT app.next_code()",
        ),
        (
            "SELECT 'x'::app.ward",
            "CREATE OR REPLACE FUNCTION app.is_ward(text) RETURNS bool LANGUAGE sql STABLE AS 'SELECT EXISTS (SELECT FROM patients WHERE name = $1)'",
            "CREATE OR REPLACE FUNCTION app.is_ward(text) RETURNS bool LANGUAGE sql STABLE AS 'SELECT true'",
        ),
        // Of an extension or not: what it shows counts, and only what an extension has need not be listed.
        (
            "SELECT upper('x')",
            "CREATE FUNCTION public.upper(int4) RETURNS text LANGUAGE sql STABLE SECURITY DEFINER AS 'SELECT name FROM public.patients WHERE mrn = $1'; ALTER EXTENSION citext ADD FUNCTION public.upper(int4)",
            "ALTER EXTENSION citext DROP FUNCTION public.upper(int4); DROP FUNCTION public.upper(int4)",
        ),
        (
            "SELECT reverse('x')",
            "CREATE FUNCTION public.reverse(int4) RETURNS text LANGUAGE sql AS 'SELECT $1::text'",
            "DROP FUNCTION public.reverse(int4)",
        ),
        (
            "SELECT 'f'::app.sex::text",
            "CREATE FUNCTION own.sexed(app.sex) RETURNS text LANGUAGE sql AS 'SELECT own.peek(''x'')'; CREATE CAST (app.sex AS text) WITH FUNCTION own.sexed(app.sex)",
            "DROP CAST (app.sex AS text)",
        ),
    ] {
        within(&mut amy, text, false);
        sql(make);
        within(&mut amy, text, true);
        sql(undo);
        within(&mut amy, text, false);
    }
}

#[test]
fn the_numbers_are_those_that_are_played() {
    let played: BTreeSet<u16> = WAYS.iter().map(|(n, _)| *n).chain([133, 134]).collect();
    assert_eq!(played, NUMBERS.iter().copied().collect());
}
