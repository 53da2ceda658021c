//! `min_cell`: the policy's condition in the HAVING of every block that reads protected tables; and days between dates in a
//! form that does not fail of `infinity`. Whether the block is of a form that can carry it is for the checker. Not for
//! guards.

use sqlparser::ast::{
    BinaryOperator, DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments,
    LimitClause, Offset, OffsetRows, Query, Select, SetExpr, Statement, TableFactor, TableWithJoins, Value,
};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;

use super::walk::{Edit, Look, edit, look};
use super::{Fence, Occurrence, Placeholders, PlanError, PlanInput, fold, occurrence_of};
use crate::policy::{
    CELL_AGGREGATES, Parts, cell_condition, days_between, difference_condition, differences, values_condition,
};
use crate::sql::lineage::{is_of_type, occurrence_of_column};

/// Adds the conditions.
pub(super) fn conditions(
    ast: &mut Statement,
    occurrences: &[Occurrence<'_>],
    least: u32,
    input: &PlanInput<'_>,
    texts: &mut Placeholders,
) -> Result<(), PlanError> {
    edit(ast, &mut Days { occurrences, input })?;
    edit(
        ast,
        &mut Cells {
            occurrences,
            input,
            least,
            fence: input.fence != Fence::None,
            sorted: Vec::new(),
            choosers: Vec::new(),
            inside: Vec::new(),
            texts,
        },
    )
}

/// Writes `a - b` of columns of dates as the policy does.
struct Days<'a, 'b> {
    occurrences: &'a [Occurrence<'b>],
    input: &'a PlanInput<'b>,
}

impl Edit for Days<'_, '_> {
    fn query(&mut self, query: &mut Query) -> Result<(), PlanError> {
        let SetExpr::Select(select) = query.body.as_mut() else { return Ok(()) };
        let from = select.clone();
        let date = |e: &Expr| is_of_type(&from, e, "date", self.occurrences, self.input);
        let mut between = Between { date: &date, depth: 0 };
        edit(select.as_mut(), &mut between)?;
        edit(&mut query.order_by, &mut between)
    }
}

struct Between<'a> {
    date: &'a dyn Fn(&Expr) -> bool,
    depth: usize,
}

impl Edit for Between<'_> {
    fn query(&mut self, _: &mut Query) -> Result<(), PlanError> {
        self.depth += 1;
        Ok(())
    }

    fn query_end(&mut self) {
        self.depth -= 1;
    }

    fn expr(&mut self, expr: &mut Expr) {
        if self.depth == 0
            && let Expr::BinaryOp { left, op: BinaryOperator::Minus, right } = &*expr
            && let (Some(l), Some(r)) = (column_text(left), column_text(right))
            && (self.date)(left)
            && (self.date)(right)
            && let Ok(days) = Parser::new(&PostgreSqlDialect {})
                .try_with_sql(&days_between(&l, &r))
                .and_then(|mut parser| parser.parse_expr())
        {
            *expr = days;
        }
    }
}

struct Cells<'a, 'b> {
    occurrences: &'a [Occurrence<'b>],
    input: &'a PlanInput<'b>,
    least: u32,
    /// Keep what stands above from being evaluated beside the conditions.
    fence: bool,
    /// What ORDER BY of the queries around aggregates, until the block that it sorts is met.
    sorted: Vec<Option<Arguments>>,
    /// Queries of EXISTS and IN, which choose rows and group none; whether each query around is one.
    choosers: Vec<*const Query>,
    inside: Vec<bool>,
    texts: &'a mut Placeholders,
}

impl Edit for Cells<'_, '_> {
    fn query(&mut self, query: &mut Query) -> Result<(), PlanError> {
        let mut sorted = Arguments::default();
        look(&query.order_by, &mut sorted);
        self.sorted.push(matches!(query.body.as_ref(), SetExpr::Select(_)).then_some(sorted));
        let chooses = self.choosers.contains(&std::ptr::from_ref(query));
        self.inside.push(chooses);
        if chooses {
            return Ok(());
        }
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

    fn expr(&mut self, expr: &mut Expr) {
        if let Expr::Exists { subquery, .. } | Expr::InSubquery { subquery, .. } = expr {
            self.choosers.push(std::ptr::from_ref(subquery.as_ref()));
        }
    }

    fn select(&mut self, select: &mut Select) -> Result<(), PlanError> {
        if self.inside.last() == Some(&true) {
            return Ok(());
        }
        let mut found = Vec::new();
        select.from.iter().for_each(|tree| in_tree(tree, &mut found));
        let mut arguments = self.sorted.last_mut().and_then(Option::take).unwrap_or_default();
        look(&select.projection, &mut arguments);
        look(&select.having, &mut arguments);
        let columns: Vec<&str> = arguments.columns.iter().map(String::as_str).collect();
        let beside: Vec<&str> = arguments.beside().collect();
        let flags: Vec<&str> = arguments.flags.iter().map(String::as_str).collect();
        let once = arguments.part_once && arguments.once;
        let parts = Parts { flags: &flags, columns: &beside, once };
        // Of what is too much to count the checker tells.
        let countable = flags.len() <= Parts::MOST_FLAGS && beside.len() <= Parts::MOST_COLUMNS;
        for n in found {
            let Some(o) = self.occurrences.get(n) else { continue };
            let (policy, alias, least) = (&self.input.policy.policy, o.alias.as_str(), self.least);
            let counted = std::iter::once(None).chain(columns.iter().map(|c| Some(*c)));
            let counted = counted.map(|column| cell_condition(policy, o.table, alias, column, least));
            let apart = differences(arguments.all, &columns).into_iter();
            let apart = apart.map(|rows| difference_condition(policy, o.table, alias, &rows, least));
            let parts = if countable { parts.conditions(policy, o.table, alias, least) } else { Vec::new() };
            let chosen = flags.iter().flat_map(|f| [format!("({f}) IS TRUE"), format!("({f}) IS NOT TRUE")]);
            let rows: Vec<Option<String>> = std::iter::once(None).chain(chosen.map(Some)).collect();
            let rows = if countable { rows.as_slice() } else { &[] };
            let values = arguments.summed.iter().flat_map(|(columns, text)| {
                let occurrence = |c: &Expr| occurrence_of_column(select, c, self.occurrences, self.input);
                let known = !columns.iter().all(|c| occurrence(c).is_some());
                rows.iter().map(move |rows| {
                    values_condition(policy, o.table, alias, text, rows.as_deref(), known, least)
                })
            });
            let all: Vec<String> = counted.chain(apart).chain(parts).chain(values).collect();
            for text in all {
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

    fn query_end(&mut self) {
        self.sorted.pop();
        self.inside.pop();
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

/// What aggregates of a block read.
#[derive(Default)]
struct Arguments {
    depth: usize,
    /// `count(*)`
    all: bool,
    /// As SQL text.
    columns: Vec<String>,
    /// The conditions of FILTER and CASE, and the columns of which they choose rows.
    flags: Vec<String>,
    chosen: Vec<String>,
    /// The columns of which the values are taken, not merely counted.
    summed: Vec<(Vec<Expr>, String)>,
    /// `count(DISTINCT column)` stands there, and one with a condition.
    once: bool,
    part_once: bool,
}

impl Arguments {
    fn counts_rows(call: &Function) -> bool {
        matches!(&call.args, FunctionArguments::List(list)
            if matches!(list.args.as_slice(), [FunctionArg::Unnamed(FunctionArgExpr::Wildcard)]))
            && call.over.is_none()
    }

    /// Every column, each once: of a group that a condition parts, each parts the parts.
    fn beside(&self) -> impl Iterator<Item = &str> {
        let more = self.chosen.iter().filter(|c| !self.columns.contains(c));
        let parted = !self.flags.is_empty();
        self.columns.iter().chain(more).map(String::as_str).filter(move |_| parted)
    }

    fn call(&mut self, call: &Function) {
        let Some(name) = call.name.0.last().and_then(|p| p.as_ident()).map(fold) else { return };
        if call.over.is_some() || !CELL_AGGREGATES.contains(&name.as_str()) {
            return;
        }
        let distinct = matches!(&call.args, FunctionArguments::List(list)
            if list.duplicate_treatment == Some(DuplicateTreatment::Distinct));
        let mut flags: Vec<String> = call.filter.iter().map(|c| bare(c).to_string()).collect();
        let value = match &call.args {
            FunctionArguments::List(list) => match list.args.as_slice() {
                [FunctionArg::Unnamed(FunctionArgExpr::Expr(argument))]
                    if !distinct && let Some((read, padded)) = linear(argument) =>
                {
                    self.all |= padded;
                    let whole = format!("({})", bare(argument));
                    let each = read.iter().filter(|_| read.len() > 1);
                    let each = each.filter_map(|c| Some((vec![c.clone()], column_text(c)?)));
                    let summed: Vec<_> = each.chain([(read.clone(), whole.clone())]).collect();
                    for (read, text) in summed {
                        if name != "count" && !self.summed.iter().any(|(_, known)| *known == text) {
                            self.summed.push((read, text));
                        }
                    }
                    let several = (read.len() > 1).then_some(whole);
                    let columns = if flags.is_empty() { &mut self.columns } else { &mut self.chosen };
                    for text in read.iter().filter_map(column_text).chain(several) {
                        if !columns.contains(&text) {
                            columns.push(text);
                        }
                    }
                    None
                }
                [FunctionArg::Unnamed(FunctionArgExpr::Expr(argument))] => match flag_of(argument) {
                    Some((condition, result)) => {
                        flags.push(bare(condition).to_string());
                        result
                    }
                    None => Some(argument),
                },
                _ => None,
            },
            _ => None,
        };
        let column = value.and_then(column_text);
        if let (Some(value), Some(text)) = (value, &column)
            && name != "count"
            && !self.summed.iter().any(|(_, known)| known == text)
        {
            self.summed.push((vec![value.clone()], text.clone()));
        }
        if column.is_some() && distinct {
            *(if flags.is_empty() { &mut self.once } else { &mut self.part_once }) = true;
        }
        let columns = if flags.is_empty() { &mut self.columns } else { &mut self.chosen };
        columns.extend(column.filter(|c| !columns.contains(c)));
        for flag in flags {
            if !self.flags.contains(&flag) {
                self.flags.push(flag);
            }
        }
    }
}

/// What `CASE WHEN condition THEN result ...` and `condition::int` choose rows by, and what of them.
fn flag_of(argument: &Expr) -> Option<(&Expr, Option<&Expr>)> {
    match argument {
        Expr::Case { operand: None, conditions, .. } => match conditions.as_slice() {
            [when] => Some((&when.condition, Some(&when.result))),
            _ => None,
        },
        Expr::Cast { expr, .. } => Some((expr, None)),
        Expr::Nested(inner) => flag_of(inner),
        _ => None,
    }
}

/// The columns of an expression that tells no more than they do (the checker says of which types): a column with
/// something added, the difference or sum of two, days between dates, `coalesce(column, 0)`, which makes of NULL a value,
/// a column in another type.
fn linear(argument: &Expr) -> Option<(Vec<Expr>, bool)> {
    let is_column = |e: &Expr| column_text(e).is_some();
    let number = |e: &Expr| matches!(e, Expr::Value(v) if matches!(v.value, Value::Number(_, false)));
    match argument {
        Expr::Nested(inner) => linear(inner),
        Expr::Cast { expr, data_type, .. } if is_column(expr) => {
            let wider =
                ["float8", "float4", "real", "double precision", "float", "numeric", "decimal", "dec"];
            let to = data_type.to_string().to_ascii_lowercase();
            wider.contains(&to.as_str()).then(|| (vec![expr.as_ref().clone()], false))
        }
        Expr::Function(Function { name, args: FunctionArguments::List(list), .. })
            if name.0.last().and_then(|p| p.as_ident()).is_some_and(|i| fold(i) == "coalesce") =>
        {
            match list.args.as_slice() {
                [
                    FunctionArg::Unnamed(FunctionArgExpr::Expr(column)),
                    FunctionArg::Unnamed(FunctionArgExpr::Expr(zero)),
                ] if is_column(column) && number(zero) => Some((vec![column.clone()], true)),
                _ => None,
            }
        }
        Expr::Case { operand: None, conditions, else_result: None, .. } => match conditions.as_slice() {
            [when] => match &when.result {
                Expr::BinaryOp { left, op: BinaryOperator::PGCustomBinaryOperator(_), right } => {
                    let both = is_column(left) && is_column(right);
                    both.then(|| (vec![left.as_ref().clone(), right.as_ref().clone()], false))
                }
                _ => None,
            },
            _ => None,
        },
        Expr::BinaryOp { left, op: BinaryOperator::Plus | BinaryOperator::Minus, right } => {
            let sides = [bare(left), bare(right)];
            let columns: Vec<Expr> = sides.iter().filter(|e| is_column(e)).map(|e| (*e).clone()).collect();
            let plain = sides.iter().all(|e| is_column(e) || number(e));
            (plain && !columns.is_empty()).then_some((columns, false))
        }
        _ => None,
    }
}

fn bare(expr: &Expr) -> &Expr {
    if let Expr::Nested(inner) = expr { bare(inner) } else { expr }
}

/// A column as SQL text.
fn column_text(expr: &Expr) -> Option<String> {
    let quoted = |i: &sqlparser::ast::Ident| crate::catalog::quote_ident(&fold(i));
    match expr {
        Expr::Identifier(column) => Some(quoted(column)),
        Expr::CompoundIdentifier(parts) => Some(parts.iter().map(quoted).collect::<Vec<_>>().join(".")),
        Expr::Nested(inner) => column_text(inner),
        _ => None,
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
        {
            self.all |= Self::counts_rows(call);
            self.call(call);
        }
        false
    }
}
