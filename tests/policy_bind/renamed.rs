//! Masks go by the names of columns, and columns are renamed while the proxy runs: what a role was shown masked it is
//! not shown under another name.

use std::path::Path;
use std::sync::Arc;

use pgglass::catalog::{Catalog, Oid, QualifiedName};
use pgglass::config::parse;
use pgglass::policy::{BoundPolicy, Policy};

use super::{EXAMPLE, PATIENT, access, add, catalog, drop_column, policy, rename};

type Change = fn(&mut Catalog);

fn rename_column(catalog: &mut Catalog, oid: Oid, from: &str, to: &str) {
    let columns = &mut catalog.relations.get_mut(&oid).expect("there").columns;
    columns.iter_mut().find(|c| c.name == from).expect("a column").name = to.to_owned();
}

fn swap(catalog: &mut Catalog, oid: Oid, a: &str, b: &str) {
    rename_column(catalog, oid, a, "swapped");
    rename_column(catalog, oid, b, a);
    rename_column(catalog, oid, "swapped", b);
}

/// A column behind all others, as `ALTER TABLE ... ADD` makes one.
fn add_column(catalog: &mut Catalog, oid: Oid, name: &str) {
    let columns = &mut catalog.relations.get_mut(&oid).expect("there").columns;
    let mut column = columns.iter().find(|c| c.type_sql == "text").expect("a text").clone();
    column.name = name.to_owned();
    column.attnum = 100 + i16::try_from(columns.len()).expect("few columns");
    columns.push(column);
}

fn of(text: &str) -> Arc<Policy> {
    parse(text, Path::new("pgglass.toml")).expect("the example").policy
}

/// The policy bound to the catalog as it was, and after every change of it.
struct Steps {
    catalog: Catalog,
    bound: BoundPolicy,
}

impl Steps {
    fn new(policy: Arc<Policy>, catalog: Catalog) -> Self {
        let bound = BoundPolicy::bind(policy, &catalog, None);
        assert_eq!(bound.problems, []);
        Steps { catalog, bound }
    }

    fn change(&mut self, change: impl FnOnce(&mut Catalog)) -> &mut Self {
        change(&mut self.catalog);
        self.bound = BoundPolicy::bind(Arc::clone(&self.bound.policy), &self.catalog, Some(&self.bound));
        self
    }

    fn load(&mut self, policy: Arc<Policy>) -> &mut Self {
        self.bound = BoundPolicy::bind_loaded(policy, &self.catalog, &self.bound);
        self
    }

    #[track_caller]
    fn is(&mut self, role: &str, expected: &str) -> &mut Self {
        assert_eq!(access(&self.bound, role, PATIENT), expected, "{role}");
        self
    }

    #[track_caller]
    fn says(&mut self, expected: &str) -> &mut Self {
        let problems = &self.bound.problems;
        assert!(problems.iter().any(|p| p.message.contains(expected)), "{problems:?}");
        self
    }
}

#[test]
fn a_renamed_column_is_not_shown_without_its_mask() {
    let mut steps = Steps::new(policy(), catalog());
    steps.is("billing", "masked");
    steps.change(|c| rename_column(c, PATIENT, "ssn", "social")).is("billing", "misfit");
    steps.says("clinic.patient: column social, which was ssn when the policy was loaded,");
    steps.says("clinic.patient has no column ssn, for which billing has a mask");
    steps.is("nurse", "block").is("dba", "recorded");
    // It stays closed when anything else changes, until the column or the policy has the other's name.
    steps.change(|c| add(c, 400, "clinic", "bed", &["bed_id"], &[])).is("billing", "misfit");
    let mut undone = Steps { catalog: steps.catalog.clone(), bound: steps.bound.clone() };
    undone.change(|c| rename_column(c, PATIENT, "social", "ssn")).is("billing", "masked");
    assert_eq!(undone.bound.problems, []);
    steps.load(policy()).is("billing", "misfit").says("has no column ssn");
    steps.load(of(&EXAMPLE.replace("ssn = \"redact\"", "social = \"redact\""))).is("billing", "masked");
    assert_eq!(steps.bound.problems, []);
    steps.change(|c| rename_column(c, PATIENT, "social", "ssn")).is("billing", "misfit");
}

#[test]
fn names_exchanged_between_columns_do_not_exchange_their_masks() {
    for (a, b, loaded) in [
        ("ssn", "mrn", "misfit"),
        ("phone", "mrn", "misfit"),
        ("ssn", "phone", "masked"),
        ("note", "mrn", "misfit"),
    ] {
        let mut steps = Steps::new(policy(), catalog());
        steps.change(|c| swap(c, PATIENT, a, b)).is("billing", "misfit");
        let mut undone = Steps { catalog: steps.catalog.clone(), bound: steps.bound.clone() };
        undone.change(|c| swap(c, PATIENT, a, b)).is("billing", "masked");
        // A policy that is loaded names columns as they are called now; what it does not name stays closed.
        steps.load(policy()).is("billing", loaded);
        assert_eq!(steps.bound.problems.is_empty(), loaded == "masked");
        let named = EXAMPLE.replace("ssn = \"redact\"", "ssn = \"redact\"\nmrn = \"redact\"");
        steps.load(of(&named)).is("billing", "masked");
        assert_eq!(steps.bound.problems, []);
    }
}

/// Whoever reloads for another reason has not seen that a column has another name.
#[test]
fn a_reload_opens_no_column_that_the_policy_does_not_name() {
    let mut steps = Steps::new(policy(), catalog());
    steps.change(|c| {
        rename_column(c, PATIENT, "ssn", "social");
        add_column(c, PATIENT, "ssn");
    });
    steps.is("billing", "misfit").load(policy()).is("billing", "misfit").says("column social, which was ssn");
    steps.load(policy()).is("billing", "misfit");
    let mut undone = Steps { catalog: steps.catalog.clone(), bound: steps.bound.clone() };
    undone.change(|c| {
        drop_column(c, PATIENT, "ssn");
        rename_column(c, PATIENT, "social", "ssn");
    });
    undone.is("billing", "masked");
    steps
        .load(of(&EXAMPLE.replace("ssn = \"redact\"", "ssn = \"redact\"\nsocial = \"redact\"")))
        .is("billing", "masked");
    assert_eq!(steps.bound.problems, []);
    // A mask that a new policy leaves out is left out.
    steps.load(of(&EXAMPLE.replace("ssn = \"redact\"", ""))).is("billing", "masked");
    assert_eq!(steps.bound.problems, []);
}

/// What the columns of a view show of the table whose name it took, nobody has said.
#[test]
fn a_view_that_takes_the_name_of_a_masked_table_is_closed_until_a_policy_is_loaded() {
    let mut steps = Steps::new(policy(), catalog());
    steps.change(|c| {
        let mut view = c.relations.get(&PATIENT).expect("there").clone();
        rename(c, PATIENT, "person");
        (view.oid, view.kind) = (900, pgglass::catalog::RelationKind::View);
        c.by_name.insert(view.name.clone(), 900);
        c.relations.insert(900, view);
    });
    let seen = |steps: &Steps| [PATIENT, 900].map(|oid| access(&steps.bound, "billing", oid));
    assert_eq!(seen(&steps)[1], "misfit");
    steps.says("clinic.patient is another relation, a view, now");
    steps.change(|c| add(c, 400, "clinic", "bed", &["bed_id"], &[]));
    assert_eq!(seen(&steps)[1], "misfit");
    steps.load(policy());
    assert_eq!(seen(&steps)[1], "masked");
}

#[test]
fn a_column_that_is_dropped_or_replaced_closes_nothing() {
    let mut steps = Steps::new(policy(), catalog());
    steps.change(|c| drop_column(c, PATIENT, "ssn")).is("billing", "masked").says("has no column ssn");
    steps.change(|c| add_column(c, PATIENT, "ssn")).is("billing", "masked");
    assert_eq!(steps.bound.problems, []);
    steps.change(|c| add_column(c, PATIENT, "new_ssn")).is("billing", "masked");
    let replace = |c: &mut Catalog| {
        drop_column(c, PATIENT, "ssn");
        rename_column(c, PATIENT, "new_ssn", "ssn");
    };
    steps.change(replace).is("billing", "masked");
    assert_eq!(steps.bound.problems, []);
    // From then on it is the masked one, under its first name, too.
    steps.change(|c| rename_column(c, PATIENT, "ssn", "other")).is("billing", "misfit");
    // What nobody masks has any name.
    let mut steps = Steps::new(policy(), catalog());
    steps.change(|c| rename_column(c, PATIENT, "mrn", "number")).is("billing", "masked");
    assert_eq!(steps.bound.problems, []);
}

#[test]
fn a_table_that_takes_the_name_of_a_masked_one_has_its_columns_or_is_closed() {
    let whole = ["patient_id", "mrn text", "ssn text", "phone text", "birth_date date", "note text"];
    for (columns, expected) in [(&whole[..], "masked"), (&whole[..5], "misfit")] {
        let mut steps = Steps::new(policy(), catalog());
        steps.change(|c| {
            rename(c, PATIENT, "patient_old");
            add(c, 300, "clinic", "patient", columns, &[]);
        });
        assert_eq!(access(&steps.bound, "billing", 300), expected);
        steps.is("billing", "masked").is("dba", "recorded");
        steps.change(|c| add(c, 400, "clinic", "bed", &["bed_id"], &[]));
        assert_eq!(access(&steps.bound, "billing", 300), expected);
        let swapped = |c: &mut Catalog| swap(c, PATIENT, "ssn", "mrn");
        steps.change(swapped).is("billing", "misfit");
        assert_eq!(access(&steps.bound, "billing", 300), expected, "its successor has columns of its own");
    }
}

#[test]
fn partitions_and_children_are_closed_with_what_reads_them() {
    let mut c = catalog();
    let columns = ["note text", "birth_date date", "phone text", "ssn text", "mrn text", "patient_id"];
    add(&mut c, 301, "clinic", "patient_1", &columns, &[PATIENT]);
    add(&mut c, 302, "clinic", "patient_2", &columns, &[PATIENT]);
    let mut steps = Steps::new(policy(), c);
    let child = |steps: &Steps| access(&steps.bound, "billing", 301);
    assert_eq!(child(&steps), "masked");
    let mut renamed = Steps { catalog: steps.catalog.clone(), bound: steps.bound.clone() };
    renamed.change(|c| {
        [PATIENT, 301, 302].into_iter().for_each(|oid| rename_column(c, oid, "ssn", "social"));
        add(c, 303, "clinic", "patient_3", &["patient_id", "mrn text", "social text"], &[PATIENT]);
    });
    renamed.is("billing", "misfit");
    let parts = [301, 302, 303].map(|oid| access(&renamed.bound, "billing", oid));
    assert_eq!(parts, ["misfit"; 3]);
    let said = renamed.bound.problems.iter().filter(|p| p.message.contains("which was ssn")).count();
    assert_eq!(said, 1, "{:?}", renamed.bound.problems);

    // Detached, its names exchanged, and attached again: the whole reads it.
    steps.change(|c| c.relations.get_mut(&301).expect("there").parents.clear());
    steps.change(|c| swap(c, 301, "ssn", "mrn")).is("billing", "masked");
    assert_eq!(child(&steps), "misfit");
    steps.change(|c| c.relations.get_mut(&301).expect("there").parents.push(PATIENT)).is("billing", "misfit");
    assert_eq!(access(&steps.bound, "billing", 302), "masked", "through which no row of the other is read");
}

#[test]
fn rows_outside_show_no_column_under_the_name_of_another() {
    let outside = "[role.nurse.outside_masks.\"clinic.patient\"]\nmrn = \"none\"\nssn = \"redact\"\n";
    let text = format!("{}\n{outside}", EXAMPLE.replace("outside = \"block\"", "outside = \"mask\""));
    let changes: [(&str, Change, &str); 8] = [
        (
            "a column that is shown loses its name",
            |c| rename_column(c, PATIENT, "mrn", "number"),
            "outside masked",
        ),
        ("one that is masked does", |c| rename_column(c, PATIENT, "ssn", "social"), "outside masked"),
        ("one that is hidden does", |c| rename_column(c, PATIENT, "phone", "mobile"), "outside masked"),
        ("shown and hidden", |c| swap(c, PATIENT, "mrn", "phone"), "misfit"),
        ("shown and masked", |c| swap(c, PATIENT, "mrn", "ssn"), "misfit"),
        ("masked and hidden", |c| swap(c, PATIENT, "phone", "ssn"), "outside masked"),
        ("the key and a hidden one", |c| swap(c, PATIENT, "patient_id", "note"), "misfit"),
        (
            "the name of one that is gone",
            |c| {
                drop_column(c, PATIENT, "mrn");
                rename_column(c, PATIENT, "phone", "mrn");
            },
            "misfit",
        ),
    ];
    for (what, change, expected) in changes {
        let mut steps = Steps::new(of(&text), catalog());
        steps.change(change);
        assert_eq!(access(&steps.bound, "nurse", PATIENT), expected, "{what}");
        steps.is("dba", if what.starts_with("the key") { "misfit" } else { "recorded" });
    }
}

#[test]
fn what_a_preset_masked_it_goes_on_masking() {
    let text = format!(
        "{EXAMPLE}\n[role.study]\nusers = [\"study\"]\nscope = \"all\"\nmasks_preset = \"safe_harbor\"\n\
         [role.study.masks.\"clinic.patient\"]\nnote = \"none\"\n"
    );
    let mut steps = Steps::new(of(&text), catalog());
    steps.change(|c| rename_column(c, PATIENT, "note", "remark")).is("study", "masked");
    let mut steps = Steps::new(of(&text), catalog());
    steps.change(|c| rename_column(c, PATIENT, "phone", "phone_home")).is("study", "masked");
    steps.change(|c| rename_column(c, PATIENT, "phone_home", "p")).is("study", "misfit");
    steps.load(of(&text)).is("study", "misfit");
    steps.change(|c| rename_column(c, PATIENT, "p", "phone")).is("study", "masked");
    let mut steps = Steps::new(of(&text), catalog());
    steps.change(|c| swap(c, PATIENT, "phone", "note")).is("study", "misfit");
    // One that came later is kept as one that was there.
    let mut steps = Steps::new(of(&text), catalog());
    steps.change(|c| add_column(c, PATIENT, "home_address")).is("study", "masked");
    steps.change(|c| rename_column(c, PATIENT, "home_address", "h")).is("study", "misfit");
}

#[test]
fn what_was_computed_from_a_masked_column_stays_masked() {
    let mut c = catalog();
    add_column(&mut c, PATIENT, "tail");
    let tail = |c: &mut Catalog, from: &[&str]| {
        let column = c.relations.get_mut(&PATIENT).expect("there").columns.last_mut().expect("tail");
        column.generated = !from.is_empty();
        column.computed_from = from.iter().map(|c| (*c).to_owned()).collect();
    };
    tail(&mut c, &["ssn"]);
    let mut steps = Steps::new(policy(), c);
    steps.change(|c| rename_column(c, PATIENT, "tail", "end")).is("billing", "masked");
    // Its values are new ones now (SET EXPRESSION), and here those from before (DROP EXPRESSION).
    steps.change(|c| tail(c, &["mrn"])).is("billing", "masked");
    steps.change(|c| tail(c, &["ssn"])).is("billing", "masked");
    steps.change(|c| tail(c, &[])).is("billing", "misfit").says("column end");
    steps.load(policy()).is("billing", "misfit");
}

#[test]
fn a_column_of_a_closed_category_is_not_shown_under_another_name() {
    let entry = "name = \"clinic.patient\"\nclass = \"demographics\"\nkey = \"patient_id\"\n";
    let with =
        format!("{entry}column_categories = {{ mrn = {{ category = \"PSY\", mask = \"redact\" }} }}\n");
    let text = EXAMPLE.replace(entry, &with);
    let mut steps = Steps::new(of(&text), catalog());
    let mut renamed = Steps { catalog: steps.catalog.clone(), bound: steps.bound.clone() };
    renamed.change(|c| rename_column(c, PATIENT, "mrn", "number")).is("dba", "misfit").is("nurse", "misfit");
    steps
        .is("dba", "masked")
        .change(|c| swap(c, PATIENT, "mrn", "note"))
        .is("dba", "misfit")
        .is("nurse", "misfit");
    assert_eq!(steps.bound.tables[&PATIENT].name, QualifiedName::new("clinic", "patient"));
}

/// Whose a row is, and of what category, is told by names as well: by no other column under such a name.
#[test]
fn rows_are_told_by_no_other_column_of_the_name() {
    let changes: [(&str, Change, [&str; 3]); 8] = [
        ("the key", |c| swap(c, super::VISIT, "patient_id", "visit_id"), ["block", "misfit", "block"]),
        (
            "a column on the way",
            |c| swap(c, super::RESULT, "order_id", "result_id"),
            ["block", "block", "misfit"],
        ),
        (
            "one of the next table",
            |c| swap(c, super::ORDER, "order_id", "note"),
            ["block", "block", "misfit"],
        ),
        ("the key at its end", |c| swap(c, super::ORDER, "patient_id", "note"), ["block", "block", "misfit"]),
        ("that of the assignment", |c| swap(c, super::ASSIGNED, "user_name", "valid_to"), ["misfit"; 3]),
        ("none of them", |c| swap(c, PATIENT, "mrn", "note"), ["block"; 3]),
        ("a new one, the old is gone", |c| replace(c, super::VISIT), ["block"; 3]),
        ("a new one, the old stays", |c| keep(c, super::VISIT), ["block", "misfit", "block"]),
    ];
    fn replace(c: &mut Catalog, oid: Oid) {
        keep(c, oid);
        drop_column(c, oid, "patient_id_old");
    }
    fn keep(c: &mut Catalog, oid: Oid) {
        rename_column(c, oid, "patient_id", "patient_id_old");
        let columns = &mut c.relations.get_mut(&oid).expect("there").columns;
        let mut column = columns[0].clone();
        (column.name, column.attnum) = ("patient_id".to_owned(), 100);
        columns.push(column);
    }
    for (what, change, expected) in changes {
        let mut c = catalog();
        add(&mut c, super::ORDER, "clinic", "lab_order", &["order_id", "patient_id", "note"], &[]);
        let mut steps = Steps::new(policy(), c);
        let seen = |bound: &BoundPolicy| {
            [PATIENT, super::VISIT, super::RESULT].map(|oid| access(bound, "nurse", oid))
        };
        let before = steps.catalog.clone();
        steps.change(change);
        assert_eq!(seen(&steps.bound), expected, "{what}");
        let closed = expected.contains(&"misfit");
        assert_eq!(steps.bound.problems.iter().any(|p| p.code == "column-exchanged"), closed, "{what}");
        steps.change(|c| add(c, 400, "clinic", "bed", &["bed_id"], &[]));
        assert_eq!(seen(&steps.bound), expected, "{what}, later");
        let mut undone = Steps { catalog: before, bound: steps.bound.clone() };
        undone.change(|_| {});
        assert_eq!(seen(&undone.bound), ["block"; 3], "{what}, undone");
        steps.load(policy());
        assert_eq!(seen(&steps.bound), ["block"; 3], "{what}, loaded");
        assert!(!steps.bound.problems.iter().any(|p| p.code == "column-exchanged"), "{what}, loaded");
    }
}
