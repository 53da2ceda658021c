//! Masked columns of a relation that stands without its masked form: the target of a write, or a table whose rows are
//! locked. They must not be read by name, star or whole row, wherever that relation can be seen.
//!
//! What can be seen is decided by names alone. `q.name` is of the item called `q` and of nothing else
//! (transformColumnRef): a column of it or, where it has none of that name, a function of the whole row. A star is of the
//! block that it stands in, or of its qualifier. With another name than the relation's neither reads it, whatever columns
//! the items have. A bare name can be a column of any block around it: it counts as read.

use pg_query::protobuf::CmdType;

use super::merge::command;
use super::{CheckContext, Checker, Demand, Outcome, fail};
use crate::sql::tree::{Node, Tree};

/// What a qualified name is before it is a function of the row.
const SYSTEM_COLUMNS: [&str; 6] = ["ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"];

/// Such a relation, as it can be named.
pub(super) struct Bare {
    alias: String,
    masked: Vec<String>,
    /// Its other columns.
    clear: Vec<String>,
}

/// Where a part of the statement stands.
#[derive(Clone, Copy)]
struct At {
    /// In a query of its own, whose FROM the relation is not in.
    nested: bool,
    /// In RETURNING, where `old` and `new` name the target as well (PostgreSQL 18).
    returning: bool,
}

impl Bare {
    /// What `demand` masks of its relation under `alias`.
    pub(super) fn of(demand: Option<&Demand<'_>>, alias: &str, cx: &CheckContext<'_>) -> Self {
        let masked = demand.iter().flat_map(|d| &d.masks.own).map(|(c, _)| (*c).to_owned()).collect();
        let relation = demand.and_then(|d| Some((d, cx.context.catalog.relation(d.oid)?)));
        let columns = relation.iter().flat_map(|(d, r)| r.columns.iter().filter(|c| d.masks.clear(&c.name)));
        let clear = columns.map(|c| c.name.clone()).collect();
        Self { alias: alias.to_owned(), masked, clear }
    }

    /// True when `name` is the relation, or can be.
    fn is_named(&self, name: &str, at: At) -> bool {
        name == self.alias || (at.returning && matches!(name, "old" | "new"))
    }

    /// True when a bare `name` can be a masked column, or the whole row.
    fn can_be_read(&self, name: &str, at: At) -> bool {
        self.is_named(name, at) || self.masked.iter().any(|m| m == name)
    }

    /// True when `name` of the relation is certainly a column that is not masked.
    fn is_clear(&self, name: &str) -> bool {
        self.clear.iter().any(|c| c == name) || SYSTEM_COLUMNS.contains(&name)
    }
}

/// The parts of a statement in which its target, or what its FROM names, is not seen: WITH is read before anything is
/// named (transformWithClause), and FROM and USING of UPDATE and DELETE cannot name the target (p_lateral_ok).
fn is_before(root: &Node, field: &str) -> bool {
    match root.kind {
        "SelectStmt" => field == "with_clause",
        "UpdateStmt" => matches!(field, "with_clause" | "from_clause"),
        "DeleteStmt" => matches!(field, "with_clause" | "using_clause"),
        _ => false,
    }
}

/// The columns of rows that are there of which a write assigns an element or a field: what it leaves of the value is
/// read, and whether that has such an element tells of it by an error (transformAssignmentIndirection). An INSERT begins
/// with NULL.
fn changed_in_part(root: &Node) -> impl Iterator<Item = &str> {
    let changes = match root.kind {
        "UpdateStmt" | "OnConflictClause" => true,
        "MergeWhenClause" => command(root) != Some(CmdType::CmdInsert),
        _ => false,
    };
    let targets = root.nodes("target_list").filter(move |t| changes && !t.list("indirection").is_empty());
    targets.map(|t| t.str("name"))
}

impl Checker<'_> {
    /// Fails when a masked column of `bare` can be read in `root`: its statement, or a clause of that. Last, when the
    /// masked forms of other occurrences are exempt.
    pub(super) fn reads_unmasked(&self, root: &Node, bare: &Bare) -> Outcome {
        if bare.masked.is_empty() {
            return Ok(());
        }
        if changed_in_part(root).any(|column| bare.masked.iter().any(|m| m == column)) {
            return fail(format!("an element or field of a masked column of \"{}\" is assigned", bare.alias));
        }
        let at = At { nested: false, returning: root.kind == "ReturningClause" };
        if matches!(root.kind, "SelectStmt" | "UpdateStmt" | "DeleteStmt") {
            let seen = root.fields.iter().filter(|(field, _)| !is_before(root, field));
            return self.fields_read(seen, bare, at);
        }
        self.reads(root, bare, at)
    }

    fn reads(&self, node: &Node, bare: &Bare, at: At) -> Outcome {
        if self.is_exempt(node) {
            return Ok(());
        }
        let mut at = at;
        match node.kind {
            "SelectStmt" => at.nested = true,
            "ColumnRef" => return self.reference(node, bare, at),
            "AStar" => return fail("a star reads masked columns of the target"),
            "AIndirection" if node.names("indirection").last().is_some_and(|n| bare.can_be_read(n, at)) => {
                return fail(format!("masked column or row of \"{}\" is read", bare.alias));
            }
            "JoinExpr" if !at.nested => {
                let using = node.names("using_clause");
                if node.flag("is_natural") || using.into_iter().any(|n| bare.can_be_read(n, at)) {
                    return fail("a join reads masked columns of the target");
                }
            }
            // The row that is met tells whose masked value the proposed one is.
            "IndexElem" if bare.can_be_read(node.str("name"), at) => {
                return fail("ON CONFLICT compares a masked column of the target");
            }
            "InferClause" if node.has("conname") => {
                return fail("ON CONFLICT ON CONSTRAINT of a table with masked columns");
            }
            _ => {}
        }
        self.fields_read(node.fields.iter(), bare, at)
    }

    fn fields_read<'n>(
        &self,
        fields: impl Iterator<Item = &'n (&'static str, Tree)>,
        bare: &Bare,
        at: At,
    ) -> Outcome {
        for (field, value) in fields {
            self.value_reads(
                value,
                bare,
                At { returning: at.returning || *field == "returning_clause", ..at },
            )?;
        }
        Ok(())
    }

    fn value_reads(&self, value: &Tree, bare: &Bare, at: At) -> Outcome {
        match value {
            Tree::Node(n) => self.reads(n, bare, at),
            Tree::List(items) => items.iter().try_for_each(|i| self.value_reads(i, bare, at)),
            Tree::Null | Tree::Int(_) | Tree::Float(_) | Tree::Str(_) => Ok(()),
        }
    }

    /// A name, or a star with what qualifies it. What is `excluded` in ON CONFLICT is the client's own row.
    fn reference(&self, node: &Node, bare: &Bare, at: At) -> Outcome {
        let names = node.names("fields");
        let star = node.list("fields").len() > names.len();
        let reads = match (names.as_slice(), star) {
            ([], _) => !at.nested,
            ([one], false) => bare.can_be_read(one, at),
            // A schema before it is of a table without an alias, whose name is then the alias here.
            ([.., of], true) => bare.is_named(of, at),
            ([.., of, name], false) => bare.is_named(of, at) && !bare.is_clear(name),
        };
        match (reads, star) {
            (false, _) => Ok(()),
            (true, true) => fail("a star reads masked columns of the target"),
            (true, false) => fail(format!("masked column or row of \"{}\" is read", bare.alias)),
        }
    }
}
