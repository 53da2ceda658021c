//! A policy held against a catalog snapshot: rules by OID, and the access decision per table.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::closed::{Closed, ClosedLabels};
use super::deciding::Deciding;
use super::links::Links;
use super::preset::masks_on;
use super::problem::{agree, loose_rule, loose_sources, two_entries};
use super::settled::{unsettled_sources, unsettled_views};
use super::shown::{STILL_CLOSED, Shown};
use super::{
    KeyPath, Mask, Outside, OutsideMasks, Path, Policy, Problem, Role, Scope, Source, TableMasks, TableRule,
};
use crate::catalog::{Catalog, Oid, QualifiedName, Relation};

/// What rows of patients outside show of a table that the role's `outside_masks` do not name.
static NOTHING: OutsideMasks = BTreeMap::new();

/// A protected relation that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoundTable {
    /// The relation's OID.
    pub oid: Oid,
    /// Its name now (the rule's name may be older).
    pub name: QualifiedName,
    /// Its rule; a partition or inheritance child has its parent's.
    pub rule: Arc<TableRule>,
    /// The type, as SQL text, of the column that tells which way a row takes (`when`), if there is one.
    pub tells_type: Option<String>,
    /// What of it is closed to the role that it is looked at for, beyond the assignment.
    pub closed: Option<Arc<Closed>>,
    /// Columns that the server computes (`GENERATED ALWAYS AS`), with those that it computes each from.
    pub computed: Vec<(String, Vec<String>)>,
}

impl BoundTable {
    /// True when the guard asks for no assignment: the role sees every patient, but not everything of them.
    pub fn sees_everyone(&self) -> bool {
        self.closed.as_ref().is_some_and(|c| c.everyone())
    }

    /// True when rows of patients whom the role sees can be closed to it.
    pub fn hides_rows(&self) -> bool {
        self.closed.as_ref().is_some_and(|c| c.hides_rows())
    }

    /// The columns by which it is decided whether a row may be written, each once.
    pub fn deciding_columns(&self) -> Vec<&str> {
        let mut columns = self.rule.owner_columns();
        columns.extend(self.closed.as_ref().and_then(|c| c.column()));
        columns.sort_unstable();
        columns.dedup();
        columns
    }
}

/// Why a relation is closed to a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denial {
    /// Neither mapped nor declared `reference`: GLS-220.
    NotMapped,
    /// What the policy says of it does not fit the database ([`Problem`]).
    Misfit,
    /// Free of patients itself, but reading it reads a partition or child that is not.
    ProtectedPart,
    /// Mapped, but of a class the role may not read.
    ClassNotAllowed,
    /// The role's scope is `none`.
    ScopeNone,
    /// `[deny]`, and the role does not have it in `allow_denied`.
    Denied,
}

/// What a role may do with a relation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access<'a> {
    /// Nothing of patients in it.
    Free,
    /// Protected; every occurrence needs its guard (when `filter` or `masks`) and its witness.
    Protected {
        /// The rule.
        table: &'a BoundTable,
        /// True when rows outside the assignment must be filtered. Where they are masked instead
        /// (`masks.outside`), a write is filtered all the same.
        filter: bool,
        /// Column masks of this role for this table.
        masks: TableMasks<'a>,
        /// True when a lookup of one patient outside is refused rather than empty.
        block: bool,
    },
    /// Closed.
    Denied(Denial),
}

/// A policy bound to one catalog snapshot.
#[derive(Debug, Clone)]
pub struct BoundPolicy {
    /// Grows by one with every bind that differs (a reload or a catalog change).
    pub epoch: u64,
    /// The policy itself.
    pub policy: Arc<Policy>,
    /// Protected relations by OID, children of protected parents included.
    pub tables: HashMap<Oid, BoundTable>,
    /// Relations declared free of patients, by OID.
    pub reference: HashSet<Oid>,
    /// Columns whose value makes rows of *other* tables a patient's (the far end of a step that
    /// reaches many, or to a row that is somebody's in another way), or a patient somebody's (what an assignment
    /// source reads, behind views, too), and those of views of them: a role that is filtered may not write them, or it
    /// would help itself to rows.
    pub links: HashMap<Oid, BTreeSet<String>>,
    /// Relations that `[[label]]` reads, their partitions and children, what a view among them is made of, and views of
    /// them: a role that is filtered takes no row out of them, or it would take a label off.
    pub labels: HashSet<Oid>,
    /// Relations whose rows say who is assigned to whom, or which labels patients have, behind views, too.
    pub tellers: HashSet<Oid>,
    /// Relations that say who is assigned to whom, never readable by clients of restricted roles; those
    /// that a query of `[[assignment.source]]` reads may have a rule of their own.
    pub assignments: HashSet<Oid>,
    /// Relations of `[deny]` by OID, with the configured name; children follow.
    pub denied: HashMap<Oid, QualifiedName>,
    /// Protected relations whose rule does not hold (a missing key column ...): closed to everyone.
    pub broken: HashSet<Oid>,
    /// Masks that a preset of a role proposes, and those the role names, by role and relation.
    presets: HashMap<Arc<str>, HashMap<Oid, BTreeMap<String, Mask>>>,
    /// Protected relations as a role sees to which categories or labels are closed. One that is not here
    /// is closed to the role: what is sensitive in it cannot be told.
    limited: HashMap<Arc<str>, Limited>,
    /// What columns show each role.
    shown: Shown,
    /// The columns by which it is decided whose rows are whose.
    deciding: Deciding,
    /// Protected relations, by role, in which a column shows more than it did: closed to the role.
    shows_more: HashMap<Arc<str>, HashSet<Oid>>,
    /// What could not be bound: configured names that do not exist, keys of a wrong type ...
    pub problems: Vec<Problem>,
    /// A source of assignments takes one user or patient for another: who is assigned to whom cannot be told.
    pub no_assignments: bool,
}

/// What is closed to one role.
#[derive(Debug, Clone, Default)]
struct Limited {
    labels: Vec<ClosedLabels>,
    tables: HashMap<Oid, BoundTable>,
}

impl BoundPolicy {
    /// Holds `policy` against `catalog`. `previous` is what was bound before, if anything: a rule
    /// follows its relation's OID, so a renamed table keeps its rule (and a new table under the
    /// old name gets it as well). With the same policy a mask follows its column, too: where it does not by name, the
    /// relation is closed to the role.
    pub fn bind(policy: Arc<Policy>, catalog: &Catalog, previous: Option<&BoundPolicy>) -> Self {
        let same = previous.filter(|p| p.policy == policy);
        let (shown, deciding) = same.map(|p| (p.shown.clone(), p.deciding.clone())).unwrap_or_default();
        Self::bind_after(policy, catalog, previous, &shown, deciding)
    }

    /// The same for a policy that was just loaded: its names are those that columns have now. What it does not name, and
    /// showed less before, stays closed.
    pub fn bind_loaded(policy: Arc<Policy>, catalog: &Catalog, previous: &BoundPolicy) -> Self {
        let shown = previous.shown.loaded(previous, &policy, catalog);
        Self::bind_after(policy, catalog, Some(previous), &shown, Deciding::default())
    }

    fn bind_after(
        policy: Arc<Policy>,
        catalog: &Catalog,
        previous: Option<&BoundPolicy>,
        shown: &Shown,
        mut deciding: Deciding,
    ) -> Self {
        // Where a name was given to another column, rules go by a catalog that has none of that name.
        let without = deciding.without_exchanged(catalog);
        let (real, catalog) = (catalog, without.as_ref().map_or(catalog, |(catalog, _)| catalog));
        let mut bound = BoundPolicy {
            epoch: previous.map_or(1, |p| p.epoch + 1),
            assignments: HashSet::new(),
            denied: HashMap::new(),
            policy,
            tables: HashMap::new(),
            reference: HashSet::new(),
            links: HashMap::new(),
            labels: HashSet::new(),
            tellers: HashSet::new(),
            broken: HashSet::new(),
            presets: HashMap::new(),
            limited: HashMap::new(),
            shown: Shown::default(),
            deciding: Deciding::default(),
            shows_more: HashMap::new(),
            problems: Vec::new(),
            no_assignments: false,
        };
        let policy = Arc::clone(&bound.policy);
        bound.bind_sources(catalog);
        bound.bind_denied(catalog, previous.filter(|p| p.policy == policy));
        for rule in &policy.tables {
            bound.bind_rule(&Arc::new(rule.clone()), catalog, previous);
        }
        bound.bind_children(catalog);
        bound.close_two_entries(catalog);
        let links = Links::of(&policy, &bound.tables, catalog);
        (bound.links, bound.labels, bound.tellers) = (links.columns, links.labels, links.tellers);
        let unsettled = unsettled_views(&bound.tellers, catalog);
        let labels_are_told = unsettled.is_empty();
        bound.no_assignments |= !unsettled.is_empty();
        bound.problems.extend(unsettled);
        if let Some(previous) = previous.filter(|p| p.policy == policy) {
            bound.keep_broken(catalog, previous);
        }
        bound.bind_computed(real);
        bound.bind_presets(real);
        bound.bind_limited(catalog);
        if !labels_are_told {
            bound.limited.values_mut().for_each(|limited| limited.tables.clear());
        }
        for name in &policy.reference {
            match catalog.lookup(name) {
                Some(r) => {
                    bound.reference.insert(r.oid);
                }
                None => {
                    let problem = format!("reference table {name} does not exist in the database");
                    bound.problems.push(problem.into());
                }
            }
        }
        if let Some(previous) = previous.filter(|p| p.policy == policy) {
            bound.reference.extend(previous.reference.iter().filter(|oid| catalog.relation(**oid).is_some()));
        }
        if let Some((_, exchanged)) = without {
            let of_sources = |(oid, _): &(Oid, String)| bound.assignments.contains(oid);
            bound.no_assignments |= exchanged.keys().any(of_sources);
            bound.problems.extend(exchanged.into_values());
        }
        deciding.add(&bound, real);
        bound.deciding = deciding;
        let outcome = shown.next(&bound, real);
        (bound.shown, bound.shows_more) = (outcome.shown, outcome.closed);
        bound.problems.extend(outcome.problems);
        bound
    }

    fn bind_sources(&mut self, catalog: &Catalog) {
        let loose = loose_sources(&self.policy, catalog);
        let unsettled = unsettled_sources(&self.policy, catalog);
        self.no_assignments = !loose.is_empty() || !unsettled.is_empty();
        self.problems.extend(loose.into_iter().chain(unsettled));
        for source in self.policy.all_sources() {
            for name in source.relations() {
                match catalog.lookup(name) {
                    Some(relation) => _ = self.assignments.insert(relation.oid),
                    None => {
                        self.problems.push(
                            format!("assignment relation {name} does not exist in the database").into(),
                        );
                    }
                }
            }
            let Source::Relation(a) = source else { continue };
            let Some(relation) = catalog.lookup(&a.relation) else { continue };
            let columns = [Some(&a.principal), Some(&a.patient), a.valid_from.as_ref(), a.valid_to.as_ref()];
            for column in columns.into_iter().flatten() {
                if relation.column(column).is_none() {
                    self.problems
                        .push(format!("assignment relation {} has no column {column}", a.relation).into());
                }
            }
        }
    }

    /// Denied relations, their partitions and children; a rename does not open one.
    fn bind_denied(&mut self, catalog: &Catalog, previous: Option<&BoundPolicy>) {
        for name in &self.policy.deny {
            match catalog.lookup(name) {
                Some(relation) => _ = self.denied.insert(relation.oid, name.clone()),
                None => {
                    self.problems.push(format!("denied table {name} does not exist in the database").into());
                }
            }
        }
        let earlier = previous.into_iter().flat_map(|p| &p.denied);
        for (oid, name) in earlier.filter(|(oid, _)| catalog.relation(**oid).is_some()) {
            self.denied.entry(*oid).or_insert_with(|| name.clone());
        }
        loop {
            let found: Vec<(Oid, QualifiedName)> = catalog
                .relations
                .values()
                .filter(|r| !self.denied.contains_key(&r.oid))
                .filter_map(|r| Some((r.oid, r.parents.iter().find_map(|p| self.denied.get(p))?.clone())))
                .collect();
            if found.is_empty() {
                return;
            }
            self.denied.extend(found);
        }
    }

    fn bind_rule(&mut self, rule: &Arc<TableRule>, catalog: &Catalog, previous: Option<&BoundPolicy>) {
        let mut oids: Vec<Oid> = catalog.lookup(&rule.name).map(|r| r.oid).into_iter().collect();
        if let Some(previous) = previous {
            // A relation that now bears the name of another rule is that rule's.
            let is_others = |name: &QualifiedName| {
                *name != rule.name && self.policy.tables.iter().any(|other| other.name == *name)
            };
            let earlier = previous.tables.values().filter(|t| t.rule.name == rule.name).map(|t| t.oid);
            oids.extend(earlier.filter(|oid| catalog.relation(*oid).is_some_and(|r| !is_others(&r.name))));
        }
        oids.sort_unstable();
        oids.dedup();
        if oids.is_empty() {
            self.problems
                .push(format!("protected table {} does not exist in the database", rule.name).into());
        }
        for oid in oids {
            let Some(relation) = catalog.relation(oid) else { continue };
            let fits = match loose_rule(rule, relation, catalog) {
                Some(problem) => Err(problem),
                None => ways(rule, relation, catalog).map_err(Problem::from),
            };
            match fits {
                Ok(tells_type) => {
                    let (name, rule) = (relation.name.clone(), Arc::clone(rule));
                    self.tables.insert(
                        oid,
                        BoundTable { oid, name, rule, tells_type, closed: None, computed: Vec::new() },
                    );
                }
                Err(problem) => {
                    self.problems.push(problem);
                    self.broken.insert(oid);
                }
            }
        }
    }

    /// Partitions and inheritance children follow their parent, through any number of levels.
    fn bind_children(&mut self, catalog: &Catalog) {
        loop {
            let found: Vec<(Oid, Option<BoundTable>)> = catalog
                .relations
                .values()
                .filter(|r| !self.tables.contains_key(&r.oid) && !self.broken.contains(&r.oid))
                .filter_map(|r| {
                    if r.parents.iter().any(|p| self.broken.contains(p)) {
                        return Some((r.oid, None));
                    }
                    let parent = r.parents.iter().find_map(|p| self.tables.get(p))?;
                    Some((r.oid, Some(BoundTable { oid: r.oid, name: r.name.clone(), ..parent.clone() })))
                })
                .collect();
            if found.is_empty() {
                return;
            }
            for (oid, table) in found {
                match table {
                    Some(table) => {
                        self.tables.insert(oid, table);
                    }
                    None => {
                        self.broken.insert(oid);
                    }
                }
            }
        }
    }

    /// A relation that inherits from several with entries that differ has rows that are whose they are by the way
    /// they are read: it is closed, with all through which it can be read.
    fn close_two_entries(&mut self, catalog: &Catalog) {
        let policy = Arc::clone(&self.policy);
        let mut closed: HashSet<Oid> = HashSet::new();
        for child in catalog.relations.values().filter(|r| r.parents.len() > 1) {
            let claims = |oid: &&Oid| self.tables.contains_key(oid) || self.broken.contains(oid);
            let claiming: Vec<Oid> = child.parents.iter().filter(claims).copied().collect();
            let rules: Vec<_> = claiming.iter().map(|oid| self.tables.get(oid).map(|t| &*t.rule)).collect();
            let one = |pair: &[Option<&TableRule>]| {
                matches!(pair, [Some(a), Some(b)] if agree(&policy, a, b)) || matches!(pair, [None, None])
            };
            if rules.windows(2).all(one) {
                continue;
            }
            let names: Vec<_> =
                claiming.iter().filter_map(|oid| catalog.relation(*oid)).map(|r| &r.name).collect();
            self.problems.push(two_entries(&child.name, &names));
            closed.insert(child.oid);
        }
        // Upwards all through which those rows are read, then downwards what inherits from any of them.
        let mut todo: Vec<Oid> = closed.iter().copied().collect();
        while let Some(at) = todo.pop() {
            let parents = catalog.relation(at).map(|r| r.parents.as_slice()).unwrap_or_default();
            todo.extend(parents.iter().copied().filter(|p| closed.insert(*p)));
        }
        loop {
            let below =
                |r: &&Relation| !closed.contains(&r.oid) && r.parents.iter().any(|p| closed.contains(p));
            let found: Vec<Oid> = catalog.relations.values().filter(below).map(|r| r.oid).collect();
            if found.is_empty() {
                break;
            }
            closed.extend(found);
        }
        for oid in closed {
            // What has no entry is closed by its children, or free as before.
            if self.tables.remove(&oid).is_some() {
                self.broken.insert(oid);
            }
        }
    }

    /// What does not fit of a policy that was just loaded. That a relation is still closed to a role, as a column of it
    /// has another name than it had, keeps no other change from being loaded.
    pub fn faults(&self) -> impl Iterator<Item = &Problem> {
        self.problems.iter().filter(|p| p.code != STILL_CLOSED)
    }

    /// True for a column whose value makes rows of other tables somebody's.
    pub fn is_link(&self, relation: Oid, column: &str) -> bool {
        self.links.get(&relation).is_some_and(|columns| columns.contains(column))
    }

    /// A relation whose rule did not hold stays closed when it is renamed, or when a partition of
    /// it is detached: under no name of a rule it would otherwise be open to unrestricted roles,
    /// unrecorded. It opens when its rule holds again, or when the policy changes.
    fn keep_broken(&mut self, catalog: &Catalog, previous: &BoundPolicy) {
        let still_there = previous.broken.iter().filter(|oid| catalog.relation(**oid).is_some());
        let unbound: Vec<Oid> = still_there.filter(|oid| !self.tables.contains_key(oid)).copied().collect();
        self.broken.extend(unbound);
    }

    fn bind_computed(&mut self, catalog: &Catalog) {
        for (oid, table) in &mut self.tables {
            let columns = catalog.relation(*oid).into_iter().flat_map(|r| &r.columns);
            let computed = columns.filter(|c| !c.computed_from.is_empty());
            table.computed = computed.map(|c| (c.name.clone(), c.computed_from.clone())).collect();
        }
    }

    fn bind_presets(&mut self, catalog: &Catalog) {
        for role in self.policy.roles.values().filter(|r| r.masking.preset.is_some()) {
            let tables = self.tables.values();
            let masks = tables.filter_map(|t| Some((t, catalog.relation(t.oid)?)));
            let masks = masks.map(|(t, relation)| (t.oid, masks_on(role, &t.rule, relation))).collect();
            self.presets.insert(Arc::clone(&role.name), masks);
        }
    }

    fn bind_limited(&mut self, catalog: &Catalog) {
        let policy = Arc::clone(&self.policy);
        let mut problems = BTreeSet::new();
        for role in policy.roles.values().filter(|r| r.limited) {
            let mut limited = Limited::default();
            match ClosedLabels::of(role, &policy.labels, catalog) {
                Ok(labels) => limited.labels = labels,
                Err(problem) => {
                    problems.insert(problem);
                    continue;
                }
            }
            for (oid, table) in &self.tables {
                let Some(relation) = catalog.relation(*oid) else { continue };
                match Closed::of(role, &table.rule, relation, &limited.labels, catalog) {
                    Ok(closed) => {
                        let table = BoundTable { closed: closed.map(Arc::new), ..table.clone() };
                        limited.tables.insert(*oid, table);
                    }
                    Err(problem) => _ = problems.insert(problem),
                }
            }
            self.limited.insert(Arc::clone(&role.name), limited);
        }
        self.problems.extend(problems);
    }

    /// A protected relation as `role` sees it; `None` when it is none, or when what is closed of it cannot be
    /// told.
    pub fn table_for(&self, role: &Role, oid: Oid) -> Option<&BoundTable> {
        match role.limited {
            false => self.tables.get(&oid),
            true => self.limited.get(&role.name)?.tables.get(&oid),
        }
    }

    /// The labels that close patients to `role`; `None` when that cannot be told.
    pub fn closed_labels(&self, role: &Role) -> Option<&[ClosedLabels]> {
        match role.limited {
            false => Some(&[]),
            true => Some(&self.limited.get(&role.name)?.labels),
        }
    }

    /// The masks of `role` on a protected table.
    pub(super) fn masks_of<'a>(
        &'a self,
        role: &'a Role,
        table: &BoundTable,
    ) -> Option<&'a BTreeMap<String, Mask>> {
        match role.masking.preset {
            None => role.masks.get(&table.rule.name),
            Some(_) => self.presets.get(&role.name)?.get(&table.oid),
        }
    }

    /// What `role` may do with the user relation `oid`. System catalogs are not decided here.
    pub fn access<'a>(&'a self, role: &'a Role, oid: Oid) -> Access<'a> {
        if self.denied.get(&oid).is_some_and(|name| role.denied.contains(name)) {
            return Access::Denied(Denial::Denied);
        }
        if self.broken.contains(&oid) {
            return Access::Denied(Denial::Misfit);
        }
        if self.assignments.contains(&oid) && !self.tables.contains_key(&oid) {
            return if role.is_restricted() { Access::Denied(Denial::NotMapped) } else { Access::Free };
        }
        let Some(table) = self.tables.get(&oid) else {
            return if self.reference.contains(&oid) || !role.is_restricted() {
                Access::Free
            } else {
                Access::Denied(Denial::NotMapped)
            };
        };
        if role.classes.as_ref().is_some_and(|classes| !classes.contains(&table.rule.class)) {
            return Access::Denied(Denial::ClassNotAllowed);
        }
        let Some(table) = self.table_for(role, oid) else { return Access::Denied(Denial::Misfit) };
        let word = role.outside_in(&table.rule.class);
        let (filter, outside) = match role.scope {
            Scope::None => return Access::Denied(Denial::ScopeNone),
            Scope::Assigned if self.no_assignments => return Access::Denied(Denial::Misfit),
            Scope::All => (table.hides_rows(), None),
            Scope::Assigned if word == Outside::Mask => {
                (false, Some(role.masking.outside.get(&table.rule.name).unwrap_or(&NOTHING)))
            }
            Scope::Assigned => (true, None),
        };
        // A preset that this snapshot was not bound with: what it would mask is not known.
        let unbound = role.masking.preset.is_some() && !self.presets.contains_key(&role.name);
        if unbound {
            return Access::Denied(Denial::NotMapped);
        }
        if self.shows_more.get(&role.name).is_some_and(|closed| closed.contains(&oid)) {
            return Access::Denied(Denial::Misfit);
        }
        let own = self.masks_of(role, table).into_iter().flatten();
        let mut own: BTreeMap<&str, &Mask> = own.map(|(column, mask)| (column.as_str(), mask)).collect();
        let closed = table.closed.iter().flat_map(|c| c.columns());
        own.extend(closed.map(|(column, closed)| (column.as_str(), &closed.mask)));
        let computed = computed_masks(role, table, &own);
        own.extend(computed.into_iter().map(|column| (column, &Mask::Null)));
        let own = own.into_iter().collect();
        let masks = TableMasks { own, outside, owners: table.rule.owner_columns() };
        let block = filter && role.scope == Scope::Assigned && word == Outside::Block;
        Access::Protected { table, filter, masks, block }
    }
}

/// The columns of `table` that are masked because the server computes them from one of `own`, which are masked: what a
/// mask hides would be told by them. A role that names such a column has the last word, and a preset's mask of it stays
/// where what it is computed from is masked by that preset, too.
fn computed_masks<'t>(role: &Role, table: &'t BoundTable, own: &BTreeMap<&str, &Mask>) -> Vec<&'t str> {
    let masks = role.masks.get(&table.rule.name);
    let clear = role.masking.clear.get(&table.rule.name);
    let masked_by_role = |column: &str| masks.is_some_and(|m| m.contains_key(column));
    let named = |column: &str| masked_by_role(column) || clear.is_some_and(|c| c.contains(column));
    let closed = |column: &str| table.closed.as_ref().is_some_and(|c| c.columns().contains_key(column));
    let tells = |column: &str, source: &str| match own.contains_key(column) {
        true => masked_by_role(source) || closed(source),
        false => own.contains_key(source),
    };
    table
        .computed
        .iter()
        .filter(|(column, from)| !named(column) && from.iter().any(|source| tells(column, source)))
        .filter(|(column, _)| !closed(column))
        .map(|(column, _)| column.as_str())
        .collect()
}

/// The type of the column that tells which way a row takes, if there is one; or why the rule does
/// not hold for `relation`.
fn ways(rule: &TableRule, relation: &Relation, catalog: &Catalog) -> Result<Option<String>, String> {
    for path in rule.paths() {
        if let Some(problem) = path_problem(rule, path, relation, catalog) {
            return Err(problem);
        }
    }
    let Path::When(alternatives) = &rule.path else { return Ok(None) };
    let mut found = None;
    for alternative in alternatives {
        let name = &alternative.column;
        let column = relation.column(name);
        let column =
            column.ok_or_else(|| format!("{}: {} has no column {name}", rule.name, relation.name))?;
        // The guard compares with operators of pg_catalog, which take a domain for what is behind it.
        let base = match &column.domain_base {
            Some(base) => Some(base),
            None => Some(&column.type_sql).filter(|_| column.builtin_type),
        };
        let type_sql = base.and_then(|base| tells_type(base)).ok_or_else(|| {
            format!("{}: column {name} of type {} cannot tell rows apart by text", rule.name, column.type_sql)
        })?;
        let fits =
            |v: &String| type_sql.ends_with("text") || type_sql.ends_with("char") || is_number(v, type_sql);
        if let Some(value) = alternative.is.iter().find(|v| !fits(v)) {
            return Err(format!("{}: \"{value}\" is no value of {name}, which is {type_sql}", rule.name));
        }
        found = Some(type_sql.to_owned());
    }
    Ok(found)
}

/// The type that a constant is compared in: without a modifier, which would cut it short.
fn tells_type(type_sql: &str) -> Option<&'static str> {
    let head = type_sql.split_once('(').map_or(type_sql, |(head, _)| head);
    match (head, type_sql.ends_with("[]")) {
        ("text" | "character varying", false) => Some("pg_catalog.text"),
        ("character", false) => Some("pg_catalog.bpchar"),
        ("smallint", false) => Some("pg_catalog.int2"),
        ("integer", false) => Some("pg_catalog.int4"),
        ("bigint", false) => Some("pg_catalog.int8"),
        _ => None,
    }
}

fn is_number(value: &str, type_sql: &str) -> bool {
    match type_sql {
        "pg_catalog.int2" => value.parse::<i16>().is_ok(),
        "pg_catalog.int4" => value.parse::<i32>().is_ok(),
        "pg_catalog.int8" => value.parse::<i64>().is_ok(),
        _ => false,
    }
}

/// Why one way of the rule does not hold for `relation`, or `None`.
fn path_problem(rule: &TableRule, path: &KeyPath, relation: &Relation, catalog: &Catalog) -> Option<String> {
    let mut at = relation;
    for step in &path.steps {
        if at.column(&step.column).is_none() {
            return Some(format!("{}: {} has no column {}", rule.name, at.name, step.column));
        }
        let Some(next) = catalog.lookup(&step.table) else {
            return Some(format!("{}: {} does not exist in the database", rule.name, step.table));
        };
        if next.column(&step.references).is_none() {
            return Some(format!("{}: {} has no column {}", rule.name, next.name, step.references));
        }
        at = next;
    }
    (at.column(&path.key).is_none())
        .then(|| format!("{}: {} has no key column {}", rule.name, at.name, path.key))
}
