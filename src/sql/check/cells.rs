//! `min_cell`: every row of an answer rests on at least so many patients. The block that reads
//! protected tables must merge their rows into groups, each group must fulfil the policy's condition in
//! HAVING, and nothing may be evaluated before HAVING that could fail, or hand out a single value, or
//! cut overlapping groups out of which a small one can be subtracted. What stands above the block sees
//! only groups that are shown, and may be anything; what the planner could push into the block and could
//! fail asks for a fence.
//!
//! Not for what several statements tell together.

use pg_query::protobuf::{AExprKind, BoolExprType};

use super::expected::conjuncts;
use super::overlap::{Column, column_at, columns_in, grouping_keys};
use super::types::{Block, Ty};
use super::{CheckFailure, Checker, Outcome};
use crate::catalog::Oid;
use crate::policy::{
    CELL_AGGREGATES, Parts, cell_condition, difference_condition, differences, values_condition,
};
use crate::sql::resolve::Resolution;
use crate::sql::tree::{Node, Tree};

/// The protected occurrences of a FROM clause, as far as cells care.
#[derive(Debug, Default)]
pub(super) struct Cells {
    /// Relation and alias; its key can be read under the alias.
    pub(super) keyed: Vec<(Oid, String)>,
    /// One whose key is masked.
    pub(super) keyless: bool,
    /// Something other than tables: functions, VALUES, subqueries, samples.
    pub(super) other: bool,
    /// Tables of every kind.
    pub(super) tables: usize,
    /// Those without patients.
    pub(super) plain: Vec<(Option<Oid>, String)>,
    /// Columns that USING and NATURAL make equal.
    pub(super) using: Vec<(Column, Column)>,
    /// Tables without patients whose rows an outer join keeps where there is no row of a patient.
    pub(super) kept: Vec<String>,
    /// An outer join of two protected tables, or under more than equal columns: the rows that it pads and those that
    /// it does not are two groups, and one could be subtracted from the other or multiplied.
    pub(super) outer: bool,
}

impl Cells {
    /// How many protected occurrences were seen.
    pub(super) fn protected(&self) -> usize {
        self.keyed.len() + usize::from(self.keyless)
    }
}

pub(super) fn cell<T>(what: impl Into<String>) -> Outcome<T> {
    Err(CheckFailure::Cell(what.into()))
}

/// What the aggregates of a block read: the arguments, each once.
#[derive(Default)]
pub(super) struct Aggregates<'n> {
    found: bool,
    /// `count(*)`
    all: bool,
    arguments: Vec<&'n Node>,
    /// The conditions of FILTER and CASE, and the columns of which they choose rows.
    flags: Vec<&'n Node>,
    chosen: Vec<&'n Node>,
    /// Of those, what is counted once, and the same of whole groups.
    distinct: Vec<&'n Node>,
    counted: Vec<&'n Node>,
    /// The columns of which the values are taken, not merely counted.
    summed: Vec<&'n Node>,
    /// Something counts rows, not patients.
    pub(super) multiplied: bool,
}

impl Checker<'_> {
    /// Checks a block that reads protected tables in its own FROM, for a role with `min_cell`.
    pub(super) fn cell_block(
        &mut self,
        select: &Node,
        block: &Block<'_>,
        cells: &Cells,
        conditions: &[&Node],
        least: u32,
    ) -> Outcome {
        if block.parent.is_some() {
            return cell(
                "it groups patients in a subquery of an expression, or LATERAL (EXISTS and key IN (SELECT key ...) may \
                 stand among conditions that AND connects)",
            );
        }
        self.cells += 1;
        if self.cells > 1 {
            return cell("two blocks of it group patients: one could be subtracted from the other");
        }
        if cells.other {
            return cell(
                "it groups patients over a function, VALUES, TABLESAMPLE, a subquery, or a table whose columns are renamed",
            );
        }
        if cells.outer {
            return cell(
                "an outer join of two tables with patients, or one under more than column = column: what it pads \
                 and what it does not could be subtracted",
            );
        }
        if cells.keyless {
            return cell(
                "the patient key of a table is masked for this role, so its patients cannot be counted",
            );
        }
        for (oid, alias) in &cells.keyed {
            if self.table(*oid)?.rule.is_many() {
                return cell(format!("a row of \"{alias}\" can belong to several patients"));
            }
        }
        if select.has("locking_clause") {
            return cell("FOR UPDATE and FOR SHARE name single rows");
        }
        let same_patient = self.tied(cells, conditions, block)?;
        for condition in conditions {
            if self.chooses(condition, block, cells, false)? {
                continue;
            }
            if !self.is_ordinary(condition, block) {
                return cell("a condition could fail on the row of a single patient, which tells its value");
            }
            self.excepts_nobody(condition, block, cells)?;
        }
        let mut aggregates = Aggregates::default();
        for field in ["sort_clause", "target_list", "window_clause", "distinct_clause", "group_clause"] {
            for node in select.nodes(field) {
                self.aggregates(node, block, &mut aggregates)?;
            }
        }
        self.groups(select, block)?;
        for key in select.nodes("sort_clause").chain(select.nodes("distinct_clause")) {
            let mut inside = Aggregates::default();
            self.aggregates(key, block, &mut inside)?;
            let key = key.node("node").unwrap_or(key);
            let plain = matches!(key.kind, "ColumnRef" | "AConst");
            if !inside.found && !plain && !self.is_ordinary(key, block) {
                return cell("a sorting key could fail on the row of a single patient");
            }
        }
        if select.list("group_clause").is_empty() && !aggregates.found {
            return cell(
                "it shows rows of single patients (a list of them may be joined or stand behind IN as SELECT DISTINCT key)",
            );
        }
        let having = conjuncts(select.field("having_clause"));
        let (ours, own): (Vec<&Node>, Vec<&Node>) =
            having.into_iter().partition(|c| is_our_count(c) || is_our_difference(c) || is_our_values(c));
        for condition in own {
            self.aggregates(condition, block, &mut aggregates)?;
            if !self.compares_with_constant(condition) && self.safe(condition, block).is_none() {
                return cell("HAVING may compare an aggregate with a constant, and nothing that could fail");
            }
        }
        self.counts_no_values(&aggregates.counted, block, cells)?;
        for key in grouping_keys(select) {
            self.names_nobody(key, false, "a grouping key reads", block, cells)?;
        }
        for column in &aggregates.summed {
            self.names_nobody(column, true, "an aggregate takes the values of", block, cells)?;
        }
        self.counts_no_kept_rows(select, block, cells, &aggregates)?;
        self.flags(&aggregates, block, cells)?;
        self.groups_apart(select, block, cells, conditions, &same_patient, &aggregates)?;
        let stand_ins = StandIns::of(&aggregates);
        let columns: Vec<String> = aggregates.arguments.iter().map(|a| stand_ins.text(a)).collect();
        let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
        let chosen: Vec<String> = aggregates.chosen.iter().map(|a| stand_ins.text(a)).collect();
        let chosen = chosen.iter().map(String::as_str).filter(|c| !columns.contains(c));
        let beside: Vec<&str> = columns.iter().copied().chain(chosen).collect();
        let names: Vec<String> = aggregates.flags.iter().map(|flag| stand_ins.text(flag)).collect();
        let flags: Vec<&str> = names.iter().map(String::as_str).collect();
        let parted = !flags.is_empty();
        let once = !aggregates.counted.is_empty() && !aggregates.distinct.is_empty();
        let parts = Parts { flags: &flags, columns: if parted { &beside } else { &[] }, once };
        if parted && beside.len() > Parts::MOST_COLUMNS {
            return cell("FILTER or CASE beside more than three columns: their parts are too many to count");
        }
        let mut wanted = Vec::new();
        for (oid, alias) in &cells.keyed {
            let (policy, table) = (&self.cx.context.bound.policy, self.table(*oid)?);
            for column in std::iter::once(None).chain(columns.iter().copied().map(Some)) {
                wanted.push(stand_ins.expression(&cell_condition(policy, table, alias, column, least))?);
            }
            for rows in differences(aggregates.all, &columns) {
                wanted.push(stand_ins.expression(&difference_condition(policy, table, alias, &rows, least))?);
            }
            for summed in &aggregates.summed {
                let text = stand_ins.text(summed);
                let of_patients = |column: &Option<Column>| {
                    column.as_ref().is_some_and(|(alias, _)| cells.keyed.iter().any(|(_, a)| a == alias))
                };
                let known = !super::overlap::columns(summed, block).iter().all(of_patients);
                let parts =
                    flags.iter().flat_map(|f| [format!("({f}) IS TRUE"), format!("({f}) IS NOT TRUE")]);
                for rows in std::iter::once(None).chain(parts.map(Some)) {
                    let text = |known| {
                        stand_ins.expression(&values_condition(
                            policy,
                            table,
                            alias,
                            &text,
                            rows.as_deref(),
                            known,
                            least,
                        ))
                    };
                    // The stricter one will do.
                    let (strict, lax) = (text(true)?, text(false)?);
                    wanted.push(if known || ours.contains(&&strict) { strict } else { lax });
                }
            }
            for text in parts.conditions(policy, table, alias, least) {
                wanted.push(stand_ins.expression(&text)?);
            }
        }
        if wanted.iter().any(|w| !ours.contains(&w)) {
            return cell(
                "a group is not held to the least number of patients (name in the select list what ORDER BY \
                 aggregates)",
            );
        }
        // What only looks like ours could compute anything.
        if ours.iter().any(|c| !wanted.contains(c)) {
            return cell("HAVING counts in a form that is reserved");
        }
        ours.into_iter().for_each(|c| self.exempt(c));
        Ok(())
    }

    /// A row that an outer join keeps tells that there is none of a patient: counted with those of others it would show
    /// in the number. Where groups are of one such row each, those without patients are not shown.
    fn counts_no_kept_rows(
        &self,
        select: &Node,
        block: &Block<'_>,
        cells: &Cells,
        aggregates: &Aggregates<'_>,
    ) -> Outcome {
        let keys: Vec<Column> = grouping_keys(select)
            .into_iter()
            .filter(|key| is_column(key))
            .filter_map(|key| column_at(key, block))
            .collect();
        for alias in &cells.kept {
            let oid = cells.plain.iter().find(|(_, a)| a == alias).and_then(|(oid, _)| *oid);
            let key = oid.and_then(|oid| self.primary_key(oid));
            let of_one = |key: &Vec<String>| key.iter().all(|c| keys.contains(&(alias.clone(), c.clone())));
            let of_kept = |c: &&Node| column_at(c, block).is_none_or(|(a, _)| cells.kept.contains(&a));
            let counted =
                aggregates.all || !aggregates.flags.is_empty() || aggregates.arguments.iter().any(of_kept);
            if counted && !key.is_some_and(of_one) {
                return cell(format!(
                    "it counts rows of \"{alias}\" for which there is no patient: count a column of the table with patients, \
                     or group by the primary key of \"{alias}\""
                ));
            }
        }
        Ok(())
    }

    /// An aggregate on one side of a comparison, a constant or parameter on the other.
    fn compares_with_constant(&self, condition: &Node) -> bool {
        let names = condition.names("name");
        let [operator @ ("=" | "<>" | "<" | "<=" | ">" | ">=")] = names.as_slice() else { return false };
        let (Some(l), Some(r)) = (condition.node("lexpr"), condition.node("rexpr")) else { return false };
        let aggregate = |n: &Node| n.kind == "FuncCall" && !n.has("over") && self.is_aggregate(n);
        let constant = |n: &Node| matches!(n.kind, "AConst" | "ParamRef");
        condition.kind == "AExpr"
            // They count, or give numbers.
            && !self.cx.context.catalog.own_code.redefines(operator)
            && ((aggregate(l) && constant(r)) || (constant(l) && aggregate(r)))
    }

    /// Grouping keys are computed for every row.
    fn groups(&self, select: &Node, block: &Block<'_>) -> Outcome {
        if select.nodes("group_clause").any(|key| key.kind == "GroupingSet") {
            return cell(
                "ROLLUP, CUBE and GROUPING SETS: a total less the groups shown tells the one that is not",
            );
        }
        if !grouping_keys(select).into_iter().all(|key| self.groups_safely(key, block)) {
            return cell("a grouping key could fail on the row of a single patient");
        }
        Ok(())
    }

    /// True for a grouping key that tells nothing of a single row by failing. `date_trunc('month', d)` of a date column
    /// fails beyond the year 294276 alone, which is nobody's birthday.
    fn groups_safely(&self, key: &Node, block: &Block<'_>) -> bool {
        let to_date = key.kind == "TypeCast"
            && key
                .node("type_name")
                .is_some_and(|t| matches!(t.names("names").as_slice(), ["date"] | ["pg_catalog", "date"]));
        let key = key.node("arg").filter(|a| to_date && a.kind == "FuncCall").unwrap_or(key);
        let args: Vec<&Node> = key.nodes("args").collect();
        let period = key.kind == "FuncCall"
            && matches!(key.names("funcname").as_slice(), ["date_trunc"] | ["pg_catalog", "date_trunc"])
            && key.fields.iter().all(|(f, _)| matches!(*f, "funcname" | "args" | "funcformat"))
            && matches!(args.as_slice(), [unit, column] if column.kind == "ColumnRef"
                && block.column(&column.names("fields")) == Ty::Date
                && super::calls::is_period(unit))
            && !self.shadowed("date_trunc");
        key.kind == "ColumnRef" || period || self.is_ordinary(key, block)
    }

    /// Every aggregate in `node` is one of the allowed, of a bare column.
    fn aggregates<'n>(&self, node: &'n Node, block: &Block<'_>, out: &mut Aggregates<'n>) -> Outcome {
        match node.kind {
            "SelectStmt" | "SubLink" => {
                return cell("a subquery in an expression of the block that groups patients");
            }
            "FuncCall" if !node.has("over") && self.is_aggregate(node) => {
                out.found = true;
                return self.aggregate(node, block, out);
            }
            _ => {}
        }
        node.children().into_iter().try_for_each(|child| self.aggregates(child, block, out))
    }

    fn is_aggregate(&self, call: &Node) -> bool {
        let name = call.names("funcname").last().copied().unwrap_or_default();
        let overloads = self.cx.context.catalog.functions.get(name);
        CELL_AGGREGATES.contains(&name)
            || super::safe::AGGREGATES.contains(&name)
            || call.flag("agg_within_group")
            || call.has("agg_filter")
            || call.flag("agg_distinct")
            || call.has("agg_order")
            || overloads.is_some_and(|all| all.iter().any(|f| f.kind == 'a'))
    }

    fn aggregate<'n>(&self, call: &'n Node, block: &Block<'_>, out: &mut Aggregates<'n>) -> Outcome {
        let names = call.names("funcname");
        let name = names.last().copied().unwrap_or_default();
        let built_in = matches!(names.as_slice(), [_] | ["pg_catalog", _]);
        let foreign = self.cx.context.catalog.functions.get(name);
        let foreign = foreign.is_some_and(|all| all.iter().any(|f| f.schema != "pg_catalog"));
        if !built_in || foreign || !CELL_AGGREGATES.contains(&name) {
            return cell(format!("{name}() can hand out the value of a single patient"));
        }
        if call.has("agg_order") || call.flag("agg_within_group") {
            return cell(format!("{name}() with ORDER BY hands out single values"));
        }
        if call.flag("agg_distinct") && name != "count" {
            return cell(format!("{name}(DISTINCT ...) can hand out the value of a single patient"));
        }
        let distinct = call.flag("agg_distinct");
        out.multiplied |= !distinct;
        let mut flags: Vec<&Node> = call.node("agg_filter").into_iter().collect();
        match call.nodes("args").collect::<Vec<_>>().as_slice() {
            [] if call.flag("agg_star") && name == "count" => {
                out.all = true;
                flags.into_iter().for_each(|flag| put(&mut out.flags, flag));
                Ok(())
            }
            [column] if is_column(column) => {
                put(if flags.is_empty() { &mut out.arguments } else { &mut out.chosen }, column);
                if name != "count" {
                    put(&mut out.summed, column);
                }
                if distinct {
                    put(if flags.is_empty() { &mut out.counted } else { &mut out.distinct }, column);
                }
                flags.into_iter().for_each(|flag| put(&mut out.flags, flag));
                Ok(())
            }
            [chosen] if let Some((flag, column)) = chosen_by(name, distinct, chosen) => {
                flags.push(flag);
                column.into_iter().for_each(|column| put(&mut out.chosen, column));
                column
                    .into_iter()
                    .filter(|_| name != "count")
                    .for_each(|column| put(&mut out.summed, column));
                column.into_iter().filter(|_| distinct).for_each(|column| put(&mut out.distinct, column));
                flags.into_iter().for_each(|flag| put(&mut out.flags, flag));
                Ok(())
            }
            [value] if !distinct && let Some((columns, padded)) = self.linear(value, block) => {
                out.all |= padded;
                let several = columns.len() > 1;
                for read in columns.into_iter().chain(several.then_some(*value)) {
                    put(if flags.is_empty() { &mut out.arguments } else { &mut out.chosen }, read);
                    // Beside a sum of one column, that of both tells the sum of the other.
                    if name != "count" && several {
                        put(&mut out.summed, read);
                    }
                }
                if name != "count" {
                    put(&mut out.summed, value);
                }
                flags.into_iter().for_each(|flag| put(&mut out.flags, flag));
                Ok(())
            }
            _ => cell(format!(
                "{name}() of an expression: one that is 0 but for a single patient tells that patient's value"
            )),
        }
    }

    /// Conditions that choose what aggregates count: none can fail, and several cut no part out of another.
    fn flags(&self, aggregates: &Aggregates<'_>, block: &Block<'_>, cells: &Cells) -> Outcome {
        for flag in &aggregates.flags {
            if has_kind(flag, "SubLink") {
                return cell("a subquery in FILTER or CASE");
            }
            let compares = |n: &Node| {
                n.kind == "BoolExpr" || !matches!(n.names("name").as_slice(), ["+" | "-" | "*" | "/" | "%"])
            };
            let condition = match self.safe(flag, block) {
                Some(ty) => ty == Ty::Bool,
                None => {
                    matches!(flag.kind, "AExpr" | "BoolExpr")
                        && compares(flag)
                        && self.is_ordinary(flag, block)
                }
            };
            if !condition {
                return cell("the condition of FILTER or CASE could fail on the row of a single patient");
            }
            self.excepts_nobody(flag, block, cells)?;
            if cells.tables > 1 && !joins_plainly(flag, block) {
                return cell(
                    "the condition of FILTER or CASE compares columns of two tables by other than =",
                );
            }
        }
        let keys = self.own_keys(cells)?;
        let of_patient = |c: &&Node| column_at(c, block).is_some_and(|column| keys.contains(&column));
        if !aggregates.distinct.iter().all(of_patient) {
            return cell("count(DISTINCT ...) with FILTER or CASE of anything but the patient's key");
        }
        let one_column = || {
            let mut columns = aggregates.flags.iter().map(|flag| self.column_of_equality(flag));
            let first = columns.next().flatten();
            first.is_some() && columns.all(|c| c == first)
        };
        if aggregates.flags.len() > Parts::MOST_FLAGS || (aggregates.flags.len() > 1 && !one_column()) {
            return cell(
                "more than one condition in FILTER or CASE, or more than eight values of one column: what one chooses \
                 and another does not is a group of its own",
            );
        }
        Ok(())
    }

    /// The column of `column = constant`.
    fn column_of_equality<'n>(&self, condition: &'n Node) -> Option<&'n Node> {
        let equality = is_equality(condition);
        let (l, r) = (condition.node("lexpr")?, condition.node("rexpr")?);
        let constant = matches!(r.kind, "AConst" | "ParamRef");
        (equality && constant && is_column(l) && !self.cx.context.catalog.own_code.redefines("="))
            .then_some(l)
    }

    /// True when the relation that a name in FROM means is a table or the like, not a WITH query.
    pub(super) fn is_table(&self, range: &Node) -> bool {
        let schema = Some(range.str("schemaname")).filter(|s| !s.is_empty());
        let context = self.cx.context;
        crate::sql::resolve::resolve_name(context.catalog, context.namespace, schema, range.str("relname"))
            .iter()
            .all(|r| matches!(r, Resolution::User(_) | Resolution::System(_)))
    }
}

/// Stands for a condition or an expression where the policy's text is parsed.
const STAND_IN: &str = "__glass_stand_in";

/// What stands for the client's expressions in the policy's conditions.
struct StandIns<'n>(Vec<&'n Node>);

impl<'n> StandIns<'n> {
    fn of(aggregates: &Aggregates<'n>) -> Self {
        let mut all = Vec::new();
        let expressions = aggregates.arguments.iter().chain(&aggregates.chosen).chain(&aggregates.summed);
        for node in aggregates.flags.iter().chain(expressions.filter(|n| !is_column(n))) {
            put(&mut all, node);
        }
        Self(all)
    }

    /// The text of a column, or what stands for an expression.
    fn text(&self, node: &Node) -> String {
        match self.0.iter().position(|known| *known == node) {
            Some(at) => format!("{STAND_IN}{at}"),
            None => column_text(node),
        }
    }

    /// The policy's condition, with the client's expressions in it.
    fn expression(&self, text: &str) -> Outcome<Node> {
        let mut condition = super::expected::expression(text)?;
        self.put_in(&mut condition);
        Ok(condition)
    }

    fn put_in(&self, node: &mut Node) {
        let index = match node.names("fields").as_slice() {
            [name] if node.kind == "ColumnRef" => {
                name.strip_prefix(STAND_IN).and_then(|n| n.parse::<usize>().ok())
            }
            _ => None,
        };
        if let Some(known) = index.and_then(|i| self.0.get(i)) {
            *node = (*known).clone();
            return;
        }
        node.fields.iter_mut().for_each(|(_, value)| self.put_below(value));
    }

    fn put_below(&self, tree: &mut Tree) {
        match tree {
            Tree::Node(node) => self.put_in(node),
            Tree::List(items) => items.iter_mut().for_each(|item| self.put_below(item)),
            Tree::Null | Tree::Int(_) | Tree::Float(_) | Tree::Str(_) => {}
        }
    }
}

fn put<'n>(all: &mut Vec<&'n Node>, one: &'n Node) {
    if !all.contains(&one) {
        all.push(one);
    }
}

/// True when a node of this kind is in `node`, or is it.
fn has_kind(node: &Node, kind: &str) -> bool {
    node.kind == kind || node.children().into_iter().any(|child| has_kind(child, kind))
}

/// The condition by which the argument of an aggregate chooses rows, and the column that it takes of them:
/// `CASE WHEN condition THEN column or constant [ELSE 0 or NULL] END`, and `sum(condition::int)`.
fn chosen_by<'n>(
    aggregate: &str,
    distinct: bool,
    argument: &'n Node,
) -> Option<(&'n Node, Option<&'n Node>)> {
    let only = |node: &Node, fields: &[&str]| node.fields.iter().all(|(f, _)| fields.contains(f));
    match argument.kind {
        "CaseExpr"
            if ["count", "sum", "avg"].contains(&aggregate) && only(argument, &["args", "defresult"]) =>
        {
            let zero = |v: &Node| match v.kind {
                "Integer" => v.int("ival") == 0,
                "Float" => v.str("fval").bytes().all(|b| matches!(b, b'0' | b'.')),
                _ => false,
            };
            // Counted once, 0 is one value more, unless it is somebody's key.
            let nothing = |e: &Node| {
                e.kind == "AConst" && (e.flag("isnull") || (!distinct && e.node("val").is_some_and(zero)))
            };
            if argument.node("defresult").is_some_and(|e| !nothing(e)) {
                return None;
            }
            let whens: Vec<&Node> = argument.nodes("args").collect();
            let [when] = whens.as_slice() else { return None };
            let (condition, result) = (when.node("expr")?, when.node("result")?);
            match result.kind {
                "AConst" if aggregate == "count" || is_small(result) => Some((condition, None)),
                _ if is_column(result) => Some((condition, Some(result))),
                _ => None,
            }
        }
        "TypeCast" if matches!(aggregate, "sum" | "avg") => {
            let type_name = argument.node("type_name")?;
            let names = type_name.names("names");
            let int = matches!(names.as_slice(), ["pg_catalog", "int4"] | ["int4"]);
            let plain = type_name.list("array_bounds").is_empty() && !type_name.has("typmods");
            (int && plain).then_some((argument.node("arg")?, None))
        }
        _ => None,
    }
}

/// True for a constant of which no number of rows overflows a sum: that would tell of rows that are not shown. A text is
/// any number, beside one.
fn is_small(constant: &Node) -> bool {
    let digits = |text: &str| text.len() <= 15 && text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    constant.flag("isnull")
        || constant.node("val").is_some_and(|v| match v.kind {
            "Integer" => true,
            "Float" => digits(v.str("fval")),
            _ => false,
        })
}

/// `column` or `alias.column`.
pub(super) fn is_column(node: &Node) -> bool {
    node.kind == "ColumnRef" && {
        let fields = node.list("fields");
        (1..=2).contains(&fields.len())
            && fields.iter().all(|f| f.as_node().is_some_and(|n| n.kind == "String"))
    }
}

/// The column as SQL text.
pub(super) fn column_text(column: &Node) -> String {
    column.names("fields").into_iter().map(crate::catalog::quote_ident).collect::<Vec<_>>().join(".")
}

/// Shaped like a condition of the policy's: `pg_catalog.count(DISTINCT ...) OPERATOR(pg_catalog.>=) n`.
fn is_our_count(condition: &Node) -> bool {
    condition.names("name") == ["pg_catalog", ">="] && counts_distinct(condition)
}

/// The same for `NOT (pg_catalog.count(DISTINCT ...) OPERATOR(pg_catalog.>) 0 AND ...)`.
fn is_our_difference(condition: &Node) -> bool {
    let kind = |n: &Node, op: BoolExprType| n.kind == "BoolExpr" && n.int("boolop") == i64::from(op as i32);
    match condition.list("args") {
        [Tree::Node(inner)] if kind(condition, BoolExprType::NotExpr) => {
            kind(inner, BoolExprType::AndExpr) && inner.nodes("args").all(counts_distinct)
        }
        _ => false,
    }
}

/// The same for `CASE WHEN pg_catalog.count(DISTINCT ...) OPERATOR(pg_catalog.>) n THEN true ELSE (SELECT ...) END`.
fn is_our_values(condition: &Node) -> bool {
    let first = condition.nodes("args").next().and_then(|when| when.node("expr"));
    condition.kind == "CaseExpr"
        && condition.node("defresult").is_some_and(|e| e.kind == "SubLink")
        && first.is_some_and(|c| c.names("name") == ["pg_catalog", ">"] && counts_distinct(c))
}

fn counts_distinct(comparison: &Node) -> bool {
    comparison.kind == "AExpr"
        && comparison
            .node("lexpr")
            .is_some_and(|l| l.names("funcname") == ["pg_catalog", "count"] && l.flag("agg_distinct"))
}

/// True when a condition over several tables cuts no overlapping groups: an equality of two columns, or a condition on
/// columns of one table.
pub(super) fn joins_plainly(condition: &Node, block: &Block<'_>) -> bool {
    let mut columns = Vec::new();
    columns_in(condition, &mut columns);
    let aliases: Vec<Option<String>> =
        columns.iter().map(|c| column_at(c, block).map(|(alias, _)| alias)).collect();
    let of_one =
        aliases.first().is_some_and(Option::is_some) && aliases.windows(2).all(|w| w.first() == w.last());
    equal_columns(condition) || columns.len() <= 1 || of_one
}

/// `l = r`, not `= ANY`, `= ALL` or IS [NOT] DISTINCT FROM, which have the same operator.
fn is_equality(condition: &Node) -> bool {
    condition.kind == "AExpr"
        && condition.names("name") == ["="]
        && condition.int("kind") == i64::from(AExprKind::AexprOp as i32)
}

/// `a.x = b.y`
pub(super) fn equal_columns(condition: &Node) -> bool {
    is_equality(condition)
        && [condition.node("lexpr"), condition.node("rexpr")].iter().all(|s| s.is_some_and(is_column))
}
