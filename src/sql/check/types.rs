//! Coarse types of columns and expressions, as far as the evaluation-order rule needs them, and
//! the scopes in which column names are looked up. When in doubt a type is `Unknown`.

use super::block::Cte;
use crate::catalog::{Catalog, Oid, Relation};
use crate::sql::tree::Node;

/// A coarse type. Only what is named here takes part in safe comparisons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ty {
    /// Not known, or not built in.
    Unknown,
    /// A string constant or a bare parameter: takes the type of what it stands beside.
    Literal,
    /// A column made of bare parameters: a built-in type that the server alone knows.
    Given,
    /// A numeric constant.
    Number,
    /// `int2`, `int4`, `int8`, by width in bytes.
    Int(u8),
    Numeric,
    /// `numeric(p,s)` of so few digits that every type of numbers but those of whole ones has room for it.
    Decimal,
    Float,
    /// `text`, `varchar`, `bpchar`, `name`.
    Text,
    Bool,
    Date,
    Timestamp,
    Timestamptz,
    /// `time`, `interval`, `uuid`, `bytea`, `inet`, `oid` ...: comparable with itself only.
    Other(&'static str),
    Enum,
    Jsonb,
    /// An array of a built-in type.
    Array,
}

/// Named columns of a FROM item; `None` where they are not known.
pub(super) type Columns = Option<Vec<(String, Ty)>>;

/// Columns whose first ones get the names that a list gives them.
pub(super) fn under_names(columns: Columns, names: &[&str]) -> Columns {
    let mut columns = columns?;
    for (column, name) in columns.iter_mut().zip(names) {
        column.0 = (*name).to_owned();
    }
    Some(columns)
}

/// The type of this name, as `format_type` or the grammar spells it.
pub(super) fn builtin(name: &str) -> Ty {
    let base = name.split('(').next().unwrap_or(name).trim();
    let after = name.rsplit_once(')').map_or("", |(_, rest)| rest).trim();
    if let Some(element) = name.strip_suffix(']') {
        // Arrays compare as their elements do: those of json not at all.
        let element = element.trim_end_matches(|c: char| c == '[' || c == ']' || c.is_ascii_digit());
        return if builtin(element) == Ty::Unknown { Ty::Unknown } else { Ty::Array };
    }
    match base {
        "int2" | "smallint" => Ty::Int(2),
        "int4" | "integer" | "int" => Ty::Int(4),
        "int8" | "bigint" => Ty::Int(8),
        "numeric" | "decimal" if fits_float(name) => Ty::Decimal,
        "numeric" | "decimal" => Ty::Numeric,
        "float4" | "float8" | "real" | "double precision" => Ty::Float,
        "text" | "varchar" | "character varying" | "bpchar" | "character" | "name" => Ty::Text,
        "bool" | "boolean" => Ty::Bool,
        "date" => Ty::Date,
        "timestamp" if after == "with time zone" => Ty::Timestamptz,
        "timestamp" | "timestamp without time zone" => Ty::Timestamp,
        "timestamptz" | "timestamp with time zone" => Ty::Timestamptz,
        "time" | "time without time zone" if after != "with time zone" => Ty::Other("time"),
        "timetz" | "time" | "time with time zone" => Ty::Other("timetz"),
        "interval" => Ty::Other("interval"),
        "uuid" => Ty::Other("uuid"),
        "bytea" => Ty::Other("bytea"),
        "inet" => Ty::Other("inet"),
        "oid" => Ty::Other("oid"),
        "\"char\"" | "char" => Ty::Other("char"),
        "money" => Ty::Other("money"),
        "jsonb" => Ty::Jsonb,
        _ => Ty::Unknown,
    }
}

/// True for a numeric whose values `real` has room for, the smallest ones included.
fn fits_float(name: &str) -> bool {
    let modifier = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    let parts = modifier.and_then(|m| m.split_once(','));
    let parts = parts.and_then(|(p, s)| Some((p.parse::<u16>().ok()?, s.parse::<u16>().ok()?)));
    parts.is_some_and(|(precision, scale)| precision <= 38 && scale <= 37)
}

/// The columns of a relation.
pub(super) fn columns_of(relation: &Relation, catalog: &Catalog) -> Vec<(String, Ty)> {
    let ty = |c: &crate::catalog::Column| match catalog.acts_as(c) {
        Some(name) => builtin(name),
        None if catalog.is_enum(c) => Ty::Enum,
        None => Ty::Unknown,
    };
    relation.columns.iter().map(|c| (c.name.clone(), ty(c))).collect()
}

/// The type a cast names. A user type of the same name makes it unknown.
pub(super) fn of_type_name(name: &Node, catalog: &Catalog) -> Ty {
    let names = name.names("names");
    let qualified = matches!(names.as_slice(), ["pg_catalog", _]);
    if name.flag("setof") || name.flag("pct_type") {
        return Ty::Unknown;
    }
    // Of another schema: every type of that name is an enum, or it is not known which is meant.
    if let ([_, last], false) = (names.as_slice(), qualified) {
        let is_enum = catalog.foreign_types.get(*last) == Some(&'e') && !name.has("array_bounds");
        return if is_enum { Ty::Enum } else { Ty::Unknown };
    }
    let Some(last) = names.last().filter(|_| qualified || names.len() == 1) else { return Ty::Unknown };
    if !qualified && let Some(kind) = catalog.foreign_types.get(*last) {
        return if *kind == 'e' && !name.has("array_bounds") { Ty::Enum } else { Ty::Unknown };
    }
    match builtin(last) {
        Ty::Unknown => Ty::Unknown,
        _ if name.has("array_bounds") => Ty::Array,
        ty => ty,
    }
}

/// The type of an element of the array type that a cast names.
pub(super) fn element_of_type_name(name: &Node, catalog: &Catalog) -> Ty {
    let names = name.names("names");
    let foreign = names.last().is_some_and(|last| catalog.foreign_types.contains_key(*last));
    match names.as_slice() {
        ["pg_catalog", last] => builtin(last),
        [last] if !foreign => builtin(last),
        _ => Ty::Unknown,
    }
}

/// True for the name of an array of an enum, whatever schemas have a type of that name.
pub(super) fn array_of_enum(name: &Node, catalog: &Catalog) -> bool {
    let names = name.names("names");
    let plain = !name.flag("setof") && !name.flag("pct_type") && name.has("array_bounds");
    let last = names.last().filter(|_| names.first() != Some(&"pg_catalog"));
    plain && last.is_some_and(|last| catalog.foreign_types.get(*last) == Some(&'e'))
}

/// One FROM item.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) alias: String,
    /// Set when it is a protected relation, or a subquery that stands for one: the relation's
    /// witness may be computed over the alias.
    pub(super) oid: Option<Oid>,
    pub(super) columns: Columns,
}

/// The FROM items of a query block, inside those of the blocks around it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Block<'p> {
    pub(super) items: &'p [Item],
    /// CTEs in scope, for the types of subqueries.
    pub(super) ctes: &'p [Cte],
    pub(super) parent: Option<&'p Block<'p>>,
}

impl Block<'_> {
    /// The type of a column reference, `Unknown` unless exactly one known item has it.
    pub(super) fn column(&self, name: &[&str]) -> Ty {
        let found = |item: &Item, column: &str| {
            item.columns.as_ref()?.iter().find(|(n, _)| n == column).map(|(_, ty)| *ty)
        };
        let (alias, column) = match name {
            [column] => (None, *column),
            [.., alias, column] => (Some(*alias), *column),
            [] => return Ty::Unknown,
        };
        let mut at = Some(self);
        while let Some(block) = at {
            let candidates = || block.items.iter().filter(|i| alias.is_none_or(|a| i.alias == a));
            let mut types = candidates().filter_map(|i| found(i, column));
            match (types.next(), types.next()) {
                (Some(ty), None) => return ty,
                // Both sides of a USING or NATURAL join have it: comparable, or it would not parse.
                (Some(a), Some(b)) => return if a == b { a } else { Ty::Unknown },
                (None, _) => {}
            }
            if candidates().any(|i| i.columns.is_none() || alias.is_some()) {
                return Ty::Unknown;
            }
            at = block.parent;
        }
        Ty::Unknown
    }

    /// True when a column reference certainly means a column of this block, not of one around it: names are looked for
    /// from the inside out (`colNameToVar`, `refnameNamespaceItem`).
    pub(super) fn owns(&self, reference: &Node) -> bool {
        let names = reference.names("fields");
        // A star, and what is written with a schema, may be that of another table under the same name.
        if names.len() != reference.list("fields").len() {
            return false;
        }
        let has =
            |item: &Item, column: &str| item.columns.as_ref().map(|all| all.iter().any(|(n, _)| n == column));
        let around =
            || std::iter::successors(self.parent, |block| block.parent).flat_map(|block| block.items);
        match names.as_slice() {
            [column] => {
                // Not found here for sure, it is if it cannot be found around.
                self.items.iter().any(|item| has(item, column) == Some(true))
                    || !around().any(|item| has(item, column) != Some(false) || item.alias == *column)
            }
            [alias, column] => {
                let mut named = self.items.iter().filter(|item| item.alias == *alias).peekable();
                // An item under the alias of a join is not to be seen, and has no known columns.
                named.peek().is_some()
                    && (named.any(|item| has(item, column) == Some(true))
                        || !around().any(|item| item.alias == *alias))
            }
            _ => false,
        }
    }

    /// The columns that `*` shows, or that `alias.*` does.
    pub(super) fn star(&self, alias: Option<&str>) -> Columns {
        let mut at = Some(self);
        while let Some(block) = at {
            let of: Vec<&Item> = block.items.iter().filter(|i| alias.is_none_or(|a| i.alias == a)).collect();
            if !of.is_empty() {
                return of
                    .into_iter()
                    .map(|i| i.columns.clone())
                    .collect::<Option<Vec<_>>>()
                    .map(|c| c.concat());
            }
            at = block.parent.filter(|_| alias.is_some());
        }
        None
    }

    /// The protected relation that `alias` stands for.
    pub(super) fn relation(&self, alias: &str) -> Option<Oid> {
        let mut at = Some(self);
        while let Some(block) = at {
            let mut found = block.items.iter().filter(|i| i.alias == alias);
            match (found.next(), found.next()) {
                (Some(item), None) => return item.oid,
                (Some(_), Some(_)) => return None,
                (None, _) => at = block.parent,
            }
        }
        None
    }

    /// The protected relations visible under their aliases, innermost first.
    pub(super) fn protected(&self) -> Vec<(Oid, String)> {
        let mut out = Vec::new();
        let mut at = Some(self);
        while let Some(block) = at {
            out.extend(block.items.iter().filter_map(|i| i.oid.map(|oid| (oid, i.alias.clone()))));
            at = block.parent;
        }
        out
    }
}
