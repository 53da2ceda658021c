//! Carrying: hidden key columns travel from every occurrence to the top of the statement.
//!
//! Sound only while no remover sits above an N-operator (see `tree`). Every function here works
//! on a copy and gives up with a reason; giving up is always right. Occurrences that are pinned
//! count as not protected here: deleting any other patient's row does not change them.

use sqlparser::ast::{
    Distinct, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, JoinConstraint, JoinOperator,
    LimitClause, ObjectName, OrderBy, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr,
    SetOperator, SetQuantifier, Statement, TableWithJoins, Visit, WildcardAdditionalOptions,
};

use super::Analysis;
use super::columns::{Block, single};
use super::functions::{Calls, is_volatile};
use super::tree::{FromItem, avoids};
use crate::sql::plan::{
    CteNames, Look, Occurrence, Placeholders, PlanInput, any_expr, any_query, any_relation, fold, ident,
    look, occurrence_of, side,
};
use crate::sql::words::is_opaque;

/// Why keys are not carried.
pub(super) type Reason = &'static str;

/// A hidden column of a query.
#[derive(Debug, Clone)]
pub(super) struct Hidden {
    pub(super) name: String,
    /// A `text[]` of keys rather than one key.
    pub(super) set: bool,
}

/// What a query gives to the level above.
#[derive(Debug, Default)]
pub(super) struct Out {
    pub(super) hidden: Vec<Hidden>,
    /// Why its rows can appear or change when a protected row is deleted.
    pub(super) n: Option<Reason>,
    pub(super) protected: bool,
}

/// The WITH queries in scope, innermost last.
#[derive(Default)]
pub(super) struct With<'w> {
    above: Option<&'w With<'w>>,
    own: Vec<(String, Result<Out, Reason>)>,
}

impl With<'_> {
    pub(super) fn find(&self, name: &str) -> Option<&Result<Out, Reason>> {
        let own = self.own.iter().rev().find(|(n, _)| n == name).map(|(_, out)| out);
        own.or_else(|| self.above.and_then(|a| a.find(name)))
    }

    pub(super) fn names(&self) -> CteNames {
        let mut names = self.above.map(With::names).unwrap_or_default();
        self.own.iter().for_each(|(n, _)| names.push(n.clone()));
        names
    }
}

/// Where a query stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    /// Its columns are the reply's: hidden ones are stripped by name.
    Top,
    /// In FROM or WITH.
    Inner,
    /// An arm of UNION ALL: positions count.
    Arm,
}

pub(super) struct Carrier<'a, 'b> {
    pub(super) occurrences: &'a [Occurrence<'b>],
    pub(super) input: &'a PlanInput<'b>,
    pinned: Vec<bool>,
    texts: &'a mut Placeholders,
    keys: usize,
    sets: usize,
}

/// Adds hidden columns to a tagged query, or says why not.
pub(super) fn carry_query(
    ast: &mut Statement,
    occurrences: &[Occurrence<'_>],
    analysis: &Analysis,
    input: &PlanInput<'_>,
    texts: &mut Placeholders,
) -> Result<(), Reason> {
    if is_volatile(ast, input) {
        return Err("VOLATILE_FUNCTION");
    }
    let Statement::Query(query) = ast else { return Err("STATEMENT") };
    let pinned = (0..occurrences.len()).map(|n| analysis.is_covered(n)).collect();
    let mut carrier = Carrier { occurrences, input, pinned, texts, keys: 0, sets: 0 };
    carrier.query(query, &With::default(), Level::Top)?;
    if carrier.keys + carrier.sets == 0 {
        return Err("NOTHING_TO_CARRY");
    }
    Ok(())
}

/// The witness of a write: RETURNING items, and the occurrences they cover.
pub(crate) struct WriteWitness {
    /// SQL texts of keys; true for a set of them.
    pub(crate) keys: Vec<(String, bool)>,
    /// Occurrences whose patients these keys tell.
    pub(crate) told: Vec<usize>,
}

/// The keys that a write over `trees` can return: those of its target and of the tables joined to
/// it without being nullable.
pub(crate) fn carry_write(
    trees: &[&TableWithJoins],
    selection: Option<&Expr>,
    occurrences: &[Occurrence<'_>],
    input: &PlanInput<'_>,
) -> WriteWitness {
    let block = Block::new(trees.iter().copied(), selection, occurrences, &CteNames::default(), input);
    let mut told = Vec::new();
    let mut keys = Vec::new();
    for i in &block.live {
        let Some(n) = block.items[*i].occurrence else { continue };
        let o = &occurrences[n];
        if !o.sampled && o.key_is_clear() {
            keys.push((input.witness(o), o.table.rule.is_many()));
            told.push(n);
        }
    }
    WriteWitness { keys, told }
}

/// True for USING and NATURAL, and for what is not known.
fn merges(operator: &JoinOperator) -> bool {
    !matches!(side(operator), Ok((_, JoinConstraint::On(_) | JoinConstraint::None)))
}

/// The items over which a write's RETURNING can put a star, with their columns where those are known.
pub(crate) fn returned_columns(
    trees: &[&TableWithJoins],
    occurrences: &[Occurrence<'_>],
    input: &PlanInput<'_>,
) -> Vec<(String, Option<Vec<String>>)> {
    let block = Block::new(trees.iter().copied(), None, occurrences, &CteNames::default(), input);
    // A star shows the columns of USING and NATURAL once.
    let merged = trees.iter().any(|t| t.joins.iter().any(|j| merges(&j.join_operator)));
    // A plain name may be that of a WITH query.
    let known = |i: &super::columns::Item| !merged && (i.occurrence.is_some() || i.relation.is_none());
    block.items.into_iter().map(|i| (i.alias.clone(), known(&i).then_some(i.columns).flatten())).collect()
}

impl Carrier<'_, '_> {
    /// True for an occurrence that pins do not cover.
    pub(super) fn is_open(&self, n: usize) -> bool {
        !self.pinned.get(n).copied().unwrap_or(false)
    }

    /// True when `node` reads an occurrence that pins do not cover.
    pub(super) fn is_protected<N: Visit>(&self, node: &N, with: &With<'_>) -> bool {
        any_relation(node, &mut |name: &ObjectName| match occurrence_of(name) {
            Some(n) => self.is_open(n),
            None => single(name).and_then(|n| with.find(&n)).is_some_and(|out| match out {
                Ok(out) => out.protected,
                Err(_) => true,
            }),
        })
    }

    /// The reason why a protected subquery inside an expression stops the carrying, if one does.
    pub(super) fn sublink_in<N: Visit>(&self, node: &N, with: &With<'_>) -> Option<Reason> {
        if !any_query(node, &mut |q| self.is_protected(q, with)) {
            return None;
        }
        let mut kind = "SCALAR_SUBQUERY";
        any_expr(node, &mut |e| {
            kind = match e {
                Expr::Exists { negated: true, .. } => "NOT_EXISTS",
                Expr::Exists { .. } => "EXISTS",
                Expr::InSubquery { negated: true, .. } => "NOT_IN",
                Expr::InSubquery { .. } => "IN_SUBQUERY",
                _ => return false,
            };
            true
        });
        Some(kind)
    }

    pub(super) fn query(&mut self, query: &mut Query, above: &With<'_>, level: Level) -> Result<Out, Reason> {
        let mut with = With { above: Some(above), own: Vec::new() };
        if let Some(clause) = &mut query.with {
            for cte in &mut clause.cte_tables {
                let out = if !self.is_protected(&cte.query, &with) {
                    Ok(Out::default())
                } else if clause.recursive {
                    Err("RECURSION")
                } else {
                    let mut copy = cte.query.clone();
                    let out = self.query(&mut copy, &with, Level::Inner);
                    if out.is_ok() {
                        cte.query = copy;
                    }
                    out
                };
                with.own.push((fold(&cte.alias.name), out));
            }
        }
        let mut out = self.body(&mut query.body, query.order_by.as_ref(), &with, level)?;
        let after = [
            self.sublink_in(&query.order_by, &with),
            self.sublink_in(&query.limit_clause, &with),
            self.sublink_in(&query.fetch, &with),
        ];
        if let Some(reason) = after.into_iter().flatten().next() {
            return Err(reason);
        }
        if !out.protected {
            return Ok(out);
        }
        let limited = match &query.limit_clause {
            None => false,
            Some(LimitClause::LimitOffset { limit, offset: None, limit_by }) if limit_by.is_empty() => {
                limit.is_some()
            }
            Some(LimitClause::LimitOffset { .. } | LimitClause::OffsetCommaLimit { .. }) => {
                return Err("OFFSET");
            }
        };
        if limited || query.fetch.is_some() {
            if let Some(reason) = out.n {
                return Err(reason);
            }
            out.n = Some("LIMIT");
        }
        Ok(out)
    }

    fn body(
        &mut self,
        body: &mut SetExpr,
        order_by: Option<&OrderBy>,
        with: &With<'_>,
        level: Level,
    ) -> Result<Out, Reason> {
        match body {
            SetExpr::Select(select) => self.select(select, order_by, with, level),
            SetExpr::Query(query) => self.query(query, with, level),
            SetExpr::SetOperation { left, right, op, set_quantifier } => {
                if !self.is_protected(left.as_ref(), with) && !self.is_protected(right.as_ref(), with) {
                    return Ok(Out::default());
                }
                match (&op, &set_quantifier) {
                    (SetOperator::Union, SetQuantifier::All) => {}
                    (SetOperator::Union, _) => return Err("UNION"),
                    (SetOperator::Intersect, _) => return Err("INTERSECT"),
                    (SetOperator::Except | SetOperator::Minus, _) => return Err("EXCEPT"),
                }
                let mut l = self.body(left, None, with, Level::Arm)?;
                let mut r = self.body(right, None, with, Level::Arm)?;
                // What tells whose a row is stands in one column for both arms: a column for each table of each arm
                // made texts that grew with the square of the arms.
                let shared = l.hidden.iter().zip(&r.hidden).take_while(|(l, r)| l.set == r.set).count();
                r.hidden.drain(..shared);
                let nulls = [
                    self.texts.stand_for("NULL::pg_catalog.text".to_owned()),
                    self.texts.stand_for("NULL::pg_catalog.text[]".to_owned()),
                ];
                pad(left, 0, &r.hidden, &nulls)?;
                pad(right, r.hidden.len(), l.hidden.get(shared..).unwrap_or_default(), &nulls)?;
                l.hidden.extend(r.hidden);
                Ok(Out { hidden: l.hidden, n: l.n.or(r.n), protected: true })
            }
            other => {
                if self.is_protected(other, with) {
                    return Err("VALUES");
                }
                Ok(Out::default())
            }
        }
    }

    fn select(
        &mut self,
        select: &mut Select,
        order_by: Option<&OrderBy>,
        with: &With<'_>,
        level: Level,
    ) -> Result<Out, Reason> {
        let protected = self.is_protected(select, with);
        let pinned_at_top =
            level == Level::Top && any_relation(&select.from, &mut |n| occurrence_of(n).is_some());
        if !protected && !pinned_at_top {
            return Ok(Out::default());
        }
        match &select.distinct {
            None | Some(Distinct::All) => {}
            Some(Distinct::Distinct) => return Err("DISTINCT"),
            Some(Distinct::On(_)) => return Err("DISTINCT_ON"),
        }
        if select.having.is_some() {
            return Err("HAVING");
        }
        let sublinks = [
            self.sublink_in(&select.selection, with),
            self.sublink_in(&select.projection, with),
            self.sublink_in(&select.group_by, with),
            self.sublink_in(&select.named_window, with),
        ];
        if let Some(reason) = sublinks.into_iter().flatten().next() {
            return Err(reason);
        }
        let calls = Calls::of_block(select, order_by, self.occurrences, with.names(), self.input);
        let merges = calls.merges(select);
        if calls.aggregate_below && !merges {
            return Err("OUTER_AGGREGATE");
        }
        let items = self.from(&mut select.from, with)?;
        let mut n = items.iter().find_map(|i| i.n);
        if let (Some(reason), Some(selection)) = (n, &select.selection) {
            if items.iter().any(|i| i.inside) {
                return Err(reason);
            }
            let all: Vec<usize> = (0..items.len()).collect();
            avoids(selection, &items, &all)?;
        }
        if calls.row_maker && (merges || calls.window || n.is_some()) {
            return Err("SET_RETURNING_FUNCTION");
        }
        if merges {
            n = Some("AGGREGATE");
        } else if calls.window {
            n = Some("WINDOW");
        }
        let hidden = self.expose(select, &items, merges, level)?;
        Ok(Out { hidden, n, protected })
    }

    /// Appends the hidden columns of `items` to the select list, those that a star already shows
    /// excepted.
    fn expose(
        &mut self,
        select: &mut Select,
        items: &[FromItem],
        merges: bool,
        level: Level,
    ) -> Result<Vec<Hidden>, Reason> {
        let shown = star_counts(select, items)?;
        let named: Vec<&str> = items
            .iter()
            .filter(|i| i.hidden.iter().any(|(_, name, _)| name.is_some()))
            .map(|i| i.alias.as_str())
            .collect();
        if look(select, &mut WholeRow(&named)) {
            return Err("WHOLE_ROW");
        }
        let mut hidden: Vec<Hidden> = Vec::new();
        for (item, stars) in items.iter().zip(shown) {
            for (text, name, set) in &item.hidden {
                if let (Some(name), 1..) = (name, stars) {
                    let twice = stars > 1 || hidden.iter().any(|h| h.name == *name);
                    if merges || level == Level::Arm || (level == Level::Inner && twice) {
                        return Err("STAR");
                    }
                    self.keys += 1;
                    hidden.push(Hidden { name: name.clone(), set: *set });
                    continue;
                }
                let (text, set) = match (merges, set) {
                    (true, true) => return Err("NESTED_AGGREGATE"),
                    (true, false) => (format!("pg_catalog.array_agg(DISTINCT {text})"), true),
                    (false, set) => (text.clone(), *set),
                };
                let name = self.fresh(set);
                let expr = Expr::Identifier(self.texts.stand_for(text));
                select.projection.push(SelectItem::ExprWithAlias { expr, alias: ident(name.as_str()) });
                hidden.push(Hidden { name, set });
            }
        }
        Ok(hidden)
    }

    fn fresh(&mut self, set: bool) -> String {
        if set {
            self.sets += 1;
            format!("__glass_s{}", self.sets)
        } else {
            self.keys += 1;
            format!("__glass_k{}", self.keys)
        }
    }
}

/// How often stars of the select list show each item.
fn star_counts(select: &Select, items: &[FromItem]) -> Result<Vec<usize>, Reason> {
    let mut counts = vec![0; items.len()];
    let plain = |o: &WildcardAdditionalOptions| {
        o.opt_ilike.is_none()
            && o.opt_exclude.is_none()
            && o.opt_except.is_none()
            && o.opt_replace.is_none()
            && o.opt_rename.is_none()
            && o.opt_alias.is_none()
    };
    for item in &select.projection {
        match item {
            SelectItem::Wildcard(options) if plain(options) => counts.iter_mut().for_each(|c| *c += 1),
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options)
                if plain(options) =>
            {
                let alias = name.0.last().and_then(|p| p.as_ident()).map(fold).unwrap_or_default();
                for (count, item) in counts.iter_mut().zip(items) {
                    *count += usize::from(item.alias == alias);
                }
            }
            SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..) => return Err("STAR"),
            SelectItem::UnnamedExpr(_)
            | SelectItem::ExprWithAlias { .. }
            | SelectItem::ExprWithAliases { .. } => {}
        }
    }
    Ok(counts)
}

/// Breaks at a reference to a whole row of one of these aliases, or at any star in an expression.
struct WholeRow<'a>(&'a [&'a str]);

impl Look for WholeRow<'_> {
    fn expr(&mut self, expr: &Expr) -> bool {
        let whole = |name: &Ident| self.0.contains(&fold(name).as_str());
        match expr {
            Expr::Identifier(name) => whole(name) || (is_opaque(&name.value) && !self.0.is_empty()),
            Expr::CompoundIdentifier(parts) => {
                parts.iter().any(|p| is_opaque(&p.value)) && !self.0.is_empty()
            }
            Expr::QualifiedWildcard(..) | Expr::Wildcard(_) => !self.0.is_empty(),
            Expr::Function(call) => match &call.args {
                FunctionArguments::List(list) => list.args.iter().any(|a| {
                    let (FunctionArg::Named { arg, .. }
                    | FunctionArg::ExprNamed { arg, .. }
                    | FunctionArg::Unnamed(arg)) = a;
                    matches!(arg, FunctionArgExpr::QualifiedWildcard(_)) && !self.0.is_empty()
                }),
                FunctionArguments::None | FunctionArguments::Subquery(_) => false,
            },
            _ => false,
        }
    }
}

/// Inserts NULLs for the other arm's hidden columns into every select list of an arm, before its
/// last `back` columns.
fn pad(body: &mut SetExpr, back: usize, columns: &[Hidden], nulls: &[Ident; 2]) -> Result<(), Reason> {
    if columns.is_empty() {
        return Ok(());
    }
    match body {
        SetExpr::Select(select) => {
            let at = select.projection.len().checked_sub(back).ok_or("UNION_ALL")?;
            for (i, Hidden { name, set }) in columns.iter().enumerate() {
                let expr = Expr::Identifier(nulls[usize::from(*set)].clone());
                select
                    .projection
                    .insert(at + i, SelectItem::ExprWithAlias { expr, alias: ident(name.as_str()) });
            }
            Ok(())
        }
        SetExpr::Query(query) => pad(&mut query.body, back, columns, nulls),
        SetExpr::SetOperation { left, right, .. } => {
            pad(left, back, columns, nulls)?;
            pad(right, back, columns, nulls)
        }
        _ => Err("VALUES"),
    }
}
