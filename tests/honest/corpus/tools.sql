-- What schema browsers, reporting tools, extractors and drivers without a package here ask of a server, written down
-- by hand after what they are known to send: the relations, functions and forms are theirs, the arrangement is not.

-- Npgsql
SELECT version()
SELECT ns.nspname, t.oid, t.typname, t.typtype, t.typnotnull, t.elemtypoid FROM (SELECT typ.oid, typ.typnamespace, typ.typname, typ.typtype, typ.typrelid, typ.typnotnull, typ.relkind, elemtyp.oid AS elemtypoid, elemtyp.typname AS elemtypname, elemcls.relkind AS elemrelkind, CASE WHEN elemproc.proname = 'array_recv' THEN 'a' ELSE elemtyp.typtype END AS elemtyptype FROM (SELECT typ.oid, typnamespace, typname, typrelid, typnotnull, relkind, typelem AS elemoid, CASE WHEN proc.proname = 'array_recv' THEN 'a' ELSE typ.typtype END AS typtype, CASE WHEN proc.proname = 'array_recv' THEN typ.typelem WHEN typ.typtype = 'r' THEN rngsubtype WHEN typ.typtype = 'm' THEN (SELECT rngtypid FROM pg_range WHERE rngmultitypid = typ.oid) WHEN typ.typtype = 'd' THEN typ.typbasetype END AS elemtypoid FROM pg_type AS typ LEFT JOIN pg_class AS cls ON cls.oid = typ.typrelid LEFT JOIN pg_proc AS proc ON proc.oid = typ.typreceive LEFT JOIN pg_range ON pg_range.rngtypid = typ.oid) AS typ LEFT JOIN pg_type AS elemtyp ON elemtyp.oid = elemtypoid LEFT JOIN pg_class AS elemcls ON elemcls.oid = elemtyp.typrelid LEFT JOIN pg_proc AS elemproc ON elemproc.oid = elemtyp.typreceive) AS t JOIN pg_namespace AS ns ON ns.oid = typnamespace WHERE typtype IN ('b', 'r', 'm', 'e', 'd') OR typtype = 'c' AND relkind = 'c' OR typtype = 'p' AND typname IN ('record', 'void', 'unknown') OR typtype = 'a' AND (elemtyptype IN ('b', 'r', 'm', 'e', 'd') OR elemtyptype = 'p' AND elemtypname IN ('record', 'void') OR elemtyptype = 'c' AND elemrelkind = 'c') ORDER BY CASE WHEN typtype IN ('b', 'e', 'p') THEN 0 WHEN typtype = 'c' THEN 1 WHEN typtype = 'r' THEN 2 WHEN typtype = 'm' THEN 3 WHEN typtype = 'd' AND elemtyptype <> 'a' THEN 4 WHEN typtype = 'a' THEN 5 WHEN typtype = 'd' AND elemtyptype = 'a' THEN 6 END
SELECT typ.oid, att.attname, att.atttypid FROM pg_type AS typ JOIN pg_namespace AS ns ON ns.oid = typ.typnamespace JOIN pg_class AS cls ON cls.oid = typ.typrelid JOIN pg_attribute AS att ON att.attrelid = typ.typrelid WHERE (typ.typtype = 'c' AND cls.relkind = 'c') AND attnum > 0 AND NOT attisdropped ORDER BY typ.oid, att.attnum
SELECT pg_type.oid, enumlabel FROM pg_enum JOIN pg_type ON pg_type.oid = enumtypid ORDER BY oid, enumsortorder
SELECT _.oid, pg_proc.proname, pg_catalog.format_type(_.oid, NULL) FROM pg_type _ JOIN pg_proc ON pg_proc.oid = _.typinput LIMIT 5
SELECT ns.nspname, cls.relname, attname, attrelid, attnum, attnotnull, attidentity != '' AS isidentity, typ.oid AS typoid, atttypmod, CASE WHEN atthasdef THEN (SELECT pg_get_expr(adbin, cls.oid) FROM pg_attrdef WHERE adrelid = cls.oid AND adnum = attnum) END AS def, EXISTS (SELECT * FROM pg_index WHERE pg_index.indrelid = cls.oid AND pg_index.indisprimary AND attnum = ANY (indkey)) AS isprimary, EXISTS (SELECT * FROM pg_index WHERE pg_index.indrelid = cls.oid AND pg_index.indisunique AND pg_index.indnkeyatts = 1 AND attnum = pg_index.indkey[0]) AS isunique FROM pg_attribute AS attr JOIN pg_type AS typ ON attr.atttypid = typ.oid JOIN pg_class AS cls ON cls.oid = attrelid JOIN pg_namespace AS ns ON ns.oid = cls.relnamespace WHERE atttypid <> 0 AND relkind IN ('r', 'v', 'm') AND NOT attisdropped AND nspname NOT IN ('pg_catalog', 'information_schema') AND attnum > 0 ORDER BY attnum
SELECT table_catalog, table_schema, table_name, column_name, ordinal_position, column_default, is_nullable, udt_name::regtype::text AS data_type, character_maximum_length, numeric_precision, datetime_precision FROM information_schema.columns WHERE table_schema = $1 AND table_name = $2
SELECT d.datname AS database_name, u.usename AS owner, pg_catalog.pg_encoding_to_char(d.encoding) AS encoding FROM pg_catalog.pg_database d LEFT JOIN pg_catalog.pg_user u ON d.datdba = u.usesysid
SELECT pg_reload.name, pg_reload.setting FROM pg_settings pg_reload WHERE name = 'max_connections'

-- EF Core scaffolding and migrations
SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'public' AND c.relname = '__EFMigrationsHistory')
SELECT nspname, relname, relkind, description FROM pg_class AS cls JOIN pg_namespace AS ns ON ns.oid = cls.relnamespace LEFT OUTER JOIN pg_description AS des ON des.objoid = cls.oid AND des.objsubid = 0 WHERE cls.relkind IN ('r', 'v', 'm', 'f') AND ns.nspname NOT IN ('pg_catalog', 'information_schema') AND NOT EXISTS (SELECT 1 FROM pg_depend WHERE classid = (SELECT cls.oid FROM pg_class AS cls JOIN pg_namespace AS ns ON ns.oid = cls.relnamespace WHERE relname = 'pg_class' AND ns.nspname = 'pg_catalog') AND objid = cls.oid AND deptype IN ('e', 'x'))
SELECT nspname, cls.relname, typ.typname, basetyp.typname AS basetypname, attname, description, collname, attisdropped, attidentity, attgenerated, attcompression, format_type(typ.oid, atttypmod) AS formatted_typname, format_type(basetyp.oid, typ.typtypmod) AS formatted_basetypname, CASE WHEN pg_proc.proname = 'array_recv' THEN 'a' ELSE typ.typtype END AS typtype, CASE WHEN pg_proc.proname = 'array_recv' THEN elemtyp.typname END AS elemtypname, (NOT attnotnull) AS nullable, CASE WHEN atthasdef THEN (SELECT pg_get_expr(adbin, cls.oid) FROM pg_attrdef WHERE adrelid = cls.oid AND adnum = attr.attnum) END AS default, pg_get_serial_sequence('clinic.note', 'note_id') FROM pg_class AS cls JOIN pg_namespace AS ns ON ns.oid = cls.relnamespace LEFT JOIN pg_attribute AS attr ON attrelid = cls.oid LEFT JOIN pg_type AS typ ON attr.atttypid = typ.oid LEFT JOIN pg_proc ON pg_proc.oid = typ.typreceive LEFT JOIN pg_type AS elemtyp ON (elemtyp.oid = typ.typelem) LEFT JOIN pg_type AS basetyp ON (basetyp.oid = typ.typbasetype) LEFT JOIN pg_description AS des ON des.objoid = cls.oid AND des.objsubid = attnum LEFT JOIN pg_collation AS coll ON coll.oid = attr.attcollation LEFT JOIN pg_depend AS dep ON dep.refobjid = cls.oid AND dep.refobjsubid = attr.attnum AND dep.deptype = 'i' LEFT JOIN pg_sequence AS seq ON seq.seqrelid = dep.objid WHERE cls.relkind IN ('r', 'v', 'm', 'f') AND nspname NOT IN ('pg_catalog', 'information_schema') AND attnum > 0 ORDER BY attnum
SELECT idxcls.oid AS idx_oid, nspname, cls.relname AS cls_relname, idxcls.relname AS idx_relname, indisunique, indkey, amname, indclass, indoption, indcollation, CASE WHEN indexprs IS NULL THEN NULL ELSE pg_get_expr(indexprs, cls.oid) END AS exprs, CASE WHEN indpred IS NULL THEN NULL ELSE pg_get_expr(indpred, cls.oid) END AS pred FROM pg_class AS cls JOIN pg_namespace AS ns ON ns.oid = cls.relnamespace JOIN pg_index AS idx ON indrelid = cls.oid JOIN pg_class AS idxcls ON idxcls.oid = indexrelid JOIN pg_am AS am ON am.oid = idxcls.relam WHERE cls.relkind = 'r' AND nspname NOT IN ('pg_catalog', 'information_schema') AND NOT indisprimary
SELECT sequence_schema, sequence_name, data_type AS sequence_type, start_value::bigint AS start_value, minimum_value::bigint AS min, maximum_value::bigint AS max, increment::bigint AS inc, CASE WHEN cycle_option = 'YES' THEN TRUE ELSE FALSE END AS is_cyclic, ownerns.nspname AS owner_schema, tblcls.relname AS owner_table, attname AS owner_column FROM information_schema.sequences JOIN pg_namespace AS seqns ON seqns.nspname = sequence_schema JOIN pg_class AS seqcls ON seqcls.relnamespace = seqns.oid AND seqcls.relname = sequence_name AND seqcls.relkind = 'S' LEFT OUTER JOIN pg_depend AS dep ON dep.objid = seqcls.oid AND deptype = 'a' LEFT OUTER JOIN pg_class AS tblcls ON tblcls.oid = dep.refobjid LEFT OUTER JOIN pg_attribute AS att ON attrelid = dep.refobjid AND attnum = dep.refobjsubid LEFT OUTER JOIN pg_namespace AS ownerns ON ownerns.oid = tblcls.relnamespace

-- pgAdmin: connecting
SET DateStyle=ISO; SET client_min_messages=notice; SELECT set_config('bytea_output','hex',false) FROM pg_show_all_settings() WHERE name = 'bytea_output'; SET client_encoding='utf-8'
SELECT oid AS id, rolname AS name, rolsuper AS is_superuser, CASE WHEN rolsuper THEN true ELSE rolcreaterole END AS can_create_role, CASE WHEN rolsuper THEN true ELSE rolcreatedb END AS can_create_db, CASE WHEN 'pg_signal_backend' = ANY (ARRAY(WITH RECURSIVE cte AS (SELECT pg_roles.oid, pg_roles.rolname FROM pg_roles WHERE pg_roles.oid = roles.oid UNION ALL SELECT m.roleid, pgr.rolname FROM cte cte_1 JOIN pg_auth_members m ON m.member = cte_1.oid JOIN pg_roles pgr ON pgr.oid = m.roleid) SELECT rolname FROM cte)) THEN True ELSE False END AS can_signal_backend FROM pg_catalog.pg_roles AS roles WHERE rolname = current_user
SELECT db.oid AS did, db.datname, db.datallowconn, pg_encoding_to_char(db.encoding) AS serverencoding, has_database_privilege(db.oid, 'CREATE') AS cancreate, datistemplate FROM pg_catalog.pg_database db WHERE db.datname = current_database()
SELECT CASE WHEN usesuper THEN pg_is_in_recovery() ELSE FALSE END AS inrecovery, CASE WHEN usesuper AND pg_is_in_recovery() THEN pg_is_wal_replay_paused() ELSE FALSE END AS isreplaypaused FROM pg_catalog.pg_user WHERE usename = current_user
SELECT gss_authenticated, encrypted FROM pg_catalog.pg_stat_gssapi WHERE pid = pg_backend_pid()
-- pgAdmin: the tree
SELECT nsp.oid, nsp.nspname AS name, has_schema_privilege(nsp.oid, 'CREATE') AS can_create, has_schema_privilege(nsp.oid, 'USAGE') AS has_usage FROM pg_catalog.pg_namespace nsp WHERE nspname NOT LIKE E'pg\\_%' AND NOT ((nsp.nspname = 'pg_catalog' AND EXISTS (SELECT 1 FROM pg_catalog.pg_class WHERE relname = 'pg_class' AND relnamespace = nsp.oid LIMIT 1)) OR (nsp.nspname = 'information_schema' AND EXISTS (SELECT 1 FROM pg_catalog.pg_class WHERE relname = 'tables' AND relnamespace = nsp.oid LIMIT 1))) ORDER BY nspname
SELECT rel.oid, rel.relname AS name, (SELECT count(*) FROM pg_trigger WHERE tgrelid = rel.oid AND tgisinternal = FALSE) AS triggercount, (SELECT count(*) FROM pg_trigger WHERE tgrelid = rel.oid AND tgisinternal = FALSE AND tgenabled = 'O') AS has_enable_triggers, (CASE WHEN rel.relkind = 'p' THEN true ELSE false END) AS is_partitioned, nsp.nspname AS schema, nsp.oid AS schemaoid, rel.relispartition AS is_inherits FROM pg_class rel INNER JOIN pg_namespace nsp ON rel.relnamespace = nsp.oid WHERE rel.relkind IN ('r', 's', 't', 'p') AND NOT rel.relispartition ORDER BY rel.relname
SELECT rel.oid, rel.relname AS name, rel.reltablespace AS spcoid, rel.relacl AS relacl_str, (CASE WHEN length(spc.spcname::text) > 0 THEN spc.spcname ELSE (SELECT sp.spcname FROM pg_catalog.pg_database dtb JOIN pg_catalog.pg_tablespace sp ON dtb.dattablespace = sp.oid WHERE dtb.oid = 5::oid) END) AS spcname, (CASE rel.relreplident WHEN 'd' THEN 'default' WHEN 'n' THEN 'nothing' WHEN 'f' THEN 'full' WHEN 'i' THEN 'index' END) AS replica_identity, (SELECT nspname FROM pg_catalog.pg_namespace WHERE oid = rel.relnamespace) AS schema, pg_catalog.pg_get_userbyid(rel.relowner) AS relowner, rel.relkind, rel.relhassubclass, rel.reltuples::bigint, des.description, con.conname, con.conkey, EXISTS (SELECT 1 FROM pg_catalog.pg_trigger JOIN pg_catalog.pg_proc pt ON pt.oid = tgfoid AND pt.proname = 'logtrigger' WHERE tgrelid = rel.oid LIMIT 1) AS isrepl, substring(array_to_string(rel.reloptions, ',') FROM 'fillfactor=([0-9]*)') AS fillfactor, rel.reloptions, tst.reloptions AS toast_reloptions, rel.reloftype, typ.typname AS typname, typ.typrelid AS typoid, rel.relrowsecurity AS rlspolicy, array_to_string(rel.relacl::text[], ', ') AS acl, (SELECT array_agg(provider || '=' || label) FROM pg_catalog.pg_seclabels sl1 WHERE sl1.objoid = rel.oid AND sl1.objsubid = 0) AS seclabels FROM pg_catalog.pg_class rel LEFT OUTER JOIN pg_catalog.pg_tablespace spc ON spc.oid = rel.reltablespace LEFT OUTER JOIN pg_catalog.pg_description des ON (des.objoid = rel.oid AND des.objsubid = 0 AND des.classoid = 'pg_class'::regclass) LEFT OUTER JOIN pg_catalog.pg_constraint con ON con.conrelid = rel.oid AND con.contype = 'p' LEFT OUTER JOIN pg_catalog.pg_class tst ON tst.oid = rel.reltoastrelid LEFT JOIN pg_catalog.pg_type typ ON rel.reloftype = typ.oid WHERE rel.relkind IN ('r', 's', 't', 'p') AND rel.relnamespace = 'clinic'::regnamespace ORDER BY rel.relname
SELECT att.attname AS name, att.atttypid, att.attlen, att.attnum, att.attndims, att.atttypmod, att.attacl, att.attnotnull, att.attoptions, att.attstattarget, att.attstorage, att.attidentity, pg_catalog.pg_get_expr(def.adbin, def.adrelid) AS defval, pg_catalog.format_type(ty.oid, NULL) AS typname, pg_catalog.format_type(ty.oid, att.atttypmod) AS displaytypname, CASE WHEN ty.typelem > 0 THEN ty.typelem ELSE ty.oid END AS elemoid, (SELECT nspname FROM pg_catalog.pg_namespace WHERE oid = ty.typnamespace) AS typnspname, ty.typstorage AS defaultstorage, description, pi.indkey, (SELECT count(1) FROM pg_catalog.pg_type t2 WHERE t2.typname = ty.typname) > 1 AS isdup, CASE WHEN length(coll.collname::text) > 0 AND length(nspc.nspname::text) > 0 THEN pg_catalog.concat(pg_catalog.quote_ident(nspc.nspname), '.', pg_catalog.quote_ident(coll.collname)) ELSE '' END AS collspcname, EXISTS (SELECT 1 FROM pg_catalog.pg_constraint WHERE conrelid = att.attrelid AND contype = 'f' AND att.attnum = ANY (conkey)) AS is_fk, seq.* FROM pg_catalog.pg_attribute att JOIN pg_catalog.pg_type ty ON ty.oid = atttypid LEFT OUTER JOIN pg_catalog.pg_attrdef def ON adrelid = att.attrelid AND adnum = att.attnum LEFT OUTER JOIN pg_catalog.pg_description des ON (des.objoid = att.attrelid AND des.objsubid = att.attnum AND des.classoid = 'pg_class'::regclass) LEFT OUTER JOIN (pg_catalog.pg_depend dep JOIN pg_catalog.pg_class cs ON dep.classid = 'pg_class'::regclass AND dep.objid = cs.oid AND cs.relkind = 'S') ON dep.refobjid = att.attrelid AND dep.refobjsubid = att.attnum LEFT OUTER JOIN pg_catalog.pg_index pi ON pi.indrelid = att.attrelid AND indisprimary LEFT OUTER JOIN pg_catalog.pg_collation coll ON att.attcollation = coll.oid LEFT OUTER JOIN pg_catalog.pg_namespace nspc ON coll.collnamespace = nspc.oid LEFT OUTER JOIN pg_catalog.pg_sequence seq ON cs.oid = seq.seqrelid WHERE att.attrelid = 'clinic.note'::regclass AND att.attnum > 0 AND att.attisdropped IS FALSE ORDER BY att.attnum
SELECT pr.oid, pr.proname AS name, pg_catalog.pg_get_function_identity_arguments(pr.oid) AS args, prorettype, typns.nspname, lanname, pg_get_userbyid(proowner) AS funcowner, proacl, description FROM pg_catalog.pg_proc pr JOIN pg_catalog.pg_type typ ON typ.oid = prorettype JOIN pg_catalog.pg_namespace typns ON typns.oid = typ.typnamespace JOIN pg_catalog.pg_language lng ON lng.oid = prolang LEFT OUTER JOIN pg_catalog.pg_description des ON (des.objoid = pr.oid AND des.classoid = 'pg_proc'::regclass AND des.objsubid = 0) WHERE proisstrict IS NOT NULL AND typname NOT IN ('trigger', 'event_trigger') ORDER BY proname LIMIT 50
SELECT pg_get_viewdef('clinic.current_medication'::regclass, true), pg_catalog.obj_description('clinic.current_medication'::regclass)
SELECT at.attname, at.attnum, ty.typname FROM pg_catalog.pg_attribute at LEFT JOIN pg_catalog.pg_type ty ON ty.oid = at.atttypid JOIN pg_catalog.pg_class rel ON rel.oid = at.attrelid WHERE attrelid = 'clinic.patient'::regclass AND attnum = ANY (SELECT (con.conkey)[1] FROM pg_catalog.pg_constraint con WHERE contype = 'p' AND conrelid = attrelid)
-- pgAdmin: dashboard and statistics
/*pga4dash*/ SELECT 'session_stats' AS chart_name, pg_catalog.row_to_json(t) AS chart_data FROM (SELECT (SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE datname = current_database()) AS "Total", (SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE state = 'active') AS "Active", (SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE state = 'idle') AS "Idle") t UNION ALL SELECT 'tps_stats' AS chart_name, pg_catalog.row_to_json(t) AS chart_data FROM (SELECT (SELECT sum(xact_commit) + sum(xact_rollback) FROM pg_catalog.pg_stat_database WHERE datname = current_database()) AS "Transactions", (SELECT sum(xact_commit) FROM pg_catalog.pg_stat_database) AS "Commits", (SELECT sum(xact_rollback) FROM pg_catalog.pg_stat_database) AS "Rollbacks") t
/*pga4dash*/ SELECT pid, datname, usename, application_name, client_addr, pg_catalog.to_char(backend_start, 'YYYY-MM-DD HH24:MI:SS TZ') AS backend_start, state, wait_event_type || ': ' || wait_event AS wait_event, array_to_string(pg_catalog.pg_blocking_pids(pid), ', ') AS blocking_pids, query, pg_catalog.to_char(state_change, 'YYYY-MM-DD HH24:MI:SS TZ') AS state_change, pg_catalog.to_char(query_start, 'YYYY-MM-DD HH24:MI:SS TZ') AS query_start, backend_type FROM pg_catalog.pg_stat_activity ORDER BY pid
/*pga4dash*/ SELECT pid, locktype, datname, relation::regclass, page, tuple, virtualxid, transactionid, classid::regclass, objid, objsubid, virtualtransaction, mode, granted, fastpath FROM pg_catalog.pg_locks l LEFT OUTER JOIN pg_catalog.pg_database d ON (l.database = d.oid) WHERE datname = current_database() ORDER BY pid, locktype
/*pga4dash*/ SELECT gid, database, owner, transaction, prepared FROM pg_catalog.pg_prepared_xacts ORDER BY gid
/*pga4dash*/ SELECT name, category, setting, unit, short_desc FROM pg_catalog.pg_settings ORDER BY category
SELECT st.relname AS table_name, n_tup_ins, n_tup_upd, n_tup_del, n_tup_hot_upd, n_live_tup, n_dead_tup, last_vacuum, last_autovacuum, last_analyze, last_autoanalyze, vacuum_count, pg_catalog.pg_size_pretty(pg_catalog.pg_relation_size(st.relid)) AS size FROM pg_catalog.pg_stat_all_tables st JOIN pg_catalog.pg_class cl ON cl.oid = st.relid WHERE schemaname = 'clinic' ORDER BY st.relname
SELECT seq_scan AS "Sequential scans", seq_tup_read, idx_scan, idx_tup_fetch, heap_blks_read, heap_blks_hit, idx_blks_read FROM pg_catalog.pg_stat_all_tables stat JOIN pg_catalog.pg_statio_all_tables statio ON stat.relid = statio.relid WHERE stat.relid = 'clinic.ward'::regclass
SELECT indexrelname, idx_scan, idx_tup_read, idx_tup_fetch, pg_catalog.pg_size_pretty(pg_catalog.pg_relation_size(indexrelid)) AS "Size" FROM pg_catalog.pg_stat_all_indexes stat JOIN pg_catalog.pg_class cls ON cls.oid = indexrelid WHERE schemaname = 'clinic' ORDER BY indexrelname
SELECT db.datname, numbackends, xact_commit, xact_rollback, blks_read, blks_hit, tup_returned, deadlocks, temp_files, stats_reset, pg_catalog.pg_size_pretty(pg_catalog.pg_database_size(db.datid)) FROM pg_catalog.pg_stat_database db WHERE datname = current_database()

-- DBeaver
SET extra_float_digits = 3
SET application_name = 'DBeaver 24.2.0 - Main <hospital>'
SELECT db.oid, db.* FROM pg_catalog.pg_database db WHERE 1 = 1 AND NOT db.datistemplate AND db.datallowconn OR db.datname = $1 ORDER BY db.datname
SELECT current_schema(), session_user
SELECT * FROM pg_catalog.pg_settings WHERE name = 'standard_conforming_strings'
SELECT string_agg(word, ',') FROM pg_catalog.pg_get_keywords() WHERE word <> ALL ('{a,abs,absolute,action,add,all,alter,and,any,as}'::text[])
SELECT version()
SELECT n.oid, n.*, d.description FROM pg_catalog.pg_namespace n LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid = n.oid AND d.objsubid = 0 AND d.classoid = 'pg_namespace'::regclass ORDER BY nspname
SELECT n.nspname = ANY (current_schemas(true)), n.nspname, t.typname FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON t.typnamespace = n.oid WHERE t.oid = 20
SELECT t.oid, t.*, c.relkind, format_type(nullif(t.typbasetype, 0), t.typtypmod) AS base_type_name, d.description FROM pg_catalog.pg_type t LEFT OUTER JOIN pg_catalog.pg_type et ON et.oid = t.typelem LEFT OUTER JOIN pg_catalog.pg_class c ON c.oid = t.typrelid LEFT OUTER JOIN pg_catalog.pg_description d ON t.oid = d.objoid WHERE t.typname IS NOT NULL AND (c.relkind IS NULL OR c.relkind = 'c') AND (et.typcategory IS NULL OR et.typcategory <> 'C')
SELECT c.oid, c.*, d.description, pg_catalog.pg_get_expr(c.relpartbound, c.oid) AS partition_expr, pg_catalog.pg_get_partkeydef(c.oid) AS partition_key FROM pg_catalog.pg_class c LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid = c.oid AND d.objsubid = 0 AND d.classoid = 'pg_class'::regclass WHERE c.relnamespace = 'clinic'::regnamespace AND c.relkind NOT IN ('i', 'I', 'c')
SELECT c.relname, a.*, pg_catalog.pg_get_expr(ad.adbin, ad.adrelid, true) AS def_value, dsc.description, dep.objid FROM pg_catalog.pg_attribute a INNER JOIN pg_catalog.pg_class c ON (a.attrelid = c.oid) LEFT OUTER JOIN pg_catalog.pg_attrdef ad ON (a.attrelid = ad.adrelid AND a.attnum = ad.adnum) LEFT OUTER JOIN pg_catalog.pg_description dsc ON (c.oid = dsc.objoid AND a.attnum = dsc.objsubid) LEFT OUTER JOIN pg_depend dep ON dep.refobjid = a.attrelid AND dep.deptype = 'i' AND dep.refobjsubid = a.attnum AND dep.classid = dep.refclassid WHERE NOT a.attisdropped AND c.oid = 'clinic.patient'::regclass ORDER BY a.attnum
SELECT c.oid, c.*, t.relname AS tabrelname, rt.relnamespace AS refnamespace, d.description, null AS consrc_copy FROM pg_catalog.pg_constraint c INNER JOIN pg_catalog.pg_class t ON t.oid = c.conrelid LEFT OUTER JOIN pg_catalog.pg_class rt ON rt.oid = c.confrelid LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid = c.oid AND d.objsubid = 0 AND d.classoid = 'pg_constraint'::regclass WHERE c.conrelid = 'clinic.encounter'::regclass ORDER BY c.oid
SELECT i.*, i.indkey AS keys, c.relname, c.relnamespace, c.relam, c.reltablespace, tc.relname AS tabrelname, dsc.description, pg_catalog.pg_get_expr(i.indpred, i.indrelid) AS pred_expr, pg_catalog.pg_get_expr(i.indexprs, i.indrelid, true) AS expr, pg_catalog.pg_relation_size(i.indexrelid) AS index_rel_size, pg_catalog.pg_stat_get_numscans(i.indexrelid) AS index_num_scans FROM pg_catalog.pg_index i INNER JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid INNER JOIN pg_catalog.pg_class tc ON tc.oid = i.indrelid LEFT OUTER JOIN pg_catalog.pg_description dsc ON i.indexrelid = dsc.objoid WHERE i.indrelid = 'clinic.patient'::regclass ORDER BY tabrelname, c.relname
SELECT c.oid, pg_catalog.pg_total_relation_size(c.oid) AS total_rel_size, pg_catalog.pg_relation_size(c.oid) AS rel_size FROM pg_catalog.pg_class c WHERE c.relnamespace = 'clinic'::regnamespace
SELECT pg_catalog.pg_table_size(c.oid), pg_catalog.pg_indexes_size(c.oid), pg_catalog.pg_total_relation_size(c.oid) FROM pg_catalog.pg_class c WHERE c.oid = $1
SELECT x.oid, x.* FROM pg_catalog.pg_event_trigger x
SELECT sequencename, min_value, max_value, increment_by, last_value, data_type FROM pg_catalog.pg_sequences WHERE schemaname = 'clinic'
SELECT dep.deptype, dep.classid, dep.objid, cl.relkind, attr.attname, pg_get_expr(ad.adbin, ad.adrelid) adefval, CASE WHEN cl.relkind IS NOT NULL THEN cl.relkind::text || COALESCE(dep.objsubid::text, '') WHEN tg.oid IS NOT NULL THEN 'T'::text ELSE '' END AS type, COALESCE(cl.relname, tg.tgname, rw.rulename) AS ownertable FROM pg_depend dep LEFT JOIN pg_class cl ON dep.objid = cl.oid LEFT JOIN pg_attribute attr ON dep.objid = attr.attrelid AND dep.objsubid = attr.attnum LEFT JOIN pg_attrdef ad ON ad.oid = dep.objid LEFT JOIN pg_trigger tg ON tg.oid = dep.objid LEFT JOIN pg_rewrite rw ON rw.oid = dep.objid WHERE dep.refobjid = 'clinic.patient'::regclass ORDER BY type
SELECT p.oid AS poid, p.*, pg_catalog.pg_get_expr(p.proargdefaults, 0) AS arg_defaults, d.description FROM pg_catalog.pg_proc p LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid = p.oid AND d.classoid = 'pg_proc'::regclass AND d.objsubid = 0 WHERE p.pronamespace = 'glass'::regnamespace ORDER BY p.proname
SELECT pg_catalog.pg_get_functiondef('pg_catalog.obj_description(oid,name)'::regprocedure)
SELECT sa.* FROM pg_catalog.pg_stat_activity sa
SELECT l.*, a.query, a.usename FROM pg_catalog.pg_locks l LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid WHERE NOT l.granted
SELECT a.oid, a.*, pd.description FROM pg_catalog.pg_roles a LEFT JOIN pg_catalog.pg_shdescription pd ON a.oid = pd.objoid ORDER BY a.rolname
SELECT e.oid, cfg.tbls, n.nspname AS schema_name, e.* FROM pg_catalog.pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace LEFT JOIN (SELECT ARRAY_AGG(ns.nspname || '.' || cls.relname) tbls, oid_ext FROM (SELECT unnest(e1.extconfig) oid, e1.oid oid_ext FROM pg_catalog.pg_extension e1) c JOIN pg_class cls ON cls.oid = c.oid JOIN pg_namespace ns ON ns.oid = cls.relnamespace GROUP BY oid_ext) cfg ON cfg.oid_ext = e.oid ORDER BY e.oid
SELECT "name" AS name, "setting" AS value FROM pg_catalog.pg_settings WHERE context = 'user' ORDER BY 1
SELECT * FROM (SELECT p.patient_id FROM clinic.patient p) dbvrcnt LIMIT 200
SELECT count(*) FROM clinic.patient

-- DataGrip and other JetBrains tools
SELECT round(extract(epoch FROM pg_postmaster_start_time() AT TIME ZONE 'UTC')) AS startup_time
SELECT L.transactionid::varchar::bigint AS transaction_id FROM pg_catalog.pg_locks L WHERE L.transactionid IS NOT NULL ORDER BY age(L.transactionid) DESC LIMIT 1
SELECT CASE WHEN pg_catalog.pg_is_in_recovery() THEN null ELSE (pg_catalog.txid_current() % (2^32)::bigint)::varchar::bigint END AS current_txid
SELECT N.oid::bigint AS id, datname AS name, D.description, datistemplate AS is_template, datallowconn AS allow_connections, pg_catalog.pg_get_userbyid(N.datdba) AS "owner" FROM pg_catalog.pg_database N LEFT JOIN pg_catalog.pg_shdescription D ON N.oid = D.objoid ORDER BY CASE WHEN datname = pg_catalog.current_database() THEN -1::bigint ELSE N.oid::bigint END
SELECT N.oid::bigint AS id, N.xmin AS state_number, nspname AS name, D.description, pg_catalog.pg_get_userbyid(N.nspowner) AS "owner" FROM pg_catalog.pg_namespace N LEFT JOIN pg_catalog.pg_description D ON N.oid = D.objoid ORDER BY CASE WHEN nspname = pg_catalog.current_schema() THEN -1::bigint ELSE N.oid::bigint END
SELECT T.relkind AS table_kind, T.relname AS table_name, T.oid AS table_id, T.xmin AS table_state_number, false AS table_with_oids, T.reltablespace AS tablespace_id, T.reloptions AS options, T.relpersistence AS persistence, (SELECT pg_catalog.array_agg(inhparent::bigint ORDER BY inhseqno)::varchar FROM pg_catalog.pg_inherits WHERE T.oid = inhrelid) AS ancestors, (SELECT pg_catalog.array_agg(inhrelid::bigint ORDER BY inhrelid)::varchar FROM pg_catalog.pg_inherits WHERE T.oid = inhparent) AS successors, T.relispartition AS is_partition, pg_catalog.pg_get_partkeydef(T.oid) AS partition_key, pg_catalog.pg_get_expr(T.relpartbound, T.oid) AS partition_expression, T.relam am_id, pg_catalog.pg_get_userbyid(T.relowner) AS "owner" FROM pg_catalog.pg_class T WHERE relnamespace = $1::oid AND relkind IN ('r', 'm', 'v', 'f', 'p') ORDER BY table_kind, table_id
WITH T AS (SELECT DISTINCT T.oid AS table_id, T.relname AS table_name FROM pg_catalog.pg_class T, pg_catalog.pg_attribute A WHERE T.relnamespace = $1::oid AND T.relkind IN ('r', 'm', 'v', 'f', 'p') AND A.attrelid = T.oid) SELECT T.table_id, C.attnum AS column_position, C.attname AS column_name, C.xmin AS column_state_number, C.atttypmod AS type_mod, C.attndims AS dimensions_number, pg_catalog.format_type(C.atttypid, C.atttypmod) AS type_spec, C.atttypid AS type_id, C.attnotnull AS mandatory, pg_catalog.pg_get_expr(D.adbin, T.table_id) AS column_default_expression, NOT C.attislocal AS column_is_inherited, C.attfdwoptions AS options, C.attisdropped AS column_is_dropped, C.attidentity AS identity_kind, C.attgenerated AS generated FROM T JOIN pg_catalog.pg_attribute C ON T.table_id = C.attrelid LEFT JOIN pg_catalog.pg_attrdef D ON (C.attrelid, C.attnum) = (D.adrelid, D.adnum) WHERE attnum > 0 ORDER BY table_id, attnum
SELECT tab.oid table_id, tab.relkind table_kind, ind_stor.relname index_name, ind_head.indexrelid index_id, ind_stor.xmin state_number, ind_head.indisunique is_unique, ind_head.indisprimary is_primary, ind_head.indnullsnotdistinct, pg_catalog.pg_get_expr(ind_head.indpred, ind_head.indrelid) AS condition, (SELECT pg_catalog.array_agg(inhparent::bigint ORDER BY inhseqno)::varchar FROM pg_catalog.pg_inherits WHERE ind_stor.oid = inhrelid) AS ancestors, ind_stor.reltablespace tablespace_id, opcmethod AS access_method_id FROM pg_catalog.pg_class tab JOIN pg_catalog.pg_index ind_head ON ind_head.indrelid = tab.oid JOIN pg_catalog.pg_class ind_stor ON tab.relnamespace = ind_stor.relnamespace AND ind_stor.oid = ind_head.indexrelid LEFT JOIN pg_catalog.pg_opclass ON pg_opclass.oid = ANY (indclass) WHERE tab.relnamespace = $1::oid AND tab.relkind IN ('r', 'm', 'v', 'p') AND ind_stor.relkind IN ('i', 'I')
SELECT T.oid AS object_id, T.relacl AS acl FROM pg_catalog.pg_class T WHERE T.relnamespace = 'clinic'::regnamespace UNION ALL SELECT P.oid, P.proacl FROM pg_catalog.pg_proc P WHERE P.pronamespace = 'glass'::regnamespace
SELECT t.* FROM clinic.encounter t LIMIT 501
SELECT COUNT(*) FROM clinic.encounter t
SHOW TRANSACTION ISOLATION LEVEL
SELECT usename AS user_name, usesuper FROM pg_catalog.pg_user ORDER BY usename

-- Tableau
SET DateStyle = 'ISO'; SET extra_float_digits = 2; SHOW transaction_isolation
SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED
SELECT NULL AS "TABLE_CAT", n.nspname AS "TABLE_SCHEM", c.relname AS "TABLE_NAME", CASE n.nspname ~ '^pg_' OR n.nspname = 'information_schema' WHEN true THEN 'SYSTEM TABLE' ELSE CASE c.relkind WHEN 'r' THEN 'TABLE' WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' END END AS "TABLE_TYPE", d.description AS "REMARKS" FROM pg_catalog.pg_namespace n, pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_description d ON (c.oid = d.objoid AND d.objsubid = 0 AND d.classoid = 'pg_class'::regclass) WHERE c.relnamespace = n.oid AND n.nspname = 'clinic'
CREATE LOCAL TEMPORARY TABLE "#Tableau_1_Connect_Check" ("COL" INTEGER) ON COMMIT PRESERVE ROWS
SELECT "COL" FROM (SELECT 1 AS "COL") AS "SUBQUERY"
SELECT * FROM (SELECT * FROM clinic.encounter WHERE kind = 'inpatient') "Custom SQL Query" LIMIT 0
SELECT "encounter"."kind" AS "kind", AVG("encounter"."charge"::double precision) AS "avg:charge:ok", SUM(1) AS "cnt:encounter:ok" FROM "clinic"."encounter" "encounter" INNER JOIN "clinic"."patient" "patient" ON ("encounter"."patient_id" = "patient"."patient_id") WHERE ((CAST("encounter"."admitted_at" AS DATE) >= (DATE '2024-01-01')) AND (CAST("encounter"."admitted_at" AS DATE) <= (DATE '2025-12-31'))) GROUP BY 1
SELECT DATE_TRUNC('MONTH', CAST("encounter"."admitted_at" AS DATE)) AS "tmn:admitted_at:ok", COUNT(DISTINCT "encounter"."patient_id") AS "ctd:patient_id:ok" FROM "clinic"."encounter" "encounter" GROUP BY 1
SELECT "encounter"."attending" AS "attending" FROM "clinic"."encounter" "encounter" GROUP BY 1 ORDER BY 1 ASC
SELECT (CASE WHEN "encounter"."charge" > 1000 THEN 'high' ELSE 'low' END) AS "Calculation_1", MIN("encounter"."admitted_at") AS "TEMP_1", MAX("encounter"."admitted_at") AS "TEMP_2", COUNT(1) AS "X__alias__0" FROM "clinic"."encounter" "encounter" GROUP BY 1 HAVING (COUNT(1) > 0)
SELECT MIN("encounter"."charge") AS "TEMP(min)", MAX("encounter"."charge") AS "TEMP(max)" FROM "clinic"."encounter" "encounter" HAVING (COUNT(1) > 0)

-- Power BI and Power Query
SELECT character_set_name FROM INFORMATION_SCHEMA.character_sets
SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_TYPE FROM INFORMATION_SCHEMA.tables WHERE TABLE_SCHEMA NOT IN ('information_schema', 'pg_catalog') ORDER BY TABLE_SCHEMA, TABLE_NAME
SELECT COLUMN_NAME, ORDINAL_POSITION, IS_NULLABLE, CASE WHEN (data_type LIKE '%unsigned%') THEN DATA_TYPE || ' unsigned' ELSE DATA_TYPE END AS DATA_TYPE FROM INFORMATION_SCHEMA.columns WHERE TABLE_SCHEMA = 'clinic' AND TABLE_NAME = 'encounter' ORDER BY TABLE_SCHEMA, TABLE_NAME, ORDINAL_POSITION
SELECT pkcol.COLUMN_NAME AS PK_COLUMN_NAME, fkcol.TABLE_SCHEMA AS FK_TABLE_SCHEMA, fkcol.TABLE_NAME AS FK_TABLE_NAME, fkcol.COLUMN_NAME AS FK_COLUMN_NAME, fkcol.ORDINAL_POSITION AS ORDINAL, fkcon.CONSTRAINT_SCHEMA || '_' || fkcol.TABLE_NAME || '_' || 'patient' || '_' || fkcon.CONSTRAINT_NAME AS FK_NAME FROM (SELECT DISTINCT CONSTRAINT_CATALOG, CONSTRAINT_SCHEMA, UNIQUE_CONSTRAINT_SCHEMA, CONSTRAINT_NAME, UNIQUE_CONSTRAINT_NAME FROM INFORMATION_SCHEMA.REFERENTIAL_CONSTRAINTS) fkcon INNER JOIN INFORMATION_SCHEMA.KEY_COLUMN_USAGE fkcol ON fkcon.CONSTRAINT_SCHEMA = fkcol.CONSTRAINT_SCHEMA AND fkcon.CONSTRAINT_NAME = fkcol.CONSTRAINT_NAME INNER JOIN INFORMATION_SCHEMA.KEY_COLUMN_USAGE pkcol ON fkcon.UNIQUE_CONSTRAINT_SCHEMA = pkcol.CONSTRAINT_SCHEMA AND fkcon.UNIQUE_CONSTRAINT_NAME = pkcol.CONSTRAINT_NAME WHERE pkcol.TABLE_SCHEMA = 'clinic' AND pkcol.TABLE_NAME = 'patient' AND pkcol.ORDINAL_POSITION = fkcol.ORDINAL_POSITION ORDER BY FK_NAME, fkcol.ORDINAL_POSITION
SELECT i.CONSTRAINT_SCHEMA || '_' || i.CONSTRAINT_NAME AS INDEX_NAME, ii.COLUMN_NAME, ii.ORDINAL_POSITION, CASE WHEN i.CONSTRAINT_TYPE = 'PRIMARY KEY' THEN 'Y' ELSE 'N' END AS PRIMARY_KEY FROM INFORMATION_SCHEMA.table_constraints i INNER JOIN INFORMATION_SCHEMA.key_column_usage ii ON i.CONSTRAINT_SCHEMA = ii.CONSTRAINT_SCHEMA AND i.CONSTRAINT_NAME = ii.CONSTRAINT_NAME AND i.TABLE_SCHEMA = ii.TABLE_SCHEMA AND i.TABLE_NAME = ii.TABLE_NAME WHERE i.TABLE_SCHEMA = 'clinic' AND i.TABLE_NAME = 'encounter' AND i.CONSTRAINT_TYPE IN ('PRIMARY KEY', 'UNIQUE') ORDER BY i.CONSTRAINT_SCHEMA || '_' || i.CONSTRAINT_NAME, ii.ORDINAL_POSITION
select "$Table"."encounter_id" as "encounter_id", "$Table"."kind" as "kind", "$Table"."charge" as "charge" from "clinic"."encounter" "$Table" limit 4096
select "rows"."kind" as "kind", count(1) as "Count", sum("rows"."charge") as "total" from (select "_"."kind", "_"."charge" from "clinic"."encounter" "_" where "_"."kind" = 'inpatient' and "_"."kind" is not null) "rows" group by "kind"
select "$Outer"."sex", "$Outer"."kind2" from (select "rows"."sex" as "sex", "rows"."kind" as "kind2", count(1) as "a0" from (select "$Outer"."patient_id2", "$Outer"."sex", "$Inner"."kind" from (select "_"."patient_id" as "patient_id2", "_"."sex" as "sex" from "clinic"."patient" "_") "$Outer" left outer join "clinic"."encounter" "$Inner" on ("$Outer"."patient_id2" = "$Inner"."patient_id" or "$Outer"."patient_id2" is null and "$Inner"."patient_id" is null)) "rows" group by "sex", "kind") "$Outer" limit 1000001

-- A reporting server that syncs schemas: tables, columns, keys, how much there is
SELECT n.nspname AS "schema", c.relname AS "name", CASE c.relkind WHEN 'r' THEN 'TABLE' WHEN 'p' THEN 'PARTITIONED TABLE' WHEN 'v' THEN 'VIEW' WHEN 'f' THEN 'FOREIGN TABLE' WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE NULL END AS "type", d.description AS "description", stat.n_live_tup AS "estimated_row_count" FROM pg_catalog.pg_class AS c INNER JOIN pg_catalog.pg_namespace AS n ON c.relnamespace = n.oid LEFT JOIN pg_catalog.pg_description AS d ON (c.oid = d.objoid) AND (d.objsubid = 0) AND (d.classoid = 'pg_class'::regclass) LEFT JOIN pg_stat_user_tables AS stat ON (n.nspname = stat.schemaname) AND (c.relname = stat.relname) WHERE ((c.relnamespace = n.oid) AND (n.nspname !~ '^information_schema|catalog_history|pg_') AND (c.relkind IN ('r', 'p', 'v', 'f', 'm'))) ORDER BY "type" ASC, "schema" ASC, "name" ASC
WITH table_privileges AS (SELECT NULL AS role, t.schemaname AS schema, t.objectname AS table, pg_catalog.has_any_column_privilege(current_user, '"' || replace(t.schemaname, '"', '""') || '"' || '.' || '"' || replace(t.objectname, '"', '""') || '"', 'update') AS update, pg_catalog.has_any_column_privilege(current_user, '"' || replace(t.schemaname, '"', '""') || '"' || '.' || '"' || replace(t.objectname, '"', '""') || '"', 'select') AS select, pg_catalog.has_any_column_privilege(current_user, '"' || replace(t.schemaname, '"', '""') || '"' || '.' || '"' || replace(t.objectname, '"', '""') || '"', 'insert') AS insert, pg_catalog.has_table_privilege(current_user, '"' || replace(t.schemaname, '"', '""') || '"' || '.' || '"' || replace(t.objectname, '"', '""') || '"', 'delete') AS delete FROM (SELECT schemaname, tablename AS objectname FROM pg_catalog.pg_tables UNION SELECT schemaname, viewname AS objectname FROM pg_views UNION SELECT schemaname, matviewname AS objectname FROM pg_matviews) t WHERE t.schemaname !~ '^pg_' AND t.schemaname <> 'information_schema' AND pg_catalog.has_schema_privilege(current_user, t.schemaname, 'usage')) SELECT t.* FROM table_privileges t
SELECT c.column_name AS name, CASE WHEN c.udt_schema IN ('public', 'pg_catalog') THEN format('%s', c.udt_name) ELSE format('"%s"."%s"', c.udt_schema, c.udt_name) END AS "database-type", c.ordinal_position - 1 AS position, c.table_schema, c.table_name, pk.column_name IS NOT NULL AS "pk?", col_description(CAST(CAST(format('%I.%I', CAST(c.table_schema AS text), CAST(c.table_name AS text)) AS regclass) AS oid), c.ordinal_position) AS "field-comment", ((column_default IS NULL OR LOWER(column_default) = 'null') AND is_nullable = 'NO' AND NOT ((column_default IS NOT NULL AND column_default LIKE '%nextval(%') OR is_identity <> 'NO')) AS required FROM information_schema.columns AS c LEFT JOIN (SELECT tc.table_schema, tc.table_name, kc.column_name FROM information_schema.table_constraints AS tc INNER JOIN information_schema.key_column_usage AS kc ON tc.constraint_name = kc.constraint_name AND tc.table_schema = kc.table_schema AND tc.table_name = kc.table_name WHERE tc.constraint_type = 'PRIMARY KEY') AS pk ON c.table_schema = pk.table_schema AND c.table_name = pk.table_name AND c.column_name = pk.column_name WHERE c.table_schema !~ '^information_schema|catalog_history|pg_' ORDER BY table_schema, table_name, position
SELECT fk_ns.nspname AS "fk-table-schema", fk_table.relname AS "fk-table-name", fk_column.attname AS "fk-column-name", pk_ns.nspname, pk_table.relname, pk_column.attname FROM pg_constraint c JOIN pg_class fk_table ON c.conrelid = fk_table.oid JOIN pg_namespace fk_ns ON c.connamespace = fk_ns.oid JOIN pg_attribute fk_column ON c.conrelid = fk_column.attrelid JOIN pg_class pk_table ON c.confrelid = pk_table.oid JOIN pg_namespace pk_ns ON pk_table.relnamespace = pk_ns.oid JOIN pg_attribute pk_column ON c.confrelid = pk_column.attrelid WHERE fk_ns.nspname !~ '^information_schema|catalog_history|pg_' AND c.contype = 'f'::char AND fk_column.attnum = ANY (c.conkey) AND pk_column.attnum = ANY (c.confkey) ORDER BY 1, 2
SELECT TRUE AS "_" FROM "clinic"."encounter" WHERE 1 <> 1 LIMIT 0
SELECT "source"."sex" AS "sex", COUNT(*) AS "count" FROM (SELECT "clinic"."patient"."patient_id" AS "patient_id", "clinic"."patient"."sex" AS "sex" FROM "clinic"."patient") AS "source" GROUP BY "source"."sex" ORDER BY "source"."sex" ASC LIMIT 10000
SELECT substring("clinic"."patient"."name", 1, 1234) AS "substring1" FROM "clinic"."patient" LIMIT 10000
SELECT DATE_TRUNC('month', "clinic"."encounter"."admitted_at") AS "admitted_at", COUNT(*) AS "count" FROM "clinic"."encounter" WHERE ("clinic"."encounter"."admitted_at" >= DATE_TRUNC('month', (NOW() + INTERVAL '-12 month'))) AND ("clinic"."encounter"."admitted_at" < DATE_TRUNC('month', NOW())) GROUP BY DATE_TRUNC('month', "clinic"."encounter"."admitted_at") ORDER BY DATE_TRUNC('month', "clinic"."encounter"."admitted_at") ASC
SELECT FLOOR(("clinic"."encounter"."charge" / 100.0)) * 100.0 AS "charge", COUNT(*) AS "count" FROM "clinic"."encounter" GROUP BY FLOOR(("clinic"."encounter"."charge" / 100.0)) * 100.0 ORDER BY 1
SELECT COUNT(DISTINCT "clinic"."encounter"."kind") AS "count" FROM "clinic"."encounter"
SELECT "clinic"."encounter"."kind" AS "kind" FROM "clinic"."encounter" GROUP BY "clinic"."encounter"."kind" ORDER BY "clinic"."encounter"."kind" ASC LIMIT 1000

-- Superset
SELECT nspname FROM pg_namespace WHERE nspname NOT LIKE 'pg_%' ORDER BY nspname
SELECT pg_catalog.pg_class.relname FROM pg_catalog.pg_class JOIN pg_catalog.pg_namespace ON pg_catalog.pg_namespace.oid = pg_catalog.pg_class.relnamespace WHERE pg_catalog.pg_class.relkind = ANY (ARRAY['r', 'p']) AND pg_catalog.pg_class.relpersistence != 't' AND pg_catalog.pg_namespace.nspname = 'clinic'
SELECT datname FROM pg_database WHERE datistemplate = false
SELECT DATE_TRUNC('day', admitted_at) AS __timestamp, kind AS kind, COUNT(*) AS count FROM clinic.encounter JOIN (SELECT kind AS kind__, COUNT(*) AS mme_inner__ FROM clinic.encounter WHERE admitted_at >= TO_TIMESTAMP('2024-01-01 00:00:00.000000', 'YYYY-MM-DD HH24:MI:SS.US') AND admitted_at < TO_TIMESTAMP('2025-12-31 00:00:00.000000', 'YYYY-MM-DD HH24:MI:SS.US') GROUP BY kind ORDER BY mme_inner__ DESC LIMIT 100) AS anon_1 ON kind = kind__ WHERE admitted_at >= TO_TIMESTAMP('2024-01-01 00:00:00.000000', 'YYYY-MM-DD HH24:MI:SS.US') GROUP BY DATE_TRUNC('day', admitted_at), kind ORDER BY count DESC LIMIT 10000
SELECT kind AS kind, sum(charge) AS "SUM(charge)", count(DISTINCT patient_id) AS "COUNT_DISTINCT(patient_id)" FROM clinic.encounter GROUP BY kind ORDER BY "SUM(charge)" DESC LIMIT 100
SELECT * FROM (SELECT kind, charge FROM clinic.encounter) AS virtual_table LIMIT 1001
SELECT pg_backend_pid()

-- Grafana
SELECT current_setting('server_version_num')::int / 100 AS version
SELECT CASE WHEN quote_ident(table_schema) = ANY (SELECT CASE WHEN trim(s[i]) = '"$user"' THEN user ELSE trim(s[i]) END FROM generate_series(array_lower(string_to_array(current_setting('search_path'), ','), 1), array_upper(string_to_array(current_setting('search_path'), ','), 1)) AS i, string_to_array(current_setting('search_path'), ',') s) THEN quote_ident(table_name) ELSE quote_ident(table_schema) || '.' || quote_ident(table_name) END AS "table" FROM information_schema.tables WHERE quote_ident(table_schema) NOT IN ('information_schema', 'pg_catalog', '_timescaledb_cache', '_timescaledb_catalog') AND ((quote_ident(table_schema) = 'clinic')) ORDER BY CASE WHEN (quote_ident(table_schema) = 'clinic') THEN 0 ELSE 1 END, 1
SELECT quote_ident(column_name) AS "column", data_type AS "type" FROM information_schema.columns WHERE CASE WHEN array_length(parse_ident('clinic.encounter'), 1) = 2 THEN quote_ident(table_schema) = (parse_ident('clinic.encounter'))[1] AND quote_ident(table_name) = (parse_ident('clinic.encounter'))[2] ELSE quote_ident(table_name) = 'clinic.encounter' END
SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'
SELECT floor(extract(epoch FROM admitted_at)/86400)*86400 AS "time", count(*) AS "value" FROM clinic.encounter WHERE admitted_at BETWEEN '2024-01-01T00:00:00Z' AND '2025-12-31T23:59:59Z' GROUP BY 1 ORDER BY 1
SELECT admitted_at AS "time", charge AS "charge", kind AS metric FROM clinic.encounter WHERE admitted_at BETWEEN '2024-01-01T00:00:00Z' AND '2024-06-30T00:00:00Z' ORDER BY 1
SELECT kind AS __text, kind AS __value FROM clinic.encounter GROUP BY kind
SELECT (extract(epoch FROM admitted_at)*1000)::bigint AS time, attending AS text, kind AS tags FROM clinic.encounter ORDER BY admitted_at DESC LIMIT 100

-- Looker
SELECT 1
SET application_name = 'Looker'; SET statement_timeout = 600000
SELECT TO_CHAR(DATE_TRUNC('month', encounter.admitted_at), 'YYYY-MM') AS "encounter.admitted_month", COALESCE(SUM(encounter.charge), 0) AS "encounter.total", COUNT(DISTINCT patient.patient_id) AS "patient.count" FROM clinic.encounter AS encounter LEFT JOIN clinic.patient AS patient ON encounter.patient_id = patient.patient_id WHERE ((encounter.admitted_at >= ((DATE_TRUNC('day', CURRENT_TIMESTAMP) + (-29 || ' day')::INTERVAL)) AND encounter.admitted_at < ((DATE_TRUNC('day', CURRENT_TIMESTAMP) + (-29 || ' day')::INTERVAL) + (30 || ' day')::INTERVAL))) GROUP BY (DATE_TRUNC('month', encounter.admitted_at)) ORDER BY 1 DESC FETCH NEXT 500 ROWS ONLY
WITH v AS (SELECT patient_id, MIN(admitted_at) AS first_visit, COUNT(*) AS visits FROM clinic.encounter GROUP BY 1) SELECT v.visits AS "v.visits", COUNT(*) AS "v.count" FROM v GROUP BY 1 ORDER BY 2 DESC LIMIT 500
SELECT COALESCE(CAST((SUM(DISTINCT (CAST(FLOOR(COALESCE(encounter.charge, 0) * 1000000) AS DECIMAL(38, 0))) + CAST(('x' || LEFT(MD5(encounter.encounter_id::varchar), 15))::bit(60)::bigint AS DECIMAL(38, 0))) - SUM(DISTINCT CAST(('x' || LEFT(MD5(encounter.encounter_id::varchar), 15))::bit(60)::bigint AS DECIMAL(38, 0)))) AS DOUBLE PRECISION) / 1000000, 0) AS total FROM clinic.patient JOIN clinic.encounter ON encounter.patient_id = patient.patient_id

-- Qlik
SELECT nspname AS "TABLE_SCHEM" FROM pg_catalog.pg_namespace WHERE nspname <> 'pg_toast' AND (nspname !~ '^pg_temp_' OR nspname = (pg_catalog.current_schemas(true))[1]) ORDER BY "TABLE_SCHEM"
SELECT "encounter_id", "patient_id", "kind", "admitted_at", "charge" FROM "clinic"."encounter"
SELECT count(*) AS "NoOfRows" FROM "clinic"."encounter"

-- Extractors and loaders (full refresh, incremental by cursor, discovery)
SELECT nspname AS table_schema, relname AS table_name, relkind FROM pg_class JOIN pg_catalog.pg_namespace n ON n.oid = relnamespace WHERE relkind IN ('r', 'm', 'v', 't', 'f', 'p') AND has_table_privilege(pg_class.oid, 'SELECT') AND nspname NOT IN ('information_schema', 'pg_catalog', 'pg_internal', 'catalog_history')
SELECT DISTINCT table_catalog, table_schema, table_name, privilege_type FROM information_schema.table_privileges WHERE grantee = current_user AND privilege_type = 'SELECT' UNION ALL SELECT r.rolname AS table_catalog, n.nspname, c.relname, 'SELECT' FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_roles r ON r.oid = c.relowner WHERE c.relkind = 'm'
SELECT (CASE WHEN EXISTS (SELECT TRUE FROM "clinic"."encounter" WHERE "encounter_id" IS NULL LIMIT 1) THEN TRUE ELSE FALSE END) AS hasnull
SELECT MAX("admitted_at") AS max_cursor FROM "clinic"."encounter"
SELECT COUNT(*) AS record_count FROM "clinic"."encounter" WHERE "admitted_at" = '2024-01-01 00:00:00+00'
SELECT "encounter_id", "admitted_at" FROM "clinic"."encounter" WHERE "admitted_at" > $1 ORDER BY "admitted_at" ASC
SELECT "encounter_id", "patient_id", "kind" FROM "clinic"."encounter" WHERE "encounter_id" > $1 ORDER BY "encounter_id" LIMIT 10000
SELECT pg_catalog.array_agg(a.attname ORDER BY array_position(i.indkey, a.attnum)) FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey) WHERE i.indrelid = '"clinic"."encounter"'::regclass AND i.indisprimary
SHOW wal_level
SHOW max_replication_slots
SELECT relname, reltuples::bigint AS estimate FROM pg_class WHERE oid = 'clinic.encounter'::regclass
SELECT current_setting('server_version'), current_setting('block_size')::bigint, pg_relation_size('clinic.encounter'::regclass)
SELECT slot_name, plugin, slot_type, active FROM pg_replication_slots WHERE slot_name = $1
SELECT pubname, schemaname, tablename FROM pg_publication_tables WHERE pubname = $1
SELECT nspname || '.' || relname AS relation, pg_size_pretty(pg_total_relation_size(C.oid)) AS total_size FROM pg_class C LEFT JOIN pg_namespace N ON (N.oid = C.relnamespace) WHERE nspname NOT IN ('pg_catalog', 'information_schema') AND C.relkind <> 'i' AND nspname !~ '^pg_toast' ORDER BY pg_total_relation_size(C.oid) DESC LIMIT 20
SELECT schemaname, relname, n_live_tup FROM pg_stat_user_tables ORDER BY n_live_tup DESC
SELECT relname, seq_scan, idx_scan, 100 * idx_scan / nullif(seq_scan + idx_scan, 0) AS pct FROM pg_stat_user_tables ORDER BY n_live_tup DESC
SELECT indexrelname, idx_scan FROM pg_stat_user_indexes WHERE schemaname = 'clinic' AND idx_scan = 0
SELECT sum(heap_blks_read) AS heap_read, sum(heap_blks_hit) AS heap_hit FROM pg_statio_user_tables
SELECT pid, now() - pg_stat_activity.query_start AS duration, query, state FROM pg_stat_activity WHERE (now() - pg_stat_activity.query_start) > interval '5 minutes'
SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
SELECT numbackends, xact_commit, blks_hit::float / nullif(blks_hit + blks_read, 0) FROM pg_stat_database WHERE datname = current_database()

-- Prisma
SELECT EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = $1), version(), current_setting('server_version_num')::integer AS numeric_version
SELECT namespace.nspname AS namespace_name FROM pg_namespace AS namespace WHERE namespace.nspname = ANY ($1) ORDER BY namespace_name
SELECT tbl.relname AS table_name, namespace.nspname AS namespace, (tbl.relhassubclass AND tbl.relkind = 'p') AS is_partition, (tbl.relhassubclass AND tbl.relkind = 'r') AS has_subclass, tbl.relrowsecurity AS has_row_level_security, reloptions, obj_description(tbl.oid, 'pg_class') AS description FROM pg_class AS tbl INNER JOIN pg_namespace AS namespace ON namespace.oid = tbl.relnamespace WHERE ((tbl.relkind = 'r' AND tbl.relispartition = 'f') OR tbl.relkind = 'p') AND namespace.nspname = ANY ($1) ORDER BY namespace, table_name
SELECT oid.namespace, info.table_name, info.column_name, format_type(att.atttypid, att.atttypmod) AS formatted_type, info.numeric_precision, info.numeric_scale, info.numeric_precision_radix, info.datetime_precision, info.data_type, info.udt_schema AS type_schema_name, info.udt_name AS full_data_type, pg_get_expr(attdef.adbin, attdef.adrelid) AS column_default, info.is_nullable, info.is_identity, info.character_maximum_length, col_description(att.attrelid, ordinal_position) AS description FROM information_schema.columns info JOIN pg_attribute att ON att.attname = info.column_name JOIN (SELECT pg_class.oid, relname, pg_namespace.nspname AS namespace FROM pg_class JOIN pg_namespace ON pg_namespace.oid = pg_class.relnamespace AND pg_namespace.nspname = ANY ($1) WHERE reltype > 0) AS oid ON oid.oid = att.attrelid AND relname = info.table_name AND namespace = info.table_schema LEFT OUTER JOIN pg_attrdef attdef ON attdef.adrelid = att.attrelid AND attdef.adnum = att.attnum AND table_schema = namespace WHERE table_schema = ANY ($1) ORDER BY namespace, table_name, ordinal_position
SELECT rawindex.indrelid, rawindex.indexrelid, rawindex.indisunique, rawindex.indisprimary, unnest(rawindex.indkey) AS indkeyid, generate_subscripts(rawindex.indkey, 1) AS indkeyidx, unnest(rawindex.indclass) AS indclass, unnest(rawindex.indoption) AS indoption FROM pg_index rawindex WHERE rawindex.indpred IS NULL AND NOT rawindex.indisexclusion
SELECT con.oid AS "con_id", att2.attname AS "child_column", cl.relname AS "parent_table", att.attname AS "parent_column", con.confdeltype, con.confupdtype, rel_ns.nspname AS "referenced_schema_name", conname AS constraint_name, child, parent, table_name, namespace, condeferrable, condeferred FROM (SELECT ns.nspname AS "namespace", unnest(con1.conkey) AS "parent", unnest(con1.confkey) AS "child", cl.relname AS table_name, con1.oid, con1.confrelid, con1.conrelid, con1.conname, con1.confdeltype, con1.confupdtype, con1.condeferrable, con1.condeferred FROM pg_class cl JOIN pg_constraint con1 ON con1.conrelid = cl.oid JOIN pg_namespace ns ON cl.relnamespace = ns.oid WHERE ns.nspname = ANY ($1) AND con1.contype = 'f' ORDER BY generate_subscripts(con1.conkey, 1)) con JOIN pg_attribute att ON att.attrelid = con.confrelid AND att.attnum = con.child JOIN pg_class cl ON cl.oid = con.confrelid JOIN pg_attribute att2 ON att2.attrelid = con.conrelid AND att2.attnum = con.parent JOIN pg_class rel_cl ON con.confrelid = rel_cl.oid JOIN pg_namespace rel_ns ON rel_cl.relnamespace = rel_ns.oid ORDER BY con_id, con_id
SELECT pg_advisory_lock(72707369)
SELECT pg_advisory_unlock_all()
-- Hibernate
SELECT current_schema()
SELECT * FROM information_schema.sequences
SELECT relname FROM pg_class WHERE relkind = 'S'
-- Settings and looks around, from everywhere
SET standard_conforming_strings = on
SET client_encoding = 'UTF8'
SET client_encoding TO 'UNICODE'
SET NAMES 'utf8'
SET extra_float_digits = 3
SET bytea_output = 'hex'
SET DateStyle TO 'ISO, MDY'
SET IntervalStyle TO 'postgres'
SET TimeZone TO 'Europe/Berlin'
SET TIME ZONE 'UTC'
SET TIME ZONE LOCAL
SET TIME ZONE DEFAULT
SET TIME ZONE INTERVAL '+00:00' HOUR TO MINUTE
SET statement_timeout TO '30s'
SET statement_timeout TO DEFAULT
SET lock_timeout = 5000
SET idle_in_transaction_session_timeout = '10min'
SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY
SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE
SET default_transaction_read_only = on
SET default_transaction_read_only = off
SET default_transaction_isolation = 'read committed'
SET search_path TO clinic, public
SET search_path TO "$user", public
SET search_path = ''
SET work_mem = '64MB'
SET enable_seqscan = off
SET jit = off
SET row_security = on
SET client_min_messages TO warning
SET check_function_bodies = false
SET synchronize_seqscans TO off
SET application_name = 'My App / 1.0'
SET xmloption = content
SET default_table_access_method = heap
SET default_tablespace = ''
SET max_parallel_workers_per_gather = 0
SET plan_cache_mode = 'auto'
SET SESSION AUTHORIZATION DEFAULT
SET ROLE NONE
RESET ROLE
RESET ALL
RESET search_path
RESET SESSION AUTHORIZATION
SHOW ALL
SHOW server_version
SHOW server_version_num
SHOW standard_conforming_strings
SHOW client_encoding
SHOW search_path
SHOW TIME ZONE
SHOW lc_collate
SHOW is_superuser
SHOW transaction_read_only
SHOW max_connections
SHOW data_checksums
SELECT current_setting('is_superuser'), current_setting('transaction_isolation'), current_setting('TimeZone'), current_setting('my.app', true)
SELECT set_config('search_path', 'clinic, public', false)
SELECT set_config('application_name', 'x', false), set_config('statement_timeout', '10000', true)
SELECT set_config('app.user_id', $1, true)
SELECT pg_is_in_recovery(), pg_backend_pid(), pg_postmaster_start_time(), pg_conf_load_time()
SELECT pg_is_in_recovery(), pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn(), pg_last_xact_replay_timestamp()
SELECT current_database(), current_user, session_user, current_schema, current_catalog, inet_client_addr(), inet_server_port(), version()
SELECT pg_encoding_to_char(encoding), datcollate, datctype FROM pg_database WHERE datname = current_database()
SELECT has_schema_privilege('clinic', 'USAGE'), has_table_privilege('clinic.patient', 'SELECT'), has_database_privilege(current_database(), 'TEMP'), has_column_privilege('clinic.patient', 'name', 'SELECT'), has_function_privilege('pg_catalog.lower(text)', 'EXECUTE'), has_sequence_privilege('clinic.note_note_id_seq', 'USAGE'), pg_has_role(current_user, 'nurse', 'MEMBER')
SELECT pg_my_temp_schema(), pg_is_other_temp_schema(11), to_regclass('clinic.patient'), to_regtype('int8'), to_regnamespace('clinic'), to_regproc('lower'), to_regrole('nurse')
SELECT pg_get_serial_sequence('clinic.note', 'note_id'), pg_get_indexdef('clinic.patient_pkey'::regclass), pg_get_constraintdef((SELECT oid FROM pg_constraint WHERE conname = 'patient_pkey')), pg_get_viewdef('clinic.current_medication'), pg_get_userbyid(10)
SELECT pg_try_advisory_lock(1, 2), pg_advisory_unlock(1, 2)
SELECT pg_try_advisory_xact_lock(hashtext('migration'))
SELECT pg_sleep(0)
SELECT gen_random_uuid(), random(), clock_timestamp(), now(), localtimestamp, current_date
SELECT txid_current(), pg_current_xact_id_if_assigned(), pg_current_snapshot(), txid_current_if_assigned()
SELECT name, setting, unit, context, vartype, source, min_val, max_val, enumvals, boot_val, reset_val FROM pg_settings
SELECT * FROM pg_timezone_names WHERE name LIKE 'Europe/%'
SELECT * FROM pg_available_extensions ORDER BY name
SELECT name, statement FROM pg_prepared_statements
SELECT name, is_holdable FROM pg_cursors
SELECT pg_size_pretty(pg_database_size(current_database()))
SELECT spcname, pg_tablespace_location(oid) FROM pg_tablespace
SELECT lanname, lanpltrusted FROM pg_language
SELECT collname, collprovider FROM pg_collation WHERE collname ~ '^(C|POSIX|en)' LIMIT 10
SELECT pg_collation_for('x'::text), pg_typeof(now()), pg_column_size(1), pg_char_to_encoding('UTF8'), pg_client_encoding()
SELECT table_name, privilege_type FROM information_schema.role_table_grants WHERE grantee = current_user
SELECT grantee, privilege_type FROM information_schema.column_privileges WHERE table_schema = 'clinic' LIMIT 20
SELECT routine_name, routine_type, data_type FROM information_schema.routines WHERE routine_schema = 'glass'
SELECT view_definition FROM information_schema.views WHERE table_schema = 'clinic'
SELECT * FROM information_schema.triggers
SELECT * FROM information_schema.check_constraints WHERE constraint_schema = 'clinic'
SELECT * FROM information_schema.domains
SELECT * FROM information_schema.enabled_roles
SELECT * FROM information_schema.sql_features LIMIT 5
SELECT * FROM information_schema.element_types LIMIT 5
SELECT * FROM information_schema.foreign_tables
SELECT * FROM information_schema.user_mappings
SELECT * FROM information_schema.schemata
SELECT * FROM pg_catalog.pg_user_mappings
SELECT * FROM pg_catalog.pg_indexes WHERE schemaname = 'clinic'
SELECT * FROM pg_catalog.pg_views WHERE schemaname = 'clinic'
SELECT * FROM pg_catalog.pg_rules WHERE schemaname = 'clinic'
SELECT * FROM pg_catalog.pg_policies
SELECT * FROM pg_catalog.pg_sequences
SELECT * FROM pg_catalog.pg_stat_ssl WHERE pid = pg_backend_pid()
SELECT * FROM pg_catalog.pg_stat_user_functions
SELECT * FROM pg_catalog.pg_stat_bgwriter
SELECT * FROM pg_catalog.pg_stat_replication
SELECT * FROM pg_catalog.pg_stat_progress_vacuum
SELECT * FROM pg_catalog.pg_db_role_setting
LISTEN changes
NOTIFY changes, 'done'
UNLISTEN *
BEGIN
COMMIT
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY
START TRANSACTION READ ONLY
BEGIN; SELECT 1; COMMIT
SELECT 1; SELECT 2
DISCARD ALL
DISCARD TEMP
DEALLOCATE ALL
CLOSE ALL
EXPLAIN SELECT * FROM clinic.ward
EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) SELECT * FROM clinic.drug
COPY clinic.ward TO STDOUT
COPY (SELECT * FROM clinic.drug) TO STDOUT WITH (FORMAT csv, HEADER)
CREATE TEMP TABLE scratch (id int, t text)
CREATE TEMPORARY TABLE scratch2 AS SELECT 1 AS a
ANALYZE clinic.ward
SET search_path = glass; SELECT count(*) FROM clinic.patient
SELECT set_config('search_path', '', false); SELECT count(*) FROM clinic.patient p WHERE p.name LIKE 'A%'
RESET ALL; SELECT count(*) FROM clinic.patient
