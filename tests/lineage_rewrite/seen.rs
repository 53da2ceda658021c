//! What comes of a guarded plan's reply: what the client sees of it, and whom the record names; and a database without
//! somebody's rows. Shared by the tests that run plans themselves. Not the session's own code, which does the same.

use std::collections::BTreeSet;

use pgglass::sql::{GuardedPlan, PinValue};

use crate::server::Reply;

/// What the client sees, and whom the record names.
#[derive(Debug, PartialEq)]
pub(crate) struct Seen {
    pub(crate) reply: Reply,
    pub(crate) patients: BTreeSet<i64>,
    /// Rows that stand for rows of the client's, or for those it wrote.
    pub(crate) moved: usize,
}

impl Seen {
    pub(crate) fn of(plan: &GuardedPlan, reply: Reply) -> Seen {
        let mut patients = BTreeSet::new();
        for pin in plan.pins.iter().filter(|p| p.certain && p.identifier.is_none()) {
            if let PinValue::Constant(text) = &pin.value {
                patients.insert(text.parse().unwrap());
            }
        }
        let (names, rows) = match reply {
            Ok(ok) => ok,
            Err(e) => return Seen { reply: Err(e), patients, moved: 0 },
        };
        let shown: Vec<usize> = (0..names.len()).filter(|i| !names[*i].starts_with("__glass_")).collect();
        let mut kept = Vec::new();
        let mut moved = 0;
        for row in rows {
            let mut real = true;
            for (name, value) in names.iter().zip(&row) {
                match (name.get(..9), value) {
                    (Some("__glass_k"), Some(key)) => _ = patients.insert(key.parse().unwrap()),
                    (Some("__glass_s"), Some(set)) => {
                        let keys = set.trim_matches(['{', '}']).split(',');
                        let keys = keys.filter(|k| !k.is_empty() && *k != "NULL");
                        patients.extend(keys.map(|k| k.parse::<i64>().unwrap()));
                    }
                    (Some("__glass_m"), None) => real = false,
                    _ => {}
                }
            }
            moved += usize::from(real);
            if real && !plan.rows_are_witnesses {
                kept.push(shown.iter().map(|i| row[*i].clone()).collect());
            }
        }
        let names = match plan.rows_are_witnesses {
            true => Vec::new(),
            false => shown.iter().map(|i| names[*i].clone()).collect(),
        };
        Seen { reply: Ok((names, kept)), patients, moved }
    }
}

/// Deletes the rows of everyone whose key satisfies `who` (SQL over `patient_id`).
pub(crate) fn forget(who: &str) -> String {
    format!(
        "DELETE FROM lab_result r WHERE (SELECT {who} FROM (SELECT (SELECT patient_id FROM lab_order o \
         WHERE o.order_id = r.order_id) AS patient_id) k); DELETE FROM lab_order WHERE {who}; \
         DELETE FROM encounter WHERE {who}; DELETE FROM patient WHERE {who};"
    )
}

/// Everyone but the user's patients.
pub(crate) const STRANGERS: &str = "coalesce(patient_id NOT IN (1, 2, 4), true)";
