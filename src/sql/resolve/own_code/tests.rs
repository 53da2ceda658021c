//! Unit tests of what is reached and judged, on a made-up catalog.

use super::*;
use crate::catalog::{
    Code, Expression, Function, OwnCast, OwnFunction, OwnOperator, OwnType, QualifiedName, Words,
};
use crate::policy::Scope;
use crate::sql::fixture::Clinic;
use crate::sql::parse::parse_ours;

const TOLD: u32 = 30_000;
const KNOWN: u32 = 30_001;
const TELL: u32 = 30_100;

/// A clinic with a cast from text to a type, a domain and an operator, all over one function.
fn clinic(body: &str) -> Clinic {
    let mut clinic = Clinic::new();
    let own = &mut clinic.catalog.own_code;
    let code = Words::of(body).map_or(Code::Opaque, Code::Words);
    own.functions
        .insert(TELL, OwnFunction { name: QualifiedName::new("public", "tell"), code, of_extension: false });
    own.casts.push(OwnCast { from: 25, to: TOLD, function: TELL, context: 'e' });
    let words = Words::of("(tell(VALUE))").unwrap();
    own.domains.insert(KNOWN, vec![Expression { words, functions: vec![TELL] }]);
    for (name, oid) in [("told", TOLD), ("known", KNOWN)] {
        own.type_names.insert(name.into(), vec![OwnType { oid, schema: "public".into() }]);
    }
    let operator = OwnOperator {
        schema: "public".into(),
        types: vec![25, 25, 25],
        operands: 2,
        takes_enum: false,
        functions: vec![TELL],
    };
    own.operators.insert("=%=".into(), vec![operator]);
    own.builtin_operators.insert("=".into());
    let function = Function {
        oid: TELL,
        schema: "public".into(),
        args: vec![25],
        result: TOLD,
        leakproof: false,
        volatility: 'v',
        kind: 'f',
        unary: true,
        takes_row: false,
    };
    clinic.catalog.functions.insert("tell".into(), vec![function]);
    clinic
}

fn refused(clinic: &Clinic, sql: &str) -> Option<String> {
    refusal(&parse_ours(sql).unwrap().statements[0].root, &clinic.context()).map(|r| r.message)
}

const REACHING: [&str; 7] = [
    "SELECT 'x'::told",
    "SELECT name::public.told FROM ward",
    "SELECT 'x'::known",
    "SELECT ARRAY['x']::known[]",
    "SELECT known(name) FROM ward",
    "SELECT 'a' =%= name FROM ward",
    "PREPARE p (known) AS SELECT $1",
];

#[test]
fn a_function_that_reads_what_is_closed_is_refused_where_it_is_reached() {
    for body in [
        "SELECT name FROM patients LIMIT 1",
        "BEGIN RETURN name FROM public.patients LIMIT 1; END",
        "BEGIN RETURN (TABLE secret); END",
        "BEGIN EXECUTE $1; END",
        "BEGIN RETURN get_ssn(1); END",
        "BEGIN RETURN (1).get_ssn; END",
        "BEGIN PERFORM pg_sleep(1); END",
    ] {
        let clinic = clinic(body);
        for sql in REACHING {
            let message = refused(&clinic, sql).unwrap_or_else(|| panic!("{body}: {sql}"));
            assert!(message.contains("function public.tell, which runs behind"), "{message}");
        }
        for sql in
            ["SELECT name FROM patients WHERE name = 'x'", "SELECT 1::int4", "BEGIN", "SELECT 'x'::gender"]
        {
            assert_eq!(refused(&clinic, sql), None, "{sql}");
        }
    }
}

#[test]
fn a_function_that_shows_nothing_is_not() {
    for body in [
        "SELECT lower($1)",
        "SELECT EXISTS (SELECT FROM ward WHERE name = $1)",
        "DECLARE patients text := lower($1); BEGIN RETURN patients; END",
        "BEGIN RETURN tell($1); END",
        "BEGIN RETURN fmt($1); END",
    ] {
        let clinic = clinic(body);
        for sql in REACHING {
            assert_eq!(refused(&clinic, sql), None, "{body}: {sql}");
        }
    }
    let mut clinic = clinic("SELECT name FROM patients LIMIT 1");
    clinic.role.functions.insert(QualifiedName::new("public", "tell"));
    for sql in REACHING {
        assert_eq!(refused(&clinic, sql), None, "{sql}");
    }
}

#[test]
fn a_temporary_type_is_closed() {
    let mut clinic = Clinic::new();
    assert_eq!(refused(&clinic, "SELECT 'x'::probe"), None);
    clinic.namespace.temp_types.push("probe".into());
    for sql in ["SELECT 'x'::probe", "SELECT 'x'::pg_temp.probe", "SELECT '{x}'::_probe", "SELECT probe('x')"]
    {
        assert!(refused(&clinic, sql).is_some_and(|m| m.contains("temporary type")), "{sql}");
    }
    assert_eq!(refused(&clinic, "SELECT 'x'::public.probe, 'x'::text"), None);
}

#[test]
fn a_parameter_of_a_domain_is_refused() {
    let clinic = clinic("SELECT name FROM patients LIMIT 1");
    assert!(parameter_refusal(&[25, KNOWN], &clinic.context()).is_some());
    assert!(parameter_refusal(&[25, TOLD], &clinic.context()).is_none());
}

/// `lower(citext)` and its like: of an extension, and harmless, they are as good as the built-in function.
#[test]
fn an_extensions_function_by_a_built_in_name_is_judged_by_what_it_does() {
    const LOWER: u32 = 30_200;
    let with = |body: Option<&str>, of_extension: bool, scope: Scope| {
        let mut clinic = Clinic::new();
        let code = body.map_or(Code::Compiled(true), |b| Words::of(b).map_or(Code::Opaque, Code::Words));
        let name = QualifiedName::new("public", "lower");
        clinic.catalog.own_code.overloads.insert(LOWER, OwnFunction { name, code, of_extension });
        let lower = clinic.catalog.functions.get_mut("lower").unwrap();
        let own = Function { oid: LOWER, schema: "public".into(), args: vec![KNOWN], ..lower[0].clone() };
        lower.push(own);
        clinic.role = crate::sql::fixture::role(scope);
        let root = parse_ours("SELECT lower(name) FROM patients").unwrap().statements.remove(0);
        super::super::decide(&root, &clinic.context())
    };
    for (scope, closed) in [(Scope::Assigned, "Refused"), (Scope::All, "Unattributed")] {
        for (body, of_extension, harmless) in [
            (None, true, true),
            (Some("SELECT pg_catalog.lower($1::text)"), true, true),
            (None, false, false),
            (Some("SELECT name FROM patients"), true, false),
            (Some("BEGIN EXECUTE $1; END"), true, false),
        ] {
            let decision = format!("{:?}", with(body, of_extension, scope));
            let expected = if harmless { "NeedsGuard" } else { closed };
            assert!(decision.starts_with(expected), "{scope:?} {body:?} {of_extension}: {decision}");
        }
    }
}
