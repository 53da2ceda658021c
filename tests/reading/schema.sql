-- A small clinic with a column of every type that the forms read, and views of every kind.
CREATE SCHEMA clinic; CREATE SCHEMA glass;
SET search_path = clinic, public;
CREATE TABLE ward (ward int PRIMARY KEY, wname text);
CREATE TABLE patient (patient_id int8 PRIMARY KEY, mrn text, name text, age int, born date, doc jsonb, tags text[],
    weight numeric(6,2), ward int);
CREATE TABLE encounter (encounter_id int PRIMARY KEY, patient_id int8, kind text, score int, at timestamptz);
CREATE TABLE lab_order (order_id int PRIMARY KEY, patient_id int8);
CREATE TABLE lab_result (result_id int PRIMARY KEY, order_id int, code text, value int);
CREATE TABLE secret (x text);
CREATE OPERATOR clinic.=== (LEFTARG = text, RIGHTARG = text, FUNCTION = texteq);
CREATE TABLE glass.assigned (user_name text, patient_id int8, UNIQUE (user_name, patient_id));
INSERT INTO glass.assigned VALUES ('u', 1), ('u', 2), ('u', 4), ('v', 5);
INSERT INTO ward SELECT i, 'w' || i FROM generate_series(0, 3) i;
INSERT INTO patient VALUES
    (1, 'M1', 'n1', 45, '1979-03-01', '{"a": 1, "b": "x"}', '{a,b}', 70.25, 1),
    (2, 'M2', 'n2', 55, '1969-04-02', '{"a": 2}', '{b}', 80.5, 2),
    (3, 'M3', 'n3', 45, '1979-05-03', '{"b": 3}', '{a,c}', 90, 1),
    (4, 'M4', 'n1', 35, '1989-06-04', '{}', '{}', NULL, NULL),
    (5, 'M5', 'n0', 0, '1959-07-05', NULL, NULL, 60, 3),
    (6, 'M6', 'n2', NULL, NULL, '{"a": 6}', '{d}', 50, 2);
INSERT INTO encounter VALUES (1, 1, 'in', 1, '2024-01-01 10:00Z'), (2, 1, 'out', 2, '2024-01-02 10:00Z'),
    (3, 2, 'in', NULL, '2024-01-03 10:00Z'), (4, 3, 'in', 3, '2024-01-04 10:00Z'), (5, 5, 'out', -1, '2024-01-05 10:00Z'),
    (6, NULL, 'in', 2, NULL), (7, 4, 'out', 2, '2024-02-05 10:00Z');
INSERT INTO lab_order VALUES (1, 1), (2, 2), (3, 3), (4, NULL), (5, 5);
INSERT INTO lab_result VALUES (1, 1, 'c0', 1), (2, 1, 'c1', 0), (3, 2, 'c0', NULL), (4, 3, 'c1', 3), (5, 4, 'c0', 2), (6, 5, 'c1', 0);
CREATE TABLE sample (sample_id int PRIMARY KEY, patient_id int8 REFERENCES patient ON DELETE CASCADE, system text, status text, nextval int);
INSERT INTO sample VALUES (1, 1, 's1', 'a', 1), (2, 2, 's2', 'b', 0), (3, 3, 's3', 'a', 1), (4, 5, NULL, 'a', 0);
CREATE FUNCTION clinic.status(clinic.sample) RETURNS text LANGUAGE sql AS 'SELECT name FROM clinic.patient WHERE patient_id = $1.patient_id';
CREATE FUNCTION clinic.status(clinic.encounter) RETURNS text LANGUAGE sql AS 'SELECT name FROM clinic.patient WHERE patient_id = $1.patient_id';
CREATE VIEW v_adults AS SELECT patient_id, name, age FROM patient WHERE age >= 18;
CREATE VIEW v_counts (name, n) AS SELECT p.name, count(e.*) FROM patient p LEFT JOIN encounter e USING (patient_id) GROUP BY p.patient_id;
CREATE VIEW v_wards AS SELECT w.wname, p.name FROM ward w LEFT JOIN patient p ON p.ward = w.ward;
CREATE VIEW v_of_v AS SELECT a.name, c.n FROM v_adults a JOIN v_counts c ON c.name = a.name WHERE a.age > 40;
CREATE VIEW v_union AS SELECT name FROM patient UNION SELECT kind FROM encounter;
CREATE VIEW v_distinct AS SELECT DISTINCT ward FROM patient;
CREATE VIEW v_window AS SELECT name, rank() OVER (PARTITION BY ward ORDER BY patient_id) AS r FROM patient;
CREATE VIEW v_with AS WITH x AS (SELECT name, ward FROM patient) SELECT x.name, w.wname FROM x JOIN ward w USING (ward);
CREATE VIEW v_barrier WITH (security_barrier) AS SELECT patient_id, age FROM patient WHERE age > 0;
CREATE VIEW v_free AS SELECT ward, upper(wname) AS wname FROM ward WHERE ward > 0;
CREATE VIEW v_results AS SELECT r.code, r.value, o.patient_id FROM lab_result r JOIN lab_order o USING (order_id) WHERE r.value IS NOT NULL;
CREATE VIEW v_lateral AS SELECT p.name, x.kind FROM patient p CROSS JOIN LATERAL (SELECT e.kind FROM encounter e WHERE e.patient_id = p.patient_id ORDER BY e.encounter_id LIMIT 1) x;
CREATE FUNCTION clinic.everything() RETURNS SETOF patient LANGUAGE sql AS 'SELECT * FROM clinic.patient';
CREATE VIEW v_function AS SELECT name FROM clinic.everything();
CREATE VIEW v_closed AS SELECT x FROM secret;
CREATE VIEW v_statistics AS SELECT tablename, most_common_vals::text FROM pg_stats;
