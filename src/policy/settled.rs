//! What of an assignment source a client could move by its own settings: TimeZone says which day it is and what a
//! `timestamp` means beside a `timestamptz`, DateStyle how a date is read and written. A query is judged by what it
//! compares, casts and puts together, with the types that the catalog says its columns have; a view by the functions
//! that the server found for it. Not here: which words a query may have (`config::assignment`).

use std::collections::{BTreeSet, HashMap, HashSet};

use super::links::reads;
use super::problem::Problem;
use super::{AssignmentQuery, Policy, Source, TableRule};
use crate::catalog::{Catalog, Column, Oid, QualifiedName, Relation};

/// A value in a query, as far as its type matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A column, of what has this alias.
    Column(Option<String>, String),
    /// A constant that takes the type of what it stands beside.
    Constant(String),
    /// Of this type, as `format_type` spells it.
    Typed(&'static str),
    /// Cast to the type of this name (`pg_type.typname`).
    Cast(Box<Value>, String),
    /// `timezone('...', value)`.
    AtZone(Box<Value>),
    /// COALESCE.
    OneOf(Vec<Value>),
}

/// What has to hold of a query's types.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Demand {
    /// They are compared.
    Alike(Value, Value),
    /// The first is compared with the elements of the second.
    Listed(Value, Value),
    /// It is written as text.
    Written(Value),
    /// It is cast to the type of this name.
    Cast(Value, String),
    /// It is a `timestamp`, which has no time zone.
    Zoneless(Value),
    /// It is a `timestamp` or a `timestamptz`, not something that becomes one.
    Moment(Value),
}

const DATE: &str = "date";
const TIMESTAMP: &str = "timestamp without time zone";
const TIMESTAMPTZ: &str = "timestamp with time zone";

/// What to do about it.
const HELP: &str = "compare timestamptz with timestamptz; the day is pg_catalog.timezone('Europe/Berlin', \
                    pg_catalog.now())::pg_catalog.date; write constants as 2026-01-31, and as 2026-01-31 07:00+01";

/// The same in a view.
pub(super) const HELP_OF_VIEWS: &str = "compare timestamptz with timestamptz there, take the day as (now() AT TIME ZONE \
                             'Europe/Berlin')::date, or keep the rows in a table";

/// Why sources cannot be relied on.
pub(super) fn unsettled_sources(policy: &Policy, catalog: &Catalog) -> Vec<Problem> {
    let mut out = Vec::new();
    for source in policy.all_sources() {
        if let Source::Query(query) = &source {
            let types = Types { query, catalog };
            out.extend(
                query
                    .demands
                    .iter()
                    .filter_map(|demand| types.unmet(demand))
                    .map(|what| problem(query, &what)),
            );
        }
    }
    out
}

/// The same of a view behind a source, or behind what says which labels patients have.
pub(super) fn unsettled_views(tellers: &HashSet<Oid>, catalog: &Catalog) -> Vec<Problem> {
    let mut out: Vec<Problem> = tellers
        .iter()
        .filter_map(|oid| Some((catalog.relation(*oid)?, catalog.view_settings.get(oid)?)))
        .map(|(relation, function)| Problem {
            code: "assignment-settings",
            message: format!(
                "view {} says who is assigned to whom, or which labels patients have, and rests on {function}, which a \
                 client can move by its settings (SET TimeZone, DateStyle ...) or by what it creates",
                relation.name
            ),
            help: HELP_OF_VIEWS.to_owned(),
        })
        .collect();
    out.sort();
    out
}

/// A view on the rule's way that rests on settings, and on what of them: under some of them rows could be one patient's,
/// under others another's. Much of a view can rest on settings without that.
pub(super) fn unsettled_way<'a>(
    rule: &TableRule,
    catalog: &'a Catalog,
) -> Option<(&'a QualifiedName, &'a str)> {
    let steps = rule.paths().flat_map(|path| &path.steps).filter_map(|step| catalog.lookup(&step.table));
    let views = steps.flat_map(|step| reads(catalog, step.oid).into_keys().chain([step.oid]));
    let moved = |oid: Oid| Some((&catalog.relation(oid)?.name, catalog.view_settings.get(&oid)?.as_str()));
    views.filter_map(moved).min()
}

fn problem(query: &AssignmentQuery, what: &str) -> Problem {
    let relations = query.relations.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    Problem {
        code: "assignment-settings",
        message: format!(
            "the query of an assignment source over {relations} {what}: a client could move it by its settings (SET \
             TimeZone, DateStyle ...)"
        ),
        help: HELP.to_owned(),
    }
}

/// The types of a query's columns.
struct Types<'a> {
    query: &'a AssignmentQuery,
    catalog: &'a Catalog,
}

/// Types that a value may have; none where that cannot be told.
type Kinds = BTreeSet<String>;

impl Types<'_> {
    fn unmet(&self, demand: &Demand) -> Option<String> {
        let kinds = |value: &Value| self.kinds(value, 0);
        match demand {
            Demand::Alike(Value::Constant(_), Value::Constant(_)) => None,
            Demand::Alike(Value::Constant(text), value) | Demand::Alike(value, Value::Constant(text)) => {
                self.reads(text, &kinds(value))
            }
            Demand::Alike(a, b) => unlike(&kinds(a), &kinds(b)),
            Demand::Listed(value, Value::Constant(list)) => {
                let plain = list.strip_prefix('{').and_then(|l| l.strip_suffix('}'));
                // What NULL means among its elements is a setting, too.
                let plain = plain
                    .filter(|l| !l.contains(['"', '{', '\\']) && !l.to_ascii_lowercase().contains("null"));
                let Some(list) = plain else { return Some(format!("has the array {list}")) };
                let of = kinds(value);
                list.split(',').find_map(|element| self.reads(element.trim(), &of))
            }
            Demand::Listed(value, list) => {
                let elements: Kinds =
                    kinds(list).iter().map(|kind| kind.trim_end_matches("[]").to_owned()).collect();
                unlike(&kinds(value), &elements)
            }
            Demand::Written(value) => {
                let of = kinds(value);
                let bad = of.iter().find(|kind| !is_plain(kind));
                (of.is_empty() || bad.is_some())
                    .then(|| format!("writes {} as text", bad.map_or("what cannot be told", String::as_str)))
            }
            Demand::Cast(Value::Constant(text), to) => self.reads(text, &Kinds::from([spelled(to)])),
            Demand::Cast(value, to) => {
                let to = spelled(to);
                let of = kinds(value);
                let converts = |from: &String| {
                    *from == to
                        || (is_plain(from) && is_plain(&to))
                        || matches!((from.as_str(), to.as_str()), (TIMESTAMP, DATE) | (DATE, TIMESTAMP))
                };
                let bad = of.iter().find(|from| !converts(from));
                (of.is_empty() || bad.is_some())
                    .then(|| format!("casts {} to {to}", bad.map_or("what cannot be told", String::as_str)))
            }
            Demand::Zoneless(value) => self.is_one_of(value, &[TIMESTAMP]),
            Demand::Moment(value) => self.is_one_of(value, &[TIMESTAMP, TIMESTAMPTZ]),
        }
    }

    fn is_one_of(&self, value: &Value, wanted: &[&str]) -> Option<String> {
        let of = self.kinds(value, 0);
        let all = !of.is_empty() && of.iter().all(|kind| wanted.contains(&kind.as_str()));
        let found = of.into_iter().collect::<Vec<_>>().join(", ");
        (!all).then(|| {
            format!(
                "takes {} for {}",
                if found.is_empty() { "a constant" } else { &found },
                wanted.join(" or ")
            )
        })
    }

    /// Why the constant is read otherwise under other settings, as a value of one of these types.
    fn reads(&self, text: &str, kinds: &Kinds) -> Option<String> {
        if kinds.is_empty() {
            return Some(format!("has the constant '{text}' of a type that cannot be told"));
        }
        kinds
            .iter()
            .find(|kind| !self.is_read_alike(text, kind))
            .map(|kind| format!("has '{text}' as {kind}"))
    }

    fn is_read_alike(&self, text: &str, kind: &str) -> bool {
        match kind {
            DATE => day(text).is_some_and(str::is_empty),
            TIMESTAMP => {
                day(text).is_some_and(|rest| rest.is_empty() || time(rest).is_some_and(str::is_empty))
            }
            TIMESTAMPTZ => day(text).and_then(time).is_some_and(is_zone),
            "real" | "double precision" | "inet" | "cidr" | "macaddr" | "macaddr8" | "json" | "jsonb" => true,
            kind if is_plain(kind) => true,
            // Names of enums are read as they stand.
            kind => {
                kind.rsplit('.').next().is_some_and(|name| self.catalog.foreign_types.get(name) == Some(&'e'))
            }
        }
    }

    fn kinds(&self, value: &Value, depth: usize) -> Kinds {
        if depth > 16 {
            return Kinds::new();
        }
        let inner = |value: &Value| self.kinds(value, depth + 1);
        match value {
            Value::Column(of, name) => self.column(of.as_deref(), name, depth),
            Value::Constant(_) => Kinds::from(["text".to_owned()]),
            Value::Typed(kind) => Kinds::from([(*kind).to_owned()]),
            Value::Cast(_, to) => Kinds::from([spelled(to)]),
            Value::AtZone(value) => {
                let turned =
                    |kind: String| if kind == TIMESTAMPTZ { TIMESTAMP } else { TIMESTAMPTZ }.to_owned();
                inner(value).into_iter().map(turned).collect()
            }
            Value::OneOf(values) => {
                let all: Vec<Kinds> =
                    values.iter().filter(|v| !matches!(v, Value::Constant(_))).map(inner).collect();
                if all.iter().any(Kinds::is_empty) {
                    Kinds::new()
                } else {
                    all.into_iter().flatten().collect()
                }
            }
        }
    }

    /// The types of the columns that may be meant.
    fn column(&self, of: Option<&str>, name: &str, depth: usize) -> Kinds {
        let mut found = Kinds::new();
        let named: HashMap<&str, Vec<&QualifiedName>> =
            self.query.aliases.iter().fold(HashMap::new(), |mut all, (alias, relation)| {
                all.entry(alias.as_str()).or_insert_with(Vec::new).push(relation);
                all
            });
        let all = || named.values().flatten().copied();
        let relations: Vec<&QualifiedName> = match of.and_then(|alias| named.get(alias)) {
            Some(relations) => relations.clone(),
            None => all().collect(),
        };
        let columns =
            relations.iter().filter_map(|r| self.catalog.lookup(r)).filter_map(|r: &Relation| r.column(name));
        found.extend(columns.map(|column| self.kind(column)));
        // Of a subquery.
        if of.is_none_or(|alias| !named.contains_key(alias)) {
            let outputs = self.query.outputs.iter().filter(|(output, _)| output == name);
            for (_, value) in
                outputs.filter(|(_, value)| !matches!(value, Value::Column(_, own) if own == name))
            {
                let kinds = self.kinds(value, depth + 1);
                if kinds.is_empty() {
                    return Kinds::new();
                }
                found.extend(kinds);
            }
        }
        found
    }

    fn kind(&self, column: &Column) -> String {
        let name = self.catalog.acts_as(column).unwrap_or(&column.type_sql);
        // `timestamp(3) with time zone`
        match name.split_once('(') {
            Some((head, rest)) => format!("{head}{}", rest.split_once(')').map_or("", |(_, tail)| tail)),
            None => name.to_owned(),
        }
    }
}

/// Why a comparison of these converts one to the other by a setting.
fn unlike(a: &Kinds, b: &Kinds) -> Option<String> {
    let pairs = || a.iter().flat_map(|a| b.iter().map(move |b| (a, b)));
    if a.is_empty() || b.is_empty() {
        let other = if a.is_empty() { b } else { a };
        let plain = !other.is_empty() && other.iter().all(|kind| is_plain(kind));
        return (!plain).then(|| "compares what has a type that cannot be told".to_owned());
    }
    pairs()
        .find(|(a, b)| a != b && (is_of_time(a) || is_of_time(b)))
        .map(|(a, b)| format!("compares {a} with {b}"))
}

/// True for types of dates and times.
fn is_of_time(kind: &str) -> bool {
    kind.trim_end_matches("[]").starts_with("time")
        || matches!(kind.trim_end_matches("[]"), DATE | "interval")
}

/// True for types that are read and written alike under every setting.
fn is_plain(kind: &str) -> bool {
    matches!(
        kind,
        "smallint"
            | "integer"
            | "bigint"
            | "numeric"
            | "text"
            | "character varying"
            | "character"
            | "name"
            | "uuid"
            | "boolean"
    )
}

/// A type's name as `format_type` spells it.
fn spelled(name: &str) -> String {
    let (element, array) = name.strip_suffix("[]").map_or((name, ""), |element| (element, "[]"));
    let spelled = match element {
        "int2" => "smallint",
        "int4" => "integer",
        "int8" => "bigint",
        "bool" => "boolean",
        "varchar" => "character varying",
        "bpchar" => "character",
        "float4" => "real",
        "float8" => "double precision",
        "timestamp" => TIMESTAMP,
        "timestamptz" => TIMESTAMPTZ,
        "time" => "time without time zone",
        "timetz" => "time with time zone",
        other => other,
    };
    format!("{spelled}{array}")
}

/// What follows `2026-01-31`.
fn day(text: &str) -> Option<&str> {
    let (day, rest) = text.split_at_checked(10)?;
    let shape = day
        .bytes()
        .enumerate()
        .all(|(at, b)| if matches!(at, 4 | 7) { b == b'-' } else { b.is_ascii_digit() });
    shape.then_some(rest)
}

/// What follows ` 07:00`, ` 07:00:00` or ` 07:00:00.5`.
fn time(text: &str) -> Option<&str> {
    let text = text.strip_prefix([' ', 'T'])?;
    let (clock, rest) = text
        .split_at(text.find(|c: char| !(c.is_ascii_digit() || c == ':' || c == '.')).unwrap_or(text.len()));
    let parts: Vec<&str> = clock.split(':').collect();
    let digits = |part: &&str| part.len() >= 2 && part.bytes().next().is_some_and(|b| b.is_ascii_digit());
    (matches!(parts.len(), 2 | 3) && parts.iter().all(digits)).then_some(rest)
}

/// `+01`, `-05:30`, `Z`.
fn is_zone(text: &str) -> bool {
    let offset = text.strip_prefix(['+', '-']);
    text == "Z" || offset.is_some_and(|o| o.len() >= 2 && o.bytes().all(|b| b.is_ascii_digit() || b == b':'))
}
