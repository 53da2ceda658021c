-- Values of hidden rows (all but mrn 1's) on which built-in and own operators fail: under contradicting collations, in
-- types with less room or without an equality, and in the statistics that the planner tries conditions on.
CREATE SCHEMA glass;
CREATE FUNCTION far(float8, float8) RETURNS float8 LANGUAGE plpgsql IMMUTABLE AS
    'BEGIN IF abs($1 - $2) > 5000 THEN RAISE EXCEPTION ''CANARY % %'', $1, $2; END IF; RETURN $1 - $2; END';
CREATE TYPE span AS RANGE (subtype = float8, subtype_diff = far);
CREATE FUNCTION is_number(text, int4) RETURNS bool LANGUAGE plpgsql IMMUTABLE STRICT AS 'BEGIN RETURN $1::int4 = $2; END';
CREATE OPERATOR ~ (LEFTARG = text, RIGHTARG = int4, FUNCTION = is_number, RESTRICT = eqsel, JOIN = eqjoinsel);
CREATE FUNCTION alike(text, text) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT $1 LIKE $2';
CREATE TYPE mood AS ENUM ('1', '2', 'CANARY');
CREATE FUNCTION alike(mood, mood) RETURNS bool LANGUAGE plpgsql IMMUTABLE STRICT AS
    'BEGIN RETURN ($1::text)::int4 = ($2::text)::int4; END';
CREATE OPERATOR = (LEFTARG = mood, RIGHTARG = mood, FUNCTION = alike(mood, mood), RESTRICT = eqsel, JOIN = eqjoinsel);
CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE people (
    id int4 PRIMARY KEY, mrn int4 NOT NULL, code text, ssn text, title text COLLATE "POSIX", body text COLLATE "C",
    word text COLLATE loose, f float8, docs json[], r span, mood mood);
INSERT INTO people
SELECT i, 1, (i % 7)::text, i::text, 'title ' || i % 5, 'plain ' || i % 9, 'w' || i % 4, i, NULL, span(i % 50, i % 50 + 2), (1 + i % 2)::text::mood
  FROM generate_series(1, 300) i;
INSERT INTO people
SELECT i, 2 + i % 5, 'CANARY\' || i % 9, 'CANARY-ssn-' || i, 'CANARY-title', 'CANARY-body', 'CANARY', 1e300,
       ARRAY['{"a": "CANARY"}'::json], span(8000 + i % 90, 9000 + i % 90), 'CANARY'
  FROM generate_series(301, 900) i;
CREATE TABLE glass.assigned (user_name text NOT NULL, patient_id int4 NOT NULL, PRIMARY KEY (user_name, patient_id));
INSERT INTO glass.assigned VALUES ('nurse_amy', 1);
CREATE FUNCTION glass.verifier(login text) RETURNS TABLE (rolpassword text, rolvaliduntil timestamptz)
    LANGUAGE sql STABLE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC SELECT a.rolpassword, a.rolvaliduntil FROM pg_catalog.pg_authid a
        WHERE a.rolname = login AND a.rolcanlogin AND NOT a.rolsuper; END;
GRANT USAGE ON SCHEMA glass TO pgglass, nurse;
GRANT SELECT ON glass.assigned TO pgglass, nurse;
GRANT SELECT ON people TO pgglass;
GRANT EXECUTE ON FUNCTION glass.verifier(text) TO pgglass;
GRANT SELECT, INSERT, UPDATE, DELETE ON people TO nurse;
ANALYZE;
