-- The core of OpenMRS 2.x moved to PostgreSQL, abridged: a patient is a person, so are users and providers; every
-- table says who created its rows (https://openmrs.org). For the tests of `pgglass discover`.

CREATE SCHEMA openmrs;
SET search_path = openmrs;

CREATE TABLE person (person_id int PRIMARY KEY, gender varchar(50), birthdate date, dead boolean, death_date date,
    creator int, uuid char(38) UNIQUE);
CREATE TABLE users (user_id int PRIMARY KEY, system_id varchar(50) NOT NULL, username varchar(50),
    password varchar(128), salt varchar(128), person_id int NOT NULL REFERENCES person, creator int REFERENCES users);
ALTER TABLE person ADD FOREIGN KEY (creator) REFERENCES users;
CREATE TABLE patient (patient_id int PRIMARY KEY REFERENCES person (person_id), creator int NOT NULL REFERENCES users,
    date_created timestamp NOT NULL);
CREATE TABLE person_name (person_name_id int PRIMARY KEY, person_id int NOT NULL REFERENCES person,
    given_name varchar(50), family_name varchar(50), creator int NOT NULL REFERENCES users, uuid char(38) UNIQUE);
CREATE TABLE person_address (person_address_id int PRIMARY KEY, person_id int REFERENCES person, address1 varchar(255),
    city_village varchar(255), postal_code varchar(50), creator int REFERENCES users);
CREATE TABLE person_attribute_type (person_attribute_type_id int PRIMARY KEY, name varchar(50) NOT NULL,
    creator int NOT NULL REFERENCES users);
CREATE TABLE person_attribute (person_attribute_id int PRIMARY KEY, person_id int NOT NULL REFERENCES person,
    value varchar(50) NOT NULL, person_attribute_type_id int NOT NULL REFERENCES person_attribute_type);
CREATE TABLE relationship_type (relationship_type_id int PRIMARY KEY, a_is_to_b varchar(50) NOT NULL);
CREATE TABLE relationship (relationship_id int PRIMARY KEY, person_a int NOT NULL REFERENCES person,
    relationship int NOT NULL REFERENCES relationship_type, person_b int NOT NULL REFERENCES person);
CREATE TABLE location (location_id int PRIMARY KEY, name varchar(255) NOT NULL, address1 varchar(255),
    postal_code varchar(50), creator int NOT NULL REFERENCES users, parent_location int REFERENCES location);
CREATE TABLE patient_identifier_type (patient_identifier_type_id int PRIMARY KEY, name varchar(50) NOT NULL);
CREATE TABLE patient_identifier (patient_identifier_id int PRIMARY KEY, patient_id int NOT NULL REFERENCES patient,
    identifier varchar(50) NOT NULL, identifier_type int NOT NULL REFERENCES patient_identifier_type,
    location_id int REFERENCES location, creator int NOT NULL REFERENCES users);
CREATE TABLE provider (provider_id int PRIMARY KEY, person_id int REFERENCES person, identifier varchar(255),
    creator int NOT NULL REFERENCES users);
CREATE TABLE concept_class (concept_class_id int PRIMARY KEY, name varchar(255) NOT NULL);
CREATE TABLE concept (concept_id int PRIMARY KEY, class_id int NOT NULL REFERENCES concept_class,
    creator int NOT NULL REFERENCES users);
CREATE TABLE concept_name (concept_name_id int PRIMARY KEY, concept_id int REFERENCES concept,
    name varchar(255) NOT NULL, locale varchar(50) NOT NULL, creator int NOT NULL REFERENCES users);
CREATE TABLE drug (drug_id int PRIMARY KEY, concept_id int NOT NULL REFERENCES concept, name varchar(255),
    creator int NOT NULL REFERENCES users);
CREATE TABLE visit_type (visit_type_id int PRIMARY KEY, name varchar(255) NOT NULL);
CREATE TABLE visit (visit_id int PRIMARY KEY, patient_id int NOT NULL REFERENCES patient,
    visit_type_id int NOT NULL REFERENCES visit_type, location_id int REFERENCES location, date_started timestamp);
CREATE TABLE encounter_type (encounter_type_id int PRIMARY KEY, name varchar(50) NOT NULL);
CREATE TABLE form (form_id int PRIMARY KEY, name varchar(255) NOT NULL, creator int NOT NULL REFERENCES users);
CREATE TABLE encounter (encounter_id int PRIMARY KEY, encounter_type int NOT NULL REFERENCES encounter_type,
    patient_id int NOT NULL REFERENCES patient, location_id int REFERENCES location, form_id int REFERENCES form,
    encounter_datetime timestamp NOT NULL, creator int NOT NULL REFERENCES users, visit_id int REFERENCES visit);
CREATE TABLE encounter_provider (encounter_provider_id int PRIMARY KEY, encounter_id int NOT NULL REFERENCES encounter,
    provider_id int NOT NULL REFERENCES provider);
CREATE TABLE orders (order_id int PRIMARY KEY, concept_id int NOT NULL REFERENCES concept,
    orderer int NOT NULL REFERENCES provider, encounter_id int NOT NULL REFERENCES encounter,
    patient_id int NOT NULL REFERENCES patient, creator int NOT NULL REFERENCES users);
CREATE TABLE drug_order (order_id int PRIMARY KEY REFERENCES orders, drug_inventory_id int REFERENCES drug,
    dose double precision, dosing_instructions text);
CREATE TABLE obs (obs_id int PRIMARY KEY, person_id int NOT NULL REFERENCES person,
    concept_id int NOT NULL REFERENCES concept, encounter_id int REFERENCES encounter, value_text text,
    value_numeric double precision, creator int NOT NULL REFERENCES users);
CREATE TABLE conditions (condition_id int PRIMARY KEY, patient_id int NOT NULL REFERENCES patient,
    condition_coded int REFERENCES concept, onset_date timestamp, creator int NOT NULL REFERENCES users);
CREATE TABLE allergy (allergy_id int PRIMARY KEY, patient_id int NOT NULL REFERENCES patient,
    coded_allergen int NOT NULL REFERENCES concept, creator int NOT NULL REFERENCES users);
CREATE TABLE allergy_reaction (allergy_reaction_id int PRIMARY KEY, allergy_id int NOT NULL REFERENCES allergy,
    reaction_concept_id int NOT NULL REFERENCES concept);
CREATE TABLE program (program_id int PRIMARY KEY, concept_id int NOT NULL REFERENCES concept,
    name varchar(100) NOT NULL, creator int NOT NULL REFERENCES users);
CREATE TABLE patient_program (patient_program_id int PRIMARY KEY, patient_id int NOT NULL REFERENCES patient,
    program_id int NOT NULL REFERENCES program, date_enrolled timestamp);
CREATE TABLE patient_state (patient_state_id int PRIMARY KEY,
    patient_program_id int NOT NULL REFERENCES patient_program, state int NOT NULL, start_date date);
CREATE TABLE cohort (cohort_id int PRIMARY KEY, name varchar(255) NOT NULL, creator int NOT NULL REFERENCES users);
CREATE TABLE cohort_member (cohort_member_id int PRIMARY KEY, cohort_id int NOT NULL REFERENCES cohort,
    patient_id int NOT NULL REFERENCES patient);
CREATE TABLE global_property (property varchar(255) PRIMARY KEY, property_value text);
CREATE TABLE role (role varchar(50) PRIMARY KEY, description varchar(255));
CREATE TABLE user_role (user_id int NOT NULL REFERENCES users, role varchar(50) NOT NULL REFERENCES role,
    PRIMARY KEY (user_id, role));
CREATE TABLE audit_log (audit_log_id int PRIMARY KEY, entity_type varchar(255), entity_id int, old_value text,
    new_value text);

RESET search_path;
