//! Operators out of the planner's sight. To estimate a condition the planner runs its operator on values of the column's
//! statistics, those of hidden rows included, and a fence does not keep it from that; what stands in a CASE it does not
//! look into. So an operator that could fail on a value is put into one that is always taken, of a condition that is
//! not known before the statement runs.

use std::collections::HashMap;

use sqlparser::ast::{
    AccessExpr, BinaryOperator, Expr, Ident, Select, SelectItem, Statement, UnaryOperator, Value,
};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;

use super::place::case_when;
use super::walk::{Edit, edit};
use super::{PlanError, PlanInput, fold};
use crate::catalog::Catalog;
use crate::sql::functions::is_estimated;

/// True in every row, which only the run tells.
const ALWAYS: &str = "pg_catalog.now() IS NOT NULL";

/// What PostgreSQL calls a column that is an operator's result.
const NAMELESS: &str = "?column?";

pub(super) const COMPARISONS: [&str; 6] = ["=", "<>", "<", "<=", ">", ">="];

/// Which operators could fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Opaque {
    /// Those that are no comparisons.
    #[default]
    Operators,
    /// Comparisons as well, but those of columns whose names are those of columns of plain types.
    Comparisons,
    /// All.
    All,
}

fn always() -> Result<Expr, PlanError> {
    Parser::new(&PostgreSqlDialect {})
        .try_with_sql(ALWAYS)
        .and_then(|mut parser| parser.parse_expr())
        .map_err(PlanError::from)
}

/// A condition as one that only the run tells, even when it is a constant: what stands beside it is looked at.
pub(super) fn hidden(condition: Expr) -> Result<Expr, PlanError> {
    // Keeps a bare NULL or parameter a boolean.
    let result = Expr::IsTrue(Box::new(Expr::Nested(Box::new(condition))));
    Ok(case_when(always()?, result))
}

/// Hides the operators of `ast` that could fail.
pub(super) fn operators(ast: &mut Statement, input: &PlanInput<'_>) -> Result<(), PlanError> {
    let condition = always()?;
    let plain = match input.opaque {
        Opaque::Operators | Opaque::All => HashMap::new(),
        Opaque::Comparisons => plain_names(input.catalog),
    };
    edit(ast, &mut Hider { condition, plain, input, inside: false })
}

/// By the name of a column: true when all columns of that name are of types whose comparisons the planner may try.
fn plain_names(catalog: &Catalog) -> HashMap<String, bool> {
    // Operators of these tokens that are not built in may be meant.
    let redefined = COMPARISONS.iter().any(|op| catalog.own_code.redefines(op));
    let enums = !COMPARISONS.iter().any(|op| catalog.own_code.redefines_for_enums(op));
    // Texts of two columns can have collations that contradict each other.
    let mut collations: Vec<&String> = catalog.collations.values().flatten().collect();
    collations.sort();
    collations.dedup();
    let texts = collations.len() < 2;
    let mut plain: HashMap<String, bool> = HashMap::new();
    for relation in catalog.relations.values() {
        for column in &relation.columns {
            let own = match catalog.acts_as(column).and_then(compared) {
                Some(kind) => !redefined && (texts || kind != "text"),
                None => enums && catalog.is_enum(column),
            };
            plain.entry(column.name.clone()).and_modify(|p| *p &= own).or_insert(own);
        }
    }
    plain
}

/// What compares within a kind does so without an error; by the name of a built-in type.
pub(super) fn compared(type_sql: &str) -> Option<&'static str> {
    let head = type_sql.split('(').next().unwrap_or_default().trim();
    Some(match head {
        _ if type_sql.ends_with(']') => return None,
        "smallint" | "integer" | "bigint" | "numeric" => "number",
        "real" | "double precision" => "float",
        "text" | "character varying" | "character" => "text",
        "boolean" => "boolean",
        "date" => "date",
        "uuid" => "uuid",
        "interval" => "interval",
        "bytea" => "bytea",
        "inet" => "inet",
        "oid" => "oid",
        "jsonb" => "jsonb",
        "timestamp" | "timestamp with time zone" | "timestamp without time zone" => {
            if type_sql.ends_with("with time zone") { "timestamptz" } else { "timestamp" }
        }
        "time" | "time with time zone" | "time without time zone" => {
            if type_sql.ends_with("with time zone") {
                "timetz"
            } else {
                "time"
            }
        }
        _ => return None,
    })
}

struct Hider<'a, 'b> {
    condition: Expr,
    plain: HashMap<String, bool>,
    input: &'a PlanInput<'b>,
    /// What comes next stands in a CASE of ours.
    inside: bool,
}

impl Hider<'_, '_> {
    fn could_fail(&self, expr: &Expr) -> bool {
        let own = |op: &dyn std::fmt::Display| self.input.catalog.foreign_operators.contains(&op.to_string());
        match expr {
            Expr::Like { any, pattern, escape_char, .. } | Expr::ILike { any, pattern, escape_char, .. } => {
                // It fails under collations that are not deterministic.
                let loose = !self.input.catalog.loose_collations.is_empty();
                let anywhere = self.input.opaque != Opaque::Operators && loose;
                let all = self.input.opaque == Opaque::All;
                all || *any || escape_char.is_some() || anywhere || !ends_well(pattern)
            }
            Expr::SimilarTo { .. } | Expr::RLike { .. } => true,
            Expr::Function(call) if call.over.is_none() => {
                let name = call.name.0.last().and_then(|p| p.as_ident()).map(fold).unwrap_or_default();
                is_estimated(&name) || self.input.catalog.is_own_condition(&name)
            }
            Expr::BinaryOp { left, op, right } => {
                use BinaryOperator as B;
                match op {
                    B::And | B::Or => false,
                    B::Eq | B::NotEq | B::Lt | B::LtEq | B::Gt | B::GtEq => {
                        self.compares([&**left, &**right])
                    }
                    B::Plus | B::Minus | B::Multiply | B::Divide | B::Modulo | B::PGExp | B::StringConcat => {
                        own(op)
                    }
                    B::Arrow | B::LongArrow | B::HashArrow | B::HashLongArrow | B::HashMinus => own(op),
                    _ => true,
                }
            }
            Expr::UnaryOp { op, .. } => {
                !matches!(op, UnaryOperator::Not | UnaryOperator::Minus | UnaryOperator::Plus)
            }
            Expr::AnyOp { left, compare_op, right, .. } | Expr::AllOp { left, compare_op, right } => {
                use BinaryOperator::{Eq, Gt, GtEq, Lt, LtEq, NotEq};
                match compare_op {
                    Eq | NotEq | Lt | LtEq | Gt | GtEq => self.compares([&**left, &**right]),
                    _ => true,
                }
            }
            Expr::IsDistinctFrom(l, r) | Expr::IsNotDistinctFrom(l, r) => self.compares([&**l, &**r]),
            Expr::InList { expr, list, .. } => self.compares(std::iter::once(&**expr).chain(list)),
            Expr::Between { expr, low, high, .. } => self.compares([&**expr, &**low, &**high]),
            Expr::InSubquery { expr, .. } => self.compares([&**expr]),
            _ => false,
        }
    }

    /// True when a comparison of these is to be hidden.
    fn compares<'e>(&self, operands: impl IntoIterator<Item = &'e Expr>) -> bool {
        self.input.opaque != Opaque::Operators && !operands.into_iter().all(|o| self.is_plain(o))
    }

    fn is_plain(&self, operand: &Expr) -> bool {
        let known = |name: &Ident| self.plain.get(&fold(name)) == Some(&true);
        match operand {
            Expr::Nested(inner) => self.is_plain(inner),
            Expr::Identifier(name) => known(name),
            Expr::CompoundIdentifier(parts) => parts.last().is_some_and(known),
            Expr::Value(_) => self.input.opaque != Opaque::All,
            _ => false,
        }
    }

    /// What PostgreSQL calls a column of this expression, where it would no longer do so with a CASE around what gives
    /// the name (parse_target.c, `FigureColname`).
    fn lost_name(&self, expr: &Expr) -> Option<String> {
        match expr {
            Expr::Nested(inner) | Expr::Collate { expr: inner, .. } => self.lost_name(inner),
            // They have a name of their own for what has none.
            Expr::Cast { expr: inner, .. } | Expr::Case { else_result: Some(inner), .. } => {
                self.lost_name(inner).filter(|name| name != NAMELESS)
            }
            Expr::CompoundFieldAccess { root, access_chain }
                if access_chain.iter().all(|a| matches!(a, AccessExpr::Subscript(_))) =>
            {
                self.lost_name(root)
            }
            other if !self.could_fail(other) => None,
            Expr::Function(call) => call.name.0.last().and_then(|p| p.as_ident()).map(fold),
            Expr::BinaryOp { op: BinaryOperator::Overlaps, .. } => Some("overlaps".to_owned()),
            _ => Some(NAMELESS.to_owned()),
        }
    }
}

/// A constant pattern that cannot end with its escape character.
fn ends_well(pattern: &Expr) -> bool {
    match pattern {
        Expr::Value(v) => match &v.value {
            Value::SingleQuotedString(text) => {
                text.bytes().rev().take_while(|b| *b == b'\\').count() % 2 == 0
            }
            _ => false,
        },
        _ => false,
    }
}

impl Edit for Hider<'_, '_> {
    fn select(&mut self, select: &mut Select) -> Result<(), PlanError> {
        for item in &mut select.projection {
            // The CASE would give the column another name.
            if let SelectItem::UnnamedExpr(expr) = item
                && let Some(name) = self.lost_name(expr)
            {
                let expr = expr.clone();
                *item = SelectItem::ExprWithAlias { expr, alias: Ident::with_quote('"', name) };
            }
        }
        Ok(())
    }

    fn expr(&mut self, expr: &mut Expr) {
        if !self.could_fail(expr) {
            return;
        }
        if std::mem::take(&mut self.inside) {
            return;
        }
        let result = std::mem::replace(expr, Expr::Tuple(Vec::new()));
        *expr = case_when(self.condition.clone(), result);
        self.inside = true;
    }
}
