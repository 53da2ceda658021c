// node-postgres, pg-cursor, pg-query-stream and postgres.js in the driver matrix: node drivers.mjs NAME.
// Prints one line a check as checks.py does, which also says what the environment holds. Lies beside
// its node_modules when it runs.

import fs from 'node:fs';

const ssl = process.env.PGSSLMODE === 'disable' ? false : { ca: fs.readFileSync(process.env.PGSSLROOTCERT), rejectUnauthorized: true };
// The drivers read these two in their own way; TLS is given in code.
delete process.env.PGSSLMODE;
delete process.env.PGSSLROOTCERT;

const PATIENTS = 'SELECT patient_id, mrn, name, birth_date, email FROM clinic.patient ORDER BY patient_id LIMIT 40';
const JOINED = `SELECT p.name, w.code, e.kind, e.admitted_at, e.charge FROM clinic.patient p
  JOIN clinic.encounter e USING (patient_id) LEFT JOIN clinic.ward w USING (ward_id) ORDER BY e.encounter_id LIMIT 30`;
const WARDS = 'SELECT * FROM clinic.ward ORDER BY ward_id';
const MINE = '880003';
const APART = 12; // nurse_amy's patients: MINE, MINE + APART ...

function emit(name, result) {
  process.stdout.write(`${name}\t${JSON.stringify(result)}\n`);
}

async function run(checks) {
  for (const [name, check] of Object.entries(checks)) {
    let timer;
    const late = new Promise((_, reject) => { timer = setTimeout(() => reject(new Error('no answer in 60 s')), 60000); });
    try {
      emit(name, await Promise.race([check(), late]));
    } catch (error) {
      emit(name, { error: error.constructor.name, sqlstate: error.code, text: String(error.message).split('\n')[0] });
    }
    clearTimeout(timer);
  }
}

async function nodePostgres() {
  const { default: pg } = await import('pg');
  const withClient = (work) => async () => {
    const client = new pg.Client({ ssl });
    client.on('error', () => {});
    await client.connect();
    try { return await work(client); } finally { await client.end(); }
  };
  const plain = (r) => ({ command: r.command, count: r.rowCount, rows: r.rows, fields: r.fields.map((f) => [f.name, f.dataTypeID, f.format]) });
  const checks = {
    'simple query': withClient(async (c) => plain(await c.query(JOINED))),
    'parameters': withClient(async (c) => plain(await c.query('SELECT name FROM clinic.patient WHERE patient_id = $1', [MINE]))),
    'named statement, again': withClient(async (c) => {
      const got = [];
      for (let i = 0; i < 3; i += 1) {
        got.push((await c.query({ name: 'one', text: 'SELECT mrn FROM clinic.patient WHERE patient_id = $1', values: [Number(MINE) + APART * i] })).rows);
      }
      return got;
    }),
    'binary': withClient(async (c) => (await c.query({ text: WARDS, values: [], binary: true })).rows.map((r) => Object.values(r).map(String))),
    'row arrays': withClient(async (c) => (await c.query({ text: PATIENTS, rowMode: 'array' })).rows),
    'several statements': withClient(async (c) => (await c.query(`SELECT 1 AS a; ${PATIENTS}; SELECT 2 AS b`)).map(plain)),
    'empty query': withClient(async (c) => (await c.query('')).rows),
    'queued queries': withClient(async (c) => Promise.all([1, 2, 3, 4].map(async (i) => (await c.query('SELECT $1::int AS i, count(*) FROM clinic.patient', [i])).rows))),
    'errors': withClient(async (c) => {
      const got = [];
      for (const sql of ['SELECT 1/0', 'SELECT nope FROM clinic.patient', 'SELEC']) {
        try { await c.query(sql); } catch (e) { got.push([e.code, e.message, e.position, e.severity]); }
      }
      return [got, (await c.query('SELECT 1 AS alive')).rows];
    }),
    'notification': withClient(async (c) => {
      const heard = new Promise((resolve) => { c.on('notification', (n) => resolve([n.channel, n.payload])); });
      await c.query('LISTEN matrix');
      await c.query("NOTIFY matrix, 'hello'");
      return heard;
    }),
    'transaction': withClient(async (c) => {
      await c.query('BEGIN');
      await c.query('CREATE TEMP TABLE t (i int)');
      await c.query('INSERT INTO t VALUES ($1), ($2)', [1, 2]);
      const failed = await c.query('SELECT nope').catch((e) => e.code);
      const aborted = await c.query('SELECT 1').catch((e) => e.code);
      await c.query('ROLLBACK');
      return [failed, aborted, (await c.query('SELECT 1 AS alive')).rows];
    }),
    'pool': async () => {
      const pool = new pg.Pool({ ssl, max: 3 });
      const got = await Promise.all([...Array(9).keys()].map(async (i) => (await pool.query('SELECT $1::int + count(*)::int AS n FROM clinic.patient', [i])).rows));
      await pool.end();
      return got;
    },
    'large parameter': withClient(async (c) => (await c.query('SELECT length($1) AS n', ['x'.repeat(3000000)])).rows),
  };
  await run(checks);
}

async function pgCursor() {
  const [{ default: pg }, { default: Cursor }] = await Promise.all([import('pg'), import('pg-cursor')]);
  const withCursor = (sql, values, work) => async () => {
    const client = new pg.Client({ ssl });
    await client.connect();
    try {
      const cursor = client.query(new Cursor(sql, values));
      const got = await work(cursor);
      await cursor.close();
      return [got, (await client.query('SELECT 1 AS alive')).rows];
    } finally { await client.end(); }
  };
  await run({
    'in parts, to the end': withCursor(PATIENTS, [], async (c) => {
      const parts = [];
      for (;;) {
        const rows = await c.read(7);
        if (rows.length === 0) return parts;
        parts.push(rows);
      }
    }),
    'closed before the end': withCursor(JOINED, [], (c) => c.read(3)),
    'with parameters': withCursor('SELECT title FROM clinic.problem WHERE patient_id = $1 ORDER BY problem_id', [MINE], (c) => c.read(100)),
  });
}

async function pgQueryStream() {
  const [{ default: pg }, { default: QueryStream }] = await Promise.all([import('pg'), import('pg-query-stream')]);
  const streamed = (sql, options, enough) => async () => {
    const client = new pg.Client({ ssl });
    await client.connect();
    const rows = [];
    try {
      for await (const row of client.query(new QueryStream(sql, [], options))) {
        rows.push(row);
        if (rows.length === enough) break;
      }
      return [rows, (await client.query('SELECT 1 AS alive')).rows];
    } finally { await client.end(); }
  };
  await run({
    'all rows': streamed(PATIENTS, { batchSize: 6 }),
    'row arrays': streamed(JOINED, { rowMode: 'array' }),
    'left before the end': streamed('SELECT lab_result.analyte FROM clinic.lab_result ORDER BY result_id', { batchSize: 10 }, 15),
  });
}

async function postgresJs() {
  const { default: postgres } = await import('postgres');
  const withSql = (work) => async () => {
    const sql = postgres({ ssl, max: 2, onnotice: () => {} });
    try { return await work(sql); } finally { await sql.end({ timeout: 5 }); }
  };
  const checks = {
    'template': withSql(async (sql) => [...await sql`SELECT mrn, birth_date FROM clinic.patient WHERE patient_id = ${MINE}`]),
    'simple': withSql(async (sql) => [...await sql.unsafe(JOINED)]),
    'array parameter': withSql(async (sql) => [...await sql`SELECT mrn FROM clinic.patient WHERE patient_id = ANY(${[880003, 880015]}) ORDER BY 1`]),
    'pipelined': withSql(async (sql) => (await Promise.all([1, 2, 3, 4, 5, 6].map((i) => sql`SELECT ${i}::int AS i, count(*) FROM clinic.problem`))).map((r) => [...r])),
    'cursor': withSql(async (sql) => {
      const parts = [];
      for await (const rows of sql.unsafe(PATIENTS).cursor(9)) parts.push(rows.map((r) => r.mrn));
      return parts;
    }),
    'transaction': withSql(async (sql) => sql.begin(async (tx) => {
      await tx`CREATE TEMP TABLE t (i int)`;
      await tx`INSERT INTO t ${tx([{ i: 1 }, { i: 2 }])}`;
      await tx.savepoint(async (inner) => { await inner`SELECT 1/0`; }).catch((e) => e.code);
      return [...await tx`SELECT * FROM t`];
    })),
    'describe': withSql(async (sql) => {
      const told = await sql`SELECT name, sex FROM clinic.patient WHERE patient_id = ${1}`.describe();
      return [told.types, told.columns.map((c) => [c.name, c.type])];
    }),
    'error': withSql(async (sql) => [await sql`SELECT nope`.catch((e) => [e.code, e.message, e.position]), [...await sql`SELECT 1 AS alive`]]),
    'copy in': withSql(async (sql) => {
      const one = await sql.reserve();
      await one`CREATE TEMP TABLE loaded (a int, b text)`;
      const into = await one`COPY loaded FROM STDIN`.writable();
      await new Promise((resolve, reject) => { into.on('finish', resolve).on('error', reject); into.end('1\tx\n2\ty\n'); });
      const rows = [...await one`SELECT * FROM loaded`];
      one.release();
      return rows;
    }),
    'copy out': withSql(async (sql) => {
      const parts = [];
      for await (const part of await sql`COPY clinic.ward (code) TO STDOUT`.readable()) parts.push(part.toString());
      return parts.join('');
    }),
    'listen': withSql(async (sql) => {
      const heard = new Promise((resolve, reject) => { sql.listen('matrix', resolve).then(() => sql.notify('matrix', 'hello')).catch(reject); });
      return heard;
    }),
  };
  await run(checks);
}

const drivers = { 'pg': nodePostgres, 'pg-cursor': pgCursor, 'pg-query-stream': pgQueryStream, 'postgres': postgresJs };
await drivers[process.argv[2]]();
