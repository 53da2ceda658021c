-- Questions on laboratory, medication and allergies, which nurses, physicians and analysts may read.

SELECT o.panel, r.analyte, r.value, r.unit, r.flag FROM lab_result r JOIN lab_order o USING (order_id) ORDER BY r.resulted_at DESC LIMIT 50
SELECT analyte, count(*), avg(value), min(value), max(value) FROM lab_result GROUP BY analyte ORDER BY analyte
SELECT analyte, percentile_cont(0.5) WITHIN GROUP (ORDER BY value) AS median FROM lab_result GROUP BY analyte
SELECT analyte, count(*) FILTER (WHERE flag = 'H') AS high, count(*) FILTER (WHERE flag = 'L') AS low FROM lab_result GROUP BY analyte
SELECT o.patient_id, r.value FROM lab_result r JOIN lab_order o ON o.order_id = r.order_id WHERE r.analyte = 'potassium' AND r.value > 5.5
SELECT DISTINCT ON (o.patient_id, r.analyte) o.patient_id, r.analyte, r.value, r.resulted_at FROM lab_result r JOIN lab_order o USING (order_id) ORDER BY o.patient_id, r.analyte, r.resulted_at DESC
SELECT x.* FROM (SELECT o.patient_id, r.analyte, r.value, r.value - lag(r.value) OVER (PARTITION BY o.patient_id, r.analyte ORDER BY r.resulted_at) AS delta FROM lab_result r JOIN lab_order o USING (order_id)) x WHERE abs(x.delta) > 1
SELECT date_trunc('week', resulted_at), count(*) FROM lab_result GROUP BY 1 ORDER BY 1
SELECT r.* FROM lab_result r WHERE r.flag IS NOT NULL AND r.resulted_at > now() - interval '3 days'
SELECT o.ordered_by, avg(r.resulted_at - o.ordered_at) AS turnaround FROM lab_order o JOIN lab_result r USING (order_id) GROUP BY o.ordered_by
SELECT p.name, r.analyte, r.value FROM patient p JOIN lab_order o USING (patient_id) JOIN lab_result r USING (order_id) WHERE r.value / 2 > 3
SELECT o.patient_id, jsonb_object_agg(r.analyte, r.value) FROM lab_order o JOIN lab_result r USING (order_id) GROUP BY o.patient_id
SELECT panel, count(*) FROM lab_order WHERE patient_id IS NOT NULL GROUP BY panel
SELECT o.order_id FROM lab_order o LEFT JOIN lab_result r USING (order_id) WHERE r.result_id IS NULL
SELECT analyte, width_bucket(value, 0, 200, 20) b, count(*) FROM lab_result GROUP BY 1, 2 ORDER BY 1, 2
SELECT analyte, stddev_samp(value), var_pop(value) FROM lab_result GROUP BY analyte HAVING count(*) > 10
SELECT d.name, count(DISTINCT m.patient_id) FROM medication_order m JOIN drug d USING (drug_id) WHERE m.status = 'active' GROUP BY d.name ORDER BY 2 DESC
SELECT m.patient_id, d.name, m.dose || ' ' || m.unit AS dose, m.frequency FROM medication_order m JOIN drug d USING (drug_id) WHERE m.status = 'active' ORDER BY 1, 2
SELECT * FROM current_medication
SELECT drug, dose, unit FROM current_medication WHERE high_risk
SELECT patient_id, count(*) FROM current_medication GROUP BY patient_id HAVING count(*) >= 2
SELECT c.drug, p.name FROM current_medication c JOIN patient p USING (patient_id) WHERE c.drug ILIKE 'warf%'
SELECT m.patient_id FROM medication_order m JOIN drug d USING (drug_id) WHERE d.atc_code LIKE 'B01%' AND EXISTS (SELECT 1 FROM medication_order n JOIN drug e USING (drug_id) WHERE n.patient_id = m.patient_id AND e.atc_code LIKE 'M01%' AND n.status = 'active')
SELECT m.patient_id, min(m.started_at), max(coalesce(m.stopped_at, now())) FROM medication_order m GROUP BY m.patient_id
SELECT d.name, avg(extract(epoch FROM coalesce(m.stopped_at, now()) - m.started_at) / 86400) AS days FROM medication_order m JOIN drug d USING (drug_id) GROUP BY d.name
SELECT prescriber, count(*) FILTER (WHERE d.high_risk) AS risky, count(*) AS all FROM medication_order m JOIN drug d USING (drug_id) GROUP BY prescriber
SELECT a.patient_id, a.substance, a.severity FROM allergy a WHERE a.severity = 'severe'
SELECT substance, count(*) FROM allergy GROUP BY substance ORDER BY 2 DESC
SELECT p.name FROM patient p WHERE EXISTS (SELECT 1 FROM allergy a WHERE a.patient_id = p.patient_id AND a.substance ILIKE 'penicillin%')
SELECT m.patient_id, d.name, a.substance FROM medication_order m JOIN drug d USING (drug_id) JOIN allergy a ON a.patient_id = m.patient_id AND lower(d.name) LIKE '%' || lower(a.substance) || '%'
SELECT p.patient_id, p.name, (SELECT count(*) FROM allergy a WHERE a.patient_id = p.patient_id) AS allergies, (SELECT string_agg(c.drug, ', ') FROM current_medication c WHERE c.patient_id = p.patient_id) AS drugs FROM patient p
WITH warf AS (SELECT DISTINCT patient_id FROM current_medication WHERE drug = 'warfarin'), inr AS (SELECT o.patient_id, max(r.resulted_at) AS last FROM lab_order o JOIN lab_result r USING (order_id) WHERE r.analyte = 'INR' GROUP BY o.patient_id) SELECT w.patient_id FROM warf w LEFT JOIN inr i USING (patient_id) WHERE i.last IS NULL OR i.last < now() - interval '30 days'
SELECT b.icd10, d.name, count(DISTINCT b.patient_id) FROM problem b JOIN medication_order m USING (patient_id) JOIN drug d USING (drug_id) GROUP BY b.icd10, d.name ORDER BY 3 DESC LIMIT 20
SELECT e.kind, avg(x.n) FROM encounter e LEFT JOIN LATERAL (SELECT count(*) AS n FROM lab_order o WHERE o.encounter_id = e.encounter_id) x ON true GROUP BY e.kind
SELECT p.sex, r.analyte, avg(r.value) FROM patient p JOIN lab_order o USING (patient_id) JOIN lab_result r USING (order_id) GROUP BY CUBE (p.sex, r.analyte)
SELECT r.value::int FROM lab_result r WHERE r.value::int > 5
SELECT r.analyte, round(r.value * 18.0182, 0) AS mg_dl FROM lab_result r WHERE r.unit = 'mmol/l' AND r.value * 18.0182 > 126
SELECT patient_id FROM medication_order WHERE status = 'stopped' EXCEPT SELECT patient_id FROM medication_order WHERE status = 'active'
SELECT o.patient_id, r.analyte, avg(r.value) OVER (PARTITION BY o.patient_id, r.analyte ORDER BY r.resulted_at ROWS BETWEEN 4 PRECEDING AND CURRENT ROW) FROM lab_result r JOIN lab_order o USING (order_id)
SELECT o.patient_id, regr_slope(r.value::float8, extract(epoch FROM r.resulted_at)::float8) FROM lab_result r JOIN lab_order o USING (order_id) WHERE r.analyte = 'creatinine' GROUP BY o.patient_id
SELECT count(*) FROM lab_result r JOIN lab_order o USING (order_id) JOIN patient p USING (patient_id) WHERE age(r.resulted_at, p.birth_date) > interval '80 years'
SELECT analyte, array_agg(value ORDER BY resulted_at) FROM lab_result GROUP BY analyte
SELECT CASE WHEN value < 3.5 THEN 'low' WHEN value <= 5.1 THEN 'normal' ELSE 'high' END, count(*) FROM lab_result WHERE analyte = 'potassium' GROUP BY 1
SELECT p.name FROM patient p WHERE p.patient_id IN (SELECT o.patient_id FROM lab_order o WHERE o.order_id IN (SELECT r.order_id FROM lab_result r WHERE r.flag = 'H'))
SELECT to_char(started_at, 'YYYY-MM') AS month, count(*) FROM medication_order GROUP BY 1 ORDER BY 1
SELECT count(*) FROM lab_result WHERE analyte = ANY (VALUES ('potassium'), ('sodium'))
SELECT o.panel, count(*) FROM lab_order o WHERE left(o.panel, 2)::text <> ALL (VALUES ('x'), (lower('Y'))) GROUP BY o.panel ORDER BY 1
SELECT count(*) FROM lab_result WHERE (value * 2)::int = ANY (VALUES (10), (11))
SELECT d.name FROM drug d WHERE EXISTS (SELECT 1 FROM medication_order m WHERE m.drug_id = d.drug_id AND m.status = ANY (VALUES ('active'), (lower(d.atc_code)))) ORDER BY d.name
