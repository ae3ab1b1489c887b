package shop;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.ObjectReader;
import com.fasterxml.jackson.databind.ObjectWriter;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.processor.api.ContextualProcessor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/**
 * The job on Kafka Streams: the Processor API, one thread, a RocksDB store with its changelog. The store has no record cache, as is the
 * Processor API's default.
 * Environment: BROKER, RUN (prefix of topics and application id), STATE, INPUT, GUARANTEE, COMMIT_MS, SESSION_MS.
 */
public final class Shop {
    private static final String STORE = "customers";
    private static final List<String> OUTPUTS = List.of("scores", "transitions", "actions", "dlq");

    private Shop() {}

    public static void main(String[] arguments) {
        KafkaStreams streams = new KafkaStreams(topology(), settings());
        streams.setUncaughtExceptionHandler(error -> {
            error.printStackTrace();
            Runtime.getRuntime().halt(1);
            return null;
        });
        Runtime.getRuntime().addShutdownHook(new Thread(streams::close));
        streams.start();
    }

    private static Topology topology() {
        var store = Stores.keyValueStoreBuilder(
                Stores.persistentKeyValueStore(STORE), Serdes.String(), Customer.serde());
        Topology topology = new Topology()
                .addSource("input", new StringDeserializer(), new ByteArrayDeserializer(), System.getenv("INPUT"))
                .addProcessor("advance", Advance::new, "input")
                .addStateStore(store, "advance");
        for (String each : OUTPUTS) {
            String topic = System.getenv("RUN") + "." + each;
            topology.addSink(each, topic, new StringSerializer(), new ByteArraySerializer(), "advance");
        }
        return topology;
    }

    private static Properties settings() {
        Map<String, String> env = System.getenv();
        Properties made = new Properties();
        made.put(StreamsConfig.APPLICATION_ID_CONFIG, env.get("RUN"));
        made.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, env.get("BROKER"));
        made.put(StreamsConfig.STATE_DIR_CONFIG, env.get("STATE"));
        made.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, env.get("GUARANTEE"));
        made.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, env.get("COMMIT_MS"));
        made.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
        made.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 1);
        made.put(StreamsConfig.consumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest");
        made.put(StreamsConfig.consumerPrefix(ConsumerConfig.SESSION_TIMEOUT_MS_CONFIG), env.get("SESSION_MS"));
        return made;
    }

    /** One record at a time; what cannot be read goes to the dead letters as it came. */
    private static final class Advance extends ContextualProcessor<String, byte[], String, byte[]> {
        private static final ObjectMapper JSON =
                new ObjectMapper().setSerializationInclusion(JsonInclude.Include.NON_NULL);
        private static final ObjectReader READ = JSON.readerFor(Event.class);
        private static final ObjectWriter WRITE = JSON.writerFor(Job.Output.class);

        private KeyValueStore<String, Customer> customers;

        @Override
        public void init(ProcessorContext<String, byte[]> context) {
            super.init(context);
            customers = context.getStateStore(STORE);
        }

        @Override
        public void process(Record<String, byte[]> input) {
            Event event;
            try {
                event = READ.readValue(input.value());
            } catch (IOException broken) {
                context().forward(input, "dlq");
                return;
            }
            Customer known = customers.get(event.userId());
            Customer customer = known == null ? new Customer() : known;
            List<Job.Output> made = Job.step(customer, event);
            if (made == null) return;
            for (Job.Output output : made) {
                context().forward(input.withValue(encode(output)), output.topic());
            }
            customers.put(event.userId(), customer);
        }

        private static byte[] encode(Job.Output output) {
            try {
                return WRITE.writeValueAsBytes(output);
            } catch (JsonProcessingException never) {
                throw new IllegalStateException(never);
            }
        }
    }
}
