package shop;

import com.fasterxml.jackson.annotation.JsonIgnoreProperties;

/** One track call, without what the job never reads. */
@JsonIgnoreProperties(ignoreUnknown = true)
public record Event(
        String event, String messageId, String userId, String timestamp, Context context, Properties properties) {

    @JsonIgnoreProperties(ignoreUnknown = true)
    public record Context(Campaign campaign) {}

    @JsonIgnoreProperties(ignoreUnknown = true)
    public record Campaign(String name) {}

    @JsonIgnoreProperties(ignoreUnknown = true)
    public record Properties(double value, double total, int results) {}
}
