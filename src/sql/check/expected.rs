//! The trees that policy generates, for comparison: guards, witnesses, key checks, masked tables.

use super::placement::Pending;
use super::types::{Block, Item, columns_of};
use super::{Checker, Demand, Outcome, fail};
use crate::catalog::Oid;
use crate::policy::{
    Access, BoundTable, DerivedShape, Named, RESERVED_PREFIX, Steady, bound_keys, derived_table,
    guard_conjunct, is_steady, key_expression, key_rows, new_key_check_beside, proposed_key_check,
    steady_condition, visible_condition,
};
use crate::sql::parse::{is_reserved, parse_ours};
use crate::sql::tree::{Node, Tree};

/// Parses `SELECT <expression>` and takes the expression.
pub(super) fn expression(sql: &str) -> Outcome<Node> {
    let parsed = parse_ours(&format!("SELECT {sql}"));
    let node = parsed
        .ok()
        .and_then(|mut p| p.statements.pop())
        .and_then(|s| s.root.nodes("target_list").next().and_then(|t| t.node("val")).cloned());
    node.map_or_else(|| fail("policy text does not parse"), Ok)
}

impl Checker<'_> {
    pub(super) fn table(&self, oid: Oid) -> Outcome<&BoundTable> {
        let context = self.cx.context;
        context.bound.table_for(context.role, oid).map_or_else(|| fail("a rule without a table"), Ok)
    }

    /// The guard that an occurrence must carry: each of these conjuncts.
    pub(super) fn guard(&mut self, oid: Oid, alias: &str) -> Outcome<Vec<Node>> {
        let key = (oid, alias.to_owned());
        if let Some(trees) = self.guards.get(&key) {
            return Ok(trees.clone());
        }
        let policy = &self.cx.context.bound.policy;
        let tree = Tree::Node(expression(&guard_conjunct(policy, self.table(oid)?, alias, self.cx.params))?);
        let trees: Vec<Node> = conjuncts(&tree).into_iter().cloned().collect();
        self.guards.insert(key, trees.clone());
        Ok(trees)
    }

    /// What may stand beside the guard of a locked row: each form lets pass less than the one before.
    pub(super) fn steady_forms(&mut self, p: &Pending) -> Outcome<[Node; 2]> {
        let policy = &self.cx.context.bound.policy;
        let table = self.table(p.oid)?;
        let form = |steady| expression(&steady_condition(policy, table, &p.alias, self.cx.params, steady));
        Ok([form(Steady::Way)?, form(Steady::Never)?])
    }

    /// True when the guard of a locked row is not enough, as its patient stands in other tables.
    pub(super) fn must_be_steady(&self, p: &Pending) -> Outcome<bool> {
        let relation = self.cx.context.catalog.relation(p.oid);
        Ok(match relation {
            Some(relation) => is_steady(self.table(p.oid)?, relation.kind),
            None => true,
        })
    }

    /// True when `node` is the witness expression of this occurrence, or its keys as rows.
    pub(super) fn is_witness(&self, node: &Node, oid: Oid, alias: &str) -> Outcome<bool> {
        let (table, policy) = (self.table(oid)?, &self.cx.context.bound.policy);
        if table.rule.own_key().is_some() {
            return Ok(false);
        }
        let (visible, open) = (Named::Visible(self.cx.params), Named::Open(self.cx.params));
        let forms = match self.cx.context.bound.access(self.cx.context.role, oid) {
            Access::Protected { filter: true, .. } => &[visible][..],
            // A target is filtered also where a query shows other patients' rows masked.
            Access::Protected { masks, .. } if masks.outside.is_some() => &[open, visible],
            _ => &[Named::All],
        };
        for named in forms {
            let text = match node.kind {
                "SubLink" => key_expression(policy, table, alias, *named),
                "FuncCall" if table.rule.is_many() => key_rows(policy, table, alias, *named),
                _ => return Ok(false),
            };
            if expression(&text)? == *node {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The check that RETURNING of a written row must contain.
    pub(super) fn new_key(&self, oid: Oid, alias: &str, parents: &[(String, String)]) -> Outcome<Node> {
        let policy = &self.cx.context.bound.policy;
        expression(&new_key_check_beside(policy, self.table(oid)?, alias, self.cx.params, parents))
    }

    /// The check of a proposed row that a row in its way must not make pass unseen.
    pub(super) fn proposed_key(&self, oid: Oid) -> Outcome<Node> {
        let policy = &self.cx.context.bound.policy;
        expression(&proposed_key_check(policy, self.table(oid)?, self.cx.params))
    }

    /// What stands inside `CASE WHEN <visible> AND ... THEN inside END`, where each of `rows` is asked
    /// for and nothing else, so that `inside` is evaluated on visible rows alone: CASE keeps its order
    /// (manual, 4.2.14), and without ELSE it is not true for other rows.
    pub(super) fn behind_visible<'n>(
        &mut self,
        condition: &'n Node,
        rows: &[Pending],
    ) -> Outcome<Option<&'n Node>> {
        let [Tree::Node(when)] = condition.list("args") else { return Ok(None) };
        if condition.kind != "CaseExpr"
            || condition.has("arg")
            || condition.has("defresult")
            || rows.is_empty()
        {
            return Ok(None);
        }
        let asked = conjuncts(when.field("expr"));
        for row in rows {
            let policy = &self.cx.context.bound.policy;
            let text = visible_condition(policy, self.table(row.oid)?, &row.alias, self.cx.params);
            let expected = Tree::Node(expression(&text)?);
            for part in conjuncts(&expected) {
                if !asked.contains(&part) {
                    return Ok(None);
                }
                asked.iter().filter(|a| **a == part).for_each(|a| self.exempt(a));
            }
            if row.locked {
                let forms = self.steady_forms(row)?;
                let found: Vec<&&Node> = asked.iter().filter(|a| forms.contains(a)).collect();
                if found.is_empty() && self.must_be_steady(row)? {
                    return Ok(None);
                }
                found.into_iter().for_each(|a| self.exempt(a));
            }
        }
        if !asked.iter().all(|a| self.is_exempt(a)) {
            return fail("another condition beside that of visible rows");
        }
        Ok(when.node("result"))
    }

    /// True when `node` is the bound of a masked relation, or one of a role with `min_cell`: its visible keys, and
    /// nothing else of its rows, under conditions that read none of its masked columns. The column that takes it is
    /// hidden (the caller looks at its name).
    pub(super) fn is_masked_bound(&self, node: &Node) -> Outcome<bool> {
        let Some(select) = node.node("subselect").filter(|_| node.kind == "SubLink") else {
            return Ok(false);
        };
        let [Tree::Node(range)] = select.list("from_clause") else { return Ok(false) };
        // With its schema a name is never a WITH query's.
        let alias = range.node("alias").map_or("", |a| a.str("aliasname"));
        if range.kind != "RangeVar" || !range.has("schemaname") || !is_reserved(alias) {
            return Ok(false);
        }
        // Elsewhere the bound is walked as any other subquery.
        let bare = self.cx.context.role.masking.min_cell.is_some();
        let Some(demand) = self.demand(range)?.filter(|d| bare || !d.masks.is_empty()) else {
            return Ok(false);
        };
        if demand.masks.outside.is_some() {
            // A write of theirs reaches rows inside alone, and so does its bound: these are not masked as outside.
            let inside = Demand { filter: true, hides: true, masks: demand.masks.inside(), ..demand.clone() };
            if self.is_bound_of(node, select, &inside, alias)? {
                return Ok(true);
            }
        }
        self.is_bound_of(node, select, &demand, alias)
    }

    /// True when `node`, whose subquery is `select`, is the bound that `demand` makes of its relation under `alias`.
    fn is_bound_of(&self, node: &Node, select: &Node, demand: &Demand<'_>, alias: &str) -> Outcome<bool> {
        let context = self.cx.context;
        let filter = demand.filter.then_some(self.cx.params);
        let expected = bound_keys(&context.bound.policy, self.table(demand.oid)?, alias, filter, &[]);
        if without_condition(node) != without_condition(&expression(&expected)?) {
            return Ok(false);
        }
        let mut conditions = conjuncts(select.field("where_clause"));
        if demand.filter {
            let policy = &context.bound.policy;
            let guard = guard_conjunct(policy, self.table(demand.oid)?, alias, self.cx.params);
            let guard = Tree::Node(expression(&guard)?);
            for part in conjuncts(&guard) {
                let all = conditions.len();
                conditions.retain(|c| *c != part);
                if conditions.len() == all {
                    return Ok(false);
                }
            }
        }
        let Some(relation) = context.catalog.relation(demand.oid) else { return Ok(false) };
        let columns = Some(columns_of(relation, context.catalog));
        let items = [Item { alias: alias.to_owned(), oid: None, columns }];
        let block = Block { items: &items, ctes: &[], parent: None };
        let clear = |column: &str| relation.column(column).is_some() && demand.masks.clear(column);
        let plain = |node: &Node| self.is_plain(node);
        Ok(conditions.iter().all(|c| reads_only(c, alias, &clear, &plain) && self.safe(c, &block).is_some()))
    }

    /// True when `subquery` is the masked form of the relation in it: columns as masks demand, the
    /// filter if there is one, with or without fence and witness, and nothing else.
    pub(super) fn is_masked_table(
        &self,
        subquery: &Node,
        demand: &Demand<'_>,
        alias: &str,
        locked: bool,
    ) -> Outcome<bool> {
        let context = self.cx.context;
        let Some(relation) = context.catalog.relation(demand.oid) else {
            return fail("a rule without a relation");
        };
        let last = subquery.nodes("target_list").last().map_or("", |t| t.str("name"));
        let mut range = subquery.nodes("from_clause").next();
        while let Some(join) = range.filter(|r| r.kind == "JoinExpr") {
            range = join.node("larg");
        }
        let shape = DerivedShape {
            sample: None,
            only: range.is_some_and(|r| r.kind == "RangeVar" && !r.flag("inh")),
            filter: demand.filter.then_some(self.cx.params),
            inside: demand.masks.outside.map(|_| self.cx.params),
            steady: locked,
            fence: subquery.has("limit_offset"),
            witness: last.starts_with(RESERVED_PREFIX).then_some(last),
            local: &[],
        };
        let policy = &context.bound.policy;
        let sql = derived_table(policy, self.table(demand.oid)?, relation, &demand.masks, alias, shape);
        let parsed = parse_ours(&format!("SELECT FROM {sql} AS x"));
        let expected = parsed
            .ok()
            .and_then(|mut p| p.statements.pop())
            .and_then(|s| s.root.nodes("from_clause").next().and_then(|f| f.node("subquery")).cloned());
        Ok(expected.as_ref() == Some(subquery))
    }
}

/// The sublink with its subquery's WHERE left out.
fn without_condition(sublink: &Node) -> Node {
    let mut bare = sublink.clone();
    for (name, value) in &mut bare.fields {
        if let ("subselect", Tree::Node(select)) = (*name, value) {
            select.fields.retain(|(name, _)| *name != "where_clause");
        }
    }
    bare
}

/// True for comparisons of columns of `alias`, each of them `clear`, with constants and parameters (cast to built-in
/// types, if they are `plain`): no call, no subquery, no whole row.
fn reads_only(node: &Node, alias: &str, clear: &dyn Fn(&str) -> bool, plain: &dyn Fn(&Node) -> bool) -> bool {
    match node.kind {
        "ColumnRef" => match node.names("fields").as_slice() {
            [a, column] => node.list("fields").len() == 2 && *a == alias && clear(column),
            _ => false,
        },
        "TypeCast" => plain(node) && node.node("arg").is_some_and(|a| reads_only(a, alias, clear, plain)),
        "AExpr" | "AConst" | "ParamRef" | "NullTest" | "List" | "String" | "Integer" | "Float"
        | "Boolean" => node.children().into_iter().all(|c| reads_only(c, alias, clear, plain)),
        _ => false,
    }
}

/// The conjuncts of a condition: top-level ANDs taken apart, however nested.
pub(super) fn conjuncts(condition: &Tree) -> Vec<&Node> {
    let mut out = Vec::new();
    if let Tree::Node(node) = condition {
        split(node, &mut out);
    }
    out
}

fn split<'n>(node: &'n Node, out: &mut Vec<&'n Node>) {
    if node.kind == "BoolExpr"
        && node.int("boolop") == i64::from(pg_query::protobuf::BoolExprType::AndExpr as i32)
    {
        node.nodes("args").for_each(|a| split(a, out));
    } else {
        out.push(node);
    }
}
