package realtest

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Kafka is one broker, its own controller (KRaft mode).
type Kafka struct {
	Address   string
	dir       string
	classPath string
	p         *process
}

const kafkaProperties = `process.roles=broker,controller
node.id=1
controller.quorum.voters=1@%[2]s
listeners=PLAINTEXT://%[1]s,CONTROLLER://%[2]s
advertised.listeners=PLAINTEXT://%[1]s
controller.listener.names=CONTROLLER
log.dirs=%[3]s
num.partitions=3
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
`

// StartKafka starts a broker that ends with the test.
func StartKafka(t *testing.T) *Kafka {
	t.Helper()
	k := &Kafka{dir: t.TempDir(), classPath: jars(t, artifact{"org.apache.kafka", "kafka_2.13", "3.9.1"})}
	k.Address = free(t)
	properties := filepath.Join(k.dir, "server.properties")
	text := fmt.Sprintf(kafkaProperties, k.Address, free(t), filepath.Join(k.dir, "log"))
	if err := os.WriteFile(properties, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	format := exec.CommandContext(t.Context(), "java", "-Xmx128m", "-cp", k.classPath, "kafka.tools.StorageTool", "format", "-t", "RURSLXRlc3Qta2Fma2EtMQ", "-c", properties)
	if out, err := format.CombinedOutput(); err != nil {
		t.Fatalf("format the broker's folder: %v: %s", err, out)
	}
	t.Cleanup(func() {
		if k.p != nil {
			k.p.stop()
		}
	})
	k.Start(t)
	return k
}

// free is an address on the loopback interface that nobody uses now.
func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// Start starts the broker again after Stop, with what it had.
func (k *Kafka) Start(t *testing.T) {
	t.Helper()
	k.p = start(t, k.dir, "kafka", "java", "-Xms256m", "-Xmx384m", "-XX:TieredStopAtLevel=1", "-cp", k.classPath, "kafka.Kafka", filepath.Join(k.dir, "server.properties"))
	client, err := kgo.NewClient(kgo.SeedBrokers(k.Address))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	k.p.await(t, func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		resp, err := kmsg.NewPtrMetadataRequest().RequestWith(ctx, client)
		return err == nil && len(resp.Brokers) == 1
	})
}

// Stop ends the broker.
func (k *Kafka) Stop(*testing.T) {
	k.p.stop()
	k.p = nil
}

// Read lists the records of all topics with this beginning, those of each
// partition in their order.
func (k *Kafka) Read(t *testing.T, prefix string) []*kgo.Record {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	client, err := kgo.NewClient(kgo.SeedBrokers(k.Address))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ask := kmsg.NewPtrMetadataRequest()
	ask.Topics = nil // all
	meta, err := ask.RequestWith(ctx, client)
	if err != nil {
		t.Fatal(err)
	}
	from, ends := map[string]map[int32]kgo.Offset{}, map[string]map[int32]int64{}
	for _, topic := range meta.Topics {
		if topic.Topic == nil || !strings.HasPrefix(*topic.Topic, prefix) {
			continue
		}
		list := kmsg.NewPtrListOffsetsRequest()
		list.ReplicaID = -1
		lt := kmsg.NewListOffsetsRequestTopic()
		lt.Topic = *topic.Topic
		for _, p := range topic.Partitions {
			lp := kmsg.NewListOffsetsRequestTopicPartition()
			lp.Partition, lp.Timestamp = p.Partition, -1
			lt.Partitions = append(lt.Partitions, lp)
		}
		list.Topics = append(list.Topics, lt)
		answer, err := list.RequestWith(ctx, client)
		if err != nil {
			t.Fatal(err)
		}
		for _, at := range answer.Topics {
			for _, p := range at.Partitions {
				if p.ErrorCode != 0 {
					t.Fatalf("the end of %s: error %d", at.Topic, p.ErrorCode)
				}
				if p.Offset > 0 {
					if from[at.Topic] == nil {
						from[at.Topic], ends[at.Topic] = map[int32]kgo.Offset{}, map[int32]int64{}
					}
					from[at.Topic][p.Partition], ends[at.Topic][p.Partition] = kgo.NewOffset().AtStart(), p.Offset
				}
			}
		}
	}
	return consume(ctx, t, k.Address, from, ends)
}

func consume(ctx context.Context, t *testing.T, address string, from map[string]map[int32]kgo.Offset, ends map[string]map[int32]int64) []*kgo.Record {
	t.Helper()
	if len(from) == 0 {
		return nil
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(address), kgo.ConsumePartitions(from))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	left := 0
	for _, partitions := range ends {
		left += len(partitions)
	}
	var out []*kgo.Record
	for left > 0 {
		f := client.PollFetches(ctx)
		if err := f.Err(); err != nil {
			t.Fatalf("read from Kafka: %v", err)
		}
		f.EachRecord(func(r *kgo.Record) {
			out = append(out, r)
			if r.Offset == ends[r.Topic][r.Partition]-1 {
				left--
			}
		})
	}
	return out
}
