-- The schema of the list of bypasses: the caller is assigned MRN 1 only, ssn is masked for the role. Every hidden text
-- holds the word CANARY; her own ssn, which the mask hides, too.
CREATE SCHEMA glass;
CREATE TABLE patients (mrn int4 PRIMARY KEY, ssn text, name text NOT NULL, dob date);
CREATE TABLE notes (id int4 PRIMARY KEY, mrn int4 REFERENCES patients, body text);
CREATE TABLE visits (id int4, mrn int4, day date NOT NULL, place text) PARTITION BY RANGE (day);
CREATE TABLE visits_2024 PARTITION OF visits FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE visits_2025 PARTITION OF visits FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE ward (id int4 PRIMARY KEY, label text);
CREATE TABLE scratch (id int4, body text);
INSERT INTO patients VALUES
    (1, 'CANARY-ssn-1', 'Ann', '1950-01-01'), (2, 'CANARY-ssn-2', 'CANARY-name-2', '1960-02-02'),
    (3, '123', 'CANARY-name-3', '1970-03-03'), (4, '5', 'CANARY-name-4', '1980-04-04');
INSERT INTO notes SELECT 10 * mrn + i, mrn, CASE mrn WHEN 1 THEN 'plain ' ELSE 'CANARY-note-' END || i
    FROM patients, generate_series(1, 3) i;
INSERT INTO visits SELECT 10 * mrn + i, mrn, date '2024-06-01' + i * 200, CASE mrn WHEN 1 THEN 'A' ELSE 'CANARY-place' END
    FROM patients, generate_series(1, 2) i;
INSERT INTO ward VALUES (1, 'north'), (2, 'south');
CREATE TABLE glass.assigned (user_name text NOT NULL, patient_id int4 NOT NULL, PRIMARY KEY (user_name, patient_id));
INSERT INTO glass.assigned VALUES ('nurse_amy', 1), ('nurse_bob', 2);
CREATE FUNCTION glass.verifier(login text) RETURNS TABLE (rolpassword text, rolvaliduntil timestamptz)
    LANGUAGE sql STABLE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC SELECT a.rolpassword, a.rolvaliduntil FROM pg_catalog.pg_authid a
        WHERE a.rolname = login AND a.rolcanlogin AND NOT a.rolsuper; END;
GRANT USAGE ON SCHEMA glass TO pgglass, nurse;
GRANT SELECT ON glass.assigned TO pgglass, nurse;
GRANT SELECT ON patients TO pgglass;
GRANT EXECUTE ON FUNCTION glass.verifier(text) TO pgglass;
GRANT SELECT, INSERT, UPDATE, DELETE ON patients, notes, visits, visits_2024, visits_2025, ward, scratch TO nurse;

-- What lies around in real databases.
CREATE VIEW all_patients_v AS SELECT * FROM patients;
CREATE MATERIALIZED VIEW patients_mv AS SELECT * FROM patients;
CREATE FUNCTION get_ssn(int4) RETURNS text LANGUAGE sql SECURITY DEFINER AS 'SELECT ssn FROM patients WHERE mrn = $1';
CREATE FUNCTION tricky(text, text) RETURNS bool LANGUAGE plpgsql COST 0.0000001
    AS 'BEGIN RAISE NOTICE ''% %'', $1, $2; RETURN true; END';
CREATE FUNCTION open_patients() RETURNS refcursor LANGUAGE plpgsql SECURITY DEFINER
    AS 'DECLARE c refcursor; BEGIN OPEN c FOR SELECT * FROM patients; RETURN c; END';
CREATE SCHEMA b;
CREATE TABLE b.t (x text);
CREATE TABLE b.patients (mrn int4, note text);
CREATE DOMAIN b.moves AS text CHECK (set_config('search_path', 'b', false) IS NOT NULL);
GRANT USAGE ON SCHEMA b TO nurse;
GRANT SELECT ON ALL TABLES IN SCHEMA b TO nurse;
GRANT SELECT ON all_patients_v, patients_mv TO nurse;
CREATE FUNCTION copy_out() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    AS 'BEGIN INSERT INTO scratch SELECT mrn, ssn FROM patients; RETURN NEW; END';
CREATE TABLE watched (id int4, mrn int4, body text);
CREATE TRIGGER t AFTER UPDATE ON watched FOR EACH ROW EXECUTE FUNCTION copy_out();
INSERT INTO watched VALUES (1, 1, 'x'), (2, 2, 'CANARY-watched');
GRANT SELECT, UPDATE ON watched TO nurse;
CREATE EXTENSION postgres_fdw;
CREATE SERVER twin FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '/nowhere', dbname 'x');
CREATE FOREIGN TABLE patients_remote (mrn int4, ssn text) SERVER twin OPTIONS (table_name 'patients');
GRANT SELECT ON patients_remote TO nurse;
CREATE EXTENSION dblink;
SELECT lo_from_bytea(4711, 'CANARY-large-object');
GRANT ALL ON LARGE OBJECT 4711 TO PUBLIC;
CREATE SEQUENCE seq_of_notes START 4242;
GRANT ALL ON SEQUENCE seq_of_notes TO nurse;
ANALYZE;
