package export

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"regexp"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// kafkaConfig is a sink of type "kafka".
type kafkaConfig struct {
	common
	tlsConfig
	// Brokers to begin with, host:port each.
	Brokers []string `json:"brokers"`
	// Topic is the beginning of the topics' names: TOPIC.hit, TOPIC.result and
	// TOPIC.outcome.
	Topic string `json:"topic"`
	// TLS is also on where ca_file or cert_file is given.
	TLS  bool        `json:"tls"`
	SASL *saslConfig `json:"sasl"`
	// MaxMessageBytes is how large a message may be; a larger one goes to the
	// dead letters. The brokers' own limit holds besides.
	MaxMessageBytes int32 `json:"max_message_bytes"`
}

type saslConfig struct {
	Mechanism    string `json:"mechanism"`
	User         string `json:"user"`
	PasswordFile string `json:"password_file"`
	PasswordEnv  string `json:"password_env"`
}

var topicName = regexp.MustCompile(`^[a-zA-Z0-9._-]{1,200}$`)

const (
	defaultMessageBytes = 1_000_012 // the brokers' own default
	leastMessageBytes   = 1024
	mostMessageBytes    = 64 << 20
	kafkaTime           = time.Minute
)

func (c *kafkaConfig) check(env *environment) (func(*slog.Logger) (Sink, error), error) {
	if len(c.Brokers) == 0 {
		return nil, errors.New("brokers is missing: give a list like [\"kafka1.example:9092\"]")
	}
	for _, b := range c.Brokers {
		if _, port, err := net.SplitHostPort(b); err != nil || port == "" {
			return nil, fmt.Errorf("brokers: %q is to be like kafka1.example:9092", b)
		}
	}
	if c.Topic == "" {
		c.Topic = "edr"
	}
	if !topicName.MatchString(c.Topic) {
		return nil, fmt.Errorf("topic %q: it is to be of letters, digits, '.', '_' and '-', 200 at most", c.Topic)
	}
	most := c.MaxMessageBytes
	if most == 0 {
		most = defaultMessageBytes
	}
	if most < leastMessageBytes || most > mostMessageBytes {
		return nil, fmt.Errorf("max_message_bytes is %d; it is to be between %d and %d", most, leastMessageBytes, mostMessageBytes)
	}
	opts := []kgo.Opt{
		kgo.SeedBrokers(c.Brokers...), kgo.ClientID("edr-server"),
		// Idempotent is the client's default and asks for acks of all. A batch
		// whose outcome is unknown is given up in time all the same, so that a
		// broker that is away shows; it is sent again whole, under its ids.
		kgo.RequiredAcks(kgo.AllISRAcks()), kgo.AllowIdempotentProduceCancellation(),
		kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)),
		kgo.ProducerBatchMaxBytes(most), kgo.BrokerMaxWriteBytes(max(100<<20, most*2)),
		kgo.ProducerLinger(0), kgo.AllowAutoTopicCreation(),
		kgo.RecordDeliveryTimeout(kafkaTime), kgo.UnknownTopicRetries(10), kgo.RetryTimeout(kafkaTime),
		kgo.DialTimeout(10 * time.Second),
	}
	conf, err := c.tlsConfig.load(env)
	if err != nil {
		return nil, err
	}
	if c.TLS || c.CAFile != "" || c.CertFile != "" {
		opts = append(opts, kgo.DialTLSConfig(conf))
	}
	if c.SASL != nil {
		m, err := c.SASL.mechanism(env)
		if err != nil {
			return nil, fmt.Errorf("sasl.%w", err)
		}
		opts = append(opts, kgo.SASL(m))
	}
	return func(*slog.Logger) (Sink, error) {
		client, err := kgo.NewClient(opts...)
		if err != nil {
			return nil, fmt.Errorf("make the Kafka client: %w", err)
		}
		return &kafkaSink{client: client, topic: c.Topic, brokers: strings.Join(c.Brokers, ",")}, nil
	}, nil
}

func (c *saslConfig) mechanism(env *environment) (sasl.Mechanism, error) {
	if c.User == "" {
		return nil, errors.New("user is missing")
	}
	password, err := env.secret("password", c.PasswordFile, c.PasswordEnv, true)
	if err != nil {
		return nil, err
	}
	switch c.Mechanism {
	case "plain":
		return plain.Auth{User: c.User, Pass: password}.AsMechanism(), nil
	case "scram-sha-256":
		return scram.Auth{User: c.User, Pass: password}.AsSha256Mechanism(), nil
	case "scram-sha-512":
		return scram.Auth{User: c.User, Pass: password}.AsSha512Mechanism(), nil
	}
	return nil, fmt.Errorf("mechanism %q: there is plain, scram-sha-256 and scram-sha-512", c.Mechanism)
}

// kafkaSink produces one message a document: the topic by its kind, the key
// its host, so that a host's documents stand in one partition in their order.
type kafkaSink struct {
	client         *kgo.Client
	topic, brokers string
}

// Target implements Sink.
func (s *kafkaSink) Target() string { return s.brokers + " " + s.topic + ".*" }

// Close implements Sink.
func (s *kafkaSink) Close() error { s.client.Close(); return nil }

// Send implements Sink.
func (s *kafkaSink) Send(ctx context.Context, docs []Document) ([]Refusal, error) {
	records := make([]*kgo.Record, len(docs))
	for i, d := range docs {
		records[i] = &kgo.Record{Topic: s.topic + "." + string(d.Kind), Key: []byte(d.Host), Value: d.Body,
			// The server's clock: brokers refuse what a host's may say.
			Timestamp: d.Received,
			Headers:   []kgo.RecordHeader{{Key: "id", Value: []byte(d.ID)}, {Key: "kind", Value: []byte(d.Kind)}}}
	}
	// The call that waits for all orders its answers by time of completion.
	at := make(map[*kgo.Record]int, len(records))
	for i, r := range records {
		at[r] = i
	}
	var refused []Refusal
	var failed error
	for _, r := range s.client.ProduceSync(ctx, records...) {
		switch {
		case r.Err == nil:
		case errors.Is(r.Err, kerr.MessageTooLarge), errors.Is(r.Err, kerr.InvalidRecord), errors.Is(r.Err, kerr.InvalidTimestamp):
			refused = append(refused, Refusal{at[r.Record], fmt.Errorf("produce to %s: %w (%d bytes)", r.Record.Topic, r.Err, len(r.Record.Value))})
		case failed == nil:
			failed = fmt.Errorf("produce to %s at %s: %w", r.Record.Topic, s.brokers, r.Err)
		}
	}
	if failed != nil {
		return nil, failed
	}
	return refused, nil
}
