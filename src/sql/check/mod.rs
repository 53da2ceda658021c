//! The trusted half of the two-parser rule: is every protected occurrence in a rewritten text
//! guarded as the policy demands, and is there nothing else in it that the role may not run?
//!
//! It reads libpg_query's tree of the text that is about to be sent, and the policy. It knows
//! nothing of the rewriter and trusts nothing from it. What it does not understand fails.

mod block;
mod calls;
mod cells;
mod cohorts;
mod collate;
mod declared;
mod dml;
#[cfg(test)]
mod exempt_tests;
mod expected;
mod merge;
mod moments;
mod names;
mod naming;
mod offered;
mod opaque;
mod ordinary;
mod overlap;
mod parameters;
mod placement;
mod rows;
mod safe;
#[cfg(test)]
mod tests;
mod total;
mod types;
mod unmasked;

use std::collections::{HashMap, HashSet};

use self::collate::Collations;
pub use self::declared::{ParameterSource, ParameterType};
use self::parameters::Parameters;
pub(crate) use self::parameters::{is_oid_name, is_oid_type};
use crate::catalog::Oid;
use crate::policy::{Access, GuardParams, TableMasks};
use crate::sql::StatementKind;
use crate::sql::parse::parse_ours;
use crate::sql::resolve::{
    Context, ProtectedOccurrence, Resolution, Usage, actions_refusal, check_guarded, check_mentions,
    has_protected_child, own_code_refusal, resolve_name, survey_of_part,
};
use crate::sql::tree::{Node, Tree};

/// What the check depends on besides the text.
#[derive(Debug, Clone, Copy)]
pub struct CheckContext<'a> {
    /// Role, policy, catalog, namespace.
    pub context: Context<'a>,
    /// The parameters the guards must read; `grants` is present in the variant of an active
    /// break-glass session only.
    pub params: GuardParams,
    /// What the client's parameters are.
    pub source: ParameterSource<'a>,
}

/// Why a rewritten text must not be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckFailure {
    /// Everything is guarded, but an expression may be evaluated on rows that the guard has not
    /// filtered yet. Plan again with a fence.
    #[error("evaluated before the filter: {0}")]
    NeedsFence(String),
    /// Its answer could rest on fewer patients than the role's `min_cell`: GLS-241.
    #[error("{0}")]
    Cell(String),
    /// Not acceptable in any way.
    #[error("{0}")]
    Failed(String),
}

/// Checks a rewritten text.
///
/// # Errors
/// [`CheckFailure`]; the text must not be sent.
pub fn check(text: &str, context: &CheckContext<'_>) -> Result<(), CheckFailure> {
    let parsed = parse_ours(text).map_err(|e| CheckFailure::Failed(e.to_string()))?;
    let [statement] = parsed.statements.as_slice() else {
        return fail(format!("{} statements instead of one", parsed.statements.len()));
    };
    let Some(kind) = statement.kind() else {
        return fail(format!("{} cannot carry a guard", statement.root.kind));
    };
    let mut checker = Checker {
        cx: *context,
        guards: HashMap::new(),
        exempt: HashSet::new(),
        guarded: 0,
        cells: 0,
        choosers: HashMap::new(),
        masked: false,
        fence: None,
        unsafe_met: 0,
        collations: Collations::of(&statement.root, &context.context),
        parameters: Parameters::of(&statement.root, &context.context, context.source),
        estimated: None,
        writes_twice: writes(&statement.root) > 1,
    };
    if kind != StatementKind::Select && context.context.role.masking.min_cell.is_some() {
        return Err(CheckFailure::Cell("it writes, or names single rows".to_owned()));
    }
    match kind {
        StatementKind::Merge => checker.merge(&statement.root)?,
        _ => checker.statement(&statement.root, &block::Env::default(), block::Place::Top).map(drop)?,
    }
    let hides = checker.remainder(&statement.root, kind)?;
    if let Some(what) = checker.estimated.take().filter(|_| hides) {
        checker.needs_fence(what);
    }
    match checker.fence {
        Some(what) => Err(CheckFailure::NeedsFence(what)),
        None => Ok(()),
    }
}

/// Writes at every level.
fn writes(node: &Node) -> usize {
    let own = matches!(node.kind, "InsertStmt" | "UpdateStmt" | "DeleteStmt" | "MergeStmt");
    usize::from(own) + node.children().into_iter().map(writes).sum::<usize>()
}

pub(super) type Outcome<T = ()> = Result<T, CheckFailure>;

pub(super) fn fail<T>(what: impl Into<String>) -> Outcome<T> {
    Err(CheckFailure::Failed(what.into()))
}

/// A protected relation and what the role's access to it demands.
#[derive(Debug, Clone)]
pub(super) struct Demand<'a> {
    pub(super) oid: Oid,
    pub(super) filter: bool,
    /// Rows that the role may not see can be met in the relation before its masked form is made.
    pub(super) hides: bool,
    pub(super) masks: TableMasks<'a>,
}

pub(super) struct Checker<'a> {
    cx: CheckContext<'a>,
    /// The conjuncts of guards, by relation and alias.
    guards: HashMap<(Oid, String), Vec<Node>>,
    /// Subtrees that equal what policy generates; nothing in them is judged again.
    exempt: HashSet<*const Node>,
    /// Protected occurrences that were found guarded (or need no guard), derived tables included.
    guarded: usize,
    /// Blocks that group patients, for a role with `min_cell`.
    cells: usize,
    /// Queries of EXISTS and IN in their conditions.
    choosers: HashMap<*const Node, cohorts::Chooser>,
    /// A masked form was seen.
    masked: bool,
    /// The first reason for a fence.
    fence: Option<String>,
    /// Expressions met so far that are not safe, wherever they stand.
    unsafe_met: usize,
    /// What the collations in the statement can do.
    collations: Collations,
    parameters: Parameters,
    /// The first operator that the planner would try on statistics and that could fail.
    estimated: Option<String>,
    /// The statement writes more than once: what one write changes no condition of another one sees.
    writes_twice: bool,
}

impl<'a> Checker<'a> {
    /// What a relation name means: `None` for anything that is not protected.
    fn demand(&self, range: &Node) -> Outcome<Option<Demand<'a>>> {
        let schema = Some(range.str("schemaname")).filter(|s| !s.is_empty());
        let context = self.cx.context;
        for resolution in resolve_name(context.catalog, context.namespace, schema, range.str("relname")) {
            match resolution {
                Resolution::User(oid) => {
                    if let Access::Protected { table, filter, masks, .. } =
                        context.bound.access(context.role, oid)
                    {
                        let hides = filter || table.hides_rows();
                        return Ok(Some(Demand { oid, filter, hides, masks }));
                    }
                }
                Resolution::Unknown => {
                    return fail(format!("relation {} is not known", range.str("relname")));
                }
                Resolution::System(_) | Resolution::Temporary => {}
            }
        }
        Ok(None)
    }

    /// Exempts a subtree that equals what policy generates.
    fn exempt(&mut self, node: &Node) {
        self.exempt.insert(std::ptr::from_ref(node));
    }

    fn is_exempt(&self, node: &Node) -> bool {
        self.exempt.contains(&std::ptr::from_ref(node))
    }

    /// Asks for a fence.
    fn needs_fence(&mut self, what: impl Into<String>) {
        if self.fence.is_none() {
            self.fence = Some(what.into());
        }
    }

    /// Everything outside the exempt subtrees: node kinds, functions, relations, names. Counts
    /// protected occurrences once more, by another walk, against those found guarded.
    /// True when hidden rows can be met in one of them.
    fn remainder(&self, root: &Node, kind: StatementKind) -> Outcome<bool> {
        let mut hides = false;
        let pruned = self.prune(root);
        names::check(&pruned, true)?;
        let context = self.cx.context;
        let survey = survey_of_part(&pruned, root, context.catalog, context.namespace);
        if context.role.is_restricted()
            && let Some(refusal) = check_mentions(&survey, &context)
        {
            return fail(refusal.message);
        }
        if context.role.is_restricted()
            && let Some(refusal) = own_code_refusal(&pruned, &context)
        {
            return fail(refusal.message);
        }
        if context.role.is_restricted()
            && let Some(refusal) = actions_refusal(&pruned, &context)
        {
            return fail(refusal.message);
        }
        if survey.into || survey.current_of {
            return fail("SELECT INTO or WHERE CURRENT OF");
        }
        let mut protected = Vec::new();
        for o in &survey.occurrences {
            if o.usage == Usage::MergeTarget && kind != StatementKind::Merge {
                return fail("MERGE inside another statement");
            }
            match o.resolution {
                Resolution::Temporary
                    if context.role.is_restricted() && context.namespace.temp_views.contains(&o.name) =>
                {
                    return fail(format!("temporary view {} may read anything", o.written()));
                }
                Resolution::Temporary => {}
                Resolution::System(allowed) => {
                    if !allowed && context.role.is_restricted() {
                        return fail(format!("system relation {} is closed", o.written()));
                    }
                }
                Resolution::Unknown => return fail(format!("relation {} is not known", o.written())),
                Resolution::User(oid) => match context.bound.access(context.role, oid) {
                    Access::Free if context.role.is_restricted() && has_protected_child(oid, &context) => {
                        return fail(format!("relation {} has protected children", o.written()));
                    }
                    Access::Free => {}
                    Access::Denied(_) => return fail(format!("relation {} is closed", o.written())),
                    Access::Protected { table, filter, .. } => {
                        hides |= filter || table.hides_rows();
                        protected.push(ProtectedOccurrence { oid, alias: o.alias.clone(), usage: o.usage })
                    }
                },
            }
        }
        let found = protected.len();
        if found != self.guarded {
            return fail(format!("{found} protected occurrences, {} found guarded", self.guarded));
        }
        // Copies to tables that no rule covers, system columns, ON CONFLICT.
        if context.role.is_restricted()
            && (found > 0 || self.masked)
            && let Err(refusal) = check_guarded(&survey, &protected, Some(kind), &context)
        {
            return fail(refusal.message);
        }
        Ok(hides)
    }

    /// The tree without its exempt subtrees.
    fn prune(&self, node: &Node) -> Node {
        Node { kind: node.kind, fields: node.fields.iter().map(|(n, v)| (*n, self.prune_value(v))).collect() }
    }

    fn prune_value(&self, value: &Tree) -> Tree {
        match value {
            Tree::Node(n) if self.is_exempt(n) => Tree::Null,
            Tree::Node(n) => Tree::Node(self.prune(n)),
            Tree::List(items) => Tree::List(items.iter().map(|i| self.prune_value(i)).collect()),
            other => other.clone(),
        }
    }
}
