-- A small OMOP Common Data Model (5.4): the tables an analyst reads most, in schema cdm, filled with invented people by
-- arithmetic. Column names and types are the specification's. For the corpus of honest statements, and only for it.
-- Needs demo/roles.sql first. Nurses, physicians, billing and analysts may read all of it; the proxy narrows that.

CREATE SCHEMA cdm;
CREATE SCHEMA glass;

CREATE TABLE cdm.concept (
    concept_id int4 PRIMARY KEY, concept_name varchar(255) NOT NULL, domain_id varchar(20) NOT NULL,
    vocabulary_id varchar(20) NOT NULL, concept_class_id varchar(20) NOT NULL, standard_concept varchar(1),
    concept_code varchar(50) NOT NULL, valid_start_date date NOT NULL, valid_end_date date NOT NULL,
    invalid_reason varchar(1)
);
CREATE TABLE cdm.vocabulary (
    vocabulary_id varchar(20) PRIMARY KEY, vocabulary_name varchar(255) NOT NULL, vocabulary_version varchar(255)
);
CREATE TABLE cdm.domain (domain_id varchar(20) PRIMARY KEY, domain_name varchar(255) NOT NULL);
CREATE TABLE cdm.concept_relationship (
    concept_id_1 int4 NOT NULL, concept_id_2 int4 NOT NULL, relationship_id varchar(20) NOT NULL,
    valid_start_date date NOT NULL, valid_end_date date NOT NULL, invalid_reason varchar(1)
);
CREATE TABLE cdm.concept_ancestor (
    ancestor_concept_id int4 NOT NULL, descendant_concept_id int4 NOT NULL,
    min_levels_of_separation int4 NOT NULL, max_levels_of_separation int4 NOT NULL
);
CREATE TABLE cdm.concept_synonym (concept_id int4 NOT NULL, concept_synonym_name varchar(1000), language_concept_id int4);
CREATE TABLE cdm.drug_strength (
    drug_concept_id int4 NOT NULL, ingredient_concept_id int4 NOT NULL, amount_value numeric, amount_unit_concept_id int4,
    valid_start_date date NOT NULL, valid_end_date date NOT NULL
);
CREATE TABLE cdm.care_site (care_site_id int4 PRIMARY KEY, care_site_name varchar(255), place_of_service_concept_id int4, location_id int4);
CREATE TABLE cdm.provider (provider_id int4 PRIMARY KEY, provider_name varchar(255), specialty_concept_id int4, care_site_id int4);
CREATE TABLE cdm.cdm_source (cdm_source_name varchar(255) NOT NULL, cdm_version varchar(10), source_release_date date, vocabulary_version varchar(20));

CREATE TABLE cdm.person (
    person_id int4 PRIMARY KEY, gender_concept_id int4 NOT NULL, year_of_birth int4 NOT NULL, month_of_birth int4,
    day_of_birth int4, birth_datetime timestamp, race_concept_id int4 NOT NULL, ethnicity_concept_id int4 NOT NULL,
    location_id int4, provider_id int4, care_site_id int4, person_source_value varchar(50), gender_source_value varchar(50)
);
CREATE TABLE cdm.observation_period (
    observation_period_id int4 PRIMARY KEY, person_id int4 NOT NULL REFERENCES cdm.person,
    observation_period_start_date date NOT NULL, observation_period_end_date date NOT NULL, period_type_concept_id int4 NOT NULL
);
CREATE TABLE cdm.visit_occurrence (
    visit_occurrence_id int4 PRIMARY KEY, person_id int4 NOT NULL REFERENCES cdm.person, visit_concept_id int4 NOT NULL,
    visit_start_date date NOT NULL, visit_start_datetime timestamp, visit_end_date date NOT NULL, visit_end_datetime timestamp,
    visit_type_concept_id int4 NOT NULL, provider_id int4, care_site_id int4, visit_source_value varchar(50),
    preceding_visit_occurrence_id int4
);
CREATE TABLE cdm.condition_occurrence (
    condition_occurrence_id int4 PRIMARY KEY, person_id int4 NOT NULL REFERENCES cdm.person, condition_concept_id int4 NOT NULL,
    condition_start_date date NOT NULL, condition_end_date date, condition_type_concept_id int4 NOT NULL,
    condition_status_concept_id int4, stop_reason varchar(20), provider_id int4, visit_occurrence_id int4,
    condition_source_value varchar(50), condition_source_concept_id int4
);
CREATE TABLE cdm.drug_exposure (
    drug_exposure_id int4 PRIMARY KEY, person_id int4 NOT NULL REFERENCES cdm.person, drug_concept_id int4 NOT NULL,
    drug_exposure_start_date date NOT NULL, drug_exposure_end_date date NOT NULL, drug_type_concept_id int4 NOT NULL,
    refills int4, quantity numeric, days_supply int4, sig text, route_concept_id int4, visit_occurrence_id int4, drug_source_value varchar(50)
);
CREATE TABLE cdm.procedure_occurrence (
    procedure_occurrence_id int4 PRIMARY KEY, person_id int4 NOT NULL REFERENCES cdm.person, procedure_concept_id int4 NOT NULL,
    procedure_date date NOT NULL, procedure_type_concept_id int4 NOT NULL, quantity int4, visit_occurrence_id int4
);
CREATE TABLE cdm.measurement (
    measurement_id int4 PRIMARY KEY, person_id int4 NOT NULL REFERENCES cdm.person, measurement_concept_id int4 NOT NULL,
    measurement_date date NOT NULL, measurement_datetime timestamp, measurement_type_concept_id int4 NOT NULL,
    operator_concept_id int4, value_as_number numeric, value_as_concept_id int4, unit_concept_id int4, range_low numeric,
    range_high numeric, visit_occurrence_id int4, measurement_source_value varchar(50), value_source_value varchar(50)
);
CREATE TABLE cdm.observation (
    observation_id int4 PRIMARY KEY, person_id int4 NOT NULL REFERENCES cdm.person, observation_concept_id int4 NOT NULL,
    observation_date date NOT NULL, observation_type_concept_id int4 NOT NULL, value_as_number numeric, value_as_string varchar(60),
    value_as_concept_id int4, visit_occurrence_id int4
);
CREATE TABLE cdm.death (
    person_id int4 NOT NULL REFERENCES cdm.person, death_date date NOT NULL, death_datetime timestamp,
    death_type_concept_id int4, cause_concept_id int4
);
CREATE TABLE cdm.note (
    note_id int4 PRIMARY KEY, person_id int4 NOT NULL REFERENCES cdm.person, note_date date NOT NULL, note_title varchar(250),
    note_text text NOT NULL, visit_occurrence_id int4
);
CREATE TABLE cdm.note_nlp (
    note_nlp_id int4 PRIMARY KEY, note_id int4 NOT NULL REFERENCES cdm.note, section_concept_id int4, snippet varchar(250),
    lexical_variant varchar(250) NOT NULL, note_nlp_concept_id int4, nlp_date date NOT NULL, term_exists varchar(1)
);
CREATE TABLE cdm.condition_era (
    condition_era_id int4 PRIMARY KEY, person_id int4 NOT NULL REFERENCES cdm.person, condition_concept_id int4 NOT NULL,
    condition_era_start_date date NOT NULL, condition_era_end_date date NOT NULL, condition_occurrence_count int4
);
CREATE TABLE cdm.drug_era (
    drug_era_id int4 PRIMARY KEY, person_id int4 NOT NULL REFERENCES cdm.person, drug_concept_id int4 NOT NULL,
    drug_era_start_date date NOT NULL, drug_era_end_date date NOT NULL, drug_exposure_count int4, gap_days int4
);
CREATE TABLE cdm.payer_plan_period (
    payer_plan_period_id int4 PRIMARY KEY, person_id int4 NOT NULL REFERENCES cdm.person,
    payer_plan_period_start_date date NOT NULL, payer_plan_period_end_date date NOT NULL, payer_source_value varchar(50), plan_source_value varchar(50)
);
CREATE TABLE cdm.cohort_definition (cohort_definition_id int4 PRIMARY KEY, cohort_definition_name varchar(255));
CREATE TABLE cdm.cohort (
    cohort_definition_id int4 NOT NULL, subject_id int4 NOT NULL, cohort_start_date date NOT NULL, cohort_end_date date NOT NULL
);

INSERT INTO cdm.concept
SELECT v.id, v.name, v.domain, v.voc, v.class, 'S', 'C' || v.id, '1970-01-01', '2099-12-31', NULL
FROM (VALUES (8507, 'MALE', 'Gender', 'Gender', 'Gender'), (8532, 'FEMALE', 'Gender', 'Gender', 'Gender'),
    (8527, 'White', 'Race', 'Race', 'Race'), (8516, 'Black or African American', 'Race', 'Race', 'Race'),
    (9201, 'Inpatient Visit', 'Visit', 'Visit', 'Visit'), (9202, 'Outpatient Visit', 'Visit', 'Visit', 'Visit'),
    (9203, 'Emergency Room Visit', 'Visit', 'Visit', 'Visit'), (201820, 'Diabetes mellitus', 'Condition', 'SNOMED', 'Clinical Finding'),
    (201826, 'Type 2 diabetes mellitus', 'Condition', 'SNOMED', 'Clinical Finding'), (316866, 'Hypertensive disorder', 'Condition', 'SNOMED', 'Clinical Finding'),
    (320128, 'Essential hypertension', 'Condition', 'SNOMED', 'Clinical Finding'), (312327, 'Acute myocardial infarction', 'Condition', 'SNOMED', 'Clinical Finding'),
    (192671, 'Gastrointestinal hemorrhage', 'Condition', 'SNOMED', 'Clinical Finding'), (1503297, 'metformin', 'Drug', 'RxNorm', 'Ingredient'),
    (1310149, 'warfarin', 'Drug', 'RxNorm', 'Ingredient'), (1118084, 'celecoxib', 'Drug', 'RxNorm', 'Ingredient'),
    (40163924, 'metformin 500 MG', 'Drug', 'RxNorm', 'Clinical Drug'), (40163566, 'warfarin 5 MG', 'Drug', 'RxNorm', 'Clinical Drug'),
    (3004410, 'Hemoglobin A1c', 'Measurement', 'LOINC', 'Lab Test'), (3004249, 'Systolic blood pressure', 'Measurement', 'LOINC', 'Clinical Observation'),
    (8554, 'percent', 'Unit', 'UCUM', 'Unit'), (2000064, 'Coronary angioplasty', 'Procedure', 'ICD10PCS', 'Procedure'),
    (4275495, 'Tobacco smoking behavior', 'Observation', 'SNOMED', 'Observable Entity'), (0, 'No matching concept', 'Metadata', 'None', 'Undefined')
) v(id, name, domain, voc, class);
INSERT INTO cdm.vocabulary SELECT DISTINCT vocabulary_id, vocabulary_id, 'v5' FROM cdm.concept;
INSERT INTO cdm.domain SELECT DISTINCT domain_id, domain_id FROM cdm.concept;
INSERT INTO cdm.concept_ancestor SELECT concept_id, concept_id, 0, 0 FROM cdm.concept;
INSERT INTO cdm.concept_ancestor VALUES (201820, 201826, 1, 1), (316866, 320128, 1, 1), (1503297, 40163924, 1, 2), (1310149, 40163566, 1, 2);
INSERT INTO cdm.concept_relationship
SELECT ancestor_concept_id, descendant_concept_id, 'Subsumes', '1970-01-01', '2099-12-31', NULL FROM cdm.concept_ancestor WHERE min_levels_of_separation = 1;
INSERT INTO cdm.concept_synonym SELECT concept_id, lower(concept_name), 4180186 FROM cdm.concept;
INSERT INTO cdm.drug_strength VALUES (40163924, 1503297, 500, 8576, '1970-01-01', '2099-12-31'), (40163566, 1310149, 5, 8576, '1970-01-01', '2099-12-31');
INSERT INTO cdm.care_site SELECT i, 'Site ' || i, 9201, i FROM generate_series(1, 5) i;
INSERT INTO cdm.provider SELECT i, 'Provider ' || i, 38004446, 1 + i % 5 FROM generate_series(1, 12) i;
INSERT INTO cdm.cdm_source VALUES ('Invented people', 'v5.4', '2024-06-01', 'v5.0');

INSERT INTO cdm.person
SELECT i, CASE WHEN i % 2 = 0 THEN 8507 ELSE 8532 END, 1930 + i * 7 % 75, 1 + i % 12, 1 + i % 28,
       make_timestamp(1930 + i * 7 % 75, 1 + i % 12, 1 + i % 28, 0, 0, 0), CASE WHEN i % 3 = 0 THEN 8516 ELSE 8527 END, 38003564,
       i % 40, 1 + i % 12, 1 + i % 5, 'P' || i, CASE WHEN i % 2 = 0 THEN 'M' ELSE 'F' END
FROM generate_series(1, 300) i;
INSERT INTO cdm.observation_period SELECT i, i, date '2015-01-01' + i, date '2023-12-31' - i % 90, 44814724 FROM generate_series(1, 300) i;
INSERT INTO cdm.visit_occurrence
SELECT i, 1 + i % 300, 9201 + i % 3, d, d + interval '9 hours', d + i % 9, d + i % 9 + interval '17 hours', 44818518, 1 + i % 12, 1 + i % 5, 'V' || i, NULLIF(i - 300, i % 5)
FROM generate_series(1, 1500) i, LATERAL (SELECT date '2016-01-01' + i * 37 % 2600 AS d) x;
INSERT INTO cdm.condition_occurrence
SELECT i, 1 + i * 11 % 300, (ARRAY[201826, 320128, 312327, 192671, 201820, 0])[1 + i % 6], date '2016-01-01' + i * 53 % 2600,
       date '2016-01-01' + i * 53 % 2600 + i % 30, 32020, 32902, NULL, 1 + i % 12, 1 + i % 1500, 'I' || i % 40, 0
FROM generate_series(1, 1200) i;
INSERT INTO cdm.drug_exposure
SELECT i, 1 + i * 13 % 300, (ARRAY[40163924, 40163566, 1118084])[1 + i % 3], date '2016-01-01' + i * 29 % 2600,
       date '2016-01-01' + i * 29 % 2600 + 30, 38000177, i % 4, 30 + i % 60, 30, 'daily', 4132161, 1 + i % 1500, 'D' || i
FROM generate_series(1, 1500) i;
INSERT INTO cdm.procedure_occurrence SELECT i, 1 + i * 17 % 300, 2000064, date '2016-01-01' + i * 41 % 2600, 38000275, 1, 1 + i % 1500 FROM generate_series(1, 300) i;
INSERT INTO cdm.measurement
SELECT i, 1 + i * 7 % 300, CASE WHEN i % 2 = 0 THEN 3004410 ELSE 3004249 END, date '2016-01-01' + i * 19 % 2600, NULL, 44818702, 4172703,
       CASE WHEN i % 2 = 0 THEN 5 + i % 60 / 10.0 ELSE 100 + i % 80 END, NULL, 8554, 4, 6, 1 + i % 1500, 'M' || i, (i % 60)::text
FROM generate_series(1, 3000) i;
INSERT INTO cdm.observation SELECT i, 1 + i % 300, 4275495, date '2016-01-01' + i * 23 % 2600, 38000280, i % 20, 'cigarettes ' || i % 20, 0, 1 + i % 1500 FROM generate_series(1, 300) i;
INSERT INTO cdm.death SELECT i * 15, date '2022-01-01' + i, NULL, 32815, 312327 FROM generate_series(1, 18) i;
INSERT INTO cdm.note SELECT i, 1 + i % 300, date '2020-01-01' + i, 'Progress', 'feels well ' || i, 1 + i % 1500 FROM generate_series(1, 300) i;
INSERT INTO cdm.note_nlp SELECT i, 1 + i % 300, 0, 'well', 'well', 0, date '2020-02-01' + i, 'Y' FROM generate_series(1, 400) i;
INSERT INTO cdm.condition_era
SELECT row_number() OVER (), person_id, condition_concept_id, min(condition_start_date), max(condition_end_date), count(*) FROM cdm.condition_occurrence GROUP BY person_id, condition_concept_id;
INSERT INTO cdm.drug_era
SELECT row_number() OVER (), person_id, CASE drug_concept_id WHEN 40163924 THEN 1503297 WHEN 40163566 THEN 1310149 ELSE drug_concept_id END, min(drug_exposure_start_date), max(drug_exposure_end_date), count(*), 10
FROM cdm.drug_exposure GROUP BY person_id, drug_concept_id;
INSERT INTO cdm.payer_plan_period SELECT i, i, date '2015-01-01', date '2023-12-31', 'Payer ' || i % 4, 'Plan ' || i % 7 FROM generate_series(1, 300) i;
INSERT INTO cdm.cohort_definition VALUES (1, 'New users of metformin'), (2, 'Myocardial infarction');
INSERT INTO cdm.cohort SELECT 1, person_id, min(drug_exposure_start_date), max(drug_exposure_end_date) FROM cdm.drug_exposure WHERE drug_concept_id = 40163924 GROUP BY person_id;
INSERT INTO cdm.cohort SELECT 2, person_id, min(condition_start_date), max(condition_end_date) FROM cdm.condition_occurrence WHERE condition_concept_id = 312327 GROUP BY person_id;

CREATE TABLE glass.assigned (user_name text NOT NULL, patient_id int4 NOT NULL, valid_to timestamptz, PRIMARY KEY (user_name, patient_id));
INSERT INTO glass.assigned SELECT u, i, NULL FROM unnest(ARRAY['nurse_amy', 'dr_chen']) u, generate_series(3, 300, 12) i;

CREATE FUNCTION glass.verifier(login text) RETURNS TABLE (rolpassword text, rolvaliduntil timestamptz)
LANGUAGE sql STABLE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT a.rolpassword, a.rolvaliduntil FROM pg_catalog.pg_authid a
    WHERE a.rolname = login AND a.rolcanlogin AND NOT a.rolsuper AND NOT a.rolreplication;
END;
REVOKE ALL ON FUNCTION glass.verifier(text) FROM PUBLIC;
GRANT USAGE ON SCHEMA cdm, glass TO pgglass, nurse, physician, billing, analyst;
GRANT SELECT ON glass.assigned TO pgglass, nurse, physician;
GRANT EXECUTE ON FUNCTION glass.verifier(text) TO pgglass;
GRANT SELECT ON ALL TABLES IN SCHEMA cdm TO nurse, physician, billing, analyst;
ANALYZE;
