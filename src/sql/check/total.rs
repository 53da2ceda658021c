//! Types against each other: which compare, convert and go together without an error, whatever the values are. Used by
//! `safe`; nothing here looks at a tree.

use super::types::Ty;
use crate::catalog::{FIRST_NORMAL_OID, Oid, OwnOperator};

/// True when values of these types compare without an error, whatever they are.
pub(super) fn comparable(a: Ty, b: Ty) -> bool {
    use Ty::Unknown;
    use Ty::{
        Bool, Date, Decimal, Float, Given, Int, Literal, Number, Numeric, Other, Text, Timestamp, Timestamptz,
    };
    match (a, b) {
        (Unknown, _) | (_, Unknown) => false,
        // Whatever it is, these are not converted to what has no room for them (numeric to float8).
        (Given, other) | (other, Given) => {
            matches!(
                other,
                Int(_) | Number | Text | Bool | Date | Timestamp | Timestamptz | Other(_) | Literal
            )
        }
        (Literal, _) | (_, Literal) => true,
        (Int(_) | Numeric | Decimal | Number, Int(_) | Numeric | Decimal | Number) => true,
        // int to float8 is total, numeric to float8 is not; a constant is converted when planned.
        (Float, Int(_) | Float | Number) | (Int(_) | Number, Float) => true,
        (Date | Timestamp | Timestamptz, Date | Timestamp | Timestamptz) => true,
        (a, b) => a == b,
    }
}

/// True when every two of these compare without an error. Lists are long, their types few.
pub(super) fn all_comparable(types: &[Ty]) -> bool {
    let mut few: Vec<Ty> = Vec::new();
    for ty in types {
        if !few.contains(ty) {
            few.push(*ty);
        }
    }
    few.iter().all(|a| few.iter().all(|b| comparable(*a, *b)))
}

/// The common type of alternatives (CASE, COALESCE), when no conversion between them can fail.
pub(super) fn unify(types: &[Ty]) -> Option<Ty> {
    let mut all = types.iter().copied().filter(|t| !matches!(t, Ty::Literal | Ty::Number));
    let bare = || if types.contains(&Ty::Number) { Ty::Number } else { Ty::Literal };
    let Some(first) = all.next() else { return Some(bare()) };
    let numeric = matches!(first, Ty::Int(_) | Ty::Numeric | Ty::Decimal | Ty::Float | Ty::Given);
    if types.contains(&Ty::Number) && !numeric {
        return None;
    }
    all.try_fold(first, |a, b| match (a, b) {
        (Ty::Int(x), Ty::Int(y)) => Some(Ty::Int(x.max(y))),
        (Ty::Decimal, Ty::Decimal) => Some(Ty::Decimal),
        (Ty::Int(_) | Ty::Numeric | Ty::Decimal, Ty::Int(_) | Ty::Numeric | Ty::Decimal) => Some(Ty::Numeric),
        (a, b) if a == b => Some(a),
        _ => None,
    })
}

/// A cast that cannot fail.
pub(super) fn total_cast(from: Ty, to: Ty) -> bool {
    use Ty::{Bool, Date, Decimal, Enum, Float, Int, Numeric, Text, Timestamp, Timestamptz};
    match (from, to) {
        (Int(a), Int(b)) => a <= b,
        (Int(_), Numeric | Float) => true,
        (Decimal, Numeric) => true,
        (Date | Timestamp | Timestamptz, Date | Timestamp | Timestamptz) => true,
        (Text | Bool | Int(_) | Numeric | Decimal | Float | Date | Timestamp | Timestamptz | Enum, Text) => {
            true
        }
        (Ty::Other(_), Text) => true,
        (a, b) => a == b && a != Ty::Unknown && a != Ty::Array,
    }
}

/// A LIKE pattern that cannot raise "must not end with escape character".
pub(super) fn like_pattern(pattern: &str) -> bool {
    pattern.bytes().rev().take_while(|b| *b == b'\\').count() % 2 == 0
}

/// True when one of these casts, from and to, is between types of these kinds.
pub(super) fn converts(casts: &[(Oid, Oid)], from: Ty, to: Ty) -> bool {
    casts.iter().any(|(f, t)| is_of(*f, from) && is_of(*t, to))
}

/// True when one of these casts is from a type of this kind.
pub(super) fn converts_from(casts: &[(Oid, Oid)], from: Ty) -> bool {
    casts.iter().any(|(f, _)| is_of(*f, from))
}

/// True for a type (`pg_type.dat`) that is of this kind, or may be.
fn is_of(oid: Oid, ty: Ty) -> bool {
    match ty {
        Ty::Unknown | Ty::Array | Ty::Given => true,
        // They take the type of what they stand beside, or a common one.
        Ty::Literal => false,
        Ty::Number => matches!(oid, 20 | 23 | 1700),
        Ty::Int(2) => oid == 21,
        Ty::Int(4) => oid == 23,
        Ty::Int(_) => oid == 20,
        Ty::Numeric | Ty::Decimal => oid == 1700,
        Ty::Float => matches!(oid, 700 | 701),
        Ty::Text => matches!(oid, 19 | 25 | 1042 | 1043),
        Ty::Bool => oid == 16,
        Ty::Date => oid == 1082,
        Ty::Timestamp => oid == 1114,
        Ty::Timestamptz => oid == 1184,
        Ty::Enum => oid >= FIRST_NORMAL_OID,
        Ty::Jsonb => oid == 3802,
        Ty::Other(name) => {
            let known = match name {
                "time" => 1083,
                "timetz" => 1266,
                "interval" => 1186,
                "uuid" => 2950,
                "bytea" => 17,
                "inet" => 869,
                "oid" => 26,
                "char" => 18,
                "money" => 790,
                _ => return true,
            };
            oid == known
        }
    }
}

/// True when one of these operators may be meant for operands of these kinds: it takes built-in types only, and each of
/// its own is one of them, or converts to one; or it takes an enum and one of them is such, as its operator would be
/// preferred to that of `anyenum`.
pub(super) fn may_mean(operators: Option<&Vec<OwnOperator>>, operands: &[Ty]) -> bool {
    let typed = || operands.iter().filter(|ty| **ty != Ty::Literal);
    let fits = |oid: &Oid| typed().any(|ty| is_of(*oid, *ty) || is_near(*oid, *ty));
    // A constant becomes what stands beside it, or what is asked for.
    let constant = typed().count() < operands.len();
    let mut own = operators.into_iter().flatten();
    own.any(|o| {
        let builtin = o.operands().iter().all(|oid| *oid < FIRST_NORMAL_OID);
        let fit = o.operands().iter().filter(|oid| fits(oid)).count();
        (o.takes_enum && operands.contains(&Ty::Enum))
            || (builtin && (typed().count() == 0 || fit == o.operands().len() || (fit > 0 && constant)))
    })
}

/// True for a built-in type that values of this kind are converted to, or from, without a word.
fn is_near(oid: Oid, ty: Ty) -> bool {
    match ty {
        Ty::Number | Ty::Int(_) | Ty::Numeric | Ty::Decimal | Ty::Float => {
            matches!(oid, 20 | 21 | 23 | 26 | 700 | 701 | 1700)
        }
        Ty::Text => matches!(oid, 18 | 19 | 25 | 1042 | 1043),
        Ty::Date | Ty::Timestamp | Ty::Timestamptz => matches!(oid, 1082 | 1114 | 1184),
        Ty::Unknown
        | Ty::Literal
        | Ty::Given
        | Ty::Bool
        | Ty::Other(_)
        | Ty::Enum
        | Ty::Jsonb
        | Ty::Array => false,
    }
}
