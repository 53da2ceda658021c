-- The SELECT chapter of the manual, production by production, and what its expressions offer: one
-- statement a line. Each is planned for a restricted role and must give what the original gives on a
-- database from which everybody else's rows are gone. `!` in front: refused, with a text that names a
-- form that works. `~` in front: of a later grammar than the server's, planned only. `-`: not for roles
-- with masks.

-- Lists.
SELECT FROM patient
SELECT * FROM patient
SELECT ALL name FROM patient
SELECT patient.* FROM patient
SELECT clinic.patient.name FROM clinic.patient
SELECT clinic.patient.* FROM clinic.patient
SELECT clinic.patient.tags[1], clinic.patient.tags[1:1], clinic.patient.doc['a'] FROM clinic.patient WHERE clinic.patient.tags[1] = 'a'
SELECT clinic.patient.tags[1], count(clinic.patient.*), max(clinic.patient.tags[2]) FROM clinic.patient GROUP BY clinic.patient.tags[1]
SELECT to_jsonb(clinic.patient.*)->>'patient_id' FROM clinic.patient
SELECT clinic.patient.tags[1], e.kind FROM clinic.patient LEFT JOIN encounter e ON e.kind = clinic.patient.tags[1] ORDER BY clinic.patient.tags[1], clinic.patient.patient_id, e.encounter_id
SELECT clinic.patient.tags[1] FROM patient
SELECT p.name AS n, p.age years, p.ward "Ward" FROM patient AS p
SELECT name "select" FROM patient
SELECT p.*, e.kind FROM patient p, encounter e WHERE p.patient_id = e.patient_id
SELECT DISTINCT ward FROM patient
SELECT DISTINCT ON (ward) ward, patient_id FROM patient ORDER BY ward, patient_id
SELECT DISTINCT ON (ward, age > 40) ward, patient_id FROM patient ORDER BY ward, age > 40, patient_id
SELECT DISTINCT ON ((SELECT max(a.score) FROM encounter a, patient b WHERE a.patient_id = p.patient_id AND b.patient_id <= a.patient_id AND 10 / b.age >= 0)) p.name FROM patient p WHERE p.age > 0 ORDER BY (SELECT max(a.score) FROM encounter a, patient b WHERE a.patient_id = p.patient_id AND b.patient_id <= a.patient_id AND 10 / b.age >= 0), p.patient_id
SELECT (SELECT max(a.score) FROM encounter a, patient b WHERE a.patient_id = p.patient_id AND b.patient_id <= a.patient_id AND 10 / b.age >= 0) AS s, count(*) FROM patient p WHERE p.age > 0 GROUP BY (SELECT max(a.score) FROM encounter a, patient b WHERE a.patient_id = p.patient_id AND b.patient_id <= a.patient_id AND 10 / b.age >= 0)
SELECT 1, 'x', NULL, true FROM patient
SELECT patient_id AS id, id FROM (SELECT patient_id, patient_id + 1 AS id FROM patient) x
TABLE patient
TABLE clinic.patient
TABLE ONLY patient
(SELECT name FROM patient)
((SELECT name FROM patient ORDER BY patient_id LIMIT 2))
VALUES (1, 'x'), (2, (SELECT max(name) FROM patient))
VALUES ((SELECT count(*) FROM patient)) ORDER BY 1

-- FROM: tables.
SELECT name FROM ONLY patient
SELECT name FROM ONLY (patient)
SELECT p.name FROM ONLY patient AS p
SELECT p.name FROM ONLY clinic.patient p WHERE p.age > 40
SELECT name FROM patient *
SELECT p.name FROM patient * AS p
SELECT e.score FROM ONLY encounter e JOIN ONLY patient p USING (patient_id)
SELECT a, b FROM patient AS p(a, b)
SELECT p.a, p.name FROM patient p(a)
-SELECT count(*) FROM patient TABLESAMPLE system (100)
-SELECT count(*) FROM patient p TABLESAMPLE bernoulli (100)
-SELECT p.name FROM patient p TABLESAMPLE system (100) WHERE 10 / p.age > 0
-SELECT e.kind FROM patient p TABLESAMPLE system (100) FULL JOIN encounter e USING (patient_id)

-- FROM: subqueries.
SELECT * FROM (SELECT * FROM patient) x
SELECT * FROM (SELECT name, age FROM patient) AS x (n, a) WHERE a > 40
SELECT x.n FROM (SELECT name AS n FROM patient ORDER BY patient_id LIMIT 3) AS x
SELECT * FROM (VALUES (1), (2)) AS v (i) JOIN patient p ON p.patient_id = v.i
SELECT * FROM (TABLE patient) x
SELECT * FROM (SELECT name FROM patient UNION ALL SELECT kind FROM encounter) x (t)
SELECT x.name, y.kind FROM patient x, LATERAL (SELECT kind FROM encounter e WHERE e.patient_id = x.patient_id) y
SELECT x.name, y.n FROM patient x LEFT JOIN LATERAL (SELECT count(*) AS n FROM encounter e WHERE e.patient_id = x.patient_id) y ON true
SELECT x.name, y.kind FROM patient x CROSS JOIN LATERAL (SELECT kind FROM encounter e WHERE e.patient_id = x.patient_id ORDER BY score DESC NULLS LAST, encounter_id LIMIT 1) y
SELECT p.name, q.s FROM patient p, LATERAL (VALUES (p.age), (p.ward)) AS q (s)

-- FROM: functions.
SELECT p.name, g FROM patient p, generate_series(1, 2) g
SELECT p.name, g.i FROM patient p, generate_series(1, p.ward) AS g (i)
SELECT p.name, t FROM patient p, unnest(p.tags) t
SELECT p.name, t, n FROM patient p, unnest(p.tags) WITH ORDINALITY AS u (t, n)
SELECT p.name, a, b, n FROM patient p, ROWS FROM (unnest(p.tags), generate_series(1, 2)) WITH ORDINALITY AS r (a, b, n)
SELECT p.name, k, v FROM patient p, jsonb_each_text(p.doc) AS j (k, v)
SELECT p.name, x.a FROM patient p, jsonb_to_record(p.doc) AS x (a int, b text)
SELECT p.name, x.a FROM patient p, LATERAL ROWS FROM (jsonb_to_record(p.doc) AS (a int, b text)) x
SELECT p.name FROM patient p, current_date d WHERE p.born < d
SELECT x.* FROM patient p, unnest(p.tags, ARRAY[1, 2]) AS x (t, i)
SELECT t.n FROM patient p, XMLTABLE('/a/b' PASSING xmlparse(DOCUMENT '<a><b>1</b></a>') COLUMNS n int PATH '.') t
SELECT name, unnest(tags) FROM patient
SELECT name, generate_series(1, 2) FROM patient

-- FROM: joins.
SELECT p.name, e.kind FROM patient p JOIN encounter e ON e.patient_id = p.patient_id
SELECT p.name, e.kind FROM patient p INNER JOIN encounter e USING (patient_id)
SELECT p.name, e.kind FROM patient p LEFT JOIN encounter e USING (patient_id)
SELECT p.name, e.kind FROM patient p LEFT OUTER JOIN encounter e ON e.patient_id = p.patient_id AND e.score > 1
SELECT p.name, e.kind FROM encounter e RIGHT JOIN patient p USING (patient_id)
SELECT p.name, e.kind FROM patient p FULL JOIN encounter e USING (patient_id)
SELECT p.name, e.kind FROM patient p FULL OUTER JOIN encounter e ON e.patient_id = p.patient_id AND e.score = 1
SELECT p.name, w.wname FROM patient p CROSS JOIN ward w
SELECT * FROM patient NATURAL JOIN ward
SELECT * FROM patient NATURAL LEFT JOIN encounter
SELECT * FROM encounter NATURAL FULL JOIN lab_order
SELECT j.patient_id, p.name FROM patient p JOIN encounter e USING (patient_id) AS j
SELECT j.name FROM (patient p JOIN encounter e USING (patient_id)) AS j
SELECT j.a FROM (patient p CROSS JOIN ward w) AS j (a)
SELECT p.name FROM (patient p JOIN encounter e USING (patient_id)) LEFT JOIN (lab_order o JOIN lab_result r USING (order_id)) ON o.patient_id = p.patient_id
SELECT p.name, w.wname FROM patient p LEFT JOIN (ward w JOIN encounter e ON e.score = w.ward) ON w.ward = p.ward
SELECT w.wname, p.name FROM ward w LEFT JOIN patient p ON p.ward = w.ward AND 10 / p.age > 0
SELECT p.name, e.kind FROM patient p JOIN encounter e ON e.patient_id = p.patient_id AND 10 / (e.score + 1) > 2
SELECT w.wname, e.kind FROM ward w LEFT JOIN patient p USING (ward) LEFT JOIN encounter e USING (patient_id) ORDER BY 1, 2
SELECT r.code, o.patient_id FROM lab_result r JOIN lab_order o USING (order_id) JOIN patient p USING (patient_id)
SELECT a.name, b.name FROM patient a, patient b WHERE a.ward = b.ward AND a.patient_id < b.patient_id

-- WHERE.
SELECT name FROM patient WHERE age > 40 AND (ward = 1 OR ward IS NULL) AND NOT name = 'x'
SELECT name FROM patient WHERE age BETWEEN 40 AND 50
SELECT name FROM patient WHERE age NOT BETWEEN SYMMETRIC 50 AND 40
SELECT name FROM patient WHERE age IN (45, 55) OR ward NOT IN (1, 2)
SELECT name FROM patient WHERE name LIKE 'n%' AND name NOT LIKE '%2'
SELECT name FROM patient WHERE name LIKE 'n!%' ESCAPE '!'
SELECT name FROM patient WHERE name ILIKE 'N_'
SELECT name FROM patient WHERE name SIMILAR TO 'n[01]'
SELECT name FROM patient WHERE name ~ '^n' AND name !~* 'Z' AND name ~* 'N'
SELECT name FROM patient WHERE age IS NULL
SELECT name FROM patient WHERE age ISNULL OR ward NOTNULL
SELECT name FROM patient WHERE age IS DISTINCT FROM 45
SELECT name FROM patient WHERE age IS NOT DISTINCT FROM 45
SELECT name FROM patient WHERE (age > 40) IS TRUE
SELECT name FROM patient WHERE (age > 40) IS NOT UNKNOWN
SELECT name FROM patient WHERE (age > 40) IS UNKNOWN OR (ward = 1) IS NOT FALSE
SELECT name FROM patient WHERE (age, ward) = (45, 1)
SELECT name FROM patient WHERE (age, ward) < (50, 2)
SELECT name FROM patient WHERE ROW(age, ward) IS NOT NULL
SELECT name FROM patient WHERE (age, ward) IN ((45, 1), (55, 2))
SELECT name FROM patient WHERE (age, ward) IS DISTINCT FROM (45, 1)
SELECT name FROM patient WHERE age = ANY (ARRAY[45, 55])
SELECT name FROM patient WHERE age <> ALL ('{45,55}'::int[])
SELECT name FROM patient WHERE name LIKE ANY (ARRAY['n1%', 'n2%'])
SELECT name FROM patient WHERE name NOT ILIKE ALL (ARRAY['x%', 'y%'])
SELECT name FROM patient WHERE age = SOME (SELECT age FROM patient WHERE ward = 1)
SELECT name FROM patient WHERE age OPERATOR(pg_catalog.>) 40
SELECT name FROM patient WHERE age::text = '45' AND CAST(ward AS text) <> 'x'
SELECT name FROM patient WHERE name::int = 1
SELECT name FROM patient WHERE name COLLATE "C" > 'n1'
SELECT name FROM patient WHERE starts_with(name, 'n') AND name ^@ 'n'
SELECT name FROM patient WHERE born + interval '1 month' > date '1970-01-01'
SELECT name FROM patient WHERE born > current_date - 40000 AND born < now()
SELECT name FROM patient WHERE (born, born) OVERLAPS (date '1900-01-01', date '2100-01-01')
SELECT name FROM patient WHERE at_zone.at AT TIME ZONE 'UTC' > '2000-01-01' IS NOT NULL
SELECT e.kind FROM encounter e WHERE e.at AT TIME ZONE 'UTC' > timestamp '2000-01-01'
SELECT e.kind FROM encounter e WHERE (e.at AT TIME ZONE 'UTC')::date > '2000-01-01'
SELECT name FROM patient WHERE tags @> ARRAY['a'] OR tags && ARRAY['b'] OR 'a' = ANY (tags)
SELECT name FROM patient WHERE tags[1] = 'a' AND tags[1:2] <> '{}'
SELECT name FROM patient WHERE doc @> '{"a": 1}' OR doc ? 'b' OR doc ->> 'a' = '1' OR doc -> 'b' = '2' OR doc #>> '{a}' = '1'
SELECT name FROM patient WHERE doc @? '$.a' OR doc @@ '$.a == 1'
SELECT name FROM patient WHERE doc['a'] = '1'
SELECT name FROM patient WHERE EXISTS (SELECT 1 FROM encounter e WHERE e.patient_id = patient.patient_id)
SELECT name FROM patient p WHERE NOT EXISTS (SELECT FROM encounter e WHERE e.patient_id = p.patient_id AND e.score > 1)
SELECT name FROM patient WHERE patient_id IN (SELECT patient_id FROM encounter)
SELECT name FROM patient WHERE patient_id NOT IN (SELECT patient_id FROM encounter WHERE patient_id IS NOT NULL)
SELECT name FROM patient WHERE (patient_id, ward) IN (SELECT patient_id, score FROM encounter)
SELECT name FROM patient WHERE age >= ALL (SELECT age FROM patient WHERE age IS NOT NULL)
SELECT name FROM patient WHERE age > (SELECT avg(age) FROM patient)
SELECT name FROM patient WHERE (age, ward) = (SELECT age, ward FROM patient ORDER BY patient_id LIMIT 1)
SELECT name FROM patient WHERE ROW(age, ward) > (SELECT 1, 2)
SELECT name FROM patient WHERE ward = ANY (ARRAY(SELECT score FROM encounter))
SELECT wname FROM ward w WHERE w.ward IN (SELECT p.ward FROM patient p WHERE 100 / p.age > 1)

-- GROUP BY, HAVING.
SELECT ward, count(*) FROM patient GROUP BY ward
SELECT ward, count(*) FROM patient GROUP BY 1
SELECT ward AS w, count(*) FROM patient GROUP BY w
SELECT ward, age, count(*) FROM patient GROUP BY (ward, age)
SELECT age / 10, count(*) FROM patient GROUP BY age / 10
SELECT ward, count(*) FROM patient GROUP BY DISTINCT ward, ward
SELECT ward, age, count(*) FROM patient GROUP BY ROLLUP (ward, age)
SELECT ward, age, count(*) FROM patient GROUP BY CUBE (ward, age)
SELECT ward, age, count(*) FROM patient GROUP BY GROUPING SETS ((ward), (age), ())
SELECT ward, age, count(*) FROM patient GROUP BY GROUPING SETS (ROLLUP (ward, age), CUBE (age, ward))
SELECT ward, age, name, count(*) FROM patient GROUP BY ward, ROLLUP (age, name)
SELECT ward, age, count(*) FROM patient GROUP BY GROUPING SETS ((ward, age), GROUPING SETS (ward, ()))
SELECT ward, GROUPING(ward), count(*) FROM patient GROUP BY ROLLUP (ward)
SELECT ward, age, GROUPING(ward, age), count(*) FROM patient GROUP BY CUBE (ward, age) ORDER BY 3, 1, 2
SELECT count(*) FROM patient GROUP BY ()
SELECT patient_id, name, age FROM patient GROUP BY patient_id
SELECT p.name, count(e.encounter_id) FROM patient p LEFT JOIN encounter e USING (patient_id) GROUP BY p.patient_id
SELECT p.*, count(e.encounter_id) FROM patient p LEFT JOIN encounter e USING (patient_id) GROUP BY p.patient_id
SELECT p.name, count(*) FROM patient p WHERE 100 / p.age > 1 GROUP BY p.patient_id
SELECT ward, count(*) FROM patient GROUP BY ward HAVING count(*) > 1
SELECT ward FROM patient GROUP BY ward HAVING ward > 0
SELECT count(*) FROM patient HAVING count(*) > 100
SELECT 1 FROM patient HAVING true
SELECT ward, count(*) FILTER (WHERE age > 40), sum(age) FILTER (WHERE name LIKE 'n%') FROM patient GROUP BY ward
SELECT count(DISTINCT ward), count(ALL ward), array_agg(DISTINCT name ORDER BY name) FROM patient
SELECT string_agg(name, ',' ORDER BY patient_id DESC) FROM patient
SELECT array_agg(age ORDER BY age NULLS FIRST, patient_id) FROM patient
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY age), mode() WITHIN GROUP (ORDER BY ward) FROM patient
SELECT percentile_disc(ARRAY[0.25, 0.75]) WITHIN GROUP (ORDER BY age) FROM patient
SELECT rank(45) WITHIN GROUP (ORDER BY age) FROM patient
SELECT json_agg(p ORDER BY patient_id) FROM patient p
SELECT jsonb_object_agg(patient_id, name) FROM patient
SELECT json_build_object('n', name, 'a', age) FROM patient
SELECT bool_and(age > 1), every(age > 1), bool_or(age > 50), bit_or(ward), stddev(age), variance(age), corr(age, ward) FROM patient
SELECT xmlagg(xmlelement(name n, name) ORDER BY patient_id)::text FROM patient
SELECT (count(*))::int + 1 FROM patient
SELECT max(age) - min(age) AS spread FROM patient WHERE ward = 1

-- WINDOW.
SELECT name, row_number() OVER (ORDER BY patient_id) FROM patient
SELECT name, rank() OVER w, sum(age) OVER (w ROWS UNBOUNDED PRECEDING) FROM patient WINDOW w AS (PARTITION BY ward ORDER BY patient_id)
SELECT name, sum(age) OVER w2 FROM patient WINDOW w AS (PARTITION BY ward), w2 AS (w ORDER BY patient_id)
SELECT name, avg(age) OVER (PARTITION BY ward ORDER BY patient_id ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING EXCLUDE CURRENT ROW) FROM patient
SELECT name, count(*) OVER (ORDER BY age RANGE BETWEEN 10 PRECEDING AND CURRENT ROW) FROM patient
SELECT name, count(*) OVER (ORDER BY ward GROUPS BETWEEN 1 PRECEDING AND UNBOUNDED FOLLOWING EXCLUDE TIES) FROM patient
SELECT name, count(*) OVER (ORDER BY ward, patient_id GROUPS 1 PRECEDING EXCLUDE GROUP) FROM patient
SELECT name, lag(name, 1, 'none') OVER (ORDER BY patient_id), first_value(name) OVER (ORDER BY patient_id), ntile(2) OVER (ORDER BY patient_id) FROM patient
SELECT name, count(*) FILTER (WHERE age > 40) OVER () FROM patient
SELECT ward, count(*), sum(count(*)) OVER () FROM patient GROUP BY ward
SELECT name FROM patient ORDER BY row_number() OVER (ORDER BY patient_id DESC)
SELECT * FROM (SELECT name, rank() OVER (PARTITION BY ward ORDER BY patient_id) r FROM patient) x WHERE r = 1

-- UNION, INTERSECT, EXCEPT.
SELECT name FROM patient UNION SELECT kind FROM encounter
SELECT name FROM patient UNION ALL SELECT kind FROM encounter
SELECT name FROM patient UNION DISTINCT SELECT kind FROM encounter
SELECT ward FROM patient INTERSECT SELECT score FROM encounter
SELECT ward FROM patient INTERSECT ALL SELECT score FROM encounter
SELECT ward FROM patient EXCEPT SELECT score FROM encounter
SELECT ward FROM patient EXCEPT ALL SELECT score FROM encounter
SELECT ward FROM ward EXCEPT SELECT ward FROM patient
SELECT name FROM patient UNION SELECT kind FROM encounter EXCEPT SELECT 'in' ORDER BY 1
(SELECT name FROM patient ORDER BY patient_id LIMIT 1) UNION ALL (SELECT kind FROM encounter ORDER BY encounter_id LIMIT 1)
SELECT name FROM patient UNION (SELECT kind FROM encounter INTERSECT SELECT 'in')
SELECT 1 UNION ALL SELECT patient_id FROM patient UNION ALL VALUES (5), (6)
TABLE ward UNION ALL SELECT ward, name FROM patient
SELECT name FROM patient UNION ALL SELECT kind FROM encounter ORDER BY name DESC LIMIT 3
SELECT count(*) FROM (SELECT ward FROM patient UNION SELECT score FROM encounter) x

-- ORDER BY, LIMIT, OFFSET, FETCH.
SELECT name FROM patient ORDER BY age DESC NULLS LAST, patient_id ASC
SELECT name AS n FROM patient ORDER BY n, patient_id
SELECT patient_id, name FROM patient ORDER BY 2, 1
SELECT name FROM patient ORDER BY patient_id USING >
SELECT name FROM patient ORDER BY length(name), name, patient_id
SELECT name FROM patient ORDER BY CASE WHEN age > 40 THEN 0 ELSE 1 END, patient_id
SELECT name FROM patient ORDER BY name COLLATE "C" DESC, patient_id LIMIT 2
SELECT name FROM patient ORDER BY patient_id LIMIT ALL
SELECT name FROM patient ORDER BY patient_id LIMIT NULL OFFSET 1
SELECT name FROM patient ORDER BY patient_id OFFSET 1
SELECT name FROM patient ORDER BY patient_id OFFSET 1 ROW
SELECT name FROM patient ORDER BY patient_id OFFSET 1 ROWS FETCH NEXT 1 ROW ONLY
SELECT name FROM patient ORDER BY patient_id FETCH FIRST ROW ONLY
SELECT name FROM patient ORDER BY patient_id FETCH FIRST 2 ROWS ONLY OFFSET 1
SELECT name FROM patient ORDER BY ward FETCH FIRST 1 ROW WITH TIES
SELECT name FROM patient ORDER BY patient_id FETCH FIRST (1 + 1) ROWS ONLY
SELECT name FROM patient ORDER BY patient_id LIMIT 1 + 1 OFFSET 2 - 1
SELECT name FROM patient ORDER BY patient_id LIMIT (SELECT count(*) FROM ward)
SELECT name FROM patient ORDER BY patient_id OFFSET (SELECT 1) LIMIT 2

-- Locking.
SELECT name FROM patient WHERE patient_id = 1 FOR UPDATE
SELECT name FROM patient FOR NO KEY UPDATE
SELECT name FROM patient FOR SHARE NOWAIT
SELECT name FROM patient FOR KEY SHARE SKIP LOCKED
SELECT p.name FROM patient p JOIN encounter e USING (patient_id) FOR UPDATE OF p
SELECT p.name FROM patient p JOIN encounter e USING (patient_id) FOR UPDATE OF p SKIP LOCKED FOR SHARE OF e
-SELECT p.name FROM patient p ORDER BY patient_id LIMIT 1 FOR UPDATE

-- WITH.
WITH x AS (SELECT * FROM patient) SELECT name FROM x
WITH x (a, b) AS (SELECT patient_id, name FROM patient) SELECT b FROM x WHERE a > 1
WITH x AS MATERIALIZED (SELECT * FROM patient) SELECT name FROM x JOIN x y USING (patient_id, name)
WITH x AS NOT MATERIALIZED (SELECT * FROM patient) SELECT count(*) FROM x
WITH x AS (SELECT * FROM patient), y AS (SELECT * FROM x WHERE age > 40) SELECT name FROM y
WITH x AS (SELECT 1 AS i) SELECT name, i FROM patient, x
WITH patient AS (SELECT 1 AS name) SELECT name FROM patient
SELECT * FROM (WITH x AS (SELECT name FROM patient) SELECT * FROM x) y
WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 3) SELECT name, n FROM patient, r
WITH RECURSIVE r (id) AS (SELECT patient_id FROM patient WHERE patient_id = 1 UNION SELECT p.patient_id FROM patient p JOIN r ON p.patient_id = r.id + 1) SELECT * FROM r
WITH RECURSIVE r (id, d) AS (SELECT patient_id, 1 FROM patient WHERE patient_id = 1 UNION ALL SELECT p.patient_id, d + 1 FROM patient p JOIN r ON p.patient_id = r.id + 1) SELECT * FROM r
WITH RECURSIVE r (id) AS (SELECT patient_id FROM patient WHERE patient_id = 1 UNION ALL SELECT p.patient_id FROM patient p JOIN r ON p.patient_id = r.id + 1) SEARCH DEPTH FIRST BY id SET o SELECT id FROM r ORDER BY o
WITH RECURSIVE r (id) AS (SELECT patient_id FROM patient WHERE patient_id = 1 UNION ALL SELECT p.patient_id FROM patient p JOIN r ON p.patient_id = r.id + 1) SEARCH BREADTH FIRST BY id SET o SELECT id FROM r ORDER BY o
WITH RECURSIVE r (id) AS (SELECT patient_id FROM patient UNION ALL SELECT p.patient_id FROM patient p JOIN r ON p.ward = r.id) CYCLE id SET c USING path SELECT id, c FROM r
WITH RECURSIVE r (id) AS (SELECT patient_id FROM patient WHERE patient_id = 1 UNION ALL SELECT p.patient_id FROM patient p JOIN r ON p.patient_id = r.id + 1) CYCLE id SET c TO 'Y' DEFAULT 'N' USING path SELECT id, c FROM r

-- Expressions.
SELECT p FROM patient p
SELECT (p).name FROM patient p
!SELECT (p).* FROM patient p
SELECT p.*::text FROM patient p
SELECT row_to_json(p) FROM patient p
SELECT to_jsonb(p) - 'doc' FROM patient p
SELECT count(p), count(p.*) FROM patient p
SELECT ROW(p.*) FROM patient p
SELECT ROW(name, age), (name, age) FROM patient
SELECT (ROW(name, age)).f1 FROM patient
SELECT p IS NULL, p IS NOT NULL FROM patient p
SELECT name FROM patient p WHERE p IS NOT NULL
SELECT name FROM patient p WHERE p = p
SELECT name FROM patient p ORDER BY p
SELECT CASE WHEN age > 40 THEN 'old' WHEN age IS NULL THEN NULL ELSE 'young' END FROM patient
SELECT CASE ward WHEN 1 THEN 'one' ELSE 'other' END FROM patient
SELECT COALESCE(age, 0), NULLIF(ward, 1), GREATEST(age, ward), LEAST(age, ward, 5) FROM patient
SELECT age + 1, age - 1, age * 2, age / 2, age % 2, age ^ 2, -age, +age, @ age, |/ age FROM patient
SELECT age & 1, age | 1, age # 1, ~age, age << 1, age >> 1 FROM patient
SELECT name || 'x', name || age, 'a' || name || 'b' FROM patient
SELECT age::numeric(5,1), age::float8, CAST(age AS varchar(2)), age::"char", born::timestamptz IS NULL FROM patient
SELECT int '1', date '2020-01-01', interval '1 day', timestamp with time zone '2020-01-01Z' > now(), name FROM patient
SELECT interval '1' day, interval '1-2' year to month, interval '1 02:03' day to second(0), name FROM patient
SELECT ARRAY[age, ward], ARRAY[[1,2],[3,4]], ARRAY[]::int[], '{1,2}'::int[] FROM patient
SELECT tags[1], tags[1:2], tags[:1], tags[2:], tags[:] FROM patient
SELECT (ARRAY[name, 'x'])[1], (tags)[1] FROM patient
SELECT array_length(tags, 1), cardinality(tags), array_to_string(tags, ','), tags || 'z' FROM patient
SELECT EXTRACT(year FROM born), date_part('month', born), date_trunc('month', born), age(born, born) FROM patient
SELECT substring(name FROM 1 FOR 1), substring(name FROM 2), substring(name FROM 'n(.)'), substring(name, 1, 1), substring(name SIMILAR 'n#"_#"' ESCAPE '#') FROM patient
SELECT trim(name), trim(BOTH 'n' FROM name), trim(LEADING FROM name), trim(TRAILING 'x' FROM name), btrim(name, 'n') FROM patient
SELECT position('n' IN name), overlay(name PLACING 'x' FROM 1 FOR 1), upper(name), initcap(name), lpad(name, 5, '*') FROM patient
SELECT name COLLATE "C" < 'z', collation for (name), pg_typeof(name) FROM patient
SELECT format('%s-%s', name, age), concat(name, age), concat_ws(',', name, age), md5(name) FROM patient
SELECT to_char(born, 'YYYY-MM'), to_char(age, '999'), age::text FROM patient
SELECT current_user = session_user, current_date = CURRENT_DATE, localtimestamp IS NULL, current_schema, name FROM patient
SELECT (SELECT count(*) FROM encounter e WHERE e.patient_id = p.patient_id), ARRAY(SELECT kind FROM encounter e WHERE e.patient_id = p.patient_id ORDER BY encounter_id) FROM patient p
SELECT EXISTS (SELECT FROM encounter e WHERE e.patient_id = p.patient_id), p.patient_id IN (SELECT patient_id FROM encounter) FROM patient p
SELECT (SELECT e.kind FROM encounter e WHERE e.patient_id = p.patient_id ORDER BY encounter_id LIMIT 1) FROM patient p
-SELECT ((SELECT p2 FROM patient p2 ORDER BY patient_id LIMIT 1)).name FROM ward
SELECT E'a\tb', U&'\0061', $$x'y$$, $t$z$t$, B'101', X'1F', 1.5e3, .5, name FROM patient
SELECT name AS "a ""b""", U&"n\0061me" FROM patient
SELECT doc -> 'a', doc ->> 'a', doc #> '{a}', doc || '{"z": 1}', doc - 'a', doc ? 'a', jsonb_typeof(doc) FROM patient
SELECT doc['a'], jsonb_path_query_array(doc, '$.*'), jsonb_array_length('[1]') FROM patient
SELECT xmlelement(name a, xmlattributes(name AS n), age)::text, xmlforest(name, age)::text, xmlconcat('<a/>', '<b/>')::text FROM patient
SELECT xmlserialize(CONTENT xmlelement(name a, name) AS text), xmlpi(name php)::text FROM patient
SELECT num_nulls(age, ward), num_nonnulls(VARIADIC tags) FROM patient
SELECT make_date(year => 2020, month => 1, day => 1), make_interval(days := 3), name FROM patient
SELECT regexp_replace(name, 'n', 'm', 'g'), regexp_match(name, 'n(.)'), split_part(name, 'n', 2), regexp_split_to_array(name, 'n') FROM patient
SELECT age BETWEEN 1 AND 50, age IN (1, 45), name LIKE 'n%', age IS NULL, age = ANY (ARRAY[45]), NOT (age > 1) FROM patient
SELECT age > 40 AND ward = 1 OR name = 'x' AND NOT ward IS NULL FROM patient
SELECT '2020-01-01'::date - born, born + 1, born - interval '1 day', e.at - e.at, e.at::date, e.at AT TIME ZONE 'Europe/Berlin' IS NULL, e.at AT LOCAL IS NULL FROM patient p JOIN encounter e USING (patient_id)
SELECT e.at AT TIME ZONE 'Europe/Berlin', timezone('UTC', e.at) FROM encounter e
SELECT name IS NORMALIZED, normalize(name, NFC), name IS NFKC NORMALIZED FROM patient
SELECT width_bucket(age, 0, 100, 5), round(weight, 1), ceil(weight), trunc(weight), power(age, 2), log(10) FROM patient
SELECT name, coalesce(nullif(name, ''), 'none') FROM patient WHERE coalesce(age, 0) > 0
SELECT -1 ^ 2, 2 ^ -1, 1 - -1, - - 1, not true = false, name FROM patient
SELECT patient_id::text || '/' || coalesce(ward::text, '-') AS k FROM patient ORDER BY k
SELECT name FROM patient WHERE (SELECT true)
SELECT name FROM patient WHERE current_setting('server_version_num')::int > 1

-- System columns, row types.
!SELECT tableoid::regclass FROM patient
!SELECT ctid FROM patient
!SELECT xmin FROM patient

-- Views without an entry.
SELECT * FROM v_adults
SELECT * FROM v_adults WHERE age > 50
SELECT v.name FROM v_adults v WHERE v.patient_id = 1
SELECT v.name, v.n FROM v_counts v ORDER BY v.name, v.n
SELECT clinic.v_adults.name FROM clinic.v_adults
SELECT a FROM v_adults AS v (i, a)
SELECT v_adults.name, e.kind FROM v_adults JOIN encounter e USING (patient_id)
SELECT p.name, v.name FROM patient p LEFT JOIN v_adults v ON v.patient_id = p.patient_id AND v.age > 50
SELECT * FROM v_wards
SELECT * FROM v_of_v
SELECT * FROM v_union ORDER BY 1
SELECT count(*) FROM v_distinct
SELECT * FROM v_window WHERE r = 1
SELECT * FROM v_with
SELECT * FROM v_barrier WHERE age > 1
SELECT * FROM v_barrier WHERE 10 / age > 0
SELECT name FROM v_adults UNION SELECT name FROM v_of_v
SELECT name FROM patient WHERE patient_id IN (SELECT patient_id FROM v_adults)
WITH v_adults AS (SELECT 1 AS x) SELECT x FROM v_adults
WITH x AS (SELECT * FROM v_adults) SELECT name FROM x
SELECT (SELECT count(*) FROM v_adults)
TABLE v_adults
SELECT row_to_json(v) FROM v_adults v
SELECT name FROM v_adults FOR UPDATE
SELECT * FROM v_free
SELECT * FROM v_results
SELECT * FROM v_lateral
!SELECT * FROM v_function
!SELECT * FROM v_closed
!SELECT * FROM v_statistics
!UPDATE v_adults SET age = 1
!INSERT INTO v_adults (patient_id) VALUES (1)
!DELETE FROM v_adults

-- Columns named like functions: a built-in one that takes no row, and one of the database's own that takes a row of this very table.
SELECT s.system FROM sample s
SELECT s.system, s.nextval FROM sample s WHERE 10 / (s.nextval + 1) > 0 ORDER BY s.system
SELECT s.* FROM sample s WHERE 10 / (s.sample_id + 1) > 0
SELECT sample.system FROM clinic.sample WHERE clinic.sample.system > 's'
SELECT x."system" FROM (SELECT name AS "system" FROM patient) x
SELECT x.system, p.name FROM (VALUES ('n1'), ('b')) x(system) JOIN patient p ON p.name = x.system
WITH x AS (SELECT name AS system, age FROM patient) SELECT x.system FROM x WHERE 100 / (x.age + 1) > 1
WITH x (system) AS (SELECT name FROM patient) SELECT x.system FROM x ORDER BY x.system
SELECT s.status FROM sample s
SELECT s.status FROM sample s WHERE 10 / (s.sample_id + 1) > 0
SELECT x.status FROM (SELECT * FROM sample) x
SELECT x.status FROM (SELECT s.status, p.name FROM sample s JOIN patient p USING (patient_id)) x
SELECT x.status FROM (SELECT s.* FROM sample s JOIN patient p USING (patient_id) UNION SELECT 1, 1, 'a', 'b', 1) x
SELECT x.status FROM patient p CROSS JOIN LATERAL (SELECT s.status FROM sample s WHERE s.patient_id = p.patient_id) x
SELECT j.status FROM (sample s JOIN patient p USING (patient_id)) j
WITH s AS (SELECT * FROM sample), t (status) AS (SELECT name FROM patient) SELECT s.status, t.status FROM s, t
WITH RECURSIVE r (status) AS (SELECT name FROM patient UNION SELECT left(r.status, -1) FROM r WHERE r.status <> '') SELECT r.status FROM r
SELECT e.status FROM (SELECT name FROM patient) AS e (status)
SELECT s.status FROM sample s (status, b, c, d)
SELECT s.status, p.name FROM sample s JOIN patient p USING (patient_id) WHERE 10 / (s.sample_id + p.age + 1) >= 0
SELECT s.status FROM sample s WHERE EXISTS (SELECT 1 FROM encounter s WHERE s.kind = 'in')
!SELECT e.status FROM encounter e
!SELECT (SELECT clinic.encounter.status FROM sample AS encounter LIMIT 1) FROM clinic.encounter
!SELECT s.status FROM encounter s WHERE EXISTS (SELECT s.status FROM sample s)
!WITH a AS (SELECT encounter.status FROM encounter), encounter AS (SELECT 'a' AS status) SELECT encounter.status FROM encounter, a
!SELECT (s).status FROM sample s
!SELECT e.status FROM encounter e, json_to_record('{}') AS x (status text)

-- Conditions of joins whose rows are locked.
SELECT p.name FROM patient p JOIN encounter e ON e.encounter_id = p.patient_id + 1 FOR UPDATE OF p
SELECT p.name FROM patient p JOIN encounter e ON e.patient_id = p.patient_id AND 10 / (e.encounter_id + 1) > 0 WHERE p.age > 40 FOR UPDATE OF p
SELECT p.name, e.kind FROM patient p LEFT JOIN encounter e ON e.encounter_id = p.patient_id + 1 FOR UPDATE OF p
SELECT p.name, e.kind FROM patient p LEFT JOIN encounter e ON e.patient_id = p.patient_id AND e.encounter_id + 1 > 2 WHERE p.age > 1 FOR UPDATE OF p
SELECT p.name, e.kind, w.wname FROM patient p LEFT JOIN encounter e ON e.encounter_id = p.patient_id + 1 JOIN ward w ON w.ward = p.ward + 0 FOR UPDATE OF p
SELECT p.name, e.kind FROM encounter e RIGHT JOIN patient p ON 10 / p.patient_id > e.encounter_id FOR UPDATE OF p
SELECT p.name FROM patient p JOIN encounter e ON 100 / (p.age - 46) < e.encounter_id FOR UPDATE
SELECT p.name FROM ward w JOIN patient p ON p.ward + 0 = w.ward FOR NO KEY UPDATE OF p

-- Every kind of operator before ANY and ALL.
SELECT name FROM patient WHERE ('10.0.1.' || patient_id)::inet << ANY (ARRAY['10.0.1.0/24', '10.1.0.0/16']::inet[])
SELECT name FROM patient WHERE doc @> ANY (ARRAY['{"a": 1}', '{"b": 3}']::jsonb[]) OR doc ?| ALL ('{}'::text[])
SELECT name FROM patient WHERE age <@ ANY (ARRAY['[1,46)']::int4range[]) AND age <@ ALL (ARRAY['[1,60)', '[40,50)']::int4range[])
SELECT name FROM patient WHERE to_tsvector('simple', name) @@ ANY (ARRAY['n1', 'n3']::tsquery[])
SELECT name, name ^@ ANY (ARRAY['n1', 'x']), name OPERATOR(pg_catalog.=) ANY (ARRAY['n1']) FROM patient
SELECT name FROM patient WHERE box(point(age, 1), point(age, 2)) && ANY (ARRAY['(40,0),(50,9)'::box]) AND point(age, 1) <@ SOME (ARRAY['(40,0),(50,9)'::box])

-- Rows beside operators.
SELECT e.* IS NULL, e.* IS NOT NULL FROM encounter e
SELECT e.* = e.*, e.encounter_id FROM encounter e
SELECT e.encounter_id FROM encounter e WHERE e.* = e.* AND e.* IS NOT NULL
SELECT p.name, e.* IS NULL AS none FROM patient p LEFT JOIN encounter e USING (patient_id)
SELECT xmlexists('//a' PASSING (('<a>' || name || '</a>')::xml)), xmlexists('//b' PASSING BY REF ('<b/>'::xml)) FROM patient
SELECT name FROM patient WHERE xmlexists('//a[text() = "n1"]' PASSING BY VALUE (('<a>' || name || '</a>')::xml) BY VALUE)

-- Long and deep.
SELECT name || 'a' || 'b' || 'c' || 'd' || 'e' || 'f' || 'g' || 'h' || 'i' || 'j' || 'k' || 'l' || 'm' || 'n' || 'o' || 'p' || 'q' || 'r' || 's' || 't' || 'u' || 'v' || 'w' || 'x' || 'y' || 'z' || 'a' || 'b' || 'c' || 'd' || 'e' || 'f' || 'g' || 'h' || 'i' || 'j' || 'k' || 'l' || 'm' || 'n' || 'o' || 'p' || 'q' || 'r' || 's' || 't' || 'u' || 'v' || 'w' || 'x' || 'y' || 'z' FROM patient
SELECT name FROM (SELECT name FROM (SELECT name FROM (SELECT name FROM (SELECT name FROM (SELECT name FROM (SELECT name FROM (SELECT name FROM (SELECT name FROM (SELECT name FROM (SELECT name FROM (SELECT name FROM (SELECT name FROM (SELECT name FROM (SELECT name FROM (SELECT name FROM (SELECT name FROM (SELECT name FROM (SELECT name FROM (SELECT name FROM (SELECT name FROM (SELECT name FROM (SELECT name FROM (SELECT name FROM patient) a) a) a) a) a) a) a) a) a) a) a) a) a) a) a) a) a) a) a) a) a) a) a

-- Words that are names here and keywords of other dialects, or of PostgreSQL elsewhere.
SELECT name FROM patient open
SELECT settings.name FROM patient settings WHERE settings.age > 40
SELECT Format.name, semi.kind FROM patient Format JOIN encounter semi USING (patient_id) WHERE 10 / format.age > 0
SELECT top.name, top FROM patient AS top WHERE top.age > 40
SELECT pivot, top, qualify FROM patient pivot (pivot, top, qualify)
SELECT asof.name FROM (SELECT name, age FROM patient) asof WHERE asof.age > 40
SELECT global.name FROM patient global LEFT JOIN encounter anti ON anti.patient_id = global.patient_id
SELECT name FROM patient qualify ORDER BY name
SELECT name FROM patient prewhere WHERE prewhere.ward = 1
SELECT name FROM patient output FOR UPDATE OF output
SELECT name FROM patient partition UNION SELECT kind FROM encounter set
WITH recursive AS (SELECT name FROM patient) SELECT name FROM recursive
SELECT cube, count(*) FROM (SELECT ward AS cube FROM patient) rollup GROUP BY cube
SELECT rank() OVER (sample ORDER BY patient_id) FROM patient WINDOW sample AS (PARTITION BY ward)
SELECT rank() OVER (match) FROM patient WINDOW match AS (ORDER BY patient_id)
SELECT name select, age AS from, ward table FROM patient
SELECT connect.year, connect.year - 1 FROM (SELECT age AS year FROM patient) connect WHERE 10 / connect.year >= 0
SELECT p.name FROM patient p WHERE EXISTS (SELECT match_condition.kind FROM encounter match_condition WHERE match_condition.patient_id = p.patient_id)

-- What the rewriter's grammar reads otherwise.
SELECT - - age, - (- age), - @ age, - ~ age, @ - age FROM patient
SELECT name FROM patient WHERE patient_id = - - 1
SELECT name FROM patient p WHERE EXISTS (TABLE encounter)
SELECT name FROM patient UNION (TABLE v_union)
SELECT p.name, w.wname FROM patient p CROSS JOIN LATERAL (TABLE ward) w
WITH x AS (TABLE patient) TABLE x
SELECT name FROM patient WHERE name LIKE ALL (SELECT name FROM patient WHERE ward = 1)
SELECT name FROM patient WHERE name NOT LIKE ANY (SELECT name FROM patient WHERE ward = 1)
SELECT name FROM patient WHERE name ILIKE SOME (SELECT upper(kind) FROM encounter) OR name NOT ILIKE ALL (SELECT kind FROM encounter)
SELECT name FROM patient WHERE tags <@ ANY (SELECT tags FROM patient)
SELECT name FROM patient WHERE NOT tags && ALL (SELECT tags FROM patient WHERE patient_id < 3) AND tags @> SOME (SELECT '{b}'::text[])
SELECT name FROM patient WHERE doc ? ANY (ARRAY['a', 'b'])
SELECT name FROM patient WHERE age OPERATOR(pg_catalog.=) ANY ('{45,55}')
SELECT name FROM patient WHERE (age, name) OPERATOR(pg_catalog.=) ANY (SELECT age, name FROM patient WHERE ward = 1)
SELECT name FROM patient WHERE age IN ((SELECT max(age) FROM patient), (SELECT min(age) FROM patient), 45)
SELECT name FROM patient WHERE age NOT IN ((SELECT 45), 55)
SELECT name FROM patient WHERE patient *= patient AND patient *<> ROW(NULL)
SELECT name FROM patient WHERE to_tsvector('simple', name) @@@ to_tsquery('simple', 'n1')
SELECT name FROM patient WHERE name === 'n1'
SELECT name FROM patient WHERE name === ANY (ARRAY['n1', 'n2'])
SELECT p.name FROM patient p JOIN encounter e ON e.kind === p.name OR e.patient_id = p.patient_id
SELECT a, name FROM patient, json_to_record('{"a": 1}') AS (a int, b text)
SELECT a, name FROM patient, jsonb_to_recordset('[{"a": 1}, {"a": 2}]') AS (a int) WHERE a = 1
SELECT x IS DOCUMENT, x IS NOT DOCUMENT FROM (SELECT '<a/>'::xml AS x, name FROM patient) y

-- Later grammars.
~SELECT 1_000, 0x1F, 0o7, 0b1, name FROM patient
~SELECT any_value(name) FROM patient
~SELECT JSON_OBJECT('n': name, 'a': age ABSENT ON NULL) FROM patient
~SELECT JSON_ARRAY(name, age), JSON_SCALAR(age), JSON_SERIALIZE(doc) FROM patient
~SELECT JSON_OBJECTAGG(patient_id: name), JSON_ARRAYAGG(name ORDER BY name) FROM patient
~SELECT name FROM patient WHERE name IS JSON OBJECT
~SELECT JSON_VALUE(doc, '$.a' RETURNING int DEFAULT 0 ON EMPTY), JSON_QUERY(doc, '$.a'), JSON_EXISTS(doc, '$.a') FROM patient
~SELECT p.name, t.a FROM patient p, JSON_TABLE(p.doc, '$' COLUMNS (a int PATH '$.a', n FOR ORDINALITY)) t
~SELECT random(1, 5), name FROM patient
~SELECT e.at AT LOCAL FROM encounter e
~SELECT name FROM (SELECT name FROM patient)

-- Found elsewhere.
WITH RECURSIVE r (n) AS (SELECT min(patient_id) FROM patient UNION ALL SELECT (SELECT min(patient_id) FROM patient WHERE patient_id > r.n) FROM r WHERE r.n IS NOT NULL) SELECT n FROM r
WITH x AS (SELECT patient_id, count(*) AS n FROM encounter GROUP BY 1 HAVING count(*) > 1) SELECT * FROM x ORDER BY 1
SELECT * FROM (WITH x AS (SELECT patient_id FROM encounter) SELECT patient_id FROM patient EXCEPT SELECT * FROM x) y ORDER BY 1
WITH x AS (SELECT patient_id FROM patient) SELECT count(*) FROM x a, x b
SELECT p.name, l.code FROM patient p JOIN lab_order o ON o.patient_id = p.patient_id JOIN lab_result l ON l.order_id = o.order_id WHERE p.patient_id = 1 AND 10 / (l.value + 1) > 0
SELECT p.name, e.kind FROM patient p JOIN encounter e ON e.patient_id = p.patient_id WHERE p.patient_id IN (1, 2) AND to_char(e.at, 'YYYY') = '2024'
