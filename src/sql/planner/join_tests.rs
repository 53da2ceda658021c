//! Whatever conditions of a statement need a fence, and whatever operators extensions bring with them: an equality of two
//! columns of built-in types stays a join clause, which hash and merge joins and indexes serve. In a CASE, or behind a
//! fence that the join stands below, the join is a cross product.

use std::sync::Arc;

use super::Context;
use super::tests::{session, verdict};
use crate::catalog::OwnOperator;
use crate::sql::Strategy;
use crate::sql::tree::{Node, tree_of};

/// The demonstration's hospital with `citext` and an enum.
fn hospital(own: &[OwnOperator]) -> Context {
    let mut context = session("nurse");
    let mut catalog = (*context.catalog).clone();
    for relation in catalog.relations.values_mut() {
        for column in &mut relation.columns {
            let ty = match (relation.name.name.as_str(), column.name.as_str()) {
                ("medication_order", "status") => "clinic.med_status",
                ("encounter", "complaint") => "public.citext",
                _ => continue,
            };
            (column.type_sql, column.builtin_type) = (ty.to_owned(), false);
        }
    }
    catalog.foreign_types.insert("med_status".into(), 'e');
    catalog.foreign_types.insert("citext".into(), 'b');
    for token in ["=", "<>", "<", "<=", ">", ">="] {
        catalog.foreign_operators.insert(token.into());
        catalog.own_code.operators.insert(token.into(), own.to_vec());
    }
    context.catalog = Arc::new(catalog);
    context
}

fn operator(types: [u32; 3], takes_enum: bool) -> OwnOperator {
    OwnOperator {
        schema: "public".into(),
        types: types.to_vec(),
        operands: 2,
        takes_enum,
        functions: Vec::new(),
    }
}

const CITEXT: u32 = 17_000;

/// True when `a.x = b.y` of these columns stands in an ON or WHERE, or joined by AND in one.
fn joins_by(node: &Node, columns: [[&str; 2]; 2]) -> bool {
    fn is_conjunct(node: &Node, columns: [[&str; 2]; 2]) -> bool {
        let side = |name: &str| node.node(name).map(|n| n.names("fields")).unwrap_or_default();
        match node.kind {
            "BoolExpr" => {
                node.int("boolop") == i64::from(pg_query::protobuf::BoolExprType::AndExpr as i32)
                    && node.nodes("args").any(|n| is_conjunct(n, columns))
            }
            "AExpr" => {
                let [l, r] = columns;
                node.names("name") == ["="] && side("lexpr") == l && side("rexpr") == r
            }
            _ => false,
        }
    }
    let here = ["quals", "where_clause"].into_iter().filter_map(|field| node.node(field));
    here.into_iter().any(|c| is_conjunct(c, columns))
        || node.children().into_iter().any(|child| joins_by(child, columns))
}

fn plan(text: &str, context: &Context) -> (String, Node) {
    let plan = verdict(text, context).unwrap_or_else(|e| panic!("{text}: {e}")).expect("a guarded plan");
    let parsed = pg_query::parse(&plan.text, 0).expect("it parses");
    let Ok(crate::sql::tree::Tree::Node(node)) = tree_of(&parsed.protobuf.stmts[0].stmt) else {
        panic!("a statement")
    };
    (plan.text.clone(), node)
}

const EQUALITIES: [[&str; 2]; 5] = [
    ["patient_id", "patient_id"],
    ["attending", "prescriber"],
    ["admitted_at", "started_at"],
    ["charge", "dose"],
    ["ward_id", "drug_id"],
];

const FENCED: [&str; 12] = [
    "m.dose::int > 3",
    "1 / m.dose > 0",
    "m.unit ~ '^m'",
    "m.unit LIKE $1",
    "m.unit SIMILAR TO 'm%'",
    "m.started_at + interval '1 day' > now()",
    "e.admitted_at BETWEEN m.started_at AND m.started_at + interval '30 days'",
    "e.admitted_at >= m.started_at - $1 * interval '1 day'",
    "e.complaint = 'x'",
    "e.complaint <> m.unit",
    "lower(e.complaint) IN ('x', 'y')",
    "m.drug_id + 1 = 3 AND e.complaint < 'x'",
];

#[test]
fn an_equality_of_columns_stays_a_join_clause_beside_what_is_fenced() {
    let plain = hospital(&[]);
    let citext = hospital(&[operator([CITEXT, CITEXT, 16], false)]);
    let mut failed = Vec::new();
    let mut tried = 0;
    for (context, condition) in [&plain, &citext].into_iter().flat_map(|c| FENCED.map(|f| (c, f))) {
        for form in [
            "SELECT e.kind, m.unit FROM encounter e JOIN medication_order m ON {eq} WHERE {c}",
            "SELECT e.kind, m.unit FROM encounter e JOIN medication_order m ON {eq} AND {c}",
            "SELECT e.kind, m.unit FROM encounter e, medication_order m WHERE m.status = 'active' AND {eq} AND {c}",
            "SELECT e.kind, m.unit FROM encounter e LEFT JOIN medication_order m ON {eq} AND {c}",
            "SELECT e.kind, m.unit FROM encounter e LEFT JOIN medication_order m ON {eq} WHERE {c}",
            "SELECT e.kind, count(*) FROM medication_order m RIGHT JOIN encounter e ON {eq} AND m.status = 'active' AND {c} GROUP BY 1",
            "SELECT e.kind FROM encounter e WHERE EXISTS (SELECT 1 FROM medication_order m WHERE {eq} AND {c})",
            "SELECT x.kind FROM (SELECT e.kind, m.unit FROM encounter e JOIN medication_order m ON {eq} AND {c}) x WHERE x.unit = 'mg'",
            "UPDATE encounter e SET kind = 'inpatient' FROM medication_order m WHERE {eq} AND {c}",
            "SELECT e.kind FROM encounter e JOIN medication_order m ON {eq} WHERE {c} FOR UPDATE OF e",
        ] {
            // Each condition meets each form, and each of them all equalities.
            let [l, r] = EQUALITIES[(tried + tried / 10) % EQUALITIES.len()];
            let eq = format!("e.{l} = m.{r}");
            let text = form.replace("{eq}", &eq).replace("{c}", condition);
            let (sql, tree) = plan(&text, context);
            tried += 1;
            if !joins_by(&tree, [["e", l], ["m", r]]) {
                failed.push(format!("{text}\n    {sql}"));
            }
        }
    }
    assert!(failed.is_empty(), "{} of {tried}:\n{}", failed.len(), failed.join("\n"));
}

/// True when behind a fence (OFFSET) a condition compares a column of `e` with one of another table.
fn compares_behind_a_fence(node: &Node, column: &str, fenced: bool) -> bool {
    let fenced = if node.kind == "SelectStmt" { node.has("limit_offset") } else { fenced };
    let names = |side: &str| node.node(side).map(|n| n.names("fields")).unwrap_or_default();
    let around = |side: &str| names(side) == ["e", column];
    let here = node.kind == "AExpr" && node.names("name") == ["="] && (around("lexpr") || around("rexpr"));
    (fenced && here)
        || node.children().into_iter().any(|child| compares_behind_a_fence(child, column, fenced))
}

/// Subqueries that are run for each row around read that row's partners alone; those that can be joined stay joins.
#[test]
fn an_equality_with_a_row_around_goes_behind_the_fence_where_no_join_is_made() {
    let context = hospital(&[]);
    for (behind, text) in [
        (
            true,
            "SELECT e.kind, (SELECT sum(m.dose) FROM medication_order m WHERE m.patient_id = e.patient_id AND 9 / m.dose > 2) FROM encounter e",
        ),
        (
            true,
            "SELECT kind FROM encounter e WHERE (SELECT sum(dose / drug_id) FROM medication_order WHERE patient_id = e.patient_id) > 2",
        ),
        (
            true,
            "SELECT e.kind, x.s FROM encounter e LEFT JOIN LATERAL (SELECT sum(1 / m.dose) AS s FROM medication_order m WHERE e.patient_id = m.patient_id) x ON true",
        ),
        (
            true,
            "SELECT e.kind, x.u FROM encounter e, LATERAL (SELECT m.unit AS u FROM medication_order m WHERE m.patient_id = e.patient_id ORDER BY 1 / m.dose LIMIT 1) x",
        ),
        (
            true,
            "SELECT e.kind, (SELECT max(m.dose) FROM medication_order m JOIN problem p ON p.patient_id = m.patient_id WHERE m.patient_id = e.patient_id AND 1 / m.dose > 0) FROM encounter e",
        ),
        (
            true,
            "SELECT kind FROM encounter e WHERE EXISTS (SELECT 1 FROM problem p WHERE (SELECT sum(1 / m.dose) FROM medication_order m WHERE m.patient_id = e.patient_id) > 1)",
        ),
        // Joined to the table that is compared, also where whose row it is is asked of another table.
        (
            true,
            "SELECT e.kind, (SELECT max(r.flag::int) FROM lab_result r JOIN lab_order q USING (order_id) WHERE q.patient_id = e.patient_id AND 1 / q.order_id = 0) FROM encounter e",
        ),
        (
            false,
            "SELECT e.kind FROM encounter e WHERE EXISTS (SELECT 1 FROM medication_order m WHERE m.patient_id = e.patient_id AND 1 / m.dose > 0)",
        ),
        (
            false,
            "SELECT e.kind, x.d FROM encounter e, LATERAL (SELECT 1 / m.dose AS d FROM medication_order m WHERE m.patient_id = e.patient_id) x",
        ),
        // Not of one kind, or a table of the subquery's own that is called like the one around.
        (
            false,
            "SELECT e.kind, (SELECT sum(m.dose * 2) FROM medication_order m WHERE m.unit = e.patient_id::text) FROM encounter e",
        ),
        (
            false,
            "SELECT e.kind, (SELECT sum(m.dose * 2) FROM medication_order m, problem e WHERE m.drug_id * 2 = e.patient_id) FROM encounter e",
        ),
    ] {
        let (sql, tree) = plan(text, &context);
        assert_eq!(compares_behind_a_fence(&tree, "patient_id", false), behind, "{text}\n{sql}");
    }
}

/// Whose patient a lookup names is known, and told where it is nobody of the user's, beside any operators of other types;
/// not where `=` of the key itself may be somebody's own.
#[test]
fn a_lookup_names_its_patient_whatever_operators_other_types_have() {
    for (own, pinned) in [([CITEXT, CITEXT, 16], true), ([20, CITEXT, 16], true), ([20, 20, 16], false)] {
        let plan =
            verdict("SELECT name FROM patient WHERE patient_id = 880003", &hospital(&[operator(own, false)]));
        let plan = plan.expect("guarded").expect("a plan");
        assert_eq!((plan.lineage.strategy == Strategy::Pinned, plan.block), (pinned, pinned), "{own:?}");
    }
}

/// An enum compares without an error; so its conditions ask for no fence, whatever operators other types have.
#[test]
fn conditions_on_enums_need_no_fence() {
    let conditions = [
        "m.status = 'active'",
        "m.status <> $1",
        "m.status IN ('active', 'draft')",
        "m.status = ANY ($1)",
        "m.status = ANY ('{active,draft}'::clinic.med_status[])",
        "m.status = ANY ($1::med_status[])",
        "m.status IS NOT DISTINCT FROM 'active'",
        "m.status < 'active'::med_status",
        "m.status BETWEEN 'active' AND 'draft'",
        "CASE m.status WHEN 'active' THEN true ELSE false END",
        "m.status = (SELECT max(o.status) FROM medication_order o)",
        "m.status IN (SELECT o.status FROM medication_order o)",
        "m.status::text = 'active'",
    ];
    let fenced = |own: &[OwnOperator], condition: &str| {
        let text = format!(
            "SELECT e.kind FROM encounter e LEFT JOIN medication_order m ON m.patient_id = e.patient_id AND {condition}"
        );
        // The bound has one of its own.
        plan(&text, &hospital(own)).0.replace("AS __glass_q0 OFFSET 0", "").contains("OFFSET 0")
    };
    for condition in conditions {
        for own in [vec![], vec![operator([CITEXT, CITEXT, 16], false)]] {
            assert!(!fenced(&own, condition), "{condition} {own:?}");
        }
        // One that takes the enum, or anything, would be preferred to the built-in one.
        let own = [operator([CITEXT + 1, CITEXT + 1, 16], true)];
        assert_eq!(fenced(&own, condition), !condition.contains("::text"), "{condition}");
    }
}
