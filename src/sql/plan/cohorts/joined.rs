//! A list of keys that FROM joins, taken out and put among the conditions. Not for what is a list (see the module around).

use sqlparser::ast::{
    BinaryOperator, DuplicateTreatment, Expr, Function, FunctionArguments, Ident, JoinConstraint,
    JoinOperator, Query, Select, SelectItem, SetExpr, TableFactor, TableWithJoins,
};

use super::{List, bare_name};
use crate::policy::CELL_AGGREGATES;
use crate::sql::plan::relations::{Relations, called};
use crate::sql::plan::walk::{Edit, Look, edit, look};
use crate::sql::plan::{PlanError, any_expr, fold};

/// Takes the list at a place of FROM out and puts it among the conditions; `None` where it is none, or the query
/// around it could mean something else without it. Then `query` is not to be used.
pub(super) fn take(
    relations: &Relations<'_, '_>,
    query: &mut Query,
    tree: usize,
    place: usize,
    list: &List,
) -> Option<()> {
    if !list.once && !counts_once(query) {
        return None;
    }
    let SetExpr::Select(select) = query.body.as_mut() else { return None };
    let from = select.from.get(tree)?;
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
            let mut known = others.into_iter().filter_map(|factor| relations.item(factor));
            let (alias, _) = known.find(|(_, relation)| relation.column(&name).is_some())?;
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
    any_expr(
        query,
        &mut |e| matches!(e, Expr::CompoundIdentifier(parts) if parts.first().is_some_and(|p| fold(p) == alias)),
    )
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

/// All aggregates of a query, those that it is sorted by included, count what is different.
fn counts_once(query: &Query) -> bool {
    let SetExpr::Select(select) = query.body.as_ref() else { return false };
    let mut rows = Rows { found: false };
    let counted = [
        look(&select.projection, &mut rows),
        look(&select.having, &mut rows),
        look(&select.distinct, &mut rows),
        look(&select.named_window, &mut rows),
        look(&query.order_by, &mut rows),
    ];
    !counted.contains(&true) && rows.found
}

/// Stops at what counts rows, and at what is not known.
struct Rows {
    found: bool,
}

impl Look for Rows {
    fn query(&mut self, _: &Query) -> bool {
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
