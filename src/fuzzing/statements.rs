//! Statement texts: what is planned as guarded passes the checker once more, and what goes through as it
//! is names no protected table.

use std::sync::{Arc, OnceLock};

use super::choices;
use crate::catalog::{Catalog, QualifiedName};
use crate::policy::{GuardParams, Outside, Scope, Variant};
use crate::sql::cache::{Form, Plans};
use crate::sql::check::{self, CheckContext};
use crate::sql::fixture::Clinic;
use crate::sql::objects::Wrap;
use crate::sql::parse::{deep, messages};
use crate::sql::planner::{Context, decide, transaction_end, transaction_or_setting};
use crate::sql::{GuardedPlan, StatementKind, Verdict, literal, resolve};

/// Roles of the small clinic, as contexts of a session.
pub(crate) const ROLES: u8 = 8;

pub(crate) fn context(choice: u8) -> Context {
    static ALL: OnceLock<Vec<Context>> = OnceLock::new();
    let all = ALL.get_or_init(|| {
        let of = |clinic: Clinic, variant| Context {
            role: Arc::new(clinic.role),
            policy: Arc::new(clinic.bound),
            catalog: Arc::new(clinic.catalog),
            namespace: Arc::new(clinic.namespace),
            variant,
            watched: None,
        };
        let mut blocking = Clinic::new();
        blocking.role.outside = Outside::Block;
        let mut unrestricted = Clinic::new();
        unrestricted.role.scope = Scope::All;
        vec![
            of(Clinic::new(), Variant::Assigned),
            of(Clinic::masked(), Variant::Assigned),
            of(blocking, Variant::Assigned),
            of(unrestricted, Variant::Assigned),
            of(Clinic::new(), Variant::Granted),
            of(Clinic::limited(Scope::Assigned), Variant::Assigned),
            of(Clinic::limited(Scope::Assigned), Variant::Opened),
            of(Clinic::limited(Scope::All), Variant::Opened),
        ]
    });
    all[usize::from(choice % ROLES)].clone()
}

/// Bytes: a choice of role, then the text.
pub fn statements(data: &[u8]) {
    let ([role], text) = choices::<1>(data);
    let context = context(role);
    let text = String::from_utf8_lossy(text);
    let planned = decide(&text, &context);
    // From the cache or not, alike.
    let plans = Plans::default();
    for _ in 0..2 {
        match (&planned, plans.decide(&text, &context, Form::Prepared(&[]))) {
            (Ok(one), Ok(other)) => assert_eq!(*one, *other, "{text}"),
            (Err(one), Err(other)) => assert_eq!(*one, other, "{text}"),
            (one, other) => panic!("{text}: {one:?} and {other:?}"),
        }
    }
    let _ = (transaction_end(&text), transaction_or_setting(&text));
    let Ok(planned) = planned else { return };
    for statement in &planned.statements {
        assert!(text.contains(&*statement.text), "{text}: {}", statement.text);
        match &statement.verdict {
            Verdict::Guarded(plan) => guarded(plan, &context),
            Verdict::Verbatim if context.role.is_restricted() => verbatim(&statement.text, &context.catalog),
            Verdict::Verbatim => {}
            Verdict::Unattributed { .. } => assert!(!context.role.is_restricted(), "{text}"),
            Verdict::Refused(refusal) => assert_eq!(refusal.sqlstate.len(), 5, "{text}"),
        }
    }
}

/// The checker, asked again from outside the planner.
fn guarded(plan: &GuardedPlan, context: &Context) {
    let inner = match &plan.wrap {
        Wrap::Plain => plan,
        Wrap::Declare(named) | Wrap::Prepare(named) => {
            let whole = named.text("__glass_c1");
            assert_eq!(messages(&whole, |p| p.protobuf.stmts.len()).ok(), Some(1), "{whole}");
            &named.inner
        }
        // These are made in a session, not by the planner.
        Wrap::Fetch(_) | Wrap::Move(_) | Wrap::Execute(_) | Wrap::Commit => panic!("{:?}", plan.wrap),
    };
    if plan.copy_in().is_some() {
        return;
    }
    let variant = match inner.kind {
        StatementKind::Select => context.variant,
        StatementKind::Insert
        | StatementKind::Update
        | StatementKind::Delete
        | StatementKind::Merge
        | StatementKind::With => Variant::Assigned,
    };
    let Context { role, policy, catalog, namespace, .. } = context;
    let checked = CheckContext {
        context: resolve::Context { role, bound: policy, catalog, namespace },
        params: GuardParams::after(inner.client_params, variant),
        source: check::ParameterSource::UNDECLARED,
    };
    let again = deep(|| check::check(&inner.text, &checked));
    assert_eq!(again, Ok(()), "{}", inner.text);
    if let Some(copy) = plan.copy_out() {
        let user: (u16, &str) = (inner.principal_param.unwrap_or(1), "a'\\b");
        let grants = inner.grants_param.map(|n| (n, "{1,2}"));
        let opened = inner.opened_param.map(|n| (n, "{c/PSY/1}"));
        let values: Vec<_> = [user].into_iter().chain(grants).chain(opened).collect();
        if let Ok(filled) = literal::fill(&copy.text, &values) {
            assert_eq!(messages(&filled, |p| p.protobuf.stmts.len()).ok(), Some(1), "{filled}");
        }
    }
}

/// By libpg_query's own list of tables, which shares no code with `resolve`.
fn verbatim(text: &str, catalog: &Catalog) {
    let Ok(tables) = messages(text, |p| p.tables()) else { panic!("not parsed: {text}") };
    for table in tables {
        let name = table.rsplit('.').next().unwrap_or_default();
        let schema = table.rsplit_once('.').map_or("public", |(schema, _)| schema);
        let known = catalog.by_name.contains_key(&QualifiedName::new(schema, name));
        assert!(!known || matches!(name, "ward" | "patients_all"), "{table} in {text}");
    }
}
