//! The guard's parameters as constants, for utility statements (`COPY`, `DECLARE`), which take no
//! bind parameters. Plans are shared by every user of a role, so this happens per session, when the
//! text is sent; what comes out is compared, as a tree of PostgreSQL's own grammar, with the text that
//! was checked. Not here: which values, and what the guard says.

use pg_query::protobuf::Token;

use super::parse::parse_ours;
use super::tree::{Node, Tree};
use crate::catalog::quote_literal;

/// Why a text was not filled in; it must not be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LiteralError {
    /// A value holds a NUL, where the server would end the text.
    #[error("a value of the guard holds a NUL")]
    Nul,
    /// The text is no single statement, or has a parameter that is not the guard's.
    #[error("the guarded text is not understood: {0}")]
    Text(&'static str),
    /// The filled text does not say what the checked one says.
    #[error("the guarded text changes its meaning when the guard's values are put in")]
    Differs,
}

/// `checked` with its parameters replaced by string constants: `values` by number. A parameter that
/// is not among them is an error, so no parameter is left.
///
/// # Errors
/// [`LiteralError`].
pub fn fill(checked: &str, values: &[(u16, &str)]) -> Result<String, LiteralError> {
    if values.iter().any(|(_, value)| value.contains('\0')) {
        return Err(LiteralError::Nul);
    }
    let filled = substitute(checked, values)?;
    if same_but_for(&tree(checked)?, &tree(&filled)?, values) {
        Ok(filled)
    } else {
        Err(LiteralError::Differs)
    }
}

fn substitute(checked: &str, values: &[(u16, &str)]) -> Result<String, LiteralError> {
    const BAD: LiteralError = LiteralError::Text("tokens");
    let tokens = pg_query::scan_tokens(checked).map_err(|_| BAD)?;
    let mut out = String::with_capacity(checked.len() + 64);
    let mut done = 0;
    for token in tokens.iter().filter(|t| t.token == Token::Param as i32) {
        let (start, end) = match (usize::try_from(token.start), usize::try_from(token.end)) {
            (Ok(start), Ok(end)) => (start, end),
            _ => return Err(BAD),
        };
        let number: u16 =
            checked.get(start..end).and_then(|t| t.strip_prefix('$')?.parse().ok()).ok_or(BAD)?;
        let (_, value) = values
            .iter()
            .find(|(n, _)| *n == number)
            .ok_or(LiteralError::Text("a parameter that is not the guard's"))?;
        out.push_str(checked.get(done..start).ok_or(BAD)?);
        // Blanks: an `E` or another constant before it would become a part of it.
        out.push(' ');
        out.push_str(&quote_literal(value));
        out.push(' ');
        done = end;
    }
    out.push_str(checked.get(done..).ok_or(BAD)?);
    Ok(out)
}

fn tree(text: &str) -> Result<Node, LiteralError> {
    let parsed = parse_ours(text).map_err(|_| LiteralError::Text("it does not parse"))?;
    match <[_; 1]>::try_from(parsed.statements) {
        Ok([one]) => Ok(one.root),
        Err(_) => Err(LiteralError::Text("it is not one statement")),
    }
}

/// True when `filled` is `checked` but for the parameters, each of which is the constant it stands for.
fn same_but_for(checked: &Node, filled: &Node, values: &[(u16, &str)]) -> bool {
    if checked.kind == "ParamRef" {
        let number = checked.int("number");
        return values
            .iter()
            .find(|(n, _)| i64::from(*n) == number)
            .is_some_and(|(_, value)| is_constant(filled, value));
    }
    checked.kind == filled.kind
        && checked.fields.len() == filled.fields.len()
        && checked
            .fields
            .iter()
            .zip(&filled.fields)
            .all(|((a, was), (b, is))| a == b && same_value(was, is, values))
}

fn same_value(was: &Tree, is: &Tree, values: &[(u16, &str)]) -> bool {
    match (was, is) {
        (Tree::Node(was), Tree::Node(is)) => same_but_for(was, is, values),
        (Tree::List(was), Tree::List(is)) => {
            was.len() == is.len() && was.iter().zip(is).all(|(a, b)| same_value(a, b, values))
        }
        (was, is) => was == is,
    }
}

/// True for a string constant of exactly this value.
pub(super) fn is_constant(node: &Node, value: &str) -> bool {
    let plain = |n: &Node, fields: usize| n.fields.len() == fields;
    node.kind == "AConst"
        && node.node("val").is_some_and(|val| {
            val.kind == "String" && val.str("sval") == value && plain(val, usize::from(!value.is_empty()))
        })
        && plain(node, 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CHECKED: &str = "COPY (SELECT \"a$1\", '$1', $q$ $2 $q$ FROM t WHERE k OPERATOR(pg_catalog.=) ANY (SELECT p \
         FROM a WHERE u = $1::pg_catalog.text UNION ALL SELECT pg_catalog.unnest($2::pg_catalog.int8[])) \
         AND u<>$1) TO STDOUT (DELIMITER '$')";

    #[test]
    fn only_parameters_are_replaced() {
        let filled = fill(CHECKED, &[(1, "o'b\\"), (2, "{1,2}")]).unwrap();
        assert_eq!(filled.matches("E'o''b\\\\'").count(), 2);
        assert_eq!(filled.matches("'{1,2}'").count(), 1);
        assert!(filled.contains("\"a$1\", '$1', $q$ $2 $q$") && filled.contains("(DELIMITER '$')"));
    }

    #[test]
    fn what_is_not_the_guards_is_an_error() {
        assert_eq!(
            fill(CHECKED, &[(1, "x")]),
            Err(LiteralError::Text("a parameter that is not the guard's"))
        );
        assert_eq!(fill(CHECKED, &[(1, "x\0"), (2, "{}")]), Err(LiteralError::Nul));
        assert!(fill("SELECT 1; SELECT $1", &[(1, "x")]).is_err());
        assert!(fill("SELECT", &[]).is_ok());
    }

    #[test]
    fn a_text_with_another_meaning_does_not_compare() {
        let values = [(1, "amy")];
        let checked = tree("SELECT 1 WHERE u = $1::text").unwrap();
        for other in [
            "SELECT 1 WHERE u = 'bob'::text",
            "SELECT 1 WHERE u = $1::text",
            "SELECT 1 WHERE u = 'amy'",
            "SELECT 1 WHERE u = 'amy'::name",
            "SELECT 1 WHERE u = 'amy'::text OR true",
            "SELECT 2 WHERE u = 'amy'::text",
            "SELECT 1 WHERE u = b'1'::text",
            "SELECT 1 WHERE u = NULL::text",
        ] {
            assert!(!same_but_for(&checked, &tree(other).unwrap(), &values), "{other}");
        }
        assert!(same_but_for(&checked, &tree("SELECT 1 WHERE u = 'amy'::text").unwrap(), &values));
    }

    proptest! {
        // Property: whatever a principal is called, the text says what it said, with that name.
        #[test]
        fn any_value_stays_a_value(name in "[^\0]{0,12}", set in "[^\0]{0,12}") {
            let filled = fill(CHECKED, &[(1, &name), (2, &set)]).unwrap();
            prop_assert!(same_but_for(&tree(CHECKED).unwrap(), &tree(&filled).unwrap(), &[(1, &name), (2, &set)]));
        }

        #[test]
        fn quotes_and_backslashes(name in "[-'\\\\$E/*; ]{0,12}") {
            let filled = fill(CHECKED, &[(1, &name), (2, "{}")]);
            prop_assert!(filled.is_ok());
        }
    }
}
