//! MERGE: its target's guard, and the check of the patient of every row that it writes.
//!
//! The guard stands in ON: a hidden row is no match, as if it were not there, and a row that is inserted in
//! its place has to be of a visible patient. There is no RETURNING before PostgreSQL 17, so the check
//! stands in the condition of the action, over the value that is written. What the actions say is evaluated
//! on joined rows, which ON has filtered.

use pg_query::protobuf::{CmdType, MergeMatchKind};

use super::block::Env;
use super::dml::updated;
use super::expected::{conjuncts, expression};
use super::placement::{From, Pending};
use super::types::{Block, Ty, of_type_name};
use super::unmasked::Bare;
use super::{Checker, Outcome, fail};
use crate::catalog::Oid;
use crate::policy::{Chain, Change, RESERVED_PREFIX, merged_key_check};
use crate::sql::tree::{Node, Tree};

fn match_kind(clause: &Node) -> Option<MergeMatchKind> {
    i32::try_from(clause.int("match_kind")).ok().and_then(|k| MergeMatchKind::try_from(k).ok())
}

pub(super) fn command(clause: &Node) -> Option<CmdType> {
    i32::try_from(clause.int("command_type")).ok().and_then(|k| CmdType::try_from(k).ok())
}

impl Checker<'_> {
    pub(super) fn merge(&mut self, merge: &Node) -> Outcome {
        let env = &self.with(merge, &Env::default())?;
        if merge.has("returning_clause") {
            return fail("MERGE with RETURNING");
        }
        let cx = self.cx;
        let (target, demand) = self.target(merge)?;
        let filtered = demand.as_ref().filter(|d| d.filter).map(|d| d.oid);
        let bare = Bare::of(demand.as_ref(), &target.alias, &cx);
        let Some(source) = merge.node("source_relation") else { return fail("MERGE without a source") };
        let clauses: Vec<&Node> = merge.nodes("merge_when_clauses").collect();
        let mut from = From::new(self.mentions_filtered(source, env));
        if !self.item_of(source, env, &mut from)?.is_empty() {
            // The source is the preserved side: a condition in ON would not filter it.
            return fail("a source of MERGE without a subquery");
        }
        let own: Vec<Pending> = filtered
            .iter()
            .map(|oid| Pending { oid: *oid, alias: target.alias.clone(), locked: true })
            .collect();
        let conditions = self.claim(conjuncts(merge.field("join_condition")), &own, "ON")?;
        // An inner join, whose conditions are those of the whole: as for an UPDATE.
        let unmatched = |c: &&Node| match_kind(c) != Some(MergeMatchKind::MergeWhenMatched);
        let conditions = match clauses.iter().any(unmatched) {
            true => conditions,
            false => self.asked_first(conditions, &mut from)?,
        };
        // With rows to insert the source is the preserved side of an outer join: it is read to its end, whatever
        // the target holds.
        let preserved = clauses.iter().any(|c| command(c) == Some(CmdType::CmdInsert));
        let inside = std::mem::take(&mut from.conditions);
        let source_exposed = from.exposed || !from.filtered.is_empty();
        let target_alias = target.alias.clone();
        from.items.push(target);
        let conditions = self.judged(conditions, &own, env, &mut from)?;
        let semi_joined = self.semi_joins(&conditions, env);
        self.gates(&from, !preserved && (filtered.is_some() || semi_joined));
        let block = Block { items: &from.items, ctes: &env.ctes, parent: None };
        let others = from.exposed || source_exposed;
        let exposed = others || filtered.is_some();
        if from.unsafe_using && (source_exposed || (!preserved && exposed)) {
            self.needs_fence("USING or NATURAL over columns that do not compare safely");
        }
        for condition in inside {
            let early = source_exposed || (!preserved && exposed);
            self.expression(condition, &block, env, early, "a condition of the source")?;
            self.estimates(condition, &block);
        }
        for (condition, behind) in conditions {
            let early = if behind { others } else { exposed };
            self.expression(condition, &block, env, early, "a condition")?;
            if !behind {
                self.estimates(condition, &block);
            }
        }
        for clause in clauses {
            self.action(clause, filtered, &target_alias, &block, env)?;
            self.reads_unmasked(clause, &bare)?;
        }
        match merge.node("join_condition") {
            Some(on) => self.reads_unmasked(on, &bare),
            None => fail("MERGE without ON"),
        }
    }

    fn action(
        &mut self,
        clause: &Node,
        filtered: Option<Oid>,
        alias: &str,
        block: &Block<'_>,
        env: &Env<'_>,
    ) -> Outcome {
        match (match_kind(clause), command(clause)) {
            (
                Some(MergeMatchKind::MergeWhenMatched),
                Some(CmdType::CmdUpdate | CmdType::CmdDelete | CmdType::CmdNothing),
            )
            | (
                Some(MergeMatchKind::MergeWhenNotMatchedByTarget),
                Some(CmdType::CmdInsert | CmdType::CmdNothing),
            ) => {}
            _ => return fail("an action of MERGE of an unknown kind"),
        }
        let mut condition = clause.node("condition");
        if let Some(oid) = filtered {
            self.writes_no_link(clause, "target_list", oid)?;
            if command(clause) == Some(CmdType::CmdDelete) {
                self.takes_no_label_off(oid)?;
            }
            let change = match command(clause) {
                Some(CmdType::CmdDelete) => Some(Change::Delete),
                Some(CmdType::CmdUpdate) => Some(updated(clause)),
                _ => None,
            };
            if let Some(change) = change
                && self.chains(&change, oid)?.iter().any(Chain::hides)
            {
                return fail("MERGE that changes rows of other tables by a foreign key");
            }
            if let Some(expected) = self.merged_key(clause, oid, alias)? {
                condition = self.checked_key(condition, &expected)?;
            }
        }
        if let Some(condition) = condition {
            self.expression(condition, block, env, false, "a condition of an action")?;
        }
        for target in clause.nodes("target_list") {
            for value in target.children() {
                self.expression(value, block, env, false, "SET")?;
            }
        }
        clause.nodes("values").try_for_each(|v| self.expression(v, block, env, false, "VALUES"))
    }

    /// What is left of a condition that is the check, or `CASE WHEN rest THEN check END`.
    fn checked_key<'n>(&mut self, condition: Option<&'n Node>, expected: &Node) -> Outcome<Option<&'n Node>> {
        let missing = || fail("the patient of a row that MERGE writes is not checked");
        let Some(condition) = condition else { return missing() };
        if condition == expected {
            self.exempt(condition);
            return Ok(None);
        }
        let [Tree::Node(when)] = condition.list("args") else { return missing() };
        let Some(result) = when.node("result").filter(|r| *r == expected) else { return missing() };
        if condition.kind != "CaseExpr" || condition.has("arg") || condition.has("defresult") {
            return missing();
        }
        self.exempt(result);
        Ok(when.node("expr"))
    }

    /// The check that an action needs, when it writes a column by which a row belongs to its patient, or to a
    /// category.
    fn merged_key(&self, clause: &Node, oid: Oid, alias: &str) -> Outcome<Option<Node>> {
        let table = self.table(oid)?;
        let Some(relation) = self.cx.context.catalog.relation(oid) else {
            return fail("a rule without a relation");
        };
        let inserts = match command(clause) {
            Some(CmdType::CmdInsert) => true,
            Some(CmdType::CmdUpdate) => false,
            _ => return Ok(None),
        };
        let owners = table.deciding_columns();
        let mut names: Vec<&str> = clause.nodes("target_list").map(|t| t.str("name")).collect();
        let listed: Vec<&Node> = clause.nodes("target_list").collect();
        if names.is_empty() && inserts {
            names = relation.columns.iter().map(|c| c.name.as_str()).collect();
        }
        // What is stored is then not what the action says.
        if self.cx.context.catalog.rewrites_rows(oid) {
            return fail("MERGE into a table whose triggers could change a row's patient");
        }
        if self.cx.context.catalog.computes(oid, |c| owners.contains(&c)) {
            return fail("MERGE into a table whose rows' patient or category the server computes");
        }
        if !inserts && !owners.iter().any(|o| names.contains(o)) {
            return Ok(None);
        }
        let mut texts = Vec::new();
        let mut values = Vec::new();
        for owner in owners {
            let Some(column) = relation.column(owner).filter(|c| c.builtin_type) else {
                return fail("a patient's column of a type that is not built in");
            };
            let at = names.iter().position(|n| *n == owner);
            let value = match at {
                Some(at) if inserts => clause.nodes("values").nth(at),
                Some(at) => listed.get(at).and_then(|t| t.node("val")),
                // An UPDATE leaves it.
                None if !inserts => {
                    let said = format!(
                        "{}.{}",
                        crate::catalog::quote_ident(alias),
                        crate::catalog::quote_ident(owner)
                    );
                    texts.push((owner.to_owned(), format!("({said})::{}", column.type_sql)));
                    continue;
                }
                None => None,
            };
            let Some(value) = value.filter(|v| self.is_plain(v)) else {
                return fail(format!("the patient that MERGE writes into {owner} cannot be told"));
            };
            values.push(value);
            let stand_in = format!("{RESERVED_PREFIX}e{}", values.len());
            texts.push((owner.to_owned(), format!("({stand_in})::{}", column.type_sql)));
        }
        let policy = &self.cx.context.bound.policy;
        let mut expected = expression(&merged_key_check(policy, table, &texts, self.cx.params))?;
        fill(&mut expected, &values);
        Ok(Some(expected))
    }

    /// A constant, a parameter, a column, or one cast to a built-in type: the same whenever it is read.
    pub(super) fn is_plain(&self, value: &Node) -> bool {
        match value.kind {
            "AConst" | "ParamRef" => true,
            "ColumnRef" => value.names("fields").len() == value.list("fields").len(),
            "TypeCast" => {
                let ty = value.node("type_name").map(|t| of_type_name(t, self.cx.context.catalog));
                ty.is_some_and(|t| t != Ty::Unknown) && value.node("arg").is_some_and(|a| self.is_plain(a))
            }
            _ => false,
        }
    }
}

/// Puts `values` in place of the names that stand for them.
pub(super) fn fill(node: &mut Node, values: &[&Node]) {
    let number = |n: &Node| {
        let name = n.names("fields");
        match (n.kind, name.as_slice()) {
            ("ColumnRef", [one]) => {
                one.strip_prefix(RESERVED_PREFIX)?.strip_prefix('e')?.parse::<usize>().ok()
            }
            _ => None,
        }
    };
    if let Some(value) = number(node).and_then(|n| values.get(n.checked_sub(1)?)) {
        *node = (*value).clone();
        return;
    }
    node.fields.iter_mut().for_each(|(_, value)| fill_value(value, values));
}

fn fill_value(value: &mut Tree, values: &[&Node]) {
    match value {
        Tree::Node(n) => fill(n, values),
        Tree::List(items) => items.iter_mut().for_each(|i| fill_value(i, values)),
        Tree::Null | Tree::Int(_) | Tree::Float(_) | Tree::Str(_) => {}
    }
}
