//! Masks held against the database: columns that do not exist, masks that do not fit a type, tables
//! of surrogates that do not serve.

use super::{Level, Lint, types};
use crate::catalog::{Column, QualifiedName, Relation, RelationKind, quote_ident};
use crate::policy::{Access, Mask, Proposal, Role, Scope, TableRule, masked_type, proposals};

impl Lint<'_> {
    pub(super) fn masks(&mut self) {
        let policy = &self.bound.policy;
        for role in policy.roles.values() {
            let own = role.masks.iter().flat_map(|(t, m)| m.iter().map(move |(c, m)| (t, c, Some(m))));
            let outside = role.masking.outside.iter();
            let outside = outside.flat_map(|(t, m)| m.iter().map(move |(c, m)| (t, c, m.as_ref())));
            for (table, name, mask) in own.chain(outside) {
                let Some(relation) = self.catalog.lookup(table) else { continue };
                let subject = format!("{table}.{name}");
                let Some(column) = relation.column(name) else {
                    let message = format!("role {} masks a column that does not exist", role.name);
                    self.push(Level::Error, "does-not-exist", &subject, message, "correct the name");
                    continue;
                };
                let Some(mask) = mask else { continue };
                if let Some(message) = mask.misfit(masked_type(column)) {
                    let help = "use mask \"null\", or one that fits the type";
                    self.push(Level::Error, "mask-type", &subject, message, help);
                    continue;
                }
                if let Mask::Surrogate { table, value, surrogate } = mask {
                    self.surrogates(&subject, column, table, value, surrogate);
                }
            }
        }
    }

    /// Rows of patients outside are told by a join over (principal, patient), which must double none.
    pub(super) fn masks_outside(&mut self) {
        let policy = &self.bound.policy;
        let masks = |r: &&Role| r.scope == Scope::Assigned && r.masks_outside();
        let Some(role) = policy.roles.values().find(masks) else { return };
        let Some(relation) = self.catalog.lookup(&policy.assignment.relation) else { return };
        if !matches!(relation.kind, RelationKind::Table | RelationKind::PartitionedTable) {
            let message =
                format!("role {} masks what is outside, which needs a table of assignments", role.name);
            let help = "keep assignments in a table with a unique index over (principal, patient)";
            self.push(Level::Error, "assignment-kind", &relation.name, message, help);
        }
    }

    /// What a preset makes of every column, so that somebody can look at it.
    pub(super) fn presets(&mut self) {
        let policy = &self.bound.policy;
        for role in policy.roles.values().filter(|r| r.masking.preset.is_some()) {
            for rule in &policy.tables {
                let Some(relation) = self.catalog.lookup(&rule.name) else { continue };
                let readable = role.classes.as_ref().is_none_or(|classes| classes.contains(&rule.class));
                if role.scope != Scope::None && readable {
                    self.preset(role, rule, relation);
                }
            }
            for (table, columns) in &role.masking.clear {
                let Some(relation) = self.catalog.lookup(table) else { continue };
                for column in columns.iter().filter(|c| relation.column(c).is_none()) {
                    let subject = format!("{table}.{column}");
                    let message = format!("role {} names a column that does not exist", role.name);
                    self.push(Level::Error, "does-not-exist", &subject, message, "correct the name");
                }
            }
        }
    }

    /// Columns that the server computes from masked ones: what became of each, and what "none" is for.
    pub(super) fn computed(&mut self) {
        let bound = self.bound;
        for role in bound.policy.roles.values() {
            for rule in &bound.policy.tables {
                let Some(relation) = self.catalog.lookup(&rule.name) else { continue };
                let Access::Protected { table, masks, .. } = bound.access(role, relation.oid) else {
                    continue;
                };
                let masked = |column: &str| masks.own(column).is_some();
                let computed = table.computed.iter().filter_map(|(column, from)| {
                    Some((column.as_str(), from.iter().find(|source| masked(source))?))
                });
                let computed: Vec<(&str, &String)> = computed.collect();
                let own = role.masks.get(&rule.name);
                let clear = role.masking.clear.get(&rule.name);
                let named = |column: &str| own.is_some_and(|masks| masks.contains_key(column));
                for (column, source) in computed.iter().filter(|(column, _)| !named(column)) {
                    let shown = match masks.own(column) {
                        Some(mask) => format!("\"{}\"", mask.words().0),
                        None => "shown as it is, as the role says".to_owned(),
                    };
                    let subject = format!("{}.{column}", rule.name);
                    let message =
                        format!("role {}: computed from {source}, which is masked: {shown}", role.name);
                    self.push(Level::Note, "mask-computed", &subject, message, "");
                }
                let idle = |column: &&String| {
                    role.masking.preset.is_none() && computed.iter().all(|(c, _)| *c != column.as_str())
                };
                for column in clear.into_iter().flatten().filter(idle) {
                    let subject = format!("{}.{column}", rule.name);
                    let message =
                        format!("role {}: \"none\" has no effect: nothing else masks it", role.name);
                    self.push(
                        Level::Warning,
                        "mask-none",
                        &subject,
                        message,
                        "remove it, or set masks_preset",
                    );
                }
            }
        }
    }

    fn preset(&mut self, role: &Role, rule: &TableRule, relation: &Relation) {
        let found = proposals(role, rule, relation);
        let own = role.masks.get(&rule.name);
        let clear = role.masking.clear.get(&rule.name);
        for Proposal { column, identifier, mask } in &found {
            let subject = format!("{}.{column}", rule.name);
            let what = identifier.describe();
            let is_clear = clear.is_some_and(|c| c.contains(*column));
            let (code, message) = match own.and_then(|masks| masks.get(*column)) {
                Some(own) => (
                    "safe-harbor",
                    format!("role {}: {what}: \"{}\", as the role says", role.name, own.words().0),
                ),
                None if is_clear => (
                    "safe-harbor-none",
                    format!("role {}: {what}: shown as it is, as the role says", role.name),
                ),
                None => ("safe-harbor", format!("role {}: {what}: \"{}\"", role.name, mask.words().0)),
            };
            self.push(Level::Note, code, &subject, message, "");
        }
        let masked = |name: &str| {
            let computed = || match self.bound.access(role, relation.oid) {
                Access::Protected { masks, .. } => masks.own(name).is_some(),
                Access::Free | Access::Denied(_) => false,
            };
            found.iter().any(|p| p.column == name)
                || own.is_some_and(|masks| masks.contains_key(name))
                || computed()
        };
        let owners = rule.owner_columns();
        let rest: Vec<&str> = relation
            .columns
            .iter()
            .map(|c| c.name.as_str())
            .filter(|name| !masked(name) && !owners.contains(name))
            .collect();
        if !rest.is_empty() {
            let message =
                format!("role {}: no identifier, shown as they are: {}", role.name, rest.join(", "));
            self.push(Level::Note, "safe-harbor", &rule.name, message, "");
        }
        for owner in owners.into_iter().filter(|o| !masked(o)) {
            let message =
                format!("role {}: {owner}, which tells rows of one patient, is shown as it is", role.name);
            let help = "it is an identifier, (R), unless it is random and given to nobody; \
                        mask it by a surrogate or \"null\" if it is not";
            self.push(Level::Note, "safe-harbor-key", &rule.name, message, help);
        }
    }

    /// The table of surrogates: there, unique by value, of the column's type, closed to clients.
    fn surrogates(
        &mut self,
        subject: &str,
        column: &Column,
        table: &QualifiedName,
        value: &str,
        surrogate: &str,
    ) {
        let wanted = masked_type(column);
        let help = || {
            format!(
                "CREATE TABLE {} ({} {wanted} PRIMARY KEY, {} {wanted} UNIQUE); then fill it with values \
                 drawn at random",
                table.to_sql(),
                quote_ident(value),
                quote_ident(surrogate)
            )
        };
        let Some(relation) = self.catalog.lookup(table) else {
            let message = format!("the table of surrogates {table} does not exist");
            self.push(Level::Error, "does-not-exist", subject, message, help());
            return;
        };
        for name in [value, surrogate] {
            let Some(own) = relation.column(name) else {
                let message = format!("the table of surrogates {table} has no column {name}");
                self.push(Level::Error, "does-not-exist", subject, message, help());
                continue;
            };
            let found = masked_type(own);
            let same = types::is_text(base(found)) && types::is_text(base(wanted));
            if !same && found != wanted {
                let message =
                    format!("{table}.{name} is of type {found}, the masked column of type {wanted}");
                self.push(Level::Error, "mask-surrogate", subject, message, help());
            }
        }
        if !self.facts.is_unique(relation.oid, &[value]) {
            let message = format!("{table}.{value} is not unique: a row could be shown twice");
            let help = format!("CREATE UNIQUE INDEX ON {} ({});", table.to_sql(), quote_ident(value));
            self.push(Level::Error, "mask-surrogate", subject, message, help);
        }
        if self.bound.reference.contains(&relation.oid) || self.bound.tables.contains_key(&relation.oid) {
            let message = format!("clients could read {table}, which tells what a surrogate stands for");
            self.push(
                Level::Error,
                "mask-surrogate",
                subject,
                message,
                "take it out of [reference] and [[table]]",
            );
        }
    }
}

fn base(type_sql: &str) -> &str {
    crate::policy::mask::without_modifier(type_sql)
}
