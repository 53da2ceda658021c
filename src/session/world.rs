//! What all sessions share: the rules in force (policy and catalog), the plans made under them, the
//! ledger, the break-glass desk, the proxy's own account. Sessions read it; only `serve` changes it.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use jiff::Timestamp;
use tokio::sync::watch;

use crate::catalog::{self, Catalog};
use crate::config::Upstream;
use crate::glass::{Applied, ConnectionId, Desk, Grants, Notice, NoticesSeen, ResolvedPatient, Transition};
use crate::ledger::record::{Body, EventId, EventIds, Record};
use crate::ledger::{Ledger, LedgerError, Priority, Receipt};
use crate::policy::{BoundPolicy, ClosedLabels, GlsCode, Outside, Place, Policy, Refusal, Role, Scope};
use crate::session::login::entry::{Crowd, Entry};
use crate::session::run::Sought;
use crate::sql::cache::{PlanCache, Plans};
use crate::sql::planner::Context;
use crate::wire::cancel::CancelRegistry;
use crate::wire::upstream::{self, UpstreamSettings};

/// The rules in force: a policy bound to a catalog snapshot. Swapped whole.
#[derive(Debug)]
pub struct Rules {
    /// The bound policy.
    pub policy: Arc<BoundPolicy>,
    /// The snapshot.
    pub catalog: Arc<Catalog>,
}

/// Which server process a cancel key of ours stands for.
#[derive(Debug, Clone)]
pub struct CancelTarget {
    /// Process id on the server.
    pub pid: i32,
    /// The server's secret.
    pub secret: bytes::Bytes,
}

/// How far a shutdown is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// There is none.
    Serving,
    /// Sessions end once they are idle outside a transaction.
    Draining,
    /// Sessions end at once, after a word to the client.
    Cutting,
}

/// What all sessions share.
pub struct World {
    upstream: ArcSwap<UpstreamSettings>,
    entry: ArcSwap<Entry>,
    /// The sessions of each user.
    pub(super) crowd: Crowd,
    /// The only database fronted: the one whose catalog is known.
    pub database: String,
    node: String,
    rules: ArcSwap<Rules>,
    plans: PlanCache,
    ledger: Ledger,
    ids: EventIds,
    desk: RwLock<Desk>,
    desk_version: AtomicU64,
    /// Held from a decision of the desk until its transitions are applied.
    deciding: tokio::sync::Mutex<()>,
    /// The proxy's own account.
    pub service: catalog::Service,
    catalog_client: tokio::sync::Mutex<CatalogClient>,
    /// Bumped when policy, catalog or break-glass state changed.
    changed: watch::Sender<u64>,
    /// How far a shutdown is.
    pub shutdown: watch::Sender<Phase>,
    shutdown_wanted: AtomicBool,
    /// Our cancel keys.
    pub cancels: CancelRegistry<CancelTarget>,
    next_connection: AtomicU64,
}

/// The connection that looks for changes of the catalog.
struct CatalogClient {
    settings: Upstream,
    client: Option<tokio_postgres::Client>,
    fingerprint: String,
    last: Option<Instant>,
}

/// On demand the catalog is looked at no more often than this.
const CATALOG_PAUSE: Duration = Duration::from_millis(20);

/// What a [`World`] is made of.
pub struct Parts {
    /// How the server is reached for clients.
    pub upstream: UpstreamSettings,
    /// How clients come in.
    pub entry: Entry,
    /// How the proxy's own account reaches it.
    pub service: Upstream,
    /// Name of this node.
    pub node: String,
    /// The rules to begin with.
    pub rules: Rules,
    /// Fingerprint of the catalog they were bound to.
    pub fingerprint: String,
    /// The ledger.
    pub ledger: Ledger,
    /// The desk as replayed.
    pub desk: Desk,
}

impl World {
    /// A world of these parts.
    pub fn new(parts: Parts) -> Self {
        Self {
            database: parts.service.service_database.clone(),
            service: catalog::Service::new(parts.service.clone()),
            catalog_client: tokio::sync::Mutex::new(CatalogClient {
                settings: parts.service,
                client: None,
                fingerprint: parts.fingerprint,
                last: None,
            }),
            upstream: ArcSwap::from_pointee(parts.upstream),
            entry: ArcSwap::from_pointee(parts.entry),
            crowd: Crowd::default(),
            node: parts.node,
            rules: ArcSwap::from_pointee(parts.rules),
            plans: PlanCache::default(),
            ledger: parts.ledger,
            ids: EventIds::default(),
            desk: RwLock::new(parts.desk),
            desk_version: AtomicU64::new(1),
            deciding: tokio::sync::Mutex::new(()),
            changed: watch::Sender::new(0),
            shutdown: watch::Sender::new(Phase::Serving),
            shutdown_wanted: AtomicBool::new(false),
            cancels: CancelRegistry::new(),
            next_connection: AtomicU64::new(1),
        }
    }

    // --- entry --------------------------------------------------------------------------------

    /// How clients come in.
    pub fn entry(&self) -> arc_swap::Guard<Arc<Entry>> {
        self.entry.load()
    }

    /// How the server is reached for clients.
    pub fn upstream(&self) -> Arc<UpstreamSettings> {
        self.upstream.load_full()
    }

    /// Lets the next clients in by other settings. Sessions that are open keep their connection; idle limits
    /// hold for them at once. Of `upstream` only the TLS settings are taken: which server it is was settled at the
    /// start, together with its catalog.
    pub fn set_entry(&self, entry: Entry, upstream: UpstreamSettings) {
        self.entry.store(Arc::new(entry));
        let before = self.upstream();
        self.upstream.store(Arc::new(UpstreamSettings { tls: upstream.tls, ..(*before).clone() }));
    }

    // --- rules --------------------------------------------------------------------------------

    /// The rules in force.
    pub fn rules(&self) -> arc_swap::Guard<Arc<Rules>> {
        self.rules.load()
    }

    /// Puts a new policy in force, bound to the present catalog.
    ///
    /// # Errors
    /// What does not fit the database; then nothing changed.
    pub fn set_policy(&self, policy: Arc<Policy>) -> Result<(), Vec<String>> {
        let before = self.rules.load_full();
        let bound = BoundPolicy::bind_loaded(policy, &before.catalog, &before.policy);
        let faults: Vec<String> = bound.faults().map(|p| p.message.clone()).collect();
        if !faults.is_empty() {
            return Err(faults);
        }
        self.put_rules(Rules { policy: Arc::new(bound), catalog: Arc::clone(&before.catalog) });
        Ok(())
    }

    fn put_rules(&self, rules: Rules) {
        for problem in &rules.policy.problems {
            tracing::warn!(%problem, help = problem.help, "policy does not fit the database");
        }
        self.rules.store(Arc::new(rules));
        self.plans.clear();
        self.bump();
    }

    /// Looks whether the catalog changed and, if so, loads and binds it anew. True when it did.
    pub async fn refresh_catalog(&self) -> bool {
        let mut held = self.catalog_client.lock().await;
        if held.last.is_some_and(|at| at.elapsed() < CATALOG_PAUSE) {
            return false;
        }
        self.look_at_catalog(&mut held).await
    }

    /// The same however short ago the last look was: for what an operator asks for, not a client.
    pub async fn reread_catalog(&self) -> bool {
        let mut held = self.catalog_client.lock().await;
        self.look_at_catalog(&mut held).await
    }

    /// Sees to it that the snapshot is as new as this call. False when the catalog could not be read.
    pub async fn catalog_is_current(&self) -> bool {
        let mut held = self.catalog_client.lock().await;
        self.try_look_at_catalog(&mut held).await.is_some()
    }

    async fn look_at_catalog(&self, held: &mut CatalogClient) -> bool {
        self.try_look_at_catalog(held).await.unwrap_or(false)
    }

    /// Whether it changed; `None` when it could not be read.
    async fn try_look_at_catalog(&self, held: &mut CatalogClient) -> Option<bool> {
        let outcome = self.load_if_changed(held).await;
        held.last = Some(Instant::now());
        match outcome {
            Ok(changed) => Some(changed),
            Err(error) => {
                tracing::warn!(%error, "the catalog could not be read; the last snapshot stays in force");
                held.client = None;
                None
            }
        }
    }

    async fn load_if_changed(&self, held: &mut CatalogClient) -> Result<bool, String> {
        let CatalogClient { settings, client, fingerprint, .. } = held;
        if client.as_ref().is_none_or(tokio_postgres::Client::is_closed) {
            *client = Some(catalog::connect(settings).await.map_err(|e| e.to_string())?);
        }
        let Some(client) = client.as_ref() else { return Ok(false) };
        let now = catalog::fingerprint(client).await.map_err(|e| e.to_string())?;
        if now == *fingerprint {
            return Ok(false);
        }
        let before = self.rules.load_full();
        let catalog = catalog::load(client, before.catalog.epoch + 1).await.map_err(|e| e.to_string())?;
        // Views that could not be read are asked for again.
        *fingerprint = if catalog.views_missing { String::new() } else { now };
        // A reload of the policy may have come between: bind the one in force now.
        let before = self.rules.load_full();
        let bound = BoundPolicy::bind(Arc::clone(&before.policy.policy), &catalog, Some(&before.policy));
        self.put_rules(Rules { policy: Arc::new(bound), catalog: Arc::new(catalog) });
        Ok(true)
    }

    /// The role of a principal, or `None` when the policy has none for it.
    pub fn find_role(&self, user: &str) -> Option<Arc<Role>> {
        let rules = self.rules.load();
        let groups = rules.catalog.memberships.get(user);
        rules.policy.policy.role_at_login(user, groups).map(|role| Arc::new(role.clone()))
    }

    /// The role of a principal at a place and time, and why nothing is run, if so: its role's terms are
    /// not met. One that may see nothing when the policy has none any more.
    pub fn role_at(&self, user: &str, place: Place, now: jiff::Timestamp) -> (Arc<Role>, Option<Refusal>) {
        let nobody = |name: &str| {
            Arc::new(Role {
                outside: Outside::Block,
                classes: Some(std::collections::BTreeSet::new()),
                ..Role::new(name, Scope::None)
            })
        };
        let Some(role) = self.find_role(user) else { return (nobody("(none)"), None) };
        match self.rules.load().policy.policy.under_terms(&role, place, now) {
            Ok(role) => (role, None),
            Err(refusal) => (nobody(&format!("({})", role.name)), Some(refusal)),
        }
    }

    /// True when the principal's role depends on the time.
    pub fn role_has_hours(&self, user: &str) -> bool {
        self.find_role(user).is_some_and(|role| role.when.as_ref().is_some_and(|t| t.hours.is_some()))
    }

    /// Plans made in contexts equal to this one.
    pub fn plans_for(&self, context: &Context) -> Arc<Plans> {
        self.plans.for_context(context)
    }

    // --- ledger -------------------------------------------------------------------------------

    /// Appends a record with this body.
    pub fn append(&self, body: Body, priority: Priority) -> Receipt {
        let now = Timestamp::now();
        let record = Record::new(self.ids.next(now), now, self.node.clone(), body);
        self.ledger.append(&record, priority)
    }

    /// Appends the record of something that released nothing of a patient: nothing waits for it, and
    /// it shares a flush. A refusal is flushed at once, so that what the client was told of it is true
    /// as soon as it can ask.
    pub fn note(&self, body: Body, priority: Priority) {
        match priority {
            Priority::Reserve => drop(self.append(body, priority)),
            Priority::Ordinary => {
                let now = Timestamp::now();
                let record = Record::new(self.ids.next(now), now, self.node.clone(), body);
                self.ledger.append_later(record, priority);
            }
        }
    }

    /// A new event id.
    pub fn event_id(&self) -> EventId {
        self.ids.next(Timestamp::now())
    }

    /// Whether records can be kept.
    pub fn ledger_healthy(&self) -> Result<(), LedgerError> {
        self.ledger.healthy()
    }

    // --- break-glass --------------------------------------------------------------------------

    /// The grants of a connection, when they can differ from `known`.
    pub fn grants_if_changed(&self, known: &Grants, user: &str, connection: ConnectionId) -> Option<Grants> {
        let now = Timestamp::now();
        let same = known.version == self.desk_version.load(Ordering::Acquire)
            && known.next_change.is_none_or(|at| now < at);
        if same {
            return None;
        }
        let desk = self.desk.read().unwrap_or_else(PoisonError::into_inner);
        let mut grants = desk.grants(user, connection, now);
        grants.version = self.desk_version.load(Ordering::Acquire);
        Some(grants)
    }

    /// Says that sessions were used.
    pub fn used(&self, grants: &Grants) {
        let desk = self.desk.read().unwrap_or_else(PoisonError::into_inner);
        let now = Timestamp::now();
        for session in &grants.sessions {
            desk.used(session, now);
        }
    }

    /// Notices that are due on a connection.
    pub fn glass_notices(&self, user: &str, connection: ConnectionId, seen: &mut NoticesSeen) -> Vec<Notice> {
        let desk = self.desk.read().unwrap_or_else(PoisonError::into_inner);
        desk.notices(seen, connection, user, Timestamp::now())
    }

    /// Reads the desk.
    pub(super) fn with_desk<T>(&self, f: impl FnOnce(&Desk) -> T) -> T {
        f(&self.desk.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The lock that a decision and its transitions are made under.
    pub(super) async fn deciding(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.deciding.lock().await
    }

    /// Makes transitions durable, then lets them take effect. On an error none took effect that was
    /// not durable. False when one of them came after its session's end and changed nothing.
    pub async fn transact(&self, transitions: &[Transition]) -> Result<bool, LedgerError> {
        let mut all = true;
        for transition in transitions {
            let body = Body::Glass {
                session: transition.session.to_string(),
                transition: serde_json::to_value(transition).unwrap_or_default(),
            };
            self.append(body, Priority::Reserve).await?;
            let applied = self.desk.write().unwrap_or_else(PoisonError::into_inner).apply(transition);
            all &= applied == Applied::Changed;
        }
        if !transitions.is_empty() {
            self.desk_version.fetch_add(1, Ordering::AcqRel);
            self.bump();
        }
        Ok(all)
    }

    /// Ends what time has ended. Called several times a second.
    pub async fn tick(&self) {
        let due = |desk: &Desk| desk.tick(Timestamp::now());
        if self.with_desk(due).is_empty() {
            return;
        }
        let _guard = self.deciding().await;
        let transitions = self.with_desk(due);
        if let Err(error) = self.transact(&transitions).await {
            // Time alone ends a session; only its record is late.
            tracing::error!(%error, "the end of a break-glass session could not be recorded");
            self.bump();
        }
    }

    /// Ends what a closed connection carried.
    pub async fn connection_closed(&self, connection: ConnectionId) {
        let _guard = self.deciding().await;
        let transitions = self.with_desk(|desk| desk.connection_closed(connection, Timestamp::now()));
        if let Err(error) = self.transact(&transitions).await {
            tracing::error!(%error, "the end of a break-glass session could not be recorded");
        }
    }

    /// What each text a user typed means. A text no identifier column knows is a key if it can be one.
    pub(super) async fn resolve_patients(&self, typed: &[String]) -> Result<Vec<ResolvedPatient>, Refusal> {
        let rules = self.rules.load_full();
        let policy = &rules.policy.policy;
        let mut resolved = Vec::with_capacity(typed.len());
        for text in typed {
            let mut key = None;
            for identifier in &policy.identifiers {
                match self.service.resolve_identifier(policy, identifier, text).await {
                    Ok(found) => key = key.or(found),
                    Err(error) => {
                        tracing::warn!(%error, "an identifier could not be looked up");
                        if policy.key_type.canonical(text).is_none() {
                            return Err(Refusal::new(
                                GlsCode::CannotBreakGlass,
                                "the patient cannot be looked up now: nothing was opened",
                            )
                            .with_hint("Name the patient by the key, or try again."));
                        }
                    }
                }
            }
            let key = key.or_else(|| policy.key_type.canonical(text));
            resolved.push(ResolvedPatient { typed: text.clone(), key });
        }
        Ok(resolved)
    }

    /// Whether a patient is assigned now, whatever labels the patient has; `None` when it cannot be found out.
    pub(super) async fn assigned(&self, principal: &str, key: &str) -> Option<bool> {
        self.assigned_unless(&[], principal, key).await
    }

    /// Whether a patient is assigned now and not hidden from `role` by a label; `None` when it cannot be found
    /// out.
    pub(super) async fn may_see(&self, principal: &str, role: &Role, key: &str) -> Option<bool> {
        let rules = self.rules.load_full();
        self.assigned_unless(rules.policy.closed_labels(role)?, principal, key).await
    }

    /// The same of several patients at once; one who does not exist is asked for all the same.
    async fn may_see_each(&self, principal: &str, role: &Role, keys: &[Option<String>]) -> Vec<Option<bool>> {
        let asked = |key: &Option<String>| key.as_deref().unwrap_or("0").to_owned();
        if let [one] = keys {
            return vec![self.may_see(principal, role, &asked(one)).await];
        }
        let rules = self.rules.load_full();
        let policy = &rules.policy.policy;
        let unknown = || keys.iter().map(|_| None).collect();
        let Some(closed) = rules.policy.closed_labels(role) else { return unknown() };
        let all: Vec<String> = keys.iter().filter_map(|key| policy.key_type.canonical(&asked(key))).collect();
        match self.service.assigned_among(policy, closed, principal, &all).await {
            Ok(assigned) => {
                let assigned: HashSet<String> = assigned.into_iter().collect();
                keys.iter().map(|key| Some(assigned.contains(&asked(key)))).collect()
            }
            Err(error) => {
                tracing::warn!(%error, "the assignment could not be read");
                unknown()
            }
        }
    }

    async fn assigned_unless(&self, closed: &[ClosedLabels], principal: &str, key: &str) -> Option<bool> {
        let rules = self.rules.load_full();
        match self.service.assigned(&rules.policy.policy, closed, principal, key).await {
            Ok(assigned) => Some(assigned),
            Err(error) => {
                tracing::warn!(%error, "the assignment could not be read");
                None
            }
        }
    }

    /// Every patient a principal can see now, or `None` when that cannot be told.
    pub(super) async fn reach(&self, principal: &str, role: &Role, grants: &Grants) -> Option<Vec<String>> {
        let rules = self.rules.load_full();
        let closed = rules.policy.closed_labels(role)?;
        match self.service.assigned_patients(&rules.policy.policy, closed, principal).await {
            Ok(mut patients) => {
                patients.extend(grants.patients.iter().cloned());
                Some(patients)
            }
            Err(error) => {
                tracing::warn!(%error, "the assignment could not be read");
                None
            }
        }
    }

    /// True when one of the patients a statement names is neither assigned nor granted; also when
    /// that cannot be found out. Notes the keys that identifiers were found to mean, for the record.
    /// Whether a patient exists makes no difference, not in the number of questions asked either.
    pub(super) async fn outside(
        &self,
        principal: &str,
        role: &Role,
        grants: &Grants,
        sought: &mut [Sought],
    ) -> bool {
        let rules = self.rules.load_full();
        let policy = &rules.policy.policy;
        let mut keys = Vec::with_capacity(sought.len());
        for one in sought.iter() {
            let key = match one.identifier {
                None => policy.key_type.canonical(&one.value),
                Some(i) => match policy.identifiers.get(i) {
                    Some(identifier) => {
                        self.service.resolve_identifier(policy, identifier, &one.value).await.ok().flatten()
                    }
                    None => None,
                },
            };
            keys.push(key);
        }
        let assigned = self.may_see_each(principal, role, &keys).await;
        let mut outside = false;
        for ((one, key), assigned) in sought.iter_mut().zip(keys).zip(assigned) {
            let granted = key.as_ref().is_some_and(|key| grants.patients.binary_search(key).is_ok());
            // What cannot be told stays in the record.
            one.inside = match &key {
                None => Some(false),
                Some(_) if granted => Some(true),
                Some(_) => assigned,
            };
            outside |= one.inside != Some(true);
            if one.identifier.is_some() {
                one.key = key;
            }
        }
        outside
    }

    /// GLS-201 with the remedy in its message.
    pub(super) fn not_your_patient(&self, sought: &[Sought], role: &Role) -> Refusal {
        let rules = self.rules.load();
        let profile = role.break_glass.as_ref().and_then(|name| rules.policy.policy.profiles.get(name));
        let Some(profile) = profile else {
            return Refusal::new(GlsCode::NotYourPatient, "not your patient: nothing returned").with_hint(
                format!("Your role ({}) cannot break glass; ask a colleague who can.", role.name),
            );
        };
        let other = sought.iter().find(|s| s.inside == Some(false)).or(sought.first());
        let named = other.map_or_else(|| "<patient>".to_owned(), |s| s.value.replace('\'', "''"));
        let reason = profile.reasons.iter().find(|r| *r == "BTG").or(profile.reasons.iter().next());
        let reason = reason.map_or("BTG", String::as_str);
        Refusal::new(
            GlsCode::NotYourPatient,
            format!("not your patient: nothing returned. In an emergency: SELECT glass.open('{named}','{reason}','why')"),
        )
        .with_hint(format!(
            "Opens at once for {}, read only, is always reviewed.",
            match profile.ttl.as_secs() {
                seconds if seconds < 60 => format!("{seconds} s"),
                seconds => format!("{} min", seconds / 60),
            }
        ))
    }

    // --- the rest -----------------------------------------------------------------------------

    /// Tells every session that something changed.
    pub fn bump(&self) {
        self.changed.send_modify(|n| *n += 1);
    }

    /// Watches for changes.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// A new connection number.
    pub fn connection_id(&self) -> ConnectionId {
        ConnectionId(self.next_connection.fetch_add(1, Ordering::Relaxed))
    }

    /// Asks the server to cancel what a session runs. Done when the server has signalled it, or when asking
    /// failed; nothing need wait for it.
    pub fn cancel(&self, target: &CancelTarget) -> impl Future<Output = ()> + Send + 'static {
        let (settings, target) = (self.upstream(), target.clone());
        async move {
            if let Err(error) = upstream::cancel(&settings, target.pid, &target.secret).await {
                tracing::warn!(%error, "the server could not be asked to cancel");
            }
        }
    }

    /// The ledger's configuration asks to stop rather than serve without it.
    pub(super) fn request_shutdown(&self) {
        if !self.shutdown_wanted.swap(true, Ordering::AcqRel) {
            self.enter_phase(Phase::Draining);
        }
    }

    /// Goes on to a later phase of a shutdown; never back.
    pub fn enter_phase(&self, phase: Phase) {
        self.shutdown.send_if_modified(|now| {
            let later = *now < phase;
            *now = (*now).max(phase);
            later
        });
    }

    /// True when the ledger asked for the end.
    pub fn shutdown_wanted(&self) -> bool {
        self.shutdown_wanted.load(Ordering::Acquire)
    }

    /// Closes the ledger: the last thing before the process ends.
    pub fn close_ledger(&self) {
        self.ledger.clone().close();
    }
}
