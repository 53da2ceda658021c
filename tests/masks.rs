//! Masks on a real server: total (no value of a type makes one raise, whatever the session set), of
//! the column's type and modifier, and showing what the rule says.

#![allow(clippy::expect_used, clippy::panic)] // helpers of tests, too

mod postgres;

use pgglass::catalog::{Catalog, QualifiedName, load};
use pgglass::policy::{
    Mask, MaskOf, REDACTED, WITHHELD, mask_expression, mask_join, masked_type, zip3_small,
};
use postgres::Postgres;
use tokio_postgres::{Client, SimpleQueryMessage};

/// One column for each type, with the values at its ends and those that parsers stumble over; a search
/// path on which types, functions and operators of the same names raise.
const SCHEMA: &str = r#"
CREATE SCHEMA clinic; CREATE SCHEMA evil;
CREATE TYPE clinic.sex AS ENUM ('f', 'm');
CREATE DOMAIN clinic.born AS date NOT NULL CHECK (VALUE <> '1980-01-01' AND VALUE <> '1936-01-01');
CREATE DOMAIN clinic.code AS varchar(6) CHECK (VALUE ~ '^[0-9]+$');
CREATE DOMAIN clinic.coded AS clinic.code;
CREATE COLLATION evil.loose (provider = icu, locale = 'und-u-ks-level1', deterministic = false);
CREATE TABLE clinic.t (
  id int8 PRIMARY KEY,
  d date, ts timestamp(3), tz timestamptz, tz0 timestamptz(0), born clinic.born, si smallint, i int, bi bigint,
  n numeric, n4 numeric(4,1), n1 numeric(1,1), f real, df double precision, tx text, v varchar(10), c char(9),
  zip text COLLATE evil.loose, coded clinic.coded, j json, jb jsonb, x xml, u uuid, ip inet, net cidr, mac macaddr,
  mac8 macaddr8, ba bytea, ta text[], va varchar(3)[], ia int[], da timestamptz(2)[], sex clinic.sex, b bool, iv interval,
  r tstzrange, p point, tv tsvector);
INSERT INTO clinic.t (id, born) VALUES (1, '2001-02-03');
INSERT INTO clinic.t VALUES
 (2, '4714-11-24 BC', '4714-11-24 00:00 BC', '4714-11-24 00:00+00 BC', '4714-11-24 00:00+00 BC', '4714-11-24 BC', -32768,
  -2147483648, -9223372036854775808, 'NaN', -999.9, -0.9, 'NaN', '-Infinity', '', '', '', '', '0', 'null', 'null', '<a/>',
  'ffffffff-ffff-ffff-ffff-ffffffffffff', '::', '::/128', 'ff:ff:ff:ff:ff:ff', 'ff:ff:ff:ff:ff:ff:ff:ff', '', '{}', '{}', '{}',
  '{}', 'f', false, '-178000000 years', 'empty', '(NaN,Infinity)', ''),
 (3, '5874897-12-31', '294276-12-31 23:59:59.999', '294276-12-31 23:59:59.999999+00', '294276-12-31 23:59:59+00',
  '5874897-12-31', 32767, 2147483647, 9223372036854775807, 'Infinity', 999.9, 0.9, 'Infinity', 'NaN', repeat('é', 100000),
  'ééééééééé ', 'a  é', repeat('1', 100000), '123456', '{"a": "\u0000"}', '{"a": [1e400]}', 'text', gen_random_uuid(),
  '255.255.255.255/1', '128.0.0.0/1', '00:00:00:00:00:01', '00:00:00:00:00:00:00:01', '\x00ff', '{NULL,"a}b"}',
  '{a,NULL}', '{{1,2},{3,NULL}}', '{infinity,NULL}', 'm', true, '178000000 years', '(,)', '(0,0)', 'a:1'),
 (4, 'infinity', 'infinity', 'infinity', '-infinity', 'infinity', 90, 90, 90, 90, 90, 0, 90, 90, '0360', '03601', '03601-123',
  '１２３４５', '00000', '[]', '[]', '', gen_random_uuid(), '10.0.0.1', '10.0.0.0/8', '00:00:00:00:00:02', '00:00:00:00:00:00:00:02',
  '\x5c', '{"\\",\"}', '{}', '{}', '{}', 'f', NULL, 'P0', '[2001-01-01,2001-01-02)', '(1,1)', ''),
 (5, '1980-06-15', '1980-06-15 12:00', '1980-12-31 23:30-03', '1980-06-15 12:00Z', '1980-06-15', 89, 89, 89, 89, 89, 0, 89, 89,
  'CANARY', 'CANARY', 'CANARY', '12345', '12345', '"CANARY"', '"CANARY"', '<b>CANARY</b>',
  '0ca9a2e0-0000-4000-8000-000000000000', '10.1.2.3', '10.1.2.0/24', '08:00:2b:01:02:03', '08:00:2b:01:02:03:04:05',
  'CANARY', '{CANARY}', '{CAN}', '{42}', '{1980-06-15}', 'm', true, '1 day', '[1980-06-15,)', '(4,2)', 'canary');
CREATE TYPE evil.text AS (a int); CREATE TYPE evil.date AS (a int); CREATE TYPE evil.jsonb AS (a int); CREATE TYPE evil.uuid AS (a int);
CREATE FUNCTION evil.raise() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE 'evil'; END $$;
CREATE FUNCTION evil.length(text) RETURNS int LANGUAGE sql AS 'SELECT evil.raise()::int';
CREATE FUNCTION evil.yes(int4, int4) RETURNS bool LANGUAGE sql AS 'SELECT evil.raise() IS NULL';
CREATE OPERATOR evil.> (LEFTARG = int4, RIGHTARG = int4, FUNCTION = evil.yes);
CREATE OPERATOR evil.- (LEFTARG = int4, RIGHTARG = int4, FUNCTION = evil.yes);
"#;

/// What a session may set that changes how values are read and written.
const HOSTILE: &str = "SET search_path = evil, pg_catalog; SET TimeZone = 'XXX+167'; SET DateStyle = 'Postgres, DMY'; \
    SET IntervalStyle = sql_standard; SET bytea_output = escape; SET xmloption = document; SET extra_float_digits = 0";

fn masks() -> Vec<Mask> {
    vec![
        Mask::Null,
        Mask::Redact { text: REDACTED.into() },
        Mask::Redact { text: "it's \\ \"so\" é".into() },
        Mask::Withhold { text: WITHHELD.into() },
        Mask::Partial { keep_last: 2 },
        Mask::Partial { keep_last: 1000 },
        Mask::Zip3 { small: zip3_small() },
        Mask::Zip3 { small: Default::default() },
        Mask::Year,
        Mask::Age90,
        Mask::BirthYear,
    ]
}

async fn world() -> (Postgres, Client, Catalog) {
    let pg = Postgres::start();
    let client = pg.connect().await;
    client.batch_execute(SCHEMA).await.expect("schema");
    let own = pg.connect().await;
    let catalog = load(&own, 1).await.expect("catalog");
    (pg, client, catalog)
}

fn table() -> QualifiedName {
    QualifiedName::new("clinic", "t")
}

async fn texts(client: &Client, query: &str) -> Vec<Option<String>> {
    let messages = client.simple_query(query).await.unwrap_or_else(|e| panic!("{query}: {e:?}"));
    messages
        .iter()
        .filter_map(|m| match m {
            SimpleQueryMessage::Row(row) => Some(row.get(0).map(str::to_owned)),
            _ => None,
        })
        .collect()
}

#[tokio::test]
async fn no_value_makes_a_mask_raise_and_types_stay() {
    let (_pg, client, catalog) = world().await;
    let relation = catalog.lookup(&table()).expect("relation");
    let mut fitting = 0;
    for settings in ["", HOSTILE] {
        client.batch_execute(settings).await.expect("settings");
        for column in &relation.columns {
            for mask in masks() {
                fitting += usize::from(mask.misfit(masked_type(column)).is_none());
                let masked = mask_expression(column, "r", &mask, MaskOf::Rows);
                let from = "FROM clinic.t AS r WHERE r.id OPERATOR(pg_catalog.>) 0";
                let query = format!("SELECT ({masked})::pg_catalog.text {from}");
                let shown = texts(&client, &query).await;
                assert!(!shown.iter().flatten().any(|v| v.contains("CANARY")), "{}: {query}", column.name);
                if column.name == "born" && matches!(mask, Mask::Null) {
                    assert!(shown.iter().all(Option::is_none), "{query}");
                }
                // Described as the column itself is (a domain as its base type).
                let view = format!("CREATE TEMP VIEW masked AS SELECT {masked} AS m {from}");
                client.batch_execute(&view).await.unwrap_or_else(|e| panic!("{view}: {e:?}"));
                let kept = texts(
                    &client,
                    "SELECT pg_catalog.format_type(atttypid, atttypmod) FROM pg_catalog.pg_attribute \
                     WHERE attrelid = 'masked'::pg_catalog.regclass AND attnum > 0; DROP VIEW masked",
                )
                .await;
                let kept = kept.first().cloned().flatten().unwrap_or_default();
                let wanted = masked_type(column);
                assert!(
                    kept == wanted || format!("pg_catalog.{wanted}") == kept,
                    "{kept} for {wanted}: {view}"
                );
            }
        }
    }
    assert!(fitting > 200, "only {fitting} combinations of a mask and a type");
}

/// What each mask shows for row 5, and for NULL.
#[tokio::test]
async fn masks_show_what_the_rule_says() {
    let (_pg, client, catalog) = world().await;
    client.batch_execute("SET TimeZone = 'UTC'").await.expect("zone");
    let relation = catalog.lookup(&table()).expect("relation");
    let withhold = Mask::Withhold { text: WITHHELD.into() };
    let redact = Mask::Redact { text: REDACTED.into() };
    for (column, mask, shown, of_null) in [
        ("tx", withhold.clone(), Some("[withheld]"), None),
        ("v", withhold.clone(), Some("[withheld]"), None),
        ("c", withhold.clone(), Some("[withheld"), None),
        ("jb", withhold.clone(), Some("\"[withheld]\""), None),
        ("j", withhold.clone(), Some("\"[withheld]\""), None),
        ("ta", withhold.clone(), Some("{[withheld]}"), None),
        ("va", withhold.clone(), Some("{[wi}"), None),
        ("ia", withhold.clone(), Some("{}"), None),
        ("ba", withhold.clone(), Some("\\x"), None),
        ("tx", redact.clone(), Some("***"), Some("***")),
        (
            "u",
            redact.clone(),
            Some("00000000-0000-0000-0000-000000000000"),
            Some("00000000-0000-0000-0000-000000000000"),
        ),
        ("ip", redact.clone(), Some("0.0.0.0/32"), Some("0.0.0.0/32")),
        // What does not fit shows nothing.
        ("sex", redact.clone(), None, None),
        ("i", Mask::Year, None, None),
        ("n1", Mask::Age90, None, None),
        ("d", Mask::Year, Some("1980-01-01"), None),
        // Half past two of the next year in UTC.
        ("tz", Mask::Year, Some("1981-01-01 00:00:00+00"), None),
        ("born", Mask::Year, Some("1980-01-01"), Some("2001-01-01")),
        ("i", Mask::Age90, Some("89"), None),
        ("d", Mask::Age90, Some("1980-01-01"), None),
        ("zip", Mask::Zip3 { small: zip3_small() }, Some("123"), None),
    ] {
        let c = relation.column(column).expect("column");
        let query = format!(
            "SELECT ({})::text FROM clinic.t r WHERE id IN (1, 5) ORDER BY id DESC",
            mask_expression(c, "r", &mask, MaskOf::Rows)
        );
        let got = texts(&client, &query).await;
        assert_eq!(got, [shown.map(str::to_owned), of_null.map(str::to_owned)], "{query}");
    }
    let year = |of: i64| format!("{}-01-01", of);
    let this: i64 = texts(&client, "SELECT date_part('year', now() AT TIME ZONE 'UTC')").await[0]
        .as_ref()
        .and_then(|y| y.parse().ok())
        .expect("a year");
    let c = relation.column("d").expect("column");
    for (born, shown) in [
        (format!("{}-12-31", this - 90), year(this - 90)),
        (format!("{}-01-01", this - 90), year(this - 90)),
        (format!("{}-12-31", this - 91), year(this - 90)),
        ("1850-03-04".to_owned(), year(this - 90)),
        (format!("{}-01-01", this - 89), year(this - 89)),
    ] {
        let query = format!(
            "SELECT ({})::text FROM (VALUES ('{born}'::date)) AS r (d)",
            mask_expression(c, "r", &Mask::Age90, MaskOf::Rows)
        );
        assert_eq!(texts(&client, &query).await, [Some(shown)], "{born}");
    }
    let c = relation.column("i").expect("column");
    for (mask, value, shown) in [
        (Mask::Age90, 90, 90),
        (Mask::Age90, 107, 90),
        (Mask::Age90, 0, 0),
        (Mask::BirthYear, 1850, this - 90),
        (Mask::BirthYear, 1990, 1990),
    ] {
        let query = format!(
            "SELECT ({})::text FROM (VALUES ({value})) AS r (i)",
            mask_expression(c, "r", &mask, MaskOf::Rows)
        );
        assert_eq!(texts(&client, &query).await, [Some(shown.to_string())], "{value}");
    }
    let c = relation.column("v").expect("column");
    for (zip, shown) in [
        ("94301", "943"),
        (" 94301 ", "943"),
        ("94301-1234", "943"),
        ("943011234", "943"),
        ("943", "943"),
        ("03601", "000"),
        ("036", "000"),
        ("89301-0001", "000"),
        ("9430", "000"),
        ("943O1", "000"),
        ("-9430", "000"),
        ("94301-", "000"),
        ("", "000"),
        ("K1A 0B1", "000"),
        ("１２３４５", "000"),
    ] {
        let mask = Mask::Zip3 { small: zip3_small() };
        let query = format!(
            "SELECT ({})::text FROM (VALUES ('{zip}'::text)) AS r (v)",
            mask_expression(c, "r", &mask, MaskOf::Rows)
        );
        assert_eq!(texts(&client, &query).await, [Some(shown.to_owned())], "{zip}");
    }
}

#[tokio::test]
async fn a_surrogate_comes_from_its_table_and_nothing_from_nowhere() {
    let (_pg, client, catalog) = world().await;
    client
        .batch_execute(
            "CREATE TABLE clinic.sur (v varchar(10) PRIMARY KEY, s text UNIQUE); \
             INSERT INTO clinic.sur VALUES ('CANARY', 'p-7713'), ('03601', 'p-0042')",
        )
        .await
        .expect("table");
    let column = catalog.lookup(&table()).and_then(|r| r.column("v")).expect("column");
    let mask = Mask::Surrogate {
        table: QualifiedName::new("clinic", "sur"),
        value: "v".into(),
        surrogate: "s".into(),
    };
    let query = format!(
        "SELECT {} FROM clinic.t AS r{} ORDER BY r.id",
        mask_expression(column, "r", &mask, MaskOf::Rows),
        mask_join(column, "r", &mask, MaskOf::Rows).expect("a join")
    );
    let got = texts(&client, &query).await;
    assert_eq!(got, [None, None, None, Some("p-0042".to_owned()), Some("p-7713".to_owned())]);
    // Where it is not read, the planner drops the join.
    let plan = format!(
        "EXPLAIN SELECT id FROM (SELECT r.id, {} AS v FROM clinic.t AS r{}) x",
        mask_expression(column, "r", &mask, MaskOf::Rows),
        mask_join(column, "r", &mask, MaskOf::Rows).expect("a join")
    );
    assert!(!texts(&client, &plan).await.iter().flatten().any(|l| l.contains("sur")), "{plan}");
}
