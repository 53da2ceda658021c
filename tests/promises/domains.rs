//! Columns of domains: as patient keys, on the way to one, masked, and as what tells a category or a way, they count as
//! the type behind the domain (docs/configuration.md). The oracle is a database without the other patients' rows.

use crate::common::{Database, Postgres, Proxy};
use crate::p2_categories::gls;
use crate::p2_enforcement::{assert_none, compare};
use crate::support::{clear, told};
use crate::wire::Wire;

/// `key_type` of the configuration, the type behind the domain, and a constant of it with `#` for the patient.
const KEYS: [(&str, &str, &str); 5] = [
    ("text", "text", "'P#'"),
    ("text", "varchar(20)", "'P#'"),
    ("uuid", "uuid", "'00000000-0000-0000-0000-00000000000#'"),
    ("int8", "int8", "#"),
    ("int4", "int4", "#"),
];

/// The tables, with what the configuration names.
fn schema(base: &str, constant: &str) -> String {
    let [p1, p2] = ["1", "2"].map(|n| constant.replace('#', n));
    format!(
        "CREATE SCHEMA d; GRANT USAGE ON SCHEMA d TO nurse, pgglass;
         CREATE TYPE d.sense AS ENUM ('none', 'psy');
         CREATE DOMAIN d.under AS {base};
         CREATE DOMAIN d.key AS d.under CHECK (value::text <> 'nobody');
         CREATE DOMAIN d.code AS varchar(12); CREATE DOMAIN d.fixed AS char(4); CREATE DOMAIN d.num AS int8;
         CREATE DOMAIN d.cat AS d.sense; CREATE DOMAIN d.kind AS text CHECK (length(value) < 20);
         CREATE TABLE d.assigned (u text, p d.key, PRIMARY KEY (u, p));
         INSERT INTO d.assigned VALUES ('nurse_amy', {p1}), ('nurse_amy', {p2});
         CREATE TABLE d.evd (k d.key, n int, t d.kind, c d.fixed, i d.num);
         CREATE TABLE d.base (id int PRIMARY KEY, pid {base}, n int);
         CREATE TABLE d.ord (code d.code PRIMARY KEY, k d.key, n int);
         CREATE TABLE d.obs (id int PRIMARY KEY, code d.code, cat d.cat, n int);
         CREATE TABLE d.cost (id int PRIMARY KEY, kind d.kind, ref d.code, n int);
         CREATE TABLE d.shown (k d.key, s d.kind, f d.fixed, i d.num);
         CREATE TABLE d.ref (id int PRIMARY KEY, t d.kind); INSERT INTO d.ref VALUES (1, 'a'), (2, 'b');
         CREATE VIEW d.keyed AS SELECT k, n FROM d.evd WHERE n < 50;
         CREATE VIEW d.lateral AS SELECT o.k, x.c FROM d.evd o CROSS JOIN LATERAL \
             (SELECT count(*) c, max(e.n) m FROM d.base e WHERE e.pid = o.k) x;
         CREATE VIEW d.scalar AS SELECT o.k, (SELECT max(e.n) FROM d.base e WHERE e.pid = o.k) m FROM d.evd o;
         GRANT SELECT ON ALL TABLES IN SCHEMA d TO nurse, pgglass;
         GRANT INSERT, UPDATE, DELETE ON d.evd, d.base, d.keyed, d.obs TO nurse;"
    )
}

/// Two rows of each table for each of these patients; 1 and 2 are nurse_amy's.
fn rows(patients: std::ops::RangeInclusive<u8>, constant: &str) -> String {
    let mut sql = String::new();
    for patient in patients {
        let (k, hidden) = (constant.replace('#', &patient.to_string()), patient > 2);
        let t = if hidden { "'CANARY'" } else { "'5'" };
        for n in 1..=2 {
            let (id, n) = (10 * patient + n, if hidden { 0 } else { patient + n });
            sql += &format!(
                "INSERT INTO d.evd VALUES ({k}, {n}, {t}, 'ab', {n}); INSERT INTO d.base VALUES ({id}, {k}, {n});
                 INSERT INTO d.ord VALUES ('c{id}', {k}, {n});
                 INSERT INTO d.obs VALUES ({id}, 'c{id}', 'none', {n});
                 INSERT INTO d.cost VALUES ({id}, 'ord', 'c{id}', {n});
                 INSERT INTO d.shown VALUES ({k}, {t}, 'ab', {n});\n"
            );
        }
    }
    sql
}

/// Hidden by its category, of a patient who is hers.
const CLOSED: &str = "INSERT INTO d.obs VALUES (500, 'c11', 'psy', 0);";

/// The database with everybody in it, and the one with nurse_amy's patients only.
fn pair(base: &str, constant: &str, more: &str) -> (Database<'static>, Database<'static>) {
    let server = Postgres::shared();
    let hers = server.demo();
    server.psql(hers.name(), &format!("{}{}{more}", schema(base, constant), rows(1..=2, constant)));
    let whole = server.copy_of(&hers);
    server.psql(whole.name(), &format!("{}{CLOSED}", rows(3..=4, constant)));
    (whole, hers)
}

fn config(text: String, key_type: &str) -> String {
    let text = clear(text);
    let (head, _) = text.split_once("[patient]\n").expect("the demonstration's configuration has patients");
    let mut config = format!(
        "{head}[patient]\nkey_type = \"{key_type}\"\n\
         [assignment]\nrelation = \"d.assigned\"\nprincipal = \"u\"\npatient = \"p\"\n"
    );
    for (table, way) in [
        ("evd", "key = \"k\""),
        ("base", "key = \"pid\""),
        ("keyed", "key = \"k\""),
        ("shown", "key = \"k\""),
        ("ord", "key = \"k\""),
        (
            "obs",
            "via = [{ column = \"code\", table = \"d.ord\", references = \"code\" }]\nkey = \"k\"\n\
             category = { column = \"cat\", values = { psy = \"PSY\" }, none = [\"none\"] }",
        ),
        (
            "cost",
            "[[table.when]]\ncolumn = \"kind\"\nis = \"ord\"\n\
             via = [{ column = \"ref\", table = \"d.ord\", references = \"code\" }]\nkey = \"k\"",
        ),
    ] {
        config += &format!("[[table]]\nname = \"d.{table}\"\nclass = \"x\"\n{way}\n");
    }
    config
        + "[notices]\nrows_withheld = false\n[reference]\ntables = [\"d.ref\"]\n\
           [role.nurse]\ngroups = [\"nurse\"]\nscope = \"assigned\"\noutside = \"hide\"\n\
           [role.nurse.masks.\"d.shown\"]\ns = \"redact\"\nf = \"redact\"\ni = \"null\"\n"
}

const STATEMENTS: &[&str] = &[
    "SELECT DISTINCT n FROM d.evd",
    "SELECT DISTINCT k FROM d.evd ORDER BY k",
    "SELECT n FROM d.evd UNION SELECT 1",
    "SELECT k::text FROM d.evd UNION SELECT 'x'",
    "SELECT n FROM d.base WHERE n IN (SELECT n FROM d.evd)",
    "SELECT n FROM d.evd WHERE n IN (SELECT n FROM d.base)",
    "SELECT n FROM d.base b WHERE EXISTS (SELECT 1 FROM d.evd WHERE evd.k = b.pid)",
    "SELECT n FROM d.evd e WHERE NOT EXISTS (SELECT 1 FROM d.base b WHERE b.pid = e.k AND b.n > 3)",
    "SELECT (SELECT count(*) FROM d.base e WHERE e.pid = o.k) FROM d.evd o",
    "SELECT o.n, x.c FROM d.evd o, LATERAL (SELECT count(*) AS c FROM d.base e WHERE e.pid = o.k) x",
    "SELECT o.n, x.n FROM d.evd o, LATERAL (SELECT e.n FROM d.base e WHERE e.pid = o.k ORDER BY e.n LIMIT 1) x",
    "SELECT o.n, x.n FROM d.base o, LATERAL (SELECT e.n FROM d.evd e WHERE e.k = o.pid ORDER BY e.n LIMIT 1) x",
    "SELECT k, c FROM d.lateral ORDER BY k, c",
    "SELECT k, m FROM d.scalar ORDER BY k, m",
    "SELECT DISTINCT k, n FROM d.keyed ORDER BY k, n",
    "SELECT count(*), k FROM d.evd GROUP BY k ORDER BY k",
    "SELECT k, n, row_number() OVER (PARTITION BY k ORDER BY n) FROM d.evd ORDER BY k, n",
    "SELECT a.n FROM d.evd a LEFT JOIN d.base b ON b.pid = a.k AND b.n = a.n ORDER BY 1",
    "SELECT a.n FROM d.evd a JOIN d.ord USING (k) ORDER BY 1",
    "SELECT n FROM d.evd WHERE t::int > 4 ORDER BY 1",
    "SELECT n FROM d.evd WHERE t = '5' AND c = 'ab' AND i > 1 ORDER BY 1",
    "SELECT n FROM d.evd WHERE lower(t) LIKE '5%' AND 10 / n > 1 ORDER BY 1",
    "SELECT max(t), min(c), sum(i) FROM d.evd",
    "SELECT DISTINCT o.n, o.cat FROM d.obs o ORDER BY 1",
    "SELECT n FROM d.obs WHERE n IN (SELECT n FROM d.cost) ORDER BY 1",
    "SELECT DISTINCT n, kind FROM d.cost ORDER BY 1",
    "SELECT n FROM d.ref r, d.cost c WHERE c.kind = 'ord' ORDER BY 1",
    "WITH w AS (SELECT DISTINCT k FROM d.evd) SELECT count(*) FROM w JOIN d.ord USING (k)",
    "UPDATE d.evd SET n = n + 1 WHERE t = '5'",
    "UPDATE d.evd SET k = k WHERE n > 3",
    "UPDATE d.evd SET n = n WHERE n IN (SELECT n FROM d.base)",
    "INSERT INTO d.keyed SELECT k, n FROM d.evd ORDER BY n LIMIT 1",
    "INSERT INTO d.evd (k, n) SELECT pid, n FROM d.base ORDER BY n LIMIT 2",
    "INSERT INTO d.base SELECT 900, k, n FROM d.evd ORDER BY n LIMIT 1 ON CONFLICT (id) DO NOTHING",
    "UPDATE d.obs SET n = 7 WHERE n = 3",
    "DELETE FROM d.evd WHERE n = 3 RETURNING k, t",
];

#[test]
fn columns_of_domains_count_as_the_type_behind_them() {
    for (key_type, base, constant) in KEYS {
        let (whole, hers) = pair(base, constant, "");
        let proxy = Proxy::start_with(&whole, |text| config(text, key_type));
        let mut through = Wire::through(&proxy, &whole, "nurse_amy");
        let mut direct = Wire::direct(&hers, "nurse_amy");
        let mut wrong = Vec::new();
        for sql in STATEMENTS {
            for extended in [false, true] {
                let ask = |wire: &mut Wire| if extended { wire.extended(sql, &[]) } else { wire.query(sql) };
                compare(&mut wrong, base, sql, &ask(&mut direct), &ask(&mut through));
            }
        }
        assert_none(&wrong, 2 * STATEMENTS.len());
        let masked = through.ok("SELECT DISTINCT s, f, i FROM d.shown WHERE s = '***'");
        assert_eq!(masked.rows(), [[Some("***".to_owned()), Some("*** ".to_owned()), None]], "{base}");
        assert!(!through.received.windows(6).any(|w| w == b"CANARY"));
        // Whose rows may be written is decided by the key as ever.
        let (own, other) = (constant.replace('#', "1"), constant.replace('#', "3"));
        for sql in [
            format!("UPDATE d.evd SET k = {other}"),
            format!("INSERT INTO d.evd (k, n) VALUES ({other}, 1)"),
            format!("INSERT INTO d.base SELECT 901, {other}, n FROM d.evd LIMIT 1"),
        ] {
            assert_eq!(gls(&through.query(&sql).refusal()), "GLS-201", "{base}: {sql}");
        }
        // A key of a domain pins its patient.
        let sql = format!("SELECT count(*) FROM d.evd WHERE k = {own} AND n > 90");
        through.ok(&sql);
        let told = told(&proxy, &sql);
        let id = own.trim_matches('\'');
        assert_eq!(
            (told.exact, told.patients.len(), told.names(id)),
            (Some(true), 1, true),
            "{base}: {told:?}"
        );
    }
}

/// An operator of the database's own that takes the domain is the one that is meant, and may do anything.
#[test]
fn an_operator_on_the_domain_itself_sees_no_hidden_row() {
    let own = "CREATE FUNCTION d.same(d.key, text) RETURNS bool LANGUAGE sql IMMUTABLE \
             AS 'SELECT 1 / (length($1) - 2) = length($2)';
         CREATE FUNCTION d.alike(d.key, d.key) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT 1 / (length($1) - 2) > 0';
         CREATE OPERATOR d.= (leftarg = d.key, rightarg = text, function = d.same);
         CREATE OPERATOR d.= (leftarg = d.key, rightarg = d.key, function = d.alike);";
    // The operators fail on names of two letters.
    let (whole, hers) = pair("text", "'PP#'", own);
    whole.server().psql(whole.name(), "INSERT INTO d.evd VALUES ('P9', 0, 'CANARY', 'ab', 0)");
    let listed = |text| {
        config(text, "text")
            .replace("outside = \"hide\"\n", "outside = \"hide\"\nfunctions = [\"d.same\", \"d.alike\"]\n")
    };
    let proxy = Proxy::start_with(&whole, listed);
    let mut through = Wire::through(&proxy, &whole, "nurse_amy");
    let mut direct = Wire::direct(&hers, "nurse_amy");
    let mut wrong = Vec::new();
    for path in ["SET search_path = d, pg_catalog", "SET search_path = pg_catalog, d"] {
        direct.ok(path);
        through.ok(path);
        for sql in [
            "SELECT n FROM evd WHERE k = 'x'::text ORDER BY 1",
            "SELECT n FROM evd WHERE k = 'x' ORDER BY 1",
            "SELECT n FROM evd WHERE k = k ORDER BY 1",
            "SELECT n FROM base b WHERE EXISTS (SELECT 1 FROM evd e WHERE e.k = b.pid) ORDER BY 1",
            "SELECT n FROM base b WHERE EXISTS (SELECT 1 FROM evd e WHERE e.k = t) ORDER BY 1",
        ] {
            compare(&mut wrong, path, sql, &direct.query(sql), &through.query(sql));
        }
    }
    assert_none(&wrong, 10);
}
