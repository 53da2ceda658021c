// pgJDBC in the driver matrix, run as `java -cp postgresql.jar Jdbc.java`: catalog questions as tools
// ask them, statements with and without server preparation, fetch sizes, batches, COPY. Prints one
// line a check as checks.py does, which also says what the environment holds.

import java.io.StringReader;
import java.io.StringWriter;
import java.sql.*;
import java.util.*;

public class Jdbc {
    interface Check { Object run() throws Exception; }

    static final Map<String, String> ENV = System.getenv();
    static final String PATIENTS =
        "SELECT patient_id, mrn, name, birth_date, email FROM clinic.patient ORDER BY patient_id LIMIT 40";
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
                s.execute("SELECT pg_sleep(20)");
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
        // pg_sleep is closed to restricted roles.
        if (!"assigned".equals(ENV.get("MATRIX_SCOPE"))) say("query timeout", Jdbc::timeout);
        say("column origins", Jdbc::columnOrigins);
        try (Connection c = open()) {
            DatabaseMetaData d = c.getMetaData();
            say("getTables", () -> rows(d.getTables(null, "clinic", "%", null)));
            say("getColumns", () -> rows(d.getColumns(null, "clinic", "%", "%")));
            say("getPrimaryKeys", () -> rows(d.getPrimaryKeys(null, "clinic", "encounter")));
            say("getImportedKeys", () -> rows(d.getImportedKeys(null, "clinic", "encounter")));
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
