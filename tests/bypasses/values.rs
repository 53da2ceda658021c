//! Ways in through values: operators that fail on what hidden rows hold although they look harmless, and conditions that
//! the planner tries on its statistics, where hidden values stand, before anything is filtered. Each is shown to fail on
//! the whole database, and must answer as the one with her rows only.

use crate::common::wire::Wire;
use crate::common::{Database, Postgres, Proxy};
use crate::{assert_no_canary, outcome};

/// The numbers that are tested here.
pub(crate) const NUMBERS: &[u16] = &[135, 136, 137];

const WAYS: &[(u16, &str)] = &[
    // Tried on statistics: no row of the table is read.
    (135, "SELECT count(*) FROM people WHERE id = -1 AND code LIKE '%CANARY\\'"),
    (135, "SELECT count(*) FROM people WHERE id = -1 AND code ILIKE '%CANARY\\'"),
    (135, "SELECT count(*) FROM people WHERE id = -1 AND code NOT LIKE '%CANARY!' ESCAPE '!'"),
    (135, "SELECT count(*) FROM people WHERE id = -1 AND code LIKE ANY (ARRAY['x', '%CANARY\\'])"),
    (135, "SELECT count(*) FROM people WHERE id = -1 AND code LIKE '%CANARY' || '\\'"),
    (135, "SELECT count(*) FROM people WHERE id = -1 AND (code LIKE '%CANARY\\' OR ssn = 'x')"),
    (135, "SELECT count(*) FROM people WHERE id = -1 AND NOT (code LIKE '%CANARY\\') IS TRUE"),
    (135, "SELECT count(*) FROM people WHERE id = -1 AND (code LIKE '%CANARY\\') = true"),
    (135, "SELECT count(*) FROM (SELECT id, code LIKE '%CANARY\\' AS c FROM people) x WHERE id = -1 AND c"),
    (
        135,
        "WITH x AS (SELECT id, code LIKE '%CANARY\\' FROM people) SELECT count(*) FROM x WHERE id = -1 AND \"?column?\"",
    ),
    (
        135,
        "SELECT count(*) FROM people p JOIN people q ON q.mrn = p.id AND q.code LIKE '%CANARY\\' WHERE p.id = -1",
    ),
    (
        135,
        "SELECT count(*) FROM people p LEFT JOIN people q ON q.mrn = p.id AND q.code LIKE '%CANARY\\' WHERE p.id = -1",
    ),
    (
        135,
        "SELECT count(*) FROM people p WHERE id = -1 AND EXISTS (SELECT FROM people q WHERE q.id = p.id AND q.code LIKE '%CANARY\\')",
    ),
    (135, "SELECT code, count(*) FROM people WHERE id = -1 GROUP BY code HAVING code LIKE '%CANARY\\'"),
    (135, "SELECT count(*) FROM people WHERE id = -1 AND code ~ 5"),
    (135, "SELECT count(*) FROM people WHERE id = -1 AND r << '[100,200)'"),
    (135, "SELECT count(*) FROM people WHERE id = -1 AND r && '[100,200)'"),
    (135, "SELECT count(*) FROM people WHERE id = -1 AND pg_catalog.\"like\"(code, '%CANARY\\')"),
    (135, "SELECT count(*) FROM people WHERE id = -1 AND NOT pg_catalog.textlike(code, '%CANARY\\')"),
    (135, "SELECT count(*) FROM people WHERE id = -1 AND pg_catalog.texticlike(code, '%CANARY\\') = true"),
    (135, "SELECT count(*) FROM people WHERE id = -1 AND alike(code, '%CANARY\\')"),
    // An own operator on an enum is taken before the built-in one.
    (135, "SELECT count(*) FROM people WHERE id = -1 AND mood = '1'"),
    (135, "SELECT count(*) FROM people WHERE id = -1 AND (mood IN ('1', '2') OR ssn = 'x')"),
    (135, "SELECT count(*) FROM people WHERE body LIKE 'CANARY%' AND mood = '1'"),
    (
        135,
        "SELECT count(*) FROM people p JOIN people q ON q.mood = p.mood WHERE p.id = 1 AND q.body LIKE 'CANARY%'",
    ),
    (135, "SELECT count(*) FROM people p JOIN people q ON q.mrn = p.id AND q.mood = '1' WHERE p.id = -1"),
    // What another block puts in its place.
    (
        135,
        "SELECT count(*) FROM people p, LATERAL (VALUES (p.r < '[100,200)')) v (c) WHERE p.id = -1 AND v.c",
    ),
    // What is always taken the planner puts in place of the whole CASE.
    (135, "SELECT count(*) FROM people WHERE id = -1 AND r < '[100,200)'"),
    (135, "SELECT count(*) FROM people WHERE id = -1 AND CASE WHEN true THEN r < '[100,200)' END"),
    (135, "SELECT count(*) FROM people WHERE id = -1 AND CASE 1 WHEN 2 THEN true ELSE r >= '[100,200)' END"),
    (135, "SELECT count(*) FROM people WHERE id = -1 AND CASE WHEN true THEN code LIKE '%CANARY\\' END"),
    (135, "UPDATE people SET title = title WHERE id = -1 AND code LIKE '%CANARY\\'"),
    (135, "DELETE FROM people WHERE id = -1 AND code ~ 5"),
    // Collations that contradict each other.
    (136, "SELECT count(*) FROM people WHERE body LIKE 'CANARY%' AND body = title"),
    (136, "SELECT count(*) FROM people WHERE body LIKE 'CANARY%' AND lower(body || title) = 'x'"),
    (136, "SELECT count(*) FROM people WHERE body LIKE 'CANARY%' AND body IN ('x', title)"),
    (136, "SELECT count(*) FROM people WHERE body LIKE 'CANARY%' AND greatest(body, title) = 'x'"),
    (
        136,
        "SELECT count(*) FROM people WHERE CASE WHEN body LIKE 'CANARY%' THEN CASE body WHEN title THEN true END END",
    ),
    (
        136,
        "SELECT count(*) FROM people WHERE CASE WHEN body LIKE 'CANARY%' THEN nullif(body, title) END = 'x'",
    ),
    (136, "SELECT count(*) FROM people WHERE body LIKE 'CANARY%' AND (body, id) = (title, id)"),
    (
        136,
        "SELECT count(*) FROM (SELECT *, code COLLATE \"C\" AS a, ssn COLLATE \"POSIX\" AS b FROM people) s WHERE code LIKE 'CANARY%' AND a = b",
    ),
    (136, "SELECT count(*) FROM people x LEFT JOIN people y ON y.body LIKE 'CANARY%' AND y.body = y.title"),
    (136, "SELECT count(*) FROM people WHERE body LIKE 'CANARY%' AND strpos(word, 'x') = 1"),
    (136, "SELECT count(*) FROM people WHERE body LIKE 'CANARY%' AND split_part(word, 'a', 1) = 'x'"),
    (136, "SELECT count(*) FROM people WHERE body LIKE 'CANARY%' AND strpos(code COLLATE loose, 'x') = 1"),
    (136, "UPDATE people SET f = f WHERE body LIKE 'CANARY%' AND body = title"),
    // No room, no equality.
    (137, "SELECT count(*) FROM people WHERE f::real > 3"),
    (137, "SELECT count(*) FROM people WHERE body LIKE 'CANARY%' AND f::float4 IS NULL"),
    (137, "SELECT count(*) FROM people x LEFT JOIN people y ON y.f::real > 3"),
    (137, "SELECT count(*) FROM people WHERE body LIKE 'CANARY%' AND docs = docs"),
    (137, "SELECT count(*) FROM people WHERE body LIKE 'CANARY%' AND docs IS DISTINCT FROM ARRAY[docs[1]]"),
];

#[test]
fn hidden_values_make_nothing_fail() {
    let server = Postgres::shared();
    let whole = server.database_with(include_str!("values.sql"));
    let hers = server.copy_of(&whole);
    server.psql(hers.name(), "DELETE FROM people WHERE mrn <> 1; ANALYZE");
    let proxy = proxy(&whole);
    let version: i32 = server.psql(whole.name(), "SHOW server_version_num").trim().parse().unwrap();
    let mut wrong = Vec::new();
    for extended in [false, true] {
        for (number, text) in WAYS {
            let ask = |wire: &mut Wire| {
                // Plans for the very values, as statistics are tried for.
                wire.ok("SET plan_cache_mode = force_custom_plan");
                let reply = if extended { wire.extended(text, &[]) } else { wire.query(text) };
                outcome(&reply, text)
            };
            let unguarded = ask(&mut Wire::direct(&whole, "nurse_amy"));
            // Since 18 functions that look for a part of a text work under any collation.
            let works = version >= 180_000 && ["strpos(", "split_part("].iter().any(|f| text.contains(f));
            if unguarded.2.is_none() && !works {
                wrong.push(format!("#{number} tells nothing: {text} {unguarded:?}"));
            }
            let expected = ask(&mut Wire::direct(&hers, "nurse_amy"));
            assert_eq!(expected.2, None, "#{number} {text}");
            let mut amy = Wire::through(&proxy, &whole, "nurse_amy");
            amy.forget();
            let got = ask(&mut amy);
            assert_no_canary(&amy, text);
            if got != expected {
                wrong.push(format!("#{number} {text}\n  {got:?}\n  {expected:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}

fn proxy<'a>(database: &Database<'a>) -> Proxy<'a> {
    Proxy::start_from(database, include_str!("stage.toml"), |config| {
        let tables =
            config.find("[[table]]").zip(config.find("[reference]")).expect("the policy of the list");
        let people = "[[table]]\nname = \"public.people\"\nclass = \"notes\"\nkey = \"mrn\"\n\n[reference]\ntables = []\n";
        let roles = config.find("[role.nurse]").expect("a role");
        let role = config[roles..].replace(
            "[role.nurse.masks.\"public.patients\"]\nssn = \"null\"",
            "functions = [\"public.alike\"]",
        );
        format!("{}{people}\n{role}", &config[..tables.0])
    })
}
