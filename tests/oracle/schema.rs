//! The oracles' own clinical schema, and what pgglass is told about it. Ten tables: keys of their own, keys over one
//! and over two steps, keys that are NULL, a partitioned table, one without a unique column, two of reference.

use crate::sql::Ty;

/// What is known of a column's values in visible rows, so that an expression that fails on hidden rows only can be
/// made of it. The words say what an expression may do with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quirk {
    None,
    /// Not 0.
    NonZero,
    /// From 0 to 3.
    Count,
    /// Not 0, and finite.
    NonZeroFloat,
    /// Less than 100.
    SmallNum,
    /// Casts to int4, date, numeric, jsonb, orc.state, uuid.
    IntText,
    DateText,
    NumText,
    JsonText,
    StateText,
    UuidText,
    /// A pattern of LIKE; a regular expression; a unit of date_trunc.
    Pattern,
    Regex,
    Unit,
    /// An object with a number or nothing at "n", an array or nothing at "a".
    Doc,
    /// Once in the table.
    Unique,
}

pub(crate) struct ColumnInfo {
    pub(crate) name: &'static str,
    pub(crate) ty: Ty,
    /// As it is declared.
    pub(crate) declared: &'static str,
    pub(crate) quirk: Quirk,
}

pub(crate) struct TableInfo {
    pub(crate) name: &'static str,
    /// Columns that are unique together.
    pub(crate) unique: &'static [&'static str],
    pub(crate) columns: Vec<ColumnInfo>,
}

impl TableInfo {
    pub(crate) fn is_reference(&self) -> bool {
        matches!(self.name, "ward" | "drug")
    }
}

fn quirk_of(word: &str) -> Quirk {
    match word {
        "nonzero" => Quirk::NonZero,
        "count" => Quirk::Count,
        "nonzerofloat" => Quirk::NonZeroFloat,
        "smallnum" => Quirk::SmallNum,
        "inttext" => Quirk::IntText,
        "datetext" => Quirk::DateText,
        "numtext" => Quirk::NumText,
        "jsontext" => Quirk::JsonText,
        "statetext" => Quirk::StateText,
        "uuidtext" => Quirk::UuidText,
        "pattern" => Quirk::Pattern,
        "regex" => Quirk::Regex,
        "unit" => Quirk::Unit,
        "doc" => Quirk::Doc,
        "unique" => Quirk::Unique,
        other => panic!("no quirk {other}"),
    }
}

fn ty_of(declared: &str) -> Ty {
    match declared {
        "int4" => Ty::Int,
        "int8" => Ty::Key,
        "numeric(8,2)" => Ty::Num,
        "text" | "varchar(20)" | "varchar(8)" | "char(1)" | "char(4)" => Ty::Text,
        "float8" => Ty::Float,
        "date" => Ty::Date,
        "timestamptz" => Ty::Stamp,
        "bool" => Ty::Bool,
        "jsonb" => Ty::Jsonb,
        "int4[]" => Ty::Ints,
        "text[]" => Ty::Texts,
        "orc.state" => Ty::State,
        "uuid" => Ty::Uuid,
        other => panic!("no type {other}"),
    }
}

/// Name, unique columns, columns with type and quirk.
const TABLES: [(&str, &[&str], &str); 11] = [
    ("ward", &["ward"], "ward int4, name text, beds int4, code text, state orc.state"),
    ("drug", &["code"], "code text, name varchar(20), dose numeric(8,2), n int4 count, days int4[]"),
    (
        "patient",
        &["patient_id"],
        "patient_id int8, name text, slot text unique, sex char(4), born date, ward int4, score int4, d int4 nonzero, \
         w float8 nonzerofloat, active bool, tags text[], doc jsonb doc, uid uuid, state orc.state, raw text inttext",
    ),
    (
        "visit",
        &["visit_id"],
        "visit_id int8, patient_id int8, ward int4, started timestamptz, ended date, n int4 count, d int4 nonzero, \
         kind varchar(8), raw text datetext, cost numeric(8,2) smallnum",
    ),
    (
        "lab_order",
        &["order_id"],
        "order_id int8, patient_id int8, visit_id int8, code text, prio int4, d int4 nonzero, cost numeric(8,2), \
         at date, raw text uuidtext, ok bool",
    ),
    (
        "specimen",
        &["specimen_id"],
        "specimen_id int8, order_id int8, label text regex, n int4 count, d int4 nonzero, vol float8",
    ),
    (
        "result",
        &["result_id"],
        "result_id int8, specimen_id int8, code text, value numeric(8,2) smallnum, raw text numtext, d int4 nonzero, \
         flags int4[], ok bool, doc jsonb doc",
    ),
    (
        "med",
        &["med_id"],
        "med_id int8, patient_id int8, code text, dose numeric(8,2), n int4 count, days int4[], pat text pattern, \
         since timestamptz, state orc.state",
    ),
    (
        "note",
        &["note_id"],
        "note_id int8, patient_id int8, body text, raw text jsontext, at date, kind char(4), doc jsonb, n int4, ward int4",
    ),
    ("allergy", &[], "patient_id int8, code text, sev int4, d int4 nonzero, raw text statetext"),
    (
        "vital",
        &["vital_id", "code"],
        "vital_id int8, patient_id int8, code text, value float8, raw text unit, at timestamptz",
    ),
];

/// The tables by what TABLES says.
pub(crate) fn tables() -> Vec<TableInfo> {
    let column = |text: &str| {
        let mut words = text.trim().split(' ');
        let (name, declared) =
            (words.next().unwrap().to_owned().leak(), words.next().unwrap().to_owned().leak());
        let quirk = words.next().map_or(Quirk::None, quirk_of);
        ColumnInfo { name, ty: ty_of(declared), declared, quirk }
    };
    // "numeric(8,2)" has a comma of its own.
    let columns = |text: &str| text.split(", ").map(column).collect::<Vec<_>>();
    TABLES.iter().map(|(name, unique, text)| TableInfo { name, unique, columns: columns(text) }).collect()
}

/// Users, the demonstration's: each stands for a kind of role.
pub(crate) const HIDING: &str = "nurse_amy";
pub(crate) const GRANTED: &str = "dr_chen";
pub(crate) const MASKED: &str = "bill_eva";
pub(crate) const MASKED_ALL: &str = "ana_fox";
pub(crate) const UNRESTRICTED: &str = "dba_gus";
/// Every patient is assigned to it; those whom it may not see are closed to it by category or label.
pub(crate) const SEALED: &str = "nurse_bob";
/// Past the proxy, to change rows.
pub(crate) const OWNER: &str = "orc_owner";

/// The tables, with `OWNER` as a superuser.
pub(crate) fn definition() -> String {
    let mut sql = String::from(
        "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'orc_owner') THEN
            SET LOCAL password_encryption = 'scram-sha-256';
            CREATE ROLE orc_owner SUPERUSER LOGIN PASSWORD 'orc_owner-demo'; END IF; END $$;
         CREATE SCHEMA orc; CREATE SCHEMA glass;
         CREATE TYPE orc.state AS ENUM ('open', 'held', 'done');
         CREATE FUNCTION glass.verifier(login text) RETURNS TABLE (v text, u timestamptz) LANGUAGE sql STABLE STRICT
            SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$ SELECT rolpassword, rolvaliduntil
            FROM pg_authid WHERE rolname = login AND rolcanlogin $$;
         CREATE TABLE glass.assigned (user_name text, patient_id int8, PRIMARY KEY (user_name, patient_id));
         CREATE TABLE glass.label (patient_id int8, label text);
         GRANT USAGE ON SCHEMA orc, glass TO PUBLIC;
         GRANT SELECT ON glass.assigned, glass.label TO PUBLIC;\n",
    );
    for table in tables() {
        let mut lines: Vec<String> =
            table.columns.iter().map(|c| format!("{} {}", c.name, c.declared)).collect();
        if !table.is_reference() {
            // The generator does not know it: NULL in every visible row.
            lines.push("cat text".to_owned());
        }
        if !table.unique.is_empty() {
            lines.push(format!("PRIMARY KEY ({})", table.unique.join(", ")));
        }
        let partitioned = if table.name == "vital" { " PARTITION BY LIST (code)" } else { "" };
        sql += &format!("CREATE TABLE orc.{} ({}){partitioned};\n", table.name, lines.join(", "));
    }
    sql += "CREATE TABLE orc.vital_a PARTITION OF orc.vital FOR VALUES IN ('a');
            CREATE TABLE orc.vital_rest PARTITION OF orc.vital DEFAULT;
            CREATE INDEX ON orc.visit (patient_id); CREATE INDEX ON orc.lab_order (patient_id);
            CREATE INDEX ON orc.specimen (order_id); CREATE INDEX ON orc.med (code); CREATE INDEX ON orc.note (n);
            CREATE INDEX ON orc.result (specimen_id); CREATE INDEX ON orc.allergy (patient_id);
            GRANT SELECT ON ALL TABLES IN SCHEMA orc TO PUBLIC;\n";
    sql
}

/// Masks of the masked roles: table, column, mask in the configuration, the same in SQL.
pub(crate) const MASKS: [(&str, &str, &str, &str); 9] = [
    ("patient", "name", "\"redact\"", "'***'"),
    ("patient", "born", "\"year\"", "date_trunc('year', born::timestamp)::date"),
    ("patient", "raw", "\"null\"", "NULL"),
    ("patient", "tags", "\"null\"", "NULL"),
    (
        "visit",
        "kind",
        "{ mask = \"partial\", keep_last = 2 }",
        "CASE WHEN length(kind) > 2 THEN \
      repeat('*', length(kind) - 2) || right(kind, 2) ELSE repeat('*', length(kind)) END",
    ),
    ("visit", "started", "\"year\"", "date_trunc('year', started::timestamp)"),
    ("note", "body", "{ mask = \"redact\", text = \"gone\" }", "'gone'"),
    ("result", "value", "\"null\"", "NULL"),
    ("result", "doc", "\"null\"", "NULL"),
];

/// The configuration, a template of the harness.
pub(crate) fn configuration() -> String {
    let mut text = String::from(
        r#"
[listen]
address = "127.0.0.1:@LISTEN_PORT@"
cleartext = "loopback"
[upstream]
host = "127.0.0.1"
port = @UPSTREAM_PORT@
tls = "disable"
service_user = "pgglass"
service_password_file = "@DIR@/secrets/service-password"
service_database = "@DATABASE@"
auth_query = "SELECT v, u FROM glass.verifier($1)"
[ledger]
node = "@NODE@"
directory = "@DIR@/ledger"
signing_key = "@DIR@/secrets/ledger.key"
checkpoint_every = "10s"
[patient]
key_type = "int8"
[assignment]
relation = "glass.assigned"
principal = "user_name"
patient = "patient_id"
[reference]
tables = ["orc.ward", "orc.drug"]
[notices]
rows_withheld = false
[role.nurse]
groups = ["nurse"]
scope = "assigned"
outside = "hide"
categories = "all"
labels = "all"
[role.sealed]
users = ["nurse_bob"]
scope = "assigned"
outside = "hide"
[role.physician]
groups = ["physician"]
scope = "assigned"
outside = "hide"
break_glass = "any"
categories = "all"
labels = "all"
[role.dba]
groups = ["dba"]
scope = "all"
categories = "all"
labels = "all"
[[label]]
relation = "glass.label"
patient = "patient_id"
column = "label"
values = { staff = "EMP" }
none = ["none"]
[break_glass.any]
reasons = ["BTG"]
ttl = "12h"
idle_close = "12h"
max_sessions_per_day = 1000
"#,
    );
    for table in tables().iter().filter(|t| !t.is_reference()) {
        let order = "{ column = \"order_id\", table = \"orc.lab_order\", references = \"order_id\" }";
        let specimen = "{ column = \"specimen_id\", table = \"orc.specimen\", references = \"specimen_id\" }";
        let via = match table.name {
            "specimen" => format!("via = [{order}]\n"),
            "result" => format!("via = [{specimen}, {order}]\n"),
            _ => String::new(),
        };
        text +=
            &format!("[[table]]\nname = \"orc.{}\"\nclass = \"c\"\n{via}key = \"patient_id\"\n", table.name);
        text += "category = { column = \"cat\", values = { P = \"PSY\" }, none = [\"N\"] }\n";
    }
    for (role, group, scope) in [("masked", "billing", "assigned"), ("masked_all", "analyst", "all")] {
        text += &format!("[role.{role}]\ngroups = [\"{group}\"]\nscope = \"{scope}\"\n");
        text += "categories = \"all\"\nlabels = \"all\"\n";
        if scope == "assigned" {
            text += "outside = \"hide\"\n";
        }
        let mut last = "";
        for (table, column, mask, _) in MASKS {
            if table != last {
                text += &format!("[role.{role}.masks.\"orc.{table}\"]\n");
            }
            last = table;
            text += &format!("{column} = {mask}\n");
        }
    }
    text
}
