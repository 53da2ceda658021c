//! What enforcing would do with a statement that is only watched: the second decision, under the role that the policy
//! gives. It is made when the first one is, kept with it, and changes nothing of it. Not here: which patients it would
//! have withheld, which is known when the statement ran (`session::observed`).

use std::collections::BTreeSet;

use super::objects::Wrap;
use super::parse::Statement;
use super::planner::Context;
use super::tree::Node;
use super::{StatementKind, Verdict};
use crate::policy::{Access, Refusal};

/// What enforcing would do with a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// libpg_query's fingerprint: the same for statements that differ only in constants.
    pub fingerprint: Option<String>,
    /// The decision.
    pub decision: Would,
    /// Columns masked in every row that the statement may read, `schema.table.column`, sorted.
    pub masks: Vec<String>,
    /// Those that are masked in rows of patients outside the assignment alone.
    pub masks_outside: Vec<String>,
}

/// The decision that did not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Would {
    /// It goes through as it is.
    Pass,
    /// It is not run.
    Refuse(Refusal),
    /// It runs with guards.
    Guard {
        /// True when rows of patients outside the assignment are withheld.
        filtered: bool,
        /// A pinned patient outside is GLS-201.
        block: bool,
        /// The kind of statement.
        kind: StatementKind,
        /// How many patients it names.
        pins: usize,
        /// True when patients of a break-glass session count as assigned.
        grants: bool,
    },
}

impl Observed {
    /// A statement that would be refused.
    pub fn refused(refusal: Refusal) -> Self {
        Self {
            fingerprint: None,
            decision: Would::Refuse(refusal),
            masks: Vec::new(),
            masks_outside: Vec::new(),
        }
    }
}

/// True when both say the same of one statement with its constants and with parameters in their place, and so of the
/// statement with any others. What is refused may be so because of a constant.
pub(super) fn whatever_the_constants(with: Option<&Observed>, without: Option<&Observed>) -> bool {
    match (with, without) {
        (None, None) => true,
        (Some(with), Some(without)) => {
            !matches!(with.decision, Would::Refuse(_))
                && with.decision == without.decision
                && with.masks == without.masks
                && with.masks_outside == without.masks_outside
        }
        (Some(_), None) | (None, Some(_)) => false,
    }
}

/// Longest text that a fingerprint is made of, bytes.
const LONGEST: usize = 64 * 1024;

/// What `verdict`, made under `role`, means for a statement that is let through.
pub(super) fn of(statement: &Statement, verdict: &Verdict, context: &Context) -> Observed {
    let (mut masks, mut masks_outside) = (Vec::new(), Vec::new());
    let decision = match verdict {
        Verdict::Verbatim | Verdict::Unattributed { .. } => Would::Pass,
        Verdict::Refused(refusal) => Would::Refuse(refusal.clone()),
        Verdict::Guarded(plan) => {
            let plan = match &plan.wrap {
                Wrap::Declare(named) | Wrap::Prepare(named) => &named.inner,
                Wrap::Plain | Wrap::Fetch(_) | Wrap::Move(_) | Wrap::Execute(_) | Wrap::Commit => plan,
            };
            (masks, masks_outside) = masked_columns(&statement.root, &plan.footprint.relations, context);
            Would::Guard {
                filtered: plan.filtered,
                block: plan.block,
                kind: plan.kind,
                pins: plan.pins.len(),
                grants: plan.grants_param.is_some(),
            }
        }
    };
    let text = &statement.text;
    // Tables whose names differ in a number are different tables.
    let whole_names = pg_query::FingerprintOptions::FULL_RELNAME;
    let fingerprint = (text.len() <= LONGEST).then(|| pg_query::fingerprint(text, 0, whole_names).ok());
    Observed { fingerprint: fingerprint.flatten().map(|f| f.hex), decision, masks, masks_outside }
}

/// Masked columns of the relations read whose name stands in the statement, or that a `*` or a whole row can stand for.
/// A superset: a name may be another table's column.
fn masked_columns(root: &Node, relations: &[String], context: &Context) -> (Vec<String>, Vec<String>) {
    let Context { role, policy, catalog, .. } = context;
    let mut named = Named::default();
    named.collect(root);
    let (mut own, mut outside) = (BTreeSet::new(), BTreeSet::new());
    for table in policy.tables.values().filter(|t| relations.contains(&t.name.to_string())) {
        let Access::Protected { masks, .. } = policy.access(role, table.oid) else { continue };
        let columns = catalog.relation(table.oid).map(|r| r.columns.as_slice()).unwrap_or_default();
        let read = |column: &str| named.everything() || named.columns.contains(column);
        for column in columns.iter().map(|c| c.name.as_str()).filter(|c| !masks.clear(c) && read(c)) {
            let found = if masks.own(column).is_some() { &mut own } else { &mut outside };
            found.insert(format!("{}.{column}", table.name));
        }
    }
    (own.into_iter().collect(), outside.into_iter().collect())
}

/// Names in a statement.
#[derive(Default)]
struct Named<'a> {
    columns: BTreeSet<&'a str>,
    /// Of them, those without a relation before them.
    alone: BTreeSet<&'a str>,
    /// Relations and their aliases: a column reference of this name alone is a whole row.
    sources: BTreeSet<&'a str>,
    star: bool,
}

impl<'a> Named<'a> {
    fn collect(&mut self, node: &'a Node) {
        match node.kind {
            "ColumnRef" => {
                let names = node.names("fields");
                if let [name] = names.as_slice() {
                    self.alone.insert(*name);
                }
                self.columns.extend(names);
            }
            "AStar" => self.star = true,
            "RangeVar" => {
                self.sources.insert(node.str("relname"));
            }
            "Alias" => {
                self.sources.insert(node.str("aliasname"));
            }
            // COPY of a table reads its columns.
            "CopyStmt" => self.star |= node.has("relation") && !node.flag("is_from"),
            _ => {}
        }
        for child in node.children() {
            self.collect(child);
        }
    }

    fn everything(&self) -> bool {
        self.star || !self.alone.is_disjoint(&self.sources)
    }
}
