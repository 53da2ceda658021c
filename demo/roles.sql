-- Cluster-wide part of the demonstration: group roles, people, the proxy's own account.
-- Not for a real database: every password is the user name followed by "-demo".
-- May be run again; roles that exist are left alone.

SET password_encryption = 'scram-sha-256';

DO $roles$
DECLARE
    name text;
    person text[];
BEGIN
    -- Groups: what a job may do. clinic_owner owns the tables and is nobody's login.
    FOREACH name IN ARRAY ARRAY['clinic_owner', 'nurse', 'physician', 'billing', 'analyst', 'dba', 'auditor'] LOOP
        IF NOT EXISTS (SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = name) THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN', name);
        END IF;
    END LOOP;
    IF NOT pg_catalog.pg_has_role('dba', 'clinic_owner', 'MEMBER') THEN
        GRANT clinic_owner TO dba;
    END IF;

    -- People, each in one group.
    FOREACH person SLICE 1 IN ARRAY ARRAY[
        ['nurse_amy', 'nurse'],     ['nurse_bob', 'nurse'],
        ['dr_chen', 'physician'],   ['dr_diaz', 'physician'],
        ['bill_eva', 'billing'],    ['ana_fox', 'analyst'],
        ['dba_gus', 'dba'],         ['audit_hal', 'auditor']
    ] LOOP
        IF NOT EXISTS (SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = person[1]) THEN
            EXECUTE format('CREATE ROLE %I LOGIN PASSWORD %L', person[1], person[1] || '-demo');
        END IF;
        IF NOT pg_catalog.pg_has_role(person[1], person[2], 'MEMBER') THEN
            EXECUTE format('GRANT %I TO %I', person[2], person[1]);
        END IF;
    END LOOP;

    -- The proxy's own account: no superuser, no membership; schema.sql grants the little it needs.
    IF NOT EXISTS (SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = 'pgglass') THEN
        CREATE ROLE pgglass LOGIN PASSWORD 'pgglass-demo' CONNECTION LIMIT 20;
    END IF;
END
$roles$;
