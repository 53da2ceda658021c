//! What a first look at an unknown database asks of the server beyond snapshot and facts: which columns may be NULL,
//! what views read, what belongs to extensions, which groups of people there are. Catalog only, no row of a table.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use tokio_postgres::Client;

use super::load::rows;
use super::{CatalogError, Oid, QualifiedName};

/// The answers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Survey {
    /// Columns that cannot be NULL.
    pub not_null: HashMap<Oid, HashSet<String>>,
    /// Relations that a view or materialized view names in its definition.
    pub view_reads: HashMap<Oid, BTreeSet<Oid>>,
    /// Relations that an extension made.
    pub of_extensions: BTreeSet<Oid>,
    /// The functions of each extension, without those of whose name there is another one that is not its own.
    pub extension_functions: BTreeMap<String, BTreeSet<QualifiedName>>,
}

/// A database role that stands for a group of people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Members that may log in, direct ones only.
    pub logins: i64,
    /// Members that are groups themselves.
    pub groups: i64,
    /// How many of the relations asked about its members may read, whole or in part.
    pub reads: i64,
    /// Its members may act as the owner of one of them.
    pub owns: bool,
}

/// What [`groups`] found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Groups {
    /// The groups, by name.
    pub groups: Vec<Group>,
    /// Users in none of them, superusers left out.
    pub lone_logins: i64,
}

const NOT_NULL: &str = "\
SELECT a.attrelid, pg_catalog.array_agg(a.attname::pg_catalog.text)
  FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
 WHERE a.attnotnull AND a.attnum > 0 AND c.relkind IN ('r', 'p') GROUP BY 1";

const VIEW_READS: &str = "\
SELECT DISTINCT r.ev_class, d.refobjid
  FROM pg_catalog.pg_rewrite r
  JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = r.oid
   AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid <> r.ev_class
 WHERE r.rulename = '_RETURN'";

const OF_EXTENSIONS: &str = "\
SELECT objid FROM pg_catalog.pg_depend
 WHERE classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND deptype = 'e'";

const EXTENSION_FUNCTIONS: &str = "\
SELECT e.extname::pg_catalog.text, n.nspname::pg_catalog.text, p.proname::pg_catalog.text
  FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
  LEFT JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = p.oid
   AND d.deptype = 'e' AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass
  LEFT JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid
 WHERE n.nspname <> 'pg_catalog'";

const GROUPS: &str = "\
SELECT r.rolname::pg_catalog.text,
       (SELECT pg_catalog.count(*) FROM pg_catalog.pg_auth_members m JOIN pg_catalog.pg_roles u ON u.oid = m.member
         WHERE m.roleid = r.oid AND u.rolcanlogin),
       (SELECT pg_catalog.count(*) FROM pg_catalog.pg_auth_members m JOIN pg_catalog.pg_roles u ON u.oid = m.member
         WHERE m.roleid = r.oid AND NOT u.rolcanlogin),
       (SELECT pg_catalog.count(*) FROM pg_catalog.unnest($1::pg_catalog.oid[]) t (oid)
         WHERE pg_catalog.has_any_column_privilege(r.oid, t.oid, 'SELECT')),
       EXISTS (SELECT FROM pg_catalog.pg_class c
                WHERE c.oid = ANY ($1) AND pg_catalog.pg_has_role(r.oid, c.relowner, 'MEMBER'))
  FROM pg_catalog.pg_roles r
 WHERE NOT r.rolcanlogin AND NOT r.rolsuper AND r.rolname !~ '^pg_' ORDER BY 1";

const LONE_LOGINS: &str = "\
SELECT pg_catalog.count(*) FROM pg_catalog.pg_roles u
 WHERE u.rolcanlogin AND NOT u.rolsuper AND NOT EXISTS (
       SELECT FROM pg_catalog.pg_auth_members m JOIN pg_catalog.pg_roles r ON r.oid = m.roleid
        WHERE m.member = u.oid AND NOT r.rolcanlogin AND r.rolname !~ '^pg_')";

/// Reads the survey.
///
/// # Errors
/// [`CatalogError::Query`].
pub async fn survey(client: &Client) -> Result<Survey, CatalogError> {
    let not_null: Vec<(Oid, Vec<String>)> =
        rows(client, "columns", NOT_NULL, &[], |r| Ok((r.try_get(0)?, r.try_get(1)?))).await?;
    let pairs: Vec<(Oid, Oid)> =
        rows(client, "views", VIEW_READS, &[], |r| Ok((r.try_get(0)?, r.try_get(1)?))).await?;
    let mut out = Survey {
        not_null: not_null.into_iter().map(|(oid, names)| (oid, names.into_iter().collect())).collect(),
        of_extensions: rows(client, "extensions", OF_EXTENSIONS, &[], |r| r.try_get(0)).await?,
        ..Survey::default()
    };
    let functions: Vec<(Option<String>, QualifiedName)> =
        rows(client, "functions of extensions", EXTENSION_FUNCTIONS, &[], |r| {
            Ok((r.try_get(0)?, QualifiedName { schema: r.try_get(1)?, name: r.try_get(2)? }))
        })
        .await?;
    let mut owners: BTreeMap<QualifiedName, BTreeSet<Option<String>>> = BTreeMap::new();
    for (extension, name) in functions {
        owners.entry(name).or_default().insert(extension);
    }
    for (name, of) in owners {
        if let (1, Some(Some(extension))) = (of.len(), of.first()) {
            out.extension_functions.entry(extension.clone()).or_default().insert(name);
        }
    }
    for (view, reads) in pairs {
        out.view_reads.entry(view).or_default().insert(reads);
    }
    Ok(out)
}

/// The groups of the server's people, and what they may do with `relations`.
///
/// # Errors
/// [`CatalogError::Query`].
pub async fn groups(client: &Client, relations: &[Oid]) -> Result<Groups, CatalogError> {
    let groups = rows(client, "groups", GROUPS, &[&relations], |r| {
        Ok(Group {
            name: r.try_get(0)?,
            logins: r.try_get(1)?,
            groups: r.try_get(2)?,
            reads: r.try_get(3)?,
            owns: r.try_get(4)?,
        })
    })
    .await?;
    let lone: Vec<i64> = rows(client, "users", LONE_LOGINS, &[], |r| r.try_get(0)).await?;
    Ok(Groups { groups, lone_logins: lone.first().copied().unwrap_or(0) })
}
