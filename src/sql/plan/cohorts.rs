//! Cohorts in FROM, for a role with `min_cell`: a subquery or WITH query that lists patients' keys and is joined by them
//! becomes `key IN (SELECT key ...)` among the conditions, where the checker judges it as a condition. The rows stay the
//! same: every key stands in such a list once (DISTINCT, GROUP BY), or all that is counted is counted once.
//!
//! What is not certain to mean the same stays where it is, and is refused there. Not for lists of more than the key.

use std::collections::{BTreeMap, BTreeSet};

use sqlparser::ast::{
    BinaryOperator, Distinct, DuplicateTreatment, Expr, Function, FunctionArguments, GroupByExpr, Ident,
    JoinConstraint, JoinOperator, ObjectName, Query, Select, SelectItem, SetExpr, Statement, TableFactor,
    TableWithJoins,
};

use super::qualify::{Items, Relations};
use super::walk::{Edit, Look, edit, look};
use super::with::modifies;
use super::{PlanError, PlanInput, fold};
use crate::policy::CELL_AGGREGATES;

/// Moves those of `ast`.
pub(super) fn moved(ast: &mut Statement, input: &PlanInput<'_>) -> Result<(), PlanError> {
    let mut names = Names::default();
    look(ast, &mut names);
    let relations = Relations::new(&[], input, names.0.keys().cloned().collect());
    let mut mover = Mover { relations, defined: names.0, scope: Vec::new() };
    edit(ast, &mut mover)?;
    let mut read = Read::default();
    look(ast, &mut read);
    // One that nothing reads (any more) is not run, but would be a second block of groups.
    let unread = mover.defined.into_keys().filter(|name| !read.0.contains(name)).collect();
    edit(ast, &mut Unread(unread))
}

/// How often each name of a WITH query is defined.
#[derive(Default)]
struct Names(BTreeMap<String, usize>);

impl Look for Names {
    fn query(&mut self, query: &Query) -> bool {
        for cte in query.with.iter().flat_map(|w| &w.cte_tables) {
            *self.0.entry(fold(&cte.alias.name)).or_default() += 1;
        }
        false
    }
}

/// The tables that are read, by names without a schema.
#[derive(Default)]
struct Read(BTreeSet<String>);

impl Look for Read {
    fn relation(&mut self, name: &ObjectName) -> bool {
        self.0.extend(bare_name(name));
        false
    }
}

struct Unread(BTreeSet<String>);

impl Edit for Unread {
    fn query(&mut self, query: &mut Query) -> Result<(), PlanError> {
        if let Some(with) = &mut query.with {
            with.cte_tables.retain(|cte| modifies(&cte.query) || !self.0.contains(&fold(&cte.alias.name)));
        }
        query.with = query.with.take().filter(|with| !with.cte_tables.is_empty());
        Ok(())
    }
}

fn bare_name(name: &ObjectName) -> Option<String> {
    match name.0.as_slice() {
        [one] => one.as_ident().map(fold),
        _ => None,
    }
}

/// A query that lists keys.
struct List {
    /// What the block around it calls it, and its one column.
    alias: String,
    column: String,
    /// No key stands in it twice.
    once: bool,
    /// Without DISTINCT and GROUP BY, which change nothing behind IN.
    query: Box<Query>,
}

struct Mover<'b> {
    relations: Relations<'b, 'b>,
    defined: BTreeMap<String, usize>,
    /// The WITH queries in scope that could be lists, of each query around.
    scope: Vec<Vec<(String, Box<Query>)>>,
}

impl Edit for Mover<'_> {
    fn query(&mut self, query: &mut Query) -> Result<(), PlanError> {
        self.settle(query);
        Ok(())
    }

    fn query_end(&mut self) {
        self.scope.pop();
    }

    fn expr(&mut self, expr: &mut Expr) {
        match expr {
            Expr::InSubquery { subquery, .. } if self.list_alone(subquery).is_some() => {
                if let Some(list) = self.list_alone(subquery) {
                    *subquery = list.query;
                }
            }
            // Behind IN it is all the same how often a key stands there.
            Expr::InSubquery { subquery, .. }
                if subquery.limit_clause.is_none() && subquery.fetch.is_none() =>
            {
                if let SetExpr::Select(select) = subquery.body.as_mut()
                    && select.distinct == Some(Distinct::Distinct)
                {
                    select.distinct = None;
                }
            }
            Expr::Case { operand, conditions, .. } => {
                if let [when] = conditions.as_mut_slice()
                    && let Some(value) = operand.take()
                {
                    let right = Box::new(Expr::Nested(Box::new(when.condition.clone())));
                    when.condition = Expr::BinaryOp { left: value, op: BinaryOperator::Eq, right };
                }
            }
            _ => {}
        }
    }
}

impl Mover<'_> {
    /// Takes the lists out of a query, those inside its WITH queries and subqueries of FROM first. Leaves the query in
    /// scope.
    fn settle(&mut self, query: &mut Query) {
        self.scope.push(Vec::new());
        let recursive = query.with.as_ref().is_some_and(|w| w.recursive);
        for cte in query.with.iter_mut().flat_map(|w| &mut w.cte_tables) {
            self.settle(&mut cte.query);
            self.scope.pop();
            if let Some(scope) = self.scope.last_mut().filter(|_| !recursive && cte.alias.columns.is_empty())
            {
                scope.push((fold(&cte.alias.name), cte.query.clone()));
            }
        }
        if let SetExpr::Select(select) = query.body.as_mut() {
            let trees = select.from.iter_mut();
            let factors = trees.flat_map(|t| {
                std::iter::once(&mut t.relation).chain(t.joins.iter_mut().map(|j| &mut j.relation))
            });
            for factor in factors {
                if let TableFactor::Derived { subquery, .. } = factor {
                    self.settle(subquery);
                    self.scope.pop();
                }
            }
        }
        while self.take_one(query) {}
    }

    fn take_one(&mut self, query: &mut Query) -> bool {
        let mover = &*self;
        let SetExpr::Select(select) = query.body.as_ref() else { return false };
        let lists = select.from.iter().enumerate().flat_map(|(tree, t)| {
            let factors = std::iter::once(&t.relation).chain(t.joins.iter().map(|j| &j.relation));
            factors.enumerate().filter_map(move |(place, f)| Some((tree, place, mover.list(f)?)))
        });
        let taken = lists.into_iter().find_map(|(tree, place, list)| {
            let mut changed = query.clone();
            take(&mover.relations, &mut changed, tree, place, &list).map(|()| changed)
        });
        let Some(changed) = taken else { return false };
        *query = changed;
        true
    }

    /// The list of which `SELECT key FROM list` has all.
    fn list_alone(&self, query: &Query) -> Option<List> {
        let SetExpr::Select(select) = query.body.as_ref() else { return None };
        let [TableWithJoins { relation, joins }] = select.from.as_slice() else { return None };
        let [SelectItem::UnnamedExpr(key)] = select.projection.as_slice() else { return None };
        let list = self.list(relation)?;
        let is = matches!(key, Expr::Identifier(name) if fold(name) == list.column) || list.is(key);
        let grouped = !matches!(&select.group_by, GroupByExpr::Expressions(keys, more) if keys.is_empty() && more.is_empty());
        let all = joins.is_empty()
            && query.with.is_none()
            && query.limit_clause.is_none()
            && query.fetch.is_none()
            && query.locks.is_empty()
            && select.selection.is_none()
            && select.having.is_none()
            && !grouped
            && matches!(select.distinct, None | Some(Distinct::Distinct));
        (is && all).then_some(list)
    }

    fn list(&self, factor: &TableFactor) -> Option<List> {
        let (alias, query) = match factor {
            TableFactor::Derived { lateral: false, subquery, alias: Some(alias), sample: None }
                if alias.columns.is_empty() =>
            {
                (fold(&alias.name), subquery)
            }
            TableFactor::Table { name, alias, args: None, sample: None, .. } => {
                let name = bare_name(name).filter(|name| self.defined.get(name) == Some(&1))?;
                let (_, query) = self.scope.iter().rev().flatten().find(|(n, _)| *n == name)?;
                match alias {
                    Some(alias) if !alias.columns.is_empty() => return None,
                    Some(alias) => (fold(&alias.name), query),
                    None => (name, query),
                }
            }
            _ => return None,
        };
        let alone = query.with.is_none()
            && query.order_by.is_none()
            && query.limit_clause.is_none()
            && query.fetch.is_none()
            && query.locks.is_empty();
        let SetExpr::Select(select) = query.body.as_ref() else { return None };
        if !alone || select.into.is_some() || select.having.is_some() || !select.named_window.is_empty() {
            return None;
        }
        let [item @ (SelectItem::UnnamedExpr(key) | SelectItem::ExprWithAlias { expr: key, .. })] =
            select.projection.as_slice()
        else {
            return None;
        };
        let named = match key {
            Expr::Identifier(column) => column,
            Expr::CompoundIdentifier(parts) => match parts.as_slice() {
                [_, column] => column,
                _ => return None,
            },
            _ => return None,
        };
        let column = fold(match item {
            SelectItem::ExprWithAlias { alias, .. } => alias,
            _ => named,
        });
        let once = match (&select.distinct, &select.group_by) {
            (None, GroupByExpr::Expressions(keys, more)) if keys.is_empty() && more.is_empty() => false,
            (Some(Distinct::Distinct), GroupByExpr::Expressions(keys, more))
                if keys.is_empty() && more.is_empty() =>
            {
                true
            }
            (None, GroupByExpr::Expressions(keys, more)) => {
                more.is_empty() && keys.as_slice() == [key.clone()]
            }
            _ => return None,
        };
        if !self.understood(query)
            || (!matches!(&select.group_by, GroupByExpr::Expressions(k, _) if k.is_empty()) && !once)
        {
            return None;
        }
        let mut query = query.clone();
        if let SetExpr::Select(select) = query.body.as_mut() {
            select.distinct = None;
            select.group_by = GroupByExpr::Expressions(Vec::new(), Vec::new());
        }
        Some(List { alias, column, once, query })
    }

    /// Every column that the query names is known to be of its own tables: in FROM it sees no others, behind IN it would.
    fn understood(&self, query: &Query) -> bool {
        let mut own = Own { relations: &self.relations, blocks: Vec::new() };
        !look(query, &mut own)
    }
}

/// Takes the list at a place of FROM out and puts it among the conditions; `None` where it is none, or the query
/// around it could mean something else without it. Then `query` is not to be used.
fn take(
    relations: &Relations<'_, '_>,
    query: &mut Query,
    tree: usize,
    place: usize,
    list: &List,
) -> Option<()> {
    let SetExpr::Select(select) = query.body.as_mut() else { return None };
    let from = select.from.get(tree)?;
    if !list.once && !counts_once(select) {
        return None;
    }
    let starred =
        |item: &SelectItem| !matches!(item, SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. });
    if select.projection.iter().any(starred) {
        return None;
    }
    let (key, rest, merged) = match joined_by(from, place) {
        None => {
            select.from.remove(tree);
            let (key, rest) = tie(select.selection.take()?, list)?;
            (key, rest, false)
        }
        Some((JoinConstraint::On(on), _)) => {
            let (key, rest) = tie(on.clone(), list)?;
            remove(select.from.get_mut(tree)?, place);
            (key, rest.into_iter().chain(select.selection.take()).collect(), false)
        }
        Some((JoinConstraint::Using(columns), others)) => {
            let [column] = columns.as_slice() else { return None };
            let name = bare_name(column).filter(|name| *name == list.column)?;
            let (alias, _) = others.into_iter().find_map(|factor| {
                let (alias, relation) = relations.item(factor)?;
                relation.column(&name).is_some().then_some((alias, ()))
            })?;
            let key = vec![Ident::with_quote('"', alias), Ident::with_quote('"', name)];
            remove(select.from.get_mut(tree)?, place);
            (Expr::CompoundIdentifier(key), select.selection.take().into_iter().collect(), true)
        }
        Some(_) => return None,
    };
    let mut uses = Uses { list, key: &key, merged, depth: 0, unclear: false };
    if select.from.is_empty() || look(query, &mut uses) || uses.unclear {
        return None;
    }
    let mut put = Put { list, key: &key };
    edit(query, &mut put).ok()?;
    let mut conditions: Vec<Expr> = rest;
    conditions.iter_mut().try_for_each(|c| edit(c, &mut put)).ok()?;
    let mut uses = Uses { list, key: &key, merged, depth: 1, unclear: false };
    if conditions.iter().any(|c| look(c, &mut uses)) || uses.unclear {
        return None;
    }
    conditions.push(Expr::InSubquery {
        expr: Box::new(key.clone()),
        subquery: list.query.clone(),
        negated: false,
    });
    let SetExpr::Select(select) = query.body.as_mut() else { return None };
    select.selection = conditions
        .into_iter()
        .map(|c| match c {
            or @ Expr::BinaryOp { op: BinaryOperator::Or, .. } => Expr::Nested(Box::new(or)),
            other => other,
        })
        .reduce(|left, right| Expr::BinaryOp {
            left: Box::new(left),
            op: BinaryOperator::And,
            right: Box::new(right),
        });
    Some(())
}

/// Stops at a column that is not of a table of the query.
struct Own<'a, 'b> {
    relations: &'a Relations<'b, 'b>,
    blocks: Vec<Items<'b>>,
}

impl Look for Own<'_, '_> {
    fn query(&mut self, query: &Query) -> bool {
        let items = match query.body.as_ref() {
            SetExpr::Select(select) => self.relations.items(&select.from),
            _ => None,
        };
        let unknown = items.is_none();
        self.blocks.push(items);
        unknown
    }

    fn query_end(&mut self) {
        self.blocks.pop();
    }

    fn expr(&mut self, expr: &Expr) -> bool {
        let mut items = self.blocks.iter().flatten().flatten();
        match expr {
            Expr::Identifier(name) => !items.any(|(_, r)| r.column(&fold(name)).is_some()),
            Expr::CompoundIdentifier(parts) => match parts.as_slice() {
                [table, column] => {
                    !items.any(|(alias, r)| *alias == fold(table) && r.column(&fold(column)).is_some())
                }
                _ => true,
            },
            Expr::CompoundFieldAccess { .. } => true,
            _ => false,
        }
    }
}

/// The constraint that joins what stands at a place, and what it is joined to; `None` for what stands alone.
/// A join that could pad it, or pad others for want of it, is no constraint that could be a condition.
fn joined_by(tree: &TableWithJoins, place: usize) -> Option<(&JoinConstraint, Vec<&TableFactor>)> {
    const PADDED: &JoinConstraint = &JoinConstraint::Natural;
    if tree.joins.is_empty() {
        return None;
    }
    let inner = |op: &JoinOperator| matches!(op, JoinOperator::Join(_) | JoinOperator::Inner(_));
    let kept = |op: &JoinOperator| {
        inner(op)
            || matches!(op, JoinOperator::Left(_) | JoinOperator::LeftOuter(_) | JoinOperator::CrossJoin(_))
    };
    let at = place.saturating_sub(1);
    let constraint = match tree.joins.get(at).map(|join| &join.join_operator) {
        Some(JoinOperator::Join(constraint) | JoinOperator::Inner(constraint))
            if tree.joins.iter().all(|join| kept(&join.join_operator) && !join.global) =>
        {
            constraint
        }
        _ => return Some((PADDED, Vec::new())),
    };
    let before = std::iter::once(&tree.relation).chain(tree.joins.iter().take(at).map(|j| &j.relation));
    // Behind it those that the same columns are merged with.
    let merges =
        |op: &JoinOperator| matches!(op, JoinOperator::Join(c) | JoinOperator::Inner(c) if c == constraint);
    let behind = tree.joins.iter().skip(at + usize::from(place > 0));
    let behind = behind.take_while(|j| merges(&j.join_operator)).map(|j| &j.relation);
    Some((constraint, before.skip(usize::from(place == 0)).chain(behind).collect()))
}

fn remove(tree: &mut TableWithJoins, place: usize) {
    let join = tree.joins.remove(place.saturating_sub(1));
    if place == 0 {
        tree.relation = join.relation;
    }
}

/// The column to which a condition ties the list's, and the other conditions.
fn tie(condition: Expr, list: &List) -> Option<(Expr, Vec<Expr>)> {
    let mut rest = Vec::new();
    apart(condition, &mut rest);
    let keys: Vec<Option<Expr>> = rest.iter().map(|c| tied_to(c, list)).collect();
    let at = keys.iter().position(Option::is_some)?;
    let key = keys.into_iter().nth(at).flatten()?;
    rest.remove(at);
    Some((key, rest))
}

fn apart(condition: Expr, out: &mut Vec<Expr>) {
    match condition {
        Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
            apart(*left, out);
            apart(*right, out);
        }
        Expr::Nested(inner) if matches!(inner.as_ref(), Expr::BinaryOp { op: BinaryOperator::And, .. }) => {
            apart(*inner, out);
        }
        other => out.push(other),
    }
}

fn tied_to(condition: &Expr, list: &List) -> Option<Expr> {
    let Expr::BinaryOp { left, op: BinaryOperator::Eq, right } = condition else { return None };
    let other = |expr: &Expr| {
        matches!(expr, Expr::CompoundIdentifier(parts)
            if matches!(parts.as_slice(), [alias, _] if fold(alias) != list.alias))
    };
    match (list.is(left), list.is(right)) {
        (true, false) if other(right) => Some(right.as_ref().clone()),
        (false, true) if other(left) => Some(left.as_ref().clone()),
        _ => None,
    }
}

impl List {
    /// True for its column, written with its name.
    fn is(&self, expr: &Expr) -> bool {
        matches!(expr, Expr::CompoundIdentifier(parts)
            if matches!(parts.as_slice(), [alias, column] if fold(alias) == self.alias && fold(column) == self.column))
    }
}

/// Stops where the list is read otherwise than by its column's full name in the block itself.
struct Uses<'a> {
    list: &'a List,
    key: &'a Expr,
    /// USING has made a bare name of it that of the other table, too.
    merged: bool,
    depth: usize,
    unclear: bool,
}

impl Look for Uses<'_> {
    fn query(&mut self, query: &Query) -> bool {
        self.depth += 1;
        if self.depth > 1
            && let SetExpr::Select(select) = query.body.as_ref()
        {
            let trees = select.from.iter();
            let factors =
                trees.flat_map(|t| std::iter::once(&t.relation).chain(t.joins.iter().map(|j| &j.relation)));
            // Behind another table of its name, or of the one that takes its place, a name means that.
            self.unclear |= factors.filter_map(called).any(|name| {
                name == self.list.alias
                    || matches!(self.key, Expr::CompoundIdentifier(parts)
                        if parts.first().is_some_and(|alias| fold(alias) == name))
                        && names(query, &self.list.alias)
            });
        }
        self.unclear
    }

    fn query_end(&mut self) {
        self.depth -= 1;
    }

    fn expr(&mut self, expr: &Expr) -> bool {
        match expr {
            Expr::Identifier(name) => {
                let name = fold(name);
                name == self.list.alias || (self.depth <= 1 && !self.merged && name == self.list.column)
            }
            Expr::CompoundIdentifier(parts) => {
                parts.first().is_some_and(|alias| fold(alias) == self.list.alias) && !self.list.is(expr)
            }
            Expr::CompoundFieldAccess { .. } => true,
            _ => false,
        }
    }
}

/// True where `query` names something of `alias`.
fn names(query: &Query, alias: &str) -> bool {
    super::any_expr(
        query,
        &mut |e| matches!(e, Expr::CompoundIdentifier(parts) if parts.first().is_some_and(|p| fold(p) == alias)),
    )
}

/// What a table is called.
pub(super) fn called(factor: &TableFactor) -> Option<String> {
    match factor {
        TableFactor::Table { alias: Some(alias), .. } | TableFactor::Derived { alias: Some(alias), .. } => {
            Some(fold(&alias.name))
        }
        TableFactor::Table { name, alias: None, .. } => name.0.last().and_then(|p| p.as_ident()).map(fold),
        _ => None,
    }
}

/// Puts the column to which the list was tied in the place of the list's.
struct Put<'a> {
    list: &'a List,
    key: &'a Expr,
}

impl Edit for Put<'_> {
    fn select(&mut self, select: &mut Select) -> Result<(), PlanError> {
        // The name of a column of the answer stays.
        for item in &mut select.projection {
            if let SelectItem::UnnamedExpr(expr) = item
                && self.list.is(expr)
            {
                let alias = Ident::with_quote('"', self.list.column.clone());
                *item = SelectItem::ExprWithAlias { expr: self.key.clone(), alias };
            }
        }
        Ok(())
    }

    fn expr(&mut self, expr: &mut Expr) {
        if self.list.is(expr) {
            *expr = self.key.clone();
        }
    }
}

/// All aggregates of a block count what is different.
fn counts_once(select: &Select) -> bool {
    let mut rows = Rows { depth: 0, found: false };
    !look(&select.projection, &mut rows) && !look(&select.having, &mut rows) && rows.found
}

struct Rows {
    depth: usize,
    found: bool,
}

impl Look for Rows {
    fn query(&mut self, _: &Query) -> bool {
        self.depth += 1;
        true
    }

    fn expr(&mut self, expr: &Expr) -> bool {
        let Expr::Function(call) = expr else { return false };
        let Some(name) = call.name.0.last().and_then(|p| p.as_ident()).map(fold) else { return true };
        if call.over.is_some() || !CELL_AGGREGATES.contains(&name.as_str()) {
            return false;
        }
        self.found |= is_distinct(call);
        !is_distinct(call)
    }
}

fn is_distinct(call: &Function) -> bool {
    matches!(&call.args, FunctionArguments::List(list)
        if list.duplicate_treatment == Some(DuplicateTreatment::Distinct))
}
