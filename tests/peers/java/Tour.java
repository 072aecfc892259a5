import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.apache.fluss.client.Connection;
import org.apache.fluss.client.ConnectionFactory;
import org.apache.fluss.client.admin.Admin;
import org.apache.fluss.client.admin.ClusterHealth;
import org.apache.fluss.client.admin.OffsetSpec;
import org.apache.fluss.client.admin.RegisterResult;
import org.apache.fluss.client.lookup.Lookuper;
import org.apache.fluss.client.table.Table;
import org.apache.fluss.client.table.scanner.MultiTableRecord;
import org.apache.fluss.client.table.scanner.Scan;
import org.apache.fluss.client.table.scanner.ScanRecord;
import org.apache.fluss.client.table.scanner.batch.BatchScanner;
import org.apache.fluss.client.table.scanner.log.LogScanner;
import org.apache.fluss.client.table.scanner.log.MultiTableLogScanner;
import org.apache.fluss.client.table.scanner.log.ScanRecords;
import org.apache.fluss.client.table.writer.AppendWriter;
import org.apache.fluss.client.table.writer.MultiTableWriteRecord;
import org.apache.fluss.client.table.writer.MultiTableWriter;
import org.apache.fluss.client.table.writer.UpsertWriter;
import org.apache.fluss.cluster.rebalance.GoalType;
import org.apache.fluss.cluster.rebalance.ServerTag;
import org.apache.fluss.config.Configuration;
import org.apache.fluss.metadata.AggFunctions;
import org.apache.fluss.metadata.DatabaseChange;
import org.apache.fluss.metadata.DatabaseDescriptor;
import org.apache.fluss.metadata.PartitionInfo;
import org.apache.fluss.metadata.PartitionSpec;
import org.apache.fluss.metadata.Schema;
import org.apache.fluss.metadata.TableBucket;
import org.apache.fluss.metadata.TableChange;
import org.apache.fluss.metadata.TableDescriptor;
import org.apache.fluss.metadata.TableInfo;
import org.apache.fluss.metadata.TablePath;
import org.apache.fluss.predicate.Predicate;
import org.apache.fluss.predicate.PredicateBuilder;
import org.apache.fluss.row.BinaryString;
import org.apache.fluss.row.GenericRow;
import org.apache.fluss.row.InternalRow;
import org.apache.fluss.rpc.protocol.MergeMode;
import org.apache.fluss.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;
import org.apache.fluss.types.DataTypes;
import org.apache.fluss.utils.CloseableIterator;

/**
 * All that the Java client 1.0.0 can do, step by step: {@code Tour HOST:PORT} prints one line of JSON for each, with its
 * name and, where it failed, why.
 */
public final class Tour {
    private static final String DATABASE = "tour";
    private static final ObjectMapper JSON = new ObjectMapper();

    private interface Step {
        void run() throws Exception;
    }

    private final Connection connection;
    private final Admin admin;

    private Tour(Connection connection) {
        this.connection = connection;
        this.admin = connection.getAdmin();
    }

    public static void main(String[] arguments) throws Exception {
        Configuration configuration = new Configuration();
        configuration.setString("bootstrap.servers", arguments[0]);
        try (Connection connection = ConnectionFactory.createConnection(configuration)) {
            new Tour(connection).run();
        }
    }

    private void run() throws Exception {
        databases();
        properties();
        alterations();
        logs();
        filters();
        keys();
        partitions();
        rescaling();
        manyTables();
        operators();
        refusals();
    }

    // --- What every step uses.

    private static void step(String name, Step step) throws Exception {
        Map<String, Object> done = new TreeMap<>();
        done.put("step", name);
        try {
            step.run();
        } catch (Throwable failure) {
            done.put("error", String.valueOf(failure));
        }
        System.out.println(JSON.writeValueAsString(done));
    }

    private static <T> T await(CompletableFuture<T> future) throws Exception {
        return future.get(30, TimeUnit.SECONDS);
    }

    private static void check(Object found, Object expected) {
        if (!expected.equals(found)) {
            throw new AssertionError("found " + found + ", expected " + expected);
        }
    }

    /** Expects a refusal that says this. */
    private static void refused(String says, Step step) throws Exception {
        try {
            step.run();
        } catch (Throwable failure) {
            for (Throwable cause = failure; cause != null; cause = cause.getCause()) {
                if (String.valueOf(cause).contains(says)) {
                    return;
                }
            }
            throw new AssertionError("refused otherwise: " + failure);
        }
        throw new AssertionError("not refused");
    }

    private static TablePath path(String table) {
        return TablePath.of(DATABASE, table);
    }

    private static GenericRow row(Object... values) {
        GenericRow row = new GenericRow(values.length);
        for (int i = 0; i < values.length; i++) {
            row.setField(i, values[i] instanceof String ? BinaryString.fromString((String) values[i]) : values[i]);
        }
        return row;
    }

    private static Schema logSchema() {
        return Schema.newBuilder().column("id", DataTypes.INT()).column("name", DataTypes.STRING()).build();
    }

    private static Schema keySchema() {
        return Schema.newBuilder()
                .column("id", DataTypes.INT())
                .column("name", DataTypes.STRING())
                .column("n", DataTypes.BIGINT())
                .primaryKey("id")
                .build();
    }

    private static Schema partitionedSchema(boolean keyed) {
        Schema.Builder schema = Schema.newBuilder()
                .column("id", DataTypes.INT())
                .column("day", DataTypes.STRING())
                .column("v", DataTypes.STRING());
        return keyed ? schema.primaryKey("id", "day").build() : schema.build();
    }

    private TableInfo create(String table, Schema schema, int buckets, String... properties) throws Exception {
        TableDescriptor.Builder descriptor = TableDescriptor.builder().schema(schema).distributedBy(buckets);
        for (int i = 0; i < properties.length; i += 2) {
            descriptor.property(properties[i], properties[i + 1]);
        }
        await(admin.createTable(path(table), descriptor.build(), false));
        return await(admin.getTableInfo(path(table)));
    }

    private void append(String table, int from, int to) throws Exception {
        try (Table opened = connection.getTable(path(table))) {
            AppendWriter writer = opened.newAppend().createWriter();
            List<CompletableFuture<?>> written = new ArrayList<>();
            for (int id = from; id < to; id++) {
                written.add(writer.append(row(id, "n" + id)));
            }
            writer.flush();
            await(CompletableFuture.allOf(written.toArray(CompletableFuture[]::new)));
        }
    }

    /** The ids of a log of one bucket, as a scan gives them until it has come to an offset. */
    private List<Integer> scan(Table table, Scan scan, long end) throws Exception {
        List<Integer> ids = new ArrayList<>();
        TableBucket bucket = new TableBucket(table.getTableInfo().getTableId(), 0);
        try (LogScanner scanner = scan.createLogScanner()) {
            scanner.subscribeFromBeginning(0);
            long consumed = 0;
            long deadline = System.nanoTime() + Duration.ofSeconds(30).toNanos();
            while (consumed < end && System.nanoTime() < deadline) {
                ScanRecords polled = scanner.poll(Duration.ofMillis(500));
                for (ScanRecord record : polled) {
                    ids.add(record.getRow().getInt(0));
                }
                Long upTo = polled.consumedUpToOffset(bucket);
                consumed = upTo == null ? consumed : Math.max(consumed, upTo);
            }
        }
        return ids;
    }

    private static List<Integer> range(int from, int to) {
        List<Integer> ids = new ArrayList<>();
        for (int id = from; id < to; id++) {
            ids.add(id);
        }
        return ids;
    }

    private static List<InternalRow> all(BatchScanner scanner) throws Exception {
        List<InternalRow> rows = new ArrayList<>();
        CloseableIterator<InternalRow> batch;
        while ((batch = scanner.pollBatch(Duration.ofSeconds(30))) != null) {
            batch.forEachRemaining(rows::add);
            batch.close();
        }
        scanner.close();
        return rows;
    }

    private static PartitionSpec day(String value) {
        return new PartitionSpec(Map.of("day", value));
    }

    private Map<String, Integer> counts(String table) throws Exception {
        Map<String, Integer> counts = new TreeMap<>();
        for (PartitionInfo partition : await(admin.listPartitionInfos(path(table)))) {
            counts.put(partition.getPartitionName(), partition.getBucketCount());
        }
        return counts;
    }

    // --- The steps.

    private void databases() throws Exception {
        step("create a database", () -> {
            DatabaseDescriptor descriptor =
                    DatabaseDescriptor.builder().comment("first").customProperty("owner", "me").build();
            await(admin.createDatabase(DATABASE, descriptor, false));
        });
        step("alter a database", () -> {
            List<DatabaseChange> changes = List.of(
                    DatabaseChange.set("team", "data"),
                    DatabaseChange.reset("owner"),
                    DatabaseChange.updateComment("second"));
            await(admin.alterDatabase(DATABASE, changes, false));
            DatabaseDescriptor altered = await(admin.getDatabaseInfo(DATABASE)).getDatabaseDescriptor();
            check(altered.getComment().orElse(""), "second");
            check(altered.getCustomProperties(), Map.of("team", "data"));
        });
        step("alter a database that is not there", () -> {
            List<DatabaseChange> change = List.of(DatabaseChange.updateComment("c"));
            refused("DatabaseNotExist", () -> await(admin.alterDatabase("nowhere", change, false)));
            await(admin.alterDatabase("nowhere", change, true));
        });
        step("list databases with summaries", () -> {
            check(await(admin.listDatabases()).contains(DATABASE), true);
            check(await(admin.listDatabaseSummaries()).stream()
                    .anyMatch(summary -> summary.getDatabaseName().equals(DATABASE)), true);
        });
        step("ask whether databases exist", () -> {
            check(await(admin.databaseExists(DATABASE)), true);
            check(await(admin.databaseExists("nowhere")), false);
        });
    }

    private void properties() throws Exception {
        String[][] ofLogs = {
            {"table.statistics.columns", "*"},
            {"table.statistics.columns", "id, name"},
            {"table.log.local-ttl", "1 d"},
            {"table.log.ttl", "0 d"},
            {"table.datalake.database-name", "lake"},
            {"table.datalake.table-name", "t"},
            {"table.datalake.format", "hudi"},
            {"table.datalake.historical-partition.enabled", "false"},
        };
        for (int i = 0; i < ofLogs.length; i++) {
            String[] property = ofLogs[i];
            String table = "with_property_" + i;
            step("create a table with " + property[0] + " = " + property[1], () -> {
                TableInfo info = create(table, logSchema(), 1, property);
                check(info.getProperties().toMap().get(property[0]), property[1]);
            });
        }
        step("a key table keeps stand-by replicas", () -> {
            TableInfo info = create("standby", keySchema(), 1);
            check(info.getProperties().toMap().get("table.kv.standby-replica.enabled"), "true");
        });
        step("create a table with formats of partition times", () -> {
            TableDescriptor descriptor = TableDescriptor.builder()
                    .schema(partitionedSchema(false))
                    .partitionedBy("day")
                    .distributedBy(1)
                    .property("table.auto-partition.enabled", "true")
                    .property("table.auto-partition.time-unit", "DAY")
                    .property("table.auto-partition.time-format", "yyyy-MM-dd")
                    .property("table.auto-partition.time-zone", "UTC")
                    .build();
            await(admin.createTable(path("by_day"), descriptor, false));
            for (PartitionInfo partition : await(admin.listPartitionInfos(path("by_day")))) {
                check(partition.getPartitionName().matches("\\d{4}-\\d{2}-\\d{2}"), true);
            }
        });
        step("a partition by hand has the format of its table", () -> {
            refused("does not match", () -> await(admin.createPartition(path("by_day"), day("20260101"), false)));
            refused("out-of-date", () -> await(admin.createPartition(path("by_day"), day("2020-01-01"), false)));
            await(admin.createPartition(path("by_day"), day("2999-01-01"), false));
        });
        String[][] refusals = {
            {"table.statistics.columns", "nowhere", "InvalidConfig"},
            {"table.log.local-ttl", "30 d", "InvalidConfig"},
            {"table.log.ttl", "soon", "InvalidConfig"},
            {"table.datalake.historical-partition.enabled", "true", ""},
        };
        for (String[] refusal : refusals) {
            step("a table is not created with " + refusal[0] + " = " + refusal[1],
                    () -> refused(refusal[2], () -> create("refused", logSchema(), 1, refusal[0], refusal[1])));
        }
        step("a key table has no statistics",
                () -> refused("InvalidConfig", () -> create("refused", keySchema(), 1, "table.statistics.columns", "*")));
        step("rows that expire are refused",
                () -> refused("InvalidConfig", () -> create("refused", keySchema(), 1, "table.kv.ttl", "1 d")));
        step("a table has at most 4096 buckets",
                () -> refused("TooManyBuckets", () -> create("refused", logSchema(), 4097)));
    }

    private void alterations() throws Exception {
        create("altered", logSchema(), 1);
        String[][] changes = {
            {"table.log.ttl", "9 d"},
            {"table.log.local-ttl", "2 d"},
            {"table.log.tiered.local-segments", "5"},
            {"table.statistics.columns", "id"},
            {"table.datalake.freshness", "5 min"},
            {"table.datalake.auto-compaction", "true"},
            {"table.datalake.database-name", "lake"},
            {"table.datalake.table-name", "other"},
            {"mine", "own"},
        };
        for (String[] change : changes) {
            step("alter " + change[0], () -> {
                long before = await(admin.getTableInfo(path("altered"))).getModifiedTime();
                await(admin.alterTable(path("altered"), List.of(TableChange.set(change[0], change[1])), false));
                TableInfo info = await(admin.getTableInfo(path("altered")));
                Map<String, String> all = new HashMap<>(info.getProperties().toMap());
                all.putAll(info.getCustomProperties().toMap());
                check(all.get(change[0]), change[1]);
                check(info.getModifiedTime() >= before, true);
                await(admin.alterTable(path("altered"), List.of(TableChange.reset(change[0])), false));
            });
        }
        step("alter stand-by replicas of a key table", () -> {
            TableChange change = TableChange.set("table.kv.standby-replica.enabled", "false");
            await(admin.alterTable(path("standby"), List.of(change), false));
            refused("InvalidAlterTable", () -> await(admin.alterTable(path("altered"), List.of(change), false)));
        });
        step("alter what the clock does", () -> {
            List<TableChange> more = List.of(
                    TableChange.set("table.auto-partition.num-precreate", "4"),
                    TableChange.set("table.auto-partition.num-retention", "3"));
            await(admin.alterTable(path("by_day"), more, false));
            check(await(admin.listPartitionInfos(path("by_day"))).size() >= 4, true);
        });
        step("what cannot be altered is refused", () -> refused("InvalidAlterTable", () -> await(admin.alterTable(
                path("altered"), List.of(TableChange.set("table.log.format", "INDEXED")), false))));
        step("add a column", () -> {
            TableChange added =
                    TableChange.addColumn("more", DataTypes.STRING(), "new", TableChange.ColumnPosition.last());
            await(admin.alterTable(path("altered"), List.of(added), false));
            check(await(admin.getTableSchema(path("altered"))).getSchema().getColumnNames(), List.of("id", "name", "more"));
            check(await(admin.getTableSchema(path("altered"), 1)).getSchema().getColumnNames(), List.of("id", "name"));
        });
    }

    private void logs() throws Exception {
        create("plain", logSchema(), 1);
        step("append and scan", () -> {
            append("plain", 0, 50);
            try (Table table = connection.getTable(path("plain"))) {
                check(scan(table, table.newScan(), 50), range(0, 50));
            }
        });
        step("project", () -> {
            try (Table table = connection.getTable(path("plain"))) {
                check(scan(table, table.newScan().project(List.of("id")), 50), range(0, 50));
            }
        });
        step("limit a scan of a log", () -> {
            try (Table table = connection.getTable(path("plain"))) {
                TableBucket bucket = new TableBucket(table.getTableInfo().getTableId(), 0);
                check(all(table.newScan().limit(7).createBatchScanner(bucket)).size(), 7);
            }
        });
        step("list offsets", () -> {
            List<Integer> first = List.of(0);
            check(await(admin.listOffsets(path("plain"), first, new OffsetSpec.EarliestSpec()).all()).get(0), 0L);
            check(await(admin.listOffsets(path("plain"), first, new OffsetSpec.LatestSpec()).all()).get(0), 50L);
            check(await(admin.listOffsets(path("plain"), first, new OffsetSpec.TimestampSpec(1)).all()).get(0), 0L);
        });
        step("count rows of a log", () -> check(await(admin.getTableStats(path("plain"))).getRowCount(), 50L));
    }

    private void filters() throws Exception {
        create("clustered", logSchema(), 1, "table.statistics.columns", "*");
        step("append with statistics", () -> {
            for (int from = 0; from < 100; from += 10) {
                append("clustered", from, from + 10);
            }
            try (Table table = connection.getTable(path("clustered"))) {
                check(table.getTableInfo().isStatisticsEnabled(), true);
                check(scan(table, table.newScan(), 100), range(0, 100));
            }
        });
        try (Table table = connection.getTable(path("clustered"))) {
            PredicateBuilder p = new PredicateBuilder(table.getTableInfo().getRowType());
            Map<String, Predicate> conditions = new TreeMap<>();
            Map<String, List<Integer>> expected = new HashMap<>();
            conditions.put("=", p.equal(0, 33));
            expected.put("=", range(30, 40));
            conditions.put("<", p.lessThan(0, 20));
            expected.put("<", range(0, 20));
            conditions.put(">=", p.greaterOrEqual(0, 80));
            expected.put(">=", range(80, 100));
            conditions.put("none", p.equal(0, 1000));
            expected.put("none", List.of());
            conditions.put("in", p.in(0, Arrays.asList(5, 95)));
            List<Integer> both = new ArrayList<>(range(0, 10));
            both.addAll(range(90, 100));
            expected.put("in", both);
            conditions.put("or", PredicateBuilder.or(p.equal(0, 5), p.equal(0, 95)));
            expected.put("or", both);
            conditions.put("and", PredicateBuilder.and(p.greaterThan(0, 39), p.lessOrEqual(0, 45)));
            expected.put("and", range(40, 50));
            conditions.put("is null", p.isNull(1));
            expected.put("is null", List.of());
            conditions.put("is not null", p.isNotNull(1));
            expected.put("is not null", range(0, 100));
            conditions.put("starts with", p.startsWith(1, BinaryString.fromString("n7")));
            List<Integer> sevens = new ArrayList<>(range(0, 10));
            sevens.addAll(range(70, 80));
            expected.put("starts with", sevens);
            for (String name : conditions.keySet()) {
                step("filter: " + name,
                        () -> check(scan(table, table.newScan().filter(conditions.get(name)), 100), expected.get(name)));
            }
            step("filter and project", () -> {
                Scan scan = table.newScan().filter(p.equal(0, 33)).project(List.of("id"));
                check(scan(table, scan, 100), range(30, 40));
            });
        }
    }

    private void keys() throws Exception {
        create("keyed", keySchema(), 3);
        try (Table table = connection.getTable(path("keyed"))) {
            UpsertWriter writer = table.newUpsert().createWriter();
            Lookuper lookuper = table.newLookup().createLookuper();
            step("upsert and look up", () -> {
                for (int id = 0; id < 100; id++) {
                    writer.upsert(row(id, "n" + id, (long) id));
                }
                writer.flush();
                InternalRow found = await(lookuper.lookup(row(42))).getSingletonRow();
                check(found.getString(1).toString(), "n42");
                check(await(lookuper.lookup(row(1000))).getRowList().size(), 0);
            });
            step("delete", () -> {
                await(writer.delete(row(0, null, null)));
                check(await(lookuper.lookup(row(0))).getRowList().size(), 0);
            });
            step("update some columns", () -> {
                UpsertWriter some = table.newUpsert().partialUpdate("id", "n").createWriter();
                await(some.upsert(row(1, null, 111L)));
                InternalRow found = await(lookuper.lookup(row(1))).getSingletonRow();
                check(found.getString(1) + " " + found.getLong(2), "n1 111");
            });
            step("read a key table whole", () -> check(all(table.newScan().createBatchScanner()).size(), 99));
            step("read one bucket of a key table", () -> {
                int rows = 0;
                for (int bucket = 0; bucket < 3; bucket++) {
                    TableBucket which = new TableBucket(table.getTableInfo().getTableId(), bucket);
                    rows += all(table.newScan().createBatchScanner(which)).size();
                }
                check(rows, 99);
            });
            step("limit a scan of a key table", () -> {
                TableBucket bucket = new TableBucket(table.getTableInfo().getTableId(), 0);
                check(all(table.newScan().limit(5).createBatchScanner(bucket)).size(), 5);
            });
            step("count rows of a key table", () -> check(await(admin.getTableStats(path("keyed"))).getRowCount(), 99L));
            step("insert if not exists", () -> {
                create("inserted", keySchema(), 1);
                try (Table inserted = connection.getTable(path("inserted"))) {
                    Lookuper inserting = inserted.newLookup().enableInsertIfNotExists().createLookuper();
                    check(await(inserting.lookup(row(7))).getSingletonRow().getInt(0), 7);
                    check(await(inserting.lookup(row(7))).getSingletonRow().isNullAt(1), true);
                }
            });
        }
        step("look up by prefix", () -> {
            Schema schema = Schema.newBuilder()
                    .column("a", DataTypes.INT())
                    .column("b", DataTypes.STRING())
                    .column("v", DataTypes.STRING())
                    .primaryKey("a", "b")
                    .build();
            TableDescriptor descriptor =
                    TableDescriptor.builder().schema(schema).distributedBy(2, "a").build();
            await(admin.createTable(path("prefixed"), descriptor, false));
            try (Table table = connection.getTable(path("prefixed"))) {
                UpsertWriter writer = table.newUpsert().createWriter();
                for (int id = 0; id < 9; id++) {
                    writer.upsert(row(id % 3, "b" + id, "v"));
                }
                writer.flush();
                Lookuper lookuper = table.newLookup().lookupBy("a").createLookuper();
                check(await(lookuper.lookup(row(1))).getRowList().size(), 3);
            }
        });
        step("aggregate", () -> {
            Schema schema = Schema.newBuilder()
                    .column("id", DataTypes.INT())
                    .column("total", DataTypes.BIGINT(), AggFunctions.SUM())
                    .primaryKey("id")
                    .build();
            create("summed", schema, 1, "table.merge-engine", "aggregation");
            try (Table table = connection.getTable(path("summed"))) {
                UpsertWriter writer = table.newUpsert().createWriter();
                await(writer.upsert(row(1, 5L)));
                await(writer.upsert(row(1, 6L)));
                Lookuper lookuper = table.newLookup().createLookuper();
                check(await(lookuper.lookup(row(1))).getSingletonRow().getLong(1), 11L);
                UpsertWriter over = table.newUpsert().mergeMode(MergeMode.OVERWRITE).createWriter();
                await(over.upsert(row(1, 3L)));
                check(await(lookuper.lookup(row(1))).getSingletonRow().getLong(1), 3L);
            }
        });
        step("add a column that aggregates", () -> {
            TableChange added = TableChange.addColumn(
                    "most", DataTypes.BIGINT(), null, TableChange.ColumnPosition.last(), AggFunctions.MAX());
            await(admin.alterTable(path("summed"), List.of(added), false));
            try (Table table = connection.getTable(path("summed"))) {
                UpsertWriter writer = table.newUpsert().createWriter();
                await(writer.upsert(row(2, 1L, 9L)));
                await(writer.upsert(row(2, 1L, 4L)));
                InternalRow found = await(table.newLookup().createLookuper().lookup(row(2))).getSingletonRow();
                check(found.getLong(1) + " " + found.getLong(2), "2 9");
            }
            refused("InvalidConfig", () -> await(admin.alterTable(path("keyed"), List.of(added), false)));
        });
        step("a function without its engine is refused", () -> {
            Schema schema = Schema.newBuilder()
                    .column("id", DataTypes.INT())
                    .column("total", DataTypes.BIGINT(), AggFunctions.SUM())
                    .primaryKey("id")
                    .build();
            refused("InvalidConfig", () -> create("refused", schema, 1));
        });
    }

    private void partitions() throws Exception {
        TableDescriptor descriptor = TableDescriptor.builder()
                .schema(partitionedSchema(true))
                .partitionedBy("day")
                .distributedBy(2, "id")
                .build();
        await(admin.createTable(path("daily"), descriptor, false));
        step("create and list partitions", () -> {
            await(admin.createPartition(path("daily"), day("a"), false));
            await(admin.createPartition(path("daily"), day("b"), false));
            check(counts("daily"), Map.of("a", 2, "b", 2));
        });
        step("list system partitions",
                () -> check(await(admin.listPartitionInfos(path("daily"), true)).size(), 2));
        step("write and look up in partitions", () -> {
            try (Table table = connection.getTable(path("daily"))) {
                UpsertWriter writer = table.newUpsert().createWriter();
                for (int id = 0; id < 20; id++) {
                    writer.upsert(row(id, id % 2 == 0 ? "a" : "b", "v" + id));
                }
                writer.flush();
                Lookuper lookuper = table.newLookup().createLookuper();
                check(await(lookuper.lookup(row(3, "b"))).getSingletonRow().getString(2).toString(), "v3");
                check(await(lookuper.lookup(row(3, "a"))).getRowList().size(), 0);
                check(await(lookuper.lookup(row(3, "nowhere"))).getRowList().size(), 0);
            }
        });
        step("drop a partition", () -> {
            await(admin.dropPartition(path("daily"), day("b"), false));
            check(counts("daily").keySet(), Set.of("a"));
        });
        step("the partition of history cannot be created",
                () -> refused("", () -> await(admin.createPartition(path("daily"), day("__historical__"), false))));
    }

    private void rescaling() throws Exception {
        TableDescriptor descriptor = TableDescriptor.builder()
                .schema(partitionedSchema(true))
                .partitionedBy("day")
                .distributedBy(1, "id")
                .build();
        await(admin.createTable(path("rescaled"), descriptor, false));
        Map<String, Integer> expected = new TreeMap<>();
        int[] counts = {1, 4, 2, 8};
        for (int i = 0; i < counts.length; i++) {
            int count = counts[i];
            String name = "d" + i;
            long epoch = i + 1;
            step("change the bucket count to " + count, () -> {
                await(admin.alterTable(path("rescaled"), List.of(TableChange.modifyBucketCount(count)), false));
                await(admin.createPartition(path("rescaled"), day(name), false));
                expected.put(name, count);
                check(counts("rescaled"), expected);
                TableInfo info = await(admin.getTableInfo(path("rescaled")));
                check(info.getNumBuckets() + " " + info.getBucketCountEpoch(), count + " " + epoch);
            });
            step("write, look up and read with " + count + " buckets", () -> {
                try (Table table = connection.getTable(path("rescaled"))) {
                    UpsertWriter writer = table.newUpsert().createWriter();
                    for (String partition : expected.keySet()) {
                        for (int id = 0; id < 40; id++) {
                            writer.upsert(row(id, partition, partition + id));
                        }
                    }
                    writer.flush();
                    Lookuper lookuper = table.newLookup().createLookuper();
                    for (String partition : expected.keySet()) {
                        for (int id = 0; id < 40; id++) {
                            InternalRow found = await(lookuper.lookup(row(id, partition))).getSingletonRow();
                            check(found.getString(2).toString(), partition + id);
                        }
                    }
                    check(all(table.newScan().createBatchScanner()).size(), 40 * expected.size());
                    check(await(admin.getTableStats(path("rescaled"))).getRowCount(), 40L * expected.size());
                }
            });
        }
        step("a bucket count that makes no sense is refused", () -> {
            refused("must be positive", () -> TableChange.modifyBucketCount(0));
            refused("TooManyBuckets", () -> await(admin.alterTable(
                    path("rescaled"), List.of(TableChange.modifyBucketCount(4097)), false)));
            refused("InvalidAlterTable", () -> await(admin.alterTable(
                    path("plain"), List.of(TableChange.modifyBucketCount(2)), false)));
        });
        step("offsets of partitions with their own counts", () -> {
            Map<Integer, Long> offsets = await(admin.listOffsets(
                            path("rescaled"), "d3", range(0, 8), new OffsetSpec.LatestSpec())
                    .all());
            check(offsets.size(), 8);
        });
    }

    private void manyTables() throws Exception {
        TableInfo log = create("many_log", logSchema(), 1);
        TableInfo keys = create("many_keys", keySchema(), 1);
        step("one writer of many tables", () -> {
            try (MultiTableWriter writer = connection.getMultiTable().newMultiTableWrite().createWriter()) {
                for (int id = 0; id < 10; id++) {
                    writer.write(MultiTableWriteRecord.forAppend(path("many_log"), row(id, "n"), log.getSchemaId()));
                    writer.write(MultiTableWriteRecord.forUpsert(
                            path("many_keys"), row(id, "n", 1L), keys.getSchemaId()));
                }
                writer.write(MultiTableWriteRecord.forDelete(path("many_keys"), row(0, null, null), keys.getSchemaId()));
                writer.flush();
            }
            check(await(admin.getTableStats(path("many_log"))).getRowCount(), 10L);
            check(await(admin.getTableStats(path("many_keys"))).getRowCount(), 9L);
        });
        step("one scanner of many tables", () -> {
            Map<String, Integer> came = new TreeMap<>();
            try (MultiTableLogScanner scanner = connection.getMultiTable().newMultiTableScan().createLogScanner()) {
                scanner.subscribeFromBeginning(path("many_log"), 0);
                scanner.subscribeFromBeginning(path("many_keys"), 0);
                long deadline = System.nanoTime() + Duration.ofSeconds(30).toNanos();
                while (came.values().stream().mapToInt(Integer::intValue).sum() < 21 && System.nanoTime() < deadline) {
                    for (MultiTableRecord record : scanner.poll(Duration.ofMillis(500))) {
                        came.merge(record.getTablePath().getTableName(), 1, Integer::sum);
                    }
                }
            }
            check(came, Map.of("many_log", 10, "many_keys", 11));
        });
    }

    private void operators() throws Exception {
        step("ask for servers", () -> check(await(admin.getServerNodes()).isEmpty(), false));
        step("ask for the health of the cluster", () -> {
            ClusterHealth health = await(admin.getClusterHealth());
            check(health.getStatus().toString(), "GREEN");
            check(health.getNumLeaderReplicas(), health.getActiveLeaderReplicas());
        });
        TableInfo keys = await(admin.getTableInfo(path("keyed")));
        step("list snapshots", () -> check(
                await(admin.listKvSnapshots(keys.getTableId(), null)).getSnapshotIdsByBucket().values().stream()
                        .allMatch(Set::isEmpty),
                true));
        step("list manifests",
                () -> check(await(admin.listRemoteLogManifests(keys.getTableId(), null)), Collections.emptyList()));
        step("ask for the latest snapshots", () -> {
            check(new TreeSet<>(await(admin.getLatestKvSnapshots(path("keyed"))).getBucketIds()), Set.of(0, 1, 2));
            check(await(admin.getLatestKvSnapshots(path("keyed"))).getSnapshotId(0).isPresent(), false);
        });
        step("a snapshot that is not there is told", () -> refused("KvSnapshotNotExist", () -> await(
                admin.getKvSnapshotMetadata(new TableBucket(keys.getTableId(), 0), 99))));
        step("offsets of a producer", () -> {
            Map<TableBucket, Long> offsets = Map.of(new TableBucket(keys.getTableId(), 0), 5L);
            check(await(admin.registerProducerOffsets("job", offsets)), RegisterResult.CREATED);
            check(await(admin.registerProducerOffsets("job", offsets)), RegisterResult.ALREADY_EXISTS);
            await(admin.deleteProducerOffsets("job"));
        });
        step("describe the configuration", () -> await(admin.describeClusterConfigs()));
    }

    /** What one node refuses by nature: it lists no such API. */
    private void refusals() throws Exception {
        String unsupported = "UnsupportedVersion";
        step("a node does not rebalance", () -> {
            refused(unsupported, () -> await(admin.rebalance(List.of(GoalType.REPLICA_DISTRIBUTION))));
            refused(unsupported, () -> await(admin.listRebalanceProgress(null)));
            refused(unsupported, () -> await(admin.cancelRebalance(null)));
        });
        step("a node has no tags", () -> {
            refused(unsupported, () -> await(admin.addServerTag(List.of(0), ServerTag.PERMANENT_OFFLINE)));
            refused(unsupported, () -> await(admin.removeServerTag(List.of(0), ServerTag.PERMANENT_OFFLINE)));
        });
        step("a node has no racks", () -> {
            refused(unsupported, () -> await(admin.addServerTagByRack(List.of("r"), ServerTag.TEMPORARY_OFFLINE)));
            refused(unsupported, () -> await(admin.removeServerTagByRack(List.of("r"), ServerTag.TEMPORARY_OFFLINE)));
        });
        step("a node keeps no snapshots for a lease", () -> {
            TableBucket bucket = new TableBucket(await(admin.getTableInfo(path("keyed"))).getTableId(), 0);
            refused(unsupported, () -> await(
                    admin.createKvSnapshotLease("lease", 60_000).acquireSnapshots(Map.of(bucket, 1L))));
        });
        step("a node has no lake", () -> {
            refused("LakeTableSnapshotNotExist", () -> await(admin.getLatestLakeSnapshot(path("keyed"))));
            refused("", () -> create("refused", logSchema(), 1, "table.datalake.enabled", "true"));
        });
        step("drop tables and the database", () -> {
            for (String table : await(admin.listTables(DATABASE))) {
                await(admin.dropTable(path(table), false));
            }
            check(await(admin.tableExists(path("keyed"))), false);
            await(admin.dropDatabase(DATABASE, false, false));
        });
    }
}
