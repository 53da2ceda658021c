//! Where names with the reserved prefix may stand in a text of ours.

use super::{Outcome, fail};
use crate::policy::RESERVED_PREFIX;
use crate::sql::parse::is_reserved;
use crate::sql::tree::{Node, Tree};

/// `__glass_` + letters + digits.
fn ours(name: &str) -> bool {
    name.strip_prefix(RESERVED_PREFIX).is_some_and(|rest| {
        let letters = rest.trim_end_matches(|c: char| c.is_ascii_digit());
        !letters.is_empty() && letters.len() <= 8 && letters.bytes().all(|b| b.is_ascii_lowercase())
    })
}

/// The columns that the session strips from a reply: `k`, `s`, `c`, `m` and a number.
fn hidden_column(name: &str) -> bool {
    ours(name)
        && name.get(RESERVED_PREFIX.len()..).is_some_and(|rest| {
            matches!(rest.as_bytes(), [b'k' | b's' | b'c' | b'm', digits @ ..]
                if !digits.is_empty() && digits.iter().all(u8::is_ascii_digit))
        })
}

/// Checks every name outside the generated subtrees: reserved ones are aliases, references to
/// them, or hidden columns; at the top (`top`) only hidden columns.
pub(super) fn check(node: &Node, top: bool) -> Outcome {
    let mut top = top;
    for (field, value) in &node.fields {
        let output = matches!(*field, "target_list" | "returning_clause" | "larg" | "rarg");
        strings(node, field, value, top && output)?;
        top = top && !matches!(node.kind, "ResTarget");
    }
    Ok(())
}

fn strings(node: &Node, field: &str, value: &Tree, top: bool) -> Outcome {
    match value {
        Tree::Str(s) if is_reserved(s) => {
            let fine = match (node.kind, field) {
                ("ResTarget", "name") => ours(s),
                ("Alias", "aliasname") | ("CommonTableExpr", "ctename") | ("RangeVar", "relname") => ours(s),
                ("String", "sval") => ours(s),
                _ => false,
            };
            if fine { Ok(()) } else { fail(format!("reserved name {s} in {}.{field}", node.kind)) }
        }
        Tree::List(items) => items.iter().try_for_each(|i| strings(node, field, i, top)),
        Tree::Node(n) => {
            if n.kind == "AConst" {
                return Ok(());
            }
            if top && n.kind == "ResTarget" && is_reserved(n.str("name")) && !hidden_column(n.str("name")) {
                return fail(format!("hidden column {} is of no known kind", n.str("name")));
            }
            let called = match n.kind {
                "FuncCall" => n.names("funcname"),
                "TypeName" => n.names("names"),
                "AExpr" => n.names("name"),
                _ => Vec::new(),
            };
            if let Some(name) = called.into_iter().find(|name| is_reserved(name)) {
                return fail(format!("reserved name {name} in {}", n.kind));
            }
            check(n, top && matches!(n.kind, "SelectStmt" | "ReturningClause"))
        }
        Tree::Null | Tree::Int(_) | Tree::Float(_) | Tree::Str(_) => Ok(()),
    }
}
