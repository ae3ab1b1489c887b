package shop;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.HashMap;
import java.util.Map;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.Serializer;

/** One customer's state, and its compact form. Of the views, the five newest decide whether there were five within the hour. */
final class Customer {
    static final int REMEMBERED = 64;
    static final int VIEWS = 5;

    final ArrayDeque<String> ids = new ArrayDeque<>();
    double clock;
    double value;
    double anchor;
    int band;
    int stage;
    final Map<String, Integer> counts = new HashMap<>();
    double[] views = new double[0];
    final Map<String, Double> fired = new HashMap<>();

    int count(String name) {
        return counts.getOrDefault(name, 0);
    }

    static Serde<Customer> serde() {
        Serializer<Customer> write = (topic, customer) -> customer == null ? null : customer.encode();
        Deserializer<Customer> read = (topic, bytes) -> bytes == null ? null : decode(bytes);
        return Serdes.serdeFrom(write, read);
    }

    private byte[] encode() {
        int size = 64 + views.length * 8;
        for (String id : ids) size += 2 + id.length() * 3;
        for (String name : counts.keySet()) size += 6 + name.length() * 3;
        for (String name : fired.keySet()) size += 10 + name.length() * 3;
        ByteBuffer out = ByteBuffer.allocate(size);
        out.putDouble(clock).putDouble(value).putDouble(anchor).put((byte) band).put((byte) stage);
        out.put((byte) ids.size());
        for (String id : ids) put(out, id);
        out.put((byte) counts.size());
        counts.forEach((name, count) -> {
            put(out, name);
            out.putInt(count);
        });
        out.put((byte) views.length);
        for (double view : views) out.putDouble(view);
        out.put((byte) fired.size());
        fired.forEach((name, at) -> {
            put(out, name);
            out.putDouble(at);
        });
        byte[] made = new byte[out.position()];
        System.arraycopy(out.array(), 0, made, 0, made.length);
        return made;
    }

    private static Customer decode(byte[] bytes) {
        ByteBuffer in = ByteBuffer.wrap(bytes);
        Customer made = new Customer();
        made.clock = in.getDouble();
        made.value = in.getDouble();
        made.anchor = in.getDouble();
        made.band = in.get();
        made.stage = in.get();
        for (int left = in.get(); left > 0; left--) made.ids.add(text(in));
        for (int left = in.get(); left > 0; left--) made.counts.put(text(in), in.getInt());
        made.views = new double[in.get()];
        for (int at = 0; at < made.views.length; at++) made.views[at] = in.getDouble();
        for (int left = in.get(); left > 0; left--) made.fired.put(text(in), in.getDouble());
        return made;
    }

    private static void put(ByteBuffer out, String text) {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        out.putShort((short) bytes.length).put(bytes);
    }

    private static String text(ByteBuffer in) {
        int length = in.getShort();
        String made = new String(in.array(), in.position(), length, StandardCharsets.UTF_8);
        in.position(in.position() + length);
        return made;
    }
}
