//! What tells one row of a relation from another: primary keys, unique indexes, and foreign keys, which name a row of
//! another relation.

use std::collections::{HashMap, HashSet};

use tokio_postgres::Client;

use super::load::rows;
use super::{CatalogError, Oid};

/// By relation.
#[derive(Debug, Clone, Default)]
pub struct Keys {
    /// The columns of primary keys that are not deferrable.
    pub primary: HashMap<Oid, Vec<String>>,
    /// Columns that have a unique index each.
    pub unique: HashMap<Oid, HashSet<String>>,
    /// The columns of primary keys and unique indexes of several, those of expressions included, those of partitioning
    /// left out.
    pub sets: HashMap<Oid, Vec<Vec<String>>>,
    /// Columns that have a foreign key each, with what it refers to.
    pub references: HashMap<Oid, HashMap<String, Oid>>,
}

const PRIMARY_KEYS: &str = "\
SELECT c.conrelid, ARRAY(SELECT a.attname::pg_catalog.text FROM pg_catalog.pg_attribute a
                          WHERE a.attrelid = c.conrelid AND a.attnum = ANY (c.conkey))
  FROM pg_catalog.pg_constraint c WHERE c.contype = 'p' AND NOT c.condeferrable";

const UNIQUE_COLUMNS: &str = "\
SELECT i.indrelid, a.attname::pg_catalog.text
  FROM pg_catalog.pg_index i JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
 WHERE (i.indisunique OR i.indisexclusion) AND i.indnkeyatts = 1 AND i.indrelid >= 16384";

// What an index of expressions is made of stands among its dependencies.
const UNIQUE_SETS: &str = "\
SELECT k.relation, pg_catalog.array_agg(DISTINCT a.attname::pg_catalog.text)
  FROM (SELECT i.indexrelid AS index, i.indrelid AS relation,
               CASE WHEN i.indexprs IS NULL
                    THEN ARRAY(SELECT i.indkey[n] FROM pg_catalog.generate_series(0, i.indnkeyatts - 1) n)
                    ELSE ARRAY(SELECT d.refobjsubid::pg_catalog.int2 FROM pg_catalog.pg_depend d
                                WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = i.indexrelid
                                  AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
                                  AND d.refobjid = i.indrelid AND d.refobjsubid > 0) END AS columns
          FROM pg_catalog.pg_index i
         WHERE i.indisunique AND i.indrelid >= 16384 AND (i.indnkeyatts > 1 OR i.indexprs IS NOT NULL)) k
  JOIN pg_catalog.pg_attribute a ON a.attrelid = k.relation AND a.attnum = ANY (k.columns)
 WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_partitioned_table p
                     JOIN pg_catalog.pg_attribute b ON b.attrelid = p.partrelid AND b.attnum = ANY (p.partattrs)
                    WHERE b.attname = a.attname AND (p.partrelid = k.relation OR EXISTS
                          (SELECT FROM pg_catalog.pg_inherits h WHERE h.inhrelid = k.relation AND h.inhparent = p.partrelid)))
 GROUP BY k.relation, k.index";

const REFERENCES: &str = "\
SELECT c.conrelid, a.attname::pg_catalog.text, c.confrelid
  FROM pg_catalog.pg_constraint c JOIN pg_catalog.pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
 WHERE c.contype = 'f' AND pg_catalog.array_length(c.conkey, 1) = 1";

/// Reads them.
///
/// # Errors
/// [`CatalogError::Query`].
pub(super) async fn read(client: &Client) -> Result<Keys, CatalogError> {
    let primary =
        rows(client, "primary keys", PRIMARY_KEYS, &[], |r| Ok((r.try_get(0)?, r.try_get(1)?))).await?;
    let mut keys = Keys { primary, ..Keys::default() };
    let unique: Vec<(Oid, String)> =
        rows(client, "unique columns", UNIQUE_COLUMNS, &[], |r| Ok((r.try_get(0)?, r.try_get(1)?))).await?;
    for (relation, column) in unique {
        keys.unique.entry(relation).or_default().insert(column);
    }
    let sets: Vec<(Oid, Vec<String>)> =
        rows(client, "unique indexes", UNIQUE_SETS, &[], |r| Ok((r.try_get(0)?, r.try_get(1)?))).await?;
    for (relation, columns) in sets {
        keys.sets.entry(relation).or_default().push(columns);
    }
    let references: Vec<(Oid, String, Oid)> =
        rows(client, "references", REFERENCES, &[], |r| Ok((r.try_get(0)?, r.try_get(1)?, r.try_get(2)?)))
            .await?;
    for (relation, column, to) in references {
        keys.references.entry(relation).or_default().insert(column, to);
    }
    Ok(keys)
}
