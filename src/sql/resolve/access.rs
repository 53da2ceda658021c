//! Functions and relations against the role: the two judgements that `resolve` and `check` share.

use std::collections::BTreeSet;

use super::own_code::is_harmless_overload;
use super::survey::{Occurrence, Resolution, Usage};
use super::{Context, Survey};
use crate::catalog::{Oid, QualifiedName};
use crate::policy::{Denial, GlsCode, Refusal};
use crate::sql::cannot_guard;
use crate::sql::functions::{Setting, allowed_alone, builtin_allowed, setting, setting_allowed};

/// True when the role may call this function. An unqualified name must mean the built-in one: a
/// function of the same name in another schema shadows it for some argument types.
fn allowed_function(schema: Option<&str>, name: &str, context: &Context<'_>) -> bool {
    let listed = |s: &str| context.role.functions.contains(&QualifiedName::new(s, name));
    if let Some(schema) = schema {
        // JDBC's metadata queries call the helpers of information_schema.
        let helper = schema == "information_schema" && name.starts_with("_pg_");
        return (schema == "pg_catalog" && builtin_allowed(name)) || helper || listed(schema);
    }
    let mut others = context
        .catalog
        .functions
        .get(name)
        .into_iter()
        .flatten()
        .filter(|f| f.schema != "pg_catalog" && context.namespace.schemas.contains(&f.schema))
        .peekable();
    if others.peek().is_some() {
        // Which one is meant depends on argument types: each must be allowed.
        return others.all(|f| listed(&f.schema) || is_harmless_overload(f, name, context))
            && (builtin_allowed(name) || listed("pg_catalog") || !is_builtin(name, context));
    }
    builtin_allowed(name) || listed("pg_catalog")
}

/// The functions that a call of this name can mean and that are not listed, as the configuration names them.
fn listed_as(schema: Option<&str>, name: &str, context: &Context<'_>) -> String {
    let functions = context.catalog.functions.get(name).into_iter().flatten();
    let all: BTreeSet<&str> = functions.map(|f| f.schema.as_str()).collect();
    let on_path = |s: &&str| *s != "pg_catalog" && context.namespace.schemas.iter().any(|n| n == s);
    let mut meant: BTreeSet<&str> = match schema {
        Some(schema) => BTreeSet::from([schema]),
        None => all.iter().copied().filter(on_path).collect(),
    };
    let builtin = is_builtin(name, context) && !builtin_allowed(name);
    if schema.is_none() && (builtin || all.is_empty()) {
        meant.insert("pg_catalog");
    }
    let meant = if meant.is_empty() { all } else { meant };
    let missing = meant.into_iter().map(|s| QualifiedName::new(s, name));
    let missing = missing.filter(|f| !context.role.functions.contains(f)).map(|f| format!("\"{f}\""));
    missing.collect::<Vec<_>>().join(", ")
}

/// True when a call of this name can only fail: no function is called like it in the schemas that can be meant, nor
/// a type or relation, which a call could be a cast to. Whoever calls it could read so in `pg_proc`.
fn is_nothing(schema: Option<&str>, name: &str, context: &Context<'_>) -> bool {
    let Context { catalog, namespace, .. } = context;
    let functions = catalog.functions.get(name).into_iter().flatten();
    let meant = |s: &str| schema.map_or_else(|| namespace.schemas.iter().any(|n| n == s), |given| given == s);
    let temporary = schema.is_some_and(|s| s.starts_with("pg_temp"));
    !catalog.functions.is_empty()
        && !temporary
        && !functions.into_iter().any(|f| f.schema == "pg_catalog" || meant(&f.schema))
        && !catalog.foreign_types.contains_key(name)
        && !catalog.by_name.keys().any(|relation| relation.name == name)
        && !namespace.temp_types.iter().any(|t| t == name)
}

/// True when a relation of the statement has such a column: `name(alias)` is then `alias.name` (ParseFuncOrColumn).
fn is_column(name: &str, survey: &Survey, context: &Context<'_>) -> bool {
    let has = |o: &Occurrence| match o.resolution {
        Resolution::User(oid) => context.catalog.relation(oid).is_some_and(|r| r.column(name).is_some()),
        Resolution::System(_) | Resolution::Temporary | Resolution::Unknown => false,
    };
    context.catalog.functions.get(name).is_none_or(Vec::is_empty) && survey.occurrences.iter().any(has)
}

/// True when the snapshot has a function of `pg_catalog` by this name.
fn is_builtin(name: &str, context: &Context<'_>) -> bool {
    context.catalog.functions.get(name).into_iter().flatten().any(|f| f.schema == "pg_catalog")
}

/// The first function that the role may not call, with `row.name` and `(expr).name` counted as
/// the calls they can be.
pub(crate) fn function_refusal(survey: &Survey, context: &Context<'_>) -> Option<Refusal> {
    let refusal = |schema: Option<&str>, name: &str| {
        let written = schema.map_or_else(|| name.to_owned(), |s| format!("{s}.{name}"));
        Refusal::new(
            GlsCode::CannotGuard,
            format!("function {written} is not allowed for role {}", context.role.name),
        )
        .with_hint(format!(
            "if it neither reads tables nor has side effects, an administrator can add it to [role.{}]: \
             functions = [{}]",
            context.role.name,
            listed_as(schema, name, context),
        ))
    };
    for (schema, name) in &survey.functions {
        let own = context.catalog.functions.get(name).into_iter().flatten().any(|f| f.schema != "pg_catalog");
        if survey.occurrences.is_empty() && !own && allowed_alone(schema.as_deref(), name) {
            continue;
        }
        if !allowed_function(schema.as_deref(), name, context) {
            let written = schema.as_ref().map_or_else(|| name.clone(), |s| format!("{s}.{name}"));
            if schema.is_none() && is_column(name, survey, context) {
                let what = format!("{name}(...), which can be a column written like a function");
                let instead = format!("write the column with its relation's name before it: alias.{name}");
                return Some(cannot_guard(what, &instead));
            }
            if is_nothing(schema.as_deref(), name, context) {
                return Some(Refusal {
                    sqlstate: "42883",
                    ..Refusal::new(GlsCode::CannotGuard, format!("function {written} does not exist"))
                });
            }
            return Some(refusal(schema.as_deref(), name));
        }
    }
    let own_set_config = context
        .catalog
        .functions
        .get("set_config")
        .is_some_and(|f| f.iter().any(|f| f.schema != "pg_catalog"));
    let settable = |name: &str, value: Option<&str>| match value {
        Some(value) => setting_allowed(name, value),
        None => setting(name) == Setting::Free,
    };
    if let Some((name, _)) =
        survey.settings.iter().find(|(n, v)| own_set_config || !settable(n, v.as_deref()))
    {
        return Some(
            Refusal::new(GlsCode::CannotGuard, format!("setting {name} may not be changed by this role"))
                .with_hint("leave it as the server has it, or ask an administrator"),
        );
    }
    let harmless = |a: &str| harmless_attribute(a, survey.scalar_attributes.contains(a), context);
    survey.attributes.iter().find(|a| !harmless(a)).map(|a| refusal(None, a))
}

/// Functions of one argument that `(expr).name` must not reach although it looks like a column.
const ATTRIBUTE_CALLS: [&str; 18] = [
    "pg_sleep",
    "pg_sleep_for",
    "pg_sleep_until",
    "lo_get",
    "lo_unlink",
    "lo_creat",
    "lo_create",
    "lo_import",
    "ts_stat",
    "nextval",
    "currval",
    "pg_read_file",
    "pg_ls_dir",
    "pg_relation_size",
    "pg_terminate_backend",
    "pg_cancel_backend",
    "pg_advisory_lock",
    "pg_table_size",
];

/// True when `row.name`, or `(value).name` where the value may be no row (`scalar`), calls no function that the role
/// may not call.
fn harmless_attribute(name: &str, scalar: bool, context: &Context<'_>) -> bool {
    let listed = |schema: &str| context.role.functions.contains(&QualifiedName::new(schema, name));
    // A snapshot without functions cannot tell what it is.
    if scalar && ATTRIBUTE_CALLS.contains(&name) {
        return listed("pg_catalog");
    }
    let mut meant = context
        .catalog
        .functions
        .get(name)
        .into_iter()
        .flatten()
        .filter(|f| if scalar { f.unary } else { f.takes_row });
    meant.all(|f| {
        listed(&f.schema)
            || if f.schema == "pg_catalog" {
                builtin_allowed(name)
            } else {
                is_harmless_overload(f, name, context)
            }
    })
}

/// True for the target of a write that rules can make another statement of, or add others to.
pub(crate) fn ruled(occurrence: &Occurrence, context: &Context<'_>) -> bool {
    let Resolution::User(oid) = occurrence.resolution else { return false };
    occurrence.usage != Usage::Read && context.catalog.relation(oid).is_some_and(|r| r.has_rules)
}

/// True when a relation that is not protected has a protected partition or child: reading it
/// reads the child's rows.
pub(crate) fn has_protected_child(oid: Oid, context: &Context<'_>) -> bool {
    let parents = |oid: Oid| context.catalog.relation(oid).map_or(&[][..], |r| r.parents.as_slice());
    context.bound.tables.keys().chain(&context.bound.broken).chain(context.bound.denied.keys()).any(|child| {
        let mut seen = Vec::new();
        let mut todo = parents(*child).to_vec();
        while let Some(parent) = todo.pop() {
            if parent == oid {
                return true;
            }
            if !seen.contains(&parent) {
                seen.push(parent);
                todo.extend(parents(parent));
            }
        }
        false
    })
}

/// The refusal for a relation that is closed to the role.
pub(crate) fn not_mapped(name: &str, denial: Option<Denial>, context: &Context<'_>) -> Refusal {
    let role = &context.role.name;
    match denial {
        Some(Denial::NotMapped) => Refusal::new(
            GlsCode::NotMapped,
            format!("relation {name} is neither mapped to patients nor declared free of them"),
        )
        .with_hint("an administrator adds a [[table]] entry with its patient key, or lists it under [reference]"),
        Some(Denial::Misfit) => Refusal::new(
            GlsCode::NotMapped,
            format!("relation {name} is closed: what the policy says of it does not fit the database"),
        )
        .with_hint("an administrator finds why in the log of pgglass, or with pgglass check"),
        Some(Denial::ProtectedPart) => Refusal::new(
            GlsCode::NotMapped,
            format!("relation {name} is closed: a partition or child of it is not free of patients"),
        )
        .with_hint("an administrator gives it a [[table]] entry with its patient key, or takes the part out of it"),
        Some(Denial::ClassNotAllowed) => Refusal::new(
            GlsCode::NotMapped,
            format!("role {role} may not read the class of data in relation {name}"),
        )
        .with_hint(format!("an administrator adds the class to classes of [role.{role}]")),
        Some(Denial::Denied) => {
            Refusal::new(GlsCode::NotMapped, format!("relation {name} is denied to role {role}"))
                .with_hint(format!("an administrator adds it to allow_denied of [role.{role}]"))
        }
        Some(Denial::ScopeNone) => {
            Refusal::new(GlsCode::NotMapped, format!("role {role} may not read patient data (relation {name})"))
        }
        None => Refusal::new(GlsCode::NotMapped, format!("system relation {name} is closed to role {role}"))
            .with_hint("use pg_class, pg_attribute, pg_type or information_schema, which are open: it holds column values, row counts or other users' statements"),
    }
}

/// The refusal for the relation that says who treats whom.
pub(crate) fn assignment_refusal(name: &str, context: &Context<'_>) -> Refusal {
    let role = &context.role.name;
    Refusal::new(
        GlsCode::NotMapped,
        format!("relation {name} says who treats whom and is closed to role {role}"),
    )
    .with_hint("your own patients are those whose rows you see; ask whoever runs pgglass about others")
}

/// The refusal for an operator of another schema.
pub(crate) fn operator_refusal(name: &str) -> Refusal {
    cannot_guard(
        format_args!("operator {name} is not a built-in one"),
        "write the operator without OPERATOR(...)",
    )
}
