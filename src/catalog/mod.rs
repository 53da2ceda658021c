//! What the server's system catalog says: relations, columns, functions, operators.
//!
//! A [`Catalog`] is an immutable snapshot, taken over the proxy's own account and swapped whole
//! when the server's catalog changed. It holds no policy. Names resolve here, to OIDs, under the
//! search path a session really has; everything later works on OIDs, so that a renamed table
//! keeps its rule.

mod connect;
mod facts;
mod keys;
mod load;
mod own_code;
mod service;
mod survey;

use std::collections::{HashMap, HashSet};

pub(crate) use connect::read_password;
pub use connect::{ConnectError, connect, connect_with};
pub use facts::{Constraint, Domain, Facts, ForeignKey, facts, writers};
pub use keys::Keys;
pub use load::{CatalogError, fingerprint, load};
pub(crate) use own_code::FIRST_NORMAL_OID;
pub use own_code::{
    Code, Expression, OwnCast, OwnCode, OwnFunction, OwnOperator, OwnType, RelationCode, Words,
};
pub use service::{Service, ServiceError, StoredVerifier};
pub use survey::{Group, Groups, Survey, groups, survey};

/// An object identifier of the server's catalog.
pub type Oid = u32;

/// `schema.name`, both as the catalog spells them (no quotes, case as stored).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QualifiedName {
    /// Schema.
    pub schema: String,
    /// Relation, function or operator name.
    pub name: String,
}

impl QualifiedName {
    /// A name from its two parts.
    pub fn new(schema: impl Into<String>, name: impl Into<String>) -> Self {
        Self { schema: schema.into(), name: name.into() }
    }

    /// The name as SQL text, both parts always quoted: `"public"."patient"`.
    pub fn to_sql(&self) -> String {
        format!("{}.{}", quote_ident(&self.schema), quote_ident(&self.name))
    }
}

impl std::fmt::Display for QualifiedName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.schema, self.name)
    }
}

/// Quotes an identifier for SQL text, always (`"a""b"`), so that no keyword list is needed.
pub fn quote_ident(ident: &str) -> String {
    format!("\"{}\"", ident.replace('"', "\"\""))
}

/// Quotes a string constant for SQL text under `standard_conforming_strings = on`.
pub fn quote_literal(value: &str) -> String {
    if value.contains('\\') {
        format!("E'{}'", value.replace('\\', "\\\\").replace('\'', "''"))
    } else {
        format!("'{}'", value.replace('\'', "''"))
    }
}

/// `pg_class.relkind`. Names every kind the manual lists; an unknown letter is `Other`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RelationKind {
    /// `r`
    Table,
    /// `p`
    PartitionedTable,
    /// `v`
    View,
    /// `m`
    MaterializedView,
    /// `f`
    ForeignTable,
    /// `S`
    Sequence,
    /// `i` and `I`
    Index,
    /// `c`
    CompositeType,
    /// `t`
    Toast,
    /// Anything a newer server adds: treated as denied.
    Other,
}

/// One column, in `attnum` order; dropped columns are absent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// `pg_attribute.attname`
    pub name: String,
    /// `pg_attribute.attnum`
    pub attnum: i16,
    /// `pg_attribute.atttypid`
    pub type_oid: Oid,
    /// `pg_attribute.atttypmod`
    pub typmod: i32,
    /// `format_type(atttypid, atttypmod)`: SQL text that names the type with its modifier.
    pub type_sql: String,
    /// True for a type of schema `pg_catalog` (and arrays of those), false for domains and user types.
    pub builtin_type: bool,
    /// For a column of a domain: `format_type` of the type behind it, with its modifier.
    pub domain_base: Option<String>,
    /// `pg_attribute.attgenerated` is set.
    pub generated: bool,
    /// The columns of the row that the server computes its values from, in this relation or one below it, where the
    /// expression can be another.
    pub computed_from: Vec<String>,
}

/// One relation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relation {
    /// `pg_class.oid`
    pub oid: Oid,
    /// Schema and name.
    pub name: QualifiedName,
    /// Kind.
    pub kind: RelationKind,
    /// Columns in attnum order.
    pub columns: Vec<Column>,
    /// Direct parents by `pg_inherits` (partitions and inheritance children).
    pub parents: Vec<Oid>,
    /// True when user triggers or rules other than a view's `_RETURN` exist on it.
    pub has_triggers_or_rules: bool,
    /// True when rules other than a view's `_RETURN` exist on it: a write may then be another statement.
    pub has_rules: bool,
    /// True when a user trigger runs for each row before it is inserted or updated (or instead): what is stored may
    /// be other than what the statement says.
    pub rewrites_rows: bool,
    /// True when row-level security is enabled on it.
    pub row_security: bool,
}

impl Relation {
    /// The column of this name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|c| c.name == name)
    }
}

/// One function overload outside or inside `pg_catalog`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    /// `pg_proc.oid`
    pub oid: Oid,
    /// Schema.
    pub schema: String,
    /// Argument type OIDs.
    pub args: Vec<Oid>,
    /// Result type.
    pub result: Oid,
    /// `pg_proc.proleakproof`
    pub leakproof: bool,
    /// `pg_proc.provolatile`: `i`, `s` or `v`.
    pub volatility: char,
    /// `pg_proc.prokind`: `f`, `p`, `a` or `w`.
    pub kind: char,
    /// It can be called with one argument: `(value).name` can mean it.
    pub unary: bool,
    /// It can be called with a row of some relation or query as its only argument: `alias.name` can mean it where
    /// there is no such column (func_select_candidate and can_coerce_type, parse_func.c and parse_coerce.c).
    pub takes_row: bool,
}

/// A view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// `pg_get_viewdef` under an empty search path: every name outside `pg_catalog` is qualified.
    pub definition: String,
    /// `security_barrier`: no condition from outside is evaluated before its own.
    pub barrier: bool,
}

/// An immutable snapshot of the server's catalog.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    /// Grows by one with every snapshot that differs from the one before.
    pub epoch: u64,
    /// `server_version_num`, for example 150018.
    pub server_version: u32,
    /// Relations by OID.
    pub relations: HashMap<Oid, Relation>,
    /// Relations by name.
    pub by_name: HashMap<QualifiedName, Oid>,
    /// Function overloads by bare name, every schema.
    pub functions: HashMap<String, Vec<Function>>,
    /// Operator names (`=`, `->`) that exist in a schema other than `pg_catalog`.
    pub foreign_operators: HashSet<String>,
    /// Type names (bare) that exist in a schema other than `pg_catalog`, with their `typtype`
    /// (`b` base, `c` composite, `d` domain, `e` enum, `r` range ...); row types of tables excluded.
    pub foreign_types: HashMap<String, char>,
    /// Names of the collations of a relation's columns, other than the database's own.
    pub collations: HashMap<Oid, Vec<String>>,
    /// Names of collations that are not deterministic: most functions of texts fail under them.
    pub loose_collations: HashSet<String>,
    /// Columns with such a collation, a domain's included: `=` on them holds different texts for equal.
    pub loose_columns: HashMap<Oid, HashSet<String>>,
    /// What tells one row from another.
    pub keys: Keys,
    /// What the views of user schemas are made of, where the server could be asked.
    pub views: HashMap<Oid, View>,
    /// True when some could not be asked for: another session holds a lock on what they read.
    pub views_missing: bool,
    /// What views and materialized views are made of: relations, each with a column, or without one where the view
    /// reads none of it (`count(*)`).
    pub view_reads: HashMap<Oid, Vec<(Oid, Option<String>)>>,
    /// Views whose rows depend on settings that a client can change (TimeZone, DateStyle), with the function by which.
    pub view_settings: HashMap<Oid, String>,
    /// Names of checks and foreign keys by relation, with what a foreign key refers to: those that a server's error can
    /// name.
    pub constraints: HashMap<Oid, HashMap<String, Option<Oid>>>,
    /// Foreign keys with an action; those that partitions inherit are left out.
    pub foreign_keys: Vec<ForeignKey>,
    /// Functions of the database's own that run without being named.
    pub own_code: OwnCode,
    /// Role memberships: role name to every role it is a member of, directly or not, itself included.
    pub memberships: HashMap<String, HashSet<String>>,
}

/// The namespace of one session: what an unqualified name can mean.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Namespace {
    /// `current_schemas(true)`: the implicit ones included, in search order. A session's own
    /// temporary schema appears under the name it has in the catalog (`pg_temp_3`).
    pub schemas: Vec<String>,
    /// Names of the session's own temporary relations. They shadow everything and are never protected.
    pub temp_relations: Vec<String>,
    /// Those of them that are views or have rules, or were made while the session had no limits: what they read is not
    /// told by their names.
    pub temp_views: Vec<String>,
    /// Names of its temporary types, row types of relations excluded. A restricted role makes none.
    pub temp_types: Vec<String>,
}

/// What a relation name means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolved<'a> {
    /// A relation of the catalog.
    Relation(&'a Relation),
    /// A temporary relation of this very session.
    Temporary,
    /// Nothing that this snapshot knows.
    Unknown,
}

impl Catalog {
    /// The relation of this OID.
    pub fn relation(&self, oid: Oid) -> Option<&Relation> {
        self.relations.get(&oid)
    }

    /// The built-in type that values of the column are compared, converted and printed as, as `format_type` spells it: its
    /// own or, of a domain, the one behind it, which casts and operators go by (find_coercion_pathway, parse_coerce.c;
    /// func_select_candidate, parse_func.c). None for other types, and for a domain that an operator of the database's
    /// own takes itself.
    pub fn acts_as<'a>(&self, column: &'a Column) -> Option<&'a str> {
        if column.builtin_type {
            return Some(&column.type_sql);
        }
        // Under an empty search path what is not built in has its schema.
        let base = column.domain_base.as_deref().filter(|base| !base.contains('.'))?;
        let domains = self.own_code.inside([column.type_oid]);
        let takes = |o: &OwnOperator| o.operands().iter().any(|operand| domains.contains(operand));
        (!self.own_code.operators.values().flatten().any(takes)).then_some(base)
    }

    /// True for a column on which `=` holds different texts for equal.
    pub fn is_loose(&self, relation: Oid, column: &str) -> bool {
        self.loose_columns.get(&relation).is_some_and(|columns| columns.contains(column))
    }

    /// True when a function of this name, of the database's own, is or may be a condition. One of SQL the planner puts its
    /// text in place of.
    pub fn is_own_condition(&self, name: &str) -> bool {
        const BOOL: Oid = 16;
        let own = |f: &Function| f.schema != "pg_catalog" && f.kind == 'f' && f.result == BOOL;
        self.functions.get(name).is_some_and(|all| all.iter().any(own))
    }

    /// The relation and all below it by `pg_inherits`, partitions and children: rows of each are reached through it.
    pub fn family(&self, oid: Oid) -> HashSet<Oid> {
        let mut family = HashSet::from([oid]);
        loop {
            let known = family.len();
            let below = |r: &&Relation| r.parents.iter().any(|p| family.contains(p));
            let found: Vec<Oid> = self.relations.values().filter(below).map(|r| r.oid).collect();
            family.extend(found);
            if family.len() == known {
                return family;
            }
        }
    }

    /// The relation with all above and below it by `pg_inherits`: a row of it can be one of each of them.
    pub fn kin(&self, oid: Oid) -> HashSet<Oid> {
        let mut kin = self.family(oid);
        let mut todo = vec![oid];
        while let Some(at) = todo.pop() {
            let parents = self.relation(at).map(|r| r.parents.as_slice()).unwrap_or_default();
            todo.extend(parents.iter().copied().filter(|parent| kin.insert(*parent)));
        }
        kin
    }

    /// True when the server computes a column that `is_one` says from others of the row (`GENERATED ALWAYS AS`), in
    /// this relation or one below it: any UPDATE may change it without naming it. True for an unknown relation.
    pub fn computes(&self, oid: Oid, is_one: impl Fn(&str) -> bool) -> bool {
        let computed = |r: &Relation| r.columns.iter().any(|c| c.generated && is_one(&c.name));
        self.family(oid).into_iter().any(|oid| self.relation(oid).is_none_or(computed))
    }

    /// True when triggers may change rows before they are stored ([`Relation::rewrites_rows`]), in this relation or
    /// one below it. True for an unknown relation, and for what is no table: what stores its rows is another one.
    pub fn rewrites_rows(&self, oid: Oid) -> bool {
        let table = |r: &Relation| matches!(r.kind, RelationKind::Table | RelationKind::PartitionedTable);
        let rewrites = |r: &Relation| r.rewrites_rows || !table(r);
        self.family(oid).into_iter().any(|oid| self.relation(oid).is_none_or(rewrites))
    }

    /// True for a column of an enum, whatever schemas have a type of that name.
    pub fn is_enum(&self, column: &Column) -> bool {
        let bare = column.type_sql.rsplit('.').next().unwrap_or_default().trim_matches('"');
        !column.builtin_type && column.domain_base.is_none() && self.foreign_types.get(bare) == Some(&'e')
    }

    /// The relation of this exact name.
    pub fn lookup(&self, name: &QualifiedName) -> Option<&Relation> {
        self.by_name.get(name).and_then(|oid| self.relations.get(oid))
    }

    /// Resolves a name as PostgreSQL does (`RangeVarGetRelid`): a qualified name directly, an
    /// unqualified one along the search path, the session's temporary relations first.
    pub fn resolve(&self, schema: Option<&str>, name: &str, namespace: &Namespace) -> Resolved<'_> {
        let temporary = || namespace.temp_relations.iter().any(|t| t == name);
        match schema {
            Some(s) if s == "pg_temp" || s.starts_with("pg_temp_") => {
                if temporary() {
                    Resolved::Temporary
                } else {
                    Resolved::Unknown
                }
            }
            Some(s) => {
                self.lookup(&QualifiedName::new(s, name)).map_or(Resolved::Unknown, Resolved::Relation)
            }
            None => {
                if temporary() {
                    return Resolved::Temporary;
                }
                namespace
                    .schemas
                    .iter()
                    .filter(|s| !s.starts_with("pg_temp"))
                    .find_map(|s| self.lookup(&QualifiedName::new(s.as_str(), name)))
                    .map_or(Resolved::Unknown, Resolved::Relation)
            }
        }
    }
}
