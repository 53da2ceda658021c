//! Subqueries and WITH queries in FROM that only choose and compute, for a role with `min_cell`: they become a part of the
//! block around them, where the checker sees what is grouped: `SELECT band, count(*) FROM (SELECT age / 10 AS band FROM
//! person WHERE sex = 'F') p GROUP BY band` groups persons by `age / 10`. A view without an entry is one, too.
//!
//! What is not certain to mean the same stays where it is, and is refused there. Not for what groups, sorts for a limit,
//! or lists keys (see `cohorts`); nothing rests on this.

use std::collections::{BTreeMap, BTreeSet};

use sqlparser::ast::{
    BinaryOperator, CastKind, DataType, Distinct, Expr, Function, GroupByExpr, Ident, JoinConstraint,
    JoinOperator, ObjectName, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr, Statement,
    TableAlias, TableFactor, TableWithJoins, Value,
};

use super::cohorts::{Names, bare_name, drop_unread};
use super::relations::{Items, Relations, called};
use super::walk::{Edit, Look, edit, look};
use super::{PlanError, PlanInput, any_expr, any_query, fold};
use crate::catalog::Resolved;
use crate::sql::lineage::{is_aggregate, makes_rows};
use crate::sql::words::is_opaque;

/// Subqueries inside each other beyond this stay where they are.
const DEEPEST: usize = 16;

/// Merges those of `ast`.
pub(super) fn subqueries(ast: &mut Statement, input: &PlanInput<'_>) -> Result<(), PlanError> {
    let opaque = |e: &Expr| matches!(e, Expr::Identifier(name) if is_opaque(&name.value));
    if any_expr(ast, &mut { opaque }) {
        return Ok(());
    }
    let relations = Relations::of(ast, &[], input);
    let mut defined = Names::default();
    look(ast, &mut defined);
    let mut merger = Merger { relations, input, defined: defined.0, with: Vec::new(), changed: false };
    for _ in 0..DEEPEST {
        merger.changed = false;
        edit(ast, &mut merger)?;
        if !merger.changed {
            break;
        }
    }
    drop_unread(ast)
}

struct Merger<'a, 'b> {
    relations: Relations<'b, 'b>,
    input: &'a PlanInput<'b>,
    /// How often each name of a WITH query is defined.
    defined: BTreeMap<String, usize>,
    /// The WITH queries in scope that can be merged, of each query around; `None` hides one of its name.
    with: Vec<Vec<(String, Option<Box<Query>>)>>,
    changed: bool,
}

impl Edit for Merger<'_, '_> {
    fn query(&mut self, query: &mut Query) -> Result<(), PlanError> {
        let mut own = Vec::new();
        if let Some(with) = &query.with {
            for cte in &with.cte_tables {
                let plain =
                    !with.recursive && cte.alias.columns.is_empty() && self.parts(&cte.query).is_some();
                own.push((fold(&cte.alias.name), plain.then(|| cte.query.clone())));
            }
        }
        self.with.push(own);
        if let SetExpr::Select(select) = query.body.as_mut() {
            for tree in &mut select.from {
                self.name_in(tree);
            }
        }
        while let Some(merged) = self.one(query) {
            *query = merged;
            self.changed = true;
        }
        Ok(())
    }

    fn query_end(&mut self) {
        self.with.pop();
    }
}

/// What a subquery consists of.
struct Parts<'b> {
    from: Vec<TableWithJoins>,
    selection: Option<Expr>,
    items: Vec<(String, &'b crate::catalog::Relation)>,
    /// Its columns, by the names that they have outside.
    columns: Vec<(String, Expr)>,
}

impl<'b> Merger<'_, 'b> {
    /// Puts WITH queries that can be merged in the place of their names.
    fn name_in(&mut self, tree: &mut TableWithJoins) {
        let factors =
            std::iter::once(&mut tree.relation).chain(tree.joins.iter_mut().map(|j| &mut j.relation));
        for factor in factors {
            let TableFactor::Table { name, alias, args: None, sample: None, .. } = factor else { continue };
            let Some(name) = bare_name(name) else { continue };
            // One that is defined once, and called like no table, is meant wherever its name stands.
            let table = self.input.catalog.resolve(None, &name, self.input.namespace);
            if self.defined.get(&name) != Some(&1) || !matches!(table, Resolved::Unknown) {
                continue;
            }
            let known = self.with.iter().rev().flat_map(|w| w.iter().rev()).find(|(n, _)| *n == name);
            let Some((_, Some(query))) = known else { continue };
            let alias = alias.take().unwrap_or_else(|| named_as(Ident::with_quote('"', name)));
            let subquery = query.clone();
            *factor = TableFactor::Derived { lateral: false, subquery, alias: Some(alias), sample: None };
            self.changed = true;
        }
    }

    /// The parts of a query that only chooses and computes.
    fn parts(&self, query: &Query) -> Option<Parts<'b>> {
        let SetExpr::Select(select) = query.body.as_ref() else { return None };
        let plain = query.with.is_none()
            && query.limit_clause.is_none()
            && query.fetch.is_none()
            && query.locks.is_empty()
            && select.into.is_none()
            && select.having.is_none()
            && select.named_window.is_empty()
            && matches!(select.distinct, None | Some(Distinct::All))
            && matches!(&select.group_by, GroupByExpr::Expressions(keys, more) if keys.is_empty() && more.is_empty());
        if !plain {
            return None;
        }
        let mut items = self.relations.items(&select.from)?;
        let mut from = select.from.clone();
        from.iter_mut().for_each(give_aliases);
        let merges = |j: &sqlparser::ast::Join| {
            !matches!(constraint(&j.join_operator), Some(JoinConstraint::On(_) | JoinConstraint::None))
        };
        let merged = select.from.iter().any(|t| t.joins.iter().any(merges));
        let mut columns = Vec::new();
        let of = |alias: &str, column: &str| {
            let named = |n: &str| Ident::with_quote('"', n);
            (column.to_owned(), Expr::CompoundIdentifier(vec![named(alias), named(column)]))
        };
        for item in &select.projection {
            match item {
                SelectItem::ExprWithAlias { expr, alias } => columns.push((fold(alias), computed(expr)?)),
                SelectItem::UnnamedExpr(expr @ Expr::Identifier(name)) => {
                    columns.push((fold(name), expr.clone()))
                }
                SelectItem::UnnamedExpr(expr @ Expr::CompoundIdentifier(parts)) => {
                    columns.push((fold(parts.last()?), expr.clone()));
                }
                SelectItem::UnnamedExpr(expr) => {
                    // What has no name of which one is certain is not asked for.
                    let unnamed = format!("?column?{}", columns.len());
                    let name = name_of(expr).unwrap_or(unnamed);
                    columns.push((name, computed(expr)?));
                }
                SelectItem::Wildcard(more) if !merged && more.to_string().is_empty() => {
                    let all = items.iter().flat_map(|(a, r)| r.columns.iter().map(|c| of(a, &c.name)));
                    columns.extend(all);
                }
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), more)
                    if more.to_string().is_empty() =>
                {
                    let name = bare_name(name)?;
                    let (alias, relation) = items.iter().find(|(alias, _)| *alias == name)?;
                    columns.extend(relation.columns.iter().map(|c| of(alias, &c.name)));
                }
                _ => return None,
            }
        }
        let names: BTreeSet<&String> = columns.iter().map(|(name, _)| name).collect();
        if names.len() < columns.len() || !columns.iter().all(|(_, e)| self.computes(e)) {
            return None;
        }
        items.sort_by(|a, b| a.0.cmp(&b.0));
        (!items.windows(2).any(|w| matches!(w, [a, b] if a.0 == b.0))).then(|| Parts {
            from,
            selection: select.selection.clone(),
            items,
            columns,
        })
    }

    /// True for what is the same for a row however often it is asked for, and no aggregate.
    fn computes(&self, expr: &Expr) -> bool {
        let functions = &self.input.catalog.functions;
        let other = |e: &Expr| match e {
            Expr::Function(Function { name, over, filter, within_group, .. }) => {
                let name = name.0.last().and_then(|p| p.as_ident()).map(fold).unwrap_or_default();
                let known = functions.get(&name).map_or(&[][..], Vec::as_slice);
                let volatile =
                    known.iter().any(|f| f.kind != 'f' || f.volatility == 'v' || f.schema != "pg_catalog");
                over.is_some()
                    || filter.is_some()
                    || !within_group.is_empty()
                    || volatile
                    || is_aggregate(&name)
                    || makes_rows(&name)
            }
            Expr::CompoundFieldAccess { .. } => true,
            _ => false,
        };
        !any_query(expr, &mut |_| true) && !any_expr(expr, &mut { other })
    }

    /// `query` with the first subquery of its FROM that can be merged.
    fn one(&self, query: &Query) -> Option<Query> {
        let SetExpr::Select(select) = query.body.as_ref() else { return None };
        let places =
            select.from.iter().enumerate().flat_map(|(t, tree)| (0..=tree.joins.len()).map(move |p| (t, p)));
        places.into_iter().find_map(|(tree, place)| {
            let mut merged = query.clone();
            self.merge(&mut merged, tree, place).map(|()| merged)
        })
    }

    fn merge(&self, query: &mut Query, tree: usize, place: usize) -> Option<()> {
        let Query { body, order_by, .. } = query;
        let SetExpr::Select(select) = body.as_mut() else { return None };
        let whole = select.from.get_mut(tree)?;
        let kept = whole.joins.iter().enumerate().all(|(i, j)| {
            let inner = matches!(
                j.join_operator,
                JoinOperator::Join(_) | JoinOperator::Inner(_) | JoinOperator::CrossJoin(_)
            );
            let left = matches!(j.join_operator, JoinOperator::Left(_) | JoinOperator::LeftOuter(_));
            !j.global && (inner || (left && i + 1 != place))
        });
        let natural =
            |j: &sqlparser::ast::Join| matches!(constraint(&j.join_operator), Some(JoinConstraint::Natural));
        let factor = match place.checked_sub(1) {
            None => &mut whole.relation,
            Some(at) => &mut whole.joins.get_mut(at)?.relation,
        };
        let TableFactor::Derived { lateral: false, subquery, alias: Some(alias), sample: None } = &*factor
        else {
            return None;
        };
        let mut parts = self.parts(subquery)?;
        for (at, name) in alias.columns.iter().enumerate() {
            parts.columns.get_mut(at)?.0 = fold(&name.name);
        }
        let alias = fold(&alias.name);
        // What stays of it while the rest is looked at.
        *factor = TableFactor::Table {
            name: ObjectName::from(vec![Ident::with_quote('"', &alias)]),
            alias: None,
            args: None,
            with_hints: Vec::new(),
            version: None,
            with_ordinality: false,
            partitions: Vec::new(),
            json_path: None,
            sample: None,
            index_hints: Vec::new(),
        };
        if !kept || whole.joins.iter().any(natural) {
            return None;
        }
        let others = self.others(select, tree, place)?;
        // Names that a table of the subquery may not have outside.
        let mut taken: BTreeSet<String> = others.iter().map(|(alias, _)| alias.clone()).collect();
        taken.insert(alias.clone());
        any_expr(&*select, &mut |e| {
            if let Expr::CompoundIdentifier(names) = e {
                taken.extend(names.first().map(fold));
            }
            false
        });
        let own: BTreeSet<String> = parts.items.iter().map(|(alias, _)| alias.clone()).collect();
        // Names in subqueries of expressions mean the same wherever these stand.
        let around = others.iter().map(|(alias, _)| alias).chain([&alias]).chain(&own).cloned().collect();
        let clear = |nodes: &[bool]| nodes.iter().all(|unclear| !unclear);
        let mut nested = Nested {
            relations: &self.relations,
            taken: &around,
            blocks: Vec::new(),
            tables: BTreeSet::new(),
        };
        let inside = [look(&parts.selection, &mut nested), look(&parts.from, &mut nested)];
        let outside = [
            look(&select.from, &mut nested),
            look(&select.projection, &mut nested),
            look(&select.selection, &mut nested),
            look(&select.group_by, &mut nested),
            look(&select.having, &mut nested),
            look(&select.named_window, &mut nested),
            look(&*order_by, &mut nested),
        ];
        if !clear(&inside) || !clear(&outside) {
            return None;
        }
        taken.append(&mut nested.tables);
        let all: BTreeSet<String> = taken.union(&own).cloned().collect();
        self.settle(&mut parts, &taken, &all)?;
        let merged = join_by_on(select.from.get_mut(tree)?, place, &alias, &parts, &others)?;
        let mut put =
            Put { alias: &alias, parts: &parts, others: &others, merged: &merged, depth: 0, failed: false };
        put.all(select, order_by)?;
        into_place(select.from.get_mut(tree)?, place, parts.from)?;
        let all = select.selection.take().into_iter().chain(parts.selection).map(nested_or);
        select.selection = all.reduce(|left, right| Expr::BinaryOp {
            left: Box::new(left),
            op: BinaryOperator::And,
            right: Box::new(right),
        });
        Some(())
    }

    /// What else stands in the FROM clause, by the names of its columns.
    fn others(&self, select: &Select, tree: usize, place: usize) -> Option<Vec<(String, BTreeSet<String>)>> {
        let mut others = Vec::new();
        for (t, whole) in select.from.iter().enumerate() {
            let factors = std::iter::once(&whole.relation).chain(whole.joins.iter().map(|j| &j.relation));
            for (p, factor) in factors.enumerate() {
                if (t, p) == (tree, place) {
                    continue;
                }
                let known: Vec<(String, BTreeSet<String>)> = match factor {
                    TableFactor::Derived { lateral: false, subquery, .. } => {
                        let columns =
                            self.parts(subquery)?.columns.into_iter().map(|(name, _)| name).collect();
                        vec![(called(factor)?, columns)]
                    }
                    _ => {
                        let one = TableWithJoins { relation: factor.clone(), joins: Vec::new() };
                        let items: Items<'_> = self.relations.items(std::slice::from_ref(&one));
                        let names =
                            |r: &crate::catalog::Relation| r.columns.iter().map(|c| c.name.clone()).collect();
                        items?.into_iter().map(|(alias, r)| (alias, names(r))).collect()
                    }
                };
                others.extend(known);
            }
        }
        Some(others)
    }

    /// Gives the columns of a subquery the names of its tables, and these other names where theirs are taken.
    fn settle(&self, parts: &mut Parts<'_>, taken: &BTreeSet<String>, all: &BTreeSet<String>) -> Option<()> {
        let mut renamed = BTreeMap::new();
        for (alias, _) in &parts.items {
            let fresh = (1..).map(|n| format!("{alias}_{n}")).find(|name| !all.contains(name));
            let name = if taken.contains(alias) { fresh? } else { alias.clone() };
            renamed.insert(alias.clone(), name);
        }
        let mut qualify = Qualify { items: &parts.items, renamed: &renamed, depth: 0, failed: false };
        parts.columns.iter_mut().try_for_each(|(_, e)| edit(e, &mut qualify)).ok()?;
        edit(&mut parts.selection, &mut qualify).ok()?;
        edit(&mut parts.from, &mut qualify).ok()?;
        if qualify.failed {
            return None;
        }
        parts.from.iter_mut().for_each(|tree| rename(tree, &renamed));
        Some(())
    }
}

/// A column that a subquery computes; a text has its type outside.
fn computed(expr: &Expr) -> Option<Expr> {
    match expr {
        Expr::Nested(inner) => computed(inner),
        Expr::Value(v) => {
            let data_type = match &v.value {
                Value::SingleQuotedString(_) => DataType::Text,
                Value::Number(text, false) if text.parse::<i32>().is_ok() => DataType::Integer(None),
                _ => return None,
            };
            let (kind, expr) = (CastKind::DoubleColon, Box::new(expr.clone()));
            Some(Expr::Cast { kind, expr, data_type, format: None })
        }
        other => Some(other.clone()),
    }
}

/// What PostgreSQL calls a column without a name, where that is plain.
fn name_of(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Function(call) => call.name.0.last().and_then(|p| p.as_ident()).map(fold),
        Expr::Extract { .. } => Some("extract".to_owned()),
        Expr::Cast { .. } | Expr::Nested(_) => shown_name(expr),
        _ => None,
    }
}

fn constraint(operator: &JoinOperator) -> Option<&JoinConstraint> {
    match operator {
        JoinOperator::Join(c)
        | JoinOperator::Inner(c)
        | JoinOperator::Left(c)
        | JoinOperator::LeftOuter(c)
        | JoinOperator::CrossJoin(c) => Some(c),
        _ => None,
    }
}

fn constraint_mut(operator: &mut JoinOperator) -> Option<&mut JoinConstraint> {
    match operator {
        JoinOperator::Join(c)
        | JoinOperator::Inner(c)
        | JoinOperator::Left(c)
        | JoinOperator::LeftOuter(c)
        | JoinOperator::CrossJoin(c) => Some(c),
        _ => None,
    }
}

fn named_as(name: Ident) -> TableAlias {
    TableAlias { explicit: true, name, columns: Vec::new(), at: None }
}

fn each_table(tree: &mut TableWithJoins, f: &mut dyn FnMut(&ObjectName, &mut Option<TableAlias>)) {
    for factor in std::iter::once(&mut tree.relation).chain(tree.joins.iter_mut().map(|j| &mut j.relation)) {
        match factor {
            TableFactor::Table { name, alias, .. } => f(name, alias),
            TableFactor::NestedJoin { table_with_joins, .. } => each_table(table_with_joins, f),
            _ => {}
        }
    }
}

fn give_aliases(tree: &mut TableWithJoins) {
    each_table(tree, &mut |name, alias| {
        if let (None, Some(last)) = (&alias, name.0.last().and_then(|p| p.as_ident())) {
            *alias = Some(named_as(Ident::with_quote('"', fold(last))));
        }
    });
}

fn rename(tree: &mut TableWithJoins, renamed: &BTreeMap<String, String>) {
    each_table(tree, &mut |_, alias| {
        if let Some(alias) = alias
            && let Some(name) = renamed.get(&fold(&alias.name))
        {
            alias.name = Ident::with_quote('"', name);
        }
    });
}

fn nested_or(condition: Expr) -> Expr {
    match condition {
        or @ Expr::BinaryOp { op: BinaryOperator::Or, .. } => Expr::Nested(Box::new(or)),
        other => other,
    }
}

/// Puts the tables of the subquery in its place.
fn into_place(tree: &mut TableWithJoins, place: usize, from: Vec<TableWithJoins>) -> Option<()> {
    let mut from = from.into_iter();
    let mut whole = from.next()?;
    for more in from {
        let relation = alone(more);
        let join_operator = JoinOperator::CrossJoin(JoinConstraint::None);
        whole.joins.push(sqlparser::ast::Join { relation, global: false, join_operator });
    }
    match place.checked_sub(1) {
        None => {
            whole.joins.append(&mut tree.joins);
            *tree = whole;
        }
        Some(at) => tree.joins.get_mut(at)?.relation = alone(whole),
    }
    Some(())
}

fn alone(tree: TableWithJoins) -> TableFactor {
    match tree.joins.is_empty() {
        true => tree.relation,
        false => TableFactor::NestedJoin { table_with_joins: Box::new(tree), alias: None },
    }
}

/// USING of the joins that the subquery has to do with as ON; what the merged columns are, by their names.
fn join_by_on(
    tree: &mut TableWithJoins,
    place: usize,
    alias: &str,
    parts: &Parts<'_>,
    others: &[(String, BTreeSet<String>)],
) -> Option<BTreeMap<String, Expr>> {
    let own = |column: &str| parts.columns.iter().find(|(name, _)| name == column).map(|(_, e)| e.clone());
    let has = |factor: &TableFactor, column: &str| {
        called(factor).is_some_and(|name| others.iter().any(|(a, all)| *a == name && all.contains(column)))
    };
    let of = |factor: &TableFactor, column: &str| {
        let named = |n: &str| Ident::with_quote('"', n);
        Some(Expr::CompoundIdentifier(vec![named(&called(factor)?), named(column)]))
    };
    let mut merged: BTreeMap<String, Expr> = BTreeMap::new();
    let mut before = vec![tree.relation.clone()];
    for (at, join) in tree.joins.iter_mut().enumerate() {
        let here = at + 1 == place;
        if let Some(given) = constraint_mut(&mut join.join_operator)
            && let JoinConstraint::Using(columns) = &*given
            && at + 1 >= place
        {
            let mut all = Vec::new();
            for column in columns {
                let name = bare_name(column)?;
                let right = if here { own(&name)? } else { of(&join.relation, &name)? };
                let left = match merged.get(&name) {
                    Some(known) => known.clone(),
                    None => {
                        let tables =
                            before.iter().filter(|f| called(f).as_deref() != Some(alias) && has(f, &name));
                        let mut found: Vec<Expr> = tables.map(|f| of(f, &name)).collect::<Option<_>>()?;
                        found.extend(own(&name).filter(|_| !here));
                        let [one] = <[Expr; 1]>::try_from(found).ok()?;
                        one
                    }
                };
                merged.insert(name, left.clone());
                let (left, right) = (Box::new(left), Box::new(right));
                all.push(Expr::BinaryOp { left, op: BinaryOperator::Eq, right });
            }
            let on = all.into_iter().reduce(|l, r| Expr::BinaryOp {
                left: Box::new(l),
                op: BinaryOperator::And,
                right: Box::new(r),
            })?;
            *given = JoinConstraint::On(on);
        }
        before.push(join.relation.clone());
    }
    Some(merged)
}

/// Stops at a subquery of an expression in which a name could mean something else than it does now: a bare one that is no
/// column of its own tables, or a table that is called like one around.
struct Nested<'a, 'b> {
    relations: &'a Relations<'b, 'b>,
    taken: &'a BTreeSet<String>,
    blocks: Vec<Vec<(String, &'b crate::catalog::Relation)>>,
    /// What the tables of the subqueries are called.
    tables: BTreeSet<String>,
}

impl Look for Nested<'_, '_> {
    fn query(&mut self, query: &Query) -> bool {
        let items = match query.body.as_ref() {
            SetExpr::Select(select) => self.relations.items(&select.from),
            _ => None,
        };
        let clear =
            items.as_ref().is_some_and(|all| !all.iter().any(|(alias, _)| self.taken.contains(alias)));
        let items = items.unwrap_or_default();
        self.tables.extend(items.iter().map(|(alias, _)| alias.clone()));
        self.blocks.push(items);
        !clear
    }

    fn query_end(&mut self) {
        self.blocks.pop();
    }

    fn expr(&mut self, expr: &Expr) -> bool {
        if self.blocks.is_empty() {
            return false;
        }
        match expr {
            Expr::Identifier(name) => {
                let name = fold(name);
                !self.blocks.iter().flatten().any(|(_, r)| r.column(&name).is_some())
            }
            Expr::CompoundIdentifier(parts) => parts.len() != 2,
            Expr::CompoundFieldAccess { .. } => true,
            _ => false,
        }
    }
}

/// Gives bare columns of a subquery the names of their tables.
struct Qualify<'a, 'b> {
    items: &'a [(String, &'b crate::catalog::Relation)],
    renamed: &'a BTreeMap<String, String>,
    depth: usize,
    failed: bool,
}

impl Edit for Qualify<'_, '_> {
    fn query(&mut self, _: &mut Query) -> Result<(), PlanError> {
        self.depth += 1;
        Ok(())
    }

    fn query_end(&mut self) {
        self.depth -= 1;
    }

    fn expr(&mut self, expr: &mut Expr) {
        match expr {
            Expr::Identifier(name) if self.depth == 0 => {
                let name = fold(name);
                let mut found = self.items.iter().filter(|(_, r)| r.column(&name).is_some());
                match (found.next(), found.next()) {
                    (Some((alias, _)), None) => {
                        let alias = self.renamed.get(alias).unwrap_or(alias);
                        let named = |n: &str| Ident::with_quote('"', n);
                        *expr = Expr::CompoundIdentifier(vec![named(alias), named(&name)]);
                    }
                    _ => self.failed = true,
                }
            }
            Expr::CompoundIdentifier(parts) => match parts.as_mut_slice() {
                [alias, _] => {
                    if let Some(name) = self.renamed.get(&fold(alias)) {
                        *alias = Ident::with_quote('"', name);
                    } else if self.depth == 0 {
                        self.failed = true;
                    }
                }
                _ => self.failed = true,
            },
            Expr::CompoundFieldAccess { .. } => self.failed = true,
            _ => {}
        }
    }
}

/// Puts what a subquery computes in the places of its columns, and the names of tables before other bare columns.
struct Put<'a, 'b> {
    alias: &'a str,
    parts: &'a Parts<'b>,
    others: &'a [(String, BTreeSet<String>)],
    merged: &'a BTreeMap<String, Expr>,
    depth: usize,
    failed: bool,
}

impl Put<'_, '_> {
    fn all(&mut self, select: &mut Select, order_by: &mut Option<sqlparser::ast::OrderBy>) -> Option<()> {
        let mut list = Vec::new();
        for item in std::mem::take(&mut select.projection) {
            let mine = match &item {
                SelectItem::Wildcard(more) => self.others.is_empty() && more.to_string().is_empty(),
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), more) => {
                    more.to_string().is_empty() && bare_name(name).as_deref() == Some(self.alias)
                }
                _ => false,
            };
            if !mine {
                list.push(item);
                continue;
            }
            for (name, _) in &self.parts.columns {
                if name.starts_with('?') {
                    return None;
                }
                let alias = Ident::with_quote('"', name);
                list.push(SelectItem::ExprWithAlias { expr: self.column(name)?, alias });
            }
        }
        select.projection = list;
        for item in &mut select.projection {
            match item {
                SelectItem::ExprWithAlias { expr, .. } => edit(expr, self).ok()?,
                SelectItem::UnnamedExpr(expr) => {
                    let name = shown_name(expr);
                    let before = expr.clone();
                    edit(expr, self).ok()?;
                    // The name of a column of the answer stays.
                    if let Some(alias) = name.filter(|_| *expr != before) {
                        let alias = Ident::with_quote('"', alias);
                        *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias };
                    }
                }
                _ => return None,
            }
        }
        let shown: Vec<(String, Expr)> = select
            .projection
            .iter()
            .filter_map(|item| match item {
                SelectItem::ExprWithAlias { expr, alias } => Some((fold(alias), expr.clone())),
                SelectItem::UnnamedExpr(expr) => Some((shown_name(expr)?, expr.clone())),
                _ => None,
            })
            .collect();
        if let GroupByExpr::Expressions(keys, _) = &mut select.group_by {
            for key in keys {
                // A column of FROM comes first, then one of the answer.
                match key {
                    Expr::Identifier(name) if !self.is_column(&fold(name)) => {
                        let name = fold(name);
                        let (_, expr) = shown.iter().find(|(n, _)| *n == name)?;
                        *key = expr.clone();
                    }
                    _ => edit(key, self).ok()?,
                }
            }
        } else {
            return None;
        }
        if let Some(order_by) = order_by {
            let sqlparser::ast::OrderByKind::Expressions(keys) = &mut order_by.kind else { return None };
            for key in keys {
                match &key.expr {
                    Expr::Identifier(name) if shown.iter().any(|(n, _)| *n == fold(name)) => {}
                    _ => edit(&mut key.expr, self).ok()?,
                }
            }
        }
        edit(&mut select.selection, self).ok()?;
        edit(&mut select.having, self).ok()?;
        edit(&mut select.named_window, self).ok()?;
        edit(&mut select.from, self).ok()?;
        (!self.failed).then_some(())
    }

    fn is_column(&self, name: &str) -> bool {
        self.merged.contains_key(name)
            || self.parts.columns.iter().any(|(n, _)| n == name)
            || self.others.iter().any(|(_, all)| all.contains(name))
    }

    fn column(&self, name: &str) -> Option<Expr> {
        let (_, expr) = self.parts.columns.iter().find(|(n, _)| n == name)?;
        Some(match expr {
            Expr::CompoundIdentifier(_) | Expr::Cast { .. } | Expr::Function(_) | Expr::Case { .. } => {
                expr.clone()
            }
            other => Expr::Nested(Box::new(other.clone())),
        })
    }

    fn bare(&self, name: &str) -> Option<Expr> {
        if let Some(merged) = self.merged.get(name) {
            return Some(merged.clone());
        }
        let others: Vec<&String> =
            self.others.iter().filter(|(_, all)| all.contains(name)).map(|(a, _)| a).collect();
        match (self.column(name), others.as_slice()) {
            (Some(expr), []) => Some(expr),
            (None, [alias]) => {
                let named = |n: &str| Ident::with_quote('"', n);
                Some(Expr::CompoundIdentifier(vec![named(alias), named(name)]))
            }
            _ => None,
        }
    }
}

impl Edit for Put<'_, '_> {
    fn query(&mut self, _: &mut Query) -> Result<(), PlanError> {
        self.depth += 1;
        Ok(())
    }

    fn query_end(&mut self) {
        self.depth -= 1;
    }

    fn expr(&mut self, expr: &mut Expr) {
        let found = match expr {
            Expr::Identifier(name) if self.depth == 0 => self.bare(&fold(name)),
            Expr::CompoundIdentifier(parts) => match parts.as_slice() {
                [alias, column] if fold(alias) == self.alias => self.column(&fold(column)),
                [_, _] => return,
                _ => None,
            },
            Expr::CompoundFieldAccess { .. } | Expr::QualifiedWildcard(..) => None,
            _ => return,
        };
        match found {
            Some(found) => *expr = found,
            None => self.failed = true,
        }
    }
}

/// What PostgreSQL calls a column of the answer that is a column, or one in another type.
fn shown_name(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Identifier(name) => Some(fold(name)),
        Expr::CompoundIdentifier(parts) => parts.last().map(fold),
        Expr::Nested(inner) | Expr::Cast { expr: inner, .. } => shown_name(inner),
        _ => None,
    }
}
