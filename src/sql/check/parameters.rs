//! What type a bare parameter may have: beside a column the server gives it the column's, unless the client or another
//! place of the statement says otherwise, and then one of the two is converted, on every row. Of `bigint` not every
//! value is an `oid`, of `numeric` not every one a `double precision`.

use std::collections::HashMap;

use super::Checker;
use super::total::{converts, converts_from};
use super::types::Ty;
use crate::sql::resolve::{Context, Resolution, resolve_name};
use crate::sql::tree::Node;

/// What is known of a statement's parameters.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Parameters {
    /// They stand for constants of a text: whole numbers and texts.
    constants: bool,
    /// One stands in several places, and something in the statement can make it an `oid`.
    oid: bool,
}

impl Parameters {
    /// Of a statement.
    pub(super) fn of(root: &Node, context: &Context<'_>, constants: bool) -> Self {
        let mut places = HashMap::new();
        let mut oid = false;
        look(root, context, &mut places, &mut oid);
        Self { constants, oid: oid && places.values().any(|n| *n > 1) }
    }
}

/// True for the name of a type of object identifiers.
pub(crate) fn is_oid_name(name: &str) -> bool {
    name == "oid" || name.starts_with("reg")
}

/// True for a type of object identifiers (`pg_type.dat`), or arrays of them.
pub(crate) fn is_oid_type(oid: u32) -> bool {
    matches!(
        oid,
        24 | 26 | 2202..=2206 | 3734 | 3769 | 4089 | 4096 | 4191 | 1008 | 1028 | 2207..=2211 | 3735 | 3770 | 4090 | 4097 | 4192
    )
}

fn look(node: &Node, context: &Context<'_>, places: &mut HashMap<i64, usize>, oid: &mut bool) {
    match node.kind {
        "ParamRef" => *places.entry(node.int("number")).or_default() += 1,
        "TypeName" => {
            let last = node.names("names").last().copied().unwrap_or_default();
            *oid |= is_oid_name(last) || context.catalog.foreign_types.get(last) == Some(&'d');
        }
        "FuncCall" => {
            let given = node.nodes("args").any(|a| a.kind == "ParamRef");
            let name = node.names("funcname").last().copied().unwrap_or_default();
            let overloads = context.catalog.functions.get(name).map(Vec::as_slice).unwrap_or_default();
            // An aggregate gives the type that it takes.
            *oid |= overloads.iter().any(|f| {
                (given && f.args.iter().any(|t| is_oid_type(*t))) || (f.kind != 'a' && is_oid_type(f.result))
            });
        }
        "RangeVar" => {
            let schema = Some(node.str("schemaname")).filter(|s| !s.is_empty());
            for found in resolve_name(context.catalog, context.namespace, schema, node.str("relname")) {
                *oid |= match found {
                    Resolution::User(relation) => context
                        .catalog
                        .relation(relation)
                        .is_none_or(|r| r.columns.iter().any(|c| is_oid_type(c.type_oid))),
                    Resolution::System(_) | Resolution::Temporary => true,
                    Resolution::Unknown => false,
                };
            }
        }
        _ => {}
    }
    node.children().into_iter().for_each(|child| look(child, context, places, oid));
}

/// True when one of the operands, each with its type, is a bare parameter, or made of such.
fn has_parameter<'n>(operands: impl Iterator<Item = &'n Node>, types: &[Ty]) -> bool {
    operands.zip(types).any(|(n, ty)| *ty == Ty::Given || (*ty == Ty::Literal && n.kind != "AConst"))
}

impl Checker<'_> {
    /// True when one of these operands, each with its type, is a bare parameter, or made of such, whose type another one
    /// of them may be converted to and not fit.
    pub(super) fn converted_to_parameter<'n>(
        &self,
        operands: impl Iterator<Item = &'n Node>,
        types: &[Ty],
    ) -> bool {
        has_parameter(operands, types) && types.iter().any(|ty| self.may_not_fit(*ty))
    }

    /// The same where all are converted to one type (a list, CASE, COALESCE): of days not every one is a timestamp.
    pub(super) fn unified_with_parameter<'n>(
        &self,
        operands: impl Iterator<Item = &'n Node>,
        types: &[Ty],
    ) -> bool {
        let fits = |ty: &Ty| {
            let moment = matches!(ty, Ty::Date | Ty::Timestamp | Ty::Timestamptz);
            (!moment || self.parameters.constants) && !self.may_not_fit(*ty)
        };
        has_parameter(operands, types) && !types.iter().all(fits)
    }

    /// The type of what these operands, each with its type, are converted to: with a parameter among numbers, any type
    /// of numbers.
    pub(super) fn with_parameter<'n>(
        &self,
        operands: impl Iterator<Item = &'n Node>,
        types: &[Ty],
        ty: Ty,
    ) -> Ty {
        let number = matches!(ty, Ty::Number | Ty::Int(_) | Ty::Numeric | Ty::Decimal);
        let any = number && !self.parameters.constants && has_parameter(operands, types);
        if any { Ty::Given } else { ty }
    }

    /// True when a value of this type can stand for a condition by a cast of the database's own.
    pub(super) fn becomes_a_condition(&self, ty: Ty) -> bool {
        !matches!(ty, Ty::Bool | Ty::Unknown)
            && converts(&self.cx.context.catalog.own_code.implicit, ty, Ty::Bool)
    }

    fn may_not_fit(&self, ty: Ty) -> bool {
        match ty {
            Ty::Literal | Ty::Number | Ty::Given => return false,
            // `double precision` has no room for every numeric, and where the plan is a generic one the parameter is
            // converted on every row, too.
            Ty::Numeric | Ty::Float if !self.parameters.constants => return true,
            Ty::Other("oid") => return true,
            Ty::Int(8) if self.parameters.oid => return true,
            _ => {}
        }
        converts_from(&self.cx.context.catalog.own_code.implicit, ty)
    }
}
