//! INSERT ... ON CONFLICT DO NOTHING by a filtered role: the check of the patient of every row that is offered,
//! inserted or not. RETURNING has the inserted ones alone, so 0 rows and no error would tell that a patient who is
//! not the user's has such a row. Plain values are checked where they stand; other sources are read to their end
//! first, in a WITH query. Not for DO UPDATE, whose condition sees the proposed row.

use sqlparser::ast::{
    Expr, Insert, OnConflict, OnConflictAction, OnInsert, Query, SelectItem, SetExpr, Statement,
    UnaryOperator, Value,
};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;

use super::{Occurrence, Placeholders, PlanError, PlanInput, fold};
use crate::catalog::{Column, quote_ident};
use crate::policy::{GuardParams, RESERVED_PREFIX, masked_type, offered_key_check, offered_value};

/// Checks what `insert` offers to the table of `o`.
pub(super) fn check(
    insert: &mut Insert,
    o: &Occurrence<'_>,
    parents: &[(String, String)],
    params: GuardParams,
    input: &PlanInput<'_>,
    texts: &mut Placeholders,
) -> Result<(), PlanError> {
    let drops = |on: &OnInsert| {
        matches!(on, OnInsert::OnConflict(OnConflict { action: OnConflictAction::DoNothing, .. }))
    };
    if !insert.on.as_ref().is_some_and(drops) {
        return Ok(());
    }
    let names: Vec<String> = match insert.columns.as_slice() {
        [] => o.relation.columns.iter().map(|c| c.name.clone()).collect(),
        given => given
            .iter()
            .map(|c| c.0.first().and_then(|p| p.as_ident()).map(fold).unwrap_or_default())
            // What stands for OVERRIDING is behind them.
            .filter(|name| !name.starts_with(RESERVED_PREFIX))
            .collect(),
    };
    let mut deciding = Vec::new();
    for name in o.table.deciding_columns() {
        let at = names.iter().position(|n| n == name).ok_or_else(|| left_out(o, name))?;
        let column = o.relation.column(name).ok_or_else(|| left_out(o, name))?;
        deciding.push((at, column));
    }
    let Some(source) = &mut insert.source else {
        return Err(left_out(o, deciding.first().map_or("", |(_, c)| c.name.as_str())));
    };
    let policy = &input.policy.policy;
    if let SetExpr::Values(values) = source.body.as_mut() {
        let is_plain = |row: &Vec<Expr>| deciding.iter().all(|(at, _)| row.get(*at).is_some_and(plain));
        let defaults = values.rows.iter().flat_map(|row| &row.content).any(is_default);
        if values.rows.iter().all(|row| is_plain(&row.content)) && (defaults || values.rows.len() <= FEW) {
            for row in &mut values.rows {
                let said: Vec<(String, String)> = deciding
                    .iter()
                    .filter_map(|(at, c)| {
                        Some((c.name.clone(), format!("({})::{}", row.content.get(*at)?, c.type_sql)))
                    })
                    .collect();
                let Some((at, column)) = deciding.first() else { continue };
                let Some(value) = row.content.get_mut(*at) else { continue };
                let shown = format!("({value})::{}", plain_type(column));
                let checked = offered_value(policy, o.table, &shown, &said, params, parents);
                *value = Expr::Identifier(texts.stand_for(checked));
            }
            return Ok(());
        }
        if defaults {
            return Err(left_out(o, deciding.first().map_or("", |(_, c)| c.name.as_str())));
        }
    }
    let items = typed(&mut source.body, &names, o, texts);
    let listed = match (insert.columns.is_empty(), items) {
        (_, Some(items)) => items.min(names.len()),
        (false, None) => names.len(),
        // A shorter list names the first ones.
        (true, None) => deciding.iter().map(|(at, _)| at + 1).max().unwrap_or_default(),
    };
    let list: Vec<String> = names.iter().take(listed).map(|n| quote_ident(n)).collect();
    let check = texts.stand_for(offered_key_check(policy, o.table, OFFERED, params, parents));
    let text = format!(
        "WITH {OFFERED} ({}) AS MATERIALIZED (SELECT 1) SELECT * FROM {OFFERED} WHERE {check}",
        list.join(", ")
    );
    let mut parsed = Parser::parse_sql(&PostgreSqlDialect {}, &text).map_err(PlanError::from)?;
    let Some(Statement::Query(mut around)) = parsed.pop() else {
        return Err(PlanError::Parse("a text of ours".to_owned()));
    };
    if let Some(cte) = around.with.as_mut().and_then(|w| w.cte_tables.first_mut()) {
        std::mem::swap(&mut cte.query, source);
        *source = around;
    }
    Ok(())
}

/// Rows whose values are checked one by one; each is a subquery to plan.
const FEW: usize = 16;
const OFFERED: &str = "__glass_z1";

fn left_out(o: &Occurrence<'_>, column: &str) -> PlanError {
    PlanError::guard(
        format!(
            "ON CONFLICT DO NOTHING of rows of {} that leave out {column}, which says whose they are or their category",
            o.table.name
        ),
        "name the column and its value",
    )
}

/// A value that is the same whenever it is read.
fn plain(expr: &Expr) -> bool {
    match expr {
        Expr::Nested(inner) => plain(inner),
        Expr::Cast { expr, .. } => plain(expr),
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => {
            matches!(expr.as_ref(), Expr::Value(v) if matches!(v.value, Value::Number(..)))
        }
        Expr::Value(_) => true,
        _ => false,
    }
}

fn is_default(expr: &Expr) -> bool {
    matches!(expr, Expr::Identifier(name) if name.quote_style.is_none() && fold(name) == "default")
}

/// The type of a column without its modifier: an explicit cast would cut short what an assignment refuses. Without
/// one, `character` and `bit` are of one character.
fn plain_type(column: &Column) -> String {
    let ty = masked_type(column);
    if !column.builtin_type && column.domain_base.is_none() {
        return ty.to_owned();
    }
    let plain = match (ty.split_once('('), ty.rsplit_once(')')) {
        (Some((head, _)), Some((_, tail))) => format!("{head}{tail}"),
        _ => ty.to_owned(),
    };
    let (element, array) = plain.split_at(plain.find('[').unwrap_or(plain.len()));
    match element {
        "character" => format!("pg_catalog.bpchar{array}"),
        "bit" => format!("pg_catalog.varbit{array}"),
        _ => plain,
    }
}

/// Gives constants and parameters of a list the types of the columns, which INSERT alone would give them; how
/// many items there are, if that can be told.
fn typed(
    body: &mut SetExpr,
    names: &[String],
    o: &Occurrence<'_>,
    texts: &mut Placeholders,
) -> Option<usize> {
    let mut give = |at: usize, expr: &mut Expr| {
        let untyped =
            matches!(expr, Expr::Value(v) if !matches!(v.value, Value::Number(..) | Value::Boolean(_)));
        let column = names.get(at).and_then(|name| o.relation.column(name));
        if let Some(column) = column.filter(|_| untyped) {
            let text = format!("({expr})::{}", plain_type(column));
            *expr = Expr::Identifier(texts.stand_for(text));
        }
    };
    match body {
        SetExpr::Values(values) => {
            for row in &mut values.rows {
                row.content.iter_mut().enumerate().for_each(|(at, expr)| give(at, expr));
            }
            values.rows.first().map(|row| row.content.len())
        }
        SetExpr::Select(select) => {
            let items = select.projection.len();
            for (at, item) in select.projection.iter_mut().enumerate() {
                match item {
                    SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => give(at, expr),
                    // What follows a star has no known place.
                    _ => return None,
                }
            }
            Some(items)
        }
        SetExpr::Query(query) => {
            let Query { body, .. } = query.as_mut();
            typed(body, names, o, texts)
        }
        _ => None,
    }
}
