//! From text to verdicts: the one place that joins parse, resolve, plan and check. It has no policy of its own. The two-parser rule is kept in [`Decider::guard`]:
//! what the rewriter printed is sent only when PostgreSQL's own grammar reads the unrewritten form
//! as the client's statement and the checker finds every guard in the rewritten one.

mod alone;
mod closed;
mod copy;
#[cfg(test)]
mod join_tests;
#[cfg(test)]
pub(super) mod tests;

use std::borrow::Cow;
use std::sync::Arc;

pub use self::alone::{is_one_statement, syntax_error, transaction_end, transaction_or_setting};
use crate::catalog::{Catalog, Namespace};
use crate::policy::{BoundPolicy, GuardParams, Refusal, Role, Variant};
use crate::sql::check::{self, CheckContext, CheckFailure, ParameterSource, ParameterType};
use crate::sql::deparse;
use crate::sql::effects::{Effects, effects, moves_names};
use crate::sql::fixed_names;
use crate::sql::locate;
use crate::sql::objects::{self, Object, Wrap};
use crate::sql::observed::{self, Observed, Would};
use crate::sql::parse::{self, Statement};
use crate::sql::plan::{self, Fence, Opaque, PlanError, PlanInput, TrustedPins};
use crate::sql::resolve::{self, Decision, ProtectedOccurrence};
use crate::sql::template::Given;
use crate::sql::tree::Node;
use crate::sql::{Footprint, GuardedPlan, StatementKind, Strategy, Verdict, cannot_guard};
use crate::sql::{is_oid_name, oid_parameter, views, words};

/// Everything a decision depends on besides the text. Sessions with equal contexts share plans.
#[derive(Debug, Clone)]
pub struct Context {
    /// The principal's role.
    pub role: Arc<Role>,
    /// The policy, bound to `catalog`.
    pub policy: Arc<BoundPolicy>,
    /// The catalog snapshot.
    pub catalog: Arc<Catalog>,
    /// The session's namespace.
    pub namespace: Arc<Namespace>,
    /// Whether active break-glass sessions widen the guard of queries.
    pub variant: Variant,
    /// The role that the policy gives, while its decisions are only watched: `role` is then what lets it through.
    pub watched: Option<Arc<Role>>,
}

impl Context {
    /// The context in which the policy's own role is decided about.
    fn enforced(&self, role: &Arc<Role>) -> Context {
        Context { role: Arc::clone(role), watched: None, ..self.clone() }
    }
}

/// One statement of a text with its verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedStatement {
    /// The client's text of this statement.
    pub text: Box<str>,
    /// What becomes of it.
    pub verdict: Verdict,
    /// What it does to the session.
    pub effects: Effects,
    /// It names a relation that the catalog snapshot does not have.
    pub unknown_relation: bool,
    /// What it does with a cursor or prepared statement of SQL, which only the session knows.
    pub object: Option<Object>,
    /// Prepared statements that are run before it in the same message: where one of them can change the meaning of
    /// names, which only the session knows, it is refused ([`behind_names`]).
    pub behind: Vec<String>,
    /// Constants of the client's text that the plan takes as its first parameters; only for simple queries.
    pub given: Vec<Given>,
    /// What enforcing would do with it, while that is only watched.
    pub observed: Option<Arc<Observed>>,
}

impl PlannedStatement {
    /// The plan, when it is guarded.
    pub fn guarded(&self) -> Option<&Arc<GuardedPlan>> {
        match &self.verdict {
            Verdict::Guarded(plan) => Some(plan),
            Verdict::Verbatim | Verdict::Unattributed { .. } | Verdict::Refused(_) => None,
        }
    }
}

/// A text with the verdicts of its statements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// In order; none for an empty query string.
    pub statements: Vec<Arc<PlannedStatement>>,
}

impl Planned {
    /// The first refusal: then nothing of the text is sent.
    pub fn refusal(&self) -> Option<Refusal> {
        self.statements.iter().find_map(|s| match &s.verdict {
            Verdict::Refused(refusal) => Some(refusal.clone()),
            Verdict::Verbatim | Verdict::Guarded(_) | Verdict::Unattributed { .. } => None,
        })
    }

    /// True when the catalog snapshot may be too old for it.
    pub fn unknown_relation(&self) -> bool {
        self.statements.iter().any(|s| s.unknown_relation)
    }
}

impl PlannedStatement {
    /// True when nothing protected is in it and it does nothing to names, so that its constants decide nothing.
    pub(super) fn is_plain(&self) -> bool {
        self.verdict == Verdict::Verbatim
            && !self.unknown_relation
            && self.object.is_none()
            && !self.effects.changes_namespace
            && self.observed.as_ref().is_none_or(|o| o.decision == Would::Pass)
    }
}

/// Decides every statement of `text`.
///
/// # Errors
/// As [`Plans::decide`](crate::sql::cache::Plans::decide).
pub fn decide(text: &str, context: &Context) -> Result<Planned, Refusal> {
    parse::deep(|| {
        let parsed = parse::parse(text).map_err(|e| e.refusal())?;
        let mut planned = decide_parsed(&parsed, context, ParameterSource::UNDECLARED);
        locate::refusals(&mut planned, text);
        Ok(planned)
    })
}

/// As [`decide`], for a text that was parsed and has parameters of this source.
pub(super) fn decide_parsed(
    parsed: &parse::Parsed,
    context: &Context,
    source: ParameterSource<'_>,
) -> Planned {
    let mut statements: Vec<PlannedStatement> = parsed
        .statements
        .iter()
        .map(|s| {
            let expanded = views::expanded(s, context);
            let mut statement = Cow::Borrowed(expanded.as_ref().unwrap_or(s));
            // Parameters that are declared are bound, whether they are used or not: ours come behind them.
            if source.count() > statement.max_param {
                statement.to_mut().max_param = source.count();
            }
            let planned = Decider { statement: &statement, context, pins: TrustedPins::All, source }.decide();
            PlannedStatement { text: s.text.as_str().into(), ..planned }
        })
        .collect();
    after_names_moved(&mut statements, parsed, context);
    if let Some(role) = &context.watched {
        observe(&mut statements, parsed, &context.enforced(role), source);
    }
    Planned { statements: statements.into_iter().map(Arc::new).collect() }
}

/// Decides the text again as the policy has it, and keeps with each statement what would become of it. A message of
/// which one statement is refused is not run at all.
fn observe(
    statements: &mut [PlannedStatement],
    parsed: &parse::Parsed,
    enforced: &Context,
    source: ParameterSource<'_>,
) {
    let planned = decide_parsed(parsed, enforced, source);
    let refused = planned.refusal().map(Verdict::Refused);
    let decided = parsed.statements.iter().zip(&planned.statements);
    for (statement, (text, other)) in statements.iter_mut().zip(decided) {
        let verdict = match (&other.verdict, &refused) {
            (own @ Verdict::Refused(_), _) | (own, None) => own,
            (_, Some(refused)) => refused,
        };
        let observed = Arc::new(observed::of(text, verdict, enforced));
        if let Verdict::Guarded(plan) = &mut statement.verdict {
            let plan = Arc::make_mut(plan);
            // What is read through a cursor or prepared statement is read under the plan inside.
            if let Wrap::Declare(named) | Wrap::Prepare(named) = &mut plan.wrap {
                Arc::make_mut(&mut named.inner).observed = Some(Arc::clone(&observed));
            }
            plan.observed = Some(Arc::clone(&observed));
        }
        statement.observed = Some(observed);
    }
}

/// Names are resolved before anything of a text runs. What comes after a statement that can change
/// their meaning (`SET search_path`, DDL) may touch other relations than were found: for a
/// restricted role it is refused, unless all its names are fixed; for others it is recorded as touching anything.
fn after_names_moved(statements: &mut [PlannedStatement], parsed: &parse::Parsed, context: &Context) {
    let restricted = context.role.is_restricted();
    // What was prepared is known to the session.
    let executed = |s: &PlannedStatement| match &s.object {
        Some(Object::Execute { name, .. }) if restricted => Some(name.clone()),
        _ => None,
    };
    let moves = |s: &PlannedStatement| s.effects.changes_namespace && executed(s).is_none();
    let mut behind: Vec<String> = Vec::new();
    for statement in statements.iter_mut() {
        if statement.effects.reads_names {
            statement.behind.clone_from(&behind);
        }
        behind.extend(executed(statement));
    }
    let Some(moved) = statements.iter().position(moves) else { return };
    // New objects can mean more than another path does.
    let mut only_the_path = restricted;
    for (i, (statement, Statement { root, .. })) in statements.iter_mut().zip(&parsed.statements).enumerate()
    {
        let fixed = |s: &PlannedStatement| {
            only_the_path && !s.unknown_relation && fixed_names::are_fixed(root, &context.catalog)
        };
        let open = statement.unknown_relation || !matches!(statement.verdict, Verdict::Refused(_));
        if i > moved && statement.effects.reads_names && open && !fixed(statement) {
            statement.verdict = if restricted {
                Verdict::Refused(behind_names())
            } else {
                Verdict::Unattributed { footprint: Footprint::default(), reason: "NAMES_MAY_CHANGE" }
            };
        }
        let path = matches!(root.kind, "VariableSetStmt" | "DiscardStmt" | "SelectStmt");
        only_the_path &= !moves(statement) || path && !root.has("into_clause");
    }
}

/// GLS-240 of a statement whose names could have another meaning by the time it is run.
pub fn behind_names() -> Refusal {
    cannot_guard(
        "it follows, in one message, a statement that can change the meaning of names",
        "Send the statements one by one, or write every relation with its schema.",
    )
}

/// True when a table is read with ONLY.
fn reads_only_own(node: &Node) -> bool {
    (node.kind == "RangeVar" && !node.flag("inh")) || node.children().into_iter().any(reads_only_own)
}

/// A statement as the rewriter reads it.
struct Faithful {
    ast: sqlparser::ast::Statement,
    /// The text, in words that may not be the rewriter's.
    text: String,
    /// What has to be put back into whatever the rewriter prints.
    disguise: Option<words::Disguise>,
}

/// One statement on its way to a verdict.
pub(super) struct Decider<'a> {
    pub(super) statement: &'a Statement,
    pub(super) context: &'a Context,
    /// Which pins may stand for what the rows would tell.
    pub(super) pins: TrustedPins,
    /// What its parameters are.
    pub(super) source: ParameterSource<'a>,
}

impl Decider<'_> {
    fn decide(&self) -> PlannedStatement {
        let Context { role, policy, catalog, namespace, .. } = self.context;
        let context = resolve::Context { role, bound: policy, catalog, namespace };
        let own_code =
            role.is_restricted().then(|| resolve::own_code_refusal(&self.statement.root, &context)).flatten();
        let actions = || {
            role.is_restricted().then(|| resolve::actions_refusal(&self.statement.root, &context)).flatten()
        };
        let mut decision = resolve::decide(self.statement, &context);
        let mut unknown_relation = false;
        if let Decision::UnknownRelation { otherwise, .. } = decision {
            unknown_relation = true;
            decision = *otherwise;
        }
        let verdict = match decision {
            // What stands around it, or in place of a relation, makes no difference.
            _ if let Some(refusal) = own_code.or_else(actions) => Verdict::Refused(refusal),
            Decision::Copy { relations } => self.copy(&relations, &mut unknown_relation),
            // Nothing protected can be in it, or the session looks at what it names.
            Decision::Verbatim | Decision::Session(_) => Verdict::Verbatim,
            decision @ (Decision::Refused(_) | Decision::Unattributed { .. }) => {
                self.inside(&context).unwrap_or_else(|| self.verdict(decision))
            }
            decision => self.verdict(decision),
        };
        let object = objects::object_of(self.statement, |query| moves_names(query, &verdict));
        PlannedStatement {
            text: self.statement.text.as_str().into(),
            effects: effects(self.statement, &verdict),
            verdict,
            unknown_relation,
            object,
            behind: Vec::new(),
            given: Vec::new(),
            observed: None,
        }
    }

    /// The verdict of a DECLARE or PREPARE around a statement that can be guarded.
    fn inside(&self, context: &resolve::Context<'_>) -> Option<Verdict> {
        let wrapper = objects::wrapper(self.statement)?;
        let Decision::NeedsGuard { kind, occurrences } = resolve::decide(&wrapper.inner, context) else {
            return None;
        };
        if (!wrapper.deferred && kind != StatementKind::Select) || kind == StatementKind::Merge {
            return None;
        }
        let declares_oid = |t: &Node| t.names("names").last().is_some_and(|last| is_oid_name(last));
        if self.context.role.is_restricted() && self.statement.root.nodes("argtypes").any(declares_oid) {
            return Some(Verdict::Refused(oid_parameter()));
        }
        let pins = if wrapper.deferred { TrustedPins::Constants } else { TrustedPins::Rows };
        let types: Vec<_> =
            self.statement.root.nodes("argtypes").map(|t| ParameterType::of_name(t, context)).collect();
        let source = if types.is_empty() { self.source } else { ParameterSource::Client(&types) };
        let inner = Decider { statement: &wrapper.inner, context: self.context, pins, source };
        let plan = inner.plan(kind, &occurrences);
        // WHERE CURRENT OF wants a plain scan, and rows to be locked where they stand.
        let locks = !wrapper.deferred && !wrapper.inner.root.list("locking_clause").is_empty();
        let plain = |plan: &GuardedPlan| plan.lineage.strategy != Strategy::Bound && !plan.has_marker;
        if locks && !self.context.role.is_restricted() && !plan.as_ref().is_ok_and(plain) {
            return None;
        }
        let plan = plan.and_then(|plan| wrapper.around(plan));
        Some(self.planned(plan, &occurrences))
    }

    fn verdict(&self, decision: Decision) -> Verdict {
        match decision {
            Decision::Verbatim | Decision::Session(_) => Verdict::Verbatim,
            Decision::NeedsGuard { kind, occurrences } => self.guard(kind, &occurrences),
            Decision::Unattributed { relations, reason } => {
                let footprint = self.footprint(relations.iter().map(ToString::to_string));
                Verdict::Unattributed { footprint, reason }
            }
            Decision::Refused(refusal) => self.redacted().unwrap_or(Verdict::Refused(refusal)),
            // Decided where the unknown relation is noted.
            Decision::UnknownRelation { .. } | Decision::Copy { .. } => {
                Verdict::Refused(cannot_guard("a name in it could not be resolved", ""))
            }
        }
    }

    /// Plans a statement on protected relations and has the plan checked.
    fn guard(&self, kind: StatementKind, occurrences: &[ProtectedOccurrence]) -> Verdict {
        self.planned(self.plan(kind, occurrences), occurrences)
    }

    fn planned(&self, plan: Result<GuardedPlan, Refusal>, occurrences: &[ProtectedOccurrence]) -> Verdict {
        match plan {
            Ok(plan) => Verdict::Guarded(Arc::new(plan)),
            Err(refusal) if self.context.role.is_restricted() => Verdict::Refused(refusal),
            // An unrestricted role is not kept from its work because its patients cannot be told.
            Err(refusal) => {
                tracing::debug!(%refusal, "patients of a statement cannot be told");
                let tables = &self.context.policy.tables;
                let names = occurrences.iter().filter_map(|o| tables.get(&o.oid));
                Verdict::Unattributed {
                    footprint: self.footprint(names.map(|t| t.rule.name.to_string())),
                    reason: "NOT_CARRIED",
                }
            }
        }
    }

    pub(super) fn plan(
        &self,
        kind: StatementKind,
        occurrences: &[ProtectedOccurrence],
    ) -> Result<GuardedPlan, Refusal> {
        // Break-glass is read only: a write never gets the granted patients into its guard, for what it reads as well:
        // with one guard per statement, a write that could read a granted patient could also write it.
        let variant = match kind {
            StatementKind::Select => self.context.variant,
            StatementKind::Insert
            | StatementKind::Update
            | StatementKind::Delete
            | StatementKind::Merge
            | StatementKind::With => Variant::Assigned,
        };
        if self.statement.max_param > GuardParams::MOST {
            return Err(cannot_guard(
                format_args!("it has parameter ${}", self.statement.max_param),
                "Number parameters from $1 on, or send the values as one array: = ANY ($1).",
            ));
        }
        if variant != Variant::Opened
            && let Some(refusal) = self.whole_table_closed(occurrences)
        {
            return Err(refusal);
        }
        let refusal = match self.plan_as(self.faithful()?, variant, kind, occurrences) {
            Ok(plan) => return Ok(plan),
            Err(refusal) => refusal,
        };
        // What was taken for something else and printed as it was.
        let others = self.in_quotes(self.deparsed().as_deref());
        let mut plans = others.into_iter().map(|other| self.plan_as(other, variant, kind, occurrences));
        plans.find_map(Result::ok).ok_or(refusal)
    }

    /// The plan for the statement as the rewriter read it.
    fn plan_as(
        &self,
        faithful: Faithful,
        variant: Variant,
        kind: StatementKind,
        occurrences: &[ProtectedOccurrence],
    ) -> Result<GuardedPlan, Refusal> {
        let Context { role, policy, catalog, namespace, .. } = self.context;
        let Faithful { ast, text, disguise } = faithful;
        let rewritten = |ast, input: &PlanInput<'_>| {
            let mut plan = plan::rewrite(ast, input).map_err(|e| e.refusal())?;
            if let Some(disguise) = &disguise {
                plan.text = disguise.undone(&plan.text);
            }
            Ok(plan)
        };
        let mut input = PlanInput {
            text: &text,
            role,
            policy,
            catalog,
            namespace,
            variant,
            client_params: self.statement.max_param,
            fence: Fence::None,
            opaque: Opaque::Operators,
            pins: self.pins,
        };
        let checked = CheckContext {
            context: resolve::Context { role, bound: policy, catalog, namespace },
            params: GuardParams::after(self.statement.max_param, variant),
            source: self.source,
        };
        let plan = rewritten(ast.clone(), &input)?;
        // The checker finds what is not guarded; a table of a role that needs no guard would only
        // be missing from the record.
        let seen = |o: &ProtectedOccurrence| {
            policy.tables.get(&o.oid).is_some_and(|t| plan.footprint.relations.contains(&t.name.to_string()))
        };
        if !occurrences.iter().all(seen) {
            return Err(cannot_guard("the rewriter does not see one of its tables", "Name tables plainly."));
        }
        match check::check(&plan.text, &checked) {
            Ok(()) => return Ok(plan),
            Err(CheckFailure::NeedsFence(_)) => {}
            Err(other) => return Err(self.not_guarded(&plan, &other)),
        }
        let fences = match kind {
            StatementKind::Select => &[Fence::Blocks][..],
            _ => &[Fence::Blocks, Fence::Tables, Fence::First],
        };
        let last = if kind == StatementKind::Select { Fence::Tables } else { Fence::FirstTables };
        let with = |opaque| fences.iter().chain([&last]).map(move |fence| (*fence, opaque));
        let more = with(Opaque::Comparisons).chain(fences.iter().map(|fence| (*fence, Opaque::All)));
        for (fence, opaque) in with(Opaque::Operators).chain(more) {
            (input.fence, input.opaque) = (fence, opaque);
            if let Ok(plan) = rewritten(ast.clone(), &input)
                && check::check(&plan.text, &checked).is_ok()
            {
                return Ok(plan);
            }
        }
        (input.fence, input.opaque) = (last, Opaque::All);
        let plan = rewritten(ast, &input)?;
        check::check(&plan.text, &checked).map_err(|e| self.not_guarded(&plan, &e))?;
        Ok(plan)
    }

    /// The rewriter's AST of a text that PostgreSQL's grammar reads as the client's statement, both as
    /// it is given to the rewriter's parser and as that prints it back.
    fn faithful(&self) -> Result<Faithful, Refusal> {
        let own = &self.statement.text;
        // `ONLY t` is read as a table called ONLY with the alias t, and printed the same.
        let only = reads_only_own(&self.statement.root);
        let first = match self.faithful_to(own) {
            Ok(ast) if !only => return Ok(Faithful { ast, text: own.clone(), disguise: None }),
            Ok(_) => PlanError::Parse("ONLY before a table".to_owned()),
            Err(error) => error,
        };
        // libpg_query's own text of the same tree: `TABLE t`, `ISNULL`, `U&""` and the like are
        // written in the common form there.
        let deparsed = self.deparsed();
        if let Some(text) = &deparsed
            && !only
            && let Ok(ast) = self.faithful_to(text)
        {
            return Ok(Faithful { ast, text: text.clone(), disguise: None });
        }
        // Forms that the rewriter has no words for.
        let known = deparsed.iter().chain([own]).find_map(|text| self.disguised(text));
        if let Some(known) = known.or_else(|| self.in_quotes(deparsed.as_deref()).into_iter().next()) {
            return Ok(known);
        }
        Err(first.refusal().with_hint(
            "The rewriter does not know this form of SQL. Write it with plain joins, subqueries and CTEs.",
        ))
    }

    /// libpg_query's own text of the statement.
    fn deparsed(&self) -> Option<String> {
        let Statement { text, root, .. } = self.statement;
        deparse::deparse(text, root).filter(|text| self.reads_the_same(text))
    }

    fn disguised(&self, text: &str) -> Option<Faithful> {
        let disguise = words::disguised(text, &self.context.catalog)?;
        let (ast, printed) = plan::reparse(&disguise.text).ok()?;
        let same = self.reads_the_same(&disguise.undone(&printed));
        same.then(|| Faithful { ast, text: text.to_owned(), disguise: Some(disguise) })
    }

    /// As [`Self::faithful`], with quotes around what the rewriter could take for keywords.
    fn in_quotes(&self, deparsed: Option<&str>) -> Vec<Faithful> {
        let own = &self.statement.text;
        let only = reads_only_own(&self.statement.root);
        let plain = |text: &String| {
            let ast = if only { None } else { self.faithful_to(text).ok() };
            Some(Faithful { ast: ast?, text: text.clone(), disguise: None })
        };
        let texts = words::quoted(deparsed.unwrap_or(own), |text| self.reads_the_same(text));
        texts.iter().filter_map(|text| plain(text).or_else(|| self.disguised(text))).collect()
    }

    fn faithful_to(&self, text: &str) -> Result<sqlparser::ast::Statement, PlanError> {
        let (ast, printed) = plan::reparse(text)?;
        if self.reads_the_same(&printed) {
            Ok(ast)
        } else {
            Err(PlanError::Parse("the rewriter reads this form of SQL with another meaning".into()))
        }
    }

    /// True when PostgreSQL's grammar reads `text` as this statement.
    fn reads_the_same(&self, text: &str) -> bool {
        parse::parse_ours(text)
            .is_ok_and(|p| matches!(p.statements.as_slice(), [one] if one.root == self.statement.root))
    }

    fn not_guarded(&self, plan: &GuardedPlan, failure: &CheckFailure) -> Refusal {
        if let (CheckFailure::Cell(what), Some(least)) = (failure, self.context.role.masking.min_cell) {
            return too_few(what, least);
        }
        tracing::warn!(%failure, "the checker refused a plan");
        // Constants of the client's stand in it.
        tracing::debug!(text = %plan.text, "the plan that the checker refused");
        let writes = !matches!(plan.kind, StatementKind::Select);
        let instead = match failure {
            CheckFailure::NeedsFence(_) if writes => {
                "Compute what it reads beside the table in a WITH query, and join that by plain columns."
            }
            _ => "Write it with plain joins, subqueries and CTEs, or ask for it to be supported.",
        };
        cannot_guard(failure, instead)
    }

    pub(super) fn footprint(&self, relations: impl Iterator<Item = String>) -> Footprint {
        let mut relations: Vec<String> = relations.collect();
        relations.sort();
        relations.dedup();
        let rules = &self.context.policy.policy.tables;
        let mut classes: Vec<String> = rules
            .iter()
            .filter(|rule| relations.binary_search(&rule.name.to_string()).is_ok())
            .map(|rule| rule.class.clone())
            .collect();
        classes.sort();
        classes.dedup();
        Footprint { relations, classes }
    }
}

/// GLS-241: what of the statement could rest on too few patients, and a form that works.
fn too_few(what: &str, least: u32) -> Refusal {
    let message = format!("every row of an answer must rest on at least {least} patients: {what}");
    Refusal::new(crate::policy::GlsCode::SmallCell, message).with_hint(
        "SELECT keys, count(*), sum(column), count(*) FILTER (WHERE condition) FROM tables joined by = WHERE plain comparisons GROUP BY keys; \
         what is computed from the groups goes around it: SELECT ... FROM (SELECT ...) AS g.",
    )
}

/// The same text when the snapshot of the catalog may be wrong: what reads is recorded as touching anything.
pub fn beyond_the_catalog(planned: &Planned) -> Planned {
    let statements = planned.statements.iter().map(|statement| {
        if !statement.effects.reads_rows
            || matches!(statement.verdict, Verdict::Refused(_) | Verdict::Unattributed { .. })
        {
            return Arc::clone(statement);
        }
        let mut statement = PlannedStatement::clone(statement);
        statement.verdict =
            Verdict::Unattributed { footprint: Footprint::default(), reason: "CATALOG_CHANGED" };
        // The client's own text is sent.
        statement.given.clear();
        Arc::new(statement)
    });
    Planned { statements: statements.collect() }
}
