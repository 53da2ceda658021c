-- The foreign keys of the OMOP Common Data Model 5.4, over the tables of omop.sql. Of its specification: every
-- column `..concept_id` (and `concept_id_1`) leads to concept; the others are listed here.

DO $keys$
DECLARE
    key record;
BEGIN
    FOR key IN
        SELECT c.relname AS child, a.attname AS "column", 'concept' AS parent, 'concept_id' AS "references"
          FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
         WHERE c.relnamespace = 'cdm'::regnamespace AND c.relkind = 'r' AND a.attnum > 0
           AND a.attname ~ '(^|_)concept_id(_[12])?$' AND NOT (c.relname = 'concept' AND a.attname = 'concept_id')
        UNION ALL
        SELECT c.relname, a.attname, k.parent, k."references"
          FROM (VALUES
                ('person_id', 'person', 'person_id'),
                ('provider_id', 'provider', 'provider_id'),
                ('care_site_id', 'care_site', 'care_site_id'),
                ('location_id', 'location', 'location_id'),
                ('visit_occurrence_id', 'visit_occurrence', 'visit_occurrence_id'),
                ('preceding_visit_occurrence_id', 'visit_occurrence', 'visit_occurrence_id'),
                ('visit_detail_id', 'visit_detail', 'visit_detail_id'),
                ('preceding_visit_detail_id', 'visit_detail', 'visit_detail_id'),
                ('parent_visit_detail_id', 'visit_detail', 'visit_detail_id'),
                ('note_id', 'note', 'note_id'),
                ('episode_id', 'episode', 'episode_id'),
                ('episode_parent_id', 'episode', 'episode_id'),
                ('domain_id', 'domain', 'domain_id'),
                ('cost_domain_id', 'domain', 'domain_id'),
                ('vocabulary_id', 'vocabulary', 'vocabulary_id'),
                ('target_vocabulary_id', 'vocabulary', 'vocabulary_id'),
                ('concept_class_id', 'concept_class', 'concept_class_id'),
                ('relationship_id', 'relationship', 'relationship_id')) AS k ("column", parent, "references")
          JOIN pg_attribute a ON a.attname = k."column"
          JOIN pg_class c ON c.oid = a.attrelid AND c.relnamespace = 'cdm'::regnamespace AND c.relkind = 'r'
         WHERE c.relname <> k.parent OR a.attname <> k."references"
    LOOP
        EXECUTE format('ALTER TABLE cdm.%I ADD FOREIGN KEY (%I) REFERENCES cdm.%I (%I)',
                       key.child, key."column", key.parent, key."references");
    END LOOP;
END
$keys$;
