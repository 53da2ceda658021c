//! `min_cell`: the policy's condition in the HAVING of every block that reads protected tables. Whether
//! the block is of a form that can carry it is for the checker. Not for guards.

use sqlparser::ast::{
    BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, LimitClause, Offset,
    OffsetRows, Query, Select, SetExpr, Statement, TableFactor, TableWithJoins, Value,
};

use super::walk::{Edit, Look, edit, look};
use super::{Fence, Occurrence, Placeholders, PlanError, PlanInput, fold, occurrence_of};
use crate::policy::{CELL_AGGREGATES, Policy, cell_condition};

/// Adds the conditions.
pub(super) fn conditions(
    ast: &mut Statement,
    occurrences: &[Occurrence<'_>],
    least: u32,
    input: &PlanInput<'_>,
    texts: &mut Placeholders,
) -> Result<(), PlanError> {
    edit(
        ast,
        &mut Cells {
            occurrences,
            policy: &input.policy.policy,
            least,
            fence: input.fence != Fence::None,
            texts,
        },
    )
}

struct Cells<'a, 'b> {
    occurrences: &'a [Occurrence<'b>],
    policy: &'a Policy,
    least: u32,
    /// Keep what stands above from being evaluated beside the conditions.
    fence: bool,
    texts: &'a mut Placeholders,
}

impl Edit for Cells<'_, '_> {
    fn query(&mut self, query: &mut Query) -> Result<(), PlanError> {
        let SetExpr::Select(select) = query.body.as_ref() else { return Ok(()) };
        let mut found = Vec::new();
        select.from.iter().for_each(|tree| in_tree(tree, &mut found));
        if self.fence && !found.is_empty() && query.limit_clause.is_none() && query.fetch.is_none() {
            let value = Expr::Value(Value::Number("0".to_owned(), false).into());
            let offset = Some(Offset { value, rows: OffsetRows::None });
            query.limit_clause = Some(LimitClause::LimitOffset { limit: None, offset, limit_by: Vec::new() });
        }
        Ok(())
    }

    fn select(&mut self, select: &mut Select) -> Result<(), PlanError> {
        let mut found = Vec::new();
        select.from.iter().for_each(|tree| in_tree(tree, &mut found));
        let mut arguments = Arguments { depth: 0, columns: Vec::new() };
        look(&select.projection, &mut arguments);
        look(&select.having, &mut arguments);
        for n in found {
            let Some(o) = self.occurrences.get(n) else { continue };
            let columns = arguments.columns.iter().map(|c| Some(c.as_str()));
            for argument in std::iter::once(None).chain(columns) {
                let text = cell_condition(self.policy, o.table, &o.alias, argument, self.least);
                let condition = Expr::Identifier(self.texts.stand_for(text));
                select.having = Some(match select.having.take() {
                    None => condition,
                    Some(own @ (Expr::Nested(_) | Expr::Identifier(_))) => and(own, condition),
                    Some(own @ Expr::BinaryOp { op: BinaryOperator::And, .. }) => and(own, condition),
                    Some(own) => and(Expr::Nested(Box::new(own)), condition),
                });
            }
        }
        Ok(())
    }
}

fn and(left: Expr, right: Expr) -> Expr {
    Expr::BinaryOp { left: Box::new(left), op: BinaryOperator::And, right: Box::new(right) }
}

fn in_tree(tree: &TableWithJoins, out: &mut Vec<usize>) {
    in_factor(&tree.relation, out);
    tree.joins.iter().for_each(|join| in_factor(&join.relation, out));
}

fn in_factor(factor: &TableFactor, out: &mut Vec<usize>) {
    match factor {
        TableFactor::Table { name, .. } => out.extend(occurrence_of(name)),
        TableFactor::NestedJoin { table_with_joins, .. } => in_tree(table_with_joins, out),
        _ => {}
    }
}

/// The columns that aggregates of a block read, as SQL text.
struct Arguments {
    depth: usize,
    columns: Vec<String>,
}

impl Arguments {
    fn argument(call: &Function) -> Option<String> {
        let name = call.name.0.last().and_then(|p| p.as_ident()).map(fold)?;
        let FunctionArguments::List(list) = &call.args else { return None };
        let [FunctionArg::Unnamed(FunctionArgExpr::Expr(argument))] = list.args.as_slice() else {
            return None;
        };
        let quoted = |i: &sqlparser::ast::Ident| crate::catalog::quote_ident(&fold(i));
        let column = match argument {
            Expr::Identifier(column) => quoted(column),
            Expr::CompoundIdentifier(parts) => parts.iter().map(quoted).collect::<Vec<_>>().join("."),
            _ => return None,
        };
        (call.over.is_none() && CELL_AGGREGATES.contains(&name.as_str())).then_some(column)
    }
}

impl Look for Arguments {
    fn query(&mut self, _: &sqlparser::ast::Query) -> bool {
        self.depth += 1;
        false
    }

    fn query_end(&mut self) {
        self.depth -= 1;
    }

    fn expr(&mut self, expr: &Expr) -> bool {
        if let Expr::Function(call) = expr
            && self.depth == 0
            && let Some(column) = Self::argument(call)
            && !self.columns.contains(&column)
        {
            self.columns.push(column);
        }
        false
    }
}
