-- Analysts on the OMOP Common Data Model: characterisation, prevalence, incidence, cohorts, eras, data quality, vocabulary.
-- Unqualified names mean schema cdm.

-- People
SELECT count(*) FROM person
SELECT gender_concept_id, c.concept_name, count(*) AS n FROM person p JOIN concept c ON c.concept_id = p.gender_concept_id GROUP BY 1, 2 ORDER BY n DESC
SELECT year_of_birth, count(person_id) FROM person GROUP BY year_of_birth ORDER BY year_of_birth
SELECT race.concept_name AS race, gender.concept_name AS gender, count(*) FROM person p JOIN concept race ON race.concept_id = p.race_concept_id JOIN concept gender ON gender.concept_id = p.gender_concept_id GROUP BY race.concept_name, gender.concept_name
SELECT min(year_of_birth), max(year_of_birth), avg(year_of_birth), stddev(year_of_birth), percentile_cont(0.25) WITHIN GROUP (ORDER BY year_of_birth), percentile_cont(0.5) WITHIN GROUP (ORDER BY year_of_birth) FROM person
SELECT month_of_birth, day_of_birth, count(*) FROM person GROUP BY month_of_birth, day_of_birth HAVING count(*) > 5
SELECT care_site_name, count(*) FROM person p LEFT JOIN care_site s USING (care_site_id) GROUP BY care_site_name
SELECT provider_name, count(DISTINCT person_id) FROM person JOIN provider USING (provider_id) GROUP BY provider_name ORDER BY 2 DESC LIMIT 10
SELECT p.person_id, p.year_of_birth FROM person p WHERE p.person_id NOT IN (SELECT person_id FROM observation_period)
SELECT p.person_id FROM person p LEFT JOIN death d ON d.person_id = p.person_id WHERE d.person_id IS NULL AND p.year_of_birth < 1940
SELECT count(*) FROM person p WHERE EXISTS (SELECT 1 FROM death d WHERE d.person_id = p.person_id)
SELECT extract(year FROM d.death_date) - p.year_of_birth AS age_at_death, count(*) FROM death d JOIN person p USING (person_id) GROUP BY 1 ORDER BY 1
SELECT c.concept_name AS cause, count(*) FROM death d LEFT JOIN concept c ON c.concept_id = d.cause_concept_id GROUP BY 1
SELECT (2024 - year_of_birth) / 10 * 10 AS decade, count(*) FROM person GROUP BY 1 ORDER BY 1
SELECT * FROM person WHERE person_source_value = 'P15'
SELECT birth_datetime, to_char(birth_datetime, 'YYYY') FROM person WHERE birth_datetime < '1950-01-01'
-- Observation time
SELECT avg(observation_period_end_date - observation_period_start_date) / 365.25 AS years FROM observation_period
SELECT floor((observation_period_end_date - observation_period_start_date) / 30) * 30 AS days, count(DISTINCT person_id) FROM observation_period GROUP BY 1 ORDER BY 1
SELECT y.y AS year, count(DISTINCT op.person_id) FROM generate_series(2015, 2023) y(y) JOIN observation_period op ON extract(year FROM op.observation_period_start_date) <= y.y AND extract(year FROM op.observation_period_end_date) >= y.y GROUP BY y.y ORDER BY y.y
SELECT p.person_id, extract(year FROM min(op.observation_period_start_date)) - p.year_of_birth AS age FROM person p JOIN observation_period op ON op.person_id = p.person_id GROUP BY p.person_id, p.year_of_birth
SELECT num_periods, count(*) FROM (SELECT person_id, count(observation_period_id) AS num_periods FROM observation_period GROUP BY person_id) x GROUP BY num_periods
WITH raw AS (SELECT observation_period_end_date - observation_period_start_date AS v FROM observation_period), overall AS (SELECT avg(v) AS mean, stddev(v) AS sd, min(v) AS lo, max(v) AS hi, count(*) AS n FROM raw), ranked AS (SELECT v, row_number() OVER (ORDER BY v) AS rn FROM raw) SELECT o.n, o.lo, o.hi, o.mean, o.sd, min(CASE WHEN r.rn >= 0.50 * o.n THEN v ELSE o.hi END) AS median, min(CASE WHEN r.rn >= 0.90 * o.n THEN v ELSE o.hi END) AS p90 FROM ranked r CROSS JOIN overall o GROUP BY o.n, o.lo, o.hi, o.mean, o.sd
-- Visits
SELECT visit_concept_id, concept_name, count(*) FROM visit_occurrence JOIN concept ON concept_id = visit_concept_id GROUP BY visit_concept_id, concept_name
SELECT visit_concept_id, avg(visit_end_date - visit_start_date) AS los, percentile_disc(0.5) WITHIN GROUP (ORDER BY visit_end_date - visit_start_date) FROM visit_occurrence GROUP BY visit_concept_id
SELECT extract(year FROM visit_start_date) * 100 + extract(month FROM visit_start_date) AS month, count(*) FROM visit_occurrence GROUP BY 1 ORDER BY 1
SELECT p.person_id, v.visit_start_date, v.visit_end_date FROM person p JOIN visit_occurrence v ON v.person_id = p.person_id WHERE v.visit_concept_id = 9201 AND v.visit_start_date BETWEEN '2018-01-01' AND '2018-12-31'
SELECT visit_type_concept_id, count(DISTINCT person_id) * 1.0 / (SELECT count(*) FROM person) AS share FROM visit_occurrence GROUP BY 1
SELECT v1.person_id, v1.visit_occurrence_id, v2.visit_occurrence_id AS readmission FROM visit_occurrence v1 JOIN visit_occurrence v2 ON v1.person_id = v2.person_id AND v2.visit_start_date > v1.visit_end_date AND v2.visit_start_date <= v1.visit_end_date + 30 WHERE v1.visit_concept_id = 9201 AND v2.visit_concept_id = 9201
SELECT person_id, visit_start_date, visit_start_date - lag(visit_end_date) OVER (PARTITION BY person_id ORDER BY visit_start_date) AS gap FROM visit_occurrence
SELECT * FROM (SELECT person_id, visit_occurrence_id, row_number() OVER (PARTITION BY person_id ORDER BY visit_start_date) AS n FROM visit_occurrence) x WHERE n = 1
SELECT care_site_id, count(*) FILTER (WHERE visit_concept_id = 9203) AS emergency FROM visit_occurrence GROUP BY care_site_id
SELECT visit_occurrence_id FROM visit_occurrence WHERE visit_end_date < visit_start_date
SELECT v.visit_occurrence_id, pre.visit_start_date FROM visit_occurrence v LEFT JOIN visit_occurrence pre ON pre.visit_occurrence_id = v.preceding_visit_occurrence_id
WITH RECURSIVE chain AS (SELECT visit_occurrence_id, preceding_visit_occurrence_id, 1 AS depth FROM visit_occurrence WHERE preceding_visit_occurrence_id IS NOT NULL UNION ALL SELECT c.visit_occurrence_id, v.preceding_visit_occurrence_id, c.depth + 1 FROM chain c JOIN visit_occurrence v ON v.visit_occurrence_id = c.preceding_visit_occurrence_id WHERE c.depth < 5) SELECT max(depth) FROM chain
SELECT date_trunc('month', visit_start_date)::date AS m, count(*) AS n, sum(count(*)) OVER (ORDER BY date_trunc('month', visit_start_date)) AS running FROM visit_occurrence GROUP BY date_trunc('month', visit_start_date) ORDER BY 1
SELECT visit_end_datetime - visit_start_datetime FROM visit_occurrence WHERE visit_end_datetime - visit_start_datetime > interval '3 days'
-- Conditions
SELECT condition_concept_id, c.concept_name, count(DISTINCT person_id) AS persons, count(*) AS records FROM condition_occurrence JOIN concept c ON c.concept_id = condition_concept_id GROUP BY 1, 2 ORDER BY 3 DESC
SELECT count(DISTINCT co.person_id) FROM condition_occurrence co JOIN concept_ancestor ca ON ca.descendant_concept_id = co.condition_concept_id WHERE ca.ancestor_concept_id = 201820
SELECT p.person_id, min(co.condition_start_date) AS first FROM person p JOIN condition_occurrence co ON co.person_id = p.person_id WHERE co.condition_concept_id IN (SELECT descendant_concept_id FROM concept_ancestor WHERE ancestor_concept_id = 316866) GROUP BY p.person_id
SELECT extract(year FROM condition_start_date) AS year, gender.concept_name, count(DISTINCT co.person_id) AS cases, round(1000.0 * count(DISTINCT co.person_id) / nullif((SELECT count(*) FROM person), 0), 2) AS per_1000 FROM condition_occurrence co JOIN person p ON p.person_id = co.person_id JOIN concept gender ON gender.concept_id = p.gender_concept_id WHERE co.condition_concept_id = 201826 GROUP BY 1, 2 ORDER BY 1, 2
SELECT condition_concept_id, avg(extract(year FROM condition_start_date) - year_of_birth) AS age_at_first FROM (SELECT condition_concept_id, person_id, min(condition_start_date) AS condition_start_date FROM condition_occurrence GROUP BY 1, 2) f JOIN person USING (person_id) GROUP BY condition_concept_id
SELECT a.condition_concept_id, b.condition_concept_id, count(DISTINCT a.person_id) FROM condition_occurrence a JOIN condition_occurrence b ON a.person_id = b.person_id AND a.condition_concept_id < b.condition_concept_id GROUP BY 1, 2 HAVING count(DISTINCT a.person_id) > 5 ORDER BY 3 DESC
SELECT condition_concept_id, condition_type_concept_id, count(*) FROM condition_occurrence GROUP BY ROLLUP (condition_concept_id, condition_type_concept_id)
SELECT person_id FROM condition_occurrence WHERE condition_concept_id = 201826 INTERSECT SELECT person_id FROM condition_occurrence WHERE condition_concept_id = 320128
SELECT person_id FROM condition_occurrence WHERE condition_concept_id = 312327 EXCEPT SELECT person_id FROM drug_exposure WHERE drug_concept_id = 40163566
SELECT condition_source_value, count(*) FROM condition_occurrence WHERE condition_concept_id = 0 GROUP BY condition_source_value ORDER BY 2 DESC LIMIT 20
SELECT count(*) FROM condition_occurrence WHERE condition_end_date IS NULL OR condition_end_date < condition_start_date
SELECT v.visit_concept_id, co.condition_concept_id, count(*) FROM condition_occurrence co JOIN visit_occurrence v USING (visit_occurrence_id) GROUP BY 1, 2
SELECT co.person_id, co.condition_start_date FROM condition_occurrence co WHERE NOT EXISTS (SELECT 1 FROM condition_occurrence x WHERE x.person_id = co.person_id AND x.condition_concept_id = co.condition_concept_id AND x.condition_start_date BETWEEN co.condition_start_date - 365 AND co.condition_start_date - 1)
SELECT ce.condition_concept_id, avg(ce.condition_era_end_date - ce.condition_era_start_date) AS days, sum(ce.condition_occurrence_count) FROM condition_era ce GROUP BY 1
SELECT extract(month FROM condition_start_date) AS m, count(*) FROM condition_occurrence WHERE condition_concept_id = 312327 GROUP BY 1 ORDER BY 1
SELECT c.concept_name, string_agg(DISTINCT co.condition_source_value, ', ') FROM condition_occurrence co JOIN concept c ON c.concept_id = co.condition_concept_id GROUP BY c.concept_name
-- Drugs
SELECT drug_concept_id, concept_name, count(DISTINCT person_id) FROM drug_exposure JOIN concept ON concept_id = drug_concept_id GROUP BY 1, 2 ORDER BY 3 DESC
SELECT ingredient.concept_name, count(*) FROM drug_exposure de JOIN concept_ancestor ca ON ca.descendant_concept_id = de.drug_concept_id JOIN concept ingredient ON ingredient.concept_id = ca.ancestor_concept_id AND ingredient.concept_class_id = 'Ingredient' GROUP BY 1
SELECT drug_concept_id, min(days_supply), avg(days_supply), max(days_supply), stddev(days_supply) FROM drug_exposure GROUP BY drug_concept_id
SELECT drug_concept_id, sum(quantity) / nullif(sum(days_supply), 0) AS per_day FROM drug_exposure GROUP BY drug_concept_id
SELECT refills, count(*) FROM drug_exposure WHERE refills IS NOT NULL GROUP BY refills ORDER BY refills
SELECT person_id, drug_concept_id, drug_era_end_date - drug_era_start_date AS length FROM drug_era WHERE drug_concept_id = 1503297 ORDER BY 3 DESC LIMIT 10
SELECT drug_concept_id, percentile_cont(ARRAY[0.1, 0.25, 0.5, 0.75, 0.9]) WITHIN GROUP (ORDER BY drug_era_end_date - drug_era_start_date) FROM drug_era GROUP BY 1
SELECT count(DISTINCT a.person_id) FROM drug_era a JOIN drug_era b ON a.person_id = b.person_id AND a.drug_concept_id = 1310149 AND b.drug_concept_id = 1118084 AND (a.drug_era_start_date, a.drug_era_end_date) OVERLAPS (b.drug_era_start_date, b.drug_era_end_date)
SELECT de.person_id, co.condition_start_date - de.first AS days_to_event FROM (SELECT person_id, min(drug_exposure_start_date) AS first FROM drug_exposure WHERE drug_concept_id = 40163566 GROUP BY person_id) de JOIN condition_occurrence co ON co.person_id = de.person_id AND co.condition_concept_id = 192671 AND co.condition_start_date BETWEEN de.first AND de.first + 180
SELECT route_concept_id, count(*) FROM drug_exposure GROUP BY route_concept_id
SELECT ds.amount_value * de.quantity AS total_mg FROM drug_exposure de JOIN drug_strength ds ON ds.drug_concept_id = de.drug_concept_id WHERE ds.amount_value * de.quantity > 10000
SELECT sig, count(*) FROM drug_exposure WHERE sig ILIKE '%daily%' GROUP BY sig
SELECT person_id FROM drug_exposure GROUP BY person_id HAVING count(DISTINCT drug_concept_id) >= 3
SELECT gap, count(*) FROM (SELECT drug_exposure_start_date - lag(drug_exposure_end_date) OVER (PARTITION BY person_id, drug_concept_id ORDER BY drug_exposure_start_date) AS gap FROM drug_exposure) x WHERE gap > 0 GROUP BY gap ORDER BY gap
WITH ends AS (SELECT person_id, drug_concept_id, event_date, event_type, max(start_ordinal) OVER (PARTITION BY person_id, drug_concept_id ORDER BY event_date, event_type ROWS UNBOUNDED PRECEDING) AS start_ordinal, row_number() OVER (PARTITION BY person_id, drug_concept_id ORDER BY event_date, event_type) AS overall_ord FROM (SELECT person_id, drug_concept_id, drug_exposure_start_date AS event_date, -1 AS event_type, row_number() OVER (PARTITION BY person_id, drug_concept_id ORDER BY drug_exposure_start_date) AS start_ordinal FROM drug_exposure UNION ALL SELECT person_id, drug_concept_id, drug_exposure_end_date + 30, 1, NULL FROM drug_exposure) raw), e AS (SELECT person_id, drug_concept_id, event_date - 30 AS end_date FROM ends WHERE 2 * start_ordinal - overall_ord = 0), d AS (SELECT x.person_id, x.drug_concept_id, x.drug_exposure_start_date, min(e.end_date) AS era_end FROM drug_exposure x JOIN e ON e.person_id = x.person_id AND e.drug_concept_id = x.drug_concept_id AND e.end_date >= x.drug_exposure_start_date GROUP BY 1, 2, 3) SELECT person_id, drug_concept_id, min(drug_exposure_start_date), era_end, count(*) FROM d GROUP BY person_id, drug_concept_id, era_end
SELECT year, drug_concept_id, n FROM (SELECT extract(year FROM drug_exposure_start_date) AS year, drug_concept_id, count(DISTINCT person_id) AS n, rank() OVER (PARTITION BY extract(year FROM drug_exposure_start_date) ORDER BY count(DISTINCT person_id) DESC) AS r FROM drug_exposure GROUP BY 1, 2) x WHERE r <= 3 ORDER BY year, r
-- Measurements and observations
SELECT measurement_concept_id, unit_concept_id, count(*), avg(value_as_number), min(value_as_number), max(value_as_number) FROM measurement GROUP BY 1, 2
SELECT measurement_concept_id, percentile_cont(0.5) WITHIN GROUP (ORDER BY value_as_number) AS median FROM measurement WHERE value_as_number IS NOT NULL GROUP BY 1
SELECT person_id, value_as_number FROM (SELECT person_id, value_as_number, row_number() OVER (PARTITION BY person_id ORDER BY measurement_date DESC, measurement_id DESC) AS rn FROM measurement WHERE measurement_concept_id = 3004410) m WHERE rn = 1 AND value_as_number > 9
SELECT CASE WHEN value_as_number < range_low THEN 'below' WHEN value_as_number > range_high THEN 'above' ELSE 'within' END AS band, count(*) FROM measurement WHERE range_low IS NOT NULL GROUP BY 1
SELECT m.person_id, m.measurement_date, m.value_as_number - b.value_as_number AS change FROM measurement m JOIN LATERAL (SELECT value_as_number FROM measurement x WHERE x.person_id = m.person_id AND x.measurement_concept_id = m.measurement_concept_id AND x.measurement_date < m.measurement_date ORDER BY x.measurement_date DESC LIMIT 1) b ON true WHERE m.measurement_concept_id = 3004410
SELECT date_trunc('quarter', measurement_date), avg(value_as_number) FROM measurement WHERE measurement_concept_id = 3004249 GROUP BY 1 ORDER BY 1
SELECT value_source_value::numeric FROM measurement WHERE value_source_value ~ '^[0-9.]+$' AND value_source_value::numeric > 50
SELECT measurement_source_value, count(*) FROM measurement WHERE measurement_concept_id = 0 GROUP BY 1
SELECT width_bucket(value_as_number, 4, 12, 16) AS bucket, count(*) FROM measurement WHERE measurement_concept_id = 3004410 GROUP BY 1 ORDER BY 1
SELECT corr(a.value_as_number::float8, b.value_as_number::float8) FROM measurement a JOIN measurement b ON a.person_id = b.person_id AND a.measurement_date = b.measurement_date WHERE a.measurement_concept_id = 3004410 AND b.measurement_concept_id = 3004249
SELECT person_id, regr_slope(value_as_number::float8, (measurement_date - date '2016-01-01')::float8) AS slope FROM measurement WHERE measurement_concept_id = 3004410 GROUP BY person_id HAVING count(*) >= 3
SELECT observation_concept_id, value_as_string, count(*) FROM observation GROUP BY 1, 2 ORDER BY 3 DESC LIMIT 10
SELECT o.person_id FROM observation o WHERE o.value_as_number > 10 AND o.observation_concept_id = 4275495
SELECT (value_as_number - avg(value_as_number) OVER ()) / nullif(stddev(value_as_number) OVER (), 0) AS z FROM measurement WHERE measurement_concept_id = 3004410
SELECT person_id, array_agg(value_as_number ORDER BY measurement_date) FILTER (WHERE value_as_number IS NOT NULL) FROM measurement GROUP BY person_id
SELECT person_id, max(value_as_number) FILTER (WHERE measurement_concept_id = 3004410) AS hba1c, max(value_as_number) FILTER (WHERE measurement_concept_id = 3004249) AS sbp FROM measurement GROUP BY person_id
SELECT log(value_as_number), ln(value_as_number), sqrt(value_as_number), exp(1 / value_as_number) FROM measurement WHERE value_as_number > 0
-- Cohorts
SELECT cohort_definition_id, count(DISTINCT subject_id), min(cohort_start_date), max(cohort_end_date) FROM cohort GROUP BY cohort_definition_id
SELECT d.cohort_definition_name, count(*) FROM cohort c JOIN cohort_definition d USING (cohort_definition_id) GROUP BY 1
SELECT extract(year FROM c.cohort_start_date) - p.year_of_birth AS age, count(*) FROM cohort c JOIN person p ON p.person_id = c.subject_id WHERE c.cohort_definition_id = 1 GROUP BY 1 ORDER BY 1
SELECT t.subject_id, o.cohort_start_date - t.cohort_start_date AS days FROM cohort t JOIN cohort o ON o.subject_id = t.subject_id AND o.cohort_definition_id = 2 AND o.cohort_start_date > t.cohort_start_date WHERE t.cohort_definition_id = 1
WITH target AS (SELECT subject_id AS person_id, cohort_start_date FROM cohort WHERE cohort_definition_id = 1), at_risk AS (SELECT t.person_id, t.cohort_start_date, least(op.observation_period_end_date, t.cohort_start_date + 365) AS censor FROM target t JOIN observation_period op ON op.person_id = t.person_id AND t.cohort_start_date BETWEEN op.observation_period_start_date AND op.observation_period_end_date), outcome AS (SELECT r.person_id, min(co.condition_start_date) AS event FROM at_risk r JOIN condition_occurrence co ON co.person_id = r.person_id AND co.condition_concept_id = 312327 AND co.condition_start_date > r.cohort_start_date AND co.condition_start_date <= r.censor GROUP BY r.person_id) SELECT count(*) AS persons, count(o.person_id) AS cases, sum(coalesce(o.event, r.censor) - r.cohort_start_date) / 365.25 AS person_years, 1000 * count(o.person_id) / nullif(sum(coalesce(o.event, r.censor) - r.cohort_start_date) / 365.25, 0) AS rate FROM at_risk r LEFT JOIN outcome o USING (person_id)
WITH primary_events AS (SELECT p.person_id, p.start_date, row_number() OVER (PARTITION BY p.person_id ORDER BY p.start_date) AS ordinal, op.observation_period_start_date AS op_start, op.observation_period_end_date AS op_end FROM (SELECT de.person_id, de.drug_exposure_start_date AS start_date FROM drug_exposure de WHERE de.drug_concept_id IN (SELECT descendant_concept_id FROM concept_ancestor WHERE ancestor_concept_id = 1503297)) p JOIN observation_period op ON p.person_id = op.person_id AND p.start_date >= op.observation_period_start_date AND p.start_date <= op.observation_period_end_date WHERE op.observation_period_start_date + 180 <= p.start_date), qualified AS (SELECT pe.* FROM primary_events pe WHERE pe.ordinal = 1 AND EXISTS (SELECT 1 FROM condition_occurrence co WHERE co.person_id = pe.person_id AND co.condition_start_date BETWEEN pe.start_date - 365 AND pe.start_date)) SELECT person_id, start_date, op_end FROM qualified
WITH first_dx AS (SELECT person_id, min(condition_start_date) AS dx FROM condition_occurrence WHERE condition_concept_id = 201826 GROUP BY person_id), first_rx AS (SELECT person_id, min(drug_exposure_start_date) AS rx FROM drug_exposure WHERE drug_concept_id = 40163924 GROUP BY person_id) SELECT count(*) AS diagnosed, count(r.rx) FILTER (WHERE r.rx BETWEEN d.dx AND d.dx + 90) AS treated FROM first_dx d LEFT JOIN first_rx r USING (person_id)
SELECT p.person_id FROM person p WHERE EXISTS (SELECT 1 FROM condition_occurrence c WHERE c.person_id = p.person_id AND c.condition_concept_id = 201826) AND EXISTS (SELECT 1 FROM measurement m WHERE m.person_id = p.person_id AND m.measurement_concept_id = 3004410 AND m.value_as_number >= 6.5) AND NOT EXISTS (SELECT 1 FROM death d WHERE d.person_id = p.person_id)
SELECT t.n, count(*) FROM (SELECT person_id, count(DISTINCT condition_concept_id) AS n FROM condition_occurrence WHERE condition_start_date BETWEEN '2018-01-01' AND '2020-12-31' GROUP BY person_id) t GROUP BY t.n ORDER BY t.n
SELECT c.subject_id, sum(CASE WHEN ca.ancestor_concept_id = 201820 THEN 1 WHEN ca.ancestor_concept_id = 316866 THEN 2 ELSE 0 END) AS score FROM cohort c LEFT JOIN condition_occurrence co ON co.person_id = c.subject_id AND co.condition_start_date < c.cohort_start_date LEFT JOIN concept_ancestor ca ON ca.descendant_concept_id = co.condition_concept_id GROUP BY c.subject_id
SELECT months, count(*) AS n, sum(count(*)) OVER (ORDER BY months DESC) AS still FROM (SELECT floor((cohort_end_date - cohort_start_date) / 30.0)::int AS months FROM cohort WHERE cohort_definition_id = 1) x GROUP BY months ORDER BY months
SELECT c.subject_id, v.n FROM cohort c CROSS JOIN LATERAL (SELECT count(*) AS n FROM visit_occurrence v WHERE v.person_id = c.subject_id AND v.visit_start_date BETWEEN c.cohort_start_date AND c.cohort_start_date + 365) v WHERE c.cohort_definition_id = 1
SELECT subject_id, daterange(cohort_start_date, cohort_end_date, '[]') FROM cohort WHERE daterange(cohort_start_date, cohort_end_date, '[]') && daterange('2018-01-01', '2018-12-31')
SELECT a.person_id, count(*) FROM condition_occurrence a JOIN procedure_occurrence p ON p.person_id = a.person_id AND abs(p.procedure_date - a.condition_start_date) <= 30 GROUP BY a.person_id
SELECT CASE WHEN p.gender_concept_id = 8507 THEN 'M' ELSE 'F' END AS sex, width_bucket(2020 - p.year_of_birth, 0, 100, 5) AS band, count(DISTINCT p.person_id) AS n, count(DISTINCT c.subject_id) AS cases FROM person p LEFT JOIN cohort c ON c.subject_id = p.person_id AND c.cohort_definition_id = 2 GROUP BY 1, 2 ORDER BY 1, 2
-- Notes and insurance
SELECT note_title, count(*) FROM note GROUP BY note_title
SELECT n.person_id, x.lexical_variant, x.term_exists FROM note n JOIN note_nlp x USING (note_id) WHERE x.term_exists = 'Y'
SELECT lexical_variant, count(DISTINCT note_id) FROM note_nlp GROUP BY lexical_variant
SELECT payer_source_value, count(*), avg(payer_plan_period_end_date - payer_plan_period_start_date) FROM payer_plan_period GROUP BY 1
SELECT plan_source_value, gender_concept_id, count(*) FROM payer_plan_period JOIN person USING (person_id) GROUP BY CUBE (1, 2)
-- Data quality
SELECT 'visit_occurrence' AS t, count(*) AS violated, (SELECT count(*) FROM visit_occurrence) AS of FROM visit_occurrence v WHERE NOT EXISTS (SELECT 1 FROM person p WHERE p.person_id = v.person_id)
SELECT count(*) FROM condition_occurrence co LEFT JOIN concept c ON c.concept_id = co.condition_concept_id WHERE c.concept_id IS NULL OR c.domain_id <> 'Condition'
SELECT count(*) FROM drug_exposure de JOIN person p USING (person_id) WHERE extract(year FROM de.drug_exposure_start_date) < p.year_of_birth
SELECT count(*) FROM measurement m JOIN death d USING (person_id) WHERE m.measurement_date > d.death_date + 60
SELECT CASE WHEN denom.num_rows = 0 THEN 0 ELSE 1.0 * viol.num_rows / denom.num_rows END AS pct FROM (SELECT count(*) AS num_rows FROM person WHERE birth_datetime IS NULL) viol CROSS JOIN (SELECT count(*) AS num_rows FROM person) denom
SELECT co.condition_concept_id, p.gender_concept_id FROM condition_occurrence co JOIN person p USING (person_id) WHERE co.condition_concept_id = 192671 AND p.gender_concept_id <> 8532
SELECT visit_occurrence_id, count(*) FROM visit_occurrence GROUP BY visit_occurrence_id HAVING count(*) > 1
SELECT count(*) FROM visit_occurrence v LEFT JOIN observation_period op ON op.person_id = v.person_id AND v.visit_start_date BETWEEN op.observation_period_start_date AND op.observation_period_end_date WHERE op.person_id IS NULL
SELECT stratum_1, count_value FROM (SELECT visit_concept_id::varchar AS stratum_1, count(*) AS count_value FROM visit_occurrence GROUP BY visit_concept_id) x WHERE count_value > 11
SELECT year_of_birth FROM person WHERE year_of_birth > extract(year FROM current_date) OR year_of_birth < 1850
SELECT 2004 AS analysis_id, cast(num AS varchar(255)) AS stratum_1, count(*) FROM (SELECT person_id, (CASE WHEN EXISTS (SELECT 1 FROM condition_occurrence c WHERE c.person_id = p.person_id) THEN 1 ELSE 0 END) + (CASE WHEN EXISTS (SELECT 1 FROM drug_exposure d WHERE d.person_id = p.person_id) THEN 2 ELSE 0 END) AS num FROM person p) x GROUP BY num
-- Vocabulary (free of patients)
SELECT * FROM concept WHERE concept_name ILIKE '%diabetes%' AND standard_concept = 'S'
SELECT c.* FROM concept c JOIN concept_ancestor ca ON c.concept_id = ca.descendant_concept_id WHERE ca.ancestor_concept_id = 201820
SELECT c1.concept_name, r.relationship_id, c2.concept_name FROM concept_relationship r JOIN concept c1 ON c1.concept_id = r.concept_id_1 JOIN concept c2 ON c2.concept_id = r.concept_id_2 WHERE r.invalid_reason IS NULL
WITH RECURSIVE tree AS (SELECT concept_id_1 AS root, concept_id_2 AS concept_id, 1 AS level FROM concept_relationship WHERE relationship_id = 'Subsumes' UNION SELECT t.root, r.concept_id_2, t.level + 1 FROM tree t JOIN concept_relationship r ON r.concept_id_1 = t.concept_id AND r.relationship_id = 'Subsumes') SELECT * FROM tree
SELECT domain_id, vocabulary_id, count(*) FROM concept GROUP BY 1, 2
SELECT concept_id FROM concept_synonym WHERE concept_synonym_name ~* 'metformin'
SELECT * FROM cdm_source
SELECT d.domain_name, count(c.concept_id) FROM domain d LEFT JOIN concept c USING (domain_id) GROUP BY d.domain_name
WITH codesets AS (SELECT 0 AS codeset_id, c.concept_id FROM (SELECT DISTINCT i.concept_id FROM (SELECT concept_id FROM concept WHERE concept_id IN (201820) UNION SELECT c.concept_id FROM concept c JOIN concept_ancestor ca ON c.concept_id = ca.descendant_concept_id AND ca.ancestor_concept_id IN (201820) AND c.invalid_reason IS NULL) i LEFT JOIN (SELECT concept_id FROM concept WHERE concept_id IN (201826)) e ON i.concept_id = e.concept_id WHERE e.concept_id IS NULL) c) SELECT co.person_id, co.condition_start_date, coalesce(co.condition_end_date, co.condition_start_date + 1 * interval '1 day') AS end_date FROM condition_occurrence co JOIN codesets cs ON co.condition_concept_id = cs.concept_id AND cs.codeset_id = 0
CREATE TEMP TABLE my_codes AS SELECT descendant_concept_id AS concept_id FROM concept_ancestor WHERE ancestor_concept_id = 201820
SELECT person_id, concept_name FROM condition_occurrence, concept WHERE concept_id = condition_concept_id AND person_id IN (SELECT person_id FROM person WHERE year_of_birth BETWEEN 1950 AND 1960) ORDER BY person_id LIMIT 100 OFFSET 50
