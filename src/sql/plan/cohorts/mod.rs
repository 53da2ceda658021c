//! Cohorts in FROM, for a role with `min_cell`: a subquery or WITH query that lists patients' keys and is joined by them
//! becomes `key IN (SELECT key ...)` among the conditions, where the checker judges it as a condition. The rows stay the
//! same: every key stands in such a list once (DISTINCT, GROUP BY), or all that is counted is counted once.
//!
//! What is not certain to mean the same stays where it is, and is refused there. Not for lists of more than the key.

mod joined;

use std::collections::{BTreeMap, BTreeSet};

use sqlparser::ast::{
    BinaryOperator, Distinct, Expr, GroupByExpr, ObjectName, Query, SelectItem, SetExpr, Statement,
    TableFactor, TableWithJoins,
};

use self::joined::take;
use super::relations::{Items, Relations};
use super::walk::{Edit, Look, edit, look};
use super::with::modifies;
use super::{PlanError, PlanInput, fold};

/// Moves those of `ast`.
pub(super) fn moved(ast: &mut Statement, input: &PlanInput<'_>) -> Result<(), PlanError> {
    let mut names = Names::default();
    look(ast, &mut names);
    let relations = Relations::of(ast, &[], input);
    let mut mover = Mover { relations, defined: names.0, scope: Vec::new() };
    edit(ast, &mut mover)?;
    drop_unread(ast)
}

/// Leaves out WITH queries that nothing reads (any more): they are not run, but would be second blocks of groups.
pub(super) fn drop_unread(ast: &mut Statement) -> Result<(), PlanError> {
    loop {
        let (mut names, mut read) = (Names::default(), Read::default());
        look(ast, &mut names);
        look(ast, &mut read);
        let unread: BTreeSet<String> = names.0.into_keys().filter(|name| !read.0.contains(name)).collect();
        let mut unread = Unread { names: unread, dropped: false };
        edit(ast, &mut unread)?;
        if !unread.dropped {
            return Ok(());
        }
    }
}

/// How often each name of a WITH query is defined.
#[derive(Default)]
pub(super) struct Names(pub(super) BTreeMap<String, usize>);

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

struct Unread {
    names: BTreeSet<String>,
    dropped: bool,
}

impl Edit for Unread {
    fn query(&mut self, query: &mut Query) -> Result<(), PlanError> {
        if let Some(with) = &mut query.with {
            let before = with.cte_tables.len();
            with.cte_tables
                .retain(|cte| modifies(&cte.query) || !self.names.contains(&fold(&cte.alias.name)));
            self.dropped |= with.cte_tables.len() < before;
        }
        query.with = query.with.take().filter(|with| !with.cte_tables.is_empty());
        Ok(())
    }
}

/// A name without a schema.
pub(super) fn bare_name(name: &ObjectName) -> Option<String> {
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

impl List {
    /// True for its column, written with its name.
    fn is(&self, expr: &Expr) -> bool {
        matches!(expr, Expr::CompoundIdentifier(parts)
            if matches!(parts.as_slice(), [alias, column] if fold(alias) == self.alias && fold(column) == self.column))
    }
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
                    let (left, right) = (value, Box::new(when.condition.clone()));
                    let [left, right] = [left, right].map(|side| Box::new(Expr::Nested(side)));
                    when.condition = Expr::BinaryOp { left, op: BinaryOperator::Eq, right };
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
        let GroupByExpr::Expressions(groups, more) = &select.group_by else { return None };
        let once = match (&select.distinct, groups.as_slice()) {
            (None, []) => false,
            (Some(Distinct::Distinct), []) => true,
            (None, [by]) if by == key => true,
            _ => return None,
        };
        if !more.is_empty() || !self.understood(query) {
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
