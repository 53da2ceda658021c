//! What the Rust programs of the driver matrix share: running a check and printing its result as one line, name, tab
//! and JSON. tests/clients/matrix/checks.py says what a result holds and what the environment.

use std::time::Duration;

pub use serde_json::{Value, json};

/// Statements that every driver runs; as in checks.py.
pub const PATIENTS: &str =
    "SELECT patient_id, mrn, name, birth_date, email FROM clinic.patient ORDER BY patient_id LIMIT 40";
pub const JOINED: &str = "SELECT p.name, w.code, e.kind, e.admitted_at, e.charge FROM clinic.patient p \
    JOIN clinic.encounter e USING (patient_id) LEFT JOIN clinic.ward w USING (ward_id) \
    ORDER BY e.encounter_id LIMIT 30";
pub const COUNTED: &str =
    "SELECT status, count(*), max(onset) FROM clinic.problem GROUP BY status ORDER BY status";
pub const WARDS: &str = "SELECT * FROM clinic.ward ORDER BY ward_id";
pub const BY_KEY: &str = "SELECT name, birth_date FROM clinic.patient WHERE patient_id = $1";

/// nurse_amy's patients: `MINE`, `MINE + APART`, ... to `MINE + 24 * APART`.
pub const MINE: i64 = 880_003;
pub const APART: i64 = 12;

pub type Checked = Result<Value, Box<dyn std::error::Error + Send + Sync>>;

/// A variable that tests/clients/matrix/run.sh sets.
pub fn env(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"))
}

/// True for a login of scope "assigned".
pub fn assigned() -> bool {
    env("MATRIX_SCOPE") == "assigned"
}

/// The PEM file of the authority, when TLS is wanted.
pub fn authority() -> Option<String> {
    (env("PGSSLMODE") != "disable").then(|| env("PGSSLROOTCERT"))
}

/// Bytes as they came, readable where they are text.
pub fn shown(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains(char::is_control) => json!(text),
        _ => json!(bytes.iter().map(|b| format!("{b:02x}")).collect::<String>()),
    }
}

/// Runs one check and prints its line; `told` is what an error is reduced to.
pub async fn say(
    name: &str,
    check: impl Future<Output = Checked>,
    told: impl Fn(&(dyn std::error::Error + Send + Sync + 'static)) -> Value,
) {
    let result = match tokio::time::timeout(Duration::from_secs(60), check).await {
        Ok(Ok(value)) => value,
        Ok(Err(error)) => json!({ "error": told(&*error) }),
        Err(_) => json!({ "error": "no answer in 60 s" }),
    };
    println!("{name}\t{result}");
}
