//! Local conjuncts: conditions on one occurrence alone that filter it before anything else, so
//! simple that they can be copied: a comparison of a column with a constant. Leaving one out is
//! always sound.

use std::collections::HashMap;

use sqlparser::ast::{
    BinaryOperator, CastKind, DataType, Expr, Ident, Statement, TableWithJoins, UnaryOperator, Value,
};

use super::columns::{Block, Conjunct, conjuncts};
use super::pins::Known;
use crate::catalog::{quote_ident, quote_literal};
use crate::policy::our_alias;
use crate::sql::PinValue;
use crate::sql::plan::{CteNames, Look, Occurrence, PlanInput, look};

/// How often each parameter stands in the statement, by number.
pub(super) type ParamUses = HashMap<u16, usize>;

/// Counts the parameters of the statement.
pub(super) fn param_uses(ast: &Statement) -> ParamUses {
    struct Params(ParamUses);
    impl Look for Params {
        fn value(&mut self, value: &sqlparser::ast::ValueWithSpan) -> bool {
            if let Value::Placeholder(name) = &value.value
                && let Some(n) = name.strip_prefix('$').and_then(|n| n.parse().ok())
            {
                *self.0.entry(n).or_default() += 1;
            }
            false
        }
    }
    let mut params = Params(ParamUses::new());
    look(ast, &mut params);
    params.0
}

/// The local conjuncts of item `i`, occurrence `n`, as text over the alias `our_alias()`.
pub(super) fn conjuncts_on(
    i: usize,
    n: usize,
    block: &Block<'_>,
    occurrences: &[Occurrence<'_>],
    params: &ParamUses,
    input: &PlanInput<'_>,
) -> Vec<String> {
    let copier = Copier { i, alias: our_alias(), o: &occurrences[n], block, params, input };
    block
        .clauses
        .iter()
        .filter(|c| c.allowed.contains(&i))
        .filter_map(|c| match &c.expr {
            Conjunct::Condition(expr) => copier.copy(expr),
            Conjunct::Equal(..) => None,
        })
        .collect()
}

/// Splits a condition over `trees` into conjuncts that compare columns of one type with each other or
/// with constants, and the rest. While the fence is one around blocks, columns that the catalog does not
/// know are taken for columns of that type: the checker knows more of them.
pub(crate) fn split_plain(
    trees: &[&TableWithJoins],
    selection: &Expr,
    occurrences: &[Occurrence<'_>],
    input: &PlanInput<'_>,
) -> (Vec<Expr>, Vec<Expr>) {
    let block = Block::new(trees.iter().copied(), None, occurrences, &CteNames::default(), input);
    let no_own = |op: &BinaryOperator| {
        let name = op.to_string();
        ["=", "<>", "<", "<=", ">", ">="].contains(&name.as_str()) && !input.catalog.own_code.redefines(&name)
    };
    // The type of a column, None for a constant.
    let side = |e: &Expr| -> Option<Option<String>> {
        if let Some((i, name)) = block.column(e)
            && let Some(oid) = block.items.get(i)?.relation
        {
            let relation = input.catalog.relation(oid)?;
            let ty = input.catalog.acts_as(relation.column(&name)?).filter(|ty| compares(ty))?;
            return Some(Some(ty.to_owned()));
        }
        let unknown = || matches!(e, Expr::Identifier(_) | Expr::CompoundIdentifier(_));
        (matches!(e, Expr::Value(_)) || (input.fence.blocks() && unknown())).then_some(None)
    };
    let plain = |e: &Expr| match e {
        Expr::BinaryOp { left, op, right } if no_own(op) => match (side(left), side(right)) {
            (Some(Some(a)), Some(Some(b))) => a == b,
            (Some(Some(_)), Some(None)) | (Some(None), Some(Some(_))) => true,
            _ => false,
        },
        Expr::IsNull(e) | Expr::IsNotNull(e) => matches!(side(e), Some(Some(_))),
        _ => false,
    };
    conjuncts(selection).into_iter().cloned().partition(|e| plain(e))
}

/// `column` of occurrence `n` is one of `values`, as text over the alias `our_alias()`; `None` where
/// that could be read in another type than where the values stand.
#[allow(clippy::too_many_arguments)]
pub(super) fn pinned(
    n: usize,
    column: &str,
    values: &[PinValue],
    own: &[String],
    known: &Known,
    block: &Block<'_>,
    occurrences: &[Occurrence<'_>],
    params: &ParamUses,
) -> Option<String> {
    let o = &occurrences[n];
    let type_of = |o: &Occurrence<'_>, column: &str| {
        let column = o.relation.column(column).filter(|c| c.builtin_type && o.clear(&c.name))?;
        Some(column.type_sql.clone())
    };
    let ty = type_of(o, column)?;
    let integer = matches!(ty.as_str(), "smallint" | "integer" | "bigint");
    if !integer && ty != "text" && ty != "uuid" {
        return None;
    }
    let value = |value: &PinValue| match value {
        PinValue::Constant(text) if integer => text.parse::<i64>().ok().map(|v| v.to_string()),
        PinValue::Constant(text) if ty == "text" && !text.contains('\\') => Some(quote_literal(text)),
        PinValue::Constant(_) | PinValue::Elements(_) | PinValue::Both(_) => None,
        PinValue::Parameter(p) => {
            let here = own.iter().any(|text| text.ends_with(&format!("= ${p}")));
            let alike = block.items.iter().enumerate().all(|(i, item)| {
                known.pinned_at(i).filter(|(_, v)| v.contains(value)).all(|(column, _)| {
                    item.occurrence.is_none_or(|n| type_of(&occurrences[n], column).as_ref() == Some(&ty))
                })
            });
            (here && alike && params.get(p) == Some(&1)).then(|| format!("${p}"))
        }
    };
    let values = values.iter().map(value).collect::<Option<Vec<_>>>()?;
    let column = format!("{}.{}", quote_ident(&our_alias()), quote_ident(column));
    match values.as_slice() {
        [one] => Some(format!("{column} = {one}")),
        _ => Some(format!("{column} IN ({})", values.join(", "))),
    }
}

/// True for types whose comparison with a constant can neither fail nor be somebody's own: the
/// copy stands beside the filter, not above it.
pub(crate) fn compares(type_sql: &str) -> bool {
    const TYPES: [&str; 14] = [
        "smallint",
        "integer",
        "bigint",
        "numeric",
        "real",
        "double precision",
        "text",
        "character varying",
        "character",
        "boolean",
        "date",
        "timestamp with time zone",
        "timestamp without time zone",
        "uuid",
    ];
    // `numeric(10,2)`, `timestamp(3) with time zone`.
    let (head, tail) = type_sql.split_once('(').unwrap_or((type_sql, ""));
    let tail = tail.split_once(')').map_or("", |(_, rest)| rest);
    TYPES.contains(&format!("{head}{tail}").as_str())
}

struct Copier<'a, 'b> {
    i: usize,
    alias: String,
    o: &'a Occurrence<'b>,
    block: &'a Block<'a>,
    params: &'a ParamUses,
    input: &'a PlanInput<'b>,
}

impl Copier<'_, '_> {
    /// `expr` over our alias, when it is of one of the simple forms.
    fn copy(&self, expr: &Expr) -> Option<String> {
        let copied = match expr {
            Expr::IsNotDistinctFrom(left, right) if self.no_own(&["="]) => match (self.column(left), self.column(right)) {
                (Some(l), None) => Expr::IsNotDistinctFrom(Box::new(l), Box::new(self.constant(right)?)),
                (None, Some(r)) => Expr::IsNotDistinctFrom(Box::new(self.constant(left)?), Box::new(r)),
                _ => return None,
            },
            Expr::BinaryOp { left, op, right } if self.built_in(op) => {
                let (left, right) = match (self.column(left), self.column(right)) {
                    (Some(l), None) => (l, self.constant(right)?),
                    (None, Some(r)) => (self.constant(left)?, r),
                    _ => return None,
                };
                Expr::BinaryOp { left: Box::new(left), op: op.clone(), right: Box::new(right) }
            }
            Expr::IsNull(e) => Expr::IsNull(Box::new(self.column(e)?)),
            Expr::IsNotNull(e) => Expr::IsNotNull(Box::new(self.column(e)?)),
            Expr::Between { expr, negated, low, high } if self.no_own(&["<=", ">=", "<", ">"]) => {
                Expr::Between {
                    expr: Box::new(self.column(expr)?),
                    negated: *negated,
                    low: Box::new(self.constant(low)?),
                    high: Box::new(self.constant(high)?),
                }
            }
            Expr::InList { expr, list, negated } if self.no_own(&["=", "<>"]) => Expr::InList {
                expr: Box::new(self.column(expr)?),
                list: list.iter().map(|e| self.constant(e)).collect::<Option<Vec<_>>>()?,
                negated: *negated,
            },
            Expr::AnyOp { left, compare_op: BinaryOperator::Eq, right, is_some } if self.no_own(&["="]) => {
                Expr::AnyOp {
                    left: Box::new(self.column(left)?),
                    compare_op: BinaryOperator::Eq,
                    right: Box::new(self.array(right)?),
                    is_some: *is_some,
                }
            }
            Expr::Like { negated, any: false, expr, pattern, escape_char: None }
                // Under a collation that is not deterministic it fails.
                if self.no_own(&["~~", "!~~"]) && self.input.catalog.loose_collations.is_empty() =>
            {
                let text = match pattern.as_ref() {
                    Expr::Value(v) => match &v.value {
                        Value::SingleQuotedString(text) if !text.contains('\\') => text,
                        _ => return None,
                    },
                    _ => return None,
                };
                let pattern = Expr::Value(Value::SingleQuotedString(text.clone()).into());
                Expr::Like {
                    negated: *negated,
                    any: false,
                    expr: Box::new(self.column(expr)?),
                    pattern: Box::new(pattern),
                    escape_char: None,
                }
            }
            _ => return None,
        };
        Some(copied.to_string())
    }

    fn built_in(&self, op: &BinaryOperator) -> bool {
        let name = match op {
            BinaryOperator::Eq => "=",
            BinaryOperator::NotEq => "<>",
            BinaryOperator::Lt => "<",
            BinaryOperator::LtEq => "<=",
            BinaryOperator::Gt => ">",
            BinaryOperator::GtEq => ">=",
            _ => return false,
        };
        self.no_own(&[name])
    }

    /// True when nobody defined an operator of these names for built-in types.
    fn no_own(&self, names: &[&str]) -> bool {
        !names.iter().any(|n| self.input.catalog.own_code.redefines(n))
    }

    /// The same column over our alias: unmasked, of a built-in type.
    fn column(&self, expr: &Expr) -> Option<Expr> {
        let (item, name) = self.block.column(expr)?;
        let ty = self.input.catalog.acts_as(self.o.relation.column(&name)?)?;
        (item == self.i && self.o.clear(&name) && compares(ty)).then(|| {
            Expr::CompoundIdentifier(vec![Ident::with_quote('"', &self.alias), Ident::with_quote('"', name)])
        })
    }

    /// An array whose type is left to what it stands beside, which is the same for a copy, or given with it.
    fn array(&self, expr: &Expr) -> Option<Expr> {
        let untyped = |e: &Expr| match e {
            Expr::Value(v) => matches!(&v.value, Value::SingleQuotedString(_) | Value::Placeholder(_)),
            _ => false,
        };
        match expr {
            Expr::Nested(inner) => self.array(inner),
            Expr::Array(array) => array.elem.iter().all(|e| self.constant(e).is_some()).then(|| expr.clone()),
            Expr::Cast {
                expr: inner,
                data_type: DataType::Array(_),
                kind: CastKind::DoubleColon | CastKind::Cast,
                format: None,
            } => {
                let inner_array = matches!(inner.as_ref(), Expr::Array(_)) && self.array(inner).is_some();
                ((untyped(inner) && self.constant(inner).is_some()) || inner_array).then(|| expr.clone())
            }
            _ if untyped(expr) => self.constant(expr),
            _ => None,
        }
    }

    /// A constant, or a parameter that stands nowhere else: a copy must not change what type the
    /// server gives it.
    fn constant(&self, expr: &Expr) -> Option<Expr> {
        let simple = match expr {
            Expr::Nested(inner) => return self.constant(inner),
            Expr::Value(v) => match &v.value {
                Value::Number(_, false) | Value::Boolean(_) => true,
                Value::SingleQuotedString(text) => !text.contains('\\'),
                Value::Placeholder(name) => {
                    let n: u16 = name.strip_prefix('$')?.parse().ok()?;
                    self.params.get(&n) == Some(&1)
                }
                _ => false,
            },
            Expr::UnaryOp { op: UnaryOperator::Minus, expr } => {
                matches!(expr.as_ref(), Expr::Value(v) if matches!(&v.value, Value::Number(_, false)))
            }
            _ => false,
        };
        simple.then(|| expr.clone())
    }
}
