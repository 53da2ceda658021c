//! Break-glass is read only: which guard a statement gets, and what a write is told that names a
//! patient who is only granted. Correcting history is not an emergency. Not the guard itself.

use super::Grants;
use crate::policy::{GlsCode, Refusal, Variant};
use crate::sql::StatementKind;

/// The guard variant for a statement under these grants.
///
/// Only a query may see granted patients. INSERT, UPDATE and DELETE always get the `Assigned` guard,
/// for what they read as well: with one guard per statement, a write that could read a granted
/// patient could also write it. What a write does outside the assignment so stays hidden or refused.
pub fn variant_for(kind: StatementKind, grants: &Grants) -> Variant {
    match kind {
        StatementKind::Select => grants.variant(),
        StatementKind::Insert
        | StatementKind::Update
        | StatementKind::Delete
        | StatementKind::Merge
        | StatementKind::With => Variant::Assigned,
    }
}

/// GLS-205 for a write that names a granted patient. Ask when the statement, run with the
/// `Assigned` guard, touched nothing or failed its key check: a patient who is granted and also
/// assigned may be written, and this function does not know assignments. `sought`: canonical keys
/// of the patients that the statement names.
pub fn read_only_refusal(kind: StatementKind, grants: &Grants, sought: &[String]) -> Option<Refusal> {
    match kind {
        StatementKind::Select => None,
        StatementKind::Insert
        | StatementKind::Update
        | StatementKind::Delete
        | StatementKind::Merge
        | StatementKind::With => {
            sought.iter().any(|key| grants.patients.binary_search(key).is_ok()).then(|| {
                Refusal::new(GlsCode::ReadOnly, "a break-glass session is read only; nothing was changed")
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_queries_see_granted_patients() {
        let grants = Grants { patients: vec!["1".into(), "20".into()], ..Grants::default() };
        assert_eq!(variant_for(StatementKind::Select, &grants), Variant::Granted);
        assert_eq!(variant_for(StatementKind::Select, &Grants::default()), Variant::Assigned);
        assert_eq!(read_only_refusal(StatementKind::Select, &grants, &["20".into()]), None);
        let writes =
            [StatementKind::Insert, StatementKind::Update, StatementKind::Delete, StatementKind::With];
        for write in writes {
            assert_eq!(variant_for(write, &grants), Variant::Assigned);
            let refusal = read_only_refusal(write, &grants, &["3".into(), "20".into()]).unwrap();
            assert!(refusal.to_string().starts_with("GLS-205"));
            assert_eq!(read_only_refusal(write, &grants, &["3".into()]), None);
        }
    }
}
