//! The examples of docs/messages.md are what the program says, and every refusal says what to do next.

use super::Verdict;
use super::planner::decide;
use super::planner::tests::session;
use crate::policy::Refusal;

/// Statements that each role of the demonstration is refused.
const REFUSED: &[(&str, &str)] = &[
    ("nurse", "SELECT ctid FROM clinic.patient"),
    ("nurse", "SELECT name, pg_sleep(1) FROM clinic.patient"),
    ("nurse", "SELECT query_to_xml('SELECT 1', true, false, '')"),
    ("nurse", "SELECT * FROM pg_stats"),
    ("nurse", "SELECT * FROM glass.assigned"),
    ("billing", "SELECT body FROM clinic.note"),
    ("auditor", "SELECT name FROM clinic.patient"),
    ("nurse", "SELECT * INTO TEMP mine FROM clinic.patient"),
    ("nurse", "CREATE TEMP TABLE mine AS SELECT * FROM clinic.patient"),
    ("nurse", "SELECT 1 OPERATOR(clinic.+) 2"),
    ("nurse", "SET row_security = off"),
    ("nurse", "SET ROLE dba"),
    ("nurse", "COPY clinic.patient TO '/tmp/patients'"),
    ("nurse", "LOCK TABLE clinic.patient"),
    ("nurse", "DROP TABLE clinic.patient"),
    ("nurse", "PREPARE TRANSACTION 'x'"),
    ("nurse", "DO 'BEGIN NULL; END'"),
    ("nurse", "CREATE VIEW v AS SELECT * FROM clinic.patient"),
];

fn refusal(role: &str, text: &str) -> Refusal {
    match decide(text, &session(role)).map(|planned| planned.refusal()) {
        Ok(Some(refusal)) | Err(refusal) => refusal,
        Ok(None) => panic!("{role}: {text} is not refused"),
    }
}

#[test]
fn the_examples_of_the_documentation_are_what_is_said() {
    let mut table = String::from("| role | statement | message | at | hint |\n|---|---|---|---|---|\n");
    for (role, text) in REFUSED {
        let refusal = refusal(role, text);
        let at = refusal.position.map_or_else(String::new, |p| p.to_string());
        let advice = refusal.advice().unwrap_or_else(|| panic!("{text}: nothing to do next"));
        table += &format!("| {role} | `{text}` | {refusal} | {at} | {advice} |\n");
    }
    let page = include_str!("../../docs/messages.md");
    assert!(page.contains(&table), "docs/messages.md should have this table:\n{table}");
}

#[test]
fn every_code_is_documented() {
    use crate::policy::GlsCode as C;
    let page = include_str!("../../docs/messages.md");
    for code in [
        C::NotYourPatient,
        C::RowsWithheld,
        C::CannotBreakGlass,
        C::CategoryNotOpened,
        C::ReadOnly,
        C::Quota,
        C::SecondFactor,
        C::ApprovalPending,
        C::SessionEnded,
        C::RowMoved,
        C::NotMapped,
        C::LedgerUnavailable,
        C::CannotGuard,
        C::WouldEnforce,
    ] {
        assert!(page.contains(&format!("| {} |", code.as_str())), "{code:?}");
    }
}

/// What is refused for what it is made of, by whichever part.
#[test]
fn no_refusal_leaves_the_client_without_a_next_step() {
    let unsupported = [
        "SELECT name FROM clinic.patient TABLESAMPLE system(1) WHERE name::int > 0",
        "UPDATE clinic.note SET patient_id = 880015 WHERE note_id = 1",
        "INSERT INTO clinic.note SELECT * FROM clinic.note ON CONFLICT DO NOTHING",
        "WITH RECURSIVE x AS (DELETE FROM clinic.note RETURNING 1) SELECT * FROM x",
        "VACUUM clinic.patient",
        "ALTER TABLE clinic.patient DISABLE TRIGGER ALL",
        "GRANT SELECT ON clinic.patient TO PUBLIC",
        "SECURITY LABEL ON TABLE clinic.patient IS 'x'",
        "REASSIGN OWNED BY a TO b",
    ];
    for text in unsupported {
        let Ok(planned) = decide(text, &session("nurse")) else { continue };
        for statement in &planned.statements {
            let Verdict::Refused(refusal) = &statement.verdict else { continue };
            let advice = refusal.advice().unwrap_or_default();
            assert!(advice.ends_with('.') || advice.ends_with(';'), "{text}: {refusal}: {advice:?}");
            assert!(refusal.message.len() > 20, "{text}: {refusal}");
        }
    }
}
