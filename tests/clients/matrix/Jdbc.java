// pgJDBC in the driver matrix, run as `java -cp postgresql.jar Jdbc.java`: catalog questions as tools
// ask them, statements with and without server preparation, fetch sizes, batches, COPY, transactions.
// Prints one line a check as checks.py does, which also says what the environment holds.

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.StringReader;
import java.io.StringWriter;
import java.math.BigDecimal;
import java.sql.*;
import java.util.*;

public class Jdbc {
    interface Check { Object run() throws Exception; }

    static final Map<String, String> ENV = System.getenv();
    static final String PATIENTS =
        "SELECT patient_id, mrn, name, birth_date, email FROM clinic.patient ORDER BY patient_id LIMIT 40";
    static final String JOINED =
        "SELECT p.name, w.code, e.kind, e.admitted_at, e.charge FROM clinic.patient p JOIN clinic.encounter e USING (patient_id)"
        + " LEFT JOIN clinic.ward w USING (ward_id) ORDER BY e.encounter_id LIMIT 30";
    static final String COUNTED = "SELECT status, count(*), max(onset) FROM clinic.problem GROUP BY status ORDER BY status";
    static final String BY_KEY = "SELECT name, birth_date FROM clinic.patient WHERE patient_id = ?";
    static final String LONG = "SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b";
    static final long MINE = 880003;

    static Connection open(String... options) throws SQLException {
        Properties given = new Properties();
        given.setProperty("user", ENV.get("PGUSER"));
        given.setProperty("password", ENV.get("PGPASSWORD"));
        given.setProperty("sslmode", ENV.get("PGSSLMODE"));
        if (ENV.containsKey("PGSSLROOTCERT")) given.setProperty("sslrootcert", ENV.get("PGSSLROOTCERT"));
        for (int i = 0; i < options.length; i += 2) given.setProperty(options[i], options[i + 1]);
        return DriverManager.getConnection(
            "jdbc:postgresql://" + ENV.get("PGHOST") + ":" + ENV.get("PGPORT") + "/" + ENV.get("PGDATABASE"), given);
    }

    static List<Object> rows(ResultSet set) throws SQLException {
        ResultSetMetaData about = set.getMetaData();
        List<Object> all = new ArrayList<>(), head = new ArrayList<>();
        for (int i = 1; i <= about.getColumnCount(); i++) head.add(about.getColumnLabel(i) + ":" + about.getColumnTypeName(i));
        all.add(head);
        while (set.next()) {
            List<Object> row = new ArrayList<>();
            for (int i = 1; i <= about.getColumnCount(); i++) row.add(set.getString(i));
            all.add(row);
        }
        return all;
    }

    // Without the catalog, the database's name, which is another one for the copy.
    static List<String> named(ResultSet set, String... columns) throws SQLException {
        List<String> all = new ArrayList<>();
        while (set.next()) for (String column : columns) all.add(set.getString(column));
        return all;
    }

    // For questions without an order of their own.
    static List<String> sorted(List<Object> rows) {
        List<String> all = new ArrayList<>();
        for (Object row : rows) all.add(row.toString());
        Collections.sort(all);
        return all;
    }

    static void say(String name, Check check) {
        Object result;
        try {
            result = check.run();
        } catch (SQLException error) {
            result = error.getClass().getSimpleName() + " " + error.getSQLState() + " " + error.getMessage().split("\n")[0];
        } catch (Exception error) {
            result = error.toString();
        }
        System.out.println(name + "\t\"" + String.valueOf(result).replace("\\", "\\\\").replace("\"", "'").replace("\n", "\\n").replace("\t", "\\t") + "\"");
    }

    static Object prepared(String mode, String threshold) throws Exception {
        try (Connection c = open("preferQueryMode", mode, "prepareThreshold", threshold);
             PreparedStatement s = c.prepareStatement("SELECT name, birth_date FROM clinic.patient WHERE patient_id = ?")) {
            List<Object> all = new ArrayList<>();
            for (int i = 0; i < 7; i++) {
                s.setLong(1, MINE + 12 * i);
                all.add(rows(s.executeQuery()));
            }
            return all;
        }
    }

    static Object fetchSize() throws Exception {
        try (Connection c = open()) {
            c.setAutoCommit(false);
            try (Statement s = c.createStatement()) {
                s.setFetchSize(6);
                return rows(s.executeQuery(PATIENTS));
            }
        }
    }

    static Object scrollable() throws Exception {
        try (Connection c = open();
             Statement s = c.createStatement(ResultSet.TYPE_SCROLL_INSENSITIVE, ResultSet.CONCUR_READ_ONLY)) {
            ResultSet set = s.executeQuery(PATIENTS);
            set.last();
            int count = set.getRow();
            set.absolute(2);
            return count + " " + set.getString("mrn");
        }
    }

    static Object batch() throws Exception {
        try (Connection c = open("reWriteBatchedInserts", "true"); Statement s = c.createStatement()) {
            s.execute("CREATE TEMP TABLE b (i int, t text)");
            try (PreparedStatement p = c.prepareStatement("INSERT INTO b VALUES (?, ?)")) {
                for (int i = 0; i < 300; i++) {
                    p.setInt(1, i);
                    p.setString(2, "t" + i);
                    p.addBatch();
                }
                p.executeBatch();
            }
            return rows(s.executeQuery("SELECT count(*), sum(i), max(t) FROM b"));
        }
    }

    static Object generatedKeys() throws Exception {
        try (Connection c = open(); Statement s = c.createStatement()) {
            s.execute("CREATE TEMP TABLE g (i int GENERATED ALWAYS AS IDENTITY, t text)");
            s.executeUpdate("INSERT INTO g (t) VALUES ('a'), ('b')", Statement.RETURN_GENERATED_KEYS);
            return rows(s.getGeneratedKeys());
        }
    }

    static Object copy() throws Exception {
        try (Connection c = open(); Statement s = c.createStatement()) {
            s.execute("CREATE TEMP TABLE loaded (a int, b text)");
            org.postgresql.copy.CopyManager manager = c.unwrap(org.postgresql.PGConnection.class).getCopyAPI();
            long into = manager.copyIn("COPY loaded FROM STDIN", new StringReader("1\tx\n2\ty\n"));
            StringWriter out = new StringWriter();
            manager.copyOut("COPY clinic.ward (code, floor) TO STDOUT", out);
            return into + out.toString();
        }
    }

    static Object updatable() throws Exception {
        try (Connection c = open(); Statement s = c.createStatement(ResultSet.TYPE_SCROLL_INSENSITIVE, ResultSet.CONCUR_UPDATABLE)) {
            s.execute("CREATE TEMP TABLE up (i int PRIMARY KEY, t text)");
            s.execute("INSERT INTO up VALUES (1, 'a')");
            ResultSet set = s.executeQuery("SELECT i, t FROM up");
            set.next();
            set.updateString("t", "changed");
            set.updateRow();
            return rows(s.executeQuery("SELECT * FROM up"));
        }
    }

    static Object timeout() throws Exception {
        try (Connection c = open(); Statement s = c.createStatement()) {
            s.setQueryTimeout(1);
            try {
                s.execute(LONG);
                return "not cancelled";
            } catch (SQLException error) {
                s.setQueryTimeout(0);
                return error.getSQLState() + rows(s.executeQuery("SELECT 1 AS alive"));
            }
        }
    }

    static Object columnOrigins() throws Exception {
        try (Connection c = open(); Statement s = c.createStatement()) {
            ResultSetMetaData about = s.executeQuery("SELECT ward_id, code FROM clinic.ward").getMetaData();
            return about.getSchemaName(1) + about.getTableName(1) + about.isNullable(1) + about.isAutoIncrement(1);
        }
    }

    // Rows in binary and in text: what the driver asks for depends on the type and on the preparation.
    static Object everyType(String threshold) throws Exception {
        try (Connection c = open("prepareThreshold", threshold);
             PreparedStatement s = c.prepareStatement("SELECT ?::int8, ?::numeric, ?::timestamptz, encode(?::bytea, 'hex'), ?::jsonb, ?::int4[], ?::uuid, ?::float8, ?::bool, ?::date, ?::time, NULL::text, '1 day'::interval, '(1,2)'::point")) {
            List<Object> all = new ArrayList<>();
            for (int i = 0; i < 2; i++) {
                s.setLong(1, 5_000_000_000L);
                s.setBigDecimal(2, new BigDecimal("123.4500"));
                s.setTimestamp(3, new Timestamp(1_700_000_000_123L));
                s.setBytes(4, new byte[] {0, -1, 7});
                s.setObject(5, "{\"a\": [1, 2]}", Types.OTHER);
                s.setArray(6, c.createArrayOf("int4", new Integer[] {1, null, 3}));
                s.setObject(7, UUID.fromString("00000000-0000-0000-0000-00000000002a"));
                s.setDouble(8, 0.1);
                s.setBoolean(9, true);
                s.setDate(10, java.sql.Date.valueOf("2026-02-03"));
                s.setTime(11, Time.valueOf("04:05:06"));
                all.add(rows(s.executeQuery()));
            }
            return all;
        }
    }

    static Object joined(String threshold) throws Exception {
        try (Connection c = open("prepareThreshold", threshold)) {
            List<Object> all = new ArrayList<>();
            for (String sql : List.of(JOINED, COUNTED)) {
                try (PreparedStatement s = c.prepareStatement(sql)) {
                    for (int i = 0; i < 2; i++) all.add(rows(s.executeQuery()));
                }
            }
            return all;
        }
    }

    // A portal is read in parts while other statements of the transaction run in between.
    static Object fetchSizeBetween() throws Exception {
        try (Connection c = open("prepareThreshold", "1", "defaultRowFetchSize", "5")) {
            c.setAutoCommit(false);
            List<Object> all = new ArrayList<>();
            try (PreparedStatement s = c.prepareStatement(PATIENTS); PreparedStatement t = c.prepareStatement(BY_KEY)) {
                for (int i = 0; i < 2; i++) {
                    ResultSet set = s.executeQuery();
                    while (set.next()) {
                        t.setLong(1, set.getLong(1));
                        all.add(rows(t.executeQuery()));
                    }
                }
                ResultSet left = s.executeQuery();
                left.next();
                left.close();
            }
            c.commit();
            return all;
        }
    }

    static Object maxRows() throws Exception {
        try (Connection c = open(); Statement s = c.createStatement()) {
            s.setMaxRows(3);
            return rows(s.executeQuery(PATIENTS)).size() + " " + rows(s.executeQuery(JOINED)).size();
        }
    }

    static Object severalResults() throws Exception {
        try (Connection c = open(); Statement s = c.createStatement()) {
            List<Object> all = new ArrayList<>();
            boolean isRows = s.execute("SELECT 1 AS a; " + PATIENTS + "; SET application_name = 'jdbc'; SELECT 2 AS b");
            while (isRows || s.getUpdateCount() != -1) {
                all.add(isRows ? rows(s.getResultSet()) : s.getUpdateCount());
                isRows = s.getMoreResults();
            }
            return all;
        }
    }

    // Statements of every kind in one batch: one pipeline.
    static Object mixedBatch() throws Exception {
        try (Connection c = open(); Statement s = c.createStatement()) {
            c.setAutoCommit(false);
            s.addBatch("CREATE TEMP TABLE m (i int, n int)");
            s.addBatch("INSERT INTO m SELECT 1, count(*) FROM clinic.ward");
            s.addBatch("INSERT INTO m VALUES (2, 2), (3, 3)");
            s.addBatch("DELETE FROM m WHERE i = 3");
            String counts = Arrays.toString(s.executeBatch());
            Object seen = rows(s.executeQuery("SELECT * FROM m ORDER BY i"));
            c.rollback();
            return counts + seen;
        }
    }

    static Object batchThatFails(String rewrite, boolean autoCommit) throws Exception {
        try (Connection c = open("reWriteBatchedInserts", rewrite); Statement s = c.createStatement()) {
            s.execute("CREATE TEMP TABLE u (i int PRIMARY KEY)");
            c.setAutoCommit(autoCommit);
            String said;
            try (PreparedStatement p = c.prepareStatement("INSERT INTO u VALUES (?)")) {
                for (int i : new int[] {1, 2, 3, 2, 5}) {
                    p.setInt(1, i);
                    p.addBatch();
                }
                said = Arrays.toString(p.executeBatch());
            } catch (BatchUpdateException error) {
                said = error.getSQLState() + Arrays.toString(error.getUpdateCounts()) + error.getNextException().getMessage();
            }
            if (!autoCommit) c.rollback();
            return said + rows(s.executeQuery("SELECT * FROM u ORDER BY i"));
        }
    }

    // Thousands of rows in one pipeline: the driver syncs in between by what it thinks the replies take.
    static Object notes(String rewrite, int rows) throws Exception {
        try (Connection c = open("reWriteBatchedInserts", rewrite); Statement s = c.createStatement()) {
            c.setAutoCommit(false);
            int sum = 0;
            try (PreparedStatement p = c.prepareStatement(
                    "INSERT INTO clinic.note (note_id, patient_id, author, kind, written_at, body) VALUES (?, ?, 'matrix', 'progress', now(), ?)")) {
                for (int i = 0; i < rows; i++) {
                    p.setLong(1, 7_200_000 + i);
                    p.setLong(2, MINE + 12 * (i % 25));
                    p.setString(3, "note " + i);
                    p.addBatch();
                }
                for (int count : p.executeBatch()) sum += count == Statement.SUCCESS_NO_INFO ? 1 : count;
            }
            Object seen = rows(s.executeQuery("SELECT patient_id, count(*), max(body) FROM clinic.note WHERE author = 'matrix' GROUP BY 1 ORDER BY 1"));
            c.rollback();
            return sum + " " + seen;
        }
    }

    static Object batchReturning() throws Exception {
        try (Connection c = open(); Statement s = c.createStatement()) {
            s.execute("CREATE TEMP TABLE r (i int GENERATED ALWAYS AS IDENTITY, t text)");
            try (PreparedStatement p = c.prepareStatement("INSERT INTO r (t) VALUES (?)", new String[] {"i", "t"})) {
                for (int i = 0; i < 100; i++) {
                    p.setString(1, "row " + i);
                    p.addBatch();
                }
                p.executeBatch();
                return rows(p.getGeneratedKeys());
            }
        }
    }

    static Object transactions() throws Exception {
        try (Connection c = open(); Statement s = c.createStatement()) {
            s.execute("CREATE TEMP TABLE t (i int)");
            c.setAutoCommit(false);
            c.setTransactionIsolation(Connection.TRANSACTION_SERIALIZABLE);
            s.execute("INSERT INTO t VALUES (1)");
            Savepoint before = c.setSavepoint("before");
            List<Object> all = new ArrayList<>();
            for (String sql : List.of("SELECT nope FROM clinic.patient", PATIENTS)) {
                try {
                    s.executeQuery(sql);
                } catch (SQLException error) {
                    all.add(error.getSQLState() + error.getMessage());
                }
            }
            c.rollback(before);
            all.add(rows(s.executeQuery("SELECT i, (SELECT count(*) FROM clinic.patient) FROM t")));
            c.commit();
            c.setReadOnly(true);
            try {
                s.execute("INSERT INTO clinic.ward VALUES (99, 'x', 'x', 1, 1)");
            } catch (SQLException error) {
                all.add(error.getSQLState());
            }
            c.rollback();
            all.add(c.isValid(5));
            return all;
        }
    }

    // The driver sets a savepoint before each statement, and goes back to it after an error.
    static Object autosave() throws Exception {
        try (Connection c = open("autosave", "always"); Statement s = c.createStatement()) {
            c.setAutoCommit(false);
            List<Object> all = new ArrayList<>();
            all.add(rows(s.executeQuery(COUNTED)));
            try {
                s.executeQuery("SELECT nope FROM clinic.patient");
            } catch (SQLException error) {
                all.add(error.getSQLState());
            }
            all.add(rows(s.executeQuery(COUNTED)));
            c.commit();
            return all;
        }
    }

    // A statement whose result changes under it: the driver prepares it again.
    static Object preparedThatChanged() throws Exception {
        try (Connection c = open("prepareThreshold", "1", "autosave", "conservative"); Statement s = c.createStatement()) {
            s.execute("CREATE TEMP TABLE changing (i int)");
            s.execute("INSERT INTO changing VALUES (1)");
            List<Object> all = new ArrayList<>();
            try (PreparedStatement p = c.prepareStatement("SELECT * FROM changing")) {
                for (int i = 0; i < 3; i++) all.add(rows(p.executeQuery()));
                s.execute("DROP TABLE changing");
                s.execute("CREATE TEMP TABLE changing (i int, t text)");
                for (int i = 0; i < 2; i++) {
                    try {
                        all.add(rows(p.executeQuery()));
                    } catch (SQLException error) {
                        all.add(error.getSQLState());
                    }
                }
            }
            return all;
        }
    }

    static Object listen() throws Exception {
        try (Connection c = open(); Connection other = open(); Statement s = c.createStatement(); Statement t = other.createStatement()) {
            s.execute("LISTEN matrix");
            t.execute("NOTIFY matrix, 'hello'");
            List<Object> all = new ArrayList<>();
            for (org.postgresql.PGNotification n : c.unwrap(org.postgresql.PGConnection.class).getNotifications(10_000)) all.add(n.getName() + n.getParameter());
            s.execute("CREATE TEMP TABLE l (i int)");
            s.execute("CREATE TEMP TABLE IF NOT EXISTS l (i int)");
            all.add(s.getWarnings().getSQLState() + s.getWarnings().getMessage());
            return all;
        }
    }

    static Object large() throws Exception {
        try (Connection c = open(); PreparedStatement s = c.prepareStatement("SELECT length(?::text), md5(?), length(?)")) {
            s.setString(1, "x".repeat(4_000_000));
            s.setString(2, "é".repeat(1_000_000));
            s.setBinaryStream(3, new ByteArrayInputStream(new byte[3_000_000]));
            return rows(s.executeQuery());
        }
    }

    static Object manyParameters() throws Exception {
        try (Connection c = open()) {
            List<Object> all = new ArrayList<>();
            try (PreparedStatement s = c.prepareStatement("SELECT count(*), sum(patient_id) FROM clinic.patient WHERE patient_id IN (?" + ", ?".repeat(999) + ")")) {
                for (int i = 0; i < 1000; i++) s.setLong(i + 1, MINE + 12 * i % 300);
                all.add(rows(s.executeQuery()));
            }
            try (PreparedStatement s = c.prepareStatement("SELECT name FROM clinic.patient WHERE patient_id = ANY (?) ORDER BY 1")) {
                s.setArray(1, c.createArrayOf("int8", new Long[] {MINE, MINE + 12, MINE + 24}));
                all.add(rows(s.executeQuery()));
            }
            return all;
        }
    }

    static Object copyMore() throws Exception {
        try (Connection c = open(); Statement s = c.createStatement()) {
            s.execute("CREATE TEMP TABLE loaded (a int, b text)");
            org.postgresql.copy.CopyManager manager = c.unwrap(org.postgresql.PGConnection.class).getCopyAPI();
            List<Object> all = new ArrayList<>();
            ByteArrayOutputStream out = new ByteArrayOutputStream();
            all.add(manager.copyOut("COPY (" + JOINED + ") TO STDOUT (FORMAT binary)", out));
            all.add(Arrays.hashCode(out.toByteArray()));
            org.postgresql.copy.CopyIn in = manager.copyIn("COPY loaded FROM STDIN (FORMAT csv)");
            byte[] line = "1,x\n".getBytes();
            in.writeToCopy(line, 0, line.length);
            in.cancelCopy();
            try {
                manager.copyIn("COPY loaded FROM STDIN", new StringReader("not a number\tx\n"));
            } catch (SQLException error) {
                all.add(error.getSQLState() + error.getMessage());
            }
            // Left in the middle: the driver cancels the query.
            org.postgresql.copy.CopyOut left = manager.copyOut("COPY (SELECT * FROM clinic.patient, generate_series(1, 1000000)) TO STDOUT");
            left.readFromCopy();
            left.cancelCopy();
            all.add(rows(s.executeQuery("SELECT count(*) FROM loaded")));
            return all;
        }
    }

    static Object cancelled() throws Exception {
        try (Connection c = open(); Statement s = c.createStatement()) {
            new Timer(true).schedule(new TimerTask() {
                public void run() { try { s.cancel(); } catch (SQLException error) { } }
            }, 700);
            try {
                s.execute(LONG);
                return "not cancelled";
            } catch (SQLException error) {
                return error.getSQLState() + rows(s.executeQuery(COUNTED));
            }
        }
    }

    static Object errorDetails() throws Exception {
        try (Connection c = open(); Statement s = c.createStatement()) {
            List<Object> all = new ArrayList<>();
            s.execute("CREATE TEMP TABLE e (i int CONSTRAINT only_small CHECK (i < 5))");
            for (String sql : List.of("SELECT nope\nFROM clinic.patient", "SELEC", "SELECT 1/0", "INSERT INTO e VALUES (9)", "SELECT * FROM nowhere")) {
                try {
                    s.execute(sql);
                } catch (org.postgresql.util.PSQLException error) {
                    org.postgresql.util.ServerErrorMessage told = error.getServerErrorMessage();
                    all.add(Arrays.asList(told.getSeverity(), told.getSQLState(), told.getMessage(), told.getDetail(), told.getHint(), told.getPosition(), told.getTable(), told.getConstraint()));
                }
            }
            return all;
        }
    }

    static Object describedBefore() throws Exception {
        try (Connection c = open(); PreparedStatement s = c.prepareStatement("SELECT name, birth_date, zip FROM clinic.patient WHERE patient_id = ? AND name LIKE ?")) {
            ResultSetMetaData about = s.getMetaData();
            ParameterMetaData given = s.getParameterMetaData();
            List<Object> all = new ArrayList<>();
            for (int i = 1; i <= about.getColumnCount(); i++) all.add(about.getColumnName(i) + about.getColumnTypeName(i) + about.getPrecision(i) + about.isNullable(i));
            for (int i = 1; i <= given.getParameterCount(); i++) all.add(given.getParameterTypeName(i));
            return all;
        }
    }

    static Object escapes() throws Exception {
        try (Connection c = open(); Statement s = c.createStatement()) {
            List<Object> all = new ArrayList<>();
            all.add(rows(s.executeQuery("SELECT count(*) FROM {oj clinic.patient p LEFT OUTER JOIN clinic.encounter e ON p.patient_id = e.patient_id} WHERE p.birth_date > {d '1980-01-01'} AND {fn length(p.name)} > 3")));
            try (CallableStatement call = c.prepareCall("{? = call upper(?)}")) {
                call.registerOutParameter(1, Types.VARCHAR);
                call.setString(2, "loud");
                call.execute();
                all.add(call.getString(1));
            }
            return all;
        }
    }

    public static void main(String[] arguments) throws Exception {
        say("simple mode", () -> prepared("simple", "5"));
        say("extended, never named", () -> prepared("extended", "0"));
        say("extended, named after five", () -> prepared("extended", "5"));
        say("extended, named and binary at once", () -> prepared("extendedCacheEverything", "-1"));
        say("fetch size", Jdbc::fetchSize);
        say("scrollable", Jdbc::scrollable);
        say("batch", Jdbc::batch);
        say("generated keys", Jdbc::generatedKeys);
        say("COPY", Jdbc::copy);
        say("updatable", Jdbc::updatable);
        say("query timeout", Jdbc::timeout);
        say("every type, text", () -> everyType("0"));
        say("every type, binary", () -> everyType("-1"));
        say("joins, text", () -> joined("0"));
        say("joins, binary", () -> joined("-1"));
        say("fetch size, others in between", Jdbc::fetchSizeBetween);
        say("maximum of rows", Jdbc::maxRows);
        say("several results", Jdbc::severalResults);
        say("batch of statements", Jdbc::mixedBatch);
        say("batch that fails, autocommit", () -> batchThatFails("false", true));
        say("batch that fails, transaction", () -> batchThatFails("false", false));
        say("batch that fails, rewritten", () -> batchThatFails("true", true));
        say("batch of notes", () -> notes("false", 2000));
        say("batch of notes, rewritten", () -> notes("true", 2000));
        say("batch returning keys", Jdbc::batchReturning);
        say("transactions", Jdbc::transactions);
        say("autosave", Jdbc::autosave);
        say("prepared, then changed", Jdbc::preparedThatChanged);
        say("LISTEN and warnings", Jdbc::listen);
        say("large parameters", Jdbc::large);
        say("many parameters", Jdbc::manyParameters);
        say("COPY, further", Jdbc::copyMore);
        say("cancel", Jdbc::cancelled);
        say("error details", Jdbc::errorDetails);
        say("described before execution", Jdbc::describedBefore);
        say("escapes and calls", Jdbc::escapes);
        say("column origins", Jdbc::columnOrigins);
        try (Connection c = open()) {
            DatabaseMetaData d = c.getMetaData();
            say("getTables", () -> rows(d.getTables(null, "clinic", "%", null)));
            say("getColumns", () -> rows(d.getColumns(null, "clinic", "%", "%")));
            say("getPrimaryKeys", () -> rows(d.getPrimaryKeys(null, "clinic", "encounter")));
            say("getImportedKeys", () -> rows(d.getImportedKeys(null, "clinic", "encounter")));
            say("getCrossReference", () -> rows(d.getCrossReference(null, "clinic", "patient", null, "clinic", "note")));
            say("getColumns of all", () -> named(d.getColumns(null, null, "%patient%", "%"), "TABLE_SCHEM", "COLUMN_NAME", "TYPE_NAME"));
            say("getTables by type", () -> named(d.getTables(null, null, "%", new String[] {"TABLE", "VIEW"}), "TABLE_SCHEM", "TABLE_NAME", "REMARKS"));
            say("getFunctionColumns", () -> named(d.getFunctionColumns(null, "glass", "%", "%"), "FUNCTION_NAME", "COLUMN_NAME", "TYPE_NAME"));
            say("getExportedKeys", () -> rows(d.getExportedKeys(null, "clinic", "patient")));
            say("getIndexInfo", () -> {
                List<Object> kept = new ArrayList<>();
                ResultSet set = d.getIndexInfo(null, "clinic", "note", false, true);
                // Without CARDINALITY and PAGES, which are estimates.
                while (set.next()) kept.add(set.getString(6) + set.getString(4) + set.getString(8) + set.getString(9));
                return kept;
            });
            say("getSchemas", () -> rows(d.getSchemas()));
            say("getCatalogs", () -> rows(d.getCatalogs()).size() > 1);
            say("getTypeInfo", () -> sorted(rows(d.getTypeInfo())));
            say("getTablePrivileges", () -> rows(d.getTablePrivileges(null, "clinic", "%")));
            say("getColumnPrivileges", () -> rows(d.getColumnPrivileges(null, "clinic", "patient", "ssn")));
            say("getFunctions", () -> named(d.getFunctions(null, "glass", "%"), "FUNCTION_NAME", "SPECIFIC_NAME"));
            say("getProcedures", () -> named(d.getProcedures(null, "glass", "%"), "PROCEDURE_NAME", "SPECIFIC_NAME"));
            say("getVersionColumns", () -> rows(d.getVersionColumns(null, "clinic", "ward")));
            say("getBestRowIdentifier", () -> rows(d.getBestRowIdentifier(null, "clinic", "ward", 0, true)));
            say("getUDTs", () -> rows(d.getUDTs(null, "clinic", "%", null)));
            say("getClientInfoProperties", () -> rows(d.getClientInfoProperties()));
            say("version", () -> d.getDatabaseProductVersion() + d.getMaxConnections() + d.getMaxColumnNameLength());
        }
    }
}
