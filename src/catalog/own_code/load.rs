//! Reading what runs without being named from the server's catalog. PostgreSQL 14 to 18.

use std::collections::{BTreeSet, HashMap, HashSet};

use tokio_postgres::Client;

use super::{Code, Expression, OwnCast, OwnCode, OwnFunction, OwnOperator, OwnType, RelationCode, Words};
use crate::catalog::load::{letter, rows};
use crate::catalog::{CatalogError, Oid, QualifiedName, Relation};

/// `s`: functions that are neither built in nor of C. Languages 12 and 13 are internal and C (`pg_language.dat`).
/// `x`: what stands for one in an expression's dependencies: itself, or an operator.
const SUSPECTS: &str = "\
WITH s AS MATERIALIZED (
    SELECT p.oid FROM pg_catalog.pg_proc p WHERE p.oid >= 16384 AND p.prolang NOT IN (12, 13)),
x (class, oid, function) AS MATERIALIZED (
    SELECT 'pg_catalog.pg_proc'::pg_catalog.regclass::pg_catalog.oid, oid, oid FROM s
    UNION ALL
    SELECT 'pg_catalog.pg_operator'::pg_catalog.regclass::pg_catalog.oid, o.oid, o.oprcode::pg_catalog.oid
      FROM pg_catalog.pg_operator o WHERE o.oprcode IN (SELECT oid FROM s))";

/// Casts that compute (by a function, or as text), whether between built-in types or enums, and whether the function is one of those.
const CASTS: &str = "\
SELECT c.castsource, c.casttarget, c.castfunc,
       (f.oid < 16384 OR f.typtype = 'e') AND (t.oid < 16384 OR t.typtype = 'e'),
       c.castfunc IN (SELECT oid FROM s), c.castcontext
  FROM pg_catalog.pg_cast c
  JOIN pg_catalog.pg_type f ON f.oid = c.castsource JOIN pg_catalog.pg_type t ON t.oid = c.casttarget
 WHERE c.oid >= 16384 AND (c.castfunc <> 0 OR c.castmethod = 'i')";

const OPERATORS: &str = "\
SELECT o.oprname, n.nspname, o.oprleft, o.oprright, o.oprresult,
       ARRAY(SELECT f.oid FROM s f WHERE f.oid IN (
           SELECT o.oprcode::pg_catalog.oid
           UNION ALL
           SELECT r.oprcode FROM pg_catalog.pg_operator r WHERE r.oid IN (o.oprcom, o.oprnegate)
           UNION ALL
           SELECT p.amproc FROM pg_catalog.pg_amop a JOIN pg_catalog.pg_amproc p ON p.amprocfamily = a.amopfamily
            WHERE a.amopopr = o.oid)),
       EXISTS (SELECT FROM pg_catalog.pg_type t WHERE t.oid IN (o.oprleft, o.oprright) AND (
           t.typtype IN ('d', 'e', 'p') OR EXISTS (
               SELECT FROM pg_catalog.pg_cast c JOIN pg_catalog.pg_type e ON e.oid = c.castsource
                WHERE c.casttarget = t.oid AND c.castcontext = 'i' AND e.typtype = 'e')))
  FROM pg_catalog.pg_operator o JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace
 WHERE o.oid >= 16384";

const BUILTIN_OPERATORS: &str = "SELECT DISTINCT oprname FROM pg_catalog.pg_operator WHERE oid < 16384";

/// Functions behind the operator classes of a type: those that are taken without being named, and all of types that
/// are not built in.
const CLASSES: &str = "\
, f (family, type, function) AS (
    SELECT p.amprocfamily, v.type, p.amproc::pg_catalog.oid
      FROM pg_catalog.pg_amproc p, LATERAL (VALUES (p.amproclefttype), (p.amprocrighttype)) v (type)
     WHERE p.amproc IN (SELECT oid FROM s)
    UNION
    SELECT a.amopfamily, v.type, o.oprcode::pg_catalog.oid
      FROM pg_catalog.pg_amop a JOIN pg_catalog.pg_operator o ON o.oid = a.amopopr,
           LATERAL (VALUES (a.amoplefttype), (a.amoprighttype)) v (type)
     WHERE o.oprcode IN (SELECT oid FROM s))
SELECT f.type, f.function, f.type >= 16384 OR EXISTS (
           SELECT FROM pg_catalog.pg_opclass c
            WHERE c.opcfamily = f.family AND c.opcdefault AND c.opcintype = f.type)
  FROM f";

/// Functions of ranges, those that compare their bounds included, of input and of output.
const TYPES: &str = "\
SELECT v.type, v.function
  FROM (SELECT r.rngtypid, f.function
          FROM pg_catalog.pg_range r,
               LATERAL (VALUES (r.rngcanonical::pg_catalog.oid), (r.rngsubdiff::pg_catalog.oid)) f (function)
        UNION
        SELECT r.rngtypid, f.function
          FROM pg_catalog.pg_range r JOIN pg_catalog.pg_opclass c ON c.oid = r.rngsubopc, LATERAL (
               SELECT p.amproc::pg_catalog.oid FROM pg_catalog.pg_amproc p WHERE p.amprocfamily = c.opcfamily
               UNION ALL
               SELECT o.oprcode FROM pg_catalog.pg_amop a JOIN pg_catalog.pg_operator o ON o.oid = a.amopopr
                WHERE a.amopfamily = c.opcfamily) f (function)
        UNION
        SELECT t.oid, f.function
          FROM pg_catalog.pg_type t, LATERAL (
               VALUES (t.typinput::pg_catalog.oid), (t.typoutput::pg_catalog.oid), (t.typreceive::pg_catalog.oid),
                      (t.typsend::pg_catalog.oid), (t.typmodin::pg_catalog.oid), (t.typmodout::pg_catalog.oid)) f (function)
         WHERE t.oid >= 16384) v (type, function)
 WHERE v.function >= 16384 AND v.function IN (SELECT oid FROM s)";

/// A domain's expressions; of built-in functions, those that no expression needs are looked for by name.
const DOMAINS: &str = "\
, e (domain, class, oid, text) AS (
    SELECT c.contypid, 'pg_catalog.pg_constraint'::pg_catalog.regclass::pg_catalog.oid, c.oid,
           pg_catalog.pg_get_constraintdef(c.oid)
      FROM pg_catalog.pg_constraint c WHERE c.contypid >= 16384
    UNION ALL
    SELECT t.oid, 'pg_catalog.pg_type'::pg_catalog.regclass::pg_catalog.oid, t.oid, t.typdefault
      FROM pg_catalog.pg_type t WHERE t.typtype = 'd' AND t.typdefault IS NOT NULL AND t.oid >= 16384)
SELECT e.domain, e.text, f.functions
  FROM e, LATERAL (SELECT ARRAY(
           SELECT DISTINCT x.function FROM pg_catalog.pg_depend d
             JOIN x ON x.class = d.refclassid AND x.oid = d.refobjid
            WHERE d.classid = e.class AND d.objid = e.oid)) f (functions)
 WHERE f.functions <> '{}'
    OR e.text ~ '(set_config|_to_xml|ts_stat|ts_rewrite|lo_|loread|pg_read_|pg_ls_|dblink)'";

const RELATIONS: &str = "\
, d (class, oid, functions) AS MATERIALIZED (
    SELECT d.classid, d.objid, pg_catalog.array_agg(DISTINCT x.function)
      FROM pg_catalog.pg_depend d JOIN x ON x.class = d.refclassid AND x.oid = d.refobjid
     WHERE d.classid IN ('pg_catalog.pg_constraint'::pg_catalog.regclass, 'pg_catalog.pg_attrdef'::pg_catalog.regclass)
     GROUP BY d.classid, d.objid)
SELECT c.conrelid, pg_catalog.pg_get_constraintdef(c.oid), true, d.functions
  FROM d JOIN pg_catalog.pg_constraint c ON c.oid = d.oid
 WHERE d.class = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND c.contype = 'c' AND c.conrelid <> 0
UNION ALL
SELECT f.adrelid, pg_catalog.pg_get_expr(f.adbin, f.adrelid), a.attgenerated <> '', d.functions
  FROM d JOIN pg_catalog.pg_attrdef f ON f.oid = d.oid
  JOIN pg_catalog.pg_attribute a ON a.attrelid = f.adrelid AND a.attnum = f.adnum
 WHERE d.class = 'pg_catalog.pg_attrdef'::pg_catalog.regclass";

/// Views, and what their queries name.
const VIEWS: &str = "\
SELECT DISTINCT d.refobjid, r.ev_class
  FROM pg_catalog.pg_rewrite r
  JOIN pg_catalog.pg_depend d
    ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = r.oid
   AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid <> r.ev_class
 WHERE r.rulename = '_RETURN' AND r.ev_class >= 16384";

const TYPE_GRAPH: &str = "\
SELECT t.oid, n.nspname, t.typname, CASE WHEN c.relkind <> 'c' THEN t.typrelid ELSE 0 END,
       ARRAY(SELECT p.oid FROM (
           SELECT t.typelem AS oid
           UNION ALL SELECT t.typbasetype
           UNION ALL SELECT r.rngsubtype FROM pg_catalog.pg_range r WHERE r.rngtypid = t.oid
           UNION ALL SELECT r.rngtypid FROM pg_catalog.pg_range r WHERE r.rngmultitypid = t.oid
           UNION ALL SELECT a.atttypid FROM pg_catalog.pg_attribute a
                      WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped) p
             WHERE p.oid >= 16384)
  FROM pg_catalog.pg_type t
  JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
  LEFT JOIN pg_catalog.pg_class c ON c.oid = t.typrelid
 WHERE t.oid >= 16384 AND n.nspname !~ '^pg_toast'";

/// Functions by OID or name, with their text and the defaults of their arguments, which run with them; SQL bodies that are kept as trees (`BEGIN ATOMIC`) have none there.
const FUNCTIONS: &str = "\
SELECT p.oid, n.nspname, p.proname,
       p.prolang IN (12, 13) AND NOT EXISTS (
           SELECT FROM pg_catalog.pg_aggregate g JOIN pg_catalog.pg_proc q ON q.prolang NOT IN (12, 13)
              AND q.oid IN (g.aggtransfn, g.aggfinalfn, g.aggcombinefn, g.aggserialfn, g.aggdeserialfn, g.aggmtransfn,
                            g.aggminvtransfn, g.aggmfinalfn)
            WHERE g.aggfnoid = p.oid),
       p.provolatile = 'i',
       CASE WHEN l.lanname IN ('sql', 'plpgsql') AND p.prosqlbody IS NULL THEN p.prosrc END, p.prosqlbody IS NOT NULL,
       EXISTS (SELECT FROM pg_catalog.pg_depend d
                WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = p.oid AND d.deptype = 'e'),
       pg_catalog.pg_get_expr(p.proargdefaults, 0)
  FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
  JOIN pg_catalog.pg_language l ON l.oid = p.prolang
 WHERE p.oid >= 16384 AND (p.oid = ANY ($1) OR p.proname = ANY ($2))";

/// Functions of extensions that a call of a built-in one can mean.
const OVERLOADS: &str = "\
SELECT DISTINCT p.oid
  FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_proc b ON b.proname = p.proname AND b.oid < 16384
  JOIN pg_catalog.pg_depend d
    ON d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = p.oid AND d.deptype = 'e'
 WHERE p.oid >= 16384";

const BODY: &str = "SELECT pg_catalog.pg_get_function_sqlbody($1)";

/// Longest wait for a table that a body reads, as for views.
const BODY_LOCK: &str = "SET lock_timeout = '50ms'";

/// Calls of calls beyond this are not known.
const DEEPEST: usize = 16;

/// Reads it. `relations` tells whose children and partitions they are.
pub(in crate::catalog) async fn load(
    client: &Client,
    relations: &HashMap<Oid, Relation>,
) -> Result<OwnCode, CatalogError> {
    let what = "code of its own";
    let mut own = OwnCode::default();
    let mut behind: BTreeSet<Oid> = BTreeSet::new();
    let with = |query: &str| format!("{SUSPECTS}{}{query}", if query.starts_with(',') { "" } else { "\n" });

    let casts: Vec<(OwnCast, bool, bool)> = rows(client, what, &with(CASTS), &[], |r| {
        let context = letter(r, 5)?;
        let cast = OwnCast { from: r.try_get(0)?, to: r.try_get(1)?, function: r.try_get(2)?, context };
        Ok((cast, r.try_get(3)?, r.try_get(4)?))
    })
    .await?;
    let implicit = casts.iter().filter(|(c, builtin, _)| *builtin && c.context == 'i');
    own.implicit = implicit.map(|(c, ..)| (c.from, c.to)).collect();
    own.converts = casts.iter().filter(|(_, builtin, _)| *builtin).map(|(c, ..)| (c.from, c.to)).collect();
    own.casts = casts.into_iter().filter(|(_, _, suspect)| *suspect).map(|(cast, ..)| cast).collect();
    behind.extend(own.casts.iter().map(|c| c.function));

    let operators: Vec<(String, OwnOperator)> = rows(client, what, &with(OPERATORS), &[], |r| {
        let types = [r.try_get::<_, Oid>(2)?, r.try_get(3)?, r.try_get(4)?];
        let types: Vec<Oid> = types.into_iter().filter(|t| *t != 0).collect();
        let operands = types.len().saturating_sub(1);
        let (functions, takes_enum) = (r.try_get(5)?, r.try_get(6)?);
        Ok((r.try_get(0)?, OwnOperator { schema: r.try_get(1)?, types, operands, takes_enum, functions }))
    })
    .await?;
    for (token, operator) in operators {
        behind.extend(&operator.functions);
        own.operators.entry(token).or_default().push(operator);
    }

    let classes: Vec<(Oid, Oid, bool)> =
        rows(client, what, &with(CLASSES), &[], |r| Ok((r.try_get(0)?, r.try_get(1)?, r.try_get(2)?)))
            .await?;
    for (of, function, unnamed) in classes {
        own.classes.push(function);
        if unnamed {
            own.types.entry(of).or_default().push(function);
        }
    }
    let types: Vec<(Oid, Oid)> =
        rows(client, what, &with(TYPES), &[], |r| Ok((r.try_get(0)?, r.try_get(1)?))).await?;
    for (of, function) in types {
        own.types.entry(of).or_default().push(function);
    }
    behind.extend(own.classes.iter().chain(own.types.values().flatten()));

    let domains: Vec<(Oid, String, Vec<Oid>)> =
        rows(client, what, &with(DOMAINS), &[], |r| Ok((r.try_get(0)?, r.try_get(1)?, r.try_get(2)?)))
            .await?;
    for (domain, text, functions) in domains {
        behind.extend(&functions);
        own.domains.entry(domain).or_default().push(expression(&text, functions));
    }
    let expressions: Vec<(Oid, Option<String>, bool, Vec<Oid>)> =
        rows(client, what, &with(RELATIONS), &[], |r| {
            Ok((r.try_get(0)?, r.try_get(1)?, r.try_get(2)?, r.try_get(3)?))
        })
        .await?;
    for (relation, text, always, functions) in expressions {
        behind.extend(&functions);
        let expression = expression(&text.unwrap_or_default(), functions);
        own.relations.entry(relation).or_default().push(RelationCode { expression, always });
    }
    let overloads: BTreeSet<Oid> = rows(client, what, OVERLOADS, &[], |r| r.try_get(0)).await?;
    own.overloads = functions(client, overloads).await?;
    if behind.is_empty() && own.domains.is_empty() && own.relations.is_empty() {
        return Ok(own);
    }

    own.functions = functions(client, behind).await?;
    own.builtin_operators = rows(client, what, BUILTIN_OPERATORS, &[], |r| r.try_get(0)).await?;
    if !own.relations.is_empty() {
        let views: Vec<(Oid, Oid)> =
            rows(client, what, VIEWS, &[], |r| Ok((r.try_get(0)?, r.try_get(1)?))).await?;
        upward(&mut own.relations, relations, &views);
    }
    let graph: Vec<(Oid, String, String, Oid, Vec<Oid>)> = rows(client, what, TYPE_GRAPH, &[], |r| {
        Ok((r.try_get(0)?, r.try_get(1)?, r.try_get(2)?, r.try_get(3)?, r.try_get(4)?))
    })
    .await?;
    for (oid, schema, name, relation, parts) in graph {
        own.type_names.entry(name).or_default().push(OwnType { oid, schema });
        if relation != 0 {
            own.row_types.insert(relation, oid);
        }
        if !parts.is_empty() {
            own.parts.insert(oid, parts);
        }
    }
    Ok(own)
}

/// An expression by its text. One that cannot be read calls what nobody may.
fn expression(text: &str, functions: Vec<Oid>) -> Expression {
    // A constraint's definition begins with CHECK, before a parenthesis.
    let text = text.strip_prefix("CHECK").unwrap_or(text);
    let unread = || Words { calls: BTreeSet::from(["execute".to_owned()]), ..Words::default() };
    Expression { words: Words::of(text).unwrap_or_else(unread), functions }
}

/// What a relation has, its parents and the views over it have, too.
fn upward(
    code: &mut HashMap<Oid, Vec<RelationCode>>,
    relations: &HashMap<Oid, Relation>,
    views: &[(Oid, Oid)],
) {
    let mut todo: Vec<Oid> = code.keys().copied().collect();
    while let Some(oid) = todo.pop() {
        let own = code.get(&oid).cloned().unwrap_or_default();
        let parents = relations.get(&oid).into_iter().flat_map(|r| r.parents.iter().copied());
        let above = views.iter().filter(|(from, _)| *from == oid).map(|(_, view)| *view);
        for next in parents.chain(above).collect::<Vec<_>>() {
            let theirs = code.entry(next).or_default();
            let missing: Vec<RelationCode> = own.iter().filter(|c| !theirs.contains(c)).cloned().collect();
            if !missing.is_empty() {
                theirs.extend(missing);
                todo.push(next);
            }
        }
    }
}

/// The functions, and what they call.
async fn functions(client: &Client, oids: BTreeSet<Oid>) -> Result<HashMap<Oid, OwnFunction>, CatalogError> {
    let failed = |source| CatalogError::Query { what: "bodies", source };
    let mut found: HashMap<Oid, OwnFunction> = HashMap::new();
    let mut asked: HashSet<String> = HashSet::new();
    let mut oids: Vec<Oid> = oids.into_iter().collect();
    let mut names: Vec<String> = Vec::new();
    if oids.is_empty() {
        return Ok(found);
    }
    client.batch_execute(BODY_LOCK).await.map_err(failed)?;
    for _ in 0..DEEPEST {
        if oids.is_empty() && names.is_empty() {
            break;
        }
        /// OID, function, body, whether that is a tree, defaults of arguments.
        type Read = (Oid, OwnFunction, Option<String>, bool, Option<String>);
        let read: Vec<Read> = rows(client, "bodies", FUNCTIONS, &[&oids, &names], |r| {
            let name = QualifiedName { schema: r.try_get(1)?, name: r.try_get(2)? };
            let code = if r.try_get(3)? { Code::Compiled(r.try_get(4)?) } else { Code::Opaque };
            let function = OwnFunction { name, code, of_extension: r.try_get(7)? };
            Ok((r.try_get(0)?, function, r.try_get(5)?, r.try_get(6)?, r.try_get(8)?))
        })
        .await?;
        asked.extend(names.drain(..));
        oids.clear();
        for (oid, mut function, source, tree, defaults) in read {
            if found.contains_key(&oid) {
                continue;
            }
            // One that cannot be had because of another session's lock counts as not known.
            let source = match tree {
                true => client.query_one(BODY, &[&oid]).await.ok().and_then(|row| row.try_get(0).ok()),
                false => source,
            };
            let source = match (source, defaults) {
                (Some(body), Some(defaults)) => Some(format!("{body}\n;\nSELECT {defaults}")),
                // One of C calls nothing but what its defaults call.
                (None, Some(defaults))
                    if matches!(function.code, Code::Compiled(_)) && defaults.contains('(') =>
                {
                    Some(format!("SELECT {defaults}"))
                }
                (source, _) => source,
            };
            if let Some(words) = source.as_deref().and_then(Words::of) {
                names.extend(words.calls.iter().filter(|c| !asked.contains(*c)).cloned());
                function.code = Code::Words(words);
            }
            found.insert(oid, function);
        }
    }
    client.batch_execute("RESET lock_timeout").await.map_err(failed)?;
    Ok(found)
}
