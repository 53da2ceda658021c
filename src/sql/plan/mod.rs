//! The rewriter: puts guards and witnesses into a statement's AST (sqlparser) and prints it.
//!
//! It is not trusted: what it prints is checked again, as a tree of PostgreSQL's own grammar, by
//! `check`. It refuses early, with a form that works, so that people get a useful text; it is not
//! the place that keeps a row from leaving.

mod actions;
mod aims;
mod around;
mod cells;
mod cohorts;
mod depth;
mod dml;
mod first;
mod group;
mod held;
mod lock;
mod merge;
mod merged;
mod namesakes;
mod offered;
mod opaque;
mod place;
mod qualify;
mod relations;
mod returning;
mod scope;
mod split;
#[cfg(test)]
mod tests;
mod text;
mod walk;
mod with;
mod wrap;

pub use opaque::Opaque;
pub(super) use place::{Side, side};
pub(super) use scope::{CteNames, Occurrence, fold, occurrence_of};
pub(super) use text::{Placeholders, ident};
use walk::{Edit, edit};
pub(super) use walk::{Look, any_expr, any_query, any_relation, each_query_mut, look};

use sqlparser::ast::{Expr, Query, SetExpr, Statement};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::{Parser, ParserError};

use super::lineage::{self, Evidence};
use super::objects::Wrap;
use super::parse::DEEPEST;
use super::{Footprint, GuardedPlan, Lineage, StatementKind, Strategy, cannot_guard};
use crate::catalog::{Catalog, Namespace};
use crate::policy::{
    BoundPolicy, GuardParams, Named, RESERVED_PREFIX, Refusal, Role, Variant, key_expression,
};

/// What a rewrite depends on.
#[derive(Debug, Clone, Copy)]
pub struct PlanInput<'a> {
    /// One statement, without a trailing semicolon.
    pub text: &'a str,
    /// The role that runs it.
    pub role: &'a Role,
    /// The policy, bound to `catalog`.
    pub policy: &'a BoundPolicy,
    /// The catalog snapshot.
    pub catalog: &'a Catalog,
    /// What unqualified names mean in this session.
    pub namespace: &'a Namespace,
    /// With or without break-glass grants.
    pub variant: Variant,
    /// Highest `$n` of the client's text.
    pub client_params: u16,
    /// Whether filtered tables go behind an `OFFSET 0` fence, because the statement contains
    /// expressions that must not see a hidden row.
    pub fence: Fence,
    /// Which operators the planner is not to try on statistics; with a fence only.
    pub opaque: Opaque,
    /// Which pins may stand for what the rows would tell.
    pub pins: TrustedPins,
}

impl PlanInput<'_> {
    /// The witness of an occurrence's rows.
    pub(super) fn witness(&self, o: &Occurrence<'_>) -> String {
        let params = GuardParams::after(self.client_params, self.variant);
        let named = match (o.filter, o.masks.outside) {
            (true, _) => Named::Visible(params),
            (false, Some(_)) => Named::Open(params),
            (false, None) => Named::All,
        };
        key_expression(&self.policy.policy, o.table, &o.alias, named)
    }
}

/// What keeps a statement's conditions from hidden rows besides the guards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fence {
    /// Nothing.
    #[default]
    None,
    /// One fence around all tables of a block where that can be done, one around each elsewhere.
    Blocks,
    /// One around each table.
    Tables,
    /// As `Blocks` or, the second, as `Tables`, and what writes read beside plain tables is read first.
    First,
    /// See [`Fence::First`].
    FirstTables,
}

impl Fence {
    /// One fence around all tables of a block, where that can be done; plain comparisons stay outside.
    pub(super) fn blocks(self) -> bool {
        matches!(self, Fence::Blocks | Fence::First)
    }

    fn asks_first(self) -> bool {
        matches!(self, Fence::First | Fence::FirstTables)
    }
}

/// Which pins may stand for what the rows would tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TrustedPins {
    /// All: their values are known when the statement runs.
    #[default]
    All,
    /// Constants only: a parameter's value may be known to the server alone (PREPARE in SQL).
    Constants,
    /// None: rows are read long after the statement was opened (a cursor), and each has to tell whose
    /// it is.
    Rows,
}

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The text is outside the grammar of the rewriter.
    #[error("not understood by the rewriter: {0}")]
    Parse(String),
    /// The statement cannot be guarded (or its patients cannot be told).
    #[error("{what}")]
    CannotGuard {
        /// What, and where.
        what: String,
        /// A form that works; may be empty.
        instead: &'static str,
    },
}

/// Told by the word that the parser stopped at; what it expected there speaks of its own grammar.
impl From<ParserError> for PlanError {
    fn from(error: ParserError) -> Self {
        let near = match &error {
            ParserError::ParserError(what) | ParserError::TokenizerError(what) => {
                what.split_once("found: ").map(|(_, word)| word.split(" at Line").next().unwrap_or(word))
            }
            ParserError::RecursionLimitExceeded => None,
        };
        let near = near.filter(|word| !word.is_empty() && *word != "EOF");
        let near = near.map(|word| format!(", near \"{}\"", word.chars().take(60).collect::<String>()));
        PlanError::Parse(format!("a form of SQL that the rewriter does not know{}", near.unwrap_or_default()))
    }
}

impl PlanError {
    pub(super) fn guard(what: impl Into<String>, instead: &'static str) -> Self {
        PlanError::CannotGuard { what: what.into(), instead }
    }

    /// The refusal a client is told.
    pub fn refusal(&self) -> Refusal {
        match self {
            PlanError::Parse(what) => cannot_guard(format_args!("{what}"), ""),
            PlanError::CannotGuard { what, instead } => cannot_guard(what, instead),
        }
    }
}

/// Parses one statement and prints it back, not rewritten, for the comparison of both texts by
/// PostgreSQL's own grammar.
///
/// # Errors
/// [`PlanError::Parse`] when the rewriter's grammar refuses the text or finds several statements.
pub fn reparse(text: &str) -> Result<(Statement, String), PlanError> {
    depth::with_room(text, || parse_and_print(text))
}

fn parse_and_print(text: &str) -> Result<(Statement, String), PlanError> {
    let mut statements = Parser::new(&PostgreSqlDialect {})
        .with_recursion_limit(DEEPEST)
        .try_with_sql(&lock::encoded(text))
        .and_then(|mut parser| parser.parse_statements())
        .map_err(PlanError::from)?;
    match (statements.pop(), statements.is_empty()) {
        (Some(mut statement), true) => {
            if look(&statement, &mut TableCommand) {
                return Err(table_command());
            }
            edit(&mut statement, &mut Signs)?;
            let printed = lock::decoded(statement.to_string());
            Ok((statement, printed))
        }
        _ => Err(PlanError::Parse("exactly one statement is expected".to_owned())),
    }
}

/// Puts parentheses around a signed operand of a sign: `- - a` would be printed as a comment, `- @ a` as one operator.
struct Signs;

impl Edit for Signs {
    fn expr(&mut self, expr: &mut Expr) {
        if let Expr::UnaryOp { expr: operand, .. } = expr
            && matches!(operand.as_ref(), Expr::UnaryOp { .. })
        {
            let inner = std::mem::replace(operand.as_mut(), Expr::Tuple(Vec::new()));
            **operand = Expr::Nested(Box::new(inner));
        }
    }
}

/// Finds `TABLE t`, which PostgreSQL's own text of the tree has as `SELECT * FROM t`.
struct TableCommand;

impl Look for TableCommand {
    fn query(&mut self, query: &Query) -> bool {
        fn is_table(body: &SetExpr) -> bool {
            match body {
                SetExpr::Table(_) => true,
                SetExpr::SetOperation { left, right, .. } => is_table(left) || is_table(right),
                _ => false,
            }
        }
        is_table(&query.body)
    }
}

/// Puts guards and witnesses into `ast`.
///
/// # Errors
/// [`PlanError::CannotGuard`]: what cannot be guarded and a form that works. For a role without
/// restrictions the same error says that the patients cannot be told.
pub fn rewrite(ast: Statement, input: &PlanInput<'_>) -> Result<GuardedPlan, PlanError> {
    depth::with_room(input.text, || rewrite_here(ast, input))
}

fn rewrite_here(mut ast: Statement, input: &PlanInput<'_>) -> Result<GuardedPlan, PlanError> {
    if input.text.to_ascii_lowercase().contains(RESERVED_PREFIX) {
        return Err(PlanError::guard("names that begin with __glass_ are reserved", ""));
    }
    let kind = kind_of(&ast)?;
    if input.role.masking.min_cell.is_some() {
        cohorts::moved(&mut ast, input)?;
        merged::subqueries(&mut ast, input)?;
    }
    let mut in_sight = None;
    if input.fence != Fence::None {
        in_sight = Some(ast.clone());
        opaque::operators(&mut ast, input)?;
    }
    let occurrences = scope::tag(&mut ast, input)?;
    qualify::names(&mut ast, &occurrences, input)?;
    let params = GuardParams::after(input.client_params, input.variant);
    let mut texts = Placeholders::default();
    if let Some(least) = input.role.masking.min_cell {
        cells::conditions(&mut ast, &occurrences, least, input, &mut texts)?;
    }
    let mut analysis = lineage::analyse(&ast, &occurrences, input);
    analysis.trust(input.pins);
    if let Some(pins) = in_sight.and_then(|ast| pins_of(ast, input)) {
        analysis.also_asks_for(pins);
    }
    let aims = aims::of(&ast, &occurrences);
    let rows_show_pins =
        analysis.all_pinned() && lineage::rows_show_pins(&ast, &occurrences, &analysis, input);
    let (evidence, rows_are_witnesses, sets) = match kind {
        StatementKind::Select => {
            (lineage::choose(&mut ast, &occurrences, &analysis, input, &mut texts), false, Vec::new())
        }
        StatementKind::Insert | StatementKind::Update | StatementKind::Delete | StatementKind::With => {
            let done = dml::witness(&mut ast, &occurrences, &analysis, params, input, &mut texts)?;
            (done.evidence, done.rows_are_witnesses, done.sets)
        }
        StatementKind::Merge => {
            merge::judge(&mut ast, &occurrences, input)?;
            (Evidence::Bound(vec!["MERGE"]), false, Vec::new())
        }
    };
    place::guards(&mut ast, &occurrences, &analysis, params, input, &mut texts)?;
    let mut has_marker = !sets.is_empty();
    let inside = has_marker || (matches!(evidence, Evidence::Bound(_)) && kind != StatementKind::Merge);
    lock::fence_lists(&mut ast, input.fence != Fence::None, inside)?;
    let mut sql = if has_marker { wrap::write(ast, &texts, &sets) } else { texts.fill(&ast.to_string()) };
    let lineage = match evidence {
        Evidence::Pinned => Lineage { strategy: Strategy::Pinned, exact: true, reasons: Vec::new() },
        Evidence::Carried => Lineage { strategy: Strategy::Carried, exact: true, reasons: Vec::new() },
        Evidence::Bound(reasons) => {
            // No query can stand around a MERGE: its patients are told by who the user is.
            if !has_marker && kind != StatementKind::Merge {
                sql = wrap::bound(&sql, &occurrences, &analysis, params, input);
                has_marker = true;
            }
            Lineage { strategy: Strategy::Bound, exact: false, reasons }
        }
    };
    let shows_outside = occurrences.iter().any(|o| o.masks.outside.is_some());
    let guarded = shows_outside || occurrences.iter().any(|o| o.filter);
    let in_text = |o: &Occurrence<'_>| o.table.closed.is_some() && (o.filter || o.masks.outside.is_some());
    let opened = params.opened.filter(|_| occurrences.iter().any(in_text));
    let everyone = occurrences.iter().any(|o| o.filter && o.table.sees_everyone());
    Ok(GuardedPlan {
        origin: std::sync::Arc::default(),
        text: lock::decoded(sql),
        kind,
        client_params: input.client_params,
        principal_param: guarded.then_some(params.principal),
        grants_param: if guarded { params.grants } else { None },
        opened_param: opened,
        lineage,
        block: !analysis.pins.is_empty() && occurrences.iter().any(|o| o.block),
        pins: analysis.pins,
        aims,
        rows_show_pins,
        // What is shown masked can be of any patient: who is named is not within the user's reach.
        filtered: guarded && !shows_outside && !everyone,
        closed: occurrences.iter().any(|o| match &o.table.closed {
            Some(closed) => closed.by_category() || (closed.hides_rows() && (everyone || shows_outside)),
            None => false,
        }),
        reads_others: kind != StatementKind::Select && occurrences.iter().any(|o| !o.target),
        rows_are_witnesses,
        has_marker,
        footprint: footprint(&occurrences),
        copy: None,
        wrap: Wrap::Plain,
        observed: None,
    })
}

/// The patients whom a statement names where no operator of it is hidden.
fn pins_of(mut ast: Statement, input: &PlanInput<'_>) -> Option<Vec<crate::sql::Pin>> {
    let input = PlanInput { fence: Fence::None, ..*input };
    let occurrences = scope::tag(&mut ast, &input).ok()?;
    Some(lineage::analyse(&ast, &occurrences, &input).pins)
}

/// The kind of a statement that can be planned at all.
fn kind_of(ast: &Statement) -> Result<StatementKind, PlanError> {
    match ast {
        Statement::Query(query) => match query.body.as_ref() {
            SetExpr::Insert(inner)
            | SetExpr::Update(inner)
            | SetExpr::Delete(inner)
            | SetExpr::Merge(inner) => kind_of(inner),
            SetExpr::Select(_) | SetExpr::Query(_) | SetExpr::SetOperation { .. } | SetExpr::Values(_) => {
                Ok(if with::in_with(ast) { StatementKind::With } else { StatementKind::Select })
            }
            SetExpr::Table(_) => Err(table_command()),
        },
        Statement::Insert(_) => Ok(StatementKind::Insert),
        Statement::Update(_) => Ok(StatementKind::Update),
        Statement::Delete(_) => Ok(StatementKind::Delete),
        Statement::Merge(_) => Ok(StatementKind::Merge),
        _ => Err(PlanError::guard(
            "only SELECT, INSERT, UPDATE and DELETE can touch protected tables",
            "run the query itself",
        )),
    }
}

pub(super) fn table_command() -> PlanError {
    PlanError::guard("the TABLE command", "use SELECT * FROM the table")
}

fn footprint(occurrences: &[Occurrence<'_>]) -> Footprint {
    let sorted = |mut names: Vec<String>| {
        names.sort();
        names.dedup();
        names
    };
    Footprint {
        relations: sorted(occurrences.iter().map(|o| o.table.name.to_string()).collect()),
        classes: sorted(occurrences.iter().map(|o| o.table.rule.class.clone()).collect()),
    }
}
