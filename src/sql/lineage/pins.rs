//! Pins: columns that the statement's own top-level conjuncts tie to constants or parameters.
//!
//! A column is pinned to V when every row of its item with another value cannot influence the
//! block: a conjunct that filters the item before anything else says `column = constant`, or says
//! `column = other` with `other` pinned (through inner joins both ways, through the ON of an outer
//! join towards its nullable side only). The item may then be thought of as filtered already.
//!
//! A column whose collation is not deterministic equals other texts than the constant, and what equals it need
//! not equal the constant: nothing is concluded from it.
//!
//! In the same way a column may be tied to one of a row around: `(SELECT max(l.value) FROM lab l WHERE l.patient = p.id)`
//! reads rows of that row's patient alone.

use std::sync::Arc;

use sqlparser::ast::{BinaryOperator, CastKind, Expr, UnaryOperator, Value};

use super::columns::{Block, ColumnRef, Conjunct};
use crate::catalog::Oid;
use crate::policy::{KeyPath, KeyType, Step};
use crate::sql::PinValue;
use crate::sql::plan::{Occurrence, PlanInput, fold};

/// The values of a pinned column.
pub(crate) type Values = Vec<PinValue>;

/// What an enclosing block lets its subqueries know: its names, and which columns are pinned.
#[derive(Debug, Clone)]
pub(super) struct Level {
    items: Arc<[Around]>,
    pinned: Vec<(String, String, Values)>,
    named: Vec<(String, String, Values)>,
}

/// An item of an enclosing block.
#[derive(Debug)]
struct Around {
    alias: String,
    /// The protected occurrence that it is.
    occurrence: Option<usize>,
    /// Its column names, when all are known.
    columns: Option<Vec<String>>,
}

/// What the query of `x IN (SELECT ...)` shows and is compared with: a column of its own, an expression around it.
pub(super) type Sought<'q> = (&'q Expr, &'q Expr);

/// A column of an occurrence.
type RowColumn = (usize, String);

/// What is known of one block.
#[derive(Debug, Default)]
pub(super) struct Known {
    pinned: Vec<(ColumnRef, Values)>,
    /// Columns of rows around that a column equals: rows where it does not cannot matter to that row around.
    rows: Vec<(ColumnRef, RowColumn)>,
    /// What columns are said to equal in whatever form: for the question whom the statement asks for.
    named: Vec<(ColumnRef, Values)>,
    /// (target, source): a target row whose column differs from the source's cannot matter.
    equal: Vec<(ColumnRef, ColumnRef)>,
    /// Pinned columns of which no other column is.
    loose: Vec<ColumnRef>,
}

impl Known {
    /// The values `column` of item `i` is pinned to.
    pub(super) fn get(&self, i: usize, column: &str) -> Option<&Values> {
        self.pinned.iter().find(|((item, c), _)| *item == i && c == column).map(|(_, v)| v)
    }

    /// The pinned columns of item `i`.
    pub(super) fn pinned_at(&self, i: usize) -> impl Iterator<Item = (&str, &Values)> {
        self.pinned.iter().filter(move |((item, _), _)| *item == i).map(|((_, c), v)| (c.as_str(), v))
    }

    /// What `column` of item `i` is said to equal, in whatever form.
    pub(super) fn named(&self, i: usize, column: &str) -> &[PinValue] {
        let named = self.named.iter().find(|((item, c), _)| *item == i && c == column);
        named.map_or(&[], |(_, values)| values)
    }

    /// The columns of item `i` that are said to equal something.
    pub(super) fn named_at(&self, i: usize) -> impl Iterator<Item = (&str, &Values)> {
        self.named.iter().filter(move |((item, _), _)| *item == i).map(|((_, c), v)| (c.as_str(), v))
    }

    /// What subqueries of the block may know.
    pub(super) fn level(&self, block: &Block<'_>) -> Level {
        let firm = |all: &[(ColumnRef, Values)]| {
            all.iter()
                .filter(|(column, _)| !self.loose.contains(column))
                .map(|((i, column), v)| (block.items[*i].alias.clone(), column.clone(), v.clone()))
                .collect()
        };
        let items = block.items.iter().map(|i| Around {
            alias: i.alias.clone(),
            occurrence: i.occurrence,
            columns: i.columns.clone(),
        });
        Level { items: items.collect(), pinned: firm(&self.pinned), named: firm(&self.named) }
    }

    /// The occurrence around whose row's patient every row of item `i` has that can matter to it.
    pub(super) fn shares_with(
        &self,
        i: usize,
        block: &Block<'_>,
        occurrences: &[Occurrence<'_>],
        input: &PlanInput<'_>,
    ) -> Option<usize> {
        let o = &occurrences[block.items[i].occurrence?];
        let path = o.table.rule.single().filter(|_| !o.sampled)?;
        self.shared(i, path, 0, block, occurrences, input)
    }

    /// The same for the rest of `path`, from its step `at` on.
    fn shared(
        &self,
        i: usize,
        path: &KeyPath,
        at: usize,
        block: &Block<'_>,
        occurrences: &[Occurrence<'_>],
        input: &PlanInput<'_>,
    ) -> Option<usize> {
        let item = &block.items[i];
        let clear = |column: &str| item.occurrence.is_none_or(|n| occurrences[n].clear(column));
        let step = path.steps.get(at);
        let column = step.map_or(&path.key, |s| &s.column);
        if !clear(column) || (step.is_none() && !exact(item.relation?, column, input)) {
            return None;
        }
        let next = step.map(|s| Some(input.catalog.lookup(&s.table)?.oid));
        let around = |n: usize, other: &str| {
            let o = &occurrences[n];
            let Some(way) = o.table.rule.single().filter(|_| o.key_is_clear() && o.clear(other)) else {
                return false;
            };
            match step {
                None => way.steps.is_empty() && way.key == other && exact(o.relation.oid, other, input),
                Some(step) => {
                    next == Some(Some(o.relation.oid))
                        && step.references == other
                        && way.key == path.key
                        && path.steps.get(at + 1..) == Some(way.steps.as_slice())
                }
            }
        };
        let equals = self.rows.iter().filter(|((item, own), _)| *item == i && own == column);
        if let Some((_, (n, _))) = equals.into_iter().find(|(_, (n, other))| around(*n, other)) {
            return Some(*n);
        }
        self.steps_to(i, step?, next??, block, occurrences)
            .find_map(|source| self.shared(source, path, at + 1, block, occurrences, input))
    }

    /// The items of the relation `next` whose rows are those that `step` leads to from item `i`.
    fn steps_to<'s>(
        &'s self,
        i: usize,
        step: &'s Step,
        next: Oid,
        block: &'s Block<'_>,
        occurrences: &'s [Occurrence<'_>],
    ) -> impl Iterator<Item = usize> + 's {
        self.equal
            .iter()
            .filter(move |((target, column), (source, references))| {
                *target == i
                    && *column == step.column
                    && *references == step.references
                    && block.items[*source].relation == Some(next)
                    && block.items[*source].occurrence.is_none_or(|n| occurrences[n].clear(references))
            })
            .map(|(_, (source, _))| *source)
    }

    /// The patient keys that are asked for at item `i`, an occurrence.
    pub(super) fn asked_of(
        &self,
        i: usize,
        block: &Block<'_>,
        occurrences: &[Occurrence<'_>],
        input: &PlanInput<'_>,
    ) -> Values {
        let named = |i: usize, column: &str| Some(self.named(i, column).to_vec()).filter(|v| !v.is_empty());
        let path = block.items[i].occurrence.and_then(|n| occurrences[n].table.rule.single());
        let asked = path.and_then(|path| self.along(i, path, 0, &named, block, occurrences, input));
        super::named::keys(&asked.unwrap_or_default(), input.policy.policy.key_type)
    }

    /// The patient keys that item `i`, an occurrence, is pinned to.
    pub(super) fn key_of(
        &self,
        i: usize,
        block: &Block<'_>,
        occurrences: &[Occurrence<'_>],
        input: &PlanInput<'_>,
    ) -> Option<Values> {
        let n = block.items[i].occurrence?;
        let table = occurrences[n].table;
        let pinned = |i: usize, column: &str| self.get(i, column).cloned();
        let values = self.along(i, table.rule.single()?, 0, &pinned, block, occurrences, input)?;
        let key_type = input.policy.policy.key_type;
        values
            .iter()
            .map(|v| match v {
                PinValue::Constant(text) => key_type.canonical(text).map(PinValue::Constant),
                PinValue::Parameter(n) => Some(PinValue::Parameter(*n)),
                PinValue::Elements(_) | PinValue::Both(_) => None,
            })
            .collect()
    }

    /// The key at the end of `path`, from its step `at` on, for rows of item `i`; `known` says what a column is.
    #[allow(clippy::too_many_arguments)]
    fn along(
        &self,
        i: usize,
        path: &KeyPath,
        at: usize,
        known: &dyn Fn(usize, &str) -> Option<Values>,
        block: &Block<'_>,
        occurrences: &[Occurrence<'_>],
        input: &PlanInput<'_>,
    ) -> Option<Values> {
        let item = &block.items[i];
        let clear = |column: &str| item.occurrence.is_none_or(|n| occurrences[n].clear(column));
        let Some(step) = path.steps.get(at) else {
            return (clear(&path.key) && exact(item.relation?, &path.key, input))
                .then(|| known(i, &path.key))?;
        };
        if !clear(&step.column) {
            return None;
        }
        let next = input.catalog.lookup(&step.table)?.oid;
        self.steps_to(i, step, next, block, occurrences)
            .find_map(|source| self.along(source, path, at + 1, known, block, occurrences, input))
    }
}

/// True when `=` on this column means that both texts are the same key: a built-in type of the
/// configured kind, or a domain over one. (`char(n)` ignores trailing blanks.)
fn exact(relation: Oid, column: &str, input: &PlanInput<'_>) -> bool {
    let Some(column) = input.catalog.relation(relation).and_then(|r| r.column(column)) else { return false };
    input.catalog.acts_as(column).is_some_and(|t| match input.policy.policy.key_type {
        KeyType::Int4 | KeyType::Int8 => matches!(t, "smallint" | "integer" | "bigint"),
        KeyType::Text => t == "text" || (t.starts_with("character varying") && !t.ends_with(']')),
        KeyType::Uuid => t == "uuid",
    })
}

/// True when `=` on the column may hold different texts for equal.
fn may_be_loose((i, column): &ColumnRef, block: &Block<'_>, input: &PlanInput<'_>) -> bool {
    match block.items[*i].relation {
        Some(relation) => input.catalog.is_loose(relation, column),
        // Whatever a subquery makes of its columns.
        None => !input.catalog.loose_collations.is_empty(),
    }
}

/// True for a column of a type without collation: neither has then what is compared with it.
fn has_no_collation((i, column): &ColumnRef, block: &Block<'_>, input: &PlanInput<'_>) -> bool {
    let relation = block.items[*i].relation.and_then(|oid| input.catalog.relation(oid));
    relation
        .and_then(|r| r.column(column))
        .is_some_and(|c| matches!(c.type_sql.as_str(), "smallint" | "integer" | "bigint" | "uuid"))
}

/// Reads the pins of a block; `sought` are equalities with what is around that its position means.
pub(super) fn read(
    block: &Block<'_>,
    sought: &[Sought<'_>],
    outer: &[Level],
    occurrences: &[Occurrence<'_>],
    input: &PlanInput<'_>,
) -> Known {
    let mut known = Known::default();
    let mut asked = Vec::new();
    if input.catalog.own_code.redefines("=") {
        return known; // `=` might be somebody's own
    }
    // Of other types it may be, as that of `citext` is, which pays no heed to case.
    let own = input.catalog.foreign_operators.contains("=");
    let built_in = |(i, column): &ColumnRef| {
        let relation = block.items[*i].relation.and_then(|oid| input.catalog.relation(oid));
        relation.and_then(|r| r.column(column)).is_some_and(|c| input.catalog.acts_as(c).is_some())
    };
    // A masked column shows its mask: a condition on it says nothing of the row's patient.
    let readable = |c: &ColumnRef| {
        let clear = block.items[c.0].occurrence.is_none_or(|n| occurrences[n].clear(&c.1));
        clear && (!own || built_in(c))
    };
    let share = |known: &mut Known, column: ColumnRef, around: Option<RowColumn>| {
        let row = around.filter(|(n, around)| {
            let o = &occurrences[*n];
            let built_in = || o.relation.column(around).is_some_and(|c| input.catalog.acts_as(c).is_some());
            let loose = may_be_loose(&column, block, input) || input.catalog.is_loose(o.relation.oid, around);
            o.clear(around) && !loose && (!own || built_in())
        });
        known.rows.extend(row.map(|row| (column, row)));
    };
    let tie = |known: &mut Known, column: ColumnRef, other: &Expr| {
        share(known, column.clone(), row_around(other, Some(block), outer));
        pin(known, column, constants(other, block, outer));
    };
    for (shown, other) in sought {
        let column = block.column(shown).filter(|c| block.live.contains(&c.0) && readable(c));
        if let Some(column) = column {
            share(&mut known, column, row_around(other, None, outer));
        }
    }
    for clause in &block.clauses {
        let mut note = |target: &ColumnRef, source: &ColumnRef| {
            let both = [target, source];
            let firm = both.iter().any(|c| has_no_collation(c, block, input))
                || !both.iter().any(|c| may_be_loose(c, block, input));
            if clause.allowed.contains(&target.0) && target.0 != source.0 && firm {
                known.equal.push((target.clone(), source.clone()));
            }
        };
        if let Conjunct::Condition(expr) = &clause.expr {
            for (column, named) in super::named::equalities(expr) {
                let column = block.column(super::named::column_in(column));
                let column = column.filter(|c| clause.allowed.contains(&c.0) && readable(c));
                let Some(column) = column else { continue };
                let values = named.values(|e| outer_values(e, block, outer, |level| &level.named));
                name(&mut asked, column, values);
            }
        }
        match &clause.expr {
            Conjunct::Equal(l, r, name) => {
                let (l, r) = ((*l, name.clone()), (*r, name.clone()));
                if !own || (built_in(&l) && built_in(&r)) {
                    note(&l, &r);
                    note(&r, &l);
                }
            }
            Conjunct::Condition(Expr::BinaryOp { left, op: BinaryOperator::Eq, right }) => {
                let visible = |c: &ColumnRef| clause.scope.contains(&c.0) && readable(c);
                let (l, r) = (block.column(left).filter(visible), block.column(right).filter(visible));
                match (l, r) {
                    (Some(l), Some(r)) => {
                        note(&l, &r);
                        note(&r, &l);
                    }
                    (Some(c), None) if clause.allowed.contains(&c.0) => tie(&mut known, c, right),
                    (None, Some(c)) if clause.allowed.contains(&c.0) => tie(&mut known, c, left),
                    _ => {}
                }
            }
            Conjunct::Condition(Expr::InList { expr, list, negated: false }) => {
                if let Some(c) = block.column(expr)
                    && clause.allowed.contains(&c.0)
                    && readable(&c)
                {
                    pin(&mut known, c, list.iter().map(constant).collect());
                }
            }
            Conjunct::Condition(_) => {}
        }
    }
    close(&known.equal, &mut known.pinned);
    close(&known.equal, &mut known.rows);
    close(&known.equal, &mut asked);
    known.named = asked;
    let pinned = known.pinned.iter().chain(&known.named).map(|(column, _)| column);
    known.loose = pinned.filter(|c| may_be_loose(c, block, input)).cloned().collect();
    known
}

fn pin(known: &mut Known, column: ColumnRef, values: Option<Values>) {
    if let Some(values) = values
        && known.get(column.0, &column.1).is_none()
    {
        known.pinned.push((column, values));
    }
}

/// What more a column is said to equal.
fn name(asked: &mut Vec<(ColumnRef, Values)>, column: ColumnRef, values: Values) {
    if values.is_empty() {
        return;
    }
    match asked.iter_mut().find(|(known, _)| *known == column) {
        Some((_, known)) => known.extend(values),
        None => asked.push((column, values)),
    }
}

/// Follows the equalities until nothing new is known.
fn close<V: Clone>(equal: &[(ColumnRef, ColumnRef)], known: &mut Vec<(ColumnRef, V)>) {
    loop {
        let of = |column: &ColumnRef| known.iter().find(|(c, _)| c == column).map(|(_, values)| values);
        let found = equal
            .iter()
            .filter(|(target, _)| of(target).is_none())
            .find_map(|(target, source)| Some((target.clone(), of(source)?.clone())));
        match found {
            Some(found) => known.push(found),
            None => return,
        }
    }
}

/// A constant, or a pinned column of an enclosing block.
fn constants(expr: &Expr, block: &Block<'_>, outer: &[Level]) -> Option<Values> {
    if let Some(value) = constant(expr) {
        return Some(vec![value]);
    }
    outer_values(expr, block, outer, |level| &level.pinned)
}

/// What is known of a column of an enclosing block.
fn outer_values(
    expr: &Expr,
    block: &Block<'_>,
    outer: &[Level],
    known: impl Fn(&Level) -> &[(String, String, Values)],
) -> Option<Values> {
    let (level, i, column) = column_around(expr, Some(block), outer)?;
    let alias = &level.items.get(i)?.alias;
    let mut found = known(level).iter().filter(|(a, c, _)| a == alias && *c == column);
    found.next().map(|(_, _, values)| values.clone())
}

/// The occurrence of an enclosing block, and the column of it, that `expr` is.
fn row_around(expr: &Expr, own: Option<&Block<'_>>, outer: &[Level]) -> Option<RowColumn> {
    let (level, i, column) = column_around(expr, own, outer)?;
    level.items.get(i)?.occurrence.map(|n| (n, column))
}

/// The enclosing block that a column is of, the item of it, and its name. `own`: the block that it stands in, whose own
/// columns come first.
fn column_around<'l>(
    expr: &Expr,
    own: Option<&Block<'_>>,
    outer: &'l [Level],
) -> Option<(&'l Level, usize, String)> {
    match bare(expr) {
        Expr::CompoundIdentifier(parts) => {
            let [alias, column] = parts.as_slice() else { return None };
            let alias = fold(alias);
            if own.is_some_and(|block| block.items.iter().any(|i| i.alias == alias)) {
                return None;
            }
            let level = outer.iter().rev().find(|l| l.items.iter().any(|i| i.alias == alias))?;
            let mut named = level.items.iter().enumerate().filter(|(_, i)| i.alias == alias);
            match (named.next(), named.next()) {
                (Some((i, _)), None) => Some((level, i, fold(column))),
                _ => None,
            }
        }
        Expr::Identifier(column) => {
            let column = fold(column);
            let mut own = own.iter().flat_map(|block| &block.items);
            if own.any(|i| i.alias == column || i.columns.as_ref().is_none_or(|c| c.contains(&column))) {
                return None;
            }
            for level in outer.iter().rev() {
                let may_be =
                    |i: &Around| i.alias == column || i.columns.as_ref().is_none_or(|c| c.contains(&column));
                let mut named = level.items.iter().enumerate().filter(|(_, i)| may_be(i));
                match (named.next(), named.next()) {
                    (None, _) => {}
                    (Some((i, item)), None) if item.columns.is_some() && item.alias != column => {
                        return Some((level, i, column));
                    }
                    _ => return None,
                }
            }
            None
        }
        _ => None,
    }
}

/// The constant or parameter that `expr` is, where its text is the value's. A cast is seen through only towards key
/// types, and one of a cast never: `'0101'::int8::text` is another text.
pub(crate) fn constant(expr: &Expr) -> Option<PinValue> {
    match expr {
        Expr::Nested(inner) => constant(inner),
        Expr::Value(v) => match &v.value {
            Value::Number(text, false) | Value::SingleQuotedString(text) => {
                Some(PinValue::Constant(text.clone()))
            }
            Value::Placeholder(name) => name.strip_prefix('$')?.parse().ok().map(PinValue::Parameter),
            _ => None,
        },
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match expr.as_ref() {
            Expr::Value(v) => match &v.value {
                Value::Number(text, false) => Some(PinValue::Constant(format!("-{text}"))),
                _ => None,
            },
            _ => None,
        },
        Expr::Cast { kind: CastKind::Cast | CastKind::DoubleColon, expr, data_type, format: None } => {
            let name = data_type.to_string().to_ascii_lowercase();
            let key = matches!(
                name.as_str(),
                "int"
                    | "int4"
                    | "int8"
                    | "integer"
                    | "bigint"
                    | "text"
                    | "uuid"
                    | "varchar"
                    | "character varying"
            );
            if !key {
                return None;
            }
            match bare(expr) {
                Expr::Cast { .. } => None,
                Expr::Value(v) => match (&v.value, constant(expr)?) {
                    // `007::text` is `7`.
                    (Value::Number(..), PinValue::Constant(text)) => {
                        (text.parse::<i64>().ok()?.to_string() == text).then_some(PinValue::Constant(text))
                    }
                    (_, value) => Some(value),
                },
                _ => constant(expr),
            }
        }
        _ => None,
    }
}

fn bare(expr: &Expr) -> &Expr {
    match expr {
        Expr::Nested(inner) => bare(inner),
        _ => expr,
    }
}
