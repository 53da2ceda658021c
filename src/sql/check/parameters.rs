//! What type a bare parameter may have: beside a column the server gives it the column's, unless the client or another
//! place of the statement says otherwise, and then one of the two is converted, on every row. Of `bigint` not every
//! value is an `oid`, of `numeric` not every one a `double precision`.

use std::collections::HashMap;

use super::Checker;
use super::declared::{Known, ParameterSource, ParameterType, known};
use super::total::{converts, converts_from};
use super::types::{Ty, of_type_name};
use crate::sql::resolve::{Context, Resolution, resolve_name};
use crate::sql::tree::Node;

/// What is known of a statement's parameters.
#[derive(Debug, Clone, Default)]
pub(super) struct Parameters {
    /// They stand for constants of a text: whole numbers and texts.
    constants: bool,
    /// One stands in several places, and something in the statement can make it an `oid`.
    oid: bool,
    types: HashMap<i64, Known>,
}

impl Parameters {
    /// Of a statement, with what the client declared.
    pub(super) fn of(root: &Node, context: &Context<'_>, source: ParameterSource<'_>) -> Self {
        let (constants, declared) = match source {
            ParameterSource::Constants => (true, &[][..]),
            ParameterSource::Client(declared) => (false, declared),
        };
        let mut places = HashMap::new();
        let mut oid = false;
        look(root, context, &mut places, &mut oid);
        let types = if places.is_empty() { HashMap::new() } else { known(root, context, declared) };
        Self { constants, oid: oid && places.values().any(|n| *n > 1), types }
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

impl Checker<'_> {
    /// The type that a parameter is cast to, where the cast cannot fail: in a generic plan it is computed on every row.
    pub(super) fn parameter_cast(&self, parameter: &Node, name: &Node) -> Option<Ty> {
        let catalog = self.cx.context.catalog;
        let to = Some(of_type_name(name, catalog)).filter(|ty| *ty != Ty::Unknown)?;
        self.parameter_is(parameter, name).then_some(to)
    }

    /// True when a cast to the type of this name finds a parameter that is of it, or fits there.
    pub(super) fn parameter_is(&self, parameter: &Node, name: &Node) -> bool {
        let context = &self.cx.context;
        // What it is not the first to say, is cut to length: a number may be too large, texts are cut.
        let cut = name.has("typmods") && of_type_name(name, context.catalog) != Ty::Text;
        let own = &context.catalog.own_code.converts;
        match self.parameters.types.get(&parameter.int("number")) {
            Some(Known::Cast(first)) => !cut && **first == *name,
            Some(Known::Is(ty)) => {
                let to = ParameterType::of_name(name, context);
                !cut && to.is_some_and(|to| ty.fits(to) && (*ty == to || !converts(own, ty.ty(), to.ty())))
            }
            Some(Known::Placed | Known::Unclear) | None => false,
        }
    }

    /// True when one of these operands, each with its type, is a bare parameter, or made of such, whose type another one
    /// of them may be converted to and not fit.
    pub(super) fn converted_to_parameter<'n>(
        &self,
        operands: impl Iterator<Item = &'n Node>,
        types: &[Ty],
    ) -> bool {
        self.has_parameter(operands, types) && types.iter().any(|ty| self.may_not_fit(*ty))
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
        self.has_parameter(operands, types) && !types.iter().all(fits)
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
        let any = number && !self.parameters.constants && operands.zip(types).any(|(n, ty)| is_made(n, *ty));
        if any { Ty::Given } else { ty }
    }

    /// True when a value of this type can stand for a condition by a cast of the database's own.
    pub(super) fn becomes_a_condition(&self, ty: Ty) -> bool {
        let own = &self.cx.context.catalog.own_code.implicit;
        match ty {
            Ty::Bool | Ty::Unknown => false,
            // Of a parameter it depends on what was declared.
            Ty::Literal => own.iter().any(|(_, to)| *to == 16),
            ty => converts(own, ty, Ty::Bool),
        }
    }

    /// True when one of the operands, each with its type, is a bare parameter, or made of such, and it is not known to
    /// go with all of them.
    fn has_parameter<'n>(&self, operands: impl Iterator<Item = &'n Node>, types: &[Ty]) -> bool {
        operands.zip(types).any(|(n, ty)| is_made(n, *ty) && !self.goes_with(n, types))
    }

    /// True for a parameter that has, or gets, a type which goes with all of these.
    fn goes_with(&self, node: &Node, types: &[Ty]) -> bool {
        if node.kind != "ParamRef" || !self.cx.context.catalog.own_code.implicit.is_empty() {
            return false;
        }
        match self.parameters.types.get(&node.int("number")) {
            Some(Known::Placed) => !types.contains(&Ty::Other("oid")),
            Some(Known::Is(known)) => types.iter().all(|ty| known.goes_beside(*ty)),
            Some(Known::Cast(_) | Known::Unclear) | None => false,
        }
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

/// True for a bare parameter, and for what is made of such, which has this type.
fn is_made(node: &Node, ty: Ty) -> bool {
    ty == Ty::Given || (ty == Ty::Literal && node.kind != "AConst")
}
