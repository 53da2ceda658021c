//! Collations: comparing texts whose collations contradict each other fails for every row (42P22), and under a
//! collation that is not deterministic most functions of texts do (0A000). Which collation an expression has is not
//! followed: it is enough to know which can stand in a statement, and how many columns an operator or function reads.

use std::collections::BTreeSet;

use super::Checker;
use super::types::{Block, Ty, of_type_name};
use crate::sql::resolve::{Context, Resolution, resolve_name};
use crate::sql::tree::Node;

/// What the collations in a statement can do.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Collations {
    /// There are several beside the database's own: two columns can contradict each other.
    mixed: bool,
    /// One is not deterministic.
    pub(super) loose: bool,
}

impl Collations {
    /// Of a statement: those it names, and those of the columns of its relations.
    pub(super) fn of(root: &Node, context: &Context<'_>) -> Self {
        let mut names = BTreeSet::new();
        collect(root, context, &mut names);
        names.remove("default");
        let loose = names.iter().any(|n| context.catalog.loose_collations.contains(n));
        Self { mixed: names.len() > 1, loose }
    }
}

/// The collation of type `name`.
const OF_NAMES: &str = "C";

fn collect(node: &Node, context: &Context<'_>, out: &mut BTreeSet<String>) {
    match node.kind {
        "CollateClause" => out.extend(node.names("collname").last().map(|n| (*n).to_owned())),
        "SqlValueFunction" => out.extend([OF_NAMES.to_owned()]),
        "TypeName" if node.names("names").last() == Some(&"name") => out.extend([OF_NAMES.to_owned()]),
        "FuncCall" if node.names("funcname").last().is_some_and(|n| n.starts_with("current_")) => {
            out.extend([OF_NAMES.to_owned()]);
        }
        "RangeVar" => {
            let schema = Some(node.str("schemaname")).filter(|s| !s.is_empty());
            for found in resolve_name(context.catalog, context.namespace, schema, node.str("relname")) {
                match found {
                    Resolution::User(oid) => {
                        out.extend(context.catalog.collations.get(&oid).into_iter().flatten().cloned());
                    }
                    Resolution::System(_) => out.extend([OF_NAMES.to_owned()]),
                    // Columns of the user's own making: any collation.
                    Resolution::Temporary => out.extend(["".to_owned(), OF_NAMES.to_owned()]),
                    Resolution::Unknown => {}
                }
            }
        }
        _ => {}
    }
    node.children().into_iter().for_each(|child| collect(child, context, out));
}

impl Checker<'_> {
    /// True when texts of these operands may have collations that contradict each other: the operands read several
    /// columns, and none says its collation.
    pub(super) fn may_contradict<'n>(
        &self,
        operands: impl IntoIterator<Item = &'n Node>,
        block: &Block<'_>,
    ) -> bool {
        if !self.collations.mixed {
            return false;
        }
        let mut sources = BTreeSet::new();
        for operand in operands {
            if operand.kind == "CollateClause" {
                return false;
            }
            self.text_sources(operand, block, &mut sources);
        }
        sources.len() > 1
    }

    /// What gives an expression its collation: columns, and subqueries.
    fn text_sources(&self, node: &Node, block: &Block<'_>, out: &mut BTreeSet<String>) {
        match node.kind {
            "ColumnRef" => {
                let names = node.names("fields");
                let text = matches!(
                    block.column(&names),
                    Ty::Text | Ty::Unknown | Ty::Given | Ty::Array | Ty::Literal
                );
                if text || names.len() != node.list("fields").len() {
                    out.insert(names.join("."));
                }
            }
            // They have a collation of their own, or none.
            "BoolExpr" | "NullTest" | "BooleanTest" => {}
            "SubLink" | "SelectStmt" => {
                out.insert(format!("{:p}", std::ptr::from_ref(node)));
            }
            "TypeCast" => {
                let to = node.node("type_name").map(|t| of_type_name(t, self.cx.context.catalog));
                if matches!(to, Some(Ty::Text | Ty::Unknown | Ty::Array) | None)
                    && let Some(arg) = node.node("arg")
                {
                    self.text_sources(arg, block, out);
                }
            }
            _ => node.children().into_iter().for_each(|child| self.text_sources(child, block, out)),
        }
    }
}
