//! What a parameter is, and where that makes the server convert something row by row.

use super::{Seen, run_with};
use crate::sql::check::{ParameterSource, ParameterType};
use crate::sql::fixture::Clinic;

/// `int4`, `int8`, `text`, `varchar`, `numeric`, `float8`, `date`, `int8[]`, `text[]`, `unknown`, `json`.
const INT4: u32 = 23;
const INT8: u32 = 20;
const TEXT: u32 = 25;
const VARCHAR: u32 = 1043;
const NUMERIC: u32 = 1700;
const FLOAT8: u32 = 701;
const DATE: u32 = 1082;
const INT8S: u32 = 1016;
const TEXTS: u32 = 1009;
const UNKNOWN: u32 = 705;
const JSON: u32 = 114;

fn seen(clinic: &Clinic, declared: &[u32], condition: &str) -> Vec<Seen> {
    let types: Vec<_> = declared.iter().map(|oid| ParameterType::of_oid(*oid)).collect();
    [
        format!("SELECT p.name FROM patients p WHERE ({condition}) AND {{patients p}}"),
        format!("SELECT p.name FROM patients p JOIN ward w ON ({condition}) WHERE {{patients p}}"),
        format!("SELECT w.name FROM ward w LEFT JOIN patients p ON ({condition}) AND {{patients p}}"),
    ]
    .iter()
    .map(|text| run_with(clinic, text, ParameterSource::Client(&types)))
    .collect()
}

#[test]
fn casts_of_parameters_that_fit_need_no_fence() {
    let clinic = Clinic::new();
    for (declared, condition) in [
        (&[][..], "p.mrn = $1::int8"),
        (&[0, UNKNOWN], "p.mrn = $1::int8 AND p.dob > $2::date"),
        (&[INT8], "p.mrn = $1::int8"),
        (&[INT4], "p.mrn = $1::int8"),
        (&[INT4], "p.weight > $1::numeric AND p.weight < $1"),
        (&[INT8], "p.name = $1::text"),
        (&[VARCHAR], "p.name = $1::text"),
        (&[TEXT], "p.name = $1::varchar(3)"),
        (&[DATE], "p.dob = $1::date"),
        (&[INT8S], "p.mrn = ANY ($1::int8[])"),
        (&[], "p.mrn = ANY ($1::int8[]) OR $1::int8[] IS NULL"),
        (&[], "($1::int8 IS NULL OR p.mrn = $1) AND ($2::text IS NULL OR p.name = $2)"),
        (&[], "($1::int8[] IS NULL OR p.mrn = ANY ($1))"),
        (&[], "($1 IS NULL OR p.dob >= $1::date)"),
        (&[], "p.dob >= $1::date AND p.dob <= $1::date"),
        (&[], "p.sex = $1::public.gender"),
        (&[], "p.sex = ANY ($1::public.gender[])"),
        // It is what the column is.
        (&[], "p.weight > $1"),
        (&[NUMERIC], "p.weight > $1"),
        (&[INT8], "p.weight > $1"),
        (&[], "p.weight BETWEEN $1 AND $2"),
        (&[], "p.weight > $1 OR p.weight < $1"),
        (&[INT4], "p.score > $1"),
        (&[FLOAT8], "p.score > $1"),
        (&[], "p.score IN ($1, $2)"),
    ] {
        let all = seen(&clinic, declared, condition);
        assert!(all.iter().all(|s| *s == Seen::Pass), "{declared:?} {condition} {all:?}");
    }
}

#[test]
fn what_a_parameter_is_converted_from_or_to_needs_a_fence() {
    let clinic = Clinic::new();
    for (declared, condition) in [
        (&[TEXT][..], "p.mrn = $1::int8"),
        (&[VARCHAR], "p.dob = $1::date"),
        (&[JSON], "p.mrn = $1::int8"),
        (&[90_000], "p.name = $1::text"),
        (&[INT8], "p.visits = $1::int4"),
        (&[NUMERIC], "p.mrn = $1::int8"),
        (&[NUMERIC], "p.score = $1::float8"),
        (&[FLOAT8], "p.score = $1::real"),
        (&[DATE], "p.seen_at = $1::timestamptz"),
        (&[TEXT], "p.mrn = ANY ($1::int8[])"),
        (&[TEXTS], "p.mrn = ANY ($1::int8[])"),
        (&[TEXT], "p.mrn IN (SELECT unnest($1::int8[]))"),
        (&[TEXT], "EXISTS (SELECT FROM unnest($1::int8[]) n WHERE n = p.mrn)"),
        (&[TEXT], "p.sex = $1::public.gender"),
        (&[TEXT], "p.sex = ANY ($1::public.gender[])"),
        (&[TEXT], "(p.mrn, p.name) = ($1::int8, 'x')"),
        (&[TEXT], "p.mrn IN ($1::int8, 2)"),
        (&[TEXT], "CASE WHEN p.active THEN $1::int8 ELSE 0 END > 1"),
        // Cut to a length that it may not have.
        (&[], "p.weight = $1::numeric(4,2)"),
        (&[NUMERIC], "p.weight = $1::numeric(4,2)"),
        // The places do not agree.
        (&[], "p.name = $1 AND p.mrn = $1::int8"),
        (&[], "$1::text IS NOT NULL AND p.mrn = $1::int8"),
        (&[], "$1::int8 IS NOT NULL AND p.visits = $1::int4"),
        (&[], "length($1) = 1 AND p.mrn = $1::int8"),
        (&[], "coalesce($1, p.name) = 'x' AND p.mrn = $1::int8"),
        (&[], "p.name LIKE $1 AND p.mrn = $1::int8"),
        (&[], "p.dob = $1 AND p.seen_at = $1::timestamptz"),
        (&[], "p.sex = $1 AND p.name = $1::text"),
        (&[], "$1::date IS NOT NULL AND p.sex = ANY ($1::public.gender[])"),
        // It has the name of a column, but is another one.
        (
            &[],
            "EXISTS (SELECT FROM (SELECT w.name AS mrn FROM ward w) x WHERE x.mrn = $1) AND p.mrn = $1::int8",
        ),
        (
            &[],
            "EXISTS (SELECT FROM (SELECT lower(w.name) FROM ward w) x (mrn) WHERE x.mrn = $1) AND p.mrn = $1::int8",
        ),
        (&[], "EXISTS (SELECT FROM (VALUES ('x')) x (mrn) WHERE x.mrn = $1) AND p.mrn = $1::int8"),
        (
            &[],
            "EXISTS (WITH x (mrn) AS (SELECT w.name FROM ward w) SELECT FROM x WHERE x.mrn = $1) AND p.mrn = $1::int8",
        ),
        (&[], "EXISTS (SELECT FROM unnest('{x}'::text[]) AS mrn WHERE mrn = $1) AND p.mrn = $1::int8"),
        // The column, or the parameter, is converted.
        (&[NUMERIC], "p.score > $1"),
        (&[], "p.weight > $1 AND p.score > $1"),
    ] {
        let all = seen(&clinic, declared, condition);
        assert!(all.iter().all(|s| *s == Seen::Fence), "{declared:?} {condition} {all:?}");
    }
}

#[test]
fn a_number_beside_a_parameter_of_another_kind_needs_a_fence() {
    let clinic = Clinic::new();
    for (declared, condition, expected) in [
        (&[][..], "r.value > $1", Seen::Pass),
        (&[NUMERIC], "r.value > $1 AND r.value < $1", Seen::Pass),
        (&[INT4], "r.value IN ($1, 2)", Seen::Pass),
        (&[], "coalesce(r.value, $1) > 0", Seen::Pass),
        (&[FLOAT8], "r.value > $1", Seen::Fence),
        (&[FLOAT8], "r.value IN ($1, 2)", Seen::Fence),
        (&[FLOAT8], "coalesce(r.value, $1) > 0", Seen::Fence),
        (&[JSON], "r.value > $1", Seen::Fence),
        (&[], "r.value > $1 AND $1::float8 > 0", Seen::Fence),
        (&[], "r.value > $1 AND length($1) > 0", Seen::Fence),
    ] {
        let types: Vec<_> = declared.iter().map(|oid| ParameterType::of_oid(*oid)).collect();
        let text = format!("SELECT r.unit FROM results r WHERE ({condition}) AND {{results r}}");
        assert_eq!(
            run_with(&clinic, &text, ParameterSource::Client(&types)),
            expected,
            "{declared:?} {condition}"
        );
    }
}
