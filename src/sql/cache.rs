//! Decisions that were taken, by context and text. Texts that differ only in constants share one where that is known to
//! be right (`template`). Not here: how a text is decided.

use std::borrow::Cow;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use dashmap::DashMap;

use super::check::{ParameterSource, ParameterType};
use super::observed;
use super::parse::{self, Statement};
use super::planner::{Context, Planned, PlannedStatement, decide_parsed};
use super::template::{self, Skeleton};
use super::{GuardedPlan, Verdict};
use super::{locate, objects};
use crate::catalog::Namespace;
use crate::policy::{Refusal, Variant};

/// Decided texts of one context.
#[derive(Debug, Default)]
pub struct Plans {
    texts: DashMap<Box<str>, Arc<Planned>>,
    /// What is decided for every text with a skeleton.
    templates: DashMap<Box<str>, Template>,
}

/// Who asks for a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form<'a> {
    /// A simple query: what is sent in its place may have constants of the text as parameters.
    Simple,
    /// A Parse: parameters are the client's own, and declared to be of these types (`pg_type`).
    Prepared(&'a [u32]),
}

impl Form<'_> {
    /// What a decision about `text` is kept under. For who sees every row it is how many are declared alone.
    fn key<'t>(self, text: &'t str, context: &Context) -> Cow<'t, str> {
        let all = context.watched.is_none() && !context.role.is_restricted();
        match self.types() {
            [] => Cow::Borrowed(text),
            types if all => Cow::Owned(format!("{text}\0{}", types.len())),
            types => Cow::Owned(format!("{text}\0{types:?}")),
        }
    }

    fn types(&self) -> &[u32] {
        match self {
            Form::Simple => &[],
            Form::Prepared(types) => types,
        }
    }
}

/// What is decided for every text of a skeleton.
#[derive(Debug)]
enum Decided {
    /// The same, whatever the constants.
    Alike(Arc<PlannedStatement>),
    /// A plan that has the constants as parameters.
    WithParameters(Arc<PlannedStatement>),
    /// Each by itself.
    Apart,
}

#[derive(Debug)]
struct Template {
    decided: Decided,
    /// Bytes of the text before the statement, and behind it.
    around: (usize, usize),
}

impl Template {
    /// The decision for a text of the skeleton.
    fn of(&self, text: &str, skeleton: &Skeleton, form: Form<'_>) -> Option<Planned> {
        let (before, behind) = self.around;
        let own = text.get(before..text.len().checked_sub(behind)?)?;
        let statement = match (&self.decided, form) {
            (Decided::Alike(statement), _) => PlannedStatement { text: own.into(), ..(**statement).clone() },
            (Decided::WithParameters(statement), Form::Simple) => {
                PlannedStatement { text: own.into(), given: skeleton.given(text)?, ..(**statement).clone() }
            }
            (Decided::WithParameters(_), Form::Prepared(_)) | (Decided::Apart, _) => return None,
        };
        Some(Planned { statements: vec![Arc::new(statement)] })
    }
}

/// Texts and templates kept per context; above it the map starts anew.
const MOST_TEXTS: usize = 20_000;

/// Longest text worth keeping, bytes.
const LONGEST_KEPT: usize = 64 * 1024;

/// Longest text whose constants are taken out, bytes.
const LONGEST_SKELETON: usize = 8 * 1024;

impl Plans {
    /// Decides `text`, from the cache when it was decided before in an equal context.
    ///
    /// # Errors
    /// The refusal of a text that is not accepted from anyone (unparsable, too long, reserved names).
    pub fn decide(&self, text: &str, context: &Context, form: Form<'_>) -> Result<Arc<Planned>, Refusal> {
        if let Some(known) = self.kept(text, context, form) {
            return Ok(known);
        }
        let skeleton = (text.len() <= LONGEST_SKELETON).then(|| template::skeleton(text)).flatten();
        let mut tried = false;
        if let Some(skeleton) = &skeleton
            && let Some(template) = self.templates.get(skeleton.key.as_str())
        {
            if let Some(planned) = template.of(text, skeleton, form) {
                return Ok(Arc::new(planned));
            }
            tried = true;
        }
        parse::deep(|| self.decide_anew(text, context, form, skeleton.filter(|_| !tried)))
    }

    /// What was decided about `text`, where it is kept.
    pub fn kept(&self, text: &str, context: &Context, form: Form<'_>) -> Option<Arc<Planned>> {
        self.texts.get(&*form.key(text, context)).map(|known| Arc::clone(&known))
    }

    fn decide_anew(
        &self,
        text: &str,
        context: &Context,
        form: Form<'_>,
        skeleton: Option<Skeleton>,
    ) -> Result<Arc<Planned>, Refusal> {
        let parsed = parse::parse(text).map_err(|e| e.refusal())?;
        let types: Vec<_> = form.types().iter().map(|oid| ParameterType::of_oid(*oid)).collect();
        let mut planned = decide_parsed(&parsed, context, ParameterSource::Client(&types));
        locate::refusals(&mut planned, text);
        let planned = Arc::new(planned);
        if planned.unknown_relation() || text.len() > LONGEST_KEPT {
            return Ok(planned);
        }
        if let Some(skeleton) = skeleton
            && let ([statement], [known]) = (parsed.statements.as_slice(), planned.statements.as_slice())
            && let Some(template) = template(&skeleton, text, statement, known, context)
        {
            let decision = template.of(text, &skeleton, form);
            if self.templates.len() >= MOST_TEXTS {
                self.templates.clear();
            }
            self.templates.insert(skeleton.key.into(), template);
            if let Some(decision) = decision {
                return Ok(Arc::new(decision));
            }
        }
        if self.texts.len() >= MOST_TEXTS {
            self.texts.clear();
        }
        self.texts.insert(form.key(text, context).into(), Arc::clone(&planned));
        Ok(planned)
    }
}

/// What can be kept for every text with the skeleton of one that was decided; `None` when nothing is to be gained.
fn template(
    skeleton: &Skeleton,
    text: &str,
    statement: &Statement,
    known: &Arc<PlannedStatement>,
    context: &Context,
) -> Option<Template> {
    let before = text.find(statement.text.as_str())?;
    let around = (before, text.len() - before - statement.text.len());
    let decided = match &known.verdict {
        Verdict::Verbatim if known.is_plain() && skeleton.holds(text, statement) => {
            Decided::Alike(Arc::clone(known))
        }
        Verdict::Guarded(plan) => {
            let decided = skeleton.with_parameters(text, statement).and_then(|text| {
                let planned = decide_parsed(&parse::parse(&text).ok()?, context, ParameterSource::Constants);
                let [other] = planned.statements.as_slice() else { return None };
                let same = other.guarded().is_some_and(|other| {
                    let traits = |p: &GuardedPlan| {
                        let named = (p.pins.len(), p.aims.len());
                        (p.kind, p.block, p.filtered, p.rows_are_witnesses, p.has_marker, named)
                    };
                    let watched =
                        observed::whatever_the_constants(plan.observed.as_deref(), other.observed.as_deref());
                    let plain = other.wrap == objects::Wrap::Plain && other.copy.is_none();
                    plain && watched && traits(plan) == traits(other) && plan.lineage == other.lineage
                });
                (same && other.object.is_none()).then(|| Arc::clone(other))
            });
            decided.map_or(Decided::Apart, Decided::WithParameters)
        }
        _ => return None,
    };
    Some(Template { decided, around })
}

#[cfg(test)]
impl Plans {
    /// True when a decision for other constants would be taken for this text too.
    pub(super) fn has_template(&self, text: &str) -> bool {
        template::skeleton(text).is_some_and(|s| self.templates.contains_key(s.key.as_str()))
    }
}

/// The plans of all contexts.
#[derive(Debug, Default)]
pub struct PlanCache {
    contexts: DashMap<ContextKey, Arc<Plans>>,
}

/// What tells contexts apart. Policy and catalog are told by their epochs: a change of either
/// binds anew and counts up.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ContextKey {
    role: Arc<str>,
    policy: u64,
    namespace: Arc<Namespace>,
    variant: Variant,
    /// Its decisions are only watched.
    watched: bool,
}

impl Hash for ContextKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.role, self.policy, &*self.namespace, self.variant, self.watched).hash(state);
    }
}

/// Contexts kept; temporary tables give a session a context of its own.
const MOST_CONTEXTS: usize = 1_000;

impl PlanCache {
    /// The plans made in contexts equal to this one.
    pub fn for_context(&self, context: &Context) -> Arc<Plans> {
        if self.contexts.len() >= MOST_CONTEXTS {
            self.contexts.clear();
        }
        let key = ContextKey {
            role: Arc::clone(&context.role.name),
            policy: context.policy.epoch,
            namespace: Arc::clone(&context.namespace),
            variant: context.variant,
            watched: context.watched.is_some(),
        };
        Arc::clone(&self.contexts.entry(key).or_default())
    }

    /// Forgets everything; sessions that still hold plans of an old context keep those to themselves
    /// until they look at the rules again, which they do before every decision.
    pub fn clear(&self) {
        self.contexts.clear();
    }
}
