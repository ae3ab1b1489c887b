package shop;

import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;

/** What one event does to one customer. Knows nothing of Kafka. */
final class Job {
    private static final double HALF_LIFE = 14 * 86400.0;
    private static final String[] BANDS = {"none", "warm", "hot"};
    private static final String[] STAGES = {
        "awareness", "consideration", "decision", "onboarding", "adoption", "retention", "advocacy"
    };
    private static final Map<String, Integer> POINTS = Map.of(
            "Page Viewed", 1, "Product Viewed", 2, "Email Link Clicked", 4, "Product Added", 5,
            "Checkout Started", 10, "Order Completed", 20, "Demo Requested", 30);

    /** One output and the topic that it goes to. */
    record Output(String topic, String customer, String message, String what, Double score) {}

    private Job() {}

    /** Advance a customer; null for a repeat, which changes nothing. */
    static List<Output> step(Customer customer, Event event) {
        if (customer.ids.contains(event.messageId())) return null;
        customer.ids.add(event.messageId());
        if (customer.ids.size() > Customer.REMEMBERED) customer.ids.removeFirst();
        double at = Instant.parse(event.timestamp()).toEpochMilli() / 1000.0;
        customer.clock = Math.max(customer.clock, at);
        customer.counts.merge(event.event(), 1, Integer::sum);
        List<Output> made = new ArrayList<>(2);
        int before = customer.band;
        score(customer, event, at, made);
        int stage = stage(customer);
        if (stage > customer.stage) {
            customer.stage = stage;
            made.add(new Output("transitions", event.userId(), event.messageId(), STAGES[stage], null));
        }
        if (before < 2 && customer.band == 2) fire(customer, event, "hot_lead", 86400, made);
        triggers(customer, event, at, made);
        return made;
    }

    private static void score(Customer customer, Event event, double at, List<Output> made) {
        Integer points = POINTS.get(event.event());
        if (points == null) return;
        double newest = Math.max(customer.anchor, at);
        customer.value = customer.value * Math.pow(2, (customer.anchor - newest) / HALF_LIFE)
                + points * Math.pow(2, (at - newest) / HALF_LIFE);
        customer.anchor = newest;
        double score = customer.value * Math.pow(2, (newest - customer.clock) / HALF_LIFE);
        int before = customer.band;
        int band = score >= 60 || (before == 2 && score >= 45) ? 2 : score >= 20 || (before >= 1 && score >= 12) ? 1 : 0;
        if (band != before) {
            customer.band = band;
            made.add(new Output("scores", event.userId(), event.messageId(), BANDS[band], score));
        }
    }

    private static int stage(Customer customer) {
        int orders = customer.count("Order Completed");
        if (orders >= 2) return customer.count("Referral Sent") >= 1 ? 6 : 5;
        if (orders == 1) return customer.count("Feature Used") >= 3 ? 4 : 3;
        if (customer.band >= 1 && customer.count("Product Added") >= 1) return 2;
        return customer.count("Product Viewed") >= 3 ? 1 : 0;
    }

    private static void triggers(Customer customer, Event event, double at, List<Output> made) {
        switch (event.event()) {
            case "Signed Up" -> fire(customer, event, "welcome", Double.POSITIVE_INFINITY, made);
            case "Email Link Clicked" -> {
                String campaign = event.context().campaign().name();
                if (campaign.equals("A")) fire(customer, event, "hero_a", 3600, made);
                if (campaign.equals("B")) fire(customer, event, "hero_b", 3600, made);
            }
            case "Product Added" -> {
                if (event.properties().value() >= 100) fire(customer, event, "cart_value", 3600, made);
            }
            case "Product Viewed" -> {
                view(customer, at);
                boolean browses = customer.views.length == Customer.VIEWS && customer.views[0] > customer.clock - 3600;
                if (browses) fire(customer, event, "browse_intent", 6 * 3600, made);
            }
            case "Checkout Started" -> {
                if (customer.band >= 1) fire(customer, event, "checkout_help", 3600, made);
            }
            case "Order Completed" -> {
                if (event.properties().total() >= 500) fire(customer, event, "vip_order", 0, made);
            }
            case "Demo Requested" -> {
                if (customer.stage <= 1) fire(customer, event, "demo_request", 86400, made);
            }
            case "Search Performed" -> {
                if (event.properties().results() == 0) fire(customer, event, "no_result", 1800, made);
            }
            default -> { }
        }
    }

    private static void view(Customer customer, double at) {
        double[] views = Arrays.copyOf(customer.views, customer.views.length + 1);
        views[views.length - 1] = at;
        Arrays.sort(views);
        customer.views = views.length > Customer.VIEWS ? Arrays.copyOfRange(views, 1, views.length) : views;
    }

    private static void fire(Customer customer, Event event, String rule, double cooldown, List<Output> made) {
        Double last = customer.fired.get(rule);
        if (last != null && customer.clock - last < cooldown) return;
        customer.fired.put(rule, customer.clock);
        made.add(new Output("actions", event.userId(), event.messageId(), rule, null));
    }
}
