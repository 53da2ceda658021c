//! PostgreSQL's own words about a constraint, for users to whom no message is shown that could quote a row: without them
//! an error names neither the column nor the table. They are passed where the message is, to the letter, the one that the
//! server makes of names, and the names are of the catalog and open to the role. What a function raises in words of its
//! own, and what a server says in another language, is not. Not for the DETAIL, which quotes rows.

use crate::catalog::{Catalog, Oid, QualifiedName, RelationKind};
use crate::wire::message::Report;

/// What of an error can be shown beyond its SQLSTATE.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::session) struct Words {
    /// Its message, where that is made of names alone.
    pub(in crate::session) message: Option<String>,
    /// Its fields name a relation, and objects of it that exist.
    pub(in crate::session) names: bool,
}

impl Words {
    /// The words of `report`; `open` tells which relations the role may know of.
    pub(in crate::session) fn of(report: &Report, catalog: &Catalog, open: impl Fn(Oid) -> bool) -> Self {
        match messages(report, catalog, open) {
            Some(all) => Words { message: all.into_iter().find(|m| *m == *report.message()), names: true },
            None => Words::default(),
        }
    }
}

/// What the server says of what the fields of an error name (execMain.c, nbtinsert.c, execIndexing.c, ri_triggers.c);
/// `None` when something of that does not exist.
fn messages(report: &Report, catalog: &Catalog, open: impl Fn(Oid) -> bool) -> Option<Vec<String>> {
    let (schema, table) = (report.field(b's')?, report.field(b't')?);
    let relation = catalog.lookup(&QualifiedName::new(&*schema, &*table))?;
    let column = report.field(b'c');
    if column.as_ref().is_some_and(|c| relation.column(c).is_none()) || report.field(b'd').is_some() {
        return None;
    }
    let constraint = report.field(b'n');
    let mut refers_to = None;
    if let Some(name) = &constraint {
        let own = catalog.constraints.get(&relation.oid).and_then(|all| all.get(&**name));
        // What is unique, or excludes, is told by its index, which is in the schema of its table.
        let index = catalog.lookup(&QualifiedName::new(&*schema, &**name));
        if own.is_none() && index.is_none_or(|i| i.kind != RelationKind::Index) {
            return None;
        }
        refers_to = own.copied().flatten();
    }
    if !open(relation.oid) || refers_to.is_some_and(|to| !open(to)) {
        return Some(Vec::new());
    }
    let code = report.code();
    Some(match (&*code, &column, &constraint) {
        ("23502", Some(c), None) => {
            vec![format!("null value in column \"{c}\" of relation \"{table}\" violates not-null constraint")]
        }
        ("23505", None, Some(n)) => vec![format!("duplicate key value violates unique constraint \"{n}\"")],
        ("23P01", None, Some(n)) => {
            vec![format!("conflicting key value violates exclusion constraint \"{n}\"")]
        }
        ("23514", None, Some(n)) => {
            vec![format!("new row for relation \"{table}\" violates check constraint \"{n}\"")]
        }
        ("23503" | "23001", None, Some(n)) => {
            let mut all = vec![format!(
                "insert or update on table \"{table}\" violates foreign key constraint \"{n}\""
            )];
            if let Some(to) = refers_to.and_then(|to| catalog.relation(to)) {
                let to = &to.name.name;
                for setting in ["", "RESTRICT setting of "] {
                    all.push(format!(
                        "update or delete on table \"{to}\" violates {setting}foreign key constraint \"{n}\" on table \"{table}\""
                    ));
                }
            }
            all
        }
        _ => Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::sql::fixture::Clinic;

    #[test]
    fn a_message_is_passed_where_it_is_made_of_names_that_exist() {
        let mut catalog = Clinic::new().catalog;
        let notes = catalog.lookup(&QualifiedName::new("public", "notes")).unwrap().oid;
        let patients = catalog.lookup(&QualifiedName::new("public", "patients")).unwrap().oid;
        let own = [("notes_check".to_owned(), None), ("notes_mrn_fkey".to_owned(), Some(patients))];
        catalog.constraints.insert(notes, HashMap::from(own));
        let of =
            |code: &str, message: &str| Report::error(code, message).with(b's', "public").with(b't', "notes");
        let words = |report: &Report| Words::of(report, &catalog, |oid| oid != 99).message;
        let null = "null value in column \"mrn\" of relation \"notes\" violates not-null constraint";
        let check = "new row for relation \"notes\" violates check constraint \"notes_check\"";
        let insert = "insert or update on table \"notes\" violates foreign key constraint \"notes_mrn_fkey\"";
        let delete = "update or delete on table \"patients\" violates foreign key constraint \"notes_mrn_fkey\" on table \"notes\"";
        for (report, message) in [
            (of("23502", null).with(b'c', "mrn"), null),
            (of("23514", check).constraint("notes_check"), check),
            (of("23503", insert).constraint("notes_mrn_fkey"), insert),
            (of("23503", delete).constraint("notes_mrn_fkey"), delete),
        ] {
            assert_eq!(words(&report).as_deref(), Some(message));
            // One letter more, another SQLSTATE, a column or constraint that does not exist, or a table that is closed.
            for other in [
                report.clone().with(b'M', format!("{message} ")),
                report.clone().with(b'C', "P0001"),
                report.clone().with(b'c', "HIV"),
                report.clone().constraint("HIV"),
                report.clone().with(b't', "HIV"),
                report.clone().without(b's'),
                report.clone().with(b'd', "HIV"),
            ] {
                assert_eq!(words(&other), None, "{other:?}");
            }
            let closed = |oid: Oid| Words::of(&report, &catalog, |other| other != oid);
            assert_eq!((closed(notes).message, closed(notes).names), (None, true));
            assert_eq!(closed(patients).message.is_none(), message.contains("foreign key"));
        }
        assert!(!Words::of(&of("P0001", "no").constraint("HIV"), &catalog, |_| true).names);
    }
}
