//! The SQL text of guards, witnesses, write checks and masks, run on a real server: what it lets
//! through is what the assignment says, whatever the path, and masks keep columns what they are.

#![allow(clippy::expect_used, clippy::panic)] // helpers of tests, too

mod postgres;

use std::collections::BTreeSet;
use std::sync::Arc;

use pgglass::catalog::{Catalog, Column, QualifiedName, load};
use pgglass::policy::{
    Assignment, BoundPolicy, BoundTable, DerivedShape, GuardParams, KeyPath, KeyType, Mask, MaskOf, Named,
    OutsideMasks, Policy, Step, TableMasks, TableRule, Variant, bound_keys, derived_table, guard_conjunct,
    key_expression, mask_expression, new_key_check,
};
use postgres::Postgres;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

/// Names that need quotes, a schema that shadows, an operator that lies: guards must not care.
const SCHEMA: &str = r#"
CREATE SCHEMA clinic; CREATE SCHEMA glass;
CREATE TABLE clinic."Patient ""x""" ("Patient Id" int8 PRIMARY KEY, name varchar(8), code char(4), born date,
    seen timestamptz, at timestamp(0), note text);
CREATE TABLE clinic.orders (order_id int8 PRIMARY KEY, patient_id int8);
CREATE TABLE clinic.sample (sample_id int8 PRIMARY KEY, order_id int8);
CREATE TABLE clinic.result (result_id int8 PRIMARY KEY, sample_id int8);
CREATE TABLE glass.assigned (user_name text, patient_id int8, valid_from timestamptz, valid_to timestamptz);
INSERT INTO clinic."Patient ""x""" SELECT i, 'name ' || i, 'abcd', '1980-06-15', '1980-06-15 12:00Z', '1980-06-15 12:00', NULL
    FROM generate_series(1, 9) i;
INSERT INTO clinic.orders SELECT i * 10, CASE WHEN i < 10 THEN i END FROM generate_series(1, 10) i;
INSERT INTO clinic.sample SELECT i * 100, CASE WHEN i < 11 THEN i * 10 END FROM generate_series(1, 11) i;
INSERT INTO clinic.result SELECT i * 1000, CASE WHEN i < 12 THEN i * 100 END FROM generate_series(1, 12) i;
INSERT INTO clinic.result VALUES (13000, 77777);
INSERT INTO glass.assigned VALUES
    ('nina', 1, NULL, NULL), ('nina', 2, now() - interval '1 h', now() + interval '1 h'),
    ('nina', 3, now() + interval '1 h', NULL), ('nina', 4, NULL, now()), ('nina', NULL, NULL, NULL),
    ('nina', 1, NULL, NULL), (NULL, 6, NULL, NULL), ('NINA', 7, NULL, NULL), ('olga', 5, NULL, NULL);
CREATE SCHEMA evil;
CREATE TABLE evil.assigned AS SELECT 'nina'::text AS user_name, i::int8 AS patient_id, NULL::timestamptz AS valid_from,
    NULL::timestamptz AS valid_to FROM generate_series(1, 9) i;
CREATE FUNCTION evil.yes(int8, int8) RETURNS bool LANGUAGE sql AS 'SELECT true';
CREATE OPERATOR evil.= (LEFTARG = int8, RIGHTARG = int8, FUNCTION = evil.yes);
CREATE FUNCTION evil.now() RETURNS timestamptz LANGUAGE sql AS $$ SELECT '1900-01-01'::timestamptz $$;
SET search_path = evil, glass, clinic, pg_catalog;
"#;

fn policy() -> Policy {
    let step = |column: &str, table: &str, references: &str| {
        Step::new(column, QualifiedName::new("clinic", table), references)
    };
    let rule = |name: &str, steps: Vec<Step>, key: &str| {
        TableRule::new(QualifiedName::new("clinic", name), "c", KeyPath { steps, key: key.into() })
    };
    let to_order = step("order_id", "orders", "order_id");
    let to_sample = step("sample_id", "sample", "sample_id");
    Policy {
        version: "0".into(),
        key_type: KeyType::Int8,
        identifiers: vec![],
        assignment: Assignment {
            relation: QualifiedName::new("glass", "assigned"),
            principal: "user_name".into(),
            patient: "patient_id".into(),
            valid_from: Some("valid_from".into()),
            valid_to: Some("valid_to".into()),
        },
        tables: vec![
            rule("Patient \"x\"", vec![], "Patient Id"),
            rule("orders", vec![], "patient_id"),
            rule("sample", vec![to_order.clone()], "patient_id"),
            rule("result", vec![to_sample, to_order], "patient_id"),
        ],
        reference: Default::default(),
        roles: Default::default(),
        membership: Default::default(),
        profiles: Default::default(),
        mode: Default::default(),
        sources: Vec::new(),
        deny: Default::default(),
        labels: Vec::new(),
    }
}

struct World {
    _pg: Postgres,
    client: Client,
    catalog: Catalog,
    bound: BoundPolicy,
}

impl World {
    async fn new() -> Self {
        let pg = Postgres::start();
        let client = pg.connect().await;
        client.batch_execute(SCHEMA).await.expect("schema");
        let own = pg.connect().await;
        let catalog = load(&own, 1).await.expect("catalog");
        let bound = BoundPolicy::bind(Arc::new(policy()), &catalog, None);
        assert!(bound.problems.is_empty(), "{:?}", bound.problems);
        Self { _pg: pg, client, catalog, bound }
    }

    fn table(&self, name: &str) -> &BoundTable {
        self.bound.tables.values().find(|t| t.name.name == name).expect("mapped")
    }

    fn column(&self, table: &str, name: &str) -> Column {
        let relation = self.catalog.lookup(&QualifiedName::new("clinic", table)).expect("relation");
        relation.column(name).expect("column").clone()
    }

    /// One text column of a query whose guard parameters are `principal` and, if any, `grants`.
    async fn texts(&self, query: &str, principal: &str, grants: Option<&[i64]>) -> Vec<Option<String>> {
        let rows = match &grants {
            None => self.client.query(query, &[&principal]).await,
            Some(grants) => self.client.query(query, &[&principal, grants]).await,
        };
        rows.unwrap_or_else(|e| panic!("{query}: {e:?}")).iter().map(|r| r.get(0)).collect()
    }

    /// The patients of the rows of `table` that the guard lets through, one for each row.
    async fn seen(&self, table: &str, principal: &str, grants: Option<&[i64]>) -> Vec<String> {
        let table = self.table(table);
        let variant = if grants.is_some() { Variant::Granted } else { Variant::Assigned };
        let guard = guard_conjunct(&self.bound.policy, table, "a b", GuardParams::after(0, variant));
        let query = format!(
            "SELECT {} FROM {} AS \"a b\" WHERE {guard} ORDER BY 1",
            key_expression(&self.bound.policy, table, "a b", Named::All),
            table.name.to_sql()
        );
        self.texts(&query, principal, grants)
            .await
            .into_iter()
            .map(|k| k.expect("no NULL key is seen"))
            .collect()
    }
}

const TABLES: [&str; 4] = ["Patient \"x\"", "orders", "sample", "result"];

#[tokio::test]
async fn the_guard_admits_assigned_patients_and_nobody_else() {
    let w = World::new().await;
    for table in TABLES {
        // 3 is not yet assigned, 4 no longer, duplicates change nothing, NULLs are nobody's.
        assert_eq!(w.seen(table, "nina", None).await, ["1", "2"], "{table}");
        assert_eq!(w.seen(table, "olga", None).await, ["5"], "{table}");
        assert_eq!(w.seen(table, "nobody", None).await, Vec::<String>::new(), "{table}");
        assert_eq!(w.seen(table, "", None).await, Vec::<String>::new(), "{table}");
    }
}

#[tokio::test]
async fn the_granted_variant_adds_the_granted_patients() {
    let w = World::new().await;
    for table in TABLES {
        assert_eq!(w.seen(table, "nina", Some(&[9, 2, 9])).await, ["1", "2", "9"], "{table}");
        assert_eq!(w.seen(table, "nina", Some(&[])).await, ["1", "2"], "{table}");
        assert_eq!(w.seen(table, "nobody", Some(&[4])).await, ["4"], "{table}");
    }
}

#[tokio::test]
async fn every_row_has_its_witness() {
    let w = World::new().await;
    for (table, nulls) in [("Patient \"x\"", 0), ("orders", 1), ("sample", 2), ("result", 4)] {
        let table = w.table(table);
        let query = format!(
            "SELECT {} FROM {} AS t",
            key_expression(&w.bound.policy, table, "t", Named::All),
            table.name.to_sql()
        );
        let keys: Vec<Option<String>> =
            w.client.query(&query, &[]).await.expect("witness").iter().map(|r| r.get(0)).collect();
        assert_eq!(keys.iter().filter(|k| k.is_none()).count(), nulls, "{query}");
        let distinct: BTreeSet<&String> = keys.iter().flatten().collect();
        assert_eq!(distinct.len(), 9, "{query}");
    }
}

#[tokio::test]
async fn derived_tables_and_bounds_agree_with_the_guard() {
    let w = World::new().await;
    let params = GuardParams::after(0, Variant::Granted);
    for name in TABLES {
        let table = w.table(name);
        let relation = w.catalog.relation(table.oid).expect("relation");
        let shape = DerivedShape {
            filter: Some(params),
            fence: true,
            witness: Some("__glass_k1"),
            ..DerivedShape::default()
        };
        let masks = TableMasks { own: vec![], outside: None, owners: table.rule.owner_columns() };
        let derived = derived_table(&w.bound.policy, table, relation, &masks, "__glass_r1", shape);
        let query = format!("SELECT __glass_k1 FROM {derived} AS d ORDER BY 1");
        let keys: Vec<String> =
            w.texts(&query, "nina", Some(&[9])).await.into_iter().map(|k| k.expect("key")).collect();
        assert_eq!(keys, w.seen(name, "nina", Some(&[9])).await);

        let bound = bound_keys(&w.bound.policy, table, "b", Some(params), &["true".to_owned()]);
        let mut set = w.texts(&format!("SELECT unnest({bound})"), "nina", Some(&[9])).await;
        set.sort();
        let wanted: Vec<Option<String>> = keys.into_iter().map(Some).collect();
        assert_eq!(set, wanted, "{name}");
    }
}

#[tokio::test]
async fn rows_outside_are_shown_once_and_the_join_is_dropped_where_nothing_masked_is_read() {
    let w = World::new().await;
    w.client
        .batch_execute(
            "DELETE FROM glass.assigned a USING glass.assigned b WHERE a.ctid > b.ctid AND a.user_name OPERATOR(pg_catalog.=) b.user_name \
             AND (a.patient_id OPERATOR(pg_catalog.=) b.patient_id); CREATE UNIQUE INDEX ON glass.assigned (user_name, patient_id); \
             SET plan_cache_mode = force_generic_plan",
        )
        .await
        .expect("unique");
    let outside = OutsideMasks::new();
    for (name, column) in
        [("Patient \"x\"", "note"), ("orders", "order_id"), ("sample", "sample_id"), ("result", "result_id")]
    {
        let table = w.table(name);
        let relation = w.catalog.relation(table.oid).expect("relation");
        let owners = table.rule.owner_columns();
        let masks = TableMasks { own: vec![], outside: Some(&outside), owners };
        let derived = |params| {
            let shape = DerivedShape { inside: Some(params), ..DerivedShape::default() };
            derived_table(&w.bound.policy, table, relation, &masks, "__glass_r1", shape)
        };
        let alias = "__glass_r1";
        let key = key_expression(&w.bound.policy, table, alias, Named::All);
        let whole = format!("SELECT {key} FROM {} AS {alias}", table.name.to_sql());
        let all = w.client.query(&whole, &[]).await.expect("every row").len();
        for (principal, grants, clear) in [
            ("nina", None, 2),
            ("olga", None, 1),
            ("nobody", None, 0),
            ("olga", Some([9_i64, 5].as_slice()), 2),
        ] {
            let variant = if grants.is_some() { Variant::Granted } else { Variant::Assigned };
            let params = GuardParams::after(0, variant);
            let value = if column == "note" { "born" } else { column };
            let query = format!("SELECT d.\"{value}\"::text FROM {} AS d", derived(params));
            let shown = w.texts(&query, principal, grants).await;
            assert_eq!(shown.len(), all, "{query}");
            assert_eq!(shown.iter().flatten().count(), clear, "{principal}: {query}");
        }
        // Only the column that tells whose row it is: no masked column is read.
        let lean = format!(
            "SELECT d.\"{}\" FROM {} AS d",
            masks.owners[0],
            derived(GuardParams::after(0, Variant::Assigned))
        );
        w.client.batch_execute(&format!("PREPARE lean AS {lean}")).await.expect("prepared");
        let plan = w.client.simple_query("EXPLAIN EXECUTE lean ('nina')").await.expect("plan");
        let plan = format!("{plan:?}");
        assert!(!plan.contains("assigned") && !plan.contains("Join"), "{lean}\n{plan}");
        w.client.batch_execute("DEALLOCATE lean").await.expect("gone");
    }
}

#[tokio::test]
async fn a_row_written_for_a_patient_outside_undoes_the_statement() {
    let w = World::new().await;
    let insert = |table: &str, values: &str, variant| {
        let bound = w.table(table);
        let check = new_key_check(&w.bound.policy, bound, table, GuardParams::after(0, variant));
        format!("INSERT INTO {} VALUES {values} RETURNING {check}", bound.name.to_sql())
    };
    for (table, values) in [
        ("orders", "(901, 1)"),
        ("orders", "(902, 1), (903, 2)"),
        ("sample", "(901, 10)"),
        ("result", "(901, 100), (902, 200)"),
    ] {
        let query = insert(table, values, Variant::Assigned);
        let rows = w.client.query(&query, &[&"nina"]).await.unwrap_or_else(|e| panic!("{query}: {e:?}"));
        assert!(rows.iter().all(|r| r.get::<_, Option<bool>>(0).is_none()), "{query}");
    }
    for (table, values) in [
        ("orders", "(911, 1), (912, 3)"), // not yet
        ("orders", "(911, 4)"),           // no longer
        ("orders", "(911, 9)"),
        ("orders", "(911, NULL)"),
        ("sample", "(911, 90)"),
        ("sample", "(911, NULL)"),
        ("sample", "(911, 12345)"), // leads nowhere
        ("result", "(911, 100), (912, 900)"),
        ("result", "(911, 1000)"), // ends at an order without a patient
    ] {
        let query = insert(table, values, Variant::Assigned);
        let error = w.client.query(&query, &[&"nina"]).await.expect_err("refused");
        let error = error.as_db_error().expect("the server's");
        assert_eq!(*error.code(), SqlState::INVALID_TEXT_REPRESENTATION, "{query}");
        assert!(error.message().contains("\"GLS-201 "), "{}", error.message());
        // Spelt out, because plain `=` is the lying one here.
        let column = if table == "orders" { "order" } else { table };
        let left = format!(
            "SELECT count(*) FROM clinic.{table} AS t \
             WHERE t.{column}_id OPERATOR(pg_catalog.=) ANY ('{{911,912}}'::int8[])"
        );
        let left: i64 = w.client.query_one(&left, &[]).await.expect("count").get(0);
        assert_eq!(left, 0, "{query}");
    }
    let query = insert("result", "(921, 900)", Variant::Granted);
    w.client.query(&query, &[&"nina", &[9_i64].as_slice()]).await.expect("granted");
    let query = insert("result", "(922, 800)", Variant::Granted);
    w.client.query(&query, &[&"nina", &[9_i64].as_slice()]).await.expect_err("not granted");
}

#[tokio::test]
async fn masks_keep_the_columns_type_and_hide_its_value() {
    let w = World::new().await;
    let table = w.table("Patient \"x\"");
    let redact = |t: &str| Mask::Redact { text: t.into() };
    for (column, mask, expected) in [
        ("name", Mask::Null, None),
        ("born", Mask::Null, None),
        ("Patient Id", Mask::Null, None),
        ("name", redact("***"), Some("***")),
        ("name", redact("it's \\ \"so\""), Some("it's \\ \"")), // cut to the column's varchar(8)
        ("note", redact("***"), Some("***")),
        ("name", Mask::Partial { keep_last: 2 }, Some("**** 1")),
        ("name", Mask::Partial { keep_last: 6 }, Some("******")), // as long as the value: nothing is kept
        ("name", Mask::Partial { keep_last: 60 }, Some("******")),
        ("code", Mask::Partial { keep_last: 1 }, Some("***d")),
        ("note", Mask::Partial { keep_last: 2 }, None), // NULL stays NULL
        ("born", Mask::Year, Some("1980-01-01")),
        ("at", Mask::Year, Some("1980-01-01 00:00:00")),
        ("seen", Mask::Year, Some("1980-01-01 00:00:00+00")),
    ] {
        let c = w.column("Patient \"x\"", column);
        let masked = mask_expression(&c, "p", &mask, MaskOf::Rows);
        let plain = format!("p.\"{column}\"");
        let query = format!(
            "SET timezone = 'UTC'; SELECT ({masked})::text, pg_typeof({masked}) = pg_typeof({plain}) FROM {} AS p ORDER BY p.\"Patient Id\" LIMIT 1",
            table.name.to_sql()
        );
        let messages = w.client.simple_query(&query).await.unwrap_or_else(|e| panic!("{query}: {e:?}"));
        let row = messages
            .iter()
            .find_map(|m| match m {
                tokio_postgres::SimpleQueryMessage::Row(row) => Some(row),
                _ => None,
            })
            .expect("a row");
        assert_eq!((row.get(0), row.get(1)), (expected, Some("t")), "{query}");

        // As a column of the table's stand-in, modifier included.
        let relation = w.catalog.relation(table.oid).expect("relation");
        let shape = DerivedShape::default();
        let masks =
            TableMasks { own: vec![(column, &mask)], outside: None, owners: table.rule.owner_columns() };
        let derived = derived_table(&w.bound.policy, table, relation, &masks, "r", shape);
        let view = format!(
            "CREATE TEMP VIEW stand_in AS SELECT * FROM {derived} AS d; \
             SELECT count(*) FROM pg_attribute a JOIN pg_attribute b USING (attname, atttypid, atttypmod, attnum) \
             WHERE a.attrelid = 'stand_in'::regclass AND b.attrelid = '{}'::regclass AND a.attnum > 0; \
             DROP VIEW stand_in",
            table.name.to_sql().replace('\'', "''")
        );
        let messages = w.client.simple_query(&view).await.unwrap_or_else(|e| panic!("{view}: {e:?}"));
        let same = messages.iter().find_map(|m| match m {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        });
        assert_eq!(same.as_deref(), Some("7"), "{column} {mask:?}");
    }
}
