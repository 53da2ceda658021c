//! Whether a text means the same whenever the server reads it. A string constant becomes a value when the text is
//! analysed, not when it is run: `'now'` by the clock, `'02/03/2024'` by DateStyle, others by TimeZone, IntervalStyle,
//! `array_nulls`, `xmloption`, `lc_monetary`. A client that sends a text twice has it read twice; one that is kept
//! prepared is read once, and may stand for it only when nothing of the kind is in it. Keeping is what makes simple
//! queries cheap (planning a guarded lookup takes several times as long as running it), so it is worth knowing which
//! constants are harmless. When in doubt they are not, and the text is read anew: nothing is lost then but time.
//!
//! PostgreSQL's own tree of what is sent is looked at, with what the guard put there. Parameters are no matter here:
//! they become values at each Bind. Names are none either: the server reads a prepared statement anew when the search
//! path or what it names changes.

mod class;
mod columns;
#[cfg(test)]
mod tests;
mod values;

use std::collections::HashMap;

use pg_query::protobuf::{AExprKind, SetOperation};

use self::class::{Class, argument};
use super::parse::{deep, parse_ours};
use super::tree::{Node, Tree};
use crate::catalog::{Catalog, Namespace};

/// Longest text worth looking at, bytes; longer ones are decided anew each time, too.
const LONGEST: usize = 64 * 1024;

/// True when `text` means the same whenever it is read under this catalog and namespace.
pub(crate) fn read_alike(text: &str, catalog: &Catalog, namespace: &Namespace) -> bool {
    text.len() <= LONGEST
        && deep(|| {
            let Ok(parsed) = parse_ours(text) else { return false };
            let [statement] = parsed.statements.as_slice() else { return false };
            let mut reader = Reader { catalog, namespace, columns: HashMap::new(), xml: false };
            reader.look(&statement.root);
            reader.node(&statement.root, Class::Open)
        })
}

struct Reader<'a> {
    catalog: &'a Catalog,
    namespace: &'a Namespace,
    /// Every name that a column of the statement can have. Of what has no name here anything may be.
    columns: HashMap<String, Class>,
    /// Something in it is or may be `xml`, of which `xmloption` decides what a document is.
    xml: bool,
}

impl Reader<'_> {
    fn is_builtin(&self, name: &[&str]) -> bool {
        match name {
            [name] => {
                self.catalog.functions.get(*name).into_iter().flatten().all(|f| f.schema == "pg_catalog")
            }
            [schema, _] => *schema == "pg_catalog",
            _ => false,
        }
    }

    fn is_builtin_operator(&self, name: &[&str]) -> bool {
        match name {
            [op] => !self.catalog.foreign_operators.contains(*op),
            [schema, _] => *schema == "pg_catalog",
            _ => false,
        }
    }

    /// True when every constant in the node is the same value whenever it is read; one that stands directly in its
    /// place becomes a value of `place`.
    fn node(&self, node: &Node, place: Class) -> bool {
        match node.kind {
            "AConst" => {
                node.node("val").is_none_or(|v| v.kind != "String" || place.holds(v.str("sval"), self.xml))
            }
            "TypeCast" => {
                let to = self.class_of_type(node.node("type_name"));
                self.fields(node, |field| if field == "arg" { to } else { Class::Open }, true)
            }
            "AArrayExpr" => {
                let of_elements = self.unified(node.nodes("elements").collect());
                self.fields(node, |_| of_elements, false)
            }
            "CollateClause" => self.fields(node, |_| Class::Fixed, false),
            "CoalesceExpr" | "MinMaxExpr" => {
                let all = self.unified(node.nodes("args").collect());
                self.fields(node, |_| all, false)
            }
            "CaseExpr" => {
                let all = self.unified(results(node));
                let tested = node.node("arg").and_then(|a| self.class_of(a)).unwrap_or(Class::Open);
                let when = |when: &Node| {
                    self.fields(when, |field| if field == "result" { all } else { tested }, false)
                };
                node.nodes("args").all(when)
                    && node.node("defresult").is_none_or(|n| self.node(n, all))
                    && node.node("arg").is_none_or(|n| self.node(n, Class::Open))
            }
            "FuncCall" => {
                let name = node.names("funcname");
                let last = name.last().copied().filter(|_| self.is_builtin(&name)).unwrap_or_default();
                node.nodes("args").enumerate().all(|(i, arg)| self.node(arg, argument(last, i)))
                    && node
                        .fields
                        .iter()
                        .filter(|(f, _)| *f != "args")
                        .all(|(_, v)| self.value(v, Class::Open))
            }
            "AExpr" => self.operator(node),
            "UpdateStmt" | "OnConflictClause" | "MergeWhenClause" => {
                node.fields.iter().all(|(field, value)| match value {
                    Tree::List(targets) if *field == "target_list" => {
                        targets.iter().filter_map(Tree::as_node).all(|target| self.assignment(target))
                    }
                    value => self.value(value, Class::Open),
                })
            }
            "SelectStmt" => self.query(node, true),
            "InsertStmt" => node.fields.iter().all(|(field, value)| match value {
                // A constant there becomes a value of the column.
                Tree::Node(query) if *field == "select_stmt" => self.query(query, false),
                value => self.value(value, Class::Open),
            }),
            _ => self.fields(node, |_| Class::Open, false),
        }
    }

    /// What a column is set to.
    fn assignment(&self, target: &Node) -> bool {
        let column = self.columns.get(target.str("name")).filter(|_| !target.has("indirection"));
        let class = column.copied().unwrap_or(Class::Open);
        self.fields(target, |field| if field == "val" { class } else { Class::Open }, false)
    }

    /// `texts`: constants in its list are texts, since nothing else takes them.
    fn query(&self, node: &Node, texts: bool) -> bool {
        let plain = node.int("op") <= SetOperation::SetopNone as i64;
        node.fields.iter().all(|(field, value)| match (*field, value) {
            ("larg" | "rarg", Tree::Node(arm)) => self.query(arm, false),
            ("target_list", Tree::List(targets)) if plain && texts => {
                targets.iter().filter_map(Tree::as_node).all(|target| {
                    self.fields(target, |f| if f == "val" { Class::Fixed } else { Class::Open }, false)
                })
            }
            _ => self.value(value, Class::Open),
        })
    }

    fn operator(&self, node: &Node) -> bool {
        let name = node.names("name");
        let last = name.last().copied().unwrap_or_default();
        let (left, right) = (node.node("lexpr"), node.node("rexpr"));
        let is_null = |n: Option<&Node>| n.is_some_and(|n| n.kind == "AConst" && n.flag("isnull"));
        // `transform_null_equals`
        let operator = kind_of(node) == Some(AExprKind::AexprOp);
        if operator && name.as_slice() == ["="] && (is_null(left) || is_null(right)) {
            return false;
        }
        let class = |n: Option<&Node>| n.map_or(Some(Class::Open), |n| self.class_of(n));
        let beside = |n: Option<&Node>| class(n).unwrap_or(Class::Fixed);
        let both = |c| (c, c);
        let same = |n| match beside(n) {
            kept @ (Class::Fixed | Class::Array) => kept,
            _ => Class::Open,
        };
        let like = matches!(
            kind_of(node),
            Some(AExprKind::AexprLike | AExprKind::AexprIlike | AExprKind::AexprSimilar)
        );
        // A type's own comparison goes before those of other types (`binary_oper_exact`, parse_oper.c).
        let known = |n| class(n).is_some_and(|c| c != Class::Open);
        let own = (like || is_comparison(last)) && name.len() == 1 && (known(left) || known(right));
        let (of_left, of_right) = match kind_of(node) {
            _ if !own && !self.is_builtin_operator(&name) => both(Class::Open),
            _ if like => both(Class::Fixed),
            Some(AExprKind::AexprDistinct | AExprKind::AexprNotDistinct | AExprKind::AexprNullif) => {
                (beside(right), beside(left))
            }
            Some(AExprKind::AexprOp) => match last {
                op if is_comparison(op) => (beside(right), beside(left)),
                // Of texts and of figures, which are fixed, too.
                "~" | "~*" | "!~" | "!~*" => both(Class::Fixed),
                "->" | "->>" | "?" => (Class::Open, Class::Fixed),
                "?|" | "?&" | "#>" | "#>>" | "#-" => (Class::Open, Class::Array),
                "@>" | "<@" | "&&" | "||" => (same(right), same(left)),
                "+" | "-" | "*" | "/" | "%" => {
                    let number = |n| if class(n) == Some(Class::Fixed) { Class::Fixed } else { Class::Open };
                    (number(right), number(left))
                }
                _ => both(Class::Open),
            },
            Some(AExprKind::AexprOpAny | AExprKind::AexprOpAll) if is_comparison(last) => {
                let of_left = if class(right) == Some(Class::Array) { Class::Fixed } else { Class::Open };
                let of_right = if class(left) == Some(Class::Fixed) { Class::Array } else { Class::Open };
                (of_left, of_right)
            }
            Some(
                AExprKind::AexprIn
                | AExprKind::AexprBetween
                | AExprKind::AexprNotBetween
                | AExprKind::AexprBetweenSym
                | AExprKind::AexprNotBetweenSym,
            ) => {
                // Of one type, all of them, or compared one by one.
                let items = right.into_iter().flat_map(|r| r.nodes("items"));
                both(self.unified(left.into_iter().chain(items).collect()))
            }
            _ => both(Class::Open),
        };
        let items = |n: &Node, class| match n.kind {
            "List" => self.fields(n, |_| class, false),
            _ => self.node(n, class),
        };
        left.is_none_or(|n| self.node(n, of_left)) && right.is_none_or(|n| items(n, of_right))
    }

    /// As [`Self::node`], for the children of one. `cast`: elements of an array in it are converted one by one.
    fn fields(&self, node: &Node, place: impl Fn(&str) -> Class, cast: bool) -> bool {
        node.fields.iter().all(|(field, value)| match (place(field), value) {
            (to, Tree::Node(array)) if cast && array.kind == "AArrayExpr" => self.elements(array, to),
            (place, value) => self.value(value, place),
        })
    }

    /// The elements of an array that is cast to a type of class `to`.
    fn elements(&self, array: &Node, to: Class) -> bool {
        let of_each = if to == Class::Array { Class::Fixed } else { Class::Open };
        array.nodes("elements").all(|element| match element.kind {
            "AArrayExpr" => self.elements(element, to),
            _ => self.node(element, of_each),
        })
    }

    fn value(&self, value: &Tree, place: Class) -> bool {
        match value {
            Tree::Node(node) => self.node(node, place),
            Tree::List(items) => items.iter().all(|item| self.value(item, place)),
            Tree::Null | Tree::Int(_) | Tree::Float(_) | Tree::Str(_) => true,
        }
    }
}

fn kind_of(node: &Node) -> Option<AExprKind> {
    AExprKind::try_from(i32::try_from(node.int("kind")).ok()?).ok()
}

fn is_comparison(op: &str) -> bool {
    matches!(op, "=" | "<>" | "!=" | "<" | ">" | "<=" | ">=")
}

/// What a CASE can result in.
fn results(case: &Node) -> Vec<&Node> {
    case.nodes("args").filter_map(|when| when.node("result")).chain(case.node("defresult")).collect()
}
