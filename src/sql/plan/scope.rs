//! First pass: finds every occurrence of a protected table under PostgreSQL's scoping of WITH,
//! and tags it. After this pass an occurrence is recognised by its reserved name alone.
//! Not for guards or lineage.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::iter;

use sqlparser::ast::{
    AccessExpr, Expr, FromTable, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr, Ident, Insert,
    Join, ObjectName, ObjectNamePart, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr,
    Statement, TableAlias, TableAliasWithoutColumns, TableFactor, TableObject, TableSampleKind,
    TableSampleMethod, TableWithJoins, UpdateTableFromKind, VisitMut,
};

use super::namesakes::{self, Written};
use super::walk::{Edit, edit};
use super::with::modifies;
use super::{PlanError, PlanInput, each_query_mut, ident, table_command};
use crate::catalog::{Relation, Resolved};
use crate::policy::{Access, BoundTable, TableMasks};
use crate::sql::words::ONLY;

const TAG: &str = "__glass_tbl_";

/// One occurrence of a protected table.
#[derive(Debug)]
pub(crate) struct Occurrence<'a> {
    /// The table's rule.
    pub(crate) table: &'a BoundTable,
    /// The relation.
    pub(crate) relation: &'a Relation,
    /// Rows outside the assignment must be filtered.
    pub(crate) filter: bool,
    /// Column masks.
    pub(crate) masks: TableMasks<'a>,
    /// A lookup outside is refused.
    pub(crate) block: bool,
    /// The name the block knows it by.
    pub(crate) alias: String,
    /// An alias column list renames columns.
    pub(crate) renamed: bool,
    /// Read through TABLESAMPLE.
    pub(crate) sampled: bool,
    /// Read with ONLY.
    pub(crate) only: bool,
    /// The target of INSERT, UPDATE or DELETE.
    pub(crate) target: bool,
}

impl Occurrence<'_> {
    /// True when `column` is not masked for this role.
    pub(crate) fn clear(&self, column: &str) -> bool {
        self.masks.clear(column)
    }

    /// A write is filtered also where a query is shown other patients' rows, masked.
    fn becomes_target(&mut self) {
        self.target = true;
        self.filter |= self.masks.outside.take().is_some();
    }

    /// True when the columns the witness starts from are readable outside a derived table.
    pub(crate) fn key_is_clear(&self) -> bool {
        !self.renamed && self.table.rule.owner_columns().into_iter().all(|c| self.clear(c))
    }
}

/// An identifier as PostgreSQL folds it: lower case unless quoted, at most 63 bytes.
pub(crate) fn fold(name: &Ident) -> String {
    let mut text =
        if name.quote_style.is_some() { name.value.clone() } else { name.value.to_ascii_lowercase() };
    if text.len() > 63 {
        let end = (0..=63).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0);
        text.truncate(end);
    }
    text
}

/// The names of the WITH queries in scope, innermost last.
#[derive(Debug, Clone, Default)]
pub(crate) struct CteNames(Vec<String>);

impl CteNames {
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|n| n == name)
    }

    pub(crate) fn push(&mut self, name: String) {
        self.0.push(name);
    }
}

/// The number of the occurrence that a (tagged) table factor is, if it is one.
pub(crate) fn occurrence_of(name: &ObjectName) -> Option<usize> {
    match name.0.as_slice() {
        [ObjectNamePart::Identifier(i)] => i.value.strip_prefix(TAG)?.strip_suffix('_')?.parse().ok(),
        _ => None,
    }
}

/// Tags every occurrence in `ast` and returns them by number.
pub(super) fn tag<'a>(ast: &mut Statement, input: &PlanInput<'a>) -> Result<Vec<Occurrence<'a>>, PlanError> {
    let mut tagger =
        Tagger { input: *input, found: Vec::new(), qualified: Vec::new(), others: Vec::new(), inside: false };
    tagger.statement(ast, &CteNames::default())?;
    let written = tagger.qualified;
    let renamed = namesakes::told_apart(ast, &mut tagger.found, &written, input.text)?;
    let tables: Vec<(String, String)> = written.into_iter().map(|(pair, _)| pair).collect();
    let shared = |(schema, table): &&(String, String)| {
        tagger.others.contains(table) || tables.iter().any(|(s, t)| t == table && s != schema)
    };
    let shared = tables.iter().filter(shared).map(|(_, table)| table.clone()).collect();
    let mut strip = Unqualify { tables, shared, renamed, mistaken: Cell::new(false) };
    if !strip.tables.is_empty() {
        edit(ast, &mut strip)?;
    }
    if strip.mistaken.get() {
        return Err(PlanError::guard(
            "a column named with its schema, beside something else that is called like its table",
            "give the tables aliases",
        ));
    }
    Ok(tagger.found)
}

struct Tagger<'a> {
    input: PlanInput<'a>,
    found: Vec<Occurrence<'a>>,
    /// Tables without an alias, by schema and name, and which occurrences they are: their columns may be written with
    /// the schema.
    qualified: Vec<(Written, usize)>,
    /// What everything else in FROM is called.
    others: Vec<String>,
    /// Inside the statement's own WITH or body: a WITH that writes cannot stand there.
    inside: bool,
}

impl<'a> Tagger<'a> {
    fn statement(&mut self, statement: &mut Statement, ctes: &CteNames) -> Result<(), PlanError> {
        match statement {
            Statement::Query(query) => self.query(query, ctes),
            Statement::Insert(insert) => self.insert(insert, ctes),
            Statement::Update(update) => {
                self.target(&mut update.table)?;
                if let Some(from) = &mut update.from {
                    let (UpdateTableFromKind::BeforeSet(from) | UpdateTableFromKind::AfterSet(from)) = from;
                    self.from(from, ctes)?;
                }
                self.nested(&mut update.assignments, ctes)?;
                self.nested(&mut update.selection, ctes)?;
                self.nested(&mut update.returning, ctes)
            }
            Statement::Delete(delete) => {
                let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &mut delete.from;
                match from.as_mut_slice() {
                    [one] if delete.tables.is_empty() => self.target(one)?,
                    _ => return Err(PlanError::guard("DELETE from several tables", "delete from one table")),
                }
                if let Some(using) = &mut delete.using {
                    self.from(using, ctes)?;
                }
                self.nested(&mut delete.selection, ctes)?;
                self.nested(&mut delete.returning, ctes)
            }
            Statement::Merge(merge) => {
                self.target_factor(&mut merge.table)?;
                self.factor(&mut merge.source, ctes)?;
                self.nested(&mut merge.on, ctes)?;
                self.nested(&mut merge.clauses, ctes)?;
                self.nested(&mut merge.output, ctes)
            }
            _ => Err(PlanError::guard("this kind of statement", "use SELECT, INSERT, UPDATE or DELETE")),
        }
    }

    fn insert(&mut self, insert: &mut Insert, ctes: &CteNames) -> Result<(), PlanError> {
        let TableObject::TableName(name) = &mut insert.table else {
            return Err(PlanError::guard("INSERT into anything but a table", "insert into the table itself"));
        };
        let alias = insert.table_alias.as_ref().map(|a| a.alias.clone());
        self.others.extend(alias.as_ref().map(fold));
        if let Some(alias) = self.tag_name(name, alias.as_ref(), None)? {
            if let Some(found) = self.found.last_mut() {
                found.becomes_target();
            }
            insert.table_alias = Some(TableAliasWithoutColumns { explicit: true, alias });
        }
        if let Some(source) = &mut insert.source {
            self.query(source, ctes)?;
        }
        self.nested(&mut insert.on, ctes)?;
        self.nested(&mut insert.assignments, ctes)?;
        self.nested(&mut insert.returning, ctes)
    }

    /// The target of UPDATE or DELETE: a WITH name never stands for it.
    fn target(&mut self, table: &mut TableWithJoins) -> Result<(), PlanError> {
        if !table.joins.is_empty() {
            return Err(PlanError::guard("a join as the target", "name the other tables in FROM or USING"));
        }
        self.target_factor(&mut table.relation)
    }

    fn target_factor(&mut self, table: &mut TableFactor) -> Result<(), PlanError> {
        let before = self.found.len();
        self.factor(table, &CteNames::default())?;
        if let Some(found) = self.found.get_mut(before) {
            found.becomes_target();
        }
        Ok(())
    }

    fn nested<N: VisitMut>(&mut self, node: &mut N, ctes: &CteNames) -> Result<(), PlanError> {
        each_query_mut(node, &mut |q| self.query(q, ctes))
    }

    fn query(&mut self, query: &mut Query, ctes: &CteNames) -> Result<(), PlanError> {
        if query.for_clause.is_some()
            || query.settings.is_some()
            || query.format_clause.is_some()
            || !query.pipe_operators.is_empty()
        {
            return Err(PlanError::guard("a clause that PostgreSQL does not have", ""));
        }
        let mut ctes = ctes.clone();
        let inside = std::mem::replace(&mut self.inside, true);
        if let Some(with) = &mut query.with {
            if with.recursive {
                // Every name of a WITH RECURSIVE is visible in every query of it.
                with.cte_tables.iter().for_each(|c| ctes.push(fold(&c.alias.name)));
            }
            for cte in &mut with.cte_tables {
                let before = self.found.len();
                self.query(&mut cte.query, &ctes)?;
                if self.found.len() > before && modifies(&cte.query) && inside {
                    return Err(PlanError::guard(
                        "a data-modifying WITH query inside another query",
                        "write it at the beginning of the statement",
                    ));
                }
                if !with.recursive {
                    ctes.push(fold(&cte.alias.name));
                }
            }
        }
        let before = self.found.len();
        self.set_expr(&mut query.body, &ctes)?;
        let inside = self.found.get(before..).unwrap_or_default();
        if let Some(o) = inside.iter().find(|o| !query.locks.is_empty() && o.masks.joins()) {
            return Err(PlanError::guard(
                format!("FOR UPDATE or FOR SHARE of {}, whose masked form is a join", o.table.name),
                "read the rows without locking them",
            ));
        }
        self.nested(&mut query.order_by, &ctes)?;
        self.nested(&mut query.limit_clause, &ctes)?;
        self.nested(&mut query.fetch, &ctes)
    }

    fn set_expr(&mut self, body: &mut SetExpr, ctes: &CteNames) -> Result<(), PlanError> {
        match body {
            SetExpr::Select(select) => self.select(select, ctes),
            SetExpr::Query(query) => self.query(query, ctes),
            SetExpr::SetOperation { left, right, .. } => {
                self.set_expr(left, ctes)?;
                self.set_expr(right, ctes)
            }
            SetExpr::Values(values) => self.nested(values, ctes),
            SetExpr::Insert(inner)
            | SetExpr::Update(inner)
            | SetExpr::Delete(inner)
            | SetExpr::Merge(inner) => self.statement(inner, ctes),
            SetExpr::Table(_) => Err(table_command()),
        }
    }

    fn select(&mut self, select: &mut Select, ctes: &CteNames) -> Result<(), PlanError> {
        if select.into.is_some() {
            return Err(PlanError::guard("SELECT INTO would copy rows", "use WITH or a subquery"));
        }
        let foreign = select.top.is_some()
            || select.exclude.is_some()
            || !select.lateral_views.is_empty()
            || select.prewhere.is_some()
            || !select.connect_by.is_empty()
            || !select.cluster_by.is_empty()
            || !select.distribute_by.is_empty()
            || !select.sort_by.is_empty()
            || select.qualify.is_some()
            || select.value_table_mode.is_some()
            || matches!(select.group_by, GroupByExpr::All(_));
        if foreign {
            return Err(PlanError::guard("a clause that PostgreSQL does not have", ""));
        }
        self.from(&mut select.from, ctes)?;
        self.nested(&mut select.distinct, ctes)?;
        self.nested(&mut select.projection, ctes)?;
        self.nested(&mut select.selection, ctes)?;
        self.nested(&mut select.group_by, ctes)?;
        self.nested(&mut select.having, ctes)?;
        self.nested(&mut select.named_window, ctes)
    }

    fn from(&mut self, from: &mut [TableWithJoins], ctes: &CteNames) -> Result<(), PlanError> {
        for tree in from {
            self.tree(tree, ctes)?;
        }
        Ok(())
    }

    fn tree(&mut self, tree: &mut TableWithJoins, ctes: &CteNames) -> Result<(), PlanError> {
        self.factor(&mut tree.relation, ctes)?;
        for Join { relation, join_operator, .. } in &mut tree.joins {
            self.factor(relation, ctes)?;
            self.nested(join_operator, ctes)?;
        }
        Ok(())
    }

    fn factor(&mut self, factor: &mut TableFactor, ctes: &CteNames) -> Result<(), PlanError> {
        match factor {
            TableFactor::Table { name, alias, args: None, sample, .. } => {
                let given = alias.as_ref().map(|a| a.name.clone());
                let called =
                    given.as_ref().or_else(|| name.0.last().and_then(ObjectNamePart::as_ident)).map(fold);
                let tagged = self.tag_name(name, given.as_ref(), Some(ctes))?;
                if tagged.is_none() || given.is_some() {
                    self.others.extend(called);
                }
                if let Some(given) = tagged {
                    if let Some(found) = self.found.last_mut() {
                        found.sampled = sample.is_some();
                        if let Some(
                            TableSampleKind::BeforeTableAlias(clause)
                            | TableSampleKind::AfterTableAlias(clause),
                        ) = sample
                            && found.filter
                        {
                            if clause.seed.is_some() {
                                return Err(PlanError::guard(
                                    "TABLESAMPLE ... REPEATABLE tells where rows lie, and so where hidden ones do",
                                    "leave out REPEATABLE, or choose rows by a hash of their key",
                                ));
                            }
                            // What lies on a page is drawn together by SYSTEM, with the hidden rows between.
                            clause.name = Some(TableSampleMethod::Bernoulli);
                        }
                        found.renamed = alias.as_ref().is_some_and(|a| !a.columns.is_empty());
                    }
                    let columns = alias.take().map(|a| a.columns).unwrap_or_default();
                    *alias = Some(TableAlias { explicit: true, name: given, columns, at: None });
                }
                Ok(())
            }
            TableFactor::Derived { subquery, alias, .. } => {
                self.others.extend(alias.as_ref().map(|a| fold(&a.name)));
                self.query(subquery, ctes)
            }
            TableFactor::NestedJoin { table_with_joins, alias } => {
                self.others.extend(alias.as_ref().map(|a| fold(&a.name)));
                self.tree(table_with_joins, ctes)
            }
            TableFactor::Table { alias, .. }
            | TableFactor::TableFunction { alias, .. }
            | TableFactor::Function { alias, .. }
            | TableFactor::UNNEST { alias, .. }
            | TableFactor::XmlTable { alias, .. }
            | TableFactor::JsonTable { alias, .. } => {
                self.others.extend(alias.as_ref().map(|a| fold(&a.name)));
                self.nested(factor, ctes)
            }
            TableFactor::OpenJsonTable { .. }
            | TableFactor::Pivot { .. }
            | TableFactor::Unpivot { .. }
            | TableFactor::UnpivotExpr { .. }
            | TableFactor::MatchRecognize { .. }
            | TableFactor::SemanticView { .. } => {
                Err(PlanError::guard("a FROM item that PostgreSQL does not have", ""))
            }
        }
    }

    /// Tags `name` when it is a protected table; the alias it must then carry.
    fn tag_name(
        &mut self,
        name: &mut ObjectName,
        alias: Option<&Ident>,
        ctes: Option<&CteNames>,
    ) -> Result<Option<Ident>, PlanError> {
        let mut parts = Vec::with_capacity(3);
        for part in &name.0 {
            match part {
                ObjectNamePart::Identifier(i) => parts.push(fold(i)),
                ObjectNamePart::Function(_) => {
                    return Err(PlanError::guard("a computed table name", "name the table"));
                }
            }
        }
        let only = parts.first().is_some_and(|p| p == ONLY);
        if only {
            parts.remove(0);
        }
        let (schema, table) = match parts.as_slice() {
            [table] if ctes.is_some_and(|c| c.has(table)) => return Ok(None),
            [table] => (None, table.as_str()),
            [schema, table] | [_, schema, table] => (Some(schema.as_str()), table.as_str()),
            _ => return Err(PlanError::guard(format!("the name {name}"), "use schema.table")),
        };
        let relation = match self.input.catalog.resolve(schema, table, self.input.namespace) {
            Resolved::Relation(relation) => relation,
            Resolved::Temporary | Resolved::Unknown => return Ok(None),
        };
        match self.input.policy.access(self.input.role, relation.oid) {
            Access::Free => Ok(None),
            // What is closed is refused where names are resolved; the system's own is decided there.
            Access::Denied(_) => match relation.name.schema.as_str() {
                "pg_catalog" | "information_schema" => Ok(None),
                _ => Err(PlanError::guard(format!("{} is closed to this role", relation.name), "")),
            },
            Access::Protected { table: bound, filter, masks, block } => {
                if alias.is_none() {
                    let pair = (relation.name.schema.clone(), table.to_owned());
                    self.qualified.push((pair, self.found.len()));
                }
                let alias = match alias {
                    Some(alias) => alias.clone(),
                    None => Ident::with_quote('"', table),
                };
                self.found.push(Occurrence {
                    table: bound,
                    relation,
                    filter,
                    masks,
                    block,
                    alias: fold(&alias),
                    renamed: false,
                    sampled: false,
                    only,
                    target: false,
                });
                let tag = ident(format!("{TAG}{}_", self.found.len() - 1));
                *name = ObjectName(vec![ObjectNamePart::Identifier(tag)]);
                Ok(Some(alias))
            }
        }
    }
}

/// `schema.table.column` becomes `table.column` for tables that now carry an alias, wherever it stands: alone, as
/// `schema.table.*`, or at the head of subscripts and fields. The database's name may come first.
struct Unqualify {
    tables: Vec<(String, String)>,
    /// Tables whose name something else in the statement has, too: without the schema, that could be meant.
    shared: Vec<String>,
    /// Those that have an alias of their own instead of their name.
    renamed: BTreeMap<Written, String>,
    /// One of them was named so.
    mistaken: Cell<bool>,
}

impl Unqualify {
    /// How many names stand before the table's; none where this is no table of ours.
    fn before(&self, name: &[&Ident]) -> usize {
        let known = |schema: &Ident, table: &Ident| {
            let (schema, table) = (fold(schema), fold(table));
            let known = self.tables.iter().any(|(s, t)| *s == schema && *t == table);
            let torn = self.shared.contains(&table) && !self.renamed.contains_key(&(schema, table));
            self.mistaken.set(self.mistaken.get() || (known && torn));
            known
        };
        match name {
            [schema, table] if known(schema, table) => 1,
            [_, schema, table] if known(schema, table) => 2,
            _ => 0,
        }
    }

    /// What a table is called after `before` names: its name, or its alias.
    fn called(&self, name: &[&Ident], before: usize) -> Option<Ident> {
        let (schema, table) = (name.get(before.checked_sub(1)?)?, name.get(before)?);
        let alias = self.renamed.get(&(fold(schema), fold(table)));
        Some(alias.map_or_else(|| (*table).clone(), |alias| Ident::with_quote('"', alias.as_str())))
    }

    fn row(&self, name: &mut ObjectName) {
        let parts: Option<Vec<&Ident>> = name.0.iter().map(ObjectNamePart::as_ident).collect();
        let Some(parts) = parts else { return };
        let before = self.before(&parts);
        let Some(called) = self.called(&parts, before) else { return };
        name.0.drain(..before);
        if let Some(table) = name.0.first_mut() {
            *table = ObjectNamePart::Identifier(called);
        }
    }

    /// `schema.table.column[1]`, `schema.table.column['key']`: the parser has the names one by one.
    fn chain(&self, root: &mut Expr, chain: &mut Vec<AccessExpr>) {
        let Expr::Identifier(first) = &*root else { return };
        let named = |access: &AccessExpr| match access {
            AccessExpr::Dot(Expr::Identifier(name)) => Some(name.clone()),
            AccessExpr::Dot(_) | AccessExpr::Subscript(_) => None,
        };
        let names: Vec<Ident> = iter::once(first.clone()).chain(chain.iter().map_while(named)).collect();
        let names: Vec<&Ident> = names.iter().collect();
        let before = names.split_last().map_or(0, |(_, table)| self.before(table));
        let Some(called) = self.called(&names, before) else { return };
        chain.drain(..before);
        *root = Expr::Identifier(called);
    }
}

impl Edit for Unqualify {
    fn expr(&mut self, expr: &mut Expr) {
        match expr {
            Expr::CompoundIdentifier(parts) => {
                let names: Vec<&Ident> = parts.iter().collect();
                let before = names.split_last().map_or(0, |(_, table)| self.before(table));
                let Some(called) = self.called(&names, before) else { return };
                parts.drain(..before);
                if let Some(table) = parts.first_mut() {
                    *table = called;
                }
            }
            Expr::CompoundFieldAccess { root, access_chain } => self.chain(root, access_chain),
            Expr::QualifiedWildcard(name, _) => self.row(name),
            // An argument that is a row is no expression of the parser's.
            Expr::Function(function) => {
                if let FunctionArguments::List(list) = &mut function.args {
                    for arg in &mut list.args {
                        let (FunctionArg::Named { arg, .. }
                        | FunctionArg::ExprNamed { arg, .. }
                        | FunctionArg::Unnamed(arg)) = arg;
                        if let FunctionArgExpr::QualifiedWildcard(name) = arg {
                            self.row(name);
                        }
                    }
                }
            }
            _ => {}
        }
    }

    fn select(&mut self, select: &mut Select) -> Result<(), PlanError> {
        for item in &mut select.projection {
            if let SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) = item
            {
                self.row(name);
            }
        }
        Ok(())
    }
}
