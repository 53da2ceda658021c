//! `--replay`: what would become of statements that were recorded, under the policy of the file. Nothing is run and no
//! row is read; parameters and constants are never printed.

mod catalog;
mod input;
mod verdict;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use crate::catalog::{Catalog, Namespace};
use crate::config::{self, Config, ConfigErrors};
use crate::policy::{BoundPolicy, Policy, Variant};
pub(super) use catalog::of_policies;
pub(super) use input::InputError;
use input::{Recorded, Statement};
use verdict::{Decided, Label, decide};

/// Where names are looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum CatalogSource {
    /// The system catalog of the configured server
    Server,
    /// None: relations are known by their names in the policies alone; verdicts may be too strict
    None,
}

/// What is replayed, and how.
#[derive(Debug, Clone, clap::Args)]
pub struct ReplayArgs {
    /// Say which recorded statements would change verdict under this configuration. FILE is a ledger's folder, a file
    /// with one record a line (JSON), or a file ending in .sql (then with --role)
    #[arg(long, value_name = "FILE")]
    pub replay: Option<PathBuf>,

    /// Compare with the verdicts under this configuration, instead of with what was recorded
    #[arg(long, value_name = "FILE", requires = "replay")]
    pub against: Option<PathBuf>,

    /// Replay as this role of the configuration, instead of as the role that each user has
    #[arg(long, value_name = "ROLE", requires = "replay")]
    pub role: Option<String>,

    /// Schemas in which unqualified names are looked up, since records do not say it; "$user" is the user's own
    #[arg(long, value_name = "SCHEMAS", requires = "replay", default_value = "\"$user\",public")]
    pub search_path: String,

    /// Where names are looked up
    #[arg(long, value_enum, requires = "replay", default_value_t = CatalogSource::Server)]
    pub catalog: CatalogSource,
}

/// Why nothing could be replayed.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReplayError {
    /// The file.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The configuration to compare with.
    #[error("--against: {}", .0.errors.first().map(ToString::to_string).unwrap_or_default())]
    Against(ConfigErrors),
    /// `--role`
    #[error("--role: there is no role `{0}` in the configuration; it has: {1}")]
    NoSuchRole(String, String),
    /// A plain file without `--role`.
    #[error("{} says nothing of users: name a role of the configuration with --role", .0.display())]
    NeedsRole(PathBuf),
}

/// One kind of statement that would change.
#[derive(Debug, Serialize)]
pub(super) struct Group {
    /// What became of it.
    from: String,
    /// What would become of it.
    to: String,
    count: u64,
    /// Roles that sent it, under the new policy.
    roles: BTreeSet<String>,
    /// libpg_query's fingerprint.
    fingerprint: String,
    /// The text with its constants taken out.
    example: String,
    /// Why it is refused now, or was.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    #[serde(skip)]
    order: (u8, std::cmp::Reverse<u64>),
}

/// What the replay found.
#[derive(Debug, Serialize)]
pub(super) struct Replay {
    file: PathBuf,
    /// `as recorded`, or the file of `--against`.
    against: String,
    search_path: String,
    catalog: &'static str,
    statements: u64,
    changed: u64,
    /// Places of the file that hold no statement, by why.
    not_replayed: BTreeMap<String, u64>,
    groups: Vec<Group>,
}

/// One side: a policy held against the catalog.
struct Side {
    bound: Arc<BoundPolicy>,
    catalog: Arc<Catalog>,
}

impl Side {
    fn new(policy: &Arc<Policy>, catalog: &Arc<Catalog>) -> Self {
        let bound = BoundPolicy::bind(Arc::clone(policy), catalog, None);
        Self { bound: Arc::new(bound), catalog: Arc::clone(catalog) }
    }

    /// The role of a statement's user: `--role`; else as at a login; else, when the users' groups are not known, as it
    /// was recorded.
    fn role(&self, statement: &Statement, named: Option<&str>) -> Option<String> {
        if let Some(name) = named.filter(|n| self.bound.policy.roles.contains_key(*n)) {
            return Some(name.to_owned());
        }
        let groups = self.catalog.memberships.get(&statement.user);
        let by_login = self.bound.policy.role_at_login(&statement.user, groups).map(|r| r.name.to_string());
        let recorded =
            || self.bound.policy.roles.contains_key(&statement.role).then(|| statement.role.clone());
        if groups.is_none() { by_login.or_else(recorded) } else { by_login }
    }
}

/// Replays a file.
pub(super) fn replay(
    args: &ReplayArgs,
    file: &Path,
    config: &Config,
    server: Option<&Arc<Catalog>>,
) -> Result<Replay, ReplayError> {
    let old = match &args.against {
        None => None,
        Some(path) => Some(config::load(path).map_err(ReplayError::Against)?),
    };
    if let Some(role) = args.role.as_ref().filter(|r| !config.policy.roles.contains_key(*r)) {
        let known: Vec<&str> = config.policy.roles.keys().map(String::as_str).collect();
        return Err(ReplayError::NoSuchRole(role.escape_debug().to_string(), known.join(", ")));
    }
    let catalog = match server.filter(|_| args.catalog == CatalogSource::Server) {
        Some(catalog) => Arc::clone(catalog),
        None => {
            let policies = [Some(&config.policy), old.as_ref().map(|o| &o.policy)];
            Arc::new(of_policies(policies.into_iter().flatten().map(AsRef::as_ref)))
        }
    };
    let new = Side::new(&config.policy, &catalog);
    let old = old.map(|o| Side::new(&o.policy, &catalog));
    let mut run = Run {
        args,
        new,
        old,
        known: HashMap::new(),
        groups: BTreeMap::new(),
        out: Replay {
            file: file.to_owned(),
            against: args.against.as_ref().map_or("as recorded".to_owned(), |p| p.display().to_string()),
            search_path: args.search_path.clone(),
            catalog: if server.is_some() { "of the server" } else { "none" },
            statements: 0,
            changed: 0,
            not_replayed: BTreeMap::new(),
            groups: Vec::new(),
        },
    };
    let plain = input::read(file, &mut |read| match read {
        Ok(statement) => run.statement(&statement),
        Err(why) => *run.out.not_replayed.entry(why).or_default() += 1,
    })?;
    if plain && args.role.is_none() {
        return Err(ReplayError::NeedsRole(file.to_owned()));
    }
    Ok(run.finish())
}

struct Run<'a> {
    args: &'a ReplayArgs,
    new: Side,
    old: Option<Side>,
    /// Verdicts by side, role, variant, user (whose schema may be searched) and text.
    known: HashMap<(bool, String, bool, String, String), Decided>,
    groups: BTreeMap<(Label, Label, String, Vec<String>), Group>,
    out: Replay,
}

impl Run<'_> {
    fn statement(&mut self, statement: &Statement) {
        self.out.statements += 1;
        let (to, role) = self.decided(statement, true);
        let (from, _) = match (&self.old, &statement.recorded) {
            (Some(_), _) => self.decided(statement, false),
            (None, Some(Recorded::Refused(code))) => (Decided::recorded(Label::Refused(code.clone())), None),
            (None, Some(Recorded::Ran)) => (Decided::recorded(Label::Ran), None),
            // A plain file says nothing: every verdict is news.
            (None, None) => (Decided::recorded(Label::Unknown), None),
        };
        if !from.differs(&to) {
            return;
        }
        if from.label != Label::Unknown {
            self.out.changed += 1;
        }
        let fingerprint = verdict::fingerprint(&statement.sql);
        let key = (from.label.clone(), to.label.clone(), fingerprint.clone(), to.relations.clone());
        let group = self.groups.entry(key).or_insert_with(|| Group {
            from: from.label.to_string(),
            to: if from.label == to.label {
                format!("{}, otherwise", to.label)
            } else {
                to.label.to_string()
            },
            count: 0,
            roles: BTreeSet::new(),
            fingerprint,
            example: verdict::without_constants(&statement.sql),
            why: to.why.clone().or_else(|| from.why.clone()),
            order: (to.label.severity(&from.label), std::cmp::Reverse(0)),
        });
        group.count += 1;
        group.roles.extend(role.or_else(|| Some("(no role)".to_owned())));
    }

    /// The verdict under the new policy, or the old one.
    fn decided(&mut self, statement: &Statement, new: bool) -> (Decided, Option<String>) {
        let side = match (&self.old, new) {
            (Some(old), false) => old,
            _ => &self.new,
        };
        let role = side.role(statement, self.args.role.as_deref());
        let Some(name) = role.clone() else { return (Decided::recorded(Label::NoLogin), None) };
        let key = (new, name.clone(), statement.glass, statement.user.clone(), statement.sql.clone());
        if let Some(known) = self.known.get(&key) {
            return (known.clone(), role);
        }
        let variant = if statement.glass { Variant::Granted } else { Variant::Assigned };
        let namespace = namespace(&self.args.search_path, &statement.user);
        let decided = decide(&statement.sql, &side.bound, &side.catalog, &name, namespace, variant);
        if self.known.len() > 50_000 {
            self.known.clear();
        }
        self.known.insert(key, decided.clone());
        (decided, role)
    }

    fn finish(self) -> Replay {
        let mut out = self.out;
        out.groups = self.groups.into_values().collect();
        for group in &mut out.groups {
            group.order.1 = std::cmp::Reverse(group.count);
        }
        out.groups.sort_by(|a, b| a.order.cmp(&b.order).then_with(|| a.example.cmp(&b.example)));
        out
    }
}

/// The schemas of a search path; the system's first, as the server has it.
fn namespace(path: &str, user: &str) -> Namespace {
    let parts = path.split(',').map(|p| p.trim().trim_matches('"')).filter(|p| !p.is_empty());
    let mut schemas = vec!["pg_catalog".to_owned()];
    schemas.extend(parts.map(|p| if p == "$user" { user.to_owned() } else { p.to_owned() }));
    Namespace { schemas, ..Namespace::default() }
}

impl Replay {
    /// Something would change.
    pub(super) fn has_changes(&self) -> bool {
        self.changed > 0
    }
}

impl std::fmt::Display for Replay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let plural = |n: u64| if n == 1 { "" } else { "s" };
        writeln!(
            f,
            "Replay of {}: {} statement{}, compared with {}",
            self.file.display(),
            self.statements,
            plural(self.statements),
            self.against
        )?;
        writeln!(
            f,
            "  catalog: {}; unqualified names along {} (records do not say it); nothing was run",
            self.catalog, self.search_path
        )?;
        write!(
            f,
            "  {} would change, in {} kind{}",
            self.changed,
            self.groups.len(),
            plural(self.groups.len() as u64)
        )?;
        for (why, count) in &self.not_replayed {
            write!(f, "\n  {count} not replayed: {why}")?;
        }
        for group in &self.groups {
            let roles: Vec<&str> = group.roles.iter().map(String::as_str).collect();
            write!(
                f,
                "\n\n  {} -> {}: {} time{}, role{} {} ({})\n    {}",
                group.from,
                group.to,
                group.count,
                plural(group.count),
                plural(roles.len() as u64),
                roles.join(", "),
                group.fingerprint,
                group.example
            )?;
            if let Some(why) = &group.why {
                write!(f, "\n    {why}")?;
            }
        }
        Ok(())
    }
}
