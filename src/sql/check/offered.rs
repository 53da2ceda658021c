//! INSERT ... ON CONFLICT DO NOTHING into a filtered relation: the patient of every row that is offered is checked,
//! whether it is inserted or dropped, so that the outcome does not tell whether another patient has such a row.
//! Either each row of VALUES has the check in the first column by which a row belongs to its patient, or the rows
//! come from a WITH query that is read to its end, under the check as the only condition.

use super::block::Env;
use super::expected::expression;
use super::merge::fill;
use super::{Checker, Outcome, fail};
use crate::catalog::{Column, Oid, quote_ident};
use crate::policy::{RESERVED_PREFIX, offered_key_check, offered_value};
use crate::sql::parse::{is_reserved, parse_ours};
use crate::sql::tree::{Node, Tree};

fn unchecked<T>() -> Outcome<T> {
    fail("the patient of a row that ON CONFLICT DO NOTHING may drop is not checked")
}

impl Checker<'_> {
    /// Demands the check, and exempts it.
    pub(super) fn offered(&mut self, insert: &Node, oid: Oid, env: &Env<'_>) -> Outcome {
        let context = self.cx.context;
        let Some(relation) = context.catalog.relation(oid) else { return fail("a rule without a relation") };
        let mut names: Vec<&str> = insert.nodes("cols").map(|c| c.str("name")).collect();
        if names.is_empty() {
            names = relation.columns.iter().map(|c| c.name.as_str()).collect();
        }
        let mut deciding: Vec<(usize, &Column)> = Vec::new();
        for name in self.table(oid)?.deciding_columns() {
            let at = names.iter().position(|n| *n == name);
            match (at, relation.column(name)) {
                (Some(at), Some(column)) => deciding.push((at, column)),
                _ => return unchecked(),
            }
        }
        let Some(source) = insert.node("select_stmt") else { return unchecked() };
        let parents = [Vec::new(), self.parents(oid, env)?];
        match source.list("values_lists").is_empty() {
            false => self.offered_values(source, oid, &deciding, &parents),
            true => self.offered_rows(source, oid, &deciding, &parents),
        }
    }

    fn offered_values(
        &mut self,
        source: &Node,
        oid: Oid,
        deciding: &[(usize, &Column)],
        parents: &[Vec<(String, String)>],
    ) -> Outcome {
        let Some((first, _)) = deciding.first() else { return unchecked() };
        let stand_in = |n: usize| format!("{RESERVED_PREFIX}e{n}");
        // The first stands for what is stored, those after it for what is checked.
        let said: Vec<(String, String)> = (2..)
            .zip(deciding)
            .map(|(n, (_, c))| (c.name.clone(), format!("({})::{}", stand_in(n), c.type_sql)))
            .collect();
        let (table, policy) = (self.table(oid)?, &self.cx.context.bound.policy);
        let forms: Vec<Node> = parents
            .iter()
            .map(|p| expression(&offered_value(policy, table, &stand_in(1), &said, self.cx.params, p)))
            .collect::<Outcome<_>>()?;
        for row in source.nodes("values_lists") {
            let items: Vec<&Node> = row.nodes("items").collect();
            let Some(value) = items.get(*first).copied() else { return unchecked() };
            let [Tree::Node(when)] = value.list("args") else { return unchecked() };
            let Some(stored) = when.node("result").filter(|r| r.kind == "TypeCast") else {
                return unchecked();
            };
            let Some(offered) = stored.node("arg") else { return unchecked() };
            let mut values = vec![stored, offered];
            for (at, _) in deciding.iter().skip(1) {
                let Some(item) = items.get(*at).copied() else { return unchecked() };
                values.push(item);
            }
            if !values.iter().all(|v| self.is_plain(v)) {
                return unchecked();
            }
            let is_one = forms.iter().any(|form| {
                let mut expected = form.clone();
                fill(&mut expected, &values);
                expected == *value
            });
            if !is_one {
                return unchecked();
            }
            self.exempt(value);
        }
        Ok(())
    }

    fn offered_rows(
        &mut self,
        source: &Node,
        oid: Oid,
        deciding: &[(usize, &Column)],
        parents: &[Vec<(String, String)>],
    ) -> Outcome {
        let cte = match source.node("with_clause").map(|w| w.list("ctes")) {
            Some([Tree::Node(cte)]) => cte,
            _ => return unchecked(),
        };
        let (Some(condition), Some(query)) = (source.node("where_clause"), cte.node("ctequery")) else {
            return unchecked();
        };
        // Its columns go to those of the relation in their order.
        let (name, list) = (cte.str("ctename"), cte.names("aliascolnames"));
        let named = deciding.iter().all(|(at, column)| {
            list.get(*at) == Some(&column.name.as_str())
                && list.iter().filter(|n| **n == column.name).count() == 1
        });
        if !named || !is_reserved(name) {
            return unchecked();
        }
        let (table, policy) = (self.table(oid)?, &self.cx.context.bound.policy);
        let columns = list.iter().map(|c| quote_ident(c)).collect::<Vec<_>>().join(", ");
        for parents in parents {
            let check = offered_key_check(policy, table, name, self.cx.params, parents);
            let text = format!(
                "WITH {name} ({columns}) AS MATERIALIZED (SELECT 1) SELECT * FROM {name} WHERE {check}"
            );
            let parsed = parse_ours(&text).ok().and_then(|mut p| p.statements.pop());
            let Some(mut expected) = parsed.map(|s| s.root) else {
                return fail("policy text does not parse");
            };
            expected.fields.iter_mut().for_each(|(_, value)| put_query(value, query));
            if expected == *source {
                self.exempt(condition);
                return Ok(());
            }
        }
        unchecked()
    }
}

/// Puts `query` in place of that of a WITH query.
fn put_query(value: &mut Tree, query: &Node) {
    let Tree::Node(with) = value else { return };
    if with.kind != "WithClause" {
        return;
    }
    for (_, ctes) in &mut with.fields {
        let Tree::List(ctes) = ctes else { continue };
        for cte in ctes {
            let Tree::Node(cte) = cte else { continue };
            for (field, value) in &mut cte.fields {
                if *field == "ctequery" {
                    *value = Tree::Node(query.clone());
                }
            }
        }
    }
}
