-- Analysts, clerks and clinicians on the demonstration hospital: demographics, visits and problems, which every role of
-- the corpus may read. Unqualified names mean schema clinic.

-- Looking things up
SELECT * FROM patient LIMIT 100
SELECT patient_id, name, birth_date FROM patient ORDER BY name, birth_date DESC
SELECT name, phone FROM patient WHERE name ILIKE '%nov%' OR phone LIKE '555%'
SELECT * FROM patient WHERE lower(name) = lower('Sofia Novak') AND birth_date >= '1950-01-01'
SELECT p.name, e.* FROM patient p JOIN encounter e USING (patient_id) WHERE e.discharged_at IS NULL ORDER BY e.admitted_at
SELECT p.name, w.name AS ward, e.admitted_at FROM encounter e JOIN patient p ON p.patient_id = e.patient_id JOIN ward w ON w.ward_id = e.ward_id WHERE e.kind = 'inpatient' AND w.code = 'W3'
SELECT p.name, b.bed, w.code FROM bed_assignment b JOIN ward w USING (ward_id) LEFT JOIN patient p USING (patient_id) WHERE b.to_time IS NULL ORDER BY w.code, b.bed
SELECT a.starts_at, a.minutes, p.name FROM appointment a LEFT JOIN patient p USING (patient_id) WHERE a.starts_at::date = current_date ORDER BY a.starts_at
SELECT name FROM patient WHERE patient_id IN (880003, 880015, 880027)
SELECT name, age(birth_date) FROM patient ORDER BY birth_date LIMIT 5
SELECT name, date_part('year', age(birth_date)) AS years FROM patient WHERE date_part('year', age(birth_date)) > 65
SELECT name, extract(year FROM age(now(), birth_date)) AS years FROM patient ORDER BY 2 DESC NULLS LAST
SELECT patient_id, string_agg(icd10, ', ' ORDER BY icd10) FROM problem WHERE status = 'active' GROUP BY patient_id
SELECT title, onset FROM problem WHERE icd10 LIKE 'E11%' OR icd10 LIKE 'I10%' ORDER BY onset DESC
SELECT * FROM problem WHERE icd10 SIMILAR TO '(E1[0-4]|I[12]0)%'
SELECT * FROM problem WHERE icd10 ~ '^(E11|I10)' AND title !~* 'history'
SELECT member, function FROM care_team WHERE since <= current_date ORDER BY member
SELECT complaint, count(*) FROM encounter WHERE kind = 'emergency' GROUP BY complaint ORDER BY count(*) DESC LIMIT 10
SELECT DISTINCT complaint FROM encounter ORDER BY complaint
SELECT DISTINCT ON (patient_id) patient_id, admitted_at, kind FROM encounter ORDER BY patient_id, admitted_at DESC
SELECT p.*, (SELECT max(e.admitted_at) FROM encounter e WHERE e.patient_id = p.patient_id) AS last_seen FROM patient p
SELECT * FROM patient WHERE zip IS NULL OR trim(zip) = ''
SELECT name FROM patient WHERE email LIKE '%@example.%' ESCAPE '!'
SELECT patient_id, split_part(name, ' ', 1) AS first, split_part(name, ' ', 2) AS last FROM patient
SELECT upper(left(name, 1)) AS initial, count(*) FROM patient GROUP BY 1 ORDER BY 1
SELECT regexp_replace(phone, '[^0-9]', '', 'g') FROM patient
SELECT name FROM patient WHERE regexp_replace(coalesce(phone, ''), '\D', '', 'g') LIKE '%1234'
SELECT concat_ws(', ', name, address, zip) FROM patient
SELECT format('%s (%s)', name, sex) FROM patient
SELECT name FROM patient WHERE name > 'M' ORDER BY name COLLATE "C" LIMIT 20
SELECT name || ' ' || coalesce(zip, '-') AS label FROM patient
-- Counting
SELECT count(*) FROM encounter
SELECT count(*), count(discharged_at), count(DISTINCT patient_id) FROM encounter
SELECT sex, count(*) AS n, round(100.0 * count(*) / sum(count(*)) OVER (), 1) AS pct FROM patient GROUP BY sex
SELECT sex, language, count(*) FROM patient GROUP BY sex, language HAVING count(*) > 1 ORDER BY 3 DESC
SELECT width_bucket(extract(year FROM age(birth_date))::int, 0, 100, 10) AS decade, count(*) FROM patient GROUP BY 1 ORDER BY 1
SELECT CASE WHEN birth_date > current_date - interval '18 years' THEN 'child' WHEN birth_date > current_date - interval '65 years' THEN 'adult' ELSE 'older' END AS band, sex, count(*) FROM patient GROUP BY 1, 2 ORDER BY 1, 2
SELECT floor(extract(year FROM age(birth_date)) / 10) * 10 AS decade, count(*) FROM patient GROUP BY 1 ORDER BY 1
SELECT kind, count(*) FILTER (WHERE discharged_at IS NULL) AS open, count(*) FILTER (WHERE charge > 500) AS dear FROM encounter GROUP BY kind
SELECT w.name, count(e.encounter_id) AS n FROM ward w LEFT JOIN encounter e ON e.ward_id = w.ward_id AND e.admitted_at >= now() - interval '1 year' GROUP BY w.name ORDER BY n DESC
SELECT w.ward_id, w.beds, count(b.patient_id) AS taken, round(count(b.patient_id)::numeric / nullif(w.beds, 0), 2) AS occupancy FROM ward w LEFT JOIN bed_assignment b ON b.ward_id = w.ward_id AND b.to_time IS NULL GROUP BY w.ward_id, w.beds ORDER BY 4 DESC NULLS LAST
SELECT attending, count(DISTINCT patient_id) FROM encounter GROUP BY attending ORDER BY 2 DESC LIMIT 10
SELECT icd10, title, count(*) FROM problem GROUP BY icd10, title ORDER BY 3 DESC FETCH FIRST 10 ROWS ONLY
SELECT left(icd10, 3) AS category, count(DISTINCT patient_id) FROM problem WHERE status = 'active' GROUP BY 1 HAVING count(DISTINCT patient_id) >= 5
SELECT status, count(*), min(starts_at), max(starts_at) FROM appointment GROUP BY status
SELECT reason, avg(minutes), stddev_pop(minutes) FROM appointment GROUP BY reason
SELECT (SELECT count(*) FROM patient) AS patients, (SELECT count(*) FROM encounter) AS encounters, (SELECT count(*) FROM problem) AS problems
SELECT 'patient' AS t, count(*) FROM patient UNION ALL SELECT 'encounter', count(*) FROM encounter UNION ALL SELECT 'problem', count(*) FROM problem ORDER BY 1
SELECT sex, kind, count(*) FROM patient JOIN encounter USING (patient_id) GROUP BY GROUPING SETS ((sex, kind), (sex), ()) ORDER BY sex NULLS LAST, kind NULLS LAST
SELECT coalesce(kind, 'all') AS kind, sum(charge) FROM encounter GROUP BY ROLLUP (kind)
SELECT n, count(*) AS patients FROM (SELECT patient_id, count(*) AS n FROM encounter GROUP BY patient_id) x GROUP BY n ORDER BY n
SELECT e.kind, mode() WITHIN GROUP (ORDER BY e.complaint) FROM encounter e GROUP BY e.kind
-- Time
SELECT date_trunc('month', admitted_at)::date AS month, count(*) FROM encounter GROUP BY 1 ORDER BY 1
SELECT to_char(admitted_at, 'YYYY-"W"IW') AS week, count(*) FROM encounter GROUP BY 1 ORDER BY 1
SELECT extract(isodow FROM admitted_at) AS day, extract(hour FROM admitted_at) AS hour, count(*) FROM encounter WHERE kind = 'emergency' GROUP BY 1, 2 ORDER BY 1, 2
SELECT date_part('quarter', admitted_at) q, sum(charge) FROM encounter WHERE admitted_at >= date_trunc('year', now()) GROUP BY 1
SELECT d::date, count(e.encounter_id) FROM generate_series(date '2024-01-01', date '2024-01-31', interval '1 day') d LEFT JOIN encounter e ON e.admitted_at >= d AND e.admitted_at < d + interval '1 day' GROUP BY d ORDER BY d
SELECT m.m, count(e.encounter_id) FROM generate_series(date_trunc('month', now()) - interval '11 months', date_trunc('month', now()), '1 month') AS m(m) LEFT JOIN encounter e ON date_trunc('month', e.admitted_at) = m.m GROUP BY m.m ORDER BY m.m
SELECT count(*) FROM encounter WHERE admitted_at BETWEEN now() - interval '90 days' AND now()
SELECT count(*) FROM encounter WHERE admitted_at >= '2024-01-01' AND admitted_at < '2025-01-01'
SELECT count(*) FROM encounter WHERE extract(year FROM admitted_at) = 2024 AND extract(month FROM admitted_at) IN (6, 7, 8)
SELECT avg(discharged_at - admitted_at) AS los FROM encounter WHERE kind = 'inpatient' AND discharged_at IS NOT NULL
SELECT kind, avg(extract(epoch FROM discharged_at - admitted_at) / 86400)::numeric(10,2) AS los FROM encounter WHERE discharged_at IS NOT NULL GROUP BY kind
SELECT kind, percentile_cont(ARRAY[0.25, 0.5, 0.75]) WITHIN GROUP (ORDER BY extract(epoch FROM discharged_at - admitted_at)) FROM encounter GROUP BY kind
SELECT ward_id, percentile_disc(0.5) WITHIN GROUP (ORDER BY charge) AS median FROM encounter GROUP BY ward_id
SELECT * FROM encounter WHERE discharged_at - admitted_at > interval '14 days'
SELECT * FROM encounter WHERE (admitted_at, coalesce(discharged_at, 'infinity')) OVERLAPS (timestamptz '2024-01-01', timestamptz '2024-02-01')
SELECT count(*) FROM bed_assignment WHERE tstzrange(from_time, to_time) @> timestamptz '2024-06-01 12:00+00'
SELECT a.patient_id FROM encounter a JOIN encounter b ON b.patient_id = a.patient_id AND b.admitted_at > a.discharged_at AND b.admitted_at <= a.discharged_at + interval '30 days' WHERE a.kind = 'inpatient' AND b.kind = 'inpatient'
SELECT count(*) FILTER (WHERE readmitted) * 100.0 / nullif(count(*), 0) FROM (SELECT EXISTS (SELECT 1 FROM encounter b WHERE b.patient_id = a.patient_id AND b.admitted_at > a.discharged_at AND b.admitted_at <= a.discharged_at + interval '30 days') AS readmitted FROM encounter a WHERE a.kind = 'inpatient' AND a.discharged_at IS NOT NULL) x
SELECT patient_id, admitted_at, lag(discharged_at) OVER w AS before, admitted_at - lag(discharged_at) OVER w AS gap FROM encounter WINDOW w AS (PARTITION BY patient_id ORDER BY admitted_at)
SELECT * FROM (SELECT patient_id, admitted_at - lag(discharged_at) OVER (PARTITION BY patient_id ORDER BY admitted_at) AS gap FROM encounter) x WHERE gap < interval '30 days'
SELECT month, n, sum(n) OVER (ORDER BY month) AS running, avg(n) OVER (ORDER BY month ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) AS moving FROM (SELECT date_trunc('month', admitted_at) AS month, count(*) AS n FROM encounter GROUP BY 1) x ORDER BY month
WITH m AS (SELECT date_trunc('month', admitted_at) AS month, sum(charge) AS s FROM encounter GROUP BY 1) SELECT month, s, s - lag(s) OVER (ORDER BY month) AS change, round(100 * (s / nullif(lag(s) OVER (ORDER BY month), 0) - 1), 1) AS pct FROM m ORDER BY month
SELECT patient_id, onset, date_trunc('decade', onset) FROM problem WHERE onset IS NOT NULL
SELECT p.name FROM patient p WHERE to_char(p.birth_date, 'MM-DD') = to_char(current_date, 'MM-DD')
SELECT make_date(extract(year FROM birth_date)::int, 1, 1), count(*) FROM patient GROUP BY 1
SELECT admitted_at AT TIME ZONE 'Europe/Berlin' FROM encounter WHERE (admitted_at AT TIME ZONE 'Europe/Berlin')::time BETWEEN '22:00' AND '23:59'
SELECT justify_interval(sum(discharged_at - admitted_at)) FROM encounter
SELECT current_date - birth_date AS days FROM patient WHERE current_date - birth_date > 20000
-- Cohorts
SELECT p.patient_id FROM patient p WHERE EXISTS (SELECT 1 FROM problem b WHERE b.patient_id = p.patient_id AND b.icd10 LIKE 'E11%') AND NOT EXISTS (SELECT 1 FROM problem b WHERE b.patient_id = p.patient_id AND b.icd10 LIKE 'I10%')
WITH diabetic AS (SELECT DISTINCT patient_id FROM problem WHERE icd10 LIKE 'E11%' AND status = 'active'), seen AS (SELECT patient_id, max(admitted_at) AS last FROM encounter GROUP BY patient_id) SELECT d.patient_id, s.last FROM diabetic d LEFT JOIN seen s USING (patient_id) WHERE s.last IS NULL OR s.last < now() - interval '6 months'
WITH first_visit AS (SELECT patient_id, min(admitted_at) AS t0 FROM encounter GROUP BY patient_id), cohort AS (SELECT patient_id, date_trunc('quarter', t0) AS q, t0 FROM first_visit) SELECT c.q, count(DISTINCT c.patient_id) AS n, count(DISTINCT e.patient_id) FILTER (WHERE e.admitted_at > c.t0 + interval '90 days') AS back FROM cohort c LEFT JOIN encounter e USING (patient_id) GROUP BY c.q ORDER BY c.q
SELECT patient_id FROM problem WHERE icd10 LIKE 'E11%' INTERSECT SELECT patient_id FROM problem WHERE icd10 LIKE 'I10%'
SELECT patient_id FROM problem WHERE status = 'active' EXCEPT SELECT patient_id FROM encounter WHERE admitted_at > now() - interval '1 year'
SELECT patient_id, count(*) FILTER (WHERE status = 'active') AS active, bool_or(icd10 LIKE 'C%') AS cancer FROM problem GROUP BY patient_id HAVING count(*) FILTER (WHERE status = 'active') >= 2
SELECT a.icd10, b.icd10, count(*) FROM problem a JOIN problem b ON b.patient_id = a.patient_id AND a.icd10 < b.icd10 GROUP BY 1, 2 ORDER BY 3 DESC LIMIT 20
SELECT p.patient_id, x.n FROM patient p CROSS JOIN LATERAL (SELECT count(*) AS n FROM problem b WHERE b.patient_id = p.patient_id AND b.onset <= p.birth_date + interval '40 years') x WHERE x.n > 0
SELECT p.name, l.kind, l.admitted_at FROM patient p LEFT JOIN LATERAL (SELECT kind, admitted_at FROM encounter e WHERE e.patient_id = p.patient_id ORDER BY admitted_at DESC LIMIT 3) l ON true ORDER BY p.name
SELECT * FROM (SELECT e.*, row_number() OVER (PARTITION BY patient_id ORDER BY admitted_at DESC) AS rn FROM encounter e) x WHERE rn = 1
SELECT * FROM (SELECT patient_id, charge, ntile(10) OVER (ORDER BY charge DESC) AS decile FROM encounter) x WHERE decile = 1
SELECT patient_id, sum(charge) AS total, rank() OVER (ORDER BY sum(charge) DESC) FROM encounter GROUP BY patient_id ORDER BY 3 LIMIT 20
SELECT patient_id, total, total / sum(total) OVER () AS share FROM (SELECT patient_id, sum(charge) AS total FROM encounter GROUP BY patient_id) x ORDER BY 2 DESC LIMIT 20
SELECT patient_id, charge, charge - avg(charge) OVER (PARTITION BY kind) AS above FROM encounter
SELECT kind, attending, sum(charge), sum(sum(charge)) OVER (PARTITION BY kind) FROM encounter GROUP BY kind, attending
SELECT first_value(complaint) OVER w, last_value(complaint) OVER w, nth_value(complaint, 2) OVER w FROM encounter WINDOW w AS (PARTITION BY patient_id ORDER BY admitted_at ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)
SELECT percent_rank() OVER (ORDER BY charge), cume_dist() OVER (ORDER BY charge), dense_rank() OVER (ORDER BY charge) FROM encounter
SELECT p.patient_id FROM patient p LEFT JOIN encounter e ON e.patient_id = p.patient_id WHERE e.encounter_id IS NULL
SELECT p.sex, avg(v.n) FROM patient p JOIN (SELECT patient_id, count(*) AS n FROM encounter GROUP BY patient_id) v ON v.patient_id = p.patient_id GROUP BY p.sex
SELECT e.patient_id, array_agg(DISTINCT e.kind ORDER BY e.kind) AS kinds FROM encounter e GROUP BY e.patient_id HAVING array_agg(DISTINCT e.kind) @> ARRAY['inpatient']
SELECT patient_id FROM encounter GROUP BY patient_id HAVING max(admitted_at) < now() - interval '2 years' AND count(*) > 1
WITH RECURSIVE months(m) AS (SELECT date '2024-01-01' UNION ALL SELECT (m + interval '1 month')::date FROM months WHERE m < '2024-12-01') SELECT m, (SELECT count(*) FROM encounter e WHERE e.admitted_at >= m AND e.admitted_at < m + interval '1 month') FROM months
WITH e AS MATERIALIZED (SELECT patient_id, admitted_at, coalesce(discharged_at, now()) AS until FROM encounter), islands AS (SELECT *, CASE WHEN admitted_at <= max(until) OVER (PARTITION BY patient_id ORDER BY admitted_at ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) THEN 0 ELSE 1 END AS starts FROM e), numbered AS (SELECT *, sum(starts) OVER (PARTITION BY patient_id ORDER BY admitted_at) AS island FROM islands) SELECT patient_id, island, min(admitted_at), max(until) FROM numbered GROUP BY patient_id, island
SELECT patient_id, count(*) FROM encounter GROUP BY patient_id HAVING count(*) > (SELECT avg(n) FROM (SELECT count(*) AS n FROM encounter GROUP BY patient_id) x)
-- Money
SELECT kind, sum(charge)::money FROM encounter GROUP BY kind
SELECT to_char(sum(charge), 'FM999G999G990D00') FROM encounter
SELECT round(avg(charge), 2), trunc(max(charge)), ceil(min(charge)), power(avg(charge), 2), sqrt(variance(charge)) FROM encounter
SELECT corr(charge::float8, extract(epoch FROM discharged_at - admitted_at)::float8), regr_slope(charge::float8, extract(epoch FROM discharged_at - admitted_at)::float8) FROM encounter
SELECT charge * 1.19 AS gross, charge / 1.19 AS net FROM encounter WHERE charge * 1.19 > 1000
SELECT * FROM encounter WHERE charge > 2 * (SELECT avg(charge) FROM encounter)
SELECT e.* FROM encounter e JOIN (SELECT kind, percentile_cont(0.95) WITHIN GROUP (ORDER BY charge) AS p95 FROM encounter GROUP BY kind) q ON q.kind = e.kind WHERE e.charge > q.p95
SELECT sum(CASE WHEN kind = 'inpatient' THEN charge ELSE 0 END) AS inpatient, sum(CASE WHEN kind <> 'inpatient' THEN charge END) AS other FROM encounter
SELECT patient_id, sum(charge) FROM encounter WHERE charge IS NOT NULL GROUP BY patient_id ORDER BY sum(charge) DESC OFFSET 10 LIMIT 10
SELECT greatest(charge, 100), least(charge, 1000), mod(charge::int, 10), charge::int % 10, abs(charge - 500), sign(charge - 500) FROM encounter
SELECT round(charge / 50) * 50 AS bin, repeat('#', (count(*) / 10)::int) FROM encounter GROUP BY 1 ORDER BY 1
-- JSON, arrays, texts for exports
SELECT json_build_object('id', p.patient_id, 'visits', (SELECT coalesce(json_agg(json_build_object('kind', e.kind, 'at', e.admitted_at) ORDER BY e.admitted_at), '[]') FROM encounter e WHERE e.patient_id = p.patient_id)) FROM patient p
SELECT jsonb_object_agg(kind, n) FROM (SELECT kind, count(*) AS n FROM encounter GROUP BY kind) x
SELECT row_to_json(x) FROM (SELECT patient_id, name FROM patient ORDER BY patient_id LIMIT 5) x
SELECT to_jsonb(e) ->> 'kind' FROM encounter e
SELECT array_to_string(array_agg(title ORDER BY onset), '; ') FROM problem GROUP BY patient_id
SELECT unnest(ARRAY[name, phone, email]) FROM patient
SELECT patient_id, w FROM encounter, regexp_split_to_table(complaint, '\s+') AS w
SELECT word, count(*) FROM encounter, unnest(string_to_array(lower(complaint), ' ')) AS word GROUP BY word ORDER BY 2 DESC
SELECT to_tsvector('english', complaint) @@ to_tsquery('english', 'pain') FROM encounter
SELECT encounter_id FROM encounter WHERE to_tsvector('english', complaint) @@ plainto_tsquery('english', 'chest pain')
SELECT md5(mrn), sha256(mrn::bytea), encode(sha256(mrn::bytea), 'hex') FROM patient
SELECT name::varchar(3), birth_date::text, patient_id::numeric, sex::text FROM patient
SELECT xmlelement(name patient, xmlattributes(patient_id AS id), name) FROM patient LIMIT 1
SELECT ROW(patient_id, name) FROM patient LIMIT 1
SELECT * FROM patient p WHERE ROW(p.sex, p.language) = ROW('F', 'en')
SELECT p.name, c.* FROM patient p JOIN care_team c USING (patient_id)
SELECT * FROM patient TABLESAMPLE SYSTEM (10)
SELECT * FROM patient ORDER BY random() LIMIT 10
SELECT * FROM patient ORDER BY birth_date FETCH FIRST 3 ROWS WITH TIES
COPY (SELECT patient_id, sex FROM patient) TO STDOUT WITH (FORMAT csv, HEADER)
COPY (SELECT kind, count(*) FROM encounter GROUP BY kind) TO STDOUT
COPY problem TO STDOUT
DECLARE c CURSOR FOR SELECT * FROM patient
PREPARE q (int8) AS SELECT name FROM patient WHERE patient_id = $1
SELECT * FROM patient, encounter WHERE patient.patient_id = encounter.patient_id AND encounter.kind = 'emergency'
SELECT patient.name, ward.name FROM patient NATURAL JOIN encounter JOIN ward USING (ward_id)
SELECT * FROM (patient p LEFT JOIN encounter e ON e.patient_id = p.patient_id) LEFT JOIN problem b ON b.patient_id = p.patient_id
SELECT p.name FROM patient p RIGHT JOIN encounter e ON p.patient_id = e.patient_id WHERE e.charge > 100
SELECT coalesce(a.patient_id, b.patient_id), a.n, b.n FROM (SELECT patient_id, count(*) n FROM encounter GROUP BY 1) a FULL JOIN (SELECT patient_id, count(*) n FROM problem GROUP BY 1) b ON a.patient_id = b.patient_id
SELECT x.kind FROM (SELECT kind FROM encounter UNION SELECT status FROM problem) x ORDER BY 1
(SELECT name FROM patient ORDER BY birth_date LIMIT 1) UNION ALL (SELECT name FROM patient ORDER BY birth_date DESC LIMIT 1)
SELECT p.name FROM patient p WHERE p.patient_id = ANY (ARRAY(SELECT patient_id FROM problem WHERE status = 'active'))
SELECT p.name FROM patient p WHERE p.birth_date <= ALL (SELECT birth_date FROM patient)
SELECT e.kind, e.charge FROM encounter e WHERE e.charge = (SELECT max(charge) FROM encounter x WHERE x.kind = e.kind)
SELECT p.name FROM patient p WHERE (SELECT count(*) FROM problem b WHERE b.patient_id = p.patient_id) BETWEEN 1 AND 3
SELECT p.name, (SELECT array_agg(b.icd10) FROM problem b WHERE b.patient_id = p.patient_id) FROM patient p
SELECT CASE WHEN EXISTS (SELECT 1 FROM problem b WHERE b.patient_id = p.patient_id) THEN 'ill' ELSE 'well' END, count(*) FROM patient p GROUP BY 1
SELECT sex FROM patient WHERE sex NOT IN ('F', 'M') OR sex IS NULL
SELECT nullif(language, 'en') IS NULL AS english, count(*) FROM patient GROUP BY 1
SELECT name FROM patient WHERE (name LIKE 'A%' OR name LIKE 'B%') IS NOT TRUE
SELECT patient_id % 2 = 0 AS even, count(*) FROM patient GROUP BY 1
SELECT * FROM patient WHERE patient_id BETWEEN SYMMETRIC 880100 AND 880000
SELECT name FROM patient WHERE name = ANY ('{Sofia Novak,Ann}')
SELECT EXISTS (SELECT 1 FROM encounter WHERE kind = 'inpatient' AND discharged_at IS NULL) AS full
SELECT count(*) FROM patient p, LATERAL (SELECT 1 FROM encounter e WHERE e.patient_id = p.patient_id OFFSET 2 LIMIT 1) third
EXPLAIN SELECT * FROM ward
