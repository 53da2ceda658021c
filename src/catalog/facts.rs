//! What a check of a policy needs to know of the server beyond the snapshot: unique indexes,
//! foreign keys, triggers, domains, rights. Read once per check, never on a statement's way.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use tokio_postgres::Client;

use super::load::rows;
use super::{CatalogError, Oid, QualifiedName};

/// A foreign key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignKey {
    /// The table that has it.
    pub from: Oid,
    /// Its columns.
    pub columns: Vec<String>,
    /// The table it points to.
    pub to: Oid,
    /// The columns there.
    pub references: Vec<String>,
    /// What DELETE and UPDATE there do to rows here: `pg_constraint.confdeltype` and `confupdtype` (`a` and `r` nothing,
    /// `c` cascade, `n` set null, `d` set default).
    pub actions: [char; 2],
}

/// What ties columns of a row, or of several, so that a write which breaks it fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Constraint {
    /// The table.
    pub relation: Oid,
    /// Its name, or that of a unique index.
    pub name: String,
    /// True for CHECK, false for what is unique (or an exclusion).
    pub check: bool,
    /// The columns it reads.
    pub columns: Vec<String>,
}

/// What stands behind a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Domain {
    /// `format_type` of the base type, without modifier.
    pub base_sql: String,
    /// True when a NULL or another value of the base type may be refused.
    pub constrained: bool,
}

/// Facts about the server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// Column sets with a valid, immediate, unconditional unique index.
    pub unique: HashMap<Oid, Vec<BTreeSet<String>>>,
    /// Foreign keys; those that partitions inherit are left out.
    pub foreign_keys: Vec<ForeignKey>,
    /// Checks, unique indexes and exclusions; those that partitions inherit are left out.
    pub constraints: Vec<Constraint>,
    /// Roles of the policy and relations that their people may insert into or update.
    pub writers: BTreeSet<(String, Oid)>,
    /// Names of user triggers and rules.
    pub triggers: BTreeMap<Oid, Vec<String>>,
    /// What views and materialized views read: the view, and relations its query names.
    pub views: Vec<(Oid, Oid)>,
    /// Relations with row-level security enabled.
    pub row_security: BTreeSet<Oid>,
    /// Domains by type OID.
    pub domains: HashMap<Oid, Domain>,
    /// Names of all roles of the server.
    pub roles: BTreeSet<String>,
    /// Rights that were asked for and are missing: role, relation.
    pub unreadable: BTreeSet<(String, Oid)>,
    /// `password_encryption`
    pub password_encryption: String,
    /// Whether the assignment relation has a row; `None` when it cannot be read.
    pub assignment_rows: Option<bool>,
}

impl Facts {
    /// True when no two rows of `relation` can agree in all of `columns`.
    pub fn is_unique(&self, relation: Oid, columns: &[&str]) -> bool {
        let wanted: BTreeSet<&str> = columns.iter().copied().collect();
        let keys = self.unique.get(&relation).into_iter().flatten();
        keys.into_iter().any(|key| key.iter().all(|c| wanted.contains(c.as_str())))
    }
}

const UNIQUE: &str = "\
SELECT i.indrelid, ARRAY(
         SELECT a.attname::pg_catalog.text
           FROM pg_catalog.unnest(i.indkey::pg_catalog.int2[]) WITH ORDINALITY k (attnum, n)
           JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
          WHERE k.n <= i.indnkeyatts)
  FROM pg_catalog.pg_index i
 WHERE i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL";

const FOREIGN_KEYS: &str = "\
SELECT c.conrelid, c.confrelid,
       ARRAY(SELECT a.attname::pg_catalog.text FROM pg_catalog.unnest(c.conkey) WITH ORDINALITY k (n, i)
               JOIN pg_catalog.pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.n ORDER BY k.i),
       ARRAY(SELECT a.attname::pg_catalog.text FROM pg_catalog.unnest(c.confkey) WITH ORDINALITY k (n, i)
               JOIN pg_catalog.pg_attribute a ON a.attrelid = c.confrelid AND a.attnum = k.n ORDER BY k.i),
       c.confdeltype::pg_catalog.text, c.confupdtype::pg_catalog.text
  FROM pg_catalog.pg_constraint c
 WHERE c.contype = 'f' AND c.conparentid = 0
   AND (NOT $1 OR c.confdeltype IN ('c', 'n', 'd') OR c.confupdtype IN ('c', 'n', 'd'))
 ORDER BY c.conrelid, c.conname";

/// Foreign keys; with `acting` those alone that change rows when what they refer to is changed.
pub(super) async fn foreign_keys(client: &Client, acting: bool) -> Result<Vec<ForeignKey>, CatalogError> {
    rows(client, "foreign keys", FOREIGN_KEYS, &[&acting], |r| {
        Ok(ForeignKey {
            from: r.try_get(0)?,
            to: r.try_get(1)?,
            columns: r.try_get(2)?,
            references: r.try_get(3)?,
            actions: [4, 5].map(|i| {
                let letter: Result<String, _> = r.try_get(i);
                letter.ok().and_then(|l| l.chars().next()).unwrap_or('a')
            }),
        })
    })
    .await
}

const CONSTRAINTS: &str = "\
SELECT c.conrelid, c.conname::pg_catalog.text, true,
       ARRAY(SELECT a.attname::pg_catalog.text FROM pg_catalog.pg_attribute a
              WHERE a.attrelid = c.conrelid AND a.attnum = ANY (c.conkey) ORDER BY a.attnum)
  FROM pg_catalog.pg_constraint c WHERE c.contype = 'c' AND c.conrelid <> 0 AND c.conparentid = 0
UNION ALL
SELECT i.indrelid, n.relname::pg_catalog.text, false,
       ARRAY(SELECT DISTINCT a.attname::pg_catalog.text FROM pg_catalog.pg_attribute a
              WHERE a.attrelid = i.indrelid AND (a.attnum = ANY (i.indkey::pg_catalog.int2[]) OR EXISTS (
                    SELECT FROM pg_catalog.pg_depend d
                     WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = i.indexrelid
                       AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = i.indrelid
                       AND d.refobjsubid = a.attnum)))
  FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class n ON n.oid = i.indexrelid
 WHERE (i.indisunique OR i.indisexclusion) AND NOT n.relispartition
 ORDER BY 1, 2";

const WRITERS: &str = "\
SELECT r.rolname::pg_catalog.text, c.oid
  FROM pg_catalog.pg_roles r, pg_catalog.pg_class c
 WHERE r.rolname = ANY ($1) AND c.oid = ANY ($2)
   AND (pg_catalog.has_any_column_privilege(r.oid, c.oid, 'INSERT')
        OR pg_catalog.has_any_column_privilege(r.oid, c.oid, 'UPDATE'))";

/// Which of the database roles `names` may insert into or update which of `relations`.
///
/// # Errors
/// [`CatalogError::Query`].
pub async fn writers(
    client: &Client,
    names: &[String],
    relations: &[Oid],
) -> Result<Vec<(String, Oid)>, CatalogError> {
    rows(client, "rights", WRITERS, &[&names, &relations], |r| Ok((r.try_get(0)?, r.try_get(1)?))).await
}

const TRIGGERS: &str = "\
SELECT tgrelid, tgname::pg_catalog.text FROM pg_catalog.pg_trigger WHERE NOT tgisinternal
UNION ALL
SELECT ev_class, rulename::pg_catalog.text FROM pg_catalog.pg_rewrite WHERE rulename <> '_RETURN'
 ORDER BY 1, 2";

const VIEWS: &str = "\
SELECT DISTINCT r.ev_class, d.refobjid
  FROM pg_catalog.pg_rewrite r
  JOIN pg_catalog.pg_depend d
    ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = r.oid
   AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid <> r.ev_class
 WHERE r.rulename = '_RETURN' ORDER BY 1, 2";

const DOMAINS: &str = "\
WITH RECURSIVE d (oid, base, constrained) AS (
    SELECT oid, typbasetype, typnotnull OR EXISTS (
             SELECT FROM pg_catalog.pg_constraint k WHERE k.contypid = t.oid)
      FROM pg_catalog.pg_type t WHERE typtype = 'd'
    UNION ALL
    SELECT d.oid, t.typbasetype, d.constrained OR t.typnotnull OR EXISTS (
             SELECT FROM pg_catalog.pg_constraint k WHERE k.contypid = t.oid)
      FROM d JOIN pg_catalog.pg_type t ON t.oid = d.base WHERE t.typtype = 'd')
SELECT d.oid, pg_catalog.format_type(d.base, NULL), d.constrained
  FROM d JOIN pg_catalog.pg_type t ON t.oid = d.base WHERE t.typtype <> 'd'";

const ROW_SECURITY: &str = "SELECT oid FROM pg_catalog.pg_class WHERE relrowsecurity";

const ROLES: &str = "SELECT rolname::pg_catalog.text FROM pg_catalog.pg_roles";

const UNREADABLE: &str = "\
SELECT r.rolname::pg_catalog.text, c.oid
  FROM pg_catalog.pg_roles r, pg_catalog.pg_class c
 WHERE r.rolname = ANY ($1) AND c.oid = ANY ($2)
   AND NOT (pg_catalog.has_schema_privilege(r.oid, c.relnamespace, 'USAGE')
            AND pg_catalog.has_any_column_privilege(r.oid, c.oid, 'SELECT'))";

/// Reads the facts. `readers` are roles that must be able to read `relations`; `assignment` is
/// looked at for rows.
///
/// # Errors
/// [`CatalogError::Query`].
pub async fn facts(
    client: &Client,
    readers: &[String],
    relations: &[Oid],
    assignment: Option<&QualifiedName>,
) -> Result<Facts, CatalogError> {
    let mut out = Facts {
        foreign_keys: foreign_keys(client, false).await?,
        constraints: rows(client, "constraints", CONSTRAINTS, &[], |r| {
            Ok(Constraint {
                relation: r.try_get(0)?,
                name: r.try_get(1)?,
                check: r.try_get(2)?,
                columns: r.try_get(3)?,
            })
        })
        .await?,
        domains: rows(client, "domains", DOMAINS, &[], |r| {
            Ok((r.try_get(0)?, Domain { base_sql: r.try_get(1)?, constrained: r.try_get(2)? }))
        })
        .await?,
        views: rows(client, "views", VIEWS, &[], |r| Ok((r.try_get(0)?, r.try_get(1)?))).await?,
        row_security: rows(client, "row security", ROW_SECURITY, &[], |r| r.try_get(0)).await?,
        roles: rows(client, "roles", ROLES, &[], |r| r.try_get(0)).await?,
        unreadable: rows(client, "rights", UNREADABLE, &[&readers, &relations], |r| {
            Ok((r.try_get(0)?, r.try_get(1)?))
        })
        .await?,
        ..Facts::default()
    };
    let unique: Vec<(Oid, Vec<String>)> =
        rows(client, "indexes", UNIQUE, &[], |r| Ok((r.try_get(0)?, r.try_get(1)?))).await?;
    for (relation, columns) in unique {
        out.unique.entry(relation).or_default().push(columns.into_iter().collect());
    }
    let triggers: Vec<(Oid, String)> =
        rows(client, "triggers", TRIGGERS, &[], |r| Ok((r.try_get(0)?, r.try_get(1)?))).await?;
    for (relation, name) in triggers {
        out.triggers.entry(relation).or_default().push(name);
    }
    let settings: Vec<String> =
        rows(client, "settings", "SELECT pg_catalog.current_setting('password_encryption')", &[], |r| {
            r.try_get(0)
        })
        .await?;
    out.password_encryption = settings.into_iter().next().unwrap_or_default();
    if let Some(name) = assignment {
        let query = format!("SELECT EXISTS (SELECT FROM {})", name.to_sql());
        // Not being allowed to read it is a finding of its own, not a failure of the check.
        let answer: Result<Vec<bool>, _> = rows(client, "assignment", &query, &[], |r| r.try_get(0)).await;
        out.assignment_rows = answer.ok().and_then(|rows| rows.first().copied());
    }
    Ok(out)
}
