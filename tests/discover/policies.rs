//! What is written for known schemas, against policies written by hand: a line of the policy that is missing, too much
//! or another counts one. Both are read by pgglass itself, so that only meaning counts.

use std::collections::BTreeSet;

use pgglass::catalog::QualifiedName;
use pgglass::config::Config;
use pgglass::policy::Scope;

use crate::common::Postgres;
use crate::support::{accepted, discover, policy_of};

const OMOP: &str = include_str!("../schemas/omop.sql");
const OMOP_KEYS: &str = include_str!("../schemas/omop-keys.sql");

/// A policy as single statements, each of which somebody would have to write: tables with their way and class,
/// reference tables, identifiers, assignment, what roles see.
pub(crate) fn facts(config: &Config) -> BTreeSet<String> {
    let policy = &config.policy;
    let mut out = BTreeSet::new();
    out.insert(format!("key type {:?}", policy.key_type));
    for i in &policy.identifiers {
        out.insert(format!("identifier {}.{}", i.table, i.column));
    }
    let a = &policy.assignment;
    out.insert(format!("assignment {} {} {}", a.relation, a.principal, a.patient));
    out.insert(format!("valid {:?} {:?}", a.valid_from, a.valid_to));
    for t in &policy.tables {
        out.insert(format!("table {} {:?}", t.name, t.path));
        out.insert(format!("class {} {}", t.name, t.class));
    }
    for r in &policy.reference {
        out.insert(format!("reference {r}"));
    }
    for role in policy.roles.values() {
        out.insert(format!("role {} scope {:?}", role.name, role.scope));
        out.insert(format!("role {} outside {:?} {:?}", role.name, role.outside, role.break_glass));
        out.insert(format!("role {} classes {:?}", role.name, role.classes));
        out.insert(format!("role {} officer {}", role.name, role.privacy_officer));
        // Which columns an analyst may see is for people to say; that some are masked is counted.
        let masked = !role.masks.is_empty() || !role.masking.is_empty();
        out.insert(format!("role {} masked {masked}", role.name));
    }
    for (group, role) in &policy.membership.groups {
        out.insert(format!("group {group} {role}"));
    }
    out
}

/// The lines that differ.
fn differences(found: &Config, by_hand: &Config) -> Vec<String> {
    let (found, by_hand) = (facts(found), facts(by_hand));
    let extra = found.difference(&by_hand).map(|f| format!("+ {f}"));
    extra.chain(by_hand.difference(&found).map(|f| format!("- {f}"))).collect()
}

#[test]
fn the_demonstration_needs_a_handful_of_lines() {
    let database = Postgres::shared().demo();
    let found = policy_of(&discover(&database, &[]));
    let by_hand = policy_of(
        &include_str!("../../demo/pgglass.toml")
            .replace("@NODE@", "n")
            .replace("@LISTEN_PORT@", "1")
            .replace("@UPSTREAM_PORT@", "1"),
    );
    let different = differences(&found, &by_hand);
    println!("demonstration: {} lines differ\n{}", different.len(), different.join("\n"));
    // Each line that is other counts twice here, once as it was found and once as it should be.
    let lines: BTreeSet<String> =
        different.iter().map(|d| d[2..].split(' ').take(3).collect::<Vec<_>>().join(" ")).collect();
    assert!(lines.len() <= 7, "{different:#?}");
    // Nothing about tables has to be written by hand.
    assert!(different.iter().all(|d| d.contains("role ")), "{different:#?}");
}

/// Functions of extensions that compute from their arguments alone are proposed to restricted roles, as a comment that
/// is a configuration when its signs are taken away; what runs a query or sets a threshold is not, nor a name that
/// functions of the database's own have, too.
#[test]
fn functions_of_extensions_that_only_compute_are_proposed() {
    let none = discover(&Postgres::shared().demo(), &[]);
    assert!(!none.contains("functions"), "{none}");
    let database = Postgres::shared().demo();
    let sql = "CREATE SCHEMA ext; CREATE EXTENSION pg_trgm SCHEMA ext; CREATE EXTENSION fuzzystrmatch; \
               CREATE EXTENSION pgcrypto; CREATE EXTENSION unaccent; CREATE EXTENSION \"uuid-ossp\"; \
               CREATE EXTENSION tablefunc; CREATE EXTENSION dblink; \
               CREATE FUNCTION public.digest(int8) RETURNS text LANGUAGE sql AS \
               'SELECT name FROM clinic.patient WHERE patient_id = $1'";
    database.server().psql(database.name(), sql);
    let text = discover(&database, &[]);
    let proposed: String = text
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(list) if list.starts_with("functions = [") || list.starts_with("    \"") || list == "]" => {
                list
            }
            _ => line,
        })
        .map(|line| format!("{line}\n"))
        .collect();
    accepted(&proposed);
    let policy = policy_of(&proposed).policy;
    let of_scope = |scope: Scope| -> Vec<&BTreeSet<QualifiedName>> {
        policy.roles.values().filter(|r| r.scope == scope).map(|r| &r.functions).collect()
    };
    let restricted = of_scope(Scope::Assigned);
    assert!(!restricted.is_empty() && of_scope(Scope::All).iter().all(|f| f.is_empty()), "{text}");
    for functions in restricted {
        let names: BTreeSet<String> = functions.iter().map(ToString::to_string).collect();
        for name in [
            "ext.similarity",
            "ext.show_trgm",
            "public.unaccent",
            "public.levenshtein",
            "public.hmac",
            "public.uuid_generate_v4",
        ] {
            assert!(names.contains(name), "{name}: {names:?}");
        }
        for part in ["digest", "set_limit", "show_limit", "_op", "crosstab", "dblink", "decrypt", "unaccent_"]
        {
            assert!(!names.iter().any(|n| n.contains(part)), "{part}: {names:?}");
        }
    }
}

/// What somebody who knows the OMOP Common Data Model would write for its 39 tables.
fn omop_by_hand() -> String {
    let direct = [
        ("demographics", "person"),
        ("visits", "observation_period visit_occurrence visit_detail"),
        ("problems", "condition_occurrence condition_era episode"),
        ("procedures", "procedure_occurrence"),
        ("labs", "measurement observation specimen"),
        ("medication", "drug_exposure drug_era dose_era"),
        ("devices", "device_exposure"),
        ("notes", "note"),
        ("death", "death"),
        ("financial", "payer_plan_period"),
    ];
    let mut text = String::from(include_str!("../schemas/omop-head.toml"));
    for (class, tables) in direct {
        for table in tables.split(' ') {
            text += &format!("[[table]]\nname = \"cdm.{table}\"\nclass = \"{class}\"\nkey = \"person_id\"\n");
        }
    }
    text
}

fn omop(keys: &str) {
    let database = Postgres::shared().database_with(&format!("{OMOP}{keys}"));
    let text = discover(&database, &[]);
    let different = differences(&policy_of(&text), &policy_of(&omop_by_hand()));
    println!("OMOP: {} lines differ\n{}", different.len(), different.join("\n"));
    assert!(different.len() <= 4, "{different:#?}");
    // The one table that no rule can follow soundly is said to be one.
    assert!(text.contains("# cdm.fact_relationship: each row ties two records together"), "{text}");
    let source = if keys.is_empty() {
        "key = \"person_id\"   # by name"
    } else {
        "key = \"person_id\"   # foreign key"
    };
    assert!(text.contains(source), "{text}");
}

#[test]
fn omop_without_foreign_keys_needs_a_handful_of_lines() {
    omop("");
}

#[test]
fn omop_with_foreign_keys_needs_a_handful_of_lines() {
    omop(OMOP_KEYS);
}

#[test]
fn omop_without_any_key_says_which_indexes_are_needed() {
    let without = OMOP.replace(" PRIMARY KEY", " NOT NULL");
    let database = Postgres::shared().database_with(&without);
    let text = discover(&database, &[]);
    let said = text.replace("\n#", " ").split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains("One row of cdm.person.person_id is one patient"), "{text}");
    assert!(said.contains("its key is NOT unique"), "{text}");
    let index = "CREATE UNIQUE INDEX ON \"cdm\".\"note\" (\"note_id\");";
    assert!(said.contains(index), "{text}");
    let different = differences(&policy_of(&text), &policy_of(&omop_by_hand()));
    println!("OMOP without keys: {} lines differ\n{}", different.len(), different.join("\n"));
    assert!(different.len() <= 4, "{different:#?}");
}

/// Tables of patients, reference tables and tables left to decide: every table is in one of them.
fn sorted(sql: &str, patient: &str, protected: &[&str], reference: &[&str], open: &[&str]) {
    let database = Postgres::shared().database_with(sql);
    let text = discover(&database, &[]);
    let config = policy_of(&text);
    assert!(text.contains(&format!("One row of {patient} is one patient")), "{text}");
    let names = |expected: &[&str]| expected.iter().map(|n| (*n).to_owned()).collect::<BTreeSet<String>>();
    let found: BTreeSet<String> = config.policy.tables.iter().map(|t| t.name.name.clone()).collect();
    assert_eq!(found, names(protected));
    let found: BTreeSet<String> = config.policy.reference.iter().map(|n| n.name.clone()).collect();
    assert_eq!(found, names(reference));
    for name in open {
        assert!(text.contains(&format!(".{name}: ")), "{name}: {text}");
    }
}

#[test]
fn mimic_iv_is_sorted() {
    sorted(
        include_str!("../schemas/mimic.sql"),
        "mimiciv_hosp.patients.subject_id",
        &[
            "patients",
            "admissions",
            "diagnoses_icd",
            "drgcodes",
            "emar",
            "emar_detail",
            "hcpcsevents",
            "labevents",
            "microbiologyevents",
            "omr",
            "pharmacy",
            "poe",
            "poe_detail",
            "prescriptions",
            "procedures_icd",
            "services",
            "transfers",
            "icustays",
            "chartevents",
            "datetimeevents",
            "ingredientevents",
            "inputevents",
            "outputevents",
            "procedureevents",
        ],
        &["d_hcpcs", "d_icd_diagnoses", "d_icd_procedures", "d_labitems", "d_items", "provider", "caregiver"],
        &[],
    );
}

/// Rows have numbers beside the keys that foreign keys lead to; derived tables have no keys.
#[test]
fn mimic_iii_is_sorted() {
    let sql = include_str!("../schemas/mimic3.sql");
    let protected =
        ["patients", "admissions", "icustays", "chartevents", "icustay_hours", "code_status", "charlson"];
    sorted(sql, "mimiciii.patients.subject_id", &protected, &["d_items"], &[]);
    let config = policy_of(&discover(&Postgres::shared().database_with(sql), &[]));
    assert_eq!(config.policy.assignment.patient, "patient_id");
}

#[test]
fn synthea_is_sorted() {
    sorted(
        include_str!("../schemas/synthea.sql"),
        "synthea.patients.Id",
        &[
            "patients",
            "encounters",
            "allergies",
            "careplans",
            "claims",
            "claims_transactions",
            "conditions",
            "devices",
            "imaging_studies",
            "immunizations",
            "medications",
            "observations",
            "payer_transitions",
            "procedures",
            "supplies",
        ],
        &["organizations", "providers", "payers"],
        &[],
    );
}

#[test]
fn openmrs_is_sorted() {
    sorted(
        include_str!("../schemas/openmrs.sql"),
        "openmrs.patient.patient_id",
        &[
            "patient",
            "person",
            "person_name",
            "person_address",
            "person_attribute",
            "relationship",
            "patient_identifier",
            "visit",
            "encounter",
            "encounter_provider",
            "orders",
            "drug_order",
            "obs",
            "conditions",
            "allergy",
            "allergy_reaction",
            "patient_program",
            "patient_state",
            "cohort_member",
        ],
        &[
            "person_attribute_type",
            "relationship_type",
            "location",
            "patient_identifier_type",
            "concept_class",
            "concept",
            "concept_name",
            "drug",
            "visit_type",
            "encounter_type",
            "form",
            "program",
            "cohort",
        ],
        &["users", "provider", "audit_log", "global_property", "role", "user_role"],
    );
}
