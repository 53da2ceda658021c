//! Rows from a seed: few patients, small domains, and in rows that nobody may see values that make casts, divisions
//! and patterns fail, and canaries. What the user may see depends on one seed, what is hidden on another.

use std::fmt::Write as _;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use crate::schema::{ColumnInfo, MASKS, Quirk, TableInfo, tables};
use crate::sql::Ty;

/// Patients of every restricted user of these tests.
pub(crate) const VISIBLE: [i64; 3] = [1, 2, 3];
/// Patients whose rows are like the visible ones.
const TAME: [i64; 3] = [4, 5, 6];
/// Patients whose rows are not; their keys, and the keys of their rows, begin with the third canary.
const WILD: [i64; 4] = [7_700_077_001, 7_700_077_002, 7_700_077_003, 7_700_077_004];
/// Stands in keys of rows that are nobody's.
const NOBODYS: i64 = 7_700_077_999;

/// What stands in hidden text, in hidden UUIDs, in hidden keys.
pub(crate) const CANARIES: [&str; 3] = ["CNRY", "cafecafe", "7700077"];

/// A row and whose it is; nobody's: None.
struct Row {
    owner: Option<i64>,
    cells: Vec<Option<String>>,
}

/// All rows, by table.
pub(crate) struct Rows {
    tables: Vec<(TableInfo, Vec<Row>)>,
}

/// Which rows a database gets.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Who {
    Everyone,
    /// The visible patients but for this one.
    Visible {
        without: Option<i64>,
    },
    Without(i64),
}

impl Who {
    fn includes(self, owner: Option<i64>) -> bool {
        match (self, owner) {
            (Who::Everyone, _) => true,
            (Who::Visible { without }, Some(owner)) => VISIBLE.contains(&owner) && without != Some(owner),
            (Who::Visible { .. }, None) => false,
            (Who::Without(gone), owner) => owner != Some(gone),
        }
    }
}

/// The patients of a tame database.
pub(crate) fn tame_patients() -> Vec<i64> {
    [VISIBLE, TAME].concat()
}

impl Rows {
    /// `wild`: hidden rows have what fails, and canaries.
    pub(crate) fn new(seen: u64, hidden: u64, wild: bool) -> Rows {
        let mut made = Rows { tables: tables().into_iter().map(|t| (t, Vec::new())).collect() };
        let mut rng = StdRng::seed_from_u64(seen);
        made.reference(&mut rng);
        for owner in VISIBLE {
            made.rows_of(Some(owner), &mut rng, false);
        }
        let mut rng = StdRng::seed_from_u64(hidden ^ 0x5eed);
        if wild {
            made.rows_of(Some(TAME[0]), &mut rng, false);
            let number = rng.random_range(1..=WILD.len());
            for owner in &WILD[..number] {
                made.rows_of(Some(*owner), &mut rng, true);
            }
        } else {
            TAME.iter().for_each(|owner| made.rows_of(Some(*owner), &mut rng, false));
        }
        made.rows_of(None, &mut rng, wild);
        made
    }

    fn reference(&mut self, rng: &mut StdRng) {
        for (table, rows) in self.tables.iter_mut().filter(|(t, _)| t.is_reference()) {
            for i in 0..4_usize {
                let mut cells: Vec<_> = table.columns.iter().map(|c| tame(c, rng)).collect();
                cells[0] =
                    Some(if table.name == "ward" { i.to_string() } else { ["a", "b", "c", "d"][i].into() });
                rows.push(Row { owner: None, cells });
            }
        }
    }

    fn rows_of(&mut self, owner: Option<i64>, rng: &mut StdRng, wild: bool) {
        // Steps of a path go to what was made before.
        let (mut orders, mut specimens, mut visits) = (Vec::new(), Vec::new(), Vec::new());
        for (table, rows) in self.tables.iter_mut().filter(|(t, _)| !t.is_reference()) {
            let number = match table.name {
                "patient" if owner.is_some() => u32::from(rng.random_bool(0.9)),
                // A patient without a key cannot be.
                "patient" => 0,
                _ => rng.random_range(0..=if wild { 3 } else { 4 }),
            };
            for i in 0..number {
                let mut cells: Vec<_> =
                    table.columns.iter().map(|c| if wild { unruly(c, rng) } else { tame(c, rng) }).collect();
                let base = owner.unwrap_or(if wild { NOBODYS } else { 9 }) * 1000;
                let id = base + i64::from(i);
                let mut set = |name: &str, value: Option<i64>| {
                    if let Some(at) = table.columns.iter().position(|c| c.name == name) {
                        cells[at] = value.map(|v| v.to_string());
                    }
                };
                if table.name != "patient" && !table.unique.is_empty() {
                    set(table.unique[0], Some(id));
                }
                set("patient_id", owner);
                let one_of = |ids: &[i64], rng: &mut StdRng| ids.choose(rng).copied();
                match table.name {
                    "visit" => visits.push(id),
                    "lab_order" => {
                        orders.push(id);
                        set("visit_id", one_of(&visits, rng).filter(|_| rng.random_bool(0.8)));
                    }
                    "specimen" => {
                        let order = one_of(&orders, rng).filter(|_| owner.is_none() || !orders.is_empty());
                        set("order_id", order.filter(|_| owner.is_some() || rng.random_bool(0.5)));
                        if owner.is_some() && order.is_none() {
                            continue;
                        }
                        specimens.push(id);
                    }
                    "result" => {
                        let specimen = one_of(&specimens, rng);
                        set("specimen_id", specimen);
                        if owner.is_some() && specimen.is_none() {
                            continue;
                        }
                    }
                    "patient" => {
                        let at = table.columns.iter().position(|c| c.name == "slot").unwrap();
                        // Hidden patients have each other's and the visible ones'.
                        cells[at] = Some(if wild { "s1".into() } else { format!("s{}", owner.unwrap_or(0)) });
                    }
                    _ => {}
                }
                rows.push(Row { owner, cells });
            }
        }
    }

    /// SQL that makes a database hold these rows and no others. `masked`: with the masks of the masked roles for
    /// values.
    pub(crate) fn sql(&self, who: Who, masked: bool) -> String {
        let mut sql = String::from("BEGIN;\nDELETE FROM glass.assigned;\n");
        for (table, rows) in &self.tables {
            let _ = writeln!(sql, "DELETE FROM orc.{};", table.name);
            let kept: Vec<_> =
                rows.iter().filter(|r| table.is_reference() || who.includes(r.owner)).collect();
            if kept.is_empty() {
                continue;
            }
            let lines: Vec<String> = kept.iter().map(|r| line(&r.cells)).collect();
            let _ = writeln!(sql, "INSERT INTO orc.{} VALUES {};", table.name, lines.join(", "));
        }
        if masked {
            for (table, column, _, value) in MASKS {
                let _ = writeln!(sql, "UPDATE orc.{table} SET {column} = {value};");
            }
        }
        if matches!(who, Who::Everyone | Who::Without(_)) {
            sql += SEALING;
        }
        // Whoever is granted patients by breaking the glass has one of his own.
        sql += "INSERT INTO glass.assigned SELECT u, p FROM unnest(ARRAY['nurse_amy', 'bill_eva']) u, \
                generate_series(1, 3) p UNION ALL SELECT 'dr_chen', 1 UNION ALL SELECT 'dr_diaz', 7700077001;\n\
                COMMIT;";
        sql
    }
}

/// Closes every patient who is not to be seen: those with an even key by the category of their rows (an unknown one, at
/// times), the others by a label. The visible ones have labels that are none.
const SEALING: &str = "DELETE FROM glass.label;
    INSERT INTO glass.label SELECT p, l FROM (SELECT DISTINCT patient_id FROM orc.patient) k (p),
        unnest(ARRAY['none', NULL]) l
        UNION ALL SELECT p, 'staff' FROM generate_series(5, 5) p
        UNION ALL SELECT p, 'unheard of' FROM unnest(ARRAY[7700077001, 7700077003]) p;
    UPDATE orc.patient SET cat = 'P' WHERE patient_id > 3 AND patient_id % 2 = 0;
    UPDATE orc.visit SET cat = 'P' WHERE patient_id > 3 AND patient_id % 2 = 0;
    UPDATE orc.lab_order SET cat = 'X' WHERE patient_id > 3 AND patient_id % 2 = 0;
    UPDATE orc.med SET cat = 'P' WHERE patient_id > 3 AND patient_id % 2 = 0;
    UPDATE orc.note SET cat = '' WHERE patient_id > 3 AND patient_id % 2 = 0;
    UPDATE orc.allergy SET cat = 'P' WHERE patient_id > 3 AND patient_id % 2 = 0;
    UPDATE orc.vital SET cat = 'P' WHERE patient_id > 3 AND patient_id % 2 = 0;
    UPDATE orc.specimen s SET cat = 'P' FROM orc.lab_order o
        WHERE o.order_id = s.order_id AND o.patient_id > 3 AND o.patient_id % 2 = 0;
    UPDATE orc.result r SET cat = 'P' FROM orc.specimen s, orc.lab_order o WHERE s.specimen_id = r.specimen_id
        AND o.order_id = s.order_id AND o.patient_id > 3 AND o.patient_id % 2 = 0;
    INSERT INTO glass.assigned SELECT 'nurse_bob', p FROM generate_series(1, 6) p
        UNION ALL SELECT 'nurse_bob', p FROM generate_series(7700077001, 7700077004) p;\n";

fn line(cells: &[Option<String>]) -> String {
    let cells: Vec<String> = cells
        .iter()
        .map(|c| c.as_ref().map_or_else(|| "NULL".to_owned(), |c| format!("'{}'", c.replace('\'', "''"))))
        .collect();
    format!("({})", cells.join(", "))
}

/// A value of a row that may be seen. Equal values look alike.
fn tame(column: &ColumnInfo, rng: &mut StdRng) -> Option<String> {
    let required = column.name == "code" && rng.random_bool(0.95);
    if rng.random_bool(0.2) && !required {
        // A partitioning key is never NULL here: codes are 'a' then.
        return (column.name == "code").then(|| "a".to_owned());
    }
    let domain: &[&str] = match (column.quirk, column.ty) {
        (Quirk::NonZero, _) => &["1", "2", "3"],
        (Quirk::Count, _) => &["0", "1", "2", "3"],
        (Quirk::NonZeroFloat, _) => &["0.5", "1", "2.25"],
        (Quirk::SmallNum, _) => &["0.00", "1.00", "1.50", "42.25"],
        (Quirk::IntText, _) => &["0", "1", "2", "17"],
        (Quirk::DateText, _) => &["2020-01-01", "2019-12-31", "2020-02-29"],
        (Quirk::NumText, _) => &["0.00", "1.00", "2.50"],
        (Quirk::JsonText, _) => &["{\"n\": 1}", "[1, 2]", "null", "\"a\""],
        (Quirk::StateText, _) => &["open", "held"],
        (Quirk::UuidText, _) => {
            &["00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-000000000002"]
        }
        (Quirk::Pattern, _) => &["a%", "%", "_", "b"],
        (Quirk::Regex, _) => &["a", "^b", ".", "[ab]"],
        (Quirk::Unit, _) => &["month", "year", "day"],
        (Quirk::Doc, _) => {
            &["{\"n\": 1, \"k\": \"a\", \"a\": [1, 2]}", "{\"n\": 0, \"a\": []}", "{}", "{\"k\": null}"]
        }
        (Quirk::Unique, _) => &["s"],
        (Quirk::None, Ty::Int) => &["0", "1", "2", "3"],
        (Quirk::None, Ty::Key) => &["1", "2"],
        (Quirk::None, Ty::Num) => &["0.00", "1.00", "1.50", "10.25"],
        (Quirk::None, Ty::Text) if column.name == "code" => &["a", "b", "c"],
        (Quirk::None, Ty::Text) if column.declared == "char(1)" => &["a", "b"],
        (Quirk::None, Ty::Text) => &["", "a", "b", "c", "ab", "A"],
        (Quirk::None, Ty::Float) => &["0", "0.5", "1", "2.25"],
        (Quirk::None, Ty::Date) => &["2020-01-01", "2020-02-29", "2019-12-31"],
        (Quirk::None, Ty::Stamp) => &["2020-01-01 10:00+00", "2020-02-29 00:00+00", "2019-12-31 23:59+00"],
        (Quirk::None, Ty::Bool) => &["t", "f"],
        (Quirk::None, Ty::Jsonb | Ty::Json) => &["{\"n\": 1}", "[1]", "\"a\"", "null"],
        (Quirk::None, Ty::Ints) => &["{}", "{1,2}", "{0}", "{3,1}"],
        (Quirk::None, Ty::Texts) => &["{}", "{a,b}", "{a}", "{c,a}"],
        (Quirk::None, Ty::State) => &["open", "held", "done"],
        (Quirk::None, Ty::Uuid) => {
            &["00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-000000000002"]
        }
    };
    domain.choose(rng).map(|v| (*v).to_owned())
}

/// A value of a row that nobody may see: half of them ordinary, so that they join, the others fail or are canaries.
fn unruly(column: &ColumnInfo, rng: &mut StdRng) -> Option<String> {
    if rng.random_bool(0.4) {
        return tame(column, rng);
    }
    let canary = format!("CNRY{:04x}", rng.random_range(0..0x1_0000));
    let one = |values: &[&str], rng: &mut StdRng| values.choose(rng).map(|v| (*v).to_owned());
    match (column.quirk, column.ty) {
        (Quirk::NonZero, _) => one(&["0", "0", "0", "-1", "2147483647"], rng),
        (Quirk::Count, _) => one(&["-5", "2000000000", "2147483647"], rng),
        (Quirk::NonZeroFloat, _) => one(&["0", "0", "-1", "NaN", "Infinity", "1e308"], rng),
        (Quirk::SmallNum, Ty::Num) => one(&["NaN", "999999.99", "-1.00"], rng),
        (Quirk::IntText | Quirk::DateText | Quirk::NumText | Quirk::JsonText, _) => {
            let bad = one(&["abc", "", "{\"a\"", "1e400", "99999999999"], rng);
            if rng.random_bool(0.5) { Some(canary) } else { bad }
        }
        (Quirk::StateText | Quirk::UuidText | Quirk::Unit, _) => Some(canary),
        (Quirk::Pattern, _) => one(&["a\\", "\\"], rng),
        (Quirk::Regex, _) => one(&["(", "[", "*"], rng),
        (Quirk::Doc, _) => {
            one(&["{\"n\": \"x\"}", "[]", "\"CNRY\"", "{\"n\": {\"CNRY\": 1}, \"a\": 7}", "1"], rng)
        }
        (Quirk::Unique, _) => one(&["s1"], rng),
        (_, Ty::Int) => one(&["2147483647", "-2147483648", "0", "7"], rng),
        (_, Ty::Key) => one(&["9223372036854775807", "1"], rng),
        (_, Ty::Num) => one(&["NaN", "999999.99", "-3.00"], rng),
        (_, Ty::Text) if column.name == "code" => one(&["a", "b", "d"], rng),
        (_, Ty::Text) if column.declared.starts_with("char") => one(&["Z"], rng),
        (_, Ty::Text) => Some(canary),
        (_, Ty::Float) => one(&["NaN", "Infinity", "1e308", "-5"], rng),
        (_, Ty::Date) => one(&["infinity", "5874897-12-31", "1066-10-14"], rng),
        (_, Ty::Stamp) => one(&["infinity", "294276-12-31 23:59:59+00", "1066-10-14 00:00+00"], rng),
        (_, Ty::Bool) => one(&["t", "f"], rng),
        (_, Ty::Jsonb | Ty::Json) => one(&["{\"n\": \"CNRY\"}", "\"CNRY\"", "{}"], rng),
        (_, Ty::Ints) => one(&["{7,NULL}", "{2147483647}"], rng),
        (_, Ty::Texts) => Some(format!("{{{canary},NULL}}")),
        (_, Ty::State) => one(&["done"], rng),
        (_, Ty::Uuid) => Some(format!("cafecafe-0000-0000-0000-{:012x}", rng.random_range(0..1_000_000))),
    }
}
