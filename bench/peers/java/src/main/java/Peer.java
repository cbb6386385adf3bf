import com.fasterxml.jackson.databind.ObjectMapper;
import io.confluent.parallelconsumer.ParallelConsumerOptions;
import io.confluent.parallelconsumer.ParallelStreamProcessor;
import java.nio.ByteOrder;
import java.nio.MappedByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.Properties;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.StringDeserializer;

/** Confluent's parallel-consumer, ordered by key, its default way to commit. The task and its marks are those of task.py. */
public class Peer {
    static final int MESSAGES = Integer.parseInt(System.getenv("BENCH_MESSAGES"));
    static final int ROUNDED = (MESSAGES + 7) / 8 * 8;
    static final ObjectMapper JSON = new ObjectMapper();
    static MappedByteBuffer marks;
    static double low, high, slowMs;
    static int slow = -1;
    static boolean nothing;

    public static void main(String[] words) throws Exception {
        readTask(System.getenv("BENCH_TASK"));
        try (var file = FileChannel.open(Path.of(System.getenv("BENCH_MARKS")), StandardOpenOption.READ, StandardOpenOption.WRITE)) {
            marks = file.map(FileChannel.MapMode.READ_WRITE, 0, 10L * ROUNDED);
        }
        marks.order(ByteOrder.nativeOrder());
        var properties = new Properties();
        properties.put("bootstrap.servers", System.getenv("BENCH_BOOTSTRAP"));
        properties.put("group.id", System.getenv("BENCH_GROUP"));
        properties.put("auto.offset.reset", "earliest");
        properties.put("enable.auto.commit", "false");
        var consumer = new KafkaConsumer<>(properties, new StringDeserializer(), new ByteArrayDeserializer());
        var processor = ParallelStreamProcessor.createEosStreamProcessor(ParallelConsumerOptions.<String, byte[]>builder()
            .ordering(ParallelConsumerOptions.ProcessingOrder.KEY)
            .maxConcurrency(Integer.parseInt(System.getenv("BENCH_THREADS")))
            .consumer(consumer)
            .build());
        Runtime.getRuntime().addShutdownHook(new Thread(processor::closeDrainFirst));
        processor.subscribe(List.of(System.getenv("BENCH_TOPIC")));
        processor.poll(context -> work(context.getSingleConsumerRecord().value()));
    }

    static void work(byte[] value) {
        try {
            int number = JSON.readTree(value).get("id").intValue();
            if (nothing) {
                marks.put(ROUNDED + number, (byte) 1);
                return;
            }
            marks.put(number, (byte) (marks.get(number) + 1));
            long nanoseconds = (long) (1e6 * milliseconds(number));
            if (nanoseconds > 0) {
                Thread.sleep(nanoseconds / 1_000_000, (int) (nanoseconds % 1_000_000));
            }
            marks.putLong(2 * ROUNDED + 8 * number, System.nanoTime());
            marks.put(ROUNDED + number, (byte) (marks.get(ROUNDED + number) + 1));
        } catch (Exception problem) {
            throw new RuntimeException(problem);
        }
    }

    static double milliseconds(int number) {
        double share = (number * 2654435761L % (1L << 32)) / (double) (1L << 32);
        return number == slow ? slowMs : low + share * (high - low);
    }

    static void readTask(String text) {
        nothing = text.equals("nothing");
        if (nothing) {
            return;
        }
        String[] parts = text.split("\\+");
        String[] bounds = parts[0].split("-");
        low = Double.parseDouble(bounds[0]);
        high = Double.parseDouble(bounds[bounds.length - 1]);
        if (parts.length > 1) {
            slowMs = Double.parseDouble(parts[1].split("@")[0]);
            slow = Integer.parseInt(parts[1].split("@")[1]);
        }
    }
}
