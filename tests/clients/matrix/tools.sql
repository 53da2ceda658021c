-- Catalog questions in the manner of well-known tools, one statement a line, a title above each group.
-- Every login that may connect must get PostgreSQL's own answer: a tool that is refused one of these
-- does not start, or shows an empty tree. tools.py runs them; nothing here reads a protected table.

-- Schema browsers: the tree of databases, schemas, tables, columns
SELECT d.oid, d.datname, pg_encoding_to_char(d.encoding), has_database_privilege(d.oid, 'CREATE') FROM pg_catalog.pg_database d WHERE d.datname = 'postgres'
SELECT n.oid, n.*, d.description FROM pg_namespace n LEFT JOIN pg_description d ON d.objoid = n.oid AND d.objsubid = 0 AND d.classoid = 'pg_namespace'::regclass WHERE n.nspname !~ '^pg_t' ORDER BY n.nspname
SELECT c.oid, c.relname, c.relkind, c.relacl::text, c.reloptions, pg_get_userbyid(c.relowner), pg_get_expr(c.relpartbound, c.oid), pg_get_partkeydef(c.oid), obj_description(c.oid, 'pg_class') FROM pg_class c WHERE c.relnamespace = 'clinic'::regnamespace AND c.relkind NOT IN ('i', 'I', 'c') ORDER BY c.relname
SELECT a.attname, a.attnum, a.attnotnull, a.attidentity, a.attgenerated, a.attacl::text, format_type(a.atttypid, a.atttypmod), pg_get_expr(d.adbin, d.adrelid, true), col_description(a.attrelid, a.attnum), co.collname FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum LEFT JOIN pg_collation co ON co.oid = a.attcollation WHERE a.attrelid = '"clinic"."patient"'::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
SELECT con.oid, con.conname, con.contype, con.conkey, con.confkey, con.confdeltype, pg_get_constraintdef(con.oid, true), t.relname FROM pg_constraint con JOIN pg_class t ON t.oid = con.conrelid WHERE t.relnamespace = 'clinic'::regnamespace ORDER BY con.conname
WITH raw AS (SELECT indrelid, indexrelid, indisunique, indisprimary, unnest(indkey) AS k, generate_subscripts(indkey, 1) AS n FROM pg_index WHERE NOT indisexclusion) SELECT t.relname, i.relname, a.attname, raw.n, raw.indisunique, am.amname, pg_get_indexdef(raw.indexrelid, raw.n + 1, true) FROM raw JOIN pg_class t ON t.oid = raw.indrelid JOIN pg_class i ON i.oid = raw.indexrelid JOIN pg_am am ON am.oid = i.relam LEFT JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = raw.k WHERE t.relnamespace = 'clinic'::regnamespace ORDER BY 1, 2, 4
SELECT viewname, pg_get_viewdef((quote_ident(schemaname) || '.' || quote_ident(viewname))::regclass, true) FROM pg_views WHERE schemaname = 'clinic'
SELECT p.proname, pg_get_function_arguments(p.oid), pg_get_function_result(p.oid), l.lanname, p.prosecdef FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang WHERE p.pronamespace = 'glass'::regnamespace ORDER BY 1
SELECT sequencename, start_value, increment_by, cycle FROM pg_sequences WHERE schemaname = 'clinic'
SELECT tgname, tgenabled, pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = 'clinic.note'::regclass AND NOT tgisinternal
SELECT r.rolname, r.rolsuper, r.rolcanlogin, ARRAY(SELECT b.rolname FROM pg_auth_members m JOIN pg_roles b ON b.oid = m.roleid WHERE m.member = r.oid ORDER BY 1) FROM pg_roles r WHERE r.rolname !~ '^pg_' ORDER BY 1
SELECT n.oid, n.xmin IS NOT NULL, n.nspname = current_schema() FROM pg_namespace n WHERE n.nspname = 'clinic'
SELECT i.indexrelid::regclass, pg_get_expr(i.indpred, i.indrelid), pg_relation_size(i.indexrelid) >= 0 FROM pg_index i WHERE i.indrelid = 'clinic.ward'::regclass ORDER BY 1
SELECT c.relname, pg_total_relation_size(c.oid) >= 0, pg_table_size(c.oid) >= 0 FROM pg_class c WHERE c.oid = 'clinic.ward'::regclass
SELECT pg_size_pretty(pg_database_size(current_database())) IS NOT NULL
-- The first statements of administration tools on every connection
SET DateStyle = ISO; SET client_min_messages = notice; SET client_encoding = 'utf-8'
SELECT set_config('bytea_output', 'hex', false) FROM pg_show_all_settings() WHERE name = 'bytea_output'
SELECT gss_authenticated, encrypted FROM pg_stat_gssapi WHERE pid = pg_backend_pid()
SELECT ssl IS NOT NULL FROM pg_stat_ssl WHERE pid = pg_backend_pid()
SELECT CASE WHEN usesuper AND pg_is_in_recovery() THEN pg_is_wal_replay_paused() ELSE false END FROM pg_user WHERE usename = current_user
SELECT current_schema(), session_user, current_setting('is_superuser'), current_setting('nothing.here', true), pg_postmaster_start_time() IS NOT NULL
-- Drivers loading types
SELECT t.oid, t.typname, t.typtype, t.typelem, t.typdelim, t.typinput::text, r.rngsubtype, r.rngmultitypid, p.proname FROM pg_type t LEFT JOIN pg_range r ON r.rngtypid = t.oid LEFT JOIN pg_proc p ON p.oid = t.typreceive JOIN pg_namespace n ON n.oid = t.typnamespace WHERE n.nspname = 'pg_catalog' AND t.typtype IN ('b', 'r', 'm', 'e', 'd') ORDER BY t.oid
SELECT typ.oid, att.attname, att.atttypid FROM pg_type typ JOIN pg_class cls ON cls.oid = typ.typrelid JOIN pg_attribute att ON att.attrelid = typ.typrelid WHERE cls.relkind = 'c' AND att.attnum > 0 AND NOT att.attisdropped ORDER BY 1, att.attnum
SELECT t.oid, e.enumlabel FROM pg_enum e JOIN pg_type t ON t.oid = e.enumtypid ORDER BY t.oid, e.enumsortorder
SELECT string_agg(word, ',' ORDER BY word) FROM pg_get_keywords() WHERE word <> ALL ('{a,abs}'::text[])
SELECT to_regtype('int4'), to_regclass('clinic.patient'), oid FROM pg_type WHERE typname = ANY (ARRAY['hstore', 'citext', 'int4'])
-- Pools giving a connection back
SELECT pg_advisory_unlock_all(); CLOSE ALL; UNLISTEN *; RESET ALL
SET SESSION AUTHORIZATION DEFAULT
DISCARD SEQUENCES; DISCARD TEMP; DISCARD PLANS
DISCARD ALL
-- Reporting tools finding tables and keys
SELECT table_schema, table_name, table_type FROM information_schema.tables WHERE table_schema IN ('clinic', 'glass') ORDER BY 1, 2
SELECT column_name, ordinal_position, is_nullable, data_type, udt_name, numeric_precision, is_identity FROM information_schema.columns WHERE table_schema = 'clinic' ORDER BY table_name, ordinal_position
SELECT tc.constraint_name, tc.constraint_type, k.column_name FROM information_schema.table_constraints tc JOIN information_schema.key_column_usage k USING (constraint_schema, constraint_name, table_name) WHERE tc.table_schema = 'clinic' ORDER BY 1, k.ordinal_position
SELECT rc.constraint_name, k.column_name, u.table_name FROM information_schema.referential_constraints rc JOIN information_schema.key_column_usage k ON k.constraint_name = rc.constraint_name JOIN information_schema.table_constraints u ON u.constraint_name = rc.unique_constraint_name WHERE rc.constraint_schema = 'clinic' ORDER BY 1, 2, 3
SELECT character_set_name FROM information_schema.character_sets
SELECT t.schemaname, t.tablename, has_any_column_privilege(current_user, quote_ident(t.schemaname) || '.' || quote_ident(t.tablename), 'select') AS readable, has_table_privilege(current_user, quote_ident(t.schemaname) || '.' || quote_ident(t.tablename), 'delete') AS deletable FROM pg_tables t WHERE t.schemaname = 'clinic' AND has_schema_privilege(current_user, t.schemaname, 'usage') ORDER BY 1, 2
SELECT c.relname, d.description, s.n_live_tup IS NOT NULL FROM pg_class c LEFT JOIN pg_description d ON d.objoid = c.oid AND d.objsubid = 0 LEFT JOIN pg_stat_user_tables s ON s.relid = c.oid WHERE c.relnamespace = 'clinic'::regnamespace AND c.relkind IN ('r', 'v') ORDER BY 1
SELECT d.description FROM pg_statio_all_tables st LEFT JOIN pg_description d ON d.objoid = st.relid WHERE st.schemaname = 'clinic' AND st.relname = 'ward'
CREATE LOCAL TEMPORARY TABLE "#scratch" ("COL" INTEGER) ON COMMIT PRESERVE ROWS
SELECT * INTO TEMP "#scratch_2" FROM (SELECT 1 AS col) AS t LIMIT 1
DROP TABLE "#scratch", "#scratch_2"
SELECT quote_ident(table_name) FROM information_schema.tables WHERE table_schema = ANY (string_to_array('clinic,public', ',')) ORDER BY 1
-- Object mappers and migration tools
SHOW max_identifier_length
SET intervalstyle = iso_8601; SET SESSION timezone TO 'UTC'; SET statement_timeout = 30000; SET extra_float_digits = 3
SELECT EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = 'clinic'), current_setting('server_version_num')::integer
SELECT pg_try_advisory_lock(72707369)
SELECT pg_advisory_unlock(72707369)
SELECT sequence_name FROM information_schema.sequences WHERE sequence_schema = 'clinic'
SELECT set_config('search_path', 'clinic', false), set_config('request.claims', '{}', true)
SELECT e.extname, e.extversion, n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace ORDER BY 1
SELECT pg_get_serial_sequence('clinic.note', 'note_id')
SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY
SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE
