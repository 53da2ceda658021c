//! Tables of those who work there, and of places: they may have names and addresses, but not patients'.

use super::schema::Table;
use super::words::any;

/// Users, providers, employees.
pub(super) fn is_staff(table: &Table<'_>) -> bool {
    const STAFF: [&str; 15] = [
        "user",
        "provider",
        "practitioner",
        "clinician",
        "physician",
        "doctor",
        "nurse",
        "staff",
        "employee",
        "login",
        "caregiver",
        "surgeon",
        "prescriber",
        "operator",
        "personnel",
    ];
    // `patient_provider` is of patients.
    any(&table.words, &STAFF)
        && !any(&table.words, &["patient", "encounter", "visit", "assigned", "assignment"])
}

/// Organisations and places.
pub(super) fn is_place(table: &Table<'_>) -> bool {
    const PLACES: [&str; 17] = [
        "site",
        "organization",
        "organisation",
        "hospital",
        "facility",
        "clinic",
        "department",
        "ward",
        "unit",
        "payer",
        "insurer",
        "company",
        "institution",
        "practice",
        "room",
        "careunit",
        "center",
    ];
    any(&table.words, &PLACES) && !any(&table.words, &["patient", "transition", "plan"])
}

/// Columns with secrets of logins.
pub(super) fn has_secrets(table: &Table<'_>) -> bool {
    let words = ["password", "passwd", "pwd", "secret", "token", "salt", "otp", "passphrase"];
    table.columns.iter().any(|c| any(&c.words, &words))
}
