import com.sun.management.OperatingSystemMXBean;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.management.ManagementFactory;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import org.apache.fluss.client.Connection;
import org.apache.fluss.client.ConnectionFactory;
import org.apache.fluss.client.lookup.Lookuper;
import org.apache.fluss.client.table.Table;
import org.apache.fluss.client.table.scanner.Scan;
import org.apache.fluss.client.table.scanner.ScanRecord;
import org.apache.fluss.client.table.scanner.batch.BatchScanner;
import org.apache.fluss.client.table.scanner.log.LogScanner;
import org.apache.fluss.client.table.scanner.log.ScanRecords;
import org.apache.fluss.client.table.writer.AppendWriter;
import org.apache.fluss.client.table.writer.Upsert;
import org.apache.fluss.client.table.writer.UpsertWriter;
import org.apache.fluss.config.Configuration;
import org.apache.fluss.metadata.DatabaseDescriptor;
import org.apache.fluss.metadata.PartitionInfo;
import org.apache.fluss.metadata.PartitionSpec;
import org.apache.fluss.metadata.Schema;
import org.apache.fluss.metadata.TableBucket;
import org.apache.fluss.metadata.TableDescriptor;
import org.apache.fluss.metadata.TablePath;
import org.apache.fluss.row.BinaryString;
import org.apache.fluss.row.Decimal;
import org.apache.fluss.row.GenericArray;
import org.apache.fluss.row.GenericMap;
import org.apache.fluss.row.GenericRow;
import org.apache.fluss.row.InternalArray;
import org.apache.fluss.row.InternalMap;
import org.apache.fluss.row.InternalRow;
import org.apache.fluss.row.TimestampLtz;
import org.apache.fluss.row.TimestampNtz;
import org.apache.fluss.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.fluss.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;
import org.apache.fluss.types.DataType;
import org.apache.fluss.types.DataTypes;
import org.apache.fluss.types.DecimalType;
import org.apache.fluss.types.RowType;
import org.apache.fluss.utils.CloseableIterator;

/**
 * The published Java client as a peer: {@code Peer serve} obeys the requests of tests/peers/README.md, {@code Peer
 * bench} the jobs of benches/README.md. Both read one JSON object a line and answer with one.
 */
public final class Peer {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final Duration POLL = Duration.ofMillis(200);
    private static final long DEADLINE_SECONDS = 60;

    public static void main(String[] arguments) throws Exception {
        // What the client prints goes to the error stream: the output is for answers.
        PrintStream answers = System.out;
        System.setOut(System.err);
        Obey obey = arguments[0].equals("bench") ? Bench::run : new Session()::run;
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = input.readLine(); line != null; line = input.readLine()) {
            answers.println(JSON.writeValueAsString(answer(obey, line)));
            answers.flush();
        }
        System.exit(0);
    }

    interface Obey {
        Map<String, Object> run(JsonNode request) throws Exception;
    }

    private static Map<String, Object> answer(Obey obey, String line) {
        Map<String, Object> answer = new LinkedHashMap<>();
        try {
            answer.put("ok", true);
            answer.putAll(obey.run(JSON.readTree(line)));
        } catch (Exception | Error failure) {
            answer.clear();
            answer.put("ok", false);
            answer.put("error", describe(failure));
        }
        return answer;
    }

    /** A failure and what caused it. */
    private static String describe(Throwable failure) {
        String cause = failure.getCause() == null ? "" : ": " + describe(failure.getCause());
        return failure + cause;
    }

    private static Connection connect(JsonNode request) {
        Configuration configuration = new Configuration();
        configuration.setString("bootstrap.servers", request.get("bootstrap").asText());
        request.path("properties").fields()
                .forEachRemaining(entry -> configuration.setString(entry.getKey(), entry.getValue().asText()));
        return ConnectionFactory.createConnection(configuration);
    }

    private static TablePath path(JsonNode request) {
        return TablePath.of(request.get("database").asText(), request.get("table").asText());
    }

    private static <T> T await(CompletableFuture<T> future) throws Exception {
        return future.get(DEADLINE_SECONDS, TimeUnit.SECONDS);
    }

    private static List<String> strings(JsonNode list) {
        List<String> strings = new ArrayList<>();
        list.forEach(entry -> strings.add(entry.asText()));
        return strings;
    }

    private static void subscribeToAll(Connection connection, Table table, LogScanner scanner) throws Exception {
        int buckets = table.getTableInfo().getNumBuckets();
        if (!table.getTableInfo().isPartitioned()) {
            for (int bucket = 0; bucket < buckets; bucket++) {
                scanner.subscribeFromBeginning(bucket);
            }
            return;
        }
        TablePath path = table.getTableInfo().getTablePath();
        for (PartitionInfo partition : await(connection.getAdmin().listPartitionInfos(path))) {
            for (int bucket = 0; bucket < buckets; bucket++) {
                scanner.subscribeFromBeginning(partition.getPartitionId(), bucket);
            }
        }
    }

    /** What tests say: one connection, then operations on tables. */
    static final class Session {
        private Connection connection;

        Map<String, Object> run(JsonNode request) throws Exception {
            return switch (request.get("op").asText()) {
                case "connect" -> open(request);
                case "close" -> close();
                case "create_database" -> createDatabase(request);
                case "create_table" -> createTable(request);
                case "drop_table" -> dropTable(request);
                case "create_partition" -> createPartition(request);
                case "drop_partition" -> dropPartition(request);
                case "append" -> append(request);
                case "upsert" -> change(request, UpsertWriter::upsert);
                case "delete" -> change(request, UpsertWriter::delete);
                case "lookup" -> lookup(request);
                case "scan" -> scan(request);
                case "limit_scan" -> limitScan(request);
                default -> throw new IllegalArgumentException("no such op: " + request.get("op"));
            };
        }

        private Map<String, Object> open(JsonNode request) {
            connection = connect(request);
            return Map.of();
        }

        private Map<String, Object> close() throws Exception {
            connection.close();
            return Map.of();
        }

        private Map<String, Object> createDatabase(JsonNode request) throws Exception {
            await(connection.getAdmin()
                    .createDatabase(request.get("database").asText(), DatabaseDescriptor.EMPTY, true));
            return Map.of();
        }

        private Map<String, Object> createTable(JsonNode request) throws Exception {
            Schema.Builder schema = Schema.newBuilder();
            List<String> names = strings(request.get("names"));
            List<String> types = strings(request.get("types"));
            for (int i = 0; i < names.size(); i++) {
                schema.column(names.get(i), DataTypes.parse(types.get(i)));
            }
            if (request.has("primary_key")) {
                schema.primaryKey(strings(request.get("primary_key")));
            }
            TableDescriptor.Builder table = TableDescriptor.builder().schema(schema.build());
            table.distributedBy(request.path("buckets").asInt(1), strings(request.path("bucket_key")));
            table.partitionedBy(strings(request.path("partitioned_by")));
            request.path("properties").fields()
                    .forEachRemaining(entry -> table.property(entry.getKey(), entry.getValue().asText()));
            await(connection.getAdmin().createTable(path(request), table.build(), false));
            return Map.of();
        }

        private Map<String, Object> dropTable(JsonNode request) throws Exception {
            await(connection.getAdmin().dropTable(path(request), false));
            return Map.of();
        }

        private Map<String, Object> createPartition(JsonNode request) throws Exception {
            await(connection.getAdmin().createPartition(path(request), partition(request), false));
            return Map.of();
        }

        private Map<String, Object> dropPartition(JsonNode request) throws Exception {
            await(connection.getAdmin().dropPartition(path(request), partition(request), false));
            return Map.of();
        }

        private static PartitionSpec partition(JsonNode request) {
            Map<String, String> values = new LinkedHashMap<>();
            request.get("partition").fields()
                    .forEachRemaining(entry -> values.put(entry.getKey(), entry.getValue().asText()));
            return new PartitionSpec(values);
        }

        private Map<String, Object> append(JsonNode request) throws Exception {
            try (Table table = connection.getTable(path(request))) {
                AppendWriter writer = table.newAppend().createWriter();
                List<CompletableFuture<?>> written = new ArrayList<>();
                for (JsonNode row : request.get("rows")) {
                    written.add(writer.append(Values.row(row, table.getTableInfo().getRowType())));
                }
                return settle(written);
            }
        }

        interface Change {
            CompletableFuture<?> apply(UpsertWriter writer, InternalRow row);
        }

        private Map<String, Object> change(JsonNode request, Change change) throws Exception {
            try (Table table = connection.getTable(path(request))) {
                Upsert upsert = table.newUpsert();
                if (request.has("target_columns")) {
                    upsert = upsert.partialUpdate(strings(request.get("target_columns")).toArray(String[]::new));
                }
                UpsertWriter writer = upsert.createWriter();
                List<CompletableFuture<?>> written = new ArrayList<>();
                for (JsonNode row : request.get("rows")) {
                    written.add(change.apply(writer, Values.row(row, table.getTableInfo().getRowType())));
                }
                writer.flush();
                return settle(written);
            }
        }

        private static Map<String, Object> settle(List<CompletableFuture<?>> written) throws Exception {
            await(CompletableFuture.allOf(written.toArray(CompletableFuture[]::new)));
            return Map.of("written", written.size());
        }

        private Map<String, Object> lookup(JsonNode request) throws Exception {
            try (Table table = connection.getTable(path(request))) {
                RowType type = table.getTableInfo().getRowType();
                boolean byPrefix = request.has("prefix");
                List<String> columns =
                        byPrefix ? strings(request.get("prefix")) : table.getTableInfo().getPrimaryKeys();
                Lookuper lookuper = byPrefix
                        ? table.newLookup().lookupBy(columns).createLookuper()
                        : table.newLookup().createLookuper();
                List<Object> found = new ArrayList<>();
                for (JsonNode key : request.get("keys")) {
                    InternalRow asked = Values.row(key, type.project(columns));
                    List<Object> rows = new ArrayList<>();
                    await(lookuper.lookup(asked)).getRowList().forEach(row -> rows.add(Values.json(row, type)));
                    found.add(rows);
                }
                return Map.of("found", found);
            }
        }

        private Map<String, Object> scan(JsonNode request) throws Exception {
            try (Table table = connection.getTable(path(request))) {
                RowType type = table.getTableInfo().getRowType();
                Scan scan = table.newScan();
                if (request.has("project")) {
                    List<String> columns = strings(request.get("project"));
                    scan = scan.project(columns);
                    type = type.project(columns);
                }
                try (LogScanner scanner = scan.createLogScanner()) {
                    subscribeToAll(connection, table, scanner);
                    return Map.of("records", collect(scanner, type, request));
                }
            }
        }

        private Map<String, Object> limitScan(JsonNode request) throws Exception {
            try (Table table = connection.getTable(path(request))) {
                RowType type = table.getTableInfo().getRowType();
                TableBucket bucket = new TableBucket(table.getTableInfo().getTableId(), request.path("bucket").asInt());
                List<Object> rows = new ArrayList<>();
                try (BatchScanner scanner =
                        table.newScan().limit(request.get("limit").asInt()).createBatchScanner(bucket)) {
                    CloseableIterator<InternalRow> batch;
                    while ((batch = scanner.pollBatch(Duration.ofSeconds(DEADLINE_SECONDS))) != null) {
                        batch.forEachRemaining(row -> rows.add(Values.json(row, type)));
                        batch.close();
                    }
                }
                return Map.of("rows", rows);
            }
        }

        /** Until there are enough rows, or the deadline: then what there is. */
        private static List<Object> collect(LogScanner scanner, RowType type, JsonNode request) {
            long wanted = request.get("rows").asLong();
            long end = System.nanoTime() + Duration.ofSeconds(request.path("seconds").asLong(30)).toNanos();
            List<Object> records = new ArrayList<>();
            while (records.size() < wanted && System.nanoTime() < end) {
                ScanRecords polled = scanner.poll(POLL);
                for (TableBucket bucket : polled.buckets()) {
                    for (ScanRecord record : polled.records(bucket)) {
                        records.add(describe(bucket, record, type));
                    }
                }
            }
            return records;
        }

        private static Map<String, Object> describe(TableBucket bucket, ScanRecord record, RowType type) {
            Map<String, Object> described = new LinkedHashMap<>();
            described.put("partition_id", bucket.getPartitionId());
            described.put("bucket", bucket.getBucket());
            described.put("offset", record.logOffset());
            described.put("timestamp", record.timestamp());
            described.put("change", record.getChangeType().shortString());
            described.put("row", Values.json(record.getRow(), type));
            return described;
        }
    }

    /** The value notation of tests/peers/README.md, both ways. */
    static final class Values {
        static GenericRow row(JsonNode values, RowType type) {
            GenericRow row = new GenericRow(values.size());
            for (int i = 0; i < values.size(); i++) {
                row.setField(i, value(values.get(i), type.getTypeAt(i)));
            }
            return row;
        }

        static Object value(JsonNode json, DataType type) {
            if (json.isNull()) {
                return null;
            }
            return switch (type.getTypeRoot()) {
                case BOOLEAN -> json.asBoolean();
                case TINYINT -> (byte) json.asInt();
                case SMALLINT -> (short) json.asInt();
                case INTEGER, DATE, TIME_WITHOUT_TIME_ZONE -> json.asInt();
                case BIGINT -> json.asLong();
                case FLOAT -> Float.parseFloat(json.asText());
                case DOUBLE -> Double.parseDouble(json.asText());
                case CHAR, STRING -> BinaryString.fromString(json.asText());
                case BINARY, BYTES -> HexFormat.of().parseHex(json.asText());
                case DECIMAL -> decimal(json.asText(), (DecimalType) type);
                case TIMESTAMP_WITHOUT_TIME_ZONE ->
                        TimestampNtz.fromMillis(json.get("ms").asLong(), json.get("ns").asInt());
                case TIMESTAMP_WITH_LOCAL_TIME_ZONE ->
                        TimestampLtz.fromEpochMillis(json.get("ms").asLong(), json.get("ns").asInt());
                case ARRAY -> array(json, type.getChildren().get(0));
                case MAP -> map(json, type.getChildren());
                case ROW -> row(json, (RowType) type);
            };
        }

        private static Decimal decimal(String text, DecimalType type) {
            return Decimal.fromBigDecimal(new BigDecimal(text), type.getPrecision(), type.getScale());
        }

        private static GenericArray array(JsonNode json, DataType element) {
            Object[] elements = new Object[json.size()];
            Arrays.setAll(elements, i -> value(json.get(i), element));
            return new GenericArray(elements);
        }

        private static GenericMap map(JsonNode pairs, List<DataType> types) {
            Map<Object, Object> map = new LinkedHashMap<>();
            pairs.forEach(pair -> map.put(value(pair.get(0), types.get(0)), value(pair.get(1), types.get(1))));
            return new GenericMap(map);
        }

        static List<Object> json(InternalRow row, RowType type) {
            List<Object> values = new ArrayList<>();
            for (int i = 0; i < type.getFieldCount(); i++) {
                DataType field = type.getTypeAt(i);
                values.add(json(InternalRow.createFieldGetter(field, i).getFieldOrNull(row), field));
            }
            return values;
        }

        static Object json(Object value, DataType type) {
            if (value == null) {
                return null;
            }
            return switch (type.getTypeRoot()) {
                case BOOLEAN, TINYINT, SMALLINT, INTEGER, BIGINT, DATE, TIME_WITHOUT_TIME_ZONE -> value;
                case FLOAT, DOUBLE, CHAR, STRING -> value.toString();
                case BINARY, BYTES -> HexFormat.of().formatHex((byte[]) value);
                case DECIMAL -> ((Decimal) value).toBigDecimal().toPlainString();
                case TIMESTAMP_WITHOUT_TIME_ZONE -> timestamp(
                        ((TimestampNtz) value).getMillisecond(), ((TimestampNtz) value).getNanoOfMillisecond());
                case TIMESTAMP_WITH_LOCAL_TIME_ZONE -> timestamp(
                        ((TimestampLtz) value).getEpochMillisecond(), ((TimestampLtz) value).getNanoOfMillisecond());
                case ARRAY -> elements((InternalArray) value, type.getChildren().get(0));
                case MAP -> pairs((InternalMap) value, type.getChildren());
                case ROW -> json((InternalRow) value, (RowType) type);
            };
        }

        private static Map<String, Object> timestamp(long milliseconds, int nanoseconds) {
            return Map.of("ms", milliseconds, "ns", nanoseconds);
        }

        private static List<Object> elements(InternalArray array, DataType element) {
            InternalArray.ElementGetter getter = InternalArray.createElementGetter(element);
            List<Object> elements = new ArrayList<>();
            for (int i = 0; i < array.size(); i++) {
                elements.add(json(getter.getElementOrNull(array, i), element));
            }
            return elements;
        }

        private static List<Object> pairs(InternalMap map, List<DataType> types) {
            List<Object> keys = elements(map.keyArray(), types.get(0));
            List<Object> values = elements(map.valueArray(), types.get(1));
            List<Object> pairs = new ArrayList<>();
            for (int i = 0; i < keys.size(); i++) {
                pairs.add(Arrays.asList(keys.get(i), values.get(i)));
            }
            return pairs;
        }
    }

    /** The jobs of benches/README.md; this client has no Arrow in its public face. */
    static final class Bench {
        /** 2024-01-01T00:00:00 in microseconds. */
        private static final long FIRST_MICROS = 1_704_067_200_000_000L;

        static Map<String, Object> run(JsonNode job) throws Exception {
            Map<String, Object> result = new LinkedHashMap<>();
            result.put("client", "java");
            result.put("op", job.get("op").asText());
            switch (job.get("op").asText()) {
                case "append_rows" -> append(job, result);
                case "append_one" -> appendOne(job, result);
                case "scan_rows", "changelog_rows" -> scan(job, result, new int[] {0, 1, 2, 3});
                case "scan_projected" -> scan(job, result, new int[] {0, 2});
                case "upsert_rows" -> upsert(job, result);
                case "lookup_one" -> lookUp(job, result, 1);
                case "lookup_1000" -> lookUp(job, result, 1_000);
                case "lookup_many" -> lookUp(job, result, 10_000);
                case "connect" -> connects(job, result);
                default -> throw new UnsupportedOperationException("not offered by this client");
            }
            result.put("peak_rss_kib", peakRssKib());
            return result;
        }

        private static void append(JsonNode job, Map<String, Object> result) throws Exception {
            long rows = job.get("rows").asLong();
            try (Connection connection = Peer.connect(job); Table table = connection.getTable(path(job))) {
                AppendWriter writer = table.newAppend().createWriter();
                Clock clock = new Clock();
                for (long i = 0; i < rows; i++) {
                    writer.append(row(i));
                }
                writer.flush();
                clock.stop(result);
            }
            result.put("rows", rows);
        }

        private static void upsert(JsonNode job, Map<String, Object> result) throws Exception {
            long rows = job.get("rows").asLong();
            try (Connection connection = Peer.connect(job); Table table = connection.getTable(path(job))) {
                UpsertWriter writer = table.newUpsert().createWriter();
                Clock clock = new Clock();
                for (long i = 0; i < rows; i++) {
                    writer.upsert(row(i));
                }
                writer.flush();
                clock.stop(result);
            }
            result.put("rows", rows);
        }

        /** So many look-ups wait at the same time, each of which is followed by another. */
        private static void lookUp(JsonNode job, Map<String, Object> result, int inFlight) throws Exception {
            int rows = job.get("rows").asInt();
            long stored = job.get("stored").asLong();
            long[] nanos = new long[rows];
            try (Connection connection = Peer.connect(job); Table table = connection.getTable(path(job))) {
                Lookuper lookuper = table.newLookup().createLookuper();
                Semaphore free = new Semaphore(inFlight);
                AtomicInteger missing = new AtomicInteger();
                Clock clock = new Clock();
                double seconds = job.path("seconds").asDouble(Double.POSITIVE_INFINITY);
                int asked = 0;
                while (asked < rows && clock.seconds() < seconds) {
                    int index = asked++;
                    free.acquire();
                    long begun = System.nanoTime();
                    GenericRow key = new GenericRow(1);
                    key.setField(0, Math.floorMod(index * 7_919L, stored));
                    lookuper.lookup(key).whenComplete((found, failure) -> {
                        if (failure != null || found.getSingletonRow() == null) {
                            missing.incrementAndGet();
                        }
                        nanos[index] = System.nanoTime() - begun;
                        free.release();
                    });
                }
                free.acquire(inFlight);
                clock.stop(result);
                if (missing.get() > 0) {
                    throw new IllegalStateException(missing + " keys were not found");
                }
                result.put("rows", asked);
            }
            if (inFlight == 1) {
                percentiles(Arrays.copyOf(nanos, (int) result.get("rows")), result);
            }
        }

        private static void appendOne(JsonNode job, Map<String, Object> result) throws Exception {
            long[] nanos = new long[job.get("rows").asInt()];
            try (Connection connection = Peer.connect(job); Table table = connection.getTable(path(job))) {
                AppendWriter writer = table.newAppend().createWriter();
                Clock clock = new Clock();
                for (int i = 0; i < nanos.length; i++) {
                    long begun = System.nanoTime();
                    writer.append(row(i));
                    writer.flush();
                    nanos[i] = System.nanoTime() - begun;
                }
                clock.stop(result);
            }
            percentiles(nanos, result);
        }

        private static GenericRow row(long i) {
            GenericRow row = new GenericRow(4);
            row.setField(0, i);
            row.setField(1, BinaryString.fromString("name-" + (10_000 + i % 90_000)));
            row.setField(2, i * 0.5);
            row.setField(3, TimestampNtz.fromMicros(FIRST_MICROS + i));
            return row;
        }

        private static void scan(JsonNode job, Map<String, Object> result, int[] columns) throws Exception {
            long wanted = job.get("rows").asLong();
            long rows = 0;
            long sum = 0;
            try (Connection connection = Peer.connect(job); Table table = connection.getTable(path(job))) {
                Scan scan = columns.length == 4 ? table.newScan() : table.newScan().project(columns);
                Clock clock = new Clock();
                try (LogScanner scanner = scan.createLogScanner()) {
                    subscribeToAll(connection, table, scanner);
                    while (rows < wanted) {
                        ScanRecords polled = scanner.poll(POLL);
                        for (ScanRecord record : polled) {
                            sum += touch(record.getRow(), columns.length);
                        }
                        rows += polled.count();
                    }
                    clock.stop(result);
                }
            }
            result.put("rows", rows);
            result.put("sum_id", sum);
        }

        /** Reads every column, as a program that wants rows does. */
        private static long touch(InternalRow row, int columns) {
            if (columns == 4) {
                row.getString(1).toString();
                row.getDouble(2);
                row.getTimestampNtz(3, 6);
            } else {
                row.getDouble(1);
            }
            return row.getLong(0);
        }

        private static void connects(JsonNode job, Map<String, Object> result) throws Exception {
            long[] nanos = new long[job.get("rows").asInt()];
            double seconds = job.path("seconds").asDouble(Double.POSITIVE_INFINITY);
            Clock clock = new Clock();
            int done = 0;
            while (done < nanos.length && clock.seconds() < seconds) {
                long begun = System.nanoTime();
                try (Connection connection = Peer.connect(job)) {
                    await(connection.getAdmin().getServerNodes());
                    nanos[done++] = System.nanoTime() - begun;
                }
            }
            clock.stop(result);
            percentiles(Arrays.copyOf(nanos, done), result);
        }

        private static void percentiles(long[] nanos, Map<String, Object> result) {
            Arrays.sort(nanos);
            result.put("rows", nanos.length);
            result.put("p50_micros", nanos[(nanos.length - 1) / 2] / 1000);
            result.put("p99_micros", nanos[(nanos.length - 1) * 99 / 100] / 1000);
        }

        private static long peakRssKib() throws Exception {
            for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
                if (line.startsWith("VmHWM:")) {
                    return Long.parseLong(line.replaceAll("\\D", ""));
                }
            }
            return 0;
        }
    }

    /** Wall clock and the processor time of the whole process. */
    static final class Clock {
        private static final OperatingSystemMXBean PROCESS =
                (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
        private final long cpu = PROCESS.getProcessCpuTime();
        private final long wall = System.nanoTime();

        /** How long it runs. */
        double seconds() {
            return (System.nanoTime() - wall) / 1e9;
        }

        void stop(Map<String, Object> result) {
            result.put("seconds", seconds());
            result.put("cpu_seconds", (PROCESS.getProcessCpuTime() - cpu) / 1e9);
        }
    }
}
