//! The findings as a configuration file: valid as it stands, every guess with its reason beside it.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::classes::Class;
use super::entries;
use super::found::Found;
use super::roles::{self, Kind, Proposal};
use super::schema::Schema;
use super::text::{comment, name, part, shown, string, unusable};
use super::{CHANGE, Server};
use crate::catalog::{Groups, QualifiedName, quote_ident};
use crate::policy::{HipaaIdentifier, KeyType};

pub(super) struct Writer<'a> {
    pub(super) schema: &'a Schema<'a>,
    pub(super) found: &'a Found,
    pub(super) groups: &'a Groups,
    pub(super) server: &'a Server,
    out: String,
}

const RULE: &str =
    "# ------------------------------------------------------------------------------------------------";

/// The whole file.
pub(super) fn write(schema: &Schema<'_>, found: &Found, groups: &Groups, server: &Server) -> String {
    let mut writer = Writer { schema, found, groups, server, out: String::new() };
    writer.head();
    writer.server();
    writer.patient();
    writer.assignment();
    writer.entries();
    writer.reference();
    writer.undecided();
    writer.roles();
    writer.out
}

impl Writer<'_> {
    pub(super) fn line(&mut self, text: &str) {
        self.out.push_str(text);
        self.out.push('\n');
    }

    pub(super) fn say(&mut self, text: &str) {
        self.out.push_str(&comment(text, ""));
    }

    pub(super) fn point(&mut self, text: &str) {
        self.out.push_str(&comment(&format!("- {text}"), "  "));
    }

    fn chapter(&mut self, title: &str) {
        self.line("");
        self.line(RULE);
        self.say(title);
        self.line(RULE);
    }

    pub(super) fn name_of(&self, table: usize) -> &QualifiedName {
        &self.schema.tables[table].relation.name
    }

    fn column(&self, table: usize, column: usize) -> &str {
        &self.schema.tables[table].columns[column].name
    }

    fn head(&mut self) {
        let found = self.found;
        let commented = found.entries.iter().filter(|e| e.doubt.is_some()).count();
        let line = format!(
            "A first configuration of pgglass for database {} on {}:{}, written by `pgglass discover`.",
            shown(&self.server.database),
            shown(&self.server.host),
            self.server.port
        );
        self.say(&line);
        self.say(if self.server.sampled {
            "It was made from the catalog (names, types, keys) and from counts of matching keys; no value of a table \
             is in it."
        } else {
            "It was made from the catalog alone (names, types, keys): no row of a table was read."
        });
        self.line("#");
        let line = format!(
            "Found: {} relations of patients, {} reference tables, {} left to decide. What to do:",
            found.entries.len() - commented,
            found.reference.len(),
            found.undecided.len() + commented
        );
        self.say(&line);
        self.say(&format!(
            "1. Read it. Lines with \"{CHANGE}\" hold what could not be known; each guess has its reason beside it."
        ));
        self.say("2. Decide what is listed under \"Left to decide\". What is in no entry is closed to restricted roles.");
        self.say("3. pgglass check --config FILE    says what is wrong, and explains every line in words.");
        self.say("4. docs/discover.md goes through an example.");
    }

    fn server(&mut self) {
        self.chapter("The proxy and the server");
        let server = self.server;
        let lines = [
            "[listen]".to_owned(),
            format!("address = \"127.0.0.1:6432\"                 {CHANGE} where clients connect"),
            format!("certificate = \"tls/server.crt\"             {CHANGE} PEM, the leaf first"),
            format!("private_key = \"tls/server.key\"             {CHANGE}"),
            String::new(),
            "[upstream]".to_owned(),
            format!("host = {}", string(&server.host)),
            format!("port = {}", server.port),
            format!("tls = \"{}\"", server.tls),
        ];
        lines.iter().for_each(|l| self.line(l));
        if let Some(ca) = &server.ca {
            let line = format!("ca = {}", string(ca));
            self.line(&line);
        }
        self.say("The proxy's own account: docs/database-setup.md has the statements that make it.");
        let lines = [
            format!("service_user = \"pgglass\"                   {CHANGE}"),
            format!("service_password_file = \"secrets/service-password\"   {CHANGE} chmod 600"),
            format!("service_database = {}", string(&server.database)),
            "auth_query = \"SELECT rolpassword, rolvaliduntil FROM glass.verifier($1)\"".to_owned(),
            String::new(),
            "[ledger]".to_owned(),
            format!("node = \"pgglass-1\"                         {CHANGE} this node's name in checkpoints"),
            format!("directory = \"ledger\"                       {CHANGE} on an encrypted disk of its own"),
            format!(
                "signing_key = \"secrets/ledger.key\"         {CHANGE} pgglass keygen --out secrets/ledger.key --name NODE"
            ),
        ];
        lines.iter().for_each(|l| self.line(l));
    }

    fn patient(&mut self) {
        let patient = &self.found.patient;
        self.chapter("Patients");
        let key = format!("{}.{}", self.name_of(patient.table), self.column(patient.table, patient.key));
        let line = format!("One row of {key} is one patient. Why: {}.", patient.why.join("; "));
        self.say(&line);
        for other in &patient.others {
            self.point(&format!(
                "may also be: {other}; then run again with --patient-table and --patient-key"
            ));
        }
        self.line("[patient]");
        let key_type = match patient.key_type {
            KeyType::Int4 => "int4",
            KeyType::Int8 => "int8",
            KeyType::Text => "text",
            KeyType::Uuid => "uuid",
        };
        self.line(&format!("key_type = \"{key_type}\""));
        let usable: Vec<&(usize, usize, HipaaIdentifier)> = self
            .found
            .identifiers
            .iter()
            .filter(|(t, c, _)| self.is_usable(self.name_of(*t)) && !unusable(self.column(*t, *c)))
            .collect();
        let words = |(t, c, _): &&(usize, usize, HipaaIdentifier)| {
            string(&format!("{}.{}", name(self.name_of(*t)), part(self.column(*t, *c))))
        };
        let record: Vec<String> =
            usable.iter().filter(|i| i.2 == HipaaIdentifier::MedicalRecord).map(words).collect();
        let others: Vec<(String, &str)> = usable
            .iter()
            .filter(|i| i.2 != HipaaIdentifier::MedicalRecord)
            .map(|i| (words(i), i.2.describe()))
            .collect();
        let mut text = String::new();
        if record.is_empty() {
            text.push_str(
                "# No unique column with a record number was found. Name one if there is, so that it opens a break-glass\n\
                 # session and is recognised in statements; it must be unique:\n# identifiers = [\"schema.table.mrn\"]\n",
            );
        } else {
            text.push_str(
                "# Unique columns that name a patient: accepted by glass.open, recognised in statements.\n",
            );
            let _ = writeln!(text, "identifiers = [{}]", record.join(", "));
        }
        for (word, what) in others {
            let _ = writeln!(text, "# also unique, {what}: {word}");
        }
        self.out.push_str(&text);
    }

    pub(super) fn is_usable(&self, name: &QualifiedName) -> bool {
        !unusable(&name.schema) && !unusable(&name.name)
    }

    fn assignment(&mut self) {
        self.chapter("Who treats whom");
        let usable = self.found.assignments.iter().filter(|a| self.is_usable(self.name_of(a.table)));
        let all: Vec<_> = usable.collect();
        let Some((first, others)) = all.split_first() else {
            self.no_assignment();
            return;
        };
        let (table, principal, patient) = (
            self.name_of(first.table).clone(),
            self.column(first.table, first.principal).to_owned(),
            self.column(first.table, first.patient).to_owned(),
        );
        self.say(&format!(
            "Guessed from names: {table} has a column for users ({principal}) and one for patients ({patient}). Look \
             whether {principal} holds the names that people log in with; every guard reads it."
        ));
        if !first.unique {
            self.point(&format!(
                "it needs a unique index over both: CREATE UNIQUE INDEX ON {} ({}, {});",
                table.to_sql(),
                quote_ident(&principal),
                quote_ident(&patient)
            ));
        }
        for other in others {
            let line = format!(
                "also possible: {} ({}, {})",
                self.name_of(other.table),
                self.column(other.table, other.principal),
                self.column(other.table, other.patient)
            );
            self.point(&line);
        }
        self.line("[assignment]");
        self.line(&format!("relation = {}", string(&name(&table))));
        self.line(&format!("principal = {}", string(&principal)));
        self.line(&format!("patient = {}", string(&patient)));
        for (word, column) in [("valid_from", first.valid_from), ("valid_to", first.valid_to)] {
            if let Some(column) = column {
                let column = self.column(first.table, column).to_owned();
                self.line(&format!("{word} = {}", string(&column)));
            }
        }
    }

    fn no_assignment(&mut self) {
        let patient = &self.found.patient;
        let table = self.name_of(patient.table).to_sql();
        let key = quote_ident(self.column(patient.table, patient.key));
        let unique = self.schema.tables[patient.table].columns[patient.key].unique;
        let base = self.schema.tables[patient.table].columns[patient.key].base.clone();
        let references = if unique { format!(" REFERENCES {table} ({key})") } else { String::new() };
        self.say(
            "No relation was found that says who treats whom (a column for users beside the patient key). Make one, \
             and keep it filled from where it is known:",
        );
        for line in [
            "  CREATE SCHEMA IF NOT EXISTS glass;".to_owned(),
            "  CREATE TABLE glass.assigned (".to_owned(),
            "      user_name  text NOT NULL,                 -- the name people log in with".to_owned(),
            format!("      patient_id {base} NOT NULL{references},"),
            "      valid_to   timestamptz,                   -- NULL: until further notice".to_owned(),
            "      PRIMARY KEY (user_name, patient_id));     -- every guard looks in here".to_owned(),
            "  -- the proxy, and everyone whose rows are filtered:".to_owned(),
            "  GRANT USAGE ON SCHEMA glass TO pgglass;  GRANT SELECT ON glass.assigned TO pgglass;"
                .to_owned(),
        ] {
            self.line(&format!("# {}", shown(&line)));
        }
        self.line(&format!(
            "[assignment]                                {CHANGE} to your own, or run the above"
        ));
        self.line("relation = \"glass.assigned\"");
        self.line("principal = \"user_name\"");
        self.line("patient = \"patient_id\"");
        self.line("valid_to = \"valid_to\"");
    }

    fn entries(&mut self) {
        self.chapter(
            "Relations of patients: how each row is tied to its patient. Closed to everyone if a column is not there.",
        );
        self.say("Ways \"by name\" are guesses where the database has no foreign key. Classes are words of your own.");
        let found = self.found;
        for entry in &found.entries {
            if entries::why_not(self, entry).is_none() {
                entries::write(self, entry, false);
            }
        }
    }

    fn reference(&mut self) {
        self.chapter("Relations without patients: restricted roles read them without a guard. Look at each.");
        self.line("[reference]");
        self.line("tables = [");
        for reference in &self.found.reference {
            let table = self.name_of(reference.table).clone();
            if !self.is_usable(&table) {
                continue;
            }
            let word = format!("{},", string(&name(&table)));
            let look = if reference.doubt { "LOOK: " } else { "" };
            let line = format!("    {word:<40} # {look}{}", shown(&reference.why));
            self.line(&line);
        }
        self.line("]");
    }

    fn undecided(&mut self) {
        let found = self.found;
        let doubtful: Vec<_> = found.entries.iter().filter(|e| entries::why_not(self, e).is_some()).collect();
        self.chapter("Left to decide: closed to restricted roles until they are in one of the lists above");
        if doubtful.is_empty() && found.undecided.is_empty() {
            self.say("Nothing.");
        }
        for entry in doubtful {
            entries::write(self, entry, true);
        }
        for undecided in &found.undecided {
            self.line("");
            let line = format!("{}: {}.", self.name_of(undecided.table), undecided.why);
            self.say(&line);
            match (undecided.one_key, self.schema.tables[undecided.table].is_table()) {
                (false, _) => {}
                (true, true) => entries::template(self, undecided.table),
                (true, false) => {
                    self.say("If it shows nothing of patients, add it to [reference]; else give it the key as a column.");
                }
            }
        }
    }

    fn roles(&mut self) {
        self.chapter(
            "Roles: who sees what. The first in the file that names a database role the user is in counts.",
        );
        let classes: BTreeSet<Class> = self
            .found
            .entries
            .iter()
            .filter(|e| entries::why_not(self, e).is_none())
            .map(|e| e.class)
            .collect();
        let groups = self.groups;
        let proposals = roles::proposals(&groups.groups);
        for proposal in &proposals {
            self.role(proposal, &classes);
        }
        if proposals.iter().all(|p| p.kind == Kind::Oversight) {
            self.line("");
            self.say(
                "The server has no group role (NOLOGIN, with members) that may read these tables. Make some, or name \
                 users. Until then everybody sees the patients assigned to them, and nobody all.",
            );
            self.line(&format!("[role.clinical]                             {CHANGE}"));
            self.line("default = true                              # everyone in no other role");
            self.functions();
            self.line("scope = \"assigned\"                          # assigned | all | none");
            self.line("outside = \"block\"                           # a lookup of another patient is refused: GLS-201");
            self.line("break_glass = \"clinical\"");
            self.line("");
            self.say("For people who count, over every patient, with the identifiers masked:");
            self.say("[role.analyst]\nusers = [\"...\"]\nscope = \"all\"\nmasks_preset = \"safe_harbor\"");
        } else if groups.lone_logins > 0 {
            self.line("");
            self.say(&format!(
                "Users of the server in none of its groups: {}. They cannot log in through the proxy unless a role \
                 names them in `users`, or has `default = true`.",
                groups.lone_logins
            ));
        }
        self.line("");
        self.say("On what terms a glass is broken. Reasons: HL7 ActReason codes, or your own.");
        for line in [
            "[break_glass.clinical]",
            "reasons = [\"BTG\", \"COVERAGE_SHIFT\"]",
            "ttl = \"60min\"",
            "max_ttl = \"12h\"",
            "",
            "[notices]",
            "rows_withheld = true                        # say GLS-202 when a statement was filtered",
        ] {
            self.line(line);
        }
    }

    fn role(&mut self, proposal: &Proposal<'_>, classes: &BTreeSet<Class>) {
        let group = proposal.group;
        self.line("");
        self.say(&format!(
            "Database role {}: {} member{} who can log in; may read {} of the relations above.",
            group.name,
            group.logins,
            if group.logins == 1 { "" } else { "s" },
            group.reads
        ));
        self.line(&format!("[role.{}]", super::text::key(&proposal.name)));
        self.line(&format!("groups = [{}]", string(&group.name)));
        if !matches!(proposal.kind, Kind::Oversight | Kind::Owner) {
            self.functions();
        }
        match proposal.kind {
            Kind::Clinical => {
                self.line("scope = \"assigned\"");
                self.line("outside = \"block\"                           # or \"hide\": other patients do not exist");
                self.line("break_glass = \"clinical\"");
            }
            Kind::Unknown => {
                self.line("scope = \"assigned\"                          # the least; its name does not say what they do");
                self.line("# break_glass = \"clinical\"                  # if they treat patients");
            }
            Kind::Administrative => {
                self.line(
                    "scope = \"assigned\"                          # the least; for work on every patient:",
                );
                self.line("# scope = \"all\"");
                let words: Vec<String> = roles::administrative(classes).iter().map(|c| string(c)).collect();
                if !words.is_empty() {
                    self.line(&format!("classes = [{}]", words.join(", ")));
                }
                self.masks(&proposal.name, classes);
            }
            Kind::Analysis => {
                self.line(
                    "scope = \"assigned\"                          # the least; to count over every patient:",
                );
                self.line("# scope = \"all\"");
                self.line("masks_preset = \"safe_harbor\"                # the 18 identifiers of HIPAA, by columns' names");
            }
            Kind::Oversight => {
                self.line("scope = \"none\"                              # no row of a patient");
                self.line("# privacy_officer = true                    # if they may end other people's break-glass sessions");
            }
            Kind::Owner => {
                self.say(
                    "Members can act as the tables' owner; the proxy records them, and cannot keep them out.",
                );
                self.line("scope = \"all\"");
            }
        }
    }

    /// Functions that a restricted role may be given, as a comment: a role may call none but built-in ones without it.
    fn functions(&mut self) {
        let found = self.found;
        if found.functions.is_empty() {
            return;
        }
        self.line("# functions = [                              # of extensions; they compute from their arguments alone");
        for (extension, functions) in &found.functions {
            for line in functions.chunks(4) {
                let words: Vec<String> = line.iter().map(|f| format!("{},", string(&name(f)))).collect();
                self.line(&format!("#     {}   # {extension}", words.join(" ")));
            }
        }
        self.line("# ]");
    }

    /// Masks for those who need names, but not what identifies people elsewhere.
    fn masks(&mut self, role: &str, classes: &BTreeSet<Class>) {
        let allowed = |class: Class| class.is_administrative() && classes.contains(&class);
        for entry in &self.found.entries {
            if entries::why_not(self, entry).is_some() || !allowed(entry.class) {
                continue;
            }
            let columns: Vec<(String, &str)> = self.schema.tables[entry.table]
                .columns
                .iter()
                .filter(|c| !unusable(&c.name))
                .filter_map(|c| {
                    let what = c.identifier.filter(|i| {
                        matches!(
                            i,
                            HipaaIdentifier::SocialSecurity
                                | HipaaIdentifier::Biometric
                                | HipaaIdentifier::Photo
                        )
                    })?;
                    let word = crate::policy::mask_for(what, &c.base).words().0;
                    Some((format!("{} = \"{word}\"", super::text::key(&c.name)), what.describe()))
                })
                .collect();
            if columns.is_empty() {
                continue;
            }
            let table = string(&name(self.name_of(entry.table)));
            self.line(&format!("[role.{}.masks.{table}]", super::text::key(role)));
            for (line, what) in columns {
                self.line(&format!("{line:<43} # {what}"));
            }
        }
    }
}
