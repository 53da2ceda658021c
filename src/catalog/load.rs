//! Reading a snapshot of the server's catalog, and a cheap fingerprint that says whether a new one
//! is needed. PostgreSQL 14 to 18. It knows the system catalogs, not the policy.
//!
//! Other sessions' temporary relations are left out of both: they shadow nothing outside their own
//! session, and every `CREATE TEMP TABLE` would otherwise cost a snapshot.

use std::collections::{HashMap, HashSet};

use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row};

use super::{Catalog, Column, Function, Oid, QualifiedName, Relation, RelationKind, View};

/// Why no snapshot could be taken.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// A query failed, or its result was not what the manual says.
    #[error("cannot read the catalog ({what}): {source}")]
    Query {
        /// What was read.
        what: &'static str,
        /// The driver's error.
        source: tokio_postgres::Error,
    },
    /// The server is older than the oldest one supported.
    #[error("the server is version {0}; 14 or newer is needed")]
    TooOld(u32),
    /// DDL ran during every attempt to take a snapshot.
    #[error("the catalog changed during every attempt to read it")]
    KeepsChanging,
}

const RELATIONS: &str = "\
SELECT c.oid, n.nspname, c.relname, c.relkind,
       ARRAY(SELECT i.inhparent FROM pg_catalog.pg_inherits i WHERE i.inhrelid = c.oid ORDER BY i.inhseqno),
       EXISTS (SELECT FROM pg_catalog.pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal)
         OR EXISTS (SELECT FROM pg_catalog.pg_rewrite r WHERE r.ev_class = c.oid AND r.rulename <> '_RETURN'),
       EXISTS (SELECT FROM pg_catalog.pg_rewrite r WHERE r.ev_class = c.oid AND r.rulename <> '_RETURN'),
       -- Bits of tgtype: 1 row, 2 before, 4 insert, 16 update, 64 instead.
       EXISTS (SELECT FROM pg_catalog.pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal
                  AND t.tgtype & 1 <> 0 AND t.tgtype & 66 <> 0 AND t.tgtype & 20 <> 0),
       c.relrowsecurity
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname !~ '^pg_(toast|temp|toast_temp)(_|$)'";

const COLUMNS: &str = "\
WITH RECURSIVE d (oid, base, modifier) AS (
    SELECT oid, typbasetype, typtypmod FROM pg_catalog.pg_type WHERE typtype = 'd'
    UNION ALL
    SELECT d.oid, t.typbasetype, t.typtypmod
      FROM d JOIN pg_catalog.pg_type t ON t.oid = d.base WHERE t.typtype = 'd')
SELECT a.attrelid, a.attname, a.attnum, a.atttypid, a.atttypmod,
       pg_catalog.format_type(a.atttypid, a.atttypmod),
       t.typnamespace = 'pg_catalog'::pg_catalog.regnamespace, a.attgenerated <> '',
       (SELECT pg_catalog.format_type(d.base, d.modifier)
          FROM d JOIN pg_catalog.pg_type b ON b.oid = d.base AND b.typtype <> 'd' WHERE d.oid = t.oid)
  FROM pg_catalog.pg_attribute a
  JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
 WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind NOT IN ('i', 'I', 't')
   AND n.nspname !~ '^pg_(toast|temp|toast_temp)(_|$)'
 ORDER BY a.attrelid, a.attnum";

// Up to version 14 the column itself depends on what its expression reads, later the expression does.
const COMPUTED: &str = "\
WITH d (relid, attnum, source) AS (
    SELECT e.adrelid, e.adnum, d.refobjsubid
      FROM pg_catalog.pg_attrdef e
      JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND d.objid = e.oid
     WHERE d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = e.adrelid
    UNION
    SELECT d.objid, d.objsubid, d.refobjsubid
      FROM pg_catalog.pg_depend d
     WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objsubid > 0
       AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = d.objid)
SELECT a.attrelid, a.attname, ARRAY(SELECT s.attname::pg_catalog.text FROM d JOIN pg_catalog.pg_attribute s
           ON s.attrelid = d.relid AND s.attnum = d.source
         WHERE d.relid = a.attrelid AND d.attnum = a.attnum AND s.attnum > 0 AND s.attnum <> a.attnum ORDER BY 1)
  FROM pg_catalog.pg_attribute a
 WHERE a.attgenerated <> '' AND NOT a.attisdropped";

const CONSTRAINTS: &str = "\
SELECT conrelid, conname::pg_catalog.text, NULLIF(confrelid, 0)
  FROM pg_catalog.pg_constraint WHERE contype IN ('c', 'f') AND conrelid <> 0";

// The system's own views are decided by name. `pg_get_viewdef` locks what the view reads.
const VIEWS: &str = "\
SELECT c.oid, pg_catalog.pg_get_viewdef(c.oid),
       EXISTS (SELECT FROM pg_catalog.unnest(c.reloptions) o
                WHERE o LIKE 'security_barrier=%' AND pg_catalog.split_part(o, '=', 2)::pg_catalog.bool)
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind = 'v' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
   AND (c.oid = $1 OR $1 = 0)";

// A reference to a column stands there instead of one to its relation (dependency.c).
const VIEW_READS: &str = "\
SELECT DISTINCT r.ev_class, d.refobjid, a.attname::pg_catalog.text
  FROM pg_catalog.pg_rewrite r
  JOIN pg_catalog.pg_class v ON v.oid = r.ev_class
  JOIN pg_catalog.pg_namespace n ON n.oid = v.relnamespace
  JOIN pg_catalog.pg_depend d
    ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = r.oid
   AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid <> r.ev_class
  LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid AND d.refobjsubid <> 0
 WHERE r.rulename = '_RETURN' AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
 ORDER BY 1, 2, 3";

// What the server made of a view when it was created: whatever in it a session's settings could change, that is all that
// is not known to be the same under every one of them. Functions, those of comparisons too, that are not immutable but
// for moments; keywords (`SQLValueFunctionOp`, primnodes.h); conversions by way of text, but of numbers, texts and the
// like; set operations over dates, whose arms are converted later; other kinds of nodes than these (names before and
// since version 16), and the system's relations, which show a session's own objects. Constants were read then and are
// values since. The type of a node is told by the one field named here: others are called nearly so (`varreturningtype`,
// version 18). Intervals of hours are the same in every time zone; a day can have 23 or 25 of them.
const VIEW_SETTINGS: &str = "\
WITH v (oid, tree) AS MATERIALIZED (
    SELECT c.oid, r.ev_action::pg_catalog.text
      FROM pg_catalog.pg_rewrite r
      JOIN pg_catalog.pg_class c ON c.oid = r.ev_class
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE r.rulename = '_RETURN' AND c.relkind = 'v' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'),
called (view, oid) AS (
    SELECT v.oid, m[1]::pg_catalog.oid
      FROM v, LATERAL pg_catalog.regexp_matches(v.tree, ':(?:(?:op)?funcid|aggfnoid|winfnoid) ([0-9]+)', 'g') m
    UNION
    SELECT v.oid, o.oprcode::pg_catalog.oid
      FROM v, LATERAL pg_catalog.regexp_matches(v.tree, ':opnos \\(o ([0-9 ]+)\\)', 'g') m,
           LATERAL pg_catalog.unnest(pg_catalog.string_to_array(m[1], ' ')::pg_catalog.oid[]) AS n (opno)
      JOIN pg_catalog.pg_operator o ON o.oid = n.opno),
f (view, what) AS (
    SELECT v.oid, p.proname::pg_catalog.text
      FROM called c JOIN v ON v.oid = c.view JOIN pg_catalog.pg_proc p ON p.oid = c.oid
     WHERE (p.provolatile <> 'i' OR p.proname = 'quote_ident')
       AND NOT (p.pronamespace = 'pg_catalog'::pg_catalog.regnamespace
                AND (p.proname IN ('now', 'transaction_timestamp', 'statement_timestamp', 'clock_timestamp',
                                   'current_user', 'session_user', 'current_database', 'pg_has_role')
                     OR (p.proname = 'date_trunc' AND p.pronargs = 3)
                     OR (p.proname = 'make_timestamptz' AND p.pronargs = 7)
                     OR (p.proname IN ('timestamptz_pl_interval', 'timestamptz_mi_interval')
                         AND v.tree !~ ':[a-z]+type 1186 [^{}]*:(?:var|func|op|args|arg|default)'
                         AND v.tree !~ ':(?:funcresult|opresult|result|coalesce|case|minmax|elem)type 1186 '
                         AND v.tree !~ ':consttype 1186 [^{}]*:constvalue 16 \\[ (?:-?[0-9]+ ){8}(?!(?:0 ){8}\\])')))
    UNION ALL
    SELECT v.oid, (ARRAY['CURRENT_DATE', 'CURRENT_TIME', 'CURRENT_TIME', '', '', 'LOCALTIME', 'LOCALTIME',
                         'LOCALTIMESTAMP', 'LOCALTIMESTAMP', '', '', '', '', '', 'CURRENT_SCHEMA'])[m[1]::pg_catalog.int4 + 1]
      FROM v, LATERAL pg_catalog.regexp_matches(v.tree, '[{]SQLVALUEFUNCTION :op ([0125678]|14) ', 'g') m
    UNION ALL
    SELECT v.oid, 'a cast between ' OPERATOR(pg_catalog.||) t.typname::pg_catalog.text OPERATOR(pg_catalog.||) ' and text'
      FROM v, LATERAL (SELECT DISTINCT m[1]::pg_catalog.oid AS oid FROM (
            SELECT pg_catalog.regexp_matches(v.tree,
                '[{]COERCEVIAIO :arg [{][A-Z]+ [^{}]*:(?:(?:var|const|funcresult|opresult|coalesce|minmax|case|param|agg|win)?type|typeId) ([0-9]+)', 'g')
            UNION ALL
            SELECT pg_catalog.regexp_matches(v.tree, ':resulttype ([0-9]+) :resultcollid [0-9]+ :coerceformat', 'g')
           ) a (m)) c
      JOIN pg_catalog.pg_type t ON t.oid = c.oid
     WHERE t.typtype <> 'e'
       AND t.oid NOT IN (16, 18, 19, 20, 21, 23, 25, 114, 650, 869, 1042, 1043, 1700, 2950, 3802)
    UNION ALL
    SELECT v.oid, 'a cast by way of text'
      FROM v
     WHERE (SELECT pg_catalog.count(*) FROM pg_catalog.regexp_matches(v.tree, '[{]COERCEVIAIO ', 'g')) >
           (SELECT pg_catalog.count(*) FROM pg_catalog.regexp_matches(v.tree,
                '[{]COERCEVIAIO :arg [{][A-Z]+ [^{}]*:(?:(?:var|const|funcresult|opresult|coalesce|minmax|case|param|agg|win)?type|typeId) ([0-9]+)', 'g'))
    UNION ALL
    SELECT v.oid, 'a set operation over ' OPERATOR(pg_catalog.||) t.typname::pg_catalog.text
      FROM v, LATERAL pg_catalog.regexp_matches(v.tree, ':colTypes \\(o ([0-9 ]+)\\)', 'g') m,
           LATERAL pg_catalog.unnest(pg_catalog.string_to_array(m[1], ' ')::pg_catalog.oid[]) AS n (oid)
      JOIN pg_catalog.pg_type t ON t.oid = n.oid
     WHERE t.typcategory NOT IN ('B', 'E', 'N', 'S', 'U', 'I') OR t.oid IN (17, 790)
    UNION ALL
    SELECT v.oid, m[1]
      FROM v, LATERAL pg_catalog.regexp_matches(v.tree, '[{]([A-Z_]+)', 'g') m
     WHERE m[1] NOT IN ('QUERY', 'RTE', 'RANGETBLENTRY', 'RTEPERMISSIONINFO', 'FROMEXPR', 'JOINEXPR', 'RANGETBLREF',
           'TARGETENTRY', 'VAR', 'CONST', 'OPEXPR', 'FUNCEXPR', 'DISTINCTEXPR', 'NULLIFEXPR', 'SCALARARRAYOPEXPR',
           'BOOLEXPR', 'NULLTEST', 'BOOLEANTEST', 'RELABELTYPE', 'COLLATE', 'COLLATEEXPR', 'CASE', 'CASEEXPR', 'WHEN',
           'CASEWHEN', 'CASETESTEXPR', 'COALESCE', 'COALESCEEXPR', 'MINMAX', 'MINMAXEXPR', 'ARRAY', 'ARRAYEXPR',
           'ARRAYCOERCEEXPR', 'ROW', 'ROWEXPR', 'ROWCOMPARE', 'ROWCOMPAREEXPR', 'FIELDSELECT', 'SUBSCRIPTINGREF',
           'SUBLINK', 'SQLVALUEFUNCTION', 'COERCEVIAIO', 'AGGREF', 'GROUPINGSET', 'GROUPINGFUNC', 'WINDOWFUNC',
           'WINDOWCLAUSE', 'SORTGROUPCLAUSE', 'SETOPERATIONSTMT', 'COMMONTABLEEXPR', 'CTECYCLECLAUSE',
           'CTESEARCHCLAUSE', 'RANGETBLFUNCTION', 'ALIAS', 'NAMEDARGEXPR', 'ROWMARKCLAUSE', 'PARAM')
    UNION ALL
    SELECT v.oid, 'pg_catalog.' OPERATOR(pg_catalog.||) c.relname::pg_catalog.text
      FROM v, LATERAL (SELECT DISTINCT m[1]::pg_catalog.oid AS oid
                         FROM pg_catalog.regexp_matches(v.tree, ':relid ([0-9]+) ', 'g') m) r
      JOIN pg_catalog.pg_class c ON c.oid = r.oid
     WHERE c.oid < 16384 AND c.relname NOT IN ('pg_roles', 'pg_authid', 'pg_auth_members', 'pg_database'))
SELECT view, pg_catalog.min(what) FROM f GROUP BY view";

/// `r`: types of arguments that a row can be passed as without a cast in the text: composite ones, `record`, `any`,
/// `anyelement`, `anynonarray`, `anycompatible`, `anycompatiblenonarray` (`pg_type.dat`), what a composite type is
/// cast to implicitly, and domains over these.
const FUNCTIONS: &str = "\
WITH RECURSIVE r (oid) AS (
    (SELECT oid FROM pg_catalog.pg_type WHERE typtype = 'c' OR oid IN (2249, 2276, 2283, 2776, 5077, 5079)
     UNION ALL
     SELECT c.casttarget FROM pg_catalog.pg_cast c JOIN pg_catalog.pg_type s ON s.oid = c.castsource
      WHERE c.castcontext = 'i' AND s.typtype IN ('c', 'p'))
    UNION
    SELECT t.oid FROM pg_catalog.pg_type t JOIN r ON r.oid = t.typbasetype WHERE t.typtype = 'd')
SELECT p.oid, n.nspname, p.proname, p.proargtypes::pg_catalog.oid[], p.prorettype, p.proleakproof,
       p.provolatile, p.prokind, p.pronargs > 0 AND p.pronargs - p.pronargdefaults <= 1,
       (p.proargtypes[0] IN (SELECT oid FROM r) OR (p.pronargs = 1 AND p.provariadic IN (SELECT oid FROM r)))
  FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace";

const OPERATORS: &str = "\
SELECT DISTINCT oprname FROM pg_catalog.pg_operator
 WHERE oprnamespace <> 'pg_catalog'::pg_catalog.regnamespace";

// Where one name means types of several kinds, the last row wins: the order puts the kind that can
// run code of the user's own last.
const TYPES: &str = "\
SELECT t.typname, t.typtype
  FROM pg_catalog.pg_type t
  LEFT JOIN pg_catalog.pg_class c ON c.oid = t.typrelid
  JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
 WHERE n.nspname <> 'pg_catalog' AND n.nspname !~ '^pg_(toast|temp|toast_temp)(_|$)'
   AND (c.oid IS NULL OR c.relkind = 'c')
 ORDER BY pg_catalog.array_position('{p,e,m,r,c,d,b}'::pg_catalog.text[], t.typtype::pg_catalog.text)";

const COLLATIONS: &str = "\
SELECT a.attrelid, pg_catalog.array_agg(DISTINCT l.collname::pg_catalog.text)
  FROM pg_catalog.pg_attribute a
  JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_catalog.pg_collation l ON l.oid = a.attcollation
 WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind NOT IN ('i', 'I', 't') AND l.collname <> 'default'
   AND n.nspname !~ '^pg_(toast|temp|toast_temp)(_|$)'
 GROUP BY 1";

const LOOSE_COLLATIONS: &str = "\
SELECT collname::pg_catalog.text FROM pg_catalog.pg_collation WHERE NOT collisdeterministic";

const LOOSE_COLUMNS: &str = "\
SELECT a.attrelid, a.attname::pg_catalog.text
  FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_collation l ON l.oid = a.attcollation
 WHERE a.attnum > 0 AND NOT a.attisdropped AND NOT l.collisdeterministic";

const MEMBERSHIPS: &str = "\
WITH RECURSIVE m (member, role) AS (
    SELECT oid, oid FROM pg_catalog.pg_roles
    UNION
    SELECT m.member, a.roleid FROM m JOIN pg_catalog.pg_auth_members a ON a.member = m.role)
SELECT x.rolname, y.rolname
  FROM m JOIN pg_catalog.pg_roles x ON x.oid = m.member JOIN pg_catalog.pg_roles y ON y.oid = m.role";

// pg_class by the columns the snapshot holds, not by xmin: TRUNCATE, GRANT and REINDEX write new
// versions of its rows and change nothing here. The hash functions exist since PostgreSQL 14.
const FINGERPRINT: &str = "\
WITH n AS MATERIALIZED (
    SELECT oid, nspname FROM pg_catalog.pg_namespace WHERE nspname !~ '^pg_(toast|temp|toast_temp)(_|$)'),
c AS MATERIALIZED (
    SELECT c.oid, c.relname, c.relnamespace, c.relkind, c.relrowsecurity
      FROM pg_catalog.pg_class c WHERE c.relnamespace IN (SELECT oid FROM n)),
h (part, rows, hash) AS (
    SELECT 1, count(*), bit_xor(hash_record_extended(ROW(oid, nspname), 1)) FROM n
    UNION ALL
    SELECT 2, count(*), bit_xor(hash_record_extended(ROW(oid, relname, relnamespace, relkind, relrowsecurity), 2)) FROM c
    UNION ALL
    SELECT 3, count(*), bit_xor(hash_record_extended(ROW(a.attrelid, a.attnum, a.xmin), 3))
      FROM pg_catalog.pg_attribute a
     WHERE a.attnum > 0 AND a.attrelid IN (SELECT oid FROM c WHERE relkind NOT IN ('i', 'I'))
    UNION ALL
    SELECT 4, count(*), bit_xor(hash_record_extended(ROW(inhrelid, inhparent, inhseqno), 4))
      FROM pg_catalog.pg_inherits WHERE inhrelid IN (SELECT oid FROM c)
    UNION ALL
    SELECT 5, count(*), bit_xor(hash_record_extended(ROW(oid, tgrelid, tgtype), 5))
      FROM pg_catalog.pg_trigger WHERE NOT tgisinternal
    UNION ALL
    SELECT 6, count(*), bit_xor(hash_record_extended(ROW(oid, ev_class), 6))
      FROM pg_catalog.pg_rewrite WHERE rulename <> '_RETURN'
    UNION ALL
    SELECT 12, count(*), bit_xor(hash_record_extended(ROW(r.oid, r.xmin), 12))
      FROM pg_catalog.pg_rewrite r JOIN c ON c.oid = r.ev_class WHERE c.relkind = 'v'
    UNION ALL
    SELECT 13, count(*), bit_xor(hash_record_extended(ROW(v.oid, v.reloptions), 13))
      FROM pg_catalog.pg_class v WHERE v.relkind = 'v' AND v.reloptions IS NOT NULL
    UNION ALL
    SELECT 7, count(*), bit_xor(hash_record_extended(ROW(oid, xmin), 7)) FROM pg_catalog.pg_proc
    UNION ALL
    SELECT 8, count(*), bit_xor(hash_record_extended(ROW(oid, oprname, oprnamespace), 8))
      FROM pg_catalog.pg_operator WHERE oprnamespace <> 'pg_catalog'::regnamespace OR oid >= 16384
    UNION ALL
    SELECT 9, count(*), bit_xor(hash_record_extended(ROW(t.oid, t.typname, t.typnamespace, t.typtype), 9))
      FROM pg_catalog.pg_type t
     WHERE t.typnamespace IN (SELECT oid FROM n) AND t.typnamespace <> 'pg_catalog'::regnamespace
    UNION ALL
    SELECT 10, count(*), bit_xor(hash_record_extended(ROW(roleid, member), 10))
      FROM pg_catalog.pg_auth_members
    UNION ALL
    SELECT 11, count(*), bit_xor(hash_record_extended(ROW(oid, rolname), 11)) FROM pg_catalog.pg_roles
    UNION ALL
    SELECT 14, count(*), bit_xor(hash_record_extended(ROW(oid, castsource, casttarget, castfunc::oid), 14))
      FROM pg_catalog.pg_cast WHERE oid >= 16384
    UNION ALL
    SELECT 15, count(*), bit_xor(hash_record_extended(ROW(oid, xmin), 15))
      FROM pg_catalog.pg_constraint
     WHERE contype = 'c' AND oid >= 16384 AND (contypid <> 0 OR connamespace IN (SELECT oid FROM n))
    UNION ALL
    SELECT 16, count(*), bit_xor(hash_record_extended(ROW(oid, xmin), 16))
      FROM pg_catalog.pg_attrdef WHERE adrelid IN (SELECT oid FROM c)
    UNION ALL
    SELECT 17, count(*), bit_xor(hash_record_extended(ROW(oid, amproc::oid), 17))
      FROM pg_catalog.pg_amproc WHERE oid >= 16384
    UNION ALL
    SELECT 18, count(*), bit_xor(hash_record_extended(ROW(oid, amopopr), 18))
      FROM pg_catalog.pg_amop WHERE oid >= 16384
    UNION ALL
    SELECT 19, count(*), bit_xor(hash_record_extended(ROW(oid, opcdefault, opcfamily), 19))
      FROM pg_catalog.pg_opclass WHERE oid >= 16384
    UNION ALL
    SELECT 20, count(*), bit_xor(hash_record_extended(ROW(oid, typdefault), 20))
      FROM pg_catalog.pg_type WHERE typtype = 'd' AND oid >= 16384
    UNION ALL
    SELECT 21, count(*), bit_xor(hash_record_extended(ROW(oid, xmin), 21))
      FROM pg_catalog.pg_constraint
     WHERE contype = 'f'
    UNION ALL
    SELECT 22, count(*), bit_xor(hash_record_extended(ROW(oid, collname, collisdeterministic), 22))
      FROM pg_catalog.pg_collation WHERE oid >= 16384 AND collnamespace IN (SELECT oid FROM n))
SELECT string_agg(rows || ':' || coalesce(hash, 0), ' ' ORDER BY part) FROM h";

/// Takes a snapshot. The connection must be the proxy's own: its search path is set to empty, so
/// that type names come qualified.
///
/// The queries do not share one database snapshot; instead the fingerprint is read before and after
/// them and the whole is repeated if it changed.
///
/// # Errors
/// [`CatalogError`]; the catalog may then be read again at any time.
pub async fn load(client: &Client, epoch: u64) -> Result<Catalog, CatalogError> {
    const ATTEMPTS: usize = 5;
    let failed = |what| move |source| CatalogError::Query { what, source };
    client.batch_execute("SET search_path = ''").await.map_err(failed("search path"))?;
    let mut before = fingerprint(client).await?;
    for _ in 0..ATTEMPTS {
        let catalog = read(client, epoch).await?;
        let after = fingerprint(client).await?;
        if before == after {
            return Ok(catalog);
        }
        before = after;
    }
    Err(CatalogError::KeepsChanging)
}

/// A text that differs whenever DDL changed anything a snapshot holds. GRANT on columns and the
/// like may change it too; inserting, analyzing, vacuuming and truncating do not.
///
/// It reads the system catalogs once: measured on two shared cores, 7 ms on an empty database of
/// version 15 (3,300 functions, 3,000 columns) and 23 ms with 20,000 columns more.
///
/// # Errors
/// [`CatalogError::Query`].
pub async fn fingerprint(client: &Client) -> Result<String, CatalogError> {
    let failed = |source| CatalogError::Query { what: "fingerprint", source };
    let row = client.query_one(FINGERPRINT, &[]).await.map_err(failed)?;
    row.try_get(0).map_err(failed)
}

async fn read(client: &Client, epoch: u64) -> Result<Catalog, CatalogError> {
    let server_version = server_version(client).await?;
    if server_version < 140_000 {
        return Err(CatalogError::TooOld(server_version / 10_000));
    }
    // One after the other on purpose: they run on one backend anyway.
    let mut relations: HashMap<Oid, Relation> = rows(client, "relations", RELATIONS, &[], relation).await?;
    for (relid, column) in rows::<_, Vec<_>>(client, "columns", COLUMNS, &[], column).await? {
        if let Some(relation) = relations.get_mut(&relid) {
            relation.columns.push(column);
        }
    }
    let computed: Vec<(Oid, String, Vec<String>)> = rows(client, "generated columns", COMPUTED, &[], |r| {
        Ok((r.try_get(0)?, r.try_get(1)?, r.try_get(2)?))
    })
    .await?;
    for (relid, name, sources) in &computed {
        computed_from(&mut relations, *relid, name, sources);
    }
    let by_name = relations.values().map(|r| (r.name.clone(), r.oid)).collect();
    let mut functions: HashMap<String, Vec<Function>> = HashMap::new();
    for (name, overload) in rows::<_, Vec<_>>(client, "functions", FUNCTIONS, &[], function).await? {
        functions.entry(name).or_default().push(overload);
    }
    let mut memberships: HashMap<String, HashSet<String>> = HashMap::new();
    let pairs: Vec<(String, String)> =
        rows(client, "memberships", MEMBERSHIPS, &[], |r| Ok((r.try_get(0)?, r.try_get(1)?))).await?;
    for (member, role) in pairs {
        memberships.entry(member).or_default().insert(role);
    }
    let mut constraints: HashMap<Oid, HashMap<String, Option<Oid>>> = HashMap::new();
    let named: Vec<(Oid, String, Option<Oid>)> =
        rows(client, "constraints", CONSTRAINTS, &[], |r| Ok((r.try_get(0)?, r.try_get(1)?, r.try_get(2)?)))
            .await?;
    for (relation, name, to) in named {
        constraints.entry(relation).or_default().insert(name, to);
    }
    let mut loose_columns: HashMap<Oid, HashSet<String>> = HashMap::new();
    let loose: Vec<(Oid, String)> =
        rows(client, "collations", LOOSE_COLUMNS, &[], |r| Ok((r.try_get(0)?, r.try_get(1)?))).await?;
    for (relation, column) in loose {
        loose_columns.entry(relation).or_default().insert(column);
    }
    let (views, views_missing) = views(client, &relations).await?;
    let own_code = super::own_code::load(client, &relations).await?;
    Ok(Catalog {
        epoch,
        keys: super::keys::read(client).await?,
        views,
        views_missing,
        view_reads: view_reads(client).await?,
        view_settings: rows(client, "views", VIEW_SETTINGS, &[], |r| Ok((r.try_get(0)?, r.try_get(1)?)))
            .await?,
        constraints,
        foreign_keys: super::facts::foreign_keys(client, true).await?,
        server_version,
        relations,
        by_name,
        functions,
        collations: rows(client, "collations", COLLATIONS, &[], |r| Ok((r.try_get(0)?, r.try_get(1)?)))
            .await?,
        loose_collations: rows(client, "collations", LOOSE_COLLATIONS, &[], |r| r.try_get(0)).await?,
        loose_columns,
        foreign_operators: rows(client, "operators", OPERATORS, &[], |r| r.try_get(0)).await?,
        foreign_types: rows(client, "types", TYPES, &[], |r| Ok((r.try_get(0)?, letter(r, 1)?))).await?,
        own_code,
        memberships,
    })
}

/// Notes what a generated column is computed from, there and in every relation through which it is read.
fn computed_from(relations: &mut HashMap<Oid, Relation>, relid: Oid, name: &str, sources: &[String]) {
    let mut todo = vec![relid];
    let mut done = HashSet::new();
    while let Some(relid) = todo.pop().filter(|oid| done.insert(*oid)) {
        let Some(relation) = relations.get_mut(&relid) else { continue };
        todo.extend(&relation.parents);
        if let Some(column) = relation.columns.iter_mut().find(|c| c.name == name) {
            let new: Vec<String> =
                sources.iter().filter(|s| !column.computed_from.contains(s)).cloned().collect();
            column.computed_from.extend(new);
        }
    }
}

/// Longest wait for a table that a view reads: a session that changes it may itself be waiting for us.
const VIEW_LOCK: &str = "SET lock_timeout = '50ms'";
/// After so many waits in vain the rest is left out.
const WAITS: usize = 10;

async fn view_reads(client: &Client) -> Result<HashMap<Oid, Vec<(Oid, Option<String>)>>, CatalogError> {
    let mut found: HashMap<Oid, Vec<(Oid, Option<String>)>> = HashMap::new();
    let all: Vec<(Oid, Oid, Option<String>)> =
        rows(client, "views", VIEW_READS, &[], |r| Ok((r.try_get(0)?, r.try_get(1)?, r.try_get(2)?))).await?;
    for (view, relation, column) in all {
        found.entry(view).or_default().push((relation, column));
    }
    Ok(found)
}

/// The definitions of views, and whether some are missing because of another session's lock.
async fn views(
    client: &Client,
    relations: &HashMap<Oid, Relation>,
) -> Result<(HashMap<Oid, View>, bool), CatalogError> {
    let failed = |source| CatalogError::Query { what: "views", source };
    client.batch_execute(VIEW_LOCK).await.map_err(failed)?;
    let mut missing = 0;
    let all: Oid = 0;
    let mut found = match rows(client, "views", VIEWS, &[&all], view).await {
        Ok(found) => found,
        Err(error) if is_servers(&error) => {
            let mut found = HashMap::new();
            for oid in relations.values().filter(|r| r.kind == RelationKind::View).map(|r| r.oid) {
                match rows::<_, HashMap<Oid, Option<View>>>(client, "views", VIEWS, &[&oid], view).await {
                    Ok(one) => found.extend(one),
                    Err(error) if is_servers(&error) => missing += 1,
                    Err(error) => return Err(error),
                }
                if missing >= WAITS {
                    break;
                }
            }
            missing = missing.max(1);
            found
        }
        Err(error) => return Err(error),
    };
    client.batch_execute("RESET lock_timeout").await.map_err(failed)?;
    let known = found.drain().filter_map(|(oid, view)| Some((oid, view?))).collect();
    Ok((known, missing > 0))
}

/// True for an error that the server told (a lock not had, a view dropped meanwhile), not one of the
/// connection.
fn is_servers(error: &CatalogError) -> bool {
    matches!(error, CatalogError::Query { source, .. } if source.code().is_some() && !source.is_closed())
}

fn view(row: &Row) -> Result<(Oid, Option<View>), tokio_postgres::Error> {
    let definition: Option<String> = row.try_get(1)?;
    let barrier = row.try_get(2)?;
    Ok((row.try_get(0)?, definition.map(|definition| View { definition, barrier })))
}

async fn server_version(client: &Client) -> Result<u32, CatalogError> {
    const QUERY: &str = "SELECT pg_catalog.current_setting('server_version_num')::pg_catalog.int4";
    let versions: Vec<i32> = rows(client, "version", QUERY, &[], |r| r.try_get(0)).await?;
    Ok(versions.first().and_then(|v| u32::try_from(*v).ok()).unwrap_or(0))
}

pub(super) async fn rows<T, C: FromIterator<T>>(
    client: &Client,
    what: &'static str,
    query: &str,
    params: &[&(dyn ToSql + Sync)],
    read: impl Fn(&Row) -> Result<T, tokio_postgres::Error>,
) -> Result<C, CatalogError> {
    let failed = |source| CatalogError::Query { what, source };
    let rows = client.query(query, params).await.map_err(failed)?;
    rows.iter().map(read).collect::<Result<C, _>>().map_err(failed)
}

/// A value of type `"char"`.
pub(super) fn letter(row: &Row, index: usize) -> Result<char, tokio_postgres::Error> {
    let byte: i8 = row.try_get(index)?;
    Ok(char::from(byte.cast_unsigned()))
}

fn relation(row: &Row) -> Result<(Oid, Relation), tokio_postgres::Error> {
    let oid = row.try_get(0)?;
    let relation = Relation {
        oid,
        name: QualifiedName { schema: row.try_get(1)?, name: row.try_get(2)? },
        kind: kind(letter(row, 3)?),
        columns: Vec::new(),
        parents: row.try_get(4)?,
        has_triggers_or_rules: row.try_get(5)?,
        has_rules: row.try_get(6)?,
        rewrites_rows: row.try_get(7)?,
        row_security: row.try_get(8)?,
    };
    Ok((oid, relation))
}

fn kind(letter: char) -> RelationKind {
    match letter {
        'r' => RelationKind::Table,
        'p' => RelationKind::PartitionedTable,
        'v' => RelationKind::View,
        'm' => RelationKind::MaterializedView,
        'f' => RelationKind::ForeignTable,
        'S' => RelationKind::Sequence,
        'i' | 'I' => RelationKind::Index,
        'c' => RelationKind::CompositeType,
        't' => RelationKind::Toast,
        _ => RelationKind::Other,
    }
}

fn column(row: &Row) -> Result<(Oid, Column), tokio_postgres::Error> {
    let column = Column {
        name: row.try_get(1)?,
        attnum: row.try_get(2)?,
        type_oid: row.try_get(3)?,
        typmod: row.try_get(4)?,
        type_sql: row.try_get(5)?,
        builtin_type: row.try_get(6)?,
        generated: row.try_get(7)?,
        computed_from: Vec::new(),
        domain_base: row.try_get(8)?,
    };
    Ok((row.try_get(0)?, column))
}

fn function(row: &Row) -> Result<(String, Function), tokio_postgres::Error> {
    let unary = row.try_get(8)?;
    let function = Function {
        oid: row.try_get(0)?,
        schema: row.try_get(1)?,
        args: row.try_get(3)?,
        result: row.try_get(4)?,
        leakproof: row.try_get(5)?,
        volatility: letter(row, 6)?,
        kind: letter(row, 7)?,
        unary,
        takes_row: unary && row.try_get::<_, Option<bool>>(9)? == Some(true),
    };
    Ok((row.try_get(2)?, function))
}
